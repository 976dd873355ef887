// SPDX-License-Identifier: Apache-2.0
// How a hop is found: evaluate() asks for the route of one address and ties the address to the neighbour it leads to;
// the neighbour's MAC comes from the kernel's table. Events only mark what may have changed: link, route, address and
// rule events mark everything (debounced), neighbour events the addresses behind that neighbour. work() then evaluates
// the marked ones in slices, so that 10,000 addresses do not hold up the event loop.
#include "net/watch.h"

#include <utility>

#include <boost/asio/post.hpp>

namespace xlvs::net {
namespace {

using namespace std::chrono_literals;

constexpr auto kDebounce = 20ms;       // one `ip` command makes several events
constexpr auto kSlice = 2ms;           // of work, then the event loop has its turn
constexpr auto kAskAgain = 1000ms;     // when the kernel could not be asked (memory)
constexpr auto kReview = 60000ms;      // route exceptions (redirects) come and go without an event
constexpr int kDatagramsPerTurn = 64;  // events read, then the event loop has its turn

}  // namespace

Result<std::unique_ptr<Watch>> Watch::open(boost::asio::io_context& loop, Events events) {
  return open(loop, std::move(events), Options{});
}

Result<std::unique_ptr<Watch>> Watch::open(boost::asio::io_context& loop, Events events, Options options) {
  // Events first, tables second: what changes in between is then seen twice rather than never.
  auto event_socket =
      NetlinkSocket::open({RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                           RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP},
                          options.receive_buffer);
  if (!event_socket) return tl::make_unexpected(event_socket.error());
  auto requests = NetlinkSocket::open();
  if (!requests) return tl::make_unexpected(requests.error());
  auto links = dump_links(*requests);
  if (!links) return tl::make_unexpected(links.error());
  return std::make_unique<KernelWatch>(loop, std::move(events), std::move(*event_socket), std::move(*requests),
                                       std::move(*links));
}

// A handler that is on its way when the watch is destroyed, or whose operation was cancelled, must not run.
template <typename Function>
auto KernelWatch::guarded(Function function) {
  return [alive = std::weak_ptr<bool>(alive_), function = std::move(function)](auto... error) mutable {
    if (!alive.expired() && (!error && ...)) function();
  };
}

KernelWatch::KernelWatch(boost::asio::io_context& loop, Events events, NetlinkSocket event_socket,
                         NetlinkSocket requests, std::vector<LinkInfo> links)
    : loop_(loop),
      events_(std::move(events)),
      event_socket_(std::move(event_socket)),
      requests_(std::move(requests)),
      readable_(loop, event_socket_.fd()),
      debounce_(loop),
      due_(loop),
      review_(loop),
      neighbours_(requests_, [this](const IpAddress& user) { mark(user); }) {
  boost::asio::post(loop_, guarded([this, links = std::move(links)] {
                      for (const LinkInfo& info : links) update_link(info);
                    }));
  wait_for_events();
  schedule_review();
}

KernelWatch::~KernelWatch() {
  readable_.release();
}

void KernelWatch::wait_for_events() {
  readable_.async_wait(boost::asio::posix::descriptor_base::wait_read, guarded([this] {
                         read_events();
                         wait_for_events();
                       }));
}

void KernelWatch::read_events() {
  for (int i = 0; i < kDatagramsPerTurn; ++i) {
    const auto received = event_socket_.receive([this](const nlmsghdr* message) { on_event(message); });
    if (received == NetlinkSocket::Received::nothing) return;
    if (received == NetlinkSocket::Received::overrun) read_everything_again();
  }
}

void KernelWatch::on_event(const nlmsghdr* message) {
  if (message->nlmsg_type == RTM_NEWNEIGH || message->nlmsg_type == RTM_DELNEIGH) {
    if (const auto neighbour = parse_neighbour(message)) neighbours_.on_event(*neighbour);
    start_work();  // something may be due now
    return;
  }
  if (const auto link = parse_link(message)) {
    if (message->nlmsg_type == RTM_DELLINK) {
      remove_link(link->link.ifindex);
    } else {
      update_link(*link);
    }
  }
  // Of routes only those that VipRoutes makes: a routing daemon may change others all day.
  const auto route = parse_table_route(message);
  tables_changed_ = tables_changed_ || !route || route->protocol == kVipRouteProtocol;
  evaluate_all_in(kDebounce);
}

void KernelWatch::read_everything_again() {
  ++overruns_;
  if (const auto links = dump_links(requests_)) {
    std::set<unsigned> missing;
    for (const auto& [ifindex, info] : links_) missing.insert(ifindex);
    for (const LinkInfo& info : *links) {
      missing.erase(info.link.ifindex);
      update_link(info);
    }
    for (const unsigned ifindex : missing) remove_link(ifindex);
  }
  neighbours_.read_again();
  tables_changed_ = true;
  evaluate_all_in(kDebounce);
}

void KernelWatch::update_link(const LinkInfo& info) {
  LinkInfo& known = links_[info.link.ifindex];
  const bool changed = known.link != info.link;
  known = info;
  if (changed && events_.link_changed) events_.link_changed(info.link);
}

void KernelWatch::remove_link(unsigned ifindex) {
  const auto found = links_.find(ifindex);
  if (found == links_.end()) return;
  Link link = found->second.link;
  link.up = false;
  link.mtu = 0;
  links_.erase(found);
  if (events_.link_changed) events_.link_changed(link);
}

void KernelWatch::follow(const std::set<IpAddress>& addresses) {
  for (auto it = followed_.begin(); it != followed_.end();) {
    if (addresses.contains(it->first)) {
      ++it;
    } else {
      detach(it->first, it->second);
      it = followed_.erase(it);
    }
  }
  for (const IpAddress& address : addresses) {
    if (followed_.try_emplace(address).second) mark(address);
  }
}

std::optional<Hop> KernelWatch::hop(const IpAddress& address) const {
  const auto found = followed_.find(address);
  return found == followed_.end() ? std::nullopt : found->second.hop;
}

void KernelWatch::mark(const IpAddress& address) {
  const auto found = followed_.find(address);
  if (found == followed_.end() || std::exchange(found->second.marked, true)) return;
  marked_.push_back(address);
  start_work();
}

void KernelWatch::evaluate_all_in(std::chrono::milliseconds delay) {
  const auto when = Clock::now() + delay;
  if (evaluate_all_at_ && *evaluate_all_at_ <= when) return;
  evaluate_all_at_ = when;
  debounce_.expires_at(when);
  debounce_.async_wait(guarded([this] {
    evaluate_all_at_.reset();
    for (const auto& [address, followed] : followed_) mark(address);
    if (std::exchange(tables_changed_, false) && events_.tables_changed) events_.tables_changed();
  }));
}

void KernelWatch::schedule_review() {
  review_.expires_after(kReview);
  review_.async_wait(guarded([this] {
    neighbours_.read_again();
    evaluate_all_in(kDebounce);
    schedule_review();
  }));
}

void KernelWatch::start_work() {
  if (std::exchange(working_, true)) return;
  boost::asio::post(loop_, guarded([this] { work(); }));
}

void KernelWatch::work() {
  working_ = false;
  const auto end = Clock::now() + kSlice;
  while (neighbours_.provoke_next() || evaluate_next()) {
    if (Clock::now() >= end) return start_work();
  }
  wait_for_due();
}

bool KernelWatch::evaluate_next() {
  if (marked_.empty()) return false;
  const IpAddress address = marked_.front();
  marked_.pop_front();
  const auto found = followed_.find(address);
  if (found != followed_.end() && std::exchange(found->second.marked, false)) evaluate(address, found->second);
  return true;
}

void KernelWatch::wait_for_due() {
  const auto due = neighbours_.next_due();
  if (!due) return;
  due_.expires_at(*due);
  due_.async_wait(guarded([this] { start_work(); }));
}

// decide() calls back, which may change followed_: nothing here touches `followed` after it.
void KernelWatch::evaluate(const IpAddress& address, Followed& followed) {
  const auto route = get_route(requests_, address);
  if (!route && route.error().kind != ErrorKind::not_found) return evaluate_all_in(kAskAgain);
  if (!route) return lose(address, followed, route.error().message);
  if (route->type == RTN_LOCAL) {
    detach(address, followed);
    return decide(address, followed, Hop{true, {}, route->ifindex, address}, "an address of this host");
  }
  if (const std::string problem = unusable(*route); !problem.empty()) return lose(address, followed, problem);
  settle(address, followed, {route->ifindex, route->gateway.value_or(address)});
}

std::string KernelWatch::unusable(const Route& route) const {
  if (route.type != RTN_UNICAST) return "its route is not a unicast route";
  if (route.encapsulated) return "its route encapsulates, which is not supported";
  const auto link = links_.find(route.ifindex);
  if (link == links_.end()) return fmt::format("interface number {} is gone", route.ifindex);
  const std::string& name = link->second.link.name;
  if (!link->second.ethernet) return fmt::format("interface {} is not an Ethernet interface", name);
  if (!link->second.link.up) return fmt::format("interface {} is down", name);
  return "";
}

// A neighbour that is still being resolved decides nothing: the address keeps its old hop, or stays unknown, until
// ARP/ND has answered or given up.
void KernelWatch::settle(const IpAddress& address, Followed& followed, const NeighbourKey& via) {
  if (followed.via != via) {
    detach(address, followed);
    followed.via = via;
    neighbours_.attach(via, address);
  }
  const auto [mac, failure] = neighbours_.view(via);
  const std::string& interface = links_.at(via.ifindex).link.name;
  if (mac) {
    const std::string gateway = via.address == address ? "" : fmt::format("through {}, ", via.address.to_string());
    decide(address, followed, Hop{false, *mac, via.ifindex, via.address},
           fmt::format("{}at {} on {}", gateway, mac->to_string(), interface));
  } else if (!failure.empty()) {
    decide(address, followed, std::nullopt, fmt::format("{} on {}: {}", via.address.to_string(), interface, failure));
  }
}

void KernelWatch::lose(const IpAddress& address, Followed& followed, const std::string& reason) {
  detach(address, followed);
  decide(address, followed, std::nullopt, reason);
}

void KernelWatch::detach(const IpAddress& address, Followed& followed) {
  if (followed.via) neighbours_.detach(*followed.via, address);
  followed.via.reset();
}

void KernelWatch::decide(const IpAddress& address, Followed& followed, const std::optional<Hop>& hop,
                         const std::string& reason) {
  if (followed.decided && followed.hop == hop) return;
  followed.decided = true;
  followed.hop = hop;
  if (events_.hop_changed) events_.hop_changed(address, hop, reason);
}

}  // namespace xlvs::net
