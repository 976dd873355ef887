// SPDX-License-Identifier: Apache-2.0
#include "tests/support/xdp_harness.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "lvs.skel.h"

namespace xlvs::test {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

// One private namespace per process, gone with it.
void enter_namespace() {
  static const bool done = [] {
    if (unshare(CLONE_NEWNET) != 0) fail("unshare(CLONE_NEWNET), which needs root");
    std::string commands = "link set lo up\n";
    for (unsigned i = 1; i <= kPorts; i++)
      commands +=
          fmt::format("link add lvs{0} type veth peer name peer{0}\n", i) +
          fmt::format("link set lvs{0} address {1} up\nlink set peer{0} up\n", i, to_text(XdpHarness::port_mac(i)));
    ip_batch(commands);
    for (const char* knob : {"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"})
      std::ofstream(knob) << "1\n";
    return true;
  }();
  static_cast<void>(done);
}

// As the program sees memory: 16-bit words added as they lie, not folded.
std::uint32_t memory_sum(const Bytes& address, std::uint16_t port) {
  std::uint32_t sum = htons(port);
  for (std::size_t i = 0; i < address.size(); i += 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, &address[i], 2);
    sum += word;
  }
  return sum;
}

lvs_key4 key4(const Bytes& address, std::uint16_t port, std::uint8_t protocol) {
  lvs_key4 key{};
  std::memcpy(&key.addr, address.data(), 4);
  key.port = htons(port);
  key.protocol = protocol;
  return key;
}
lvs_key6 key6(const Bytes& address, std::uint16_t port, std::uint8_t protocol) {
  lvs_key6 key{};
  std::memcpy(key.addr, address.data(), 16);
  key.port = htons(port);
  key.protocol = protocol;
  return key;
}

template <typename Value>
void update(const bpf_map* map4, const bpf_map* map6, const Bytes& address, std::uint16_t port, std::uint8_t protocol,
            const Value& value) {
  int error = 0;
  if (address.size() == 4) {
    const lvs_key4 key = key4(address, port, protocol);
    error = bpf_map_update_elem(bpf_map__fd(map4), &key, &value, BPF_ANY);
  } else {
    const lvs_key6 key = key6(address, port, protocol);
    error = bpf_map_update_elem(bpf_map__fd(map6), &key, &value, BPF_ANY);
  }
  if (error != 0) fail("updating a hash map");
}

void resize(bpf_map* map, std::uint32_t entries) {
  if (bpf_map__set_max_entries(map, entries) != 0) fail("bpf_map__set_max_entries");
}

void set_timeouts(lvs_control& control) {
  const std::map<lvs_state, unsigned> seconds = {
      {LVS_STATE_SYN_RECV, 60},   {LVS_STATE_SYN_SENT, 120}, {LVS_STATE_ESTABLISHED, 900}, {LVS_STATE_FIN_WAIT, 120},
      {LVS_STATE_TIME_WAIT, 120}, {LVS_STATE_CLOSE, 10},     {LVS_STATE_CLOSE_WAIT, 60},   {LVS_STATE_LAST_ACK, 30},
      {LVS_STATE_UDP_NEW, 300},   {LVS_STATE_UDP, 300},    {LVS_STATE_UDP_BURST, 300},   {LVS_STATE_UDP_SHORT, 30},
      {LVS_STATE_ESTABLISHED_NEW, 900}};
  for (const auto& [state, value] : seconds) control.timeout[state] = static_cast<std::uint16_t>(value);
}

template <typename T>
T* pointer(void* memory) {
  return static_cast<T*>(memory);
}

}  // namespace

void ip_batch(const std::string& commands) {
  FILE* ip = popen("ip -batch -", "w");
  if (!ip) fail("starting ip");
  std::fputs(commands.c_str(), ip);
  if (pclose(ip) != 0) throw std::runtime_error("ip refused one of:\n" + commands);
}

std::string verdict_name(std::uint32_t verdict) {
  static const char* const names[] = {"XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"};
  return verdict < std::size(names) ? names[verdict] : fmt::format("verdict {}", verdict);
}

int family_of(const std::string& address) {
  return address_bytes(address).size() == 4 ? AF_INET : AF_INET6;
}

// ---- set-up --------------------------------------------------------------------------------------------------------

