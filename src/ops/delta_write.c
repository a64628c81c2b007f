/* SPDX-License-Identifier: Apache-2.0
 *
 * The documents of a delta: what it describes, the artifact around it, the manifest.json for "docker load".
 * Relies on ops/delta_save.c, which has decided what goes in and has put the layers.
 */
#include "base/jsonw.h"
#include "base/limits.h"
#include "ops/copy_priv.h"
#include "ops/delta_save.h"

/* ---- documents ---- */

/* Is the blob that the manifest names at hand wherever the delta is loaded? */
static bool keeps_blob(const struct delta_layer *l, const struct digest *blob)
{
	return l->from == DRAY_DELTA_BASE || l->encoding || digest_eq(blob, &l->digest) ||
	       digest_eq(blob, &l->diff_id);
}

static int describe_image(struct delta_save *v, dray_error **err)
{
	const struct manifest *m = stack_manifest(v->s);
	const struct config *c = v->s->im->config;
	cleanup_free char *platform = platform_text(&c->platform);

	if (!platform)
		return err_nomem(err);
	v->doc.platform = arena_strdup(&v->doc.arena, platform);
	v->doc.image_id = c->digest;
	if (!v->doc.platform)
		return err_nomem(err);
	if (!m || m->kind != MANIFEST_IMAGE)
		return 0;
	v->doc.manifest = m->digest;
	v->doc.keeps_blobs = true;
	for (size_t i = 0; i < v->s->n; i++)
		if (!keeps_blob(&v->doc.layers[i], &m->entries[i].digest))
			v->doc.keeps_blobs = false;
	return 0;
}

static int need(struct delta_save *v, struct delta_side *side, const struct digest *diff_id,
		dray_error **err)
{
	struct delta_need *to = &side->need;

	for (size_t i = 0; i < to->n; i++)
		if (digest_eq(&to->diff_ids[i], diff_id))
			return 0;
	if (!to->diff_ids)
		to->diff_ids = arena_array(&v->doc.arena, v->s->n + v->doc.n_olds + 1,
					   sizeof(*to->diff_ids));
	if (!to->diff_ids)
		return err_nomem(err);
	to->diff_ids[to->n++] = *diff_id;
	return 0;
}

/* A layer that recipes read, of the first base that has it. */
static int need_old(struct delta_save *v, const struct digest *diff_id, dray_error **err)
{
	for (size_t i = 0; i < v->n_olds; i++)
		if (map_find(&v->olds[i].haves.diffs, span_str(diff_id->text)))
			return need(v, &v->olds[i], diff_id, err);
	/* Bases are opened twice: first for what they list, then for their files. */
	return err_set(err, DRAY_ERR_CORRUPT, "a base changed while it was read: %s is new in it",
		       diff_id->text);
}

static int describe_bases(struct delta_save *v, dray_error **err)
{
	for (size_t i = 0; i < v->s->n; i++)
		if (v->doc.layers[i].from == DRAY_DELTA_BASE &&
		    need(v, v->from[i], &v->doc.layers[i].diff_id, err) < 0)
			return -1;
	for (size_t i = 0; i < v->doc.n_olds; i++)
		if (v->doc.olds[i].needed && need_old(v, &v->doc.olds[i].diff_id, err) < 0)
			return -1;
	v->doc.bases = arena_array(&v->doc.arena, v->n_olds + 1, sizeof(*v->doc.bases));
	if (!v->doc.bases)
		return err_nomem(err);
	for (size_t i = 0; i < v->n_olds; i++)
		if (v->olds[i].need.n > 0)
			v->doc.bases[v->doc.n_bases++] = v->olds[i].need;
	return 0;
}

/* A blob of bytes at hand; *ret describes it. */
static int put_document(struct delta_save *v, const char *media_type, struct span bytes,
			struct descriptor *ret, dray_error **err)
{
	*ret = (struct descriptor){ .media_type = media_type, .size = (int64_t)bytes.len };
	if (digest_of(bytes, &ret->digest, err) < 0)
		return -1;
	v->stored += ret->size;
	return dest_put_bytes(v->dest, ret, bytes, err);
}

static void write_descriptor(struct jsonw *w, const struct descriptor *d)
{
	jsonw_object(w);
	jsonw_kstring(w, "mediaType", d->media_type);
	jsonw_kstring(w, "digest", d->digest.text);
	jsonw_kint(w, "size", d->size);
	jsonw_end_object(w);
}

