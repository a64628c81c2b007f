/* SPDX-License-Identifier: Apache-2.0
 *
 * Why do two images differ: each cause by its code, the deepest first.
 */
#include "ops_box.h"

/* The codes of all causes, in order, with a space between. */
static void assert_why(struct box *b, const char *a, const char *c, bool same, bool same_id,
		       int rootfs, const char *codes)
{
	dray_why_result *w = NULL;
	dray_error *err = NULL;
	const char *got = "";

	assert_ok(dray_why(b->ctx, a, c, &w, &err), err);
	for (size_t i = 0; i < dray_why_causes(w); i++)
		got = arena_printf(&b->arena, "%s%s%s", got, i ? " " : "",
				   dray_why_cause(w, i)->code);
	if (strcmp(got, codes) != 0)
		fail_msg("'%s' (%s), not '%s'", got, *got ? dray_why_cause(w, 0)->message : "",
			 codes);
	assert_null(dray_why_cause(w, dray_why_causes(w)));
	assert_int_equal(dray_why_same(w), same);
	assert_int_equal(dray_why_same_image_id(w), same_id);
	assert_int_equal(dray_why_same_rootfs(w), rootfs);
	dray_why_free(w);
}

static const char *oci(struct box *b, const char *name, const char *config, const char *manifest,
		       struct piece *const *p, size_t n)
{
	return box_oci(b, name,
		       &(struct oci){ .config = config, .manifest = manifest, .p = p, .n = n });
}

/* An OCI archive with this config and these layers. */
static const char *plain(struct box *b, const char *name, const char *members,
			 struct piece *const *p, size_t n)
{
	const char *config = box_config(b, members, p, n);

	return oci(b, name, config, box_manifest(b, false, "", config, p, n), p, n);
}

static void why_same(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "one", ENCODING_GZIP);
	const char *a = plain(b, "a.tar", "", &p, 1);

	assert_why(b, a, a, true, true, 1, "");
	/* a docker-archive has no manifest to differ */
	assert_why(b, a, box_docker_plain(b, "b.tar", &p, 1), true, true, 1, "");
}

static void why_carriers(void **state)
{
	struct box *b = *state;
	struct piece *gz = box_piece(b, "one", ENCODING_GZIP);
	struct piece *zst = box_piece(b, "one", ENCODING_ZSTD);
	const char *config = box_config(b, "", &gz, 1);
	const char *a = oci(b, "a.tar", config, box_manifest(b, false, "", config, &gz, 1), &gz, 1);

	assert_why(b, a,
		   oci(b, "b.tar", config, box_manifest(b, false, "", config, &zst, 1), &zst, 1),
		   false, true, 1, "compression");
	assert_why(b, a, oci(b, "b.tar", config, box_manifest(b, true, "", config, &gz, 1), &gz, 1),
		   false, true, 1, "manifest-type");
	assert_why(b, a,
		   oci(b, "b.tar", config, box_manifest(b, true, "", config, &zst, 1), &zst, 1),
		   false, true, 1, "compression manifest-type");
	assert_why(b, a,
		   oci(b, "b.tar", config,
		       box_manifest(b, false, "\"annotations\":{\"a\":\"b\"},", config, &gz, 1),
		       &gz, 1),
		   false, true, 1, "manifest-bytes");
	assert_why(b, a,
		   box_oci(b, "b.tar",
			   &(struct oci){ .config = config,
					  .manifest = box_manifest(b, false, "", config, &gz, 1),
					  .tag = "other",
					  .p = &gz,
					  .n = 1 }),
		   true, true, 1, "tag");
}

static void why_layers(void **state)
{
	struct box *b = *state;
	struct piece *one = box_piece(b, "one", ENCODING_GZIP);
	struct piece *two = box_piece(b, "two", ENCODING_GZIP);
	struct piece *three = box_piece(b, "three", ENCODING_GZIP);
	struct piece *p12[] = { one, two }, *p21[] = { two, one }, *p13[] = { one, three };
	const char *a = plain(b, "a.tar", "", p12, 2);

	assert_why(b, a, plain(b, "b.tar", "", p12, 1), false, false, -1, "layer-count");
	assert_why(b, plain(b, "b.tar", "", p12, 1), a, false, false, -1, "layer-count");
	assert_why(b, a, plain(b, "b.tar", "", p21, 2), false, false, -1, "layer-order");
	assert_why(b, a, plain(b, "b.tar", "", p13, 2), false, false, -1, "layers");
	assert_why(b, a, plain(b, "b.tar", "\"author\":\"x\",", p13, 2), false, false, -1,
		   "layers config");
}

