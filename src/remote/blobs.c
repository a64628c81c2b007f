/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      blobs: are they there, bring them, take them, mount them.
 * Relies:   on upload.c and download.c for everything that lasts.
 * Promises: a mount that the registry declines costs nothing but the question.
 */
#include "remote/mirrors.h"

#include "base/limits.h"
#include "base/mem.h"
#include "remote/download.h"
#include "remote/refusal.h"

static int has_blob(struct remote *r, const struct digest *d, int64_t *ret_size, dray_error **err)
{
	struct arena scratch = { 0 };
	cleanup_answer struct answer a = { 0 };
	struct url url;
	struct call call = { .method = "HEAD", .url = &url, .what = "HEAD blob" };
	int rc = -1;

	if (remote_ready(r, err) == 0 &&
	    remote_url(r, &scratch, &url, err, "blobs/%s", d->text) == 0)
		rc = client_retry(&r->client, &call, &a, err);
	if (rc == 0 && a.http.status != 200 && a.http.status != 404)
		rc = client_refused(&r->client, &call, &a, err);
	if (rc == 0 && a.http.status == 200) {
		if (ret_size)
			*ret_size = a.http.length;
		rc = 1;
	}
	arena_clear(&scratch);
	return rc < 0 ? err_ctx(err, "%s", r->name) : rc;
}

int remote_has_blob(struct remote *r, const struct digest *d, int64_t *ret_size, dray_error **err)
{
	for (size_t i = 0; i < r->n_mirrors; i++) {
		struct remote *m = mirror_at(r, i);
		dray_error *why = NULL;
		int rc = m ? has_blob(m, d, ret_size, &why) : 0;

		if (rc > 0)
			return rc;
		if (rc < 0 && mirror_failed(r, m, why, err) < 0)
			return -1;
	}
	return has_blob(r, d, ret_size, err);
}

static struct source *open_here(struct remote *r, const struct descriptor *d, int64_t off,
				dray_error **err)
{
	struct arena scratch = { 0 };
	struct source *s = NULL;
	struct url url;

	if (remote_ready(r, err) == 0 &&
	    remote_url(r, &scratch, &url, err, "blobs/%s", d->digest.text) == 0)
		s = download_open(&r->client, &url, d->size, off, err);
	if (!s)
		err_ctx(err, "%s: blob %s", r->name, d->digest.text);
	arena_clear(&scratch);
	return s;
}

struct source *remote_open_blob_here(struct remote *r, const struct descriptor *d, dray_error **err)
{
	return open_here(r, d, 0, err);
}

struct source *remote_open_blob_at(struct remote *r, const struct descriptor *d, int64_t off,
				   dray_error **err)
{
	for (size_t i = 0; i < r->n_mirrors; i++) {
		struct remote *m = mirror_at(r, i);
		dray_error *why = NULL;
		struct source *s = m ? open_here(m, d, off, &why) : NULL;

		if (s)
			return s;
		if (m && mirror_failed(r, m, why, err) < 0)
			return NULL;
	}
	return open_here(r, d, off, err);
}

struct source *remote_open_blob(struct remote *r, const struct descriptor *d, dray_error **err)
{
	return remote_open_blob_at(r, d, 0, err);
}

int64_t remote_blob_size(const struct source *s)
{
	return download_size(s);
}

/* ---- mount ---- */

/* 202: an ordinary session was opened; nobody will use it. */
static void drop_session(struct remote *r, const struct answer *from)
{
	struct arena scratch = { 0 };
	cleanup_answer struct answer a = { 0 };
	struct url there;
	bool credentials = false;

	if (from->http.location &&
	    url_resolve(&from->url, from->http.location, &scratch, &there, NULL) == 0 &&
	    url_allowed(URL_LOCATION, &r->base, &there, &credentials, NULL) == 0) {
		struct call call = {
			.method = "DELETE",
			.url = &there,
			.what = "DELETE upload",
			.anonymous = !credentials,
			.farewell = true,
		};

		if (client_call(&r->client, &call, &a, NULL) < 0)
			http_log(r->client.http,
				 "a session that a declined mount opened stays behind");
	}
	arena_clear(&scratch);
}

static int judge_mount(struct remote *r, const struct call *call, const struct answer *a,
		       dray_error **err)
{
	int status = a->http.status;

	if (status == 201)
		return 1;
	if (status == 202) {
		drop_session(r, a);
		return 0;
	}
	/* Registries say no in many ways: missing scope, unknown project, no such feature. */
	if (status >= 400 && status < 500 && status != 408 && status != 429)
		return 0;
	return client_refused(&r->client, call, a, err);
}

static int mount_url(struct remote *r, const struct digest *d, const char *from, struct arena *a,
		     struct url *ret, dray_error **err)
{
	cleanup_buf struct buf query = BUF_INIT(4096);
	cleanup_free char *text = NULL;

	if (!reference_path_valid(span_str(from)))
		return err_set(err, DRAY_ERR_USAGE, "mount: not a repository path");
	if (buf_add_str(&query, "mount=", err) < 0 || url_query_escape(&query, d->text, err) < 0 ||
	    buf_add_str(&query, "&from=", err) < 0 || url_query_escape(&query, from, err) < 0)
		return -1;
	text = buf_steal_str(&query, err);
	return text ? remote_url(r, a, ret, err, "blobs/uploads/?%s", text) : -1;
}

int remote_mount(struct remote *r, const struct digest *d, const char *from, dray_error **err)
{
	struct arena scratch = { 0 };
	cleanup_answer struct answer a = { 0 };
	struct url url;
	struct call call = {
		.method = "POST",
		.url = &url,
		.what = "mount blob",
		.also_pull = from,
	};
	dray_error *why = NULL;
	int rc = -1;

	if (remote_ready(r, &why) == 0 && mount_url(r, d, from, &scratch, &url, &why) == 0)
		rc = client_retry(&r->client, &call, &a, &why);
	if (rc == 0) {
		rc = judge_mount(r, &call, &a, &why);
	} else if (dray_error_kind(why) == DRAY_ERR_DENIED) {
		/* Some token servers refuse the whole question when one scope in it is not ours. */
		dray_error_free(steal_pointer(&why));
		rc = 0;
	}
	arena_clear(&scratch);
	if (rc < 0 && err)
		*err = why;
	else
		dray_error_free(why);
	return rc < 0 ? err_ctx(err, "%s", r->name) : rc;
}

/* ---- upload ---- */

static int io_call(void *arg, const struct call *call, struct answer *a, dray_error **err)
{
	struct remote *r = arg;

	return client_call(&r->client, call, a, err);
}

static int io_pause(void *arg, int attempt, const struct http_response *res, dray_error **err)
{
	(void)arg;
	return retry_pause(attempt, res, err);
}

static int io_refused(void *arg, const struct call *call, const struct answer *a, dray_error **err)
{
	struct remote *r = arg;

	return client_refused(&r->client, call, a, err);
}

int remote_put_blob(struct remote *r, const struct blob_put *put, struct source *data,
		    struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	struct upload_io io = { io_call, io_pause, io_refused, r };
	struct upload_target to = { .retries = r->o.retries };
	struct arena scratch = { 0 };
	int rc = -1;

	if (!data)
		return -1;
	if (remote_ready(r, err) < 0 || remote_url(r, &scratch, &to.blobs, err, "blobs/") < 0)
		source_free(data);
	else
		rc = upload_blob(&io, &to, put, data, ret_digest, ret_size, err);
	arena_clear(&scratch);
	return rc < 0 ? err_ctx(err, "%s", r->name) : 0;
}
