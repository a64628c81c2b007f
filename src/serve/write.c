/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what changes a shelf: uploads in all their forms, manifests, deletions.
 * Relies on the shelf to check, to keep and to forget; bodies pass piece by piece.
 * Promises: a body is on the shelf when its request is answered with success; an upload that
 * breaks off can go on where it stopped.
 */
#include "base/mem.h"
#include "serve/serve_priv.h"

/* ---- before the body ---- */

/* The shelf that is written to; NULL with a refusal. */
static struct shelf *writable(const struct exchange *ex, dray_error **err)
{
	struct shelf *s = ex->server->shelf;

	if (s->write && !ex->server->o.read_only)
		return s;
	shelf_refuse(err, SHELF_UNSUPPORTED, "this registry is read-only");
	return NULL;
}

/* Where the client thinks that its piece begins; -1 = it does not say. */
static int piece_begin(struct exchange *ex, int64_t *ret_off, dray_error **err)
{
	*ret_off = -1;
	if (!ex->head.content_range)
		return 0;
	if (!head_upload_range(ex->head.content_range, ret_off, &ex->piece))
		return shelf_refuse(err, SHELF_RANGE_INVALID, "Content-Range is malformed");
	if (ex->head.content_length >= 0 && ex->head.content_length != ex->piece)
		return shelf_refuse(err, SHELF_BLOB_UPLOAD_INVALID,
				    "Content-Range and Content-Length differ");
	return 0;
}

static int check_computable(const struct digest *d, dray_error **err)
{
	if (d->algo != DIGEST_OTHER)
		return 0;
	return shelf_refuse(err, SHELF_DIGEST_INVALID, "digests of this algorithm are not known");
}

static int hold_upload(struct exchange *ex, struct shelf *s, const char *id, int64_t off,
		       dray_error **err)
{
	ex->use = BODY_UPLOAD;
	return s->write->open(s, ex->route.repo, id, off, &ex->upload, err);
}

/* POST: an upload that the body of another request fills, or this one's. */
static int begin_uploads(struct exchange *ex, struct shelf *s, dray_error **err)
{
	const struct route *r = &ex->route;

	if (digest_set(&r->mount) || !digest_set(&r->digest))
		return 0;
	if (check_computable(&r->digest, err) < 0 ||
	    s->write->begin(s, r->repo, ex->upload_id, err) < 0)
		return -1;
	return hold_upload(ex, s, ex->upload_id, 0, err);
}

static int begin_upload(struct exchange *ex, struct shelf *s, dray_error **err)
{
	const struct route *r = &ex->route;
	int64_t off;

	if (r->method == METHOD_DELETE)
		return 0;
	if (r->method == METHOD_PUT && !digest_set(&r->digest))
		return shelf_refuse(err, SHELF_DIGEST_INVALID,
				    "the digest of what was uploaded is missing");
	if (check_computable(&r->digest, err) < 0 || piece_begin(ex, &off, err) < 0)
		return -1;
	return hold_upload(ex, s, r->upload, off, err);
}

static int begin_manifest(struct exchange *ex, dray_error **err)
{
	if (ex->route.method == METHOD_DELETE)
		return 0;
	ex->use = BODY_MANIFEST;
	if (check_computable(&ex->route.ref.digest, err) < 0)
		return -1;
	if (ex->head.content_length > LIMIT_MANIFEST)
		return shelf_refuse(err, SHELF_SIZE_INVALID,
				    "the manifest is larger than %lld bytes (LIMIT_MANIFEST)",
				    (long long)LIMIT_MANIFEST);
	if (head_media_type(ex->head.content_type).len == 0)
		return shelf_refuse(err, SHELF_MANIFEST_INVALID,
				    "Content-Type has to say what kind of manifest this is");
	return 0;
}

int write_begin(struct exchange *ex, dray_error **err)
{
	struct shelf *s = writable(ex, err);

	if (!s)
		return -1;
	switch (ex->route.kind) {
	case ROUTE_UPLOADS:
		return begin_uploads(ex, s, err);
	case ROUTE_UPLOAD:
		return begin_upload(ex, s, err);
	case ROUTE_MANIFEST:
		return begin_manifest(ex, err);
	default:
		return 0;
	}
}

