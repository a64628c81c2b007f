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

void merge_clear(struct merge *m)
{
	map_clear(&m->real);
	map_clear(&m->links);
	map_clear(&m->told);
	arena_clear(&m->arena);
}

/* ---- where a folder really is ---- */

/* The text of the symbolic link at cleaned @p path; NULL = none is there. */
static const char *link_at(const struct merge *m, const char *path)
{
	const char *own = map_get(&m->links, span_str(path));
	const struct node *n = own ? NULL : tree_find(m->tree, path);

	if (own)
		return own;
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
	if (m->on_moved && strcmp(key, *ret) != 0)
		m->on_moved(m->arg, key, *ret);
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

static int say_path(const char *path, const char *what, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(path), 4096);

	return err_set(err, DRAY_ERR_USAGE, "/%s: %s", shown ? shown : "", what);
}

/* Two sources want the same name: 1 = the new one has it, 0 = the old one, -1. */
static int settle(struct merge *m, const struct node *old, const struct layer_entry *e,
		  dray_error **err)
{
	const struct node *target;
	int same;

	if (strcmp(m->conflict, "last") == 0)
		return 1;
	if (strcmp(m->conflict, "first") == 0)
		return 0;
	if (node_is_dir(old) || e->type == TAR_DIR) {
		same = 0;
	} else if (e->type == TAR_HARDLINK) {
		target = tree_find(m->tree, e->link);
		same = target && target->inode == old->inode;
	} else {
		same = same_entry(m, old, e, err);
	}
	if (same != 0)
		return same < 0 ? -1 : 0;
	say_path(e->path, "two sources have it, and they differ", err);
	return err_hint(err, "\"conflict\": \"first\" or \"last\" (--conflict) chooses");
}

static int settle_folder(struct merge *m, const struct merge_source *s, size_t i,
			 const struct layer_entry *e, dray_error **err)
{
	if (s->weak_root && i == 0)
		return 0;
	if (s->is_mkdir)
		return map_put(&m->told, span_str(e->path), m, err) < 0 ? -1 : 1;
	return !map_get(&m->told, span_str(e->path));
}

/* Something of the base has another type. */
static int settle_base(const struct merge_source *s, const struct node *old,
		       const struct layer_entry *e, dray_error **err)
{
	if (s->replace || (!node_is_dir(old) && e->type != TAR_DIR))
		return 1;
	say_path(e->path,
		 node_is_dir(old) ? "it would hide a folder of the base with all that it holds"
				  : "a folder would take the place of a file or link of the base",
		 err);
	return err_hint(err, "\"replace\": true in the source says that this is meant");
}

/* Does entry @p i go into the tree? 1, 0, -1. */
static int wanted(struct merge *m, const struct merge_source *s, size_t i, dray_error **err)
{
	struct layer_entry *e = &s->ix->list[i];
	const struct node *old;
	const char *real;

	if (real_path(m, &e->path, err) < 0 ||
	    (e->type == TAR_HARDLINK && real_path(m, &e->link, err) < 0))
		return -1;
	/* A folder over a link to a folder is that folder, which stays what it is. */
	if (m->follow && e->type == TAR_DIR && link_at(m, e->path)) {
		const struct node *n;

		if (merge_resolve(m, e->path, &real, err) < 0)
			return -1;
		n = tree_find(m->tree, real);
		if (n && node_is_dir(n))
			return 0;
	}
	old = tree_find(m->tree, e->path);
	if (!old)
		return s->is_mkdir && e->type == TAR_DIR ? settle_folder(m, s, i, e, err) : 1;
	if (node_is_dir(old) && e->type == TAR_DIR)
		return settle_folder(m, s, i, e, err);
	return old->layer >= m->n_base ? settle(m, old, e, err) : settle_base(s, old, e, err);
}

static int note_link(struct merge *m, const struct layer_entry *e, dray_error **err)
{
	if (e->type != TAR_SYMLINK)
		return 0;
	return map_put(&m->links, span_str(e->path), (void *)(uintptr_t)e->link, err);
}

int merge_apply(struct merge *m, const struct merge_source *s, dray_error **err)
{
	size_t kept = 0;

	map_clear(&m->real);
	map_clear(&m->links);
	for (size_t i = 0; i < s->ix->n; i++) {
		int rc = wanted(m, s, i, err);

		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		if (m->follow && note_link(m, &s->ix->list[i], err) < 0)
			return -1;
		s->ix->list[kept++] = s->ix->list[i];
	}
	s->ix->n = kept;
	return tree_apply(m->tree, s->ix, err);
}
