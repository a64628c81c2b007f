/* SPDX-License-Identifier: Apache-2.0
 *
 * An index of one image, for whoever wants to say something about the index.
 * Relies on the manifest being written: its digest and size are in it.
 * Promises that Docker's formats, which have no annotations, are refused and not filled in.
 */
#include "ops/copy_plan.h"

#include "base/jsonw.h"
#include "base/limits.h"

static void write_entry(struct jsonw *w, const struct plan *p, const struct manifest *m)
{
	jsonw_object(w);
	jsonw_kstring(w, "mediaType", m->media_type);
	jsonw_kstring(w, "digest", m->digest.text);
	jsonw_kint(w, "size", (int64_t)m->raw.len);
	if (p->im->config)
		platform_write(w, &p->im->config->platform);
	jsonw_end_object(w);
}

int copy_within(const struct plan *p, const struct manifest *m, struct manifest **ret,
		dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	struct jsonw w;

	if (p->docker)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "annotations of an index need the OCI format");
	if (p->c->target->dest->lone)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "%s has no place for an index",
			       p->c->target->dest->place);
	if (p->c->target->legacy)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "--legacy: what it is for has no annotations of an index");
	jsonw_init(&w, &text, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schemaVersion", 2);
	jsonw_kstring(&w, "mediaType", MT_OCI_INDEX);
	jsonw_key(&w, "manifests");
	jsonw_array(&w);
	write_entry(&w, p, m);
	jsonw_end_array(&w);
	jsonw_key(&w, "annotations");
	jsonw_raw(&w, json_raw(p->im->around));
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	return manifest_parse(&text, MT_OCI_INDEX, ret, err);
}
