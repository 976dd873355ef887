// SPDX-License-Identifier: Apache-2.0
// Watch on the kernel's tables. Private to net/.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/neighbours.h"
#include "net/net.h"
#include "net/netlink.h"

namespace xlvs::net {

class KernelWatch final : public Watch {
 public:
  using Clock = std::chrono::steady_clock;

  KernelWatch(boost::asio::io_context& loop, Events events, NetlinkSocket event_socket, NetlinkSocket requests,
              std::vector<LinkInfo> links);
  ~KernelWatch() override;
  KernelWatch(const KernelWatch&) = delete;
  KernelWatch& operator=(const KernelWatch&) = delete;

  void follow(const std::set<IpAddress>& addresses) override;
  [[nodiscard]] std::optional<Hop> hop(const IpAddress& address) const override;
  [[nodiscard]] std::uint64_t overruns() const override { return overruns_; }

 private:
  struct Followed {
    std::optional<Hop> hop;
    bool decided = false;             // hop_changed was called
    bool marked = false;              // waits in marked_
    std::optional<NeighbourKey> via;  // attached to
  };

  template <typename Function>
  auto guarded(Function function);

  void wait_for_events();
  void read_events();
  void on_event(const nlmsghdr* message);
  void read_everything_again();
  void update_link(const LinkInfo& info);
  void remove_link(unsigned ifindex);

  void mark(const IpAddress& address);
  void evaluate_all_in(std::chrono::milliseconds delay);
  void start_work();
  void work();
  bool evaluate_next();
  void wait_for_due();
  void schedule_review();

  void evaluate(const IpAddress& address, Followed& followed);
  [[nodiscard]] std::string unusable(const Route& route) const;
  void settle(const IpAddress& address, Followed& followed, const NeighbourKey& via);
  void lose(const IpAddress& address, Followed& followed, const std::string& reason);
  void detach(const IpAddress& address, Followed& followed);
  void decide(const IpAddress& address, Followed& followed, const std::optional<Hop>& hop, const std::string& reason);

  boost::asio::io_context& loop_;
  Events events_;
  NetlinkSocket event_socket_;
  NetlinkSocket requests_;
  boost::asio::posix::stream_descriptor readable_;  // borrows event_socket_'s descriptor
  boost::asio::steady_timer debounce_;
  boost::asio::steady_timer due_;
  boost::asio::steady_timer review_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  std::map<unsigned, LinkInfo> links_;
  std::map<IpAddress, Followed> followed_;
  Neighbours neighbours_;
  std::deque<IpAddress> marked_;
  bool working_ = false;
  std::optional<Clock::time_point> evaluate_all_at_;
  bool tables_changed_ = false;  // and nobody has been told
  std::uint64_t overruns_ = 0;
};

}  // namespace xlvs::net
