/* SPDX-License-Identifier: Apache-2.0
 *
 * For: HTML from literals and from text that nobody vouches for.
 * Relies on base/text.h for what is no character.
 * Promises: text ends no element and no attribute, and the output is valid UTF-8.
 */
#include "serve/html.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/number.h"
#include "base/text.h"

#define PERCENT 10000 /* hundredths of a percent that are a whole */

void html_init(struct html *h, struct buf *out, dray_error **err)
{
	*h = (struct html){ .out = out, .err = err };
}

int html_finish(struct html *h)
{
	return h->failed ? -1 : 0;
}

void html_bytes(struct html *h, struct span markup)
{
	if (!h->failed && buf_add(h->out, markup, h->err) < 0)
		h->failed = true;
}

static const char *entity_of(uint8_t c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

/* Text without controls. */
static void add_escaped(struct html *h, struct span s)
{
	size_t begin = 0;

	for (size_t i = 0; i < s.len; i++) {
		const char *entity = entity_of(s.data[i]);

		if (!entity)
			continue;
		html_bytes(h, span_from(span_head(s, i), begin));
		html_bytes(h, span_str(entity));
		begin = i + 1;
	}
	html_bytes(h, span_from(s, begin));
}

/* Text without ends of lines. */
static void add_line(struct html *h, struct span s)
{
	cleanup_buf struct buf safe = BUF_INIT(h->out->max);

	if (s.len == 0 || h->failed)
		return;
	if (text_escape(&safe, s, h->err) < 0)
		h->failed = true;
	else
		add_escaped(h, span_buf(&safe));
}

static size_t line_len(struct span s)
{
	size_t n = 0;

	while (n < s.len && s.data[n] != '\n' && s.data[n] != '\t')
		n++;
	return n;
}

void html_text(struct html *h, struct span s)
{
	for (;;) {
		size_t n = line_len(s);

		add_line(h, span_head(s, n));
		if (n == s.len)
			return;
		html_bytes(h, span_head(span_from(s, n), 1));
		s = span_from(s, n + 1);
	}
}

void html_str(struct html *h, const char *s)
{
	html_text(h, span_str(s));
}

void html_cut(struct html *h, struct span s, size_t max)
{
	size_t n = max;

	if (s.len <= max) {
		html_text(h, s);
		return;
	}
	while (n > 0 && (s.data[n] & 0xc0) == 0x80)
		n--;
	html_text(h, span_head(s, n));
	html_raw(h, "<span class=\"more\">… ");
	html_int(h, (int64_t)s.len);
	html_raw(h, " bytes in all</span>");
}

void html_int(struct html *h, int64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	html_str(h, text);
}

void html_size(struct html *h, int64_t size)
{
	char text[HUMAN_SIZE];

	html_raw(h, "<span title=\"");
	html_int(h, size);
	html_raw(h, " bytes\">");
	html_str(h, human_size(size, text));
	html_raw(h, "</span>");
}

void html_share(struct html *h, int64_t part, int64_t whole)
{
	char text[24];
	int64_t share;

	while (whole > INT64_MAX / PERCENT) {
		whole >>= 1;
		part >>= 1;
	}
	share = whole > 0 ? part * PERCENT / whole : 0;
	snprintf(text, sizeof(text), "%lld.%02lld%%", (long long)(share / 100),
		 (long long)(share % 100));
	html_str(h, text);
}
