/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts: which rule takes what, and that the layers of every cut add up to the tree.
 * Relies on the stacks of cases.h.
 * Promises that a wrong cut names its row.
 */
#include "layers.h"

#include "cases.h"
#include "layer/cut.h"
#include "torture.h"

/* ---- rules ---- */

static void add_rules(struct cut_rules *r, const char *texts)
{
	char *copy = strdup(texts), *save = NULL;
	dray_error *err = NULL;

	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save))
		assert_ok(cut_rules_add(r, s, &err), err);
	free(copy);
}

/* The paths of a tree that fall under each rule: "1:a 1:a/b 2:c", those of none left out. */
static struct buf show_marks(const struct tree *t)
{
	struct buf ret = tb_new();
	cleanup_buf struct buf path = tb_new();

	for (const struct node *n = tree_next(tree_root(t)); n; n = tree_next(n))
		if (n->inode->mark != CUT_REST)
			tell(&ret, "%s%u:%s", ret.len ? " " : "", n->inode->mark + 1,
			     path_of(n, &path));
	return ret;
}

static void test_rules(void **state)
{
	static const struct {
		const char *stack, *rules, *want;
		size_t torn;
	} rows[] = {
		{ "f opt/a\nf opt/b/c\nf a\n", "/opt/**", "1:opt/a 1:opt/b 1:opt/b/c", 0 },
		{ "f opt/a\nf opt/b/c\nf a\n", "opt/**", "1:opt/a 1:opt/b 1:opt/b/c", 0 },
		{ "f opt/a\nf opt/b/c\n", "/opt", "1:opt 1:opt/a 1:opt/b 1:opt/b/c", 0 },
		{ "f opt/a\nf opt/b/c\n", "./opt//", "1:opt 1:opt/a 1:opt/b 1:opt/b/c", 0 },
		{ "f opt/a\nf opt/b/c\n", "/opt/*", "1:opt/a 1:opt/b 1:opt/b/c", 0 },
		{ "f opt/a\nf opt/b/c\nf optional/x\n", "/opt/*/c", "1:opt/b/c", 0 },
		{ "d opt\n", "/opt/**", "", 0 },
		{ "l opt >usr/opt\nf usr/opt/a\n", "/opt/**", "", 0 },
		{ "f a/x.pyc\nf b/c/x.pyc\nf x.pyc\nf x.py\n", "**/*.pyc",
		  "1:a/x.pyc 1:b/c/x.pyc 1:x.pyc", 0 },
		{ "f a/x.pyc\nf x.pyc\n", "*.pyc", "1:x.pyc", 0 },
		{ "f a/x/y/b\nf a/b\nf a/b/c\n", "a/**/b", "1:a/b 1:a/b/c 1:a/x/y/b", 0 },
		{ "f a/b/a/c/b/d\n", "a/**/b/d", "1:a/b/a/c/b/d", 0 },
		{ "f a/b/c/d\n", "a/**/b/d", "", 0 },
		{ "f a/b\n", "**", "1:a 1:a/b", 0 },
		{ "f a/b\n", "a/**/**", "1:a/b", 0 },
		{ "f usr/lib/python3.11/a\nf usr/lib/python2/b\n", "/usr/lib/python3*/**",
		  "1:usr/lib/python3.11/a", 0 },
		{ "f a1\nf a2\nf ab\n", "a[0-9]", "1:a1 1:a2", 0 },
		{ "f a1\nf ab\n", "a[!0-9]", "1:ab", 0 },
		{ "f a1\nf ab\nf a\n", "a?", "1:a1 1:ab", 0 },
		{ "f a\nf b\nf c\n", "a,c", "1:a 1:c", 0 },
		{ "f a/x\nf b/x\nf c/x\n", "{a,b}/x", "1:a/x 1:b/x", 0 },
		{ "f ax\nf ay\nf bx\nf by\n", "{a,b}{x,y}", "1:ax 1:ay 1:bx 1:by", 0 },
		{ "f a\nf ab\nf c\n", "a{,b},c", "1:a 1:ab 1:c", 0 },
		{ "f a,b\nf a\nf b\n", "a\\,b", "1:a,b", 0 },
		{ "f {a}\nf a\n", "\\{a}", "1:{a}", 0 },
		{ "f \xff\xfe\nf a\n", "\xff?", "1:\xff\xfe", 0 },
		/* the first rule that fits */
		{ "f a/b\nf a/c\n", "a/b a", "2:a 1:a/b 2:a/c", 0 },
		{ "f a/b\nf a/c\n", "a a/b", "1:a 1:a/b 1:a/c", 0 },
		{ "f a/b/c/d\n", "**/d a/b", "2:a/b 2:a/b/c 1:a/b/c/d", 0 },
		/* hard links go with the first rule that fits one of them */
		{ "f a =1\nh b >a\nf c =1\n", "b", "1:a 1:b", 1 },
		{ "f a =1\nh b >a\nh c >a\n", "c b", "1:a 1:b 1:c", 2 },
		{ "f a =1\nh b >a\n", "a,b", "1:a 1:b", 0 },
		{ "f a =1\nh b/c >a\n", "b", "1:a 1:b 1:b/c", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 };
		cleanup_cut_rules struct cut_rules r = { 0 };
		dray_error *err = NULL;
		size_t torn = 9;

		build_stack(&b, rows[i].stack);
		add_rules(&r, rows[i].rules);
		assert_ok(cut_mark(b.tree, &r, &torn, &err), err);
		cleanup_buf struct buf got = show_marks(b.tree);
		if (!span_is(span_buf(&got), rows[i].want) || torn != rows[i].torn)
			fail_msg("%s of\n%stakes %.*s, torn %zu", rows[i].rules, rows[i].stack,
				 (int)got.len, (const char *)got.data, torn);
	}
}

