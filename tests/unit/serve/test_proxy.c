/* SPDX-License-Identifier: Apache-2.0
 *
 * A cache of a registry that is there, silent, lying or gone: what it is asked, what is given out,
 * and what the folder has afterwards.
 */
#include "proxy_support.h"

#include <pthread.h>

#include "torture.h"

#define BIG (300 * 1024 + 7) /* bytes: several pieces */

struct setting {
	struct fake up;
	struct shelf *depot, *proxy;
};

static void begin_with(struct setting *g, const struct site *t, struct depot_options d,
		       struct proxy_options p)
{
	dray_error *err = NULL;

	fake_init(&g->up);
	d.cache_of = "fake.example";
	g->depot = site_open_with(t, d);
	assert_ok(proxy_open(g->depot, &g->up.base, &p, &g->proxy, &err), err);
}

static void begin(struct setting *g, const struct site *t)
{
	begin_with(g, t, (struct depot_options){ 0 }, (struct proxy_options){ 0 });
}

static void end(struct setting *g)
{
	shelf_free(g->proxy);
	shelf_free(g->depot);
	fake_clear(&g->up);
}

static int asked(const struct setting *g, enum fake_call call)
{
	return atomic_load(&g->up.asked[call]);
}

/* ---- manifests ---- */

static int get(struct setting *g, const struct shelf_ref *ref, struct shelf_doc *ret,
	       dray_error **err)
{
	return g->proxy->ops->manifest(g->proxy, "a", ref, true, ret, err);
}

static void check_tag(struct setting *g, const char *tag, const char *text, bool stale)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	dray_error *err = NULL;

	assert_ok(get(g, &(struct shelf_ref){ .tag = tag }, &doc, &err), err);
	assert_span_is(span_buf(&doc.bytes), text);
	assert_int_equal(doc.stale, stale);
}

static void check_digest(struct setting *g, const char *text)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	const struct shelf_ref ref = { .digest = digest_text_of(text) };
	dray_error *err = NULL;

	assert_ok(get(g, &ref, &doc, &err), err);
	assert_span_is(span_buf(&doc.bytes), text);
	assert_false(doc.stale);
}

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
	g.up.referrers[0] = one;
	refuse_referrers(&g, &subject, SHELF_NO_SPACE);
	/* Nobody can say what refers to one that cannot be told, and nobody is asked. */
	before = asked(&g, CALL_REFERRERS);
	assert_int_equal(digest_parse(span_str("a+b:cccc"), &odd, &err), 0);
	assert_int_equal(count_referrers(&g, &odd), 0);
	assert_int_equal(asked(&g, CALL_REFERRERS), before);
	end(&g);
	free(one);
}

/* ---- blobs ---- */

static uint8_t big[BIG];

static struct digest big_digest(void)
{
	struct digest d;
	dray_error *err = NULL;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 2654435761U >> 13);
	assert_ok(digest_of(span_of(big, sizeof(big)), &d, &err), err);
	return d;
}

static int open_blob(struct setting *g, const char *repo, const struct digest *d,
		     struct shelf_blob *ret, dray_error **err)
{
	*ret = SHELF_BLOB_INIT;
	return g->proxy->ops->blob(g->proxy, repo, d, true, ret, err);
}

/* All that comes of @b from @off on: how much, -1. */
static int64_t read_blob(struct shelf_blob *b, int64_t off, dray_error **err)
{
	cleanup_buf struct buf bytes = BUF_INIT(BIG + 1);

	if (b->fd >= 0)
		b->data = source_from_file(steal_fd(&b->fd), b->size, err);
	if (!b->data || source_skip(b->data, off, err) < 0 ||
	    source_slurp(b->data, &bytes, err) < 0)
		return -1;
	assert_span(span_buf(&bytes), span_of(big + off, sizeof(big) - (size_t)off));
	return (int64_t)bytes.len;
}

