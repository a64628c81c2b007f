/* SPDX-License-Identifier: Apache-2.0 */

/* Archives from before Docker 1.10: HEX/json, HEX/layer.tar, and "repositories" (formats.md 1.9).
 * Relies on image/ to make the modern config; its DiffIDs cost one reading of every layer.
 * Promises an image for each top, also when its chain is broken. */

#include "store/store_priv.h"

#include "base/limits.h"
#include "base/mem.h"

/* One "HEX/json" of a chain, top first. */
struct v1_layer {
	const char *id; /* in the image's arena */
	struct buf json;
};

struct chain {
	struct v1_layer *list;
	size_t n, cap;
	struct map seen;
};

static void chain_clear(struct chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		buf_clear(&c->list[i].json);
	mem_free(c->list);
	map_clear(&c->seen);
}
#define cleanup_chain CLEANUP(chain_clear)

static int problem(struct image *im, const char *code, const char *id, const char *what,
		   dray_error **err)
{
	im->broken = true;
	return notes_add(&im->notes, true, code, im->where, NULL, NULL, err, "%s %s",
			 safe_text(&im->arena, span_str(id)), what);
}

/* 1 = @p id may be read, 0 = the chain is broken here and that is noted, -1. */
static int check_id(struct image *im, struct chain *c, const char *id, dray_error **err)
{
	if (!v1_id_valid(span_str(id)))
		return problem(im, "v1-id-malformed", id, "is no v1 ID", err);
	if (map_find(&c->seen, span_str(id)))
		return problem(im, "v1-parent-loop", id, "is an ancestor of itself", err);
	if (c->n >= LIMIT_LAYERS)
		return err_set(err, DRAY_ERR_LIMIT, "%s: more than %d layers (LIMIT_LAYERS)",
			       im->where, LIMIT_LAYERS);
	return 1;
}

static int parent_of(struct image *im, struct span json, const char **ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;

	if (json_parse(json, &doc, err) < 0 ||
	    json_string(json_get(json_root(doc), "parent"), "parent", &im->arena, ret, err) < 0)
		return -1;
	if (*ret && !**ret)
		*ret = NULL;
	return 0;
}

/* Read the json of @p id; *ret_parent NULL at the bottom. 1 go on, 0 broken and noted, -1. */
static int read_link(struct archive *a, struct image *im, struct chain *c, const char *id,
		     const char **ret_parent, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);
	cleanup_error dray_error *e = NULL;
	const char *path = arena_printf(&im->arena, "%s/json", id);

	if (!path || map_put(&c->seen, span_str(id), c, err) < 0)
		return path ? -1 : err_nomem(err);
	if (members_document(a->members, path, LIMIT_CONFIG, &raw, &e) < 0 ||
	    parent_of(im, span_buf(&raw), ret_parent, &e) < 0) {
		bool absent = dray_error_kind(e) == DRAY_ERR_NOT_FOUND;
		int rc = image_trouble(im, absent ? "v1-json-missing" : "v1-json-bad", path, &e);

		if (rc < 0 && err)
			*err = steal_pointer(&e);
		return rc;
	}
	if (mem_grow(&c->list, c->n, &c->cap, sizeof(*c->list)) < 0)
		return err_nomem(err);
	c->list[c->n++] = (struct v1_layer){ id, raw };
	raw = BUF_INIT(LIMIT_CONFIG);
	return 1;
}

static int read_chain(struct archive *a, struct image *im, struct chain *c, const char *top,
		      dray_error **err)
{
	for (const char *id = top; id;) {
		const char *parent = NULL;
		int rc = check_id(im, c, id, err);

		if (rc > 0)
			rc = read_link(a, im, c, id, &parent, err);
		if (rc <= 0)
			return rc;
		id = parent;
	}
	return 0;
}

/* Layers bottom first, from a chain that is top first. */
static int set_layers(struct archive *a, struct image *im, const struct chain *c, dray_error **err)
{
	if (image_set_layers(im, c->n, err) < 0)
		return -1;
	for (size_t i = 0; i < c->n; i++) {
		struct layer *layer = &im->layers[i];

		layer->v1_id = c->list[c->n - 1 - i].id;
		layer->path = arena_printf(&im->arena, "%s/layer.tar", layer->v1_id);
		if (!layer->path)
			return err_nomem(err);
		if (archive_bind_layer(a, im, i, err) < 0)
			return -1;
		if (layer->missing && !layer->trouble &&
		    problem(im, "layer-missing", layer->path, "is not there", err) < 0)
			return -1;
	}
	return 0;
}

/* 1 = all DiffIDs are known, 0 = noted, -1. */
static int learn_diff_ids(struct archive *a, struct image *im, dray_error **err)
{
	for (size_t i = 0; i < im->n_layers; i++) {
		struct layer *layer = &im->layers[i];
		struct member *m = (struct member *)(uintptr_t)layer->handle;

		if (!m) {
			im->broken = true;
			return 0;
		}
		if (members_facts(a->members, m, &layer->facts, err) < 0)
			return -1;
		if (!digest_set(&layer->facts->diff_id))
			return problem(im, "layer-bad-compression", layer->path, "does not decode",
				       err);
		layer->diff_id = layer->facts->diff_id;
	}
	return 1;
}

