/* SPDX-License-Identifier: Apache-2.0
 *
 * For: output files that appear whole or not at all.
 * Relies on: io.h; rename(2) being atomic within a folder.
 * Promises: any way out but commit leaves what was there before, and no temp.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <unistd.h>
#include "base/io.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"

#define MAX_LIVE 64 /* temps that a signal handler can find; later ones are only missed there */
#define RANDOM_BYTES 4
#define TEMP_EXTRA (sizeof(".") - 1 + sizeof(".dray-") - 1 + (size_t)RANDOM_BYTES * 2)
#define NAME_TRIES 100

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_LIVE };

/* Process-wide because a signal handler has no other way to what is open. */
static struct live_temp {
	atomic_int state;
	int dirfd;
	char name[NAME_MAX + 1];
} live[MAX_LIVE];

static int slot_take(int dirfd, const char *name)
{
	for (int i = 0; i < MAX_LIVE; i++) {
		int expected = SLOT_FREE;
		if (!atomic_compare_exchange_strong(&live[i].state, &expected, SLOT_FILLING))
			continue;
		live[i].dirfd = dirfd;
		memcpy(live[i].name, name, strlen(name) + 1);
		atomic_store(&live[i].state, SLOT_LIVE);
		return i;
	}
	return -1;
}

static void slot_release(int *slot)
{
	if (*slot >= 0)
		atomic_store(&live[*slot].state, SLOT_FREE);
	*slot = -1;
}

void outfile_unlink_all(void)
{
	int saved = errno;

	for (int i = 0; i < MAX_LIVE; i++) {
		if (atomic_load(&live[i].state) == SLOT_LIVE)
			unlinkat(live[i].dirfd, live[i].name, 0);
	}
	errno = saved;
}

/*
 * The umask without changing it, which other threads would see. Not knowing it
 * (no /proc) means the strictest one.
 */
static mode_t current_umask(void)
{
	static const char field[] = "\nUmask:\t";
	mode_t mask = 0;
	char text[1024];

	cleanup_fd int fd = io_openat(AT_FDCWD, "/proc/self/status", O_RDONLY, 0, NULL);
	int64_t n = fd < 0 ? -1 : io_pread(fd, text, sizeof(text) - 1, 0, NULL);
	if (n < 0)
		return 077;
	text[n] = '\0';
	const char *at = strstr(text, field);
	if (!at)
		return 077;
	for (at += sizeof(field) - 1; *at >= '0' && *at <= '7'; at++)
		mask = mask << 3 | (mode_t)(*at - '0');
	return mask & 0777;
}

/* Cut @p path into the folder (owned by the caller) and the name inside it. */
static int split_path(const char *path, char **ret_dir, char **ret_name, dray_error **err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	if (!*name)
		return err_set(err, DRAY_ERR_USAGE, "an output file needs a name");
	if (strlen(name) > NAME_MAX)
		return err_sys(err, ENAMETOOLONG, "output file");
	cleanup_free char *dir = !slash		 ? mem_strdup(".")
				 : slash == path ? mem_strdup("/")
						 : mem_strndup(path, (size_t)(slash - path));
	*ret_name = dir ? mem_strdup(name) : NULL;
	if (!*ret_name)
		return err_nomem(err);
	*ret_dir = steal_pointer(&dir);
	return 0;
}

/* Where a name is a way to a descriptor or a device, never a place to rename to. */
static bool names_descriptor(const char *path)
{
	return span_starts(span_str(path), "/dev/std") || span_starts(span_str(path), "/dev/fd/") ||
	       span_starts(span_str(path), "/proc/");
}

