/* SPDX-License-Identifier: Apache-2.0
 *
 * The rootfs id: golden values of tests/layers/rootfs.py, and what counts.
 * Relies on the language of layers.h.
 * Promises that a changed definition does not go unseen.
 */
#include "layers.h"

static void id_of(const char *stack, bool mtime, char ret[DIGEST_TEXT])
{
	cleanup_built struct built b = { 0 };
	dray_error *err = NULL;
	struct digest d;

	build_tars(&b, stack);
	assert_ok(build_tree(&b, 513, &err), err);
	assert_ok(rootfs_id(b.tree, mtime, &d, &err), err);
	snprintf(ret, DIGEST_TEXT, "%s", d.text);
}

#define GOLDEN                                                                              \
	"d a @1777:1:2:3.5 #user.b=2 #user.a=1\nf a/f =hello @4755:3000000:5:-1.25\nl a/l " \
	">../x\nh a/z >a/f @4755:3000000:5:-1.25\nc c\np p\nf a.b\n"

/* What tests/layers/rootfs.py says of these tars. */
static void test_golden(void **state)
{
	(void)state;
	static const struct {
		const char *stack, *plain, *mtime;
	} rows[] = {
		{ "", "sha256:c357695a10dda68b561f67fc54efe3d34b4c1e00fc2d448115da141ad6f64d26",
		  "sha256:301054fbe96b1dad073c612d502da260556c855aa55745b26f9b21411f9b42cd" },
		{ GOLDEN, "sha256:8af2027194de3365af5528359fd2eec879b04305f18205800b6fc47fa803a14d",
		  "sha256:b46cafeaf2a68d595fa5a70595a1d5a292a2e0982e12b8592e5a645916598d5f" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char got[DIGEST_TEXT];

		id_of(rows[i].stack, false, got);
		assert_string_equal(got, rows[i].plain);
		id_of(rows[i].stack, true, got);
		assert_string_equal(got, rows[i].mtime);
	}
}

static void test_what_counts(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool same, same_mtime;
	} rows[] = {
		/* the same tree by other layers */
		{ "d a\nf a/b =1\n", "d a\n--\nf a/b =1\n", true, true },
		{ "d a\nf a/b =1\n", "f a/b =1\nd a\n", true, true },
		{ "f a =1\n", "f a =2\nf b\n--\nf .wh.b\nf a =1\n", true, true },
		{ "d a\nf a/b =1\n", "f a/b =1\n", true, true },
		{ "f a =1\nh b >a\n", "f b =1\nh a >b\n", true, true },
		{ "f a =1\nh b >a\n", "f c =1\nh a >c\nh b >c\n--\nf .wh.c\n", true, true },
		{ "f a #user.x=1 #user.y=2\n", "f a #user.y=2 #user.x=1\n", true, true },
		{ "f a #user.overlay.x=1\n", "f a #trusted.overlay.opaque=y\n", true, true },
		{ "l a >b\n", "l a >b @0700:0:0:0\n", true, true },
		/* times */
		{ "f a @0644:0:0:1\n", "f a @0644:0:0:2\n", true, false },
		{ "f a @0644:0:0:1\n", "f a @0644:0:0:1.5\n", true, false },
		/* others */
		{ "f a =1\n", "f a =2\n", false, false },
		{ "f a =1\n", "f b =1\n", false, false },
		{ "f a\n", "d a\n", false, false },
		{ "f a =1\nh b >a\n", "f a =1\nf b =1\n", false, false },
		{ "f a @0644:0:0:0\n", "f a @0600:0:0:0\n", false, false },
		{ "f a @0644:1:0:0\n", "f a @0644:0:1:0\n", false, false },
		{ "l a >b\n", "l a >c\n", false, false },
		{ "c a\n", "b a\n", false, false },
		{ "f a #user.x=1\n", "f a\n", false, false },
		{ "f a #user.x=1\n", "f a #user.x=2\n", false, false },
		{ "f a\n", "d ./ @0700:0:0:0\nf a\n", false, false },
		{ "f a\n", "d ./ @0755:0:0:0\nf a\n", true, true },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char a[DIGEST_TEXT], b[DIGEST_TEXT];

		for (int mtime = 0; mtime < 2; mtime++) {
			id_of(rows[i].a, mtime, a);
			id_of(rows[i].b, mtime, b);
			if ((strcmp(a, b) == 0) != (mtime ? rows[i].same_mtime : rows[i].same))
				fail_msg("row %zu, mtime %d:\n%s%s", i, mtime, rows[i].a,
					 rows[i].b);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_what_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
