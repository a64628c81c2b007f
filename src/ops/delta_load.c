/* SPDX-License-Identifier: Apache-2.0
 *
 * delta load: the image of a delta, as a store that copy reads.
 * Relies on delta_read.c for a sound delta, on delta_base.c for layers of bases, on copy for the rest.
 * Promises that no layer leaves here whose DiffID was not proven, and that what is missing is
 * told as a whole before anything is written.
 */
#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"
#include "ops/copy_plan.h"
#include "ops/copy_run.h"
#include "ops/delta_files.h"
#include "store/assemble.h"

/* How the bytes of a layer come to be. */
enum way {
	WAY_NONE,
	WAY_THERE,  /* the destination has them */
	WAY_STORED, /* as the delta or a base stores them */
	WAY_TAR,    /* decoded */
	WAY_ENCODE, /* decoded, and compressed by our own encoder */
};

struct load {
	dray_context *ctx;
	struct delta *delta;
	struct delta_bases bases;
	struct delta_olds olds;		  /* for recipes */
	struct recipe_bases recipe_bases; /* the same */
	const char *const *places;	  /* of bases */
	size_t n_places;
	struct copy *copy; /* that it is for */
	enum way *ways;	   /* of each layer */
	bool exact;	   /* the image's own manifest comes along */
};

/* ---- which way ---- */

/* Does our encoder, as it is now, make the blob? */
static bool encodes(const struct delta_layer *l)
{
	const struct encode_params p = { .encoding = ENCODING_GZIP };
	cleanup_buf struct buf text = BUF_INIT(128);

	return l->encoding && encode_params_text(&p, &text, NULL) == 0 &&
	       span_is(span_buf(&text), l->encoding);
}

/* The bytes that the manifest names as @p blob, of those at hand. */
static enum way way_to_blob(const struct load *ld, const struct delta_layer *l,
			    const struct digest *blob)
{
	const struct delta_where *w = l->from == DRAY_DELTA_BASE
					      ? delta_bases_find(&ld->bases, &l->diff_id)
					      : NULL;

	if (l->from == DRAY_DELTA_BASE && !w)
		return WAY_NONE;
	if (l->from == DRAY_DELTA_BLOB && digest_eq(&l->digest, blob))
		return WAY_STORED;
	if (w && stack_vouched(w->stack, w->layer) &&
	    digest_eq(&w->stack->im->layers[w->layer].blob.digest, blob))
		return WAY_STORED;
	if (digest_eq(&l->diff_id, blob))
		return WAY_TAR;
	return encodes(l) ? WAY_ENCODE : WAY_NONE;
}

/* Any bytes that decode to the layer. */
static enum way way_to_layer(const struct load *ld, const struct delta_layer *l)
{
	switch (l->from) {
	case DRAY_DELTA_BLOB:
		return WAY_STORED;
	case DRAY_DELTA_RECIPE:
		return WAY_TAR;
	default:
		return delta_bases_find(&ld->bases, &l->diff_id) ? WAY_STORED : WAY_NONE;
	}
}

/*
 * 1 = the destination has it as it has to be, 0, -1. A blob that would be compressed in another way
 * has to be read: only what somebody compressed so already is of use.
 */
static int is_there(const struct load *ld, const struct delta_layer *l,
		    const struct descriptor *blob, dray_error **err)
{
	const struct reused *u = reuse_find(&ld->copy->reuse, &l->diff_id, &ld->copy->wishes);
	enum compression found = blob ? compression_declared(blob->media_type) : COMPRESSION_NONE;
	struct descriptor desc = { 0 };

	if (!must_convert(ld->copy, found, blob, false))
		desc = blob ? *blob : desc;
	else if (u)
		desc = (struct descriptor){ .digest = u->blob_digest, .size = u->size };
	return digest_set(&desc.digest) ? dest_has_blob(ld->copy->target->dest, &desc, err) : 0;
}

/* Choose for all layers; *ret = every one has a way. */
static int choose_ways(struct load *ld, bool exact, bool *ret, dray_error **err)
{
	const struct delta *d = ld->delta;

	*ret = true;
	for (size_t i = 0; i < d->doc.n_layers; i++) {
		const struct delta_layer *l = &d->doc.layers[i];
		const struct descriptor *blob = exact ? &d->manifest->entries[i] : NULL;
		int there = 0;

		ld->ways[i] = exact ? way_to_blob(ld, l, &blob->digest) : way_to_layer(ld, l);
		if (ld->ways[i] == WAY_NONE)
			there = is_there(ld, l, blob, err);
		if (there < 0)
			return -1;
		if (there)
			ld->ways[i] = WAY_THERE;
		*ret = *ret && ld->ways[i] != WAY_NONE;
	}
	return 0;
}

