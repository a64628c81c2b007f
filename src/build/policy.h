/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of the attributes of entries on their way into an image.
 */
#pragma once

#include "build/spec.h"
#include "layer/index.h"

struct policy {
	bool keep_owner; /* numbers as they are; never names */
	uint32_t uid, gid;
	const char *uname, *gname;
	bool normalize; /* folders 0755, files 0644 or 0755 */
	bool has_mode;	/* of files and folders: this one */
	uint32_t mode;
	struct spec_time mtime; /* SET, CLAMP, KEEP */
};

/** That of one source. USAGE for numbers out of range. */
int policy_of(const struct spec *s, const struct spec_source *src, struct policy *ret,
	      dray_error **err) MUST_CHECK;
/** @p e has what it had where it comes from; type and link stay. */
void policy_apply(const struct policy *p, struct layer_entry *e);
/** Numbers and names of @p o into @p ret, where it says some. */
int owner_of(const struct spec_owner *o, uint32_t *uid, uint32_t *gid, const char **uname,
	     const char **gname, dray_error **err) MUST_CHECK;
/** @p time as @p t has it. */
void mtime_apply(const struct spec_time *t, struct layer_entry *e);
