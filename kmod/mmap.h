/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_MMAP_H
#define PULSE_MMAP_H

#include <linux/types.h>

struct file;
struct page;
struct vm_area_struct;

/**
 * struct pulse_region - pages that user space may map as one piece
 * @pages: them
 * @nr_pages: how many
 * @kaddr: the kernel's own mapping, or NULL (node rings: the kernel never
 *	looks into them)
 */
struct pulse_region {
	struct page **pages;
	unsigned long nr_pages;
	void *kaddr;
};

int pulse_region_alloc(struct pulse_region *region, unsigned long nr_pages,
		       int nid);
int pulse_region_alloc_twice(struct pulse_region *region, unsigned long head,
			     unsigned long nr_pages);
int pulse_region_kmap(struct pulse_region *region);
void pulse_region_free(struct pulse_region *region);
u64 pulse_region_bytes(const struct pulse_region *region);

int pulse_mmap(struct file *file, struct vm_area_struct *vma);

#endif /* PULSE_MMAP_H */
