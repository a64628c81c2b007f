/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.json for docker load, made from the manifests that an archive stores.
 * Relies on struct dest_index for names and for what is only part of an index.
 * Promises that elements which others wrote keep every byte but the names they lose.
 */
#include "store/docker_list.h"

#include <stdio.h>

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "image/reference.h"

/* One manifest or index, as far as manifest.json needs it. */
struct listed {
	struct digest digest;
	bool index;
	struct digest config; /* images */
	struct digest *parts; /* layers bottom first, or the images of an index */
	size_t n_parts;
	size_t preferred; /* of an index: the part that stands for it */
	struct listed *next;
};

/* ---- adding ---- */

static size_t preferred_part(const struct manifest *m)
{
	struct platform host;

	platform_host(&host);
	for (size_t i = 0; i < m->n_entries; i++)
		if (m->entries[i].has_platform && platform_match(&host, &m->entries[i].platform))
			return i;
	return 0;
}

int docker_list_add(struct docker_list *l, const struct manifest *m, dray_error **err)
{
	struct listed *e;

	if (manifest_is_artifact(m) || m->kind == MANIFEST_SCHEMA1 ||
	    map_find(&l->by_digest, span_str(m->digest.text)))
		return 0;
	e = arena_alloc(&l->arena, sizeof(*e));
	if (!e)
		return err_nomem(err);
	*e = (struct listed){ .digest = m->digest,
			      .index = m->kind == MANIFEST_INDEX,
			      .config = m->config.digest,
			      .n_parts = m->n_entries };
	e->parts = arena_array(&l->arena, m->n_entries + 1, sizeof(*e->parts));
	if (!e->parts)
		return err_nomem(err);
	for (size_t i = 0; i < m->n_entries; i++)
		e->parts[i] = m->entries[i].digest;
	e->preferred = e->index ? preferred_part(m) : 0;
	*(l->last ? l->last : &l->first) = e;
	l->last = &e->next;
	return map_put(&l->by_digest, span_str(e->digest.text), e, err);
}

void docker_list_clear(struct docker_list *l)
{
	map_clear(&l->by_digest);
	arena_clear(&l->arena);
	*l = (struct docker_list){ 0 };
}

static struct listed *find(const struct docker_list *l, const struct digest *d)
{
	return map_get(&l->by_digest, span_str(d->text));
}

/* The image that docker load takes for @p e; NULL when the archive holds none. */
static const struct listed *stands_for(const struct docker_list *l, const struct listed *e)
{
	for (int depth = 0; e && e->index; depth++) {
		const struct listed *part = NULL;

		if (depth >= LIMIT_INDEX_DEPTH || !e->n_parts)
			return NULL;
		part = find(l, &e->parts[e->preferred]);
		for (size_t i = 0; i < e->n_parts && !part; i++)
			part = find(l, &e->parts[i]);
		e = part;
	}
	return e;
}

const struct digest *docker_list_image(const struct docker_list *l, const struct digest *d)
{
	const struct listed *e = stands_for(l, find(l, d));

	return e ? &e->digest : NULL;
}

/* ---- writing ---- */

struct listing {
	const struct docker_list *l;
	const struct dest_index *x;
	struct map names;  /* digest text -> the first struct name of the image */
	struct map placed; /* digest text of images that an old element stands for */
	struct arena arena;
	struct buf *out;
	bool any; /* an element has been written */
};
struct name {
	const struct dest_entry *entry;
	struct name *next;
};

static void listing_clear(struct listing *w)
{
	map_clear(&w->names);
	map_clear(&w->placed);
	arena_clear(&w->arena);
}
#define cleanup_listing CLEANUP(listing_clear)

/* Note the image that the i-th entry of the index leads to, and its name if it has one. */
static int note_names(struct listing *w, size_t i, dray_error **err)
{
	const struct dest_entry *e = &w->x->list[i];
	const struct listed *image = stands_for(w->l, find(w->l, &e->digest));
	struct name *n, *first;

	if (!image || !dest_index_stands(w->x, i))
		return 0;
	n = arena_alloc(&w->arena, sizeof(*n));
	if (!n)
		return err_nomem(err);
	*n = (struct name){ .entry = e };
	first = map_get(&w->names, span_str(image->digest.text));
	if (!first)
		return map_put(&w->names, span_str(image->digest.text), n, err);
	while (first->next)
		first = first->next;
	first->next = n;
	return 0;
}

