/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      finding the engine that docker(1) would talk to.
 * Relies:   on the environment that docker defines; engine_context.c for contexts.
 * Promises: what the user set is used or refused by name, never passed over in silence.
 */
#include "remote/engine_priv.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define DEFAULT_SOCKET "/var/run/docker.sock"
#define PORT_PLAIN 2375
#define PORT_TLS 2376
#define SHOWN_MAX 300

void engine_host_clear(struct engine_host *h)
{
	mem_free(h->text);
	mem_free(h->socket);
	mem_free(h->base);
	tls_clear(&h->files);
	*h = (struct engine_host){ 0 };
}

/* ---- addresses ---- */

static int set_socket(const char *path, struct engine_host *ret, dray_error **err)
{
	if (path[0] != '/')
		return err_set(err, DRAY_ERR_USAGE, "%s: expected unix:///PATH", ret->text);
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return err_set(err, DRAY_ERR_USAGE, "%s: a socket's path has at most %zu bytes",
			       ret->text, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	ret->socket = mem_strdup(path);
	ret->base = mem_strdup("http://localhost/");
	return ret->socket && ret->base ? 0 : err_nomem(err);
}

/* A port stands behind the last ':' unless that is inside the brackets of an address. */
static bool has_port(const char *host)
{
	const char *colon = strrchr(host, ':');

	return colon && !strchr(colon, ']');
}

static int set_tcp(const char *text, bool tls, struct engine_host *ret, dray_error **err)
{
	size_t len = strcspn(text, "/");
	cleanup_free char *host = mem_strndup(text, len);
	struct arena a = { 0 };
	struct url u;

	if (!host)
		return err_nomem(err);
	if (!len || (text[len] && strcmp(text + len, "/") != 0))
		return err_set(err, DRAY_ERR_USAGE, "%s: expected tcp://HOST:PORT", ret->text);
	if (has_port(host))
		ret->base = mem_printf("%s://%s/", tls ? "https" : "http", host);
	else
		ret->base = mem_printf("%s://%s:%d/", tls ? "https" : "http", host,
				       tls ? PORT_TLS : PORT_PLAIN);
	if (!ret->base)
		return err_nomem(err);
	int rc = url_parse(ret->base, &a, &u, err);
	arena_clear(&a);
	if (rc < 0) {
		err_rekind(err, DRAY_ERR_USAGE);
		return err_ctx(err, "%s", ret->text);
	}
	return 0;
}

int engine_host_parse(const char *text, bool tls, struct engine_host *ret, dray_error **err)
{
	struct span s = span_str(text);

	mem_free(ret->text);
	ret->text = text_safe(s, SHOWN_MAX);
	if (!ret->text)
		return err_nomem(err);
	if (span_starts(s, "unix://"))
		return set_socket(text + strlen("unix://"), ret, err);
	if (span_starts(s, "tcp://"))
		return set_tcp(text + strlen("tcp://"), tls, ret, err);
	err_set(err, DRAY_ERR_UNSUPPORTED, "%s: only unix:// and tcp:// engines are supported",
		ret->text);
	if (span_starts(s, "ssh://"))
		err_hint(err, "forward its socket, ssh -nNT -L /tmp/docker.sock:" DEFAULT_SOCKET
			      " HOST, and set DOCKER_HOST=unix:///tmp/docker.sock");
	return -1;
}

/* ---- the environment ---- */

/* NULL unless it is set to something. */
static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Docker's folder: config.json, contexts, ca.pem. */
static char *config_folder(void)
{
	const char *given = setting("DOCKER_CONFIG"), *home = setting("HOME");

	return given ? mem_strdup(given) : mem_printf("%s/.docker", home ? home : "");
}

static int load_client(struct tls_files *t, const char *dir, dray_error **err)
{
	t->cert = mem_printf("%s/cert.pem", dir);
	t->key = mem_printf("%s/key.pem", dir);
	if (!t->cert || !t->key)
		return err_nomem(err);
	if (access(t->cert, F_OK) == 0)
		return 0;
	mem_free(steal_pointer(&t->cert)); /* an engine may ask for none */
	mem_free(steal_pointer(&t->key));
	return 0;
}

/* ca.pem, cert.pem, key.pem: docker's names, other than those of certs.d. */
static int load_tls(const char *folder, struct tls_files *t, dray_error **err)
{
	cleanup_free char *ca = mem_printf("%s/ca.pem", folder);
	dray_error *why = NULL;

	t->ca = BUF_INIT(LIMIT_CREDENTIALS);
	if (!ca)
		return err_nomem(err);
	if (io_read_file(AT_FDCWD, ca, LIMIT_CREDENTIALS, &t->ca, &why) == 0) {
		t->only = true;
	} else if (dray_error_kind(why) == DRAY_ERR_NOT_FOUND) {
		dray_error_free(why);
	} else {
		if (err)
			*err = why;
		else
			dray_error_free(why);
		return -1;
	}
	return load_client(t, folder, err);
}

static int from_environment(const char *host, struct engine_host *ret, dray_error **err)
{
	bool verify = setting("DOCKER_TLS_VERIFY") != NULL;
	bool tls = verify || setting("DOCKER_TLS");
	const char *given = setting("DOCKER_CERT_PATH");

	if (engine_host_parse(host, tls, ret, err) < 0)
		return err_ctx(err, "DOCKER_HOST");
	if (!tls || ret->socket)
		return 0;
	ret->tls_skip_verify = !verify;
	cleanup_free char *folder = given ? mem_strdup(given) : config_folder();
	if (!folder)
		return err_nomem(err);
	return load_tls(folder, &ret->files, err);
}

static int by_default(struct engine_host *ret, dray_error **err)
{
	const char *run = setting("XDG_RUNTIME_DIR");

	if (run && access(DEFAULT_SOCKET, F_OK) != 0) {
		cleanup_free char *rootless = mem_printf("unix://%s/docker.sock", run);

		if (!rootless)
			return err_nomem(err);
		if (access(rootless + strlen("unix://"), F_OK) == 0)
			return engine_host_parse(rootless, false, ret, err);
	}
	return engine_host_parse("unix://" DEFAULT_SOCKET, false, ret, err);
}

/* "currentContext" of config.json, NULL when there is none. It stands beside credentials. */
static int current_context(const char *folder, char **ret, dray_error **err)
{
	cleanup_free char *path = mem_printf("%s/config.json", folder);
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CREDENTIALS);
	cleanup_error dray_error *why = NULL;

	*ret = NULL;
	if (!path)
		return err_nomem(err);
	int rc = io_read_file(AT_FDCWD, path, LIMIT_CREDENTIALS, &text, &why);
	if (rc < 0 && dray_error_kind(why) == DRAY_ERR_NOT_FOUND)
		return 0;
	cleanup_json struct json_doc *doc = NULL;
	struct arena a = { 0 };
	const char *name = NULL;
	if (rc == 0 && (json_parse(span_buf(&text), &doc, &why) < 0 ||
			json_string(json_get(json_root(doc), "currentContext"), "currentContext",
				    &a, &name, &why) < 0))
		rc = -1;
	if (rc == 0 && name && *name) {
		*ret = mem_strdup(name);
		rc = *ret ? 0 : err_nomem(&why);
	}
	arena_clear(&a);
	if (text.data)
		explicit_bzero(text.data, text.cap);
	if (rc == 0)
		return 0;
	err_ctx(&why, "%s", path);
	if (err)
		*err = steal_pointer(&why);
	return -1;
}

int engine_host_find(struct engine_host *ret, dray_error **err)
{
	const char *host = setting("DOCKER_HOST"), *given = setting("DOCKER_CONTEXT");
	cleanup_free char *folder = NULL;
	cleanup_free char *name = NULL;

	if (host)
		return from_environment(host, ret, err);
	folder = config_folder();
	if (!folder)
		return err_nomem(err);
	if (given) {
		name = mem_strdup(given);
		if (!name)
			return err_nomem(err);
	} else if (current_context(folder, &name, err) < 0) {
		return -1;
	}
	if (!name || strcmp(name, "default") == 0)
		return by_default(ret, err);
	return engine_context(folder, name, ret, err);
}
