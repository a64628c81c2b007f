/* SPDX-License-Identifier: Apache-2.0
 *
 * The layers that bases have, found by their DiffIDs.
 * Relies on ops/stack for images and their proven bytes.
 * Promises to open what has a layer that is wanted, and nothing else.
 */
#include "ops/delta_priv.h"

#include "base/mem.h"
#include "ops/report.h"

void delta_bases_clear(struct delta_bases *b)
{
	for (size_t i = 0; i < b->n; i++)
		stack_free(b->list[i]);
	mem_free(b->list);
	map_clear(&b->by_diff_id);
	arena_clear(&b->arena);
}

const struct delta_where *delta_bases_find(const struct delta_bases *b,
					   const struct digest *diff_id)
{
	return map_get(&b->by_diff_id, span_str(diff_id->text));
}

/* Has the image a layer that is wanted and that is not known yet? */
static bool is_of_use(const struct delta_bases *b, const struct image *im, const struct map *wanted)
{
	const struct config *c = im->config;

	if (!c || im->artifact || im->attestation || im->broken)
		return false;
	for (size_t i = 0; i < c->n_diff_ids; i++) {
		struct span key = span_str(c->diff_ids[i].text);

		if ((!wanted || map_find(wanted, key)) && !map_find(&b->by_diff_id, key))
			return true;
	}
	return false;
}

static int note_layers(struct delta_bases *b, struct stack *s, dray_error **err)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct digest *d = &s->im->layers[i].diff_id;
		struct delta_where *w;

		if (!digest_set(d) || s->im->layers[i].missing ||
		    map_find(&b->by_diff_id, span_str(d->text)))
			continue;
		w = arena_alloc(&b->arena, sizeof(*w));
		if (!w)
			return err_nomem(err);
		*w = (struct delta_where){ s, i };
		if (map_put(&b->by_diff_id, span_str(d->text), w, err) < 0)
			return -1;
	}
	return 0;
}

/* @p image NULL = the only one of the place. */
static int open_image(struct delta_bases *b, const char *place, const char *image, dray_error **err)
{
	const struct stack_options o = {
		.lazy = true,
		.keep_tars = true,
		.diff_ids = true,
		.contents = b->contents,
	};
	const struct dray_select sel = { .size = sizeof(sel), .image = image };
	cleanup_stack struct stack *s = NULL;

	if (stack_open(b->ctx, place, &sel, &o, &s, err) < 0)
		return -1;
	if (mem_grow(&b->list, b->n, &b->cap, sizeof(*b->list)) < 0)
		return err_nomem(err);
	b->list[b->n++] = s;
	return note_layers(b, steal_pointer(&s), err);
}

static bool is_unique(const dray_report *r, const struct image *im)
{
	for (size_t i = 0; i < r->n_images; i++)
		if (r->images[i] != im && r->images[i]->config &&
		    digest_eq(&r->images[i]->config->digest, &im->config->digest))
			return false;
	return true;
}

/* What chooses the image among those of the place. One config may have several manifests, or entries. */
static const char *name_of(const dray_report *r, const struct image *im, char *room, size_t len)
{
	if (r->n_images == 1)
		return NULL;
	if (is_unique(r, im))
		return im->config->digest.text;
	if (im->manifest)
		return im->manifest->digest.text;
	snprintf(room, len, "@%lld", (long long)im->at);
	return room;
}

int delta_bases_add(struct delta_bases *b, const char *place, const struct map *wanted,
		    dray_error **err)
{
	const struct place_options po = { .listing = true };
	cleanup_report dray_report *r = NULL;

	if (strcmp(place, "-") == 0) /* passes once, and has one image */
		return open_image(b, place, NULL, err);
	if (report_open(b->ctx, place, NULL, SCOPE_FILE, &po, &r, err) < 0)
		return -1;
	for (size_t i = 0; i < r->n_images; i++) {
		const struct image *im = r->images[i];
		char room[32];

		if (is_of_use(b, im, wanted) &&
		    open_image(b, place, name_of(r, im, room, sizeof(room)), err) < 0)
			return -1;
	}
	return 0;
}

int delta_bases_check(const char *other, const char *place, const char *const *bases, size_t n,
		      dray_error **err)
{
	bool piped = strcmp(place, "-") == 0;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(bases[i], "-") != 0)
			continue;
		if (piped)
			return err_set(err, DRAY_ERR_USAGE,
				       "standard input is one place only: %s or a base", other);
		piped = true;
	}
	return 0;
}
