/* SPDX-License-Identifier: Apache-2.0
 *
 * From the v1 json files of an archive without manifest.json to a modern config.
 * Relies on v1id.c for the V1Image struct; follows what Docker up to 28 does (formats.md 1.9).
 * Promises the same bytes, hence the same image ID, as a docker load of that archive.
 */
#include "image/config.h"

#include "base/mem.h"
#include "base/number.h"
#include "image/v1_priv.h"

/* What Docker up to 24 on a host in UTC would do; era and zone touch nothing here. */
static const struct v1_params params = { .era = V1_ERA_EPOCH };

/* One number of a version; text that is no number counts as 0, as Docker's own code has it. */
static int64_t version_part(struct span *rest)
{
	int64_t dot = span_find(*rest, '.');
	struct span part = dot < 0 ? *rest : span_head(*rest, (size_t)dot);
	int64_t n;

	*rest = dot < 0 ? span_from(*rest, rest->len) : span_from(*rest, (size_t)dot + 1);
	return num_parse_u63(part, &n) ? n : 0;
}

/* Versions before 1.8.3 wrote members that later ones do not know. */
static bool version_before_1_8_3(const char *version)
{
	static const int64_t since[] = { 1, 8, 3 };
	struct span rest = span_str(version ? version : "");

	for (size_t i = 0; i < ARRAY_LEN(since); i++) {
		int64_t n = version_part(&rest);

		if (n != since[i])
			return n < since[i];
	}
	return false;
}

/* container_config.Cmd with single spaces between. */
static int created_by(struct goconfig *g, struct json root, struct buf *ret)
{
	struct json container = json_get_fold(root, "container_config");
	struct json cmd = json_get_fold(container, "Cmd");
	struct span word;
	bool first = true;

	if (json_want(container, JSON_OBJECT, true, "container_config", g->err) < 0)
		return -1;
	if (json_type(cmd) == JSON_STRING) {
		if (json_string_bytes(cmd, "Cmd", g->arena, &word, g->err) < 0)
			return -1;
		return buf_add(ret, word, g->err);
	}
	if (json_want(cmd, JSON_ARRAY, true, "Cmd", g->err) < 0)
		return -1;
	for (struct json v = json_first(cmd); json_node(v); v = json_next(v)) {
		word = (struct span){ 0 };
		if (json_present(v) && json_string_bytes(v, "Cmd", g->arena, &word, g->err) < 0)
			return -1;
		if ((!first && buf_add_byte(ret, ' ', g->err) < 0) ||
		    buf_add(ret, word, g->err) < 0)
			return -1;
		first = false;
	}
	return 0;
}

/* The history entry of one v1 layer, in the order of Docker's struct. */
static int write_entry(struct goconfig *g, struct json root, bool empty)
{
	cleanup_buf struct buf by = BUF_INIT(V1_TEXT_MAX);
	const char *created;

	if (g->w->failed || json_want(root, JSON_OBJECT, false, "v1 json", g->err) < 0 ||
	    goconfig_time(g, json_get_fold(root, "created"), &created) < 0 ||
	    created_by(g, root, &by) < 0)
		return -1;
	jsonw_object(g->w);
	jsonw_kstring(g->w, "created", created ? created : GO_ZERO_TIME);
	if (goconfig_string(g, root, "author") < 0)
		return -1;
	if (by.len > 0) {
		jsonw_key(g->w, "created_by");
		jsonw_bytes(g->w, span_buf(&by));
	}
	if (goconfig_string(g, root, "comment") < 0)
		return -1;
	if (empty)
		jsonw_kbool(g->w, "empty_layer", true);
	jsonw_end_object(g->w);
	return 0;
}

static int write_history(struct jsonw *w, const struct v1_history *h, dray_error **err)
{
	jsonw_array(w);
	for (size_t i = 0; i < h->n; i++) {
		CLEANUP(arena_clear) struct arena arena = { 0 };
		cleanup_json struct json_doc *doc = NULL;
		struct goconfig g = { w, &arena, &params, err };

		if (w->failed)
			return -1;
		if (json_parse(h->jsons[i], &doc, err) < 0 ||
		    write_entry(&g, json_root(doc), h->empty && h->empty[i]) < 0)
			return err_ctx(err, "v1 layer %zu", i);
	}
	jsonw_end_array(w);
	return 0;
}

