/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder of an image's top layer, as readers of the oldest archives know images.
 * Relies on config_step(): what these folders keep of a config has the shape of a config.
 * Promises an image of another ID beside the old one, which engines know by its ID alone.
 */
#include "ops/inplace.h"

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "json/edit.h"

static struct amend_member *member_of(struct inplace *p, const char *id, const char *name,
				      const char **ret_path)
{
	const char *path = arena_printf(&p->arena, "%s/%s", id, name);

	if (ret_path)
		*ret_path = path;
	return path ? amend_find(&p->amend, span_str(path)) : NULL;
}

/* As engines name the top layer's folder, and as an edit before this one did. */
static int id_of(struct inplace *p, const struct config *config, const char **ret, dray_error **err)
{
	static const struct v1_params params = { .era = V1_ERA_EPOCH };
	v1_id *ids = arena_array(&p->arena, config->n_diff_ids + 1, sizeof(*ids));

	*ret = NULL;
	if (!ids)
		return err_nomem(err);
	if (!config->n_diff_ids)
		return 0;
	if (v1_ids_docker(config, &params, ids, err) < 0)
		return -1;
	*ret = ids[config->n_diff_ids - 1];
	return 0;
}

int inplace_v1_top(struct inplace *p, const struct image *im, const char **ret, dray_error **err)
{
	const char *layer = im->n_layers ? im->layers[im->n_layers - 1].v1_id : NULL;

	*ret = im->v1_top ? im->v1_top : layer;
	if (im->v1_top || !layer || !im->config)
		return 0;
	if (id_of(p, im->config, &layer, err) < 0)
		return -1;
	if (layer && member_of(p, layer, "json", NULL))
		*ret = layer;
	return 0;
}

static int set_id(struct buf *text, const char *id, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	cleanup_json_edit struct json_edit *edit = NULL;
	cleanup_buf struct buf quoted = BUF_INIT(256), next = BUF_INIT(text->max);

	if (json_parse(span_buf(text), &doc, err) < 0 || json_edit_new(doc, &edit, err) < 0 ||
	    json_quote(&quoted, span_str(id), err) < 0 ||
	    json_edit_set(edit, json_root(doc), "id", span_buf(&quoted), err) < 0 ||
	    json_edit_apply(edit, &next, err) < 0)
		return -1;
	buf_clear(text);
	*text = next;
	next = BUF_INIT(0);
	return 0;
}

static int put_json(struct inplace *p, const struct amend_member *old, const char *path,
		    const char *id, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(0);

	if (amend_read(&p->amend, old, LIMIT_CONFIG, &text, err) < 0 ||
	    edit_run_steps(p->o, false, &text, err) < 0 || set_id(&text, id, err) < 0)
		return -1;
	return amend_put(&p->amend, path, span_buf(&text), err);
}

/* To the bytes themselves: a link to a link is more than some readers follow. */
static int put_layer(struct inplace *p, const char *from, const char *path, dray_error **err)
{
	const struct amend_member *old = member_of(p, from, "layer.tar", NULL);
	const char *target = arena_printf(&p->arena, "../%s/layer.tar", from);

	if (!target)
		return err_nomem(err);
	return amend_put_link(&p->amend, path,
			      old && old->type == TAR_SYMLINK ? old->link : span_str(target), err);
}

static int put_folder(struct inplace *p, const char *from, const struct amend_member *json,
		      const char *id, dray_error **err)
{
	const char *folder = arena_printf(&p->arena, "%s/", id), *version, *text, *layer;

	member_of(p, id, "VERSION", &version);
	member_of(p, id, "json", &text);
	member_of(p, id, "layer.tar", &layer);
	if (!folder || !version || !text || !layer)
		return err_nomem(err);
	if (amend_find(&p->amend, span_str(from)) && amend_put_folder(&p->amend, folder, err) < 0)
		return -1;
	if (amend_put(&p->amend, version, SPAN_LIT("1.0"), err) < 0 ||
	    put_json(p, json, text, id, err) < 0)
		return -1;
	return put_layer(p, from, layer, err);
}

