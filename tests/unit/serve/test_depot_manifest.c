/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests in the folder of a registry: what they need before they are taken, and what they hold
 * (of what registries got wrong, R-06).
 */
#include "depot_support.h"

/* ---- what a manifest needs ---- */

struct needs_case {
	const char *text;
	int code; /* -1 = it is taken */
};

static void what_a_manifest_needs(void **state)
{
	struct shelf *s = site_open(*state);
	const struct digest c = digest_text_of("{}"), l = digest_text_of("layer");
	struct shelf_stored stored;
	dray_error *err = NULL;
	char *ok = manifest_of("{}", "layer", "");
	char *no_layer = manifest_of("{}", "absent", "");
	char *no_config = manifest_of("[]", "layer", "");
	char *subject = manifest_of(
		"{}", "layer",
		",\"subject\":{\"mediaType\":\"" MT_OCI_MANIFEST
		"\",\"size\":7,\"digest\":\"sha256:"
		"0000000000000000000000000000000000000000000000000000000000000000\"}");
	char *wrong_size = NULL, *foreign = NULL;

	assert_ok(push_blob(s, "r", "{}", &err), err);
	assert_ok(push_blob(s, "r", "layer", &err), err);
	assert_true(asprintf(&wrong_size,
			     "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" MT_OCI_CONFIG
			     "\",\"digest\":\"%s\",\"size\":2},\"layers\":[{\"mediaType\":"
			     "\"" MT_OCI_LAYER "\",\"digest\":\"%s\",\"size\":6}]}",
			     c.text, l.text) > 0);
	assert_true(
		asprintf(&foreign,
			 "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" MT_OCI_CONFIG
			 "\",\"digest\":\"%s\",\"size\":2},\"layers\":[{\"mediaType\":"
			 "\"application/vnd.oci.image.layer.nondistributable.v1.tar\",\"digest\":"
			 "\"sha256:%064d\",\"size\":6}]}",
			 c.text, 1) > 0);
	const struct needs_case rows[] = {
		{ ok, -1 },
		{ subject, -1 },
		{ foreign, -1 },
		{ no_layer, SHELF_MANIFEST_BLOB_UNKNOWN },
		{ no_config, SHELF_MANIFEST_BLOB_UNKNOWN },
		{ wrong_size, SHELF_MANIFEST_BLOB_UNKNOWN },
		{ "{}", SHELF_MANIFEST_INVALID },
		{ "no json", SHELF_MANIFEST_INVALID },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		int rc = put_as(s, "r", "t", MT_OCI_MANIFEST, rows[i].text, &stored, &err);

		if (rows[i].code < 0) {
			assert_ok(rc, err);
			assert_true(has_tag(s, "r", "t"));
			assert_ok(s->write->remove(s, "r", &(struct shelf_ref){ .tag = "t" }, &err),
				  err);
		} else {
			assert_refused(rc, err, (enum shelf_code)rows[i].code);
			assert_false(has_tag(s, "r", "t"));
		}
	}
	free(ok), free(no_layer), free(no_config), free(subject), free(wrong_size), free(foreign);
	shelf_free(s);
}

static char *index_as(const char *type, const char *part)
{
	const struct digest d = digest_text_of(part);
	char *ret = NULL;

	assert_true(asprintf(&ret,
			     "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX
			     "\",\"manifests\":[{\"mediaType\":\"%s"
			     "\",\"digest\":\"%s\",\"size\":%zu}]}",
			     type, d.text, strlen(part)) > 0);
	return ret;
}

static char *index_of(const char *manifest)
{
	return index_as(MT_OCI_MANIFEST, manifest);
}

