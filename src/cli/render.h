/* SPDX-License-Identifier: Apache-2.0
 *
 * A report as JSON: one shape for images, inspect, explain and verify.
 */
#pragma once

#include <dray/inspect.h>
#include <dray/rootfs.h>
#include <dray/sign.h>
#include "cli/page.h"

/** @p with_config: also each image's "config" object (inspect). */
int render_report(struct page *p, const dray_report *r, bool with_config,
		  dray_error **err) MUST_CHECK;
/** The same with what was counted in the layers, as members of the image. */
int render_inspection(struct page *p, const dray_inspection *i, dray_error **err) MUST_CHECK;
/** What was counted in the layers, for people. */
void show_inspection(struct page *p, const dray_inspection *i);
/** More members of each image object. */
struct render_more {
	void (*members)(struct jsonw *w, const void *arg);
	const void *arg;
};
int render_report_with(struct page *p, const dray_report *r, const struct render_more *more,
		       dray_error **err) MUST_CHECK;
/** What verify found out about a signature. */
struct signature_answer {
	const dray_signatures *good;	/* NULL = it is not good */
	const dray_error *why;		/* then */
};
/** The document of verify; @p a NULL = no signature was asked about. */
int render_verified(struct page *p, const dray_report *r, const struct signature_answer *a,
		    dray_error **err) MUST_CHECK;
/** Members "signature" (the first), "signatures", "image_ids" and "canonical_digest". */
void render_signatures(struct jsonw *w, const dray_signatures *s);
/** Members of an image's object. */
void render_image(struct jsonw *w, const struct dray_image_info *image, bool with_config);
void render_disk(struct jsonw *w, const struct dray_disk_info *disk);
void render_finding(struct jsonw *w, const struct dray_finding *f, bool problem);
/** One name of a tree; @p digest: whether its digest was asked for. */
void render_file(struct jsonw *w, const struct dray_file *f, bool digest);
/** The object of its extended attributes. */
void render_xattrs(struct jsonw *w, const struct dray_file *f);
/** "-rw-r--r-- 0/0 12 2023-11-14 22:13:20 etc/motd" and what it leads to. */
void show_file(struct page *p, const struct dray_file *f);
/** Members @p key, and "KEY_bytes" in base64 when the text is no UTF-8; NULL writes null. */
void render_bytes(struct jsonw *w, const char *key, const char *bytes);
void render_error(struct jsonw *w, const dray_error *e);
