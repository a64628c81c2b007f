/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources into one tree: where their entries really belong, and who comes first.
 * Relies on layer/tree for what an entry does to a tree.
 * Promises that nothing of a base is hidden by accident: a merged /usr stays merged.
 */
#include "build/merge.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "digest/digest.h"

/* What a source has under a name of its own, whether or not the tree takes it. */
struct own {
	struct layer_entry e; /* no hard link */
	const char *at;	      /* the last of its names that the tree takes; NULL = none */
};

static void forget_source(struct merge *m)
{
	map_clear(&m->real);
	map_clear(&m->moved);
	map_clear(&m->links);
	map_clear(&m->own);
}

void merge_clear(struct merge *m)
{
	forget_source(m);
	map_clear(&m->told);
	map_clear(&m->vague);
	arena_clear(&m->arena);
}

/* ---- where a folder really is ---- */

/* The text of the symbolic link at cleaned @p path; NULL = none is there. */
static const char *link_at(const struct merge *m, const char *path)
{
	const char *own = map_get(&m->links, span_str(path));
	const struct node *n = own ? NULL : tree_find(m->tree, path);

	if (own)
		return own[0] ? own : NULL;
	return n && node_type(n) == TAR_SYMLINK ? n->inode->data->link : NULL;
}

/* Take the last part off. */
static void go_up(struct buf *at)
{
	while (at->len > 0 && at->data[at->len - 1] != '/')
		at->len--;
	at->len -= at->len > 0;
}

/* One part more; the NUL behind is not counted. */
static int go_down(struct buf *at, const char *part, size_t len, dray_error **err)
{
	if (at->len > 0 && buf_add_byte(at, '/', err) < 0)
		return -1;
	if (buf_add(at, span_of(part, len), err) < 0 || buf_add_byte(at, 0, err) < 0)
		return -1;
	at->len--;
	return 0;
}

/* What is still to be walked: @p text, then the rest of what was. */
static int redirect(const char *text, const char *rest, char **ret, dray_error **err)
{
	char *joined = mem_printf("%s/%s", text, rest);

	if (!joined)
		return err_nomem(err);
	mem_free(*ret);
	*ret = joined;
	return strlen(joined) <= LIMIT_PATH
		       ? 0
		       : err_set(err, DRAY_ERR_LIMIT, "symbolic links make a path over LIMIT_PATH");
}

static int walk(struct merge *m, const char *path, struct buf *at, dray_error **err)
{
	cleanup_free char *todo = mem_strdup(path);
	size_t hops = 0, pos = 0;

	if (!todo)
		return err_nomem(err);
	while (todo[pos]) {
		size_t len = strcspn(todo + pos, "/"), before = at->len;
		const char *text;

		if (len == 2 && memcmp(todo + pos, "..", 2) == 0)
			go_up(at);
		else if (len > 0 && !(len == 1 && todo[pos] == '.') &&
			 go_down(at, todo + pos, len, err) < 0)
			return -1;
		pos += len + (todo[pos + len] == '/');
		text = at->len > before ? link_at(m, (const char *)at->data) : NULL;
		if (!text)
			continue;
		if (++hops > LIMIT_SYMLINK_HOPS)
			return err_set(err, DRAY_ERR_FORMAT,
				       "more than %d symbolic links on the way "
				       "(LIMIT_SYMLINK_HOPS)",
				       LIMIT_SYMLINK_HOPS);
		at->len = text[0] == '/' ? 0 : before;
		if (redirect(text, todo + pos, &todo, err) < 0)
			return -1;
		pos = 0;
	}
	return 0;
}

int merge_resolve(struct merge *m, const char *path, const char **ret, dray_error **err)
{
	cleanup_buf struct buf at = BUF_INIT(2 * LIMIT_PATH);

	if (walk(m, path, &at, err) < 0)
		return -1;
	*ret = arena_strndup(&m->arena, at.len ? (const char *)at.data : "", at.len);
	return *ret ? 0 : err_nomem(err);
}