XdpHarness::XdpHarness(const Sizes& sizes) : sizes_(sizes) {
  enter_namespace();
  skeleton_ = lvs::open();
  if (!skeleton_) fail("opening the BPF object");
  auto& maps = skeleton_->maps;
  for (bpf_map* map : {maps.vips, maps.listeners4, maps.listeners6}) resize(map, sizes.listeners);
  for (bpf_map* map : {maps.services, maps.tables, maps.cursors, maps.names, maps.retired}) resize(map, sizes.services);
  for (bpf_map* map : {maps.backends, maps.loads, maps.counters, maps.reals4, maps.reals6}) resize(map, sizes.backends);
  resize(maps.buckets4, sizes.buckets4);
  resize(maps.buckets6, sizes.buckets6);
  resize(maps.overflow4, sizes.overflow4);
  resize(maps.overflow6, sizes.overflow6);
  resize(maps.hops, sizes.buckets4 * LVS_SLOTS4 + sizes.buckets6 * LVS_SLOTS6 + sizes.overflow4 * LVS_OVERFLOW_SLOTS4 +
                        sizes.overflow6 * LVS_OVERFLOW_SLOTS6);
  if (lvs::load(skeleton_) != 0) {
    lvs::destroy(skeleton_);
    throw std::runtime_error("the XDP program does not load; run with root rights, see libbpf's output");
  }
  map_memory();

  lvs_control& c = control();
  c.hash_seed[0] = 0x243f6a8885a308d3;
  c.hash_seed[1] = 0x13198a2e03707344;
  c.schedule_seed = 0xa4093822299f31d0;
  c.bucket_mask4 = sizes.buckets4 - 1;
  c.bucket_mask6 = sizes.buckets6 - 1;
  c.overflow_mask4 = sizes.overflow4 - 1;
  c.overflow_mask6 = sizes.overflow6 - 1;
  set_timeouts(c);
  for (std::uint32_t port = 1; port <= kPorts; port++) {
    const unsigned ifindex = port_ifindex(port);
    const Mac mac = port_mac(port);
    std::memcpy(c.port[port].mac, mac.data(), 6);
    c.port[port].mtu = 1500;
    c.port[port].ifindex = ifindex;
    c.port_of_ifindex[ifindex & 255] = static_cast<std::uint8_t>(port);
    if (bpf_map_update_elem(bpf_map__fd(maps.ports), &port, &ifindex, BPF_ANY) != 0) fail("filling the devmap");
  }
}

XdpHarness::~XdpHarness() {
  for (const auto& [memory, size] : mappings_) munmap(memory, size);
  lvs::destroy(skeleton_);
}

void XdpHarness::map_memory() {
  const long page = sysconf(_SC_PAGESIZE);
  const auto mapped = [&](const bpf_map* map, std::size_t value_size) {
    const std::size_t bytes = bpf_map__max_entries(map) * value_size;
    const std::size_t size =
        (bytes + static_cast<std::size_t>(page) - 1) / static_cast<std::size_t>(page) * static_cast<std::size_t>(page);
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    if (memory == MAP_FAILED) fail("mapping a BPF array");
    mappings_.emplace_back(memory, size);
    return memory;
  };
  const auto& maps = skeleton_->maps;
  backends_ = pointer<lvs_backend>(mapped(maps.backends, sizeof(lvs_backend)));
  services_ = pointer<lvs_service>(mapped(maps.services, sizeof(lvs_service)));
  loads_ = pointer<lvs_load>(mapped(maps.loads, sizeof(lvs_load)));
  vips_ = pointer<lvs_vip>(mapped(maps.vips, sizeof(lvs_vip)));
  buckets4_ = pointer<lvs_bucket4>(mapped(maps.buckets4, sizeof(lvs_bucket4)));
  buckets6_ = pointer<lvs_bucket6>(mapped(maps.buckets6, sizeof(lvs_bucket6)));
  overflow4_ = pointer<lvs_overflow4>(mapped(maps.overflow4, sizeof(lvs_overflow4)));
  overflow6_ = pointer<lvs_overflow6>(mapped(maps.overflow6, sizeof(lvs_overflow6)));
}

Mac XdpHarness::port_mac(unsigned port) {
  return {0x02, 0, 0, 0, 0x0a, static_cast<std::uint8_t>(port)};
}

unsigned XdpHarness::port_ifindex(unsigned port) {
  const unsigned ifindex = if_nametoindex(port == 0 ? "lo" : fmt::format("lvs{}", port).c_str());
  if (ifindex == 0) fail(fmt::format("port {}", port));
  return ifindex;
}