static void write_rootfs(struct jsonw *w, const struct digest *diff_ids, size_t n)
{
	jsonw_object(w);
	jsonw_kstring(w, "type", "layers");
	if (n) {
		jsonw_key(w, "diff_ids");
		jsonw_array(w);
		for (size_t i = 0; i < n; i++)
			jsonw_string(w, diff_ids[i].text);
		jsonw_end_array(w);
	}
	jsonw_end_object(w);
}

/* A member of the new config: a value of the old one, or one of the two that we make. */
struct member {
	const char *name;
	struct json value; /* missing = ours */
};

static int by_name(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static bool is_dropped(const char *name)
{
	static const char *const dropped[] = {
		"id", "parent", "Size", "parent_id", "layer_id", "throwaway", "rootfs", "history",
	};

	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		if (strcmp(name, dropped[i]) == 0)
			return true;
	return false;
}

/* The members that stay, and ours, sorted. */
static int collect(struct json root, struct arena *a, struct member **ret, size_t *ret_n,
		   dray_error **err)
{
	struct member *m = arena_array(a, json_len(root) + 2, sizeof(*m));
	size_t n = 0;

	if (!m)
		return err_nomem(err);
	m[n++].name = "rootfs";
	m[n++].name = "history";
	for (struct json v = json_first(root); json_node(v); v = json_next(v)) {
		if (json_name(v, a, &m[n].name, err) < 0)
			return -1;
		m[n].value = v;
		if (!is_dropped(m[n].name))
			n++;
	}
	qsort(m, n, sizeof(*m), by_name);
	*ret = m;
	*ret_n = n;
	return 0;
}

static int write_value(struct jsonw *w, struct json v, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(V1_TEXT_MAX);

	if (w->failed || json_compact(v, &text, err) < 0)
		return -1;
	jsonw_raw(w, span_buf(&text));
	return 0;
}

struct parts {
	const struct v1_history *history;
	const struct digest *diff_ids;
	size_t n;
};

static int write_config(struct json root, const struct parts *p, struct buf *ret, dray_error **err)
{
	CLEANUP(arena_clear) struct arena arena = { 0 };
	struct member *m = NULL;
	struct jsonw w;
	size_t n = 0;

	if (collect(root, &arena, &m, &n, err) < 0)
		return -1;
	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	for (size_t i = 0; i < n; i++) {
		jsonw_key(&w, m[i].name);
		if (json_node(m[i].value)) {
			if (write_value(&w, m[i].value, err) < 0)
				return -1;
		} else if (strcmp(m[i].name, "rootfs") == 0) {
			write_rootfs(&w, p->diff_ids, p->n);
		} else if (write_history(&w, p->history, err) < 0) {
			return -1;
		}
	}
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

int config_from_v1(const struct span *jsons, const struct digest *diff_ids, size_t n,
		   struct buf *ret, dray_error **err)
{
	return v1_config(&(struct v1_history){ jsons, NULL, n }, diff_ids, n, ret, err);
}

int v1_config(const struct v1_history *h, const struct digest *diff_ids, size_t n_layers,
	      struct buf *ret, dray_error **err)
{
	CLEANUP(arena_clear) struct arena arena = { 0 };
	cleanup_json struct json_doc *doc = NULL;
	cleanup_json struct json_doc *known = NULL;
	cleanup_buf struct buf text = BUF_INIT(V1_TEXT_MAX);
	const struct parts parts = { h, diff_ids, n_layers };
	const char *version;

	if (h->n == 0)
		return err_set(err, DRAY_ERR_FORMAT, "a v1 image without a layer");
	if (json_parse(h->jsons[h->n - 1], &doc, err) < 0 ||
	    json_want(json_root(doc), JSON_OBJECT, false, "v1 json", err) < 0 ||
	    json_string(json_get_fold(json_root(doc), "docker_version"), "docker_version", &arena,
			&version, err) < 0)
		return -1;
	if (!version_before_1_8_3(version))
		return write_config(json_root(doc), &parts, ret, err);
	if (v1_image_text(json_root(doc), &params, &text, err) < 0 ||
	    json_parse(span_buf(&text), &known, err) < 0)
		return -1;
	return write_config(json_root(known), &parts, ret, err);
}
