// SPDX-License-Identifier: Apache-2.0
#include "driver.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <ctime>

#include "bench_driver.skel.h"

namespace xlvs::bench {
namespace {

// Thread CPU time, not the kernel's own `duration`: that one is a whole number of nanoseconds.
double thread_nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

}  // namespace

Result<std::unique_ptr<Driver>> Driver::load(int program_fd) {
  std::unique_ptr<Driver> driver(new Driver);
  driver->skeleton_ = bench_driver__open_and_load();
  if (driver->skeleton_ == nullptr)
    return fail(ErrorKind::unavailable, "load the driver program: {}", std::strerror(errno));
  const std::uint32_t slot = 0;
  if (bpf_map__update_elem(driver->skeleton_->maps.program_under_test, &slot, sizeof slot, &program_fd,
                           sizeof program_fd, BPF_ANY) != 0)
    return fail(ErrorKind::unavailable, "put the program under test behind the driver: {}", std::strerror(errno));
  driver->spec() = shuffled(1);
  return driver;
}

Driver::~Driver() {
  bench_driver__destroy(skeleton_);
}

bench_spec& Driver::spec() {
  return skeleton_->data_spec->spec;
}

void Driver::rewind() {
  skeleton_->data_spec->next_packet = 0;
}

Result<Run> Driver::run(std::uint32_t packets) {
  std::array<std::uint8_t, BENCH_FRAME6> frame{};
  Run run;
  run.frame.resize(256);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = run.frame.data(),
              .data_size_in = spec().ipv6 != 0 ? BENCH_FRAME6 : BENCH_FRAME4,
              .data_size_out = static_cast<std::uint32_t>(run.frame.size()), .repeat = static_cast<int>(packets));
  const double start = thread_nanoseconds();
  if (bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.bench_driver), &options) != 0)
    return fail(ErrorKind::unavailable, "BPF_PROG_TEST_RUN: {}", std::strerror(errno));
  run.nanoseconds = (thread_nanoseconds() - start) / std::max(packets, 1U);
  run.verdict = options.retval;
  run.frame.resize(options.data_size_out);
  return run;
}

bench_spec shuffled(std::uint32_t flows) {
  bench_spec spec{};
  spec.protocol = IPPROTO_TCP;
  spec.tcp_flags = BENCH_TCP_ACK;
  spec.flow_mask = flows - 1;
  spec.shuffle = std::max(1, std::popcount(spec.flow_mask) / 2);
  spec.stride = 1;
  const std::array<std::uint8_t, 6> router{2, 0, 0, 0, 0, 1};
  const std::array<std::uint8_t, 6> gateway{2, 0, 0, 0, 0, 0xfe};
  std::copy(router.begin(), router.end(), spec.destination_mac);
  std::copy(gateway.begin(), gateway.end(), spec.source_mac);
  return spec;
}

}  // namespace xlvs::bench
