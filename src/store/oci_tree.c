/* SPDX-License-Identifier: Apache-2.0 */

/* index.json and the indexes below it, flattened to the manifests they lead to.
 * Relies on blob_read() for proof of every document.
 * Promises to finish: each index is read once, each digest met once per root, depth and visits bounded (M-12). */

#include "store/store_priv.h"

#include "base/limits.h"
#include "base/mem.h"

#define ANNOTATION_NAME "io.containerd.image.name"
#define ANNOTATION_REF "org.opencontainers.image.ref.name"

/* What is known about one digest. */
struct oci_node {
	struct manifest *index; /* when it is an index that was read */
	bool failed;		/* it is one that cannot be read; noted */
	uint64_t met_in;	/* id of the root that met it last */
};

/* One step of the walk. */
struct visit {
	const struct descriptor *desc;
	const struct digest *in; /* index it stands in */
	int depth;
};

struct walk {
	struct archive *a;
	struct oci_tree *t;
	struct visit *stack;
	size_t n, cap;
};

static int node_of(struct oci_tree *t, const struct digest *d, struct oci_node **ret,
		   dray_error **err)
{
	*ret = map_get(&t->nodes, span_str(d->text));
	if (*ret)
		return 0;
	*ret = arena_alloc(&t->arena, sizeof(**ret));
	if (!*ret)
		return err_nomem(err);
	return map_put(&t->nodes, span_str(d->text), *ret, err);
}

/* *err as a problem of the place, unless it is about us. */
static int note_problem(struct archive *a, const char *code, const struct digest *d,
			dray_error **err)
{
	if (!error_about_bytes(*err))
		return -1;
	cleanup_error dray_error *e = steal_pointer(err);

	return notes_add(&a->store.notes, true, code, d->text, dray_error_expected(e),
			 dray_error_actual(e), err, "index %s: %s", d->text, dray_error_message(e));
}

/*
 * Read the document behind @p d. A size that is off while the digest holds is told
 * and forgiven: nothing below an index rests on it.
 */
static int load_index(struct walk *w, const struct descriptor *d, struct manifest **ret,
		      const char **ret_code, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);

	if (blob_read(w->a, d, LIMIT_MANIFEST, &raw, ret_code, err) < 0) {
		if (strcmp(*ret_code, "blob-size-differs") != 0 ||
		    note_problem(w->a, *ret_code, &d->digest, err) < 0)
			return -1;
	}
	*ret_code = "index-bad-json";
	return manifest_parse(&raw, d->media_type, ret, err);
}

