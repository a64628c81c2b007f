/* SPDX-License-Identifier: Apache-2.0
 *
 * index.json of a layout that images are added to.
 * Relies on json/ for the place of every value: the old text is cut and joined, never rewritten.
 * Promises that what others put into an index survives byte for byte.
 */
#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "image/reference.h"
#include "json/edit.h"
#include "store/dest_priv.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define IMAGE_NAME "io.containerd.image.name"

static int add_children(struct dest_index *x, const struct manifest *m, dray_error **err)
{
	for (size_t i = 0; m->kind == MANIFEST_INDEX && i < m->n_entries; i++) {
		const char *key = arena_strdup(&x->arena, m->entries[i].digest.text);

		if (!key)
			return err_nomem(err);
		if (map_put(&x->children, span_str(key), x, err) < 0)
			return -1;
	}
	return 0;
}

/* Let the maps know the entry that comes next. */
static int note_entry(struct dest_index *x, const struct dest_entry *e, dray_error **err)
{
	struct dest_seen *seen = map_get(&x->by_digest, span_str(e->digest.text));

	if (!seen) {
		const char *key = arena_strdup(&x->arena, e->digest.text);

		seen = arena_alloc(&x->arena, sizeof(*seen));
		if (!key || !seen)
			return err_nomem(err);
		if (map_put(&x->by_digest, span_str(key), seen, err) < 0)
			return -1;
	}
	if (!e->tag) {
		seen->last_untagged = x->n + 1;
		return 0;
	}
	seen->tagged = true;
	return map_put(&x->by_tag, span_str(dest_entry_key(e)), (void *)(uintptr_t)(x->n + 1), err);
}

/* The last entry of @tag, counted from 1; 0 = none. */
static size_t last_of_tag(const struct dest_index *x, const char *tag)
{
	return (size_t)(uintptr_t)map_get(&x->by_tag, span_str(tag));
}

/* In @p a; frees @p text. */
static const char *keep(struct arena *a, char *text)
{
	const char *kept = text ? arena_strdup(a, text) : NULL;

	mem_free(text);
	return kept;
}

/*
 * Where a tag is a ref.name as it is: an engine on containerd's store would take "NAME:TAG" for one
 * of its own names, which begin with a registry, and never find it again. Docker 29 lists such an
 * image twice and knows it not.
 */
static int announce(struct dest_index *x, const struct reference *ref, struct dest_entry *e,
		    dray_error **err)
{
	cleanup_free char *familiar = reference_familiar(ref);

	if (!familiar)
		return err_nomem(err);
	/* Readers show the announced name: it has to be the same text. */
	if (!ref->tag || strcmp(familiar, e->tag) != 0)
		return 0;
	e->announced = keep(&x->arena, reference_text(ref));
	return e->announced ? 0 : err_nomem(err);
}

/* "NAME:TAG" and "HOST/NAME" are names of images; a lone word is only a word. */
static int set_name(struct dest_index *x, const char *text, struct dest_entry *e, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_error dray_error *odd = NULL;

	e->tag = arena_strdup(&x->arena, text);
	if (!e->tag)
		return err_nomem(err);
	if (!strpbrk(text, "/:"))
		return 0;
	if (reference_parse(span_str(text), &ref, &odd) < 0)
		return dray_error_kind(odd) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
	if (digest_set(&ref.digest))
		return 0;
	if (!x->named)
		return announce(x, &ref, e, err);
	if (reference_default_tag(&ref, err) < 0)
		return -1;
	e->tag = arena_strdup(&x->arena, ref.tag);
	e->full = keep(&x->arena, reference_text(&ref));
	e->familiar = keep(&x->arena, reference_familiar(&ref));
	e->announced = e->full;
	return e->tag && e->full && e->familiar ? 0 : err_nomem(err);
}

int dest_index_add(struct dest_index *x, const struct manifest *m, const char *tag,
		   dray_error **err)
{
	struct dest_entry e = { .digest = m->digest,
				.size = (int64_t)m->raw.len,
				.origin = x->origin };

	e.media_type = arena_strdup(&x->arena, m->media_type ? m->media_type : MT_OCI_MANIFEST);
	if (!e.media_type)
		return err_nomem(err);
	if (manifest_is_artifact(m) && m->artifact_type) {
		e.artifact_type = arena_strdup(&x->arena, m->artifact_type);
		if (!e.artifact_type)
			return err_nomem(err);
	}
	if (tag && set_name(x, tag, &e, err) < 0)
		return -1;
	if (add_children(x, m, err) < 0)
		return -1;
	if (mem_grow(&x->list, x->n, &x->cap, sizeof(*x->list)) < 0)
		return err_nomem(err);
	if (note_entry(x, &e, err) < 0)
		return -1;
	x->list[x->n++] = e;
	return 0;
}

