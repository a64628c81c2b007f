/* SPDX-License-Identifier: Apache-2.0
 *
 * Which parts share a layer, and how a cut keeps to an earlier one.
 * Relies on parts made by hand, and on small stacks.
 * Promises that a wrong plan names its row.
 */
#include "layers.h"

#include "base/mem.h"
#include "layer/cut.h"

/* ---- bins ---- */

/* Parts from "name bytes newest", '!' before a volatile name. */
static void make_parts(struct cut_parts *p, const char *text)
{
	char *copy = strdup(text), *save = NULL;

	for (char *s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
		char name[32];
		long long bytes, newest;
		bool top;

		assert_int_equal(sscanf(s, " %31s %lld %lld", name, &bytes, &newest), 3);
		top = name[0] == '!';
		assert_int_equal(mem_grow(&p->list, p->n, &p->cap, sizeof(*p->list)), 0);
		p->list[p->n++] = (struct cut_part){
			.name = arena_strdup(&p->arena, name + top),
			.kind = top ? CUT_VOLATILE : CUT_UNIT,
			.bytes = bytes,
			.newest = newest,
			.entries = 1,
		};
	}
	free(copy);
}

/* Layers from the bottom: "a+b c". */
static struct buf show_bins(struct cut_parts *p)
{
	struct buf ret = tb_new();
	dray_error *err = NULL;
	size_t n, rest;

	assert_ok(cut_number(p, &n, &rest, &err), err);
	assert_int_equal(n, rest);
	for (size_t i = 0; i < n; i++) {
		bool any = false;

		for (size_t k = 0; k < p->n; k++) {
			if (p->list[k].layer != i)
				continue;
			tell(&ret, "%s%s", any ? "+" : i ? " " : "", p->list[k].name);
			any = true;
		}
		assert_true(any);
	}
	return ret;
}

