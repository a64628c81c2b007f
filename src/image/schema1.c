/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests of schema 1: what is signed, and the chain of v1 images inside.
 * Relies on json/ and on v1config.c for the config. Promises that members come from the signed
 * bytes alone and that what Docker refuses (broken chains, IDs that are none) is refused.
 */
#include "image/schema1.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/number.h"
#include "image/v1_priv.h"

#define V1_ID_LEN 64

/* ---- the signed bytes ---- */

/* base64url without padding, as JWS has it. */
static int decode_url64(const char *text, struct buf *ret, dray_error **err)
{
	cleanup_free char *plain = mem_printf("%s===", text);
	size_t len = strlen(text);

	if (!plain)
		return err_nomem(err);
	for (char *p = plain; *p; p++)
		*p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
	return base64_decode(span_of(plain, (len + 3) / 4 * 4), ret, err);
}

/* How many bytes of the document are signed, and what follows them there. */
static int take_protected(struct json signature, int64_t *ret_length, struct buf *ret_tail,
			  dray_error **err)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	cleanup_buf struct buf json = BUF_INIT(LIMIT_MANIFEST);
	cleanup_json struct json_doc *doc = NULL;
	const char *text, *tail;

	if (json_string(json_get(signature, "protected"), "protected", &a, &text, err) < 0)
		return -1;
	if (!text)
		return err_set(err, DRAY_ERR_FORMAT, "a signature without \"protected\"");
	if (decode_url64(text, &json, err) < 0 || json_parse(span_buf(&json), &doc, err) < 0 ||
	    json_int(json_get(json_root(doc), "formatLength"), "formatLength", ret_length, err) <
		    0 ||
	    json_string(json_get(json_root(doc), "formatTail"), "formatTail", &a, &tail, err) < 0)
		return -1;
	return decode_url64(tail ? tail : "", ret_tail, err);
}

/* All signatures have to sign the same bytes: else which of them is the manifest? */
static int agreed(struct json signatures, int64_t *ret_length, struct buf *ret_tail,
		  dray_error **err)
{
	bool first = true;

	for (struct json s = json_first(signatures); json_node(s); s = json_next(s)) {
		cleanup_buf struct buf tail = BUF_INIT(LIMIT_MANIFEST);
		int64_t length;

		if (take_protected(s, &length, &tail, err) < 0)
			return -1;
		if (first && buf_add(ret_tail, span_buf(&tail), err) < 0)
			return -1;
		if (first)
			*ret_length = length;
		else if (length != *ret_length || !span_eq(span_buf(&tail), span_buf(ret_tail)))
			return err_set(err, DRAY_ERR_FORMAT,
				       "the signatures are of different manifests");
		first = false;
	}
	return 0;
}

int schema1_payload(struct span text, struct json root, struct arena *a, struct span *ret,
		    dray_error **err)
{
	struct json signatures = json_get(root, "signatures");
	cleanup_buf struct buf tail = BUF_INIT(LIMIT_MANIFEST);
	cleanup_buf struct buf all = BUF_INIT(2 * LIMIT_MANIFEST);
	int64_t length = 0;

	*ret = text;
	if (json_want(signatures, JSON_ARRAY, true, "signatures", err) < 0)
		return -1;
	if (!json_present(signatures) || json_len(signatures) == 0)
		return 0;
	if (agreed(signatures, &length, &tail, err) < 0)
		return err_ctx(err, "signatures");
	if (length <= 0 || length > (int64_t)text.len)
		return err_set(err, DRAY_ERR_FORMAT,
			       "signatures: formatLength is not within the manifest");
	if (buf_add(&all, span_head(text, (size_t)length), err) < 0 ||
	    buf_add(&all, span_buf(&tail), err) < 0)
		return -1;
	*ret = arena_dup(a, span_buf(&all));
	return ret->data ? 0 : err_nomem(err);
}

/* ---- the chain ---- */

/* One v1 image of the history, as its JSON says. */
struct link {
	const char *id, *parent; /* parent NULL at the bottom */
};

static bool is_id(const char *id)
{
	return id && hex_is_lower(span_str(id), V1_ID_LEN);
}

