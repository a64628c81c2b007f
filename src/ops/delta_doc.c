/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes and parses the description of a delta.
 * Relies on json/ for a strict reading, on base/jsonw.h for one way of writing.
 * Promises that a description which parses has every member in its bounds.
 */
#include "ops/delta_doc.h"

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/map.h"
#include "json/json.h"

const char *delta_level_name(enum dray_delta_level level)
{
	return level == DRAY_DELTA_FILE ? "file" : "layer";
}

const char *delta_from_name(enum dray_delta_from from)
{
	switch (from) {
	case DRAY_DELTA_BASE:
		return "base";
	case DRAY_DELTA_BLOB:
		return "blob";
	default:
		return "recipe";
	}
}

void delta_doc_clear(struct delta_doc *d)
{
	arena_clear(&d->arena);
	*d = (struct delta_doc){ 0 };
}

/* ---- writing ---- */

static const char *text_or_null(const struct digest *d)
{
	return digest_set(d) ? d->text : NULL;
}

static void write_strings(struct jsonw *w, const char *key, const char *const *list, size_t n)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (size_t i = 0; i < n; i++)
		jsonw_string(w, list[i]);
	jsonw_end_array(w);
}

static void write_image(struct jsonw *w, const struct delta_doc *d)
{
	jsonw_key(w, "image");
	jsonw_object(w);
	jsonw_kstring(w, "image_id", d->image_id.text);
	jsonw_kstring(w, "manifest_digest", text_or_null(&d->manifest));
	jsonw_kbool(w, "keeps_blobs", d->keeps_blobs);
	jsonw_kstring(w, "platform", d->platform);
	write_strings(w, "tags", d->tags, d->n_tags);
	jsonw_end_object(w);
}

static void write_base(struct jsonw *w, const struct delta_need *b)
{
	jsonw_object(w);
	jsonw_kstring(w, "image_id", text_or_null(&b->image_id));
	write_strings(w, "tags", b->tags, b->n_tags);
	jsonw_key(w, "diff_ids");
	jsonw_array(w);
	for (size_t i = 0; i < b->n; i++)
		jsonw_string(w, b->diff_ids[i].text);
	jsonw_end_array(w);
	jsonw_end_object(w);
}

static void write_layer(struct jsonw *w, const struct delta_layer *l)
{
	jsonw_object(w);
	jsonw_kstring(w, "diff_id", l->diff_id.text);
	jsonw_kint(w, "size", l->size);
	jsonw_kstring(w, "from", delta_from_name(l->from));
	if (l->from != DRAY_DELTA_BASE) {
		jsonw_kstring(w, "digest", l->digest.text);
		jsonw_kint(w, "stored", l->stored);
	}
	if (l->encoding)
		jsonw_kstring(w, "encoding", l->encoding);
	jsonw_end_object(w);
}

