/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * abi.h: every key and value that the XDP program shares with lvsd. Only bpf/ and userspace/dataplane/ include it.
 *
 * The conversation, in packet order:
 *
 *   listeners4/6   (address, port, protocol) -> struct lvs_listener     lvsd writes, XDP reads
 *                  (address, 0, 0)           -> "this address is a VIP" (for what has no ports to look up)
 *   reals4/6       (address, port, protocol) of a NAT backend -> struct lvs_real: finds a reply's listener
 *   buckets4/6     the flow table: one 64-byte bucket is one cache line  XDP inserts and changes, lvsd expires
 *   overflow4/6    where a flow goes when both of its buckets are full
 *   services       id -> struct lvs_service                             lvsd writes, XDP reads
 *   tables         service id -> array of u32: [0] = length n, [1..n] = backend ids. What a scheduler picks from
 *   cursors        service id -> u32 per CPU, the round-robin position  XDP only
 *   backends       id -> struct lvs_backend, 64 bytes                   lvsd writes, XDP reads
 *   loads          id -> struct lvs_load, active/inactive flows         XDP adds, lvsd subtracts what it expires
 *   counters       backend id -> struct lvs_counters per CPU            XDP writes, lvsd sums
 *   reasons        enum lvs_reason -> u64 per CPU                       XDP writes, lvsd sums
 *   names          service id -> char[64]; retired: service id -> counters of removed backends    lvsd only
 *   ports          devmap, port number -> ifindex                       lvsd writes, XDP redirects through it
 *   via            mark of a check's packets -> the VIP it goes to      lvsd writes, the egress program reads
 *   check_origins  such a check's flow -> the backend it was sent to    the egress program writes, XDP reads
 *   fence          until when this router answers for the addresses below    lvsd writes, XDP reads
 *   fenced         the addresses of its role in a pair                  lvsd writes, XDP reads
 *   vips           listener id -> struct lvs_vip                        lvsd writes, XDP reads
 *   locks          of insertion, chosen by a flow's hash                XDP only
 *   hops           slot of the flow table -> LVS_HOP_* of its client    XDP only
 *   direct         who talks to a NAT backend past the VIP              XDP only
 *   pieces         fragments whose first one was dropped                XDP only
 *   cold           LVS_COLD_* -> a program for rare packets             filled when the programs are loaded
 *   control        (global data) seeds, masks, timeouts, ports, gateways
 *
 * Backend ids are unique to one (service, address, port) and are not used again before a full sweep of the flow table
 * has passed; id 0 means none, in every map. All counters only grow. Addresses, ports and MACs are in network byte
 * order; everything else is in host order. A word that both sides write is only ever changed by an atomic operation.
 */
#ifndef LVS_ABI_H
#define LVS_ABI_H

#include <linux/types.h>

/* Part of the pin path: raised whenever a layout below changes its meaning. */
#define LVS_LAYOUT_VERSION 1

#define LVS_MAX_PORTS 64	/* interfaces with our program; port 0 means none */
#define LVS_MAX_GATEWAYS 256	/* client-side next hops that NAT replies use; 0 means none */
#define LVS_GATEWAY_OWN 255	/* the flow's next hop has no number: it stands in `hops` */
#define LVS_COLD_STRAY 0
#define LVS_COLD_MAX 8 /* room for more of them without another layout */
#define LVS_MAX_LISTENERS 65536 /* what the listener field of a flow's state word can tell apart */
#define LVS_MAX_BACKENDS 1048576
#define LVS_MAX_SERVICES 65536
#define LVS_LOCKS 4096
#define LVS_MAX_VIA 1024	/* VIPs that checks go to */
#define LVS_MAX_FENCED 4096	/* addresses of a router's role */
#define LVS_MAX_CANDIDATES 4096 /* backends that lc and wlc compare for one new flow */

/* ---- listeners and reals ------------------------------------------------------------------------------------- */

struct lvs_key4 {
	__be32 addr;
	__be16 port;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP; 0 with port 0: the address itself */
	__u8 zero;
};

struct lvs_key6 {
	__be32 addr[4];
	__be16 port;
	__u8 protocol;
	__u8 zero;
};

