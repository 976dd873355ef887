// SPDX-License-Identifier: Apache-2.0
// Keeps asking for the names that backends are given by; what the answers mean is core/names.h's. Thread rule: the
// event loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "control/api.h"
#include "core/names.h"
#include "net/resolver.h"

namespace xlvs::agent {

class NameFollower {
 public:
  // `changed`: a name means something else now; comes from the event loop.
  NameFollower(boost::asio::io_context& loop, std::unique_ptr<net::Resolver> resolver, std::function<void()> changed);

  // The names of `config`, and no others.
  void follow(const Config& config, const NameMemories& remembered = {});
  [[nodiscard]] NameMemories memories() const { return book_.memories(); }
  // Lets go of addresses that names have lost, once nothing goes on there.
  void forget_drained(const std::function<bool(const Name&, const IpAddress&)>& idle);
  [[nodiscard]] bool has_leaving() const { return book_.has_leaving(); }

  [[nodiscard]] std::vector<control::NameReport> reports() const;
  [[nodiscard]] std::vector<std::string> warnings() const;

 private:
  void turn();
  void take(const Name& name, const Result<NameReply>& reply);

  std::unique_ptr<net::Resolver> resolver_;
  std::function<void()> changed_;
  boost::asio::steady_timer timer_;
  NameBook book_;
  std::size_t asking_ = 0;
};

}  // namespace xlvs::agent
