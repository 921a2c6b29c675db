/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events of bus1. define_trace.h reads this file several times.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM bus1

#if !defined(BUS1_SHIM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define BUS1_SHIM_TRACE_H

#include <linux/tracepoint.h>

#include "abi.h"

/* A request for what a receiver may hold was refused, to the calling task. */
TRACE_EVENT(bus1_quota_deny,
	    TP_PROTO(const struct bus1_denial *denial),
	    TP_ARGS(denial),
	    TP_STRUCT__entry(__field(int, receiver)
			     __field(u32, user)
			     __field(u32, kind)
			     __field(u64, principal)
			     __field(u32, resource)
			     __field(u32, level)
			     __field(u32, asked)
			     __field(u32, held)
			     __field(u32, cap)
			     __field(u32, holders)),
	    TP_fast_assign(__entry->receiver = denial->receiver;
			   __entry->user = denial->user;
			   __entry->kind = denial->kind;
			   __entry->principal = denial->principal;
			   __entry->resource = denial->resource;
			   __entry->level = denial->level;
			   __entry->asked = denial->asked;
			   __entry->held = denial->held;
			   __entry->cap = denial->cap;
			   __entry->holders = denial->holders;),
	    TP_printk("receiver=%d user=%u principal=%s:%llu resource=%s level=%s asked=%u held=%u cap=%u holders=%u",
		      __entry->receiver, __entry->user,
		      __print_symbolic(__entry->kind,
				       { 0, "own" }, { 1, "user" },
				       { 2, "via" }, { 3, "ns" }),
		      __entry->principal,
		      __print_symbolic(__entry->resource,
				       { 0, "slices" }, { 1, "bytes" },
				       { 2, "handles" }, { 3, "fds" }),
		      __print_symbolic(__entry->level,
				       { 0, "peer" }, { 1, "user" },
				       { 2, "reply" }),
		      __entry->asked, __entry->held, __entry->cap,
		      __entry->holders)
);

#endif /* BUS1_SHIM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE bus1_trace
#include <trace/define_trace.h>
