/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of passwd and group.
 * Relies on nothing but text: no name is looked up on the machine that builds.
 * Promises that lines which are there stay as they are.
 */
#include "build/accounts.h"

#include "base/number.h"
#include "base/text.h"

#define FIELDS 7

bool accounts_any(const struct spec *s)
{
	for (size_t i = 0; i < s->n_sources; i++)
		if (s->sources[i].type == SPEC_USER || s->sources[i].type == SPEC_GROUP)
			return true;
	return false;
}

/* The next line, cut at its colons; false at the end. */
static bool next_line(struct span *text, struct span f[FIELDS])
{
	int64_t end = span_find(*text, '\n');
	struct span line = span_head(*text, end < 0 ? text->len : (size_t)end);

	if (text->len == 0)
		return false;
	*text = span_from(*text, line.len + (end >= 0));
	for (size_t i = 0; i < FIELDS; i++) {
		int64_t colon = span_find(line, ':');

		f[i] = span_head(line, colon < 0 ? line.len : (size_t)colon);
		line = span_from(line, f[i].len + (colon >= 0));
	}
	return true;
}

/* A line with this in field @p at; its fields in @p f. */
static bool find_line(struct span text, size_t at, struct span want, struct span f[FIELDS])
{
	while (next_line(&text, f))
		if (f[0].len && span_eq(f[at], want))
			return true;
	return false;
}

static struct span number(int64_t n, char room[24])
{
	return span_of(room, (size_t)snprintf(room, 24, "%lld", (long long)n));
}

static int check_text(const char *what, const char *text, dray_error **err)
{
	if (!text || (!strpbrk(text, ":\n") && text[0] != '+' && text[0] != '-'))
		return 0;
	cleanup_free char *shown = text_safe(span_str(text), 80);
	return err_set(err, DRAY_ERR_USAGE, "%s \"%s\": no line of passwd can say that", what,
		       shown ? shown : "");
}

static int check(const struct spec_source *s, dray_error **err)
{
	if (spec_id(s->uid.v, err) < 0 || spec_id(s->gid.v, err) < 0)
		return err_ctx(err, "%s", s->name);
	if (check_text("name", s->name, err) < 0 || check_text("home", s->home, err) < 0)
		return -1;
	return check_text("shell", s->shell, err);
}

/* Some files lack the last line's end, which only matters when a line follows. */
static int end_line(struct buf *ret, dray_error **err)
{
	return ret->len == 0 || ret->data[ret->len - 1] == '\n' ? 0 : buf_add_byte(ret, '\n', err);
}

/* A number that another name has: whose it is would depend on who asks. */
static int check_number(const char *what, const char *name, int64_t id, struct span text,
			dray_error **err)
{
	struct span f[FIELDS];
	char digits[24];

	if (!find_line(text, 2, number(id, digits), f))
		return 0;
	cleanup_free char *other = text_safe(f[0], 80);
	return err_set(err, DRAY_ERR_USAGE, "%s \"%s\": the number %lld is that of \"%s\"", what,
		       name, (long long)id, other ? other : "");
}

static int add_user(const struct spec_source *s, struct buf *ret, dray_error **err)
{
	struct span f[FIELDS];
	char uid[24], gid[24];

	if (find_line(span_buf(ret), 0, span_str(s->name), f)) {
		if (span_eq(f[2], number(s->uid.v, uid)) && span_eq(f[3], number(s->gid.v, gid)))
			return 0;
		return err_set(err, DRAY_ERR_USAGE,
			       "user \"%s\" is there already, with other numbers", s->name);
	}
	if (check_number("user", s->name, s->uid.v, span_buf(ret), err) < 0 ||
	    end_line(ret, err) < 0)
		return -1;
	return buf_printf(ret, err, "%s:x:%lld:%lld::%s:%s\n", s->name, (long long)s->uid.v,
			  (long long)s->gid.v, s->home ? s->home : "/",
			  s->shell ? s->shell : "/sbin/nologin");
}

static int add_group(const struct spec_source *s, struct buf *ret, dray_error **err)
{
	struct span f[FIELDS];
	char gid[24];

	if (s->type == SPEC_USER && find_line(span_buf(ret), 2, number(s->gid.v, gid), f))
		return 0;
	if (find_line(span_buf(ret), 0, span_str(s->name), f)) {
		if (span_eq(f[2], number(s->gid.v, gid)))
			return 0;
		return err_set(err, DRAY_ERR_USAGE,
			       "group \"%s\" is there already, with another number", s->name);
	}
	if (check_number("group", s->name, s->gid.v, span_buf(ret), err) < 0 ||
	    end_line(ret, err) < 0)
		return -1;
	return buf_printf(ret, err, "%s:x:%lld:\n", s->name, (long long)s->gid.v);
}

static int add_all(const struct spec *s, struct span old, bool groups, struct buf *ret,
		   dray_error **err)
{
	if (buf_add(ret, old, err) < 0)
		return -1;
	/* Groups that are asked for come before those that users need. */
	for (int pass = groups ? SPEC_GROUP : SPEC_USER; pass >= SPEC_USER; pass--)
		for (size_t i = 0; i < s->n_sources; i++) {
			const struct spec_source *src = &s->sources[i];

			if ((int)src->type != pass)
				continue;
			if (check(src, err) < 0 ||
			    (groups ? add_group(src, ret, err) : add_user(src, ret, err)) < 0)
				return err_ctx(err, "source %zu", i + 1), spec_ctx(s, src->at, err);
		}
	return 0;
}

int accounts_passwd(const struct spec *s, struct span old, struct buf *ret, dray_error **err)
{
	return add_all(s, old, false, ret, err);
}

int accounts_group(const struct spec *s, struct span old, struct buf *ret, dray_error **err)
{
	return add_all(s, old, true, ret, err);
}
