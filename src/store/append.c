/* SPDX-License-Identifier: Apache-2.0
 *
 * Adding to an archive that is there, layers left where they are; append.h says how.
 * Relies on a write of one aligned 512-byte block being whole or not at all.
 * Promises that the archive holds one set of documents at any moment, the old or the new.
 */
#include "store/append.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "store/docker_list.h"
#include "store/superseded.h"
#include "tar/tar.h"

#define BLOB_PREFIX "blobs/sha256/"

/* ---- what is there ---- */

enum doc { DOC_NONE, DOC_LAYOUT, DOC_INDEX, DOC_LIST, DOC_REPOSITORIES };

static enum doc doc_of(struct span name)
{
	static const struct {
		const char *name;
		enum doc doc;
	} table[] = {
		{ OCI_LAYOUT_NAME, DOC_LAYOUT },
		{ OCI_INDEX_NAME, DOC_INDEX },
		{ DOCKER_LIST_NAME, DOC_LIST },
		{ "repositories", DOC_REPOSITORIES },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (span_eq(name, span_str(table[i].name)))
			return table[i].doc;
	return DOC_NONE;
}

static int read_doc(int fd, const struct tar_entry *e, size_t max, struct buf *ret,
		    dray_error **err)
{
	cleanup_source struct source *s = source_from_extent(fd, e->data_off, e->size, err);

	*ret = BUF_INIT(max);
	return s ? source_slurp(s, ret, err) : -1;
}

static int note_doc(struct append *a, enum doc doc, const struct tar_entry *e, dray_error **err)
{
	bool *seen = doc == DOC_INDEX  ? &a->has_index
		     : doc == DOC_LIST ? &a->has_list
				       : &a->has_layout;

	if (e->type != TAR_FILE)
		return err_set(err, DRAY_ERR_FORMAT, "a document is no regular file");
	if (doc != DOC_REPOSITORIES && *seen)
		return err_set(err, DRAY_ERR_FORMAT, "a document is there twice");
	if (doc != DOC_REPOSITORIES)
		*seen = true;
	if (doc == DOC_LAYOUT) {
		a->layout_off = e->header_off;
		return 0;
	}
	if (a->n_docs == ARRAY_LEN(a->docs))
		return err_set(err, DRAY_ERR_FORMAT, "a document is there twice");
	a->docs[a->n_docs++] = (struct superseded){ e->header_off, e->end_off };
	if (doc == DOC_INDEX)
		return read_doc(a->fd, e, LIMIT_MANIFEST, &a->index, err);
	return doc == DOC_LIST ? read_doc(a->fd, e, LIMIT_MANIFEST_JSON, &a->list, err) : 0;
}

/* A member that has a blob's name. */
struct old_blob {
	struct old_blob *next; /* of the same name */
	int64_t off, size;     /* of its bytes; off -1 = no regular file */
	bool proven;
};

/* A blob by its name and size; its bytes are looked at when somebody counts on them. */
static int note_blob(struct append *a, struct tar_out *t, struct span name,
		     const struct tar_entry *e, dray_error **err)
{
	struct span hex = span_from(name, strlen(BLOB_PREFIX));
	char text[DIGEST_TEXT];
	struct old_blob *b;
	struct digest d;

	if (!hex_is_lower(hex, 64))
		return 0;
	snprintf(text, sizeof(text), "sha256:%.64s", (const char *)hex.data);
	if (digest_parse(span_str(text), &d, err) < 0 ||
	    (!tar_out_seen(t, &d) && tar_out_note(t, &d, e->size, err) < 0))
		return -1;
	b = arena_alloc(&a->arena, sizeof(*b));
	if (!b)
		return err_nomem(err);
	*b = (struct old_blob){ .next = map_get(&a->blobs, span_str(d.text)),
				.off = e->type == TAR_FILE ? e->data_off : -1,
				.size = e->size };
	return map_put(&a->blobs, span_str(tar_out_seen(t, &d)->digest.text), b, err);
}

static int prove_one(const struct append *a, const struct old_blob *b, const struct digest *d,
		     dray_error **err)
{
	cleanup_source struct source *s = NULL;

	if (b->off < 0)
		return err_set(err, DRAY_ERR_FORMAT, "no regular file");
	s = source_verified(source_from_extent(a->fd, b->off, b->size, err), d, b->size,
			    "blob digest", err);
	return s ? source_drain(s, err) : -1;
}

int append_prove(struct append *a, const struct digest *d, dray_error **err)
{
	for (struct old_blob *b = map_get(&a->blobs, span_str(d->text)); b; b = b->next) {
		if (!b->proven && prove_one(a, b, d, err) < 0)
			return err_ctx(err, "the old archive's " BLOB_PREFIX "%s", digest_hex(d));
		b->proven = true;
	}
	return 0;
}

static int scan_entry(struct append *a, struct tar_out *t, const struct tar_entry *e,
		      dray_error **err)
{
	cleanup_buf struct buf name = BUF_INIT(LIMIT_PATH);
	cleanup_error dray_error *outside = NULL;
	enum doc doc = DOC_NONE;

	/* A name that leaves the root is nobody's document. */
	if (tar_name_clean(e->name, &name, &outside) == 0)
		doc = doc_of(span_buf(&name));
	else if (dray_error_kind(outside) == DRAY_ERR_NOMEM)
		return err_nomem(err);
	else
		buf_reset(&name);
	if (doc == DOC_NONE)
		a->tail = -1;
	else if (a->tail < 0)
		a->tail = e->header_off;
	a->end = e->end_off;
	if (doc != DOC_NONE)
		return note_doc(a, doc, e, err) < 0
			       ? err_ctx(err, "%.*s", (int)name.len, (const char *)name.data)
			       : 0;
	return span_starts(span_buf(&name), BLOB_PREFIX) ? note_blob(a, t, span_buf(&name), e, err)
							 : 0;
}

static int scan(struct append *a, struct tar_out *t, dray_error **err)
{
	cleanup_source struct source *in = source_from_extent(a->fd, 0, a->size, err);
	cleanup_tar_reader struct tar_reader *r = in ? tar_reader_new(in, NULL, NULL, err) : NULL;
	const struct tar_entry *e;
	int rc;

	if (!r)
		return -1;
	a->tail = -1;
	while ((rc = tar_next(r, &e, err)) > 0)
		if (scan_entry(a, t, e, err) < 0)
			return -1;
	if (a->tail < 0)
		a->tail = a->end;
	return rc;
}

/* ---- opening ---- */

static bool lies_behind(const struct append *a)
{
	for (size_t i = 0; i < a->n_docs; i++)
		if (a->docs[i].off < a->tail)
			return false;
	return true;
}

int append_open(struct append *a, const char *path, struct tar_out *t, dray_error **err)
{
	struct stat st;

	a->fd = superseded_open(path, &st, &a->path, err);
	if (a->fd < 0)
		return -1;
	a->size = st.st_size;
	if (superseded_check_plain(a->fd, a->size, err) < 0 || scan(a, t, err) < 0)
		return -1;
	if (!a->has_list && !a->has_index)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "neither manifest.json nor index.json is there to be added to");
	a->in_place = lies_behind(a);
	a->keep_layout = a->has_layout && !(a->in_place && a->layout_off >= a->tail);
	return 0;
}

