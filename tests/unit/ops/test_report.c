/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports: what the documents say, made public; and which hash is which.
 */
#include "ops_box.h"

#include "image/config.h"

static dray_report *explained(struct box *b, const char *place)
{
	dray_report *r = NULL;
	dray_error *err = NULL;

	assert_ok(dray_explain(b->ctx, place, NULL, &r, &err), err);
	assert_int_equal(dray_report_images(r), 1);
	assert_null(dray_report_image(r, 1));
	assert_null(dray_report_problem(r, 0));
	return r;
}

/* The stack of these tests: the third layer is a link to the first. */
#define HISTORY                                                                                  \
	"\"author\":\"me <a@b>\",\"created\":\"2020-01-02T03:04:05Z\",\"config\":{ \"Env\":"     \
	"[\"A=1\"] },\"history\":[{\"created_by\":\"ADD "                                        \
	"base\",\"created\":\"2019-01-01T00:00:00Z\","                                           \
	"\"comment\":\"c\",\"author\":\"x\"},{\"created_by\":\"ENV A=1\",\"empty_layer\":true}," \
	"{\"created_by\":\"COPY a\"},{\"created_by\":\"COPY a /b\"},{\"created_by\":\"one too "  \
	"many\"}],"

static const char *stack_archive(struct box *b, struct piece **base, struct piece **top,
				 const char **config)
{
	struct piece *p[3];

	*base = box_piece(b, "base", ENCODING_NONE);
	*top = box_piece(b, "top", ENCODING_GZIP);
	p[0] = p[2] = *base;
	p[1] = *top;
	const struct member m[] = { { "a/layer.tar", *base, NULL },
				    { "b/layer.tar", *top, NULL },
				    { "c/layer.tar", NULL, "../a/layer.tar" } };

	*config = box_config(b, HISTORY, p, 3);
	return box_docker(b, "in.tar", *config, "\"test/app:1\",\"test/app:2\"", m, 3);
}

static void report_image(void **state)
{
	struct box *b = *state;
	struct piece *base, *top;
	const char *config, *src = stack_archive(b, &base, &top, &config);
	dray_report *r = explained(b, src);
	const struct dray_image_info *im = dray_report_image(r, 0);

	assert_string_equal(dray_report_store(r), "docker-archive");
	assert_string_equal(im->image_id, box_digest(b, config));
	assert_null(im->manifest_digest);
	assert_null(im->media_type);
	assert_null(im->index_digest);
	assert_int_equal(im->manifest_size, 0);
	assert_string_equal(im->kind, "image");
	assert_string_equal(im->platform, "linux/amd64");
	assert_string_equal(im->created, "2020-01-02T03:04:05Z");
	assert_string_equal(im->author, "me <a@b>");
	assert_string_equal(im->config_json, "{ \"Env\":[\"A=1\"] }"); /* as it is written */
	assert_span_is(span_of(im->config_raw, im->config_size), config);
	assert_int_equal(im->n_tags, 2);
	assert_string_equal(im->tags[1], "test/app:2");
	/* Config and each distinct layer once, as stored. */
	assert_int_equal(im->size, strlen(config) + base->stored.len + top->stored.len);
	dray_report_free(r);
}

static void report_layers(void **state)
{
	struct box *b = *state;
	struct piece *base, *top;
	const char *config, *src = stack_archive(b, &base, &top, &config);
	dray_report *r = explained(b, src);
	const struct dray_layer_info *l = dray_report_image(r, 0)->layers;
	const char *chain[3];

	/* ChainIDs by their definition. */
	chain[0] = base->diff_id.text;
	chain[1] = box_digest(b, arena_printf(&b->arena, "%s %s", chain[0], top->diff_id.text));
	chain[2] = box_digest(b, arena_printf(&b->arena, "%s %s", chain[1], base->diff_id.text));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(l[i].index, i);
		assert_string_equal(l[i].chain_id, chain[i]);
		assert_string_equal(l[i].diff_id, i == 1 ? top->diff_id.text : base->diff_id.text);
		assert_int_equal(l[i].same_as, i == 2 ? 0 : -1);
		assert_false(l[i].missing);
	}
	assert_string_equal(l[0].compression, "none");
	assert_string_equal(l[0].blob_digest, base->diff_id.text); /* its own blob */
	assert_int_equal(l[0].size, base->tar.len);
	assert_string_equal(l[1].compression, "gzip");
	assert_int_equal(l[1].blob_size, top->stored.len);
	assert_int_equal(l[1].size, -1); /* nobody has decoded it */
	assert_null(l[1].blob_digest);
	assert_string_equal(l[2].path, "c/layer.tar");
	assert_string_equal(l[2].link_target, "a/layer.tar");
	assert_string_equal(l[1].created_by, "COPY a");
	dray_report_free(r);

	/* Read to the end, nothing is unknown. */
	assert_int_equal(dray_verify(b->ctx, src, NULL, &r, NULL), 0);
	l = dray_report_image(r, 0)->layers;
	assert_int_equal(l[1].size, top->tar.len);
	assert_string_equal(l[1].blob_digest, top->blob.text);
	dray_report_free(r);
}

