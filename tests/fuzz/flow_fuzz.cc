// SPDX-License-Identifier: Apache-2.0
// Whatever arrives, authentic, as a message about flows: it is refused, or says the same when it is sent on; and
// neither end of the synchronisation minds it. Input: lengths (2 bytes, big-endian) and messages. Two routers hear
// each.
#include <cstdint>
#include <cstdlib>

#include "ha/flow_sync.h"

namespace {

using namespace xlvs;
using namespace xlvs::ha;

void require(bool condition) {
  if (!condition) std::abort();
}

class Table final : public FlowSource, public FlowSink {
 public:
  void tell_all() override { left_ = 300; }
  bool collect(std::size_t& buckets, std::size_t limit, std::chrono::milliseconds,
               std::vector<FlowRecord>& out) override {
    for (; left_ > 0 && limit > 0; --left_, --limit)
      out.push_back(
          {{IpAddress::v4({192, 0, 2, 1}), static_cast<std::uint16_t>(left_)}, left_ % 3, FlowState::udp, {}});
    buckets -= buckets > 0 ? 1 : 0;
    return left_ == 0;
  }
  [[nodiscard]] std::size_t bucket_count() const override { return 100; }
  [[nodiscard]] const FlowTarget& target(std::uint32_t number) const override {
    require(number < 3);
    return target_;
  }
  void rest() override { left_ = 0; }
  void forget_targets() override {}
  void set_target(std::uint32_t number, const FlowTarget& target) override {
    require(number < kMaxFlowTargets && !target.service.empty());
  }
  FlowImports import(std::span<const FlowRecord> flows, bool) override {
    for (const FlowRecord& flow : flows)
      require(flow.target < kMaxFlowTargets && flow.state >= FlowState::established && flow.state <= FlowState::udp);
    return {};
  }

 private:
  unsigned left_ = 0;
  FlowTarget target_{"web", {}, {}};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::span<const std::uint8_t> input(data, size);
  Table table;
  std::uint64_t random = 0;
  const auto ignore = [](std::span<const std::uint8_t> body) { require(body.size() <= kMaxFlowBody); };
  // Small numbers, so that messages can be about what is.
  const auto next = [&random] { return ++random; };
  FlowSync active(FlowExchange{table, table}, {}, ignore, next), backup(FlowExchange{table, table}, {}, ignore, next);
  Time now{};
  active.set_active(now, true);
  backup.set_active(now, false);
  while (input.size() >= 2) {
    const std::size_t length = std::min<std::size_t>(input[0] * 256U + input[1], input.size() - 2);
    const auto body = input.subspan(2, length);
    input = input.subspan(2 + length);
    const auto message = decode_flow_message(body);
    if (message) require(decode_flow_message(encode(*message)) == message);
    require(active.receive(now, body) == message.has_value());
    require(backup.receive(now, body) == message.has_value());
    now += kFlowTick;
    active.tick(now);
    backup.tick(now);
  }
  return 0;
}
