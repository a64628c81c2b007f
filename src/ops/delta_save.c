/* SPDX-License-Identifier: Apache-2.0
 *
 * delta save: what an image has and its bases lack, as an archive.
 * Relies on ops/stack for the image, on ops/have for what bases have, on the archive to appear whole.
 * Promises that every layer which goes in is proven, and that what "docker load" reads of it
 * needs no layer but the lowest ones of one base.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "ops/copy_priv.h"
#include "ops/delta_files.h"
#include "ops/report.h"

static void delta_save_clear(struct delta_save *v)
{
	for (size_t i = 0; i < v->n_olds; i++)
		haves_clear(&v->olds[i].haves);
	mem_free(v->olds);
	delta_bases_clear(&v->bases);
	map_clear(&v->sent);
	dest_free(v->dest);
	stack_free(v->s);
	delta_doc_clear(&v->doc);
	manifest_free(v->artifact);
	buf_clear(&v->list);
}
#define cleanup_delta_save CLEANUP(delta_save_clear)

/* ---- what bases have ---- */

static struct delta_side *add_side(struct delta_save *v, dray_error **err)
{
	if (v->n_olds >= LIMIT_LAYERS) {
		err_set(err, DRAY_ERR_LIMIT, "over %d images of bases (LIMIT_LAYERS)",
			LIMIT_LAYERS);
		return NULL;
	}
	if (mem_grow(&v->olds, v->n_olds, &v->cap_olds, sizeof(*v->olds)) < 0) {
		err_nomem(err);
		return NULL;
	}
	v->olds[v->n_olds] = (struct delta_side){ 0 };
	return &v->olds[v->n_olds++];
}

static int copy_tags(struct arena *a, const struct image *im, struct delta_need *to,
		     dray_error **err)
{
	to->tags = arena_array(a, im->n_tags + 1, sizeof(char *));
	if (!to->tags)
		return err_nomem(err);
	for (; to->n_tags < im->n_tags; to->n_tags++) {
		to->tags[to->n_tags] = arena_strdup(a, im->tags[to->n_tags]);
		if (!to->tags[to->n_tags])
			return err_nomem(err);
	}
	return 0;
}

/* Of the layers as they are stored, as far as that is known. */
static int64_t stored_bytes(const struct image *im)
{
	int64_t sum = 0;

	for (size_t i = 0; i < im->n_layers; i++)
		if (im->layers[i].blob.size > 0 &&
		    __builtin_add_overflow(sum, im->layers[i].blob.size, &sum))
			return INT64_MAX;
	return sum;
}

static int add_image(struct delta_save *v, const struct image *im, dray_error **err)
{
	const struct digest *id;
	struct delta_side *side;
	int64_t bytes = stored_bytes(im);

	if (!im->config || im->artifact || im->attestation || im->broken)
		return 0;
	id = image_id(im);
	side = add_side(v, err);
	if (!side || haves_add_image(&side->haves, im, err) < 0)
		return -1;
	if (id)
		side->need.image_id = *id;
	if (bytes > v->base_bytes)
		v->base_bytes = bytes;
	return copy_tags(&v->doc.arena, im, &side->need, err);
}

static int add_images(struct delta_save *v, const char *place, dray_error **err)
{
	const struct place_options po = { .listing = true };
	cleanup_report dray_report *r = NULL;
	size_t before = v->n_olds;

	if (report_open(v->ctx, place, NULL, SCOPE_FILE, &po, &r, err) < 0)
		return -1;
	for (size_t i = 0; i < r->n_images; i++)
		if (add_image(v, r->images[i], err) < 0)
			return -1;
	return v->n_olds > before
		       ? 0
		       : err_set(err, DRAY_ERR_NOT_FOUND, "%s holds no image", r->place.text);
}

