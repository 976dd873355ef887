// SPDX-License-Identifier: Apache-2.0
// The speaker's thread: what is due, then commands, then what has arrived; speaker.h is its contract.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ha/announcer.h"
#include "ha/claim.h"
#include "ha/event_fd.h"
#include "ha/speaker.h"
#include "ha/speaker_peer.h"
#include "ha/vrrp_socket.h"

namespace xlvs::ha {

struct SpeakerInstance {
  LocalInterface interface;
  VrrpSocket socket;
  std::vector<IpAddress> addresses;
  ClaimSocket claims;
  std::optional<ConflictReport> suspicion = {};  // a claim that a change of role may still explain
};

class ThreadedSpeaker final : public Speaker {
 public:
  // `instances`: as the group's members.
  ThreadedSpeaker(GroupConfig config, std::vector<SpeakerInstance> instances, Announcer announcer,
                  std::optional<SpeakerPeer> peer, FenceWord fence, std::uint64_t role_number, RoleChanged changed);
  ThreadedSpeaker(const ThreadedSpeaker&) = delete;
  ThreadedSpeaker& operator=(const ThreadedSpeaker&) = delete;
  ~ThreadedSpeaker() override;

  void run(bool take_up) override;
  bool leave() override;
  void release() override;
  void resume() override;
  void hold(bool held) override;
  void set_link(const std::string& interface, bool up) override;
  void set_tracked(unsigned penalty, bool fault, const std::string& why) override;
  void set_facts(RouterFacts facts) override;
  [[nodiscard]] SpeakerReport report() const override;

 private:
  using Command = std::function<Step(Time)>;
  enum class End : std::uint8_t { none, hand_over, leave };

  void command(Command command);
  void end(End how);
  [[nodiscard]] Step link_changed(Time now, std::size_t index, bool up);
  [[nodiscard]] Step tracked_changed(Time now, unsigned penalty, bool fault, const std::string& why);

  // ---- on the thread
  void work(bool take_up);
  void begin(bool take_up);
  void wait();
  void turn();
  void receive(Time now);
  void receive(Time now, std::size_t index);
  [[nodiscard]] bool is_for_another(std::size_t index, const Advertisement& advertisement) const;
  void receive_claims(Time now, SpeakerInstance& instance);
  void judge_claims(Time now);
  [[nodiscard]] bool is_own(const MacAddress& mac) const;
  void hear_peer(Time now);
  void tell_peer(Time now);
  void apply(Time now, const Step& step);
  void push_fence() const;
  void transmit(const Send& send);
  void announce(Time now);
  void note_delay(Duration delay);
  void note_received(Time now, std::size_t index, const VrrpPacket& packet,
                     const tl::expected<Advertisement, AdvertisementError>& decoded, Heard heard);

  // The thread's own.
  Group group_;
  std::vector<SpeakerInstance> instances_;
  Announcer announcer_;
  std::optional<SpeakerPeer> peer_;
  FenceWord fence_;
  std::uint64_t role_number_;
  RoleChanged changed_;
  bool tracked_fault_ = false;
  std::string tracked_why_;
  std::optional<Time> announce_at_;  // active: the next announcement
  std::size_t announced_ = 0;

  // Shared.
  mutable std::mutex mutex_;
  SpeakerReport report_;
  std::vector<Command> commands_;
  std::atomic<End> end_ = End::none;
  EventFd wake_;
  std::thread thread_;
};

}  // namespace xlvs::ha
