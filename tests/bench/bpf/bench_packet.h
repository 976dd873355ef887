/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writes the headers of one flow's packet, all of them and with right checksums, over whatever the last program left in
 * the buffer. Fields are stored in the width that a parser reads them in: a load that spans two young stores would wait
 * for both to leave the store buffer, which no packet from a NIC does.
 */
#ifndef BENCH_PACKET_H
#define BENCH_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench_abi.h"

#define BENCH_L4_LENGTH 20 /* TCP without options, or UDP with 12 bytes of zero */

/* A bijection of [0, flow_mask]: multiplying by an odd number and folding the upper half in are both invertible. */
static __always_inline __u32 bench_flow(const struct bench_spec *spec, __u32 n)
{
	__u32 i = n * spec->stride + spec->first;

	i &= spec->flow_mask;
	if (!spec->shuffle)
		return i;
	i = (i * 0x9e3779b1U) & spec->flow_mask;
	i ^= i >> spec->shuffle;
	return (i * 0x85ebca6bU) & spec->flow_mask;
}

static __always_inline __u16 bench_checksum(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void bench_write_ethernet(const struct bench_spec *spec, struct ethhdr *eth, __be16 protocol)
{
	__u16 *to = (__u16 *)eth;
	const __u16 *destination = (const __u16 *)spec->destination_mac;
	const __u16 *source = (const __u16 *)spec->source_mac;

	to[0] = destination[0];
	to[1] = destination[1];
	to[2] = destination[2];
	to[3] = source[0];
	to[4] = source[1];
	to[5] = source[2];
	to[6] = protocol;
}

/* `sum` is that of the pseudo-header. The bytes after the header are zero in every frame. */
static __always_inline void bench_write_l4(const struct bench_spec *spec, void *l4, __be32 ports, __u32 n, __u64 sum)
{
	__u8 flags = !spec->handshake ? spec->tcp_flags : n & 1 ? BENCH_TCP_ACK : BENCH_TCP_SYN;

	*(__be32 *)l4 = ports;
	sum += ports;
	if (spec->protocol == IPPROTO_TCP) {
		__be32 *word = l4;
		__u8 *byte = l4;

		word[1] = bpf_htonl(n);
		word[2] = bpf_htonl(1);
		byte[12] = 5 << 4;
		byte[13] = flags;
		((__be16 *)l4)[7] = bpf_htons(0xffff);
		((__be16 *)l4)[9] = 0;
		sum += (__u64)word[1] + word[2] + bpf_htons(5 << 12 | flags) + bpf_htons(0xffff);
		((__be16 *)l4)[8] = bench_checksum(sum);
	} else {
		((__be16 *)l4)[2] = bpf_htons(BENCH_L4_LENGTH);
		((__be16 *)l4)[3] = bench_checksum(sum + bpf_htons(BENCH_L4_LENGTH)) ?: 0xffff;
	}
}

struct bench_ends {
	__be32 source, destination; /* IPv6: the low 32 bits */
	__be32 source_prefix, destination_prefix;
	__be32 ports;
};

static __always_inline void bench_ends_of(const struct bench_spec *spec, __u32 flow, struct bench_ends *ends)
{
	__be32 client = bpf_htonl(BENCH_CLIENT4 + (flow >> 15));
	__be16 client_port = bpf_htons(1024 + (flow & 0x7fff));

	if (spec->direction == BENCH_REQUEST) {
		ends->source = client;
		ends->source_prefix = bpf_htonl(BENCH_PREFIX6_VIP);
		ends->destination = bpf_htonl(BENCH_VIP4);
		ends->destination_prefix = bpf_htonl(BENCH_PREFIX6_VIP);
		ends->ports = client_port | (__be32)bpf_htons(BENCH_VIP_PORT) << 16;
	} else {
		ends->source = bpf_htonl(BENCH_BACKEND4 + (flow & spec->backend_mask));
		ends->source_prefix = bpf_htonl(BENCH_PREFIX6_BACKEND);
		ends->destination = client;
		ends->destination_prefix = bpf_htonl(BENCH_PREFIX6_VIP);
		ends->ports = (__be32)bpf_htons(spec->backend_port) | (__be32)client_port << 16;
	}
}

static __always_inline void bench_write_ip4(const struct bench_spec *spec, struct iphdr *ip,
					    const struct bench_ends *ends, __u32 n)
{
	__u64 addresses = (__u64)ends->source + ends->destination;
	__be16 length = bpf_htons(sizeof(*ip) + BENCH_L4_LENGTH);
	__be16 ttl_protocol = bpf_htons(64 << 8 | spec->protocol);

	*(__u8 *)ip = 0x45;
	ip->tos = 0;
	ip->tot_len = length;
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = 64;
	ip->protocol = spec->protocol;
	ip->saddr = ends->source;
	ip->daddr = ends->destination;
	ip->check = bench_checksum(addresses + bpf_htons(0x4500) + length + bpf_htons(0x4000) + ttl_protocol);
	bench_write_l4(spec, ip + 1, ends->ports, n,
		       addresses + bpf_htons(spec->protocol) + bpf_htons(BENCH_L4_LENGTH));
}

static __always_inline void bench_write_ip6(const struct bench_spec *spec, struct ipv6hdr *ip,
					    const struct bench_ends *ends, __u32 n)
{
	__u64 sum = (__u64)ends->source_prefix + ends->destination_prefix + ends->source + ends->destination;

	*(__be32 *)ip = bpf_htonl(0x60000000);
	ip->payload_len = bpf_htons(BENCH_L4_LENGTH);
	ip->nexthdr = spec->protocol;
	ip->hop_limit = 64;
	ip->saddr.s6_addr32[0] = ends->source_prefix;
	ip->saddr.s6_addr32[1] = 0;
	ip->saddr.s6_addr32[2] = 0;
	ip->saddr.s6_addr32[3] = ends->source;
	ip->daddr.s6_addr32[0] = ends->destination_prefix;
	ip->daddr.s6_addr32[1] = 0;
	ip->daddr.s6_addr32[2] = 0;
	ip->daddr.s6_addr32[3] = ends->destination;
	bench_write_l4(spec, ip + 1, ends->ports, n, sum + bpf_htons(spec->protocol) + bpf_htons(BENCH_L4_LENGTH));
}

/* Packet number n of the specification. False: the buffer is too small. */
static __always_inline int bench_write(const struct bench_spec *spec, struct xdp_md *ctx, __u32 n)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct bench_ends ends;

	bench_ends_of(spec, bench_flow(spec, spec->handshake ? n / 2 : n), &ends);
	if (spec->ipv6) {
		if (data + BENCH_FRAME6 > data_end)
			return 0;
		bench_write_ethernet(spec, data, bpf_htons(ETH_P_IPV6));
		bench_write_ip6(spec, data + ETH_HLEN, &ends, n);
	} else {
		if (data + BENCH_FRAME4 > data_end)
			return 0;
		bench_write_ethernet(spec, data, bpf_htons(ETH_P_IP));
		bench_write_ip4(spec, data + ETH_HLEN, &ends, n);
	}
	return 1;
}

#endif