static bool folder_has(struct setting *g, const char *repo, const struct digest *d)
{
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;

	return g->depot->ops->blob(g->depot, repo, d, false, &b, NULL) == 0;
}

/* It was given out; on the disk it may be a moment later. */
static void await_kept(struct setting *g, const char *repo, const struct digest *d)
{
	while (!folder_has(g, repo, d))
		sched_yield();
}

static size_t uploads_of(const struct site *t)
{
	cleanup_io_names struct io_names names = { 0 };
	dray_error *err = NULL;
	int fd = openat(t->fd, "root/uploads", O_RDONLY | O_DIRECTORY);

	assert_true(fd >= 0);
	assert_ok(io_list(fd, &names, &err), err);
	close(fd);
	return names.n;
}

static void a_blob_is_brought_once_and_kept(void **state)
{
	const struct digest d = big_digest();
	struct setting g;
	struct shelf_blob b;
	dray_error *err = NULL;

	begin(&g, *state);
	g.up.blobs[0] = span_of(big, sizeof(big));
	b = SHELF_BLOB_INIT;
	assert_ok(g.proxy->ops->blob(g.proxy, "a", &d, false, &b, &err), err);
	assert_int_equal(b.size, sizeof(big));
	assert_int_equal(asked(&g, CALL_BLOB), 0);
	for (int i = 0; i < 3; i++) {
		assert_ok(open_blob(&g, "a", &d, &b, &err), err);
		assert_int_equal(read_blob(&b, i * 1000, &err), sizeof(big) - (size_t)i * 1000);
		shelf_blob_clear(&b);
	}
	assert_int_equal(asked(&g, CALL_BLOB), 1);
	await_kept(&g, "a", &d);
	/* Another repository has it when the registry says so, and it does not come again. */
	assert_false(folder_has(&g, "b", &d));
	assert_ok(open_blob(&g, "b", &d, &b, &err), err);
	assert_int_equal(read_blob(&b, 0, &err), sizeof(big));
	shelf_blob_clear(&b);
	assert_int_equal(asked(&g, CALL_BLOB), 1);
	g.up.blobs[0] = (struct span){ 0 };
	assert_refused(open_blob(&g, "c", &d, &b, &err), err, SHELF_BLOB_UNKNOWN);
	end(&g);
}

struct reader {
	struct setting *g;
	pthread_t thread;
	int64_t off, got;
};

static void *read_one(void *arg)
{
	struct reader *r = arg;
	const struct digest d = big_digest();
	struct shelf_blob b;
	dray_error *err = NULL;

	r->got = -1;
	if (open_blob(r->g, "a", &d, &b, &err) == 0)
		r->got = read_blob(&b, r->off, &err);
	shelf_blob_clear(&b);
	dray_error_free(err);
	return NULL;
}

/* They read what is there, wait for what is not, and it comes once. */
static void many_follow_one_download(void **state)
{
	struct reader readers[8];
	struct setting g;

	big_digest();
	begin(&g, *state);
	g.up.blobs[0] = span_of(big, sizeof(big));
	g.up.gate_at = 100 * 1024;
	for (size_t i = 0; i < ROWS(readers); i++) {
		readers[i] = (struct reader){ .g = &g, .off = (int64_t)i * 30000 };
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_one, &readers[i]),
				 0);
	}
	while (asked(&g, CALL_BLOB) == 0)
		sched_yield();
	fake_open_gate(&g.up);
	for (size_t i = 0; i < ROWS(readers); i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].got, BIG - (int64_t)i * 30000);
	}
	assert_int_equal(asked(&g, CALL_BLOB), 1);
	end(&g);
}

/* It is for the next one who asks. */
static void who_goes_away_ends_no_download(void **state)
{
	const struct digest d = big_digest();
	struct setting g;
	struct shelf_blob b;
	dray_error *err = NULL;

	begin(&g, *state);
	g.up.blobs[0] = span_of(big, sizeof(big));
	g.up.gate_at = 1000;
	assert_ok(open_blob(&g, "a", &d, &b, &err), err);
	shelf_blob_clear(&b);
	fake_open_gate(&g.up);
	await_kept(&g, "a", &d);
	assert_int_equal(asked(&g, CALL_BLOB), 1);
	end(&g);
}

