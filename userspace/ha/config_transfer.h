// SPDX-License-Identifier: Apache-2.0
// Brings a configuration whole to the other router and its verdict back, over datagrams that may be lost, doubled or
// reordered. Pure: time and messages come in, and what is to be sent comes out. Time is monotonic. Thread rule: one
// thread at a time.
//
// The sender has at most kWindow chunks under way, and goes back to the first that has not arrived when nothing has
// been heard for kResend; the receiver takes chunks in their order only, and says after each how far it is. When all of
// it is there the receiver decides, and repeats its verdict whenever it is asked with another chunk.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ha/config_message.h"
#include "ha/vrrp.h"

namespace xlvs::ha {

struct ConfigOutgoing {
  std::uint8_t type = 0;
  std::vector<std::uint8_t> body;
};

class ConfigSender {
 public:
  static constexpr std::uint32_t kWindow = 16;
  static constexpr std::chrono::milliseconds kResend{200};
  // Without a sign of the other router; and for its verdict, as loading a configuration may take seconds.
  static constexpr std::chrono::seconds kPatience{5};
  static constexpr std::chrono::seconds kVerdictPatience{30};

  enum class State : std::uint8_t { sending, deciding, done, silent };

  // `transfer`: another number than that of any other, random. `whole`: not empty, at most kLargestConfig bytes.
  ConfigSender(Time now, std::uint64_t transfer, std::vector<std::uint8_t> whole, bool dry_run);

  // What is due; call at the beginning, and then at least every kResend.
  [[nodiscard]] std::vector<ConfigOutgoing> tick(Time now);
  // nullopt: no message of a receiver. One of another transfer is none of ours, and passed over.
  [[nodiscard]] std::optional<std::vector<ConfigOutgoing>> receive(Time now, std::uint8_t type,
                                                                   std::span<const std::uint8_t> body);
  // The other router can be reached only now: what was sent is lost.
  [[nodiscard]] std::vector<ConfigOutgoing> start_again(Time now);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool over() const { return state_ == State::done || state_ == State::silent; }
  [[nodiscard]] std::uint32_t arrived() const { return arrived_; }
  [[nodiscard]] std::uint32_t length() const { return static_cast<std::uint32_t>(whole_.size()); }
  [[nodiscard]] bool dry_run() const { return dry_run_; }
  [[nodiscard]] const ConfigVerdict& verdict() const { return verdict_; }  // when done

 private:
  [[nodiscard]] std::vector<ConfigOutgoing> send(Time now);
  [[nodiscard]] ConfigOutgoing chunk(std::uint32_t offset) const;

  std::uint64_t transfer_;
  std::vector<std::uint8_t> whole_;
  bool dry_run_;
  State state_ = State::sending;
  std::uint32_t arrived_ = 0;
  std::uint32_t next_ = 0;  // offset of what is sent next
  Time resend_at_;
  Time heard_at_;
  ConfigVerdict verdict_;
};

class ConfigReceiver {
 public:
  // What has come in so far is forgotten when nothing more comes.
  static constexpr std::chrono::seconds kForget{30};

  struct Arrived {
    std::uint64_t transfer = 0;
    bool dry_run = false;
    std::vector<std::uint8_t> whole;
  };
  struct Received {
    std::optional<ConfigOutgoing> send;
    std::optional<Arrived> arrived;  // once for each transfer: decide, and answer()
  };

  // nullopt: no chunk.
  [[nodiscard]] std::optional<Received> receive(Time now, std::span<const std::uint8_t> body);
  [[nodiscard]] ConfigOutgoing answer(std::uint64_t transfer, ConfigVerdict verdict);
  void tick(Time now);

 private:
  struct Transfer {
    std::uint64_t number = 0;
    bool dry_run = false;
    std::uint32_t length = 0;
    bool complete = false;
    std::vector<std::uint8_t> bytes;
    Time heard_at;
  };
  std::optional<Transfer> current_;
  std::optional<ConfigAnswer> answer_;  // the last
};

}  // namespace xlvs::ha
