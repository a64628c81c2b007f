/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files that read manifests; not for other rooms.
 */
#pragma once

#include "image/manifest.h"

/**
 * Parse one descriptor. Strings land in @p a; annotations and urls stay in @p v's document.
 * FORMAT unless digest and size are there; CORRUPT when "data" does not fit them (M-04).
 */
int descriptor_parse(struct json v, struct arena *a, struct descriptor *ret,
		     dray_error **err) MUST_CHECK;

/**
 * FORMAT when a member of @p v is written like one of @p names but for its case: Go reads it
 * as that member, others do not see it (M-08, M-10).
 */
int refuse_case_variants(struct json v, const char *const *names, size_t n,
			 dray_error **err) MUST_CHECK;
