/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A veth accepts frames that XDP sends to it only while its peer runs an XDP program too; any will do. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int pass(struct xdp_md* ctx) {
  return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
