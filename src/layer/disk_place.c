/* SPDX-License-Identifier: Apache-2.0
 *
 * For: moving what was built in the stage to where it belongs.
 * Relies on: rename(2) within one file system; the tree, to know what was built.
 * Promises: without force nothing that was there changes, and a failure takes back what was moved.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "layer/disk_priv.h"

/* A user may move a folder only when he may write in it. */
static int unlock_folder(const struct disk *d, const struct node *n, int in, const char *name,
			 dray_error **err)
{
	return d->root || !node_is_dir(n) ? 0 : io_chmodat(in, name, 0700, err);
}

/* Some file systems set the time of a folder that moves. */
static int set_again(const struct disk *d, const struct node *n, int in, const char *name,
		     dray_error **err)
{
	cleanup_fd int fd = -1;

	if (!node_is_dir(n))
		return 0;
	fd = io_openat(in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	return fd < 0 ? -1 : disk_attributes(d, fd, "", n->inode->attrs, TAR_DIR, true, NULL, err);
}

/* What the tree has no use for goes while a failure still changes nothing. */
static int drop_files(const struct disk *d, dray_error **err)
{
	return io_remove_tree(d->stage, DISK_FILES, err);
}

int disk_place(struct disk *d, int parent, const char *name, dray_error **err)
{
	int rc;

	if (drop_files(d, err) < 0)
		return -1;
	if (d->name || d->loose) /* the folder around it is nobody's */
		return io_moveat(d->stage, DISK_TREE, parent, name, true, err);
	if (unlock_folder(d, d->top, d->stage, DISK_TREE, err) < 0 ||
	    io_moveat(d->stage, DISK_TREE, parent, name, true, err) < 0)
		return -1;
	rc = set_again(d, d->top, parent, name, err);
	if (rc < 0)
		(void)!io_moveat(parent, name, d->stage, DISK_TREE, true, NULL);
	return rc;
}

/* ---- into a folder that is there ---- */

struct merge {
	struct disk *d;
	int target;
	bool force;
};

static const struct node *first_node(const struct disk *d)
{
	return d->name ? d->top : d->top->child;
}

/* A user's own folder may bar him; finish_merged() sets its mode. */
static int unlock_target(const struct disk *d, int to, const char *name, const struct stat *st,
			 dray_error **err)
{
	if (d->root || st->st_uid != d->uid || (st->st_mode & 0700) == 0700)
		return 0;
	return io_chmodat(to, name, 0700, err);
}

/* Put @p n in the place of what has its name: 0, 1 = both are folders, -1. */
static int replace(struct merge *m, const struct node *n, int from, int to, dray_error **err)
{
	const char *name = disk_name(m->d, n);
	bool folder = node_is_dir(n);
	struct stat st;

	if (io_fstatat(to, name, AT_SYMLINK_NOFOLLOW, &st, err) < 0)
		return -1;
	if (folder && S_ISDIR(st.st_mode)) {
		m->d->folders[m->d->n_folders++] = n; /* it was there while we built */
		return unlock_target(m->d, to, name, &st, err) < 0 ? -1 : 1;
	}
	if ((folder && io_unlinkat(to, name, err) < 0) ||
	    (S_ISDIR(st.st_mode) && io_rmdirat(to, name, err) < 0))
		return -1;
	if (io_moveat(from, name, to, name, false, err) < 0)
		return -1;
	return set_again(m->d, n, to, name, err);
}

static int move(struct merge *m, const struct node *n, dray_error **err)
{
	const char *name = disk_name(m->d, n);
	cleanup_error dray_error *e = NULL;
	int from = disk_folder_of(m->d, n, m->d->tree, &m->d->at, err);
	int to = from < 0 ? -1 : disk_folder_of(m->d, n, m->target, &m->d->first, err);

	if (to < 0 || unlock_folder(m->d, n, from, name, err) < 0)
		return -1;
	if (io_moveat(from, name, to, name, true, &e) == 0) {
		if (set_again(m->d, n, to, name, err) == 0)
			return 0;
		(void)!io_moveat(to, name, from, name, true, NULL);
		return -1;
	}
	if (dray_error_errno(e) == EEXIST && m->force)
		return replace(m, n, from, to, err);
	if (dray_error_errno(e) == EEXIST) {
		err_set(err, DRAY_ERR_USAGE, "it is there already");
		return err_hint(err, "--force replaces it");
	}
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int move_all(struct merge *m, const struct node **ret_at, dray_error **err)
{
	const struct node *end = disk_end(m->d), *n = first_node(m->d);
	int rc = 0;

	for (; n && n != end; n = rc ? tree_next(n) : tree_skip(n)) {
		*ret_at = n;
		rc = move(m, n, err);
		if (rc < 0)
			return disk_failed(n, err);
	}
	*ret_at = end;
	return 0;
}

/* Of folders that were there: their contents came first. */
static int finish_merged(struct merge *m, dray_error **err)
{
	struct disk *d = m->d;

	for (size_t i = d->n_folders; i-- > 0;) {
		const struct node *n = d->folders[i];
		int fd = disk_open_folder(d, n, m->target, &d->first, err);

		if (fd < 0 ||
		    disk_attributes(d, fd, "", n->inode->attrs, TAR_DIR, false, NULL, err) < 0)
			return disk_failed(n, err);
	}
	if (d->name || d->loose || !d->top->inode->attrs)
		return 0;
	return disk_attributes(d, m->target, "", d->top->inode->attrs, TAR_DIR, false, NULL, err);
}

/* Back into the stage, which is removed. Best effort: the failure is told already. */
static void take_back(struct merge *m, const struct node *until)
{
	const struct node *end = disk_end(m->d);

	for (const struct node *n = first_node(m->d); n && n != end && n != until;
	     n = tree_skip(n)) {
		const char *name = disk_name(m->d, n);

		(void)!unlock_folder(m->d, n, m->target, name, NULL);
		(void)!io_moveat(m->target, name, m->d->tree, name, true, NULL);
	}
}

int disk_merge(struct disk *d, int target, bool force, dray_error **err)
{
	struct merge m = { d, target, force };
	const struct node *at = first_node(d);

	d->n_folders = 0;
	if (drop_files(d, err) < 0)
		return -1;
	if (move_all(&m, &at, err) == 0 && finish_merged(&m, err) == 0)
		return 0;
	if (!force)
		take_back(&m, at);
	return -1;
}
