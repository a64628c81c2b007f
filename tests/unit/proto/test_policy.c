/* SPDX-License-Identifier: Apache-2.0
 *
 * The URL policy, row by row of reliability 2.1.
 */
#include "torture.h"

#include "proto/url.h"

enum verdict { REFUSED, ALONE, WITH_CREDENTIALS };

struct row {
	const char *id;
	enum url_purpose purpose;
	const char *from, *to;
	enum verdict want;
};

#define REG "https://registry.example.com/v2/"

static const struct row rows[] = {
	{ "N-01 same origin", URL_REDIRECT, REG, "https://registry.example.com:443/x",
	  WITH_CREDENTIALS },
	{ "N-01 other host", URL_REDIRECT, REG, "https://s3.amazonaws.com/x", ALONE },
	{ "N-01 same domain is not enough", URL_REDIRECT, REG, "https://cdn.example.com/x", ALONE },
	{ "N-01 other port", URL_REDIRECT, REG, "https://registry.example.com:444/x", ALONE },
	{ "N-01 http to https", URL_REDIRECT, "http://h.x/", "https://h.x/", ALONE },
	{ "N-01 downgrade", URL_REDIRECT, REG, "http://registry.example.com/x", REFUSED },
	{ "N-01 http stays http", URL_REDIRECT, "http://h.x/", "http://o.x/", ALONE },
	{ "N-01 loopback neighbours", URL_REDIRECT, "http://127.0.0.1:1/", "http://127.0.0.2:2/",
	  ALONE },
	{ "N-01 loopback to a name", URL_REDIRECT, "http://127.0.0.1:1/", "http://localhost:2/",
	  ALONE },
	{ "N-01 private storage of a private registry", URL_REDIRECT, "http://10.0.0.1/",
	  "http://10.0.0.2:9000/", ALONE },
	{ "N-01 private address from outside", URL_REDIRECT, REG, "https://169.254.169.254/x",
	  REFUSED },
	{ "N-01 user name", URL_REDIRECT, REG, "https://a:b@registry.example.com/x", REFUSED },

	{ "N-05 same origin", URL_REALM, REG, "https://registry.example.com/token",
	  WITH_CREDENTIALS },
	{ "N-05 same domain", URL_REALM, REG, "https://auth.example.com/token", WITH_CREDENTIALS },
	{ "N-05 the domain itself", URL_REALM, "https://registry.gitlab.com/v2/",
	  "https://gitlab.com/jwt/auth", WITH_CREDENTIALS },
	{ "N-05 other domain", URL_REALM, REG, "https://auth.example.org/token", ALONE },
	{ "N-05 suffix of text only", URL_REALM, REG, "https://evilexample.com/token", ALONE },
	{ "N-05 Docker Hub", URL_REALM, "https://registry-1.docker.io/v2/",
	  "https://auth.docker.io/token", WITH_CREDENTIALS },
	{ "N-05 Hub's name below another", URL_REALM, REG, "https://auth.docker.io/token", ALONE },
	{ "N-05 shared suffix, strangers", URL_REALM, "https://reg.a.co.uk/",
	  "https://auth.b.co.uk/", ALONE },
	{ "N-05 shared suffix, same owner", URL_REALM, "https://reg.a.co.uk/",
	  "https://auth.a.co.uk/", WITH_CREDENTIALS },
	{ "N-05 platform tenants", URL_REALM, "https://a.azurecr.io/", "https://b.azurecr.io/",
	  ALONE },
	{ "N-05 second level of any country, strangers", URL_REALM, "https://reg.a.gov.pl/",
	  "https://auth.b.gov.pl/", ALONE },
	{ "N-05 nom of a country", URL_REALM, "https://a.nom.br/", "https://b.nom.br/", ALONE },
	{ "N-05 gob of a country", URL_REALM, "https://a.gob.pe/", "https://b.gob.pe/", ALONE },
	{ "N-05 second level of any country, same owner", URL_REALM, "https://reg.a.gob.pe/",
	  "https://auth.a.gob.pe/", WITH_CREDENTIALS },
	{ "N-05 such a label of no country", URL_REALM, "https://reg.co.dev/",
	  "https://auth.co.dev/", WITH_CREDENTIALS },
	{ "N-05 longer label of a country", URL_REALM, "https://reg.acme.pl/",
	  "https://auth.acme.pl/", WITH_CREDENTIALS },
	{ "N-05 the suffix itself", URL_REALM, "https://a.co.uk/", "https://co.uk/", ALONE },
	{ "N-05 single labels", URL_REALM, "https://registry/", "https://auth/", ALONE },
	{ "N-05 one label, other port", URL_REALM, "https://registry:5000/",
	  "https://registry:5001/", ALONE },
	{ "N-05 addresses share no domain", URL_REALM, "https://8.8.4.4/", "https://9.8.4.4/",
	  ALONE },
	{ "N-05 final dot", URL_REALM, "https://a.example.com./", "https://b.example.com./",
	  ALONE },
	{ "N-05 http to https, same domain", URL_REALM, "http://reg.example.com/",
	  "https://auth.example.com/", WITH_CREDENTIALS },

	{ "N-06 downgrade", URL_REALM, REG, "http://registry.example.com/token", REFUSED },
	{ "N-06 user name", URL_REALM, REG, "https://u@registry.example.com/token", REFUSED },
	{ "N-06 loopback", URL_REALM, REG, "https://127.0.0.1/token", REFUSED },
	{ "N-06 localhost", URL_REALM, REG, "https://localhost/token", REFUSED },
	{ "N-06 unspecified", URL_REALM, REG, "https://0.0.0.0/token", REFUSED },
	{ "N-06 mapped metadata", URL_REALM, REG, "https://[::ffff:169.254.169.254]/", REFUSED },
	{ "N-06 decimal", URL_REALM, REG, "https://2130706433/token", REFUSED },
	{ "N-06 private", URL_REALM, REG, "https://10.1.2.3/token", REFUSED },
	{ "N-06 link-local IPv6", URL_REALM, REG, "https://[fe80::1]/token", REFUSED },
	{ "N-06 unspecified, from loopback", URL_REALM, "http://127.0.0.1:5000/",
	  "http://0.0.0.0:5000/token", REFUSED },
	{ "N-06 decimal, from loopback", URL_REALM, "http://127.0.0.1:5000/",
	  "http://2130706433:5000/token", REFUSED },
	{ "N-06 metadata, from loopback", URL_REALM, "http://127.0.0.1:5000/",
	  "http://[::ffff:169.254.169.254]/token", REFUSED },
	{ "N-06 other port of the address", URL_REALM, "http://127.0.0.1:5000/",
	  "http://127.0.0.1:5001/token", REFUSED },
	{ "N-06 localhost next to localhost", URL_REALM, "http://localhost:5000/",
	  "http://localhost:5001/token", ALONE },
	{ "N-06 localhost next to loopback", URL_REALM, "http://127.0.0.1:5000/",
	  "http://localhost:5001/token", ALONE },
	{ "P-05 own private origin", URL_REALM, "http://10.0.0.5:5000/",
	  "http://10.0.0.5:5000/token", WITH_CREDENTIALS },
	{ "P-05 own loopback origin", URL_REALM, "https://127.0.0.1:5000/",
	  "https://127.0.0.1:5000/token", WITH_CREDENTIALS },

	{ "N-08 relative Location", URL_LOCATION, REG, "https://registry.example.com/up?_state=1",
	  WITH_CREDENTIALS },
	{ "N-08 other origin", URL_LOCATION, REG, "https://up.example.com/x", ALONE },
	{ "N-08 downgrade", URL_LOCATION, REG, "http://up.example.com/x", REFUSED },
	{ "N-08 private address", URL_LOCATION, REG, "https://192.168.0.1/x", REFUSED },
	{ "N-08 private neighbour", URL_LOCATION, "http://10.0.0.1/", "http://10.0.0.2/", REFUSED },
	{ "N-08 localhost next door", URL_LOCATION, "http://127.0.0.1:1/", "http://localhost:2/",
	  ALONE },
	{ "N-08 own private origin", URL_LOCATION, "http://10.0.0.1/", "http://10.0.0.1:80/x",
	  WITH_CREDENTIALS },

	{ "N-09 never credentials", URL_FOREIGN, REG, "https://registry.example.com/x", ALONE },
	{ "N-09 other host", URL_FOREIGN, REG, "https://mcr.example.org/x", ALONE },
	{ "N-09 plain http", URL_FOREIGN, REG, "http://mcr.example.org/x", ALONE },
	{ "N-09 private address", URL_FOREIGN, REG, "https://10.0.0.1/x", REFUSED },
	{ "N-09 metadata", URL_FOREIGN, REG, "http://169.254.169.254/latest", REFUSED },
	{ "N-09 localhost", URL_FOREIGN, REG, "http://localhost/x", REFUSED },
	{ "N-09 user name", URL_FOREIGN, REG, "https://u@mcr.example.org/x", REFUSED },

	{ "N-10 same origin", URL_LINK, REG, "https://registry.example.com/v2/_catalog?last=x",
	  WITH_CREDENTIALS },
	{ "N-10 other port", URL_LINK, REG, "https://registry.example.com:444/v2/", REFUSED },
	{ "N-10 other host", URL_LINK, REG, "https://o.example.com/v2/", REFUSED },
	{ "N-10 other scheme", URL_LINK, "http://h.x/", "https://h.x/", REFUSED },
};

