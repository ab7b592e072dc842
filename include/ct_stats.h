/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every counter, once. The lists give the enum, the member, the text of `stats` and its JSON keys.
 */
#ifndef CT_STATS_H
#define CT_STATS_H

#include "ct_types.h"

/*
 * Why a packet has no flow. One list for both classes, because one parser decides both.
 *	X(id, CLASS, key, "help")
 */
#define CT_REASONS(X)                                                                              \
	X(ETH_TRUNCATED, INVALID, eth_truncated, "the frame ends inside the Ethernet header")      \
	X(VLAN_TRUNCATED, INVALID, vlan_truncated, "the frame ends inside a VLAN tag")             \
	X(IP4_TRUNCATED, INVALID, ip4_truncated, "the frame ends inside the IPv4 header")          \
	X(IP4_VERSION, INVALID, ip4_version, "EtherType IPv4, version field not 4")                \
	X(IP4_IHL, INVALID, ip4_ihl, "IPv4 header length below 5 words")                           \
	X(IP4_CHECKSUM, INVALID, ip4_checksum, "a wrong IPv4 header checksum")                     \
	X(IP4_LENGTH, INVALID, ip4_length, "IPv4 total length below the header's")                 \
	X(IP4_BEYOND_FRAME, INVALID, ip4_beyond_frame, "IPv4 total length beyond the frame")       \
	X(IP6_TRUNCATED, INVALID, ip6_truncated, "the frame ends inside the IPv6 header")          \
	X(IP6_VERSION, INVALID, ip6_version, "EtherType IPv6, version field not 6")                \
	X(IP6_BEYOND_FRAME, INVALID, ip6_beyond_frame, "IPv6 payload length beyond the frame")     \
	X(IP6_EXT_TRUNCATED, INVALID, ip6_ext_truncated, "an extension header passes the end")     \
	X(IP6_EXT_TOO_MANY, INVALID, ip6_ext_too_many, "more extension headers than we follow")    \
	X(IP6_NO_NEXT, INVALID, ip6_no_next, "IPv6 next header 59: nothing follows")               \
	X(TCP_TRUNCATED, INVALID, tcp_truncated, "the packet ends inside the TCP header")          \
	X(TCP_DOFF, INVALID, tcp_doff, "TCP data offset below 5 words")                            \
	X(TCP_OPTIONS, INVALID, tcp_options, "TCP data offset beyond the packet")                  \
	X(TCP_CHECKSUM, INVALID, tcp_checksum, "a wrong TCP checksum")                             \
	X(TCP_FLAGS, INVALID, tcp_flags, "a combination of TCP flags that means nothing")          \
	X(TCP_STATE, INVALID, tcp_state, "a TCP packet that the state table refuses")              \
	X(TCP_SEQ_OVER, INVALID, tcp_seq_over, "beyond the window that the receiver offered")      \
	X(TCP_ACK_OVER, INVALID, tcp_ack_over, "acknowledges data that has not been seen")         \
	X(TCP_RST, INVALID, tcp_rst, "a reset from below what its receiver has acknowledged")      \
	X(TCP_NO_SYN, INVALID, tcp_no_syn, "a connection that does not begin with a SYN")          \
	X(UDP_TRUNCATED, INVALID, udp_truncated, "the packet ends inside the UDP header")          \
	X(UDP_LENGTH, INVALID, udp_length, "UDP length below 8 or beyond the packet")              \
	X(UDPLITE_TRUNCATED, INVALID, udplite_truncated, "it ends inside the UDP-Lite header")     \
	X(UDPLITE_COVERAGE, INVALID, udplite_coverage, "coverage below 8 or beyond the packet")    \
	X(UDPLITE_UNCHECKED, INVALID, udplite_unchecked, "UDP-Lite without its checksum")          \
	X(SCTP_TRUNCATED, INVALID, sctp_truncated, "it ends inside SCTP's header or an INIT")      \
	X(SCTP_CHUNKS, INVALID, sctp_chunks, "no chunk, an empty one, or not fit to be together") \
	X(SCTP_TOO_MANY, INVALID, sctp_too_many, "more control chunks than we follow")             \
	X(SCTP_FIRST, INVALID, sctp_first, "an SCTP packet that opens no association")             \
	X(SCTP_TAG, INVALID, sctp_tag, "a verification tag that is not the association's")         \
	X(SCTP_STATE, INVALID, sctp_state, "an SCTP chunk that the state table refuses")           \
	X(GRE_PROTOCOL, INVALID, gre_protocol, "GRE version 1 that carries no PPP")                \
	X(UDP_CHECKSUM, INVALID, udp_checksum, "a wrong UDP checksum")                             \
	X(UDPLITE_CHECKSUM, INVALID, udplite_checksum, "a wrong UDP-Lite checksum")                \
	X(SCTP_CHECKSUM, INVALID, sctp_checksum, "a wrong SCTP checksum")                          \
	X(ICMP_TRUNCATED, INVALID, icmp_truncated, "the packet ends inside the ICMP header")       \
	X(ICMP_CHECKSUM, INVALID, icmp_checksum, "a wrong ICMP or ICMPv6 checksum")                \
	X(ICMP_TYPE, INVALID, icmp_type, "an ICMP type that neither asks, answers nor reports")    \
	X(ICMP_UNASKED, INVALID, icmp_unasked, "an ICMP answer to no question")                    \
	X(ICMP_INNER, INVALID, icmp_inner, "an ICMP error whose embedded packet can't be read")    \
	X(ICMP_UNRELATED, INVALID, icmp_unrelated, "an ICMP error about no tracked flow")          \
	X(ICMP_ADDRESS, INVALID, icmp_address, "an ICMP error not sent to who caused it")          \
	X(ICMP_REDIRECT, INVALID, icmp_redirect, "a redirect no router of the link has sent")      \
	X(FRAG_LENGTH, INVALID, frag_length, "a fragment of no, odd or impossible length")         \
	X(FRAG_OVERLAP, INVALID, frag_overlap, "a fragment of what another has brought already")   \
	X(FRAG_NESTED, INVALID, frag_nested, "a fragment of a fragment")                           \
	X(FRAG_EARLY, UNTRACKED, frag_early, "a later fragment of which no first one is known")    \
	X(VLAN_TAGS, UNTRACKED, vlan_tags, "more than two VLAN tags")                              \
	X(ND, UNTRACKED, nd, "ICMPv6 neighbour discovery and multicast listener reports")          \
	X(UNREADABLE, UNTRACKED, unreadable, "headers beyond what a program can reach")