/* ---- what is missing ---- */

/* " (test/app:1, test/app:2 sha256:...)": which base had it. */
static int name_base(const struct delta_doc *doc, const struct digest *diff_id, struct buf *text,
		     dray_error **err)
{
	for (size_t i = 0; i < doc->n_bases; i++) {
		const struct delta_need *b = &doc->bases[i];

		for (size_t k = 0; k < b->n; k++) {
			if (!digest_eq(&b->diff_ids[k], diff_id))
				continue;
			if (!digest_set(&b->image_id))
				return buf_add_str(text, " (of a have-list)", err);
			return buf_printf(text, err, " (of %s%s%.128s)", b->image_id.text,
					  b->n_tags ? ", " : "", b->n_tags ? b->tags[0] : "");
		}
	}
	return 0;
}

static int add_missing(const struct load *ld, const struct digest *diff_id, struct buf *text,
		       size_t *n, dray_error **err)
{
	if (buf_add_str(text, *n ? ", " : " ", err) < 0 ||
	    buf_add_str(text, diff_id->text, err) < 0 ||
	    name_base(&ld->delta->doc, diff_id, text, err) < 0)
		return -1;
	++*n;
	return 0;
}

static bool listed_before(const struct load *ld, size_t i)
{
	const struct delta_doc *doc = &ld->delta->doc;

	for (size_t k = 0; k < i; k++)
		if (ld->ways[k] == WAY_NONE &&
		    digest_eq(&doc->layers[k].diff_id, &doc->layers[i].diff_id))
			return true;
	return false;
}

/* Layers without a way, and what recipes need and no base has. */
static int list_missing(const struct load *ld, struct buf *text, size_t *ret, dray_error **err)
{
	const struct delta_doc *doc = &ld->delta->doc;

	*ret = 0;
	for (size_t i = 0; i < doc->n_layers; i++)
		if (ld->ways[i] == WAY_NONE && !listed_before(ld, i) &&
		    add_missing(ld, &doc->layers[i].diff_id, text, ret, err) < 0)
			return -1;
	for (size_t i = 0; i < doc->n_olds; i++)
		if (doc->olds[i].needed && !delta_bases_find(&ld->bases, &doc->olds[i].diff_id) &&
		    add_missing(ld, &doc->olds[i].diff_id, text, ret, err) < 0)
			return -1;
	return 0;
}

static int refuse_missing(const struct load *ld, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	const char *what = ld->n_places ? "no base that was named has" : "the destination lacks";
	size_t n;

	if (list_missing(ld, &text, &n, err) < 0)
		return -1;
	if (n == 0)
		return 0;
	err_set(err, DRAY_ERR_NOT_FOUND, "%s: %s %zu layer%s:%.*s", ld->delta->place.text, what, n,
		n == 1 ? "" : "s", (int)text.len, (const char *)text.data);
	return err_hint(err, "--base PLACE names a place that has them");
}

/* ---- the image ---- */

/* Some words on why the image's own manifest stays behind. */
static void tell_converted(const struct load *ld)
{
	if (ld->delta->manifest && !ld->exact)
		context_log(ld->ctx, DRAY_LOG_WARNING,
			    "%s: compressed blobs of some layers cannot be made again: another "
			    "manifest digest, the same image ID",
			    ld->delta->place.text);
}

static int find_ways(struct load *ld, dray_error **err)
{
	bool all = false;

	ld->ways = arena_array(&ld->delta->arena, ld->delta->doc.n_layers + 1, sizeof(*ld->ways));
	if (!ld->ways)
		return err_nomem(err);
	if (ld->delta->manifest && choose_ways(ld, true, &ld->exact, err) < 0)
		return -1;
	if (!ld->exact && choose_ways(ld, false, &all, err) < 0)
		return -1;
	if (refuse_missing(ld, err) < 0)
		return -1;
	tell_converted(ld);
	return 0;
}

