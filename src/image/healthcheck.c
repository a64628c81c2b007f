/* SPDX-License-Identifier: Apache-2.0
 *
 * A check of health that a spec or a flag gives, judged before an image says it.
 * Relies on json/ for types.
 * Promises that an engine which reads the config finds a check that it can run, or none.
 */
#include "image/healthcheck.h"

#include <string.h>

#include "base/nearest.h"
#include "base/number.h"

#define LEAST_NS 1000000 /* moby's MinimumDuration: what its builder refuses to go below */

enum kind { KIND_TEST, KIND_TIME, KIND_COUNT };
static const struct member {
	const char *name;
	enum kind kind;
} members[] = {
	{ "Test", KIND_TEST },	      { "Interval", KIND_TIME },      { "Timeout", KIND_TIME },
	{ "StartPeriod", KIND_TIME }, { "StartInterval", KIND_TIME }, { "Retries", KIND_COUNT },
};

static int wrong(struct health_flaw *f, struct json at, const char *problem)
{
	f->at = at;
	snprintf(f->problem, sizeof(f->problem), "%s", problem);
	return 1;
}

static int wrong_type(struct health_flaw *f, struct json at, const char *expected)
{
	f->at = at;
	snprintf(f->problem, sizeof(f->problem), "expected %s, found %s", expected,
		 json_type_name(json_type(at)));
	return 1;
}

/* ---- Test ---- */

static bool is_word(const char *word, const char *any)
{
	return word && strcmp(word, any) == 0;
}

static int check_test(struct json v, struct arena *a, struct health_flaw *f, dray_error **err)
{
	const char *first = NULL;

	if (json_type(v) != JSON_ARRAY)
		return wrong_type(f, v, "array as [\"CMD-SHELL\",\"...\"]");
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		cleanup_error dray_error *odd = NULL;
		const char *word;

		if (json_type(it) != JSON_STRING)
			return wrong_type(f, it, "string");
		if (json_string(it, f->key, a, &word, &odd) < 0)
			return dray_error_kind(odd) == DRAY_ERR_NOMEM
				       ? err_nomem(err)
				       : wrong(f, it, "it holds a NUL");
		first = first ? first : word;
	}
	if (!first || is_word(first, "NONE"))
		return 0;
	if (!is_word(first, "CMD") && !is_word(first, "CMD-SHELL"))
		return wrong(
			f, json_first(v),
			"it begins with NONE, CMD or CMD-SHELL, or is [] for that of the base");
	return json_len(v) > 1 ? 0 : wrong(f, v, "the command is missing");
}

/* ---- numbers ---- */

/* "1m30s", as Dockerfiles have it. */
static bool read_duration(const char *text, int64_t *ret)
{
	static const struct {
		const char *unit;
		int64_t ns;
	} units[] = { { "ns", 1 },	   { "us", 1000 },	 { "ms", 1000000 },
		      { "s", 1000000000 }, { "m", 60000000000 }, { "h", 3600000000000 } };

	*ret = 0;
	for (size_t i; *text; text += strlen(units[i].unit)) {
		size_t digits = strspn(text, "0123456789"),
		       len = strcspn(text + digits, "0123456789");
		int64_t v;

		if (!num_parse_u63(span_of(text, digits), &v))
			return false;
		text += digits;
		for (i = 0; i < ARRAY_LEN(units); i++)
			if (strlen(units[i].unit) == len && memcmp(text, units[i].unit, len) == 0)
				break;
		if (i == ARRAY_LEN(units) || __builtin_mul_overflow(v, units[i].ns, &v) ||
		    __builtin_add_overflow(*ret, v, ret))
			return false;
	}
	return *ret > 0;
}

static int wrong_duration(struct json v, struct arena *a, struct health_flaw *f, dray_error **err)
{
	cleanup_error dray_error *odd = NULL;
	const char *text;
	int64_t ns;

	if (json_string(v, f->key, a, &text, &odd) < 0 && dray_error_kind(odd) == DRAY_ERR_NOMEM)
		return err_nomem(err);
	if (odd || !read_duration(text, &ns))
		return wrong(f, v, "expected nanoseconds: 30 seconds are 30000000000");
	f->at = v;
	snprintf(f->problem, sizeof(f->problem), "expected nanoseconds: %.20s are %lld", text,
		 (long long)ns);
	return 1;
}

static int check_number(struct json v, enum kind kind, struct arena *a, struct health_flaw *f,
			dray_error **err)
{
	bool time = kind == KIND_TIME;
	int64_t got;

	if (time && json_type(v) == JSON_STRING)
		return wrong_duration(v, a, f, err);
	if (json_type(v) != JSON_NUMBER)
		return wrong_type(f, v, time ? "nanoseconds" : "number");
	if (json_int(v, f->key, &got, NULL) < 0 || got < 0)
		return wrong(f, v,
			     time ? "expected whole nanoseconds from 0 on"
				  : "expected a whole number from 0 on");
	if (time && got > 0 && got < LEAST_NS)
		return wrong(f, v,
			     "it is in nanoseconds: 1000000, a millisecond, is the least but 0");
	return 0;
}

/* ---- all of it ---- */

static int unknown(struct json member, struct arena *a, struct health_flaw *f, dray_error **err)
{
	struct nearest near = { 0 };
	cleanup_error dray_error *odd = NULL;

	if (json_name(member, a, &near.typed, &odd) < 0 && dray_error_kind(odd) == DRAY_ERR_NOMEM)
		return err_nomem(err);
	for (size_t i = 0; !odd && i < ARRAY_LEN(members); i++)
		nearest_offer(&near, members[i].name);
	f->near = odd ? NULL : nearest_get(&near);
	return wrong(f, member, "unknown key");
}

static int check_member(struct json it, struct arena *a, struct health_flaw *f, dray_error **err)
{
	const struct member *m = members, *end = members + ARRAY_LEN(members);

	while (m < end && !span_is(json_name_raw(it), m->name))
		m++;
	if (m == end)
		return unknown(it, a, f, err);
	f->key = m->name;
	return m->kind == KIND_TEST ? check_test(it, a, f, err)
				    : check_number(it, m->kind, a, f, err);
}

int health_check(struct json v, struct health_flaw *ret, dray_error **err)
{
	struct arena a = { 0 };
	int rc = 0;

	for (struct json it = json_first(v); rc == 0 && json_node(it); it = json_next(it)) {
		*ret = (struct health_flaw){ 0 };
		rc = check_member(it, &a, ret, err);
	}
	arena_clear(&a);
	return rc;
}
