/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing an OCI archive: oci-layout, blobs as they come, index.json last.
 * Relies on struct outfile for a file that appears whole, on spool files for a pipe.
 * Promises that an archive cut anywhere has no index.json, so that nobody loads it (G-19).
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "flow/pool.h"
#include "store/dest_priv.h"
#include "tar/tar.h"

struct oci_tar {
	struct dest base;
	struct outfile out;
	int fd;			 /* lent: out.fd or stdout */
	bool stream;		 /* cannot go back */
	char *tmpdir;		 /* where blobs wait for their name, when @stream */
	struct lock *lock;	 /* guards what follows: one blob at a time */
	int64_t pos;		 /* end of the last whole member */
	int64_t reached;	 /* end of the file, failed members included */
	bool failed;		 /* the stream holds half a member */
	struct map seen;	 /* digest text -> struct dest_entry */
	struct dest_index index; /* its arena also holds @seen */
};

/* ---- writing at a place ---- */

/* A sink into a regular file, at an offset of its own. */
struct at_sink {
	struct sink base;
	struct oci_tar *t;
	int64_t off;
};

static int at_write(struct sink *k, struct span bytes, dray_error **err)
{
	struct at_sink *a = (struct at_sink *)k;
	int64_t end = a->off + k->pos + (int64_t)bytes.len;

	if (a->t->reached < end)
		a->t->reached = end;
	return io_pwrite_all(a->t->fd, bytes, end - (int64_t)bytes.len, err);
}

static void at_free(struct sink *k)
{
	(void)k;
}

static const struct sink_ops at_ops = { .write = at_write, .free = at_free };

/* Bytes at the end of a member or at its head; a stream only knows its end. */
static int put_at(struct oci_tar *t, struct span bytes, int64_t off, dray_error **err)
{
	int rc = t->stream ? io_write_all(t->fd, bytes, err)
			   : io_pwrite_all(t->fd, bytes, off, err);

	if (rc < 0 && t->stream)
		t->failed = true;
	if (t->reached < off + (int64_t)bytes.len)
		t->reached = off + (int64_t)bytes.len;
	return rc;
}

static int put_padding(struct oci_tar *t, int64_t off, int64_t size, dray_error **err)
{
	static const uint8_t zeros[TAR_BLOCK];

	return put_at(t, span_of(zeros, tar_padding(size)), off, err);
}

/* @p late: the header has its length before the size is known. */
static int make_header(const char *name, int64_t size, bool late, struct buf *ret, dray_error **err)
{
	struct tar_member m = { .type = TAR_FILE,
				.name = span_str(name),
				.size = size,
				.mode = 0644,
				.always_size = late };

	return tar_header_write(&m, ret, err);
}

/* A whole member of bytes at hand. */
static int put_member(struct oci_tar *t, const char *name, struct span bytes, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);
	int64_t size = (int64_t)bytes.len, data;

	if (make_header(name, size, false, &head, err) < 0)
		return -1;
	data = t->pos + (int64_t)head.len;
	if (put_at(t, span_buf(&head), t->pos, err) < 0 || put_at(t, bytes, data, err) < 0 ||
	    put_padding(t, data + size, size, err) < 0)
		return -1;
	t->pos = data + size + (int64_t)tar_padding(size);
	return 0;
}

/* ---- blobs ---- */

static const struct dest_entry *seen(const struct oci_tar *t, const struct digest *d)
{
	return map_get(&t->seen, span_str(d->text));
}

static int note_seen(struct oci_tar *t, const struct digest *d, int64_t size, dray_error **err)
{
	struct dest_entry *e = arena_alloc(&t->index.arena, sizeof(*e));

	if (!e)
		return err_nomem(err);
	e->digest = *d;
	e->size = size;
	return map_put(&t->seen, span_str(e->digest.text), e, err);
}

/*
 * Into a file: data first, its header after, since digest and size are only
 * proven then. A member that fails or turns out to be a twin is written over.
 */
static int blob_to_file(struct oci_tar *t, const struct blob_put *put, struct source *data,
			struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	static const char any[] =
		"blobs/sha256/0000000000000000000000000000000000000000000000000000000000000000";
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);
	bool late = put->desc.size < 0;
	cleanup_free char *name = digest_set(&put->desc.digest) ? dest_blob_path(&put->desc.digest)
								: mem_strdup(any);

	if (!name || make_header(name, late ? 0 : put->desc.size, late, &head, err) < 0) {
		source_free(data);
		return name ? -1 : err_nomem(err);
	}
	struct at_sink k = { .base = { .ops = &at_ops },
			     .t = t,
			     .off = t->pos + (int64_t)head.len };
	size_t reserved = head.len;

	if (dest_copy(put, data, &k.base, ret_digest, ret_size, err) < 0)
		return -1;
	if (seen(t, ret_digest))
		return 0;
	mem_free(name);
	name = dest_blob_path(ret_digest);
	buf_reset(&head);
	if (!name)
		return err_nomem(err);
	if (make_header(name, *ret_size, late, &head, err) < 0)
		return -1;
	assert(head.len == reserved);
	if (put_padding(t, k.off + *ret_size, *ret_size, err) < 0 ||
	    put_at(t, span_buf(&head), t->pos, err) < 0)
		return -1;
	t->pos = k.off + *ret_size + (int64_t)tar_padding(*ret_size);
	return note_seen(t, ret_digest, *ret_size, err);
}

