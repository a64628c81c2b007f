/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told of a delta, and delta inspect.
 * Relies on delta_read.c for one that is sound.
 * Promises sizes as the documents have them: no layer is read.
 */
#include "ops/delta_priv.h"

#include "base/mem.h"

struct dray_delta {
	struct dray_delta_info info;
	struct delta_doc doc;
	struct dray_delta_base *bases;
	struct dray_delta_layer *layers;
	struct digest artifact;
};

const struct dray_delta_info *dray_delta_get(const dray_delta *d)
{
	return &d->info;
}

void dray_delta_free(dray_delta *d)
{
	if (!d)
		return;
	delta_doc_clear(&d->doc);
	mem_free(d);
}
DEFINE_CLEANUP(dray_delta, cleanup_told_fn, dray_delta_free)
#define cleanup_told CLEANUP(cleanup_told_fn)

static const char *text_or_null(const struct digest *d)
{
	return digest_set(d) ? d->text : NULL;
}

static int tell_base(struct arena *a, const struct delta_need *from, struct dray_delta_base *to,
		     dray_error **err)
{
	const char **ids = arena_array(a, from->n + 1, sizeof(*ids));

	if (!ids)
		return err_nomem(err);
	for (size_t i = 0; i < from->n; i++)
		ids[i] = from->diff_ids[i].text;
	*to = (struct dray_delta_base){
		.image_id = text_or_null(&from->image_id),
		.tags = from->tags,
		.n_tags = from->n_tags,
		.diff_ids = ids,
		.n_diff_ids = from->n,
	};
	return 0;
}

static int fill_lists(dray_delta *d, const struct manifest *m, dray_error **err)
{
	const struct delta_doc *doc = &d->doc;
	struct arena *a = &d->doc.arena;

	d->bases = arena_array(a, doc->n_bases + 1, sizeof(*d->bases));
	d->layers = arena_array(a, doc->n_layers + 1, sizeof(*d->layers));
	if (!d->bases || !d->layers)
		return err_nomem(err);
	for (size_t i = 0; i < doc->n_bases; i++)
		if (tell_base(a, &doc->bases[i], &d->bases[i], err) < 0)
			return -1;
	for (size_t i = 0; i < doc->n_layers; i++) {
		const struct delta_layer *l = &doc->layers[i];

		d->layers[i] = (struct dray_delta_layer){
			.diff_id = l->diff_id.text,
			.size = l->size,
			.blob_size = m ? m->entries[i].size : -1,
			.from = l->from,
			.digest = text_or_null(&l->digest),
			.stored = l->stored,
		};
	}
	return 0;
}

/* Config and blobs, each once; -1 without a manifest that tells. */
static int64_t image_size(const struct manifest *m, int64_t config_size)
{
	int64_t sum = config_size;

	for (size_t i = 0; m && i < m->n_entries; i++) {
		bool twin = false;

		for (size_t k = 0; k < i && !twin; k++)
			twin = digest_eq(&m->entries[i].digest, &m->entries[k].digest);
		if (!twin && __builtin_add_overflow(sum, m->entries[i].size, &sum))
			return -1;
	}
	return m ? sum : -1;
}

int delta_tell(struct delta_doc *doc, const struct manifest *m, int64_t config_size,
	       const struct digest *artifact, int64_t stored, dray_delta **ret, dray_error **err)
{
	cleanup_told dray_delta *d = mem_zalloc(sizeof(*d));

	if (!d) {
		delta_doc_clear(doc);
		return err_nomem(err);
	}
	d->doc = *doc;
	*doc = (struct delta_doc){ 0 };
	d->artifact = *artifact;
	if (fill_lists(d, m, err) < 0)
		return -1;
	d->info = (struct dray_delta_info){
		.level = d->doc.level,
		.image_id = d->doc.image_id.text,
		.manifest_digest = text_or_null(&d->doc.manifest),
		.platform = d->doc.platform,
		.tags = d->doc.tags,
		.n_tags = d->doc.n_tags,
		.keeps_blobs = d->doc.keeps_blobs,
		.bases = d->bases,
		.n_bases = d->doc.n_bases,
		.layers = d->layers,
		.n_layers = d->doc.n_layers,
		.stored = stored,
		.image_size = image_size(m, config_size),
		.artifact_digest = text_or_null(&d->artifact),
	};
	*ret = steal_pointer(&d);
	return 0;
}

int dray_delta_inspect(dray_context *ctx, const char *delta, dray_delta **ret, dray_error **err)
{
	cleanup_delta struct delta *d = NULL;
	int64_t stored;

	if (delta_open(ctx, delta, &d, err) < 0)
		return -1;
	stored = d->im->manifest->config.size;
	for (size_t i = 0; i < d->im->n_layers; i++)
		if (__builtin_add_overflow(stored, d->im->layers[i].blob.size, &stored))
			return err_set(err, DRAY_ERR_FORMAT, "%s: sizes that nothing has",
				       d->place.text);
	return delta_tell(&d->doc, d->manifest, (int64_t)d->config.len, &d->im->manifest->digest,
			  stored, ret, err);
}
