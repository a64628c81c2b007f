/* SPDX-License-Identifier: Apache-2.0
 *
 * One image to one destination: its layers by plan, then config, manifest and
 * tags, in that order. Relies on copy_plan.c and copy_blobs.c for the layers.
 * Promises that a tag never names something incomplete.
 */
#include "ops/copy_plan.h"

#include "base/limits.h"
#include "base/mem.h"
#include "remote/engine.h"

/* ---- documents ---- */

static const char *layer_media_type(bool docker, enum compression c)
{
	switch (c) {
	case COMPRESSION_GZIP:
		return docker ? MT_DOCKER_LAYER_GZIP : MT_OCI_LAYER_GZIP;
	case COMPRESSION_ZSTD:
		return docker ? MT_DOCKER_LAYER_ZSTD : MT_OCI_LAYER_ZSTD;
	default:
		return docker ? MT_DOCKER_LAYER : MT_OCI_LAYER;
	}
}

/* Nobody's bytes decide here: they may be elsewhere. Docker has no name for one in zstd. */
static const char *foreign_media_type(bool docker, const char *mt)
{
	enum compression c = compression_declared(mt);

	if (mediatype_is_docker(mt) == docker || (docker && c == COMPRESSION_ZSTD))
		return mt;
	if (c == COMPRESSION_GZIP)
		return docker ? MT_DOCKER_FOREIGN_GZIP : MT_OCI_FOREIGN_GZIP;
	return docker ? MT_DOCKER_FOREIGN : MT_OCI_FOREIGN;
}

/* Whose words beside the layers are those of the manifest that is written; NULL. */
static const struct manifest *manifest_like(const struct plan *p)
{
	if (p->im->made_from)
		return p->im->made_from;
	return has_vouched_manifest(p->c, p->im) ? p->im->manifest : NULL;
}

static int write_manifest(struct plan *p, struct manifest **ret, dray_error **err)
{
	const struct config *cfg = p->im->config;
	const struct manifest *like = manifest_like(p);
	struct descriptor config = {
		.media_type = p->docker ? MT_DOCKER_CONFIG : MT_OCI_CONFIG,
		.digest = cfg->digest,
		.size = (int64_t)cfg->raw.len,
		.annotations = like ? like->config.annotations : (struct json){ 0 },
	};
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	struct descriptor *layers = arena_array(p->arena, p->im->n_layers + 1, sizeof(*layers));

	if (!layers)
		return err_nomem(err);
	for (size_t i = 0; i < p->im->n_layers; i++) {
		const struct work *w = &p->work[p->of_layer[i]];
		const struct layer *l = &p->im->layers[i];
		bool foreign = mediatype_is_foreign(w->out.media_type);

		layers[i] = w->out;
		layers[i].media_type = foreign ? foreign_media_type(p->docker, w->out.media_type)
					       : layer_media_type(p->docker, w->compression);
		layers[i].recoded = w->convert;
		layers[i].annotations = json_node(l->annotations) ? l->annotations
								  : l->blob.annotations;
	}
	if (manifest_write(p->docker, &config, layers, p->im->n_layers, like, &raw, err) < 0)
		return -1;
	return manifest_parse(&raw, p->docker ? MT_DOCKER_MANIFEST : MT_OCI_MANIFEST, ret, err);
}

/* An artifact's config is whatever its manifest says. */
int copy_put_config(struct plan *p, dray_error **err)
{
	const struct config *cfg = p->im->config;
	const struct buf *raw = cfg ? &cfg->raw : &p->im->raw_config;
	const struct descriptor desc = {
		.digest = cfg ? cfg->digest : p->im->manifest->config.digest,
		.size = (int64_t)raw->len,
	};
	const char *how;
	int there;

	if (p->c->target->legacy) /* it comes with the manifest */
		return 0;
	there = copy_try_known(p->c, &desc.digest, desc.size, copy_neighbour(p->c), &how, err);

	if (there < 0)
		return -1;
	if (!there && dest_put_bytes(p->c->target->dest, &desc, span_buf(raw), err) < 0)
		return err_ctx(err, "config");
	return 0;
}

int copy_put_manifest(struct copy *c, const struct manifest *m, const char *const *tags,
		      size_t n_tags, dray_error **err)
{
	struct target *t = c->target;

	c->put = (struct put){ m->digest, (int64_t)m->raw.len, m->media_type };
	if (n_tags == 0)
		return dest_put_manifest(t->dest, m, NULL, err);
	for (size_t i = 0; i < n_tags; i++)
		if (dest_put_manifest(t->dest, m, tags[i], err) < 0)
			return -1;
	return 0;
}

