/* SPDX-License-Identifier: Apache-2.0 */
/* For: trying recipes on layer tars, without images around them: bench/recipe compares sizes with it.
 * Relies on: src/delta.
 * Promises: what is applied is compared with nothing; the caller does.
 *
 * usage: recipe write NEW BASE... >RECIPE      (LEVEL, WINDOW, JOBS in the environment)
 *        recipe apply RECIPE SIZE BASE... >NEW
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "delta/recipe.h"

#define BASES_MAX 64

struct tar {
	int fd;
	int64_t size;
	struct layer_index *index;
};

static int64_t read_tar(void *arg, size_t i, int64_t off, void *data, size_t len, dray_error **err)
{
	return io_pread(((struct tar *)arg)[i].fd, data, len, off, err);
}

static int number(const char *name)
{
	const char *text = getenv(name);

	return text ? (int)strtol(text, NULL, 10) : 0;
}

static int open_tar(const char *path, bool index, struct tar *ret, dray_error **err)
{
	const struct layer_index_options o = { .contents = true };
	cleanup_source struct source *in = NULL;
	struct stat st;

	ret->fd = io_openat(AT_FDCWD, path, O_RDONLY, 0, err);
	if (ret->fd < 0 || io_fstat(ret->fd, &st, err) < 0)
		return -1;
	ret->size = st.st_size;
	if (!index)
		return 0;
	in = source_from_extent(ret->fd, 0, ret->size, err);
	return in ? layer_index_read(in, &o, &ret->index, err) : -1;
}

static int open_bases(char **paths, int n, bool index, struct tar *tars, struct recipe_base *list,
		      dray_error **err)
{
	for (int i = 0; i < n; i++) {
		if (open_tar(paths[i], index, &tars[i], err) < 0)
			return -1;
		list[i] = (struct recipe_base){ .index = tars[i].index, .size = tars[i].size };
	}
	return 0;
}

static int write_recipe(const char *path, const struct recipe_bases *b, struct sink *out,
			dray_error **err)
{
	struct tar tar = { 0 };
	struct recipe_stats s;
	int jobs = number("JOBS"), rc = -1;
	struct pool *pool = jobs > 0 ? pool_new(jobs, err) : NULL;
	const struct recipe_options o = { (size_t)number("WINDOW"), number("LEVEL"), pool };

	if (open_tar(path, true, &tar, err) == 0) {
		const struct recipe_new new = { tar.index, read_tar, &tar };
		int64_t start = io_now_ms();

		rc = recipe_write(&new, b, &o, out, &s, err);
		if (rc == 0)
			fprintf(stderr,
				"tar %lld stored %lld: referenced %lld patched %lld literal %lld; "
				"files same %zu patched %zu new %zu; %lld ms\n",
				(long long)s.tar, (long long)s.stored, (long long)s.referenced,
				(long long)s.patched, (long long)s.literal, s.files_same,
				s.files_patched, s.files_new, (long long)(io_now_ms() - start));
	}
	layer_index_free(tar.index);
	close(tar.fd);
	pool_free(pool);
	return rc;
}

static int apply_recipe(const char *path, const char *size, const struct recipe_bases *b,
			struct sink *out, dray_error **err)
{
	int fd = io_openat(AT_FDCWD, path, O_RDONLY, 0, err);
	cleanup_source struct source *s = fd < 0 ? NULL : source_from_fd(fd, true, err);

	s = recipe_open(steal_pointer(&s), b, strtoll(size, NULL, 10), err);
	return s && pump(s, out, err) >= 0 ? 0 : -1;
}

static int run(int argc, char **argv, dray_error **err)
{
	bool write = argc > 3 && strcmp(argv[1], "write") == 0;
	int first = write ? 3 : 4, n = argc - first;
	struct tar tars[BASES_MAX] = { 0 };
	struct recipe_base list[BASES_MAX];
	struct recipe_bases b = { list, (size_t)n, read_tar, tars };
	cleanup_sink struct sink *out = NULL;
	int rc;

	if (argc < 4 || n < 0 || n > BASES_MAX)
		return err_set(err, DRAY_ERR_USAGE,
			       "recipe write NEW BASE... | apply RECIPE SIZE BASE...");
	out = sink_to_fd(STDOUT_FILENO, false, err);
	rc = out ? open_bases(argv + first, n, write, tars, list, err) : -1;
	if (rc == 0)
		rc = write ? write_recipe(argv[2], &b, out, err)
			   : apply_recipe(argv[2], argv[3], &b, out, err);
	if (rc == 0)
		rc = sink_finish(out, err);
	for (int i = 0; i < n; i++) {
		layer_index_free(tars[i].index);
		close(tars[i].fd);
	}
	return rc;
}

int main(int argc, char **argv)
{
	cleanup_error dray_error *err = NULL;

	if (run(argc, argv, &err) == 0)
		return 0;
	fprintf(stderr, "recipe: %s\n", dray_error_message(err));
	return 1;
}
