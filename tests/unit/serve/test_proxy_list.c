/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of a cache, and whose cache a folder is.
 */
#include "proxy_setting.h"

/* ---- lists ---- */

static void tags_are_the_registrys(void **state)
{
	const struct shelf_part part = { .after = "a", .max = 1 };
	char *one = manifest_of("{}", "one", "");
	struct setting g;
	dray_error *err = NULL;

	begin(&g, *state);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "a", "b", "c" };

		g.up.tags[i].tag = names[i];
		g.up.tags[i].text = one;
	}
	check_tag(&g, "c", one, false);
	for (int silent = 0; silent < 2; silent++) {
		cleanup_shelf_page struct shelf_page page = { 0 };

		if (silent)
			fake_fail(&g.up, DRAY_ERR_NETWORK, 0);
		assert_ok(g.proxy->ops->tags(g.proxy, "a", &part, &page, &err), err);
		assert_int_equal(page.n, 1);
		assert_string_equal(page.names[0], silent ? "c" : "b");
		assert_int_equal(page.more, !silent);
	}
	cleanup_shelf_page struct shelf_page none = { 0 };
	assert_refused(g.proxy->ops->tags(g.proxy, "other", &part, &none, &err), err,
		       SHELF_UNREACHABLE);
	fake_fail(&g.up, DRAY_ERR_NOT_FOUND, 404);
	assert_refused(g.proxy->ops->tags(g.proxy, "a", &part, &none, &err), err,
		       SHELF_NAME_UNKNOWN);
	end(&g);
	free(one);
}

static size_t count_referrers(struct setting *g, const struct digest *subject)
{
	const struct shelf_part part = { .max = SHELF_PAGE_MAX };
	cleanup_shelf_referrers struct shelf_referrers list = { 0 };
	dray_error *err = NULL;

	assert_ok(g->proxy->ops->referrers(g->proxy, "a", subject, NULL, &part, &list, &err), err);
	return list.n;
}

static void referrers_are_brought_and_kept(void **state)
{
	const struct digest subject = digest_text_of("subject");
	struct setting g;
	char *about = NULL, *one, *two;

	assert_true(asprintf(&about,
			     ",\"subject\":{\"mediaType\":\"" MT_OCI_MANIFEST
			     "\",\"digest\":\"%s\",\"size\":7}",
			     subject.text) > 0);
	one = manifest_of("{}", "one", about);
	two = manifest_of("{}", "two", about);
	begin(&g, *state);
	g.up.referrers[0] = one;
	g.up.referrers[1] = two;
	assert_int_equal(count_referrers(&g, &subject), 2);
	assert_int_equal(count_referrers(&g, &subject), 2);
	assert_int_equal(asked(&g, CALL_MANIFEST), 2);
	fake_fail(&g.up, DRAY_ERR_NETWORK, 0);
	assert_int_equal(count_referrers(&g, &subject), 2);
	fake_fail(&g.up, 0, 0);
	g.up.referrers[0] = NULL;
	assert_int_equal(count_referrers(&g, &subject), 1);
	fake_fail(&g.up, DRAY_ERR_NOT_FOUND, 404);
	assert_int_equal(count_referrers(&g, &subject), 0);
	end(&g);
	free(one);
	free(two);
	free(about);
}

/* A text that refers to @subject; free it. */
static char *referrer_of(const struct digest *subject, const char *type, int i)
{
	char *about = NULL, *ret;

	assert_true(asprintf(&about,
			     ",\"artifactType\":\"application/%s\",\"annotations\":{\"n\":\"%d\"},"
			     "\"subject\":{\"mediaType\":\"" MT_OCI_MANIFEST
			     "\",\"digest\":\"%s\",\"size\":7}",
			     type, i, subject->text) > 0);
	ret = manifest_of("{}", "one", about);
	free(about);
	return ret;
}

static void refuse_referrers(struct setting *g, const struct digest *subject, enum shelf_code code)
{
	const struct shelf_part part = { .max = SHELF_PAGE_MAX };
	cleanup_shelf_referrers struct shelf_referrers list = { 0 };
	dray_error *err = NULL;

	assert_refused(g->proxy->ops->referrers(g->proxy, "a", subject, NULL, &part, &list, &err),
		       err, code);
}

