/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      docker's contexts: named engines in contexts/meta and contexts/tls of its folder.
 * Relies:   on folders that are named by the sha256 of the context's name, as docker makes them.
 * Promises: a context that is named and not there, or says nothing of an engine, is an error.
 */
#include "remote/engine_priv.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define NAME_SHOWN_MAX 100

struct endpoint {
	const char *host;
	bool skip_verify;
};

static int endpoint_parse(struct span text, struct arena *a, struct endpoint *ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;

	if (json_parse(text, &doc, err) < 0)
		return -1;
	struct json docker = json_get(json_get(json_root(doc), "Endpoints"), "docker");
	if (json_string(json_get(docker, "Host"), "Host", a, &ret->host, err) < 0 ||
	    json_bool(json_get(docker, "SkipTLSVerify"), "SkipTLSVerify", false, &ret->skip_verify,
		      err) < 0)
		return -1;
	if (!ret->host || !*ret->host)
		return err_set(err, DRAY_ERR_FORMAT, "no docker endpoint");
	return 0;
}

static int read_meta(const char *path, struct arena *a, struct endpoint *ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CREDENTIALS);

	if (io_read_file(AT_FDCWD, path, LIMIT_CREDENTIALS, &text, err) < 0)
		return -1;
	if (endpoint_parse(span_buf(&text), a, ret, err) < 0)
		return err_ctx(err, "%s", path);
	return 0;
}

/* One of ca.pem, cert.pem and key.pem, NULL when it is not there. */
static int find_file(const char *folder, const char *name, char **ret, dray_error **err)
{
	char *path = mem_printf("%s/%s", folder, name);

	if (!path)
		return err_nomem(err);
	if (access(path, F_OK) != 0) {
		mem_free(path);
		path = NULL;
	}
	*ret = path;
	return 0;
}

static int read_tls(const char *folder, struct tls_files *t, dray_error **err)
{
	cleanup_free char *ca = NULL;

	t->ca = BUF_INIT(LIMIT_CREDENTIALS);
	if (find_file(folder, "ca.pem", &ca, err) < 0 ||
	    find_file(folder, "cert.pem", &t->cert, err) < 0 ||
	    find_file(folder, "key.pem", &t->key, err) < 0)
		return -1;
	if (t->cert && !t->key)
		return err_set(err, DRAY_ERR_NOT_FOUND, "client certificate %s has no key",
			       t->cert);
	if (!ca)
		return 0;
	t->only = true;
	return io_read_file(AT_FDCWD, ca, LIMIT_CREDENTIALS, &t->ca, err);
}

static int endpoint_open(const struct endpoint *e, const char *tls, struct engine_host *ret,
			 dray_error **err)
{
	/* A folder of certificates is what makes a context speak TLS. */
	bool secure = e->skip_verify || access(tls, F_OK) == 0;

	if (engine_host_parse(e->host, secure, ret, err) < 0)
		return -1;
	if (ret->socket || !secure)
		return 0;
	ret->tls_skip_verify = e->skip_verify;
	return read_tls(tls, &ret->files, err);
}

int engine_context(const char *config, const char *name, struct engine_host *ret, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(name), NAME_SHOWN_MAX);
	cleanup_free char *meta = NULL;
	cleanup_free char *tls = NULL;
	struct endpoint e = { 0 };
	struct arena a = { 0 };
	struct digest id;

	if (!shown)
		return err_nomem(err);
	if (digest_of(span_str(name), &id, err) < 0)
		return -1;
	meta = mem_printf("%s/contexts/meta/%s/meta.json", config, digest_hex(&id));
	tls = mem_printf("%s/contexts/tls/%s/docker", config, digest_hex(&id));
	if (!meta || !tls)
		return err_nomem(err);
	int rc = read_meta(meta, &a, &e, err);
	if (rc == 0)
		rc = endpoint_open(&e, tls, ret, err);
	arena_clear(&a);
	if (rc == 0)
		return 0;
	err_ctx(err, "docker context %s", shown);
	return err_hint(err, "docker context ls shows which there are; DOCKER_HOST overrides it");
}
