/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what differs between two images, as one JSON document.
 * Relies on: render_file.c for names that are no UTF-8, attributes and times.
 * Promises: keys as dray-diff(1) lists them; "files" comes last, in pieces.
 */
#include "base/number.h"
#include "cli/diff.h"
#include "cli/render.h"

const char *diff_change(const void *a, const void *b)
{
	return !a ? "added" : !b ? "removed" : "changed";
}

const char *diff_what_name(size_t bit)
{
	static const char *const names[] = { "type",  "content", "size",   "mode",   "owner",
					     "mtime", "link",	 "device", "xattrs", "hardlink" };

	return bit < ARRAY_LEN(names) ? names[bit] : NULL;
}

/* ---- one file ---- */

static bool is(const struct dray_file *f, const char *type)
{
	return strcmp(f->type, type) == 0;
}

/* All that there is to say of a file which the other image does not have, or not so. */
static unsigned all_of(const struct dray_file *f)
{
	unsigned what = DRAY_DIFF_TYPE | DRAY_DIFF_OWNER | DRAY_DIFF_MTIME;

	what |= is(f, "symlink") ? (unsigned)DRAY_DIFF_LINK : (unsigned)DRAY_DIFF_MODE;
	if (is(f, "file"))
		what |= DRAY_DIFF_CONTENT | DRAY_DIFF_SIZE;
	if (is(f, "char") || is(f, "block"))
		what |= DRAY_DIFF_DEVICE;
	return f->n_xattrs ? what | (unsigned)DRAY_DIFF_XATTRS : what;
}

static void side_content(struct jsonw *w, const struct dray_file *f, unsigned what)
{
	if (what & DRAY_DIFF_SIZE)
		jsonw_kint(w, "size", f->size);
	if (what & DRAY_DIFF_CONTENT)
		jsonw_kstring(w, "digest", f->digest);
	if (what & DRAY_DIFF_LINK)
		render_bytes(w, "link", f->link);
	if (what & DRAY_DIFF_DEVICE) {
		jsonw_kint(w, "major", f->dev_major);
		jsonw_kint(w, "minor", f->dev_minor);
	}
}

static void side_attributes(struct jsonw *w, const struct dray_file *f, unsigned what)
{
	char mode[16], time[TIME_TEXT];

	snprintf(mode, sizeof(mode), "%04o", f->mode);
	if (what & DRAY_DIFF_MODE)
		jsonw_kstring(w, "mode", mode);
	if (what & DRAY_DIFF_OWNER) {
		jsonw_kint(w, "uid", f->uid);
		jsonw_kint(w, "gid", f->gid);
	}
	if (what & DRAY_DIFF_MTIME)
		jsonw_kstring(w, "mtime", time_format_utc(f->mtime, (int32_t)f->mtime_nsec, time));
	if (what & DRAY_DIFF_XATTRS) {
		jsonw_key(w, "xattrs");
		render_xattrs(w, f);
	}
}

/* What one image has, as far as it differs. */
static void render_side(struct jsonw *w, const char *key, const struct dray_file *f, unsigned what)
{
	jsonw_key(w, key);
	if (!f) {
		jsonw_null(w);
		return;
	}
	if (!what || (what & DRAY_DIFF_TYPE))
		what = all_of(f);
	jsonw_object(w);
	if (what & DRAY_DIFF_TYPE)
		jsonw_kstring(w, "type", f->type);
	side_content(w, f, what);
	side_attributes(w, f, what);
	jsonw_kint(w, "layer", f->layer);
	jsonw_end_object(w);
}

static void render_diff_file(struct jsonw *w, const struct dray_diff_file *f)
{
	jsonw_object(w);
	render_bytes(w, "path", *f->path ? f->path : ".");
	jsonw_kstring(w, "change", diff_change(f->a, f->b));
	jsonw_key(w, "what");
	jsonw_array(w);
	for (size_t i = 0; diff_what_name(i); i++)
		if (f->what & (1U << i))
			jsonw_string(w, diff_what_name(i));
	jsonw_end_array(w);
	render_side(w, "a", f->a, f->what);
	render_side(w, "b", f->b, f->what);
	jsonw_end_object(w);
}

/* ---- the rest ---- */

static void render_value(struct jsonw *w, const char *key, const char *json)
{
	jsonw_key(w, key);
	if (json)
		jsonw_raw(w, span_str(json));
	else
		jsonw_null(w);
}