static const struct name *names_of(const struct listing *w, const struct listed *e)
{
	return map_get(&w->names, span_str(e->digest.text));
}

/* "blobs/ALGO/HEX" */
struct path {
	char text[DIGEST_TEXT + 8];
};

static struct path path_of(const struct digest *d)
{
	const char *hex = digest_hex(d);
	struct path p;

	snprintf(p.text, sizeof(p.text), "blobs/%.*s/%s", (int)(hex - d->text - 1), d->text, hex);
	return p;
}

/* Where @p d lies: "blobs/ALGO/HEX", or at the top with @p ending. */
static void write_path(const struct listing *l, struct jsonw *w, const struct digest *d,
		       const char *ending)
{
	char text[DIGEST_TEXT + 8];

	if (!l->l->legacy) {
		jsonw_string(w, path_of(d).text);
		return;
	}
	snprintf(text, sizeof(text), "%s%s", digest_hex(d), ending);
	jsonw_string(w, text);
}

/* "RepoTags": those of @p old that stay, then ours; null when there is none. */
static int write_tags(struct listing *l, const char *const *old, size_t n_old,
		      const struct name *names, dray_error **err)
{
	struct jsonw w;
	bool any = n_old > 0;

	for (const struct name *n = names; n; n = n->next)
		any = any || n->entry->familiar;
	jsonw_init(&w, l->out, err);
	if (any)
		jsonw_array(&w);
	for (size_t i = 0; i < n_old; i++)
		jsonw_string(&w, old[i]);
	for (const struct name *n = names; n; n = n->next)
		if (n->entry->familiar)
			jsonw_string(&w, n->entry->familiar);
	if (any)
		jsonw_end_array(&w);
	else
		jsonw_null(&w);
	return jsonw_finish(&w);
}

static int separate(struct listing *l, dray_error **err)
{
	bool comma = l->any;

	l->any = true;
	return comma ? buf_add_byte(l->out, ',', err) : 0;
}

static int write_ours(struct listing *l, const struct listed *e, dray_error **err)
{
	struct jsonw w;

	if (separate(l, err) < 0 || buf_add_str(l->out, "{\"Config\":", err) < 0)
		return -1;
	jsonw_init(&w, l->out, err);
	write_path(l, &w, &e->config, ".json");
	if (jsonw_finish(&w) < 0 || buf_add_str(l->out, ",\"RepoTags\":", err) < 0 ||
	    write_tags(l, NULL, 0, names_of(l, e), err) < 0 ||
	    buf_add_str(l->out, ",\"Layers\":", err) < 0)
		return -1;
	jsonw_init(&w, l->out, err);
	jsonw_array(&w);
	for (size_t i = 0; i < e->n_parts; i++)
		write_path(l, &w, &e->parts[i], ".tar");
	jsonw_end_array(&w);
	return jsonw_finish(&w) < 0 ? -1 : buf_add_byte(l->out, '}', err);
}

/* ---- what the archive had ---- */

/* Is @p v the string "blobs/ALGO/HEX" of this digest, as we and containerd write it? */
static bool is_path(struct json v, const struct digest *d)
{
	struct span raw = json_raw(v);
	const struct path p = path_of(d);

	return json_type(v) == JSON_STRING && raw.len == strlen(p.text) + 2 &&
	       memcmp(raw.data + 1, p.text, raw.len - 2) == 0;
}

/* The image of ours that an old element is already; NULL = none. */
static const struct listed *same_image(struct listing *l, struct json element)
{
	struct json layers = json_get_fold(element, "Layers");

	for (const struct listed *e = l->l->first; e; e = e->next) {
		struct json it = json_first(layers);
		size_t i = 0;

		if (e->index || !names_of(l, e) || map_find(&l->placed, span_str(e->digest.text)) ||
		    json_len(layers) != e->n_parts ||
		    !is_path(json_get_fold(element, "Config"), &e->config))
			continue;
		while (i < e->n_parts && is_path(it, &e->parts[i])) {
			it = json_next(it);
			i++;
		}
		if (i == e->n_parts)
			return e;
	}
	return NULL;
}

/* The full form of a name in manifest.json, "docker.io/library/app:1"; NULL = no reference. */
static int full_name(const char *text, char **ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_error dray_error *e = NULL;

	*ret = NULL;
	if (reference_parse(span_str(text), &ref, &e) < 0)
		return dray_error_kind(e) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
	if (reference_default_tag(&ref, err) < 0)
		return -1;
	*ret = reference_text(&ref);
	return *ret ? 0 : err_nomem(err);
}

