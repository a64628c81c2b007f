/* SPDX-License-Identifier: Apache-2.0
 *
 * WWW-Authenticate: RFC 9110 syntax, several challenges, hostile values (N-12).
 */
#include "torture.h"

#include "proto/challenge.h"

#define HUB                                                                             \
	"Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"," \
	"scope=\"repository:a/b:pull,push\""

static void expect(const char *got, const char *want, const char *header)
{
	if (!got != !want || (got && strcmp(got, want) != 0))
		fail_msg("%s: \"%s\", expected \"%s\"", header, got ? got : "(none)",
			 want ? want : "(none)");
}

static void challenge_good(void **state)
{
	static const struct {
		const char *header;
		enum challenge_scheme scheme;
		const char *realm, *service, *scope, *error;
	} rows[] = {
		{ HUB, CHALLENGE_BEARER, "https://auth.docker.io/token", "registry.docker.io",
		  "repository:a/b:pull,push", NULL },
		{ "Basic realm=\"x\"", CHALLENGE_BASIC, "x", NULL, NULL, NULL },
		{ "basic", CHALLENGE_BASIC, NULL, NULL, NULL, NULL },
		{ "Basic ", CHALLENGE_BASIC, NULL, NULL, NULL, NULL },
		{ "BEARER REALM=\"r\" , Service = \"s\"", CHALLENGE_BEARER, "r", "s", NULL, NULL },
		{ "Bearer realm=r, service=s", CHALLENGE_BEARER, "r", "s", NULL, NULL },
		{ "Bearer realm=https://h/t,service=s", CHALLENGE_BEARER, "https://h/t", "s", NULL,
		  NULL },
		{ "Bearer realm=\"r\" service=\"s\"", CHALLENGE_BEARER, "r", "s", NULL, NULL },
		{ "Bearer realm=\"a\\\"b\\\\c\\d\"", CHALLENGE_BEARER, "a\"b\\cd", NULL, NULL,
		  NULL },
		{ "Bearer realm=\"r\",error=\"insufficient_scope\",nonce=\"x\"", CHALLENGE_BEARER,
		  "r", NULL, NULL, "insufficient_scope" },
		{ "Bearer realm=\"r\",service=\"\"", CHALLENGE_BEARER, "r", "", NULL, NULL },
		{ "Negotiate, Basic realm=\"x\"", CHALLENGE_BASIC, "x", NULL, NULL, NULL },
		{ "Negotiate YII/+==, Bearer realm=\"x\"", CHALLENGE_BEARER, "x", NULL, NULL,
		  NULL },
		{ "Digest realm=\"d\", nonce=\"a, Basic\", Basic realm=\"b\"", CHALLENGE_BASIC, "b",
		  NULL, NULL, NULL },
		{ "Digest realm=d, qop=auth, Bearer realm=\"b\"", CHALLENGE_BEARER, "b", NULL, NULL,
		  NULL },
		{ "Basic realm=\"b\", Bearer realm=\"t\"", CHALLENGE_BASIC, "b", NULL, NULL, NULL },
		{ "Bearer realm=\"t\", Basic realm=\"b\"", CHALLENGE_BEARER, "t", NULL, NULL,
		  NULL },
		{ ", ,\tBearer\trealm=\"t\",,", CHALLENGE_BEARER, "t", NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		struct challenge c;
		dray_error *err = NULL;
		int rc = challenge_parse(span_str(rows[i].header), &a, &c, &err);

		assert_ok(rc, err);
		if (rc != 1)
			fail_msg("%s: not found", rows[i].header);
		assert_int_equal(c.scheme, rows[i].scheme);
		expect(c.realm, rows[i].realm, rows[i].header);
		expect(c.service, rows[i].service, rows[i].header);
		expect(c.scope, rows[i].scope, rows[i].header);
		expect(c.error, rows[i].error, rows[i].header);
	}
}

static void challenge_none(void **state)
{
	static const char *const rows[] = { "", " , ", "Negotiate",
					    "Digest realm=\"x\", nonce=\"y\"",
					    "NTLM TlRMTVNTUAAC==" };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		struct challenge c;
		dray_error *err = NULL;
		int rc = challenge_parse(span_str(rows[i]), &a, &c, &err);

		assert_ok(rc, err);
		assert_int_equal(rc, 0);
	}
}

static void challenge_bad(void **state)
{
	static const struct {
		const char *header, *says;
	} rows[] = {
		{ "Bearer", "realm" },
		{ "Bearer realm=\"\"", "realm" },
		{ "Bearer service=\"s\"", "realm" },
		{ "Bearer realm=\"r", "does not end" },
		{ "Bearer realm=\"r\\\"", "does not end" },
		{ "Bearer realm=\"r\"x", "comma" },
		{ "Bearer realm=\"r\",realm=\"s\"", "twice" },
		{ "Bearer realm=\"r\",Realm=\"r\"", "twice" },
		{ "\"Bearer\"", "scheme" },
		{ "=x", "scheme" },
		{ "Bearer;realm=\"r\"", "oddly" },
		{ "Bearer realm=\"a\r\nAuthorization: x\"", "control" },
		{ "Bearer realm=\"a\nb\"", "control" },
		{ "Bearer realm=\"a\tb\"", "control" },
		{ "Bearer realm=\"r\",scope=\"a\x1b[1m\"", "control" },
		{ "Basic realm=\"\x7f\"", "control" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		struct challenge c;
		dray_error *err = NULL;

		if (challenge_parse(span_str(rows[i].header), &a, &c, &err) != -1)
			fail_msg("%s: accepted", rows[i].header);
		assert_err(err, DRAY_ERR_FORMAT, rows[i].says);
	}
}

static void challenge_nul(void **state)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	struct challenge c;
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(challenge_parse(SPAN_LIT("Basic realm=\"a\0b\""), &a, &c, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "control");
}

/* Every beginning of a good header is answered, none read past its end. */
static void challenge_cut_short(void **state)
{
	static const char header[] = "Negotiate abc==, Digest a=b, " HUB;

	(void)state;
	for (size_t n = 0; n < sizeof(header); n++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		char *exact = malloc(n ? n : 1);
		struct challenge c;
		dray_error *err = NULL;

		assert_non_null(exact);
		memcpy(exact, header, n);
		if (challenge_parse(span_of(exact, n), &a, &c, &err) < 0)
			assert_err_kind(err, DRAY_ERR_FORMAT);
		free(exact);
	}
}

static int parse_hub(void *arg, dray_error **err)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	struct challenge c;

	(void)arg;
	return challenge_parse(SPAN_LIT("Digest a=b, " HUB), &a, &c, err) < 0 ? -1 : 0;
}

static void challenge_torture(void **state)
{
	(void)state;
	torture_alloc(parse_hub, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(challenge_good),      cmocka_unit_test(challenge_none),
		cmocka_unit_test(challenge_bad),       cmocka_unit_test(challenge_nul),
		cmocka_unit_test(challenge_cut_short), cmocka_unit_test(challenge_torture),
	};

	return cmocka_run_group_tests_name("proto challenge", tests, NULL, NULL);
}
