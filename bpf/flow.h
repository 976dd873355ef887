/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flow.h: the flow table. Buckets of one cache line, two-choice hashing, an overflow table behind them.
 *
 * Rules that keep it right on many CPUs:
 * - A slot belongs to whoever changed its state word by compare-and-swap. Each change that moves a counter (created,
 *   ended, active <-> inactive) moves it once, because exactly one CAS made it. User space follows the same rule.
 * - FREE or a victim -> CLAIMED -> key written -> final word. A reader takes the word before and after the key and
 * trusts the key only if listener and backend did not change in between and the slot was not CLAIMED.
 * - Inserting one flow is serialised by a lock chosen by the flow's hash, and the inserter looks at every place where
 * the flow may live before it takes one. So two CPUs never create the same flow twice, however slots are freed
 * meanwhile. Inserts of different flows compete for a slot by CAS alone. Only new flows pay for the lock.
 *
 * On CPUs with weak ordering the load of the key may move before that of the word; BPF has no load-acquire before Linux
 * 6.15. An established flow's slot never changes hands, so what could go wrong there is a missed half-open flow.
 */
#ifndef LVS_FLOW_H
#define LVS_FLOW_H

#include "parse.h"
#include "count.h"
#include "tcp_state.h"

/* Who a flow is: what a slot's key holds, and its hash. IPv4 uses w[0] only. */
struct flow_id {
	__u64 w[3];
	__u64 hash;
};

/* A slot that was found: where its state word is and what it said. */
struct flow {
	__u64 *where;
	__u64 word;
	__u32 place; /* PLACE(table, position) */
};

/* First bucket 1, second 2, overflow 3; 0: nowhere. */
#define PLACE(table, position) ((table) << 8 | (position))
#define PLACE_TABLE(place) ((place) >> 8)
#define PLACE_POSITION(place) ((place) & 0xff)
#define IN_OVERFLOW(place) (PLACE_TABLE(place) == 3)

static __always_inline __u32 flow_now(void)
{
	return (__u32)(bpf_ktime_get_coarse_ns() >> LVS_TICK_SHIFT) & 0xffff;
}

/*
 * Another CPU may have written the word after this one read its clock, and a tick later: that flow is not 65535 ticks
 * old, it is as young as can be. Without branches, for the verifier's sake.
 */
#define FLOW_MAX_AHEAD 16
static __always_inline __u32 flow_age(__u64 word, __u32 now)
{
	__u32 age = (now - LVS_WORD_TIME(word)) & 0xffff;
	__u32 ahead = (0xffff - FLOW_MAX_AHEAD - age) >> 31;

	opaque(ahead);
	return age & (ahead - 1);
}

