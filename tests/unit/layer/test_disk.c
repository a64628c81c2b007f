/* SPDX-License-Identifier: Apache-2.0
 *
 * Trees on the disk: the rows of cases.h come out as the tree says, and every failure is told.
 * Relies on a folder for temporary files whose file system knows hard links.
 * Promises that nothing is left of a stage, however its run ends.
 */
#include "layers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/outdir.h"
#include "cases.h"
#include "layer/disk.h"
#include "torture.h"

static char home[] = "/tmp/dray-test-disk-XXXXXX";

struct home_of {
	struct disk *d;
	uint32_t home;
};

static int put_content(void *arg, const struct layer_entry *e, struct source *data,
		       dray_error **err)
{
	const struct home_of *h = arg;

	return disk_put(h->d, h->home, e, data, err);
}

/* Read the layers as unpack does: contents go to the disk as they pass. */
static int put_layers(struct built *b, struct disk *d, dray_error **err)
{
	for (size_t i = 0; i < b->n; i++) {
		struct home_of h = { d, (uint32_t)i };
		const struct layer_index_options o = { .file = put_content, .file_arg = &h };
		cleanup_source struct source *in = source_from_span(span_buf(&b->tar[i]), err);

		if (!in || disk_add_layer(d, (uint32_t)i, err) < 0 ||
		    layer_index_read(in, &o, &b->index[i], err) < 0)
			return -1;
	}
	b->tree = tree_of(b, b->n, err);
	return b->tree ? 0 : -1;
}

static int unpack(struct built *b, const char *dir, bool force, bool xattrs, dray_error **err)
{
	static const uint32_t of[STACK_MAX] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	const struct disk_homes homes = { of, false };
	const struct disk_options o = { .xattrs = xattrs };
	cleanup_outdir struct outdir out = OUTDIR_INIT;
	cleanup_disk struct disk *d = NULL;

	if (outdir_begin(&out, dir, force, err) < 0)
		return -1;
	d = disk_new(out.stage, &o, err);
	if (!d || put_layers(b, d, err) < 0 ||
	    disk_build(d, tree_root(b->tree), NULL, &homes, err) < 0)
		return -1;
	if (out.name)
		return disk_place(d, out.parent, out.name, err);
	return disk_merge(d, out.parent, force, err) < 0 ? -1 : outdir_finish(&out, err);
}

/* ---- what is there ---- */

static void check_node(const struct built *b, const struct node *n, int fd, const char *path)
{
	static const mode_t kinds[] = {
		[TAR_FILE] = S_IFREG, [TAR_SYMLINK] = S_IFLNK, [TAR_DIR] = S_IFDIR,
		[TAR_FIFO] = S_IFIFO, [TAR_CHAR] = S_IFCHR,    [TAR_BLOCK_DEV] = S_IFBLK
	};
	const struct layer_entry *a = n->inode->attrs;
	enum tar_type type = node_type(n);
	cleanup_buf struct buf text = BUF_INIT(MIB);
	struct stat st;

	if ((type == TAR_CHAR || type == TAR_BLOCK_DEV) && geteuid() != 0)
		return;
	assert_int_equal(fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & S_IFMT, kinds[type]);
	if (type != TAR_SYMLINK)
		assert_int_equal(st.st_mode & 01777, a ? a->mode & 01777 : 0755);
	assert_int_equal(st.st_mtim.tv_sec, a ? a->mtime : 0);
	assert_int_equal(st.st_mtim.tv_nsec, a ? a->mtime_nsec : 0);
	if (type != TAR_DIR)
		assert_int_equal(st.st_nlink, n->inode->n_names);
	if (type == TAR_SYMLINK) {
		assert_int_equal(io_readlinkat(fd, path, &text, NULL), 0);
		assert_span_is(span_buf(&text), n->inode->data->link);
	}
	if (type == TAR_FILE && (geteuid() == 0 || (a->mode & 0400))) {
		assert_int_equal(io_read_file(fd, path, MIB, &text, NULL), 0);
		assert_span(span_buf(&text),
			    span_of(b->tar[n->inode->data_layer].data + n->inode->data->data_off,
				    (size_t)n->inode->data->size));
	}
}

