/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "copy" and its spellings "push", "pull", "save" and "load".
 * Relies on: dray_push() and dray_copy_many().
 * Promises: one line on stdout per image that arrived, its reference with its digest.
 */
#include "base/text.h"
#include "base/mem.h"
#include "cli/copied.h"

struct copy_flags {
	const char *format, *compression, *gzip, *reuse, *holes;
	int level;
	bool no_reuse, no_cache, referrers, append, keep_blobs, canonical, legacy;
};

#define COPY_SOURCES_MAX 10000 /* arguments; the system's limit comes first */

#define C(field) offsetof(struct copy_flags, field)

/* clang-format off */
/* What all of them take. */
#define CONVERSIONS \
	{ "format", 0, OPT_CHOICE, C(format), "FORMAT", \
	  "manifest format: docker (schema 2) or oci (default: the source's; docker for archives " \
	  "that go to a registry)", \
	  .choices = "docker|oci" }, \
	{ "compression", 0, OPT_CHOICE, C(compression), "HOW", \
	  "of layers: gzip, gzip-single (one member), zstd or none (default: keep what is " \
	  "compressed, gzip the rest for a registry)", \
	  .choices = "gzip|gzip-single|zstd|none" }, \
	{ "gzip", 0, OPT_CHOICE, C(gzip), "HOW", \
	  "single or blocks: the same as --compression gzip-single or gzip", \
	  .choices = "single|blocks" }, \
	{ "level", 0, OPT_INT, C(level), "N", "compression level (default: chosen by measurement)", \
	  .lo = 1, .hi = 22 }, \
	{ "holes", 0, OPT_CHOICE, C(holes), "HOW", \
	  "images that an index names and the source lacks: drop them from the index (default), " \
	  "keep them named, or fail", \
	  .choices = "drop|keep|fail" }, \
	{ "referrers", 0, OPT_FLAG, C(referrers), \
	  .help = "take along what refers to the images: signatures, SBOMs, attestations" }

/* Of those that may write to a registry. */
#define REGISTRY_TARGET \
	{ "reuse", 0, OPT_STRING, C(reuse), "REF", \
	  "keep the blobs of REF for layers it has too (default: the tag that is overwritten)", \
	  .complete = COMPLETE_PLACE }, \
	{ "no-reuse", 0, OPT_FLAG, C(no_reuse), \
	  .help = "do not look at what the overwritten tag holds" }, \
	{ "no-cache", 0, OPT_FLAG, C(no_cache), \
	  .help = "do not use what is remembered about blobs pushed before" }

/* Of those that may write an archive. */
#define ARCHIVE_TARGET \
	{ "append", 0, OPT_FLAG, C(append), \
	  .help = "add to the archive that is there; its layers stay where they are" }, \
	{ "legacy", 0, OPT_FLAG, C(legacy), \
	  .help = "a new archive also has what Docker before 1.10 and old tools read" }
/* clang-format on */

static const struct option push_table[] = { CONVERSIONS, REGISTRY_TARGET, { 0 } };
static const struct option copy_table[] = {
	CONVERSIONS,
	REGISTRY_TARGET,
	ARCHIVE_TARGET,
	{ "canonical", 0, OPT_FLAG, C(canonical),
	  .help = "write the canonical archive, as normalize does" },
	{ 0 },
};
static const struct option pull_table[] = {
	CONVERSIONS,
	ARCHIVE_TARGET,
	{ "keep-blobs", 0, OPT_FLAG, C(keep_blobs),
	  .help = "keep blobs and manifest as the registry has them (the default)" },
	{ 0 },
};
static const struct option save_table[] = { CONVERSIONS, ARCHIVE_TARGET, { 0 } };
static const struct option load_table[] = { CONVERSIONS, { 0 } };

