/* SPDX-License-Identifier: Apache-2.0
 *
 * What is in a registry besides images to copy: lists, documents, blobs; deleting;
 * logging in. References are registry references as docker spells them, with or
 * without "docker://"; a bare name is one of docker.io's.
 */
#pragma once

#include <dray/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dray_names dray_names;
/** How many names. Since: 0.1 */
DRAY_API size_t dray_names_count(const dray_names *n);
/** The @p i-th, borrowed from @p n, as the registry wrote it; NULL past the end. Since: 0.1 */
DRAY_API const char *dray_names_get(const dray_names *n, size_t i);
/** Whose names: "HOST/NAME" or "HOST"; borrowed. Since: 0.1 */
DRAY_API const char *dray_names_of(const dray_names *n);
/** Free @p n; NULL is fine. Since: 0.1 */
DRAY_API void dray_names_free(dray_names *n);

/**
 * All tags of a repository, sorted by their bytes, each once.
 *
 * Follows the pages that the registry names, on its own origin only; a listing that goes in
 * circles, or on without anything new, is an error.
 *
 * @param repository  "HOST/NAME", without tag and digest
 * @return  0; -1
 *
 * Units:   -
 * Owns:    *ret is the caller's: dray_names_free()
 * Errors:  USAGE reference; NOT_FOUND repository; DENIED, NETWORK; FORMAT the answer is no
 *          listing; LIMIT; SYSTEM; NOMEM; CANCELLED
 * Threads: see dray_context_new()
 * Spec:    OCI distribution-spec "Listing Tags".
 * Since:   0.1
 */
DRAY_API int dray_tags(dray_context *ctx, const char *repository, dray_names **ret,
		       dray_error **err);
/**
 * All repositories of a registry, where it tells; sorted by their bytes.
 *
 * @param host  "HOST[:PORT]"
 * @return  0; -1
 *
 * Units:   -
 * Owns:    *ret is the caller's: dray_names_free()
 * Errors:  as dray_tags(); NOT_FOUND also when the registry has no catalog
 * Threads: see dray_context_new()
 * Spec:    distribution "Catalog".
 * Since:   0.1
 */
DRAY_API int dray_catalog(dray_context *ctx, const char *host, dray_names **ret, dray_error **err);

typedef struct dray_document dray_document;
/** A manifest or index as stored. Read only, lives as long as its document. */
struct dray_document_info {
	const void *bytes;
	size_t size;
	const char *digest;
	const char *media_type;
	const char *reference;	/**< "HOST/NAME@sha256:..." */
};
/** What is in it; borrowed. Since: 0.1 */
DRAY_API const struct dray_document_info *dray_document_get(const dray_document *d);
/** Free @p d; NULL is fine. Since: 0.1 */
DRAY_API void dray_document_free(dray_document *d);

/**
 * The manifest or index that a tag or digest names, its bytes untouched.
 *
 * @param ref  "HOST/NAME[:TAG][@DIGEST]"; "latest" without both
 * @return  0; -1
 *
 * Units:   size in bytes
 * Owns:    *ret is the caller's: dray_document_free()
 * Errors:  USAGE; NOT_FOUND; CORRUPT bytes against the digest asked for or claimed;
 *          FORMAT no manifest; LIMIT over 4 MiB; DENIED, NETWORK; NOMEM; CANCELLED
 * Threads: see dray_context_new()
 * Spec:    OCI distribution-spec "Pulling manifests".
 * Since:   0.1
 */
DRAY_API int dray_manifest(dray_context *ctx, const char *ref, dray_document **ret,
			   dray_error **err);
/**
 * Put exact bytes under a tag or digest. What they name has to be there already.
 *
 * @param ref         with the tag, or the digest that the bytes have
 * @param media_type  NULL = as the document says, or as its members show
 * @return  0; -1: the tag is as before
 *
 * Units:   size in bytes
 * Owns:    bytes lent; *ret is the caller's: dray_document_free()
 * Errors:  USAGE; CORRUPT the bytes have another digest than @p ref; FORMAT no manifest, or
 *          one of another type; UNSUPPORTED schema 1, which is not written; DENIED,
 *          NETWORK; NOMEM; CANCELLED
 * Threads: see dray_context_new()
 * Spec:    OCI distribution-spec "Pushing Manifests".
 * Since:   0.1
 */
DRAY_API int dray_manifest_put(dray_context *ctx, const char *ref, const void *bytes, size_t size,
			       const char *media_type, dray_document **ret, dray_error **err);

