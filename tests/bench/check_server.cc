// SPDX-License-Identifier: Apache-2.0
#include "check_server.h"

#include <arpa/inet.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <utility>

namespace xlvs::bench {
namespace {

constexpr std::string_view kReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

int listen_on(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  const void* any = &address;
  if (bind(fd, static_cast<const sockaddr*>(any), sizeof address) != 0 || listen(fd, 65535) != 0) return -1;
  return fd;
}

void watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

// Requests are a few hundred bytes from loopback: they come whole, and so does the reply.
void answer(int fd) {
  std::array<char, 2048> request{};
  if (read(fd, request.data(), request.size()) > 0) {
    (void)!write(fd, kReply.data(), kReply.size());
  }
  close(fd);
}

[[noreturn]] void serve(int tcp, int http) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, tcp);
  watch(epoll, http);
  std::array<epoll_event, 256> events{};
  for (;;) {
    const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd != tcp && fd != http) {
        answer(fd);
        continue;
      }
      for (int client = 0; (client = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        if (fd == tcp) {
          close(client);
        } else {
          watch(epoll, client);
        }
      }
    }
  }
}

}  // namespace

Result<void> pin_to_cpu(unsigned cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    return fail(ErrorKind::invalid, "pin to CPU {}: {}", cpu, std::strerror(errno));
  return {};
}

Result<CheckServer> CheckServer::start(unsigned cpu, std::uint16_t tcp_port, std::uint16_t http_port) {
  const int tcp = listen_on(tcp_port);
  const int http = listen_on(http_port);
  if (tcp < 0 || http < 0) return fail(ErrorKind::unavailable, "listen: {}", std::strerror(errno));
  const pid_t pid = fork();
  if (pid < 0) return fail(ErrorKind::unavailable, "fork: {}", std::strerror(errno));
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)pin_to_cpu(cpu);
    serve(tcp, http);
  }
  close(tcp);
  close(http);
  return CheckServer(pid);
}

CheckServer::CheckServer(CheckServer&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

CheckServer::~CheckServer() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

}  // namespace xlvs::bench
