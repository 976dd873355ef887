// SPDX-License-Identifier: Apache-2.0
#include "ha/speaker.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "ha/announcer.h"
#include "ha/vrrp_socket.h"

namespace xlvs::ha {
namespace {

using std::chrono::milliseconds;

// After the first announcement at once: some neighbours lose one, some switches are still busy. Then for ever, as what
// learnt a wrong address in between is corrected sooner or later.
constexpr std::array kAnnounceAgain{milliseconds(100), milliseconds(400), milliseconds(1500), milliseconds(3000)};
constexpr milliseconds kAnnounceRefresh{60'000};
// Of one socket before others and what is due get their turn.
constexpr int kPacketsPerTurn = 64;
constexpr int kRealtimePriority = 10;

struct Instance {
  LocalInterface interface;
  VrrpSocket socket;
  std::vector<IpAddress> addresses;
};

MemberConfig member_config(const VrrpInstanceConfig& from, const IpAddress& source) {
  MemberConfig member;
  member.name = from.name;
  member.vrid = from.vrid;
  member.version = from.version == 2 ? VrrpVersion::v2 : VrrpVersion::v3;
  member.priority = from.priority;
  member.interval = from.advert_interval;
  member.source = source;
  member.vips = from.addresses;
  if (!from.password.empty()) {
    member.password.emplace();
    std::copy_n(from.password.begin(), std::min(from.password.size(), member.password->size()),
                member.password->begin());
  }
  return member;
}

class EventFd {
 public:
  EventFd() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~EventFd() { close(fd_); }
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;
  void signal() const { (void)eventfd_write(fd_, 1); }
  void clear() const {
    eventfd_t value = 0;
    (void)eventfd_read(fd_, &value);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

class ThreadedSpeaker final : public Speaker {
 public:
  ThreadedSpeaker(GroupConfig config, std::vector<Instance> instances, Announcer announcer, RoleChanged changed)
      : group_(std::move(config)),
        instances_(std::move(instances)),
        announcer_(std::move(announcer)),
        changed_(std::move(changed)) {
    report_.instances.resize(instances_.size());
    for (std::size_t i = 0; i < instances_.size(); ++i) {
      InstanceReport& instance = report_.instances[i];
      instance.name = group_.config().members[i].name;
      instance.interface = instances_[i].interface.name;
      instance.vrid = group_.config().members[i].vrid;
      instance.priority = group_.priority(i);
      instance.link_up = instances_[i].interface.up;
    }
    report_.since = std::chrono::system_clock::now();
    thread_ = std::thread([this] { run(); });
  }
  ThreadedSpeaker(const ThreadedSpeaker&) = delete;
  ThreadedSpeaker& operator=(const ThreadedSpeaker&) = delete;

  ~ThreadedSpeaker() override {
    stopping_ = true;
    wake_.signal();
    thread_.join();
  }

  void release() override {
    command([this](Time now) {
      const std::lock_guard lock(mutex_);
      report_.released = true;
      return group_.release(now);
    });
  }

  void resume() override {
    command([this](Time) {
      const std::lock_guard lock(mutex_);
      report_.released = false;
      group_.resume();
      return Step{};
    });
  }

  void set_link(const std::string& interface, bool up) override {
    for (std::size_t i = 0; i < instances_.size(); ++i)
      if (instances_[i].interface.name == interface)
        command([this, i, up](Time now) { return link_changed(now, i, up); });
  }

  [[nodiscard]] SpeakerReport report() const override {
    const std::lock_guard lock(mutex_);
    return report_;
  }

 private:
  using Command = std::function<Step(Time)>;

  void command(Command command) {
    {
      const std::lock_guard lock(mutex_);
      commands_.push_back(std::move(command));
    }
    wake_.signal();
  }

  Step link_changed(Time now, std::size_t index, bool up) {
    {
      const std::lock_guard lock(mutex_);
      report_.instances[index].link_up = up;
    }
    return group_.set_fault(now, index, !up, instances_[index].interface.name + (up ? " is up" : " is down"));
  }

  void run() {
    sched_param priority{};
    priority.sched_priority = kRealtimePriority;
    const bool realtime = pthread_setschedparam(pthread_self(), SCHED_RR, &priority) == 0;
    {
      const std::lock_guard lock(mutex_);
      report_.realtime = realtime;
    }
    const Time begin = Clock::now();
    for (std::size_t i = 0; i < instances_.size(); ++i)
      if (!instances_[i].interface.up) apply(begin, link_changed(begin, i, false));
    apply(begin, group_.start(begin));
    while (!stopping_) {
      wait();
      turn();
    }
    const Time now = Clock::now();
    changed_ = nullptr;
    apply(now, group_.stop(now));
  }

  void wait() {
    std::vector<pollfd> fds{{wake_.fd(), POLLIN, 0}};
    for (const Instance& instance : instances_) fds.push_back({instance.socket.fd(), POLLIN, 0});
    std::optional<Time> due = group_.next_due();
    if (announce_at_ && (!due || *announce_at_ < *due)) due = announce_at_;
    timespec timeout{};
    if (due) {
      const auto left = std::max<std::chrono::nanoseconds>(*due - Clock::now(), std::chrono::nanoseconds(0));
      timeout.tv_sec = left / std::chrono::seconds(1);
      timeout.tv_nsec = (left % std::chrono::seconds(1)).count();
    }
    (void)ppoll(fds.data(), fds.size(), due ? &timeout : nullptr, nullptr);
  }

  // What is due comes first: a flood of packets can not hold up our own advertisements.
  void turn() {
    const Time now = Clock::now();
    if (const auto due = group_.next_due(); due && now >= *due) {
      note_delay(now - *due);
      apply(now, group_.tick(now));
    }
    if (announce_at_ && now >= *announce_at_) announce(now);
    wake_.clear();
    std::vector<Command> commands;
    {
      const std::lock_guard lock(mutex_);
      commands.swap(commands_);
    }
    for (const Command& command : commands) apply(now, command(now));
    for (std::size_t i = 0; i < instances_.size(); ++i) receive(now, i);
  }

  void receive(Time now, std::size_t index) {
    for (int i = 0; i < kPacketsPerTurn; ++i) {
      const auto packet = instances_[index].socket.receive();
      if (!packet) return;
      const auto decoded = decode(packet->message, {packet->source, packet->destination}, packet->ttl);
      Heard heard = Heard::taken;
      Step step;
      if (decoded) step = group_.receive(now, *decoded, packet->source, heard);
      note_received(now, index, *packet, decoded, heard);
      apply(now, step);
    }
  }

  void apply(Time now, const Step& step) {
    for (const Send& send : step.send) transmit(send);
    if (!step.changed) return;
    announce_at_.reset();
    if (*step.changed == Role::active) {
      announced_ = 0;
      announce(now);
    }
    {
      const std::lock_guard lock(mutex_);
      report_.role = *step.changed;
      report_.reason = step.reason;
      report_.since = std::chrono::system_clock::now();
      report_.transitions++;
      if (report_.role == Role::active) report_.released = false;
    }
    if (changed_) changed_(*step.changed, step.reason);
  }

  void transmit(const Send& send) {
    VrrpSocket& socket = instances_[send.member].socket;
    for (const IpAddress& destination : socket.destinations()) {
      const auto message = encode(send.advertisement, {group_.config().members[send.member].source, destination});
      const int error = socket.send(destination, message);
      const std::lock_guard lock(mutex_);
      InstanceReport& report = report_.instances[send.member];
      ++(error == 0 ? report.sent : report.send_errors);
    }
  }

  void announce(Time now) {
    for (std::size_t i = 0; i < instances_.size(); ++i) {
      const Instance& instance = instances_[i];
      const std::size_t sent =
          announcer_.announce(instance.interface.ifindex, instance.interface.mac, instance.addresses);
      const std::lock_guard lock(mutex_);
      report_.instances[i].announcements += sent;
    }
    announce_at_ = now + (announced_ < kAnnounceAgain.size() ? kAnnounceAgain[announced_] : kAnnounceRefresh);
    ++announced_;
  }

  void note_delay(Duration delay) {
    const std::lock_guard lock(mutex_);
    report_.worst_delay = std::max(report_.worst_delay, std::chrono::duration_cast<std::chrono::microseconds>(delay));
  }

  void note_received(Time now, std::size_t index, const VrrpPacket& packet,
                     const tl::expected<Advertisement, AdvertisementError>& decoded, Heard heard) {
    const std::lock_guard lock(mutex_);
    InstanceReport& report = report_.instances[index];
    if (!decoded) {
      report.rejected[std::string(to_string(decoded.error()))]++;
    } else if (heard != Heard::taken) {
      report.rejected[std::string(to_string(heard))]++;
    } else {
      report.received++;
      report.peer = {packet.source, decoded->priority, now};
    }
  }

  // The thread's own.
  Group group_;
  std::vector<Instance> instances_;
  Announcer announcer_;
  RoleChanged changed_;
  std::optional<Time> announce_at_;  // active: the next announcement
  std::size_t announced_ = 0;

  // Shared.
  mutable std::mutex mutex_;
  SpeakerReport report_;
  std::vector<Command> commands_;
  std::atomic<bool> stopping_ = false;
  EventFd wake_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Speaker>> Speaker::start(const HaConfig& config, RoleChanged changed) {
  auto announcer = Announcer::open();
  if (!announcer) return tl::make_unexpected(announcer.error());
  GroupConfig group{{}, config.preempt, config.preempt_delay, config.startup_delay};
  std::vector<Instance> instances;
  for (const VrrpInstanceConfig& from : config.instances) {
    const std::string what = "ha instance " + from.name;
    auto interface = read_interface(from.interface);
    if (!interface) return tl::make_unexpected(interface.error().in(what));
    const auto source = primary_address(*interface, from.family, from.addresses, from.peers);
    if (!source) return tl::make_unexpected(source.error().in(what));
    auto socket = VrrpSocket::open(*interface, *source, from.peers);
    if (!socket) return tl::make_unexpected(socket.error().in(what));
    group.members.push_back(member_config(from, *source));
    instances.push_back({std::move(*interface), std::move(*socket), from.addresses});
  }
  return std::make_unique<ThreadedSpeaker>(std::move(group), std::move(instances), std::move(*announcer),
                                           std::move(changed));
}

}  // namespace xlvs::ha
