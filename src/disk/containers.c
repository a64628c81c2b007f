/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the storage of podman, buildah, CRI-O and skopeo as a place (formats.md 7.6).
 * Relies on: lists that are replaced whole, so that an engine may run meanwhile.
 * Promises: every driver that keeps layers as plain folders is looked for.
 */
#include <fcntl.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "disk/containers_priv.h"
#include "disk/storage_conf.h"

#define SHOWN_PATH 200 /* bytes of a path in messages */

static const struct storage_driver DRIVERS[] = {
	{ "overlay", "overlay/", "/diff", false },
	{ "vfs", "vfs/dir/", "", true },
	{ "btrfs", "btrfs/subvolumes/", "", true },
};

static void storage_clear(struct storage *s)
{
	map_clear(&s->layers);
	map_clear(&s->containers);
	map_clear(&s->images);
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
	if (beneath_read(s->root, path, &raw, NULL, &e) < 0) {
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

/* Call each_element() for every place that images lie in. */
static int each_place(struct storage *s, const char *kind,
		      int (*each)(struct storage *s, struct json element, void *arg,
				  dray_error **err),
		      void *arg, dray_error **err)
{
	const struct disk_store *d = s->disk;

	for (s->nth = 0; s->nth <= d->n_more; s->nth++) {
		s->root = s->nth ? d->more[s->nth - 1].root : d->root;
		s->label = s->nth ? d->more[s->nth - 1].label : d->label;
		if (s->root >= 0 && each_element(s, kind, each, arg, err) < 0)
			return s->nth ? err_ctx(err, "%s", s->label) : -1;
	}
	return 0;
}

static int load(struct disk_store *d, struct image_list *ret, dray_error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(DRIVERS); i++) {
		cleanup_storage struct storage s = { .disk = d, .driver = &DRIVERS[i] };
		size_t first = ret->n;

		if (d->driver && strcmp(d->driver, DRIVERS[i].name) != 0)
			continue;
		/* An image of one place may lie on layers of another. */
		if (each_place(&s, "layers", storage_add_layer, NULL, err) < 0 ||
		    each_place(&s, "containers", add_container, NULL, err) < 0 ||
		    each_place(&s, "images", storage_add_image, ret, err) < 0 ||
		    storage_set_parents(&s, ret, first, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- opening ---- */

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

static struct disk_store *open_root(const char *path, const struct place_options *o,
				    dray_error **err)
{
	struct disk_store *d = NULL;

	cleanup_fd int root = io_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
	if (root < 0)
		return NULL;
	if (check_root(root, err) == 0)
		d = disk_store_new(path, "containers-storage", steal_fd(&root), o, err);
	if (!d) {
		cleanup_free char *safe = text_safe(span_str(path), SHOWN_PATH);

		err_ctx(err, "%s", safe ? safe : "?");
		return NULL;
	}
	d->load = load;
	return d;
}

/* ---- by storage.conf ---- */

/* One more place; what cannot be opened is told and left out. */
static int add_place(struct disk_store *d, const char *path, dray_error **err)
{
	struct disk_more *to = &d->more[d->n_more];
	cleanup_free char *safe = text_safe(span_str(path), SHOWN_PATH);
	cleanup_error dray_error *e = NULL;

	to->label = safe ? arena_strdup(&d->store.arena, safe) : NULL;
	if (!to->label)
		return err_nomem(err);
	to->root = io_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &e);
	if (to->root >= 0) {
		d->n_more++;
		return 0;
	}
	return notes_add(&d->store.notes, false, "store-missing", d->label, NULL, NULL, err,
			 "the additional image store %s is left out: %s", to->label,
			 dray_error_message(e));
}

/* A storage whose driver is another one looks as if it were empty. */
static int check_driver(struct disk_store *d, dray_error **err)
{
	cleanup_free char *safe = d->driver ? text_safe(span_str(d->driver), SHOWN_PATH) : NULL;

	if (!d->driver)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(DRIVERS); i++)
		if (strcmp(d->driver, DRIVERS[i].name) == 0)
			return 0;
	return notes_add(&d->store.notes, false, "driver-unread", d->label, NULL, NULL, err,
			 "the storage driver is to be \"%s\", whose images are not read: overlay, "
			 "vfs and btrfs are",
			 safe ? safe : "?");
}

/* What storage.conf says besides the folder. */
static int follow(struct disk_store *d, const struct storage_conf *c, dray_error **err)
{
	d->more = arena_array(&d->store.arena, c->more.n + 1, sizeof(*d->more));
	d->driver = c->driver ? arena_strdup(&d->store.arena, c->driver) : NULL;
	if (!d->more || (c->driver && !d->driver))
		return err_nomem(err);
	if (check_driver(d, err) < 0)
		return -1;
	for (size_t i = 0; i < c->more.n; i++)
		if (add_place(d, c->more.list[i], err) < 0)
			return -1;
	d->n_opening_notes = d->store.notes.n;
	return 0;
}

/* The user's own. Its folder may be missing where images are only shared. */
static struct store *open_own(const struct place_options *o, dray_error **err)
{
	cleanup_storage_conf struct storage_conf c = { 0 };
	cleanup_error dray_error *e = NULL;
	struct disk_store *d;

	if (storage_conf_read(&c, err) < 0)
		return NULL;
	d = open_root(c.root, o, &e);
	if (!d && c.more.n && error_about_bytes(e)) {
		d = disk_store_new(c.root, "containers-storage", -1, o, err);
		if (d)
			d->load = load;
	} else if (!d && err) {
		*err = steal_pointer(&e);
	}
	if (!d || follow(d, &c, err) == 0)
		return d ? &d->store : NULL;
	store_free(&d->store);
	return NULL;
}

struct store *disk_open_containers(const char *path, const struct place_options *o,
				   dray_error **err)
{
	struct disk_store *d;

	if (!path)
		return open_own(o, err);
	d = open_root(path, o, err);
	return d ? &d->store : NULL;
}
