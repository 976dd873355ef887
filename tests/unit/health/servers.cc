// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/health/servers.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "core/check_type.h"

namespace xlvs::health::test {
namespace {

namespace asio = boost::asio;
using asio::use_awaitable;
using Clock = std::chrono::steady_clock;

template <typename Socket>
Endpoint endpoint_of(const Socket& socket) {
  const auto local = socket.local_endpoint();
  return {IpAddress::parse(local.address().to_string()).value(), local.port()};
}

// A client that goes away ends its script, nothing more.
awaitable<void> run_script(Server::Script script, tcp::socket socket) {
  try {
    co_await script(std::move(socket));
  } catch (const boost::system::system_error&) {
  }
}

awaitable<void> accept_all(tcp::acceptor& acceptor, Server::Script script, std::shared_ptr<int> connections) {
  for (;;) {
    auto [error, socket] = co_await acceptor.async_accept(asio::as_tuple(use_awaitable));
    if (error) co_return;
    ++*connections;
    const auto executor = socket.get_executor();
    asio::co_spawn(executor, run_script(script, std::move(socket)), asio::detached);
  }
}

awaitable<void> answer_datagrams(asio::ip::udp::socket& socket, UdpServer::Script script,
                                 std::shared_ptr<std::vector<std::string>> received) {
  std::array<char, 65536> buffer{};
  for (;;) {
    asio::ip::udp::endpoint from;
    auto [error, length] =
        co_await socket.async_receive_from(asio::buffer(buffer), from, asio::as_tuple(use_awaitable));
    if (error) co_return;
    received->emplace_back(buffer.data(), length);
    for (const std::string& reply : script(received->back())) {
      co_await socket.async_send_to(asio::buffer(reply), from, asio::as_tuple(use_awaitable));
    }
  }
}

awaitable<void> pause_for(tcp::socket& socket, std::chrono::milliseconds time) {
  asio::steady_timer timer(socket.get_executor(), time);
  co_await timer.async_wait(use_awaitable);
}

template <typename Stream>
awaitable<std::string> read_head(Stream& stream) {
  std::string request;
  auto [error, length] =
      co_await asio::async_read_until(stream, asio::dynamic_buffer(request), "\r\n\r\n", asio::as_tuple(use_awaitable));
  co_return error ? "" : request.substr(0, length);
}

}  // namespace

Server::Server(asio::io_context& loop, Script script, const std::string& address, std::uint16_t port)
    : acceptor_(loop, tcp::endpoint(asio::ip::make_address(address), port)) {
  asio::co_spawn(loop, accept_all(acceptor_, std::move(script), connections_), asio::detached);
}

Endpoint Server::endpoint() const {
  return endpoint_of(acceptor_);
}

UdpServer::UdpServer(asio::io_context& loop, Script script)
    : socket_(loop, asio::ip::udp::endpoint(asio::ip::make_address("127.0.0.1"), 0)) {
  asio::co_spawn(loop, answer_datagrams(socket_, std::move(script), received_), asio::detached);
}

Endpoint UdpServer::endpoint() const {
  return endpoint_of(socket_);
}

awaitable<std::string> read_request(tcp::socket& socket) {
  return read_head(socket);
}

Server::Script answer(std::string reply, std::vector<std::string>* seen) {
  return [reply = std::move(reply), seen](tcp::socket socket) -> awaitable<void> {
    const std::string request = co_await read_request(socket);
    if (seen != nullptr) seen->push_back(request);
    co_await asio::async_write(socket, asio::buffer(reply), use_awaitable);
  };
}

std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string with_status(int status) {
  return "HTTP/1.1 " + std::to_string(status) + " Whatever\r\nContent-Length: 0\r\nLocation: /elsewhere\r\n\r\n";
}

Server::Script never_answer() {
  return [](tcp::socket socket) -> awaitable<void> {
    while (!(co_await read_request(socket)).empty()) {
    }
  };
}

Server::Script say(std::vector<std::string> parts, Afterwards afterwards, std::chrono::milliseconds pause) {
  return [parts = std::move(parts), afterwards, pause](tcp::socket socket) -> awaitable<void> {
    for (const std::string& part : parts) {
      co_await asio::async_write(socket, asio::buffer(part), use_awaitable);
      if (pause.count() > 0) co_await pause_for(socket, pause);
    }
    if (afterwards == Afterwards::reset) {
      socket.set_option(tcp::socket::linger(true, 0));
      socket.close();  // at once: the destructor would take linger back
      co_return;
    }
    std::array<char, 256> ignored{};
    while (afterwards == Afterwards::silence) co_await socket.async_read_some(asio::buffer(ignored), use_awaitable);
  };
}

Server::Script say_endlessly(std::string part, std::chrono::milliseconds pause) {
  return [part = std::move(part), pause](tcp::socket socket) -> awaitable<void> {
    for (;;) {
      co_await asio::async_write(socket, asio::buffer(part), use_awaitable);
      if (pause.count() > 0) co_await pause_for(socket, pause);
    }
  };
}

Server::Script answer_to(std::string expected, std::string reply) {
  return [expected = std::move(expected), reply = std::move(reply)](tcp::socket socket) -> awaitable<void> {
    std::string request(expected.size(), '\0');
    co_await asio::async_read(socket, asio::buffer(request), use_awaitable);
    const std::string answer = request == expected ? reply : "?";
    co_await asio::async_write(socket, asio::buffer(answer), use_awaitable);
  };
}

Certificate::Certificate(const std::string& names, std::chrono::seconds valid) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> x509(X509_new(), X509_free);
  X509_set_version(x509.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509.get()), -7200);
  X509_gmtime_adj(X509_getm_notAfter(x509.get()), valid.count());
  X509_set_pubkey(x509.get(), key.get());
  X509_NAME* subject = X509_get_subject_name(x509.get());
  const std::string common_name = "check test";
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             static_cast<const unsigned char*>(static_cast<const void*>(common_name.c_str())), -1, -1,
                             0);
  X509_set_issuer_name(x509.get(), subject);
  X509_EXTENSION* alternatives = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
  X509_add_ext(x509.get(), alternatives, -1);
  X509_EXTENSION_free(alternatives);
  if (X509_sign(x509.get(), key.get(), EVP_sha256()) == 0) throw std::runtime_error("signing");

  file = ::testing::TempDir() + "xlvs-check-XXXXXX";
  const int fd = mkstemp(file.data());
  FILE* out = fdopen(fd, "w");
  if (out == nullptr) throw std::runtime_error("writing " + file);
  PEM_write_X509(out, x509.get());
  PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(out);
}

