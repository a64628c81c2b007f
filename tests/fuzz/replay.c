/* SPDX-License-Identifier: Apache-2.0
 *
 * For: running the corpus of a fuzz target as an ordinary test.
 * Relies on: the target's LLVMFuzzerTestOneInput().
 * Promises: every file of the folder is run, in order of name; a crash names it.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	struct stat st;
	FILE *f = fopen(path, "rb");

	if (!f || fstat(fileno(f), &st) < 0) {
		perror(path);
		return -1;
	}
	size_t size = (size_t)st.st_size;
	/* Exactly this much, so that a sanitizer sees the first byte past the end. */
	uint8_t *data = malloc(size ? size : 1);
	if (!data || fread(data, 1, size, f) != size) {
		perror(path);
		exit(1);
	}
	fclose(f);
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

static int is_visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	struct dirent **entries;
	char path[4096];
	int failed = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: replay FOLDER\n");
		return 2;
	}
	int n = scandir(argv[1], &entries, is_visible, alphasort);
	if (n <= 0) {
		fprintf(stderr, "%s: no corpus\n", argv[1]);
		return 1;
	}
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
		failed |= run_file(path) < 0;
		free(entries[i]);
	}
	free(entries);
	return failed;
}