/* Nobody gets all bytes of a blob that is none, and nothing stays. */
static void wrong_blobs_break_off(void **state)
{
	static const struct {
		int64_t announced, cut_at, flip_at;
	} rows[] = {
		{ 0, -1, 5000 },      { 0, -1, BIG - 1 },    { 0, 70000, -1 },
		{ 0, 0, -1 },	      { 1, -1, -1 },	     { -1, -1, -1 },
		{ -BIG + 1, -1, -1 }, { 1LL << 40, -1, -1 }, { INT64_MIN, -1, 9 },
	};
	const struct digest d = big_digest();
	struct site *t = *state;
	struct setting g;

	begin(&g, t);
	g.up.blobs[0] = span_of(big, sizeof(big));
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct shelf_blob b;
		dray_error *err = NULL;

		g.up.announced = rows[i].announced;
		g.up.cut_at = rows[i].cut_at;
		g.up.flip_at = rows[i].flip_at;
		/* It may fail before it was given out; the announced end is never reached. */
		if (open_blob(&g, "a", &d, &b, &err) == 0) {
			assert_int_equal(b.size, BIG + rows[i].announced);
			assert_int_equal(source_drain(b.data, &err), -1);
			assert_true(b.data->pos < b.size);
		}
		assert_non_null(err);
		err_clear(&err);
		shelf_blob_clear(&b);
		assert_false(folder_has(&g, "a", &d));
		assert_int_equal(uploads_of(t), 0);
	}
	/* And then it is right, though nobody says how long it is. */
	struct shelf_blob b;
	dray_error *err = NULL;

	g.up.announced = INT64_MIN;
	g.up.cut_at = g.up.flip_at = -1;
	assert_ok(open_blob(&g, "a", &d, &b, &err), err);
	assert_int_equal(b.size, BIG);
	assert_int_equal(read_blob(&b, 0, &err), BIG);
	shelf_blob_clear(&b);
	end(&g);
}

static void an_empty_blob_is_one(void **state)
{
	const struct digest d = digest_text_of("");
	struct setting g;
	struct shelf_blob b;
	dray_error *err = NULL;

	begin(&g, *state);
	g.up.blobs[0] = span_str("");
	assert_ok(open_blob(&g, "a", &d, &b, &err), err);
	assert_int_equal(b.size, 0);
	shelf_blob_clear(&b);
	await_kept(&g, "a", &d);
	end(&g);
}

/* ---- room ---- */

static void get_text(struct setting *g, const char *text, bool stays)
{
	const struct digest d = digest_text_of(text);
	struct shelf_blob b;
	dray_error *err = NULL;

	g->up.blobs[0] = span_str(text);
	assert_ok(open_blob(g, "a", &d, &b, &err), err);
	if (b.data)
		assert_ok(source_drain(b.data, &err), err);
	shelf_blob_clear(&b);
	if (stays)
		await_kept(g, "a", &d);
}

static bool kept(struct setting *g, const char *text)
{
	const struct digest d = digest_text_of(text);

	/* Asking is using: the folder's file tells without. */
	int64_t size;

	return depot_knows(g->depot, &d, &size, NULL) == 1;
}

