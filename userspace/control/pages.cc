// SPDX-License-Identifier: Apache-2.0
#include "control/pages.h"

#include <malloc.h>

#include <atomic>
#include <utility>

#include "control/worker.h"

namespace xlvs::control {

// Bytes of all texts that live; of both threads.
struct Pages::Account {
  std::atomic<std::size_t> bytes{0};
};

Pages::Pages(boost::asio::io_context& loop, std::chrono::milliseconds share)
    : loop_(loop), share_(share), account_(std::make_shared<Account>()) {}

namespace {

// The heap keeps what large texts leave unless it is told not to; now and then is enough.
void give_back(std::size_t size) {
  constexpr std::size_t kLarge = 4U << 20;
  constexpr std::chrono::seconds kPause{10};
  static std::atomic<Pages::Clock::duration> last{Pages::Clock::duration{0}};
  const auto now = Pages::Clock::now().time_since_epoch();
  if (size < kLarge || now < last.load() + kPause) return;
  last = now;
  malloc_trim(0);
}

}  // namespace

Pages::Text Pages::keep(std::string text) const {
  const std::size_t size = text.size();
  account_->bytes += size;
  return {new std::string(std::move(text)), [account = account_, size](const std::string* kept) {
            delete kept;
            account->bytes -= size;
          }};
}

void Pages::get(const Route& route, Operations& operations, Done done) {
  Page& page = pages_[&route];
  if (page.text && Clock::now() < page.taken + share_) return done(page.text);
  if (!page.rendering && account_->bytes > kInFlight + (page.text ? page.text->size() : 0))
    return done(fail(ErrorKind::unavailable, "answers of {} MB are still being taken by others; try again later",
                     account_->bytes >> 20));
  // Who may not share gets values that are younger than its question.
  if (page.rendering && share_.count() == 0) {
    page.waiting.push_back(
        [this, &route, &operations, done = std::move(done)](const Result<Text>&) { get(route, operations, done); });
    return;
  }
  page.waiting.push_back(std::move(done));
  if (!page.rendering) render(route, page, operations);
}

void Pages::render(const Route& route, Page& page, Operations& operations) {
  page.rendering = true;
  page.taken = Clock::now();
  page.text.reset();
  const Route* which = &route;
  Worker::of(loop_).apart(
      Worker::Kind::answers,
      [this, which, alive = std::weak_ptr<char>(alive_), values = route.page(operations)]() mutable -> Worker::Step {
        std::string text = values();
        values = nullptr;  // here, where nobody waits for it
        give_back(text.size());
        return [this, which, alive, text = std::make_shared<std::string>(std::move(text))] {
          if (!alive.expired()) finish(which, keep(std::move(*text)));
        };
      },
      [this, which, alive = std::weak_ptr<char>(alive_)](const std::string& error) {
        if (!alive.expired()) finish(which, fail(ErrorKind::unavailable, "internal error: {}", error));
      });
}

void Pages::finish(const Route* route, const Result<Text>& text) {
  Page& page = pages_[route];
  page.rendering = false;
  if (text && share_.count() > 0) page.text = *text;
  const std::vector<Done> waiting = std::exchange(page.waiting, {});
  for (const Done& done : waiting) done(text);
}

}  // namespace xlvs::control
