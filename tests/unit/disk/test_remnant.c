/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers made anew of their folders: what driver notes become, what stays the same, and what
 * is planted in such a folder.
 */
#include "stream.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include "base/limits.h"
#include "base/mem.h"
#include "disk/disk_priv.h"
#include "disk/remnant.h"
#include "disk/storage_conf.h"
#include "torture.h"

struct fixture {
	char *path;
	int fd;
};

static void begin(struct fixture *f)
{
	f->path = temp_dir_make(&f->fd);
	assert_int_equal(mkdirat(f->fd, "layer", 0755), 0);
	assert_int_equal(mkdirat(f->fd, "below", 0755), 0);
}

static void end(struct fixture *f)
{
	close(f->fd);
	remove_tree(f->path);
	free(f->path);
}

/* A file of the fixture, the folders above it, and the same time for all of them. */
static void put(const struct fixture *f, const char *path, const char *text)
{
	static const struct timespec times[2] = { { 1700000000, 5 }, { 1700000000, 5 } };
	cleanup_free char *at = mem_strdup(path);

	for (char *slash = strchr(at, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdirat(f->fd, at, 0755);
		*slash = '/';
	}
	put_file(f->fd, at, span_str(text));
	assert_int_equal(utimensat(f->fd, at, times, 0), 0);
	for (char *slash = strrchr(at, '/'); slash; slash = strrchr(at, '/')) {
		*slash = '\0';
		assert_int_equal(utimensat(f->fd, at, times, 0), 0);
	}
}

static void put_socket(const struct fixture *f, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", f->path, path);
	assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof(address)), 0);
	close(s);
}

static bool set_xattr(const struct fixture *f, const char *path, const char *name, const char *v)
{
	cleanup_free char *at = mem_printf("%s/%s", f->path, path);

	return setxattr(at, name, v, strlen(v), 0) == 0;
}

/* The layer by itself, and one that is a whole tree above another. */
static struct remnant_from layer_of(const struct fixture *f)
{
	return (struct remnant_from){ .root = f->fd, .files = "layer" };
}

static struct remnant_from whole_of(const struct fixture *f)
{
	return (struct remnant_from){ .root = f->fd,
				      .files = "layer",
				      .whole = true,
				      .below_root = f->fd,
				      .below = "below" };
}

/* "f 644 3 etc/a -> b" a line each. */
static char *text_of(const struct remnant *r)
{
	static const char types[] = {
		[TAR_FILE] = 'f',      [TAR_HARDLINK] = 'h', [TAR_SYMLINK] = 'l', [TAR_CHAR] = 'c',
		[TAR_BLOCK_DEV] = 'b', [TAR_DIR] = 'd',	     [TAR_FIFO] = 'p'
	};
	struct buf out = BUF_INIT(100000);

	for (size_t i = 0; i < r->n; i++) {
		const struct remnant_entry *e = &r->list[i];

		assert_int_equal(buf_printf(&out, NULL, "%c %lld %s%s%s\n", types[e->type],
					    (long long)e->size, e->path, e->link ? " -> " : "",
					    e->link ? e->link : ""),
				 0);
	}
	return buf_steal_str(&out, NULL);
}

static void expect_entries(const struct remnant_from *from, const char *want)
{
	struct arena a = { 0 };
	struct remnant r;
	dray_error *err = NULL;

	assert_ok(remnant_read(&a, from, &r, &err), err);
	cleanup_free char *have = text_of(&r);
	assert_string_equal(have, want);
	remnant_clear(&r);
	arena_clear(&a);
}

