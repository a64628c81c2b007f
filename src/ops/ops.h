/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verbs share: the context, and from a reference as typed to a store.
 */
#pragma once

#include <dray/dray.h>
#include "flow/pool.h"
#include "remote/remote.h"
#include "store/store.h"

struct dray_context {
	int jobs;	/* blobs that move at the same time */
	int threads;	/* that compress */
	struct pool *pool;	/* compression; made on first use by context_pool() */
	char *tmpdir;
	struct platform platform;	/* os NULL = the host's where an index leaves a choice */
	bool all_platforms;
	struct platform *more;	/* asked for besides platform */
	size_t n_more;
	struct remote_options remote;	/* its strings are owned here */
	char *creds, *authfile, *cert_dir;
	bool no_cache;
	bool salvage;	/* place_options.salvage of every place that is read */
	dray_log_fn *log;
	dray_progress_fn *progress;
	void *arg;
	struct lock *lock;	/* serialises callbacks */
	uint64_t next_progress_id;
	struct arena arena;
};

/** Lent; NULL on failure. */
struct pool *context_pool(dray_context *ctx, dray_error **err);
void context_log(dray_context *ctx, enum dray_log_level level, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/** Notes of a place or an image as warnings. */
void context_notes(dray_context *ctx, const struct notes *notes);
void context_progress(dray_context *ctx, const struct dray_progress *p);
/** A number for the next blob's progress lines. */
uint64_t context_progress_id(dray_context *ctx);

/**
 * Options of a caller who was perhaps compiled with fewer members of their struct, or more: @p own,
 * of @p size bytes and with the defaults, gets those that both know. Both begin with their size.
 * @return @p own; also with @p given NULL, when all are defaults
 */
const void *options_take(void *own, size_t size, const void *given);

/** A reference as typed (dray(1) "PLACES AND IMAGES"), taken apart. */
enum place_kind {
	PLACE_ARCHIVE,		/* docker-archive:, a tar by content, "-" */
	PLACE_OCI_DIR, PLACE_OCI_ARCHIVE, PLACE_DIRECTORY,
	PLACE_DIR,		/* dir: */
	PLACE_REGISTRY,
	PLACE_DAEMON,		/* an engine's socket; tag or digest choose, neither = all it has */
	PLACE_DOCKER_ROOT,	/* a data root; only to read */
	PLACE_CONTAINERS,	/* podman's storage; path NULL = the user's own; only to read */
};
struct place {
	enum place_kind kind;
	char *path;		/* file or folder */
	char *tag;		/* behind the path: NAME[:TAG] or OCI ref name */
	struct digest digest;
	int64_t at;
	bool has_at;
	struct reference ref;	/* PLACE_REGISTRY */
	bool anonymous;		/* --creds are another registry's */
	char *text;		/* as typed */
};
/** What a bare word may be that is neither "-" nor an existing file or folder. */
enum place_use {
	PLACE_READ,	/* a registry's reference; one that looks like a path is NOT_FOUND */
	PLACE_WRITE,	/* NAME.tar a new archive; what else looks like a path is USAGE */
	PLACE_OUTPUT,	/* a new archive, whatever its name */
	PLACE_OUTPUT_HOST, /* likewise, but for what place_names_host() */
};
/** What the options of a copy let a bare destination be. */
enum place_use place_use_of(const struct dray_copy_options *o);
/**
 * Does a bare word begin with the host of a registry rather than with a folder? "HOST:PORT/", "localhost/" or
 * a name with a dot does where there is no such folder, unless it ends as archives do.
 */
bool place_names_host(const char *text);
/** USAGE, NOT_FOUND, UNSUPPORTED. */
int place_parse(const char *text, enum place_use use, struct place *ret,
		dray_error **err) MUST_CHECK;
/** @p text can only be a registry's reference, whatever files there are. */
int place_registry(const char *text, struct place *ret, dray_error **err) MUST_CHECK;
/** --creds name no host, so they cannot be shared out between two registries: USAGE. */
int place_check_creds(const dray_context *ctx, const char *a, const char *b,
		      dray_error **err) MUST_CHECK;
/** Does it begin as places are spelled, "oci:" and so on, rather than as a bare word? */
bool place_prefixed(const char *text);
/** Are the documents that stand there OCI's, to those who read it? */
bool place_is_oci(const struct place *p);
void place_clear(struct place *p);
#define cleanup_place CLEANUP(place_clear)

/** Open for reading. @p o steers forward walks (may be NULL). */
int place_open(dray_context *ctx, const struct place *p, const struct place_options *o,
	       struct store **ret, dray_error **err) MUST_CHECK;
/** What @p p, the text of --image (may be NULL) and @p all choose. USAGE. Strings in @p a, ctx. */
int place_selector(dray_context *ctx, const struct place *p, const char *image, bool all,
		   struct arena *a, struct selector *ret, dray_error **err) MUST_CHECK;
/**
 * What the documents of a file name and the file does not hold breaks its format;
 * NOT_FOUND is for what the user named, and for registries, where it may come yet.
 * Changes the kind of *err accordingly. Returns -1.
 */
int place_absent(const struct store *st, dray_error **err);
/** An image whose documents are all there and sound; else what is wrong with it. */
int place_require_whole(const struct store *st, const struct image *im,
			dray_error **err) MUST_CHECK;
