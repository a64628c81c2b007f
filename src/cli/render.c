/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the JSON that images, inspect, explain and verify share.
 * Relies on: base/jsonw.h; the keys and their order are a contract, new ones go last.
 * Promises: an unknown value is null, never absent; times are UTC.
 */
#include "cli/render.h"

#include "base/number.h"

static void size_or_null(struct jsonw *w, const char *key, int64_t n)
{
	jsonw_key(w, key);
	if (n >= 0)
		jsonw_int(w, n);
	else
		jsonw_null(w);
}

/* UTC stays as it was written: other tools print it so. */
static void time_or_null(struct jsonw *w, const char *key, const char *time)
{
	char text[TIME_TEXT];
	int64_t sec;
	int32_t nsec, offset;

	if (time && time_parse_rfc3339(span_str(time), &sec, &nsec, &offset) && offset != 0)
		time = time_format_utc(sec, nsec, text);
	jsonw_kstring(w, key, time);
}

static void render_layer(struct jsonw *w, const struct dray_layer_info *l)
{
	jsonw_object(w);
	jsonw_kint(w, "index", l->index);
	jsonw_kstring(w, "diff_id", l->diff_id);
	jsonw_kstring(w, "chain_id", l->chain_id);
	jsonw_kstring(w, "v1_id", l->v1_id);
	jsonw_kstring(w, "blob_digest", l->blob_digest);
	jsonw_kstring(w, "compression", l->compression);
	jsonw_kstring(w, "media_type", l->media_type);
	jsonw_kstring(w, "path", l->path);
	jsonw_kstring(w, "link_target", l->link_target);
	size_or_null(w, "same_as", l->same_as);
	size_or_null(w, "size", l->size);
	size_or_null(w, "blob_size", l->blob_size);
	jsonw_kstring(w, "created_by", l->created_by);
	jsonw_kbool(w, "v1_id_found", l->v1_id_found);
	jsonw_kstring(w, "v1_id_origin", l->v1_id_origin);
	jsonw_kbool(w, "missing", l->missing);
	jsonw_end_object(w);
}

static void render_history(struct jsonw *w, const struct dray_history_info *h)
{
	jsonw_object(w);
	jsonw_kstring(w, "created_by", h->created_by);
	time_or_null(w, "created", h->created);
	jsonw_kbool(w, "empty_layer", h->empty_layer);
	size_or_null(w, "layer", h->layer);
	jsonw_kstring(w, "comment", h->comment);
	jsonw_kstring(w, "author", h->author);
	jsonw_end_object(w);
}

static void render_tags(struct jsonw *w, const struct dray_image_info *image)
{
	jsonw_key(w, "tags");
	jsonw_array(w);
	for (size_t i = 0; i < image->n_tags; i++)
		jsonw_string(w, image->tags[i]);
	jsonw_end_array(w);
}

static void render_config(struct jsonw *w, const struct dray_image_info *image)
{
	jsonw_key(w, "config");
	if (image->config_json)
		jsonw_raw(w, span_str(image->config_json));
	else
		jsonw_null(w);
}

void render_image(struct jsonw *w, const struct dray_image_info *image, bool with_config)
{
	render_tags(w, image);
	jsonw_kstring(w, "image_id", image->image_id);
	jsonw_kstring(w, "manifest_digest", image->manifest_digest);
	jsonw_kstring(w, "media_type", image->media_type);
	jsonw_kstring(w, "platform", image->platform);
	time_or_null(w, "created", image->created);
	size_or_null(w, "size", image->size);
	if (with_config)
		render_config(w, image);
	jsonw_kstring(w, "rootfs_id", NULL);
	jsonw_key(w, "layers");
	jsonw_array(w);
	for (size_t i = 0; i < image->n_layers; i++)
		render_layer(w, &image->layers[i]);
	jsonw_end_array(w);
	jsonw_key(w, "history");
	jsonw_array(w);
	for (size_t i = 0; i < image->n_history; i++)
		render_history(w, &image->history[i]);
	jsonw_end_array(w);
	jsonw_kstring(w, "author", image->author);
	jsonw_kstring(w, "index_digest", image->index_digest);
	jsonw_kstring(w, "kind", image->kind);
	if (image->disk)
		render_disk(w, image->disk);
}

void render_finding(struct jsonw *w, const struct dray_finding *f, bool problem)
{
	jsonw_object(w);
	jsonw_kstring(w, "code", f->code);
	jsonw_kstring(w, "where", f->where);
	if (problem) {
		jsonw_kstring(w, "expected", f->expected);
		jsonw_kstring(w, "actual", f->actual);
	}
	jsonw_kstring(w, "message", f->message);
	jsonw_end_object(w);
}

