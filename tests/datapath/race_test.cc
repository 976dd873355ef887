// SPDX-License-Identifier: Apache-2.0
// Two CPUs and a sweeper on one flow table. What must hold whatever the interleaving: a flow has one slot and one
// backend while it lives, active and inactive counts and overflow_used are exact, and no established flow is lost.
// Loads are bounded by counts; nothing waits for a clock.
#include <algorithm>
#include <array>
#include <barrier>
#include <chrono>
#include <functional>
#include <random>
#include <thread>

#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

constexpr unsigned kCpus = 2;
constexpr unsigned kBackends = 4;

// Brings the two threads to the same place within nanoseconds when both have a CPU, which a futex would not.
class Rendezvous {
 public:
  void meet() {
    const unsigned turn = arrived_.fetch_add(1) / kCpus;
    for (unsigned i = 1; arrived_.load() < (turn + 1) * kCpus; i++)
      if (i % 1000 == 0) std::this_thread::yield();
  }

 private:
  std::atomic<unsigned> arrived_ = 0;
};

// Tests number their clients from 1; no client has such an address.
constexpr std::uint32_t kFirstClient = 0x0b000000;  // 11.0.0.0
std::uint32_t on_the_wire(std::uint32_t client) {
  return client < 1U << 24 ? client + kFirstClient : client;
}

// A frame whose client is changed in place: the program updates checksums and never looks whether they were right.
class Template {
 public:
  Template(const Net& n, const Segment& segment) : bytes_(frame(segment)), ipv6_(n.family == AF_INET6) {}
  Bytes& from(std::uint32_t client, std::uint16_t port) {
    client = on_the_wire(client);
    const std::size_t address = ipv6_ ? 34 : 26, ports = ipv6_ ? 54 : 34;
    for (unsigned i = 0; i < 4; i++) bytes_[address + i] = static_cast<std::uint8_t>(client >> (24 - 8 * i));
    bytes_[ports] = static_cast<std::uint8_t>(port >> 8);
    bytes_[ports + 1] = static_cast<std::uint8_t>(port);
    return bytes_;
  }
  // A reply from the backend whose address ends so, to this client.
  Bytes& reply(std::uint8_t backend, std::uint32_t client, std::uint16_t port) {
    client = on_the_wire(client);
    const std::size_t source = ipv6_ ? 37 : 29, destination = ipv6_ ? 50 : 30, ports = ipv6_ ? 54 : 34;
    bytes_[source] = backend;
    for (unsigned i = 0; i < 4; i++) bytes_[destination + i] = static_cast<std::uint8_t>(client >> (24 - 8 * i));
    bytes_[ports + 2] = static_cast<std::uint8_t>(port >> 8);
    bytes_[ports + 3] = static_cast<std::uint8_t>(port);
    return bytes_;
  }

 private:
  Bytes bytes_;
  bool ipv6_;
};

// What lvsd's sweeper does, in the hands of the tests: flows grow old when the test wants it.
class Sweeper {
 public:
  Sweeper(XdpHarness& x, int family) : x_(x), slots_(x.slots(family)) {}

  // Makes flows old with this chance (of 100), except those of client addresses from `spared` on.
  void grow_old(unsigned percent, std::uint32_t spared) {
    for (const Slot& slot : slots_) {
      std::uint64_t word = slot.load();
      if (LVS_WORD_STATE(word) <= LVS_STATE_CLAIMED || engine_() % 100 >= percent) continue;
      if (client_of(slot) >= spared || slot.load() != word) continue;
      slot.replace(word, (word & ~std::uint64_t{0xffff}) | ((XdpHarness::now() - 5000) & 0xffff));
    }
  }

