// SPDX-License-Identifier: Apache-2.0
#include "health/http_prober.h"

#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "health/curl_loop.h"
#include "health/deadline.h"
#include "health/probers.h"

namespace xlvs::health {
namespace {

using Clock = std::chrono::steady_clock;

constexpr long kCaCacheSeconds = 60;     // how long libcurl keeps a parsed CA file; then a changed one is noticed
constexpr std::size_t kMaxField = 1024;  // bytes of a wanted header's value

// The request target is sent as it is; what would end or split the request line is percent-encoded.
std::string request_target(const std::string& path) {
  std::string target;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    target += byte <= 0x20 || byte >= 0x7f ? fmt::format("%{:02X}", byte) : std::string(1, c);
  }
  return target;
}

struct Headers {
  Headers() = default;
  Headers(const Headers&) = delete;
  Headers& operator=(const Headers&) = delete;
  ~Headers() { curl_slist_free_all(list); }
  void add(const std::string& name, const std::string& value) {
    // "Name;" is libcurl's spelling of a header without a value.
    list = curl_slist_append(list, (value.empty() ? name + ";" : name + ": " + value).c_str());
  }
  curl_slist* list = nullptr;
};

class HttpProber final : public Prober {
 public:
  HttpProber(boost::asio::io_context& loop, const HttpRequest& request, std::unique_ptr<const HttpJudge> judge);
  HttpProber(const HttpProber&) = delete;
  HttpProber& operator=(const HttpProber&) = delete;
  ~HttpProber() override;

  void start(std::chrono::milliseconds timeout, std::function<void(ProbeResult)> done) override;

 private:
  void set_request(const HttpRequest& request);
  void set_headers(const HttpRequest& request);
  void set_bounds();
  void set_tls(const TlsOptions& tls);
  static curl_socket_t on_open(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int on_socket(void* self, curl_socket_t socket, curlsocktype purpose);
  static std::size_t on_header(const char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(const char* data, std::size_t size, std::size_t count, void* self);

  void keep_field(std::string_view line);
  void look_at_certificate();
  void finish(CURLcode code);
  [[nodiscard]] ProbeResult judge(CURLcode code);
  [[nodiscard]] ProbeResult transfer_failure(CURLcode code) const;

  CurlLoop& curl_;
  CURL* easy_;
  Headers headers_;
  curl_slist* connect_to_ = nullptr;
  std::unique_ptr<const HttpJudge> judge_;
  std::optional<TlsOptions> tls_;
  Family family_;
  std::uint32_t mark_;
  bool http2_;
  std::vector<std::string> wanted_fields_;
  char error_[CURL_ERROR_SIZE] = "";

  // Of the running probe.
  std::function<void(ProbeResult)> done_;
  std::chrono::milliseconds timeout_{0};
  Clock::time_point begin_;
  Deadline deadline_;
  bool late_ = false;   // the loop was
  int open_error_ = 0;  // of its socket
  std::size_t header_bytes_ = 0;
  bool headers_complete_ = false;
  HttpReply reply_;
  std::optional<std::chrono::system_clock::time_point> certificate_end_;
};

HttpProber::HttpProber(boost::asio::io_context& loop, const HttpRequest& request,
                       std::unique_ptr<const HttpJudge> judge)
    : curl_(CurlLoop::of(loop)),
      easy_(curl_easy_init()),
      judge_(std::move(judge)),
      tls_(request.tls),
      family_(request.endpoint.address.family()),
      mark_(request.mark),
      http2_(request.http2),
      wanted_fields_(request.wanted_fields),
      deadline_(loop) {
  if (easy_ == nullptr) std::abort();
  set_bounds();
  set_request(request);
  set_headers(request);
  if (tls_) set_tls(*tls_);
}

HttpProber::~HttpProber() {
  curl_.cancel(easy_);
  curl_easy_cleanup(easy_);
  curl_slist_free_all(connect_to_);
}

void HttpProber::set_request(const HttpRequest& request) {
  const std::string address = request.endpoint.to_string();
  const std::string name =
      tls_ && !tls_->server_name.empty() ? fmt::format("{}:{}", tls_->server_name, request.endpoint.port) : address;
  connect_to_ = curl_slist_append(nullptr, ("::" + address).c_str());  // whatever the URL names: connect to this
  curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_);
  curl_easy_setopt(easy_, CURLOPT_URL, fmt::format("{}://{}/", tls_ ? "https" : "http", name).c_str());
  curl_easy_setopt(easy_, CURLOPT_REQUEST_TARGET, request_target(request.path).c_str());
  if (request.body) {
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body->size()));
    curl_easy_setopt(easy_, CURLOPT_COPYPOSTFIELDS, request.body->data());
  } else if (request.method == "HEAD") {
    curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
  } else {
    curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  long version = CURL_HTTP_VERSION_1_1;
  if (http2_) version = tls_ ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, version);
}

