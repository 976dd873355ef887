/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* listener.h: what is this packet for? A listener, a NAT backend's reply, or none of our business. */
#ifndef LVS_LISTENER_H
#define LVS_LISTENER_H

#include "parse.h"

static __always_inline void *find_by_destination(const struct packet *p, __be16 port, __u8 protocol, const int v6)
{
	if (v6) {
		struct lvs_key6 key = {.port = port, .protocol = protocol};

		__builtin_memcpy(key.addr, p->dst, sizeof(key.addr));
		return bpf_map_lookup_elem(&listeners6, &key);
	} else {
		struct lvs_key4 key = {.addr = p->dst[0], .port = port, .protocol = protocol};

		return bpf_map_lookup_elem(&listeners4, &key);
	}
}

static __always_inline struct lvs_listener *find_listener(const struct packet *p, const int v6)
{
	return find_by_destination(p, p->dport, p->protocol, v6);
}

static __always_inline int is_vip(const struct packet *p, const int v6)
{
	return find_by_destination(p, 0, 0, v6) != 0;
}

static __always_inline struct lvs_real *find_real(const struct packet *p, const int v6)
{
	if (v6) {
		struct lvs_key6 key = {.port = p->sport, .protocol = p->protocol};

		__builtin_memcpy(key.addr, p->src, sizeof(key.addr));
		return bpf_map_lookup_elem(&reals6, &key);
	} else {
		struct lvs_key4 key = {.addr = p->src[0], .port = p->sport, .protocol = p->protocol};

		return bpf_map_lookup_elem(&reals4, &key);
	}
}

#endif
