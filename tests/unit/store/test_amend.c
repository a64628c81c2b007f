/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of an archive that give way to others: what readers find, where it lies, and what
 * nobody can read any more (reliability A-02, G-01, G-02).
 */
#include "dest_box.h"
#include <errno.h>
#include <fcntl.h>
#include "store/amend.h"
#include "store/superseded.h"
#include "tar_build.h"
#include "torture.h"

#define BIG (AMEND_CARRY_MAX + 1)

/* An archive: "name" is a document of its own name's bytes, "name*" one of many bytes. */
static struct buf make(const char *const *members)
{
	struct buf b = tb_new();

	for (; *members; members++) {
		size_t len = strlen(*members);

		if ((*members)[len - 1] == '*') {
			cleanup_free char *name = mem_strndup(*members, len - 1);
			cleanup_free char *bytes = mem_zalloc(BIG);

			tb_file_bytes(&b, name, bytes, BIG);
		} else {
			tb_file(&b, *members, *members);
		}
	}
	tb_end(&b);
	return b;
}

/* "a b=TEXT " of what readers see, superseded members left out. */
static char *list(const char *path)
{
	cleanup_amend struct amend a = AMEND_INIT;
	cleanup_buf struct buf out = BUF_INIT(4096), text = BUF_INIT(0);
	dray_error *err = NULL;

	assert_ok(amend_open(&a, path, &err), err);
	for (size_t i = 0; i < a.n; i++) {
		const struct amend_member *m = a.list[i];

		if (m->vain)
			continue;
		assert_ok(buf_add(&out, m->name, &err), err);
		if (m->type == TAR_FILE && m->size < 64) {
			assert_ok(amend_read(&a, m, 64, &text, &err), err);
			if (!span_eq(span_buf(&text), m->name)) {
				assert_ok(buf_add_byte(&out, '=', &err), err);
				assert_ok(buf_add(&out, span_buf(&text), &err), err);
			}
		}
		assert_ok(buf_add_byte(&out, ' ', &err), err);
	}
	return buf_steal_str(&out, &err);
}

struct row {
	const char *members[10];
	const char *documents[4]; /* get the text "new" */
	const char *dropped[3];
	const char *put; /* a file with its name's bytes; NULL */
	bool anew;
	const char *want;
};

static int run(const struct row *r, const char *path, struct amend_result *done, dray_error **err)
{
	cleanup_amend struct amend a = AMEND_INIT;

	if (amend_open(&a, path, err) < 0)
		return -1;
	for (size_t i = 0; r->documents[i]; i++)
		if (amend_put_document(&a, r->documents[i], SPAN_LIT("new"), err) < 0)
			return -1;
	if (r->put && amend_put(&a, r->put, span_str(r->put), err) < 0)
		return -1;
	for (size_t i = 0; r->dropped[i]; i++)
		amend_drop(&a, span_str(r->dropped[i]));
	return amend_commit(&a, done, err);
}

