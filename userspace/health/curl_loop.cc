// SPDX-License-Identifier: Apache-2.0
#include "health/curl_loop.h"

#include <cstdlib>
#include <utility>

namespace xlvs::health {

boost::asio::execution_context::id CurlLoop::id;

// A socket of libcurl's. It is only lent to Asio: released, never closed here. The handlers of its waits share it, so
// that one which comes late sees `open` false rather than another socket with the same number.
struct CurlLoop::Socket {
  Socket(boost::asio::io_context& loop, curl_socket_t number) : descriptor(loop, number), fd(number) {}
  void release() {
    open = false;
    descriptor.release();
  }

  boost::asio::posix::stream_descriptor descriptor;
  curl_socket_t fd;
  int wanted = CURL_POLL_NONE;
  bool open = true;
  bool waiting_in = false;
  bool waiting_out = false;
};

CurlLoop& CurlLoop::of(boost::asio::io_context& loop) {
  return boost::asio::use_service<CurlLoop>(loop);
}

CurlLoop::CurlLoop(boost::asio::execution_context& context)
    : service(context),
      loop_(static_cast<boost::asio::io_context&>(context)),
      timer_(std::make_unique<boost::asio::steady_timer>(loop_)) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  multi_ = curl_multi_init();
  if (initialised != CURLE_OK || multi_ == nullptr) std::abort();
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlLoop::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlLoop::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
}

CurlLoop::~CurlLoop() = default;

// The io_context goes away: Asio's own objects must go before its services do.
void CurlLoop::shutdown() {
  for (const auto& [transfer, done] : transfers_) curl_multi_remove_handle(multi_, transfer);
  transfers_.clear();
  curl_multi_cleanup(multi_);
  multi_ = nullptr;
  for (const auto& [fd, socket] : sockets_) socket->release();
  sockets_.clear();
  timer_.reset();
}

void CurlLoop::start(CURL* transfer, std::function<void(CURLcode)> done) {
  if (curl_multi_add_handle(multi_, transfer) != CURLM_OK) std::abort();  // out of memory, or started twice
  transfers_[transfer] = std::move(done);
}

void CurlLoop::cancel(CURL* transfer) {
  if (transfers_.erase(transfer) != 0) curl_multi_remove_handle(multi_, transfer);
}

int CurlLoop::on_socket(CURL* /*transfer*/, curl_socket_t fd, int what, void* self, void* /*socket*/) {
  static_cast<CurlLoop*>(self)->watch(fd, what);
  return 0;
}

int CurlLoop::on_timer(CURLM* /*multi*/, long timeout_ms, void* self) {
  auto& loop = *static_cast<CurlLoop*>(self);
  if (timeout_ms < 0) {
    loop.timer_->cancel();
    return 0;
  }
  loop.timer_->expires_after(std::chrono::milliseconds(timeout_ms));
  loop.timer_->async_wait([&loop](boost::system::error_code error) {
    if (!error) loop.act(CURL_SOCKET_TIMEOUT, 0);
  });
  return 0;
}

void CurlLoop::watch(curl_socket_t fd, int what) {
  const auto found = sockets_.find(fd);
  if (what == CURL_POLL_REMOVE) {
    if (found == sockets_.end()) return;
    found->second->release();
    sockets_.erase(found);
    return;
  }
  auto& socket = sockets_[fd];
  if (!socket) socket = std::make_shared<Socket>(loop_, fd);
  socket->wanted = what;
  arm(socket);
}

void CurlLoop::arm(const std::shared_ptr<Socket>& socket) {
  if (!socket->open) return;
  if ((socket->wanted & CURL_POLL_IN) != 0 && !socket->waiting_in) {
    wait(socket, &Socket::waiting_in, CURL_POLL_IN, CURL_CSELECT_IN);
  }
  if ((socket->wanted & CURL_POLL_OUT) != 0 && !socket->waiting_out) {
    wait(socket, &Socket::waiting_out, CURL_POLL_OUT, CURL_CSELECT_OUT);
  }
}

void CurlLoop::wait(const std::shared_ptr<Socket>& socket, bool Socket::* waiting, int what, int ready) {
  using Descriptor = boost::asio::posix::descriptor_base;
  (*socket).*waiting = true;
  socket->descriptor.async_wait(what == CURL_POLL_IN ? Descriptor::wait_read : Descriptor::wait_write,
                                [this, socket, waiting, what, ready](boost::system::error_code error) {
                                  (*socket).*waiting = false;
                                  if (error || !socket->open) return;
                                  if ((socket->wanted & what) != 0) act(socket->fd, ready);
                                  arm(socket);
                                });
}

// One ended transfer at a time: its callback may cancel another that has ended too, which takes that one's message
// away.
void CurlLoop::act(curl_socket_t fd, int ready) {
  int running = 0;
  curl_multi_socket_action(multi_, fd, ready, &running);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const transfer = message->easy_handle;
    const CURLcode result = message->data.result;
    curl_multi_remove_handle(multi_, transfer);
    const auto found = transfers_.find(transfer);
    if (found == transfers_.end()) continue;
    const auto done = std::move(found->second);
    transfers_.erase(found);
    done(result);
  }
}

}  // namespace xlvs::health
