/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * import.h: flows that another router told lvsd of. They go into the table by the same functions and locks as those
 * that packets create, so that a packet of the same flow at the same moment is no special case, and counts stay exact.
 * An XDP program and not one of type syscall: those may not take spin locks before Linux 6.9.
 */
#ifndef LVS_IMPORT_H
#define LVS_IMPORT_H

#include "flow.h"

/* A flow that is not known here is worth creating only while segments may still come that need it. */
static __always_inline int import_lives(__u32 state)
{
	return state == LVS_STATE_ESTABLISHED || state == LVS_STATE_FIN_WAIT || state == LVS_STATE_CLOSE_WAIT ||
	       state == LVS_STATE_UDP;
}

/*
 * The state becomes what was told, the time the later of both: what this router saw itself is not made older. The
 * gateway is this router's own and stays.
 */
__noinline int import_update(__u64 *where, __u64 old, __u32 state, __u32 age, __u32 now)
{
	if (!where)
		return LVS_IMPORT_KEPT;
	for (int i = 0; i < FLOW_UPDATE_TRIES; i++) {
		__u32 own = flow_age(old, now);
		__u64 word, seen;

		word = (old & FLOW_IDENTITY) |
		       LVS_WORD(0, 0, LVS_WORD_GATEWAY(old), state & 0xf, now - (own < age ? own : age));
		if (word == old)
			return LVS_IMPORT_KEPT;
		seen = __sync_val_compare_and_swap(where, old, word);
		if (seen == old) {
			flow_count_transition(LVS_WORD_BACKEND(old), LVS_WORD_STATE(old), state & 0xf);
			return LVS_IMPORT_UPDATED;
		}
		if (((seen ^ old) & FLOW_IDENTITY) || LVS_WORD_STATE(seen) <= LVS_STATE_CLAIMED)
			return LVS_IMPORT_KEPT; /* the slot changed hands: packets came here after all */
		old = seen;
	}
	return LVS_IMPORT_KEPT;
}

static __always_inline int import_one(const struct lvs_import *told, __u32 now, const int v6)
{
	const struct flow_match match = flow_match_request(told->listener);
	const __u32 state = told->state & 0xf, age = told->age;
	struct flow_id id;
	struct flow flow;
	__u64 word;

	flow_identify(&id, told->client, told->client_port, told->port, told->protocol, v6);
	if (flow_find(&id, &match, &flow, v6)) {
		const int same = LVS_WORD_BACKEND(flow.word) == told->backend;

		if (!flow_expired(flow.word, now)) {
			if (!(told->flags & LVS_IMPORT_REPLACE))
				return same ? LVS_IMPORT_KEPT : LVS_IMPORT_CONFLICT;
			if (same)
				return import_update(flow.where, flow.word, state, age, now);
		}
		flow_end(&flow, v6);
	}
	if ((!(told->flags & LVS_IMPORT_EVERY) && !import_lives(state)) || age > control.timeout[state])
		return LVS_IMPORT_OVER;
	word = LVS_WORD(told->backend, told->listener, told->gateway, state, now - age);
	switch (flow_insert(&id, &word, now, v6)) {
	case FLOW_CREATED:
		return LVS_IMPORT_CREATED;
	case FLOW_EXISTED:
		return LVS_IMPORT_KEPT;
	default:
		return LVS_IMPORT_NO_ROOM;
	}
}

/* Global, as everything that needs no packet: the verifier walks them once, and not for each flow of a batch. */
__noinline int import_one4(const struct lvs_import *told, __u32 now)
{
	return told ? import_one(told, now, 0) : LVS_IMPORT_NONE;
}

__noinline int import_one6(const struct lvs_import *told, __u32 now)
{
	return told ? import_one(told, now, 1) : LVS_IMPORT_NONE;
}

static __always_inline int import_flows(struct xdp_md *ctx)
{
	struct lvs_import *told = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	const __u32 now = flow_now();

	for (int i = 0; i < LVS_IMPORT_MAX; i++, told++) {
		struct lvs_import copy;

		if ((void *)(told + 1) > end)
			break;
		copy = *told; /* a global function takes memory of ours, but no packet's */
		told->result = (__u8)(copy.flags & LVS_IMPORT_IPV6 ? import_one6(&copy, now) : import_one4(&copy, now));
	}
	return XDP_DROP;
}

#endif