/* A file that has no name any more, or never had one. */
static int open_spool(const char *dir, dray_error **err)
{
	cleanup_outfile struct outfile o = OUTFILE_INIT;
	cleanup_free char *path = NULL;
	int fd = io_openat(AT_FDCWD, dir, O_TMPFILE | O_RDWR | O_EXCL, 0600, NULL);

	if (fd >= 0)
		return fd;
	path = mem_printf("%s/dray-blob", dir); /* a file system without O_TMPFILE */
	if (!path)
		return err_nomem(err);
	if (outfile_begin(&o, AT_FDCWD, path, false, err) < 0)
		return -1;
	if (!o.temp)
		return err_set(err, DRAY_ERR_USAGE, "%s: no place for temporary files", dir);
	return steal_fd(&o.fd);
}

/* Name and size must come before the data: let it wait in a file until they are known. */
static int blob_spooled(struct oci_tar *t, const struct blob_put *put, struct source *data,
			struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);
	cleanup_fd int spool = open_spool(t->tmpdir, err);
	cleanup_sink struct sink *k = spool < 0 ? NULL : sink_to_fd(spool, false, err);

	if (!k) {
		source_free(data);
		return -1;
	}
	if (dest_copy(put, data, k, ret_digest, ret_size, err) < 0)
		return -1;
	if (seen(t, ret_digest))
		return 0;
	cleanup_free char *name = dest_blob_path(ret_digest);
	if (!name)
		return err_nomem(err);
	if (make_header(name, *ret_size, false, &head, err) < 0)
		return -1;
	t->failed = true; /* until the member is whole */
	if (io_write_all(t->fd, span_buf(&head), err) < 0 ||
	    io_copy_range(spool, 0, *ret_size, t->fd, err) < 0 ||
	    put_padding(t, 0, *ret_size, err) < 0)
		return -1;
	t->failed = false;
	return note_seen(t, ret_digest, *ret_size, err);
}

/* Digest and size are told beforehand: straight through, checked on the way. */
static int blob_through(struct oci_tar *t, const struct blob_put *put, struct source *data,
			struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);
	cleanup_free char *name = dest_blob_path(&put->desc.digest);
	cleanup_sink struct sink *k = sink_to_fd(t->fd, false, err);

	if (!name || !k || make_header(name, put->desc.size, false, &head, err) < 0) {
		source_free(data);
		return name || !k ? -1 : err_nomem(err);
	}
	t->failed = true; /* what went out cannot be taken back */
	if (io_write_all(t->fd, span_buf(&head), err) < 0) {
		source_free(data);
		return -1;
	}
	if (dest_copy(put, data, k, ret_digest, ret_size, err) < 0 ||
	    put_padding(t, 0, *ret_size, err) < 0)
		return -1;
	t->failed = false;
	return note_seen(t, ret_digest, *ret_size, err);
}

/* It is in already: read all the same, whoever watches the data counts on its end. */
static int blob_again(const struct blob_put *put, struct source *data, struct digest *ret_digest,
		      int64_t *ret_size, dray_error **err)
{
	cleanup_sink struct sink *null = sink_null(err);

	if (!null) {
		source_free(data);
		return -1;
	}
	return dest_copy(put, data, null, ret_digest, ret_size, err);
}

static int put_locked(struct oci_tar *t, const struct blob_put *put, struct source *data,
		      struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	if (t->failed) {
		source_free(data);
		return err_set(err, DRAY_ERR_USAGE, "the archive broke off at an earlier blob");
	}
	if (digest_set(&put->desc.digest) && seen(t, &put->desc.digest))
		return blob_again(put, data, ret_digest, ret_size, err);
	if (!t->stream)
		return blob_to_file(t, put, data, ret_digest, ret_size, err);
	if (digest_set(&put->desc.digest) && put->desc.size >= 0)
		return blob_through(t, put, data, ret_digest, ret_size, err);
	return blob_spooled(t, put, data, ret_digest, ret_size, err);
}

