/* SPDX-License-Identifier: Apache-2.0
 *
 * What verbs that make images say about them, and what they take as their output.
 */
#pragma once

#include <dray/relayer.h>
#include "cli/cli.h"

/** USAGE for an archive to a terminal. */
int check_output(const char *dst, dray_error **err) MUST_CHECK;
/** The object of one image in JSON answers. */
void copied_json(struct jsonw *w, const struct dray_copied *c);
/** What happened, for people, on stderr. */
void copied_tell(struct session *s, const struct dray_copied *c);

/** All of that, as the verb was told to; @p taken: stdout carries the image itself. */
int copied_result(struct session *s, const dray_copy_result *r, bool taken, dray_error **err);

/* Of the verbs that make other layers. */
struct relayer_flags {
	const char *format, *compression;
	int level;
};
/* clang-format off */
/** The options that fill @p flags, a struct relayer_flags within the options of a verb. */
#define RELAYER_OPTIONS(flags) \
	{ "format", 0, OPT_CHOICE, (flags) + offsetof(struct relayer_flags, format), "FORMAT", \
	  "manifest format: docker (schema 2) or oci (default: the source's, but oci for what is " \
	  "made anew for an OCI layout or archive; docker for archives that go to a registry)", \
	  .choices = "docker|oci" }, \
	{ "compression", 0, OPT_CHOICE, (flags) + offsetof(struct relayer_flags, compression), "HOW", \
	  "of layers: gzip, gzip-single (one member), zstd or none (default: keep what is kept, " \
	  "gzip for new ones where they go compressed)", \
	  .choices = "gzip|gzip-single|zstd|none" }, \
	{ "level", 0, OPT_INT, (flags) + offsetof(struct relayer_flags, level), "N", \
	  "compression level (default: chosen by measurement)", \
	  .lo = 1, .hi = 22 }
/* clang-format on */
#define RELAYER_FEATURES \
	(FEATURE_JSON | FEATURE_IMAGE | FEATURE_CLOBBER | FEATURE_OUTPUT | FEATURE_PRODUCT)

/** Before the work: the output is named and no terminal. Fills @p ret. */
int relayer_options(struct session *s, const struct relayer_flags *f,
		    struct dray_copy_options *ret, dray_error **err) MUST_CHECK;
/** After it: the line, the document, the words. Returns the exit status or -1. */
int relayer_result(struct session *s, const dray_relayered *r, dray_error **err);
