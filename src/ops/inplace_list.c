/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.json of an archive that is edited where it lies.
 * Relies on json/edit: what is not named keeps its bytes.
 * Promises that no element names a config, a parent or a tag that went.
 */
#include "ops/inplace.h"

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "image/reference.h"
#include "json/edit.h"

#define LIST "manifest.json"

int inplace_clean(struct inplace *p, const char *path, struct span *ret, dray_error **err)
{
	cleanup_buf struct buf name = BUF_INIT(LIMIT_PATH);

	if (tar_name_clean(span_str(path), &name, err) < 0)
		return -1;
	*ret = arena_dup(&p->arena, span_buf(&name));
	return ret->data || !name.len ? 0 : err_nomem(err);
}

int inplace_follow(struct inplace *p, struct span name, struct span *ret, dray_error **err)
{
	const struct amend_member *m = amend_find(&p->amend, name);
	cleanup_buf struct buf raw = BUF_INIT(2 * LIMIT_PATH), text = BUF_INIT(LIMIT_PATH);
	cleanup_error dray_error *outside = NULL;
	size_t folder = name.len;

	*ret = (struct span){ 0 };
	if (!m || (m->type != TAR_SYMLINK && m->type != TAR_HARDLINK))
		return 0;
	while (folder > 0 && name.data[folder - 1] != '/')
		folder--;
	if ((m->type == TAR_SYMLINK && buf_add(&raw, span_head(name, folder), err) < 0) ||
	    buf_add(&raw, m->link, err) < 0)
		return -1;
	if (tar_name_clean(span_buf(&raw), &text, &outside) < 0)
		return dray_error_kind(outside) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
	*ret = arena_dup(&p->arena, span_buf(&text));
	return ret->data ? 0 : err_nomem(err);
}

int inplace_familiar(struct inplace *p, const char *tag, const char **ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_error dray_error *odd = NULL;
	cleanup_free char *text = NULL;

	*ret = tag;
	if (reference_parse(span_str(tag), &ref, &odd) < 0)
		return dray_error_kind(odd) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
	if (reference_default_tag(&ref, err) < 0)
		return -1;
	text = reference_familiar(&ref);
	*ret = text ? arena_strdup(&p->arena, text) : NULL;
	return *ret ? 0 : err_nomem(err);
}

/* "1" of "registry.example:5000/app:1". */
static const char *tag_of(const char *name)
{
	const char *slash = strrchr(name, '/'), *colon = strrchr(name, ':');

	return colon && (!slash || slash < colon) ? colon + 1 : NULL;
}

int inplace_means(struct inplace *p, const char *name, const char *tag, bool *ret, dray_error **err)
{
	const char *whole, *part = tag_of(tag);

	if (inplace_familiar(p, name, &whole, err) < 0)
		return -1;
	*ret = strcmp(tag, whole) == 0 ||
	       (part && !strpbrk(name, "/:@") && strcmp(part, name) == 0);
	return 0;
}

/* ---- manifest.json ---- */

/* A list that is being edited. */
struct listing {
	struct inplace *p;
	struct json_edit *edit;
	struct map changes; /* how an element is known -> struct inplace_change */
};

static void listing_clear(struct listing *l)
{
	json_edit_free(l->edit);
	map_clear(&l->changes);
}
#define cleanup_listing CLEANUP(listing_clear)

/* An image is known by its place in the list; what index.json told of, by its config. */
static struct span key_of(const struct inplace *p, const int64_t *at, struct span config)
{
	return p->docker ? span_of(at, sizeof(*at)) : config;
}

static int find_changes(struct listing *l, dray_error **err)
{
	for (size_t i = 0; i < l->p->n; i++) {
		struct inplace_change *c = &l->p->list[i];
		const char *config = c->im->config_path ? c->im->config_path : "";
		struct span key = key_of(l->p, &c->im->at, span_str(config));

		if (key.len && !map_find(&l->changes, key) && map_put(&l->changes, key, c, err) < 0)
			return -1;
	}
	return 0;
}