static int make_config(struct image *im, const struct chain *c, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);
	struct span *jsons = arena_array(&im->arena, c->n, sizeof(*jsons));
	struct digest *ids = arena_array(&im->arena, c->n, sizeof(*ids));
	cleanup_error dray_error *e = NULL;

	if (!jsons || !ids)
		return err_nomem(err);
	for (size_t i = 0; i < c->n; i++) {
		jsons[i] = span_buf(&c->list[c->n - 1 - i].json);
		ids[i] = im->layers[i].diff_id;
	}
	if (config_from_v1(jsons, ids, c->n, &raw, &e) == 0)
		return image_set_config(im, &raw, NULL, err);
	if (image_trouble(im, "v1-json-bad", NULL, &e) == 0)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int fill_image(struct archive *a, struct image *im, const char *top, dray_error **err)
{
	cleanup_chain struct chain c = { 0 };

	if (read_chain(a, im, &c, top, err) < 0 || set_layers(a, im, &c, err) < 0)
		return -1;
	int known = learn_diff_ids(a, im, err);
	if (known <= 0)
		return known;
	return im->broken || !c.n ? 0 : make_config(im, &c, err);
}

/* The tops, each once, in the order in which they were met. */
struct tops {
	struct map by_id; /* v1 ID -> struct image */
	struct image_list *out;
	struct archive *a;
};

static int add_top(struct tops *t, struct span id, struct image **ret, dray_error **err)
{
	cleanup_image struct image *im = NULL;

	*ret = map_get(&t->by_id, id);
	if (*ret)
		return 0;
	if (image_new(t->a->label, &im, err) < 0)
		return -1;
	im->at = (int64_t)t->out->n;
	im->v1_top = arena_strndup(&im->arena, (const char *)id.data, id.len);
	im->where = arena_printf(&im->arena, "%s image %lld", t->a->label, (long long)im->at + 1);
	if (!im->v1_top || !im->where)
		return err_nomem(err);
	if (map_put(&t->by_id, span_str(im->v1_top), im, err) < 0)
		return -1;
	*ret = im;
	return image_list_add(t->out, steal_pointer(&im), err);
}

static int tops_from_repositories(struct tops *t, const struct repositories *r, dray_error **err)
{
	for (size_t i = 0; i < r->map.len; i++) {
		const struct map_slot *slot = &r->map.slots[i];
		struct image *im;

		if (add_top(t, span_str(slot->value), &im, err) < 0 ||
		    image_add_tag(im, (const char *)slot->key.data, NULL, err) < 0)
			return -1;
	}
	return 0;
}

/* The v1 ID of member "HEX/json"; empty for any other. */
static struct span id_of_json(struct span name)
{
	struct span id = span_head(name, V1_ID_LEN);

	if (name.len != V1_ID_LEN + 5 || !span_ends(name, "/json") || !v1_id_valid(id))
		return (struct span){ 0 };
	return id;
}

/* Note whose parent is whom; json that cannot be read names nobody. */
static int collect_parent(struct archive *a, struct span name, struct arena *arena,
			  struct map *parents, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);
	cleanup_json struct json_doc *doc = NULL;
	cleanup_error dray_error *e = NULL;
	const char *parent = NULL;
	char *path = arena_strndup(arena, (const char *)name.data, name.len);

	if (!path)
		return err_nomem(err);
	if (members_document(a->members, path, LIMIT_CONFIG, &raw, &e) < 0 ||
	    json_parse(span_buf(&raw), &doc, &e) < 0 ||
	    json_string(json_get(json_root(doc), "parent"), "parent", arena, &parent, &e) < 0) {
		if (error_about_bytes(e))
			return 0;
		if (err)
			*err = steal_pointer(&e);
		return -1;
	}
	return parent ? map_put(parents, span_str(parent), path, err) : 0;
}

/* Without "repositories" the tops are the IDs that are nobody's parent. */
static int tops_by_parents(struct tops *t, struct map *parents, struct arena *arena,
			   dray_error **err)
{
	const struct map *all = &t->a->members->map;
	struct image *im;

	for (size_t i = 0; i < all->len; i++)
		if (id_of_json(all->slots[i].key).len &&
		    collect_parent(t->a, all->slots[i].key, arena, parents, err) < 0)
			return -1;
	for (size_t i = 0; i < all->len; i++) {
		struct span id = id_of_json(all->slots[i].key);

		if (id.len && !map_find(parents, id) && add_top(t, id, &im, err) < 0)
			return -1;
	}
	return 0;
}

static int find_tops(struct tops *t, dray_error **err)
{
	cleanup_repositories struct repositories r = { 0 };

	if (repositories_load(t->a, &r, err) < 0)
		return -1;
	if (r.map.len)
		return tops_from_repositories(t, &r, err);
	struct map parents = { 0 };
	struct arena arena = { 0 };
	int rc = tops_by_parents(t, &parents, &arena, err);

	map_clear(&parents);
	arena_clear(&arena);
	return rc;
}

int docker_v1_images(struct archive *a, struct image_list *ret, dray_error **err)
{
	struct tops t = { .out = ret, .a = a };
	int rc = find_tops(&t, err);

	map_clear(&t.by_id);
	for (size_t i = 0; rc == 0 && i < ret->n; i++) {
		rc = fill_image(a, ret->list[i], ret->list[i]->v1_top, err);
		if (rc == 0)
			rc = image_list_account(ret, image_cost(ret->list[i]), err);
	}
	return rc < 0 ? err_ctx(err, "%s", a->label) : 0;
}
