/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the images of a Docker data root: imagedb, repositories.json and what belongs to them.
 * Relies on: dockerd replacing files whole (formats.md 7.2), so that it may run meanwhile.
 * Promises: config bytes have the digest that they are named after, or the image is broken.
 */
#include <fcntl.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "disk/docker_priv.h"

#define NAMES_FILE "repositories.json"
#define SHOWN_TAG 120	 /* bytes of a tag in messages */
#define SHOWN_ID 12	 /* hex digits of an image ID in messages */
#define SHOWN_DAMAGE 400 /* bytes of what is wrong with the names */

static void docker_root_clear(struct docker_root *r)
{
	map_clear(&r->names);
	map_clear(&r->containers);
	map_clear(&r->parents);
	arena_clear(&r->arena);
}
#define cleanup_docker_root CLEANUP(docker_root_clear)

/* ---- names ---- */

static int add_name(struct docker_root *r, const char *name, const char *id, dray_error **err)
{
	struct docker_names *n = map_get(&r->names, span_str(id));

	if (!n) {
		n = arena_alloc(&r->arena, sizeof(*n));
		if (!n)
			return err_nomem(err);
		if (map_put(&r->names, span_str(id), n, err) < 0)
			return -1;
	}
	return texts_add(&r->arena, strchr(name, '@') ? &n->digests : &n->tags, name, err);
}

/* Where in which list of names something is wrong. */
static void in_names(const struct docker_root *r, dray_error **e)
{
	err_ctx(e, "image/%s/" NAMES_FILE, r->driver);
}

/* Names that cannot be read are missing, which is told once; their images are found by ID. */
static int names_damaged(struct docker_root *r, dray_error **e, dray_error **err)
{
	struct disk_store *d = r->disk;

	if (d->nameless || !error_about_bytes(*e))
		return disk_forgive(e, err);
	cleanup_free char *safe = text_safe(span_str(dray_error_message(*e)), SHOWN_DAMAGE);
	d->nameless = safe ? arena_strdup(&d->store.arena, safe) : NULL;
	if (!d->nameless)
		return err_nomem(err);
	err_clear(e);
	return notes_add(&d->store.notes, true, "names-damaged", d->label, NULL, NULL, err,
			 "%s: images may lack names", d->nameless);
}

static int read_name(struct docker_root *r, struct json it, dray_error **err)
{
	const char *name, *id;

	if (json_name(it, &r->arena, &name, err) < 0 ||
	    json_string(it, name, &r->arena, &id, err) < 0)
		return -1;
	return id ? add_name(r, name, id, err) : 0;
}

/* {"name:tag": "sha256:...", "name@sha256:...": "sha256:..."} */
static int read_repository(struct docker_root *r, struct json names, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	if (json_want_map(names, true, "repository", &e) < 0) {
		in_names(r, &e);
		return names_damaged(r, &e, err);
	}
	for (struct json it = json_first(names); json_node(it); it = json_next(it)) {
		if (read_name(r, it, &e) == 0)
			continue;
		in_names(r, &e);
		if (names_damaged(r, &e, err) < 0)
			return -1;
	}
	return 0;
}

/* *ret is the map of repositories, in *ret_doc. */
static int parse_repositories(struct span raw, struct json_doc **ret_doc, struct json *ret,
			      dray_error **err)
{
	if (json_parse(raw, ret_doc, err) < 0)
		return -1;
	*ret = json_get(json_root(*ret_doc), "Repositories");
	return json_want_map(*ret, true, "Repositories", err);
}

static int read_repositories(struct docker_root *r, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_DISK_LIST);
	cleanup_json struct json_doc *doc = NULL;
	cleanup_error dray_error *e = NULL;
	const char *path = arena_printf(&r->arena, "image/%s/" NAMES_FILE, r->driver);
	struct json all;

	if (!path)
		return err_nomem(err);
	if (beneath_read(r->disk->root, path, &raw, NULL, &e) < 0)
		return dray_error_kind(e) == DRAY_ERR_NOT_FOUND /* nothing was ever tagged */
			       ? 0
			       : names_damaged(r, &e, err);
	if (parse_repositories(span_buf(&raw), &doc, &all, &e) < 0) {
		in_names(r, &e);
		return names_damaged(r, &e, err);
	}
	for (struct json it = json_first(all); json_node(it); it = json_next(it))
		if (read_repository(r, it, err) < 0)
			return -1;
	return 0;
}

/* ---- one image ---- */

static int name_image(struct docker_root *r, struct image *im, dray_error **err)
{
	cleanup_free char *tag = im->n_tags ? text_safe(span_str(im->tags[0]), SHOWN_TAG) : NULL;

	if (im->n_tags && !tag)
		return err_nomem(err);
	im->where = arena_printf(&im->arena, "%s image %.*s%s%s%s", r->disk->label, SHOWN_ID,
				 digest_hex(&im->config_digest_claimed), tag ? " (" : "",
				 tag ? tag : "", tag ? ")" : "");
	return im->where ? 0 : err_nomem(err);
}