/* 1 when @p path has to be written directly, 0 when a temp takes its place later. */
static int look_at_target(struct outfile *o, int dirfd, const char *path, dray_error **err)
{
	cleanup_error dray_error *missing = NULL;
	struct stat st;

	if (io_fstatat(dirfd, path, 0, &st, &missing) < 0) {
		if (dray_error_kind(missing) != DRAY_ERR_NOT_FOUND) {
			*err = steal_pointer(&missing);
			return -1;
		}
		o->mode = 0666 & ~current_umask();
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return err_sys(err, EISDIR, "output file");
	if (!S_ISREG(st.st_mode) || names_descriptor(path))
		return 1;
	if (o->no_clobber)
		return err_set(err, DRAY_ERR_USAGE, "the file exists already");
	o->mode = st.st_mode & 0777;
	return 0;
}

/* ".NAME.dray-0123abcd", cut so that it is a legal name; NULL = error. */
static char *temp_name(const char *name, dray_error **err)
{
	uint8_t random[RANDOM_BYTES];
	char hex[RANDOM_BYTES * 2 + 1];

	if (io_random(random, sizeof(random), err) < 0)
		return NULL;
	hex_encode(random, sizeof(random), hex);
	char *temp = mem_printf(".%.*s.dray-%s", (int)(NAME_MAX - TEMP_EXTRA), name, hex);
	if (!temp)
		err_nomem(err);
	return temp;
}

/*
 * A lock says that the temp's writer lives: outfile_sweep() removes what nobody
 * holds. A file system without locks is never swept either. False: it was swept.
 */
static bool claim(struct outfile *o)
{
	struct stat st;
	int got = io_flock(o->fd, LOCK_EX | LOCK_NB, NULL);

	if (got == 0)
		return false; /* a sweeper has it in hand */
	if (got > 0)
		o->hold = fcntl(o->fd, F_DUPFD_CLOEXEC, 0);
	return io_fstat(o->fd, &st, NULL) < 0 || st.st_nlink > 0;
}

static void drop_fd(int *fd)
{
	cleanup_fd int gone = steal_fd(fd);

	(void)gone;
}

static int create_temp(struct outfile *o, dray_error **err)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		cleanup_error dray_error *failure = NULL;

		mem_free(o->temp);
		o->temp = temp_name(o->name, err);
		if (!o->temp)
			return -1;
		o->fd = io_openat(o->dirfd, o->temp, O_RDWR | O_CREAT | O_EXCL, 0600, &failure);
		if (o->fd >= 0 && claim(o)) {
			o->slot = slot_take(o->dirfd, o->temp);
			return 0;
		}
		if (o->fd >= 0) {
			drop_fd(&o->hold);
			drop_fd(&o->fd);
			continue; /* swept between its creation and our claim */
		}
		if (dray_error_errno(failure) != EEXIST || i == NAME_TRIES - 1) {
			/* What has that name is not ours to remove. */
			mem_free(steal_pointer(&o->temp));
			*err = steal_pointer(&failure);
			return -1;
		}
	}
	return -1;
}

static int begin_temp(struct outfile *o, int dirfd, const char *path, dray_error **err)
{
	cleanup_free char *dir = NULL;

	if (split_path(path, &dir, &o->name, err) < 0)
		return -1;
	o->dirfd = io_openat(dirfd, dir, O_RDONLY | O_DIRECTORY, 0, err);
	return o->dirfd < 0 ? -1 : create_temp(o, err);
}

int outfile_begin(struct outfile *o, int dirfd, const char *path, bool no_clobber, dray_error **err)
{
	cleanup_error dray_error *failure = NULL;

	assert(o->fd < 0 && o->dirfd < 0 && !o->temp && !o->name);
	o->no_clobber = no_clobber;
	int direct = look_at_target(o, dirfd, path, &failure);
	int rc = direct;
	if (direct > 0)
		rc = o->fd = io_openat(dirfd, path, O_WRONLY | O_NOCTTY, 0, &failure);
	else if (direct == 0)
		rc = begin_temp(o, dirfd, path, &failure);
	if (rc >= 0)
		return 0;

	cleanup_free char *shown = text_safe(span_str(path), PATH_MAX);
	/* Nobody named something to be found: the folder of an output is missing. */
	if (dray_error_kind(failure) == DRAY_ERR_NOT_FOUND)
		err_rekind(&failure, DRAY_ERR_SYSTEM);
	err_ctx(&failure, "%s", shown ? shown : "output file");
	outfile_clear(o);
	if (err)
		*err = steal_pointer(&failure);
	return -1;
}

/* ---- temps that outlive a kill ---- */

