/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tcp_state.h: how a segment changes its flow's state. The transitions are those of IPVS (tcp_states in the kernel's
 * net/netfilter/ipvs/ip_vs_proto_tcp.c), so that what operators know of ActiveConn and InActConn stays true: one table
 * for segments from the client, one for those from the server, one for methods that never see the server's.
 */
#ifndef LVS_TCP_STATE_H
#define LVS_TCP_STATE_H

#include "parse.h"

enum tcp_direction {
	TCP_FROM_CLIENT = 0,
	TCP_FROM_SERVER = 1,
	TCP_CLIENT_ONLY = 2,
};

/* Sixteen 4-bit next states, indexed by the present one. FREE, CLAIMED and UDP states never get here. */
#define NEXT(sr, ss, es, fw, tw, cl, cw, la)                                                                           \
	((__u64)LVS_STATE_##sr << (4 * LVS_STATE_SYN_RECV) | (__u64)LVS_STATE_##ss << (4 * LVS_STATE_SYN_SENT) |       \
	 (__u64)LVS_STATE_##es << (4 * LVS_STATE_ESTABLISHED) | (__u64)LVS_STATE_##fw << (4 * LVS_STATE_FIN_WAIT) |    \
	 (__u64)LVS_STATE_##tw << (4 * LVS_STATE_TIME_WAIT) | (__u64)LVS_STATE_##cl << (4 * LVS_STATE_CLOSE) |         \
	 (__u64)LVS_STATE_##cw << (4 * LVS_STATE_CLOSE_WAIT) | (__u64)LVS_STATE_##la << (4 * LVS_STATE_LAST_ACK))

/* [direction][segment]; columns: SYN_RECV SYN_SENT ESTABLISHED FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK */
static const __u64 tcp_next[4][4] = {
    /* the fourth row only makes the index a mask */
    [TCP_FROM_CLIENT] = {
	/* SYN */ NEXT(SYN_RECV, ESTABLISHED, ESTABLISHED, SYN_RECV, SYN_RECV, SYN_RECV, SYN_RECV, SYN_RECV),
	/* FIN */ NEXT(TIME_WAIT, SYN_SENT, CLOSE_WAIT, TIME_WAIT, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK),
	/* ACK */ NEXT(ESTABLISHED, SYN_SENT, ESTABLISHED, FIN_WAIT, TIME_WAIT, CLOSE, CLOSE_WAIT, CLOSE),
	/* RST */ NEXT(SYN_RECV, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, LAST_ACK),
    },
    [TCP_FROM_SERVER] = {
	/* SYN */ NEXT(SYN_RECV, SYN_SENT, ESTABLISHED, SYN_SENT, SYN_SENT, SYN_SENT, SYN_SENT, SYN_SENT),
	/* FIN */ NEXT(TIME_WAIT, SYN_SENT, FIN_WAIT, FIN_WAIT, TIME_WAIT, CLOSE, TIME_WAIT, LAST_ACK),
	/* ACK */ NEXT(ESTABLISHED, SYN_SENT, ESTABLISHED, FIN_WAIT, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK),
	/* RST */ NEXT(CLOSE, SYN_SENT, CLOSE, CLOSE, TIME_WAIT, CLOSE, CLOSE, CLOSE),
    },
    [TCP_CLIENT_ONLY] = {
	/* SYN */ NEXT(SYN_RECV, ESTABLISHED, ESTABLISHED, SYN_RECV, SYN_RECV, SYN_RECV, SYN_RECV, SYN_RECV),
	/* FIN */ NEXT(TIME_WAIT, SYN_SENT, FIN_WAIT, FIN_WAIT, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK),
	/* ACK */ NEXT(ESTABLISHED, SYN_SENT, ESTABLISHED, FIN_WAIT, TIME_WAIT, CLOSE, CLOSE_WAIT, CLOSE),
	/* RST */ NEXT(SYN_RECV, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, LAST_ACK),
    },
};

/* RST outranks SYN outranks FIN outranks ACK; a segment with none of them closes, as in IPVS. */
static __always_inline __u32 tcp_next_state(__u32 state, __u8 flags, enum tcp_direction direction)
{
	__u32 segment;

	if (flags & TCP_RST)
		segment = 3;
	else if (flags & TCP_SYN)
		segment = 0;
	else if (flags & TCP_FIN)
		segment = 1;
	else if (flags & TCP_ACK)
		segment = 2;
	else
		return LVS_STATE_CLOSE;
	if (state == LVS_STATE_ESTABLISHED_NEW)
		state = LVS_STATE_ESTABLISHED;
	return (__u32)(tcp_next[direction & 3][segment] >> (4 * state)) & 0xf;
}

/*
 * ESTABLISHED_NEW becomes ESTABLISHED with proof: a server that goes on has seen the right acknowledgement, and a
 * client that comes in a later tick is more than one forged segment.
 */
static __always_inline __u32 tcp_confirm(__u32 from, __u32 to, enum tcp_direction direction, int later)
{
	if (to != LVS_STATE_ESTABLISHED || from == LVS_STATE_ESTABLISHED)
		return to;
	if (from == LVS_STATE_ESTABLISHED_NEW && (direction == TCP_FROM_SERVER || later))
		return LVS_STATE_ESTABLISHED;
	return LVS_STATE_ESTABLISHED_NEW;
}

/*
 * What the first segment that creates a flow makes of it. An acknowledgement is of a flow that lives already somewhere;
 * a segment without any flag (a scan) closes, as in IPVS.
 */
static __always_inline __u32 tcp_first_state(__u8 flags)
{
	if (flags & TCP_SYN)
		return LVS_STATE_SYN_RECV;
	return (flags & (TCP_FIN | TCP_ACK)) == TCP_ACK ? LVS_STATE_ESTABLISHED_NEW : LVS_STATE_CLOSE;
}

/* IPVS conn_reuse_mode: a SYN on such a flow is a new connection from a reused port and is scheduled afresh. */
static __always_inline int tcp_reusable(__u32 state, enum tcp_direction direction)
{
	return state == LVS_STATE_TIME_WAIT || state == LVS_STATE_CLOSE ||
	       (state == LVS_STATE_FIN_WAIT && direction == TCP_CLIENT_ONLY);
}

#endif
