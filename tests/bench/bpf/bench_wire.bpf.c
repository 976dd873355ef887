/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Both ends of a path over veth, and the least that can lie between them. */
#include "bench_packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} out SEC(".maps");

struct bench_spec spec SEC(".data.spec");
__u32 next_packet SEC(".data.spec");

/* Of a live-frame test run: every frame leaves through `out`. */
SEC("xdp.frags")
int bench_source(struct xdp_md *ctx)
{
	if (!bench_write(&spec, ctx, next_packet++))
		return XDP_ABORTED;
	return bpf_redirect_map(&out, 0, XDP_DROP);
}

/* What a path is worth when it does nothing else: new MACs and out. */
SEC("xdp.frags")
int bench_redirect(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if (data + sizeof(*eth) > data_end)
		return XDP_PASS;
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	bench_write_ethernet(&spec, eth, eth->h_proto);
	return bpf_redirect_map(&out, 0, XDP_DROP);
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_sunk);
} sunk SEC(".maps");

/* Counts and drops the benchmark's frames, known by their clients; the rest (ARP) is the stack's. */
SEC("xdp.frags")
int bench_sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct udphdr *udp = (void *)(ip + 1);
	struct bench_sunk *seen;
	__u32 zero = 0;

	if ((void *)(udp + 1) > data_end)
		return XDP_PASS;
	if (((struct ethhdr *)data)->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP ||
	    bpf_ntohl(ip->saddr) >> 24 != BENCH_CLIENT4 >> 24)
		return XDP_PASS;
	seen = bpf_map_lookup_elem(&sunk, &zero);
	if (!seen)
		return XDP_PASS;
	seen->frames++;
	seen->destination = ip->daddr;
	seen->port = udp->dest;
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
