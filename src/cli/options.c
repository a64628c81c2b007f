/* SPDX-License-Identifier: Apache-2.0
 *
 * For: turning argv into the variables that option tables describe.
 * Relies on: number.h; argv outlives what was parsed.
 * Promises: an unknown or malformed option is USAGE with a hint, and changes nothing.
 */
#include "cli/options.h"

#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"

#define SHOWN_MAX 80 /* bytes of a user's word that an error repeats */

bool option_offered(const struct option_set *set, const struct option *o)
{
	return (o->needs & ~set->features) == 0;
}

bool option_takes_value(const struct option *o)
{
	return o->kind == OPT_INT || o->kind == OPT_STRING || o->kind == OPT_CHOICE ||
	       o->kind == OPT_LIST || o->kind == OPT_WORD;
}

bool choice_has(const char *choices, const char *word)
{
	size_t len = strlen(word);

	while (choices) {
		const char *end = strchrnul(choices, '|');
		if ((size_t)(end - choices) == len && memcmp(choices, word, len) == 0)
			return true;
		choices = *end ? end + 1 : NULL;
	}
	return false;
}

/* An option and the set whose variable it fills. */
struct found {
	const struct option *option;
	const struct option_set *set;
};

/* By its long name (first @p len bytes of @p name) or, with name NULL, by its letter. */
static struct found find_option(const struct option_parser *p, const char *name, size_t len,
				char letter)
{
	for (size_t i = 0; i < OPTION_SETS; i++) {
		const struct option_set *set = &p->sets[i];
		for (const struct option *o = set->options; o && o->name; o++) {
			bool same = name ? strlen(o->name) == len && !memcmp(o->name, name, len)
					 : o->letter == letter;
			if (same && option_offered(set, o))
				return (struct found){ o, set };
		}
	}
	return (struct found){ 0 };
}

static int unknown_name(const struct option_parser *p, const char *name, size_t len,
			dray_error **err)
{
	cleanup_free char *typed = text_safe(span_of(name, len), SHOWN_MAX);
	struct nearest near = { .typed = typed };

	if (!typed)
		return err_nomem(err);
	for (size_t i = 0; i < OPTION_SETS; i++) {
		const struct option_set *set = &p->sets[i];
		for (const struct option *o = set->options; o && o->name; o++) {
			if (option_offered(set, o))
				nearest_offer(&near, o->name);
		}
	}
	err_set(err, DRAY_ERR_USAGE, "unknown option '--%s'", typed);
	if (nearest_get(&near))
		err_hint(err, "did you mean '--%s'?", nearest_get(&near));
	return -1;
}

static int bad_value(const struct option *o, const char *value, const char *expected,
		     dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(value), SHOWN_MAX);

	return err_set(err, DRAY_ERR_USAGE, "option '--%s': expected %s, got '%s'", o->name,
		       expected, shown ? shown : "?");
}

static int set_int(const struct option *o, int *slot, const char *value, dray_error **err)
{
	char expected[64];
	int64_t n;

	if (num_parse_u63(span_str(value), &n) && n >= o->lo && n <= o->hi) {
		*slot = (int)n;
		return 0;
	}
	snprintf(expected, sizeof(expected), "a number from %d to %d", o->lo, o->hi);
	return bad_value(o, value, expected, err);
}

static int set_bool(const struct option *o, bool *slot, const char *value, dray_error **err)
{
	if (!value || choice_has("true|yes|1", value))
		*slot = true;
	else if (choice_has("false|no|0", value))
		*slot = false;
	else
		return bad_value(o, value, "true or false", err);
	return 0;
}

static int add_value(const struct option *o, struct option_list *l, const char *value,
		     dray_error **err)
{
	if (l->n == OPTION_LIST_MAX)
		return err_set(err, DRAY_ERR_USAGE, "option '--%s': more than %d of them", o->name,
			       OPTION_LIST_MAX);
	l->list[l->n++] = value;
	return 0;
}

static int add_word(const struct option *o, struct option_words *w, const char *value,
		    dray_error **err)
{
	if (w->n == OPTION_WORDS_MAX)
		return err_set(err, DRAY_ERR_USAGE, "more than %d options", OPTION_WORDS_MAX);
	w->list[w->n++] = (struct option_word){ o->name, value };
	return 0;
}

/* @p value is NULL exactly when the option takes none or may go without. */
static int apply(struct option_parser *p, struct found f, const char *value, dray_error **err)
{
	const struct option *o = f.option;
	void *slot = (char *)f.set->base + o->offset;

	p->used |= o->needs;
	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)slot = true;
		return 0;
	case OPT_COUNT:
		++*(int *)slot;
		return 0;
	case OPT_BOOL:
		return set_bool(o, slot, value, err);
	case OPT_INT:
		return set_int(o, slot, value, err);
	case OPT_CHOICE:
		if (!choice_has(o->choices, value))
			return bad_value(o, value, o->choices, err);
		break;
	case OPT_LIST:
		return add_value(o, slot, value, err);
	case OPT_WORD:
		return add_word(o, slot, value, err);
	case OPT_STRING:
		break;
	}
	*(const char **)slot = value;
	return 0;
}

static int missing_value(const struct option *o, dray_error **err)
{
	return err_set(err, DRAY_ERR_USAGE, "option '--%s' needs a value (%s)", o->name, o->arg);
}

