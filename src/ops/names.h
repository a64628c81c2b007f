/* SPDX-License-Identifier: Apache-2.0
 *
 * A public list of names, and from what a user typed to a repository or a registry.
 */
#pragma once

#include "ops/ops.h"

struct dray_names {
	struct remote_names names;
	char *of;
};
/** Empty; @p of is copied. NULL = no memory. */
dray_names *names_new(const char *of, dray_error **err);
DEFINE_CLEANUP(dray_names, cleanup_names_fn, dray_names_free)
#define cleanup_names CLEANUP(cleanup_names_fn)

/** A registry reference, "docker://" or not; places of other kinds are USAGE. */
int registry_reference(const char *text, struct reference *ret, dray_error **err) MUST_CHECK;
/** The same without tag and digest. */
int registry_repository(const char *text, struct reference *ret, dray_error **err) MUST_CHECK;
/** "HOST[:PORT]" and what config.json makes of it: a reference whose path is "". */
int registry_host(const char *text, struct reference *ret, dray_error **err) MUST_CHECK;
/**
 * What a login is for: a registry, as registry_host(), or a folder of its repositories,
 * "HOST/NAME/...". *ret is the registry; *ret_key, the caller's, the key of its entry.
 */
int registry_login(const char *text, struct reference *ret, char **ret_key,
		   dray_error **err) MUST_CHECK;
