/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the folder's back end.
 */
#pragma once

#include "base/limits.h"
#include "db/db.h"
#include "flow/pool.h"
#include "serve/depot.h"

/** Every question to the database; texts in depot_sql.c. */
enum depot_query {
	Q_REPO_FIND,	   /* name -> id */
	Q_REPO_ADD,	   /* name */
	Q_REPO_LIST,	   /* after, max -> name */
	Q_COUNTS,	   /* -> repositories, manifests, blobs */
	Q_ORIGIN,	   /* -> name of the registry that this is a cache of */
	Q_ORIGIN_SET,	   /* name */
	Q_REPO_TIDY,	   /* those with nothing */
	Q_BLOB_FIND,	   /* digest -> id, size */
	Q_BLOB_ADD,	   /* digest, size */
	Q_BLOB_WINDOW,	   /* after id, max -> id, digest, size, has links */
	Q_BLOB_DROP,	   /* id, if nobody has it */
	Q_BLOB_TOTAL,	   /* -> bytes */
	Q_LINK_FIND,	   /* repository name, digest -> repository, blob, size, seen, is held */
	Q_LINK_SET,	   /* repository, blob, seen */
	Q_LINK_TOUCH,	   /* repository, blob, seen: if it is there */
	Q_LINK_DROP,	   /* repository, blob */
	Q_LINK_WINDOW,	   /* after repository, blob, max -> repository, blob, seen, is held */
	Q_LINK_EXPIRE,	   /* repository, blob, before: if it is not held */
	Q_HOLD_ADD,	   /* repository, blob, manifest */
	Q_HOLD_WHO,	   /* repository, blob -> digest of a manifest */
	Q_LINK_LET_GO,	   /* manifest, seen: of all that it holds */
	Q_MANIFEST_BY_TAG, /* repository name, tag -> digest, type, size, bytes, id, seen */
	Q_MANIFEST_BY_DIGEST,
	Q_MANIFEST_FIND, /* repository, digest -> id, size */
	Q_MANIFEST_ADD,	 /* repository, digest, type, size, subject, artifact type, annotations, seen, bytes */
	Q_MANIFEST_AGAIN, /* id, type, seen */
	Q_MANIFEST_DROP, /* id */
	Q_MANIFEST_LOOSE, /* seen before, after id, max -> id, size */
	Q_MANIFEST_LOOSE_DROP, /* id, seen before: if it is loose */
	Q_MANIFEST_TOUCH, /* id, seen */
	Q_MANIFEST_OLD,	 /* seen before, after id, max -> id, size */
	Q_MANIFEST_OLD_DROP, /* id, seen before */
	Q_USES,		 /* -> seen, size of links and manifests, oldest first */
	Q_PART_ADD,	 /* whole, part */
	Q_PART_WHO,	 /* part -> digest of an index */
	Q_TAG_SET,	 /* repository, name, manifest */
	Q_TAG_FIND,	 /* repository, name -> manifest */
	Q_TAG_WHO,	 /* manifest -> name */
	Q_TAG_DROP,	 /* repository, name */
	Q_TAG_LIST,	 /* repository, after, max -> name */
	Q_UNTAGGED,	 /* repository, after, max -> digest, type, size, artifact type */
	Q_REFERRERS,	 /* repository name, subject, type or NULL, after, max -> ... */
	Q_COUNT
};

/** A connection, its lock, and the statements that were used on it. */
struct depot_side {
	struct db *db;
	struct lock *lock;
	struct db_stmt *st[Q_COUNT];
};

/*
 * Bytes of the disk that uploads and manifests leave to the database: what is let go of has to
 * be written down before it makes room. Its log may have 1,000 pages (SQLite's default) and one
 * transaction of gc.
 */
#define DISK_RESERVE (8 * MIB)
#define SESSION_ID 32 /* hex digits: 128 bits */
#define SESSION_BUCKETS 1024

