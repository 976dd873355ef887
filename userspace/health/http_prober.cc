// SPDX-License-Identifier: Apache-2.0
#include "health/http_prober.h"

#include <strings.h>

#include <algorithm>
#include <utility>

#include "health/curl_loop.h"
#include "health/probers.h"

namespace xlvs::health {
namespace {

using Clock = std::chrono::steady_clock;

// Where Debian, Fedora and their kin keep the CAs. Named, so that libcurl keeps the parsed file between checks: with a
// directory of certificates (its default) it would read the lot for each handshake, and hold up the event loop.
constexpr const char* kSystemCaFile = "/etc/ssl/certs/ca-certificates.crt";
constexpr long kCaCacheSeconds = 60;  // after which a changed file is noticed

// The request target is sent as it is; what would end or split the request line is percent-encoded.
std::string request_target(const std::string& path) {
  std::string target;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    target += byte <= 0x20 || byte >= 0x7f ? fmt::format("%{:02X}", byte) : std::string(1, c);
  }
  return target;
}

std::string to_string(const std::vector<StatusRange>& ranges) {
  std::string text;
  for (const StatusRange& range : ranges) {
    if (!text.empty()) text += ", ";
    text += range.first == range.last ? fmt::to_string(range.first) : fmt::format("{}-{}", range.first, range.last);
  }
  return text;
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
  HttpProber(boost::asio::io_context& loop, const ProbeTarget& target, const std::optional<TlsOptions>& tls);
  HttpProber(const HttpProber&) = delete;
  HttpProber& operator=(const HttpProber&) = delete;
  ~HttpProber() override;

  void start(std::chrono::milliseconds timeout, std::function<void(ProbeResult)> done) override;

 private:
  void set_request(const ProbeTarget& target, const std::optional<TlsOptions>& tls);
  void set_headers(const ProbeTarget& target, const std::optional<TlsOptions>& tls);
  void set_bounds();
  void set_tls(const TlsOptions& tls);
  static std::size_t on_header(const char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(const char* data, std::size_t size, std::size_t count, void* self);

  void finish(CURLcode code);
  [[nodiscard]] ProbeResult judge(CURLcode code) const;
  [[nodiscard]] ProbeResult judge_body() const;
  [[nodiscard]] ProbeResult transfer_failure(CURLcode code) const;
  [[nodiscard]] bool status_accepted(long status) const;

  CurlLoop& curl_;
  CURL* easy_;
  Headers headers_;
  curl_slist* connect_to_ = nullptr;
  std::vector<StatusRange> statuses_;
  std::string wanted_;  // in the body
  char error_[CURL_ERROR_SIZE] = "";

  // Of the running probe.
  std::function<void(ProbeResult)> done_;
  std::chrono::milliseconds timeout_{0};
  Clock::time_point begin_;
  std::size_t header_bytes_ = 0;
  bool headers_complete_ = false;
  std::size_t body_bytes_ = 0;
  std::string body_;  // kept only when something is wanted in it
};

HttpProber::HttpProber(boost::asio::io_context& loop, const ProbeTarget& target, const std::optional<TlsOptions>& tls)
    : curl_(CurlLoop::of(loop)), easy_(curl_easy_init()) {
  if (easy_ == nullptr) std::abort();
  if (const auto* status = parameter<std::vector<StatusRange>>(target.spec, "status")) statuses_ = *status;
  if (const auto* body = parameter<std::string>(target.spec, "body")) wanted_ = *body;
  set_request(target, tls);
  set_headers(target, tls);
  set_bounds();
  if (tls) set_tls(*tls);
}

HttpProber::~HttpProber() {
  curl_.cancel(easy_);
  curl_easy_cleanup(easy_);
  curl_slist_free_all(connect_to_);
}

void HttpProber::set_request(const ProbeTarget& target, const std::optional<TlsOptions>& tls) {
  const std::string address = target.endpoint.to_string();
  const std::string name =
      tls && !tls->server_name.empty() ? fmt::format("{}:{}", tls->server_name, target.endpoint.port) : address;
  connect_to_ = curl_slist_append(nullptr, ("::" + address).c_str());  // whatever the URL names: connect to this
  curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_);
  curl_easy_setopt(easy_, CURLOPT_URL, fmt::format("{}://{}/", tls ? "https" : "http", name).c_str());
  const auto* path = parameter<std::string>(target.spec, "path");
  curl_easy_setopt(easy_, CURLOPT_REQUEST_TARGET, request_target(path != nullptr ? *path : "/").c_str());
  const auto* method = parameter<std::string>(target.spec, "method");
  if (method != nullptr && *method == "HEAD") curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
}

void HttpProber::set_headers(const ProbeTarget& target, const std::optional<TlsOptions>& tls) {
  bool named = false;
  if (const auto* host = parameter<std::string>(target.spec, "host")) {
    headers_.add("Host", *host);
    named = true;
  }
  if (const auto* others = parameter<std::map<std::string, std::string>>(target.spec, "headers")) {
    for (const auto& [name, value] : *others) {
      const bool is_host = strcasecmp(name.c_str(), "host") == 0;
      if (!is_host || !named) headers_.add(name, value);
      named = named || is_host;
    }
  }
  if (!named && (!tls || tls->server_name.empty())) headers_.add("Host", target.endpoint.to_string());
  headers_.add("Connection", "close");
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_.list);
  curl_easy_setopt(easy_, CURLOPT_USERAGENT, "lvsd");
}

