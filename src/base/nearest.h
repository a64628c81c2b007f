/* SPDX-License-Identifier: Apache-2.0
 *
 * "Did you mean": the nearest name to a mistyped one.
 */
#pragma once

#include <stddef.h>

/** The nearest of several names to what was typed. Zero-initialised but for typed. */
struct nearest {
	const char *typed;
	const char *best;
	size_t distance;
};
void nearest_offer(struct nearest *n, const char *name);
/** The best offer when it is near enough to be meant; else NULL. */
const char *nearest_get(const struct nearest *n);
