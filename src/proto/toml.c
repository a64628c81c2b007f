/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines of TOML: headers, keys, comments; and looking things up.
 * Relies on toml_value.c for what stands behind a '='. Promises that a table is
 * defined once and that every error names its line.
 */
#include "proto/toml.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "proto/toml_priv.h"

int toml_here(const struct toml_reader *r)
{
	return r->at < r->text.len ? r->text.data[r->at] : -1;
}

bool toml_at(const struct toml_reader *r, const char *text)
{
	return span_starts(span_from(r->text, r->at), text);
}

void toml_spaces(struct toml_reader *r)
{
	while (toml_here(r) == ' ' || toml_here(r) == '\t')
		r->at++;
}

int toml_wrong(const struct toml_reader *r, dray_error **err, const char *what)
{
	return err_set(err, DRAY_ERR_FORMAT, "line %d: %s", r->line, what);
}

int toml_expect(struct toml_reader *r, char c, const char *what, dray_error **err)
{
	if (toml_here(r) != (uint8_t)c)
		return toml_wrong(r, err, what);
	r->at++;
	return 0;
}

/* To the end of the line, if a comment begins here. */
static int comment(struct toml_reader *r, dray_error **err)
{
	if (toml_here(r) != '#')
		return 0;
	for (int c = toml_here(r); c >= 0 && c != '\n' && !toml_at(r, "\r\n"); c = toml_here(r)) {
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return toml_wrong(r, err, "a control character in a comment");
		r->at++;
	}
	return 0;
}

/* 1 = past a line's end, 0 = there is none. */
static int line_end(struct toml_reader *r)
{
	if (toml_here(r) != '\n' && !toml_at(r, "\r\n"))
		return 0;
	r->at += toml_here(r) == '\r' ? 2 : 1;
	r->line++;
	return 1;
}

int toml_blank(struct toml_reader *r, dray_error **err)
{
	do {
		toml_spaces(r);
		if (comment(r, err) < 0)
			return -1;
	} while (line_end(r));
	return 0;
}

struct toml *toml_add(struct toml_reader *r, struct toml *parent, const char *key, dray_error **err)
{
	struct toml *v = NULL;

	if (++r->values > LIMIT_TOML_VALUES)
		err_set(err, DRAY_ERR_LIMIT, "more than %d values (LIMIT_TOML_VALUES)",
			LIMIT_TOML_VALUES);
	else if (!(v = arena_alloc(r->arena, sizeof(*v))))
		err_nomem(err);
	if (!v)
		return NULL;
	v->key = key;
	v->line = r->line;
	if (parent->last)
		parent->last->next = v;
	else
		parent->first = v;
	parent->last = v;
	return v;
}

/* ---- headers ---- */

static struct toml *find(const struct toml *table, const char *key)
{
	return (struct toml *)(uintptr_t)toml_get(table, key);
}

static struct toml *add_table(struct toml_reader *r, struct toml *parent, const char *key,
			      dray_error **err)
{
	struct toml *t = toml_add(r, parent, key, err);

	if (t) {
		t->type = TOML_TABLE;
		t->open = true;
	}
	return t;
}

/* One step of [a.b.c] towards its last part. */
static int step_into(struct toml_reader *r, struct toml **at, const char *key, dray_error **err)
{
	struct toml *next = find(*at, key);

	if (!next) {
		next = add_table(r, *at, key, err);
		if (!next)
			return -1;
		next->implied = true;
	} else if (next->type == TOML_ARRAY && next->listed) {
		next = next->last;
	} else if (next->type != TOML_TABLE || !next->open) {
		return toml_wrong(r, err, "a header below what is no table");
	}
	*at = next;
	return 0;
}

/* [a]: a new table, or one that a header below it implied. */
static int enter_table(struct toml_reader *r, struct toml *in, const char *key, dray_error **err)
{
	struct toml *t = find(in, key);

	if (t && !t->implied)
		return toml_wrong(r, err, "a table is defined twice");
	if (!t)
		t = add_table(r, in, key, err);
	if (!t)
		return -1;
	t->implied = false;
	r->table = t;
	return 0;
}

