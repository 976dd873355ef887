// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "config/reader.h"
#include "config/utf8.h"

namespace xlvs::config {
namespace {

bool is_null(const Node& node) {
  if (node.kind == Node::Kind::null) return true;
  return node.kind == Node::Kind::scalar && !node.quoted &&
         (node.text.empty() || node.text == "~" || node.text == "null" || node.text == "Null" || node.text == "NULL");
}

// YAML 1.2's core schema: what other YAML readers take for a number or a boolean is none of our text.
bool is_number(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text == ".inf" || text == ".Inf" || text == ".INF" || text == ".nan" || text == ".NaN" || text == ".NAN")
    return true;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool starts_right = !text.empty() && (text[0] == '.' || (text[0] >= '0' && text[0] <= '9'));
  if (starts_right && error != std::errc::invalid_argument && end == text.data() + text.size()) return true;
  const auto all_of = [](std::string_view digits, std::string_view allowed) {
    return !digits.empty() && digits.find_first_not_of(allowed) == std::string_view::npos;
  };
  if (text.starts_with("0x")) return all_of(text.substr(2), "0123456789abcdefABCDEF");
  if (text.starts_with("0o")) return all_of(text.substr(2), "01234567");
  return false;
}

std::optional<bool> boolean_of(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

// What was found where something else was expected.
std::string found(const Node& node) {
  if (is_null(node)) return "nothing";
  if (node.kind == Node::Kind::sequence) return "a list";
  if (node.kind == Node::Kind::mapping) return "a mapping";
  if (node.quoted) return fmt::format("the text {}", quote(node.text));
  return quote(node.text);
}

void expected(Context& context, const Node& node, std::string_view what, std::string_view type) {
  if (node.kind == Node::Kind::broken) return;
  context.diagnostics.error(node.where, "{}: expected {}, found {}", what, type, found(node));
}

bool is_plain(const Node& node) {
  return node.kind == Node::Kind::scalar && !node.quoted && !is_null(node);
}

template <typename Number>
bool parse_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

constexpr std::array<std::pair<std::string_view, std::int64_t>, 4> kUnits{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};

std::optional<Milliseconds> parse_duration(std::string_view text) {
  const std::size_t unit_at = text.find_first_not_of("0123456789");
  if (unit_at == std::string_view::npos || unit_at == 0) return std::nullopt;
  std::int64_t count = 0;
  if (!parse_number(text.substr(0, unit_at), count) || count > 1'000'000'000) return std::nullopt;
  for (const auto& [unit, milliseconds] : kUnits)
    if (text.substr(unit_at) == unit) return Milliseconds{count * milliseconds};
  return std::nullopt;
}

}  // namespace

std::string duration_text(Milliseconds duration) {
  const std::int64_t count = duration.count();
  for (auto unit = kUnits.rbegin(); unit != kUnits.rend(); ++unit)
    if (count != 0 && count % unit->second == 0) return fmt::format("{}{}", count / unit->second, unit->first);
  return fmt::format("{}ms", count);
}

std::optional<bool> read_boolean(Context& context, const Node& node, std::string_view what) {
  const auto value = is_plain(node) ? boolean_of(node.text) : std::nullopt;
  if (!value) expected(context, node, what, "true or false");
  return value;
}

std::optional<std::int64_t> read_integer(Context& context, const Node& node, std::string_view what, std::int64_t least,
                                         std::int64_t greatest) {
  std::int64_t value = 0;
  if (!is_plain(node) || !parse_number(node.text, value)) {
    expected(context, node, what, fmt::format("a whole number ({}..{})", least, greatest));
    return std::nullopt;
  }
  if (value < least || value > greatest) {
    context.diagnostics.error(node.where, "{}: {} is out of range ({}..{})", what, value, least, greatest);
    return std::nullopt;
  }
  return value;
}

std::optional<std::string> read_text(Context& context, const Node& node, std::string_view what) {
  if (node.kind != Node::Kind::scalar || is_null(node)) {
    expected(context, node, what, "text");
    return std::nullopt;
  }
  if (!node.quoted && (is_number(node.text) || boolean_of(node.text))) {
    // Not which: it may be a password.
    context.diagnostics.error(node.where, "{}: expected text, found {}: put it in quotes", what,
                              is_number(node.text) ? "a number" : "true or false");
    return std::nullopt;
  }
  if (first_non_text(node.text)) {  // from an escape such as "\0"
    context.diagnostics.error(node.where, "{}: contains a control character", what);
    return std::nullopt;
  }
  return node.text;
}

std::optional<Milliseconds> read_duration(Context& context, const Node& node, std::string_view what, Milliseconds least,
                                          Milliseconds greatest) {
  const auto value = node.kind == Node::Kind::scalar ? parse_duration(node.text) : std::nullopt;
  if (!value) {
    expected(context, node, what, "a duration such as 500ms, 2s, 5m or 1h");
    return std::nullopt;
  }
  if (*value < least || *value > greatest) {
    context.diagnostics.error(node.where, "{}: {} is out of range ({}..{})", what, node.text, duration_text(least),
                              duration_text(greatest));
    return std::nullopt;
  }
  return value;
}

std::optional<IpAddress> read_address(Context& context, const Node& node, std::string_view what) {
  const auto text = read_text(context, node, what);
  if (!text) return std::nullopt;
  const auto address = IpAddress::parse(*text);
  if (!address) {
    context.diagnostics.error(node.where, "{}: {} is not an IPv4 or IPv6 address", what, quote(*text));
    return std::nullopt;
  }
  if (!address->is_unicast()) {
    context.diagnostics.error(node.where, "{}: {} is not the address of a host", what, address->to_string());
    return std::nullopt;
  }
  return *address;
}

std::optional<std::string> read_interface(Context& context, const Node& node, std::string_view what) {
  auto name = read_text(context, node, what);
  if (!name) return std::nullopt;
  const bool odd = std::any_of(name->begin(), name->end(), [](char c) { return c <= ' ' || c > '~'; });
  if (odd || name->empty() || name->size() > 15 || name->find_first_of("/:") != std::string::npos || *name == "." ||
      *name == "..") {
    context.diagnostics.error(node.where, "{}: {} can not be the name of an interface", what, quote(*name));
    return std::nullopt;
  }
  return name;
}

std::optional<std::size_t> read_choice(Context& context, const Node& node, std::string_view what,
                                       const std::vector<std::string_view>& valid) {
  if (node.kind != Node::Kind::scalar || is_null(node)) {
    expected(context, node, what, fmt::format("one of {}", fmt::join(valid, ", ")));
    return std::nullopt;
  }
  const auto found_at = std::find(valid.begin(), valid.end(), node.text);
  if (found_at != valid.end()) return static_cast<std::size_t>(found_at - valid.begin());
  context.diagnostics.error(node.where, "{}: unknown value {}{}; valid: {}", what, quote(node.text),
                            suggestion(node.text, valid), fmt::join(valid, ", "));
  return std::nullopt;
}

bool is_sequence(Context& context, const Node& node, std::string_view what, std::string_view of) {
  if (node.kind == Node::Kind::sequence) return true;
  if (node.kind == Node::Kind::scalar && !is_null(node))  // not which: it may hold a password
    context.diagnostics.error(node.where, "{}: expected a list of {}, found a text", what, of);
  else
    expected(context, node, what, fmt::format("a list of {}", of));
  return false;
}

}  // namespace xlvs::config
