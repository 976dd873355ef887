// SPDX-License-Identifier: Apache-2.0
#include "agent/notify.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "tests/unit/agent/temporary.h"

namespace xlvs::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace std::chrono_literals;

// The other end of $NOTIFY_SOCKET.
class Systemd {
 public:
  Systemd() : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const std::string path = directory_ / "notify";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) std::abort();
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  Systemd(const Systemd&) = delete;
  Systemd& operator=(const Systemd&) = delete;
  ~Systemd() {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    close(fd_);
  }
  std::string heard() const {
    char text[512];
    const ssize_t size = recv(fd_, text, sizeof(text), 0);
    return size < 0 ? "" : std::string(text, static_cast<std::size_t>(size));
  }

 private:
  TemporaryDirectory directory_;
  int fd_;
};

TEST(Notifier, TellsTheLifeOfADaemon) {
  const Systemd systemd;
  boost::asio::io_context loop;
  Notifier notifier(loop);
  notifier.ready("3 services");
  EXPECT_EQ(systemd.heard(), "READY=1\nSTATUS=3 services");
  notifier.reloading();
  EXPECT_THAT(systemd.heard(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
  notifier.stopping();
  EXPECT_EQ(systemd.heard(), "STOPPING=1");
  EXPECT_EQ(systemd.heard(), "");  // no watchdog was asked for
}

TEST(Notifier, FeedsTheWatchdogFromTheLoop) {
  const Systemd systemd;
  setenv("WATCHDOG_USEC", "60000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  boost::asio::io_context loop;
  Notifier notifier(loop);
  notifier.ready("");
  EXPECT_THAT(systemd.heard(), HasSubstr("READY=1"));
  EXPECT_EQ(systemd.heard(), "WATCHDOG=1");
  EXPECT_EQ(systemd.heard(), "");
  loop.run_one_for(5s);  // 20 ms
  EXPECT_EQ(systemd.heard(), "WATCHDOG=1");
}

TEST(Notifier, DoesNotFeedTheWatchdogForAThreadThatHangs) {
  const Systemd systemd;
  setenv("WATCHDOG_USEC", "60000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  boost::asio::io_context loop;
  bool alive = false;
  Notifier notifier(loop, [&] { return alive; });
  notifier.ready("");
  EXPECT_THAT(systemd.heard(), HasSubstr("READY=1"));
  loop.run_one_for(5s);
  EXPECT_EQ(systemd.heard(), "");
  alive = true;
  loop.restart();
  loop.run_one_for(5s);
  EXPECT_EQ(systemd.heard(), "WATCHDOG=1");
}

TEST(Notifier, IsSilentWithoutSystemd) {
  boost::asio::io_context loop;
  Notifier notifier(loop);
  notifier.ready("");
  notifier.stopping();
  EXPECT_EQ(loop.poll(), 0U);
}

}  // namespace
}  // namespace xlvs::agent
