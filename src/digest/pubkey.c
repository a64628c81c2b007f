/* SPDX-License-Identifier: Apache-2.0
 *
 * For: signatures of others under keys that were configured, and what belongs to them.
 * Relies on libcrypto's decoders and EVP.
 * Promises: a key is used with the one algorithm of its kind; no doubt ends in "yes".
 */
#include "digest/pubkey.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 16384 /* what OpenSSL verifies at most */
#define ES256_HALF 32	   /* bytes of r, and of s */

struct pubkeys {
	size_t n;
	EVP_PKEY *keys[PUBKEYS_MAX];
};

DEFINE_CLEANUP(BIO, cleanup_bio_fn, BIO_free_all)
DEFINE_CLEANUP(X509, cleanup_x509_fn, X509_free)
DEFINE_CLEANUP(EVP_PKEY, cleanup_pkey_fn, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_MD_CTX, cleanup_md_ctx_fn, EVP_MD_CTX_free)

struct pubkeys *pubkeys_new(dray_error **err)
{
	struct pubkeys *k = mem_zalloc(sizeof(*k));

	if (!k)
		err_nomem(err);
	return k;
}

void pubkeys_free(struct pubkeys *k)
{
	for (size_t i = 0; k && i < k->n; i++)
		EVP_PKEY_free(k->keys[i]);
	mem_free(k);
}

/* ---- keys ---- */

static BIO *open_text(struct span pem, dray_error **err)
{
	BIO *b = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;

	if (!b)
		err_nomem(err);
	return b;
}

/* The algorithm of a key's kind; false = none of ours. */
static bool kind_of(const EVP_PKEY *key, enum signature_alg *ret)
{
	char group[32];
	size_t len;

	if (EVP_PKEY_is_a(key, "ED25519")) {
		*ret = SIGNATURE_EDDSA;
		return true;
	}
	if (EVP_PKEY_is_a(key, "RSA")) {
		*ret = SIGNATURE_RS256;
		return EVP_PKEY_get_bits(key) >= RSA_BITS_MIN &&
		       EVP_PKEY_get_bits(key) <= RSA_BITS_MAX;
	}
	*ret = SIGNATURE_ES256;
	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

static EVP_PKEY *key_of_certificate(const unsigned char *der, long len)
{
	__attribute__((cleanup(cleanup_x509_fn))) X509 *cert = d2i_X509(NULL, &der, len);

	return cert ? X509_get_pubkey(cert) : NULL;
}

static int add_block(struct pubkeys *k, const char *name, const unsigned char *der, long len,
		     dray_error **err)
{
	__attribute__((cleanup(cleanup_pkey_fn))) EVP_PKEY *key = NULL;
	enum signature_alg alg;

	if (strcmp(name, "PUBLIC KEY") == 0)
		key = d2i_PUBKEY(NULL, &der, len);
	else if (strcmp(name, "CERTIFICATE") == 0)
		key = key_of_certificate(der, len);
	else if (span_ends(span_str(name), "PRIVATE KEY"))
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "a private key: only the public one belongs here");
	if (!key)
		return err_set(err, DRAY_ERR_FORMAT, "a block that is no public key");
	if (!kind_of(key, &alg))
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "a key that is none of Ed25519, P-256, and RSA of %d to %d bits",
			       RSA_BITS_MIN, RSA_BITS_MAX);
	if (k->n == PUBKEYS_MAX)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d public keys", PUBKEYS_MAX);
	k->keys[k->n++] = steal_pointer(&key);
	return 0;
}

