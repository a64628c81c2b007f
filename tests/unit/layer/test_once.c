/* SPDX-License-Identifier: Apache-2.0
 *
 * Merged trees written while one of the layers passes: the same bytes as in two passes, or known to be
 * others.
 * Relies on the stacks of cases.h, and on chance with a fixed seed.
 */
#include "attempt.h"
#include "cases.h"
#include "torture.h"

/* Is layer @p passing of @p stack foreseen? Then the bytes are right, with contents or without. */
static bool foreseen(struct built *b, uint32_t passing, size_t piece)
{
	cleanup_attempt struct attempt a = attempt_of(b, passing);
	cleanup_error dray_error *err = NULL;
	cleanup_buf struct buf expect = tb_new();

	a.piece = piece;
	if (attempt(&a, &err) < 0)
		return false; /* without that layer the others make no tree */
	if (!a.holds)
		return false;
	assert_int_equal(a.written, 1);
	assert_ok(write_merged(b, &expect, &err), err);
	assert_span(span_buf(&a.tar[0]), span_buf(&expect));
	a.contents = true;
	assert_ok(attempt(&a, &err), err);
	assert_true(a.holds);
	assert_span(span_buf(&a.tar[0]), span_buf(&expect));
	return true;
}

static void test_same_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(stack_cases); i++) {
		cleanup_built struct built b = { 0 };

		if (!stack_cases[i].want)
			continue;
		build_stack(&b, stack_cases[i].stack);
		for (uint32_t k = 0; k < b.n; k++)
			foreseen(&b, k, SIZE_MAX);
	}
}

#define BASE                                                                                   \
	"d ./\nd bin\nf bin/ash =1\nh bin/sh >bin/ash\nd etc\nf etc/a =1\nl etc/b >a\nd usr\n" \
	"f usr/x =2\n"

/* What engines and builders write is decoded once. */
static void test_foreseen(void **state)
{
	(void)state;
	static const struct {
		const char *stack;
		uint32_t passing;
	} rows[] = {
		{ "", 0 },
		{ BASE, 0 },
		{ BASE "--\n", 1 },
		{ BASE "--\nd etc\nf etc/a =2\nf etc/c =3\nd var\nf var/v\n", 0 },
		{ BASE "--\nd etc\nf etc/a =2\nf etc/c =3\nd var\nf var/v\n", 1 },
		/* the others remove from it */
		{ BASE "--\nd etc\nf etc/.wh.a\n", 0 },
		{ BASE "--\nf .wh.usr\n--\nd usr\nf usr/y\n", 0 },
		{ BASE "--\nd etc\nf etc/.wh..wh..opq\nf etc/z\n", 0 },
		{ BASE "--\nf usr =no\n", 0 },
		{ BASE "--\nc whiteout-device\n", 0 },
		/* it removes from the others, or stands on them */
		{ BASE "--\nd etc\nf etc/.wh.a\nf etc/c\n", 1 },
		{ BASE "--\nd etc\nf etc/c\nf .wh.usr\n", 1 },
		{ BASE "--\nf .wh.bin\nd etc\n--\nd usr\nf usr/y =4\n", 1 },
		{ BASE "--\nf usr =no\n--\nf z\n", 1 },
		{ "d a\nf a/old\n--\nd a\nf a/new\n--\nd a\nf a/top\n", 1 },
		/* out of order, but not by much: as mmdebstrap has it */
		{ "d dev\nf dev/null\nd ./\nl bin >usr/bin\nd etc\n--\nf etc/a\n", 0 },
		{ "f z\nf y\nf x\n--\nf .wh.y\n", 0 },
		{ "f a\nf b\nf .wh.c\n", 0 },
		/* names between a folder and what it holds */
		{ "d a\nf a/b\nf a!b\nf a.b\n--\nd a\nf a/c\nf a!c\n", 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 };

		build_stack(&b, rows[i].stack);
		for (size_t k = 0; k < ROWS(stream_pieces); k++)
			if (!foreseen(&b, rows[i].passing, stream_pieces[k]))
				fail_msg("layer %u is not foreseen:\n%s", rows[i].passing,
					 rows[i].stack);
	}
}

