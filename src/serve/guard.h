/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what. HTTP asks once for each request, before anything of it is done and before its
 * body is taken. It knows of no connection and no shelf.
 * Spec: RFC 7235, 7617 (Basic), 6750 (Bearer); distribution's "Token Authentication Specification".
 */
#pragma once

#include "base/arena.h"
#include "base/span.h"

/** All lent. None of them set: everybody may everything. */
struct guard_options {
	const char *htpasswd;	/* a file of users; see htpasswd.h */
	bool anonymous_read;	/* who has no name may pull and list */
	/* or tokens of a server elsewhere */
	const char *realm;	/* its URL */
	const char *service;	/* our name there */
	const char *issuer;	/* its name; NULL = any that has a key */
	const char *const *keys; /* files of its public keys */
	size_t n_keys;
};

enum guard_need {
	GUARD_FREE,	/* whoever asks: health */
	GUARD_ENTER,	/* /v2/: clients ask there what kind of login is wanted */
	GUARD_PULL,
	GUARD_PUSH,
	GUARD_DELETE,
	GUARD_CATALOG,	/* names of repositories */
	GUARD_OTHER,	/* what else is about no single one; as the catalog, but not without a name */
};

/** What is asked, and by whom as he says. All lent. */
struct guard_request {
	enum guard_need need;
	const char *repo;	   /* of PULL, PUSH, DELETE */
	const char *from;	   /* another repository that a PUSH takes from; NULL */
	const char *authorization; /* the field; NULL = none */
	const char *origin;	   /* "https://host:port" as the client calls us */
};
/** Texts in the arena that was given. */
struct guard_answer {
	const char *user;      /* who it is; NULL = nobody said */
	const char *challenge; /* of a 401: the field WWW-Authenticate */
};

struct guard;

/**
 * NULL in *ret where everybody may everything; all below take that. USAGE options that do not belong
 * together; else what htpasswd.h and token_keys.h say.
 */
int guard_open(const struct guard_options *o, struct guard **ret, dray_error **err) MUST_CHECK;
void guard_free(struct guard *a);
/**
 * Read files again that changed; for one thread, now and then. -1 = one is no good, which is said
 * once: what was read before holds.
 */
int guard_refresh(struct guard *a, dray_error **err) MUST_CHECK;
/** May he? 0; -1 UNAUTHORIZED as shelf_refuse() makes it, with *ret->challenge; NOMEM. Any thread. */
int guard_check(struct guard *a, const struct guard_request *q, struct arena *arena,
	       struct guard_answer *ret, dray_error **err) MUST_CHECK;
/**
 * GET /token: a token of ours for whoever this is, as the JSON that clients expect. Only where
 * guard_check() sends clients there: users of an htpasswd file beside readers without a name. Docker
 * logs in where /v2/ says how, and then cannot read without a name but with a token.
 */
int guard_token(struct guard *a, const struct guard_request *q, struct arena *arena,
	       struct guard_answer *ret, struct buf *ret_json, dray_error **err) MUST_CHECK;
/** Whether who may list repositories may not read each of them. */
bool guard_is_per_repository(const struct guard *a);
/** Whether there is such a token to be had. */
bool guard_has_tokens(const struct guard *a);