/* Fill @p node; an index that cannot be read is the place's problem, other entries are leaves. */
static int read_node(struct walk *w, const struct descriptor *d, struct oci_node *node,
		     dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	const char *code = NULL;

	if (load_index(w, d, &node->index, &code, &e) == 0)
		return 0;
	node->failed = true;
	if (!mediatype_is_index(d->media_type) && error_about_bytes(e))
		return 0;
	if (note_problem(w->a, code, &d->digest, &e) == 0)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int push(struct walk *w, struct visit v, dray_error **err)
{
	if (mem_grow(&w->stack, w->n, &w->cap, sizeof(*w->stack)) < 0)
		return err_nomem(err);
	w->stack[w->n++] = v;
	return 0;
}

static int add_leaf(struct oci_tree *t, const struct visit *v, const struct oci_root *root,
		    dray_error **err)
{
	if (mem_grow(&t->leaves, t->n_leaves, &t->cap_leaves, sizeof(*t->leaves)) < 0)
		return err_nomem(err);
	t->leaves[t->n_leaves++] = (struct oci_leaf){ v->desc, root, v->in };
	return 0;
}

/* Entries in reverse, so that they come off the stack in order. */
static int push_entries(struct walk *w, const struct manifest *index, const struct visit *v,
			dray_error **err)
{
	if (v->depth >= LIMIT_INDEX_DEPTH)
		return err_set(err, DRAY_ERR_LIMIT,
			       "indexes are nested deeper than %d (LIMIT_INDEX_DEPTH)",
			       LIMIT_INDEX_DEPTH);
	for (size_t i = index->n_entries; i-- > 0;) {
		struct visit next = { &index->entries[i], &v->desc->digest, v->depth + 1 };

		if (push(w, next, err) < 0)
			return -1;
	}
	return 0;
}

/* An entry without media type shows what it is only when it is read. */
static bool may_be_index(const struct descriptor *d)
{
	return !d->media_type || mediatype_is_index(d->media_type);
}

static int enter(struct walk *w, const struct visit *v, const struct oci_root *root,
		 dray_error **err)
{
	struct oci_node *node;

	if (node_of(w->t, &v->desc->digest, &node, err) < 0)
		return -1;
	if (node->met_in == root->id)
		return 0;
	node->met_in = root->id;
	if (++w->t->n_visited > LIMIT_INDEX_NODES)
		return err_set(err, DRAY_ERR_LIMIT,
			       "more than %d documents below index.json (LIMIT_INDEX_NODES)",
			       LIMIT_INDEX_NODES);
	if (!may_be_index(v->desc))
		return add_leaf(w->t, v, root, err);
	if (!node->index && !node->failed && read_node(w, v->desc, node, err) < 0)
		return -1;
	if (!node->index)
		return mediatype_is_index(v->desc->media_type) ? 0 : add_leaf(w->t, v, root, err);
	return node->index->kind == MANIFEST_INDEX ? push_entries(w, node->index, v, err)
						   : add_leaf(w->t, v, root, err);
}

static int walk_root(struct walk *w, const struct oci_root *root, dray_error **err)
{
	if (push(w, (struct visit){ root->desc, NULL, 0 }, err) < 0)
		return -1;
	while (w->n) {
		struct visit v = w->stack[--w->n];

		if (enter(w, &v, root, err) < 0)
			return -1;
	}
	return 0;
}

/* containerd stores whole names; users and docker know the familiar ones. */
const char *store_familiar(struct arena *a, const char *full)
{
	cleanup_reference struct reference r = { 0 };
	cleanup_error dray_error *odd = NULL;
	cleanup_free char *short_name = NULL;

	if (reference_parse(span_str(full), &r, &odd) < 0)
		return dray_error_kind(odd) == DRAY_ERR_NOMEM ? NULL : full;
	short_name = reference_familiar(&r);
	return short_name ? arena_strdup(a, short_name) : NULL;
}

/* containerd keeps the full name apart; ref.name alone is a tag or, from other writers, a name. */
int store_entry_name(const struct descriptor *d, struct arena *a, const char **ret,
		     const char **ret_ref, dray_error **err)
{
	const char *full;

	if (descriptor_annotation(d, ANNOTATION_NAME, a, &full, err) < 0 ||
	    descriptor_annotation(d, ANNOTATION_REF, a, ret_ref, err) < 0)
		return -1;
	*ret = full ? store_familiar(a, full) : *ret_ref;
	return full && !*ret ? err_nomem(err) : 0;
}

static int name_root(struct oci_tree *t, struct oci_root *root, const struct descriptor *d,
		     dray_error **err)
{
	const char *text, *ref;

	if (store_entry_name(d, &t->arena, &text, &ref, err) < 0)
		return -1;
	if (!text)
		return 0;
	struct oci_tag *tag = arena_alloc(&t->arena, sizeof(*tag));
	if (!tag)
		return err_nomem(err);
	tag->text = text;
	tag->ref_name = ref;
	if (root->last_tag)
		root->last_tag->next = tag;
	else
		root->tags = tag;
	root->last_tag = tag;
	return 0;
}

/* The root for an entry: the one that has its digest already, or a new one. */
static int root_of(struct oci_tree *t, struct map *by_digest, size_t entry, struct oci_root **ret,
		   dray_error **err)
{
	const struct descriptor *d = &t->index->entries[entry];

	*ret = map_get(by_digest, span_str(d->digest.text));
	if (*ret)
		return 0;
	*ret = &t->roots[t->n_roots++];
	(*ret)->desc = d;
	(*ret)->at = (int64_t)entry;
	(*ret)->id = t->n_roots;
	(*ret)->family = t->n_roots;
	return map_put(by_digest, span_str(d->digest.text), *ret, err);
}

/* Plain manifests side by side with one name (or none) and a platform each are an index in effect. */
static int join_families(struct oci_tree *t, dray_error **err)
{
	struct map by_tag = { 0 };
	int rc = 0;

	for (size_t i = 0; i < t->n_roots && rc == 0; i++) {
		struct oci_root *root = &t->roots[i];
		const char *tag = root->tags ? root->tags->text : "";

		if (!root->desc->has_platform || mediatype_is_index(root->desc->media_type))
			continue;
		const struct oci_root *first = map_get(&by_tag, span_str(tag));
		if (first)
			root->family = first->family;
		else
			rc = map_put(&by_tag, span_str(tag), root, err);
	}
	map_clear(&by_tag);
	return rc;
}

static int collect_roots(struct oci_tree *t, dray_error **err)
{
	const struct manifest *index = t->index;
	struct map by_digest = { 0 };
	struct oci_root *root;
	int rc = 0;

	t->roots = arena_array(&t->arena, index->n_entries ? index->n_entries : 1,
			       sizeof(*t->roots));
	if (!t->roots)
		return err_nomem(err);
	for (size_t i = 0; i < index->n_entries && rc == 0; i++) {
		rc = root_of(t, &by_digest, i, &root, err);
		if (rc == 0)
			rc = name_root(t, root, &index->entries[i], err);
	}
	map_clear(&by_digest);
	return rc < 0 ? -1 : join_families(t, err);
}

static int walk_roots(struct archive *a, struct oci_tree *t, dray_error **err)
{
	struct walk w = { .a = a, .t = t };
	int rc = 0;

	for (size_t i = 0; i < t->n_roots && rc == 0; i++)
		rc = walk_root(&w, &t->roots[i], err);
	mem_free(w.stack);
	return rc;
}

/* index.json says by its place what it is, so that even "{}" is an index: an empty one, *ret NULL. */
static int parse_index(struct buf *raw, struct manifest **ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;

	*ret = NULL;
	if (json_parse(span_buf(raw), &doc, err) < 0 ||
	    json_want(json_root(doc), JSON_OBJECT, false, "the document", err) < 0)
		return -1;
	struct json root = json_root(doc);
	bool typed = json_node(json_get_fold(root, "mediaType"));
	if (!json_node(json_get_fold(root, "manifests")) &&
	    !json_node(json_get_fold(root, "layers")))
		return 0;
	return manifest_parse(raw, typed ? NULL : MT_OCI_INDEX, ret, err);
}

static int read_root(struct archive *a, struct buf *ret, dray_error **err)
{
	if (a->store.kind == STORE_DIR)
		return flat_index(a, ret, err);
	if (a->index.len)
		return buf_add(ret, a->index, err);
	return members_document(a->members, "index.json", LIMIT_MANIFEST, ret, err);
}

int oci_tree_load(struct archive *a, struct oci_tree *ret, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);

	if (read_root(a, &raw, err) < 0 || parse_index(&raw, &ret->index, err) < 0)
		return a->store.kind == STORE_DIR ? -1 : err_ctx(err, "index.json");
	if (!ret->index)
		return 0;
	if (ret->index->kind != MANIFEST_INDEX)
		return err_set(err, DRAY_ERR_FORMAT, "index.json is no image index");
	return collect_roots(ret, err) < 0 || walk_roots(a, ret, err) < 0 ? -1 : 0;
}

void oci_tree_clear(struct oci_tree *t)
{
	for (size_t i = 0; i < t->nodes.len; i++) {
		struct oci_node *node = t->nodes.slots[i].value;

		manifest_free(node->index);
	}
	map_clear(&t->nodes);
	manifest_free(t->index);
	mem_free(t->leaves);
	arena_clear(&t->arena);
}
