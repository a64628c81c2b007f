/* SPDX-License-Identifier: Apache-2.0
 *
 * One image to one destination: plan its layers, move the distinct ones side by
 * side, then config, manifest and tags, in that order. Relies on ops/transfer for
 * bytes and ops/reuse for what is there. Promises that a tag never names
 * something incomplete and that stored manifest bytes are kept unless a layer,
 * or the user, forces another manifest - and that this is said.
 */
#include "ops/copy_priv.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

#define CACHE_TRIES 8	/* cache entries looked at per layer */

/* One distinct layer. */
struct work {
	size_t layer;			/* first layer of the image that needs it */
	bool convert;
	bool done;			/* out is known, nothing to move */
	struct descriptor out;
	enum compression found;		/* as stored at the source */
	enum compression compression;	/* as it is at the destination */
};

struct plan {
	struct copy *c;
	struct image *im;
	struct arena *arena;		/* the result's */
	struct work *work;
	size_t n_work;
	size_t *of_layer;		/* layer -> index into work */
	size_t *order;			/* big ones first */
	bool keep_manifest;
	bool docker;			/* format of a manifest we write */
	const char *changes[4];
	size_t n_changes;
};

/*
 * What the documents of a file name and the file does not hold breaks its format;
 * NOT_FOUND is for what the user named, and for registries, where it may come yet.
 */
static int absent(const struct copy *c, dray_error **err)
{
	if (err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND && c->store->kind != STORE_REGISTRY)
		err_rekind(err, DRAY_ERR_FORMAT);
	return -1;
}

/* ---- planning ---- */

static bool has_vouched_manifest(const struct copy *c, const struct image *im)
{
	return im->manifest &&
	       (c->store->kind != STORE_DOCKER_ARCHIVE || im->manifest_trusted);
}

bool must_convert(const struct copy *c, enum compression found, bool manifest_vouches,
		  bool engine_archive)
{
	if (c->wishes.compression_asked)
		return found != encoding_compression(c->wishes.encode.encoding);
	switch (found) {
	case COMPRESSION_GZIP:
		return false;
	case COMPRESSION_ZSTD:
		return c->wishes.format_asked && c->wishes.docker;
	case COMPRESSION_NONE:
		/* What an engine saved is uncompressed by accident of storage, not by
		 * anybody's choice: a registry gets it compressed. */
		return !manifest_vouches || (engine_archive && c->target->dest->wants_compressed);
	default:
		return true;
	}
}

static void change(struct plan *p, const char *sentence)
{
	for (size_t i = 0; i < p->n_changes; i++)
		if (strcmp(p->changes[i], sentence) == 0)
			return;
	if (p->n_changes < ARRAY_LEN(p->changes))
		p->changes[p->n_changes++] = sentence;
}

/* The compression of stored bytes: looked up, sniffed, or what a manifest's media type says. */
static int found_compression(struct copy *c, struct image *im, size_t i, enum compression *ret,
			     dray_error **err)
{
	const struct layer *l = &im->layers[i];
	cleanup_source struct source *s = NULL;
	struct span head;

	if (l->has_compression) {
		*ret = l->compression;
		return 0;
	}
	if (l->facts) {
		*ret = l->facts->compression;
		return 0;
	}
	if (l->blob.media_type && has_vouched_manifest(c, im)) {
		*ret = compression_declared(l->blob.media_type);
		return 0;
	}
	s = store_open_layer(c->store, im, i, err);
	if (!s)
		return absent(c, err);
	if (source_peek(s, COMPRESSION_SNIFF, &head, err) < 0)
		return -1;
	*ret = compression_sniff(head);
	return 0;
}

/*
 * What makes two layers the same work: the blob where a manifest vouches for it,
 * else the DiffID, else the place of the bytes.
 */
static int twin_key(const struct plan *p, const struct layer *l, struct span *ret,
		    dray_error **err)
{
	bool vouched = has_vouched_manifest(p->c, p->im) && digest_set(&l->blob.digest);
	char *key;

	if (vouched || !digest_set(&l->diff_id))
		key = arena_printf(p->arena, "%s %s %llu", l->diff_id.text,
				   vouched ? l->blob.digest.text : "",
				   vouched ? 0ULL : (unsigned long long)l->handle);
	else
		key = arena_printf(p->arena, "%s", l->diff_id.text);
	if (!key)
		return err_nomem(err);
	*ret = span_str(key);
	return 0;
}

