/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      the head of an answer: status and the few headers that we look at.
 * Relies:   on curl to hand over one header line a call.
 * Promises: bounded: one value of HEADER_MAX bytes at most, the first of each name, challenges counted.
 */
#include "remote/http_priv.h"

#include "base/io.h"
#include "base/number.h"
#include "base/text.h"

#define KNOB_MAX_MS 3600000
#define HEADER_MAX 16384 /* bytes of one value; upload states and signed URLs stay far below */

static const struct {
	const char *name;
	size_t off;
} kept[] = {
	{ "location", offsetof(struct http_response, location) },
	{ "content-type", offsetof(struct http_response, content_type) },
	{ "content-range", offsetof(struct http_response, content_range) },
	{ "range", offsetof(struct http_response, range) },
	{ "docker-content-digest", offsetof(struct http_response, digest) },
	{ "retry-after", offsetof(struct http_response, retry_after) },
	{ "warning", offsetof(struct http_response, warning) },
	{ "link", offsetof(struct http_response, link) },
	{ "oci-subject", offsetof(struct http_response, subject) },
};

static struct span trim(struct span s)
{
	while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = span_from(s, 1);
	while (s.len && s.data[s.len - 1] <= ' ')
		s.len--;
	return s;
}

/* A new head begins: whatever an interim answer said is void. */
static void begin_head(struct http_response *res, struct span line)
{
	int64_t space = span_find(line, ' '), status = 0;
	struct arena *arena = res->arena;

	*res = (struct http_response){ .arena = arena, .length = -1 };
	if (space > 0) {
		struct span rest = trim(span_from(line, (size_t)space));

		if (num_parse_u63(span_head(rest, 3), &status))
			res->status = (int)status;
	}
}

static bool keep(struct http_response *res, struct span name, struct span value)
{
	const char **slot = NULL;
	int64_t length;

	if (ascii_ieq(name, "content-length") && num_parse_u63(value, &length))
		res->length = length;
	if (ascii_ieq(name, "www-authenticate") && res->n_challenges < HTTP_CHALLENGES)
		slot = &res->challenge[res->n_challenges++];
	for (size_t i = 0; i < ARRAY_LEN(kept) && !slot; i++) {
		if (ascii_ieq(name, kept[i].name))
			slot = (const char **)(void *)((char *)res + kept[i].off);
	}
	if (!slot || *slot || value.len > HEADER_MAX)
		return true;
	*slot = arena_strndup(res->arena, (const char *)value.data, value.len);
	return *slot != NULL;
}

size_t http_head_line(char *data, size_t size, size_t n, void *arg)
{
	struct http_exchange *x = arg;
	struct span line = span_of(data, size * n);
	int64_t colon = span_find(line, ':');

	x->moved_ms = io_now_ms();
	if (x->head_done) /* trailers */
		return size * n;
	if (span_starts(line, "HTTP/")) {
		begin_head(x->res, line);
	} else if (trim(line).len == 0) {
		x->head_done = x->res->status >= 200;
	} else if (colon > 0) {
		struct span value = trim(span_from(line, (size_t)colon + 1));

		if (!keep(x->res, span_head(line, (size_t)colon), value))
			return 0; /* no memory: curl gives up */
	}
	return size * n;
}

bool http_value_safe(const char *value)
{
	for (const char *p = value; *p; p++) {
		if (*p < ' ' || *p > '~')
			return false;
	}
	return true;
}

int64_t http_env_ms(const char *name, int64_t fallback)
{
	const char *text = getenv(name);
	int64_t ms = 0;

	if (!text || !num_parse_u63(span_str(text), &ms) || ms < 1 || ms > KNOB_MAX_MS)
		return fallback;
	return ms;
}