static int copy_options(const struct session *s, struct dray_copy_options *ret, dray_error **err)
{
	const struct copy_flags *f = s->options;

	*ret = (struct dray_copy_options)DRAY_COPY_OPTIONS_INIT;
	if (f->gzip && f->compression)
		return err_set(err, DRAY_ERR_USAGE, "--gzip and --compression: one of both");
	if (f->keep_blobs && (f->compression || f->gzip))
		return err_set(err, DRAY_ERR_USAGE, "--keep-blobs and --compression: one of both");
	if (f->reuse && f->no_reuse)
		return err_set(err, DRAY_ERR_USAGE, "--reuse and --no-reuse: one of both");
	ret->image = s->global.image;
	ret->all = s->global.all;
	ret->format = f->format;
	ret->compression = f->compression;
	if (f->gzip)
		ret->compression = strcmp(f->gzip, "single") == 0 ? "gzip-single" : "gzip";
	ret->level = f->level;
	ret->canonical = f->canonical;
	ret->reuse = f->reuse;
	ret->no_reuse = f->no_reuse;
	ret->no_clobber = s->global.no_clobber;
	ret->append = f->append;
	ret->legacy = f->legacy;
	ret->holes = f->holes;
	ret->referrers = f->referrers;
	return 0;
}

static int run_push(struct session *s, dray_error **err)
{
	const char *dst = s->n_args > 1 ? s->args[1] : NULL;
	struct dray_copy_options o;
	dray_copy_result *r = NULL;
	int rc;

	s->no_cache = ((const struct copy_flags *)s->options)->no_cache;
	if (copy_options(s, &o, err) < 0 || session_check_input(s, s->args[0], err) < 0 ||
	    !session_context(s, err))
		return -1;
	rc = dray_push(s->ctx, s->args[0], dst, &o, &r, err);
	if (rc == 0)
		rc = copied_result(s, r, false, err);
	dray_copy_free(r);
	return rc;
}

/* The first @p n arguments to @p dst. */
static int copy_to(struct session *s, size_t n, const char *dst, struct dray_copy_options *o,
		   dray_error **err)
{
	dray_copy_result *r = NULL;
	int rc;

	s->no_cache = ((const struct copy_flags *)s->options)->no_cache;
	for (size_t i = 0; i < n; i++)
		if (session_check_input(s, s->args[i], err) < 0)
			return -1;
	if (check_output(dst, err) < 0 || !session_context(s, err))
		return -1;
	rc = dray_copy_many(s->ctx, s->args, n, dst, o, &r, err);
	if (rc == 0)
		rc = copied_result(s, r, ref_is_stdio(dst), err);
	dray_copy_free(r);
	return rc;
}

/* SRC... DST, or SRC... -o DST. @p path: a bare DST is one in any case. */
static int copy_or_pull(struct session *s, bool path, dray_error **err)
{
	const char *output = s->global.output;
	struct dray_copy_options o;
	size_t n = s->n_args;

	if (!output && n < 2) {
		err_set(err, DRAY_ERR_USAGE, "wrong number of arguments (expected %s, got %zu)",
			s->command->args, n);
		return err_hint(err, "dray help %s", s->command->name);
	}
	if (copy_options(s, &o, err) < 0)
		return -1;
	o.dst_is_path = path || output;
	o.dst_may_be_host = !path; /* what is pulled is sent nowhere */
	if (output)
		return copy_to(s, n, output, &o, err);
	return session_output(s, &s->args[n - 1], err) < 0
		       ? -1
		       : copy_to(s, n - 1, s->args[n - 1], &o, err);
}

static int run_copy(struct session *s, dray_error **err)
{
	return copy_or_pull(s, false, err);
}

static int run_pull(struct session *s, dray_error **err)
{
	return copy_or_pull(s, true, err);
}

static int run_save(struct session *s, dray_error **err)
{
	struct dray_copy_options o;

	if (copy_options(s, &o, err) < 0)
		return -1;
	o.dst_is_path = true;
	return copy_to(s, s->n_args, s->global.output ? s->global.output : "-", &o, err);
}

