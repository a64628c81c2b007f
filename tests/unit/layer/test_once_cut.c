/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts by rules, written while one of the layers passes: the same tars as of a plan, or known to be others.
 * Relies on the stacks of cases.h, and on chance with a fixed seed.
 */
#include "attempt.h"
#include "cases.h"
#include "torture.h"

/* A stack, and the layers of a plan. */
struct plan {
	struct built b;
	struct cut_rules rules;
	struct cut_foresight foresight;
	struct cut_layers layers;
};

static void plan_clear(struct plan *p)
{
	cut_layers_clear(&p->layers);
	cut_foresight_clear(&p->foresight);
	cut_rules_clear(&p->rules);
	built_clear(&p->b);
}
#define cleanup_plan CLEANUP(plan_clear)

/* The plain way: the tree is there. */
static void make_layers(struct plan *p)
{
	static const char *const names[ONCE_TARS_MAX] = { "1", "2", "3", "4", "5", "6", "7" };
	const struct record_list all = { tree_record_next, p->b.tree };
	cleanup_cut_parts struct cut_parts parts = { 0 };
	size_t torn, n = 0, rest;
	dray_error *err = NULL;

	assert_ok(cut_mark(p->b.tree, &p->rules, &torn, &err), err);
	assert_ok(cut_parts_rules(&parts, names, p->rules.n, &err), err);
	assert_ok(cut_rest_whole(&parts, &all, &err), err);
	cut_tally(&parts, &all);
	assert_ok(cut_pack(&parts, 1, 0, &err), err);
	cut_tally(&parts, &all);
	assert_ok(cut_number(&parts, &n, &rest, &err), err);
	if (n > 0)
		assert_ok(cut_deal(&parts, &all, n, CUT_TIMES_ALL, &p->layers, &err), err);
}

static void add_rules(struct plan *p, const char *texts)
{
	char *copy = strdup(texts), *save = NULL;
	dray_error *err = NULL;

	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save))
		assert_ok(cut_rules_add(&p->rules, s, &err), err);
	free(copy);
	assert_ok(cut_foresight_init(&p->foresight, &p->rules, &err), err);
}

static bool plan_begin(struct plan *p, const char *stack, const char *rules)
{
	cleanup_error dray_error *err = NULL;

	build_tars(&p->b, stack);
	if (build_tree(&p->b, SIZE_MAX, &err) < 0)
		return false;
	add_rules(p, rules);
	make_layers(p);
	return true;
}

static void check_tar(struct plan *p, size_t i, const struct buf *got)
{
	const struct record_list l = cut_records(&p->layers.list[i]);
	const struct layer_feed feed = { .read = read_tars, .arg = &p->b };
	cleanup_buf struct buf want = tb_new();
	dray_error *err = NULL;

	assert_ok(slurp(layer_tar_source(&l, &feed, &err), &want, &err), err);
	assert_span(span_buf(got), span_buf(&want));
}

/* Is it foreseen while layer @passing passes? Then the bytes are right. */
static bool foreseen(struct plan *p, uint32_t passing, size_t piece)
{
	cleanup_attempt struct attempt a = attempt_of(&p->b, passing);
	const struct once_cut cut = cut_foresee(&p->foresight);
	cleanup_error dray_error *err = NULL;

	a.cut = &cut;
	a.layers = &p->layers;
	a.n = p->rules.n + 1;
	a.piece = piece;
	a.contents = true;
	if (attempt(&a, &err) < 0 || !a.holds)
		return false; /* without that layer the others may make no tree */
	for (size_t i = 0; i < a.n; i++)
		check_tar(p, i, &a.tar[i]);
	return true;
}

#define BASE                                                                            \
	"d ./ @0755:0:0:7\nd bin @0755:0:0:5\nf bin/ash =1\nh bin/sh >bin/ash\nd opt "  \
	"@0750:1:2:9\n"                                                                 \
	"d opt/a @0700:0:0:3\nf opt/a/x =1\nf opt/y =2\nd usr\nd usr/empty\nd usr/lib " \
	"@01777:0:0:8\n"                                                                \
	"f usr/lib/a.so =3\nd usr/lib/py3\nf usr/lib/py3/x =4\nf usr/x =2\n"

