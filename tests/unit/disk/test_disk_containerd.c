/* SPDX-License-Identifier: Apache-2.0
 *
 * containerd's blobs, alone and beside Docker's own images, and when their names were given.
 */
#include "bolt_file.h"
#include "disk_support.h"

#define CONTENT "io.containerd.content.v1.content/blobs/sha256/"
#define MANIFEST                                                                             \
	"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"," \
	"\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","            \
	"\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"                        \
	"\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}"

/* A blob under its digest, which is *ret. */
static void put_blob(const struct fixture *f, const char *text, struct digest *ret)
{
	assert_int_equal(digest_of(span_str(text), ret, NULL), 0);
	cleanup_free char *path = mem_printf(CONTENT "%s", digest_hex(ret));
	put(f, path, text);
}

static void make_pool(struct fixture *f, struct digest *ret_manifest)
{
	struct digest layer;

	f->path = temp_dir_make(&f->fd);
	f->root = mem_printf("%s/root", f->path);
	assert_int_equal(mkdirat(f->fd, "root", 0755), 0);
	assert_int_equal(digest_of(SPAN_LIT(TAR), &f->diff_id, NULL), 0);
	put_blob(f, TAR, &layer);
	cleanup_free char *config = expand(f, CONFIG);
	put_blob(f, config, &f->id);
	cleanup_free char *manifest = mem_printf(MANIFEST, f->id.text, strlen(config), layer.text,
						 strlen(TAR));
	put_blob(f, manifest, ret_manifest);
	cleanup_free char *twice = mem_printf(CONTENT "%064d", 5); /* that is not its digest */
	put(f, twice, manifest);
	cleanup_free char *link = mem_printf("%s/" CONTENT "%064d", f->root, 6);
	assert_int_equal(symlink("../../../../../list", link), 0);
}

static int read_pool(void *arg, dray_error **err)
{
	const struct fixture *f = arg;
	const struct selector sel = { .digest = f->id };
	cleanup_buf struct buf tar = BUF_INIT(1000);
	struct image **images = NULL;
	size_t n = 0;
	int rc = -1;

	cleanup_store struct store *st = disk_open_docker(f->root, NULL, err);
	if (!st || store_images(st, &sel, &images, &n, err) < 0)
		return -1;
	if (image_require_whole(images[0], err) == 0)
		rc = slurp(store_open_layer(st, images[0], 0, err), &tar, err);
	images_free(images, n);
	return rc < 0 || span_is(span_buf(&tar), TAR)
		       ? rc
		       : err_set(err, DRAY_ERR_FORMAT, "other bytes");
}

static void test_containerd(void **state)
{
	const struct selector all = { .all = true };
	struct fixture f = { 0 };
	struct image **images = NULL;
	struct digest manifest;
	dray_error *err = NULL;
	size_t n = 0;

	(void)state;
	make_pool(&f, &manifest);
	assert_ok(read_pool(&f, &err), err);
	struct store *st = disk_open_docker(f.root, NULL, &err);
	assert_non_null(st);
	assert_ok(store_images(st, &all, &images, &n, &err), err);
	assert_int_equal(n, 1);
	assert_int_equal(images[0]->n_tags, 0);
	assert_true(digest_eq(&images[0]->manifest->digest, &manifest));
	assert_string_equal(st->notes.list[0].code, "names-unread");
	images_free(images, n);
	store_free(st);
	torture_spared(read_pool, &f);
	torture_io(read_pool, &f, EIO, NULL);
	remove_disk(&f);
}

/* When containerd was given a name is in its database; of what is found without one nothing is known. */
static int read_times(void *arg, dray_error **err)
{
	const struct fixture *f = arg;
	const struct selector all = { .all = true };
	struct image **images = NULL;
	size_t n = 0;

	cleanup_store struct store *st = disk_open_docker(f->root, NULL, err);
	if (!st || store_images(st, &all, &images, &n, err) < 0)
		return -1;
	assert_int_equal(n, 1);
	const struct dray_disk_info *d = images[0]->disk;
	if (d && (d->n_events != 2 || strcmp(d->state, "tagged") != 0 ||
		  strcmp(d->updated->event, "updated") != 0 ||
		  strcmp(d->updated->time, "2026-01-02T03:04:06.000000006Z") != 0 ||
		  strcmp(d->updated->certainty, "recorded") != 0 ||
		  strcmp(d->events[1].event, "named") != 0 ||
		  strcmp(d->events[1].time, "2026-01-02T03:04:05.000000006Z") != 0))
		err_set(err, DRAY_ERR_FORMAT, "%s at %s", d->updated->event, d->updated->time);
	else if (!d && !st->notes.n)
		err_set(err, DRAY_ERR_FORMAT, "no times, and nobody says why");
	images_free(images, n);
	return err && *err ? -1 : 0;
}

static void test_containerd_times(void **state)
{
	struct fixture f = { 0 };
	struct digest manifest;
	struct bolt_file db;
	dray_error *err = NULL;

	(void)state;
	make_pool(&f, &manifest);
	put_containerd(&db, "docker.io/library/a:1", manifest.text);
	put(&f, "io.containerd.metadata.v1.bolt/meta.db", "");
	int root = open(f.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_file(root, "io.containerd.metadata.v1.bolt/meta.db", span_of(db.bytes, db.size));
	assert_ok(read_times(&f, &err), err);
	torture_spared(read_times, &f);
	torture_io(read_times, &f, EIO, NULL);
	close(root);
	remove_disk(&f);
}

/* Docker's own images and containerd's in one data root: where the others are is told. */
static void test_containerd_beside(void **state)
{
	static const char home[] = "containerd/daemon/io.containerd.";
	struct fixture f = { 0 };
	dray_error *err = NULL;

	(void)state;
	make_disk(&f, false);
	for (int has_image = 0; has_image < 2; has_image++) {
		cleanup_free char *blob = mem_printf("%scontent.v1.content/blobs/sha256/" CACHE,
						     home);
		cleanup_free char *meta = mem_printf("%smetadata.v1.bolt/meta.db", home);
		struct bolt_file db;

		/* A manifest of something pulled is no image yet. */
		put(&f, blob, "");
		put_containerd(&db, has_image ? "docker.io/library/a:1" : NULL, "sha256:" CACHE);
		put(&f, meta, "");
		int root = open(f.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		put_file(root, meta, span_of(db.bytes, db.size));
		close(root);
		struct store *st = open_disk(&f, &err);
		assert_non_null(st);
		assert_int_equal(st->notes.n, has_image);
		if (has_image) {
			assert_string_equal(st->notes.list[0].code, "containerd-beside");
			assert_non_null(strstr(st->notes.list[0].message, "/containerd/daemon"));
		}
		store_free(st);
		assert_ok(read_all(&f, &err), err);
	}
	f.only_one = true;
	torture_spared(read_all, &f);
	torture_io(read_all, &f, EIO, NULL);
	/* A storage driver whose images are all gone is none. */
	cleanup_free char *last = expand(&f, "image/overlay2/imagedb/content/sha256/{id}");
	int root = open(f.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(unlinkat(root, last, 0), 0);
	close(root);
	struct store *st = open_disk(&f, &err);
	assert_non_null(st);
	assert_string_equal(st->name, "containerd");
	store_free(st);
	remove_disk(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_containerd),
		cmocka_unit_test(test_containerd_times),
		cmocka_unit_test(test_containerd_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
