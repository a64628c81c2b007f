/* SPDX-License-Identifier: Apache-2.0
 *
 * Legacy v1 IDs: the directory names that docker save and skopeo derive from an image.
 * Relies on goconfig.c for Docker's structs and on base/jsonw.h for Go's dialect.
 * Promises the exact preimages of formats.md 2 and 1.6; verified against real archives.
 */
#include "image/config.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "image/v1_priv.h"

/* \b and \f against \u0008 and \u000c: Go 1.22 changed what encoding/json writes. */
static int rewrite_escape(struct span escape, bool go122, struct buf *ret, dray_error **err)
{
	bool b = span_is(escape, "\\u0008") || span_is(escape, "\\b");
	bool f = span_is(escape, "\\u000c") || span_is(escape, "\\f");

	if (b)
		return buf_add_str(ret, go122 ? "\\b" : "\\u0008", err);
	if (f)
		return buf_add_str(ret, go122 ? "\\f" : "\\u000c", err);
	return buf_add(ret, escape, err);
}

/* Copy the JSON text @p in with the escapes of Go up to 1.21, or from 1.22 on. */
static int go_dialect(struct span in, bool go122, struct buf *ret, dray_error **err)
{
	while (in.len > 0) {
		int64_t next = span_find(in, '\\');
		size_t plain = next < 0 ? in.len : (size_t)next;
		size_t len;

		if (buf_add(ret, span_head(in, plain), err) < 0)
			return -1;
		in = span_from(in, plain);
		if (in.len < 2)
			return buf_add(ret, in, err);
		len = in.data[1] == 'u' && in.len >= 6 ? 6 : 2;
		if (rewrite_escape(span_head(in, len), go122, ret, err) < 0)
			return -1;
		in = span_from(in, len);
	}
	return 0;
}

/* What links a layer's object to its place: absent when no ID is made of it. */
struct place {
	const struct digest *chain; /* NULL = not part of the text */
	const char *parent;	    /* v1 ID of the layer below, NULL at the bottom */
};

static void write_layer_id(struct jsonw *w, const struct place *at)
{
	if (at->chain)
		jsonw_kstring(w, "layer_id", at->chain->text);
}

static void write_parent(struct jsonw *w, const struct place *at)
{
	char text[sizeof("sha256:") + sizeof(v1_id)];

	if (!at->parent)
		return;
	snprintf(text, sizeof(text), "sha256:%s", at->parent);
	jsonw_kstring(w, "parent", text);
}

static int write_created(struct goconfig *g, struct json v)
{
	const char *text;

	if (g->w->failed || goconfig_time(g, v, &text) < 0)
		return -1;
	if (!text && !g->p->created_null)
		text = GO_ZERO_TIME;
	jsonw_kstring(g->w, "created", text);
	return 0;
}

static int write_size(struct goconfig *g, struct json v)
{
	int64_t size = 0;

	if (json_present(v) && json_int(v, "Size", &size, g->err) < 0)
		return -1;
	if (size != 0)
		jsonw_kint(g->w, "Size", size);
	return 0;
}

static int write_config(struct goconfig *g, struct json root)
{
	struct json config = json_get_fold(root, "config");

	if (!json_present(config))
		return 0;
	jsonw_key(g->w, "config");
	return goconfig_write(g, config);
}

/* A struct, no pointer: written even when the document has none. */
static int write_container_config(struct goconfig *g, struct json root)
{
	jsonw_key(g->w, "container_config");
	return goconfig_write(g, json_get_fold(root, "container_config"));
}

/* Docker's V1Image of @p root; top-level keys in the order of their bytes. */
static int write_v1_image(struct goconfig *g, struct json root, const struct place *at)
{
	struct jsonw *w = g->w;

	jsonw_object(w);
	if (write_size(g, json_get_fold(root, "Size")) < 0 ||
	    goconfig_string(g, root, "architecture") < 0 ||
	    goconfig_string(g, root, "author") < 0 || goconfig_string(g, root, "comment") < 0 ||
	    write_config(g, root) < 0 || goconfig_string(g, root, "container") < 0 ||
	    write_container_config(g, root) < 0 ||
	    write_created(g, json_get_fold(root, "created")) < 0 ||
	    goconfig_string(g, root, "docker_version") < 0)
		return -1;
	write_layer_id(w, at);
	if (goconfig_string(g, root, "os") < 0)
		return -1;
	write_parent(w, at);
	if (g->p->era == V1_ERA_EPOCH && !g->p->no_variant &&
	    goconfig_string(g, root, "variant") < 0)
		return -1;
	jsonw_end_object(w);
	return 0;
}

