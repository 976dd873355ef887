// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp_dataplane.h"

#include <net/if.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "dataplane/egress.h"
#include "dataplane/encode.h"
#include "dataplane/open.h"

namespace xlvs::dataplane {

XdpDataplane::XdpDataplane(Pins pins, Maps maps, Fd program, Fd check_program, Fd import_program,
                           const LimitConfig& limits)
    : pins_(std::move(pins)),
      maps_(std::move(maps)),
      program_(std::move(program)),
      check_program_(std::move(check_program)),
      limits_(limits),
      sweeper_(maps_),
      teller_(maps_, registry_),
      importer_(maps_, registry_, std::move(import_program)),
      port_numbers_(maps_) {}

Result<std::unique_ptr<XdpDataplane>> XdpDataplane::open(const OpenOptions& options) {
  auto opened = load_or_adopt(options);
  if (!opened) return tl::make_unexpected(opened.error());
  std::unique_ptr<XdpDataplane> dataplane(new XdpDataplane(std::move(opened->pins), std::move(opened->maps),
                                                           std::move(opened->program), std::move(opened->check_program),
                                                           std::move(opened->import_program), options.limits));
  dataplane->adopt_maps();
  dataplane->adopt_via_checks();
  dataplane->adopt_links();
  return dataplane;
}

void XdpDataplane::adopt_maps() {
  Adopted adopted = adopt(maps_, sweeper_.next_full_sweep());
  registry_ = std::move(adopted.registry);
  reals_ = std::move(adopted.reals);
  addresses_ = std::move(adopted.addresses);
  reals_unknown_ = true;
  teller_.ids_changed();
  importer_.ids_changed();
  for (const auto& [id, backend] : registry_.backends()) {
    const auto hop = backend_stats(id).next_hop;
    if (hop) hops_.try_emplace(backend.endpoint.address, *hop);
  }
}

// ---- interfaces ------------------------------------------------------------------------------------------------

// Links that an earlier lvsd pinned. They carry traffic already; attach() will say how the interface is to be.
void XdpDataplane::adopt_links() {
  for (const std::string& name : pins_.links()) {
    auto link = pins_.get(Pins::link_name(name));
    const auto state = link ? link_state(link->get()) : tl::make_unexpected(link.error());
    const auto number = state ? port_numbers_.find(state->ifindex) : std::nullopt;
    if (!number) {
      spdlog::info("{}: removing the XDP link of an interface that is gone", name);
      if (link) detach_link(link->get());
      pins_.remove(Pins::link_name(name));
      continue;
    }
    Port port{*number, *std::move(link), {}};
    port.status = {name, state->ifindex, is_native(state->ifindex), "", state->program_id, true};
    if (!port.status.native) port.status.mode_reason = "attached so by an earlier lvsd";
    ports_.emplace(name, std::move(port));
  }
  for (std::uint32_t number = 1; number < LVS_MAX_PORTS; ++number) {
    const bool known =
        std::any_of(ports_.begin(), ports_.end(), [&](const auto& entry) { return entry.second.number == number; });
    if (!known && port_numbers_.ifindex(number) != 0) port_numbers_.remove(number);
  }
  refresh_hops();
}

// An interface may have been renamed since its link was pinned.
void XdpDataplane::take_over_renamed(const PortRequest& request) {
  const auto other = std::find_if(ports_.begin(), ports_.end(), [&](const auto& entry) {
    return entry.first != request.name && entry.second.status.ifindex == request.ifindex;
  });
  if (other == ports_.end()) return;
  const auto state = link_state(other->second.link.get());
  if (!state || state->ifindex != request.ifindex) return;
  if (ports_.contains(request.name)) drop_port(request.name);
  if (!pins_.rename(Pins::link_name(other->first), Pins::link_name(request.name))) return;
  spdlog::info("{}: was {} when it was attached", request.name, other->first);
  auto node = ports_.extract(other);
  node.key() = request.name;
  node.mapped().status.name = request.name;
  ports_.insert(std::move(node));
}

// True: the link that is there serves the request (with our program and the mode asked for).
Result<bool> XdpDataplane::adopt_link(const PortRequest& request, Port& port) {
  const auto state = link_state(port.link.get());
  if (!state || state->ifindex != request.ifindex) return false;
  const bool wrong_mode = (request.mode == XdpMode::native && !port.status.native) ||
                          (request.mode == XdpMode::generic && port.status.native);
  if (wrong_mode) return false;
  if (state->program_id != program_id(program_.get())) {
    if (!update_link(port.link.get(), program_.get()))
      return fail(ErrorKind::unsupported, "{}: the present program can not replace the one that is attached: {}",
                  request.name, std::strerror(errno));
  }
  if (request.mode == XdpMode::generic) port.status.mode_reason = "configured";
  return true;
}

Result<PortStatus> XdpDataplane::attach(const PortRequest& request) {
  if (if_nametoindex(request.name.c_str()) == 0)
    return fail(ErrorKind::not_found, "interface {} does not exist", request.name);
  take_over_renamed(request);
  if (const auto found = ports_.find(request.name); found != ports_.end()) {
    Port& port = found->second;
    const auto adopted = adopt_link(request, port);
    if (!adopted) return tl::make_unexpected(adopted.error());
    if (*adopted) {
      port_numbers_.update(port.number, request);
      port.mode = request.mode;
      port.status.program_id = program_id(program_.get());
      spdlog::info("{}: XDP program {} goes on ({} mode)", request.name, port.status.program_id,
                   port.status.native ? "native" : "generic");
      return port.status;
    }
    spdlog::info("{}: the XDP link is of another interface or mode; attaching anew", request.name);
    drop_port(request.name);
  }
  if (via_on_)
    if (auto done = attach_check_program(request.ifindex, request.name); !done)
      return tl::make_unexpected(done.error());
  // The port first: the program may see packets as soon as it is attached.
  const auto number = port_numbers_.add(request);
  if (!number) return tl::make_unexpected(number.error());
  auto attachment = attach_and_pin(pins_, program_.get(), request);
  if (!attachment) {
    port_numbers_.remove(*number);
    return tl::make_unexpected(attachment.error());
  }
  Port port{*number, std::move(attachment->link), {}, request.mode};
  port.status = {request.name, request.ifindex, attachment->native, attachment->mode_reason, program_id(program_.get()),
                 false};
  const PortStatus status = port.status;
  ports_.emplace(request.name, std::move(port));
  refresh_hops();
  if (status.native)
    spdlog::info("{}: attached XDP program {} in native mode", request.name, status.program_id);
  else
    spdlog::warn("{}: attached XDP program {} in generic mode, which is slow ({})", request.name, status.program_id,
                 status.mode_reason);
  return status;
}

void XdpDataplane::drop_port(const std::string& name) {
  const auto found = ports_.find(name);
  if (found == ports_.end()) return;
  Port port = std::move(found->second);
  ports_.erase(found);
  if (const auto state = link_state(port.link.get()); state && state->ifindex != 0) detach_egress(state->ifindex);
  detach_link(port.link.get());
  pins_.remove(Pins::link_name(name));
  refresh_hops();
  port_numbers_.remove(port.number);
}

void XdpDataplane::detach(const std::string& name) {
  if (!ports_.contains(name)) return;
  drop_port(name);
  spdlog::info("{}: detached the XDP program", name);
}

void XdpDataplane::update_port(const PortRequest& request) {
  const auto found = ports_.find(request.name);
  if (found != ports_.end() && found->second.status.ifindex == request.ifindex)
    port_numbers_.update(found->second.number, request);
}

std::vector<PortStatus> XdpDataplane::ports() const {
  std::vector<PortStatus> out;
  for (const auto& [name, port] : ports_) out.push_back(port.status);
  return out;
}

// ---- next hops -------------------------------------------------------------------------------------------------

bool XdpDataplane::is_local(const IpAddress& address) const {
  const auto hop = hops_.find(address);
  return hop != hops_.end() && hop->second.local;
}

std::uint64_t XdpDataplane::hop_word(const IpAddress& address) const {
  const auto hop = hops_.find(address);
  if (hop == hops_.end() || hop->second.local) return 0;
  const unsigned ifindex = hop->second.ifindex;
  const auto port = std::find_if(ports_.begin(), ports_.end(),
                                 [&](const auto& entry) { return entry.second.status.ifindex == ifindex; });
  return port == ports_.end() ? 0 : encode_hop(hop->second.mac, port->second.number);
}

void XdpDataplane::store_hop(std::uint32_t id) {
  const InstalledBackend& backend = registry_.backends().at(id);
  const IpAddress& address = backend.endpoint.address;
  lvs_backend& record = maps_.backends[id];
  maps_.store_word(record.hop, hop_word(address));
  const lvs_method method = is_local(address) ? LVS_METHOD_LOCAL : encode_method(backend.forward);
  maps_.store_backend_word(id, backend_word(backend.endpoint.port, method, LVS_BACKEND_VALID));
}

void XdpDataplane::refresh_hops() {
  for (const auto& [id, backend] : registry_.backends()) store_hop(id);
}

void XdpDataplane::set_next_hop(const IpAddress& address, const std::optional<NextHop>& hop) {
  if (hop)
    hops_[address] = *hop;
  else
    hops_.erase(address);
  for (const std::uint32_t id : registry_.backends_at(address)) store_hop(id);
  const bool unreachable = hop && !hop->local && hop_word(address) == 0;
  if (!unreachable) warned_.erase(address);
  if (unreachable && warned_.insert(address).second) {
    char name[IF_NAMESIZE] = "?";
    if_indextoname(hop->ifindex, name);
    spdlog::warn("{} is reached through {}, which is not in `interfaces`: packets to it are dropped",
                 address.to_string(), name);
  }
}

// ---- sweeping --------------------------------------------------------------------------------------------------

bool XdpDataplane::sweep_step(std::size_t buckets) {
  if (!sweeper_.step(buckets)) return false;
  const std::uint64_t sweep = sweeper_.completed();
  for (const std::uint32_t id :
       registry_.backend_ids().rested(sweep, [&](std::uint32_t backend) { return sweeper_.saw_backend(backend); }))
    retire_backend(id);
  for (const std::uint32_t id : registry_.listener_ids().rested(
           sweep, [&](std::uint32_t listener) { return sweeper_.saw_listener(listener); })) {
    maps_.store_record(maps_.vips[id], lvs_vip{});
    registry_.release_listener(id);
  }
  return true;
}

// Its counts go to the service, and its id is free. A crash between these writes may count a little twice, but never
// loses: totals do not go back.
void XdpDataplane::retire_backend(std::uint32_t id) {
  const std::uint32_t service = registry_.resting_backends().at(id);
  if (service != 0) {
    const TrafficCounters counted = maps_.counters(id);
    lvs_counters sum = maps_.retired[service];
    sum.flows += counted.flows;
    sum.in_packets += counted.in_packets;
    sum.in_bytes += counted.in_bytes;
    sum.out_packets += counted.out_packets;
    sum.out_bytes += counted.out_bytes;
    maps_.store_record(maps_.retired[service], sum);
  }
  maps_.clear_counters(id);
  maps_.store_record(maps_.loads[id], lvs_load{});
  maps_.store_record(maps_.backends[id], lvs_backend{});
  registry_.release_backend(id);
}

// ---- the public entry ------------------------------------------------------------------------------------------

Result<std::unique_ptr<Dataplane>> open_xdp_dataplane(const OpenOptions& options) {
  auto dataplane = XdpDataplane::open(options);
  if (!dataplane) return tl::make_unexpected(dataplane.error());
  return std::unique_ptr<Dataplane>(*std::move(dataplane));
}

}  // namespace xlvs::dataplane
