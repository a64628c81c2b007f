/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors: what went wrong (text), and what the caller can do about it (kind).
 */
#pragma once

#include <stdint.h>
#include <dray/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A failure. Made by the library, read and freed by the caller. */
typedef struct dray_error dray_error;

/** What the caller can do now. The numbers are part of the ABI. */
enum dray_err_kind {
	DRAY_ERR_USAGE = 1,	/**< fix the call or the command line */
	DRAY_ERR_NOT_FOUND,	/**< what was named does not exist */
	DRAY_ERR_DENIED,	/**< credentials are missing or refused */
	DRAY_ERR_CORRUPT,	/**< bytes do not match their digest or size */
	DRAY_ERR_FORMAT,	/**< bytes break the format */
	DRAY_ERR_UNSUPPORTED,	/**< well formed, but we lack the feature */
	DRAY_ERR_LIMIT,		/**< well formed, but over a limit we state by name */
	DRAY_ERR_NETWORK,	/**< a later try may succeed */
	DRAY_ERR_SYSTEM,	/**< the operating system refused; see dray_error_errno() */
	DRAY_ERR_NOMEM,		/**< out of memory */
	DRAY_ERR_CANCELLED,	/**< the caller asked to stop */
	DRAY_ERR_SIGNATURE,	/**< a signature is missing, bad or not trusted */
};

/*
 * Getters want an error, not NULL. Strings live as long as it does; show them to a
 * terminal escaped. An error belongs to one thread at a time.
 */

/** What the caller can do. Since: 0.1 */
DRAY_API enum dray_err_kind dray_error_kind(const dray_error *err);

/** The whole text, outside-in ("push x: layer 3 of 7: ..."); borrowed, never NULL. Since: 0.1 */
DRAY_API const char *dray_error_message(const dray_error *err);

/** What was expected; borrowed, NULL where it does not apply. Since: 0.1 */
DRAY_API const char *dray_error_expected(const dray_error *err);
/** What was found instead; borrowed, NULL where it does not apply. Since: 0.1 */
DRAY_API const char *dray_error_actual(const dray_error *err);

/** A known fix in one sentence; borrowed, NULL when none is known. Since: 0.1 */
DRAY_API const char *dray_error_hint(const dray_error *err);

/** A stable word for the kind ("integrity", "network", ...); static. Since: 0.1 */
DRAY_API const char *dray_error_code(const dray_error *err);

/** errno of a SYSTEM error, else 0. Since: 0.1 */
DRAY_API int dray_error_errno(const dray_error *err);

/** HTTP status of the answer that caused this, else 0. Since: 0.1 */
DRAY_API int dray_error_http_status(const dray_error *err);

/** Registry error code ("MANIFEST_UNKNOWN"); borrowed, NULL when there is none. Since: 0.1 */
DRAY_API const char *dray_error_registry_code(const dray_error *err);

/** Free @p err; NULL is fine. Since: 0.1 */
DRAY_API void dray_error_free(dray_error *err);

#ifdef __cplusplus
}
#endif
