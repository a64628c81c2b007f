/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs: parsing, resolving, and addresses in every notation (reliability N-06, N-12).
 */
#include "torture.h"

#include "base/mem.h"
#include "proto/url.h"

static void url_good(void **state)
{
	static const struct {
		const char *text, *again, *host;
		int port;
		bool userinfo;
	} rows[] = {
		{ "https://h", "https://h/", "h", 443, false },
		{ "HTTPS://Reg.Example.COM/V2/", "https://reg.example.com/V2/", "reg.example.com",
		  443, false },
		{ "http://h:80/x", "http://h/x", "h", 80, false },
		{ "https://h:443/x", "https://h/x", "h", 443, false },
		{ "https://h:80/x", "https://h:80/x", "h", 80, false },
		{ "http://h:/x", "http://h/x", "h", 80, false },
		{ "http://h:5000?a=b", "http://h:5000/?a=b", "h", 5000, false },
		{ "https://h/a%2Fb?x=%20&y=//z?q#frag", "https://h/a%2Fb?x=%20&y=//z?q", "h", 443,
		  false },
		{ "http://[::1]:5000/", "http://[::1]:5000/", "[::1]", 5000, false },
		{ "http://[FE80::A]/", "http://[fe80::a]/", "[fe80::a]", 80, false },
		{ "https://user:pw@h/x", "https://h/x", "h", 443, true },
		{ "https://h_h.x/", "https://h_h.x/", "h_h.x", 443, false },
		{ "https://h.x./", "https://h.x./", "h.x.", 443, false },
		{ "http://127.1/", "http://127.1/", "127.1", 80, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		struct url u;
		dray_error *err = NULL;

		assert_ok(url_parse(rows[i].text, &a, &u, &err), err);
		assert_string_equal(u.host, rows[i].host);
		assert_int_equal(u.port, rows[i].port);
		assert_int_equal(u.has_userinfo, rows[i].userinfo);
		assert_string_equal(url_text(&u, &a), rows[i].again);
	}
}

static void url_bad(void **state)
{
	static const char *const rows[] = {
		"",
		"h",
		"//h/x",
		"/x",
		"https:",
		"https:/h",
		"https:h/x",
		"https://",
		"https:///x",
		"https://:5000/",
		"ftp://h/",
		"file:///etc/passwd",
		"javascript:alert(1)",
		"https://h:0/",
		"https://h:65536/",
		"https://h:123456/",
		"https://h:5a/",
		"https://h:5:6/",
		"https://a@b@c/",
		"https://h /",
		"https://h/a b",
		"https://h\\@evil/",
		"https://h/a\\b",
		"https://h/\r\nX: y",
		"https://h/\t",
		"https://h\x7f/",
		("https://127\xe3\x80\x82"
		 "0\xe3\x80\x82"
		 "0\xe3\x80\x82"
		 "1/"),
		("https://\xef\xbc\x91"
		 "27.0.0.1/"),
		"https://%31%32%37.0.0.1/",
		"https://h..x/",
		"https://.h/",
		"https://1.2.3.4.5/",
		"https://256.1.1.1/",
		"https://1.2.3.256/",
		"https://1.2.3.08/",
		"https://4294967296/",
		"https://x.1/",
		"https://[::1/",
		"https://[::g]/",
		"https://[::1]x/",
		"https://[fe80::1%25eth0]/",
		"https://[]/",
		"https://[1.2.3.4]/",
		"https://h,i/",
		"https://h;i/",
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		struct url u;
		dray_error *err = NULL;

		if (url_parse(rows[i], &a, &u, &err) == 0)
			fail_msg("%s: accepted", rows[i]);
		assert_err_kind(err, DRAY_ERR_FORMAT);
	}
}

/* N-14: an error repeats neither passwords nor signed queries. */
static void url_error_keeps_secrets(void **state)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	struct url u;
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(url_parse("ftp://me:hunter2@h/x?sig=s3cret", &a, &u, &err), -1);
	assert_null(strstr(dray_error_message(err), "hunter2"));
	assert_null(strstr(dray_error_message(err), "s3cret"));
	err_clear(&err);
}

