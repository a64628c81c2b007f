/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks of engines with one thing planted, damaged or gone: what is refused, and with which words,
 * and what takes no image away.
 */
#include "disk_support.h"

/* ---- with one thing wrong ---- */

static const struct damage docker_damages[] = {
	{ LAYERDB "tar-split.json.gz", GONE, NULL, DRAY_ERR_CORRUPT,
	  "tar-split.json.gz is missing" },
	{ LAYERDB "tar-split.json.gz", TEXT, "{", DRAY_ERR_CORRUPT, "tar-split line 1" },
	{ LAYERDB "tar-split.json.gz", TEXT, "\x1f\x8b\x08", DRAY_ERR_CORRUPT, "gunzip" },
	{ LAYERDB "tar-split.json.gz", FIFO, NULL, DRAY_ERR_CORRUPT, "no regular file" },
	{ LAYERDB "tar-split.json.gz", LINK, "../../../../../../outside", DRAY_ERR_CORRUPT, "" },
	{ LAYERDB "cache-id", GONE, NULL, DRAY_ERR_CORRUPT, "has no cache-id" },
	{ LAYERDB "cache-id", TEXT, "../../../../etc", DRAY_ERR_CORRUPT, "is no ID" },
	{ LAYERDB "cache-id", TEXT, "..", DRAY_ERR_CORRUPT, "is no ID" },
	{ LAYERDB "cache-id", FIFO, NULL, DRAY_ERR_CORRUPT, "no regular file" },
	{ LAYERDB "diff", TEXT, "sha256:" CACHE, DRAY_ERR_CORRUPT, "layerdb says" },
	{ LAYERDB "diff", FOLDER, NULL, DRAY_ERR_CORRUPT, "no regular file" },
	{ "overlay2/" CACHE "/diff", LINK, "../../..", DRAY_ERR_CORRUPT, "diff is missing" },
	{ "overlay2", LINK, "..", DRAY_ERR_CORRUPT, "" },
	{ "overlay2/" CACHE "/diff/etc/nine", GONE, NULL, DRAY_ERR_CORRUPT, "\"./etc/nine\"" },
	{ "overlay2/" CACHE "/diff/etc/nine", TEXT, "123456780", DRAY_ERR_CORRUPT, "changed" },
	{ "overlay2/" CACHE "/diff/etc/nine", TEXT, "12345678", DRAY_ERR_CORRUPT, "8 bytes" },
	{ "overlay2/" CACHE "/diff/etc/nine", TEXT, "1234567890", DRAY_ERR_CORRUPT, "10 bytes" },
	{ "overlay2/" CACHE "/diff/etc/nine", FIFO, NULL, DRAY_ERR_CORRUPT, "no regular file" },
	{ "overlay2/" CACHE "/diff/etc/nine", LINK, "../../../../../outside", DRAY_ERR_FORMAT,
	  "symbolic link" },
	{ "overlay2/" CACHE "/diff/etc", LINK, "../../../..", DRAY_ERR_CORRUPT, "nine" },
	{ LAYERDB "tar-split.json.gz", TEXT,
	  "{\"type\":1,\"name\":\"../../../../outside\",\"size\":9,\"payload\":\"uQlWx3WkEAE=\","
	  "\"position\":0}\n",
	  DRAY_ERR_FORMAT, "\"..\"" },
	{ LAYERDB "tar-split.json.gz", TEXT,
	  "{\"type\":1,\"name\":\"/etc/"
	  "passwd\",\"size\":9,\"payload\":\"uQlWx3WkEAE=\",\"position\":0}\n",
	  DRAY_ERR_CORRUPT, "/etc/passwd" },
	{ "image/overlay2/repositories.json", LINK, "../../../list", DRAY_ERR_FORMAT,
	  "repositories" },
	{ "image/overlay2/repositories.json", FIFO, NULL, DRAY_ERR_FORMAT, "no regular file" },
	{ "image/overlay2/repositories.json", TEXT, "{\"Repositories\":[]}", DRAY_ERR_FORMAT, "" },
	{ "image/overlay2/imagedb/content/sha256/{id}", TEXT, "{}", DRAY_ERR_CORRUPT, "digest" },
	{ "image/overlay2/imagedb/content/sha256/{id}", FIFO, NULL, DRAY_ERR_NOT_FOUND, "" },
	{ "image/overlay2/imagedb/content/sha256/{id}", GONE, NULL, DRAY_ERR_NOT_FOUND,
	  "no image" },
	{ "image/overlay2/imagedb", GONE, NULL, DRAY_ERR_FORMAT, "no data root" },
};

