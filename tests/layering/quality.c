/* SPDX-License-Identifier: Apache-2.0
 *
 * How good plans are: which share of an image an update sends again. Prints the table of
 * docs/layering.md for the Debian closure.
 *
 *     quality debian.closure [DRAWS]
 *
 * Fails when auto sends more than graph does.
 *
 * The model. An image of packages and an app on top is planned. Then a release: the app changes
 * always, and besides
 *   rebuilds  each package with probability 0.4 %, and all that need it, as in Nix
 *   packages  each package with probability 3 %
 *   sources   all packages of each source package with probability 3 %, as in Debian
 * A package that changed has up to 2 % more or fewer bytes. The new image is planned anew, and the
 * layers of it that the old image has not are sent. Numbers are means over the draws, of the
 * bytes of the image; "ideal" are the bytes of what changed.
 */
#include "debian.h"

enum model {
	APP,
	REBUILDS,
	PACKAGES,
	SOURCES,
	MODELS,
};

/* A random number that is the same everywhere. */
static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

struct release {
	struct unit units[DEBIAN_MAX + 1];
	unsigned char changed[DEBIAN_MAX + 1];
};

static void spread(const struct debian *d, unsigned char *changed)
{
	for (int again = 1; again;) {
		again = 0;
		for (size_t i = 0; i < d->n; i++)
			for (size_t k = 0; k < d->units[i].n_refs && !changed[i]; k++)
				if (changed[d->units[i].refs[k]])
					changed[i] = 1, again = 1;
	}
}

static void next_release(const struct debian *d, enum model m, uint64_t *state, struct release *ret)
{
	memcpy(ret->units, d->units, sizeof(ret->units));
	memset(ret->changed, 0, sizeof(ret->changed));
	for (size_t i = 0; i < d->n; i++) {
		uint64_t luck = draw(state) % 1000;

		for (size_t k = 0; m == SOURCES && k < i; k++)
			if (strcmp(d->units[k].origin, d->units[i].origin) == 0)
				luck = ret->changed[k] ? 0 : 1000;
		ret->changed[i] = i + 1 == d->n || (m == REBUILDS && luck < 4) ||
				  (m > REBUILDS && luck < 30);
	}
	if (m == REBUILDS)
		spread(d, ret->changed);
	for (size_t i = 0; i < d->n; i++)
		if (ret->changed[i])
			ret->units[i].bytes += ret->units[i].bytes / 1000 *
					       ((int64_t)(draw(state) % 41) - 20);
}

/* What tells layers apart: a sum over their units and versions. */
static void sign(const struct layering *l, const struct unit *u, const unsigned char *changed,
		 size_t n, uint64_t *ret)
{
	memset(ret, 0, l->n * sizeof(*ret));
	for (size_t i = 0; i < n; i++) {
		uint64_t state = i * 2 + (changed && changed[i]) + (uint64_t)u[i].entries;

		ret[l->layer_of[i]] += draw(&state);
	}
}

static int64_t sent(const struct layering *old, const uint64_t *old_signs, const struct layering *l,
		    const uint64_t *signs)
{
	int64_t ret = 0;

	for (size_t i = 0; i < l->n; i++) {
		int have = 0;

		for (size_t k = 0; k < old->n; k++)
			have = have || old_signs[k] == signs[i];
		ret += have ? 0 : l->layers[i].bytes;
	}
	return ret;
}

static int plan(const struct unit *u, size_t n, const struct layering_options *o,
		struct layering *ret)
{
	dray_error *err = NULL;

