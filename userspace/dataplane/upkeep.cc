// SPDX-License-Identifier: Apache-2.0
// What lvsd has put into the kernel is looked at, and put back where somebody else took it away.
#include <net/if.h>

#include <algorithm>
#include <cerrno>

#include "dataplane/egress.h"
#include "dataplane/encode.h"
#include "dataplane/xdp_dataplane.h"

namespace xlvs::dataplane {

Upkeep XdpDataplane::upkeep() {
  Upkeep found;
  keep_links(found);
  keep_egress(found);
  keep_fence(found);
  keep_pins(found);
  return found;
}

void XdpDataplane::keep_links(Upkeep& found) {
  for (auto& [name, port] : ports_) keep_link(name, port, found);
}

// Not one whose interface is gone: whoever follows the interfaces detaches that.
void XdpDataplane::keep_link(const std::string& name, Port& port, Upkeep& found) {
  char present[IF_NAMESIZE] = "";
  if (if_indextoname(port.status.ifindex, present) == nullptr) return;
  const auto state = link_state(port.link.get());
  if (state && state->ifindex != 0) {
    if (state->program_id == program_id(program_.get())) return;
    if (update_link(port.link.get(), program_.get()))
      found.repairs.push_back({"link", fmt::format("{}: its XDP link had been given program {} by somebody; it has "
                                                   "program {} again",
                                                   name, state->program_id, program_id(program_.get()))});
    else
      found.problems.push_back(fmt::format("{}: somebody gave its XDP link program {}, which cannot be replaced: {}",
                                           name, state->program_id, std::strerror(errno)));
    return;
  }
  // Pinned with all the others, below.
  auto attachment = attach_program(program_.get(), {present, port.status.ifindex, {}, 0, port.mode});
  if (!attachment) {
    found.problems.push_back(
        fmt::format("{}: its XDP program was detached by somebody, and cannot be attached again: {}", name,
                    attachment.error().message));
    return;
  }
  port.link = std::move(attachment->link);
  port.status.native = attachment->native;
  port.status.mode_reason = attachment->mode_reason;
  port.status.program_id = program_id(program_.get());
  found.repairs.push_back({"link", fmt::format("{}: its XDP program was detached by somebody; attached again", name)});
}

void XdpDataplane::keep_egress(Upkeep& found) {
  if (!via_on_) return;
  const std::uint32_t program = program_id(check_program_.get());
  for (const auto& [name, port] : ports_) {
    char present[IF_NAMESIZE] = "";
    if (if_indextoname(port.status.ifindex, present) == nullptr || has_egress(port.status.ifindex, program)) continue;
    if (auto done = attach_check_program(port.status.ifindex, name); !done)
      found.problems.push_back(done.error().message);
    else
      found.repairs.push_back(
          {"classifier",
           fmt::format("{}: the classifier that checks with via: vip need was removed by somebody; added again",
                       name)});
  }
}

void XdpDataplane::keep_fence(Upkeep& found) {
  if (!fenced_ || !maps_.has("fenced")) return;
  std::set<IpAddress> present;
  for (const auto& [key, unused] : maps_.entries<lvs_address, std::uint32_t>("fenced")) present.insert(decode_any(key));
  if (present == *fenced_) return;
  if (auto done = set_fenced(std::set(*fenced_)); !done)
    found.problems.push_back(done.error().message);
  else
    found.repairs.push_back(
        {"fence", "the addresses that are fenced had been changed by somebody; they are as before"});
}

void XdpDataplane::keep_pins(Upkeep& found) {
  Pins::Objects objects = maps_.descriptors();
  for (const auto& [name, program] :
       {std::pair("program", program_.get()), std::pair("check_program", check_program_.get()),
        std::pair("import_program", importer_.program())})
    if (program >= 0) objects.emplace_back(name, program);
  for (const auto& [name, port] : ports_) objects.emplace_back(Pins::link_name(name), port.link.get());
  const Pins::Objects lost = pins_.lost(objects);
  if (lost.empty()) return;
  std::string names;
  constexpr std::size_t kNamed = 3;
  for (std::size_t i = 0; i < std::min(kNamed, lost.size()); ++i) names += (i == 0 ? "" : ", ") + lost[i].first;
  if (lost.size() > kNamed) names += fmt::format(" and {} more", lost.size() - kNamed);
  if (auto done = pins_.restore(objects, lost); !done)
    found.problems.push_back(
        fmt::format("pins are gone ({}), without which a restart of lvsd loses flows and attachments: {}", names,
                    done.error().message));
  else
    found.repairs.push_back({"pin", fmt::format("pins were removed by somebody ({}); pinned again", names)});
}

}  // namespace xlvs::dataplane
