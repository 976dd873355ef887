/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lvs.bpf.c: the XDP program, top to bottom in packet order: parse, listener, flow, schedule, forward, count. What is
 * not for a virtual service and not a known flow's reply passes to the host untouched and uncounted.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "parse.h"
#include "listener.h"
#include "tcp_state.h"
#include "flow.h"
#include "schedule.h"
#include "cold.h"
#include "forward.h"
#include "gateway.h"
#include "martian.h"
#include "reset.h"
#include "stray.h"
#include "check_path.h"
#include "fence.h"
#include "import.h"
#include "count.h"

/* Fragments, options and damaged headers concern us only on their way to a VIP, or from a NAT backend's service. */
static __always_inline int unusual(struct xdp_md *ctx, const struct packet *p, enum parsed what, const int v6)
{
	if (what == PARSE_NOT_OURS)
		return XDP_PASS;
	if (is_vip(p->dst, v6))
		return is_for_us(ctx, p) ? drop(odd_reason(what)) : pass(LVS_REASON_other_host);
	if (!is_for_us(ctx, p))
		return XDP_PASS;
	return go_stray(ctx, XDP_PASS);
}

static __always_inline enum tcp_direction direction_of(const struct lvs_backend *b)
{
	return b->method == LVS_METHOD_NAT ? TCP_FROM_CLIENT : TCP_CLIENT_ONLY;
}

/* What is known of a request's flow before anything is decided. */
enum known {
	FLOW_NONE,
	FLOW_GONE,  /* its backend was removed */
	FLOW_RESET, /* its backend failed or was removed, and the client is to be told */
	FLOW_MUTED, /* its backend failed, and the client is to hear nothing; the flow stays */
	FLOW_ALIVE,
};

/* Instead of a segment whose flow lost its backend; a reset is never answered with one. */
static __always_inline int reset_client(struct xdp_md *ctx, const struct packet *p, const int v6)
{
	count_reason(LVS_REASON_flow_reset);
	if (p->tcp_flags & TCP_RST)
		return XDP_DROP;
	return make_reset(ctx, (__u32)((long)p->l3 - (long)p->eth), v6) ? XDP_TX : XDP_DROP;
}

/* A TCP segment (never a SYN) that belongs to no flow and may not create one. */
static __always_inline int no_flow(const struct lvs_service *s, enum known known)
{
	if (s->flags & LVS_SERVICE_DROP_NOFLOW)
		return drop(LVS_REASON_no_flow_dropped);
	return pass(known == FLOW_GONE ? LVS_REASON_backend_gone : LVS_REASON_no_flow_passed);
}

/*
 * These maps are about to replace others (dataplane/carry_over.h), and the flow may still be in those. Whoever sends
 * the packet sends it again. Asked only where a flow is missed.
 */
static __always_inline int flows_are_moving(void)
{
	__u32 none = 0;
	const struct lvs_service *s = bpf_map_lookup_elem(&services, &none);

	return s && (s->flags & LVS_SERVICE_MOVING);
}

/* A request's backend, and whether this packet created its flow. */
struct target {
	struct lvs_backend *b;
	__u32 backend;
	__u32 new_flow;
};

/*
 * Makes the flow of `t`. 0: forward; -1: it has no room, which a packet that finds its server again without a flow does
 * not mind.
 */
static __always_inline int remember(struct xdp_md *ctx, const struct packet *p, const struct lvs_listener *l,
				    const struct flow_id *id, struct target *t, __u32 state, __u32 now, const int v6)
{
	__u32 gateway = 0;
	__u64 hop = 0, word;
	int inserted;

	if (t->b->method == LVS_METHOD_NAT) {
		hop = sender_hop(ctx, p);
		if (hop)
			gateway = learn_gateway(hop);
		if (hop && !gateway)
			gateway = LVS_GATEWAY_OWN;
	}
	word = LVS_WORD(t->backend, l->id, gateway, state, now);
	inserted = flow_insert(id, &word, now, v6);
	if (INSERTED(inserted) == FLOW_NO_ROOM)
		return -1;
	if (INSERTED(inserted) == FLOW_EXISTED) {
		t->backend = LVS_WORD_BACKEND(word);
		t->b = bpf_map_lookup_elem(&backends, &t->backend);
		return t->b ? 0 : drop(LVS_REASON_no_backend);
	}
	t->new_flow = 1;
	if (gateway == LVS_GATEWAY_OWN)
		keep_own_hop(id, INSERTED_PLACE(inserted), hop, v6);
	return 0;
}

