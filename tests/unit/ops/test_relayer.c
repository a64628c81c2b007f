/* SPDX-License-Identifier: Apache-2.0
 *
 * Histories of images whose layers are made anew: whatever an image said, in the end as many
 * steps make a layer as there are layers.
 */
#include "torture.h"

#include "ops/relayer.h"

#define STEPS_MAX 16

/* Steps are letters: "L" makes a layer, "e" makes none; "+" is one that nobody told. */
struct row {
	const char *told;
	size_t layers, first;
	const char *expect;
};

static const struct row rows[] = {
	/* It fits. */
	{ "LLeL", 3, 3, "LLeL" },
	{ "LLeL", 3, 2, "LLee" },
	{ "LLeL", 3, 0, "eeee" },
	{ "", 0, 0, "" },
	{ "ee", 0, 0, "ee" },
	/* Layers that it left out come behind what it says. */
	{ "", 3, 3, "+++" },
	{ "", 3, 1, "+" },
	{ "", 3, 0, "" },
	{ "eL", 3, 3, "eL++" },
	{ "eL", 3, 2, "eL+" },
	{ "eL", 3, 1, "eL" },
	{ "Le", 2, 0, "ee" },
	/* Steps that no layer is left for: the lowest. */
	{ "LLeL", 2, 2, "eLeL" },
	{ "LLeL", 2, 1, "eLee" },
	{ "LLeL", 1, 1, "eeeL" },
	{ "LLeL", 0, 0, "eeee" },
};

static void fit_row(const struct row *row)
{
	struct history list[STEPS_MAX] = { 0 };
	struct config c = { .history = list, .n_history = strlen(row->told) };
	const struct image im = { .config = &c, .n_layers = row->layers };
	struct relayer_step steps[2 * STEPS_MAX];
	char got[2 * STEPS_MAX + 1] = "";
	size_t n, made = 0;

	for (size_t i = 0; i < c.n_history; i++)
		list[i].empty_layer = row->told[i] == 'e';
	n = relayer_fit_history(&im, row->first, steps);
	for (size_t i = 0; i < n; i++) {
		got[i] = steps[i].keep < 0 ? '+' : steps[i].empty_layer ? 'e' : 'L';
		if (steps[i].keep >= 0)
			assert_int_equal(steps[i].keep, i);
		made += !steps[i].empty_layer;
	}
	if (strcmp(got, row->expect) != 0)
		fail_msg("\"%s\" of %zu layers, %zu kept: \"%s\" is not \"%s\"", row->told,
			 row->layers, row->first, got, row->expect);
	assert_int_equal(made, row->first);
}

static void as_many_steps_as_layers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		fit_row(&rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_many_steps_as_layers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
