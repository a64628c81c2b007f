/* SPDX-License-Identifier: Apache-2.0
 *
 * For: see disk_record.h.
 * Relies on: the linker, which prefers this program's functions to those of libc; SQLite's table of
 * calls for SQLite's; inode numbers, which tell what a descriptor is open on.
 * Promises: a call on a file of the folder that this does not know of is none that depots make.
 */
#undef _FORTIFY_SOURCE
#include "disk_record.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define OPS_MAX 20000
#define NODES_MAX 2000
#define SECTOR 512

struct node {
	ino_t ino;
	bool folder;
};

static struct disk_op ops[OPS_MAX];
static struct node nodes[NODES_MAX];
static size_t n_ops;
static int n_nodes;
static int64_t acknowledged;
static bool recording;

/* ---- what there is ---- */

/* The last of that number: one that was unlinked may have had it before. */
static int node_of(const struct stat *st)
{
	for (int i = n_nodes - 1; i >= 0; i--)
		if (nodes[i].ino == st->st_ino)
			return i;
	return -1;
}

static int node_open(int fd)
{
	struct stat st;

	return recording && fstat(fd, &st) == 0 ? node_of(&st) : -1;
}

/* The folder that @p path ends in, and where its last part begins. */
static int folder_of(int dirfd, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX] = ".";
	struct stat st;

	*ret_name = slash ? slash + 1 : path;
	if (slash)
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	return recording && fstatat(dirfd, parent, &st, 0) == 0 ? node_of(&st) : -1;
}

static int node_add(const struct stat *st)
{
	assert_true(n_nodes < NODES_MAX);
	nodes[n_nodes] = (struct node){ st->st_ino, S_ISDIR(st->st_mode) };
	return n_nodes++;
}

/* ---- what was done ---- */

static struct disk_op *note(int kind, int node)
{
	struct disk_op *op = &ops[n_ops++];

	assert_true(n_ops < OPS_MAX);
	*op = (struct disk_op){ .kind = kind, .node = node, .synced = SIZE_MAX };
	op->bytes = BUF_INIT(0);
	return op;
}

static void note_bytes(struct disk_op *op, const void *p, size_t n)
{
	op->bytes.max = n;
	assert_int_equal(buf_add(&op->bytes, span_of(p, n), NULL), 0);
}

static void note_write(int fd, const void *p, ssize_t n, off_t off)
{
	int node = node_open(fd);

	if (node < 0 || n <= 0)
		return;
	struct disk_op *op = note(DISK_WRITE, node);
	op->off = off;
	note_bytes(op, p, (size_t)n);
}

static void note_size(int fd, off_t size)
{
	int node = node_open(fd);

	if (node >= 0)
		note(DISK_SIZE, node)->off = size;
}

static void note_sync(int fd)
{
	int node = node_open(fd);

	if (node < 0)
		return;
	for (size_t i = 0; i < n_ops; i++)
		if (ops[i].node == node && ops[i].synced == SIZE_MAX && ops[i].kind != DISK_ACK)
			ops[i].synced = n_ops;
	note(DISK_SYNC, node);
}

static void note_name(int folder, const char *name, int target)
{
	struct disk_op *op;

	if (folder < 0)
		return;
	op = note(DISK_NAME, folder);
	op->target = target;
	note_bytes(op, name, strlen(name) + 1);
}

