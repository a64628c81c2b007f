/* SPDX-License-Identifier: Apache-2.0
 *
 * files, cat and blame: what they tell of small stacks, what they refuse, and what happens when
 * memory runs out anywhere.
 * Relies on stacks.h.
 * Promises: cat, which asks layers one by one, and files, which merges them, give one answer.
 */
#include "stacks.h"
#include "torture.h"

static int on_file(void *arg, const struct dray_file *f)
{
	told_file(arg, f);
	return 0;
}

static int on_bytes(void *arg, const void *data, size_t n)
{
	told_add(arg, "%.*s", (int)n, (const char *)data);
	return 0;
}

static void on_step(void *arg, const struct dray_blame_step *s)
{
	told_add(arg, "%s %s @%lld\n", s->change, s->path, (long long)s->layer);
}

/* One verb on one image. */
struct ask {
	struct box *b;
	dray_context *ctx;
	const char *place;
	enum verb { FILES, LAYER, CAT, BLAME } verb;
	const char *path; /* NULL = none */
	int64_t layer;
	bool digests;
	struct told told;
};

static int ask(void *arg, dray_error **err)
{
	struct ask *a = arg;
	struct dray_files_options fo = DRAY_FILES_OPTIONS_INIT;
	struct dray_cat_options co = DRAY_CAT_OPTIONS_INIT;

	a->told = (struct told){ 0 };
	fo.path = a->path;
	fo.digests = a->digests;
	if (a->verb == LAYER)
		fo.layer = a->layer;
	co.write = on_bytes;
	co.arg = &a->told;
	if (a->verb == CAT)
		return dray_cat(a->ctx, a->place, NULL, a->path, &co, NULL, err);
	if (a->verb == BLAME) {
		int rc = dray_blame(a->ctx, a->place, NULL, a->path, on_step, &a->told, err);

		return rc < 0 ? -1 : 0;
	}
	return dray_files(a->ctx, a->place, NULL, &fo, on_file, &a->told, err);
}

#define BASE                                                                             \
	"d a/\nf a/f =one\nf a/g =two #user.x=1\nh hard >a/f\nl up >../../a/./f\n"       \
	"l dir >a\nl loop >loop\nl away >/dir/g\nl empty >\nd gone/\nf gone/deep/x =x\n" \
	"f low =low\nc dev\np fifo\n--\n"
#define MIDDLE "f a/.wh.f\nf .wh.gone\nh hard2 >hard\nd new/\nf new/.wh..wh..opq\nf low =LOW!\n--\n"
#define TOP "f new/top =top\nl dir2 >new/\nf a =now-a-file\nl dangling >nowhere/x\n"