static void render_members(struct jsonw *w, const dray_diff *d)
{
	jsonw_key(w, "config");
	jsonw_array(w);
	for (size_t i = 0; i < dray_diff_members(d); i++) {
		const struct dray_diff_member *m = dray_diff_member(d, i);

		jsonw_object(w);
		jsonw_kstring(w, "path", m->path);
		jsonw_kstring(w, "change", diff_change(m->a, m->b));
		render_value(w, "a", m->a);
		render_value(w, "b", m->b);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

static void render_layer_side(struct jsonw *w, const char *key,
			      const struct dray_diff_layer_side *l)
{
	jsonw_key(w, key);
	if (l->index < 0) {
		jsonw_null(w);
		return;
	}
	jsonw_object(w);
	jsonw_kint(w, "index", l->index);
	jsonw_kstring(w, "diff_id", l->diff_id);
	jsonw_kstring(w, "created_by", l->created_by);
	jsonw_end_object(w);
}

static void render_layers(struct jsonw *w, const dray_diff *d)
{
	jsonw_kint(w, "layers_same", (int64_t)dray_diff_layers_same(d));
	jsonw_key(w, "layers");
	jsonw_array(w);
	for (size_t i = 0; i < dray_diff_layers(d); i++) {
		const struct dray_diff_layer *l = dray_diff_layer(d, i);

		jsonw_object(w);
		jsonw_kstring(w, "change", l->change);
		render_layer_side(w, "a", &l->a);
		render_layer_side(w, "b", &l->b);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

static void render_packages(struct jsonw *w, const dray_diff *d)
{
	jsonw_key(w, "packages");
	jsonw_array(w);
	for (size_t i = 0; i < dray_diff_packages(d); i++) {
		const struct dray_diff_package *p = dray_diff_package(d, i);

		jsonw_object(w);
		jsonw_kstring(w, "manager", p->manager);
		jsonw_kstring(w, "name", p->name);
		jsonw_kstring(w, "arch", p->arch);
		jsonw_kstring(w, "change", diff_change(p->a, p->b));
		jsonw_kstring(w, "a", p->a);
		jsonw_kstring(w, "b", p->b);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

static void render_counts(struct jsonw *w, const dray_diff *d)
{
	struct dray_diff_counts n = dray_diff_file_counts(d);

	jsonw_key(w, "file_counts");
	jsonw_object(w);
	jsonw_kint(w, "added", n.added);
	jsonw_kint(w, "removed", n.removed);
	jsonw_kint(w, "changed", n.changed);
	jsonw_kint(w, "only_times", n.only_times);
	jsonw_end_object(w);
}

/* The document without its last brace. */
static int put_head(struct page *p, const dray_diff *d, const char *image, const char *platform,
		    dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	if (image)
		jsonw_kstring(&w, "image", image);
	if (platform)
		jsonw_kstring(&w, "platform", platform);
	jsonw_kbool(&w, "same", dray_diff_same(d));
	jsonw_kbool(&w, "same_image_id", dray_diff_same_image_id(d));
	render_members(&w, d);
	render_layers(&w, d);
	render_packages(&w, d);
	render_counts(&w, d);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json_part(p, span_head(span_buf(&out), out.len - 1));
	return 0;
}

struct listing {
	struct session *s;
	struct buf one;
	bool any;
	dray_error **err;
};

static int put_file(void *arg, const struct dray_diff_file *f)
{
	struct listing *l = arg;
	struct page *p = &l->s->page;
	struct jsonw w;

	buf_reset(&l->one);
	jsonw_init(&w, &l->one, l->err);
	render_diff_file(&w, f);
	if (jsonw_finish(&w) < 0)
		return -1;
	if (l->any)
		page_put(p, ",");
	l->any = true;
	page_json_part(p, span_buf(&l->one));
	return session_pour(l->s, l->err);
}

int diff_json(struct session *s, dray_diff *d, const char *image, const char *platform,
	      dray_error **err)
{
	struct listing l = { .s = s, .one = BUF_INIT(PAGE_MAX), .err = err };
	struct page *p = &s->page;
	int rc;

	if (put_head(p, d, image, platform, err) < 0)
		return -1;
	page_put(p, ",\"files\":[");
	rc = dray_diff_files(d, put_file, &l, err);
	page_put(p, "]}\n");
	buf_clear(&l.one);
	return rc;
}
