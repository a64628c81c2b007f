/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of public keys, read again when one changes.
 */
#pragma once

#include "digest/pubkey.h"

#define TOKEN_KEYS_FILES_MAX 16
#define TOKEN_KEYS_FILE_MAX (256 * 1024)

struct token_keys;

/** The paths are lent. FORMAT, UNSUPPORTED name the file. */
int token_keys_open(const char *const *paths, size_t n, struct token_keys **ret,
		 dray_error **err) MUST_CHECK;
void token_keys_free(struct token_keys *k);
/** 1 = there are others now, 0, -1 = and those that were read before hold. One thread. */
int token_keys_refresh(struct token_keys *k, dray_error **err) MUST_CHECK;

/** The keys as they are now, to be given back. Any thread. */
struct key_list;
struct key_list *token_keys_take(struct token_keys *k);
const struct pubkeys *token_keys_list(const struct key_list *keys);
void token_keys_drop(struct token_keys *k, struct key_list *keys);
