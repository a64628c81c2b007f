/* SPDX-License-Identifier: Apache-2.0
 *
 * For: whether two values say the same, and which of their members do not.
 * Relies on: the scanner having refused twin names and bounded depth and nodes.
 * Promises: no recursion; time and memory of the order of both documents.
 */
#include "json/compare.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/number.h"
#include "json/members.h"

/* ---- numbers ---- */

/* digits * 10^exponent, the digits without zeros at either end; no digits = zero. */
struct decimal {
	bool negative;
	struct span whole, fraction;
	int64_t exponent; /* as written */
	bool huge;	  /* it does not fit */
};

static struct decimal split_number(struct span s)
{
	struct decimal d = { .negative = s.len && s.data[0] == '-' };
	size_t n = 0;

	s = span_from(s, d.negative);
	while (n < s.len && s.data[n] >= '0' && s.data[n] <= '9')
		n++;
	d.whole = span_head(s, n);
	s = span_from(s, n);
	if (s.len && s.data[0] == '.') {
		for (n = 1; n < s.len && s.data[n] >= '0' && s.data[n] <= '9'; n++)
			continue;
		d.fraction = span_of(s.data + 1, n - 1);
		s = span_from(s, n);
	}
	if (s.len) {
		bool minus = s.data[1] == '-';

		s = span_from(s, s.data[1] == '-' || s.data[1] == '+' ? 2 : 1);
		d.huge = !num_parse_u63(s, &d.exponent) || d.exponent > INT64_MAX / 2;
		d.exponent = minus ? -d.exponent : d.exponent;
	}
	return d;
}

static uint8_t digit(const struct decimal *d, size_t i)
{
	return i < d->whole.len ? d->whole.data[i] : d->fraction.data[i - d->whole.len];
}

/* The digits from *ret_first to *ret_end are those that count; none for zero. */
static void trim(const struct decimal *d, size_t *ret_first, size_t *ret_end)
{
	size_t first = 0, end = d->whole.len + d->fraction.len;

	while (first < end && digit(d, first) == '0')
		first++;
	while (end > first && digit(d, end - 1) == '0')
		end--;
	*ret_first = first;
	*ret_end = end;
}

static bool same_number(struct span x, struct span y)
{
	struct decimal a = split_number(x), b = split_number(y);
	size_t from_a, end_a, from_b, end_b;

	if (span_eq(x, y))
		return true;
	trim(&a, &from_a, &end_a);
	trim(&b, &from_b, &end_b);
	if (from_a == end_a || from_b == end_b)
		return from_a == end_a && from_b == end_b;
	if (a.huge || b.huge || a.negative != b.negative || end_a - from_a != end_b - from_b)
		return false;
	/* Where the last digit stands, counted from the point. */
	if ((int64_t)a.whole.len - (int64_t)end_a + a.exponent !=
	    (int64_t)b.whole.len - (int64_t)end_b + b.exponent)
		return false;
	for (size_t i = 0; i < end_a - from_a; i++)
		if (digit(&a, from_a + i) != digit(&b, from_b + i))
			return false;
	return true;
}

/* ---- the same? ---- */

struct both {
	struct json a, b;
};

struct work {
	struct both *list;
	size_t n, cap;
};

static int push(struct work *w, struct json a, struct json b, dray_error **err)
{
	if (mem_grow(&w->list, w->n, &w->cap, sizeof(*w->list)) < 0)
		return err_nomem(err);
	w->list[w->n++] = (struct both){ a, b };
	return 0;
}

static int same_string(struct json a, struct json b, dray_error **err)
{
	struct arena room = { 0 };
	struct span x, y;
	int rc = span_eq(json_raw(a), json_raw(b));

	/* Escapes only make text longer, but both may have them. */
	if (!rc) {
		rc = json_string_bytes(a, "string", &room, &x, err) < 0 ||
				     json_string_bytes(b, "string", &room, &y, err) < 0
			     ? -1
			     : span_eq(x, y);
	}
	arena_clear(&room);
	return rc;
}

