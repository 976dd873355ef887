// SPDX-License-Identifier: Apache-2.0
#include "variant.h"

#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <netinet/in.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "abi.h"
#include "bench_reference.skel.h"
#include "frame_check.h"

namespace xlvs::bench {
namespace {

constexpr std::uint32_t kMinimumWarmup = 1U << 16U;

// A flood's first flows fill the table: twice as many as it has slots.
std::uint32_t flood_fill(const VariantOptions& options) {
  return options.slots * 2;
}

bench_spec spec_for(const VariantKey& key, bool udp, unsigned backend_port) {
  bench_spec spec = shuffled(key.program == Program::syn_flood ? 0 : key.flows);
  spec.ipv6 = key.ipv6 ? 1 : 0;
  spec.protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
  const bool reply = key.program == Program::nat_reply || key.program == Program::reply_floor;
  spec.direction = reply ? BENCH_REPLY : BENCH_REQUEST;
  if (key.program == Program::syn_flood) spec.tcp_flags = BENCH_TCP_SYN;
  spec.backend_mask = kBackends - 1;
  spec.backend_port = backend_port;
  return spec;
}

class ReferenceVariant : public Variant {
 public:
  static Result<std::unique_ptr<Variant>> make(const VariantKey& key, const VariantOptions& options) {
    std::unique_ptr<ReferenceVariant> variant(new ReferenceVariant(key));
    if (auto done = variant->load(options); !done) return tl::make_unexpected(done.error());
    return variant;
  }
  ~ReferenceVariant() override { bench_reference__destroy(skeleton_); }
  ReferenceVariant(const ReferenceVariant&) = delete;
  ReferenceVariant& operator=(const ReferenceVariant&) = delete;

 protected:
  Result<void> verify(const Run& run, std::uint32_t /*packets*/) override {
    if (run.verdict != XDP_TX)
      return fail(ErrorKind::unavailable, "{}: verdict {}, expected XDP_TX", name_of(key_.program), run.verdict);
    return {};
  }

 private:
  explicit ReferenceVariant(const VariantKey& key) : Variant(key) {}

  Result<void> load(const VariantOptions& options) {
    skeleton_ = bench_reference__open();
    if (skeleton_ == nullptr)
      return fail(ErrorKind::unavailable, "open the reference programs: {}", std::strerror(errno));
    const std::uint32_t lines =
        key_.program == Program::limit ? options.slots / (key_.ipv6 ? LVS_SLOTS6 : LVS_SLOTS4) : 1;
    bpf_map__set_max_entries(skeleton_->maps.lines, lines);
    skeleton_->rodata->line_mask = lines - 1;
    if (bench_reference__load(skeleton_) != 0)
      return fail(ErrorKind::unavailable, "load the reference programs: {}", std::strerror(errno));
    const auto& programs = skeleton_->progs;
    auto driver = Driver::load(bpf_program__fd(key_.program == Program::limit  ? programs.bench_limit
                                               : key_.program == Program::swap ? programs.bench_swap
                                                                               : programs.bench_floor));
    if (!driver) return tl::make_unexpected(driver.error());
    driver_ = std::move(*driver);
    driver_->spec() = spec_for(key_, options.udp, BENCH_VIP_PORT);
    return {};
  }

  ::bench_reference* skeleton_ = nullptr;
};

class LvsVariant : public Variant {
 public:
  static Result<std::unique_ptr<Variant>> make(const VariantKey& key, const VariantOptions& options,
                                               std::shared_ptr<LvsInstance> instance) {
    std::unique_ptr<LvsVariant> variant(new LvsVariant(key, std::move(instance)));
    auto driver = Driver::load(variant->instance_->program_fd());
    if (!driver) return tl::make_unexpected(driver.error());
    variant->driver_ = std::move(*driver);
    variant->driver_->spec() = spec_for(key, options.udp, variant->instance_->backend_port());
    if (key.program == Program::syn_flood) variant->driver_->spec().first = flood_fill(options);
    return variant;
  }

 protected:
  Result<void> verify(const Run& run, std::uint32_t packets) override {
    const Totals now = instance_->totals();
    const bool reply = key_.program == Program::nat_reply;
    const std::uint64_t forwarded = reply ? now.out_packets - before_.out_packets : now.in_packets - before_.in_packets;
    const std::uint64_t created = now.flows - before_.flows;
    const std::uint64_t expected = key_.program == Program::syn_flood ? packets : 0;
    if (run.verdict != XDP_TX || forwarded != packets || created != expected)
      return fail(ErrorKind::unavailable,
                  "{}: verdict {}, {} of {} packets forwarded, {} flows created (expected {}); {}",
                  name_of(key_.program), run.verdict, forwarded, packets, created, expected, instance_->reasons());
    const Rewrite rewrite = reply ? Rewrite::reply : key_.program == Program::nat_request ? Rewrite::nat : Rewrite::dr;
    return check_frame(run.frame, driver_->spec(), rewrite);
  }
  void begin() override { before_ = instance_->totals(); }