int v1_image_text(struct json root, const struct v1_params *p, struct buf *ret, dray_error **err)
{
	CLEANUP(arena_clear) struct arena arena = { 0 };
	const struct place nowhere = { 0 };
	struct jsonw w;
	struct goconfig g = { &w, &arena, p, err };

	jsonw_init(&w, ret, err);
	if (write_v1_image(&g, root, &nowhere) < 0)
		return -1;
	return jsonw_finish(&w);
}

static int hash_text(struct span text, v1_id ret, dray_error **err)
{
	struct digest d;

	if (digest_of(text, &d, err) < 0)
		return -1;
	memcpy(ret, digest_hex(&d), sizeof(v1_id));
	return 0;
}

/* The text of a layer below the top: nothing of the image but, in one era, its time. */
static int intermediate_text(const struct v1_params *p, const char *created, const struct place *at,
			     struct buf *ret, dray_error **err)
{
	CLEANUP(arena_clear) struct arena arena = { 0 };
	struct jsonw w;
	struct goconfig g = { &w, &arena, p, err };

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_key(&w, "container_config");
	if (goconfig_write(&g, (struct json){ 0 }) < 0)
		return -1;
	jsonw_kstring(&w, "created", created);
	write_layer_id(&w, at);
	write_parent(&w, at);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

static int top_text(const struct config *c, const struct v1_params *p, const struct place *at,
		    struct buf *ret, dray_error **err)
{
	CLEANUP(arena_clear) struct arena arena = { 0 };
	cleanup_buf struct buf text = BUF_INIT(V1_TEXT_MAX);
	struct jsonw w;
	struct goconfig g = { &w, &arena, p, err };