void dest_index_clear(struct dest_index *x)
{
	map_clear(&x->children);
	map_clear(&x->by_tag);
	map_clear(&x->by_digest);
	mem_free(x->list);
	arena_clear(&x->arena);
	*x = (struct dest_index){ 0 };
}

bool dest_index_stands(const struct dest_index *x, size_t i)
{
	const struct dest_entry *e = &x->list[i];

	if (e->tag)
		return last_of_tag(x, dest_entry_key(e)) == i + 1;
	if (map_find(&x->children, span_str(e->digest.text)))
		return false;
	const struct dest_seen *seen = map_get(&x->by_digest, span_str(e->digest.text));
	return !seen->tagged && seen->last_untagged == i + 1;
}

/* The entry that answers to either name, counted from 1; 0 = none. */
static size_t last_named(const struct dest_index *x, const char *full, const char *ref)
{
	size_t at = full ? last_of_tag(x, full) : 0;

	/* Where names are full ones, a tag alone is not the same image's. */
	return at || !ref || (x->named && full) ? at : last_of_tag(x, ref);
}

/* An entry of the old text; what it does not say is NULL. */
struct old_entry {
	struct json v;
	const char *digest;
	const char *full, *ref;
	const char *shown; /* as readers call it: full in short, or ref */
	size_t now; /* the one of ours that it leads to from now on, counted from 1; 0 = none */
};

/* The one of ours that has its name from now on, counted from 1; 0 = none. */
static size_t last_like(const struct dest_index *x, const struct old_entry *o)
{
	size_t at = last_named(x, o->full, NULL);

	/* Where a tag is a ref.name as it is, readers find the short form of the full one by it, too. */
	if (!at && !x->named && o->shown)
		at = last_of_tag(x, o->shown);
	return at ? at : last_named(x, o->full, o->ref);
}

const struct dest_entry *dest_index_named(const struct dest_index *x, const char *full,
					  const char *ref)
{
	size_t at = last_named(x, full, ref);

	return at ? &x->list[at - 1] : NULL;
}

/* What is known of one of x->list. */
struct ours {
	bool present; /* the old text holds it already */
	bool moved;   /* by an entry that leads to it from now on */
};

/* An index.json being edited. */
struct edit {
	const struct dest_index *x;
	struct json_doc *doc;
	struct json manifests;
	struct json before; /* the old entry that was looked at last */
	struct arena arena; /* of the old entries and their strings */
	struct old_entry *old;
	size_t n_old;
	struct ours *ours; /* for each of x->list */
	struct buf *out;
	bool any; /* an entry has been written */
};

static void edit_clear(struct edit *e)
{
	json_doc_free(e->doc);
	mem_free(e->ours);
	arena_clear(&e->arena);
}
#define cleanup_edit CLEANUP(edit_clear)

static int read_entry(struct edit *e, struct json v, struct old_entry *ret, dray_error **err)
{
	struct json annotations = json_get(v, "annotations");

	ret->v = v;
	if (json_want(v, JSON_OBJECT, false, "an entry of manifests", err) < 0 ||
	    json_want_map(annotations, true, "annotations", err) < 0 ||
	    json_string(json_get(v, "digest"), "digest", &e->arena, &ret->digest, err) < 0 ||
	    json_string(json_get(annotations, REF_NAME), REF_NAME, &e->arena, &ret->ref, err) < 0 ||
	    json_string(json_get(annotations, IMAGE_NAME), IMAGE_NAME, &e->arena, &ret->full, err) <
		    0)
		return -1;
	ret->shown = ret->full ? store_familiar(&e->arena, ret->full) : ret->ref;
	return ret->full && !ret->shown ? err_nomem(err) : 0;
}

static int read_entries(struct edit *e, dray_error **err)
{
	for (struct json v = json_first(e->manifests); json_node(v); v = json_next(v))
		if (read_entry(e, v, &e->old[e->n_old++], err) < 0)
			return -1;
	return 0;
}