/* What is not, for what it would take: headers of ours, or another order. */
static void test_not_foreseen(void **state)
{
	(void)state;
	static const struct {
		const char *stack;
		uint32_t passing;
	} rows[] = {
		{ "f a/b =1\n", 0 },			   /* a folder is implied */
		{ BASE "--\nf new/x\n", 0 },		   /* in another layer */
		{ "f a =1\nf a =2\n", 0 },		   /* a name comes twice */
		{ "f a =1\nh b >a\n--\nf a =2\n", 0 },	   /* the link becomes the file */
		{ "f a =1\n--\nh b >a @0600:0:0:7\n", 0 }, /* a link that changes its file */
		{ "h b >a\n--\nf a =1\nf .wh.b\n--\nf z\n", 1 },
		{ BASE "--\nd etc\nf etc/.wh..wh..opq\n", 1 }, /* opaque, in the one that passes */
		{ BASE "--\nc whiteout-device\n", 1 },
		{ BASE "--\nf usr =no\n--\nd usr\nf usr/z\n", 1 },
		{ "d a #trusted.overlay.opaque=y\nf a/b =1\n", 0 }, /* its notes stay behind */
		{ BASE "--\nf z =1 #user.overlay.origin=o\n", 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 };
		cleanup_error dray_error *err = NULL;

		build_tars(&b, rows[i].stack);
		if (build_tree(&b, SIZE_MAX, &err) == 0 && foreseen(&b, rows[i].passing, SIZE_MAX))
			fail_msg("layer %u is foreseen:\n%s", rows[i].passing, rows[i].stack);
	}
}

/* ---- how much waits ---- */

/* Files of @p size bytes named by @p names, one letter each, then a small one "m" of another layer. */
static void build_files(struct built *b, const char *names, size_t size)
{
	cleanup_buf struct buf data = make_bytes(size, 7);
	dray_error *err = NULL;

	*b = (struct built){ .n = 2, .tar = { tb_new(), tb_new() } };
	for (; *names; names++) {
		const char name[] = { *names, 0 };

		tb_member(&b->tar[0], &(struct tb_head){ .name = name, .size = (int64_t)size },
			  data.data, size);
	}
	tb_member(&b->tar[1], &(struct tb_head){ .name = "m", .size = 1 }, "x", 1);
	tb_end(&b->tar[0]);
	tb_end(&b->tar[1]);
	assert_ok(build_tree(b, SIZE_MAX, &err), err);
}

static void test_waiting(void **state)
{
	(void)state;
	static const struct {
		const char *names;
		size_t size;
		bool foreseen;
	} rows[] = {
		{ "abcdefghijkl", 5000, true },
		{ "lkjihgfedcba", 5000, true },
		{ "abxyz", 1000000, true },
		{ "axbyz", 1000000, false }, /* large ones do not wait */
		{ "a0b", 300001, false },
		{ "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~0123456789-,+", 260000,
		  false },
		{ "9876543210", 250000, true },
		{ "+,-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~", 260000,
		  true },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 };

		build_files(&b, rows[i].names, rows[i].size);
		if (foreseen(&b, 0, 4093) != rows[i].foreseen)
			fail_msg("files %s of %zu bytes", rows[i].names, rows[i].size);
		assert_true(foreseen(&b, 1, 4093));
	}
}

/* ---- chance ---- */

static void test_chance(void **state)
{
	size_t good = 0, tried = 0;

	(void)state;
	for (seed = 1; tried < 4000; seed++) {
		cleanup_built struct built b = { 0 };
		cleanup_buf struct buf stack = tb_new();
		cleanup_error dray_error *err = NULL;
		uint32_t begin = seed;

		random_stack(&stack);
		build_tars(&b, (const char *)stack.data);
		if (build_tree(&b, SIZE_MAX, &err) == 0)
			for (uint32_t k = 0; k < b.n; k++, tried++)
				good += foreseen(&b, k, SIZE_MAX);
		seed = begin;
	}
	/* A third of what chance makes can be foreseen; what nobody foresees is not tested. */
	if (good < tried / 5 || good > tried * 4 / 5)
		fail_msg("%zu of %zu are foreseen", good, tried);
}