static const struct row {
	enum verb verb;
	const char *path;
	int64_t layer;
	const char *want; /* NULL = refused */
	enum dray_err_kind kind;
	const char *message;
} rows[] = {
	{ FILES, NULL, 0,
	  "file a 10 @2\nsymlink away >/dir/g @0\nsymlink dangling >nowhere/x @2\nchar dev @0\n"
	  "symlink dir >a @0\nsymlink dir2 >new/ @2\nsymlink empty > @0\nfifo fifo @0\n"
	  "file hard 3 @0\nhardlink hard2 >hard 3 @1\nsymlink loop >loop @0\nfile low 4 @1\n"
	  "dir new @1\nfile new/top 3 @2\nsymlink up >../../a/./f @0\n",
	  0, NULL },
	{ FILES, "dir2/", 0, "dir new @1\nfile new/top 3 @2\n", 0, NULL },
	{ FILES, "dir2", 0, "symlink dir2 >new/ @2\n", 0, NULL },
	{ FILES, "/", 0, NULL, 0, NULL }, /* as without a path; looked at below */
	{ FILES, "nope", 0, NULL, DRAY_ERR_NOT_FOUND, "no such file" },
	{ FILES, "nope/x", 0, NULL, DRAY_ERR_NOT_FOUND, "no such file" },
	{ FILES, "low/x", 0, NULL, DRAY_ERR_NOT_FOUND, "no folder" },
	{ LAYER, NULL, 1,
	  "whiteout a/f @1\nwhiteout gone @1\nhardlink hard2 >hard @1\ndir new @1\nopaque new @1\n"
	  "file low 4 @1\n",
	  0, NULL },
	{ LAYER, "a/./f", 1, "whiteout a/f @1\n", 0, NULL },
	{ LAYER, "b", 1, NULL, DRAY_ERR_NOT_FOUND, "no such file" },
	{ LAYER, NULL, 3, NULL, DRAY_ERR_USAGE, "the image has 3" },
	{ CAT, "low", 0, "LOW!", 0, NULL },
	{ CAT, "/./new/../low", 0, "LOW!", 0, NULL },
	{ CAT, "../../low", 0, "LOW!", 0, NULL },
	{ CAT, "hard2", 0, "one", 0, NULL }, /* its first name was deleted and then replaced */
	{ CAT, "dir2/top", 0, "top", 0, NULL },
	{ CAT, "a", 0, "now-a-file", 0, NULL },
	{ CAT, "up", 0, NULL, DRAY_ERR_NOT_FOUND, "no folder" },
	{ CAT, "away", 0, NULL, DRAY_ERR_NOT_FOUND, "no folder" },
	{ CAT, "a/g", 0, NULL, DRAY_ERR_NOT_FOUND, "no folder" },
	{ CAT, "gone/deep/x", 0, NULL, DRAY_ERR_NOT_FOUND, "no such file" },
	{ CAT, "dangling", 0, NULL, DRAY_ERR_NOT_FOUND, "no such file" },
	{ CAT, "loop", 0, NULL, DRAY_ERR_NOT_FOUND, "LIMIT_SYMLINK_HOPS" },
	{ CAT, "empty", 0, NULL, DRAY_ERR_NOT_FOUND, "empty symbolic link" },
	{ CAT, "new", 0, NULL, DRAY_ERR_USAGE, "a folder" },
	{ CAT, "/", 0, NULL, DRAY_ERR_USAGE, "a folder" },
	{ CAT, "dev", 0, NULL, DRAY_ERR_UNSUPPORTED, "a device" },
	{ CAT, "fifo", 0, NULL, DRAY_ERR_UNSUPPORTED, "a device or fifo" },
	{ BLAME, "low", 0, "added low @0\nchanged low @1\n", 0, NULL },
	{ BLAME, "a/f", 0, "added a/f @0\ndeleted a/f @1\n", 0, NULL },
	{ BLAME, "a/g", 0, "added a/g @0\ndeleted a/g @2\n", 0, NULL },
	{ BLAME, "gone/deep", 0, "added gone/deep @0\ndeleted gone/deep @1\n", 0, NULL },
	{ BLAME, "dir2/top", 0, "added new/top @2\n", 0, NULL },
	{ BLAME, "nope", 0, NULL, DRAY_ERR_NOT_FOUND, "no layer has it" },
};

static void check_row(struct ask *a, const struct row *r)
{
	dray_error *err = NULL;
	int rc;

	a->verb = r->verb;
	a->path = r->path;
	a->layer = r->layer;
	rc = ask(a, &err);
	if (!r->want && !r->message)
		r = &rows[0];
	if (r->want) {
		assert_ok(rc, err);
		if (strcmp(a->told.text, r->want) != 0)
			fail_msg("%s: '%s' is not '%s'", a->path ? a->path : "-", a->told.text,
				 r->want);
		return;
	}
	if (rc >= 0)
		fail_msg("%s was answered: %s", r->path, a->told.text);
	assert_err(err, r->kind, r->message);
	assert_int_equal(a->told.len, 0);
}

static void test_answers(void **state)
{
	struct box *b = *state;

	for (int how = 0; how < LIES; how++) {
		struct ask a = { .b = b, .ctx = b->ctx };

		a.place = stack_image(b, how ? "i.oci" : "i.tar", BASE MIDDLE TOP, (enum lies)how);
		for (size_t i = 0; i < ROWS(rows); i++)
			check_row(&a, &rows[i]);
	}
}

