/* SPDX-License-Identifier: Apache-2.0
 *
 * For: building a tree in the stage: contents first, then all around them.
 * Relies on: io_open_beneath() for folders, disk_attrs.c for what names carry.
 * Promises: symbolic links come after everything that is written, and are never gone through.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "layer/disk_priv.h"

#define PATH_SHOWN_MAX 300 /* bytes of a path that an error shows */
#define PUT_NAME_MAX 40	   /* bytes of "LAYER/OFFSET" */

/* ---- names and folders ---- */

static int failed_at(struct span path, dray_error **err)
{
	cleanup_free char *shown = text_safe(path, PATH_SHOWN_MAX);

	return err_ctx(err, "%s", shown ? shown : "?");
}

int disk_failed(const struct node *n, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);

	if (node_path(n, &path, NULL) < 0)
		return -1;
	return failed_at(path.len ? span_buf(&path) : SPAN_LIT("/"), err);
}

const struct node *disk_end(const struct disk *d)
{
	return tree_skip(d->top);
}

const char *disk_name(const struct disk *d, const struct node *n)
{
	return n == d->top ? d->name : n->name;
}

void disk_at_clear(struct disk_at *at)
{
	cleanup_fd_fn(&at->fd);
	*at = (struct disk_at){ .fd = -1 };
}

/* The path of folder @p n below the tree, with a NUL; the name of the top is ours. */
static int path_below(const struct disk *d, const struct node *n, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);
	struct span rest;

	buf_reset(ret);
	if (node_path(n, &path, err) < 0)
		return -1;
	rest = span_from(span_buf(&path), d->top_len);
	if (d->name && buf_add_str(ret, d->name, err) < 0)
		return -1;
	if (!d->name && span_starts(rest, "/"))
		rest = span_from(rest, 1);
	return buf_add(ret, rest, err) < 0 ? -1 : buf_add_byte(ret, 0, err);
}

