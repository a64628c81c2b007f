/* SPDX-License-Identifier: Apache-2.0
 *
 * The entries of the layer, in the order in which they come, put into that of the tree.
 * Relies on once_merge.c for what else is in the tree, on once_write.c for the proof.
 * Promises bounded memory: entries that come early are held back, as many as there is room for;
 * large ones never are. Whatever is not plain ends the attempt.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "layer/once_priv.h"

#define GATHERED (256 * 1024) /* bytes of small files that are written together */
#define BETWEEN_MAX (4 * MIB) /* bytes of headers: who has more is read in the ordinary way */
#define HELD_MAX (16 * MIB)   /* bytes of the entries that are held back */
#define LARGE (256 * 1024)    /* bytes: such an entry is written when it comes */

void once_free(struct once *o)
{
	if (!o)
		return;
	cursor_clear(&o->others);
	buf_clear(&o->next_path);
	map_clear(&o->hidden);
	map_clear(&o->cut);
	buf_clear(&o->between.bytes);
	once_cut_clear(o);
	once_tars_clear(o);
	mem_free(o->open);
	for (size_t i = 0; i < o->n_heap; i++)
		mem_free(o->heap[i]);
	mem_free(o->heap);
	arena_clear(&o->arena);
	mem_free(o);
}

/* ---- entries that are held back ---- */

static bool is_before(const struct held *a, const struct held *b)
{
	return once_compare(a->e.path, b->e.path) < 0;
}

static int push(struct once *o, struct held *h, dray_error **err)
{
	size_t at = o->n_heap, up;

	if (mem_grow(&o->heap, o->n_heap, &o->cap_heap, sizeof(struct held *)) < 0)
		return err_nomem(err);
	o->n_heap++;
	o->held_bytes += sizeof(*h) + h->len;
	for (; at > 0 && is_before(h, o->heap[up = (at - 1) / 2]); at = up)
		o->heap[at] = o->heap[up];
	o->heap[at] = h;
	return 0;
}

static struct held *pop(struct once *o)
{
	struct held *least = o->heap[0], *h = o->heap[--o->n_heap];
	size_t at = 0, down;

	o->held_bytes -= sizeof(*least) + least->len;
	for (; (down = 2 * at + 1) < o->n_heap; at = down) {
		down += down + 1 < o->n_heap && is_before(o->heap[down + 1], o->heap[down]);
		if (!is_before(o->heap[down], h))
			break;
		o->heap[at] = o->heap[down];
	}
	o->heap[at] = h;
	return least;
}

/* The least of them has its place now. */
static int release(struct once *o, dray_error **err)
{
	cleanup_free struct held *h = pop(o);
	bool wanted;
	int rc = once_judge(o, &h->e, &wanted, err);

	if (rc <= 0 || !wanted)
		return rc;
	rc = once_begin(o, o->p.passing, &h->e, err);
	if (rc > 0 &&
	    once_put(o, o->p.passing, h->e.header_off, span_of(h->bytes, h->len), err) < 0)
		return -1;
	return rc;
}

static int release_before(struct once *o, const char *path, dray_error **err)
{
	int rc = 1;

	while (rc > 0 && o->n_heap && once_compare(o->heap[0]->e.path, path) < 0)
		rc = release(o, err);
	return rc;
}

/* ---- one entry ---- */

/* @p len bytes at @p off, of those between; empty = they were cut off. */
static struct span taken(const struct once *o, int64_t off, size_t len)
{
	const struct between *b = &o->between;

	if (off < b->off || off - b->off + (int64_t)len > (int64_t)b->bytes.len)
		return (struct span){ 0 };
	return span_head(span_from(span_buf(&b->bytes), (size_t)(off - b->off)), len);
}

/* The padding of the entry before, which was read with the header of this one. */
static int end_entry(struct once *o, dray_error **err)
{
	struct held *h = o->open;
	int64_t off = o->between.off;
	size_t want = h			       ? tar_padding(h->e.size)
		      : o->passed_until >= off ? (size_t)(o->passed_until - off)
					       : 0;
	struct span padding = taken(o, off, want);

	if (padding.len < want)
		return 0;
	o->passed_until = -1;
	if (!h)
		return once_put(o, o->p.passing, off, padding, err) < 0 ? -1 : 1;
	if (want)
		memcpy(h->bytes + h->len, padding.data, want);
	h->len += want;
	if (push(o, h, err) < 0)
		return -1;
	o->open = NULL;
	return 1;
}

static int put_data(struct once *o, struct source *data, int64_t off, dray_error **err)
{
	struct span s;

	for (;; off += (int64_t)s.len) {
		if (source_peek(data, 1, &s, NULL) < 0)
			return 0;
		if (s.len == 0)
			return 1;
		if (once_put(o, o->p.passing, off, s, err) < 0)
			return -1;
		source_consume(data, s.len);
	}
}

/* Too large to wait: all that stands before it has come, or it is not foreseen. */
static int pass_large(struct once *o, const struct layer_entry *e, struct span head,
		      struct source *data, dray_error **err)
{
	bool wanted;
	int rc = release_before(o, e->path, err);

