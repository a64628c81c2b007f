/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeping logins where docker and podman look for them. formats.md 5.2.
 */
#pragma once

#include "remote/remote.h"

/**
 * Keep a login for @p domain, or for a folder of its repositories ("HOST/NAME"), which docker and
 * helpers do not know: it goes to podman's file. With --authfile or REGISTRY_AUTH_FILE that file is taken; else the
 * first file of the search that knows the registry, else docker's, which all engines read. Where
 * the file names a helper for it, the helper keeps the secret. *ret_where, the caller's, says
 * which it was. DENIED when a helper refuses, FORMAT, SYSTEM.
 */
int login_store(const struct remote_options *o, const char *domain, const char *user,
		const char *password, char **ret_where, dray_error **err) MUST_CHECK;
/** Forget it, in every file of the search and its helpers; @p ret names each. NOT_FOUND. */
int login_erase(const struct remote_options *o, const char *domain, struct remote_names *ret,
		dray_error **err) MUST_CHECK;
