// SPDX-License-Identifier: Apache-2.0
#include "dataplane/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include <cerrno>

namespace xlvs::dataplane {

Result<LinkState> link_state(int link) {
  bpf_link_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(link, &info, &length) != 0)
    return fail(ErrorKind::unavailable, "cannot inspect an XDP link: {}", std::strerror(errno));
  return LinkState{info.xdp.ifindex, info.prog_id};
}

bool update_link(int link, int program) {
  return bpf_link_update(link, program, nullptr) == 0;
}

void detach_link(int link) {
  bpf_link_detach(link);
}

std::uint32_t program_id(int program) {
  bpf_prog_info info{};
  __u32 length = sizeof(info);
  return bpf_obj_get_info_by_fd(program, &info, &length) == 0 ? info.id : 0;
}

bool is_native(unsigned ifindex) {
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  return bpf_xdp_query(static_cast<int>(ifindex), 0, &query) != 0 || query.attach_mode != XDP_ATTACHED_SKB;
}

namespace {

std::string describe_foreign(unsigned ifindex) {
  __u32 id = 0;
  if (bpf_xdp_query_id(static_cast<int>(ifindex), 0, &id) != 0 || id == 0) return "another XDP program";
  const Fd program(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  __u32 length = sizeof(info);
  if (!program.valid() || bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0)
    return fmt::format("XDP program id {}", id);
  return fmt::format("XDP program id {} (\"{}\")", id, info.name);
}

Fd create_link(int program, unsigned ifindex, __u32 flags) {
  LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
  return Fd(bpf_link_create(program, static_cast<int>(ifindex), BPF_XDP, &options));
}

tl::unexpected<Error> attach_error(const PortRequest& request, std::string_view mode) {
  const int error = errno;
  switch (error) {
    case EBUSY:
    case EEXIST:
      return fail(ErrorKind::conflict, "{}: {} is attached already; remove it with `ip link set dev {} xdp off`{}",
                  request.name, describe_foreign(request.ifindex), request.name, " or stop the program that owns it");
    case ENODEV:
      return fail(ErrorKind::not_found, "interface {} does not exist any more", request.name);
    case EPERM:
      return fail(ErrorKind::permission, "{}: attaching an XDP program needs CAP_NET_ADMIN", request.name);
    default:
      break;
  }
  return fail(ErrorKind::unsupported, "{}: the driver refuses an XDP program in {} mode: {}{}", request.name, mode,
              std::strerror(error), mode == "native" ? "; `mode: generic` would work on any interface, slowly" : "");
}

// A refusal that generic mode may get round: not one because of who we are or what is attached.
bool may_fall_back(int error) {
  return error != EBUSY && error != EEXIST && error != ENODEV && error != EPERM;
}

}  // namespace

Result<Attachment> attach_program(int program, const PortRequest& request) {
  Attachment out;
  if (request.mode != XdpMode::generic) {
    out.link = create_link(program, request.ifindex, XDP_FLAGS_DRV_MODE);
    if (!out.link.valid()) {
      if (request.mode == XdpMode::native || !may_fall_back(errno)) return attach_error(request, "native");
      out.mode_reason = fmt::format("the driver refused native mode: {}", std::strerror(errno));
    }
  } else {
    out.mode_reason = "configured";
  }
  if (!out.link.valid()) {
    out.native = false;
    out.link = create_link(program, request.ifindex, XDP_FLAGS_SKB_MODE);
    if (!out.link.valid()) return attach_error(request, "generic");
  }
  return out;
}

Result<Attachment> attach_and_pin(Pins& pins, int program, const PortRequest& request) {
  auto attached = attach_program(program, request);
  if (!attached) return attached;
  if (auto pinned = pins.replace(Pins::link_name(request.name), attached->link.get()); !pinned) {
    bpf_link_detach(attached->link.get());
    return tl::make_unexpected(pinned.error());
  }
  return attached;
}

}  // namespace xlvs::dataplane
