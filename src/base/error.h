/* SPDX-License-Identifier: Apache-2.0
 *
 * Making errors. Set once where the cause is known, add context once per
 * level that knows a noun. See include/dray/error.h for reading them.
 */
#pragma once

#include <stdint.h>
#include <dray/error.h>
#include "base/cleanup.h"

/**
 * Set *err (which must be NULL on entry) and return -1. A NULL @p err is fine.
 * Out of memory leaves a static object that dray_error_free() accepts.
 */
int err_set(dray_error **err, enum dray_err_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

/** As err_set() with kind SYSTEM; ": " and the text of @p errnum are appended. */
int err_sys(dray_error **err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

/** Out of memory: kind NOMEM, no allocation. Returns -1. */
int err_nomem(dray_error **err);

/** Put "context: " before the text of *err. Returns -1. */
int err_ctx(dray_error **err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** CORRUPT with both values kept as fields: "WHAT: expected X, got Y". Returns -1. */
int err_mismatch(dray_error **err, const char *expected, const char *actual, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/** Add a hint to *err unless it has one. Returns -1. */
int err_hint(dray_error **err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** Note what the server answered. Returns -1. */
int err_http(dray_error **err, int status, const char *registry_code);

/** Change the kind of *err (a level above knows better). Returns -1. */
int err_rekind(dray_error **err, enum dray_err_kind kind);

static inline void err_clear(dray_error **err)
{
	if (err) {
		dray_error_free(*err);
		*err = NULL;
	}
}

/* An error that this scope drops unless it is handed on. */
DEFINE_CLEANUP(dray_error, cleanup_error_fn, dray_error_free)
#define cleanup_error CLEANUP(cleanup_error_fn)
