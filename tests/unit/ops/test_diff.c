/* SPDX-License-Identifier: Apache-2.0
 *
 * Two images compared, through the public API: what counts, what is read, what fails.
 */
#include "ops_box.h"
#include "torture.h"

#include <dray/diff.h>

/* ---- what a diff says, as text ---- */

static int show_file(void *arg, const struct dray_diff_file *f)
{
	struct buf *out = arg;

	assert_true(f->a || f->b);
	assert_int_equal(f->what == 0, !f->a || !f->b);
	return buf_printf(out, NULL, "%c %s %x\n",
			  !f->a	  ? '+'
			  : !f->b ? '-'
				  : '~',
			  *f->path ? f->path : ".", f->what);
}

static int show(dray_diff *d, struct buf *out, dray_error **err)
{
	for (size_t i = 0; i < dray_diff_members(d); i++) {
		const struct dray_diff_member *m = dray_diff_member(d, i);

		if (buf_printf(out, err, "%s %s|%s\n", m->path, m->a ? m->a : "",
			       m->b ? m->b : "") < 0)
			return -1;
		for (size_t k = 0; k < m->n_only_a; k++)
			if (buf_printf(out, err, " -%s\n", m->only_a[k]) < 0)
				return -1;
		for (size_t k = 0; k < m->n_only_b; k++)
			if (buf_printf(out, err, " +%s\n", m->only_b[k]) < 0)
				return -1;
	}
	for (size_t i = 0; i < dray_diff_layers(d); i++) {
		const struct dray_diff_layer *l = dray_diff_layer(d, i);

		if (buf_printf(out, err, "%s %lld %lld\n", l->change, (long long)l->a.index,
			       (long long)l->b.index) < 0)
			return -1;
	}
	for (size_t i = 0; i < dray_diff_packages(d); i++) {
		const struct dray_diff_package *p = dray_diff_package(d, i);

		if (buf_printf(out, err, "%s %s %s %s|%s\n", p->manager, p->name, p->arch,
			       p->a ? p->a : "", p->b ? p->b : "") < 0)
			return -1;
	}
	return dray_diff_files(d, show_file, out, err);
}

static void assert_diff(struct box *b, const char *x, const char *y,
			const struct dray_diff_options *o, const char *want)
{
	cleanup_buf struct buf got = BUF_INIT(65536);
	struct dray_diff_counts n;
	dray_diff *d = NULL;
	dray_error *err = NULL;

	assert_ok(dray_diff_open(b->ctx, x, y, o, &d, &err), err);
	assert_ok(show(d, &got, &err), err);
	assert_span_is(span_buf(&got), want);
	assert_int_equal(dray_diff_same(d), !*want);
	assert_null(dray_diff_member(d, dray_diff_members(d)));
	assert_null(dray_diff_layer(d, dray_diff_layers(d)));
	assert_null(dray_diff_package(d, dray_diff_packages(d)));
	n = dray_diff_file_counts(d);
	assert_true(n.only_times <= n.changed);
	dray_diff_free(d);
}

/* ---- images ---- */

/* A layer of empty files; times are those of tb_file. */
static struct piece *files(struct box *b, const char *const *names, size_t n)
{
	cleanup_buf struct buf tar = tb_new();
	struct piece *p;

	for (size_t i = 0; i < n; i++)
		tb_file(&tar, names[i], "");
	tb_end(&tar);
	p = box_raw_piece(b, span_buf(&tar));
	box_squeeze(p, ENCODING_GZIP);
	assert_int_equal(digest_of(span_buf(&p->stored), &p->blob, NULL), 0);
	return p;
}

static const char *plain(struct box *b, const char *name, const char *members,
			 struct piece *const *p, size_t n)
{
	const char *config = box_config(b, members, p, n);

	return box_oci(b, name,
		       &(struct oci){ .config = config,
				      .manifest = box_manifest(b, false, "", config, p, n),
				      .p = p,
				      .n = n });
}

/* ---- tests ---- */

