/* SPDX-License-Identifier: Apache-2.0 */

/* Archives without manifest.json: chains by parent, tops with and without "repositories".
 * Relies on box.h for archives. */

#include "box.h"

static void layer(struct buf *b, const char *id, const char *parent, const char *bytes)
{
	char name[96], json[256];

	snprintf(name, sizeof(name), "%s/json", id);
	snprintf(json, sizeof(json),
		 "{\"id\":\"%s\"%s%s%s,\"created\":\"2015-01-01T00:00:00Z\",\"os\":\"linux\","
		 "\"architecture\":\"amd64\"}",
		 id, parent ? ",\"parent\":\"" : "", parent ? parent : "", parent ? "\"" : "");
	tb_file(b, name, json);
	snprintf(name, sizeof(name), "%s/layer.tar", id);
	tb_file(b, name, bytes);
}

static void two_layers(struct buf *b)
{
	layer(b, HEX_A, NULL, LAYER_1);
	layer(b, HEX_B, HEX_A, LAYER_2);
	tb_file(b, "repositories", "{\"a\":{\"1\":\"" HEX_B "\",\"2\":\"" HEX_B "\"}}");
	tb_end(b);
}

static void no_repositories(struct buf *b)
{
	layer(b, HEX_B, HEX_A, LAYER_2);
	layer(b, HEX_A, NULL, LAYER_1);
	tb_end(b);
}

static void loop_of_one(struct buf *b)
{
	layer(b, HEX_A, HEX_A, LAYER_1);
	tb_file(b, "repositories", "{\"a\":{\"1\":\"" HEX_A "\"}}");
	tb_end(b);
}

static void loop_of_two(struct buf *b)
{
	layer(b, HEX_A, HEX_B, LAYER_1);
	layer(b, HEX_B, HEX_A, LAYER_2);
	tb_file(b, "repositories", "{\"a\":{\"1\":\"" HEX_B "\"}}");
	tb_end(b);
}

static void malformed_id(struct buf *b)
{
	tb_file(b, "repositories", "{\"a\":{\"1\":\"../../etc/x\"}}");
	tb_end(b);
}

static void parent_absent(struct buf *b)
{
	layer(b, HEX_B, HEX_A, LAYER_2);
	tb_file(b, "repositories", "{\"a\":{\"1\":\"" HEX_B "\"}}");
	tb_end(b);
}

static void json_broken(struct buf *b)
{
	tb_file(b, HEX_A "/json", "{\"id\":");
	tb_file(b, "repositories", "{\"a\":{\"1\":\"" HEX_A "\"}}");
	tb_end(b);
}

static const struct row {
	const char *name;
	void (*build)(struct buf *b);
	size_t layers, tags;
	const char *note; /* the image is broken because of this; NULL = sound */
	enum dray_err_kind kind;
} rows[] = {
	{ "two layers, two tags", two_layers, 2, 2, NULL, 0 },
	{ "no repositories", no_repositories, 2, 0, NULL, 0 },
	{ "A-01 its own parent", loop_of_one, 1, 1, "v1-parent-loop", DRAY_ERR_FORMAT },
	{ "A-01 loop of two", loop_of_two, 2, 1, "v1-parent-loop", DRAY_ERR_FORMAT },
	{ "A-04 malformed id", malformed_id, 0, 1, "v1-id-malformed", DRAY_ERR_FORMAT },
	{ "parent absent", parent_absent, 1, 1, "v1-json-missing", DRAY_ERR_NOT_FOUND },
	{ "json broken", json_broken, 0, 1, "v1-json-bad", DRAY_ERR_FORMAT },
};

static void check_sound(const struct image *im)
{
	struct digest one, two;

	assert_int_equal(image_require_whole(im, NULL), 0);
	assert_non_null(im->config);
	box_digest(LAYER_1, &one);
	box_digest(LAYER_2, &two);
	assert_int_equal(im->config->n_diff_ids, 2);
	assert_true(digest_eq(&im->config->diff_ids[0], &one));
	assert_true(digest_eq(&im->layers[1].diff_id, &two));
	assert_string_equal(im->layers[0].v1_id, HEX_A);
	assert_string_equal(im->v1_top, HEX_B);
}

static void check_broken(const struct row *r, const struct image *im)
{
	dray_error *err = NULL;

	assert_non_null(box_find_note(&im->notes, r->note));
	assert_int_equal(image_require_whole(im, &err), -1);
	assert_int_equal(dray_error_kind(err), r->kind);
	dray_error_free(err);
}

static void run_row(const struct row *r, enum way way)
{
	cleanup_buf struct buf tar = tb_new();
	struct selector sel = { .all = true };
	struct image **images;
	size_t n;

	print_message("%s\n", r->name);
	r->build(&tar);
	struct store *st = box_open(&tar, way, NULL);
	assert_non_null(st);
	assert_int_equal(st->kind, STORE_DOCKER_V1);
	assert_int_equal(store_images(st, &sel, &images, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(images[0]->n_layers, r->layers);
	assert_int_equal(images[0]->n_tags, r->tags);
	if (r->note)
		check_broken(r, images[0]);
	else
		check_sound(images[0]);
	box_free(st, images, n, NULL);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (enum way way = AS_FILE; way < WAYS; way++)
			run_row(&rows[i], way);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
