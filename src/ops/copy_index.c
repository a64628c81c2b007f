/* SPDX-License-Identifier: Apache-2.0
 *
 * One index to one destination: the images below it first, then the indexes from the
 * bottom up. Relies on copy_graph.c for what comes along and on copy_image.c for each image.
 * Promises that an index whose entries all arrived unchanged keeps its bytes, that any other
 * is rewritten and says so, and that its tags come last.
 */
#include "ops/copy_graph.h"

#include "base/limits.h"
#include "base/mem.h"

#define REFERENCE_DIGEST "vnd.docker.reference.digest"
#define CHANGE_TEXT_MAX (16 * KIB)

struct index_copy {
	struct copy *c;
	struct graph graph;
	struct arena *arena; /* the result's */
	const char **changes;
	size_t n_changes, cap_changes;
	size_t n_converted, n_left; /* images with another digest; attestations left out */
	size_t n_manifests;
	struct manifest *final; /* the root as it is at the destination; NULL = unchanged */
	const char *const *tags;
	size_t n_tags;
};

static void index_copy_clear(struct index_copy *j)
{
	manifest_free(j->final);
	mem_free(j->changes);
	graph_clear(&j->graph);
}
#define cleanup_index_copy CLEANUP(index_copy_clear)

static int add_change(struct index_copy *j, const char *sentence, dray_error **err)
{
	for (size_t i = 0; i < j->n_changes; i++)
		if (strcmp(j->changes[i], sentence) == 0)
			return 0;
	if (mem_grow(&j->changes, j->n_changes, &j->cap_changes, sizeof(*j->changes)) < 0)
		return err_nomem(err);
	j->changes[j->n_changes++] = sentence;
	return 0;
}

/* ---- below the root ---- */

static int copy_leaf(struct index_copy *j, struct node *n, dray_error **err)
{
	struct dray_copied told;
	struct copy *c = j->c;

	bool before = c->below;

	c->below = true;
	int rc = copy_image(c, n->im, NULL, 0, j->arena, &told, err);
	c->below = before;
	if (rc < 0)
		return err_ctx(err, "%s", n->im->where);
	for (size_t i = 0; i < told.n_changes; i++)
		if (add_change(j, told.changes[i], err) < 0)
			return -1;
	j->n_manifests++;
	if (digest_eq(&c->put.digest, &n->entry->digest))
		return 0;
	j->n_converted++;
	n->change = (struct entry_change){ ENTRY_MOVED, c->put.digest, c->put.size,
					   c->put.media_type };
	return 0;
}

/* It speaks of an image by digest: where that one did not arrive as it was, it would lie. */
static int copy_attestation(struct index_copy *j, struct node *n, dray_error **err)
{
	struct arena scratch = { 0 };
	const char *text = NULL;
	const struct node *about = NULL;
	bool keep = j->c->wishes.holes == HOLES_KEEP;
	int rc = descriptor_annotation(n->entry, REFERENCE_DIGEST, &scratch, &text, err);

	if (rc == 0 && text)
		about = map_get(&j->graph.nodes, span_str(text));
	if (about && about->change.fate == ENTRY_KEPT &&
	    (about->kind == NODE_IMAGE || (keep && about->kind == NODE_HOLE)))
		about = NULL;
	if (rc == 0 && about) {
		n->change.fate = ENTRY_DROPPED;
		/* Nobody misses what speaks of an image that was not asked for. */
		j->n_left += about->kind == NODE_IMAGE;
	} else if (rc == 0) {
		rc = copy_leaf(j, n, err);
	}
	arena_clear(&scratch);
	return rc;
}

static enum entry_fate fate_of(const struct index_copy *j, const struct node *n)
{
	switch (n->kind) {
	case NODE_OTHER:
		return ENTRY_DROPPED;
	case NODE_HOLE:
		return j->c->wishes.holes == HOLES_KEEP ? ENTRY_KEPT : ENTRY_DROPPED;
	default:
		return n->change.fate;
	}
}

/* One change for each entry of @p index; whether any of them is one, and how many stay. */
static int collect(const struct index_copy *j, const struct manifest *index,
		   struct entry_change **ret, bool *ret_any, size_t *ret_stay, dray_error **err)
{
	struct entry_change *changes = mem_alloc_array(index->n_entries + 1, sizeof(*changes));

	if (!changes)
		return err_nomem(err);
	for (size_t i = 0; i < index->n_entries; i++) {
		const struct node *n = graph_node(&j->graph, &index->entries[i].digest);

		changes[i] = n->change;
		changes[i].fate = fate_of(j, n);
		*ret_any = *ret_any || changes[i].fate != ENTRY_KEPT;
		*ret_stay += changes[i].fate != ENTRY_DROPPED;
	}
	*ret = changes;
	return 0;
}