/* The finalizer of splitmix64 (Steele et al., OOPSLA 2014): every input bit reaches every output bit. */
static __always_inline __u64 mix64(__u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/*
 * Both directions of a flow hash what both know, so that they meet in the same bucket: the client's side, and the tag of
 * the listener.
 */
static __always_inline void flow_hash(struct flow_id *id, __u32 protocol, __u32 tag, const int v6)
{
	const __u64 cport = v6 ? id->w[2] & 0xffff : id->w[0] >> 32 & 0xffff;
	const __u64 tail = cport << 8 | protocol;

	if (v6) {
		id->hash = mix64(mix64(id->w[0] ^ control.hash_seed[0]) + id->w[1]);
		id->hash = mix64(id->hash + ((tail | (__u64)tag << 24) ^ control.hash_seed[1]));
	} else {
		id->hash = mix64(((__u64)tag << 56 | (id->w[0] & 0xffffffff) << 24 | tail) ^ control.hash_seed[0]) ^
			   control.hash_seed[1];
	}
}

static __always_inline void flow_identify(struct flow_id *id, const __be32 *client, __be16 cport, __be16 dport,
					  __u8 protocol, __u8 tag, const int v6)
{
	if (v6) {
		id->w[0] = client[0] | (__u64)client[1] << 32;
		id->w[1] = client[2] | (__u64)client[3] << 32;
		id->w[2] = cport | (__u64)dport << 16;
	} else {
		id->w[0] = LVS_SLOT4_KEY(client[0], cport, dport);
	}
	flow_hash(id, protocol, tag, v6);
}

/* A flow's four places: two buckets, one overflow entry, one lock. The hash's bits are used apart. */
static __always_inline void *flow_bucket(const struct flow_id *id, const int second, const int v6)
{
	__u32 bits = second ? (__u32)(id->hash >> 32) : (__u32)id->hash;
	__u32 index;

	if (v6) {
		index = bits & control.bucket_mask6;
		return bpf_map_lookup_elem(&buckets6, &index);
	}
	index = bits & control.bucket_mask4;
	return bpf_map_lookup_elem(&buckets4, &index);
}

static __always_inline __u32 flow_overflow_index(const struct flow_id *id, const int v6)
{
	return (__u32)(id->hash >> 20) & (v6 ? control.overflow_mask6 : control.overflow_mask4);
}

static __always_inline void *flow_overflow(const struct flow_id *id, const int v6)
{
	__u32 index = flow_overflow_index(id, v6);

	return v6 ? bpf_map_lookup_elem(&overflow6, &index) : bpf_map_lookup_elem(&overflow4, &index);
}

static __always_inline __u32 *flow_overflow_used(const int v6)
{
	return v6 ? &control.overflow_used6 : &control.overflow_used4;
}

/* Slots of a bucket and of an overflow entry have the same shape: eight-byte words, the state word last. */
static __always_inline volatile __u64 *slot_at(void *slots, __u32 i, const int v6)
{
	return (volatile __u64 *)slots + i * (v6 ? 4 : 2);
}

static __always_inline volatile __u64 *slot_word(volatile __u64 *slot, const int v6)
{
	return slot + (v6 ? 3 : 1);
}

/*
 * What a search compares. A request knows its listener and all of the key. A reply knows its backend, but not the port
 * that the client used; its protocol is told by the state. `source`: several backend records have the reply's source, so
 * the record that the flow names is compared with it instead. Small, since it lies on the stack.
 */
struct flow_match {
	__u64 word_mask;
	__u64 word;
	__u64 source; /* endpoint_print of it; 0: not compared */
	__u32 reply;  /* 0: a request */
	__u32 udp;
};

#define FLOW_IDENTITY LVS_WORD(0xfffff, 0xffff, 0, 0, 0)

/* Address and port in 64 bits, which two endpoints share by an accident of one in 2^64. */
static __always_inline __u64 endpoint_print(const __be32 *addr, __be16 port, const int v6)
{
	__u64 print = mix64((__u64)addr[0] << 16 | port);

	if (v6)
		print = mix64(mix64(print + (addr[1] | (__u64)addr[2] << 32)) + addr[3]);
	return print | 1;
}

static __always_inline struct flow_match flow_match_request(__u32 listener)
{
	return (struct flow_match){.word_mask = LVS_WORD(0, 0xffff, 0, 0, 0), .word = LVS_WORD(0, listener, 0, 0, 0)};
}

static __always_inline struct flow_match flow_match_reply(const struct packet *p, __u32 backend)
{
	return (struct flow_match){.word_mask = LVS_WORD(0xfffff, 0, 0, 0, 0),
				   .word = LVS_WORD(backend, 0, 0, 0, 0),
				   .reply = 1,
				   .udp = p->protocol == IPPROTO_UDP};
}

static __always_inline struct flow_match flow_match_shared_reply(const struct packet *p, const int v6)
{
	struct flow_match m = flow_match_reply(p, 0);

	m.word_mask = 0;
	m.source = endpoint_print(p->src, p->sport, v6);
	return m;
}

static __always_inline int comes_from(__u64 source, __u32 backend, const int v6)
{
	const struct lvs_backend *b = bpf_map_lookup_elem(&backends, &backend);

	return b && endpoint_print(b->addr, b->port, v6) == source;
}

static __always_inline int slot_matches(volatile __u64 *slot, const struct flow_id *id, const struct flow_match *m,
					__u64 *word, const int v6)
{
	__u64 before = *slot_word(slot, v6);
	__u32 state = LVS_WORD_STATE(before);

	if ((before & m->word_mask) != m->word || state <= LVS_STATE_CLAIMED)
		return 0;
	if (v6) {
		if (slot[0] != id->w[0] || slot[1] != id->w[1] ||
		    ((slot[2] ^ id->w[2]) & (m->reply ? 0xffffULL : ~0ULL)))
			return 0;
	} else if ((slot[0] ^ id->w[0]) & (m->reply ? 0xffffffffffffULL : ~0ULL)) {
		return 0;
	}
	if (m->reply && LVS_STATE_IS_UDP(state) != m->udp)
		return 0;
	if (m->source && !comes_from(m->source, LVS_WORD_BACKEND(before), v6))
		return 0;
	*word = *slot_word(slot, v6);
	return !((*word ^ before) & FLOW_IDENTITY) && LVS_WORD_STATE(*word) > LVS_STATE_CLAIMED;
}

#define FLOW_BUCKET_SLOTS(v6) ((v6) ? LVS_SLOTS6 : LVS_SLOTS4)
#define FLOW_OVERFLOW_SLOTS(v6) ((v6) ? LVS_OVERFLOW_SLOTS6 : LVS_OVERFLOW_SLOTS4)

/* The position of the matching slot, n if there is none. */
static __always_inline __u32 flow_position(void *slots, const __u32 n, const struct flow_id *id,
					   const struct flow_match *m, __u64 *word, const int v6)
{
	__u32 i;

#pragma unroll
	for (i = 0; i < n; i++)
		if (slot_matches(slot_at(slots, i, v6), id, m, word, v6))
			break;
	opaque(i);
	return i;
}

static __always_inline int flow_find_in(void *slots, const __u32 n, const struct flow_id *id,
					const struct flow_match *m, struct flow *found, const __u32 table,
					const int v6)
{
	__u64 word = 0;
	__u32 position = flow_position(slots, n, id, m, &word, v6);

	if (position >= n)
		return 0;
	found->word = word;
	found->where = (__u64 *)slot_word(slot_at(slots, position, v6), v6);
	found->place = PLACE(table, position);
	return 1;
}

/*
 * Searching the overflow table too, and for shared replies: rare, so out of line, and global functions, which the
 * verifier walks once. They return a PLACE.
 */

static __always_inline __u32 flow_search(const struct flow_id *id, const struct flow_match *m, __u64 *word,
					 const int v6)
{
	void *slots;
	__u32 i;

	slots = flow_bucket(id, 0, v6);
	i = slots ? flow_position(slots, FLOW_BUCKET_SLOTS(v6), id, m, word, v6) : FLOW_BUCKET_SLOTS(v6);
	if (i < FLOW_BUCKET_SLOTS(v6))
		return PLACE(1, i);
	slots = flow_bucket(id, 1, v6);
	i = slots ? flow_position(slots, FLOW_BUCKET_SLOTS(v6), id, m, word, v6) : FLOW_BUCKET_SLOTS(v6);
	if (i < FLOW_BUCKET_SLOTS(v6))
		return PLACE(2, i);
	slots = flow_overflow(id, v6);
	if (!slots)
		return 0;
#pragma clang loop unroll(disable)
	for (i = 0; i < FLOW_OVERFLOW_SLOTS(v6); i++)
		if (slot_matches(slot_at(slots, i, v6), id, m, word, v6))
			return PLACE(3, i);
	return 0;
}

/* With the hash that `id` has. */
__noinline __u32 flow_search4(const struct flow_id *id, const struct flow_match *m, __u64 *word)
{
	return id && m && word ? flow_search(id, m, word, 0) : 0;
}

__noinline __u32 flow_search6(const struct flow_id *id, const struct flow_match *m, __u64 *word)
{
	return id && m && word ? flow_search(id, m, word, 1) : 0;
}

static __always_inline int flow_at_place(const struct flow_id *id, __u32 place, __u64 word, struct flow *found,
					 const int v6)
{
	__u32 position = PLACE_POSITION(place);
	void *slots;

	found->place = place;
	found->word = word;
	opaque(position);
	if (IN_OVERFLOW(place)) {
		position &= FLOW_OVERFLOW_SLOTS(v6) - 1;
		slots = flow_overflow(id, v6);
		if (slots)
			found->where = (__u64 *)slot_word(slot_at(slots, position, v6), v6);
		return slots != 0;
	}
	position &= FLOW_BUCKET_SLOTS(v6) - 1;
	slots = flow_bucket(id, PLACE_TABLE(place) == 2, v6);
	if (slots)
		found->where = (__u64 *)slot_word(slot_at(slots, position, v6), v6);
	return slots != 0;
}

static __always_inline int flow_find_slowly(const struct flow_id *id, const struct flow_match *m, struct flow *found,
					    const int v6)
{
	const struct flow_id id_copy = *id; /* the originals stay in registers */
	const struct flow_match m_copy = *m;
	__u64 word = 0;
	__u32 place = v6 ? flow_search6(&id_copy, &m_copy, &word) : flow_search4(&id_copy, &m_copy, &word);

	return place && flow_at_place(id, place, word, found, v6);
}

/* The same with the hashes of these tags instead of the one that `id` has; it keeps that of the one that it was. */
static __always_inline int flow_find_tagged(struct flow_id *id, const struct flow_match *m, struct flow *found,
					    __u32 tags, __u8 protocol, const int v6)
{
#pragma clang loop unroll(disable)
	for (__u32 tag = 0; tag < LVS_TAGS; tag++) {
		if (!(tags >> tag & 1))
			continue;
		flow_hash(id, protocol, tag, v6);
		if (flow_find_slowly(id, m, found, v6))
			return 1;
	}
	return 0;
}

static __always_inline int flow_find(const struct flow_id *id, const struct flow_match *m, struct flow *found,
				     const int v6)
{
	void *slots = flow_bucket(id, 0, v6);

	*found = (struct flow){};
	if (slots && flow_find_in(slots, FLOW_BUCKET_SLOTS(v6), id, m, found, 1, v6))
		return 1;
	slots = flow_bucket(id, 1, v6);
	if (slots && flow_find_in(slots, FLOW_BUCKET_SLOTS(v6), id, m, found, 2, v6))
		return 1;
	return *(volatile __u32 *)flow_overflow_used(v6) != 0 && flow_find_slowly(id, m, found, v6);
}

/* ---- counts -------------------------------------------------------------------------------------------------- */

static __always_inline void load_add(__u32 backend, __u32 state, __s32 n)
{
	struct lvs_load *load = bpf_map_lookup_elem(&loads, &backend);

	if (!load)
		return;
	if (LVS_STATE_IS_ACTIVE(state))
		__sync_fetch_and_add(&load->active, n);
	else
		__sync_fetch_and_add(&load->inactive, n);
}

static __always_inline int flow_expired(__u64 word, __u32 now)
{
	return flow_age(word, now) > control.timeout[LVS_WORD_STATE(word)];
}

/* Ends a flow if it is still as we saw it; a lost race means that somebody else did, or that it goes on. */
static __always_inline void flow_end(const struct flow *flow, const int v6)
{
	if (__sync_val_compare_and_swap(flow->where, flow->word, 0) != flow->word)
		return;
	load_add(LVS_WORD_BACKEND(flow->word), LVS_WORD_STATE(flow->word), -1);
	if (IN_OVERFLOW(flow->place))
		__sync_fetch_and_add(flow_overflow_used(v6), -1);
}

static __always_inline void flow_count_transition(__u32 backend, __u32 from, __u32 to)
{
	if (LVS_STATE_IS_ACTIVE(from) == LVS_STATE_IS_ACTIVE(to))
		return;
	load_add(backend, to, 1);
	load_add(backend, from, -1);
}

/* What a packet does to its flow: direction, and TCP flags or just "UDP"; one word, as arguments are few. */
#define EVENT_UDP 0x10000U
#define EVENT(flags, direction) ((__u32)(direction) << 8 | (flags))

/* `gateway` of a reply, which knows none: leave what is there. */
#define GATEWAY_KEEP 0xffffffffU

/*
 * One question and one answer are no conversation, however often the answer comes in one tick. What goes on in a later
 * tick is one; by the server alone it is a stream, which nobody may have asked for.
 */
static __always_inline __u32 udp_next_state(__u32 state, enum tcp_direction direction, int later)
{
	if (state == LVS_STATE_UDP)
		return state;
	if (direction != TCP_FROM_SERVER)
		return later ? LVS_STATE_UDP : LVS_STATE_UDP_BURST;
	if (state == LVS_STATE_UDP_BURST || (state == LVS_STATE_UDP_SHORT && later))
		return LVS_STATE_UDP_BURST;
	return LVS_STATE_UDP_SHORT;
}

/* `later`: the flow's last packet came in an earlier tick. */
static __always_inline __u32 flow_next_state(__u32 state, __u32 event, int later)
{
	const enum tcp_direction direction = (enum tcp_direction)(event >> 8 & 3);

	if (event & EVENT_UDP)
		return udp_next_state(state, direction, later);
	return tcp_confirm(state, tcp_next_state(state, (__u8)event, direction), direction, later);
}

/*
 * Changes state, gateway and time. A lost race is tried again from what the winner left, so that no transition is lost
 * (unless it is lost four times over, and then the next packet makes up for it).
 */
#define FLOW_UPDATE_TRIES 4
__noinline int flow_update(__u64 *where, __u64 old, __u32 event, __u32 gateway, __u32 now)
{
	if (!where)
		return 0;
	for (int i = 0; i < FLOW_UPDATE_TRIES; i++) {
		__u32 state = flow_next_state(LVS_WORD_STATE(old), event, LVS_WORD_TIME(old) != now);
		__u64 word, seen;

		word = (old & FLOW_IDENTITY) |
		       LVS_WORD(0, 0, gateway == GATEWAY_KEEP ? LVS_WORD_GATEWAY(old) : gateway & 0xff, state, now);
		if (word == old)
			return 1;
		seen = __sync_val_compare_and_swap(where, old, word);
		if (seen == old) {
			flow_count_transition(LVS_WORD_BACKEND(old), LVS_WORD_STATE(old), state);
			return 1;
		}
		if (((seen ^ old) & FLOW_IDENTITY) || LVS_WORD_STATE(seen) <= LVS_STATE_CLAIMED)
			return 0; /* the slot changed hands */
		old = seen;
	}
	return 0;
}

/* A packet of this flow was seen. Most packets change nothing and write nothing. */
static __always_inline void flow_touch(struct flow *flow, const struct packet *p, enum tcp_direction direction,
				       __u32 gateway, __u32 now)
{
	const __u32 event = EVENT(p->protocol == IPPROTO_TCP ? p->tcp_flags : EVENT_UDP, direction);
	const __u32 state = LVS_WORD_STATE(flow->word);

	if (LVS_WORD_TIME(flow->word) == now && (gateway == GATEWAY_KEEP || gateway == LVS_WORD_GATEWAY(flow->word)) &&
	    ((state == LVS_STATE_ESTABLISHED && (event & (TCP_ACK | TCP_SYN | TCP_FIN | TCP_RST)) == TCP_ACK) ||
	     state == LVS_STATE_UDP))
		return;
	flow_update(flow->where, flow->word, event, gateway, now);
}

/* ---- inserting ----------------------------------------------------------------------------------------------- */

/*
 * The lower the rank the sooner a slot is given to a new flow: class, then age (oldest first), then position. An entry
 * of another table is preferred to ending a flow that may still come to life, see flow_insert_locked.
 */
enum rank_class {
	CLASS_ROOM,	   /* free or expired */
	CLASS_ROOM_SECOND, /* the same in the second bucket, so that most flows are found at the first try */
	CLASS_STALE,	   /* half-open, closed or one-shot for FLOW_STALE_TICKS: nothing is waited for any more */
	CLASS_CLOSED,	   /* by both sides, or reset: at most a lost last ACK is sent again */
	CLASS_HALF_OPEN,
	CLASS_UNCONFIRMED, /* established, if it is true what one segment says */
	CLASS_CLOSING,	   /* by one side: data may be under way */
	CLASS_IDLE,	   /* established, and nothing was heard for FLOW_STALE_TICKS */
	CLASS_NEVER,	   /* established and in use, or being written */
};
#define FLOW_STALE_TICKS 4
#define RANK(class) ((__u32)(class) << 24)
#define RANK_OVERFLOW 0x80U /* the position, the lowest byte, is one of the overflow entry */
#define CLASS_OF(state, class) ((__u64)CLASS_##class << (4 * LVS_STATE_##state))
#define CLASS_BY_STATE(half_open, closed, established)                                                                 \
	(CLASS_OF(FREE, ROOM) | CLASS_OF(CLAIMED, NEVER) | CLASS_OF(SYN_RECV, half_open) |                             \
	 CLASS_OF(SYN_SENT, half_open) | CLASS_OF(UDP_NEW, half_open) | CLASS_OF(UDP_SHORT, half_open) |               \
	 CLASS_OF(UDP_BURST, half_open) | CLASS_OF(ESTABLISHED_NEW, UNCONFIRMED) |                                     \
	 CLASS_OF(ESTABLISHED, established) | CLASS_OF(UDP, established) | CLASS_OF(FIN_WAIT, CLOSING) |               \
	 CLASS_OF(CLOSE_WAIT, CLOSING) | CLASS_OF(LAST_ACK, CLOSING) | CLASS_OF(TIME_WAIT, closed) |                   \
	 CLASS_OF(CLOSE, closed))
#define CLASS_BY_STATE_YOUNG CLASS_BY_STATE(HALF_OPEN, CLOSED, NEVER)
#define CLASS_BY_STATE_OLD CLASS_BY_STATE(STALE, STALE, IDLE)

/* 1 if a < b, for numbers below 2^31. Arithmetic, because the verifier would walk every combination of branches. */
static __always_inline __u32 less(__u32 a, __u32 b)
{
	__u32 sign = (a - b) >> 31;

	opaque(sign);
	return sign;
}

static __always_inline __u32 slot_rank(__u64 word, __u32 now, const int second)
{
	__u32 state = LVS_WORD_STATE(word), age = flow_age(word, now);
	__u32 expired = less(LVS_STATE_CLAIMED, state) & less(control.timeout[state], age);
	__u64 young = less(age, FLOW_STALE_TICKS);
	__u64 by_state = CLASS_BY_STATE_OLD ^ ((CLASS_BY_STATE_OLD ^ CLASS_BY_STATE_YOUNG) & -young);
	__u32 class = ((__u32)(by_state >> (4 * state)) & 0xf) * (1 - expired);

	if (second)
		class += less(class, 1);
	return RANK(class) | (0xffff - age) << 8;
}

/* What flow_insert_locked did, for the counting that can wait until the lock is released. */
struct insertion {
	__u64 victim;  /* the state word that made room; 0: the slot was free */
	__u32 rank;    /* its rank: what was given up for the new flow */
	__u32 created;
};

static __always_inline __u32 best_rank(__u32 best, void *slots, __u32 n, __u32 base, __u32 now, const int v6)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < n; i++) {
		__u64 word = *slot_word(slot_at(slots, i, v6), v6);
		__u32 rank = slot_rank(word, now, base != 0) | (base + i);

		best = rank + (best - rank) * less(best, rank); /* the lower of the two */
	}
	return best;
}

