/* SPDX-License-Identifier: Apache-2.0
 *
 * What two documents say differently, however they are written: members in any order, strings
 * by what their escapes stand for, numbers by value.
 */
#pragma once

#include "json/json.h"

/**
 * 1 = the same, 0 = not, -1. Elements of arrays in their order. What is missing is the same as
 * what is missing, and not as null.
 */
int json_same(struct json a, struct json b, dray_error **err) MUST_CHECK;

/** A member or element that differs. @p path is a JSON Pointer (RFC 6901) and lives for the call. */
typedef int json_diff_fn(void *arg, const char *path, struct json a, struct json b,
			 dray_error **err);
/**
 * Hand @p fn the values that differ, in the order of @p a, then what only @p b has. Objects are
 * entered, also where the other side has null or nothing there, unless they are empty; arrays
 * only if both have as many elements and all of these are objects. LIMIT_JSON_DIFF for the bytes
 * of all paths. -1 of @p fn ends it.
 */
int json_diff(struct json a, struct json b, json_diff_fn *fn, void *arg,
	      dray_error **err) MUST_CHECK;
