/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * reset.h: a TCP reset in place of a segment whose connection has lost its server, back the way it came. The client
 * takes it for the server's: addresses and ports are those of the segment, and the sequence number is the one that it
 * expects next (RFC 9293, 3.10.7.1; RFC 5961 accepts no other).
 */
#ifndef LVS_RESET_H
#define LVS_RESET_H

#include "forward.h"

#define RESET_TTL 64

/* The header becomes the reset's, complete but for the checksum; `payload`: bytes behind it. */
static __always_inline void reset_tcp(struct tcphdr *tcp, __u32 payload)
{
	__be16 source = tcp->source;
	__be32 expected = tcp->ack_seq;
	__u32 end = bpf_ntohl(tcp->seq) + payload + tcp->syn + tcp->fin, acknowledged = tcp->ack;

	tcp->source = tcp->dest;
	tcp->dest = source;
	tcp->seq = acknowledged ? expected : 0;
	tcp->ack_seq = acknowledged ? 0 : bpf_htonl(end);
	((__u8 *)tcp)[12] = (sizeof(*tcp) / 4) << 4;
	((__u8 *)tcp)[13] = acknowledged ? TCP_RST : TCP_RST | TCP_ACK;
	tcp->window = 0;
	tcp->check = 0;
	tcp->urg_ptr = 0;
}

/* The sum of `n` 32-bit words, for fold(). */
static __always_inline __u64 sum_words(const void *words, const __u32 n)
{
	__u64 sum = 0;

#pragma unroll
	for (__u32 i = 0; i < n; i++)
		sum += ((const __u32 *)words)[i];
	return sum;
}

/* Of a header without payload: the pseudo header has its addresses, its length and its protocol. */
static __always_inline __sum16 tcp_checksum(const struct tcphdr *tcp, __u64 addresses)
{
	return (__sum16)~fold(addresses + bpf_htons(sizeof(*tcp)) + bpf_htons(IPPROTO_TCP) +
			      sum_words(tcp, sizeof(*tcp) / 4));
}

static __always_inline void reset_ipv4(struct iphdr *ip, struct tcphdr *tcp)
{
	__be32 source = ip->saddr;

	reset_tcp(tcp, bpf_ntohs(ip->tot_len) - sizeof(*ip) - tcp->doff * 4);
	ip->saddr = ip->daddr;
	ip->daddr = source;
	ip->tos = 0;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*tcp));
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000); /* DF */
	ip->ttl = RESET_TTL;
	ip->check = 0;
	ip->check = (__sum16)~fold(sum_words(ip, sizeof(*ip) / 4));
	tcp->check = tcp_checksum(tcp, (__u64)ip->saddr + ip->daddr);
}

static __always_inline void reset_ipv6(struct ipv6hdr *ip, struct tcphdr *tcp)
{
	struct in6_addr source = ip->saddr;

	reset_tcp(tcp, bpf_ntohs(ip->payload_len) - tcp->doff * 4);
	ip->saddr = ip->daddr;
	ip->daddr = source;
	*(__be32 *)ip = bpf_htonl(6U << 28); /* no traffic class, no flow label */
	ip->payload_len = bpf_htons(sizeof(*tcp));
	ip->hop_limit = RESET_TTL;
	tcp->check = tcp_checksum(tcp, sum_words(&ip->saddr, 8));
}

/*
 * Turns the frame into the reset; `l3` is where its IP header is. 0: it could not be done, and the frame is spoilt.
 * The caller sends it out where it came in. A global function: rare, and the verifier walks it once. It invalidates the
 * caller's packet pointers.
 */
__noinline int make_reset(struct xdp_md *ctx, __u32 l3, __u32 v6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	void *ip = data + (l3 & 31);
	struct tcphdr *tcp = ip + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	__u8 mac[ETH_ALEN];
	__u32 length;

	if ((void *)(eth + 1) > end || (void *)(tcp + 1) > end)
		return 0;
	if (v6)
		reset_ipv6(ip, tcp);
	else
		reset_ipv4(ip, tcp);
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	length = (l3 & 31) + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + sizeof(*tcp);
	return bpf_xdp_adjust_tail(ctx, (int)length - (int)bpf_xdp_get_buff_len(ctx)) == 0;
}

#endif
