/* SPDX-License-Identifier: Apache-2.0
 *
 * For: two images compared: what was asked for of config, layers, files and packages.
 * Relies on: ops/stack for both images, json/ and layer/ for comparing.
 * Promises: no layer is read twice, and none when the configs say that all are the same.
 */
#include "ops/diff_priv.h"

#include "base/mem.h"
#include "ops/syncfile.h"

#define OF_TREES (DRAY_DIFF_FILES | DRAY_DIFF_PACKAGES)
#define ALL_PARTS (DRAY_DIFF_CONFIG | DRAY_DIFF_LAYERS | OF_TREES)

/* ---- layers ---- */

/* What the config leaves out the bytes tell. */
static int find_diff_ids(struct stack *s, dray_error **err)
{
	for (size_t i = 0; i < s->n; i++) {
		struct digest *d = &s->im->layers[i].diff_id;

		if (!digest_set(d) && stack_diff_id(s, i, d, err) < 0)
			return -1;
	}
	return 0;
}

static bool same_layer(const struct dray_diff *d, size_t in_a, size_t in_b)
{
	const struct digest *x = &d->a->im->layers[in_a].diff_id;
	const struct digest *y = &d->b->im->layers[in_b].diff_id;

	return digest_set(x) && digest_set(y) && digest_eq(x, y);
}

bool diff_same_layers(const struct dray_diff *d)
{
	size_t i = 0;

	while (i < d->a->n && i < d->b->n && same_layer(d, i, i))
		i++;
	return i == d->a->n && i == d->b->n;
}

static struct dray_diff_layer_side side_of(const struct stack *s, size_t i)
{
	const struct config *c = s->im->config;
	int64_t h = config_history_of_layer(c, i);

	return (struct dray_diff_layer_side){
		.index = (int64_t)i,
		.diff_id = digest_set(&s->im->layers[i].diff_id) ? s->im->layers[i].diff_id.text
								 : NULL,
		.created_by = h >= 0 ? c->history[h].created_by : NULL,
	};
}

/* What is left between @p below and @p above same layers, side by side. */
static int diff_layers(struct dray_diff *d, dray_error **err)
{
	static const struct dray_diff_layer_side none = { .index = -1 };
	size_t n = d->a->n, m = d->b->n, below = 0, above = 0, rows;

	while (below < n && below < m && same_layer(d, below, below))
		below++;
	while (above < n - below && above < m - below &&
	       same_layer(d, n - 1 - above, m - 1 - above))
		above++;
	n -= above;
	m -= above;
	rows = (n > m ? n : m) - below;
	d->layers_same = below + above;
	d->layers = arena_array(&d->arena, rows + 1, sizeof(*d->layers));
	if (!d->layers)
		return err_nomem(err);
	for (size_t i = below; i < below + rows; i++)
		d->layers[d->n_layers++] = (struct dray_diff_layer){
			.change = i >= m   ? "removed"
				  : i >= n ? "added"
					   : "different",
			.a = i < n ? side_of(d->a, i) : none,
			.b = i < m ? side_of(d->b, i) : none,
		};
	return 0;
}

/* ---- options ---- */

static int take_pattern(struct dray_diff *d, const char *text, dray_error **err)
{
	size_t len;
	char *own;

	text += strspn(text, "/");
	len = strlen(text);
	while (len > 0 && text[len - 1] == '/')
		len--;
	own = arena_strndup(&d->arena, text, len);
	if (!own)
		return err_nomem(err);
	if (len && glob_problem(own))
		return err_set(err, DRAY_ERR_USAGE, "--ignore %s: %s", text, glob_problem(own));
	d->ignore[d->n_ignore++] = own;
	return 0;
}

