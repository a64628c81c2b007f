/* SPDX-License-Identifier: Apache-2.0 */

/* Archives with manifest.json and index.json: Docker 25 and later, containerd, buildx (formats.md 1.5).
 * Relies on manifest.json for tags and the order of layers, which some writers got wrong in the other.
 * Promises to attach a stored manifest only where both tell the same layers. */

#include "store/store_priv.h"

#include "base/limits.h"
#include "base/mem.h"

struct stored {
	struct map by_config;		/* config digest -> struct candidate, the last one read */
	struct candidate *first, **end; /* all, in the order of the index */
	struct image_list *images;	/* that their memory counts with */
	size_t n_missing, n_odd;	/* manifests that are not here, that cannot be read */
	size_t n_hollow;		/* images of which no more than documents are here */
	bool every;			/* selector.every */
	const struct image *
		*of_root; /* by oci_root.id: an image that has found its manifest there */
};

struct candidate {
	struct manifest *manifest;
	const struct oci_leaf *leaf;
	struct candidate *twin; /* with the same config */
	struct candidate *next;
};

static int keep(struct stored *s, struct arena *arena, struct manifest *m,
		const struct oci_leaf *leaf, dray_error **err)
{
	struct candidate *c = arena_alloc(arena, sizeof(*c));

	if (!c || image_list_account(s->images, manifest_cost(m), err) < 0) {
		manifest_free(m);
		return c ? -1 : err_nomem(err);
	}
	c->manifest = m;
	c->leaf = leaf;
	*s->end = c;
	s->end = &c->next;
	c->twin = map_get(&s->by_config, span_str(m->config.digest.text));
	return map_put(&s->by_config, span_str(m->config.digest.text), c, err);
}

/*
 * An absent manifest is no loss: manifest.json has told all that counts. Of one whose bytes are not
 * those that its digest names nobody knows what it was: that is damage as of any blob.
 */
static int note_leaf(struct archive *a, struct stored *s, const struct oci_leaf *leaf,
		     const char *code, dray_error *e, dray_error **err)
{
	struct arena names = { 0 };
	const char *path;
	int rc;

	if (code && dray_error_kind(e) == DRAY_ERR_CORRUPT) {
		rc = blob_path(a, &leaf->desc->digest, &names, &path, err);
		if (rc == 0)
			rc = notes_add(&a->store.notes, true, code, path, dray_error_expected(e),
				       dray_error_actual(e), err,
				       "a manifest that index.json leads to is damaged: %s",
				       dray_error_message(e));
		arena_clear(&names);
		return rc;
	}
	if (code && strcmp(code, "blob-missing") == 0)
		s->n_missing++;
	else
		s->n_odd++;
	return 0;
}

