/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing archives: OCI, with Docker's manifest.json beside it, and adding to either.
 * Relies on tar_out.c for members, on struct outfile for a file that appears whole, on
 * append.c for one that is there.
 * Promises documents last: an archive cut anywhere has none, so that nobody loads it (G-19).
 */
#include <fcntl.h>
#include <unistd.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "flow/pool.h"
#include "store/append.h"
#include "store/docker_list.h"
#include "store/legacy.h"

struct oci_tar {
	struct dest base;
	struct outfile out;
	struct append old; /* images are added to; else fd is -1 */
	bool oci, docker;  /* which documents the archive has */
	struct lock *lock; /* guards what follows: one blob at a time */
	struct tar_out to;
	struct dest_index index;
	struct docker_list list; /* when @docker */
	struct buf given;	 /* manifest.json in place of the list; when @has_given */
	bool has_given;
	bool has_legacy;
	struct legacy legacy;
};

/* ---- blobs and documents, as they come ---- */

/* With the lock held. What an archive had before is a name and a size until it was read. */
static int prove_old(struct oci_tar *t, const struct digest *d, dray_error **err)
{
	return t->old.fd >= 0 && digest_set(d) ? append_prove(&t->old, d, err) : 0;
}

static int tar_put_blob(struct dest *base, const struct blob_put *put, struct source *data,
			struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	struct oci_tar *t = (struct oci_tar *)base;
	int rc;

	lock_take(t->lock);
	rc = prove_old(t, &put->desc.digest, err);
	if (rc < 0)
		source_free(data);
	else
		rc = tar_out_blob(&t->to, put, data, ret_digest, ret_size, err);
	/* Its digest may only be known now. */
	if (rc == 0)
		rc = prove_old(t, ret_digest, err);
	lock_drop(t->lock);
	return rc;
}

static int tar_has_blob(struct dest *base, const struct descriptor *desc, dray_error **err)
{
	struct oci_tar *t = (struct oci_tar *)base;
	const struct dest_entry *e;
	int rc;

	lock_take(t->lock);
	e = tar_out_seen(&t->to, &desc->digest);
	rc = prove_old(t, &desc->digest, err);
	lock_drop(t->lock);
	return rc < 0 ? -1 : e && (desc->size < 0 || desc->size == e->size);
}

static int tar_put_manifest(struct dest *base, const struct manifest *m, const char *tag,
			    dray_error **err)
{
	struct oci_tar *t = (struct oci_tar *)base;
	struct descriptor desc = { .digest = m->digest, .size = (int64_t)m->raw.len };
	int rc;

	if (!t->has_legacy && dest_put_bytes(base, &desc, span_buf(&m->raw), err) < 0)
		return -1;
	lock_take(t->lock);
	rc = dest_index_add(&t->index, m, tag, err);
	if (rc == 0 && t->docker)
		rc = docker_list_add(&t->list, m, err);
	lock_drop(t->lock);
	return rc;
}

/* ---- the end ---- */

static int write_index(struct oci_tar *t, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	struct span old = t->old.has_index ? span_buf(&t->old.index) : SPAN_LIT(OCI_INDEX_EMPTY);

	if (dest_index_write(&t->index, old, &text, err) < 0)
		return -1;
	return tar_out_member(&t->to, OCI_INDEX_NAME, span_buf(&text), err);
}

static int write_list(struct oci_tar *t, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST_JSON);
	struct span old = t->old.has_list ? span_buf(&t->old.list) : SPAN_LIT("[]");

	if (t->has_given)
		return tar_out_member(&t->to, DOCKER_LIST_NAME, span_buf(&t->given), err);
	if (docker_list_write(&t->list, &t->index, old, &text, err) < 0)
		return -1;
	return tar_out_member(&t->to, DOCKER_LIST_NAME, span_buf(&text), err);
}

