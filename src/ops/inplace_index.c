/* SPDX-License-Identifier: Apache-2.0
 *
 * index.json of an archive that is edited where it lies, and what it leads to.
 * Relies on image/index_rewrite and json/edit: what is not named keeps its bytes.
 * Promises that nothing it leads to names a config or a manifest that went.
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
#define REFERENCE_DIGEST "vnd.docker.reference.digest"

/* ---- what moves ---- */

static const struct inplace_moved *moved_from(const struct inplace *p, const struct digest *d)
{
	return map_get(&p->moved, span_str(d->text));
}

static int note_moved(struct inplace *p, const struct digest *from, const struct manifest *to,
		      const struct inplace_change *c, dray_error **err)
{
	struct inplace_moved *m = arena_alloc(&p->arena, sizeof(*m));
	const char *key = arena_strdup(&p->arena, from->text);
	const char *name = inplace_blob(p, &to->digest);

	if (!m || !key || !name)
		return err_nomem(err);
	*m = (struct inplace_moved){ .digest = to->digest,
				     .size = (int64_t)to->raw.len,
				     .media_type = arena_strdup(&p->arena, to->media_type),
				     .change = c };
	if (!m->media_type)
		return err_nomem(err);
	if (!digest_eq(from, &to->digest) &&
	    amend_put(&p->amend, name, span_buf(&to->raw), err) < 0)
		return -1;
	return map_put(&p->moved, span_str(key), m, err);
}

/* ---- manifests ---- */

/* manifest.json may name a file of its own; a manifest names the blob. */
static int put_config_blob(struct inplace *p, struct inplace_change *c, dray_error **err)
{
	const struct config *config = c->im->config;
	const char *name;

	if (!c->config_path)
		return 0;
	name = inplace_blob(p, &config->digest);
	if (!name)
		return err_nomem(err);
	if (strcmp(name, c->config_path) == 0)
		return 0;
	c->config_blob = true;
	return amend_put(&p->amend, name, span_buf(&config->raw), err);
}

/* A stored manifest that manifest.json outranks names the old config all the same. */
static int edit_stored(struct inplace *p, struct inplace_change *c, const struct manifest *m,
		       dray_error **err)
{
	cleanup_manifest struct manifest *next = NULL;

	if (put_config_blob(p, c, err) < 0 ||
	    edit_manifest_config(m, c->im->config, &next, err) < 0)
		return -1;
	return note_moved(p, &m->digest, next, c, err);
}

/* Images of an index within an index are not edited (check_depth): it is kept. */
static int look_at_entry(struct inplace *p, const struct descriptor *d, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;

	if (moved_from(p, &d->digest))
		return 0;
	if (inplace_read(p, d, &m, err) < 0)
		return -1;
	if (m && m->kind == MANIFEST_INDEX)
		return inplace_keep(p, d, 1, err);
	if (!m || m->kind != MANIFEST_IMAGE)
		return 0;
	for (size_t i = 0; i < p->n; i++) {
		struct inplace_change *c = &p->list[i];

		if (!c->config_path || !digest_eq(&m->config.digest, &c->old_config))
			continue;
		if (p->docker && !c->config_shared && !digest_set(&c->old_manifest))
			return edit_stored(p, c, m, err);
		c->config_shared = true;
	}
	return 0;
}

/* ---- an index below index.json ---- */

/* What speaks of an image by its digest, and would lie: it goes. */
static int speaks_of_moved(struct inplace *p, const struct descriptor *d, bool *ret,
			   dray_error **err)
{
	const struct inplace_moved *m;
	struct digest about;
	const char *text;

	*ret = false;
	if (!descriptor_is_attestation(d))
		return 0;
	if (descriptor_annotation(d, REFERENCE_DIGEST, &p->arena, &text, err) < 0)
		return -1;
	if (!text || digest_parse(span_str(text), &about, NULL) < 0)
		return 0;
	m = moved_from(p, &about);
	*ret = m && !digest_eq(&m->digest, &about);
	return 0;
}

static int entry_change_of(struct inplace *p, const struct descriptor *d, struct entry_change *ret,
			   bool *any, dray_error **err)
{
	const struct inplace_moved *m = moved_from(p, &d->digest);
	bool lies;

	*ret = (struct entry_change){ .fate = ENTRY_KEPT };
	if (speaks_of_moved(p, d, &lies, err) < 0)
		return -1;
	if (lies)
		ret->fate = ENTRY_DROPPED;
	else if (m && !digest_eq(&m->digest, &d->digest))
		*ret = (struct entry_change){ ENTRY_MOVED, m->digest, m->size, m->media_type };
	*any = *any || ret->fate != ENTRY_KEPT;
	return 0;
}

static int edit_index(struct inplace *p, const struct descriptor *d, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL, *next = NULL;
	struct entry_change *changes;
	bool any = false;

	if (inplace_read(p, d, &m, err) < 0)
		return -1;
	if (!m || m->kind != MANIFEST_INDEX)
		return 0;
	changes = arena_array(&p->arena, m->n_entries + 1, sizeof(*changes));
	if (!changes)
		return err_nomem(err);
	for (size_t i = 0; i < m->n_entries; i++)
		if (look_at_entry(p, &m->entries[i], err) < 0)
			return -1;
	for (size_t i = 0; i < m->n_entries; i++)
		if (entry_change_of(p, &m->entries[i], &changes[i], &any, err) < 0)
			return -1;
	if (!any)
		return 0;
	return index_rewrite(m, m->media_type, changes, &next, err) < 0
		       ? -1
		       : note_moved(p, &d->digest, next, NULL, err);
}

