/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns for tags and for the parts of paths.
 */
#pragma once

#include <stdbool.h>

/** Whether @p pattern holds one of * ? [ \ that stand for something. */
bool glob_is_pattern(const char *pattern);
/** NULL = fine, else what is wrong with it. */
const char *glob_problem(const char *pattern);
/**
 * '*' any bytes, '?' one, '[a-c]' one of these, '[!a-c]' or '[^a-c]' one of the others, a byte
 * behind '\' itself. At most strlen(pattern) * strlen(text) steps.
 */
bool glob_match(const char *pattern, const char *text);
