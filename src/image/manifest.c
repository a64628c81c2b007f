/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests and indexes: what kind a document is, and what it lists.
 * Relies on json/ (which refuses twin members) and on descriptor.c.
 * Promises one meaning: what two readers could take for different kinds is refused (M-08).
 */
#include "image/manifest_priv.h"
#include "image/schema1.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

static const char *const known[] = {
	"schemaVersion", "mediaType", "artifactType", "config",	     "layers",	   "manifests",
	"fsLayers",	 "history",   "subject",      "annotations", "signatures",
};

static bool has(const struct manifest *m, const char *name)
{
	return json_type(json_get(json_root(m->doc), name)) != JSON_MISSING;
}

static int check_ambiguity(const struct manifest *m, dray_error **err)
{
	static const char *const image[] = { "config", "layers", "fsLayers", "history" };

	for (size_t i = 0; i < ARRAY_LEN(image); i++)
		if (has(m, "manifests") && has(m, image[i]))
			return err_set(err, DRAY_ERR_FORMAT,
				       "ambiguous document: it has \"manifests\" and \"%s\"",
				       image[i]);
	if (has(m, "fsLayers") && (has(m, "layers") || has(m, "config")))
		return err_set(err, DRAY_ERR_FORMAT,
			       "ambiguous document: it has \"fsLayers\" and members of schema 2");
	return 0;
}

static int unknown_type(const char *type, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(type), 100);

	if (!shown)
		return err_nomem(err);
	return err_set(err, DRAY_ERR_UNSUPPORTED, "media type \"%s\" is no image manifest or index",
		       shown);
}

static int contradiction(const char *given, const char *member, dray_error **err)
{
	cleanup_free char *a = text_safe(span_str(given), 100);
	cleanup_free char *b = text_safe(span_str(member), 100);

	if (!a || !b)
		return err_nomem(err);
	return err_set(err, DRAY_ERR_FORMAT,
		       "ambiguous document: announced as \"%s\", its mediaType is \"%s\"", a, b);
}

