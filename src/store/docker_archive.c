/* SPDX-License-Identifier: Apache-2.0 */

/* docker-archive: manifest.json and the members that it names, by any writer (formats.md 1.2 - 1.7).
 * Relies on paths inside manifest.json alone; names of members prove nothing.
 * Promises an image for each element, with what is wrong with it noted. */

#include "store/store_priv.h"

#include "base/limits.h"
#include "base/mem.h"

#define WHERE_TAG_MAX 120 /* bytes of a tag that messages show */

struct reading {
	struct archive *a;
	struct repositories repos;
	struct image_list *out;
	int64_t at;
	bool case_noted;
};

/* A member of an element; a key in another case is read and told once, as jib writes them (M-10). */
static int get_key(struct reading *r, struct json element, const char *key, struct json *ret,
		   dray_error **err)
{
	*ret = json_get(element, key);
	if (json_node(*ret))
		return 0;
	*ret = json_get_fold(element, key);
	if (!json_node(*ret) || r->case_noted)
		return 0;
	r->case_noted = true;
	return notes_add(&r->a->store.notes, false, "manifest-json-key-case", "manifest.json", key,
			 NULL, err, "manifest.json does not spell \"%s\" that way", key);
}

/* A member that is an array or null or absent. */
static int get_array(struct reading *r, struct json element, const char *key, struct json *ret,
		     dray_error **err)
{
	if (get_key(r, element, key, ret, err) < 0 ||
	    json_want(*ret, JSON_ARRAY, true, key, err) < 0)
		return -1;
	return 0;
}

static int read_tags(struct reading *r, struct image *im, struct json element, dray_error **err)
{
	struct json tags;
	const char *tag;

	if (get_array(r, element, "RepoTags", &tags, err) < 0)
		return -1;
	if (!json_present(tags))
		return 0;
	for (struct json it = json_first(tags); json_node(it); it = json_next(it)) {
		if (json_string(it, "RepoTags", &im->arena, &tag, err) < 0)
			return -1;
		if (tag && image_add_tag(im, tag, NULL, err) < 0)
			return -1;
	}
	return 0;
}

/* "app.tar image 2 (test/sym:1)" */
static int name_image(struct reading *r, struct image *im, dray_error **err)
{
	const char *first = NULL;

	if (im->n_tags)
		first = safe_text(&im->arena, span_head(span_str(im->tags[0]), WHERE_TAG_MAX));
	im->where = arena_printf(&im->arena, "%s image %lld%s%s%s", r->a->label,
				 (long long)r->at + 1, first ? " (" : "", first ? first : "",
				 first ? ")" : "");
	return im->where ? 0 : err_nomem(err);
}

/* The digest that a config's name claims: "HEX.json", "sha256:HEX", "blobs/sha256/HEX". */
static int claimed_digest(const char *path, struct digest *ret, dray_error **err)
{
	struct span s = span_str(path);

	if (span_starts(s, "./"))
		s = span_from(s, 2);
	if (span_ends(s, ".json"))
		s = span_head(s, s.len - 5);
	else if (span_starts(s, "sha256:"))
		s = span_from(s, 7);
	else if (span_starts(s, "blobs/sha256/"))
		s = span_from(s, 13);
	else
		return 0;
	return hex_is_lower(s, DIGEST_HEX_SHA256) ? digest_from_hex(s, ret, err) : 0;
}

/* A config edited by hand keeps its old name; engines load it, verify calls it a problem. */
static int check_config_name(struct image *im, dray_error **err)
{
	if (!im->config || !digest_set(&im->config_digest_claimed) ||
	    digest_eq(&im->config->digest, &im->config_digest_claimed))
		return 0;
	return notes_add(&im->notes, true, "config-name-differs", im->config_path,
			 im->config_digest_claimed.text, im->config->digest.text, err,
			 "the config is named after another digest than that of its bytes");
}

static int load_config(struct reading *r, struct image *im, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);
	cleanup_error dray_error *e = NULL;

	if (members_document(r->a->members, im->config_path, LIMIT_CONFIG, &raw, &e) == 0)
		return image_set_config(im, &raw, NULL, err);
	const char *code = dray_error_kind(e) == DRAY_ERR_NOT_FOUND ? "config-missing"
								    : "config-unreadable";
	if (image_trouble(im, code, NULL, &e) == 0)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int read_config(struct reading *r, struct image *im, struct json element, dray_error **err)
{
	struct json v;

	if (get_key(r, element, "Config", &v, err) < 0 ||
	    json_want(v, JSON_STRING, false, "Config", err) < 0 ||
	    json_string(v, "Config", &im->arena, &im->config_path, err) < 0)
		return -1;
	if (claimed_digest(im->config_path, &im->config_digest_claimed, err) < 0 ||
	    load_config(r, im, err) < 0)
		return -1;
	return check_config_name(im, err);
}

