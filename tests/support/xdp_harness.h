// SPDX-License-Identifier: Apache-2.0
// The real XDP program with its real maps, filled by hand as bpf/abi.h says, and run by BPF_PROG_TEST_RUN. On purpose
// it shares nothing with userspace/dataplane: a misunderstanding there must not hide one in the program. Nothing is
// pinned and nothing attached. The process moves into a network namespace of its own with three veth pairs
// (lvs1..lvs3), which serve as ports 1..3: ingress and devmap want devices that exist. Needs root.
//
// Thread rule: run() from any thread; everything else from one.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "abi.h"
#include "tests/support/packet.h"

struct lvs;  // the skeleton

namespace xlvs::test {

inline constexpr unsigned kPorts = 3;

struct Sizes {
  std::uint32_t buckets4 = 64, buckets6 = 64;  // powers of two
  std::uint32_t overflow4 = 1, overflow6 = 1;  // entries of 16 slots; powers of two
  std::uint32_t services = 16, listeners = 64, backends = 64;
};

struct BackendSpec {
  std::string address;
  std::uint16_t port = 0;
  lvs_method method = LVS_METHOD_NAT;
  std::uint32_t weight = 1;
  unsigned out = 2;  // the port (1..3) that leads to it
  Mac mac = {0x02, 0, 0, 0, 0x0b, 0x01};
  bool listed = true;  // in the scheduler's table
};

struct Outcome {
  std::uint32_t verdict = 0;  // XDP_*
  Bytes frame;
};

// One slot of the flow table or of its overflow. A view of mapped memory: reads what is there now.
struct Slot {
  int family = 0;
  bool overflow = false;
  std::uint64_t* key = nullptr;  // 1 word for IPv4, 3 for IPv6
  std::uint64_t* word = nullptr;

  [[nodiscard]] std::uint64_t load() const { return std::atomic_ref(*word).load(); }
  void store(std::uint64_t value) const { std::atomic_ref(*word).store(value); }
  bool replace(std::uint64_t& expected, std::uint64_t value) const {
    return std::atomic_ref(*word).compare_exchange_strong(expected, value);
  }
  [[nodiscard]] bool used() const { return state() > LVS_STATE_CLAIMED; }
  [[nodiscard]] std::uint32_t state() const { return LVS_WORD_STATE(load()); }
  [[nodiscard]] std::uint32_t backend() const { return LVS_WORD_BACKEND(load()); }
  [[nodiscard]] std::uint32_t listener() const { return LVS_WORD_LISTENER(load()); }
  [[nodiscard]] std::uint32_t gateway() const { return LVS_WORD_GATEWAY(load()); }
  [[nodiscard]] std::uint32_t time() const { return LVS_WORD_TIME(load()); }
  [[nodiscard]] std::string client() const;
  [[nodiscard]] std::uint16_t client_port() const;       // host order
  [[nodiscard]] std::uint16_t destination_port() const;  // host order
};

struct Counts {
  std::uint32_t active = 0, inactive = 0;
  friend bool operator==(const Counts&, const Counts&) = default;
};

class XdpHarness {
 public:
  explicit XdpHarness(const Sizes& sizes = {});  // throws with the reason when the program does not load
  ~XdpHarness();
  XdpHarness(const XdpHarness&) = delete;
  XdpHarness& operator=(const XdpHarness&) = delete;

  // ---- what lvsd would write. Ids count from 1.
  std::uint32_t add_service(lvs_pick pick, std::uint32_t flags = 0);
  std::uint32_t add_listener(std::uint32_t service, const std::string& address, std::uint16_t port,
                             std::uint8_t protocol, std::uint8_t tag = 0, std::uint8_t flags = 0);
  std::uint32_t add_backend(std::uint32_t service, const BackendSpec& spec);  // also its real and its table entry
  void set_table(std::uint32_t service, const std::vector<std::uint32_t>& backends);
  void remove_table(std::uint32_t service);
  void remove_port_from_devmap(unsigned port);
  void remove_real(const std::string& address, std::uint16_t port, std::uint8_t protocol);
  static std::uint64_t hop(const Mac& mac, unsigned port);
  static Mac port_mac(unsigned port);
  static unsigned port_ifindex(unsigned port);

