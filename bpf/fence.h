/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fence.h: who asks for an address of this router's role gets no answer from here once lvsd no longer says that the
 * role is ours. ARP requests and neighbour solicitations only: far from the path of a client's packet.
 */
#ifndef LVS_FENCE_H
#define LVS_FENCE_H

#include <linux/icmpv6.h>

#include "count.h"
#include "parse.h"

#define ARP_REQUEST 1
#define NDP_SOLICITATION 135 /* RFC 4861, section 4.3 */

/* RFC 826, for IPv4 over Ethernet. The kernel's <linux/if_arp.h> is not for freestanding programs. */
struct arp_ipv4 {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__be32 sender;
	__u8 target_mac[6];
	__be32 target;
} __attribute__((packed));

/* This router is active, as far as its lvsd has said of late. */
static __always_inline int role_is_ours(void)
{
	__u32 zero = 0;
	const struct lvs_fence *f = bpf_map_lookup_elem(&fence, &zero);

	return f && *(volatile __u64 *)&f->until > bpf_ktime_get_ns();
}

static __always_inline int may_answer(const struct lvs_address *address)
{
	if (role_is_ours())
		return 1;
	return bpf_map_lookup_elem(&fenced, address) == 0;
}

/* An announcement asks nobody: it is how the router that is active now is learnt. */
static __always_inline int fence_arp(struct xdp_md *ctx, const struct packet *p)
{
	struct arp_ipv4 *arp = p->l3;
	struct lvs_address target = {};

	if ((void *)(arp + 1) > (void *)(long)ctx->data_end || arp->operation != bpf_htons(ARP_REQUEST) ||
	    arp->protocol != bpf_htons(ETH_P_IP) || arp->sender == arp->target)
		return XDP_PASS;
	target.addr[2] = bpf_htonl(0xffff);
	target.addr[3] = arp->target;
	return may_answer(&target) ? XDP_PASS : drop(LVS_REASON_fenced);
}

static __always_inline int fence_ndp(struct xdp_md *ctx, const struct packet *p)
{
	struct {
		struct ipv6hdr ip;
		struct icmp6hdr icmp;
		struct lvs_address target;
	} *ndp = p->l3;
	struct lvs_address target;

	if ((void *)(ndp + 1) > (void *)(long)ctx->data_end || ndp->ip.nexthdr != IPPROTO_ICMPV6 ||
	    ndp->icmp.icmp6_type != NDP_SOLICITATION)
		return XDP_PASS;
	target = ndp->target;
	return may_answer(&target) ? XDP_PASS : drop(LVS_REASON_fenced);
}

#endif
