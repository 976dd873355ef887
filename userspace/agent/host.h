// SPDX-License-Identifier: Apache-2.0
// Everything the agent asks of the machine below it, in one interface, so that tests run the whole agent without root.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "core/ip.h"
#include "core/result.h"
#include "dataplane/dataplane.h"
#include "ha/speaker.h"
#include "net/net.h"
#include "net/resolver.h"

namespace xlvs::agent {

class Host {
 public:
  virtual ~Host() = default;

  virtual Result<std::unique_ptr<dataplane::Dataplane>> open_dataplane(const dataplane::OpenOptions& options) = 0;
  virtual Result<void> remove_pins(const dataplane::OpenOptions& options) = 0;
  virtual Result<std::vector<net::Link>> links() = 0;
  virtual Result<std::unique_ptr<net::Watch>> open_watch(boost::asio::io_context& loop, net::Watch::Events events) = 0;
  // Makes `interface` carry exactly `wanted` of the addresses that lvsd added; `owned` is that set before and after,
  // also after an error, and `facts` what the kernel had to say. not_found: there is no such interface.
  virtual Result<void> set_vips(const std::string& interface, const std::set<IpAddress>& wanted,
                                std::set<IpAddress>& owned, net::VipFacts& facts) = 0;
  // The same for the routes in `table` that announce them.
  virtual Result<void> set_vip_routes(std::uint32_t table, const std::set<IpAddress>& wanted,
                                      std::set<IpAddress>& owned, net::VipFacts& facts) = 0;
  virtual Result<std::unique_ptr<ha::Speaker>> open_speaker(const HaConfig& config, FenceWord fence,
                                                            ha::Speaker::RoleChanged changed) = 0;
  virtual std::unique_ptr<net::Resolver> make_resolver(boost::asio::io_context& loop) = 0;
  // Makes the TCP client of a connection to the virtual address `server` send a segment (net/ack_solicitor.h). Best
  // effort, without waiting.
  virtual void solicit(const Endpoint& server, const Endpoint& client) = 0;
  // Changes with every boot of the kernel.
  virtual Result<std::string> boot_id() = 0;
};

[[nodiscard]] std::unique_ptr<Host> make_host();

}  // namespace xlvs::agent
