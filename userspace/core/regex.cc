// SPDX-License-Identifier: Apache-2.0
#include "core/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cstdlib>

namespace xlvs {
namespace {

// PCRE2's own limit counts backtracking from each start anew, so it does not bound a search of a long text. A callout
// before every item of the pattern does: it sees how far the item before it has moved, and may end the search.
constexpr std::uint32_t kOptions = PCRE2_AUTO_CALLOUT | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C;
constexpr std::uint32_t kMatchLimit = 1'000'000;  // items without a callout between them, in recursions
constexpr std::uint32_t kHeapKibibytes = 1024;

struct Meter {
  std::uint64_t* steps;
  std::size_t position = 0;
};

int count(pcre2_callout_block* block, void* data) {
  auto& meter = *static_cast<Meter*>(data);
  const std::size_t now = block->current_position;
  const std::uint64_t cost = 1 + (now > meter.position ? now - meter.position : meter.position - now);
  meter.position = now;
  if (cost > *meter.steps) {
    *meter.steps = 0;
    return PCRE2_ERROR_CALLOUT;
  }
  *meter.steps -= cost;
  return 0;
}

template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* it) const { Free(it); }
};
using Code = std::unique_ptr<pcre2_code, Deleter<pcre2_code, pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Deleter<pcre2_match_data, pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Deleter<pcre2_match_context, pcre2_match_context_free>>;

PCRE2_SPTR bytes_of(std::string_view text) {
  return static_cast<PCRE2_SPTR>(static_cast<const void*>(text.data()));
}

}  // namespace

struct Regex::Compiled {
  Code code;
};

Result<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPattern)
    return fail(ErrorKind::invalid, "a regular expression has at most {} characters", kMaxPattern);
  int error = 0;
  std::size_t offset = 0;
  Code code(pcre2_compile(bytes_of(pattern), pattern.size(), kOptions, &error, &offset, nullptr));
  if (!code) {
    std::array<unsigned char, 256> text{};
    pcre2_get_error_message(error, text.data(), text.size());
    return fail(ErrorKind::invalid, "regular expression: {} (after {} characters)",
                static_cast<const char*>(static_cast<const void*>(text.data())), offset);
  }
  return Regex(std::make_shared<const Compiled>(Compiled{std::move(code)}));
}

Regex::Found Regex::search(std::string_view subject, std::uint64_t& steps) const {
  const MatchContext context(pcre2_match_context_create(nullptr));
  const MatchData data(pcre2_match_data_create(1, nullptr));
  if (!context || !data) std::abort();  // out of memory
  Meter meter{&steps};
  pcre2_set_callout(context.get(), count, &meter);
  pcre2_set_match_limit(context.get(), kMatchLimit);
  pcre2_set_heap_limit(context.get(), kHeapKibibytes);
  const int found =
      pcre2_match(compiled_->code.get(), bytes_of(subject), subject.size(), 0, 0, data.get(), context.get());
  if (found >= 0) return Found::yes;
  return found == PCRE2_ERROR_NOMATCH ? Found::no : Found::gave_up;
}

}  // namespace xlvs
