// SPDX-License-Identifier: Apache-2.0
#include "ha/threaded_speaker.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <utility>

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
// A claim is a conflict when this router is still active so long after it: otherwise it was another one taking over.
constexpr milliseconds kSuspicion{1000};

}  // namespace

ThreadedSpeaker::ThreadedSpeaker(GroupConfig config, std::vector<SpeakerInstance> instances, Announcer announcer,
                                 std::optional<SpeakerPeer> peer, FenceWord fence, std::uint64_t role_number,
                                 RoleChanged changed)
    : group_(std::move(config)),
      instances_(std::move(instances)),
      announcer_(std::move(announcer)),
      peer_(std::move(peer)),
      fence_(fence),
      role_number_(role_number),
      changed_(std::move(changed)) {
  report_.instances.resize(instances_.size());
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    InstanceReport& instance = report_.instances[i];
    instance.name = group_.config().members[i].name;
    instance.interface = instances_[i].interface.name;
    instance.vrid = group_.config().members[i].vrid;
    instance.priority = group_.priority(i);
    instance.family = group_.config().members[i].source.family();
    instance.configured = group_.config().members[i].priority;
    instance.interval = group_.config().members[i].interval;
    instance.link_up = instances_[i].interface.up;
  }
  report_.since = std::chrono::system_clock::now();
  if (peer_) report_.peer_link = peer_->report();
}

ThreadedSpeaker::~ThreadedSpeaker() {
  end(End::hand_over);
}

// ---- from any thread

void ThreadedSpeaker::run(bool take_up) {
  report_.last_turn = Clock::now();
  thread_ = std::thread([this, take_up] { work(take_up); });
}

void ThreadedSpeaker::end(End how) {
  if (!thread_.joinable()) return;
  end_ = how;
  wake_.signal();
  thread_.join();
}

bool ThreadedSpeaker::leave() {
  end(End::leave);
  return report().role == Role::active;
}

void ThreadedSpeaker::command(Command command) {
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  wake_.signal();
}

void ThreadedSpeaker::release() {
  command([this](Time now) {
    const std::lock_guard lock(mutex_);
    report_.released = true;
    return group_.release(now);
  });
}

void ThreadedSpeaker::resume() {
  command([this](Time) {
    const std::lock_guard lock(mutex_);
    report_.released = false;
    group_.resume();
    return Step{};
  });
}

void ThreadedSpeaker::hold(bool held) {
  command([this, held](Time) {
    group_.hold(held);
    return Step{};
  });
}

void ThreadedSpeaker::set_link(const std::string& interface, bool up) {
  for (std::size_t i = 0; i < instances_.size(); ++i)
    if (instances_[i].interface.name == interface)
      command([this, i, up](Time now) { return link_changed(now, i, up); });
}

void ThreadedSpeaker::set_tracked(unsigned penalty, bool fault, const std::string& why) {
  command([this, penalty, fault, why](Time now) { return tracked_changed(now, penalty, fault, why); });
}

void ThreadedSpeaker::set_facts(RouterFacts facts) {
  command([this, facts = std::move(facts)](Time) {
    if (peer_) peer_->set_facts(facts);
    return Step{};
  });
}

SpeakerReport ThreadedSpeaker::report() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

// ---- on the thread

Step ThreadedSpeaker::link_changed(Time now, std::size_t index, bool up) {
  {
    const std::lock_guard lock(mutex_);
    report_.instances[index].link_up = up;
  }
  if (up && tracked_fault_) return group_.set_fault(now, index, true, tracked_why_);
  return group_.set_fault(now, index, !up, instances_[index].interface.name + (up ? " is up" : " is down"));
}

// A member's fault is its link's or what is tracked; one step, though each member changes.
Step ThreadedSpeaker::tracked_changed(Time now, unsigned penalty, bool fault, const std::string& why) {
  tracked_fault_ = fault;
  tracked_why_ = why;
  Step all;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    const unsigned own = group_.config().members[i].priority;
    group_.set_priority(i, static_cast<std::uint8_t>(own > penalty ? own - penalty : 1));
    bool link_up = true;
    {
      const std::lock_guard lock(mutex_);
      report_.instances[i].priority = group_.priority(i);
      link_up = report_.instances[i].link_up;
    }
    Step step = group_.set_fault(now, i, fault || !link_up, why);
    all.send.insert(all.send.end(), step.send.begin(), step.send.end());
    if (step.changed) {
      all.changed = step.changed;
      all.reason = step.reason;
    }
  }
  return all;
}

