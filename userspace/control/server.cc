// SPDX-License-Identifier: Apache-2.0
#include "control/server.h"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "control/http_server.h"
#include "control/peer.h"

namespace xlvs::control {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;

constexpr mode_t kSocketMode = 0660;
constexpr unsigned kTcpRequests = 20;  // per second: whoever reads without a pause takes no time from the checks

template <typename Acceptor>
HttpServer::Acceptor to_generic(Acceptor acceptor) {
  const asio::generic::stream_protocol protocol(acceptor.local_endpoint().protocol());
  return {acceptor.get_executor(), protocol, acceptor.release()};
}

// ---- UNIX
// ------------------------------------------------------------------------------------------------------------

Result<sockaddr_un> socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return fail(ErrorKind::invalid,
                "socket path '{}' has {} characters; the kernel takes 1 to {} (use a shorter "
                "--run-dir)",
                path, path.size(), sizeof(address.sun_path) - 1);
  }
  path.copy(address.sun_path, path.size());
  return address;
}

// Without waiting: a listener whose backlog is full is alive, too.
bool somebody_listens(const sockaddr_un& address) {
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return true;
  const int failed = connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const bool dead = failed != 0 && (errno == ECONNREFUSED || errno == ENOENT);
  close(probe);
  return !dead;
}

// Makes room for bind(): removes a socket file that its owner left behind.
Result<void> take_over(const std::string& path, const sockaddr_un& address) {
  struct stat file{};
  if (lstat(path.c_str(), &file) != 0) {
    if (errno == ENOENT) return {};
    return fail(ErrorKind::unavailable, "socket {}: {}", path, std::strerror(errno));
  }
  if (!S_ISSOCK(file.st_mode)) {
    return fail(ErrorKind::conflict, "{} exists and is not a socket; move it away", path);
  }
  if (somebody_listens(address)) {
    return fail(ErrorKind::conflict, "another lvsd listens on {}; stop it, or use another --instance", path);
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail(ErrorKind::permission, "can not remove the stale socket {}: {}", path, std::strerror(errno));
  }
  return {};
}

// Bound, but not listening yet: until then nobody can connect, so that the mode is right before the first peer comes.
Result<Local::acceptor> bind_unix(asio::io_context& loop, const std::string& path) {
  const auto address = socket_address(path);
  if (!address) return tl::make_unexpected(address.error());
  if (auto free = take_over(path, *address); !free) return tl::make_unexpected(free.error());
  Local::acceptor acceptor(loop);
  boost::system::error_code error;
  acceptor.open(Local(), error);
  if (!error) acceptor.bind(Local::endpoint(path), error);
  if (!error && chmod(path.c_str(), kSocketMode) != 0) error.assign(errno, boost::system::system_category());
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) return acceptor;
  const bool denied = error == asio::error::access_denied || error == asio::error::no_permission;
  return fail(denied ? ErrorKind::permission : ErrorKind::unavailable, "can not listen on {}: {}", path,
              error.message());
}

// Asks the file anew each time: an administrator may chgrp it while lvsd runs.
Result<void> admit_peer(int socket, const std::string& path) {
  const auto peer = peer_of(socket);
  if (!peer) return tl::make_unexpected(peer.error());
  struct stat file{};
  const bool known = stat(path.c_str(), &file) == 0;
  if (may_control(*peer, geteuid(), known ? file.st_gid : getegid())) return {};
  return fail(ErrorKind::permission, "user {} may not control lvsd; be root or in group {}", peer->uid, file.st_gid);
}

class UnixServer final : public Server {
 public:
  UnixServer(asio::io_context& loop, Local::acceptor acceptor, const std::string& path, Operations& operations,
             const ServerOptions& options)
      : path_(path),
        http_(loop, to_generic(std::move(acceptor)), operations, Access::control, options,
              [path](int socket) { return admit_peer(socket, path); }) {
    stat(path_.c_str(), &file_);
  }
  ~UnixServer() override {  // only our own: after a takeover the path may be somebody else's
    struct stat now{};
    if (lstat(path_.c_str(), &now) == 0 && now.st_dev == file_.st_dev && now.st_ino == file_.st_ino) {
      unlink(path_.c_str());
    }
  }
  [[nodiscard]] std::string where() const override { return path_; }

 private:
  std::string path_;
  struct stat file_{};
  HttpServer http_;
};

// ---- TCP
// -------------------------------------------------------------------------------------------------------------

Tcp::endpoint tcp_endpoint(const Endpoint& endpoint) {
  const auto bytes = endpoint.address.bytes();
  if (endpoint.address.is_v4()) {
    asio::ip::address_v4::bytes_type v4{};
    std::copy(bytes.begin(), bytes.end(), v4.begin());
    return {asio::ip::address_v4(v4), endpoint.port};
  }
  asio::ip::address_v6::bytes_type v6{};
  std::copy(bytes.begin(), bytes.end(), v6.begin());
  return {asio::ip::address_v6(v6), endpoint.port};
}

std::string to_text(const Tcp::endpoint& endpoint) {
  const auto address = endpoint.address().to_string();
  return fmt::format(fmt::runtime(endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}"), address, endpoint.port());
}

class TcpServer final : public Server {
 public:
  TcpServer(asio::io_context& loop, Tcp::acceptor acceptor, Operations& operations, const ServerOptions& options)
      : where_(to_text(acceptor.local_endpoint())),
        http_(loop, to_generic(std::move(acceptor)), operations, Access::read_only, options,
              [](int) { return Result<void>(); }) {}
  [[nodiscard]] std::string where() const override { return where_; }

 private:
  std::string where_;
  HttpServer http_;
};

}  // namespace

Result<std::unique_ptr<Server>> serve_unix(asio::io_context& loop, const std::string& path, Operations& operations,
                                           const ServerOptions& options) {
  auto acceptor = bind_unix(loop, path);
  if (!acceptor) return tl::make_unexpected(acceptor.error());
  return std::make_unique<UnixServer>(loop, std::move(*acceptor), path, operations, options);
}

Result<std::unique_ptr<Server>> serve_tcp(asio::io_context& loop, const Endpoint& endpoint, Operations& operations,
                                          const ServerOptions& options) {
  const auto wanted = tcp_endpoint(endpoint);
  Tcp::acceptor acceptor(loop);
  boost::system::error_code error;
  acceptor.open(wanted.protocol(), error);
  if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error && wanted.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor.bind(wanted, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    const auto kind = error == asio::error::address_in_use  ? ErrorKind::conflict
                      : error == asio::error::access_denied ? ErrorKind::permission
                                                            : ErrorKind::unavailable;
    return fail(kind, "can not serve metrics on {}: {} (key `metrics` of the configuration)", to_text(wanted),
                error.message());
  }
  ServerOptions limits = options;
  if (limits.requests_per_second == 0) limits.requests_per_second = kTcpRequests;
  limits.body_bytes = std::min<std::size_t>(limits.body_bytes, 4096);  // nothing here takes a body
  return std::make_unique<TcpServer>(loop, std::move(acceptor), operations, limits);
}

}  // namespace xlvs::control
