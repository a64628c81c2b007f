/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what verbs that make images say about them.
 * Relies on: the results of the library.
 * Promises: one line on stdout per image, its reference with its digest.
 */
#include "cli/copied.h"

#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

int check_output(const char *dst, dray_error **err)
{
	if (!ref_is_stdio(dst) || !isatty(STDOUT_FILENO))
		return 0;
	err_set(err, DRAY_ERR_USAGE,
		"'-' writes an archive to standard output, which is a terminal");
	return err_hint(err, "name a file, or pipe it somewhere");
}

void copied_json(struct jsonw *w, const struct dray_copied *c)
{
	jsonw_object(w);
	jsonw_kstring(w, "reference", c->reference);
	jsonw_kstring(w, "tagged", c->tagged);
	jsonw_kstring(w, "manifest_digest", c->manifest_digest);
	jsonw_kstring(w, "image_id", c->image_id);
	jsonw_key(w, "changes");
	jsonw_array(w);
	for (size_t i = 0; i < c->n_changes; i++)
		jsonw_string(w, c->changes[i]);
	jsonw_end_array(w);
	jsonw_kint(w, "blobs_sent", c->blobs_sent);
	jsonw_kint(w, "blobs_skipped", c->blobs_skipped);
	jsonw_kint(w, "bytes_sent", c->bytes_sent);
	jsonw_kstring(w, "kind", c->kind);
	jsonw_kint(w, "manifests", (int64_t)c->n_manifests);
	jsonw_kint(w, "referrers", (int64_t)c->n_referrers);
	jsonw_end_object(w);
}

void copied_tell(struct session *s, const struct dray_copied *c)
{
	char size[HUMAN_SIZE];
	cleanup_free char *name = text_safe(span_str(c->tagged ? c->tagged : c->reference), 4096);

	for (size_t i = 0; i < c->n_changes; i++) {
		cleanup_free char *change = text_safe(span_str(c->changes[i]), 4096);
		session_note(s, "%s: changed: %s", name ? name : "", change ? change : "");
	}
	if (c->n_referrers)
		session_note(s, "%s: %zu referrer%s came along", name ? name : "", c->n_referrers,
			     c->n_referrers == 1 ? "" : "s");
	session_note(s, "%s: %lld blob%s sent (%s), %lld already there", name ? name : "",
		     (long long)c->blobs_sent, c->blobs_sent == 1 ? "" : "s",
		     human_size(c->bytes_sent, size), (long long)c->blobs_skipped);
}

static int result_json(struct page *p, const dray_copy_result *r, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_key(&w, "copied");
	jsonw_array(&w);
	for (size_t i = 0; i < dray_copy_count(r); i++)
		copied_json(&w, dray_copy_get(r, i));
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

int copied_result(struct session *s, const dray_copy_result *r, bool taken, dray_error **err)
{
	progress_hide(&s->progress);
	for (size_t i = 0; i < dray_copy_count(r); i++) {
		const struct dray_copied *c = dray_copy_get(r, i);
		cleanup_free char *name = text_safe(span_str(c->reference), 4096);

		copied_tell(s, c);
		if (taken)
			session_note(s, "%s", name ? name : "");
		else if (!s->global.json)
			page_put(&s->page, "%s\n", name ? name : "");
	}
	return s->global.json && !taken ? result_json(&s->page, r, err) : STATUS_OK;
}

/* ---- other layers ---- */

int relayer_options(struct session *s, const struct relayer_flags *f, struct dray_copy_options *ret,
		    dray_error **err)
{
	*ret = (struct dray_copy_options)DRAY_COPY_OPTIONS_INIT;
	if (!s->global.output) {
		err_set(err, DRAY_ERR_USAGE, "where the new image goes is missing");
		return err_hint(err, "dray %s %s -o DST", s->command->name, s->command->args);
	}
	ret->format = f->format;
	ret->compression = f->compression;
	ret->level = f->level;
	ret->no_clobber = s->global.no_clobber;
	ret->dst_is_path = ret->dst_may_be_host = true;
	return check_output(s->global.output, err);
}

static int relayer_json(struct page *p, const struct dray_relayer_info *i, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_key(&w, "made");
	copied_json(&w, i->copied);
	jsonw_kstring(&w, "image_id_before", i->image_id_before);
	jsonw_kstring(&w, "rootfs_id_before", i->rootfs_id_before);
	jsonw_kstring(&w, "rootfs_id", i->rootfs_id_after);
	jsonw_kint(&w, "layers_before", (int64_t)i->layers_before);
	jsonw_kint(&w, "layers", (int64_t)i->layers_after);
	jsonw_kint(&w, "layers_kept", (int64_t)i->layers_kept);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

static void relayer_tell(struct session *s, const struct dray_relayer_info *i)
{
	copied_tell(s, i->copied);
	session_note(s, "%zu layer%s become %zu, %zu of them as they were", i->layers_before,
		     i->layers_before == 1 ? "" : "s", i->layers_after, i->layers_kept);
	if (!i->rootfs_id_before) {
		session_note(s, "rootfs ids are not known: the layers that stay were not read");
		return;
	}
	session_note(s, "rootfs id before: %s", i->rootfs_id_before);
	session_note(s, "rootfs id after:  %s%s", i->rootfs_id_after,
		     strcmp(i->rootfs_id_before, i->rootfs_id_after) == 0 ? " (the same files)"
									  : "");
}

int relayer_result(struct session *s, const dray_relayered *r, dray_error **err)
{
	const struct dray_relayer_info *i = dray_relayered_info(r);
	cleanup_free char *name = text_safe(span_str(i->copied->reference), 4096);
	bool taken = ref_is_stdio(s->global.output); /* stdout carries the image itself */

	progress_hide(&s->progress);
	relayer_tell(s, i);
	if (taken)
		session_note(s, "%s", name ? name : "");
	else if (!s->global.json)
		page_put(&s->page, "%s\n", name ? name : "");
	return s->global.json && !taken ? relayer_json(&s->page, i, err) : STATUS_OK;
}
