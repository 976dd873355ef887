// SPDX-License-Identifier: Apache-2.0
// Health checks. A prober knows one way to ask one server and reports; the monitor decides when to ask and, with the
// rise/fall state machine, what the answers mean. Thread rule: the event loop's thread; no call blocks.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "core/desired.h"
#include "core/model.h"
#include "core/result.h"

namespace xlvs::health {

// Some servers say with a passed check how much they can bear: an agent "75%" of the configured weight, a program an
// absolute weight. It holds until the next passed check says something else or nothing.
struct WeightAdvice {
  enum class Unit { percent, absolute };
  Unit unit = Unit::percent;
  std::uint32_t value = 100;  // percent: 0..10,000 of the configured weight; absolute: 0..65535; 0: drained
  friend bool operator==(const WeightAdvice&, const WeightAdvice&) = default;
};

// What one check found. `reason` is a stable word for metrics; docs/config.md tells what each type can say:
//   ok
//   refused, unreachable, timeout  no connection; timeout also: no complete reply
//   closed        the server ended the connection before its reply was complete
//   tls           no TLS connection
//   protocol      the reply is not what a server of this kind says
//   status, body, reply            it is, but not the one that is wanted
//   rcode, answer the same of DNS
//   down          the server says of itself that it is
//   too_large     the reply has more bytes than a check looks at, and what is wanted is not among them
//   regex         the regular expression takes too many steps on the reply
//   error         lvsd itself could not ask
// `detail` is a sentence for people ("HTTP status 503, expected 200-399").
struct ProbeResult {
  bool passed = false;
  std::string reason;  // "ok" when passed
  std::string detail;
  std::chrono::microseconds latency{0};
  std::optional<WeightAdvice> weight{};
};

// One check type. A prober is made once per backend and reused; one probe at a time.
class Prober {
 public:
  virtual ~Prober() = default;  // cancels: `done` is not called afterwards
  // Calls `done` exactly once, never from within start(), at the latest when `timeout` has passed. `done` may start the
  // next probe or destroy the prober.
  virtual void start(std::chrono::milliseconds timeout, std::function<void(ProbeResult)> done) = 0;
};

struct ProbeTarget {
  Endpoint endpoint;  // address and port to be checked
  CheckSpec spec;
};

struct ProberType {
  std::string_view name;  // a row of check_types()
  // nullptr: there is nothing to ask, the backend is always up.
  std::unique_ptr<Prober> (*make)(boost::asio::io_context& loop, const ProbeTarget& target);
};
[[nodiscard]] std::span<const ProberType> prober_types();

enum class HealthState { up, down };

// A backend's health as status, metrics and the state file show it.
struct Health {
  HealthState state = HealthState::down;
  bool checked = false;                         // false until the first result (or an adopted state)
  std::chrono::system_clock::time_point since;  // of the present state
  unsigned passes = 0;                          // in a row
  unsigned failures = 0;                        // in a row
  std::optional<ProbeResult> last;
  std::uint64_t checks_passed = 0;
  std::uint64_t checks_failed = 0;
};

// Rise and fall, pure. A backend starts down and comes up on the first pass (as keepalived's first check does); from
// then on `rise` passes in a row bring it up and `fall` failures in a row take it down.
class RiseFall {
 public:
  RiseFall(unsigned rise, unsigned fall) : rise_(rise), fall_(fall) {}
  // Returns true when this result changed the state.
  bool report(bool passed);
  void adopt(HealthState state);  // from a previous lvsd: as if it had been reached by checks
  [[nodiscard]] HealthState state() const { return state_; }
  [[nodiscard]] bool decided() const { return decided_; }
  [[nodiscard]] unsigned passes() const { return passes_; }
  [[nodiscard]] unsigned failures() const { return failures_; }

 private:
  unsigned rise_;
  unsigned fall_;
  HealthState state_ = HealthState::down;
  bool decided_ = false;
  unsigned passes_ = 0;
  unsigned failures_ = 0;
};

struct AdoptedHealth {
  HealthState state = HealthState::down;
  std::chrono::system_clock::time_point since;
};

// Runs the checks of a whole configuration. Backends of several services that are to be checked in the very same way
// (same address, port and CheckSpec) share one check.
class Monitor {
 public:
  // The backend's state changed (also once when it is first decided); `health.last` says why. Comes from the event
  // loop, never from within set(); may call set(), but not destroy the monitor.
  using Changed = std::function<void(const BackendRef&, const Health&)>;

  Monitor(boost::asio::io_context& loop, Changed changed);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  // The complete set of backends to check. Those whose CheckSpec is unchanged keep state and rhythm; those whose
  // CheckSpec changed keep their state until the new check says otherwise; new ones start at once (spread over up to
  // their interval when there are many), removed ones stop. Checks of type "none" are up. `adopted` gives start states
  // of backends that were not checked before. What set() itself decides ("none", adopted) is not reported, but there to
  // be read.
  void set(const Config& config, const std::map<BackendRef, AdoptedHealth>& adopted = {});
  [[nodiscard]] bool is_up(const BackendRef& backend) const;
  [[nodiscard]] const Health* find(const BackendRef& backend) const;  // nullptr: unknown

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace xlvs::health