static void test_foreseen(void **state)
{
	(void)state;
	static const struct {
		const char *stack, *rules;
		uint32_t passing;
	} rows[] = {
		{ BASE, "/opt/**", 0 },
		{ BASE, "/opt", 0 },
		{ BASE, "/opt/** /usr/lib/py*/**", 0 },
		{ BASE, "/usr/lib/py*/** /opt/**", 0 },
		{ BASE, "/usr/lib/py*/**,/opt/a/** /opt/y", 0 },
		{ BASE, "/usr/empty", 0 },
		{ BASE, "/usr/** /b*", 0 },
		{ BASE "--\nd opt @0711:0:0:4\nf opt/z =5\n", "/opt/**", 0 },
		{ BASE "--\nd opt @0711:0:0:4\nf opt/z =5\n", "/opt/**", 1 },
		{ BASE "--\nd opt\nf opt/.wh.y\nd usr\nf usr/.wh.lib\n", "/opt/a", 0 },
		{ BASE "--\nd opt\nf opt/.wh.y\nd usr\nf usr/.wh.lib\n", "/opt/a", 1 },
		/* folders with something only above, only below, in both */
		{ "d a\nd a/b\nd a/b/c\nf a/b/c/d\nf e\n", "/a/b/c/**", 0 },
		{ "d a\nd a/b\nd a/b/c\nf a/b/c/d\nf a/b/e\n", "/a/b/c/**", 0 },
		{ "d a\nd a/b\nd a/b/c\nd a/b/d\nf a/e\n", "/a/b/c", 0 },
		{ "d a #user.k=v\nf a/b\nf a/c\n", "/a/c", 0 },
		/* with nothing where a glob leads */
		{ BASE, "/usr/lib/none,/opt/**", 0 },
		{ BASE, "**/x", 0 },
		{ BASE, "/*/*/x*", 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t k = 0; k < ROWS(stream_pieces); k++) {
			struct plan p cleanup_plan = { 0 };

			assert_true(plan_begin(&p, rows[i].stack, rows[i].rules));
			if (!foreseen(&p, rows[i].passing, stream_pieces[k]))
				fail_msg("%s, layer %u of\n%s", rows[i].rules, rows[i].passing,
					 rows[i].stack);
		}
}

/* A rule that has nothing; names of one file; nothing is left; headers that are not stored so. */
static void test_not_foreseen(void **state)
{
	(void)state;
	static const struct {
		const char *stack, *rules;
	} rows[] = {
		{ BASE, "/nothing/**" },
		{ BASE, "/opt/** /opt/a/**" },
		{ BASE, "/usr/empty/**" },
		{ BASE, "/bin/ash" },
		{ BASE, "/bin/sh" },
		{ BASE, "/*" },
		{ BASE, "/*/**,/*" },
		{ "f a/b =1\nf c\n", "/c" },
		{ "d a #user.overlay.opaque=y\nf a/b\nf c\n", "/c" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct plan p cleanup_plan = { 0 };

		assert_true(plan_begin(&p, rows[i].stack, rows[i].rules));
		if (foreseen(&p, 0, SIZE_MAX))
			fail_msg("%s of\n%s is foreseen", rows[i].rules, rows[i].stack);
	}
}

static const char *const any_rules[] = {
	"/a", "/a/**", "/b/** /a/a", "/a/a/**,/c /b", "/a/c /a/**", "**/b", "/*/a", "/c /b /a",
};

static void test_same_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(stack_cases) * ROWS(any_rules); i++) {
		const struct stack_case *row = &stack_cases[i / ROWS(any_rules)];
		struct plan p cleanup_plan = { 0 };

		if (row->want && plan_begin(&p, row->stack, any_rules[i % ROWS(any_rules)]))
			for (uint32_t k = 0; k < p.b.n; k++)
				foreseen(&p, k, SIZE_MAX);
	}
}

static void test_chance(void **state)
{
	size_t good = 0, tried = 0;

	(void)state;
	for (seed = 1; tried < 4000; seed++) {
		struct plan p cleanup_plan = { 0 };
		cleanup_buf struct buf stack = tb_new();
		uint32_t begin = seed;

		random_stack(&stack);
		if (plan_begin(&p, (const char *)stack.data, any_rules[chance(ROWS(any_rules))]))
			for (uint32_t k = 0; k < p.b.n; k++, tried++)
				good += foreseen(&p, k, SIZE_MAX);
		seed = begin;
	}
	if (good < tried / 20 || good > tried * 4 / 5)
		fail_msg("%zu of %zu are foreseen", good, tried);
}

/* Without memory it fails or gives up; what it says it wrote is right. */
static void test_allocations_G17(void **state)
{
	struct plan p cleanup_plan = { 0 };
	dray_error *err = NULL;
	bool reached = true;

	(void)state;
	assert_true(plan_begin(&p, BASE "--\nd opt\nf opt/.wh.y\n", "/opt/** /usr/lib/**"));
	for (uint64_t nth = 1; reached; nth++) {
		cleanup_attempt struct attempt a = attempt_of(&p.b, 0);
		const struct once_cut cut = cut_foresee(&p.foresight);
		int rc;

		a.cut = &cut;
		a.layers = &p.layers;
		a.n = 3;
		reached = torture_once(FAULT_ALLOC, nth, 0, attempt, &a, &rc, &err);
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
		else if (a.holds)
			for (size_t i = 0; i < a.n; i++)
				check_tar(&p, i, &a.tar[i]);
		else
			assert_true(reached);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_foreseen),	cmocka_unit_test(test_not_foreseen),
		cmocka_unit_test(test_same_bytes),	cmocka_unit_test(test_chance),
		cmocka_unit_test(test_allocations_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