static int tags_text(struct inplace *p, const struct image *im, struct buf *ret, dray_error **err)
{
	struct jsonw w;
	const char *name;

	jsonw_init(&w, ret, err);
	jsonw_array(&w);
	for (size_t i = 0; i < im->n_tags; i++) {
		if (inplace_familiar(p, im->tags[i], &name, err) < 0)
			return -1;
		jsonw_string(&w, name);
	}
	jsonw_end_array(&w);
	return jsonw_finish(&w);
}

static int set_member(struct listing *l, struct json element, const char *key, struct span text,
		      dray_error **err)
{
	struct json old = json_get_fold(element, key);

	return json_node(old) ? json_edit_replace(l->edit, old, text, err)
			      : json_edit_insert(l->edit, element, key, text, err);
}

static void drop_member(struct listing *l, struct json element, const char *key)
{
	struct json old = json_get_fold(element, key);

	if (json_node(old))
		json_edit_remove(l->edit, old);
}

/* An image with another history is nobody's next step: engines check that of a parent. */
static int write_changed(struct listing *l, struct json element, const struct inplace_change *c,
			 dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(LIMIT_PATH), tags = BUF_INIT(LIMIT_MANIFEST_JSON);

	if (c->config_path) {
		if (json_quote(&path, span_str(c->config_path), err) < 0 ||
		    set_member(l, element, "Config", span_buf(&path), err) < 0)
			return -1;
		drop_member(l, element, "Parent");
	}
	if (!l->p->o->tags)
		return 0;
	if (tags_text(l->p, c->im, &tags, err) < 0)
		return -1;
	return set_member(l, element, "RepoTags", span_buf(&tags), err);
}

/* ---- an element with names that were not chosen ---- */

/* JSON lists of an element's names. */
struct names {
	struct buf chosen, others;
	size_t n_chosen, n_others;
	bool known; /* index.json, too, has one of the others */
};

static void names_clear(struct names *n)
{
	buf_clear(&n->chosen);
	buf_clear(&n->others);
}
#define cleanup_names CLEANUP(names_clear)

static int means_any(struct inplace *p, const char *const *names, size_t n, const char *tag,
		     bool *ret, dray_error **err)
{
	*ret = false;
	for (size_t i = 0; i < n && !*ret; i++)
		if (inplace_means(p, names[i], tag, ret, err) < 0)
			return -1;
	return 0;
}

/* Is @p tag of an element one that these names of index.json mean? */
static int is_one_of(struct inplace *p, const char *const *names, size_t n, struct json tag,
		     bool *ret, dray_error **err)
{
	const char *text;

	*ret = false;
	if (json_string(tag, "RepoTags", &p->arena, &text, err) < 0)
		return -1;
	if (!text)
		return 0;
	if (inplace_familiar(p, text, &text, err) < 0)
		return -1;
	return means_any(p, names, n, text, ret, err);
}

static int add_raw(struct buf *list, size_t *n, struct json v, dray_error **err)
{
	return buf_add_byte(list, (*n)++ ? ',' : '[', err) < 0 ? -1
							       : buf_add(list, json_raw(v), err);
}

static int sort_name(struct inplace *p, const struct inplace_change *c, struct json tag,
		     struct names *ret, dray_error **err)
{
	bool mine, known;

	if (is_one_of(p, c->old_tags, c->n_old_tags, tag, &mine, err) < 0)
		return -1;
	if (mine)
		return add_raw(&ret->chosen, &ret->n_chosen, tag, err);
	if (is_one_of(p, p->others, p->n_others, tag, &known, err) < 0)
		return -1;
	ret->known = ret->known || known;
	return add_raw(&ret->others, &ret->n_others, tag, err);
}

static int sort_names(struct inplace *p, const struct inplace_change *c, struct json element,
		      struct names *ret, dray_error **err)
{
	for (struct json it = json_first(json_get_fold(element, "RepoTags")); json_node(it);
	     it = json_next(it))
		if (sort_name(p, c, it, ret, err) < 0)
			return -1;
	return buf_add_byte(&ret->chosen, ']', err) < 0 ? -1 : buf_add_byte(&ret->others, ']', err);
}

/*
 * Has the element names of others alone? Where index.json has the image under no other name, names
 * that it does not know are the image's own.
 */