/* 1 = the name goes to an image of ours, 0 = it stays, -1. */
static int is_taken(struct listing *l, const char *text, dray_error **err)
{
	cleanup_free char *full = NULL;

	if (full_name(text, &full, err) < 0)
		return -1;
	if (!dest_index_named(l->x, full, full ? NULL : text))
		return 0;
	if (l->x->no_clobber)
		return err_set(err, DRAY_ERR_USAGE, "an image has this tag already");
	return 1;
}

/* Names of an old element that stay, in *ret. */
static int staying(struct listing *l, struct json tags, const char ***ret, size_t *ret_n,
		   dray_error **err)
{
	*ret_n = 0;
	*ret = arena_array(&l->arena, json_len(tags) + 1, sizeof(**ret));
	if (!*ret)
		return err_nomem(err);
	for (struct json it = json_first(tags); json_node(it); it = json_next(it)) {
		const char *text;
		int taken;

		if (json_string(it, "RepoTags", &l->arena, &text, err) < 0)
			return -1;
		taken = text ? is_taken(l, text, err) : 1;
		if (taken < 0)
			return -1;
		if (!taken)
			(*ret)[(*ret_n)++] = text;
	}
	return 0;
}

/* The element @p v with these names in place of its own: no other byte of it changes. */
static int write_kept(struct listing *l, struct json v, const char *const *tags, size_t n,
		      const struct name *ours, dray_error **err)
{
	struct json old = json_get_fold(v, "RepoTags");
	struct span all = json_raw(v), span = json_raw(old);
	bool missing = json_type(old) == JSON_MISSING;
	/* Where there was no list of names, one comes first. */
	size_t before = missing ? 1 : (size_t)(span.data - all.data);
	size_t after = missing ? 1 : before + span.len;

	if (buf_add(l->out, span_head(all, before), err) < 0 ||
	    (missing && buf_add_str(l->out, "\"RepoTags\":", err) < 0) ||
	    write_tags(l, tags, n, ours, err) < 0 ||
	    (missing && json_len(v) > 0 && buf_add_byte(l->out, ',', err) < 0))
		return -1;
	return buf_add(l->out, span_from(all, after), err);
}

static int keep_element(struct listing *l, struct json v, dray_error **err)
{
	const struct listed *same;
	const char **tags;
	struct json old;
	size_t n;

	if (json_want(v, JSON_OBJECT, false, "an element", err) < 0)
		return -1;
	old = json_get_fold(v, "RepoTags");
	if (json_want(old, JSON_ARRAY, true, "RepoTags", err) < 0 ||
	    staying(l, old, &tags, &n, err) < 0)
		return -1;
	same = same_image(l, v);
	/* An image whose names have all gone to others goes too, as it does in index.json. */
	if (!same && n == 0 && json_len(old) > 0)
		return 0;
	if (same && map_put(&l->placed, span_str(same->digest.text), l, err) < 0)
		return -1;
	if (separate(l, err) < 0)
		return -1;
	return write_kept(l, v, tags, n, same ? names_of(l, same) : NULL, err);
}

static int write_all(struct listing *l, struct json old, dray_error **err)
{
	for (size_t i = 0; i < l->x->n; i++)
		if (note_names(l, i, err) < 0)
			return -1;
	if (buf_add_byte(l->out, '[', err) < 0)
		return -1;
	for (struct json v = json_first(old); json_node(v); v = json_next(v))
		if (keep_element(l, v, err) < 0)
			return -1;
	for (const struct listed *e = l->l->first; e; e = e->next)
		if (!e->index && names_of(l, e) &&
		    !map_find(&l->placed, span_str(e->digest.text)) && write_ours(l, e, err) < 0)
			return -1;
	return buf_add_byte(l->out, ']', err);
}

int docker_list_write(const struct docker_list *l, const struct dest_index *x, struct span old,
		      struct buf *ret, dray_error **err)
{
	cleanup_listing struct listing w = { .l = l, .x = x, .out = ret };
	cleanup_json struct json_doc *doc = NULL;

	if (json_parse(old, &doc, err) < 0 ||
	    json_want(json_root(doc), JSON_ARRAY, true, "the document", err) < 0 ||
	    write_all(&w, json_root(doc), err) < 0)
		return err_ctx(err, "%s", DOCKER_LIST_NAME);
	return 0;
}
