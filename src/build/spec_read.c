/* SPDX-License-Identifier: Apache-2.0
 *
 * From the JSON of a spec to its structs, by the tables of spec_shape.c.
 * Relies on json/ for the text, which refuses twin names.
 * Promises line and column for all that is wrong, and that no key is passed over.
 */
#include "build/spec_reader.h"

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/nearest.h"
#include "base/text.h"
#include "build/spec_env.h"
#include "image/healthcheck.h"
#include "json/json.h"

#define SHOWN_MAX 80 /* bytes of a user's word that an error repeats */

static int fail_at(const struct spec_reader *r, struct span at, const char *what,
		   const char *problem, dray_error **err)
{
	return spec_text_fail(r->text, (size_t)(at.data - r->text.data), r->where, err,
			      "\"%s\": %s", what, problem);
}

int spec_fail(const struct spec_reader *r, struct json v, const char *what, const char *problem,
	      dray_error **err)
{
	return fail_at(r, json_raw(v), what, problem, err);
}

/* ---- single values ---- */

static int want(const struct spec_reader *r, struct json v, enum json_type t, const char *what,
		dray_error **err)
{
	char problem[80];

	if (json_type(v) == t)
		return 0;
	snprintf(problem, sizeof(problem), "expected %s, found %s", json_type_name(t),
		 json_type_name(json_type(v)));
	return spec_fail(r, v, what, problem, err);
}

static int read_string(struct spec_reader *r, struct json v, const char *what, const char **ret,
		       dray_error **err)
{
	cleanup_error dray_error *odd = NULL;

	if (want(r, v, JSON_STRING, what, err) < 0)
		return -1;
	if (json_string(v, what, &r->spec->arena, ret, &odd) == 0)
		return 0;
	return dray_error_kind(odd) == DRAY_ERR_NOMEM
		       ? err_nomem(err)
		       : spec_fail(r, v, what, "it holds a NUL", err);
}

/* A string that is what @p k says it is. */
static int read_word(struct spec_reader *r, struct json v, const struct spec_key *k,
		     const char **ret, dray_error **err)
{
	cleanup_error dray_error *odd = NULL;

	if (read_string(r, v, k->name, ret, err) < 0)
		return -1;
	if (spec_word(r->spec, k->choices, *ret, &odd) == 0)
		return 0;
	return dray_error_kind(odd) == DRAY_ERR_NOMEM
		       ? err_nomem(err)
		       : spec_fail(r, v, k->name, dray_error_message(odd), err);
}

static int check_id(const struct spec_reader *r, struct json v, const struct spec_key *k,
		    const struct spec_int *got, dray_error **err)
{
	cleanup_error dray_error *odd = NULL;

	if (!k->choices || spec_id(got->v, &odd) == 0)
		return 0;
	return dray_error_kind(odd) == DRAY_ERR_NOMEM
		       ? err_nomem(err)
		       : spec_fail(r, v, k->name, dray_error_message(odd), err);
}

static int read_int(struct spec_reader *r, struct json v, const char *what, struct spec_int *ret,
		    dray_error **err)
{
	if (want(r, v, JSON_NUMBER, what, err) < 0)
		return -1;
	if (json_int(v, what, &ret->v, NULL) < 0 || ret->v < 0)
		return spec_fail(r, v, what, "expected a whole number from 0 on", err);
	ret->set = true;
	return 0;
}

static int read_choice(struct spec_reader *r, struct json v, const struct spec_key *k,
		       const char **ret, dray_error **err)
{
	char problem[160];
	uint32_t mode;

	if (read_string(r, v, k->name, ret, err) < 0)
		return -1;
	if ((k->kind == KEY_MODE && spec_mode_text(*ret, &mode)) || spec_choice(k->choices, *ret))
		return 0;
	snprintf(problem, sizeof(problem), "expected %s%s%s",
		 k->kind == KEY_MODE ? "octal digits as \"0755\"" : "",
		 k->kind == KEY_MODE && k->choices ? ", or " : "", k->choices ? k->choices : "");
	return spec_fail(r, v, k->name, problem, err);
}

