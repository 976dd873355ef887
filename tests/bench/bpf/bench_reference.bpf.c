/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a balancer is measured against: nothing at all, swapping the MACs, and one random cache line besides. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct line {
	__u64 word[8];
};

/* As many cache lines as the flow table it is compared with; always zero. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct line);
} lines SEC(".maps");

const volatile __u32 line_mask;

static __always_inline void swap_macs(__u16 *mac, __u16 twist)
{
	__u16 kept[3] = {mac[0], mac[1], mac[2]};

	mac[0] = mac[3] ^ twist;
	mac[1] = mac[4];
	mac[2] = mac[5];
	mac[3] = kept[0];
	mac[4] = kept[1];
	mac[5] = kept[2];
}

SEC("xdp.frags")
int bench_floor(struct xdp_md *ctx)
{
	return XDP_TX;
}

SEC("xdp.frags")
int bench_swap(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;

	if (data + ETH_HLEN > data_end)
		return XDP_ABORTED;
	swap_macs(data, 0);
	return XDP_TX;
}

/*
 * The limit: no balancer that keeps a record per flow can do with less than one cache line that is anywhere in its
 * table. The line's contents go into the packet, so that the read is not idle.
 */
SEC("xdp.frags")
int bench_limit(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct line *line;
	__u64 flow;
	__u32 index;

	if (data + ETH_HLEN + sizeof(struct ipv6hdr) + 4 > data_end)
		return XDP_ABORTED;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);

		flow = (__u64)ip->saddr << 32 | *(__u32 *)(ip + 1);
	} else {
		struct ipv6hdr *ip = (void *)(eth + 1);

		flow = (__u64)ip->saddr.s6_addr32[3] << 32 | *(__u32 *)(ip + 1);
	}
	flow *= 0x9e3779b97f4a7c15ULL;
	flow ^= flow >> 32;
	flow *= 0xd6e8feb86659fd93ULL;
	index = (flow >> 32) & line_mask;
	line = bpf_map_lookup_elem(&lines, &index);
	if (!line)
		return XDP_ABORTED;
	swap_macs(data, line->word[1]);
	return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
