/* SPDX-License-Identifier: Apache-2.0
 *
 * Room in a cache: who makes it, who gets it, what passes through, what goes by time.
 */
#include "proxy_setting.h"

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
	struct setting g;
	struct shelf_blob slow, b;
	dray_error *err = NULL;
	char text[900];
	struct digest other;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	other = digest_text_of(text);
	begin_big_with(&g, *state, (struct depot_options){ .quota = BIG + 500 },
		       (struct proxy_options){ 0 });
	g.up.blobs[1] = span_str(text);
	g.up.gate_at = 1000;
	assert_ok(open_blob(&g, "a", &g.big, &slow, &err), err);
	assert_ok(open_blob(&g, "a", &other, &b, &err), err);
	assert_ok(source_drain(b.data, &err), err);
	shelf_blob_clear(&b);
	assert_false(folder_has(&g, "a", &other));
	fake_open_gate(&g.up);
	assert_int_equal(read_blob(&slow, 0, &err), BIG);
	shelf_blob_clear(&slow);
	await_kept(&g, "a", &g.big);
	/* There is still a disk to keep others on, and nothing is expected any more. */
	get_text(&g, "small enough", true);
	get_text(&g, text, true);
	assert_false(kept(&g, "small enough") && folder_has(&g, "a", &g.big));
	end(&g);
}

/* Nobody says how long it is: what was begun goes on past the folder, and the next one begins there. */
static void what_turns_out_too_large_goes_past(void **state)
{
	static const int want[] = { 2, 4, 5 };
	struct setting g;
	struct shelf_blob b;
	dray_error *err = NULL;

	begin_big_with(&g, *state, (struct depot_options){ .quota = BIG - 1000 },
		       (struct proxy_options){ 0 });
	g.up.announced = INT64_MIN;
	for (int i = 0; i < 3; i++) {
		assert_ok(open_blob(&g, "a", &g.big, &b, &err), err);
		assert_int_equal(b.size, -1);
		assert_int_equal(read_blob(&b, 0, &err), BIG);
		shelf_blob_clear(&b);
		assert_false(folder_has(&g, "a", &g.big));
		assert_int_equal(asked(&g, CALL_BLOB), want[i]);
		/* Which no longer makes room for it. */
		get_text(&g, "one that stays", i == 0);
		assert_true(kept(&g, "one that stays"));
		g.up.blobs[0] = span_of(big, sizeof(big));
	}
	end(&g);
}

/* What a client has of it was of the first answer: the second one has to begin like it. */
static void another_blob_the_second_time(void **state)
{
	struct setting g;
	struct shelf_blob b;
	struct span some;
	dray_error *err = NULL;

	begin_big_with(&g, *state, (struct depot_options){ .quota = BIG - 1000 },
		       (struct proxy_options){ 0 });
	g.up.announced = INT64_MIN;
	g.up.gate_at = 200 * 1024;
	assert_ok(open_blob(&g, "a", &g.big, &b, &err), err);
	assert_ok(source_peek(b.data, 1000, &some, &err), err);
	g.up.flip_at = 10;
	fake_open_gate(&g.up);
	assert_int_equal(source_drain(b.data, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
	shelf_blob_clear(&b);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(what_was_not_used_longest_makes_room),
		site_test(two_that_come_leave_room_for_each_other),
		site_test(what_turns_out_too_large_goes_past),
		site_test(another_blob_the_second_time),
		site_test(what_nobody_used_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
