/* SPDX-License-Identifier: Apache-2.0
 *
 * Which hash is this? Every identity of an image as one list, searched by a
 * hash or a prefix of it. Relies on the report for what is declared and found,
 * and on image/v1id for IDs that no file holds. Promises to say how each is made.
 */
#include "ops/report.h"

#include "base/mem.h"
#include "base/number.h"

#define PREFIX_MIN 4 /* hex digits; fewer would match by chance */

struct dray_matches {
	struct arena arena;
	struct dray_match *list;
	size_t n, cap;
};

struct search {
	struct dray_matches *found;
	const char *hex;   /* what is looked for, without the algorithm */
	const char *image; /* image ID of the image being searched */
};

static int add(struct search *s, const char *kind, const char *value, int64_t layer,
	       const char *how, dray_error **err)
{
	struct dray_matches *m = s->found;
	struct dray_match *at;

	if (mem_grow(&m->list, m->n, &m->cap, sizeof(*m->list)) < 0)
		return err_nomem(err);
	at = &m->list[m->n];
	*at = (struct dray_match){
		.kind = kind,
		.image = s->image ? arena_strdup(&m->arena, s->image) : NULL,
		.layer = layer,
		.value = arena_strdup(&m->arena, value),
		.how = how,
	};
	if (!at->value || (s->image && !at->image))
		return err_nomem(err);
	m->n++;
	return 0;
}

/* @p value is "algo:hex" or bare hex; a NULL never matches. */
static int consider(struct search *s, const char *kind, const char *value, int64_t layer,
		    const char *how, dray_error **err)
{
	const char *colon = value ? strchr(value, ':') : NULL;
	const char *hex = colon ? colon + 1 : value;

	if (!value || strncmp(hex, s->hex, strlen(s->hex)) != 0)
		return 0;
	return add(s, kind, value, layer, how, err);
}

/* Of an uncompressed layer the DiffID says it all; what has none, as in artifacts, is its blob alone. */
static bool tells_more(const struct dray_layer_info *l)
{
	return l->blob_digest && !(l->diff_id && strcmp(l->diff_id, l->blob_digest) == 0);
}

static int search_layer(struct search *s, const struct dray_layer_info *l, dray_error **err)
{
	if (consider(s, "diff_id", l->diff_id, l->index,
		     "sha256 of the layer's uncompressed tar, every byte of it", err) < 0 ||
	    consider(s, "chain_id", l->chain_id, l->index,
		     l->index == 0 ? "the bottom layer's ChainID is its DiffID"
				   : "sha256 of \"<ChainID of the layer below> <DiffID>\", as text",
		     err) < 0)
		return -1;
	if (tells_more(l) &&
	    consider(s, "blob_digest", l->blob_digest, l->index,
		     l->compression && strcmp(l->compression, "none") == 0
			     ? "sha256 of the blob as stored and sent"
			     : "sha256 of the layer as stored and sent, compressed",
		     err) < 0)
		return -1;
	return consider(
		s, "v1_id", l->v1_id, l->index,
		l->v1_id_found
			? "legacy v1 ID, the layer's folder in the archive: sha256 of a JSON "
			  "text with the ChainID and the parent's v1 ID"
			: "legacy v1 ID that docker save (17.04 and later, UTC) derives: sha256 "
			  "of a JSON text with the ChainID and the parent's v1 ID",
		err);
}

