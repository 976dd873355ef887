/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * check_path.h: health checks that go to a virtual service address on one backend (`via: vip`), as its clients' packets
 * do. lvsd's socket is connected to the backend's own address, so that routing and neighbours are the backend's; a mark
 * on its packets names the VIP that takes the address's place on the way out. The answer comes from the VIP, which this
 * host may own itself: on the way in the backend's address takes its place again. Neither is anywhere near the path of
 * a client's packet.
 */
#ifndef LVS_CHECK_PATH_H
#define LVS_CHECK_PATH_H

#include <linux/pkt_cls.h>

#include "forward.h"

static __always_inline __u32 l4_offset(const int v6)
{
	return v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

static __always_inline __u32 check_offset(__u8 protocol)
{
	return protocol == IPPROTO_TCP ? __builtin_offsetof(struct tcphdr, check)
				       : __builtin_offsetof(struct udphdr, check);
}

/* Whom the packet is for, and the flow that its answer will have. 0: it can not be read, or is a fragment. */
static __always_inline int read_check(struct __sk_buff *skb, const struct lvs_via *via, struct lvs_check_flow *flow,
				      struct lvs_check_origin *origin, const int v6)
{
	__be16 ports[2];

	if (v6) {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
			return 0;
		__builtin_memcpy(flow->local, &ip.saddr, sizeof(flow->local));
		__builtin_memcpy(origin->addr, &ip.daddr, sizeof(origin->addr));
		flow->protocol = ip.nexthdr;
	} else {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) || ip.ihl != 5 ||
		    (ip.frag_off & bpf_htons(0x3fff)))
			return 0;
		flow->local[0] = ip.saddr;
		origin->addr[0] = ip.daddr;
		flow->protocol = ip.protocol;
	}
	if (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP)
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_HLEN + l4_offset(v6), ports, sizeof(ports)))
		return 0;
	__builtin_memcpy(flow->vip, via->addr, sizeof(flow->vip));
	flow->local_port = ports[0];
	flow->vip_port = ports[1];
	return 1;
}

/* Written only when it says something else: a lookup is what keeps an entry from being the next to go. */
static __always_inline int remember_origin(const struct lvs_check_flow *flow, const struct lvs_check_origin *origin)
{
	const struct lvs_check_origin *known = bpf_map_lookup_elem(&check_origins, flow);

	if (known && known->addr[0] == origin->addr[0] && known->addr[1] == origin->addr[1] &&
	    known->addr[2] == origin->addr[2] && known->addr[3] == origin->addr[3])
		return 1;
	return bpf_map_update_elem(&check_origins, flow, origin, BPF_ANY) == 0;
}

/* The helpers know what is still to be done for a checksum that the device finishes. */
static __always_inline int replace_destination(struct __sk_buff *skb, __u8 protocol, __be32 *from, __be32 *to,
					       const int v6)
{
	__u32 check = ETH_HLEN + l4_offset(v6) + check_offset(protocol);
	__u64 flags = BPF_F_PSEUDO_HDR | (protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0);

	if (v6) {
		__s64 difference = bpf_csum_diff(from, 16, to, 16, 0);

		return bpf_l4_csum_replace(skb, check, 0, (__u64)difference, flags) == 0 &&
		       bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, daddr), to, 16, 0) == 0;
	}
	return bpf_l4_csum_replace(skb, check, from[0], to[0], flags | sizeof(__be32)) == 0 &&
	       bpf_l3_csum_replace(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, check), from[0], to[0],
				   sizeof(__be32)) == 0 &&
	       bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, daddr), to, 4, 0) == 0;
}

/* What can not be sent to the VIP is dropped: the backend's own address would answer where the VIP might not. */
static __always_inline int send_check(struct __sk_buff *skb, struct lvs_via *via, const int v6)
{
	struct lvs_check_flow flow = {};
	struct lvs_check_origin origin = {};

	if (read_check(skb, via, &flow, &origin, v6) && remember_origin(&flow, &origin) &&
	    replace_destination(skb, flow.protocol, origin.addr, via->addr, v6))
		return TC_ACT_UNSPEC;
	return TC_ACT_SHOT;
}

/* Leaving this host: UNSPEC lets other classifiers see it. */
static __always_inline int check_sent(struct __sk_buff *skb)
{
	__u32 mark = skb->mark;
	struct lvs_via *to;

	if (!mark)
		return TC_ACT_UNSPEC;
	to = bpf_map_lookup_elem(&via, &mark);
	if (!to)
		return TC_ACT_UNSPEC;
	if (skb->protocol == bpf_htons(ETH_P_IP) && to->family == AF_INET)
		return send_check(skb, to, 0);
	if (skb->protocol == bpf_htons(ETH_P_IPV6) && to->family == AF_INET6)
		return send_check(skb, to, 1);
	return TC_ACT_UNSPEC;
}

static __always_inline int restore_source(struct packet *p, const int v6)
{
	struct lvs_check_flow flow = {.vip_port = p->ports[0], .local_port = p->ports[1], .protocol = p->protocol};
	const struct lvs_check_origin *origin;
	__u64 to;

	if (v6) {
		const struct ipv6hdr *ip = p->l3;

		__builtin_memcpy(flow.vip, &ip->saddr, sizeof(flow.vip));
		__builtin_memcpy(flow.local, &ip->daddr, sizeof(flow.local));
	} else {
		const struct iphdr *ip = p->l3;

		flow.vip[0] = ip->saddr;
		flow.local[0] = ip->daddr;
	}
	origin = bpf_map_lookup_elem(&check_origins, &flow);
	if (!origin)
		return 0;
	__builtin_memcpy(p->src, flow.vip, sizeof(p->src));
	p->sport = flow.vip_port;
	to = (__u64)origin->addr[0] + origin->addr[1] + origin->addr[2] + origin->addr[3] + flow.vip_port;
	set_source(p, origin->addr, flow.vip_port, fold(to), v6);
	return 1;
}

/*
 * From a VIP that checks go to: an answer to one becomes the backend's own, which the host's socket waits for; anything
 * else passes as it is. A global function: rare, and the verifier walks it once. It looks for the headers again, which
 * spares the caller to keep them.
 */
__noinline int check_answered(struct xdp_md *ctx, __u32 v6)
{
	void *end = (void *)(long)ctx->data_end, *l4;
	struct packet p = {};

	if (!parse_ethernet(ctx, &p))
		return XDP_PASS;
	l4 = p.l3 + l4_offset(v6 != 0);
	if (l4 + sizeof(struct udphdr) > end)
		return XDP_PASS;
	p.protocol = v6 ? ((struct ipv6hdr *)p.l3)->nexthdr : ((struct iphdr *)p.l3)->protocol;
	p.ports = l4;
	p.check = l4 + check_offset(p.protocol);
	if ((void *)(p.check + 1) > end)
		return XDP_PASS;
	if (v6)
		restore_source(&p, 1);
	else
		restore_source(&p, 0);
	return XDP_PASS;
}

#endif
