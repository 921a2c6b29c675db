// SPDX-License-Identifier: GPL-2.0
/*
 * The parameters of the Binder devices.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "abi.h"

static int guard = BUS1_GUARD_ON;
static const char * const guards[] = {
	[BUS1_GUARD_OFF] = "0",
	[BUS1_GUARD_ON] = "1",
	[BUS1_GUARD_STRICT] = "strict",
};

static int guard_set(const char *value, const struct kernel_param *param)
{
	int chosen = sysfs_match_string(guards, value);

	if (chosen < 0)
		return chosen;
	WRITE_ONCE(guard, chosen);
	return 0;
}

static int guard_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%s\n", guards[READ_ONCE(guard)]);
}

static const struct kernel_param_ops guard_ops = {
	.set = guard_set,
	.get = guard_get,
};

module_param_cb(guard, &guard_ops, NULL, 0644);
MODULE_PARM_DESC(guard, "Keep the end of Binder mappings for small senders: 0, 1 or strict");

enum bus1_guard bus1_guard(void)
{
	return READ_ONCE(guard);
}
