// SPDX-License-Identifier: Apache-2.0
// A client that may be as rude as a test needs it: bytes out, bytes in. Every wait ends after ten seconds.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace xlvs::control {

class RawClient {
 public:
  explicit RawClient(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  explicit RawClient(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }

  // False when the server has closed.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void finish_sending() { shutdown(fd_, SHUT_WR); }

  // One response with a Content-Length; what came when the server closed or time ran out.
  std::string response() {
    while (!complete() && receive()) {
    }
    const std::size_t size = complete() ? head_size() + content_length() : buffer_.size();
    std::string text = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return text;
  }
  std::string request(std::string_view text) { return send(text) ? response() : response(); }

  // Has the server closed? Waits for it.
  bool closed_within(int milliseconds) {
    pollfd poller{fd_, POLLIN, 0};
    while (poll(&poller, 1, milliseconds) == 1) {
      char scrap[4096];
      if (recv(fd_, scrap, sizeof(scrap), 0) <= 0) return true;
    }
    return false;
  }

 private:
  bool receive() {
    pollfd poller{fd_, POLLIN, 0};
    if (poll(&poller, 1, 10'000) != 1) return false;
    char chunk[65536];
    const ssize_t size = recv(fd_, chunk, sizeof(chunk), 0);
    if (size <= 0) return false;
    buffer_.append(chunk, static_cast<std::size_t>(size));
    return true;
  }
  [[nodiscard]] std::size_t head_size() const {
    const std::size_t end = buffer_.find("\r\n\r\n");
    return end == std::string::npos ? std::string::npos : end + 4;
  }
  [[nodiscard]] std::size_t content_length() const {
    const std::string name = "Content-Length: ";
    const std::size_t at = buffer_.find(name);
    return at == std::string::npos || at > head_size() ? 0 : std::stoul(buffer_.substr(at + name.size()));
  }
  [[nodiscard]] bool complete() const {
    return head_size() != std::string::npos && buffer_.size() >= head_size() + content_length();
  }

  int fd_;
  bool connected_ = false;
  std::string buffer_;
};

}  // namespace xlvs::control