static int read_size(struct spec_reader *r, struct json v, const char *what, struct spec_int *ret,
		     dray_error **err)
{
	const char *text;

	if (json_type(v) != JSON_STRING)
		return read_int(r, v, what, ret, err);
	if (read_string(r, v, what, &text, err) < 0)
		return -1;
	ret->set = true;
	return spec_size_text(text, &ret->v) ? 0
					     : spec_fail(r, v, what, "expected " SPEC_SIZE, err);
}

static int read_flag(struct spec_reader *r, struct json v, const char *what, enum spec_flag *ret,
		     dray_error **err)
{
	if (json_type(v) != JSON_TRUE && json_type(v) != JSON_FALSE)
		return spec_fail(r, v, what, "expected true or false", err);
	*ret = json_type(v) == JSON_TRUE ? SPEC_YES : SPEC_NO;
	return 0;
}

static int read_list(struct spec_reader *r, struct json v, const struct spec_key *k,
		     struct spec_list *ret, dray_error **err)
{
	if (want(r, v, JSON_ARRAY, k->name, err) < 0)
		return -1;
	ret->set = true;
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		const char *text;

		if (read_word(r, it, k, &text, err) < 0 ||
		    spec_list_add(r->spec, ret, text, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- times ---- */

static int read_clamp(struct spec_reader *r, struct json v, const struct spec_key *k,
		      struct spec_time *ret, dray_error **err)
{
	struct json clamp = json_get(v, "clamp");
	const char *text;

	if (!spec_choice(k->choices, "clamp") || json_len(v) != 1 || !json_node(clamp))
		return spec_fail(r, v, k->name, "expected a time", err);
	if (json_type(clamp) == JSON_STRING) {
		if (read_string(r, clamp, "clamp", &text, err) < 0)
			return -1;
		if (!spec_time_text(text, "", ret))
			return spec_fail(r, clamp, "clamp", "expected " SPEC_TIME, err);
	} else if (json_int(clamp, k->name, &ret->sec, NULL) < 0) {
		return spec_fail(r, clamp, "clamp", "expected " SPEC_TIME, err);
	}
	ret->kind = SPEC_TIME_CLAMP;
	return 0;
}

static int read_time(struct spec_reader *r, struct json v, const struct spec_key *k,
		     struct spec_time *ret, dray_error **err)
{
	const char *text;

	if (json_type(v) == JSON_OBJECT)
		return read_clamp(r, v, k, ret, err);
	if (json_type(v) == JSON_NUMBER) {
		ret->kind = SPEC_TIME_SET;
		return json_int(v, k->name, &ret->sec, NULL) == 0
			       ? 0
			       : spec_fail(r, v, k->name, "expected whole seconds since 1970", err);
	}
	if (read_string(r, v, k->name, &text, err) < 0)
		return -1;
	if (spec_time_text(text, k->choices, ret))
		return 0;
	return spec_fail(r, v, k->name, "expected " SPEC_TIME, err);
}

/* Elements come in their order, so that each line is counted once. */
static struct spec_at place_of(struct spec_reader *r, struct json v)
{
	size_t to = (size_t)(json_raw(v).data - r->text.data);

	if (to < r->seen || !r->at.line) {
		r->seen = 0;
		r->at = (struct spec_at){ 1, 1 };
	}
	spec_text_count(r->text, r->seen, to, &r->at);
	r->seen = to;
	return r->at;
}

/* ---- maps ---- */

/* With its place, for what only a base shows to be wrong. */
static int put_placed(struct spec_reader *r, struct spec_pairs *p, const char *name,
		      struct span json, struct json v, dray_error **err)
{
	struct spec_pair *put = spec_pairs_put(r->spec, p, name, json, err);

	if (!put)
		return -1;
	put->at = place_of(r, v);
	return 0;
}

/* The value's own text, compact. */
static int put_pair(struct spec_reader *r, struct spec_pairs *p, const char *name, struct json v,
		    dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SPEC);

	if (json_compact(v, &text, err) < 0)
		return -1;
	return put_placed(r, p, name, span_buf(&text), v, err);
}

/* A member of a set: ports and paths have one way to be written. */
static int put_member(struct spec_reader *r, struct spec_pairs *p, const struct spec_key *k,
		      const char *name, struct json v, dray_error **err)
{
	struct span json = json_type(v) == JSON_NULL ? SPAN_LIT("null") : SPAN_LIT("{}");
	cleanup_error dray_error *odd = NULL;
	bool is_port = k->choices && strcmp(k->choices, "port") == 0;

	if (!is_port && json_type(v) != JSON_NULL && !spec_is_path(name))
		return fail_at(r, json_name_raw(v), k->name, "expected " SPEC_PATH, err);
	if (!is_port)
		return spec_pairs_put(r->spec, p, name, json, err) ? 0 : -1;
	if (spec_ports_put(r->spec, name, json, &odd) == 0)
		return 0;
	if (dray_error_kind(odd) == DRAY_ERR_NOMEM)
		return err_nomem(err);
	fail_at(r, json_name_raw(v), k->name, dray_error_message(odd), err);
	return err_rekind(err, dray_error_kind(odd));
}

/* What --define put into a name of Env is not looked at again, as in a value. */
static int env_name(struct spec_reader *r, struct span at, const char **name, dray_error **err)
{
	cleanup_buf struct buf plain = BUF_INIT(LIMIT_SPEC);
	cleanup_error dray_error *odd = NULL;

	if (!r->expand)
		return 0;
	if (spec_env_name(*name, &plain, &odd) < 0)
		return dray_error_kind(odd) == DRAY_ERR_NOMEM
			       ? err_nomem(err)
			       : fail_at(r, at, "Env", dray_error_message(odd), err);
	*name = arena_strndup(&r->spec->arena, (const char *)plain.data, plain.len);
	return *name ? 0 : err_nomem(err);
}

static int read_pairs(struct spec_reader *r, struct json v, const struct spec_key *k,
		      struct spec_pairs *ret, dray_error **err)
{
	enum json_type t = k->kind == KEY_SET ? JSON_OBJECT : JSON_STRING;

	ret->none = json_type(v) == JSON_NULL;
	if (ret->none)
		return 0;
	if (want(r, v, JSON_OBJECT, k->name, err) < 0)
		return -1;
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		const char *name;

		if (json_type(it) != JSON_NULL && want(r, it, t, k->name, err) < 0)
			return -1;
		if (t == JSON_OBJECT && json_len(it) > 0)
			return spec_fail(r, it, k->name, "expected {} or null", err);
		if (json_name(it, &r->spec->arena, &name, err) < 0)
			return -1;
		if (!name[0] || (k->kind == KEY_ENV && strchr(name, '=')))
			return fail_at(r, json_name_raw(it), k->name,
				       "a name that is empty or has a '='", err);
		if (k->kind == KEY_ENV && env_name(r, json_name_raw(it), &name, err) < 0)
			return -1;
		if ((t == JSON_OBJECT ? put_member(r, ret, k, name, it, err)
				      : put_pair(r, ret, name, it, err)) < 0)
			return -1;
	}
	return 0;
}

/* "NAME=VALUE" as engines write it. */
static int read_env(struct spec_reader *r, struct json v, const struct spec_key *k,
		    struct spec_pairs *ret, dray_error **err)
{
	if (json_type(v) != JSON_ARRAY)
		return read_pairs(r, v, k, ret, err);
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		cleanup_buf struct buf quoted = BUF_INIT(LIMIT_SPEC);
		const char *text, *equal, *name;

