/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      the images of one reference in a registry, as a store.
 * Relies:   on remote.h for documents that were verified, on store/assemble.h to make images of them.
 * Promises: only what was chosen is fetched; each index is met once, depth and count bounded (M-12).
 */
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "remote/referrers.h"
#include "store/assemble.h"

struct registry {
	struct store store;
	struct remote *remote;
	struct reference ref;
	char *tag; /* "HOST/NAME:TAG"; NULL when asked for by digest */
	/* Indexes met by images(), owned: registries count what is asked twice. */
	struct manifest **indexes;
	size_t n_indexes, cap_indexes;
};

/* One manifest that the reference leads to. */
struct leaf {
	const struct descriptor *desc; /* NULL: the root itself */
	const struct digest *index;    /* that lists it */
	const struct digest *root;     /* the outermost index around it */
};

struct walk {
	struct registry *reg;
	struct digest root;
	struct visit {
		const struct descriptor *desc;
		const struct digest *in;
		int depth;
	} * stack;
	size_t n_stack, cap_stack;
	struct leaf *leaves;
	size_t n_leaves, cap_leaves;
	struct map seen;
	int visited;
};

static void drop_indexes(struct registry *reg)
{
	for (size_t i = 0; i < reg->n_indexes; i++)
		manifest_free(reg->indexes[i]);
	mem_free(reg->indexes);
	reg->indexes = NULL;
	reg->n_indexes = reg->cap_indexes = 0;
}

static void walk_clear(struct walk *w)
{
	mem_free(w->stack);
	mem_free(w->leaves);
	map_clear(&w->seen);
}

/* ---- from an index to its leaves ---- */

/* Takes @p m over. */
static int push_index(struct walk *w, struct manifest *m, int depth, dray_error **err)
{
	struct registry *reg = w->reg;

	if (mem_grow(&reg->indexes, reg->n_indexes, &reg->cap_indexes, sizeof(*reg->indexes)) < 0) {
		manifest_free(m);
		return err_nomem(err);
	}
	reg->indexes[reg->n_indexes++] = m;
	if (depth > LIMIT_INDEX_DEPTH)
		return err_set(err, DRAY_ERR_LIMIT,
			       "indexes are nested deeper than %d (LIMIT_INDEX_DEPTH)",
			       LIMIT_INDEX_DEPTH);
	for (size_t i = m->n_entries; i-- > 0;) {
		if (mem_grow(&w->stack, w->n_stack, &w->cap_stack, sizeof(*w->stack)) < 0)
			return err_nomem(err);
		w->stack[w->n_stack++] = (struct visit){ &m->entries[i], &m->digest, depth };
	}
	return 0;
}

static int add_leaf(struct walk *w, const struct visit *v, dray_error **err)
{
	if (mem_grow(&w->leaves, w->n_leaves, &w->cap_leaves, sizeof(*w->leaves)) < 0)
		return err_nomem(err);
	w->leaves[w->n_leaves++] = (struct leaf){ v->desc, v->in, &w->root };
	return 0;
}

/* 0 with *ret, or with *ret_hole: the registry lists it somewhere, but does not have it. */
static int get_or_miss(struct registry *reg, const struct digest *d, struct manifest **ret,
		       dray_error **ret_hole, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	*ret = NULL;
	if (remote_get_manifest(reg->remote, d->text, ret, &e) == 0)
		return 0;
	if (dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
		*ret_hole = steal_pointer(&e);
	else if (err)
		*err = steal_pointer(&e);
	return *ret_hole ? 0 : -1;
}

static int note_hole(struct walk *w, const struct digest *d, dray_error **hole, dray_error **err)
{
	return notes_add(&w->reg->store.notes, true, "blob-missing", d->text, NULL, NULL, err,
			 "an index lists it, and it is not there: %s", dray_error_message(*hole));
}

static int visit(struct walk *w, const struct visit *v, dray_error **err)
{
	struct span key = span_str(v->desc->digest.text);
	cleanup_error dray_error *hole = NULL;
	struct manifest *m = NULL;

	if (map_find(&w->seen, key))
		return 0;
	if (map_put(&w->seen, key, w, err) < 0)
		return -1;
	if (++w->visited > LIMIT_INDEX_NODES)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d documents (LIMIT_INDEX_NODES)",
			       LIMIT_INDEX_NODES);
	if (!v->desc->media_type || !mediatype_is_index(v->desc->media_type))
		return add_leaf(w, v, err);
	if (get_or_miss(w->reg, &v->desc->digest, &m, &hole, err) < 0)
		return -1;
	if (hole)
		return note_hole(w, &v->desc->digest, &hole, err);
	if (m->kind == MANIFEST_INDEX)
		return push_index(w, m, v->depth + 1, err);
	manifest_free(m);
	return err_set(err, DRAY_ERR_FORMAT, "%s is no index, as the index that lists it says",
		       v->desc->digest.text);
}