static const struct row rows[] = {
	/* At the end, as nearly all writers put them. */
	{ { "old.json", "layer*", "m", "r" },
	  { "m", "r" },
	  { "old.json" },
	  "new.json",
	  false,
	  "layer m=new r=new new.json " },
	/* What lies between and behind is carried along. */
	{ { "layer*", "i", "x", "m", "o", "y" },
	  { "i", "m" },
	  { NULL },
	  NULL,
	  false,
	  "layer x o y i=new m=new " },
	/* One of two changes: the other stays where it is, or is carried. */
	{ { "layer*", "i", "m" }, { "m" }, { NULL }, NULL, false, "layer i m=new " },
	{ { "layer*", "i", "m" }, { "i" }, { NULL }, NULL, false, "layer m i=new " },
	/* A layer behind a document. */
	{ { "i", "layer*", "m" }, { "i", "m" }, { NULL }, NULL, true, "layer i=new m=new " },
	{ { "i", "m", "old", "layer*" }, { "m" }, { "old" }, "n", true, "i layer m=new n " },
	/* What has to go and lies in the end goes with it. */
	{ { "layer*", "old", "m" }, { "m" }, { "old" }, NULL, false, "layer m=new " },
	/* Something of that name and content is there. */
	{ { "x", "layer*", "m" }, { "m" }, { NULL }, "x", false, "x layer m=new " },
	/* What was superseded before has room for all, or for nothing. */
	{ { "layer*", "superseded-40400*", "superseded-80800", "i", "x", "m" },
	  { "i", "m" },
	  { "x" },
	  "n",
	  false,
	  "layer i=new m=new n " },
	{ { "layer*", "superseded-40400", "i", "m" },
	  { "i", "m" },
	  { NULL },
	  NULL,
	  false,
	  "layer i=new m=new " },
	/* A name that only begins so, or tells another place, is somebody's. */
	{ { "superseded-x/layer.tar", "superseded-1", "superseded-pending", "superseded-0a00",
	    "m" },
	  { "m" },
	  { NULL },
	  NULL,
	  false,
	  "superseded-x/layer.tar superseded-1 superseded-pending superseded-0a00 m=new " },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_place struct place p = place_make("a.tar");
		cleanup_buf struct buf b = make(rows[i].members), after = BUF_INIT(0);
		struct amend_result done;
		dray_error *err = NULL;

		put_file(p.fd, "a.tar", span_buf(&b));
		assert_ok(run(&rows[i], p.path, &done, &err), err);
		assert_int_equal(done.anew, rows[i].anew);
		if (!done.anew)
			assert_true(done.written < 64 * 1024);
		cleanup_free char *got = list(p.path);
		assert_string_equal(got, rows[i].want);
		assert_int_equal(dir_count(p.fd), 1);
		/* What went leaves no byte: all old documents hold their names. */
		slurp(p.fd, "a.tar", &after);
		for (size_t k = 0; rows[i].dropped[k]; k++)
			assert_null(memmem(after.data, after.len, rows[i].dropped[k],
					   strlen(rows[i].dropped[k])));
	}
}

/* Again and again: every second time what is new takes the room of what was superseded. */
static void test_again(void **state)
{
	static const struct row grows = { .documents = { "m", "r" },
					  .dropped = { "old.json" },
					  .put = "new.json" };
	cleanup_place struct place p = place_make("a.tar");
	cleanup_buf struct buf b = make(rows[0].members), after = BUF_INIT(0);
	struct amend_result done;
	dray_error *err = NULL;

	(void)state;
	put_file(p.fd, "a.tar", span_buf(&b));
	for (int i = 0; i < 50; i++) {
		assert_ok(run(&grows, p.path, &done, &err), err);
		cleanup_free char *got = list(p.path);
		assert_string_equal(got, i == 0 ? "layer m=new r=new new.json "
						: "layer new.json m=new r=new ");
		slurp(p.fd, "a.tar", &after);
		assert_true(after.len <= b.len + 3 * 6 * TAR_BLOCK);
	}
}