  void sweep() {
    for (const Slot& slot : slots_) {
      std::uint64_t word = slot.load();
      const std::uint32_t age = (XdpHarness::now() - LVS_WORD_TIME(word)) & 0xffff, state = LVS_WORD_STATE(word);
      if (state <= LVS_STATE_CLAIMED || age <= x_.control().timeout[state] || age > 0xfff0) continue;
      if (!slot.replace(word, 0)) continue;
      lvs_load& load = x_.load(LVS_WORD_BACKEND(word));
      std::atomic_ref(state == LVS_STATE_ESTABLISHED ? load.active : load.inactive).fetch_sub(1);
      if (slot.overflow)
        std::atomic_ref(slot.family == AF_INET ? x_.control().overflow_used4 : x_.control().overflow_used6)
            .fetch_sub(1);
      swept_++;
    }
  }

  // Two slots that hold the same flow at one moment. Both are read twice, the second pair after the first: what did not
  // change in between was there together.
  [[nodiscard]] unsigned duplicates() const {
    using Key = std::array<std::uint64_t, 4>;  // key words and listener
    std::map<Key, std::pair<const Slot*, std::uint64_t>> seen;
    unsigned found = 0;
    const auto key_of = [](const Slot& slot, std::uint64_t word) -> Key {
      const bool four = slot.family == AF_INET;
      return {key_word(slot, 0), four ? 0 : key_word(slot, 1), four ? 0 : key_word(slot, 2), LVS_WORD_LISTENER(word)};
    };
    for (const Slot& slot : slots_) {
      const std::uint64_t word = slot.load();
      if (LVS_WORD_STATE(word) <= LVS_STATE_CLAIMED) continue;
      const Key key = key_of(slot, word);
      const auto [other, first] = seen.emplace(key, std::pair(&slot, word));
      if (first) continue;
      const auto& [first_slot, first_word] = other->second;
      const bool still = first_slot->load() == first_word && key_of(*first_slot, first_word) == key &&
                         slot.load() == word && key_of(slot, word) == key && first_slot->load() == first_word;
      found += still ? 1 : 0;
    }
    return found;
  }
  [[nodiscard]] unsigned swept() const { return swept_; }
  [[nodiscard]] static std::uint32_t client_of(const Slot& slot) {
    const std::uint64_t words = slot.family == AF_INET ? key_word(slot, 0) : key_word(slot, 1) >> 32;
    const std::uint32_t client = ntohl(static_cast<std::uint32_t>(words));
    return client >> 24 == kFirstClient >> 24 ? client - kFirstClient : client;
  }

 private:
  [[nodiscard]] static std::uint64_t key_word(const Slot& slot, unsigned i) {
    return std::atomic_ref(slot.key[i]).load();
  }
  XdpHarness& x_;
  std::vector<Slot> slots_;
  std::mt19937_64 engine_{7};
  unsigned swept_ = 0;
};

class Race : public PerFamily {
 protected:
  void SetUp() override {
    if (std::thread::hardware_concurrency() < kCpus) GTEST_SKIP() << "needs two CPUs";
  }

  std::vector<BackendSpec> specs() const {
    std::vector<BackendSpec> all;
    for (unsigned i = 1; i <= kBackends; i++)
      all.push_back({.address = (GetParam() == AF_INET ? "10.1.0." : "fd01::") + std::to_string(i), .port = 8080});
    return all;
  }
  // The last byte of the address it was sent to; 0: not forwarded.
  unsigned backend_of(const Outcome& outcome) const {
    if (outcome.verdict != XDP_REDIRECT) return 0;
    return outcome.frame[GetParam() == AF_INET ? 33 : 53];
  }
  Template packet_of(std::uint8_t flags, std::uint16_t port = 80) const {
    return {n, {.src = n.client, .dst = n.vip, .dport = port, .flags = flags}};
  }

  // Runs `work(cpu)` on two CPUs while `beside` is called again and again here.
  static void on_two_cpus(const std::function<void(unsigned)>& work, const std::function<void()>& beside) {
    std::atomic<unsigned> running = kCpus;
    std::vector<std::thread> threads;
    for (unsigned cpu = 0; cpu < kCpus; cpu++)
      threads.emplace_back([&, cpu] {
        const OnCpu pinned(cpu);
        work(cpu);
        running--;
      });
    while (running.load() > 0) beside();
    for (std::thread& thread : threads) thread.join();
  }
};
XLVS_FOR_BOTH_FAMILIES(Race);

