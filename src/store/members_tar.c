/* SPDX-License-Identifier: Apache-2.0 */

/* Members of a regular tar file: its headers are walked once, its data stays where it is.
 * Relies on the file not changing below us; extents report it when it does.
 * Promises that any number of members may be open at once, on any thread. */

#include "store/members.h"

#include <unistd.h>
#include "base/io.h"
#include "base/mem.h"
#include "tar/tar.h"

struct tar_members {
	struct members members;
	int fd;
	bool own;
};

static struct source *open_extent(const struct members *m, const struct member *e, dray_error **err)
{
	const struct tar_members *t = (const struct tar_members *)m;

	return source_from_extent(t->fd, e->off, e->size, err);
}

static void tar_members_free(struct members *m)
{
	struct tar_members *t = (struct tar_members *)m;

	members_clear(m);
	if (t->own)
		cleanup_fd_fn(&t->fd);
	mem_free(t);
}

static const struct members_ops tar_ops = { .open = open_extent, .free = tar_members_free };

static int index_members(struct members *m, struct source *in, dray_error **err)
{
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(in, members_odd, m, err);
	const struct tar_entry *entry;
	struct member *e;
	int rc;

	if (!r)
		return -1;
	while ((rc = tar_next(r, &entry, err)) > 0)
		if (members_add_entry(m, entry, &e, err) < 0)
			return -1;
	return rc;
}

int members_open_tar(int fd, bool own, struct notes *notes, struct members **ret, dray_error **err)
{
	cleanup_fd int owned = own ? fd : -1;
	struct stat st;

	if (io_fstat(fd, &st, err) < 0)
		return -1;
	cleanup_source struct source *in = source_from_extent(fd, 0, st.st_size, err);
	if (!in)
		return -1;
	struct tar_members *t = mem_zalloc(sizeof(*t));
	if (!t)
		return err_nomem(err);
	cleanup_members struct members *m = &t->members;
	members_init(m, &tar_ops, notes);
	t->fd = fd;
	t->own = own;
	owned = -1;
	if (index_members(m, in, err) < 0 || members_finish(m, err) < 0)
		return -1;
	*ret = steal_pointer(&m);
	return 0;
}
