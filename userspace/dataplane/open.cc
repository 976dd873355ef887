// SPDX-License-Identifier: Apache-2.0
#include "dataplane/open.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/random.h>

#include <algorithm>

#include "dataplane/attach.h"
#include "dataplane/carry_over.h"
#include "dataplane/encode.h"
#include "dataplane/limits.h"
#include "dataplane/object.h"
#include "dataplane/prerequisites.h"

namespace xlvs::dataplane {
namespace {

constexpr const char* kProgram = "program";
constexpr const char* kCheckProgram = "check_program";
constexpr const char* kImportProgram = "import_program";

Fd duplicate(int fd) {
  return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

Result<Maps> open_maps(const BpfObject& object) {
  std::map<std::string, Fd> fds;
  for (const auto& [name, fd] : object.maps()) fds.emplace(name, duplicate(fd));
  return Maps::open(std::move(fds));
}

void store_hash(lvs_control& control, const ObjectHash& hash) {
  std::copy(hash.begin(), hash.end(), control.object_hash);
}

Result<void> initialise(Maps& maps) {
  lvs_control& control = maps.control();
  if (::getrandom(control.hash_seed, sizeof(control.hash_seed), 0) != static_cast<ssize_t>(sizeof(control.hash_seed)))
    return fail(ErrorKind::unavailable, "no random numbers for the flow table's hash: {}", std::strerror(errno));
  control.bucket_mask4 = maps.buckets4.size() - 1;
  control.bucket_mask6 = maps.buckets6.size() - 1;
  control.overflow_mask4 = maps.overflow4.size() - 1;
  control.overflow_mask6 = maps.overflow6.size() - 1;
  const auto timeouts = encode_timeouts(TimeoutConfig{});
  std::copy(timeouts.begin(), timeouts.end(), control.timeout);
  store_hash(control, object_hash());
  return {};
}

// With maps of its own, which are empty.
struct Fresh {
  BpfObject object;
  Maps maps;
};

Result<Fresh> load_fresh(const LimitConfig& limits) {
  auto object = BpfObject::open();
  if (!object) return tl::make_unexpected(object.error());
  if (auto done = object->resize(map_sizes(limits)); !done) return tl::make_unexpected(done.error());
  if (auto done = object->load(); !done) return tl::make_unexpected(done.error());
  auto maps = open_maps(*object);
  if (!maps) return tl::make_unexpected(maps.error());
  if (auto done = initialise(*maps); !done) return tl::make_unexpected(done.error());
  return Fresh{*std::move(object), *std::move(maps)};
}

std::vector<std::pair<std::string, int>> pinned_objects(const BpfObject& object) {
  auto objects = object.maps();
  objects.emplace_back(kProgram, object.program());
  objects.emplace_back(kCheckProgram, object.check_program());
  objects.emplace_back(kImportProgram, object.import_program());
  return objects;
}

Result<Opened> first_load(Pins pins, const OpenOptions& options) {
  auto fresh = load_fresh(options.limits);
  if (!fresh) return tl::make_unexpected(fresh.error());
  auto& [object, maps] = *fresh;
  if (auto done = pins.create(pinned_objects(object)); !done) return tl::make_unexpected(done.error());
  Fd program = duplicate(object.program());
  spdlog::info("loaded XDP program {} (instance {})", program_id(program.get()), options.instance);
  return Opened{std::move(pins), std::move(maps), std::move(program), duplicate(object.check_program()),
                duplicate(object.import_program())};
}

bool has_sizes(const Maps& maps, const LimitConfig& limits) {
  const auto sizes = map_sizes(limits);
  return std::all_of(sizes.begin(), sizes.end(),
                     [&](const MapSize& wanted) { return maps.sizes().at(std::string(wanted.map)) == wanted.entries; });
}

// Each interface changes from the old to the new program between two packets.
void replace_in_links(const Pins& pins, int program) {
  for (const std::string& name : pins.links()) {
    const auto link = pins.get(Pins::link_name(name));
    const auto state = link ? link_state(link->get()) : tl::make_unexpected(link.error());
    if (!state || state->ifindex == 0) continue;
    if (!update_link(link->get(), program))
      spdlog::error("{}: the new XDP program can not replace program {}: {}", name, state->program_id,
                    std::strerror(errno));
  }
}

Result<Fd> upgrade(Pins& pins, Maps& maps) {
  auto object = BpfObject::open();
  if (!object) return tl::make_unexpected(object.error());
  const auto pinned = pins.maps();
  if (!pinned) return tl::make_unexpected(pinned.error());
  if (auto done = object->reuse(*pinned); !done) return tl::make_unexpected(done.error());
  if (auto done = object->load(); !done) return tl::make_unexpected(done.error());
  for (const auto& [name, fd] : object->maps()) {
    if (pinned->contains(name)) continue;  // a map that the old build did not have
    if (auto done = pins.replace(name, fd); !done) return tl::make_unexpected(done.error());
  }
  // No hash while program, links and hash do not agree: whichever build starts after a crash in between loads its own.
  store_hash(maps.control(), ObjectHash{});
  replace_in_links(pins, object->program());
  for (const auto& [name, program] :
       {std::pair(kProgram, object->program()), std::pair(kCheckProgram, object->check_program()),
        std::pair(kImportProgram, object->import_program())})
    if (auto done = pins.replace(name, program); !done) return tl::make_unexpected(done.error());
  store_hash(maps.control(), object_hash());
  return duplicate(object->program());
}

// To maps of other sizes. Whatever fails before the pins are replaced has changed nothing.
Result<Opened> resize(Pins pins, const Maps& old, const OpenOptions& options) {
  auto fresh = load_fresh(options.limits);
  if (!fresh) return tl::make_unexpected(fresh.error());
  auto& [object, maps] = *fresh;
  CarryOver carry(old, maps, object.import_program());
  if (auto done = carry.state(); !done) return tl::make_unexpected(done.error());
  auto all = carry.flows(CarryOver::Walk::open);
  if (!all) return tl::make_unexpected(all.error());
  // The first walk is long, and each one after it has less to do.
  constexpr int kWalks = 5;
  constexpr std::size_t kFew = 100;
  for (int i = 0; i < kWalks; ++i) {
    const auto more = carry.flows(CarryOver::Walk::open);
    if (!more) return tl::make_unexpected(more.error());
    if (more->carried < kFew) break;
  }
  if (auto done = pins.replace_all(pinned_objects(object)); !done) return tl::make_unexpected(done.error());
  carry.counters();
  replace_in_links(pins, object.program());
  for (const CarryOver::Walk walk : {CarryOver::Walk::opened_last, CarryOver::Walk::closing}) {
    const auto last = carry.flows(walk);
    if (!last) spdlog::error("{}", last.error().message);
    if (last) all->carried += last->carried, all->no_room += last->no_room;
  }
  carry.arrived();
  spdlog::info("limits have changed: {} flows are in tables of the new sizes, XDP program {} (instance {})",
               all->carried - all->no_room, program_id(object.program()), options.instance);
  if (all->no_room > 0) spdlog::warn("{} flows found no room in the smaller tables and have ended", all->no_room);
  return Opened{std::move(pins), std::move(maps), duplicate(object.program()), duplicate(object.check_program()),
                duplicate(object.import_program())};
}

Result<Maps> pinned_maps(const Pins& pins) {
  auto fds = pins.maps();
  if (!fds) return tl::make_unexpected(fds.error());
  return Maps::open(*std::move(fds));
}

Fd pinned_program(const Pins& pins, const char* name) {
  auto program = pins.get(name);
  return program ? *std::move(program) : Fd();
}

Result<Opened> adopt_pinned(Pins pins, const OpenOptions& options) {
  auto maps = pinned_maps(pins);
  if (!maps) return tl::make_unexpected(maps.error());
  if (!has_sizes(*maps, options.limits)) {
    auto resized = resize(std::move(pins), *maps, options);
    if (!resized) return tl::make_unexpected(resized.error().in("the limits have changed"));
    return resized;
  }
  Fd program = pinned_program(pins, kProgram);
  Fd check_program = pinned_program(pins, kCheckProgram);
  Fd import_program = pinned_program(pins, kImportProgram);
  const ObjectHash own = object_hash();
  if (program.valid() && check_program.valid() && import_program.valid() &&
      std::equal(own.begin(), own.end(), maps->control().object_hash)) {
    spdlog::info("adopted XDP program {} (instance {})", program_id(program.get()), options.instance);
    return Opened{std::move(pins), *std::move(maps), std::move(program), std::move(check_program),
                  std::move(import_program)};
  }
  auto upgraded = upgrade(pins, *maps);
  if (upgraded) {
    spdlog::info("replaced XDP program {} by {} (instance {})", program_id(program.get()), program_id(upgraded->get()),
                 options.instance);
    maps = pinned_maps(pins);  // with those that are new in this build
    if (!maps) return tl::make_unexpected(maps.error());
    check_program = pinned_program(pins, kCheckProgram);
    import_program = pinned_program(pins, kImportProgram);
    return Opened{std::move(pins), *std::move(maps), *std::move(upgraded), std::move(check_program),
                  std::move(import_program)};
  }
  if (!program.valid()) return tl::make_unexpected(upgraded.error());
  spdlog::error("the XDP program of this build can not be loaded, program {} goes on: {}", program_id(program.get()),
                upgraded.error().message);
  return Opened{std::move(pins), *std::move(maps), std::move(program), std::move(check_program),
                std::move(import_program)};
}

}  // namespace

Result<Opened> load_or_adopt(const OpenOptions& options) {
  redirect_libbpf_log();
  if (auto good = check_prerequisites(); !good) return tl::make_unexpected(good.error());
  auto pins = Pins::open(options.bpffs, options.instance, /*create=*/true);
  if (!pins) return tl::make_unexpected(pins.error());
  for (const std::string& layout : pins->other_layouts())
    spdlog::warn("instance {} has pins of another layout ({}), left alone; `lvsd --reset` removes them",
                 options.instance, layout);
  return pins->exist() ? adopt_pinned(*std::move(pins), options) : first_load(*std::move(pins), options);
}

Result<void> remove_pins(const OpenOptions& options) {
  redirect_libbpf_log();
  auto pins = Pins::open(options.bpffs, options.instance, /*create=*/false);
  if (!pins) {
    if (pins.error().kind == ErrorKind::not_found) return {};
    return tl::make_unexpected(pins.error());
  }
  return pins->remove_all();
}

}  // namespace xlvs::dataplane