/* ---- the body ---- */

static int feed_manifest(struct exchange *ex, struct span bytes, dray_error **err)
{
	if ((int64_t)(ex->manifest.len + bytes.len) <= LIMIT_MANIFEST)
		return buf_add(&ex->manifest, bytes, err);
	return shelf_refuse(err, SHELF_SIZE_INVALID,
			    "the manifest is larger than %lld bytes (LIMIT_MANIFEST)",
			    (long long)LIMIT_MANIFEST);
}

static int pass_on(struct exchange *ex, dray_error **err)
{
	struct shelf *s = ex->server->shelf;
	struct span bytes = span_buf(&ex->gathered);

	ex->gathered.len = 0;
	return bytes.len ? s->write->append(s, ex->upload, bytes, err) : 0;
}

/* A body comes in small pieces, and a big one is cheaper to hash and to write. */
static int feed_upload(struct exchange *ex, struct span bytes, dray_error **err)
{
	if (ex->piece >= 0 && ex->received > ex->piece)
		return shelf_refuse(err, SHELF_BLOB_UPLOAD_INVALID,
				    "the body is longer than Content-Range says");
	while (bytes.len > 0) {
		size_t room = (size_t)UPLOAD_BLOCK - ex->gathered.len;
		struct span now = span_head(bytes, bytes.len < room ? bytes.len : room);

		if (buf_add(&ex->gathered, now, err) < 0)
			return -1;
		if (now.len == room && pass_on(ex, err) < 0)
			return -1;
		bytes = span_from(bytes, now.len);
	}
	return 0;
}

int write_feed(struct exchange *ex, struct span bytes, dray_error **err)
{
	switch (ex->use) {
	case BODY_UPLOAD:
		return feed_upload(ex, bytes, err);
	case BODY_MANIFEST:
		return feed_manifest(ex, bytes, err);
	default:
		return 0;
	}
}

/*
 * What came of an upload stays, and its status tells how much that is; but one that this request began has
 * an id that its client never learnt.
 */
void write_end(struct exchange *ex)
{
	struct shelf *s = ex->server->shelf;
	cleanup_error dray_error *ignored = NULL;
	bool unknown = ex->upload_id[0];

	if (!ex->upload)
		return;
	if (!unknown && pass_on(ex, &ignored) < 0)
		err_clear(&ignored);
	s->write->close(s, steal_pointer(&ex->upload));
	if (unknown && s->write->cancel(s, ex->route.repo, ex->upload_id, &ignored) < 0)
		log_trouble(ex->server, ex, dray_error_message(ignored));
}

/* ---- uploads, answered ---- */

static enum MHD_Result send_created(struct exchange *ex, const char *kind, const struct digest *d,
				    const struct shelf_stored *stored)
{
	struct reply r = reply_empty(201);

	reply_fieldf(&r, "Location", "/v2/%s/%s/%s", ex->route.repo, kind, d->text);
	reply_field(&r, "Docker-Content-Digest", d->text);
	if (stored && digest_set(&stored->subject))
		reply_field(&r, "OCI-Subject", stored->subject.text);
	/* A reference that is a tag is the only one that was set. */
	for (size_t i = 0; stored && !ex->route.ref.tag && i < ex->route.n_tags; i++)
		reply_field(&r, "OCI-Tag", ex->route.tags[i]);
	return reply_send(ex, &r);
}

static enum MHD_Result send_going_on(struct exchange *ex, const char *id, int64_t size)
{
	struct reply r = reply_empty(202);

	reply_fieldf(&r, "Location", "/v2/%s/blobs/uploads/%s", ex->route.repo, id);
	reply_fieldf(&r, "Range", "0-%lld", (long long)(size > 0 ? size - 1 : 0));
	reply_field(&r, "Docker-Upload-UUID", id);
	return reply_send(ex, &r);
}

static enum MHD_Result finish_upload(struct exchange *ex)
{
	cleanup_error dray_error *err = NULL;
	struct shelf *s = ex->server->shelf;
	const struct digest *d = &ex->route.digest;

	if (s->write->finish(s, steal_pointer(&ex->upload), d, &err) < 0)
		return reply_error(ex, &err);
	return send_created(ex, "blobs", d, NULL);
}

