/* SPDX-License-Identifier: Apache-2.0
 *
 * For: files of settings that are read again when they change.
 * Relies on what stat(2) says: a file that is renamed over another one has another inode, one that
 * is written to another time.
 * Promises: what is wrong with a file is said once, not every second.
 */
#include "serve/reread.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/io.h"

static int64_t ns_of(const struct timespec *t)
{
	return (int64_t)((uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec);
}

static int not_there(struct reread *f, dray_error **why, dray_error **err)
{
	bool told = f->told;

	*f = (struct reread){ .path = f->path, .told = true };
	if (told)
		return 0;
	if (err)
		*err = steal_pointer(why);
	return -1;
}

int reread_look(struct reread *f, dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	struct reread old = *f;
	struct stat st;

	if (io_fstatat(AT_FDCWD, f->path, 0, &st, &why) < 0)
		return not_there(f, &why, err);
	*f = (struct reread){ .path = f->path,
			      .there = true,
			      .lacked = old.lacked && !old.there,
			      .dev = st.st_dev,
			      .ino = st.st_ino,
			      .size = st.st_size,
			      .mtime_ns = ns_of(&st.st_mtim),
			      .ctime_ns = ns_of(&st.st_ctim) };
	return !old.there || f->dev != old.dev || f->ino != old.ino || f->size != old.size ||
	       f->mtime_ns != old.mtime_ns || f->ctime_ns != old.ctime_ns;
}

bool reread_is_shortage(int errnum)
{
	return errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM || errnum == EAGAIN;
}

static bool is_shortage(const dray_error *why)
{
	return dray_error_kind(why) == DRAY_ERR_NOMEM || reread_is_shortage(dray_error_errno(why));
}

int reread_failed(struct reread *f, dray_error **err)
{
	if (!err || !is_shortage(*err))
		return -1;
	f->there = false;
	if (!f->lacked) {
		f->lacked = true;
		return -1;
	}
	err_clear(err);
	return 0;
}
