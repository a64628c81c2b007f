/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders of the host: names, attributes, links; no content is read.
 * Relies on base/io, which opens below the source's folder and follows no link.
 * Promises the same entries in the same order whatever the file system lists.
 */
#include "build/walk_priv.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

void walker_clear(struct walker *k)
{
	mem_free(k->todo.list);
	map_clear(&k->links);
	looker_clear(&k->looker);
}

static int todo_add(struct todo *t, const char *path, dray_error **err)
{
	if (mem_grow(&t->list, t->n, &t->cap, sizeof(*t->list)) < 0)
		return err_nomem(err);
	t->list[t->n++] = path;
	return 0;
}

int walk_at(const struct walk *w, const char *path, dray_error **err)
{
	cleanup_free char *root = text_safe(span_str(w->root), 4096);
	cleanup_free char *shown = text_safe(span_str(path), 4096);

	return err_ctx(err, "%s%s%s", root ? root : "", path[0] ? "/" : "", shown ? shown : "");
}

/* Called for each name: printf would take longer than all else that is done with it here. */
int walk_join(struct arena *a, const char *dir, const char *name, const char **ret,
	      dray_error **err)
{
	size_t n = strlen(dir), len = strlen(name), slash = n && len;
	char *path = arena_alloc(a, n + slash + len + 1);

	if (!path)
		return err_nomem(err);
	memcpy(path, dir, n);
	if (slash)
		path[n] = '/';
	memcpy(path + n + slash, name, len);
	*ret = path;
	return n + slash + len > LIMIT_PATH
		       ? err_set(err, DRAY_ERR_LIMIT, "a path over LIMIT_PATH (%lld bytes)",
				 LIMIT_PATH)
		       : 0;
}

/* ---- entries ---- */

static void set_attributes(struct layer_entry *e, const struct stat *st)
{
	e->mode = (uint32_t)st->st_mode & 07777;
	e->uid = st->st_uid;
	e->gid = st->st_gid;
	e->mtime = st->st_mtim.tv_sec;
	if (e->type != TAR_CHAR && e->type != TAR_BLOCK_DEV)
		return;
	e->dev_major = major(st->st_rdev);
	e->dev_minor = minor(st->st_rdev);
}

/* Strings of a looker's, which will soon be gone. */
static int keep_xattrs(struct arena *a, const struct layer_xattrs *from,
		       const struct layer_xattrs **ret, dray_error **err)
{
	struct layer_xattrs *x = arena_alloc(a, sizeof(*x) + from->n * sizeof(x->list[0]));

	if (!x)
		return err_nomem(err);
	for (; x->n < from->n; x->n++) {
		struct tar_xattr *to = &x->list[x->n];

		*to = from->list[x->n];
		to->name = arena_dup(a, to->name);
		if (to->value.len)
			to->value = arena_dup(a, to->value);
		if (!to->name.data || !to->value.data)
			return err_nomem(err);
	}
	*ret = x;
	return 0;
}

static int keep_looked(struct walker *k, struct looked *l, struct layer_entry *e, dray_error **err)
{
	struct arena *a = &k->w->in->arena;

	if (l->error)
		return looked_error(l, err);
	if (l->link && !(e->link = arena_strdup(a, l->link)))
		return err_nomem(err);
	return l->xattrs ? keep_xattrs(a, l->xattrs, &e->xattrs, err) : 0;
}

/* Another name of a file that was met: device and inode, since either alone is not enough. */
static int find_first(struct walker *k, const struct stat *st, struct layer_entry *e,
		      dray_error **err)
{
	struct {
		uint64_t dev, ino;
	} id = { st->st_dev, st->st_ino };
	struct span key = span_of(&id, sizeof(id));
	const char *first = map_get(&k->links, key);

	if (first) {
		e->type = TAR_HARDLINK;
		e->link = first;
		return 1;
	}
	key = arena_dup(&k->w->in->arena, key);
	if (!key.data)
		return err_nomem(err);
	return map_put(&k->links, key, (void *)(uintptr_t)e->path, err);
}

static int add_content(struct walker *k, const char *rel, const struct stat *st,
		       struct layer_entry *e, dray_error **err)
{
	const struct content c = { .kind = CONTENT_FILE,
				   .size = st->st_size,
				   .dirfd = k->root,
				   .path = rel,
				   .seen = seen_of(st) };
	int first = !k->apart && st->st_nlink > 1 ? find_first(k, st, e, err) : 0;

	if (first != 0)
		return first < 0 ? -1 : 0;
	e->size = st->st_size;
	return inputs_add(k->w->in, &c, &e->data_off, err);
}

static int add_looked(struct walker *k, const char *path, const char *rel, struct looked *l,
		      dray_error **err)
{
	enum tar_type type = tar_type_of_mode(l->st.st_mode);
	struct layer_entry *e;

	if (type == TAR_OTHER)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "a socket is nothing that an image can hold");
	if (whiteout_within(path))
		return err_set(err, DRAY_ERR_FORMAT,
			       "a name that begins with \".wh.\" would remove files");
	e = entries_add(k->ix, path, type, err);
	if (!e)
		return -1;
	set_attributes(e, &l->st);
	if (is_overlay_whiteout(e))
		return err_set(err, DRAY_ERR_FORMAT,
			       "a character device 0:0 is overlayfs's whiteout");
	if (type == TAR_FILE && add_content(k, rel, &l->st, e, err) < 0)
		return -1;
	if (keep_looked(k, l, e, err) < 0)
		return -1;
	policy_apply(k->w->policy, e);
	return 0;
}

