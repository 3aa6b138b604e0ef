// SPDX-License-Identifier: GPL-2.0-only
/*
 * hash-tree - one number for all files below a folder (FNV-1a, not for secrets).
 *
 * It is the sum of the files' hashes: of "./", the path below the folder, a zero
 * byte and the bytes. The names are read first, then the files, in parallel.
 *
 * usage: hash-tree FOLDER
 */
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pulse-u/pulse.h>

static _Atomic int failed;

static void unreadable(const char *path)
{
	fprintf(stderr, "hash-tree: cannot read %s\n", path);
	failed = 1;
}

static uint64_t fnv(uint64_t h, const void *data, size_t len)
{
	for (const unsigned char *p = data; len--; p++)
		h = (h ^ *p) * 0x100000001b3;
	return h;
}

static void hash_files(void *paths, size_t begin, size_t end, void *sum)
{
	for (char **path = (char **)paths + begin; begin < end; begin++, path++) {
		uint64_t h = fnv(0xcbf29ce484222325, *path, strlen(*path) + 1);
		FILE *file = fopen(*path, "rb");
		char data[16384];

		for (size_t len; file && (len = fread(data, 1, sizeof(data), file));)
			h = fnv(h, data, len);
		if (!file || ferror(file) | fclose(file))
			unreadable(*path);
		*(uint64_t *)sum += h;
	}
}

static void add(void *paths, void *left, const void *right)
{
	(void)paths;
	*(uint64_t *)left += *(const uint64_t *)right;
}

int main(int argc, char **argv)
{
	FTS *tree = argc == 2 && !chdir(argv[1]) ?
		    fts_open((char *[]){ ".", NULL }, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
	PULSE_OPTS(pulse_reduce, how, .grain = 1, .fold = hash_files, .combine = add,
		   .acc_bytes = sizeof(uint64_t));
	struct pulse_pool *pool;
	char **paths = NULL;
	uint64_t sum;
	int err;

	if (!tree)
		return fprintf(stderr, "usage: hash-tree FOLDER, which must exist\n"), 2;
	for (FTSENT *e; (e = fts_read(tree));) {
		if (e->fts_info == FTS_F) {
			paths = realloc(paths, (how.end + 1) * sizeof(*paths));
			paths[how.end++] = strdup(e->fts_path);
		} else if (e->fts_info != FTS_D && e->fts_info != FTS_DP) {
			unreadable(e->fts_path);
		}
	}
	fts_close(tree);
	how.arg = paths;
	err = pulse_pool_create(NULL, &pool);
	if (!err)
		err = pulse_parallel_reduce(pool, &how, &sum);
	if (err)
		return fprintf(stderr, "hash-tree: %s\n", pulse_strerror(err)), 1;
	printf("%016llx\n", (unsigned long long)sum);
	return pulse_pool_destroy(pool) || failed;
}
