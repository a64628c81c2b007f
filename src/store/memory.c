/* SPDX-License-Identifier: Apache-2.0
 *
 * A place in memory, to read from and to write to: what tests use instead of mocks.
 * Relies on assemble.h to make images, as every other place does.
 * Promises the rules of the others: nothing appears before finish, digests are checked.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "flow/pool.h"
#include "store/assemble.h"
#include "store/dest_priv.h"

#define LIMIT_MEMORY_BLOB (256 * MIB) /* one blob; tests need less */

/* One blob; key of the map is its digest's text. */
struct memory_blob {
	struct digest digest;
	struct span bytes;
};

/* Blobs and tags. A destination that waits for its finish has blobs only. */
struct contents {
	struct arena arena;
	struct map blobs; /* digest text -> struct memory_blob */
	struct map
		tags; /* tag, or digest where there is none -> struct memory_blob of a manifest */
};

struct memory_store {
	struct store base;
	struct contents contents;
};

static void contents_clear(struct contents *c)
{
	map_clear(&c->blobs);
	map_clear(&c->tags);
	arena_clear(&c->arena);
}

static int contents_add(struct contents *c, const struct digest *digest, struct span bytes,
			dray_error **err)
{
	struct memory_blob *b = arena_alloc(&c->arena, sizeof(*b));

	if (!b)
		return err_nomem(err);
	b->digest = *digest;
	b->bytes = arena_dup(&c->arena, bytes);
	if (!b->bytes.data)
		return err_nomem(err);
	return map_put(&c->blobs, span_str(b->digest.text), b, err);
}

static const struct memory_blob *find_blob(const struct contents *c, const struct digest *d)
{
	return map_get(&c->blobs, span_str(d->text));
}

static int contents_tag(struct contents *c, const char *tag, const struct digest *d,
			dray_error **err)
{
	const char *key = arena_strdup(&c->arena, tag);

	if (!key)
		return err_nomem(err);
	return map_put(&c->tags, span_str(key), map_get(&c->blobs, span_str(d->text)), err);
}

/* ---- reading ---- */

/* A copy of a blob as a document of its own. */
static int copy_blob(const struct contents *c, const struct digest *d, struct buf *ret,
		     dray_error **err)
{
	const struct memory_blob *b = find_blob(c, d);

	if (!b)
		return err_set(err, DRAY_ERR_NOT_FOUND, "blob %s", d->text);
	return buf_add(ret, b->bytes, err);
}

/* One manifest that a tag leads to. */
struct found {
	struct digest digest;
	struct digest index; /* that lists it; unset = the tag itself */
	bool attestation;
};

/* From a tag down: indexes in indexes, each digest once. */
struct memory_walk {
	struct memory_store *m;
	const char *tag; /* NULL = by digest */
	struct digest root;
	int64_t at;
	struct arena arena;
	struct found *stack;
	size_t n, cap;
	struct map seen;
	struct image_list *l;
};

static void memory_walk_clear(struct memory_walk *w)
{
	mem_free(w->stack);
	map_clear(&w->seen);
	arena_clear(&w->arena);
}
#define cleanup_walk CLEANUP(memory_walk_clear)

static int place_image(struct memory_walk *w, const struct found *f, struct image *im,
		       dray_error **err)
{
	cleanup_image struct image *own = im;

	if (w->tag && image_add_tag(im, w->tag, NULL, err) < 0)
		return -1;
	im->at = w->at;
	im->wanted = f->digest;
	im->attestation = f->attestation;
	if (digest_set(&f->index)) {
		im->index_digest = f->index;
		im->root = w->root;
		im->family = (uint64_t)w->at + 1;
	}
	return image_list_add(w->l, steal_pointer(&own), err);
}

static int add_hole(struct memory_walk *w, const struct found *f, dray_error **err)
{
	cleanup_image struct image *im = NULL;

	if (image_new(w->tag ? w->tag : "memory", &im, err) < 0 ||
	    notes_add(&im->notes, true, "blob-missing", f->digest.text, NULL, NULL, err,
		      "%s is not here", f->digest.text) < 0)
		return -1;
	im->broken = true;
	return place_image(w, f, steal_pointer(&im), err);
}

