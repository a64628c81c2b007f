/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and their passwords in a file as Apache's htpasswd -B makes it: "NAME:BCRYPT" a line.
 */
#pragma once

#include "base/span.h"

#define HTPASSWD_USERS_MAX 10000
#define HTPASSWD_NAME_MAX 255 /* bytes of a name, as htpasswd has it */
#define HTPASSWD_FILE_MAX (4 * 1024 * 1024)

struct htpasswd;

/**
 * Read @p path, which is lent. FORMAT names the line that is none; UNSUPPORTED a hash that is not
 * bcrypt, or no libcrypt.
 */
int htpasswd_open(const char *path, struct htpasswd **ret, dray_error **err) MUST_CHECK;
void htpasswd_free(struct htpasswd *h);
/** Read it again if it changed: 1 = it did, 0, -1 = and what was read before holds. One thread. */
int htpasswd_refresh(struct htpasswd *h, dray_error **err) MUST_CHECK;
/**
 * Whether @p password is that of @p user: 1, 0, -1 NOMEM, TOOMANYREQUESTS. A name that nobody has takes as long as
 * one that somebody has. Any thread; one password in a few is computed at a time, and one that was
 * right is known again at once.
 */
int htpasswd_check(struct htpasswd *h, const char *user, const char *password,
		   dray_error **err) MUST_CHECK;
/** Whether there is such a user now. */
bool htpasswd_knows(struct htpasswd *h, const char *user);
