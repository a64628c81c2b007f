/* SPDX-License-Identifier: Apache-2.0
 *
 * What the user wishes of a copy, and the destinations it may have.
 * Relies on codec/ to judge encodings and on remote/ and store/ for destinations.
 * Promises that a malformed wish is told before anything is opened.
 */
#include "ops/copy_priv.h"

#include "base/mem.h"
#include "remote/engine.h"

/* ---- wishes ---- */

static int parse_encoding(const char *text, enum encoding *ret, dray_error **err)
{
	static const struct {
		const char *name;
		enum encoding encoding;
	} known[] = {
		{ "gzip", ENCODING_GZIP },
		{ "gzip-single", ENCODING_GZIP_SINGLE },
		{ "zstd", ENCODING_ZSTD },
		{ "none", ENCODING_NONE },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(text, known[i].name) == 0) {
			*ret = known[i].encoding;
			return 0;
		}
	return err_set(err, DRAY_ERR_USAGE,
		       "--compression: expected gzip, gzip-single, zstd or none, got %.32s", text);
}

static int parse_format(const char *text, bool *ret_docker, dray_error **err)
{
	*ret_docker = strcmp(text, "docker") == 0;
	if (!*ret_docker && strcmp(text, "oci") != 0)
		return err_set(err, DRAY_ERR_USAGE, "--format: expected docker or oci, got %.32s",
			       text);
	return 0;
}

static int parse_holes(const char *text, struct wishes *ret, dray_error **err)
{
	if (strcmp(text, "drop") == 0)
		ret->holes = HOLES_DROP;
	else if (strcmp(text, "keep") == 0)
		ret->holes = HOLES_KEEP;
	else if (strcmp(text, "fail") == 0)
		ret->holes = HOLES_FAIL;
	else
		return err_set(err, DRAY_ERR_USAGE,
			       "--holes: expected drop, keep or fail, got %.32s", text);
	return 0;
}

/* The readers that it is for know uncompressed layers, and archives that are made at once. */
static int wish_legacy(struct wishes *w, dray_error **err)
{
	if (w->compression_asked && w->encode.encoding != ENCODING_NONE)
		return err_set(err, DRAY_ERR_USAGE,
			       "--legacy and --compression %s: what it is for reads plain layers",
			       w->o->compression);
	if (w->format_asked && !w->docker)
		return err_set(err, DRAY_ERR_USAGE,
			       "--legacy and --format oci: what it is for reads no manifests");
	if (w->o->append)
		return err_set(err, DRAY_ERR_USAGE, "--legacy and --append: one of both");
	w->compression_asked = true;
	w->encode.encoding = ENCODING_NONE;
	return 0;
}

int wishes_parse(const struct dray_copy_options *o, struct wishes *ret, dray_error **err)
{
	cleanup_buf struct buf name = BUF_INIT(sizeof(ret->encoder));

	*ret = (struct wishes){
		.o = o,
		.compression_asked = o->compression != NULL,
		.encode = { ENCODING_GZIP, o->level },
		.format_asked = o->format != NULL,
	};
	if (o->compression && parse_encoding(o->compression, &ret->encode.encoding, err) < 0)
		return -1;
	if (o->format && parse_format(o->format, &ret->docker, err) < 0)
		return -1;
	if (o->holes && parse_holes(o->holes, ret, err) < 0)
		return -1;
	if (o->legacy && wish_legacy(ret, err) < 0)
		return -1;
	if (encode_params_check(&ret->encode, err) < 0 ||
	    encode_params_text(&ret->encode, &name, err) < 0)
		return -1;
	snprintf(ret->encoder, sizeof(ret->encoder), "%.*s", (int)name.len,
		 (const char *)name.data);
	return 0;
}

/* ---- targets ---- */

int target_open_registry(dray_context *ctx, const struct reference *ref, struct target *ret,
			 dray_error **err)
{
	*ret = (struct target){ .pinned = ref->digest };
	ret->host = mem_strdup(ref->domain);
	ret->repository = mem_printf("%s/%s", ref->domain, ref->path);
	if (!ret->host || !ret->repository) {
		err_nomem(err);
		goto fail;
	}
	if (remote_open(ref, true, &ctx->remote, &ret->remote, err) < 0)
		goto fail;
	ret->dest = remote_dest(ret->remote, err);
	if (ret->dest)
		return 0;
fail:
	target_clear(ret);
	return -1;
}

static int open_layout(dray_context *ctx, const struct place *p, const struct dray_copy_options *o,
		       struct target *ret, dray_error **err)
{
	(void)ctx;
	ret->dest = dest_oci_dir(p->path, err);
	if (!ret->dest)
		return -1;
	ret->dest->no_clobber = o->no_clobber;
	return 0;
}

