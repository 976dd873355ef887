// SPDX-License-Identifier: Apache-2.0
// Whatever arrives, authentic, when one router pushes its configuration to the other: files or messages that are taken
// say the same when they are sent on, a sender and a receiver never hold more than they may, and afterwards a transfer
// between the two still succeeds. Input: messages, each a byte with its type, two of length, and bytes.
#include <cstdint>
#include <cstdlib>

#include "ha/config_transfer.h"

namespace {

using namespace xlvs::ha;

void require(bool condition) {
  if (!condition) std::abort();
}

void decode_all(std::span<const std::uint8_t> bytes) {
  if (const auto files = decode_files(bytes)) {
    for (const ConfigFile& file : *files) require(file.name.empty() || is_config_name(file.name));
    const auto again = encode_files(*files);
    require(again && decode_files(*again) == files);
  }
  if (const auto chunk = decode_chunk(bytes)) {
    require(chunk->offset + chunk->bytes.size() <= chunk->length && chunk->length <= kLargestConfig);
    require(encode(*chunk).size() == bytes.size());
  }
  if (const auto answer = decode_answer(bytes)) require(encode(*answer).size() <= kLargestPeerBody);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  decode_all({data, size});
  std::span<const std::uint8_t> input(data, size);
  Time now{std::chrono::hours(1)};
  const std::vector<std::uint8_t> whole(40 * kLargestChunk + 1, 7);
  ConfigReceiver receiver;
  ConfigSender sender(now, 1, whole, false);
  (void)sender.tick(now);
  while (input.size() >= 3) {
    const std::uint8_t type = input[0];
    const std::size_t length = std::min<std::size_t>(input[1] | input[2] << 8, input.size() - 3);
    const auto body = input.subspan(3, length);
    input = input.subspan(3 + length);
    now += std::chrono::milliseconds(type);
    if (const auto received = receiver.receive(now, body); received && received->arrived) {
      require(received->arrived->whole.size() <= kLargestConfig);
      (void)receiver.answer(received->arrived->transfer, {ConfigOutcome::failed, 0, {"no"}});
    }
    (void)sender.receive(now, type, body);
    (void)sender.tick(now);
    require(sender.arrived() <= sender.length());
    receiver.tick(now);
  }
  // A number that no fuzzed message had, but by a guess of eight bytes.
  ConfigSender last(now, 0x9e3779b97f4a7c15, whole, true);
  std::vector<ConfigOutgoing> messages = last.tick(now);
  bool arrived = false;
  for (std::size_t i = 0; i < messages.size() && !last.over(); ++i) {
    const auto received = receiver.receive(now, messages[i].body);
    require(received.has_value());
    std::optional<ConfigOutgoing> reply = received->send;
    if (received->arrived) {
      arrived = received->arrived->whole == whole;
      reply = receiver.answer(received->arrived->transfer, {ConfigOutcome::valid, 3, {}});
    }
    const auto more = last.receive(now, reply->type, reply->body);
    require(more.has_value());
    messages.insert(messages.end(), more->begin(), more->end());
  }
  require(arrived && last.state() == ConfigSender::State::done && last.verdict().generation == 3);
  return 0;
}
