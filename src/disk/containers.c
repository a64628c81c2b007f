/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the storage of podman, buildah, CRI-O and skopeo as a place (formats.md 7.6).
 * Relies on: lists that are replaced whole, so that an engine may run meanwhile.
 * Promises: every driver that keeps layers as plain folders is looked for.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "disk/containers_priv.h"

static const struct storage_driver DRIVERS[] = {
	{ "overlay", "overlay/", "/diff", false },
	{ "vfs", "vfs/dir/", "", true },
	{ "btrfs", "btrfs/subvolumes/", "", true },
};

static void storage_clear(struct storage *s)
{
	map_clear(&s->layers);
	map_clear(&s->containers);
	arena_clear(&s->arena);
}
#define cleanup_storage CLEANUP(storage_clear)

bool storage_is_id(const char *text)
{
	return text && hex_is_lower(span_str(text), DIGEST_HEX_SHA256);
}

int storage_string(struct storage *s, struct json from, const char *name, const char **ret,
		   dray_error **err)
{
	return json_string(json_get(from, name), name, &s->arena, ret, err);
}

/* ---- lists on the disk ---- */

/*
 * Call @p each for the elements of the list DRIVER-KIND/KIND.json; one that is not there is
 * empty.
 */
static int each_element(struct storage *s, const char *kind,
			int (*each)(struct storage *s, struct json element, void *arg,
				    dray_error **err),
			void *arg, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_DISK_LIST);
	cleanup_json struct json_doc *doc = NULL;
	cleanup_error dray_error *e = NULL;
	cleanup_free char *path = mem_printf("%s-%s/%s.json", s->driver->name, kind, kind);

	if (!path)
		return err_nomem(err);
	if (beneath_read(s->disk->root, path, &raw, NULL, &e) < 0) {
		if (dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
			return 0;
		if (err)
			*err = steal_pointer(&e);
		return -1;
	}
	if (json_parse(span_buf(&raw), &doc, err) < 0 ||
	    json_want(json_root(doc), JSON_ARRAY, true, "list", err) < 0)
		return err_ctx(err, "%s", path);
	for (struct json it = json_first(json_root(doc)); json_node(it); it = json_next(it))
		if (json_want(it, JSON_OBJECT, false, "element", err) < 0 ||
		    each(s, it, arg, err) < 0)
			return err_ctx(err, "%s", path);
	return 0;
}

/* ---- all of them ---- */

static int add_container(struct storage *s, struct json element, void *arg, dray_error **err)
{
	struct arena *a = &s->disk->store.arena;
	const char *id, *image;

	(void)arg;
	if (storage_string(s, element, "image", &image, err) < 0 ||
	    json_string(json_get(element, "id"), "id", a, &id, err) < 0)
		return -1;
	if (!storage_is_id(id) || !storage_is_id(image))
		return 0;
	struct texts *t = map_get(&s->containers, span_str(image));
	if (!t) {
		t = arena_alloc(&s->arena, sizeof(*t));
		if (!t)
			return err_nomem(err);
		if (map_put(&s->containers, span_str(image), t, err) < 0)
			return -1;
	}
	return texts_add(a, t, id, err);
}

static int load(struct disk_store *d, struct image_list *ret, dray_error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(DRIVERS); i++) {
		cleanup_storage struct storage s = { .disk = d, .driver = &DRIVERS[i] };

		if (each_element(&s, "layers", storage_add_layer, NULL, err) < 0 ||
		    each_element(&s, "containers", add_container, NULL, err) < 0 ||
		    each_element(&s, "images", storage_add_image, ret, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- opening ---- */

static char *default_path(void)
{
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		return mem_strdup("/var/lib/containers/storage");
	if (data && data[0] == '/')
		return mem_printf("%s/containers/storage", data);
	return mem_printf("%s/.local/share/containers/storage", home ? home : "");
}

static int check_root(int root, dray_error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(DRIVERS); i++) {
		cleanup_free char *images = mem_printf("%s-images", DRIVERS[i].name);

		if (!images)
			return err_nomem(err);
		int there = beneath_is_dir(root, images, err);
		if (there)
			return there < 0 ? -1 : 0;
	}
	return err_set(err, DRAY_ERR_FORMAT,
		       "no storage of podman: overlay-images and vfs-images are missing");
}

struct store *disk_open_containers(const char *path, const struct place_options *o,
				   dray_error **err)
{
	cleanup_free char *own = path ? mem_strdup(path) : default_path();
	struct disk_store *d = NULL;

	if (!own) {
		err_nomem(err);
		return NULL;
	}
	cleanup_fd int root = io_openat(AT_FDCWD, own, O_RDONLY | O_DIRECTORY, 0, err);
	if (root < 0)
		return NULL;
	if (check_root(root, err) == 0)
		d = disk_store_new(own, "containers-storage", steal_fd(&root), o, err);
	if (!d) {
		cleanup_free char *safe = text_safe(span_str(own), 200);

		err_ctx(err, "%s", safe ? safe : "?");
		return NULL;
	}
	d->load = load;
	return &d->store;
}
