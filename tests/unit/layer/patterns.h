/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns of paths mean the same wherever they are typed: all of up to four parts are held against
 * all paths of up to four names, and a matcher of a few lines that tries everything.
 */
#pragma once

#include <string.h>

#include "support.h"

#define PARTS_MAX 4

/* ---- the one that is right ---- */

/* "**" is any number of names, at the end at least one. */
static inline bool means(const char *const *parts, size_t n, const char *const *names,
			 size_t n_names)
{
	if (n == 0)
		return n_names == 0;
	if (strcmp(parts[0], "**") == 0)
		return (n > 1 && means(parts + 1, n - 1, names, n_names)) ||
		       (n == 1 && n_names == 1) ||
		       (n_names > 0 && means(parts, n, names + 1, n_names - 1));
	return n_names > 0 && (strcmp(parts[0], "*") == 0 || strcmp(parts[0], names[0]) == 0) &&
	       means(parts + 1, n - 1, names + 1, n_names - 1);
}

/* ---- all of them ---- */

/* Number @p at of all texts of one to PARTS_MAX words; false = there are no more. */
struct words {
	const char *list[PARTS_MAX];
	size_t n;
	char text[64];
};

static inline bool words_at(struct words *w, size_t at, const char *const *from, size_t n_from)
{
	size_t count = n_from;

	for (w->n = 1; at >= count; count *= n_from, w->n++) {
		at -= count;
		if (w->n == PARTS_MAX)
			return false;
	}
	w->text[0] = '\0';
	for (size_t i = 0; i < w->n; i++, at /= n_from) {
		size_t len = strlen(w->text);

		w->list[i] = from[at % n_from];
		snprintf(w->text + len, sizeof(w->text) - len, "%s%s", i ? "/" : "", w->list[i]);
	}
	return true;
}

static const char *const part_words[] = { "a", "b", "*", "**" };
static const char *const name_words[] = { "a", "b" };

static inline bool means_above(const struct words *glob, const struct words *path)
{
	for (size_t n = 1; n <= path->n; n++)
		if (means(glob->list, glob->n, path->list, n))
			return true;
	return false;
}

/* Whether @p glob, by what @p check says, is what is told of it on every path. */
typedef bool check_fn(void *arg, const struct words *path);

static inline void hold_against(const struct words *glob, const char *who, bool above,
				check_fn *check, void *arg)
{
	struct words path;

	for (size_t i = 0; words_at(&path, i, name_words, ROWS(name_words)); i++) {
		bool want = above ? means_above(glob, &path)
				  : means(glob->list, glob->n, path.list, path.n);

		if (check(arg, &path) != want)
			fail_msg("%s: '%s' on '%s', wanted %d", who, glob->text, path.text, want);
	}
}
