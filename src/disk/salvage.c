/* SPDX-License-Identifier: Apache-2.0
 *
 * For: images some of whose layers are damaged, with layers made anew in their place.
 * Relies on: remnant.h for the new layer; the DiffID for what needs none.
 * Promises: a sound layer stays as it is; what is new is said, and nothing else changes in the config.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "disk/disk_priv.h"
#include "disk/remnant.h"
#include "image/config_edit.h"

#define DAMAGE_SHOWN 50 /* of one layer; the rest is counted */

struct salvaged {
	struct remnant remnant;
	struct digest diff_id;
	struct texts why;
	size_t n_more;
	bool made;
	bool lost; /* nothing of it is left */
};

/* ---- is it damaged? ---- */

struct telling {
	struct arena *a;
	struct salvaged *s;
};

static int add_damage(void *arg, const char *code, const char *message, dray_error **err)
{
	struct telling *t = arg;

	(void)code;
	if (t->s->why.n == DAMAGE_SHOWN) {
		t->s->n_more++;
		return 0;
	}
	const char *own = arena_strdup(t->a, message);
	return own ? texts_add(t->a, &t->s->why, own, err) : err_nomem(err);
}

static int hash_of(struct source *tar, struct digest *ret, dray_error **err)
{
	cleanup_hash struct hash h = { 0 };
	cleanup_source struct source *s = tar;

	if (hash_init(&h, DIGEST_SHA256, err) < 0)
		return -1;
	s = source_hash(steal_pointer(&s), &h, err);
	return s && source_drain(s, err) == 0 ? hash_finish(&h, ret, err) : -1;
}

static int other_layer(struct telling *t, const struct digest *have, dray_error **err)
{
	cleanup_free char *text = mem_printf(
		"its tar-split makes another layer of its files, DiffID %s", have->text);

	return text ? add_damage(t, NULL, text, err) : err_nomem(err);
}

/* Which layer its bytes are, in its @actual, or what keeps it from having any; @s says it. */
static int prove(struct disk_store *d, struct disk_layer *l, struct salvaged *s, dray_error **err)
{
	struct telling t = { &d->store.arena, s };
	cleanup_error dray_error *e = NULL;
	struct digest have;

	if (!l->trouble && hash_of(disk_layer_open(l, &e), &have, &e) == 0) {
		l->actual = have;
		return other_layer(&t, &have, err);
	}
	if (e && !error_about_bytes(e)) {
		if (err)
			*err = steal_pointer(&e);
		return -1;
	}
	if (disk_layer_damage(l, add_damage, &t, err) < 0)
		return -1;
	return s->why.n ? 0 : add_damage(&t, NULL, dray_error_message(e), err);
}

/* ---- what is made of it ---- */

static int has_files(const struct disk_layer *l, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	int there = l->files ? beneath_is_dir(l->root, l->files, &e) : 0;

	return there < 0 ? disk_forgive(&e, err) : there;
}

/* The nearest layer below that still has files; it may lie in another store. */
static int find_below(const struct disk_layer *l, struct remnant_from *from, dray_error **err)
{
	for (l = l->below; l; l = l->below) {
		int there = has_files(l, err);

		if (there < 0)
			return -1;
		if (!there)
			continue;
		from->below_root = l->root;
		from->below = l->files;
		return 0;
	}
	return 0;
}

static int make_anew(struct disk_store *d, const struct disk_layer *l, struct salvaged *s,
		     dray_error **err)
{
	struct remnant_from from = {
		.root = l->root,
		.whole = l->whole,
		.uid_base = d->uid_base,
		.gid_base = d->gid_base,
	};
	int there = has_files(l, err);

	if (there < 0 || (there && l->whole && find_below(l, &from, err) < 0))
		return -1;
	from.files = there ? l->files : NULL;
	s->lost = !there;
	if (remnant_read(&d->store.arena, &from, &s->remnant, err) < 0)
		return -1;
	return hash_of(remnant_open(&s->remnant, err), &s->diff_id, err);
}

/* Read once, however many images share it. */
static int prove_once(struct disk_store *d, struct disk_layer *l, dray_error **err)
{
	struct salvaged *s = l->salvaged ? NULL : arena_alloc(&d->store.arena, sizeof(*s));

	if (l->salvaged)
		return 0;
	if (!s)
		return err_nomem(err);
	if (prove(d, l, s, err) < 0)
		return -1;
	l->salvaged = s;
	return 0;
}

/* Made anew once, for all images of which it is not the layer. */
static int salvage_layer(struct disk_store *d, struct disk_layer *l, const struct digest *want,
			 dray_error **err)
{
	if (prove_once(d, l, err) < 0)
		return -1;
	if (disk_layer_is(l, want) || l->salvaged->made)
		return 0;
	if (make_anew(d, l, l->salvaged, err) < 0) {
		remnant_clear(&l->salvaged->remnant);
		return -1;
	}
	l->salvaged->made = true;
	return 0;
}

bool disk_layer_is(const struct disk_layer *l, const struct digest *want)
{
	return digest_set(&l->actual) && digest_eq(&l->actual, want);
}