static void why_configs(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "one", ENCODING_GZIP);
	const char *a = plain(b, "a.tar", "\"author\":\"x\",\"config\":{\"Env\":[\"A\"]},", &p, 1);
	const char *other = arena_printf(
		&b->arena,
		"{\"architecture\":\"arm64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
		"\"diff_ids\":[\"%s\"]}}",
		p->diff_id.text);
	dray_why_result *w = NULL;
	dray_error *err = NULL;

	assert_why(b, a, plain(b, "b.tar", "\"author\":\"x\",\"config\":{\"Env\":[\"B\"]},", &p, 1),
		   false, false, 1, "config");
	assert_why(b, a,
		   plain(b, "b.tar", "\"author\" : \"x\",\"config\":{\"Env\":[\"A\"]},", &p, 1),
		   false, false, 1, "config");
	assert_why(b, plain(b, "a.tar", "", &p, 1),
		   oci(b, "b.tar", other, box_manifest(b, false, "", other, &p, 1), &p, 1), false,
		   false, 1, "platform config");

	a = plain(b, "a.tar", "\"author\":\"x\",\"config\":{\"Env\":[\"A\"],\"User\":\"u\"},", &p,
		  1);
	assert_ok(dray_why(b->ctx, a,
			   plain(b, "b.tar", "\"created\":\"c\",\"config\":{\"Env\":[\"B\"]},", &p,
				 1),
			   &w, &err),
		  err);
	assert_string_equal(dray_why_cause(w, 0)->message,
			    "the config differs in 4 keys: config.Env, config.User (only in A), "
			    "author (only in A), created (only in B)");
	dray_why_free(w);
}

/* Names and commands of an image are shown, not obeyed; and a long name is cut. */
static void why_hostile(void **state)
{
	struct box *b = *state;
	struct piece *p[] = { box_piece(b, "one", ENCODING_GZIP),
			      box_piece(b, "two", ENCODING_GZIP) };
	char *name = arena_alloc(&b->arena, 100001);
	const char *members[] = { "\"\\u001b]0;x\\u0007\":1,",
				  "\"history\":[{\"created_by\":\"\\u001b[2J\\u202erm\"}],", NULL };

	memset(name, 'n', 100000);
	name[100000] = '\0';
	members[2] = arena_printf(&b->arena, "\"%s\":1,", name);
	for (size_t i = 0; i < ROWS(members); i++) {
		const char *a = plain(b, "a.tar", members[i], &p[0], 1);
		const char *c = plain(b, "b.tar", "", &p[i == 1], 1);
		dray_why_result *w = NULL;
		dray_error *err = NULL;

		assert_ok(dray_why(b->ctx, a, c, &w, &err), err);
		assert_true(dray_why_causes(w) > 0);
		for (const char *m = dray_why_cause(w, 0)->message; *m; m++)
			if ((unsigned char)*m < 0x20 || (unsigned char)*m >= 0x7f)
				fail_msg("row %zu shows byte 0x%02x", i, (unsigned char)*m);
		assert_true(strlen(dray_why_cause(w, 0)->message) < 5000);
		dray_why_free(w);
	}
}

static void why_refused(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "one", ENCODING_GZIP);
	const char *a = plain(b, "a.tar", "", &p, 1), *bad = box_place(b, "", "bad.tar");
	dray_why_result *w = NULL;
	dray_error *err = NULL;

	assert_int_equal(dray_why(b->ctx, a, bad, &w, &err), -1);
	assert_err_kind(err, DRAY_ERR_NOT_FOUND);
	put_file(b->fd, "bad.tar", span_str("nothing"));
	assert_int_equal(dray_why(b->ctx, bad, a, &w, &err), -1);
	assert_err_kind(err, DRAY_ERR_FORMAT);
	assert_null(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(why_same),    box_test(why_carriers), box_test(why_layers),
		box_test(why_configs), box_test(why_hostile),  box_test(why_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
