/* SPDX-License-Identifier: Apache-2.0
 *
 * Package databases in the layers of an image: which are found, through which links, and what is
 * said of those that are not read.
 */
#include <errno.h>

#include "torture.h"

#include "ops/packages.h"
#include "ops_box.h"

#define STATUS(version) \
	"Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: " version "\n"

/* Debian below, then a newer status, apk behind a link, and databases of rpm that are not read. */
static const char *make_image(struct box *b, enum encoding encoding)
{
	cleanup_buf struct buf low = tb_new(), high = tb_new();
	struct piece *p[2];

	tb_symlink(&low, "bin", "usr/bin");
	tb_file(&low, "usr/bin/x", "x");
	tb_file(&low, "var/lib/dpkg/status", STATUS("1"));
	tb_file(&low, "var/lib/dpkg/info/a.list", "/.\n/bin\n/bin/x\n");
	tb_file(&low, "var/lib/dpkg/info/a.md5sums", "00  bin/md5sums-are-no-list\n");
	tb_file(&low, "var/lib/dpkg/info/gone.list", "/gone\n");
	tb_file(&low, "var/lib/dpkg/status.d/s", "Package: s\nVersion: 7\n");
	tb_file(&low, "var/lib/dpkg/status.d/s.md5sums", "00  s\n");
	tb_file(&low, "var/lib/dpkg/diversions", "/y\n/y.div\n:\n");
	tb_file(&low, "var/lib/rpm/Packages", "bdb");
	tb_file(&high, "var/lib/dpkg/status", STATUS("2"));
	tb_file(&high, "usr/lib/apk/db/installed", "P:m\nV:3\nF:usr\nR:y\n");
	tb_symlink(&high, "lib", "usr/lib");
	tb_symlink(&high, "usr/lib/sysimage/rpm", "/var/lib/rpm");
	tb_file(&high, "var/lib/rpm/rpmdb.sqlite-wal", "");
	p[0] = box_tar_piece(b, &low, encoding);
	p[1] = box_tar_piece(b, &high, encoding);
	return box_oci_plain(b, "image.tar", false, p, 2);
}

/* ---- what is logged ---- */

struct heard {
	char text[4096];
	size_t n;
};

static void hear(void *arg, enum dray_log_level level, const char *text)
{
	struct heard *h = arg;

	if (level != DRAY_LOG_WARNING)
		return;
	h->n++;
	snprintf(h->text, sizeof(h->text), "%s", text);
}

static dray_context *listening(struct heard *h)
{
	const struct dray_context_options o = { .size = sizeof(o),
						.jobs = 2,
						.no_cache = true,
						.platform = "linux/amd64",
						.log = hear,
						.arg = h };
	dray_context *ctx = NULL;
	dray_error *err = NULL;

	assert_ok(dray_context_new(&o, &ctx, &err), err);
	return ctx;
}

/* ---- reading ---- */

static int read_image(dray_context *ctx, const char *place, struct package_set **ret,
		      dray_error **err)
{
	const struct stack_options o = { 0 };
	cleanup_stack struct stack *s = NULL;
	cleanup_tree struct tree *t = NULL;

	if (stack_open(ctx, place, NULL, &o, &s, err) < 0 || stack_tree(s, s->n, &t, err) < 0)
		return -1;
	return packages_read(s, t, ret, err);
}

static void assert_owner(const struct package_set *p, const char *path, const char *name)
{
	const struct package *o = package_of(p, path);

	assert_string_equal(o ? o->name : "-", name);
}

static void assert_image(const struct package_set *p)
{
	assert_int_equal(p->n, 3);
	assert_string_equal(p->list[0].manager, "apk");
	assert_string_equal(p->list[0].name, "m");
	assert_string_equal(p->list[1].name, "a");
	assert_string_equal(p->list[1].version, "2");
	assert_string_equal(p->list[2].name, "s");
	assert_owner(p, "usr/bin/x", "a");
	assert_owner(p, "bin/x", "-"); /* no node has this path */
	assert_owner(p, "bin", "a");
	assert_owner(p, "s", "s");
	assert_owner(p, "usr/y", "m");
	assert_owner(p, "gone", "-");
	assert_owner(p, "bin/md5sums-are-no-list", "-");
}

static void test_read(void **state)
{
	static const enum encoding encodings[] = { ENCODING_NONE, ENCODING_GZIP, ENCODING_ZSTD };
	struct box *b = *state;

	for (size_t i = 0; i < ROWS(encodings); i++) {
		cleanup_packages struct package_set *p = NULL;
		const char *place = make_image(b, encodings[i]);
		struct heard h = { .n = 0 };
		dray_context *ctx = listening(&h);
		dray_error *err = NULL;

		assert_ok(read_image(ctx, place, &p, &err), err);
		assert_image(p);
		/* Two ways lead to it, and the log is empty. */
		assert_int_equal(h.n, 1);
		assert_non_null(strstr(h.text, "usr/lib/sysimage/rpm/Packages: this format"));
		dray_context_free(ctx);
	}
}

static void test_none(void **state)
{
	struct box *b = *state;
	struct piece *one = box_piece(b, "x", ENCODING_NONE);
	cleanup_packages struct package_set *p = NULL;
	dray_error *err = NULL;

	assert_ok(read_image(b->ctx, box_docker_plain(b, "n.tar", &one, 1), &p, &err), err);
	assert_int_equal(p->n, 0);
	assert_owner(p, "f", "-");
}

struct broken {
	const char *path, *text, *part;
};

static void test_refused(void **state)
{
	static const struct broken rows[] = {
		{ "var/lib/dpkg/status", "x", "(test/app:1): var/lib/dpkg/status: line 1 is no" },
		{ "lib/apk/db/installed", "V:1", "lib/apk/db/installed: line 1: a package" },
		{ "var/lib/rpm/rpmdb.sqlite", "SQLite format 3", "rpmdb.sqlite: it is no SQLite" },
		{ "var/lib/rpm/rpmdb.sqlite", "", "rpmdb.sqlite: it is no SQLite" },
	};
	struct box *b = *state;

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf tar = tb_new();
		struct package_set *p = NULL;
		struct piece *one;
		dray_error *err = NULL;

		tb_file(&tar, rows[i].path, rows[i].text);
		one = box_tar_piece(b, &tar, ENCODING_GZIP);
		assert_int_equal(
			read_image(b->ctx, box_docker_plain(b, "image.tar", &one, 1), &p, &err),
			-1);
		assert_err(err, DRAY_ERR_FORMAT, rows[i].part);
	}
}

struct opened {
	struct stack *s;
	struct tree *t;
};

static int tortured(void *arg, dray_error **err)
{
	const struct opened *o = arg;
	cleanup_packages struct package_set *p = NULL;

	if (packages_read(o->s, o->t, &p, err) < 0)
		return -1;
	assert_image(p);
	return 0;
}

static void test_torture(void **state)
{
	static const enum encoding encodings[] = { ENCODING_NONE, ENCODING_ZSTD };
	const struct stack_options so = { 0 };
	struct box *b = *state;

	for (size_t i = 0; i < ROWS(encodings); i++) {
		const char *place = make_image(b, encodings[i]);
		struct opened o = { 0 };
		dray_error *err = NULL;

		assert_ok(stack_open(b->ctx, place, NULL, &so, &o.s, &err), err);
		assert_ok(stack_tree(o.s, o.s->n, &o.t, &err), err);
		torture_alloc(tortured, &o);
		torture_io(tortured, &o, EIO, NULL);
		tree_free(o.t);
		stack_free(o.s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(test_read),
		box_test(test_none),
		box_test(test_refused),
		box_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
