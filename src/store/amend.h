/* SPDX-License-Identifier: Apache-2.0
 *
 * An archive some of whose small members give way to others, its layers left where they lie.
 *
 * The way of append.h: new members behind the end marker, then one block written over the header
 * of the first member that has to go. All documents that change must be reached by that one
 * member; small members that lie between them and stay are written again behind it. Others that
 * go (an old config in front of its layers) get such a header of their own afterwards: by then
 * nothing refers to them. Last, the bytes of what went are overwritten with zeros, since they may
 * hold what somebody wanted to be rid of.
 *
 * What was superseded before and lies in front of the documents is room for later ones. New members
 * that fit go there, where readers see one member still; the one write puts the first block of the
 * new members in the place of its header, and the old documents, now behind the end, are cut off:
 *
 *	blobs | superseded-OFF ------------> | index.json manifest.json end	before
 *	blobs | index.json manifest.json end | ...				after
 *
 * So an archive that is edited again and again stays as small as two or three sets of documents.
 *
 * Where layers lie behind a document, everything moves into a new file by copy_file_range(2).
 */
#pragma once

#include "base/map.h"
#include "store/store.h"
#include "tar/tar.h"

/** Of members that stay, what is written again so that all documents lie behind one header. */
#define AMEND_CARRY_MAX (256 * 1024)
/** The same so that another member, which nothing refers to, goes with them and not after them. */
#define AMEND_CARRY_MORE (8 * 1024)

/** A member as it lies in the file. */
struct amend_member {
	struct span name;	/* cleaned; empty = nobody can mean it */
	struct span link;
	enum tar_type type;
	int64_t off, data_off, size, end;
	struct amend_member *twin;	/* an earlier one of this name */
	bool goes;
	bool document;	/* with others of its kind at one moment */
	bool vain;	/* superseded before, and nobody's: amend_keep() */
	/* Of the last of its name: amend_keep() and amend_drop() were there, and at its twins. */
	bool kept, dropped;
	struct span instead;	/* bytes that take the place of its data; empty = none */
};
/** A new member. */
struct amend_put {
	enum tar_type type;
	struct span link;	/* the arena's */
	size_t off, size;	/* of its bytes in a->fresh */
};
struct amend {
	int fd;		/* locked; owned */
	char *path;	/* of the file itself, where the name given is a symbolic link; owned */
	int64_t size;	/* of the file as it was */
	int64_t end;	/* its end marker */
	struct amend_member **list;	/* in the order of the file */
	size_t n, cap;
	struct map by_name;	/* cleaned name -> the last member of it */
	struct arena arena;
	struct buf fresh;	/* new members, as they are written */
	struct map put;	/* cleaned name -> struct amend_put, what of a->fresh has it */
	bool begun;	/* the file holds more than it did */
};
#define AMEND_INIT ((struct amend){ .fd = -1 })

/**
 * Open archive @p path and lock it against others who change it. NOT_FOUND; USAGE for what is no
 * regular file; UNSUPPORTED compressed; FORMAT damaged.
 */
int amend_open(struct amend *a, const char *path, dray_error **err) MUST_CHECK;
/** By its cleaned name; NULL = there is none. Links are not followed. */
struct amend_member *amend_find(const struct amend *a, struct span name);
/**
 * Something names @p path: what has a part of it as its name stays, whatever that name looks like,
 * since folders may be links. The targets of links are known from amend_open() on.
 */
void amend_keep(struct amend *a, struct span path);
/** FORMAT unless it is a regular file; LIMIT over @p max. */
int amend_read(const struct amend *a, const struct amend_member *m, size_t max, struct buf *ret,
	       dray_error **err) MUST_CHECK;
/**
 * Once nothing refers to file @p m, let it hold @p text (lent) and blanks behind it, which is no
 * more than it has now.
 */
int amend_blank(struct amend *a, struct amend_member *m, struct span text,
		dray_error **err) MUST_CHECK;
/** The bytes of the file that was put under this name; no data when there is none. */
struct span amend_fresh(const struct amend *a, struct span name);
/** All members of this name go. */
void amend_drop(struct amend *a, struct span name);
/**
 * Put a file, a link or a folder with 0644 or 0755. What is there already, or was put, and is the
 * same stays; FORMAT when there is another member of its name.
 */
int amend_put(struct amend *a, const char *name, struct span bytes, dray_error **err) MUST_CHECK;
int amend_put_link(struct amend *a, const char *name, struct span target,
		   dray_error **err) MUST_CHECK;
int amend_put_folder(struct amend *a, const char *name, dray_error **err) MUST_CHECK;
/** The same, in the place of the one of this name: readers see the old ones or the new ones. */
int amend_put_document(struct amend *a, const char *name, struct span bytes,
		       dray_error **err) MUST_CHECK;

struct amend_result {
	int64_t written;	/* bytes */
	bool anew;	/* the archive had to be copied */
};
/** Let the new archive take the place of the old one; with nothing to do nothing is written. */
int amend_commit(struct amend *a, struct amend_result *ret, dray_error **err) MUST_CHECK;
/** Gives up what is not committed: the file is as it was. */
void amend_clear(struct amend *a);
#define cleanup_amend CLEANUP(amend_clear)