static void write_olds(struct jsonw *w, const struct delta_doc *d)
{
	jsonw_key(w, "base_layers");
	jsonw_array(w);
	for (size_t i = 0; i < d->n_olds; i++) {
		jsonw_object(w);
		jsonw_kstring(w, "diff_id", d->olds[i].diff_id.text);
		jsonw_kint(w, "size", d->olds[i].size);
		jsonw_kbool(w, "needed", d->olds[i].needed);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

int delta_doc_write(const struct delta_doc *d, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kint(&w, "version", DELTA_VERSION);
	jsonw_kstring(&w, "level", delta_level_name(d->level));
	write_image(&w, d);
	jsonw_key(&w, "bases");
	jsonw_array(&w);
	for (size_t i = 0; i < d->n_bases; i++)
		write_base(&w, &d->bases[i]);
	jsonw_end_array(&w);
	write_olds(&w, d);
	jsonw_key(&w, "layers");
	jsonw_array(&w);
	for (size_t i = 0; i < d->n_layers; i++)
		write_layer(&w, &d->layers[i]);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

/* ---- parsing ---- */

/* A digest that we can compute; with @p optional null and absence leave it unset. */
static int read_digest(struct arena *a, struct json v, const char *what, bool optional,
		       struct digest *ret, dray_error **err)
{
	const char *text;

	*ret = (struct digest){ 0 };
	if (json_string(v, what, a, &text, err) < 0)
		return -1;
	if (!text)
		return optional ? 0 : err_set(err, DRAY_ERR_FORMAT, "%s is missing", what);
	if (digest_parse(span_str(text), ret, err) < 0)
		return err_ctx(err, "%s", what);
	if (ret->algo == DIGEST_OTHER)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "%s: no digest that we can compute",
			       what);
	return 0;
}

/* Bytes; @p least is -1 where they may be unknown. */
static int read_size(struct json v, const char *what, int64_t least, int64_t *ret, dray_error **err)
{
	if (json_int(v, what, ret, err) < 0)
		return -1;
	if (*ret < least)
		return err_set(err, DRAY_ERR_FORMAT, "%s is negative", what);
	return 0;
}

/* An array of at most @p max, each at least @p size bytes in memory. */
static int read_array(struct arena *a, struct json v, const char *what, size_t max, size_t size,
		      void **ret, size_t *ret_n, dray_error **err)
{
	if (json_want(v, JSON_ARRAY, false, what, err) < 0)
		return -1;
	*ret_n = json_len(v);
	if (*ret_n > max)
		return err_set(err, DRAY_ERR_LIMIT, "%s: over %zu (LIMIT_LAYERS)", what, max);
	*ret = arena_array(a, *ret_n + 1, size);
	return *ret ? 0 : err_nomem(err);
}

static int read_strings(struct arena *a, struct json v, const char *what, const char ***ret,
			size_t *ret_n, dray_error **err)
{
	void *list;
	size_t n = 0;

	if (read_array(a, v, what, LIMIT_LAYERS, sizeof(char *), &list, ret_n, err) < 0)
		return -1;
	*ret = list;
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		if (json_string(it, what, a, &(*ret)[n], err) < 0)
			return -1;
		if (!(*ret)[n++])
			return err_set(err, DRAY_ERR_FORMAT, "%s: null", what);
	}
	return 0;
}

static int read_image(struct delta_doc *d, struct json v, dray_error **err)
{
	struct arena *a = &d->arena;

	if (json_want(v, JSON_OBJECT, false, "image", err) < 0 ||
	    read_digest(a, json_get(v, "image_id"), "image_id", false, &d->image_id, err) < 0 ||
	    read_digest(a, json_get(v, "manifest_digest"), "manifest_digest", true, &d->manifest,
			err) < 0 ||
	    json_bool(json_get(v, "keeps_blobs"), "keeps_blobs", false, &d->keeps_blobs, err) < 0 ||
	    json_string(json_get(v, "platform"), "platform", a, &d->platform, err) < 0)
		return -1;
	return read_strings(a, json_get(v, "tags"), "tags", &d->tags, &d->n_tags, err);
}

static int read_base(struct arena *a, struct json v, struct delta_need *ret, dray_error **err)
{
	struct json list = json_get(v, "diff_ids");
	size_t n = 0;
	void *ids;

	if (json_want(v, JSON_OBJECT, false, "a base", err) < 0 ||
	    read_digest(a, json_get(v, "image_id"), "image_id", true, &ret->image_id, err) < 0 ||
	    read_strings(a, json_get(v, "tags"), "tags", &ret->tags, &ret->n_tags, err) < 0 ||
	    read_array(a, list, "diff_ids", LIMIT_LAYERS, sizeof(struct digest), &ids, &ret->n,
		       err) < 0)
		return -1;
	ret->diff_ids = ids;
	for (struct json it = json_first(list); json_node(it); it = json_next(it))
		if (read_digest(a, it, "diff_ids", false, &ret->diff_ids[n++], err) < 0)
			return -1;
	return 0;
}

static int read_bases(struct delta_doc *d, struct json v, dray_error **err)
{
	size_t n = 0, total = 0;
	void *list;

	if (read_array(&d->arena, v, "bases", LIMIT_LAYERS, sizeof(*d->bases), &list, &d->n_bases,
		       err) < 0)
		return -1;
	d->bases = list;
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		if (read_base(&d->arena, it, &d->bases[n], err) < 0)
			return -1;
		total += d->bases[n++].n;
		if (total > LIMIT_LAYERS)
			return err_set(err, DRAY_ERR_LIMIT, "bases: over LIMIT_LAYERS layers");
	}
	return 0;
}

static int read_old(struct delta_doc *d, struct json v, struct delta_old *o, struct map *seen,
		    dray_error **err)
{
	if (json_want(v, JSON_OBJECT, false, "a base layer", err) < 0 ||
	    read_digest(&d->arena, json_get(v, "diff_id"), "diff_id", false, &o->diff_id, err) <
		    0 ||
	    read_size(json_get(v, "size"), "size", 0, &o->size, err) < 0 ||
	    json_bool(json_get(v, "needed"), "needed", true, &o->needed, err) < 0)
		return -1;
	if (map_find(seen, span_str(o->diff_id.text))) /* it would be read for each */
		return err_set(err, DRAY_ERR_FORMAT, "base_layers: %s stands there twice",
			       o->diff_id.text);
	return map_put(seen, span_str(o->diff_id.text), o, err);
}