/* Each layer blob once, bottom first. */
static void write_layers(struct delta_save *v, struct jsonw *w)
{
	for (size_t i = 0; i < v->s->n; i++) {
		const struct delta_layer *l = &v->doc.layers[i];
		struct descriptor d = {
			.media_type = l->from == DRAY_DELTA_BLOB ? MT_DELTA_LAYER : MT_DELTA_RECIPE,
			.digest = l->digest,
			.size = l->stored,
		};
		bool twin = l->from == DRAY_DELTA_BASE;

		for (size_t k = 0; k < i && !twin; k++)
			twin = digest_eq(&v->doc.layers[k].digest, &l->digest);
		if (twin)
			continue;
		v->stored += d.size;
		write_descriptor(w, &d);
	}
}

static int write_artifact(struct delta_save *v, const struct descriptor *config,
			  const struct descriptor *documents, size_t n, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	struct jsonw w;

	jsonw_init(&w, &raw, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schemaVersion", 2);
	jsonw_kstring(&w, "mediaType", MT_OCI_MANIFEST);
	jsonw_kstring(&w, "artifactType", MT_DELTA);
	jsonw_key(&w, "config");
	write_descriptor(&w, config);
	jsonw_key(&w, "layers");
	jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		write_descriptor(&w, &documents[i]);
	write_layers(v, &w);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return jsonw_finish(&w) < 0 ? -1 : manifest_parse(&raw, MT_OCI_MANIFEST, &v->artifact, err);
}

int delta_put_documents(struct delta_save *v, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);
	struct descriptor config, documents[2];
	const struct manifest *m;
	size_t n = 0;

	if (describe_bases(v, err) < 0 || describe_image(v, err) < 0)
		return -1;
	m = digest_set(&v->doc.manifest) ? stack_manifest(v->s) : NULL;
	if (put_document(v, MT_DELTA_IMAGE_CONFIG, span_buf(&v->s->im->config->raw),
			 &documents[n++], err) < 0 ||
	    (m && put_document(v, MT_DELTA_IMAGE_MANIFEST, span_buf(&m->raw), &documents[n++],
			       err) < 0) ||
	    delta_doc_write(&v->doc, &text, err) < 0 ||
	    put_document(v, MT_DELTA_CONFIG, span_buf(&text), &config, err) < 0 ||
	    write_artifact(v, &config, documents, n, err) < 0)
		return -1;
	return dest_put_manifest(v->dest, v->artifact, NULL, err);
}

/* ---- manifest.json ---- */

static void write_path(struct jsonw *w, const struct digest *d)
{
	char text[DIGEST_TEXT + 8];
	const char *hex = digest_hex(d);

	snprintf(text, sizeof(text), "blobs/%.*s/%s", (int)(hex - d->text - 1), d->text, hex);
	jsonw_string(w, text);
}

/* Names that Docker takes; a lone word is none. */
static int write_tags(struct delta_save *v, struct jsonw *w, dray_error **err)
{
	jsonw_key(w, "RepoTags");
	jsonw_array(w);
	for (size_t i = 0; i < v->doc.n_tags; i++) {
		cleanup_reference struct reference ref = { 0 };
		cleanup_free char *name = NULL;

		if (!strpbrk(v->doc.tags[i], "/:") ||
		    reference_parse(span_str(v->doc.tags[i]), &ref, NULL) < 0)
			continue;
		if (reference_default_tag(&ref, err) < 0)
			return -1;
		name = reference_familiar(&ref);
		if (!name)
			return err_nomem(err);
		jsonw_string(w, name);
	}
	jsonw_end_array(w);
	return 0;
}

int delta_write_list(struct delta_save *v, dray_error **err)
{
	struct jsonw w;

	v->list = BUF_INIT(LIMIT_MANIFEST_JSON);
	jsonw_init(&w, &v->list, err);
	jsonw_array(&w);
	jsonw_object(&w);
	jsonw_key(&w, "Config");
	write_path(&w, &v->doc.image_id);
	if (write_tags(v, &w, err) < 0)
		return -1;
	jsonw_key(&w, "Layers");
	jsonw_array(&w);
	for (size_t i = 0; i < v->s->n; i++) {
		const struct delta_layer *l = &v->doc.layers[i];

		write_path(&w, l->from == DRAY_DELTA_BASE ? &l->diff_id : &l->digest);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	jsonw_end_array(&w);
	return jsonw_finish(&w);
}