static int add_base(struct delta_save *v, const char *base, dray_error **err)
{
	struct delta_side *side = add_side(v, err);
	int is_list = side ? haves_read(base, &side->haves, err) : -1;

	if (is_list < 0)
		return -1;
	if (!is_list) {
		v->n_olds--;
		return add_images(v, base, err);
	}
	if (v->o->level != DRAY_DELTA_FILE)
		return 0;
	err_set(err, DRAY_ERR_USAGE, "a have-list has no files, which --level file compares");
	return err_hint(err, "name the base image itself, or take --level layer");
}

/* ---- which layers are left out ---- */

/* How many of the lowest layers the side has as one chain: what an engine looks for. */
static size_t common_chain(const struct haves *h, const struct digest *chain, size_t n)
{
	size_t i = 0;

	while (i < n && map_find(&h->chains, span_str(chain[i].text)))
		i++;
	return i;
}

/*
 * Engines find layers by their chain, so a layer may only be left out with all below it, and
 * where it stands a second time, higher up, its bytes are wanted all the same.
 */
static int leave_out_chain(struct delta_save *v, dray_error **err)
{
	const struct config *c = v->s->im->config;
	cleanup_free struct digest *chain = mem_alloc_array(v->s->n + 1, sizeof(*chain));
	struct delta_side *best = NULL;
	size_t most = 0;

	if (!chain)
		return err_nomem(err);
	if (v->s->n > 0 && chain_ids(c->diff_ids, v->s->n, chain, err) < 0)
		return -1;
	for (size_t i = 0; i < v->n_olds; i++) {
		size_t n = common_chain(&v->olds[i].haves, chain, v->s->n);

		if (n > most) {
			most = n;
			best = &v->olds[i];
		}
	}
	for (size_t i = 0; i < most; i++)
		v->from[i] = best;
	return 0;
}

/* Whoever makes the image again finds layers by their DiffIDs, wherever they stand. */
static void leave_out_layers(struct delta_save *v)
{
	const struct config *c = v->s->im->config;

	for (size_t i = 0; i < v->s->n; i++)
		for (size_t k = 0; k < v->n_olds && !v->from[i]; k++)
			if (map_find(&v->olds[k].haves.diffs, span_str(c->diff_ids[i].text)))
				v->from[i] = &v->olds[k];
}

/* Is what has to be sent so much that reading a base for parts of it pays? Unknown sizes may be. */
static bool files_pay(const struct delta_save *v)
{
	int64_t sent = 0, limit = v->base_bytes / DELTA_FILES_PAY;

	for (size_t i = 0; i < v->s->n && sent <= limit; i++) {
		int64_t size = v->s->im->layers[i].blob.size;

		if (v->from[i])
			continue;
		if (size < 0 || size > limit)
			return true;
		sent += size;
	}
	return sent > limit;
}

/* ---- one layer's blob ---- */

struct proof {
	const struct digest *diff_id;
	int64_t size; /* out: of the tar */
};

static int prove(void *arg, struct source *copy, dray_error **err)
{
	struct proof *p = arg;
	cleanup_source struct source *s = source_decode_auto(source_lend(copy, err), NULL, err);

	s = source_verified(steal_pointer(&s), p->diff_id, -1, "DiffID", err);
	if (!s || source_drain(s, err) < 0)
		return -1;
	p->size = s->pos;
	return 0;
}

/* The stored bytes, held against DiffID and manifest; what is not compressed gets so. */
static struct source *open_blob(struct delta_save *v, size_t i, struct proof *p, dray_error **err)
{
	const struct encode_params gzip = { .encoding = ENCODING_GZIP };
	struct pool *pool = context_pool(v->ctx, err);
	struct source *s = pool ? stack_open_stored(v->s, i, err) : NULL;
	struct span head;
	bool plain;

	if (!s || source_peek(s, COMPRESSION_SNIFF, &head, err) < 0) {
		source_free(s);
		return NULL;
	}
	plain = compression_sniff(head) == COMPRESSION_NONE;
	if (stack_vouched(v->s, i))
		s = source_verified(s, &v->s->im->layers[i].blob.digest,
				    v->s->im->layers[i].blob.size, "blob digest", err);
	s = source_branch(s, prove, p, err);
	return plain ? source_encode(s, &gzip, pool, err) : s;
}

