/* SPDX-License-Identifier: Apache-2.0
 *
 * Push without a reference: each image goes to the repositories that its own tags name.
 * Relies on copy_source.c for the images and on image/reference for what a tag means.
 * Promises that no registry is guessed: a tag without a host leads nowhere.
 */
#include "ops/copy_run.h"

/* A tag of the archive, and whether it names a registry host. */
static int parse_own(const char *text, struct reference *ret, bool *ret_usable, dray_error **err)
{
	if (reference_parse(span_str(text), ret, err) < 0 || reference_default_tag(ret, err) < 0)
		return -1;
	*ret_usable = ret->domain_given && ret->tag;
	return 0;
}

static bool same_repository(const struct reference *a, const struct reference *b)
{
	return strcmp(a->domain, b->domain) == 0 && strcmp(a->path, b->path) == 0;
}

/* Push what has the tag @p first to the repository that it names, with all of its tags there. */
static int to_own_repository(struct run *r, const struct root *root, const struct reference *first,
			     dray_copy_result *result, dray_error **err)
{
	const struct image *im = root->images[0];
	cleanup_target struct target t = { 0 };
	const char **tags = arena_array(&r->arena, im->n_tags, sizeof(*tags));
	size_t n = 0;

	if (!tags)
		return err_nomem(err);
	for (size_t i = 0; i < im->n_tags; i++) {
		cleanup_reference struct reference ref = { 0 };
		bool usable;

		if (parse_own(im->tags[i], &ref, &usable, err) < 0)
			return -1;
		if (!usable || !same_repository(&ref, first))
			continue;
		tags[n] = arena_strdup(&r->arena, ref.tag);
		if (!tags[n++])
			return err_nomem(err);
	}
	if (run_target_registry(r, first, &t, err) < 0 ||
	    run_copy_one(r, root, tags, n, result, err) < 0)
		return -1;
	return dest_finish(t.dest, err);
}

/* Was the repository of tag @p i served by an earlier tag already? */
static int served_before(const struct image *im, size_t i, const struct reference *ref, bool *ret,
			 dray_error **err)
{
	*ret = false;
	for (size_t k = 0; k < i && !*ret; k++) {
		cleanup_reference struct reference earlier = { 0 };
		bool usable;

		if (parse_own(im->tags[k], &earlier, &usable, err) < 0)
			return -1;
		*ret = usable && same_repository(&earlier, ref);
	}
	return 0;
}

static int root_to_own_tags(struct run *r, const struct root *root, size_t *pushed,
			    dray_copy_result *result, dray_error **err)
{
	const struct image *im = root->images[0];

	for (size_t i = 0; i < im->n_tags; i++) {
		cleanup_reference struct reference ref = { 0 };
		bool usable, served = false;

		if (parse_own(im->tags[i], &ref, &usable, err) < 0)
			return -1;
		if (!usable)
			continue;
		if (served_before(im, i, &ref, &served, err) < 0)
			return -1;
		if (served)
			continue;
		if (to_own_repository(r, root, &ref, result, err) < 0)
			return -1;
		++*pushed;
	}
	return 0;
}

/* "docker-daemon:HOST/NAME:TAG" says where to before it is read, as docker push has it. */
static int from_engine(struct run *r, dray_copy_result *result, dray_error **err)
{
	const char *name = r->from.place.tag;
	cleanup_reference struct reference ref = { 0 };
	cleanup_target struct target t = { 0 };
	bool usable = false;

	if (name && parse_own(name, &ref, &usable, err) < 0)
		return -1;
	if (!usable) {
		err_set(err, DRAY_ERR_USAGE, "%s names no registry host: where shall it go?",
			r->from.place.text);
		return err_hint(err, "dray push docker-daemon:NAME:TAG HOST/NAME:TAG");
	}
	const char *tag = ref.tag;
	if (run_target_registry(r, &ref, &t, err) < 0 || run_open(r, copy_passing, err) < 0 ||
	    run_copy_one(r, &r->from.roots[0], &tag, 1, result, err) < 0)
		return -1;
	return dest_finish(t.dest, err);
}

int copy_to_own_tags(struct run *r, dray_copy_result *result, dray_error **err)
{
	size_t pushed = 0;

	if (r->from.place.kind == PLACE_DAEMON)
		return from_engine(r, result, err);
	if (strcmp(r->from.place.path ? r->from.place.path : "", "-") == 0) {
		err_set(err, DRAY_ERR_USAGE, "a pipe names its tags last: where shall it go?");
		return err_hint(err, "dray push - HOST/NAME:TAG");
	}
	/* Else an archive's tags would choose who gets them. */
	if (r->copy.ctx->creds)
		return err_set(err, DRAY_ERR_USAGE,
			       "--creds are for a registry that is named: say "
			       "where %s shall go",
			       r->from.place.text);
	if (run_open(r, NULL, err) < 0)
		return -1;
	if (r->copy.forward) {
		err_set(err, DRAY_ERR_USAGE,
			"%s is compressed as a whole and can only be read forward",
			r->from.place.text);
		return err_hint(err, "name the destination: dray push %s HOST/NAME:TAG",
				r->from.place.text);
	}
	for (size_t i = 0; i < r->from.n_roots; i++)
		if (root_to_own_tags(r, &r->from.roots[i], &pushed, result, err) < 0)
			return -1;
	if (pushed == 0) {
		err_set(err, DRAY_ERR_USAGE, "%s: no image has a tag that names a registry host",
			r->from.place.text);
		return err_hint(err, "name the destination: dray push %s HOST/NAME:TAG",
				r->from.place.text);
	}
	return 0;
}
