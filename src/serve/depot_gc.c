/* SPDX-License-Identifier: Apache-2.0
 *
 * For: removing what nothing needs any more, while requests go on.
 * Relies on: links, which tell who may still use a blob, and since when nobody asked.
 * Promises: nothing goes that a manifest needs or that somebody was told of within the grace
 * a file goes after its row, so a kill leaves a file too many, never one too few. In a
 * cache manifests need nothing, and all goes that nobody used for as long as it is to be kept.
 *
 * It goes through the tables by windows, and holds the writer's lock for one at a time.
 */
#include "serve/depot_priv.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/cancel.h"
#include "base/io.h"
#include "base/mem.h"

#define WINDOW 500 /* rows of a table that are looked at, and perhaps removed, at once */

struct gc {
	struct depot *d;
	const struct depot_gc *o;
	struct depot_collected *ret;
	int64_t cutoff;		     /* seconds; what was seen before that may go */
	enum depot_query find, drop; /* manifests that may */
};

/* A row of some window; what the numbers mean is each pass's own. */
struct gc_row {
	int64_t a, b, c;
	bool kept;
	struct digest digest;
};
struct gc_window {
	struct gc_row row[WINDOW];
	size_t n;
};

/* ---- a dry run is one transaction that is undone ---- */

static int gc_begin(struct gc *g, dray_error **err)
{
	return g->o->dry_run ? 0 : depot_begin(g->d, err);
}

static int gc_abort(struct gc *g)
{
	return g->o->dry_run ? -1 : depot_abort(g->d);
}

static int gc_commit(struct gc *g, dray_error **err)
{
	return g->o->dry_run ? 0 : depot_commit(g->d, err);
}

/* ---- windows ---- */

typedef int read_row_fn(struct db_stmt *st, struct gc_row *ret, dray_error **err);

static int read_window(struct depot_side *side, enum depot_query q, const int64_t *n, size_t len,
		       read_row_fn *read_row, struct gc_window *ret, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(side, q, err);
	int rc;

	ret->n = 0;
	if (!st)
		return -1;
	for (size_t i = 0; i < len; i++)
		db_bind_int(st, (int)i + 1, n[i]);
	db_bind_int(st, (int)len + 1, WINDOW);
	while ((rc = db_step(st, err)) > 0 && ret->n < WINDOW)
		if (read_row(st, &ret->row[ret->n++], err) < 0)
			return -1;
	return rc;
}

/* The next window: how many rows, 0 = the end, -1. */
static int window(struct gc *g, enum depot_query q, const int64_t *n, size_t len,
		  read_row_fn *read_row, struct gc_window *ret, dray_error **err)
{
	struct depot_side *side = g->o->dry_run ? &g->d->writer : &g->d->reader;
	int rc;

	if (cancel_check(err) < 0)
		return -1;
	if (!g->o->dry_run)
		lock_take(side->lock);
	rc = read_window(side, q, n, len, read_row, ret, err);
	if (!g->o->dry_run)
		lock_drop(side->lock);
	return rc < 0 ? -1 : (int)ret->n;
}

/* Run @p q, which removes at most one row: 1, 0, -1. */
static int remove_row(struct gc *g, enum depot_query q, const int64_t *n, size_t len,
		      dray_error **err)
{
	int64_t before = db_changed(g->d->writer.db);

	if (side_run(&g->d->writer, q, n, len, err) < 0)
		return -1;
	return db_changed(g->d->writer.db) > before;
}

/* ---- manifests that nothing leads to, or of a cache those that nobody used ---- */

static int read_loose(struct db_stmt *st, struct gc_row *ret, dray_error **err)
{
	(void)err;
	*ret = (struct gc_row){ .a = db_column_int(st, 0), .b = db_column_int(st, 1) };
	return 0;
}