/* Takes the slot if its state word is still worth no more than its rank said, writes the key and then the word. */
static __always_inline int slot_take(volatile __u64 *slot, const struct flow_id *id, struct flow *flow, __u32 rank,
				     __u32 now, struct insertion *done, const int v6)
{
	__u64 *where = (__u64 *)slot_word(slot, v6);
	__u64 victim = *(volatile __u64 *)where;

	if ((slot_rank(victim, now, 0) & RANK(0x7f)) > rank)
		return 0;
	if (__sync_val_compare_and_swap(where, victim, LVS_WORD(0, 0, 0, LVS_STATE_CLAIMED, 0)) != victim)
		return 0;
	slot[0] = id->w[0];
	if (v6) {
		slot[1] = id->w[1];
		slot[2] = id->w[2];
	}
	__sync_lock_test_and_set(where, flow->word); /* the word becomes visible after the key */
	flow->where = where;
	done->victim = victim;
	done->rank = rank;
	done->created = 1;
	return 1;
}

/* Lost races for a slot are tried again this often. */
#define FLOW_TAKE_TRIES 2

/* Where a new flow may go, and what is asked of each place. */
struct places {
	void *first;
	void *second;
	void *overflow;
};

static __always_inline int take_in_buckets(const struct places *at, const struct flow_id *id, struct flow *flow,
					   __u32 limit, __u32 now, struct insertion *done, const int v6)
{
	const __u32 n = FLOW_BUCKET_SLOTS(v6);

#pragma clang loop unroll(disable)
	for (int i = 0; i < FLOW_TAKE_TRIES; i++) {
		__u32 rank = best_rank(limit, at->first, n, 0, now, v6);

		rank = best_rank(rank, at->second, n, n, now, v6);
		if (rank >= limit)
			return 0;
		if (slot_take(slot_at(rank & n ? at->second : at->first, rank & (n - 1), v6), id, flow, rank, now, done,
			      v6))
			return 1;
	}
	return 0;
}