static int open_bases(struct load *ld, dray_error **err)
{
	const struct delta_doc *doc = &ld->delta->doc;
	struct map wanted = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < doc->n_layers; i++)
		if (doc->layers[i].from == DRAY_DELTA_BASE)
			rc = map_put(&wanted, span_str(doc->layers[i].diff_id.text), ld, err);
	for (size_t i = 0; rc == 0 && i < doc->n_olds; i++)
		if (doc->olds[i].needed)
			rc = map_put(&wanted, span_str(doc->olds[i].diff_id.text), ld, err);
	for (size_t i = 0; rc == 0 && i < ld->n_places; i++)
		if (delta_bases_add(&ld->bases, ld->places[i], &wanted, err) < 0)
			rc = err_ctx(err, "base");
	map_clear(&wanted);
	return rc;
}

/* What recipes read: proven, and as big as the delta says. */
static int open_olds(struct load *ld, dray_error **err)
{
	const struct delta_doc *doc = &ld->delta->doc;
	struct delta_olds *o = &ld->olds;

	if (delta_olds_init(o, doc->n_olds, &ld->delta->arena, err) < 0)
		return -1;
	ld->recipe_bases = delta_recipe_bases(o);
	for (size_t i = 0; i < o->n; i++) {
		o->list[i].diff_id = doc->olds[i].diff_id;
		o->list[i].size = doc->olds[i].size;
		if (doc->olds[i].needed)
			o->where[i] = *delta_bases_find(&ld->bases, &doc->olds[i].diff_id);
	}
	if (delta_olds_load(o, ld->ctx, err) < 0)
		return err_ctx(err, "base");
	for (size_t i = 0; i < o->n; i++)
		if (o->list[i].index && o->list[i].index->size != doc->olds[i].size)
			return err_set(err, DRAY_ERR_FORMAT,
				       "%s: base layer %s has %lld bytes, not %lld as it says",
				       ld->delta->place.text, doc->olds[i].diff_id.text,
				       (long long)o->list[i].index->size,
				       (long long)doc->olds[i].size);
	return 0;
}

static int with_manifest(const struct load *ld, struct image **ret, dray_error **err)
{
	const struct delta *d = ld->delta;
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST), config = BUF_INIT(LIMIT_CONFIG);
	struct manifest *m = NULL;

	if (buf_add(&raw, span_buf(&d->manifest->raw), err) < 0 ||
	    buf_add(&config, span_buf(&d->config), err) < 0 ||
	    manifest_parse(&raw, d->manifest->media_type, &m, err) < 0)
		return -1;
	return image_from_manifest(m, &config, d->place.text, ret, err);
}

static int without_manifest(const struct load *ld, struct image **ret, dray_error **err)
{
	const struct delta *d = ld->delta;
	cleanup_buf struct buf config = BUF_INIT(LIMIT_CONFIG);
	cleanup_image struct image *im = NULL;

	if (image_new(d->place.text, &im, err) < 0 ||
	    buf_add(&config, span_buf(&d->config), err) < 0 ||
	    image_set_config(im, &config, NULL, err) < 0 ||
	    image_set_layers(im, d->doc.n_layers, err) < 0 || image_set_diff_ids(im, err) < 0)
		return -1;
	for (size_t i = 0; i < im->n_layers; i++) {
		im->layers[i].blob.size = -1;
		im->layers[i].handle = i;
	}
	im->made_from = d->manifest;
	*ret = steal_pointer(&im);
	return 0;
}

static int fill_image(const struct load *ld, struct image *im, dray_error **err)
{
	const struct delta_doc *doc = &ld->delta->doc;

	for (size_t i = 0; i < doc->n_tags; i++)
		if (image_add_tag(im, doc->tags[i], NULL, err) < 0)
			return -1;
	for (size_t i = 0; i < im->n_layers; i++) {
		struct layer *l = &im->layers[i];

		l->missing = ld->ways[i] == WAY_THERE;
		/* What is not stored is known without a look at it. */
		l->has_compression = !ld->exact && ld->ways[i] != WAY_STORED;
		l->compression = COMPRESSION_NONE;
	}
	return 0;
}

/* ---- bytes ---- */

static int prove_copy(void *arg, struct source *copy, dray_error **err)
{
	const struct delta_layer *l = arg;
	cleanup_source struct source *s = source_decode_auto(source_lend(copy, err), NULL, err);

	s = source_verified(steal_pointer(&s), &l->diff_id, l->size, "DiffID", err);
	return s ? source_drain(s, err) : -1;
}

/* What the delta or a base stores of the layer. */
static struct source *open_stored(const struct load *ld, const struct delta_layer *l,
				  dray_error **err)
{
	const struct delta_where *w;

	if (l->from != DRAY_DELTA_BASE)
		return delta_blob(ld->delta, &l->digest, err);
	w = delta_bases_find(&ld->bases, &l->diff_id);
	assert(w); /* else it would have no way */
	return stack_open_stored(w->stack, w->layer, err);
}

