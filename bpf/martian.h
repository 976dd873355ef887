/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * martian.h: sources that no client can have. The kernel refuses most of them before IPVS sees a packet; XDP comes
 * before the kernel. Asked before a flow is made, so that packets of known flows pay nothing.
 */
#ifndef LVS_MARTIAN_H
#define LVS_MARTIAN_H

#include "count.h"
#include "listener.h"

/* This network, loopback, link-local (RFC 3927, 2.7: not to be forwarded), multicast, reserved and broadcast. */
static __always_inline int is_martian4(__be32 address)
{
	const __u32 host = bpf_ntohl(address), net = host >> 24;

	return net == 0 || net == 127 || net >= 224 || host >> 16 == 0xa9fe;
}

/* Unspecified, loopback and IPv4 in IPv6; multicast; link-local (RFC 4291, 2.5.6: not to be forwarded). */
static __always_inline int is_martian6(const __be32 *address)
{
	const __u32 first = bpf_ntohl(address[0]);

	if (address[0] == 0 && address[1] == 0 && (address[2] == 0 || address[2] == bpf_htonl(0xffff)))
		return 1;
	return first >> 24 == 0xff || first >> 22 == 0xfe80 >> 6;
}

/*
 * A datagram that a server of the service seems to have sent from its service port: it would be answered by the one
 * that is chosen, and that answer by the first, for ever.
 */
static __always_inline int comes_from_server(const struct packet *p, const struct lvs_listener *l, const int v6)
{
	const struct lvs_real *real;
	const struct lvs_backend *b;
	__u32 backend;

	if (p->protocol != IPPROTO_UDP)
		return 0;
	real = find_real(p, v6);
	if (!real || real->flags & LVS_REAL_CHECK)
		return 0;
	if (real->flags & LVS_REAL_SHARED)
		return 1;
	backend = real->backend;
	b = bpf_map_lookup_elem(&backends, &backend);
	return b && b->service == l->service;
}

/*
 * 0, or the reason for which the packet may not make a flow. With a VIP as its source one forged datagram would let two
 * servers talk to each other. Out of line, for the stack of its callers.
 */
static __noinline __u32 refused_source(const struct packet *p, const struct lvs_listener *l, int v6)
{
	if (v6) {
		if (is_martian6(p->src) || is_vip(p->src, 1))
			return LVS_REASON_martian;
		return comes_from_server(p, l, 1) ? LVS_REASON_server_loop : 0;
	}
	if (is_martian4(p->src[0]) || is_vip(p->src, 0))
		return LVS_REASON_martian;
	return comes_from_server(p, l, 0) ? LVS_REASON_server_loop : 0;
}

#endif
