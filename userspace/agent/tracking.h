// SPDX-License-Identifier: Apache-2.0
// What lowers this router's priority while it is amiss (`ha.track`): links, services without backends, programs. Thread
// rule: the event loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "core/ha_config.h"

namespace xlvs::agent {

struct TrackReport {
  std::string name;
  unsigned weight = 0;
  bool good = true;
  std::string reason;  // why not; of a program also what its last good run said
  std::chrono::system_clock::time_point since;
};

class Tracking {
 public:
  struct Verdict {
    unsigned penalty = 0;  // what is taken off the priority
    bool fault = false;    // leave the election
    std::string why;
    friend bool operator==(const Verdict&, const Verdict&) = default;
  };

  // `changed`: verdict() is another than before. Never called from within set().
  Tracking(boost::asio::io_context& loop, std::function<void()> changed);
  ~Tracking();  // ends programs that run
  Tracking(const Tracking&) = delete;
  Tracking& operator=(const Tracking&) = delete;

  // Everything is good until it is found not to be; what was tracked before in the same way keeps what is known of it.
  void set(const std::vector<TrackConfig>& tracks);
  void link_changed(const std::string& interface, bool up);
  // Those that have no backend which may take new flows.
  void services_changed(const std::vector<std::string>& without_backend);

  [[nodiscard]] Verdict verdict() const;
  [[nodiscard]] std::vector<TrackReport> report() const;

 private:
  struct Track;
  void found(Track& track, bool good, const std::string& reason);
  void run_in(Track& track, std::chrono::steady_clock::duration delay);
  void run(Track& track);

  boost::asio::io_context& loop_;
  std::function<void()> changed_;
  std::vector<std::unique_ptr<Track>> tracks_;
  std::vector<std::string> down_links_;
  std::vector<std::string> without_backend_;
};

}  // namespace xlvs::agent
