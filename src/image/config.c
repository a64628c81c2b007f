/* SPDX-License-Identifier: Apache-2.0
 *
 * The image configuration: what the documents of real producers hold, read once.
 * Relies on json/ for types; members match without case, as Go's readers match them.
 * Promises strictness about diff_ids and types, patience about what producers leave out.
 */
#include "image/config.h"

#include "base/limits.h"
#include "base/mem.h"

static int take_string(struct json v, const char *name, struct config *c, const char **ret,
		       dray_error **err)
{
	return json_string(json_get_fold(v, name), name, &c->arena, ret, err);
}

static int take_diff_ids(struct config *c, struct json list, dray_error **err)
{
	size_t n = json_len(list);

	if (n > LIMIT_LAYERS)
		return err_set(err, DRAY_ERR_LIMIT, "%zu diff_ids, over LIMIT_LAYERS (%d)", n,
			       LIMIT_LAYERS);
	if (n == 0)
		return 0;
	c->diff_ids = arena_array(&c->arena, n, sizeof(*c->diff_ids));
	if (!c->diff_ids)
		return err_nomem(err);
	for (struct json v = json_first(list); json_node(v); v = json_next(v)) {
		const char *text = NULL;

		if (json_want(v, JSON_STRING, false, "diff_id", err) < 0 ||
		    json_string(v, "diff_id", &c->arena, &text, err) < 0 ||
		    digest_parse(span_str(text), &c->diff_ids[c->n_diff_ids], err) < 0)
			return err_ctx(err, "diff_ids[%zu]", c->n_diff_ids);
		c->n_diff_ids++;
	}
	return 0;
}

static int take_rootfs(struct config *c, struct json root, dray_error **err)
{
	struct json rootfs = json_get_fold(root, "rootfs");
	struct json list;

	if (json_want(rootfs, JSON_OBJECT, true, "rootfs", err) < 0)
		return -1;
	if (!json_present(rootfs))
		return 0;
	list = json_get_fold(rootfs, "diff_ids");
	if (json_want(list, JSON_ARRAY, true, "rootfs: diff_ids", err) < 0)
		return -1;
	/* Go writes the empty list of a zero-layer image as null. */
	c->has_diff_ids = json_type(list) != JSON_MISSING;
	return json_present(list) ? take_diff_ids(c, list, err) : 0;
}

static int take_history_entry(struct config *c, struct json v, struct history *h, dray_error **err)
{
	if (json_want(v, JSON_OBJECT, false, "entry", err) < 0 ||
	    take_string(v, "created", c, &h->created, err) < 0 ||
	    take_string(v, "created_by", c, &h->created_by, err) < 0 ||
	    take_string(v, "author", c, &h->author, err) < 0 ||
	    take_string(v, "comment", c, &h->comment, err) < 0)
		return -1;
	return json_bool(json_get_fold(v, "empty_layer"), "empty_layer", false, &h->empty_layer,
			 err);
}

static int take_history(struct config *c, struct json root, dray_error **err)
{
	struct json list = json_get_fold(root, "history");
	size_t n;

	if (json_want(list, JSON_ARRAY, true, "history", err) < 0)
		return -1;
	n = json_present(list) ? json_len(list) : 0;
	if (n == 0)
		return 0;
	c->history = arena_array(&c->arena, n, sizeof(*c->history));
	if (!c->history)
		return err_nomem(err);
	for (struct json v = json_first(list); json_node(v); v = json_next(v)) {
		if (take_history_entry(c, v, &c->history[c->n_history], err) < 0)
			return err_ctx(err, "history[%zu]", c->n_history);
		c->n_history++;
	}
	return 0;
}

static int take_members(struct config *c, dray_error **err)
{
	struct json root = json_root(c->doc);

	if (json_want(root, JSON_OBJECT, false, "config", err) < 0 ||
	    platform_from_json(root, &c->arena, &c->platform, err) < 0 ||
	    take_string(root, "created", c, &c->created, err) < 0 ||
	    json_want(json_get_fold(root, "config"), JSON_OBJECT, true, "config", err) < 0 ||
	    take_rootfs(c, root, err) < 0)
		return -1;
	return take_history(c, root, err);
}

static int parse(struct config *c, dray_error **err)
{
	if (c->raw.len > LIMIT_CONFIG)
		return err_set(err, DRAY_ERR_LIMIT, "%zu bytes, over LIMIT_CONFIG (%lld)",
			       c->raw.len, LIMIT_CONFIG);
	if (digest_of(span_buf(&c->raw), &c->digest, err) < 0 ||
	    json_parse(span_buf(&c->raw), &c->doc, err) < 0)
		return -1;
	return take_members(c, err);
}

int config_parse(struct buf *raw, struct config **ret, dray_error **err)
{
	cleanup_config struct config *c = mem_zalloc(sizeof(*c));

	if (!c) {
		buf_clear(raw);
		return err_nomem(err);
	}
	c->raw = *raw;
	*raw = BUF_INIT(raw->max);
	if (parse(c, err) < 0)
		return -1;
	*ret = steal_pointer(&c);
	return 0;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	json_doc_free(c->doc);
	arena_clear(&c->arena);
	buf_clear(&c->raw);
	mem_free(c);
}

int64_t config_history_of_layer(const struct config *c, size_t layer)
{
	for (size_t i = 0; i < c->n_history; i++) {
		if (c->history[i].empty_layer)
			continue;
		if (layer-- == 0)
			return (int64_t)i;
	}
	return -1;
}

/* Both operands with their algorithm, one space between: formats.md 3.4. */
static int chain_step(const struct digest *below, const struct digest *diff_id, struct digest *ret,
		      dray_error **err)
{
	char text[2 * DIGEST_TEXT];
	int len = snprintf(text, sizeof(text), "%s %s", below->text, diff_id->text);

	return digest_of(span_of(text, (size_t)len), ret, err);
}

int chain_ids(const struct digest *diff_ids, size_t n, struct digest *ret, dray_error **err)
{
	if (n > 0)
		ret[0] = diff_ids[0];
	for (size_t i = 1; i < n; i++)
		if (chain_step(&ret[i - 1], &diff_ids[i], &ret[i], err) < 0)
			return -1;
	return 0;
}
