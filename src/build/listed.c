/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of files as entries: what is told of each, and the file itself where that is needed.
 * Relies on build/walk for what lies on the host, on build/mtree for the list.
 * Promises that nothing outside the root is read, and that a file is what the list says of it.
 */
#include <fcntl.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "build/merge.h"
#include "build/mtree.h"
#include "build/walk_priv.h"

struct lister {
	struct walker walker;
	const struct walk *w;
	int64_t now;
	unsigned vague;
	struct map *meant;
	const char *counts; /* what numbers of lines count */
	struct buf clean;
	struct map folders; /* those that names lie in -> line of the first */
	struct map leaves;  /* what is no folder -> its line */
};

/* ---- where it lies ---- */

/* What follows the root and its '/'; NULL = it lies elsewhere. */
static const char *below(const char *root, const char *path)
{
	size_t len = strlen(root);

	while (len > 0 && root[len - 1] == '/')
		len--;
	return strncmp(path, root, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

static int find_place(struct lister *l, const struct mtree_entry *m, const char **ret,
		      dray_error **err)
{
	const char *path = m->content;

	*ret = m->path;
	if (!path)
		return 0;
	if (path[0] == '/')
		path = below(l->w->root, path);
	if (!path || (tar_name_quirks(span_str(path)) & TAR_NAME_DOTDOT))
		return err_set(err, DRAY_ERR_FORMAT, "its content lies outside the root");
	buf_reset(&l->clean);
	if (tar_name_clean(span_str(path), &l->clean, err) < 0)
		return -1;
	*ret = arena_strndup(&l->w->in->arena, l->clean.len ? (const char *)l->clean.data : "",
			     l->clean.len);
	return *ret ? 0 : err_nomem(err);
}

/* The folder that holds it, and its name there; "" = the root itself. */
static int open_folder(struct lister *l, const char *rel, const char **ret_base, dray_error **err)
{
	const char *slash = strrchr(rel, '/');
	cleanup_free char *folder = mem_strndup(rel, slash ? (size_t)(slash - rel) : 0);

	*ret_base = slash ? slash + 1 : rel;
	return folder ? io_open_beneath(l->walker.root, folder, err) : err_nomem(err);
}

/* ---- what is told ---- */

/* Has the host to be asked? */
static bool needs_file(const struct mtree_entry *m)
{
	return m->optional || m->nochange || !(m->has & MTREE_TYPE) || m->type == TAR_FILE ||
	       (m->type == TAR_SYMLINK && !m->link);
}

static void set_told(const struct lister *l, const struct mtree_entry *m, struct layer_entry *e)
{
	if (m->link && e->type == TAR_SYMLINK)
		e->link = m->link;
	if (m->nochange)
		return;
	if ((m->has & MTREE_MODE) && e->type != TAR_SYMLINK)
		e->mode = m->mode;
	if (m->has & MTREE_UID || m->uname)
		e->uid = m->uid;
	if (m->has & MTREE_GID || m->gname)
		e->gid = m->gid;
	if (m->uname)
		e->uname = m->uname;
	if (m->gname)
		e->gname = m->gname;
	if (!(m->has & MTREE_TIME))
		return;
	e->mtime = m->mtime;
	mtime_apply(&l->w->policy->mtime, e);
}

static int note_meant(struct lister *l, const struct mtree_entry *m, const char *path,
		      dray_error **err)
{
	unsigned vague = l->vague;

	if (m->nochange || !(m->has & (MTREE_MODE | MTREE_UID | MTREE_GID)))
		return 0;
	if (m->has & MTREE_MODE)
		vague &= ~(unsigned)VAGUE_MODE;
	if (m->has & (MTREE_UID | MTREE_GID))
		vague &= ~(unsigned)VAGUE_OWNER;
	return map_put(l->meant, span_str(path), (void *)(uintptr_t)(vague + 1), err);
}

/* ---- entries ---- */

static int check_digest(struct lister *l, const struct layer_entry *e, const struct digest *want,
			dray_error **err);

/* What has no bytes need not be on the host. */
static int add_made(struct lister *l, const struct mtree_entry *m, const char *path,
		    dray_error **err)
{
	struct layer_entry *e;

	if (whiteout_within(path))
		return err_set(err, DRAY_ERR_FORMAT,
			       "a name that begins with \".wh.\" would remove files");
	e = entries_add(l->walker.ix, path, m->type, err);
	if (!e)
		return -1;
	e->mode = m->type == TAR_DIR ? 0755 : 0644;
	e->mtime = l->now;
	e->dev_major = m->dev_major;
	e->dev_minor = m->dev_minor;
	if (is_overlay_whiteout(e))
		return err_set(err, DRAY_ERR_FORMAT,
			       "a character device 0:0 is overlayfs's whiteout");
	policy_apply(l->w->policy, e);
	return 0;
}

static int check_type(const struct mtree_entry *m, const struct layer_entry *e, dray_error **err)
{
	if (!(m->has & MTREE_TYPE) || m->type == e->type ||
	    (m->type == TAR_FILE && e->type == TAR_HARDLINK))
		return 0;
	return err_set(err, DRAY_ERR_CORRUPT, "it is of another type than the list says");
}

static int check_content(struct lister *l, const struct mtree_entry *m, const struct layer_entry *e,
			 dray_error **err)
{
	if (e->type != TAR_FILE)
		return 0;
	if ((m->has & MTREE_SIZE) && m->size != e->size)
		return err_set(err, DRAY_ERR_CORRUPT, "it has %lld bytes, the list says %lld",
			       (long long)e->size, (long long)m->size);
	if (m->sha256 && check_digest(l, e, m->sha256, err) < 0)
		return -1;
	return m->sha512 ? check_digest(l, e, m->sha512, err) : 0;
}

/* 1, 0 = it is not there and need not be, -1 */
static int add_found(struct lister *l, const struct mtree_entry *m, const char *path,
		     const char *rel, dray_error **err)
{
	cleanup_error dray_error *odd = NULL;
	const char *base = rel;
	cleanup_fd int dir = open_folder(l, rel, &base, m->optional ? &odd : err);
	struct stat st;
	int rc;

	if (dir >= 0)
		rc = base[0] ? io_fstatat(dir, base, AT_SYMLINK_NOFOLLOW, &st,
					  m->optional ? &odd : err)
			     : io_fstat(dir, &st, err);
	else
		rc = -1;
	if (odd && dray_error_kind(odd) == DRAY_ERR_NOT_FOUND)
		return 0;
	if (odd && err)
		*err = steal_pointer(&odd);
	if (rc < 0 || walk_add(&l->walker, path, rel, dir, base[0] ? base : NULL, &st, err) < 0 ||
	    check_type(m, &l->walker.ix->list[l->walker.ix->n - 1], err) < 0 ||
	    check_content(l, m, &l->walker.ix->list[l->walker.ix->n - 1], err) < 0)
		return walk_at(l->w, rel, err);
	return 1;
}

static void see(void *arg, struct span bytes)
{
	hash_update(arg, bytes);
}

static int check_digest(struct lister *l, const struct layer_entry *e, const struct digest *want,
			dray_error **err)
{
	cleanup_hash struct hash h = { 0 };
	struct digest have;

	if (hash_init(&h, want->algo, err) < 0)
		return -1;
	if (e->size > 0 && inputs_read(l->w->in, e->data_off, e->size, see, &h, err) < 0)
		return -1;
	if (hash_finish(&h, &have, err) < 0)
		return -1;
	return digest_expect(want, &have, "content", err);
}

/* ---- what lies in what ---- */

static int not_a_folder(const char *path, size_t len, const char *counts, size_t line,
			const char *what, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_of(path, len), 4096);

	return err_set(err, DRAY_ERR_FORMAT, "/%s is no folder, and %s %zu %s", shown ? shown : "",
		       counts, line, what);
}

/* Bytes of what @p len bytes of @p path lie in; 0 = the root. */
static size_t parent_len(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/')
		len--;
	return len > 0 ? len - 1 : 0;
}

/* A name below what is no folder would take its place. */
static int note_place(struct lister *l, const struct layer_entry *e, size_t line, dray_error **err)
{
	const char *path = e->path;
	size_t len = strlen(path), other = (size_t)map_get(&l->folders, span_str(path));

	if (e->type != TAR_DIR && other)
		return not_a_folder(path, len, l->counts, other, "tells of a name below it", err);
	if (e->type != TAR_DIR && map_put(&l->leaves, span_str(path), (void *)line, err) < 0)
		return -1;
	/* What is above a folder that is known is known. */
	while ((len = parent_len(path, len)) > 0 && !map_get(&l->folders, span_of(path, len))) {
		other = (size_t)map_get(&l->leaves, span_of(path, len));
		if (other)
			return not_a_folder(path, len, l->counts, other, "says so", err);
		if (map_put(&l->folders, span_of(path, len), (void *)line, err) < 0)
			return -1;
	}
	return 0;
}

static int add(struct lister *l, const struct mtree_entry *m, dray_error **err)
{
	const char *path, *rel;
	struct layer_entry *e;
	int rc;

	if (walk_join(&l->w->in->arena, l->w->to, m->path, &path, err) < 0)
		return -1;
	if (!path[0])
		return 0;
	if (find_place(l, m, &rel, err) < 0)
		return -1;
	rc = needs_file(m) ? add_found(l, m, path, rel, err) : add_made(l, m, path, err);
	if (rc < 0 || (needs_file(m) && rc == 0))
		return rc;
	e = &l->walker.ix->list[l->walker.ix->n - 1];
	if (e->type != TAR_HARDLINK)
		set_told(l, m, e);
	if (note_place(l, e, m->line, err) < 0)
		return -1;
	return e->type == TAR_DIR ? note_meant(l, m, path, err) : 0;
}

int walk_listed(const struct walk *w, const struct mtree *m, int64_t now, bool apart,
		unsigned vague, struct map *meant, struct layer_index *ret, dray_error **err)
{
	struct stat st;
	struct lister l = {
		.walker = { .w = w, .ix = ret, .apart = apart },
		.w = w,
		.now = now,
		.vague = vague,
		.meant = meant,
		.counts = m->counts,
		.clean = BUF_INIT(2 * LIMIT_PATH),
	};
	int rc = 0;

	l.walker.root = walk_open(w, &st, err);
	if (l.walker.root < 0)
		rc = walk_at(w, "", err);
	for (size_t i = 0; rc >= 0 && i < m->n; i++) {
		rc = add(&l, &m->list[i], err);
		if (rc < 0)
			err_ctx(err, "%s %zu", m->counts, m->list[i].line);
	}
	walker_clear(&l.walker);
	map_clear(&l.folders);
	map_clear(&l.leaves);
	buf_clear(&l.clean);
	return rc < 0 ? -1 : 0;
}
