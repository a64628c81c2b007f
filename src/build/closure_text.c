/* SPDX-License-Identifier: Apache-2.0
 *
 * Closures as lines: registrations with and without hash, lists of paths.
 * Relies on lines of lists being paths, so that a number in the third line tells them apart.
 * Promises errors that name the line.
 */
#include "build/closure_priv.h"

#include "base/number.h"

struct lines {
	struct span rest;
	struct span line; /* without its end */
	size_t number;
};

static bool next_line(struct lines *l)
{
	int64_t end = span_find(l->rest, '\n');

	if (l->rest.len == 0)
		return false;
	l->line = span_head(l->rest, end < 0 ? l->rest.len : (size_t)end);
	l->rest = span_from(l->rest, end < 0 ? l->rest.len : (size_t)end + 1);
	l->number++;
	return true;
}

static int need_line(struct lines *l, const char *what, dray_error **err)
{
	if (next_line(l))
		return 0;
	return err_set(err, DRAY_ERR_FORMAT, "the text ends before %s", what);
}

static int need_number(struct lines *l, const char *what, int64_t *ret, dray_error **err)
{
	if (need_line(l, what, err) < 0)
		return -1;
	return num_parse_u63(l->line, ret)
		       ? 0
		       : err_set(err, DRAY_ERR_FORMAT, "%s should be here and is not", what);
}

/* ---- registrations ---- */

static int read_refs(struct draft *d, struct lines *l, dray_error **err)
{
	int64_t n;

	if (need_line(l, "the line of the deriver", err) < 0 ||
	    need_number(l, "the number of references", &n, err) < 0)
		return -1;
	for (int64_t i = 0; i < n; i++)
		if (need_line(l, "all references are told", err) < 0 ||
		    draft_ref(d, l->line, err) < 0)
			return -1;
	return 0;
}

/* A path, with @p sized its hash and size, then deriver, count and references. */
static int read_entry(struct draft *d, struct lines *l, bool sized, dray_error **err)
{
	struct span path = l->line;
	int64_t size = -1;

	if (sized &&
	    (need_line(l, "the hash", err) < 0 || need_number(l, "the size", &size, err) < 0))
		return -1;
	if (draft_entry(d, path, size, err) < 0)
		return -1;
	return read_refs(d, l, err);
}

static int read_entries(struct draft *d, struct lines *l, bool sized, dray_error **err)
{
	d->has_refs = true;
	while (next_line(l))
		if (l->line.len > 0 && read_entry(d, l, sized, err) < 0)
			return err_ctx(err, "line %zu", l->number);
	return 0;
}

/* ---- lists ---- */

static int read_list(struct draft *d, struct lines *l, dray_error **err)
{
	while (next_line(l))
		if (l->line.len > 0 && draft_entry(d, l->line, -1, err) < 0)
			return err_ctx(err, "line %zu", l->number);
	return 0;
}

static int read_list_nul(struct draft *d, struct span text, dray_error **err)
{
	for (size_t n = 1; text.len > 0; n++) {
		int64_t end = span_find(text, '\0');
		size_t len = end < 0 ? text.len : (size_t)end;

		if (len > 0 && draft_entry(d, span_head(text, len), -1, err) < 0)
			return err_ctx(err, "path %zu", n);
		text = span_from(text, end < 0 ? text.len : len + 1);
	}
	return 0;
}

/* ---- which it is ---- */

int draft_text(struct draft *d, struct span text, dray_error **err)
{
	struct lines l = { .rest = text }, look = { .rest = text };
	struct span second = { 0 };
	int64_t number;

	if (span_find(text, '\0') >= 0)
		return read_list_nul(d, text, err);
	if (!next_line(&look))
		return 0;
	if (next_line(&look))
		second = look.line;
	if (!next_line(&look) || !num_parse_u63(look.line, &number))
		return read_list(d, &l, err);
	/* The deriver, which may be nobody, or a hash. */
	return read_entries(d, &l, second.len > 0 && second.data[0] != '/', err);
}