	if (layering_plan(u, n, o, ret, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", dray_error_message(err));
	return -1;
}

/* The plan of the image before, as the next build is given it. */
static size_t remember(const struct layering *l, size_t n, struct layering_old *ret,
		       const char **names)
{
	size_t at = 0;

	for (size_t i = 0; i < l->n; i++) {
		size_t from = at;

		for (size_t k = 0; k < n; k++)
			if (l->layer_of[k] == i)
				names[at++] = l->components[k];
		ret[i] = (struct layering_old){ names + from, at - from };
	}
	return l->n;
}

/* The share that is sent again, in percent. @p keep: the next plan is given the one before. */
static double measure(const struct debian *d, struct layering_options o, enum model m, int keep,
		      unsigned draws, double *ret_ideal)
{
	static struct release r;
	static const char *names[DEBIAN_MAX + 1];
	static struct layering_old previous[LAYERING_HARD];
	uint64_t state = 20261121, old_signs[LAYERING_HARD], signs[LAYERING_HARD];
	double total = 0, ideal = 0;
	struct layering old;
	int64_t all = 0;

	if (plan(d->units, d->n, &o, &old) < 0)
		exit(1);
	sign(&old, d->units, NULL, d->n, old_signs);
	if (keep) {
		o.n_previous = remember(&old, d->n, previous, names);
		o.previous = previous;
	}
	for (size_t i = 0; i < d->n; i++)
		all += d->units[i].bytes;
	for (unsigned i = 0; i < draws; i++) {
		struct layering l;
		int64_t changed = 0;

		next_release(d, m, &state, &r);
		if (plan(r.units, d->n, &o, &l) < 0)
			exit(1);
		sign(&l, r.units, r.changed, d->n, signs);
		total += (double)sent(&old, old_signs, &l, signs) / (double)all;
		for (size_t k = 0; k < d->n; k++)
			changed += r.changed[k] ? r.units[k].bytes : 0;
		ideal += (double)changed / (double)all;
		layering_clear(&l);
	}
	layering_clear(&old);
	*ret_ideal = 100 * ideal / draws;
	return 100 * total / draws;
}

static const struct {
	const char *name;
	enum layering_strategy strategy;
	int keep;
} rows[] = {
	{ "single", LAYERING_SINGLE, 0 },	{ "popularity", LAYERING_POPULARITY, 0 },
	{ "graph", LAYERING_GRAPH, 0 },		{ "origin", LAYERING_ORIGIN, 0 },
	{ "size", LAYERING_SIZE, 0 },		{ "auto", LAYERING_AUTO, 0 },
	{ "auto, previous", LAYERING_AUTO, 1 },
};

/* What auto is for: to send no more than the graph alone would. */
static int worse(const double *is, const double *than)
{
	int ret = 0;

	for (enum model m = APP; m < MODELS; m++)
		ret |= is[m] > than[m];
	return ret;
}

int main(int argc, char **argv)
{
	static const size_t max[] = { 25, 60, 100 };
	unsigned draws = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 300;
	struct debian *d = argc > 1 ? debian_read(argv[1]) : NULL;
	double ideal[MODELS] = { 0 }, sends[ARRAY_LEN(rows)][MODELS];
	int bad = 0;

	if (!d || d->n == 0 || draws == 0) {
		fprintf(stderr, "usage: quality debian.closure [DRAWS]\n");
		return 2;
	}
	debian_app(d);
	printf("| max | strategy | only the app | rebuilds | packages | sources |\n");
	printf("|---|---|---|---|---|---|\n");
	for (size_t k = 0; k < ARRAY_LEN(max); k++) {
		size_t graph = 0;

		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			const struct layering_options o = { .strategy = rows[i].strategy,
							    .max = max[k],
							    .min_size = -1 };

			printf("| %zu | %s", max[k], rows[i].name);
			for (enum model m = APP; m < MODELS; m++) {
				sends[i][m] = measure(d, o, m, rows[i].keep, draws, &ideal[m]);
				printf(" | %.1f %%", sends[i][m]);
			}
			printf(" |\n");
			if (rows[i].strategy == LAYERING_GRAPH)
				graph = i;
			if (rows[i].strategy == LAYERING_AUTO)
				bad |= worse(sends[i], sends[graph]);
		}
	}
	printf("| | ideal | %.1f %% | %.1f %% | %.1f %% | %.1f %% |\n", ideal[APP], ideal[REBUILDS],
	       ideal[PACKAGES], ideal[SOURCES]);
	if (bad)
		fprintf(stderr, "auto sends more than graph\n");
	debian_free(d);
	return bad;
}