/* [[a]]: one more table of an array. */
static int enter_element(struct toml_reader *r, struct toml *in, const char *key, dray_error **err)
{
	struct toml *list = find(in, key);

	if (list && !list->listed)
		return toml_wrong(r, err, "an array of tables is defined twice");
	if (!list) {
		list = toml_add(r, in, key, err);
		if (!list)
			return -1;
		list->type = TOML_ARRAY;
		list->listed = true;
	}
	r->table = add_table(r, list, NULL, err);
	return r->table ? 0 : -1;
}

static int header(struct toml_reader *r, dray_error **err)
{
	bool element = toml_at(r, "[[");
	struct toml *in = r->root;
	const char *key;

	r->at += element ? 2 : 1;
	for (;;) {
		toml_spaces(r);
		if (toml_key_part(r, &key, err) < 0)
			return -1;
		toml_spaces(r);
		if (toml_here(r) != '.')
			break;
		r->at++;
		if (step_into(r, &in, key, err) < 0)
			return -1;
	}
	if (toml_expect(r, ']', "']' was expected", err) < 0 ||
	    (element && toml_expect(r, ']', "']]' was expected", err) < 0))
		return -1;
	return element ? enter_element(r, in, key, err) : enter_table(r, in, key, err);
}

/* ---- the document ---- */

static int line(struct toml_reader *r, dray_error **err)
{
	struct toml *slot;

	if (toml_here(r) == '[')
		return header(r, err);
	return toml_key(r, r->table, &slot, err) < 0 ? -1 : toml_value(r, slot, err);
}

static int document(struct toml_reader *r, dray_error **err)
{
	if (toml_blank(r, err) < 0)
		return -1;
	while (toml_here(r) >= 0) {
		if (line(r, err) < 0)
			return -1;
		toml_spaces(r);
		if (comment(r, err) < 0)
			return -1;
		if (toml_here(r) >= 0 && !line_end(r))
			return toml_wrong(r, err, "more on the line than a key and its value");
		if (toml_blank(r, err) < 0)
			return -1;
	}
	return 0;
}

int toml_parse(struct span text, struct arena *a, struct toml **ret, dray_error **err)
{
	struct toml_reader r = { .text = text, .line = 1, .arena = a };

	if (!utf8_valid(text))
		return err_set(err, DRAY_ERR_FORMAT, "not UTF-8");
	r.root = r.table = arena_alloc(a, sizeof(*r.root));
	if (!r.root)
		return err_nomem(err);
	r.root->type = TOML_TABLE;
	r.root->line = 1;
	if (document(&r, err) < 0)
		return -1;
	*ret = r.root;
	return 0;
}

/* ---- looking ---- */

const struct toml *toml_get(const struct toml *table, const char *key)
{
	if (!table || table->type != TOML_TABLE)
		return NULL;
	for (const struct toml *v = table->first; v; v = v->next) {
		if (strcmp(v->key, key) == 0)
			return v;
	}
	return NULL;
}

static int wrong_type(const struct toml *v, const char *want, dray_error **err)
{
	cleanup_free char *key = text_safe(span_str(v->key), 100);

	return err_set(err, DRAY_ERR_FORMAT, "line %d: %s is not %s", v->line, key ? key : "it",
		       want);
}

int toml_get_string(const struct toml *table, const char *key, const char **ret, dray_error **err)
{
	const struct toml *v = toml_get(table, key);

	if (!v)
		return 0;
	if (v->type != TOML_STRING)
		return wrong_type(v, "a string", err);
	*ret = v->string;
	return 0;
}

int toml_get_bool(const struct toml *table, const char *key, bool *ret, dray_error **err)
{
	const struct toml *v = toml_get(table, key);

	if (!v)
		return 0;
	if (v->type != TOML_BOOL)
		return wrong_type(v, "true or false", err);
	*ret = v->boolean;
	return 0;
}

int toml_get_tables(const struct toml *table, const char *key, const struct toml **ret,
		    dray_error **err)
{
	const struct toml *v = toml_get(table, key);

	*ret = v;
	if (!v)
		return 0;
	if (v->type != TOML_ARRAY)
		return wrong_type(v, "an array of tables", err);
	for (const struct toml *e = v->first; e; e = e->next) {
		if (e->type != TOML_TABLE)
			return wrong_type(v, "an array of tables", err);
	}
	return 0;
}
