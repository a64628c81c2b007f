/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of the folder of a registry: repositories, tags, referrers, manifests without a tag
 * (of what registries got wrong, R-02).
 */
#include "depot_support.h"

/* ---- lists ---- */

static void pages(void **state)
{
	struct shelf *s = site_open(*state);
	static const char *const tags[] = { "A", "_", "a", "a-b", "a.b", "b", "latest", "z" };
	struct shelf_page none = { 0 };
	dray_error *err = NULL;
	const char *after = NULL;
	size_t seen = 0;

	assert_ok(push_image(s, "r", NULL, "{}", "layer", &err), err);
	for (size_t i = ROWS(tags); i-- > 0;)
		assert_ok(put_image(s, "r", tags[i], "{}", "layer", &err), err);
	for (bool more = true; more;) {
		struct shelf_page p = { 0 };
		const struct shelf_part part = { .after = after, .max = 3 };

		assert_ok(s->ops->tags(s, "r", &part, &p, &err), err);
		for (size_t i = 0; i < p.n; i++)
			assert_string_equal(p.names[i], tags[seen++]);
		after = tags[seen - 1];
		more = p.more;
		shelf_page_clear(&p);
	}
	assert_int_equal(seen, ROWS(tags));
	assert_refused(s->ops->tags(s, "none", &(struct shelf_part){ .max = 1 }, &none, &err), err,
		       SHELF_NAME_UNKNOWN);
	assert_ok(s->ops->tags(s, "r", &(struct shelf_part){ .max = 0 }, &none, &err), err);
	assert_int_equal(none.n, 0);
	shelf_page_clear(&none);
	/* repositories lie in one another, and no name is special */
	assert_ok(push_blob(s, "r/blobs", "x", &err), err);
	assert_ok(push_blob(s, "r/manifests/b", "x", &err), err);
	assert_ok(s->ops->repositories(s, &(struct shelf_part){ .max = 2 }, &none, &err), err);
	assert_int_equal(none.n, 2);
	assert_string_equal(none.names[1], "r/blobs");
	assert_true(none.more);
	shelf_page_clear(&none);
	shelf_free(s);
}

static void referrers(void **state)
{
	struct shelf *s = site_open(*state);
	char *subject = manifest_of("{}", "layer", "");
	const struct digest d = digest_text_of(subject);
	const struct shelf_part all = { .max = 10 };
	struct shelf_referrers got = { 0 };
	struct shelf_stored stored;
	dray_error *err = NULL;

	assert_ok(push_image(s, "r", "v", "{}", "layer", &err), err);
	for (int i = 0; i < 4; i++) {
		char *more = NULL, *text;

		assert_true(asprintf(&more,
				     ",\"artifactType\":\"application/"
				     "x%d\",\"annotations\":{\"n\":\"%d\"},"
				     "\"subject\":{\"mediaType\":\"" MT_OCI_MANIFEST
				     "\",\"size\":%zu,\"digest\":\"%s\"}",
				     i % 2, i, strlen(subject), d.text) > 0);
		text = manifest_of("{}", "layer", more);
		assert_ok(put_as(s, "r", NULL, MT_OCI_MANIFEST, text, &stored, &err), err);
		assert_true(digest_eq(&stored.subject, &d));
		free(text), free(more);
	}
	assert_ok(s->ops->referrers(s, "r", &d, NULL, &all, &got, &err), err);
	assert_int_equal(got.n, 4);
	assert_true(strcmp(got.list[0].digest.text, got.list[1].digest.text) < 0);
	assert_true(span_starts(got.list[0].annotations, "{\"n\":\""));
	shelf_referrers_clear(&got);
	assert_ok(s->ops->referrers(s, "r", &d, "application/x1", &all, &got, &err), err);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.list[0].artifact_type, "application/x1");
	assert_string_equal(got.list[0].media_type, MT_OCI_MANIFEST);
	shelf_referrers_clear(&got);
	assert_ok(s->ops->referrers(s, "other", &d, NULL, &all, &got, &err), err);
	assert_int_equal(got.n, 0);
	shelf_referrers_clear(&got);
	free(subject);
	shelf_free(s);
}

