/* SPDX-License-Identifier: Apache-2.0 */
/* For: digest values within the grammar, and running SHA-256 and SHA-512.
 * Relies on: libcrypto's EVP (which picks SHA-NI by itself).
 * Promises: no text outside the grammar ever becomes a struct digest.
 */
#include "digest/digest.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"

const char DIGEST_NO_BYTES[] =
	"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/* The algorithms that we compute. */
static const struct algo {
	enum digest_algo algo;
	const char *name;
	size_t hex_digits;
	const EVP_MD *(*md)(void);
} algos[] = {
	{ DIGEST_SHA256, "sha256", DIGEST_HEX_SHA256, EVP_sha256 },
	{ DIGEST_SHA512, "sha512", 128, EVP_sha512 },
};

static const struct algo *algo_find(enum digest_algo algo)
{
	for (size_t i = 0; i < ARRAY_LEN(algos); i++)
		if (algos[i].algo == algo)
			return &algos[i];
	return NULL;
}

static bool is_lower_or_digit(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9]+ joined by single [+._-] */
static bool algo_text_valid(struct span s)
{
	bool component = false; /* the current component has a character */

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];

		if (is_lower_or_digit(c))
			component = true;
		else if (component && (c == '+' || c == '.' || c == '_' || c == '-'))
			component = false;
		else
			return false;
	}
	return component;
}

/* [a-zA-Z0-9=_-]+ */
static bool encoded_valid(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];

		if (!is_lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '=' && c != '_' &&
		    c != '-')
			return false;
	}
	return s.len > 0;
}

/* The algorithm of a text within the grammar; NONE when it is outside. */
static enum digest_algo classify(struct span text)
{
	int64_t colon = span_find(text, ':');

	if (colon < 0 || text.len >= DIGEST_TEXT)
		return DIGEST_NONE;

	struct span name = span_head(text, (size_t)colon);
	struct span encoded = span_from(text, (size_t)colon + 1);

	if (!algo_text_valid(name) || !encoded_valid(encoded))
		return DIGEST_NONE;
	for (size_t i = 0; i < ARRAY_LEN(algos); i++) {
		if (!span_is(name, algos[i].name))
			continue;
		return hex_is_lower(encoded, algos[i].hex_digits) ? algos[i].algo : DIGEST_NONE;
	}
	return DIGEST_OTHER;
}

int digest_parse(struct span text, struct digest *ret, dray_error **err)
{
	enum digest_algo algo = classify(text);

	if (algo == DIGEST_NONE) {
		cleanup_free char *safe = text_safe(text, 80);

		return err_set(err, DRAY_ERR_FORMAT, "malformed digest \"%s\"", safe ? safe : "");
	}
	*ret = (struct digest){ .algo = algo };
	memcpy(ret->text, text.data, text.len);
	return 0;
}

int digest_from_hex(struct span hex, struct digest *ret, dray_error **err)
{
	static const char prefix[] = "sha256:";

	if (!hex_is_lower(hex, DIGEST_HEX_SHA256)) {
		cleanup_free char *safe = text_safe(hex, 80);

		return err_set(err, DRAY_ERR_FORMAT, "not a SHA-256 in hex: \"%s\"",
			       safe ? safe : "");
	}
	*ret = (struct digest){ .algo = DIGEST_SHA256 };
	memcpy(ret->text, prefix, sizeof(prefix) - 1);
	memcpy(ret->text + sizeof(prefix) - 1, hex.data, hex.len);
	return 0;
}

const char *digest_hex(const struct digest *d)
{
	const char *colon = strchr(d->text, ':');

	return colon ? colon + 1 : d->text;
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
	return digest_set(a) && a->algo == b->algo && strcmp(a->text, b->text) == 0;
}

int digest_of(struct span bytes, struct digest *ret, dray_error **err)
{
	cleanup_hash struct hash h = { 0 };

	if (hash_init(&h, DIGEST_SHA256, err) < 0)
		return -1;
	hash_update(&h, bytes);
	return hash_finish(&h, ret, err);
}

int hash_init(struct hash *h, enum digest_algo algo, dray_error **err)
{
	const struct algo *a = algo_find(algo);

	*h = (struct hash){ .algo = algo };
	if (!a)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "digest algorithm is neither sha256 nor sha512");

	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!ctx)
		return err_nomem(err);
	if (EVP_DigestInit_ex(ctx, a->md(), NULL) != 1) {
		EVP_MD_CTX_free(ctx);
		return err_set(err, DRAY_ERR_UNSUPPORTED, "libcrypto refuses %s", a->name);
	}
	h->ctx = ctx;
	return 0;
}

void hash_update(struct hash *h, struct span bytes)
{
	assert(h->ctx);
	if (bytes.len == 0)
		return;
	h->size += (int64_t)bytes.len;
	if (EVP_DigestUpdate(h->ctx, bytes.data, bytes.len) != 1)
		h->failed = true;
}

int hash_finish(struct hash *h, struct digest *ret, dray_error **err)
{
	const struct algo *a = algo_find(h->algo);
	uint8_t raw[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	assert(h->ctx && a);
	bool good = !h->failed && EVP_DigestFinal_ex(h->ctx, raw, &len) == 1;
	hash_clear(h);
	if (!good || (size_t)len * 2 != a->hex_digits)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "libcrypto failed to compute %s",
			       a->name);

	size_t prefix = strlen(a->name);

	*ret = (struct digest){ .algo = h->algo };
	memcpy(ret->text, a->name, prefix);
	ret->text[prefix] = ':';
	hex_encode(raw, len, ret->text + prefix + 1);
	return 0;
}

void hash_clear(struct hash *h)
{
	EVP_MD_CTX_free(h->ctx);
	h->ctx = NULL;
}

int digest_expect(const struct digest *expected, const struct digest *actual, const char *what,
		  dray_error **err)
{
	if (digest_eq(expected, actual))
		return 0;
	return err_mismatch(err, expected->text, actual->text, "%s", what);
}

const char *digest_library_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}
