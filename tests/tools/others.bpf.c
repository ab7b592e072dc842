// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other people's tc programs, to live beside: ok ends the filters with TC_ACT_OK (which makes the
 * kernel copy tc_classid over tc_index); wipe writes where our tag stands; shot drops.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("ok")
int other_ok(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_OK;
}

SEC("wipe")
int other_wipe(struct __sk_buff *skb)
{
	skb->tc_index = 0;
	skb->tc_classid = 0;
	return TC_ACT_OK;
}

SEC("shot")
int other_shot(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "GPL";
