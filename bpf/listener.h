/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* listener.h: what is this packet for? A listener, a NAT backend's reply, or none of our business. */
#ifndef LVS_LISTENER_H
#define LVS_LISTENER_H

#include "parse.h"

static __always_inline void *find_listener_at(const __be32 *addr, __be16 port, __u8 protocol, const int v6)
{
	if (v6) {
		struct lvs_key6 key = {.port = port, .protocol = protocol};

		__builtin_memcpy(key.addr, addr, sizeof(key.addr));
		return bpf_map_lookup_elem(&listeners6, &key);
	} else {
		struct lvs_key4 key = {.addr = addr[0], .port = port, .protocol = protocol};

		return bpf_map_lookup_elem(&listeners4, &key);
	}
}

static __always_inline struct lvs_listener *find_listener(const struct packet *p, const int v6)
{
	return find_listener_at(p->dst, p->dport, p->protocol, v6);
}

static __always_inline int is_vip(const __be32 *addr, const int v6)
{
	return find_listener_at(addr, 0, 0, v6) != 0;
}

static __always_inline struct lvs_real *find_real_at(const __be32 *addr, __be16 port, __u8 protocol, const int v6)
{
	if (v6) {
		struct lvs_key6 key = {.port = port, .protocol = protocol};

		__builtin_memcpy(key.addr, addr, sizeof(key.addr));
		return bpf_map_lookup_elem(&reals6, &key);
	} else {
		struct lvs_key4 key = {.addr = addr[0], .port = port, .protocol = protocol};

		return bpf_map_lookup_elem(&reals4, &key);
	}
}

static __always_inline struct lvs_real *find_real(const struct packet *p, const int v6)
{
	return find_real_at(p->src, p->sport, p->protocol, v6);
}

#endif