/* @p path is new. */
static void note_made(int dirfd, const char *path)
{
	const char *name;
	int folder = folder_of(dirfd, path, &name);
	struct stat st;

	if (folder >= 0 && fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		note_name(folder, name, node_add(&st));
}

static void note_gone(int dirfd, const char *path)
{
	const char *name;
	int folder = folder_of(dirfd, path, &name);

	note_name(folder, name, -1);
}

/* ---- the calls ---- */

static bool is_there(int dirfd, const char *path)
{
	struct stat st;

	return fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int open_noted(int dirfd, const char *path, int flags, mode_t mode)
{
	bool made = recording && (flags & O_CREAT) && !is_there(dirfd, path);
	int fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);

	if (fd >= 0 && made)
		note_made(dirfd, path);
	return fd;
}

int openat(int dirfd, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
	va_end(args);
	return open_noted(dirfd, path, flags, mode);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
	ssize_t done = (ssize_t)syscall(SYS_pwrite64, fd, p, n, off);

	note_write(fd, p, done, off);
	return done;
}

int ftruncate(int fd, off_t size)
{
	int rc = (int)syscall(SYS_ftruncate, fd, size);

	if (rc == 0)
		note_size(fd, size);
	return rc;
}

int fsync(int fd)
{
	int rc = (int)syscall(SYS_fsync, fd);

	if (rc == 0)
		note_sync(fd);
	return rc;
}

int fdatasync(int fd)
{
	int rc = (int)syscall(SYS_fdatasync, fd);

	if (rc == 0)
		note_sync(fd);
	return rc;
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	int rc = (int)syscall(SYS_mkdirat, dirfd, path, mode);

	if (rc == 0)
		note_made(dirfd, path);
	return rc;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	const char *old, *name;
	int source = folder_of(from_dir, from, &old), folder = folder_of(to_dir, to, &name);
	struct stat st;
	int rc;

	assert_true(!recording || !flags || folder < 0);
	rc = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
	if (rc == 0 && folder >= 0 && fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		note_name(folder, name, node_of(&st));
		note_name(source, old, -1);
	}
	return rc;
}

int unlinkat(int dirfd, const char *path, int flags)
{
	int rc = (int)syscall(SYS_unlinkat, dirfd, path, flags);

	if (rc == 0)
		note_gone(dirfd, path);
	return rc;
}

/* SQLite's */

static int database_open(const char *path, int flags, mode_t mode)
{
	return open_noted(AT_FDCWD, path, flags, mode);
}

static int database_unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

static ssize_t database_pwrite(int fd, const void *p, size_t n, off_t off)
{
	return pwrite(fd, p, n, off);
}

static int database_ftruncate(int fd, off_t size)
{
	return ftruncate(fd, size);
}

static void hear_database(void)
{
	const struct {
		const char *name;
		sqlite3_syscall_ptr call;
	} calls[] = {
		{ "open", (sqlite3_syscall_ptr)database_open },
		{ "pwrite", (sqlite3_syscall_ptr)database_pwrite },
		{ "pwrite64", (sqlite3_syscall_ptr)database_pwrite },
		{ "ftruncate", (sqlite3_syscall_ptr)database_ftruncate },
		{ "unlink", (sqlite3_syscall_ptr)database_unlink },
	};
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	assert_non_null(vfs);
	for (size_t i = 0; i < ROWS(calls); i++)
		assert_int_equal(vfs->xSetSystemCall(vfs, calls[i].name, calls[i].call), SQLITE_OK);
}

/* ---- begin, end ---- */

void disk_record(const char *dir)
{
	struct stat st;

	hear_database();
	assert_int_equal(stat(dir, &st), 0);
	node_add(&st);
	recording = true;
}

void disk_acknowledge(void)
{
	note(DISK_ACK, -1)->off = ++acknowledged;
}

void disk_record_end(void)
{
	recording = false;
}

size_t disk_ops(void)
{
	return n_ops;
}

const struct disk_op *disk_op(size_t i)
{
	return &ops[i];
}

/* ---- disks ---- */

struct image {
	size_t n;	 /* calls that were made */
	struct buf file; /* the bytes of the file at hand */
	disk_fate_fn *fate;
	void *arg;
};

static enum disk_fate fate_of(const struct image *m, const struct disk_op *op)
{
	return op->synced < m->n ? DISK_KEPT : m->fate(m->arg, op);
}

static void resize(struct buf *b, size_t size)
{
	static const uint8_t zeros[4096];

	while (b->len < size) {
		size_t n = size - b->len < sizeof(zeros) ? size - b->len : sizeof(zeros);

		assert_int_equal(buf_add(b, span_of(zeros, n), NULL), 0);
	}
	b->len = size;
}

static void put_write(struct buf *b, const struct disk_op *op, enum disk_fate fate)
{
	size_t n = op->bytes.len, off = (size_t)op->off;

	if (fate == DISK_TORN) /* at a border of sectors, somewhere in the middle */
		n = ((off + n / 2) / SECTOR * SECTOR > off) ? (off + n / 2) / SECTOR * SECTOR - off
							    : 0;
	if (fate == DISK_LOST || n == 0)
		return;
	if (b->len < off + n)
		resize(b, off + n);
	if (fate == DISK_ZEROED)
		memset(b->data + off, 0, n);
	else
		memcpy(b->data + off, op->bytes.data, n);
}

static void make_file(struct image *m, int dir, const char *name, int node)
{
	m->file.len = 0;
	for (size_t i = 0; i < m->n; i++) {
		const struct disk_op *op = &ops[i];

		if (op->node != node || (op->kind != DISK_WRITE && op->kind != DISK_SIZE))
			continue;
		enum disk_fate fate = fate_of(m, op);

		if (op->kind == DISK_WRITE)
			put_write(&m->file, op, fate);
		else if (fate != DISK_LOST)
			resize(&m->file, (size_t)op->off);
	}
	put_file(dir, name, span_buf(&m->file));
}

/* What the name of call @p i leads to in the end; a later call of the same name decides. */
static bool is_last(const bool *kept, size_t n, size_t i)
{
	for (size_t j = i + 1; j < n; j++)
		if (kept[j] && ops[j].node == ops[i].node &&
		    strcmp((char *)ops[j].bytes.data, (char *)ops[i].bytes.data) == 0)
			return false;
	return true;
}

/* Folders lie four deep at most: blobs/ALGO/XX/HEX below the folder itself. */
static void make_folder(struct image *m, int dir, int node, const bool *kept)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct disk_op *op = &ops[i];
		const char *name = (const char *)op->bytes.data;

		if (!kept[i] || op->node != node || op->target < 0 || !is_last(kept, m->n, i))
			continue;
		if (!nodes[op->target].folder) {
			make_file(m, dir, name, op->target);
			continue;
		}
		assert_int_equal(mkdirat(dir, name, 0700), 0);
		int fd = openat(dir, name, O_RDONLY | O_DIRECTORY);
		assert_true(fd >= 0);
		make_folder(m, fd, op->target, kept);
		close(fd);
	}
}

void disk_make(int dir, size_t n, disk_fate_fn *fate, void *arg)
{
	struct image m = { .n = n, .file = BUF_INIT(SIZE_MAX / 2), .fate = fate, .arg = arg };
	bool *kept = calloc(n + 1, sizeof(*kept));

	assert_non_null(kept);
	for (size_t i = 0; i < n; i++)
		kept[i] = ops[i].kind == DISK_NAME && fate_of(&m, &ops[i]) != DISK_LOST;
	make_folder(&m, dir, 0, kept);
	buf_clear(&m.file);
	free(kept);
}
