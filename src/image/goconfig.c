/* SPDX-License-Identifier: Apache-2.0
 *
 * Docker's container.Config through Go's decoder and encoder, byte for byte.
 * Relies on json_want() to refuse twin fields, also those that differ in case only.
 * Promises Go's order, Go's zero values, and maps sorted by the bytes of their keys.
 */
#include "image/goconfig_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"

enum go_type {
	GO_STRING,
	GO_BOOL,
	GO_INT,
	GO_INT_POINTER, /* omitted when absent, kept when 0 */
	GO_STRINGS,	/* []string */
	GO_STR_SLICE,	/* []string that a lone string may stand for */
	GO_SET,		/* map[string]struct{} */
	GO_STRING_MAP,
	GO_HEALTH, /* pointer to the health check's struct */
};

/* Which engines know a field: nobody before it was added keeps it. */
enum go_since {
	SINCE_ALWAYS,
	SINCE_1_13,
	SINCE_17_05,
	SINCE_25,
};

struct go_field {
	const char *name;
	enum go_type type;
	bool omit_empty;
	enum go_since since;
};

static const struct go_field config_fields[] = {
	{ "Hostname", GO_STRING, false, SINCE_ALWAYS },
	{ "Domainname", GO_STRING, false, SINCE_ALWAYS },
	{ "User", GO_STRING, false, SINCE_ALWAYS },
	{ "AttachStdin", GO_BOOL, false, SINCE_ALWAYS },
	{ "AttachStdout", GO_BOOL, false, SINCE_ALWAYS },
	{ "AttachStderr", GO_BOOL, false, SINCE_ALWAYS },
	{ "ExposedPorts", GO_SET, true, SINCE_ALWAYS },
	{ "Tty", GO_BOOL, false, SINCE_ALWAYS },
	{ "OpenStdin", GO_BOOL, false, SINCE_ALWAYS },
	{ "StdinOnce", GO_BOOL, false, SINCE_ALWAYS },
	{ "Env", GO_STRINGS, false, SINCE_ALWAYS },
	{ "Cmd", GO_STR_SLICE, false, SINCE_ALWAYS },
	{ "Healthcheck", GO_HEALTH, true, SINCE_ALWAYS },
	{ "ArgsEscaped", GO_BOOL, true, SINCE_ALWAYS },
	{ "Image", GO_STRING, false, SINCE_ALWAYS },
	{ "Volumes", GO_SET, false, SINCE_ALWAYS },
	{ "WorkingDir", GO_STRING, false, SINCE_ALWAYS },
	{ "Entrypoint", GO_STR_SLICE, false, SINCE_ALWAYS },
	{ "NetworkDisabled", GO_BOOL, true, SINCE_ALWAYS },
	{ "MacAddress", GO_STRING, true, SINCE_ALWAYS },
	{ "OnBuild", GO_STRINGS, false, SINCE_ALWAYS },
	{ "Labels", GO_STRING_MAP, false, SINCE_ALWAYS },
	{ "StopSignal", GO_STRING, true, SINCE_ALWAYS },
	{ "StopTimeout", GO_INT_POINTER, true, SINCE_1_13 },
	{ "Shell", GO_STR_SLICE, true, SINCE_ALWAYS },
};

static const struct go_field health_fields[] = {
	{ "Test", GO_STRINGS, true, SINCE_ALWAYS },  { "Interval", GO_INT, true, SINCE_ALWAYS },
	{ "Timeout", GO_INT, true, SINCE_ALWAYS },   { "StartPeriod", GO_INT, true, SINCE_17_05 },
	{ "StartInterval", GO_INT, true, SINCE_25 }, { "Retries", GO_INT, true, SINCE_ALWAYS },
};

static bool knows(const struct v1_params *p, enum go_since since)
{
	switch (since) {
	case SINCE_ALWAYS:
		return true;
	case SINCE_1_13:
		return p->era != V1_ERA_ZERO;
	case SINCE_17_05:
		return p->era == V1_ERA_EPOCH;
	case SINCE_25:
		return p->era == V1_ERA_EPOCH && p->created_null;
	}
	return false;
}

static int write_string(struct goconfig *g, struct json v, const struct go_field *f)
{
	struct span s = { 0 };

	if (json_present(v) && json_string_bytes(v, f->name, g->arena, &s, g->err) < 0)
		return -1;
	if (f->omit_empty && s.len == 0)
		return 0;
	jsonw_key(g->w, f->name);
	jsonw_bytes(g->w, s);
	return 0;
}

static int write_bool(struct goconfig *g, struct json v, const struct go_field *f)
{
	bool on = false;

	if (json_bool(v, f->name, false, &on, g->err) < 0)
		return -1;
	if (!f->omit_empty || on)
		jsonw_kbool(g->w, f->name, on);
	return 0;
}

static int write_int(struct goconfig *g, struct json v, const struct go_field *f)
{
	int64_t n = 0;

	if (!json_present(v))
		return 0;
	if (json_int(v, f->name, &n, g->err) < 0)
		return -1;
	if (n != 0 || f->type == GO_INT_POINTER)
		jsonw_kint(g->w, f->name, n);
	return 0;
}

/* One element; Go leaves the zero value where it meets null. */
static int write_element(struct goconfig *g, struct json v, const char *what)
{
	struct span s = { 0 };

	if (json_present(v) && json_string_bytes(v, what, g->arena, &s, g->err) < 0)
		return -1;
	jsonw_bytes(g->w, s);
	return 0;
}

static int write_elements(struct goconfig *g, struct json list, const char *what)
{
	for (struct json v = json_first(list); json_node(v); v = json_next(v))
		if (g->w->failed || write_element(g, v, what) < 0)
			return -1;
	return 0;
}

