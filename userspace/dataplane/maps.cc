// SPDX-License-Identifier: Apache-2.0
#include "dataplane/maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <numeric>

namespace xlvs::dataplane {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<SharedMemory> SharedMemory::map(int fd, std::size_t bytes, std::string_view name) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  SharedMemory memory;
  memory.bytes_ = (bytes + page - 1) / page * page;
  memory.data_ = ::mmap(nullptr, memory.bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory.data_ == MAP_FAILED) {
    memory.data_ = nullptr;
    return fail(ErrorKind::unavailable, "cannot map the BPF map {} into memory: {}", name, std::strerror(errno));
  }
  return memory;
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

namespace {

struct Shape {
  std::string_view map;
  std::uint32_t key_size;
  std::uint32_t value_size;
  bool later = false;  // an older build of this layout does not have it
};

constexpr std::uint32_t kIndex = sizeof(std::uint32_t);
constexpr std::array kShapes{
    Shape{"listeners4", sizeof(lvs_key4), sizeof(lvs_listener)},
    Shape{"listeners6", sizeof(lvs_key6), sizeof(lvs_listener)},
    Shape{"reals4", sizeof(lvs_key4), sizeof(lvs_real)},
    Shape{"reals6", sizeof(lvs_key6), sizeof(lvs_real)},
    Shape{"vips", kIndex, sizeof(lvs_vip)},
    Shape{"services", kIndex, sizeof(lvs_service)},
    Shape{"tables", kIndex, kIndex},
    Shape{"cursors", kIndex, kIndex},
    Shape{"backends", kIndex, sizeof(lvs_backend)},
    Shape{"loads", kIndex, sizeof(lvs_load)},
    Shape{"counters", kIndex, sizeof(lvs_counters)},
    Shape{"names", kIndex, sizeof(lvs_name)},
    Shape{"retired", kIndex, sizeof(lvs_counters)},
    Shape{"reasons", kIndex, sizeof(std::uint64_t)},
    Shape{"buckets4", kIndex, sizeof(lvs_bucket4)},
    Shape{"buckets6", kIndex, sizeof(lvs_bucket6)},
    Shape{"overflow4", kIndex, sizeof(lvs_overflow4)},
    Shape{"overflow6", kIndex, sizeof(lvs_overflow6)},
    Shape{"ports", kIndex, kIndex},
    Shape{"control", kIndex, sizeof(lvs_control)},
    Shape{"via", kIndex, sizeof(lvs_via), true},
    Shape{"check_origins", sizeof(lvs_check_flow), sizeof(lvs_check_origin), true},
    Shape{"fence", kIndex, sizeof(lvs_fence), true},
    Shape{"fenced", sizeof(lvs_address), kIndex, true},
};

Result<std::uint32_t> checked_size(const Shape& shape, const std::map<std::string, Fd, std::less<>>& fds) {
  const auto found = fds.find(shape.map);
  if (found == fds.end())
    return fail(ErrorKind::conflict, "the pinned map {} is missing; `lvsd --reset` removes what is left", shape.map);
  bpf_map_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(found->second.get(), &info, &length) != 0)
    return fail(ErrorKind::unavailable, "cannot inspect the BPF map {}: {}", shape.map, std::strerror(errno));
  if (info.key_size != shape.key_size || info.value_size != shape.value_size)
    return fail(
        ErrorKind::conflict,
        "the pinned map {} has keys of {} and values of {} bytes, this lvsd needs {} and {}; run `lvsd --reset`",
        shape.map, info.key_size, info.value_size, shape.key_size, shape.value_size);
  return info.max_entries;
}

}  // namespace

