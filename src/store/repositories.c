/* SPDX-License-Identifier: Apache-2.0 */

/* The file "repositories": familiar name -> tag -> v1 ID of the top layer (formats.md 1.3).
 * Relies on nothing but JSON.
 * Promises lookups by "name:tag" that stay fast for thousands of names. */

#include "store/store_priv.h"

#include "base/limits.h"

static int add_tags(struct repositories *r, const char *name, struct json tags, dray_error **err)
{
	if (json_want_map(tags, true, "repositories", err) < 0)
		return -1;
	if (!json_present(tags))
		return 0;
	for (struct json it = json_first(tags); json_node(it); it = json_next(it)) {
		const char *tag, *id;

		if (json_name(it, &r->arena, &tag, err) < 0 ||
		    json_string(it, "repositories", &r->arena, &id, err) < 0)
			return -1;
		if (!id)
			continue;
		char *key = arena_printf(&r->arena, "%s:%s", name, tag);
		/* The arena owns the text; the map only carries the address. */
		union {
			const char *c;
			void *v;
		} value = { .c = id };
		if (!key)
			return err_nomem(err);
		if (map_put(&r->map, span_str(key), value.v, err) < 0)
			return -1;
	}
	return 0;
}

static int read_names(struct repositories *r, struct json root, dray_error **err)
{
	const char *name;

	if (json_want_map(root, true, "repositories", err) < 0)
		return -1;
	for (struct json it = json_first(root); json_node(it); it = json_next(it))
		if (json_name(it, &r->arena, &name, err) < 0 || add_tags(r, name, it, err) < 0)
			return -1;
	return 0;
}

static int load(struct archive *a, struct repositories *r, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST_JSON);
	cleanup_json struct json_doc *doc = NULL;

	if (members_document(a->members, "repositories", LIMIT_MANIFEST_JSON, &raw, err) < 0 ||
	    json_parse(span_buf(&raw), &doc, err) < 0)
		return -1;
	return read_names(r, json_root(doc), err);
}

int repositories_load(struct archive *a, struct repositories *ret, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	*ret = (struct repositories){ 0 };
	if (load(a, ret, &e) == 0 || dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
		return 0;
	repositories_clear(ret);
	if (dray_error_kind(e) == DRAY_ERR_FORMAT && a->store.kind != STORE_DOCKER_V1)
		return notes_add(&a->store.notes, false, "repositories-bad-json", "repositories",
				 NULL, NULL, err, "%s", dray_error_message(e));
	if (err)
		*err = steal_pointer(&e);
	return err_ctx(err, "repositories");
}

void repositories_clear(struct repositories *r)
{
	map_clear(&r->map);
	arena_clear(&r->arena);
}
