/* SPDX-License-Identifier: Apache-2.0
 *
 * index.json of an archive that is edited where it lies.
 * Relies on inplace_below.c for what it leads to, on json/edit: what is not named keeps its bytes.
 * Promises that an entry which was not chosen stays, also where one that was has its digest.
 */
#include "ops/inplace.h"

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "image/reference.h"
#include "json/edit.h"

#define INDEX "index.json"
#define REF_NAME "org.opencontainers.image.ref.name"
#define IMAGE_NAME "io.containerd.image.name"

/* ---- index.json itself ---- */

/* Is it the entry that was asked for by name, or was none? */
static int is_chosen(struct inplace *p, const struct inplace_change *c, const struct descriptor *d,
		     bool *ret, dray_error **err)
{
	const char *name, *ref;

	*ret = !p->by_name;
	if (*ret)
		return 0;
	if (store_entry_name(d, &p->arena, &name, &ref, err) < 0)
		return -1;
	for (size_t i = 0; name && i < c->n_old_tags; i++)
		*ret = *ret || strcmp(c->old_tags[i], name) == 0;
	return 0;
}

/* What index.json names of it: an index that it is in, or its manifest. */
static const struct digest *root_of(const struct inplace_change *c)
{
	return digest_set(&c->im->root) ? &c->im->root : &c->old_manifest;
}

/* Is the image that an entry of index.json names edited, or one of its index? */
static int is_edited_root(struct inplace *p, const struct descriptor *d, bool *ret,
			  dray_error **err)
{
	const struct inplace_moved *m = inplace_moved_from(p, &d->digest);

	*ret = false;
	for (size_t i = 0; i < p->n && !*ret; i++) {
		const struct inplace_change *c = &p->list[i];

		if (p->docker && m && m->change == c)
			*ret = true;
		else if (digest_eq(&d->digest, root_of(c)) && is_chosen(p, c, d, ret, err) < 0)
			return -1;
	}
	return 0;
}

/* Its names are the edit's from then on. */
static int find_edited(struct inplace *p, const struct manifest *index, bool **ret,
		       dray_error **err)
{
	*ret = arena_array(&p->arena, index->n_entries + 1, sizeof(**ret));
	if (!*ret)
		return err_nomem(err);
	for (size_t i = 0; i < index->n_entries; i++)
		if (is_edited_root(p, &index->entries[i], &(*ret)[i], err) < 0)
			return -1;
	return 0;
}

static int set_string(struct json_edit *e, struct json object, const char *key, const char *text,
		      dray_error **err)
{
	cleanup_buf struct buf quoted = BUF_INIT(LIMIT_PATH);

	return json_quote(&quoted, span_str(text), err) < 0
		       ? -1
		       : json_edit_set(e, object, key, span_buf(&quoted), err);
}

static int set_target(const struct inplace *p, struct json_edit *e, struct json entry,
		      const struct inplace_moved *m, dray_error **err)
{
	const struct descriptor to = { .digest = m->digest, .size = m->size };

	return store_entry_move(e, entry, &to, edit_moves_platform(p->o), err);
}

/* What an entry says of its name; @p full NULL = a lone word. */
struct entry_name {
	const char *ref, *full;
};

/* For containerd, where the name is the very text that readers show; as a new layout does it. */
static int announce(struct inplace *p, const struct reference *ref, struct entry_name *ret,
		    dray_error **err)
{
	cleanup_free char *familiar = reference_familiar(ref), *full = reference_text(ref);

	if (!familiar || !full)
		return err_nomem(err);
	if (!ref->tag || digest_set(&ref->digest) || strcmp(familiar, ret->ref) != 0)
		return 0;
	ret->full = arena_strdup(&p->arena, full);
	return ret->full ? 0 : err_nomem(err);
}

static int name_of(struct inplace *p, const char *tag, struct entry_name *ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_error dray_error *odd = NULL;
	cleanup_free char *full = NULL;

	*ret = (struct entry_name){ .ref = tag };
	if (!p->named && !strpbrk(tag, "/:"))
		return 0;
	if (reference_parse(span_str(tag), &ref, &odd) < 0)
		return dray_error_kind(odd) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
	if (!p->named)
		return announce(p, &ref, ret, err);
	if (reference_default_tag(&ref, err) < 0)
		return -1;
	full = reference_text(&ref);
	ret->ref = ref.tag ? arena_strdup(&p->arena, ref.tag) : tag;
	ret->full = full ? arena_strdup(&p->arena, full) : NULL;
	return ret->ref && ret->full ? 0 : err_nomem(err);
}

static int add_annotations(struct json_edit *e, struct json entry, const struct entry_name *n,
			   dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_PATH);
	struct jsonw w;

	jsonw_init(&w, &text, err);
	jsonw_object(&w);
	if (n->full)
		jsonw_kstring(&w, IMAGE_NAME, n->full);
	jsonw_kstring(&w, REF_NAME, n->ref);
	jsonw_end_object(&w);
	return jsonw_finish(&w) < 0 ? -1
				    : json_edit_set(e, entry, "annotations", span_buf(&text), err);
}

