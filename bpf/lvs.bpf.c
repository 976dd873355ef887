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
#include "forward.h"
#include "reset.h"
#include "check_path.h"
#include "fence.h"
#include "import.h"
#include "count.h"

/* Fragments, options and damaged headers concern us only on their way to a virtual service address. */
static __always_inline int unusual(const struct packet *p, enum parsed what, const int v6)
{
	if (what == PARSE_NOT_OURS || !is_vip(p, v6))
		return XDP_PASS;
	if (what == PARSE_FRAGMENT)
		return drop(LVS_REASON_fragment);
	return drop(what == PARSE_OPTIONS ? LVS_REASON_ip_options : LVS_REASON_malformed);
}

static __always_inline enum tcp_direction direction_of(const struct lvs_backend *b)
{
	return b->method == LVS_METHOD_NAT ? TCP_FROM_CLIENT : TCP_CLIENT_ONLY;
}

static __always_inline int is_new_syn(const struct packet *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
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
 * A packet for a listener without a usable flow: schedule and insert. With a hash scheduler and a method that sees no
 * replies a SYN gets no flow: any later segment finds the same server, so a SYN flood costs no memory.
 * 0: forward to `t`; otherwise *verdict says what becomes of the packet.
 */
static __always_inline int new_request(struct xdp_md *ctx, struct packet *p, const struct lvs_listener *l,
				       const struct flow_id *id, struct target *t, __u32 now, enum known known,
				       int *verdict, const int v6)
{
	__u32 service = l->service, state = LVS_STATE_UDP_NEW, gateway = 0;
	struct lvs_service *s = bpf_map_lookup_elem(&services, &service);
	enum inserted inserted;
	__u64 word;

	*verdict = XDP_DROP;
	if (!s)
		return drop(LVS_REASON_no_backend);
	if (p->protocol == IPPROTO_TCP) {
		if (known == FLOW_NONE && !is_new_syn(p) && flows_are_moving()) {
			*verdict = drop(LVS_REASON_no_flow_dropped);
			return 1;
		}
		if (known == FLOW_RESET && !is_new_syn(p)) {
			*verdict = reset_client(ctx, p, v6);
			return 1;
		}
		if (!is_new_syn(p) &&
		    ((p->tcp_flags & TCP_RST) || !((s->flags & LVS_SERVICE_SLOPPY_TCP) || schedules_by_hash(s)))) {
			*verdict = no_flow(s, known);
			return 1;
		}
		state = tcp_first_state(p->tcp_flags);
	}
	t->backend = schedule(p, service, s, v6);
	t->b = bpf_map_lookup_elem(&backends, &t->backend);
	if (!t->backend || !t->b || !(t->b->flags & LVS_BACKEND_VALID))
		return drop(LVS_REASON_no_backend);
	if (t->b->method == LVS_METHOD_NAT)
		gateway = gateway_of(ctx, p, 0);
	else if (state == LVS_STATE_SYN_RECV && schedules_by_hash(s))
		return 0;

	word = LVS_WORD(t->backend, l->id, gateway, state, now);
	inserted = flow_insert(id, &word, now, v6);
	if (inserted == FLOW_NO_ROOM)
		return drop(LVS_REASON_flow_table_full);
	t->new_flow = inserted == FLOW_CREATED;
	if (inserted == FLOW_EXISTED) {
		t->backend = LVS_WORD_BACKEND(word);
		t->b = bpf_map_lookup_elem(&backends, &t->backend);
		if (!t->b)
			return drop(LVS_REASON_no_backend);
	}
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
	if ((flags & (LVS_BACKEND_VALID | LVS_BACKEND_DOWN)) == LVS_BACKEND_VALID &&
	    (LVS_WORD_TIME(flow->word) == now || !flow_expired(flow->word, now)) &&
	    !(is_new_syn(p) && tcp_reusable(LVS_WORD_STATE(flow->word), direction_of(*b))))
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
	flow_identify(&id, p->src, p->sport, p->dport, p->protocol, v6);
	known = find_request(p, l, &id, &flow, &t.b, now, v6);
	if (known == FLOW_ALIVE) {
		t.backend = LVS_WORD_BACKEND(flow.word);
		if (t.b->method == LVS_METHOD_NAT)
			gateway = gateway_of(ctx, p, LVS_WORD_GATEWAY(flow.word));
		flow_touch(&flow, p, direction_of(t.b), gateway, now);
	} else if (known == FLOW_MUTED) {
		return drop(LVS_REASON_flow_muted);
	} else if (new_request(ctx, p, l, &id, &t, now, known, &verdict, v6)) {
		return verdict;
	}

	count_request(t.backend, p->length, t.new_flow);
	if (t.b->method == LVS_METHOD_LOCAL)
		return XDP_PASS;
	hop = *(volatile __u64 *)&t.b->hop;
	if (!may_send(p, hop, &verdict, v6))
		return verdict;
	if (t.b->method == LVS_METHOD_NAT)
		set_destination(p, t.b->addr, t.b->port, l->sum, t.b->sum, v6);
	return send_to(ctx, p, hop, v6);
}

static __always_inline int find_reply(const struct packet *p, const struct lvs_real *real, struct flow *flow,
				      const int v6)
{
	const struct flow_match match = flow_match_reply(p, real->backend, v6);
	const struct flow_match shared = flow_match_shared_reply(p, v6);
	struct flow_id id;

	flow_identify(&id, p->dst, p->dport, 0, p->protocol, v6);
	return real->flags & LVS_REAL_SHARED ? flow_find_slowly(&id, &shared, flow, v6)
					     : flow_find(&id, &match, flow, v6);
}

/* From a NAT backend, perhaps to a client of ours; everything else that it sends passes. */
static __always_inline int reply(struct xdp_md *ctx, struct packet *p, const struct lvs_real *real, const int v6)
{
	__u32 now = flow_now(), listener, backend;
	const __be32 *vip = real->vip;
	__be16 vip_port = real->vip_port;
	__u32 vip_sum = real->sum;
	struct flow flow;
	int verdict;
	__u64 hop;

	if (!find_reply(p, real, &flow, v6)) {
		if (real->flags & LVS_REAL_CHECK)
			return check_answered(ctx, v6);
		return flows_are_moving() ? drop(LVS_REASON_no_flow_dropped) : XDP_PASS;
	}
	if (!is_for_us(ctx, p))
		return pass(LVS_REASON_other_host);
	if (LVS_WORD_TIME(flow.word) != now && flow_expired(flow.word, now))
		return XDP_PASS;
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
	flow_touch(&flow, p, TCP_FROM_SERVER, GATEWAY_KEEP, now);
	hop = gateway_hop(LVS_WORD_GATEWAY(flow.word));
	if (!hop)
		hop = fib_hop(ctx, p, v6);
	if (!may_send(p, hop, &verdict, v6))
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
	return real ? reply(ctx, p, real, v6) : XDP_PASS;
}

SEC("xdp.frags")
int lvs(struct xdp_md *ctx)
{
	struct packet p = {};
	enum parsed what;

	switch (parse_ethernet(ctx, &p)) {
	case bpf_htons(ETH_P_IP):
		what = parse_ipv4(ctx, &p);
		return what == PARSE_OK ? balance(ctx, &p, 0) : unusual(&p, what, 0);
	case bpf_htons(ETH_P_IPV6):
		what = parse_ipv6(ctx, &p);
		if (what == PARSE_OK)
			return balance(ctx, &p, 1);
		return what == PARSE_NOT_OURS ? fence_ndp(ctx, &p) : unusual(&p, what, 1);
	case bpf_htons(ETH_P_ARP):
		return fence_arp(ctx, &p);
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