/* Takes @p manifest over. */
static int add_image(struct memory_walk *w, const struct found *f, struct manifest *manifest,
		     dray_error **err)
{
	const struct contents *c = &w->m->contents;
	cleanup_manifest struct manifest *owned = manifest;
	cleanup_buf struct buf config = BUF_INIT(LIMIT_CONFIG);
	cleanup_image struct image *im = NULL;

	if (copy_blob(c, &owned->config.digest, &config, err) < 0 ||
	    image_from_manifest(steal_pointer(&owned), &config, w->tag ? w->tag : "memory", &im,
				err) < 0)
		return -1;
	for (size_t i = 0; i < im->n_layers; i++)
		im->layers[i].missing = !find_blob(c, &im->layers[i].blob.digest);
	return place_image(w, f, steal_pointer(&im), err);
}

static int load_manifest(const struct memory_store *m, const struct digest *d,
			 struct manifest **ret, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);

	if (copy_blob(&m->contents, d, &raw, err) < 0)
		return -1;
	return manifest_parse(&raw, NULL, ret, err);
}

static int push(struct memory_walk *w, const struct digest *d, const struct digest *index,
		const struct descriptor *e, dray_error **err)
{
	if (mem_grow(&w->stack, w->n, &w->cap, sizeof(*w->stack)) < 0)
		return err_nomem(err);
	w->stack[w->n++] = (struct found){
		.digest = *d,
		.index = index ? *index : (struct digest){ 0 },
		.attestation = e && descriptor_is_attestation(e),
	};
	return 0;
}

static int note_seen(struct memory_walk *w, const struct digest *d, dray_error **err)
{
	const char *key = arena_strdup(&w->arena, d->text);

	return key ? map_put(&w->seen, span_str(key), w, err) : err_nomem(err);
}

static int visit(struct memory_walk *w, const struct found *f, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;

	if (map_find(&w->seen, span_str(f->digest.text)))
		return 0;
	if (note_seen(w, &f->digest, err) < 0)
		return -1;
	if (!find_blob(&w->m->contents, &f->digest))
		return add_hole(w, f, err);
	if (load_manifest(w->m, &f->digest, &m, err) < 0)
		return -1;
	if (m->kind != MANIFEST_INDEX)
		return add_image(w, f, steal_pointer(&m), err);
	for (size_t i = m->n_entries; i-- > 0;)
		if (push(w, &m->entries[i].digest, &m->digest, &m->entries[i], err) < 0)
			return -1;
	return 0;
}

static int add_tagged(struct memory_store *m, const char *tag, const struct digest *d, int64_t at,
		      struct image_list *l, dray_error **err)
{
	cleanup_walk struct memory_walk w = { .m = m, .tag = tag, .root = *d, .at = at, .l = l };

	if (push(&w, d, NULL, NULL, err) < 0)
		return -1;
	while (w.n) {
		struct found f = w.stack[--w.n];

		if (visit(&w, &f, err) < 0)
			return -1;
	}
	return 0;
}

static int memory_index(struct store *st, const struct digest *d, struct manifest **ret,
			dray_error **err)
{
	return load_manifest((struct memory_store *)st, d, ret, err);
}

static int memory_images(struct store *st, const struct selector *sel, struct image ***ret,
			 size_t *ret_n, dray_error **err)
{
	struct memory_store *m = (struct memory_store *)st;
	cleanup_image_list struct image_list l = { 0 };

	for (size_t i = 0; i < m->contents.tags.len; i++) {
		const struct map_slot *slot = &m->contents.tags.slots[i];
		const struct memory_blob *b = slot->value;

		bool tagged = !span_is(slot->key, b->digest.text);
		const char *tag = tagged ? (const char *)slot->key.data : NULL;

		if (add_tagged(m, tag, &b->digest, (int64_t)i, &l, err) < 0)
			return -1;
	}
	if (image_list_select(&l, sel, st->place, err) < 0)
		return -1;
	*ret_n = l.n;
	*ret = steal_pointer(&l.list);
	l.n = 0;
	return 0;
}

static struct source *memory_open_layer(struct store *st, const struct image *im, size_t i,
					dray_error **err)
{
	const struct memory_store *m = (const struct memory_store *)st;
	const struct memory_blob *b = find_blob(&m->contents, &im->layers[i].blob.digest);

	if (b)
		return source_from_span(b->bytes, err);
	err_set(err, DRAY_ERR_NOT_FOUND, "layer %s", im->layers[i].blob.digest.text);
	return NULL;
}

