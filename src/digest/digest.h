/* SPDX-License-Identifier: Apache-2.0
 *
 * Digest values and running hashes. The only room that speaks libcrypto.
 * Spec: OCI image-spec descriptor.md "Digests".
 */
#pragma once

#include "base/span.h"

enum digest_algo {
	DIGEST_NONE,	/* the zero value: no digest here */
	DIGEST_SHA256,
	DIGEST_SHA512,
	DIGEST_OTHER,	/* well formed, but we cannot compute it: carried, never trusted (M-06) */
};

#define DIGEST_TEXT 256	/* bytes with NUL; a longer one is refused */
#define DIGEST_HEX_SHA256 64

/** A value; compare with digest_eq(). The text is "algo:hex", always within the grammar. */
struct digest {
	enum digest_algo algo;
	char text[DIGEST_TEXT];
};

/** Parse and check against the grammar (M-05); FORMAT on anything else. */
int digest_parse(struct span text, struct digest *ret, dray_error **err) MUST_CHECK;
/** From 64 lower-case hex digits. */
int digest_from_hex(struct span hex, struct digest *ret, dray_error **err) MUST_CHECK;
/** The part behind the colon; borrowed. */
const char *digest_hex(const struct digest *d);
/** Same algorithm and text. A digest that is not set equals nothing, not even another such. */
bool digest_eq(const struct digest *a, const struct digest *b);
static inline bool digest_set(const struct digest *d)
{
	return d->algo != DIGEST_NONE;
}
/** sha256 of these bytes. */
int digest_of(struct span bytes, struct digest *ret, dray_error **err) MUST_CHECK;
/** Digest of nothing. */
extern const char DIGEST_NO_BYTES[];

/** A running hash. */
struct hash {
	void *ctx;	/* EVP_MD_CTX */
	enum digest_algo algo;
	int64_t size;	/* bytes seen; stays readable after hash_finish() */
	bool failed;	/* libcrypto refused an update; hash_finish() reports it */
};

/** Begin; UNSUPPORTED for an algorithm that we cannot compute. */
int hash_init(struct hash *h, enum digest_algo algo, dray_error **err) MUST_CHECK;
void hash_update(struct hash *h, struct span bytes);
/** The digest of what was seen; the hash may not be updated after. */
int hash_finish(struct hash *h, struct digest *ret, dray_error **err) MUST_CHECK;
void hash_clear(struct hash *h);
#define cleanup_hash CLEANUP(hash_clear)

/** CORRUPT with expected and actual unless equal. @p what as "blob digest". */
int digest_expect(const struct digest *expected, const struct digest *actual, const char *what,
		  dray_error **err) MUST_CHECK;

/** Version text of libcrypto; static. */
const char *digest_library_version(void);