		if (read_string(r, it, k->name, &text, err) < 0)
			return -1;
		equal = strchr(text, '=');
		if (!equal || equal == text)
			return spec_fail(r, it, k->name, "expected NAME=VALUE", err);
		name = arena_strndup(&r->spec->arena, text, (size_t)(equal - text));
		if (!name)
			return err_nomem(err);
		if (env_name(r, json_raw(it), &name, err) < 0)
			return -1;
		if (json_quote(&quoted, span_str(equal + 1), err) < 0 ||
		    put_placed(r, ret, name, span_buf(&quoted), it, err) < 0)
			return -1;
	}
	return 0;
}

static int check_strings(const struct spec_reader *r, struct json v, const char *what,
			 dray_error **err)
{
	if (want(r, v, JSON_ARRAY, what, err) < 0)
		return -1;
	for (struct json it = json_first(v); json_node(it); it = json_next(it))
		if (want(r, it, JSON_STRING, what, err) < 0)
			return -1;
	return 0;
}

/* Lists of a name and what it is done with; which of these make sense the plan tells. */
static int check_operations(const struct spec_reader *r, struct json v, const char *what,
			    dray_error **err)
{
	if (want(r, v, JSON_ARRAY, what, err) < 0)
		return -1;
	for (struct json it = json_first(v); json_node(it); it = json_next(it))
		if (want(r, it, JSON_ARRAY, what, err) < 0 ||
		    (json_node(json_first(it)) &&
		     want(r, json_first(it), JSON_STRING, what, err) < 0))
			return -1;
	return 0;
}

