/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * gateway.h: the client's side next hop, which replies go to. It is learned from the request: its sender's MAC on its
 * port. The few routers that most clients are behind get a number, which fits in a flow's state word. A client on our own
 * segment is a next hop of its own, and there may be any number of those: theirs stands in `hops`, beside the flow.
 */
#ifndef LVS_GATEWAY_H
#define LVS_GATEWAY_H

#include "flow.h"
#include "forward.h"

#define GATEWAY_PROBES 4

/*
 * The number of this next hop; 0: no number is left for it. lvsd frees those that no flow uses: a number that is given
 * out is marked, so that lvsd notices a flow that comes into the table behind its back.
 */
__noinline __u32 learn_gateway(__u64 hop)
{
	__u32 start = (__u32)((hop * 0x9e3779b97f4a7c15ULL) >> 56); /* the top bits depend on all of the MAC's */

	for (__u32 i = 0; i < GATEWAY_PROBES; i++) {
		__u32 number = (start + i) & (LVS_MAX_GATEWAYS - 1);
		__u64 seen;

		if (number == 0 || number == LVS_GATEWAY_OWN)
			continue;
		seen = *(volatile __u64 *)&control.gateway[number];
		if (seen == 0)
			seen = __sync_val_compare_and_swap(&control.gateway[number], 0, hop | LVS_HOP_USED);
		if (seen == 0 || seen == (hop | LVS_HOP_USED))
			return number;
		if (seen == hop && __sync_val_compare_and_swap(&control.gateway[number], hop, hop | LVS_HOP_USED) == hop)
			return number;
	}
	return 0;
}

static __always_inline __u64 gateway_hop(__u32 number)
{
	return number ? *(volatile __u64 *)&control.gateway[number & (LVS_MAX_GATEWAYS - 1)] & LVS_HOP_MASK : 0;
}

/* The slot's number, by which `hops` is indexed. */
static __always_inline __u32 slot_number(const struct flow_id *id, __u32 place, const int v6)
{
	const __u32 slots4 = (control.bucket_mask4 + 1) * LVS_SLOTS4, slots6 = (control.bucket_mask6 + 1) * LVS_SLOTS6;
	const __u32 bits = PLACE_TABLE(place) == 2 ? (__u32)(id->hash >> 32) : (__u32)id->hash;

	if (!IN_OVERFLOW(place))
		return PLACE_POSITION(place) + (v6 ? slots4 + (bits & control.bucket_mask6) * LVS_SLOTS6
						   : (bits & control.bucket_mask4) * LVS_SLOTS4);
	if (v6)
		return slots4 + slots6 + (control.overflow_mask4 + 1) * LVS_OVERFLOW_SLOTS4 +
		       flow_overflow_index(id, 1) * LVS_OVERFLOW_SLOTS6 + PLACE_POSITION(place);
	return slots4 + slots6 + flow_overflow_index(id, 0) * LVS_OVERFLOW_SLOTS4 + PLACE_POSITION(place);
}

/*
 * The slot may change hands between finding the flow and writing here. So the bits that a hop does not need say whose it
 * is; of another flow it counts as none.
 */
static __always_inline __u64 own_mark(const struct flow_id *id)
{
	return id->hash & ~LVS_HOP_MASK;
}

static __always_inline __u64 own_hop(const struct flow_id *id, __u32 place, const int v6)
{
	__u32 number = slot_number(id, place, v6);
	const __u64 *entry = bpf_map_lookup_elem(&hops, &number);
	__u64 hop;

	if (!entry)
		return 0;
	hop = *(volatile __u64 *)entry;
	return (hop & ~LVS_HOP_MASK) == own_mark(id) ? hop & LVS_HOP_MASK : 0;
}

/* 1: it is there now. */
static __always_inline int keep_own_hop(const struct flow_id *id, __u32 place, __u64 hop, const int v6)
{
	__u32 number = slot_number(id, place, v6);
	__u64 *entry = bpf_map_lookup_elem(&hops, &number);

	if (!entry)
		return 0;
	*(volatile __u64 *)entry = hop | own_mark(id);
	return 1;
}

