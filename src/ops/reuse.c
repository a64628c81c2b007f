/* SPDX-License-Identifier: Apache-2.0
 *
 * What the destination holds already, learnt from the image that is there or from another one.
 * Relies on a manifest and its config agreeing on the number of layers.
 * Promises that a layer is only reused by its DiffID.
 */
#include "ops/copy_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "ops/v1origin.h"

#define INDEX_IMAGES_MAX 8 /* of an index that are looked at: Windows has some for a platform */

static int add(struct reuse *r, const struct digest *diff_id, const struct descriptor *blob,
	       const char *from, dray_error **err)
{
	struct reused *u;

	if (map_get(&r->by_diff_id, span_str(diff_id->text)))
		return 0;
	u = arena_alloc(&r->arena, sizeof(*u));
	if (!u)
		return err_nomem(err);
	*u = (struct reused){
		.diff_id = *diff_id,
		.blob_digest = blob->digest,
		.size = blob->size,
		.from = from,
		.compression = compression_declared(blob->media_type),
	};
	return map_put(&r->by_diff_id, span_str(u->diff_id.text), u, err);
}

/* Remember the names that one rule of docker save gives to these layers. */
static int add_names(struct reuse *r, const struct config *c, const struct v1_params *p, v1_id *ids,
		     dray_error **err)
{
	if (v1_ids_docker(c, p, ids, NULL) < 0)
		return 0; /* a config that has no such names */
	for (size_t i = 0; i < c->n_diff_ids; i++) {
		struct reused *u = map_get(&r->by_diff_id, span_str(c->diff_ids[i].text));
		const char *name = u ? arena_strdup(&r->arena, ids[i]) : NULL;

		if (u && (!name || map_put(&r->by_v1_id, span_str(name), u, err) < 0))
			return name ? -1 : err_nomem(err);
	}
	return 0;
}

int reuse_learn_names(struct reuse *r, dray_error **err)
{
	static const struct v1_params eras[] = {
		{ .era = V1_ERA_EPOCH },
		{ .era = V1_ERA_EPOCH, .no_variant = true },
		{ .era = V1_ERA_EPOCH, .created_null = true },
		{ .era = V1_ERA_ZERO },
		{ .era = V1_ERA_IMAGE },
	};
	cleanup_config struct config *c = steal_pointer(&r->config);
	cleanup_free v1_id *ids = NULL;

	if (!c)
		return 0;
	ids = mem_alloc_array(c->n_diff_ids + 1, sizeof(*ids));
	if (!ids)
		return err_nomem(err);
	for (size_t i = 0; i < ARRAY_LEN(eras); i++)
		if (add_names(r, c, &eras[i], ids, err) < 0)
			return -1;
	for (int off = ZONE_MIN; off <= ZONE_MAX && c->n_diff_ids <= ZONE_LAYERS_MAX;
	     off += ZONE_STEP) {
		const struct v1_params p = { .era = V1_ERA_EPOCH, .off_min = off };

		if (off != 0 && add_names(r, c, &p, ids, err) < 0)
			return -1;
	}
	return 0;
}

/* Pair layers and DiffIDs of the image that is there. */
static int pair(struct reuse *r, const struct manifest *m, const struct config *c, const char *from,
		dray_error **err)
{
	if (m->n_entries != c->n_diff_ids)
		return 0;
	for (size_t i = 0; i < m->n_entries; i++)
		if (!mediatype_is_foreign(m->entries[i].media_type) &&
		    add(r, &c->diff_ids[i], &m->entries[i], from, err) < 0)
			return -1;
	return 0;
}

static int learn_image(struct remote *remote, const struct manifest *m, const char *from,
		       struct reuse *r, dray_error **err)
{
	cleanup_config struct config *c = NULL;
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);

	if (m->kind != MANIFEST_IMAGE || manifest_is_artifact(m))
		return 0;
	if (remote_get_blob(remote, &m->config, LIMIT_CONFIG, &raw, err) < 0 ||
	    config_parse(&raw, &c, err) < 0)
		return -1;
	if (pair(r, m, c, from, err) < 0)
		return -1;
	if (!r->config) /* what names old archives give the layers is asked of one image */
		r->config = steal_pointer(&c);
	return 0;
}

static bool is_alone(const struct manifest *index)
{
	size_t images = 0;

	for (size_t i = 0; i < index->n_entries; i++)
		images += !descriptor_is_attestation(&index->entries[i]);
	return images == 1;
}

/* Of an index the images that a source would be chosen from. */
static int learn_index(dray_context *ctx, struct remote *remote, const struct manifest *index,
		       const char *from, struct reuse *r, dray_error **err)
{
	const struct selector sel = { .platform = ctx->platform,
				      .more = ctx->more,
				      .n_more = ctx->n_more };
	bool any = is_alone(index) && !sel.platform.os;
	/* What is copied whole seldom needs it: its layers are there by their digests, or not. */
	size_t left = ctx->all_platforms ? 0 : INDEX_IMAGES_MAX;

	for (size_t i = 0; i < index->n_entries && left > 0; i++) {
		const struct descriptor *d = &index->entries[i];
		cleanup_manifest struct manifest *m = NULL;

		if (descriptor_is_attestation(d) ||
		    (!any && !(d->has_platform && selector_wants(&sel, &d->platform))))
			continue;
		if (remote_get_manifest(remote, d->digest.text, &m, err) < 0 ||
		    learn_image(remote, m, from, r, err) < 0)
			return -1;
		left--;
	}
	return 0;
}

static int learn(dray_context *ctx, struct remote *remote, const char *tag, const char *from,
		 struct reuse *r, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;

	if (remote_get_manifest(remote, tag, &m, err) < 0)
		return -1;
	return m->kind == MANIFEST_INDEX ? learn_index(ctx, remote, m, from, r, err)
					 : learn_image(remote, m, from, r, err);
}