static void test_wrong_rules(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "", "names nothing" },
		{ "/", "names nothing" },
		{ "a,", "names nothing" },
		{ ",a", "names nothing" },
		{ "./.", "names nothing" },
		{ "a/../b", "\"..\"" },
		{ "a/[b", "without its" },
		{ "a\\", "at its end" },
		{ "{a,b", "without its" },
		{ "{a,{b,c}}", "inside braces" },
		{ "{a,..}/b", "\"..\"" },
		{ "{,}", "names nothing" },
		{ "{0,1,2,3,4,5,6,7,8,9}{0,1,2,3,4,5,6,7,8,9}{0,1,2,3,4,5,6,7,8,9}x{a,b}",
		  "LIMIT_CUT_PATTERNS" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_cut_rules struct cut_rules r = { 0 };
		dray_error *err = NULL;

		if (cut_rules_add(&r, rows[i].text, &err) == 0)
			fail_msg("\"%s\" is taken", rows[i].text);
		assert_err(err, DRAY_ERR_USAGE, rows[i].message);
	}
}

/* ---- layers ---- */

enum rest {
	REST_WHOLE,
	REST_FOLDER,
	REST_SIZE,
	REST_DIVIDED, /* whole, then no more than so much */
	N_RESTS,
};

enum times {
	TIMES_LOW,
	TIMES_REST, /* on top of the rest */
	TIMES_ALL,  /* in all layers */
	N_TIMES,
};

struct cutting {
	struct built *b;
	const char *rules;
	enum rest rest;
	enum times times;
	struct cut_layers layers;
};

static int rest_parts(struct cut_parts *p, const struct record_list *all, enum rest rest,
		      dray_error **err)
{
	switch (rest) {
	case REST_WHOLE:
	case REST_DIVIDED:
		return cut_rest_whole(p, all, err);
	case REST_FOLDER:
		return cut_rest_by_folder(p, all, 1, err);
	default:
		return cut_rest_by_size(p, all, 600, err);
	}
}

