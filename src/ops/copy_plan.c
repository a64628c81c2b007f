/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans the copy of one image: which layers are the same work, which of them go
 * untouched and which are converted, and which manifest names the result.
 * Relies on what the store declares, and on a look at the first bytes where it
 * does not. Promises that a stored manifest is given up only for a reason that is said.
 */
#include "ops/copy_plan.h"

#include <stdlib.h>

bool has_vouched_manifest(const struct copy *c, const struct image *im)
{
	return im->manifest && (c->store->kind != STORE_DOCKER_ARCHIVE || im->manifest_trusted);
}

bool layer_is_vouched(const struct copy *c, const struct image *im, const struct layer *l)
{
	return l->vouched || has_vouched_manifest(c, im);
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
		if (c->target->takes_plain)
			return false;
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
	if (l->blob.media_type && layer_is_vouched(c, im, l)) {
		*ret = compression_declared(l->blob.media_type);
		return 0;
	}
	s = store_open_layer(c->store, im, i, err);
	if (!s)
		return place_absent(c->store, err);
	if (source_peek(s, COMPRESSION_SNIFF, &head, err) < 0)
		return -1;
	*ret = compression_sniff(head);
	return 0;
}

/*
 * What makes two layers the same work: the blob where a manifest vouches for it,
 * else the DiffID, else the place of the bytes.
 */
static int twin_key(const struct plan *p, const struct layer *l, struct span *ret, dray_error **err)
{
	bool vouched = layer_is_vouched(p->c, p->im, l) && digest_set(&l->blob.digest);
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
	bool vouched = layer_is_vouched(p->c, p->im, l);

	*w = (struct work){ .layer = layer };
	if ((l->missing || p->c->store->kind == STORE_REGISTRY) &&
	    mediatype_is_foreign(l->blob.media_type) && vouched) {
		w->out = l->blob; /* fetched from its urls by whoever runs the image */
		w->done = true;
		return 0;
	}
	if (!p->verbatim && found_compression(p->c, p->im, layer, &w->found, err) < 0)
		return -1;
	w->compression = w->found;
	w->convert = !p->verbatim && must_convert(p->c, w->compression, vouched,
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

int plan_layers(struct plan *p, dray_error **err)
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
	/* One after the other they go bottom first, as readers want them. */
	if (!p->c->target->archive)
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
		return "layers are recompressed as asked: another manifest digest, the same image "
		       "ID";
	for (size_t w = 0; w < p->n_work && found == COMPRESSION_NONE; w++)
		if (p->work[w].convert)
			found = p->work[w].found;
	switch (found) {
	case COMPRESSION_NONE:
		return "layers are uncompressed in the archive and are compressed for the "
		       "registry: "
		       "another manifest digest, the same image ID";
	case COMPRESSION_ZSTD:
		return "layers in zstd become gzip, since Docker's manifests know no zstd: another "
		       "manifest digest, the same image ID";
	default:
		return "layers in a compression that engines do not read become gzip: another "
		       "manifest digest, the same image ID";
	}
}

/* What has no manifest is being made; of the others only those that were changed. */
static bool becomes_oci(const struct plan *p, const struct manifest *m)
{
	return p->c->oci_made && (!m || p->im->edited);
}

/* Docker's manifests know no zstd; one that is stored, and has it all the same, stays as it is. */
static bool is_docker(const struct plan *p, const struct manifest *m, bool zstd, bool converted)
{
	const struct copy *c = p->c;

	if (c->wishes.format_asked)
		return c->wishes.docker;
	if (becomes_oci(p, m))
		return false;
	if (zstd && (!m || converted))
		return false;
	if (m || p->im->made_from)
		return mediatype_is_docker((m ? m : p->im->made_from)->media_type);
	return c->target->remote;
}

/* Why stored manifest @m is not the one that arrives, though all layers do as they were. */
static const char *why_written(const struct plan *p, const struct manifest *m)
{
	if (m->kind == MANIFEST_SCHEMA1)
		return "manifests of schema 1 are read only, one of today takes its place: "
		       "another manifest digest, the same image ID";
	if (becomes_oci(p, m))
		return "Docker's manifest becomes an OCI one: many readers of OCI layouts know no "
		       "others";
	return "the manifest is converted as asked: another manifest digest, the same image ID";
}

/* Keep the stored manifest, or write one; and in which family. */
void plan_manifest(struct plan *p)
{
	const struct copy *c = p->c;
	const struct manifest *m = has_vouched_manifest(c, p->im) ? p->im->manifest : NULL;
	bool zstd = false, converted = false;

	for (size_t w = 0; w < p->n_work; w++) {
		converted = converted || p->work[w].convert;
		zstd = zstd || p->work[w].compression == COMPRESSION_ZSTD;
	}
	if (p->verbatim) {
		p->keep_manifest = true;
		return;
	}
	if (c->wishes.compression_asked && c->wishes.encode.encoding == ENCODING_ZSTD)
		zstd = true;
	p->docker = is_docker(p, m, zstd, converted);
	p->keep_manifest = m && m->kind != MANIFEST_SCHEMA1 && !converted &&
			   mediatype_is_docker(m->media_type) == p->docker;
	if (m && !p->keep_manifest)
		change(p, converted ? why_converted(p) : why_written(p, m));
	if (m && converted && zstd && !p->docker && mediatype_is_docker(m->media_type))
		change(p, "Docker's manifest becomes an OCI one, since Docker's know no zstd");
}
