/* SPDX-License-Identifier: Apache-2.0 */

/* The flat map of members: entering, looking up, following links, reading.
 * Relies on tar/ for the canonical form of names and on a filler for the bytes.
 * Promises that a name leads to one regular file of this place, or to an error that says why not. */

#include "store/members.h"

#include "base/cancel.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "tar/tar.h"

#define MESSAGE_NAME_MAX 200 /* bytes of an untrusted name that a message shows */
#define MAP_SLOT_COST 40     /* bytes that one map entry costs, table included */
#define ODDITIES_MAX 16	     /* notes about the outer tar */

const char *safe_text(struct arena *a, struct span name)
{
	cleanup_free char *text = text_safe(name, MESSAGE_NAME_MAX);
	const char *kept = text ? arena_strdup(a, text) : NULL;

	return kept ? kept : "?";
}

void members_init(struct members *m, const struct members_ops *ops, struct notes *notes)
{
	m->ops = ops;
	m->notes = notes;
}

void members_clear(struct members *m)
{
	for (size_t i = 0; i < m->map.len; i++)
		for (struct member *e = m->map.slots[i].value; e; e = e->twin)
			mem_free(e->facts);
	map_clear(&m->map);
	arena_clear(&m->arena);
}

void members_free(struct members *m)
{
	if (m)
		m->ops->free(m);
}

int members_account(struct members *m, size_t bytes, dray_error **err)
{
	m->memory += (int64_t)bytes;
	if (m->memory > LIMIT_MEMBER_INDEX)
		return err_set(
			err, DRAY_ERR_LIMIT,
			"the index of members needs more than %lld bytes (LIMIT_MEMBER_INDEX)",
			LIMIT_MEMBER_INDEX);
	return 0;
}

static int count_member(struct members *m, dray_error **err)
{
	if (++m->n > LIMIT_MEMBERS)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d members (LIMIT_MEMBERS)",
			       LIMIT_MEMBERS);
	return 0;
}

