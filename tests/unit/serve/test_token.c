/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens that others signed: each that is refused is one step from one that is taken.
 */
#include "torture.h"

#include "serve/token.h"
#include "token_support.h"

#define NOW 1800000000
#define HEADER "{\"typ\":\"JWT\",\"alg\":\"EdDSA\"}"
/* Without its closing brace. */
#define CLAIMS                                                                             \
	"{\"iss\":\"tokens\",\"aud\":\"dray\",\"sub\":\"ann\",\"nbf\":1800000000,\"exp\":" \
	"1800000300"
#define ACCESS                                                                            \
	",\"access\":[{\"type\":\"repository\",\"name\":\"a/b\",\"actions\":[\"pull\"]}," \
	"{\"type\":\"repository\",\"name\":\"c\",\"actions\":[\"*\"]}]"

static EVP_PKEY *ed, *ec, *rsa;
static struct pubkeys *known;

static EVP_PKEY *add(EVP_PKEY *key)
{
	char *pem = public_pem(key);

	assert_int_equal(pubkeys_add(known, span_str(pem), NULL), 0);
	free(pem);
	return key;
}

static int begin(void **state)
{
	(void)state;
	known = pubkeys_new(NULL);
	ed = add(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
	ec = add(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"));
	rsa = add(EVP_RSA_gen(2048));
	return 0;
}

static int end(void **state)
{
	(void)state;
	pubkeys_free(known);
	EVP_PKEY_free(ed);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(rsa);
	return 0;
}

static const struct token_rules *rules(void)
{
	static struct token_rules r;

	r = (struct token_rules){ known, "dray", "tokens" };
	return &r;
}

/* Both as Ed25519 has it: what is wrong is in the text. */
static void texts(void **state)
{
	static const struct {
		const char *header, *payload;
		const char *wrong; /* NULL = it is taken */
	} rows[] = {
		{ HEADER, CLAIMS ACCESS "}", NULL },
		{ HEADER, CLAIMS "}", NULL },
		{ HEADER, CLAIMS ",\"access\":null}", NULL },
		{ HEADER, CLAIMS ",\"access\":[]}", NULL },
		{ HEADER, CLAIMS ",\"access\":[{}]}", NULL },
		{ HEADER, CLAIMS ",\"access\":{}}", "access" },
		{ HEADER, CLAIMS ",\"access\":[1]}", "access" },
		{ HEADER, CLAIMS ",\"access\":[{\"actions\":\"pull\"}]}", "access" },
		{ HEADER, CLAIMS ",\"access\":[{\"actions\":[1]}]}", "access" },
		{ HEADER, CLAIMS ",\"access\":[{\"type\":1}]}", "type" },
		{ HEADER, CLAIMS ",\"access\":[],\"access\":[]}", "payload" },
		{ HEADER, CLAIMS ",\"x\":1,\"X\":1}", "payload" },
		{ HEADER, CLAIMS "", "payload" },
		{ HEADER, "[]", "payload" },
		{ HEADER, "", "payload" },
		/* who */
		{ HEADER, "{\"iss\":\"other\",\"aud\":\"dray\",\"exp\":1800000300}", "issuer" },
		{ HEADER, "{\"aud\":\"dray\",\"exp\":1800000300}", "issuer" },
		{ HEADER, "{\"iss\":7,\"aud\":\"dray\",\"exp\":1800000300}", "iss" },
		/* for whom */
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":[\"x\",\"dray\"],\"exp\":1800000300}",
		  NULL },
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":[\"x\"],\"exp\":1800000300}", "service" },
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":[],\"exp\":1800000300}", "service" },
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":\"dray2\",\"exp\":1800000300}", "service" },
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":\"dra\",\"exp\":1800000300}", "service" },
		{ HEADER, "{\"iss\":\"tokens\",\"exp\":1800000300,\"x\":\"dray\"}", "service" },
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":{\"a\":\"dray\"},\"exp\":1800000300}",
		  "aud" },
		/* when: a minute is forgiven */
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":\"dray\",\"exp\":1799999941}", NULL },
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":\"dray\",\"exp\":1799999940}", "expired" },
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":\"dray\"}", "how long" },
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":\"dray\",\"exp\":null}", "exp" },
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":\"dray\",\"exp\":\"1800000300\"}", "exp" },
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":\"dray\",\"exp\":-1}", "exp" },
		{ HEADER, "{\"iss\":\"tokens\",\"aud\":\"dray\",\"exp\":99999999999999999999}",
		  "exp" },
		{ HEADER,
		  "{\"iss\":\"tokens\",\"aud\":\"dray\",\"exp\":1800000300,\"nbf\":1800000060}",
		  NULL },
		{ HEADER,
		  "{\"iss\":\"tokens\",\"aud\":\"dray\",\"exp\":1800000300,\"nbf\":1800000061}",
		  "not hold yet" },
		/* how */
		{ "{\"alg\":\"EdDSA\",\"kid\":\"any\",\"x5c\":[\"AAAA\"],\"jwk\":{}}", CLAIMS "}",
		  NULL },
		{ "{\"alg\":\"none\"}", CLAIMS "}", "none of" },
		{ "{\"alg\":\"HS256\"}", CLAIMS "}", "none of" },
		{ "{\"alg\":\"eddsa\"}", CLAIMS "}", "none of" },
		{ "{\"alg\":\"\"}", CLAIMS "}", "none of" },
		{ "{}", CLAIMS "}", "none of" },
		{ "{\"alg\":7}", CLAIMS "}", "alg" },
		{ "{\"alg\":\"RS256\"}", CLAIMS "}", "not signed by" },
		{ "{\"alg\":\"ES256\"}", CLAIMS "}", "not signed by" },
		{ "{\"alg\":\"EdDSA\",\"crit\":[\"b64\"],\"b64\":true}", CLAIMS "}", "critical" },
		{ "{\"alg\":\"EdDSA\",\"crit\":null}", CLAIMS "}", "critical" },
		{ "{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\"}", CLAIMS "}", "header" },
		{ "\"EdDSA\"", CLAIMS "}", "header" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		cleanup_error dray_error *err = NULL;
		cleanup_free char *text = token_make(ed, rows[i].header, rows[i].payload);
		struct token t;
		int rc = token_check(span_str(text), rules(), NOW, &a, &t, &err);

		if (!rows[i].wrong ? rc < 0
				   : rc == 0 || !strstr(dray_error_message(err), rows[i].wrong))
			fail_msg("%s %s: %s", rows[i].header, rows[i].payload,
				 err ? dray_error_message(err) : "taken");
	}
}

