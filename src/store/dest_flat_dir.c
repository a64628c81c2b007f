/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing skopeo's flat directory: version, manifest.json, blobs under their bare hex.
 * Relies on rename(2) of a folder, and on RENAME_EXCHANGE where an old one stands.
 * Promises that the folder appears whole, and that no file of others is ever removed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "flow/pool.h"
#include "store/dest_priv.h"

#define VERSION_NAME "version"
#define VERSION_BEGIN "Directory Transport Version: "
#define VERSION_TEXT VERSION_BEGIN "1.1\n"
#define MANIFEST_NAME "manifest.json"
#define BLOB_NAME "blob" /* until it is proven: ".blob.dray-..." */
#define TEMP_MARK ".dray-"
#define TEMP_RANDOM 4 /* bytes */

struct flat_dir {
	struct dest base;
	int parent;	   /* the folder that ours appears in */
	char *name, *temp; /* in parent; temp NULL = not made, or renamed */
	int fd;		   /* of the temp, locked while we live */
	bool replaces;	   /* an old "dir:" stands at name */
	struct lock *lock; /* guards what follows */
	struct map seen;   /* digest text -> struct dest_entry */
	struct arena arena;
	struct buf top; /* the manifest put last: manifest.json */
	struct digest top_digest;
};

/* ---- folders that are "dir:" layouts ---- */

/* "HEX", "HEX.manifest.json", "HEX.signature-1", "signature-1" and the two fixed names. */
static bool is_ours(const char *name)
{
	struct span s = span_str(name);

	if (strcmp(name, VERSION_NAME) == 0 || strcmp(name, MANIFEST_NAME) == 0)
		return true;
	if (s.len >= 64 && hex_is_lower(span_head(s, 64), 64)) {
		s = span_from(s, 64);
		if (s.len == 0 || span_eq(s, SPAN_LIT("." MANIFEST_NAME)))
			return true;
		if (!span_starts(s, "."))
			return false;
		s = span_from(s, 1);
	}
	return span_starts(s, "signature-");
}

static bool dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* What the folder @p fd holds: 0 nothing, 1 a "dir:" layout and nothing else, 2 more than that. */
static int look(int fd, dray_error **err)
{
	cleanup_fd int again = io_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	bool any = false, foreign = false, version = false;
	const struct dirent *e;

	if (!d)
		return again < 0 ? -1 : err_sys(err, errno, "folder");
	again = -1; /* went with the stream */
	while ((e = readdir(d)) != NULL) {
		if (dots(e->d_name))
			continue;
		any = true;
		version = version || strcmp(e->d_name, VERSION_NAME) == 0;
		foreign = foreign || !is_ours(e->d_name);
	}
	closedir(d);
	if (!any)
		return 0;
	return version && !foreign ? 1 : 2;
}

static int check_version(int fd, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(KIB);

	if (io_read_file(fd, VERSION_NAME, KIB, &text, err) < 0)
		return -1;
	if (span_starts(span_buf(&text), VERSION_BEGIN))
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "the folder is not empty and no \"dir:\" layout");
}

/* Remove the files of a "dir:" layout or temp, then its folder; what is not ours stays. */
static void remove_flat(int parent, const char *name)
{
	cleanup_fd int fd = io_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, NULL);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)) != NULL)
		if (!dots(e->d_name) && (is_ours(e->d_name) ||
					 span_starts(span_str(e->d_name), "." BLOB_NAME TEMP_MARK)))
			(void)!io_unlinkat(fd, e->d_name, NULL);
	closedir(d);
	fd = -1; /* went with the stream */
	(void)!io_rmdirat(parent, name, NULL);
}

/* ---- blobs ---- */

static int put_file(struct flat_dir *d, const char *name, struct span text, dray_error **err)
{
	cleanup_fd int fd = io_openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666,
				      err);

	if (dest_gone(fd, err) < 0 || io_write_all(fd, text, err) < 0)
		return -1;
	return io_close(steal_fd(&fd), err);
}

static const struct dest_entry *find(struct flat_dir *d, const struct digest *digest)
{
	const struct dest_entry *e;

	lock_take(d->lock);
	e = map_get(&d->seen, span_str(digest->text));
	lock_drop(d->lock);
	return e;
}

static int note(struct flat_dir *d, const struct digest *digest, int64_t size, dray_error **err)
{
	struct dest_entry *e;
	int rc;

	lock_take(d->lock);
	e = arena_alloc(&d->arena, sizeof(*e));
	rc = e ? 0 : err_nomem(err);
	if (e) {
		*e = (struct dest_entry){ .digest = *digest, .size = size };
		rc = map_put(&d->seen, span_str(e->digest.text), e, err);
	}
	lock_drop(d->lock);
	return rc;
}