static const struct damage containers_damages[] = {
	{ "overlay-layers/{diff}.tar-split.gz", GONE, NULL, DRAY_ERR_CORRUPT, "is missing" },
	{ "overlay-layers/layers.json", GONE, NULL, DRAY_ERR_NOT_FOUND, "does not know" },
	{ "overlay-layers/layers.json", TEXT, "[{\"id\":\"../x\"}]", DRAY_ERR_FORMAT, "ID" },
	{ "overlay-layers/layers.json", TEXT,
	  "[{\"id\":\"{diff}\",\"parent\":\"{diff}\",\"diff-digest\":\"sha256:{diff}\"}]",
	  DRAY_ERR_FORMAT, "at least 2 layers" },
	{ "overlay-layers/layers.json", TEXT,
	  "[{\"id\":\"{diff}\",\"diff-digest\":\"sha256:{diff}\",\"flags\":{\"incomplete\":true}}]",
	  DRAY_ERR_CORRUPT, "never finished" },
	{ "overlay-layers/layers.json", FIFO, NULL, DRAY_ERR_FORMAT, "no regular file" },
	{ "overlay-images/images.json", TEXT, "[{\"id\":\"..\"}]", DRAY_ERR_FORMAT, "ID" },
	{ "overlay-images/{id}/={key}", GONE, NULL, DRAY_ERR_NOT_FOUND, "" },
	{ "overlay-images/{id}/={key}", TEXT, "{}", DRAY_ERR_CORRUPT, "digest" },
	{ "overlay/{diff}/diff", LINK, "../../..", DRAY_ERR_CORRUPT, "is missing" },
	{ "overlay/{diff}/diff/etc/nine", FIFO, NULL, DRAY_ERR_CORRUPT, "no regular file" },
	{ "overlay-images", GONE, NULL, DRAY_ERR_FORMAT, "no storage" },
};

static void check_damages(const struct damage *list, size_t n, bool containers)
{
	for (size_t i = 0; i < n; i++) {
		struct fixture f = { 0 };
		dray_error *err = NULL;

		make_disk(&f, containers);
		damage(&f, &list[i]);
		if (read_all(&f, &err) == 0)
			fail_msg("row %zu (%s) was accepted", i, list[i].path);
		if (!strstr(dray_error_message(err), list[i].says) ||
		    dray_error_kind(err) != list[i].kind)
			fail_msg("row %zu (%s): kind %d: %s", i, list[i].path,
				 (int)dray_error_kind(err), dray_error_message(err));
		err_clear(&err);
		remove_disk(&f);
	}
}

static void test_docker_damages(void **state)
{
	(void)state;
	check_damages(docker_damages, ROWS(docker_damages), false);
}

static void test_containers_damages(void **state)
{
	(void)state;
	check_damages(containers_damages, ROWS(containers_damages), true);
}

/* ---- damage that takes no image away ---- */

#define NAMES "image/overlay2/repositories.json"
#define METADATA "image/overlay2/imagedb/metadata/sha256/{id}/"
#define MOUNTS "image/overlay2/layerdb/mounts"
#define KIB_OF CACHE CACHE CACHE CACHE CACHE CACHE CACHE CACHE
#define OVER_4_KIB KIB_OF KIB_OF KIB_OF KIB_OF KIB_OF KIB_OF KIB_OF KIB_OF KIB_OF

