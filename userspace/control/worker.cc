// SPDX-License-Identifier: Apache-2.0
#include "control/worker.h"

#include <exception>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>

namespace xlvs::control {

namespace asio = boost::asio;

asio::execution_context::id Worker::id;

Worker& Worker::of(asio::io_context& loop) {
  return asio::use_service<Worker>(loop);
}

Worker::Worker(asio::execution_context& context) : service(context), loop_(static_cast<asio::io_context&>(context)) {}

Worker::~Worker() = default;

// What is under way ends first; its last step is never run.
void Worker::shutdown() {
  for (auto* pool : {&texts_, &answers_}) {
    if (*pool) (*pool)->join();
    pool->reset();
  }
}

void Worker::apart(Kind kind, std::function<Step()> work, std::function<void(const std::string&)> failed) {
  auto& pool = kind == Kind::texts ? texts_ : answers_;
  if (!pool) pool = std::make_unique<asio::thread_pool>(1);
  // The loop has something to do until the last step has come.
  asio::post(*pool, [this, work = std::move(work), failed = std::move(failed),
                     guard = asio::make_work_guard(loop_)]() mutable {
    Step step;
    try {
      step = work();
    } catch (const std::exception& error) {
      step = [failed, text = std::string(error.what())] { failed(text); };
    }
    asio::post(loop_, std::move(step));
  });
}

}  // namespace xlvs::control