static void diff_same(void **state)
{
	struct box *b = *state;
	struct piece *gz = box_piece(b, "one", ENCODING_GZIP);
	struct piece *zst = box_piece(b, "one", ENCODING_ZSTD);
	const char *a = plain(b, "a.tar", "", &gz, 1);

	assert_diff(b, a, a, NULL, "");
	assert_diff(b, a, plain(b, "b.tar", "", &zst, 1), NULL, "");
	assert_diff(b, a, box_docker_plain(b, "c.tar", &gz, 1), NULL, "");
	/* The same in other words: another image ID. */
	assert_diff(b, a, plain(b, "d.tar", " ", &gz, 1), NULL, "");
}

static void diff_config(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "one", ENCODING_GZIP);
	const char *a = plain(b, "a.tar",
			      "\"created\":\"2020-01-01T00:00:00Z\",\"config\":{\"Env\":[\"A=1\","
			      "\"B=1\",\"B=1\"],\"Hostname\":\"\",\"Labels\":{\"x\":\"\"}},",
			      &p, 1);
	const char *c = plain(b, "b.tar",
			      "\"created\":\"2021-01-01T00:00:00Z\",\"config\":{\"Env\":[\"B=1\","
			      "\"A=2\"],\"Cmd\":null,\"Image\":\"sha256:0\"},",
			      &p, 1);
	struct dray_diff_options o = DRAY_DIFF_OPTIONS_INIT;

	assert_diff(b, a, c, NULL,
		    "/created \"2020-01-01T00:00:00Z\"|\"2021-01-01T00:00:00Z\"\n"
		    "/config/Env [\"A=1\",\"B=1\",\"B=1\"]|[\"B=1\",\"A=2\"]\n"
		    " -\"A=1\"\n -\"B=1\"\n +\"A=2\"\n"
		    "/config/Hostname \"\"|\n"
		    "/config/Labels/x \"\"|\n"
		    "/config/Cmd |null\n"
		    "/config/Image |\"sha256:0\"\n");
	o.parts = DRAY_DIFF_LAYERS | DRAY_DIFF_FILES;
	assert_diff(b, a, c, &o, "");
	o.parts = 0;
	o.semantic = true;
	/* An empty label is a label; an empty field is none. */
	assert_diff(b, a, c, &o,
		    "/config/Env [\"A=1\",\"B=1\",\"B=1\"]|[\"B=1\",\"A=2\"]\n"
		    " -\"A=1\"\n -\"B=1\"\n +\"A=2\"\n"
		    "/config/Labels/x \"\"|\n");
}

static void diff_layers(void **state)
{
	struct box *b = *state;
	struct piece *p[] = { box_piece(b, "1", ENCODING_GZIP), box_piece(b, "2", ENCODING_GZIP),
			      box_piece(b, "3", ENCODING_GZIP), box_piece(b, "4", ENCODING_GZIP) };
	struct piece *p013[] = { p[0], p[1], p[3] }, *p023[] = { p[0], p[2], p[3] };
	struct piece *p03[] = { p[0], p[3] }, *p0[] = { p[0] };
	struct dray_diff_options o = DRAY_DIFF_OPTIONS_INIT;
	const char *a = plain(b, "a.tar", "", p013, 3);

	/* The top layer decides what "f" holds. */
	assert_diff(b, a, plain(b, "b.tar", "", p023, 3), NULL, "different 1 1\n");
	assert_diff(b, a, plain(b, "b.tar", "", p03, 2), NULL, "removed 1 -1\n");
	assert_diff(b, plain(b, "b.tar", "", p03, 2), a, NULL, "added -1 1\n");
	assert_diff(b, a, plain(b, "b.tar", "", p0, 1), NULL,
		    "removed 1 -1\nremoved 2 -1\n~ f 2\n");
	assert_diff(b, a, plain(b, "b.tar", "", NULL, 0), NULL,
		    "removed 0 -1\nremoved 1 -1\nremoved 2 -1\n- f 0\n");
	o.semantic = true;
	assert_diff(b, a, plain(b, "b.tar", "", p03, 2), &o, "");
}

