/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what differs between two images, for people.
 * Relies on: page.h for making texts of images harmless.
 * Promises: "+" is what B alone has, "-" what A alone has, "~" what differs; a line is a line.
 */
#include "base/number.h"
#include "cli/diff.h"

static char diff_sign(const void *a, const void *b)
{
	return !a ? '+' : !b ? '-' : '~';
}

/* ---- config ---- */

#define INDENT 4
#define SHORT_VALUES 80 /* bytes of both values */

static void put_elements(struct page *p, char sign, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		page_put(p, "    %c ", sign);
		page_line(p, list[i], INDENT + 2);
		page_put(p, "\n");
	}
}

static void put_value(struct page *p, char sign, const char *value)
{
	if (value)
		put_elements(p, sign, &value, 1);
}

static size_t length(const char *value)
{
	return value ? strlen(value) : 0;
}

/* A single value or a short pair stands behind its name. */
static void put_short(struct page *p, const struct dray_diff_member *m)
{
	page_put(p, ": ");
	page_safe(p, m->a ? m->a : m->b);
	if (m->a && m->b) {
		page_put(p, " -> ");
		page_safe(p, m->b);
	}
	page_put(p, "\n");
}

static void put_member(struct page *p, const struct dray_diff_member *m)
{
	page_put(p, "  %c ", diff_sign(m->a, m->b));
	page_safe(p, m->path);
	if (m->n_only_a + m->n_only_b == 0 && length(m->a) + length(m->b) <= SHORT_VALUES) {
		put_short(p, m);
		return;
	}
	page_put(p, "\n");
	if (m->n_only_a + m->n_only_b) {
		put_elements(p, '-', m->only_a, m->n_only_a);
		put_elements(p, '+', m->only_b, m->n_only_b);
		return;
	}
	/* No lists, or the same elements in another order. */
	put_value(p, '-', m->a);
	put_value(p, '+', m->b);
}

static void put_config(struct page *p, const dray_diff *d)
{
	size_t n = dray_diff_members(d);

	if (n == 0)
		return;
	page_heading(p, "config");
	page_put(p, ": %zu %s\n", n, n == 1 ? "difference" : "differences");
	for (size_t i = 0; i < n; i++)
		put_member(p, dray_diff_member(d, i));
}

/* ---- layers ---- */

static void put_layer_side(struct page *p, char sign, const struct dray_diff_layer_side *l)
{
	char digest[13];

	if (l->index < 0)
		return;
	page_put(p, "  %c %3lld  %-12s  ", sign, (long long)l->index,
		 l->diff_id ? short_digest(l->diff_id, digest) : "?");
	page_line(p, l->created_by ? l->created_by : "(no history)", 23);
	page_put(p, "\n");
}

static void put_layers(struct page *p, const dray_diff *d)
{
	if (dray_diff_layers(d) == 0)
		return;
	page_heading(p, "layers");
	page_put(p, ": %zu the same\n", dray_diff_layers_same(d));
	for (size_t i = 0; i < dray_diff_layers(d); i++) {
		put_layer_side(p, '-', &dray_diff_layer(d, i)->a);
		put_layer_side(p, '+', &dray_diff_layer(d, i)->b);
	}
}

/* ---- packages ---- */

static void put_package(struct page *p, const struct dray_diff_package *k)
{
	page_put(p, "  %c %s ", diff_sign(k->a, k->b), k->manager);
	page_safe(p, k->name);
	if (*k->arch) {
		page_put(p, ":");
		page_safe(p, k->arch);
	}
	page_put(p, " ");
	page_safe(p, k->a ? k->a : k->b);
	if (k->a && k->b) {
		page_put(p, " -> ");
		page_safe(p, k->b);
	}
	page_put(p, "\n");
}

static void put_packages(struct page *p, const dray_diff *d)
{
	size_t n = dray_diff_packages(d), added = 0, removed = 0;

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		added += !dray_diff_package(d, i)->a;
		removed += !dray_diff_package(d, i)->b;
	}
	page_heading(p, "packages");
	page_put(p, ": %zu added, %zu removed, %zu changed\n", added, removed, n - added - removed);
	for (size_t i = 0; i < n; i++)
		put_package(p, dray_diff_package(d, i));
}

