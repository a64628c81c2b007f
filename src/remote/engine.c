/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      an engine: opening it, asking it for documents, and what its refusals mean.
 * Relies:   on http.c for the wire; on no version of the API: paths go without a prefix.
 * Promises: a socket that is missing or closed to us is told before anything is sent; answers are bounded.
 */
#include "remote/engine_priv.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define MESSAGE_MAX 1024 /* bytes of an engine's words that an error shows */

void engine_free(struct engine *e)
{
	if (!e)
		return;
	http_free(e->http);
	engine_host_clear(&e->host);
	arena_clear(&e->arena);
	mem_free(e);
}

static int not_running(const struct engine_host *h, const char *why, dray_error **err)
{
	err_set(err, DRAY_ERR_NETWORK, "no engine at %s: %s", h->text, why);
	return err_hint(err, "is it running? DOCKER_HOST says where it listens");
}

/* What connect(2) would say, in words that tell what to do. */
static int check_socket(const struct engine_host *h, dray_error **err)
{
	struct stat st;

	if (stat(h->socket, &st) < 0 && errno != EACCES)
		return not_running(h, "there is no such socket", err);
	if (access(h->socket, R_OK | W_OK) < 0) {
		err_set(err, DRAY_ERR_DENIED, "%s: no permission to use this engine", h->text);
		return err_hint(err, "be in the socket's group (usually \"docker\"), or use sudo");
	}
	return S_ISSOCK(st.st_mode) ? 0 : not_running(h, "that is no socket", err);
}

static int init(struct engine *e, dray_error **err)
{
	if (engine_host_find(&e->host, err) < 0)
		return -1;
	if (e->host.socket && check_socket(&e->host, err) < 0)
		return -1;
	e->o.tls_skip_verify = e->host.tls_skip_verify; /* what was asked is about registries */
	e->http = http_new(&e->o, err);
	if (!e->http || url_parse(e->host.base, &e->arena, &e->base, err) < 0)
		return -1;
	http_set_origin(e->http, &e->base, &e->host.files);
	http_set_engine(e->http, e->host.socket);
	e->wait_ms = http_env_ms("DRAY_ENGINE_WAIT_MS", ENGINE_WAIT_MS);
	return 0;
}

int engine_open(const struct remote_options *o, struct engine **ret, dray_error **err)
{
	cleanup_engine struct engine *e = mem_zalloc(sizeof(*e));

	if (!e)
		return err_nomem(err);
	e->o = *o;
	if (init(e, err) < 0)
		return -1;
	*ret = steal_pointer(&e);
	return 0;
}

/* ---- what it says ---- */

const char *engine_message(struct span body, struct arena *a)
{
	cleanup_json struct json_doc *doc = NULL;
	const char *text = NULL;

	if (json_parse(body, &doc, NULL) < 0)
		return NULL;
	struct json root = json_root(doc);
	struct json detail = json_get(json_get(root, "errorDetail"), "message");
	if (!json_present(detail))
		detail = json_get(root, "error");
	if (!json_present(detail))
		detail = json_get(root, "message");
	if (json_string(detail, "message", a, &text, NULL) < 0 || !text || !*text)
		return NULL;
	cleanup_free char *safe = text_safe(span_str(text), MESSAGE_MAX);
	return safe ? arena_strdup(a, safe) : NULL;
}

const char *engine_late_message(struct span tail, struct arena *a)
{
	static const char start[] = "{\"message\":";
	const size_t len = sizeof(start) - 1;

	while (tail.len && tail.data[tail.len - 1] <= ' ')
		tail.len--;
	for (size_t off = tail.len; off-- > 0;) {
		struct span rest = span_from(tail, off);

		if (rest.len >= len && memcmp(rest.data, start, len) == 0)
			return engine_message(rest, a);
	}
	return NULL;
}

static enum dray_err_kind kind_of(int status)
{
	if (status == 401 || status == 403)
		return DRAY_ERR_DENIED;
	return status == 404 ? DRAY_ERR_NOT_FOUND : DRAY_ERR_NETWORK;
}

int engine_refusal(const struct http_response *res, struct span body, const char *what,
		   dray_error **err)
{
	struct arena a = { 0 };
	const char *text = engine_message(body, &a);

	if (text)
		err_set(err, kind_of(res->status), "%s: the engine says: %s (HTTP %d)", what, text,
			res->status);
	else
		err_set(err, kind_of(res->status), "%s: HTTP %d from the engine", what,
			res->status);
	arena_clear(&a);
	return err_http(err, res->status, NULL);
}

/* ---- asking ---- */

static int get(struct engine *e, const char *path, struct http_response *res, struct buf *ret,
	       struct http_exchange **x, dray_error **err)
{
	struct url url = engine_url(e, path);
	const struct http_request q = { .method = "GET", .url = &url, .wait_ms = e->wait_ms };

	if (http_begin(e->http, &q, res, x, err) < 0) {
		if (res->fault == HTTP_FAULT_CONNECT)
			return err_hint(err, "is the engine running? DOCKER_HOST says where it "
					     "listens");
		return -1;
	}
	if (res->status == 200)
		return http_slurp(*x, false, ret, err);
	ret->max = LIMIT_HTTP_ERROR;
	return http_slurp(*x, true, ret, err);
}

int engine_get(struct engine *e, const char *path, const char *what, struct buf *ret,
	       dray_error **err)
{
	cleanup_exchange struct http_exchange *x = NULL;
	struct arena a = { 0 };
	struct http_response res = { .arena = &a };
	int rc = get(e, path, &res, ret, &x, err);

	if (rc < 0)
		err_ctx(err, "%s", what);
	else if (res.status != 200)
		rc = engine_refusal(&res, span_buf(ret), what, err);
	http_end(steal_pointer(&x)); /* it looks at res and a */
	arena_clear(&a);
	return rc;
}
