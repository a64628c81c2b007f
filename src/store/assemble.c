/* SPDX-License-Identifier: Apache-2.0 */

/* Building struct image from documents, damage and all.
 * Relies on the callers for bytes; checks them against what named them.
 * Promises an image that can be listed even when it is broken, with the reason noted. */

#include "store/assemble.h"

#include "base/limits.h"
#include "base/mem.h"

#define TAGS_COMPARED_MAX 64
#define JSON_VALUE_COST 40 /* bytes that one value of a parsed document takes */

int image_new(const char *where, struct image **ret, dray_error **err)
{
	cleanup_image struct image *im = mem_zalloc(sizeof(*im));

	if (!im)
		return err_nomem(err);
	im->notes.arena = &im->arena;
	im->raw_config.max = LIMIT_CONFIG;
	im->where = arena_strdup(&im->arena, where);
	if (!im->where)
		return err_nomem(err);
	*ret = steal_pointer(&im);
	return 0;
}

bool error_about_bytes(const dray_error *e)
{
	enum dray_err_kind kind = dray_error_kind(e);

	return kind == DRAY_ERR_FORMAT || kind == DRAY_ERR_CORRUPT || kind == DRAY_ERR_NOT_FOUND ||
	       kind == DRAY_ERR_LIMIT || kind == DRAY_ERR_UNSUPPORTED;
}

int image_trouble(struct image *im, const char *code, const char *where, dray_error **err)
{
	if (!err || !*err || !error_about_bytes(*err))
		return -1;
	cleanup_error dray_error *e = steal_pointer(err);

	im->broken = true;
	return notes_add(&im->notes, true, code, where ? where : im->where, dray_error_expected(e),
			 dray_error_actual(e), err, "%s", dray_error_message(e));
}

/* What a broken image means to somebody who wants to use it. */
static enum dray_err_kind kind_of_code(const char *code)
{
	static const struct {
		const char *code;
		enum dray_err_kind kind;
	} table[] = {
		{ "blob-missing", DRAY_ERR_NOT_FOUND },
		{ "config-missing", DRAY_ERR_NOT_FOUND },
		{ "v1-json-missing", DRAY_ERR_NOT_FOUND },
		{ "layer-missing", DRAY_ERR_NOT_FOUND },
		{ "blob-digest-differs", DRAY_ERR_CORRUPT },
		{ "blob-size-differs", DRAY_ERR_CORRUPT },
		{ "blob-unsupported", DRAY_ERR_UNSUPPORTED },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(table[i].code, code) == 0)
			return table[i].kind;
	return DRAY_ERR_FORMAT;
}

/* Notes that make an image unusable; others are problems for verify alone. */
static bool breaks(const char *code)
{
	return strcmp(code, "config-name-differs") != 0 && strcmp(code, "config-no-diff-ids") != 0;
}

const struct digest *image_id(const struct image *im)
{
	const struct digest *id = &im->config->digest;

	return im->listed && (digest_eq(id, &im->wanted) || digest_eq(id, &im->index_digest)) ? NULL
											      : id;
}

int image_require_whole(const struct image *im, dray_error **err)
{
	if (!im->broken)
		return 0;
	for (size_t i = 0; i < im->notes.n; i++) {
		const struct note *note = &im->notes.list[i];
		enum dray_err_kind kind = kind_of_code(note->code);

		if (!note->problem || !breaks(note->code))
			continue;
		if (kind == DRAY_ERR_CORRUPT && note->expected && note->actual)
			return err_mismatch(
				err, note->expected, note->actual, "%s: %s of %s", im->where,
				strstr(note->code, "-size-") ? "size" : "digest", note->where);
		return err_set(err, kind, "%s: %s", im->where, note->message);
	}
	return err_set(err, DRAY_ERR_FORMAT, "%s: the image is damaged", im->where);
}

int bytes_check_digest(const struct digest *want, struct span bytes, dray_error **err)
{
	cleanup_hash struct hash h = { 0 };
	struct digest have;

	if (hash_init(&h, want->algo, err) < 0)
		return -1;
	hash_update(&h, bytes);
	if (hash_finish(&h, &have, err) < 0)
		return -1;
	return digest_expect(want, &have, "blob digest", err);
}

/* image_trouble() with an error that must leave through @p err when it is about us. */
static int trouble_or_fail(struct image *im, const char *code, const char *where, dray_error *e,
			   dray_error **err)
{
	int rc = image_trouble(im, code, where, &e);

	if (err && e)
		*err = steal_pointer(&e);
	dray_error_free(e);
	return rc;
}

