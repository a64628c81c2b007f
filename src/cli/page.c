/* SPDX-License-Identifier: Apache-2.0
 *
 * For: gathering what goes to stdout and writing it at once.
 * Relies on: text.h for what a terminal may see, io.h for writing.
 * Promises: no byte from outside reaches a terminal as a command; JSON stays valid.
 */
#include "cli/page.h"

#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"

#define WRAP_AT 80   /* columns of help and legends */
#define WIDTH_MIN 40 /* a narrower terminal wraps by itself */

static bool env_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

void page_init(struct page *p, int fd)
{
	const char *term = getenv("TERM");
	struct winsize size;

	*p = (struct page){ .text = BUF_INIT(PAGE_MAX) };
	if (!isatty(fd))
		return;
	p->bold = term && *term && strcmp(term, "dumb") != 0 && !env_set("NO_COLOR");
	p->width = WRAP_AT;
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		p->width = size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
}

void page_clear(struct page *p)
{
	buf_clear(&p->text);
}

static void add(struct page *p, struct span s)
{
	if (!p->failed && buf_add(&p->text, s, NULL) < 0)
		p->failed = true;
}

void page_bytes(struct page *p, struct span bytes)
{
	add(p, bytes);
}

void page_put(struct page *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	cleanup_free char *text = mem_vprintf(fmt, args);
	va_end(args);
	if (text)
		add(p, span_str(text));
	else
		p->failed = true;
}

void page_safe(struct page *p, const char *s)
{
	if (!p->failed && text_escape(&p->text, span_str(s ? s : "-"), NULL) < 0)
		p->failed = true;
}

void page_heading(struct page *p, const char *text)
{
	add(p, span_str(p->bold ? "\033[1m" : ""));
	page_safe(p, text);
	add(p, span_str(p->bold ? "\033[0m" : ""));
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

int fold_spaces(struct span s, struct buf *ret)
{
	bool gap = false;

	for (size_t i = 0; i < s.len; i++) {
		if (is_space(s.data[i])) {
			gap = ret->len > 0;
			continue;
		}
		if ((gap && buf_add_byte(ret, ' ', NULL) < 0) ||
		    buf_add_byte(ret, s.data[i], NULL) < 0)
			return -1;
		gap = false;
	}
	return 0;
}

size_t count_columns(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += (s.data[i] & 0xc0) != 0x80;
	return n;
}

/* The first @p columns of valid UTF-8. */
static struct span cut_columns(struct span s, size_t columns)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		if ((s.data[i] & 0xc0) == 0x80)
			continue;
		if (n++ == columns)
			return span_head(s, i);
	}
	return s;
}

void page_line(struct page *p, const char *s, size_t used)
{
	static const char more[] = "...";
	cleanup_buf struct buf folded = BUF_INIT(PAGE_MAX);
	cleanup_buf struct buf safe = BUF_INIT(PAGE_MAX);
	size_t room = p->width > used + sizeof(more) ? p->width - used : sizeof(more);

	if (fold_spaces(span_str(s), &folded) < 0 ||
	    text_escape(&safe, span_buf(&folded), NULL) < 0) {
		p->failed = true;
		return;
	}
	if (!p->width || count_columns(span_buf(&safe)) <= room) {
		add(p, span_buf(&safe));
		return;
	}
	add(p, cut_columns(span_buf(&safe), room - strlen(more)));
	add(p, span_str(more));
}

