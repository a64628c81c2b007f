/* SPDX-License-Identifier: Apache-2.0
 *
 * Who comes first, where a source has a name that the base or another source has too.
 * Relies on paths being those where entries really belong.
 * Promises that nothing of the base goes unasked, and that a doubt about two sources is told.
 */
#include "build/merge_priv.h"

#include "base/mem.h"
#include "base/text.h"
#include "digest/digest.h"

static void see(void *arg, struct span bytes)
{
	hash_update(arg, bytes);
}

static int hash_file(struct merge *m, const struct layer_entry *e, struct digest *ret,
		     dray_error **err)
{
	cleanup_hash struct hash h = { 0 };

	if (hash_init(&h, DIGEST_SHA256, err) < 0 ||
	    inputs_read(m->in, e->data_off, e->size, see, &h, err) < 0)
		return -1;
	return hash_finish(&h, ret, err);
}

/* The same but for its time? 1, 0, -1. @p b is of the tree, @p e is to come. */
static int same_entry(struct merge *m, const struct node *b, const struct layer_entry *e,
		      dray_error **err)
{
	const struct layer_entry *data = b->inode->data, *a = b->inode->attrs;
	struct digest x, y;

	if (data->type != e->type || a->uid != e->uid || a->gid != e->gid ||
	    (a->mode != e->mode && e->type != TAR_SYMLINK) ||
	    !layer_xattrs_same(a->xattrs, e->xattrs) || data->size != e->size)
		return 0;
	if (e->type == TAR_SYMLINK)
		return strcmp(data->link, e->link) == 0;
	if (e->type != TAR_FILE)
		return data->dev_major == e->dev_major && data->dev_minor == e->dev_minor;
	if (hash_file(m, data, &x, err) < 0 || hash_file(m, e, &y, err) < 0)
		return -1;
	return digest_eq(&x, &y);
}

int merge_say(const char *path, const char *what, enum dray_err_kind kind, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(path), 4096);

	return err_set(err, kind, "/%s: %s", shown ? shown : "", what);
}

/* Two sources want the same name and differ: 1 = the new one has it, 0 = the old one, -1. */
static int choose(struct merge *m, const char *path, dray_error **err)
{
	if (strcmp(m->conflict, "last") == 0)
		return 1;
	if (strcmp(m->conflict, "first") == 0)
		return 0;
	merge_say(path, "two sources have it, and they differ", DRAY_ERR_USAGE, err);
	return err_hint(err, "\"conflict\": \"first\" or \"last\" (--conflict) chooses");
}

/* @p e is no hard link. */
static int settle(struct merge *m, const struct node *old, const struct layer_entry *e,
		  dray_error **err)
{
	int same = 0;

	if (strcmp(m->conflict, "error") == 0 && !node_is_dir(old) && e->type != TAR_DIR)
		same = same_entry(m, old, e, err);
	if (same != 0)
		return same < 0 ? -1 : 0;
	return choose(m, e->path, err);
}

#define HINT_REPLACE "\"replace\": true in the source says that this is meant"

/* Something of the base has another type. */
static int settle_base(const struct merge_source *s, const struct node *old,
		       const struct layer_entry *e, dray_error **err)
{
	if (s->replace || (!node_is_dir(old) && e->type != TAR_DIR))
		return 1;
	merge_say(e->path,
		  node_is_dir(old) ? "it would hide a folder of the base with all that it holds"
				   : "a folder would take the place of a file or link of the base",
		  DRAY_ERR_USAGE, err);
	return err_hint(err, HINT_REPLACE);
}

/* ---- names below what is no folder ---- */

/* What stands above @p path, where a folder should be: NULL = nothing. @p key gets its path. */
static const struct node *find_blocker(struct merge *m, const char *path, char *key)
{
	const struct node *at = tree_root(m->tree);

	for (size_t len = strcspn(path, "/"); at && path[len];
	     len += 1 + strcspn(path + len + 1, "/")) {
		const char *part = memrchr(path, '/', len);

		part = part ? part + 1 : path;
		at = tree_child(m->tree, at, part, (size_t)(path + len - part));
		if (!at || node_is_dir(at))
			continue;
		memcpy(key, path, len);
		key[len] = '\0';
		return at;
	}
	return NULL;
}

/* Did a source take it over from the base? */
static bool is_over(const struct merge *m, const char *path)
{
	return map_get(&m->over, span_str(path)) != NULL;
}

static int settle_blocker(struct merge *m, const struct merge_source *s, const struct node *old,
			  const char *where, const char *path, dray_error **err)
{
	bool of_base = old->layer < m->n_base, last = strcmp(m->conflict, "last") == 0;

	if (of_base ? s->replace : last && (s->replace || !is_over(m, where)))
		return 1;
	if (!of_base && strcmp(m->conflict, "first") == 0)
		return 0;
	of_base = of_base || last;
	cleanup_free char *above = text_safe(span_str(where), 4096);
	cleanup_free char *shown = text_safe(span_str(path), 4096);
	err_set(err, DRAY_ERR_USAGE, "/%s: /%s, which is no folder, %s", shown ? shown : "",
		above ? above : "", of_base ? "is of the base" : "is of another source");
	return err_hint(err, of_base ? HINT_REPLACE
				     : "\"conflict\": \"first\" or \"last\" (--conflict) chooses");
}

