/* SPDX-License-Identifier: Apache-2.0
 *
 * For: times, digests and tables for people.
 * Relies on: number.h; no locale, no time zone.
 * Promises: columns line up whatever the cells hold; cells are escaped.
 */
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "cli/page.h"

#define CELL_MAX 4096 /* bytes; what is longer is cut */

const char *human_time(const char *rfc3339, char out[HUMAN_TIME])
{
	int64_t sec;
	int32_t nsec, offset;

	if (!rfc3339)
		return NULL;
	if (!time_parse_rfc3339(span_str(rfc3339), &sec, &nsec, &offset))
		return rfc3339;
	_Static_assert(HUMAN_TIME >= TIME_TEXT, "room for a time");
	return time_format_utc(sec, 0, out);
}

const char *short_digest(const char *digest, char out[13])
{
	const char *colon = digest ? strchr(digest, ':') : NULL;

	snprintf(out, 13, "%s", !digest ? "-" : colon ? colon + 1 : digest);
	return out;
}

/* One line, safe to show. */
static char *cell_text(const char *cell)
{
	cleanup_buf struct buf folded = BUF_INIT(PAGE_MAX);

	if (fold_spaces(span_str(cell ? cell : "-"), &folded) < 0)
		return NULL;
	return text_safe(span_buf(&folded), CELL_MAX);
}

void table_add(struct table *t, const char *cell)
{
	char *text = cell_text(cell);

	if (!text || mem_grow(&t->cells, t->len, &t->cap, sizeof(*t->cells)) < 0) {
		mem_free(text);
		t->failed = true;
		return;
	}
	t->cells[t->len++] = text;
}

static void measure(const struct table *t, size_t widths[TABLE_COLS])
{
	for (size_t i = 0; i < t->len; i++) {
		size_t n = count_columns(span_str(t->cells[i]));
		if (n > widths[i % t->cols])
			widths[i % t->cols] = n;
	}
}

/* A cell but for the last of its row: padded to @p width, and a gap. */
static void print_cell(const struct table *t, struct page *p, size_t i, size_t width)
{
	const char *text = t->cells[i];
	int pad = (int)(width - count_columns(span_str(text)));
	bool right = t->right[i % t->cols];

	page_put(p, "%*s", right ? pad : 0, "");
	if (i < t->cols)
		page_heading(p, text);
	else
		page_put(p, "%s", text);
	page_put(p, "%*s", right ? 2 : pad + 2, "");
}

void table_print(struct table *t, struct page *p, size_t indent)
{
	size_t widths[TABLE_COLS] = { 0 };
	size_t used = indent;

	if (t->failed) {
		p->failed = true;
		return;
	}
	measure(t, widths);
	for (size_t i = 0; i < t->cols - 1; i++)
		used += widths[i] + 2;
	for (size_t i = 0; i < t->len; i++) {
		size_t col = i % t->cols;
		page_put(p, "%*s", col == 0 ? (int)indent : 0, "");
		if (col + 1 < t->cols)
			print_cell(t, p, i, widths[col]);
		else if (i < t->cols)
			page_heading(p, t->cells[i]);
		else
			page_line(p, t->cells[i], used);
		page_put(p, "%s", col + 1 < t->cols ? "" : "\n");
	}
}

void table_clear(struct table *t)
{
	for (size_t i = 0; i < t->len; i++)
		mem_free(t->cells[i]);
	mem_free(t->cells);
	*t = (struct table){ 0 };
}

char *human_list(const char *const *names, size_t n, size_t max)
{
	cleanup_buf struct buf b = BUF_INIT(PAGE_MAX);

	for (size_t i = 0; i < n; i++) {
		cleanup_free char *name = text_safe(span_str(names[i]), max);
		int rc;

		if (!name)
			return NULL;
		if (i > 0 && b.len + strlen(name) > max) {
			rc = buf_printf(&b, NULL, " + %zu", n - i);
			return rc < 0 ? NULL : buf_steal_str(&b, NULL);
		}
		if (buf_printf(&b, NULL, "%s%s", i ? ", " : "", name) < 0)
			return NULL;
	}
	return buf_steal_str(&b, NULL);
}