/* The tar, proven. */
static struct source *open_tar(const struct load *ld, const struct delta_layer *l, dray_error **err)
{
	struct source *s = open_stored(ld, l, err);

	if (l->from == DRAY_DELTA_RECIPE)
		s = recipe_open(s, &ld->recipe_bases, l->size, err);
	else
		s = source_decode_auto(s, NULL, err);
	return source_verified(s, &l->diff_id, l->size, "DiffID", err);
}

static struct source *open_way(const struct load *ld, size_t i, dray_error **err)
{
	const struct encode_params p = { .encoding = ENCODING_GZIP };
	struct delta_layer *l = &ld->delta->doc.layers[i];
	struct pool *pool;

	switch (ld->ways[i]) {
	case WAY_STORED:
		return source_branch(open_stored(ld, l, err), prove_copy, l, err);
	case WAY_TAR:
		return open_tar(ld, l, err);
	case WAY_ENCODE:
		pool = context_pool(ld->ctx, err);
		return pool ? source_encode(open_tar(ld, l, err), &p, pool, err) : NULL;
	default:
		err_set(err, DRAY_ERR_NOT_FOUND, "layer %zu is at the destination only", i + 1);
		return NULL;
	}
}

/* ---- the store ---- */

struct delta_store {
	struct store store;
	struct load *load; /* lent */
};

static int delta_images(struct store *st, const struct selector *sel, struct image ***ret,
			size_t *ret_n, dray_error **err)
{
	const struct load *ld = ((const struct delta_store *)st)->load;
	cleanup_image_list struct image_list l = { 0 };
	cleanup_image struct image *im = NULL;

	(void)sel; /* there is only one */
	if ((ld->exact ? with_manifest(ld, &im, err) : without_manifest(ld, &im, err)) < 0 ||
	    fill_image(ld, im, err) < 0 || image_list_add(&l, steal_pointer(&im), err) < 0)
		return -1;
	*ret_n = l.n;
	*ret = steal_pointer(&l.list);
	l.n = 0;
	return 0;
}

static struct source *delta_open_layer(struct store *st, const struct image *im, size_t i,
				       dray_error **err)
{
	(void)im;
	return open_way(((const struct delta_store *)st)->load, i, err);
}

static void delta_store_free(struct store *st)
{
	notes_clear(&st->notes);
	arena_clear(&st->arena);
	mem_free(st->place);
	mem_free(st);
}

static const struct store_ops delta_ops = {
	.images = delta_images,
	.open_layer = delta_open_layer,
	.free = delta_store_free,
};

static int open_store(struct load *ld, struct store **ret, dray_error **err)
{
	struct delta_store *s = mem_zalloc(sizeof(*s));

	if (!s)
		return err_nomem(err);
	s->store.ops = &delta_ops;
	s->store.kind = STORE_OCI_LAYOUT; /* a manifest that is there vouches */
	s->store.notes.arena = &s->store.arena;
	s->store.place = mem_strdup(ld->delta->place.text);
	s->load = ld;
	if (!s->store.place) {
		delta_store_free(&s->store);
		return err_nomem(err);
	}
	*ret = &s->store;
	return 0;
}

/* ---- load ---- */

static int open_made(void *arg, const struct place_options *po, struct store **ret,
		     dray_error **err)
{
	struct load *ld = arg;

	ld->copy = po->arg; /* nothing passes: all can be opened */
	if (open_bases(ld, err) < 0 || find_ways(ld, err) < 0 || open_olds(ld, err) < 0)
		return -1;
	return open_store(ld, ret, err);
}

int dray_delta_load(dray_context *ctx, const char *delta, const char *const *bases, size_t n,
		    const char *dst, const struct dray_copy_options *o, dray_copy_result **ret,
		    dray_error **err)
{
	cleanup_delta struct delta *d = NULL;
	struct load ld = { .ctx = ctx, .places = bases, .n_places = n, .bases = { .ctx = ctx } };
	const struct made made = { .open = open_made, .arg = &ld, .from = delta, .again = true };
	int rc;

	if (delta_bases_check("the delta", delta, bases, n, err) < 0 ||
	    delta_open(ctx, delta, &d, err) < 0)
		return -1;
	ld.delta = d;
	rc = copy_made(ctx, &made, dst, o, ret, err);
	delta_bases_clear(&ld.bases);
	return rc;
}
