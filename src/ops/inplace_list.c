/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.json and repositories of an archive that is edited where it lies.
 * Relies on json/edit: what is not named keeps its bytes.
 * Promises that no element names a config, a parent or a tag that went.
 */
#include "ops/inplace.h"

#include <stdlib.h>

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "image/reference.h"
#include "json/edit.h"

#define LIST "manifest.json"
#define REPOSITORIES "repositories"

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

/* ---- manifest.json ---- */

/* A list that is being edited. */
struct listing {
	struct inplace *p;
	struct json_edit *edit;
};

/* Which image the element at @p at is; NULL = one that stays. */
static struct inplace_change *change_of(const struct inplace *p, int64_t at, struct span config)
{
	for (size_t i = 0; i < p->n; i++) {
		struct inplace_change *c = &p->list[i];

		if (p->docker ? c->im->at == at
			      : c->im->config_path && span_is(config, c->im->config_path))
			return c;
	}
	return NULL;
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
static int check_shared(struct inplace *p, const char *path, dray_error **err)
{
	struct span real, theirs;

	if (real_name(p, path, &real, err) < 0)
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		struct inplace_change *c = &p->list[i];
		const char *blob = c->config_path ? inplace_blob(p, &c->old_config) : "";

		if (!blob)
			return err_nomem(err);
		if (!c->im->config_path)
			continue;
		if (real_name(p, c->im->config_path, &theirs, err) < 0)
			return -1;
		c->config_shared = c->config_shared || span_eq(theirs, real) || span_is(real, blob);
	}
	return 0;
}

static int edit_element(struct listing *l, struct json element, int64_t at, dray_error **err)
{
	struct inplace *p = l->p;
	struct span config = { 0 };
	struct inplace_change *c;
	const char *path;

	if (json_string(json_get_fold(element, "Config"), "Config", &p->arena, &path, err) < 0 ||
	    (path && inplace_clean(p, path, &config, err) < 0))
		return -1;
	c = change_of(p, at, config);
	if (c)
		return write_changed(l, element, c, err);
	if (path && check_shared(p, path, err) < 0)
		return -1;
	return check_names(p, json_get_fold(element, "RepoTags"), err) < 0
		       ? -1
		       : check_parent(l, element, err);
}

static int put_if_new(struct inplace *p, const char *name, struct span old, struct span text,
		      dray_error **err)
{
	return span_eq(old, text) ? 0 : amend_put_document(&p->amend, name, text, err);
}

int inplace_list(struct inplace *p, dray_error **err)
{
	const struct amend_member *m = amend_find(&p->amend, SPAN_LIT(LIST));
	cleanup_buf struct buf old = BUF_INIT(0), text = BUF_INIT(LIMIT_MANIFEST_JSON);
	cleanup_json struct json_doc *doc = NULL;
	cleanup_json_edit struct json_edit *edit = NULL;
	struct listing l = { .p = p };
	int64_t at = 0;

	if (!m)
		return 0;
	if (amend_read(&p->amend, m, LIMIT_MANIFEST_JSON, &old, err) < 0 ||
	    json_parse(span_buf(&old), &doc, err) < 0 ||
	    json_want(json_root(doc), JSON_ARRAY, false, "the document", err) < 0 ||
	    json_edit_new(doc, &edit, err) < 0)
		return err_ctx(err, LIST);
	l.edit = edit;
	for (struct json it = json_first(json_root(doc)); json_node(it); it = json_next(it), at++)
		if (edit_element(&l, it, at, err) < 0)
			return err_ctx(err, LIST);
	if (json_edit_apply(edit, &text, err) < 0)
		return -1;
	return put_if_new(p, LIST, span_buf(&old), span_buf(&text), err);
}

/* ---- repositories ---- */

/* One line of it: a name, a tag, the ID of a top layer. */
struct named_top {
	const char *name, *tag, *id;
};
struct tops {
	struct inplace *p;
	struct named_top *list;
	size_t n, cap;
};

static void tops_clear(struct tops *t)
{
	mem_free(t->list);
}
#define cleanup_tops CLEANUP(tops_clear)

static int add_top(struct tops *t, const char *name, const char *tag, const char *id,
		   dray_error **err)
{
	if (!id)
		return 0;
	if (mem_grow(&t->list, t->n, &t->cap, sizeof(*t->list)) < 0)
		return err_nomem(err);
	t->list[t->n++] = (struct named_top){ name, tag, id };
	return 0;
}

static int read_tops(struct tops *t, struct json root, dray_error **err)
{
	struct arena *a = &t->p->arena;
	const char *name, *tag, *id;

	if (json_want_map(root, false, REPOSITORIES, err) < 0)
		return -1;
	for (struct json it = json_first(root); json_node(it); it = json_next(it)) {
		if (json_name(it, a, &name, err) < 0 ||
		    json_want_map(it, true, REPOSITORIES, err) < 0)
			return -1;
		for (struct json v = json_first(it); json_node(v); v = json_next(v))
			if (json_name(v, a, &tag, err) < 0 ||
			    json_string(v, REPOSITORIES, a, &id, err) < 0 ||
			    add_top(t, name, tag, id, err) < 0)
				return -1;
	}
	return 0;
}