/* The static name of a type we can read; NULL for any other. */
static const char *readable_type(const char *mt)
{
	static const char *const types[] = {
		MT_DOCKER_MANIFEST, MT_DOCKER_LIST,    MT_OCI_MANIFEST,
		MT_OCI_INDEX,	    MT_DOCKER_SCHEMA1, MT_DOCKER_SCHEMA1_SIGNED,
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (mediatype_equal(mt, types[i]))
			return types[i];
	return NULL;
}

/* Schema 1 is announced under two names, and its body seldom names one of them. */
static bool same_type(const char *given, const char *member)
{
	return mediatype_equal(given, member) ||
	       (mediatype_is_schema1(given) && mediatype_is_schema1(member));
}

/* A media type that somebody stated, or NULL when nobody did. */
static int stated_type(struct manifest *m, const char *given, const char **ret, dray_error **err)
{
	const char *member = NULL, *type;

	if (json_string(json_get(json_root(m->doc), "mediaType"), "mediaType", &m->arena, &member,
			err) < 0)
		return -1;
	if (member && !*member)
		member = NULL;
	type = mediatype_is_generic(given) ? member : given;
	*ret = NULL;
	if (!type)
		return 0;
	if (member && !same_type(type, member))
		return contradiction(type, member, err);
	*ret = readable_type(type);
	return *ret ? 0 : unknown_type(type, err);
}

/* Nobody stated a type: the shape tells the kind, the config's type the family. */
static int type_by_shape(struct manifest *m, const char **ret, dray_error **err)
{
	struct json config = json_get(json_root(m->doc), "config");
	const char *config_type = NULL;

	if (has(m, "fsLayers")) {
		*ret = m->is_signed ? MT_DOCKER_SCHEMA1_SIGNED : MT_DOCKER_SCHEMA1;
	} else if (has(m, "manifests")) {
		*ret = MT_OCI_INDEX;
	} else if (has(m, "config") && has(m, "layers")) {
		if (json_want(config, JSON_OBJECT, false, "config", err) < 0 ||
		    json_string(json_get(config, "mediaType"), "config: mediaType", &m->arena,
				&config_type, err) < 0)
			return -1;
		*ret = mediatype_is_docker(config_type) ? MT_DOCKER_MANIFEST : MT_OCI_MANIFEST;
	} else {
		return err_set(err, DRAY_ERR_FORMAT, "neither a manifest nor an index");
	}
	return 0;
}

static int decide_type(struct manifest *m, const char *given, dray_error **err)
{
	if (stated_type(m, given, &m->media_type, err) < 0)
		return -1;
	if (!m->media_type && type_by_shape(m, &m->media_type, err) < 0)
		return -1;
	m->kind = mediatype_is_index(m->media_type)	? MANIFEST_INDEX
		  : mediatype_is_schema1(m->media_type) ? MANIFEST_SCHEMA1
							: MANIFEST_IMAGE;
	return 0;
}

/* The version may be left out; a wrong one means another format. */
static int check_version(const struct manifest *m, dray_error **err)
{
	struct json v = json_get(json_root(m->doc), "schemaVersion");
	int64_t want = m->kind == MANIFEST_SCHEMA1 ? 1 : 2, version = want;

	if (json_present(v) && json_int(v, "schemaVersion", &version, err) < 0)
		return -1;
	if (version != want)
		return err_set(err, DRAY_ERR_FORMAT, "schemaVersion is %lld, %s has %lld",
			       (long long)version, m->media_type, (long long)want);
	return 0;
}

static int check_count(const struct manifest *m, size_t n, dray_error **err)
{
	if (m->kind == MANIFEST_INDEX && n > LIMIT_INDEX_ENTRIES)
		return err_set(err, DRAY_ERR_LIMIT,
			       "%zu index entries, over LIMIT_INDEX_ENTRIES (%d)", n,
			       LIMIT_INDEX_ENTRIES);
	if (m->kind == MANIFEST_IMAGE && n > LIMIT_LAYERS)
		return err_set(err, DRAY_ERR_LIMIT, "%zu layers, over LIMIT_LAYERS (%d)", n,
			       LIMIT_LAYERS);
	return 0;
}

/* @p list is "layers" or "manifests"; Go writes an empty one as null. */
static int take_entries(struct manifest *m, const char *list, dray_error **err)
{
	struct json v = json_get(json_root(m->doc), list);
	size_t n;

	if (json_type(v) == JSON_MISSING)
		return err_set(err, DRAY_ERR_FORMAT, "%s without \"%s\"", m->media_type, list);
	if (json_want(v, JSON_ARRAY, true, list, err) < 0)
		return -1;
	n = json_present(v) ? json_len(v) : 0;
	if (n == 0)
		return 0;
	if (check_count(m, n, err) < 0)
		return -1;
	m->entries = arena_array(&m->arena, n, sizeof(*m->entries));
	if (!m->entries)
		return err_nomem(err);
	for (struct json e = json_first(v); json_node(e); e = json_next(e)) {
		if (descriptor_parse(e, &m->arena, &m->entries[m->n_entries], err) < 0)
			return err_ctx(err, "%s[%zu]", list, m->n_entries);
		m->n_entries++;
	}
	return 0;
}

static int take_config(struct manifest *m, dray_error **err)
{
	struct json v = json_get(json_root(m->doc), "config");

	if (!json_present(v))
		return err_set(err, DRAY_ERR_FORMAT, "%s without \"config\"", m->media_type);
	if (descriptor_parse(v, &m->arena, &m->config, err) < 0)
		return err_ctx(err, "config");
	return 0;
}

/* What images and indexes share beside their lists. */
static int take_common(struct manifest *m, dray_error **err)
{
	struct json root = json_root(m->doc);
	struct json subject = json_get(root, "subject");
	struct json annotations = json_get(root, "annotations");

	if (json_string(json_get(root, "artifactType"), "artifactType", &m->arena,
			&m->artifact_type, err) < 0 ||
	    json_want_map(annotations, true, "annotations", err) < 0)
		return -1;
	if (m->artifact_type && !*m->artifact_type)
		m->artifact_type = NULL;
	if (json_present(annotations))
		m->annotations = annotations;
	if (json_present(subject) && descriptor_parse(subject, &m->arena, &m->subject, err) < 0)
		return err_ctx(err, "subject");
	return 0;
}

static int take_members(struct manifest *m, dray_error **err)
{
	switch (m->kind) {
	case MANIFEST_SCHEMA1:
		if (!has(m, "fsLayers"))
			return err_set(err, DRAY_ERR_FORMAT, "%s without \"fsLayers\"",
				       m->media_type);
		return 0;
	case MANIFEST_INDEX:
		if (take_entries(m, "manifests", err) < 0)
			return -1;
		return take_common(m, err);
	case MANIFEST_IMAGE:
		if (take_config(m, err) < 0 || take_entries(m, "layers", err) < 0)
			return -1;
		return take_common(m, err);
	}
	return 0;
}

/* What signatures do not cover is nobody's word: the document is read from what they do. */
static int take_payload(struct manifest *m, dray_error **err)
{
	struct span payload;

	if (!has(m, "fsLayers") || !has(m, "signatures"))
		return 0;
	m->is_signed = true;
	if (schema1_payload(span_buf(&m->raw), json_root(m->doc), &m->arena, &payload, err) < 0)
		return -1;
	json_doc_free(m->doc);
	m->doc = NULL;
	if (json_parse(payload, &m->doc, err) < 0 ||
	    json_want(json_root(m->doc), JSON_OBJECT, false, "signed manifest", err) < 0)
		return err_ctx(err, "what is signed");
	return digest_of(payload, &m->digest, err);
}

static int parse(struct manifest *m, const char *given, dray_error **err)
{
	if (m->raw.len > LIMIT_MANIFEST)
		return err_set(err, DRAY_ERR_LIMIT, "%zu bytes, over LIMIT_MANIFEST (%lld)",
			       m->raw.len, LIMIT_MANIFEST);
	if (digest_of(span_buf(&m->raw), &m->digest, err) < 0 ||
	    json_parse(span_buf(&m->raw), &m->doc, err) < 0 ||
	    json_want(json_root(m->doc), JSON_OBJECT, false, "manifest", err) < 0 ||
	    take_payload(m, err) < 0 ||
	    refuse_case_variants(json_root(m->doc), known, ARRAY_LEN(known), err) < 0 ||
	    check_ambiguity(m, err) < 0 || decide_type(m, given, err) < 0 ||
	    check_version(m, err) < 0)
		return -1;
	return take_members(m, err);
}

int manifest_parse(struct buf *raw, const char *given, struct manifest **ret, dray_error **err)
{
	cleanup_manifest struct manifest *m = mem_zalloc(sizeof(*m));

	if (!m) {
		buf_clear(raw);
		return err_nomem(err);
	}
	m->raw = *raw;
	*raw = BUF_INIT(raw->max);
	if (parse(m, given, err) < 0)
		return -1;
	*ret = steal_pointer(&m);
	return 0;
}

void manifest_free(struct manifest *m)
{
	if (!m)
		return;
	json_doc_free(m->doc);
	arena_clear(&m->arena);
	buf_clear(&m->raw);
	mem_free(m);
}

bool manifest_is_artifact(const struct manifest *m)
{
	if (m->kind != MANIFEST_IMAGE || mediatype_is_image_config(m->config.media_type))
		return false;
	/* Old pushes left the config's type open; Docker takes those as images. */
	return m->artifact_type || !mediatype_is_generic(m->config.media_type);
}
