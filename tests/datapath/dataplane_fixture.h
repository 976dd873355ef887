// SPDX-License-Identifier: Apache-2.0
// An instance of the real data plane of its own, in a network namespace of its own. Needs root.
#pragma once

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "abi.h"
#include "dataplane/encode.h"
#include "dataplane/xdp_dataplane.h"

namespace xlvs::dataplane {

inline Endpoint endpoint(const std::string& text) {
  return Endpoint::parse(text).value();
}
inline Listener listener(const std::string& text) {
  return Listener::parse(text).value();
}
inline IpAddress address(const std::string& text) {
  return IpAddress::parse(text).value();
}

inline DesiredBackend backend(const std::string& text, std::uint32_t weight = 1) {
  DesiredBackend out;
  out.endpoint = endpoint(text);
  out.weight = weight;
  return out;
}

inline DesiredService service(const std::string& name, const std::vector<std::string>& listeners,
                              std::vector<DesiredBackend> backends, Scheduler scheduler = Scheduler::wrr) {
  DesiredService out;
  out.name = name;
  for (const std::string& text : listeners) out.listeners.push_back(listener(text));
  out.backends = std::move(backends);
  out.scheduler = scheduler;
  return out;
}

inline Desired desired(std::vector<DesiredService> services) {
  Desired out;
  out.services = std::move(services);
  return out;
}

class DataplaneTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::geteuid(), 0U) << "these tests load XDP programs: run them as root";
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    static int count = 0;
    unique_ = "test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
    options.instance = unique_;
    options.limits = {1024, 1024, 16, 32, 64};
  }
  void TearDown() override {
    if (dp) expect_tables_sound();
    dp.reset();
    const auto removed = remove_pins(options);
    EXPECT_TRUE(removed) << removed.error().message;
    std::error_code none_at_all;
    for (const auto& entry : std::filesystem::directory_iterator(options.bpffs + "/lvs", none_at_all))
      EXPECT_FALSE(entry.path().filename().string().starts_with(unique_)) << entry.path() << ": left behind";
  }

  void open() {
    dp.reset();
    auto opened = XdpDataplane::open(options);
    ASSERT_TRUE(opened) << opened.error().message;
    dp = *std::move(opened);
  }
  void apply(const Desired& wanted) {
    const auto done = dp->apply(wanted);
    ASSERT_TRUE(done) << done.error().message;
    summary = *done;
  }
  void sweep(unsigned times = 1) {
    for (; times > 0; --times) ASSERT_TRUE(dp->sweep_step(dp->bucket_count()));
  }

  // What holds after every test: no table names a backend whose record refuses new flows.
  void expect_tables_sound() const {
    for (const auto& [id, installed] : dp->registry().services())
      for (const std::uint32_t backend : maps().table(id))
        EXPECT_TRUE(backend == 0 ||
                    (maps().backends[backend].flags & (LVS_BACKEND_VALID | LVS_BACKEND_DOWN)) == LVS_BACKEND_VALID)
            << installed.name << " schedules onto backend id " << backend;
  }

  [[nodiscard]] std::string root() const { return options.bpffs + "/lvs/" + options.instance; }
  [[nodiscard]] const Maps& maps() const { return dp->maps(); }

  static void run(const std::string& command) {
    ASSERT_EQ(std::system(command.c_str()), 0) << command;  // NOLINT(cert-env33-c): fixed strings
  }
  // A veth pair NAME and NAMEp, up, in this test's namespace.
  static PortRequest make_port(const std::string& name, XdpMode mode = XdpMode::automatic) {
    run("ip link add " + name + " type veth peer name " + name + "p && ip link set " + name + " up");
    return {name, if_nametoindex(name.c_str()), MacAddress{{2, 0, 0, 0, 0, 1}}, 1500, mode};
  }

  [[nodiscard]] std::uint32_t service_id(const std::string& name) const {
    for (const auto& [id, installed] : dp->registry().services())
      if (installed.name == name) return id;
    return 0;
  }
  [[nodiscard]] std::uint32_t backend_id(const std::string& service_name, const std::string& where) const {
    for (const auto& [id, installed] : dp->registry().backends())
      if (installed.service == service_id(service_name) && installed.endpoint == endpoint(where)) return id;
    return 0;
  }
  [[nodiscard]] std::uint32_t listener_id(const std::string& text) const {
    const auto& listeners = dp->registry().listeners();
    const auto found = listeners.find(listener(text));
    return found == listeners.end() ? 0 : found->second.id;
  }

  // A flow as the XDP program would write it, counted as it would count it. Age in ticks.
  void put_flow4(std::size_t bucket, unsigned slot, const std::string& client, const std::string& vip,
                 std::uint32_t backend_id, std::uint32_t state, std::uint32_t age = 0,
                 std::uint32_t gateway = 0) const {
    const Endpoint from = endpoint(client);
    const Listener to = listener(vip);
    const lvs_key4 key = key4(from.address, from.port, 0);
    lvs_slot4& target = maps().buckets4[bucket].slot[slot];
    target.key = LVS_SLOT4_KEY(key.addr, key.port, htons(to.port));
    target.word = LVS_WORD(backend_id, listener_id(vip), gateway, state, tick_now() - age);
    count_flow(backend_id, state, 1);
  }
  void count_flow(std::uint32_t backend_id, std::uint32_t state, std::uint32_t n) const {
    lvs_load& load = maps().loads[backend_id];
    (state == LVS_STATE_ESTABLISHED ? load.active : load.inactive) += n;
  }

  OpenOptions options;
  std::unique_ptr<XdpDataplane> dp;
  ApplySummary summary;

 private:
  std::string unique_;  // what the instance's name begins with
};

}  // namespace xlvs::dataplane
