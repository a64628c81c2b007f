/* SPDX-License-Identifier: Apache-2.0
 *
 * For: fuzzing the JSON reader (M-10, M-11).
 * Relies on: nothing; the input is the text.
 * Promises: of what parses, every span lies in the text, every member is found by
 * its name, and the compacted text means the same, to json_same() too, and is a fixed point.
 */
#include <stdlib.h>
#include "base/limits.h"
#include "json/compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_inside(struct span part, struct span text)
{
	require(part.data >= text.data && part.len <= text.len);
	require((size_t)(part.data - text.data) <= text.len - part.len);
}

static void check_strings(struct json a, struct json b)
{
	struct arena arena = { 0 };
	struct span x, y;

	require(json_string_bytes(a, "a", &arena, &x, NULL) == 0);
	require(json_string_bytes(b, "b", &arena, &y, NULL) == 0);
	require(span_eq(x, y));
	arena_clear(&arena);
}

static void check_member(struct json parent, struct json v, struct json twin)
{
	struct arena arena = { 0 };
	const char *name, *other;

	require(json_name(v, &arena, &name, NULL) == 0);
	require(json_name(twin, &arena, &other, NULL) == 0);
	require(strcmp(name, other) == 0);
	/* Looking up each name of a wide object would take the fuzzer's time only. */
	if (json_len(parent) < 64) {
		require(json_get(parent, name).node == v.node);
		require(json_get_fold(parent, name).node == v.node);
	}
	arena_clear(&arena);
}

static void check_value(struct json v, struct json twin, struct span text)
{
	check_inside(json_raw(v), text);
	require(json_type(v) == json_type(twin) && json_type(v) != JSON_MISSING);
	require(json_len(v) == json_len(twin));
	if (json_type(v) == JSON_STRING)
		check_strings(v, twin);
	if (json_type(v) == JSON_NUMBER)
		require(span_eq(json_raw(v), json_raw(twin)));
}

struct level {
	struct json parent, v, twin;
};

/* Walk both trees side by side. */
static void check_trees(struct json root, struct json twin, struct span text)
{
	struct level stack[LIMIT_JSON_DEPTH + 1];
	size_t depth = 0;

	check_value(root, twin, text);
	stack[depth++] = (struct level){ root, json_first(root), json_first(twin) };
	while (depth) {
		struct level *top = &stack[depth - 1];
		struct json v = top->v, other = top->twin;
		if (!json_node(v)) {
			depth--;
			continue;
		}
		check_value(v, other, text);
		if (json_type(top->parent) == JSON_OBJECT) {
			check_inside(json_name_raw(v), text);
			check_member(top->parent, v, other);
		}
		top->v = json_next(v);
		top->twin = json_next(other);
		if (json_len(v)) {
			require(depth < sizeof(stack) / sizeof(stack[0]));
			stack[depth++] = (struct level){ v, json_first(v), json_first(other) };
		}
	}
}

static int no_difference(void *arg, const char *path, struct json a, struct json b,
			 dray_error **err)
{
	(void)arg, (void)path, (void)a, (void)b, (void)err;
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	cleanup_json struct json_doc *d = NULL, *again = NULL;
	cleanup_error dray_error *err = NULL;
	cleanup_buf struct buf once = BUF_INIT(size * 6), twice = BUF_INIT(size * 6);

	if (json_parse(text, &d, &err) < 0) {
		require(err != NULL);
		return 0;
	}
	require(json_compact(json_root(d), &once, NULL) == 0);
	require(json_parse(span_buf(&once), &again, NULL) == 0);
	check_trees(json_root(d), json_root(again), text);
	require(json_same(json_root(d), json_root(again), NULL) == 1);
	require(json_diff(json_root(d), json_root(again), no_difference, NULL, NULL) == 0);
	require(json_compact(json_root(again), &twice, NULL) == 0);
	require(span_eq(span_buf(&once), span_buf(&twice)));
	return 0;
}