static int copy_texts(struct arena *a, const struct texts *from, struct texts *ret,
		      dray_error **err)
{
	for (size_t i = 0; from && i < from->n; i++) {
		const char *copy = arena_strdup(a, from->list[i]);

		if (!copy)
			return err_nomem(err);
		if (texts_add(a, ret, copy, err) < 0)
			return -1;
	}
	return 0;
}

static int add_names(struct docker_root *r, struct image *im, struct dray_disk_info *info,
		     dray_error **err)
{
	const struct docker_names *n = map_get(&r->names, span_str(im->config_digest_claimed.text));
	struct texts digests = { 0 };

	for (size_t i = 0; n && i < n->tags.n; i++)
		if (image_add_tag(im, n->tags.list[i], NULL, err) < 0)
			return -1;
	if (copy_texts(&im->arena, n ? &n->digests : NULL, &digests, err) < 0)
		return -1;
	info->repo_digests = digests.list;
	info->n_repo_digests = digests.n;
	return 0;
}

static int add_containers(struct docker_root *r, struct image *im, const struct digest *chain,
			  struct dray_disk_info *info, dray_error **err)
{
	struct texts ids = { 0 };

	if (copy_texts(&im->arena, map_get(&r->containers, span_str(chain->text)), &ids, err) < 0)
		return -1;
	info->containers = ids.list;
	info->n_containers = ids.n;
	return 0;
}

static int find_layers(struct docker_root *r, struct image *im, const struct digest *chain,
		       struct dray_disk_info *info, dray_error **err)
{
	struct disk_layer *l = NULL;
	int64_t sum = 0;

	for (size_t i = 0; i < im->n_layers; i++) {
		if (docker_layer(r, &chain[i], &im->layers[i].diff_id, l, &l, err) < 0 ||
		    disk_bind_layer(im, i, l, err) < 0)
			return -1;
		if (sum >= 0 &&
		    (l->files_size < 0 || __builtin_add_overflow(sum, l->files_size, &sum)))
			sum = -1;
	}
	info->size = sum;
	return 0;
}

/* Layers and what depends on them; a config that is damaged has none. */
static int add_layers(struct docker_root *r, struct image *im, const struct timespec *written,
		      struct dray_disk_info *info, dray_error **err)
{
	size_t n = im->config && !im->broken ? im->config->n_diff_ids : 0;
	cleanup_free struct digest *chain = mem_alloc_array(n + 1, sizeof(*chain));