enum ct_reason {
	CT_R_NONE,
#define X(id, class, key, help) CT_R_##id,
	CT_REASONS(X)
#undef X
	CT_R_MAX,
};

/*
 * What happened to entries.
 *	X(id, key, "help")
 */
#define CT_LIFECYCLE(X)                                                                            \
	X(CREATED, created, "entries prepared for a new flow")                                     \
	X(CONFIRMED, confirmed, "entries put into the table")                                      \
	X(DESTROYED, destroyed, "entries taken out of it")                                         \
	X(EVICTED, evicted, "of these, to make room")                                              \
	X(INSERT_FAILED, insert_failed, "new flows that the map refused")                          \
	X(CLASH_RESOLVED, clash_resolved, "first packets that met their flow at confirm")          \
	X(UNTRACKED_FULL, untracked_full, "new flows let through because the table was full")      \
	X(UNTRACKED_SOURCE, untracked_source, "new flows let through because their source had too many") \
	X(CONFIRM_MISSED, confirm_missed, "new flows not found at confirm: translated on the way") \
	X(CONFIRM_WITHOUT_IN, confirm_without_in, "packets that met confirm but had not met in")   \
	X(IN_WITHOUT_CONFIRM, in_without_confirm, "new flows whose confirm was not there")         \
	X(STAGE_MISSING, stage_missing, "tail calls into an empty stage")                          \
	X(CONTENDED, contended, "packets whose flow stayed busy on another CPU")                   \
	X(STALE_RECORD, stale_record, "stages that met another build's packet record")             \
	X(DROPPED_UNCONFIRMED, dropped_unconfirmed, "new flows dropped before confirm")            \
	X(SWEPT_UNCONFIRMED, swept_unconfirmed, "new flows that never came to confirm")            \
	X(LOST_UNCONFIRMED, lost_unconfirmed, "new flows pushed out before confirm")