/* Is it one of the names that the image had? */
static int is_of(struct tops *t, const struct named_top *top, const struct inplace_change *c,
		 bool *ret, dray_error **err)
{
	const char *text = arena_printf(&t->p->arena, "%s:%s", top->name, top->tag), *mine;

	*ret = false;
	if (!text)
		return err_nomem(err);
	if (inplace_familiar(t->p, text, &text, err) < 0)
		return -1;
	for (size_t i = 0; i < c->n_old_tags && !*ret; i++) {
		if (inplace_familiar(t->p, c->old_tags[i], &mine, err) < 0)
			return -1;
		*ret = strcmp(text, mine) == 0;
	}
	return 0;
}

/* What names the image here: the folder of its top layer, or as Docker 25 does its DiffID. */
static const char *top_id(const struct inplace_change *c, const char *old)
{
	const struct image *im = c->im;

	if (c->v1_id)
		return c->v1_id;
	if (old || !im->n_layers)
		return old;
	return im->v1_top ? im->v1_top : digest_hex(&im->layers[im->n_layers - 1].diff_id);
}

static int add_names(struct tops *t, const struct inplace_change *c, const char *id,
		     dray_error **err)
{
	for (size_t i = 0; i < c->im->n_tags; i++) {
		const char *text, *colon;
		char *name;

		if (inplace_familiar(t->p, c->im->tags[i], &text, err) < 0)
			return -1;
		colon = strrchr(text, ':');
		if (!colon)
			continue;
		name = arena_strndup(&t->p->arena, text, (size_t)(colon - text));
		if (!name)
			return err_nomem(err);
		if (add_top(t, name, colon + 1, id, err) < 0)
			return -1;
	}
	return 0;
}

static int change_tops(struct tops *t, const struct inplace_change *c, dray_error **err)
{
	const char *id = NULL;
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++) {
		struct named_top top = t->list[i];
		bool mine;

		if (is_of(t, &top, c, &mine, err) < 0)
			return -1;
		if (mine)
			top.id = id = top_id(c, top.id);
		if (!mine || !t->p->o->tags)
			t->list[kept++] = top;
	}
	t->n = kept;
	return t->p->o->tags ? add_names(t, c, top_id(c, id), err) : 0;
}

static int by_name(const void *a, const void *b)
{
	const struct named_top *x = a, *y = b;
	int rc = strcmp(x->name, y->name);

	return rc ? rc : strcmp(x->tag, y->tag);
}

static int write_tops(struct tops *t, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	if (t->n)
		qsort(t->list, t->n, sizeof(*t->list), by_name);
	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	for (size_t i = 0; i < t->n; i++) {
		const struct named_top *top = &t->list[i];
		bool same = i > 0 && strcmp(t->list[i - 1].name, top->name) == 0;
		bool last = i + 1 == t->n || strcmp(t->list[i + 1].name, top->name) != 0;

		if (!same) {
			jsonw_key(&w, top->name);
			jsonw_object(&w);
		}
		if (!same || strcmp(t->list[i - 1].tag, top->tag) != 0)
			jsonw_kstring(&w, top->tag, top->id);
		if (last)
			jsonw_end_object(&w);
	}
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

static bool any_top(const struct inplace *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->list[i].v1_id)
			return true;
	return p->o->tags != NULL;
}

/* Its text has no identity: written as engines write it, not cut. */
int inplace_repositories(struct inplace *p, dray_error **err)
{
	const struct amend_member *m = amend_find(&p->amend, SPAN_LIT(REPOSITORIES));
	cleanup_buf struct buf old = BUF_INIT(0), text = BUF_INIT(LIMIT_MANIFEST_JSON);
	cleanup_json struct json_doc *doc = NULL;
	cleanup_tops struct tops t = { .p = p };

	if (!m || !any_top(p))
		return 0;
	if (amend_read(&p->amend, m, LIMIT_MANIFEST_JSON, &old, err) < 0 ||
	    json_parse(span_buf(&old), &doc, err) < 0 || read_tops(&t, json_root(doc), err) < 0)
		return err_ctx(err, REPOSITORIES);
	for (size_t i = 0; i < p->n; i++)
		if (change_tops(&t, &p->list[i], err) < 0)
			return -1;
	if (write_tops(&t, &text, err) < 0 ||
	    (span_ends(span_buf(&old), "\n") && buf_add_byte(&text, '\n', err) < 0))
		return -1;
	return put_if_new(p, REPOSITORIES, span_buf(&old), span_buf(&text), err);
}
