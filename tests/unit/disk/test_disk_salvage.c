/* SPDX-License-Identifier: Apache-2.0
 *
 * Damaged layers of disks made anew: with a digest that is theirs, each once.
 */
#include "disk_support.h"

static int salvage_all(void *arg, dray_error **err)
{
	const struct fixture *f = arg;
	const struct place_options po = { .salvage = true };
	const struct selector all = { .all = true };
	struct image **images = NULL;
	size_t n = 0;
	int rc = 0;

	cleanup_store struct store *st = f->containers ? disk_open_containers(f->root, &po, err)
						       : disk_open_docker(f->root, &po, err);
	if (!st || store_images(st, &all, &images, &n, err) < 0)
		return -1;
	const struct layer *l = &images[0]->layers[0];
	cleanup_buf struct buf tar = BUF_INIT(10000);
	struct digest have = { 0 };
	rc = slurp(store_open_layer(st, images[0], 0, err), &tar, err);
	if (rc == 0)
		rc = digest_of(span_buf(&tar), &have, err);
	if (rc == 0 && (!digest_eq(&have, &l->diff_id) || l->missing ||
			!digest_eq(&have, &images[0]->config->diff_ids[0]) ||
			digest_eq(&have, &f->diff_id) || tar.len != (size_t)l->blob.size))
		rc = err_set(err, DRAY_ERR_FORMAT, "not what was salvaged");
	images_free(images, n);
	return rc;
}

static void test_salvage(void **state)
{
	static const struct damage rows[] = {
		{ LAYERDB "tar-split.json.gz", GONE, NULL, 0, NULL },
		{ LAYERDB "tar-split.json.gz", TEXT, "{", 0, NULL },
		{ "overlay2/" CACHE "/diff/etc/nine", GONE, NULL, 0, NULL },
		{ "overlay2/" CACHE "/diff/etc/nine", TEXT, "123456780", 0, NULL },
		{ "overlay2/" CACHE "/diff/etc", LINK, "../../../..", 0, NULL },
		{ LAYERDB "diff", TEXT, "sha256:" CACHE, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixture f = { 0 };
		dray_error *err = NULL;

		make_disk(&f, false);
		damage(&f, &rows[i]);
		assert_ok(salvage_all(&f, &err), err);
		if (i == 1 || i == 3) {
			torture_io(salvage_all, &f, EIO, NULL);
			torture_spared(salvage_all, &f);
		}
		remove_disk(&f);
	}
	/* podman's, without a tar-split. */
	static const struct damage split_gone = { "overlay-layers/{diff}.tar-split.gz", GONE, NULL,
						  0, NULL };
	struct fixture f = { 0 };
	dray_error *err = NULL;

	make_disk(&f, true);
	damage(&f, &split_gone);
	assert_ok(salvage_all(&f, &err), err);
	remove_disk(&f);
}

/*
 * podman may have one layer in two images whose configs disagree what it is: the one that is
 * right stays as it is, whichever comes first, and the other gets a new layer.
 */
static int salvage_shared(void *arg, dray_error **err)
{
	const struct fixture *f = arg;
	const struct place_options po = { .salvage = true };
	const struct selector all = { .all = true };
	struct image **images = NULL;
	size_t n = 0, n_kept = 0;
	int rc = 0;

	cleanup_store struct store *st = disk_open_containers(f->root, &po, err);
	if (!st || store_images(st, &all, &images, &n, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		cleanup_buf struct buf tar = BUF_INIT(10000);
		const struct layer *l = &images[i]->layers[0];
		struct digest have = { 0 };

		n_kept += digest_eq(&images[i]->config->digest, &f->id);
		rc = slurp(store_open_layer(st, images[i], 0, err), &tar, err);
		if (rc == 0)
			rc = digest_of(span_buf(&tar), &have, err);
		if (rc == 0 && (!digest_eq(&have, &l->diff_id) || l->missing))
			rc = err_set(err, DRAY_ERR_FORMAT, "image %zu has another layer", i);
	}
	if (rc == 0 && (n != 2 || n_kept != 1))
		rc = err_set(err, DRAY_ERR_FORMAT, "%zu of %zu images stayed", n_kept, n);
	images_free(images, n);
	return rc;
}

static void test_salvage_shared(void **state)
{
	static const char *const created[] = { "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z" };

	(void)state;
	for (size_t i = 0; i < ROWS(created); i++) {
		struct fixture f = { 0 }, other;
		dray_error *err = NULL;

		make_disk(&f, true);
		other = f;
		cleanup_free char *config = mem_printf(
			"{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"%s\","
			"\"rootfs\":"
			"{\"type\":\"layers\",\"diff_ids\":[\"sha256:" CACHE "\"]}}",
			created[i]);
		assert_int_equal(digest_of(span_str(config), &other.id, NULL), 0);
		put(&other, "overlay-images/{id}/={key}", config);
		cleanup_free char *list = mem_printf("[{\"id\":\"{id}\",\"layer\":\"{diff}\"},"
						     "{\"id\":\"%s\",\"layer\":\"{diff}\"}]",
						     digest_hex(&other.id));
		put(&f, "overlay-images/images.json", list);
		put(&f, "overlay-layers/layers.json", "[{\"id\":\"{diff}\"}]");
		assert_ok(salvage_shared(&f, &err), err);
		if (i == 0)
			torture_io(salvage_shared, &f, EIO, NULL);
		remove_disk(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_salvage),
		cmocka_unit_test(test_salvage_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
