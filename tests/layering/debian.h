/* SPDX-License-Identifier: Apache-2.0
 *
 * The closure fixture: units from tests/layering/debian.closure, which debian_closure.py made.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build/layering.h"

#define DEBIAN_MAX 1000
#define DEBIAN_REFS 100

struct debian {
	struct unit units[DEBIAN_MAX + 1];
	uint32_t refs[DEBIAN_MAX + 1][DEBIAN_REFS];
	char *lines[DEBIAN_MAX]; /* names live in them */
	size_t n;
};

static inline void debian_line(struct debian *d, char *line)
{
	struct unit *u = &d->units[d->n];
	char *save = NULL, *word;

	*u = (struct unit){ .refs = d->refs[d->n], .entries = 1, .group = LAYERING_NONE };
	u->name = strtok_r(line, " \n", &save);
	strtok_r(NULL, " \n", &save); /* version */
	word = strtok_r(NULL, " \n", &save);
	u->bytes = strtoll(word ? word : "", NULL, 10);
	u->origin = strtok_r(NULL, " \n", &save);
	while ((word = strtok_r(NULL, " \n", &save)) && u->n_refs < DEBIAN_REFS)
		d->refs[d->n][u->n_refs++] = (uint32_t)strtoul(word, NULL, 10);
	d->n++;
}

/* NULL = it cannot be read. */
static inline struct debian *debian_read(const char *path)
{
	struct debian *d = calloc(1, sizeof(*d));
	FILE *f = fopen(path, "r");
	size_t cap = 0;
	char *line = NULL;

	while (f && d && d->n < DEBIAN_MAX && getline(&line, &cap, f) > 0)
		if (line[0] != '#') {
			d->lines[d->n] = strdup(line);
			debian_line(d, d->lines[d->n]);
		}
	free(line);
	if (f)
		fclose(f);
	return d;
}

/* On top of them an "app" of 200 kB that needs all that nobody needs. */
static inline void debian_app(struct debian *d)
{
	static unsigned char used[DEBIAN_MAX];
	struct unit *app = &d->units[d->n];

	memset(used, 0, sizeof(used));
	for (size_t i = 0; i < d->n; i++)
		for (size_t k = 0; k < d->units[i].n_refs; k++)
			used[d->units[i].refs[k]] = 1;
	*app = (struct unit){ .name = "app", .bytes = 200000, .entries = 1, .origin = "app",
			      .refs = d->refs[d->n], .group = LAYERING_NONE, .root = true };
	for (size_t i = 0; i < d->n && app->n_refs < DEBIAN_REFS; i++)
		if (!used[i])
			d->refs[d->n][app->n_refs++] = (uint32_t)i;
	d->n++;
}

static inline void debian_free(struct debian *d)
{
	for (size_t i = 0; d && i < DEBIAN_MAX; i++)
		free(d->lines[i]);
	free(d);
}
