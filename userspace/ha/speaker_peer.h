// SPDX-License-Identifier: Apache-2.0
// The peer link with its socket, as the speaker's thread uses it. Thread rule: one thread at a time.
#pragma once

#include <optional>
#include <vector>

#include "core/ha_config.h"
#include "core/result.h"
#include "ha/peer_link.h"
#include "ha/peer_socket.h"
#include "ha/speaker.h"

namespace xlvs::ha {

class SpeakerPeer {
 public:
  // `source`: of the first instance's advertisements. Errors name the key file or the address.
  static Result<SpeakerPeer> open(const PeerConfig& config, const IpAddress& source);

  // `state`: without source and facts, which are filled in.
  void tell(Time now, PeerState state);
  void set_facts(RouterFacts facts) { facts_ = std::move(facts); }
  // Takes what has arrived, sends what is due. True: that was to search for the peer (PeerLink::kSearchInterval), which
  // may be active, too; advertisements should go out as well.
  [[nodiscard]] bool hear(Time now);
  [[nodiscard]] std::optional<Time> next_due() const { return link_.next_due(); }
  [[nodiscard]] int fd() const { return socket_.fd(); }

  // What the peer says counts in the election, with `takeover: both_silent`; otherwise it is only reported: to take
  // over from a router that is not heard, and to yield to it, would not go together.
  [[nodiscard]] bool has_a_say() const { return config_.takeover == Takeover::both_silent; }
  [[nodiscard]] bool is_active() const { return has_a_say() && link_.peer_is_active(); }
  [[nodiscard]] PeerView view() const { return has_a_say() ? link_.view() : PeerView{}; }
  [[nodiscard]] bool must_yield() const { return has_a_say() && link_.must_yield(); }
  [[nodiscard]] PeerLinkReport report() const;

 private:
  SpeakerPeer(PeerConfig config, const IpAddress& source, PeerKey key, PeerSocket socket)
      : config_(std::move(config)),
        source_(source),
        socket_(std::move(socket)),
        link_(config_.interval, std::move(key)) {}
  void send(const std::vector<PeerLink::Datagram>& datagrams);

  PeerConfig config_;
  IpAddress source_;
  PeerSocket socket_;
  PeerLink link_;
  RouterFacts facts_;
  std::uint64_t send_errors_ = 0;
};

}  // namespace xlvs::ha