// The subtle one: both CPUs see the first packet of the same flow at once, while slots before and behind it are being
// freed. Any segment may create a flow here and makes it established, so nothing of the present round may be evicted:
// each of its flows must have exactly one backend for both CPUs. Turns of the two CPUs' round robins are made to
// differ.
TEST_P(Race, BothCpusAgreeOnTheBackendOfANewFlow) {
  constexpr unsigned kRounds = 400, kFlows = 48, kPackets = 3;
  XdpHarness x({.buckets4 = 32, .buckets6 = 64, .overflow4 = 2, .overflow6 = 2});
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, specs(), LVS_PICK_CURSOR, LVS_SERVICE_SLOPPY_TCP);
  {
    const OnCpu pinned(0);
    x.run(packet_of(kAck).from(1, 1));
  }
  std::array<std::vector<unsigned>, kCpus> went;  // by flow: the backend, 99 when there were two
  std::atomic<std::uint32_t> round = 1;
  unsigned disagreements = 0, duplicates = 0, unforwarded = 0, created = 1;
  Sweeper sweeper(x, GetParam());

  const auto compare = [&]() noexcept {
    duplicates += sweeper.duplicates();
    for (unsigned flow = 0; flow < kFlows; flow++) {
      const unsigned a = went[0][flow], b = went[1][flow];
      created += a != 0 || b != 0 ? 1 : 0;
      if (a == 0 || b == 0)
        unforwarded++;
      else
        disagreements += a != b || a == 99 ? 1 : 0;
    }
    round++;
  };
  std::barrier start(kCpus);
  Rendezvous rendezvous;
  std::barrier end(kCpus, compare);
  on_two_cpus(
      [&](unsigned cpu) {
        Template packet = packet_of(kAck);
        for (unsigned i = 0; i < kRounds; i++) {
          went[cpu].assign(kFlows, 0);
          start.arrive_and_wait();
          for (unsigned flow = 0; flow < kFlows; flow++) {
            rendezvous.meet();
            for (unsigned again = 0; again < kPackets; again++) {
              const unsigned backend =
                  backend_of(x.run(packet.from(round.load(), static_cast<std::uint16_t>(1000 + flow))));
              unsigned& before = went[cpu][flow];
              before = before == 0 || before == backend ? backend : 99;
            }
          }
          end.arrive_and_wait();
        }
      },
      [&] {
        sweeper.grow_old(70, round.load());
        sweeper.sweep();
        std::this_thread::sleep_for(std::chrono::microseconds(50));  // leaves the CPUs to the two
      });
  EXPECT_EQ(disagreements, 0U);
  EXPECT_EQ(duplicates, 0U);
  std::uint64_t counted = 0;
  for (const std::uint32_t id : pool.backends) counted += x.counters(id).flows;
  EXPECT_EQ(counted, created) << "a flow is counted once, whoever created it";
  EXPECT_LT(unforwarded, kRounds * kFlows / 4) << "the table was too full to test anything";
  EXPECT_GT(sweeper.swept(), kRounds) << "no expiry was in play";
  EXPECT_EQ(x.drift(), "");
}

