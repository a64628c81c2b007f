/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      what an engine tells of its images without handing them out.
 * Relies:   on GET /images/json and GET /images/NAME/json as every version since 1.10 has them.
 * Promises: names are checked before they stand in a path; documents are bounded and typed.
 */
#include "remote/engine_priv.h"

#include "base/limits.h"
#include "base/mem.h"

#define IMAGES_MAX 100000 /* of one engine */

/* An ID in front of which podman of some versions puts no algorithm. */
static int parse_id(struct json v, const char *what, struct digest *ret, dray_error **err)
{
	struct arena a = { 0 };
	const char *text = NULL;
	int rc = json_string(v, what, &a, &text, err);

	if (rc == 0 && !text)
		rc = err_set(err, DRAY_ERR_FORMAT, "%s is missing", what);
	if (rc == 0)
		rc = strchr(text, ':') ? digest_parse(span_str(text), ret, err)
				       : digest_from_hex(span_str(text), ret, err);
	arena_clear(&a);
	return rc < 0 ? err_ctx(err, "the engine's %s", what) : 0;
}

static int parse_tags(struct json list, struct arena *a, struct engine_image *ret, dray_error **err)
{
	if (!json_present(list))
		return 0;
	if (json_want(list, JSON_ARRAY, false, "RepoTags", err) < 0)
		return -1;
	ret->tags = arena_array(a, json_len(list) + 1, sizeof(*ret->tags));
	if (!ret->tags)
		return err_nomem(err);
	for (struct json v = json_first(list); json_node(v); v = json_next(v)) {
		const char *tag = NULL;

		if (json_string(v, "tag", a, &tag, err) < 0)
			return -1;
		if (tag && strcmp(tag, "<none>:<none>") != 0)
			ret->tags[ret->n_tags++] = tag;
	}
	return 0;
}

static int parse_layers(struct json list, struct arena *a, struct engine_image *ret,
			dray_error **err)
{
	if (!json_present(list))
		return 0;
	if (json_want(list, JSON_ARRAY, false, "Layers", err) < 0)
		return -1;
	if (json_len(list) > LIMIT_LAYERS)
		return err_set(err, DRAY_ERR_LIMIT, "%zu layers, over LIMIT_LAYERS (%d)",
			       json_len(list), LIMIT_LAYERS);
	ret->diff_ids = arena_array(a, json_len(list) + 1, sizeof(*ret->diff_ids));
	if (!ret->diff_ids)
		return err_nomem(err);
	for (struct json v = json_first(list); json_node(v); v = json_next(v)) {
		if (parse_id(v, "DiffID", &ret->diff_ids[ret->n_diff_ids], err) < 0)
			return -1;
		ret->n_diff_ids++;
	}
	return 0;
}

static int parse_texts(struct json root, struct arena *a, struct engine_image *ret,
		       dray_error **err)
{
	const struct {
		const char *name;
		const char **slot;
	} texts[] = {
		{ "Created", &ret->created },
		{ "Os", &ret->os },
		{ "Architecture", &ret->arch },
		{ "Variant", &ret->variant },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const char *text = NULL;

		if (json_string(json_get(root, texts[i].name), texts[i].name, a, &text, err) < 0)
			return -1;
		*texts[i].slot = text && *text ? text : NULL;
	}
	return 0;
}

static int parse_image(struct json root, struct arena *a, struct engine_image *ret,
		       dray_error **err)
{
	struct json kept = json_get(root, "Descriptor"), stored = json_get(kept, "digest");
	const char *type = NULL;

	if (json_want(root, JSON_OBJECT, false, "image", err) < 0 ||
	    parse_id(json_get(root, "Id"), "image ID", &ret->id, err) < 0 ||
	    (json_present(stored) && parse_id(stored, "Descriptor", &ret->stored, err) < 0) ||
	    json_string(json_get(kept, "mediaType"), "mediaType", a, &type, err) < 0 ||
	    parse_texts(root, a, ret, err) < 0 ||
	    parse_tags(json_get(root, "RepoTags"), a, ret, err) < 0 ||
	    parse_layers(json_get(json_get(root, "RootFS"), "Layers"), a, ret, err) < 0)
		return -1;
	ret->stored_index = type && mediatype_is_index(type);
	return json_present(json_get(root, "Size"))
		       ? json_int(json_get(root, "Size"), "Size", &ret->size, err)
		       : 0;
}

int engine_image_parse(struct span text, struct arena *a, struct engine_image *ret,
		       dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;

	*ret = (struct engine_image){ .size = -1 };
	if (json_parse(text, &doc, err) < 0)
		return -1;
	return parse_image(json_root(doc), a, ret, err);
}

int engine_inspect(struct engine *e, const char *name, struct arena *a, struct engine_image *ret,
		   dray_error **err)
{
	cleanup_free char *path = mem_printf("/images/%s/json", name);
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);

	if (!path)
		return err_nomem(err);
	if (engine_get(e, path, name, &text, err) < 0)
		return -1;
	if (engine_image_parse(span_buf(&text), a, ret, err) < 0)
		return err_ctx(err, "%s: what %s says of it", name, e->host.text);
	return 0;
}

static int parse_list(struct json list, struct arena *a, struct digest **ret, size_t *ret_n,
		      dray_error **err)
{
	size_t n = 0;

	if (json_want(list, JSON_ARRAY, false, "list", err) < 0)
		return -1;
	if (json_len(list) > IMAGES_MAX)
		return err_set(err, DRAY_ERR_LIMIT, "%zu images, over %d", json_len(list),
			       IMAGES_MAX);
	*ret = arena_array(a, json_len(list) + 1, sizeof(**ret));
	if (!*ret)
		return err_nomem(err);
	for (struct json v = json_first(list); json_node(v); v = json_next(v)) {
		if (parse_id(json_get(v, "Id"), "image ID", &(*ret)[n], err) < 0)
			return -1;
		/* podman lists an image once for each of its names */
		bool twin = n > 0 && digest_eq(&(*ret)[n - 1], &(*ret)[n]);
		n += !twin;
	}
	*ret_n = n;
	return 0;
}

int engine_list(struct engine *e, struct arena *a, struct digest **ret, size_t *ret_n,
		dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_ENGINE_LIST);
	cleanup_json struct json_doc *doc = NULL;

	if (engine_get(e, "/images/json", "list of images", &text, err) < 0)
		return -1;
	if (json_parse(span_buf(&text), &doc, err) < 0 ||
	    parse_list(json_root(doc), a, ret, ret_n, err) < 0)
		return err_ctx(err, "list of images of %s", e->host.text);
	return 0;
}