void ThreadedSpeaker::work(bool take_up) {
  sched_param priority{};
  priority.sched_priority = kRealtimePriority;
  // Pages are locked as they are first used: all at once would be what the largest tables could ever need.
  const bool locked = mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
  const bool realtime = pthread_setschedparam(pthread_self(), SCHED_RR, &priority) == 0 && locked;
  {
    const std::lock_guard lock(mutex_);
    report_.realtime = realtime;
  }
  begin(take_up);
  while (end_ == End::none) {
    wait();
    turn();
  }
  changed_ = nullptr;
  const Time now = Clock::now();
  apply(now, end_ == End::leave ? group_.leave(now) : group_.stop(now));
}

void ThreadedSpeaker::begin(bool take_up) {
  const Time now = Clock::now();
  for (std::size_t i = 0; i < instances_.size(); ++i)
    if (!instances_[i].interface.up) apply(now, link_changed(now, i, false));
  apply(now, take_up ? group_.take_up(now) : group_.start(now));
  tell_peer(now);
  const std::lock_guard lock(mutex_);
  report_.transitions = 0;
}

void ThreadedSpeaker::wait() {
  std::vector<pollfd> fds{{wake_.fd(), POLLIN, 0}};
  for (const SpeakerInstance& instance : instances_) {
    fds.push_back({instance.socket.fd(), POLLIN, 0});
    fds.push_back({instance.claims.fd(), POLLIN, 0});
  }
  if (peer_) fds.push_back({peer_->fd(), POLLIN, 0});
  const Time now = Clock::now();
  Time due = now + kGreatestPause;
  for (const std::optional<Time>& other : {group_.next_due(), announce_at_, peer_ ? peer_->next_due() : std::nullopt})
    if (other) due = std::min(due, *other);
  const auto left = std::max<std::chrono::nanoseconds>(due - now, std::chrono::nanoseconds(0));
  timespec timeout{};
  timeout.tv_sec = left / std::chrono::seconds(1);
  timeout.tv_nsec = (left % std::chrono::seconds(1)).count();
  (void)ppoll(fds.data(), fds.size(), &timeout, nullptr);
}

// What is due comes first: a flood of packets can not hold up our own advertisements. But a router that did not get to
// run for long listens before it speaks, and one that is not active before it takes over.
void ThreadedSpeaker::turn() {
  const Time now = Clock::now();
  if (group_.lapsed(now)) receive(now);
  if (group_.lapsed(now) || group_.role() != Role::active) hear_peer(now);
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
    report_.last_turn = now;
  }
  for (const Command& command : commands) apply(now, command(now));
  receive(now);
  for (SpeakerInstance& instance : instances_) receive_claims(now, instance);
  judge_claims(now);
  hear_peer(now);
}

void ThreadedSpeaker::hear_peer(Time now) {
  if (!peer_) return;
  if (peer_->hear(now)) apply(now, group_.search(now));
  group_.see_peer(now, peer_->view());
  if (peer_->must_yield() || (group_.lapsed(now) && peer_->is_active()))
    apply(now, group_.yield(now, "the peer is active, too, as the peer link says"));
  tell_peer(now);  // priority and release may have changed, too
  const std::lock_guard lock(mutex_);
  report_.peer_link = peer_->report();
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    report_.instances[i].silent = group_.is_silent(i, now);
    report_.instances[i].oddities = group_.oddities(i);
  }
}

void ThreadedSpeaker::tell_peer(Time now) {
  if (!peer_) return;
  PeerState state;
  state.role = group_.role();
  state.priority = group_.priority(0);
  state.released = group_.released();
  for (const MemberConfig& member : group_.config().members)
    state.instances.push_back({member.vrid, member.priority, member.source});
  peer_->tell(now, std::move(state));
}

void ThreadedSpeaker::receive(Time now) {
  for (std::size_t i = 0; i < instances_.size(); ++i) receive(now, i);
}

bool ThreadedSpeaker::is_own(const MacAddress& mac) const {
  return std::any_of(instances_.begin(), instances_.end(),
                     [&](const SpeakerInstance& instance) { return instance.interface.mac == mac; });
}