/*
 * A packet for a listener without a usable flow: schedule and insert. With a hash scheduler and a method that sees no
 * replies a SYN gets no flow: any later segment finds the same server, so a SYN flood costs no memory. Neither does a
 * reset, which ends what it finds, nor what no room is left for.
 * 0: forward to `t`; otherwise *verdict says what becomes of the packet.
 */
static __always_inline int new_request(struct xdp_md *ctx, struct packet *p, const struct lvs_listener *l,
				       const struct flow_id *id, struct target *t, __u32 now, enum known known,
				       int *verdict, const int v6)
{
	__u32 service = l->service, state = LVS_STATE_UDP_NEW, reason;
	struct lvs_service *s = bpf_map_lookup_elem(&services, &service);
	int by_hash, done;

	*verdict = XDP_DROP;
	if (!s)
		return drop(LVS_REASON_no_backend);
	reason = refused_source(p, l, v6);
	if (reason)
		return drop(reason);
	by_hash = schedules_by_hash(s);
	if (p->protocol == IPPROTO_TCP) {
		if (known == FLOW_NONE && !is_new_syn(p) && flows_are_moving()) {
			*verdict = drop(LVS_REASON_no_flow_dropped);
			return 1;
		}
		if (known == FLOW_RESET && !is_new_syn(p)) {
			*verdict = reset_client(ctx, p, v6);
			return 1;
		}
		if (!is_new_syn(p) && !by_hash &&
		    ((p->tcp_flags & TCP_RST) || !(s->flags & LVS_SERVICE_SLOPPY_TCP))) {
			*verdict = no_flow(s, known);
			return 1;
		}
		state = tcp_first_state(p->tcp_flags);
	}
	t->backend = schedule(p, service, s, v6);
	t->b = bpf_map_lookup_elem(&backends, &t->backend);
	if (!t->backend || !t->b || (t->b->flags & (LVS_BACKEND_VALID | LVS_BACKEND_DOWN)) != LVS_BACKEND_VALID)
		return drop(LVS_REASON_no_backend);
	by_hash = by_hash && t->b->method != LVS_METHOD_NAT;
	if (p->tcp_flags & TCP_RST) {
		*verdict = by_hash ? 0 : no_flow(s, known);
		return !by_hash;
	}
	if (by_hash && state == LVS_STATE_SYN_RECV)
		return 0;
	done = remember(ctx, p, l, id, t, state, now, v6);
	if (done >= 0)
		return done;
	if (!by_hash)
		return drop(LVS_REASON_flow_table_full);
	count_reason(LVS_REASON_flow_untracked);
	return 0;
}

/* A flow that does not go on: because of its backend, or because it has expired or its port is used anew. */
static __always_inline enum known flow_lost(const struct packet *p, const struct flow *flow, __u32 flags, const int v6)
{
	const __u32 lost = (flags & (LVS_BACKEND_VALID | LVS_BACKEND_DOWN)) != LVS_BACKEND_VALID;

	if ((flags & (LVS_BACKEND_VALID | LVS_BACKEND_DROP)) == (LVS_BACKEND_VALID | LVS_BACKEND_DROP) && lost &&
	    p->protocol == IPPROTO_TCP && !is_new_syn(p))
		return FLOW_MUTED;
	flow_end(flow, v6);
	if (!lost)
		return FLOW_NONE;
	return flags & LVS_BACKEND_RESET ? FLOW_RESET : FLOW_GONE;
}

/*
 * Whether this packet may stay with its flow's backend. A failed one keeps, if its service says so, the TCP connections
 * that it has; a datagram is a question of its own, and a SYN a new connection, which go to another server.
 */
static __always_inline int may_stay(const struct packet *p, __u32 flags)
{
	if ((flags & (LVS_BACKEND_VALID | LVS_BACKEND_DOWN)) == LVS_BACKEND_VALID)
		return 1;
	return (flags & (LVS_BACKEND_VALID | LVS_BACKEND_RESET | LVS_BACKEND_DROP)) == LVS_BACKEND_VALID &&
	       p->protocol == IPPROTO_TCP && !is_new_syn(p);
}

