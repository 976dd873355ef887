// SPDX-License-Identifier: Apache-2.0
#include "ha/flow_message.h"

#include <algorithm>
#include <string>

#include "ha/wire.h"

namespace xlvs::ha {
namespace {

constexpr std::uint8_t kVersion = 1;
enum Kind : std::uint8_t { kAsk = 1, kData = 2, kIdle = 3, kPassive = 4 };
constexpr std::uint8_t kEnds = 1;
constexpr std::size_t kMaxName = 63;
constexpr std::size_t kMaxCount = 255;
// Header, three numbers of eight bytes, flags and the three counts.
constexpr std::size_t kDataHead = 2 + 3 * 8 + 4;
constexpr std::size_t kFlowFixed = 8;  // target, state, idle, port

class Writer : public ByteWriter {
 public:
  void client(const Endpoint& endpoint) {
    bytes(endpoint.address.bytes());
    number(endpoint.port, 2);
  }
  void endpoint(const Endpoint& endpoint) {
    number(static_cast<std::uint8_t>(endpoint.address.family()), 1);
    client(endpoint);
  }
};

class Reader : public ByteReader {
 public:
  using ByteReader::ByteReader;
  Endpoint client(Family family) {
    Endpoint out;
    const auto bytes = take(family == Family::ipv4 ? 4 : 16);
    if (bytes.size() == 4) {
      std::array<std::uint8_t, 4> four{};
      std::copy(bytes.begin(), bytes.end(), four.begin());
      out.address = IpAddress::v4(four);
    } else if (bytes.size() == 16) {
      std::array<std::uint8_t, 16> six{};
      std::copy(bytes.begin(), bytes.end(), six.begin());
      out.address = IpAddress::v6(six);
    }
    out.port = static_cast<std::uint16_t>(number(2));
    return out;
  }
  Endpoint endpoint() {
    const auto family = static_cast<Family>(number(1));
    if (family != Family::ipv4 && family != Family::ipv6) fail();
    return client(family);
  }
};

std::size_t endpoint_size(const Endpoint& endpoint) {
  return 1 + endpoint.address.bytes().size() + 2;
}

std::size_t target_size(const FlowTarget& target) {
  return 3 + 1 + endpoint_size({target.listener.address, target.listener.port}) + endpoint_size(target.backend) + 1 +
         std::min(target.service.size(), kMaxName);
}

void write(Writer& out, std::uint32_t number, const FlowTarget& target) {
  out.number(number, 3);
  out.number(static_cast<std::uint8_t>(target.listener.protocol), 1);
  out.endpoint({target.listener.address, target.listener.port});
  out.endpoint(target.backend);
  const std::size_t length = std::min(target.service.size(), kMaxName);
  out.number(length, 1);
  out.bytes({reinterpret_cast<const std::uint8_t*>(target.service.data()), length});
}

void write(Writer& out, const FlowBatch& batch, Family family) {
  const auto of_family = [&](const FlowRecord& flow) { return flow.client.address.family() == family; };
  out.number(static_cast<std::uint64_t>(std::count_if(batch.flows.begin(), batch.flows.end(), of_family)), 1);
  for (const FlowRecord& flow : batch.flows) {
    if (!of_family(flow)) continue;
    out.number(flow.target, 3);
    out.number(static_cast<std::uint8_t>(flow.state), 1);
    out.number(flow.idle.count(), 2);
    out.client(flow.client);
  }
}

void write(Writer& out, const FlowBatch& batch) {
  out.number(batch.snapshot_ends ? kEnds : 0U, 1);
  out.number(batch.targets.size(), 1);
  for (const auto& [number, target] : batch.targets) write(out, number, target);
  write(out, batch, Family::ipv4);
  write(out, batch, Family::ipv6);
}

std::pair<std::uint32_t, FlowTarget> read_target(Reader& in) {
  std::pair<std::uint32_t, FlowTarget> out;
  auto& [number, target] = out;
  number = static_cast<std::uint32_t>(in.number(3));
  target.listener.protocol = static_cast<Protocol>(in.number(1));
  const Endpoint listener = in.endpoint();
  target.listener.address = listener.address;
  target.listener.port = listener.port;
  target.backend = in.endpoint();
  const auto name = in.take(in.number(1));
  target.service.assign(reinterpret_cast<const char*>(name.data()), name.size());
  const bool known = target.listener.protocol == Protocol::tcp || target.listener.protocol == Protocol::udp;
  if (number >= kMaxFlowTargets || !known || target.service.empty() || target.service.size() > kMaxName) in.fail();
  return out;
}

void read_flows(Reader& in, Family family, std::vector<FlowRecord>& out) {
  for (std::uint64_t count = in.number(1); count > 0 && !in.failed(); --count) {
    FlowRecord flow;
    flow.target = static_cast<std::uint32_t>(in.number(3));
    const auto state = static_cast<std::uint8_t>(in.number(1));
    flow.state = static_cast<FlowState>(state);
    flow.idle = std::chrono::duration<std::uint16_t>(static_cast<std::uint16_t>(in.number(2)));
    flow.client = in.client(family);
    if (flow.target >= kMaxFlowTargets || state == 0 || state >= kFlowStates) in.fail();
    out.push_back(flow);
  }
}

FlowData read_data(Reader& in) {
  FlowData out{in.number(8), in.number(8), in.number(8), {}};
  const std::uint64_t flags = in.number(1);
  out.batch.snapshot_ends = (flags & kEnds) != 0;
  if (out.sequence == 0 || flags > kEnds) in.fail();
  for (std::uint64_t count = in.number(1); count > 0 && !in.failed(); --count)
    out.batch.targets.push_back(read_target(in));
  read_flows(in, Family::ipv4, out.batch.flows);
  read_flows(in, Family::ipv6, out.batch.flows);
  return out;
}

FlowMessage read(Reader& in, std::uint64_t kind) {
  switch (kind) {
    case kAsk: {
      FlowAsk ask{in.number(8), in.number(8), in.number(8), {}};
      for (std::uint64_t& word : ask.more) word = in.number(8);
      return ask;
    }
    case kData:
      return read_data(in);
    case kIdle:
      return FlowIdle{in.number(8), in.number(8), in.number(8)};
    case kPassive:
      return FlowPassive{in.number(8)};
    default:
      in.fail();
      return FlowPassive{};
  }
}

struct Encoder {
  Writer& out;
  void head(Kind kind, std::initializer_list<std::uint64_t> numbers) const {
    out.number(kVersion, 1);
    out.number(kind, 1);
    for (const std::uint64_t number : numbers) out.number(number, 8);
  }
  void operator()(const FlowAsk& ask) const {
    head(kAsk, {ask.session, ask.stream, ask.received});
    for (const std::uint64_t word : ask.more) out.number(word, 8);
  }
  void operator()(const FlowData& data) const {
    head(kData, {data.session, data.stream, data.sequence});
    write(out, data.batch);
  }
  void operator()(const FlowIdle& idle) const { head(kIdle, {idle.session, idle.stream, idle.sequence}); }
  void operator()(const FlowPassive& passive) const { head(kPassive, {passive.session}); }
};

}  // namespace

std::vector<std::uint8_t> encode(const FlowMessage& message) {
  Writer out;
  std::visit(Encoder{out}, message);
  return out.take();
}

std::optional<FlowMessage> decode_flow_message(std::span<const std::uint8_t> body) {
  Reader in(body);
  if (in.number(1) != kVersion) return std::nullopt;
  FlowMessage out = read(in, in.number(1));
  if (!in.complete()) return std::nullopt;
  return out;
}

bool FlowBatchBuilder::add(const FlowRecord& flow, const FlowTarget* new_target) {
  std::size_t& count = flow.client.address.is_v4() ? flows4_ : flows6_;
  const std::size_t more =
      kFlowFixed + flow.client.address.bytes().size() + (new_target != nullptr ? target_size(*new_target) : 0);
  if (kDataHead + size_ + more > kMaxFlowBody || count == kMaxCount || batch_.targets.size() == kMaxCount) return false;
  size_ += more;
  ++count;
  if (new_target != nullptr) batch_.targets.emplace_back(flow.target, *new_target);
  batch_.flows.push_back(flow);
  return true;
}

}  // namespace xlvs::ha
