// SPDX-License-Identifier: Apache-2.0
// Tells the operator's programs, sockets and FIFOs what has changed. Never waits: a reader that is slow or gone loses
// events, which is logged. Thread rule: the event loop's thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "core/model.h"
#include "core/result.h"

namespace xlvs::agent {

// A VRRP instance that a role event is about.
struct HookInstance {
  std::string name;
  unsigned priority = 0;  // in force
};

struct HookEvent {
  std::string kind;     // "backend", "service", "quorum", "role"
  std::string service;  // "" with "role"
  std::string backend;  // of a backend event: "10.0.0.11:8080"
  std::string state;    // a backend's or pool's or role, as status has it; quorum: "gained", "lost"
  std::string reason;   // in words
  std::vector<HookInstance> instances = {};  // role: all of them, which move together
};

// {"time":1800000000.123,"instance":"default","event":"backend","service":"web",...} and a line end.
[[nodiscard]] std::string to_line(const HookEvent& event, const std::string& instance, double time);

class Hooks {
 public:
  Hooks(boost::asio::io_context& loop, std::string instance);
  ~Hooks();  // ends programs that run
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;

  // Whether programs and users of `hooks` exist, and only root may change what runs as root.
  [[nodiscard]] static Result<void> check(const std::vector<HookConfig>& hooks);
  // Hooks that are not new keep what waits for them.
  void set(const std::vector<HookConfig>& hooks);
  void announce(const HookEvent& event);

  // Events that wait for one program, which runs once at a time, in their order; further ones are lost.
  static constexpr std::size_t kMaxWaiting = 1000;

 private:
  struct Hook;
  boost::asio::io_context& loop_;
  std::string instance_;
  std::vector<std::shared_ptr<Hook>> hooks_;
};

}  // namespace xlvs::agent
