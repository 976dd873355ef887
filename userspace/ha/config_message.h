// SPDX-License-Identifier: Apache-2.0
// A configuration's files, and the messages that carry them from one router to the other, from and to bytes. Sealed on
// a channel of use `config` (peer_channel.h), so that they are the other router's. Pure; any thread.
//
//   chunk      transfer (8), flags (1; bit 0: dry run), length of the whole (4), offset (4), bytes
//   progress   transfer (8), how many bytes from the beginning have arrived (4)
//   verdict    transfer (8), outcome (1), generation (8), text
// Numbers are big-endian. The whole is the number of files (2), then of each the length of its name (1) and text (4),
// name, text; then of each its mode (2), which earlier versions leave out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "ha/peer_channel.h"

namespace xlvs::ha {

inline constexpr std::uint8_t kConfigChunk = 1;
inline constexpr std::uint8_t kConfigProgress = 2;
inline constexpr std::uint8_t kConfigVerdict = 3;

// Of the whole: what a configuration may be long (16 MiB), and names.
inline constexpr std::size_t kLargestConfig = (16U << 20) + (1U << 18);
inline constexpr std::size_t kMostConfigFiles = 1000;
inline constexpr std::size_t kLongestConfigName = 200;

struct ConfigFile {
  std::string name;  // "": the main file; otherwise of the one in conf.d: "web.yaml"
  std::string text;
  std::uint16_t mode = 0;  // permission bits; 0: not told
  friend bool operator==(const ConfigFile&, const ConfigFile&) = default;
};

// May be one in conf.d: *.yaml, not hidden, no path, nothing that a terminal takes for more than a name.
[[nodiscard]] bool is_config_name(std::string_view name);

// Too many, too long: invalid, and says by how much.
[[nodiscard]] Result<std::vector<std::uint8_t>> encode_files(const std::vector<ConfigFile>& files);
// Each name once. nullopt: no encode_files() makes such.
[[nodiscard]] std::optional<std::vector<ConfigFile>> decode_files(std::span<const std::uint8_t> whole);

inline constexpr std::size_t kConfigChunkHead = 8 + 1 + 4 + 4;
inline constexpr std::size_t kLargestChunk = kLargestPeerBody - kConfigChunkHead;

struct ConfigChunk {
  std::uint64_t transfer = 0;
  bool dry_run = false;
  std::uint32_t length = 0;             // 1..kLargestConfig
  std::uint32_t offset = 0;             // below length, like the end of `bytes`
  std::span<const std::uint8_t> bytes;  // 1..kLargestChunk; lies in the message
};

struct ConfigProgress {
  std::uint64_t transfer = 0;
  std::uint32_t arrived = 0;
};

enum class ConfigOutcome : std::uint8_t {
  applied = 1,  // it is in force, and on disk
  valid = 2,    // a dry run: it would be
  refused = 3,  // by a rule of the other router; nothing has changed, as with what follows
  invalid = 4,  // as the other router's configuration
  failed = 5,   // could not be written or applied
};
[[nodiscard]] std::string_view to_string(ConfigOutcome outcome);

struct ConfigVerdict {
  ConfigOutcome outcome = ConfigOutcome::failed;
  std::uint64_t generation = 0;    // of what is in force afterwards
  std::vector<std::string> lines;  // what has changed, would change, or is wrong
  friend bool operator==(const ConfigVerdict&, const ConfigVerdict&) = default;
};

struct ConfigAnswer {
  std::uint64_t transfer = 0;
  ConfigVerdict verdict;
};

[[nodiscard]] std::vector<std::uint8_t> encode(const ConfigChunk& chunk);
[[nodiscard]] std::vector<std::uint8_t> encode(const ConfigProgress& progress);
// Lines that do not fit into one datagram are left out, and their number is told.
[[nodiscard]] std::vector<std::uint8_t> encode(const ConfigAnswer& answer);
// nullopt: a length or value that no encode() makes.
[[nodiscard]] std::optional<ConfigChunk> decode_chunk(std::span<const std::uint8_t> body);
[[nodiscard]] std::optional<ConfigProgress> decode_progress(std::span<const std::uint8_t> body);
[[nodiscard]] std::optional<ConfigAnswer> decode_answer(std::span<const std::uint8_t> body);

}  // namespace xlvs::ha
