/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder of the server's own as a shelf that takes in, too.
 *
 *  lock              held by the one process that uses the folder
 *  registry.sqlite   repositories, tags, manifests with their bytes, who has which blob
 *  blobs/ALGO/XX/HEX what was uploaded; XX are the first digits
 *  uploads/ID        uploads under way; none outlives the process
 *
 * A blob is on the disk before the database knows it, and in the database before a manifest can
 * name it; the database is changed by whole requests. So whatever a kill or a power cut leaves
 * is a store, without what was under way.
 */
#pragma once

#include "serve/shelf.h"

#define DEPOT_DATABASE "registry.sqlite"
#define DEPOT_UPLOADS 10000		/* open at once, unless told otherwise */
#define DEPOT_UPLOAD_IDLE (24 * 3600)	/* seconds after which one may be forgotten */
#define DEPOT_GRACE (3600)		/* seconds that gc leaves to a push to use what it found */
#define DEPOT_TOUCH_AFTER 60		/* seconds: how exactly it is known when a blob was asked for */

struct depot_options {
	int64_t quota;		/* bytes of blobs, uploads and manifests; 0 = what the disk has */
	int64_t blob_max;	/* bytes of one blob; 0 = any */
	size_t uploads_max;	/* 0 = DEPOT_UPLOADS */
	int64_t upload_idle;	/* seconds; 0 = DEPOT_UPLOAD_IDLE */
	bool read_only;		/* nothing is taken in */
	bool no_delete;		/* clients delete neither tags nor manifests nor blobs */
	bool immutable_tags;	/* a tag, once set, names what it names, and stays */
	bool leave_uploads;	/* what a killed process left in uploads/ stays */
	/*
	 * The registry whose images the folder keeps; NULL = it is a registry of its own. A folder
	 * is one or the other, and the cache of one registry, from its beginning on.
	 */
	const char *cache_of;
	int64_t cache_keep;	/* seconds after which what nobody used may go; 0 = never */
	bool either;		/* be what the folder is; cache_of is not looked at */
	int64_t (*now)(void);	/* seconds, for tests; NULL = the clock */
};

/**
 * Open the folder @p dir, made if it is not there (mode 0700, as it is kept).
 *
 * Errors: USAGE it has files but is no such folder, or is one of another kind; SYSTEM it cannot be
 * made, EBUSY = another process has it;
 * CORRUPT the database is damaged; UNSUPPORTED it is of a later dray.
 */
int depot_open(const char *dir, const struct depot_options *o, struct shelf **ret,
	       dray_error **err) MUST_CHECK;

struct depot_gc {
	/*
	 * Seconds since a blob was uploaded, mounted, asked for or let go of; unless 0, up to
	 * DEPOT_TOUCH_AFTER more, so that it is never less.
	 */
	int64_t grace;
	bool untagged;	/* also manifests that no tag, no index and no subject leads to */
	bool dry_run;	/* count, remove nothing */
};
struct depot_collected {
	int64_t manifests, blobs, bytes; /* of blobs, removed or, in a dry run, to be */
	int64_t strays, stray_bytes;	 /* files of pushes that were killed */
	int64_t kept, kept_bytes;	 /* blobs that stay */
};
/**
 * Remove what nothing needs any more. Safe beside requests, which wait for it for moments only.
 * @p s is from depot_open(). In a cache only what was not used for cache_keep goes, and grace and
 * untagged say nothing.
 */
int depot_collect(struct shelf *s, const struct depot_gc *gc, struct depot_collected *ret,
		  dray_error **err) MUST_CHECK;

/* ---- a cache (depot_cache.c); all of its shelf's other operations are as ever ---- */

/** Room for @p bytes more, whatever was not used for longest going for it. NO_SPACE. */
int depot_make_room(struct shelf *s, int64_t bytes, dray_error **err) MUST_CHECK;
/** Whether any repository has the blob, and its size: 1, 0, -1. */
int depot_knows(struct shelf *s, const struct digest *digest, int64_t *ret_size,
		dray_error **err) MUST_CHECK;
/** Make a blob that any repository has one of @p repo, too: 1, 0 = none has it, -1. */
int depot_adopt(struct shelf *s, const char *repo, const struct digest *digest,
		dray_error **err) MUST_CHECK;
/** The file of an open upload, to read what it has: the caller's; also as a blob it stays the same. */
int depot_upload_file(const struct shelf_upload *u, dray_error **err) MUST_CHECK;
/** Whether what it has is @p digest, before it is on the disk. Only finish() with that may follow. */
int depot_upload_prove(struct shelf_upload *u, const struct digest *digest,
		       dray_error **err) MUST_CHECK;