static void what_was_not_used_longest_makes_room(void **state)
{
	struct setting g;

	begin_with(&g, *state, (struct depot_options){ .quota = 32 }, (struct proxy_options){ 0 });
	get_text(&g, "the first 10", true);
	site_seconds += 100;
	get_text(&g, "the second 10", true);
	site_seconds += 100;
	get_text(&g, "the first 10", true); /* used again */
	site_seconds += 100;
	get_text(&g, "the third 10", true);
	assert_false(kept(&g, "the second 10"));
	assert_true(kept(&g, "the first 10") && kept(&g, "the third 10"));
	/* One for which there never is room passes through, and nothing goes for it. */
	get_text(&g, "one that has more bytes than may lie in the whole folder", false);
	assert_false(kept(&g, "one that has more bytes than may lie in the whole folder"));
	assert_true(kept(&g, "the first 10") && kept(&g, "the third 10"));
	/* Wrong bytes do not pass whole. */
	const struct digest d = digest_text_of(
		"one that has more bytes than may lie here, flipped");
	struct shelf_blob b;
	dray_error *err = NULL;

	g.up.blobs[0] = span_str("one that has more bytes than may lie here, flipped");
	g.up.flip_at = 20;
	assert_ok(open_blob(&g, "a", &d, &b, &err), err);
	assert_int_equal(source_drain(b.data, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
	shelf_blob_clear(&b);
	end(&g);
}

/* Each fits the quota, and not both: one is kept, and the other passes through. */
static void two_that_come_leave_room_for_each_other(void **state)
{
	const struct digest d = big_digest();
	struct setting g;
	struct shelf_blob slow, b;
	dray_error *err = NULL;
	char text[900];
	struct digest other;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	other = digest_text_of(text);
	begin_with(&g, *state, (struct depot_options){ .quota = BIG + 500 },
		   (struct proxy_options){ 0 });
	g.up.blobs[0] = span_of(big, sizeof(big));
	g.up.blobs[1] = span_str(text);
	g.up.gate_at = 1000;
	assert_ok(open_blob(&g, "a", &d, &slow, &err), err);
	assert_ok(open_blob(&g, "a", &other, &b, &err), err);
	assert_ok(source_drain(b.data, &err), err);
	shelf_blob_clear(&b);
	assert_false(folder_has(&g, "a", &other));
	fake_open_gate(&g.up);
	assert_int_equal(read_blob(&slow, 0, &err), BIG);
	shelf_blob_clear(&slow);
	await_kept(&g, "a", &d);
	/* There is still a disk to keep others on, and nothing is expected any more. */
	get_text(&g, "small enough", true);
	get_text(&g, text, true);
	assert_false(kept(&g, "small enough") && folder_has(&g, "a", &d));
	end(&g);
}

static void what_nobody_used_goes(void **state)
{
	const struct depot_gc gc = { .grace = 1, .untagged = true };
	char *one = manifest_of("{}", "one", "");
	struct depot_collected got;
	dray_error *err = NULL;
	struct setting g;

	begin_with(&g, *state, (struct depot_options){ .cache_keep = 1000 },
		   (struct proxy_options){ 0 });
	g.up.tags[0].tag = "v";
	g.up.tags[0].text = one;
	check_tag(&g, "v", one, false);
	get_text(&g, "a layer", true);
	site_seconds += 900;
	check_digest(&g, one);
	assert_ok(depot_collect(g.depot, &gc, &got, &err), err);
	assert_true(kept(&g, "a layer") && has_tag(g.depot, "a", "v"));
	site_seconds += 200;
	assert_ok(depot_collect(g.depot, &gc, &got, &err), err);
	assert_int_equal(got.blobs, 1);
	assert_int_equal(got.manifests, 0);
	assert_false(kept(&g, "a layer"));
	site_seconds += 1100;
	assert_ok(depot_collect(g.depot, &gc, &got, &err), err);
	assert_int_equal(got.manifests, 1);
	assert_false(has_tag(g.depot, "a", "v"));
	end(&g);
	free(one);
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

/* Those who wait are let go of, and nothing of what came stays. */
static void stopping_waits_for_nobody(void **state)
{
	struct reader r;
	struct setting g;
	const struct digest d = big_digest();
	struct shelf_blob b;
	dray_error *err = NULL;

	begin(&g, *state);
	g.up.blobs[0] = span_of(big, sizeof(big));
	g.up.gate_at = 1000; /* and it stays closed */
	r = (struct reader){ .g = &g };
	assert_int_equal(pthread_create(&r.thread, NULL, read_one, &r), 0);
	while (asked(&g, CALL_BLOB) == 0)
		sched_yield();
	proxy_stop(g.proxy);
	pthread_join(r.thread, NULL);
	assert_int_equal(r.got, -1);
	assert_int_equal(open_blob(&g, "a", &d, &b, &err), -1);
	err_clear(&err);
	end(&g);
	assert_int_equal(uploads_of(*state), 0);
}

/* They pass through, and are proven like any other. */
static void blobs_that_are_long_on_their_way_stop_no_others(void **state)
{
	static const char *const rows[] = { "small", "", "none that is empty" };
	const struct digest d = big_digest();
	struct setting g;
	struct shelf_blob slow, b;
	dray_error *err = NULL;

	begin_with(&g, *state, (struct depot_options){ 0 },
		   (struct proxy_options){ .downloads = 1 });
	g.up.blobs[0] = span_of(big, sizeof(big));
	g.up.gate_at = 1000;
	assert_ok(open_blob(&g, "a", &d, &slow, &err), err);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct digest other = digest_text_of(rows[i]);
		bool wrong = i == 2;
		int rc;

		g.up.blobs[1] = span_str(rows[i]);
		g.up.announced = wrong ? -(int64_t)strlen(rows[i]) : 0;
		rc = open_blob(&g, "a", &other, &b, &err);
		if (wrong) {
			assert_refused(rc, err, SHELF_UNREACHABLE);
		} else {
			assert_ok(rc, err);
			assert_int_equal(b.size, strlen(rows[i]));
			assert_ok(source_drain(b.data, &err), err);
		}
		shelf_blob_clear(&b);
		assert_false(folder_has(&g, "a", &other));
	}
	/* Who wants the same waits for that one. */
	assert_ok(open_blob(&g, "a", &d, &b, &err), err);
	fake_open_gate(&g.up);
	assert_int_equal(read_blob(&b, 0, &err), BIG);
	assert_int_equal(asked(&g, CALL_BLOB), 1 + ROWS(rows));
	shelf_blob_clear(&b);
	shelf_blob_clear(&slow);
	await_kept(&g, "a", &d);
	end(&g);
}

struct stopper {
	struct setting *g;
	pthread_t thread;
};

static void *stop_while_it_waits(void *arg)
{
	struct setting *g = ((struct stopper *)arg)->g;

	while (atomic_load(&g->up.waiting) == 0)
		sched_yield();
	proxy_stop(g->proxy);
	return NULL;
}

/* Nor who reads one that passes through. */
static void stopping_breaks_off_what_passes_through(void **state)
{
	const struct digest d = big_digest();
	struct stopper stopper;
	struct setting g;
	struct shelf_blob b;
	dray_error *err = NULL;

	begin_with(&g, *state, (struct depot_options){ .quota = 10 }, (struct proxy_options){ 0 });
	g.up.blobs[0] = span_of(big, sizeof(big));
	g.up.gate_at = 1000; /* and it stays closed */
	assert_ok(open_blob(&g, "a", &d, &b, &err), err);
	stopper.g = &g;
	assert_int_equal(pthread_create(&stopper.thread, NULL, stop_while_it_waits, &stopper), 0);
	assert_int_equal(source_drain(b.data, &err), -1);
	assert_err_kind(err, DRAY_ERR_CANCELLED);
	pthread_join(stopper.thread, NULL);
	shelf_blob_clear(&b);
	end(&g);
}

/* ---- without memory, without room ---- */

static int pull(struct setting *g, dray_error **err)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	const struct digest d = big_digest();

	if (get(g, &(struct shelf_ref){ .tag = "v" }, &doc, err) < 0 ||
	    open_blob(g, "a", &d, &b, err) < 0)
		return -1;
	return read_blob(&b, 0, err) < 0 ? -1 : 0;
}

/* The same through a new cache. */
static int pull_all(struct setting *g, dray_error **err)
{
	const struct proxy_options o = { .downloads = 1 };

	if (proxy_open(g->depot, &g->up.base, &o, &g->proxy, err) < 0)
		return -1;
	return pull(g, err);
}

/* Whatever allocation fails: it works nevertheless or says so, and the next one gets it right. */
static void no_memory_breaks_nothing(void **state)
{
	char *one = manifest_of("{}", "one", "");
	struct site *t = *state;
	const struct digest d = big_digest();
	bool reached = true;

	for (uint64_t nth = 1; reached; nth++) {
		struct setting g = { 0 };
		dray_error *err = NULL;
		int rc;

		fake_init(&g.up);
		g.up.tags[0].tag = "v";
		g.up.tags[0].text = one;
		g.up.blobs[0] = span_of(big, sizeof(big));
		g.depot = site_open_with(t, (struct depot_options){ .cache_of = "fake.example" });
		fault_arm(FAULT_ALLOC, nth, 0);
		rc = pull_all(&g, &err);
		fault_arm(FAULT_ALLOC, 0, 0);
		reached = fault_count(FAULT_ALLOC) >= nth;
		assert_int_equal(rc < 0, err != NULL);
		err_clear(&err);
		shelf_free(g.proxy);
		g.proxy = NULL;
		assert_ok(pull_all(&g, &err), err);
		await_kept(&g, "a", &d);
		assert_int_equal(uploads_of(t), 0);
		end(&g);
		site_wipe(t);
	}
	free(one);
}

/* At whatever call it is met: who comes again is served, and from then on it is kept or not. */
static void a_full_disk_keeps_nobody_from_pulling(void **state)
{
	char *one = manifest_of("{}", "one", "");
	struct site *t = *state;
	bool reached = true;

	big_digest();
	for (uint64_t nth = 1; reached; nth++) {
		dray_error *err = NULL;
		struct setting g;
		int rc;

		begin(&g, t);
		g.up.tags[0].tag = "v";
		g.up.tags[0].text = one;
		g.up.blobs[0] = span_of(big, sizeof(big));
		fault_arm(FAULT_IO, nth, ENOSPC);
		rc = pull(&g, &err);
		fault_arm(FAULT_IO, 0, 0);
		reached = fault_count(FAULT_IO) >= nth;
		assert_int_equal(rc < 0, err != NULL);
		err_clear(&err);
		assert_ok(pull(&g, &err), err);
		end(&g);
		site_wipe(t);
	}
	free(one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(a_tag_is_asked_and_its_manifest_kept),
		site_test(a_believed_tag_is_not_asked),
		site_test(errors_have_their_answers),
		site_test(a_silent_one_is_left_alone_for_a_while),
		site_test(the_first_finds_out_for_all),
		site_test(one_wrong_answer_is_no_silence),
		site_test(an_index_needs_no_parts),
		site_test(what_cannot_be_kept_is_given),
		site_test(a_tag_that_moved_to_what_cannot_be_kept),
		site_test(tags_are_the_registrys),
		site_test(referrers_are_brought_and_kept),
		site_test(referrers_that_are_not_known_are_not_none),
		site_test(a_blob_is_brought_once_and_kept),
		site_test(many_follow_one_download),
		site_test(who_goes_away_ends_no_download),
		site_test(wrong_blobs_break_off),
		site_test(an_empty_blob_is_one),
		site_test(blobs_that_are_long_on_their_way_stop_no_others),
		site_test(what_was_not_used_longest_makes_room),
		site_test(two_that_come_leave_room_for_each_other),
		site_test(what_nobody_used_goes),
		site_test(a_folder_stays_what_it_is),
		site_test(it_is_a_mirror_of_one),
		site_test(stopping_waits_for_nobody),
		site_test(stopping_breaks_off_what_passes_through),
		site_test(no_memory_breaks_nothing),
		site_test(a_full_disk_keeps_nobody_from_pulling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
