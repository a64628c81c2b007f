/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns as shells have them, for names without a '/'.
 * Relies on nothing: no locale, no fnmatch(3), whose classes differ between systems.
 * Promises no recursion, and time bounded by the product of both lengths.
 */
#include "base/glob.h"

#include <string.h>

bool glob_is_pattern(const char *pattern)
{
	return strpbrk(pattern, "*?[\\") != NULL;
}

static bool inverts(const char *set)
{
	return set[1] == '!' || set[1] == '^';
}

/* Behind the ']' of the set that @p p, at its '[', begins; NULL = it has none. */
static const char *set_end(const char *p)
{
	p += inverts(p) ? 2 : 1;
	/* A ']' that comes first belongs to the set. */
	p = *p ? strchr(p + 1, ']') : NULL;
	return p ? p + 1 : NULL;
}

const char *glob_problem(const char *pattern)
{
	if (!*pattern)
		return "it is empty";
	for (const char *p = pattern; *p; p++) {
		if (*p == '\\') {
			if (!*++p)
				return "a '\\' at its end";
		} else if (*p == '[') {
			p = set_end(p);
			if (!p)
				return "a '[' without its ']'";
			p--;
		}
	}
	return NULL;
}

/* @p p at '['; the set is whole. */
static bool set_has(const char *p, unsigned char c)
{
	const char *end = set_end(p) - 1;
	bool inverted = inverts(p), found = false;

	for (p += inverted ? 2 : 1; p < end; p++) {
		unsigned char lo = (unsigned char)*p, hi = lo;

		if (p + 2 < end && p[1] == '-') {
			hi = (unsigned char)p[2];
			p += 2;
		}
		found = found || (lo <= c && c <= hi);
	}
	return found != inverted;
}

/* Does the one-byte part at @p p fit? Its end goes to *ret. */
static bool fits(const char *p, char c, const char **ret)
{
	if (*p == '[') {
		*ret = set_end(p);
		return set_has(p, (unsigned char)c);
	}
	if (*p == '\\') {
		*ret = p + 2;
		return p[1] == c;
	}
	*ret = p + 1;
	return *p == '?' || *p == c;
}

bool glob_match(const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL, *next;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			from = text;
		} else if (*pattern && fits(pattern, *text, &next)) {
			pattern = next;
			text++;
		} else if (star) {
			/* Only the last star can help: it takes one byte more. */
			pattern = star;
			text = ++from;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}