/* The last that came first; whoever gets a tag leaves the list, who loses it is where he was. */
static void without_a_tag(void **state)
{
	static const char *const types[] = { "application/a0", "application/a1", "application/a2",
					     "application/a3", "application/a4" };
	struct shelf *s = site_open(*state);
	struct shelf_stored stored[ROWS(types)];
	struct shelf_part part = { .max = 2 };
	struct shelf_referrers got = { 0 };
	dray_error *err = NULL;
	char *texts[ROWS(types)];

	assert_refused(s->ops->untagged(s, "r", &part, &got, &err), err, SHELF_NAME_UNKNOWN);
	assert_ok(push_blob(s, "r", "{}", &err), err);
	assert_ok(push_blob(s, "r", "layer", &err), err);
	for (size_t i = 0; i < ROWS(types); i++) {
		char *more = NULL;

		assert_true(asprintf(&more, ",\"artifactType\":\"%s\"", types[i]) > 0);
		texts[i] = manifest_of("{}", "layer", more);
		assert_ok(put_as(s, "r", NULL, MT_OCI_MANIFEST, texts[i], &stored[i], &err), err);
		free(more);
	}
	assert_ok(put_as(s, "r", "v", MT_OCI_MANIFEST, texts[3], &stored[3], &err), err);
	for (size_t i = 0; i < 2; i++) {
		static const int want[] = { 4, 2, 1, 0 };

		assert_ok(s->ops->untagged(s, "r", &part, &got, &err), err);
		assert_int_equal(got.n, 2);
		assert_int_equal(got.more, i == 0);
		for (size_t k = 0; k < 2; k++) {
			assert_string_equal(got.list[k].artifact_type, types[want[2 * i + k]]);
			assert_string_equal(got.list[k].media_type, MT_OCI_MANIFEST);
			assert_int_equal(got.list[k].size, strlen(texts[want[2 * i + k]]));
			assert_true(
				digest_eq(&got.list[k].digest, &stored[want[2 * i + k]].digest));
		}
		shelf_referrers_clear(&got);
		part.after = stored[2].digest.text;
	}
	assert_ok(s->write->remove(s, "r", &(struct shelf_ref){ .tag = "v" }, &err), err);
	assert_ok(s->write->remove(s, "r", &(struct shelf_ref){ .digest = stored[2].digest }, &err),
		  err);
	/* Where the last page ended is gone: from the start. */
	assert_ok(s->ops->untagged(s, "r", &part, &got, &err), err);
	assert_string_equal(got.list[1].artifact_type, types[3]);
	shelf_referrers_clear(&got);
	for (size_t i = 0; i < ROWS(types); i++)
		free(texts[i]);
	shelf_free(s);
}

/* Each list of referrers repeats the type, so it is short. */
static void artifact_types_have_an_end(void **state)
{
	struct shelf *s = site_open(*state);
	struct shelf_stored stored;
	dray_error *err = NULL;

	assert_ok(push_blob(s, "r", "{}", &err), err);
	assert_ok(push_blob(s, "r", "layer", &err), err);
	for (int len = 255; len <= 256; len++) {
		char type[257] = "", *more = NULL, *text, *config;
		const struct digest d = digest_text_of("{}");

		memset(type, 'x', (size_t)len);
		assert_true(asprintf(&more, ",\"artifactType\":\"%s\"", type) > 0);
		text = manifest_of("{}", "layer", more);
		assert_true(asprintf(&config,
				     "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_MANIFEST
				     "\",\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\","
				     "\"size\":2},\"layers\":[]}",
				     type, d.text) > 0);
		const char *const texts[] = { text, config };
		for (size_t i = 0; i < ROWS(texts); i++) {
			int rc = put_as(s, "r", NULL, MT_OCI_MANIFEST, texts[i], &stored, &err);

			if (len == 255)
				assert_ok(rc, err);
			else
				assert_refused(rc, err, SHELF_MANIFEST_INVALID);
		}
		free(more), free(text), free(config);
	}
	shelf_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(pages),
		site_test(referrers),
		site_test(without_a_tag),
		site_test(artifact_types_have_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
