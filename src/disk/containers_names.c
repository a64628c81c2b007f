/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the names of an image in podman's storage, and the digests that it came by.
 * Relies on: images.json, where one image has the digests of all manifests that led to it.
 * Promises: what podman tells of it, in podman's order; a hostile list has an end.
 */
#include "base/limits.h"
#include "disk/containers_priv.h"

/* One image's: each name with each digest. */
struct naming {
	struct storage *s;
	struct image *im;
	struct texts digests; /* of manifests; the one that it is listed by first */
	struct texts names;   /* "NAME@sha256:..." */
	struct map seen;      /* digests, and names without tags */
};

static void naming_clear(struct naming *n)
{
	map_clear(&n->seen);
}
#define cleanup_naming CLEANUP(naming_clear)

/* 1 = nobody has asked for @p text, which is lent, before; 0, -1. */
static int is_new(struct naming *n, const char *text, dray_error **err)
{
	if (map_find(&n->seen, span_str(text)))
		return 0;
	return map_put(&n->seen, span_str(text), n, err) < 0 ? -1 : 1;
}

/* ---- digests ---- */

static int add_digest(struct naming *n, struct json from, dray_error **err)
{
	struct digest d;
	const char *text;

	if (json_string(from, "digest", &n->im->arena, &text, err) < 0)
		return -1;
	if (!text || digest_parse(span_str(text), &d, NULL) < 0)
		return 0;
	int new = is_new(n, text, err);
	return new > 0 ? texts_add(&n->im->arena, &n->digests, text, err) : new;
}

/* An image that was pulled twice, compressed in two ways or by an index, has several manifests. */
static int read_digests(struct naming *n, struct json element, dray_error **err)
{
	struct json kept = json_get(element, "big-data-digests");
	const char *name;

	if (add_digest(n, json_get(element, "digest"), err) < 0 ||
	    json_want_map(kept, true, "big-data-digests", err) < 0)
		return -1;
	for (struct json it = json_first(kept); json_present(kept) && json_node(it);
	     it = json_next(it)) {
		if (json_name(it, &n->im->arena, &name, err) < 0)
			return -1;
		if (span_starts(span_str(name), "manifest") && add_digest(n, it, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- names ---- */

static int add_digest_name(struct naming *n, const char *repo, const char *digest, dray_error **err)
{
	const char *text;

	if (n->s->digest_names == LIMIT_REPO_DIGESTS)
		return err_set(err, DRAY_ERR_LIMIT,
			       "more than %d names with digests (LIMIT_REPO_DIGESTS)",
			       LIMIT_REPO_DIGESTS);
	n->s->digest_names++;
	text = arena_printf(&n->im->arena, "%s@%s", repo, digest);
	if (!text)
		return err_nomem(err);
	return texts_add(&n->im->arena, &n->names, text, err);
}

/* "NAME@sha256:..." beside "NAME:TAG", as podman shows them; once for all tags of a name. */
static int add_digest_names(struct naming *n, const char *name, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	int new = disk_reference(name, &ref, err);

	if (new <= 0)
		return new;
	const char *repo = arena_printf(&n->im->arena, "%s/%s", ref.domain, ref.path);
	if (!repo)
		return err_nomem(err);
	new = is_new(n, repo, err);
	for (size_t i = 0; new > 0 && i < n->digests.n; i++)
		if (add_digest_name(n, repo, n->digests.list[i], err) < 0)
			return -1;
	return new < 0 ? -1 : 0;
}

static int read_names(struct naming *n, struct json names, dray_error **err)
{
	const char *name;

	if (json_want(names, JSON_ARRAY, true, "names", err) < 0)
		return -1;
	for (struct json it = json_first(names); json_present(names) && json_node(it);
	     it = json_next(it)) {
		if (json_string(it, "names", &n->im->arena, &name, err) < 0)
			return -1;
		if (!name)
			continue;
		if (!strchr(name, '@') && image_add_tag(n->im, name, NULL, err) < 0)
			return -1;
		if (add_digest_names(n, name, err) < 0)
			return -1;
	}
	return 0;
}

int storage_add_names(struct storage *s, struct json element, struct image *im,
		      struct dray_disk_info *info, dray_error **err)
{
	cleanup_naming struct naming n = { .s = s, .im = im };

	if (read_digests(&n, element, err) < 0 ||
	    read_names(&n, json_get(element, "names"), err) < 0)
		return -1;
	info->digest = n.digests.n ? n.digests.list[0] : NULL;
	info->repo_digests = n.names.list;
	info->n_repo_digests = n.names.n;
	info->state = im->n_tags || n.names.n ? "tagged" : "dangling";
	return 0;
}