static __always_inline int take_in_overflow(const struct places *at, const struct flow_id *id, struct flow *flow,
					    __u32 limit, __u32 now, struct insertion *done, const int v6)
{
	const __u32 n = FLOW_OVERFLOW_SLOTS(v6);

#pragma clang loop unroll(disable)
	for (int i = 0; i < FLOW_TAKE_TRIES; i++) {
		__u32 rank = best_rank(limit, at->overflow, n, 0, now, v6);

		if (rank >= limit)
			return 0;
		if (slot_take(slot_at(at->overflow, rank & (n - 1), v6), id, flow, rank, now, done, v6)) {
			done->rank |= RANK_OVERFLOW;
			return 1;
		}
	}
	return 0;
}

/* A flood of half-open flows may take three quarters of the overflow table; then they evict each other. */
static __always_inline int overflow_crowded(const int v6)
{
	__u32 capacity = ((v6 ? control.overflow_mask6 : control.overflow_mask4) + 1) * FLOW_OVERFLOW_SLOTS(v6);

	return *(volatile __u32 *)flow_overflow_used(v6) > capacity / 4 * 3;
}

/*
 * Room in the buckets or a stale flow there; else room in the overflow table; only then a flow is ended that may still
 * be wanted, and an established one only when there is no other: the one that has been idle longest.
 */