static void diff_ignores(void **state)
{
	static const char *const names[] = { "a/b/c", "a/bc", "d", "var/log/x.log", "var/x.log" };
	static const struct {
		const char *pattern, *want;
	} rows[] = {
		{ "nothing", "+ a 0\n+ a/b 0\n+ a/b/c 0\n+ a/bc 0\n+ d 0\n+ var 0\n+ var/log 0\n"
			     "+ var/log/x.log 0\n+ var/x.log 0\n" },
		{ "/a/", "+ d 0\n+ var 0\n+ var/log 0\n+ var/log/x.log 0\n+ var/x.log 0\n" },
		{ "a/b", "+ a 0\n+ a/bc 0\n+ d 0\n+ var 0\n+ var/log 0\n+ var/log/x.log 0\n"
			 "+ var/x.log 0\n" },
		{ "*.log", "+ a 0\n+ a/b 0\n+ a/b/c 0\n+ a/bc 0\n+ d 0\n+ var 0\n+ var/log 0\n" },
		{ "[av]*", "+ d 0\n" },
		{ "*", "" },
	};
	struct box *b = *state;
	struct piece *p = files(b, names, ROWS(names));
	const char *none = plain(b, "a.tar", "", NULL, 0), *all = plain(b, "b.tar", "", &p, 1);
	struct dray_diff_options o = DRAY_DIFF_OPTIONS_INIT;
	dray_diff *d = NULL;
	dray_error *err = NULL;

	o.parts = DRAY_DIFF_FILES;
	o.n_ignore = 1;
	for (size_t i = 0; i < ROWS(rows); i++) {
		o.ignore = &rows[i].pattern;
		assert_diff(b, none, all, &o, rows[i].want);
	}
	o.ignore = (const char *const[]){ "a[b" };
	assert_int_equal(dray_diff_open(b->ctx, none, all, &o, &d, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "--ignore a[b");
	o = (struct dray_diff_options)DRAY_DIFF_OPTIONS_INIT;
	o.parts = DRAY_DIFF_LAYERS;
	o.semantic = true;
	assert_int_equal(dray_diff_open(b->ctx, none, all, &o, &d, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "semantic");
}

/* A layer whose database of apk has packages "NAME VERSION NAME VERSION ...". */
static struct piece *apk(struct box *b, const char *list)
{
	cleanup_buf struct buf tar = tb_new(), db = tb_new();
	char *copy = strdup(list), *save = NULL;
	struct piece *p;

	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save))
		assert_int_equal(buf_printf(&db, NULL, "P:%s\nV:%s\nA:all\n\n", s,
					    strtok_r(NULL, " ", &save)),
				 0);
	tb_file_bytes(&tar, "lib/apk/db/installed", db.data, db.len);
	tb_end(&tar);
	p = box_raw_piece(b, span_buf(&tar));
	tb_bytes(&p->stored, tar.data, tar.len);
	assert_int_equal(digest_of(span_buf(&p->stored), &p->blob, NULL), 0);
	free(copy);
	return p;
}

static void diff_packages(void **state)
{
	static const struct {
		const char *a, *b, *want;
	} rows[] = {
		{ "a 1", "a 1", "" },
		{ "a 1 b 1", "b 1 a 1", "" },
		{ "a 1 b 1", "a 2 c 1", "apk a all 1|2\napk b all 1|\napk c all |1\n" },
		/* Several versions at once: what both have does not count, the rest meets in order. */
		{ "k 1 k 2", "k 2 k 3", "apk k all 1|3\n" },
		{ "k 1 k 2 k 3", "k 2 k 4", "apk k all 1|4\napk k all 3|\n" },
		{ "k 5", "k 1 k 2 l 1", "apk k all 5|1\napk k all |2\napk l all |1\n" },
		{ "a 1 k 1", "b 1 k 2", "apk a all 1|\napk b all |1\napk k all 1|2\n" },
	};
	struct box *b = *state;
	struct dray_diff_options o = DRAY_DIFF_OPTIONS_INIT;

	o.parts = DRAY_DIFF_PACKAGES;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct piece *x = apk(b, rows[i].a), *y = apk(b, rows[i].b);

		assert_diff(b, plain(b, "a.tar", "", &x, 1), plain(b, "b.tar", "", &y, 1), &o,
			    rows[i].want);
	}
}

/* One bit of what lies in the archive. */
static void damage(struct piece *p)
{
	p->stored.data[p->stored.len / 2] ^= 1;
}