// An expired flow is ended by whoever meets it first, here both CPUs at once: it must be taken from the counts
// once.
TEST_P(Race, AnExpiredFlowIsEndedOnce) {
  constexpr unsigned kRounds = 300, kFlows = 64;
  XdpHarness x;
  add_pool(x, n.vip, 80, IPPROTO_TCP, specs());
  std::string drift;
  const auto prepare = [&]() noexcept {
    if (drift.empty()) drift = x.drift();
    Template syn = packet_of(kSyn);
    for (unsigned flow = 0; flow < kFlows; flow++) x.run(syn.from(1, static_cast<std::uint16_t>(1000 + flow)));
    for (const Slot& slot : x.flows(GetParam())) XdpHarness::age(slot, 5000);
  };
  std::barrier start(kCpus, prepare);
  Rendezvous rendezvous;
  on_two_cpus(
      [&](unsigned) {
        Template ack = packet_of(kAck);
        for (unsigned i = 0; i < kRounds; i++) {
          start.arrive_and_wait();
          for (unsigned flow = 0; flow < kFlows; flow++) {
            rendezvous.meet();
            x.run(ack.from(1, static_cast<std::uint16_t>(1000 + flow)));
          }
        }
      },
      [] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); });
  EXPECT_EQ(drift, "");
  EXPECT_EQ(x.drift(), "");
  EXPECT_THAT(x.flows(GetParam()), ::testing::IsEmpty());
}

// One CPU opens flows that evict each other and never sends them anything else; the other opens and closes flows of
// another service in the same bucket. Slots change hands between them all the time, also while a segment is about to
// change one: a segment must not reach a flow of the other service.
TEST_P(Race, AFlowNeverGetsTheSegmentsOfAnotherService) {
  constexpr unsigned kPackets = 60'000;
  XdpHarness x({.buckets4 = 1, .buckets6 = 1});
  const Pool opening = add_pool(x, n.vip, 80, IPPROTO_TCP, {specs()[0]});
  const Pool closing = add_pool(x, n.vip, 81, IPPROTO_TCP, {specs()[1]});
  const std::vector<Slot> slots = x.slots(GetParam());
  unsigned strayed = 0;
  on_two_cpus(
      [&](unsigned cpu) {
        Template open = packet_of(kSyn), syn = packet_of(kSyn, 81), fin = packet_of(kFin | kAck, 81);
        for (unsigned i = 0; i < kPackets; i++) {
          const auto port = static_cast<std::uint16_t>(i);
          if (cpu == 0) {
            x.run(open.from(1, port));
            continue;
          }
          x.run(syn.from(2, port % 8));
          for (int again = 0; again < 2; again++) x.run(fin.from(2, port % 8));
        }
      },
      [&] {
        for (const Slot& slot : slots) {
          const std::uint64_t word = slot.load();
          strayed += LVS_WORD_LISTENER(word) == opening.listener && LVS_WORD_STATE(word) > LVS_STATE_SYN_RECV ? 1 : 0;
        }
        std::this_thread::yield();
      });
  EXPECT_EQ(strayed, 0U);
  EXPECT_GT(x.counters(closing.backends[0]).in_packets, kPackets);
  EXPECT_GT(x.reason(LVS_REASON_flow_evicted), 1000U);
  EXPECT_EQ(x.drift(), "");
}

