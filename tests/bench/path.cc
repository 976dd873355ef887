// SPDX-License-Identifier: Apache-2.0
#include "path.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "bench_abi.h"
#include "bench_wire.skel.h"
#include "driver.h"

namespace xlvs::bench {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// This thread is in another network namespace for as long as the object lives.
class InNamespace {
 public:
  explicit InNamespace(const std::string& name)
      : home_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)),
        target_(::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC)),
        entered_(home_ >= 0 && target_ >= 0 && setns(target_, CLONE_NEWNET) == 0) {}
  ~InNamespace() {
    if (entered_ && setns(home_, CLONE_NEWNET) != 0) std::abort();
    if (home_ >= 0) close(home_);
    if (target_ >= 0) close(target_);
  }
  InNamespace(const InNamespace&) = delete;
  InNamespace& operator=(const InNamespace&) = delete;
  [[nodiscard]] bool entered() const { return entered_; }

 private:
  int home_, target_;
  bool entered_;
};

Result<unsigned> index_of(const char* device) {
  const unsigned index = if_nametoindex(device);
  if (index == 0) return fail(ErrorKind::not_found, "interface {}: {}", device, std::strerror(errno));
  return index;
}

Result<bench_wire*> load_wire() {
  bench_wire* wire = bench_wire__open_and_load();
  if (wire == nullptr) return fail(ErrorKind::unavailable, "load the wire programs: {}", std::strerror(errno));
  return wire;
}

Result<void> send_out_of(const bench_wire& wire, const char* device) {
  const auto index = index_of(device);
  if (!index) return tl::make_unexpected(index.error());
  const std::uint32_t slot = 0;
  if (bpf_map__update_elem(wire.maps.out, &slot, sizeof slot, &*index, sizeof *index, BPF_ANY) != 0)
    return fail(ErrorKind::unavailable, "redirect to {}: {}", device, std::strerror(errno));
  return {};
}

Result<bpf_link*> attach(const bpf_program* program, const char* device) {
  const auto index = index_of(device);
  if (!index) return tl::make_unexpected(index.error());
  bpf_link* link = bpf_program__attach_xdp(program, static_cast<int>(*index));
  if (link == nullptr) return fail(ErrorKind::unavailable, "attach to {}: {}", device, std::strerror(errno));
  return link;
}

Result<void> no_namespace(const std::string& name) {
  return fail(ErrorKind::not_found, "network namespace {}: {}", name, std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<Path>> Path::open(const PathOptions& options) {
  std::unique_ptr<Path> path(new Path(options));
  for (const auto step : {&Path::open_sink, &Path::open_middle, &Path::open_source})
    if (auto done = (path.get()->*step)(); !done) return tl::make_unexpected(done.error().in(options.name));
  return path;
}

Path::~Path() {
  for (bench_wire* wire : {source_, middle_, sink_}) bench_wire__destroy(wire);
}

Result<void> Path::open_source() {
  const InNamespace inside(options_.prefix + "-g");
  if (!inside.entered()) return no_namespace(options_.prefix + "-g");
  auto wire = load_wire();
  if (!wire) return tl::make_unexpected(wire.error());
  source_ = *wire;
  source_->data_spec->spec = shuffled(options_.flows);
  source_->data_spec->spec.protocol = IPPROTO_UDP;
  return send_out_of(*source_, "gA");
}

Result<void> Path::open_middle() {
  if (!options_.bare_redirect) return {};
  const InNamespace inside(options_.prefix + "-r");
  if (!inside.entered()) return no_namespace(options_.prefix + "-r");
  auto wire = load_wire();
  if (!wire) return tl::make_unexpected(wire.error());
  middle_ = *wire;
  middle_->data_spec->spec = shuffled(1);
  if (auto done = send_out_of(*middle_, "sA"); !done) return done;
  auto link = attach(middle_->progs.bench_redirect, "gB");
  if (!link) return tl::make_unexpected(link.error());
  middle_->links.bench_redirect = *link;
  return {};
}

Result<void> Path::open_sink() {
  const InNamespace inside(options_.prefix + "-s");
  if (!inside.entered()) return no_namespace(options_.prefix + "-s");
  auto wire = load_wire();
  if (!wire) return tl::make_unexpected(wire.error());
  sink_ = *wire;
  auto link = attach(sink_->progs.bench_sink, "sB");
  if (!link) return tl::make_unexpected(link.error());
  sink_->links.bench_sink = *link;
  return {};
}

Result<void> Path::send(std::uint32_t packets) {
  const InNamespace inside(options_.prefix + "-g");
  if (!inside.entered()) return no_namespace(options_.prefix + "-g");
  std::array<std::uint8_t, BENCH_FRAME4> frame{};
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_size_in = frame.size(),
              .repeat = static_cast<int>(packets), .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
  if (bpf_prog_test_run_opts(bpf_program__fd(source_->progs.bench_source), &options) != 0)
    return fail(ErrorKind::unavailable, "send live frames: {}", std::strerror(errno));
  return {};
}

std::uint64_t Path::arrived() const {
  std::vector<bench_sunk> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  const std::uint32_t zero = 0;
  bpf_map__lookup_elem(sink_->maps.sunk, &zero, sizeof zero, cpus.data(), cpus.size() * sizeof cpus[0], 0);
  std::uint64_t frames = 0;
  for (const auto& cpu : cpus) frames += cpu.frames;
  return frames;
}

Result<void> Path::check_destination() const {
  std::vector<bench_sunk> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  const std::uint32_t zero = 0;
  bpf_map__lookup_elem(sink_->maps.sunk, &zero, sizeof zero, cpus.data(), cpus.size() * sizeof cpus[0], 0);
  for (const auto& cpu : cpus) {
    const bool to_vip = ntohl(cpu.destination) == BENCH_VIP4 && ntohs(cpu.port) == BENCH_VIP_PORT;
    if (cpu.frames > 0 && to_vip == options_.translated)
      return fail(ErrorKind::unavailable, "{}: frames arrive {}", options_.name,
                  to_vip ? "untranslated" : "translated, but should not be");
  }
  return {};
}

Result<void> Path::warm_up() {
  for (const auto start = Clock::now(); Clock::now() - start < 10s; std::this_thread::sleep_for(50ms))
    if (const auto sample = measure(8 * options_.flows); sample && sample->lost == 0) return {};
  return fail(ErrorKind::unavailable, "{}: frames do not arrive", options_.name);
}

Result<PathSample> Path::measure(std::uint32_t packets) {
  const std::uint64_t before = arrived();
  const auto start = Clock::now();
  if (auto done = send(packets); !done) return tl::make_unexpected(done.error());
  auto end = Clock::now();
  std::uint64_t count = arrived() - before;
  for (auto quiet = end; count < packets && Clock::now() - quiet < 50ms; std::this_thread::sleep_for(1ms)) {
    if (const std::uint64_t now = arrived() - before; now != count) {
      count = now;
      end = quiet = Clock::now();
    }
  }
  if (count < packets / 2)
    return fail(ErrorKind::unavailable, "{}: only {} of {} frames arrived", options_.name, count, packets);
  if (auto done = check_destination(); !done) return tl::make_unexpected(done.error());
  const double seconds = std::chrono::duration<double>(end - start).count();
  return PathSample{static_cast<double>(count) / seconds / 1e6,
                    static_cast<double>(packets - std::min<std::uint64_t>(count, packets)) / packets};
}

}  // namespace xlvs::bench
