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

/** One line for people, already safe for a terminal; @p line lives for the call. */
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
	const char *label;	/**< "layer 3/7 sha256:0123456789ab" */
	int64_t done, total;	/**< bytes read from the source; total -1 = unknown */
	const char *detail;	/**< "exists", "mounted from library/x", "reused"; or NULL */
};
/** Called from worker threads, one call at a time. */
typedef void dray_progress_fn(void *arg, const struct dray_progress *p);

/** Begin with DRAY_CONTEXT_OPTIONS_INIT; strings are copied. */
struct dray_context_options {
	size_t size;
	int jobs;			/**< parallel blobs and compression threads; 0 = usable CPUs */
	const char *tmpdir;		/**< NULL = TMPDIR, else /var/tmp */
	const char *platform;		/**< "os/arch[/variant]"; NULL = the host's */
	bool all_platforms;
	const char *creds;		/**< "user:password"; NULL = files and helpers */
	const char *authfile;
	const char *cert_dir;
	bool tls_skip_verify;
	bool plain_http;
	int retries;			/**< -1 = default (5) */
	dray_log_fn *log;
	dray_progress_fn *progress;
	void *arg;			/**< handed to both callbacks */
	bool no_cache;			/**< do not read or write the blob cache */
};
#define DRAY_CONTEXT_OPTIONS_INIT { .size = sizeof(struct dray_context_options), .retries = -1 }

/**
 * @return 0 and *ret, owned by the caller; -1
 * Errors: USAGE a malformed platform or creds; NOMEM
 */
DRAY_API int dray_context_new(const struct dray_context_options *o, dray_context **ret, dray_error **err);
DRAY_API void dray_context_free(dray_context *ctx);

/** Ask everything that runs to stop soon with CANCELLED. Async-signal-safe. */
DRAY_API void dray_cancel(void);
/** Remove temporary output files of this process; for a signal handler's last step. Async-signal-safe. */
DRAY_API void dray_remove_temporaries(void);

/** "0.1.0" */
DRAY_API const char *dray_version(void);
/** Versions of the libraries in use: name and version by index, NULL past the end. */
DRAY_API const char *dray_version_library(size_t index, const char **ret_version);

#ifdef __cplusplus
}
#endif
