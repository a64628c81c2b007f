/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources into one tree: where their entries really belong, and who comes first.
 * Relies on layer/tree for what an entry does to a tree.
 * Promises that nothing of a base is hidden by accident: a merged /usr stays merged.
 */
#include "build/merge_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

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
	map_clear(&m->over);
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
		return merge_say(e->path, "a name that begins with \".wh.\" would remove files",
				 DRAY_ERR_FORMAT, err);
	return 0;
}

/* A folder over a link to a folder is that one, which is at *ret then: 1, 0, -1. */
static int is_linked_folder(struct merge *m, const struct layer_entry *e, const char **ret,
			    dray_error **err)
{
	const struct node *n;
	const struct own *own;

	if (!m->follow || e->type != TAR_DIR || !link_at(m, e->path))
		return 0;
	if (merge_resolve(m, e->path, ret, err) < 0)
		return -1;
	n = tree_find(m->tree, *ret);
	own = map_get(&m->own, span_str(*ret));
	return (n && node_is_dir(n)) || (own && own->e.type == TAR_DIR);
}

/* What a mkdir says is meant, so it says it of the folder that the link leads to. */
static int go_behind_link(struct merge *m, const char *real, struct layer_entry *e,
			  dray_error **err)
{
	if (!real[0])
		return merge_say(e->path, "it leads to the root", DRAY_ERR_USAGE, err);
	if (m->on_moved)
		m->on_moved(m->arg, e->path, real);
	e->path = arena_strdup(&m->in->arena, real);
	return e->path ? 0 : err_nomem(err);
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
	const char *path = e->path, *real;
	struct layer_entry file;
	struct own *own = NULL;
	int rc;

	if (set_place(m, e, err) < 0 || (e->type == TAR_HARDLINK && find_own(m, e, &own, err) < 0))
		return -1;
	file = own ? as_file(e, &own->e) : *e;
	rc = is_linked_folder(m, &file, &real, err);
	if (rc > 0 && s->is_mkdir)
		rc = go_behind_link(m, real, &file, err);
	if (rc == 0)
		rc = merge_settle(m, s, path, &file, err);
	else if (rc > 0) /* what trees say of it is not meant: it stays what it is */
		rc = 0;
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
