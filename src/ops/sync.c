/* SPDX-License-Identifier: Apache-2.0
 *
 * sync: the images of a list, one after the other, to where the list sends them.
 * Relies on dray_copy() for each of them and on ops/syncplan.c for what they are.
 * Promises that one image's failure stops no other, and that what is there already is not
 * fetched again.
 */
#include <fcntl.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "ops/syncplan.h"

struct dray_sync_result {
	struct arena arena;
	struct sync_plan plan; /* its strings and errors are the items' */
	struct sync_file file;
	struct dray_synced *list;
	size_t n;
};

size_t dray_sync_count(const dray_sync_result *r)
{
	return r->n;
}

const struct dray_synced *dray_sync_get(const dray_sync_result *r, size_t i)
{
	return i < r->n ? &r->list[i] : NULL;
}

void dray_sync_free(dray_sync_result *r)
{
	if (!r)
		return;
	sync_plan_clear(&r->plan);
	sync_file_clear(&r->file);
	arena_clear(&r->arena);
	mem_free(r);
}
DEFINE_CLEANUP(dray_sync_result, cleanup_sync_result_fn, dray_sync_free)
#define cleanup_sync_result CLEANUP(cleanup_sync_result_fn)

/* ---- is it there already? ---- */

/* What the registry says of @p ref; unset when there is nothing, or no answer that helps. */
static int registry_digest(dray_context *ctx, const struct reference *ref, bool anonymous,
			   struct digest *ret, dray_error **err)
{
	struct remote_options o = ctx->remote;
	cleanup_remote struct remote *r = NULL;

	if (digest_set(&ref->digest)) {
		*ret = ref->digest;
		return 0;
	}
	if (anonymous)
		o.creds = NULL;
	if (remote_open(ref, false, &o, &r, err) < 0)
		return -1;
	return remote_head_manifest(r, ref->tag ? ref->tag : "latest", ret, err);
}

/* The entry of @p index that has the tag. */
static int find_tag(struct json index, const char *tag, struct arena *a, struct digest *ret,
		    dray_error **err)
{
	struct json list = json_get(index, "manifests");

	for (struct json it = json_first(list); json_node(it); it = json_next(it)) {
		struct json name = json_get(json_get(it, "annotations"),
					    "org.opencontainers.image.ref.name");
		const char *text = NULL, *digest = NULL;

		if (json_string(name, "annotation", a, &text, err) < 0)
			return -1;
		if (!text || strcmp(text, tag) != 0)
			continue;
		if (json_string(json_get(it, "digest"), "digest", a, &digest, err) < 0)
			return -1;
		return digest ? digest_parse(span_str(digest), ret, err) : 0;
	}
	return 0;
}

static int layout_digest(const struct place *p, struct digest *ret, dray_error **err)
{
	cleanup_free char *path = mem_printf("%s/index.json", p->path);
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	cleanup_json struct json_doc *doc = NULL;
	struct arena scratch = { 0 };
	int rc;

	if (!path)
		return err_nomem(err);
	if (!p->tag)
		return 0;
	rc = io_read_file(AT_FDCWD, path, LIMIT_MANIFEST, &text, err);
	if (rc == 0)
		rc = json_parse(span_buf(&text), &doc, err);
	if (rc == 0)
		rc = find_tag(json_root(doc), p->tag, &scratch, ret, err);
	arena_clear(&scratch);
	return rc;
}

static int destination_digest(dray_context *ctx, const struct place *p, struct digest *ret,
			      dray_error **err)
{
	if (p->kind == PLACE_REGISTRY)
		return registry_digest(ctx, &p->ref, false, ret, err);
	return p->kind == PLACE_OCI_DIR ? layout_digest(p, ret, err) : 0;
}

/* Whoever cannot be asked here fails, with a better word, when the copy meets him. */
static int unless_stopped(dray_error *why, dray_error **err)
{
	enum dray_err_kind kind = why ? dray_error_kind(why) : DRAY_ERR_USAGE;

	if (kind != DRAY_ERR_NOMEM && kind != DRAY_ERR_CANCELLED) {
		dray_error_free(why);
		return 0;
	}
	if (err)
		*err = why;
	else
		dray_error_free(why);
	return -1;
}

/* 1 = the same manifest or index is under the same name at both ends, 0, -1. *ret: the destination's. */
static int is_there(dray_context *ctx, const struct sync_item *item, struct digest *ret,
		    dray_error **err)
{
	cleanup_place struct place from = { 0 }, to = { 0 };
	struct digest have = { 0 }, want = { 0 };
	dray_error *why = NULL;

	if (place_parse(item->source, false, &from, err) < 0 ||
	    place_parse(item->destination, true, &to, err) < 0)
		return -1;
	if (from.kind != PLACE_REGISTRY)
		return 0;
	if (to.kind == PLACE_REGISTRY && digest_set(&to.ref.digest))
		return 0; /* its name is its digest, and says nothing about what is there */
	if (destination_digest(ctx, &to, &have, &why) < 0)
		return unless_stopped(why, err);
	if (!digest_set(&have))
		return 0;
	if (registry_digest(ctx, &from.ref, sync_foreign(&from.ref, &to), &want, &why) < 0)
		return unless_stopped(why, err);
	*ret = have;
	return digest_eq(&have, &want);
}

/* ---- one image ---- */

static char *keep(dray_sync_result *r, const char *text, dray_error **err)
{
	char *copy = arena_strdup(&r->arena, text);

	if (!copy)
		err_nomem(err);
	return copy;
}