static int read_leaf(struct archive *a, struct stored *s, struct oci_tree *t,
		     const struct oci_leaf *leaf, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	cleanup_error dray_error *e = NULL;
	struct manifest *m = NULL;
	const char *code = NULL;

	if (blob_read(a, leaf->desc, LIMIT_MANIFEST, &raw, &code, &e) == 0) {
		code = NULL; /* the bytes are what was promised */
		if (manifest_parse(&raw, leaf->desc->media_type, &m, &e) < 0)
			m = NULL;
	}
	if (m) {
		if (m->kind == MANIFEST_IMAGE)
			return keep(s, &t->arena, m, leaf, err);
		manifest_free(m);
		return 0;
	}
	if (error_about_bytes(e))
		return note_leaf(a, s, leaf, code, e, err);
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

/* Whether blob @p d is the member that layer @p l was bound to. A link of no use agrees with nothing. */
static int same_blob(struct archive *a, const struct layer *l, const struct digest *d, bool *ret,
		     dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	struct arena names = { 0 };
	struct member *m = NULL;
	const char *path;

	int rc = blob_path(a, d, &names, &path, &e);
	if (rc == 0)
		rc = members_resolve(a->members, span_str(path), &m, NULL, &e);
	*ret = rc == 0 && m && l->handle == (uint64_t)(uintptr_t)m;
	arena_clear(&names);
	if (rc == 0 || error_about_bytes(e))
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int layers_agree(struct archive *a, const struct image *im, const struct manifest *m,
			bool *ret, dray_error **err)
{
	*ret = im->n_layers == m->n_entries;
	for (size_t i = 0; i < im->n_layers && *ret; i++)
		if (same_blob(a, &im->layers[i], &m->entries[i].digest, ret, err) < 0)
			return -1;
	return 0;
}

/* The manifest knows media types and annotations; sizes must not be taken from it unchecked. */
static void take_descriptors(struct image *im)
{
	for (size_t i = 0; i < im->n_layers; i++)
		im->layers[i].blob = im->manifest->entries[i];
}

/* A whole name that index.json has too, as in canonical archives: people know the familiar one. */
static int shorten(struct image *im, const struct oci_tag *t, dray_error **err)
{
	for (size_t i = 0; t->ref_name && i < im->n_tags; i++) {
		if (strcmp(im->tags[i], t->ref_name) != 0)
			continue;
		im->tags[i] = arena_strdup(&im->arena, t->text);
		if (!im->tags[i])
			return err_nomem(err);
	}
	return 0;
}

static int set_ref_names(struct image *im, const struct oci_root *root, dray_error **err)
{
	for (const struct oci_tag *t = root->tags; t; t = t->next)
		if (shorten(im, t, err) < 0)
			return -1;
	for (const struct oci_tag *t = root->tags; t && im->n_tags; t = t->next) {
		if (!t->ref_name || im->ref_names[0])
			continue;
		im->ref_names[0] = arena_strdup(&im->arena, t->ref_name);
		if (!im->ref_names[0])
			return err_nomem(err);
	}
	return 0;
}

static int attach(struct archive *a, struct stored *s, struct image *im, dray_error **err)
{
	struct candidate *c = im->config ? map_get(&s->by_config, span_str(im->config->digest.text))
					 : NULL;
	bool differs = false, agree;

	for (; c; c = c->twin) {
		if (!c->manifest)
			continue; /* another image of the same config has it */
		if (layers_agree(a, im, c->manifest, &agree, err) < 0)
			return -1;
		if (!agree) {
			differs = true;
			continue;
		}
		im->manifest = steal_pointer(&c->manifest);
		im->manifest_trusted = true;
		take_descriptors(im);
		s->of_root[c->leaf->root->id] = im;
		if (s->every)
			im->family = c->leaf->root->family;
		return set_ref_names(im, c->leaf->root, err);
	}
	if (!differs)
		return 0;
	return notes_add(
		&im->notes, false, "stored-manifest-differs", im->where, NULL, NULL, err,
		"index.json stores a manifest with other layers; manifest.json is believed");
}

static bool is_damage(const struct note *n)
{
	return n->problem && strcmp(n->code, "blob-digest-differs") == 0;
}

/*
 * A document of the index is damaged: it may have been the manifest of any image that has found
 * none, which then has another digest than it had. The first such note, from @p told on, becomes theirs.
 */
static int blame(struct archive *a, size_t told, struct image_list *images, dray_error **err)
{
	struct notes *notes = &a->store.notes;
	bool theirs = false;
	size_t at = told;

	while (at < notes->n && !is_damage(&notes->list[at]))
		at++;
	if (at == notes->n)
		return 0;
	const struct note n = notes->list[at];
	for (size_t i = 0; i < images->n; i++) {
		struct image *im = images->list[i];

		if (im->manifest || !im->config)
			continue;
		im->broken = theirs = true;
		if (notes_add(&im->notes, true, n.code, n.where, n.expected, n.actual, err, "%s",
			      n.message) < 0)
			return -1;
	}
	if (theirs)
		memmove(&notes->list[at], &notes->list[at + 1],
			(--notes->n - at) * sizeof(*notes->list));
	return 0;
}

static int attach_all(struct archive *a, struct oci_tree *t, struct stored *s,
		      struct image_list *images, dray_error **err)
{
	s->of_root = arena_array(&t->arena, t->n_roots + 1, sizeof(*s->of_root));
	if (!s->of_root)
		return err_nomem(err);
	for (size_t i = 0; i < t->n_leaves; i++)
		if (read_leaf(a, s, t, &t->leaves[i], err) < 0)
			return -1;
	for (size_t i = 0; i < images->n; i++)
		if (attach(a, s, images->list[i], err) < 0)
			return -1;
	if (s->n_missing &&
	    notes_add(&a->store.notes, false, "blob-missing", "index.json", NULL, NULL, err,
		      "index.json leads to %zu manifests that are not in the archive",
		      s->n_missing) < 0)
		return -1;
	if (!s->n_odd)
		return 0;
	return notes_add(&a->store.notes, false, "manifest-unsupported", "index.json", NULL, NULL,
			 err, "index.json leads to %zu manifests that cannot be read", s->n_odd);
}

/* index.json that cannot be read is told, no more: the images stand without it. */
static int load_tree(struct archive *a, struct oci_tree *t, bool *ret, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	size_t told = a->store.notes.n;

	*ret = oci_tree_load(a, t, &e) == 0;
	/* Indexes that are absent or odd are no problem of an archive that lives without them. */
	for (size_t i = told; i < a->store.notes.n; i++)
		a->store.notes.list[i].problem = is_damage(&a->store.notes.list[i]);
	if (*ret)
		return 0;
	if (error_about_bytes(e))
		return notes_add(&a->store.notes, false, "index-bad-json", "index.json", NULL, NULL,
				 err, "%s", dray_error_message(e));
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

/* ---- what only index.json leads to ---- */

static struct span handle_of(const struct layer *l)
{
	return span_of(&l->handle, sizeof(l->handle));
}

/*
 * Nothing but documents, and layers that others have too: the platform was never fetched, and
 * manifest.json promises nothing of it.
 */
static bool is_hollow(const struct image *im, const struct map *told)
{
	bool own = false, lacks = false;

	for (size_t i = 0; i < im->n_layers; i++) {
		const struct layer *l = &im->layers[i];

		lacks = lacks || l->missing;
		own = own || (!l->missing && !map_get(told, handle_of(l)));
	}
	return (!im->config && !im->raw_config.len) || (lacks && !own);
}

/* The names and the place in the list are those of the image that was chosen by manifest.json. */
static int join(struct image *im, const struct image *named, dray_error **err)
{
	im->n_tags = 0;
	im->at = named ? named->at : -1;
	for (size_t i = 0; named && i < named->n_tags; i++)
		if (image_add_tag(im, named->tags[i], named->ref_names[i], err) < 0)
			return -1;
	return 0;
}

static int add_unnamed(struct archive *a, struct stored *s, const struct candidate *c,
		       const struct map *told, dray_error **err)
{
	const struct image *named = s->of_root[c->leaf->root->id];
	cleanup_image struct image *im = NULL;

	if (oci_leaf_image(a, c->leaf, &im, err) < 0)
		return -1;
	if (is_hollow(im, told)) {
		s->n_hollow++;
		return 0;
	}
	if (named && join(im, named, err) < 0)
		return -1;
	if (!named)
		im->at = -1;
	return image_list_add(s->images, steal_pointer(&im), err);
}

/* Manifests of other layers, or of no layers, for images that manifest.json has told: it is believed. */
static int mark_told(struct stored *s, struct map *told, dray_error **err)
{
	for (size_t i = 0; i < s->images->n; i++) {
		const struct image *im = s->images->list[i];
		const struct digest *claimed = &im->config_digest_claimed;

		if ((im->config &&
		     map_put(told, span_str(im->config->digest.text), told, err) < 0) ||
		    (digest_set(claimed) && map_put(told, span_str(claimed->text), told, err) < 0))
			return -1;
		for (size_t k = 0; k < im->n_layers; k++)
			if (im->layers[k].handle &&
			    map_put(told, handle_of(&im->layers[k]), told, err) < 0)
				return -1;
	}
	return 0;
}

static int add_unnamed_but(struct archive *a, struct stored *s, struct map *told, dray_error **err)
{
	for (const struct candidate *c = s->first; c; c = c->next) {
		const struct manifest *m = c->manifest;

		if (!m || map_get(told, span_str(m->config.digest.text)) ||
		    map_get(told, span_str(m->digest.text)))
			continue;
		if (map_put(told, span_str(m->digest.text), told, err) < 0 ||
		    add_unnamed(a, s, c, told, err) < 0)
			return -1;
	}
	return 0;
}

static int add_all_unnamed(struct archive *a, struct stored *s, dray_error **err)
{
	struct map told = { 0 };
	int rc = mark_told(s, &told, err);

	if (rc == 0)
		rc = add_unnamed_but(a, s, &told, err);
	map_clear(&told);
	if (rc < 0 || !s->n_hollow)
		return rc;
	return notes_add(&a->store.notes, false, "blob-missing", "index.json", NULL, NULL, err,
			 "index.json leads to %zu images whose blobs are not in the archive",
			 s->n_hollow);
}

int hybrid_attach(struct archive *a, const struct selector *sel, struct image_list *images,
		  dray_error **err)
{
	cleanup_oci_tree struct oci_tree t = { 0 };
	struct stored s = { .images = images, .every = sel->every };
	size_t told = a->store.notes.n;
	bool usable;

	s.end = &s.first;
	if (load_tree(a, &t, &usable, err) < 0)
		return err_ctx(err, "%s", a->label);
	int rc = usable ? attach_all(a, &t, &s, images, err) : 0;
	if (rc == 0)
		rc = blame(a, told, images, err);
	if (rc == 0 && usable && sel->every)
		rc = add_all_unnamed(a, &s, err);
	for (struct candidate *c = s.first; c; c = c->next)
		manifest_free(c->manifest);
	map_clear(&s.by_config);
	return rc;
}
