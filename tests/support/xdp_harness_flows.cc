// SPDX-License-Identifier: Apache-2.0
// The harness's view of the flow table, and the CPU that a test runs on.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <sched.h>

#include <cstring>
#include <ctime>
#include <stdexcept>

#include "tests/support/xdp_harness.h"

namespace xlvs::test {

// ---- slots ---------------------------------------------------------------------------------------------------------

std::string Slot::client() const {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, key, text, sizeof text);
  return text;
}
std::uint16_t Slot::client_port() const {
  return ntohs(static_cast<std::uint16_t>(family == AF_INET ? key[0] >> 32 : key[2]));
}
std::uint16_t Slot::destination_port() const {
  return ntohs(static_cast<std::uint16_t>(family == AF_INET ? key[0] >> 48 : key[2] >> 16));
}

// ---- the flow table ------------------------------------------------------------------------------------------------

namespace {

template <typename SlotType>
Slot slot_of(SlotType& slot, bool overflow) {
  if constexpr (std::is_same_v<SlotType, lvs_slot4>)
    return {AF_INET, overflow, reinterpret_cast<std::uint64_t*>(&slot.key),
            reinterpret_cast<std::uint64_t*>(&slot.word)};
  else
    return {AF_INET6, overflow, reinterpret_cast<std::uint64_t*>(&slot.addr[0]),
            reinterpret_cast<std::uint64_t*>(&slot.word)};
}

template <typename Bucket>
void append(std::vector<Slot>& out, Bucket* buckets, std::uint32_t count, bool overflow) {
  for (std::uint32_t i = 0; i < count; i++)
    for (auto& slot : buckets[i].slot) out.push_back(slot_of(slot, overflow));
}

}  // namespace

std::vector<Slot> XdpHarness::slots(int family) const {
  std::vector<Slot> all;
  if (family == AF_INET) {
    append(all, buckets4_, sizes_.buckets4, false);
    append(all, overflow4_, sizes_.overflow4, true);
  } else {
    append(all, buckets6_, sizes_.buckets6, false);
    append(all, overflow6_, sizes_.overflow6, true);
  }
  return all;
}

std::vector<Slot> XdpHarness::flows(int family) const {
  std::vector<Slot> used = slots(family);
  std::erase_if(used, [](const Slot& slot) { return !slot.used(); });
  return used;
}

std::size_t XdpHarness::flow_count(const std::string& client, std::uint16_t client_port) const {
  std::size_t count = 0;
  for (const Slot& slot : flows(family_of(client)))
    count += slot.client() == client && slot.client_port() == client_port ? 1 : 0;
  return count;
}

Slot XdpHarness::flow(const std::string& client, std::uint16_t client_port) const {
  const std::size_t count = flow_count(client, client_port);
  if (count != 1) throw std::runtime_error(fmt::format("{} flows of {} port {}", count, client, client_port));
  for (const Slot& slot : flows(family_of(client)))
    if (slot.client() == client && slot.client_port() == client_port) return slot;
  return {};
}

void XdpHarness::put(const Slot& slot, const std::string& client, std::uint16_t client_port,
                     std::uint16_t destination_port, std::uint64_t word) {
  const Bytes address = address_bytes(client);
  const std::uint64_t ports = htons(client_port) | static_cast<std::uint64_t>(htons(destination_port)) << 16;
  std::memcpy(slot.key, address.data(), address.size());
  if (slot.family == AF_INET)
    slot.key[0] = (slot.key[0] & 0xffffffff) | ports << 32;
  else
    slot.key[2] = ports;
  lvs_load& load = loads_[LVS_WORD_BACKEND(word)];
  (LVS_STATE_IS_ACTIVE(LVS_WORD_STATE(word)) ? load.active : load.inactive)++;
  if (slot.overflow) (slot.family == AF_INET ? control().overflow_used4 : control().overflow_used6)++;
  slot.store(word);
}

std::uint32_t XdpHarness::now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  const std::uint64_t ns =
      static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
  return static_cast<std::uint32_t>(ns >> LVS_TICK_SHIFT) & 0xffff;
}

void XdpHarness::age(const Slot& slot, std::uint32_t ticks) {
  slot.store((slot.load() & ~std::uint64_t{0xffff}) | ((now() - ticks) & 0xffff));
}

std::string XdpHarness::drift() const {
  std::map<std::uint32_t, Counts> counted;
  std::map<int, std::uint32_t> overflow;
  std::string text;
  for (const int family : {AF_INET, AF_INET6})
    for (const Slot& slot : slots(family)) {
      const std::uint64_t word = slot.load();
      if (LVS_WORD_STATE(word) == LVS_STATE_CLAIMED) text += "a slot is claimed by nobody; ";
      if (LVS_WORD_STATE(word) <= LVS_STATE_CLAIMED) continue;
      Counts& c = counted[LVS_WORD_BACKEND(word)];
      (LVS_STATE_IS_ACTIVE(LVS_WORD_STATE(word)) ? c.active : c.inactive)++;
      overflow[family] += slot.overflow ? 1 : 0;
    }
  for (std::uint32_t id = 0; id < sizes_.backends; id++) {
    const Counts kept{loads_[id].active, loads_[id].inactive};
    if (!(kept == counted[id]))
      text += fmt::format("backend {}: active {} inactive {}, recounted {} {}; ", id, kept.active, kept.inactive,
                          counted[id].active, counted[id].inactive);
  }
  const lvs_control& c = control();
  if (c.overflow_used4 != overflow[AF_INET] || c.overflow_used6 != overflow[AF_INET6])
    text += fmt::format("overflow_used {} {}, recounted {} {}", c.overflow_used4, c.overflow_used6, overflow[AF_INET],
                        overflow[AF_INET6]);
  return text;
}

// ---- CPUs ----------------------------------------------------------------------------------------------------------

OnCpu::OnCpu(unsigned cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  for (unsigned i = 0; i < CPU_SETSIZE; i++)
    if (CPU_ISSET(i, &set)) before_.push_back(i);
  CPU_ZERO(&set);
  CPU_SET(before_[cpu % before_.size()], &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) throw std::runtime_error("sched_setaffinity failed");
}

OnCpu::~OnCpu() {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const unsigned cpu : before_) CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
}

}  // namespace xlvs::test
