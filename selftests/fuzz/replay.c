// SPDX-License-Identifier: GPL-2.0-only
/*
 * replay.c - runs a fuzzer's inputs without a fuzzer: usage: prog FILE|DIR...
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	struct stat st;
	size_t n = 0;

	if (!f || fstat(fileno(f), &st)) {
		perror(path);
		return 1;
	}
	/* Exactly its size, so that a sanitizer sees a step beyond. */
	data = malloc((size_t)st.st_size + !st.st_size);
	if (data)
		n = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	if (!data || n != (size_t)st.st_size) {
		fprintf(stderr, "%s: cannot be read\n", path);
		free(data);
		return 1;
	}
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 0;
}

static int replay_dir(const char *path, int *files)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int rc = 0;

	if (!dir) {
		perror(path);
		return 1;
	}
	while ((e = readdir(dir))) {
		char name[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		rc |= replay_file(name);
		++*files;
	}
	closedir(dir);
	return rc;
}

int main(int argc, char **argv)
{
	int rc = 0, files = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (!stat(argv[i], &st) && S_ISDIR(st.st_mode)) {
			rc |= replay_dir(argv[i], &files);
		} else {
			rc |= replay_file(argv[i]);
			files++;
		}
	}
	printf("# %d inputs\n", files);
	return rc || !files;
}