static void report_history(void **state)
{
	static const int64_t layers[] = { 0, -1, 1, 2, -1 };
	struct box *b = *state;
	struct piece *base, *top;
	const char *config, *src = stack_archive(b, &base, &top, &config);
	dray_report *r = explained(b, src);
	const struct dray_image_info *im = dray_report_image(r, 0);

	assert_int_equal(im->n_history, ROWS(layers));
	for (size_t i = 0; i < ROWS(layers); i++)
		assert_int_equal(im->history[i].layer, layers[i]);
	assert_true(im->history[1].empty_layer);
	assert_string_equal(im->history[0].comment, "c");
	assert_string_equal(im->history[0].author, "x");
	assert_string_equal(im->history[0].created, "2019-01-01T00:00:00Z");
	assert_null(im->history[2].created);
	dray_report_free(r);
}

static void report_oci(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_ZSTD);
	const char *config = box_config(b, "", &p, 1);
	struct oci o = { .config = config, .nested = true, .p = &p, .n = 1 };
	const struct dray_image_info *im;
	const char *src;
	dray_report *r;

	o.manifest = box_manifest(b, false, "", config, &p, 1);
	src = box_oci(b, "in.tar", &o);
	r = explained(b, src);
	im = dray_report_image(r, 0);
	assert_string_equal(dray_report_store(r), "oci");
	assert_string_equal(im->manifest_digest, box_digest(b, o.manifest));
	assert_string_equal(im->index_digest, box_digest(b, box_index(b, &o)));
	assert_string_equal(im->media_type, MT_OCI_MANIFEST);
	assert_span_is(span_of(im->manifest_raw, im->manifest_size), o.manifest);
	assert_string_equal(im->layers[0].media_type, MT_OCI_LAYER_ZSTD);
	assert_string_equal(im->layers[0].compression, "zstd");
	assert_string_equal(im->layers[0].blob_digest, p->blob.text);
	assert_null(im->config_json);
	assert_null(im->author);
	dray_report_free(r);
}

static void report_many(void **state)
{
	struct box *b = *state;
	cleanup_buf struct buf tar = tb_new();
	struct piece *p = box_piece(b, "text", ENCODING_NONE);
	struct dray_select sel = DRAY_SELECT_INIT;
	dray_report *r = NULL;
	dray_error *err = NULL;
	const char *src;

	tb_file(&tar, "c.json", box_config(b, "", &p, 1));
	tb_file(&tar, "d.json", box_config(b, "\"author\":\"d\",", &p, 1));
	tb_file_bytes(&tar, "0.tar", p->stored.data, p->stored.len);
	tb_file(&tar, "manifest.json",
		"[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\"],\"Layers\":[\"0.tar\"]},"
		"{\"Config\":\"d.json\",\"RepoTags\":[\"a:2\"],\"Layers\":[\"0.tar\"]}]");
	box_write(b, "in.tar", &tar);
	src = box_place(b, "", "in.tar");

	assert_ok(dray_images(b->ctx, src, NULL, &r, &err), err);
	assert_int_equal(dray_report_images(r), 2);
	dray_report_free(r);
	assert_int_equal(dray_explain(b->ctx, src, NULL, &r, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "a:2");
	for (int i = 0; i < 4; i++) {
		static const char *const choices[] = { "a:2", "@1", NULL, NULL };

		sel.image = i < 2 ? choices[i]
				  : box_digest(b, box_config(b, "\"author\":\"d\",", &p, 1));
		assert_ok((i % 2 ? dray_explain : dray_images)(b->ctx, src, &sel, &r, &err), err);
		assert_int_equal(dray_report_images(r), 1);
		assert_string_equal(dray_report_image(r, 0)->author, "d");
		dray_report_free(r);
	}
	sel = (struct dray_select){ .size = sizeof(sel), .all = true };
	assert_ok(dray_explain(b->ctx, src, &sel, &r, &err), err);
	assert_int_equal(dray_report_images(r), 2);
	dray_report_free(r);
}

/* A "created" that is no time: no v1 IDs, and a warning that says so. */
static void report_underivable(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_GZIP);
	const char *config = box_config(b, "\"created\":\"yesterday\",", &p, 1);
	dray_report *r = explained(
		b, box_oci(b, "in.tar",
			   &(struct oci){ .config = config,
					  .manifest = box_manifest(b, false, "", config, &p, 1),
					  .p = &p,
					  .n = 1 }));

	assert_null(dray_report_image(r, 0)->layers[0].v1_id);
	assert_int_equal(dray_report_warnings(r), 1);
	assert_string_equal(dray_report_warning(r, 0)->code, "v1-id-underivable");
	assert_null(dray_report_warning(r, 1));
	dray_report_free(r);
}

/* ---- which hash is this? ---- */