static const struct {
	const char *path;
	enum deed deed;
	const char *text;
	const char *says; /* in the one note; NULL = there is none */
	size_t tags, containers, events;
	bool parent;
} spared[] = {
	/* What a power cut leaves. */
	{ NAMES, TEXT, "", NAMES, 0, 1, 3, true },
	{ NAMES, TEXT, "{\"Repositories\":{\"app\":{\"app:1\"", NAMES, 0, 1, 3, true },
	{ NAMES, TEXT, "{\"Repositories\":[]}", "Repositories", 0, 1, 3, true },
	{ NAMES, LINK, "../../../list", "symbolic link", 0, 1, 3, true },
	{ NAMES, SOCKET, NULL, "no regular file", 0, 1, 3, true },
	{ NAMES, GONE, NULL, NULL, 0, 1, 3, true },
	/* The others of the list are kept. */
	{ NAMES, TEXT,
	  "{\"Repositories\":{\"app\":{\"app:0\":5,\"app:1\":\"sha256:{id}\",\"app:2\":{}}}}",
	  "app:0", 1, 1, 3, true },
	{ NAMES, TEXT, "{\"Repositories\":{\"a\":7,\"app\":{\"app:1\":\"sha256:{id}\"}}}",
	  "repository", 1, 1, 3, true },
	{ METADATA "lastUpdated", LINK, "../../../../../../outside", NULL, 1, 1, 2, true },
	{ METADATA "lastUpdated", FIFO, NULL, NULL, 1, 1, 2, true },
	{ METADATA "lastUpdated", TEXT, OVER_4_KIB, NULL, 1, 1, 2, true },
	{ METADATA "parent", LINK, "../../../../../../outside", NULL, 1, 1, 3, false },
	{ METADATA "parent", TEXT, OVER_4_KIB, NULL, 1, 1, 3, false },
	{ METADATA "parent", SOCKET, NULL, NULL, 1, 1, 3, false },
	{ MOUNTS "/" CACHE "/parent", LINK, "../../../../../../outside", NULL, 1, 0, 3, true },
	{ MOUNTS "/" CACHE "/parent", TEXT, OVER_4_KIB, NULL, 1, 0, 3, true },
	{ MOUNTS "/" CACHE "/parent", FOLDER, NULL, NULL, 1, 0, 3, true },
	{ MOUNTS, LINK, "../../../..", NULL, 1, 0, 3, true },
};

static void check_spared(const struct fixture *f, size_t row)
{
	const struct selector all = { .all = true };
	cleanup_store struct store *st = NULL;
	struct image **images = NULL;
	dray_error *err = NULL;
	size_t n = 0;

	st = open_disk(f, &err);
	assert_non_null(st);
	assert_ok(store_images(st, &all, &images, &n, &err), err);
	assert_int_equal(n, 1);
	const struct dray_disk_info *d = images[0]->disk;
	if (images[0]->broken || images[0]->n_tags != spared[row].tags ||
	    d->n_containers != spared[row].containers || d->n_events != spared[row].events ||
	    !d->parent == spared[row].parent ||
	    strcmp(d->state, spared[row].tags ? "tagged" : "dangling") != 0 ||
	    st->notes.n != (spared[row].says != NULL))
		fail_msg("row %zu (%s): %zu tags, %zu containers, %zu events, %zu notes, %s", row,
			 spared[row].path, images[0]->n_tags, d->n_containers, d->n_events,
			 st->notes.n, d->state);
	if (spared[row].says) {
		assert_string_equal(st->notes.list[0].code, "names-damaged");
		assert_non_null(strstr(st->notes.list[0].message, spared[row].says));
	}
	images_free(images, n);
}

static void test_spared(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(spared); i++) {
		const struct damage d = { spared[i].path, spared[i].deed, spared[i].text, 0, NULL };
		struct fixture f = { .only_one = true };
		dray_error *err = NULL;

		make_disk(&f, false);
		damage(&f, &d);
		check_spared(&f, i);
		assert_ok(read_all(&f, &err), err);
		if (i % 6 == 0)
			torture_spared(read_all, &f);
		remove_disk(&f);
	}
}

/* An image that others were built on and whose name is unknown need not be a step of a build. */
static void test_lost_name(void **state)
{
	static const struct {
		enum deed deed;
		const char *state;
	} rows[] = { { GONE, "intermediate" }, { TEXT, "dangling" } };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct selector all = { .all = true };
		const struct damage d = { NAMES, rows[i].deed, "", 0, NULL };
		struct image **images = NULL;
		struct fixture f = { 0 };
		dray_error *err = NULL;
		size_t n = 0;

		make_disk(&f, false);
		damage(&f, &d);
		put(&f, METADATA "parent", "sha256:{id}");
		cleanup_store struct store *st = open_disk(&f, &err);
		assert_non_null(st);
		assert_ok(store_images(st, &all, &images, &n, &err), err);
		assert_int_equal(n, 1);
		assert_string_equal(images[0]->disk->state, rows[i].state);
		images_free(images, n);
		remove_disk(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_docker_damages),
		cmocka_unit_test(test_containers_damages),
		cmocka_unit_test(test_spared),
		cmocka_unit_test(test_lost_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