/* listener: `id` 0 (and service 0) only in the (address, 0, 0) entries. */
struct lvs_listener {
	__u32 id;
	__u32 service;
	__u32 sum; /* 32-bit ones' complement sum of the VIP and the port, see lvs_backend.sum */
	__u8 tag;  /* part of the hash of its flows, below LVS_TAGS; never changes while the listener exists */
	__u8 flags; /* LVS_LISTENER_* */
	__u16 zero;
};

/*
 * Flows of one client port to many listeners would all meet in two buckets, since a reply knows its client and not the
 * listener. The tag tells listeners apart as far as a reply can know them: lvs_real.tags says which ones to try.
 */
#define LVS_TAGS 16

#define LVS_LISTENER_HOST 1 /* this host is one of the servers: while another router is active, packets are its own */

#define LVS_REAL_SHARED 1 /* several (service, backend) pairs have this address and port: the flow tells which */

#define LVS_REAL_CHECK 2 /* a VIP from which backends answer health checks; `backend` is one that no flow has */

#define LVS_REAL_MANY 4 /* its service has several listeners of the protocol */

#define LVS_REAL_TAG(flags) ((flags) >> 8 & (LVS_TAGS - 1)) /* the tag of `listener` */

/* What a packet coming from a NAT backend may be a reply to. */
struct lvs_real {
	__u32 backend;	/* the only one, unless SHARED */
	__u16 listener; /* the one described by vip, vip_port and sum; other listeners of the service are in `vips` */
	__u16 tags;	/* bit i: some of its listeners have tag i; 0: all have tag 0 */
	__be32 vip[4];	/* IPv4: vip[0] */
	__be16 vip_port;
	__u16 flags; /* LVS_REAL_* */
	__u32 sum;   /* as lvs_listener.sum */
};

/* listener id -> what a reply's source becomes */
struct lvs_vip {
	__be32 addr[4];
	__be16 port;
	__u8 protocol;
	__u8 family; /* AF_INET or AF_INET6; 0: unused id */
	__u32 sum;
	__u32 service;
	__u8 tag; /* as lvs_listener.tag */
	__u8 zero[3];
};

/* ---- checks that go to a VIP on a backend --------------------------------------------------------------------- */

struct lvs_via {
	__be32 addr[4];
	__u8 family; /* AF_INET or AF_INET6 */
	__u8 zero[3];
};

/* As the backend's answer has it. */
struct lvs_check_flow {
	__be32 vip[4];
	__be32 local[4]; /* the check's own address and port */
	__be16 vip_port;
	__be16 local_port;
	__u8 protocol;
	__u8 zero[3];
};

struct lvs_check_origin {
	__be32 addr[4]; /* of the backend: whom the check's socket is connected to */
};

/* ---- packets that only look like a service's ------------------------------------------------------------------- */

/* A conversation with a NAT backend's own address and port: it belongs to no service. */
struct lvs_direct {
	__be32 server[4]; /* IPv4: server[0] */
	__be32 other[4];
	__be16 server_port;
	__be16 other_port;
	__u8 protocol;
	__u8 zero[3];
};

/* A packet that came in fragments. */
struct lvs_piece {
	__be32 src[4]; /* IPv4: src[0] */
	__be32 dst[4];
	__be32 id;
	__u8 protocol;
	__u8 zero[3];
};

/* ---- the fence ------------------------------------------------------------------------------------------------ */

/*
 * A router whose lvsd died, hung or starved goes on forwarding, but must not answer for addresses that another router
 * has taken over by then. While active lvsd pushes `until` ahead, and once it has passed XDP drops who asks for them.
 */
struct lvs_fence {
	__u64 until; /* nanoseconds of CLOCK_MONOTONIC; 0: nobody has ever been active */
	__u64 role;  /* which role that was; lvsd only */
};

struct lvs_address {
	__be32 addr[4]; /* IPv4: as ::ffff:a.b.c.d */
};

/* ---- services and backends ----------------------------------------------------------------------------------- */