static size_t matches(struct box *b, const char *hash, const char *src, const char *kind,
		      int64_t layer)
{
	dray_matches *m = NULL;
	dray_error *err = NULL;
	size_t n, found = 0;

	assert_ok(dray_explain_hash(b->ctx, hash, src, NULL, &m, &err), err);
	n = dray_matches_count(m);
	assert_null(dray_matches_get(m, n));
	for (size_t i = 0; i < n; i++) {
		const struct dray_match *at = dray_matches_get(m, i);

		assert_true(at->how[0] && at->image[0]);
		found += strcmp(at->kind, kind) == 0 && at->layer == layer;
	}
	dray_matches_free(m);
	if (n > 0 && found == 0)
		fail_msg("%s is no %s of layer %lld", hash, kind, (long long)layer);
	return n;
}

/* Whole, with the algorithm, a prefix, in capitals. */
static void assert_matches(struct box *b, const char *value, const char *src, const char *kind,
			   int64_t layer)
{
	const char *colon = strchr(value, ':');
	const char *hex = colon ? colon + 1 : value;
	char *upper = arena_strdup(&b->arena, hex);

	for (char *c = upper; *c; c++)
		*c = (char)(*c >= 'a' && *c <= 'f' ? *c - 'a' + 'A' : *c);
	assert_true(matches(b, value, src, kind, layer) > 0);
	assert_true(matches(b, hex, src, kind, layer) > 0);
	assert_true(matches(b, upper, src, kind, layer) > 0);
	assert_true(matches(b, arena_printf(&b->arena, "%.12s", hex), src, kind, layer) > 0);
	assert_true(matches(b, arena_printf(&b->arena, "sha256:%.12s", hex), src, kind, layer) > 0);
	assert_int_equal(matches(b, arena_printf(&b->arena, "%s0", hex), src, kind, layer), 0);
}

static void hashes_of_an_archive(void **state)
{
	struct box *b = *state;
	struct piece *base, *top;
	const char *text, *src = stack_archive(b, &base, &top, &text);
	const struct v1_params old = { .era = V1_ERA_ZERO };
	struct buf raw = BUF_INIT(1 << 20);
	struct config *config = NULL;
	dray_report *r = explained(b, src);
	const struct dray_layer_info *l = dray_report_image(r, 0)->layers;
	v1_id ids[3];
	dray_error *err = NULL;

	assert_matches(b, box_digest(b, text), src, "image_id", -1);
	assert_matches(b, top->diff_id.text, src, "diff_id", 1);
	assert_matches(b, base->diff_id.text, src, "diff_id", 2);
	assert_matches(b, l[0].chain_id, src, "chain_id", 0);
	assert_matches(b, l[2].chain_id, src, "chain_id", 2);
	/* An uncompressed layer's blob is its DiffID, told once; a ChainID as well. */
	assert_int_equal(matches(b, base->diff_id.text, src, "chain_id", 0), 3);
	dray_report_free(r);

	/* IDs that no file holds. */
	assert_ok(buf_add_str(&raw, text, &err), err);
	assert_ok(config_parse(&raw, &config, &err), err);
	assert_ok(v1_ids_docker(config, &old, ids, &err), err);
	assert_matches(b, ids[1], src, "v1_id", 1);
	assert_ok(v1_ids_skopeo(config, ids, &err), err);
	assert_matches(b, ids[2], src, "skopeo_id", 2);
	config_free(config);
	assert_int_equal(matches(b, "0123456789", src, "nothing", -1), 0);
}

static void hashes_of_a_layout(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_GZIP);
	const char *config = box_config(b, "", &p, 1);
	struct oci o = { .config = config, .nested = true, .p = &p, .n = 1 };
	const char *src;

	o.manifest = box_manifest(b, false, "", config, &p, 1);
	src = box_oci(b, "in.tar", &o);
	assert_matches(b, box_digest(b, o.manifest), src, "manifest_digest", -1);
	assert_matches(b, box_digest(b, box_index(b, &o)), src, "index_digest", -1);
	assert_matches(b, p->blob.text, src, "blob_digest", 0);
}

static void hashes_refused(void **state)
{
	static const char *const rows[] = { "",	       "abc",	"sha256:", "sha256:abc",  "xyzw",
					    "abcdefg", "12 34", "-1234",   "\x1b[31mabcd" };
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_GZIP);
	const char *src = box_docker_plain(b, "in.tar", &p, 1);

	for (size_t i = 0; i < ROWS(rows); i++) {
		dray_matches *m = NULL;
		dray_error *err = NULL;

		if (dray_explain_hash(b->ctx, rows[i], src, NULL, &m, &err) == 0)
			fail_msg("row %zu was taken", i);
		assert_null(m);
		assert_err(err, DRAY_ERR_USAGE, "hex digits");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(report_image),		box_test(report_layers),
		box_test(report_history),	box_test(report_oci),
		box_test(report_many),		box_test(report_underivable),
		box_test(hashes_of_an_archive), box_test(hashes_of_a_layout),
		box_test(hashes_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
