/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* count.h: per-CPU counters. A packet that is not plainly forwarded ends in exactly one counted reason. */
#ifndef LVS_COUNT_H
#define LVS_COUNT_H

#include "maps.h"

static __always_inline void count_reason(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&reasons, &reason);

	if (n)
		*n += 1;
}

static __always_inline int drop(__u32 reason)
{
	count_reason(reason);
	return XDP_DROP;
}

static __always_inline int pass(__u32 reason)
{
	count_reason(reason);
	return XDP_PASS;
}

static __always_inline void count_flow(__u32 backend)
{
	struct lvs_counters *c = bpf_map_lookup_elem(&counters, &backend);

	if (c)
		c->flows += 1;
}

static __always_inline void count_request(__u32 backend, __u32 bytes, __u32 new_flow)
{
	struct lvs_counters *c = bpf_map_lookup_elem(&counters, &backend);

	if (!c)
		return;
	c->in_packets += 1;
	c->in_bytes += bytes;
	c->flows += new_flow;
}

static __always_inline void count_reply(__u32 backend, __u32 bytes)
{
	struct lvs_counters *c = bpf_map_lookup_elem(&counters, &backend);

	if (!c)
		return;
	c->out_packets += 1;
	c->out_bytes += bytes;
}

#endif