static int pack(struct cutting *c, struct cut_parts *p, const struct record_list *all,
		dray_error **err)
{
	cut_tally(p, all);
	if (c->rest == REST_SIZE)
		return cut_pack_even(p, 9, 0, err);
	if (c->rest != REST_DIVIDED)
		return cut_pack(p, 9, 0, err);
	if (cut_divide(p, all, 600, err) < 0)
		return -1;
	cut_tally(p, all);
	return cut_pack(p, 1, 0, err) < 0 ? -1 : cut_limit(p, 1200, err);
}

static size_t times_of(enum times times, size_t rest)
{
	if (times == TIMES_ALL)
		return CUT_TIMES_ALL;
	return times == TIMES_REST && rest ? rest - 1 : 0;
}

static int cut(struct cutting *c, dray_error **err)
{
	const struct record_list all = { tree_record_next, c->b->tree };
	cleanup_cut_rules struct cut_rules r = { 0 };
	cleanup_cut_parts struct cut_parts p = { 0 };
	const char *names[] = { "one", "two", "three" };
	char *copy = strdup(c->rules), *save = NULL;
	size_t torn, n = 0, rest = 0;
	int rc = 0;

	for (char *s = strtok_r(copy, " ", &save); rc == 0 && s; s = strtok_r(NULL, " ", &save))
		rc = cut_rules_add(&r, s, err);
	free(copy);
	if (rc < 0 || cut_mark(c->b->tree, &r, &torn, err) < 0 ||
	    cut_parts_rules(&p, names, r.n, err) < 0 || rest_parts(&p, &all, c->rest, err) < 0)
		return -1;
	if (pack(c, &p, &all, err) < 0 || cut_number(&p, &n, &rest, err) < 0)
		return -1;
	return cut_deal(&p, &all, n, times_of(c->times, rest), &c->layers, err);
}

/* Layer @p i of a cut as a tar. */
static int write_cut(struct cutting *c, size_t i, struct buf *ret, dray_error **err)
{
	const struct record_list l = cut_records(&c->layers.list[i]);
	const struct layer_feed feed = { .read = read_tars, .arg = c->b };

	return slurp(layer_tar_source(&l, &feed, err), ret, err);
}

/* The layers as a stack. */
static void restack(struct cutting *c, struct built *ret)
{
	dray_error *err = NULL;
	int64_t size;

	*ret = (struct built){ .n = c->layers.n };
	assert_true(ret->n <= STACK_MAX);
	for (size_t i = 0; i < ret->n; i++) {
		const struct record_list l = cut_records(&c->layers.list[i]);

		ret->tar[i] = tb_new();
		assert_ok(write_cut(c, i, &ret->tar[i], &err), err);
		assert_ok(layer_tar_size(&l, &size, &err), err);
		assert_int_equal(size, ret->tar[i].len);
	}
	assert_ok(build_tree(ret, SIZE_MAX, &err), err);
}

/* Whatever the cut: the same tree, times and all. */
static void test_same_tree(void **state)
{
	static const char *const rules[] = { "", "a", "b,c a", "**/b **", "*/a" };
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < ROWS(stack_cases) * ROWS(rules) * N_TIMES * N_RESTS; i++) {
		const struct stack_case *row = &stack_cases[i / (N_TIMES * N_RESTS) / ROWS(rules)];
		cleanup_built struct built b = { 0 }, again = { 0 };
		struct cutting c = { &b,
				     rules[i / (N_TIMES * N_RESTS) % ROWS(rules)],
				     i % N_RESTS,
				     i / N_RESTS % N_TIMES,
				     { 0 } };
		struct digest one, two;
		dray_error *err = NULL;

		if (!row->want)
			continue;
		build_stack(&b, row->stack);
		assert_ok(cut(&c, &err), err);
		restack(&c, &again);
		assert_ok(rootfs_id(b.tree, true, &one, &err), err);
		assert_ok(rootfs_id(again.tree, true, &two, &err), err);
		cleanup_buf struct buf got = show_tree(&again);
		if (strcmp(one.text, two.text) != 0)
			fail_msg("%s, cut by \"%s\", way %zu, is\n%.*s", row->name, c.rules,
				 i % (N_TIMES * N_RESTS), (int)got.len, (const char *)got.data);
		seen += c.layers.n > 1;
		cut_layers_clear(&c.layers);
	}
	if (seen < 150)
		fail_msg("only %zu cuts had layers", seen);
}

