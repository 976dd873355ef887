// SPDX-License-Identifier: Apache-2.0
#include "ha/config_message.h"

#include <algorithm>
#include <array>
#include <set>

#include "ha/wire.h"

namespace xlvs::ha {
namespace {

constexpr std::uint8_t kDryRun = 1;
constexpr std::uint16_t kPermissions = 0777;
constexpr std::size_t kModeLength = 2;
constexpr std::size_t kAnswerHead = 8 + 1 + 8;
constexpr std::size_t kRoomForRest = 32;  // "... and 4294967295 more"

struct OutcomeName {
  ConfigOutcome outcome;
  std::string_view name;
};
constexpr std::array<OutcomeName, 5> kOutcomes{{{ConfigOutcome::applied, "applied"},
                                                {ConfigOutcome::valid, "valid"},
                                                {ConfigOutcome::refused, "refused"},
                                                {ConfigOutcome::invalid, "invalid"},
                                                {ConfigOutcome::failed, "failed"}}};

// One line each, as many as fit.
std::string joined(const std::vector<std::string>& lines, std::size_t room) {
  std::string text;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string line = lines[i];
    std::replace(line.begin(), line.end(), '\n', ' ');
    const std::size_t reserve = i + 1 < lines.size() ? kRoomForRest : 0;
    const std::size_t end = text.empty() ? 0 : 1;
    if (text.size() + end + line.size() + reserve > room) {
      // The first line says most: rather half of it than nothing.
      if (i == 0) text = line.substr(0, room - kRoomForRest);
      if (const std::size_t left = lines.size() - std::max<std::size_t>(i, 1); left > 0)
        text += fmt::format("\n... and {} more", left);
      break;
    }
    text += (end != 0 ? "\n" : "") + line;
  }
  return text;
}

}  // namespace

std::string_view to_string(ConfigOutcome outcome) {
  const auto* found =
      std::find_if(kOutcomes.begin(), kOutcomes.end(), [&](const OutcomeName& row) { return row.outcome == outcome; });
  return found == kOutcomes.end() ? "failed" : found->name;
}

bool is_config_name(std::string_view name) {
  const auto odd = [](char c) { return c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return name.size() <= kLongestConfigName && name.size() > 5 && name.ends_with(".yaml") && name.front() != '.' &&
         std::none_of(name.begin(), name.end(), odd);
}

Result<std::vector<std::uint8_t>> encode_files(const std::vector<ConfigFile>& files) {
  if (files.size() > kMostConfigFiles)
    return fail(ErrorKind::invalid, "{} files are more than {}", files.size(), kMostConfigFiles);
  ByteWriter out;
  out.number(files.size(), 2);
  for (const ConfigFile& file : files) {
    if (!file.name.empty() && !is_config_name(file.name))
      return fail(ErrorKind::invalid, "a file's name is longer than {} bytes, or has characters that may not be sent",
                  kLongestConfigName);
    if (out.size() + file.name.size() + file.text.size() + files.size() * kModeLength > kLargestConfig)
      return fail(ErrorKind::invalid, "the files are longer than {} bytes", kLargestConfig);
    out.number(file.name.size(), 1);
    out.number(file.text.size(), 4);
    out.text(file.name);
    out.text(file.text);
  }
  for (const ConfigFile& file : files) out.number(file.mode & kPermissions, kModeLength);
  return out.take();
}

std::optional<std::vector<ConfigFile>> decode_files(std::span<const std::uint8_t> whole) {
  if (whole.size() > kLargestConfig) return std::nullopt;
  ByteReader in(whole);
  const std::size_t count = in.number(2);
  if (count > kMostConfigFiles) return std::nullopt;
  std::vector<ConfigFile> files;
  std::set<std::string> names;
  for (std::size_t i = 0; i < count && !in.failed(); ++i) {
    const std::size_t name = in.number(1);
    const std::size_t text = in.number(4);
    ConfigFile file;
    file.name = in.text(name);
    file.text = in.text(text);
    if ((!file.name.empty() && !is_config_name(file.name)) || !names.insert(file.name).second) return std::nullopt;
    files.push_back(std::move(file));
  }
  if (in.left() > 0)
    for (ConfigFile& file : files) file.mode = static_cast<std::uint16_t>(in.number(kModeLength) & kPermissions);
  if (!in.complete()) return std::nullopt;
  return files;
}

std::vector<std::uint8_t> encode(const ConfigChunk& chunk) {
  ByteWriter out;
  out.number(chunk.transfer, 8);
  out.number(chunk.dry_run ? kDryRun : 0, 1);
  out.number(chunk.length, 4);
  out.number(chunk.offset, 4);
  out.bytes(chunk.bytes);
  return out.take();
}

std::optional<ConfigChunk> decode_chunk(std::span<const std::uint8_t> body) {
  ByteReader in(body);
  ConfigChunk chunk;
  chunk.transfer = in.number(8);
  chunk.dry_run = (in.number(1) & kDryRun) != 0;
  chunk.length = static_cast<std::uint32_t>(in.number(4));
  chunk.offset = static_cast<std::uint32_t>(in.number(4));
  chunk.bytes = in.rest();
  if (in.failed() || chunk.length == 0 || chunk.length > kLargestConfig) return std::nullopt;
  if (chunk.bytes.empty() || chunk.bytes.size() > kLargestChunk) return std::nullopt;
  if (chunk.offset >= chunk.length || chunk.bytes.size() > chunk.length - chunk.offset) return std::nullopt;
  return chunk;
}

std::vector<std::uint8_t> encode(const ConfigProgress& progress) {
  ByteWriter out;
  out.number(progress.transfer, 8);
  out.number(progress.arrived, 4);
  return out.take();
}

std::optional<ConfigProgress> decode_progress(std::span<const std::uint8_t> body) {
  ByteReader in(body);
  ConfigProgress progress;
  progress.transfer = in.number(8);
  progress.arrived = static_cast<std::uint32_t>(in.number(4));
  if (!in.complete() || progress.arrived > kLargestConfig) return std::nullopt;
  return progress;
}

std::vector<std::uint8_t> encode(const ConfigAnswer& answer) {
  ByteWriter out;
  out.number(answer.transfer, 8);
  out.number(static_cast<std::uint8_t>(answer.verdict.outcome), 1);
  out.number(answer.verdict.generation, 8);
  out.text(joined(answer.verdict.lines, kLargestPeerBody - kAnswerHead));
  return out.take();
}

std::optional<ConfigAnswer> decode_answer(std::span<const std::uint8_t> body) {
  ByteReader in(body);
  ConfigAnswer answer;
  answer.transfer = in.number(8);
  const auto outcome = static_cast<ConfigOutcome>(in.number(1));
  answer.verdict.generation = in.number(8);
  std::string_view text = in.text(in.left());
  const bool known =
      std::any_of(kOutcomes.begin(), kOutcomes.end(), [&](const OutcomeName& row) { return row.outcome == outcome; });
  if (in.failed() || !known) return std::nullopt;
  answer.verdict.outcome = outcome;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    answer.verdict.lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return answer;
}

}  // namespace xlvs::ha
