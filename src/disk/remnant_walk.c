/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the folder of a layer, as the entries of a tar.
 * Relies on: beneath.h for every name; remnant_attributes() for what a driver noted.
 * Promises: one order whatever the file system lists; nothing is opened but folders.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "disk/remnant.h"

#define SHOWN_MAX 300
#define HIDDEN ".wh." /* how a tar begins the name of what its layer took away */
#define HIDDEN_ALL ".wh..wh..opq"
#define AUFS ".wh..wh."	  /* aufs's own */
#define SUBORDINATE 65536 /* owners that a user namespace shifts */

struct todo {
	const char *path; /* below the layer's folder; "" = itself */
	bool below;	  /* a folder of the tree below, too */
};
struct walker {
	struct arena *a;
	struct remnant *r;
	int top, below; /* below -1 = nothing to compare with */
	struct todo *todo;
	size_t n, cap;
};

static void walker_clear(struct walker *w)
{
	cleanup_fd_fn(&w->top);
	cleanup_fd_fn(&w->below);
	mem_free(w->todo);
}
#define cleanup_walker CLEANUP(walker_clear)

static int at_path(const char *path, dray_error **err)
{
	cleanup_free char *safe = text_safe(span_str(path), SHOWN_MAX);

	return err_ctx(err, "\"%s\"", safe ? safe : "?");
}

static int push(struct walker *w, const char *path, bool below, dray_error **err)
{
	if (mem_grow(&w->todo, w->n, &w->cap, sizeof(*w->todo)) < 0)
		return err_nomem(err);
	w->todo[w->n++] = (struct todo){ path, below };
	return 0;
}

static const char *join(struct walker *w, const char *dir, const char *mark, const char *name,
			dray_error **err)
{
	const char *path = arena_printf(w->a, "%s%s%s%s", dir, dir[0] ? "/" : "", mark, name);

	if (!path)
		err_nomem(err);
	else if (strlen(path) > LIMIT_PATH) {
		err_set(err, DRAY_ERR_LIMIT, "a path over LIMIT_PATH (%lld bytes)", LIMIT_PATH);
		path = NULL;
	}
	return path;
}

/* ---- entries ---- */

static int add(struct walker *w, const struct remnant_entry *e, dray_error **err)
{
	struct remnant *r = w->r;

	if (r->n >= LIMIT_LAYER_ENTRIES)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d entries (LIMIT_LAYER_ENTRIES)",
			       LIMIT_LAYER_ENTRIES);
	if (mem_grow(&r->list, r->n, &r->cap, sizeof(*r->list)) < 0)
		return err_nomem(err);
	r->list[r->n++] = *e;
	return 0;
}

/* "dir/.wh.name", empty and everybody's, as engines write it. */
static int add_hidden(struct walker *w, const char *dir, const char *mark, const char *name,
		      dray_error **err)
{
	const struct remnant_entry e = {
		.path = join(w, dir, mark, name, err),
		.type = TAR_FILE,
		.mode = 0600,
	};

	return e.path ? add(w, &e, err) : -1;
}

static uint32_t shifted_back(uint32_t id, int64_t base)
{
	return base && id >= base && id - base < SUBORDINATE ? (uint32_t)(id - base) : id;
}

/* Whole seconds, as engines write them. */
static struct remnant_entry entry_of(const struct walker *w, const struct stat *st)
{
	struct remnant_entry e = {
		.type = (uint8_t)tar_type_of_mode(st->st_mode),
		.mode = (uint32_t)st->st_mode & 07777,
		.uid = shifted_back(st->st_uid, w->r->from.uid_base),
		.gid = shifted_back(st->st_gid, w->r->from.gid_base),
		.mtime = st->st_mtim.tv_sec,
	};

	if (e.type == TAR_FILE) {
		e.size = st->st_size;
		e.holes = st->st_blocks < st->st_size / 512;
	}
	if (e.type == TAR_FILE && st->st_nlink > 1) {
		e.dev = st->st_dev;
		e.ino = st->st_ino;
	}
	if (e.type == TAR_CHAR || e.type == TAR_BLOCK_DEV) {
		e.dev_major = major(st->st_rdev);
		e.dev_minor = minor(st->st_rdev);
	}
	return e;
}

static int read_link(struct walker *w, int dir, const char *name, struct remnant_entry *e,
		     dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_PATH);

	if (io_readlinkat(dir, name, &text, err) < 0)
		return -1;
	e->link = arena_strndup(w->a, text.len ? (const char *)text.data : "", text.len);
	return e->link ? 0 : err_nomem(err);
}

/* ---- against the tree below ---- */

static bool same(const struct stat *a, const struct stat *b)
{
	if (a->st_mode != b->st_mode || a->st_uid != b->st_uid || a->st_gid != b->st_gid ||
	    a->st_rdev != b->st_rdev || a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
	    a->st_mtim.tv_nsec != b->st_mtim.tv_nsec)
		return false;
	return S_ISDIR(a->st_mode) || (a->st_size == b->st_size && a->st_nlink == b->st_nlink);
}

