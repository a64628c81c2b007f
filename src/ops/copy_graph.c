/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans the copy of an index: walks it and the indexes below, and says of each entry whether
 * it comes along. Relies on the store for verified documents and for the images that it listed.
 * Promises to finish: each digest is met once, depth and number are bounded (M-12).
 */
#include "ops/copy_graph.h"

#include "base/limits.h"
#include "base/mem.h"

#define HOLES_TEXT_MAX (8 * KIB)

/* An index whose entries are being looked at. */
struct frame {
	struct node *node;
	size_t next;
	bool attestations; /* second round: they follow what they speak of */
};

void graph_clear(struct graph *g)
{
	for (size_t i = 0; i < g->nodes.len; i++) {
		struct node *n = g->nodes.slots[i].value;

		manifest_free(n->index);
	}
	map_clear(&g->nodes);
	map_clear(&g->images);
	mem_free(g->order);
	buf_clear(&g->holes);
	arena_clear(&g->arena);
}

struct node *graph_node(const struct graph *g, const struct digest *d)
{
	return map_get(&g->nodes, span_str(d->text));
}

static int add_node(struct graph *g, const struct descriptor *entry, const char *key,
		    struct node **ret, dray_error **err)
{
	*ret = arena_alloc(&g->arena, sizeof(**ret));
	if (!*ret)
		return err_nomem(err);
	if (g->nodes.len >= LIMIT_INDEX_NODES)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d documents (LIMIT_INDEX_NODES)",
			       LIMIT_INDEX_NODES);
	(*ret)->entry = entry;
	return map_put(&g->nodes, span_str(key), *ret, err);
}

static int add_to_order(struct graph *g, struct node *n, dray_error **err)
{
	if (mem_grow(&g->order, g->n_order, &g->cap_order, sizeof(struct node *)) < 0)
		return err_nomem(err);
	g->order[g->n_order++] = n;
	return 0;
}

/* ---- what an entry is ---- */

static int add_hole(struct graph *g, const struct descriptor *e, dray_error **err)
{
	cleanup_free char *platform = e->has_platform ? platform_text(&e->platform) : NULL;

	if (e->has_platform && !platform)
		return err_nomem(err);
	if (++g->n_holes > HOLES_NAMED_MAX)
		return 0;
	return buf_printf(&g->holes, err, "%s%s%s%s", g->holes.len ? ", " : "",
			  platform ? platform : "", platform ? " " : "", e->digest.text);
}

static bool choosy(const struct graph *g)
{
	return !g->sel->all_platforms && g->sel->platform.os;
}

/* By what the index says, else by what the image says; artifacts have no platform. */
static bool wanted(const struct graph *g, const struct descriptor *e, const struct image *im)
{
	if (!choosy(g))
		return true;
	if (e->has_platform)
		return selector_wants(g->sel, &e->platform);
	if (im && im->config && !im->artifact)
		return selector_wants(g->sel, &im->config->platform);
	return true;
}

