// SPDX-License-Identifier: GPL-2.0-only
/*
 * hash-tree - one number for a folder and all below it (FNV-1a, not for secrets).
 *
 * A file's hash is that of its bytes; a folder's that of its entries in the order
 * of their names: name, a zero byte, the entry's hash, least byte first. They are
 * a parallel loop, and so are those of the folders in it.
 *
 * usage: hash-tree FOLDER
 */
#include <dirent.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pulse-u/pulse.h>

#define FNV_START 0xcbf29ce484222325

struct folder {
	const char *path;
	struct dirent **entry;
	uint64_t *hash;
};

static struct pulse_pool *pool;
static _Atomic int failed;

static uint64_t hash_path(const char *path);

static uint64_t fnv(uint64_t h, const void *data, size_t len)
{
	for (const unsigned char *p = data; len--; p++)
		h = (h ^ *p) * 0x100000001b3;
	return h;
}

static void hash_entries(void *arg, size_t begin, size_t end)
{
	struct folder *f = arg;
	char path[4096];

	for (size_t i = begin; i < end; i++) {
		snprintf(path, sizeof(path), "%s/%s", f->path, f->entry[i]->d_name);
		f->hash[i] = hash_path(path);
	}
}

static int no_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
}

static uint64_t hash_folder(const char *path)
{
	struct folder f = { .path = path };
	int n = scandir(path, &f.entry, no_dots, alphasort);
	uint64_t h = FNV_START;

	f.hash = calloc((size_t)n + 1, sizeof(*f.hash));
	if (n < 0 || !f.hash ||
	    pulse_parallel_for(pool, 0, (size_t)n, 1, hash_entries, &f))
		failed = 1;
	for (int i = 0; i < n; i++) {
		h = fnv(h, f.entry[i]->d_name, strlen(f.entry[i]->d_name) + 1);
		if (f.hash)
			h = fnv(h, &(uint64_t){ htole64(f.hash[i]) }, 8);
		free(f.entry[i]);
	}
	free(n < 0 ? NULL : f.entry);
	free(f.hash);
	return h;
}

static uint64_t hash_path(const char *path)
{
	uint64_t h = FNV_START;
	char data[16384];
	struct stat st = { 0 };
	FILE *file;

	if (!lstat(path, &st) && S_ISDIR(st.st_mode))
		return hash_folder(path);
	file = S_ISREG(st.st_mode) ? fopen(path, "rb") : NULL;
	for (size_t len; file && (len = fread(data, 1, sizeof(data), file));)
		h = fnv(h, data, len);
	if (!file || ferror(file) | fclose(file)) {
		fprintf(stderr, "hash-tree: cannot read %s\n", path);
		failed = 1;
	}
	return h;
}

int main(int argc, char **argv)
{
	struct stat st;
	int err;

	if (argc != 2 || stat(argv[1], &st) || !S_ISDIR(st.st_mode))
		return fprintf(stderr, "usage: hash-tree FOLDER, which must exist\n"), 2;
	err = pulse_pool_create(NULL, &pool);
	if (err)
		return fprintf(stderr, "hash-tree: %s\n", pulse_strerror(err)), 1;
	printf("%016llx\n", (unsigned long long)hash_folder(argv[1]));
	pulse_pool_destroy(pool);
	return failed;
}