/* A list is whole, or there is none. */
static void referrers_that_are_not_known_are_not_none(void **state)
{
	const struct digest subject = digest_text_of("subject"), other = digest_text_of("other");
	struct setting g;
	struct digest odd;
	dray_error *err = NULL;
	char *one;
	int before;

	one = manifest_of("{}", "one", "");
	begin_with(&g, *state, (struct depot_options){ .quota = 10 }, (struct proxy_options){ 0 });
	fake_fail(&g.up, DRAY_ERR_NETWORK, 0);
	refuse_referrers(&g, &subject, SHELF_UNREACHABLE);
	fake_fail(&g.up, 0, 0);
	assert_int_equal(count_referrers(&g, &subject), 0);
	fake_fail(&g.up, DRAY_ERR_NETWORK, 0);
	assert_int_equal(count_referrers(&g, &subject), 0);
	refuse_referrers(&g, &other, SHELF_UNREACHABLE);
	fake_fail(&g.up, 0, 0);
	/* A list is a claim: this one refers to nothing. */
	g.up.referrers[0] = one;
	assert_int_equal(count_referrers(&g, &subject), 0);
	/* Nobody can say what refers to one that cannot be told, and nobody is asked. */
	before = asked(&g, CALL_REFERRERS);
	assert_int_equal(digest_parse(span_str("a+b:cccc"), &odd, &err), 0);
	assert_int_equal(count_referrers(&g, &odd), 0);
	assert_int_equal(asked(&g, CALL_REFERRERS), before);
	end(&g);
	free(one);
}

static void referrers_of(struct setting *g, const struct digest *subject, const char *type,
			 struct shelf_part part, struct shelf_referrers *ret)
{
	dray_error *err = NULL;

	assert_ok(g->proxy->ops->referrers(g->proxy, "a", subject, type, &part, ret, &err), err);
}

/* They are all there, as they say of themselves; when nobody can be asked they are not none. */
static void referrers_that_cannot_be_kept_are_handed_on(void **state)
{
	const struct digest subject = digest_text_of("subject");
	cleanup_shelf_referrers struct shelf_referrers all = { 0 }, odd = { 0 }, rest = { 0 };
	char *texts[3];
	struct setting g;

	begin_with(&g, *state, (struct depot_options){ .quota = 10 }, (struct proxy_options){ 0 });
	for (int i = 0; i < 3; i++)
		g.up.referrers[i] = texts[i] = referrer_of(&subject, i % 2 ? "x1" : "x0", i);
	referrers_of(&g, &subject, NULL, (struct shelf_part){ .max = 2 }, &all);
	assert_int_equal(all.n, 2);
	assert_true(all.more);
	assert_true(strcmp(all.list[0].digest.text, all.list[1].digest.text) < 0);
	assert_string_equal(all.list[0].media_type, MT_OCI_MANIFEST);
	assert_true(all.list[0].size > 0);
	assert_true(span_starts(all.list[0].annotations, "{\"n\":\""));
	referrers_of(&g, &subject, NULL,
		     (struct shelf_part){ .after = all.list[1].digest.text, .max = 2 }, &rest);
	assert_int_equal(rest.n, 1);
	assert_false(rest.more);
	referrers_of(&g, &subject, "application/x1", (struct shelf_part){ .max = 9 }, &odd);
	assert_int_equal(odd.n, 1);
	assert_string_equal(odd.list[0].artifact_type, "application/x1");
	assert_string_equal(odd.list[0].digest.text, digest_text_of(texts[1]).text);
	fake_fail(&g.up, DRAY_ERR_NETWORK, 0);
	refuse_referrers(&g, &subject, SHELF_UNREACHABLE);
	end(&g);
	for (int i = 0; i < 3; i++)
		free(texts[i]);
}

/* Of many few may be wanted: a page ends when it was work enough, and says where to go on. */
static void a_page_of_referrers_asks_a_bounded_number(void **state)
{
	const struct digest subject = digest_text_of("subject");
	struct shelf_part part = { .max = 9 };
	char *texts[4], last[DIGEST_TEXT];
	struct setting g;
	size_t found = 0;
	int pages = 0;

	begin_with(&g, *state, (struct depot_options){ .quota = 10 },
		   (struct proxy_options){ .referrers = 1 });
	for (int i = 0; i < 4; i++)
		g.up.referrers[i] = texts[i] = referrer_of(&subject, i == 2 ? "rare" : "x", i);
	for (bool more = true; more; pages++) {
		cleanup_shelf_referrers struct shelf_referrers list = { 0 };
		int before = asked(&g, CALL_MANIFEST);

		referrers_of(&g, &subject, "application/rare", part, &list);
		assert_int_equal(asked(&g, CALL_MANIFEST), before + 1);
		found += list.n;
		more = list.more;
		assert_int_equal(list.last != NULL, more);
		if (more)
			snprintf(last, sizeof(last), "%s", list.last);
		part.after = last;
	}
	assert_int_equal(pages, 4);
	assert_int_equal(found, 1);
	end(&g);
	for (int i = 0; i < 4; i++)
		free(texts[i]);
}

