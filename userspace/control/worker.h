// SPDX-License-Identifier: Apache-2.0
// Work that would hold up the event loop: reading configurations, rendering large answers. Two threads, so that neither
// waits for the other. Thread rule: apart() is called on the event loop's thread.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

namespace xlvs::control {

class Worker : public boost::asio::execution_context::service {
 public:
  using key_type = Worker;
  static boost::asio::execution_context::id id;
  enum class Kind { texts, answers };

  // The one of this io_context, made at the first call.
  static Worker& of(boost::asio::io_context& loop);
  explicit Worker(boost::asio::execution_context& context);
  ~Worker() override;

  // Runs `work` on the thread of its kind, in the order of the calls, and then what it returns on the event loop. An
  // exception of `work` is handed to the event loop as `failed`, with its message.
  using Step = std::function<void()>;
  void apart(Kind kind, std::function<Step()> work, std::function<void(const std::string&)> failed);

 private:
  void shutdown() override;

  boost::asio::io_context& loop_;
  std::unique_ptr<boost::asio::thread_pool> texts_;
  std::unique_ptr<boost::asio::thread_pool> answers_;
};

}  // namespace xlvs::control
