/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse.h: from bytes to a struct packet; the only place that does bounds checks. Ethernet, up to two VLAN tags, IPv4
 * or IPv6, TCP or UDP. What is well-formed but needs more than that is PARSE_FRAGMENT or PARSE_OPTIONS: the caller decides
 * once it knows whether the packet has to do with a service.
 */
#ifndef LVS_PARSE_H
#define LVS_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "maps.h"

/* Hides a value's origin from compiler and verifier, so that equal code is walked once and not once per value. */
#define opaque(x) asm volatile("" : "+r"(x))

#define VLAN_MAX_TAGS 2

struct vlan_tag {
	__be16 tci;
	__be16 proto;
};

/* TCP flag bits as they lie in byte 13 of the header (RFC 9293, 3.1). */
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct packet {
	struct ethhdr *eth;
	void *l3;
	__be16 *ports;	/* source, destination: the first words of TCP and UDP alike */
	__sum16 *check; /* the TCP or UDP checksum */
	__be32 src[4];
	__be32 dst[4]; /* IPv4: [0] */
	__be16 sport;
	__be16 dport;
	__u32 length; /* of the IP packet, as its header says; the buffer is not shorter */
	__u8 protocol;
	__u8 tcp_flags; /* 0 for UDP */
};

/* The first segment of a connection. */
static __always_inline int is_new_syn(const struct packet *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

enum parsed {
	PARSE_OK = 0,
	PARSE_NOT_OURS, /* not IP, not TCP or UDP, or too short to tell the destination */
	PARSE_MALFORMED,
	PARSE_FRAGMENT,
	PARSE_OPTIONS,
};

/*
 * The EtherType behind the tags, in network order; 0 when the frame is too short. Sets eth and l3. The offset of l3 is
 * hidden from the verifier as a bounded number, or it would walk all that follows once per number of tags.
 */
static __always_inline __be16 parse_ethernet(struct xdp_md *ctx, struct packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct vlan_tag *tag = (void *)(eth + 1);
	__u32 offset = sizeof(*eth);
	__be16 type;

	if ((void *)(eth + 1) > end)
		return 0;
	type = eth->h_proto;
#pragma unroll
	for (int i = 0; i < VLAN_MAX_TAGS; i++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > end)
			return 0;
		type = tag->proto;
		offset += sizeof(*tag);
		tag++;
	}
	opaque(offset);
	p->eth = eth;
	p->l3 = data + (offset & 31);
	return type;
}

/* `room`: bytes of the IP packet behind its own header, by the header's own word. */
static __always_inline enum parsed parse_l4(void *l4, void *end, __u32 room, struct packet *p)
{
	p->ports = l4;
	if (p->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = l4;

		if ((void *)(tcp + 1) > end || tcp->doff < 5 || tcp->doff * 4U > room)
			return PARSE_MALFORMED;
		p->sport = tcp->source;
		p->dport = tcp->dest;
		p->check = &tcp->check;
		p->tcp_flags = ((__u8 *)tcp)[13];
	} else {
		struct udphdr *udp = l4;

		if ((void *)(udp + 1) > end || bpf_ntohs(udp->len) < sizeof(*udp) || bpf_ntohs(udp->len) > room)
			return PARSE_MALFORMED;
		p->sport = udp->source;
		p->dport = udp->dest;
		p->check = &udp->check;
		p->tcp_flags = 0;
	}
	return PARSE_OK;
}

/* The buffer must hold all of the packet; the linear part may hold only its beginning (xdp.frags). */
static __always_inline int buffer_short(struct xdp_md *ctx, const struct packet *p)
{
	__u64 needed = (__u64)((long)p->l3 - (long)p->eth) + p->length;

	return (__u64)ctx->data_end - (__u64)ctx->data < needed && bpf_xdp_get_buff_len(ctx) < needed;
}

static __always_inline enum parsed parse_ipv4(struct xdp_md *ctx, struct packet *p)
{
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = p->l3;

	if ((void *)(ip + 1) > end)
		return PARSE_NOT_OURS;
	p->protocol = ip->protocol;
	p->src[0] = ip->saddr;
	p->dst[0] = ip->daddr;
	p->length = bpf_ntohs(ip->tot_len);
	if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		return PARSE_NOT_OURS;
	if (ip->version != 4 || ip->ihl < 5 || p->length < ip->ihl * 4U || buffer_short(ctx, p))
		return PARSE_MALFORMED;
	if (ip->frag_off & bpf_htons(0x3fff)) /* more fragments, or an offset */
		return PARSE_FRAGMENT;
	if (ip->ihl != 5)
		return PARSE_OPTIONS;
	return parse_l4(ip + 1, end, p->length - sizeof(*ip), p);
}

static __always_inline enum parsed parse_ipv6(struct xdp_md *ctx, struct packet *p)
{
	void *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = p->l3;

	if ((void *)(ip + 1) > end)
		return PARSE_NOT_OURS;
	p->protocol = ip->nexthdr;
	__builtin_memcpy(p->src, &ip->saddr, sizeof(p->src));
	__builtin_memcpy(p->dst, &ip->daddr, sizeof(p->dst));
	p->length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	switch (p->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		break;
	case IPPROTO_FRAGMENT:
		return PARSE_FRAGMENT;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return PARSE_OPTIONS;
	default:
		return PARSE_NOT_OURS;
	}
	if (ip->version != 6 || buffer_short(ctx, p))
		return PARSE_MALFORMED;
	return parse_l4(ip + 1, end, p->length - sizeof(*ip), p);
}

#endif
