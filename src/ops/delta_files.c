/* SPDX-License-Identifier: Apache-2.0
 *
 * delta save --level file: a layer told by the layers of bases.
 * Relies on delta/recipe.h for the recipe, on delta_olds.c for bytes of bases.
 * Promises that no recipe goes in from which the layer was not made once already.
 */
#include "ops/delta_files.h"

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"

/* ---- the bases ---- */

int delta_files_open(struct delta_save *v, const char *const *places, size_t n, dray_error **err)
{
	const struct map *m = &v->bases.by_diff_id;
	struct delta_olds *o;

	for (size_t i = 0; i < n; i++)
		if (delta_bases_add(&v->bases, places[i], NULL, err) < 0)
			return err_ctx(err, "base");
	o = arena_alloc(&v->doc.arena, sizeof(*o));
	if (!o || delta_olds_init(o, m->len, &v->doc.arena, err) < 0)
		return o ? -1 : err_nomem(err);
	v->doc.olds = arena_array(&v->doc.arena, m->len + 1, sizeof(*v->doc.olds));
	if (!v->doc.olds)
		return err_nomem(err);
	for (size_t i = 0; i < m->len; i++)
		o->where[i] = *(const struct delta_where *)m->slots[i].value;
	if (delta_olds_load(o, v->ctx, err) < 0)
		return err_ctx(err, "base");
	for (size_t i = 0; i < m->len; i++) {
		const struct delta_where *w = &o->where[i];

		o->list[i].diff_id = w->stack->im->layers[w->layer].diff_id;
		o->list[i].size = o->list[i].index->size;
		v->doc.olds[i] = (struct delta_old){ o->list[i].diff_id, o->list[i].size, false };
	}
	v->doc.n_olds = m->len;
	v->files = o;
	return 0;
}

void delta_files_finish(struct delta_save *v)
{
	bool any = false;

	for (size_t i = 0; i < v->doc.n_layers; i++)
		any = any || v->doc.layers[i].from == DRAY_DELTA_RECIPE;
	if (!any)
		v->doc.n_olds = 0;
	for (size_t i = 0; i < v->doc.n_olds; i++)
		v->doc.olds[i].needed = v->files->used[i];
}

/* ---- one layer ---- */

struct own {
	struct stack *s;
	uint32_t layer;
};

static int64_t read_own(void *arg, size_t i, int64_t off, void *data, size_t len, dray_error **err)
{
	const struct own *own = arg;
	int64_t size = own->s->index[own->layer]->size;
	const struct layer_feed feed = stack_feed(own->s);

	(void)i;
	if (off >= size || len == 0)
		return 0;
	if ((uint64_t)(size - off) < len)
		len = (size_t)(size - off);
	return feed.read(feed.arg, own->layer, off, data, len, err);
}

static int write_recipe(struct delta_save *v, size_t i, int fd, int64_t *ret_size, dray_error **err)
{
	struct own own = { v->s, (uint32_t)i };
	const struct recipe_new tar = { v->s->index[i], read_own, &own };
	const struct recipe_bases bases = delta_recipe_bases(v->files);
	const struct recipe_options o = {
		.window = (size_t)v->o->window,
		.pool = context_pool(v->ctx, err),
	};
	cleanup_sink struct sink *k = o.pool ? sink_to_fd(fd, false, err) : NULL;
	struct recipe_stats stats;

	if (!k || recipe_write(&tar, &bases, &o, k, &stats, err) < 0)
		return -1;
	*ret_size = k->pos;
	context_log(v->ctx, DRAY_LOG_INFO,
		    "layer %zu of %zu: %zu files as they were, %zu changed, %zu new", i + 1,
		    v->s->n, stats.files_same, stats.files_patched, stats.files_new);
	return 0;
}

/* Make the layer of its recipe; which base layers that takes is noted. */
static int prove_recipe(struct delta_save *v, int fd, int64_t size, const struct delta_layer *l,
			dray_error **err)
{
	const struct recipe_bases bases = delta_recipe_bases(v->files);
	cleanup_source struct source *s = source_from_extent(fd, 0, size, err);

	s = recipe_open(steal_pointer(&s), &bases, l->size, err);
	s = source_verified(steal_pointer(&s), &l->diff_id, l->size, "DiffID", err);
	if (!s || source_drain(s, err) < 0)
		return err_ctx(err, "its recipe");
	return 0;
}