int copy_put_root(struct copy *c, const struct manifest *m, const char *const *tags, size_t n_tags,
		  dray_error **err)
{
	const struct digest *pinned = &c->target->pinned;

	if (!c->below && digest_set(pinned) &&
	    digest_expect(pinned, &m->digest, "manifest digest", err) < 0)
		return err_hint(err, "a reference with a digest takes that manifest only");
	if (!c->below && c->target->oci && mediatype_is_docker(m->media_type))
		context_log(c->ctx, DRAY_LOG_INFO,
			    "%s: a manifest of Docker's, and skopeo, umoci and others read OCI's "
			    "there alone; --format oci converts it",
			    c->target->dest->place);
	return copy_put_manifest(c, m, tags, n_tags, err);
}

int copy_is_tagged(const struct copy *c, const struct digest *d, const char *const *tags,
		   size_t n_tags, dray_error **err)
{
	const struct target *t = c->target;
	int there = 1;

	if (!t->remote || c->store->kind != STORE_REGISTRY || n_tags == 0 ||
	    c->wishes.compression_asked || c->wishes.format_asked)
		return 0;
	if (digest_set(&t->pinned) && !digest_eq(&t->pinned, d))
		return 0; /* an error, but not ours */
	for (size_t i = 0; i < n_tags && there > 0; i++) {
		struct digest now;

		there = remote_head_manifest(t->remote, tags[i], &now, err);
		if (there > 0)
			there = digest_eq(&now, d);
	}
	return there;
}

/* ---- the result ---- */

/* The first name that an engine takes from @p tags; a warning when they hold none. */
static int name_at_engine(const struct copy *c, const char *const *tags, size_t n_tags,
			  struct arena *a, const char **ret, dray_error **err)
{
	*ret = NULL;
	for (size_t i = 0; i < n_tags && !*ret; i++)
		if (engine_name(a, tags[i], ret, err) < 0)
			return -1;
	if (n_tags && !*ret)
		context_log(c->ctx, DRAY_LOG_WARNING,
			    "\"%.128s\" is no image name: the engine may have none for it; say "
			    "docker-daemon:NAME:TAG",
			    tags[0]);
	return 0;
}

/* "PLACE@DIGEST"; of an engine "docker-daemon:NAME@ID", by the name that it took. */
static int name_result(const struct copy *c, const char *digest, const char *const *tags,
		       size_t n_tags, struct arena *a, struct dray_copied *ret, dray_error **err)
{
	const struct target *t = c->target;
	const char *place = t->repository ? t->repository : t->dest->place;
	const char *name = n_tags ? tags[0] : NULL, *at = NULL;

	if (t->engine) {
		if (name_at_engine(c, tags, n_tags, a, &name, err) < 0)
			return -1;
		at = name;
	}
	ret->reference = arena_printf(a, "%s%s%s@%s", place, at ? ":" : "", at ? at : "", digest);
	if (name) {
		ret->tagged = arena_printf(a, "%s:%s", place, name);
		if (!ret->tagged)
			return err_nomem(err);
	}
	return ret->reference ? 0 : err_nomem(err);
}

int copy_tell(const struct copy *c, const struct manifest *m, const char *image_id,
	      const char *const *tags, size_t n_tags, struct arena *a, struct dray_copied *ret,
	      dray_error **err)
{
	const struct target *t = c->target;
	bool by_id = (t->archive || t->engine) && image_id;

	*ret = (struct dray_copied){
		.manifest_digest = arena_strdup(a, m->digest.text),
		.image_id = image_id ? arena_strdup(a, image_id) : NULL,
		.blobs_sent = c->blobs_sent,
		.blobs_skipped = c->blobs_skipped,
		.bytes_sent = c->bytes_sent,
		.kind = m->kind == MANIFEST_INDEX ? "index"
			: image_id		  ? "image"
						  : "artifact",
	};
	if (!ret->manifest_digest || (image_id && !ret->image_id))
		return err_nomem(err);
	return name_result(c, by_id ? image_id : m->digest.text, tags, n_tags, a, ret, err);
}

static int tell(struct plan *p, const struct manifest *m, const char *const *tags, size_t n_tags,
		struct dray_copied *ret, dray_error **err)
{
	const char **changes = arena_array(p->arena, p->n_changes + 1, sizeof(*changes));
	const char *id = p->im->config ? p->im->config->digest.text : NULL;