/* Named so by chance or design, but a document or a link leads there. */
static void test_kept(void **state)
{
	static const char *const members[] = { "layer*", "superseded-40400*", "m", NULL };
	static const struct {
		const char *path;
		bool drop, stays;
	} cases[] = {
		{ "superseded-0", false, false },
		{ "superseded-40400", false, true },
		{ "./x/../superseded-40400/.", false, true },
		{ "folder/superseded-40400", false, true },
		{ "superseded-40400", true, false }, /* such a config goes as others do */
	};

	(void)state;
	for (size_t i = 0; i < 2 * ROWS(cases); i++) {
		bool link = i % 2;
		cleanup_place struct place p = place_make("a.tar");
		cleanup_buf struct buf b = tb_new(), rest = make(members), after = BUF_INIT(0);
		cleanup_amend struct amend a = AMEND_INIT;
		struct span old = span_from(span_buf(&rest), 0x40400);
		struct amend_result done;
		dray_error *err = NULL;

		tb_bytes(&b, rest.data, rest.len - END_BLOCKS);
		if (link)
			tb_symlink(&b, "l", cases[i / 2].path);
		tb_end(&b);
		put_file(p.fd, "a.tar", span_buf(&b));
		assert_ok(amend_open(&a, p.path, &err), err);
		if (!link)
			amend_keep(&a, span_str(cases[i / 2].path));
		assert_ok(amend_put_document(&a, "m", SPAN_LIT("new"), &err), err);
		if (cases[i / 2].drop)
			amend_drop(&a, SPAN_LIT("superseded-40400"));
		assert_ok(amend_commit(&a, &done, &err), err);
		slurp(p.fd, "a.tar", &after);
		/* As room it takes what is new. */
		assert_int_equal(
			span_starts(span_from(span_buf(&after), 0x40400), "superseded-40400"),
			cases[i / 2].stays || cases[i / 2].drop);
		assert_int_equal(after.len > 0x80000, cases[i / 2].stays || cases[i / 2].drop);
		if (cases[i / 2].stays)
			assert_memory_equal(after.data + 0x40400, old.data, 0x40400);
	}
}

/* A hostile list may name what has thousands of twins a million times: they are walked once. */
static void test_walked_once(void **state)
{
	static const char *const members[] = { "layer*", "x", "x", "x", "m", NULL };
	cleanup_place struct place p = place_make("a.tar");
	cleanup_buf struct buf b = make(members);
	cleanup_amend struct amend a = AMEND_INIT;
	struct amend_member *last;
	dray_error *err = NULL;

	(void)state;
	put_file(p.fd, "a.tar", span_buf(&b));
	assert_ok(amend_open(&a, p.path, &err), err);
	last = amend_find(&a, SPAN_LIT("x"));
	for (struct amend_member *m = last; m; m = m->twin)
		m->vain = true;
	amend_keep(&a, SPAN_LIT("y/x"));
	for (struct amend_member *m = last; m; m = m->twin)
		assert_false(m->vain);
	/* Whoever looked at this one again would let it stay. */
	last->twin->twin->vain = true;
	amend_keep(&a, SPAN_LIT("x/x"));
	assert_true(last->twin->twin->vain);
	/* Nor are those of a config that thousands of images have dropped for each of them. */
	amend_drop(&a, SPAN_LIT("x"));
	for (struct amend_member *m = last; m; m = m->twin)
		assert_true(m->goes && !m->vain);
	last->twin->twin->goes = false;
	amend_drop(&a, SPAN_LIT("x"));
	assert_false(last->twin->twin->goes);
}

static void refused(const char *const *members, const struct row *r, enum dray_err_kind kind,
		    const char *why)
{
	cleanup_place struct place p = place_make("a.tar");
	cleanup_buf struct buf b = make(members), after = BUF_INIT(0);
	struct amend_result done;
	dray_error *err = NULL;

	put_file(p.fd, "a.tar", span_buf(&b));
	assert_int_equal(run(r, p.path, &done, &err), -1);
	assert_err(err, kind, why);
	slurp(p.fd, "a.tar", &after);
	assert_true(span_eq(span_buf(&b), span_buf(&after)));
}

static void test_refused(void **state)
{
	static const struct row doc = { .documents = { "m" } };
	static const struct row twin = { .documents = { "m" }, .put = "big" };

	(void)state;
	refused((const char *const[]){ "m", "m", NULL }, &doc, DRAY_ERR_FORMAT, "twice");
	refused((const char *const[]){ "big*", "m", NULL }, &twin, DRAY_ERR_FORMAT,
		"with other content");
}

/* ---- behind the end ---- */