int pubkeys_add(struct pubkeys *k, struct span pem, dray_error **err)
{
	__attribute__((cleanup(cleanup_bio_fn))) BIO *in = open_text(pem, err);
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	size_t before = k->n;
	int rc = in ? 0 : -1;
	long len;

	while (rc == 0 && PEM_read_bio(in, &name, &header, &der, &len) == 1) {
		rc = add_block(k, name, der, len, err);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	/* The end is an error to PEM_read_bio(), and so is a block that is malformed. */
	if (rc == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		rc = err_set(err, DRAY_ERR_FORMAT, "PEM that is malformed");
	if (rc == 0 && k->n == before)
		rc = err_set(err, DRAY_ERR_FORMAT, "no public key in PEM");
	ERR_clear_error();
	return rc;
}

/* ---- signatures ---- */

/* r and s as JWS has them, to what libcrypto reads. Length; 0 = it is none. */
static int es256_to_der(struct span signature, unsigned char **ret)
{
	ECDSA_SIG *sig = signature.len == (size_t)2 * ES256_HALF ? ECDSA_SIG_new() : NULL;
	BIGNUM *r = sig ? BN_bin2bn(signature.data, ES256_HALF, NULL) : NULL;
	BIGNUM *s = sig ? BN_bin2bn(signature.data + ES256_HALF, ES256_HALF, NULL) : NULL;
	int len = 0;

	if (r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
		len = i2d_ECDSA_SIG(sig, ret);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(sig);
	return len > 0 ? len : 0;
}

static bool verify_with(EVP_PKEY *key, enum signature_alg alg, struct span text,
			struct span signature)
{
	__attribute__((cleanup(cleanup_md_ctx_fn))) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = alg == SIGNATURE_EDDSA ? NULL : EVP_sha256();

	/* The default padding of RSA keys is that of PKCS #1 1.5. */
	return ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1 &&
	       EVP_DigestVerify(ctx, signature.data, signature.len, text.data, text.len) == 1;
}

bool pubkeys_verify(const struct pubkeys *k, enum signature_alg alg, struct span text,
		    struct span signature)
{
	unsigned char *der = NULL;
	enum signature_alg kind;
	bool good = false;

	if (alg == SIGNATURE_ES256)
		signature = span_of(NULL, (size_t)es256_to_der(signature, &der));
	if (der)
		signature.data = der;
	for (size_t i = 0; !good && signature.len > 0 && i < k->n; i++)
		good = kind_of(k->keys[i], &kind) && kind == alg &&
		       verify_with(k->keys[i], alg, text, signature);
	OPENSSL_free(der);
	ERR_clear_error();
	return good;
}

/* ---- pairs ---- */

/* A key that is encrypted is refused, and nobody is asked for a password. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf, (void)size, (void)rwflag;
	*(bool *)arg = true;
	return -1;
}

static int check_pair(X509 *cert, const char *cert_name, EVP_PKEY *key, const char *key_name,
		      bool encrypted, dray_error **err)
{
	if (!cert)
		return err_set(err, DRAY_ERR_FORMAT, "%s: no certificate in PEM", cert_name);
	if (encrypted)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "%s: the key is encrypted, and nobody is there to type a password",
			       key_name);
	if (!key)
		return err_set(err, DRAY_ERR_FORMAT, "%s: no private key in PEM", key_name);
	if (X509_check_private_key(cert, key) != 1)
		return err_set(err, DRAY_ERR_USAGE, "%s is not the key of the certificate in %s",
			       key_name, cert_name);
	return 0;
}

int keypair_check(struct span cert, const char *cert_name, struct span key, const char *key_name,
		  dray_error **err)
{
	__attribute__((cleanup(cleanup_bio_fn))) BIO *cert_in = open_text(cert, err);
	__attribute__((cleanup(cleanup_bio_fn))) BIO *key_in = cert_in ? open_text(key, err) : NULL;
	bool encrypted = false;

	if (!key_in)
		return -1;
	__attribute__((cleanup(cleanup_x509_fn)))
	X509 *x = PEM_read_bio_X509(cert_in, NULL, NULL, NULL);
	__attribute__((cleanup(cleanup_pkey_fn)))
	EVP_PKEY *k = PEM_read_bio_PrivateKey(key_in, NULL, no_password, &encrypted);
	int rc = check_pair(x, cert_name, k, key_name, encrypted, err);

	ERR_clear_error();
	return rc;
}

/* ---- secrets ---- */

int mac_of(struct span key, struct span text, char ret[MAC_TEXT], dray_error **err)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (key.len > INT_MAX ||
	    !HMAC(EVP_sha256(), key.data, (int)key.len, text.data, text.len, raw, &len) ||
	    (size_t)len * 2 + 1 != MAC_TEXT)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "libcrypto failed to compute an HMAC");
	hex_encode(raw, len, ret);
	return 0;
}

bool secret_eq(struct span a, struct span b)
{
	return a.len == b.len && CRYPTO_memcmp(a.data, b.data, a.len) == 0;
}
