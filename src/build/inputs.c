/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries of sources and the bytes of their files.
 * Relies on base/io: below a source's folder no link is followed.
 * Promises that the bytes of a file are those of the file that was planned, or an error.
 */
#include "build/inputs.h"

#include <fcntl.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define READ_SIZE (256 * 1024) /* bytes at a time */

static void place_clear(struct inputs_place *at)
{
	cleanup_fd_fn(&at->fd);
	cleanup_fd_fn(&at->dir);
	*at = (struct inputs_place)INPUTS_PLACE_INIT;
}

void inputs_reader_clear(struct inputs_reader *r)
{
	place_clear(&r->place);
}

void inputs_clear(struct inputs *in)
{
	for (size_t i = 0; i < in->n_fds; i++)
		cleanup_fd_fn(&in->fds[i]);
	mem_free(in->fds);
	place_clear(&in->place);
	mem_free(in->list);
	mem_free(in->empty);
	arena_clear(&in->arena);
	*in = INPUTS_INIT;
}

static int add_empty(struct inputs *in, const struct content *c, dray_error **err)
{
	if (c->kind != CONTENT_FILE)
		return 0;
	if (mem_grow(&in->empty, in->n_empty, &in->cap_empty, sizeof(*in->empty)) < 0)
		return err_nomem(err);
	in->empty[in->n_empty++] = *c;
	return 0;
}

int inputs_add(struct inputs *in, const struct content *c, int64_t *ret_at, dray_error **err)
{
	int64_t end;

	*ret_at = in->end;
	if (c->size == 0)
		return add_empty(in, c, err);
	if (__builtin_add_overflow(in->end, c->size, &end))
		return err_set(err, DRAY_ERR_LIMIT, "more than 2^63 bytes in all");
	if (mem_grow(&in->list, in->n, &in->cap, sizeof(*in->list)) < 0)
		return err_nomem(err);
	in->list[in->n] = *c;
	in->list[in->n++].at = in->end;
	in->end = end;
	return 0;
}

int inputs_keep_fd(struct inputs *in, int fd, dray_error **err)
{
	if (mem_grow(&in->fds, in->n_fds, &in->cap_fds, sizeof(*in->fds)) < 0) {
		cleanup_fd_fn(&fd);
		return err_nomem(err);
	}
	in->fds[in->n_fds++] = fd;
	return 0;
}

/* ---- reading ---- */

static size_t find_content(const struct inputs *in, int64_t at)
{
	size_t first = 0, end = in->n;

	while (end - first > 1) {
		size_t middle = first + (end - first) / 2;

		*(in->list[middle].at <= at ? &first : &end) = middle;
	}
	return first;
}

const struct content *inputs_at(const struct inputs *in, int64_t at)
{
	return &in->list[find_content(in, at)];
}

static int changed(const char *path, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(path), 4096);

	return err_set(err, DRAY_ERR_CORRUPT, "%s: it changed while it was read",
		       shown ? shown : "");
}

struct seen seen_of(const struct stat *st)
{
	return (struct seen){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.mtime = st->st_mtim.tv_sec,
		.mtime_nsec = (uint32_t)st->st_mtim.tv_nsec,
		.ctime = st->st_ctim.tv_sec,
		.ctime_nsec = (uint32_t)st->st_ctim.tv_nsec,
	};
}

static bool is_unchanged(const struct seen *a, int64_t size, const struct stat *now)
{
	const struct seen b = seen_of(now);

	return a->dev == b.dev && a->ino == b.ino && size == now->st_size &&
	       S_ISREG(now->st_mode) && a->mtime == b.mtime && a->mtime_nsec == b.mtime_nsec &&
	       a->ctime == b.ctime && a->ctime_nsec == b.ctime_nsec;
}

static int check(int fd, const struct seen *seen, int64_t size, const char *path, dray_error **err)
{
	struct stat st;

	if (io_fstat(fd, &st, err) < 0)
		return -1;
	return is_unchanged(seen, size, &st) ? 0 : changed(path, err);
}