/* Its blobs have their grace from here on. */
static int remove_loose(struct gc *g, const struct gc_row *r, int64_t *bytes, dray_error **err)
{
	int64_t now = depot_now(g->d);
	int rc;

	if (side_run(&g->d->writer, Q_LINK_LET_GO, (int64_t[]){ r->a, now }, 2, err) < 0)
		return -1;
	rc = remove_row(g, g->drop, (int64_t[]){ g->cutoff, r->a }, 2, err);
	if (rc > 0) {
		g->ret->manifests++;
		*bytes += r->b;
	}
	return rc;
}

static int remove_loose_window(struct gc *g, const struct gc_window *w, dray_error **err)
{
	int64_t bytes = 0;

	if (gc_begin(g, err) < 0)
		return -1;
	for (size_t i = 0; i < w->n; i++)
		if (remove_loose(g, &w->row[i], &bytes, err) < 0)
			return gc_abort(g);
	if (gc_commit(g, err) < 0)
		return -1;
	if (!g->o->dry_run)
		depot_give_space(g->d, bytes);
	return 0;
}

/* From the start again until there is none: what goes may have been what another stood on. */
static int collect_manifests(struct gc *g, struct gc_window *w, dray_error **err)
{
	int64_t before;

	do {
		int64_t last = 0;
		int n;

		before = g->ret->manifests;
		while ((n = window(g, g->find, (int64_t[]){ g->cutoff, last }, 2, read_loose, w,
				   err)) > 0) {
			last = w->row[n - 1].a;
			if (remove_loose_window(g, w, err) < 0)
				return -1;
		}
		if (n < 0)
			return -1;
	} while (g->ret->manifests > before);
	return 0;
}

/* ---- links that nobody used ---- */

static int read_link(struct db_stmt *st, struct gc_row *ret, dray_error **err)
{
	(void)err;
	*ret = (struct gc_row){ .a = db_column_int(st, 0),
				.b = db_column_int(st, 1),
				.c = db_column_int(st, 2),
				.kept = db_column_int(st, 3) != 0 };
	return 0;
}

static int expire_links(struct gc *g, const struct gc_window *w, dray_error **err)
{
	if (gc_begin(g, err) < 0)
		return -1;
	for (size_t i = 0; i < w->n; i++) {
		const struct gc_row *r = &w->row[i];

		/* It is looked at again: since the window was read somebody may have come. */
		if (!r->kept && r->c <= g->cutoff &&
		    side_run(&g->d->writer, Q_LINK_EXPIRE, (int64_t[]){ r->a, r->b, g->cutoff }, 3,
			     err) < 0)
			return gc_abort(g);
	}
	return gc_commit(g, err);
}

static bool any_to_go(const struct gc_window *w, int64_t cutoff)
{
	bool any = false;

	for (size_t i = 0; i < w->n; i++)
		any |= !w->row[i].kept && w->row[i].c <= cutoff;
	return any;
}

static int collect_links(struct gc *g, struct gc_window *w, dray_error **err)
{
	int64_t repo = 0, blob = 0;
	int n;

	while ((n = window(g, Q_LINK_WINDOW, (int64_t[]){ repo, blob }, 2, read_link, w, err)) >
	       0) {
		repo = w->row[n - 1].a;
		blob = w->row[n - 1].b;
		if (any_to_go(w, g->cutoff) && expire_links(g, w, err) < 0)
			return -1;
	}
	return n;
}

/* ---- blobs that no repository has ---- */

static int read_blob(struct db_stmt *st, struct gc_row *ret, dray_error **err)
{
	*ret = (struct gc_row){ .a = db_column_int(st, 0),
				.b = db_column_int(st, 2),
				.kept = db_column_int(st, 3) != 0 };
	return digest_parse(db_column_text(st, 1), &ret->digest, err);
}

/* In the transaction; a blob that stays is marked so. */
static int drop_rows(struct gc *g, struct gc_window *w, dray_error **err)
{
	for (size_t i = 0; i < w->n; i++) {
		struct gc_row *r = &w->row[i];
		int rc = r->kept ? 0 : remove_row(g, Q_BLOB_DROP, &r->a, 1, err);

		if (rc < 0)
			return -1;
		r->kept = rc == 0;
	}
	return 0;
}