static bool is_others(const struct names *n, const struct inplace_change *c)
{
	return n->n_others && !n->n_chosen && (c->has_others || n->known);
}

/* @p element with these names; @p c NULL = as it was else. */
static int write_one(struct inplace *p, struct json element, struct span names,
		     const struct inplace_change *c, struct buf *ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	cleanup_json_edit struct json_edit *edit = NULL;
	struct listing l = { .p = p };

	if (json_parse(json_raw(element), &doc, err) < 0 || json_edit_new(doc, &edit, err) < 0)
		return -1;
	l.edit = edit;
	if (((!c || !p->o->tags) && set_member(&l, json_root(doc), "RepoTags", names, err) < 0) ||
	    (c && write_changed(&l, json_root(doc), c, err) < 0))
		return -1;
	return json_edit_apply(edit, ret, err);
}

/* One image under the names that were chosen, and the old one under the others. */
static int write_apart(struct listing *l, struct json element, struct inplace_change *c,
		       const struct names *n, dray_error **err)
{
	cleanup_buf struct buf both = BUF_INIT(LIMIT_MANIFEST_JSON),
			       old = BUF_INIT(LIMIT_MANIFEST_JSON);

	c->config_shared = true;
	if (write_one(l->p, element, span_buf(&n->chosen), c, &both, err) < 0 ||
	    write_one(l->p, element, span_buf(&n->others), NULL, &old, err) < 0 ||
	    buf_add_byte(&both, ',', err) < 0 || buf_add(&both, span_buf(&old), err) < 0)
		return -1;
	return json_edit_replace(l->edit, element, span_buf(&both), err);
}

/* ---- the list ---- */

/* The names of an image that stays: none of them may be given to another. */
static int check_names(struct inplace *p, struct json tags, dray_error **err)
{
	for (struct json it = json_first(tags); json_node(it); it = json_next(it)) {
		const char *text, *name;

		if (json_string(it, "RepoTags", &p->arena, &text, err) < 0)
			return -1;
		if (!text || !p->o->tags)
			continue;
		if (inplace_familiar(p, text, &text, err) < 0)
			return -1;
		for (size_t i = 0; i < p->o->n_tags; i++) {
			if (inplace_familiar(p, p->o->tags[i], &name, err) < 0)
				return -1;
			if (strcmp(name, text) == 0)
				return err_set(err, DRAY_ERR_USAGE,
					       "another image of the archive has the tag %.128s",
					       name);
		}
	}
	return 0;
}

static int check_others(struct inplace *p, const struct names *n, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;

	return json_parse(span_buf(&n->others), &doc, err) < 0
		       ? -1
		       : check_names(p, json_root(doc), err);
}

static int change_element(struct listing *l, struct json element, struct inplace_change *c,
			  const struct names *n, dray_error **err)
{
	if (!n->n_chosen || !n->n_others)
		return write_changed(l, element, c, err);
	return check_others(l->p, n, err) < 0 ? -1 : write_apart(l, element, c, n, err);
}

/* The image that it was built from may be another one by now. */
static int check_parent(struct listing *l, struct json element, dray_error **err)
{
	struct json v = json_get_fold(element, "Parent");
	const char *id;

	if (json_type(v) != JSON_STRING)
		return 0;
	if (json_string(v, "Parent", &l->p->arena, &id, err) < 0)
		return -1;
	for (size_t i = 0; i < l->p->n; i++)
		if (l->p->list[i].config_path && strcmp(id, l->p->list[i].old_config.text) == 0) {
			json_edit_remove(l->edit, v);
			break;
		}
	return 0;
}

/* The file that @p path leads to, over links. */
static int real_name(struct inplace *p, const char *path, struct span *ret, dray_error **err)
{
	struct span next;

	if (inplace_clean(p, path, ret, err) < 0)
		return -1;
	for (int i = 0; i < INPLACE_LINKS; i++) {
		if (inplace_follow(p, *ret, &next, err) < 0)
			return -1;
		if (!next.data)
			break;
		*ret = next;
	}
	return 0;
}

/* An element that stays needs its config, by whatever name. */
static int note_needed(struct inplace *p, const char *path, dray_error **err)
{
	struct span real;

	return real_name(p, path, &real, err) < 0 ? -1 : map_put(&p->needed, real, p, err);
}

