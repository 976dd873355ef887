// SPDX-License-Identifier: Apache-2.0
// The BPF object that this build carries inside.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "dataplane/limits.h"
#include "dataplane/maps.h"

struct bpf_map;
struct lvs;

namespace xlvs::dataplane {

using ObjectHash = std::array<std::uint8_t, 32>;
[[nodiscard]] ObjectHash object_hash();  // SHA-256 of the embedded ELF

// libbpf's messages go to the log, at level debug.
void redirect_libbpf_log();

class BpfObject {
 public:
  [[nodiscard]] static Result<BpfObject> open();

  // Before load(): sizes of maps that are created, and maps that exist and are used as they are.
  [[nodiscard]] Result<void> resize(const std::vector<MapSize>& sizes);
  [[nodiscard]] Result<void> reuse(const std::map<std::string, Fd>& maps);
  // An error that the verifier caused carries the end of its log.
  [[nodiscard]] Result<void> load();

  [[nodiscard]] int program() const;
  [[nodiscard]] int check_program() const;   // for the egress of ports, while checks go to VIPs
  [[nodiscard]] int import_program() const;  // never attached: lvsd runs it
  // Name of the pin and descriptor (borrowed) of every map that outlives the program.
  [[nodiscard]] std::vector<std::pair<std::string, int>> maps() const;

 private:
  struct Destroy {
    void operator()(lvs* skeleton) const;
  };
  std::unique_ptr<lvs, Destroy> skeleton_;
};

}  // namespace xlvs::dataplane
