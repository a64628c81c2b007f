/* SPDX-License-Identifier: Apache-2.0
 *
 * For: which bytes a canonical archive has around its layers, and where they lie.
 * Relies on: canonical_golden.h, which the reference implementation in Python made.
 * Promises: every golden case, in any order of arrival; each refusal beside what is accepted.
 */
#include "support.h"

#include "base/limits.h"
#include "base/mem.h"
#include "store/canonical.h"
#include "tar/tar.h"
#include "torture.h"

#define MOST 4 /* images of a case, names of an image */

struct golden_layer {
	const char *diff_id;
	int64_t size;
};
struct golden {
	const char *name, *frame;
	int64_t size;
	int64_t sizes[3]; /* of GOLDEN_LAYERS */
	struct {
		const char *config;
		const char *names[MOST + 1];
	} images[MOST];
};
#include "canonical_golden.h"

/* An image of a place that nobody has to open. */
static int make_image(const char *config, struct image *ret, dray_error **err)
{
	struct buf raw = BUF_INIT(LIMIT_CONFIG);

	*ret = (struct image){ .where = "image" };
	if (buf_add_str(&raw, config, err) < 0) {
		buf_clear(&raw);
		return -1;
	}
	if (config_parse(&raw, &ret->config, err) < 0)
		return -1;
	ret->n_layers = ret->config->n_diff_ids;
	ret->layers = arena_array(&ret->arena, ret->n_layers + 1, sizeof(*ret->layers));
	return ret->layers ? 0 : err_nomem(err);
}

static void drop_image(struct image *im)
{
	config_free(im->config);
	arena_clear(&im->arena);
}

static int64_t golden_size(const struct golden *g, const struct digest *d)
{
	for (size_t i = 0; i < ROWS(GOLDEN_LAYERS); i++)
		if (strcmp(d->text, GOLDEN_LAYERS[i].diff_id) == 0)
			return g->sizes[i];
	fail_msg("no such layer: %s", d->text);
	return -1;
}

struct built {
	struct image images[MOST];
	struct canonical_set set;
	struct canonical_layout layout;
};

static void built_clear(struct built *b)
{
	canonical_layout_clear(&b->layout);
	canonical_clear(&b->set);
	for (size_t i = 0; i < MOST; i++)
		drop_image(&b->images[i]);
}

static int add(struct built *b, const struct golden *g, size_t i, dray_error **err)
{
	struct canonical_image *im;

	if (make_image(g->images[i].config, &b->images[i], err) < 0 ||
	    canonical_add(&b->set, NULL, &b->images[i], &im, err) < 0)
		return -1;
	for (const char *const *name = g->images[i].names; *name; name++) {
		int rc = canonical_add_name(&b->set, im, *name, err);

		if (rc < 0)
			return -1;
		assert_int_equal(rc, 1);
	}
	return 0;
}

static int build(struct built *b, const struct golden *g, bool backwards, dray_error **err)
{
	*b = (struct built){ 0 };
	for (size_t i = 0; i < MOST; i++) {
		size_t at = backwards ? MOST - 1 - i : i;

		if (g->images[at].config && add(b, g, at, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < b->set.n_layers; i++)
		b->set.layers[i]->size = golden_size(g, &b->set.layers[i]->diff_id);
	return canonical_lay_out(&b->set, &b->layout, err);
}

/* All bytes but the layers'; every member lies where the one before it ends. */
static void check_frame(const struct golden *g, const struct canonical_layout *l)
{
	static const uint8_t zeros[CANONICAL_END];
	struct hash h = { 0 };
	struct digest d;
	int64_t off = 0;

	assert_int_equal(hash_init(&h, DIGEST_SHA256, NULL), 0);
	for (size_t i = 0; i < l->n_members; i++) {
		const struct canonical_member *m = &l->members[i];

		assert_int_equal(m->off, off);
		off += (int64_t)m->head.len;
		if (m->layer)
			assert_int_equal(m->layer->off, off);
		else
			assert_int_equal(m->bytes.len, m->size);
		off += m->size + (int64_t)tar_padding(m->size);
		hash_update(&h, m->head);
		if (!m->layer)
			hash_update(&h, m->bytes);
		hash_update(&h, span_of(zeros, tar_padding(m->size)));
	}
	hash_update(&h, span_of(zeros, CANONICAL_END));
	assert_int_equal(hash_finish(&h, &d, NULL), 0);
	hash_clear(&h);
	assert_int_equal(off + CANONICAL_END, l->size);
	assert_int_equal(l->size, g->size);
	assert_string_equal(digest_hex(&d), g->frame);
}

static void test_golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(GOLDEN); i++)
		for (int backwards = 0; backwards < 2; backwards++) {
			struct built b;
			dray_error *err = NULL;

			print_message("%s%s\n", GOLDEN[i].name, backwards ? ", backwards" : "");
			assert_ok(build(&b, &GOLDEN[i], backwards, &err), err);
			check_frame(&GOLDEN[i], &b.layout);
			built_clear(&b);
		}
}

