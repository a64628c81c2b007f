/* SPDX-License-Identifier: Apache-2.0
 *
 * A registry behind the store interfaces: transport, authentication, uploads
 * that resume. The only room with libcurl. Spec: OCI distribution-spec;
 * formats.md section 5. DRAY_STALL_MS (60000: how long a peer may be silent) and
 * DRAY_RETRY_MS (500: the first wait before trying again) are read from the
 * environment, for tests and odd networks.
 */
#pragma once

#include "base/map.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "store/store.h"

/** Whence credentials, how to connect. Strings lent for the life of the remote. */
struct remote_options {
	const char *creds;	/* "user:password", else files and helpers */
	const char *authfile;
	const char *cert_dir;	/* *.crt, *.cert with *.key, as docker's certs.d */
	bool tls_skip_verify;
	bool plain_http;	/* not asked: loopback hosts that speak no TLS get http */
	bool direct;		/* registries.conf says nothing, and no mirror is asked */
	int retries;		/* -1 = 5 */
	int verbose;		/* from 1 each request is logged */
	void (*log)(void *arg, const char *line);	/* secrets redacted; may be NULL */
	void *log_arg;
	const char *user_agent;
};

/** One repository of one registry, or a registry as a whole. Thread-safe. */
struct remote;
/**
 * Asks nothing yet: the registry is met with the first question. @p o is copied. What
 * registries.conf says about @p ref holds: where it really is, its mirrors (asked first when
 * reading, never for a push), whether TLS has to verify; blocked is DENIED. Credentials of
 * @p o are for the registry, not for its mirrors.
 */
int remote_open(const struct reference *ref, bool for_push, const struct remote_options *o,
		struct remote **ret, dray_error **err) MUST_CHECK;
/** What is wanted of a registry: tokens are asked for that and no more. */
enum remote_purpose {
	REMOTE_PULL,
	REMOTE_PUSH,
	REMOTE_DELETE,
	REMOTE_CATALOG,	/* of the registry; the reference's path is "" */
	REMOTE_LOGIN,	/* likewise */
};
/** The same for any purpose. */
int remote_open_for(const struct reference *ref, enum remote_purpose purpose,
		    const struct remote_options *o, struct remote **ret,
		    dray_error **err) MUST_CHECK;
void remote_free(struct remote *r);
DEFINE_CLEANUP(struct remote, cleanup_remote_fn, remote_free)
#define cleanup_remote CLEANUP(cleanup_remote_fn)
/** "HOST/NAME", borrowed. */
const char *remote_name(const struct remote *r);

/**
 * Manifest by tag or digest text. By digest it is verified, and by tag too against the
 * digest that the answer's header claims. NOT_FOUND when absent.
 */
int remote_get_manifest(struct remote *r, const char *tag_or_digest, struct manifest **ret,
			dray_error **err) MUST_CHECK;
/** 1 there, 0 not; *ret as the registry says it (unset when it does not): a hint, never proof. */
int remote_head_manifest(struct remote *r, const char *tag_or_digest, struct digest *ret,
			 dray_error **err) MUST_CHECK;
/**
 * Put exact bytes under @p tag_or_digest with their media type. A manifest with a subject is
 * entered into the list of its referrers where the registry keeps none itself.
 */
int remote_put_manifest(struct remote *r, const struct manifest *m, const char *tag_or_digest,
			dray_error **err) MUST_CHECK;
/** Small blob into memory (a config), digest and size verified; LIMIT over @p max. */
int remote_get_blob(struct remote *r, const struct descriptor *d, size_t max, struct buf *ret,
		    dray_error **err) MUST_CHECK;
/** 1 there, 0 not. *ret_size (may be NULL) as the registry says it, -1 when it does not. */
int remote_has_blob(struct remote *r, const struct digest *d, int64_t *ret_size,
		    dray_error **err) MUST_CHECK;
/**
 * A blob as a stream, not verified (the caller hashes); goes on with Range after a broken
 * connection. @p r must outlive it.
 */
struct source *remote_open_blob(struct remote *r, const struct descriptor *d, dray_error **err);
/** Of such a source: the size of its blob, of @p d or as the registry announced it; -1. */
int64_t remote_blob_size(const struct source *s);
/** Names, each once. */
struct remote_names {
	struct arena arena;
	const char **list;
	size_t n, cap, bytes;
	struct map seen;
};
void remote_names_clear(struct remote_names *n);
#define cleanup_remote_names CLEANUP(remote_names_clear)
/** A copy of @p name, unless it is there. 1 = new, 0 = known, -1: LIMIT, NOMEM. */
int remote_names_add(struct remote_names *n, const char *name, dray_error **err) MUST_CHECK;
/** All tags of the repository, sorted, page by page (N-10). NOT_FOUND when there is no such repository. */
int remote_tags(struct remote *r, struct remote_names *ret, dray_error **err) MUST_CHECK;
/** All repositories, sorted, of a registry opened with REMOTE_CATALOG. */
int remote_catalog(struct remote *r, struct remote_names *ret, dray_error **err) MUST_CHECK;
/**
 * DELETE of a manifest by digest, or of a tag alone. 1 = gone, 0 = this registry does not delete
 * by tag (nothing happened), -1: NOT_FOUND, DENIED, UNSUPPORTED when it deletes nothing at all.
 */
int remote_delete_manifest(struct remote *r, const char *tag_or_digest, dray_error **err) MUST_CHECK;
/** Are the credentials good? Asks GET /v2/ with them. 1 = yes, 0 = nobody asks for any, -1. */
int remote_check_login(struct remote *r, dray_error **err) MUST_CHECK;
/**
 * 1 mounted, 0 the registry declined; a session that it opened instead is cancelled.
 * @p from is a repository path of the same registry.
 */
int remote_mount(struct remote *r, const struct digest *d, const char *from,
		 dray_error **err) MUST_CHECK;
/** remote_open_blob() from byte @p off on, with Range where the registry does that. */
struct source *remote_open_blob_at(struct remote *r, const struct descriptor *d, int64_t off,
				   dray_error **err);
/**
 * Upload @p data (consumed), checked against put->desc as far as that is set; the digest is
 * learnt if not. A broken connection resumes at the offset that the registry reports when
 * @p data can rewind that far; of a source that cannot, 4 MiB are kept here. A registry that
 * forgot the session (distribution 2.8 does whenever a PATCH breaks in the middle) is sent
 * everything again, if @p data can go back to 0.
 */
int remote_put_blob(struct remote *r, const struct blob_put *put, struct source *data,
		    struct digest *ret_digest, int64_t *ret_size, dray_error **err) MUST_CHECK;

/** As a readable store of what @p ref leads to; an index has many images. Takes @p r over. */
struct store *remote_store(struct remote *r, const struct reference *ref, dray_error **err);
/** The registry as a destination. @p r lent. */
struct dest *remote_dest(struct remote *r, dray_error **err);