static int set_names(struct json_edit *e, struct json entry, const struct entry_name *n,
		     dray_error **err)
{
	struct json a = json_get(entry, "annotations"), full = json_get(a, IMAGE_NAME);

	if (json_type(a) != JSON_OBJECT)
		return add_annotations(e, entry, n, err);
	if (!n->full && json_node(full))
		json_edit_remove(e, full);
	if (n->full && set_string(e, a, IMAGE_NAME, n->full, err) < 0)
		return -1;
	return set_string(e, a, REF_NAME, n->ref, err);
}

/* @p entry once more, under the name @p tag. */
static int write_named(struct inplace *p, struct json entry, const char *tag,
		       const struct inplace_moved *m, struct buf *ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	cleanup_json_edit struct json_edit *e = NULL;
	struct entry_name name;

	if (json_parse(json_raw(entry), &doc, err) < 0 || json_edit_new(doc, &e, err) < 0 ||
	    name_of(p, tag, &name, err) < 0 ||
	    (m && set_target(p, e, json_root(doc), m, err) < 0) ||
	    set_names(e, json_root(doc), &name, err) < 0)
		return -1;
	return json_edit_apply(e, ret, err);
}

static int rename_entry(struct inplace *p, struct json_edit *e, struct json entry,
			const struct inplace_moved *m, dray_error **err)
{
	cleanup_buf struct buf all = BUF_INIT(LIMIT_MANIFEST);

	for (size_t i = 0; i < p->o->n_tags; i++) {
		cleanup_buf struct buf one = BUF_INIT(LIMIT_MANIFEST);

		if ((i > 0 && buf_add_byte(&all, ',', err) < 0) ||
		    write_named(p, entry, p->o->tags[i], m, &one, err) < 0 ||
		    buf_add(&all, span_buf(&one), err) < 0)
			return -1;
	}
	return json_edit_replace(e, entry, span_buf(&all), err);
}

/* An entry that stays may not have a name that is given away. */
static int check_name(struct inplace *p, const struct descriptor *d, dray_error **err)
{
	const char *full, *ref;

	if (!p->o->tags)
		return 0;
	if (descriptor_annotation(d, IMAGE_NAME, &p->arena, &full, err) < 0 ||
	    descriptor_annotation(d, REF_NAME, &p->arena, &ref, err) < 0)
		return -1;
	for (size_t i = 0; i < p->o->n_tags; i++) {
		struct entry_name n;

		if (name_of(p, p->o->tags[i], &n, err) < 0)
			return -1;
		if (full && n.full ? strcmp(full, n.full) == 0
				   : ref && !full && strcmp(ref, n.ref) == 0)
			return err_set(err, DRAY_ERR_USAGE,
				       "another image of the archive has the tag %.128s",
				       p->o->tags[i]);
	}
	return 0;
}

/* index.json, and which of its entries are edited. */
struct listed {
	const struct manifest *index;
	const bool *edited;
	bool named; /* the new names are given */
};

/* Does an entry that stays lead to @p d still? */
static bool is_listed(const struct listed *l, const struct digest *d)
{
	for (size_t i = 0; i < l->index->n_entries; i++)
		if (!l->edited[i] && digest_eq(&l->index->entries[i].digest, d))
			return true;
	return false;
}

/* What speaks of an image that went goes with it; of two with its digest one may be there still. */
static int is_dropped(struct inplace *p, const struct listed *l, const struct descriptor *d,
		      bool *ret, dray_error **err)
{
	struct digest about;

	if (inplace_speaks_of(p, d, &about, err) < 0)
		return -1;
	*ret = inplace_went(p, &about) && !is_listed(l, &about);
	return 0;
}

static int edit_entry(struct inplace *p, struct json_edit *e, struct json entry, struct listed *l,
		      size_t i, dray_error **err)
{
	const struct descriptor *d = &l->index->entries[i];
	const struct inplace_moved *m = inplace_moved_from(p, &d->digest);
	bool dropped;

	if (is_dropped(p, l, d, &dropped, err) < 0)
		return -1;
	if (dropped) {
		json_edit_remove(e, entry);
		return 0;
	}
	if (!l->edited[i])
		return check_name(p, d, err);
	if (m && digest_eq(&m->digest, &d->digest))
		m = NULL;
	if (!p->o->tags)
		return m ? set_target(p, e, entry, m, err) : 0;
	if (l->named || !p->o->n_tags) {
		json_edit_remove(e, entry);
		return 0;
	}
	l->named = true;
	return rename_entry(p, e, entry, m, err);
}

/* What an entry leads to: edited, or kept as it is. */
static int edit_entry_below(struct inplace *p, const struct descriptor *d, bool edited,
			    dray_error **err)
{
	/* manifest.json outranks a stored manifest, which then goes with the image. */
	if (p->docker)
		return inplace_look_at(p, d, err);
	return edited ? inplace_edit_below(p, d, err) : inplace_keep(p, d, 0, err);
}