/* The same for a folder that many entries lie in. */
static int real_folder(struct merge *m, struct span folder, const char **ret, dray_error **err)
{
	const char *key;

	*ret = map_get(&m->real, folder);
	if (*ret)
		return 0;
	key = arena_strndup(&m->arena, (const char *)folder.data, folder.len);
	if (!key)
		return err_nomem(err);
	if (merge_resolve(m, key, ret, err) < 0)
		return -1;
	if (strcmp(key, *ret) != 0 && !map_get(&m->moved, folder)) {
		if (m->on_moved)
			m->on_moved(m->arg, key, *ret);
		if (map_put(&m->moved, span_str(key), m, err) < 0)
			return -1;
	}
	return map_put(&m->real, span_str(key), (void *)(uintptr_t)*ret, err);
}

/* @p path with its folder as it really is. */
static int real_path(struct merge *m, const char **path, dray_error **err)
{
	const char *slash = strrchr(*path, '/'), *folder;

	if (!m->follow || !slash)
		return 0;
	if (real_folder(m, span_of(*path, (size_t)(slash - *path)), &folder, err) < 0)
		return -1;
	if (strlen(folder) == (size_t)(slash - *path) && memcmp(folder, *path, strlen(folder)) == 0)
		return 0;
	*path = arena_printf(&m->in->arena, "%s%s%s", folder, folder[0] ? "/" : "", slash + 1);
	return *path ? 0 : err_nomem(err);
}

/* ---- who comes first ---- */

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

