/* SPDX-License-Identifier: Apache-2.0
 *
 * For: everything that is asked for and not sent: manifests, blobs, listings, uploads' states.
 * Relies on the shelf for what there is, on head.c for what the client wants of it.
 * Promises: bytes go out as the shelf has them; what was asked conditionally is not sent twice.
 */
#include "base/jsonw.h"
#include "base/mem.h"
#include "image/mediatype.h"
#include "proto/url.h"
#include "serve/serve_priv.h"

#define LISTING_MAX (16 * MIB) /* bytes of a page: a thousand names, or referrers' annotations */

static bool is_head(const struct exchange *ex)
{
	return ex->route.method == METHOD_HEAD;
}

/* ---- what both documents and blobs have ---- */

static const char *etag_of(struct exchange *ex, const struct digest *d)
{
	return arena_printf(&ex->arena, "\"%s\"", d->text);
}

static void add_identity(struct reply *r, const struct digest *d, const char *etag)
{
	reply_field(r, "Docker-Content-Digest", d->text);
	reply_field(r, "ETag", etag);
}

static enum MHD_Result not_modified(struct exchange *ex, const struct digest *d, const char *etag)
{
	struct reply r = reply_empty(304);

	add_identity(&r, d, etag);
	return reply_send(ex, &r);
}

static enum MHD_Result fail(struct exchange *ex, dray_error **err)
{
	return reply_error(ex, err);
}

/* ---- manifests ---- */

/* By digest the bytes are what was asked for; by tag a client may be unable to read them. */
static int check_accept(const struct exchange *ex, const struct shelf_doc *d, dray_error **err)
{
	if (!ex->route.ref.tag || !ex->head.accept || head_accepts(ex->head.accept, d->media_type))
		return 0;
	return shelf_refuse(err, SHELF_MANIFEST_UNKNOWN,
			    "the tag names a manifest of another media type than the request "
			    "accepts");
}

static enum MHD_Result answer_manifest(struct exchange *ex)
{
	cleanup_shelf_doc struct shelf_doc d = { 0 };
	cleanup_error dray_error *err = NULL;
	struct shelf *s = ex->server->shelf;
	struct reply r;
	const char *etag;

	if (s->ops->manifest(s, ex->route.repo, &ex->route.ref, !is_head(ex), &d, &err) < 0 ||
	    check_accept(ex, &d, &err) < 0)
		return fail(ex, &err);
	etag = etag_of(ex, &d.digest);
	if (!etag)
		return MHD_NO;
	if (ex->head.if_none_match && head_has_etag(ex->head.if_none_match, etag, true))
		return not_modified(ex, &d.digest, etag);
	r = is_head(ex) ? reply_head(200, d.media_type, d.size)
			: reply_bytes(200, d.media_type, &d.bytes);
	add_identity(&r, &d.digest, etag);
	if (d.stale)
		reply_field(&r, "Warning", "110 - \"Response is Stale\"");
	return reply_send(ex, &r);
}

/* ---- blobs ---- */

static enum MHD_Result no_such_range(struct exchange *ex, int64_t size)
{
	cleanup_error dray_error *err = NULL;

	ex->whole = size;
	shelf_refuse(&err, SHELF_RANGE_INVALID, "the blob has no such range");
	return fail(ex, &err);
}

static struct reply blob_reply(struct exchange *ex, int status, struct shelf_blob *b, int64_t off,
			       int64_t len)
{
	if (is_head(ex))
		return reply_head(status, "application/octet-stream", len);
	return reply_blob(status, b, off, len, ex);
}

static enum MHD_Result send_blob(struct exchange *ex, struct shelf_blob *b, const char *etag)
{
	bool fresh = !ex->head.if_range || head_has_etag(ex->head.if_range, etag, false);
	/* A Range means something for GET alone (RFC 9110, 14.2). */
	const char *range = fresh && b->size >= 0 && !is_head(ex) ? ex->head.range : NULL;
	int64_t off = 0, len = b->size, size = b->size;
	enum range_kind kind = head_range(range, size, &off, &len);
	struct reply r;

	if (kind == RANGE_NONE)
		return no_such_range(ex, size);
	r = blob_reply(ex, kind == RANGE_PART ? 206 : 200, b, off, len);
	if (kind == RANGE_PART)
		reply_fieldf(&r, "Content-Range", "bytes %lld-%lld/%lld", (long long)off,
			     (long long)(off + len - 1), (long long)size);
	if (size >= 0)
		reply_field(&r, "Accept-Ranges", "bytes");
	add_identity(&r, &ex->route.ref.digest, etag);
	return reply_send(ex, &r);
}

