// SPDX-License-Identifier: GPL-2.0
/*
 * Parameters that can be changed while the module is loaded. The module!
 * macro of the kernel crate has only such that are fixed at load.
 */
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sizes.h>

#include "abi.h"

static unsigned int user_slices_max = 16384;
static unsigned int user_handles_max = 65536;
static unsigned int user_inflight_bytes_max = 16 * 1024 * 1024;
static unsigned int user_inflight_fds_max = 4096;
static unsigned int user_budget_bytes;

/* What is above INT_MAX was most likely meant to be negative. */
static int limit_set(const char *value, const struct kernel_param *param)
{
	return param_set_uint_minmax(value, param, 0, INT_MAX);
}

static const struct kernel_param_ops limit_ops = {
	.set = limit_set,
	.get = param_get_uint,
};

module_param_cb(user_slices_max, &limit_ops, &user_slices_max, 0644);
MODULE_PARM_DESC(user_slices_max, "Messages that a peer may have queued or not released");
module_param_cb(user_handles_max, &limit_ops, &user_handles_max, 0644);
MODULE_PARM_DESC(user_handles_max, "Handles that a peer may hold");
module_param_cb(user_inflight_bytes_max, &limit_ops, &user_inflight_bytes_max, 0644);
MODULE_PARM_DESC(user_inflight_bytes_max, "Bytes of messages that a peer may have not released");
module_param_cb(user_inflight_fds_max, &limit_ops, &user_inflight_fds_max, 0644);
MODULE_PARM_DESC(user_inflight_fds_max, "Files that a peer may have in queued messages");
module_param_cb(user_budget_bytes, &limit_ops, &user_budget_bytes, 0644);
MODULE_PARM_DESC(user_budget_bytes, "Bytes for all peers of a user, 0 for a share of memory");

/* What all peers of a user may have together, if nobody says so. */
static u32 budget_of_machine(void)
{
	u64 sixteenth = ((u64)totalram_pages() << PAGE_SHIFT) / 16;

	return clamp_t(u64, sixteenth, SZ_16M, SZ_256M);
}

struct bus1_user_limits bus1_user_limits(void)
{
	return (struct bus1_user_limits) {
		.slices = READ_ONCE(user_slices_max),
		.handles = READ_ONCE(user_handles_max),
		.bytes = READ_ONCE(user_inflight_bytes_max),
		.fds = READ_ONCE(user_inflight_fds_max),
		.budget = READ_ONCE(user_budget_bytes) ?: budget_of_machine(),
	};
}
