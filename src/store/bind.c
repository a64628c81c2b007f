/* SPDX-License-Identifier: Apache-2.0 */

/* From a layer's path to the member that holds its bytes.
 * Relies on the map for links; a path that leads nowhere is the image's trouble, not an error.
 * Promises equal handles for layers that are the same member. */

#include "store/store_priv.h"

#include "base/mem.h"

static const char *trouble_code(enum member_trouble why)
{
	switch (why) {
	case TROUBLE_DANGLING:
		return "layer-link-dangling";
	case TROUBLE_LOOP:
		return "layer-link-loop";
	case TROUBLE_OUTSIDE:
		return "layer-link-outside";
	case TROUBLE_TWINS:
		return "member-ambiguous";
	default:
		return "layer-not-regular";
	}
}

/*
 * The layer cannot be read. A link to nothing is how sparse archives look, so the
 * image stays usable; the rest is hostile or ambiguous and breaks it.
 */
static int note_trouble(struct image *im, struct layer *layer, enum member_trouble why,
			dray_error **err)
{
	if (why == TROUBLE_NONE || !*err || dray_error_kind(*err) != DRAY_ERR_FORMAT)
		return -1;
	cleanup_error dray_error *e = steal_pointer(err);

	layer->missing = true;
	layer->trouble = arena_strdup(&im->arena, dray_error_message(e));
	if (!layer->trouble)
		return err_nomem(err);
	im->broken = im->broken || why != TROUBLE_DANGLING;
	return notes_add(&im->notes, true, trouble_code(why), im->where, NULL, NULL, err, "%s",
			 layer->trouble);
}

static int describe(struct archive *a, struct layer *layer, struct member *e, dray_error **err)
{
	layer->handle = (uint64_t)(uintptr_t)e;
	layer->facts = e->facts;
	if (layer->blob.size < 0)
		layer->blob.size = e->size;
	if (members_sniff(a->members, e, err) < 0)
		return -1;
	layer->compression = e->compression;
	layer->has_compression = true;
	return 0;
}

/* Both names are clean here, so a difference means that links were followed. */
static int name_target(struct archive *a, struct image *im, struct layer *layer,
		       const struct member *e, dray_error **err)
{
	struct member *named = NULL;

	if (members_resolve_name(a->members, span_str(layer->path), &named, err) < 0)
		return -1;
	if (!named || named == e || span_eq(named->name, e->name))
		return 0;
	layer->link_target = arena_strndup(&im->arena, (const char *)e->name.data, e->name.len);
	return layer->link_target ? 0 : err_nomem(err);
}

int archive_bind_layer(struct archive *a, struct image *im, size_t i, dray_error **err)
{
	struct layer *layer = &im->layers[i];
	cleanup_error dray_error *e = NULL;
	enum member_trouble why;
	struct member *m = NULL;

	int rc = members_resolve(a->members, span_str(layer->path), &m, &why, &e);
	if (rc < 0)
		rc = note_trouble(im, layer, why, &e);
	else if (!m)
		layer->missing = true;
	else if (name_target(a, im, layer, m, &e) < 0 || describe(a, layer, m, &e) < 0)
		rc = -1;
	if (rc < 0 && err)
		*err = steal_pointer(&e);
	return rc;
}