/* ---- the compressed blob ---- */

/* Did a writer of our kind of gzip make it? A look at its first header. */
static bool looks_ours(struct span head)
{
	return head.len >= 14 && compression_sniff(head) == COMPRESSION_GZIP &&
	       (head.data[3] & 4) && head.data[12] == GZIP_FIELD_1 && head.data[13] == GZIP_FIELD_2;
}

/* Can our own encoder make the blob of the tar? 1 and l->encoding, 0, -1. */
static int find_encoding(struct delta_save *v, size_t i, struct delta_layer *l, dray_error **err)
{
	const struct encode_params gzip = { .encoding = ENCODING_GZIP };
	const struct descriptor *blob = &v->s->im->layers[i].blob;
	cleanup_buf struct buf text = BUF_INIT(128);
	cleanup_source struct source *s = NULL;
	struct pool *pool = context_pool(v->ctx, err);
	dray_error *differs = NULL;
	struct span head;

	if (!stack_vouched(v->s, i) || digest_eq(&blob->digest, &l->diff_id))
		return 0;
	s = pool ? stack_open_stored(v->s, i, err) : NULL;
	if (!s || source_peek(s, 16, &head, err) < 0)
		return -1;
	if (!looks_ours(head))
		return 0;
	s = source_encode(source_decode_auto(steal_pointer(&s), NULL, err), &gzip, pool, err);
	s = source_verified(steal_pointer(&s), &blob->digest, blob->size, "blob digest", err);
	if (!s || source_drain(s, &differs) < 0) {
		bool other = s && dray_error_kind(differs) == DRAY_ERR_CORRUPT;

		if (!other && err && s)
			*err = steal_pointer(&differs);
		dray_error_free(differs);
		return other ? 0 : -1;
	}
	if (encode_params_text(&gzip, &text, err) < 0)
		return -1;
	l->encoding = arena_strndup(&v->doc.arena, (const char *)text.data, text.len);
	return l->encoding ? 1 : err_nomem(err);
}

/* ---- into the archive ---- */

static int put_recipe(struct delta_save *v, size_t i, int fd, int64_t size, struct delta_layer *l,
		      dray_error **err)
{
	char label[80];
	const struct blob_put put = { .desc = { .size = size }, .label = label };

	snprintf(label, sizeof(label), "recipe of layer %zu of %zu", i + 1, v->s->n);
	if (dest_put_blob(v->dest, &put, source_from_extent(fd, 0, size, err), &l->digest,
			  &l->stored, err) < 0)
		return -1;
	l->from = DRAY_DELTA_RECIPE;
	return find_encoding(v, i, l, err) < 0 ? -1 : 0;
}

/* Compressed bytes that are at hand and no bigger are the better choice: they need no base. */
static bool blob_is_smaller(const struct delta_save *v, size_t i, int64_t recipe)
{
	const struct layer *l = &v->s->im->layers[i];

	return l->blob.size >= 0 && l->blob.size <= recipe;
}

int delta_files_put(struct delta_save *v, size_t i, struct delta_layer *l, dray_error **err)
{
	cleanup_fd int fd = io_tempfile(v->ctx->tmpdir, err);
	cleanup_free bool *used = mem_zalloc(v->files->n + 1);
	int64_t size;

	if (fd < 0 || !used)
		return fd < 0 ? -1 : err_nomem(err);
	if (stack_load(v->s, i, err) < 0)
		return -1;
	l->size = v->s->index[i]->size;
	memcpy(used, v->files->used, v->files->n);
	if (write_recipe(v, i, fd, &size, err) < 0)
		return -1;
	memset(v->files->used, 0, v->files->n);
	if (blob_is_smaller(v, i, size)) {
		memcpy(v->files->used, used, v->files->n);
		return 0;
	}
	if (prove_recipe(v, fd, size, l, err) < 0 || put_recipe(v, i, fd, size, l, err) < 0)
		return -1;
	for (size_t k = 0; k < v->files->n; k++)
		v->files->used[k] = v->files->used[k] || used[k];
	return 1;
}
