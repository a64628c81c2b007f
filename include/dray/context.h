/* SPDX-License-Identifier: Apache-2.0
 *
 * A context: how to connect, how many jobs, whom to tell. Every verb takes one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <dray/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dray_context dray_context;

enum dray_log_level { DRAY_LOG_WARNING, DRAY_LOG_INFO, DRAY_LOG_DEBUG };

/**
 * One line for people, already safe for a terminal; @p line lives for the call.
 * Comes from any thread, one callback at a time; it may not call a verb of the
 * same context.
 */
typedef void dray_log_fn(void *arg, enum dray_log_level level, const char *line);

/** What happens to one blob. */
enum dray_progress_state {
	DRAY_PROGRESS_BEGIN,	/**< total known or -1 */
	DRAY_PROGRESS_BYTES,	/**< done bytes so far */
	DRAY_PROGRESS_SKIPPED,	/**< already there, mounted or reused; see detail */
	DRAY_PROGRESS_DONE,
	DRAY_PROGRESS_FAILED,
};
struct dray_progress {
	enum dray_progress_state state;
	uint64_t id;		/**< of this blob within the context */
	const char *label;	/**< "layer 3 of 7 sha256:0123456789ab" or a member's name */
	int64_t done, total;	/**< bytes read from the source; total -1 = unknown */
	const char *detail;	/**< SKIPPED: "exists", "mounted", "reused"; else NULL */
};
/** One event; @p p and its strings live for the call. Called like dray_log_fn. */
typedef void dray_progress_fn(void *arg, const struct dray_progress *p);

/** Begin with DRAY_CONTEXT_OPTIONS_INIT; strings are copied. */
struct dray_context_options {
	size_t size;
	/** Blobs at once and compression threads, to 256; 0 = usable CPUs, at least 3 blobs. */
	int jobs;
	const char *tmpdir;	/**< NULL = TMPDIR, else /var/tmp */
	const char *platform;	/**< "os/arch[/variant]"; NULL = the host's */
	bool all_platforms;	/**< of an index every image, not one */
	const char *creds;	/**< "user:password"; NULL = files and helpers */
	const char *authfile;	/**< the only file asked; NULL = those of podman and docker */
	const char *cert_dir;	/**< *.crt, *.cert, *.key; NULL = certs.d of podman and docker */
	bool tls_skip_verify;
	bool plain_http;
	int retries;		/**< -1 = default (5) */
	dray_log_fn *log;	/**< NULL = silence */
	dray_progress_fn *progress;	/**< NULL = none */
	void *arg;		/**< handed to both callbacks */
	bool no_cache;		/**< do not read or write the blob cache */
	/** More than one platform: of an index those; excludes platform. Lent for the call. */
	const char *const *platforms;
	size_t n_platforms;
	/**
	 * Of engines' disks: a layer that is damaged is made anew of the files that are left,
	 * with another DiffID, and its image gets another ID. Warnings tell it.
	 */
	bool salvage;
};
#define DRAY_CONTEXT_OPTIONS_INIT { .size = sizeof(struct dray_context_options), .retries = -1 }

/**
 * Make a context. Nothing is opened, read or asked yet.
 *
 * @param o  not NULL; lent for the call
 * @return  0; -1
 *
 * Owns:    *ret is the caller's: dray_context_free()
 * Errors:  USAGE jobs, platform or creds malformed; NOMEM
 * Threads: a context serves one verb at a time; verbs use threads of their own.
 * Since:   0.1
 */
DRAY_API int dray_context_new(const struct dray_context_options *o, dray_context **ret,
			      dray_error **err);
/** Free @p ctx, wiping its credentials; NULL is fine. Results of its verbs stay. Since: 0.1 */
DRAY_API void dray_context_free(dray_context *ctx);

/**
 * Ask everything that runs in this process to stop soon with CANCELLED. There is
 * no way back: later calls stop as well. Async-signal-safe. Since: 0.1
 */
DRAY_API void dray_cancel(void);
/**
 * Remove the temporary output files of this process: the last step of a signal
 * handler that ends it. Async-signal-safe. Since: 0.1
 */
DRAY_API void dray_remove_temporaries(void);

/** "0.1.0"; static. Since: 0.1 */
DRAY_API const char *dray_version(void);
/**
 * Name of the @p index-th library in use, its version in *ret_version; both static.
 * NULL past the end, *ret_version is untouched then. Since: 0.1
 */
DRAY_API const char *dray_version_library(size_t index, const char **ret_version);

#ifdef __cplusplus
}
#endif
