// SPDX-License-Identifier: Apache-2.0
#include "dataplane/egress.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "dataplane/maps.h"

namespace xlvs::dataplane {
namespace {

constexpr __u32 kPriority = 0x6c76;  // "lv"
constexpr __u32 kHandle = 1;
constexpr std::string_view kName = "lvs_check";

bpf_tc_hook hook_of(unsigned ifindex) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = BPF_TC_EGRESS;
  return hook;
}

bpf_tc_opts options_at_our_place() {
  bpf_tc_opts options{};
  options.sz = sizeof(options);
  options.handle = kHandle;
  options.priority = kPriority;
  return options;
}

// The name of the program at our place; nullopt: there is none.
std::optional<std::string> occupant(const bpf_tc_hook& hook) {
  bpf_tc_opts options = options_at_our_place();
  if (bpf_tc_query(&hook, &options) != 0) return std::nullopt;
  const Fd program(bpf_prog_get_fd_by_id(options.prog_id));
  bpf_prog_info info{};
  __u32 length = sizeof(info);
  if (!program.valid() || bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0) return "?";
  return info.name;
}

// True, also when it can not be found out: some filter is at this side of clsact.
bool has_filters(unsigned ifindex, __u32 side) {
  const Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr header;
    tcmsg message;
  } request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_GETTFILTER;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.message.tcm_ifindex = static_cast<int>(ifindex);
  request.message.tcm_parent = TC_H_MAKE(TC_H_CLSACT, side);
  if (!netlink.valid() || ::send(netlink.get(), &request, sizeof(request), 0) < 0) return true;
  alignas(nlmsghdr) std::array<char, 16384> reply{};
  for (;;) {
    const ssize_t received = ::recv(netlink.get(), reply.data(), reply.size(), 0);
    if (received <= 0) return true;
    auto left = static_cast<unsigned>(received);
    const auto* message = reinterpret_cast<const nlmsghdr*>(reply.data());
    for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) return false;
      if (message->nlmsg_type == RTM_NEWTFILTER || message->nlmsg_type == NLMSG_ERROR) return true;
    }
  }
}

}  // namespace

Result<void> attach_egress(unsigned ifindex, const std::string& interface, int program) {
  bpf_tc_hook hook = hook_of(ifindex);
  const auto failure = [&](int error) {
    return fail(error == EPERM ? ErrorKind::permission : ErrorKind::unsupported,
                "{}: checks with via: vip need a classifier (clsact, cls_bpf) at its egress: {}", interface,
                std::strerror(error));
  };
  if (const int error = bpf_tc_hook_create(&hook); error != 0 && error != -EEXIST) return failure(-error);
  if (const auto name = occupant(hook); name && *name != kName)
    return fail(ErrorKind::conflict, "{}: the egress filter of priority {}, which lvsd needs, is program \"{}\"",
                interface, kPriority, *name);
  bpf_tc_opts options = options_at_our_place();
  options.prog_fd = program;
  options.flags = BPF_TC_F_REPLACE;
  if (const int error = bpf_tc_attach(&hook, &options); error != 0) return failure(-error);
  return {};
}

bool has_egress(unsigned ifindex, std::uint32_t program) {
  const bpf_tc_hook hook = hook_of(ifindex);
  bpf_tc_opts options = options_at_our_place();
  return bpf_tc_query(&hook, &options) == 0 && options.prog_id == program;
}

void detach_egress(unsigned ifindex) {
  bpf_tc_hook hook = hook_of(ifindex);
  if (occupant(hook) != kName) return;
  const bpf_tc_opts options = options_at_our_place();
  bpf_tc_detach(&hook, &options);
  if (has_filters(ifindex, TC_H_MIN_EGRESS) || has_filters(ifindex, TC_H_MIN_INGRESS)) return;
  // Named so, the hook is all of clsact.
  hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  bpf_tc_hook_destroy(&hook);
}

}  // namespace xlvs::dataplane
