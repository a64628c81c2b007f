/* SPDX-License-Identifier: Apache-2.0
 *
 * For: owner, mode, extended attributes and time of what was put on the disk.
 * Relies on: base/io for calls that follow no link.
 * Promises: what rights or the file system do not allow is counted, never silently lost.
 */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/io.h"
#include "layer/disk_priv.h"

static const struct layer_entry undescribed = { .type = TAR_DIR, .mode = 0755 };

/* Who gets what the image gives to this user, this group. */
static uid_t user_of(const struct disk *d, const struct layer_entry *a)
{
	return d->o.owners && disk_ids_hold(&d->rights.uids, a->uid) ? a->uid : d->uid;
}

static gid_t group_of(const struct disk *d, const struct layer_entry *a)
{
	return d->o.owners && disk_ids_hold(&d->rights.gids, a->gid) ? a->gid : d->gid;
}

static bool owner_differs(const struct disk *d, const struct layer_entry *a)
{
	return a->uid != user_of(d, a) || a->gid != group_of(d, a);
}

/* A program that runs as somebody else than the image says is a trap. */
static mode_t lost_bits(const struct disk *d, const struct layer_entry *a, enum tar_type type)
{
	mode_t lost = 0;

	if (type == TAR_DIR)
		return 0;
	lost |= a->uid != user_of(d, a) ? S_ISUID : 0;
	lost |= a->gid != group_of(d, a) ? S_ISGID : 0;
	return a->mode & lost;
}

void disk_count_lost(struct disk *d, const struct layer_entry *a, enum tar_type type)
{
	if (!a)
		a = &undescribed;
	d->left[DISK_LEFT_OWNERS] += owner_differs(d, a);
	d->left[DISK_LEFT_SETID] += lost_bits(d, a, type) != 0;
}

/* Setting the owner takes setuid bits and capabilities away: before all else. */
static int set_owner(const struct disk *d, int dirfd, const char *path, const struct layer_entry *a,
		     bool fresh, dray_error **err)
{
	uid_t uid = user_of(d, a);
	gid_t gid = group_of(d, a);

	if (fresh && uid == d->uid && gid == d->gid)
		return 0;
	if (io_chownat(dirfd, path, uid, gid, err) == 0)
		return 0;
	return err_hint(err, "--no-same-owner leaves all to you");
}

static enum disk_left kind_of(const char *name)
{
	if (span_starts(span_str(name), "security."))
		return DISK_LEFT_SECURITY;
	return span_starts(span_str(name), "trusted.") ? DISK_LEFT_TRUSTED : DISK_LEFT_XATTRS;
}

static int set_xattr(int dirfd, const char *path, const struct tar_xattr *x, int64_t *left,
		     dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	char name[NAME_MAX + 1];

	if (x->name.len > NAME_MAX || memchr(x->name.data, 0, x->name.len))
		return err_set(err, DRAY_ERR_FORMAT, "an attribute has no name that Linux knows");
	memcpy(name, x->name.data, x->name.len);
	name[x->name.len] = 0;
	if (io_setxattrat(dirfd, path, name, x->value, &e) == 0)
		return 0;
	switch (dray_error_errno(e)) {
	case EPERM:
	case EACCES:
	case EOPNOTSUPP:
		if (left)
			left[kind_of(name)]++;
		return 0;
	default:
		if (err)
			*err = steal_pointer(&e);
		return -1;
	}
}

/* Those of the system, as ACLs, go with the mode; the others need a file that may be written. */
static int set_xattrs(const struct layer_xattrs *x, int dirfd, const char *path, bool of_system,
		      int64_t *left, dray_error **err)
{
	for (size_t i = 0; x && i < x->n; i++)
		if (span_starts(x->list[i].name, "system.") == of_system &&
		    !xattr_is_overlay(x->list[i].name) &&
		    set_xattr(dirfd, path, &x->list[i], left, err) < 0)
			return -1;
	return 0;
}

int disk_attributes(const struct disk *d, int dirfd, const char *path, const struct layer_entry *a,
		    enum tar_type type, bool fresh, int64_t *left, dray_error **err)
{
	const struct layer_xattrs *x;

	if (!a)
		a = &undescribed;
	x = d->o.xattrs ? a->xattrs : NULL;
	if (set_owner(d, dirfd, path, a, fresh, err) < 0)
		return -1;
	if (!fresh && !d->root && type != TAR_SYMLINK && io_chmodat(dirfd, path, 0700, err) < 0)
		return -1;
	if (set_xattrs(x, dirfd, path, false, left, err) < 0)
		return -1;
	if (type != TAR_SYMLINK &&
	    io_chmodat(dirfd, path, (a->mode & 07777) ^ lost_bits(d, a, type), err) < 0)
		return -1;
	if (set_xattrs(x, dirfd, path, true, left, err) < 0)
		return -1;
	return io_utimeat(dirfd, path, a->mtime, a->mtime_nsec, err);
}
