/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pages.h - the fuzzer's calls about mappings of the module's pages.
 */
#ifndef PULSE_SELFTESTS_FUZZ_PAGES_H
#define PULSE_SELFTESTS_FUZZ_PAGES_H

#include "state.h"

static bool fuzz_read_only(uint32_t region)
{
	return region == PULSE_REGION_HDR || region == PULSE_REGION_KSTATE ||
	       region == PULSE_REGION_EVPROD;
}

static void fuzz_check_prot(const char *how, uint32_t region, int prot)
{
	if (prot & PROT_EXEC || (prot & PROT_WRITE && fuzz_read_only(region)))
		fuzz_bug("%s let region %u have protection %d", how, region, prot);
}

/*
 * A number that was closed may be a ring of io_uring's by now, which lets itself be
 * mapped as it likes.
 */
static bool fuzz_is_device(const void *at)
{
	char line[512], start[24];
	bool ours = false;
	FILE *f;

	if (!__atomic_load_n(&fuzz_has_ring, __ATOMIC_RELAXED))
		return true;
	f = fopen("/proc/self/maps", "re");
	snprintf(start, sizeof(start), "%08lx-", (unsigned long)(uintptr_t)at);
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, start, strlen(start)))
			ours = strstr(line, PULSE_DEVICE_PATH) != NULL;
	if (f)
		fclose(f);
	return ours;
}

static size_t fuzz_region_bytes(const struct pulse_info *info, uint32_t region)
{
	switch (region) {
	case PULSE_REGION_HDR: return info->hdr_bytes;
	case PULSE_REGION_KSTATE: return info->kstate_bytes;
	case PULSE_REGION_UWORK: return info->uwork_bytes;
	case PULSE_REGION_EVCONS: return info->evcons_bytes;
	case PULSE_REGION_EVPROD: return info->evprod_bytes;
	default: return info->nring_bytes;
	}
}

static int fuzz_mmap(const struct fuzz_op *op)
{
	static const uint32_t regions[] = { 0, 1, 2, 3, 4, 16, 17, 5, 15, 80 };
	uint32_t region = regions[op->bytes[0] % 10];
	int prot = op->how ? op->how & 7 : fuzz_read_only(region) ? PROT_READ :
		   PROT_READ | PROT_WRITE;
	int flags = op->bytes[2] == 5 ? MAP_PRIVATE : MAP_SHARED;
	uint64_t off = PULSE_REGION_OFFSET(region);
	struct pulse_info info = {};
	struct fuzz_map *m = &fuzz_maps[op->bytes[1] % FUZZ_MAPS];
	size_t len;
	char *at;

	dev_info(fuzz_fd[op->slot], &info);
	len = fuzz_region_bytes(&info, region);
	if (op->bytes[3] > 128)
		len += 4096 * (size_t)(op->bytes[3] & 7);
	if (op->bytes[4] > 128)
		off += 4096ULL * op->bytes[4];
	if (!len)
		len = 4096;
	at = mmap(NULL, len, prot, flags | (op->bytes[5] == 5 ? MAP_POPULATE : 0),
		  fuzz_fd[op->slot], (off_t)off);
	if (at == MAP_FAILED)
		return errno;
	if (!fuzz_is_device(at)) {
		munmap(at, len);
		return EBADF;
	}
	fuzz_check_prot("mmap", region, prot);
	*m = (struct fuzz_map){ at, len, region };
	if (region == PULSE_REGION_UWORK && prot & PROT_WRITE)
		fuzz_uwork[op->slot] = (void *)at;
	return 0;
}

/* A mapping of the program's, or a part of it. */
static struct fuzz_map fuzz_part(const struct fuzz_op *op)
{
	struct fuzz_map m = fuzz_maps[op->bytes[1] % FUZZ_MAPS];
	size_t pages = m.len / 4096, from;

	if (pages > 1 && op->bytes[2] & 1) {
		from = op->bytes[3] % pages;
		m.at += from * 4096;
		m.len = 4096 * (1 + op->bytes[4] % (pages - from));
	}
	return m;
}

static int fuzz_mprotect(const struct fuzz_op *op)
{
	struct fuzz_map m = fuzz_part(op);

	if (!m.at || mprotect(m.at, m.len, op->how & 7))
		return m.at ? errno : ENOENT;
	fuzz_check_prot("mprotect", m.region, op->how & 7);
	return 0;
}

static int fuzz_mremap(const struct fuzz_op *op)
{
	struct fuzz_map m = fuzz_part(op);
	size_t want = m.len + 4096 * (size_t)(op->bytes[5] & 3);
	char *at;

	if (!m.at)
		return ENOENT;
	at = mremap(m.at, op->how & 1 ? 0 : m.len, op->how & 2 ? 4096 : want,
		    op->how & 4 ? MREMAP_MAYMOVE : 0);
	if (at == MAP_FAILED)
		return errno;
	fuzz_maps[op->bytes[6] % FUZZ_MAPS] = (struct fuzz_map){ at, 4096, m.region };
	return 0;
}

static int fuzz_madvise(const struct fuzz_op *op)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_WILLNEED, MADV_DOFORK, MADV_DODUMP, MADV_MERGEABLE,
		MADV_HUGEPAGE, MADV_FREE, MADV_REMOVE, MADV_COLD, MADV_PAGEOUT,
	};
	struct fuzz_map m = fuzz_part(op);

	if (!m.at)
		return ENOENT;
	return madvise(m.at, m.len, advice[op->bytes[5] % 10]) ? errno : 0;
}

/* Reads or writes of a mapping, which another thread may be taking away. */
static int fuzz_touch(const struct fuzz_op *op, bool writes)
{
	struct fuzz_map m = fuzz_part(op);
	volatile uint32_t *words = (void *)m.at;
	uint32_t value, sum = 0, nr = (uint32_t)(m.len / 4), step = 1 + op->bytes[5] * 8U;

	if (!m.at)
		return ENOENT;
	if (sigsetjmp(fuzz_back, 1)) {
		fuzz_guarded = 0;
		return EFAULT;
	}
	fuzz_guarded = 1;
	memcpy(&value, op->bytes + 8, sizeof(value));
	for (uint32_t i = op->bytes[6], n = 0; i < nr && n < 64; i += step, n++) {
		if (writes)
			words[i] = value + (op->how & 1 ? i : 0);
		else
			sum += words[i];
	}
	fuzz_guarded = 0;
	return sum == value ? 1 : 0;
}

static void fuzz_fault(int sig)
{
	if (fuzz_guarded)
		siglongjmp(fuzz_back, 1);
	_exit(128 + sig);
}

#endif /* PULSE_SELFTESTS_FUZZ_PAGES_H */
