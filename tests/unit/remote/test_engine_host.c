/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      which engine is meant: addresses, DOCKER_HOST, contexts, defaults.
 * Relies:   on a folder of its own as docker's and as XDG_RUNTIME_DIR.
 * Promises: what is set wins in docker's order, and what cannot be used is refused.
 */
#include "base/mem.h"
#include "remote/engine_priv.h"
#include "torture.h"

static void test_addresses(void **state)
{
	static const struct {
		const char *text;
		bool tls;
		const char *socket, *base; /* both NULL = refused */
		enum dray_err_kind kind;
	} rows[] = {
		{ "unix:///run/d.sock", false, "/run/d.sock", "http://localhost/", 0 },
		{ "unix:///run/d.sock", true, "/run/d.sock", "http://localhost/", 0 },
		{ "tcp://h:1234", false, NULL, "http://h:1234/", 0 },
		{ "tcp://h:1234/", true, NULL, "https://h:1234/", 0 },
		{ "tcp://h", false, NULL, "http://h:2375/", 0 },
		{ "tcp://h", true, NULL, "https://h:2376/", 0 },
		{ "tcp://[::1]", true, NULL, "https://[::1]:2376/", 0 },
		{ "tcp://[::1]:99", false, NULL, "http://[::1]:99/", 0 },
		{ "unix://run/d.sock", false, NULL, NULL, DRAY_ERR_USAGE },
		{ "unix://", false, NULL, NULL, DRAY_ERR_USAGE },
		{ "tcp://", false, NULL, NULL, DRAY_ERR_USAGE },
		{ "tcp://h:0x1", false, NULL, NULL, DRAY_ERR_USAGE },
		{ "tcp://h:1/v1.41", false, NULL, NULL, DRAY_ERR_USAGE },
		{ "tcp://a b:1", false, NULL, NULL, DRAY_ERR_USAGE },
		{ "ssh://me@h", false, NULL, NULL, DRAY_ERR_UNSUPPORTED },
		{ "npipe:////./pipe/docker_engine", false, NULL, NULL, DRAY_ERR_UNSUPPORTED },
		{ "/run/d.sock", false, NULL, NULL, DRAY_ERR_UNSUPPORTED },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct engine_host h = { 0 };
		dray_error *err = NULL;
		int rc = engine_host_parse(rows[i].text, rows[i].tls, &h, &err);

		if (!rows[i].base) {
			assert_int_equal(rc, -1);
			assert_err_kind(err, rows[i].kind);
		} else {
			assert_ok(rc, err);
			assert_string_equal(h.base, rows[i].base);
			if (rows[i].socket)
				assert_string_equal(h.socket, rows[i].socket);
			else
				assert_null(h.socket);
		}
		engine_host_clear(&h);
	}
}

static void test_long_socket(void **state)
{
	struct engine_host h = { 0 };
	dray_error *err = NULL;
	char text[160];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "unix:///", 8);
	text[7 + 107] = '\0'; /* what sockaddr_un holds */
	assert_ok(engine_host_parse(text, false, &h, &err), err);
	engine_host_clear(&h);
	text[7 + 107] = 'x';
	text[7 + 108] = '\0';
	assert_int_equal(engine_host_parse(text, false, &h, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "107");
	engine_host_clear(&h);
}

/* ---- the environment ---- */

static char folder[] = "/tmp/dray-engine-XXXXXX";

static void put_below(const char *name, const char *text)
{
	cleanup_free char *path = mem_printf("%s/%s", folder, name);
	FILE *f;

	for (char *p = path + strlen(folder) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0700);
		*p = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void put_context(const char *name, const char *file, const char *text)
{
	struct digest id;
	dray_error *err = NULL;

	assert_ok(digest_of(span_str(name), &id, &err), err);
	cleanup_free char *path = mem_printf(
		"contexts/%s/%s/%s", strstr(file, "pem") ? "tls" : "meta", digest_hex(&id), file);
	put_below(path, text);
}

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	put_context("remote", "meta.json",
		    "{\"Name\":\"remote\",\"Metadata\":{},\"Endpoints\":{\"docker\":"
		    "{\"Host\":\"tcp://far:2376\",\"SkipTLSVerify\":false}}}");
	put_context("remote", "docker/ca.pem", "CA");
	put_context("remote", "docker/cert.pem", "CERT");
	put_context("remote", "docker/key.pem", "KEY");
	put_context("plain", "meta.json",
		    "{\"Endpoints\":{\"docker\":{\"Host\":\"tcp://near:1\"}}}");
	put_context("half", "meta.json",
		    "{\"Endpoints\":{\"docker\":{\"Host\":\"tcp://near:1\"}}}");
	put_context("half", "docker/cert.pem", "CERT");
	put_context("kubernetes", "meta.json", "{\"Endpoints\":{}}");
	put_context("broken", "meta.json", "{");
	put_below("certs/ca.pem", "CA");
	put_below("certs/cert.pem", "CERT");
	put_below("certs/key.pem", "KEY");
	return 0;
}

