/* SPDX-License-Identifier: Apache-2.0
 *
 * For: one image in podman's storage: its config, its manifest, its names and times.
 * Relies on: storage_bind_layers() for its layers.
 * Promises: a config has the digest that it is named after; a manifest counts only if its blobs lie here.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "disk/containers_priv.h"

#define SHOWN_TAG 120 /* bytes of a tag in messages */

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
	if (beneath_read(s->root, path, &raw, ret_written, &e) == 0)
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
	if (beneath_read(s->root, path, &raw, NULL, &e) == 0 &&
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
		    !span_ends(span_str(m->entries[i].media_type),
			       ".tar")) /* and not ".tar.gzip" */
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

static int name_image(struct storage *s, struct image *im, dray_error **err)
{
	cleanup_free char *tag = im->n_tags ? text_safe(span_str(im->tags[0]), SHOWN_TAG) : NULL;

	if (im->n_tags && !tag)
		return err_nomem(err);
	im->where = arena_printf(&im->arena, "%s image %.*s%s%s%s", s->label, STORAGE_SHOWN_ID,
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
		      const struct storage_layer *top, struct dray_disk_info *info,
		      dray_error **err)
{
	struct dray_disk_event *list = arena_array(&im->arena, 2, sizeof(*list));
	int64_t sec;
	int32_t nsec, off;

	if (!list)
		return err_nomem(err);
	if (add_event(im, &list[0], "written", "likely", written->tv_sec, (int32_t)written->tv_nsec,
		      arena_printf(&im->arena, "%s-images/%s", s->driver->name,
				   digest_hex(&im->config_digest_claimed)),
		      err) < 0)
		return -1;
	info->events = info->updated = list;
	info->n_events = 1;
	if (!top || !top->created || !time_parse_rfc3339(span_str(top->created), &sec, &nsec, &off))
		return 0;
	info->n_events = 2;
	return add_event(im, &list[1], "registered", "recorded", sec, nsec,
			 arena_printf(&im->arena, "%s-layers/layers.json", s->driver->name), err);
}

/* The engine counts config and manifests, too. */
static int add_documents(struct json element, struct dray_disk_info *info, dray_error **err)
{
	struct json sizes = json_get(element, "big-data-sizes");

	if (json_want_map(sizes, true, "big-data-sizes", err) < 0)
		return -1;
	for (struct json it = json_first(sizes); json_present(sizes) && json_node(it);
	     it = json_next(it)) {
		int64_t size;

		if (json_int(it, "big-data-sizes", &size, err) < 0)
			return -1;
		if (info->size >= 0 &&
		    (size < 0 || __builtin_add_overflow(info->size, size, &info->size)))
			info->size = -1;
	}
	return 0;
}

static int fill(struct storage *s, struct json element, struct image *im, dray_error **err)
{
	struct dray_disk_info *info = arena_alloc(&im->arena, sizeof(*info));
	const struct storage_layer *top = NULL;
	struct timespec written = { 0 };
	const char *layer;

	if (!info)
		return err_nomem(err);
	info->driver = s->driver->name;
	info->size = -1;
	im->disk = info;
	if (storage_add_names(s, element, im, info, err) < 0 || name_image(s, im, err) < 0 ||
	    storage_string(s, element, "layer", &layer, err) < 0 ||
	    read_config(s, im, &written, err) < 0)
		return -1;
	const struct texts *ids = map_get(&s->containers,
					  span_str(digest_hex(&im->config_digest_claimed)));
	info->containers = ids ? ids->list : NULL;
	info->n_containers = ids ? ids->n : 0;
	if (!im->config || im->broken)
		return 0;
	if (storage_bind_layers(s, im, layer, info, &top, err) < 0 ||
	    add_documents(element, info, err) < 0 || add_manifest(s, im, err) < 0)
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

int storage_add_image(struct storage *s, struct json element, void *arg, dray_error **err)
{
	cleanup_image struct image *im = NULL;
	bool skipped;
	const char *id;

	if (storage_string(s, element, "id", &id, err) < 0)
		return -1;
	if (!storage_is_id(id))
		return err_set(err, DRAY_ERR_FORMAT, "an image whose ID is none");
	if (s->nth && map_get(&s->images, span_str(id))) /* the storage has one of its own */
		return 0;
	if (map_put(&s->images, span_str(id), s, err) < 0)
		return -1;
	if (image_new(s->label, &im, err) < 0 ||
	    digest_from_hex(span_str(id), &im->config_digest_claimed, err) < 0 ||
	    is_no_image(s, im, &skipped, err) < 0)
		return -1;
	if (skipped)
		return notes_add(&s->disk->store.notes, false, "no-image", s->label, NULL, NULL,
				 err, "%.*s is a list of manifests or an artifact: left out",
				 STORAGE_SHOWN_ID, id);
	if (fill(s, element, im, err) < 0)
		return err_ctx(err, "image %.*s", STORAGE_SHOWN_ID, id);
	return image_list_add(arg, steal_pointer(&im), err);
}
