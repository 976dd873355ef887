// SPDX-License-Identifier: Apache-2.0
#include "tests/net/lab.h"

#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>

namespace xlvs::net::test {
namespace {

using Clock = std::chrono::steady_clock;

void run(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

// A process in a new network namespace that sleeps until its parent is gone.
pid_t start_namespace_holder() {
  std::array<int, 2> ready{};
  if (pipe(ready.data()) != 0) throw std::runtime_error("pipe");
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || unshare(CLONE_NEWNET) != 0) _exit(1);
    if (write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  close(ready[1]);
  char byte = 0;
  const bool ok = read(ready[0], &byte, 1) == 1;
  close(ready[0]);
  if (!ok) throw std::runtime_error("the peer has no network namespace: these tests need root");
  return child;
}

}  // namespace

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

MacAddress mac(const std::string& text) {
  MacAddress address;
  auto& b = address.bytes;
  if (std::sscanf(text.c_str(), "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) != 6) {
    throw std::invalid_argument(text);
  }
  return address;
}

NetTest::NetTest() {
  if (unshare(CLONE_NEWNET) != 0) throw std::runtime_error("no network namespace of its own: these tests need root");
  peer_ = start_namespace_holder();
  // Without duplicate address detection: link-local addresses, the sources of neighbour discovery, work at once.
  here("sysctl -qw net.ipv6.conf.default.accept_dad=0 && ip link set lo up");
  on_peer("sysctl -qw net.ipv6.conf.default.accept_dad=0 && ip link set lo up");
  here(fmt::format("ip link add wan0 address 02:00:00:00:00:01 type veth peer name eth0 netns {} address {}", peer_,
                   "02:00:00:00:00:02"));
  here("ip address add 10.1.0.1/16 dev wan0 && ip -6 address add 2001:db8:1::1/64 dev wan0 nodad");
  on_peer("ip address add 10.1.0.2/16 dev eth0 && ip -6 address add 2001:db8:1::2/64 dev eth0 nodad");
  here("ip link set wan0 up");
  on_peer("ip link set eth0 up");
}

NetTest::~NetTest() {
  kill(peer_, SIGKILL);
  waitpid(peer_, nullptr, 0);
}

void NetTest::here(const std::string& command) {
  run(command);
}

void NetTest::on_peer(const std::string& command) {
  run(fmt::format("nsenter --net=/proc/{}/ns/net sh -c '{}'", peer_, command));
}

void NetTest::peer_batch(const std::string& lines) {
  run(fmt::format("nsenter --net=/proc/{}/ns/net ip -batch - <<'END'\n{}END\n", peer_, lines));
}

void NetTest::set_peer_mac(const std::string& text) {
  on_peer("sysctl -qw net.ipv4.conf.eth0.arp_notify=0 net.ipv6.conf.eth0.ndisc_notify=0");
  on_peer("ip link set eth0 address " + text);
}

unsigned NetTest::ifindex(const std::string& name) {
  return if_nametoindex(name.c_str());
}

void WatchTest::open_watch(Watch::Options options) {
  auto opened = Watch::open(loop_,
                            {[this](const IpAddress& address, const std::optional<Hop>& hop,
                                    const std::string& reason) { reports_.push_back({address, hop, reason}); },
                             [this](const Link& link) { links_[link.name] = link; }},
                            options);
  ASSERT_TRUE(opened) << opened.error().message;
  watch_ = std::move(*opened);
}

void WatchTest::run_until(const std::string& what, const std::function<bool()>& condition,
                          std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() >= deadline) {
      std::string seen;
      for (const Report& report : reports_) {
        seen += fmt::format("\n  {} {}: {}", report.address.to_string(), report.hop ? "hop" : "lost", report.reason);
      }
      FAIL() << "not within " << limit.count() << " ms: " << what << "; reports:" << (reports_.size() < 50 ? seen : "");
    }
    loop_.restart();
    loop_.run_one_until(std::min(deadline, Clock::now() + std::chrono::milliseconds(100)));
  }
}

void WatchTest::run_for(std::chrono::milliseconds time) {
  loop_.restart();
  loop_.run_for(time);
}

const WatchTest::Report* WatchTest::last(const std::string& address) const {
  const IpAddress wanted = ip(address);
  const Report* found = nullptr;
  for (const Report& report : reports_) {
    if (report.address == wanted) found = &report;
  }
  return found;
}

void WatchTest::expect_hop(const std::string& address, const std::string& hop_mac, const std::string& via) {
  const Hop expected{false, mac(hop_mac), ifindex("wan0"), ip(via.empty() ? address : via)};
  run_until(address + " at " + hop_mac, [&] {
    const Report* report = last(address);
    return report != nullptr && report->hop == expected;
  });
  EXPECT_EQ(watch_->hop(ip(address)), expected);
}

void WatchTest::expect_lost(const std::string& address, const std::string& reason_part) {
  run_until(address + " lost: " + reason_part, [&] {
    const Report* report = last(address);
    return report != nullptr && !report->hop && report->reason.find(reason_part) != std::string::npos;
  });
  EXPECT_EQ(watch_->hop(ip(address)), std::nullopt);
}

}  // namespace xlvs::net::test
