/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * stray.h: packets from the service port of a NAT backend that belong to no flow. The host would forward them with the
 * backend's own address, which the client knows nothing of. So they are answered, translated or dropped, unless they are
 * of a conversation past the VIP: with this host (health checks), or with somebody who addresses the server itself.
 * Far from the path of a packet of a known flow.
 */
#ifndef LVS_STRAY_H
#define LVS_STRAY_H

#include "gateway.h"
#include "listener.h"
#include "reset.h"

static __always_inline void direct_key(struct lvs_direct *key, const __be32 *server, __be16 server_port,
				       const __be32 *other, __be16 other_port, __u8 protocol, const int v6)
{
	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memcpy(key->server, server, v6 ? 16 : 4);
	__builtin_memcpy(key->other, other, v6 ? 16 : 4);
	key->server_port = server_port;
	key->other_port = other_port;
	key->protocol = protocol;
}

static __always_inline void note_direct(const struct lvs_direct *key)
{
	const __u32 present = 1;

	if (!bpf_map_lookup_elem(&direct, key)) /* a lookup keeps an entry young */
		bpf_map_update_elem(&direct, key, &present, BPF_ANY);
}

/* On its way to a server, not by way of a VIP: the answers are none of our business, either. */
static __always_inline void note_if_direct(const struct packet *p, const int v6)
{
	struct lvs_direct key;

	if (!find_real_at(p->dst, p->dport, p->protocol, v6))
		return;
	direct_key(&key, p->dst, p->dport, p->src, p->sport, p->protocol, v6);
	note_direct(&key);
}

/* From a server, and not by way of a VIP. */
static __always_inline int is_direct(struct xdp_md *ctx, const struct packet *p, const int v6)
{
	struct lvs_direct key;

	direct_key(&key, p->src, p->sport, p->dst, p->dport, p->protocol, v6);
	return bpf_map_lookup_elem(&direct, &key) || !host_would_forward(ctx, p, v6);
}

/*
 * A datagram of a server begins a flow, as if its client had sent one. It may be a late answer, or the server's own
 * question (NTP, SIP): it leaves as the VIP's, and what is answered to that finds the server.
 */
static __always_inline int adopt_reply(struct xdp_md *ctx, struct packet *p, const struct lvs_real *real, const int v6)
{
	__u32 backend = real->backend, now = flow_now();
	const struct lvs_backend *b = bpf_map_lookup_elem(&backends, &backend);
	__u64 word = LVS_WORD(backend, real->listener, 0, LVS_STATE_UDP_NEW, now), hop;
	struct flow_id id;
	int verdict;

	if (real->flags & (LVS_REAL_SHARED | LVS_REAL_MANY) || !b ||
	    (b->flags & (LVS_BACKEND_VALID | LVS_BACKEND_DOWN)) != LVS_BACKEND_VALID)
		return drop(LVS_REASON_reply_dropped); /* of which VIP? or of a server that is none */
	hop = fib_hop(ctx, p, v6);
	if (!may_send(ctx, p, hop, &verdict, v6))
		return verdict;
	count_reason(LVS_REASON_reply_adopted);
	flow_identify(&id, p->dst, p->dport, real->vip_port, p->protocol, LVS_REAL_TAG(real->flags), v6);
	if (INSERTED(flow_insert(&id, &word, now, v6)) == FLOW_CREATED)
		count_flow(backend);
	count_reply(backend, p->length);
	set_source(p, real->vip, real->vip_port, real->sum, v6);
	return send_to(ctx, p, hop, v6);
}

/*
 * A TCP segment is answered with a reset, so that the server learns; its client has been told when the flow expired
 * (lvsd's sweeper), or will be by its own next segment. A connection that the server itself opens from its service port
 * is not a reply and goes its way.
 */
static __always_inline int stray_segment(struct xdp_md *ctx, const struct packet *p, const int v6)
{
	struct lvs_direct key;

	if (is_new_syn(p)) {
		direct_key(&key, p->src, p->sport, p->dst, p->dport, p->protocol, v6);
		note_direct(&key);
		return XDP_PASS;
	}
	if (p->tcp_flags & TCP_RST)
		return drop(LVS_REASON_reply_dropped);
	count_reason(LVS_REASON_reply_reset);
	return make_reset(ctx, (__u32)((long)p->l3 - (long)p->eth), v6) ? XDP_TX : XDP_DROP;
}

/* ---- fragments, options and damaged headers ---------------------------------------------------------------------- */

#define STRAY_MAX_HEADERS 4 /* IPv6 extension headers before TCP or UDP */

/* A packet that parse.h left alone: where its ports would be, and whether it is a piece of a bigger one. */
struct odd {
	__u32 offset; /* of the L4 header, from the frame's beginning */
	__be32 id;
	__u8 protocol;
	__u8 fragment; /* of several */
	__u8 later;    /* not the first of them: no ports */
};