std::uint64_t XdpHarness::hop(const Mac& mac, unsigned port) {
  std::uint64_t word = 0;
  std::memcpy(&word, mac.data(), 6);
  return word | static_cast<std::uint64_t>(port) << 48;
}

lvs_control& XdpHarness::control() {
  return skeleton_->data_control->control;
}
const lvs_control& XdpHarness::control() const {
  return skeleton_->data_control->control;
}
int XdpHarness::program_fd() const {
  return bpf_program__fd(skeleton_->progs.lvs);
}

std::uint32_t XdpHarness::add_service(lvs_pick pick, std::uint32_t flags) {
  const std::uint32_t id = next_service_++;
  services_[id].flags = flags;
  services_[id].pick = static_cast<std::uint16_t>(pick);
  return id;
}

std::uint32_t XdpHarness::add_listener(std::uint32_t service, const std::string& address, std::uint16_t port,
                                       std::uint8_t protocol, std::uint8_t tag, std::uint8_t flags) {
  const std::uint32_t id = next_listener_++;
  const Bytes bytes = address_bytes(address);
  const std::uint32_t sum = memory_sum(bytes, port);
  lvs_vip& vip = vips_[id];
  std::memcpy(vip.addr, bytes.data(), bytes.size());
  vip.port = htons(port);
  vip.protocol = protocol;
  vip.family = static_cast<std::uint8_t>(bytes.size() == 4 ? AF_INET : AF_INET6);
  vip.sum = sum;
  vip.service = service;
  vip.tag = tag;
  const auto& maps = skeleton_->maps;
  update(maps.listeners4, maps.listeners6, bytes, 0, 0, lvs_listener{});
  update(maps.listeners4, maps.listeners6, bytes, port, protocol, lvs_listener{id, service, sum, tag, flags, 0});
  listeners_[service].push_back({id, address, port, protocol});
  publish_reals(service);
  return id;
}

std::uint32_t XdpHarness::add_backend(std::uint32_t service, const BackendSpec& spec) {
  const std::uint32_t id = next_backend_++;
  const Bytes bytes = address_bytes(spec.address);
  lvs_backend& b = backends_[id];
  std::memcpy(b.addr, bytes.data(), bytes.size());
  b.port = htons(spec.port);
  b.method = static_cast<std::uint8_t>(spec.method);
  b.sum = memory_sum(bytes, spec.port);
  b.service = service;
  b.hop = hop(spec.mac, spec.out);
  b.flags = LVS_BACKEND_VALID;
  loads_[id].weight = spec.weight;
  specs_[id] = spec;
  service_backends_[service].push_back(id);
  publish_reals(service);
  if (spec.listed) {
    table_[service].push_back(id);
    set_table(service, table_[service]);
  }
  return id;
}

// Every (NAT backend, protocol of its service) becomes a real; two services with the same one share it.
void XdpHarness::publish_reals(std::uint32_t service) {
  for (const std::uint32_t id : service_backends_[service]) {
    const BackendSpec& spec = specs_.at(id);
    if (spec.method != LVS_METHOD_NAT) continue;
    std::set<std::uint8_t> done;
    for (const ListenerRecord& listener : listeners_[service]) {
      if (!done.insert(listener.protocol).second) continue;
      lvs_real real{};
      real.backend = id;
      real.listener = static_cast<std::uint16_t>(listener.id);
      real.flags = static_cast<std::uint16_t>(vips_[listener.id].tag << 8);
      unsigned count = 0;
      for (const ListenerRecord& one : listeners_[service]) {
        if (one.protocol != listener.protocol) continue;
        real.tags |= static_cast<std::uint16_t>(1U << vips_[one.id].tag);
        if (++count > 1) real.flags |= LVS_REAL_MANY;
      }
      std::memcpy(real.vip, vips_[listener.id].addr, 16);
      real.vip_port = vips_[listener.id].port;
      real.sum = vips_[listener.id].sum;
      for (const auto& [other, other_spec] : specs_)
        if (backends_[other].service != service && other_spec.method == LVS_METHOD_NAT &&
            other_spec.address == spec.address && other_spec.port == spec.port) {
          real.flags |= LVS_REAL_SHARED;
          real.backend = 0;
          for (const ListenerRecord& one : listeners_[backends_[other].service])
            if (one.protocol == listener.protocol) real.tags |= static_cast<std::uint16_t>(1U << vips_[one.id].tag);
        }
      update(skeleton_->maps.reals4, skeleton_->maps.reals6, address_bytes(spec.address), spec.port, listener.protocol,
             real);
    }
  }
}