static void test_pack(void **state)
{
	static const struct {
		const char *parts;
		size_t max;
		int64_t min;
		const char *want, *even;
	} rows[] = {
		{ "a 10 1", 9, 0, "a", "a" },
		{ "a 10 3,b 20 1,c 30 2", 9, 0, "b c a", "a b c" },
		{ "a 10 1,b 20 1,c 30 1", 9, 0, "a b c", "a b c" },
		/* too many: the biggest alone, the others on top of them */
		{ "a 10 1,b 20 2,c 30 3,d 40 4", 3, 0, "c d a+b", "a+b c d" },
		{ "a 10 1,b 20 2,c 30 3,d 40 4", 2, 0, "d a+b+c", "a+b+c d" },
		{ "a 10 1,b 20 2,c 30 3,d 40 4", 1, 0, "a+b+c+d", "a+b+c+d" },
		/* same size: by name */
		{ "b 10 1,a 10 1,c 10 1", 2, 0, "a b+c", "b+a c" },
		/* none under the least */
		{ "a 10 1,b 200 2,c 300 3,d 20 4", 9, 100, "c a+b+d", "a+b c+d" },
		{ "a 10 1,b 200 2,c 300 3,d 95 4", 9, 100, "b c a+d", "a+b c+d" },
		{ "a 10 1,b 20 1", 9, 100, "a+b", "a+b" },
		/* the volatile above all, in the layer below when there is little of it */
		{ "!x 50 0,a 10 1,b 20 2", 9, 0, "a b x", NULL },
		{ "!x 50 0,a 10 1,b 20 2", 2, 0, "a+b x", NULL },
		{ "!x 50 0,a 10 1,b 20 2", 1, 0, "x+a+b", NULL },
		{ "!x 5 0,!y 4 0,a 10 1,b 20 2", 9, 10, "a x+y+b", NULL },
		{ "!x 5 0,!y 5 0,a 10 1,b 20 2", 9, 10, "a b x+y", NULL },
		{ "!x 5 0,a 10 1,b 20 2,c 30 3", 2, 10, "c x+a+b", NULL },
		{ "!x 5 0", 9, 10, "x", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (int even = 0; even < 2; even++) {
			cleanup_cut_parts struct cut_parts p = { 0 };
			const char *want = even ? rows[i].even : rows[i].want;
			dray_error *err = NULL;

			if (!want)
				continue;
			make_parts(&p, rows[i].parts);
			assert_ok((even ? cut_pack_even : cut_pack)(&p, rows[i].max, rows[i].min,
								    &err),
				  err);
			cleanup_buf struct buf got = show_bins(&p);
			if (!span_is(span_buf(&got), want))
				fail_msg("%s, at most %zu, %s: %.*s", rows[i].parts, rows[i].max,
					 even ? "even" : "by size", (int)got.len,
					 (const char *)got.data);
		}
}

static void test_limit(void **state)
{
	static const struct {
		size_t max;
		int64_t most;
		const char *want;
	} rows[] = {
		{ 1, 100, "a+b+c+d" }, { 1, 99, "a+b+c d" }, { 1, 50, "a+b c d" },
		{ 1, 10, "a b c d" },  { 1, 1, "a b c d" },  { 2, 30, "d a+b c" },
		{ 2, 60, "d a+b+c" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_cut_parts struct cut_parts p = { 0 };
		dray_error *err = NULL;

		make_parts(&p, "a 10 1,b 20 2,c 30 3,d 40 4");
		assert_ok(cut_pack(&p, rows[i].max, 0, &err), err);
		assert_ok(cut_limit(&p, rows[i].most, &err), err);
		cleanup_buf struct buf got = show_bins(&p);
		assert_span_is(span_buf(&got), rows[i].want);
	}
}

/* Layers of an earlier cut that are too many: the smallest neighbours share one. */
static void test_join(void **state)
{
	static const struct {
		size_t max;
		const char *want;
	} rows[] = {
		{ 9, "a b c d e" }, { 5, "a b c d e" }, { 4, "a b c d+e" },
		{ 3, "a+b c d+e" }, { 2, "a+b c+d+e" }, { 1, "a+b+c+d+e" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_cut_parts struct cut_parts p = { 0 };
		dray_error *err = NULL;

		make_parts(&p, "a 10 9,b 40 8,c 50 7,d 15 6,e 5 5");
		for (uint32_t k = 0; k < p.n; k++) {
			p.list[k].kind = CUT_OLD;
			p.list[k].bin = k;
		}
		assert_ok(cut_join(&p, rows[i].max, &err), err);
		cleanup_buf struct buf got = show_bins(&p);
		assert_span_is(span_buf(&got), rows[i].want);
	}
}

/* Many parts of any sizes: never more than asked, and about even. */
static void test_many(void **state)
{
	(void)state;
	for (size_t max = 1; max <= CUT_LAYERS_MAX; max += 31) {
		cleanup_cut_parts struct cut_parts p = { 0 };
		int64_t bytes[CUT_LAYERS_MAX] = { 0 }, all = 0;
		dray_error *err = NULL;
		uint32_t seed = 1;
		size_t n, rest;

		for (size_t i = 0; i < 20000; i++) {
			char text[64];

			seed = seed * 1664525 + 1013904223;
			snprintf(text, sizeof(text), "p%zu %u 1", i, seed >> 20);
			make_parts(&p, text);
			all += p.list[i].bytes;
		}
		assert_ok(cut_pack_even(&p, max, 0, &err), err);
		assert_ok(cut_number(&p, &n, &rest, &err), err);
		assert_int_equal(n, max);
		for (size_t i = 0; i < p.n; i++)
			bytes[p.list[i].layer] += p.list[i].bytes;
		for (size_t i = 0; i < n; i++)
			assert_true(bytes[i] < 2 * all / (int64_t)n);
	}
}

/* ---- by owner ---- */

/* "p1" owns what lies below pkg/1 and so on. */
static const char *owner(void *arg, const char *path)
{
	static char name[8];

	(void)arg;
	if (strncmp(path, "pkg/", 4) != 0)
		return NULL;
	snprintf(name, sizeof(name), "p%c", path[4]);
	return name;
}

static struct buf show_parts(const struct cut_parts *p)
{
	struct buf ret = tb_new();

	for (size_t i = 0; i < p->n; i++)
		tell(&ret, "%s%s%s %zu", i ? ", " : "", p->list[i].kind == CUT_VOLATILE ? "!" : "",
		     p->list[i].name, p->list[i].entries);
	return ret;
}

static void test_owner(void **state)
{
	static const char stack[] =
		"d pkg/0\nf pkg/1/a\nf pkg/1/b\nf pkg/2\nf etc/x\nf usr/lib/y\nf usr/z\n"
		"h usr/w >pkg/2\nf q\n";
	cleanup_built struct built b = { 0 };
	cleanup_cut_rules struct cut_rules r = { 0 };
	cleanup_cut_parts struct cut_parts p = { 0 };
	dray_error *err = NULL;
	size_t torn;

	(void)state;
	build_stack(&b, stack);
	const struct record_list all = { tree_record_next, b.tree };
	assert_ok(cut_mark(b.tree, &r, &torn, &err), err);
	assert_ok(cut_rest_by_owner(&p, &all, owner, NULL, &err), err);
	cut_tally(&p, &all);
	cleanup_buf struct buf got = show_parts(&p);
	assert_span_is(span_buf(&got), "!/etc 1, p0 1, p1 2, p2 2, !/ 1, !/usr/lib 1, !/usr 1");
}

/* ---- an earlier cut ---- */

/* The layer of each file of @p stack, when the layers of @p old are kept to: "a=0 b=1". */
static struct buf follow(const char *stack, const char *old, uint32_t base)
{
	cleanup_built struct built b = { 0 }, o = { 0 };
	cleanup_cut_rules struct cut_rules r = { 0 };
	cleanup_cut_parts struct cut_parts p = { 0 };
	cleanup_buf struct buf path = tb_new();
	struct buf ret = tb_new();
	dray_error *err = NULL;
	size_t torn, n, rest;
	uint32_t times;

	build_stack(&b, stack);
	build_stack(&o, old);
	const struct record_list all = { tree_record_next, b.tree };
	assert_ok(cut_mark(b.tree, &r, &torn, &err), err);
	assert_ok(cut_rest_by_folder(&p, &all, 1, &err), err);
	assert_ok(cut_follow(&p, &all, o.tree, base, &times, &err), err);
	cut_tally(&p, &all);
	assert_ok(cut_number(&p, &n, &rest, &err), err);
	for (const struct node *at = tree_next(tree_root(b.tree)); at; at = tree_next(at))
		if (!at->child)
			tell(&ret, "%s%s=%u", ret.len ? " " : "", path_of(at, &path),
			     p.list[at->inode->mark].layer);
	if (times != UINT32_MAX)
		tell(&ret, " times=%u", p.list[times].layer);
	return ret;
}

static void test_follow(void **state)
{
	static const struct {
		const char *stack, *old, *want;
		uint32_t base;
	} rows[] = {
		{ "f a/1\nf b/1\n", "f a/1\n--\nf b/1\n", "a/1=0 b/1=1", 0 },
		{ "f a/1\nf b/1\n", "f b/1\n--\nf a/1\n", "a/1=1 b/1=0", 0 },
		/* the new goes where the rest of its part is */
		{ "f a/1\nf a/2\nf a/3\nf b/1\n", "f a/1\nf a/2\n--\nf b/1\n",
		  "a/1=0 a/2=0 a/3=0 b/1=1", 0 },
		/* else to the top */
		{ "f a/1\nf b/1\nf c/1\n", "f a/1\n--\nf b/1\n", "a/1=0 b/1=1 c/1=1", 0 },
		/* what is gone leaves no layer */
		{ "f a/1\nf c/1\n", "f a/1\n--\nf b/1\n--\nf c/1\n", "a/1=0 c/1=1", 0 },
		/* no path moves, whatever its part */
		{ "f a/1\nf a/2\nf a/3\nf a/4\n", "f a/1\n--\nf a/2\nf a/3\n",
		  "a/1=0 a/2=1 a/3=1 a/4=1", 0 },
		/* names of one file lie where its first lay */
		{ "f a/1 =1\nh b/1 >a/1\nf c =1\n", "f b/1\n--\nf a/1\n--\nf c\n",
		  "a/1=0 b/1=0 c=1", 0 },
		/* folders and files of the same name */
		{ "d a\nf b/1\n", "f b/1\n--\nf a\n", "a=1 b/1=0", 0 },
		{ "f a\nf b/1\n", "f b/1\n--\nd a\n", "a=1 b/1=0", 0 },
		/* kept layers: what lay there and is new is new */
		{ "f a/1\nf b/1\nf c/1\n", "f a/1\n--\nf b/1\n--\nf c/1\n", "a/1=1 b/1=0 c/1=1",
		  1 },
		{ "f a/1\nf b/1\n", "f a/1\n", "a/1=0 b/1=0", 1 },
		/* a layer that describes a folder of which it has nothing */
		{ "f a/1\nf a/2\nf b\n", "d a\nf a/1\n--\nd a\nf a/2\n--\nf b\n", "a/1=0 a/2=1 b=2",
		  0 },
		{ "f a/1\nf a/2\nf b\n", "d a\nf a/1\n--\nd a\nf a/2\n--\nd a\nf b\n",
		  "a/1=0 a/2=1 b=2 times=2", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf got = follow(rows[i].stack, rows[i].old, rows[i].base);

		if (!span_is(span_buf(&got), rows[i].want))
			fail_msg("row %zu: %.*s", i, (int)got.len, (const char *)got.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pack),   cmocka_unit_test(test_limit),
		cmocka_unit_test(test_many),   cmocka_unit_test(test_owner),
		cmocka_unit_test(test_follow), cmocka_unit_test(test_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
