/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a dray_report: images as the stores give them, made public.
 */
#pragma once

#include "ops/ops.h"

struct dray_report {
	struct arena arena;
	struct store *store;
	struct place place;
	struct image **images;
	size_t n_images;
	struct dray_image_info *infos;
	struct dray_finding *problems, *warnings;
	size_t n_problems, cap_problems, n_warnings, cap_warnings;
};

/** What is meant when neither the reference nor the caller chose an image. */
enum report_scope {
	SCOPE_ONE,	/* the only one; several are USAGE */
	SCOPE_FILE,	/* all of a file or folder; of a registry's reference one platform */
	SCOPE_EVERY,	/* the same; of a tag's index all platforms unless some are asked for */
	SCOPE_ALL,
};

/** Open @p place and select; what a verb does before it looks closer. @p sel may be NULL. */
int report_open(dray_context *ctx, const char *place, const struct dray_select *sel,
		enum report_scope scope, const struct place_options *po, dray_report **ret,
		dray_error **err) MUST_CHECK;

/** Fill infos from images; @p facts[i][k] (may be NULL) is what was read of layer k of image i. */
int report_fill(dray_report *r, const struct blob_facts *const *const *facts,
		dray_error **err) MUST_CHECK;

/** Add a finding; strings are copied. */
int report_problem(dray_report *r, const char *code, const char *where, const char *expected,
		   const char *actual, const char *message, dray_error **err) MUST_CHECK;
int report_warning(dray_report *r, const char *code, const char *where, const char *message,
		   dray_error **err) MUST_CHECK;
/** Notes of the place and its images as findings; all are warnings unless @p strict. */
int report_notes(dray_report *r, bool strict, dray_error **err) MUST_CHECK;

DEFINE_CLEANUP(dray_report, cleanup_report_fn, dray_report_free)
#define cleanup_report CLEANUP(cleanup_report_fn)