/* How XDP picks from a service's table. Several schedulers share one rule and differ in the table that lvsd builds. */
enum lvs_pick {
	LVS_PICK_NONE = 0,
	LVS_PICK_CURSOR = 1,	  /* rr, wrr: next entry, one cursor per CPU */
	LVS_PICK_SOURCE_HASH = 2, /* sh, mh: entry = H(client address [, client port]); entry 0: no server */
	LVS_PICK_DEST_HASH = 3,	  /* dh: entry = H(destination address) */
	LVS_PICK_LC = 4,	  /* least active * 256 + inactive */
	LVS_PICK_WLC = 5,	  /* the same over the weight */
};

#define LVS_SERVICE_HASH_PORT 1	  /* the source hash includes the client port (sh-port, mh-port) */
#define LVS_SERVICE_SLOPPY_TCP 2  /* any TCP segment without RST may create a flow */
#define LVS_SERVICE_DROP_NOFLOW 4 /* a segment without a flow is dropped; otherwise the host answers it (RST) */
#define LVS_SERVICE_MOVING                                                                                             \
	8 /* of services[0] only, which is no service: flows are still on their way into these maps */

struct lvs_service {
	__u32 flags; /* LVS_SERVICE_* */
	__u16 pick;  /* enum lvs_pick; LVS_PICK_NONE: id unused */
	__u16 zero;
};

enum lvs_method {
	LVS_METHOD_NONE = 0,
	LVS_METHOD_NAT = 1,
	LVS_METHOD_DR = 2,
	LVS_METHOD_TUNNEL = 3,
	LVS_METHOD_LOCAL = 4, /* the backend is this host: the packet passes up unchanged */
};

#define LVS_BACKEND_VALID 1 /* cleared first when a backend is removed: its flows end there and then */
/*
 * DOWN: it failed, and no table names it. UDP flows and new connections leave it; what becomes of established TCP flows
 * say the two flags below. Without them they go on to it.
 */
#define LVS_BACKEND_DOWN 2
#define LVS_BACKEND_RESET 4 /* once DOWN or not VALID, TCP flows end with a reset to the client */
#define LVS_BACKEND_DROP 8  /* while DOWN, segments of its TCP flows are dropped */

/*
 * A next hop is one 64-bit word, so that it changes in one store: the destination MAC in the low 48 bits as it lies in
 * memory, the port number (index into lvs_control.ports) in 6 bits above. 0: not resolved.
 */
#define LVS_HOP_PORT(hop) ((__u32)((hop) >> 48) & (LVS_MAX_PORTS - 1))
#define LVS_HOP_MAC_MASK 0x0000ffffffffffffULL
#define LVS_HOP_MASK 0x003fffffffffffffULL /* MAC and port; the bits above serve the tables that hold hops */
/* Of control.gateway: a flow has been given this number since lvsd last looked. */
#define LVS_HOP_USED (1ULL << 63)

struct lvs_backend {
	__u64 hop;	/* LVS_HOP_*; written in one store */
	__be32 addr[4]; /* IPv4: addr[0] */
	__be16 port;
	__u8 method; /* enum lvs_method */
	__u8 flags;  /* LVS_BACKEND_* */
	__u32 sum;   /* ones' complement sum of the 16-bit words of address and port, in memory order */
	__u32 service;
	__u32 zero[7];
};

/* One 16-byte read tells the lc and wlc schedulers all about a candidate. */
struct lvs_load {
	__u32 active;	/* TCP flows in ESTABLISHED or ESTABLISHED_NEW */
	__u32 inactive; /* all other flows: opening and closing TCP, UDP (as in IPVS) */
	__u32 weight;	/* lvsd writes; 0: no new flow */
	__u32 drained;	/* lvsd only: since when weight is 0, in seconds of CLOCK_MONOTONIC + 1; 0: it is not */
};

struct lvs_counters {
	__u64 flows; /* flows created: what ipvsadm calls Conns */
	__u64 in_packets;
	__u64 in_bytes; /* IP length: headers and payload, without Ethernet */
	__u64 out_packets;
	__u64 out_bytes;
};

/* A service's name, NUL-terminated: with the maps above, all that a restarted lvsd needs to know its own ids again. */
struct lvs_name {
	char text[64];
};

/* ---- the flow table ------------------------------------------------------------------------------------------ */

