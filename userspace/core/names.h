// SPDX-License-Identifier: Apache-2.0
// Backends that are given by DNS name: what the names are known to mean, when they are asked for again, and what a
// configuration becomes with that. Pure: answers and times are handed in. A name that can not be resolved keeps what it
// meant before; an address that it has lost drains before it goes.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/model.h"
#include "core/result.h"

namespace xlvs {

// Labels of letters, digits, '-' and '_', the last one not a number: an address with a typing error is no name.
[[nodiscard]] bool is_host_name(std::string_view text);

struct Name {
  std::string host;
  Family family = Family::ipv4;
  friend auto operator<=>(const Name&, const Name&) = default;
};

struct NameReply {
  std::set<IpAddress> addresses;  // at least one
  std::chrono::seconds ttl{0};
};

// What outlives lvsd.
struct NameMemory {
  std::set<IpAddress> addresses;
  std::set<IpAddress> leaving;
  friend bool operator==(const NameMemory&, const NameMemory&) = default;
};
using NameMemories = std::map<Name, NameMemory>;

[[nodiscard]] std::set<Name> names_of(const Config& config);

// The configuration with backends in place of its names: current addresses in order, those that are leaving with weight
// 0. An address that is a VIP, or a backend of the service already, is left out.
[[nodiscard]] Config with_names(Config config, const NameMemories& names);
// What it was made of.
[[nodiscard]] Config without_names(Config config);

class NameBook {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Entry {
    std::set<IpAddress> addresses;
    std::map<IpAddress, Time> leaving;  // until when at the latest
    Time due;
    bool asking = false;
    std::size_t surplus = 0;  // addresses of the last answer beyond the limit
    std::string error;        // why the last answer was none; empty: it was one, or there was none yet
    std::uint64_t resolved = 0;
    std::uint64_t failed = 0;
  };

  // The complete set. New names are due at once, and mean what `remembered` says until they are answered.
  void follow(const std::set<Name>& names, const NameRules& rules, Time now, const NameMemories& remembered = {});
  // Those to be asked for now, at most `room` of them; each is to be answered once.
  [[nodiscard]] std::vector<Name> take_due(Time now, std::size_t room);
  // Of names that are not being asked for.
  [[nodiscard]] std::optional<Time> next_due() const;
  // Whether what the name means has changed. Answers of names that nobody follows any more are ignored.
  bool answer(const Name& name, const Result<NameReply>& reply, Time now);
  // Lets go of leaving addresses that are idle or had their time. Whether there were any.
  bool forget_drained(const std::function<bool(const Name&, const IpAddress&)>& idle, Time now);

  [[nodiscard]] const std::map<Name, Entry>& entries() const { return entries_; }
  [[nodiscard]] bool has_leaving() const;
  [[nodiscard]] NameMemories memories() const;

 private:
  bool take(Entry& entry, const NameReply& reply, Time now) const;

  NameRules rules_;
  std::map<Name, Entry> entries_;
};

}  // namespace xlvs