/* ---- index.json itself ---- */

/*
 * Is the image that an entry of index.json names edited, or one of its index? Its names are the
 * edit's. Of two entries with one digest both are.
 */
static bool is_edited_root(const struct inplace *p, const struct descriptor *d)
{
	const struct inplace_moved *m = moved_from(p, &d->digest);

	for (size_t i = 0; i < p->n; i++) {
		const struct inplace_change *c = &p->list[i];
		bool below = digest_set(&c->im->root);

		if (digest_eq(&d->digest, below ? &c->im->root : &c->old_manifest) ||
		    (p->docker && m && m->change == c))
			return true;
	}
	return false;
}

static int set_string(struct json_edit *e, struct json object, const char *key, const char *text,
		      dray_error **err)
{
	cleanup_buf struct buf quoted = BUF_INIT(LIMIT_PATH);

	return json_quote(&quoted, span_str(text), err) < 0
		       ? -1
		       : json_edit_set(e, object, key, span_buf(&quoted), err);
}

static int set_target(struct json_edit *e, struct json entry, const struct inplace_moved *m,
		      dray_error **err)
{
	cleanup_buf struct buf size = BUF_INIT(32);

	if (json_node(json_get(entry, "data"))) /* the old document, inline */
		json_edit_remove(e, json_get(entry, "data"));
	if (buf_printf(&size, err, "%lld", (long long)m->size) < 0 ||
	    json_edit_set(e, entry, "size", span_buf(&size), err) < 0)
		return -1;
	return set_string(e, entry, "digest", m->digest.text, err);
}

/* What an entry says of its name; @p full NULL = a lone word. */
struct entry_name {
	const char *ref, *full;
};

static int name_of(struct inplace *p, const char *tag, struct entry_name *ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_error dray_error *odd = NULL;
	cleanup_free char *full = NULL;

	*ret = (struct entry_name){ .ref = tag };
	if (!p->named || reference_parse(span_str(tag), &ref, &odd) < 0)
		return odd && dray_error_kind(odd) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
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
	    name_of(p, tag, &name, err) < 0 || (m && set_target(e, json_root(doc), m, err) < 0) ||
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

static int edit_entry(struct inplace *p, struct json_edit *e, struct json entry,
		      const struct descriptor *d, bool *named, dray_error **err)
{
	const struct inplace_moved *m = moved_from(p, &d->digest);
	bool lies;

	if (speaks_of_moved(p, d, &lies, err) < 0)
		return -1;
	if (lies) {
		json_edit_remove(e, entry);
		return 0;
	}
	if (!is_edited_root(p, d))
		return check_name(p, d, err);
	if (m && digest_eq(&m->digest, &d->digest))
		m = NULL;
	if (!p->o->tags)
		return m ? set_target(e, entry, m, err) : 0;
	if (*named || !p->o->n_tags) {
		json_edit_remove(e, entry);
		return 0;
	}
	*named = true;
	return rename_entry(p, e, entry, m, err);
}

/* What an entry leads to: edited, or kept as it is. */
static int edit_entry_below(struct inplace *p, const struct descriptor *d, dray_error **err)
{
	/* manifest.json outranks a stored manifest, which then goes with the image. */
	if (p->docker)
		return look_at_entry(p, d, err);
	if (!is_edited_root(p, d))
		return inplace_keep(p, d, 0, err);
	return moved_from(p, &d->digest) ? 0 : edit_index(p, d, err);
}

/* All that it leads to comes first: manifests, then the indexes around them. */
static int edit_below(struct inplace *p, const struct manifest *index, dray_error **err)
{
	for (size_t i = 0; i < p->n; i++) {
		struct inplace_change *c = &p->list[i];

		if (digest_set(&c->old_manifest) &&
		    (put_config_blob(p, c, err) < 0 ||
		     note_moved(p, &c->old_manifest, c->im->manifest, c, err) < 0))
			return -1;
	}
	for (size_t i = 0; i < index->n_entries; i++) {
		const struct descriptor *d = &index->entries[i];

		if (edit_entry_below(p, d, err) < 0)
			return err_ctx(err, "%s", d->digest.text);
	}
	return inplace_keep_below(p, err);
}

static int edit_text(struct inplace *p, const struct manifest *index, struct buf *ret,
		     dray_error **err)
{
	cleanup_json_edit struct json_edit *e = NULL;
	struct json entry = json_first(json_get_fold(json_root(index->doc), "manifests"));
	bool named = false;

	if (json_edit_new(index->doc, &e, err) < 0)
		return -1;
	for (size_t i = 0; i < index->n_entries && json_node(entry); i++) {
		if (edit_entry(p, e, entry, &index->entries[i], &named, err) < 0)
			return -1;
		entry = json_next(entry);
	}
	return json_edit_apply(e, ret, err);
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

int inplace_index(struct inplace *p, dray_error **err)
{
	const struct amend_member *m = amend_find(&p->amend, SPAN_LIT(INDEX));
	cleanup_buf struct buf old = BUF_INIT(0), text = BUF_INIT(LIMIT_MANIFEST);
	cleanup_manifest struct manifest *index = NULL;

	if (!m)
		return 0;
	if (amend_read(&p->amend, m, LIMIT_MANIFEST, &old, err) < 0 ||
	    parse_index(&old, &index, err) < 0 || edit_below(p, index, err) < 0 ||
	    edit_text(p, index, &text, err) < 0 || drop_old(p, err) < 0)
		return err_ctx(err, INDEX);
	if (span_eq(span_buf(&index->raw), span_buf(&text)))
		return 0;
	return amend_put_document(&p->amend, INDEX, span_buf(&text), err);
}
