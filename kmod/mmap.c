// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages shared with user space: made, mapped, freed.
 *
 * SETUP makes the regions, release of the file frees them. A mapping holds the
 * file, so nothing is freed while it is mapped, and each page is reference
 * counted on its own for who else may hold it (get_user_pages). Pages are
 * ordinary order-0 pages, zeroed, charged to the memory cgroup; they are put
 * into the page table at mmap time, and again by the fault handler for those
 * that the user threw out with MADV_DONTNEED.
 *
 * A region is constant from SETUP on: no lock.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "ctx.h"
#include "mmap.h"
#include "node.h"

/* A failure is the caller's ENOMEM: no OOM killer, no words in the log. */
#define PULSE_GFP_PAGES \
	(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/* Get @nr_pages pages into a table that has room for @room. */
static int pulse_region_fill(struct pulse_region *region, unsigned long room,
			     unsigned long nr_pages, int nid)
{
	gfp_t gfp = PULSE_GFP_PAGES;

	if (nid != NUMA_NO_NODE && node_state(nid, N_MEMORY))
		gfp |= __GFP_THISNODE;

	region->pages = kvcalloc(room, sizeof(*region->pages),
				 GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!region->pages)
		return -ENOMEM;

	while (region->nr_pages < nr_pages) {
		struct page *page;

		if (fatal_signal_pending(current))
			return -EINTR;
		page = alloc_pages_node(nid, gfp, 0);
		if (!page)
			return -ENOMEM;
		region->pages[region->nr_pages++] = page;
		cond_resched();
	}
	return 0;
}

/**
 * pulse_region_alloc() - get the pages of a region
 * @region: zeroed; on failure pulse_region_free() takes what there is
 * @nr_pages: how many
 * @nid: the node they must come from, if it has memory at all; NUMA_NO_NODE:
 *	the nearest
 *
 * Return: 0, -ENOMEM, or -EINTR for a task that was killed meanwhile.
 */
int pulse_region_alloc(struct pulse_region *region, unsigned long nr_pages,
		       int nid)
{
	return pulse_region_fill(region, nr_pages, nr_pages, nid);
}

/**
 * pulse_region_alloc_twice() - the same, with the last pages there twice
 * @region: zeroed
 * @head: pages that are there once
 * @nr_pages: pages after them that are there twice, one row after the other;
 *	the second time each has a reference of its own
 *
 * Return: as pulse_region_alloc().
 */
int pulse_region_alloc_twice(struct pulse_region *region, unsigned long head,
			     unsigned long nr_pages)
{
	int ret = pulse_region_fill(region, head + 2 * nr_pages,
				    head + nr_pages, NUMA_NO_NODE);
	unsigned long i;

	for (i = 0; !ret && i < nr_pages; i++) {
		struct page *page = region->pages[head + i];

		get_page(page);
		region->pages[region->nr_pages++] = page;
	}
	return ret;
}

/**
 * pulse_region_kmap() - let the kernel see a region as one piece
 * @region: allocated
 *
 * Return: 0 or -ENOMEM.
 */
int pulse_region_kmap(struct pulse_region *region)
{
	region->kaddr = vmap(region->pages, region->nr_pages, VM_MAP,
			     PAGE_KERNEL);
	return region->kaddr ? 0 : -ENOMEM;
}

/**
 * pulse_region_free() - free a region, also one that is half made
 * @region: not mapped by any user
 */
void pulse_region_free(struct pulse_region *region)
{
	vunmap(region->kaddr);
	while (region->nr_pages) {
		put_page(region->pages[--region->nr_pages]);
		cond_resched();
	}
	kvfree(region->pages);
	memset(region, 0, sizeof(*region));
}

/**
 * pulse_region_bytes() - the exact length that mmap wants
 * @region: allocated
 *
 * Return: bytes.
 */
u64 pulse_region_bytes(const struct pulse_region *region)
{
	return (u64)region->nr_pages << PAGE_SHIFT;
}

/* The region of an mmap offset, and whether users may write it; or NULL. */
static struct pulse_region *pulse_region_at(struct pulse_ctx *ctx,
					    unsigned long pgoff, bool *writable)
{
	const unsigned int shift = PULSE_REGION_SHIFT - PAGE_SHIFT;
	unsigned long id = pgoff >> shift;
	struct pulse_node *node;

	if (pgoff & ((1UL << shift) - 1))
		return NULL;

	*writable = id != PULSE_REGION_HDR && id != PULSE_REGION_KSTATE &&
		    id != PULSE_REGION_EVPROD;
	switch (id) {
	case PULSE_REGION_HDR:
		return &ctx->hdr_pages;
	case PULSE_REGION_KSTATE:
		return &ctx->kstate_pages;
	case PULSE_REGION_UWORK:
		return &ctx->uwork_pages;
	case PULSE_REGION_EVCONS:
		return &ctx->events.cons;
	case PULSE_REGION_EVPROD:
		return &ctx->events.prod;
	}
	if (id < PULSE_REGION_NRING_BASE ||
	    id - PULSE_REGION_NRING_BASE >= MAX_NUMNODES)
		return NULL;
	node = pulse_node_find(ctx, id - PULSE_REGION_NRING_BASE);
	return node ? &node->ring : NULL;
}

static int pulse_vm_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static vm_fault_t pulse_vm_fault(struct vm_fault *vmf)
{
	struct pulse_region *region = vmf->vma->vm_private_data;
	unsigned long i = vmf->pgoff - vmf->vma->vm_pgoff;

	if (i >= region->nr_pages)
		return VM_FAULT_SIGBUS;
	vmf->page = region->pages[i];
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct pulse_vm_ops = {
	.may_split	= pulse_vm_may_split,
	.fault		= pulse_vm_fault,
};

/**
 * pulse_mmap() - file_operations.mmap: one whole region, shared
 * @file: the context
 * @vma: what the user asked for
 *
 * The permissions that mprotect() may add later go as well: a mapping that was
 * refused VM_WRITE must not get it in two steps.
 *
 * Return: 0, -ENXIO, -EPERM, -EINVAL, -ENOMEM.
 */
int pulse_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct pulse_ctx *ctx = file->private_data;
	unsigned long nr_pages = vma_pages(vma);
	struct pulse_region *region;
	bool writable;
	int ret;

	ret = pulse_ctx_check(ctx);
	if (ret)
		return ret;

	/* VM_SHARED is clear for a descriptor without write access. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	region = pulse_region_at(ctx, vma->vm_pgoff, &writable);
	if (!region || nr_pages != region->nr_pages)
		return -EINVAL;
	if ((vma->vm_flags & VM_WRITE && !writable) || vma->vm_flags & VM_EXEC)
		return -EPERM;

	pulse_vm_flags_mod(vma, VM_DONTEXPAND | VM_DONTCOPY | VM_DONTDUMP,
			   VM_MAYEXEC | (writable ? 0 : VM_MAYWRITE));
	vma->vm_private_data = region;
	vma->vm_ops = &pulse_vm_ops;

	return vm_insert_pages(vma, vma->vm_start, region->pages, &nr_pages);
}
