/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the disk writer share.
 */
#pragma once

#include <sys/types.h>

#include "base/map.h"
#include "layer/disk.h"

#define DISK_TREE "tree"
#define DISK_FILES "files"

/* A folder of the tree that is open: the next name is mostly in it or below it. */
struct disk_at {
	const struct node *node;
	int fd; /* owned; -1 = none */
};

/* Numbers of users or groups that exist where we run. */
struct disk_range {
	int64_t first, n;
};
struct disk_ids {
	struct disk_range *list;
	size_t n; /* 0 = nothing is known against any */
};
bool disk_ids_hold(const struct disk_ids *ids, uint32_t id);

/** To whom root may give files; begin with zeroes, which is to all. */
struct disk_rights {
	bool none; /* to nobody else */
	struct disk_ids uids, gids;
};
int disk_rights_init(struct disk_rights *r, dray_error **err) MUST_CHECK;
void disk_rights_clear(struct disk_rights *r);

struct disk {
	int stage;	 /* lent */
	int tree, files; /* folders of the stage; owned */
	struct disk_options o;
	struct disk_rights rights; /* of use with o.owners */
	uid_t uid; /* whose a new file is */
	gid_t gid;
	bool root; /* modes do not bind us */
	const struct node *top;
	const char *name;
	bool loose; /* the folder around what is made is nobody's */
	size_t top_len; /* bytes of the path of top */
	struct disk_homes homes;
	struct disk_at at, first;
	struct map firsts; /* address of an inode, or of an entry with content -> first node */
	const struct node **folders;
	size_t n_folders, cap_folders;
	int64_t names, bytes;
	int64_t left[DISK_LEFT_KINDS];
};

/** The node behind the last one below @p top. */
const struct node *disk_end(const struct disk *d);
/** What @p n is called on the disk. */
const char *disk_name(const struct disk *d, const struct node *n);
/** Open folder @p dir; NULL = the one that the top, which has a name, lies in. */
int disk_open_folder(const struct disk *d, const struct node *dir, int base, struct disk_at *at,
		     dray_error **err) MUST_CHECK;
/** The folder that @p n lies in, open in *at, below @p base: the tree or what it was moved to. */
int disk_folder_of(const struct disk *d, const struct node *n, int base, struct disk_at *at,
		   dray_error **err) MUST_CHECK;
void disk_at_clear(struct disk_at *at);
/** "PATH: " before the error. Returns -1. */
int disk_failed(const struct node *n, dray_error **err);

/**
 * Owner, mode, attributes and time of @p a (NULL = of a folder that nobody described) to @p path
 * in @p dirfd, or to @p dirfd itself when that is "". @p fresh: made by us, nothing set yet.
 * @p left (may be NULL) counts the attributes that cannot be set.
 */
int disk_attributes(const struct disk *d, int dirfd, const char *path, const struct layer_entry *a,
		    enum tar_type type, bool fresh, int64_t *left, dray_error **err) MUST_CHECK;
/** Count what disk_attributes() takes from the owner and the mode. */
void disk_count_lost(struct disk *d, const struct layer_entry *a, enum tar_type type);
