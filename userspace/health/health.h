// SPDX-License-Identifier: Apache-2.0
// Health checks. A prober knows one way to ask one server and reports; the monitor decides when to ask; what the
// answers mean is decided in life.h. Thread rule: the event loop's thread; no call blocks.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <map>
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
#include "health/life.h"

namespace xlvs::health {

// What one check found. `reason` is a stable word for metrics; docs/config.md tells what each type can say:
//   ok
//   refused, unreachable, timeout  no connection; timeout also: no complete reply
//   closed        the server ended the connection before its reply was complete
//   tls           no TLS connection
//   certificate   the server's is not valid: unknown CA, other name, expired; or not for long enough
//   protocol      the reply is not what a server of this kind says
//   status, body, reply            it is, but not the one that is wanted
//   rcode, answer the same of DNS
//   down          the server says of itself that it is
//   too_large     the reply has more bytes than a check looks at, and what is wanted is not among them
//   regex         the regular expression takes too many steps on the reply
//   error         lvsd itself could not ask
// and of what says nothing of the server, be it good or bad (`no_result`):
//   resources     descriptors, memory, ports or processes were not to be had here
//   programs      as many programs as `max_programs` allows ran all the time
//   late          lvsd itself was too late to know
// `detail` is a sentence for people ("HTTP status 503, expected 200-399").
struct ProbeResult {
  bool passed = false;
  std::string reason;  // "ok" when passed
  std::string detail;
  std::chrono::microseconds latency{0};
  std::optional<WeightAdvice> weight{};
  std::optional<std::chrono::system_clock::time_point> certificate_end{};  // TLS: when the server's certificate expires
  bool no_result = false;  // the router's own trouble: neither passed nor failed
};

// Checks that gave no result, since the start.
struct Voids {
  std::map<std::string, std::uint64_t> counts{{"late", 0}, {"programs", 0}, {"resources", 0}};
  std::string last;                            // what the last one was for want of
  std::chrono::steady_clock::time_point at{};  // when that was
};

// One check type. A prober is made once per backend and reused; one probe at a time.
class Prober {
 public:
  virtual ~Prober() = default;  // cancels: `done` is not called afterwards
  // Calls `done` exactly once, never from within start(), at the latest when `timeout` has passed and what the loop
  // itself was late meanwhile (deadline.h). `done` may start the next probe or destroy the prober.
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

// One check of a backend.
struct CheckHealth {
  std::string name;  // as to_string(CheckSpec) has it
  bool decided = false;
  HealthState state = HealthState::down;
  unsigned passes = 0;    // in a row
  unsigned failures = 0;  // in a row
  unsigned rise = 0;
  unsigned fall = 0;
  std::optional<ProbeResult> last;
  std::chrono::system_clock::time_point at;      // of the last result
  std::map<std::string, std::uint64_t> results;  // how often each reason was found, "ok" included
};

// A backend's health as status, metrics and the state file show it.
struct Health {
  HealthState state = HealthState::down;  // up: it may take new flows
  LifeState life = LifeState::unchecked;
  bool checked = false;                                        // false until the first result (or an adopted state)
  std::chrono::system_clock::time_point since;                 // of the present state
  std::optional<std::chrono::system_clock::time_point> until;  // when it will have lasted its time, if nothing fails
  unsigned passes = 0;                                         // in a row, of the check that decides
  unsigned failures = 0;                                       // the same
  std::optional<ProbeResult> last;  // of the check that decides: one that is down, else the newest
  std::string deciding;             // its name
  std::uint64_t checks_passed = 0;
  std::uint64_t checks_failed = 0;
  std::uint32_t permille = 1000;        // of its weight; below: slow start, or what it asked for
  std::optional<std::uint32_t> weight;  // the absolute weight it asked for
  bool advised = false;                 // permille or weight are (partly) what it asked for
  std::vector<CheckHealth> checks;
};

// What outlives lvsd of a backend's health.
struct AdoptedHealth {
  LifeState state = LifeState::down;
  std::chrono::system_clock::time_point since;
  // reentry: since when all checks pass; slow_start: its begin; flapping: its end
  std::chrono::system_clock::time_point mark{};
  std::vector<std::chrono::system_clock::time_point> changes{};  // that count for flap damping
  friend bool operator==(const AdoptedHealth&, const AdoptedHealth&) = default;
};

// How long after their time checks began: a loop that is held up shows here first.
struct Lateness {
  static constexpr std::array<std::chrono::milliseconds, 7> kBounds{
      {std::chrono::milliseconds{1}, std::chrono::milliseconds{5}, std::chrono::milliseconds{10},
       std::chrono::milliseconds{50}, std::chrono::milliseconds{100}, std::chrono::milliseconds{500},
       std::chrono::milliseconds{1000}}};
  std::array<std::uint64_t, kBounds.size() + 1>
      counts{};  // at most the bound, and above the one before; last: above all
  std::chrono::duration<double> sum{0};
  void add(std::chrono::steady_clock::duration late);
};

// Runs the checks of a whole configuration. Backends of several services that are to be checked in the very same way
// (same address, port and CheckSpec) share one check.
class Monitor {
 public:
  // The backend's state changed (also once when it is first decided; `health.last` says why), or only its share of the
  // weight. Comes from the event loop, never from within set(); may call set(), but not destroy the monitor.
  using Changed = std::function<void(const BackendRef&, const Health&, Life::Change)>;

  Monitor(boost::asio::io_context& loop, Changed changed);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  // Is told, for the log, when checks give no result (once a minute) and when results are doubted.
  void on_notice(std::function<void(const std::string&)> notice);

  // The complete set of backends to check. Those whose checks are unchanged keep state and rhythm; those whose checks
  // changed keep their state until the new ones say otherwise; new ones start at once (spread over up to their interval
  // when there are many), removed ones stop. `adopted` gives start states of backends that were not checked before.
  // What set() itself decides (no check, adopted, known from a shared check) is not reported, but there to be read.
  void set(const Config& config, const std::map<BackendRef, AdoptedHealth>& adopted = {});
  [[nodiscard]] bool is_up(const BackendRef& backend) const;
  [[nodiscard]] const Health* find(const BackendRef& backend) const;  // nullptr: unknown
  // What a later monitor adopts; nullopt: unknown, unchecked, or without a check.
  [[nodiscard]] std::optional<AdoptedHealth> memory(const BackendRef& backend) const;

  // How late checks began, since the start.
  [[nodiscard]] const Lateness& lateness() const;
  [[nodiscard]] const Voids& voids() const;
  // For `lvsctl status`: what keeps checks from being done, or their results from being believed.
  [[nodiscard]] std::vector<std::string> warnings() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace xlvs::health