static void policy_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		struct url from, to;
		bool credentials = false;
		dray_error *err = NULL;

		assert_ok(url_parse(rows[i].from, &a, &from, &err), err);
		assert_ok(url_parse(rows[i].to, &a, &to, &err), err);
		int rc = url_allowed(rows[i].purpose, &from, &to, &credentials, &err);
		enum verdict got = rc < 0 ? REFUSED : credentials ? WITH_CREDENTIALS : ALONE;

		if (got != rows[i].want)
			fail_msg("%s: %d, expected %d", rows[i].id, (int)got, (int)rows[i].want);
		if (rc < 0)
			assert_err(err, DRAY_ERR_DENIED, "refused");
	}
}

static int refuse_one(void *arg, dray_error **err)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	struct url from, to;
	bool credentials;

	(void)arg;
	if (url_parse(REG, &a, &from, err) < 0 || url_parse("https://10.0.0.1/", &a, &to, err) < 0)
		return -1;
	if (url_allowed(URL_REALM, &from, &to, &credentials, err) == 0)
		fail();
	if (dray_error_kind(*err) == DRAY_ERR_NOMEM)
		return -1;
	err_clear(err);
	return 0;
}

static void policy_torture(void **state)
{
	(void)state;
	torture_alloc(refuse_one, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policy_rows),
		cmocka_unit_test(policy_torture),
	};

	return cmocka_run_group_tests_name("proto policy", tests, NULL, NULL);
}