Result<Maps> Maps::open(std::map<std::string, Fd> fds) {
  Maps maps;
  maps.cpus_ = static_cast<std::size_t>(std::max(libbpf_num_possible_cpus(), 1));
  for (auto& [name, fd] : fds) maps.fds_.emplace(name, std::move(fd));
  for (const Shape& shape : kShapes) {
    if (shape.later && !maps.fds_.contains(shape.map)) continue;
    auto size = checked_size(shape, maps.fds_);
    if (!size) return tl::make_unexpected(size.error());
    maps.sizes_.emplace(shape.map, *size);
  }
  Result<void> outcome;
  const auto map_memory = [&]<typename T>(const char* name, MappedArray<T>& array) {
    if (!outcome || !maps.has(name)) return;
    const std::uint32_t entries = maps.sizes_[name];
    auto memory = SharedMemory::map(maps.fd(name), sizeof(T) * entries, name);
    if (memory)
      array = MappedArray<T>(*std::move(memory), entries);
    else
      outcome = tl::make_unexpected(memory.error());
  };
  map_memory("buckets4", maps.buckets4);
  map_memory("buckets6", maps.buckets6);
  map_memory("overflow4", maps.overflow4);
  map_memory("overflow6", maps.overflow6);
  map_memory("backends", maps.backends);
  map_memory("loads", maps.loads);
  map_memory("vips", maps.vips);
  map_memory("services", maps.services);
  map_memory("names", maps.names);
  map_memory("retired", maps.retired);
  map_memory("fence", maps.fence);
  map_memory("control", maps.control_memory);
  if (!outcome) return tl::make_unexpected(outcome.error());
  return maps;
}

// ---- hashes ----------------------------------------------------------------------------------------------------

std::vector<std::pair<std::string, int>> Maps::descriptors() const {
  std::vector<std::pair<std::string, int>> out;
  for (const auto& [name, fd] : fds_) out.emplace_back(name, fd.get());
  return out;
}

Result<void> Maps::put(std::string_view map, const void* key, const void* value) {
  ++writes_;
  if (bpf_map_update_elem(fd(map), key, value, BPF_ANY) != 0)
    return fail(ErrorKind::unavailable, "cannot write to the BPF map {}: {}", map, std::strerror(errno));
  return {};
}

void Maps::erase(std::string_view map, const void* key) {
  ++writes_;
  bpf_map_delete_elem(fd(map), key);
}

bool Maps::next_key(std::string_view map, const void* key, void* next) const {
  return bpf_map_get_next_key(fd(map), key, next) == 0;
}

bool Maps::lookup(std::string_view map, const void* key, void* value) const {
  return bpf_map_lookup_elem(fd(map), key, value) == 0;
}

// ---- scheduler tables ------------------------------------------------------------------------------------------

bool Maps::has_table(std::uint32_t service) const {
  std::uint32_t id = 0;
  return lookup("tables", &service, &id);
}

TableEntries Maps::table(std::uint32_t service) const {
  std::uint32_t id = 0;
  if (!lookup("tables", &service, &id)) return {};
  const Fd table(bpf_map_get_fd_by_id(id));
  if (!table.valid()) return {};
  bpf_map_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(table.get(), &info, &length) != 0) return {};
  TableEntries words(info.max_entries);
  std::vector<std::uint32_t> keys(info.max_entries);
  __u32 count = info.max_entries;
  __u32 position = 0;
  if (bpf_map_lookup_batch(table.get(), nullptr, &position, keys.data(), words.data(), &count, nullptr) != 0 &&
      errno != ENOENT)
    return {};
  const std::size_t n = std::min<std::size_t>(words.front(), words.size() - 1);
  return {words.begin() + 1, words.begin() + 1 + static_cast<std::ptrdiff_t>(n)};
}

