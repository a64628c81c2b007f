/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys, and tokens signed by them.
 */
#pragma once

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/mem.h"
#include "base/number.h"
#include "digest/pubkey.h"
#include "support.h"

/** What is between the quotes of PEM; to be freed. */
static inline char *pem_text(BIO *b)
{
	char *data, *text;
	long len = BIO_get_mem_data(b, &data);

	text = strndup(data, (size_t)len);
	BIO_free(b);
	return text;
}

static inline char *public_pem(EVP_PKEY *key)
{
	BIO *b = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_PUBKEY(b, key), 1);
	return pem_text(b);
}

static inline char *base64url(const void *data, size_t len)
{
	char *text = base64_encode(span_of(data, len));

	assert_non_null(text);
	for (char *p = text; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
	return text;
}

/* JWS has r and s as they are, OpenSSL in DER. */
static inline size_t es256_raw(uint8_t *sig, size_t len)
{
	const uint8_t *p = sig;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)len);

	assert_non_null(s);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + 32, 32), 32);
	ECDSA_SIG_free(s);
	return 64;
}

static inline size_t sign_text(EVP_PKEY *key, const char *text, uint8_t sig[1024])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = 1024;
	bool ed = EVP_PKEY_is_a(key, "ED25519");

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, ed ? NULL : EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const uint8_t *)text, strlen(text)), 1);
	EVP_MD_CTX_free(ctx);
	return EVP_PKEY_is_a(key, "EC") ? es256_raw(sig, len) : len;
}

/** A token; to be freed with mem_free(). */
static inline char *token_make(EVP_PKEY *key, const char *header, const char *payload)
{
	char *h = base64url(header, strlen(header)), *p = base64url(payload, strlen(payload));
	char *text = mem_printf("%s.%s", h, p), *s, *whole;
	uint8_t sig[1024];

	s = base64url(sig, sign_text(key, text, sig));
	whole = mem_printf("%s.%s", text, s);
	mem_free(h);
	mem_free(p);
	mem_free(text);
	mem_free(s);
	return whole;
}