int inputs_check(int fd, const struct stat *seen, const char *path, dray_error **err)
{
	const struct seen old = seen_of(seen);

	return check(fd, &old, seen->st_size, path, err);
}

/* Bytes of @p path up to its last slash; 0 = it has none. */
static size_t dir_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

static bool is_at_hand(const struct inputs_place *at, const struct content *c)
{
	size_t len = dir_len(c->path);

	return at->dir >= 0 && at->dir_root == c->dirfd && dir_len(at->dir_path) == len &&
	       memcmp(at->dir_path, c->path, len) == 0;
}

/* Neighbours lie in one folder: it is looked up once. */
static int reach_dir(struct inputs_place *at, const struct content *c, dray_error **err)
{
	size_t len = dir_len(c->path);
	cleanup_free char *folder = NULL;

	if (is_at_hand(at, c))
		return 0;
	cleanup_fd_fn(&at->dir);
	folder = mem_strndup(c->path, len);
	if (!folder)
		return err_nomem(err);
	at->dir = io_open_beneath(c->dirfd, folder, err);
	at->dir_root = c->dirfd;
	at->dir_path = c->path;
	return at->dir < 0 ? -1 : 0;
}

static int open_below(struct inputs_place *at, const struct content *c, dray_error **err)
{
	size_t len = dir_len(c->path);

	if (reach_dir(at, c, err) < 0)
		return -1;
	return io_openat(at->dir, c->path + len + (len > 0), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0,
			 err);
}

static int open_file(const struct inputs *in, struct inputs_place *at, size_t i, dray_error **err)
{
	const struct content *c = &in->list[i];

	cleanup_fd_fn(&at->fd);
	at->open = SIZE_MAX;
	at->fd = c->dirfd == AT_FDCWD ? io_openat(AT_FDCWD, c->path, O_RDONLY | O_NONBLOCK, 0, err)
				      : open_below(at, c, err);
	if (at->fd < 0 || check(at->fd, &c->seen, c->size, c->path, err) < 0)
		return -1;
	at->open = i;
	return 0;
}

static int64_t read_file(const struct inputs *in, struct inputs_place *at, size_t i, int64_t off,
			 void *data, size_t len, dray_error **err)
{
	const struct content *c = &in->list[i];
	int64_t n;

	if (at->open != i && open_file(in, at, i, err) < 0) {
		cleanup_free char *shown = text_safe(span_str(c->path), 4096);

		return err_ctx(err, "%s", shown ? shown : "");
	}
	n = io_pread(at->fd, data, len, off, err);
	if (n <= 0)
		return n < 0 ? -1 : changed(c->path, err);
	if (off + n == c->size && check(at->fd, &c->seen, c->size, c->path, err) < 0)
		return -1;
	return n;
}

/* Of a tar only the times are kept: no size changes without them. */
static int check_tar(const struct content *c, dray_error **err)
{
	struct stat st;

	if (io_fstat(c->fd, &st, err) < 0)
		return -1;
	return is_unchanged(&c->seen, st.st_size, &st) ? 0 : changed(c->path, err);
}

static int64_t read_extent(const struct content *c, int64_t off, void *data, size_t len,
			   dray_error **err)
{
	int64_t n = io_pread(c->fd, data, len, c->off + off, err);

	if (n == 0)
		return c->path ? changed(c->path, err)
			       : err_set(err, DRAY_ERR_CORRUPT, "a temporary file is too short");
	if (n > 0 && c->path && off + n == c->size && check_tar(c, err) < 0)
		return -1;
	return n;
}

