// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "config/sections.h"

namespace xlvs::config {
namespace {

constexpr Milliseconds kLeastInterval{100};
constexpr Milliseconds kGreatestInterval{3'600'000};
constexpr Milliseconds kLeastTimeout{10};
constexpr std::size_t kMaxChecks = 16;  // of one backend

std::vector<std::string_view> type_names() {
  std::vector<std::string_view> names;
  for (const CheckType& type : check_types()) names.push_back(type.name);
  return names;
}

std::optional<StatusRange> parse_range(std::string_view text, const StatusRange& allowed) {
  const auto number = [&](std::string_view digits) -> std::optional<std::uint16_t> {
    std::uint16_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size() || value < allowed.first || value > allowed.last)
      return std::nullopt;
    return value;
  };
  const std::size_t dash = text.find('-');
  const auto first = number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : number(text.substr(dash + 1));
  if (!first || !last || *first > *last) return std::nullopt;
  return StatusRange{*first, *last};
}

// 200, "200-399", or a list of these; `wanted` says what, for the message.
std::optional<CheckValue> read_ranges(Context& context, const Node& node, std::string_view what,
                                      const StatusRange& allowed, std::string_view wanted) {
  std::vector<StatusRange> ranges;
  const std::vector<Node> single{node};
  const std::vector<Node>& items = node.kind == Node::Kind::sequence ? node.items : single;
  for (const Node& item : items) {
    const auto range = item.kind == Node::Kind::scalar ? parse_range(item.text, allowed) : std::nullopt;
    if (range)
      ranges.push_back(*range);
    else if (item.kind != Node::Kind::broken)
      context.diagnostics.error(item.where, "{}: expected {}", what, wanted);
  }
  if (items.empty()) context.diagnostics.error(node.where, "{}: the list is empty", what);
  if (ranges.size() != items.size() || ranges.empty()) return std::nullopt;
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

std::optional<CheckValue> read_text_list(Context& context, const Node& node, std::string_view what) {
  if (!is_sequence(context, node, what, "texts")) return std::nullopt;
  std::vector<std::string> list;
  for (const Node& item : node.items)
    if (auto value = read_text(context, item, what)) list.push_back(std::move(*value));
  if (node.items.empty()) context.diagnostics.error(node.where, "{}: the list is empty", what);
  if (list.size() != node.items.size() || list.empty()) return std::nullopt;
  return list;
}

std::optional<CheckValue> read_text_map(Context& context, const Node& node, std::string_view what) {
  std::map<std::string, std::string> map;
  if (node.kind != Node::Kind::mapping) {
    if (node.kind != Node::Kind::broken)
      context.diagnostics.error(node.where, "{} must be a mapping (name: value)", what);
    return std::nullopt;
  }
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const std::string& name = node.keys[i].text;
    if (auto value = read_text(context, node.items[i], name)) map.emplace(name, std::move(*value));
  }
  if (map.size() != node.keys.size()) return std::nullopt;
  return map;
}

// Text that the parameter takes.
std::optional<CheckValue> read_verified(Context& context, const Node& node, const CheckParam& param) {
  auto text = read_text(context, node, param.name);
  if (!text) return std::nullopt;
  if (const Result<void> verified = param.verify(*text); !verified) {
    context.diagnostics.error(node.where, "{}: {}", param.name, verified.error().message);
    return std::nullopt;
  }
  return std::move(*text);
}

// A parameter's value as its kind wants it.
std::optional<CheckValue> read_param(Context& context, const Node& node, const CheckParam& param) {
  const auto widen = [](auto value) -> std::optional<CheckValue> {
    return value ? std::optional<CheckValue>(std::move(*value)) : std::nullopt;
  };
  switch (param.kind) {
    case CheckParamKind::boolean:
      return widen(read_boolean(context, node, param.name));
    case CheckParamKind::integer:
      return widen(read_integer(context, node, param.name, 0, param.greatest));
    case CheckParamKind::duration:
      return widen(read_duration(context, node, param.name, Milliseconds{0}, kGreatestInterval));
    case CheckParamKind::status_ranges:
      return read_ranges(context, node, param.name, {100, 599}, "HTTP status codes such as 200 or 200-399 (100..599)");
    case CheckParamKind::exit_statuses:
      return read_ranges(context, node, param.name, {0, 255}, "exit statuses such as 0 or 0-1 (0..255)");
    case CheckParamKind::text_list:
      return read_text_list(context, node, param.name);
    case CheckParamKind::text_map:
      return read_text_map(context, node, param.name);
    case CheckParamKind::text:
      break;
  }
  if (param.verify != nullptr) return read_verified(context, node, param);
  if (param.choices.empty()) return widen(read_text(context, node, param.name));
  const auto index = read_choice(context, node, param.name, param.choices);
  return index ? std::optional<CheckValue>(std::string(param.choices[*index])) : std::nullopt;
}

// Which VIP is meant when none is named is not known yet: an unspecified address stands for it.
void parse_via(Section& section, CheckSpec& check) {
  const Node* via = section.take("via");
  const Node* vip = section.take("vip");
  if (via != nullptr) {
    const auto index = read_choice(section.context(), *via, "via", {"backend", "vip"});
    if (index && *index == 1) check.via = IpAddress{};
  }
  if (vip == nullptr) return;
  const auto address = read_address(section.context(), *vip, "vip");
  if (!check.via)
    section.context().diagnostics.error(vip->where, "vip: only a check with via: vip goes to one");
  else if (address)
    check.via = *address;
}

}  // namespace