/* Any repository of the same registry. */
static int learn_other(dray_context *ctx, const struct target *t, const struct reference *ref,
		       struct reuse *r, dray_error **err)
{
	cleanup_remote struct remote *remote = NULL;
	cleanup_free char *repository = mem_printf("%s/%s", ref->domain, ref->path);
	const char *from = NULL;

	if (!repository)
		return err_nomem(err);
	if (strcmp(repository, t->repository) != 0) {
		from = arena_strdup(&r->arena, ref->path);
		if (!from)
			return err_nomem(err);
	}
	if (remote_open(ref, false, &ctx->remote, &remote, err) < 0)
		return -1;
	return learn(ctx, remote, digest_set(&ref->digest) ? ref->digest.text : ref->tag, from, r,
		     err);
}

/* --reuse REF */
static int learn_named(dray_context *ctx, const struct target *t, const char *text, struct reuse *r,
		       dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	const char *bare = span_starts(span_str(text), "docker://") ? text + 9 : text;

	if (reference_parse(span_str(bare), &ref, err) < 0 || reference_default_tag(&ref, err) < 0)
		return -1;
	if (strcmp(ref.domain, t->host) != 0)
		return err_set(err, DRAY_ERR_USAGE,
			       "--reuse: expected an image on %s, got one on %s", t->host,
			       ref.domain);
	return learn_other(ctx, t, &ref, r, err);
}

/* Nobody named it as what has the layers: nothing there, or nothing that helps, is no failure. */
static int do_without(dray_context *ctx, dray_error **ignored, dray_error **err)
{
	switch (dray_error_kind(*ignored)) {
	case DRAY_ERR_CANCELLED:
	case DRAY_ERR_DENIED:
	case DRAY_ERR_NOMEM:
		if (err)
			*err = steal_pointer(ignored);
		return -1;
	default:
		context_log(ctx, DRAY_LOG_DEBUG, "no layers to reuse: %s",
			    dray_error_message(*ignored));
		return 0;
	}
}

int reuse_load(dray_context *ctx, const struct target *t, const struct wishes *w, const char *tag,
	       struct reuse *ret, dray_error **err)
{
	cleanup_error dray_error *ignored = NULL;

	if (!t->remote || w->o->no_reuse)
		return 0;
	if (w->o->reuse)
		return learn_named(ctx, t, w->o->reuse, ret, err) < 0 ? err_ctx(err, "--reuse") : 0;
	if (!tag || learn(ctx, t->remote, tag, NULL, ret, &ignored) == 0)
		return 0;
	return do_without(ctx, &ignored, err);
}

int reuse_also(struct copy *c, const char *image, dray_error **err)
{
	const struct target *t = c->target;
	const struct dray_copy_options *o = c->wishes.o;
	cleanup_place struct place p = { 0 };
	cleanup_error dray_error *ignored = NULL;

	if (!t->remote || o->reuse || o->no_reuse)
		return 0;
	if (place_parse(image, PLACE_READ, &p, err) < 0)
		return -1;
	if (p.kind != PLACE_REGISTRY || strcmp(p.ref.domain, t->host) != 0)
		return 0;
	if (reference_default_tag(&p.ref, err) < 0)
		return -1;
	if (learn_other(c->ctx, t, &p.ref, &c->reuse, &ignored) == 0)
		return 0;
	return do_without(c->ctx, &ignored, err);
}

static const struct reused *suits(const struct reused *u, const struct wishes *w)
{
	if (u && w->compression_asked && u->compression != encoding_compression(w->encode.encoding))
		return NULL;
	/* Docker's manifests know no zstd. */
	if (u && w->format_asked && w->docker && u->compression == COMPRESSION_ZSTD)
		return NULL;
	return u;
}

const struct reused *reuse_find(const struct reuse *r, const struct digest *diff_id,
				const struct wishes *w)
{
	if (!digest_set(diff_id))
		return NULL;
	return suits(map_get(&r->by_diff_id, span_str(diff_id->text)), w);
}

/* "blobs/sha256/HEX", "HEX.tar", "HEX/layer.tar": the part that is 64 hex digits. */
static bool member_hex(const char *member, struct span *ret)
{
	struct span s = span_str(member);
	struct span dir = s;
	int64_t slash;

	if (span_ends(dir, "/layer.tar")) {
		dir.len -= strlen("/layer.tar");
		s = dir;
	}
	while ((slash = span_find(s, '/')) >= 0)
		s = span_from(s, (size_t)slash + 1);
	if (span_ends(s, ".tar"))
		s.len -= strlen(".tar");
	*ret = s;
	return hex_is_lower(s, DIGEST_HEX_SHA256);
}

bool reuse_member_digest(const char *member, struct digest *ret)
{
	struct span hex;

	return member_hex(member, &hex) && digest_from_hex(hex, ret, NULL) == 0;
}

const struct reused *reuse_guess(const struct reuse *r, const char *member, const struct wishes *w)
{
	struct digest as_diff_id;
	struct span hex;
	const struct reused *u;

	if (!member_hex(member, &hex) || digest_from_hex(hex, &as_diff_id, NULL) < 0)
		return NULL;
	u = reuse_find(r, &as_diff_id, w);
	return u ? u : suits(map_get(&r->by_v1_id, hex), w);
}

void reuse_clear(struct reuse *r)
{
	config_free(r->config);
	map_clear(&r->by_diff_id);
	map_clear(&r->by_v1_id);
	arena_clear(&r->arena);
	*r = (struct reuse){ 0 };
}