/** An open upload. */
struct session {
	struct shelf_upload base; /* size is changed under the lock of the table */
	struct session *next;	  /* in its bucket */
	struct session *older, *newer; /* among those that nobody holds */
	char id[SESSION_ID + 1];
	char *repo;
	int64_t used; /* seconds, when it was let go of */
	bool held;    /* by one request */
	bool gone;    /* cancelled while held */
	int fd;	      /* while held */
	int64_t begun; /* see io_writeback() */
	struct hash hash; /* sha256 of what it has; ctx NULL = nothing yet */
	struct digest proven; /* that all of it has; see depot_upload_prove() */
};

struct sessions {
	struct lock *lock; /* guards all of this, and what stands behind it in the depot */
	struct session *bucket[SESSION_BUCKETS];
	struct session *oldest, *newest;
	size_t n;
};

struct depot {
	struct shelf shelf;
	struct depot_options o;
	bool cache; /* of another registry: manifests need nothing, and use tells what stays */
	int root, blobs, uploads, lock; /* folders, and the file */
	struct depot_side reader, writer;
	struct sessions sessions;
	/* under the lock of sessions */
	int64_t space; /* bytes of blobs and uploads */
	int64_t unseen; /* bytes of all uploads since the disk was found to have room */
	struct {
		int64_t runs, blobs, bytes;
	} collected; /* garbage, since it was opened */
	struct lock *evicting; /* held by the one that makes room in a cache */
};

extern const struct shelf_ops DEPOT_OPS;
extern const struct shelf_write_ops DEPOT_WRITE_OPS;

static inline struct depot *depot_of(struct shelf *s)
{
	return (struct depot *)s;
}
int64_t depot_now(const struct depot *d);
/** What to tell a client when the disk has said no: DISK_FULL where it is. Returns -1. */
int depot_disk_failed(dray_error **err);
/** DISK_FULL when there is no more than the reserve. */
int depot_disk_has_room(const struct depot *d, dray_error **err) MUST_CHECK;

/* ---- depot_sql.c ---- */

extern const char DEPOT_SCHEMA[];
/** The statement of @p q, ready to be bound; reset it (cleanup_reset). NULL on failure. */
struct db_stmt *side_query(struct depot_side *side, enum depot_query q, dray_error **err);
int side_open(struct depot_side *side, const char *path, dray_error **err) MUST_CHECK;
void side_close(struct depot_side *side);
/** A query whose parameters are numbers and that has no rows to give. */
int side_run(struct depot_side *side, enum depot_query q, const int64_t *n, size_t len,
	     dray_error **err) MUST_CHECK;
/** Take the writer's lock and begin; 0 needs depot_commit() or depot_abort(). */
int depot_begin(struct depot *d, dray_error **err) MUST_CHECK;
int depot_commit(struct depot *d, dray_error **err) MUST_CHECK;
/** Returns -1. */
int depot_abort(struct depot *d);
/** Id of a repository: 1, 0 = there is none, -1. */
int depot_repo_find(struct depot_side *side, const char *repo, int64_t *ret,
		    dray_error **err) MUST_CHECK;
int depot_repo_need(struct depot *d, const char *repo, int64_t *ret, dray_error **err) MUST_CHECK;

/* ---- depot_blob.c ---- */

struct link {
	int64_t repo, blob, size, seen;
	bool held; /* by a manifest of the repository */
};
/** 1, 0 = the repository has no such blob, -1. Takes no lock. */
int depot_link_find(struct depot_side *side, const char *repo, const struct digest *digest,
		    struct link *ret, dray_error **err) MUST_CHECK;
/** Whether the file of a blob is there in its size: 1, 0, -1. */
int depot_blob_there(const struct depot *d, const struct digest *digest, int64_t size,
		     dray_error **err) MUST_CHECK;
/**
 * Make the file @p name of uploads/, of @p size bytes on the disk, the blob @p digest of @p repo.
 * 1 = a new one, 0 = it took the place of an old one, -1.
 */
int depot_blob_add(struct depot *d, const char *repo, const char *name,
		   const struct digest *digest, int64_t size, dray_error **err) MUST_CHECK;