static int say_path(const char *path, const char *what, enum dray_err_kind kind, dray_error **err)
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
	say_path(path, "two sources have it, and they differ", DRAY_ERR_USAGE, err);
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
	say_path(e->path,
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

static int settle_blocker(struct merge *m, const struct merge_source *s, const struct node *old,
			  const char *where, const char *path, dray_error **err)
{
	bool of_base = old->layer < m->n_base;

	if (of_base ? s->replace : strcmp(m->conflict, "last") == 0)
		return 1;
	if (!of_base && strcmp(m->conflict, "first") == 0)
		return 0;
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

/* @p old: the folder in the tree, or NULL. */
static int settle_folder(struct merge *m, const struct merge_source *s, const struct node *old,
			 const char *path, struct layer_entry *e, dray_error **err)
{
	unsigned vague = s->weak && s->weak[0] && strcmp(path, s->weak) == 0
				 ? VAGUE_MODE | VAGUE_OWNER | VAGUE_XATTRS
				 : s->vague;
	const struct layer_entry *said = old && old->entry ? old->inode->attrs : NULL;

	if (s->is_mkdir)
		return map_put(&m->told, span_str(e->path), m, err) < 0 ? -1 : 1;
	if (map_get(&m->told, span_str(e->path)))
		return 0;
	if (!said)
		return note_vague(m, e->path, vague, err) < 0 ? -1 : 1;
	if (old->layer >= m->n_base)
		return settle_described(m, said, vague, e, err);
	yield_to(said, vague, e);
	return !vague || !same_folder(said, e);
}

/* ---- hard links ---- */

static int find_own(struct merge *m, const struct layer_entry *link, struct own **ret,
		    dray_error **err)
{
	*ret = map_get(&m->own, span_str(link->link));
	if (*ret && (*ret)->e.type != TAR_DIR)
		return 0;
	cleanup_free char *path = text_safe(span_str(link->path), 4096);
	cleanup_free char *shown = text_safe(span_str(link->link), 4096);
	return err_set(err, DRAY_ERR_FORMAT,
		       "/%s: a hard link to /%s, which is no file that the source has before it",
		       path ? path : "", shown ? shown : "");
}

/* The hard link @p e as the file that it names. */
static struct layer_entry as_file(const struct layer_entry *e, const struct layer_entry *file)
{
	struct layer_entry ret = *e;

	ret.type = file->type;
	ret.link = file->link;
	ret.size = file->size;
	ret.data_off = file->data_off;
	ret.dev_major = file->dev_major;
	ret.dev_minor = file->dev_minor;
	if (!ret.xattrs)
		ret.xattrs = file->xattrs;
	return ret;
}

/* Only what somebody may ask for is noted: folders, and files where there are hard links. */
static int note_own(struct merge *m, const struct layer_entry *e, struct own *own, bool kept,
		    dray_error **err)
{
	struct span key = span_str(e->path);

	if (e->type == TAR_DIR ? !kept : !m->has_hardlinks)
		return map_get(&m->own, key) ? map_put(&m->own, key, NULL, err) : 0;
	if (!own) {
		own = arena_alloc(&m->arena, sizeof(*own));
		if (!own)
			return err_nomem(err);
		*own = (struct own){ .e = *e };
	}
	if (kept)
		own->at = e->path;
	return map_put(&m->own, key, own, err);
}

/* ---- one entry ---- */

/* Where it really goes, and that it takes nothing away there. */
static int set_place(struct merge *m, struct layer_entry *e, dray_error **err)
{
	if (real_path(m, &e->path, err) < 0 ||
	    (e->type == TAR_HARDLINK && real_path(m, &e->link, err) < 0))
		return -1;
	if (whiteout_within(e->path))
		return say_path(e->path, "a name that begins with \".wh.\" would remove files",
				DRAY_ERR_FORMAT, err);
	return 0;
}

/* A folder over a link to a folder is that folder, which stays what it is: 1, 0, -1. */
static int is_linked_folder(struct merge *m, const struct layer_entry *e, dray_error **err)
{
	const struct node *n;
	const struct own *own;
	const char *real;

	if (!m->follow || e->type != TAR_DIR || !link_at(m, e->path))
		return 0;
	if (merge_resolve(m, e->path, &real, err) < 0)
		return -1;
	n = tree_find(m->tree, real);
	own = map_get(&m->own, span_str(real));
	return (n && node_is_dir(n)) || (own && own->e.type == TAR_DIR);
}

/* Does @p e, which is at its place and no hard link, go into the tree? 1, 0, -1. */
static int wanted(struct merge *m, const struct merge_source *s, const char *path,
		  struct layer_entry *e, dray_error **err)
{
	const struct node *old = tree_find(m->tree, e->path);
	int rc = is_linked_folder(m, e, err);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (!old) {
		rc = settle_new(m, s, e->path, err);
		return rc > 0 && e->type == TAR_DIR ? settle_folder(m, s, NULL, path, e, err) : rc;
	}
	if (node_is_dir(old) && e->type == TAR_DIR)
		return settle_folder(m, s, old, path, e, err);
	return old->layer >= m->n_base ? settle(m, old, e, err) : settle_base(s, old, e, err);
}

/* Links that come, and those that make room for something else. */
static int note_link(struct merge *m, const struct layer_entry *e, dray_error **err)
{
	const char *text = e->type == TAR_SYMLINK ? e->link : "";

	if (!m->follow || (!text[0] && !link_at(m, e->path)))
		return 0;
	map_clear(&m->real);
	return map_put(&m->links, span_str(e->path), (void *)(uintptr_t)text, err);
}

/* The same, with all that later entries have to know of it. */
static int take(struct merge *m, const struct merge_source *s, struct layer_entry *e,
		dray_error **err)
{
	const char *path = e->path;
	struct layer_entry file;
	struct own *own = NULL;
	int rc;

	if (set_place(m, e, err) < 0 || (e->type == TAR_HARDLINK && find_own(m, e, &own, err) < 0))
		return -1;
	file = own ? as_file(e, &own->e) : *e;
	rc = wanted(m, s, path, &file, err);
	if (rc < 0)
		return -1;
	if (rc > 0 && note_link(m, &file, err) < 0)
		return -1;
	if (own && own->at && map_get(&m->own, span_str(own->at)) == own)
		e->link = own->at;
	else
		*e = file;
	return note_own(m, &file, own, rc > 0, err) < 0 ? -1 : rc;
}

int merge_apply(struct merge *m, const struct merge_source *s, dray_error **err)
{
	size_t kept = 0;

	forget_source(m);
	m->has_hardlinks = false;
	for (size_t i = 0; i < s->ix->n; i++)
		m->has_hardlinks = m->has_hardlinks || s->ix->list[i].type == TAR_HARDLINK;
	for (size_t i = 0; i < s->ix->n; i++) {
		int rc = take(m, s, &s->ix->list[i], err);

		if (rc < 0)
			return -1;
		if (rc > 0)
			s->ix->list[kept++] = s->ix->list[i];
	}
	s->ix->n = kept;
	return tree_apply(m->tree, s->ix, err);
}
