/* SPDX-License-Identifier: Apache-2.0
 *
 * Who we are at a registry: found in the files and helpers that docker and podman
 * use. formats.md 5.2.
 */
#pragma once

#include "image/reference.h"
#include "json/json.h"
#include "remote/remote.h"

/** Secrets; wiped when cleared. All NULL = anonymous. */
struct credentials {
	char *user, *password;
	char *identity_token;	/* exchanged for tokens at the realm */
	char *registry_token;	/* used as it is */
};
void credentials_clear(struct credentials *c);
#define cleanup_credentials CLEANUP(credentials_clear)
static inline bool credentials_set(const struct credentials *c)
{
	return c->user || c->identity_token || c->registry_token;
}

/** "user:password"; USAGE without a colon. */
int credentials_parse(const char *text, struct credentials *ret, dray_error **err) MUST_CHECK;

/** What one file says about a repository: credentials, or the name of a helper to ask. */
struct credentials_entry {
	struct credentials found;
	char *helper;	/* checked name; NULL */
};
void credentials_entry_clear(struct credentials_entry *e);
/**
 * Look up @p domain/@p path in config.json or auth.json text: credHelpers, then auths (the
 * longest matching path, as podman), then credsStore. 1 = *ret says, 0 = nothing, -1.
 */
int credentials_in_text(struct span text, const char *domain, const char *path,
			struct credentials_entry *ret, dray_error **err) MUST_CHECK;

/** What @p key of auths names: without scheme and path noise, Docker's hub as "docker.io". */
struct span credentials_key(struct span key);
/** A helper's name, checked (N-12): 1 and *ret is the caller's, 0 = none is named, -1 FORMAT. */
int credentials_helper_name(struct json v, char **ret, dray_error **err) MUST_CHECK;

/** The files that are searched, in order. */
#define CREDENTIALS_FILES_MAX 3
struct credentials_files {
	char *path[CREDENTIALS_FILES_MAX];	/* owned */
	size_t n;
	bool explicit;	/* named by --authfile or REGISTRY_AUTH_FILE: the only one */
	bool must_exist;	/* for reading */
	size_t docker;	/* which one is docker's; n = none */
};
int credentials_files(const struct remote_options *o, struct credentials_files *ret,
		      dray_error **err) MUST_CHECK;
void credentials_files_clear(struct credentials_files *f);
#define cleanup_credentials_files CLEANUP(credentials_files_clear)

/**
 * The whole search: --creds alone; else --authfile or REGISTRY_AUTH_FILE alone; else podman's
 * files, docker's. Nothing found is success.
 */
int credentials_find(const struct remote_options *o, const struct reference *ref,
		     struct credentials *ret, dray_error **err) MUST_CHECK;

/**
 * Ask docker-credential-@p name about @p server. 1 = found, 0 = it knows nothing, -1.
 * No shell; output, time and characters are bounded (reliability N-12).
 */
int credentials_from_helper(const char *name, const char *server, struct credentials *ret,
			    dray_error **err) MUST_CHECK;
/** What helpers call a registry: its name, but Docker's hub by the address of its first version. */
const char *credentials_server(const char *domain);
/** Have docker-credential-@p name keep a login; DENIED when it refuses. */
int credentials_helper_store(const char *name, const char *server, const char *user,
			     const char *secret, dray_error **err) MUST_CHECK;
/** Have it forget @p server. 1 = forgotten, 0 = it knew nothing, -1. */
int credentials_helper_erase(const char *name, const char *server, dray_error **err) MUST_CHECK;
/** The answer of a helper. */
int credentials_from_answer(struct span json, struct credentials *ret, dray_error **err) MUST_CHECK;

/** Free a secret, wiped. NULL-safe. */
void secret_free(char *s);
static inline void cleanup_secret_fn(char **s)
{
	secret_free(*s);
}
#define cleanup_secret CLEANUP(cleanup_secret_fn)