/* Bytes of a manifest that were pushed as a blob are no manifest that a client could ask for. */
static void an_index_needs_manifests(void **state)
{
	static const struct {
		const char *type;
		bool taken;
	} rows[] = {
		{ MT_OCI_MANIFEST, false },
		{ MT_DOCKER_MANIFEST, false },
		{ MT_OCI_INDEX, false },
		{ MT_DOCKER_LIST, false },
		{ MT_OCI_MANIFEST "; charset=utf-8", false },
		{ MT_OCI_LAYER, true }, /* caches of builds have these */
		{ "application/vnd.example", true },
	};
	struct shelf *s = site_open(*state);
	char *child = manifest_of("{}", "layer", "");
	struct shelf_stored stored;
	dray_error *err = NULL;

	assert_ok(push_blob(s, "r", child, &err), err);
	for (size_t i = 0; i < ROWS(rows); i++) {
		char *whole = index_as(rows[i].type, child);
		int rc = put_as(s, "r", "t", MT_OCI_INDEX, whole, &stored, &err);

		if (rows[i].taken)
			assert_ok(rc, err);
		else
			assert_refused(rc, err, SHELF_MANIFEST_BLOB_UNKNOWN);
		assert_int_equal(has_tag(s, "r", "t"), rows[i].taken);
		free(whole);
	}
	free(child);
	shelf_free(s);
}

static void an_index_stays_whole(void **state)
{
	struct shelf *s = site_open(*state);
	char *child = manifest_of("{}", "layer", "");
	char *whole = index_of(child);
	struct shelf_ref by_child = { .digest = digest_text_of(child) };
	struct shelf_ref by_whole = { .digest = digest_text_of(whole) };
	const struct digest layer = digest_text_of("layer");
	struct shelf_stored stored;
	dray_error *err = NULL;

	assert_refused(put_as(s, "r", "t", MT_OCI_INDEX, whole, &stored, &err), err,
		       SHELF_MANIFEST_BLOB_UNKNOWN);
	assert_ok(push_image(s, "r", NULL, "{}", "layer", &err), err);
	assert_ok(put_as(s, "r", "t", MT_OCI_INDEX, whole, &stored, &err), err);
	assert_true(digest_eq(&stored.digest, &by_whole.digest));
	assert_refused(s->write->remove(s, "r", &by_child, &err), err, SHELF_KEPT);
	assert_refused(s->write->remove_blob(s, "r", &layer, &err), err, SHELF_KEPT);
	assert_ok(s->write->remove(s, "r", &by_whole, &err), err);
	assert_false(has_tag(s, "r", "t"));
	assert_ok(s->write->remove(s, "r", &by_child, &err), err);
	assert_ok(s->write->remove_blob(s, "r", &layer, &err), err);
	assert_refused(s->write->remove(s, "r", &by_child, &err), err, SHELF_MANIFEST_UNKNOWN);
	free(child), free(whole);
	shelf_free(s);
}

static void digests_of_manifests(void **state)
{
	struct shelf *s = site_open(*state);
	char *text = manifest_of("{}", "layer", "");
	const char *const tags[] = { "a", "b" };
	struct shelf_put put = { .media_type = MT_OCI_MANIFEST, .bytes = span_str(text) };
	struct shelf_stored stored;
	dray_error *err = NULL;

	assert_ok(push_image(s, "r", "old", "{}", "layer", &err), err);
	put.digest = digest_text_of("something else");
	assert_refused(s->write->put(s, "r", &put, &stored, &err), err, SHELF_DIGEST_INVALID);
	put.digest = digest_text_of(text);
	put.tags = tags;
	put.n_tags = 2;
	assert_ok(s->write->put(s, "r", &put, &stored, &err), err);
	assert_true(has_tag(s, "r", "a") && has_tag(s, "r", "b") && has_tag(s, "r", "old"));
	/* by digest all its names go */
	assert_ok(s->write->remove(s, "r", &(struct shelf_ref){ .digest = put.digest }, &err), err);
	assert_false(has_tag(s, "r", "a") || has_tag(s, "r", "old"));
	free(text);
	shelf_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(what_a_manifest_needs),
		site_test(an_index_needs_manifests),
		site_test(an_index_stays_whole),
		site_test(digests_of_manifests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