static void add_pending(struct buf *b)
{
	dray_error *err = NULL;
	const struct tar_member m = { .type = TAR_FILE,
				      .mode = 0644,
				      .name = SPAN_LIT(SUPERSEDED_PENDING) };

	assert_ok(tar_header_write(&m, b, &err), err);
}

static void add_zeros(struct buf *b, size_t n)
{
	cleanup_free char *zeros = mem_zalloc(n);
	dray_error *err = NULL;

	assert_ok(buf_add(b, span_of(zeros, n), &err), err);
}

/* What somebody put there stays; zeros and what a killed run left may go. */
static void behind(const struct row *r, void (*add)(struct buf *b), bool taken)
{
	cleanup_place struct place p = place_make("a.tar");
	cleanup_buf struct buf b = make(r->members), after = BUF_INIT(0);
	struct amend_result done;
	dray_error *err = NULL;

	add(&b);
	put_file(p.fd, "a.tar", span_buf(&b));
	if (taken) {
		assert_ok(run(r, p.path, &done, &err), err);
		cleanup_free char *got = list(p.path);
		assert_string_equal(got, r->want);
		return;
	}
	assert_int_equal(run(r, p.path, &done, &err), -1);
	assert_err(err, DRAY_ERR_UNSUPPORTED, "data behind the end");
	slurp(p.fd, "a.tar", &after);
	assert_true(span_eq(span_buf(&b), span_buf(&after)));
}

static void padding(struct buf *b)
{
	add_zeros(b, 20 * KIB);
}

static void left_by_a_kill(struct buf *b)
{
	add_pending(b);
	tb_file(b, "m", "half of it");
}

static void another_archive(struct buf *b)
{
	tb_file(b, "m", "somebody's");
	tb_end(b);
}

static void another_archive_far_off(struct buf *b)
{
	add_zeros(b, 33 * KIB);
	another_archive(b);
}

static void last_byte(struct buf *b)
{
	dray_error *err = NULL;

	add_zeros(b, 33 * KIB);
	assert_ok(buf_add_byte(b, 1, &err), err);
}

static void pending_far_off(struct buf *b)
{
	add_zeros(b, TAR_BLOCK);
	left_by_a_kill(b);
}

static void test_behind(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i += 4) { /* in place, and anew */
		behind(&rows[i], padding, true);
		behind(&rows[i], left_by_a_kill, true);
		behind(&rows[i], another_archive, false);
		behind(&rows[i], another_archive_far_off, false);
		behind(&rows[i], last_byte, false);
		behind(&rows[i], pending_far_off, false);
	}
}

/* A symbolic link stays one, and what it leads to is edited. */
static void test_link(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i += 4) {
		cleanup_place struct place p = place_make("link.tar");
		cleanup_buf struct buf b = make(rows[i].members);
		struct amend_result done;
		dray_error *err = NULL;
		struct stat st;

		put_file(p.fd, "real.tar", span_buf(&b));
		assert_ok(io_symlinkat("real.tar", p.fd, "link.tar", &err), err);
		assert_ok(run(&rows[i], p.path, &done, &err), err);
		assert_ok(io_fstatat(p.fd, "link.tar", AT_SYMLINK_NOFOLLOW, &st, &err), err);
		assert_true(S_ISLNK(st.st_mode));
		cleanup_free char *got = list(p.path);
		assert_string_equal(got, rows[i].want);
		assert_int_equal(dir_count(p.fd), 2);
	}
}

