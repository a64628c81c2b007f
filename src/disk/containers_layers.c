/* SPDX-License-Identifier: Apache-2.0
 *
 * For: layers in podman's storage: from layers.json to files on the disk.
 * Relies on: parents that lead from the top layer down; what layers.json says is held against the config.
 * Promises: an ID becomes part of a path only if it is one; loops end.
 */
#include "base/mem.h"
#include "base/text.h"
#include "disk/containers_priv.h"

static int read_layer_facts(struct storage *s, struct json element, struct storage_layer *e,
			    dray_error **err)
{
	struct json size = json_get(element, "diff-size");
	bool incomplete = false;
	const char *diff;

	if (storage_string(s, element, "parent", &e->parent, err) < 0 ||
	    storage_string(s, element, "created", &e->created, err) < 0 ||
	    storage_string(s, element, "diff-digest", &diff, err) < 0 ||
	    (json_present(size) && json_int(size, "diff-size", &e->layer->files_size, err) < 0) ||
	    json_bool(json_get(json_get(element, "flags"), "incomplete"), "incomplete", false,
		      &incomplete, err) < 0)
		return -1;
	if (e->parent && !e->parent[0])
		e->parent = NULL;
	if (diff && diff[0] && digest_parse(span_str(diff), &e->layer->diff_id, err) < 0)
		return -1;
	return incomplete ? disk_layer_broken(s->disk, e->layer, "layer-incomplete", err,
					      "layer %.*s was never finished", STORAGE_SHOWN_ID,
					      e->layer->id)
			  : 0;
}

static int find_files(struct storage *s, struct disk_layer *l, const char *id, dray_error **err)
{
	struct arena *a = &s->disk->store.arena;
	cleanup_error dray_error *e = NULL;

	l->files = arena_printf(a, "%s%s%s", s->driver->before, id, s->driver->behind);
	l->tarsplit = arena_printf(a, "%s-layers/%s.tar-split.gz", s->driver->name, id);
	if (!l->files || !l->tarsplit)
		return err_nomem(err);
	l->whole = s->driver->whole;
	if (disk_layer_look(s->disk, l, &e) == 0 ||
	    disk_layer_trouble(s->disk, l, "layer-damaged", &e) == 0)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

int storage_add_layer(struct storage *s, struct json element, void *arg, dray_error **err)
{
	struct storage_layer *e = arena_alloc(&s->arena, sizeof(*e));
	const char *id;
	bool new;

	(void)arg;
	if (!e)
		return err_nomem(err);
	if (storage_string(s, element, "id", &id, err) < 0)
		return -1;
	if (!storage_is_id(id))
		return err_set(err, DRAY_ERR_FORMAT, "a layer whose ID is none");
	if (s->nth && map_get(&s->layers, span_str(id))) /* the storage has one of its own */
		return 0;
	const char *key = arena_printf(&s->arena, "%s %s", s->driver->name, id);
	if (!key)
		return err_nomem(err);
	if (disk_layer_get(s->disk, key, &e->layer, &new, err) < 0)
		return -1;
	if (new) {
		e->layer->root = s->root;
		e->layer->id += strlen(s->driver->name) + 1;
		if (read_layer_facts(s, element, e, err) < 0 ||
		    find_files(s, e->layer, id, err) < 0)
			return -1;
	} else if (storage_string(s, element, "parent", &e->parent, err) < 0 ||
		   storage_string(s, element, "created", &e->created, err) < 0) {
		return -1;
	}
	return map_put(&s->layers, span_str(id), e, err);
}

static int missing_layer(struct image *im, const char *id, dray_error **err)
{
	cleanup_free char *safe = text_safe(span_str(id), DIGEST_HEX_SHA256);

	im->broken = true;
	return notes_add(&im->notes, true, "layer-missing", im->where, NULL, NULL, err,
			 "layers.json does not know its layer %s", safe ? safe : "?");
}

static int count_differs(struct image *im, size_t have, dray_error **err)
{
	im->broken = true;
	return notes_add(&im->notes, true, "layer-count-differs", im->where, NULL, NULL, err,
			 "its config has %zu diff_ids, the storage %s%zu layers",
			 im->config->n_diff_ids, have > im->config->n_diff_ids ? "at least " : "",
			 have);
}

/* From the top layer down, as many as the config has. */
static int gather(struct storage *s, struct image *im, const char *top, struct storage_layer **list,
		  bool *ret_whole, dray_error **err)
{
	size_t n = im->config->n_diff_ids, have = 0;

	*ret_whole = false;
	for (const char *id = top; id && id[0]; have++) {
		if (have == n)
			return count_differs(im, have + 1, err);
		list[n - 1 - have] = map_get(&s->layers, span_str(id));
		if (!list[n - 1 - have])
			return missing_layer(im, id, err);
		id = list[n - 1 - have]->parent;
	}
	if (have != n)
		return count_differs(im, have, err);
	*ret_whole = true;
	return 0;
}

/* layers.json and the config must agree what a layer is. */
static int bind_layer(struct image *im, size_t i, const struct disk_layer *l, dray_error **err)
{
	const struct digest *want = &im->layers[i].diff_id;

	if (!digest_set(&l->diff_id) || digest_eq(&l->diff_id, want))
		return disk_bind_layer(im, i, l, err);
	im->layers[i].missing = true;
	im->layers[i].handle = l->number;
	return notes_add(&im->notes, true, "layer-diff-differs", im->where, want->text,
			 l->diff_id.text, err, "layer %zu: layers.json says that it is %s", i + 1,
			 l->diff_id.text);
}

int storage_bind_layers(struct storage *s, struct image *im, const char *top,
			struct dray_disk_info *info, const struct storage_layer **ret_top,
			dray_error **err)
{
	size_t n = im->config->n_diff_ids;
	cleanup_free struct storage_layer **list = mem_alloc_array(n + 1, sizeof(*list));
	int64_t sum = 0;
	bool whole;

	if (!list)
		return err_nomem(err);
	if (gather(s, im, top, list, &whole, err) < 0)
		return -1;
	if (!whole)
		return 0;
	if (image_set_layers(im, n, err) < 0 || image_set_diff_ids(im, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct disk_layer *l = list[i]->layer;

		l->below = i ? list[i - 1]->layer : NULL;
		if (bind_layer(im, i, l, err) < 0)
			return -1;
		if (sum >= 0 &&
		    (l->files_size < 0 || __builtin_add_overflow(sum, l->files_size, &sum)))
			sum = -1;
	}
	info->size = sum;
	*ret_top = n ? list[n - 1] : NULL;
	return 0;
}