/* A SYN on a flow that stands: of a new connection, if the old one is over or its server takes no new ones. */
static __always_inline int begins_anew(const struct packet *p, const struct flow *flow, const struct lvs_backend *b)
{
	__u32 backend = LVS_WORD_BACKEND(flow->word);
	const struct lvs_load *load;

	if (!is_new_syn(p))
		return 0;
	if (tcp_reusable(LVS_WORD_STATE(flow->word), direction_of(b)))
		return 1;
	load = bpf_map_lookup_elem(&loads, &backend);
	return load && load->weight == 0;
}

/* Finds the flow, and ends it if this packet can not belong to it any more. */
static __always_inline enum known find_request(const struct packet *p, const struct lvs_listener *l,
					       const struct flow_id *id, struct flow *flow, struct lvs_backend **b,
					       __u32 now, const int v6)
{
	const struct flow_match match = flow_match_request(l->id);
	__u32 backend, flags;

	if (!flow_find(id, &match, flow, v6))
		return FLOW_NONE;
	backend = LVS_WORD_BACKEND(flow->word);
	*b = bpf_map_lookup_elem(&backends, &backend);
	if (!*b)
		return FLOW_NONE;
	flags = (*b)->flags;
	if (may_stay(p, flags) && (LVS_WORD_TIME(flow->word) == now || !flow_expired(flow->word, now)) &&
	    !begins_anew(p, flow, *b))
		return FLOW_ALIVE;
	return flow_lost(p, flow, flags, v6);
}

/* From a client to a virtual service. */
static __always_inline int request(struct xdp_md *ctx, struct packet *p, const struct lvs_listener *l, const int v6)
{
	struct target t = {};
	struct flow_id id;
	struct flow flow;
	__u32 now = flow_now(), gateway = 0;
	enum known known;
	int verdict;
	__u64 hop;

	if (!is_for_us(ctx, p))
		return pass(LVS_REASON_other_host);
	if (l->flags & LVS_LISTENER_HOST && !role_is_ours())
		return pass(LVS_REASON_host_own);
	flow_identify(&id, p->src, p->sport, p->dport, p->protocol, l->tag, v6);
	known = find_request(p, l, &id, &flow, &t.b, now, v6);
	if (known == FLOW_ALIVE) {
		t.backend = LVS_WORD_BACKEND(flow.word);
		if (t.b->method == LVS_METHOD_NAT)
			gateway = gateway_of(ctx, p, &id, &flow, v6);
		flow_touch(&flow, p, direction_of(t.b), gateway, now);
	} else if (known == FLOW_MUTED) {
		return drop(LVS_REASON_flow_muted);
	} else if (new_request(ctx, p, l, &id, &t, now, known, &verdict, v6)) {
		return verdict;
	}

	hop = *(volatile __u64 *)&t.b->hop;
	if (t.b->method != LVS_METHOD_LOCAL && !may_send(ctx, p, hop, &verdict, v6)) {
		if (t.new_flow)
			count_flow(t.backend);
		return verdict;
	}
	count_request(t.backend, p->length, t.new_flow);
	if (t.b->method == LVS_METHOD_LOCAL)
		return XDP_PASS;
	if (t.b->method == LVS_METHOD_NAT)
		set_destination(p, t.b->addr, t.b->port, l->sum, t.b->sum, v6);
	return send_to(ctx, p, hop, v6);
}

/* With the tag of the server's first listener; if there are others, then with theirs. */
static __always_inline int find_reply(const struct packet *p, const struct lvs_real *real, struct flow_id *id,
				      struct flow *flow, const int v6)
{
	const __u32 shared = real->flags & LVS_REAL_SHARED, tag = LVS_REAL_TAG(real->flags);
	struct flow_match match = flow_match_reply(p, real->backend);
	__u32 tags = real->tags;

	flow_identify(id, p->dst, p->dport, 0, p->protocol, (__u8)tag, v6);
	if (shared) {
		match = flow_match_shared_reply(p, v6);
		tags |= 1U << tag;
	} else {
		if (flow_find(id, &match, flow, v6))
			return 1;
		tags &= ~(1U << tag);
	}
	return tags && flow_find_tagged(id, &match, flow, tags, p->protocol, v6);
}

/* A server that opens a connection from its service port is no reply, whatever flow it resembles. */
static __always_inline int may_be_reply(const struct packet *p)
{
	return p->protocol != IPPROTO_TCP || !is_new_syn(p);
}

