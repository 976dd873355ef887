// SPDX-License-Identifier: Apache-2.0
#include "ha/config_transfer.h"

#include <algorithm>
#include <utility>

namespace xlvs::ha {

ConfigSender::ConfigSender(Time now, std::uint64_t transfer, std::vector<std::uint8_t> whole, bool dry_run)
    : transfer_(transfer), whole_(std::move(whole)), dry_run_(dry_run), resend_at_(now), heard_at_(now) {}

ConfigOutgoing ConfigSender::chunk(std::uint32_t offset) const {
  const std::size_t size = std::min<std::size_t>(kLargestChunk, length() - offset);
  return {kConfigChunk,
          encode(ConfigChunk{transfer_, dry_run_, length(), offset, std::span(whole_).subspan(offset, size)})};
}

std::vector<ConfigOutgoing> ConfigSender::send(Time now) {
  std::vector<ConfigOutgoing> out;
  while (next_ < length() && next_ < arrived_ + kWindow * kLargestChunk) {
    out.push_back(chunk(next_));
    next_ += static_cast<std::uint32_t>(std::min<std::size_t>(kLargestChunk, length() - next_));
  }
  if (!out.empty()) resend_at_ = now + kResend;
  return out;
}

std::vector<ConfigOutgoing> ConfigSender::tick(Time now) {
  if (over()) return {};
  if (now - heard_at_ >= (state_ == State::deciding ? kVerdictPatience : kPatience)) {
    state_ = State::silent;
    return {};
  }
  if (now < resend_at_) return {};
  if (state_ == State::deciding) {
    // Asks for the verdict with what is there already: the last chunk.
    resend_at_ = now + kResend;
    return {chunk(length() - (length() - 1) % static_cast<std::uint32_t>(kLargestChunk) - 1)};
  }
  next_ = arrived_;
  return send(now);
}

std::vector<ConfigOutgoing> ConfigSender::start_again(Time now) {
  resend_at_ = now;
  return tick(now);
}

std::optional<std::vector<ConfigOutgoing>> ConfigSender::receive(Time now, std::uint8_t type,
                                                                 std::span<const std::uint8_t> body) {
  if (type == kConfigVerdict) {
    auto answer = decode_answer(body);
    if (!answer) return std::nullopt;
    if (answer->transfer != transfer_ || over()) return std::vector<ConfigOutgoing>{};
    state_ = State::done;
    arrived_ = length();
    verdict_ = std::move(answer->verdict);
    return std::vector<ConfigOutgoing>{};
  }
  const auto progress = decode_progress(body);
  if (!progress || progress->arrived > length()) return std::nullopt;
  if (progress->transfer != transfer_ || over()) return std::vector<ConfigOutgoing>{};
  if (progress->arrived < arrived_) {
    // Overtaken by a later one, unless it says that all is lost: the other lvsd has been restarted.
    if (progress->arrived != 0) return std::vector<ConfigOutgoing>{};
    state_ = State::sending;
    next_ = 0;
  }
  heard_at_ = now;
  arrived_ = progress->arrived;
  next_ = std::max(next_, arrived_);
  if (arrived_ == length()) state_ = State::deciding;
  resend_at_ = now + kResend;
  return send(now);
}

std::optional<ConfigReceiver::Received> ConfigReceiver::receive(Time now, std::span<const std::uint8_t> body) {
  const auto chunk = decode_chunk(body);
  if (!chunk) return std::nullopt;
  Received received;
  if (answer_ && answer_->transfer == chunk->transfer) {
    received.send = ConfigOutgoing{kConfigVerdict, encode(*answer_)};
    return received;
  }
  if (!current_ || current_->number != chunk->transfer) {
    // Whoever comes in the middle begins anew, and must not cost an earlier one its place before it does.
    if (chunk->offset != 0) {
      received.send = ConfigOutgoing{kConfigProgress, encode(ConfigProgress{chunk->transfer, 0})};
      return received;
    }
    current_ = Transfer{chunk->transfer, chunk->dry_run, chunk->length, false, {}, now};
  }
  if (chunk->length != current_->length || chunk->dry_run != current_->dry_run) return std::nullopt;
  current_->heard_at = now;
  if (chunk->offset == current_->bytes.size() && !current_->complete) {
    current_->bytes.insert(current_->bytes.end(), chunk->bytes.begin(), chunk->bytes.end());
    if (current_->bytes.size() == current_->length) {
      current_->complete = true;
      received.arrived = Arrived{current_->number, current_->dry_run, std::move(current_->bytes)};
    }
  }
  const std::size_t arrived = current_->complete ? current_->length : current_->bytes.size();
  received.send =
      ConfigOutgoing{kConfigProgress, encode(ConfigProgress{current_->number, static_cast<std::uint32_t>(arrived)})};
  return received;
}

ConfigOutgoing ConfigReceiver::answer(std::uint64_t transfer, ConfigVerdict verdict) {
  if (current_ && current_->number == transfer) current_.reset();
  answer_ = ConfigAnswer{transfer, std::move(verdict)};
  return {kConfigVerdict, encode(*answer_)};
}

void ConfigReceiver::tick(Time now) {
  if (current_ && !current_->complete && now - current_->heard_at >= kForget) current_.reset();
}

}  // namespace xlvs::ha