static int tar_put_blob(struct dest *base, const struct blob_put *put, struct source *data,
			struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	struct oci_tar *t = (struct oci_tar *)base;
	int rc;

	lock_take(t->lock);
	rc = put_locked(t, put, data, ret_digest, ret_size, err);
	lock_drop(t->lock);
	return rc;
}

static int tar_has_blob(struct dest *base, const struct descriptor *desc, dray_error **err)
{
	struct oci_tar *t = (struct oci_tar *)base;
	const struct dest_entry *e;

	(void)err;
	lock_take(t->lock);
	e = seen(t, &desc->digest);
	lock_drop(t->lock);
	return e && (desc->size < 0 || desc->size == e->size);
}

static int tar_put_manifest(struct dest *base, const struct manifest *m, const char *tag,
			    dray_error **err)
{
	struct oci_tar *t = (struct oci_tar *)base;
	struct descriptor desc = { .digest = m->digest, .size = (int64_t)m->raw.len };
	int rc;

	if (dest_put_bytes(base, &desc, span_buf(&m->raw), err) < 0)
		return -1;
	lock_take(t->lock);
	rc = dest_index_add(&t->index, m, tag, err);
	lock_drop(t->lock);
	return rc;
}

/* ---- beginning and end ---- */

static int tar_finish(struct dest *base, dray_error **err)
{
	static const uint8_t zeros[2 * TAR_BLOCK];
	struct oci_tar *t = (struct oci_tar *)base;
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);

	if (t->failed)
		return err_set(err, DRAY_ERR_USAGE, "the archive broke off at an earlier blob");
	if (dest_index_write(&t->index, SPAN_LIT(OCI_INDEX_EMPTY), &text, err) < 0 ||
	    put_member(t, OCI_INDEX_NAME, span_buf(&text), err) < 0 ||
	    put_at(t, span_of(zeros, sizeof(zeros)), t->pos, err) < 0)
		return -1;
	t->pos += (int64_t)sizeof(zeros);
	/* Failed members and twins may have reached further. */
	if (!t->stream && t->reached > t->pos && io_ftruncate(t->fd, t->pos, err) < 0)
		return -1;
	return t->out.fd >= 0 ? outfile_commit(&t->out, err) : 0;
}

static void tar_free(struct dest *base)
{
	struct oci_tar *t = (struct oci_tar *)base;

	outfile_clear(&t->out);
	map_clear(&t->seen);
	dest_index_clear(&t->index);
	lock_free(t->lock);
	mem_free(t->tmpdir);
	mem_free(base->place);
	mem_free(t);
}

static int open_output(struct oci_tar *t, const char *path, bool no_clobber, dray_error **err)
{
	t->fd = STDOUT_FILENO;
	if (strcmp(path, "-") != 0) {
		if (outfile_begin(&t->out, AT_FDCWD, path, no_clobber, err) < 0)
			return -1;
		/* Without a lock of our own the sweep would take our temp for a dead one. */
		if (t->out.temp && t->out.hold >= 0)
			outfile_sweep(t->out.dirfd, ".");
		t->fd = t->out.fd;
	}
	t->stream = !t->out.temp;
	if (t->stream && isatty(t->fd))
		return err_set(err, DRAY_ERR_USAGE, "an archive is not written to a terminal");
	return put_member(t, OCI_LAYOUT_NAME, SPAN_LIT(OCI_LAYOUT_TEXT), err);
}

static const struct dest_ops tar_ops = {
	.has_blob = tar_has_blob,
	.put_blob = tar_put_blob,
	.put_manifest = tar_put_manifest,
	.finish = tar_finish,
	.free = tar_free,
};

static const char *temp_folder(const char *given)
{
	const char *env = getenv("TMPDIR");

	if (given)
		return given;
	return env && env[0] == '/' ? env : "/var/tmp"; /* blobs are too big for a /tmp in memory */
}

struct dest *dest_oci_tar(const char *path, const char *tmpdir, bool no_clobber, dray_error **err)
{
	cleanup_dest struct dest *base = NULL;
	struct oci_tar *t = mem_zalloc(sizeof(*t));

	if (!t) {
		err_nomem(err);
		return NULL;
	}
	base = &t->base;
	base->ops = &tar_ops;
	t->out = OUTFILE_INIT;
	base->place = mem_strdup(path);
	t->tmpdir = mem_strdup(temp_folder(tmpdir));
	t->lock = base->place && t->tmpdir ? lock_new(err) : NULL;
	if (!base->place || !t->tmpdir)
		err_nomem(err);
	if (!t->lock || open_output(t, path, no_clobber, err) < 0)
		return NULL;
	return steal_pointer(&base);
}
