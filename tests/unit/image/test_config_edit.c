/* SPDX-License-Identifier: Apache-2.0
 *
 * Other layers in a config: what is not named keeps its bytes.
 */
#include "torture.h"

#include "base/limits.h"
#include "image/config_edit.h"

#define D0 "sha256:b5286b140854cb4653f40218b53726462ec0b672896cb93297143ba4e93c59e2"
#define D1 "sha256:e79c58b07c6968d04001db816dc76b71ef035a9b07b2b37ecf8f917ccadb37dd"

static struct config *config_of(const char *text)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);
	struct config *c = NULL;
	dray_error *err = NULL;

	assert_ok(buf_add_str(&raw, text, &err), err);
	assert_ok(config_parse(&raw, &c, &err), err);
	return c;
}

static struct digest the_digest(const char *text)
{
	struct digest d;

	assert_int_equal(digest_parse(span_str(text), &d, NULL), 0);
	return d;
}

struct relayer_row {
	const char *before;
	const char *history[3]; /* of the new one */
	const char *after;	/* NULL = FORMAT */
};

static const struct relayer_row relayer_rows[] = {
	/* Spelling, order and what nobody knows stay. */
	{ "{ \"x\" : 1.50,\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\",\"" D0 "\"], "
	  "\"y\":null},\n\"history\":[{\"created_by\":\"a\"},{\"created_by\":\"b\"}],\"z\":"
	  "\"\\u00e9\"}",
	  { "{\"created_by\":\"n\"}" },
	  "{ \"x\" : 1.50,\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D0 "\"], "
	  "\"y\":null},\n\"history\":[{\"created_by\":\"n\"}],\"z\":\"\\u00e9\"}" },
	/* No history and none wanted: none is made. */
	{ "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}",
	  { NULL },
	  "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D0 "\"]}}" },
	/* What was not there is added. */
	{ "{\"os\":\"linux\"}",
	  { "{\"empty_layer\":true}", "{}" },
	  "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D0
	  "\"]},\"history\":[{\"empty_layer\":true},{}]}" },
	/* A history that makes more layers than there are, or fewer. */
	{ "{\"os\":\"linux\"}", { "{}", "{}" }, NULL },
	{ "{\"os\":\"linux\"}", { "{\"empty_layer\":true}" }, NULL },
};

static int relayer(const struct relayer_row *row, const struct config *c, struct buf *out,
		   dray_error **err)
{
	struct digest ids[] = { the_digest(D0) };
	struct span history[3];
	size_t n = 0;

	for (; n < 3 && row->history[n]; n++)
		history[n] = span_str(row->history[n]);
	return config_relayer(c, ids, 1, history, n, out, err);
}

static void other_layers_keep_all_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(relayer_rows); i++) {
		const struct relayer_row *row = &relayer_rows[i];
		cleanup_config struct config *c = config_of(row->before);
		cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);
		dray_error *err = NULL;
		int rc = relayer(row, c, &out, &err);

		if (!row->after) {
			assert_int_equal(rc, -1);
			assert_err(err, DRAY_ERR_FORMAT, "the history makes");
			continue;
		}
		assert_ok(rc, err);
		assert_span_is(span_buf(&out), row->after);
	}
}

static void steps_change_what_they_made(void **state)
{
	static const struct {
		size_t at;
		bool empty;
		const char *want;
	} rows[] = {
		{ 0, false, "{ \"created_by\":\"a\", \"odd\":[1 , 2]}" },
		{ 0, true, "{ \"created_by\":\"a\", \"odd\":[1 , 2], \"empty_layer\":true}" },
		{ 1, true, "{\"created_by\":\"b\",\"empty_layer\":true}" },
		{ 1, false, "{\"created_by\":\"b\"}" },
		{ 2, true, "{\"empty_layer\": true,\"created_by\":\"c\"}" },
	};
	cleanup_config struct config *c = config_of(
		"{\"history\":[{ \"created_by\":\"a\", \"odd\":[1 , 2]},"
		"{\"created_by\":\"b\",\"empty_layer\":true},"
		"{\"empty_layer\": false,\"created_by\":\"c\"}]}");

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);
		dray_error *err = NULL;

		assert_ok(config_history_entry(c, rows[i].at, rows[i].empty, &out, &err), err);
		assert_span_is(span_buf(&out), rows[i].want);
	}
}

static void a_new_step_bears_the_images_time(void **state)
{
	cleanup_config struct config *c = config_of("{\"created\":\"2020-01-02T03:04:05.6Z\"}");
	cleanup_config struct config *timeless = config_of("{}");
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);
	dray_error *err = NULL;

	(void)state;
	assert_ok(config_history_new(c, "<b> & \"c\"", NULL, false, &out, &err), err);
	assert_ok(config_history_new(timeless, "x", "why", true, &out, &err), err);
	assert_span_is(span_buf(&out),
		       "{\"created\":\"2020-01-02T03:04:05.6Z\",\"created_by\":\"\\u003cb\\u003e "
		       "\\u0026 \\\"c\\\"\"}"
		       "{\"created_by\":\"x\",\"comment\":\"why\",\"empty_layer\":true}");
}

static int run(void *arg, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);
	const struct config *c = arg;

	if (relayer(&relayer_rows[0], c, &out, err) < 0 ||
	    config_history_entry(c, 0, true, &out, err) < 0)
		return -1;
	return config_history_new(c, "x", "y", true, &out, err);
}

static void allocations_fail_cleanly_G17(void **state)
{
	cleanup_config struct config *c = config_of(relayer_rows[0].before);

	(void)state;
	torture_alloc(run, c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_layers_keep_all_else),
		cmocka_unit_test(steps_change_what_they_made),
		cmocka_unit_test(a_new_step_bears_the_images_time),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
