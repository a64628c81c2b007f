/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing an OCI layout folder: blobs first, index.json last, under a lock.
 * Relies on rename(2) for single files, flock(2) between processes, syncfs(2) against power cuts.
 * Promises that index.json only names what is there, and that an abandoned copy leaves nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "flow/pool.h"
#include "store/dest_priv.h"

#define BLOBS "blobs"
#define READ_MAX MIB /* bytes of blobs that are read before they are believed to be there */

/*
 * Two locks. "oci-layout" is held for writing while index.json changes: short.
 * The folder "blobs" is held shared by everyone who adds blobs: who can get it
 * alone knows that nobody else counts on the blobs about to be removed.
 */
struct oci_dir {
	struct dest base;
	int root;  /* the folder */
	int blobs; /* its "blobs", locked shared */
	bool made_root, made_layout;
	bool done;		 /* index.json names our blobs: they stay */
	struct digest old_index; /* of index.json when we came; not set = there was none */
	struct lock *lock;	 /* guards what follows: put_blob() runs on several threads */
	struct dest_index index;
	char **written; /* paths of blobs that were not there before */
	size_t n_written, cap_written;
};

/* ---- small files of the layout ---- */

/* 1 = a regular file is at @p path, 0 = nothing, -1; anything else is FORMAT. */
static int regular_file(int root, const char *path, int64_t *ret_size, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	struct stat st;

	if (io_fstatat(root, path, AT_SYMLINK_NOFOLLOW, &st, &e) < 0) {
		if (dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
			return 0;
		if (err)
			*err = steal_pointer(&e);
		return -1;
	}
	if (!S_ISREG(st.st_mode))
		return err_set(err, DRAY_ERR_FORMAT, "%s is no regular file", path);
	*ret_size = st.st_size;
	return 1;
}

static int write_file(int root, const char *path, struct span text, bool no_clobber,
		      bool *ret_there, dray_error **err)
{
	cleanup_outfile struct outfile o = OUTFILE_INIT;
	int rc = outfile_begin(&o, root, path, no_clobber, err);

	if (rc == 0)
		rc = io_write_all(o.fd, text, err);
	if (rc == 0)
		rc = outfile_commit(&o, err);
	/* The temp is gone once the rename happened, even when its fsync then failed. */
	*ret_there = rc == 0 || (o.fd < 0 && !o.temp && o.name);
	return rc;
}

/* index.json as it is now, or an empty one. */
static int read_index(int root, struct buf *ret, struct digest *ret_digest, dray_error **err)
{
	int64_t size;
	int there = regular_file(root, OCI_INDEX_NAME, &size, err);

	*ret_digest = (struct digest){ 0 };
	if (there < 0)
		return -1;
	if (!there)
		return buf_add_str(ret, OCI_INDEX_EMPTY, err);
	if (io_read_file(root, OCI_INDEX_NAME, LIMIT_MANIFEST, ret, err) < 0)
		return -1;
	return digest_of(span_buf(ret), ret_digest, err);
}

static int check_layout_text(struct span text, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	struct arena a = { 0 };
	const char *version = NULL;
	int rc = json_parse(text, &doc, err);

	if (rc == 0)
		rc = json_string(json_get(json_root(doc), "imageLayoutVersion"),
				 "imageLayoutVersion", &a, &version, err);
	if (rc == 0 && (!version || strcmp(version, "1.0.0") != 0))
		rc = err_set(err, DRAY_ERR_FORMAT, "imageLayoutVersion is not 1.0.0");
	arena_clear(&a);
	return rc < 0 ? err_ctx(err, OCI_LAYOUT_NAME) : 0;
}

/* Somebody else may make the same layout at the same time: whose file it is does not matter. */
static int make_layout_file(struct oci_dir *d, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	if (write_file(d->root, OCI_LAYOUT_NAME, SPAN_LIT(OCI_LAYOUT_TEXT), true, &d->made_layout,
		       &e) == 0)
		return 0;
	if (dray_error_kind(e) == DRAY_ERR_USAGE)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int check_layout_file(struct oci_dir *d, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	int64_t size;
	bool empty;
	int there = regular_file(d->root, OCI_LAYOUT_NAME, &size, err);

	if (there < 0)
		return -1;
	if (there)
		return io_read_file(d->root, OCI_LAYOUT_NAME, LIMIT_MANIFEST, &text, err) < 0
			       ? -1
			       : check_layout_text(span_buf(&text), err);
	if (!d->made_root && io_dir_empty(d->root, &empty, err) < 0)
		return -1;
	if (!d->made_root && !empty)
		return err_set(err, DRAY_ERR_USAGE, "the folder is not empty and no OCI layout");
	return make_layout_file(d, err);
}

/* A damaged index.json is met before the first blob moves. */
static int check_index(struct oci_dir *d, dray_error **err)
{
	cleanup_buf struct buf old = BUF_INIT(LIMIT_MANIFEST);
	cleanup_buf struct buf same = BUF_INIT(LIMIT_MANIFEST + KIB);

	if (read_index(d->root, &old, &d->old_index, err) < 0)
		return -1;
	return dest_index_write(&d->index, span_buf(&old), &same, err);
}

/* ---- blobs ---- */

/* 1 = what is at @p path holds these very bytes, 0 = it does not or cannot be read, -1. */
static int holds(const struct oci_dir *d, const char *path, const struct digest *digest,
		 int64_t size, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	cleanup_fd int fd = io_openat(d->root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &e);
	cleanup_source struct source *s = NULL;

	if (fd >= 0)
		s = source_verified(source_from_extent(fd, 0, size, &e), digest, size,
				    "blob digest", &e);
	if (s && source_drain(s, &e) == 0)
		return 1;
	if (dray_error_kind(e) != DRAY_ERR_CANCELLED && dray_error_kind(e) != DRAY_ERR_NOMEM)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

/*
 * The size is believed of great blobs, as everywhere; small ones, documents above all, cost
 * nothing to read, and one that is damaged is written again.
 */
static int dir_has_blob(struct dest *base, const struct descriptor *desc, dray_error **err)
{
	struct oci_dir *d = (struct oci_dir *)base;
	cleanup_free char *path = dest_blob_path(&desc->digest);
	int64_t size = -1;
	int there = path ? regular_file(d->root, path, &size, err) : err_nomem(err);

	/* Without a size to compare it is written again: a power cut may have left it short. */
	if (there <= 0 || desc->size < 0 || size != desc->size)
		return there < 0 ? -1 : 0;
	return size > READ_MAX ? 1 : holds(d, path, &desc->digest, size, err);
}

/*
 * 1 = the blob needs no writing, 0 = it does, -1. Its size is all that dir_has_blob() looks at
 * when it is great; who has the bytes can do better. *ret_there: something has the name already, whole or not.
 */
static int is_whole(const struct oci_dir *d, const struct digest *digest, int64_t want,
		    bool *ret_there, dray_error **err)
{
	cleanup_free char *path = dest_blob_path(digest);
	int64_t size = -1;
	int there = path ? regular_file(d->root, path, &size, err) : err_nomem(err);

	*ret_there = there > 0;
	if (there <= 0 || size != want)
		return there < 0 ? -1 : 0;
	return holds(d, path, digest, size, err);
}

/* Read @p data through all the same: whoever watches it counts on its end. */
static int check_only(const struct blob_put *put, struct source *data, struct digest *ret_digest,
		      int64_t *ret_size, dray_error **err)
{
	cleanup_sink struct sink *null = sink_null(err);

	if (!null) {
		source_free(data);
		return -1;
	}
	return dest_copy(put, data, null, ret_digest, ret_size, err);
}

/* Remember that the blob is ours to remove: nobody had it before. A twin in the list does no harm. */
static int note_written(struct oci_dir *d, char **path, dray_error **err)
{
	int rc;

	lock_take(d->lock);
	rc = mem_grow(&d->written, d->n_written, &d->cap_written, sizeof(*d->written));
	if (rc == 0)
		d->written[d->n_written++] = steal_pointer(path);
	lock_drop(d->lock);
	return rc < 0 ? err_nomem(err) : 0;
}

/*
 * Give a proven blob its name. No fsync here: one syncfs() before index.json is
 * cheaper than one fsync per blob, and nothing leads to the blob before that: it is
 * new, or takes the place of a damaged one. One that is whole must not give way to bytes
 * that a power cut may still take.
 */
static int publish(struct oci_dir *d, struct outfile *o, const struct digest *digest, int64_t size,
		   dray_error **err)
{
	bool there;
	int whole = is_whole(d, digest, size, &there, err);

	if (whole != 0)
		return whole < 0 ? -1 : 0;
	cleanup_free char *path = dest_blob_path(digest);
	if (!path)
		return err_nomem(err);
	if (io_fchmod(o->fd, o->mode, err) < 0 || io_close(steal_fd(&o->fd), err) < 0 ||
	    (!there && note_written(d, &path, err) < 0))
		return -1;
	if (dest_gone(io_renameat(o->dirfd, o->temp, digest_hex(digest), false, err), err) < 0)
		return -1;
	outfile_keep(o);
	return 0;
}

static const char *algo_folder(const struct digest *d)
{
	return d->algo == DIGEST_SHA512 ? BLOBS "/sha512" : BLOBS "/sha256";
}

static int begin_blob(struct oci_dir *d, const struct digest *digest, struct outfile *o,
		      dray_error **err)
{
	const char *folder = algo_folder(digest);
	cleanup_free char *path = mem_printf("%s/new", folder);

	if (!path)
		return err_nomem(err);
	if (dest_gone(io_mkdirat(d->root, folder, 0755, true, err), err) < 0 ||
	    dest_gone(outfile_begin(o, d->root, path, false, err), err) < 0)
		return -1;
	return o->temp ? 0 : err_set(err, DRAY_ERR_FORMAT, "%s is no regular file", path);
}

/* ---- blobs that a killed run began ---- */

#define PARTIAL_FROM (1 * MIB) /* smaller ones are fetched again in no time */

static bool resumable(const struct blob_put *put, const struct source *data)
{
	return put->keep_partial && digest_set(&put->desc.digest) &&
	       put->desc.size >= PARTIAL_FROM && source_can_rewind(data);
}

/*
 * After a failure: bytes that a later run can go on from stay, if the layout was there before;
 * a new one disappears as a whole. A full disk wants its room back, wrong bytes help nobody.
 */
static bool worth_keeping(const struct oci_dir *d, const dray_error *why)
{
	enum dray_err_kind kind = dray_error_kind(why);

	return !d->made_layout && (kind == DRAY_ERR_NETWORK || kind == DRAY_ERR_CANCELLED);
}

/*
 * Like the usual way, with a temp of fixed name: whatever ends this process, the next one finds
 * what is there, hashes it again and asks for the rest only. Who comes second while another
 * process is at it (G-10) gets 0 and fetches the blob for itself; 1 = done, *data consumed.
 */
static int put_resumable(struct oci_dir *d, const struct blob_put *put, struct source **data,
			 struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	cleanup_outfile struct outfile o = OUTFILE_INIT;
	cleanup_error dray_error *why = NULL;
	cleanup_free char *path = dest_blob_path(&put->desc.digest);
	int64_t have;
	int rc = path ? dest_gone(io_mkdirat(d->root, algo_folder(&put->desc.digest), 0755, true,
					     &why),
				  &why)
		      : err_nomem(&why);

	if (rc == 0)
		rc = outfile_begin_partial(&o, d->root, path, &have, &why);
	if (rc == 0)
		return 0;
	if (rc > 0)
		rc = dest_copy_rest(put, steal_pointer(data), o.fd, have, ret_digest, ret_size,
				    &why);
	if (rc == 0 && publish(d, &o, ret_digest, *ret_size, &why) == 0)
		return 1;
	if (worth_keeping(d, why))
		outfile_keep(&o);
	if (err)
		*err = steal_pointer(&why);
	return -1;
}

static int dir_put_blob(struct dest *base, const struct blob_put *put, struct source *data,
			struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	struct oci_dir *d = (struct oci_dir *)base;
	cleanup_outfile struct outfile o = OUTFILE_INIT;
	const struct descriptor *desc = &put->desc;
	bool there;
	int whole = digest_set(&desc->digest) ? is_whole(d, &desc->digest, desc->size, &there, err)
					      : 0;

	if (whole > 0)
		return check_only(put, data, ret_digest, ret_size, err);
	if (whole == 0 && resumable(put, data)) {
		int rc = put_resumable(d, put, &data, ret_digest, ret_size, err);

		if (rc > 0)
			return 0;
		whole = rc;
	}
	if (whole < 0 || begin_blob(d, &put->desc.digest, &o, err) < 0) {
		source_free(data);
		return -1;
	}
	cleanup_sink struct sink *k = sink_to_fd(o.fd, false, err);
	if (!k) {
		source_free(data);
		return -1;
	}
	k->lasting = true;
	if (dest_copy(put, data, k, ret_digest, ret_size, err) < 0)
		return -1;
	return publish(d, &o, ret_digest, *ret_size, err);
}

static int dir_put_manifest(struct dest *base, const struct manifest *m, const char *tag,
			    dray_error **err)
{
	struct oci_dir *d = (struct oci_dir *)base;
	struct descriptor desc = { .digest = m->digest, .size = (int64_t)m->raw.len };
	int rc;

	if (dest_put_bytes(base, &desc, span_buf(&m->raw), err) < 0)
		return -1;
	lock_take(d->lock);
	d->index.origin = base->origin;
	rc = dest_index_add(&d->index, m, tag, err);
	lock_drop(d->lock);
	return rc;
}

/* ---- the end ---- */

/* Held until the descriptor is closed. */
static int lock_index(const struct oci_dir *d, dray_error **err)
{
	/* For writing, which NFS wants of an exclusive lock. */
	cleanup_fd int fd = io_openat(d->root, OCI_LAYOUT_NAME, O_RDWR | O_NOFOLLOW, 0, err);

	if (fd < 0 || io_flock(fd, LOCK_EX, err) < 0)
		return -1;
	return steal_fd(&fd);
}

static int dir_finish(struct dest *base, dray_error **err)
{
	struct oci_dir *d = (struct oci_dir *)base;
	cleanup_buf struct buf old = BUF_INIT(LIMIT_MANIFEST), text = BUF_INIT(LIMIT_MANIFEST);
	struct digest digest;

	d->index.no_clobber = base->no_clobber;
	cleanup_fd int lock = lock_index(d, err);
	if (lock < 0)
		return dest_gone(-1, err);
	if (read_index(d->root, &old, &digest, err) < 0 ||
	    dest_index_write(&d->index, span_buf(&old), &text, err) < 0)
		return -1;
	/*
	 * Blobs and their names reach the disk before index.json can name them (G-02).
	 * Once for all: 200 small blobs took 7 ms, with an fsync each 700 ms; 300 MiB in
	 * ten blobs 0.35 s against 0.32 s. It also waits for what others have written to the
	 * same file system. Before Linux 5.8 it reports no failed write-back of earlier pages.
	 */
	if (io_syncfs(d->root, err) < 0)
		return -1;
	return dest_gone(write_file(d->root, OCI_INDEX_NAME, span_buf(&text), false, &d->done, err),
			 err);
}

/* Nobody adds blobs besides us, and nobody has added images since we came. */
static bool alone(const struct oci_dir *d)
{
	cleanup_buf struct buf now = BUF_INIT(LIMIT_MANIFEST);
	struct digest digest;

	if (io_flock(d->blobs, LOCK_EX | LOCK_NB, NULL) != 1)
		return false;
	if (read_index(d->root, &now, &digest, NULL) < 0)
		return false;
	return digest_set(&digest) ? digest_eq(&digest, &d->old_index) : !digest_set(&d->old_index);
}

/* Undo what this copy wrote. Failing here only leaves blobs that nothing names. */
static void discard(struct oci_dir *d)
{
	if (d->blobs >= 0 && !alone(d))
		return;
	for (size_t i = 0; i < d->n_written; i++)
		(void)!io_unlinkat(d->root, d->written[i], NULL);
	/* Each step only works on an empty folder, so that nothing of others can go. */
	if (d->made_layout && io_rmdirat(d->root, BLOBS "/sha256", NULL) == 0 &&
	    io_rmdirat(d->root, BLOBS "/sha512", NULL) == 0 &&
	    io_rmdirat(d->root, BLOBS, NULL) == 0)
		(void)!io_unlinkat(d->root, OCI_LAYOUT_NAME, NULL);
	if (d->made_root)
		(void)!io_rmdirat(AT_FDCWD, d->base.place, NULL);
}

static void dir_free(struct dest *base)
{
	struct oci_dir *d = (struct oci_dir *)base;

	if (!d->done)
		discard(d);
	for (size_t i = 0; i < d->n_written; i++)
		mem_free(d->written[i]);
	mem_free(d->written);
	dest_index_clear(&d->index);
	lock_free(d->lock);
	cleanup_fd_fn(&d->blobs);
	cleanup_fd_fn(&d->root);
	mem_free(d->base.place);
	mem_free(d);
}

/* ---- the beginning ---- */

static int make_root(struct oci_dir *d, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	d->made_root = io_mkdirat(AT_FDCWD, d->base.place, 0755, false, &e) == 0;
	if (!d->made_root && dray_error_errno(e) != EEXIST) {
		if (err)
			*err = steal_pointer(&e);
		return -1;
	}
	d->root = io_openat(AT_FDCWD, d->base.place, O_RDONLY | O_DIRECTORY, 0, err);
	return d->root < 0 ? -1 : 0;
}

static int set_up(struct oci_dir *d, dray_error **err)
{
	int rc;

	/* Two first copies into one new folder take turns, or one would take the other's
	 * half-made layout for a stranger's folder. NFS cannot lock a folder: then they may. */
	(void)!io_flock(d->root, LOCK_EX, NULL);
	/* First, or what a killed copy left would make the folder a stranger's. */
	outfile_sweep(d->root, ".");
	rc = check_layout_file(d, err);
	(void)!io_flock(d->root, LOCK_UN, NULL);
	return rc;
}

static int open_layout(struct oci_dir *d, dray_error **err)
{
	if (make_root(d, err) < 0 || set_up(d, err) < 0 || check_index(d, err) < 0 ||
	    io_mkdirat(d->root, BLOBS, 0755, true, err) < 0 ||
	    io_mkdirat(d->root, BLOBS "/sha256", 0755, true, err) < 0)
		return -1;
	d->blobs = io_openat(d->root, BLOBS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (d->blobs < 0)
		return -1;
	outfile_sweep(d->root, BLOBS "/sha256");
	return io_flock(d->blobs, LOCK_SH, err) < 0 ? -1 : 0;
}

static const struct dest_ops dir_ops = {
	.has_blob = dir_has_blob,
	.put_blob = dir_put_blob,
	.put_manifest = dir_put_manifest,
	.finish = dir_finish,
	.free = dir_free,
};

struct dest *dest_oci_dir(const char *path, dray_error **err)
{
	cleanup_dest struct dest *base = NULL;
	struct oci_dir *d = mem_zalloc(sizeof(*d));

	if (!d) {
		err_nomem(err);
		return NULL;
	}
	base = &d->base;
	base->ops = &dir_ops;
	base->forward = true;
	d->root = d->blobs = -1;
	base->place = mem_strdup(path);
	d->lock = lock_new(err);
	if (!base->place || !d->lock) {
		if (d->lock)
			err_nomem(err);
		return NULL;
	}
	if (open_layout(d, err) < 0) {
		cleanup_free char *safe = text_safe(span_str(path), 512);

		err_ctx(err, "%s", safe ? safe : "OCI layout");
		return NULL;
	}
	return steal_pointer(&base);
}
