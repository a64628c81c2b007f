/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "tags", "catalog", "manifest", "blob" and "delete": a registry without images in between.
 * Relies on: dray/registry.h.
 * Promises: names of a registry are escaped, its documents and blobs are given byte for byte, and no blob
 * goes to a terminal.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/text.h"
#include "cli/cli.h"

DEFINE_CLEANUP(dray_names, cleanup_names_fn, dray_names_free)
#define cleanup_names CLEANUP(cleanup_names_fn)
DEFINE_CLEANUP(dray_document, cleanup_document_fn, dray_document_free)
#define cleanup_document CLEANUP(cleanup_document_fn)

/* {"schema":1, @p key: whose, @p list: [names]} */
static int names_json(struct page *p, const dray_names *n, const char *key, const char *list,
		      dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kstring(&w, key, dray_names_of(n));
	jsonw_key(&w, list);
	jsonw_array(&w);
	for (size_t i = 0; i < dray_names_count(n); i++)
		jsonw_string(&w, dray_names_get(n, i));
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return STATUS_OK;
}

static int names(struct session *s, const dray_names *n, const char *key, const char *list,
		 dray_error **err)
{
	if (s->global.json)
		return names_json(&s->page, n, key, list, err);
	for (size_t i = 0; i < dray_names_count(n); i++) {
		page_safe(&s->page, dray_names_get(n, i));
		page_put(&s->page, "\n");
	}
	return STATUS_OK;
}

/* ---- tags, catalog ---- */

static int run_tags(struct session *s, dray_error **err)
{
	cleanup_names dray_names *n = NULL;

	if (!session_context(s, err) || dray_tags(s->ctx, s->args[0], &n, err) < 0)
		return -1;
	return names(s, n, "repository", "tags", err);
}

const struct command cmd_tags = {
	.name = "tags",
	.group = GROUP_REGISTRY,
	.summary = "list the tags of a repository",
	.args = "REPO",
	.min_args = 1,
	.max_args = 1,
	.notes = "Prints the tags of a repository, one a line and sorted, for "
		 "example: dray tags registry.example.com/app. All pages of the listing are read.",
	.features = FEATURE_JSON | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.run = run_tags,
};

static int run_catalog(struct session *s, dray_error **err)
{
	cleanup_names dray_names *n = NULL;

	if (!session_context(s, err))
		return -1;
	if (dray_catalog(s->ctx, s->args[0], &n, err) < 0)
		return dray_error_kind(*err) == DRAY_ERR_NOT_FOUND
			       ? err_hint(err, "many registries have no catalog")
			       : -1;
	return names(s, n, "registry", "repositories", err);
}

const struct command cmd_catalog = {
	.name = "catalog",
	.group = GROUP_REGISTRY,
	.summary = "list the repositories of a registry",
	.args = "HOST",
	.min_args = 1,
	.max_args = 1,
	.notes = "Prints the repositories of a registry, one a line, without the host. Docker Hub "
		 "and many other public registries do not tell; some tell administrators only.",
	.features = FEATURE_JSON | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.run = run_catalog,
};

/* ---- manifest ---- */

struct manifest_options {
	const char *put, *media_type;
};

static const struct option manifest_table[] = {
	{ "put", 0, OPT_STRING, offsetof(struct manifest_options, put), "FILE",
	  "store the bytes of FILE (- is standard input) under REF instead of printing what is "
	  "there",
	  .complete = COMPLETE_FILE },
	{ "media-type", 0, OPT_STRING, offsetof(struct manifest_options, media_type), "TYPE",
	  .help = "of what is put (default: as the document says or shows)" },
	{ 0 },
};

static int document_json(struct page *p, const struct dray_document_info *d, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kstring(&w, "reference", d->reference);
	jsonw_kstring(&w, "digest", d->digest);
	jsonw_kstring(&w, "media_type", d->media_type);
	jsonw_kint(&w, "size", (int64_t)d->size);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return STATUS_OK;
}

static int slurp_stdin(struct buf *ret, dray_error **err)
{
	for (;;) {
		int64_t n;

		if (buf_reserve(ret, 1, err) < 0)
			return -1;
		n = io_read(STDIN_FILENO, ret->data + ret->len, ret->cap - ret->len, err);
		if (n <= 0)
			return (int)n;
		ret->len += (size_t)n;
	}
}

static int put_manifest(struct session *s, const struct manifest_options *o, dray_error **err)
{
	cleanup_buf struct buf bytes = BUF_INIT(LIMIT_MANIFEST);
	cleanup_document dray_document *d = NULL;
	const struct dray_document_info *info;
	int rc;

	if (strcmp(o->put, "-") == 0)
		rc = slurp_stdin(&bytes, err);
	else
		rc = io_read_file(AT_FDCWD, o->put, LIMIT_MANIFEST, &bytes, err);
	if (rc < 0 || dray_manifest_put(s->ctx, s->args[0], bytes.data, bytes.len, o->media_type,
					&d, err) < 0)
		return -1;
	info = dray_document_get(d);
	if (s->global.json)
		return document_json(&s->page, info, err);
	page_safe(&s->page, info->reference);
	page_put(&s->page, "\n");
	return STATUS_OK;
}

