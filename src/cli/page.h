/* SPDX-License-Identifier: Apache-2.0
 *
 * What a command has to say on stdout: gathered, then written at once, so that
 * a failure in the middle leaves no half answer.
 */
#pragma once

#include "base/jsonw.h"
#include "base/number.h"
#include "base/span.h"

#define PAGE_MAX (1LL << 30) /* bytes; a report of LIMIT_LAYERS layers is far below it */

struct page {
	struct buf text;
	size_t width;  /* columns of the terminal; 0 = not a terminal, nothing is cut */
	bool bold;     /* headings may stand out */
	bool failed;   /* no memory; later calls do nothing */
	bool verbatim; /* bytes of a document: escaped only where a terminal shows them */
};

/** For what will be written to @p fd. */
void page_init(struct page *p, int fd);
void page_clear(struct page *p);
/** Text of our own. */
void page_put(struct page *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void page_heading(struct page *p, const char *text); /* untrusted is fine */
/** Text from outside, escaped; NULL shows "-". */
void page_safe(struct page *p, const char *s);
/** The same in one line: white space folded, cut to the width when @p used columns are taken. */
void page_line(struct page *p, const char *s, size_t used);
/** Our own words, wrapped at 80 columns; the first line starts at @p at, others at @p indent. */
void page_wrap(struct page *p, const char *text, size_t at, size_t indent);
/** A document as it is. */
void page_bytes(struct page *p, struct span bytes);
/** JSON text indented for people, each line after @p indent spaces. */
void page_pretty_json(struct page *p, const char *json, size_t indent);
/** A finished JSON document: valid, in one line, harmless to a terminal. */
void page_json(struct page *p, struct span json);
/** A piece of one, whole strings, without the end of the line. */
void page_json_part(struct page *p, struct span json);

/** Check and write everything. @p tty: a terminal will show it. */
int page_write(struct page *p, int fd, bool tty, dray_error **err) MUST_CHECK;

/** Seconds, UTC: "2026-11-20T22:34:47Z"; what is not a time comes back as it is. */
#define HUMAN_TIME 48
const char *human_time(const char *rfc3339, char out[HUMAN_TIME]);
/** "a, b + 3": of @p n names, safe to show, what fits into @p max bytes; NULL = no memory. */
char *human_list(const char *const *names, size_t n, size_t max) MUST_CHECK;
/** "sha256:0123456789ab..." to its first 12 digits. */
const char *short_digest(const char *digest, char out[13]);

/** Every run of white space becomes one blank; none at either end. */
int fold_spaces(struct span s, struct buf *ret) MUST_CHECK;
/** Columns of valid UTF-8, one per character. */
size_t count_columns(struct span s);

/** Rows of cells, printed in columns as wide as needed. */
#define TABLE_COLS 9
struct table {
	size_t cols;
	bool right[TABLE_COLS]; /* numbers */
	char **cells;		/* row by row, owned, escaped */
	size_t len, cap;
	bool failed;
};
void table_add(struct table *t, const char *cell);
void table_print(struct table *t, struct page *p, size_t indent); /* the first row is the heading */
void table_clear(struct table *t);
#define cleanup_table CLEANUP(table_clear)