static int open_dir(dray_context *ctx, const struct place *p, const struct dray_copy_options *o,
		    struct target *ret, dray_error **err)
{
	(void)ctx;
	ret->takes_plain = true;
	ret->dest = dest_flat_dir(p->path, o->no_clobber, err);
	return ret->dest ? 0 : -1;
}

/* Images are added to an archive that is there. */
static int open_append(const struct place *p, enum archive_kind kind,
		       const struct dray_copy_options *o, struct target *ret, dray_error **err)
{
	if (strcmp(p->path, "-") == 0)
		return err_set(err, DRAY_ERR_USAGE, "--append needs an archive in a file");
	ret->dest = dest_append_tar(p->path, kind, err);
	if (!ret->dest) {
		/* This one was named to be found. */
		if (err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND)
			ret->absent = true;
		return -1;
	}
	ret->dest->no_clobber = o->no_clobber;
	return 0;
}

static int open_oci_archive(dray_context *ctx, const struct place *p,
			    const struct dray_copy_options *o, struct target *ret, dray_error **err)
{
	ret->archive = true;
	if (o->append)
		return open_append(p, ARCHIVE_OCI, o, ret, err);
	ret->dest = dest_oci_tar(p->path, ctx->tmpdir, o->no_clobber, err);
	return ret->dest ? 0 : -1;
}

static int open_archive(dray_context *ctx, const struct place *p, const struct dray_copy_options *o,
			struct target *ret, dray_error **err)
{
	ret->archive = ret->takes_plain = true;
	if (o->append)
		return open_append(p, place_prefixed(p->text) ? ARCHIVE_DOCKER : ARCHIVE_ANY, o,
				   ret, err);
	ret->legacy = o->legacy;
	ret->dest = o->legacy ? dest_legacy_tar(p->path, ctx->tmpdir, o->no_clobber, err)
			      : dest_docker_tar(p->path, ctx->tmpdir, o->no_clobber, err);
	return ret->dest ? 0 : -1;
}

static int open_daemon(dray_context *ctx, const struct place *p, const struct dray_copy_options *o,
		       struct target *ret, dray_error **err)
{
	struct engine *e = NULL;

	(void)p;
	ret->engine = ret->takes_plain = true;
	ret->absent = true; /* it is there, or nothing can be done */
	if (engine_open(&ctx->remote, &e, err) < 0)
		return -1;
	ret->dest = engine_dest(e, "docker-daemon", ctx->tmpdir, err);
	if (!ret->dest)
		return -1;
	ret->dest->no_clobber = o->no_clobber;
	return 0;
}

/* A kind of place that images can be written to; registries have more to say. */
struct target_kind {
	enum place_kind kind;
	int (*open)(dray_context *ctx, const struct place *p, const struct dray_copy_options *o,
		    struct target *ret, dray_error **err);
	bool appends; /* knows --append */
};

static const struct target_kind TARGETS[] = {
	{ PLACE_OCI_DIR, open_layout, false },
	{ PLACE_DIRECTORY, open_layout, false },
	{ PLACE_OCI_ARCHIVE, open_oci_archive, true },
	{ PLACE_ARCHIVE, open_archive, true },
	{ PLACE_DIR, open_dir, false },
	{ PLACE_DAEMON, open_daemon, false },
};

int target_open(dray_context *ctx, const struct place *p, const struct dray_copy_options *o,
		struct target *ret, dray_error **err)
{
	*ret = (struct target){ .oci = place_is_oci(p) };
	for (size_t i = 0; i < ARRAY_LEN(TARGETS); i++) {
		if (TARGETS[i].kind != p->kind)
			continue;
		if (o->append && !TARGETS[i].appends)
			return err_set(err, DRAY_ERR_USAGE, "--append is for archives: %s",
				       p->text);
		if (TARGETS[i].open(ctx, p, o, ret, err) == 0) {
			ret->pinned = p->digest;
			return 0;
		}
		/* Nobody named something to be found: the folder of an output is missing. */
		if (err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND && !ret->absent)
			err_rekind(err, DRAY_ERR_SYSTEM);
		return place_names_host(p->text)
			       ? err_hint(err, "in a registry: docker://%s", p->text)
			       : -1;
	}
	return err_set(err, DRAY_ERR_UNSUPPORTED, "%s: this kind of place is not written", p->text);
}

void target_clear(struct target *t)
{
	dest_free(t->dest);
	remote_free(t->remote);
	mem_free(t->host);
	mem_free(t->repository);
	*t = (struct target){ 0 };
}
