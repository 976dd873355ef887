// SPDX-License-Identifier: Apache-2.0
// Feeds synthetic packets (bench_abi.h) to one XDP program by BPF_PROG_TEST_RUN and takes the time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bench_abi.h"
#include "core/result.h"

struct bench_driver;  // the skeleton

namespace xlvs::bench {

struct Run {
  double nanoseconds = 0;           // of this thread's CPU time, per packet
  std::uint32_t verdict = 0;        // of the last packet
  std::vector<std::uint8_t> frame;  // the last packet, as the program left it
};

class Driver {
 public:
  static Result<std::unique_ptr<Driver>> load(int program_fd);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // Which packets the next runs send; takes effect at once.
  bench_spec& spec();
  // The specification's packet number 0 comes next.
  void rewind();
  Result<Run> run(std::uint32_t packets);

 private:
  Driver() = default;
  ::bench_driver* skeleton_ = nullptr;
};

// A specification for `flows` flows (a power of two; 0: all 2^32) in an order that looks random.
bench_spec shuffled(std::uint32_t flows);

}  // namespace xlvs::bench
