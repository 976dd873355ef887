// SPDX-License-Identifier: Apache-2.0
// Wakes a thread that waits in poll(2). Any thread.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

namespace xlvs::ha {

class EventFd {
 public:
  EventFd() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~EventFd() { close(fd_); }
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;
  void signal() const { (void)eventfd_write(fd_, 1); }
  void clear() const {
    eventfd_t value = 0;
    (void)eventfd_read(fd_, &value);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace xlvs::ha