void XdpHarness::set_table(std::uint32_t service, const std::vector<std::uint32_t>& backends) {
  table_[service] = backends;
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_INNER_MAP);
  const auto n = static_cast<std::uint32_t>(backends.size());
  const int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "table", 4, 4, n + 1, &options);
  if (fd < 0) fail("creating a table");
  for (std::uint32_t i = 0; i <= n; i++) {
    const std::uint32_t value = i == 0 ? n : backends[i - 1];
    if (bpf_map_update_elem(fd, &i, &value, BPF_ANY) != 0) fail("filling a table");
  }
  const int error = bpf_map_update_elem(bpf_map__fd(skeleton_->maps.tables), &service, &fd, BPF_ANY);
  close(fd);
  if (error != 0) fail("installing a table");
}

void XdpHarness::remove_table(std::uint32_t service) {
  if (bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.tables), &service) != 0) fail("removing a table");
}

void XdpHarness::remove_port_from_devmap(unsigned port) {
  if (bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.ports), &port) != 0) fail("removing a port");
}

void XdpHarness::remove_real(const std::string& address, std::uint16_t port, std::uint8_t protocol) {
  const Bytes bytes = address_bytes(address);
  const lvs_key4 four = bytes.size() == 4 ? key4(bytes, port, protocol) : lvs_key4{};
  const lvs_key6 six = bytes.size() == 16 ? key6(bytes, port, protocol) : lvs_key6{};
  const int error = bytes.size() == 4 ? bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.reals4), &four)
                                      : bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.reals6), &six);
  if (error != 0) fail("removing a real");
}

// ---- running and counting ------------------------------------------------------------------------------------------

Outcome XdpHarness::run(View frame, unsigned port) const {
  thread_local std::map<unsigned, unsigned> ifindexes;
  unsigned& ifindex = ifindexes[port];
  if (ifindex == 0) ifindex = port_ifindex(port);

  Outcome outcome;
  outcome.frame.resize(frame.size() + 256);
  xdp_md context{};
  context.data_end = static_cast<std::uint32_t>(frame.size());
  context.ingress_ifindex = ifindex;
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = outcome.frame.data(),
              .data_size_in = static_cast<std::uint32_t>(frame.size()),
              .data_size_out = static_cast<std::uint32_t>(outcome.frame.size()), .ctx_in = &context,
              .ctx_size_in = sizeof context, .repeat = 1);
  if (bpf_prog_test_run_opts(program_fd(), &options) != 0) fail(fmt::format("running {} bytes", frame.size()));
  outcome.verdict = options.retval;
  outcome.frame.resize(options.data_size_out);
  return outcome;
}

namespace {

template <typename T>
std::vector<T> per_cpu(const bpf_map* map, std::uint32_t key) {
  std::vector<T> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  if (bpf_map_lookup_elem(bpf_map__fd(map), &key, values.data()) != 0) fail("reading a per-CPU array");
  return values;
}

}  // namespace

std::uint64_t XdpHarness::reason(lvs_reason reason) const {
  std::uint64_t sum = 0;
  for (const std::uint64_t value : per_cpu<std::uint64_t>(skeleton_->maps.reasons, reason)) sum += value;
  return sum;
}

std::map<std::string, std::uint64_t> XdpHarness::reasons() const {
  static const char* const names[] = {
#define XLVS_REASON_NAME(name, verdict, text) #name,
      LVS_REASONS(XLVS_REASON_NAME)
#undef XLVS_REASON_NAME
  };
  std::map<std::string, std::uint64_t> counted;
  for (unsigned i = 0; i < LVS_REASON_MAX; i++)
    if (const std::uint64_t n = reason(static_cast<lvs_reason>(i))) counted[names[i]] = n;
  return counted;
}

lvs_counters XdpHarness::counters(std::uint32_t backend) const {
  lvs_counters sum{};
  for (const lvs_counters& c : per_cpu<lvs_counters>(skeleton_->maps.counters, backend)) {
    sum.flows += c.flows;
    sum.in_packets += c.in_packets;
    sum.in_bytes += c.in_bytes;
    sum.out_packets += c.out_packets;
    sum.out_bytes += c.out_bytes;
  }
  return sum;
}

}  // namespace xlvs::test
