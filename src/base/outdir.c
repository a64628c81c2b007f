/* SPDX-License-Identifier: Apache-2.0
 *
 * For: output folders that appear whole or not at all.
 * Relies on: io_remove_tree(); flock(2), which tells the stages of the living from those of the dead.
 * Promises: nothing is removed but stages, by their pattern, that nobody holds.
 */
#include "base/outdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"

#define TEMP_MARK ".dray-"
#define RANDOM_BYTES 4
#define TEMP_TAIL (sizeof(TEMP_MARK) - 1 + (size_t)RANDOM_BYTES * 2)
#define INSIDE "unpack" /* what the stage is called after within the folder itself */
#define NAME_TRIES 100
#define SHOWN_PATH 512 /* bytes of a path that an error shows */

/* ---- where ---- */

/* Cut @p path into its folder, opened, and the name in it. */
static int open_parent(struct outdir *o, const char *path, dray_error **err)
{
	struct span p = span_str(path);
	cleanup_free char *folder = NULL;
	size_t at;

	while (p.len > 1 && p.data[p.len - 1] == '/')
		p.len--;
	for (at = p.len; at > 0 && p.data[at - 1] != '/'; at--)
		;
	o->name = mem_strndup(path + at, p.len - at);
	folder = at ? mem_strndup(path, at) : mem_strdup(".");
	if (!o->name || !folder)
		return err_nomem(err);
	if (!o->name[0])
		return err_set(err, DRAY_ERR_USAGE, "a folder needs a name");
	o->parent = io_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0, err);
	return o->parent < 0 ? -1 : 0;
}

/* Nothing may have the name: neither a file nor a link to nowhere. */
static int check_free(const struct outdir *o, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	struct stat st;

	if (io_fstatat(o->parent, o->name, AT_SYMLINK_NOFOLLOW, &st, &e) == 0)
		return err_set(err, DRAY_ERR_USAGE, "something that is no folder has this name");
	if (dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

/* ---- stages of dead runs ---- */

/* What the names of stages begin with; NULL = no memory. */
static char *stage_begin(const char *after)
{
	return mem_printf(".%.*s" TEMP_MARK, (int)(NAME_MAX - 1 - TEMP_TAIL), after);
}

/* Is it one, eight digits behind @p begin? */
static bool is_stage(const char *name, const char *begin)
{
	struct span s = span_str(name);
	size_t head = strlen(begin);

	return s.len == head + (size_t)RANDOM_BYTES * 2 && span_starts(s, begin) &&
	       hex_is_lower(span_from(s, head), (size_t)RANDOM_BYTES * 2);
}

static void remove_if_dead(int parent, const char *name)
{
	cleanup_fd int fd = io_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, NULL);
	struct stat st;

	if (fd >= 0 && io_fstat(fd, &st, NULL) == 0 && st.st_uid == geteuid() &&
	    io_flock(fd, LOCK_EX | LOCK_NB, NULL) > 0)
		(void)!io_remove_tree(parent, name, NULL);
}

static void sweep(int parent, const char *begin)
{
	cleanup_fd int fd = io_openat(parent, ".", O_RDONLY | O_DIRECTORY, 0, NULL);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)) != NULL)
		if (is_stage(e->d_name, begin))
			remove_if_dead(fd, e->d_name);
	closedir(d);
	fd = -1; /* went with the stream */
}

/* ---- ours ---- */

/* The lock says that we live. False: another run took us for dead before we had it. */
static bool claim(struct outdir *o)
{
	struct stat st;

	if (io_flock(o->stage, LOCK_EX | LOCK_NB, NULL) == 0)
		return false;
	return io_fstatat(o->parent, o->temp, AT_SYMLINK_NOFOLLOW, &st, NULL) == 0;
}

