// SPDX-License-Identifier: Apache-2.0
// One interface's XDP link: made, adopted or replaced. Knows nothing of maps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/result.h"
#include "dataplane/dataplane.h"
#include "dataplane/maps.h"
#include "dataplane/pins.h"

namespace xlvs::dataplane {

struct LinkState {
  unsigned ifindex = 0;  // 0: the interface is gone
  std::uint32_t program_id = 0;
};
[[nodiscard]] Result<LinkState> link_state(int link);

// From its old program to this one between two packets. False: errno says why.
[[nodiscard]] bool update_link(int link, int program);
void detach_link(int link);

[[nodiscard]] std::uint32_t program_id(int program);  // 0: not a program

// Of an interface that carries XDP already: is it the driver that runs it?
[[nodiscard]] bool is_native(unsigned ifindex);

struct Attachment {
  Fd link;
  bool native = true;
  std::string mode_reason;
};

// Attaches in the requested mode (automatic: native, else generic), for as long as the link is open or pinned.
// Conflict: another XDP program is there; the message names it.
[[nodiscard]] Result<Attachment> attach_program(int program, const PortRequest& request);
// The same, and pins the link.
[[nodiscard]] Result<Attachment> attach_and_pin(Pins& pins, int program, const PortRequest& request);

}  // namespace xlvs::dataplane
