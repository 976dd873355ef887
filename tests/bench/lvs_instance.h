// SPDX-License-Identifier: Apache-2.0
// One loaded copy of the XDP program with the maps of a small site in them: one service, 16 backends, no lvsd. The maps
// are filled straight from abi.h, so that a benchmark measures the program and nothing of the agent.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"

struct bpf_map;
struct bpf_object;

namespace xlvs::bench {

inline constexpr unsigned kBackends = 16;

enum class Method { dr, nat };

struct InstanceOptions {
  bool ipv6 = false;
  bool udp = false;
  Method method = Method::dr;
  std::uint32_t slots = 1U << 21U;  // of the flow table of this family; a power of two
  std::string object;               // a file to load instead of the program of this build
  unsigned ifindex = 1;             // where packets come from and, for XDP_TX, go to: test runs use the loopback device
};

struct Totals {
  std::uint64_t flows = 0, in_packets = 0, out_packets = 0;
  std::uint64_t active = 0, inactive = 0;
};

class LvsInstance {
 public:
  static Result<std::unique_ptr<LvsInstance>> load(const InstanceOptions& options);
  ~LvsInstance();
  LvsInstance(const LvsInstance&) = delete;
  LvsInstance& operator=(const LvsInstance&) = delete;

  [[nodiscard]] int program_fd() const;
  [[nodiscard]] unsigned backend_port() const;
  // New flows go to this backend (0 to kBackends - 1) only: which backend a flow has is then known beforehand.
  Result<void> schedule_only(unsigned backend);
  [[nodiscard]] Totals totals() const;
  // Every reason that was counted, as "name=count ...".
  [[nodiscard]] std::string reasons() const;

 private:
  explicit LvsInstance(const InstanceOptions& options) : options_(options) {}
  Result<void> open_and_load();
  Result<void> fill();
  Result<void> fill_control();
  Result<void> fill_listener();
  Result<void> fill_backend(unsigned index);

  [[nodiscard]] bpf_map* map(const char* name) const;

  InstanceOptions options_;
  ::bpf_object* object_ = nullptr;
  std::vector<int> tables_;
};

}  // namespace xlvs::bench
