/* SPDX-License-Identifier: Apache-2.0
 *
 * A cache before a fake registry, on a folder of its own: set up, asked, looked into.
 */
#pragma once

#include "proxy_support.h"

#include <pthread.h>

#define BIG (300 * 1024 + 7) /* bytes: several pieces */

struct setting {
	struct fake up;
	struct shelf *depot, *proxy;
	struct digest big; /* of the bytes called so */
};

static uint8_t big[BIG];

/* Before there are threads: they read these bytes all at once. */
static inline void fill_big(struct setting *g)
{
	dray_error *err = NULL;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 2654435761U >> 13);
	assert_ok(digest_of(span_of(big, sizeof(big)), &g->big, &err), err);
}

static inline void begin_with(struct setting *g, const struct site *t, struct depot_options d,
			      struct proxy_options p)
{
	dray_error *err = NULL;

	fake_init(&g->up);
	fill_big(g);
	d.cache_of = "fake.example";
	g->depot = site_open_with(t, d);
	assert_ok(proxy_open(g->depot, &g->up.base, &p, &g->proxy, &err), err);
}

static inline void begin(struct setting *g, const struct site *t)
{
	begin_with(g, t, (struct depot_options){ 0 }, (struct proxy_options){ 0 });
}

/* The same, and the registry has the big blob. */
static inline void begin_big_with(struct setting *g, const struct site *t, struct depot_options d,
				  struct proxy_options p)
{
	begin_with(g, t, d, p);
	g->up.blobs[0] = span_of(big, sizeof(big));
}

static inline void begin_big(struct setting *g, const struct site *t)
{
	begin_big_with(g, t, (struct depot_options){ 0 }, (struct proxy_options){ 0 });
}

static inline void end(struct setting *g)
{
	shelf_free(g->proxy);
	shelf_free(g->depot);
	fake_clear(&g->up);
}

static inline int asked(const struct setting *g, enum fake_call call)
{
	return atomic_load(&g->up.asked[call]);
}

/* ---- manifests ---- */

static inline int get(struct setting *g, const struct shelf_ref *ref, struct shelf_doc *ret,
		      dray_error **err)
{
	return g->proxy->ops->manifest(g->proxy, "a", ref, true, ret, err);
}

static inline void check_tag(struct setting *g, const char *tag, const char *text, bool stale)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	dray_error *err = NULL;

	assert_ok(get(g, &(struct shelf_ref){ .tag = tag }, &doc, &err), err);
	assert_span_is(span_buf(&doc.bytes), text);
	assert_int_equal(doc.stale, stale);
}

static inline void check_digest(struct setting *g, const char *text)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	const struct shelf_ref ref = { .digest = digest_text_of(text) };
	dray_error *err = NULL;

	assert_ok(get(g, &ref, &doc, &err), err);
	assert_span_is(span_buf(&doc.bytes), text);
	assert_false(doc.stale);
}

/* ---- blobs ---- */

static inline int open_blob(struct setting *g, const char *repo, const struct digest *d,
			    struct shelf_blob *ret, dray_error **err)
{
	*ret = SHELF_BLOB_INIT;
	return g->proxy->ops->blob(g->proxy, repo, d, true, ret, err);
}

/* All that comes of @b from @off on: how much, -1. */
static inline int64_t read_blob(struct shelf_blob *b, int64_t off, dray_error **err)
{
	cleanup_buf struct buf bytes = BUF_INIT(BIG + 1);

	if (b->fd >= 0)
		b->data = source_from_file(steal_fd(&b->fd), b->size, err);
	if (!b->data || source_skip(b->data, off, err) < 0 ||
	    source_slurp(b->data, &bytes, err) < 0)
		return -1;
	assert_span(span_buf(&bytes), span_of(big + off, sizeof(big) - (size_t)off));
	return (int64_t)bytes.len;
}

static inline bool folder_has(struct setting *g, const char *repo, const struct digest *d)
{
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;

	return g->depot->ops->blob(g->depot, repo, d, false, &b, NULL) == 0;
}

/* It was given out; on the disk it may be a moment later. */
static inline void await_kept(struct setting *g, const char *repo, const struct digest *d)
{
	while (!folder_has(g, repo, d))
		sched_yield();
}

static inline size_t uploads_of(const struct site *t)
{
	cleanup_io_names struct io_names names = { 0 };
	dray_error *err = NULL;
	int fd = openat(t->fd, "root/uploads", O_RDONLY | O_DIRECTORY);

	assert_true(fd >= 0);
	assert_ok(io_list(fd, &names, &err), err);
	close(fd);
	return names.n;
}

struct reader {
	struct setting *g;
	pthread_t thread;
	int64_t off, got;
};

static inline void *read_one(void *arg)
{
	struct reader *r = arg;
	struct shelf_blob b;
	dray_error *err = NULL;

	r->got = -1;
	if (open_blob(r->g, "a", &r->g->big, &b, &err) == 0)
		r->got = read_blob(&b, r->off, &err);
	shelf_blob_clear(&b);
	dray_error_free(err);
	return NULL;
}