int disk_open_folder(const struct disk *d, const struct node *dir, int base, struct disk_at *at,
		     dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(3 * LIMIT_PATH);
	int fd;

	if (at->fd >= 0 && at->node && dir && dir != d->top && dir->parent == at->node) {
		fd = io_openat(at->fd, dir->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	} else {
		if (dir && path_below(d, dir, &path, err) < 0)
			return -1;
		fd = io_open_beneath(base, dir ? (const char *)path.data : "", err);
	}
	disk_at_clear(at);
	*at = (struct disk_at){ dir, fd };
	return fd;
}

int disk_folder_of(const struct disk *d, const struct node *n, int base, struct disk_at *at,
		   dray_error **err)
{
	const struct node *dir = n == d->top ? NULL : n->parent;

	if (at->fd >= 0 && at->node == dir)
		return at->fd;
	return disk_open_folder(d, dir, base, at, err);
}

/* ---- begin and end ---- */

static int make_folder(int stage, const char *name, mode_t mode, dray_error **err)
{
	if (io_mkdirat(stage, name, mode, false, err) < 0)
		return -1;
	return io_openat(stage, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
}

static int begin(struct disk *d, dray_error **err)
{
	struct stat st;

	d->tree = make_folder(d->stage, DISK_TREE, 0777, err);
	d->files = d->tree < 0 ? -1 : make_folder(d->stage, DISK_FILES, 0700, err);
	if (d->files < 0 || io_fstat(d->tree, &st, err) < 0)
		return -1;
	d->uid = st.st_uid;
	d->gid = st.st_gid;
	d->root = geteuid() == 0;
	if (!d->o.owners)
		return 0;
	if (disk_rights_init(&d->rights, err) < 0)
		return -1;
	d->o.owners = !d->rights.none;
	return 0;
}

struct disk *disk_new(int stage, const struct disk_options *o, dray_error **err)
{
	cleanup_disk struct disk *d = mem_zalloc(sizeof(*d));

	if (!d) {
		err_nomem(err);
		return NULL;
	}
	d->stage = stage;
	d->tree = d->files = d->at.fd = d->first.fd = -1;
	d->o = *o;
	if (map_hash_ready(err) < 0 || begin(d, err) < 0)
		return NULL;
	return steal_pointer(&d);
}

void disk_free(struct disk *d)
{
	if (!d)
		return;
	cleanup_fd_fn(&d->tree);
	cleanup_fd_fn(&d->files);
	disk_at_clear(&d->at);
	disk_at_clear(&d->first);
	disk_rights_clear(&d->rights);
	map_clear(&d->firsts);
	mem_free(d->folders);
	mem_free(d);
}

void disk_counts(const struct disk *d, struct disk_counts *ret)
{
	ret->names = d->names;
	ret->bytes = d->bytes;
	memcpy(ret->left, d->left, sizeof(ret->left));
}

/* ---- contents ---- */

static void put_name(char ret[PUT_NAME_MAX], uint32_t home, const struct layer_entry *e)
{
	snprintf(ret, PUT_NAME_MAX, "%u/%llx", home, (unsigned long long)e->header_off);
}

int disk_add_layer(struct disk *d, uint32_t home, dray_error **err)
{
	char name[PUT_NAME_MAX];

	snprintf(name, sizeof(name), "%u", home);
	return io_mkdirat(d->files, name, 0700, true, err);
}

static int write_content(int fd, struct source *data, dray_error **err)
{
	struct span s;

	for (;;) {
		if (source_peek(data, 1, &s, err) < 0)
			return -1;
		if (s.len == 0)
			return 0;
		if (io_write_all(fd, s, err) < 0)
			return -1;
		source_consume(data, s.len);
	}
}

static int write_piece(int fd, struct source *data, const struct tar_extent *x, dray_error **err)
{
	int64_t done = 0;

	while (done < x->size) {
		struct span s;

		if (source_peek(data, 1, &s, err) < 0)
			return -1;
		s = span_head(s, (uint64_t)(x->size - done) < s.len ? (size_t)(x->size - done)
								    : s.len);
		if (s.len == 0)
			return err_set(err, DRAY_ERR_CORRUPT, "a sparse file ends early");
		if (io_pwrite_all(fd, s, x->off + done, err) < 0)
			return -1;
		source_consume(data, s.len);
		done += (int64_t)s.len;
	}
	return 0;
}

/* Holes stay holes. */
static int write_pieces(int fd, struct source *data, const struct layer_sparse *map,
			dray_error **err)
{
	for (size_t i = 0; i < map->n; i++)
		if (write_piece(fd, data, &map->list[i], err) < 0)
			return -1;
	return io_ftruncate(fd, map->size, err);
}

int disk_put(struct disk *d, uint32_t home, const struct layer_entry *e, struct source *data,
	     dray_error **err)
{
	cleanup_fd int fd = -1;
	char name[PUT_NAME_MAX];

	put_name(name, home, e);
	fd = io_openat(d->files, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, err);
	if (fd < 0 ||
	    (e->sparse ? write_pieces(fd, data, e->sparse, err) : write_content(fd, data, err)) < 0)
		return failed_at(span_str(e->path), err);
	/* Attributes are seldom, and set when it is known that the file is wanted. */
	if (!e->xattrs && disk_attributes(d, fd, "", e, TAR_FILE, true, NULL, err) < 0)
		return failed_at(span_str(e->path), err);
	return io_close(steal_fd(&fd), err) < 0 ? failed_at(span_str(e->path), err) : 0;
}

/* ---- folders ---- */

static int add_folder(struct disk *d, const struct node *n, dray_error **err)
{
	int in;

	if (n == d->top && d->loose)
		return 0;
	if (mem_grow(&d->folders, d->n_folders, &d->cap_folders, sizeof(struct node *)) < 0)
		return err_nomem(err);
	d->folders[d->n_folders++] = n;
	if (n == d->top && !d->name)
		return 0;
	in = disk_folder_of(d, n, d->tree, &d->at, err);
	if (in < 0 || io_mkdirat(in, disk_name(d, n), 0700, false, err) < 0)
		return disk_failed(n, err);
	return 0;
}

/* Children first: what happens in a folder changes its time. */
static int finish_folders(struct disk *d, dray_error **err)
{
	for (size_t i = d->n_folders; i-- > 0;) {
		const struct node *n = d->folders[i];
		int fd = disk_open_folder(d, n, d->tree, &d->at, err);

		if (cancel_check(err) < 0)
			return -1;
		if (fd < 0 ||
		    disk_attributes(d, fd, "", n->inode->attrs, TAR_DIR, true, d->left, err) < 0)
			return disk_failed(n, err);
		disk_count_lost(d, n->inode->attrs, TAR_DIR);
	}
	return 0;
}

/* ---- all else ---- */

static int place_file(struct disk *d, const struct node *n, int in, dray_error **err)
{
	const struct inode *i = n->inode;
	char from[PUT_NAME_MAX];

	put_name(from, d->homes.of[i->data_layer], i->data);
	if (io_moveat(d->files, from, in, disk_name(d, n), true, err) < 0)
		return -1;
	d->bytes += layer_entry_size(i->data);
	disk_count_lost(d, i->attrs, TAR_FILE);
	if (i->attrs == i->data && !i->data->xattrs)
		return 0;
	return disk_attributes(d, in, disk_name(d, n), i->attrs, TAR_FILE, i->data->xattrs != NULL,
			       d->left, err);
}

/* A layer that comes twice may leave the content of one entry to two files. */
static int place_twin(struct disk *d, const struct node *n, const struct node *first, int in,
		      dray_error **err)
{
	cleanup_fd int from = -1, to = -1;
	struct stat st;
	int at = disk_folder_of(d, first, d->tree, &d->first, err);

	from = at < 0 ? -1 : io_openat(at, disk_name(d, first), O_RDONLY | O_NOFOLLOW, 0, err);
	to = from < 0 ? -1 : io_openat(in, disk_name(d, n), O_WRONLY | O_CREAT | O_EXCL, 0600, err);
	if (to < 0 || io_fstat(from, &st, err) < 0 ||
	    io_copy_range(from, 0, st.st_size, to, err) < 0)
		return -1;
	d->bytes += st.st_size;
	disk_count_lost(d, n->inode->attrs, TAR_FILE);
	if (disk_attributes(d, to, "", n->inode->attrs, TAR_FILE, true, d->left, err) < 0)
		return -1;
	return io_close(steal_fd(&to), err);
}

static int place_device(struct disk *d, const struct node *n, int in, dray_error **err)
{
	static const mode_t kinds[] = {
		[TAR_CHAR] = S_IFCHR, [TAR_BLOCK_DEV] = S_IFBLK, [TAR_FIFO] = S_IFIFO
	};
	const struct layer_entry *e = n->inode->data;
	cleanup_error dray_error *failed = NULL;

	if (io_mknodat(in, disk_name(d, n), kinds[e->type] | 0600, e->dev_major, e->dev_minor,
		       &failed) < 0) {
		if (dray_error_errno(failed) == EPERM && e->type != TAR_FIFO) {
			d->left[DISK_LEFT_DEVICES]++;
			return 1;
		}
		if (err)
			*err = steal_pointer(&failed);
		return -1;
	}
	return 0;
}

/* What is no folder and no hard link: 0, 1 = left out, -1. */
static int place_new(struct disk *d, const struct node *n, int in, dray_error **err)
{
	const struct inode *i = n->inode;
	int rc;

	switch (node_type(n)) {
	case TAR_FILE:
	case TAR_SPARSE:
		return place_file(d, n, in, err);
	case TAR_SYMLINK:
		rc = io_symlinkat(i->data->link, in, disk_name(d, n), err);
		break;
	case TAR_CHAR:
	case TAR_BLOCK_DEV:
	case TAR_FIFO:
		rc = place_device(d, n, in, err);
		break;
	default:
		return err_set(err, DRAY_ERR_UNSUPPORTED, "a kind of file that cannot be written");
	}
	if (rc != 0)
		return rc;
	disk_count_lost(d, i->attrs, node_type(n));
	return disk_attributes(d, in, disk_name(d, n), i->attrs, node_type(n), true, d->left, err);
}

static int link_to(struct disk *d, const struct node *n, const struct node *first, int in,
		   dray_error **err)
{
	int at = disk_folder_of(d, first, d->tree, &d->first, err);

	return at < 0 ? -1 : io_linkat(at, disk_name(d, first), in, disk_name(d, n), err);
}

/* The name that was made of what @p key tells, or this one from now on; NULL = left out. */
static int first_of(struct disk *d, const void *const *key, const struct node *n,
		    const struct node **ret, bool *ret_seen, dray_error **err)
{
	struct span k = span_of(key, sizeof(*key));
	struct map_slot *slot = map_find(&d->firsts, k);

	*ret_seen = slot != NULL;
	*ret = slot ? slot->value : NULL;
	return slot ? 0 : map_put(&d->firsts, k, (void *)(uintptr_t)n, err);
}

static int forget_first(struct disk *d, const struct node *n)
{
	struct map_slot *slot = map_find(&d->firsts, span_of(&n->inode, sizeof(n->inode)));

	if (slot)
		slot->value = NULL;
	return 0;
}

static bool is_file(const struct node *n)
{
	return node_type(n) == TAR_FILE || node_type(n) == TAR_SPARSE;
}

static int place(struct disk *d, const struct node *n, dray_error **err)
{
	const struct inode *i = n->inode;
	const struct node *first = NULL;
	bool seen = false;
	int rc, in = disk_folder_of(d, n, d->tree, &d->at, err);

	if (in < 0)
		return -1;
	if (i->n_names > 1 &&
	    first_of(d, (const void *const *)&n->inode, n, &first, &seen, err) < 0)
		return -1;
	if (seen && !first) {
		d->left[DISK_LEFT_DEVICES]++;
		return 0;
	}
	if (seen)
		return link_to(d, n, first, in, err);
	if (d->homes.shared && is_file(n) &&
	    first_of(d, (const void *const *)&i->data, n, &first, &seen, err) < 0)
		return -1;
	rc = seen ? place_twin(d, n, first, in, err) : place_new(d, n, in, err);
	return rc > 0 ? forget_first(d, n) : rc;
}

static int place_all(struct disk *d, dray_error **err)
{
	const struct node *end = disk_end(d);

	for (const struct node *n = d->top; n != end; n = tree_next(n)) {
		if (cancel_check(err) < 0)
			return -1;
		d->names += n != d->top || !d->loose;
		if (!node_is_dir(n) && place(d, n, err) < 0)
			return disk_failed(n, err);
	}
	return 0;
}

void disk_leave_top(struct disk *d)
{
	d->loose = true;
}

int disk_build(struct disk *d, const struct node *top, const char *name,
	       const struct disk_homes *homes, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);
	const struct node *end;

	d->top = top;
	d->name = name;
	d->homes = *homes;
	if (node_path(top, &path, err) < 0)
		return -1;
	d->top_len = path.len;
	end = disk_end(d);
	for (const struct node *n = top; n != end; n = tree_next(n))
		if (cancel_check(err) < 0 || (node_is_dir(n) && add_folder(d, n, err) < 0))
			return -1;
	if (place_all(d, err) < 0 || finish_folders(d, err) < 0)
		return -1;
	disk_at_clear(&d->at);
	disk_at_clear(&d->first);
	return 0;
}
