// SPDX-License-Identifier: Apache-2.0
// When most backends of several services fail within one moment, it is rather this router (its link, its firewall, its
// load) than all of them: then a failure that would take a backend out is asked about once more before it is believed.
// Pure. Private to health/.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "core/desired.h"

namespace xlvs::health {

class Suspicion {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kServices = 2;             // at least, of which most backends fail
  static constexpr std::size_t kBackends = 3;             // at least, in all
  static constexpr std::chrono::milliseconds kKeep{200};  // how long what was found is not looked at again

  // What is counted: backends that were fit a moment ago.
  struct Count {
    std::size_t fit = 0;      // all of them
    std::size_t failing = 0;  // those whose checks have begun to fail since
    [[nodiscard]] bool most() const { return failing * 2 > fit; }
  };
  // By service; addresses that fail in several count in each.
  [[nodiscard]] static bool arises(const std::map<std::string, Count>& services);

  // Whether to suspect now; `count` is called when what was found last is too old.
  template <typename Counter>
  [[nodiscard]] bool now(Time time, const Counter& count) {
    if (time < looked_ + kKeep) return suspects_;
    looked_ = time;
    const bool before = suspects_;
    suspects_ = arises(count());
    if (suspects_) at_ = time;
    begun_ = suspects_ && !before;
    return suspects_;
  }
  // The last now() was the first of a row to suspect.
  [[nodiscard]] bool begun() { return std::exchange(begun_, false); }
  // When it was last suspected; {}: never.
  [[nodiscard]] Time at() const { return at_; }

 private:
  Time looked_{};
  Time at_{};
  bool suspects_ = false;
  bool begun_ = false;
};

}  // namespace xlvs::health