static void url_resolving(void **state)
{
	static const struct {
		const char *ref, *want; /* NULL = FORMAT */
	} rows[] = {
		{ "https://o.x:8443/y?z", "https://o.x:8443/y?z" },
		{ "//o.x/y", "http://o.x/y" },
		{ "//o.x:7/y", "http://o.x:7/y" },
		{ "/y?_state=a%2Fb==&d=1", "http://h:5000/y?_state=a%2Fb==&d=1" },
		{ "y", "http://h:5000/v2/a/y" },
		{ "y/z?q=http://n/../x", "http://h:5000/v2/a/y/z?q=http://n/../x" },
		{ "?n=2", "http://h:5000/v2/a/list?n=2" },
		{ "", "http://h:5000/v2/a/list?x=/1/" },
		{ "#f", "http://h:5000/v2/a/list?x=/1/" },
		{ ".", "http://h:5000/v2/a/" },
		{ "..", "http://h:5000/v2/" },
		{ "../y", "http://h:5000/v2/y" },
		{ "../../../y", "http://h:5000/y" },
		{ "/a/./b/../c", "http://h:5000/a/c" },
		{ "/a/b/..", "http://h:5000/a/" },
		{ "/a//b", "http://h:5000/a//b" },
		{ "/..", "http://h:5000/" },
		{ "/...", "http://h:5000/..." },
		{ "y:z", NULL },
		{ "ftp://h/", NULL },
		{ "//", NULL },
		{ "/a b", NULL },
		{ "/a\r\nb", NULL },
		{ "\\\\o.x/y", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		struct url base, u;
		dray_error *err = NULL;

		assert_ok(url_parse("http://h:5000/v2/a/list?x=/1/", &a, &base, &err), err);
		int rc = url_resolve(&base, rows[i].ref, &a, &u, &err);
		if (!rows[i].want) {
			if (rc == 0)
				fail_msg("%s: accepted", rows[i].ref);
			assert_err_kind(err, DRAY_ERR_FORMAT);
			continue;
		}
		assert_ok(rc, err);
		assert_string_equal(url_text(&u, &a), rows[i].want);
	}
}

enum { PUBLIC, PRIVATE, LOOPBACK };

static void url_private_hosts(void **state)
{
	static const struct {
		const char *host;
		int is;
		bool address;
	} rows[] = {
		{ "127.0.0.1", LOOPBACK, true },
		{ "127.255.0.9", LOOPBACK, true },
		{ "127.1", LOOPBACK, true },
		{ "127.0.1", LOOPBACK, true },
		{ "2130706433", LOOPBACK, true },
		{ "0x7f000001", LOOPBACK, true },
		{ "0x7F.1", LOOPBACK, true },
		{ "017700000001", LOOPBACK, true },
		{ "0177.0.0.01", LOOPBACK, true },
		{ "127.0.0.1.", LOOPBACK, true },
		{ "[::1]", LOOPBACK, true },
		{ "[0:0:0:0:0:0:0:1]", LOOPBACK, true },
		{ "[::ffff:127.0.0.1]", LOOPBACK, true },
		{ "[::ffff:7f00:1]", LOOPBACK, true },
		{ "[::127.0.0.1]", LOOPBACK, true },
		{ "[64:ff9b::127.0.0.1]", LOOPBACK, true },
		{ "[2002:7f00:1::]", LOOPBACK, true },
		{ "[::ffff:0:127.0.0.1]", LOOPBACK, true },
		{ "localhost", LOOPBACK, false },
		{ "LOCALHOST", LOOPBACK, false },
		{ "localhost.", LOOPBACK, false },
		{ "a.localhost", LOOPBACK, false },
		{ "0.0.0.0", PRIVATE, true },
		{ "0", PRIVATE, true },
		{ "0x0", PRIVATE, true },
		{ "[::]", PRIVATE, true },
		{ "10.0.0.1", PRIVATE, true },
		{ "10.255.255.255", PRIVATE, true },
		{ "172.16.0.1", PRIVATE, true },
		{ "172.31.255.255", PRIVATE, true },
		{ "192.168.1.1", PRIVATE, true },
		{ "169.254.169.254", PRIVATE, true },
		{ "2852039166", PRIVATE, true },
		{ "0xa9fea9fe", PRIVATE, true },
		{ "[::ffff:169.254.169.254]", PRIVATE, true },
		{ "100.64.0.1", PRIVATE, true },
		{ "100.100.100.200", PRIVATE, true },
		{ "198.18.0.1", PRIVATE, true },
		{ "224.0.0.1", PRIVATE, true },
		{ "255.255.255.255", PRIVATE, true },
		{ "[fe80::1]", PRIVATE, true },
		{ "[febf::1]", PRIVATE, true },
		{ "[fc00::1]", PRIVATE, true },
		{ "[fd12::1]", PRIVATE, true },
		{ "[ff02::1]", PRIVATE, true },
		{ "9.255.255.255", PUBLIC, true },
		{ "11.0.0.0", PUBLIC, true },
		{ "172.15.255.255", PUBLIC, true },
		{ "172.32.0.0", PUBLIC, true },
		{ "100.63.255.255", PUBLIC, true },
		{ "100.128.0.0", PUBLIC, true },
		{ "8.8.8.8", PUBLIC, true },
		{ "134744072", PUBLIC, true },
		{ "[2001:db8::1]", PUBLIC, true },
		{ "[::ffff:8.8.8.8]", PUBLIC, true },
		{ "10.0.0.1.example.com", PUBLIC, false },
		{ "localhost.example.com", PUBLIC, false },
		{ "notlocalhost", PUBLIC, false },
		{ "registry", PUBLIC, false },
		{ "dead.beef", PUBLIC, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		struct url u;
		dray_error *err = NULL;

		assert_ok(
			url_parse(arena_printf(&a, "https://%s:5000/", rows[i].host), &a, &u, &err),
			err);
		int is = url_host_is_loopback(&u)  ? LOOPBACK
			 : url_host_is_private(&u) ? PRIVATE
						   : PUBLIC;
		if (is != rows[i].is || url_host_is_address(&u) != rows[i].address)
			fail_msg("%s: %d", rows[i].host, is);
	}
}

static void url_origins(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{ "https://h/x", "https://h:443/y?z", true },
		{ "https://H/x", "https://h/x", true },
		{ "http://h/x", "https://h/x", false },
		{ "https://h/x", "https://h:444/x", false },
		{ "https://h/x", "https://h./x", false },
		{ "http://127.0.0.1:5/x", "http://127.1:5/x", false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		struct url x, y;
		dray_error *err = NULL;

		assert_ok(url_parse(rows[i].a, &a, &x, &err), err);
		assert_ok(url_parse(rows[i].b, &a, &y, &err), err);
		assert_int_equal(url_same_origin(&x, &y), rows[i].same);
	}
}

static void url_escaping(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(256);
	dray_error *err = NULL;

	(void)state;
	assert_ok(url_query_escape(&b, "repository:a/b-c_d.e~f:pull,push &=\xc3\xa9\r\n%", &err),
		  err);
	assert_span_is(span_buf(&b),
		       "repository%3Aa%2Fb-c_d.e~f%3Apull%2Cpush%20%26%3D%C3%A9%0D%0A%25");
}

static int resolve_some(void *arg, dray_error **err)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	struct url base, u;

	(void)arg;
	if (url_parse("https://h:5000/a/b?c", &a, &base, err) < 0 ||
	    url_resolve(&base, "../d?e", &a, &u, err) < 0 ||
	    url_resolve(&base, "//x/y", &a, &u, err) < 0)
		return -1;
	return url_text(&u, &a) ? 0 : err_nomem(err);
}

static void url_torture(void **state)
{
	(void)state;
	torture_alloc(resolve_some, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(url_good),
		cmocka_unit_test(url_bad),
		cmocka_unit_test(url_error_keeps_secrets),
		cmocka_unit_test(url_resolving),
		cmocka_unit_test(url_private_hosts),
		cmocka_unit_test(url_origins),
		cmocka_unit_test(url_escaping),
		cmocka_unit_test(url_torture),
	};

	return cmocka_run_group_tests_name("proto url", tests, NULL, NULL);
}