/* "--name", "--name=value", "--name value"; @p text is behind the dashes. */
static int long_option(struct option_parser *p, const char *text, dray_error **err)
{
	const char *end = strchrnul(text, '=');
	const char *value = *end ? end + 1 : NULL;
	size_t len = (size_t)(end - text);
	struct found f = find_option(p, text, len, 0);

	if (!f.option)
		return unknown_name(p, text, len, err);
	if (value && !option_takes_value(f.option) && f.option->kind != OPT_BOOL)
		return err_set(err, DRAY_ERR_USAGE, "option '--%s' takes no value", f.option->name);
	if (!value && option_takes_value(f.option)) {
		if (!*p->argv)
			return missing_value(f.option, err);
		value = *p->argv++;
	}
	return apply(p, f, value, err);
}

/* One letter of a bundle; the rest of it is the value of a letter that takes one. */
static int short_option(struct option_parser *p, dray_error **err)
{
	char letter = *p->letters++;
	struct found f = find_option(p, NULL, 0, letter);
	const char *value = NULL;

	if (!f.option) {
		cleanup_free char *shown = text_safe(span_of(&letter, 1), 8);
		return err_set(err, DRAY_ERR_USAGE, "unknown option '-%s'", shown ? shown : "?");
	}
	if (option_takes_value(f.option)) {
		value = *p->letters ? p->letters : *p->argv;
		if (!value)
			return missing_value(f.option, err);
		if (!*p->letters)
			p->argv++;
		p->letters = "";
	}
	return apply(p, f, value, err);
}

int options_next(struct option_parser *p, const char **ret_word, dray_error **err)
{
	int rc = 0;

	while (rc == 0) {
		if (p->letters && *p->letters) {
			rc = short_option(p, err);
			continue;
		}
		if (!*p->argv)
			return 0;
		const char *word = *p->argv++;
		if (p->only_words || word[0] != '-' || !word[1]) {
			*ret_word = word;
			return 1;
		}
		if (word[1] != '-')
			p->letters = word + 1;
		else if (word[2])
			rc = long_option(p, word + 2, err);
		else
			p->only_words = true;
	}
	return rc;
}

/* ---- what goes together ---- */

static bool was_given(const struct option_set *set, const struct option *o)
{
	const void *slot = (const char *)set->base + o->offset;

	switch (o->kind) {
	case OPT_FLAG:
	case OPT_BOOL:
		return *(const bool *)slot;
	case OPT_INT:
	case OPT_COUNT:
		return *(const int *)slot != 0;
	case OPT_LIST:
		return ((const struct option_list *)slot)->n > 0;
	case OPT_WORD: /* shared by several: nobody asks */
		return ((const struct option_words *)slot)->n > 0;
	default:
		return *(const char *const *)slot != NULL;
	}
}

/* The first of @p names "a|b" that was given; NULL. */
static const struct option *given_of(const struct option_set *set, const char *names)
{
	for (const struct option *o = set->options; names && o->name; o++)
		if (choice_has(names, o->name) && was_given(set, o))
			return o;
	return NULL;
}

/* "--a or --b" of "a|b". */
static int lacks(const struct option *o, dray_error **err)
{
	const char *end = strchrnul(o->with, '|');
	int first = (int)(end - o->with);

	if (!*end)
		return err_set(err, DRAY_ERR_USAGE, "--%s needs --%s", o->name, o->with);
	return err_set(err, DRAY_ERR_USAGE, "--%s needs --%.*s or --%s", o->name, first, o->with,
		       end + 1);
}

int options_check(const struct option_set *set, dray_error **err)
{
	for (const struct option *o = set->options; o && o->name; o++) {
		const struct option *other;

		if (!was_given(set, o))
			continue;
		if (o->with && !given_of(set, o->with))
			return lacks(o, err);
		other = given_of(set, o->against);
		if (other)
			return err_set(err, DRAY_ERR_USAGE, "--%s and --%s do not go together",
				       o->name, other->name);
	}
	return 0;
}

/* ---- sizes ---- */

#define FRACTION 1000000000 /* digits behind a point that count: nine */

/* The digits in front; *ret_rest is what follows them. */
static size_t take_digits(struct span text, struct span *ret_rest)
{
	size_t n = 0;

	while (n < text.len && text.data[n] >= '0' && text.data[n] <= '9')
		n++;
	*ret_rest = span_from(text, n);
	return n;
}

bool option_scaled(struct span text, int64_t unit, int64_t *ret, struct span *ret_rest)
{
	size_t digits = take_digits(text, ret_rest);
	int64_t whole, part = 0, scale = 1;

	if (!num_parse_u63(span_head(text, digits), &whole) ||
	    __builtin_mul_overflow(whole, unit, ret))
		return false;
	if (!span_starts(*ret_rest, "."))
		return true;
	text = span_from(*ret_rest, 1);
	digits = take_digits(text, ret_rest);
	for (size_t i = 0; i < digits && scale < FRACTION; i++, scale *= 10)
		part = part * 10 + (text.data[i] - '0');
	return digits > 0 && !__builtin_add_overflow(*ret, part * unit / scale, ret);
}

bool option_size(const char *text, int64_t *ret)
{
	static const struct {
		const char *name;
		int64_t bytes;
	} units[] = {
		{ "", 1 },	   { "b", 1 },	       { "kb", 1000 },	     { "kib", 1 << 10 },
		{ "mb", 1000000 }, { "mib", 1 << 20 }, { "gb", 1000000000 }, { "gib", 1 << 30 },
	};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		struct span rest;

		if (option_scaled(span_str(text), units[i].bytes, ret, &rest) &&
		    ascii_ieq(rest, units[i].name))
			return true;
	}
	return false;
}