  // ---- mapped memory, shared with the program
  lvs_control& control();
  [[nodiscard]] const lvs_control& control() const;
  lvs_backend& backend(std::uint32_t id) { return backends_[id]; }
  lvs_service& service(std::uint32_t id) { return services_[id]; }
  lvs_load& load(std::uint32_t id) { return loads_[id]; }

  // ---- packets. Port 0: an interface that is not one of ours (lo).
  Outcome run(View frame, unsigned port = 1) const;
  [[nodiscard]] int program_fd() const;

  // ---- checks that go to a VIP on a backend
  void add_check(std::uint32_t mark, const std::string& vip, std::uint16_t port, std::uint8_t protocol);
  // Through the egress program; `verdict` is TC_ACT_*.
  Outcome send_check(View frame, std::uint32_t mark) const;

  // ---- the fence
  void fence_address(const std::string& address);
  void answer_until(std::uint64_t ns) const;  // CLOCK_MONOTONIC

  // ---- what has been counted, summed over the CPUs
  [[nodiscard]] std::uint64_t reason(lvs_reason reason) const;
  [[nodiscard]] std::map<std::string, std::uint64_t> reasons() const;  // those that are not zero
  [[nodiscard]] lvs_counters counters(std::uint32_t backend) const;

  // ---- the flow table
  [[nodiscard]] std::vector<Slot> slots(int family) const;  // all, overflow last
  [[nodiscard]] std::vector<Slot> flows(int family) const;  // those in use
  // The only one of this client; throws when there is none or more than one.
  [[nodiscard]] Slot flow(const std::string& client, std::uint16_t client_port) const;
  [[nodiscard]] std::size_t flow_count(const std::string& client, std::uint16_t client_port) const;
  // Writes a flow as the program would have and counts it in its backend's load.
  void put(const Slot& slot, const std::string& client, std::uint16_t client_port, std::uint16_t destination_port,
           std::uint64_t word);
  // Ticks. The program reads a coarser clock, which may still be a tick behind: ages in tests leave one to spare.
  static std::uint32_t now();
  static void age(const Slot& slot, std::uint32_t ticks);  // its last packet becomes this old

  // Loads and overflow_used against a recount of the table: "" when exact, else what differs.
  [[nodiscard]] std::string drift() const;

 private:
  void publish_reals(std::uint32_t service);
  void map_memory();

  ::lvs* skeleton_ = nullptr;
  Sizes sizes_;
  std::uint32_t next_service_ = 1, next_listener_ = 1, next_backend_ = 1;
  struct ListenerRecord {
    std::uint32_t id;
    std::string address;
    std::uint16_t port;
    std::uint8_t protocol;
  };
  std::map<std::uint32_t, std::vector<ListenerRecord>> listeners_;        // by service
  std::map<std::uint32_t, std::vector<std::uint32_t>> service_backends_;  // by service
  std::map<std::uint32_t, std::vector<std::uint32_t>> table_;             // by service: listed backends
  std::map<std::uint32_t, BackendSpec> specs_;
  std::vector<std::pair<void*, std::size_t>> mappings_;
  lvs_backend* backends_ = nullptr;
  lvs_service* services_ = nullptr;
  lvs_load* loads_ = nullptr;
  lvs_vip* vips_ = nullptr;
  lvs_bucket4* buckets4_ = nullptr;
  lvs_bucket6* buckets6_ = nullptr;
  lvs_overflow4* overflow4_ = nullptr;
  lvs_overflow6* overflow6_ = nullptr;
};

// Routes and neighbours of the process' namespace, for what asks the FIB: lines for `ip -batch`; forwarding is on.
void ip_batch(const std::string& commands);
[[nodiscard]] std::string verdict_name(std::uint32_t verdict);
[[nodiscard]] int family_of(const std::string& address);
// The calling thread runs on this CPU only, until the object dies.
class OnCpu {
 public:
  explicit OnCpu(unsigned cpu);
  ~OnCpu();
  OnCpu(const OnCpu&) = delete;
  OnCpu& operator=(const OnCpu&) = delete;

 private:
  std::vector<unsigned> before_;
};

}  // namespace xlvs::test