static enum MHD_Result answer_uploads(struct exchange *ex)
{
	cleanup_error dray_error *err = NULL;
	struct shelf *s = ex->server->shelf;
	const struct route *r = &ex->route;
	int mounted = 0;

	if (ex->upload)
		return finish_upload(ex);
	if (digest_set(&r->mount))
		mounted = s->write->mount(s, r->repo, &r->mount, r->from, &err);
	if (mounted > 0)
		return send_created(ex, "blobs", &r->mount, NULL);
	if (mounted < 0 || s->write->begin(s, r->repo, ex->upload_id, &err) < 0)
		return reply_error(ex, &err);
	return send_going_on(ex, ex->upload_id, 0);
}

static enum MHD_Result cancel_upload(struct exchange *ex)
{
	cleanup_error dray_error *err = NULL;
	struct shelf *s = ex->server->shelf;
	struct reply r;

	if (s->write->cancel(s, ex->route.repo, ex->route.upload, &err) < 0)
		return reply_error(ex, &err);
	r = reply_empty(204);
	return reply_send(ex, &r);
}

static enum MHD_Result answer_upload(struct exchange *ex)
{
	cleanup_error dray_error *err = NULL;
	struct shelf *s = ex->server->shelf;
	int64_t size;

	if (ex->route.method == METHOD_DELETE)
		return cancel_upload(ex);
	if (ex->piece >= 0 && ex->received != ex->piece) {
		shelf_refuse(&err, SHELF_BLOB_UPLOAD_INVALID,
			     "the body is shorter than Content-Range says");
		return reply_error(ex, &err);
	}
	if (ex->route.method == METHOD_PUT)
		return finish_upload(ex);
	size = ex->upload->size;
	s->write->close(s, steal_pointer(&ex->upload));
	return send_going_on(ex, ex->route.upload, size);
}

/* ---- manifests and deletions ---- */

static enum MHD_Result put_manifest(struct exchange *ex)
{
	cleanup_error dray_error *err = NULL;
	struct shelf *s = ex->server->shelf;
	const struct route *r = &ex->route;
	struct span type = head_media_type(ex->head.content_type);
	const char *name = arena_strndup(&ex->arena, (const char *)type.data, type.len);
	bool by_tag = r->ref.tag != NULL;
	const struct shelf_put put = {
		.media_type = name,
		.bytes = span_buf(&ex->manifest),
		.digest = r->ref.digest,
		.tags = by_tag ? &r->ref.tag : r->tags,
		.n_tags = by_tag ? 1 : r->n_tags,
	};
	struct shelf_stored stored = { 0 };

	if (!name)
		return MHD_NO;
	if (s->write->put(s, r->repo, &put, &stored, &err) < 0)
		return reply_error(ex, &err);
	return send_created(ex, "manifests", &stored.digest, &stored);
}

static enum MHD_Result answer_removed(struct exchange *ex, int rc, dray_error **err)
{
	struct reply r;

	if (rc < 0)
		return reply_error(ex, err);
	r = reply_empty(202);
	return reply_send(ex, &r);
}

static enum MHD_Result remove_something(struct exchange *ex)
{
	cleanup_error dray_error *err = NULL;
	struct shelf *s = ex->server->shelf;
	const struct route *r = &ex->route;
	int rc = r->kind == ROUTE_BLOB ? s->write->remove_blob(s, r->repo, &r->ref.digest, &err)
				       : s->write->remove(s, r->repo, &r->ref, &err);

	return answer_removed(ex, rc, &err);
}

enum MHD_Result write_answer(struct exchange *ex)
{
	cleanup_error dray_error *err = NULL;

	if (ex->upload && pass_on(ex, &err) < 0) {
		write_end(ex);
		return reply_error(ex, &err);
	}
	switch (ex->route.kind) {
	case ROUTE_UPLOADS:
		return answer_uploads(ex);
	case ROUTE_UPLOAD:
		return answer_upload(ex);
	case ROUTE_MANIFEST:
		return ex->route.method == METHOD_PUT ? put_manifest(ex) : remove_something(ex);
	default:
		return remove_something(ex);
	}
}