/* ---- failures ---- */

/* A layer that cannot be read is no error: the ordinary way tells what is wrong with it. */
static void test_broken_layer(void **state)
{
	cleanup_built struct built b = { 0 };
	dray_error *err = NULL;

	(void)state;
	build_stack(&b, BASE "--\nd etc\nf etc/a =2\n");
	for (size_t at = 0; at <= b.tar[0].len; at += 256) {
		cleanup_attempt struct attempt a = attempt_of(&b, 0);

		a.fail_at = (int64_t)at;
		assert_ok(attempt(&a, &err), err);
		assert_int_equal(a.written, 0);
	}
}

static int64_t read_nothing(void *arg, uint32_t layer, int64_t off, void *data, size_t len,
			    dray_error **err)
{
	(void)arg, (void)layer, (void)off, (void)data, (void)len;
	return err_set(err, DRAY_ERR_SYSTEM, "no bytes");
}

static int write_nothing(struct sink *k, struct span bytes, dray_error **err)
{
	(void)k, (void)bytes;
	return err_set(err, DRAY_ERR_SYSTEM, "no room");
}

/* Neither reading the other layers nor writing can be mended by a second pass. */
static void test_other_failures(void **state)
{
	static const struct sink_ops full = { .write = write_nothing };
	static const struct layer_index none;
	cleanup_built struct built b = { 0 };
	dray_error *err = NULL;

	(void)state;
	build_stack(&b, BASE "--\nf a =1\n");
	for (int i = 0; i < 2; i++) {
		const struct layer_index *index[] = { &none, b.index[1] };
		struct attempt a = { .b = &b };
		struct sink sink = { .ops = &full };
		struct sink *const out = &sink;
		cleanup_tree struct tree *others = NULL;
		cleanup_layer_index struct layer_index *passed = NULL;
		cleanup_source struct source *in = torn_span(span_buf(&b.tar[0]), 512, -1, &err);
		const struct once_plan plan = { .index = index,
						.n = 2,
						.others = NULL,
						.feed = { i ? read_tars : read_nothing, &b, NULL },
						.out = &out,
						.n_out = 1 };
		struct once_plan p = plan;

		assert_ok(tree_of_others(&a, index, &others, &err), err);
		p.others = others;
		cleanup_once struct once *o = once_new(&p, &err);
		assert_non_null(o);
		assert_int_equal(once_write(o, in, &passed, &err), -1);
		assert_err(err, DRAY_ERR_SYSTEM, i ? "no room" : "no bytes");
		err_clear(&err);
	}
}

/* Without memory it fails or gives up; what it says it wrote is right. */
static void test_allocations_G17(void **state)
{
	cleanup_built struct built b = { 0 };
	cleanup_buf struct buf expect = tb_new();
	dray_error *err = NULL;
	bool reached = true;

	(void)state;
	build_stack(&b, BASE "--\nd etc\nf etc/.wh.a\n--\nd usr\nf usr/y =4\n");
	assert_ok(write_merged(&b, &expect, &err), err);
	for (uint64_t nth = 1; reached; nth++) {
		cleanup_attempt struct attempt a = attempt_of(&b, 1);
		int rc;

		reached = torture_once(FAULT_ALLOC, nth, 0, attempt, &a, &rc, &err);
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
		else if (a.holds)
			assert_span(span_buf(&a.tar[0]), span_buf(&expect));
		else
			assert_true(reached);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_bytes),     cmocka_unit_test(test_foreseen),
		cmocka_unit_test(test_not_foreseen),   cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_chance),	       cmocka_unit_test(test_broken_layer),
		cmocka_unit_test(test_other_failures), cmocka_unit_test(test_allocations_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
