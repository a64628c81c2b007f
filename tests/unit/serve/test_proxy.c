/* SPDX-License-Identifier: Apache-2.0
 *
 * A cache of a registry that is there, silent, lying or gone: manifests by tag and by digest.
 */
#include "proxy_setting.h"

static void refuse_tag(struct setting *g, const char *tag, enum shelf_code code)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	dray_error *err = NULL;

	assert_refused(get(g, &(struct shelf_ref){ .tag = tag }, &doc, &err), err, code);
}

static void a_tag_is_asked_and_its_manifest_kept(void **state)
{
	char *one = manifest_of("{}", "one", ""), *two = manifest_of("{}", "two", "");
	struct setting g;

	begin(&g, *state);
	g.up.tags[0].tag = "v";
	g.up.tags[0].text = one;
	check_tag(&g, "v", one, false);
	assert_int_equal(asked(&g, CALL_MANIFEST), 1);
	assert_int_equal(asked(&g, CALL_LOOK), 0);
	/* It is looked whether the tag has moved; what is named by digest cannot. */
	check_tag(&g, "v", one, false);
	check_digest(&g, one);
	assert_int_equal(asked(&g, CALL_MANIFEST), 1);
	assert_int_equal(asked(&g, CALL_LOOK), 1);
	g.up.tags[0].text = two;
	check_tag(&g, "v", two, false);
	assert_int_equal(asked(&g, CALL_MANIFEST), 2);
	/* Back to what the folder has. */
	g.up.tags[0].text = one;
	check_tag(&g, "v", one, false);
	assert_int_equal(asked(&g, CALL_MANIFEST), 2);
	assert_true(has_tag(g.depot, "a", "v"));
	/* One that does not say its digest is asked for all of it. */
	g.up.mute = true;
	g.up.tags[0].text = two;
	check_tag(&g, "v", two, false);
	assert_int_equal(asked(&g, CALL_MANIFEST), 3);
	/* Gone there: gone here, also when nobody can be asked. */
	g.up.tags[0].text = NULL;
	refuse_tag(&g, "v", SHELF_MANIFEST_UNKNOWN);
	assert_false(has_tag(g.depot, "a", "v"));
	end(&g);
	free(one);
	free(two);
}

static void a_believed_tag_is_not_asked(void **state)
{
	char *one = manifest_of("{}", "one", "");
	struct setting g;

	begin_with(&g, *state, (struct depot_options){ 0 },
		   (struct proxy_options){ .ttl_ms = 3600 * 1000 });
	g.up.tags[0].tag = "v";
	g.up.tags[0].text = one;
	for (int i = 0; i < 5; i++)
		check_tag(&g, "v", one, false);
	assert_int_equal(asked(&g, CALL_MANIFEST) + asked(&g, CALL_LOOK), 1);
	end(&g);
	free(one);
}

/* What comes of an error: to those with a copy, and to those without. */
static void errors_have_their_answers(void **state)
{
	static const struct {
		enum dray_err_kind kind;
		int status;
		bool served; /* where the folder has something */
		enum shelf_code code;
	} rows[] = {
		{ DRAY_ERR_NETWORK, 0, true, SHELF_UNREACHABLE },
		{ DRAY_ERR_NETWORK, 503, true, SHELF_UNREACHABLE },
		{ DRAY_ERR_NETWORK, 429, true, SHELF_TOOMANYREQUESTS },
		{ DRAY_ERR_CORRUPT, 0, true, SHELF_UNREACHABLE },
		{ DRAY_ERR_FORMAT, 0, true, SHELF_UNREACHABLE },
		{ DRAY_ERR_LIMIT, 0, true, SHELF_UNREACHABLE },
		{ DRAY_ERR_DENIED, 401, false, SHELF_DENIED },
		{ DRAY_ERR_NOT_FOUND, 404, false, SHELF_MANIFEST_UNKNOWN },
	};
	char *one = manifest_of("{}", "one", "");
	const struct digest blob = digest_text_of("blob");
	struct setting g;

	begin(&g, *state);
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
		dray_error *err = NULL;

		g.up.tags[0].tag = "v";
		g.up.tags[0].text = one;
		fake_fail(&g.up, 0, 0);
		check_tag(&g, "v", one, false);
		fake_fail(&g.up, rows[i].kind, rows[i].status);
		if (rows[i].served)
			check_tag(&g, "v", one, true);
		else
			refuse_tag(&g, "v", rows[i].code);
		refuse_tag(&g, "other", rows[i].code);
		check_digest(&g, one);
		for (int content = 0; content < 2; content++)
			assert_refused(g.proxy->ops->blob(g.proxy, "a", &blob, content, &b, &err),
				       err, rows[i].code);
	}
	assert_true(atomic_load(&g.up.notes) > 0);
	end(&g);
	free(one);
}