	if (!chain)
		return err_nomem(err);
	if (image_set_layers(im, n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (im->config->diff_ids[i].algo != DIGEST_SHA256) {
			im->broken = true;
			return notes_add(&im->notes, true, "blob-unsupported", im->where, NULL,
					 NULL, err, "DiffID %s: layerdb knows sha256 only",
					 im->config->diff_ids[i].text);
		}
	if (n && (image_set_diff_ids(im, err) < 0 ||
		  chain_ids(im->config->diff_ids, n, chain, err) < 0 ||
		  find_layers(r, im, chain, info, err) < 0 ||
		  add_containers(r, im, &chain[n - 1], info, err) < 0))
		return -1;
	return docker_events(r, im, n ? &chain[n - 1] : NULL, written, info, err);
}

static int add_parent(struct docker_root *r, struct image *im, struct dray_disk_info *info,
		      dray_error **err)
{
	cleanup_free char *path = mem_printf("image/%s/imagedb/metadata/sha256/%s/parent",
					     r->driver, digest_hex(&im->config_digest_claimed));
	cleanup_error dray_error *e = NULL;
	const char *parent;

	if (!path)
		return err_nomem(err);
	if (beneath_line(r->disk->root, path, &im->arena, &parent, &e) < 0)
		return disk_forgive(&e, err);
	info->parent = parent;
	return parent ? map_put(&r->parents, span_str(parent), r, err) : 0;
}

static int fill(struct docker_root *r, struct image *im, struct buf *raw,
		const struct timespec *written, dray_error **err)
{
	struct descriptor expect = { .digest = im->config_digest_claimed, .size = -1 };
	struct dray_disk_info *info = arena_alloc(&im->arena, sizeof(*info));

	if (!info)
		return err_nomem(err);
	info->driver = arena_strdup(&im->arena, r->driver);
	info->size = -1;
	im->disk = info;
	if (!info->driver)
		return err_nomem(err);
	if (add_names(r, im, info, err) < 0 || name_image(r, im, err) < 0 ||
	    image_set_config(im, raw, &expect, err) < 0 || add_parent(r, im, info, err) < 0)
		return -1;
	return add_layers(r, im, written, info, err);
}

/* 0 also when it is gone meanwhile. */
static int load_image(struct docker_root *r, const char *hex, struct image_list *out,
		      dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);
	cleanup_image struct image *im = NULL;
	cleanup_error dray_error *e = NULL;
	struct timespec written = { 0 };
	cleanup_free char *path = mem_printf("image/%s/imagedb/content/sha256/%s", r->driver, hex);

	if (!path)
		return err_nomem(err);
	if (image_new(r->disk->label, &im, err) < 0 ||
	    digest_from_hex(span_str(hex), &im->config_digest_claimed, err) < 0)
		return -1;
	if (beneath_read(r->disk->root, path, &raw, &written, &e) < 0) {
		if (dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
			return 0;
		if (image_trouble(im, "config-unreadable", path, &e) == 0)
			return image_list_add(out, steal_pointer(&im), err);
		if (err)
			*err = steal_pointer(&e);
		return -1;
	}
	if (fill(r, im, &raw, &written, err) < 0)
		return err_ctx(err, "image %.*s", SHOWN_ID, hex);
	return image_list_add(out, steal_pointer(&im), err);
}

/* ---- all of them ---- */

static int set_state(const struct docker_root *r, struct image *im, dray_error **err)
{
	struct dray_disk_info *info;

	if (!im->disk) /* not even its config could be read */
		return 0;
	info = arena_alloc(&im->arena, sizeof(*info));
	if (!info)
		return err_nomem(err);
	*info = *im->disk;
	if (im->n_tags || info->n_repo_digests)
		info->state = "tagged";
	else if (!r->disk->nameless && /* its name may be among the damaged ones */
		 map_find(&r->parents, span_str(im->config_digest_claimed.text)))
		info->state = "intermediate";
	else
		info->state = "dangling";
	im->disk = info;
	return 0;
}

static int load_driver(struct docker_root *r, struct image_list *out, dray_error **err)
{
	const char *folder = arena_printf(&r->arena, "image/%s/imagedb/content/sha256", r->driver);
	cleanup_names struct names ids = { 0 };
	size_t first = out->n;

	if (!folder)
		return err_nomem(err);
	if (read_repositories(r, err) < 0 || docker_containers(r, err) < 0 ||
	    beneath_list(r->disk->root, folder, &r->arena, &ids, err) < 0)
		return -1;
	for (size_t i = 0; i < ids.n; i++) /* what dockerd is writing has other names */
		if (hex_is_lower(span_str(ids.list[i]), DIGEST_HEX_SHA256) &&
		    load_image(r, ids.list[i], out, err) < 0)
			return -1;
	for (size_t i = first; i < out->n; i++)
		if (set_state(r, out->list[i], err) < 0)
			return -1;
	return 0;
}

/* The drivers that have images here. */
static int find_drivers(int root, struct arena *a, struct texts *ret, dray_error **err)
{
	cleanup_names struct names all = { 0 };

	if (beneath_list(root, "image", a, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		const char *imagedb = arena_printf(a, "image/%s/imagedb", all.list[i]);

		if (!imagedb)
			return err_nomem(err);
		int there = beneath_is_dir(root, imagedb, err);
		if (there < 0 || (there && texts_add(a, ret, all.list[i], err) < 0))
			return -1;
	}
	return 0;
}

static int load(struct disk_store *d, struct image_list *ret, dray_error **err)
{
	struct texts drivers = { 0 };

	if (find_drivers(d->root, &d->store.arena, &drivers, err) < 0)
		return -1;
	for (size_t i = 0; i < drivers.n; i++) {
		cleanup_docker_root struct docker_root r = {
			.disk = d,
			.driver = drivers.list[i],
			.known = docker_driver_find(drivers.list[i]),
		};

		if (load_driver(&r, ret, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- opening ---- */

struct owner {
	int64_t uid, gid;
};

/* "231072.231072": where a daemon with userns-remap keeps everything. */
static bool is_remapped_root(const char *name, struct owner *ret)
{
	const char *dot = strchr(name, '.');

	return dot && num_parse_u63(span_of(name, (size_t)(dot - name)), &ret->uid) &&
	       num_parse_u63(span_str(dot + 1), &ret->gid);
}

/* 1 = *root leads to the images, below a remapped root if need be; 0 = there are none, -1. */
static int go_down(int *root, struct arena *a, struct owner *ret, dray_error **err)
{
	cleanup_names struct names all = { 0 };
	const char *found = NULL;
	int there = beneath_is_dir(*root, "image", err);

	if (there)
		return there;
	if (beneath_list(*root, "", a, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		struct owner o;

		if (!is_remapped_root(all.list[i], &o))
			continue;
		if (found)
			return err_set(err, DRAY_ERR_USAGE, "roots of several users: %s, %s", found,
				       all.list[i]);
		found = all.list[i];
		*ret = o;
	}
	if (!found)
		return 0;
	int down = io_open_beneath(*root, found, err);
	if (down < 0)
		return -1;
	cleanup_fd_fn(root);
	*root = down;
	return beneath_is_dir(down, "image", err);
}

static int no_docker_root(const char *path, dray_error **err)
{
	enum disk_kind kind;

	if (disk_sniff(path, &kind, err) < 0)
		return -1;
	switch (kind) {
	case DISK_DOCKER_V1:
		err_set(err, DRAY_ERR_UNSUPPORTED,
			"the data root of Docker 1.9 or older (graph/) is not read");
		return err_hint(err, "Docker 1.10 to 1.13 converts it when it starts");
	case DISK_CONTAINERS:
		err_set(err, DRAY_ERR_FORMAT, "this is podman's storage, not Docker's");
		return err_hint(err, "say containers-storage:[DIR]NAME");
	default:
		return err_set(err, DRAY_ERR_FORMAT,
			       "no data root of Docker: image/DRIVER/imagedb is missing");
	}
}

/*
 * Docker 29 keeps images in containerd, and beside them those that it had before: not both are read. With a storage
 * driver it keeps the manifests of what it pulled there, which are no images of containerd's.
 */
static int look_beside(struct disk_store *d, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	int any = pool_any(d->root, POOL_BESIDE "/", &e);

	if (any < 0)
		return disk_forgive(&e, err);
	if (!any)
		return 0;
	if (notes_add(&d->store.notes, false, "containerd-beside", d->label, NULL, NULL, err,
		      "containerd's images (Docker 29) are not among these: docker-root:%s/%s "
		      "reads them",
		      d->label, POOL_BESIDE) < 0)
		return -1;
	d->n_opening_notes = d->store.notes.n;
	return 0;
}

static struct store *open_docker(const char *path, const struct place_options *o, dray_error **err)
{
	struct arena a = { 0 };
	struct texts drivers = { 0 };
	struct owner shift = { 0 };
	struct disk_store *d = NULL;

	cleanup_fd int root = io_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
	if (root < 0)
		return NULL;
	int there = go_down(&root, &a, &shift, err);
	if (there > 0 && find_drivers(root, &a, &drivers, err) < 0)
		there = -1;
	if (there >= 0 && !drivers.n) {
		there = -1;
		no_docker_root(path, err);
	}
	arena_clear(&a);
	if (there > 0)
		d = disk_store_new(path, "docker-root", steal_fd(&root), o, err);
	if (!d) {
		cleanup_free char *safe = text_safe(span_str(path), 200);

		err_ctx(err, "%s", safe ? safe : "?");
		return NULL;
	}
	d->uid_base = shift.uid;
	d->gid_base = shift.gid;
	d->load = load;
	if (look_beside(d, err) == 0)
		return &d->store;
	store_free(&d->store);
	return NULL;
}

/* Whether any driver has an image, or may have one. */
static int has_images(int root, struct arena *a, dray_error **err)
{
	struct texts drivers = { 0 };

	if (find_drivers(root, a, &drivers, err) < 0)
		return -1;
	for (size_t i = 0; i < drivers.n; i++) {
		const char *folder = arena_printf(a, "image/%s/imagedb/content/sha256",
						  drivers.list[i]);
		cleanup_names struct names ids = { 0 };

		if (!folder)
			return err_nomem(err);
		if (beneath_list(root, folder, a, &ids, err) < 0)
			return -1;
		for (size_t j = 0; j < ids.n; j++)
			if (hex_is_lower(span_str(ids.list[j]), DIGEST_HEX_SHA256))
				return 1;
	}
	return 0;
}

/* 1 = what drivers had here is gone, and containerd has images; 0 = not, or nobody knows; -1. */
static int moved_to_containerd(const char *path, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	struct arena a = { 0 };

	cleanup_fd int root = io_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
	if (root < 0)
		return -1;
	int rc = has_images(root, &a, &e);
	if (rc == 0)
		rc = pool_any(root, POOL_BESIDE "/", &e) > 0;
	else if (rc > 0)
		rc = 0;
	arena_clear(&a);
	return e ? disk_forgive(&e, err) : rc;
}

struct store *disk_open_docker(const char *path, const struct place_options *o, dray_error **err)
{
	enum disk_kind kind;

	if (disk_sniff(path, &kind, err) < 0)
		return NULL;
	int moved = kind == DISK_DOCKER ? moved_to_containerd(path, err) : kind == DISK_CONTAINERD;
	if (moved < 0)
		return NULL;
	return moved ? disk_open_containerd(path, err) : open_docker(path, o, err);
}