static int run_load(struct session *s, dray_error **err)
{
	struct dray_copy_options o;

	if (copy_options(s, &o, err) < 0)
		return -1;
	o.all = o.all || !o.image;
	return copy_to(s, s->n_args, "docker-daemon:", &o, err);
}

const struct command cmd_push = {
	.name = "push",
	.group = GROUP_MOVE,
	.summary = "send an archive's images to a registry, also from a pipe",
	.args = "ARCHIVE [REF]",
	.min_args = 1,
	.max_args = 2,
	.complete = COMPLETE_PLACE,
	.notes = "Sends images to a registry, for example: docker save app | dray push - "
		 "HOST/app:1. Layers that the registry has already are not sent. Without REF each "
		 "image goes to the registry that its own tags name. Prints HOST/NAME@DIGEST for "
		 "each image; what had to be changed is told on standard error.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_SALVAGE,
	.options = push_table,
	.options_size = sizeof(struct copy_flags),
	.run = run_push,
};

const struct command cmd_copy = {
	.name = "copy",
	.group = GROUP_MOVE,
	.summary = "copy images from any place to any other",
	.args = "SRC... DST",
	.min_args = 1,
	.max_args = COPY_SOURCES_MAX,
	.complete = COMPLETE_PLACE,
	.notes = "Copies images. Digests are preserved unless a conversion was asked for or the "
		 "destination can't hold the source as it is; then standard error says what "
		 "changed. With -o all arguments are sources: several images in one archive. A "
		 "bare DST that ends in .tar is a new archive for docker load. Prints the "
		 "result's reference with its digest.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_SALVAGE | FEATURE_CLOBBER |
		    FEATURE_OUTPUT | FEATURE_PRODUCT,
	.output_help = HELP_OUTPUT_COPY,
	.options = copy_table,
	.options_size = sizeof(struct copy_flags),
	.run = run_copy,
};

const struct command cmd_pull = {
	.name = "pull",
	.group = GROUP_MOVE,
	.summary = "fetch images from a registry into an archive or a layout",
	.args = "REF... DST",
	.min_args = 1,
	.max_args = COPY_SOURCES_MAX,
	.complete = COMPLETE_PLACE,
	.notes = "Fetches images. A bare DST is an archive that docker load, podman load, skopeo "
		 "and ctr read, with the registry's own blobs and manifest in it, so that pushing "
		 "it back gives the same digest. Prints PATH@sha256:ID for each image.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_CLOBBER | FEATURE_OUTPUT |
		    FEATURE_PRODUCT,
	.output_help = HELP_OUTPUT_COPY,
	.options = pull_table,
	.options_size = sizeof(struct copy_flags),
	.run = run_pull,
};

const struct command cmd_save = {
	.name = "save",
	.group = GROUP_MOVE,
	.summary = "put images into one archive, as docker save does",
	.args = "SRC...",
	.min_args = 1,
	.max_args = COPY_SOURCES_MAX,
	.complete = COMPLETE_PLACE,
	.notes = "Writes one archive of all images, to standard output without -o. With --append "
		 "they are added to one that is there.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_SALVAGE | FEATURE_CLOBBER |
		    FEATURE_OUTPUT | FEATURE_PRODUCT,
	.output_help = HELP_OUTPUT_COPY,
	.options = save_table,
	.options_size = sizeof(struct copy_flags),
	.run = run_save,
};

const struct command cmd_load = {
	.name = "load",
	.group = GROUP_MOVE,
	.summary = "hand an archive's images to the Docker engine",
	.args = "ARCHIVE...",
	.min_args = 1,
	.max_args = COPY_SOURCES_MAX,
	.complete = COMPLETE_PLACE,
	.notes = "Copies every image of the archive, or those that are chosen, to docker-daemon: "
		 "under the names they have.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_SALVAGE,
	.options = load_table,
	.options_size = sizeof(struct copy_flags),
	.run = run_load,
};