static int read_olds(struct delta_doc *d, struct json v, dray_error **err)
{
	struct map seen = { 0 };
	size_t n = 0;
	void *list;
	int rc = 0;

	if (read_array(&d->arena, v, "base_layers", LIMIT_LAYERS, sizeof(*d->olds), &list,
		       &d->n_olds, err) < 0)
		return -1;
	d->olds = list;
	for (struct json it = json_first(v); rc == 0 && json_node(it); it = json_next(it))
		rc = read_old(d, it, &d->olds[n++], &seen, err);
	map_clear(&seen);
	return rc;
}

static int read_from(struct arena *a, struct json v, enum dray_delta_from *ret, dray_error **err)
{
	const char *text;

	if (json_string(v, "from", a, &text, err) < 0)
		return -1;
	for (*ret = DRAY_DELTA_BASE; text && *ret <= DRAY_DELTA_RECIPE; ++*ret)
		if (strcmp(text, delta_from_name(*ret)) == 0)
			return 0;
	return err_set(err, DRAY_ERR_FORMAT, "from: expected base, blob or recipe");
}

static int read_layer(struct arena *a, struct json v, struct delta_layer *ret, dray_error **err)
{
	if (json_want(v, JSON_OBJECT, false, "a layer", err) < 0 ||
	    read_digest(a, json_get(v, "diff_id"), "diff_id", false, &ret->diff_id, err) < 0 ||
	    read_size(json_get(v, "size"), "size", -1, &ret->size, err) < 0 ||
	    read_from(a, json_get(v, "from"), &ret->from, err) < 0 ||
	    json_string(json_get(v, "encoding"), "encoding", a, &ret->encoding, err) < 0)
		return -1;
	if (ret->from == DRAY_DELTA_BASE)
		return 0;
	if (ret->size < 0)
		return err_set(err, DRAY_ERR_FORMAT, "size is negative");
	return read_digest(a, json_get(v, "digest"), "digest", false, &ret->digest, err) < 0
		       ? -1
		       : read_size(json_get(v, "stored"), "stored", 0, &ret->stored, err);
}

static int read_layers(struct delta_doc *d, struct json v, dray_error **err)
{
	size_t n = 0;
	void *list;

	if (read_array(&d->arena, v, "layers", LIMIT_LAYERS, sizeof(*d->layers), &list,
		       &d->n_layers, err) < 0)
		return -1;
	d->layers = list;
	for (struct json it = json_first(v); json_node(it); it = json_next(it), n++)
		if (read_layer(&d->arena, it, &d->layers[n], err) < 0)
			return err_ctx(err, "layer %zu", n + 1);
	return 0;
}

static int read_head(struct delta_doc *d, struct json root, dray_error **err)
{
	const char *level;
	int64_t version;

	if (json_want(root, JSON_OBJECT, false, "the document", err) < 0 ||
	    json_int(json_get(root, "version"), "version", &version, err) < 0)
		return -1;
	if (version != DELTA_VERSION)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "version %lld of the format (expected %d)", (long long)version,
			       DELTA_VERSION);
	if (json_string(json_get(root, "level"), "level", &d->arena, &level, err) < 0)
		return -1;
	for (d->level = DRAY_DELTA_LAYER; level && d->level <= DRAY_DELTA_FILE; d->level++)
		if (strcmp(level, delta_level_name(d->level)) == 0)
			return 0;
	return err_set(err, DRAY_ERR_FORMAT, "level: expected layer or file");
}

int delta_doc_parse(struct span text, struct delta_doc *ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	struct json root;

	*ret = (struct delta_doc){ 0 };
	if (json_parse(text, &doc, err) < 0)
		return err_ctx(err, "the delta's description");
	root = json_root(doc);
	if (read_head(ret, root, err) < 0 || read_image(ret, json_get(root, "image"), err) < 0 ||
	    read_bases(ret, json_get(root, "bases"), err) < 0 ||
	    read_olds(ret, json_get(root, "base_layers"), err) < 0 ||
	    read_layers(ret, json_get(root, "layers"), err) < 0)
		return err_ctx(err, "the delta's description");
	return 0;
}
