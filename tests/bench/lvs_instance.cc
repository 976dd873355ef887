// SPDX-License-Identifier: Apache-2.0
#include "lvs_instance.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "abi.h"
#include "bench_abi.h"
#include "lvs.skel.h"

namespace xlvs::bench {
namespace {

constexpr std::uint32_t kService = 1;
constexpr std::uint32_t kListener = 1;
constexpr std::uint32_t kPort = 1;
constexpr std::uint32_t kFirstBackend = 1;

Result<void> put(const bpf_map* map, const void* key, std::size_t key_size, const void* value, std::size_t value_size) {
  if (bpf_map__update_elem(map, key, key_size, value, value_size, BPF_ANY) != 0)
    return fail(ErrorKind::unavailable, "map {}: update: {}", bpf_map__name(map), std::strerror(errno));
  return {};
}

template <typename Key, typename Value>
Result<void> put(const bpf_map* map, const Key& key, const Value& value) {
  return put(map, &key, sizeof key, &value, sizeof value);
}

std::array<std::uint32_t, 4> address_of(bool ipv6, std::uint32_t prefix6, std::uint32_t low) {
  if (!ipv6) return {htonl(low), 0, 0, 0};
  return {htonl(prefix6), 0, 0, htonl(low)};
}

// Ones' complement sum of the 16-bit words of address and port, as abi.h wants it: not complemented, not folded.
std::uint32_t sum_of(const std::array<std::uint32_t, 4>& address, std::uint16_t port) {
  std::uint32_t sum = port;
  for (const std::uint32_t word : address) sum += (word & 0xffffU) + (word >> 16U);
  return sum;
}

lvs_key4 key4(std::uint32_t address, std::uint16_t port, std::uint8_t protocol) {
  return {address, port, protocol, 0};
}

lvs_key6 key6(const std::array<std::uint32_t, 4>& address, std::uint16_t port, std::uint8_t protocol) {
  lvs_key6 key{};
  std::copy(address.begin(), address.end(), key.addr);
  key.port = port;
  key.protocol = protocol;
  return key;
}

}  // namespace

Result<std::unique_ptr<LvsInstance>> LvsInstance::load(const InstanceOptions& options) {
  std::unique_ptr<LvsInstance> instance(new LvsInstance(options));
  if (auto done = instance->open_and_load(); !done) return tl::make_unexpected(done.error());
  if (auto done = instance->fill(); !done) return tl::make_unexpected(done.error());
  return instance;
}

LvsInstance::~LvsInstance() {
  for (const int fd : tables_) close(fd);
  bpf_object__close(object_);
}

int LvsInstance::program_fd() const {
  return bpf_program__fd(bpf_object__find_program_by_name(object_, "lvs"));
}

unsigned LvsInstance::backend_port() const {
  return options_.method == Method::nat ? 8080 : BENCH_VIP_PORT;
}

bpf_map* LvsInstance::map(const char* name) const {
  return bpf_object__find_map_by_name(object_, name);
}

Result<void> LvsInstance::open_and_load() {
  if (options_.object.empty()) {
    std::size_t size = 0;
    const void* bytes = lvs__elf_bytes(&size);
    object_ = bpf_object__open_mem(bytes, size, nullptr);
  } else {
    object_ = bpf_object__open_file(options_.object.c_str(), nullptr);
  }
  if (object_ == nullptr)
    return fail(ErrorKind::unavailable, "open the BPF object {}: {}", options_.object, std::strerror(errno));
  const std::uint32_t overflow = std::max(1U, options_.slots / 16 / LVS_OVERFLOW_SLOTS4);
  bpf_map__set_max_entries(map("buckets4"), options_.ipv6 ? 1 : options_.slots / LVS_SLOTS4);
  bpf_map__set_max_entries(map("buckets6"), options_.ipv6 ? options_.slots / LVS_SLOTS6 : 1);
  bpf_map__set_max_entries(map("overflow4"), options_.ipv6 ? 1 : overflow);
  bpf_map__set_max_entries(map("overflow6"), options_.ipv6 ? overflow : 1);
  if (auto done = fill_control(); !done) return done;
  if (const int error = bpf_object__load(object_); error != 0)
    return fail(ErrorKind::unavailable, "load the XDP program: {} (root? see the verifier's output above)",
                std::strerror(-error));
  return {};
}

// Before the load: the section's initial contents.
Result<void> LvsInstance::fill_control() {
  lvs_control control{};
  // Any seeds do, but the same in every run: two runs place their flows alike.
  control.hash_seed[0] = 0x0706050403020100;
  control.hash_seed[1] = 0x0f0e0d0c0b0a0908;
  control.schedule_seed = 0x1716151413121110;
  control.bucket_mask4 = bpf_map__max_entries(map("buckets4")) - 1;
  control.bucket_mask6 = bpf_map__max_entries(map("buckets6")) - 1;
  control.overflow_mask4 = bpf_map__max_entries(map("overflow4")) - 1;
  control.overflow_mask6 = bpf_map__max_entries(map("overflow6")) - 1;
  for (std::uint16_t& timeout : control.timeout) timeout = 900;
  control.port[kPort] = {.mac = {2, 0, 0, 0, 0, 1}, .mtu = 1500, .ifindex = options_.ifindex, .zero = 0};
  control.port_of_ifindex[options_.ifindex & 0xffU] = kPort;
  if (bpf_map__set_initial_value(map(".data.control"), &control, sizeof control) != 0)
    return fail(ErrorKind::invalid, "the BPF object {} has another layout than this build", options_.object);
  return {};
}

Result<void> LvsInstance::fill_listener() {
  const auto address = address_of(options_.ipv6, BENCH_PREFIX6_VIP, BENCH_VIP4);
  const std::uint16_t port = htons(BENCH_VIP_PORT);
  const std::uint8_t protocol = options_.udp ? IPPROTO_UDP : IPPROTO_TCP;
  const lvs_listener listener{kListener, kService, sum_of(address, port), 0};
  const lvs_listener vip_only{};

  lvs_vip vip{};
  std::copy(address.begin(), address.end(), vip.addr);
  vip.port = port;
  vip.protocol = protocol;
  vip.family = options_.ipv6 ? AF_INET6 : AF_INET;
  vip.sum = listener.sum;
  vip.service = kService;
  if (auto done = put(map("vips"), kListener, vip); !done) return done;
  if (options_.ipv6) {
    if (auto done = put(map("listeners6"), key6(address, 0, 0), vip_only); !done) return done;
    return put(map("listeners6"), key6(address, port, protocol), listener);
  }
  if (auto done = put(map("listeners4"), key4(address[0], 0, 0), vip_only); !done) return done;
  return put(map("listeners4"), key4(address[0], port, protocol), listener);
}

Result<void> LvsInstance::fill_backend(unsigned index) {
  const std::uint32_t id = kFirstBackend + index;
  const auto address = address_of(options_.ipv6, BENCH_PREFIX6_BACKEND, BENCH_BACKEND4 + index);
  const auto vip = address_of(options_.ipv6, BENCH_PREFIX6_VIP, BENCH_VIP4);
  const auto port = htons(static_cast<std::uint16_t>(backend_port()));
  const std::uint8_t protocol = options_.udp ? IPPROTO_UDP : IPPROTO_TCP;

  lvs_backend backend{};
  const std::array<std::uint8_t, 8> hop{2, 0, 0, 0, 1, static_cast<std::uint8_t>(index), 0, 0};
  std::memcpy(&backend.hop, hop.data(), sizeof backend.hop);
  backend.hop |= static_cast<std::uint64_t>(kPort) << 48U;
  std::copy(address.begin(), address.end(), backend.addr);
  backend.port = port;
  backend.method = options_.method == Method::nat ? LVS_METHOD_NAT : LVS_METHOD_DR;
  backend.flags = LVS_BACKEND_VALID;
  backend.sum = sum_of(address, port);
  backend.service = kService;
  if (auto done = put(map("backends"), id, backend); !done) return done;
  if (auto done = put(map("loads"), id, lvs_load{0, 0, 1, 0}); !done) return done;
  if (options_.method != Method::nat) return {};

  lvs_real real{};
  real.backend = id;
  real.listener = kListener;
  std::copy(vip.begin(), vip.end(), real.vip);
  real.vip_port = htons(BENCH_VIP_PORT);
  real.sum = sum_of(vip, real.vip_port);
  if (options_.ipv6) return put(map("reals6"), key6(address, port, protocol), real);
  return put(map("reals4"), key4(address[0], port, protocol), real);
}

Result<void> LvsInstance::fill() {
  for (unsigned i = 0; i < kBackends; ++i) {
    if (auto done = fill_backend(i); !done) return done;
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_INNER_MAP);
    const int fd =
        bpf_map_create(BPF_MAP_TYPE_ARRAY, "bench_table", sizeof(std::uint32_t), sizeof(std::uint32_t), 2, &options);
    if (fd < 0) return fail(ErrorKind::unavailable, "create a scheduler table: {}", std::strerror(errno));
    tables_.push_back(fd);
    const std::array<std::uint32_t, 2> table{1, kFirstBackend + i};
    for (std::uint32_t entry = 0; entry < table.size(); ++entry)
      if (bpf_map_update_elem(fd, &entry, &table[entry], BPF_ANY) != 0)
        return fail(ErrorKind::unavailable, "fill a scheduler table: {}", std::strerror(errno));
  }
  if (auto done = schedule_only(0); !done) return done;
  const lvs_service service{0, LVS_PICK_CURSOR, 0};
  if (auto done = put(map("services"), kService, service); !done) return done;
  return fill_listener();
}