/* From a NAT backend's service port, without a flow that lives. */
static __always_inline int no_reply(struct xdp_md *ctx, const struct lvs_real *real, const int v6)
{
	if (real->flags & LVS_REAL_CHECK)
		return check_answered(ctx, v6);
	if (flows_are_moving())
		return drop(LVS_REASON_no_flow_dropped);
	return go_stray(ctx, XDP_DROP);
}

/* From a NAT backend's service port. */
static __always_inline int reply(struct xdp_md *ctx, struct packet *p, const struct lvs_real *real, const int v6)
{
	__u32 now = flow_now(), listener, backend, gateway;
	const __be32 *vip = real->vip;
	__be16 vip_port = real->vip_port;
	__u32 vip_sum = real->sum;
	struct flow_id id;
	struct flow flow;
	int verdict;
	__u64 hop;

	if (!may_be_reply(p) || !find_reply(p, real, &id, &flow, v6))
		return no_reply(ctx, real, v6);
	if (!is_for_us(ctx, p))
		return pass(LVS_REASON_other_host);
	if (LVS_WORD_TIME(flow.word) != now && flow_expired(flow.word, now)) {
		flow_end(&flow, v6);
		return no_reply(ctx, real, v6);
	}
	backend = LVS_WORD_BACKEND(flow.word);
	listener = LVS_WORD_LISTENER(flow.word);
	if (listener != real->listener) {
		struct lvs_vip *v = bpf_map_lookup_elem(&vips, &listener);

		if (!v)
			return XDP_PASS;
		vip = v->addr;
		vip_port = v->port;
		vip_sum = v->sum;
	}
	gateway = LVS_WORD_GATEWAY(flow.word);
	flow_touch(&flow, p, TCP_FROM_SERVER, GATEWAY_KEEP, now);
	hop = gateway == LVS_GATEWAY_OWN ? own_hop(&id, flow.place, v6) : gateway_hop(gateway);
	if (!hop)
		hop = fib_hop(ctx, p, v6);
	if (!may_send(ctx, p, hop, &verdict, v6))
		return verdict;
	count_reply(backend, p->length);
	set_source(p, vip, vip_port, vip_sum, v6);
	return send_to(ctx, p, hop, v6);
}

static __always_inline int balance(struct xdp_md *ctx, struct packet *p, const int v6)
{
	struct lvs_listener *l = find_listener(p, v6);
	struct lvs_real *real;

	if (l)
		return request(ctx, p, l, v6);
	real = find_real(p, v6);
	if (real)
		return reply(ctx, p, real, v6);
	return find_real_at(p->dst, p->dport, p->protocol, v6) ? go_stray(ctx, XDP_PASS) : XDP_PASS;
}

SEC("xdp.frags")
int lvs(struct xdp_md *ctx)
{
	struct packet p = {};
	enum parsed what;

	switch (parse_ethernet(ctx, &p)) {
	case bpf_htons(ETH_P_IP):
		what = parse_ipv4(ctx, &p);
		return what == PARSE_OK ? balance(ctx, &p, 0) : unusual(ctx, &p, what, 0);
	case bpf_htons(ETH_P_IPV6):
		what = parse_ipv6(ctx, &p);
		if (what == PARSE_OK)
			return balance(ctx, &p, 1);
		return what == PARSE_NOT_OURS ? fence_ndp(ctx, &p) : unusual(ctx, &p, what, 1);
	case bpf_htons(ETH_P_ARP):
		return fence_arp(ctx, &p);
	default:
		return XDP_PASS;
	}
}

/* By tail call: a packet that has to do with a NAT backend, and with no flow. */
SEC("xdp.frags")
int lvs_stray(struct xdp_md *ctx)
{
	struct packet p = {};

	switch (parse_ethernet(ctx, &p)) {
	case bpf_htons(ETH_P_IP):
		return stray(ctx, &p, parse_ipv4(ctx, &p), 0);
	case bpf_htons(ETH_P_IPV6):
		return stray(ctx, &p, parse_ipv6(ctx, &p), 1);
	default:
		return XDP_PASS;
	}
}

SEC("tc")
int lvs_check(struct __sk_buff *skb)
{
	return check_sent(skb);
}

/* Run by lvsd and never attached: its "packet" is an array of struct lvs_import. */
SEC("xdp")
int lvs_import(struct xdp_md *ctx)
{
	return import_flows(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