int walk_add(struct walker *k, const char *path, const char *rel, int dir, const char *base,
	     const struct stat *st, dray_error **err)
{
	cleanup_looker struct looker looker = { .w = k->w };
	cleanup_looked struct looked l = { .st = *st };

	if (base)
		look_closer(&looker, dir, base, &l);
	return add_looked(k, path, rel, &l, err);
}

/* @p rel is the path below the root. */
static int add_entry(struct walker *k, const char *rel, struct looked *l, dray_error **err)
{
	const char *path = rel;

	if (k->w->to[0] && walk_join(&k->w->in->arena, k->w->to, rel, &path, err) < 0)
		return -1;
	return add_looked(k, path, rel, l, err);
}

/* ---- folders ---- */

static int take_name(struct walker *k, const char *parent, struct looked *l, dray_error **err)
{
	const char *rel;

	if (walk_join(&k->w->in->arena, parent, l->name, &rel, err) < 0)
		return -1;
	if (!l->judged) {
		looked_error(l, err);
		return walk_at(k->w, rel, err);
	}
	if (l->out)
		return 0;
	if (S_ISDIR(l->st.st_mode) && todo_add(&k->todo, rel, err) < 0)
		return -1;
	if (l->in && add_entry(k, rel, l, err) < 0)
		return walk_at(k->w, rel, err);
	return 0;
}

/* What nobody looked at ahead. */
static int visit(struct walker *k, int dir, const char *parent, const char *name, dray_error **err)
{
	cleanup_looked struct looked l = { 0 };

	arena_clear(&k->looker.arena);
	look_name(&k->looker, dir, parent, name, &l);
	return take_name(k, parent, &l, err);
}

static int visit_rest(struct walker *k, struct looked_folder *f, dray_error **err)
{
	cleanup_fd int dir = io_open_beneath(k->root, f->rel, err);

	if (dir < 0 || (f->late && io_list(dir, &f->names, err) < 0))
		return walk_at(k->w, f->rel, err);
	for (size_t i = f->n; i < f->names.n; i++)
		if (visit(k, dir, f->rel, f->names.list[i], err) < 0)
			return -1;
	return 0;
}

static int take_folder(struct walker *k, struct looked_folder *f, dray_error **err)
{
	if (f->error) {
		if (err)
			*err = steal_pointer(&f->error);
		return walk_at(k->w, f->rel, err);
	}
	for (size_t i = 0; i < f->n; i++)
		if (take_name(k, f->rel, &f->list[i], err) < 0)
			return -1;
	return f->late || f->n < f->names.n ? visit_rest(k, f, err) : 0;
}

static int visit_all(struct walker *k, dray_error **err)
{
	cleanup_ahead struct ahead *ahead = ahead_new(k->w, k->root, err);
	struct looked_folder *f;

	if (!ahead)
		return -1;
	while ((f = ahead_next(ahead, &k->todo)))
		if (take_folder(k, f, err) < 0)
			return -1;
	return 0;
}

int walk_open(const struct walk *w, struct stat *ret, dray_error **err)
{
	int fd = io_openat(AT_FDCWD, w->root, O_RDONLY | O_DIRECTORY, 0, err);

	if (fd < 0)
		return -1;
	return inputs_keep_fd(w->in, fd, err) < 0 || io_fstat(fd, ret, err) < 0 ? -1 : fd;
}

int walk_dir(const struct walk *w, struct layer_index *ret, dray_error **err)
{
	struct looked l = { 0 };
	cleanup_walker struct walker k = { .w = w, .ix = ret, .root = walk_open(w, &l.st, err) };

	if (k.root < 0)
		return -1;
	if (w->to[0] && add_entry(&k, "", &l, err) < 0)
		return walk_at(w, "", err);
	k.looker.w = w;
	return todo_add(&k.todo, "", err) < 0 ? -1 : visit_all(&k, err);
}

int walk_names(const struct walk *w, const char *const *names, size_t n, struct layer_index *ret,
	       dray_error **err)
{
	struct stat st;
	cleanup_walker struct walker k = { .w = w, .ix = ret, .root = walk_open(w, &st, err) };

	if (k.root < 0)
		return -1;
	k.looker.w = w;
	for (size_t i = 0; i < n; i++)
		if (visit(&k, k.root, "", names[i], err) < 0)
			return -1;
	return visit_all(&k, err);
}

/* ---- one file ---- */

int walk_file(const struct walk *w, struct layer_index *ret, dray_error **err)
{
	struct content c = { .kind = CONTENT_FILE, .dirfd = AT_FDCWD, .path = w->root };
	struct layer_entry *e;
	struct stat st;

	if (io_fstatat(AT_FDCWD, w->root, 0, &st, err) < 0)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		cleanup_free char *shown = text_safe(span_str(w->root), 4096);

		return err_set(err, DRAY_ERR_USAGE, "%s: it is no file", shown ? shown : "");
	}
	e = entries_add(ret, w->to, TAR_FILE, err);
	if (!e)
		return -1;
	set_attributes(e, &st);
	c.seen = seen_of(&st);
	c.size = e->size = st.st_size;
	policy_apply(w->policy, e);
	return inputs_add(w->in, &c, &e->data_off, err);
}
