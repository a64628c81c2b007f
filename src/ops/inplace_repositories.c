/* SPDX-License-Identifier: Apache-2.0
 *
 * The file "repositories" of an archive that is edited where it lies.
 * Relies on inplace_v1.c for the folders that it names.
 * Promises that it names no top layer and no tag that went.
 */
#include "ops/inplace.h"

#include <stdlib.h>

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"

#define REPOSITORIES "repositories"

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
	const char *text = arena_printf(&t->p->arena, "%s:%s", top->name, top->tag);

	*ret = false;
	if (!text)
		return err_nomem(err);
	if (inplace_familiar(t->p, text, &text, err) < 0)
		return -1;
	for (size_t i = 0; i < c->n_old_tags && !*ret; i++)
		if (inplace_means(t->p, c->old_tags[i], text, ret, err) < 0)
			return -1;
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
	return inplace_put_if_new(p, REPOSITORIES, span_buf(&old), span_buf(&text), err);
}
