/* SPDX-License-Identifier: Apache-2.0
 *
 * From the text of a pattern to its parts, and these held against names.
 * Relies on base/glob for one name.
 * Promises at least one part, and none that leads upwards; no recursion.
 */
#include "layer/pattern.h"

#include <string.h>

#include "base/glob.h"

static int check_part(const char *part, dray_error **err)
{
	const char *problem = glob_problem(part);

	if (strcmp(part, "..") == 0)
		return err_set(err, DRAY_ERR_USAGE, "a path does not lead upwards by \"..\"");
	return problem ? err_set(err, DRAY_ERR_USAGE, "%s", problem) : 0;
}

int path_pattern_parse(struct arena *a, const char *text, struct path_pattern *ret,
		       dray_error **err)
{
	char *part = arena_strdup(a, text), *end;

	*ret = (struct path_pattern){ .parts = arena_array(a, strlen(text) / 2 + 1,
							   sizeof(const char *)) };
	if (!part || !ret->parts)
		return err_nomem(err);
	for (bool more = true; more; part = end + 1) {
		end = part + strcspn(part, "/");
		more = *end == '/';
		*end = '\0';
		if (!*part || strcmp(part, ".") == 0)
			continue;
		if (check_part(part, err) < 0)
			return -1;
		ret->parts[ret->n++] = part;
	}
	if (ret->n == 0)
		return err_set(err, DRAY_ERR_USAGE, "a glob that names nothing below the root");
	return 0;
}

/* ---- matching ---- */

/* @p whole: all names; else as many of the first as it takes. */
static bool fits(const struct path_pattern *p, const char *const *names, size_t n, bool whole)
{
	size_t i = 0, k = 0, star = SIZE_MAX, from = 0;

	while (k < n && (whole || i < p->n)) {
		if (i < p->n && strcmp(p->parts[i], "**") == 0) {
			star = ++i;
			from = k;
		} else if (i < p->n && glob_match(p->parts[i], names[k])) {
			i++;
			k++;
		} else if (star != SIZE_MAX) {
			/* Only the last "**" can help: it takes one name more. */
			i = star;
			k = ++from;
		} else {
			return false;
		}
	}
	return i == p->n;
}

bool path_pattern_fits(const struct path_pattern *p, const char *const *names, size_t n)
{
	return fits(p, names, n, true);
}

bool path_pattern_holds(const struct path_pattern *p, const char *const *names, size_t n)
{
	return fits(p, names, n, false);
}
