// SPDX-License-Identifier: Apache-2.0
// Names into addresses, as /etc/hosts and resolv.conf have it, without ever waiting. Thread rule: the event loop's
// thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "core/names.h"

namespace xlvs::net {

class Resolver {
 public:
  virtual ~Resolver() = default;  // cancels: no `done` is called afterwards
  // Calls `done` once, from the event loop, never from within; after 10 s at the latest. An error says what the servers
  // answered (not_found) or that none did (unavailable).
  virtual void resolve(const Name& name, std::function<void(const Result<NameReply>&)> done) = 0;
  // Asked from now on, instead of those of resolv.conf (which is read for each question, so changes count at once).
  virtual void use_servers(const std::vector<Endpoint>& servers) = 0;
};

[[nodiscard]] std::unique_ptr<Resolver> make_resolver(boost::asio::io_context& loop);

}  // namespace xlvs::net