static int read_v1(struct schema1 *s, struct json history, struct schema1_entry *e,
		   struct link *ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	struct json root;

	if (json_string_bytes(json_get(history, "v1Compatibility"), "v1Compatibility", &s->arena,
			      &e->v1, err) < 0 ||
	    json_parse(e->v1, &doc, err) < 0)
		return -1;
	root = json_root(doc);
	if (json_want(root, JSON_OBJECT, false, "v1Compatibility", err) < 0 ||
	    json_string(json_get_fold(root, "id"), "id", &s->arena, &ret->id, err) < 0 ||
	    json_string(json_get_fold(root, "parent"), "parent", &s->arena, &ret->parent, err) <
		    0 ||
	    json_bool(json_get_fold(root, "throwaway"), "throwaway", false, &e->throwaway, err) < 0)
		return -1;
	if (ret->parent && !*ret->parent)
		ret->parent = NULL;
	return is_id(ret->id) ? 0 : err_set(err, DRAY_ERR_FORMAT, "id is not 64 hex digits");
}

static int read_blob(struct schema1 *s, struct json layer, struct digest *ret, dray_error **err)
{
	const char *text;

	if (json_string(json_get(layer, "blobSum"), "blobSum", &s->arena, &text, err) < 0)
		return -1;
	if (!text)
		return err_set(err, DRAY_ERR_FORMAT, "without a blobSum");
	return digest_parse(span_str(text), ret, err);
}

/* Document order is top first; *s and @p links become bottom first. */
static int read_lists(struct schema1 *s, struct json layers, struct json history,
		      struct link *links, dray_error **err)
{
	struct json layer = json_first(layers), entry = json_first(history);

	for (size_t i = s->n; i-- > 0; layer = json_next(layer), entry = json_next(entry)) {
		if (read_blob(s, layer, &s->entries[i].blob, err) < 0)
			return err_ctx(err, "fsLayers[%zu]", s->n - 1 - i);
		if (read_v1(s, entry, &s->entries[i], &links[i], err) < 0)
			return err_ctx(err, "history[%zu]", s->n - 1 - i);
	}
	return 0;
}

/* Each one's parent is the one below; one that comes twice in a row counts once, the lower one. */
static int check_chain(struct schema1 *s, const struct link *links, dray_error **err)
{
	CLEANUP(map_clear) struct map seen = { 0 };
	const char *below = NULL;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct link *l = &links[i];

		if (below && strcmp(l->id, below) == 0)
			continue;
		if (map_find(&seen, span_str(l->id)) || !l->parent != !below ||
		    (below && strcmp(l->parent, below) != 0))
			return err_set(err, DRAY_ERR_FORMAT, "history: the IDs are no chain at %s",
				       l->id);
		if (map_put(&seen, span_str(l->id), s, err) < 0)
			return -1;
		below = l->id;
		s->entries[n++] = s->entries[i];
		s->n_layers += !s->entries[i].throwaway;
	}
	s->n = n;
	return 0;
}

static int read_all(struct schema1 *s, const struct manifest *m, dray_error **err)
{
	struct json root = json_root(m->doc);
	struct json layers = json_get(root, "fsLayers"), history = json_get(root, "history");
	struct link *links;

	if (json_want(layers, JSON_ARRAY, false, "fsLayers", err) < 0 ||
	    json_want(history, JSON_ARRAY, false, "history", err) < 0)
		return -1;
	s->n = json_len(layers);
	if (s->n == 0 || s->n != json_len(history))
		return err_set(err, DRAY_ERR_FORMAT, "%zu fsLayers and %zu entries of history",
			       s->n, json_len(history));
	if (s->n > LIMIT_LAYERS)
		return err_set(err, DRAY_ERR_LIMIT, "%zu layers, over LIMIT_LAYERS (%d)", s->n,
			       LIMIT_LAYERS);
	s->entries = arena_array(&s->arena, s->n, sizeof(*s->entries));
	links = arena_array(&s->arena, s->n, sizeof(*links));
	if (!s->entries || !links)
		return err_nomem(err);
	return read_lists(s, layers, history, links, err) < 0 ? -1 : check_chain(s, links, err);
}

int schema1_read(const struct manifest *m, struct schema1 *ret, dray_error **err)
{
	*ret = (struct schema1){ 0 };
	if (read_all(ret, m, err) == 0)
		return 0;
	schema1_clear(ret);
	return -1;
}

void schema1_clear(struct schema1 *s)
{
	arena_clear(&s->arena);
	*s = (struct schema1){ 0 };
}

int schema1_config(const struct schema1 *s, const struct digest *diff_ids, struct buf *ret,
		   dray_error **err)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	struct span *jsons = arena_array(&a, s->n, sizeof(*jsons));
	bool *empty = arena_array(&a, s->n, sizeof(*empty));
	struct v1_history history = { jsons, empty, s->n };

	if (!jsons || !empty)
		return err_nomem(err);
	for (size_t i = 0; i < s->n; i++) {
		jsons[i] = s->entries[i].v1;
		empty[i] = s->entries[i].throwaway;
	}
	return v1_config(&history, diff_ids, s->n_layers, ret, err);
}
