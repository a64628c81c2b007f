/* SPDX-License-Identifier: Apache-2.0
 *
 * Blobs of a cache: brought once, given while they come, proven, or broken off.
 */
#include "proxy_setting.h"

#include "torture.h"

/* ---- downloads ---- */

static void a_blob_is_brought_once_and_kept(void **state)
{
	struct setting g;
	struct shelf_blob b;
	dray_error *err = NULL;

	begin_big(&g, *state);
	b = SHELF_BLOB_INIT;
	assert_ok(g.proxy->ops->blob(g.proxy, "a", &g.big, false, &b, &err), err);
	assert_int_equal(b.size, sizeof(big));
	assert_int_equal(asked(&g, CALL_BLOB), 0);
	for (int i = 0; i < 3; i++) {
		assert_ok(open_blob(&g, "a", &g.big, &b, &err), err);
		assert_int_equal(read_blob(&b, i * 1000, &err), sizeof(big) - (size_t)i * 1000);
		shelf_blob_clear(&b);
	}
	assert_int_equal(asked(&g, CALL_BLOB), 1);
	await_kept(&g, "a", &g.big);
	/* Another repository has it when the registry says so, and it does not come again. */
	assert_false(folder_has(&g, "b", &g.big));
	assert_ok(open_blob(&g, "b", &g.big, &b, &err), err);
	assert_int_equal(read_blob(&b, 0, &err), sizeof(big));
	shelf_blob_clear(&b);
	assert_int_equal(asked(&g, CALL_BLOB), 1);
	g.up.blobs[0] = (struct span){ 0 };
	assert_refused(open_blob(&g, "c", &g.big, &b, &err), err, SHELF_BLOB_UNKNOWN);
	end(&g);
}

/* They read what is there, wait for what is not, and it comes once. */
static void many_follow_one_download(void **state)
{
	struct reader readers[8];
	struct setting g;

	begin_big(&g, *state);
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
	struct setting g;
	struct shelf_blob b;
	dray_error *err = NULL;

	begin_big(&g, *state);
	g.up.gate_at = 1000;
	assert_ok(open_blob(&g, "a", &g.big, &b, &err), err);
	shelf_blob_clear(&b);
	fake_open_gate(&g.up);
	await_kept(&g, "a", &g.big);
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
	struct site *t = *state;
	struct setting g;

	begin_big(&g, t);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct shelf_blob b;
		dray_error *err = NULL;

		g.up.announced = rows[i].announced;
		g.up.cut_at = rows[i].cut_at;
		g.up.flip_at = rows[i].flip_at;
		/* It may fail before it was given out; the announced end is never reached. */
		if (open_blob(&g, "a", &g.big, &b, &err) == 0) {
			int64_t end = rows[i].announced == INT64_MIN ? -1 : BIG + rows[i].announced;

			assert_int_equal(b.size, end);
			assert_int_equal(source_drain(b.data, &err), -1);
			assert_true(end < 0 || b.data->pos < end);
		}
		assert_non_null(err);
		err_clear(&err);
		shelf_blob_clear(&b);
		assert_false(folder_has(&g, "a", &g.big));
		assert_int_equal(uploads_of(t), 0);
	}
	/* And then it is right, though nobody says how long it is. */
	struct shelf_blob b;
	dray_error *err = NULL;

	g.up.announced = INT64_MIN;
	g.up.cut_at = g.up.flip_at = -1;
	assert_ok(open_blob(&g, "a", &g.big, &b, &err), err);
	assert_true(b.size == -1 || b.size == BIG); /* it may be here already */
	assert_int_equal(read_blob(&b, 0, &err), BIG);
	shelf_blob_clear(&b);
	await_kept(&g, "a", &g.big);
	assert_int_equal(asked(&g, CALL_BLOB), ROWS(rows) + 1);
	/* What is small is waited for, and then everybody knows. */
	const struct digest little = digest_text_of("little");

	g.up.blobs[0] = span_str("little");
	assert_ok(open_blob(&g, "a", &little, &b, &err), err);
	assert_int_equal(b.size, strlen("little"));
	shelf_blob_clear(&b);
	await_kept(&g, "a", &little);
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

/* ---- what passes through, and what is stopped ---- */

/* Those who wait are let go of, and nothing of what came stays. */
static void stopping_waits_for_nobody(void **state)
{
	struct reader r;
	struct setting g;
	struct shelf_blob b;
	dray_error *err = NULL;

	begin_big(&g, *state);
	g.up.gate_at = 1000; /* and it stays closed */
	r = (struct reader){ .g = &g };
	assert_int_equal(pthread_create(&r.thread, NULL, read_one, &r), 0);
	while (asked(&g, CALL_BLOB) == 0)
		sched_yield();
	proxy_stop(g.proxy);
	pthread_join(r.thread, NULL);
	assert_int_equal(r.got, -1);
	assert_int_equal(open_blob(&g, "a", &g.big, &b, &err), -1);
	err_clear(&err);
	end(&g);
	assert_int_equal(uploads_of(*state), 0);
}

/* They pass through, and are proven like any other. */
static void blobs_that_are_long_on_their_way_stop_no_others(void **state)
{
	static const char *const rows[] = { "small", "", "none that is empty" };
	struct setting g;
	struct shelf_blob slow, b;
	dray_error *err = NULL;

	begin_big_with(&g, *state, (struct depot_options){ 0 },
		       (struct proxy_options){ .downloads = 1 });
	g.up.gate_at = 1000;
	assert_ok(open_blob(&g, "a", &g.big, &slow, &err), err);
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
	assert_ok(open_blob(&g, "a", &g.big, &b, &err), err);
	fake_open_gate(&g.up);
	assert_int_equal(read_blob(&b, 0, &err), BIG);
	assert_int_equal(asked(&g, CALL_BLOB), 1 + ROWS(rows));
	shelf_blob_clear(&b);
	shelf_blob_clear(&slow);
	await_kept(&g, "a", &g.big);
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
	struct stopper stopper;
	struct setting g;
	struct shelf_blob b;
	dray_error *err = NULL;

	begin_big_with(&g, *state, (struct depot_options){ .quota = 10 },
		       (struct proxy_options){ 0 });
	g.up.gate_at = 1000; /* and it stays closed */
	assert_ok(open_blob(&g, "a", &g.big, &b, &err), err);
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

	if (get(g, &(struct shelf_ref){ .tag = "v" }, &doc, err) < 0 ||
	    open_blob(g, "a", &g->big, &b, err) < 0)
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
	bool reached = true;

	for (uint64_t nth = 1; reached; nth++) {
		struct setting g = { 0 };
		dray_error *err = NULL;
		int rc;

		fake_init(&g.up);
		fill_big(&g);
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
		await_kept(&g, "a", &g.big);
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

	for (uint64_t nth = 1; reached; nth++) {
		dray_error *err = NULL;
		struct setting g;
		int rc;

		begin_big(&g, t);
		g.up.tags[0].tag = "v";
		g.up.tags[0].text = one;
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
		site_test(a_blob_is_brought_once_and_kept),
		site_test(many_follow_one_download),
		site_test(who_goes_away_ends_no_download),
		site_test(wrong_blobs_break_off),
		site_test(an_empty_blob_is_one),
		site_test(stopping_waits_for_nobody),
		site_test(blobs_that_are_long_on_their_way_stop_no_others),
		site_test(stopping_breaks_off_what_passes_through),
		site_test(no_memory_breaks_nothing),
		site_test(a_full_disk_keeps_nobody_from_pulling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
