/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys in PEM, what they signed, and keys of certificates. Keys are made here, since what is refused
 * has to be of the same make as what is taken.
 */
#include "../serve/token_support.h"

#include <openssl/x509.h>

static const char TEXT[] = "what was signed";

static EVP_PKEY *make(const char *kind)
{
	if (strcmp(kind, "rsa") == 0)
		return EVP_RSA_gen(2048);
	if (strcmp(kind, "rsa1024") == 0)
		return EVP_RSA_gen(1024);
	if (strcmp(kind, "ed25519") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
}

static char *certificate_pem(EVP_PKEY *key)
{
	X509 *x = X509_new();
	BIO *b = BIO_new(BIO_s_mem());

	X509_gmtime_adj(X509_getm_notBefore(x), -7200);
	X509_gmtime_adj(X509_getm_notAfter(x), -3600); /* of no matter: the key counts */
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(b, x), 1);
	X509_free(x);
	return pem_text(b);
}

static char *private_pem(EVP_PKEY *key, const char *password)
{
	BIO *b = BIO_new(BIO_s_mem());

	assert_int_equal(
		PEM_write_bio_PKCS8PrivateKey(b, key, password ? EVP_aes_128_cbc() : NULL, password,
					      password ? (int)strlen(password) : 0, NULL, NULL),
		1);
	return pem_text(b);
}

static void keys(void **state)
{
	static const struct {
		const char *kind;
		char form;		   /* p public, c certificate, s secret */
		enum dray_err_kind expect; /* 0 = taken */
	} rows[] = {
		{ "rsa", 'p', 0 },
		{ "rsa", 'c', 0 },
		{ "rsa", 's', DRAY_ERR_UNSUPPORTED },
		{ "rsa1024", 'p', DRAY_ERR_UNSUPPORTED },
		{ "P-256", 'p', 0 },
		{ "P-256", 'c', 0 },
		{ "P-256", 's', DRAY_ERR_UNSUPPORTED },
		{ "P-384", 'p', DRAY_ERR_UNSUPPORTED },
		{ "secp256k1", 'p', DRAY_ERR_UNSUPPORTED },
		{ "ed25519", 'p', 0 },
		{ "ed25519", 'c', 0 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_pubkeys struct pubkeys *k = pubkeys_new(NULL);
		EVP_PKEY *key = make(rows[i].kind);
		char *pem = rows[i].form == 'p'	  ? public_pem(key)
			    : rows[i].form == 'c' ? certificate_pem(key)
						  : private_pem(key, NULL);
		dray_error *err = NULL;
		int rc = pubkeys_add(k, span_str(pem), &err);

		if (rows[i].expect) {
			assert_int_equal(rc, -1);
			assert_err_kind(err, rows[i].expect);
		} else {
			assert_ok(rc, err);
		}
		free(pem);
		EVP_PKEY_free(key);
	}
}

static void no_keys(void **state)
{
	static const char *const rows[] = {
		"",
		"hello",
		"-----BEGIN PUBLIC KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END CERTIFICATE-----\n",
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_pubkeys struct pubkeys *k = pubkeys_new(NULL);
		dray_error *err = NULL;

		if (pubkeys_add(k, span_str(rows[i]), &err) == 0)
			fail_msg("row %zu was taken", i);
		assert_err_kind(err, DRAY_ERR_FORMAT);
	}
}

/* A key behind one that is good is not passed over. */
static void a_second_key(void **state)
{
	cleanup_pubkeys struct pubkeys *k = pubkeys_new(NULL);
	EVP_PKEY *a = make("ed25519"), *b = make("P-256");
	char *first = public_pem(a), *second = public_pem(b),
	     *both = mem_printf("%s%s", first, second);
	char *cut = mem_printf("%s-----BEGIN PUBLIC KEY-----\nAAAA", first);
	uint8_t sig[1024];
	dray_error *err = NULL;
	size_t len;

	(void)state;
	assert_ok(pubkeys_add(k, span_str(both), &err), err);
	len = sign_text(b, TEXT, sig);
	assert_true(pubkeys_verify(k, SIGNATURE_ES256, span_str(TEXT), span_of(sig, len)));
	assert_int_equal(pubkeys_add(k, span_str(cut), &err), -1);
	assert_err_kind(err, DRAY_ERR_FORMAT);
	for (int i = 0; !err; i++) {
		assert_true(i < 40);
		if (pubkeys_add(k, span_str(first), &err) < 0)
			break;
	}
	assert_err_kind(err, DRAY_ERR_LIMIT);
	mem_free(both);
	mem_free(cut);
	free(first);
	free(second);
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
}

static void signatures(void **state)
{
	static const struct {
		const char *kind;
		enum signature_alg alg;
	} rows[] = { { "rsa", SIGNATURE_RS256 },
		     { "P-256", SIGNATURE_ES256 },
		     { "ed25519", SIGNATURE_EDDSA } };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_pubkeys struct pubkeys *k = pubkeys_new(NULL), *others = pubkeys_new(NULL);
		EVP_PKEY *key = make(rows[i].kind), *other = make(rows[i].kind);
		char *pem = public_pem(key), *other_pem = public_pem(other);
		uint8_t sig[1024];
		size_t len = sign_text(key, TEXT, sig);

		assert_int_equal(pubkeys_add(k, span_str(pem), NULL), 0);
		assert_int_equal(pubkeys_add(others, span_str(other_pem), NULL), 0);
		assert_true(pubkeys_verify(k, rows[i].alg, span_str(TEXT), span_of(sig, len)));
		assert_false(
			pubkeys_verify(others, rows[i].alg, span_str(TEXT), span_of(sig, len)));
		assert_false(pubkeys_verify(k, rows[i].alg, span_str("What was signed"),
					    span_of(sig, len)));
		for (size_t a = 0; a < ROWS(rows); a++)
			if (a != i)
				assert_false(pubkeys_verify(k, rows[a].alg, span_str(TEXT),
							    span_of(sig, len)));
		for (size_t short_len = 0; short_len < len; short_len++)
			assert_false(pubkeys_verify(k, rows[i].alg, span_str(TEXT),
						    span_of(sig, short_len)));
		sig[len / 2] ^= 1;
		assert_false(pubkeys_verify(k, rows[i].alg, span_str(TEXT), span_of(sig, len)));
		free(pem);
		free(other_pem);
		EVP_PKEY_free(key);
		EVP_PKEY_free(other);
	}
}