static int remove_folder(void **state)
{
	cleanup_free char *command = mem_printf("rm -rf '%s'", folder);

	(void)state;
	return command ? system(command) : -1;
}

struct setting {
	const char *host, *context, *current, *verify, *certs;
};

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

static void apply(const struct setting *s)
{
	cleanup_free char *certs = s->certs ? mem_printf("%s/%s", folder, s->certs) : NULL;
	cleanup_free char *config = mem_printf("{\"auths\":{},\"currentContext\":\"%s\"}",
					       s->current ? s->current : "");

	put_below("config.json", config);
	set("DOCKER_CONFIG", folder);
	set("DOCKER_HOST", s->host);
	set("DOCKER_CONTEXT", s->context);
	set("DOCKER_TLS_VERIFY", s->verify);
	set("DOCKER_CERT_PATH", certs);
	set("DOCKER_TLS", NULL);
}

static void test_choice(void **state)
{
	static const struct {
		struct setting set;
		const char *base; /* NULL = refused */
		bool cert;
		enum dray_err_kind kind;
	} rows[] = {
		{ { .host = "tcp://a:1" }, "http://a:1/", false, 0 },
		{ { .host = "tcp://a:1", .context = "remote" }, "http://a:1/", false, 0 },
		{ { .host = "tcp://a:1", .verify = "1", .certs = "certs" },
		  "https://a:1/",
		  true,
		  0 },
		{ { .host = "unix:///x", .verify = "1", .certs = "certs" },
		  "http://localhost/",
		  false,
		  0 },
		{ { .context = "remote" }, "https://far:2376/", true, 0 },
		{ { .current = "remote" }, "https://far:2376/", true, 0 },
		{ { .current = "remote", .context = "plain" }, "http://near:1/", false, 0 },
		{ { .context = "default", .current = "remote" }, "http://localhost/", false, 0 },
		{ { 0 }, "http://localhost/", false, 0 },
		{ { .context = "nobody" }, NULL, false, DRAY_ERR_NOT_FOUND },
		{ { .current = "nobody" }, NULL, false, DRAY_ERR_NOT_FOUND },
		{ { .context = "half" }, NULL, false, DRAY_ERR_NOT_FOUND },
		{ { .context = "kubernetes" }, NULL, false, DRAY_ERR_FORMAT },
		{ { .context = "broken" }, NULL, false, DRAY_ERR_FORMAT },
		{ { .host = "ssh://a" }, NULL, false, DRAY_ERR_UNSUPPORTED },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct engine_host h = { 0 };
		dray_error *err = NULL;
		int rc;

		apply(&rows[i].set);
		rc = engine_host_find(&h, &err);
		if (!rows[i].base) {
			if (rc == 0)
				fail_msg("row %zu: %s", i, h.base);
			assert_err_kind(err, rows[i].kind);
		} else {
			assert_ok(rc, err);
			assert_string_equal(h.base, rows[i].base);
			assert_int_equal(h.files.cert != NULL, rows[i].cert);
			assert_int_equal(h.files.only, rows[i].cert);
			assert_false(h.tls_skip_verify);
		}
		engine_host_clear(&h);
	}
}

static int find_remote(void *arg, dray_error **err)
{
	struct engine_host h = { 0 };
	int rc = engine_host_find(&h, err);

	(void)arg;
	engine_host_clear(&h);
	return rc;
}

static void test_choice_torture(void **state)
{
	(void)state;
	apply(&(struct setting){ .current = "remote" });
	torture_alloc(find_remote, NULL);
	apply(&(struct setting){ .host = "tcp://a:1", .verify = "1", .certs = "certs" });
	torture_alloc(find_remote, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_long_socket),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_choice_torture),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