/* Compare config bytes with the descriptor that names them. */
static int check_against(struct image *im, struct span raw, const struct descriptor *expect,
			 dray_error **err)
{
	dray_error *e = NULL;

	if (!expect)
		return 0;
	if (bytes_check_digest(&expect->digest, raw, &e) < 0) {
		bool differs = dray_error_kind(e) == DRAY_ERR_CORRUPT;
		const char *code = differs ? "blob-digest-differs" : "blob-unsupported";

		if (trouble_or_fail(im, code, expect->digest.text, e, err) < 0)
			return -1;
	}
	if (expect->size < 0 || (uint64_t)expect->size == raw.len)
		return 0;
	char want[32], have[32];
	snprintf(want, sizeof(want), "%lld", (long long)expect->size);
	snprintf(have, sizeof(have), "%zu", raw.len);
	im->broken = true;
	return notes_add(&im->notes, true, "blob-size-differs", expect->digest.text, want, have,
			 err, "the config has %s bytes, its descriptor says %s", have, want);
}

/* config_parse() empties its argument even when it fails, but an artifact's config is wanted. */
static int copy_bytes(struct span raw, struct buf *ret, dray_error **err)
{
	buf_clear(ret);
	ret->max = LIMIT_CONFIG;
	return buf_add(ret, raw, err);
}

int image_set_config(struct image *im, struct buf *raw, const struct descriptor *expect,
		     dray_error **err)
{
	cleanup_buf struct buf bytes = *raw;
	cleanup_buf struct buf twin = BUF_INIT(LIMIT_CONFIG);
	dray_error *e = NULL;

	*raw = BUF_INIT(LIMIT_CONFIG);
	if (check_against(im, span_buf(&bytes), expect, err) < 0 ||
	    copy_bytes(span_buf(&bytes), &twin, err) < 0)
		return -1;
	if (!im->artifact && config_parse(&twin, &im->config, &e) == 0)
		return 0;
	im->raw_config = bytes;
	bytes = BUF_INIT(LIMIT_CONFIG);
	if (im->artifact)
		return 0;
	err_ctx(&e, "config");
	return trouble_or_fail(im, "config-bad-json", NULL, e, err);
}

int image_set_layers(struct image *im, size_t n, dray_error **err)
{
	if (n > LIMIT_LAYERS)
		return err_set(err, DRAY_ERR_LIMIT, "%s: %zu layers, more than %d (LIMIT_LAYERS)",
			       im->where, n, LIMIT_LAYERS);
	im->layers = arena_array(&im->arena, n ? n : 1, sizeof(*im->layers));
	if (!im->layers)
		return err_nomem(err);
	im->n_layers = n;
	for (size_t i = 0; i < n; i++)
		im->layers[i].blob.size = -1;
	return 0;
}

int image_set_diff_ids(struct image *im, dray_error **err)
{
	const struct config *c = im->config;

	if (!c || im->artifact)
		return 0;
	if (!c->has_diff_ids && im->n_layers > 0)
		return notes_add(&im->notes, true, "config-no-diff-ids", im->where, NULL, NULL, err,
				 "the config has no rootfs.diff_ids");
	for (size_t i = 0; i < im->n_layers && i < c->n_diff_ids; i++)
		im->layers[i].diff_id = c->diff_ids[i];
	if (c->n_diff_ids == im->n_layers)
		return 0;
	char want[32], have[32];

	snprintf(want, sizeof(want), "%zu", c->n_diff_ids);
	snprintf(have, sizeof(have), "%zu", im->n_layers);
	im->broken = true;
	return notes_add(
		&im->notes, true, "layer-count-differs", im->where, want, have, err,
		"layers length mismatch: the config has %s diff_ids, the manifest %s layers", want,
		have);
}

/* Room doubles at each power of two, so the count alone tells the capacity. */
static int grow_strings(struct arena *a, const char ***list, size_t n, dray_error **err)
{
	if (n & (n - 1))
		return 0;
	const char **more = arena_array(a, n ? 2 * n : 1, sizeof(*more));

	if (!more)
		return err_nomem(err);
	if (n)
		memcpy(more, *list, n * sizeof(*more));
	*list = more;
	return 0;
}

static int keep_word(struct arena *a, const char **word, dray_error **err)
{
	if (!*word)
		return 0;
	*word = arena_strdup(a, *word);
	return *word ? 0 : err_nomem(err);
}

int image_set_index_platform(struct image *im, const struct descriptor *d, dray_error **err)
{
	struct platform *p;

	if (!d->has_platform)
		return 0;
	p = arena_alloc(&im->arena, sizeof(*p));
	if (!p)
		return err_nomem(err);
	*p = d->platform;
	if (keep_word(&im->arena, &p->os, err) < 0 || keep_word(&im->arena, &p->arch, err) < 0 ||
	    keep_word(&im->arena, &p->variant, err) < 0 ||
	    keep_word(&im->arena, &p->os_version, err) < 0)
		return -1;
	im->index_platform = p;
	return 0;
}

