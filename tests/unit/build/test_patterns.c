/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns of paths in specs and in groups of layers.
 * Relies on the matcher of patterns.h.
 * Promises that a wrong answer names the pattern and the path.
 */
#include "build/layering_priv.h"
#include "build/match.h"
#include "layer/patterns.h"

/* ---- specs ---- */

struct spec_glob {
	struct match m;
	struct match_path path;
	bool above;
};

static bool spec_check(void *arg, const struct words *path)
{
	struct spec_glob *g = arg;
	dray_error *err = NULL;

	assert_ok(match_path_set(&g->path, path->text, &err), err);
	return g->above ? match_holds(&g->m, &g->path, true) : match_fits(&g->m, &g->path, true);
}

static void test_spec(void **state)
{
	struct spec_glob g = { 0 };
	struct words glob;

	(void)state;
	for (size_t i = 0; words_at(&glob, i, part_words, ROWS(part_words)); i++) {
		struct arena a = { 0 };
		dray_error *err = NULL;
		char text[70];

		snprintf(text, sizeof(text), "/%s", glob.text);
		assert_ok(match_parse(&a, text, &g.m, &err), err);
		g.above = false;
		hold_against(&glob, "spec", false, spec_check, &g);
		g.above = true;
		hold_against(&glob, "spec, above", true, spec_check, &g);
		arena_clear(&a);
	}
	match_path_clear(&g.path);
}

/* ---- groups of layers ---- */

static bool group_check(void *arg, const struct words *path)
{
	struct arena a = { 0 };
	struct name_parts parts;
	dray_error *err = NULL;
	bool ret;

	assert_ok(name_split(&a, path->text, &parts, &err), err);
	ret = name_patterns_fit(arg, 1, &parts);
	arena_clear(&a);
	return ret;
}

static void test_groups(void **state)
{
	struct words glob;

	(void)state;
	for (size_t i = 0; words_at(&glob, i, part_words, ROWS(part_words)); i++) {
		struct arena a = { 0 };
		struct path_pattern *list;
		dray_error *err = NULL;
		const char *const texts[] = { glob.text };

		assert_ok(name_patterns_parse(&a, &(struct layering_patterns){ texts, 1 }, &list,
					      &err),
			  err);
		hold_against(&glob, "group", false, group_check, list);
		arena_clear(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spec),
		cmocka_unit_test(test_groups),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
