/* SPDX-License-Identifier: Apache-2.0
 *
 * From annotations to bases, and back.
 * Relies on json/edit to keep what is not about the base.
 * Promises that no annotation names a base that is not there any more.
 */
#include "ops/rebase.h"

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "image/manifest.h"
#include "json/edit.h"
#include "ops/build.h"

#define BASE_NAME "org.opencontainers.image.base.name"
#define BASE_DIGEST "org.opencontainers.image.base.digest"

/* ---- which they are ---- */

static int annotation(struct stack *s, const char *key, const char **ret, dray_error **err)
{
	const struct manifest *m = stack_manifest(s);

	*ret = NULL;
	return m ? json_string(json_get(m->annotations, key), key, &s->arena, ret, err) : 0;
}

static int no_base(const struct stack *s, const char *option, const char *key, dray_error **err)
{
	err_set(err, DRAY_ERR_USAGE, "%s: it has no annotation %s", s->im->where, key);
	return err_hint(err, "%s tells the base", option);
}

static const char *registry_place(struct stack *s, const struct reference *ref, dray_error **err)
{
	cleanup_free char *text = reference_text(ref);
	const char *place = text ? arena_printf(&s->arena, "docker://%s", text) : NULL;

	if (!place)
		err_nomem(err);
	return place;
}

static int annotated_name(struct stack *s, const char *option, struct reference *ret,
			  dray_error **err)
{
	const char *name;

	if (annotation(s, BASE_NAME, &name, err) < 0)
		return -1;
	if (!name || !name[0])
		return no_base(s, option, BASE_NAME, err);
	return reference_parse(span_str(name), ret, err) < 0 ? err_ctx(err, "%s", BASE_NAME) : 0;
}

static int find_new(struct stack *s, struct bases *ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };

	if (annotated_name(s, "--new-base", &ref, err) < 0)
		return -1;
	ret->new_base = registry_place(s, &ref, err);
	return ret->new_base ? 0 : -1;
}

/* By its digest, in the repository that the name says. */
static int find_old(struct stack *s, struct bases *ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	const char *digest;

	if (annotation(s, BASE_DIGEST, &digest, err) < 0)
		return -1;
	if (!digest || !digest[0])
		return no_base(s, "--old-base", BASE_DIGEST, err);
	if (annotated_name(s, "--old-base", &ref, err) < 0)
		return -1;
	if (digest_parse(span_str(digest), &ref.digest, err) < 0)
		return err_ctx(err, "%s", BASE_DIGEST);
	mem_free(steal_pointer(&ref.tag));
	ret->old_base = registry_place(s, &ref, err);
	return ret->old_base ? 0 : -1;
}

int bases_find(struct stack *s, const struct dray_rebase_options *ro, struct bases *ret,
	       dray_error **err)
{
	*ret = (struct bases){ ro->old_base, ro->new_base };
	if (!ret->old_base && find_old(s, ret, err) < 0)
		return -1;
	return ret->new_base ? 0 : find_new(s, ret, err);
}

/* ---- what the annotations say ---- */

static int quote(const char *text, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	buf_reset(ret);
	jsonw_init(&w, ret, err);
	jsonw_string(&w, text);
	return jsonw_finish(&w);
}

static int set_or_remove(struct json_edit *e, struct json object, const char *key, const char *text,
			 dray_error **err)
{
	cleanup_buf struct buf quoted = BUF_INIT(LIMIT_MANIFEST);
	struct json old = json_get(object, key);

	if (text)
		return quote(text, &quoted, err) < 0
			       ? -1
			       : json_edit_set(e, object, key, span_buf(&quoted), err);
	if (json_node(old))
		json_edit_remove(e, old);
	return 0;
}

/* Its reference by tag, or its repository; NULL of what no registry has. */
static int base_name(const struct stack *b, char **ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };

	*ret = NULL;
	if (b->report->place.kind != PLACE_REGISTRY)
		return 0;
	if (reference_copy(&b->report->place.ref, &ref, err) < 0)
		return -1;
	ref.digest = (struct digest){ 0 };
	*ret = reference_text(&ref);
	return *ret ? 0 : err_nomem(err);
}

/* What the name leads to: an index, where it is one. */
static const char *base_digest(const struct image *im)
{
	if (digest_set(&im->root))
		return im->root.text;
	if (digest_set(&im->index_digest))
		return im->index_digest.text;
	return im->manifest ? im->manifest->digest.text : NULL;
}

/* How many layers the base has, where somebody said it before. */
static int set_layers(struct json_edit *e, struct json annotations, size_t n, dray_error **err)
{
	cleanup_free char *text = NULL;

	if (!json_present(json_get(annotations, BUILD_BASE_LAYERS)))
		return 0;
	text = mem_printf("%zu", n);
	return text ? set_or_remove(e, annotations, BUILD_BASE_LAYERS, text, err) : err_nomem(err);
}

static int annotate(const struct manifest *m, const char *name, const char *digest, size_t layers,
		    struct manifest **ret, dray_error **err)
{
	cleanup_json_edit struct json_edit *e = NULL;
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	cleanup_buf struct buf base = BUF_INIT(LIMIT_MANIFEST);
	struct json root = json_root(m->doc);
	struct jsonw w;

