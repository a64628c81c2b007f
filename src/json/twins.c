/* SPDX-License-Identifier: Apache-2.0
 *
 * For: refusing objects in which two members have one name (reliability M-10).
 * Relies on: base/map.h, whose seed keeps hostile names from colliding.
 * Promises: linear in the bytes of the names.
 *
 * Readers differ on twins: some take the first, some the last, and Go also takes
 * "Layers" for "layers". So a document with twins says different things to
 * different tools, and none of them is told so.
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

/* Compare @p last with its elder siblings from @p first on; all names are plain ASCII. */
static int check_pairs(const struct json_doc *d, uint32_t first, const struct json_node *last,
		       dray_error **err)
{
	struct span name = node_name(d, last);

	for (uint32_t i = first; &d->nodes[i] != last; i = d->nodes[i].next) {
		struct span other = node_name(d, &d->nodes[i]);
		if (other.len == name.len && json_text_is(other, name, true))
			return refuse_twins(d, &d->nodes[i], last, span_eq(other, name), err);
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

/* Folded names of all members go to @p names one after another; the map finds a second one. */
static int check_by_map(const struct json_doc *d, uint32_t first, uint8_t *names, struct map *seen,
			dray_error **err)
{
	for (uint32_t i = first; i; i = d->nodes[i].next) {
		struct json_node *n = &d->nodes[i];
		struct span key = fold_name(names, json_unescape(node_name(d, n), names));

		names += key.len;
		const struct json_node *twin = map_get(seen, key);
		if (twin) {
			int same = same_name(d, twin, n, err);
			return same < 0 ? -1 : refuse_twins(d, twin, n, same, err);
		}
		if (map_put(seen, key, n, err) < 0)
			return -1;
	}
	return 0;
}

static int check_many(const struct json_doc *d, uint32_t first, size_t names_len, dray_error **err)
{
	cleanup_free uint8_t *names = mem_alloc(names_len);
	struct map seen = { 0 };

	if (!names)
		return err_nomem(err);
	int rc = check_by_map(d, first, names, &seen, err);
	map_clear(&seen);
	return rc;
}

int json_check_twins(const struct json_doc *d, uint32_t object, dray_error **err)
{
	uint32_t first = object + 1;
	bool odd = false;
	size_t names_len = 0;

	if (d->nodes[object].count < 2)
		return 0;
	for (uint32_t i = first; i; i = d->nodes[i].next) {
		odd = odd || d->nodes[i].name_odd;
		names_len += d->nodes[i].name_len;
	}
	if (odd || d->nodes[object].count > FEW_MEMBERS)
		return check_many(d, first, names_len, err);
	for (uint32_t i = d->nodes[first].next; i; i = d->nodes[i].next) {
		if (check_pairs(d, first, &d->nodes[i], err) < 0)
			return -1;
	}
	return 0;
}