static int check_path(struct spec_reader *r, struct json v, const char *what, dray_error **err)
{
	const char *text;

	if (read_string(r, v, what, &text, err) < 0)
		return -1;
	return !text[0] || spec_is_path(text) ? 0
					      : spec_fail(r, v, what, "expected " SPEC_PATH, err);
}

static int check_health(struct spec_reader *r, struct json v, const char *what, dray_error **err)
{
	struct health_flaw f;
	int rc = want(r, v, JSON_OBJECT, what, err) < 0 ? -1 : health_check(v, &f, err);

	if (rc <= 0)
		return rc;
	if (f.key)
		return spec_fail(r, f.at, f.key, f.problem, err);
	cleanup_free char *shown = text_safe(json_name_raw(f.at), SHOWN_MAX);
	spec_text_fail(r->text, (size_t)(json_name_raw(f.at).data - r->text.data), r->where, err,
		       "%s \"%s\" in \"%s\"", f.problem, shown ? shown : "", what);
	return f.near ? err_hint(err, "did you mean \"%s\"?", f.near) : -1;
}

static int check_json(struct spec_reader *r, struct json v, const struct spec_key *k,
		      dray_error **err)
{
	struct spec_int seconds;

	if (strcmp(k->choices, "operations") == 0)
		return check_operations(r, v, k->name, err);
	if (json_type(v) == JSON_NULL)
		return 0;
	if (strcmp(k->choices, "strings") == 0)
		return check_strings(r, v, k->name, err);
	if (strcmp(k->choices, "path") == 0)
		return check_path(r, v, k->name, err);
	if (strcmp(k->choices, "number") == 0)
		return read_int(r, v, k->name, &seconds, err);
	if (strcmp(k->choices, "health") == 0)
		return check_health(r, v, k->name, err);
	return want(r, v, JSON_STRING, k->name, err);
}

static int read_json(struct spec_reader *r, struct json v, const struct spec_key *k,
		     struct span *ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SPEC);

	if (check_json(r, v, k, err) < 0 || json_compact(v, &text, err) < 0)
		return -1;
	*ret = arena_dup(&r->spec->arena, span_buf(&text));
	return ret->data ? 0 : err_nomem(err);
}

/* ---- objects ---- */

static int unknown_key(struct spec_reader *r, const struct spec_shape *shape, struct json member,
		       const void *at, dray_error **err)
{
	const struct spec_source *s = at;
	const char *name = NULL;
	struct nearest near = { 0 };

	if (json_name(member, &r->spec->arena, &name, err) < 0)
		return -1;
	near.typed = name;
	for (const struct spec_key *k = shape->keys; k->name; k++)
		if (spec_key_fits(shape, k, at))
			nearest_offer(&near, k->name);
	cleanup_free char *shown = text_safe(span_str(name), SHOWN_MAX);
	spec_text_fail(r->text, (size_t)(json_name_raw(member).data - r->text.data), r->where, err,
		       "unknown key \"%s\"%s%s", shown ? shown : "",
		       shape->is_source ? " in a source of type " : "",
		       shape->is_source ? spec_type_names[s->type] : "");
	if (nearest_get(&near))
		err_hint(err, "did you mean \"%s\"?", nearest_get(&near));
	return -1;
}