static int flat_has_blob(struct dest *base, const struct descriptor *desc, dray_error **err)
{
	const struct dest_entry *e = find((struct flat_dir *)base, &desc->digest);

	(void)err;
	return e && (desc->size < 0 || desc->size == e->size);
}

/* Bytes get their name when they are proven; a twin takes the place of its equal. */
static int flat_put_blob(struct dest *base, const struct blob_put *put, struct source *data,
			 struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	struct flat_dir *d = (struct flat_dir *)base;
	cleanup_outfile struct outfile o = OUTFILE_INIT;
	cleanup_sink struct sink *k = NULL;

	if (dest_gone(outfile_begin(&o, d->fd, BLOB_NAME, false, err), err) == 0)
		k = sink_to_fd(o.fd, false, err);
	if (!k) {
		source_free(data);
		return -1;
	}
	k->lasting = true;
	if (dest_copy(put, data, k, ret_digest, ret_size, err) < 0 ||
	    io_fchmod(o.fd, o.mode, err) < 0 || io_close(steal_fd(&o.fd), err) < 0 ||
	    dest_gone(io_renameat(d->fd, o.temp, digest_hex(ret_digest), false, err), err) < 0)
		return -1;
	return note(d, ret_digest, *ret_size, err);
}

/* The manifest put last is the one the folder is about; those before it belong to an index. */
static int put_top(struct flat_dir *d, const struct manifest *m, dray_error **err)
{
	if (digest_set(&d->top_digest) && !digest_eq(&d->top_digest, &m->digest)) {
		cleanup_free char *name = mem_printf("%s.%s", digest_hex(&d->top_digest),
						     MANIFEST_NAME);
		if (!name)
			return err_nomem(err);
		if (put_file(d, name, span_buf(&d->top), err) < 0)
			return -1;
	}
	d->top_digest = m->digest;
	buf_reset(&d->top);
	return buf_add(&d->top, span_buf(&m->raw), err);
}

static int flat_put_manifest(struct dest *base, const struct manifest *m, const char *tag,
			     dray_error **err)
{
	struct flat_dir *d = (struct flat_dir *)base;
	int rc;

	(void)tag; /* the layout has no place for one */
	lock_take(d->lock);
	rc = put_top(d, m, err);
	lock_drop(d->lock);
	return rc;
}

/* ---- the end ---- */

/* Exchange the old layout for ours; where that cannot be done at once, one after the other. */
static int replace(struct flat_dir *d, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	if (io_exchangeat(d->parent, d->temp, d->name, &e) == 0)
		return 0;
	if (dray_error_errno(e) == EINVAL || dray_error_errno(e) == ENOSYS)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "this file system cannot exchange two folders: remove the old one");
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int flat_finish(struct dest *base, dray_error **err)
{
	struct flat_dir *d = (struct flat_dir *)base;

	if (!digest_set(&d->top_digest))
		return err_set(err, DRAY_ERR_USAGE, "a \"dir:\" layout without an image");
	if (put_file(d, VERSION_NAME, SPAN_LIT(VERSION_TEXT), err) < 0 ||
	    put_file(d, MANIFEST_NAME, span_buf(&d->top), err) < 0 || io_syncfs(d->fd, err) < 0)
		return -1;
	if (!d->replaces) {
		/* Over nothing, or over an empty folder. */
		if (dest_gone(io_renameat(d->parent, d->temp, d->name, false, err), err) < 0)
			return -1;
		mem_free(steal_pointer(&d->temp));
		return io_fsync(d->parent, err);
	}
	/* From here on the temp's name is that of the old layout, which flat_free() removes. */
	return dest_gone(replace(d, err), err) < 0 ? -1 : io_fsync(d->parent, err);
}

static void flat_free(struct dest *base)
{
	struct flat_dir *d = (struct flat_dir *)base;

	if (d->temp)
		remove_flat(d->parent, d->temp);
	cleanup_fd_fn(&d->fd);
	cleanup_fd_fn(&d->parent);
	buf_clear(&d->top);
	map_clear(&d->seen);
	arena_clear(&d->arena);
	lock_free(d->lock);
	mem_free(d->name);
	mem_free(d->temp);
	mem_free(base->place);
	mem_free(d);
}

/* ---- the beginning ---- */

/* Cut the path into its folder, opened, and a name without slashes at its end. */
static int open_parent(struct flat_dir *d, dray_error **err)
{
	struct span path = span_str(d->base.place);
	cleanup_free char *folder = NULL;
	size_t at;

	while (path.len > 1 && path.data[path.len - 1] == '/')
		path.len--;
	for (at = path.len; at > 0 && path.data[at - 1] != '/'; at--)
		;
	d->name = mem_strndup((const char *)path.data + at, path.len - at);
	folder = at ? mem_strndup((const char *)path.data, at) : mem_strdup(".");
	if (!d->name || !folder)
		return err_nomem(err);
	if (!*d->name || dots(d->name))
		return err_set(err, DRAY_ERR_USAGE, "a \"dir:\" needs a name of its own");
	d->parent = io_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0, err);
	return d->parent < 0 ? -1 : 0;
}