/* ---- new members ---- */

static int begin_in_place(struct append *a, struct tar_out *t, dray_error **err)
{
	a->begun = true;
	t->fd = a->fd;
	t->pos = t->reached = a->end + SUPERSEDED_BEHIND;
	return superseded_begin(a->fd, a->size, a->end, err);
}

int append_begin(struct append *a, struct outfile *out, struct tar_out *t, dray_error **err)
{
	if (superseded_check_end(a->fd, a->end, err) < 0)
		return -1;
	if (a->in_place)
		return begin_in_place(a, t, err);
	if (outfile_begin(out, AT_FDCWD, a->path, false, err) < 0)
		return -1;
	outfile_tidy(out);
	if (io_copy_range(a->fd, 0, a->end, out->fd, err) < 0)
		return -1;
	for (size_t i = 0; i < a->n_docs; i++)
		if (superseded_write(out->fd, a->docs[i].off, a->docs[i].end, err) < 0)
			return -1;
	t->fd = out->fd;
	t->pos = t->reached = a->end;
	return 0;
}

int append_commit(struct append *a, struct tar_out *t, dray_error **err)
{
	if (!a->in_place)
		return 0; /* the rename of the new file does it */
	if (io_ftruncate(a->fd, t->pos, err) < 0 || io_fsync(a->fd, err) < 0 ||
	    superseded_write(a->fd, a->tail, a->end + SUPERSEDED_BEHIND, err) < 0)
		return -1;
	a->begun = false;
	return io_fsync(a->fd, err);
}

void append_discard(struct append *a)
{
	/* Failing here only leaves bytes behind the end marker, which nobody reads. */
	if (a->begun && a->size > a->end + END_BLOCKS)
		(void)!io_ftruncate(a->fd, a->end + END_BLOCKS, NULL);
	if (a->begun)
		(void)!io_ftruncate(a->fd, a->size, NULL);
	a->begun = false;
}

void append_clear(struct append *a)
{
	cleanup_fd_fn(&a->fd);
	mem_free(a->path);
	buf_clear(&a->index);
	buf_clear(&a->list);
	map_clear(&a->blobs);
	arena_clear(&a->arena);
}
