/* SPDX-License-Identifier: Apache-2.0
 *
 * What rules say: globs, expressions, values of attributes.
 * Relies on build/match for globs, on regcomp(3) for expressions, in the locale "C".
 * Promises that a rule is understood before any file is looked at.
 */
#include "build/rules.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "json/json.h"

#define REGEX_MAX 1000 /* bytes: a longer one is no rule but a list */
#define REGEX_PARTS_MAX \
	2000 /* regcomp(3) writes repeats out, and its memory is the square of that */
#define REGEX_TIMES_MAX 32767 /* RE_DUP_MAX of glibc */
#define XATTR_NAME_MAX 255    /* bytes, as Linux has it */
#define XATTR_VALUE_MAX 65536 /* the same */

/* ---- expressions ---- */

static int bad_regex(const regex_t *re, int code, dray_error **err)
{
	char why[200];

	regerror(code, re, why, sizeof(why));
	return err_set(err, DRAY_ERR_USAGE, "\"regex\": %s", why);
}

/* "\1" takes time without bounds. */
static bool has_back_reference(const char *text)
{
	for (; *text; text++)
		if (*text == '\\' && *++text >= '1' && *text <= '9')
			return true;
		else if (!*text)
			break;
	return false;
}

/* What follows "[...]", where classes as "[:alpha:]" may hold a ']'. */
static const char *skip_brackets(const char *c)
{
	c += 1 + (c[1] == '^');
	c += *c == ']';
	while (*c && *c != ']') {
		char end[] = { c[1], ']', '\0' };
		const char *to = *c == '[' && c[1] && strchr(".:=", c[1]) ? strstr(c + 2, end)
									  : NULL;

		c = to ? to + 2 : c + 1;
	}
	return *c ? c + 1 : c;
}

static const char *skip_one(const char *c)
{
	if (*c == '[')
		return skip_brackets(c);
	return c + (*c == '\\' && c[1] ? 2 : 1);
}

static size_t read_number(const char **c)
{
	size_t v = 0;

	for (; **c >= '0' && **c <= '9'; ++*c)
		if (v <= REGEX_TIMES_MAX)
			v = v * 10 + (size_t)(**c - '0');
	return v;
}

/* How often "{m,n}" writes down what stands before it: of "{m,}" the last one is a '*'. */
static size_t read_times(const char **c)
{
	size_t least, most;

	++*c;
	least = most = read_number(c);
	if (**c == ',') {
		++*c;
		most = **c == '}' ? least + 1 : read_number(c);
	}
	*c += **c == '}';
	if (most < least)
		most = least;
	return most ? most : 1;
}

/* Its parts once all repeats are written out, those within brackets too; too many are not counted on. */
static size_t count_parts(const char *text)
{
	size_t before[REGEX_MAX], depth = 0, sum = 0, last = 0;

	for (const char *c = text; *c && sum <= REGEX_PARTS_MAX;) {
		size_t times = 1;

		if (*c == '(') {
			before[depth++] = sum;
			sum = last = 0;
			c++;
		} else if (*c == ')' && depth > 0) {
			last = sum + 1;
			sum = before[--depth] + last;
			c++;
		} else if (*c == '{') {
			times = read_times(&c);
		} else if (*c == '*' || *c == '?' || *c == '+') {
			times += *c++ == '+'; /* "aa*" */
		} else {
			c = skip_one(c);
			last = 1;
			sum++;
		}
		sum += last * (times - 1);
		last *= times;
	}
	return sum;
}

static bool is_anchor(const char *c)
{
	return *c == '^' || *c == '$' || (*c == '\\' && c[1] && strchr("bB<>`'", c[1]));
}

/*
 * A '^' in front of all or of an alternative and a '$' behind it say nothing, for the whole path has
 * to fit; each takes regcomp(3) of glibc twice as long, and forever where what may be empty is
 * repeated. So these are left out, and others are refused.
 */
static int drop_anchors(const char *text, struct buf *ret, dray_error **err)
{
	size_t depth = 0;
	bool begins = true;

	for (const char *c = text, *next; *c; c = next) {
		bool ends;

		next = skip_one(c);
		ends = !*next || *next == '|';
		if (!is_anchor(c)) {
			if (buf_add(ret, span_of(c, (size_t)(next - c)), err) < 0)
				return -1;
		} else if (depth > 0 || *c == '\\' || (*c == '$' ? !ends : !begins) ||
			   (*next && strchr("*+?{", *next))) {
			return err_set(
				err, DRAY_ERR_USAGE,
				"\"regex\": '^' and '$' are known in front of all and behind "
				"all of it only, \"\\b\" and its like nowhere: it has to fit the "
				"whole path");
		}
		depth += *c == '(';
		depth -= *c == ')' && depth > 0;
		begins = *c == '|';
	}
	return buf_add_byte(ret, 0, err);
}