static void count_blobs(struct gc *g, const struct gc_window *w)
{
	for (size_t i = 0; i < w->n; i++) {
		*(w->row[i].kept ? &g->ret->kept : &g->ret->blobs) += 1;
		*(w->row[i].kept ? &g->ret->kept_bytes : &g->ret->bytes) += w->row[i].b;
	}
}

static void unlink_blobs(struct gc *g, const struct gc_window *w)
{
	for (size_t i = 0; i < w->n; i++) {
		char path[BLOB_PATH];

		if (w->row[i].kept)
			continue;
		depot_blob_path(&w->row[i].digest, path);
		/* One that stays is a stray to the next run. */
		(void)!io_unlinkat(g->d->blobs, path, NULL);
		depot_give_space(g->d, w->row[i].b);
	}
}

static int remove_blobs(struct gc *g, struct gc_window *w, dray_error **err)
{
	int rc;

	if (g->o->dry_run)
		return drop_rows(g, w, err);
	if (depot_begin(g->d, err) < 0)
		return -1;
	if (drop_rows(g, w, err) < 0)
		return depot_abort(g->d);
	rc = db_commit(g->d->writer.db, err);
	/* Before the lock goes: nobody may have brought the blob again meanwhile. */
	if (rc == 0)
		unlink_blobs(g, w);
	lock_drop(g->d->writer.lock);
	return rc;
}

static int collect_blobs(struct gc *g, struct gc_window *w, dray_error **err)
{
	int64_t last = 0;
	int n;

	while ((n = window(g, Q_BLOB_WINDOW, &last, 1, read_blob, w, err)) > 0) {
		bool all_kept = true;

		last = w->row[n - 1].a;
		for (int i = 0; i < n; i++)
			all_kept &= w->row[i].kept;
		if (!all_kept && remove_blobs(g, w, err) < 0)
			return -1;
		count_blobs(g, w);
	}
	return n;
}

/* ---- files that the database does not know ---- */

/* 1, 0, -1. */
static int known(struct depot_side *side, const struct digest *digest, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(side, Q_BLOB_FIND, err);

	if (!st)
		return -1;
	db_bind_text(st, 1, span_str(digest->text));
	return db_step(st, err);
}

static int remove_stray(struct gc *g, int folder, const struct digest *digest, dray_error **err)
{
	const char *hex = digest_hex(digest);
	struct stat st;
	int rc = known(&g->d->writer, digest, err);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (io_fstatat(folder, hex, AT_SYMLINK_NOFOLLOW, &st, err) < 0)
		return -1;
	g->ret->strays++;
	g->ret->stray_bytes += st.st_size;
	return g->o->dry_run ? 0 : io_unlinkat(folder, hex, err);
}

/* A blob has its name before it has its row: under the writer's lock it has both or none. */
static int look_at(struct gc *g, int folder, const struct digest *digest, dray_error **err)
{
	int rc;

	if (cancel_check(err) < 0)
		return -1;
	/* In a dry run the reader knows the rows that the writer has taken away for the while. */
	lock_take(g->d->reader.lock);
	rc = known(&g->d->reader, digest, err);
	lock_drop(g->d->reader.lock);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (g->o->dry_run)
		return remove_stray(g, folder, digest, err);
	lock_take(g->d->writer.lock);
	rc = remove_stray(g, folder, digest, err);
	lock_drop(g->d->writer.lock);
	return rc;
}

static int look_into(struct gc *g, const char *algo, int parent, const char *name, dray_error **err)
{
	cleanup_io_names struct io_names files = { 0 };
	cleanup_fd int folder = io_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
					  err);

	if (folder < 0 || io_list(folder, &files, err) < 0)
		return -1;
	for (size_t i = 0; i < files.n; i++) {
		struct digest digest;
		char text[DIGEST_TEXT];

		snprintf(text, sizeof(text), "%s:%s", algo, files.list[i]);
		/* What is no blob by its name is none of ours. */
		if (digest_parse(span_str(text), &digest, NULL) == 0 &&
		    look_at(g, folder, &digest, err) < 0)
			return -1;
	}
	return 0;
}

