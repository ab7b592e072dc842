/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Protocol states, timeouts and settings. Each list exists once and gives the enum, the text, the
 * JSON key, the option of `set` and the man page's table.
 */
#ifndef CT_PROTO_H
#define CT_PROTO_H

/*
 * TCP states; numbers and names are the kernel's (enum tcp_conntrack).
 *	X(id, "NAME")
 */
#define CT_TCP_STATES(X)                                                                           \
	X(NONE, "NONE")                                                                            \
	X(SYN_SENT, "SYN_SENT")                                                                    \
	X(SYN_RECV, "SYN_RECV")                                                                    \
	X(ESTABLISHED, "ESTABLISHED")                                                              \
	X(FIN_WAIT, "FIN_WAIT")                                                                    \
	X(CLOSE_WAIT, "CLOSE_WAIT")                                                                \
	X(LAST_ACK, "LAST_ACK")                                                                    \
	X(TIME_WAIT, "TIME_WAIT")                                                                  \
	X(CLOSE, "CLOSE")                                                                          \
	X(SYN_SENT2, "SYN_SENT2")

enum ct_tcp_state {
#define X(id, name) CT_TCP_##id,
	CT_TCP_STATES(X)
#undef X
	CT_TCP_STATE_MAX,
};

/*
 * TCP flags (RFC 9293 3.1, RFC 3168).
 *	X(id, bit, "NAME")
 */
#define CT_TCP_FLAGS(X)                                                                            \
	X(FIN, 0x01, "FIN")                                                                        \
	X(SYN, 0x02, "SYN")                                                                        \
	X(RST, 0x04, "RST")                                                                        \
	X(PSH, 0x08, "PSH")                                                                        \
	X(ACK, 0x10, "ACK")                                                                        \
	X(URG, 0x20, "URG")                                                                        \
	X(ECE, 0x40, "ECE")                                                                        \
	X(CWR, 0x80, "CWR")

enum ct_tcp_flag {
#define X(id, bit, name) CT_TCP_##id = (bit),
	CT_TCP_FLAGS(X)
#undef X
};

/*
 * SCTP states; numbers and names are the kernel's (enum sctp_conntrack). They are those of the association, not of one end.
 *	X(id, "NAME")
 */
#define CT_SCTP_STATES(X)                                                                          \
	X(NONE, "NONE")                                                                            \
	X(CLOSED, "CLOSED")                                                                        \
	X(COOKIE_WAIT, "COOKIE_WAIT")                                                              \
	X(COOKIE_ECHOED, "COOKIE_ECHOED")                                                          \
	X(ESTABLISHED, "ESTABLISHED")                                                              \
	X(SHUTDOWN_SENT, "SHUTDOWN_SENT")                                                          \
	X(SHUTDOWN_RECD, "SHUTDOWN_RECD")                                                          \
	X(SHUTDOWN_ACK_SENT, "SHUTDOWN_ACK_SENT")                                                  \
	X(HEARTBEAT_SENT, "HEARTBEAT_SENT")

enum ct_sctp_state {
#define X(id, name) CT_SCTP_##id,
	CT_SCTP_STATES(X)
#undef X
	CT_SCTP_STATE_MAX,
};

/*
 * Timeouts, in seconds here, in ticks in struct ct_settings. The TCP ones come first and in the
 * order of the states, so that a state indexes them; SCTP's are in the order of its states, too.
 *	X(id, key, default seconds, "help")
 */