static void pairs(void **state)
{
	EVP_PKEY *key = make("P-256"), *other = make("P-256");
	char *cert = certificate_pem(key), *plain = private_pem(key, NULL);
	char *wrong = private_pem(other, NULL), *locked = private_pem(key, "secret");
	dray_error *err = NULL;

	(void)state;
	assert_ok(keypair_check(span_str(cert), "c.pem", span_str(plain), "k.pem", &err), err);
	assert_int_equal(keypair_check(span_str(cert), "c.pem", span_str(wrong), "k.pem", &err),
			 -1);
	assert_err(err, DRAY_ERR_USAGE, "k.pem is not the key of the certificate in c.pem");
	assert_int_equal(keypair_check(span_str(cert), "c.pem", span_str(locked), "k.pem", &err),
			 -1);
	assert_err(err, DRAY_ERR_UNSUPPORTED, "k.pem: the key is encrypted");
	assert_int_equal(keypair_check(span_str(plain), "c.pem", span_str(plain), "k.pem", &err),
			 -1);
	assert_err(err, DRAY_ERR_FORMAT, "c.pem: no certificate");
	assert_int_equal(keypair_check(span_str(cert), "c.pem", span_str(cert), "k.pem", &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "k.pem: no private key");
	free(cert);
	free(plain);
	free(wrong);
	free(locked);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

/* RFC 4231, case 2 */
static void macs(void **state)
{
	char mac[MAC_TEXT];
	dray_error *err = NULL;

	(void)state;
	assert_ok(mac_of(span_str("Jefe"), span_str("what do ya want for nothing?"), mac, &err),
		  err);
	assert_string_equal(mac,
			    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_true(secret_eq(span_str("abc"), span_str("abc")));
	assert_false(secret_eq(span_str("abc"), span_str("abd")));
	assert_false(secret_eq(span_str("abc"), span_str("abcd")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),		cmocka_unit_test(no_keys),
		cmocka_unit_test(a_second_key), cmocka_unit_test(signatures),
		cmocka_unit_test(pairs),	cmocka_unit_test(macs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
