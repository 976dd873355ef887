// SPDX-License-Identifier: Apache-2.0
#include "health/reply_matcher.h"

#include <algorithm>

#include "core/bytes.h"

namespace xlvs::health {

std::optional<ProbeResult> ReplyMatcher::feed(std::string_view bytes) {
  reply_.append(bytes.substr(0, kMaxReply - reply_.size()));
  if (reply_.empty()) return std::nullopt;
  return expected_.regex ? search() : compare();
}

std::optional<ProbeResult> ReplyMatcher::compare() const {
  const std::size_t length = std::min(reply_.size(), expected_.prefix.size());
  if (reply_.compare(0, length, expected_.prefix, 0, length) != 0) {
    return ProbeResult{false,
                       "reply",
                       fmt::format("expected {}, received {}", quote_bytes(expected_.prefix), quote_bytes(reply_)),
                       {}};
  }
  if (length < expected_.prefix.size()) return std::nullopt;
  return ProbeResult{true, "ok", fmt::format("received {}", quote_bytes(reply_)), {}};
}

std::optional<ProbeResult> ReplyMatcher::search() {
  switch (expected_.regex->search(reply_, steps_)) {
    case Regex::Found::yes:
      return ProbeResult{true, "ok", fmt::format("received {}", quote_bytes(reply_)), {}};
    case Regex::Found::gave_up:
      return ProbeResult{false,
                         "regex",
                         fmt::format("the regular expression takes too long on the reply {}", quote_bytes(reply_)),
                         {}};
    case Regex::Found::no:
      break;
  }
  if (reply_.size() < kMaxReply) return std::nullopt;
  return ProbeResult{false, "too_large", fmt::format("no match in the reply's first {} bytes", kMaxReply), {}};
}

ProbeResult ReplyMatcher::ended() const {
  if (reply_.empty()) return {false, "closed", "the server closed the connection without a reply", {}};
  if (expected_.regex) return {false, "reply", fmt::format("no match in the reply {}", quote_bytes(reply_)), {}};
  return {false,
          "closed",
          fmt::format("expected {}, received {}, then the server closed the connection", quote_bytes(expected_.prefix),
                      quote_bytes(reply_)),
          {}};
}

}  // namespace xlvs::health
