/* SPDX-License-Identifier: Apache-2.0
 *
 * Other DiffIDs and another history in a config that stays what it is.
 * Relies on json/edit to keep every byte that is not named.
 * Promises no clock: what is new bears the time that the image bears.
 */
#include "image/config_edit.h"

#include "base/jsonw.h"
#include "base/limits.h"
#include "json/edit.h"

static int write_diff_ids(const struct digest *list, size_t n, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		jsonw_string(&w, list[i].text);
	jsonw_end_array(&w);
	return jsonw_finish(&w);
}

static int write_history(const struct span *list, size_t n, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		jsonw_raw(&w, list[i]);
	jsonw_end_array(&w);
	return jsonw_finish(&w);
}

static int is_empty(struct span entry, bool *ret, dray_error **err)
{
	cleanup_json struct json_doc *d = NULL;

	if (json_parse(entry, &d, err) < 0)
		return -1;
	return json_bool(json_get(json_root(d), "empty_layer"), "empty_layer", false, ret, err);
}

static int check_history(const struct span *list, size_t n, size_t n_layers, dray_error **err)
{
	size_t made = 0;

	for (size_t i = 0; i < n; i++) {
		bool empty;

		if (is_empty(list[i], &empty, err) < 0)
			return -1;
		made += !empty;
	}
	if (n == 0 || made == n_layers)
		return 0;
	return err_set(err, DRAY_ERR_FORMAT, "the history makes %zu layers, there are %zu", made,
		       n_layers);
}

static int set_rootfs(struct json_edit *e, struct json root, struct span diff_ids, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);
	struct json rootfs = json_get(root, "rootfs");

	if (json_type(rootfs) == JSON_OBJECT)
		return json_edit_set(e, rootfs, "diff_ids", diff_ids, err);
	if (buf_add_str(&text, "{\"type\":\"layers\",\"diff_ids\":", err) < 0 ||
	    buf_add(&text, diff_ids, err) < 0 || buf_add_byte(&text, '}', err) < 0)
		return -1;
	return json_edit_set(e, root, "rootfs", span_buf(&text), err);
}

int config_relayer(const struct config *c, const struct digest *diff_ids, size_t n_diff_ids,
		   const struct span *history, size_t n_history, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf ids = BUF_INIT(LIMIT_CONFIG);
	cleanup_buf struct buf entries = BUF_INIT(LIMIT_CONFIG);
	cleanup_json_edit struct json_edit *e = NULL;
	struct json root = json_root(c->doc);

	if (check_history(history, n_history, n_diff_ids, err) < 0 ||
	    write_diff_ids(diff_ids, n_diff_ids, &ids, err) < 0 ||
	    write_history(history, n_history, &entries, err) < 0 ||
	    json_edit_new(c->doc, &e, err) < 0 || set_rootfs(e, root, span_buf(&ids), err) < 0)
		return -1;
	if ((n_history > 0 || json_node(json_get(root, "history"))) &&
	    json_edit_set(e, root, "history", span_buf(&entries), err) < 0)
		return -1;
	return json_edit_apply(e, ret, err);
}

int config_set_diff_ids(const struct config *c, const struct digest *diff_ids, struct buf *ret,
			dray_error **err)
{
	cleanup_buf struct buf ids = BUF_INIT(LIMIT_CONFIG);
	cleanup_json_edit struct json_edit *e = NULL;

	if (write_diff_ids(diff_ids, c->n_diff_ids, &ids, err) < 0 ||
	    json_edit_new(c->doc, &e, err) < 0 ||
	    set_rootfs(e, json_root(c->doc), span_buf(&ids), err) < 0)
		return -1;
	return json_edit_apply(e, ret, err);
}

static struct json history_at(const struct config *c, size_t i)
{
	struct json v = json_first(json_get(json_root(c->doc), "history"));

	while (i-- > 0)
		v = json_next(v);
	return v;
}

int config_history_entry(const struct config *c, size_t i, bool empty_layer, struct buf *ret,
			 dray_error **err)
{
	struct json old = history_at(c, i);
	cleanup_json struct json_doc *d = NULL;
	cleanup_json_edit struct json_edit *e = NULL;
	struct json flag;

	if (c->history[i].empty_layer == empty_layer)
		return buf_add(ret, json_raw(old), err);
	if (json_parse(json_raw(old), &d, err) < 0 || json_edit_new(d, &e, err) < 0)
		return -1;
	flag = json_get(json_root(d), "empty_layer");
	if (empty_layer && json_edit_set(e, json_root(d), "empty_layer", SPAN_LIT("true"), err) < 0)
		return -1;
	if (!empty_layer && json_node(flag))
		json_edit_remove(e, flag);
	return json_edit_apply(e, ret, err);
}

int config_history_new(const struct config *c, const char *created_by, const char *comment,
		       bool empty_layer, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	if (c->created)
		jsonw_kstring(&w, "created", c->created);
	jsonw_kstring(&w, "created_by", created_by);
	if (comment)
		jsonw_kstring(&w, "comment", comment);
	if (empty_layer)
		jsonw_kbool(&w, "empty_layer", true);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}