/* What exactly lies where: layers as text, divided by lines. */
static void test_layers(void **state)
{
	static const struct {
		const char *stack, *rules, *want;
		enum rest rest;
		enum times times;
	} rows[] = {
		/* the classic wish */
		{ "d etc\nf etc/a =1\nd opt\nf opt/x =2\nf z =3\n", "/opt/**",
		  "d etc\nf etc/a =1\nf z =3\n--\nd opt\nf opt/x =2\n", REST_WHOLE, TIMES_LOW },
		/* folders on the way: all but their time, which the highest tells */
		{ "d a @0700:1:2:9 #user.x=1\nf a/b =1\nf a/c =1\n", "a/c",
		  "d a @0700:1:2:0.0 #user.x=1\nf a/b =1\n--\nd a @0700:1:2:9.0 #user.x=1\nf a/c "
		  "=1\n",
		  REST_WHOLE, TIMES_LOW },
		/* or as they are in all */
		{ "d a @0700:1:2:9 #user.x=1\nf a/b =1\nf a/c =1\n", "a/c",
		  "d a @0700:1:2:9.0 #user.x=1\nf a/b =1\n--\nd a @0700:1:2:9.0 #user.x=1\nf a/c "
		  "=1\n",
		  REST_WHOLE, TIMES_ALL },
		{ "d a @0700:1:2:9\nd a/e @0755:0:0:3\nf a/c =1\n--\nd a @0711:1:2:8\n", "a/c",
		  "d a @0711:1:2:8.0\nd a/e @0755:0:0:3.0\n--\nd a @0711:1:2:8.0\nf a/c =1\n",
		  REST_WHOLE, TIMES_ALL },
		/* the root too, when it is described */
		{ "d ./ @0700:1:2:9\nf a =1\nf b =1\n", "a",
		  "d . @0700:1:2:0.0\nf b =1\n--\nd . @0700:1:2:9.0\nf a =1\n", REST_WHOLE,
		  TIMES_LOW },
		/* folders without contents lie where they are named */
		{ "d a\nd a/b\nd c\n", "a/b", "d c\n--\nd a\nd a/b\n", REST_WHOLE, TIMES_LOW },
		{ "d a\nd a/b\n", "a", "d a\nd a/b\n", REST_WHOLE, TIMES_LOW },
		/* nothing is left over: no layer for it */
		{ "f a =1\nf b =1\n", "** b", "f a =1\nf b =1\n", REST_WHOLE, TIMES_LOW },
		{ "f a =1\nf b =1\n", "b a", "f b =1\n--\nf a =1\n", REST_WHOLE, TIMES_LOW },
		{ "f a =1\n", "x", "f a =1\n", REST_WHOLE, TIMES_LOW },
		/* a file and its names stay together */
		{ "f a =1\nh b >a\nf c =1\n", "b", "f c =1\n--\nf a =1\nh b >a\n", REST_WHOLE,
		  TIMES_LOW },
		{ "f a =1\n--\nh d/b >a @0600:1:1:1\nf c =1\n", "d",
		  "f c =1\n--\nf a =1 @0600:1:1:1.0\nd d\nh d/b >a\n", REST_WHOLE, TIMES_LOW },
		/* no whiteouts, broken links */
		{ "f a =1\nf b =1\n--\nf .wh.a\nl doc >/gone/x\n", "doc",
		  "f b =1\n--\nl doc >/gone/x\n", REST_WHOLE, TIMES_LOW },
		/* by folder: the older below; the times of shared folders on top of the rest */
		{ "d a @0755:0:0:7\nf a/x @0644:0:0:5 =1\nd b @0755:0:0:7\nf b/x @0644:0:0:3 =1\n",
		  "",
		  "d b @0755:0:0:7.0\nf b/x =1 @0644:0:0:3.0\n--\nd a @0755:0:0:7.0\n"
		  "f a/x =1 @0644:0:0:5.0\n",
		  REST_FOLDER, TIMES_REST },
		{ "d usr @0755:0:0:7\nf usr/a/x @0644:0:0:5 =1\nf usr/b/x @0644:0:0:3 =1\n", "",
		  "d usr\nd usr/b\nf usr/b/x =1 @0644:0:0:3.0\n--\nd usr @0755:0:0:7.0\nd usr/a\n"
		  "f usr/a/x =1 @0644:0:0:5.0\n",
		  REST_FOLDER, TIMES_REST },
		{ "d usr @0755:0:0:7\nf usr/a/x @0644:0:0:5 =1\nf usr/b/x @0644:0:0:3 =1\n"
		  "f z/x @0644:0:0:9 =1\n",
		  "",
		  "d usr\nd usr/b\nf usr/b/x =1 @0644:0:0:3.0\n--\nd usr\nd usr/a\n"
		  "f usr/a/x =1 @0644:0:0:5.0\n--\nd usr @0755:0:0:7.0\nd z\nf z/x =1 "
		  "@0644:0:0:9.0\n",
		  REST_FOLDER, TIMES_REST },
		/* by size: what is too big is divided */
		{ "f a/x =1\nf a/y/1 =1\nf b/z =1\n", "",
		  "d a\nf a/x =1\n--\nd a\nd a/y\nf a/y/1 =1\n--\nd b\nf b/z =1\n", REST_SIZE,
		  TIMES_LOW },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 };
		struct cutting c = { &b, rows[i].rules, rows[i].rest, rows[i].times, { 0 } };
		cleanup_buf struct buf all = tb_new();
		dray_error *err = NULL;

		build_stack(&b, rows[i].stack);
		assert_ok(cut(&c, &err), err);
		for (size_t k = 0; k < c.layers.n; k++) {
			cleanup_built struct built one = { .n = 1, .tar = { tb_new() } };

			assert_ok(write_cut(&c, k, &one.tar[0], &err), err);
			assert_ok(build_tree(&one, SIZE_MAX, &err), err);
			cleanup_buf struct buf text = show_tree(&one);
			tell(&all, "%s%.*s", k ? "--\n" : "", (int)text.len, (char *)text.data);
		}
		if (!span_is(span_buf(&all), rows[i].want))
			fail_msg("row %zu, \"%s\":\n%.*s", i, c.rules, (int)all.len,
				 (const char *)all.data);
		cut_layers_clear(&c.layers);
	}
}

static int cut_again(void *arg, dray_error **err)
{
	struct cutting *c = arg;
	int rc = cut(c, err);

	cut_layers_clear(&c->layers);
	return rc;
}

static void test_torture_G17(void **state)
{
	static const char stack[] = "d a\nf a/b =1\nh a/c >a/b\nf usr/x/y =1\nf usr/z/y =2\nd e\n";
	cleanup_built struct built b = { 0 };

	(void)state;
	build_stack(&b, stack);
	for (int rest = 0; rest < N_RESTS; rest++) {
		struct cutting c = { &b, "{a,q}/b,e **/z", rest, true, { 0 } };

		torture_alloc(cut_again, &c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),	    cmocka_unit_test(test_wrong_rules),
		cmocka_unit_test(test_same_tree),   cmocka_unit_test(test_layers),
		cmocka_unit_test(test_torture_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
