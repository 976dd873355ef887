/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * import.h: flows that another router told lvsd of. They go into the table by the same functions and locks as those
 * that packets create, so that a packet of the same flow at the same moment is no special case, and counts stay exact.
 * An XDP program and not one of type syscall: those may not take spin locks before Linux 6.9.
 */
#ifndef LVS_IMPORT_H
#define LVS_IMPORT_H

#include "gateway.h"

/* A flow that is not known here is worth creating only while segments may still come that need it. */
static __always_inline int import_lives(__u32 state)
{
	return LVS_STATE_IS_ACTIVE(state) || state == LVS_STATE_FIN_WAIT || state == LVS_STATE_CLOSE_WAIT ||
	       LVS_STATE_IS_UDP(state);
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
	__u32 gateway = 0;
	struct flow_id id;
	int inserted;
	struct flow flow;
	__u64 word;

	flow_identify(&id, told->client, told->client_port, told->port, told->protocol, told->tag, v6);
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
	if (told->hop)
		gateway = learn_gateway(told->hop & LVS_HOP_MASK);
	if (told->hop && !gateway)
		gateway = LVS_GATEWAY_OWN;
	word = LVS_WORD(told->backend, told->listener, gateway, state, now - age);
	inserted = flow_insert(&id, &word, now, v6);
	switch (INSERTED(inserted)) {
	case FLOW_CREATED:
		if (gateway == LVS_GATEWAY_OWN)
			keep_own_hop(&id, INSERTED_PLACE(inserted), told->hop & LVS_HOP_MASK, v6);
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
