/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      tags, catalog, manifest, blob and delete.
 * Relies:   on remote/ for every conversation.
 * Promises: bytes are checked before they count; a tag that nobody named is not deleted.
 */
#include <dray/registry.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "flow/sink.h"
#include "ops/names.h"

/* ---- lists ---- */

static int open_repository(dray_context *ctx, const struct reference *ref,
			   enum remote_purpose purpose, struct remote **ret, dray_error **err)
{
	return remote_open_for(ref, purpose, &ctx->remote, ret, err);
}

int dray_tags(dray_context *ctx, const char *repository, dray_names **ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_remote struct remote *r = NULL;
	cleanup_names dray_names *n = NULL;

	if (registry_repository(repository, &ref, err) < 0 ||
	    open_repository(ctx, &ref, REMOTE_PULL, &r, err) < 0)
		return -1;
	n = names_new(remote_name(r), err);
	if (!n || remote_tags(r, &n->names, err) < 0)
		return -1;
	*ret = steal_pointer(&n);
	return 0;
}

int dray_catalog(dray_context *ctx, const char *host, dray_names **ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_remote struct remote *r = NULL;
	cleanup_names dray_names *n = NULL;

	if (registry_host(host, &ref, err) < 0 ||
	    open_repository(ctx, &ref, REMOTE_CATALOG, &r, err) < 0)
		return -1;
	n = names_new(remote_name(r), err);
	if (!n || remote_catalog(r, &n->names, err) < 0)
		return -1;
	*ret = steal_pointer(&n);
	return 0;
}

/* ---- documents ---- */

struct dray_document {
	struct dray_document_info info;
	struct manifest *manifest;
	char *reference;
};

void dray_document_free(dray_document *d)
{
	if (!d)
		return;
	manifest_free(d->manifest);
	mem_free(d->reference);
	mem_free(d);
}

const struct dray_document_info *dray_document_get(const dray_document *d)
{
	return &d->info;
}

/* Takes @p m over. */
static dray_document *make_document(struct remote *r, struct manifest *m, dray_error **err)
{
	cleanup_manifest struct manifest *own = m;
	dray_document *d = mem_zalloc(sizeof(*d));

	if (d)
		d->reference = mem_printf("%s@%s", remote_name(r), m->digest.text);
	if (!d || !d->reference) {
		dray_document_free(d);
		err_nomem(err);
		return NULL;
	}
	d->manifest = steal_pointer(&own);
	d->info = (struct dray_document_info){
		.bytes = m->raw.data,
		.size = m->raw.len,
		.digest = m->digest.text,
		.media_type = m->media_type,
		.reference = d->reference,
	};
	return d;
}

/* What of @p ref a registry is asked for. */
static const char *lookup_name(const struct reference *ref)
{
	return digest_set(&ref->digest) ? ref->digest.text : ref->tag;
}

int dray_manifest(dray_context *ctx, const char *ref, dray_document **ret, dray_error **err)
{
	cleanup_reference struct reference to = { 0 };
	cleanup_remote struct remote *r = NULL;
	struct manifest *m = NULL;

	if (registry_reference(ref, &to, err) < 0 || reference_default_tag(&to, err) < 0 ||
	    open_repository(ctx, &to, REMOTE_PULL, &r, err) < 0 ||
	    remote_get_manifest(r, lookup_name(&to), &m, err) < 0)
		return -1;
	*ret = make_document(r, m, err);
	return *ret ? 0 : -1;
}

static int parse_document(const void *bytes, size_t size, const char *media_type,
			  const struct digest *expect, struct manifest **ret, dray_error **err)
{
	struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	int rc = buf_add(&raw, span_of(bytes, size), err);

	if (rc == 0)
		rc = manifest_parse(&raw, media_type, ret, err);
	buf_clear(&raw);
	if (rc < 0)
		return -1;
	if ((*ret)->kind == MANIFEST_SCHEMA1)
		rc = err_set(err, DRAY_ERR_UNSUPPORTED, "manifests of schema 1 are not written");
	else if (digest_set(expect))
		rc = digest_expect(expect, &(*ret)->digest, "manifest digest", err);
	if (rc == 0)
		return 0;
	manifest_free(*ret);
	return -1;
}

int dray_manifest_put(dray_context *ctx, const char *ref, const void *bytes, size_t size,
		      const char *media_type, dray_document **ret, dray_error **err)
{
	cleanup_reference struct reference to = { 0 };
	cleanup_remote struct remote *r = NULL;
	struct manifest *m = NULL;

	if (registry_reference(ref, &to, err) < 0 || reference_default_tag(&to, err) < 0 ||
	    parse_document(bytes, size, media_type, &to.digest, &m, err) < 0)
		return -1;
	if (open_repository(ctx, &to, REMOTE_PUSH, &r, err) < 0 ||
	    remote_put_manifest(r, m, lookup_name(&to), err) < 0) {
		manifest_free(m);
		return -1;
	}
	*ret = make_document(r, m, err);
	return *ret ? 0 : -1;
}

/* ---- blobs ---- */

static struct sink *open_output(const struct dray_blob_options *o, dray_error **err)
{
	if (!o->output || strcmp(o->output, "-") == 0)
		return sink_to_fd(STDOUT_FILENO, false, err);
	return sink_to_file(AT_FDCWD, o->output, o->no_clobber, err);
}

int dray_blob(dray_context *ctx, const char *ref, const char *digest,
	      const struct dray_blob_options *o, int64_t *ret_size, dray_error **err)
{
	struct dray_blob_options own = DRAY_BLOB_OPTIONS_INIT;
	cleanup_reference struct reference from = { 0 };
	cleanup_remote struct remote *r = NULL;
	cleanup_source struct source *s = NULL;
	cleanup_sink struct sink *k = NULL;
	struct descriptor d = { .size = -1 };
	int64_t size;

	if (registry_reference(ref, &from, err) < 0)
		return -1;
	if (digest_parse(span_str(digest), &d.digest, err) < 0)
		return err_rekind(err, DRAY_ERR_USAGE);
	if (open_repository(ctx, &from, REMOTE_PULL, &r, err) < 0)
		return -1;
	s = remote_open_blob(r, &d, err);
	s = source_verified(s, &d.digest, -1, "blob digest", err);
	k = s ? open_output(options_take(&own, sizeof(own), o), err) : NULL;
	size = k ? pump(s, k, err) : -1;
	if (size < 0 || sink_finish(k, err) < 0)
		return err_ctx(err, "blob %s", d.digest.text);
	if (ret_size)
		*ret_size = size;
	return 0;
}