/* One platform of an index: that it was there already shows in what the copy found. */
static int take_result(dray_sync_result *r, const dray_copy_result *copied,
		       const struct digest *there, struct dray_synced *s, dray_error **err)
{
	const struct dray_copied *c = dray_copy_get(copied, 0);

	s->status = DRAY_SYNC_COPIED;
	if (!c)
		return 0;
	s->blobs_sent = c->blobs_sent;
	s->blobs_skipped = c->blobs_skipped;
	s->bytes_sent = c->bytes_sent;
	s->manifest_digest = keep(r, c->manifest_digest, err);
	if (!s->manifest_digest)
		return -1;
	if (digest_set(there) && strcmp(there->text, s->manifest_digest) == 0) {
		s->status = DRAY_SYNC_UNCHANGED;
		return 0;
	}
	s->reference = keep(r, c->reference, err);
	return s->reference ? 0 : -1;
}

/* The platforms of the entry in place of the context's, for one copy. */
static int copy_as_wished(dray_context *ctx, const struct sync_item *item, dray_copy_result **ret,
			  dray_error **err)
{
	const struct dray_context was = *ctx;
	const struct sync_entry *e = item->entry;
	int rc;

	if (e->platforms != SYNC_PLATFORMS_DEFAULT) {
		ctx->all_platforms = e->platforms == SYNC_PLATFORMS_ALL;
		ctx->platform = e->n_list ? e->list[0] : (struct platform){ 0 };
		ctx->more = e->n_list > 1 ? e->list + 1 : NULL;
		ctx->n_more = e->n_list > 1 ? e->n_list - 1 : 0;
	}
	rc = dray_copy(ctx, item->source, item->destination, NULL, ret, err);
	ctx->platform = was.platform;
	ctx->all_platforms = was.all_platforms;
	ctx->more = was.more;
	ctx->n_more = was.n_more;
	return rc;
}

static int copy_item(dray_context *ctx, dray_sync_result *r, struct sync_item *item,
		     const struct digest *there, struct dray_synced *s, dray_error **err)
{
	dray_copy_result *copied = NULL;
	dray_error *why = NULL;
	int rc;

	if (copy_as_wished(ctx, item, &copied, &why) == 0) {
		rc = take_result(r, copied, there, s, err);
		dray_copy_free(copied);
		return rc;
	}
	s->status = DRAY_SYNC_FAILED;
	if (dray_error_kind(why) == DRAY_ERR_NOMEM || dray_error_kind(why) == DRAY_ERR_CANCELLED) {
		if (err)
			*err = why;
		else
			dray_error_free(why);
		return -1;
	}
	item->error = why;
	s->error = why;
	return 0;
}

static int sync_item(dray_context *ctx, dray_sync_result *r, struct sync_item *item, bool dry,
		     struct dray_synced *s, dray_error **err)
{
	struct digest there = { 0 };
	int same;

	*s = (struct dray_synced){ .source = item->source, .destination = item->destination };
	if (item->error) {
		s->status = DRAY_SYNC_FAILED;
		s->error = item->error;
		return 0;
	}
	same = is_there(ctx, item, &there, err);
	if (same < 0)
		return -1;
	if (same) {
		s->status = DRAY_SYNC_UNCHANGED;
		s->manifest_digest = keep(r, there.text, err);
		return s->manifest_digest ? 0 : -1;
	}
	s->status = DRAY_SYNC_PLANNED;
	return dry ? 0 : copy_item(ctx, r, item, &there, s, err);
}

/* ---- the whole ---- */

/* Tags that could not be had concern every shard: none knows what it misses. */
static int is_ours(const struct sync_item *item, const struct dray_sync_options *o,
		   dray_error **err)
{
	uint32_t shard;

	if (o->shards < 2 || !item->destination)
		return 1;
	if (sync_shard(item->source, item->destination, o->shards, &shard, err) < 0)
		return -1;
	return shard == o->shard % o->shards;
}

static int run(dray_context *ctx, dray_sync_result *r, const struct dray_sync_options *o,
	       dray_error **err)
{
	r->list = arena_array(&r->arena, r->plan.n ? r->plan.n : 1, sizeof(*r->list));
	if (!r->list)
		return err_nomem(err);
	for (size_t i = 0; i < r->plan.n; i++) {
		int ours = is_ours(&r->plan.items[i], o, err);

		if (ours < 0)
			return -1;
		if (!ours)
			continue;
		if (sync_item(ctx, r, &r->plan.items[i], o->dry_run, &r->list[r->n], err) < 0)
			return -1;
		r->n++;
	}
	return 0;
}

static int read_list(const char *path, struct sync_file *ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SYNC_FILE);

	if (io_read_file(AT_FDCWD, path, LIMIT_SYNC_FILE, &text, err) < 0)
		return -1;
	return sync_file_parse(span_buf(&text), ret, err);
}

int dray_sync(dray_context *ctx, const char *path, const struct dray_sync_options *o,
	      dray_sync_result **ret, dray_error **err)
{
	struct dray_sync_options own = DRAY_SYNC_OPTIONS_INIT;
	cleanup_sync_result dray_sync_result *r = mem_zalloc(sizeof(*r));

	if (!r)
		return err_nomem(err);
	o = options_take(&own, sizeof(own), o);
	if (o->shard > o->shards)
		return err_set(err, DRAY_ERR_USAGE, "shard %u of %u", o->shard, o->shards);
	if (read_list(path, &r->file, err) < 0 ||
	    sync_plan_make(ctx, &r->file, &r->plan, err) < 0 || run(ctx, r, o, err) < 0)
		return -1;
	*ret = steal_pointer(&r);
	return 0;
}
