/* SPDX-License-Identifier: Apache-2.0
 *
 * For: turning a text into a tree of places in that text.
 * Relies on: token.c for strings and numbers, twins.c for member names.
 * Promises: linear time, no recursion, nothing accepted that RFC 8259 refuses.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "json/json_priv.h"

enum expect {
	EXPECT_VALUE,
	EXPECT_FIRST_ELEMENT, /* or ']' */
	EXPECT_FIRST_NAME,    /* or '}' */
	EXPECT_NAME,
	EXPECT_COMMA, /* or the end of the container */
	EXPECT_END,   /* of the text */
};

struct level {
	uint32_t node; /* the container */
	uint32_t last; /* its newest child; 0 = none yet */
};

struct scan {
	struct json_doc *doc;
	size_t pos;
	enum expect expect;
	uint32_t name_off, name_len; /* of the member whose value comes next */
	bool name_odd;
	uint32_t depth;
	struct level levels[LIMIT_JSON_DEPTH];
};

static int refuse(const struct scan *s, const char *reason, dray_error **err)
{
	return err_set(err, DRAY_ERR_FORMAT, "JSON at byte %zu: %s", s->pos, reason);
}

static int unexpected(const struct scan *s, const char *wanted, dray_error **err)
{
	if (s->pos == s->doc->text.len)
		return err_set(err, DRAY_ERR_FORMAT, "JSON at byte %zu: text ends, expected %s",
			       s->pos, wanted);
	uint8_t c = s->doc->text.data[s->pos];
	if (c > 0x20 && c < 0x7f)
		return err_set(err, DRAY_ERR_FORMAT, "JSON at byte %zu: '%c', expected %s", s->pos,
			       c, wanted);
	return err_set(err, DRAY_ERR_FORMAT, "JSON at byte %zu: byte 0x%02x, expected %s", s->pos,
		       c, wanted);
}

static void skip_space(struct scan *s)
{
	const struct span text = s->doc->text;
	size_t at = s->pos;

	while (at < text.len && (text.data[at] == ' ' || text.data[at] == '\n' ||
				 text.data[at] == '\t' || text.data[at] == '\r'))
		at++;
	s->pos = at;
}

/* The next byte, or 0, which no grammar rule accepts, at the end. */
static uint8_t current(const struct scan *s)
{
	return s->pos < s->doc->text.len ? s->doc->text.data[s->pos] : 0;
}

static int link_to_parent(struct scan *s, uint32_t index, dray_error **err)
{
	if (s->depth == 0)
		return 0;
	struct level *up = &s->levels[s->depth - 1];
	struct json_node *nodes = s->doc->nodes;

	if (up->last)
		nodes[up->last].next = index;
	up->last = index;
	nodes[up->node].count++;
	if (nodes[up->node].type == JSON_OBJECT && nodes[up->node].count > LIMIT_JSON_NAMES)
		return err_set(err, DRAY_ERR_LIMIT,
			       "JSON at byte %zu: more than %d members in one object "
			       "(LIMIT_JSON_NAMES)",
			       s->pos, LIMIT_JSON_NAMES);
	return 0;
}

/* A node of @p type that begins here, joined to its parent; its length is not known yet. */
static struct json_node *add_node(struct scan *s, enum json_type type, dray_error **err)
{
	struct json_doc *d = s->doc;

	if (d->len > LIMIT_JSON_NODES) {
		err_set(err, DRAY_ERR_LIMIT,
			"JSON at byte %zu: more than %d values (LIMIT_JSON_NODES)", s->pos,
			LIMIT_JSON_NODES);
		return NULL;
	}
	if (mem_grow(&d->nodes, d->len, &d->cap, sizeof(*d->nodes)) < 0) {
		err_nomem(err);
		return NULL;
	}
	uint32_t index = (uint32_t)d->len++;
	d->nodes[index] = (struct json_node){
		.off = (uint32_t)s->pos,
		.name_off = s->name_off,
		.name_len = s->name_len,
		.name_odd = s->name_odd,
		.type = (uint8_t)type,
	};
	s->name_off = s->name_len = 0;
	s->name_odd = false;
	return link_to_parent(s, index, err) < 0 ? NULL : &d->nodes[index];
}

/* A value ended before @p end: what may come next depends on what it is in. */
static void end_value(struct scan *s, struct json_node *n, size_t end)
{
	n->len = (uint32_t)(end - n->off);
	s->pos = end;
	s->expect = s->depth ? EXPECT_COMMA : EXPECT_END;
}

static int open_container(struct scan *s, enum json_type type, dray_error **err)
{
	if (s->depth == LIMIT_JSON_DEPTH)
		return err_set(err, DRAY_ERR_LIMIT,
			       "JSON at byte %zu: nested deeper than %d levels (LIMIT_JSON_DEPTH)",
			       s->pos, LIMIT_JSON_DEPTH);
	if (!add_node(s, type, err))
		return -1;
	s->levels[s->depth++] = (struct level){ .node = (uint32_t)s->doc->len - 1 };
	s->expect = type == JSON_OBJECT ? EXPECT_FIRST_NAME : EXPECT_FIRST_ELEMENT;
	s->pos++;
	return 0;
}