static int all_asked(const struct setting *g)
{
	int ret = 0;

	for (size_t i = 0; i < CALLS; i++)
		ret += asked(g, i);
	return ret;
}

/* Who has nothing here finds it out for all. */
static void the_first_finds_out_for_all(void **state)
{
	struct setting g;

	begin_with(&g, *state, (struct depot_options){ 0 },
		   (struct proxy_options){ .pause_ms = 3600 * 1000 });
	fake_fail(&g.up, DRAY_ERR_NETWORK, 0);
	for (int i = 0; i < 5; i++)
		refuse_tag(&g, "v", SHELF_UNREACHABLE);
	assert_int_equal(all_asked(&g), 1);
	end(&g);
}

static void a_silent_one_is_left_alone_for_a_while(void **state)
{
	char *one = manifest_of("{}", "one", "");
	const struct shelf_ref other = { .digest = digest_text_of("other") };
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	dray_error *err = NULL;
	struct setting g;
	int before;

	begin_with(&g, *state, (struct depot_options){ 0 },
		   (struct proxy_options){ .pause_ms = 3600 * 1000 });
	g.up.tags[0].tag = "v";
	g.up.tags[0].text = one;
	check_tag(&g, "v", one, false);
	fake_fail(&g.up, DRAY_ERR_NETWORK, 0);
	check_tag(&g, "v", one, true);
	before = asked(&g, CALL_LOOK);
	check_tag(&g, "v", one, true);
	assert_int_equal(asked(&g, CALL_LOOK), before);
	/* Nobody waits for it either where there is nothing to give in its place. */
	before = all_asked(&g);
	refuse_tag(&g, "w", SHELF_UNREACHABLE);
	assert_refused(g.proxy->ops->manifest(g.proxy, "a", &other, true, &doc, &err), err,
		       SHELF_UNREACHABLE);
	assert_refused(g.proxy->ops->blob(g.proxy, "a", &other.digest, false, &b, &err), err,
		       SHELF_UNREACHABLE);
	assert_int_equal(all_asked(&g), before);
	end(&g);
	free(one);
}

/* What is wrong with one question, or with its answer, says nothing about others. */
static void one_wrong_answer_is_no_silence(void **state)
{
	static const struct {
		enum dray_err_kind kind;
		int status;
		bool silent;
	} rows[] = {
		{ DRAY_ERR_NETWORK, 0, true },	  { DRAY_ERR_NETWORK, 503, true },
		{ DRAY_ERR_NETWORK, 429, true },  { DRAY_ERR_LIMIT, 429, true },
		{ DRAY_ERR_NETWORK, 500, false }, { DRAY_ERR_UNSUPPORTED, 405, false },
		{ DRAY_ERR_USAGE, 400, false },	  { DRAY_ERR_USAGE, 0, false },
		{ DRAY_ERR_CORRUPT, 0, false },
	};
	char *one = manifest_of("{}", "one", "");

	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct proxy_options o = { .pause_ms = 3600 * 1000 };
		struct setting g;

		begin_with(&g, *state, (struct depot_options){ 0 }, o);
		g.up.tags[0].tag = "v";
		g.up.tags[0].text = one;
		check_tag(&g, "v", one, false);
		fake_fail(&g.up, rows[i].kind, rows[i].status);
		check_tag(&g, "v", one, true);
		fake_fail(&g.up, 0, 0);
		check_tag(&g, "v", one, rows[i].silent);
		end(&g);
		site_wipe(*state);
	}
	free(one);
}