static int collect_strays(struct gc *g, const char *algo, dray_error **err)
{
	cleanup_io_names struct io_names folders = { 0 };
	cleanup_fd int fd = io_openat(g->d->blobs, algo, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
				      err);

	if (fd < 0 || io_list(fd, &folders, err) < 0)
		return -1;
	for (size_t i = 0; i < folders.n; i++)
		if (look_into(g, algo, fd, folders.list[i], err) < 0)
			return -1;
	return 0;
}

/* ---- all of it ---- */

static int collect_all(struct gc *g, struct gc_window *w, dray_error **err)
{
	if ((g->o->untagged || g->d->cache) && collect_manifests(g, w, err) < 0)
		return -1;
	if (collect_links(g, w, err) < 0 || collect_blobs(g, w, err) < 0 ||
	    collect_strays(g, "sha256", err) < 0 || collect_strays(g, "sha512", err) < 0)
		return -1;
	if (gc_begin(g, err) < 0)
		return -1;
	if (side_run(&g->d->writer, Q_REPO_TIDY, NULL, 0, err) < 0)
		return gc_abort(g);
	return gc_commit(g, err);
}

static int collect_dry(struct gc *g, struct gc_window *w, dray_error **err)
{
	int rc;

	if (depot_begin(g->d, err) < 0)
		return -1;
	rc = collect_all(g, w, err);
	depot_abort(g->d);
	return rc;
}

static void count_run(struct depot *d, const struct depot_collected *got)
{
	lock_take(d->sessions.lock);
	d->collected.runs++;
	d->collected.blobs += got->blobs;
	d->collected.bytes += got->bytes;
	lock_drop(d->sessions.lock);
}

static struct gc gc_of(struct depot *d, const struct depot_gc *o, int64_t cutoff,
		       struct depot_collected *ret)
{
	return (struct gc){
		.d = d,
		.o = o,
		.ret = ret,
		.cutoff = cutoff,
		.find = d->cache ? Q_MANIFEST_OLD : Q_MANIFEST_LOOSE,
		.drop = d->cache ? Q_MANIFEST_OLD_DROP : Q_MANIFEST_LOOSE_DROP,
	};
}

int depot_expire(struct depot *d, int64_t cutoff, dray_error **err)
{
	const struct depot_gc o = { 0 };
	struct depot_collected got = { 0 };
	struct gc g = gc_of(d, &o, cutoff, &got);
	cleanup_free struct gc_window *w = mem_alloc(sizeof(*w));

	if (!w)
		return err_nomem(err);
	if (collect_manifests(&g, w, err) < 0 || collect_links(&g, w, err) < 0)
		return -1;
	return collect_blobs(&g, w, err);
}

/* What was last used, or seen, before that may go. */
static int64_t cutoff_of(const struct depot *d, const struct depot_gc *o)
{
	int64_t now = depot_now(d);

	if (d->cache)
		return d->o.cache_keep ? now - d->o.cache_keep : INT64_MIN;
	return o->grace ? now - o->grace - DEPOT_TOUCH_AFTER : now;
}

int depot_collect(struct shelf *s, const struct depot_gc *o, struct depot_collected *ret,
		  dray_error **err)
{
	struct depot *d = depot_of(s);
	struct depot_collected got = { 0 };
	struct gc g = gc_of(d, o, cutoff_of(d, o), &got);
	cleanup_free struct gc_window *w = mem_alloc(sizeof(*w));

	if (!w)
		return err_nomem(err);
	sessions_expire(d);
	if ((o->dry_run ? collect_dry(&g, w, err) : collect_all(&g, w, err)) < 0)
		return -1;
	if (!o->dry_run)
		count_run(d, &got);
	*ret = got;
	return 0;
}