int image_add_tag(struct image *im, const char *tag, const char *ref_name, dray_error **err)
{
	/* Twin tags are a writer's slip; a hostile million of them need not be compared. */
	for (size_t i = 0; i < im->n_tags && i < TAGS_COMPARED_MAX; i++)
		if (strcmp(im->tags[i], tag) == 0)
			return 0;
	if (grow_strings(&im->arena, &im->tags, im->n_tags, err) < 0 ||
	    grow_strings(&im->arena, &im->ref_names, im->n_tags, err) < 0)
		return -1;
	const char *t = arena_strdup(&im->arena, tag);
	const char *r = ref_name ? arena_strdup(&im->arena, ref_name) : NULL;

	if (!t || (ref_name && !r))
		return err_nomem(err);
	im->tags[im->n_tags] = t;
	im->ref_names[im->n_tags++] = r;
	return 0;
}

static int layers_from_manifest(struct image *im, dray_error **err)
{
	const struct manifest *m = im->manifest;

	if (image_set_layers(im, m->n_entries, err) < 0)
		return -1;
	for (size_t i = 0; i < m->n_entries; i++) {
		im->layers[i].blob = m->entries[i];
		im->layers[i].handle = i;
	}
	return 0;
}

int image_from_manifest(struct manifest *m, struct buf *config, const char *where,
			struct image **ret, dray_error **err)
{
	cleanup_manifest struct manifest *owned = m;
	cleanup_buf struct buf bytes = config ? *config : BUF_INIT(LIMIT_CONFIG);
	cleanup_image struct image *im = NULL;

	if (config)
		*config = BUF_INIT(LIMIT_CONFIG);
	if (image_new(where, &im, err) < 0)
		return -1;
	im->manifest = steal_pointer(&owned);
	im->manifest_trusted = true;
	im->config_digest_claimed = m->config.digest;
	im->artifact = manifest_is_artifact(m);
	if (layers_from_manifest(im, err) < 0)
		return -1;
	if (config && image_set_config(im, &bytes, &m->config, err) < 0)
		return -1;
	if (image_set_diff_ids(im, err) < 0)
		return -1;
	*ret = steal_pointer(&im);
	return 0;
}

/* ---- memory ---- */

/* A text and what is parsed of it. Each value but the first follows one of these characters. */
static int64_t document_cost(struct span text)
{
	int64_t values = 1;

	for (size_t i = 0; i < text.len; i++)
		values += text.data[i] == ',' || text.data[i] == '[' || text.data[i] == '{';
	return (int64_t)text.len + values * JSON_VALUE_COST;
}

static int64_t array_cost(size_t n, size_t size)
{
	return (int64_t)(n * size); /* of something that is in memory */
}

int64_t manifest_cost(const struct manifest *m)
{
	return (int64_t)sizeof(*m) + document_cost(span_buf(&m->raw)) +
	       array_cost(m->n_entries, sizeof(*m->entries));
}

static int64_t config_cost(const struct config *c)
{
	return (int64_t)sizeof(*c) + document_cost(span_buf(&c->raw)) +
	       array_cost(c->n_diff_ids, sizeof(*c->diff_ids)) +
	       array_cost(c->n_history, sizeof(*c->history));
}

/* A layer's trouble is there twice: on the layer and as the note. */
static int64_t notes_cost(const struct notes *n)
{
	int64_t sum = 0;

	for (size_t i = 0; i < n->n; i++)
		sum += (int64_t)(sizeof(*n->list) + 2 * strlen(n->list[i].message));
	return sum;
}

int64_t image_cost(const struct image *im)
{
	return (int64_t)(sizeof(*im) + im->raw_config.len) +
	       (im->manifest ? manifest_cost(im->manifest) : 0) +
	       (im->config ? config_cost(im->config) : 0) +
	       array_cost(im->n_layers, sizeof(*im->layers)) + notes_cost(&im->notes);
}

int image_list_account(struct image_list *l, int64_t bytes, dray_error **err)
{
	l->memory += bytes;
	if (l->memory <= LIMIT_IMAGES_TOTAL)
		return 0;
	return err_set(err, DRAY_ERR_LIMIT,
		       "the images need more than %lld bytes of memory (LIMIT_IMAGES_TOTAL)",
		       LIMIT_IMAGES_TOTAL);
}

int image_list_add(struct image_list *l, struct image *im, dray_error **err)
{
	if (image_list_account(l, image_cost(im), err) < 0) {
		image_free(im);
		return -1;
	}
	if (mem_grow(&l->list, l->n, &l->cap, sizeof(*l->list)) < 0) {
		image_free(im);
		return err_nomem(err);
	}
	l->list[l->n++] = im;
	return 0;
}

void image_list_clear(struct image_list *l)
{
	images_free(l->list, l->n);
	*l = (struct image_list){ 0 };
}