	if (json_edit_new(m->doc, &e, err) < 0)
		return -1;
	if (json_type(m->annotations) == JSON_OBJECT) {
		if (set_or_remove(e, m->annotations, BASE_NAME, name, err) < 0 ||
		    set_or_remove(e, m->annotations, BASE_DIGEST, digest, err) < 0 ||
		    set_layers(e, m->annotations, layers, err) < 0)
			return -1;
	} else {
		jsonw_init(&w, &base, err);
		jsonw_object(&w);
		jsonw_kstring(&w, BASE_NAME, name);
		jsonw_kstring(&w, BASE_DIGEST, digest);
		jsonw_end_object(&w);
		if (jsonw_finish(&w) < 0 ||
		    json_edit_set(e, root, "annotations", span_buf(&base), err) < 0)
			return -1;
	}
	return json_edit_apply(e, &text, err) < 0 ? -1
						  : manifest_parse(&text, m->media_type, ret, err);
}

int bases_annotate(const struct stack *s, const struct stack *b, struct manifest **ret,
		   dray_error **err)
{
	const struct manifest *m = stack_manifest(s);
	const char *digest = base_digest(b->im);
	cleanup_free char *name = NULL;

	*ret = NULL;
	if (!m || m->kind != MANIFEST_IMAGE || mediatype_is_docker(m->media_type))
		return 0;
	if (base_name(b, &name, err) < 0)
		return -1;
	if (!name)
		digest = NULL;
	if (!digest && json_type(m->annotations) != JSON_OBJECT)
		return 0;
	return annotate(m, digest ? name : NULL, digest, b->n, ret, err);
}

/* So many layers are the base's; of one that nobody counted the lowest is. */
static size_t base_layers(struct stack *s, const struct manifest *m)
{
	const char *text = NULL;
	int64_t said = 0;

	if (json_string(json_get(m->annotations, BUILD_BASE_LAYERS), BUILD_BASE_LAYERS, &s->arena,
			&text, NULL) == 0 &&
	    text && num_parse_u63(span_str(text), &said))
		return (size_t)said;
	return json_present(json_get(m->annotations, BASE_NAME)) ||
	       json_present(json_get(m->annotations, BASE_DIGEST));
}

int bases_forget(struct stack *s, size_t kept, struct manifest **ret, dray_error **err)
{
	static const char *const keys[] = { BASE_NAME, BASE_DIGEST, BUILD_BASE_LAYERS };
	const struct manifest *m = stack_manifest(s);
	cleanup_json_edit struct json_edit *e = NULL;
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	size_t gone = 0;

	*ret = NULL;
	if (!m || m->kind != MANIFEST_IMAGE || json_type(m->annotations) != JSON_OBJECT ||
	    base_layers(s, m) <= kept)
		return 0;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		gone += json_present(json_get(m->annotations, keys[i]));
	if (json_edit_new(m->doc, &e, err) < 0)
		return -1;
	if (gone == json_len(m->annotations))
		json_edit_remove(e, m->annotations);
	for (size_t i = 0; gone < json_len(m->annotations) && i < sizeof(keys) / sizeof(keys[0]);
	     i++)
		if (set_or_remove(e, m->annotations, keys[i], NULL, err) < 0)
			return -1;
	return json_edit_apply(e, &text, err) < 0 ? -1
						  : manifest_parse(&text, m->media_type, ret, err);
}

/* ---- what images inherit ---- */

static bool says_nothing(struct json v)
{
	switch (json_type(v)) {
	case JSON_ARRAY:
	case JSON_OBJECT:
		return json_len(v) == 0;
	case JSON_STRING:
		return json_raw(v).len == 2;
	default:
		return !json_present(v);
	}
}

static int is_same(struct json a, struct json b, bool *ret, dray_error **err)
{
	cleanup_buf struct buf one = BUF_INIT(LIMIT_CONFIG), two = BUF_INIT(LIMIT_CONFIG);

	*ret = says_nothing(a) && says_nothing(b);
	if (says_nothing(a) || says_nothing(b))
		return 0;
	if (json_compact(a, &one, err) < 0 || json_compact(b, &two, err) < 0)
		return -1;
	*ret = span_eq(span_buf(&one), span_buf(&two));
	return 0;
}

int bases_compare(dray_context *ctx, const struct image *old_base, const struct image *new_base,
		  dray_error **err)
{
	static const char *const keys[] = { "Cmd",	    "Entrypoint",  "Env",
					    "ExposedPorts", "Healthcheck", "Labels",
					    "Shell",	    "StopSignal",  "User",
					    "Volumes",	    "WorkingDir" };
	struct json a = json_get(json_root(old_base->config->doc), "config");
	struct json b = json_get(json_root(new_base->config->doc), "config");
	cleanup_buf struct buf list = BUF_INIT(LIMIT_PATH);

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		bool same;

		if (is_same(json_get(a, keys[i]), json_get(b, keys[i]), &same, err) < 0 ||
		    (!same && buf_printf(&list, err, "%s%s", list.len ? ", " : "", keys[i]) < 0))
			return -1;
	}
	if (list.len)
		context_log(ctx, DRAY_LOG_WARNING,
			    "the new base has another %.*s than the old one; the image keeps what "
			    "it has",
			    (int)list.len, (const char *)list.data);
	return 0;
}