#define CT_DROPS(X)                                                                                \
	X(DROP_INVALID, invalid, "packets dropped for being invalid")                              \
	X(DROP_POLICY, policy, "packets dropped by the policy program")                            \
	X(DROP_TABLE_FULL, table_full, "new flows dropped because the table was full")             \
	X(DROP_SOURCE, source, "new flows dropped because their source had too many")              \
	X(DROP_FRAG_EARLY, frag_early, "fragments dropped for coming before their first")

#define CT_HOOK_SIDES(X)                                                                           \
	X(INGRESS, ingress)                                                                        \
	X(EGRESS, egress)

enum ct_side {
#define X(id, name) CT_##id,
	CT_HOOK_SIDES(X)
#undef X
	CT_SIDES,
};

/*
 * Why an entry ended; the reason of its DESTROY event.
 *	X(id, name, "help")
 */
#define CT_ENDS(X)                                                                                 \
	X(TIMEOUT, timeout, "its time was up")                                                     \
	X(CLOSED, closed, "the protocol ended it: a RST nobody had answered")                      \
	X(EVICTED, evicted, "it made room for a new flow")                                         \
	X(DELETED, deleted, "somebody deleted it")                                                 \
	X(FLUSHED, flushed, "somebody flushed the table")                                          \
	X(DETACHED, detached, "the instance was detached")                                         \
	X(REPLACED, replaced, "a new connection took its ports over")

enum ct_end {
	CT_END_NONE,
#define X(id, name, help) CT_END_##id,
	CT_ENDS(X)
#undef X
	CT_END_MAX,
};

enum ct_counter {
#define X(id, key, help) CT_C_##id,
	CT_LIFECYCLE(X)
	CT_DROPS(X)
#undef X
	CT_C_MAX,
};

/* Of the packets of one side. */
struct ct_class_counters {
#define X(id, key, help) __u64 key;
	CT_CLASSES(X)
#undef X
};

/*
 * The value of the `stats` map: one per CPU, summed by the reader. Members have names, so that
 * another build finds its counters again, and bpftool shows them; CT_..._OF() are the same words
 * by number.
 */
struct ct_stats {
	struct {
#define X(id, name) struct ct_class_counters name;
		CT_HOOK_SIDES(X)
#undef X
	} packets;
	struct {
		__u64 none;
#define X(id, class, key, help) __u64 key;
		CT_REASONS(X)
#undef X
	} reasons;
	struct {
		__u64 none;
#define X(id, name, help) __u64 name;
		CT_ENDS(X)
#undef X
	} ends;
	struct {
#define X(id, key, help) __u64 key;
		CT_LIFECYCLE(X)
#undef X
#define X(id, key, help) __u64 drop_##key;
		CT_DROPS(X)
#undef X
	} counters;
};

#define CT_PACKETS_OF(s) ((__u64(*)[CT_CLASS_MAX])&(s)->packets) /* [enum ct_side][enum ct_class] */
#define CT_REASON_OF(s)  ((__u64 *)&(s)->reasons)                /* [enum ct_reason] */
#define CT_END_OF(s)     ((__u64 *)&(s)->ends)                   /* [enum ct_end] */
#define CT_COUNTER_OF(s) ((__u64 *)&(s)->counters)               /* [enum ct_counter] */

#define CT_STATS_HAS(member, words)                                                                \
	_Static_assert(sizeof(((struct ct_stats *)0)->member) == 8 * (words), #member)
CT_STATS_HAS(packets, CT_SIDES * CT_CLASS_MAX);
CT_STATS_HAS(reasons, CT_R_MAX);
CT_STATS_HAS(ends, CT_END_MAX);
CT_STATS_HAS(counters, CT_C_MAX);
#undef CT_STATS_HAS

#endif
