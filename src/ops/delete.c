/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      deleting a tag or a manifest.
 * Relies:   on registries that say with 400 or 405 that they delete no tags, and then do nothing.
 * Promises: a tag that was not named stays, unless the manifest itself was asked to go.
 */
#include <dray/registry.h>

#include "base/mem.h"
#include "ops/names.h"

#define NAMED_MAX 5 /* tags that an error names */

static int add_gone(dray_names *n, const char *sign, const char *what, dray_error **err)
{
	cleanup_free char *text = mem_printf("%s%s%s", n->of, sign, what);

	return text ? remote_names_add(&n->names, text, err) : err_nomem(err);
}

/* The digest that @p tag names now: from the bytes themselves when the registry does not say. */
static int tag_digest(struct remote *r, const char *tag, struct digest *ret, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;
	int rc = remote_head_manifest(r, tag, ret, err);

	if (rc == 0)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s has no tag %s", remote_name(r), tag);
	if (rc < 0 || digest_set(ret))
		return rc < 0 ? -1 : 0;
	if (remote_get_manifest(r, tag, &m, err) < 0)
		return -1;
	*ret = m->digest;
	return 0;
}

/* Other tags that name @p digest. */
static int sharing(struct remote *r, const char *tag, const struct digest *digest,
		   struct remote_names *ret, dray_error **err)
{
	cleanup_remote_names struct remote_names tags = { 0 };

	if (remote_tags(r, &tags, err) < 0)
		return -1;
	for (size_t i = 0; i < tags.n; i++) {
		struct digest one;
		int rc;

		if (strcmp(tags.list[i], tag) == 0)
			continue;
		rc = remote_head_manifest(r, tags.list[i], &one, err);
		if (rc < 0)
			return -1;
		/* A registry that does not say leaves the worst to be assumed. */
		if (rc > 0 && (!digest_set(&one) || strcmp(one.text, digest->text) == 0) &&
		    remote_names_add(ret, tags.list[i], err) < 0)
			return -1;
	}
	return 0;
}

static int would_take_others(struct remote *r, const char *tag, const struct remote_names *others,
			     dray_error **err)
{
	cleanup_buf struct buf list = BUF_INIT(4096);

	for (size_t i = 0; i < others->n && i < NAMED_MAX; i++) {
		if (buf_printf(&list, err, "%s%s", i ? ", " : "", others->list[i]) < 0)
			return -1;
	}
	err_set(err, DRAY_ERR_USAGE,
		"%s deletes manifests, not tags alone, and %s shares its manifest with %.*s%s",
		remote_name(r), tag, (int)list.len, (const char *)list.data,
		others->n > NAMED_MAX ? ", ..." : "");
	return err_hint(err, "--manifest deletes it with all its tags");
}

static int delete_manifest(struct remote *r, const struct digest *digest, dray_names *n,
			   dray_error **err)
{
	return remote_delete_manifest(r, digest->text, err) < 0
		       ? -1
		       : add_gone(n, "@", digest->text, err);
}

/* The registry cannot take a tag off: its manifest goes, if that hurts nobody else. */
static int delete_sole(struct remote *r, const char *tag, dray_names *n, dray_error **err)
{
	cleanup_remote_names struct remote_names others = { 0 };
	struct digest digest;

	if (tag_digest(r, tag, &digest, err) < 0 || sharing(r, tag, &digest, &others, err) < 0)
		return -1;
	if (others.n)
		return would_take_others(r, tag, &others, err);
	if (remote_delete_manifest(r, digest.text, err) < 0 || add_gone(n, ":", tag, err) < 0)
		return -1;
	return add_gone(n, "@", digest.text, err) < 0 ? -1 : 0;
}

static int delete_tag(struct remote *r, const char *tag, dray_names *n, dray_error **err)
{
	int rc = remote_delete_manifest(r, tag, err);

	if (rc < 0)
		return -1;
	return rc ? add_gone(n, ":", tag, err) : delete_sole(r, tag, n, err);
}

static int delete_what(struct remote *r, const struct reference *ref, bool manifest, dray_names *n,
		       dray_error **err)
{
	struct digest digest;

	if (digest_set(&ref->digest))
		return delete_manifest(r, &ref->digest, n, err);
	if (!manifest)
		return delete_tag(r, ref->tag, n, err);
	if (tag_digest(r, ref->tag, &digest, err) < 0)
		return -1;
	return delete_manifest(r, &digest, n, err);
}

int dray_delete(dray_context *ctx, const char *ref, const struct dray_delete_options *o,
		dray_names **ret, dray_error **err)
{
	struct dray_delete_options own = DRAY_DELETE_OPTIONS_INIT;
	cleanup_reference struct reference from = { 0 };
	cleanup_remote struct remote *r = NULL;
	cleanup_names dray_names *n = NULL;

	o = options_take(&own, sizeof(own), o);
	if (registry_reference(ref, &from, err) < 0)
		return -1;
	if (!from.tag && !digest_set(&from.digest)) {
		err_set(err, DRAY_ERR_USAGE, "a tag or a digest is needed to delete");
		return err_hint(err, "%s/%s:TAG", from.domain, from.path);
	}
	if (remote_open_for(&from, REMOTE_DELETE, &ctx->remote, &r, err) < 0)
		return -1;
	n = names_new(remote_name(r), err);
	if (!n || delete_what(r, &from, o->manifest, n, err) < 0)
		return -1;
	*ret = steal_pointer(&n);
	return 0;
}