void HttpProber::set_headers(const HttpRequest& request) {
  bool named = !request.host.empty();
  if (named) headers_.add("Host", request.host);
  for (const auto& [name, value] : request.headers) {
    const bool is_host = strcasecmp(name.c_str(), "host") == 0;
    if (!is_host || !named) headers_.add(name, value);
    named = named || is_host;
  }
  if (!named && (!tls_ || tls_->server_name.empty())) headers_.add("Host", request.endpoint.to_string());
  if (!http2_) headers_.add("Connection", "close");  // which HTTP/2 does not have
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_.list);
  curl_easy_setopt(easy_, CURLOPT_USERAGENT, "lvsd");
}

void HttpProber::set_bounds() {
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy_, CURLOPT_PROXY, "");  // whatever the environment says
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy_, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(easy_, CURLOPT_OPENSOCKETFUNCTION, &HttpProber::on_open);
  curl_easy_setopt(easy_, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy_, CURLOPT_SOCKOPTFUNCTION, &HttpProber::on_socket);
  curl_easy_setopt(easy_, CURLOPT_SOCKOPTDATA, this);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &HttpProber::on_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &HttpProber::on_body);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
}

void HttpProber::set_tls(const TlsOptions& tls) {
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
  curl_easy_setopt(easy_, CURLOPT_CAINFO, tls.ca_file.c_str());
  curl_easy_setopt(easy_, CURLOPT_CAPATH, nullptr);
  curl_easy_setopt(easy_, CURLOPT_CA_CACHE_TIMEOUT, kCaCacheSeconds);
  curl_easy_setopt(easy_, CURLOPT_SSL_SESSIONID_CACHE, 0L);
}

void HttpProber::start(std::chrono::milliseconds timeout, std::function<void(ProbeResult)> done) {
  done_ = std::move(done);
  timeout_ = timeout;
  begin_ = Clock::now();
  header_bytes_ = 0;
  headers_complete_ = false;
  reply_ = {};
  certificate_end_.reset();
  error_[0] = '\0';
  // libcurl's own limit is beyond the longest that the deadline may move to.
  const auto limit = (Deadline::kMost + 2) * timeout + std::chrono::seconds(2);
  curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limit.count()));
  late_ = false;
  open_error_ = 0;
  deadline_.start(timeout, [this](bool late) {
    late_ = late;
    curl_.cancel(easy_);
    finish(CURLE_OPERATION_TIMEDOUT);
  });
  curl_.start(easy_, [this](CURLcode code) { finish(code); });
}

// As libcurl does it, which does not tell why it could not.
curl_socket_t HttpProber::on_open(void* self, curlsocktype /*purpose*/, curl_sockaddr* address) {
  const int fd = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) static_cast<HttpProber*>(self)->open_error_ = errno;
  return fd < 0 ? CURL_SOCKET_BAD : fd;
}

int HttpProber::on_socket(void* self, curl_socket_t socket, curlsocktype /*purpose*/) {
  auto& prober = *static_cast<HttpProber*>(self);
  if (prepare_socket(socket, prober.family_, prober.mark_)) return CURL_SOCKOPT_OK;
  prober.open_error_ = errno;
  return CURL_SOCKOPT_ERROR;
}

std::size_t HttpProber::on_header(const char* data, std::size_t size, std::size_t count, void* self) {
  auto& prober = *static_cast<HttpProber*>(self);
  const std::size_t length = size * count;
  if (prober.header_bytes_ == 0) prober.look_at_certificate();
  prober.header_bytes_ += length;
  if (prober.header_bytes_ > kMaxHeaders) return 0;  // ends the transfer
  const bool blank = length <= 2 && (data[0] == '\r' || data[0] == '\n');
  long status = 0;
  curl_easy_getinfo(prober.easy_, CURLINFO_RESPONSE_CODE, &status);
  prober.headers_complete_ = prober.headers_complete_ || (blank && status >= 200);  // 1xx: others follow
  if (!blank) prober.keep_field({data, length});
  return length;
}