static enum MHD_Result answer_blob(struct exchange *ex)
{
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	cleanup_error dray_error *err = NULL;
	struct shelf *s = ex->server->shelf;
	const struct digest *d = &ex->route.ref.digest;
	const char *etag = etag_of(ex, d);
	bool known = etag && ex->head.if_none_match &&
		     head_has_etag(ex->head.if_none_match, etag, true);

	if (!etag)
		return MHD_NO;
	if (s->ops->blob(s, ex->route.repo, d, !known && !is_head(ex), &b, &err) < 0)
		return fail(ex, &err);
	return known ? not_modified(ex, d, etag) : send_blob(ex, &b, etag);
}

/* ---- listings ---- */

static struct shelf_part part_of(const struct route *r)
{
	size_t max = r->n < 0 || r->n > SHELF_PAGE_MAX ? SHELF_PAGE_MAX : (size_t)r->n;

	return (struct shelf_part){ .after = r->last, .max = max };
}

/* Where the next page is; @path has what stands before the query. */
static void add_link(struct reply *r, const char *path, const struct shelf_part *part,
		     const char *last, const char *more)
{
	cleanup_buf struct buf query = BUF_INIT(16 * KIB);

	if (buf_printf(&query, NULL, "n=%zu&last=", part->max) < 0 ||
	    url_query_escape(&query, last, NULL) < 0)
		r->failed = true;
	if (more && !r->failed &&
	    (buf_add_str(&query, "&artifactType=", NULL) < 0 ||
	     url_query_escape(&query, more, NULL) < 0))
		r->failed = true;
	reply_fieldf(r, "Link", "<%s?%.*s>; rel=\"next\"", path, (int)query.len,
		     (const char *)query.data);
}