/* 1 = *ret is an index, 0 = there is nothing behind the entry, -1. */
static int read_index(struct graph *g, const struct descriptor *e, struct manifest **ret,
		      dray_error **err)
{
	cleanup_error dray_error *e1 = NULL;

	if (store_index(g->store, &e->digest, ret, &e1) == 0)
		return 1;
	if (dray_error_kind(e1) == DRAY_ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = steal_pointer(&e1);
	return -1;
}

static int classify(struct graph *g, const struct descriptor *e, struct node *n, dray_error **err)
{
	struct image *im = map_get(&g->images, span_str(e->digest.text));
	bool may_be_index = !e->media_type || mediatype_is_index(e->media_type);

	if (im && !image_is_hole(im)) {
		n->im = im;
		n->kind = descriptor_is_attestation(e) ? NODE_ATTESTATION
			  : wanted(g, e, im)	       ? NODE_IMAGE
						       : NODE_OTHER;
		return 0;
	}
	if (!im && may_be_index) {
		int there = read_index(g, e, &n->index, err);

		n->kind = there > 0 ? NODE_INDEX : NODE_HOLE;
		return there < 0 ? -1 : 0;
	}
	/* Not even looked at, or looked for in vain. */
	n->kind = wanted(g, e, NULL) ? NODE_HOLE : NODE_OTHER;
	return 0;
}

static int take_entry(struct graph *g, const struct descriptor *e, struct node **ret,
		      dray_error **err)
{
	struct node *n;

	if (add_node(g, e, e->digest.text, &n, err) < 0 || classify(g, e, n, err) < 0)
		return -1;
	*ret = n;
	if (n->kind != NODE_INDEX && !descriptor_is_attestation(e))
		g->n_images++;
	if (n->kind == NODE_IMAGE)
		g->n_chosen++;
	if (n->kind == NODE_HOLE)
		return add_hole(g, e, err);
	return n->kind == NODE_IMAGE || n->kind == NODE_ATTESTATION ? add_to_order(g, n, err) : 0;
}

/* ---- the walk ---- */

/* The next entry of this round that nobody has met; NULL at the end of both rounds. */
static const struct descriptor *next_entry(const struct graph *g, struct frame *f)
{
	const struct manifest *index = f->node->index;

	for (;; f->next = 0, f->attestations = true) {
		while (f->next < index->n_entries) {
			const struct descriptor *e = &index->entries[f->next++];

			if (descriptor_is_attestation(e) == f->attestations &&
			    !graph_node(g, &e->digest))
				return e;
		}
		if (f->attestations)
			return NULL;
	}
}

static int walk(struct graph *g, struct node *root, dray_error **err)
{
	struct frame stack[LIMIT_INDEX_DEPTH + 1] = { { .node = root } };
	size_t depth = 1;

	while (depth > 0) {
		struct frame *top = &stack[depth - 1];
		const struct descriptor *e = next_entry(g, top);
		struct node *n;

		if (!e) {
			depth--;
			if (add_to_order(g, top->node, err) < 0)
				return -1;
			continue;
		}
		if (take_entry(g, e, &n, err) < 0)
			return -1;
		if (n->kind != NODE_INDEX)
			continue;
		if (depth > LIMIT_INDEX_DEPTH)
			return err_set(err, DRAY_ERR_LIMIT,
				       "indexes are nested deeper than %d (LIMIT_INDEX_DEPTH)",
				       LIMIT_INDEX_DEPTH);
		stack[depth++] = (struct frame){ .node = n };
	}
	return 0;
}

/* ---- platforms ---- */

static bool has_platform(const struct graph *g, const struct platform *p)
{
	for (size_t i = 0; i < g->n_order; i++) {
		const struct node *n = g->order[i];

		if (n->kind != NODE_IMAGE)
			continue;
		if (n->entry->has_platform
			    ? platform_match(p, &n->entry->platform)
			    : n->im->config && platform_match(p, &n->im->config->platform))
			return true;
	}
	return false;
}

static int require_platform(const struct graph *g, const struct platform *p, dray_error **err)
{
	cleanup_free char *text = NULL;

	if (has_platform(g, p))
		return 0;
	text = platform_text(p);
	if (!text)
		return err_nomem(err);
	return err_set(err, DRAY_ERR_NOT_FOUND, "%s has no image for %s%s%.*s", g->store->place,
		       text, g->n_holes ? "; the index names, but it does not have " : "",
		       (int)g->holes.len, g->holes.data ? (const char *)g->holes.data : "");
}

static int require_platforms(const struct graph *g, dray_error **err)
{
	if (!choosy(g))
		return 0;
	if (require_platform(g, &g->sel->platform, err) < 0)
		return -1;
	for (size_t i = 0; i < g->sel->n_more; i++)
		if (require_platform(g, &g->sel->more[i], err) < 0)
			return -1;
	return 0;
}

/* ---- the beginning ---- */

static int map_images(struct graph *g, dray_error **err)
{
	for (size_t i = 0; i < g->root->n; i++) {
		struct image *im = g->root->images[i];

		if (digest_set(&im->wanted) &&
		    map_put(&g->images, span_str(im->wanted.text), im, err) < 0)
			return -1;
	}
	return 0;
}

int graph_plan(struct graph *g, struct store *st, const struct root *root,
	       const struct selector *sel, dray_error **err)
{
	struct node *top;

	*g = (struct graph){
		.store = st,
		.root = root,
		.sel = sel,
		.holes = BUF_INIT(HOLES_TEXT_MAX),
	};
	if (map_images(g, err) < 0 || add_node(g, NULL, root->index.text, &top, err) < 0)
		return -1;
	top->kind = NODE_INDEX;
	if (store_index(st, &root->index, &top->index, err) < 0 || walk(g, top, err) < 0)
		return -1;
	return require_platforms(g, err);
}