CheckSpec default_check(const ParsedService& service) {
  CheckSpec check;
  const bool has_tcp = std::any_of(service.listeners.begin(), service.listeners.end(),
                                   [](const auto& listener) { return listener.value.protocol == Protocol::tcp; });
  check.type = has_tcp || service.listeners.empty() ? "tcp" : "none";
  return check;
}

void fill_check_defaults(const CheckType& type, CheckSpec& check) {
  for (const CheckParam& param : type.params)
    if (param.default_value) check.params.emplace(param.name, *param.default_value);
}

void parse_check_params(Section& section, const CheckType& type, CheckSpec& check) {
  std::ptrdiff_t alternatives = 0;
  for (const CheckParam& param : type.params) {
    const Node* node = param.required ? section.require(param.name) : section.take(param.name);
    if (node == nullptr) continue;
    alternatives += std::count(type.one_of.begin(), type.one_of.end(), param.name);
    if (auto value = read_param(section.context(), *node, param))
      check.params.insert_or_assign(std::string(param.name), std::move(*value));
  }
  if (!type.one_of.empty() && alternatives != 1 && section.is_mapping())
    section.context().diagnostics.error(section.where(), "a check of type {} needs either {}", type.name,
                                        fmt::join(type.one_of, " or "));
  fill_check_defaults(type, check);
}

void parse_check(Context& context, const Node& node, CheckSpec& check) {
  Section section(context, node, "services[].check", "a check");
  bool type_known = true;
  if (const Node* type = section.take("type")) {
    const auto names = type_names();
    const auto index = read_choice(context, *type, "type", names);
    type_known = index.has_value();
    if (index) check.type = names[*index];
  }
  section.duration("interval", check.interval, kLeastInterval, kGreatestInterval);
  check.timeout = std::min(check.timeout, check.interval);
  section.duration("timeout", check.timeout, kLeastTimeout, kGreatestInterval);
  if (const Node* fast = section.take("fast_interval"))
    check.fast_interval = read_duration(context, *fast, "fast_interval", kLeastInterval, kGreatestInterval);
  section.integer("rise", check.rise, 1, 100);
  section.integer("fall", check.fall, 1, 100);
  if (const Node* connect = section.take("connect")) check.connect = read_address(context, *connect, "connect");
  if (const Node* port = section.take("port"))
    if (const auto value = read_integer(context, *port, "port", 1, 65535))
      check.port = static_cast<std::uint16_t>(*value);
  parse_via(section, check);
  parse_check_params(section, *find_check_type(check.type), check);
  if (type_known) section.finish();  // otherwise it is not known which keys are known
}

bool parse_checks(Section& section, const CheckSpec& standard, CheckList& checks, std::vector<Position>& where) {
  const auto add = [&](const Node& node) {
    where.push_back(node.where);
    parse_check(section.context(), node, checks.emplace_back(standard));
  };
  const Node* one = section.take("check");
  const Node* several = section.take("checks");
  if (one != nullptr && several != nullptr)
    section.context().diagnostics.error(several->where, "give either check (one) or checks (a list of them)");
  if (one != nullptr) {
    add(*one);
  } else if (several != nullptr && is_sequence(section.context(), *several, "checks", "checks")) {
    if (several->items.empty())
      section.context().diagnostics.error(several->where, "checks: the list is empty: for none write {{type: none}}");
    if (several->items.size() > kMaxChecks)
      section.context().diagnostics.error(several->where, "checks: {} are more than {}", several->items.size(),
                                          kMaxChecks);
    for (const Node& item : several->items) add(item);
  }
  return one != nullptr || several != nullptr;
}

}  // namespace xlvs::config
