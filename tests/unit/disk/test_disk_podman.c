/* SPDX-License-Identifier: Apache-2.0
 *
 * What podman works out of what it wrote down: parents, names with digests, sizes.
 */
#include "disk_support.h"

#define STEPPED                                                                              \
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2020-01-01T00:00:00Z\"," \
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:{diff}\"]},"                 \
	"\"history\":[{\"created_by\":\"LABEL a=b\",\"empty_layer\":true}]}"
#define OTHER "sha256:eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"

/* The image of every fixture without a name, and one of the same layer that has a step more. */
static void make_family(const struct fixture *f, const char *more)
{
	struct fixture child = *f;

	cleanup_free char *config = expand(f, STEPPED);
	assert_int_equal(digest_of(span_str(config), &child.id, NULL), 0);
	put(&child, "overlay-images/{id}/={key}", STEPPED);
	cleanup_free char *list = mem_printf(
		"[{\"id\":\"{id}\",\"digest\":\"sha256:" CACHE "\",\"layer\":\"{diff}\"},"
		"{\"id\":\"%s\",\"digest\":\"sha256:" CACHE "\",\"layer\":\"{diff}\","
		"\"names\":[\"quay.io/a/b:1\",\"quay.io/a/b:2\",\"quay.io/c:1\"],"
		"\"big-data-sizes\":{\"manifest\":20,\"signature-x\":3},\"big-data-digests\":{"
		"\"manifest\":\"sha256:" CACHE "\",\"manifest-" OTHER "\":\"" OTHER "\","
		"%s\"sha256:x\":\"sha512:" CACHE CACHE "\"}}]",
		digest_hex(&child.id), more);
	put(f, "overlay-images/images.json", list);
}

static int read_family(void *arg, dray_error **err)
{
	const struct fixture *f = arg;
	const struct selector all = { .all = true };
	struct image **images = NULL;
	size_t n = 0;

	cleanup_store struct store *st = open_disk(f, err);
	if (!st || store_images(st, &all, &images, &n, err) < 0)
		return -1;
	assert_int_equal(n, 2);
	bool first = digest_eq(&images[0]->config_digest_claimed, &f->id);
	const struct dray_disk_info *d = images[first]->disk, *base = images[!first]->disk;

	assert_string_equal(base->state, "intermediate");
	assert_null(base->parent);
	assert_string_equal(base->digest, "sha256:" CACHE);
	assert_int_equal(base->size, 17);
	assert_string_equal(d->state, "tagged");
	assert_string_equal(d->parent, f->id.text);
	assert_int_equal(d->size, 40);
	assert_int_equal(d->n_repo_digests, 4);
	assert_string_equal(d->repo_digests[0], "quay.io/a/b@sha256:" CACHE);
	assert_string_equal(d->repo_digests[1], "quay.io/a/b@" OTHER);
	assert_string_equal(d->repo_digests[3], "quay.io/c@" OTHER);
	images_free(images, n);
	return 0;
}

static void test_family(void **state)
{
	struct fixture f = { 0 };
	dray_error *err = NULL;

	(void)state;
	make_disk(&f, true);
	make_family(&f, "\"manifest-x\":\"../x\",\"manifest-y\":null,");
	assert_ok(read_family(&f, &err), err);
	make_family(&f, "");
	torture_alloc(read_family, &f);
	remove_disk(&f);
}

/* Two images, each with @names names and 200 digests. */
static void make_many_names(const struct fixture *f, int names)
{
	struct buf list = BUF_INIT(100000);
	cleanup_free char *text = NULL;

	for (int image = 0; image < 2; image++) {
		assert_int_equal(buf_printf(&list, NULL, "%s{\"id\":\"%s\",\"names\":[\"a/b:1\"",
					    image ? "," : "[", image ? &OTHER[7] : "{id}"),
				 0);
		for (int i = 1; i < names; i++)
			assert_int_equal(buf_printf(&list, NULL, ",\"a.b/c%d:1\"", i), 0);
		assert_int_equal(buf_printf(&list, NULL, "],\"big-data-digests\":{"), 0);
		for (int i = 0; i < 200; i++)
			assert_int_equal(buf_printf(&list, NULL,
						    "%s\"manifest-%d\":\"sha256:%064d\"",
						    i ? "," : "", i, i),
					 0);
		assert_int_equal(buf_printf(&list, NULL, "}}%s", image ? "]" : ""), 0);
	}
	text = buf_steal_str(&list, NULL);
	put(f, "overlay-images/images.json", text);
}

/* What a list comes to is bounded, however few each of its images has. */
static void test_many_names(void **state)
{
	const struct selector all = { .all = true };

	(void)state;
	for (int fits = 0; fits < 2; fits++) {
		struct fixture f = { 0 };
		struct image **images = NULL;
		size_t n = 0;
		dray_error *err = NULL;
		struct store *st;

		make_disk(&f, true);
		make_many_names(&f, fits ? 249 : 251);
		st = open_disk(&f, &err);
		assert_non_null(st);
		if (fits) {
			assert_ok(store_images(st, &all, &images, &n, &err), err);
			assert_int_equal(images[0]->disk->n_repo_digests, 249 * 200);
			images_free(images, n);
		} else {
			assert_int_equal(store_images(st, &all, &images, &n, &err), -1);
			assert_err_kind(err, DRAY_ERR_LIMIT);
		}
		store_free(st);
		remove_disk(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_family),
		cmocka_unit_test(test_many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