void page_wrap(struct page *p, const char *text, size_t at, size_t indent)
{
	while (*text) {
		size_t len = strcspn(text, " \n");
		if (at > indent && at + 1 + len > WRAP_AT) {
			page_put(p, "\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			add(p, SPAN_LIT(" "));
			at++;
		}
		add(p, span_of(text, len));
		at += len;
		text += len;
		if (*text == '\n') {
			page_put(p, "\n%*s", (int)indent, "");
			at = indent;
		}
		text += *text != '\0';
	}
}

/* One character of a JSON document. What a terminal would act on stands in strings only:
 * there \u says the same. */
static void json_char(struct page *p, struct span c)
{
	cleanup_buf struct buf shown = BUF_INIT(16);

	if (text_escape(&shown, c, NULL) < 0)
		p->failed = true;
	else if (span_eq(span_buf(&shown), c))
		add(p, c);
	else if (c.len == 1)
		page_put(p, "\\u%04x", c.data[0]);
	else if (c.len == 2)
		page_put(p, "\\u%04x", (c.data[0] & 0x1f) << 6 | (c.data[1] & 0x3f));
	else
		page_put(p, "\\u%04x",
			 (c.data[0] & 0x0f) << 12 | (c.data[1] & 0x3f) << 6 | (c.data[2] & 0x3f));
}

void page_json_part(struct page *p, struct span json)
{
	size_t plain = 0;

	while (plain < json.len) {
		uint8_t c = json.data[plain];
		if (c >= 0x20 && c < 0x7f) {
			plain++;
			continue;
		}
		add(p, span_head(json, plain));
		json = span_from(json, plain);
		plain = 0;
		size_t n = utf8_len(json);
		if (n == 0)
			add(p, SPAN_LIT("\\ufffd"));
		else if (c >= 0x20)
			json_char(p, span_head(json, n));
		json = span_from(json, n ? n : 1);
	}
	add(p, json);
}

void page_json(struct page *p, struct span json)
{
	page_json_part(p, json);
	add(p, SPAN_LIT("\n"));
}

/* The string, number or word at the start of @p s. */
static struct span json_token(struct span s)
{
	size_t n = 0;

	if (s.data[0] != '"') {
		while (n < s.len && !strchr(",:[]{}\"", s.data[n]) && !is_space(s.data[n]))
			n++;
		return span_head(s, n ? n : 1);
	}
	for (n = 1; n < s.len && s.data[n] != '"'; n++)
		n += s.data[n] == '\\';
	return span_head(s, n + 1);
}

static struct span skip_space(struct span s)
{
	while (s.len && is_space(s.data[0]))
		s = span_from(s, 1);
	return s;
}

void page_pretty_json(struct page *p, const char *json, size_t indent)
{
	struct span s = skip_space(span_str(json));
	uint8_t last = 0;

	while (s.len && !p->failed) {
		struct span token = json_token(s);
		uint8_t c = token.data[0];
		bool opened = last == '{' || last == '[', closes = c == '}' || c == ']';

		indent -= closes && indent >= 2 ? 2 : 0;
		if (last == ',' || opened != closes)
			page_put(p, "\n%*s", (int)indent, "");
		if (last == ':')
			add(p, SPAN_LIT(" "));
		if (text_escape(&p->text, token, NULL) < 0)
			p->failed = true;
		indent += c == '{' || c == '[' ? 2 : 0;
		last = c;
		s = skip_space(span_from(s, token.len));
	}
}

/* A document on a terminal: lines stay lines, all else that is not text is escaped. */
static int escape_document(struct span s, struct buf *ret, dray_error **err)
{
	while (s.len) {
		size_t n = 0;
		while (n < s.len && s.data[n] != '\n' && s.data[n] != '\t')
			n++;
		if (text_escape(ret, span_head(s, n), err) < 0)
			return -1;
		if (n < s.len && buf_add_byte(ret, s.data[n++], err) < 0)
			return -1;
		s = span_from(s, n);
	}
	return 0;
}

int page_write(struct page *p, int fd, bool tty, dray_error **err)
{
	cleanup_buf struct buf shown = BUF_INIT(PAGE_MAX);
	struct span bytes = span_buf(&p->text);

	if (p->failed)
		return err_nomem(err);
	if (p->verbatim && tty) {
		if (escape_document(bytes, &shown, err) < 0)
			return -1;
		bytes = span_buf(&shown);
	}
	return io_write_all(fd, bytes, err);
}