static int write_strings(struct goconfig *g, struct json v, const struct go_field *f)
{
	bool lone = f->type == GO_STR_SLICE && json_type(v) == JSON_STRING;

	if (!lone && json_want(v, JSON_ARRAY, true, f->name, g->err) < 0)
		return -1;
	if (f->omit_empty && !lone && (!json_present(v) || json_len(v) == 0))
		return 0;
	jsonw_key(g->w, f->name);
	if (!json_present(v)) {
		jsonw_null(g->w);
		return 0;
	}
	jsonw_array(g->w);
	if (g->w->failed ||
	    (lone ? write_element(g, v, f->name) : write_elements(g, v, f->name)) < 0)
		return -1;
	jsonw_end_array(g->w);
	return 0;
}

/* A member of a map: its decoded key beside its value. */
struct pair {
	const char *key;
	struct json value;
};

static int by_key(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return strcmp(x->key, y->key); /* unsigned bytes: UTF-8 order */
}

/* The members of @p v sorted by key, in the arena. */
static int sorted_pairs(struct goconfig *g, struct json v, struct pair **ret)
{
	struct pair *pairs = arena_array(g->arena, json_len(v) + 1, sizeof(*pairs));
	size_t n = 0;

	if (!pairs)
		return err_nomem(g->err);
	for (struct json m = json_first(v); json_node(m); m = json_next(m)) {
		if (json_name(m, g->arena, &pairs[n].key, g->err) < 0)
			return -1;
		pairs[n++].value = m;
	}
	qsort(pairs, n, sizeof(*pairs), by_key);
	*ret = pairs;
	return 0;
}

/* The value of a set is struct{}: any object will do and none of it stays. */
static int write_map_value(struct goconfig *g, struct json v, const struct go_field *f)
{
	if (f->type == GO_STRING_MAP)
		return write_element(g, v, f->name);
	if (json_want_map(v, true, f->name, g->err) < 0)
		return -1;
	jsonw_object(g->w);
	jsonw_end_object(g->w);
	return 0;
}

static int write_map(struct goconfig *g, struct json v, const struct go_field *f)
{
	struct pair *pairs = NULL;
	size_t n;

	if (json_want_map(v, true, f->name, g->err) < 0)
		return -1;
	n = json_present(v) ? json_len(v) : 0;
	if (f->omit_empty && n == 0)
		return 0;
	jsonw_key(g->w, f->name);
	if (!json_present(v)) {
		jsonw_null(g->w);
		return 0;
	}
	if (g->w->failed || sorted_pairs(g, v, &pairs) < 0)
		return -1;
	jsonw_object(g->w);
	for (size_t i = 0; i < n; i++) {
		jsonw_key(g->w, pairs[i].key);
		if (g->w->failed || write_map_value(g, pairs[i].value, f) < 0)
			return -1;
	}
	jsonw_end_object(g->w);
	return 0;
}

/* Any field but the health check, which holds fields itself. */
static int write_plain(struct goconfig *g, struct json obj, const struct go_field *f)
{
	struct json v = json_get_fold(obj, f->name);

	if (g->w->failed)
		return -1;
	switch (f->type) {
	case GO_STRING:
		return write_string(g, v, f);
	case GO_BOOL:
		return write_bool(g, v, f);
	case GO_INT:
	case GO_INT_POINTER:
		return write_int(g, v, f);
	case GO_STRINGS:
	case GO_STR_SLICE:
		return write_strings(g, v, f);
	case GO_SET:
	case GO_STRING_MAP:
		return write_map(g, v, f);
	case GO_HEALTH:
		break;
	}
	return 0;
}

static int write_health(struct goconfig *g, struct json obj, const struct go_field *f)
{
	struct json v = json_get_fold(obj, f->name);

	if (g->w->failed || json_want(v, JSON_OBJECT, true, f->name, g->err) < 0)
		return -1;
	if (!json_present(v))
		return 0;
	jsonw_key(g->w, f->name);
	jsonw_object(g->w);
	for (size_t i = 0; i < ARRAY_LEN(health_fields); i++)
		if (knows(g->p, health_fields[i].since) && write_plain(g, v, &health_fields[i]) < 0)
			return -1;
	jsonw_end_object(g->w);
	return 0;
}

int goconfig_write(struct goconfig *g, struct json v)
{
	if (g->w->failed || json_want(v, JSON_OBJECT, true, "config", g->err) < 0)
		return -1;
	jsonw_object(g->w);
	for (size_t i = 0; i < ARRAY_LEN(config_fields); i++) {
		const struct go_field *f = &config_fields[i];

		if (!knows(g->p, f->since))
			continue;
		if ((f->type == GO_HEALTH ? write_health(g, v, f) : write_plain(g, v, f)) < 0)
			return -1;
	}
	jsonw_end_object(g->w);
	return 0;
}

int goconfig_string(struct goconfig *g, struct json obj, const char *name)
{
	const struct go_field f = { name, GO_STRING, true, SINCE_ALWAYS };

	return write_plain(g, obj, &f);
}

int goconfig_time(struct goconfig *g, struct json v, const char **ret)
{
	char text[TIME_TEXT];
	const char *s = NULL;
	int64_t sec;
	int32_t nsec, off_min;

	if (json_string(v, "created", g->arena, &s, g->err) < 0)
		return -1;
	if (!s) {
		*ret = NULL;
		return 0;
	}
	if (!time_parse_rfc3339(span_str(s), &sec, &nsec, &off_min))
		return err_set(g->err, DRAY_ERR_FORMAT, "created is no RFC 3339 time");
	*ret = arena_strdup(g->arena, time_format_go(sec, nsec, off_min, text));
	return *ret ? 0 : err_nomem(g->err);
}
