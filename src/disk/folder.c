/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the files of a layer by the names that its tar had for them.
 * Relies on: io_open_beneath(); no name has "..", no link on the way or at its end is followed.
 * Promises: nothing outside the layer's folder is opened, and only regular files.
 */
#include <fcntl.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "disk/disk_priv.h"
#include "tar/tar.h"

/* The folder of the last file stays open: a tar goes through one folder at a time. */
struct folder {
	int top;
	int parent;
	char *parent_path; /* below top; NULL = none is open */
};

static void folder_free(void *arg)
{
	struct folder *f = arg;

	if (!f)
		return;
	cleanup_fd_fn(&f->top);
	cleanup_fd_fn(&f->parent);
	mem_free(f->parent_path);
	mem_free(f);
}

/* Open the folder @p path, of @p len bytes, unless it is open already. */
static int enter(struct folder *f, const char *path, size_t len, dray_error **err)
{
	if (f->parent_path && strlen(f->parent_path) == len &&
	    memcmp(f->parent_path, path, len) == 0)
		return 0;
	cleanup_fd_fn(&f->parent);
	f->parent = -1;
	mem_free(steal_pointer(&f->parent_path));
	cleanup_free char *copy = mem_strndup(path, len);
	if (!copy)
		return err_nomem(err);
	f->parent = io_open_beneath(f->top, copy, err);
	if (f->parent < 0)
		return -1;
	f->parent_path = steal_pointer(&copy);
	return 0;
}

/* As a path below the folder; what a tar may spell oddly is taken as its extractor took it. */
static int clean(struct span name, struct buf *ret, dray_error **err)
{
	if (tar_name_quirks(name) & TAR_NAME_DOTDOT)
		return err_set(err, DRAY_ERR_FORMAT, "a name with \"..\"");
	if (memchr(name.data, '\0', name.len))
		return err_set(err, DRAY_ERR_FORMAT, "a name with a NUL byte");
	if (tar_name_clean(name, ret, err) < 0)
		return -1;
	if (!ret->len)
		return err_set(err, DRAY_ERR_FORMAT, "a name for the layer's root");
	return buf_add_byte(ret, '\0', err);
}

static int open_in_parent(struct folder *f, const char *path, dray_error **err)
{
	const char *slash = strrchr(path, '/');

	if (enter(f, path, slash ? (size_t)(slash - path) : 0, err) < 0)
		return -1;
	return io_openat(f->parent, slash ? slash + 1 : path,
			 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, err);
}

static int folder_open(void *arg, struct span name, int64_t *ret_size, dray_error **err)
{
	struct folder *f = arg;
	cleanup_buf struct buf path = BUF_INIT(LIMIT_PATH + 1);
	struct stat st;

	if (clean(name, &path, err) < 0)
		return -1;
	cleanup_fd int fd = open_in_parent(f, (const char *)path.data, err);
	if (fd < 0)
		return beneath_failed(err);
	if (io_fstat(fd, &st, err) < 0)
		return -1;
	if (!S_ISREG(st.st_mode))
		return err_set(err, DRAY_ERR_CORRUPT, "it is no regular file any more");
	*ret_size = st.st_size;
	return steal_fd(&fd);
}

int folder_files(int root, const char *folder, struct tarsplit_files *ret, dray_error **err)
{
	struct folder *f = mem_zalloc(sizeof(*f));

	if (!f)
		return err_nomem(err);
	f->parent = -1;
	f->top = io_open_beneath(root, folder, err);
	if (f->top < 0) {
		beneath_failed(err);
		folder_free(f);
		return err_ctx(err, "%s", folder);
	}
	*ret = (struct tarsplit_files){ .open = folder_open, .free = folder_free, .arg = f };
	return 0;
}
