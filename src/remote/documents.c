/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      manifests and small blobs: what is kept in memory.
 * Relies:   on client_retry() for manners.
 * Promises: what was asked for by digest has that digest (M-01); a header that says otherwise is an error.
 */
#include "remote/mirrors.h"

#include "base/limits.h"
#include "base/mem.h"
#include "remote/referrers.h"

#define ACCEPT_MANIFESTS                                                              \
	MT_OCI_MANIFEST ", " MT_DOCKER_MANIFEST ", " MT_OCI_INDEX ", " MT_DOCKER_LIST \
			", " MT_DOCKER_SCHEMA1_SIGNED ";q=0.1, " MT_DOCKER_SCHEMA1 ";q=0.1"

/* A tag or a digest, checked: it becomes part of a request (N-13, M-05). */
struct name {
	const char *text;
	struct digest digest; /* unset for a tag */
	char what[DIGEST_TEXT + 64];
};

static int name_parse(const char *method, const char *text, struct name *ret, dray_error **err)
{
	*ret = (struct name){ .text = text };
	if (strchr(text, ':')) {
		if (digest_parse(span_str(text), &ret->digest, err) < 0)
			return -1;
	} else if (!reference_tag_valid(span_str(text))) {
		return err_set(err, DRAY_ERR_USAGE, "not a tag");
	}
	snprintf(ret->what, sizeof(ret->what), "%s manifest %s", method, text);
	return 0;
}

static int digest_with(enum digest_algo algo, struct span bytes, struct digest *ret,
		       dray_error **err)
{
	cleanup_hash struct hash h = { 0 };

	if (hash_init(&h, algo, err) < 0)
		return -1;
	hash_update(&h, bytes);
	return hash_finish(&h, ret, err);
}

static int check_digest(const struct digest *expect, struct span bytes, const char *what,
			dray_error **err)
{
	struct digest got;

	if (digest_with(expect->algo, bytes, &got, err) < 0)
		return -1;
	return digest_expect(expect, &got, what, err);
}

/* "type; charset=x" is "type". */
static int given_type(const char *header, struct arena *a, const char **ret, dray_error **err)
{
	*ret = NULL;
	if (!header)
		return 0;
	*ret = arena_strndup(a, header, strcspn(header, "; \t"));
	return *ret ? 0 : err_nomem(err);
}

/* The header is a claim about the bytes that we hold. */
static int check_header(const struct answer *a, dray_error **err)
{
	struct digest said;

	if (!a->http.digest)
		return 0;
	if (digest_parse(span_str(a->http.digest), &said, err) < 0)
		return err_ctx(err, "Docker-Content-Digest");
	if (said.algo == DIGEST_OTHER)
		return 0;
	return check_digest(&said, span_buf(&a->body), "Docker-Content-Digest", err);
}

/* Signed schema 1 is digested without its signatures: only its parser knows that digest. */
static int take_schema1(struct answer *a, const struct name *n, const char *type,
			struct manifest **ret, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;
	struct digest said;

	if (manifest_parse(&a->body, type, &m, err) < 0)
		return -1;
	if (digest_set(&n->digest) &&
	    digest_expect(&n->digest, &m->digest, "manifest digest", err) < 0)
		return -1;
	if (a->http.digest && (digest_parse(span_str(a->http.digest), &said, err) < 0 ||
			       digest_expect(&said, &m->digest, "Docker-Content-Digest", err) < 0))
		return -1;
	*ret = steal_pointer(&m);
	return 0;
}

static int take_manifest(struct answer *a, const struct name *n, struct manifest **ret,
			 dray_error **err)
{
	const char *type;

	if (given_type(a->http.content_type, &a->arena, &type, err) < 0)
		return -1;
	if (type && mediatype_is_schema1(type))
		return take_schema1(a, n, type, ret, err);
	if (digest_set(&n->digest) &&
	    check_digest(&n->digest, span_buf(&a->body), "manifest digest", err) < 0)
		return -1;
	if (check_header(a, err) < 0)
		return -1;
	return manifest_parse(&a->body, type, ret, err);
}

static int call_manifest(struct remote *r, struct call *call, const struct name *n,
			 struct answer *a, dray_error **err)
{
	struct arena scratch = { 0 };
	struct url url;
	int rc = -1;

	if (remote_ready(r, err) == 0 &&
	    remote_url(r, &scratch, &url, err, "manifests/%s", n->text) == 0) {
		call->url = &url;
		call->what = n->what;
		call->max = LIMIT_MANIFEST;
		rc = client_retry(&r->client, call, a, err);
		a->url = (struct url){ 0 }; /* its strings may be ours */
	}
	arena_clear(&scratch);
	return rc;
}

static int get_manifest(struct remote *r, const char *tag_or_digest, struct manifest **ret,
			dray_error **err)
{
	struct call call = { .method = "GET", .accept = ACCEPT_MANIFESTS };
	cleanup_answer struct answer a = { 0 };
	struct name n;

	if (name_parse("GET", tag_or_digest, &n, err) < 0 ||
	    call_manifest(r, &call, &n, &a, err) < 0)
		return err_ctx(err, "%s", r->name);
	if (a.http.status != 200)
		client_refused(&r->client, &call, &a, err);
	else if (take_manifest(&a, &n, ret, err) == 0)
		return 0;
	else
		err_ctx(err, "%s", n.what);
	return err_ctx(err, "%s", r->name);
}

int remote_get_manifest(struct remote *r, const char *tag_or_digest, struct manifest **ret,
			dray_error **err)
{
	for (size_t i = 0; i < r->n_mirrors; i++) {
		struct remote *m = mirror_at(r, i);
		dray_error *why = NULL;

		if (!m)
			continue;
		if (get_manifest(m, tag_or_digest, ret, &why) == 0)
			return 0;
		if (mirror_failed(r, m, why, err) < 0)
			return -1;
	}
	return get_manifest(r, tag_or_digest, ret, err);
}

