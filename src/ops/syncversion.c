/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of two tags is the newer version.
 * Relies on nothing: no locale, no strverscmp(3), whose order differs between systems.
 * Promises a total order, and time bounded by the shorter of both.
 */
#include <string.h>
#include "ops/syncfile.h"

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