Result<void> LvsInstance::schedule_only(unsigned backend) {
  return put(map("tables"), kService, tables_[backend]);
}

Totals LvsInstance::totals() const {
  const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
  Totals totals;
  std::vector<lvs_counters> counters(cpus);
  for (std::uint32_t id = kFirstBackend; id < kFirstBackend + kBackends; ++id) {
    lvs_load load{};
    bpf_map__lookup_elem(map("loads"), &id, sizeof id, &load, sizeof load, 0);
    totals.active += load.active;
    totals.inactive += load.inactive;
    bpf_map__lookup_elem(map("counters"), &id, sizeof id, counters.data(), cpus * sizeof(lvs_counters), 0);
    for (const lvs_counters& cpu : counters) {
      totals.flows += cpu.flows;
      totals.in_packets += cpu.in_packets;
      totals.out_packets += cpu.out_packets;
    }
  }
  return totals;
}

std::string LvsInstance::reasons() const {
#define XLVS_REASON_NAME(name, verdict, text) #name,
  static constexpr std::array<const char*, LVS_REASON_MAX> kNames{LVS_REASONS(XLVS_REASON_NAME)};
#undef XLVS_REASON_NAME
  const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
  std::vector<std::uint64_t> counts(cpus);
  std::string text;
  for (std::uint32_t reason = 0; reason < LVS_REASON_MAX; ++reason) {
    bpf_map__lookup_elem(map("reasons"), &reason, sizeof reason, counts.data(), cpus * sizeof(std::uint64_t), 0);
    std::uint64_t count = 0;
    for (const std::uint64_t cpu : counts) count += cpu;
    if (count > 0) text += fmt::format("{}{}={}", text.empty() ? "" : " ", kNames[reason], count);
  }
  return text;
}

}  // namespace xlvs::bench
