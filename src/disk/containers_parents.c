/* SPDX-License-Identifier: Apache-2.0
 *
 * For: which image in podman's storage was built on which.
 * Relies on: layers and history alone, as podman does: no file says it.
 * Promises: time that grows with the number of images, whatever they are.
 */
#include "base/mem.h"
#include "disk/containers_priv.h"

/* An image's layers and steps, as one digest: who has one step more was built on it. */
struct family {
	struct storage *s;
	struct map origins; /* digest of layers and steps -> struct image */
	struct map parents; /* IDs of images that others were built on */
};

static void family_clear(struct family *f)
{
	map_clear(&f->origins);
	map_clear(&f->parents);
}
#define cleanup_family CLEANUP(family_clear)

static void add_text(struct hash *h, const char *text)
{
	uint8_t there = text != NULL;

	hash_update(h, span_of(&there, 1));
	if (text)
		hash_update(h, span_of(text, strlen(text) + 1));
}

static void add_step(struct hash *h, const struct history *step)
{
	uint8_t empty = step->empty_layer;

	add_text(h, step->created);
	add_text(h, step->created_by);
	add_text(h, step->author);
	add_text(h, step->comment);
	hash_update(h, span_of(&empty, 1));
}

/* The first @p steps of @p im's history on the layers of @p chain. */
static int origin_of(const struct image *im, const struct digest *chain, size_t steps,
		     struct digest *ret, dray_error **err)
{
	cleanup_hash struct hash h = { 0 };

	if (hash_init(&h, DIGEST_SHA256, err) < 0)
		return -1;
	add_text(&h, chain->text);
	for (size_t i = 0; i < steps; i++)
		add_step(&h, &im->config->history[i]);
	return hash_finish(&h, ret, err);
}

/* The ChainIDs of @p im, as many as it has layers; NULL with or without *err. */
static struct digest *chains_of(const struct image *im, dray_error **err)
{
	size_t n = im->config && !im->broken ? im->config->n_diff_ids : 0;
	cleanup_free struct digest *chain = n ? mem_alloc_array(n, sizeof(*chain)) : NULL;

	if (n && !chain)
		err_nomem(err);
	if (!chain || chain_ids(im->config->diff_ids, n, chain, err) < 0)
		return NULL;
	return steal_pointer(&chain);
}

/* The first of several that are alike keeps its place. */
static int learn(struct family *f, struct image *im, dray_error **err)
{
	dray_error *e = NULL;
	cleanup_free struct digest *chain = chains_of(im, &e);
	struct digest origin;

	if (!chain)
		return e ? disk_forgive(&e, err) : 0;
	if (origin_of(im, &chain[im->config->n_diff_ids - 1], im->config->n_history, &origin, err) <
	    0)
		return -1;
	const char *key = arena_strdup(&f->s->arena, origin.text);
	if (!key)
		return err_nomem(err);
	return map_find(&f->origins, span_str(key)) ? 0
						    : map_put(&f->origins, span_str(key), im, err);
}

/* *ret = the image that @p im has one step more than, on the same layers or on one less; NULL. */
static int find_parent(const struct family *f, const struct image *im, const struct image **ret,
		       dray_error **err)
{
	dray_error *e = NULL;
	cleanup_free struct digest *chain = chains_of(im, &e);
	size_t n;

	*ret = NULL;
	if (!chain)
		return e ? disk_forgive(&e, err) : 0;
	n = im->config->n_diff_ids;
	for (size_t less = 0; less < 2 && less < n && im->config->n_history && !*ret; less++) {
		struct digest origin;

		if (origin_of(im, &chain[n - 1 - less], im->config->n_history - 1, &origin, err) <
		    0)
			return -1;
		*ret = map_get(&f->origins, span_str(origin.text));
	}
	return 0;
}

static int set_parent(struct family *f, struct image *im, dray_error **err)
{
	struct dray_disk_info *info;
	const struct image *parent;

	if (find_parent(f, im, &parent, err) < 0)
		return -1;
	if (!parent)
		return 0;
	info = arena_alloc(&im->arena, sizeof(*info));
	if (!info)
		return err_nomem(err);
	*info = *im->disk;
	info->parent = arena_strdup(&im->arena, parent->config_digest_claimed.text);
	im->disk = info;
	if (!info->parent)
		return err_nomem(err);
	return map_put(&f->parents, span_str(parent->config_digest_claimed.text), f, err);
}

/* What nothing names and something was built on, podman hides. */
static int set_state(const struct family *f, struct image *im, dray_error **err)
{
	struct dray_disk_info *info;

	if (im->n_tags || im->disk->n_repo_digests ||
	    !map_find(&f->parents, span_str(im->config_digest_claimed.text)))
		return 0;
	info = arena_alloc(&im->arena, sizeof(*info));
	if (!info)
		return err_nomem(err);
	*info = *im->disk;
	info->state = "intermediate";
	im->disk = info;
	return 0;
}

int storage_set_parents(struct storage *s, struct image_list *l, size_t first, dray_error **err)
{
	cleanup_family struct family f = { .s = s };

	for (size_t i = first; i < l->n; i++)
		if (learn(&f, l->list[i], err) < 0)
			return -1;
	for (size_t i = first; i < l->n; i++)
		if (set_parent(&f, l->list[i], err) < 0)
			return -1;
	for (size_t i = first; i < l->n; i++)
		if (set_state(&f, l->list[i], err) < 0)
			return -1;
	return 0;
}
