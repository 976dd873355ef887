// SPDX-License-Identifier: Apache-2.0
// A test's own piece of network:
//
//   here: wan0 10.1.0.1/16, 2001:db8:1::1/64 ---veth--- peer: eth0 10.1.0.2/16, 2001:db8:1::2/64
//
// "here" is the namespace that the test itself runs in. Both end with the test's process or the next test.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

#include "net/net.h"

namespace xlvs::net::test {

[[nodiscard]] IpAddress ip(const std::string& text);
[[nodiscard]] MacAddress mac(const std::string& text);

class NetTest : public ::testing::Test {
 protected:
  NetTest();
  ~NetTest() override;

  void here(const std::string& command);       // a shell command that must succeed
  void on_peer(const std::string& command);    // the same in the peer's namespace
  void peer_batch(const std::string& lines);   // `ip -batch` in the peer's namespace
  void set_peer_mac(const std::string& text);  // silently: without announcing it
  [[nodiscard]] static unsigned ifindex(const std::string& name);

  boost::asio::io_context loop_;

 private:
  pid_t peer_ = -1;  // a process that holds the peer's namespace
};

// A watch, and everything it reported.
class WatchTest : public NetTest {
 protected:
  struct Report {
    IpAddress address;
    std::optional<Hop> hop;
    std::string reason;
  };

  void open_watch(Watch::Options options = {});
  // Runs the event loop until `condition` holds; a test failure, naming `what`, when it does not within `limit`.
  void run_until(const std::string& what, const std::function<bool()>& condition,
                 std::chrono::milliseconds limit = std::chrono::seconds(15));
  void run_for(std::chrono::milliseconds time);  // for what must not happen

  void expect_hop(const std::string& address, const std::string& hop_mac, const std::string& via = "");
  void expect_lost(const std::string& address, const std::string& reason_part);
  [[nodiscard]] const Report* last(const std::string& address) const;

  std::unique_ptr<Watch> watch_;
  std::vector<Report> reports_;
  std::map<std::string, Link> links_;
};

}  // namespace xlvs::net::test