static void render_lists(struct jsonw *w, const dray_report *r, bool with_config,
			 const struct render_more *more)
{
	jsonw_key(w, "images");
	jsonw_array(w);
	for (size_t i = 0; i < dray_report_images(r); i++) {
		jsonw_object(w);
		render_image(w, dray_report_image(r, i), with_config);
		if (more)
			more->members(w, more->arg);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
	jsonw_key(w, "problems");
	jsonw_array(w);
	for (size_t i = 0; i < dray_report_problems(r); i++)
		render_finding(w, dray_report_problem(r, i), true);
	jsonw_end_array(w);
	jsonw_key(w, "warnings");
	jsonw_array(w);
	for (size_t i = 0; i < dray_report_warnings(r); i++)
		render_finding(w, dray_report_warning(r, i), false);
	jsonw_end_array(w);
}

static void render_good_signature(struct jsonw *w, const struct dray_signature *s)
{
	jsonw_object(w);
	jsonw_kbool(w, "valid", true);
	jsonw_kstring(w, "fingerprint", s->fingerprint);
	jsonw_kstring(w, "primary_fingerprint", s->primary_fingerprint);
	jsonw_kstring(w, "uid", s->uid);
	jsonw_kstring(w, "created", s->created);
	jsonw_kstring(w, "expires", s->expires);
	jsonw_kstring(w, "hash", s->hash);
	jsonw_kstring(w, "trust", s->trust);
	jsonw_end_object(w);
}

void render_signatures(struct jsonw *w, const dray_signatures *s)
{
	jsonw_key(w, "signature");
	render_good_signature(w, dray_signatures_get(s, 0));
	jsonw_key(w, "signatures");
	jsonw_array(w);
	for (size_t i = 0; i < dray_signatures_count(s); i++)
		render_good_signature(w, dray_signatures_get(s, i));
	jsonw_end_array(w);
	jsonw_key(w, "image_ids");
	jsonw_array(w);
	for (size_t i = 0; i < dray_signatures_images(s); i++)
		jsonw_string(w, dray_signatures_image(s, i));
	jsonw_end_array(w);
	jsonw_kstring(w, "canonical_digest", dray_signatures_digest(s));
}

/* A signature that is not good has no attributes: nobody vouches for them. */
static void render_answer(struct jsonw *w, const struct signature_answer *a)
{
	if (a->good) {
		render_signatures(w, a->good);
		return;
	}
	jsonw_key(w, "signature");
	jsonw_object(w);
	jsonw_kbool(w, "valid", false);
	jsonw_kstring(w, "message", dray_error_message(a->why));
	jsonw_end_object(w);
	if (dray_error_kind(a->why) != DRAY_ERR_SIGNATURE)
		return;
	jsonw_key(w, "error");
	render_error(w, a->why);
}

int render_verified(struct page *p, const dray_report *r, const struct signature_answer *a,
		    dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	render_lists(&w, r, false, NULL);
	jsonw_kbool(&w, "ok", dray_report_problems(r) == 0 && (!a || a->good));
	jsonw_kstring(&w, "store", dray_report_store(r));
	if (a)
		render_answer(&w, a);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

static int render_document(struct page *p, const dray_report *r, bool with_config,
			   const struct render_more *more, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	render_lists(&w, r, with_config, more);
	jsonw_kbool(&w, "ok", dray_report_problems(r) == 0);
	jsonw_kstring(&w, "store", dray_report_store(r));
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

int render_report(struct page *p, const dray_report *r, bool with_config, dray_error **err)
{
	return render_document(p, r, with_config, NULL, err);
}

int render_report_with(struct page *p, const dray_report *r, const struct render_more *more,
		       dray_error **err)
{
	return render_document(p, r, true, more, err);
}

void render_error(struct jsonw *w, const dray_error *e)
{
	jsonw_object(w);
	jsonw_kstring(w, "code", dray_error_code(e));
	jsonw_kstring(w, "message", dray_error_message(e));
	jsonw_kstring(w, "expected", dray_error_expected(e));
	jsonw_kstring(w, "actual", dray_error_actual(e));
	jsonw_kstring(w, "hint", dray_error_hint(e));
	if (dray_error_errno(e))
		jsonw_kint(w, "errno", dray_error_errno(e));
	if (dray_error_http_status(e))
		jsonw_kint(w, "http_status", dray_error_http_status(e));
	if (dray_error_registry_code(e))
		jsonw_kstring(w, "registry_code", dray_error_registry_code(e));
	jsonw_end_object(w);
}