static void memory_free(struct store *st)
{
	struct memory_store *m = (struct memory_store *)st;

	contents_clear(&m->contents);
	notes_clear(&st->notes);
	arena_clear(&st->arena);
	mem_free(st->place);
	mem_free(m);
}

static const struct store_ops memory_ops = {
	.images = memory_images,
	.open_layer = memory_open_layer,
	.index = memory_index,
	.free = memory_free,
};

struct store *store_memory_new(dray_error **err)
{
	struct memory_store *m = mem_zalloc(sizeof(*m));

	if (!m) {
		err_nomem(err);
		return NULL;
	}
	m->base.ops = &memory_ops;
	m->base.kind = STORE_MEMORY;
	m->base.notes.arena = &m->base.arena;
	m->base.place = mem_strdup("memory");
	if (!m->base.place) {
		mem_free(m);
		err_nomem(err);
		return NULL;
	}
	return &m->base;
}

/* ---- writing ---- */

struct memory_dest {
	struct dest base;
	struct memory_store *store; /* lent */
	struct lock *lock;	    /* guards what follows */
	struct contents waiting;
	struct dest_index index;
};

static int memory_has_blob(struct dest *base, const struct descriptor *desc, dray_error **err)
{
	struct memory_dest *d = (struct memory_dest *)base;
	bool there;

	(void)err;
	lock_take(d->lock);
	there = find_blob(&d->waiting, &desc->digest) ||
		find_blob(&d->store->contents, &desc->digest);
	lock_drop(d->lock);
	return there;
}

static int memory_put_blob(struct dest *base, const struct blob_put *put, struct source *data,
			   struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	struct memory_dest *d = (struct memory_dest *)base;
	cleanup_buf struct buf bytes = BUF_INIT(LIMIT_MEMORY_BLOB);
	cleanup_sink struct sink *k = sink_to_buf(&bytes, err);
	int rc;

	if (!k) {
		source_free(data);
		return -1;
	}
	if (dest_copy(put, data, k, ret_digest, ret_size, err) < 0)
		return -1;
	lock_take(d->lock);
	rc = contents_add(&d->waiting, ret_digest, span_buf(&bytes), err);
	lock_drop(d->lock);
	return rc;
}

static int memory_put_manifest(struct dest *base, const struct manifest *m, const char *tag,
			       dray_error **err)
{
	struct memory_dest *d = (struct memory_dest *)base;
	int rc;

	lock_take(d->lock);
	rc = contents_add(&d->waiting, &m->digest, span_buf(&m->raw), err);
	if (rc == 0)
		rc = dest_index_add(&d->index, m, tag, err);
	lock_drop(d->lock);
	return rc;
}

static int memory_finish(struct dest *base, dray_error **err)
{
	struct memory_dest *d = (struct memory_dest *)base;
	struct contents *to = &d->store->contents;

	for (size_t i = 0; i < d->waiting.blobs.len; i++) {
		const struct memory_blob *b = d->waiting.blobs.slots[i].value;

		if (!find_blob(to, &b->digest) && contents_add(to, &b->digest, b->bytes, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < d->index.n; i++) {
		const struct dest_entry *e = &d->index.list[i];
		const char *tag = e->tag ? e->tag : e->digest.text;

		if (dest_index_stands(&d->index, i) && contents_tag(to, tag, &e->digest, err) < 0)
			return -1;
	}
	return 0;
}

static void memory_dest_free(struct dest *base)
{
	struct memory_dest *d = (struct memory_dest *)base;

	contents_clear(&d->waiting);
	dest_index_clear(&d->index);
	lock_free(d->lock);
	mem_free(base->place);
	mem_free(d);
}

static const struct dest_ops memory_dest_ops = {
	.has_blob = memory_has_blob,
	.put_blob = memory_put_blob,
	.put_manifest = memory_put_manifest,
	.finish = memory_finish,
	.free = memory_dest_free,
};

struct dest *dest_memory(struct store *memory, dray_error **err)
{
	cleanup_dest struct dest *base = NULL;
	struct memory_dest *d = mem_zalloc(sizeof(*d));

	if (!d) {
		err_nomem(err);
		return NULL;
	}
	base = &d->base;
	base->ops = &memory_dest_ops;
	base->place = mem_strdup("memory");
	d->store = (struct memory_store *)memory;
	d->lock = base->place ? lock_new(err) : NULL;
	if (!base->place)
		err_nomem(err);
	return d->lock ? steal_pointer(&base) : NULL;
}