	if (!changes)
		return err_nomem(err);
	if (copy_tell(p->c, m, id, tags, n_tags, p->arena, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < p->n_changes; i++)
		changes[i] = p->changes[i];
	ret->changes = changes;
	ret->n_changes = p->n_changes;
	return 0;
}

/* Something has to vouch for the layers: a stored manifest, or the DiffIDs of the config. */
static int check_vouched(const struct copy *c, const struct image *im, dray_error **err)
{
	if (has_vouched_manifest(c, im) || im->config->has_diff_ids || im->n_layers == 0)
		return 0;
	return err_set(err, DRAY_ERR_FORMAT,
		       "%s: the config has no rootfs.diff_ids, so nothing "
		       "says what its layers must be",
		       im->where);
}

static int check_image(const struct copy *c, struct image *im, dray_error **err)
{
	if (place_require_whole(c->store, im, err) < 0)
		return -1;
	if (im->manifest && manifest_is_artifact(im->manifest))
		return 0;
	if (!im->config)
		return err_set(err, DRAY_ERR_FORMAT, "%s has no readable config", im->where);
	return check_vouched(c, im, err);
}

/* Who refers to an image names its digest. */
static int note_kept(const struct plan *p, dray_error **err)
{
	if (p->keep_manifest)
		return copy_note_kept(p->c, &p->im->manifest->digest, err);
	if (p->im->manifest && p->c->wishes.o->referrers)
		context_log(p->c->ctx, DRAY_LOG_WARNING,
			    "%s: converted, and what refers to the original stays behind",
			    p->im->where);
	return 0;
}

/* Kept all the same: digests are what the archive is for, and newer engines read it. */
static void warn_zstd(const struct plan *p)
{
	const struct target *t = p->c->target;

	for (size_t w = 0; t->archive && t->takes_plain && w < p->n_work; w++)
		if (p->work[w].compression == COMPRESSION_ZSTD) {
			context_log(p->c->ctx, DRAY_LOG_WARNING,
				    "%s: layers in zstd, which docker load before 23.0 does not "
				    "read; --compression gzip converts them",
				    p->im->where);
			return;
		}
}

/* The manifest, in an index where that was asked for: *ret_index, else NULL. */
static int put_top(struct plan *p, const struct manifest *m, struct manifest **ret_index,
		   const char *const *tags, size_t n_tags, dray_error **err)
{
	if (!json_node(p->im->around))
		return copy_put_root(p->c, m, tags, n_tags, err);
	if (copy_within(p, m, ret_index, err) < 0 || copy_put_manifest(p->c, m, NULL, 0, err) < 0)
		return -1;
	return copy_put_root(p->c, *ret_index, tags, n_tags, err);
}

int copy_image(struct copy *c, struct image *im, const char *const *tags, size_t n_tags,
	       struct arena *result, struct dray_copied *ret, dray_error **err)
{
	struct plan p = {
		.c = c,
		.im = im,
		.arena = result,
		.verbatim = c->as_is || im->attestation || im->artifact,
	};
	cleanup_manifest struct manifest *made = NULL, *index = NULL;
	const struct manifest *m;
	int there;

	if (check_image(c, im, err) < 0)
		return -1;
	there = im->manifest ? copy_is_tagged(c, &im->manifest->digest, tags, n_tags, err) : 0;
	if (there < 0)
		return -1;
	if (there) {
		p.keep_manifest = true;
		c->blobs_skipped += (int64_t)im->n_layers;
		return note_kept(&p, err) < 0 ? -1 : tell(&p, im->manifest, tags, n_tags, ret, err);
	}
	if (plan_layers(&p, err) < 0)
		return -1;
	if (move_layers(&p, err) < 0)
		return -1;
	plan_manifest(&p);
	warn_zstd(&p);
	if (!p.keep_manifest && write_manifest(&p, &made, err) < 0)
		return -1;
	m = p.keep_manifest ? im->manifest : made;
	if ((!p.config_done && copy_put_config(&p, err) < 0) ||
	    put_top(&p, m, &index, tags, n_tags, err) < 0 || note_kept(&p, err) < 0)
		return -1;
	if (c->target->legacy && im->config && !im->attestation &&
	    dest_legacy_tar_config(c->target->dest, m, im->config, err) < 0)
		return err_ctx(err, "%s", im->where);
	return tell(&p, index ? index : m, tags, n_tags, ret, err);
}
