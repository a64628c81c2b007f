/* SPDX-License-Identifier: Apache-2.0
 *
 * What a build tells its caller: layers, parts, tags and the spec as it was understood.
 * Promises copies of its own: nothing of the build outlives it.
 */
#include "ops/build.h"

#include "base/limits.h"
#include "base/mem.h"
#include "ops/relayer.h"

const struct dray_build_info *dray_built_info(const dray_built *r)
{
	return &r->info;
}

void dray_built_free(dray_built *r)
{
	if (!r)
		return;
	dray_relayered_free(r->made);
	arena_clear(&r->arena);
	mem_free(r);
}

static int tell_layer(dray_built *r, const struct deal_layer *l, const char *diff_id,
		      struct dray_build_layer *ret, dray_error **err)
{
	const char **parts = arena_array(&r->arena, l->n_units + 1, sizeof(*parts));
	const struct record_list list = deal_records(l);

	if (!parts)
		return err_nomem(err);
	*ret = (struct dray_build_layer){ .parts = parts, .n_parts = l->n_units };
	ret->entries = (int64_t)l->n;
	ret->name = l->name ? arena_strdup(&r->arena, l->name) : "";
	ret->diff_id = diff_id ? arena_strdup(&r->arena, diff_id) : "";
	if (!ret->name || !ret->diff_id)
		return err_nomem(err);
	if (!diff_id)
		ret->diff_id = NULL;
	for (size_t i = 0; i < l->n_units; i++) {
		parts[i] = arena_strdup(&r->arena, l->units[i]);
		if (!parts[i])
			return err_nomem(err);
	}
	return layer_tar_size(&list, &ret->bytes, err);
}

int build_tell_spec(dray_built *r, const struct spec *s, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(2 * LIMIT_SPEC);

	if (spec_print(s, &text, err) < 0)
		return -1;
	r->info.spec = arena_strndup(&r->arena, (const char *)text.data, text.len);
	return r->info.spec ? 0 : err_nomem(err);
}

int build_tell_tags(dray_built *r, const struct image *im, dray_error **err)
{
	const char **tags = arena_array(&r->arena, im->n_tags + 1, sizeof(*tags));

	if (!tags)
		return err_nomem(err);
	for (size_t i = 0; i < im->n_tags; i++) {
		tags[i] = arena_strdup(&r->arena, im->tags[i]);
		if (!tags[i])
			return err_nomem(err);
	}
	r->info.tags = tags;
	r->info.n_tags = im->n_tags;
	return 0;
}

int build_tell(dray_built *r, const struct build *b, const struct digest *diff_ids,
	       dray_error **err)
{
	size_t old = b->base->n;
	struct dray_build_layer *layers = arena_array(&r->arena, old + b->deal.n + 1,
						      sizeof(*layers));

	if (!layers)
		return err_nomem(err);
	for (size_t i = 0; i < old; i++) {
		layers[i].kept = true;
		layers[i].diff_id = arena_strdup(&r->arena, b->base->im->layers[i].diff_id.text);
		if (!layers[i].diff_id)
			return err_nomem(err);
	}
	for (size_t i = 0; i < b->deal.n; i++)
		if (tell_layer(r, &b->deal.layers[i], diff_ids ? diff_ids[old + i].text : NULL,
			       &layers[old + i], err) < 0)
			return -1;
	r->info.layers = r->layers = layers;
	r->info.n_layers = old + b->deal.n;
	r->info.same = b->n_same;
	return build_tell_spec(r, b->spec, err);
}
