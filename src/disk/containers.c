/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the images in the storage of podman, buildah, CRI-O and skopeo (formats.md 7.6).
 * Relies on: images.json and layers.json, which are replaced whole, so that an engine may run.
 * Promises: IDs become parts of paths only if they are IDs; configs have the digest they are named after.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "disk/disk_priv.h"

#define SHOWN_TAG 120 /* bytes of a tag in messages */
#define SHOWN_ID 12

struct storage_driver {
	const char *name;
	const char *before, *behind; /* around the ID of a layer */
};
static const struct storage_driver DRIVERS[] = {
	{ "overlay", "overlay/", "/diff" },
	{ "vfs", "vfs/dir/", "" },
	{ "btrfs", "btrfs/subvolumes/", "" },
};

/* One driver's images while they are loaded. */
struct storage {
	struct disk_store *disk;
	const struct storage_driver *driver;
	struct arena arena;
	struct map layers;     /* ID -> struct entry */
	struct map containers; /* image ID -> struct texts */
};

/* One element of layers.json. */
struct entry {
	struct disk_layer *layer;
	const char *parent; /* NULL = none */
	const char *created;
};

static void storage_clear(struct storage *s)
{
	map_clear(&s->layers);
	map_clear(&s->containers);
	arena_clear(&s->arena);
}
#define cleanup_storage CLEANUP(storage_clear)

static bool is_id(const char *text)
{
	return text && hex_is_lower(span_str(text), DIGEST_HEX_SHA256);
}

