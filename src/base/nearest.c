/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "did you mean": the nearest name to a mistyped one.
 * Relies on: nothing.
 * Promises: no memory, constant stack; long names are compared by their start.
 */
#include <string.h>
#include "base/nearest.h"

#define NAME_MAX_COMPARED 32

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Insertions, deletions, replacements and swaps of neighbours between both. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][NAME_MAX_COMPARED + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];
	size_t na = strnlen(a, NAME_MAX_COMPARED), nb = strnlen(b, NAME_MAX_COMPARED);

	for (size_t j = 0; j <= nb; j++)
		last[j] = j;
	for (size_t i = 1; i <= na; i++) {
		now[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			now[j] = least(last[j] + 1, now[j - 1] + 1,
				       last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1, now[j]);
		}
		size_t *spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[nb];
}

void nearest_offer(struct nearest *n, const char *name)
{
	size_t distance = edit_distance(n->typed, name);

	if (!n->best || distance < n->distance) {
		n->best = name;
		n->distance = distance;
	}
}

const char *nearest_get(const struct nearest *n)
{
	size_t len = strlen(n->typed);

	/* "--img" for "--image" is meant; "--xy" for "--jobs" is not. */
	return n->best && n->distance <= 1 + len / 4 && n->distance < len ? n->best : NULL;
}
