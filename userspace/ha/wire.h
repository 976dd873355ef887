// SPDX-License-Identifier: Apache-2.0
// Numbers and bytes of the messages between two routers. Numbers are big-endian. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace xlvs::ha {

class ByteWriter {
 public:
  ByteWriter() { out_.reserve(kUsual); }  // also, g++ 12 warns for no reason of a vector that begins full
  void number(std::uint64_t value, unsigned bytes) {
    for (; bytes > 0; --bytes) out_.push_back(static_cast<std::uint8_t>(value >> (8 * (bytes - 1))));
  }
  void bytes(std::span<const std::uint8_t> bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void text(std::string_view text) { out_.insert(out_.end(), text.begin(), text.end()); }
  [[nodiscard]] std::size_t size() const { return out_.size(); }
  [[nodiscard]] std::vector<std::uint8_t> take() { return std::move(out_); }

 private:
  static constexpr std::size_t kUsual = 128;
  std::vector<std::uint8_t> out_;
};

// Reads until it has failed once; then everything is zero or empty.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::uint8_t> in) : in_(in) {}
  std::uint64_t number(unsigned bytes) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : take(bytes)) value = value << 8 | byte;
    return value;
  }
  std::span<const std::uint8_t> take(std::size_t bytes) {
    if (bytes > in_.size()) {
      fail();
      return {};
    }
    const auto out = in_.first(bytes);
    in_ = in_.subspan(bytes);
    return out;
  }
  std::string_view text(std::size_t bytes) {
    const auto out = take(bytes);
    return {reinterpret_cast<const char*>(out.data()), out.size()};
  }
  std::span<const std::uint8_t> rest() { return take(in_.size()); }
  void fail() {
    failed_ = true;
    in_ = {};
  }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::size_t left() const { return in_.size(); }
  [[nodiscard]] bool complete() const { return !failed_ && in_.empty(); }

 private:
  std::span<const std::uint8_t> in_;
  bool failed_ = false;
};

}  // namespace xlvs::ha
