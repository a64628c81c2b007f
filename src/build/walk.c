/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders of the host: names, attributes, links; no content is read.
 * Relies on base/io, which opens below the source's folder and follows no link.
 * Promises the same entries in the same order whatever the file system lists.
 */
#include "build/walk_priv.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include "base/glob.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

void walker_clear(struct walker *k)
{
	mem_free(k->todo.list);
	map_clear(&k->links);
	match_path_clear(&k->path);
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

int walk_join(struct arena *a, const char *dir, const char *name, const char **ret,
	      dray_error **err)
{
	*ret = arena_printf(a, "%s%s%s", dir, dir[0] && name[0] ? "/" : "", name);
	if (*ret && strlen(*ret) > LIMIT_PATH)
		return err_set(err, DRAY_ERR_LIMIT, "a path over LIMIT_PATH (%lld bytes)",
			       LIMIT_PATH);
	return *ret ? 0 : err_nomem(err);
}

/* ---- extended attributes ---- */

static bool wants_xattr(const struct walk *w, const char *name)
{
	static const char *const defaults[] = { "security.capability", "user.*" };

	if (!w->xattrs || !w->xattrs->set) {
		for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
			if (glob_match(defaults[i], name))
				return true;
		return false;
	}
	for (size_t i = 0; i < w->xattrs->n; i++)
		if (glob_match(w->xattrs->list[i], name))
			return true;
	return false;
}

static int add_xattr(struct arena *a, int dir, const char *base, const char *name,
		     struct layer_xattrs *x, dray_error **err)
{
	cleanup_buf struct buf value = BUF_INIT(LIMIT_PAX);
	struct tar_xattr *to = &x->list[x->n];
	int rc = io_get_xattr(dir, base, name, &value, err);

	if (rc <= 0)
		return rc;
	to->name = arena_dup(a, span_str(name));
	to->value = value.len ? arena_dup(a, span_buf(&value)) : SPAN_LIT("");
	if (!to->name.data || !to->value.data)
		return err_nomem(err);
	x->n++;
	return 0;
}

static int count_names(struct span names, const struct walk *w, size_t *ret, dray_error **err)
{
	*ret = 0;
	for (size_t i = 0; i < names.len; i += strlen((const char *)names.data + i) + 1)
		*ret += wants_xattr(w, (const char *)names.data + i);
	return *ret <= LIMIT_XATTRS
		       ? 0
		       : err_set(err, DRAY_ERR_LIMIT, "more than %d attributes (LIMIT_XATTRS)",
				 LIMIT_XATTRS);
}

/* The names come in any order; layer_xattrs_sorted() sorts them when they are written. */
static int read_xattrs(struct walker *k, int dir, const char *base, struct layer_entry *e,
		       dray_error **err)
{
	cleanup_buf struct buf names = BUF_INIT(LIMIT_PAX);
	struct arena *a = &k->w->in->arena;
	struct layer_xattrs *x;
	size_t n;

	if (io_list_xattrs(dir, base, &names, err) < 0 ||
	    count_names(span_buf(&names), k->w, &n, err) < 0)
		return -1;
	if (n == 0)
		return 0;
	x = arena_alloc(a, sizeof(*x) + n * sizeof(x->list[0]));
	if (!x)
		return err_nomem(err);
	for (size_t i = 0; i < names.len; i += strlen((const char *)names.data + i) + 1) {
		const char *name = (const char *)names.data + i;

		if (wants_xattr(k->w, name) && add_xattr(a, dir, base, name, x, err) < 0)
			return -1;
	}
	e->xattrs = x;
	return 0;
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

static int read_link(struct walker *k, int dir, const char *base, struct layer_entry *e,
		     dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_PATH);

	if (io_readlinkat(dir, base, &text, err) < 0)
		return -1;
	e->link = arena_strndup(&k->w->in->arena, (const char *)text.data, text.len);
	return e->link ? 0 : err_nomem(err);
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

int walk_add(struct walker *k, const char *path, const char *rel, int dir, const char *base,
	     const struct stat *st, dray_error **err)
{
	enum tar_type type = tar_type_of_mode(st->st_mode);
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
	set_attributes(e, st);
	if (is_overlay_whiteout(e))
		return err_set(err, DRAY_ERR_FORMAT,
			       "a character device 0:0 is overlayfs's whiteout");
	if (type == TAR_SYMLINK && read_link(k, dir, base, e, err) < 0)
		return -1;
	if (type == TAR_FILE && add_content(k, rel, st, e, err) < 0)
		return -1;
	if (base && read_xattrs(k, dir, base, e, err) < 0)
		return -1;
	policy_apply(k->w->policy, e);
	return 0;
}

/* @p rel is the path below the root; @p dir and @p base lead there. */
static int add_entry(struct walker *k, const char *rel, int dir, const char *base,
		     const struct stat *st, dray_error **err)
{
	const char *path = rel;

	if (k->w->to[0] && walk_join(&k->w->in->arena, k->w->to, rel, &path, err) < 0)
		return -1;
	return walk_add(k, path, rel, dir, base, st, err);
}

/* ---- folders ---- */

static int look_at(struct walker *k, const char *rel, bool is_dir, bool *ret_in, bool *ret_out,
		   dray_error **err)
{
	*ret_in = k->w->include.n == 0;
	*ret_out = false;
	if (k->w->include.n == 0 && k->w->exclude.n == 0)
		return 0;
	if (match_path_set(&k->path, rel, err) < 0)
		return -1;
	*ret_in = *ret_in || match_any_holds(&k->w->include, &k->path, is_dir);
	*ret_out = match_any(&k->w->exclude, &k->path, is_dir);
	return 0;
}

static int visit(struct walker *k, int dir, const char *parent, const char *name, dray_error **err)
{
	const char *rel;
	struct stat st;
	bool in, out;

	if (walk_join(&k->w->in->arena, parent, name, &rel, err) < 0)
		return -1;
	if (io_fstatat(dir, name, AT_SYMLINK_NOFOLLOW, &st, err) < 0 ||
	    look_at(k, rel, S_ISDIR(st.st_mode), &in, &out, err) < 0)
		return walk_at(k->w, rel, err);
	if (out)
		return 0;
	if (S_ISDIR(st.st_mode) && todo_add(&k->todo, rel, err) < 0)
		return -1;
	if (in && add_entry(k, rel, dir, name, &st, err) < 0)
		return walk_at(k->w, rel, err);
	return 0;
}

static int visit_folder(struct walker *k, const char *rel, dray_error **err)
{
	cleanup_io_names struct io_names names = { 0 };
	cleanup_fd int dir = io_open_beneath(k->root, rel, err);

	if (dir < 0 || io_list(dir, &names, err) < 0)
		return walk_at(k->w, rel, err);
	for (size_t i = 0; i < names.n; i++)
		if (visit(k, dir, rel, names.list[i], err) < 0)
			return -1;
	return 0;
}

static int visit_all(struct walker *k, dray_error **err)
{
	for (size_t i = 0; i < k->todo.n; i++)
		if (visit_folder(k, k->todo.list[i], err) < 0)
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
	struct stat st;
	cleanup_walker struct walker k = { .w = w, .ix = ret, .root = walk_open(w, &st, err) };

	if (k.root < 0)
		return -1;
	if (w->to[0] && add_entry(&k, "", k.root, NULL, &st, err) < 0)
		return walk_at(w, "", err);
	return todo_add(&k.todo, "", err) < 0 ? -1 : visit_all(&k, err);
}

int walk_names(const struct walk *w, const char *const *names, size_t n, struct layer_index *ret,
	       dray_error **err)
{
	struct stat st;
	cleanup_walker struct walker k = { .w = w, .ix = ret, .root = walk_open(w, &st, err) };

	if (k.root < 0)
		return -1;
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
