/* SPDX-License-Identifier: Apache-2.0
 *
 * Properties of plans: of the Debian closure by every strategy, and of ten thousand units.
 * Relies on tests/layering/debian.closure and the folder that meson runs tests in.
 * Promises that no unit is lost or twice, whatever the strategy and the number of layers.
 */
#include "../../layering/debian.h"

#include "torture.h"

static struct debian *debian;

static int load(void **state)
{
	(void)state;
	debian = debian_read("tests/layering/debian.closure");
	if (!debian || debian->n < 163)
		return -1;
	debian_app(debian);
	return 0;
}

static int unload(void **state)
{
	(void)state;
	debian_free(debian);
	return 0;
}

static void plan(const struct unit *u, size_t n, const struct layering_options *o,
		 struct layering *ret)
{
	dray_error *err = NULL;

	if (layering_plan(u, n, o, ret, &err) < 0)
		fail_msg("strategy %d, max %zu: %s", (int)o->strategy, o->max,
			 dray_error_message(err));
}

/* Every unit lies in one layer, no layer is empty, sums are right. */
static void check_whole(const struct layering *l, const struct unit *u, size_t n, size_t max)
{
	size_t units[LAYERING_HARD] = { 0 };
	int64_t bytes[LAYERING_HARD] = { 0 };

	assert_in_range(l->n, 1, max);
	for (size_t i = 0; i < n; i++) {
		assert_in_range(l->layer_of[i], 0, l->n - 1);
		units[l->layer_of[i]]++;
		bytes[l->layer_of[i]] += u[i].bytes;
	}
	for (size_t i = 0; i < l->n; i++) {
		assert_in_range(units[i], 1, n);
		assert_int_equal(units[i], l->layers[i].units);
		assert_true(bytes[i] == l->layers[i].bytes);
	}
}

static const size_t maxes[] = { 1, 2, 3, 10, 25, 64, 125 };

static void test_whole(void **state)
{
	(void)state;
	for (enum layering_strategy s = LAYERING_AUTO; s < LAYERING_PIPELINE; s++)
		for (size_t i = 0; i < ROWS(maxes); i++) {
			const struct layering_options o = { .strategy = s,
							    .max = maxes[i],
							    .min_size = -1 };
			cleanup_layering struct layering l = { 0 };

			plan(debian->units, debian->n, &o, &l);
			check_whole(&l, debian->units, debian->n, maxes[i]);
		}
}

/* The same units in another order lie together in the same layers. */
static void test_order(void **state)
{
	static struct unit turned[DEBIAN_MAX + 1];
	static uint32_t refs[DEBIAN_MAX + 1][DEBIAN_REFS];
	size_t n = debian->n;

	(void)state;
	/* 11 does not divide what it is used with, so this is a permutation. */
	assert_true(n % 11 != 0);
	for (size_t i = 0; i < n; i++) {
		size_t to = (i * 11 + 3) % n;

		turned[to] = debian->units[i];
		turned[to].refs = refs[to];
		for (size_t k = 0; k < turned[to].n_refs; k++)
			refs[to][k] = (uint32_t)((debian->units[i].refs[k] * 11 + 3) % n);
	}
	for (enum layering_strategy s = LAYERING_AUTO; s < LAYERING_PIPELINE; s++) {
		const struct layering_options o = { .strategy = s, .max = 40, .min_size = -1 };
		cleanup_layering struct layering one = { 0 }, two = { 0 };

		plan(debian->units, n, &o, &one);
		plan(turned, n, &o, &two);
		assert_int_equal(one.n, two.n);
		for (size_t i = 0; i < n; i++)
			if (one.layer_of[i] != two.layer_of[(i * 11 + 3) % n])
				fail_msg("strategy %d: %s lies in %u and in %u", (int)s,
					 debian->units[i].name, one.layer_of[i],
					 two.layer_of[(i * 11 + 3) % n]);
	}
}

/* Planned again with its own plan, nothing moves. */
static void test_again(void **state)
{
	static const char *names[DEBIAN_MAX + 1];
	static struct layering_old old[LAYERING_HARD];
	struct layering_options o = { .max = 40, .min_size = -1 };
	cleanup_layering struct layering one = { 0 }, two = { 0 };
	size_t at = 0;

	(void)state;
	plan(debian->units, debian->n, &o, &one);
	for (size_t k = 0; k < one.n; k++) {
		old[k].components = names + at;
		for (size_t i = 0; i < debian->n; i++)
			if (one.layer_of[i] == k)
				names[at++] = one.components[i];
		old[k].n = (size_t)(names + at - old[k].components);
	}
	o.previous = old;
	o.n_previous = one.n;
	plan(debian->units, debian->n, &o, &two);
	assert_int_equal(one.n, two.n);
	assert_memory_equal(one.layer_of, two.layer_of, debian->n * sizeof(*one.layer_of));
}

/* What changes always has a layer of its own, on top, and all layers are made use of. */
static void test_app_on_top(void **state)
{
	static const enum layering_strategy apart[] = { LAYERING_AUTO, LAYERING_ORIGIN,
							LAYERING_SIZE };

	(void)state;
	for (size_t i = 0; i < ROWS(apart); i++) {
		const struct layering_options o = { .strategy = apart[i],
						    .max = 25,
						    .min_size = -1 };
		cleanup_layering struct layering l = { 0 };

		plan(debian->units, debian->n, &o, &l);
		assert_int_equal(l.layer_of[debian->n - 1], l.n - 1);
		assert_int_equal(l.layers[l.n - 1].units, 1);
		assert_int_equal(l.layers[l.n - 1].kind, LAYERING_ON_TOP);
		assert_int_equal(l.n, 25);
	}
}

/* ---- ten thousand units, a hundred thousand references ---- */

#define MANY 10000
#define REFS 10

static void test_many(void **state)
{
	static struct unit u[MANY];
	static uint32_t refs[MANY][REFS];
	static char names[MANY][64], origins[MANY][16];
	uint64_t seed = 1;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "/nix/store/%08x-unit-%u", i * 2654435761U, i);
		snprintf(origins[i], sizeof(origins[i]), "o%u", i / 3);
		u[i] = (struct unit){ .name = names[i],
				      .origin = origins[i],
				      .source = i % 9,
				      .refs = refs[i],
				      .group = LAYERING_NONE };
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		u[i].bytes = (int64_t)(seed >> 40) + 1000;
		for (; i > 0 && u[i].n_refs < REFS; u[i].n_refs++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			refs[i][u[i].n_refs] = (uint32_t)((seed >> 33) % i);
		}
	}
	for (enum layering_strategy s = LAYERING_AUTO; s < LAYERING_PIPELINE; s++) {
		const struct layering_options o = { .strategy = s, .max = 125, .min_size = -1 };
		cleanup_layering struct layering l = { 0 };

		plan(u, MANY, &o, &l);
		check_whole(&l, u, MANY, 125);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole), cmocka_unit_test(test_order),
		cmocka_unit_test(test_again), cmocka_unit_test(test_app_on_top),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
