/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Web Tokens that say what their bearer may do. Pure.
 * Spec: RFC 7515, 7519; distribution's "Token Authentication Implementation" (the claim "access").
 */
#pragma once

#include "base/arena.h"
#include "digest/pubkey.h"

#define TOKEN_MAX (16 * 1024)	/* bytes; those with a chain of certificates have some 6 KiB */
#define TOKEN_GRANTS_MAX 1000
#define TOKEN_LEEWAY 60		/* seconds that two clocks may differ */

/** What holds for every token. All lent. */
struct token_rules {
	const struct pubkeys *keys; /* the only ones: what a token brings along is not looked at */
	const char *service;	    /* it must be in "aud" */
	const char *issuer;	    /* "iss" must be it; NULL = any that has a key */
};

/** "repository", "a/b", { "pull", "push" }. */
struct grant {
	const char *type, *name;
	const char **actions;
	size_t n_actions;
};

/** What a token says. In the arena. */
struct token {
	const char *subject; /* NULL = it does not say */
	struct grant *grants;
	size_t n;
};

/**
 * Prove @p text at the time @p now (Unix seconds). FORMAT, UNSUPPORTED, LIMIT what is none of our
 * tokens; DENIED one that does not hold here and now. The texts are for whoever sent it.
 */
int token_check(struct span text, const struct token_rules *rules, int64_t now, struct arena *a,
		struct token *ret, dray_error **err) MUST_CHECK;
/** Whether it grants @p action; "*" grants each. */
bool token_allows(const struct token *t, const char *type, const char *name, const char *action);