static int push_members(struct work *w, struct json a, struct json b, dray_error **err)
{
	struct json_members in_b = { 0 };
	struct arena room = { 0 };
	int rc = json_members_init(&in_b, b, err) < 0 ? -1 : 1;

	for (struct json it = json_first(a); rc == 1 && json_node(it); it = json_next(it)) {
		struct json other;
		const char *name;

		if (json_name(it, &room, &name, err) < 0) {
			rc = -1;
			break;
		}
		other = json_members_get(&in_b, span_str(name));
		if (!json_node(other))
			rc = 0;
		else if (push(w, it, other, err) < 0)
			rc = -1;
	}
	arena_clear(&room);
	json_members_clear(&in_b);
	return rc;
}

static int push_elements(struct work *w, struct json a, struct json b, dray_error **err)
{
	struct json other = json_first(b);

	for (struct json it = json_first(a); json_node(it); it = json_next(it)) {
		if (push(w, it, other, err) < 0)
			return -1;
		other = json_next(other);
	}
	return 1;
}

/* 1 = the same but for what was put on the pile. */
static int same_one(struct work *w, struct both v, dray_error **err)
{
	enum json_type t = json_type(v.a);

	if (t != json_type(v.b))
		return 0;
	switch (t) {
	case JSON_NUMBER:
		return same_number(json_raw(v.a), json_raw(v.b));
	case JSON_STRING:
		return same_string(v.a, v.b, err);
	case JSON_ARRAY:
		return json_len(v.a) == json_len(v.b) ? push_elements(w, v.a, v.b, err) : 0;
	case JSON_OBJECT:
		return json_len(v.a) == json_len(v.b) ? push_members(w, v.a, v.b, err) : 0;
	default:
		return 1;
	}
}

int json_same(struct json a, struct json b, dray_error **err)
{
	struct work w = { 0 };
	int rc = push(&w, a, b, err) < 0 ? -1 : 1;

	while (rc == 1 && w.n > 0) {
		struct both v = w.list[--w.n];

		rc = same_one(&w, v, err);
	}
	mem_free(w.list);
	return rc;
}

/* ---- which members differ ---- */

/* A pair of objects or arrays that is being walked. */
struct frame {
	struct json_members in_a, in_b;
	size_t next;	  /* of in_a, then of in_b; of arrays the index */
	struct json x, y; /* arrays: the next elements */
	bool array;
	size_t path_len; /* of the pair's own path */
};

struct walk {
	struct frame frames[LIMIT_JSON_DEPTH + 1];
	size_t depth;
	struct buf path;
	int64_t told; /* bytes of paths */
	json_diff_fn *fn;
	void *arg;
};

static bool all_objects(struct json v)
{
	for (struct json it = json_first(v); json_node(it); it = json_next(it))
		if (json_type(it) != JSON_OBJECT)
			return false;
	return true;
}

static bool enters_array(struct json a, struct json b)
{
	return json_type(a) == JSON_ARRAY && json_type(b) == JSON_ARRAY && json_len(a) > 0 &&
	       json_len(a) == json_len(b) && all_objects(a) && all_objects(b);
}

static bool enters_object(struct json a, struct json b)
{
	bool of_a = json_type(a) == JSON_OBJECT, of_b = json_type(b) == JSON_OBJECT;

	if (of_a && of_b)
		return json_len(a) + json_len(b) > 0;
	return (of_a && json_len(a) > 0 && !json_present(b)) ||
	       (of_b && json_len(b) > 0 && !json_present(a));
}

