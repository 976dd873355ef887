// SPDX-License-Identifier: Apache-2.0
// A whole agent on a machine in memory, checking real TCP servers on the loopback interface.
#pragma once

#include <gmock/gmock.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "agent/agent.h"
#include "tests/unit/agent/fakes.h"
#include "tests/unit/agent/temporary.h"

namespace xlvs::agent {

using namespace std::chrono_literals;

// A port on 127.0.0.1 that accepts connections (the kernel does, up to its backlog) until it is closed.
class TcpServer {
 public:
  explicit TcpServer(std::uint16_t port = 0)
      : acceptor_(loop_, {boost::asio::ip::address_v4::loopback(), port}), port_(acceptor_.local_endpoint().port()) {}
  void close() { acceptor_.close(); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string endpoint() const { return fmt::format("127.0.0.1:{}", port_); }

 private:
  boost::asio::io_context loop_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::uint16_t port_;
};

// ASSERT_TRUE(ok(...)) shows what went wrong.
template <typename T>
::testing::AssertionResult ok(const Result<T>& result) {
  return result ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << result.error().message;
}

class AgentTest : public ::testing::Test {
 protected:
  AgentTest() {
    options_.config_path = directory_ / "lvs.yaml";
    options_.run_dir = directory_ / "run";
    options_.state_dir = directory_ / "state";
    options_.version = "test";
    configure(config());
  }

  // One service, "web", over the three servers; `check` and the rest as given.
  [[nodiscard]] std::string config(
      const std::string& more = "metrics: {listen: off}\n",
      const std::string& check = "{type: tcp, interval: 100ms, timeout: 100ms, rise: 1, fall: 1}",
      int servers = 3) const {
    std::string text = "interfaces: [lan0, wan0]\n" + more +
                       "services:\n  - name: web\n    listen: [\"198.51.100.10:80/tcp\"]\n    check: " + check +
                       "\n    backends:\n";
    for (int i = 0; i < servers; ++i)
      text += fmt::format("      - {{address: 127.0.0.1, port: {}}}\n", servers_[i].port());
    return text;
  }
  void configure(const std::string& text) const { write_file(options_.config_path, text); }

  Result<void> start() {
    agent_.emplace(loop_, options_, host_);
    auto result = agent_->start();
    if (!result) agent_.reset();
    return result;
  }
  // As kill -9 does: no stop(), and the loop's handlers never run again.
  void kill() {
    loop_.poll();
    loop_.restart();
    agent_.reset();
  }
  Result<void> restart() {
    kill();
    return start();
  }
  [[nodiscard]] bool wait_for(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      loop_.run_one_for(100ms);
      loop_.restart();
    }
    return true;
  }
  [[nodiscard]] bool is_up(int server) const {
    const auto backend = machine_.find("web", servers_[server].endpoint());
    return backend && backend->up;
  }
  [[nodiscard]] bool wait_until_up() {
    return wait_for([this] { return is_up(0) && is_up(1) && is_up(2); });
  }
  control::Operations& operations() { return agent_->operations(); }
  [[nodiscard]] control::BackendReport report(int server) {
    const std::vector<control::ServiceReport> services = operations().services();
    for (const control::BackendReport& backend : services.at(0).backends) {
      if (backend.address == servers_[server].endpoint()) return backend;
    }
    ADD_FAILURE() << "no report of " << servers_[server].endpoint();
    return {};
  }

  TemporaryDirectory directory_;
  Options options_;
  TcpServer servers_[3];
  FakeMachine machine_;
  FakeHost host_{machine_};
  boost::asio::io_context loop_;
  std::optional<Agent> agent_;
};

}  // namespace xlvs::agent
