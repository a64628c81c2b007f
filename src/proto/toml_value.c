/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys and values of TOML.
 * Relies on toml_string.c. Promises no recursion: containers that are open stand on a
 * stack of DEPTH_MAX, and no key is defined twice.
 */
#include "base/mem.h"
#include "base/number.h"
#include "proto/toml_priv.h"

#define DEPTH_MAX 16 /* containers in containers; real files have two */

/* ---- keys ---- */

static bool is_bare(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

int toml_key_part(struct toml_reader *r, const char **ret, dray_error **err)
{
	size_t start = r->at;

	if (toml_here(r) == '"' || toml_here(r) == '\'')
		return toml_string(r, false, ret, err);
	while (is_bare(toml_here(r)))
		r->at++;
	if (r->at == start)
		return toml_wrong(r, err, "a key was expected");
	*ret = arena_strndup(r->arena, (const char *)r->text.data + start, r->at - start);
	return *ret ? 0 : err_nomem(err);
}

/* The table that the part @p key of a dotted key leads into. */
static int descend(struct toml_reader *r, struct toml **table, const char *key, dray_error **err)
{
	struct toml *next = (struct toml *)(uintptr_t)toml_get(*table, key);

	if (next && (next->type != TOML_TABLE || !next->dotted))
		return toml_wrong(r, err, "a dotted key adds to what is defined elsewhere");
	if (!next) {
		next = toml_add(r, *table, key, err);
		if (!next)
			return -1;
		next->type = TOML_TABLE;
		next->dotted = true;
	}
	*table = next;
	return 0;
}

int toml_key(struct toml_reader *r, struct toml *table, struct toml **ret, dray_error **err)
{
	const char *key;

	for (;;) {
		if (toml_key_part(r, &key, err) < 0)
			return -1;
		toml_spaces(r);
		if (toml_here(r) != '.')
			break;
		r->at++;
		toml_spaces(r);
		if (descend(r, &table, key, err) < 0)
			return -1;
	}
	if (toml_expect(r, '=', "'=' was expected", err) < 0)
		return -1;
	toml_spaces(r);
	if (toml_get(table, key))
		return toml_wrong(r, err, "a key is defined twice");
	*ret = toml_add(r, table, key, err);
	return *ret ? 0 : -1;
}

/* ---- values ---- */

static bool take_word(struct toml_reader *r, const char *word)
{
	size_t n = strlen(word);
	struct span rest = span_from(r->text, r->at);

	if (!span_starts(rest, word) || (rest.len > n && is_bare(rest.data[n])))
		return false;
	r->at += n;
	return true;
}

/* What begins like a number or is "inf" or "nan". */
static int number(struct toml_reader *r, struct toml *slot, dray_error **err)
{
	static const char signs[] = "+-.:";
	size_t start = r->at;
	struct span word;

	for (int c = toml_here(r); is_bare(c) || (c > 0 && strchr(signs, c)); c = toml_here(r))
		r->at++;
	word = span_of(r->text.data + start, r->at - start);
	if (!word.len)
		return toml_wrong(r, err, "a value was expected");
	slot->type = TOML_OTHER;
	if (num_parse_i64(word, &slot->integer)) {
		slot->type = TOML_INT;
		return 0;
	}
	if (strchr("+-0123456789", word.data[0]) || span_is(word, "inf") || span_is(word, "nan"))
		return 0;
	return toml_wrong(r, err, "not a value; is a string without quotes meant?");
}

/* 1 = a container was opened, 0 = *slot is whole. */
static int begin_value(struct toml_reader *r, struct toml *slot, dray_error **err)
{
	int c = toml_here(r);

	slot->line = r->line;
	if (c == '[' || c == '{') {
		r->at++;
		slot->type = c == '[' ? TOML_ARRAY : TOML_TABLE;
		return 1;
	}
	if (c == '"' || c == '\'') {
		slot->type = TOML_STRING;
		return toml_string(r, true, &slot->string, err);
	}
	slot->boolean = take_word(r, "true");
	if (slot->boolean || take_word(r, "false")) {
		slot->type = TOML_BOOL;
		return 0;
	}
	return number(r, slot, err);
}

/* The next place in an array: 1 = *ret, 0 = the array is closed. */
static int next_element(struct toml_reader *r, struct toml *in, struct toml **ret, dray_error **err)
{
	if (toml_blank(r, err) < 0)
		return -1;
	if (in->first && toml_here(r) != ']') {
		if (toml_expect(r, ',', "',' or ']' was expected", err) < 0 ||
		    toml_blank(r, err) < 0)
			return -1;
	}
	if (toml_here(r) == ']') {
		r->at++;
		return 0;
	}
	*ret = toml_add(r, in, NULL, err);
	return *ret ? 1 : -1;
}

/* The same in an inline table, which is one line and has no comma at its end. */
static int next_member(struct toml_reader *r, struct toml *in, struct toml **ret, dray_error **err)
{
	toml_spaces(r);
	if (toml_here(r) == '}') {
		r->at++;
		return 0;
	}
	if (in->first) {
		if (toml_expect(r, ',', "',' or '}' was expected", err) < 0)
			return -1;
		toml_spaces(r);
	}
	return toml_key(r, in, ret, err) < 0 ? -1 : 1;
}

int toml_value(struct toml_reader *r, struct toml *slot, dray_error **err)
{
	struct toml *open[DEPTH_MAX];
	size_t depth = 0;

	for (;;) {
		int rc = begin_value(r, slot, err);

		if (rc < 0)
			return -1;
		if (rc > 0 && depth == DEPTH_MAX)
			return toml_wrong(r, err, "values are nested too deep");
		if (rc > 0)
			open[depth++] = slot;
		for (rc = 0; rc == 0;) {
			if (!depth)
				return 0;
			rc = open[depth - 1]->type == TOML_ARRAY
				     ? next_element(r, open[depth - 1], &slot, err)
				     : next_member(r, open[depth - 1], &slot, err);
			if (rc < 0)
				return -1;
			depth -= rc == 0;
		}
	}
}