static int plan_work(struct plan *p, size_t layer, struct work *w, dray_error **err)
{
	struct layer *l = &p->im->layers[layer];
	bool vouched = has_vouched_manifest(p->c, p->im);

	*w = (struct work){ .layer = layer };
	if (l->missing && mediatype_is_foreign(l->blob.media_type) && vouched) {
		w->out = l->blob; /* fetched from its urls by whoever runs the image */
		w->done = true;
		return 0;
	}
	if (found_compression(p->c, p->im, layer, &w->found, err) < 0)
		return -1;
	w->compression = w->found;
	w->convert = must_convert(p->c, w->compression, vouched,
				  p->c->store->kind == STORE_DOCKER_ARCHIVE);
	w->out = l->blob;
	return 0;
}

static int bigger_first(const void *a, const void *b, void *arg)
{
	const struct plan *p = arg;
	size_t i = *(const size_t *)a, k = *(const size_t *)b;
	int64_t x = p->im->layers[p->work[i].layer].blob.size;
	int64_t y = p->im->layers[p->work[k].layer].blob.size;

	return x != y ? (x < y ? 1 : -1) : (i > k) - (i < k);
}

static int plan_layers(struct plan *p, dray_error **err)
{
	size_t n = p->im->n_layers;
	struct map seen = { 0 };
	int failed = -1;

	p->work = arena_array(p->arena, n + 1, sizeof(*p->work));
	p->of_layer = arena_array(p->arena, n + 1, sizeof(*p->of_layer));
	p->order = arena_array(p->arena, n + 1, sizeof(*p->order));
	if (!p->work || !p->of_layer || !p->order)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		struct span key;
		struct map_slot *twin;

		if (twin_key(p, &p->im->layers[i], &key, err) < 0)
			goto out;
		twin = map_find(&seen, key);
		if (twin) {
			p->of_layer[i] = (size_t)(uintptr_t)twin->value;
			continue;
		}
		p->of_layer[i] = p->n_work;
		p->order[p->n_work] = p->n_work;
		if (map_put(&seen, key, (void *)(uintptr_t)p->n_work, err) < 0 ||
		    plan_work(p, i, &p->work[p->n_work++], err) < 0)
			goto out;
	}
	qsort_r(p->order, p->n_work, sizeof(*p->order), bigger_first, p);
	failed = 0;
out:
	map_clear(&seen);
	return failed;
}

/* Why a stored manifest could not be kept, in the words of the first cause. */
static const char *why_converted(const struct plan *p)
{
	enum compression found = COMPRESSION_NONE;

	if (p->c->wishes.compression_asked)
		return "layers are recompressed as asked: another manifest digest, the same image ID";
	for (size_t w = 0; w < p->n_work && found == COMPRESSION_NONE; w++)
		if (p->work[w].convert)
			found = p->work[w].found;
	switch (found) {
	case COMPRESSION_NONE:
		return "layers are uncompressed in the archive and are compressed for the registry: "
		       "another manifest digest, the same image ID";
	case COMPRESSION_ZSTD:
		return "layers in zstd become gzip, since Docker's manifests know no zstd: another "
		       "manifest digest, the same image ID";
	default:
		return "layers in a compression that engines do not read become gzip: another "
		       "manifest digest, the same image ID";
	}
}

/* Keep the stored manifest, or write one; and in which family. */
static void plan_manifest(struct plan *p)
{
	const struct copy *c = p->c;
	const struct manifest *m = has_vouched_manifest(c, p->im) ? p->im->manifest : NULL;
	bool zstd = false, converted = false;

	for (size_t w = 0; w < p->n_work; w++) {
		converted = converted || p->work[w].convert;
		zstd = zstd || p->work[w].compression == COMPRESSION_ZSTD;
	}
	if (c->wishes.compression_asked && c->wishes.encode.encoding == ENCODING_ZSTD)
		zstd = true;
	if (c->wishes.format_asked)
		p->docker = c->wishes.docker;
	else if (m)
		p->docker = mediatype_is_docker(m->media_type);
	else
		p->docker = c->target->remote && !zstd;
	p->keep_manifest = m && !converted && mediatype_is_docker(m->media_type) == p->docker;
	if (!m || p->keep_manifest)
		return;
	change(p, converted ? why_converted(p)
			    : "the manifest is converted as asked: another manifest digest, the "
			      "same image ID");
}

/* ---- blobs that are there already ---- */

int copy_try_known(struct copy *c, const struct digest *d, int64_t size, const char *from,
		   const char **ret_how, dray_error **err)
{
	const struct descriptor desc = { .digest = *d, .size = size };
	int there = dest_has_blob(c->target->dest, &desc, err);

	*ret_how = "exists";
	if (there != 0 || !from)
		return there;
	*ret_how = "mounted";
	return remote_mount(c->target->remote, d, from, err);
}

