/* SPDX-License-Identifier: Apache-2.0
 *
 * For: refusing objects in which two members have one name (reliability M-10).
 * Relies on: base/map.h, whose seed keeps hostile names from colliding.
 * Promises: linear in the bytes of the names.
 *
 * Readers differ on twins: some take the first, some the last, and Go also takes
 * "Layers" for "layers". So a document with twins says different things to
 * different tools, and none of them is told so. Names that differ in case are
 * ambiguous only where names are fields: as labels or paths they are data. So the
 * scanner marks such an object, and who reads it as a struct refuses it.
 */
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "json/json_priv.h"

#define FEW_MEMBERS 8 /* up to here comparing all pairs costs less than a map */
#define SHOWN_NAME 80

static int refuse_twins(const struct json_doc *d, const struct json_node *first,
			const struct json_node *second, bool same, dray_error **err)
{
	cleanup_free char *a = text_safe(node_name(d, first), SHOWN_NAME);
	cleanup_free char *b = text_safe(node_name(d, second), SHOWN_NAME);

	if (!a || !b)
		return err_nomem(err);
	if (same)
		return err_set(err, DRAY_ERR_FORMAT,
			       "JSON at byte %u: member \"%s\" appears twice, first at byte %u",
			       second->name_off - 1, b, first->name_off - 1);
	return err_set(err, DRAY_ERR_FORMAT,
		       "JSON at byte %u: member \"%s\" differs only in case from \"%s\" at byte %u",
		       second->name_off - 1, b, a, first->name_off - 1);
}

/* What one look at an object is for, and what it found. */
struct look {
	const struct json_doc *d;
	bool fold;   /* names that differ only in case are twins too */
	bool refuse; /* such twins are an error; else only noted */
	bool found;  /* noted */
};

static int judge(struct look *l, const struct json_node *first, const struct json_node *second,
		 bool same, dray_error **err)
{
	if (same || l->refuse)
		return refuse_twins(l->d, first, second, same, err);
	l->found = true;
	return 0;
}

/* Compare @p last with its elder siblings from @p first on; all names are plain ASCII. */
static int check_pairs(struct look *l, uint32_t first, const struct json_node *last,
		       dray_error **err)
{
	const struct json_node *nodes = l->d->nodes;
	struct span name = node_name(l->d, last);

	for (uint32_t i = first; &nodes[i] != last; i = nodes[i].next) {
		struct span other = node_name(l->d, &nodes[i]);
		if (other.len == name.len && json_text_is(other, name, l->fold) &&
		    judge(l, &nodes[i], last, span_eq(other, name), err) < 0)
			return -1;
	}
	return 0;
}

/*
 * Fold @p name in place as Go does when it looks for a field of ASCII letters: two
 * letters past ASCII, the long s and the Kelvin sign, count as s and k there.
 */
static struct span fold_name(uint8_t *name, size_t len)
{
	struct span rest = span_of(name, len);
	size_t out = 0;

	while (rest.len) {
		bool long_s = span_starts(rest, "\xc5\xbf");
		bool kelvin = span_starts(rest, "\xe2\x84\xaa");
		uint8_t c = rest.data[0];
		rest = span_from(rest, long_s ? 2 : kelvin ? 3 : 1);
		name[out++] = long_s ? 's' : kelvin ? 'k' : (uint8_t)ascii_lower((char)c);
	}
	return span_of(name, out);
}

/* Whether two members that share a folded name share the name itself. */
static int same_name(const struct json_doc *d, const struct json_node *a, const struct json_node *b,
		     dray_error **err)
{
	cleanup_free uint8_t *decoded = mem_alloc(a->name_len);

	if (!decoded)
		return err_nomem(err);
	size_t len = json_unescape(node_name(d, a), decoded);
	return json_text_is(node_name(d, b), span_of(decoded, len), false);
}

/* Names of all members go to @p names one after another; the map finds a second one. */
static int check_by_map(struct look *l, uint32_t first, uint8_t *names, struct map *seen,
			dray_error **err)
{
	for (uint32_t i = first; i; i = l->d->nodes[i].next) {
		struct json_node *n = &l->d->nodes[i];
		size_t len = json_unescape(node_name(l->d, n), names);
		struct span key = l->fold ? fold_name(names, len) : span_of(names, len);

		names += key.len;
		const struct json_node *twin = map_get(seen, key);
		if (!twin) {
			if (map_put(seen, key, n, err) < 0)
				return -1;
			continue;
		}
		int same = l->fold ? same_name(l->d, twin, n, err) : 1;
		if (same < 0 || judge(l, twin, n, same, err) < 0)
			return -1;
	}
	return 0;
}

static int check_many(struct look *l, uint32_t first, size_t names_len, dray_error **err)
{
	cleanup_free uint8_t *names = mem_alloc(names_len);
	struct map seen = { 0 };

	if (!names)
		return err_nomem(err);
	int rc = check_by_map(l, first, names, &seen, err);
	map_clear(&seen);
	return rc;
}

static int look_at(struct look *l, uint32_t object, dray_error **err)
{
	const struct json_node *nodes = l->d->nodes;
	uint32_t first = object + 1;
	bool odd = false;
	size_t names_len = 0;

	for (uint32_t i = first; i; i = nodes[i].next) {
		odd = odd || nodes[i].name_odd;
		names_len += nodes[i].name_len;
	}
	if (odd || nodes[object].count > FEW_MEMBERS)
		return check_many(l, first, names_len, err);
	for (uint32_t i = nodes[first].next; i; i = nodes[i].next) {
		if (check_pairs(l, first, &nodes[i], err) < 0)
			return -1;
	}
	return 0;
}

int json_check_twins(const struct json_doc *d, uint32_t object, bool *ret_case, dray_error **err)
{
	struct look folded = { .d = d, .fold = true };
	struct look exact = { .d = d };

	*ret_case = false;
	if (d->nodes[object].count < 2)
		return 0;
	if (look_at(&folded, object, err) < 0)
		return -1;
	*ret_case = folded.found;
	/* Twins of the second of two case twins hide behind the first. */
	return folded.found ? look_at(&exact, object, err) : 0;
}

int json_refuse_case_twins(const struct json_doc *d, uint32_t object, dray_error **err)
{
	struct look l = { .d = d, .fold = true, .refuse = true };

	return look_at(&l, object, err);
}
