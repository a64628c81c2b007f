/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests and indexes below index.json of an archive that is edited where it lies.
 * Relies on image/index_rewrite: what does not change keeps its bytes.
 * Promises that nothing edited names a config or a manifest that went, and to finish: each index
 * is met once, which also ends a circle, and depth is bounded (M-12).
 */
#include "ops/inplace.h"

#include "base/limits.h"
#include "base/mem.h"

#define REFERENCE_DIGEST "vnd.docker.reference.digest"

/* ---- what moves ---- */

const struct inplace_moved *inplace_moved_from(const struct inplace *p, const struct digest *d)
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

int inplace_move_images(struct inplace *p, dray_error **err)
{
	for (size_t i = 0; i < p->n; i++) {
		struct inplace_change *c = &p->list[i];

		if (digest_set(&c->old_manifest) &&
		    (put_config_blob(p, c, err) < 0 ||
		     note_moved(p, &c->old_manifest, c->im->manifest, c, err) < 0))
			return -1;
	}
	return 0;
}

/* A manifest that is not edited may name the config of one that is. */
static int look_at_manifest(struct inplace *p, const struct manifest *m, dray_error **err)
{
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

int inplace_look_at(struct inplace *p, const struct descriptor *d, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;

	if (inplace_moved_from(p, &d->digest))
		return 0;
	if (inplace_read(p, d, &m, err) < 0)
		return -1;
	if (m && m->kind == MANIFEST_INDEX)
		return inplace_keep(p, d, 1, err);
	return m && m->kind == MANIFEST_IMAGE ? look_at_manifest(p, m, err) : 0;
}

/* ---- an index, once all below it is done ---- */

int inplace_speaks_of(struct inplace *p, const struct descriptor *d, struct digest *ret,
		      dray_error **err)
{
	const char *text;

	*ret = (struct digest){ 0 };
	if (!descriptor_is_attestation(d))
		return 0;
	if (descriptor_annotation(d, REFERENCE_DIGEST, &p->arena, &text, err) < 0)
		return -1;
	if (text && digest_parse(span_str(text), ret, NULL) < 0)
		*ret = (struct digest){ 0 };
	return 0;
}

bool inplace_went(const struct inplace *p, const struct digest *d)
{
	const struct inplace_moved *m = digest_set(d) ? inplace_moved_from(p, d) : NULL;

	return m && (m->gone || !digest_eq(&m->digest, d));
}

static int entry_change_of(struct inplace *p, const struct descriptor *d, struct entry_change *ret,
			   dray_error **err)
{
	const struct inplace_moved *m = inplace_moved_from(p, &d->digest);
	struct digest about;

	*ret = (struct entry_change){ .fate = ENTRY_KEPT };
	if (inplace_speaks_of(p, d, &about, err) < 0)
		return -1;
	if (inplace_went(p, &about) || (m && m->gone))
		ret->fate = ENTRY_DROPPED;
	else if (inplace_went(p, &d->digest))
		*ret = (struct entry_change){ ENTRY_MOVED, m->digest, m->size, m->media_type };
	return 0;
}

/* An index that held nothing but what speaks of images elsewhere. */
static int note_gone(struct inplace *p, const struct digest *d, dray_error **err)
{
	struct inplace_moved *m = arena_alloc(&p->arena, sizeof(*m));
	const char *key = arena_strdup(&p->arena, d->text);

	if (!m || !key)
		return err_nomem(err);
	*m = (struct inplace_moved){ .gone = true };
	return map_put(&p->moved, span_str(key), m, err);
}

static int rewrite_index(struct inplace *p, const struct manifest *m, dray_error **err)
{
	struct entry_change *changes = arena_array(&p->arena, m->n_entries + 1, sizeof(*changes));
	cleanup_manifest struct manifest *next = NULL;
	size_t kept = 0, dropped = 0;

	if (!changes)
		return err_nomem(err);
	for (size_t i = 0; i < m->n_entries; i++) {
		if (entry_change_of(p, &m->entries[i], &changes[i], err) < 0)
			return -1;
		kept += changes[i].fate == ENTRY_KEPT;
		dropped += changes[i].fate == ENTRY_DROPPED;
	}
	if (kept == m->n_entries)
		return 0;
	if (dropped == m->n_entries)
		return note_gone(p, &m->digest, err);
	return index_rewrite(m, m->media_type, changes, &next, err) < 0
		       ? -1
		       : note_moved(p, &m->digest, next, NULL, err);
}

/* ---- indexes within indexes ---- */

/* An index whose entries are being looked at. */
struct frame {
	struct manifest *m; /* owned */
	size_t next;
};
struct descent {
	struct inplace *p;
	struct frame stack[LIMIT_INDEX_DEPTH + 1];
	size_t depth;
};

static void descent_clear(struct descent *t)
{
	while (t->depth > 0)
		manifest_free(t->stack[--t->depth].m);
}
#define cleanup_descent CLEANUP(descent_clear)

/* 1 = @p d is met for the first time, 0 = it was met before, -1. */
static int meet(struct inplace *p, const struct digest *d, dray_error **err)
{
	const char *key;

	if (map_find(&p->met, span_str(d->text)))
		return 0;
	key = arena_strdup(&p->arena, d->text);
	if (!key)
		return err_nomem(err);
	return map_put(&p->met, span_str(key), p, err) < 0 ? -1 : 1;
}

static int enter(struct descent *t, const struct descriptor *d, dray_error **err)
{
	struct inplace *p = t->p;
	cleanup_manifest struct manifest *m = NULL;
	int first;

	if (inplace_moved_from(p, &d->digest))
		return 0;
	first = meet(p, &d->digest, err);
	if (first <= 0)
		return first;
	if (inplace_read(p, d, &m, err) < 0)
		return -1;
	if (m && m->kind == MANIFEST_IMAGE)
		return look_at_manifest(p, m, err);
	if (!m || m->kind != MANIFEST_INDEX)
		return 0;
	if (t->depth == ARRAY_LEN(t->stack))
		return err_set(err, DRAY_ERR_LIMIT,
			       "indexes are nested deeper than %d (LIMIT_INDEX_DEPTH)",
			       LIMIT_INDEX_DEPTH);
	t->stack[t->depth++] = (struct frame){ .m = steal_pointer(&m) };
	return 0;
}

int inplace_edit_below(struct inplace *p, const struct descriptor *d, dray_error **err)
{
	cleanup_descent struct descent t = { .p = p };

	if (enter(&t, d, err) < 0)
		return -1;
	while (t.depth > 0) {
		struct frame *top = &t.stack[t.depth - 1];
		int rc;

		if (top->next < top->m->n_entries) {
			if (enter(&t, &top->m->entries[top->next++], err) < 0)
				return -1;
			continue;
		}
		rc = rewrite_index(p, top->m, err);
		t.depth--;
		manifest_free(top->m);
		if (rc < 0)
			return -1;
	}
	return 0;
}