void ThreadedSpeaker::receive_claims(Time now, SpeakerInstance& instance) {
  std::optional<Claim> claim;
  for (int i = 0; i < kPacketsPerTurn && instance.claims.receive(claim); ++i) {
    if (!claim || group_.role() != Role::active || instance.suspicion || is_own(claim->mac)) continue;
    if (std::find(instance.addresses.begin(), instance.addresses.end(), claim->address) == instance.addresses.end())
      continue;
    instance.suspicion = {claim->address, claim->mac, now};
  }
}

void ThreadedSpeaker::judge_claims(Time now) {
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    auto& suspicion = instances_[i].suspicion;
    if (group_.role() != Role::active) suspicion.reset();
    if (!suspicion || now < suspicion->at + kSuspicion) continue;
    const std::lock_guard lock(mutex_);
    ++report_.instances[i].conflicts;
    report_.instances[i].conflict = std::exchange(suspicion, std::nullopt);
  }
}

// Every instance of an interface sees what arrives there; its own socket gives it to the one it is for.
bool ThreadedSpeaker::is_for_another(std::size_t index, const Advertisement& advertisement) const {
  const std::vector<MemberConfig>& members = group_.config().members;
  if (members[index].vrid == advertisement.vrid) return false;
  for (std::size_t i = 0; i < members.size(); ++i)
    if (members[i].vrid == advertisement.vrid && members[i].source.family() == members[index].source.family() &&
        instances_[i].interface.ifindex == instances_[index].interface.ifindex)
      return true;
  return false;
}

void ThreadedSpeaker::receive(Time now, std::size_t index) {
  for (int i = 0; i < kPacketsPerTurn; ++i) {
    const auto packet = instances_[index].socket.receive();
    if (!packet) return;
    const auto decoded = decode(packet->message, {packet->source, packet->destination}, packet->ttl);
    if (decoded && is_for_another(index, *decoded)) continue;
    Heard heard = Heard::taken;
    Step step;
    if (decoded) step = group_.receive(now, index, *decoded, packet->source, heard);
    note_received(now, index, *packet, decoded, heard);
    apply(now, step);
  }
}

// The fence opens before anybody is told of the role, and closes before anything else is done.
void ThreadedSpeaker::apply(Time now, const Step& step) {
  push_fence();
  for (const Send& send : step.send) transmit(send);
  if (!step.changed) return;
  tell_peer(now);
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

void ThreadedSpeaker::push_fence() const {
  if (group_.role() == Role::active)
    fence_.answer_until(group_.lease_end(), role_number_);
  else
    fence_.answer_no_more();
}

void ThreadedSpeaker::transmit(const Send& send) {
  VrrpSocket& socket = instances_[send.member].socket;
  for (const IpAddress& destination : socket.destinations()) {
    const auto message = encode(send.advertisement, {group_.config().members[send.member].source, destination});
    const int error = socket.send(destination, message);
    const std::lock_guard lock(mutex_);
    InstanceReport& report = report_.instances[send.member];
    ++(error == 0 ? report.sent : report.send_errors);
  }
}

void ThreadedSpeaker::announce(Time now) {
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    const SpeakerInstance& instance = instances_[i];
    const std::size_t sent =
        announcer_.announce(instance.interface.ifindex, instance.interface.mac, instance.addresses);
    if (announced_ > 0)  // nothing may delay the first announcements
      (void)announcer_.probe(instance.interface.ifindex, instance.interface.mac, instance.addresses);
    const std::lock_guard lock(mutex_);
    report_.instances[i].announcements += sent;
  }
  announce_at_ = now + (announced_ < kAnnounceAgain.size() ? kAnnounceAgain[announced_] : kAnnounceRefresh);
  ++announced_;
}

void ThreadedSpeaker::note_delay(Duration delay) {
  const std::lock_guard lock(mutex_);
  report_.worst_delay = std::max(report_.worst_delay, std::chrono::duration_cast<std::chrono::microseconds>(delay));
}

void ThreadedSpeaker::note_received(Time now, std::size_t index, const VrrpPacket& packet,
                                    const tl::expected<Advertisement, AdvertisementError>& decoded, Heard heard) {
  const std::lock_guard lock(mutex_);
  InstanceReport& report = report_.instances[index];
  report.oddities = group_.oddities(index);
  if (!decoded) {
    report.rejected[std::string(to_string(decoded.error()))]++;
  } else if (heard != Heard::taken) {
    report.rejected[std::string(to_string(heard))]++;
  } else {
    report.received++;
    report.peer = {packet.source, decoded->priority, now};
  }
}

}  // namespace xlvs::ha
