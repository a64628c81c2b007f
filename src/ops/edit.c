/* SPDX-License-Identifier: Apache-2.0
 *
 * edit: a copy whose images get another config on the way.
 * Relies on image/config_step for the config, on json/edit for the manifest, on copy for the rest.
 * Promises that an image no step changes is copied as it is.
 */
#include "ops/edit.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "image/config_value.h"
#include "image/config_step.h"
#include "json/edit.h"
#include "ops/copy_run.h"
#include "store/assemble.h"

#define TEXT_SHOWN 80 /* bytes of a value that an error shows */

/* ---- the config ---- */

int edit_run_steps(const struct dray_edit_options *o, bool manifest, struct buf *text,
		   dray_error **err)
{
	for (size_t i = 0; i < o->n_steps; i++) {
		cleanup_buf struct buf next = BUF_INIT(text->max);

		if ((o->steps[i].field == DRAY_EDIT_ANNOTATION) != manifest)
			continue;
		if (config_step(span_buf(text), &o->steps[i], &next, err) < 0)
			return -1;
		buf_clear(text);
		*text = next;
		next = BUF_INIT(text->max);
	}
	return 0;
}

/* 1 = another config, 0 = the same. */
static int edit_config(const struct edit *e, struct image *im, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);
	struct config *c = NULL;

	if (buf_add(&text, span_buf(&im->config->raw), err) < 0 ||
	    edit_run_steps(e->o, false, &text, err) < 0)
		return -1;
	if (span_eq(span_buf(&text), span_buf(&im->config->raw)))
		return 0;
	if (config_parse(&text, &c, err) < 0)
		return -1;
	config_free(im->config);
	im->config = c;
	im->config_digest_claimed = c->digest;
	return 1;
}

/* ---- the manifest ---- */

static bool has_field(const struct dray_edit_options *o, enum dray_edit_field field)
{
	for (size_t i = 0; i < o->n_steps; i++)
		if (o->steps[i].field == field)
			return true;
	return false;
}

bool edit_moves_platform(const struct dray_edit_options *o)
{
	return has_field(o, DRAY_EDIT_PLATFORM) || has_field(o, DRAY_EDIT_ARCHITECTURE);
}

static int set_config(struct json_edit *j, struct json config, const struct config *c,
		      dray_error **err)
{
	cleanup_buf struct buf size = BUF_INIT(32), digest = BUF_INIT(DIGEST_TEXT + 8);
	struct json data = json_get(config, "data");

	if (json_node(data)) /* the old config, inline */
		json_edit_remove(j, data);
	if (buf_printf(&size, err, "%zu", c->raw.len) < 0 ||
	    json_quote(&digest, span_str(c->digest.text), err) < 0 ||
	    json_edit_set(j, config, "size", span_buf(&size), err) < 0)
		return -1;
	return json_edit_set(j, config, "digest", span_buf(&digest), err);
}

/* The text of @p m with another config. */
static int with_config(const struct manifest *m, const struct config *c, struct buf *ret,
		       dray_error **err)
{
	cleanup_json_edit struct json_edit *j = NULL;

	if (json_edit_new(m->doc, &j, err) < 0 ||
	    set_config(j, json_get(json_root(m->doc), "config"), c, err) < 0)
		return -1;
	return json_edit_apply(j, ret, err);
}

int edit_manifest_config(const struct manifest *m, const struct config *c, struct manifest **ret,
			 dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);

	return with_config(m, c, &raw, err) < 0 ? -1
						: manifest_parse(&raw, m->media_type, ret, err);
}

/* Steps for a manifest are for this one, or for one that is still to come. */
static int edit_manifest(const struct edit *e, struct image *im, bool steps, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	struct manifest *old = im->manifest, *m = NULL;

	if (with_config(old, im->config, &raw, err) < 0 ||
	    (steps && edit_run_steps(e->o, true, &raw, err) < 0) ||
	    manifest_parse(&raw, old->media_type, &m, err) < 0)
		return -1;
	for (size_t i = 0; i < im->n_layers; i++) /* they were lent by the old one */
		im->layers[i].blob = m->entries[i];
	im->manifest = m;
	manifest_free(old);
	return 0;
}

/* An archive may have a manifest that nothing speaks for: one is made, and it need not be changed. */
static bool lends_layers(const struct image *im)
{
	const struct manifest *m = im->manifest;

	if (!m || m->kind != MANIFEST_IMAGE || m->n_entries != im->n_layers)
		return false;
	for (size_t i = 0; i < m->n_entries; i++)
		if (!digest_eq(&m->entries[i].digest, &im->layers[i].blob.digest))
			return false;
	return true;
}

/* ---- a manifest that the copy writes ---- */

static bool has_annotations(const struct image *im)
{
	return im->manifest && im->manifest->kind == MANIFEST_IMAGE &&
	       !mediatype_is_docker(im->manifest->media_type);
}

/* It takes its annotations from one that has nothing else to say. */
static int foretell_annotations(struct edit *e, struct image *im, dray_error **err)
{
	const struct descriptor config = { .media_type = MT_OCI_CONFIG,
					   .digest = im->config->digest,
					   .size = (int64_t)im->config->raw.len };
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	struct manifest *m = NULL;

	if (mem_grow(&e->made, e->n_made, &e->cap_made, sizeof(*e->made)) < 0)
		return err_nomem(err);
	if (manifest_write(false, &config, NULL, 0, NULL, &raw, err) < 0 ||
	    edit_run_steps(e->o, true, &raw, err) < 0 ||
	    manifest_parse(&raw, MT_OCI_MANIFEST, &m, err) < 0)
		return -1;
	im->made_from = e->made[e->n_made++] = m;
	return 0;
}

