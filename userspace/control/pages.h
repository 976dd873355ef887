// SPDX-License-Identifier: Apache-2.0
// Large answers: the values are taken on the event loop, the text is made of them on another thread, and who asks
// within a second of it gets the same text. Internal to control/. Thread rule: the event loop's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "control/routes.h"

namespace xlvs::control {

class Pages {
 public:
  using Clock = std::chrono::steady_clock;
  using Text = std::shared_ptr<const std::string>;
  static constexpr std::size_t kInFlight = 256U << 20;  // bytes of texts that somebody still takes

  // `share`: for how long a text is handed out.
  Pages(boost::asio::io_context& loop, std::chrono::milliseconds share);
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  // `done` gets the text, perhaps from within this call; or an error: unavailable, when too much is in flight.
  using Done = std::function<void(const Result<Text>&)>;
  void get(const Route& route, Operations& operations, Done done);

 private:
  struct Page {
    Text text;
    Clock::time_point taken;  // when its values were
    bool rendering = false;
    std::vector<Done> waiting;
  };
  struct Account;
  void render(const Route& route, Page& page, Operations& operations);
  void finish(const Route* route, const Result<Text>& text);
  [[nodiscard]] Text keep(std::string text) const;

  boost::asio::io_context& loop_;
  std::chrono::milliseconds share_;
  std::map<const Route*, Page> pages_;
  std::shared_ptr<Account> account_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace xlvs::control