int inplace_v1(struct inplace *p, struct inplace_change *c, dray_error **err)
{
	const char *from = c->old_v1, *id;
	const struct amend_member *json = from ? member_of(p, from, "json", NULL) : NULL;

	if (!json || !c->config_path || !c->im->config->n_diff_ids)
		return 0;
	if (id_of(p, c->im->config, &id, err) < 0)
		return -1;
	if (strcmp(id, from) == 0)
		return 0;
	c->v1_id = id;
	/* An edit that takes another back finds the folder of before. */
	if (member_of(p, id, "json", NULL))
		return 0;
	return put_folder(p, from, json, id, err) < 0 ? err_ctx(err, "%.12s", from) : 0;
}

/* ---- the old one ---- */

/* Does the text of member @p m hold @p id? */
static int mentions(const struct inplace *p, const struct amend_member *m, const char *id,
		    bool *ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(0);

	if (m->type != TAR_FILE || m->size > LIMIT_CONFIG)
		return 0;
	if (amend_read(&p->amend, m, LIMIT_CONFIG, &text, err) < 0)
		return -1;
	*ret = text.len && memmem(text.data, text.len, id, strlen(id)) != NULL;
	return 0;
}

/* Does any member that stays lead to the folder @p id? Documents by then do not. */
static int is_needed(const struct inplace *p, const char *id, bool *ret, dray_error **err)
{
	size_t len = strlen(id);

	*ret = p->amend.fresh.len &&
	       memmem(p->amend.fresh.data, p->amend.fresh.len, id, len) != NULL;
	for (size_t i = 0; i < p->amend.n && !*ret; i++) {
		const struct amend_member *m = p->amend.list[i];
		bool own = m->name.len >= len && memcmp(m->name.data, id, len) == 0;

		if (m->goes || own || !m->name.len)
			continue;
		if (m->link.len && memmem(m->link.data, m->link.len, id, len))
			*ret = true;
		else if ((span_ends(m->name, "/json") || span_is(m->name, "manifest.json") ||
			  span_is(m->name, "repositories")) &&
			 mentions(p, m, id, ret, err) < 0)
			return -1;
	}
	return 0;
}

/*
 * Where its layer.tar is the layer itself, the folder stays, as that of an image between others:
 * what ran in it is told by the new one.
 */
static int blank_json(struct inplace *p, const char *id, dray_error **err)
{
	struct amend_member *m = member_of(p, id, "json", NULL);
	cleanup_buf struct buf old = BUF_INIT(0), text = BUF_INIT(LIMIT_CONFIG);
	cleanup_json struct json_doc *doc = NULL;
	cleanup_json_edit struct json_edit *edit = NULL;
	static const char *const members[] = { "config", "container_config" };

	if (amend_read(&p->amend, m, LIMIT_CONFIG, &old, err) < 0 ||
	    json_parse(span_buf(&old), &doc, err) < 0 || json_edit_new(doc, &edit, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		struct json v = json_get(json_root(doc), members[i]);

		if (json_node(v))
			json_edit_remove(edit, v);
	}
	if (json_edit_apply(edit, &text, err) < 0)
		return -1;
	return amend_blank(&p->amend, m, span_buf(&text), err);
}

/* Do the new repositories have an image that starts there? Then it is that of another one too. */
static int is_start(const struct inplace *p, const char *id, bool *ret, dray_error **err)
{
	static const struct span name = SPAN_LIT("repositories");
	const struct amend_member *m = amend_find(&p->amend, name);
	struct span text = amend_fresh(&p->amend, name);

	*ret = text.len && memmem(text.data, text.len, id, strlen(id)) != NULL;
	return !text.len && m ? mentions(p, m, id, ret, err) : 0;
}

int inplace_drop_v1(struct inplace *p, const struct inplace_change *c, dray_error **err)
{
	static const char *const parts[] = { "VERSION", "json", "layer.tar" };
	const char *id = c->old_v1, *path;
	const struct amend_member *layer;
	bool needed;

	if (!c->v1_id)
		return 0;
	if (is_start(p, id, &needed, err) < 0)
		return -1;
	if (needed)
		return 0;
	layer = member_of(p, id, "layer.tar", NULL);
	needed = !layer || layer->type != TAR_SYMLINK;
	if (!needed && is_needed(p, id, &needed, err) < 0)
		return -1;
	if (needed)
		return blank_json(p, id, err);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		member_of(p, id, parts[i], &path);
		if (!path)
			return err_nomem(err);
		amend_drop(&p->amend, span_str(path));
	}
	amend_drop(&p->amend, span_str(id));
	return 0;
}
