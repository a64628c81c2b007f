/* SPDX-License-Identifier: Apache-2.0
 *
 * One repository of one registry, as the files of this room see it.
 */
#pragma once

#include "flow/pool.h"
#include "remote/client.h"
#include "remote/upload.h"

struct remote {
	struct remote_options o;	/* strings lent */
	struct reference ref;		/* domain is as the user named it */
	char *name;			/* "HOST/NAME" */
	struct client client;
	struct tls_files files;
	struct arena arena;		/* of base */
	struct lock *lock;		/* ready, base while they are not */
	bool ready;			/* GET /v2/ was answered: base and auth are settled */
	struct url base;		/* scheme, host and port of the API; rest "/" */
	bool insecure;			/* registries.conf allows http, and TLS that does not verify */
	struct remote **mirrors;	/* asked first, in this order; owned */
	size_t n_mirrors;
	bool dead;			/* a mirror that did not answer; under lock */
};

/** @p name is what messages call it. Mirrors and registries.conf are not looked at. */
int remote_make(const struct reference *ref, const char *name, enum remote_purpose purpose,
		const struct remote_options *o, bool insecure, struct remote **ret,
		dray_error **err) MUST_CHECK;

/** remote_open_blob() of the registry or mirror itself. */
struct source *remote_open_blob_here(struct remote *r, const struct descriptor *d,
				     dray_error **err);
/**
 * An image of a manifest of schema 1 (taken over). Its config is made, and for that every layer
 * is read once: nothing says what they hold.
 */
int remote_schema1_image(struct remote *r, struct manifest *m, const char *where,
			 struct image **ret, dray_error **err) MUST_CHECK;
/** Before the first request: find the scheme, learn how to log in. Thread-safe, done once. */
int remote_ready(struct remote *r, dray_error **err) MUST_CHECK;
/** URL of /v2/NAME/ and @p fmt, in @p a. */
int remote_url(const struct remote *r, struct arena *a, struct url *ret, dray_error **err,
	       const char *fmt, ...) PRINTF_LIKE(5, 6) MUST_CHECK;