	if (rc > 0)
		rc = once_judge(o, e, &wanted, err);
	if (rc <= 0)
		return rc;
	if (!wanted)
		return source_skip(data, e->size, NULL) == e->size;
	rc = once_begin(o, o->p.passing, e, err);
	if (rc <= 0)
		return rc;
	o->passed_until = e->data_off + e->size + (int64_t)tar_padding(e->size);
	if (once_put(o, o->p.passing, e->header_off, head, err) < 0)
		return -1;
	return put_data(o, data, e->data_off, err);
}

static int hold(struct once *o, const struct layer_entry *e, struct span head, struct source *data,
		dray_error **err)
{
	size_t size = (size_t)e->size;
	struct held *h = mem_alloc(sizeof(*h) + head.len + size + TAR_BLOCK);

	if (!h)
		return err_nomem(err);
	h->e = *e;
	h->len = head.len + size;
	memcpy(h->bytes, head.data, head.len);
	o->open = h;
	return source_read_exact(data, h->bytes + head.len, size, NULL) == 0;
}

static int pass_entry(struct once *o, const struct layer_entry *e, struct source *data,
		      dray_error **err)
{
	size_t len = (size_t)(e->data_off - e->header_off);
	struct span head = taken(o, e->header_off, len);
	const char *name = NULL;
	enum whiteout kind = whiteout_of(e->path, &name);
	int rc;

	if (head.len < len || is_overlay_whiteout(e))
		return 0; /* what only overlayfs takes for a whiteout is not foreseen */
	o->between.collects = false;
	if (kind != WHITEOUT_NONE)
		rc = source_skip(data, e->size, NULL) == e->size
			     ? once_whiteout(o, e, kind, name, err)
			     : 0;
	else if (e->size + (int64_t)len > LARGE)
		rc = pass_large(o, e, head, data, err);
	else
		rc = hold(o, e, head, data, err);
	o->between.collects = true;
	o->between.off = e->data_off + e->size;
	buf_reset(&o->between.bytes);
	return rc;
}

/* Who lends data hashes them as they are stored, so without holes. */
static bool can_pass(const struct once *o, const struct layer_entry *e)
{
	return !o->p.contents || !e->sparse;
}

static int at_entry(struct once *o, struct layer_indexer *x, const struct layer_entry *e,
		    dray_error **err)
{
	cleanup_source struct source *data = layer_indexer_data(x, err);
	int rc = data ? 1 : -1;

	if (rc > 0)
		rc = o->between.too_much || !can_pass(o, e) ? 0 : end_entry(o, err);
	while (rc > 0 && o->held_bytes > HELD_MAX)
		rc = release(o, err);
	return rc > 0 ? pass_entry(o, e, data, err) : rc;
}

/* ---- all of them ---- */

static void collect(void *arg, struct span bytes)
{
	struct between *b = arg;

	if (b->collects && !b->too_much && buf_add(&b->bytes, bytes, NULL) < 0)
		b->too_much = true;
}

static int at_end(struct once *o, dray_error **err)
{
	int rc = end_entry(o, err);

	while (rc > 0 && o->n_heap)
		rc = release(o, err);
	if (rc > 0)
		rc = once_merge_end(o, err);
	if (rc > 0 && once_cut_end(o, err) < 0)
		return -1;
	return rc > 0 ? once_put_end(o, err) : rc;
}

/* Is it no use to read the layer once more? */
static bool is_final(const dray_error *e)
{
	enum dray_err_kind kind = dray_error_kind(e);

	return kind == DRAY_ERR_NOMEM || kind == DRAY_ERR_CANCELLED;
}

static int pass_layer(struct once *o, struct layer_indexer *x, dray_error **err)
{
	cleanup_error dray_error *unreadable = NULL;
	const struct layer_entry *e;
	int more, rc = 1;

	while (rc > 0 && (more = layer_indexer_next(x, &e, &unreadable)) > 0)
		rc = at_entry(o, x, e, err);
	if (rc <= 0)
		return rc;
	if (more == 0)
		return at_end(o, err);
	if (!is_final(unreadable))
		return 0;
	if (err)
		*err = steal_pointer(&unreadable);
	return -1;
}

int once_write(struct once *o, struct source *in, struct layer_index **ret, dray_error **err)
{
	const struct layer_index_options io = { .contents = o->p.contents, .lends = true };
	cleanup_source struct source *watched = source_watch(
		source_lend(in, err), (struct tap){ collect, &o->between }, err);
	cleanup_layer_indexer struct layer_indexer *x = NULL;
	int rc;

	if (watched)
		x = layer_indexer_new(watched, &io, err);
	rc = x ? pass_layer(o, x, err) : -1;
	if (rc > 0)
		*ret = layer_indexer_finish(x);
	return rc;
}

struct once *once_new(const struct once_plan *p, dray_error **err)
{
	cleanup_once struct once *o = mem_zalloc(sizeof(*o));

	if (!o) {
		err_nomem(err);
		return NULL;
	}
	o->p = *p;
	o->between = (struct between){ .collects = true, .bytes = BUF_INIT(BETWEEN_MAX) };
	o->passed_until = -1;
	once_cut_begin(o);
	for (size_t i = 0; i < p->n_out; i++)
		o->tars[i] = (struct once_tar){ .out = p->out[i], .gathered = BUF_INIT(GATHERED) };
	return once_merge_begin(o, err) < 0 ? NULL : steal_pointer(&o);
}
