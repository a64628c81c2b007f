/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders that are looked through ahead, by as many threads as there are.
 * Relies on build/walk and flow/pool.
 * Promises the same entries, and the same error, whoever looks.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/limits.h"
#include "build/walk.h"
#include "flow/pool.h"
#include "torture.h"

#define FOLDERS 40
#define MANY 4200 /* more than are looked at in one go */
#define ROUNDS 10

static const int THREADS[] = { 1, 2, 8 };
static const struct policy PLAIN = { .uname = "", .gname = "" };

struct folder {
	char *path;
	int fd;
};

static void make_file(int fd, const char *path)
{
	int file = openat(fd, path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(file >= 0);
	assert_int_equal(write(file, path, strlen(path)), (ssize_t)strlen(path));
	close(file);
}

static void make_folder(int fd, const char *path)
{
	assert_int_equal(mkdirat(fd, path, 0755), 0);
}

/* One of forty: files, a link, an attribute where the file system has such, names of files elsewhere. */
static void fill_folder(const struct folder *f, int i)
{
	char name[64], other[64], full[4096];

	snprintf(name, sizeof(name), "d%02d", i);
	make_folder(f->fd, name);
	snprintf(name, sizeof(name), "d%02d/file", i);
	make_file(f->fd, name);
	snprintf(full, sizeof(full), "%s/%s", f->path, name);
	if (setxattr(full, "user.dray", name, strlen(name), 0) < 0)
		assert_int_equal(errno, ENOTSUP);
	snprintf(other, sizeof(other), "d%02d/link", i);
	assert_int_equal(symlinkat(name, f->fd, other), 0);
	snprintf(other, sizeof(other), "d%02d/sub", i);
	make_folder(f->fd, other);
	snprintf(other, sizeof(other), "d%02d/sub/same", i);
	snprintf(name, sizeof(name), "d%02d/file", i / 2);
	assert_int_equal(linkat(f->fd, name, f->fd, other, 0), 0);
}

static struct folder *folder_make(int n)
{
	struct folder *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->path = temp_dir_make(&f->fd);
	for (int i = 0; i < n; i++)
		fill_folder(f, i);
	return f;
}

static int set_up(void **state)
{
	struct folder *f = folder_make(FOLDERS);

	/* What comes behind it in the same job has to wait for its turn. */
	make_folder(f->fd, "d17/many");
	for (int i = 0; i < MANY; i++) {
		char name[64];

		snprintf(name, sizeof(name), "d17/many/%04d", i);
		make_file(f->fd, name);
	}
	*state = f;
	return 0;
}

static int set_up_few(void **state)
{
	*state = folder_make(3);
	return 0;
}

static int tear_down(void **state)
{
	struct folder *f = *state;
	dray_error *err = NULL;

	assert_ok(io_remove_tree(AT_FDCWD, f->path, &err), err);
	close(f->fd);
	free(f->path);
	free(f);
	return 0;
}

/* ---- what came of it, as text ---- */

static int tell_xattrs(const struct layer_xattrs *x, struct buf *ret, dray_error **err)
{
	for (size_t i = 0; x && i < x->n; i++)
		if (buf_add(ret, x->list[i].name, err) < 0 ||
		    buf_add(ret, x->list[i].value, err) < 0)
			return -1;
	return buf_add_byte(ret, '\n', err);
}

static int tell(const struct layer_index *ix, struct buf *ret, dray_error **err)
{
	for (size_t i = 0; i < ix->n; i++) {
		const struct layer_entry *e = &ix->list[i];

		if (buf_printf(ret, err, "%s %d %s %o %lld %lld %lld ", e->path, e->type,
			       e->link ? e->link : "-", e->mode, (long long)e->size,
			       (long long)e->data_off, (long long)e->mtime) < 0 ||
		    tell_xattrs(e->xattrs, ret, err) < 0)
			return -1;
	}
	return 0;
}

static int walk_told(const struct folder *f, struct pool *pool, const struct walk *like,
		     struct buf *ret, dray_error **err)
{
	cleanup_inputs struct inputs in = INPUTS_INIT;
	cleanup_layer_index struct layer_index *ix = entries_new(err);
	struct walk w = like ? *like : (struct walk){ .to = "srv/app" };

	w.in = &in;
	w.root = f->path;
	w.policy = &PLAIN;
	w.pool = pool;
	return !ix || walk_dir(&w, ix, err) < 0 ? -1 : tell(ix, ret, err);
}

/* ---- tests ---- */

static void compare_all(const struct folder *f, const struct walk *like, const char *holds)
{
	cleanup_buf struct buf alone = BUF_INIT(8 << 20);
	dray_error *err = NULL;

	assert_ok(walk_told(f, NULL, like, &alone, &err), err);
	assert_ok(buf_add_byte(&alone, 0, &err), err);
	assert_non_null(strstr((const char *)alone.data, holds));
	alone.len--;
	for (size_t i = 0; i < ROWS(THREADS) * ROUNDS; i++) {
		struct pool *pool = pool_new(THREADS[i % ROWS(THREADS)], &err);
		cleanup_buf struct buf together = BUF_INIT(8 << 20);

		assert_non_null(pool);
		assert_ok(walk_told(f, pool, like, &together, &err), err);
		assert_span(span_buf(&together), span_buf(&alone));
		pool_free(pool);
	}
}

static void test_same_entries(void **state)
{
	const struct folder *f = *state;
	cleanup_buf struct buf text = BUF_INIT(8 << 20);
	dray_error *err = NULL;
	size_t lines = 0;

	compare_all(f, NULL, "srv/app/d17/many/4199 ");
	assert_ok(walk_told(f, NULL, NULL, &text, &err), err);
	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n';
	assert_int_equal(lines, 1 + FOLDERS * 5 + 1 + MANY);
}

/* Threads look at what the globs name, and at nothing else. */
static void test_same_globs(void **state)
{
	const struct folder *f = *state;
	static const char *const in[] = { "d1*/**" }, *const out[] = { "link", "many/" };
	struct arena a = { 0 };
	dray_error *err = NULL;
	struct walk w = { .to = "" };

	assert_ok(match_parse_all(&a, in, ROWS(in), &w.include, &err), err);
	assert_ok(match_parse_all(&a, out, ROWS(out), &w.exclude, &err), err);
	compare_all(f, &w, "d19/sub/same ");
	arena_clear(&a);
}

/* Of several errors it is the first in order that is told, whoever met one first. */
static void test_same_error(void **state)
{
	const struct folder *f = *state;
	cleanup_buf struct buf text = BUF_INIT(8 << 20);

	for (int i = 12; i < FOLDERS; i += 3) {
		char name[64];

		snprintf(name, sizeof(name), "d%02d/socket", i);
		assert_int_equal(mknodat(f->fd, name, S_IFSOCK | 0600, 0), 0);
	}
	for (size_t i = 0; i < ROWS(THREADS) * ROUNDS; i++) {
		dray_error *err = NULL;
		struct pool *pool = pool_new(THREADS[i % ROWS(THREADS)], &err);

		assert_non_null(pool);
		assert_int_equal(walk_told(f, pool, NULL, &text, &err), -1);
		assert_err(err, DRAY_ERR_UNSUPPORTED, "/d12/socket: a socket");
		pool_free(pool);
	}
}

/* The longest path below is "dNN/sub/same": with a slash before it thirteen bytes. */
static void test_long_paths(void **state)
{
	const struct folder *f = *state;
	cleanup_buf struct buf text = BUF_INIT(8 << 20);
	char *to = malloc(LIMIT_PATH);
	struct walk w = { .to = to };
	dray_error *err = NULL;

	assert_non_null(to);
	memset(to, 'x', LIMIT_PATH);
	to[LIMIT_PATH - 13] = 0;
	assert_ok(walk_told(f, NULL, &w, &text, &err), err);
	to[LIMIT_PATH - 13] = 'x';
	to[LIMIT_PATH - 12] = 0;
	assert_int_equal(walk_told(f, NULL, &w, &text, &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "/d00/sub/same: a path over LIMIT_PATH");
	free(to);
}

struct torture {
	const struct folder *f;
	struct pool *pool;
};

static int walk_once(void *arg, dray_error **err)
{
	const struct torture *t = arg;
	cleanup_buf struct buf text = BUF_INIT(8 << 20);

	return walk_told(t->f, t->pool, NULL, &text, err);
}

static void test_torture(void **state)
{
	dray_error *err = NULL;
	struct torture t = { *state, pool_new(4, &err) };

	assert_non_null(t.pool);
	torture_alloc(walk_once, &t);
	torture_io(walk_once, &t, EIO, NULL);
	pool_free(t.pool);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_same_entries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_same_globs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_same_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_paths, set_up_few, tear_down),
		cmocka_unit_test_setup_teardown(test_torture, set_up_few, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