static int edit_begin(struct edit *e, struct span old, dray_error **err)
{
	const struct dest_index *x = e->x;
	struct json root;

	if (json_parse(old, &e->doc, err) < 0)
		return -1;
	root = json_root(e->doc);
	if (json_want(root, JSON_OBJECT, false, "the document", err) < 0)
		return -1;
	e->manifests = json_get(root, "manifests");
	if (json_type(e->manifests) == JSON_MISSING)
		return err_set(err, DRAY_ERR_FORMAT, "manifests is missing");
	/* Go writes an empty list as null. */
	if (json_want(e->manifests, JSON_ARRAY, true, "manifests", err) < 0)
		return -1;
	e->ours = mem_zalloc((x->n + 1) * sizeof(*e->ours));
	e->old = arena_array(&e->arena, json_len(e->manifests) + 1, sizeof(*e->old));
	return e->ours && e->old ? read_entries(e, err) : err_nomem(err);
}

static struct span span_between(const uint8_t *from, const uint8_t *to)
{
	return span_of(from, (size_t)(to - from));
}

static const uint8_t *end_of(struct json v)
{
	struct span raw = json_raw(v);

	return raw.data + raw.len;
}

/* The comma and the white space between two old entries. */
static struct span gap(struct json v, struct json next)
{
	return span_between(end_of(v), json_raw(next).data);
}

/* What comes between two entries comes with the second; what is in front of all stays there. */
static int write_front(struct edit *e, struct json v, dray_error **err)
{
	struct json first = json_first(e->manifests), second = json_next(first);
	struct span text = { 0 };

	if (!e->any && json_node(first))
		text = span_between(json_raw(e->manifests).data + 1, json_raw(first).data);
	else if (e->any && json_node(v))
		text = gap(e->before, v);
	else if (e->any)
		text = json_node(second) ? gap(first, second) : SPAN_LIT(",");
	e->any = true;
	return buf_add(e->out, text, err);
}

static int write_end(struct edit *e, dray_error **err)
{
	struct span list = json_raw(e->manifests);
	bool array = json_type(e->manifests) == JSON_ARRAY;
	const uint8_t *from = json_node(e->before) ? end_of(e->before) : list.data + 1;

	return buf_add(e->out, array ? span_between(from, list.data + list.len) : SPAN_LIT("]"),
		       err);
}

/* ---- entries that lead elsewhere ---- */

int store_entry_move(struct json_edit *e, struct json entry, const struct descriptor *to,
		     bool other_platform, dray_error **err)
{
	cleanup_buf struct buf digest = BUF_INIT(DIGEST_TEXT + 8), size = BUF_INIT(32),
			       type = BUF_INIT(LIMIT_PATH);
	struct json old_type = json_get(entry, "mediaType");

	if (json_node(json_get(entry, "data")))
		json_edit_remove(e, json_get(entry, "data"));
	if (other_platform && json_node(json_get(entry, "platform")))
		json_edit_remove(e, json_get(entry, "platform"));
	if (to->media_type && json_node(old_type) &&
	    (json_quote(&type, span_str(to->media_type), err) < 0 ||
	     json_edit_replace(e, old_type, span_buf(&type), err) < 0))
		return -1;
	if (json_quote(&digest, span_str(to->digest.text), err) < 0 ||
	    buf_printf(&size, err, "%lld", (long long)to->size) < 0 ||
	    json_edit_set(e, entry, "digest", span_buf(&digest), err) < 0)
		return -1;
	return json_edit_set(e, entry, "size", span_buf(&size), err);
}

/* The one of ours that has this name, if the entry names what that one was; counted from 1. */
static size_t successor(const struct edit *e, const struct old_entry *o, const char *name)
{
	size_t at = name ? last_of_tag(e->x, name) : 0;
	const struct digest *was = at ? &e->x->list[at - 1].origin.digest : NULL;

	return was && digest_set(was) && o->digest && strcmp(was->text, o->digest) == 0 ? at : 0;
}

/* A ref.name may be that of several, for example their tag: who is called so by readers comes first. */
static void find_moved(struct edit *e)
{
	for (size_t i = 0; i < e->n_old; i++) {
		struct old_entry *o = &e->old[i];

		o->now = successor(e, o, o->shown);
		if (o->now)
			e->ours[o->now - 1].moved = true;
	}
	for (size_t i = 0; i < e->n_old; i++) {
		struct old_entry *o = &e->old[i];
		size_t now = o->now ? 0 : successor(e, o, o->ref);

		if (now && !e->ours[now - 1].moved)
			o->now = now;
	}
	for (size_t i = 0; i < e->n_old; i++)
		if (e->old[i].now)
			e->ours[e->old[i].now - 1] = (struct ours){ true, true };
}