/* The name cannot be opened as a folder: fine when nothing has it. */
static int no_folder(const struct flat_dir *d, dray_error **why, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	struct stat st;

	if (dray_error_kind(*why) != DRAY_ERR_NOT_FOUND)
		e = steal_pointer(why);
	else if (io_fstatat(d->parent, d->name, AT_SYMLINK_NOFOLLOW, &st, &e) == 0)
		return err_set(err, DRAY_ERR_USAGE, "something that is no folder has this name");
	if (dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int check_old(struct flat_dir *d, bool no_clobber, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	cleanup_fd int fd = io_openat(d->parent, d->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
				      &e);
	int what;

	if (fd < 0)
		return no_folder(d, &e, err);
	what = look(fd, err);
	if (what <= 0)
		return what;
	if (what > 1)
		return err_set(err, DRAY_ERR_USAGE,
			       "the folder is not empty and no \"dir:\" layout");
	if (check_version(fd, err) < 0)
		return -1;
	if (no_clobber)
		return err_set(err, DRAY_ERR_USAGE, "the folder exists already");
	d->replaces = true;
	return 0;
}

/* Folders that a killed run left: of our pattern and locked by nobody. */
static void sweep(const struct flat_dir *d, const char *begin)
{
	cleanup_fd int fd = io_openat(d->parent, ".", O_RDONLY | O_DIRECTORY, 0, NULL);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!folder)
		return;
	while ((e = readdir(folder)) != NULL) {
		struct span name = span_str(e->d_name);
		cleanup_fd int held = -1;

		if (!span_starts(name, begin) || name.len != strlen(begin) + 2 * TEMP_RANDOM)
			continue;
		held = io_openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, NULL);
		if (held >= 0 && io_flock(held, LOCK_EX | LOCK_NB, NULL) > 0)
			remove_flat(fd, e->d_name);
	}
	closedir(folder);
	fd = -1; /* went with the stream */
}

static int make_temp(struct flat_dir *d, const char *begin, dray_error **err)
{
	uint8_t random[TEMP_RANDOM];
	char hex[2 * TEMP_RANDOM + 1];

	if (io_random(random, sizeof(random), err) < 0)
		return -1;
	hex_encode(random, sizeof(random), hex);
	d->temp = mem_printf("%s%s", begin, hex);
	if (!d->temp)
		return err_nomem(err);
	if (io_mkdirat(d->parent, d->temp, 0777, false, err) < 0) {
		mem_free(steal_pointer(&d->temp));
		return -1;
	}
	d->fd = io_openat(d->parent, d->temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (d->fd < 0)
		return -1;
	(void)!io_flock(d->fd, LOCK_EX | LOCK_NB, NULL); /* without locks there is no sweep */
	return 0;
}

static int open_flat(struct flat_dir *d, bool no_clobber, dray_error **err)
{
	cleanup_free char *begin = NULL;

	if (open_parent(d, err) < 0 || check_old(d, no_clobber, err) < 0)
		return -1;
	begin = mem_printf(".%s%s", d->name, TEMP_MARK);
	if (!begin)
		return err_nomem(err);
	sweep(d, begin);
	return make_temp(d, begin, err);
}

static const struct dest_ops flat_ops = {
	.has_blob = flat_has_blob,
	.put_blob = flat_put_blob,
	.put_manifest = flat_put_manifest,
	.finish = flat_finish,
	.free = flat_free,
};

struct dest *dest_flat_dir(const char *path, bool no_clobber, dray_error **err)
{
	cleanup_dest struct dest *base = NULL;
	struct flat_dir *d = mem_zalloc(sizeof(*d));

	if (!d) {
		err_nomem(err);
		return NULL;
	}
	base = &d->base;
	base->ops = &flat_ops;
	base->lone = true;
	base->place = mem_strdup(path);
	d->fd = d->parent = -1;
	d->top = BUF_INIT(LIMIT_MANIFEST);
	d->lock = base->place ? lock_new(err) : NULL;
	if (!base->place)
		err_nomem(err);
	if (!d->lock)
		return NULL;
	if (open_flat(d, no_clobber, err) < 0) {
		cleanup_free char *safe = text_safe(span_str(path), 512);

		err_ctx(err, "%s", safe ? safe : "dir");
		return NULL;
	}
	return steal_pointer(&base);
}
