// SPDX-License-Identifier: Apache-2.0
// Runs programs of the operator's (checks, hooks) without waiting for them. Thread rule: the event loop's thread.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "core/result.h"

namespace xlvs::health {

struct ProgramUser {
  uid_t uid = 65534;  // nobody
  gid_t gid = 65534;
};
// By name or number, with its primary group.
[[nodiscard]] Result<ProgramUser> find_program_user(const std::string& name);

// Whether `user` (without supplementary groups) may execute the file at this absolute path, by its permission bits;
// otherwise why not. Access control lists are not looked at.
[[nodiscard]] Result<void> check_executable(const std::string& path, const ProgramUser& user);

struct Program {
  std::vector<std::string> arguments;    // the first is the program's absolute path; no shell looks at them
  std::vector<std::string> environment;  // "NAME=value", all there is besides PATH and LANG
  ProgramUser user;
  bool with_errors = false;  // standard error is part of the output; otherwise it goes to /dev/null
};

inline constexpr std::size_t kMaxProgramOutput = 64U << 10;

struct ProgramResult {
  enum class End {
    exited,           // by itself; `code` is its exit status
    signalled,        // by the signal `code`
    timeout,          // it was killed, with all that it had started
    too_much_output,  // killed after kMaxProgramOutput bytes
    no_room,          // not started within the longest wait: as many others as may run at once ran all the time
    not_started,      // `error` says why
  };
  End end = End::not_started;
  int code = 0;
  std::string output;  // what it wrote, of any content, up to the bound
  std::string error;
  bool resources = false;  // not_started: for want of processes, memory, descriptors or permission, here
};

// One run. Its destruction ends the program, and all that it has started, and `done` is not called.
class ProgramRun {
 public:
  virtual ~ProgramRun() = default;
};

// All programs of an io_context: bounded in number, and none left behind when it goes away.
class Programs : public boost::asio::execution_context::service {
 public:
  using key_type = Programs;
  static boost::asio::execution_context::id id;

  // The one of this io_context, made at the first call.
  static Programs& of(boost::asio::io_context& loop);
  explicit Programs(boost::asio::execution_context& context);
  ~Programs() override;

  // Runs `program` when fewer than the limit run, in the order of the calls. `done` is called once, never from within
  // run(), at the latest when `timeout` has passed since its start, and may destroy the run. Waiting for room is not
  // the program's time; it ends after longest_wait(timeout).
  [[nodiscard]] std::unique_ptr<ProgramRun> run(Program program, std::chrono::milliseconds timeout,
                                                std::function<void(ProgramResult)> done);

  void set_limit(std::size_t limit);          // of programs at once; the default is kDefaultLimit
  [[nodiscard]] std::size_t running() const;  // killed ones count until they are gone
  static constexpr std::size_t kDefaultLimit = 128;
  [[nodiscard]] static std::chrono::milliseconds longest_wait(std::chrono::milliseconds timeout) {
    return std::max<std::chrono::milliseconds>(4 * timeout, std::chrono::seconds(2));
  }

 private:
  struct Run;
  class Handle;
  void shutdown() override;
  void start_waiting();
  void gone(Run& run);

  boost::asio::io_context& loop_;
  std::size_t limit_ = kDefaultLimit;
  std::vector<std::shared_ptr<Run>> running_;
  std::vector<std::shared_ptr<Run>> waiting_;  // oldest first
};

}  // namespace xlvs::health
