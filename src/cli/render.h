/* SPDX-License-Identifier: Apache-2.0
 *
 * A report as JSON: one shape for images, inspect, explain and verify.
 */
#pragma once

#include <dray/report.h>
#include "cli/page.h"

/** @p with_config: also each image's "config" object (inspect). */
int render_report(struct page *p, const dray_report *r, bool with_config,
		  dray_error **err) MUST_CHECK;
/** The pieces, for documents of other shapes and for tests. */
void render_image(struct jsonw *w, const struct dray_image_info *image, bool with_config);
void render_finding(struct jsonw *w, const struct dray_finding *f, bool problem);
void render_error(struct jsonw *w, const dray_error *e);
