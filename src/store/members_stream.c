/* SPDX-License-Identifier: Apache-2.0 */

/* Members of a tar that passes once: a pipe, or a file below an outer compression.
 * Relies on documents being small; everything else goes to place_options.on_member as it passes.
 * Promises bounded memory, and that the producer's last byte is read. */

#include "store/members.h"

#include "base/limits.h"
#include "base/mem.h"
#include "tar/tar.h"

#define HEAD_LOOKED_AT 512 /* bytes in which a document's first character must show */

struct walk {
	struct members *m;
	struct tar_reader *tar;
	member_fn *on_member;
	void *arg;
	int64_t docs; /* bytes kept */
};

static struct source *passed_already(const struct members *m, const struct member *e,
				     dray_error **err)
{
	(void)m;
	(void)e;
	err_set(err, DRAY_ERR_UNSUPPORTED,
		"the bytes of this member have passed: a pipe or compressed archive is read once");
	return NULL;
}

static void stream_free(struct members *m)
{
	members_clear(m);
	mem_free(m);
}

static const struct members_ops stream_ops = { .open = passed_already, .free = stream_free };

static bool named_like_document(struct span name)
{
	return span_is(name, "oci-layout") || span_is(name, "repositories") ||
	       span_ends(name, "/VERSION") || span_ends(name, ".json");
}

static bool begins_like_json(struct span head)
{
	for (size_t i = 0; i < head.len; i++) {
		uint8_t c = head.data[i];

		if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
			return c == '{' || c == '[';
	}
	return false;
}

static int64_t document_max(struct span name)
{
	bool list = span_is(name, "manifest.json") || span_is(name, "repositories");

	return list ? LIMIT_MANIFEST_JSON : LIMIT_CONFIG;
}

/* 1 = to be kept in memory, 0 = a blob, -1. */
static int is_document(const struct member *e, struct source *data, dray_error **err)
{
	struct span head;

	if (e->size > document_max(e->name))
		return 0;
	if (e->size == 0 || named_like_document(e->name))
		return 1;
	if (source_peek(data, HEAD_LOOKED_AT, &head, err) < 0)
		return -1;
	return begins_like_json(head);
}

static int keep_document(struct walk *w, struct member *e, struct source *data, dray_error **err)
{
	uint8_t *bytes = arena_alloc(&w->m->arena, e->size ? (size_t)e->size : 1);

	if (!bytes)
		return err_nomem(err);
	if (source_read_exact(data, bytes, (size_t)e->size, err) < 0)
		return -1;
	e->doc = span_of(bytes, (size_t)e->size);
	e->has_doc = true;
	w->docs += e->size;
	return 0;
}

static int pass_on(struct walk *w, struct member *e, struct source *data, dray_error **err)
{
	struct blob_facts *facts = mem_zalloc(sizeof(*facts));

	if (!facts)
		return err_nomem(err);
	e->facts = facts;
	if (members_account(w->m, sizeof(*facts), err) < 0)
		return -1;
	cleanup_free char *name = mem_strndup((const char *)e->name.data, e->name.len);
	if (!name)
		return err_nomem(err);
	return w->on_member(w->arg, name, data, e->size, facts, err);
}

static int take_file(struct walk *w, struct member *e, dray_error **err)
{
	cleanup_source struct source *data = tar_data(w->tar, err);
	int doc = data ? is_document(e, data, err) : -1;

	if (doc < 0)
		return -1;
	if (doc && w->docs + e->size <= LIMIT_DOCS_TOTAL)
		return keep_document(w, e, data, err);
	e->over_limit = doc;
	return pass_on(w, e, data, err);
}

static int walk_members(struct walk *w, dray_error **err)
{
	const struct tar_entry *entry;
	struct member *e;
	int rc;

	while ((rc = tar_next(w->tar, &entry, err)) > 0) {
		if (members_add_entry(w->m, entry, &e, err) < 0)
			return -1;
		if (e && e->type == MEMBER_FILE && take_file(w, e, err) < 0)
			return err_ctx(err, "%s", safe_text(&w->m->arena, e->name));
	}
	return rc < 0 ? -1 : tar_tail(w->tar, err);
}

int members_walk(struct source *in, const struct place_options *o, struct notes *notes,
		 struct members **ret, dray_error **err)
{
	cleanup_source struct source *plain = source_decode_auto(in, NULL, err);
	if (!plain)
		return -1;
	cleanup_members struct members *m = mem_zalloc(sizeof(*m));
	if (!m)
		return err_nomem(err);
	members_init(m, &stream_ops, notes);
	m->forward_only = true;
	cleanup_tar_reader struct tar_reader *tar = tar_reader_new(plain, members_odd, m, err);
	if (!tar)
		return -1;
	struct walk w = { .m = m, .tar = tar, .on_member = member_hash };

	if (o && o->on_member) {
		w.on_member = o->on_member;
		w.arg = o->arg;
	}
	if (walk_members(&w, err) < 0 || members_finish(m, err) < 0)
		return -1;
	*ret = steal_pointer(&m);
	return 0;
}
