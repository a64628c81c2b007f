/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      sending an archive into an engine, and hearing what became of it.
 * Relies:   on POST /images/load: status 200 says nothing, the lines of the body do.
 * Promises: success means that the engine said so; an archive that breaks off is cut with its connection,
 *           so that the engine sees no end and loads nothing.
 */
#include "remote/engine_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "flow/sink.h"

struct load {
	struct sink sink;
	struct engine *engine;
	struct arena arena; /* of the answer's head */
	struct http_response res;
	struct url url;
	struct http_exchange *x;
};

/* ---- the answer ---- */

int engine_load_line(struct span line, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	struct arena a = { 0 };

	while (line.len && line.data[line.len - 1] <= ' ')
		line.len--;
	if (!line.len)
		return 0;
	if (json_parse(line, &doc, err) < 0) {
		err_rekind(err, DRAY_ERR_NETWORK);
		return err_ctx(err, "the engine's answer");
	}
	struct json root = json_root(doc);
	if (!json_present(json_get(root, "error")) && !json_present(json_get(root, "errorDetail")))
		return 0;
	const char *text = engine_message(line, &a);
	err_set(err, DRAY_ERR_NETWORK, "the engine did not load it: %s",
		text ? text : "it does not say why");
	arena_clear(&a);
	return -1;
}

/* The next line into @p line. 1 = there is one, 0 = the answer is over. */
static int next_line(struct load *l, struct buf *line, int64_t *total, dray_error **err)
{
	for (;;) {
		struct span s;
		int64_t end;

		if (http_peek(l->x, 1, &s, err) < 0)
			return -1;
		if (!s.len)
			return line->len > 0;
		end = span_find(s, '\n');
		s = span_head(s, end < 0 ? s.len : (size_t)end + 1);
		*total += (int64_t)s.len;
		if (*total > LIMIT_ENGINE_ANSWER)
			return err_set(err, DRAY_ERR_LIMIT,
				       "the engine's answer is over LIMIT_ENGINE_ANSWER (%lld)",
				       LIMIT_ENGINE_ANSWER);
		if (buf_add(line, s, err) < 0)
			return -1;
		http_consume(l->x, s.len);
		if (end >= 0)
			return 1;
	}
}

static int read_lines(struct load *l, dray_error **err)
{
	cleanup_buf struct buf line = BUF_INIT(LIMIT_ENGINE_LINE);
	int64_t total = 0;
	int rc;

	while ((rc = next_line(l, &line, &total, err)) > 0) {
		if (engine_load_line(span_buf(&line), err) < 0)
			return -1;
		buf_reset(&line);
	}
	return rc;
}

static int verdict(struct load *l, dray_error **err)
{
	cleanup_buf struct buf body = BUF_INIT(LIMIT_HTTP_ERROR);

	if (l->res.status == 200)
		return read_lines(l, err);
	if (http_slurp(l->x, true, &body, NULL) < 0)
		buf_reset(&body);
	engine_refusal(&l->res, span_buf(&body), "load", err);
	/* Nobody named something to be found. */
	return l->res.status == 404 ? err_rekind(err, DRAY_ERR_NETWORK) : -1;
}

/* ---- the sink ---- */

static int load_write(struct sink *k, struct span bytes, dray_error **err)
{
	struct load *l = (struct load *)k;
	int rc = http_offer(l->x, bytes, err);

	if (rc > 0)
		return 0;
	if (rc == 0 && verdict(l, err) == 0)
		err_set(err, DRAY_ERR_NETWORK, "the engine stopped reading at byte %lld",
			(long long)k->pos);
	else if (rc < 0 && l->res.fault == HTTP_FAULT_CONNECT)
		err_hint(err, "is the engine running? DOCKER_HOST says where it listens");
	return err_ctx(err, "load into %s", l->engine->host.text);
}

static int load_finish(struct sink *k, dray_error **err)
{
	struct load *l = (struct load *)k;

	if (http_offer_end(l->x, err) == 0 && verdict(l, err) == 0)
		return 0;
	return err_ctx(err, "load into %s", l->engine->host.text);
}

static void load_free(struct sink *k)
{
	struct load *l = (struct load *)k;

	http_end(l->x);
	arena_clear(&l->arena);
	mem_free(l);
}

static const struct sink_ops load_ops = {
	.write = load_write,
	.finish = load_finish,
	.free = load_free,
};

struct sink *engine_load(struct engine *e, dray_error **err)
{
	cleanup_sink struct sink *k = NULL;
	struct load *l = mem_zalloc(sizeof(*l));

	if (!l) {
		err_nomem(err);
		return NULL;
	}
	k = &l->sink;
	k->ops = &load_ops;
	l->engine = e;
	l->res.arena = &l->arena;
	l->url = engine_url(e, "/images/load?quiet=1");
	const struct http_request q = {
		.method = "POST",
		.url = &l->url,
		.content_type = "application/x-tar",
		.wait_ms = e->wait_ms,
	};
	if (http_push(e->http, &q, &l->res, &l->x, err) < 0)
		return NULL;
	return steal_pointer(&k);
}
