/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what is told about requests: one line of JSON each, and troubles of our own.
 * Relies on the callbacks of whoever started the server.
 * Promises: lines are whole, valid JSON whatever a client sent, and come one at a time.
 */
#include <time.h>

#include "base/jsonw.h"
#include "base/number.h"
#include "serve/serve_priv.h"

#define LINE_MAX_BYTES (64 * KIB)
#define AGENT_MAX 256 /* bytes of User-Agent that are kept */
#define USER_MAX 256  /* bytes of a user's name, which may come from a token */
#define METHOD_MAX \
	32 /* bytes of what may be no method; of a target that is none: ROUTE_TARGET_MAX */

static void write_time(struct jsonw *w)
{
	char text[TIME_TEXT];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	jsonw_kstring(w, "time", time_format_utc(now.tv_sec, (int32_t)now.tv_nsec, text));
}

/* Text of clients, who choose how long it is; the line holds all of it escaped. */
static void write_part(struct jsonw *w, const char *key, const char *text, size_t max)
{
	jsonw_key(w, key);
	jsonw_bytes(w, span_head(span_str(text), max));
}

static void write_line(struct jsonw *w, const struct exchange *ex, bool whole)
{
	jsonw_object(w);
	write_time(w);
	jsonw_kstring(w, "client", ex->peer->name);
	if (ex->who.user)
		write_part(w, "user", ex->who.user, USER_MAX);
	write_part(w, "method", ex->method, METHOD_MAX);
	write_part(w, "target", ex->peer->target, ROUTE_TARGET_MAX);
	if (ex->route.repo)
		jsonw_kstring(w, "repository", ex->route.repo);
	jsonw_kint(w, "status", ex->status);
	jsonw_kint(w, "received", ex->received);
	jsonw_kint(w, "sent", ex->sent);
	jsonw_kint(w, "ms", io_now_ms() - ex->began_ms);
	if (!whole)
		jsonw_kbool(w, "cut", true);
	if (ex->head.agent)
		write_part(w, "agent", ex->head.agent, AGENT_MAX);
	jsonw_end_object(w);
}

void log_access(const struct exchange *ex, bool whole)
{
	cleanup_buf struct buf text = BUF_INIT(LINE_MAX_BYTES);
	struct server *s = ex->server;
	struct jsonw w;

	if (!s->o.on_access)
		return;
	jsonw_init(&w, &text, NULL);
	write_line(&w, ex, whole);
	if (jsonw_finish(&w) < 0 || buf_add_byte(&text, '\0', NULL) < 0)
		return; /* no memory to tell */
	lock_take(s->log);
	s->o.on_access(s->o.arg, (const char *)text.data);
	lock_drop(s->log);
}

void log_trouble(struct server *s, const struct exchange *ex, const char *text)
{
	cleanup_buf struct buf line = BUF_INIT(LINE_MAX_BYTES);

	if (!s->o.on_trouble)
		return;
	if (ex && ex->peer->target &&
	    buf_printf(&line, NULL, "%.*s %.*s: ", METHOD_MAX, ex->method, ROUTE_TARGET_MAX,
		       ex->peer->target) < 0)
		return;
	if (buf_add_str(&line, text, NULL) < 0 || buf_add_byte(&line, '\0', NULL) < 0)
		return;
	lock_take(s->log);
	s->o.on_trouble(s->o.arg, (const char *)line.data);
	lock_drop(s->log);
}