static int write_moved(struct edit *e, const struct old_entry *o, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	cleanup_json_edit struct json_edit *edit = NULL;
	const struct dest_entry *now = &e->x->list[o->now - 1];
	const char *type;

	if (digest_eq(&now->digest, &now->origin.digest))
		return buf_add(e->out, json_raw(o->v), err);
	if (json_parse(json_raw(o->v), &doc, err) < 0 ||
	    json_string(json_get(o->v, "mediaType"), "mediaType", &e->arena, &type, err) < 0 ||
	    json_edit_new(doc, &edit, err) < 0)
		return -1;

	const struct descriptor to = {
		.media_type = type && mediatype_equal(type, now->media_type) ? NULL
									     : now->media_type,
		.digest = now->digest,
		.size = now->size,
	};
	return store_entry_move(edit, json_root(doc), &to, now->origin.other_platform, err) < 0
		       ? -1
		       : json_edit_apply(edit, e->out, err);
}

/* ---- all of them ---- */

/* Does an entry of ours take the place of the old one? Notes which are there already. */
static bool gives_way(struct edit *e, const struct old_entry *o)
{
	const struct dest_seen *seen = o->digest ? map_get(&e->x->by_digest, span_str(o->digest))
						 : NULL;
	size_t mine = last_like(e->x, o);

	if (seen && seen->last_untagged)
		e->ours[seen->last_untagged - 1].present = true;
	if (!mine || e->ours[mine - 1].moved)
		return false;
	/* The second of two equal old entries goes. */
	if (!o->digest || e->ours[mine - 1].present ||
	    strcmp(o->digest, e->x->list[mine - 1].digest.text) != 0)
		return true;
	e->ours[mine - 1].present = true;
	return false;
}

static int keep_entry(struct edit *e, const struct old_entry *o, dray_error **err)
{
	if (e->x->no_clobber && last_like(e->x, o))
		return err_set(err, DRAY_ERR_USAGE, "an image has this tag already");
	if (!o->now && gives_way(e, o))
		return 0;
	if (write_front(e, o->v, err) < 0)
		return -1;
	return o->now ? write_moved(e, o, err) : buf_add(e->out, json_raw(o->v), err);
}

static int write_entry(struct edit *e, const struct dest_entry *entry, dray_error **err)
{
	struct jsonw w;

	if (write_front(e, (struct json){ 0 }, err) < 0)
		return -1;
	jsonw_init(&w, e->out, err);
	jsonw_object(&w);
	jsonw_kstring(&w, "mediaType", entry->media_type);
	jsonw_kstring(&w, "digest", entry->digest.text);
	jsonw_kint(&w, "size", entry->size);
	if (entry->artifact_type)
		jsonw_kstring(&w, "artifactType", entry->artifact_type);
	if (entry->tag) {
		jsonw_key(&w, "annotations");
		jsonw_object(&w);
		if (entry->announced)
			jsonw_kstring(&w, IMAGE_NAME, entry->announced);
		jsonw_kstring(&w, REF_NAME, entry->tag);
		jsonw_end_object(&w);
	}
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

static int write_list(struct edit *e, dray_error **err)
{
	if (buf_add_byte(e->out, '[', err) < 0)
		return -1;
	for (size_t i = 0; i < e->n_old; i++) {
		if (keep_entry(e, &e->old[i], err) < 0)
			return -1;
		e->before = e->old[i].v;
	}
	for (size_t i = 0; i < e->x->n; i++)
		if (!e->ours[i].present && dest_index_stands(e->x, i) &&
		    write_entry(e, &e->x->list[i], err) < 0)
			return -1;
	return write_end(e, err);
}

int dest_index_write(const struct dest_index *x, struct span old, struct buf *ret, dray_error **err)
{
	cleanup_edit struct edit e = { .x = x, .out = ret };

	if (edit_begin(&e, old, err) < 0)
		return err_ctx(err, "%s", OCI_INDEX_NAME);
	find_moved(&e);

	struct span list = json_raw(e.manifests);
	size_t before = (size_t)(list.data - old.data);

	if (buf_add(ret, span_head(old, before), err) < 0 || write_list(&e, err) < 0 ||
	    buf_add(ret, span_from(old, before + list.len), err) < 0)
		return err_ctx(err, "%s", OCI_INDEX_NAME);
	return 0;
}
