// SPDX-License-Identifier: Apache-2.0
// Check type "http", and what "https" expects of a reply.
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "core/regex.h"
#include "core/status_range.h"
#include "health/http_prober.h"
#include "health/probers.h"
#include "health/reply_matcher.h"

namespace xlvs::health {
namespace {

constexpr std::size_t kMaxSearched = 256U << 10;  // bytes of a body, by a regular expression

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1) std::abort();
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

class Wanted final : public HttpJudge {
 public:
  explicit Wanted(const CheckSpec& spec) : regex_(regex_parameter(spec, "body_regex")) {
    if (const auto* status = parameter<std::vector<StatusRange>>(spec, "status")) statuses_ = *status;
    if (const auto* text = parameter<std::string>(spec, "body")) text_ = *text;
    if (const auto* digest = parameter<std::string>(spec, "body_sha256")) digest_ = *digest;
    std::transform(digest_.begin(), digest_.end(), digest_.begin(),
                   [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c | 0x20) : c; });
  }

  [[nodiscard]] bool reads_body() const override { return !text_.empty() || regex_ || !digest_.empty(); }

  [[nodiscard]] std::optional<ProbeResult> judge_status(long status) const override {
    const bool accepted = std::any_of(statuses_.begin(), statuses_.end(), [status](const StatusRange& range) {
      return range.first <= status && status <= range.last;
    });
    if (accepted) return std::nullopt;
    return ProbeResult{false, "status", fmt::format("HTTP status {}, expected {}", status, to_string(statuses_)), {}};
  }

  [[nodiscard]] ProbeResult judge(const HttpReply& reply) const override {
    if (auto failure = judge_text(reply)) return *failure;
    if (auto failure = judge_regex(reply)) return *failure;
    if (auto failure = judge_digest(reply)) return *failure;
    if (reads_body()) return {true, "ok", "the body has what is wanted", {}};
    return {true, "ok", fmt::format("HTTP status {}", reply.status), {}};
  }

 private:
  // What is wanted is not in the part that was looked at.
  static ProbeResult missing(const HttpReply& reply, std::string_view what, std::size_t looked_at) {
    if (reply.cut() || reply.body_bytes > looked_at) {
      return {false, "too_large", fmt::format("{} is not in the body's first {} bytes", what, looked_at), {}};
    }
    return {false, "body", fmt::format("{} is not in the body of {} bytes", what, reply.body_bytes), {}};
  }

  [[nodiscard]] std::optional<ProbeResult> judge_text(const HttpReply& reply) const {
    if (reply.body.find(text_) != std::string::npos) return std::nullopt;
    return missing(reply, fmt::format("\"{}\"", text_), kMaxBody);
  }

  [[nodiscard]] std::optional<ProbeResult> judge_regex(const HttpReply& reply) const {
    if (!regex_) return std::nullopt;
    std::uint64_t steps = kRegexSteps;
    switch (regex_->search(std::string_view(reply.body).substr(0, kMaxSearched), steps)) {
      case Regex::Found::yes:
        return std::nullopt;
      case Regex::Found::gave_up:
        return ProbeResult{
            false, "regex", fmt::format("the regular expression takes too long on the {} bytes", reply.body_bytes), {}};
      case Regex::Found::no:
        break;
    }
    return missing(reply, "a match of the regular expression", kMaxSearched);
  }

  [[nodiscard]] std::optional<ProbeResult> judge_digest(const HttpReply& reply) const {
    if (digest_.empty()) return std::nullopt;
    if (reply.cut()) {
      return ProbeResult{false, "too_large", fmt::format("the body has {} bytes or more", kMaxBody), {}};
    }
    const std::string found = sha256(reply.body);
    if (found == digest_) return std::nullopt;
    return ProbeResult{false, "body", fmt::format("the body's SHA-256 is {}, expected {}", found, digest_), {}};
  }

  std::vector<StatusRange> statuses_;
  std::string text_;
  std::optional<Regex> regex_;
  std::string digest_;
};

}  // namespace

std::unique_ptr<Prober> make_http_check(boost::asio::io_context& loop, const ProbeTarget& target,
                                        std::optional<TlsOptions> tls) {
  HttpRequest request;
  request.endpoint = target.endpoint;
  request.mark = target.spec.mark;
  request.tls = std::move(tls);
  const auto text = [&](const char* name, std::string& to) {
    if (const auto* value = parameter<std::string>(target.spec, name)) to = *value;
  };
  text("method", request.method);
  text("path", request.path);
  text("host", request.host);
  if (const auto* headers = parameter<std::map<std::string, std::string>>(target.spec, "headers")) {
    request.headers = *headers;
  }
  if (const auto* http2 = parameter<bool>(target.spec, "http2")) request.http2 = *http2;
  return make_http_prober(loop, request, std::make_unique<Wanted>(target.spec));
}

std::unique_ptr<Prober> make_http(boost::asio::io_context& loop, const ProbeTarget& target) {
  return make_http_check(loop, target, std::nullopt);
}

}  // namespace xlvs::health
