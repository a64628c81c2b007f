/* SPDX-License-Identifier: Apache-2.0
 *
 * Units from a line of text, and plans as text.
 *
 * A unit is NAME=BYTES:REFS, each reference a letter that begins the name of one unit, then any of
 * @ORIGIN, ^ root, ! volatile, ~ skipped, #N source, +N changed, &N group. Plans show layers from
 * the bottom, divided by '|', units of each by name.
 */
#pragma once

#include "base/limits.h"
#include "build/layering.h"
#include "torture.h"

#define PLAN_UNITS 64

struct units {
	struct unit list[PLAN_UNITS];
	uint32_t refs[PLAN_UNITS][PLAN_UNITS];
	size_t n;
	char *text;
};

static inline void units_clear(struct units *u)
{
	free(u->text);
}
#define cleanup_units CLEANUP(units_clear)

static inline uint32_t unit_called(const struct units *u, char c)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->list[i].name[0] == c)
			return (uint32_t)i;
	fail_msg("no unit %c", c);
	return 0;
}

static inline char *unit_flags(struct unit *u, char *s)
{
	while (*s) {
		char what = *s;

		*s++ = '\0';
		switch (what) {
		case '@':
			u->origin = s;
			s += strcspn(s, "^!~#+&");
			break;
		case '#':
			u->source = (uint32_t)strtoul(s, &s, 10);
			break;
		case '+':
			u->changed = strtoll(s, &s, 10);
			break;
		case '&':
			u->group = (uint32_t)strtoul(s, &s, 10);
			break;
		default:
			u->root |= what == '^';
			u->is_volatile |= what == '!';
			u->skip |= what == '~';
		}
	}
	return s;
}

static inline void units_read(struct units *u, const char *text)
{
	char *save = NULL, *refs[PLAN_UNITS];

	*u = (struct units){ .text = strdup(text) };
	for (char *s = strtok_r(u->text, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		struct unit *unit = &u->list[u->n];
		char *bytes = strchr(s, '=');

		assert_true(u->n < PLAN_UNITS && bytes);
		*bytes++ = '\0';
		*unit = (struct unit){ .name = s, .entries = 1, .group = LAYERING_NONE,
				       .refs = u->refs[u->n] };
		unit->bytes = strtoll(bytes, &refs[u->n], 10);
		u->n++;
	}
	for (size_t i = 0; i < u->n; i++) {
		char *s = refs[i];

		if (*s == ':')
			for (s++; *s && !strchr("@^!~#+&", *s); s++)
				u->refs[i][u->list[i].n_refs++] = unit_called(u, *s);
		unit_flags(&u->list[i], s);
	}
}

static inline int by_unit_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline char *plan_text(const struct unit *u, size_t n, const struct layering *l)
{
	struct buf ret = BUF_INIT(MIB);
	dray_error *err = NULL;

	for (size_t k = 0; k < l->n; k++) {
		const char **names = calloc(n + 1, sizeof(*names));
		size_t found = 0;

		for (size_t i = 0; i < n; i++)
			if (l->layer_of[i] == k)
				names[found++] = u[i].name;
		qsort(names, found, sizeof(*names), by_unit_name);
		assert_int_equal(found, l->layers[k].units);
		for (size_t i = 0; i < found; i++)
			assert_ok(buf_printf(&ret, &err, "%s%s", i ? " " : k ? "|" : "", names[i]),
				  err);
		free(names);
	}
	return buf_steal_str(&ret, &err);
}

/* The plan of @p text, and of the same units the other way round. */
static inline char *plan_both_ways(const char *text, const struct layering_options *o)
{
	cleanup_units struct units u = { 0 };
	static struct unit turned[PLAN_UNITS];
	static uint32_t refs[PLAN_UNITS][PLAN_UNITS];
	dray_error *err = NULL;
	char *ret[2] = { 0 };

	units_read(&u, text);
	for (size_t i = 0; i < u.n; i++) {
		size_t to = u.n - 1 - i;

		turned[to] = u.list[i];
		turned[to].refs = refs[to];
		for (size_t k = 0; k < u.list[i].n_refs; k++)
			refs[to][k] = (uint32_t)(u.n - 1 - u.list[i].refs[k]);
	}
	for (size_t way = 0; way < 2; way++) {
		cleanup_layering struct layering l = { 0 };
		const struct unit *list = way ? turned : u.list;

		assert_ok(layering_plan(list, u.n, o, &l, &err), err);
		ret[way] = plan_text(list, u.n, &l);
	}
	if (strcmp(ret[0], ret[1]) != 0)
		fail_msg("\"%s\" is %s, the other way round %s", text, ret[0], ret[1]);
	free(ret[1]);
	return ret[0];
}
