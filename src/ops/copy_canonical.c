/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "copy --canonical": the canonical archive as the destination of a copy.
 * Relies on: ops/canonical.h, which normalize uses too.
 * Promises: the bytes that normalize writes for the same images and names.
 */
#include "ops/canonical.h"
#include "ops/copy_run.h"

#include "base/mem.h"

static int check(const struct place *to, const struct dray_copy_options *o, dray_error **err)
{
	if (to->kind != PLACE_ARCHIVE && to->kind != PLACE_OCI_ARCHIVE) {
		err_set(err, DRAY_ERR_USAGE, "%s: --canonical writes an archive", to->text);
		return err_hint(err, "docker-archive:PATH");
	}
	if (digest_set(&to->digest))
		return err_set(err, DRAY_ERR_USAGE, "%s: --canonical leaves no choice of manifest",
			       to->text);
	if (o->format || o->compression || o->reuse)
		return err_set(err, DRAY_ERR_USAGE,
			       "--canonical leaves no choice of format, compression or reuse");
	return 0;
}

static int tell(const struct canonical_facts *f, const struct place *to, dray_copy_result *result,
		dray_error **err)
{
	static const char *const changes[] = {
		"canonical archive: layers uncompressed, a manifest of its own"
	};

	for (size_t i = 0; i < f->n_images; i++) {
		const struct dray_normalized *from = &f->images[i];
		struct dray_copied *c;

		if (mem_grow(&result->list, result->n, &result->cap, sizeof(*result->list)) < 0)
			return err_nomem(err);
		c = &result->list[result->n++];
		*c = (struct dray_copied){
			.reference = arena_strdup(&result->arena, from->reference),
			.manifest_digest = arena_strdup(&result->arena, from->manifest_digest),
			.image_id = arena_strdup(&result->arena, from->image_id),
			.changes = changes,
			.n_changes = ARRAY_LEN(changes),
			.blobs_sent = i == 0 ? f->layers : 0,
			.bytes_sent = i == 0 ? f->layer_bytes : 0,
		};
		if (from->n_names > 0)
			c->tagged = arena_printf(&result->arena, "%s:%s", to->path, from->names[0]);
		if (!c->reference || !c->manifest_digest || !c->image_id ||
		    (from->n_names > 0 && !c->tagged))
			return err_nomem(err);
	}
	return 0;
}

int copy_canonical(dray_context *ctx, const char *const *srcs, size_t n, const struct place *to,
		   const struct dray_copy_options *o, dray_copy_result *result, dray_error **err)
{
	cleanup_canonical_facts struct canonical_facts facts = { 0 };
	const char *const tag = to->tag;
	const struct canonical_wishes w = {
		.image = o->image,
		.all = o->all,
		.tags = &tag,
		.n_tags = tag ? 1 : 0,
	};

	if (check(to, o, err) < 0 ||
	    canonical_file(ctx, srcs, n, &w, to->path, o->no_clobber, &facts, err) < 0)
		return -1;
	return tell(&facts, to, result, err);
}