/* A list of Docker's holds no manifest that became OCI's. */
static bool turned_oci(const struct manifest *index, const struct entry_change *changes)
{
	for (size_t i = 0; i < index->n_entries; i++)
		if (changes[i].fate == ENTRY_MOVED && !mediatype_is_docker(changes[i].media_type))
			return true;
	return false;
}

/* @p changed: it will have another digest in any case. */
static const char *type_of(const struct index_copy *j, const struct manifest *index,
			   const struct entry_change *changes, bool changed)
{
	const struct copy *c = j->c;

	if (c->as_is ||
	    (!c->wishes.format_asked && !(c->oci_made && changed) && !turned_oci(index, changes)))
		return index->media_type;
	return c->wishes.format_asked && c->wishes.docker ? MT_DOCKER_LIST : MT_OCI_INDEX;
}

/* What of an index arrives: *ret NULL = itself. An index that lost all it had is dropped. */
static int remake(struct index_copy *j, struct node *n, struct manifest **ret, dray_error **err)
{
	cleanup_free struct entry_change *changes = NULL;
	const char *type;
	size_t stay = 0;
	bool any = false;

	*ret = NULL;
	if (collect(j, n->index, &changes, &any, &stay, err) < 0)
		return -1;
	if (any && stay == 0) {
		n->change.fate = ENTRY_DROPPED;
		return 0;
	}
	type = type_of(j, n->index, changes, any);
	if (!any && mediatype_equal(type, n->index->media_type))
		return 0;
	if (index_rewrite(n->index, type, changes, ret, err) < 0)
		return err_ctx(err, "index %s", n->index->digest.text);
	n->change = (struct entry_change){ ENTRY_MOVED, (*ret)->digest, (int64_t)(*ret)->raw.len,
					   (*ret)->media_type };
	return 0;
}

static int copy_nested(struct index_copy *j, struct node *n, dray_error **err)
{
	cleanup_manifest struct manifest *made = NULL;

	if (remake(j, n, &made, err) < 0)
		return -1;
	if (n->change.fate == ENTRY_DROPPED)
		return 0;
	j->n_manifests++;
	if (copy_put_manifest(j->c, made ? made : n->index, NULL, 0, err) < 0)
		return -1;
	return made ? 0 : copy_note_kept(j->c, &n->index->digest, err);
}

static int copy_below(struct index_copy *j, dray_error **err)
{
	const struct graph *g = &j->graph;

	for (size_t i = 0; i + 1 < g->n_order; i++) {
		struct node *n = g->order[i];
		int rc = n->kind == NODE_INDEX	       ? copy_nested(j, n, err)
			 : n->kind == NODE_ATTESTATION ? copy_attestation(j, n, err)
						       : copy_leaf(j, n, err);

		if (rc < 0)
			return -1;
	}
	return 0;
}

/* ---- the root ---- */

static int name_holes(const struct graph *g, struct buf *b, dray_error **err)
{
	if (buf_printf(b, err, "%zu not in %s (%.*s", g->n_holes, g->store->place,
		       (int)g->holes.len, (const char *)g->holes.data) < 0)
		return -1;
	return buf_add_str(b, g->n_holes > HOLES_NAMED_MAX ? ", ...)" : ")", err);
}

/* "index rewritten: 2 of 5 images copied; 1 not in oci:x (linux/arm64 sha256:...)" */
static int say_rewritten(struct index_copy *j, struct buf *b, dray_error **err)
{
	const struct graph *g = &j->graph;

	if (buf_printf(b, err, "index rewritten: %zu of %zu images copied", g->n_chosen,
		       g->n_images) < 0)
		return -1;
	if (g->n_holes > 0 && (buf_add_str(b, "; ", err) < 0 || name_holes(g, b, err) < 0))
		return -1;
	if (j->n_converted > 0 && buf_printf(b, err, "; %zu converted", j->n_converted) < 0)
		return -1;
	if (j->n_left > 0 && buf_printf(b, err, "; %zu attestation%s of converted images left out",
					j->n_left, j->n_left == 1 ? "" : "s") < 0)
		return -1;
	return 0;
}