/* Once more with other sizes, as after a guess that was wrong: nothing of the first layout stays. */
static void test_again(void **state)
{
	const struct golden *g = &GOLDEN[3];
	struct built b;
	dray_error *err = NULL;

	(void)state;
	assert_ok(build(&b, g, false, &err), err);
	for (size_t i = 0; i < b.set.n_layers; i++)
		b.set.layers[i]->size += 100000;
	canonical_layout_clear(&b.layout);
	assert_ok(canonical_lay_out(&b.set, &b.layout, &err), err);
	assert_int_not_equal(b.layout.size, g->size);
	for (size_t i = 0; i < b.set.n_layers; i++)
		b.set.layers[i]->size -= 100000;
	canonical_layout_clear(&b.layout);
	assert_ok(canonical_lay_out(&b.set, &b.layout, &err), err);
	check_frame(g, &b.layout);
	built_clear(&b);
}

static void test_names(void **state)
{
	static const struct {
		const char *stored, *full; /* NULL: it names nothing */
	} rows[] = {
		{ "app:1", "docker.io/library/app:1" },
		{ "docker.io/app:1", "docker.io/library/app:1" },
		{ "index.docker.io/library/app:1", "docker.io/library/app:1" },
		{ "me/app:1", "docker.io/me/app:1" },
		{ "localhost/app:1", "localhost/app:1" },
		{ "127.0.0.1:5000/a/b:v-1_2", "127.0.0.1:5000/a/b:v-1_2" },
		{ "app:1@sha256:"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  "docker.io/library/app:1" },
		{ "latest", NULL },
		{ "127.0.0.1:5000/app", NULL },
		{ "App:1", NULL },
		{ "app:", NULL },
		{ "", NULL },
		{ "app:1\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct built b = { 0 };
		struct canonical_image *im;
		dray_error *err = NULL;

		assert_ok(make_image(GOLDEN[0].images[0].config, &b.images[0], &err), err);
		assert_ok(canonical_add(&b.set, NULL, &b.images[0], &im, &err), err);
		int rc = canonical_add_name(&b.set, im, rows[i].stored, &err);
		assert_ok(rc, err);
		assert_int_equal(rc, rows[i].full != NULL);
		assert_int_equal(im->n_names, rc);
		if (rows[i].full)
			assert_string_equal(im->names[0], rows[i].full);
		built_clear(&b);
	}
}

#define ID "sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7"
#define BIG_ID                                                            \
	"sha512:00000000000000000000000000000000000000000000000000000000" \
	"000000000000000000000000000000000000000000000000000000000000000000000000"

static void test_refused(void **state)
{
	static const struct {
		const char *config;
		size_t layers;
		enum dray_err_kind kind;
		const char *says; /* NULL: accepted */
	} rows[] = {
		{ "{\"rootfs\":{\"diff_ids\":[\"" ID "\"]}}", 1, DRAY_ERR_FORMAT, NULL },
		{ "{\"rootfs\":{\"diff_ids\":[]}}", 0, DRAY_ERR_FORMAT, NULL },
		{ "{\"rootfs\":{\"diff_ids\":null}}", 0, DRAY_ERR_FORMAT, NULL },
		{ "{}", 0, DRAY_ERR_FORMAT, "no rootfs.diff_ids" },
		{ "{\"rootfs\":{\"type\":\"layers\"}}", 0, DRAY_ERR_FORMAT, "no rootfs.diff_ids" },
		{ "{\"rootfs\":{\"diff_ids\":[\"" BIG_ID "\"]}}", 1, DRAY_ERR_UNSUPPORTED,
		  "diff_ids[0] is no sha256" },
		{ "{\"rootfs\":{\"diff_ids\":[\"" ID "\"]}}", 2, DRAY_ERR_FORMAT,
		  "1 diff_ids and 2 layers" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct built b = { 0 };
		struct canonical_image *im;
		dray_error *err = NULL;

		assert_ok(make_image(rows[i].config, &b.images[0], &err), err);
		b.images[0].n_layers = rows[i].layers;
		int rc = canonical_add(&b.set, NULL, &b.images[0], &im, &err);
		if (!rows[i].says)
			assert_ok(rc, err);
		else
			assert_err(err, rows[i].kind, rows[i].says);
		built_clear(&b);
	}
}

static void test_not_an_image(void **state)
{
	struct image im = { .where = "thing" };
	struct canonical_set set = { 0 };
	struct canonical_image *c;
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(canonical_add(&set, NULL, &im, &c, &err), -1);
	assert_err(err, DRAY_ERR_UNSUPPORTED, "thing is no image");
	canonical_clear(&set);
}

/* Two images of one platform with one name: no order would be better than the other. */
static void test_twin_names(void **state)
{
	struct golden g = GOLDEN[3];
	struct built b;
	dray_error *err = NULL;

	(void)state;
	g.images[1].names[0] = g.images[0].names[0];
	assert_int_equal(build(&b, &g, false, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "have the name docker.io/library/a:1");
	built_clear(&b);
}

static void test_too_long(void **state)
{
	struct golden g = GOLDEN[3];
	struct built b;
	dray_error *err = NULL;

	(void)state;
	for (size_t i = 0; i < ROWS(g.sizes); i++)
		g.sizes[i] = INT64_MAX - 5000;
	assert_int_equal(build(&b, &g, false, &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "longer than a file can");
	built_clear(&b);
}

static int run_golden(void *arg, dray_error **err)
{
	struct built b;
	int rc = build(&b, arg, false, err);

	built_clear(&b);
	return rc;
}

static void test_torture(void **state)
{
	struct golden g = GOLDEN[5];

	(void)state;
	torture_alloc(run_golden, &g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	     cmocka_unit_test(test_again),
		cmocka_unit_test(test_names),	     cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_an_image), cmocka_unit_test(test_twin_names),
		cmocka_unit_test(test_too_long),     cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
