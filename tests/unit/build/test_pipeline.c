/* SPDX-License-Identifier: Apache-2.0
 *
 * Pipelines: what nixpkgs makes of them, and what is refused.
 * Relies on plan.h.
 * Promises that a wrong row shows both plans.
 */
#include "plan.h"

static const char graph[] = "A=70:BD B=60:CE C=50:DE D=40:F E=30:F F=20:G G=10 H=5:CG";

struct piped {
	const char *pipeline, *units;
	struct units u;
	struct layering l;
	size_t max;
	const struct layering_old *previous;
	size_t n_previous;
};

static int run(void *arg, dray_error **err)
{
	struct piped *p = arg;
	struct layering_options o = { .strategy = LAYERING_PIPELINE,
				      .max = p->max,
				      .previous = p->previous,
				      .n_previous = p->n_previous };
	cleanup_json struct json_doc *doc = NULL;
	int rc;

	if (json_parse(span_str(p->pipeline), &doc, err) < 0)
		return -1;
	o.pipeline = json_root(doc);
	layering_clear(&p->l);
	rc = layering_plan(p->u.list, p->u.n, &o, &p->l, err);
	if (rc < 0)
		layering_clear(&p->l);
	return rc;
}

/*
 * Golden: made by a shortened transcription of nixpkgs' flatten-references-graph (lib.py and
 * split_paths.py at commit a50ab67c; its popularity contest and subcomponents written anew from their
 * description) with igraph 1.0. Where it takes vertices in the order of a Python set, it was given
 * them sorted; an absent key of "over" was let pass.
 */
