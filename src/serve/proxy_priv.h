/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the shelf before another registry.
 */
#pragma once

#include <stdatomic.h>

#include "base/map.h"
#include "flow/pool.h"
#include "serve/depot.h"
#include "serve/proxy.h"

#define STRIPES 64 /* questions about manifests that go on at once */
#define OUTSIZED 16 /* blobs that are remembered to be too large */

/** When a tag was last asked about. */
struct belief {
	int64_t question; /* by number, counted when it began */
	int64_t ms;
};

struct proxy {
	struct shelf shelf;
	struct shelf *depot;
	struct upstream *up;
	struct proxy_options o;
	struct lock *asking[STRIPES]; /* of one manifest one asks, and the others wait */
	struct lock *lock;	      /* of what follows, to stop */
	struct arena arena;	      /* of beliefs */
	struct map beliefs;	      /* "repository:tag" -> struct belief */
	int64_t questions;	      /* about tags, so far */
	int64_t silent_until;	      /* ms: the upstream gave no answer of use */
	int64_t full_until;	      /* ms: the disk had no room for a blob */
	int64_t coming;		      /* bytes announced of blobs that are to be kept, not here yet */
	struct digest outsized[OUTSIZED]; /* nobody announces their size; newest last, in a ring */
	size_t n_outsized;
	struct fetch *fetches;	      /* blobs under way; first come first */
	atomic_bool stop;	      /* for the threads that work for it, too */
	struct pool *pool;
	struct fetcher *fetchers; /* one for each of its threads */
};

/** What a thread of the pool does: bring blobs until the proxy stops. */
struct fetcher {
	struct job job;
	struct proxy *p;
};

static inline struct proxy *proxy_of(struct shelf *s)
{
	return (struct proxy *)s;
}

/**
 * Tell a client of @p why, which is freed: @p unknown where there is none such. What the upstream
 * did wrong goes to the log. Returns -1.
 */
int proxy_refuse(struct proxy *p, dray_error *why, enum shelf_code unknown, dray_error **err);
/** A note about @p what and why; @p why may be NULL. */
void proxy_note(struct proxy *p, const char *what, const dray_error *why);

/** Say that the registry gives no answer. Returns -1. */
int proxy_refuse_silent(dray_error **err);
/** It may have what we ask for, or not: it did not say so. */
bool proxy_no_answer(const dray_error *e);
/** It was silent a moment ago: nobody waits for it. */
bool proxy_is_silent(struct proxy *p);
/** What the folder has is given in place of an answer. */
void proxy_served_as_it_was(struct proxy *p, const dray_error *why);
/** As proxy_refuse(); nothing is here in its place: who waits behind us need not wait as long again. */
int proxy_ask_failed(struct proxy *p, dray_error *why, enum shelf_code unknown, dray_error **err);
/** Move *why into *err (may be NULL). Returns -1. */
int proxy_hand_on(dray_error **why, dray_error **err);

/* ---- proxy_manifest.c ---- */

/** When something of the repository was asked about: zeros where it was not, or nobody remembers. */
struct belief proxy_belief_of(struct proxy *p, const char *repo, const char *tag);
struct belief proxy_begin_question(struct proxy *p);
/** What cannot be noted is asked again. */
void proxy_believe(struct proxy *p, const char *repo, const char *tag, struct belief asked);
/**
 * A manifest, brought if the folder does not have it: 1, 0 = the folder could not keep it, -1.
 * FORMAT: the registry has it, but it is none that we read.
 */
int proxy_by_digest(struct proxy *p, const char *repo, const struct shelf_ref *ref, bool content,
		    struct shelf_doc *ret, dray_error **err) MUST_CHECK;
int proxy_manifest(struct shelf *s, const char *repo, const struct shelf_ref *ref, bool content,
		   struct shelf_doc *ret, dray_error **err);

/* ---- proxy_list.c ---- */

int proxy_repositories(struct shelf *s, const struct shelf_part *part, struct shelf_page *ret,
		       dray_error **err);
int proxy_tags(struct shelf *s, const char *repo, const struct shelf_part *part,
	       struct shelf_page *ret, dray_error **err);
int proxy_referrers(struct shelf *s, const char *repo, const struct digest *subject,
		    const char *artifact_type, const struct shelf_part *part,
		    struct shelf_referrers *ret, dray_error **err);

/* ---- proxy_fetch.c: downloads ---- */

/** A blob on its way; it lives until the last one left it. */
struct fetch;
/** Begin the threads that bring blobs. */
int fetch_begin(struct proxy *p, dray_error **err) MUST_CHECK;
/** Wait for their end; NULL-safe. */
void fetch_end(struct proxy *p);
/** That of this blob, which is begun if nobody did; to be left again. CANCELLED. */
struct fetch *fetch_join(struct proxy *p, const char *repo, const struct digest *digest,
			 dray_error **err);
void fetch_leave(struct proxy *p, struct fetch *f);
/**
 * Wait until the size is known. Of what has none announced, until it is here or more of it came
 * than is waited for: then -1. As it failed.
 */
int fetch_await_size(struct fetch *f, int64_t *ret_size, dray_error **err) MUST_CHECK;
/**
 * Some of the bytes from @p off on: waits for one at least, 0 = there are no more. All but the last
 * one are given while it comes: without that nobody has it.
 */
int64_t fetch_read(struct fetch *f, int64_t off, void *to, size_t max, dray_error **err) MUST_CHECK;
/** Of one that failed: skip @p end bytes of @p again, which have to be those that it had. CORRUPT. */
int fetch_compare(struct fetch *f, struct source *again, int64_t end, dray_error **err) MUST_CHECK;
/** Whether one that is not begun would have to wait until another has come. */
bool fetch_is_busy(struct proxy *p, const char *repo, const struct digest *digest);
/** A download met a full disk a moment ago, or this blob, whose size nobody announces, fits nowhere. */
bool fetch_has_no_room(struct proxy *p, const struct digest *digest);

/* ---- proxy_give.c ---- */

#define STATUS_NO_SPACE 507 /* of what the folder refuses for want of room */

/** A blob that the folder does not have. */
int proxy_give_blob(struct proxy *p, const char *repo, const struct digest *digest,
		    struct shelf_blob *ret, dray_error **err) MUST_CHECK;
