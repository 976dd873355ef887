/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the benchmark's BPF programs and its user space agree on: which packet the next one is, and the addresses of the
 * synthetic site that all of them belong to. Flow number i is
 *
 *   client  16.0.0.0 + (i >> 15), port 1024 + (i & 0x7fff)      backend  10.0.0.1 + (i mod backends)
 *
 * and the same in the low 32 bits of the IPv6 prefixes below, so that a reply can be written without a table.
 */
#ifndef BENCH_ABI_H
#define BENCH_ABI_H

#include <linux/types.h>

enum bench_direction {
	BENCH_REQUEST, /* client to VIP */
	BENCH_REPLY,   /* backend to client */
};

/* In host order, except MACs. The packets' order is the flows' number, or a permutation of it that looks random. */
struct bench_spec {
	__u32 ipv6;
	__u32 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u32 direction;
	__u32 tcp_flags;    /* as in the header's 14th byte */
	__u32 handshake;    /* each flow sends two packets, SYN and ACK, instead of one with tcp_flags */
	__u32 flow_mask;    /* flows - 1, a power of two less one */
	__u32 shuffle;	    /* 0: in order; else half the number of bits in flow_mask, at least 1 */
	__u32 backend_mask; /* backends - 1, likewise */
	__u32 backend_port;
	__u32 stride; /* packet n is of flow n * stride + first */
	__u32 first;  /* (n / 2 with handshake) */
	__u8 source_mac[6];
	__u8 destination_mac[6];
	__u32 ifindex; /* bench_source: where the frames go */
};

/* What the sink has seen. */
struct bench_sunk {
	__u64 frames;
	__be32 destination; /* of the last one */
	__be16 port;
	__u16 zero;
};

#define BENCH_VIP4 0xc633640aU	   /* 198.51.100.10 */
#define BENCH_CLIENT4 0x10000000U  /* 16.0.0.0 */
#define BENCH_BACKEND4 0x0a000001U /* 10.0.0.1 */
#define BENCH_VIP_PORT 80
#define BENCH_PREFIX6_VIP 0x20010db8U	  /* 2001:db8::198.51.100.10 */
#define BENCH_PREFIX6_BACKEND 0xfd000000U /* fd00::10.0.0.1 */

#define BENCH_FRAME4 60U
#define BENCH_FRAME6 74U

#define BENCH_TCP_SYN 0x02
#define BENCH_TCP_ACK 0x10

#endif
