/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the field Authorization, as a token, and as what stands in a token that was signed. What
 * nobody signed is never taken; what was signed and is taken names our service and grants by texts.
 */
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "serve/claim.h"
#include "serve/token.h"

#define NOW 1800000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pubkeys *keys;
static EVP_PKEY *key;

static void make_key(void)
{
	static const uint8_t raw[32] = { 1 };
	BIO *b = BIO_new(BIO_s_mem());
	char *pem;
	long len;

	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, sizeof(raw));
	assert(key && PEM_write_bio_PUBKEY(b, key) == 1);
	len = BIO_get_mem_data(b, &pem);
	keys = pubkeys_new(NULL);
	assert(keys && pubkeys_add(keys, span_of(pem, (size_t)len), NULL) == 0);
	BIO_free(b);
}

static char *base64url(struct span s)
{
	char *text = base64_encode(s);

	assert(text);
	for (char *p = text; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
	return text;
}

static char *sign(const char *header, struct span payload)
{
	char *h = base64url(span_str(header)), *p = base64url(payload);
	char *text = mem_printf("%s.%s", h, p), *s, *whole;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[64];
	size_t len = sizeof(sig);

	assert(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1);
	assert(EVP_DigestSign(ctx, sig, &len, (const uint8_t *)text, strlen(text)) == 1);
	EVP_MD_CTX_free(ctx);
	s = base64url(span_of(sig, len));
	whole = mem_printf("%s.%s", text, s);
	mem_free(h);
	mem_free(p);
	mem_free(s);
	mem_free(text);
	return whole;
}

static bool check(struct span text, struct token *ret, struct arena *a)
{
	const struct token_rules rules = { keys, "dray", NULL };

	return token_check(text, &rules, NOW, a, ret, NULL) == 0;
}

static void check_signed(struct span payload, struct arena *a)
{
	char *text = sign("{\"alg\":\"EdDSA\"}", payload),
	     *other = sign("{\"alg\":\"none\"}", payload);
	struct token t;

	assert(!check(span_str(other), &t, a));
	if (check(span_str(text), &t, a)) {
		assert(memmem(payload.data, payload.len, "aud", 3));
		for (size_t i = 0; i < t.n; i++)
			for (size_t k = 0; k < t.grants[i].n_actions; k++)
				assert(t.grants[i].actions[k]);
		assert(!token_allows(&t, "repository", "\x01", "pull") || t.n > 0);
	}
	mem_free(text);
	mem_free(other);
}

static void check_field(struct span field)
{
	cleanup_claim struct claim c = { 0 };
	char *text = mem_strndup((const char *)field.data, field.len);

	assert(text && claim_read(text, &c, NULL) == 0);
	assert((c.kind == CLAIM_BASIC) == (c.user && (*c.user || *c.password)));
	assert(!c.user || strlen(c.user) + strlen(c.password) < CLAIM_BASIC_MAX);
	mem_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	struct token t;

	if (!keys)
		make_key();
	if (size == 0)
		return 0;
	check_field(span_of(data, size));
	assert(!check(span_of(data, size), &t, &a));
	check_signed(span_of(data, size), &a);
	return 0;
}