static int tar_finish(struct dest *base, dray_error **err)
{
	struct oci_tar *t = (struct oci_tar *)base;

	if (t->to.failed)
		return err_set(err, DRAY_ERR_USAGE, "the archive broke off at an earlier blob");
	t->index.no_clobber = t->old.fd >= 0 && base->no_clobber;
	if ((t->has_legacy && legacy_write_folders(&t->legacy, &t->to, err) < 0) ||
	    (t->oci && write_index(t, err) < 0) || (t->docker && write_list(t, err) < 0) ||
	    (t->has_legacy &&
	     legacy_write_names(&t->legacy, &t->list, &t->index, &t->to, err) < 0) ||
	    tar_out_end(&t->to, err) < 0)
		return -1;
	if (t->old.fd >= 0 && append_commit(&t->old, &t->to, err) < 0)
		return -1;
	return t->out.fd >= 0 ? outfile_commit(&t->out, err) : 0;
}

static void tar_free(struct dest *base)
{
	struct oci_tar *t = (struct oci_tar *)base;

	append_discard(&t->old);
	append_clear(&t->old);
	outfile_clear(&t->out);
	tar_out_clear(&t->to);
	dest_index_clear(&t->index);
	docker_list_clear(&t->list);
	legacy_clear(&t->legacy);
	buf_clear(&t->given);
	lock_free(t->lock);
	mem_free(base->place);
	mem_free(t);
}

/* ---- the beginning ---- */

static int write_layout(struct oci_tar *t, dray_error **err)
{
	return tar_out_member(&t->to, OCI_LAYOUT_NAME, SPAN_LIT(OCI_LAYOUT_TEXT), err);
}

static int open_output(struct oci_tar *t, const char *path, bool no_clobber, dray_error **err)
{
	t->to.fd = STDOUT_FILENO;
	if (strcmp(path, "-") != 0) {
		if (outfile_begin(&t->out, AT_FDCWD, path, no_clobber, err) < 0)
			return -1;
		outfile_tidy(&t->out);
		t->to.fd = t->out.fd;
	}
	if (!t->out.temp && isatty(t->to.fd))
		return err_set(err, DRAY_ERR_USAGE, "an archive is not written to a terminal");
	if (!t->out.temp)
		t->to.stream = sink_to_fd(t->to.fd, false, err);
	if (!t->out.temp && !t->to.stream)
		return -1;
	return t->oci ? write_layout(t, err) : 0;
}

/* What an archive has is what it keeps; a kind that was asked for must be among it. */
static int take_kind(struct oci_tar *t, dray_error **err)
{
	bool oci = t->old.has_index, docker = t->old.has_list;

	if ((t->oci && !oci) || (t->docker && !docker) || !(oci || docker))
		return err_set(err, DRAY_ERR_USAGE,
			       "the archive has %s only: images are added to it as to what it is",
			       docker ? DOCKER_LIST_NAME : OCI_INDEX_NAME);
	t->oci = oci;
	t->docker = docker;
	return 0;
}

static int open_old(struct oci_tar *t, const char *path, dray_error **err)
{
	if (append_open(&t->old, path, &t->to, err) < 0 || take_kind(t, err) < 0 ||
	    append_begin(&t->old, &t->out, &t->to, err) < 0)
		return -1;
	return t->old.has_layout && !t->old.keep_layout ? write_layout(t, err) : 0;
}

static const struct dest_ops tar_ops = {
	.has_blob = tar_has_blob,
	.put_blob = tar_put_blob,
	.put_manifest = tar_put_manifest,
	.finish = tar_finish,
	.free = tar_free,
};

static struct oci_tar *new_tar(const char *path, const char *tmpdir, bool oci, bool docker,
			       dray_error **err)
{
	struct oci_tar *t = mem_zalloc(sizeof(*t));

	if (!t) {
		err_nomem(err);
		return NULL;
	}
	t->base.ops = &tar_ops;
	t->base.forward = true;
	t->out = OUTFILE_INIT;
	t->old = APPEND_INIT;
	t->oci = oci;
	t->docker = t->index.named = docker;
	t->base.place = mem_strdup(path);
	t->to.tmpdir = tmpdir ? mem_strdup(tmpdir) : NULL;
	if (!t->base.place || (tmpdir && !t->to.tmpdir))
		err_nomem(err);
	else
		t->lock = lock_new(err);
	if (t->lock)
		return t;
	tar_free(&t->base);
	return NULL;
}

