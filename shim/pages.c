// SPDX-License-Identifier: GPL-2.0
/*
 * Pages and who pays for them: inlines and allocation flags.
 */
#include <linux/gfp.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "abi.h"

struct mem_cgroup *bus1_memcg_of_current(void)
{
	return get_mem_cgroup_from_mm(current->mm);
}

void bus1_memcg_put(struct mem_cgroup *memcg)
{
	mem_cgroup_put(memcg);
}

struct mem_cgroup *bus1_memcg_enter(struct mem_cgroup *memcg)
{
	return set_active_memcg(memcg);
}

void bus1_memcg_leave(struct mem_cgroup *outer)
{
	set_active_memcg(outer);
}

/*
 * NORETRY: one pass of reclaim, then -ENOMEM before the OOM killer is called,
 * so a sender can't have the receiver's cgroup killed, nor reclaim for it at
 * length.
 */
struct page *bus1_page_alloc(void)
{
	return alloc_page(GFP_KERNEL_ACCOUNT | __GFP_HIGHMEM | __GFP_ZERO |
			  __GFP_NORETRY | __GFP_NOWARN);
}

void bus1_page_get(struct page *page)
{
	get_page(page);
}

void bus1_page_put(struct page *page)
{
	put_page(page);
}
