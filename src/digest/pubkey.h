/* SPDX-License-Identifier: Apache-2.0
 *
 * Public keys, what they signed, and whether a private key belongs to a certificate.
 * Spec: RFC 7518 3 (which key an algorithm takes, the form of its signature), RFC 8037 3.1.
 */
#pragma once

#include "base/span.h"

/** An algorithm names its one kind of key, so no signature is tried in two ways. */
enum signature_alg {
	SIGNATURE_RS256,	/* RSA of 2048 bits or more, PKCS #1 1.5, SHA-256 */
	SIGNATURE_ES256,	/* P-256, SHA-256; r and s, 32 bytes each */
	SIGNATURE_EDDSA,	/* Ed25519 */
};

#define PUBKEYS_MAX 32	/* each may be tried for a signature */

struct pubkeys;

struct pubkeys *pubkeys_new(dray_error **err);
void pubkeys_free(struct pubkeys *k);
DEFINE_CLEANUP(struct pubkeys, cleanup_pubkeys_fn, pubkeys_free)
#define cleanup_pubkeys CLEANUP(cleanup_pubkeys_fn)
/**
 * The keys of @p pem, of PUBLIC KEY and CERTIFICATE blocks, at least one. FORMAT; UNSUPPORTED another
 * kind of key, and a private one, which has no place here. Of a certificate only the key counts.
 */
int pubkeys_add(struct pubkeys *k, struct span pem, dray_error **err) MUST_CHECK;
/** Whether one of the keys made @p signature of @p text. */
bool pubkeys_verify(const struct pubkeys *k, enum signature_alg alg, struct span text,
		    struct span signature);

/**
 * Whether a server can use this pair: PEM of a certificate (the first; those above it may follow), and
 * the private key, not encrypted, that belongs to it. The names are for the error. FORMAT, USAGE.
 */
int keypair_check(struct span cert, const char *cert_name, struct span key, const char *key_name,
		  dray_error **err) MUST_CHECK;

#define MAC_TEXT 65 /* bytes with NUL, lower-case hex */
/** HMAC-SHA256 of @p text. */
int mac_of(struct span key, struct span text, char ret[MAC_TEXT], dray_error **err) MUST_CHECK;
/** The same bytes? In a time that tells nothing of where they differ. */
bool secret_eq(struct span a, struct span b);
