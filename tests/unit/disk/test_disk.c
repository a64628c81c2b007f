/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks of engines that are whole: what is read of them, what their images may be asked for by, and
 * which kind of disk a folder is.
 */
#include "disk_support.h"

static void test_docker(void **state)
{
	const struct selector all = { .all = true };
	struct image **images = NULL;
	struct fixture f = { 0 };
	dray_error *err = NULL;
	size_t n = 0;

	(void)state;
	make_disk(&f, false);
	struct store *st = open_disk(&f, &err);
	assert_non_null(st);
	assert_ok(store_images(st, &all, &images, &n, &err), err);
	assert_int_equal(n, 1);
	assert_string_equal(images[0]->tags[0], "app:1");
	assert_int_equal(images[0]->layers[0].blob.size, strlen(TAR));
	assert_int_equal(images[0]->notes.n, 0);
	const struct dray_disk_info *d = images[0]->disk;
	assert_int_equal(d->n_repo_digests, 1);
	assert_string_equal(d->repo_digests[0], "app@sha256:" CACHE);
	assert_int_equal(d->n_containers, 1);
	assert_string_equal(d->containers[0], CACHE);
	assert_string_equal(d->parent, "sha256:" CACHE);
	assert_string_equal(d->state, "tagged");
	assert_int_equal(d->size, 9);
	/* The files are newer than the tag: they were made just now. */
	assert_string_equal(d->updated->event, "written");
	assert_string_equal(d->updated->certainty, "likely");
	assert_int_equal(d->n_events, 3);
	assert_string_equal(d->events[2].event, "tagged");
	assert_string_equal(d->events[2].certainty, "recorded");
	assert_string_equal(d->events[2].time, "2026-03-04T04:06:07.5Z");
	images_free(images, n);
	store_free(st);
	assert_ok(read_all(&f, &err), err);
	remove_disk(&f);
}

/* What an image may be asked for by. */
static void test_names(void **state)
{
	static const struct {
		const char *ref;
		bool found;
	} rows[] = {
		{ "app:1", true },
		{ "docker.io/library/app:1", true },
		{ "app", true }, /* its only tag */
		{ "app:2", false },
		{ "app@sha256:" CACHE, true },
		{ "docker.io/library/app@sha256:" CACHE, true },
		{ "other@sha256:" CACHE, false },
		{ "app@sha256:cd", false },
	};
	struct fixture f = { 0 };

	(void)state;
	make_disk(&f, false);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct selector sel = { .ref = rows[i].ref };
		struct image **images = NULL;
		dray_error *err = NULL;
		size_t n = 0;

		cleanup_store struct store *st = open_disk(&f, &err);
		assert_non_null(st);
		int rc = store_images(st, &sel, &images, &n, &err);
		if (rows[i].found)
			assert_ok(rc, err);
		else
			assert_err_kind(err, DRAY_ERR_NOT_FOUND);
		assert_int_equal(n, rows[i].found);
		images_free(images, n);
	}
	remove_disk(&f);
}

static void test_containers(void **state)
{
	struct fixture f = { 0 };
	dray_error *err = NULL;

	(void)state;
	make_disk(&f, true);
	assert_ok(read_all(&f, &err), err);
	remove_disk(&f);
}

/* With userns-remap all is one folder further down. */
static void test_remapped(void **state)
{
	struct fixture f = { 0 };
	dray_error *err = NULL;

	(void)state;
	make_disk(&f, false);
	cleanup_free char *inner = mem_printf("%s/231072.231072", f.root);
	cleanup_free char *aside = mem_printf("%s/aside", f.path);
	assert_int_equal(rename(f.root, aside), 0);
	assert_int_equal(mkdir(f.root, 0755), 0);
	assert_int_equal(rename(aside, inner), 0);
	assert_ok(read_all(&f, &err), err);
	cleanup_free char *second = mem_printf("%s/165536.165536", f.root);
	assert_int_equal(mkdir(second, 0755), 0);
	assert_int_equal(read_all(&f, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "165536.165536");
	remove_disk(&f);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *path;
		enum disk_kind kind;
	} rows[] = {
		{ "image/overlay2/imagedb/x", DISK_DOCKER },
		{ "overlay-images/images.json", DISK_CONTAINERS },
		{ "containerd/daemon/io.containerd.content.v1.content/x", DISK_CONTAINERD },
		{ "repositories-aufs", DISK_DOCKER_V1 },
		{ "index.json", DISK_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixture f = { 0 };
		enum disk_kind kind;
		dray_error *err = NULL;

		f.path = temp_dir_make(&f.fd);
		f.root = mem_printf("%s/root", f.path);
		assert_int_equal(mkdirat(f.fd, "root", 0755), 0);
		put(&f, rows[i].path, "");
		assert_ok(disk_sniff(f.root, &kind, &err), err);
		assert_int_equal(kind, rows[i].kind);
		if (kind == DISK_DOCKER_V1) {
			assert_null(disk_open_docker(f.root, NULL, &err));
			assert_err_kind(err, DRAY_ERR_UNSUPPORTED);
		}
		remove_disk(&f);
	}
}

/* A driver that is not read is told; one that is, is not. */
static void test_driver(void **state)
{
	static const struct {
		const char *driver, *code;
	} rows[] = { { "zfs", "driver-unread" }, { "overlay2", NULL }, { "vfs", NULL } };

	(void)state;
	unsetenv("STORAGE_OPTS");
	unsetenv("STORAGE_DRIVER");
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixture f = { 0 };
		dray_error *err = NULL;

		make_disk(&f, true);
		cleanup_free char *conf = mem_printf("%s/storage.conf", f.path);
		cleanup_free char *text = mem_printf(
			"[storage]\ndriver = \"%s\"\ngraphroot = \"%s\"\n"
			"rootless_storage_path = \"%s\"\n",
			rows[i].driver, f.root, f.root);
		put_file(f.fd, "storage.conf", span_str(text));
		setenv("CONTAINERS_STORAGE_CONF", conf, 1);
		struct store *st = disk_open_containers(NULL, NULL, &err);
		assert_non_null(st);
		assert_int_equal(st->notes.n, rows[i].code != NULL);
		if (rows[i].code)
			assert_string_equal(st->notes.list[0].code, rows[i].code);
		store_free(st);
		unsetenv("CONTAINERS_STORAGE_CONF");
		remove_disk(&f);
	}
}

static void test_faults(void **state)
{
	(void)state;
	for (int containers = 0; containers < 2; containers++) {
		struct fixture f = { 0 };

		make_disk(&f, containers);
		f.only_one = true;
		torture_alloc(read_all, &f);
		torture_io(read_all, &f, EIO, NULL);
		remove_disk(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_docker),	   cmocka_unit_test(test_names),
		cmocka_unit_test(test_containers), cmocka_unit_test(test_remapped),
		cmocka_unit_test(test_kinds),	   cmocka_unit_test(test_driver),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
