/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenPGP signatures of images, made and checked by the program gpg. What is signed
 * are the bytes of the untagged canonical archive, so a signature holds wherever the
 * image goes, and gpg alone can check it. Names and tags are not covered.
 */
#pragma once

#include <dray/report.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Begin with DRAY_SIGN_OPTIONS_INIT; strings are lent for the call. */
struct dray_sign_options {
	size_t size;
	const char *key;	/**< a fingerprint, key ID or address, as gpg takes them */
	const char *homedir;	/**< of gpg; NULL = GNUPGHOME, else ~/.gnupg */
	/** A file whose first line is the key's passphrase; NULL = gpg's agent asks for it. */
	const char *passphrase_file;
	bool armor;		/**< text instead of binary */
};
#define DRAY_SIGN_OPTIONS_INIT { .size = sizeof(struct dray_sign_options) }

/** Begin with DRAY_SIGNATURE_OPTIONS_INIT; strings are lent for the call. */
struct dray_signature_options {
	size_t size;
	/**
	 * A file of public keys, armoured or not, or a keybox: the only keys that count, and
	 * all of them do. NULL = the keys of homedir, with the trust that their owner gave.
	 */
	const char *keyring;
	const char *homedir;	/**< of gpg, unread with a keyring; NULL = GNUPGHOME, else ~/.gnupg */
};
#define DRAY_SIGNATURE_OPTIONS_INIT { .size = sizeof(struct dray_signature_options) }

/** One good signature. Strings are NULL where they do not apply. */
struct dray_signature {
	const char *fingerprint;	/**< of the key that signed, upper-case hex */
	const char *primary_fingerprint;/**< of the key that it belongs to; NULL when just made */
	const char *uid;		/**< what the key's owner calls himself; NULL when just made */
	const char *created;		/**< RFC 3339, UTC; by the signer's clock */
	const char *expires;		/**< likewise; NULL = never */
	const char *hash;		/**< "sha256", "sha512", ... */
	/** "ultimate", "fully", "marginal", "undefined"; NULL where a keyring was named. */
	const char *trust;
};

typedef struct dray_signatures dray_signatures;

/**
 * Sign an image, or with @p sel->all the set of all images of its place. The image is
 * read once, its archive goes to gpg as it is made; every layer is proven on the way.
 *
 * @param image  a reference as dray(1) spells them
 * @param sel    NULL = the only image
 * @param o      not NULL; key is a must
 * @return  0; -1
 *
 * Owns:    *ret is the caller's: dray_signatures_free()
 * Errors:  SIGNATURE gpg could not sign: no such secret key, one that expired, a wrong
 *          passphrase; UNSUPPORTED there is no gpg, or the image is an artifact; USAGE a
 *          choice of images; NOT_FOUND image or passphrase file; CORRUPT, FORMAT the
 *          image's bytes; LIMIT; DENIED, NETWORK from registries; SYSTEM; NOMEM; CANCELLED
 * Threads: see dray_context_new()
 * Spec:    RFC 4880 5.2, signature type 0x00. docs/canonical-archive.md
 * Since:   0.1
 */
DRAY_API int dray_sign(dray_context *ctx, const char *image, const struct dray_select *sel,
		       const struct dray_sign_options *o, dray_signatures **ret, dray_error **err);
/**
 * Hold a detached signature against an image. Passes only when every signature in the
 * file is good, unexpired, over exactly these bytes, and by a key that counts, which is
 * neither expired nor revoked.
 *
 * @param image      a reference as dray(1) spells them; of a pipe there is nothing left then
 * @param sel        as for dray_verify(): where nothing chooses, the set of all images of a
 *                   file or folder is meant
 * @param signature  path of the signature file
 * @param o          NULL = the user's own keys
 * @return  0: all is good; -1
 *
 * Owns:    *ret is the caller's: dray_signatures_free()
 * Errors:  SIGNATURE it is not good, whatever the cause; NOT_FOUND image, signature or
 *          keyring; FORMAT also a keyring that is none; else as dray_sign()
 * Threads: see dray_context_new()
 * Spec:    RFC 4880 5.2, signature type 0x00. docs/canonical-archive.md
 * Since:   0.1
 */
DRAY_API int dray_verify_signature(dray_context *ctx, const char *image,
				   const struct dray_select *sel, const char *signature,
				   const struct dray_signature_options *o, dray_signatures **ret,
				   dray_error **err);

/** Signatures made or checked, one or more. Since: 0.1 */
DRAY_API size_t dray_signatures_count(const dray_signatures *s);
/** The @p i-th, borrowed from @p s; NULL past the end. Since: 0.1 */
DRAY_API const struct dray_signature *dray_signatures_get(const dray_signatures *s, size_t i);
/** What dray_sign() made, *ret_size bytes, borrowed; NULL of a check. Since: 0.1 */
DRAY_API const void *dray_signatures_data(const dray_signatures *s, size_t *ret_size);
/** Images that the signatures cover. Since: 0.1 */
DRAY_API size_t dray_signatures_images(const dray_signatures *s);
/** The image ID of the @p i-th, in the archive's order; borrowed. NULL past the end. Since: 0.1 */
DRAY_API const char *dray_signatures_image(const dray_signatures *s, size_t i);
/** Digest of the untagged canonical archive, the bytes that were signed; borrowed. Since: 0.1 */
DRAY_API const char *dray_signatures_digest(const dray_signatures *s);
/** Free @p s and all that was borrowed from it; NULL is fine. Since: 0.1 */
DRAY_API void dray_signatures_free(dray_signatures *s);

#ifdef __cplusplus
}
#endif
