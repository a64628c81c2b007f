/* SPDX-License-Identifier: Apache-2.0 */
/* For: which names are the same but for their numbers, and what long ones cost.
 * Relies on: indexes made by hand, of one file each.
 * Promises: names that nobody can look at twice.
 */
#include "delta/match.h"

#include "base/mem.h"
#include "support.h"

#define LONG_NAMES 400
#define LONG_NAME (64 * KIB)

static struct layer_entry file_at(const char *path)
{
	return (struct layer_entry){ .path = path, .size = 100, .type = TAR_FILE };
}

static bool alike(const char *old, const char *new)
{
	struct layer_entry before = file_at(old), after = file_at(new);
	struct layer_index index = { .list = &before, .n = 1 };
	const struct recipe_base base = { .index = &index };
	const struct recipe_bases bases = { .list = &base, .n = 1 };
	dray_error *err = NULL;
	cleanup_match struct match *m = match_new(&bases, &err);

	assert_ok(m ? 0 : -1, err);
	return match_alike(m, &after) != NULL;
}

static const struct {
	const char *old, *new;
	bool alike;
} names[] = {
	{ "lib/libx.so.1.2", "lib/libx.so.1.10", true },
	{ "lib/libx.so.1.2", "lib/liby.so.1.2", false },
	{ "js/main.3f9a0c2b.js", "js/main.00ff11d.js", true },
	{ "js/main.3f9a0.js", "js/main.3f9b0.js",
	  false }, /* five digits are no hash, but numbers */
	{ "js/main.3f9a0.js", "js/main.4f8a1.js", true },
	{ "js/main.abcdef.js", "js/main.fedcba.js", false }, /* no number in it */
	{ "x1.2abcde3", "x7.4fedcb9", true }, /* a hash behind the dots of a number */
	{ "x1.2abcde3", "x7fedcb9", false },
	{ "x1.2abcd", "x3abcd", true },
	{ "ab1.2", "ab3", true }, /* a number that goes on behind the hex digits */
	{ "facade", "facade", true },
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(names); i++)
		if (alike(names[i].old, names[i].new) != names[i].alike)
			fail_msg("%s and %s", names[i].old, names[i].new);
}

/* Each would take seconds if every letter looked to the end. */
static void test_long_names(void **state)
{
	char *name = malloc(LONG_NAME + 1);

	(void)state;
	assert_non_null(name);
	memset(name, 'a', LONG_NAME);
	name[LONG_NAME] = 0;
	for (int i = 0; i < LONG_NAMES; i++)
		assert_true(alike(name, name));
	free(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
