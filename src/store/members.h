/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of an archive or folder as one flat map of cleaned names. Names are
 * keys, never host paths; links lead from key to key and nowhere else
 * (reliability A-01..A-04).
 */
#pragma once

#include "base/map.h"
#include "store/store.h"

enum member_type { MEMBER_FILE, MEMBER_SYMLINK, MEMBER_HARDLINK, MEMBER_OTHER };

struct member {
	struct span name;	  /* cleaned; the key */
	struct span link;	  /* text of a link as stored */
	struct span doc;	  /* kept bytes of a file, when has_doc */
	struct blob_facts *facts; /* learnt by reading it through; NULL */
	struct member *twin;	  /* an earlier member of the same name */
	int64_t size;
	int64_t off; /* of the data in the tar */
	enum member_type type;
	enum compression compression; /* when sniffed */
	bool has_doc, sniffed;
	bool twins_checked; /* all twins were compared */
	bool twins_differ;  /* and are not equal */
	bool over_limit;    /* a document that was not kept: LIMIT_DOCS_TOTAL */
};

struct members;
struct members_ops {
	/** Look up what the map lacks (folders); *ret NULL when absent. NULL: the map is whole. */
	int (*find)(struct members *m, struct span name, struct member **ret, dray_error **err);
	/** The bytes of a regular file; thread-safe. */
	struct source *(*open)(const struct members *m, const struct member *e, dray_error **err);
	void (*free)(struct members *m);
};

struct members {
	const struct members_ops *ops;
	struct map map; /* cleaned name -> struct member, newest twin */
	struct arena arena;
	struct notes *notes;	    /* the store's */
	int64_t memory;		    /* of the index, roughly; at most LIMIT_MEMBER_INDEX */
	int64_t n;		    /* members met */
	int64_t n_rooted, n_unsafe; /* names with a leading '/', names that leave the root */
	bool forward_only;
};

/** Regular, uncompressed tar file; @p fd is taken over when @p own. */
int members_open_tar(int fd, bool own, struct notes *notes, struct members **ret,
		     dray_error **err) MUST_CHECK;
/** Walk @p in (consumed), decoding an outer compression. */
int members_walk(struct source *in, const struct place_options *o, struct notes *notes,
		 struct members **ret, dray_error **err) MUST_CHECK;
/** Folder @p path; looks names up as they are asked for. */
int members_open_dir(const char *path, struct notes *notes, struct members **ret,
		     dray_error **err) MUST_CHECK;
void members_free(struct members *m);
DEFINE_CLEANUP(struct members, cleanup_members_fn, members_free)
#define cleanup_members CLEANUP(cleanup_members_fn)

/* ---- filling (members_*.c) ---- */

void members_init(struct members *m, const struct members_ops *ops, struct notes *notes);
/** Free what members_init() and members_add() made. */
void members_clear(struct members *m);
/**
 * Enter a member under its cleaned name, all fields unset but name, link and twin.
 * *ret NULL when it is kept out: the root itself, or a name that leaves it.
 */
int members_add(struct members *m, struct span name, struct span link, struct member **ret,
		dray_error **err) MUST_CHECK;
/** Count against LIMIT_MEMBER_INDEX. */
int members_account(struct members *m, size_t bytes, dray_error **err) MUST_CHECK;
struct tar_entry;
/** members_add() with what the header says; folders are left out (*ret NULL). */
int members_add_entry(struct members *m, const struct tar_entry *e, struct member **ret,
		      dray_error **err) MUST_CHECK;
struct tar_oddity;
/** For tar_reader_new(): a warning note, each code once. @p arg is the struct members. */
void members_odd(void *arg, const struct tar_oddity *o);
/** Notes about names, once the walk is over. */
int members_finish(struct members *m, dray_error **err) MUST_CHECK;

/* ---- using ---- */

/** The member that cleaned name @p name names, links not followed; *ret NULL when absent. */
int members_find(struct members *m, struct span name, struct member **ret,
		 dray_error **err) MUST_CHECK;
/** Why a name led to no file. */
enum member_trouble {
	TROUBLE_NONE,
	TROUBLE_DANGLING,
	TROUBLE_LOOP,
	TROUBLE_OUTSIDE,
	TROUBLE_TWINS,
	TROUBLE_TYPE,
};
/**
 * The regular file that @p name (as referenced, not cleaned) leads to, links followed.
 * *ret NULL and success when there is no member of that name at all. FORMAT on
 * everything else; *ret_why (may be NULL) then says what.
 */
int members_resolve(struct members *m, struct span name, struct member **ret,
		    enum member_trouble *ret_why, dray_error **err) MUST_CHECK;
/** The member that @p name (as referenced) names, links not followed; *ret NULL when absent. */
int members_resolve_name(struct members *m, struct span name, struct member **ret,
			 dray_error **err) MUST_CHECK;
/** All bytes of file @p e, at most @p max (LIMIT). */
int members_read(struct members *m, const struct member *e, size_t max, struct buf *ret,
		 dray_error **err) MUST_CHECK;
/** members_resolve() and members_read(); NOT_FOUND when absent. */
int members_document(struct members *m, const char *name, size_t max, struct buf *ret,
		     dray_error **err) MUST_CHECK;
/** Whether @p name is there as a file or a link; folders and devices are not. */
int members_has(struct members *m, const char *name, bool *ret, dray_error **err) MUST_CHECK;
struct source *members_open(const struct members *m, const struct member *e, dray_error **err);
/** Compression by content, remembered. */
int members_sniff(struct members *m, struct member *e, dray_error **err) MUST_CHECK;
/** Digests of @p e, reading it through if nobody has; remembered. */
int members_facts(struct members *m, struct member *e, const struct blob_facts **ret,
		  dray_error **err) MUST_CHECK;
/** Text of @p name for a message; in the arena, never NULL. */
const char *safe_text(struct arena *a, struct span name);