static int take_options(struct dray_diff *d, const struct dray_diff_options *o, dray_error **err)
{
	d->parts = o->parts ? o->parts : ALL_PARTS;
	d->packages_asked = o->parts & DRAY_DIFF_PACKAGES;
	d->semantic = o->semantic;
	/* Where the cuts are, and the digests with them, is what another build changes. */
	if (d->semantic)
		d->parts &= ~(unsigned)DRAY_DIFF_LAYERS;
	if (!d->parts)
		return err_set(err, DRAY_ERR_USAGE, "where layers are cut is not semantic");
	d->ignore = arena_array(&d->arena, o->n_ignore + 1, sizeof(*d->ignore));
	if (!d->ignore)
		return err_nomem(err);
	for (size_t i = 0; i < o->n_ignore; i++)
		if (take_pattern(d, o->ignore[i], err) < 0)
			return -1;
	return 0;
}

/* ---- the verb ---- */

static int compare(struct dray_diff *d, dray_error **err)
{
	if ((d->parts & DRAY_DIFF_CONFIG) && diff_config(d, err) < 0)
		return -1;
	if ((d->parts & (DRAY_DIFF_LAYERS | OF_TREES)) &&
	    (find_diff_ids(d->a, err) < 0 || find_diff_ids(d->b, err) < 0))
		return -1;
	if ((d->parts & DRAY_DIFF_LAYERS) && diff_layers(d, err) < 0)
		return -1;
	if ((d->parts & OF_TREES) && diff_files(d, err) < 0)
		return -1;
	return d->parts & DRAY_DIFF_PACKAGES ? diff_packages(d, err) : 0;
}

int dray_diff_open(dray_context *ctx, const char *a, const char *b,
		   const struct dray_diff_options *o, dray_diff **ret, dray_error **err)
{
	struct dray_diff_options own = DRAY_DIFF_OPTIONS_INIT;
	const struct stack_options so = { .contents = true, .lazy = true, .diff_ids = true };
	struct dray_diff *d = mem_zalloc(sizeof(*d));

	if (!d)
		return err_nomem(err);
	if (take_options(d, options_take(&own, sizeof(own), o), err) < 0 ||
	    place_check_creds(ctx, a, b, err) < 0 ||
	    stack_open(ctx, a, NULL, &so, &d->a, err) < 0 ||
	    stack_open(ctx, b, NULL, &so, &d->b, err) < 0 || compare(d, err) < 0) {
		dray_diff_free(d);
		return -1;
	}
	*ret = d;
	return 0;
}

bool dray_diff_same(const dray_diff *d)
{
	return d->n_members == 0 && d->n_layers == 0 && d->n_packages == 0 &&
	       d->counts.added + d->counts.removed + d->counts.changed == 0;
}

bool dray_diff_same_image_id(const dray_diff *d)
{
	return digest_eq(&d->a->im->config->digest, &d->b->im->config->digest);
}

size_t dray_diff_members(const dray_diff *d)
{
	return d->n_members;
}

const struct dray_diff_member *dray_diff_member(const dray_diff *d, size_t i)
{
	return i < d->n_members ? &d->members[i] : NULL;
}

size_t dray_diff_layers(const dray_diff *d)
{
	return d->n_layers;
}

const struct dray_diff_layer *dray_diff_layer(const dray_diff *d, size_t i)
{
	return i < d->n_layers ? &d->layers[i] : NULL;
}

size_t dray_diff_layers_same(const dray_diff *d)
{
	return d->layers_same;
}

size_t dray_diff_packages(const dray_diff *d)
{
	return d->n_packages;
}

const struct dray_diff_package *dray_diff_package(const dray_diff *d, size_t i)
{
	return i < d->n_packages ? &d->packages[i] : NULL;
}

struct dray_diff_counts dray_diff_file_counts(const dray_diff *d)
{
	return d->counts;
}

void dray_diff_free(dray_diff *d)
{
	if (!d)
		return;
	tree_free(d->tree_a);
	tree_free(d->tree_b);
	stack_free(d->a);
	stack_free(d->b);
	mem_free(d->members);
	mem_free(d->packages);
	arena_clear(&d->arena);
	mem_free(d);
}
