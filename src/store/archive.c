/* SPDX-License-Identifier: Apache-2.0 */

/* One store over a map of members: says by content what it is, hands out images and layers.
 * Relies on the format readers for the images.
 * Promises that opening layers touches nothing shared, so that threads may do it together. */

#include "store/store_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define PLACE_SHOWN_MAX 400 /* bytes of a path that messages show */

static int read_images(struct archive *a, const struct selector *sel, struct image_list *l,
		       dray_error **err)
{
	switch (a->store.kind) {
	case STORE_OCI_LAYOUT:
	case STORE_DIR:
		return oci_layout_images(a, l, err);
	case STORE_DOCKER_V1:
		return docker_v1_images(a, l, err);
	default:
		break;
	}
	bool index, layout;

	if (members_has(a->members, "index.json", &index, err) < 0 ||
	    members_has(a->members, "oci-layout", &layout, err) < 0)
		return -1;
	/* manifest.json names one platform; for all of them index.json is the better witness. */
	if ((sel->all_platforms || sel->n_more) && index && layout)
		return oci_layout_images(a, l, err);
	if (docker_archive_images(a, l, err) < 0)
		return -1;
	return index ? hybrid_attach(a, sel, l, err) : 0;
}

/* No image at all: where an index could not be read, that is why. */
static int check_damage(struct archive *a, dray_error **err)
{
	for (size_t i = 0; i < a->store.notes.n; i++) {
		const struct note *n = &a->store.notes.list[i];

		if (n->problem && strcmp(n->code, "index-no-manifests") != 0 &&
		    strncmp(n->code, "oci-layout", 10) != 0)
			return err_set(err, DRAY_ERR_FORMAT, "%s: %s", a->label, n->message);
	}
	return 0;
}

static int archive_images(struct store *st, const struct selector *sel, struct image ***ret,
			  size_t *ret_n, dray_error **err)
{
	struct archive *a = (struct archive *)st;
	cleanup_image_list struct image_list l = { 0 };

	st->notes.n = a->n_opening_notes; /* listing again tells nothing twice */
	if (read_images(a, sel, &l, err) < 0 || (!l.n && !sel->all && check_damage(a, err) < 0) ||
	    image_list_select(&l, sel, a->label, err) < 0)
		return -1;
	/* An engine's disk: as with an engine, who names a tag gets the image under that tag alone. */
	for (size_t i = 0; a->index.len && sel->ref && i < l.n; i++)
		if (image_keep_names(l.list[i], sel->ref, err) < 0)
			return -1;
	*ret = l.list;
	*ret_n = l.n;
	l = (struct image_list){ 0 };
	return 0;
}

/* *@p room holds the text and is the caller's. */
static const char *absent_text(char **room, const struct layer *layer)
{
	cleanup_free char *path = text_safe(span_str(layer->path ? layer->path : ""),
					    PLACE_SHOWN_MAX);

	*room = path ? mem_printf("%s is not in the archive", path) : NULL;
	return *room ? *room : "its bytes are not in the archive";
}

static struct source *archive_open_layer(struct store *st, const struct image *im, size_t i,
					 dray_error **err)
{
	const struct archive *a = (const struct archive *)st;
	const struct layer *layer = &im->layers[i];

	if (layer->missing || !layer->handle) {
		cleanup_free char *path = NULL;
		err_set(err, layer->trouble ? DRAY_ERR_FORMAT : DRAY_ERR_NOT_FOUND,
			"%s: layer %zu: %s", im->where, i + 1,
			layer->trouble ? layer->trouble : absent_text(&path, layer));
		return NULL;
	}
	const struct member *e = (const struct member *)(uintptr_t)layer->handle;
	struct source *s = members_open(a->members, e, err);
	if (!s)
		err_ctx(err, "%s: layer %zu", im->where, i + 1);
	return s;
}

static int archive_index(struct store *st, const struct digest *d, struct manifest **ret,
			 dray_error **err)
{
	const struct descriptor desc = { .digest = *d, .size = -1 };
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	const char *code;

	if (blob_read((struct archive *)st, &desc, LIMIT_MANIFEST, &raw, &code, err) < 0)
		return -1;
	return manifest_parse(&raw, NULL, ret, err);
}

static const struct store_ops archive_ops;

static int index_text(struct archive *a, struct buf *raw, dray_error **err)
{
	return a->index.len ? buf_add(raw, a->index, err)
			    : members_document(a->members, "index.json", LIMIT_MANIFEST, raw, err);
}