static int close_container(struct scan *s, dray_error **err)
{
	uint32_t index = s->levels[--s->depth].node;
	struct json_node *n = &s->doc->nodes[index];

	if (n->type == JSON_OBJECT && json_check_twins(s->doc, index, &n->case_twins, err) < 0)
		return -1;
	end_value(s, n, s->pos + 1);
	return 0;
}

static int scan_string(struct scan *s, dray_error **err)
{
	struct json_node *n = add_node(s, JSON_STRING, err);
	bool odd;
	size_t end;

	if (!n || json_scan_string(s->doc->text, s->pos, false, &end, &odd, err) < 0)
		return -1;
	end_value(s, n, end);
	return 0;
}

static int scan_number(struct scan *s, dray_error **err)
{
	struct json_node *n = add_node(s, JSON_NUMBER, err);
	size_t end;

	if (!n || json_scan_number(s->doc->text, s->pos, &end, err) < 0)
		return -1;
	end_value(s, n, end);
	return 0;
}

static int scan_word(struct scan *s, enum json_type type, const char *word, dray_error **err)
{
	if (!span_starts(span_from(s->doc->text, s->pos), word))
		return unexpected(s, "a value", err);
	struct json_node *n = add_node(s, type, err);
	if (!n)
		return -1;
	end_value(s, n, s->pos + strlen(word));
	return 0;
}

static int scan_value(struct scan *s, dray_error **err)
{
	switch (current(s)) {
	case '{':
		return open_container(s, JSON_OBJECT, err);
	case '[':
		return open_container(s, JSON_ARRAY, err);
	case '"':
		return scan_string(s, err);
	case 't':
		return scan_word(s, JSON_TRUE, "true", err);
	case 'f':
		return scan_word(s, JSON_FALSE, "false", err);
	case 'n':
		return scan_word(s, JSON_NULL, "null", err);
	case '-':
	case '0' ... '9':
		return scan_number(s, err);
	default:
		return unexpected(s, "a value", err);
	}
}

static int scan_name(struct scan *s, dray_error **err)
{
	size_t end;

	if (current(s) != '"')
		return unexpected(s, "a member name", err);
	if (json_scan_string(s->doc->text, s->pos, true, &end, &s->name_odd, err) < 0)
		return -1;
	s->name_off = (uint32_t)s->pos + 1;
	s->name_len = (uint32_t)(end - s->pos - 2);
	s->pos = end;
	skip_space(s);
	if (current(s) != ':')
		return unexpected(s, "':'", err);
	s->pos++;
	s->expect = EXPECT_VALUE;
	return 0;
}

static int scan_comma(struct scan *s, dray_error **err)
{
	bool object = s->doc->nodes[s->levels[s->depth - 1].node].type == JSON_OBJECT;
	uint8_t c = current(s);

	if (c == (object ? '}' : ']'))
		return close_container(s, err);
	if (c != ',')
		return unexpected(s, object ? "',' or '}'" : "',' or ']'", err);
	s->pos++;
	s->expect = object ? EXPECT_NAME : EXPECT_VALUE;
	return 0;
}

static int scan_step(struct scan *s, dray_error **err)
{
	switch (s->expect) {
	case EXPECT_FIRST_ELEMENT:
		if (current(s) == ']')
			return close_container(s, err);
		return scan_value(s, err);
	case EXPECT_FIRST_NAME:
		if (current(s) == '}')
			return close_container(s, err);
		return scan_name(s, err);
	case EXPECT_NAME:
		return scan_name(s, err);
	case EXPECT_COMMA:
		return scan_comma(s, err);
	default:
		return scan_value(s, err);
	}
}

static int scan_text(struct scan *s, dray_error **err)
{
	if (span_starts(s->doc->text, "\xef\xbb\xbf"))
		return refuse(s, "a byte order mark, expected a value", err);
	do {
		skip_space(s);
		if (scan_step(s, err) < 0)
			return -1;
	} while (s->expect != EXPECT_END);
	skip_space(s);
	return s->pos < s->doc->text.len ? refuse(s, "data after the value", err) : 0;
}

int json_parse(struct span text, struct json_doc **ret, dray_error **err)
{
	if (text.len >= UINT32_MAX)
		return err_set(err, DRAY_ERR_LIMIT, "JSON text of %zu bytes, limit 4 GiB",
			       text.len);
	cleanup_json struct json_doc *d = mem_zalloc(sizeof(*d));
	if (!d || mem_grow(&d->nodes, 0, &d->cap, sizeof(*d->nodes)) < 0)
		return err_nomem(err);
	d->text = text;
	d->nodes[0] = (struct json_node){ .type = JSON_MISSING };
	d->len = 1;

	struct scan s = { .doc = d, .expect = EXPECT_VALUE };
	if (scan_text(&s, err) < 0)
		return -1;
	*ret = steal_pointer(&d);
	return 0;
}

void json_doc_free(struct json_doc *d)
{
	if (!d)
		return;
	mem_free(d->nodes);
	mem_free(d);
}