/* Names in every kind of order, links, what aufs and fuse-overlayfs keep, and a socket. */
static void test_entries(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	put(&f, "layer/a.b", "12");
	put(&f, "layer/a/z", "1");
	put(&f, "layer/a/b", "123");
	put(&f, "layer/a-b", "");
	put(&f, "layer/a/.wh.gone", "what aufs keeps");
	put(&f, "layer/b/.wh..wh..opq", "");
	put(&f, "layer/b/.wh..wh.plnk", "");
	put(&f, "layer/b/.wh.", "");
	assert_int_equal(linkat(f.fd, "layer/a/b", f.fd, "layer/b/again", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", f.fd, "layer/b/link"), 0);
	assert_int_equal(mkfifoat(f.fd, "layer/fifo", 0600), 0);
	put_socket(&f, "layer/socket");
	const struct remnant_from from = layer_of(&f);
	expect_entries(&from, "d 0 a\n"
			      "f 0 a/.wh.gone\n"
			      "f 3 a/b\n"
			      "f 1 a/z\n"
			      "f 0 a-b\n"
			      "f 2 a.b\n"
			      "d 0 b\n"
			      "f 0 b/.wh..wh..opq\n"
			      "h 0 b/again -> a/b\n"
			      "l 0 b/link -> /etc/passwd\n"
			      "p 0 fifo\n");
	end(&f);
}

/* A rootless engine writes in attributes what it may not do. */
static void test_attributes(void **state)
{
	static const char stat_name[] = "user.containers.override_stat";
	struct fixture f;
	struct arena a = { 0 };
	struct remnant r;
	dray_error *err = NULL;

	(void)state;
	begin(&f);
	put(&f, "layer/d/file", "1");
	put(&f, "layer/d/gone", "");
	put(&f, "layer/d/null", "");
	put(&f, "layer/d/too", "");
	put(&f, "layer/d/odd", "");
	if (!set_xattr(&f, "layer/d/file", stat_name, "7:8:04711:file")) {
		end(&f);
		skip(); /* no file system that has them */
	}
	assert_true(set_xattr(&f, "layer/d/file", "user.mine", "kept"));
	assert_true(set_xattr(&f, "layer/d/file", "user.a", ""));
	assert_true(set_xattr(&f, "layer/d/gone", stat_name, "0:0:0:char-0-0"));
	assert_true(set_xattr(&f, "layer/d/null", stat_name, "0:0:0666:char-1-3"));
	assert_true(set_xattr(&f, "layer/d/too", "user.overlay.whiteout", ""));
	assert_true(set_xattr(&f, "layer/d/odd", stat_name, "1:99999999999:0666"));
	assert_true(set_xattr(&f, "layer/d", "user.overlay.opaque", "y"));
	const struct remnant_from from = layer_of(&f);
	expect_entries(&from, "d 0 d\n"
			      "f 0 d/.wh..wh..opq\n"
			      "f 0 d/.wh.gone\n"
			      "f 0 d/.wh.too\n"
			      "f 1 d/file\n"
			      "c 0 d/null\n"
			      "f 0 d/odd\n");
	assert_ok(remnant_read(&a, &from, &r, &err), err);
	assert_int_equal(r.list[4].mode, 04711);
	assert_int_equal(r.list[4].uid, 7);
	assert_int_equal(r.list[4].gid, 8);
	assert_int_equal(r.list[4].n_xattrs, 2);
	assert_true(span_is(r.list[4].xattrs[0].name, "user.a"));
	assert_true(span_is(r.list[4].xattrs[1].value, "kept"));
	assert_int_equal(r.list[5].dev_major, 1);
	assert_int_equal(r.list[5].dev_minor, 3);
	remnant_clear(&r);
	arena_clear(&a);
	/* What the kernel left in a layer below cannot be made of this folder. */
	assert_true(set_xattr(&f, "layer/d/file", "user.overlay.metacopy", ""));
	assert_int_equal(remnant_read(&a, &from, &r, &err), -1);
	assert_err(err, DRAY_ERR_UNSUPPORTED, "\"file\"");
	arena_clear(&a);
	end(&f);
}

/* Where each layer is a whole tree, its own is what differs. */
static void test_whole(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (int i = 0; i < 2; i++) {
		put(&f, i ? "layer/same" : "below/same", "1");
		put(&f, i ? "layer/d/same" : "below/d/same", "1");
		put(&f, i ? "layer/d/other" : "below/d/other", i ? "12" : "1");
		put(&f, i ? "layer/turned" : "below/turned/x", "");
	}
	put(&f, "below/d/gone", "");
	put(&f, "below/away/x", "");
	put(&f, "below/d/same", "1"); /* the folder's time */
	put(&f, "layer/new/x", "");
	const struct remnant_from from = whole_of(&f);
	expect_entries(&from, "f 0 .wh.away\n"
			      "f 0 d/.wh.gone\n"
			      "f 2 d/other\n"
			      "d 0 new\n"
			      "f 0 new/x\n"
			      "f 0 turned\n");
	const struct remnant_from bottom = { .root = f.fd, .files = "layer", .whole = true };
	expect_entries(&bottom, "d 0 d\n"
				"f 2 d/other\n"
				"f 1 d/same\n"
				"d 0 new\n"
				"f 0 new/x\n"
				"f 1 same\n"
				"f 0 turned\n");
	end(&f);
}

/* A file keeps all its names when one of them is new, and none of them when none is. */
static void test_whole_links(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (int i = 0; i < 2; i++) {
		put(&f, i ? "layer/d/x" : "below/d/x", "1");
		put(&f, i ? "layer/same" : "below/same", "12");
	}
	assert_int_equal(linkat(f.fd, "below/d/x", f.fd, "below/d/y", 0), 0);
	assert_int_equal(linkat(f.fd, "layer/d/x", f.fd, "layer/d/w", 0), 0);
	assert_int_equal(linkat(f.fd, "below/same", f.fd, "below/twin", 0), 0);
	assert_int_equal(linkat(f.fd, "layer/same", f.fd, "layer/twin", 0), 0);
	put(&f, "below/d/z", "");
	put(&f, "layer/d/z", "");
	const struct remnant_from from = whole_of(&f);
	expect_entries(&from, "f 0 d/.wh.y\n"
			      "f 1 d/w\n"
			      "h 0 d/x -> d/w\n");
	end(&f);
}

/* The tree below may lie in another store. */
static void test_below_elsewhere(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	put(&f, "layer/a", "1");
	put(&f, "layer/b", "1");
	put(&f, "other/below/a", "1");
	put(&f, "below/b", "1");
	int other = openat(f.fd, "other", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct remnant_from from = {
		.root = f.fd, .files = "layer", .whole = true, .below_root = other, .below = "below"
	};
	expect_entries(&from, "f 1 b\n");
	close(other);
	end(&f);
}

/* A file that a socket stands in place of is gone; a socket that was there was no layer's. */
static void test_replaced_by_socket(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	put(&f, "below/d/file", "1");
	put(&f, "layer/d/x", "");
	put_socket(&f, "below/d/old");
	put_socket(&f, "layer/d/old");
	put_socket(&f, "layer/d/file");
	put_socket(&f, "layer/d/new");
	put(&f, "layer/d/x", ""); /* the folders' times */
	put(&f, "below/d/file", "1");
	const struct remnant_from from = whole_of(&f);
	expect_entries(&from, "f 0 d/.wh.file\n"
			      "f 0 d/x\n");
	end(&f);
}

/* What two kinds of notes say both is said once. */
static void test_twins(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	put(&f, "layer/d/.wh..wh..opq", "");
	put(&f, "layer/d/.wh.gone", "");
	put(&f, "layer/d/gone", "");
	if (!set_xattr(&f, "layer/d", "user.overlay.opaque", "y")) {
		end(&f);
		skip(); /* no file system that has them */
	}
	assert_true(set_xattr(&f, "layer/d/gone", "user.overlay.whiteout", ""));
	const struct remnant_from from = layer_of(&f);
	expect_entries(&from, "d 0 d\n"
			      "f 0 d/.wh..wh..opq\n"
			      "f 0 d/.wh.gone\n");
	end(&f);
}

/* "user.a=b" would be read as user.a with a value that begins with b=. */
static void test_odd_attribute(void **state)
{
	struct arena a = { 0 };
	struct fixture f;
	struct remnant r;
	dray_error *err = NULL;

	(void)state;
	begin(&f);
	put(&f, "layer/file", "1");
	if (!set_xattr(&f, "layer/file", "user.a=b", "v")) {
		end(&f);
		skip(); /* no file system that has them */
	}
	assert_true(set_xattr(&f, "layer/file", "user.c", "v=w"));
	const struct remnant_from from = layer_of(&f);
	assert_ok(remnant_read(&a, &from, &r, &err), err);
	assert_int_equal(r.n_xattrs, 1);
	assert_int_equal(r.list[0].n_xattrs, 1);
	assert_true(span_is(r.list[0].xattrs[0].name, "user.c"));
	remnant_clear(&r);
	arena_clear(&a);
	end(&f);
}

/* The tar is as long as was said, reads as the entries, and is the same each time. */
static int read_tar(void *arg, dray_error **err)
{
	const struct fixture *f = arg;
	const struct remnant_from from = layer_of(f);
	cleanup_buf struct buf one = BUF_INIT(100000), two = BUF_INIT(100000);
	struct arena a = { 0 };
	struct remnant r = { 0 };
	int rc = remnant_read(&a, &from, &r, err);

	if (rc == 0)
		rc = slurp(remnant_open(&r, err), &one, err);
	if (rc == 0)
		rc = slurp(remnant_open(&r, err), &two, err);
	if (rc == 0 && (one.len != (size_t)r.size || !span_eq(span_buf(&one), span_buf(&two))))
		rc = err_set(err, DRAY_ERR_FORMAT, "%zu and %zu bytes, %lld announced", one.len,
			     two.len, (long long)r.size);
	remnant_clear(&r);
	arena_clear(&a);
	return rc;
}

static void test_tar(void **state)
{
	struct fixture f;
	dray_error *err = NULL;

	(void)state;
	begin(&f);
	put(&f, "layer/d/one", "1");
	put(&f, "layer/d/two", "22");
	assert_int_equal(linkat(f.fd, "layer/d/two", f.fd, "layer/three", 0), 0);
	assert_ok(read_tar(&f, &err), err);
	torture_alloc(read_tar, &f);
	torture_io(read_tar, &f, EIO, NULL);
	end(&f);
}

/* What is planted in the folder's place, or in it. */
static void test_hostile(void **state)
{
	struct arena a = { 0 };
	struct fixture f;
	struct remnant r;
	dray_error *err = NULL;

	(void)state;
	begin(&f);
	put(&f, "outside/secret", "1");
	assert_int_equal(symlinkat("outside", f.fd, "link"), 0);
	const struct remnant_from led = { .root = f.fd, .files = "link" };
	assert_int_equal(remnant_read(&a, &led, &r, &err), -1);
	assert_err(err, DRAY_ERR_NOT_FOUND, "link");
	arena_clear(&a);
	/* A link to a folder stays a link. */
	const struct remnant_from from = layer_of(&f);
	assert_int_equal(symlinkat("../outside", f.fd, "layer/dir"), 0);
	expect_entries(&from, "l 0 dir -> ../outside\n");
	/* A file that claims to have more than there is on earth. */
	put(&f, "layer/huge", "");
	int fd = openat(f.fd, "layer/huge", O_WRONLY | O_CLOEXEC);
	int rc = ftruncate(fd, LIMIT_SPARSE_SIZE + 1);
	close(fd);
	if (rc == 0) {
		assert_int_equal(remnant_read(&a, &from, &r, &err), -1);
		assert_err(err, DRAY_ERR_LIMIT, "LIMIT_SPARSE_SIZE");
		arena_clear(&a);
	}
	end(&f);
}

/* A lost layer is the end of a tar and no more. */
static void test_nothing(void **state)
{
	const struct remnant_from from = { .root = -1 };
	cleanup_buf struct buf tar = BUF_INIT(10000);
	struct arena a = { 0 };
	struct remnant r;
	dray_error *err = NULL;

	(void)state;
	assert_ok(remnant_read(&a, &from, &r, &err), err);
	assert_ok(slurp(remnant_open(&r, &err), &tar, &err), err);
	assert_int_equal(tar.len, 1024);
	assert_int_equal(r.size, 1024);
	remnant_clear(&r);
	arena_clear(&a);
}

/* ---- storage.conf ---- */

static void test_conf(void **state)
{
	static const struct {
		const char *shared, *user; /* NULL = there is none */
		int64_t uid;
		const char *root, *driver, *more;
	} rows[] = {
		{ NULL, NULL, 0, "/var/lib/containers/storage", NULL, NULL },
		{ NULL, NULL, 7, "/home/me/containers/storage", NULL, NULL },
		{ "[storage]\ngraphroot = \"/g\"\ndriver = \"vfs\"\n",
		  "[storage]\ngraphroot=\"/u\"", 0, "/g", "vfs", NULL },
		{ "[storage]\ngraphroot = \"/g\"\n", NULL, 7, "/home/me/containers/storage", NULL,
		  NULL },
		{ "[storage]\nrootless_storage_path = \"/r/$UID/x\"\n", NULL, 7, "/r/7/x", NULL,
		  NULL },
		{ "[storage]\nrootless_storage_path = \"/r\"\n",
		  "[storage]\ngraphroot=\"/u${UID}/$\"", 7, "/u7/$", NULL, NULL },
		{ "[storage.options]\nadditionalimagestores = [\"/a\"]\n", NULL, 7,
		  "/home/me/containers/storage", NULL, NULL },
		{ "[storage]\ndriver=\"overlay2\"\n[storage.options]\nadditionalimagestores = "
		  "[\"\", \"/a\"]\n",
		  NULL, 0, "/var/lib/containers/storage", "overlay", "/a" },
		{ "[storage]\nimagestore=\"/i\"\n", NULL, 0, "/var/lib/containers/storage", NULL,
		  "/i" },
	};

	(void)state;
	unsetenv("STORAGE_OPTS");
	unsetenv("STORAGE_DRIVER");
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct storage_conf c = { 0 };
		struct fixture f;
		dray_error *err = NULL;

		begin(&f);
		if (rows[i].shared)
			put(&f, "shared.conf", rows[i].shared);
		if (rows[i].user)
			put(&f, "user.conf", rows[i].user);
		cleanup_free char *shared = mem_printf("%s/shared.conf", f.path);
		cleanup_free char *user = mem_printf("%s/user.conf", f.path);
		const struct storage_conf_from from = { shared, user, rows[i].uid, "/home/me" };
		assert_ok(storage_conf_from(&c, &from, &err), err);
		assert_string_equal(c.root, rows[i].root);
		assert_string_equal(c.driver ? c.driver : "-",
				    rows[i].driver ? rows[i].driver : "-");
		assert_int_equal(c.more.n, rows[i].more != NULL);
		if (rows[i].more)
			assert_string_equal(c.more.list[0], rows[i].more);
		storage_conf_clear(&c);
		end(&f);
	}
}

static void test_bad_conf(void **state)
{
	static const char *const rows[] = {
		"[storage",
		"[storage]\ngraphroot=5\n",
		"[storage.options]\nadditionalimagestores=\"/a\"\n",
		"[storage.options]\nadditionalimagestores=[5]\n",
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct storage_conf c = { 0 };
		struct fixture f;
		dray_error *err = NULL;

		begin(&f);
		put(&f, "shared.conf", rows[i]);
		cleanup_free char *shared = mem_printf("%s/shared.conf", f.path);
		const struct storage_conf_from from = { .shared = shared, .data = "" };
		assert_int_equal(storage_conf_from(&c, &from, &err), -1);
		assert_err_kind(err, DRAY_ERR_FORMAT);
		storage_conf_clear(&c);
		end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_tar),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_conf),
		cmocka_unit_test(test_bad_conf),
		cmocka_unit_test(test_whole_links),
		cmocka_unit_test(test_below_elsewhere),
		cmocka_unit_test(test_replaced_by_socket),
		cmocka_unit_test(test_twins),
		cmocka_unit_test(test_odd_attribute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
