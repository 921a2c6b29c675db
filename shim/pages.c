// SPDX-License-Identifier: GPL-2.0
/*
 * Pages, who pays for them, and whose address space they are in: inlines,
 * macros and allocation flags.
 */
#include <linux/gfp.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

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

static bool memcg = true;
module_param(memcg, bool, 0644);
MODULE_PARM_DESC(memcg, "Pools are charged to the memory cgroup of whoever made them");

/*
 * NORETRY: one pass of reclaim, then -ENOMEM before the OOM killer is called,
 * so a sender can't have the receiver's cgroup killed, nor reclaim for it at
 * length.
 */
static gfp_t pool_gfp(void)
{
	gfp_t gfp = READ_ONCE(memcg) ? GFP_KERNEL_ACCOUNT : GFP_KERNEL;

	return gfp | __GFP_NORETRY | __GFP_NOWARN;
}

struct page *bus1_page_alloc(void)
{
	return alloc_page(pool_gfp() | __GFP_HIGHMEM | __GFP_ZERO);
}

void bus1_page_get(struct page *page)
{
	get_page(page);
}

void bus1_page_put(struct page *page)
{
	put_page(page);
}

/* For the tables of a pool: zeroes, on the terms of its pages. */
void *bus1_table_alloc(size_t size)
{
	return kzalloc(size, pool_gfp());
}

void bus1_page_lock(struct page *page)
{
	lock_page(page);
}

bool bus1_page_trylock(struct page *page)
{
	return trylock_page(page);
}

/*
 * Makes an area that @file is being mapped by belong to another address space.
 * @writable: the caller's mmap_region() has counted the area as one that may
 * become writable, and is going to take that back from the space it finds then
 */
void bus1_file_adopt(struct file *file, struct address_space *space,
		     bool writable)
{
	struct address_space *old = file->f_mapping;

	if (writable) {
		mapping_allow_writable(space);
		mapping_unmap_writable(old);
	}
	WRITE_ONCE(file->f_mapping, space);
}

/* The name is not a format. */
struct shrinker *bus1_shrinker_alloc(const char *name)
{
	return shrinker_alloc(0, "%s", name);
}