/* v1 IDs that no archive here holds, but other writers would make. */
static int search_derived(struct search *s, const struct image *im, dray_error **err)
{
	static const struct {
		const char *kind, *how;
		struct v1_params params;
		bool skopeo;
	} rules[] = {
		{ "v1_id",
		  "legacy v1 ID as docker save of 1.10 to 1.12 derives it",
		  { .era = V1_ERA_ZERO },
		  false },
		{ "v1_id",
		  "legacy v1 ID as docker save of 1.13 to 17.03 derives it",
		  { .era = V1_ERA_IMAGE },
		  false },
		{ "v1_id",
		  "legacy v1 ID as docker save of 17.04 and later derives it on a UTC host",
		  { .era = V1_ERA_EPOCH },
		  false },
		{ "skopeo_id",
		  "layer folder that skopeo and podman write in a docker-archive",
		  { 0 },
		  true },
	};
	cleanup_free v1_id *ids = NULL;

	if (!im->config || im->config->n_diff_ids == 0)
		return 0;
	ids = mem_alloc_array(im->config->n_diff_ids, sizeof(*ids));
	if (!ids)
		return err_nomem(err);
	for (size_t r = 0; r < ARRAY_LEN(rules); r++) {
		cleanup_error dray_error *odd = NULL;

		if ((rules[r].skopeo
			     ? v1_ids_skopeo(im->config, ids, &odd)
			     : v1_ids_docker(im->config, &rules[r].params, ids, &odd)) < 0) {
			if (dray_error_kind(odd) == DRAY_ERR_FORMAT)
				continue; /* a config that has no such names */
			if (err)
				*err = steal_pointer(&odd);
			return -1;
		}
		for (size_t i = 0; i < im->config->n_diff_ids; i++)
			if (consider(s, rules[r].kind, ids[i], (int64_t)i, rules[r].how, err) < 0)
				return -1;
	}
	return 0;
}

static int search_image(struct search *s, const struct dray_image_info *info,
			const struct image *im, dray_error **err)
{
	size_t before = s->found->n;

	s->image = info->image_id;
	if (consider(s, "image_id", info->image_id, -1, "sha256 of the config document's bytes",
		     err) < 0 ||
	    consider(s, "manifest_digest", info->manifest_digest, -1,
		     "sha256 of the manifest's bytes, as a registry serves them", err) < 0 ||
	    consider(s, "index_digest", info->index_digest, -1,
		     "sha256 of the index that lists this image among platforms", err) < 0)
		return -1;
	if (!info->image_id && im->manifest &&
	    consider(s, "config_digest", im->manifest->config.digest.text, -1,
		     "sha256 of the config that the manifest names, which is no image's", err) < 0)
		return -1;
	for (size_t i = 0; i < info->n_layers; i++)
		if (search_layer(s, &info->layers[i], err) < 0)
			return -1;
	return s->found->n > before ? 0 : search_derived(s, im, err);
}

/* Only hex digits, with or without "sha256:"; upper case is forgiven. */
static char *clean_hash(const char *text, dray_error **err)
{
	const char *colon = strrchr(text, ':');
	const char *hex = colon ? colon + 1 : text;
	size_t len = strlen(hex);
	char *out = mem_strdup(hex);

	if (!out) {
		err_nomem(err);
		return NULL;
	}
	for (size_t i = 0; i < len; i++)
		if (out[i] >= 'A' && out[i] <= 'F')
			out[i] = (char)(out[i] - 'A' + 'a');
	if (len >= PREFIX_MIN && hex_is_lower(span_str(out), len))
		return out;
	mem_free(out);
	err_set(err, DRAY_ERR_USAGE, "expected a hash or its first %d or more hex digits",
		PREFIX_MIN);
	return NULL;
}

static int compute(dray_report *r, const char *hex, dray_matches **ret, dray_error **err)
{
	dray_matches *m = mem_zalloc(sizeof(*m));
	struct search s = { .found = m, .hex = hex };

	if (!m)
		return err_nomem(err);
	for (size_t i = 0; i < r->n_images; i++)
		if (search_image(&s, &r->infos[i], r->images[i], err) < 0) {
			dray_matches_free(m);
			return -1;
		}
	*ret = m;
	return 0;
}

int dray_explain_hash(dray_context *ctx, const char *hash, const char *image,
		      const struct dray_select *sel, dray_matches **ret, dray_error **err)
{
	cleanup_free char *hex = clean_hash(hash, err);
	cleanup_report dray_report *r = NULL;

	if (!hex || report_open(ctx, image, sel, SCOPE_ALL, NULL, &r, err) < 0 ||
	    report_fill(r, NULL, err) < 0)
		return -1;
	return compute(r, hex, ret, err);
}

size_t dray_matches_count(const dray_matches *m)
{
	return m->n;
}

const struct dray_match *dray_matches_get(const dray_matches *m, size_t i)
{
	return i < m->n ? &m->list[i] : NULL;
}

void dray_matches_free(dray_matches *m)
{
	if (!m)
		return;
	mem_free(m->list);
	arena_clear(&m->arena);
	mem_free(m);
}