static struct dest *new_archive(const char *path, const char *tmpdir, bool docker, bool no_clobber,
				dray_error **err)
{
	cleanup_dest struct dest *base = NULL;
	struct oci_tar *t = new_tar(path, tmpdir, true, docker, err);

	if (!t)
		return NULL;
	base = &t->base;
	return open_output(t, path, no_clobber, err) < 0 ? NULL : steal_pointer(&base);
}

struct dest *dest_oci_tar(const char *path, const char *tmpdir, bool no_clobber, dray_error **err)
{
	return new_archive(path, tmpdir, false, no_clobber, err);
}

struct dest *dest_docker_tar(const char *path, const char *tmpdir, bool no_clobber,
			     dray_error **err)
{
	return new_archive(path, tmpdir, true, no_clobber, err);
}

int dest_docker_tar_list(struct dest *d, struct span list, dray_error **err)
{
	struct oci_tar *t = (struct oci_tar *)d;

	t->given = BUF_INIT(LIMIT_MANIFEST_JSON);
	t->has_given = true;
	t->docker = list.len > 0;
	return buf_add(&t->given, list, err);
}

struct dest *dest_legacy_tar(const char *path, const char *tmpdir, bool no_clobber,
			     dray_error **err)
{
	cleanup_dest struct dest *base = NULL;
	struct oci_tar *t = new_tar(path, tmpdir, false, true, err);

	if (!t)
		return NULL;
	base = &t->base;
	t->has_legacy = t->to.legacy = t->list.legacy = true;
	return open_output(t, path, no_clobber, err) < 0 ? NULL : steal_pointer(&base);
}

/* With the lock held. */
static int put_config(struct oci_tar *t, const struct config *c, dray_error **err)
{
	cleanup_free char *name = legacy_config_name(&c->digest);

	if (!name)
		return err_nomem(err);
	if (tar_out_seen(&t->to, &c->digest))
		return 0;
	if (tar_out_member(&t->to, name, span_buf(&c->raw), err) < 0)
		return -1;
	return tar_out_note(&t->to, &c->digest, (int64_t)c->raw.len, err);
}

int dest_legacy_tar_config(struct dest *d, const struct manifest *m, const struct config *c,
			   dray_error **err)
{
	struct oci_tar *t = (struct oci_tar *)d;
	int rc;

	lock_take(t->lock);
	rc = put_config(t, c, err) < 0 ? -1 : legacy_add(&t->legacy, m, c, err);
	lock_drop(t->lock);
	return rc;
}

struct dest *dest_docker_stream(struct sink *to, const char *tmpdir, dray_error **err)
{
	cleanup_sink struct sink *own = to;
	cleanup_dest struct dest *base = NULL;
	struct oci_tar *t = to ? new_tar("-", tmpdir, true, true, err) : NULL;

	if (!t)
		return NULL;
	base = &t->base;
	t->to.fd = -1;
	t->to.stream = steal_pointer(&own);
	return write_layout(t, err) < 0 ? NULL : steal_pointer(&base);
}

struct dest *dest_append_tar(const char *path, enum archive_kind kind, dray_error **err)
{
	cleanup_dest struct dest *base = NULL;
	struct oci_tar *t = new_tar(path, NULL, kind == ARCHIVE_OCI, kind == ARCHIVE_DOCKER, err);

	if (!t)
		return NULL;
	base = &t->base;
	if (open_old(t, path, err) < 0) {
		cleanup_free char *safe = text_safe(span_str(path), 512);

		err_ctx(err, "%s", safe ? safe : "archive");
		return NULL;
	}
	t->index.named = t->docker;
	return steal_pointer(&base);
}
