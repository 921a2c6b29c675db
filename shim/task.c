// SPDX-License-Identifier: GPL-2.0
/*
 * Scheduling of tasks: bit fields, inlines, and a structure that the kernel
 * crate does not know.
 */
#include <linux/cred.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <uapi/linux/sched/types.h>

#include "abi.h"

struct bus1_sched bus1_task_sched(const struct task_struct *task)
{
	return (struct bus1_sched){
		.policy = task->policy,
		.real_time = task->rt_priority,
		.nice = task_nice(task),
		.reset_on_fork = task->sched_reset_on_fork,
	};
}

int bus1_task_set_sched(struct task_struct *task, struct bus1_sched sched)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = sched.policy,
		.sched_flags = sched.reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0,
		.sched_nice = sched.nice,
		.sched_priority = sched.real_time,
	};

	/* A slice of its own stays with the task. */
	if (task->se.custom_slice)
		attr.sched_runtime = task->se.slice;
	return sched_setattr_nocheck(task, &attr);
}

u64 bus1_task_rlimit(const struct task_struct *task, unsigned int limit)
{
	return task_rlimit(task, limit);
}

bool bus1_current_has_cred(const struct cred *cred)
{
	return current_cred() == cred;
}