static void test_golden(void **state)
{
	static const struct {
		const char *pipeline, *want;
	} rows[] = {
		{ "[[\"split_paths\",[\"B\"]]]", "B|C D E F G|A H" },
		{ "[[\"split_paths\",[\"A\"]]]", "A B|C D E F G|H" },
		{ "[[\"split_paths\",[\"none\"]]]", "A B C D E F G H" },
		{ "[[\"split_paths\",[{\"children_of\":\"B\"}]],[\"over\",\"main\",[\"popularity_"
		  "contest\"]]]",
		  "C|E|D F G|A B H" },
		{ "[[\"split_paths\",[\"C\",{\"children_of\":[\"D\",\"E\"]}]],[\"over\",\"main\",["
		  "\"subcomponent_in\",[\"E\"]]]]",
		  "C F|D E G|A B H" },
		{ "[[\"subcomponent_out\",[\"C\"]],[\"over\",\"main\",[\"pipe\",[[\"popularity_"
		  "contest\"],[\"reverse\"],[\"limit_layers\",3]]]]]",
		  "C|E|D F G|A B H" },
		{ "[[\"subcomponent_in\",[\"F\"]],[\"flatten\"],[\"reverse\"]]",
		  "G|A B C D E F H" },
		{ "[[\"popularity_contest\"],[\"limit_layers\",4],[\"map\",[\"popularity_contest\"]"
		  "]]",
		  "G|F|D|A|B|C|E|H" },
		{ "[[\"split_every\",3],[\"map\",[\"remove_paths\",[\"A\",\"B\"]]]]",
		  "F G H|C D E" },
		{ "[[\"remove_paths\",\"C\"],[\"popularity_contest\"],[\"limit_layers\",5]]",
		  "G|F|E|B|A D H" },
		{ "[[\"subcomponent_out\",[\"D\"]],[\"over\",\"rest\",[\"pipe\",[[\"split_paths\",["
		  "\"B\"]],[\"over\",\"main\",[\"popularity_contest\"]],[\"flatten\"],[\"limit_"
		  "layers\",2]]]],[\"flatten\"]]",
		  "D F G|B|A C E H" },
		/* nothing to do, and what has no graph to do it to */
		{ "[]", "A B C D E F G H" },
		{ "[[\"pipe\",[]]]", "A B C D E F G H" },
		{ "[[\"split_every\",1],[\"map\",[\"remove_paths\",\"A\"]]]", "H|G|F|E|D|C|B" },
		{ "[[\"split_paths\",[\"A\",\"H\"]]]", "A B C D E F G H" },
		{ "[[\"subcomponent_out\",[]]]", "A B C D E F G H" },
		{ "[[\"split_paths\",[\"B\"]],[\"over\",\"none\",[\"popularity_contest\"]]]",
		  "B|C D E F G|A H" },
		{ "[[\"popularity_contest\"],[\"limit_layers\",1]]", "A B C D E F G H" },
		{ "[[\"popularity_contest\"],[\"limit_layers\",99]]", "G|F|D|E|C|B|A|H" },
		{ "[[\"remove_paths\",[\"A\",\"B\",\"C\",\"D\",\"E\",\"F\",\"G\",\"H\"]]]", "" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct piped p = { .pipeline = rows[i].pipeline, .max = 99 };
		dray_error *err = NULL;
		char *got;

		units_read(&p.u, graph);
		assert_ok(run(&p, &err), err);
		got = plan_text(p.u.list, p.u.n, &p.l);
		if (strcmp(got, rows[i].want) != 0)
			fail_msg("%s makes\n%s, not\n%s", p.pipeline, got, rows[i].want);
		free(got);
		layering_clear(&p.l);
		units_clear(&p.u);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *pipeline;
		enum dray_err_kind kind;
		const char *message;
	} rows[] = {
		{ "{}", DRAY_ERR_USAGE, "a pipeline is a list" },
		{ "[1]", DRAY_ERR_USAGE, "an operation is a list" },
		{ "[[]]", DRAY_ERR_USAGE, "an operation is a list" },
		{ "[\"popularity_contest\"]", DRAY_ERR_USAGE, "an operation is a list" },
		{ "[[\"popularity_contes\"]]", DRAY_ERR_USAGE,
		  "no operation \"popularity_contes\"" },
		{ "[[\"reverse\",1]]", DRAY_ERR_USAGE, "reverse has 1 arguments and wants 0" },
		{ "[[\"over\",\"main\"]]", DRAY_ERR_USAGE, "over has 1 arguments and wants 2" },
		{ "[[\"over\",1,[\"flatten\"]]]", DRAY_ERR_USAGE, "over wants a key" },
		{ "[[\"limit_layers\",0]]", DRAY_ERR_USAGE,
		  "limit_layers wants a whole number above 0" },
		{ "[[\"split_every\",1.5]]", DRAY_ERR_USAGE, "split_every wants a whole number" },
		{ "[[\"split_paths\",\"A\"]]", DRAY_ERR_USAGE, "split_paths wants a list" },
		{ "[[\"split_paths\",[{\"kids\":\"A\"}]]]", DRAY_ERR_USAGE, "\"children_of\"" },
		{ "[[\"remove_paths\",[1]]]", DRAY_ERR_USAGE, "strings" },
		{ "[[\"pipe\",1]]", DRAY_ERR_USAGE, "a pipeline is a list" },
		/* judged though no value gets there */
		{ "[[\"over\",\"none\",[\"nonsense\"]]]", DRAY_ERR_USAGE, "\"nonsense\"" },
		/* the wrong thing in the wrong place */
		{ "[[\"reverse\"]]", DRAY_ERR_USAGE, "reverse takes a list and is given a graph" },
		{ "[[\"limit_layers\",2]]", DRAY_ERR_USAGE, "limit_layers takes a list" },
		{ "[[\"map\",[\"flatten\"]]]", DRAY_ERR_USAGE, "map takes a list" },
		{ "[[\"over\",\"main\",[\"flatten\"]]]", DRAY_ERR_USAGE, "over takes an object" },
		{ "[[\"popularity_contest\"],[\"popularity_contest\"]]", DRAY_ERR_USAGE,
		  "popularity_contest takes a graph and is given a list" },
		{ "[[\"split_every\",9],[\"map\",[\"split_paths\",[\"B\"]]],[\"limit_layers\",2]]",
		  DRAY_ERR_USAGE, "a list of graphs and is given an object" },
		/* both numbers */
		{ "[[\"popularity_contest\"]]", DRAY_ERR_LIMIT,
		  "it makes 8 layers, but 7 are left" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct piped p = { .pipeline = rows[i].pipeline, .max = 7 };
		dray_error *err = NULL;

		units_read(&p.u, graph);
		if (run(&p, &err) == 0)
			fail_msg("%s is run", p.pipeline);
		assert_err(err, rows[i].kind, rows[i].message);
		units_clear(&p.u);
	}
}

/* An earlier plan says where things lie: what is removed is nowhere, what is wrong is refused. */
static void test_previous(void **state)
{
	const struct layering_old old[] = { { (const char *const[]){ "A", "B" }, 2 },
					    { (const char *const[]){ "C", "D", "E", "F" }, 4 } };
	static const struct {
		const char *pipeline, *want;
		size_t max;
	} rows[] = {
		{ "[]", "A B|C D E F|G H", 9 },
		{ "[[\"remove_paths\",\"C\"]]", "A B|D E F|G H", 9 },
		{ "[[\"remove_paths\",[\"A\",\"B\",\"H\"]]]", "C D E F|G", 9 },
		{ "[[\"remove_paths\",[\"A\",\"B\",\"C\",\"D\",\"E\",\"F\",\"G\",\"H\"]]]", "", 9 },
		/* the layers are those of the earlier plan: it need not have room for its own */
		{ "[[\"popularity_contest\"]]", "A B|C D E F|G H", 3 },
		{ "[[\"popularity_contes\"]]", NULL, 9 },
		{ "[[\"reverse\"]]", NULL, 9 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct piped p = { .pipeline = rows[i].pipeline,
				   .max = rows[i].max,
				   .previous = old,
				   .n_previous = ROWS(old) };
		dray_error *err = NULL;
		char *got;

		units_read(&p.u, graph);
		if (run(&p, &err) < 0) {
			if (rows[i].want)
				fail_msg("%s: %s", p.pipeline, dray_error_message(err));
			assert_err_kind(err, DRAY_ERR_USAGE);
			units_clear(&p.u);
			continue;
		}
		got = plan_text(p.u.list, p.u.n, &p.l);
		if (!rows[i].want || strcmp(got, rows[i].want) != 0)
			fail_msg("%s makes\n%s", p.pipeline, got);
		free(got);
		layering_clear(&p.l);
		units_clear(&p.u);
	}
}

/* A tower as high as JSON may be, and none higher. */
static void test_tower(void **state)
{
	(void)state;
	for (size_t depth = 20; depth < 50; depth += 29) {
		struct buf text = BUF_INIT(MIB);
		struct piped p = { .max = 9 };
		dray_error *err = NULL;

		for (size_t i = 0; i < depth; i++)
			assert_ok(buf_add_str(&text, "[[\"pipe\",", &err), err);
		assert_ok(buf_add_str(&text, "[]", &err), err);
		for (size_t i = 0; i < depth; i++)
			assert_ok(buf_add_str(&text, "]]", &err), err);
		p.pipeline = buf_steal_str(&text, &err);
		units_read(&p.u, graph);
		if (depth < 30)
			assert_ok(run(&p, &err), err);
		else
			assert_int_equal(run(&p, &err), -1);
		if (err)
			assert_err(err, DRAY_ERR_LIMIT, "LIMIT_JSON_DEPTH");
		layering_clear(&p.l);
		units_clear(&p.u);
		free((char *)(uintptr_t)p.pipeline);
	}
}

static void test_memory(void **state)
{
	struct piped p = {
		.pipeline =
			"[[\"split_paths\",[\"C\",{\"children_of\":[\"D\",\"E\"]}]],"
			"[\"over\",\"main\",[\"subcomponent_in\",[\"E\"]]],[\"flatten\"],"
			"[\"limit_layers\",2],[\"map\",[\"pipe\",[[\"remove_paths\",\"H\"],"
			"[\"popularity_contest\"],[\"reverse\"],[\"map\",[\"split_every\",2]]]]]]",
		.max = 99,
	};

	(void)state;
	units_read(&p.u, graph);
	torture_alloc(run, &p);
	layering_clear(&p.l);
	units_clear(&p.u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	 cmocka_unit_test(test_refused),
		cmocka_unit_test(test_previous), cmocka_unit_test(test_tower),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