static int write_names(const char *repo, const char *key, const struct shelf_page *p,
		       struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	if (repo)
		jsonw_kstring(&w, "name", repo);
	jsonw_key(&w, key);
	jsonw_array(&w);
	for (size_t i = 0; i < p->n; i++)
		jsonw_string(&w, p->names[i]);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

static enum MHD_Result send_names(struct exchange *ex, const char *key,
				  const struct shelf_part *part, const struct shelf_page *p)
{
	cleanup_buf struct buf text = BUF_INIT(LISTING_MAX);
	cleanup_error dray_error *err = NULL;
	const char *repo = ex->route.repo;
	const char *path = repo ? arena_printf(&ex->arena, "/v2/%s/tags/list", repo)
				: "/v2/_catalog";
	struct reply r;

	if (!path || write_names(repo, key, p, &text, &err) < 0)
		return path ? fail(ex, &err) : MHD_NO;
	r = reply_bytes(200, "application/json; charset=utf-8", &text);
	if (p->more && p->n > 0)
		add_link(&r, path, part, p->names[p->n - 1], NULL);
	return reply_send(ex, &r);
}

static enum MHD_Result answer_names(struct exchange *ex)
{
	cleanup_shelf_page struct shelf_page p = { 0 };
	cleanup_error dray_error *err = NULL;
	struct shelf *s = ex->server->shelf;
	struct shelf_part part = part_of(&ex->route);
	bool tags = ex->route.kind == ROUTE_TAGS;
	int rc = tags ? s->ops->tags(s, ex->route.repo, &part, &p, &err)
		      : s->ops->repositories(s, &part, &p, &err);

	return rc < 0 ? fail(ex, &err) : send_names(ex, tags ? "tags" : "repositories", &part, &p);
}

/* ---- referrers ---- */

static void write_referrer(struct jsonw *w, const struct shelf_referrer *r)
{
	jsonw_object(w);
	jsonw_kstring(w, "mediaType", r->media_type);
	jsonw_kstring(w, "digest", r->digest.text);
	jsonw_kint(w, "size", r->size);
	if (r->artifact_type)
		jsonw_kstring(w, "artifactType", r->artifact_type);
	if (r->annotations.len > 0) {
		jsonw_key(w, "annotations");
		jsonw_raw(w, r->annotations);
	}
	jsonw_end_object(w);
}

static int write_referrers(const struct shelf_referrers *list, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schemaVersion", 2);
	jsonw_kstring(&w, "mediaType", MT_OCI_INDEX);
	jsonw_key(&w, "manifests");
	jsonw_array(&w);
	for (size_t i = 0; i < list->n; i++)
		write_referrer(&w, &list->list[i]);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

static enum MHD_Result send_referrers(struct exchange *ex, const struct shelf_part *part,
				      const struct shelf_referrers *list)
{
	cleanup_buf struct buf text = BUF_INIT(LISTING_MAX);
	cleanup_error dray_error *err = NULL;
	const char *path = arena_printf(&ex->arena, "/v2/%s/referrers/%s", ex->route.repo,
					ex->route.ref.digest.text);
	const char *last = list->last ? list->last
			   : list->n  ? list->list[list->n - 1].digest.text
				      : NULL;
	struct reply r;

	if (!path || write_referrers(list, &text, &err) < 0)
		return path ? fail(ex, &err) : MHD_NO;
	r = reply_bytes(200, MT_OCI_INDEX, &text);
	if (ex->route.artifact_type)
		reply_field(&r, "OCI-Filters-Applied", "artifactType");
	if (list->more && last)
		add_link(&r, path, part, last, ex->route.artifact_type);
	return reply_send(ex, &r);
}

static enum MHD_Result answer_referrers(struct exchange *ex)
{
	cleanup_shelf_referrers struct shelf_referrers list = { 0 };
	cleanup_error dray_error *err = NULL;
	struct shelf *s = ex->server->shelf;
	const struct route *r = &ex->route;
	struct shelf_part part = part_of(r);

	if (s->ops->referrers(s, r->repo, &r->ref.digest, r->artifact_type, &part, &list, &err) < 0)
		return fail(ex, &err);
	return send_referrers(ex, &part, &list);
}

/* ---- the rest ---- */

static enum MHD_Result answer_text(struct exchange *ex, int status, const char *text)
{
	cleanup_buf struct buf b = BUF_INIT(KIB);
	struct reply r;

	if (buf_add_str(&b, text, NULL) < 0)
		return MHD_NO;
	r = reply_bytes(status, "application/json; charset=utf-8", &b);
	return reply_send(ex, &r);
}

static enum MHD_Result answer_health(struct exchange *ex)
{
	cleanup_error dray_error *err = NULL;
	struct shelf *s = ex->server->shelf;

	if (!s->ops->health || s->ops->health(s, &err) == 0)
		return answer_text(ex, 200, "{\"status\":\"ok\"}");
	log_trouble(ex->server, ex, dray_error_message(err));
	return answer_text(ex, 503, "{\"status\":\"failing\"}");
}

/* Its path is none at all where nobody asked for it. */
static int write_metrics(struct exchange *ex, struct buf *ret, dray_error **err)
{
	struct server *s = ex->server;
	struct metrics_now now = {
		.shelf = SHELF_STATE_INIT,
		.connections = server_connections(s),
		.connections_max = s->o.connections,
		.started = s->started,
	};

	if (!s->o.metrics) {
		shelf_refuse(err, SHELF_UNSUPPORTED, "no such route");
		return err_http(err, 404, "UNSUPPORTED");
	}
	if (s->shelf->ops->state(s->shelf, &now.shelf, err) < 0)
		return -1;
	return metrics_write(&s->metrics, &now, ret, err);
}

static enum MHD_Result answer_metrics(struct exchange *ex)
{
	cleanup_buf struct buf text = BUF_INIT(METRICS_MAX);
	cleanup_error dray_error *err = NULL;
	struct reply r;

	if (write_metrics(ex, &text, &err) < 0)
		return fail(ex, &err);
	r = reply_bytes(200, METRICS_TYPE, &text);
	return reply_send(ex, &r);
}

static enum MHD_Result answer_upload(struct exchange *ex)
{
	cleanup_error dray_error *err = NULL;
	struct shelf *s = ex->server->shelf;
	const struct route *r = &ex->route;
	struct reply reply;
	int64_t size = 0;

	if (!s->write || ex->server->o.read_only)
		shelf_refuse(&err, SHELF_BLOB_UPLOAD_UNKNOWN, "no such upload");
	else if (s->write->status(s, r->repo, r->upload, &size, &err) == 0)
		err_clear(&err);
	if (err)
		return fail(ex, &err);
	reply = reply_empty(204);
	reply_fieldf(&reply, "Location", "/v2/%s/blobs/uploads/%s", r->repo, r->upload);
	reply_fieldf(&reply, "Range", "0-%lld", (long long)(size > 0 ? size - 1 : 0));
	reply_field(&reply, "Docker-Upload-UUID", r->upload);
	return reply_send(ex, &reply);
}

enum MHD_Result answer_read(struct exchange *ex)
{
	switch (ex->route.kind) {
	case ROUTE_CATALOG:
	case ROUTE_TAGS:
		return answer_names(ex);
	case ROUTE_MANIFEST:
		return answer_manifest(ex);
	case ROUTE_BLOB:
		return answer_blob(ex);
	case ROUTE_UPLOAD:
		return answer_upload(ex);
	case ROUTE_REFERRERS:
		return answer_referrers(ex);
	case ROUTE_HEALTH:
		return answer_health(ex);
	case ROUTE_METRICS:
		return answer_metrics(ex);
	case ROUTE_TOKEN:
		return answer_token(ex);
	case ROUTE_HOME:
	case ROUTE_REPO:
	case ROUTE_IMAGE:
	case ROUTE_ASSET:
		return answer_web(ex);
	default:
		return answer_text(ex, 200, "{}");
	}
}