static int compile(const char *text, regex_t *ret, dray_error **err)
{
	int code = regcomp(ret, text, REG_EXTENDED);

	return code == 0 ? 0 : bad_regex(ret, code, err);
}

/* A ')' that closes nothing is itself to regcomp(3) of glibc; others refuse it. */
static int check_closed(const char *text, dray_error **err)
{
	cleanup_free char *opened = mem_printf("(%s", text);
	regex_t re;

	if (!opened)
		return err_nomem(err);
	if (regcomp(&re, opened, REG_EXTENDED | REG_NOSUB) != 0)
		return 0;
	regfree(&re);
	return err_set(err, DRAY_ERR_USAGE,
		       "\"regex\": a ')' that closes nothing; as itself it is "
		       "\"\\)\"");
}

/* The whole path is to fit, as it has to fit a glob: rules_fit() sees to that. */
static int read_regex(struct rules *r, const char *text, struct rule *ret, dray_error **err)
{
	cleanup_buf struct buf plain = BUF_INIT(REGEX_MAX + 1);
	size_t parts;

	if (strlen(text) > REGEX_MAX)
		return err_set(err, DRAY_ERR_USAGE, "\"regex\": more than %d bytes", REGEX_MAX);
	if (has_back_reference(text))
		return err_set(err, DRAY_ERR_USAGE, "\"regex\": back references are not known");
	parts = count_parts(text);
	if (parts > REGEX_PARTS_MAX)
		return err_set(err, DRAY_ERR_USAGE,
			       "\"regex\": with its repeats written out more than %d characters",
			       REGEX_PARTS_MAX);
	r->parts += parts;
	if (r->parts > LIMIT_RULES_REGEX)
		return err_set(err, DRAY_ERR_LIMIT,
			       "\"regex\": with those before it, their repeats written out, more "
			       "than %d characters (LIMIT_RULES_REGEX)",
			       LIMIT_RULES_REGEX);
	if (drop_anchors(text, &plain, err) < 0 ||
	    compile((const char *)plain.data, &ret->regex, err) < 0)
		return -1;
	ret->is_regex = true;
	if (check_closed((const char *)plain.data, err) == 0)
		return 0;
	regfree(&ret->regex);
	ret->is_regex = false;
	return -1;
}

/* ---- extended attributes ---- */

static int check_name(const char *name, dray_error **err)
{
	static const char *const spaces[] = { "security.", "system.", "trusted.", "user." };
	struct span s = span_str(name);

	for (size_t i = 0; i < ARRAY_LEN(spaces); i++)
		if (span_starts(s, spaces[i]) && s.len > strlen(spaces[i]) &&
		    s.len <= XATTR_NAME_MAX && !strchr(name, '=') &&
		    !span_starts(s, "trusted.overlay.") && !span_starts(s, "user.overlay."))
			return 0;
	return err_set(err, DRAY_ERR_USAGE,
		       "no attribute of a file: security., system., trusted. or user. begins one, "
		       "without '=', and not trusted.overlay. or user.overlay.");
}

static int hex_value(const char *text, struct buf *ret, dray_error **err)
{
	for (; *text; text += 2) {
		char pair[3] = { ascii_lower(text[0]), ascii_lower(text[1]), 0 };
		uint8_t byte;

		if (!hex_is_lower(span_str(pair), 2))
			return err_set(err, DRAY_ERR_USAGE, "0x: expected pairs of digits");
		hex_decode(pair, &byte, 1);
		if (buf_add_byte(ret, byte, err) < 0)
			return -1;
	}
	return 0;
}

/* As setfattr(1) reads it: "0s" is followed by base64, "0x" by digits, all else is text. */
static int read_value(const char *text, struct buf *ret, dray_error **err)
{
	if (strncmp(text, "0s", 2) == 0)
		return base64_decode(span_str(text + 2), ret, err) < 0
			       ? err_rekind(err, DRAY_ERR_USAGE)
			       : 0;
	if (strncmp(text, "0x", 2) == 0)
		return hex_value(text + 2, ret, err);
	return buf_add_str(ret, text, err);
}

