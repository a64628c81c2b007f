/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing an archive's members in the order they come, into a file or a stream.
 * Not thread-safe: the destination that owns it takes turns.
 */
#pragma once

#include "store/dest_priv.h"

struct tar_out {
	int fd;		/* lent; -1 = @stream */
	struct sink *stream;	/* owned; cannot go back. NULL = @fd */
	char *tmpdir;	/* where blobs wait for their name, when @stream; owned. As io_tempfile() */
	int64_t pos;	/* end of the last whole member */
	int64_t reached;/* end of the file, failed members included */
	int64_t begun;	/* of io_writeback() */
	bool failed;	/* the stream holds half a member */
	bool legacy;	/* blobs are layers, named as store/legacy.h has them */
	struct map seen;/* digest text -> struct dest_entry */
	struct arena arena;
};
/** A whole member of bytes at hand. */
int tar_out_member(struct tar_out *t, const char *name, struct span bytes,
		   dray_error **err) MUST_CHECK;
struct tar_member;
/** A member without bytes: a folder, a link. */
int tar_out_entry(struct tar_out *t, const struct tar_member *m, dray_error **err) MUST_CHECK;
/** A blob, as dest_ops.put_blob; one that is in already is only checked. */
int tar_out_blob(struct tar_out *t, const struct blob_put *put, struct source *data,
		 struct digest *ret_digest, int64_t *ret_size, dray_error **err) MUST_CHECK;
/** What the archive holds under this digest; NULL = nothing. Only digest and size are set. */
const struct dest_entry *tar_out_seen(const struct tar_out *t, const struct digest *d);
/** Let tar_out_seen() know a blob. */
int tar_out_note(struct tar_out *t, const struct digest *d, int64_t size,
		 dray_error **err) MUST_CHECK;
/** Bytes at @p off; a stream only knows its end. */
int tar_out_at(struct tar_out *t, struct span bytes, int64_t off, dray_error **err) MUST_CHECK;
/** The end marker; nothing is left behind it, and a stream is finished. */
int tar_out_end(struct tar_out *t, dray_error **err) MUST_CHECK;
void tar_out_clear(struct tar_out *t);