static int walk_index(struct walk *w, struct manifest *root, dray_error **err)
{
	w->root = root->digest;
	if (push_index(w, root, 0, err) < 0)
		return -1;
	while (w->n_stack) {
		struct visit v = w->stack[--w->n_stack];

		if (visit(w, &v, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- which of them to fetch ---- */

static bool everything(const struct selector *sel)
{
	if (sel->whole && sel->platform.os && !sel->all_platforms)
		return false;
	return sel->whole || sel->all_platforms || (sel->all && !sel->platform.os) ||
	       selector_by_digest(sel);
}

/* Entries that name another platform need not be fetched to be passed over. */
static void drop_others(struct walk *w, const struct selector *sel)
{
	size_t n = 0, images = 0;

	if (everything(sel))
		return;
	for (size_t i = 0; i < w->n_leaves; i++)
		images += !descriptor_is_attestation(w->leaves[i].desc);
	for (size_t i = 0; i < w->n_leaves; i++) {
		const struct descriptor *d = w->leaves[i].desc;
		bool only = images == 1 && !sel->platform.os;

		if (descriptor_is_attestation(d)
			    ? !sel->whole
			    : !only && d->has_platform && !selector_wants(sel, &d->platform))
			continue;
		w->leaves[n++] = w->leaves[i];
	}
	w->n_leaves = n;
}

static int add_platform(struct buf *b, const struct descriptor *d, dray_error **err)
{
	cleanup_free char *text = NULL;

	if (!d->has_platform || descriptor_is_attestation(d))
		return 0;
	text = platform_text(&d->platform);
	if (!text)
		return err_nomem(err);
	return buf_printf(b, err, "%s%s", b->len ? ", " : "", text);
}

static int none_fits(const struct walk *w, const struct selector *sel, dray_error **err)
{
	struct platform want = sel->platform;
	cleanup_buf struct buf have = BUF_INIT(LIMIT_PATH);
	cleanup_free char *text = NULL;

	if (!want.os)
		platform_host(&want);
	text = platform_text(&want);
	for (size_t i = 0; i < w->reg->n_indexes; i++) {
		const struct manifest *index = w->reg->indexes[i];

		for (size_t k = 0; k < index->n_entries && k < 40; k++) {
			if (add_platform(&have, &index->entries[k], NULL) < 0)
				return err_nomem(err);
		}
	}
	err_set(err, DRAY_ERR_NOT_FOUND, "%s has no image for %s; it has: %.*s",
		w->reg->store.place, text ? text : "this platform", (int)have.len,
		have.data ? (const char *)have.data : "");
	return err_hint(err, "choose one with --platform");
}

/* ---- images ---- */

static const char *code_of(const dray_error *e)
{
	switch (dray_error_kind(e)) {
	case DRAY_ERR_NOT_FOUND:
		return "blob-missing";
	case DRAY_ERR_CORRUPT:
		return "blob-digest-differs";
	case DRAY_ERR_UNSUPPORTED:
		return "blob-unsupported";
	default:
		return "config-bad-json";
	}
}

/* A config that cannot be had or is not what its digest says breaks its image, not the listing. */
static int with_config(struct registry *reg, struct manifest *m, const char *where,
		       struct image **ret, dray_error **err)
{
	struct descriptor desc = m->config;
	struct buf config = BUF_INIT(LIMIT_CONFIG);
	dray_error *why = NULL;
	bool here = remote_get_blob(reg->remote, &desc, LIMIT_CONFIG, &config, &why) == 0;
	int rc = image_from_manifest(m, here ? &config : NULL, where, ret, err);

	buf_clear(&config);
	if (rc < 0 || here) {
		dray_error_free(why);
		return rc;
	}
	if (image_trouble(*ret, code_of(why), desc.digest.text, &why) == 0)
		return 0;
	if (err)
		*err = why;
	else
		dray_error_free(why);
	return -1;
}

/* Takes @p m over. */
static int make_image(struct registry *reg, struct manifest *m, struct image **ret,
		      dray_error **err)
{
	cleanup_manifest struct manifest *own = m;
	cleanup_free char *where = mem_printf("%s@%s", remote_name(reg->remote), m->digest.text);

	if (!where)
		return err_nomem(err);
	if (m->kind == MANIFEST_SCHEMA1)
		return remote_schema1_image(reg->remote, steal_pointer(&own), where, ret, err);
	if (m->kind != MANIFEST_IMAGE)
		return err_set(err, DRAY_ERR_FORMAT, "%s is no image", where);
	return with_config(reg, steal_pointer(&own), where, ret, err);
}

static int make_hole(struct registry *reg, const struct leaf *leaf, const dray_error *why,
		     struct image **ret, dray_error **err)
{
	cleanup_free char *where = mem_printf("%s@%s", remote_name(reg->remote),
					      leaf->desc->digest.text);

	if (!where)
		return err_nomem(err);
	if (image_new(where, ret, err) < 0)
		return -1;
	(*ret)->broken = true;
	return notes_add(&(*ret)->notes, true, "blob-missing", leaf->desc->digest.text, NULL, NULL,
			 err, "%s", dray_error_message(why));
}

/* Takes @p m over; NULL = the leaf is a hole, and why. */
static int add_image(struct registry *reg, struct manifest *m, const struct leaf *leaf,
		     const dray_error *hole, const char *tag, struct image_list *out,
		     dray_error **err)
{
	cleanup_image struct image *im = NULL;

	if ((m ? make_image(reg, m, &im, err) : make_hole(reg, leaf, hole, &im, err)) < 0 ||
	    (tag && image_add_tag(im, tag, NULL, err) < 0))
		return -1;
	im->wanted = leaf->desc ? leaf->desc->digest : im->manifest->digest;
	if (leaf->desc) {
		im->family = 1;
		im->attestation = descriptor_is_attestation(leaf->desc);
		im->index_digest = *leaf->index;
		im->root = *leaf->root;
		if (image_set_index_platform(im, leaf->desc, err) < 0)
			return -1;
	}
	return image_list_add(out, steal_pointer(&im), err);
}

static int from_index(struct registry *reg, struct manifest *index, const struct selector *sel,
		      const char *tag, struct image_list *out, dray_error **err)
{
	struct walk w = { .reg = reg };
	int rc = walk_index(&w, index, err);

	if (rc == 0) {
		drop_others(&w, sel);
		rc = w.n_leaves ? 0 : none_fits(&w, sel, err);
	}
	for (size_t i = 0; i < w.n_leaves && rc == 0; i++) {
		cleanup_error dray_error *hole = NULL;
		struct manifest *m;

		rc = get_or_miss(reg, &w.leaves[i].desc->digest, &m, &hole, err);
		if (rc == 0)
			rc = add_image(reg, m, &w.leaves[i], hole, tag, out, err);
	}
	walk_clear(&w);
	return rc;
}

static int images(struct store *st, const struct selector *sel, struct image ***ret, size_t *ret_n,
		  dray_error **err)
{
	struct registry *reg = (struct registry *)st;
	cleanup_image_list struct image_list list = { 0 };
	struct manifest *m = NULL;
	const char *name = digest_set(&reg->ref.digest) ? reg->ref.digest.text : reg->ref.tag;
	int rc;

	drop_indexes(reg);
	st->notes.n = 0; /* listing again tells nothing twice */
	if (remote_get_manifest(reg->remote, name ? name : "latest", &m, err) < 0)
		return -1;
	if (m->kind == MANIFEST_INDEX)
		rc = from_index(reg, m, sel, reg->tag, &list, err);
	else
		rc = add_image(reg, m, &(struct leaf){ 0 }, NULL, reg->tag, &list, err);
	if (rc < 0 || image_list_select(&list, sel, st->place, err) < 0)
		return -1;
	*ret = steal_pointer(&list.list);
	*ret_n = list.n;
	list = (struct image_list){ 0 };
	return 0;
}

/* ---- referrers ---- */

/* One more, under its cosign tag or none. Takes @p m over. */
static int add_referrer(struct registry *reg, struct manifest *m, const char *tag,
			struct image_list *out, dray_error **err)
{
	static const struct selector all = { .all = true, .all_platforms = true, .whole = true };

	if (m->kind == MANIFEST_INDEX)
		return from_index(reg, m, &all, tag, out, err);
	return add_image(reg, m, &(struct leaf){ 0 }, NULL, tag, out, err);
}

static int listed_referrers(struct registry *reg, const struct digest *subject,
			    struct image_list *out, dray_error **err)
{
	struct remote_referrers l;
	int rc = remote_referrers(reg->remote, subject, &l, err);

	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		cleanup_error dray_error *hole = NULL;
		struct manifest *m;

		rc = get_or_miss(reg, &l.list[i], &m, &hole, err);
		if (rc < 0 || !m)
			continue; /* listed, and deleted since */
		if (digest_eq(&m->subject.digest, subject))
			rc = add_referrer(reg, m, NULL, out, err);
		else
			manifest_free(m); /* a list is a claim */
	}
	remote_referrers_clear(&l);
	return rc;
}

static int cosign_referrers(struct registry *reg, const struct digest *subject,
			    struct image_list *out, dray_error **err)
{
	static const char *const kinds[] = { "sig", "att", "sbom" };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(kinds); i++) {
		cleanup_free char *tag = cosign_tag(subject, kinds[i]);
		cleanup_error dray_error *e = NULL;
		struct manifest *m;

		if (!tag)
			return err_nomem(err);
		if (remote_get_manifest(reg->remote, tag, &m, &e) == 0)
			rc = add_referrer(reg, m, tag, out, err);
		else if (dray_error_kind(e) != DRAY_ERR_NOT_FOUND)
			rc = -1;
		if (rc < 0 && e && err)
			*err = steal_pointer(&e);
	}
	return rc;
}

static int referrers(struct store *st, const struct digest *subject, struct image ***ret,
		     size_t *ret_n, dray_error **err)
{
	struct registry *reg = (struct registry *)st;
	cleanup_image_list struct image_list list = { 0 };

	if (listed_referrers(reg, subject, &list, err) < 0 ||
	    cosign_referrers(reg, subject, &list, err) < 0)
		return -1;
	*ret = steal_pointer(&list.list);
	*ret_n = list.n;
	list = (struct image_list){ 0 };
	return 0;
}

static struct source *open_layer(struct store *st, const struct image *im, size_t i,
				 dray_error **err)
{
	return remote_open_blob(((struct registry *)st)->remote, &im->layers[i].blob, err);
}

/* As met by images(), else asked for. */
static int index_of(struct store *st, const struct digest *d, struct manifest **ret,
		    dray_error **err)
{
	const struct registry *reg = (const struct registry *)st;

	for (size_t i = 0; i < reg->n_indexes; i++) {
		const struct manifest *known = reg->indexes[i];
		cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);

		if (!digest_eq(&known->digest, d))
			continue;
		if (buf_add(&raw, span_buf(&known->raw), err) < 0)
			return -1;
		return manifest_parse(&raw, known->media_type, ret, err);
	}
	return remote_get_manifest(reg->remote, d->text, ret, err);
}

static struct source *open_layer_at(struct store *st, const struct image *im, size_t i, int64_t off,
				    dray_error **err)
{
	return remote_open_blob_at(((struct registry *)st)->remote, &im->layers[i].blob, off, err);
}

static void free_store(struct store *st)
{
	struct registry *reg = (struct registry *)st;

	drop_indexes(reg);
	remote_free(reg->remote);
	reference_clear(&reg->ref);
	mem_free(reg->tag);
	mem_free(st->place);
	notes_clear(&st->notes);
	arena_clear(&st->arena);
	mem_free(reg);
}

static const struct store_ops ops = {
	.images = images,
	.open_layer = open_layer,
	.index = index_of,
	.referrers = referrers,
	.open_layer_at = open_layer_at,
	.free = free_store,
};

static int init(struct registry *reg, const struct reference *ref, dray_error **err)
{
	reg->store.ops = &ops;
	reg->store.kind = STORE_REGISTRY;
	reg->store.notes.arena = &reg->store.arena;
	if (reference_copy(ref, &reg->ref, err) < 0)
		return -1;
	reg->store.place = reference_text(ref);
	if (!reg->store.place)
		return err_nomem(err);
	if (digest_set(&ref->digest))
		return 0;
	reg->tag = mem_printf("%s:%s", remote_name(reg->remote), ref->tag ? ref->tag : "latest");
	return reg->tag ? 0 : err_nomem(err);
}

struct store *remote_store(struct remote *r, const struct reference *ref, dray_error **err)
{
	struct registry *reg = mem_zalloc(sizeof(*reg));

	if (!reg) {
		remote_free(r);
		err_nomem(err);
		return NULL;
	}
	reg->remote = r;
	if (init(reg, ref, err) == 0)
		return &reg->store;
	free_store(&reg->store);
	return NULL;
}
