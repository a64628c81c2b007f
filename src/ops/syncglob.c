/* SPDX-License-Identifier: Apache-2.0
 *
 * Which tags a pattern means, and which of two is the newer version.
 * Relies on nothing: no locale, no fnmatch(3), whose classes differ between systems.
 * Promises no recursion, and time bounded by the product of both lengths.
 */
#include <string.h>
#include "ops/syncfile.h"

/* ---- patterns ---- */

bool glob_is_pattern(const char *pattern)
{
	return strpbrk(pattern, "*?[") != NULL;
}

/* Behind the ']' of the set that @p p, at its '[', begins; NULL = it has none. */
static const char *set_end(const char *p)
{
	p += p[1] == '!' ? 2 : 1;
	/* A ']' that comes first belongs to the set. */
	p = *p ? strchr(p + 1, ']') : NULL;
	return p ? p + 1 : NULL;
}

const char *glob_problem(const char *pattern)
{
	if (!*pattern)
		return "it is empty";
	for (const char *p = pattern; *p; p++) {
		if (*p != '[')
			continue;
		p = set_end(p);
		if (!p)
			return "a '[' without its ']'";
		p--;
	}
	return NULL;
}

/* @p p at '['; the set is whole. */
static bool set_has(const char *p, unsigned char c)
{
	const char *end = set_end(p) - 1;
	bool inverted = p[1] == '!', found = false;

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
	*ret = *p == '[' ? set_end(p) : p + 1;
	if (*p == '[')
		return set_has(p, (unsigned char)c);
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

/* ---- versions ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Two runs of digits as numbers of any length. */
static int compare_numbers(const char **a, const char **b)
{
	*a += strspn(*a, "0");
	*b += strspn(*b, "0");
	size_t na = strspn(*a, "0123456789"), nb = strspn(*b, "0123456789");
	int order = na != nb ? (na < nb ? -1 : 1) : memcmp(*a, *b, na);

	*a += na;
	*b += nb;
	return order;
}

static const char *skip_v(const char *s)
{
	return s[0] == 'v' && is_digit(s[1]) ? s + 1 : s;
}

int version_compare(const char *a, const char *b)
{
	const char *p = skip_v(a), *q = skip_v(b);

	while (*p && *q) {
		int order;

		if (is_digit(*p) && is_digit(*q)) {
			order = compare_numbers(&p, &q);
		} else {
			order = (unsigned char)*p - (unsigned char)*q;
			p++;
			q++;
		}
		if (order)
			return order;
	}
	if (*p || *q)
		return *p ? 1 : -1;
	return strcmp(a, b);
}