static int find_shared(struct inplace *p, dray_error **err)
{
	for (size_t i = 0; p->needed.len && i < p->n; i++) {
		struct inplace_change *c = &p->list[i];
		const char *blob = c->config_path ? inplace_blob(p, &c->old_config) : "";
		struct span real;

		if (!blob)
			return err_nomem(err);
		if (!c->im->config_path)
			continue;
		if (real_name(p, c->im->config_path, &real, err) < 0)
			return -1;
		if (map_find(&p->needed, real) || map_find(&p->needed, span_str(blob)))
			c->config_shared = true;
	}
	return 0;
}

static int edit_element(struct listing *l, struct json element, int64_t at, dray_error **err)
{
	cleanup_names struct names n = { .chosen = BUF_INIT(LIMIT_MANIFEST_JSON),
					 .others = BUF_INIT(LIMIT_MANIFEST_JSON) };
	struct inplace *p = l->p;
	struct span config = { 0 };
	struct inplace_change *c;
	const char *path;

	if (json_string(json_get_fold(element, "Config"), "Config", &p->arena, &path, err) < 0 ||
	    (path && inplace_clean(p, path, &config, err) < 0))
		return -1;
	c = map_get(&l->changes, key_of(p, &at, config));
	if (c && p->by_name && sort_names(p, c, element, &n, err) < 0)
		return -1;
	if (c && !is_others(&n, c))
		return change_element(l, element, c, &n, err);
	if (path && note_needed(p, path, err) < 0)
		return -1;
	return check_names(p, json_get_fold(element, "RepoTags"), err) < 0
		       ? -1
		       : check_parent(l, element, err);
}

int inplace_put_if_new(struct inplace *p, const char *name, struct span old, struct span text,
		       dray_error **err)
{
	return span_eq(old, text) ? 0 : amend_put_document(&p->amend, name, text, err);
}

/* Any text may be the name of a member, by any key: at worst a few bytes stay. */
static int keep_texts(struct inplace *p, struct json v, dray_error **err)
{
	struct span text;

	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		if (json_type(it) != JSON_STRING)
			continue;
		if (json_string_bytes(it, LIST, &p->arena, &text, err) < 0)
			return -1;
		amend_keep(&p->amend, text);
	}
	return 0;
}

/* What an element names is no room: its own texts, and those of its lists. */
static int keep_element(struct inplace *p, struct json element, dray_error **err)
{
	if (keep_texts(p, element, err) < 0)
		return -1;
	for (struct json it = json_first(element); json_node(it); it = json_next(it))
		if (json_type(it) == JSON_ARRAY && keep_texts(p, it, err) < 0)
			return -1;
	return 0;
}

int inplace_list(struct inplace *p, dray_error **err)
{
	const struct amend_member *m = amend_find(&p->amend, SPAN_LIT(LIST));
	cleanup_buf struct buf old = BUF_INIT(0), text = BUF_INIT(LIMIT_MANIFEST_JSON);
	cleanup_json struct json_doc *doc = NULL;
	cleanup_listing struct listing l = { .p = p };
	int64_t at = 0;

	if (!m)
		return 0;
	if (p->by_name && inplace_find_others(p, err) < 0)
		return -1;
	if (amend_read(&p->amend, m, LIMIT_MANIFEST_JSON, &old, err) < 0 ||
	    json_parse(span_buf(&old), &doc, err) < 0 ||
	    json_want(json_root(doc), JSON_ARRAY, false, "the document", err) < 0 ||
	    json_edit_new(doc, &l.edit, err) < 0)
		return err_ctx(err, LIST);
	if (find_changes(&l, err) < 0)
		return -1;
	for (struct json it = json_first(json_root(doc)); json_node(it); it = json_next(it), at++)
		if (keep_element(p, it, err) < 0 || edit_element(&l, it, at, err) < 0)
			return err_ctx(err, LIST);
	if (find_shared(p, err) < 0 || json_edit_apply(l.edit, &text, err) < 0)
		return -1;
	return inplace_put_if_new(p, LIST, span_buf(&old), span_buf(&text), err);
}
