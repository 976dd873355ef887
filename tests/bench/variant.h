// SPDX-License-Identifier: Apache-2.0
// One row of the benchmark: a program, its flows, and the proof that it did its work while it was timed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "driver.h"
#include "lvs_instance.h"

struct bench_reference;  // the skeleton

namespace xlvs::bench {

enum class Program { floor, reply_floor, swap, limit, dr, nat_request, nat_reply, syn_flood };

[[nodiscard]] const char* name_of(Program program);

struct VariantKey {
  Program program = Program::floor;
  bool ipv6 = false;
  std::uint32_t flows = 1;  // a power of two; 0 with syn_flood: every packet is a new flow
  bool other = false;       // of the program to compare with, not of this build's
  friend auto operator<=>(const VariantKey&, const VariantKey&) = default;
};

class Variant {
 public:
  virtual ~Variant() = default;
  // Warms the caches with the variant's own flows, then times `packets`. An error: the program did not forward them
  // all.
  Result<double> measure(std::uint32_t packets);
  [[nodiscard]] const VariantKey& key() const { return key_; }

 protected:
  explicit Variant(const VariantKey& key) : key_(key) {}
  virtual void begin() {}
  // That `packets` have been forwarded since begin(), as counted by the program, and the last one rightly.
  virtual Result<void> verify(const Run& run, std::uint32_t packets) = 0;

  VariantKey key_;
  std::unique_ptr<Driver> driver_;
};

struct VariantOptions {
  std::uint32_t slots = 1U << 21U;
  bool udp = false;
  std::string compare;  // an object file with another build of the program; empty: none
};

// Makes variants; those that can share a flow table do (requests and replies of the same flows).
class VariantFactory {
 public:
  explicit VariantFactory(const VariantOptions& options) : options_(options) {}
  Result<std::unique_ptr<Variant>> make(const VariantKey& key);

 private:
  Result<std::shared_ptr<LvsInstance>> instance_for(const VariantKey& key);

  VariantOptions options_;
  std::map<VariantKey, std::shared_ptr<LvsInstance>> nat_instances_;
};

}  // namespace xlvs::bench
