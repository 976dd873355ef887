// SPDX-License-Identifier: Apache-2.0
// The opened maps: file descriptors and memory that the kernel shares with us. Everything that changes a map goes
// through here and is counted, so that "nothing changed, nothing was written" can be shown.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "abi.h"
#include "core/result.h"
#include "dataplane/dataplane.h"

namespace xlvs::dataplane {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Words that the XDP program changes at the same time.
template <typename Word>
[[nodiscard]] Word load_word(const Word& word) {
  return std::atomic_ref<Word>(const_cast<Word&>(word)).load(std::memory_order_acquire);
}
template <typename Word>
[[nodiscard]] bool cas_word(Word& word, Word expected, Word desired) {
  return std::atomic_ref<Word>(word).compare_exchange_strong(expected, desired, std::memory_order_acq_rel);
}

// Pages shared with the kernel; unmapped with the object.
class SharedMemory {
 public:
  SharedMemory() = default;
  [[nodiscard]] static Result<SharedMemory> map(int fd, std::size_t bytes, std::string_view name);
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();
  [[nodiscard]] void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

template <typename T>
class MappedArray {
 public:
  MappedArray() = default;
  MappedArray(SharedMemory memory, std::uint32_t entries) : memory_(std::move(memory)), entries_(entries) {}
  [[nodiscard]] T& operator[](std::size_t i) const { return static_cast<T*>(memory_.data())[i]; }
  [[nodiscard]] std::uint32_t size() const { return entries_; }

 private:
  SharedMemory memory_;
  std::uint32_t entries_ = 0;
};

// What a table of the array of maps holds; absent and empty are the same: no candidates.
using TableEntries = std::vector<std::uint32_t>;

class Maps {
 public:
  // By pin name ("control" for the global data). Fails when a map is missing or its key or value has another size.
  [[nodiscard]] static Result<Maps> open(std::map<std::string, Fd> fds);

  MappedArray<lvs_bucket4> buckets4;
  MappedArray<lvs_bucket6> buckets6;
  MappedArray<lvs_overflow4> overflow4;
  MappedArray<lvs_overflow6> overflow6;
  MappedArray<lvs_backend> backends;
  MappedArray<lvs_load> loads;
  MappedArray<lvs_vip> vips;
  MappedArray<lvs_service> services;
  MappedArray<lvs_name> names;
  MappedArray<lvs_counters> retired;
  MappedArray<lvs_fence> fence;  // empty: pinned by a build that does not know it
  MappedArray<lvs_control> control_memory;
  [[nodiscard]] lvs_control& control() const { return control_memory[0]; }

  // Every map's entries by pin name, to compare with what the limits ask for.
  [[nodiscard]] const std::map<std::string, std::uint32_t>& sizes() const { return sizes_; }

  // ---- hashes and the devmap
  [[nodiscard]] bool has(std::string_view map) const { return fds_.find(map) != fds_.end(); }
  [[nodiscard]] Result<void> put(std::string_view map, const void* key, const void* value);
  void erase(std::string_view map, const void* key);  // absent is fine
  template <typename Key, typename Value>
  [[nodiscard]] std::vector<std::pair<Key, Value>> entries(std::string_view map) const;

  // ---- scheduler tables
  [[nodiscard]] TableEntries table(std::uint32_t service) const;
  // Replaces several at once: each appears complete or not at all. One wait for the kernel's grace period.
  [[nodiscard]] Result<void> swap_tables(const std::vector<std::pair<std::uint32_t, TableEntries>>& tables);
  void drop_table(std::uint32_t service);
  [[nodiscard]] bool has_table(std::uint32_t service) const;

  // ---- per-CPU counters
  [[nodiscard]] TrafficCounters counters(std::uint32_t backend) const;
  void clear_counters(std::uint32_t backend);
  [[nodiscard]] std::uint64_t reason(std::uint32_t reason) const;
  // What `from` has in a per-CPU array of values of so many bytes, as far as it fits.
  void copy_per_cpu(const Maps& from, std::string_view map, std::size_t value_size);

  // ---- shared memory
  // Stores a word that XDP reads, if it differs; returns whether it did.
  template <typename Word>
  bool store_word(Word& target, std::type_identity_t<Word> value);
  // The same for several members that change together: target is their first, Word covers them.
  template <typename Word>
  bool store_words(void* target, Word value);
  bool store_backend_word(std::uint32_t backend, std::uint32_t value) {
    return store_words(&backends[backend].port, value);
  }
  bool store_service_word(std::uint32_t service, std::uint64_t value) { return store_words(&services[service], value); }
  // Stores a record that XDP does not look at (yet), if it differs.
  template <typename Record>
  bool store_record(Record& target, const std::type_identity_t<Record>& value);

  // Those that are pinned, by name.
  [[nodiscard]] std::vector<std::pair<std::string, int>> descriptors() const;

  // How often any of the above changed a map.
  [[nodiscard]] std::uint64_t writes() const { return writes_; }

 private:
  [[nodiscard]] int fd(std::string_view map) const { return fds_.find(map)->second.get(); }
  [[nodiscard]] bool next_key(std::string_view map, const void* key, void* next) const;
  [[nodiscard]] bool lookup(std::string_view map, const void* key, void* value) const;
  [[nodiscard]] Result<void> put_tables(std::span<const std::uint32_t> ids, std::span<const int> tables);

  std::map<std::string, Fd, std::less<>> fds_;
  std::map<std::string, std::uint32_t> sizes_;
  std::uint64_t writes_ = 0;
  std::size_t cpus_ = 1;
};

template <typename Key, typename Value>
std::vector<std::pair<Key, Value>> Maps::entries(std::string_view map) const {
  std::vector<std::pair<Key, Value>> out;
  Key key{};
  for (bool more = next_key(map, nullptr, &key); more;) {
    Value value{};
    if (lookup(map, &key, &value)) out.emplace_back(key, value);
    const Key previous = key;
    more = next_key(map, &previous, &key);
  }
  return out;
}

template <typename Word>
bool Maps::store_word(Word& target, std::type_identity_t<Word> value) {
  std::atomic_ref<Word> word(target);
  if (word.load(std::memory_order_relaxed) == value) return false;
  word.store(value, std::memory_order_release);
  ++writes_;
  return true;
}

template <typename Word>
bool Maps::store_words(void* target, Word value) {
  using Aliased [[gnu::may_alias]] = Word;
  auto* words = static_cast<Aliased*>(target);
  if (__atomic_load_n(words, __ATOMIC_RELAXED) == value) return false;
  __atomic_store_n(words, value, __ATOMIC_RELEASE);
  ++writes_;
  return true;
}

template <typename Record>
bool Maps::store_record(Record& target, const std::type_identity_t<Record>& value) {
  static_assert(std::is_trivially_copyable_v<Record> && std::has_unique_object_representations_v<Record>);
  if (std::memcmp(&target, &value, sizeof(Record)) == 0) return false;
  target = value;
  ++writes_;
  return true;
}

}  // namespace xlvs::dataplane