static int read_xattr(struct rules *r, const struct spec_pair *p, struct tar_xattr *ret,
		      dray_error **err)
{
	cleanup_buf struct buf value = BUF_INIT(XATTR_VALUE_MAX);
	cleanup_json struct json_doc *doc = NULL;
	const char *text;

	if (check_name(p->name, err) < 0)
		return -1;
	ret->name = span_str(p->name);
	if (span_is(p->json, "null"))
		return 0;
	if (json_parse(p->json, &doc, err) < 0 ||
	    json_string(json_root(doc), "value", &r->arena, &text, err) < 0 ||
	    read_value(text, &value, err) < 0)
		return -1;
	ret->value = value.len ? arena_dup(&r->arena, span_buf(&value)) : SPAN_LIT("");
	return ret->value.data ? 0 : err_nomem(err);
}

static int read_xattrs(struct rules *r, const struct spec_pairs *p, struct rule *ret,
		       dray_error **err)
{
	struct layer_xattrs *x;

	if (p->n == 0)
		return 0;
	if (p->n > LIMIT_XATTRS)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d attributes (LIMIT_XATTRS)",
			       LIMIT_XATTRS);
	x = arena_alloc(&r->arena, sizeof(*x) + p->n * sizeof(x->list[0]));
	if (!x)
		return err_nomem(err);
	ret->xattrs = x;
	for (size_t i = 0; i < p->n; i++)
		if (read_xattr(r, &p->list[i], &x->list[x->n++], err) < 0) {
			cleanup_free char *shown = text_safe(span_str(p->list[i].name), 80);

			return err_ctx(err, "\"xattr\": %s", shown ? shown : "");
		}
	return 0;
}

/* ---- all of them ---- */

static int read_rule(struct rules *r, const struct spec_rule *from, struct rule *ret,
		     dray_error **err)
{
	if (read_xattrs(r, &from->xattr, ret, err) < 0)
		return -1;
	return from->regex ? read_regex(r, from->regex, ret, err)
			   : match_parse(&r->arena, from->match, &ret->glob, err);
}

static void rule_clear(struct rule *rule)
{
	if (rule->is_regex)
		regfree(&rule->regex);
	rule->is_regex = false;
}

/* With @p check for the errors alone. */
static int read_rules(struct rules *r, const struct spec *s, bool check, dray_error **err)
{
	*r = (struct rules){ .spec = s,
			     .text = BUF_INIT(2 * LIMIT_PATH),
			     .slashed = BUF_INIT(3 * LIMIT_PATH) };
	r->list = arena_array(&r->arena, s->n_rules + 1, sizeof(*r->list));
	if (!r->list)
		return err_nomem(err);
	for (; r->n < s->n_rules; r->n++) {
		if (read_rule(r, &s->rules[r->n], &r->list[r->n], err) < 0)
			return err_ctx(err, "rule %zu", r->n + 1),
			       spec_ctx(s, s->rules[r->n].at, err);
		if (check)
			rule_clear(&r->list[r->n]);
	}
	return 0;
}

int rules_init(struct rules *r, const struct spec *s, dray_error **err)
{
	return read_rules(r, s, false, err);
}

int rules_check(const struct spec *s, dray_error **err)
{
	struct rules r;
	int rc = read_rules(&r, s, true, err);

	rules_clear(&r);
	return rc;
}

void rules_clear(struct rules *r)
{
	for (size_t i = 0; i < r->n; i++)
		rule_clear(&r->list[i]);
	map_clear(&r->gone);
	match_path_clear(&r->path);
	buf_clear(&r->text);
	buf_clear(&r->slashed);
	arena_clear(&r->arena);
}

int rules_fit(struct rules *r, size_t i, const struct match_path *parts, const char *path,
	      enum tar_type t, dray_error **err)
{
	const struct rule *rule = &r->list[i];
	regmatch_t at;

	if (!rule_is_for(&r->spec->rules[i], t))
		return 0;
	if (!rule->is_regex)
		return match_fits(&rule->glob, parts, t == TAR_DIR);
	buf_reset(&r->slashed);
	if (buf_add_byte(&r->slashed, '/', err) < 0 || buf_add_str(&r->slashed, path, err) < 0 ||
	    buf_add_byte(&r->slashed, 0, err) < 0)
		return -1;
	/* The leftmost and then longest is all of it, if all of it fits. */
	switch (regexec(&rule->regex, (const char *)r->slashed.data, 1, &at, 0)) {
	case 0:
		return at.rm_so == 0 && (size_t)at.rm_eo == r->slashed.len - 1;
	case REG_NOMATCH:
		return 0;
	default:
		return err_nomem(err);
	}
}
