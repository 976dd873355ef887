// SPDX-License-Identifier: Apache-2.0
// Tells the data plane where each backend is, as the netlink watch finds it out. Thread rule: the event loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "agent/host.h"
#include "agent/interfaces.h"

namespace xlvs::agent {

class NextHops {
 public:
  struct Events {
    std::function<void(const net::Link&)> link_changed;  // every link event, after the names known here are up to date
    std::function<void()> tables_changed;                // as net::Watch tells it
  };
  static Result<std::unique_ptr<NextHops>> open(boost::asio::io_context& loop, Host& host,
                                                dataplane::Dataplane& dataplane, const std::vector<net::Link>& links,
                                                Events events);

  // Follows the backends of `config`, and no others.
  void follow(const Config& config);

  // "02:00:00:00:00:0b dev lan0", "local"
  [[nodiscard]] std::string describe(const dataplane::NextHop& hop) const;
  // Backends that are reached through an interface without our program: packets to them are dropped.
  [[nodiscard]] std::vector<std::string> warnings(const Interfaces& interfaces) const;

 private:
  NextHops(dataplane::Dataplane& dataplane, const std::vector<net::Link>& links, Events events);
  void on_hop(const IpAddress& address, const std::optional<net::Hop>& hop, const std::string& reason);
  void on_link(const net::Link& link);
  [[nodiscard]] std::string device(unsigned ifindex) const;

  dataplane::Dataplane& dataplane_;
  Events events_;
  std::map<unsigned, std::string> names_;
  std::set<IpAddress> followed_;
  std::unique_ptr<net::Watch> watch_;  // last: its events use the members above
};

}  // namespace xlvs::agent