#define CT_TIMEOUTS(X)                                                                             \
	X(TCP_SYN_SENT, tcp_timeout_syn_sent, 120, "a SYN, not answered")                          \
	X(TCP_SYN_RECV, tcp_timeout_syn_recv, 60, "a SYN/ACK, not acknowledged")                   \
	X(TCP_ESTABLISHED, tcp_timeout_established, 432000, "an idle connection")                  \
	X(TCP_FIN_WAIT, tcp_timeout_fin_wait, 120, "closed by one side")                           \
	X(TCP_CLOSE_WAIT, tcp_timeout_close_wait, 60, "that FIN has been acknowledged")            \
	X(TCP_LAST_ACK, tcp_timeout_last_ack, 30, "closed by both, last ACK missing")              \
	X(TCP_TIME_WAIT, tcp_timeout_time_wait, 120, "closed by both")                             \
	X(TCP_CLOSE, tcp_timeout_close, 10, "reset")                                               \
	X(TCP_SYN_SENT2, tcp_timeout_syn_sent2, 120, "a SYN from each side")                       \
	X(TCP_RETRANS, tcp_timeout_max_retrans, 300, "the same data sent again and again")         \
	X(TCP_UNACK, tcp_timeout_unacknowledged, 300, "data in flight; picked up, not answered")   \
	X(UDP, udp_timeout, 30, "UDP(-Lite), unreplied; UDP younger than two seconds")             \
	X(UDP_STREAM, udp_timeout_stream, 120, "UDP(-Lite), replied; UDP older than that")         \
	X(ICMP, icmp_timeout, 30, "ICMP queries")                                                  \
	X(ICMPV6, icmpv6_timeout, 30, "ICMPv6 queries")                                            \
	X(SCTP_CLOSED, sctp_timeout_closed, 10, "an INIT, not answered; closed")                   \
	X(SCTP_COOKIE_WAIT, sctp_timeout_cookie_wait, 3, "the INIT has been answered")             \
	X(SCTP_COOKIE_ECHOED, sctp_timeout_cookie_echoed, 3, "the cookie has been sent back")      \
	X(SCTP_ESTABLISHED, sctp_timeout_established, 210, "an idle association")                  \
	X(SCTP_SHUTDOWN_SENT, sctp_timeout_shutdown_sent, 3, "shut down by who opened it")         \
	X(SCTP_SHUTDOWN_RECD, sctp_timeout_shutdown_recd, 3, "shut down by the other side")        \
	X(SCTP_SHUTDOWN_ACK_SENT, sctp_timeout_shutdown_ack_sent, 3, "shut down by both")          \
	X(SCTP_HEARTBEAT_SENT, sctp_timeout_heartbeat_sent, 30, "a path with heartbeats only")     \
	X(GRE, gre_timeout, 30, "GRE, unreplied")                                                  \
	X(GRE_STREAM, gre_timeout_stream, 180, "GRE, replied")                                     \
	X(GENERIC, generic_timeout, 600, "every other protocol")

enum ct_timeout {
	CT_T_TCP_NONE, /* never used: keeps the TCP timeouts indexed by state */
#define X(id, key, seconds, help) CT_T_##id,
	CT_TIMEOUTS(X)
#undef X
	CT_T_MAX,
};

/*
 * The other settings: numbers.
 *	X(id, key, default, largest, "help")
 */
#define CT_KNOBS(X)                                                                                \
	X(TCP_LOOSE, tcp_loose, 1, 1, "pick up TCP connections in the middle")                     \
	X(TCP_BE_LIBERAL, tcp_be_liberal, 0, 1, "let packets outside the window through")          \
	X(TCP_IGNORE_INVALID_RST, tcp_ignore_invalid_rst, 0, 1, "let resets from below the window through") \
	X(TCP_MAX_RETRANS, tcp_max_retrans, 3, 15, "repeats before the timeout is cut")            \
	X(CHECKSUM, checksum, 1, 1, "verify checksums of packets that come in")                    \
	X(ACCT, acct, 1, 1, "count packets and bytes of each flow")                                \
	X(TIMESTAMP, timestamp, 1, 1, "remember when each flow began")                             \
	X(MAX, max, 0, 0xffffff, "flows the table may hold, both families together")               \
	X(DROP_INVALID, drop_invalid, 0, 1, "drop packets of class invalid")                       \
	X(FULL, full, 0, 1, "pass or drop a new flow when only assured ones are left")            \
	X(MAX_UNASSURED_PER_SOURCE, max_unassured_per_source, 0, 0xffffff, "flows of one source that are not assured; 0 any number") \
	X(LOG_INVALID, log_invalid, 0, 255, "tell events of invalid packets: a protocol's number; 255 all, 0 none") \
	X(FRAG_EARLY, frag_early, 0, 1, "pass (untracked) or drop a fragment that comes before its first")

enum ct_knob {
#define X(id, key, value, largest, help) CT_K_##id,
	CT_KNOBS(X)
#undef X
	CT_K_MAX_,
};

/* Settings whose 0 and 1 are the words "pass" and "drop". */
#define CT_KNOB_IS_FATE(knob) ((knob) == CT_K_FULL || (knob) == CT_K_FRAG_EARLY)

#endif