static int try_stage(struct outdir *o, const char *begin, dray_error **err)
{
	uint8_t random[RANDOM_BYTES];
	char hex[RANDOM_BYTES * 2 + 1];

	if (io_random(random, sizeof(random), err) < 0)
		return -1;
	hex_encode(random, sizeof(random), hex);
	o->temp = mem_printf("%s%s", begin, hex);
	if (!o->temp)
		return err_nomem(err);
	if (io_mkdirat(o->parent, o->temp, 0700, false, err) < 0) {
		mem_free(steal_pointer(&o->temp)); /* what has that name is not ours */
		return -1;
	}
	o->stage = io_openat(o->parent, o->temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	return o->stage < 0 ? -1 : 0;
}

static int make_stage(struct outdir *o, const char *begin, dray_error **err)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		cleanup_error dray_error *e = NULL;

		if (try_stage(o, begin, &e) == 0 && claim(o))
			return 0;
		if (e && dray_error_errno(e) != EEXIST) {
			if (err)
				*err = steal_pointer(&e);
			return -1;
		}
		if (o->temp) /* empty, if it is there */
			(void)!io_rmdirat(o->parent, o->temp, NULL);
		cleanup_fd_fn(&o->stage);
		o->stage = -1;
		mem_free(steal_pointer(&o->temp));
	}
	return err_set(err, DRAY_ERR_SYSTEM, "no free name for a temporary folder");
}

/* Stages beside a folder that is there by now. Best effort. */
static void sweep_beside(const char *path)
{
	cleanup_outdir struct outdir o = OUTDIR_INIT;
	cleanup_free char *begin = NULL;

	if (open_parent(&o, path, NULL) == 0)
		begin = stage_begin(o.name);
	if (begin)
		sweep(o.parent, begin);
}

static int begin_here(struct outdir *o, const char *path, bool filled_ok, char **ret_begin,
		      dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	const char *after = INSIDE;
	bool empty = true;

	o->parent = io_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &e);
	if (o->parent < 0 && dray_error_kind(e) != DRAY_ERR_NOT_FOUND) {
		if (err)
			*err = steal_pointer(&e);
		return -1;
	}
	if (o->parent < 0) {
		if (open_parent(o, path, err) < 0 || check_free(o, err) < 0)
			return -1;
		after = o->name;
	}
	*ret_begin = stage_begin(after);
	if (!*ret_begin)
		return err_nomem(err);
	sweep(o->parent, *ret_begin);
	if (!o->name)
		sweep_beside(path);
	if (o->name || filled_ok)
		return 0;
	if (io_dir_empty(o->parent, &empty, err) < 0)
		return -1;
	if (empty)
		return 0;
	err_set(err, DRAY_ERR_USAGE, "the folder is not empty");
	return err_hint(err, "--force replaces what the image has too");
}

int outdir_begin(struct outdir *o, const char *path, bool filled_ok, dray_error **err)
{
	cleanup_free char *begin = NULL, *shown = NULL;

	if (begin_here(o, path, filled_ok, &begin, err) == 0 && make_stage(o, begin, err) == 0)
		return 0;
	/* The folder of an output is missing, nothing that somebody named to be found. */
	if (err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND)
		err_rekind(err, DRAY_ERR_SYSTEM);
	shown = text_safe(span_str(path), SHOWN_PATH);
	return err_ctx(err, "%s", shown ? shown : "output folder");
}

int outdir_finish(struct outdir *o, dray_error **err)
{
	if (io_remove_tree(o->parent, o->temp, err) < 0)
		return -1; /* outdir_clear() tries again */
	mem_free(steal_pointer(&o->temp));
	return 0;
}

void outdir_clear(struct outdir *o)
{
	int saved = errno;

	/* Nothing is left to do about a stage that will not go. */
	if (o->temp)
		(void)!io_remove_tree(o->parent, o->temp, NULL);
	cleanup_fd_fn(&o->stage);
	cleanup_fd_fn(&o->parent);
	mem_free(o->temp);
	mem_free(o->name);
	*o = OUTDIR_INIT;
	errno = saved;
}