/* "host/path" seen in the cache: the path, when it is another repository of our registry. */
static const char *mountable(const struct target *t, const char *repository)
{
	size_t host = strlen(t->host);

	if (strcmp(repository, t->repository) == 0 || strncmp(repository, t->host, host) != 0 ||
	    repository[host] != '/')
		return NULL;
	return repository + host + 1;
}

static void take(struct work *w, const struct digest *d, int64_t size, enum compression c)
{
	w->out.digest = *d;
	w->out.size = size;
	w->compression = c;
	w->done = true;
}

/* Any cached blob that this encoder would make from the layer? 1 found, 0, -1. */
static int try_cache(struct plan *p, struct work *w, const char **ret_how, dray_error **err)
{
	struct copy *c = p->c;
	const struct layer *l = &p->im->layers[w->layer];
	struct blobcache_entry seen[CACHE_TRIES];
	size_t n;

	if (!c->target->remote || !digest_set(&l->diff_id))
		return 0;
	n = blobcache_find(c->cache, &l->diff_id, c->target->host, seen, CACHE_TRIES);
	for (size_t i = 0; i < n; i++) {
		bool wanted = w->convert ? strcmp(seen[i].encoder, c->wishes.encoder) == 0
					 : digest_eq(&seen[i].blob_digest, &l->blob.digest);
		int there;

		if (!wanted)
			continue;
		there = copy_try_known(c, &seen[i].blob_digest, seen[i].blob_size,
				  mountable(c->target, seen[i].repository), ret_how, err);
		if (there < 0)
			return -1;
		if (there) {
			take(w, &seen[i].blob_digest, seen[i].blob_size, seen[i].compression);
			return 1;
		}
		blobcache_forget(c->cache, &seen[i].blob_digest, seen[i].repository);
	}
	return 0;
}

static int try_reuse(struct plan *p, struct work *w, const char **ret_how, dray_error **err)
{
	struct copy *c = p->c;
	const struct reused *u =
		reuse_find(&c->reuse, &p->im->layers[w->layer].diff_id, &c->wishes);
	int there;

	if (!u || !w->convert)
		return 0;
	there = copy_try_known(c, &u->blob_digest, u->size, u->from, ret_how, err);
	if (there <= 0)
		return there;
	*ret_how = "reused";
	take(w, &u->blob_digest, u->size, u->compression);
	return 1;
}

/* 1 = nothing to send, *ret_how says why. */
static int already_there(struct plan *p, struct work *w, const char **ret_how, dray_error **err)
{
	const struct layer *l = &p->im->layers[w->layer];
	int there = 0;

	if (!w->convert && digest_set(&l->blob.digest)) {
		there = copy_try_known(p->c, &l->blob.digest, l->blob.size, NULL, ret_how, err);
		if (there > 0)
			take(w, &l->blob.digest, l->blob.size, w->compression);
	}
	if (there == 0)
		there = try_reuse(p, w, ret_how, err);
	if (there == 0)
		there = try_cache(p, w, ret_how, err);
	return there;
}

/* ---- moving ---- */

static void remember_in_cache(struct plan *p, const struct work *w)
{
	struct copy *c = p->c;
	const struct layer *l = &p->im->layers[w->layer];
	struct blobcache_entry e = {
		.blob_digest = w->out.digest,
		.blob_size = w->out.size,
		.compression = w->compression,
	};

	/* Only what we have proven: a converted layer's DiffID was checked on the way. */
	if (!c->target->remote || !w->convert || !digest_set(&l->diff_id))
		return;
	snprintf(e.encoder, sizeof(e.encoder), "%s", c->wishes.encoder);
	if ((size_t)snprintf(e.repository, sizeof(e.repository), "%s", c->target->repository) <
	    sizeof(e.repository))
		blobcache_add(c->cache, &l->diff_id, &e);
}

static int send(struct plan *p, struct work *w, const char *label, dray_error **err)
{
	struct copy *c = p->c;
	const struct layer *l = &p->im->layers[w->layer];
	const struct layer_opener from = { c->store, p->im, w->layer };
	struct transferred out;
	struct transfer t = {
		.ctx = c->ctx,
		.dest = c->target->dest,
		.label = label,
		.total = l->blob.size,
		.blob_digest = l->blob.digest,
		.blob_size = digest_set(&l->blob.digest) ? l->blob.size : -1,
		.diff_id = l->diff_id,
		.how = { w->convert, c->wishes.encode },
	};

	if (transfer_layer(&t, &from, &out, err) < 0)
		return -1;
	take(w, &out.digest, out.size, out.compression);
	copy_count_sent(c, out.size);
	remember_in_cache(p, w);
	return 0;
}

