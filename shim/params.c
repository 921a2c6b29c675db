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
#include <linux/string.h>
#include <linux/sysfs.h>

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

#ifdef CONFIG_BUS1_TEST_RULES
/* Index into the names. */
static int share_rule;
static const char * const share_rules[] = { "fair", "2016" };

static int share_rule_set(const char *value, const struct kernel_param *param)
{
	int rule = sysfs_match_string(share_rules, value);

	if (rule < 0)
		return rule;
	WRITE_ONCE(share_rule, rule);
	return 0;
}

static int share_rule_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%s\n", share_rules[READ_ONCE(share_rule)]);
}

static const struct kernel_param_ops share_rule_ops = {
	.set = share_rule_set,
	.get = share_rule_get,
};

module_param_cb(share_rule, &share_rule_ops, NULL, 0644);
MODULE_PARM_DESC(share_rule, "For tests: how peers opened later are shared, fair or 2016");

bool bus1_share_rule_is_2016(void)
{
	return READ_ONCE(share_rule) == 1;
}
#endif /* CONFIG_BUS1_TEST_RULES */

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
