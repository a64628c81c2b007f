/* SPDX-License-Identifier: Apache-2.0
 *
 * Closures as JSON: what Nix writes for exportReferencesGraph and for "nix path-info".
 * Relies on json/ for limits and twin names.
 * Promises that members nobody knows change nothing.
 */
#include "build/closure_priv.h"

#include "base/mem.h"
#include "base/text.h"
#include "json/members.h"

/* ---- one path ---- */

static int read_size(struct json node, int64_t *ret, dray_error **err)
{
	struct json v = json_get(node, "narSize");

	*ret = -1;
	if (!json_present(v))
		return 0;
	if (json_int(v, "narSize", ret, err) < 0)
		return -1;
	return *ret >= 0 ? 0 : err_set(err, DRAY_ERR_FORMAT, "narSize: a negative number");
}

static int read_refs(struct draft *d, struct json node, struct arena *a, dray_error **err)
{
	struct json refs = json_get(node, "references");
	struct span path;

	if (json_want(refs, JSON_ARRAY, true, "references", err) < 0)
		return -1;
	for (struct json it = json_first(refs); json_node(it); it = json_next(it)) {
		if (json_want(it, JSON_STRING, false, "a reference", err) < 0 ||
		    json_string_bytes(it, "a reference", a, &path, err) < 0 ||
		    draft_ref(d, path, err) < 0)
			return -1;
	}
	return 0;
}

/* @p path: of an object keyed by it; no data = the node tells it. */
static int read_node(struct draft *d, struct json node, struct span path, dray_error **err)
{
	struct arena a CLEANUP(arena_clear) = { 0 };
	struct json valid = json_get(node, "valid");
	int64_t size;

	if (json_want(node, JSON_OBJECT, false, "a path's description", err) < 0)
		return json_type(node) == JSON_NULL
			       ? err_hint(err, "Nix writes null for what is not in the store")
			       : -1;
	if (json_type(valid) == JSON_FALSE)
		return err_set(err, DRAY_ERR_FORMAT, "Nix says that the path is not in the store");
	if (!path.data) {
		struct json v = json_get(node, "path");

		if (json_want(v, JSON_STRING, false, "path", err) < 0 ||
		    json_string_bytes(v, "path", &a, &path, err) < 0)
			return -1;
	}
	if (read_size(node, &size, err) < 0 || draft_entry(d, path, size, err) < 0)
		return -1;
	return read_refs(d, node, &a, err);
}

/* ---- many ---- */

static int read_array(struct draft *d, struct json array, dray_error **err)
{
	size_t n = 1;

	d->has_refs = true;
	for (struct json it = json_first(array); json_node(it); it = json_next(it), n++)
		if (read_node(d, it, (struct span){ 0 }, err) < 0)
			return err_ctx(err, "entry %zu", n);
	return 0;
}

static int read_by_path(struct draft *d, struct json object, dray_error **err)
{
	struct arena a CLEANUP(arena_clear) = { 0 };
	const char *path;

	d->has_refs = true;
	if (json_want_map(object, false, "paths", err) < 0)
		return -1;
	for (struct json it = json_first(object); json_node(it); it = json_next(it)) {
		if (json_name(it, &a, &path, err) < 0)
			return -1;
		if (read_node(d, it, span_str(path), err) == 0)
			continue;
		cleanup_free char *safe = text_safe(span_str(path), 200);
		return safe ? err_ctx(err, "%s", safe) : -1;
	}
	return 0;
}

/* ---- where it is ---- */

static int read_key(struct draft *d, struct json root, dray_error **err)
{
	struct json_members m CLEANUP(json_members_clear) = { 0 };
	cleanup_free char *safe = text_safe(span_str(d->key), 200);
	struct json v;

	if (!safe)
		return err_nomem(err);
	if (json_members_init(&m, root, err) < 0)
		return -1;
	v = json_members_get(&m, span_str(d->key));
	switch (json_type(v)) {
	case JSON_MISSING:
		return err_set(err, DRAY_ERR_NOT_FOUND, "it has no member \"%s\"", safe);
	case JSON_ARRAY:
		return read_array(d, v, err) < 0 ? err_ctx(err, "%s", safe) : 0;
	default:
		return err_set(err, DRAY_ERR_FORMAT, "\"%s\" is no graph of references", safe);
	}
}

static bool is_graph(struct json v)
{
	return json_type(v) == JSON_ARRAY &&
	       json_type(json_get(json_first(v), "path")) == JSON_STRING;
}

/* Of .attrs.json: the one member that is a graph. */
static int read_only_graph(struct draft *d, struct json root, dray_error **err)
{
	struct json found = { 0 };
	size_t n = 0;

	for (struct json it = json_first(root); json_node(it); it = json_next(it))
		if (is_graph(it)) {
			found = it;
			n++;
		}
	if (n == 1)
		return read_array(d, found, err);
	err_set(err, n ? DRAY_ERR_USAGE : DRAY_ERR_FORMAT,
		n ? "it holds %zu graphs of references" : "it holds no graph of references", n);
	return n ? err_hint(err, "say the key of the one that is meant") : -1;
}

/* "nix path-info --json" since its second format: base names, and the store beside them. */
static int read_info(struct draft *d, struct json root, dray_error **err)
{
	struct json store = json_get(root, "storeDir");
	struct span dir;

	d->base_names = true;
	if (json_type(store) == JSON_STRING && !d->store_given) {
		if (json_string_bytes(store, "storeDir", &d->arena, &dir, err) < 0)
			return -1;
		d->store = dir;
	}
	return read_by_path(d, json_get(root, "info"), err);
}

static bool keyed_by_path(struct json root)
{
	for (struct json it = json_first(root); json_node(it); it = json_next(it))
		if (!span_starts(json_name_raw(it), "/"))
			return false;
	return true;
}

int draft_json(struct draft *d, struct span text, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	struct json root;

	if (json_parse(text, &doc, err) < 0)
		return -1;
	root = json_root(doc);
	if (json_type(root) == JSON_ARRAY)
		return read_array(d, root, err);
	if (d->key)
		return read_key(d, root, err);
	if (json_type(json_get(root, "info")) == JSON_OBJECT)
		return read_info(d, root, err);
	return keyed_by_path(root) ? read_by_path(d, root, err) : read_only_graph(d, root, err);
}
