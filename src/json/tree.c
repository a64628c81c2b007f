/* SPDX-License-Identifier: Apache-2.0
 *
 * For: walking a parsed document.
 * Relies on: the order of nodes that json_priv.h describes.
 * Promises: never fails; what is not there is MISSING, which can be asked on.
 */
#include "json/json_priv.h"

static const struct json_node *node_of(struct json v)
{
	static const struct json_node missing = { .type = JSON_MISSING };

	return v.node ? &v.doc->nodes[v.node] : &missing;
}

struct json json_root(const struct json_doc *d)
{
	return (struct json){ d, 1 };
}

enum json_type json_type(struct json v)
{
	return (enum json_type)node_of(v)->type;
}

const char *json_type_name(enum json_type t)
{
	static const char *const names[] = {
		[JSON_MISSING] = "nothing", [JSON_NULL] = "null",     [JSON_FALSE] = "false",
		[JSON_TRUE] = "true",	    [JSON_NUMBER] = "number", [JSON_STRING] = "string",
		[JSON_ARRAY] = "array",	    [JSON_OBJECT] = "object",
	};

	return names[t];
}

struct span json_raw(struct json v)
{
	const struct json_node *n = node_of(v);

	return v.node ? span_of(v.doc->text.data + n->off, n->len) : span_of(NULL, 0);
}

size_t json_len(struct json v)
{
	return node_of(v)->count;
}

struct json json_first(struct json v)
{
	return (struct json){ v.doc, node_of(v)->count ? v.node + 1 : 0 };
}

struct json json_next(struct json v)
{
	return (struct json){ v.doc, node_of(v)->next };
}

struct span json_name_raw(struct json v)
{
	return v.node ? node_name(v.doc, node_of(v)) : span_of(NULL, 0);
}

static bool name_is(struct json v, struct span name, bool fold)
{
	struct span raw = json_name_raw(v);

	if (!node_of(v)->name_odd && !fold)
		return span_eq(raw, name);
	return json_text_is(raw, name, fold);
}

static struct json find_member(struct json v, const char *name, bool fold)
{
	struct span wanted = span_str(name);

	if (json_type(v) != JSON_OBJECT)
		return (struct json){ v.doc, 0 };
	struct json it = json_first(v);
	while (json_node(it) && !name_is(it, wanted, fold))
		it = json_next(it);
	return it;
}

struct json json_get(struct json v, const char *name)
{
	return find_member(v, name, false);
}

struct json json_get_fold(struct json v, const char *name)
{
	struct json exact = find_member(v, name, false);

	return json_node(exact) ? exact : find_member(v, name, true);
}