/*
 * Names are those of IPVS. FREE: nobody's. CLAIMED: one CPU is writing the key; nobody else may touch or read the slot.
 */
enum lvs_state {
	LVS_STATE_FREE = 0,
	LVS_STATE_CLAIMED = 1,
	LVS_STATE_SYN_RECV = 2,
	LVS_STATE_SYN_SENT = 3,
	LVS_STATE_ESTABLISHED = 4,
	LVS_STATE_FIN_WAIT = 5,
	LVS_STATE_TIME_WAIT = 6,
	LVS_STATE_CLOSE = 7,
	LVS_STATE_CLOSE_WAIT = 8,
	LVS_STATE_LAST_ACK = 9,
	LVS_STATE_UDP_NEW = 10, /* one packet seen: the first to be evicted, like SYN_RECV */
	LVS_STATE_UDP = 11,	/* the client came again in a later tick */
	/*
	 * ESTABLISHED by a single acknowledgement, which anybody can forge: the server has not answered it, nor has the
	 * client come again in a later tick. Makes room before anybody is refused.
	 */
	LVS_STATE_ESTABLISHED_NEW = 12,
	LVS_STATE_UDP_SHORT = 14, /* one question, and its answer: a timeout of its own, and evicted like UDP_NEW */
	LVS_STATE_UDP_BURST = 15, /* several packets, all of the client's in one tick; evicted like UDP_NEW */
	LVS_STATE_MAX = 16,
};
#define LVS_STATE_IS_UDP(state) (((state) & 10) == 10)
#define LVS_STATE_IS_ACTIVE(state) (((state) & 7) == LVS_STATE_ESTABLISHED) /* with ESTABLISHED_NEW */

/*
 * A slot's state word. Time is in ticks of 2^30 ns (1.07 s) of CLOCK_MONOTONIC, modulo 2^16; a timeout is at most
 * LVS_MAX_TIMEOUT ticks so that ages never look negative. The word 0 is a free slot.
 */
#define LVS_TICK_SHIFT 30
#define LVS_MAX_TIMEOUT 32767
#define LVS_WORD_TIME(w) ((__u32)((w) & 0xffff))
#define LVS_WORD_STATE(w) ((__u32)((w) >> 16) & 0xf)
#define LVS_WORD_GATEWAY(w) ((__u32)((w) >> 20) & 0xff)
#define LVS_WORD_LISTENER(w) ((__u32)((w) >> 28) & 0xffff)
#define LVS_WORD_BACKEND(w) ((__u32)((w) >> 44) & 0xfffff)
#define LVS_WORD(backend, listener, gateway, state, time)                                                              \
	(((__u64)(backend) << 44) | ((__u64)(listener) << 28) | ((__u64)(gateway) << 20) | ((__u64)(state) << 16) |    \
	 ((__u64)(time) & 0xffff))

struct lvs_slot4 {
	__u64 key; /* LVS_SLOT4_KEY(client address, client port, destination port), all as they lie in the packet */
	__u64 word;
};
#define LVS_SLOT4_KEY(caddr, cport, dport) ((__u64)(caddr) | ((__u64)(cport) << 32) | ((__u64)(dport) << 48))

struct lvs_slot6 {
	__u64 addr[2]; /* client address */
	__u64 ports;   /* client port | destination port << 16, as they lie in the packet */
	__u64 word;
};

/* ---- flows of another router ---------------------------------------------------------------------------------- */

/* What became of a flow that the import program was given. */
enum lvs_import_result {
	LVS_IMPORT_NONE = 0, /* not looked at */
	LVS_IMPORT_CREATED = 1,
	LVS_IMPORT_UPDATED = 2,
	LVS_IMPORT_KEPT = 3,	 /* known here, and left as it is */
	LVS_IMPORT_OVER = 4,	 /* it has ended, and was not known here */
	LVS_IMPORT_CONFLICT = 5, /* known here with another backend, and that stays */
	LVS_IMPORT_NO_ROOM = 6,
	LVS_IMPORT_RESULT_MAX = 7,
};