bool disk_layer_remade(const struct disk_layer *l, const struct digest *want)
{
	return l->salvaged && l->salvaged->made && !disk_layer_is(l, want);
}

struct source *disk_salvaged_open(const struct disk_layer *l, dray_error **err)
{
	return remnant_open(&l->salvaged->remnant, err);
}

void disk_salvaged_free(struct disk_layer *l)
{
	if (l->salvaged)
		remnant_clear(&l->salvaged->remnant);
}

/* ---- the image ---- */

/* What no tar can hold. */
static int tell_left(struct image *im, size_t i, const struct remnant *r, dray_error **err)
{
	if (r->n_sockets &&
	    notes_add(&im->notes, false, "layer-sockets", im->where, NULL, NULL, err,
		      "layer %zu: %zu sockets are left out", i + 1, r->n_sockets) < 0)
		return -1;
	if (!r->n_xattrs)
		return 0;
	return notes_add(&im->notes, false, "layer-xattrs", im->where, NULL, NULL, err,
			 "layer %zu: %zu extended attributes with '=' in their names are left out",
			 i + 1, r->n_xattrs);
}

static int tell_layer(struct image *im, size_t i, const struct salvaged *s, dray_error **err)
{
	const struct digest *old = &im->layers[i].diff_id;

	if (notes_add(&im->notes, false, "layer-remade", im->where, old->text, s->diff_id.text, err,
		      "layer %zu is %s: DiffID %s becomes %s", i + 1,
		      s->lost ? "lost, and an empty one stands in its place"
			      : "made anew of the files that are left",
		      old->text, s->diff_id.text) < 0)
		return -1;
	/* What kept it from being opened at all is told already. */
	for (size_t k = 0; !im->layers[i].trouble && k < s->why.n; k++)
		if (notes_add(&im->notes, false, "layer-damage", im->where, NULL, NULL, err,
			      "layer %zu: %s", i + 1, s->why.list[k]) < 0)
			return -1;
	if (s->n_more && notes_add(&im->notes, false, "layer-damage", im->where, NULL, NULL, err,
				   "layer %zu: %zu more files are damaged", i + 1, s->n_more) < 0)
		return -1;
	return tell_left(im, i, &s->remnant, err);
}

/* The config with the new DiffIDs, which makes it another image. */
static int new_config(struct image *im, const struct digest *diff_ids, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);
	const char *old = arena_strdup(&im->arena, im->config->digest.text);

	if (!old)
		return err_nomem(err);
	if (config_set_diff_ids(im->config, diff_ids, &raw, err) < 0)
		return -1;
	config_free(im->config);
	im->config = NULL;
	if (image_set_config(im, &raw, NULL, err) < 0)
		return -1;
	im->config_digest_claimed = im->config->digest;
	return notes_add(&im->notes, false, "image-salvaged", im->where, old,
			 im->config->digest.text, err, "the image ID %s becomes %s", old,
			 im->config->digest.text);
}

/* What names the old layers names nothing of this image any more. */
static void drop_manifest(struct image *im)
{
	manifest_free(im->manifest);
	im->manifest = NULL;
	im->manifest_trusted = false;
	for (size_t i = 0; i < im->n_layers; i++)
		im->layers[i].blob = (struct descriptor){ .size = im->layers[i].blob.size };
}

static int replace_layer(struct image *im, size_t i, const struct salvaged *s, dray_error **err)
{
	struct layer *layer = &im->layers[i];

	if (tell_layer(im, i, s, err) < 0)
		return -1;
	layer->diff_id = s->diff_id;
	layer->blob.size = s->remnant.size;
	layer->missing = false;
	layer->trouble = NULL;
	return 0;
}

static int replace_layers(struct disk_store *d, struct image *im, dray_error **err)
{
	cleanup_free struct digest *ids = mem_alloc_array(im->n_layers + 1, sizeof(*ids));

	if (!ids)
		return err_nomem(err);
	drop_manifest(im);
	for (size_t i = 0; i < im->n_layers; i++) {
		const struct disk_layer *l = disk_layer_at(d, im->layers[i].handle);

		if (disk_layer_remade(l, &im->layers[i].diff_id) &&
		    replace_layer(im, i, l->salvaged, err) < 0)
			return -1;
		im->layers[i].missing = false;
		ids[i] = im->layers[i].diff_id;
	}
	return new_config(im, ids, err);
}

int disk_salvage(struct disk_store *d, struct image *im, dray_error **err)
{
	size_t n_new = 0, n_lost = 0;

	if (im->broken || !im->config)
		return 0;
	for (size_t i = 0; i < im->n_layers; i++) {
		struct disk_layer *l = disk_layer_at(d, im->layers[i].handle);

		if (salvage_layer(d, l, &im->layers[i].diff_id, err) < 0)
			return err_ctx(err, "%s layer %zu", im->where, i + 1);
		if (disk_layer_remade(l, &im->layers[i].diff_id)) {
			n_new++;
			n_lost += l->salvaged->lost;
		}
	}
	if (n_new == 0)
		return 0;
	if (n_lost < im->n_layers)
		return replace_layers(d, im, err);
	return notes_add(&im->notes, false, "nothing-left", im->where, NULL, NULL, err,
			 "nothing of its layers is left to be salvaged");
}
