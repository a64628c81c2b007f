/* SPDX-License-Identifier: Apache-2.0
 *
 * An archive that images are added to: where its documents lie, and how they give way.
 *
 * Readers disagree about twin members, so an archive may at no moment hold two
 * manifest.json. Two ways, both without reading a layer that no new image has too:
 *
 * - Documents at the end, as nearly all writers put them: new members go behind the end
 *   marker, where no reader looks. The last step writes one header of 512 bytes over that
 *   of the first old document: it becomes a member nobody reads, long enough to reach over
 *   the other documents and the end marker to the new members. One sector: before it the old
 *   archive stands, after it the new one, whenever the power goes.
 *
 *	blobs | index.json manifest.json end | ...		before
 *	blobs | superseded-OFF ------------> | blobs index.json manifest.json end
 *
 * - Documents further in front (canonical archives): everything moves into a new file by
 *   copy_file_range(2), which shares the blocks where the file system can; there the old
 *   documents become members nobody reads, and the file takes the place of the old one.
 */
#pragma once

#include "base/io.h"
#include "store/tar_out.h"

/** What of an old document has to go. */
struct superseded {
	int64_t off, end;	/* of the member, extension headers included */
};
struct append {
	int fd;			/* the old archive, locked; owned */
	char *path;		/* of the file itself, where the name given is a symbolic link; owned */
	int64_t size;		/* of the file as it was */
	int64_t end;		/* its end marker */
	int64_t tail;		/* documents only from here to @end; @end = the last is none */
	int64_t layout_off;
	bool in_place;
	bool begun;		/* the file holds more than it did */
	bool has_index, has_list, has_layout;
	bool keep_layout;	/* oci-layout stays where it is */
	struct superseded docs[3];
	size_t n_docs;
	struct buf index, list;	/* old index.json and manifest.json */
	struct map blobs;	/* digest text -> struct old_blob */
	struct arena arena;
};
#define APPEND_INIT ((struct append){ .fd = -1 })

/**
 * Open archive @p path and lock it against others who append; its blobs are told to @p t.
 * NOT_FOUND; USAGE for what is no regular file; UNSUPPORTED compressed, or without
 * manifest.json and index.json; FORMAT damaged or ambiguous.
 */
int append_open(struct append *a, const char *path, struct tar_out *t, dray_error **err) MUST_CHECK;
/**
 * Before a new image counts on blob @p d of the old archive: are the bytes there its own?
 * 0 also when the archive has none of this name. CORRUPT when there are others, in any of the
 * members of this name: a second member could not mend it. Not thread-safe.
 */
int append_prove(struct append *a, const struct digest *d, dray_error **err) MUST_CHECK;
/** Begin the new members: in the file itself, or in @p out, which is OUTFILE_INIT. */
int append_begin(struct append *a, struct outfile *out, struct tar_out *t,
		 dray_error **err) MUST_CHECK;
/** All new members and their end are written: let the new archive take the place of the old. */
int append_commit(struct append *a, struct tar_out *t, dray_error **err) MUST_CHECK;
/** Give up: the file is as it was. */
void append_discard(struct append *a);
void append_clear(struct append *a);