/* *ret_same: the layer did not change it. *ret_dir: it is a folder there. */
static int look_below(struct walker *w, const struct todo *t, const char *path,
		      const struct stat *st, bool *ret_same, bool *ret_dir, dray_error **err)
{
	struct stat old;
	int there;

	*ret_same = *ret_dir = false;
	if (!t->below)
		return 0;
	there = beneath_stat(w->below, path, &old, err);
	if (there <= 0)
		return there;
	*ret_same = same(st, &old);
	*ret_dir = S_ISDIR(old.st_mode);
	return 0;
}

static int hide_missing(struct walker *w, const struct todo *t, const struct names *here,
			dray_error **err)
{
	cleanup_names struct names there = { 0 };
	struct arena scratch = { 0 };
	size_t at = 0;
	int rc = beneath_list(w->below, t->path, &scratch, &there, err);

	for (size_t i = 0; rc == 0 && i < there.n; i++) {
		int order = 1;

		while (at < here->n && (order = strcmp(here->list[at], there.list[i])) < 0)
			at++;
		if (at == here->n || order != 0)
			rc = add_hidden(w, t->path, HIDDEN, there.list[i], err);
	}
	arena_clear(&scratch);
	return rc;
}

/* ---- one name ---- */

static int add_dir(struct walker *w, const char *path, bool opaque, bool below, dray_error **err)
{
	if (opaque && add_hidden(w, path, HIDDEN_ALL, "", err) < 0)
		return -1;
	return push(w, path, below, err);
}

/* What aufs, and fuse-overlayfs without rights, keep of a name that is gone. */
static int add_marked(struct walker *w, const char *dir, const char *name, const struct stat *st,
		      dray_error **err)
{
	if (strcmp(name, HIDDEN_ALL) == 0)
		return add_hidden(w, dir, HIDDEN_ALL, "", err);
	if (span_starts(span_str(name), AUFS) || !S_ISREG(st->st_mode) || !name[strlen(HIDDEN)])
		return 0;
	return add_hidden(w, dir, "", name, err);
}

static int add_name(struct walker *w, const struct todo *t, int dir, const char *name,
		    const struct stat *st, dray_error **err)
{
	struct remnant_entry e = entry_of(w, st);
	struct remnant_marks marks;
	bool unchanged, below;

	e.path = join(w, t->path, "", name, err);
	if (!e.path || look_below(w, t, e.path, st, &unchanged, &below, err) < 0 ||
	    (e.type == TAR_SYMLINK && read_link(w, dir, name, &e, err) < 0) ||
	    remnant_attributes(w->a, dir, name, &e, &marks, err) < 0)
		return -1;
	if (marks.elsewhere)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "the kernel keeps its content in a layer below");
	if (marks.whiteout || (e.type == TAR_CHAR && !e.dev_major && !e.dev_minor))
		return add_hidden(w, t->path, HIDDEN, name, err);
	e.unchanged = unchanged;
	w->r->n_xattrs += unchanged ? 0 : marks.n_left;
	/* A name that nobody touched is written if another one of its file is: they stay one file. */
	if ((!unchanged || e.ino) && add(w, &e, err) < 0)
		return -1;
	return e.type == TAR_DIR ? add_dir(w, e.path, marks.opaque, below, err) : 0;
}

/* What a socket stands in place of is gone all the same. */
static int hide_replaced(struct walker *w, const struct todo *t, const char *name, dray_error **err)
{
	struct stat old;
	const char *path;
	int there;

	if (!t->below)
		return 0;
	path = join(w, t->path, "", name, err);
	there = path ? beneath_stat(w->below, path, &old, err) : -1;
	if (there <= 0 || S_ISSOCK(old.st_mode))
		return there < 0 ? -1 : 0;
	return add_hidden(w, t->path, HIDDEN, name, err);
}

static int look(struct walker *w, const struct todo *t, int dir, const char *name, dray_error **err)
{
	struct stat st;

	if (io_fstatat(dir, name, AT_SYMLINK_NOFOLLOW, &st, err) < 0)
		return -1;
	if (S_ISSOCK(st.st_mode)) { /* nothing that a tar can hold: engines leave it out, too */
		w->r->n_sockets++;
		return hide_replaced(w, t, name, err);
	}
	if (span_starts(span_str(name), HIDDEN))
		return w->r->from.whole ? 0 : add_marked(w, t->path, name, &st, err);
	return add_name(w, t, dir, name, &st, err);
}

static int list_folder(struct walker *w, const struct todo *t, dray_error **err)
{
	cleanup_names struct names here = { 0 };
	struct arena scratch = { 0 };
	cleanup_fd int dir = io_open_beneath(w->top, t->path, err);
	int rc = dir < 0 ? beneath_failed(err)
			 : beneath_list(w->top, t->path, &scratch, &here, err);

	if (rc == 0 && t->below)
		rc = hide_missing(w, t, &here, err);
	for (size_t i = 0; rc == 0 && i < here.n; i++) {
		rc = look(w, t, dir, here.list[i], err);
		if (rc < 0)
			at_path(here.list[i], err);
	}
	arena_clear(&scratch);
	return rc < 0 && t->path[0] ? at_path(t->path, err) : rc;
}

