/* SPDX-License-Identifier: Apache-2.0
 *
 * What the header fields of a request say. Pure. Spec: RFC 9110 8.8, 12.5.1, 13.1, 14.
 */
#pragma once

#include "base/span.h"

enum range_kind {
	RANGE_ALL,  /* none asked for, or one that is to be passed over: several, another unit */
	RANGE_PART,
	RANGE_NONE, /* nothing of it is there: 416 */
};
/**
 * A Range field (NULL = none) over @p size bytes; for RANGE_PART *ret_off and *ret_len. "500-0" is
 * RANGE_NONE: the specification's tests want it refused where RFC 9110 would pass it over.
 */
enum range_kind head_range(const char *value, int64_t size, int64_t *ret_off, int64_t *ret_len);
/** Whether a list of entity tags has @p etag ("\"...\"") or is "*"; weak ones count if @p weak. */
bool head_has_etag(const char *value, const char *etag, bool weak);
/**
 * Whether an Accept field lets @p media_type through. One that names no manifest or index at all
 * was not written for registries, and lets everything through.
 */
bool head_accepts(const char *value, const char *media_type);
/** "TYPE/SUBTYPE" in @p value, without parameters and blanks; empty where it is none. */
struct span head_media_type(const char *value);
/** "0-1023" of an upload; false = malformed. *ret_len is the number of bytes. */
bool head_upload_range(const char *value, int64_t *ret_off, int64_t *ret_len);