/** The path of a blob below blobs/. */
#define BLOB_PATH (DIGEST_TEXT + 8)
void depot_blob_path(const struct digest *digest, char ret[BLOB_PATH]);
int depot_blob(struct shelf *s, const char *repo, const struct digest *digest, bool content,
	       struct shelf_blob *ret, dray_error **err);
int depot_mount(struct shelf *s, const char *repo, const struct digest *digest, const char *from,
		dray_error **err);
int depot_remove_blob(struct shelf *s, const char *repo, const struct digest *digest,
		      dray_error **err);

/* ---- depot_upload.c ---- */

void sessions_clear(struct depot *d);
/** Forget those that nobody used for too long. */
void sessions_expire(struct depot *d);
/** Take @p bytes of the quota; NO_SPACE. Negative gives back. */
int depot_take_space(struct depot *d, int64_t bytes, dray_error **err) MUST_CHECK;
/** Say that the quota has no room. Returns -1. */
int depot_over_quota(const struct depot *d, dray_error **err);
void depot_give_space(struct depot *d, int64_t bytes);
int depot_upload_begin(struct shelf *s, const char *repo, char ret[SHELF_UPLOAD_ID],
		       dray_error **err);
int depot_upload_open(struct shelf *s, const char *repo, const char *id, int64_t off,
		      struct shelf_upload **ret, dray_error **err);
int depot_upload_append(struct shelf *s, struct shelf_upload *u, struct span bytes,
			dray_error **err);
void depot_upload_close(struct shelf *s, struct shelf_upload *u);
int depot_upload_finish(struct shelf *s, struct shelf_upload *u, const struct digest *digest,
			dray_error **err);
int depot_upload_status(struct shelf *s, const char *repo, const char *id, int64_t *ret_size,
			dray_error **err);
int depot_upload_cancel(struct shelf *s, const char *repo, const char *id, dray_error **err);

/* ---- depot_cache.c, depot_gc.c ---- */

/** Whether the folder is what the options say; a @p fresh one becomes it. Sets d->cache. */
int cache_open(struct depot *d, bool fresh, dray_error **err) MUST_CHECK;
/** Let what was used longest ago go until @p bytes more fit the quota, or nothing is left. */
int cache_evict(struct depot *d, int64_t bytes, dray_error **err) MUST_CHECK;
/** A manifest of a cache was used, last time at @p seen. That it cannot be noted is no failure. */
void cache_used(struct depot *d, int64_t manifest, int64_t seen);
/** Of a cache: remove what was not used since @p cutoff, manifests and blobs. */
int depot_expire(struct depot *d, int64_t cutoff, dray_error **err) MUST_CHECK;
/** Id of a blob that any repository has, whole: 1, 0, -1. Takes no lock. */
int depot_blob_find(struct depot *d, struct depot_side *side, const struct digest *digest,
		    int64_t *ret, int64_t *ret_size, dray_error **err) MUST_CHECK;
/** Let @p repo have it from now on; in a transaction. */
int depot_link_set(struct depot *d, const char *repo, int64_t blob, dray_error **err) MUST_CHECK;

/* ---- depot_manifest.c, depot_list.c ---- */

int depot_put(struct shelf *s, const char *repo, const struct shelf_put *put,
	      struct shelf_stored *ret, dray_error **err);
int depot_remove(struct shelf *s, const char *repo, const struct shelf_ref *ref, dray_error **err);
int depot_manifest(struct shelf *s, const char *repo, const struct shelf_ref *ref, bool content,
		   struct shelf_doc *ret, dray_error **err);
int depot_repositories(struct shelf *s, const struct shelf_part *part, struct shelf_page *ret,
		       dray_error **err);
int depot_tags(struct shelf *s, const char *repo, const struct shelf_part *part,
	       struct shelf_page *ret, dray_error **err);
int depot_referrers(struct shelf *s, const char *repo, const struct digest *subject,
		    const char *artifact_type, const struct shelf_part *part,
		    struct shelf_referrers *ret, dray_error **err);
int depot_untagged(struct shelf *s, const char *repo, const struct shelf_part *part,
		   struct shelf_referrers *ret, dray_error **err);
int depot_state(struct shelf *s, struct shelf_state *ret, dray_error **err);