/* ---- all of them ---- */

/* As a walk through the tree meets them: '/' before any other byte. */
static int by_path(const void *a, const void *b)
{
	const uint8_t *x = (const uint8_t *)((const struct remnant_entry *)a)->path;
	const uint8_t *y = (const uint8_t *)((const struct remnant_entry *)b)->path;

	while (*x && *x == *y)
		x++, y++;
	if (*x == *y)
		return 0;
	if (*x == '/' || *y == '/')
		return *x == '/' ? (*y ? -1 : 1) : (*x ? 1 : -1);
	return *x < *y ? -1 : 1;
}

/* Two notes of a driver can say one thing: an attribute and a file of aufs's kind. */
static void drop_twins(struct remnant *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->n; i++)
		if (kept == 0 || strcmp(r->list[kept - 1].path, r->list[i].path) != 0)
			r->list[kept++] = r->list[i];
	r->n = kept;
}

static struct span inode_of(const struct remnant_entry *e)
{
	return span_of(&e->dev, sizeof(e->dev) + sizeof(e->ino));
}

/* Files of which no name was touched. */
static int drop_unchanged(struct remnant *r, dray_error **err)
{
	struct map changed = { 0 };
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->n; i++)
		if (r->list[i].ino && !r->list[i].unchanged)
			rc = map_put(&changed, inode_of(&r->list[i]), r, err);
	for (size_t i = 0; rc == 0 && i < r->n; i++)
		if (r->list[i].unchanged && map_get(&changed, inode_of(&r->list[i])))
			r->list[i].unchanged = false;
	map_clear(&changed); /* its keys are the list's */
	for (size_t i = 0; rc == 0 && i < r->n; i++)
		if (!r->list[i].unchanged)
			r->list[kept++] = r->list[i];
	if (rc == 0)
		r->n = kept;
	return rc;
}

/* Holes are written as zeros, of which a file can claim more than any disk has. */
static int count_holes(struct remnant *r, const struct remnant_entry *e, dray_error **err)
{
	if (!e->holes)
		return 0;
	if (__builtin_add_overflow(r->expanded, e->size, &r->expanded) ||
	    r->expanded > LIMIT_SPARSE_SIZE) {
		err_set(err, DRAY_ERR_LIMIT,
			"files with holes of more than %lld bytes (LIMIT_SPARSE_SIZE)",
			LIMIT_SPARSE_SIZE);
		return at_path(e->path, err);
	}
	return 0;
}

/* The first name of a file has its bytes, the others are links to it. */
static int link_names(struct remnant *r, dray_error **err)
{
	struct map firsts = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->n; i++) {
		struct remnant_entry *e = &r->list[i];
		const struct remnant_entry *first = e->ino ? map_get(&firsts, inode_of(e)) : NULL;

		if (first) {
			e->type = TAR_HARDLINK;
			e->link = first->path;
			e->size = 0;
			continue;
		}
		rc = count_holes(r, e, err);
		if (rc == 0 && e->ino)
			rc = map_put(&firsts, inode_of(e), e, err);
	}
	map_clear(&firsts);
	return rc;
}

static int begin(struct walker *w, dray_error **err)
{
	const struct remnant_from *from = &w->r->from;

	w->top = io_open_beneath(from->root, from->files, err);
	if (w->top < 0)
		return beneath_failed(err);
	if (from->whole && from->below) {
		w->below = io_open_beneath(from->below_root, from->below, err);
		if (w->below < 0)
			return beneath_failed(err);
	}
	return push(w, "", w->below >= 0, err);
}

/* What the driver noted of the top folder itself. */
static int look_at_top(struct walker *w, dray_error **err)
{
	struct remnant_entry e = { .type = TAR_DIR };
	struct remnant_marks marks;

	if (w->r->from.whole)
		return 0;
	if (remnant_attributes(w->a, w->top, "", &e, &marks, err) < 0)
		return -1;
	return marks.opaque ? add_hidden(w, "", HIDDEN_ALL, "", err) : 0;
}

int remnant_walk(struct arena *a, struct remnant *r, dray_error **err)
{
	cleanup_walker struct walker w = { .a = a, .r = r, .top = -1, .below = -1 };

	if (begin(&w, err) < 0 || look_at_top(&w, err) < 0)
		return -1;
	while (w.n) {
		const struct todo t = w.todo[--w.n];

		if (list_folder(&w, &t, err) < 0)
			return -1;
	}
	if (r->n)
		qsort(r->list, r->n, sizeof(*r->list), by_path);
	drop_twins(r);
	return drop_unchanged(r, err) < 0 ? -1 : link_names(r, err);
}
