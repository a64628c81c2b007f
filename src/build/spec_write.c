/* SPDX-License-Identifier: Apache-2.0
 *
 * A spec as text again, by the tables of spec_shape.c.
 * Relies on base/jsonw for the JSON.
 * Promises one text for one spec, which reads as the same spec.
 */
#include "build/spec_priv.h"

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/number.h"
#include "build/spec_env.h"

static void write_shape(struct jsonw *w, const struct spec_shape *shape, const void *at);

static void write_time(struct jsonw *w, const struct spec_time *t)
{
	switch (t->kind) {
	case SPEC_TIME_KEEP:
		jsonw_string(w, "keep");
		return;
	case SPEC_TIME_NOW:
		jsonw_string(w, "now");
		return;
	case SPEC_TIME_CLAMP:
		jsonw_object(w);
		jsonw_kint(w, "clamp", t->sec);
		jsonw_end_object(w);
		return;
	default:
		jsonw_int(w, t->sec);
	}
}

static void write_list(struct jsonw *w, const struct spec_list *l)
{
	jsonw_array(w);
	for (size_t i = 0; i < l->n; i++)
		jsonw_string(w, l->list[i]);
	jsonw_end_array(w);
}

static void write_pairs(struct jsonw *w, const struct spec_pairs *p)
{
	if (p->n == 0) {
		jsonw_null(w);
		return;
	}
	jsonw_object(w);
	for (size_t i = 0; i < p->n; i++) {
		jsonw_key(w, p->list[i].name);
		jsonw_raw(w, p->list[i].json);
	}
	jsonw_end_object(w);
}

/* As spec_grow() made it. */
struct objects {
	const uint8_t *list;
	size_t n, cap;
};

static void write_objects(struct jsonw *w, const struct spec_key *k, const struct objects *o)
{
	jsonw_array(w);
	for (size_t i = 0; i < o->n; i++)
		write_shape(w, k->shape, o->list + i * k->shape->size);
	jsonw_end_array(w);
}

/* Was anything said? */
static bool is_said(const struct spec_key *k, const void *slot)
{
	switch (k->kind) {
	case KEY_STRING:
	case KEY_CHOICE:
	case KEY_MODE:
		return *(const char *const *)slot != NULL;
	case KEY_INT:
	case KEY_SIZE:
		return ((const struct spec_int *)slot)->set;
	case KEY_FLAG:
		return *(const enum spec_flag *)slot != SPEC_UNSET;
	case KEY_LIST:
		return ((const struct spec_list *)slot)->set;
	case KEY_TIME:
		return ((const struct spec_time *)slot)->kind != SPEC_TIME_UNSET;
	case KEY_STRINGS:
	case KEY_SET:
	case KEY_ENV:
		return ((const struct spec_pairs *)slot)->n > 0 ||
		       ((const struct spec_pairs *)slot)->none;
	case KEY_JSON:
		return ((const struct span *)slot)->len > 0;
	case KEY_OBJECT:
		return *(const bool *)slot;
	case KEY_OBJECTS:
		return ((const struct objects *)slot)->n > 0;
	}
	return false;
}

static void write_value(struct jsonw *w, const struct spec_key *k, const void *slot)
{
	switch (k->kind) {
	case KEY_STRING:
	case KEY_CHOICE:
	case KEY_MODE:
		jsonw_string(w, *(const char *const *)slot);
		return;
	case KEY_INT:
	case KEY_SIZE:
		jsonw_int(w, ((const struct spec_int *)slot)->v);
		return;
	case KEY_FLAG:
		jsonw_bool(w, *(const enum spec_flag *)slot == SPEC_YES);
		return;
	case KEY_LIST:
		write_list(w, slot);
		return;
	case KEY_TIME:
		write_time(w, slot);
		return;
	case KEY_STRINGS:
	case KEY_SET:
	case KEY_ENV:
		write_pairs(w, slot);
		return;
	case KEY_JSON:
		jsonw_raw(w, *(const struct span *)slot);
		return;
	case KEY_OBJECT:
		write_shape(w, k->shape, slot);
		return;
	case KEY_OBJECTS:
		write_objects(w, k, slot);
		return;
	}
}

static void write_shape(struct jsonw *w, const struct spec_shape *shape, const void *at)
{
	jsonw_object(w);
	for (const struct spec_key *k = shape->keys; k->name; k++) {
		const void *slot = (const uint8_t *)at + k->offset;

		if (!spec_key_fits(shape, k, at) || !is_said(k, slot))
			continue;
		jsonw_key(w, k->name);
		write_value(w, k, slot);
	}
	jsonw_end_object(w);
}

/* ---- for people ---- */

static int new_line(struct buf *ret, size_t depth, dray_error **err)
{
	if (buf_add_byte(ret, '\n', err) < 0)
		return -1;
	for (size_t i = 0; i < depth; i++)
		if (buf_add_str(ret, "  ", err) < 0)
			return -1;
	return 0;
}

/*
 * Compact JSON with lines: each member and element on its own. "${" is no name to be filled in but in
 * values of @p env, whose text stays as it is.
 */
static int spread(struct span s, struct span env, struct buf *ret, dray_error **err)
{
	size_t depth = 0;
	bool quoted = false, is_value = false;

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];
		bool empty = i + 1 < s.len && (s.data[i + 1] == '}' || s.data[i + 1] == ']');
		int rc = 0;

		if (quoted && c == '\\') {
			if (buf_add(ret, span_of(s.data + i, 2), err) < 0)
				return -1;
			i++;
			continue;
		}
		quoted = c == '"' ? !quoted : quoted;
		if (c == '"' && quoted)
			is_value = s.data[i - 1] == ':';
		if (!quoted && (c == '}' || c == ']') && s.data[i - 1] != '{' &&
		    s.data[i - 1] != '[')
			rc = new_line(ret, --depth, err);
		if (quoted && c == '$' && i + 1 < s.len && s.data[i + 1] == '{' &&
		    !(is_value && spec_env_holds(env, s.data + i)))
			rc = buf_add_byte(ret, '$', err);
		if (rc < 0 || buf_add_byte(ret, c, err) < 0)
			return -1;
		if (quoted)
			continue;
		if ((c == '{' || c == '[') && !empty)
			rc = new_line(ret, ++depth, err);
		else if (c == ',')
			rc = new_line(ret, depth, err);
		else if (c == ':')
			rc = buf_add_byte(ret, ' ', err);
		if (rc < 0)
			return -1;
	}
	return buf_add_byte(ret, '\n', err);
}

int spec_print(const struct spec *s, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SPEC);
	struct span env;
	struct jsonw w;

	jsonw_init(&w, &text, err);
	write_shape(&w, &spec_shape, s);
	if (jsonw_finish(&w) < 0 || spec_env_find(span_buf(&text), false, &env, err) < 0)
		return -1;
	return spread(span_buf(&text), env, ret, err);
}