namespace {

Result<Fd> make_table(const TableEntries& entries) {
  const auto size = static_cast<std::uint32_t>(entries.size() + 1);
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_INNER_MAP);
  Fd table(
      bpf_map_create(BPF_MAP_TYPE_ARRAY, "lvs_table", sizeof(std::uint32_t), sizeof(std::uint32_t), size, &options));
  if (!table.valid())
    return fail(ErrorKind::unavailable, "cannot create a scheduler table of {} entries: {}", entries.size(),
                std::strerror(errno));
  std::vector<std::uint32_t> words{static_cast<std::uint32_t>(entries.size())};
  words.insert(words.end(), entries.begin(), entries.end());
  std::vector<std::uint32_t> keys(size);
  std::iota(keys.begin(), keys.end(), 0U);
  __u32 count = size;
  if (bpf_map_update_batch(table.get(), keys.data(), words.data(), &count, nullptr) != 0)
    return fail(ErrorKind::unavailable, "cannot fill a scheduler table of {} entries: {}", entries.size(),
                std::strerror(errno));
  return table;
}

}  // namespace

Result<void> Maps::put_tables(std::span<const std::uint32_t> ids, std::span<const int> tables) {
  auto count = static_cast<__u32>(ids.size());
  ++writes_;
  if (bpf_map_update_batch(fd("tables"), ids.data(), tables.data(), &count, nullptr) == 0) return {};
  // Kernels that can not do this in a batch can do it one by one; what the batch did is simply done again.
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (auto done = put("tables", &ids[i], &tables[i]); !done) return done;
  return {};
}

Result<void> Maps::swap_tables(const std::vector<std::pair<std::uint32_t, TableEntries>>& tables) {
  // Each new table is a file descriptor until it is in place; the usual limit is 1024 per process.
  constexpr std::size_t kBatch = 128;
  for (std::size_t first = 0; first < tables.size(); first += kBatch) {
    std::vector<std::uint32_t> ids;
    std::vector<Fd> made;
    std::vector<int> fds;
    for (std::size_t i = first; i < std::min(first + kBatch, tables.size()); ++i) {
      auto table = make_table(tables[i].second);
      if (!table) return tl::make_unexpected(table.error());
      ids.push_back(tables[i].first);
      fds.push_back(table->get());
      made.push_back(*std::move(table));
    }
    if (auto done = put_tables(ids, fds); !done) return done;
  }
  return {};
}

void Maps::drop_table(std::uint32_t service) {
  erase("tables", &service);
}

// ---- counters --------------------------------------------------------------------------------------------------

TrafficCounters Maps::counters(std::uint32_t backend) const {
  std::vector<lvs_counters> cpus(cpus_);
  TrafficCounters sum;
  if (!lookup("counters", &backend, cpus.data())) return sum;
  for (const lvs_counters& cpu : cpus) {
    sum.flows += cpu.flows;
    sum.in_packets += cpu.in_packets;
    sum.in_bytes += cpu.in_bytes;
    sum.out_packets += cpu.out_packets;
    sum.out_bytes += cpu.out_bytes;
  }
  return sum;
}

void Maps::clear_counters(std::uint32_t backend) {
  const std::vector<lvs_counters> zero(cpus_);
  if (auto done = put("counters", &backend, zero.data()); !done) return;
}

std::uint64_t Maps::reason(std::uint32_t reason) const {
  std::vector<std::uint64_t> cpus(cpus_);
  if (!lookup("reasons", &reason, cpus.data())) return 0;
  return std::accumulate(cpus.begin(), cpus.end(), std::uint64_t{0});
}

void Maps::copy_per_cpu(const Maps& from, std::string_view map, std::size_t value_size) {
  std::vector<std::uint64_t> cpus(cpus_ * ((value_size + 7) / 8));  // the kernel rounds each up
  const std::uint32_t entries =
      std::min(sizes_.find(std::string(map))->second, from.sizes_.find(std::string(map))->second);
  for (std::uint32_t i = 0; i < entries; ++i) {
    if (!from.lookup(map, &i, cpus.data())) continue;
    if (std::all_of(cpus.begin(), cpus.end(), [](std::uint64_t word) { return word == 0; })) continue;
    if (auto done = put(map, &i, cpus.data()); !done) return;
  }
}

}  // namespace xlvs::dataplane