static int move_one(void *arg, size_t index, dray_error **err)
{
	struct plan *p = arg;
	struct work *w = &p->work[p->order[index]];
	const struct layer *l = &p->im->layers[w->layer];
	const struct digest *d = digest_set(&l->diff_id) ? &l->diff_id : &l->blob.digest;
	const char *how = NULL;
	char label[80];
	int there;

	if (w->done)
		return 0;
	snprintf(label, sizeof(label), "layer %zu/%zu %.19s", w->layer + 1, p->im->n_layers,
		 d->text);
	there = already_there(p, w, &how, err);
	if (there > 0) {
		copy_count_skipped(p->c, label, how);
		return 0;
	}
	if (there == 0 && l->missing) {
		err_set(err, DRAY_ERR_NOT_FOUND, "layer %zu of %zu (%s) is not in %s",
			w->layer + 1, p->im->n_layers, l->path ? l->path : d->text,
			p->c->store->place);
		return absent(p->c, err);
	}
	if (there < 0 || send(p, w, label, err) < 0)
		return err_ctx(err, "layer %zu of %zu", w->layer + 1, p->im->n_layers);
	return 0;
}

static const struct passed *find_passed(const struct copy *c, const struct layer *l)
{
	return l->facts ? map_get(&c->passed, span_str(l->facts->blob_digest.text)) : NULL;
}

/* What passed by on the walk, held against what the documents say it is. */
static int settle_passed(struct plan *p, struct work *w, const struct passed *seen,
			 dray_error **err)
{
	const struct layer *l = &p->im->layers[w->layer];

	if (has_vouched_manifest(p->c, p->im) && digest_set(&l->blob.digest) &&
	    digest_expect(&l->blob.digest, &seen->facts.blob_digest, "blob digest", err) < 0)
		return -1;
	if (digest_set(&l->diff_id) &&
	    digest_expect(&l->diff_id, &seen->facts.diff_id, "DiffID", err) < 0)
		return -1;
	if (seen->converted_unasked && p->c->store->kind != STORE_DOCKER_ARCHIVE) {
		err_set(err, DRAY_ERR_UNSUPPORTED,
			"it is uncompressed, and a pipe names its manifest too late to keep it so");
		return err_hint(err, "give the archive as a file, or choose --compression");
	}
	w->convert = !digest_eq(&seen->out.digest, &seen->facts.blob_digest);
	take(w, &seen->out.digest, seen->out.size, seen->out.compression);
	if (w->convert)
		remember_in_cache(p, w);
	return 0;
}

/* After a walk: most layers are there already; what the walk kept in memory is moved now. */
static int settle(void *arg, size_t index, dray_error **err)
{
	struct plan *p = arg;
	struct work *w = &p->work[p->order[index]];
	const struct passed *seen = find_passed(p->c, &p->im->layers[w->layer]);

	if (!seen || w->done)
		return move_one(arg, index, err);
	if (settle_passed(p, w, seen, err) < 0)
		return err_ctx(err, "layer %zu of %zu", w->layer + 1, p->im->n_layers);
	return 0;
}

static int move_layers(struct plan *p, dray_error **err)
{
	/* An archive takes one blob after the other: which came first must not be chance (G-15). */
	bool in_turn = p->c->forward || p->c->target->archive;

	return run_parallel(in_turn ? 1 : p->c->ctx->jobs, p->n_work,
			    p->c->forward ? settle : move_one, p, err);
}

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

static int write_manifest(struct plan *p, struct manifest **ret, dray_error **err)
{
	const struct config *cfg = p->im->config;
	struct descriptor config = {
		.media_type = p->docker ? MT_DOCKER_CONFIG : MT_OCI_CONFIG,
		.digest = cfg->digest,
		.size = (int64_t)cfg->raw.len,
	};
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	struct descriptor *layers =
		arena_array(p->arena, p->im->n_layers + 1, sizeof(*layers));

	if (!layers)
		return err_nomem(err);
	for (size_t i = 0; i < p->im->n_layers; i++) {
		const struct work *w = &p->work[p->of_layer[i]];
		bool foreign = mediatype_is_foreign(w->out.media_type);

		layers[i] = w->out;
		if (!foreign)
			layers[i].media_type = layer_media_type(p->docker, w->compression);
		if (w->convert)
			layers[i].annotations = (struct json){ 0 }; /* they spoke of other bytes */
	}
	if (manifest_write(p->docker, &config, layers, p->im->n_layers, &raw, err) < 0)
		return -1;
	return manifest_parse(&raw, p->docker ? MT_DOCKER_MANIFEST : MT_OCI_MANIFEST, ret, err);
}