static int get_string(struct storage *s, struct json from, const char *name, const char **ret,
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

/* ---- layers ---- */

static int read_layer_facts(struct storage *s, struct json element, struct entry *e,
			    dray_error **err)
{
	struct json size = json_get(element, "diff-size");
	bool incomplete = false;
	const char *diff;

	if (get_string(s, element, "parent", &e->parent, err) < 0 ||
	    get_string(s, element, "created", &e->created, err) < 0 ||
	    get_string(s, element, "diff-digest", &diff, err) < 0 ||
	    (json_present(size) && json_int(size, "diff-size", &e->layer->files_size, err) < 0) ||
	    json_bool(json_get(json_get(element, "flags"), "incomplete"), "incomplete", false,
		      &incomplete, err) < 0)
		return -1;
	if (e->parent && !e->parent[0])
		e->parent = NULL;
	if (diff && diff[0] && digest_parse(span_str(diff), &e->layer->diff_id, err) < 0)
		return -1;
	return incomplete ? disk_layer_broken(s->disk, e->layer, "layer-incomplete", err,
					      "layer %.*s was never finished", SHOWN_ID,
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
	if (l->trouble || disk_layer_look(s->disk, l, &e) == 0 ||
	    disk_layer_trouble(s->disk, l, "layer-damaged", &e) == 0)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int add_layer(struct storage *s, struct json element, void *arg, dray_error **err)
{
	struct entry *e = arena_alloc(&s->arena, sizeof(*e));
	const char *id;
	bool new;

	(void)arg;
	if (!e)
		return err_nomem(err);
	if (get_string(s, element, "id", &id, err) < 0)
		return -1;
	if (!is_id(id))
		return err_set(err, DRAY_ERR_FORMAT, "a layer whose ID is none");
	const char *key = arena_printf(&s->arena, "%s %s", s->driver->name, id);
	if (!key)
		return err_nomem(err);
	if (disk_layer_get(s->disk, key, &e->layer, &new, err) < 0)
		return -1;
	if (new) {
		e->layer->id += strlen(s->driver->name) + 1;
		if (read_layer_facts(s, element, e, err) < 0 ||
		    find_files(s, e->layer, id, err) < 0)
			return -1;
	} else if (get_string(s, element, "parent", &e->parent, err) < 0 ||
		   get_string(s, element, "created", &e->created, err) < 0) {
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
static int gather(struct storage *s, struct image *im, const char *top, struct entry **list,
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

static int add_layers(struct storage *s, struct image *im, const char *top,
		      struct dray_disk_info *info, const struct entry **ret_top, dray_error **err)
{
	size_t n = im->config->n_diff_ids;
	cleanup_free struct entry **list = mem_alloc_array(n + 1, sizeof(*list));
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
		const struct disk_layer *l = list[i]->layer;

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

/* ---- documents ---- */

/* The config, under the name that containers/storage gives a key that is no plain word. */
static int read_config(struct storage *s, struct image *im, struct timespec *ret_written,
		       dray_error **err)
{
	struct descriptor expect = { .digest = im->config_digest_claimed, .size = -1 };
	cleanup_free char *key = base64_encode(span_str(expect.digest.text));
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);
	cleanup_error dray_error *e = NULL;

	if (!key)
		return err_nomem(err);
	cleanup_free char *path = mem_printf("%s-images/%s/=%s", s->driver->name,
					     digest_hex(&expect.digest), key);
	if (!path)
		return err_nomem(err);
	if (beneath_read(s->disk->root, path, &raw, ret_written, &e) == 0)
		return image_set_config(im, &raw, &expect, err);
	const char *code = dray_error_kind(e) == DRAY_ERR_NOT_FOUND ? "config-missing"
								    : "config-unreadable";
	if (image_trouble(im, code, path, &e) == 0)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int read_manifest(struct storage *s, const struct image *im, struct manifest **ret,
			 dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	cleanup_error dray_error *e = NULL;
	cleanup_free char *path = mem_printf("%s-images/%s/manifest", s->driver->name,
					     digest_hex(&im->config_digest_claimed));

	if (!path)
		return err_nomem(err);
	if (beneath_read(s->disk->root, path, &raw, NULL, &e) == 0 &&
	    manifest_parse(&raw, NULL, ret, &e) == 0)
		return 0;
	if (error_about_bytes(e))
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

/* Its blobs are what lies here: uncompressed layers, and this config. */
static bool names_our_blobs(const struct manifest *m, const struct image *im)
{
	if (m->kind == MANIFEST_INDEX || m->n_entries != im->n_layers ||
	    !digest_eq(&m->config.digest, &im->config->digest))
		return false;
	for (size_t i = 0; i < im->n_layers; i++)
		if (!digest_eq(&m->entries[i].digest, &im->layers[i].diff_id) ||
		    !span_ends(span_str(m->entries[i].media_type), ".tar")) /* and not ".tar.gzip" */
			return false;
	return true;
}

/* What a registry once sent compressed is here as files: such a manifest cannot be served. */
static int add_manifest(struct storage *s, struct image *im, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;

	if (read_manifest(s, im, &m, err) < 0)
		return -1;
	if (!m || !im->n_layers)
		return 0;
	if (!names_our_blobs(m, im)) {
		if (s->disk->listing)
			return 0;
		return notes_add(&im->notes, false, "manifest-blobs-gone", im->where, NULL, NULL,
				 err,
				 "its manifest %s names compressed blobs, and this storage keeps "
				 "layers uncompressed: a copy gets a manifest of its own",
				 m->digest.text);
	}
	for (size_t i = 0; i < im->n_layers; i++)
		im->layers[i].blob = m->entries[i];
	im->manifest = steal_pointer(&m);
	im->manifest_trusted = true;
	return 0;
}

/* ---- one image ---- */

/* "NAME@sha256:..." beside "NAME:TAG", as podman shows them. */
static int add_digest_name(struct image *im, const char *name, const char *digest,
			   struct texts *digests, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	int parsed = digest ? disk_reference(name, &ref, err) : 0;

	if (parsed <= 0)
		return parsed;
	const char *text = arena_printf(&im->arena, "%s/%s@%s", ref.domain, ref.path, digest);
	if (!text)
		return err_nomem(err);
	for (size_t i = 0; i < digests->n; i++)
		if (strcmp(digests->list[i], text) == 0)
			return 0;
	return texts_add(&im->arena, digests, text, err);
}

static int add_names(struct storage *s, struct json element, struct image *im,
		     struct dray_disk_info *info, dray_error **err)
{
	struct json names = json_get(element, "names");
	struct texts digests = { 0 };
	const char *digest, *name;

	if (get_string(s, element, "digest", &digest, err) < 0 ||
	    json_want(names, JSON_ARRAY, true, "names", err) < 0)
		return -1;
	for (struct json it = json_first(names); json_present(names) && json_node(it);
	     it = json_next(it)) {
		if (json_string(it, "names", &im->arena, &name, err) < 0)
			return -1;
		if (!name)
			continue;
		if (!strchr(name, '@') && image_add_tag(im, name, NULL, err) < 0)
			return -1;
		if (add_digest_name(im, name, digest, &digests, err) < 0)
			return -1;
	}
	info->repo_digests = digests.list;
	info->n_repo_digests = digests.n;
	info->state = im->n_tags || digests.n ? "tagged" : "dangling";
	return 0;
}

static int name_image(struct storage *s, struct image *im, dray_error **err)
{
	cleanup_free char *tag = im->n_tags ? text_safe(span_str(im->tags[0]), SHOWN_TAG) : NULL;

	if (im->n_tags && !tag)
		return err_nomem(err);
	im->where = arena_printf(&im->arena, "%s image %.*s%s%s%s", s->disk->label, SHOWN_ID,
				 digest_hex(&im->config_digest_claimed), tag ? " (" : "",
				 tag ? tag : "", tag ? ")" : "");
	return im->where ? 0 : err_nomem(err);
}

static int add_event(struct image *im, struct dray_disk_event *e, const char *event,
		     const char *certainty, int64_t sec, int32_t nsec, const char *from,
		     dray_error **err)
{
	char text[TIME_TEXT];

	*e = (struct dray_disk_event){
		.event = event,
		.time = arena_strdup(&im->arena, time_format_utc(sec, nsec, text)),
		.from = from,
		.certainty = certainty,
	};
	return e->time && from ? 0 : err_nomem(err);
}

/* When its config was written here, and when the storage says that its top layer was made. */
static int add_events(struct storage *s, struct image *im, const struct timespec *written,
		      const struct entry *top, struct dray_disk_info *info, dray_error **err)
{
	struct dray_disk_event *list = arena_array(&im->arena, 2, sizeof(*list));
	int64_t sec;
	int32_t nsec, off;

	if (!list)
		return err_nomem(err);
	if (add_event(im, &list[0], "written", "likely", written->tv_sec,
		      (int32_t)written->tv_nsec,
		      arena_printf(&im->arena, "%s-images/%s", s->driver->name,
				   digest_hex(&im->config_digest_claimed)),
		      err) < 0)
		return -1;
	info->events = info->updated = list;
	info->n_events = 1;
	if (!top || !top->created ||
	    !time_parse_rfc3339(span_str(top->created), &sec, &nsec, &off))
		return 0;
	info->n_events = 2;
	return add_event(im, &list[1], "registered", "recorded", sec, nsec,
			 arena_printf(&im->arena, "%s-layers/layers.json", s->driver->name), err);
}

static int fill(struct storage *s, struct json element, struct image *im, dray_error **err)
{
	struct dray_disk_info *info = arena_alloc(&im->arena, sizeof(*info));
	const struct entry *top = NULL;
	struct timespec written = { 0 };
	const char *layer;

	if (!info)
		return err_nomem(err);
	info->driver = s->driver->name;
	info->size = -1;
	im->disk = info;
	if (add_names(s, element, im, info, err) < 0 || name_image(s, im, err) < 0 ||
	    get_string(s, element, "layer", &layer, err) < 0 ||
	    read_config(s, im, &written, err) < 0)
		return -1;
	const struct texts *ids =
		map_get(&s->containers, span_str(digest_hex(&im->config_digest_claimed)));
	info->containers = ids ? ids->list : NULL;
	info->n_containers = ids ? ids->n : 0;
	if (!im->config || im->broken)
		return 0;
	if (add_layers(s, im, layer, info, &top, err) < 0 || add_manifest(s, im, err) < 0)
		return -1;
	return add_events(s, im, &written, top, info, err);
}

/* A list of manifests that was made here, or an artifact: no image, but nothing wrong with it. */
static int is_no_image(struct storage *s, const struct image *im, bool *ret, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;

	if (read_manifest(s, im, &m, err) < 0)
		return -1;
	*ret = m && (m->kind == MANIFEST_INDEX || manifest_is_artifact(m));
	return 0;
}

static int add_image(struct storage *s, struct json element, void *arg, dray_error **err)
{
	cleanup_image struct image *im = NULL;
	bool skipped;
	const char *id;

	if (get_string(s, element, "id", &id, err) < 0)
		return -1;
	if (!is_id(id))
		return err_set(err, DRAY_ERR_FORMAT, "an image whose ID is none");
	if (image_new(s->disk->label, &im, err) < 0 ||
	    digest_from_hex(span_str(id), &im->config_digest_claimed, err) < 0 ||
	    is_no_image(s, im, &skipped, err) < 0)
		return -1;
	if (skipped)
		return notes_add(&s->disk->store.notes, false, "no-image", s->disk->label, NULL,
				 NULL, err, "%.*s is a list of manifests or an artifact: left out",
				 SHOWN_ID, id);
	if (fill(s, element, im, err) < 0)
		return err_ctx(err, "image %.*s", SHOWN_ID, id);
	return image_list_add(arg, steal_pointer(&im), err);
}

/* ---- all of them ---- */

static int add_container(struct storage *s, struct json element, void *arg, dray_error **err)
{
	struct arena *a = &s->disk->store.arena;
	const char *id, *image;

	(void)arg;
	if (get_string(s, element, "image", &image, err) < 0 ||
	    json_string(json_get(element, "id"), "id", a, &id, err) < 0)
		return -1;
	if (!is_id(id) || !is_id(image))
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

		if (each_element(&s, "layers", add_layer, NULL, err) < 0 ||
		    each_element(&s, "containers", add_container, NULL, err) < 0 ||
		    each_element(&s, "images", add_image, ret, err) < 0)
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
