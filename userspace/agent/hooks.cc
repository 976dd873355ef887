// SPDX-License-Identifier: Apache-2.0
#include "agent/hooks.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <utility>

#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include "health/process.h"

namespace xlvs::agent {
namespace {

constexpr std::size_t kMaxLoggedOutput = 500;

double wall_clock() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// 0, or the errno value that kept the line from being written whole.
int send_to_socket(const std::string& path, const std::string& line) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const ssize_t sent =
      sendto(fd, line.data(), line.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = sent < 0 ? errno : 0;
  close(fd);
  return error;
}

// Lines are shorter than PIPE_BUF or may be torn by other writers; a reader that is not there is ENXIO.
int write_to_fifo(const std::string& path, const std::string& line) {
  const int fd = open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return errno;
  const ssize_t written = write(fd, line.data(), line.size());
  const int error = written < 0 ? errno : static_cast<std::size_t>(written) < line.size() ? EAGAIN : 0;
  close(fd);
  return error;
}

int write_line(const std::string& path, const std::string& line) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) return errno;
  if (S_ISSOCK(info.st_mode)) return send_to_socket(path, line);
  return S_ISFIFO(info.st_mode) ? write_to_fifo(path, line) : ENOTSOCK;
}

std::string_view keepalived_state(std::string_view role) {
  if (role == "active") return "MASTER";
  return role == "backup" ? "BACKUP" : "FAULT";
}

health::Program program_of(const HookConfig& config, const HookEvent& event, const std::string& instance) {
  health::Program program;
  program.arguments = config.program;
  program.environment = {"LVS_INSTANCE=" + instance,     "LVS_EVENT=" + event.kind,  "LVS_SERVICE=" + event.service,
                         "LVS_BACKEND=" + event.backend, "LVS_STATE=" + event.state, "LVS_REASON=" + event.reason};
  if (event.instances.size() == 1) {
    program.environment.push_back("LVS_VRRP=" + event.instances[0].name);
    program.environment.push_back(fmt::format("LVS_PRIORITY={}", event.instances[0].priority));
  }
  if (config.keepalived_arguments && event.instances.size() == 1)
    program.arguments.insert(program.arguments.end(),
                             {"INSTANCE", event.instances[0].name, std::string(keepalived_state(event.state)),
                              std::to_string(event.instances[0].priority)});
  program.with_errors = true;
  return program;
}

void log_end(const HookConfig& config, const health::ProgramResult& result) {
  using End = health::ProgramResult::End;
  const std::string& name = config.program.front();
  std::string output = result.output.substr(0, kMaxLoggedOutput);
  std::replace_if(
      output.begin(), output.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  if (result.end == End::exited && result.code == 0) {
    if (!output.empty()) spdlog::info("hook {}: {}", name, output);
    return;
  }
  const std::string how = result.end == End::exited        ? fmt::format("exit code {}", result.code)
                          : result.end == End::signalled   ? fmt::format("ended by signal {}", result.code)
                          : result.end == End::timeout     ? "killed: it took too long"
                          : result.end == End::not_started ? result.error
                          : result.end == End::no_room     ? "not started: too many programs run"
                                                           : "killed: too much output";
  spdlog::warn("hook {}: {}{}{}", name, how, output.empty() ? "" : ": ", output);
}

}  // namespace

std::string to_line(const HookEvent& event, const std::string& instance, double time) {
  nlohmann::ordered_json json{{"time", time},         {"instance", instance},
                              {"event", event.kind},  {"service", event.service},
                              {"state", event.state}, {"reason", event.reason}};
  if (!event.backend.empty()) json["backend"] = event.backend;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

struct Hooks::Hook : std::enable_shared_from_this<Hook> {
  Hook(boost::asio::io_context& io, HookConfig wanted, std::string name)
      : loop(io), config(std::move(wanted)), instance(std::move(name)) {}

  void announce(const HookEvent& event) {
    if (!config.events.empty() &&
        std::find(config.events.begin(), config.events.end(), event.kind) == config.events.end())
      return;
    if (config.program.empty()) return tell(write_line(config.path, to_line(event, instance, wall_clock())));
    if (!config.keepalived_arguments) return queue(event);
    for (const HookInstance& moved : event.instances) {
      HookEvent one = event;
      one.instances = {moved};
      queue(one);
    }
  }

  void queue(const HookEvent& event) {
    if (waiting.size() >= kMaxWaiting) return tell(EAGAIN);
    waiting.push_back(event);
    run_next();
  }

  // Once when events begin to be lost, and once when they are not any more.
  void tell(int error) {
    if (error != 0 && lost == 0) spdlog::warn("hook {}: events are lost: {}", name(), std::strerror(error));
    if (error == 0 && lost != 0) spdlog::info("hook {}: takes events again, {} were lost", name(), lost);
    lost = error == 0 ? 0 : lost + 1;
  }

  void run_next() {
    if (run || waiting.empty()) return;
    const HookEvent event = std::move(waiting.front());
    waiting.pop_front();
    health::Program program = program_of(config, event, instance);
    const auto user = health::find_program_user(config.user);
    if (!user) return spdlog::error("hook {}: {}", name(), user.error().message);
    program.user = *user;
    run = health::Programs::of(loop).run(std::move(program), config.timeout,
                                         [weak = weak_from_this()](const health::ProgramResult& result) {
                                           const auto self = weak.lock();
                                           if (!self) return;
                                           log_end(self->config, result);
                                           self->run.reset();
                                           self->run_next();
                                         });
  }

  [[nodiscard]] const std::string& name() const {
    return config.program.empty() ? config.path : config.program.front();
  }

  boost::asio::io_context& loop;
  HookConfig config;
  std::string instance;
  std::deque<HookEvent> waiting;
  std::unique_ptr<health::ProgramRun> run;
  std::size_t lost = 0;
};

Hooks::Hooks(boost::asio::io_context& loop, std::string instance) : loop_(loop), instance_(std::move(instance)) {}

Hooks::~Hooks() = default;

Result<void> Hooks::check(const std::vector<HookConfig>& hooks) {
  for (const HookConfig& hook : hooks) {
    if (hook.program.empty()) continue;
    const std::string& path = hook.program.front();
    struct stat info{};
    if (stat(path.c_str(), &info) != 0) {
      return fail(ErrorKind::invalid, "hooks: {}: {}", path, std::strerror(errno));
    }
    if (!S_ISREG(info.st_mode) || (info.st_mode & 0111) == 0) {
      return fail(ErrorKind::invalid, "hooks: {} is not a program: chmod +x it", path);
    }
    const auto user = health::find_program_user(hook.user);
    if (!user) return tl::make_unexpected(user.error().in("hooks"));
    if (user->uid != 0) continue;
    if (const auto safe = health::check_only_root_may_change(path); !safe)
      return tl::make_unexpected(safe.error().in("hooks"));
  }
  return {};
}

void Hooks::set(const std::vector<HookConfig>& hooks) {
  std::vector<std::shared_ptr<Hook>> next;
  for (const HookConfig& config : hooks) {
    const auto known =
        std::find_if(hooks_.begin(), hooks_.end(), [&](const auto& hook) { return hook && hook->config == config; });
    next.push_back(known == hooks_.end() ? std::make_shared<Hook>(loop_, config, instance_) : std::move(*known));
  }
  hooks_ = std::move(next);
}

void Hooks::announce(const HookEvent& event) {
  for (const auto& hook : hooks_) hook->announce(event);
}

}  // namespace xlvs::agent
