// SPDX-License-Identifier: Apache-2.0
#include "health/process.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "health/deadline.h"
#include "health/spawn.h"

namespace xlvs::health {

using Descriptor = boost::asio::posix::stream_descriptor;
using End = ProgramResult::End;

// A run lives until its program has been reaped, which may be after its result was reported; then `done` is empty.
struct Programs::Run : std::enable_shared_from_this<Run> {
  Run(Programs& owner, Program what, std::function<void(ProgramResult)> callback)
      : programs(owner),
        program(std::move(what)),
        done(std::move(callback)),
        timer(owner.loop_),
        deadline(owner.loop_),
        process(owner.loop_),
        output(owner.loop_) {}

  void wait_for_room();
  void start();
  void limit_time();
  void await_output();
  void await_end();
  void read_output();
  void reap();
  void kill();
  void report(End end, int code = 0);

  Programs& programs;
  Program program;
  std::function<void(ProgramResult)> done;
  std::chrono::milliseconds timeout{0};
  boost::asio::steady_timer timer;  // while it waits for room
  Deadline deadline;                // while it runs
  Descriptor process;               // the pidfd; open while the program lives
  Descriptor output;
  std::string text;
  std::string error;
  bool resources = false;
  bool started = false;
};

void Programs::Run::wait_for_room() {
  timer.expires_after(longest_wait(timeout));
  timer.async_wait([self = shared_from_this()](boost::system::error_code failed) {
    if (failed || self->started) return;
    std::erase(self->programs.waiting_, self);
    self->report(End::no_room);
  });
}

// What it took this loop to notice is not the program's time either.
void Programs::Run::limit_time() {
  deadline.start(timeout, [weak = weak_from_this()](bool) {
    const auto self = weak.lock();
    if (!self || !self->process.is_open()) return;
    self->kill();
    self->report(End::timeout);
  });
}

void Programs::Run::start() {
  started = true;
  timer.cancel();
  const auto cpu = std::chrono::ceil<std::chrono::seconds>(timeout) + std::chrono::seconds(1);
  const auto spawned = spawn(program, cpu);
  if (!spawned) {
    error = spawned.error().message;
    resources = spawned.error().kind != ErrorKind::invalid;
    boost::asio::post(programs.loop_, [self = shared_from_this()] {
      self->programs.gone(*self);
      self->report(End::not_started);
    });
    return;
  }
  limit_time();
  process.assign(spawned->pidfd);
  output.assign(spawned->output);
  await_output();
  await_end();
}

void Programs::Run::await_output() {
  output.async_wait(Descriptor::wait_read, [self = shared_from_this()](boost::system::error_code failed) {
    if (failed || !self->output.is_open()) return;
    self->read_output();
    if (self->output.is_open()) self->await_output();
  });
}

// What there is; closes the pipe at its end, and beyond the bound.
void Programs::Run::read_output() {
  std::array<char, 4096> buffer{};
  boost::system::error_code ignored;
  while (output.is_open()) {
    const ssize_t count = ::read(output.native_handle(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count > 0) {
      const std::size_t room = kMaxProgramOutput - text.size();
      text.append(buffer.data(), std::min(room, static_cast<std::size_t>(count)));
      if (static_cast<std::size_t>(count) <= room) continue;
      kill();
      report(End::too_much_output);
    }
    output.close(ignored);
  }
}

void Programs::Run::await_end() {
  process.async_wait(Descriptor::wait_read, [self = shared_from_this()](boost::system::error_code failed) {
    if (!failed && self->process.is_open()) self->reap();
  });
}

// All writers are dead when the program is: what it wrote is in the pipe.
void Programs::Run::reap() {
  siginfo_t info{};
  const int result =
      waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(process.native_handle()), &info, WEXITED | WNOHANG);
  if (result == 0 && info.si_pid == 0 && info.si_signo == 0) return await_end();
  boost::system::error_code ignored;
  if (done) read_output();
  process.close(ignored);
  output.close(ignored);
  const auto self = shared_from_this();
  programs.gone(*this);
  report(info.si_code == CLD_EXITED ? End::exited : End::signalled, info.si_status);
}

void Programs::Run::kill() {
  if (process.is_open()) (void)syscall(SYS_pidfd_send_signal, process.native_handle(), SIGKILL, nullptr, 0);
}

void Programs::Run::report(End end, int code) {
  timer.cancel();
  deadline.cancel();
  const auto callback = std::exchange(done, nullptr);
  if (callback) callback({end, code, std::move(text), std::move(error), resources});
}

class Programs::Handle final : public ProgramRun {
 public:
  explicit Handle(std::shared_ptr<Run> run) : run_(std::move(run)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() override {
    run_->done = nullptr;
    run_->timer.cancel();
    run_->deadline.cancel();
    run_->kill();
    std::erase(run_->programs.waiting_, run_);
  }

 private:
  std::shared_ptr<Run> run_;
};

boost::asio::execution_context::id Programs::id;

Programs& Programs::of(boost::asio::io_context& loop) {
  return boost::asio::use_service<Programs>(loop);
}

Programs::Programs(boost::asio::execution_context& context)
    : service(context), loop_(static_cast<boost::asio::io_context&>(context)) {}

Programs::~Programs() = default;

std::unique_ptr<ProgramRun> Programs::run(Program program, std::chrono::milliseconds timeout,
                                          std::function<void(ProgramResult)> done) {
  auto run = std::make_shared<Run>(*this, std::move(program), std::move(done));
  run->timeout = timeout;
  run->wait_for_room();
  waiting_.push_back(run);
  start_waiting();
  return std::make_unique<Handle>(std::move(run));
}

void Programs::set_limit(std::size_t limit) {
  limit_ = limit;
  start_waiting();
}

std::size_t Programs::running() const {
  return running_.size();
}

void Programs::start_waiting() {
  while (!waiting_.empty() && running_.size() < limit_) {
    running_.push_back(waiting_.front());
    waiting_.erase(waiting_.begin());
    running_.back()->start();
  }
}

void Programs::gone(Run& run) {
  std::erase(running_, run.shared_from_this());
  start_waiting();
}

// The io_context goes away. Programs killed here are reaped by whoever inherits them.
void Programs::shutdown() {
  for (const auto& run : running_) {
    run->done = nullptr;
    run->kill();
  }
  running_.clear();
  waiting_.clear();
}

}  // namespace xlvs::health
