/* SPDX-License-Identifier: Apache-2.0
 *
 * For: layers and containers of a Docker data root: from a ChainID to files on the disk.
 * Relies on: layerdb, as dockerd writes it (formats.md 7.2).
 * Promises: an ID becomes part of a path only if it is one; what is damaged is the layer's trouble.
 */
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "disk/docker_priv.h"

#define SHOWN_MAX 100

static const struct docker_driver DRIVERS[] = {
	{ "overlay2", "overlay2/", "/diff", false },
	{ "vfs", "vfs/dir/", "", true },
	{ "fuse-overlayfs", "fuse-overlayfs/", "/diff", false },
	{ "aufs", "aufs/diff/", "", false },
	{ "btrfs", "btrfs/subvolumes/", "", true },
};

const struct docker_driver *docker_driver_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(DRIVERS); i++)
		if (strcmp(DRIVERS[i].name, name) == 0)
			return &DRIVERS[i];
	return NULL;
}

/* ---- a layer ---- */

/* A path in the store's arena. */
static const char *path_of(struct docker_root *r, const char *list, const char *id,
			   const char *name)
{
	return arena_printf(&r->disk->store.arena, "image/%s/layerdb/%s/%s/%s", r->driver, list, id,
			    name);
}

static int read_line(struct docker_root *r, const struct disk_layer *l, const char *name,
		     const char **ret, dray_error **err)
{
	const char *path = path_of(r, "sha256", l->id, name);

	return path ? beneath_line(r->disk->root, path, &r->arena, ret, err) : err_nomem(err);
}

static int find_files(struct docker_root *r, struct disk_layer *l, dray_error **err)
{
	const char *id;

	if (read_line(r, l, "cache-id", &id, err) < 0)
		return -1;
	if (!id)
		return disk_layer_broken(r->disk, l, "layer-not-registered", err,
					 "image/%s/layerdb/sha256/%s has no cache-id", r->driver,
					 l->id);
	if (!hex_is_lower(span_str(id), DIGEST_HEX_SHA256)) {
		cleanup_free char *safe = text_safe(span_str(id), SHOWN_MAX);

		return disk_layer_broken(r->disk, l, "layer-bad-id", err,
					 "its cache-id \"%s\" is no ID", safe ? safe : "?");
	}
	if (!r->known)
		return disk_layer_broken(
			r->disk, l, "driver-unsupported", err,
			"the storage driver %s does not keep layers as plain folders", r->driver);
	l->files = arena_printf(&r->disk->store.arena, "%s%s%s", r->known->before, id,
				r->known->behind);
	l->tarsplit = path_of(r, "sha256", l->id, "tar-split.json.gz");
	return l->files && l->tarsplit ? disk_layer_look(r->disk, l, err) : err_nomem(err);
}

/* What layerdb says the layer is, and how big its files are. */
static int read_facts(struct docker_root *r, struct disk_layer *l, const struct digest *diff_id,
		      dray_error **err)
{
	const char *diff, *size;

	if (read_line(r, l, "diff", &diff, err) < 0 || read_line(r, l, "size", &size, err) < 0)
		return -1;
	if (size && !num_parse_u63(span_str(size), &l->files_size))
		l->files_size = -1;
	if (!diff || strcmp(diff, diff_id->text) == 0)
		return 0;
	cleanup_free char *safe = text_safe(span_str(diff), SHOWN_MAX);
	return disk_layer_broken(r->disk, l, "layer-diff-differs", err,
				 "layerdb says that it is %s, the image says %s", safe ? safe : "?",
				 diff_id->text);
}

/* *e as its trouble, if it is about the bytes. */
static int take_trouble(struct docker_root *r, struct disk_layer *l, dray_error **e,
			dray_error **err)
{
	if (disk_layer_trouble(r->disk, l, "layer-damaged", e) == 0)
		return 0;
	if (err)
		*err = steal_pointer(e);
	return -1;
}

int docker_layer(struct docker_root *r, const struct digest *chain, const struct digest *diff_id,
		 const struct disk_layer *below, struct disk_layer **ret, dray_error **err)
{
	cleanup_free char *key = mem_printf("%s %s", r->driver, digest_hex(chain));
	cleanup_error dray_error *e = NULL;
	bool new;

	if (!key)
		return err_nomem(err);
	if (disk_layer_get(r->disk, key, ret, &new, err) < 0)
		return -1;
	if (!new)
		return 0;
	struct disk_layer *l = *ret;
	l->id += strlen(r->driver) + 1;
	l->diff_id = *diff_id;
	l->below = below;
	l->whole = r->known && r->known->whole;
	/* Its files are looked for whatever is wrong: they may be all that is left. */
	if (read_facts(r, l, diff_id, &e) < 0 && take_trouble(r, l, &e, err) < 0)
		return -1;
	return find_files(r, l, &e) < 0 ? take_trouble(r, l, &e, err) : 0;
}

/* ---- containers ---- */

static int add_container(struct docker_root *r, const char *chain, const char *id, dray_error **err)
{
	struct texts *t = map_get(&r->containers, span_str(chain));

	if (!t) {
		t = arena_alloc(&r->arena, sizeof(*t));
		if (!t)
			return err_nomem(err);
		if (map_put(&r->containers, span_str(chain), t, err) < 0)
			return -1;
	}
	return texts_add(&r->arena, t, id, err);
}

/* What made it; one that does not say is none of any image. */
static int read_container(struct docker_root *r, const char *id, dray_error **err)
{
	const char *chain = NULL, *path = path_of(r, "mounts", id, "parent");
	cleanup_error dray_error *e = NULL;

	if (!path)
		return err_nomem(err);
	if (beneath_line(r->disk->root, path, &r->arena, &chain, &e) < 0)
		return disk_forgive(&e, err);
	return chain ? add_container(r, chain, id, err) : 0;
}

int docker_containers(struct docker_root *r, dray_error **err)
{
	const char *folder = arena_printf(&r->arena, "image/%s/layerdb/mounts", r->driver);
	cleanup_names struct names all = { 0 };
	cleanup_error dray_error *e = NULL;

	if (!folder)
		return err_nomem(err);
	if (beneath_list(r->disk->root, folder, &r->arena, &all, &e) < 0)
		return disk_forgive(&e, err);
	for (size_t i = 0; i < all.n; i++)
		if (hex_is_lower(span_str(all.list[i]), DIGEST_HEX_SHA256) &&
		    read_container(r, all.list[i], err) < 0)
			return -1;
	return 0;
}