/** Begin with DRAY_BLOB_OPTIONS_INIT; strings are lent for the call. */
struct dray_blob_options {
	size_t size;
	/** A file, which appears when every byte was checked; NULL or "-" = standard output. */
	const char *output;
	bool no_clobber;	/**< an output that is there already is USAGE */
};
#define DRAY_BLOB_OPTIONS_INIT { .size = sizeof(struct dray_blob_options) }
/**
 * One blob's bytes, checked against its digest.
 *
 * Standard output has got everything but the last piece when a wrong digest is noticed: there
 * only the return value tells. A file is not written then.
 *
 * @param ref       "HOST/NAME"; a tag or digest in it is ignored
 * @param digest    "algo:hex"
 * @param o         NULL = defaults
 * @param ret_size  bytes; NULL = not wanted
 * @return  0; -1
 *
 * Units:   bytes
 * Owns:    nothing changes hands
 * Errors:  USAGE; NOT_FOUND; CORRUPT; UNSUPPORTED digest algorithm; DENIED, NETWORK; SYSTEM
 *          output; NOMEM; CANCELLED
 * Threads: see dray_context_new()
 * Spec:    OCI distribution-spec "Pulling blobs".
 * Since:   0.1
 */
DRAY_API int dray_blob(dray_context *ctx, const char *ref, const char *digest,
		       const struct dray_blob_options *o, int64_t *ret_size, dray_error **err);

/** Begin with DRAY_DELETE_OPTIONS_INIT. */
struct dray_delete_options {
	size_t size;
	bool manifest;	/**< of a tag: the manifest that it names, with every tag that names it */
};
#define DRAY_DELETE_OPTIONS_INIT { .size = sizeof(struct dray_delete_options) }
/**
 * Delete a tag, or a manifest by its digest with all tags that name it.
 *
 * A tag alone is deleted where the registry knows how. Where it does not, the tag goes with its
 * manifest, but only when no other tag of the repository names that manifest: a tag that was not
 * named is never deleted unless o->manifest says so.
 *
 * @param ref  with a tag or a digest; neither is USAGE
 * @param o    NULL = defaults
 * @param ret  what is gone: "HOST/NAME:TAG", "HOST/NAME@DIGEST"
 * @return  0; -1: nothing was deleted, or the answer was lost
 *
 * Units:   -
 * Owns:    *ret is the caller's: dray_names_free()
 * Errors:  USAGE reference, or other tags name the manifest; NOT_FOUND; UNSUPPORTED the
 *          registry deletes nothing; DENIED, NETWORK; NOMEM; CANCELLED
 * Threads: see dray_context_new()
 * Spec:    OCI distribution-spec "Deleting tags", "Deleting Manifests".
 * Since:   0.1
 */
DRAY_API int dray_delete(dray_context *ctx, const char *ref, const struct dray_delete_options *o,
			 dray_names **ret, dray_error **err);

/**
 * Try a login and keep it where docker, podman and skopeo look.
 *
 * With an authfile in the context or REGISTRY_AUTH_FILE that file is written; else the first
 * file of the search that knows the registry already, else docker's config.json, which all of
 * them read. Where that file names a credential helper, the helper keeps the secret. All else
 * in the file stays byte for byte; it is replaced whole, with mode 0600.
 *
 * "HOST[:PORT]/NAME" is a login for the repositories below NAME alone, which podman, skopeo and
 * dray prefer there to the host's. It is kept in podman's auth.json, since docker would take it
 * for the host's, and never by a helper.
 *
 * @param host      "HOST[:PORT]", also as docker writes it: "https://index.docker.io/v1/"
 * @param password  lent; neither logged nor handed to a program's arguments
 * @param ret       one name: the file, or "docker-credential-NAME"
 * @return  0; -1: nothing was stored
 *
 * Units:   -
 * Owns:    *ret is the caller's: dray_names_free()
 * Errors:  USAGE host or characters; DENIED the registry or a helper refuses; FORMAT the file
 *          is no credentials file; NETWORK; SYSTEM; NOMEM; CANCELLED
 * Threads: see dray_context_new(); other dray processes may edit the same file
 * Spec:    docker config.json; containers-auth.json(5).
 * Since:   0.1
 */
DRAY_API int dray_login(dray_context *ctx, const char *host, const char *user,
			const char *password, dray_names **ret, dray_error **err);
/**
 * Forget a login wherever it is: every file that is searched, and their helpers.
 *
 * @param host  as for dray_login()
 * @param ret   the files and helpers that knew it
 * @return  0; -1
 *
 * Units:   -
 * Owns:    *ret is the caller's: dray_names_free()
 * Errors:  USAGE; NOT_FOUND nobody knew it; FORMAT, SYSTEM a file; DENIED a helper; NOMEM
 * Threads: as dray_login()
 * Spec:    docker config.json; containers-auth.json(5).
 * Since:   0.1
 */
DRAY_API int dray_logout(dray_context *ctx, const char *host, dray_names **ret, dray_error **err);

#ifdef __cplusplus
}
#endif
