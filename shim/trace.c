// SPDX-License-Identifier: GPL-2.0
/*
 * What the module says of itself while it runs: trace events, and lines in the
 * log. The place of the events' definitions.
 */
#define pr_fmt(fmt) "bus1: " fmt

#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>

#include "abi.h"

#define CREATE_TRACE_POINTS
#include "bus1_trace.h"

static const char * const kinds[] = { "itself", "user", "what user", "namespace" };
static const char * const resources[] = { "slices", "bytes", "handles", "fds" };
static const char * const levels[] = { "peer's", "user's", "reply's" };

void bus1_quota_deny(const struct bus1_denial *denial)
{
	trace_bus1_quota_deny(denial);
	if (!denial->first || denial->kind >= ARRAY_SIZE(kinds) ||
	    denial->resource >= ARRAY_SIZE(resources) ||
	    denial->level >= ARRAY_SIZE(levels))
		return;
	pr_notice_ratelimited("process %d of user %u takes no more %s from %s %llu%s: the %s limit, %u asked, %u held\n",
			      denial->receiver, denial->user,
			      resources[denial->resource],
			      kinds[denial->kind], denial->principal,
			      denial->kind == 2 ? " created" : "",
			      levels[denial->level], denial->asked,
			      denial->held);
}