/* What was put is there: once more is nothing to do, and other content a mistake. */
static void test_put_twice(void **state)
{
	cleanup_place struct place p = place_make("a.tar");
	cleanup_buf struct buf b = make(
		(const char *const[]){ "layer*", "t", "t", "m", "old", NULL });
	cleanup_amend struct amend a = AMEND_INIT;
	struct amend_result done;
	dray_error *err = NULL;

	(void)state;
	put_file(p.fd, "a.tar", span_buf(&b));
	assert_ok(amend_open(&a, p.path, &err), err);
	assert_ok(amend_put_document(&a, "m", SPAN_LIT("new"), &err), err);
	for (int i = 0; i < 2; i++) {
		assert_ok(amend_put(&a, "file", SPAN_LIT("x"), &err), err);
		assert_ok(amend_put(&a, "./file", SPAN_LIT("x"), &err), err);
		assert_ok(amend_put_link(&a, "link", SPAN_LIT("x"), &err), err);
		assert_ok(amend_put_folder(&a, "folder/", &err), err);
	}
	assert_true(span_is(amend_fresh(&a, SPAN_LIT("file")), "x"));
	assert_int_equal(amend_put(&a, "file", SPAN_LIT("y"), &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "file: it is there already, with other content");
	err = NULL;
	assert_int_equal(amend_put_link(&a, "file", SPAN_LIT("x"), &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "with other content");
	err = NULL;
	assert_int_equal(amend_put_link(&a, "link", SPAN_LIT("y"), &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "with other content");
	err = NULL;
	assert_int_equal(amend_put_folder(&a, "old", &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "with other content");
	err = NULL;
	assert_int_equal(amend_put(&a, "t", SPAN_LIT("t"), &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "t: it is there twice");
	err = NULL;
	assert_ok(amend_commit(&a, &done, &err), err);
	amend_clear(&a);
	a = AMEND_INIT;
	cleanup_free char *got = list(p.path);
	assert_string_equal(got, "layer t t old m=new file=x link folder ");
}

static void test_nothing(void **state)
{
	static const struct row none = { .put = "m" };
	cleanup_place struct place p = place_make("a.tar");
	cleanup_buf struct buf b = make((const char *const[]){ "m", NULL }), after = BUF_INIT(0);
	struct amend_result done;
	dray_error *err = NULL;

	(void)state;
	put_file(p.fd, "a.tar", span_buf(&b));
	assert_ok(run(&none, p.path, &done, &err), err);
	assert_int_equal(done.written, 0);
	slurp(p.fd, "a.tar", &after);
	assert_true(span_eq(span_buf(&b), span_buf(&after)));
}

/* ---- when the machine fails ---- */

struct failing {
	const struct row *row;
	struct buf tar;
	struct place *p;
};

static int fail_once(void *arg, dray_error **err)
{
	struct failing *f = arg;
	struct amend_result done;

	put_file(f->p->fd, "a.tar", span_buf(&f->tar));
	return run(f->row, f->p->path, &done, err);
}

/* Whatever failed: all documents are the old ones, or all are the new ones. */
static void check_whole(void *arg, bool failed)
{
	const struct failing *f = arg;
	cleanup_free char *got = list(f->p->path);
	size_t fresh = 0, documents = 0;

	for (const char *at = strstr(got, "=new "); at; at = strstr(at + 1, "=new "))
		fresh++;
	while (f->row->documents[documents])
		documents++;
	if (!failed)
		assert_string_equal(got, f->row->want);
	else
		assert_true(fresh == 0 || fresh == documents);
	assert_int_equal(dir_count(f->p->fd), 1);
}

static void test_torture(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i += 4) { /* in place, and anew */
		cleanup_place struct place p = place_make("a.tar");
		struct failing f = { .row = &rows[i], .tar = make(rows[i].members), .p = &p };

		if (!rows[i].anew) /* else temps of killed runs are looked for, as far as there is memory */
			torture_alloc(fail_once, &f);
		torture_io(fail_once, &f, ENOSPC, check_whole);
		buf_clear(&f.tar);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	  cmocka_unit_test(test_again),
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_put_twice), cmocka_unit_test(test_behind),
		cmocka_unit_test(test_link),	  cmocka_unit_test(test_torture),
		cmocka_unit_test(test_kept),	  cmocka_unit_test(test_walked_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
