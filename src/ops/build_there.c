/* SPDX-License-Identifier: Apache-2.0
 *
 * build: what the image is called where it goes, if that says a name itself.
 * Relies on ops/place for what is a name, on the copy for what a registry was told.
 * Promises that whatever may fail does so before anything is written.
 */
#include "ops/build.h"

#include "base/mem.h"
#include "ops/copy_run.h"
#include "ops/ops.h"
#include "ops/relayer.h"

static int name_in_archive(const struct place *p, char **ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };

	if (copy_archive_name(p->tag, &ref, err) < 0)
		return err_ctx(err, "%s", p->text);
	*ret = reference_familiar(&ref);
	return *ret ? 0 : err_nomem(err);
}

/* A repository without a tag gets each of the plan. */
static int names_of_plan(struct arena *a, const struct place *p, const struct relayer_plan *plan,
			 struct build_there *ret, dray_error **err)
{
	ret->names = arena_array(a, plan->n_tags, sizeof(*ret->names));
	if (!ret->names)
		return err_nomem(err);
	for (; ret->n < plan->n_tags; ret->n++) {
		const char *name = arena_printf(a, "%s/%s:%s", p->ref.domain, p->ref.path,
						plan->tags[ret->n]);

		if (!name)
			return err_nomem(err);
		ret->names[ret->n] = name;
	}
	return 0;
}

static int one_name(struct arena *a, const char *name, struct build_there *ret, dray_error **err)
{
	ret->names = arena_array(a, 1, sizeof(*ret->names));
	if (!ret->names)
		return err_nomem(err);
	ret->n = 1;
	ret->names[0] = arena_strdup(a, name);
	return ret->names[0] ? 0 : err_nomem(err);
}

int build_find_there(struct arena *a, const char *dst, const struct dray_copy_options *o,
		     const struct relayer_plan *plan, struct build_there *ret, dray_error **err)
{
	cleanup_place struct place p = { 0 };
	cleanup_free char *whole = NULL;
	const char *name;

	if (place_parse(dst, place_use_of(o), &p, err) < 0)
		return -1;
	if (p.kind == PLACE_REGISTRY && plan->n_tags && !p.ref.tag && !digest_set(&p.ref.digest))
		return names_of_plan(a, &p, plan, ret, err);
	if (p.kind == PLACE_ARCHIVE && p.tag && name_in_archive(&p, &whole, err) < 0)
		return -1;
	name = whole ? whole : p.tag;
	ret->registry = p.kind == PLACE_REGISTRY;
	return name || ret->registry ? one_name(a, name ? name : "", ret, err) : 0;
}

void build_tell_there(const struct build_there *t, struct dray_build_info *info)
{
	if (!t->names)
		return;
	info->tags = t->names;
	info->n_tags = t->n;
	if (t->registry) {
		t->names[0] = info->copied->tagged;
		info->n_tags = t->names[0] != NULL;
	}
}