/* 1 = @p ret holds the key, 0 = no key for this one, -1. */
static int clean_key(struct members *m, struct span name, struct buf *ret, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	if (tar_name_clean(name, ret, &e) == 0) {
		if (name.len && name.data[0] == '/')
			m->n_rooted++;
		return ret->len > 0;
	}
	if (dray_error_kind(e) == DRAY_ERR_FORMAT) {
		m->n_unsafe++;
		return 0;
	}
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int keep_span(struct members *m, struct span s, struct span *ret, dray_error **err)
{
	*ret = (struct span){ 0 };
	if (!s.len)
		return 0;
	*ret = arena_dup(&m->arena, s);
	return ret->data ? 0 : err_nomem(err);
}

int members_add(struct members *m, struct span name, struct span link, struct member **ret,
		dray_error **err)
{
	cleanup_buf struct buf key = BUF_INIT(LIMIT_PATH);
	int known = clean_key(m, name, &key, err);

	*ret = NULL;
	if (known <= 0)
		return known;
	if (members_account(m, sizeof(struct member) + key.len + link.len + MAP_SLOT_COST, err) < 0)
		return -1;
	struct member *e = arena_alloc(&m->arena, sizeof(*e));
	if (!e)
		return err_nomem(err);
	e->twin = map_get(&m->map, span_buf(&key));
	if (e->twin)
		e->name = e->twin->name;
	else if (keep_span(m, span_buf(&key), &e->name, err) < 0)
		return -1;
	if (keep_span(m, link, &e->link, err) < 0 || map_put(&m->map, e->name, e, err) < 0)
		return -1;
	*ret = e;
	return 0;
}

static enum member_type member_type_of(enum tar_type t)
{
	switch (t) {
	case TAR_FILE:
		return MEMBER_FILE;
	case TAR_SYMLINK:
		return MEMBER_SYMLINK;
	case TAR_HARDLINK:
		return MEMBER_HARDLINK;
	default:
		return MEMBER_OTHER;
	}
}

int members_add_entry(struct members *m, const struct tar_entry *t, struct member **ret,
		      dray_error **err)
{
	*ret = NULL;
	if (count_member(m, err) < 0)
		return -1;
	if (t->type == TAR_DIR)
		return 0;
	if (members_add(m, t->name, t->link, ret, err) < 0)
		return -1;
	if (*ret) {
		(*ret)->type = member_type_of(t->type);
		(*ret)->size = t->size;
		(*ret)->off = t->data_off;
	}
	return 0;
}

void members_odd(void *arg, const struct tar_oddity *o)
{
	struct members *m = arg;

	if (m->notes->n >= ODDITIES_MAX)
		return;
	for (size_t i = 0; i < m->notes->n; i++)
		if (strcmp(m->notes->list[i].code, o->code) == 0)
			return;
	const char *code = arena_strdup(m->notes->arena, o->code);
	/* A lost warning is no reason to fail: whoever needs memory next will say so. */
	if (code && notes_add(m->notes, false, code, NULL, NULL, NULL, NULL, "at byte %lld: %s",
			      (long long)o->off, o->message) < 0)
		return;
}

int members_finish(struct members *m, dray_error **err)
{
	if (m->n_unsafe &&
	    notes_add(m->notes, false, "tar-unsafe-name", NULL, NULL, NULL, err,
		      "%lld member names leave the archive with \"..\"; they are not used",
		      (long long)m->n_unsafe) < 0)
		return -1;
	if (m->n_rooted && notes_add(m->notes, false, "tar-unsafe-name", NULL, NULL, NULL, err,
				     "%lld member names begin with \"/\"; read without it",
				     (long long)m->n_rooted) < 0)
		return -1;
	return 0;
}

int members_find(struct members *m, struct span name, struct member **ret, dray_error **err)
{
	*ret = map_get(&m->map, name);
	if (*ret || !m->ops->find)
		return 0;
	return m->ops->find(m, name, ret, err);
}

int members_has(struct members *m, const char *name, bool *ret, dray_error **err)
{
	struct member *e = NULL;

	if (members_find(m, span_str(name), &e, err) < 0)
		return -1;
	*ret = e && e->type != MEMBER_OTHER;
	return 0;
}

static void trouble(enum member_trouble *ret_why, enum member_trouble why)
{
	if (ret_why)
		*ret_why = why;
}

/* The bytes of two members are the same: by memory, or by the digests of both. */
static int same_bytes(struct members *m, struct member *a, struct member *b, bool *ret,
		      dray_error **err)
{
	const struct blob_facts *fa, *fb;

	*ret = false;
	if (a->type != b->type)
		return 0;
	if (a->type != MEMBER_FILE) {
		*ret = a->type != MEMBER_OTHER && span_eq(a->link, b->link);
		return 0;
	}
	if (a->size != b->size)
		return 0;
	if (a->has_doc && b->has_doc) {
		*ret = span_eq(a->doc, b->doc);
		return 0;
	}
	if (members_facts(m, a, &fa, err) < 0 || members_facts(m, b, &fb, err) < 0)
		return -1;
	*ret = digest_eq(&fa->blob_digest, &fb->blob_digest);
	return 0;
}

/* Once for each name, whatever comes out: there may be as many twins as members, and as many asking. */
static int compare_twins(struct members *m, struct member *e, dray_error **err)
{
	const char *name = safe_text(&m->arena, e->name);
	bool same = true;

	for (struct member *t = e->twin; t && same; t = t->twin)
		if (cancel_check(err) < 0 || same_bytes(m, e, t, &same, err) < 0)
			return err_ctx(err, "%s", name);
	e->twins_checked = true;
	e->twins_differ = !same;
	if (!same)
		return 0;
	return notes_add(m->notes, false, "member-twice", name, NULL, NULL, err,
			 "the archive holds it more than once, with equal content");
}

/* loaders disagree about which of two members counts, so they must be equal. */
static int check_twins(struct members *m, struct member *e, enum member_trouble *ret_why,
		       dray_error **err)
{
	if (e->twin && !e->twins_checked && compare_twins(m, e, err) < 0)
		return -1;
	if (!e->twins_differ)
		return 0;
	trouble(ret_why, TROUBLE_TWINS);
	return err_set(err, DRAY_ERR_FORMAT,
		       "%s is ambiguous: the archive holds it twice with different content",
		       safe_text(&m->arena, e->name));
}

/* Where link @p e points, as a key in @p ret. */
static int link_target(struct members *m, const struct member *e, struct buf *ret,
		       enum member_trouble *ret_why, dray_error **err)
{
	int rc = e->type == MEMBER_SYMLINK ? tar_link_resolve(e->name, e->link, ret, err)
					   : tar_name_clean(e->link, ret, err);

	if (rc == 0)
		return 0;
	trouble(ret_why, TROUBLE_OUTSIDE);
	return err_ctx(err, "link %s -> %s", safe_text(&m->arena, e->name),
		       safe_text(&m->arena, e->link));
}

static int follow(struct members *m, struct member *e, struct member **ret,
		  enum member_trouble *ret_why, dray_error **err)
{
	cleanup_buf struct buf key = BUF_INIT(LIMIT_PATH);

	if (link_target(m, e, &key, ret_why, err) < 0 ||
	    members_find(m, span_buf(&key), ret, err) < 0)
		return -1;
	if (*ret)
		return 0;
	trouble(ret_why, TROUBLE_DANGLING);
	return err_set(err, DRAY_ERR_FORMAT, "link %s -> %s: no such member",
		       safe_text(&m->arena, e->name), safe_text(&m->arena, e->link));
}

static int resolve_from(struct members *m, struct member *first, struct member **ret,
			enum member_trouble *ret_why, dray_error **err)
{
	struct member *e = first;

	for (int hops = 0; hops <= LIMIT_LINK_HOPS; hops++) {
		if (check_twins(m, e, ret_why, err) < 0)
			return -1;
		if (e->type == MEMBER_FILE) {
			*ret = e;
			return 0;
		}
		if (e->type == MEMBER_OTHER) {
			trouble(ret_why, TROUBLE_TYPE);
			return err_set(err, DRAY_ERR_FORMAT, "%s is no regular file",
				       safe_text(&m->arena, e->name));
		}
		if (follow(m, e, &e, ret_why, err) < 0)
			return -1;
	}
	trouble(ret_why, TROUBLE_LOOP);
	return err_set(err, DRAY_ERR_FORMAT,
		       "link %s -> %s: a loop, or more than %d links (LIMIT_LINK_HOPS)",
		       safe_text(&m->arena, first->name), safe_text(&m->arena, first->link),
		       LIMIT_LINK_HOPS);
}

int members_resolve_name(struct members *m, struct span name, struct member **ret, dray_error **err)
{
	cleanup_buf struct buf key = BUF_INIT(LIMIT_PATH);

	*ret = NULL;
	if (tar_name_clean(name, &key, err) < 0)
		return err_ctx(err, "member %s", safe_text(&m->arena, name));
	return members_find(m, span_buf(&key), ret, err);
}

int members_resolve(struct members *m, struct span name, struct member **ret,
		    enum member_trouble *ret_why, dray_error **err)
{
	struct member *first = NULL;

	*ret = NULL;
	/* Until the name is found, what goes wrong is the name itself. */
	trouble(ret_why, TROUBLE_OUTSIDE);
	if (members_resolve_name(m, name, &first, err) < 0)
		return -1;
	trouble(ret_why, TROUBLE_NONE);
	return first ? resolve_from(m, first, ret, ret_why, err) : 0;
}

struct source *members_open(const struct members *m, const struct member *e, dray_error **err)
{
	if (e->has_doc)
		return source_from_span(e->doc, err);
	return m->ops->open(m, e, err);
}

static const char *limit_name(size_t max)
{
	return max == LIMIT_MANIFEST	    ? " (LIMIT_MANIFEST)"
	       : max == LIMIT_CONFIG	    ? " (LIMIT_CONFIG)"
	       : max == LIMIT_MANIFEST_JSON ? " (LIMIT_MANIFEST_JSON)"
					    : "";
}

static int too_long(struct members *m, const struct member *e, size_t max, dray_error **err)
{
	return err_set(err, DRAY_ERR_LIMIT, "%s has %lld bytes, a document may have %zu%s",
		       safe_text(&m->arena, e->name), (long long)e->size, max, limit_name(max));
}

int members_read(struct members *m, const struct member *e, size_t max, struct buf *ret,
		 dray_error **err)
{
	*ret = BUF_INIT(max);
	if (e->size > (int64_t)max)
		return too_long(m, e, max, err);
	if (e->over_limit)
		return err_set(err, DRAY_ERR_LIMIT,
			       "%s passed when %lld bytes of documents were kept already "
			       "(LIMIT_DOCS_TOTAL)",
			       safe_text(&m->arena, e->name), LIMIT_DOCS_TOTAL);
	cleanup_source struct source *s = members_open(m, e, err);
	if (!s)
		return -1;
	if (source_slurp(s, ret, err) == 0)
		return 0;
	buf_clear(ret);
	return err_ctx(err, "%s", safe_text(&m->arena, e->name));
}

int members_document(struct members *m, const char *name, size_t max, struct buf *ret,
		     dray_error **err)
{
	struct member *e = NULL;

	if (members_resolve(m, span_str(name), &e, NULL, err) < 0)
		return -1;
	if (!e)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s is not there",
			       safe_text(&m->arena, span_str(name)));
	return members_read(m, e, max, ret, err);
}

int members_sniff(struct members *m, struct member *e, dray_error **err)
{
	struct span head;

	if (e->sniffed)
		return 0;
	if (e->facts) {
		e->compression = e->facts->compression;
	} else {
		cleanup_source struct source *s = members_open(m, e, err);
		if (!s || source_peek(s, COMPRESSION_SNIFF, &head, err) < 0)
			return -1;
		e->compression = compression_sniff(head);
	}
	e->sniffed = true;
	return 0;
}

int members_facts(struct members *m, struct member *e, const struct blob_facts **ret,
		  dray_error **err)
{
	cleanup_free struct blob_facts *facts = NULL;

	if (!e->facts) {
		cleanup_source struct source *s = members_open(m, e, err);
		facts = s ? mem_zalloc(sizeof(*facts)) : NULL;
		if (!facts)
			return s ? err_nomem(err) : -1;
		if (member_hash(NULL, safe_text(&m->arena, e->name), s, e->size, facts, err) < 0)
			return -1;
		e->facts = steal_pointer(&facts);
	}
	*ret = e->facts;
	return 0;
}