static int say(struct index_copy *j, dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(CHANGE_TEXT_MAX);
	char *sentence;
	int rc = 0;

	if (j->final)
		rc = say_rewritten(j, &b, err);
	else if (j->graph.n_holes > 0 && (rc = buf_add_str(&b, "index kept, though ", err)) == 0)
		rc = name_holes(&j->graph, &b, err);
	if (rc < 0 || b.len == 0)
		return rc;
	sentence = arena_strndup(j->arena, (const char *)b.data, b.len);
	return sentence ? add_change(j, sentence, err) : err_nomem(err);
}

static int fill_result(struct index_copy *j, const struct manifest *m, struct dray_copied *ret,
		       dray_error **err)
{
	const char **changes = arena_array(j->arena, j->n_changes + 1, sizeof(*changes));

	if (!changes)
		return err_nomem(err);
	if (copy_tell(j->c, m, NULL, j->tags, j->n_tags, j->arena, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < j->n_changes; i++)
		changes[i] = j->changes[i];
	ret->changes = changes;
	ret->n_changes = j->n_changes;
	ret->n_manifests = j->n_manifests;
	return 0;
}

static int check_holes(const struct index_copy *j, dray_error **err)
{
	const struct graph *g = &j->graph;

	if (g->n_holes == 0)
		return 0;
	if (j->c->wishes.holes != HOLES_FAIL && g->n_chosen > 0)
		return 0;
	err_set(err, DRAY_ERR_NOT_FOUND, "index %s: %zu of %zu images are not in %s: %.*s",
		g->root->index.text, g->n_holes, g->n_images, g->store->place, (int)g->holes.len,
		(const char *)g->holes.data);
	return g->n_chosen ? err_hint(err, "--holes drop leaves them out, keep names them all the "
					   "same")
			   : -1;
}

static int copy_top(struct index_copy *j, struct dray_copied *ret, dray_error **err)
{
	struct node *top = j->graph.order[j->graph.n_order - 1];
	const struct manifest *m;

	if (remake(j, top, &j->final, err) < 0)
		return -1;
	if (top->change.fate == ENTRY_DROPPED)
		return err_set(err, DRAY_ERR_NOT_FOUND, "index %s: nothing of it is copied",
			       top->index->digest.text);
	m = j->final ? j->final : top->index;
	if (copy_put_root(j->c, m, j->tags, j->n_tags, err) < 0 || say(j, err) < 0 ||
	    (!j->final && copy_note_kept(j->c, &m->digest, err) < 0))
		return -1;
	return fill_result(j, m, ret, err);
}

/* ---- nothing to do ---- */

/* 1 = what the index lists is at the target, and noted; 0 = something is missing, -1. */
static int all_there(struct index_copy *j, dray_error **err)
{
	const struct graph *g = &j->graph;
	int there = 1;

	for (size_t i = 0; i + 1 < g->n_order && there > 0; i++) {
		const struct digest *d = &g->order[i]->entry->digest;
		struct digest unused;

		there = remote_head_manifest(j->c->target->remote, d->text, &unused, err);
		if (there > 0 && copy_note_kept(j->c, d, err) < 0)
			return -1;
	}
	return there;
}

/* 1 = the target has all of it under these tags already: told in *ret. */
static int is_there(struct index_copy *j, struct dray_copied *ret, dray_error **err)
{
	const struct graph *g = &j->graph;
	const struct node *top = g->order[g->n_order - 1];
	size_t noted = j->c->n_kept;
	int there = g->n_holes || g->n_chosen < g->n_images || j->c->edited
			    ? 0
			    : copy_is_tagged(j->c, &g->root->index, j->tags, j->n_tags, err);

	if (there > 0)
		there = all_there(j, err);
	if (there <= 0) {
		j->c->n_kept = noted;
		return there;
	}
	for (size_t i = 0; i + 1 < g->n_order; i++)
		if (g->order[i]->im)
			j->c->blobs_skipped += (int64_t)g->order[i]->im->n_layers;
	j->n_manifests = g->n_order - 1;
	if (copy_note_kept(j->c, &g->root->index, err) < 0 ||
	    fill_result(j, top->index, ret, err) < 0)
		return -1;
	return 1;
}

int copy_index(struct copy *c, const struct root *root, const struct selector *sel,
	       const char *const *tags, size_t n_tags, struct arena *result,
	       struct dray_copied *ret, dray_error **err)
{
	cleanup_index_copy struct index_copy j = {
		.c = c, .arena = result, .tags = tags, .n_tags = n_tags
	};

	int there;

	if (graph_plan(&j.graph, c->store, root, sel, err) < 0 || check_holes(&j, err) < 0)
		return -1;
	there = is_there(&j, ret, err);
	if (there != 0)
		return there < 0 ? -1 : 0;
	return copy_below(&j, err) < 0 ? -1 : copy_top(&j, ret, err);
}