static int run_manifest(struct session *s, dray_error **err)
{
	const struct manifest_options *o = s->options;
	cleanup_document dray_document *d = NULL;
	const struct dray_document_info *info;

	if (o->media_type && !o->put)
		return err_set(err, DRAY_ERR_USAGE, "--media-type belongs to --put");
	if (!session_context(s, err))
		return -1;
	if (o->put)
		return put_manifest(s, o, err);
	if (dray_manifest(s->ctx, s->args[0], &d, err) < 0)
		return -1;
	info = dray_document_get(d);
	if (s->global.json)
		return document_json(&s->page, info, err);
	page_bytes(&s->page, span_of(info->bytes, info->size));
	s->page.verbatim = true;
	return STATUS_OK;
}

const struct command cmd_manifest = {
	.name = "manifest",
	.group = GROUP_REGISTRY,
	.summary = "print or store a manifest or index, byte for byte",
	.args = "REF",
	.min_args = 1,
	.max_args = 1,
	.notes = "Prints the manifest or index that a tag or digest names, so that the SHA-256 of "
		 "what is printed is its digest. No platform is chosen: that is what inspect --raw "
		 "does. --put stores one; the blobs and manifests that it names must be there.",
	.features = FEATURE_JSON | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.options = manifest_table,
	.options_size = sizeof(struct manifest_options),
	.run = run_manifest,
};

/* ---- blob ---- */

static int blob_json(struct page *p, const char *digest, int64_t size, const char *output,
		     dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kstring(&w, "digest", digest);
	jsonw_kint(&w, "size", size);
	jsonw_kstring(&w, "output", output);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return STATUS_OK;
}

static int check_blob_output(const struct session *s, bool to_stdout, dray_error **err)
{
	if (!to_stdout)
		return 0;
	if (s->global.json)
		return err_set(err, DRAY_ERR_USAGE,
			       "--json and the blob cannot both be on standard output");
	if (!isatty(STDOUT_FILENO))
		return 0;
	err_set(err, DRAY_ERR_USAGE, "a blob is not written to a terminal");
	return err_hint(err, "name a file with --output, or pipe it somewhere");
}

static int run_blob(struct session *s, dray_error **err)
{
	const char *output = s->global.output;
	bool to_stdout = !output || strcmp(output, "-") == 0;
	struct dray_blob_options o = DRAY_BLOB_OPTIONS_INIT;
	int64_t size;

	o.output = output;
	o.no_clobber = s->global.no_clobber;
	if (check_blob_output(s, to_stdout, err) < 0 || !session_context(s, err) ||
	    dray_blob(s->ctx, s->args[0], s->args[1], &o, &size, err) < 0)
		return -1;
	/* The file is the blob's; what there is to say goes to standard output. */
	s->global.output = NULL;
	return s->global.json ? blob_json(&s->page, s->args[1], size, output, err) : STATUS_OK;
}

const struct command cmd_blob = {
	.name = "blob",
	.group = GROUP_REGISTRY,
	.summary = "fetch one blob and check its digest",
	.args = "REPO DIGEST",
	.min_args = 2,
	.max_args = 2,
	.notes = "Writes one blob's bytes to a file or, where that is no terminal, to standard "
		 "output. With --output the file appears only when the digest is right; on "
		 "standard output the exit status tells.",
	.features = FEATURE_JSON | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.run = run_blob,
};

/* ---- delete ---- */

struct delete_options {
	bool manifest;
};

static const struct option delete_table[] = {
	{ "manifest", 0, OPT_FLAG, offsetof(struct delete_options, manifest),
	  .help = "delete the manifest that the tag names, and with it all tags that name it" },
	{ 0 },
};

static int run_delete(struct session *s, dray_error **err)
{
	const struct delete_options *f = s->options;
	struct dray_delete_options o = DRAY_DELETE_OPTIONS_INIT;
	cleanup_names dray_names *n = NULL;

	o.manifest = f->manifest;
	if (!session_context(s, err) || dray_delete(s->ctx, s->args[0], &o, &n, err) < 0)
		return -1;
	return names(s, n, "repository", "deleted", err);
}

const struct command cmd_delete = {
	.name = "delete",
	.group = GROUP_REGISTRY,
	.summary = "delete a tag or a manifest",
	.args = "REF",
	.min_args = 1,
	.max_args = 1,
	.notes = "Deletes the tag HOST/NAME:TAG, or the manifest HOST/NAME@DIGEST with all its "
		 "tags. Where the registry cannot delete a tag alone, its manifest is deleted, but "
		 "only when no other tag names it; --manifest insists. Prints what is gone. Blobs "
		 "go when the registry collects its garbage.",
	.features = FEATURE_JSON,
	.options = delete_table,
	.options_size = sizeof(struct delete_options),
	.run = run_delete,
};