static int put_blob(struct delta_save *v, size_t i, struct delta_layer *l, dray_error **err)
{
	struct proof p = { .diff_id = &l->diff_id };
	char label[80];
	struct blob_put put = { .desc = { .size = -1 }, .label = label };
	struct source *s = open_blob(v, i, &p, err);

	snprintf(label, sizeof(label), "layer %zu of %zu", i + 1, v->s->n);
	if (!s)
		return err_ctx(err, "%s", label);
	if (dest_put_blob(v->dest, &put, s, &l->digest, &l->stored, err) < 0)
		return -1;
	l->size = p.size;
	l->from = DRAY_DELTA_BLOB;
	return 0;
}

static int put_layer(void *arg, size_t i, dray_error **err)
{
	struct delta_save *v = arg;
	struct dray_progress p = {
		.state = DRAY_PROGRESS_BEGIN,
		.id = context_progress_id(v->ctx),
		.total = v->s->im->layers[i].blob.size,
	};
	char label[80];
	int rc;

	snprintf(label, sizeof(label), "layer %zu of %zu", i + 1, v->s->n);
	p.label = label;
	context_progress(v->ctx, &p);
	rc = v->files ? delta_files_put(v, i, &v->doc.layers[i], err) : 0;
	if (rc == 0)
		rc = put_blob(v, i, &v->doc.layers[i], err);
	p.state = rc < 0 ? DRAY_PROGRESS_FAILED : DRAY_PROGRESS_DONE;
	context_progress(v->ctx, &p);
	return rc < 0 ? -1 : 0;
}

/* The layers that somebody has to be sent, by their DiffIDs. */
static int choose_layers(struct delta_save *v, dray_error **err)
{
	for (size_t i = 0; i < v->s->n; i++)
		if (!v->from[i] &&
		    map_put(&v->sent, span_str(v->doc.layers[i].diff_id.text), NULL, err) < 0)
			return -1;
	return 0;
}

/* Each once, bottom first. One that stands at two places goes in if one of them asks for it. */
static int put_layers(struct delta_save *v, dray_error **err)
{
	struct delta_layer *list = v->doc.layers;

	if (choose_layers(v, err) < 0)
		return -1;
	for (size_t i = 0; i < v->s->n; i++) {
		struct map_slot *slot = map_find(&v->sent, span_str(list[i].diff_id.text));
		const struct delta_layer *twin = slot ? slot->value : NULL;

		if (!slot)
			list[i].from = DRAY_DELTA_BASE;
		else if (twin)
			list[i] = *twin;
		else if (put_layer(v, i, err) < 0)
			return -1;
		else
			slot->value = &list[i];
	}
	return 0;
}

/* ---- save ---- */

static int open_image(struct delta_save *v, const char *image, dray_error **err)
{
	const struct stack_options o = {
		.lazy = true,
		.diff_ids = true,
		.keep_tars = v->o->level == DRAY_DELTA_FILE,
		.contents = v->o->level == DRAY_DELTA_FILE,
	};
	const struct dray_select sel = { .size = sizeof(sel), .image = v->o->image };
	struct delta_need tags = { 0 };

	if (stack_open(v->ctx, image, &sel, &o, &v->s, err) < 0)
		return -1;
	if (!v->s->im->config->has_diff_ids || v->s->im->config->n_diff_ids != v->s->n)
		return err_set(err, DRAY_ERR_FORMAT,
			       "%s: the config has no DiffIDs for its layers, so nothing says what "
			       "they must be",
			       v->s->im->where);
	v->doc.layers = arena_array(&v->doc.arena, v->s->n + 1, sizeof(*v->doc.layers));
	v->from = arena_array(&v->doc.arena, v->s->n + 1, sizeof(struct delta_side *));
	if (!v->doc.layers || !v->from)
		return err_nomem(err);
	if (copy_tags(&v->doc.arena, v->s->im, &tags, err) < 0)
		return -1;
	v->doc.tags = tags.tags;
	v->doc.n_tags = tags.n_tags;
	v->doc.n_layers = v->s->n;
	for (size_t i = 0; i < v->s->n; i++) {
		const struct layer *l = &v->s->im->layers[i];
		bool plain = l->has_compression && l->compression == COMPRESSION_NONE;

		v->doc.layers[i] = (struct delta_layer){
			.diff_id = v->s->im->config->diff_ids[i],
			.size = plain && !l->missing ? l->blob.size : -1,
		};
	}
	return 0;
}

