/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * forward.h: rewriting and sending. Checksums are updated, never recomputed (RFC 1624, equation 3), so a packet that
 * was damaged on its way stays detectably damaged.
 */
#ifndef LVS_FORWARD_H
#define LVS_FORWARD_H

#include "parse.h"
#include "count.h"

#ifndef AF_INET
#define AF_INET 2
#define AF_INET6 10
#endif

/* A ones' complement sum that has not been folded to 16 bits yet. 64 bits never overflow here. */
static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)((sum & 0xffff) + (sum >> 16));
}

/* `check` after a header's sum changed from `from` to `to` (32-bit ones' complement sums). */
static __always_inline __sum16 checksum_update(__sum16 check, __u32 from, __u32 to)
{
	return (__sum16)~fold((__u64)(__u16)~check + (__u32)~from + to);
}

static __always_inline void update_l4_checksum(struct packet *p, __u32 from, __u32 to)
{
	__sum16 check = *p->check;

	if (p->protocol == IPPROTO_UDP && check == 0) /* none was computed (RFC 768) */
		return;
	check = checksum_update(check, from, to);
	if (p->protocol == IPPROTO_UDP && check == 0)
		check = 0xffff;
	*p->check = check;
}

static __always_inline void set_destination(struct packet *p, const __be32 *addr, __be16 port, __u32 from, __u32 to,
					    const int v6)
{
	if (v6) {
		__builtin_memcpy(&((struct ipv6hdr *)p->l3)->daddr, addr, 16);
	} else {
		struct iphdr *ip = p->l3;

		ip->check = checksum_update(ip->check, ip->daddr, addr[0]);
		ip->daddr = addr[0];
	}
	p->ports[1] = port;
	update_l4_checksum(p, from, to);
}

static __always_inline void set_source(struct packet *p, const __be32 *addr, __be16 port, __u32 to, const int v6)
{
	__u64 from = (__u64)p->src[0] + p->sport;

	if (v6) {
		from += (__u64)p->src[1] + p->src[2] + p->src[3];
		__builtin_memcpy(&((struct ipv6hdr *)p->l3)->saddr, addr, 16);
	} else {
		struct iphdr *ip = p->l3;

		ip->check = checksum_update(ip->check, ip->saddr, addr[0]);
		ip->saddr = addr[0];
	}
	p->ports[0] = port;
	update_l4_checksum(p, fold(from), to);
}

static __always_inline int ttl_expired(const struct packet *p, const int v6)
{
	return (v6 ? ((struct ipv6hdr *)p->l3)->hop_limit : ((struct iphdr *)p->l3)->ttl) <= 1;
}

static __always_inline void decrement_ttl(struct packet *p, const int v6)
{
	if (v6) {
		((struct ipv6hdr *)p->l3)->hop_limit--;
	} else {
		struct iphdr *ip = p->l3;

		/* The TTL is the high byte of its 16-bit word; the sum changes by exactly one there. */
		ip->check = checksum_update(ip->check, bpf_htons(0x0100), 0);
		ip->ttl--;
	}
}

static __always_inline const struct lvs_port *port_by_number(__u32 number)
{
	return &control.port[number & (LVS_MAX_PORTS - 1)];
}

/* A global function: the verifier walks it once, by itself, and not for each caller's state. */
__noinline __u32 search_port(__u32 ifindex)
{
	for (__u32 number = 1; number < LVS_MAX_PORTS; number++)
		if (control.port[number].ifindex == ifindex)
			return number;
	return 0;
}

/* The port number of an interface; 0 if it carries no program of ours. */
static __always_inline __u32 port_number(__u32 ifindex)
{
	__u32 number = control.port_of_ifindex[ifindex & 255] & (LVS_MAX_PORTS - 1);

	/* Another interface may have the same low byte. */
	return control.port[number].ifindex == ifindex ? number : search_port(ifindex);
}

static __always_inline int has_mac(__u32 number, __u64 mac)
{
	return ((*(volatile __u64 *)&control.port[number & (LVS_MAX_PORTS - 1)] ^ mac) & LVS_HOP_MAC_MASK) == 0;
}

/* A bond has the program run by its members, which have no number: then the MAC of any port will do. */
__noinline int is_ours(__u64 mac, __u32 ifindex)
{
	__u32 own = port_number(ifindex);

	if (own)
		return has_mac(own, mac);
	for (__u32 number = 1; number < LVS_MAX_PORTS; number++)
		if (control.port[number].ifindex && has_mac(number, mac))
			return 1;
	return 0;
}

/*
 * XDP sees what a promiscuous interface takes and what a switch floods, too. Those are for somebody else, as they are
 * for the kernel (PACKET_OTHERHOST). So are broadcast and multicast frames, which are for many: each would forward it.
 */
static __always_inline int is_for_us(struct xdp_md *ctx, const struct packet *p)
{
	__u32 ifindex = ctx->ingress_ifindex;
	__u32 number = control.port_of_ifindex[ifindex & 255] & (LVS_MAX_PORTS - 1);
	__u64 mac = *(__u64 *)p->eth; /* and two bytes more */

	return (control.port[number].ifindex == ifindex && has_mac(number, mac)) || is_ours(mac, ifindex);
}

static __always_inline void set_macs(struct packet *p, __u64 hop, const struct lvs_port *port)
{
	__builtin_memcpy(p->eth->h_dest, &hop, ETH_ALEN);
	__builtin_memcpy(p->eth->h_source, port->mac, ETH_ALEN);
}

/*
 * A tag is of the network that the frame came from; a next hop is reached without one. On the same interface it may be
 * the same network, on another it never is.
 */
static __always_inline int has_foreign_tag(struct xdp_md *ctx, const struct packet *p, __u64 hop)
{
	return (long)p->l3 - (long)p->eth != ETH_HLEN &&
	       control.port[LVS_HOP_PORT(hop)].ifindex != ctx->ingress_ifindex;
}

/* Everything that can still forbid sending is asked before the packet is touched. */
static __always_inline int may_send(struct xdp_md *ctx, const struct packet *p, __u64 hop, int *verdict, const int v6)
{
	if (hop == 0)
		*verdict = drop(LVS_REASON_no_next_hop);
	else if (has_foreign_tag(ctx, p, hop))
		*verdict = drop(LVS_REASON_vlan_mismatch);
	else if (ttl_expired(p, v6))
		*verdict = drop(LVS_REASON_ttl_expired);
	else if (p->length > port_by_number(LVS_HOP_PORT(hop))->mtu)
		*verdict = drop(LVS_REASON_too_big);
	else
		return 1;
	return 0;
}

static __always_inline int send_to(struct xdp_md *ctx, struct packet *p, __u64 hop, const int v6)
{
	__u32 number = LVS_HOP_PORT(hop);
	const struct lvs_port *port = port_by_number(number);

	decrement_ttl(p, v6);
	set_macs(p, hop, port);
	if (port->ifindex == ctx->ingress_ifindex)
		return XDP_TX;
	return (int)bpf_redirect_map(&ports, number, XDP_DROP);
}

#endif
