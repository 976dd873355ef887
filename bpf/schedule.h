/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * schedule.h: choosing the backend of a new flow. A service's table is one inner map, so that lvsd swaps it whole:
 * entry 0 is the length n, entries 1..n are backend ids. All rules return 0 when there is no server.
 */
#ifndef LVS_SCHEDULE_H
#define LVS_SCHEDULE_H

#include "parse.h"

/* rr and wrr: lvsd has laid the turns out in order; each CPU goes round by itself. */
static __always_inline __u32 pick_next(void *table, __u32 n, __u32 service)
{
	__u32 *cursor = bpf_map_lookup_elem(&cursors, &service);
	__u32 index, *entry;

	if (!cursor)
		return 0;
	if (*cursor == 0) /* never used: CPUs begin at different turns, or the first server would get one from each */
		index = (__u32)(((__u64)(bpf_get_smp_processor_id() * 0x9e3779b1U) * n) >> 32);
	else
		index = *cursor < n ? *cursor : 0;
	*cursor = index + 1;
	index += 1;
	entry = bpf_map_lookup_elem(table, &index);
	return entry ? *entry : 0;
}

/* The same on every router and after every restart: nothing but the address, the port if asked, and the site's seed. */
static __always_inline __u32 schedule_hash(const __be32 *addr, __be16 port, const int v6)
{
	__u64 h = (__u64)addr[0] << 16 | port;

	h = mix64(h ^ (__u64)control.schedule_seed << 32);
	if (v6) {
		h = mix64(h + (addr[1] | (__u64)addr[2] << 32));
		h = mix64(h + addr[3]);
	}
	return (__u32)(h >> 32);
}

/* sh, dh, mh: multiply and shift spreads the hash evenly over any n without a division. */
static __always_inline __u32 pick_hashed(void *table, __u32 n, __u32 hash)
{
	__u32 index = 1 + (__u32)(((__u64)hash * n) >> 32);
	__u32 *entry = bpf_map_lookup_elem(table, &index);

	return entry ? *entry : 0;
}

struct least {
	void *table;
	__u64 overhead; /* active * 256 + inactive, as IPVS weighs them */
	__u32 backend;
	__u32 weight;
	__u32 weighted;
};

/* Ties stay with the earlier candidate, as in IPVS; the comparison is cross-multiplied instead of divided. */
static long compare_candidate(__u32 i, struct least *best)
{
	__u32 index = i + 1, *id;
	struct lvs_load *load;
	__u64 overhead;

	id = bpf_map_lookup_elem(best->table, &index);
	if (!id)
		return 1;
	load = bpf_map_lookup_elem(&loads, id);
	if (!load || load->weight == 0)
		return 0;
	overhead = ((__u64)load->active << 8) + load->inactive;
	if (best->backend &&
	    (best->weighted ? overhead * best->weight >= best->overhead * load->weight : overhead >= best->overhead))
		return 0;
	best->backend = *id;
	best->overhead = overhead;
	best->weight = load->weight;
	return 0;
}

/* Global, as all that is called from several places and needs no packet: the verifier walks it once. */
__noinline __u32 pick_least(__u32 service, __u32 weighted)
{
	struct least best = {.table = bpf_map_lookup_elem(&tables, &service), .weighted = weighted};
	__u32 zero = 0, *n;

	if (!best.table)
		return 0;
	n = bpf_map_lookup_elem(best.table, &zero);
	if (!n)
		return 0;
	bpf_loop(*n < LVS_MAX_CANDIDATES ? *n : LVS_MAX_CANDIDATES, compare_candidate, &best, 0);
	return best.backend;
}

static __always_inline __u32 schedule(const struct packet *p, __u32 service, const struct lvs_service *s, const int v6)
{
	void *table = bpf_map_lookup_elem(&tables, &service);
	__u32 zero = 0, *n;

	if (!table)
		return 0;
	n = bpf_map_lookup_elem(table, &zero);
	if (!n || *n == 0)
		return 0;
	switch (s->pick) {
	case LVS_PICK_CURSOR:
		return pick_next(table, *n, service);
	case LVS_PICK_SOURCE_HASH:
		return pick_hashed(table, *n,
				   schedule_hash(p->src, s->flags & LVS_SERVICE_HASH_PORT ? p->sport : 0, v6));
	case LVS_PICK_DEST_HASH:
		return pick_hashed(table, *n, schedule_hash(p->dst, 0, v6));
	case LVS_PICK_LC:
		return pick_least(service, 0);
	case LVS_PICK_WLC:
		return pick_least(service, 1);
	default:
		return 0;
	}
}

static __always_inline int schedules_by_hash(const struct lvs_service *s)
{
	return s->pick == LVS_PICK_SOURCE_HASH || s->pick == LVS_PICK_DEST_HASH;
}

#endif