static size_t count_names(int fd)
{
	DIR *d = fdopendir(dup(fd));
	size_t n = 0;

	assert_non_null(d);
	rewinddir(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void check_tree(const struct built *b, const char *dir)
{
	cleanup_buf struct buf room = tb_new();
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (const struct node *n = tree_next(tree_root(b->tree)); n; n = tree_next(n))
		check_node(b, n, fd, path_of(n, &room));
	close(fd);
}

static size_t names_at_home(void)
{
	int fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t n = count_names(fd);

	close(fd);
	return n;
}

/* Nothing is there but @p want names. */
static void check_home(size_t want)
{
	assert_int_equal(names_at_home(), want);
}

static void remove_out(void)
{
	int fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(io_remove_tree(fd, "out", NULL), 0);
	close(fd);
}

static void out_path(char ret[64])
{
	snprintf(ret, 64, "%s/out", home);
}

/* ---- tests ---- */

static void test_rows(void **state)
{
	char out[64];

	(void)state;
	out_path(out);
	for (size_t i = 0; i < ROWS(stack_cases); i++) {
		cleanup_built struct built b = { 0 };
		dray_error *err = NULL;
		int rc;

		build_tars(&b, stack_cases[i].stack);
		rc = unpack(&b, out, false, false, &err);
		if (!stack_cases[i].want) {
			assert_int_equal(rc, -1);
			err_clear(&err);
			check_home(0);
			continue;
		}
		if (rc < 0)
			fail_msg("%s: %s", stack_cases[i].name, dray_error_message(err));
		check_tree(&b, out);
		check_home(1);
		remove_out();
	}
}

#define TRICKS                                                                                     \
	"d a @0555:0:0:5\nf a/f =one @0400:0:0:6.25 #user.x=1\nl link >a\np fifo\nf gone =x\n--\n" \
	"h a/h >a/f\nh b >a/f @0600:0:0:7\nf .wh.gone\nd c/d/e @0:0:0:1\nf a/g =two\n"

struct run {
	bool there, force; /* the folder; with a name of its own and some of the image's */
	const struct built *tars;
};

static void begin_run(const struct run *r, const char *out)
{
	int fd;

	remove_out();
	if (!r->there)
		return;
	assert_int_equal(mkdir(out, 0700), 0);
	if (!r->force)
		return;
	fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(fd, "mine", 0700), 0);
	assert_int_equal(mkdirat(fd, "a", 0700), 0);
	assert_int_equal(symlinkat("/", fd, "c"), 0);
	close(fd);
}

static int run_tricks(void *arg, dray_error **err)
{
	const struct run *r = arg;
	struct built b = { .n = r->tars->n };
	char out[64];
	int rc;

	out_path(out);
	memcpy(b.tar, r->tars->tar, sizeof(b.tar));
	rc = unpack(&b, out, r->force, true, err);
	memset(b.tar, 0, sizeof(b.tar)); /* the other's */
	built_clear(&b);
	return rc;
}

/* Without force: all of it or what was there before. */
static void check_run(void *arg, bool failed)
{
	const struct run *r = arg;
	char out[64];
	dray_error *err = NULL;
	struct stat st;
	int fd;

	out_path(out);
	fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (failed && !r->there && fd >= 0)
		fail_msg("a folder is left");
	if (failed && r->there && !r->force && count_names(fd) != 0)
		assert_int_equal(count_names(fd),
				 5); /* the last step failed: it is done all the same */
	if (!failed)
		assert_int_equal(fstatat(fd, "a/g", &st, AT_SYMLINK_NOFOLLOW), 0);
	if (!failed && r->force)
		assert_int_equal(fstatat(fd, "mine", &st, AT_SYMLINK_NOFOLLOW), 0);
	if (fd >= 0)
		close(fd);
	begin_run(r, out);
	if (names_at_home() > r->there) { /* the removal of a stage failed: the next run does it */
		assert_ok(run_tricks(arg, &err), err);
		begin_run(r, out);
	}
	check_home(r->there);
}

static void test_torture(void **state)
{
	static const struct run runs[] = { { 0 }, { .there = true }, { true, true, NULL } };
	cleanup_built struct built tars = { 0 };
	char out[64];

	(void)state;
	out_path(out);
	build_tars(&tars, TRICKS);
	for (size_t i = 0; i < ROWS(runs); i++) {
		struct run r = runs[i];

		r.tars = &tars;
		begin_run(&r, out);
		torture_io(run_tricks, &r, EIO, check_run);
		begin_run(&r, out);
	}
	remove_out();
}

/* Any run that fails leaves nothing, so that the next begins as the first did. */
static void test_no_memory(void **state)
{
	cleanup_built struct built tars = { 0 };
	struct run r = { .tars = &tars };

	(void)state;
	build_tars(&tars, TRICKS);
	torture_alloc(run_tricks, &r);
	check_home(1);
	remove_out();
}

/* Paths that leave, or go through a link, are never opened. */
static void test_beneath(void **state)
{
	static const struct {
		const char *path;
		bool good;
	} rows[] = {
		{ "", true },	   { "a", true },     { "a/b", true },	   { "a/link/b", false },
		{ "link", false }, { "..", false },   { "a/../a", false }, { "a/../..", false },
		{ "/a", false },   { "a/no", false }, { "file", false },   { "a/./b", false },
		{ "a//b", false },
	};
	int fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(mkdirat(fd, "out", 0700), 0);
	assert_int_equal(mkdirat(fd, "out/a", 0700), 0);
	assert_int_equal(mkdirat(fd, "out/a/b", 0700), 0);
	assert_int_equal(symlinkat("a", fd, "out/link"), 0);
	assert_int_equal(symlinkat(".", fd, "out/a/link"), 0);
	int out = openat(fd, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(openat(out, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	for (size_t i = 0; i < ROWS(rows); i++) {
		dray_error *err = NULL;
		int got = io_open_beneath(out, rows[i].path, &err);

		if ((got >= 0) != rows[i].good)
			fail_msg("'%s': %d", rows[i].path, got);
		if (got >= 0)
			close(got);
		err_clear(&err);
	}
	close(out);
	close(fd);
	remove_out();
}

static int make_home(void **state)
{
	(void)state;
	umask(0);
	return mkdtemp(home) ? 0 : -1;
}

static int remove_home(void **state)
{
	(void)state;
	return rmdir(home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_torture),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_beneath),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