void edit_clear(struct edit *e)
{
	for (size_t i = 0; i < e->n_made; i++)
		manifest_free(e->made[i]);
	mem_free(e->made);
}

/* ---- the image ---- */

bool edit_means(const struct edit *e, const struct image *im)
{
	if (im->artifact || im->attestation || !im->config)
		return false;
	/* As a reader of the index chooses: by what that says, where it does. */
	return !e->which.platform.os ||
	       selector_wants(&e->which,
			      im->index_platform ? im->index_platform : &im->config->platform);
}

static int check_annotations(const struct edit *e, const struct image *im, dray_error **err)
{
	if (!has_field(e->o, DRAY_EDIT_ANNOTATION) || e->to_oci || has_annotations(im))
		return 0;
	err_set(err, DRAY_ERR_UNSUPPORTED, "%s: only OCI manifests have annotations", im->where);
	return err_hint(err, "make it one: --format oci -o DST");
}

/* The index around it tells the platform too, and would lie. */
static int check_platform(const struct edit *e, const struct image *im, dray_error **err)
{
	if (!digest_set(&im->root) || !edit_moves_platform(e->o))
		return 0;
	err_set(err, DRAY_ERR_UNSUPPORTED, "%s: an index tells its platform too", im->where);
	return err_hint(err, "copy the image alone with --platform first");
}

/* The name @p i of those that the result has, the caller's. */
static int name_of(const struct edit *e, size_t i, char **ret, dray_error **err)
{
	const char *tag = e->o->tags[i];

	if (e->whole_names)
		return copy_whole_name(tag, ret, err) < 0 ? err_ctx(err, "--tag") : 0;
	if (!tag[0])
		return err_set(err, DRAY_ERR_USAGE, "--tag: a name is missing");
	*ret = mem_strdup(tag);
	return *ret ? 0 : err_nomem(err);
}

int edit_check_tags(const struct edit *e, dray_error **err)
{
	for (size_t i = 0; e->o->tags && i < e->o->n_tags; i++) {
		cleanup_free char *name = NULL;

		if (name_of(e, i, &name, err) < 0)
			return -1;
	}
	return 0;
}

static int set_tags(const struct edit *e, struct image *im, dray_error **err)
{
	if (!e->o->tags)
		return 0;
	im->n_tags = 0;
	for (size_t i = 0; i < e->o->n_tags; i++) {
		cleanup_free char *name = NULL;

		if (name_of(e, i, &name, err) < 0 || image_add_tag(im, name, NULL, err) < 0)
			return -1;
	}
	return 0;
}

int edit_image(struct edit *e, struct image *im, dray_error **err)
{
	bool annotate = has_field(e->o, DRAY_EDIT_ANNOTATION);
	bool later = annotate && !has_annotations(im);
	int changed;

	if (set_tags(e, im, err) < 0)
		return -1;
	if (!edit_means(e, im))
		return 0;
	if (im->broken)
		return image_require_whole(im, err);
	e->n_meant++;
	if (check_annotations(e, im, err) < 0 || check_platform(e, im, err) < 0)
		return -1;
	changed = edit_config(e, im, err);
	if (changed < 0)
		return err_ctx(err, "%s", im->where);
	if (changed || (annotate && !later))
		if (lends_layers(im) && edit_manifest(e, im, !later, err) < 0)
			return err_ctx(err, "%s", im->where);
	if (later && foretell_annotations(e, im, err) < 0)
		return err_ctx(err, "%s", im->where);
	im->edited = changed || annotate;
	e->n_changed += im->edited;
	return 0;
}

/* ---- doors ---- */

/* JSON has no other strings, and what stood for the odd bytes would be another value. */
static int check_utf8(const char *text, dray_error **err)
{
	cleanup_free char *shown = NULL;

	if (!text || utf8_valid(span_str(text)))
		return 0;
	shown = text_safe(span_str(text), TEXT_SHOWN);
	return shown ? err_set(err, DRAY_ERR_USAGE,
			       "'%s' is not UTF-8, and an image's documents hold nothing else",
			       shown)
		     : err_nomem(err);
}

int edit_check_steps(const struct dray_edit_options *o, dray_error **err)
{
	for (size_t i = 0; i < o->n_steps; i++)
		if (check_utf8(o->steps[i].name, err) < 0 ||
		    check_utf8(o->steps[i].value, err) < 0 || step_check(&o->steps[i], err) < 0)
			return -1;
	for (size_t i = 0; o->tags && i < o->n_tags; i++)
		if (check_utf8(o->tags[i], err) < 0)
			return err_ctx(err, "--tag");
	return 0;
}

int dray_edit(dray_context *ctx, const char *image, const char *dst,
	      const struct dray_edit_options *e, const struct dray_copy_options *o,
	      dray_copy_result **ret, dray_error **err)
{
	struct dray_edit_options own_edit = DRAY_EDIT_OPTIONS_INIT;
	cleanup_edit struct edit edit = { 0 };

	edit.o = options_take(&own_edit, sizeof(own_edit), e);
	return edit_check_steps(edit.o, err) < 0 ? -1
						 : copy_edited(ctx, &edit, image, dst, o, ret, err);
}