/* All that it leads to comes first. */
static int edit_all_below(struct inplace *p, const struct manifest *index, const bool *edited,
			  dray_error **err)
{
	for (size_t i = 0; i < index->n_entries; i++) {
		const struct descriptor *d = &index->entries[i];

		if (edit_entry_below(p, d, edited && edited[i], err) < 0)
			return err_ctx(err, "%s", d->digest.text);
	}
	return inplace_keep_below(p, err);
}

static int edit_text(struct inplace *p, struct listed *l, struct buf *ret, dray_error **err)
{
	cleanup_json_edit struct json_edit *e = NULL;
	struct json entry = json_first(json_get_fold(json_root(l->index->doc), "manifests"));

	if (json_edit_new(l->index->doc, &e, err) < 0)
		return -1;
	for (size_t i = 0; i < l->index->n_entries && json_node(entry); i++) {
		if (edit_entry(p, e, entry, l, i, err) < 0)
			return -1;
		entry = json_next(entry);
	}
	return json_edit_apply(e, ret, err);
}

static int edit_listed(struct inplace *p, const struct manifest *index, struct buf *ret,
		       dray_error **err)
{
	struct listed l = { .index = index };
	bool *edited;

	if (inplace_move_images(p, err) < 0)
		return -1;
	/* In archives for docker load what moved is known only when all below was looked at. */
	if (p->docker && edit_all_below(p, index, NULL, err) < 0)
		return -1;
	if (find_edited(p, index, &edited, err) < 0 ||
	    (!p->docker && edit_all_below(p, index, edited, err) < 0))
		return -1;
	l.edited = edited;
	return edit_text(p, &l, ret, err);
}

/* What had another name is nobody's now, unless it is somebody's new one. */
static int drop_old(struct inplace *p, dray_error **err)
{
	for (size_t i = 0; i < p->moved.len; i++) {
		const struct map_slot *slot = &p->moved.slots[i];
		struct digest old;
		const char *name;
		bool wanted;

		if (digest_parse(slot->key, &old, err) < 0)
			return -1;
		wanted = inplace_is_kept(p, &old);
		for (size_t k = 0; k < p->moved.len; k++) {
			const struct inplace_moved *m = p->moved.slots[k].value;

			wanted = wanted || digest_eq(&m->digest, &old);
		}
		name = inplace_blob(p, &old);
		if (!name)
			return err_nomem(err);
		if (!wanted)
			amend_drop(&p->amend, span_str(name));
	}
	return 0;
}

static int parse_index(struct buf *raw, struct manifest **ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	bool typed;

	if (json_parse(span_buf(raw), &doc, err) < 0)
		return -1;
	typed = json_node(json_get_fold(json_root(doc), "mediaType"));
	return manifest_parse(raw, typed ? NULL : MT_OCI_INDEX, ret, err);
}

/* *ret stays NULL where there is none. */
static int read_index(struct inplace *p, struct manifest **ret, dray_error **err)
{
	const struct amend_member *m = amend_find(&p->amend, SPAN_LIT(INDEX));
	cleanup_buf struct buf old = BUF_INIT(0);

	if (!m)
		return 0;
	return amend_read(&p->amend, m, LIMIT_MANIFEST, &old, err) < 0
		       ? -1
		       : parse_index(&old, ret, err);
}

/* ---- what was not chosen, as manifest.json needs to know it ---- */

static int add_other(struct inplace *p, const struct descriptor *d, dray_error **err)
{
	const char *name, *ref;

	for (size_t i = 0; i < p->n; i++) {
		struct inplace_change *c = &p->list[i];

		if (digest_eq(&d->digest, root_of(c)))
			c->has_others = true;
	}
	if (store_entry_name(d, &p->arena, &name, &ref, err) < 0)
		return -1;
	if (name)
		p->others[p->n_others++] = name;
	return 0;
}

static int find_others(struct inplace *p, const struct manifest *index, dray_error **err)
{
	bool *edited;

	p->others = arena_array(&p->arena, index->n_entries + 1, sizeof(*p->others));
	if (!p->others)
		return err_nomem(err);
	if (find_edited(p, index, &edited, err) < 0)
		return -1;
	for (size_t i = 0; i < index->n_entries; i++)
		if (!edited[i] && add_other(p, &index->entries[i], err) < 0)
			return -1;
	return 0;
}

int inplace_find_others(struct inplace *p, dray_error **err)
{
	cleanup_manifest struct manifest *index = NULL;

	if (read_index(p, &index, err) < 0 || (index && find_others(p, index, err) < 0))
		return err_ctx(err, INDEX);
	return 0;
}

/* ---- all of it ---- */

int inplace_index(struct inplace *p, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	cleanup_manifest struct manifest *index = NULL;

	if (read_index(p, &index, err) < 0)
		return err_ctx(err, INDEX);
	if (!index)
		return 0;
	if (edit_listed(p, index, &text, err) < 0 || drop_old(p, err) < 0)
		return err_ctx(err, INDEX);
	if (span_eq(span_buf(&index->raw), span_buf(&text)))
		return 0;
	return amend_put_document(&p->amend, INDEX, span_buf(&text), err);
}
