/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      the archive that an engine saves, as a source.
 * Relies:   on GET /images/get, whose errors after the first byte stand in the archive itself.
 * Promises: the stream ends only where HTTP says that it ends; the engine's own words for what broke it.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "remote/engine_priv.h"

#define TAIL_MAX 4096 /* bytes kept of what passed last: an error that was appended fits */

/* The body of an answer as a source that remembers the end of what passed. */
struct body {
	struct source source;
	struct arena arena; /* of url and the head */
	struct url url;
	struct http_response res;
	struct http_exchange *x;
	uint8_t tail[TAIL_MAX];
	size_t n_tail;
};

static int body_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	return http_peek(((struct body *)s)->x, min, ret, err);
}

static void keep_tail(struct body *b, struct span s)
{
	if (s.len > TAIL_MAX)
		s = span_from(s, s.len - TAIL_MAX);
	size_t keep = b->n_tail < TAIL_MAX - s.len ? b->n_tail : TAIL_MAX - s.len;
	memmove(b->tail, b->tail + b->n_tail - keep, keep);
	if (s.len)
		memcpy(b->tail + keep, s.data, s.len);
	b->n_tail = keep + s.len;
}

static void body_consume(struct source *s, size_t n)
{
	struct body *b = (struct body *)s;

	keep_tail(b, span_head(http_at_hand(b->x), n));
	http_consume(b->x, n);
}

static void body_free(struct source *s)
{
	struct body *b = (struct body *)s;

	http_end(b->x);
	arena_clear(&b->arena);
	mem_free(b);
}

static const struct source_ops body_ops = {
	.peek = body_peek,
	.consume = body_consume,
	.free = body_free,
};

static int refused(struct body *b, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_HTTP_ERROR);

	if (http_slurp(b->x, true, &text, NULL) < 0)
		buf_reset(&text);
	return engine_refusal(&b->res, span_buf(&text), "save", err);
}

struct source *engine_save(struct engine *e, const char *path, dray_error **err)
{
	struct body *b = mem_zalloc(sizeof(*b));
	cleanup_source struct source *s = b ? &b->source : NULL;

	if (!b) {
		err_nomem(err);
		return NULL;
	}
	s->ops = &body_ops;
	b->res.arena = &b->arena;
	b->url = engine_url(e, arena_strdup(&b->arena, path));
	if (!b->url.rest) {
		err_nomem(err);
		return NULL;
	}
	const struct http_request q = { .method = "GET", .url = &b->url, .wait_ms = e->wait_ms };

	if (http_begin(e->http, &q, &b->res, &b->x, err) < 0)
		return NULL;
	if (b->res.status != 200) {
		refused(b, err);
		return NULL;
	}
	return steal_pointer(&s);
}

static bool about_bytes(const dray_error *e)
{
	return dray_error_kind(e) == DRAY_ERR_FORMAT || dray_error_kind(e) == DRAY_ERR_CORRUPT;
}

int engine_save_failed(struct source *s, const char *place, dray_error **err)
{
	struct body *b = (struct body *)s;
	struct arena a = { 0 };
	struct span rest;

	if (!err || !about_bytes(*err))
		return -1;
	/* Where the archive breaks little is left, if it broke for that reason. */
	for (int64_t n = 0; n < LIMIT_HTTP_BODY; n += (int64_t)rest.len) {
		if (http_peek(b->x, 1, &rest, NULL) < 0 || !rest.len)
			break;
		body_consume(s, rest.len);
	}
	const char *text = engine_late_message(span_of(b->tail, b->n_tail), &a);
	if (text) {
		err_clear(err);
		err_set(err, DRAY_ERR_NETWORK, "%s: the engine broke off: %s", place, text);
	}
	arena_clear(&a);
	return -1;
}