// Everything at once in a table that is always full: opening, closing, resetting, replies, UDP, eviction, overflow,
// expiry by sweeper and by packet. No packet's fate is predicted; the counts must come out exact.
TEST_P(Race, CountsAreExactWithEvictionAndExpiryInPlay) {
  constexpr unsigned kPackets = 120'000, kClients = 8, kPorts16 = 16;
  XdpHarness x({.buckets4 = 8, .buckets6 = 16});
  add_pool(x, n.vip, 80, IPPROTO_TCP, specs(), LVS_PICK_WLC);
  add_pool(x, n.vip, 53, IPPROTO_UDP, specs());
  Sweeper sweeper(x, GetParam());
  unsigned duplicates = 0;
  on_two_cpus(
      [&](unsigned cpu) {
        std::mt19937_64 engine(cpu);
        const std::uint8_t client_flags[] = {kSyn, kSyn, kAck, kAck, kFin | kAck, kRst};
        const std::uint8_t server_flags[] = {kSyn | kAck, kAck, kAck, kFin | kAck, kRst};
        std::vector<Template> requests, replies;
        for (const std::uint8_t flags : client_flags) requests.push_back(packet_of(flags));
        for (const std::uint8_t flags : server_flags)
          replies.push_back({n,
                             {.src = specs()[0].address,
                              .sport = 8080,
                              .dst = n.client,
                              .dport = 1,
                              .flags = flags,
                              .dst_mac = XdpHarness::port_mac(2)}});
        Template udp(n, {.src = n.client, .dst = n.vip, .dport = 53, .protocol = IPPROTO_UDP});
        for (unsigned i = 0; i < kPackets; i++) {
          const auto client = static_cast<std::uint32_t>(engine() % kClients);
          const auto port = static_cast<std::uint16_t>(engine() % kPorts16);
          const auto kind = static_cast<unsigned>(engine() % 10);
          if (kind < 5)
            x.run(requests[engine() % requests.size()].from(client, port));
          else if (kind < 8)
            x.run(replies[engine() % replies.size()].reply(static_cast<std::uint8_t>(1 + engine() % kBackends), client,
                                                           port),
                  2);
          else
            x.run(udp.from(client, port));
        }
      },
      [&] {
        sweeper.grow_old(3, 0xffffffff);
        duplicates += sweeper.duplicates();
        sweeper.sweep();
      });
  EXPECT_EQ(duplicates + sweeper.duplicates(), 0U);
  EXPECT_EQ(x.drift(), "");
  EXPECT_GT(sweeper.swept(), 100U);
  EXPECT_GT(x.reason(LVS_REASON_flow_evicted), 100U);
  EXPECT_GT(x.reason(LVS_REASON_flow_overflow), 100U);
}

TEST_P(Race, ASynFloodLosesNoneOfTenThousandEstablishedFlows) {
  constexpr unsigned kEstablished = 10'000, kFlood = 120'000;
  // 16,384 slots, and a sixteenth of that for overflow.
  const bool four = GetParam() == AF_INET;
  XdpHarness x({.buckets4 = four ? 4096U : 1, .buckets6 = four ? 1U : 8192, .overflow4 = 64, .overflow6 = 64});
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, specs());
  const auto client_of = [](unsigned i) { return 0x64400000U + i / 50; };  // 100.64.0.0/10
  const auto port_of = [](unsigned i) { return static_cast<std::uint16_t>(1024 + i % 50); };
  std::vector<unsigned> backend(kEstablished);
  Template syn = packet_of(kSyn), ack = packet_of(kAck);
  for (unsigned i = 0; i < kEstablished; i++) {
    backend[i] = backend_of(x.run(syn.from(client_of(i), port_of(i))));
    ASSERT_EQ(backend_of(x.run(ack.from(client_of(i), port_of(i)))), backend[i]);
    ASSERT_NE(backend[i], 0U);
  }

  std::atomic<unsigned> lost = 0;
  on_two_cpus(
      [&](unsigned cpu) {
        std::mt19937_64 engine(cpu);
        Template flood = packet_of(kSyn), data = packet_of(kAck | kPsh);
        for (unsigned i = 0; i < kFlood; i++) {
          x.run(flood.from(static_cast<std::uint32_t>(engine()), static_cast<std::uint16_t>(engine())));
          if (i % 8 != 0) continue;
          const auto flow = static_cast<unsigned>(engine() % kEstablished);
          lost += backend_of(x.run(data.from(client_of(flow), port_of(flow)))) == backend[flow] ? 0 : 1;
        }
      },
      [] { std::this_thread::yield(); });
  EXPECT_EQ(lost.load(), 0U) << "while the flood went on";

  std::uint32_t active = 0;
  for (const std::uint32_t id : pool.backends) active += x.load(id).active;
  EXPECT_EQ(active, kEstablished);
  for (unsigned i = 0; i < kEstablished; i++)
    ASSERT_EQ(backend_of(x.run(ack.from(client_of(i), port_of(i)))), backend[i]) << i;
  EXPECT_GT(x.reason(LVS_REASON_flow_evicted), 1000U) << "the flood did not fill the table";
  EXPECT_EQ(x.drift(), "");
}

}  // namespace
}  // namespace xlvs::test