static int put_config(struct plan *p, dray_error **err)
{
	const struct config *cfg = p->im->config;
	const struct descriptor desc = {
		.digest = cfg->digest,
		.size = (int64_t)cfg->raw.len,
	};
	int there = dest_has_blob(p->c->target->dest, &desc, err);

	if (there < 0)
		return -1;
	if (!there && dest_put_bytes(p->c->target->dest, &desc, span_buf(&cfg->raw), err) < 0)
		return err_ctx(err, "config");
	return 0;
}

static int put_documents(struct plan *p, const struct manifest *m, const char *const *tags,
			 size_t n_tags, dray_error **err)
{
	struct target *t = p->c->target;

	if (digest_set(&t->pinned) &&
	    digest_expect(&t->pinned, &m->digest, "manifest digest", err) < 0)
		return err_hint(err, "a reference with a digest takes that manifest only");
	if (put_config(p, err) < 0)
		return -1;
	if (n_tags == 0)
		return dest_put_manifest(t->dest, m, NULL, err);
	for (size_t i = 0; i < n_tags; i++)
		if (dest_put_manifest(t->dest, m, tags[i], err) < 0)
			return -1;
	return 0;
}

/* ---- the result ---- */

static int tell(struct plan *p, const struct manifest *m, const char *const *tags, size_t n_tags,
		struct dray_copied *ret, dray_error **err)
{
	const struct target *t = p->c->target;
	const char **changes = arena_array(p->arena, p->n_changes + 1, sizeof(*changes));
	bool failed = !changes;

	*ret = (struct dray_copied){
		.manifest_digest = arena_strdup(p->arena, m->digest.text),
		.image_id = arena_strdup(p->arena, p->im->config->digest.text),
		.changes = changes,
		.n_changes = p->n_changes,
		.blobs_sent = p->c->blobs_sent,
		.blobs_skipped = p->c->blobs_skipped,
		.bytes_sent = p->c->bytes_sent,
	};
	for (size_t i = 0; changes && i < p->n_changes; i++)
		changes[i] = p->changes[i];
	ret->reference = arena_printf(p->arena, "%s@%s",
				      t->repository ? t->repository : t->dest->place,
				      t->archive ? p->im->config->digest.text : m->digest.text);
	if (n_tags > 0) {
		ret->tagged = arena_printf(p->arena, "%s:%s",
					   t->repository ? t->repository : t->dest->place,
					   tags[0]);
		failed = failed || !ret->tagged;
	}
	if (failed || !ret->manifest_digest || !ret->image_id || !ret->reference)
		return err_nomem(err);
	return 0;
}

/* Something has to vouch for the layers: a stored manifest, or the DiffIDs of the config. */
static int check_vouched(const struct copy *c, const struct image *im, dray_error **err)
{
	if (has_vouched_manifest(c, im) || im->config->has_diff_ids || im->n_layers == 0)
		return 0;
	return err_set(err, DRAY_ERR_FORMAT, "%s: the config has no rootfs.diff_ids, so nothing "
		       "says what its layers must be", im->where);
}

static int check_image(const struct copy *c, struct image *im, dray_error **err)
{
	if (image_require_whole(im, err) < 0)
		return absent(c, err);
	if (im->manifest && manifest_is_artifact(im->manifest))
		return err_set(err, DRAY_ERR_UNSUPPORTED, "%s is an artifact, not an image",
			       im->where);
	if (!im->config)
		return err_set(err, DRAY_ERR_FORMAT, "%s has no readable config", im->where);
	return check_vouched(c, im, err);
}

int copy_image(struct copy *c, struct image *im, const char *const *tags, size_t n_tags,
	       struct arena *result, struct dray_copied *ret, dray_error **err)
{
	struct plan p = { .c = c, .im = im, .arena = result };
	cleanup_manifest struct manifest *made = NULL;
	const struct manifest *m;

	if (check_image(c, im, err) < 0 || plan_layers(&p, err) < 0)
		return -1;
	if (move_layers(&p, err) < 0)
		return -1;
	plan_manifest(&p);
	if (!p.keep_manifest && write_manifest(&p, &made, err) < 0)
		return -1;
	m = p.keep_manifest ? im->manifest : made;
	if (put_documents(&p, m, tags, n_tags, err) < 0)
		return -1;
	return tell(&p, m, tags, n_tags, ret, err);
}