/* A name where the tree has none. */
static int settle_new(struct merge *m, const struct merge_source *s, const char *path,
		      dray_error **err)
{
	cleanup_free char *where = mem_alloc(strlen(path) + 1);
	const struct node *old;
	const struct own *mine;

	if (!where)
		return err_nomem(err);
	old = find_blocker(m, path, where);
	if (!old)
		return 1;
	mine = map_get(&m->own, span_str(where));
	return mine && mine->e.type == TAR_DIR ? 1 : settle_blocker(m, s, old, where, path, err);
}

/* ---- folders that are described twice ---- */

static unsigned vague_at(const struct merge *m, const char *path)
{
	return (unsigned)(uintptr_t)map_get(&m->vague, span_str(path));
}

static int note_vague(struct merge *m, const char *path, unsigned vague, dray_error **err)
{
	if (vague_at(m, path) == vague)
		return 0;
	return map_put(&m->vague, span_str(path), (void *)(uintptr_t)vague, err);
}

/* What @p e says vaguely is what was there before. */
static void yield_to(const struct layer_entry *old, unsigned vague, struct layer_entry *e)
{
	if (vague & VAGUE_MODE)
		e->mode = old->mode;
	if (vague & VAGUE_OWNER) {
		e->uid = old->uid;
		e->gid = old->gid;
	}
	if ((vague & VAGUE_XATTRS) || ((vague & VAGUE_MODE) && !e->xattrs))
		e->xattrs = old->xattrs;
}

static bool same_folder(const struct layer_entry *a, const struct layer_entry *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
	       layer_xattrs_same(a->xattrs, b->xattrs);
}

/* Do they disagree on something that both mean? */
static bool differs(const struct layer_entry *old, unsigned old_vague, const struct layer_entry *e,
		    unsigned vague)
{
	struct layer_entry said = *old;

	yield_to(e, old_vague & ~vague, &said);
	return !same_folder(&said, e);
}

/* Another source described it. */
static int settle_described(struct merge *m, const struct layer_entry *old, unsigned vague,
			    struct layer_entry *e, dray_error **err)
{
	unsigned before = vague_at(m, e->path);
	int rc;

	yield_to(old, vague, e);
	if (differs(old, before, e, vague)) {
		rc = choose(m, e->path, err);
		if (rc <= 0)
			return rc;
	}
	if (note_vague(m, e->path, before & vague, err) < 0)
		return -1;
	return !same_folder(old, e);
}

/* How vague is what the source says of its folder? */
static unsigned vague_said(const struct merge_source *s, const char *path)
{
	uintptr_t told = s->vague_of ? (uintptr_t)map_get(s->vague_of, span_str(path)) : 0;

	if (s->weak && s->weak[0] && strcmp(path, s->weak) == 0)
		return VAGUE_MODE | VAGUE_OWNER | VAGUE_XATTRS;
	return told ? (unsigned)(told - 1) : s->vague;
}

/* What a mkdir said of a folder that is no more, as after a whiteout, binds nobody. */
static int forget_told(struct merge *m, const char *path, dray_error **err)
{
	if (!map_get(&m->told, span_str(path)))
		return 0;
	return map_put(&m->told, span_str(path), NULL, err);
}

/* @p old: the folder in the tree, or NULL. */
static int settle_folder(struct merge *m, const struct merge_source *s, const struct node *old,
			 const char *path, struct layer_entry *e, dray_error **err)
{
	unsigned vague = vague_said(s, path);
	const struct layer_entry *said = old && old->entry ? old->inode->attrs : NULL;

	if (s->is_mkdir && map_get(&m->told, span_str(e->path)) && said)
		return settle_described(m, said, vague, e, err);
	if (s->is_mkdir)
		return map_put(&m->told, span_str(e->path), m, err) < 0 ||
				       note_vague(m, e->path, vague, err) < 0
			       ? -1
			       : 1;
	if (said && map_get(&m->told, span_str(e->path)))
		return 0;
	if (!said)
		return forget_told(m, e->path, err) < 0 || note_vague(m, e->path, vague, err) < 0
			       ? -1
			       : 1;
	if (old->layer >= m->n_base)
		return settle_described(m, said, vague, e, err);
	yield_to(said, vague, e);
	return !vague || !same_folder(said, e);
}

/* ---- all of them ---- */

static bool same_kind(const struct node *old, const struct layer_entry *e)
{
	return node_is_dir(old) == (e->type == TAR_DIR);
}

/*
 * @p e takes the place of @p old, or of nothing: who comes next has to know what that was of the
 * base.
 */
static int note_over(struct merge *m, const struct node *old, const struct layer_entry *e,
		     dray_error **err)
{
	bool same = old && same_kind(old, e), is = same && old->layer < m->n_base;

	if (is == is_over(m, e->path) || (same && !is))
		return 0;
	return map_put(&m->over, span_str(e->path), is ? m : NULL, err);
}

int merge_settle(struct merge *m, const struct merge_source *s, const char *path,
		 struct layer_entry *e, dray_error **err)
{
	const struct node *old = tree_find(m->tree, e->path);
	bool of_base = old && old->layer < m->n_base;
	int rc = 1;

	if (!old) {
		rc = settle_new(m, s, e->path, err);
	} else if (node_is_dir(old) && e->type == TAR_DIR) {
		rc = settle_folder(m, s, old, path, e, err);
	} else {
		if (!of_base)
			rc = settle(m, old, e, err);
		if (rc > 0 && (of_base || (!same_kind(old, e) && is_over(m, e->path))))
			rc = settle_base(s, old, e, err);
	}
	if (rc > 0 && e->type == TAR_DIR && (!old || !node_is_dir(old)))
		rc = settle_folder(m, s, NULL, path, e, err);
	return rc > 0 ? note_over(m, old, e, err) < 0 ? -1 : 1 : rc;
}