static __always_inline void flow_insert_locked(const struct flow_id *id, const struct flow_match *m,
					       const struct places *at, struct flow *flow, __u32 now,
					       struct insertion *done, const int v6)
{
	const __u32 n = FLOW_BUCKET_SLOTS(v6);

	if (flow_find_in(at->first, n, id, m, flow, 1, v6) || flow_find_in(at->second, n, id, m, flow, 2, v6) ||
	    flow_find_in(at->overflow, FLOW_OVERFLOW_SLOTS(v6), id, m, flow, 3, v6))
		return;
	if (take_in_buckets(at, id, flow, RANK(CLASS_CLOSED), now, done, v6))
		return;
	if (!overflow_crowded(v6) && take_in_overflow(at, id, flow, RANK(CLASS_STALE), now, done, v6))
		return;
	if (take_in_buckets(at, id, flow, RANK(CLASS_UNCONFIRMED), now, done, v6))
		return;
	if (take_in_overflow(at, id, flow, RANK(CLASS_UNCONFIRMED), now, done, v6))
		return;
	if (!take_in_buckets(at, id, flow, RANK(CLASS_NEVER), now, done, v6))
		take_in_overflow(at, id, flow, RANK(CLASS_NEVER), now, done, v6);
}

/* What came of it, and the PLACE of a created flow above. */
enum inserted {
	FLOW_CREATED,
	FLOW_EXISTED, /* another CPU was first */
	FLOW_NO_ROOM,
};
#define INSERTED(outcome) ((enum inserted)((outcome) & 0xff))
#define INSERTED_PLACE(outcome) ((__u32)(outcome) >> 8)