void HttpProber::keep_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  for (const std::string& wanted : wanted_fields_) {
    if (colon != wanted.size() || strncasecmp(line.data(), wanted.data(), colon) != 0) continue;
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    reply_.fields[wanted] = value.substr(0, std::min(value.find_last_not_of(" \t\r\n") + 1, kMaxField));
  }
}

// Only while the transfer goes on can it be asked for.
void HttpProber::look_at_certificate() {
  curl_tlssessioninfo* session = nullptr;
  if (!tls_ || curl_easy_getinfo(easy_, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK || session == nullptr) return;
  if (session->backend != CURLSSLBACKEND_OPENSSL || session->internals == nullptr) return;
  certificate_end_ = certificate_end(static_cast<const SSL*>(session->internals));
}

std::size_t HttpProber::on_body(const char* data, std::size_t size, std::size_t count, void* self) {
  auto& prober = *static_cast<HttpProber*>(self);
  HttpReply& reply = prober.reply_;
  const std::size_t length = std::min(size * count, kMaxBody - reply.body_bytes);
  reply.body_bytes += length;
  if (prober.judge_->reads_body()) reply.body.append(data, length);
  return reply.cut() ? 0 : length;  // 0: enough, ends the transfer
}

void HttpProber::finish(CURLcode code) {
  deadline_.cancel();
  ProbeResult result = late_ ? too_late() : judge(code);
  if (tls_) result = with_certificate(std::move(result), certificate_end_, tls_->min_days);
  result.latency = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin_);
  reply_ = {};  // up to a MiB, which an idle check need not keep
  const auto done = std::exchange(done_, nullptr);
  done(std::move(result));
}

ProbeResult HttpProber::judge(CURLcode code) {
  if (header_bytes_ > kMaxHeaders) return {false, "too_large", fmt::format("headers exceed {} bytes", kMaxHeaders), {}};
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &reply_.status);
  long version = 0;
  curl_easy_getinfo(easy_, CURLINFO_HTTP_VERSION, &version);
  if (http2_ && headers_complete_ && version != CURL_HTTP_VERSION_2_0) {
    return {false, "protocol", "the server speaks HTTP/1, not HTTP/2", {}};
  }
  if (headers_complete_) {
    if (auto result = judge_->judge_status(reply_.status)) return *result;
  }
  if (code != CURLE_OK && !reply_.cut()) return transfer_failure(code);
  if (!headers_complete_) return {false, "protocol", "the reply ended within its headers", {}};
  return judge_->judge(reply_);
}

ProbeResult HttpProber::transfer_failure(CURLcode code) const {
  const std::string detail = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
  if (open_error_ != 0) return connect_failure(open_error_);
  switch (code) {
    case CURLE_COULDNT_CONNECT: {
      long error_number = 0;
      curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &error_number);
      return connect_failure(static_cast<int>(error_number));
    }
    case CURLE_OPERATION_TIMEDOUT: {
      curl_off_t connected = 0;
      curl_easy_getinfo(easy_, CURLINFO_CONNECT_TIME_T, &connected);
      return {false,
              "timeout",
              fmt::format("{} within {} ms", connected == 0 ? "no connection" : "connected, but no complete reply",
                          timeout_.count()),
              {}};
    }
    case CURLE_SSL_CACERT_BADFILE:  // it is there and good: then there was no descriptor to read it
      if (tls_ && ::access(tls_->ca_file.c_str(), R_OK) == 0) return lack_of_resources(detail);
      return {false, "error", detail, {}};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return {false, "certificate", detail, {}};
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
      return {false, "tls", detail, {}};
    case CURLE_OUT_OF_MEMORY:  // how libcurl reports a header line beyond its limit of 100 KiB
      return {false, "too_large", "a header line is too long", {}};
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return {false, "protocol", detail, {}};
    default:
      return {false, "error", detail, {}};
  }
}

}  // namespace

std::unique_ptr<Prober> make_http_prober(boost::asio::io_context& loop, const HttpRequest& request,
                                         std::unique_ptr<const HttpJudge> judge) {
  return std::make_unique<HttpProber>(loop, request, std::move(judge));
}

}  // namespace xlvs::health