/* Of an index.json that cannot be read its own readers tell: *ret is NULL. It lives in @p raw. */
static int read_index_json(struct archive *a, struct buf *raw, struct json_doc **ret,
			   dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	bool there;

	if (members_has(a->members, "index.json", &there, err) < 0)
		return -1;
	if (!there && !a->index.len)
		return 0;
	if ((index_text(a, raw, &e) == 0 && json_parse(span_buf(raw), ret, &e) == 0) ||
	    error_about_bytes(e))
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

int store_lists_indexes(struct store *st, bool *ret, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	cleanup_json struct json_doc *doc = NULL;
	struct json type;
	const char *text;

	*ret = false;
	if (st->ops != &archive_ops)
		return 0;
	if (read_index_json((struct archive *)st, &raw, &doc, err) < 0)
		return -1;
	if (!doc)
		return 0;
	for (struct json it = json_first(json_get_fold(json_root(doc), "manifests"));
	     json_node(it) && !*ret; it = json_next(it)) {
		type = json_get_fold(it, "mediaType");
		if (json_type(type) != JSON_STRING)
			continue;
		if (json_string(type, "mediaType", &st->arena, &text, err) < 0)
			return -1;
		*ret = mediatype_is_index(text);
	}
	return 0;
}

static void archive_free(struct store *st)
{
	struct archive *a = (struct archive *)st;

	members_free(a->members);
	notes_clear(&st->notes);
	arena_clear(&st->arena);
	mem_free(st->place);
	mem_free(a);
}

static const struct store_ops archive_ops = {
	.images = archive_images,
	.open_layer = archive_open_layer,
	.index = archive_index,
	.free = archive_free,
};

int archive_new(const char *place, struct archive **ret, dray_error **err)
{
	struct archive *a = mem_zalloc(sizeof(*a));

	if (!a)
		return err_nomem(err);
	a->store.ops = &archive_ops;
	a->store.notes.arena = &a->store.arena;
	a->store.place = mem_strdup(place);
	cleanup_free char *shown = text_safe(span_str(place), PLACE_SHOWN_MAX);
	a->label = shown ? arena_strdup(&a->store.arena, shown) : NULL;
	*ret = a;
	if (a->store.place && a->label)
		return 0;
	*ret = NULL;
	archive_free(&a->store);
	return err_nomem(err);
}

/* First character of manifest.json: '[' is docker's list, '{' a manifest in a tarred "dir:" layout. */
static int manifest_json_shape(struct archive *a, char *ret, dray_error **err)
{
	cleanup_buf struct buf doc = BUF_INIT(LIMIT_MANIFEST_JSON);

	bool there;

	*ret = 0;
	if (members_has(a->members, "manifest.json", &there, err) < 0)
		return -1;
	if (!there)
		return 0;
	if (members_document(a->members, "manifest.json", LIMIT_MANIFEST_JSON, &doc, err) < 0)
		return -1;
	*ret = '?';
	for (size_t i = 0; i < doc.len; i++) {
		uint8_t c = doc.data[i];

		if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
			*ret = c == '{' ? '{' : '[';
			break;
		}
	}
	return 0;
}

/* "HEX/json" makes a v1 archive even without the file "repositories". */
static bool has_v1_folder(const struct members *m)
{
	for (size_t i = 0; i < m->map.len; i++) {
		struct span name = m->map.slots[i].key;

		if (name.len == V1_ID_LEN + 5 && span_ends(name, "/json") &&
		    v1_id_valid(span_head(name, V1_ID_LEN)))
			return true;
	}
	return false;
}

/* What the members below look like, for the reader of an error. */
static const char *likely(const struct members *m)
{
	bool nested = false;

	for (size_t i = 0; i < m->map.len; i++) {
		struct span name = m->map.slots[i].key;

		if (span_starts(name, "etc/") || span_starts(name, "bin/") ||
		    span_starts(name, "usr/") || span_starts(name, "lib/"))
			return "it looks like a flat root file system, as \"docker export\" writes";
		nested = nested || span_ends(name, "/repositories") ||
			 span_ends(name, "/manifest.json") || span_ends(name, "/index.json");
	}
	return nested ? "there are archives in folders below; unpack it and name one of them"
		      : NULL;
}

static int not_an_archive(struct archive *a, dray_error **err)
{
	const char *hint = likely(a->members);
	bool layout;

	if (members_has(a->members, "oci-layout", &layout, err) < 0)
		return -1;
	if (layout)
		return err_set(err, DRAY_ERR_FORMAT,
			       "%s: not an image archive: oci-layout is there, index.json is not",
			       a->label);
	return err_set(err, DRAY_ERR_FORMAT,
		       "%s: not an image archive: no manifest.json, index.json or repositories%s%s",
		       a->label, hint ? "; " : "", hint ? hint : "");
}

/*
 * Is the archive a delta (docs/delta.md)? manifest.json of one is for engines that have the rest
 * of the image already.
 */
static int is_delta(struct archive *a, bool *ret, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	cleanup_json struct json_doc *doc = NULL;
	cleanup_error dray_error *e = NULL;
	struct json entry;

	*ret = false;
	if (members_document(a->members, "index.json", LIMIT_MANIFEST, &raw, &e) == 0 &&
	    json_parse(span_buf(&raw), &doc, &e) == 0) {
		entry = json_first(json_get(json_root(doc), "manifests"));
		*ret = span_starts(json_raw(json_get(entry, "artifactType")),
				   "\"" MT_DELTA_FAMILY) &&
		       !json_node(json_next(entry));
		return 0;
	}
	/* Readers of index.json tell what is wrong with it. */
	if (error_about_bytes(e))
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

int archive_decide(struct archive *a, bool oci, dray_error **err)
{
	bool index, v1, delta = false;
	char shape;

	a->store.forward_only = a->members->forward_only;
	if (manifest_json_shape(a, &shape, err) < 0 ||
	    members_has(a->members, "index.json", &index, err) < 0 ||
	    members_has(a->members, "repositories", &v1, err) < 0 ||
	    (index && !oci && shape == '[' && is_delta(a, &delta, err) < 0))
		return err_ctx(err, "%s", a->label);
	if (index && (oci || delta || !shape || shape == '{'))
		a->store.kind = STORE_OCI_LAYOUT;
	else if (shape == '{')
		a->store.kind = STORE_DIR;
	else if (shape)
		a->store.kind = STORE_DOCKER_ARCHIVE;
	else if (v1 || has_v1_folder(a->members))
		a->store.kind = STORE_DOCKER_V1;
	else
		return not_an_archive(a, err);
	a->n_opening_notes = a->store.notes.n;
	return 0;
}