/* What the state word says of a flow whose client is reached by `hop`, which is not what `known` means. */
static __always_inline __u32 change_gateway(const struct flow_id *id, __u32 place, __u32 known, __u64 hop, const int v6)
{
	__u32 number;

	if (known == LVS_GATEWAY_OWN && own_hop(id, place, v6) == hop)
		return known;
	number = learn_gateway(hop);
	if (number)
		return number;
	return keep_own_hop(id, place, hop, v6) ? LVS_GATEWAY_OWN : 0;
}

__noinline __u32 change_gateway4(const struct flow_id *id, __u32 place, __u32 known, __u64 hop)
{
	return id ? change_gateway(id, place, known, hop, 0) : 0;
}

__noinline __u32 change_gateway6(const struct flow_id *id, __u32 place, __u32 known, __u64 hop)
{
	return id ? change_gateway(id, place, known, hop, 1) : 0;
}

/* Where the packet came from; 0: an interface that is not ours. */
static __always_inline __u64 sender_hop(struct xdp_md *ctx, const struct packet *p)
{
	__u32 number = port_number(ctx->ingress_ifindex);
	__u64 hop = 0;

	if (!number)
		return 0;
	__builtin_memcpy(&hop, p->eth->h_source, ETH_ALEN);
	return hop | (__u64)number << 48;
}

/* Of a known flow: what it says already is right for all packets but the first. */
static __always_inline __u32 gateway_of(struct xdp_md *ctx, const struct packet *p, const struct flow_id *id,
					const struct flow *flow, const int v6)
{
	const __u32 known = LVS_WORD_GATEWAY(flow->word);
	const __u64 hop = sender_hop(ctx, p);

	if (!hop)
		return 0;
	if (known == LVS_GATEWAY_OWN || gateway_hop(known) != hop) {
		const struct flow_id copy = *id; /* the caller's stays in registers */

		return v6 ? change_gateway6(&copy, flow->place, known, hop)
			  : change_gateway4(&copy, flow->place, known, hop);
	}
	return known;
}

/* What bpf_fib_lookup says of the packet's destination. */
static __always_inline long ask_fib(struct xdp_md *ctx, const struct packet *p, struct bpf_fib_lookup *fib, const int v6)
{
	*fib = (struct bpf_fib_lookup){.family = v6 ? AF_INET6 : AF_INET,
				       .l4_protocol = p->protocol,
				       .tot_len = (__u16)p->length,
				       .ifindex = ctx->ingress_ifindex};
	if (v6) {
		__builtin_memcpy(fib->ipv6_src, p->src, 16);
		__builtin_memcpy(fib->ipv6_dst, p->dst, 16);
	} else {
		fib->ipv4_src = p->src[0];
		fib->ipv4_dst = p->dst[0];
	}
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

/* The slow way, for a client whose next hop was not learned. 0: the FIB or the neighbour table has no answer. */
static __always_inline __u64 fib_hop(struct xdp_md *ctx, const struct packet *p, const int v6)
{
	struct bpf_fib_lookup fib;
	__u64 hop = 0;
	__u32 number;

	if (ask_fib(ctx, p, &fib, v6) != BPF_FIB_LKUP_RET_SUCCESS)
		return 0;
	number = port_number(fib.ifindex);
	if (!number)
		return 0;
	count_reason(LVS_REASON_hop_by_fib);
	__builtin_memcpy(&hop, fib.dmac, ETH_ALEN);
	return hop | (__u64)number << 48;
}

/* Whether the host would send the packet on; what is for itself, or what it has no route for, it would not. */
static __always_inline int host_would_forward(struct xdp_md *ctx, const struct packet *p, const int v6)
{
	struct bpf_fib_lookup fib;

	switch (ask_fib(ctx, p, &fib, v6)) {
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_NO_NEIGH:
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
	case BPF_FIB_LKUP_RET_UNSUPP_LWT:
		return 1;
	default:
		return 0;
	}
}

#endif