Certificate::~Certificate() {
  unlink(file.c_str());
}

Server::Script answer_tls(const Certificate& certificate, std::string reply, std::vector<std::string>* server_names) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  context->use_certificate_chain_file(certificate.file);
  context->use_private_key_file(certificate.file, asio::ssl::context::pem);
  return [context, reply = std::move(reply), server_names](tcp::socket socket) -> awaitable<void> {
    asio::ssl::stream<tcp::socket> stream(std::move(socket), *context);
    co_await stream.async_handshake(asio::ssl::stream_base::server, use_awaitable);
    const char* name = SSL_get_servername(stream.native_handle(), TLSEXT_NAMETYPE_host_name);
    if (server_names != nullptr) server_names->emplace_back(name == nullptr ? "" : name);
    co_await read_head(stream);
    co_await asio::async_write(stream, asio::buffer(reply), use_awaitable);
    co_await stream.async_shutdown(asio::as_tuple(use_awaitable));
  };
}

// A queue of length 0 takes one connection; the kernel drops the SYNs of all others.
SilentListener::SilentListener(asio::io_context& loop) : acceptor_(loop) {
  const tcp::endpoint any(asio::ip::make_address("127.0.0.1"), 0);
  acceptor_.open(any.protocol());
  acceptor_.bind(any);
  acceptor_.listen(0);
  for (int i = 0; i < 3; ++i) {
    auto& socket = fillers_.emplace_back(std::make_unique<tcp::socket>(loop));
    socket->async_connect(acceptor_.local_endpoint(), [](boost::system::error_code) {});
  }
}

Endpoint SilentListener::endpoint() const {
  return endpoint_of(acceptor_);
}

Endpoint closed_port(asio::io_context& loop) {
  const tcp::acceptor acceptor(loop, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
  return endpoint_of(acceptor);
}

Endpoint closed_udp_port(asio::io_context& loop) {
  const asio::ip::udp::socket socket(loop, asio::ip::udp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
  return endpoint_of(socket);
}

void HealthTest::run_until(const std::string& what, const std::function<bool()>& condition) {
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (Clock::now() >= deadline) FAIL() << "not in time: " << what;
    loop_.restart();
    loop_.run_one_until(std::min(deadline, Clock::now() + std::chrono::milliseconds(50)));
  }
}

void HealthTest::run_for(std::chrono::milliseconds time) {
  loop_.restart();
  loop_.run_for(time);
}

CheckSpec HealthTest::spec(const std::string& type, std::map<std::string, CheckValue> params) {
  CheckSpec spec;
  spec.type = type;
  spec.params = std::move(params);
  for (const CheckParam& param : find_check_type(type)->params) {
    if (param.default_value) spec.params.emplace(std::string(param.name), *param.default_value);
  }
  return spec;
}

std::unique_ptr<Prober> HealthTest::make_prober(const Endpoint& endpoint, const CheckSpec& spec) {
  const auto types = prober_types();
  const auto type = std::find_if(types.begin(), types.end(), [&](const auto& row) { return row.name == spec.type; });
  return type->make(loop_, {endpoint, spec});
}

ProbeResult HealthTest::probe(const Endpoint& endpoint, const CheckSpec& spec, std::chrono::milliseconds timeout) {
  std::optional<ProbeResult> result;
  const auto prober = make_prober(endpoint, spec);
  prober->start(timeout, [&](ProbeResult it) {
    EXPECT_FALSE(result) << "reported twice";
    result = std::move(it);
  });
  EXPECT_FALSE(result) << "reported from within start()";
  run_until("the probe's end", [&] { return result.has_value(); });
  return result.value_or(ProbeResult{});
}

}  // namespace xlvs::health::test