	jsonw_init(&w, &text, err);
	if (write_v1_image(&g, json_root(c->doc), at) < 0 || jsonw_finish(&w) < 0)
		return -1;
	return go_dialect(span_buf(&text), p->go122, ret, err);
}

/* The "created" of the layers below the top, by era: formats.md 2.3. */
static int intermediate_time(const struct config *c, const struct v1_params *p, struct arena *a,
			     const char **ret, dray_error **err)
{
	struct goconfig g = { NULL, a, p, err };
	char text[TIME_TEXT];

	*ret = GO_ZERO_TIME;
	switch (p->era) {
	case V1_ERA_ZERO:
		return 0;
	case V1_ERA_EPOCH:
		*ret = arena_strdup(a, time_format_go(0, 0, p->off_min, text));
		return *ret ? 0 : err_nomem(err);
	case V1_ERA_IMAGE:
		if (goconfig_time(&g, json_get_fold(json_root(c->doc), "created"), ret) < 0)
			return -1;
		if (!*ret)
			*ret = GO_ZERO_TIME;
		return 0;
	}
	return 0;
}

/* The chain of @p c in the arena; FORMAT when the config lists no layers. */
static int chain_of(const struct config *c, struct arena *a, struct digest **ret, dray_error **err)
{
	if (c->n_diff_ids == 0)
		return err_set(err, DRAY_ERR_FORMAT, "the config lists no diff_ids: no v1 IDs");
	*ret = arena_array(a, c->n_diff_ids, sizeof(**ret));
	if (!*ret)
		return err_nomem(err);
	return chain_ids(c->diff_ids, c->n_diff_ids, *ret, err);
}

int v1_ids_of_chain(const struct config *c, const struct digest *chain, size_t n,
		    const struct v1_params *p, v1_id *ret, dray_error **err)
{
	CLEANUP(arena_clear) struct arena arena = { 0 };
	cleanup_buf struct buf text = BUF_INIT(V1_TEXT_MAX);
	const char *created;

	if (intermediate_time(c, p, &arena, &created, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct place at = { &chain[i], i ? ret[i - 1] : NULL };
		bool top = i + 1 == n;

		buf_reset(&text);
		if ((top ? top_text(c, p, &at, &text, err)
			 : intermediate_text(p, created, &at, &text, err)) < 0 ||
		    hash_text(span_buf(&text), ret[i], err) < 0)
			return -1;
	}
	return 0;
}

int v1_ids_docker(const struct config *c, const struct v1_params *p, v1_id *ret, dray_error **err)
{
	CLEANUP(arena_clear) struct arena arena = { 0 };
	struct digest *chain = NULL;

	if (chain_of(c, &arena, &chain, err) < 0)
		return -1;
	return v1_ids_of_chain(c, chain, c->n_diff_ids, p, ret, err);
}

/* A raw value as Go's RawMessage comes out; null when the config has no such member. */
static int write_raw(struct jsonw *w, struct json root, const char *name, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(V1_TEXT_MAX);
	struct json v = json_get(root, name);

	if (w->failed)
		return -1;
	jsonw_key(w, name);
	if (!json_present(v)) {
		jsonw_null(w);
		return 0;
	}
	if (w->failed || json_compact(v, &text, err) < 0)
		return -1;
	jsonw_raw(w, span_buf(&text));
	return 0;
}

/* The members that containers/image copies into the top layer's object. */
static const char *const skopeo_before[] = {
	"architecture", "config", "container", "container_config", "created", "docker_version",
};

static int skopeo_text(struct json root, const struct place *at, bool top, struct buf *ret,
		       dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	for (size_t i = 0; top && i < ARRAY_LEN(skopeo_before); i++)
		if (write_raw(&w, root, skopeo_before[i], err) < 0)
			return -1;
	write_layer_id(&w, at);
	if (top && write_raw(&w, root, "os", err) < 0)
		return -1;
	if (at->parent)
		jsonw_kstring(&w, "parent", at->parent);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

int v1_ids_skopeo(const struct config *c, v1_id *ret, dray_error **err)
{
	CLEANUP(arena_clear) struct arena arena = { 0 };
	cleanup_buf struct buf text = BUF_INIT(V1_TEXT_MAX);
	struct digest *chain = NULL;

	if (chain_of(c, &arena, &chain, err) < 0)
		return -1;
	for (size_t i = 0; i < c->n_diff_ids; i++) {
		const struct place at = { &chain[i], i ? ret[i - 1] : NULL };

		buf_reset(&text);
		if (skopeo_text(json_root(c->doc), &at, i + 1 == c->n_diff_ids, &text, err) < 0 ||
		    hash_text(span_buf(&text), ret[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the file "ID/json" ---- */

/* What comes behind "created" of the top layer, in the order of Docker's struct. */
static int write_top_rest(struct goconfig *g, struct json root)
{
	if (goconfig_string(g, root, "container") < 0 || write_container_config(g, root) < 0 ||
	    goconfig_string(g, root, "docker_version") < 0 ||
	    goconfig_string(g, root, "author") < 0 || write_config(g, root) < 0 ||
	    goconfig_string(g, root, "architecture") < 0 ||
	    goconfig_string(g, root, "variant") < 0 || goconfig_string(g, root, "os") < 0)
		return -1;
	return write_size(g, json_get_fold(root, "Size"));
}

static int write_json(struct goconfig *g, const struct config *c, const char *created, bool top)
{
	struct json root = json_root(c->doc);

	if (!top) {
		jsonw_kstring(g->w, "created", created);
		jsonw_key(g->w, "container_config");
		return goconfig_write(g, (struct json){ 0 }) < 0 ? -1
								 : goconfig_string(g, root, "os");
	}
	if (goconfig_string(g, root, "comment") < 0 ||
	    write_created(g, json_get_fold(root, "created")) < 0)
		return -1;
	return write_top_rest(g, root);
}

int v1_json_docker(const struct config *c, const struct v1_params *p, const v1_id *ids, size_t i,
		   struct buf *ret, dray_error **err)
{
	CLEANUP(arena_clear) struct arena arena = { 0 };
	cleanup_buf struct buf text = BUF_INIT(V1_TEXT_MAX);
	struct jsonw w;
	struct goconfig g = { &w, &arena, p, err };
	const char *created;

	if (intermediate_time(c, p, &arena, &created, err) < 0)
		return -1;
	jsonw_init(&w, &text, err);
	jsonw_object(&w);
	jsonw_kstring(&w, "id", ids[i]);
	if (i > 0)
		jsonw_kstring(&w, "parent", ids[i - 1]);
	if (write_json(&g, c, created, i + 1 == c->n_diff_ids) < 0)
		return -1;
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	return go_dialect(span_buf(&text), p->go122, ret, err);
}
