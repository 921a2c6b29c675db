// SPDX-License-Identifier: GPL-2.0
/*
 * With lockdep this is a macro.
 */
#include <linux/mutex.h>

#include "abi.h"

int bus1_mutex_lock_killable(struct mutex *lock)
{
	return mutex_lock_killable(lock);
}