/* An index is a manifest like any other: its parts come when they are asked for. */
static void an_index_needs_no_parts(void **state)
{
	char *one = manifest_of("{}", "one", ""), *index = NULL;
	const struct digest part = digest_text_of(one);
	struct setting g;

	assert_true(asprintf(&index,
			     "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX
			     "\",\"manifests\":[{\"mediaType\":\"" MT_OCI_MANIFEST
			     "\",\"digest\":\"%s\",\"size\":%zu}]}",
			     part.text, strlen(one)) > 0);
	begin(&g, *state);
	g.up.tags[0].tag = "v";
	g.up.tags[0].text = index;
	g.up.manifests[0] = one;
	check_tag(&g, "v", index, false);
	assert_true(has_tag(g.depot, "a", "v"));
	assert_int_equal(asked(&g, CALL_MANIFEST), 1);
	check_digest(&g, one);
	check_digest(&g, one);
	assert_int_equal(asked(&g, CALL_MANIFEST), 2);
	end(&g);
	free(one);
	free(index);
}

/* What no folder of ours stores is handed on. */
static void what_cannot_be_kept_is_given(void **state)
{
	char *one = manifest_of("{}", "one", "");
	struct setting g;

	begin_with(&g, *state, (struct depot_options){ .quota = 10 }, (struct proxy_options){ 0 });
	g.up.tags[0].tag = "v";
	g.up.tags[0].text = one;
	check_tag(&g, "v", one, false);
	check_tag(&g, "v", one, false);
	assert_int_equal(asked(&g, CALL_MANIFEST), 2);
	assert_false(has_tag(g.depot, "a", "v"));
	end(&g);
	free(one);
}

/* What the tag names now cannot be kept: then nobody gets what it named before. */
static void a_tag_that_moved_to_what_cannot_be_kept(void **state)
{
	const struct proxy_options o = { .ttl_ms = 3600 * 1000 };
	char *one = manifest_of("{}", "one", ""), *two;
	char about[] = ",\"annotations\":{\"a\":\"more than fits into the folder's quota\"}";
	struct setting g;
	dray_error *err = NULL;

	two = manifest_of("{}", "two", about);
	begin_with(&g, *state, (struct depot_options){ .quota = (int64_t)strlen(one) + 1 },
		   (struct proxy_options){ 0 });
	g.up.tags[0].tag = "v";
	g.up.tags[0].text = one;
	check_tag(&g, "v", one, false);
	assert_true(has_tag(g.depot, "a", "v"));
	shelf_free(g.proxy);
	assert_ok(proxy_open(g.depot, &g.up.base, &o, &g.proxy, &err), err);
	g.up.tags[0].text = two;
	for (int i = 0; i < 3; i++)
		check_tag(&g, "v", two, false);
	assert_false(has_tag(g.depot, "a", "v"));
	check_digest(&g, one);
	end(&g);
	free(one);
	free(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(a_tag_is_asked_and_its_manifest_kept),
		site_test(a_believed_tag_is_not_asked),
		site_test(errors_have_their_answers),
		site_test(the_first_finds_out_for_all),
		site_test(a_silent_one_is_left_alone_for_a_while),
		site_test(one_wrong_answer_is_no_silence),
		site_test(an_index_needs_no_parts),
		site_test(what_cannot_be_kept_is_given),
		site_test(a_tag_that_moved_to_what_cannot_be_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
