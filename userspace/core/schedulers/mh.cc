// SPDX-License-Identifier: Apache-2.0
// Maglev hashing (Eisenbud et al., NSDI 2016). Every server has its own order of preference over all slots; servers
// take turns, each time the first slot of its order that is still free. Removing a server frees its slots and moves few
// others.
#include <algorithm>
#include <array>
#include <queue>

#include "core/schedulers/schedulers.h"
#include "core/siphash.h"

namespace xlvs::tables {
namespace {

// The greatest primes below 2^12, 2^14, ... 2^20. 4093 is IPVS' default and enough for 40 servers; the steps are wide
// because a change of size moves nearly every client. Above 10,485 servers there are fewer than 100 slots for each.
constexpr std::array<std::uint32_t, 5> kSizes{4093, 16381, 65521, 262139, 1048573};
constexpr std::size_t kSlotsPerServer = 100;
static_assert(kSizes.back() <= kMaxTableEntries);

std::uint32_t table_size(std::size_t pool) {
  for (const std::uint32_t size : kSizes)
    if (size >= kSlotsPerServer * pool) return size;
  return kSizes.back();
}

struct Server {
  const Member* member = nullptr;
  std::uint32_t share = 0;   // the weight, also while drained
  std::uint32_t next = 0;    // preferred slot
  std::uint32_t stride = 0;  // to the one preferred after it; the prime size makes the order visit every slot
  std::uint64_t taken = 0;

  // When this server's next turn is, in units of 1/share. The first turn is at 0, so that every server gets a slot
  // whatever its weight; then at 3, 5, 7 ...: the spacing that keeps all shares within about one slot of exact.
  [[nodiscard]] std::uint64_t turn() const { return taken == 0 ? 0 : 2 * taken + 1; }
};

SipKey key(std::uint32_t seed, std::uint64_t purpose) {
  return {seed, purpose};
}

std::uint64_t hash(const Endpoint& endpoint, const SipKey& sip_key) {
  std::array<std::uint8_t, 19> bytes{};  // family, address, port
  const auto address = endpoint.address.bytes();
  bytes[0] = static_cast<std::uint8_t>(endpoint.address.family());
  std::copy(address.begin(), address.end(), bytes.begin() + 1);
  bytes[17] = static_cast<std::uint8_t>(endpoint.port >> 8);
  bytes[18] = static_cast<std::uint8_t>(endpoint.port & 0xff);
  return siphash(sip_key, bytes);
}

// In the order of their addresses, so that the operator's order does not matter.
std::vector<Server> servers(std::span<const Member> members, std::uint32_t size, std::uint32_t seed) {
  std::vector<Server> result;
  for (const Member& member : members) {
    const std::uint32_t share = member.weight > 0 ? member.weight : member.weight_before_drain;
    if (share == 0) continue;
    result.push_back({.member = &member,
                      .share = share,
                      .next = static_cast<std::uint32_t>(hash(member.endpoint, key(seed, 1)) % size),
                      .stride = static_cast<std::uint32_t>(hash(member.endpoint, key(seed, 2)) % (size - 1) + 1)});
  }
  std::sort(result.begin(), result.end(),
            [](const Server& a, const Server& b) { return a.member->endpoint < b.member->endpoint; });
  return result;
}

std::vector<const Member*> fill(std::vector<Server> all, std::uint32_t size) {
  std::vector<const Member*> owners(size, nullptr);
  const auto later = [&](std::size_t a, std::size_t b) {
    const std::uint64_t left = all[a].turn() * all[b].share;  // below 2^22 * 2^32
    const std::uint64_t right = all[b].turn() * all[a].share;
    return left != right ? left > right : a > b;
  };
  std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(later)> queue(later);
  for (std::size_t i = 0; i < all.size(); ++i) queue.push(i);
  for (std::uint32_t filled = 0; filled < size; ++filled) {
    const std::size_t turn = queue.top();
    queue.pop();
    Server& server = all[turn];
    while (owners[server.next] != nullptr) server.next = (server.next + server.stride) % size;
    owners[server.next] = server.member;
    ++server.taken;
    queue.push(turn);
  }
  return owners;
}

// The server for a slot whose own is drained: other slots are tried in a pseudo-random order, so that the drained
// server's clients spread over the others by weight, and move again only if they must. After 64 misses (all but a few
// servers drained) the first usable slot in numerical order.
std::uint32_t fallback(const std::vector<const Member*>& owners, std::size_t slot, std::uint32_t seed) {
  for (std::uint8_t attempt = 0; attempt < 64; ++attempt) {
    const std::array<std::uint8_t, 5> bytes{static_cast<std::uint8_t>(slot), static_cast<std::uint8_t>(slot >> 8),
                                            static_cast<std::uint8_t>(slot >> 16),
                                            static_cast<std::uint8_t>(slot >> 24), attempt};
    const Member* candidate = owners[siphash(key(seed, 3), bytes) % owners.size()];
    if (candidate->weight > 0) return candidate->id;
  }
  const auto usable = std::find_if(owners.begin(), owners.end(), [](const Member* owner) { return owner->weight > 0; });
  return usable == owners.end() ? 0 : (*usable)->id;
}

}  // namespace

Table build_mh(std::span<const Member> members, const TableOptions& options) {
  const bool usable = std::any_of(members.begin(), members.end(), [](const Member& m) { return m.weight > 0; });
  if (!usable) return {};
  const std::uint32_t size = table_size(std::max(options.pool, members.size()));
  const std::vector<const Member*> owners = fill(servers(members, size, options.seed), size);
  Table table(size, 0);
  for (std::size_t slot = 0; slot < size; ++slot) {
    if (owners[slot]->weight > 0)
      table[slot] = owners[slot]->id;
    else if (options.fallback)
      table[slot] = fallback(owners, slot, options.seed);
  }
  return table;
}

}  // namespace xlvs::tables