/* Whoever may push puts such a one into the list: it hides none of the others. */
static void referrers_that_nobody_reads_hide_no_others(void **state)
{
	static const struct {
		enum dray_err_kind unread;
		bool kept;
		enum dray_err_kind looks; /* how a question whether it is there fails */
	} rows[] = {
		{ DRAY_ERR_FORMAT, true, 0 },
		{ DRAY_ERR_UNSUPPORTED, true, 0 },
		{ DRAY_ERR_LIMIT, true, 0 },
		{ DRAY_ERR_FORMAT, false, 0 },
		{ DRAY_ERR_UNSUPPORTED, false, 0 },
		{ DRAY_ERR_LIMIT, false, 0 },
		/* It did not come, whatever was wrong with what did: then the list is not whole. */
		{ DRAY_ERR_CORRUPT, true, 0 },
		{ DRAY_ERR_CORRUPT, false, 0 },
		{ DRAY_ERR_NETWORK, true, 0 },
		{ DRAY_ERR_NETWORK, false, 0 },
		{ DRAY_ERR_FORMAT, true, DRAY_ERR_FORMAT },
		{ DRAY_ERR_FORMAT, false, DRAY_ERR_FORMAT },
	};
	const struct digest subject = digest_text_of("subject");
	char *texts[3];

	for (int i = 0; i < 3; i++)
		texts[i] = referrer_of(&subject, "x", i);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct site *t = *state;
		struct setting g;
		bool whole = !rows[i].looks && rows[i].unread != DRAY_ERR_CORRUPT &&
			     rows[i].unread != DRAY_ERR_NETWORK;

		begin_with(&g, t, (struct depot_options){ .quota = rows[i].kept ? 0 : 10 },
			   (struct proxy_options){ 0 });
		g.up.unread = rows[i].unread;
		g.up.fails[CALL_LOOK] = rows[i].looks;
		g.up.referrers[0] = texts[0];
		g.up.referrers[1] = "{\"junk\":1}";
		g.up.referrers[2] = texts[1];
		g.up.referrers[3] = texts[2];
		for (int again = 0; again < 2; again++) {
			if (whole)
				assert_int_equal(count_referrers(&g, &subject), 3);
			else
				refuse_referrers(&g, &subject, SHELF_UNREACHABLE);
		}
		fake_fail(&g.up, DRAY_ERR_NETWORK, 0);
		if (whole && rows[i].kept)
			assert_int_equal(count_referrers(&g, &subject), 3);
		else
			refuse_referrers(&g, &subject, SHELF_UNREACHABLE);
		end(&g);
		site_wipe(t);
	}
	for (int i = 0; i < 3; i++)
		free(texts[i]);
}

/* ---- the folder ---- */

#define LONG64 "x.example/x.example/x.example/x.example/x.example/x.example/abcd"
#define LONG LONG64 "/" LONG64 "/" LONG64 "/" LONG64 "/" LONG64 /* longer than an error shows */

static void a_folder_stays_what_it_is(void **state)
{
	static const struct {
		const char *made, *opened;
		bool either, fits;
	} rows[] = {
		{ NULL, NULL, false, true },
		{ NULL, "x.example", false, false },
		{ NULL, NULL, true, true },
		{ "x.example", "x.example", false, true },
		{ "x.example", NULL, false, false },
		{ "x.example", "y.example", false, false },
		{ "x.example", NULL, true, true },
		{ LONG "/a", LONG "/a", false, true },
		{ LONG "/a", LONG "/b", false, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct site *t = *state;
		struct shelf *s;
		dray_error *err = NULL;
		const struct depot_options o = { .cache_of = rows[i].opened,
						 .either = rows[i].either };
		int rc;

		shelf_free(site_open_with(t, (struct depot_options){ .cache_of = rows[i].made }));
		rc = site_try(t, o, &s, &err);
		if (rows[i].fits) {
			assert_ok(rc, err);
			shelf_free(s);
		} else {
			assert_int_equal(rc, -1);
			assert_err_kind(err, DRAY_ERR_USAGE);
		}
		site_wipe(t);
	}
}

static void it_is_a_mirror_of_one(void **state)
{
	struct setting g;

	begin(&g, *state);
	assert_true(g.proxy->ops->stands_for(g.proxy, "fake.example"));
	assert_false(g.proxy->ops->stands_for(g.proxy, "docker.io"));
	assert_null(g.proxy->write);
	end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(tags_are_the_registrys),
		site_test(referrers_are_brought_and_kept),
		site_test(referrers_that_are_not_known_are_not_none),
		site_test(referrers_that_cannot_be_kept_are_handed_on),
		site_test(a_page_of_referrers_asks_a_bounded_number),
		site_test(referrers_that_nobody_reads_hide_no_others),
		site_test(a_folder_stays_what_it_is),
		site_test(it_is_a_mirror_of_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