/* Stacks whose layers say more than one thing of a path. */
static void test_one_layer(void **state)
{
	static const struct {
		const char *stack, *path, *want; /* NULL = NOT_FOUND */
	} all[] = {
		/* What is replaced by a folder again hides what lies below it. */
		{ "f a/x =low\n--\nf a =file\nf a/y =y\n", "a/x", NULL },
		{ "f a/x =low\n--\nf a =file\nf a/y =y\n", "a/y", "y" },
		{ "f a/x =low\n--\nd a/\nf a/y =y\n", "a/x", "low" },
		{ "f a/x =low\n--\nf a/x =1\nf a/x =2\n", "a/x", "2" },
		{ "f a =low\n--\nc whiteout-device\n", "a", "low" },
		{ "f whiteout-device =low\n--\nc whiteout-device\n", "whiteout-device", NULL },
		{ "f a/b/c =low\n--\nf .wh.a\nd a/\n", "a/b/c", NULL },
		{ "f a/b/c =low\n--\nf a/.wh..wh..opq\nf a/n =n\n", "a/b/c", NULL },
		{ "f a/b/c =low\n--\nf a/.wh..wh..opq\nf a/n =n\n", "a/n", "n" },
		{ "f a =low\n--\nf .wh..wh..opq\nf b =b\n", "a", NULL },
		{ "f ab =low\nf a =x\n--\nf .wh.a\n", "ab", "low" },
		{ "f a =low\n--\nf a/b =in\n", "a/b", "in" },
		{ "f t =low\n--\nh l >t\nf t =new\n", "l", "low" },
		{ "f t =low\n--\nh l >t\nf .wh.t\n", "l", NULL },
		{ "f .wh..wh.plnk/1.2 =aufs\nh l >.wh..wh.plnk/1.2\n", "l", "aufs" },
		{ "f .wh..wh.plnk/1.2 =aufs\nh l >.wh..wh.plnk/1.2\n", ".wh..wh.plnk/1.2", NULL },
	};
	struct box *b = *state;

	for (size_t i = 0; i < ROWS(all); i++) {
		struct ask a = { .b = b, .ctx = b->ctx, .verb = CAT, .path = all[i].path };
		dray_error *err = NULL;
		int rc;

		a.place = stack_image(b, "s.tar", all[i].stack, AS_SAVED);
		rc = ask(&a, &err);
		if (!all[i].want && err && dray_error_kind(err) == DRAY_ERR_FORMAT)
			err_clear(&err); /* a hard link to what its own layer deletes */
		else if (!all[i].want)
			assert_err_kind(err, DRAY_ERR_NOT_FOUND);
		else if (rc < 0 || strcmp(a.told.text, all[i].want) != 0)
			fail_msg("%zu: %s: '%s', %s", i, a.path, a.told.text,
				 err ? dray_error_message(err) : "no error");
		stack_forget(b);
	}
}

static int stop_at_once(void *arg, const struct dray_file *f)
{
	(void)f;
	return ++*(int *)arg == 2 ? 42 : 0;
}

static int stop_write(void *arg, const void *data, size_t n)
{
	(void)arg, (void)data, (void)n;
	return 1;
}

static void test_stops(void **state)
{
	struct box *b = *state;
	const char *place = stack_image(b, "i.tar", BASE, AS_SAVED);
	struct dray_cat_options co = DRAY_CAT_OPTIONS_INIT;
	dray_error *err = NULL;
	int calls = 0;

	assert_int_equal(dray_files(b->ctx, place, NULL, NULL, stop_at_once, &calls, &err), 42);
	assert_null(err);
	assert_int_equal(calls, 2);
	co.write = stop_write;
	assert_int_equal(dray_cat(b->ctx, place, NULL, "low", &co, NULL, &err), -1);
	assert_err_kind(err, DRAY_ERR_CANCELLED);
}

/* ---- memory ---- */

/* Every allocation failed once; one that only a note wanted may go unnoticed, with the answer whole. */
static void torture_ask(struct ask *a)
{
	struct told want;
	dray_error *err = NULL;

	assert_ok(ask(a, &err), err);
	want = a->told;
	for (uint64_t nth = 1; nth < TORTURE_ROUNDS; nth++) {
		int rc;

		if (!torture_once(FAULT_ALLOC, nth, 0, ask, a, &rc, &err)) {
			assert_ok(rc, err);
			return;
		}
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
		else if (strcmp(want.text, a->told.text) != 0)
			fail_msg("allocation %llu: '%s'", (unsigned long long)nth, a->told.text);
	}
	fail_msg("still failing");
}

static void test_memory(void **state)
{
	static const struct {
		enum verb verb;
		const char *path;
		bool digests;
	} all[] = {
		{ FILES, NULL, false },	 { FILES, NULL, true },	  { FILES, "dir2/", false },
		{ LAYER, "a", false },	 { CAT, "hard2", false }, { CAT, "dir2/top", false },
		{ BLAME, "a/f", false },
	};
	struct box *b = *state;
	dray_context *single = box_context(1); /* so that the n-th allocation is always the same */

	for (size_t i = 0; i < ROWS(all); i++)
		for (int how = 0; how < (i % 2 ? AS_ZSTD : AS_GZIP); how++) {
			struct ask a = { .b = b, .ctx = single, .layer = 1 };

			a.verb = all[i].verb;
			a.path = all[i].path;
			a.digests = all[i].digests;
			a.place = stack_image(b, how ? "i.oci" : "i.tar", BASE MIDDLE TOP,
					      (enum lies)how);
			torture_ask(&a);
			stack_forget(b);
		}
	dray_context_free(single);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(test_answers),
		box_test(test_one_layer),
		box_test(test_stops),
		box_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