static __always_inline int walk_ipv4(const struct iphdr *ip, __u32 l3, struct odd *o)
{
	o->protocol = ip->protocol;
	o->offset = l3 + ip->ihl * 4;
	o->id = ip->id;
	o->fragment = (ip->frag_off & bpf_htons(0x3fff)) != 0;
	o->later = (ip->frag_off & bpf_htons(0x1fff)) != 0;
	return 1;
}

static __always_inline int walk_ipv6(struct xdp_md *ctx, const struct ipv6hdr *ip, __u32 l3, struct odd *o)
{
	struct {
		__u8 next;
		__u8 length;
		__be16 offset;
		__be32 id;
	} header;

	o->protocol = ip->nexthdr;
	o->offset = l3 + sizeof(*ip);
	for (int i = 0; i < STRAY_MAX_HEADERS; i++) {
		if (o->protocol == IPPROTO_TCP || o->protocol == IPPROTO_UDP)
			return 1;
		if (o->protocol != IPPROTO_FRAGMENT && o->protocol != IPPROTO_HOPOPTS &&
		    o->protocol != IPPROTO_ROUTING && o->protocol != IPPROTO_DSTOPTS)
			return 0;
		if (bpf_xdp_load_bytes(ctx, o->offset, &header, sizeof(header)))
			return 0;
		if (o->protocol == IPPROTO_FRAGMENT) {
			o->fragment = (header.offset & bpf_htons(0xfff9)) != 0;
			o->later = (header.offset & bpf_htons(0xfff8)) != 0;
			o->id = header.id;
			o->offset += 8;
		} else {
			o->offset += (header.length + 1) * 8;
		}
		o->protocol = header.next;
		if (o->later)
			return 1;
	}
	return o->protocol == IPPROTO_TCP || o->protocol == IPPROTO_UDP;
}

static __always_inline int read_odd(struct xdp_md *ctx, __u32 l3, struct packet *p, struct odd *o, const int v6)
{
	if (v6) {
		struct ipv6hdr ip;

		if (bpf_xdp_load_bytes(ctx, l3, &ip, sizeof(ip)))
			return 0;
		__builtin_memcpy(p->src, &ip.saddr, sizeof(p->src));
		__builtin_memcpy(p->dst, &ip.daddr, sizeof(p->dst));
		return walk_ipv6(ctx, &ip, l3, o);
	} else {
		struct iphdr ip;

		if (bpf_xdp_load_bytes(ctx, l3, &ip, sizeof(ip)))
			return 0;
		p->src[0] = ip.saddr;
		p->dst[0] = ip.daddr;
		return walk_ipv4(&ip, l3, o);
	}
}

static __always_inline __u32 odd_reason(enum parsed what)
{
	if (what == PARSE_FRAGMENT)
		return LVS_REASON_fragment;
	return what == PARSE_OPTIONS ? LVS_REASON_ip_options : LVS_REASON_malformed;
}

/*
 * No flow was looked up for it, so nothing of it may leave as it is. Of a fragmented packet the first piece has the
 * ports; the others follow its verdict.
 */
static __always_inline int drop_odd(struct xdp_md *ctx, struct packet *p, enum parsed what, const int v6)
{
	const __u32 present = 1;
	struct lvs_piece piece = {};
	struct odd o = {};
	__be16 ports[2];

	if (!read_odd(ctx, (__u32)((long)p->l3 - (long)p->eth), p, &o, v6))
		return XDP_PASS;
	__builtin_memcpy(piece.src, p->src, v6 ? 16 : 4);
	__builtin_memcpy(piece.dst, p->dst, v6 ? 16 : 4);
	piece.id = o.id;
	piece.protocol = o.protocol;
	if (o.later)
		return bpf_map_lookup_elem(&pieces, &piece) ? drop(LVS_REASON_fragment) : XDP_PASS;
	if (bpf_xdp_load_bytes(ctx, o.offset, ports, sizeof(ports)))
		return XDP_PASS;
	p->sport = ports[0];
	p->dport = ports[1];
	p->protocol = o.protocol;
	if (!find_real(p, v6) || is_direct(ctx, p, v6))
		return XDP_PASS;
	if (o.fragment)
		bpf_map_update_elem(&pieces, &piece, &present, BPF_ANY);
	return drop(odd_reason(what));
}

/* To a server, past the VIPs; or from one. */
static __always_inline int stray(struct xdp_md *ctx, struct packet *p, enum parsed what, const int v6)
{
	const struct lvs_real *real;

	if (what == PARSE_NOT_OURS)
		return XDP_PASS;
	if (what != PARSE_OK)
		return drop_odd(ctx, p, what, v6);
	real = find_real(p, v6);
	if (!real) {
		note_if_direct(p, v6);
		return XDP_PASS;
	}
	if (!is_for_us(ctx, p) || is_direct(ctx, p, v6))
		return XDP_PASS;
	return p->protocol == IPPROTO_TCP ? stray_segment(ctx, p, v6) : adopt_reply(ctx, p, real, v6);
}

#endif
