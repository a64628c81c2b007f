/* SPDX-License-Identifier: Apache-2.0
 *
 * Passwords against what htpasswd -B made of them. Only this file of the room knows libcrypt.
 */
#pragma once

#include "base/span.h"

#define BCRYPT_TEXT 61	   /* bytes with NUL: "$2y$05$", 22 of salt, 31 of hash */
#define BCRYPT_COST_MAX 17 /* what htpasswd makes at most: some ten seconds a password */

/** Whether @p text is "$2y$", "$2a$" or "$2b$", a cost in two digits, and 53 characters. */
bool bcrypt_valid(struct span text);
/** 4 and more, of one that is valid. */
int bcrypt_cost(const char *hash);
/** Load libcrypt; thread-safe. UNSUPPORTED where it is not there, or has no bcrypt. */
int bcrypt_load(dray_error **err) MUST_CHECK;
/** After that: 1 = @p password (without NUL) belongs to @p hash, 0 = it does not, -1 NOMEM. */
int bcrypt_check(const char *hash, const char *password, dray_error **err) MUST_CHECK;
