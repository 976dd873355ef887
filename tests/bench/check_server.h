// SPDX-License-Identifier: Apache-2.0
// What bench_checks checks: a process that accepts on every address of loopback, and answers HTTP.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "core/result.h"

namespace xlvs::bench {

// Serves until it is destroyed, on `cpu`. A connection to `tcp_port` is closed by the client; one to `http_port` is
// answered with a status of 200 and closed.
class CheckServer {
 public:
  static Result<CheckServer> start(unsigned cpu, std::uint16_t tcp_port, std::uint16_t http_port);
  CheckServer(CheckServer&& other) noexcept;
  CheckServer(const CheckServer&) = delete;
  CheckServer& operator=(const CheckServer&) = delete;
  CheckServer& operator=(CheckServer&&) = delete;
  ~CheckServer();

 private:
  explicit CheckServer(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

// The calling process, or thread, runs on this CPU only.
Result<void> pin_to_cpu(unsigned cpu);

}  // namespace xlvs::bench
