/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs before the program under test: makes the buffer the next flow's packet and tail-calls the program. One CPU runs
 * one copy of it, so its counter is a plain variable.
 */
#include "bench_packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} program_under_test SEC(".maps");

struct bench_spec spec SEC(".data.spec");
__u32 next_packet SEC(".data.spec");

SEC("xdp.frags")
int bench_driver(struct xdp_md *ctx)
{
	if (!bench_write(&spec, ctx, next_packet++))
		return XDP_ABORTED;
	bpf_tail_call_static(ctx, &program_under_test, 0);
	return XDP_ABORTED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