#define LVS_IMPORT_IPV6 1
#define LVS_IMPORT_REPLACE 2 /* the other router knows better: it gets the packets */
#define LVS_IMPORT_EVERY 4   /* in whatever state: it comes from this router's own table */

/* One flow; what the import program gets as its packet is an array of them, and has the results written into it. */
struct lvs_import {
	__be32 client[4]; /* IPv4: client[0] */
	__be16 client_port;
	__be16 port; /* of the destination */
	__u8 protocol;
	__u8 flags; /* LVS_IMPORT_* */
	__u8 state; /* enum lvs_state */
	union {
		__u8 tag;    /* in: the listener's */
		__u8 result; /* out: enum lvs_import_result */
	};
	__u32 backend;
	__u16 listener;
	__u16 age; /* ticks since its last packet */
	__u64 hop; /* of its client; 0: not known */
};

/* In one call: what fits in the page that the kernel allots to a test run, beside its headroom. */
#define LVS_IMPORT_MAX 80

#define LVS_SLOTS4 4
#define LVS_SLOTS6 2
#define LVS_OVERFLOW_SLOTS4 16
#define LVS_OVERFLOW_SLOTS6 16

struct lvs_bucket4 {
	struct lvs_slot4 slot[LVS_SLOTS4];
};
struct lvs_bucket6 {
	struct lvs_slot6 slot[LVS_SLOTS6];
};
struct lvs_overflow4 {
	struct lvs_slot4 slot[LVS_OVERFLOW_SLOTS4];
};
struct lvs_overflow6 {
	struct lvs_slot6 slot[LVS_OVERFLOW_SLOTS6];
};

/* ---- global data --------------------------------------------------------------------------------------------- */

/*
 * An interface that carries our program: its MAC, which frames must have to be ours and get when they leave through it,
 * and the limits of what does. MAC and MTU change in one 64-bit store.
 */
struct lvs_port {
	__u8 mac[6];
	__u16 mtu; /* bytes of IP packet */
	__u32 ifindex;
	__u32 zero;
};

struct lvs_control {
	__u8 object_hash[32]; /* SHA-256 of the BPF object that was loaded last; lvsd only */
	__u64 hash_seed[2];   /* secret, of the flow table; kept as long as the table */
	__u64 schedule_seed;  /* of sh, dh, mh: the same on every router of a site, so that they choose alike */
	__u32 bucket_mask4;   /* number of buckets - 1; a power of two less one */
	__u32 bucket_mask6;
	__u32 overflow_mask4;
	__u32 overflow_mask6;
	__u32 overflow_used4; /* flows living in overflow4; 0 spares the lookup */
	__u32 overflow_used6;
	__u16 timeout[LVS_STATE_MAX]; /* ticks, by enum lvs_state */
	struct lvs_port port[LVS_MAX_PORTS];
	__u8 port_of_ifindex[256];	 /* ifindex & 255 -> port number; check port[].ifindex */
	__u64 gateway[LVS_MAX_GATEWAYS]; /* next hops (LVS_HOP_*) towards clients; XDP learns, lvsd frees */
};

/* ---- verdicts that are not plain forwarding ------------------------------------------------------------------ */

/*
 * X(name, verdict, text): name in metrics and `lvsctl stats`; verdict is what happens to the packet. Packets that are
 * neither for a VIP nor a known flow's reply pass to the host uncounted: they are not ours. Append only.
 */