void HttpProber::set_bounds() {
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy_, CURLOPT_PROXY, "");  // whatever the environment says
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy_, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &HttpProber::on_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &HttpProber::on_body);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
}

void HttpProber::set_tls(const TlsOptions& tls) {
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
  curl_easy_setopt(easy_, CURLOPT_CAINFO, tls.ca_file.empty() ? kSystemCaFile : tls.ca_file.c_str());
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
  body_bytes_ = 0;
  body_.clear();
  error_[0] = '\0';
  curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  curl_.start(easy_, [this](CURLcode code) { finish(code); });
}

std::size_t HttpProber::on_header(const char* data, std::size_t size, std::size_t count, void* self) {
  auto& prober = *static_cast<HttpProber*>(self);
  const std::size_t length = size * count;
  prober.header_bytes_ += length;
  if (prober.header_bytes_ > kMaxHeaders) return 0;  // ends the transfer
  const bool blank = length <= 2 && (data[0] == '\r' || data[0] == '\n');
  long status = 0;
  curl_easy_getinfo(prober.easy_, CURLINFO_RESPONSE_CODE, &status);
  prober.headers_complete_ = prober.headers_complete_ || (blank && status >= 200);  // 1xx: others follow
  return length;
}

std::size_t HttpProber::on_body(const char* data, std::size_t size, std::size_t count, void* self) {
  auto& prober = *static_cast<HttpProber*>(self);
  const std::size_t length = std::min(size * count, kMaxBody - prober.body_bytes_);
  prober.body_bytes_ += length;
  if (!prober.wanted_.empty()) prober.body_.append(data, length);
  return prober.body_bytes_ < kMaxBody ? length : 0;  // 0: enough, ends the transfer
}

void HttpProber::finish(CURLcode code) {
  ProbeResult result = judge(code);
  result.latency = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin_);
  const auto done = std::exchange(done_, nullptr);
  done(std::move(result));
}

// A status that is not wanted decides, whatever becomes of the body.
ProbeResult HttpProber::judge(CURLcode code) const {
  if (header_bytes_ > kMaxHeaders) return {false, "too_large", fmt::format("headers exceed {} bytes", kMaxHeaders), {}};
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  if (headers_complete_ && !status_accepted(status)) {
    return {false, "status", fmt::format("HTTP status {}, expected {}", status, to_string(statuses_)), {}};
  }
  const bool stopped_by_us = body_bytes_ >= kMaxBody;
  if (code != CURLE_OK && !stopped_by_us) return transfer_failure(code);
  if (!headers_complete_) return {false, "protocol", "the reply ended within its headers", {}};
  if (!wanted_.empty()) return judge_body();
  return {true, "ok", fmt::format("HTTP status {}", status), {}};
}

ProbeResult HttpProber::judge_body() const {
  if (body_.find(wanted_) != std::string::npos) return {true, "ok", "the body has the wanted text", {}};
  if (body_bytes_ >= kMaxBody) {
    return {false, "too_large", fmt::format("\"{}\" is not in the body's first {} bytes", wanted_, kMaxBody), {}};
  }
  return {false, "body", fmt::format("\"{}\" is not in the body of {} bytes", wanted_, body_bytes_), {}};
}

ProbeResult HttpProber::transfer_failure(CURLcode code) const {
  const std::string detail = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
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
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
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
      return {false, "protocol", detail, {}};
    default:
      return {false, "error", detail, {}};
  }
}

bool HttpProber::status_accepted(long status) const {
  return std::any_of(statuses_.begin(), statuses_.end(),
                     [status](const StatusRange& range) { return range.first <= status && status <= range.last; });
}

}  // namespace

std::unique_ptr<Prober> make_http_prober(boost::asio::io_context& loop, const ProbeTarget& target,
                                         const std::optional<TlsOptions>& tls) {
  return std::make_unique<HttpProber>(loop, target, tls);
}

}  // namespace xlvs::health