static void keys_of_each_kind(void **state)
{
	const struct {
		EVP_PKEY *key;
		const char *header;
		bool good;
	} rows[] = {
		{ ed, "{\"alg\":\"EdDSA\"}", true },   { ec, "{\"alg\":\"ES256\"}", true },
		{ rsa, "{\"alg\":\"RS256\"}", true },  { ec, "{\"alg\":\"EdDSA\"}", false },
		{ rsa, "{\"alg\":\"ES256\"}", false }, { ed, "{\"alg\":\"RS256\"}", false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		cleanup_free char *text = token_make(rows[i].key, rows[i].header, CLAIMS "}");
		struct token t;

		if ((token_check(span_str(text), rules(), NOW, &a, &t, NULL) == 0) != rows[i].good)
			fail_msg("row %zu", i);
	}
}

static void a_stranger(void **state)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	cleanup_free char *text = token_make(other, HEADER, CLAIMS ACCESS "}");
	dray_error *err = NULL;
	struct token t;

	(void)state;
	assert_int_equal(token_check(span_str(text), rules(), NOW, &a, &t, &err), -1);
	assert_err(err, DRAY_ERR_DENIED, "not signed by a key");
	EVP_PKEY_free(other);
}

/* Any other byte anywhere, a byte more, a byte less. */
static void any_change(void **state)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	cleanup_free char *text = token_make(ed, HEADER, CLAIMS ACCESS "}");
	cleanup_free char *longer = mem_printf("%s.", text), *padded = mem_printf("%s==", text);
	size_t len = strlen(text);
	struct token t;

	(void)state;
	assert_int_equal(token_check(span_str(text), rules(), NOW, &a, &t, NULL), 0);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(token_check(span_of(text, i), rules(), NOW, &a, &t, NULL), -1);
		text[i] ^= 1;
		assert_int_equal(token_check(span_str(text), rules(), NOW, &a, &t, NULL), -1);
		text[i] ^= 1;
	}
	assert_int_equal(token_check(span_str(longer), rules(), NOW, &a, &t, NULL), -1);
	assert_int_equal(token_check(span_str(padded), rules(), NOW, &a, &t, NULL), -1);
}

static void too_long(void **state)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	char pad[TOKEN_MAX + 1];
	dray_error *err = NULL;
	struct token t;

	(void)state;
	memset(pad, 'A', sizeof(pad));
	assert_int_equal(token_check(span_of(pad, sizeof(pad)), rules(), NOW, &a, &t, &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "TOKEN_MAX");
	assert_int_equal(token_check(span_of(pad, sizeof(pad) - 1), rules(), NOW, &a, &t, &err),
			 -1);
	assert_err(err, DRAY_ERR_FORMAT, "text");
}

static void grants(void **state)
{
	static const struct {
		const char *type, *name, *action;
		bool granted;
	} rows[] = {
		{ "repository", "a/b", "pull", true },	{ "repository", "a/b", "push", false },
		{ "repository", "a", "pull", false },	{ "repository", "a/b/c", "pull", false },
		{ "repository", "A/B", "pull", false }, { "registry", "a/b", "pull", false },
		{ "repository", "c", "pull", true },	{ "repository", "c", "delete", true },
		{ "registry", "catalog", "*", false },	{ "repository", "a/b", "pul", false },
	};
	CLEANUP(arena_clear) struct arena a = { 0 };
	cleanup_free char *text = token_make(ed, HEADER, CLAIMS ACCESS "}");
	struct token t;

	(void)state;
	assert_int_equal(token_check(span_str(text), rules(), NOW, &a, &t, NULL), 0);
	assert_string_equal(t.subject, "ann");
	for (size_t i = 0; i < ROWS(rows); i++)
		if (token_allows(&t, rows[i].type, rows[i].name, rows[i].action) != rows[i].granted)
			fail_msg("%s:%s:%s", rows[i].type, rows[i].name, rows[i].action);
}

static int check_once(void *arg, dray_error **err)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	struct token t;

	return token_check(span_str(arg), rules(), NOW, &a, &t, err);
}

static void tortured(void **state)
{
	char *text = token_make(ed, HEADER, CLAIMS ACCESS "}");

	(void)state;
	torture_alloc(check_once, text);
	mem_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),      cmocka_unit_test(keys_of_each_kind),
		cmocka_unit_test(a_stranger), cmocka_unit_test(any_change),
		cmocka_unit_test(too_long),   cmocka_unit_test(grants),
		cmocka_unit_test(tortured),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