static int read_objects(struct spec_reader *r, struct json v, const struct spec_key *k, void *slot,
			dray_error **err)
{
	if (want(r, v, JSON_ARRAY, k->name, err) < 0)
		return -1;
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		struct spec_at *at = spec_grow(r->spec, slot, k->shape->size, err);

		if (!at)
			return -1;
		*at = place_of(r, it);
		if (spec_read_shape(r, k->shape, it, at, k->name, err) < 0)
			return -1;
	}
	return 0;
}

static int read_object(struct spec_reader *r, struct json v, const struct spec_key *k, void *slot,
		       dray_error **err)
{
	if (json_type(v) == JSON_NULL)
		return 0;
	*(bool *)slot = true;
	return spec_read_shape(r, k->shape, v, slot, k->name, err);
}

int spec_read_value(struct spec_reader *r, struct json v, const struct spec_key *k, void *slot,
		    dray_error **err)
{
	switch (k->kind) {
	case KEY_STRING:
		return read_word(r, v, k, slot, err);
	case KEY_CHOICE:
	case KEY_MODE:
		return read_choice(r, v, k, slot, err);
	case KEY_INT:
		return read_int(r, v, k->name, slot, err) < 0 ? -1 : check_id(r, v, k, slot, err);
	case KEY_SIZE:
		return read_size(r, v, k->name, slot, err);
	case KEY_FLAG:
		return read_flag(r, v, k->name, slot, err);
	case KEY_LIST:
		return read_list(r, v, k, slot, err);
	case KEY_TIME:
		return read_time(r, v, k, slot, err);
	case KEY_STRINGS:
	case KEY_SET:
		return read_pairs(r, v, k, slot, err);
	case KEY_ENV:
		return read_env(r, v, k, slot, err);
	case KEY_JSON:
		return read_json(r, v, k, slot, err);
	case KEY_OBJECT:
		return read_object(r, v, k, slot, err);
	case KEY_OBJECTS:
		return read_objects(r, v, k, slot, err);
	}
	return 0;
}

/* Which keys a source has depends on what it is. */
static int read_type(struct spec_reader *r, struct json v, struct spec_source *s, dray_error **err)
{
	const struct spec_key k = { "type", KEY_CHOICE, 0, NULL, NULL, 0 };
	struct json type = json_get(v, "type");
	const char *name;

	if (!json_node(type))
		return spec_fail(r, v, "sources", "\"type\" is missing", err);
	if (read_string(r, type, k.name, &name, err) < 0)
		return -1;
	for (int i = 0; i < SPEC_TYPES; i++)
		if (strcmp(spec_type_names[i], name) == 0) {
			s->type = (enum spec_type)i;
			return 0;
		}
	spec_fail(r, type, "type", "no such type of source", err);
	struct nearest near = { .typed = name };
	for (int i = 0; i < SPEC_TYPES; i++)
		nearest_offer(&near, spec_type_names[i]);
	if (nearest_get(&near))
		err_hint(err, "did you mean \"%s\"?", nearest_get(&near));
	return -1;
}

int spec_read_shape(struct spec_reader *r, const struct spec_shape *shape, struct json v, void *at,
		    const char *what, dray_error **err)
{
	if (want(r, v, JSON_OBJECT, what, err) < 0 ||
	    (shape->is_source && read_type(r, v, at, err) < 0))
		return -1;
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		const struct spec_key *k = shape->keys;

		while (k->name &&
		       (!span_is(json_name_raw(it), k->name) || !spec_key_fits(shape, k, at)))
			k++;
		if (!k->name)
			return unknown_key(r, shape, it, at, err);
		if (shape == &spec_shape)
			r->spec->said[k - shape->keys] = place_of(r, it);
		if (spec_read_value(r, it, k, (uint8_t *)at + k->offset, err) < 0)
			return -1;
	}
	return 0;
}