static __always_inline __u32 place_of_rank(__u32 rank, const int v6)
{
	const __u32 n = FLOW_BUCKET_SLOTS(v6);

	if (rank & RANK_OVERFLOW)
		return PLACE(3, rank & (FLOW_OVERFLOW_SLOTS(v6) - 1));
	return PLACE(rank & n ? 2 : 1, rank & (n - 1));
}

/* Creates the flow whose state word is flow->word, unless it exists. Listener and backend are read from the word. */
static __always_inline int flow_create(const struct flow_id *id, __u64 *word, __u32 now, const int v6)
{
	__u32 lock_index = (__u32)(id->hash >> 52) % LVS_LOCKS;
	struct lvs_lock *lock = bpf_map_lookup_elem(&locks, &lock_index);
	const struct flow_match match = flow_match_request(LVS_WORD_LISTENER(*word));
	const __u32 backend = LVS_WORD_BACKEND(*word), state = LVS_WORD_STATE(*word);
	const struct places at = {flow_bucket(id, 0, v6), flow_bucket(id, 1, v6), flow_overflow(id, v6)};
	struct flow flow = {.word = *word};
	struct insertion done = {};

	if (!lock || !at.first || !at.second || !at.overflow)
		return FLOW_NO_ROOM;
	load_add(backend, state, 1); /* before anybody can end it; taken back if it was not created */
	bpf_spin_lock(&lock->lock);
	flow_insert_locked(id, &match, &at, &flow, now, &done, v6);
	bpf_spin_unlock(&lock->lock);

	*word = flow.word;
	if (!done.created) {
		load_add(backend, state, -1);
		return flow.where ? FLOW_EXISTED : FLOW_NO_ROOM;
	}
	if (done.victim)
		load_add(LVS_WORD_BACKEND(done.victim), LVS_WORD_STATE(done.victim), -1);
	else if (done.rank & RANK_OVERFLOW)
		__sync_fetch_and_add(flow_overflow_used(v6), 1);
	if (done.rank >= RANK(CLASS_STALE))
		count_reason(done.rank >= RANK(CLASS_IDLE) ? LVS_REASON_flow_idle_evicted : LVS_REASON_flow_evicted);
	if (done.rank & RANK_OVERFLOW)
		count_reason(LVS_REASON_flow_overflow);
	return FLOW_CREATED | (int)(place_of_rank(done.rank, v6) << 8);
}

/* Global functions: only new flows come here, the path of all others stays short, and the verifier walks them once. */
__noinline int flow_create4(const struct flow_id *id, __u64 *word, __u32 now)
{
	return id && word ? flow_create(id, word, now, 0) : FLOW_NO_ROOM;
}

__noinline int flow_create6(const struct flow_id *id, __u64 *word, __u32 now)
{
	return id && word ? flow_create(id, word, now, 1) : FLOW_NO_ROOM;
}

/* Creates the flow of this state word, unless it exists: then `word` becomes what it is. */
static __always_inline int flow_insert(const struct flow_id *id, __u64 *word, __u32 now, const int v6)
{
	const struct flow_id copy = *id; /* the caller's stays in registers */

	return v6 ? flow_create6(&copy, word, now) : flow_create4(&copy, word, now);
}

#endif