static int enter(struct walk *w, struct json a, struct json b, dray_error **err)
{
	struct frame *f = &w->frames[w->depth++];

	*f = (struct frame){ .path_len = w->path.len };
	if (json_type(a) == JSON_ARRAY) {
		f->array = true;
		f->x = json_first(a);
		f->y = json_first(b);
		return 0;
	}
	if (json_members_init(&f->in_a, a, err) < 0)
		return -1;
	return json_members_init(&f->in_b, b, err);
}

static void leave(struct walk *w)
{
	struct frame *f = &w->frames[--w->depth];

	json_members_clear(&f->in_a);
	json_members_clear(&f->in_b);
}

/* RFC 6901: '~' and '/' inside a name. */
static int add_name(struct buf *b, struct span name, dray_error **err)
{
	if (buf_add_byte(b, '/', err) < 0)
		return -1;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.data[i];
		int rc = c == '~'   ? buf_add_str(b, "~0", err)
			 : c == '/' ? buf_add_str(b, "~1", err)
				    : buf_add_byte(b, c, err);

		if (rc < 0)
			return -1;
	}
	return 0;
}

/* The next pair of @p f, its name on the path: 1, 0 at the end, -1. */
static int next_element(struct walk *w, struct frame *f, struct both *ret, dray_error **err)
{
	if (!json_node(f->x))
		return 0;
	*ret = (struct both){ f->x, f->y };
	f->x = json_next(f->x);
	f->y = json_next(f->y);
	return buf_printf(&w->path, err, "/%zu", f->next++) < 0 ? -1 : 1;
}

static int next_pair(struct walk *w, struct frame *f, struct both *ret, dray_error **err)
{
	w->path.len = f->path_len;
	if (f->array)
		return next_element(w, f, ret, err);
	while (f->next < f->in_a.map.len + f->in_b.map.len) {
		bool first = f->next < f->in_a.map.len;
		const struct map_slot *slot = first ? &f->in_a.map.slots[f->next]
						    : &f->in_b.map.slots[f->next - f->in_a.map.len];

		f->next++;
		*ret = (struct both){ json_members_get(&f->in_a, slot->key),
				      json_members_get(&f->in_b, slot->key) };
		if (!first && json_node(ret->a))
			continue;
		return add_name(&w->path, slot->key, err) < 0 ? -1 : 1;
	}
	return 0;
}

static int tell(struct walk *w, struct both v, dray_error **err)
{
	int same = json_same(v.a, v.b, err);

	if (same != 0)
		return same < 0 ? -1 : 0;
	/* Long names around many members: the paths are as many times longer than the document. */
	w->told += (int64_t)w->path.len;
	if (w->told > LIMIT_JSON_DIFF)
		return err_set(err, DRAY_ERR_LIMIT,
			       "the differences are over %lld bytes (LIMIT_JSON_DIFF)",
			       (long long)LIMIT_JSON_DIFF);
	if (buf_add_byte(&w->path, 0, err) < 0)
		return -1;
	w->path.len--;
	return w->fn(w->arg, (const char *)w->path.data, v.a, v.b, err);
}

static int visit(struct walk *w, struct both v, dray_error **err)
{
	if (enters_object(v.a, v.b) || enters_array(v.a, v.b))
		return enter(w, v.a, v.b, err);
	return tell(w, v, err);
}

int json_diff(struct json a, struct json b, json_diff_fn *fn, void *arg, dray_error **err)
{
	cleanup_free struct walk *w = mem_zalloc(sizeof(*w));
	struct both v = { a, b };
	int rc;

	if (!w)
		return err_nomem(err);
	w->path = BUF_INIT(LIMIT_JSON_DIFF);
	w->fn = fn;
	w->arg = arg;
	rc = visit(w, v, err);
	while (rc == 0 && w->depth > 0) {
		int more = next_pair(w, &w->frames[w->depth - 1], &v, err);

		if (more > 0)
			rc = visit(w, v, err);
		else if (more == 0)
			leave(w);
		else
			rc = -1;
	}
	while (w->depth > 0)
		leave(w);
	buf_clear(&w->path);
	return rc;
}
