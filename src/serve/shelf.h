/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server hands out and takes in: repositories with tags, manifests and blobs. Between
 * HTTP, which knows of no files, and whoever keeps the bytes, who knows of no HTTP. Back
 * ends: images of other places (images.c, read-only), a folder (depot.c), another registry whose
 * images are kept in a folder (proxy.c).
 *
 * What HTTP promises to a shelf: every repository and tag fits the grammar of image/reference.h,
 * every digest is well formed, though its algorithm may be DIGEST_OTHER; those are nowhere and
 * cannot be stored. What a shelf promises: an error made by shelf_refuse() is told to the client
 * with its code and text; any other is told as "internal error", and its text only to the log.
 *
 * Threads: every function of a shelf may be called from any thread at any time; what it gave out
 * (a page, a document, a blob, an upload) belongs to one thread. A slow call delays its own
 * connection and no other, unless the shelf itself makes others wait.
 */
#pragma once

#include "base/arena.h"
#include "digest/digest.h"
#include "flow/source.h"

/* ---- refusals ---- */

/** Codes of the distribution specification; the HTTP status of each is in shelf.c. */
enum shelf_code {
	SHELF_BLOB_UNKNOWN,		/* 404 */
	SHELF_BLOB_UPLOAD_INVALID,	/* 400: an upload that cannot go on */
	SHELF_BLOB_UPLOAD_UNKNOWN,	/* 404: also one of another repository */
	SHELF_DIGEST_INVALID,		/* 400: malformed, not that of the bytes, or not to be computed */
	SHELF_MANIFEST_BLOB_UNKNOWN,	/* 400: a manifest names what is not here, or its size wrongly */
	SHELF_MANIFEST_INVALID,		/* 400 */
	SHELF_MANIFEST_UNKNOWN,		/* 404 */
	SHELF_NAME_INVALID,		/* 400 */
	SHELF_NAME_UNKNOWN,		/* 404: no such repository */
	SHELF_PAGINATION_INVALID,	/* 400 */
	SHELF_RANGE_INVALID,		/* 416: a piece that does not begin where the upload ends */
	SHELF_SIZE_INVALID,		/* 413: over a limit */
	SHELF_TAG_INVALID,		/* 400 */
	SHELF_UNAUTHORIZED,		/* 401 */
	SHELF_DENIED,			/* 403 */
	SHELF_KEPT,			/* 405, as "DENIED": what is not deleted; 403 is none of its answers */
	SHELF_UNSUPPORTED,		/* 405 */
	SHELF_TOOMANYREQUESTS,		/* 429 */
	SHELF_NO_SPACE,			/* 507, as "UNAVAILABLE": over a quota */
	SHELF_DISK_FULL,		/* 507, likewise: SYSTEM, where the other one is LIMIT */
	SHELF_UNREACHABLE,		/* 502, likewise: the registry behind gives no answer, or none of use */
	SHELF_CODES
};
/** Set *err so that the client is told; returns -1. Paths of the host do not belong in the text. */
int shelf_refuse(dray_error **err, enum shelf_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- what is given out ---- */

#define SHELF_PAGE_MAX 1000 /* names of one page; also what is given where none is asked for */

/** Which part of a list: what sorts behind @p after by its bytes (NULL = from the start). */
struct shelf_part {
	const char *after;
	size_t max; /* 0..SHELF_PAGE_MAX */
};

/** Names in the order of their bytes. Zeroed is empty; free with shelf_page_clear(). */
struct shelf_page {
	struct arena arena;
	const char **names;
	size_t n;
	bool more; /* others follow */
};
void shelf_page_clear(struct shelf_page *p);
#define cleanup_shelf_page CLEANUP(shelf_page_clear)

/** A manifest or index. Zeroed is empty; free with shelf_doc_clear(). */
struct shelf_doc {
	struct digest digest;
	char *media_type; /* owned; as it was pushed or as the place has it */
	int64_t size;
	struct buf bytes; /* exactly as stored; empty unless asked for */
	bool stale;	  /* what its tag named when that could last be found out */
};
void shelf_doc_clear(struct shelf_doc *d);
#define cleanup_shelf_doc CLEANUP(shelf_doc_clear)

/**
 * A blob: an extent of a file, which the kernel can send, or a source. Zeroed is not valid, begin
 * with SHELF_BLOB_INIT; free with shelf_blob_clear().
 */
struct shelf_blob {
	int64_t size;	     /* -1 = nobody knows before its end, and there are no ranges of it */
	int fd;		     /* owned; -1 = see data */
	int64_t off;	     /* of its first byte in fd */
	struct source *data; /* owned; exactly size bytes, else it fails before its end; NULL */
	bool packed;	     /* data is compressed: what it decodes to is the blob */
};
#define SHELF_BLOB_INIT ((struct shelf_blob){ .fd = -1 })
void shelf_blob_clear(struct shelf_blob *b);
#define cleanup_shelf_blob CLEANUP(shelf_blob_clear)
/** Its bytes from the first one on, decoded where they are packed; what @p b held goes with it. */
struct source *shelf_blob_open(struct shelf_blob *b, dray_error **err);

/** What refers to a manifest, or has no other name than its digest. Strings in the list's arena. */
struct shelf_referrer {
	const char *media_type;
	struct digest digest;
	int64_t size;
	const char *artifact_type; /* of the manifest, else its config's media type; NULL */
	struct span annotations;   /* the text of a JSON object; empty = none */
};
/** In the order of their digests' text, where nothing else is said. Zeroed is empty. */
struct shelf_referrers {
	struct arena arena;
	struct shelf_referrer *list;
	size_t n;
	bool more;
	const char *last; /* behind which the next page begins; NULL = behind the last of list */
};
void shelf_referrers_clear(struct shelf_referrers *r);
#define cleanup_shelf_referrers CLEANUP(shelf_referrers_clear)

/** Numbers about a shelf; -1 = it has nothing of the kind, or does not know. */
struct shelf_state {
	int64_t repositories, manifests;
	int64_t blobs, bytes, quota, uploads;
	int64_t collections, collected_blobs, collected_bytes; /* garbage, since the start */
};
#define SHELF_STATE_INIT ((struct shelf_state){ -1, -1, -1, -1, -1, -1, -1, -1, -1 })

/** A manifest by tag, or by digest where @p tag is NULL. */
struct shelf_ref {
	const char *tag;
	struct digest digest;
};

/* ---- what is taken in ---- */

#define SHELF_UPLOAD_ID 64 /* bytes with NUL: letters, digits and '-' */

/** First member of a back end's open upload. */
struct shelf_upload {
	int64_t size; /* bytes it has; kept by the back end */
};

/** A manifest that a client sends. All lent. */
struct shelf_put {
	const char *media_type;	  /* of its Content-Type, without parameters */
	struct span bytes;	  /* at most LIMIT_MANIFEST */
	struct digest digest;	  /* that it was sent under; unset = by tag */
	const char *const *tags;  /* that name it from now on; none = by digest only */
	size_t n_tags;
};
struct shelf_stored {
	struct digest digest;  /* of put.digest's algorithm, else sha256 */
	struct digest subject; /* unset where it has none */
};

struct shelf;

/** A shelf that only hands out has none of these. All are there, or none. */
struct shelf_write_ops {
	/**
	 * Begin an upload; its id (from the kernel's random numbers, R-03) into @p ret.
	 * TOOMANYREQUESTS, NO_SPACE, DISK_FULL, DENIED.
	 */
	int (*begin)(struct shelf *s, const char *repo, char ret[SHELF_UPLOAD_ID],
		     dray_error **err);
	/**
	 * Take hold of an upload, to send more or to finish it. @p off is where the client thinks
	 * that it ends, -1 = it does not say. BLOB_UPLOAD_UNKNOWN, also for another repository's;
	 * RANGE_INVALID where it ends elsewhere or another request holds it.
	 */
	int (*open)(struct shelf *s, const char *repo, const char *id, int64_t off,
		    struct shelf_upload **ret, dray_error **err);
	/** Append. SIZE_INVALID, NO_SPACE; after a failure only close() and cancel() follow. */
	int (*append)(struct shelf *s, struct shelf_upload *u, struct span bytes,
		      dray_error **err);
	/** Let go of it. What it has stays, and the client may go on from there. */
	void (*close)(struct shelf *s, struct shelf_upload *u);
	/**
	 * It is whole: hold it against @p digest, make it a blob of its repository, on the disk
	 * before this returns, and let go of it. DIGEST_INVALID, and then the upload is gone too.
	 * @p u is consumed, success or failure.
	 */
	int (*finish)(struct shelf *s, struct shelf_upload *u, const struct digest *digest,
		      dray_error **err);
	/** Bytes of an upload, also while another request holds it; BLOB_UPLOAD_UNKNOWN. */
	int (*status)(struct shelf *s, const char *repo, const char *id, int64_t *ret_size,
		      dray_error **err);
	/** Forget an upload and free its space; one that is held ends with its next append(). */
	int (*cancel)(struct shelf *s, const char *repo, const char *id, dray_error **err);
	/**
	 * Make a blob of repository @p from, NULL = of any that the shelf may tell about, one of
	 * @p repo without its bytes. 1; 0 = it cannot, so upload it; -1.
	 */
	int (*mount)(struct shelf *s, const char *repo, const struct digest *digest,
		     const char *from, dray_error **err);
	/**
	 * Store a manifest and let its tags name it, all or nothing, on the disk before this
	 * returns. What it names must be here with the size it says, but for subjects and
	 * layers that need not be distributed. DIGEST_INVALID, MANIFEST_INVALID,
	 * MANIFEST_BLOB_UNKNOWN, NO_SPACE, DENIED.
	 */
	int (*put)(struct shelf *s, const char *repo, const struct shelf_put *put,
		   struct shelf_stored *ret, dray_error **err);
	/** By tag: only the name goes. By digest: with all names it has. MANIFEST_UNKNOWN. */
	int (*remove)(struct shelf *s, const char *repo, const struct shelf_ref *ref,
		      dray_error **err);
	/** It is gone from @p repo at once; its space later. BLOB_UNKNOWN. */
	int (*remove_blob)(struct shelf *s, const char *repo, const struct digest *digest,
			   dray_error **err);
};

struct shelf_ops {
	/** Repositories that have a manifest or a blob. */
	int (*repositories)(struct shelf *s, const struct shelf_part *part, struct shelf_page *ret,
			    dray_error **err);
	/** NAME_UNKNOWN; a repository without tags gives an empty page. */
	int (*tags)(struct shelf *s, const char *repo, const struct shelf_part *part,
		    struct shelf_page *ret, dray_error **err);
	/** With @p content also its bytes. MANIFEST_UNKNOWN, also in an unknown repository. */
	int (*manifest)(struct shelf *s, const char *repo, const struct shelf_ref *ref,
			bool content, struct shelf_doc *ret, dray_error **err);
	/**
	 * A blob that @p repo has, not one that only others have; documents stored as
	 * manifests are none. Without @p content only its size. BLOB_UNKNOWN.
	 */
	int (*blob)(struct shelf *s, const char *repo, const struct digest *digest, bool content,
		    struct shelf_blob *ret, dray_error **err);
	/**
	 * What refers to @p subject, of @p artifact_type only unless that is NULL. Part.after is the
	 * text of a digest. An unknown subject or repository has none. A page may have fewer than
	 * are asked for, even none, and others follow.
	 */
	int (*referrers)(struct shelf *s, const char *repo, const struct digest *subject,
			 const char *artifact_type, const struct shelf_part *part,
			 struct shelf_referrers *ret, dray_error **err);
	/**
	 * Optional: manifests that no tag names, the last ones that came first, in the order of their
	 * digests' text where nobody knows that. Part.after is the text of the digest that an earlier
	 * page ended with; where that is gone, from the start. Annotations may be left out. NAME_UNKNOWN.
	 */
	int (*untagged)(struct shelf *s, const char *repo, const struct shelf_part *part,
			struct shelf_referrers *ret, dray_error **err);
	/** Optional: whether a mirror of @p registry ("docker.io") is looked for here; NULL = of any. */
	bool (*stands_for)(const struct shelf *s, const char *registry);
	/**
	 * Optional: the shelf of what it has itself (lent), where it asks another server for the rest:
	 * who shows what there is makes no requests of its own.
	 */
	struct shelf *(*here)(struct shelf *s);
	/** Optional: whether it can do its work; the text of *err is for the log. */
	int (*health)(struct shelf *s, dray_error **err);
	/** What there is, for whoever runs the server; *ret is SHELF_STATE_INIT. */
	int (*state)(struct shelf *s, struct shelf_state *ret, dray_error **err);
	void (*free)(struct shelf *s);
};

/** First member of every concrete shelf. */
struct shelf {
	const struct shelf_ops *ops;
	const struct shelf_write_ops *write; /* NULL = it only hands out */
};
void shelf_free(struct shelf *s);
DEFINE_CLEANUP(struct shelf, cleanup_shelf_fn, shelf_free)
#define cleanup_shelf CLEANUP(cleanup_shelf_fn)