static int head_manifest(struct remote *r, const char *tag_or_digest, struct digest *ret,
			 dray_error **err)
{
	struct call call = { .method = "HEAD", .accept = ACCEPT_MANIFESTS };
	cleanup_answer struct answer a = { 0 };
	struct name n;

	*ret = (struct digest){ 0 };
	if (name_parse("HEAD", tag_or_digest, &n, err) < 0 ||
	    call_manifest(r, &call, &n, &a, err) < 0)
		return err_ctx(err, "%s", r->name);
	if (a.http.status == 404)
		return 0;
	if (a.http.status != 200) {
		client_refused(&r->client, &call, &a, err);
		return err_ctx(err, "%s", r->name);
	}
	if (a.http.digest && digest_parse(span_str(a.http.digest), ret, NULL) < 0)
		*ret = (struct digest){ 0 };
	return 1;
}

int remote_head_manifest(struct remote *r, const char *tag_or_digest, struct digest *ret,
			 dray_error **err)
{
	for (size_t i = 0; i < r->n_mirrors; i++) {
		struct remote *m = mirror_at(r, i);
		dray_error *why = NULL;
		int rc = m ? head_manifest(m, tag_or_digest, ret, &why) : 0;

		if (rc > 0)
			return rc;
		if (rc < 0 && mirror_failed(r, m, why, err) < 0)
			return -1;
	}
	return head_manifest(r, tag_or_digest, ret, err);
}

/* What the registry says it stored has to be what we sent. */
static int check_stored(const struct manifest *m, const struct answer *a, dray_error **err)
{
	if (a->http.digest)
		return check_header(&(struct answer){ .http = a->http, .body = m->raw }, err);
	if (a->http.status != 201)
		return err_set(err, DRAY_ERR_NETWORK, "HTTP %d does not say that it is stored",
			       a->http.status);
	return 0;
}

int remote_put_manifest(struct remote *r, const struct manifest *m, const char *tag_or_digest,
			dray_error **err)
{
	struct call call = {
		.method = "PUT",
		.content_type = m->media_type,
		.bytes = span_buf(&m->raw),
	};
	cleanup_answer struct answer a = { 0 };
	struct name n;

	/* Sent again when the answer was lost: the same bytes under the same name. */
	if (name_parse("PUT", tag_or_digest, &n, err) < 0 ||
	    call_manifest(r, &call, &n, &a, err) < 0)
		return err_ctx(err, "%s", r->name);
	if (a.http.status < 200 || a.http.status > 204)
		client_refused(&r->client, &call, &a, err);
	else if (check_stored(m, &a, err) < 0)
		err_ctx(err, "%s", n.what);
	else if (!digest_set(&m->subject.digest) || a.http.subject ||
		 remote_announce(r, m, err) == 0)
		return 0;
	return err_ctx(err, "%s", r->name);
}

/* 2.x of distribution knows no DELETE by tag and says that it is no digest. */
static bool deletes_no_tags(const struct answer *a)
{
	return a->http.status == 400 || a->http.status == 405 || a->http.status == 501;
}

static int judge_delete(struct remote *r, const struct call *call, const struct answer *a,
			bool by_tag, dray_error **err)
{
	if (a->http.status >= 200 && a->http.status <= 204)
		return 1;
	if (by_tag && deletes_no_tags(a))
		return 0;
	client_refused(&r->client, call, a, err);
	if (a->http.status != 405)
		return -1;
	err_rekind(err, DRAY_ERR_UNSUPPORTED);
	return err_hint(err, "deleting is a setting of the registry; of distribution: "
			     "REGISTRY_STORAGE_DELETE_ENABLED=true");
}

int remote_delete_manifest(struct remote *r, const char *tag_or_digest, dray_error **err)
{
	struct call call = { .method = "DELETE" };
	cleanup_answer struct answer a = { 0 };
	struct name n;
	int rc = -1;

	if (name_parse("DELETE", tag_or_digest, &n, err) == 0 &&
	    call_manifest(r, &call, &n, &a, err) == 0)
		rc = judge_delete(r, &call, &a, !digest_set(&n.digest), err);
	return rc < 0 ? err_ctx(err, "%s", r->name) : rc;
}

static int get_blob(struct remote *r, const struct descriptor *d, size_t max, struct buf *ret,
		    dray_error **err)
{
	cleanup_source struct source *s = NULL;

	if (d->size > (int64_t)max)
		return err_set(err, DRAY_ERR_LIMIT, "%s is %lld bytes, over the limit of %zu",
			       d->digest.text, (long long)d->size, max);
	s = remote_open_blob_here(r, d, err);
	s = source_verified(s, &d->digest, d->size, "blob digest", err);
	*ret = BUF_INIT(max);
	if (s && source_slurp(s, ret, err) == 0)
		return 0;
	buf_clear(ret);
	return err_ctx(err, "blob %s", d->digest.text);
}

/* One of a mirror that lies is asked for again elsewhere. */
int remote_get_blob(struct remote *r, const struct descriptor *d, size_t max, struct buf *ret,
		    dray_error **err)
{
	for (size_t i = 0; i < r->n_mirrors; i++) {
		struct remote *m = mirror_at(r, i);
		dray_error *why = NULL;

		if (!m)
			continue;
		if (get_blob(m, d, max, ret, &why) == 0)
			return 0;
		if (mirror_failed(r, m, why, err) < 0)
			return -1;
	}
	return get_blob(r, d, max, ret, err);
}