/* ---- files ---- */

struct listing {
	struct session *s;
	dray_error **err;
};

static void put_path(struct page *p, const struct dray_diff_file *f)
{
	const struct dray_file *only = !f->a ? f->b : !f->b ? f->a : NULL;

	page_safe(p, *f->path ? f->path : ".");
	if (only && strcmp(only->type, "dir") == 0)
		page_put(p, "/");
	if (only && only->link) {
		page_put(p, " -> ");
		page_safe(p, only->link);
	}
}

/* Both values, where they are short. */
static void put_values(struct page *p, enum dray_diff_what what, const struct dray_file *f)
{
	char time[TIME_TEXT];

	switch (what) {
	case DRAY_DIFF_TYPE:
		page_put(p, "%s", f->type);
		return;
	case DRAY_DIFF_SIZE:
		page_put(p, "%lld", (long long)f->size);
		return;
	case DRAY_DIFF_MODE:
		page_put(p, "%04o", f->mode);
		return;
	case DRAY_DIFF_OWNER:
		page_put(p, "%u/%u", f->uid, f->gid);
		return;
	case DRAY_DIFF_MTIME:
		page_put(p, "%s", time_format_utc(f->mtime, (int32_t)f->mtime_nsec, time));
		return;
	case DRAY_DIFF_LINK:
		page_safe(p, f->link);
		return;
	case DRAY_DIFF_DEVICE:
		page_put(p, "%u,%u", f->dev_major, f->dev_minor);
		return;
	default:
		return;
	}
}

#define WITH_VALUES                                                                             \
	(DRAY_DIFF_TYPE | DRAY_DIFF_SIZE | DRAY_DIFF_MODE | DRAY_DIFF_OWNER | DRAY_DIFF_MTIME | \
	 DRAY_DIFF_LINK | DRAY_DIFF_DEVICE)

static void put_what(struct page *p, const struct dray_diff_file *f)
{
	const char *between = ": ";

	for (size_t i = 0; diff_what_name(i); i++) {
		unsigned bit = 1U << i;

		if (!(f->what & bit))
			continue;
		page_put(p, "%s%s", between, diff_what_name(i));
		between = ", ";
		if (!(bit & WITH_VALUES))
			continue;
		page_put(p, " ");
		put_values(p, (enum dray_diff_what)bit, f->a);
		page_put(p, " -> ");
		put_values(p, (enum dray_diff_what)bit, f->b);
	}
}

static int put_file(void *arg, const struct dray_diff_file *f)
{
	struct listing *l = arg;
	struct page *p = &l->s->page;

	page_put(p, "  %c ", diff_sign(f->a, f->b));
	put_path(p, f);
	put_what(p, f);
	page_put(p, "\n");
	return session_pour(l->s, l->err);
}

static void put_counts(struct page *p, const struct dray_diff_counts *n)
{
	page_heading(p, "files");
	page_put(p, ": %lld added, %lld removed, %lld changed", (long long)n->added,
		 (long long)n->removed, (long long)n->changed);
	if (n->only_times)
		page_put(p, ", of these %lld in nothing but times", (long long)n->only_times);
	page_put(p, "\n");
}

static int put_files(struct session *s, dray_diff *d, dray_error **err)
{
	struct dray_diff_counts n = dray_diff_file_counts(d);
	struct listing l = { s, err };

	if (n.added + n.removed + n.changed == 0)
		return 0;
	put_counts(&s->page, &n);
	return dray_diff_files(d, put_file, &l, err);
}

int diff_text(struct session *s, dray_diff *d, dray_error **err)
{
	struct page *p = &s->page;

	if (dray_diff_same(d))
		page_put(p, "no difference%s\n",
			 dray_diff_same_image_id(d) ? "" : ", but other image IDs");
	put_config(p, d);
	put_layers(p, d);
	put_packages(p, d);
	return put_files(s, d, err);
}
