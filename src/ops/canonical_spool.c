/* SPDX-License-Identifier: Apache-2.0
 *
 * For: layers that wait because their size stands before their bytes, or because they pass early.
 * Relies on: io_tempfile() for files that no crash leaves behind.
 * Promises: each layer is decoded once, proven before it counts; space for no more than all of them.
 */
#include <inttypes.h>

#include "base/io.h"
#include "base/mem.h"
#include "ops/canonical_priv.h"

/* ---- the files ---- */

int spool_init(struct spool *s, const char *dir, dray_error **err)
{
	*s = (struct spool){ .dir = dir, .lock = lock_new(err) };
	return s->lock ? 0 : -1;
}

struct spool_file *spool_take(struct spool *s, dray_error **err)
{
	struct spool_file *f;

	lock_take(s->lock);
	f = s->idle;
	if (f)
		s->idle = f->next;
	lock_drop(s->lock);
	if (f)
		return f;
	f = mem_zalloc(sizeof(*f));
	if (!f) {
		err_nomem(err);
		return NULL;
	}
	f->fd = io_tempfile(s->dir, err);
	if (f->fd >= 0)
		return f;
	err_ctx(err, "temporary file");
	/* Nobody named it to be found. */
	if (err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND)
		err_rekind(err, DRAY_ERR_SYSTEM);
	mem_free(f);
	return NULL;
}

void spool_give(struct spool *s, struct spool_file *f, int64_t kept)
{
	f->end += kept;
	lock_take(s->lock);
	s->bytes += kept;
	f->next = s->idle;
	s->idle = f;
	lock_drop(s->lock);
}

void spool_clear(struct spool *s)
{
	while (s->idle) {
		struct spool_file *f = s->idle;

		s->idle = f->next;
		cleanup_fd_fn(&f->fd);
		mem_free(f);
	}
	lock_free(s->lock);
	*s = (struct spool){ 0 };
}

/* ---- layers of places with random access ---- */

static int fill(struct canonical_run *r, struct canonical_layer *l, struct canonical_meter *m,
		struct spool_file *f, dray_error **err)
{
	cleanup_source struct source *s = canonical_open_layer(r, l, m, err);
	cleanup_sink struct sink *k = sink_to_extent(f->fd, f->end, INT64_MAX - f->end, err);
	struct held *h = &r->held[l->number];

	if (!s || !k || pump(s, k, err) < 0)
		return -1;
	*h = (struct held){ .here = true, .fd = f->fd, .off = f->end, .size = k->pos };
	l->size = h->size;
	return 0;
}

int canonical_spool_layer(struct canonical_run *r, struct canonical_layer *l, dray_error **err)
{
	struct spool_file *f = spool_take(&r->spool, err);
	struct canonical_meter m;
	int rc;

	if (!f)
		return -1;
	canonical_meter_begin(&m, r, l);
	l->size = -1;
	rc = fill(r, l, &m, f, err);
	canonical_meter_end(&m, rc < 0);
	spool_give(&r->spool, f, rc < 0 ? 0 : r->held[l->number].size);
	return rc;
}

/* ---- layers that pass ---- */

static int remember(struct canonical_run *r, const struct blob_facts *facts, struct spool_file *f,
		    int64_t *ret_kept, dray_error **err)
{
	struct held *h;

	*ret_kept = 0;
	if (!digest_set(&facts->diff_id) || map_find(&r->passed, span_str(facts->diff_id.text)))
		return 0;
	h = arena_alloc(&r->arena, sizeof(*h));
	const char *key = h ? arena_strdup(&r->arena, facts->diff_id.text) : NULL;
	if (!key)
		return err_nomem(err);
	*h = (struct held){ .here = true, .fd = f->fd, .off = f->end, .size = facts->size };
	*ret_kept = h->size;
	return map_put(&r->passed, span_str(key), h, err);
}

int canonical_passing(void *arg, const char *name, struct source *data, int64_t size,
		      struct blob_facts *ret, dray_error **err)
{
	struct canonical_run *r = arg;
	struct spool_file *f = spool_take(&r->spool, err);
	cleanup_sink struct sink *k = f ? sink_to_extent(f->fd, f->end, INT64_MAX - f->end, err)
					: NULL;
	int64_t kept = 0;
	int rc = -1;

	if (k && member_hash_into(k, name, data, size, ret, err) == 0)
		rc = remember(r, ret, f, &kept, err);
	if (f)
		spool_give(&r->spool, f, kept);
	return rc;
}
