/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cold.h: the way to programs that rare packets go to. A tail call starts with an empty stack, so what is rare costs the
 * others neither stack nor instructions.
 */
#ifndef LVS_COLD_H
#define LVS_COLD_H

#include "maps.h"

int lvs_stray(struct xdp_md *ctx);

/* libbpf fills it when it loads the programs; it stays pinned as they do. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, LVS_COLD_MAX);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} cold SEC(".maps") = {.values = {[LVS_COLD_STRAY] = (void *)&lvs_stray}};

/* The verdict is that program's; `otherwise` if it is not there, as between two upgrades that failed. */
static __always_inline int go_stray(struct xdp_md *ctx, int otherwise)
{
	bpf_tail_call(ctx, &cold, LVS_COLD_STRAY);
	return otherwise;
}

#endif