static int64_t read_at(const struct inputs *in, struct inputs_place *place, int64_t at, void *data,
		       size_t len, dray_error **err)
{
	size_t i = find_content(in, at);
	const struct content *c = &in->list[i];
	int64_t off = at - c->at;

	if ((uint64_t)(c->size - off) < len)
		len = (size_t)(c->size - off);
	switch (c->kind) {
	case CONTENT_FILE:
		return read_file(in, place, i, off, data, len, err);
	case CONTENT_EXTENT:
		return read_extent(c, off, data, len, err);
	case CONTENT_BYTES:
		memcpy(data, c->bytes + off, len);
		return (int64_t)len;
	}
	return -1;
}

static int64_t feed_read(void *arg, uint32_t layer, int64_t at, void *data, size_t len,
			 dray_error **err)
{
	struct inputs *in = arg;

	(void)layer;
	return read_at(in, &in->place, at, data, len, err);
}

static int64_t reader_read(void *arg, uint32_t layer, int64_t at, void *data, size_t len,
			   dray_error **err)
{
	struct inputs_reader *r = arg;

	(void)layer;
	return read_at(r->in, &r->place, at, data, len, err);
}

struct layer_feed inputs_feed(struct inputs *in)
{
	return (struct layer_feed){ .read = feed_read, .arg = in };
}

struct layer_feed inputs_reader_feed(struct inputs_reader *r)
{
	return (struct layer_feed){ .read = reader_read, .arg = r };
}

int inputs_read(struct inputs *in, int64_t at, int64_t size,
		void (*fn)(void *arg, struct span bytes), void *arg, dray_error **err)
{
	cleanup_free uint8_t *room = mem_alloc(READ_SIZE);

	if (!room)
		return err_nomem(err);
	while (size > 0) {
		size_t len = size < READ_SIZE ? (size_t)size : READ_SIZE;
		int64_t n = read_at(in, &in->place, at, room, len, err);

		if (n < 0)
			return -1;
		fn(arg, span_of(room, (size_t)n));
		at += n;
		size -= n;
	}
	return 0;
}

static int check_empty(struct inputs *in, const struct content *c, dray_error **err)
{
	size_t len = dir_len(c->path);
	struct stat st;
	int rc;

	if (c->dirfd == AT_FDCWD)
		rc = io_fstatat(AT_FDCWD, c->path, 0, &st, err);
	else if (reach_dir(&in->place, c, err) < 0)
		rc = -1;
	else
		rc = io_fstatat(in->place.dir, c->path + len + (len > 0), AT_SYMLINK_NOFOLLOW, &st,
				err);
	if (rc < 0)
		return -1;
	return is_unchanged(&c->seen, 0, &st) ? 0 : changed(c->path, err);
}

int inputs_check_empty(struct inputs *in, dray_error **err)
{
	for (size_t i = 0; i < in->n_empty; i++)
		if (check_empty(in, &in->empty[i], err) < 0) {
			cleanup_free char *shown = text_safe(span_str(in->empty[i].path), 4096);

			return err_ctx(err, "%s", shown ? shown : "");
		}
	return 0;
}

/* ---- entries ---- */

struct layer_index *entries_new(dray_error **err)
{
	struct layer_index *ix = mem_zalloc(sizeof(*ix));

	if (!ix)
		err_nomem(err);
	return ix;
}

struct layer_entry *entries_add(struct layer_index *ix, const char *path, enum tar_type type,
				dray_error **err)
{
	struct layer_entry *e;

	if (ix->n >= LIMIT_LAYER_ENTRIES) {
		err_set(err, DRAY_ERR_LIMIT, "more than %d entries (LIMIT_LAYER_ENTRIES)",
			LIMIT_LAYER_ENTRIES);
		return NULL;
	}
	if (mem_grow(&ix->list, ix->n, &ix->cap, sizeof(*ix->list)) < 0) {
		err_nomem(err);
		return NULL;
	}
	e = &ix->list[ix->n++];
	*e = (struct layer_entry){ .path = path, .uname = "", .gname = "", .type = (uint8_t)type };
	return e;
}