/* What both images have is read in A; what both have altogether, not at all. */
static void diff_reads_once(void **state)
{
	struct box *b = *state;
	struct piece *shared = box_piece(b, "shared", ENCODING_GZIP);
	struct piece *one = box_piece(b, "one", ENCODING_GZIP);
	struct piece *pa[] = { shared, one }, *pb[] = { shared };
	const char *a = plain(b, "a.tar", "", pa, 2), *bad, *worse;
	dray_diff *d = NULL;
	dray_error *err = NULL;

	damage(shared);
	bad = plain(b, "b.tar", "", pb, 1);
	assert_diff(b, a, bad, NULL, "removed 1 -1\n~ f 6\n");
	assert_diff(b, bad, bad, NULL, "");
	assert_int_equal(dray_diff_open(b->ctx, bad, a, NULL, &d, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
	damage(one);
	worse = plain(b, "c.tar", "", pa, 2);
	assert_int_equal(dray_diff_open(b->ctx, a, bad, NULL, &d, &err), 0);
	dray_diff_free(d);
	d = NULL;
	assert_int_equal(dray_diff_open(b->ctx, bad, worse, NULL, &d, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
	assert_null(d);
}

/* A manifest vouches for the blob, the config calls it something else: nobody is believed. */
static void diff_holds_diff_ids(void **state)
{
	struct box *b = *state;
	struct piece *one = box_piece(b, "one", ENCODING_GZIP);
	struct piece *two = box_piece(b, "two", ENCODING_GZIP);
	struct piece *both[] = { one, two };
	const char *lie = box_config(b, "", &two, 1);
	const char *a = box_oci(b, "a.tar",
				&(struct oci){ .config = lie,
					       .manifest = box_manifest(b, false, "", lie, &one, 1),
					       .p = &one,
					       .n = 1 });
	const char *c = plain(b, "b.tar", "", both, 2);
	dray_diff *d = NULL;
	dray_error *err = NULL;

	assert_int_equal(dray_diff_open(b->ctx, a, c, NULL, &d, &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "DiffID");
}

struct pair {
	struct box *b;
	const char *a, *c;
	struct buf got;
};

static int again(void *arg, dray_error **err)
{
	struct pair *p = arg;
	dray_diff *d = NULL;
	int rc;

	buf_reset(&p->got);
	if (dray_diff_open(p->b->ctx, p->a, p->c, NULL, &d, err) < 0)
		return -1;
	rc = show(d, &p->got, err);
	if (rc < 0 && !*err)
		err_nomem(err); /* show_file() has nowhere to say it */
	dray_diff_free(d);
	return rc;
}

/* A failing allocation is NOMEM, or it was for a text that nobody asked for: the same answer. */
static void diff_torture(void **state)
{
	static const char *const names[] = { "a/b", "c" }, *const others[] = { "a/b/c", "d" };
	struct box *b = *state;
	struct piece *base = box_piece(b, "base", ENCODING_NONE);
	struct piece *p[] = { base, files(b, names, 2), apk(b, "a 1 b 1") };
	struct piece *q[] = { base, files(b, others, 2), apk(b, "a 2 c 1") };
	struct pair pair = {
		b, plain(b, "a.tar", "\"author\":\"x\",\"config\":{\"Env\":[\"A\",\"B\"]},", p, 3),
		plain(b, "b.tar", "\"author\":\"y\",\"config\":{\"Env\":[\"A\",\"C\"]},", q, 3),
		BUF_INIT(65536)
	};
	bool reached = true;
	dray_error *err = NULL;
	int rc;

	/* All of its memory before the faults begin. */
	assert_ok(buf_reserve(&pair.got, 65536, &err), err);
	assert_ok(again(&pair, &err), err);
	const char *want = arena_strndup(&b->arena, (const char *)pair.got.data, pair.got.len);
	assert_non_null(strstr(want, "/config/Env"));
	assert_non_null(strstr(want, "apk c all |1"));
	assert_non_null(strstr(want, "+ a/b/c"));
	for (uint64_t nth = 1; reached; nth++) {
		assert_true(nth < TORTURE_ROUNDS);
		reached = torture_once(FAULT_ALLOC, nth, 0, again, &pair, &rc, &err);
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
		else
			assert_span_is(span_buf(&pair.got), want);
	}
	buf_clear(&pair.got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(diff_same),	       box_test(diff_config),	box_test(diff_layers),
		box_test(diff_ignores),	       box_test(diff_packages), box_test(diff_reads_once),
		box_test(diff_holds_diff_ids), box_test(diff_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