static int open_output(struct delta_save *v, const char *output, dray_error **err)
{
	cleanup_place struct place p = { 0 };

	if (place_parse(output, PLACE_OUTPUT, &p, err) < 0)
		return -1;
	if (p.kind != PLACE_ARCHIVE || p.tag || p.has_at) {
		err_set(err, DRAY_ERR_USAGE, "%s: a delta is written to a file, or to - as a pipe",
			p.text);
		return err_hint(err, "dray copy then takes it to a registry or a layout");
	}
	v->dest = dest_docker_tar(p.path, v->ctx->tmpdir, v->o->no_clobber, err);
	return v->dest ? 0 : -1;
}

static int open_bases(struct delta_save *v, const char *const *bases, size_t n, dray_error **err)
{
	if (n == 0) {
		err_set(err, DRAY_ERR_USAGE, "what the other side has is missing");
		return err_hint(err, "--base IMAGE, or --base FILE of dray have");
	}
	for (size_t i = 0; i < n; i++)
		if (v->doc.level == DRAY_DELTA_FILE && strcmp(bases[i], "-") == 0)
			return err_set(err, DRAY_ERR_USAGE,
				       "level file reads a base more than once: not from a pipe");
	for (size_t i = 0; i < n; i++)
		if (add_base(v, bases[i], err) < 0)
			return err_ctx(err, "base");
	return 0;
}

static int write_delta(struct delta_save *v, const char *const *bases, size_t n, dray_error **err)
{
	bool files = v->doc.level == DRAY_DELTA_FILE;

	if (files)
		leave_out_layers(v);
	else if (leave_out_chain(v, err) < 0)
		return -1;
	if (files && files_pay(v) && delta_files_open(v, bases, n, err) < 0)
		return -1;
	if (put_layers(v, err) < 0)
		return -1;
	if (files)
		delta_files_finish(v);
	if (delta_put_documents(v, err) < 0 || (!files && delta_write_list(v, err) < 0) ||
	    dest_docker_tar_list(v->dest, span_buf(&v->list), err) < 0)
		return -1;
	return dest_finish(v->dest, err);
}

int dray_delta_save(dray_context *ctx, const char *image, const char *const *bases, size_t n,
		    const char *output, const struct dray_delta_options *o, dray_delta **ret,
		    dray_error **err)
{
	struct dray_delta_options own = DRAY_DELTA_OPTIONS_INIT;
	cleanup_delta_save struct delta_save v = { .ctx = ctx,
						   .o = options_take(&own, sizeof(own), o),
						   .bases = { .ctx = ctx, .contents = true } };
	dray_delta *told = NULL;

	v.doc.level = v.o->level ? v.o->level : DRAY_DELTA_LAYER;
	if (delta_bases_check("the image", image, bases, n, err) < 0 ||
	    open_output(&v, output, err) < 0 || open_bases(&v, bases, n, err) < 0 ||
	    open_image(&v, image, err) < 0 || write_delta(&v, bases, n, err) < 0)
		return -1;
	if (delta_tell(&v.doc, digest_set(&v.doc.manifest) ? stack_manifest(v.s) : NULL,
		       (int64_t)v.s->im->config->raw.len, &v.artifact->digest, v.stored, &told,
		       err) < 0)
		return -1;
	if (ret)
		*ret = told;
	else
		dray_delta_free(told);
	return 0;
}
