// SPDX-License-Identifier: Apache-2.0
// The secret that the two routers of a pair share. Any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace xlvs::ha {

class PeerKey {
 public:
  static constexpr std::size_t kLeast = 32;
  static constexpr std::size_t kGreatest = 4096;

  // `name` as in the configuration: an absolute path; or "credential:NAME", or a relative name, which is looked for in
  // $CREDENTIALS_DIRECTORY (systemd's LoadCredential=). All bytes of the file are the key, its line ends too. Errors
  // name the file: invalid unless it is a regular file of kLeast to kGreatest bytes, of root's or of this process'
  // user, which nobody else may read (mode 0600 or stricter); not_found or permission when it can not be opened.
  static Result<PeerKey> load(const std::string& name);
  static PeerKey of(std::string_view bytes);  // as they are

  PeerKey(const PeerKey&) = default;
  PeerKey& operator=(const PeerKey&) = default;
  PeerKey(PeerKey&&) = default;
  PeerKey& operator=(PeerKey&&) = default;
  ~PeerKey();  // leaves no copy in memory

  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }

 private:
  explicit PeerKey(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}
  std::vector<std::uint8_t> bytes_;
};

}  // namespace xlvs::ha
