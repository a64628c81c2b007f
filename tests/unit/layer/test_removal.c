/* SPDX-License-Identifier: Apache-2.0
 *
 * What a layer takes away from those below.
 * Relies on the small language of layers.h.
 * Promises each rule with what nearly fits, and that every path of made layers is judged as a scan
 * of all entries judges it.
 */
#include "layer/removal.h"

#include "layers.h"
#include "torture.h"

#define ANY (REMOVED_BY_WHITEOUT | REMOVED_BY_FILE)

static int removals_of(struct built *b, struct removals *ret, dray_error **err)
{
	if (read_index(span_buf(&b->tar[0]), SIZE_MAX, &b->index[0], err) < 0)
		return -1;
	b->tree = tree_new(NULL, NULL, err);
	if (!b->tree)
		return -1;
	tree_set_partial(b->tree);
	if (tree_apply(b->tree, b->index[0], err) < 0)
		return -1;
	return removals_init(ret, b->index[0], b->tree, err);
}

static void test_rules(void **state)
{
	(void)state;
	static const struct {
		const char *layer, *path;
		unsigned by; /* of these each alone holds it */
	} rows[] = {
		{ "f .wh.a\n", "a", REMOVED_BY_WHITEOUT },
		{ "f .wh.a\n", "a/b/c", REMOVED_BY_WHITEOUT },
		{ "f .wh.a\n", "ab", 0 },
		{ "f .wh.a\n", "b/a", 0 },
		{ "f b/.wh.a\n", "b/a/x", REMOVED_BY_WHITEOUT },
		{ "f b/.wh.a\n", "b", 0 },
		{ "f b/.wh.a\n", "a", 0 },
		{ "f b/.wh..wh..opq\n", "b/x/y", REMOVED_BY_WHITEOUT },
		{ "f b/.wh..wh..opq\n", "b", 0 },
		{ "f b/.wh..wh..opq\n", "bx", 0 },
		{ "f .wh..wh..opq\n", "x", REMOVED_BY_WHITEOUT },
		{ "f .wh..wh.plnk/a\n", "a", 0 },
		{ "f .wh..wh.plnk/a\n", ".wh..wh.plnk/a", 0 },
		{ "f a =1\n", "a/b", REMOVED_BY_FILE },
		{ "l a >b\n", "a/b/c", REMOVED_BY_FILE },
		{ "d a\n", "a/b", 0 },
		{ "f a =1\n", "ab", 0 },
		/* it was there, and is no more */
		{ "f a =1\nd a\n", "a/b", REMOVED_BY_FILE },
		{ "f a =1\nd a\nf a/c =1\n", "a/b", REMOVED_BY_FILE },
		{ "f a/b =1\nf a =1\n", "a/b/c", REMOVED_BY_FILE },
		{ "f a =1\nf .wh.a\nd a\n", "a/b", ANY },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b;
		struct removals r = { 0 };
		dray_error *err = NULL;

		build_tars(&b, rows[i].layer);
		assert_ok(removals_of(&b, &r, &err), err);
		for (unsigned by = 1; by <= ANY; by++)
			if (removals_hold(&r, rows[i].path, by) != ((rows[i].by & by) != 0))
				fail_msg("%s%s by %u", rows[i].layer, rows[i].path, by);
		removals_clear(&r);
	}
}

/* ---- against a scan ---- */

static bool is_within(const char *path, const char *head, size_t len)
{
	return strncmp(path, head, len) == 0 && (!path[len] || path[len] == '/');
}

static bool scan(const struct layer_index *ix, const char *path, unsigned by)
{
	for (size_t i = 0; i < ix->n; i++) {
		const struct layer_entry *e = &ix->list[i];
		const char *slash = strrchr(e->path, '/'), *name = NULL;
		size_t folder = slash ? (size_t)(slash + 1 - e->path) : 0;
		enum whiteout kind = whiteout_of(e->path, &name);
		bool beside = strncmp(path, e->path, folder) == 0;

		if ((by & REMOVED_BY_WHITEOUT) && beside &&
		    ((kind == WHITEOUT_NAME && is_within(path + folder, name, strlen(name))) ||
		     (kind == WHITEOUT_OPAQUE && path[folder])))
			return true;
		if ((by & REMOVED_BY_FILE) && kind == WHITEOUT_NONE && e->type != TAR_DIR &&
		    is_within(path, e->path, strlen(e->path)))
			return true;
	}
	return false;
}

static uint32_t draw(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 16) % n;
}

/* Of up to three names, each of two. */
static void make_path(uint32_t *seed, bool whiteouts, char ret[64])
{
	static const char *const names[] = { "a", "b", ".wh.a", ".wh.b", ".wh..wh..opq" };
	size_t parts = 1 + draw(seed, 3);

	ret[0] = 0;
	for (size_t i = 0; i < parts; i++) {
		bool last = i + 1 == parts;

		strncat(ret, names[draw(seed, last && whiteouts ? 5 : 2)], 32);
		strncat(ret, last ? "" : "/", 2);
	}
}

static void test_scan(void **state)
{
	uint32_t seed = 7;

	(void)state;
	for (size_t n = 0; n < 400; n++) {
		cleanup_built struct built b;
		struct removals r = { 0 };
		dray_error *err = NULL;
		char layer[2048] = "", path[64];

		for (size_t i = 0; i < 1 + n % 9; i++) {
			make_path(&seed, true, path);
			snprintf(layer + strlen(layer), sizeof(layer) - strlen(layer), "%s %s\n",
				 draw(&seed, 2) ? "f" : "d", path);
		}
		build_tars(&b, layer);
		assert_ok(removals_of(&b, &r, &err), err);
		for (size_t i = 0; i < 64; i++) {
			unsigned by = 1 + draw(&seed, ANY);

			make_path(&seed, false, path);
			/* What is there is not asked for by files. */
			if (tree_find(b.tree, path))
				by = REMOVED_BY_WHITEOUT;
			if (removals_hold(&r, path, by) != scan(b.index[0], path, by))
				fail_msg("%s%s by %u", layer, path, by);
		}
		removals_clear(&r);
	}
}

static int again(void *arg, dray_error **err)
{
	const struct built *from = arg;
	struct built b = { .n = 1 };
	struct removals r = { 0 };
	int rc;

	b.tar[0] = from->tar[0];
	rc = removals_of(&b, &r, err);
	removals_clear(&r);
	b.tar[0] = (struct buf){ 0 }; /* lent */
	built_clear(&b);
	return rc;
}

static void test_torture_G17(void **state)
{
	(void)state;
	cleanup_built struct built b;

	build_tars(&b, "f .wh.a\nf b/.wh.c\nf d/.wh..wh..opq\nf e =1\nd e\nf g/h =1\nf g =1\n");
	torture_alloc(again, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_torture_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