 private:
  LvsVariant(const VariantKey& key, std::shared_ptr<LvsInstance> instance)
      : Variant(key), instance_(std::move(instance)) {}

  std::shared_ptr<LvsInstance> instance_;
  Totals before_;
};

// Every flow is opened by a SYN and the ACK right after it: no flow is half-open when others look for room.
Result<void> establish(LvsInstance& instance, Driver& driver, const VariantKey& key) {
  bench_spec& spec = driver.spec();
  spec.direction = BENCH_REQUEST;
  spec.handshake = 1;
  spec.shuffle = 0;
  spec.stride = kBackends;
  for (std::uint32_t backend = 0; backend < std::min(kBackends, key.flows); ++backend) {
    if (auto done = instance.schedule_only(backend); !done) return done;
    spec.first = backend;
    driver.rewind();
    const std::uint32_t flows = (key.flows - backend + kBackends - 1) / kBackends;
    if (auto run = driver.run(2 * flows); !run) return tl::make_unexpected(run.error());
  }
  return {};
}

Result<void> expect_flows(const LvsInstance& instance, const VariantKey& key, bool udp) {
  const Totals totals = instance.totals();
  const std::uint64_t alive = udp ? totals.inactive : totals.active;
  if (totals.flows == key.flows && alive == key.flows) return {};
  return fail(ErrorKind::unavailable, "{}: {} flows created and {} active, {} inactive, expected {}; {}",
              name_of(key.program), totals.flows, totals.active, totals.inactive, key.flows, instance.reasons());
}

}  // namespace

const char* name_of(Program program) {
  switch (program) {
    case Program::floor:
      return "floor";
    case Program::reply_floor:
      return "floor (replies)";
    case Program::swap:
      return "swap MACs";
    case Program::limit:
      return "the limit";
    case Program::dr:
      return "lvs dr";
    case Program::nat_request:
      return "lvs nat request";
    case Program::nat_reply:
      return "lvs nat reply";
    case Program::syn_flood:
      return "lvs SYN flood";
  }
  return "?";
}

Result<double> Variant::measure(std::uint32_t packets) {
  const std::uint32_t warmup = std::max(kMinimumWarmup, std::min(key_.flows, packets));
  begin();
  if (auto run = driver_->run(warmup); !run) return tl::make_unexpected(run.error());
  auto run = driver_->run(packets);
  if (!run) return tl::make_unexpected(run.error());
  if (auto done = verify(*run, warmup + packets); !done) return tl::make_unexpected(done.error());
  return run->nanoseconds;
}

Result<std::shared_ptr<LvsInstance>> VariantFactory::instance_for(const VariantKey& key) {
  const bool nat = key.program == Program::nat_request || key.program == Program::nat_reply;
  VariantKey shared = key;
  shared.program = Program::nat_request;
  if (nat)
    if (const auto found = nat_instances_.find(shared); found != nat_instances_.end()) return found->second;
  auto loaded = LvsInstance::load({.ipv6 = key.ipv6,
                                   .udp = options_.udp,
                                   .method = nat ? Method::nat : Method::dr,
                                   .slots = options_.slots,
                                   .object = key.other ? options_.compare : std::string()});
  if (!loaded) return tl::make_unexpected(loaded.error());
  std::shared_ptr<LvsInstance> instance = std::move(*loaded);
  auto driver = Driver::load(instance->program_fd());
  if (!driver) return tl::make_unexpected(driver.error());
  (*driver)->spec() = spec_for(key, options_.udp, instance->backend_port());
  if (key.program == Program::syn_flood) {
    if (auto run = (*driver)->run(flood_fill(options_)); !run) return tl::make_unexpected(run.error());
    return instance;
  }
  if (auto done = establish(*instance, **driver, key); !done) return tl::make_unexpected(done.error());
  if (auto done = expect_flows(*instance, key, options_.udp); !done) return tl::make_unexpected(done.error());
  if (nat) nat_instances_[shared] = instance;
  return instance;
}

Result<std::unique_ptr<Variant>> VariantFactory::make(const VariantKey& key) {
  if (key.program < Program::dr) return ReferenceVariant::make(key, options_);
  auto instance = instance_for(key);
  if (!instance) return tl::make_unexpected(instance.error());
  return LvsVariant::make(key, options_, *instance);
}

}  // namespace xlvs::bench