/*
 * With the lock held: does the name still lead to what is open? Else somebody published or
 * swept it in between, and it must not be written to. Nor must a file that has another name.
 */
static bool still_named(const struct outfile *o, struct stat *st)
{
	struct stat named;

	return io_fstat(o->fd, st, NULL) == 0 && S_ISREG(st->st_mode) && st->st_nlink == 1 &&
	       io_fstatat(o->dirfd, o->temp, AT_SYMLINK_NOFOLLOW, &named, NULL) == 0 &&
	       named.st_dev == st->st_dev && named.st_ino == st->st_ino;
}

/* 1 = open and locked. A file system without locks has no partial files. */
static int open_partial(struct outfile *o, int64_t *ret_have)
{
	struct stat st;

	o->fd = io_openat(o->dirfd, o->temp, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK,
			  0600, NULL);
	if (o->fd < 0 || io_flock(o->fd, LOCK_EX | LOCK_NB, NULL) <= 0 || !still_named(o, &st))
		return 0;
	o->hold = fcntl(o->fd, F_DUPFD_CLOEXEC, 0);
	*ret_have = st.st_size;
	return o->hold >= 0;
}

int outfile_begin_partial(struct outfile *o, int dirfd, const char *path, int64_t *ret_have,
			  dray_error **err)
{
	cleanup_error dray_error *failure = NULL;
	cleanup_free char *dir = NULL;
	int rc = split_path(path, &dir, &o->name, &failure);

	assert(o->fd < 0 && o->dirfd < 0 && !o->temp);
	if (rc == 0)
		rc = o->dirfd = io_openat(dirfd, dir, O_RDONLY | O_DIRECTORY, 0, &failure);
	if (rc >= 0) {
		o->mode = 0666 & ~current_umask();
		o->temp = mem_printf(".%s" OUTFILE_PARTIAL_MARK, o->name);
		rc = o->temp ? open_partial(o, ret_have) : err_nomem(&failure);
	}
	if (rc > 0)
		return 1;
	outfile_keep(o); /* it is not ours */
	outfile_clear(o);
	if (!failure || dray_error_kind(failure) != DRAY_ERR_NOMEM)
		return 0;
	if (err)
		*err = steal_pointer(&failure);
	return -1;
}

void outfile_keep(struct outfile *o)
{
	slot_release(&o->slot);
	mem_free(steal_pointer(&o->temp));
}

/* ---- the end ---- */

/* Give the finished temp its name; from here on it is the file. */
static int publish(struct outfile *o, dray_error **err)
{
	cleanup_error dray_error *failure = NULL;

	if (io_renameat(o->dirfd, o->temp, o->name, o->no_clobber, &failure) < 0) {
		if (dray_error_errno(failure) == EEXIST)
			err_rekind(&failure, DRAY_ERR_USAGE);
		if (dray_error_kind(failure) == DRAY_ERR_NOT_FOUND)
			err_rekind(&failure, DRAY_ERR_SYSTEM); /* the folder went away */
		if (err)
			*err = steal_pointer(&failure);
		return -1;
	}
	outfile_keep(o);
	return io_fsync(o->dirfd, err);
}

int outfile_commit(struct outfile *o, dray_error **err)
{
	assert(o->fd >= 0);
	if (o->temp && io_fchmod(o->fd, o->mode, err) < 0)
		return -1;
	if (io_fsync(o->fd, err) < 0 || io_close(steal_fd(&o->fd), err) < 0)
		return -1;
	return o->temp ? publish(o, err) : 0;
}

void outfile_clear(struct outfile *o)
{
	int saved = errno;

	if (!o)
		return;
	if (o->temp) {
		/* Nothing is left to do about a temp that will not go. */
		(void)!io_unlinkat(o->dirfd, o->temp, NULL);
		slot_release(&o->slot);
	}
	cleanup_fd_fn(&o->fd);
	cleanup_fd_fn(&o->hold);
	cleanup_fd_fn(&o->dirfd);
	mem_free(o->temp);
	mem_free(o->name);
	*o = OUTFILE_INIT;
	errno = saved;
}
