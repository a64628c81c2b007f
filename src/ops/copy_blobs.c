/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves the layers of a plan: what the destination has, or can mount, is not
 * sent; the rest goes side by side. Relies on ops/transfer for bytes, ops/reuse and
 * the blob cache for what is known. Promises that a known blob is asked for
 * before it counts.
 */
#include "ops/copy_plan.h"

#define CACHE_TRIES 8 /* cache entries looked at per layer */

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

int copy_guess_cached(struct copy *c, const char *name, struct reused *ret, const char **ret_how,
		      dray_error **err)
{
	struct blobcache_entry seen[CACHE_TRIES];
	struct digest diff_id;
	size_t n;

	if (!c->target->remote || !reuse_member_digest(name, &diff_id))
		return 0;
	n = blobcache_find(c->cache, &diff_id, c->target->host, seen, CACHE_TRIES);
	for (size_t i = 0; i < n; i++) {
		int there;

		if (strcmp(seen[i].encoder, c->wishes.encoder) != 0)
			continue;
		there = copy_try_known(c, &seen[i].blob_digest, seen[i].blob_size,
				       mountable(c->target, seen[i].repository), ret_how, err);
		if (there < 0)
			return -1;
		if (there) {
			*ret = (struct reused){ .diff_id = diff_id,
						.blob_digest = seen[i].blob_digest,
						.size = seen[i].blob_size,
						.compression = seen[i].compression };
			return 1;
		}
		blobcache_forget(c->cache, &seen[i].blob_digest, seen[i].repository);
	}
	return 0;
}

static int try_reuse(struct plan *p, struct work *w, const char **ret_how, dray_error **err)
{
	struct copy *c = p->c;
	const struct reused *u = reuse_find(&c->reuse, &p->im->layers[w->layer].diff_id,
					    &c->wishes);
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

const char *copy_neighbour(const struct copy *c)
{
	if (!c->target->remote || !c->source_host || strcmp(c->source_host, c->target->host) != 0)
		return NULL;
	return c->source_path;
}

/* 1 = nothing to send, *ret_how says why. */
static int already_there(struct plan *p, struct work *w, const char **ret_how, dray_error **err)
{
	const struct layer *l = &p->im->layers[w->layer];
	int there = 0;

	if (!w->convert && digest_set(&l->blob.digest) && layer_is_vouched(p->c, p->im, l)) {
		there = copy_try_known(p->c, &l->blob.digest, l->blob.size, copy_neighbour(p->c),
				       ret_how, err);
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
		.blob_size = l->blob.size,
		.diff_id = l->diff_id,
		.found = w->found,
		.dear = c->store->kind == STORE_REGISTRY,
		.how = { w->convert, c->wishes.encode },
	};

	/* A digest that only a member's name claims proves nothing: then the DiffID must. */
	if (layer_is_vouched(c, p->im, l) && digest_set(&l->blob.digest))
		t.blob_digest = l->blob.digest;
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
	snprintf(label, sizeof(label), "layer %zu of %zu %.19s", w->layer + 1, p->im->n_layers,
		 d->text);
	there = already_there(p, w, &how, err);
	if (there > 0) {
		copy_count_skipped(p->c, label, how);
		return 0;
	}
	if (there == 0 && l->missing) {
		err_set(err, DRAY_ERR_NOT_FOUND, "layer %zu of %zu (%s) is not in %s%s%s",
			w->layer + 1, p->im->n_layers, l->path ? l->path : d->text,
			p->c->store->place, l->trouble ? ": " : "", l->trouble ? l->trouble : "");
		return place_absent(p->c->store, err);
	}
	if (there < 0 || send(p, w, label, err) < 0)
		return err_ctx(err, "%s", label);
	return 0;
}

static const struct passed *find_passed(const struct copy *c, const struct layer *l)
{
	return l->facts ? map_get(&c->passed, span_str(l->facts->blob_digest.text)) : NULL;
}

/* What passes is hashed as sha256, before anybody knows what the documents use. */
static bool needs_other_algorithm(const struct plan *p, const struct layer *l)
{
	if (digest_set(&l->diff_id) && l->diff_id.algo != DIGEST_SHA256)
		return true;
	return layer_is_vouched(p->c, p->im, l) && digest_set(&l->blob.digest) &&
	       l->blob.digest.algo != DIGEST_SHA256;
}

/* What passed by on the walk, held against what the documents say it is. */
static int settle_passed(struct plan *p, struct work *w, const struct passed *seen,
			 dray_error **err)
{
	const struct layer *l = &p->im->layers[w->layer];

	if (needs_other_algorithm(p, l)) {
		err_set(err, DRAY_ERR_UNSUPPORTED,
			"its digests are not sha256, and a pipe names them after the bytes");
		return err_hint(err, "give the archive as a file");
	}
	if (layer_is_vouched(p->c, p->im, l) && digest_set(&l->blob.digest) &&
	    digest_expect(&l->blob.digest, &seen->facts.blob_digest, "blob digest", err) < 0)
		return -1;
	if (digest_set(&l->diff_id) &&
	    digest_expect(&l->diff_id, &seen->facts.diff_id, "DiffID", err) < 0)
		return -1;
	if (seen->converted_unasked && (p->verbatim || p->c->store->kind != STORE_DOCKER_ARCHIVE)) {
		err_set(err, DRAY_ERR_UNSUPPORTED,
			"it is uncompressed, and a pipe names its manifest too late to keep it so");
		return err_hint(err, "give the archive as a file, or choose --compression");
	}
	w->convert = !digest_eq(&seen->out.digest, &seen->facts.blob_digest);
	take(w, &seen->out.digest, seen->out.size, seen->out.compression);
	if (w->convert && !seen->reused)
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

static int move_layer(void *arg, size_t index, dray_error **err)
{
	const struct plan *p = arg;

	return p->c->forward ? settle(arg, index, err) : move_one(arg, index, err);
}

/* The config first: it is small, and a registry takes its time to say that a blob is on its disk. */
static int move_any(void *arg, size_t index, dray_error **err)
{
	return index == 0 ? copy_put_config(arg, err) : move_layer(arg, index - 1, err);
}

int move_layers(struct plan *p, dray_error **err)
{
	/* An archive takes one blob after the other: which came first must not be chance (G-15). */
	bool in_turn = p->c->target->archive || p->c->target->engine;

	if (in_turn || !p->c->target->remote)
		return run_parallel(in_turn ? 1 : p->c->ctx->jobs, p->n_work, move_layer, p, err);
	p->config_done = true;
	return run_parallel(p->c->ctx->jobs, p->n_work + 1, move_any, p, err);
}