/* "HEX/layer.tar" of Docker's era; nix and old skopeo put the DiffID there instead. */
static int find_v1_id(struct image *im, struct layer *layer, dray_error **err)
{
	const char *path = layer->path;
	struct span s = span_str(path);

	if (span_starts(s, "./"))
		s = span_from(s, 2);
	if (s.len != V1_ID_LEN + 10 || !span_ends(s, "/layer.tar"))
		return 0;
	s = span_head(s, V1_ID_LEN);
	if (!v1_id_valid(s) ||
	    (digest_set(&layer->diff_id) && span_is(s, digest_hex(&layer->diff_id))))
		return 0;
	layer->v1_id = arena_strndup(&im->arena, (const char *)s.data, s.len);
	return layer->v1_id ? 0 : err_nomem(err);
}

/* Under blobs/sha256 the name is the digest by that folder's own rule. */
static int claim_blob_digest(struct layer *layer, dray_error **err)
{
	struct span s = span_str(layer->path);

	if (span_starts(s, "./"))
		s = span_from(s, 2);
	if (!span_starts(s, "blobs/sha256/"))
		return 0;
	s = span_from(s, 13);
	return hex_is_lower(s, DIGEST_HEX_SHA256) ? digest_from_hex(s, &layer->blob.digest, err)
						  : 0;
}

static int read_layers(struct reading *r, struct image *im, struct json element, dray_error **err)
{
	struct json layers;
	size_t i = 0;

	if (get_array(r, element, "Layers", &layers, err) < 0 ||
	    image_set_layers(im, json_present(layers) ? json_len(layers) : 0, err) < 0)
		return -1;
	if (image_set_diff_ids(im, err) < 0)
		return -1;
	if (!im->n_layers)
		return 0;
	for (struct json it = json_first(layers); json_node(it); it = json_next(it), i++) {
		struct layer *layer = &im->layers[i];

		if (json_want(it, JSON_STRING, false, "Layers", err) < 0 ||
		    json_string(it, "Layers", &im->arena, &layer->path, err) < 0 ||
		    find_v1_id(im, layer, err) < 0 || claim_blob_digest(layer, err) < 0 ||
		    archive_bind_layer(r->a, im, i, err) < 0)
			return -1;
	}
	return 0;
}

/* The top layer's v1 ID as "repositories" says; Docker 25 and later write the DiffID there. */
static int find_v1_top(struct reading *r, struct image *im, dray_error **err)
{
	const struct layer *top = im->n_layers ? &im->layers[im->n_layers - 1] : NULL;
	const char *no_id = top && digest_set(&top->diff_id) ? digest_hex(&top->diff_id) : "";

	for (size_t i = 0; i < im->n_tags; i++) {
		const char *id = map_get(&r->repos.map, span_str(im->tags[i]));

		if (!id || !v1_id_valid(span_str(id)) || strcmp(id, no_id) == 0)
			continue;
		im->v1_top = arena_strdup(&im->arena, id);
		return im->v1_top ? 0 : err_nomem(err);
	}
	return 0;
}

static int read_element(struct reading *r, struct json element, dray_error **err)
{
	cleanup_image struct image *im = NULL;

	if (json_want(element, JSON_OBJECT, false, "manifest.json element", err) < 0 ||
	    image_new(r->a->label, &im, err) < 0)
		return -1;
	im->at = r->at;
	if (read_tags(r, im, element, err) < 0 || name_image(r, im, err) < 0 ||
	    read_config(r, im, element, err) < 0 || read_layers(r, im, element, err) < 0 ||
	    find_v1_top(r, im, err) < 0)
		return -1;
	return image_list_add(r->out, steal_pointer(&im), err);
}

static int read_elements(struct reading *r, struct json list, dray_error **err)
{
	if (json_want(list, JSON_ARRAY, false, "manifest.json", err) < 0)
		return -1;
	for (struct json it = json_first(list); json_node(it); it = json_next(it), r->at++)
		if (read_element(r, it, err) < 0)
			return err_ctx(err, "image %lld", (long long)r->at + 1);
	return 0;
}

int docker_archive_images(struct archive *a, struct image_list *ret, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST_JSON);
	cleanup_json struct json_doc *doc = NULL;
	struct reading r = { .a = a, .out = ret };

	if (members_document(a->members, "manifest.json", LIMIT_MANIFEST_JSON, &raw, err) < 0 ||
	    json_parse(span_buf(&raw), &doc, err) < 0)
		return err_ctx(err, "%s: manifest.json", a->label);
	int rc = repositories_load(a, &r.repos, err);
	if (rc == 0)
		rc = read_elements(&r, json_root(doc), err);
	repositories_clear(&r.repos);
	return rc < 0 ? err_ctx(err, "%s: manifest.json", a->label) : 0;
}