#define LVS_REASONS(X)                                                                                                 \
	X(malformed, DROP, "a header is truncated or contradicts itself")                                              \
	X(fragment, DROP, "an IP fragment for a virtual service address")                                              \
	X(ip_options, DROP, "IPv4 options or IPv6 extension headers, for a virtual service address")                   \
	X(no_backend, DROP, "the service has no backend that may take a new flow")                                     \
	X(no_flow_passed, PASS, "a TCP segment of no known flow, left to the host (which answers RST)")                \
	X(no_flow_dropped, DROP, "a TCP segment of no known flow, dropped by the service's policy")                    \
	X(backend_gone, PASS, "a packet of a flow whose backend was removed; the flow ends")                           \
	X(no_next_hop, DROP, "the backend's or client's MAC address is not resolved")                                  \
	X(ttl_expired, DROP, "TTL or hop limit was 1 or less")                                                         \
	X(too_big, DROP, "the packet exceeds the MTU of the outgoing interface")                                       \
	X(flow_table_full, DROP, "no slot for a new flow: all candidates hold connections in use")                      \
	X(flow_evicted, COUNT, "a half-open, closed, closing or unconfirmed flow made room for a new one")                          \
	X(flow_overflow, COUNT, "a new flow went to the overflow table")                                               \
	X(hop_by_fib, COUNT, "a reply's next hop came from the FIB because no gateway was learned")                    \
	X(flow_reset, RESET, "a segment of a flow whose backend failed or was removed, answered with a TCP reset")     \
	X(flow_muted, DROP, "a segment of a flow whose backend failed, dropped by the service's policy")               \
	X(fenced, DROP, "an ARP request or neighbour solicitation for an address that this router may not answer for") \
	X(other_host, PASS, "a packet for a service or of a flow, in a frame for another MAC address, or for many")    \
	X(flow_idle_evicted, COUNT, "an established flow, the longest idle of its places, made room for a new one")    \
	X(flow_untracked, COUNT, "no slot for a flow, but the scheduler's hash finds its server without one")          \
	X(reply_reset, RESET, "a segment of a nat server that belongs to no flow, answered with a TCP reset")          \
	X(reply_dropped, DROP, "a packet of a nat server's service port that belongs to no flow")                      \
	X(reply_adopted, COUNT, "a datagram of a nat server without a flow: it leaves as the VIP's, and begins one")   \
	X(martian, DROP, "a source address that no client can have: loopback, multicast, link-local, a VIP and such")  \
	X(server_loop, DROP, "a datagram from a server of the service itself, which its answer would keep alive")      \
	X(vlan_mismatch, DROP, "a VLAN tag of one interface on a packet that leaves through another")                  \
	X(host_own, PASS, "another router is active, and this host is one of the service's servers")

enum lvs_reason {
#define LVS_REASON_ENUM(name, verdict, text) LVS_REASON_##name,
	LVS_REASONS(LVS_REASON_ENUM)
#undef LVS_REASON_ENUM
	    LVS_REASON_MAX
};

#ifdef __cplusplus
#define LVS_ASSERT_SIZE(type, size) static_assert(sizeof(type) == (size), #type " must be " #size " bytes")
#else
#define LVS_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " must be " #size " bytes")
#endif
LVS_ASSERT_SIZE(struct lvs_key4, 8);
LVS_ASSERT_SIZE(struct lvs_key6, 20);
LVS_ASSERT_SIZE(struct lvs_listener, 16);
LVS_ASSERT_SIZE(struct lvs_real, 32);
LVS_ASSERT_SIZE(struct lvs_vip, 32);
LVS_ASSERT_SIZE(struct lvs_via, 20);
LVS_ASSERT_SIZE(struct lvs_check_flow, 40);
LVS_ASSERT_SIZE(struct lvs_check_origin, 16);
LVS_ASSERT_SIZE(struct lvs_fence, 16);
LVS_ASSERT_SIZE(struct lvs_address, 16);
LVS_ASSERT_SIZE(struct lvs_service, 8);
LVS_ASSERT_SIZE(struct lvs_backend, 64);
LVS_ASSERT_SIZE(struct lvs_load, 16);
LVS_ASSERT_SIZE(struct lvs_counters, 40);
LVS_ASSERT_SIZE(struct lvs_name, 64);
LVS_ASSERT_SIZE(struct lvs_import, 40);
LVS_ASSERT_SIZE(struct lvs_direct, 40);
LVS_ASSERT_SIZE(struct lvs_piece, 40);
LVS_ASSERT_SIZE(struct lvs_slot4, 16);
LVS_ASSERT_SIZE(struct lvs_slot6, 32);
LVS_ASSERT_SIZE(struct lvs_bucket4, 64);
LVS_ASSERT_SIZE(struct lvs_bucket6, 64);
LVS_ASSERT_SIZE(struct lvs_overflow4, 256);
LVS_ASSERT_SIZE(struct lvs_overflow6, 512);
LVS_ASSERT_SIZE(struct lvs_port, 16);

#endif
