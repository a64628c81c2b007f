/* SPDX-License-Identifier: Apache-2.0
 *
 * squash: the upper layers of an image in one, the lower ones as they are.
 * Relies on layer/change for what the one must say and on ops/relayer for the rest.
 * Promises the same rootfs id, times included, and lower blobs byte for byte.
 */
#include "base/number.h"
#include "layer/change.h"
#include "ops/relayer.h"

#define SHORT_MIN 12 /* hex digits of a DiffID, as blame and diff show them */
#define ALGORITHM "sha256:"

/* The digits of a DiffID, or of its beginning, with the algorithm or without. */
static bool take_digits(const char *text, struct span *ret)
{
	struct span s = span_str(text);

	if (span_starts(s, ALGORITHM))
		s = span_from(s, strlen(ALGORITHM));
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("0123456789abcdef", s.data[i]))
			return false;
	*ret = s;
	return s.len >= SHORT_MIN && s.len <= 64;
}

/* The lowest layer whose DiffID begins so. A layer may be there twice, two layers are one too many. */
static int find_short(const struct stack *s, struct span digits, size_t *ret, dray_error **err)
{
	const struct digest *found = NULL;

	for (size_t i = 0; i < s->n; i++) {
		const struct digest *d = &s->im->layers[i].diff_id;
		struct span text = span_str(d->text);

		if (!span_starts(text, ALGORITHM) ||
		    !span_eq(span_head(span_from(text, strlen(ALGORITHM)), digits.len), digits))
			continue;
		if (found && !digest_eq(found, d))
			return err_set(err, DRAY_ERR_USAGE,
				       "%s has several layers whose DiffID begins so",
				       s->im->where);
		*ret = found ? *ret : i;
		found = d;
	}
	return found ? 0
		     : err_set(err, DRAY_ERR_NOT_FOUND, "%s has no layer of DiffID %.*s",
			       s->im->where, (int)digits.len, (const char *)digits.data);
}

/* The lowest layer that goes into the new one. */
static int find_first(const struct stack *s, const struct dray_squash_options *o, size_t *ret,
		      dray_error **err)
{
	struct span digits;
	struct digest d;
	int64_t number;

	if (!o->from) {
		if (o->last < 1 || (uint64_t)o->last > s->n)
			return err_set(err, DRAY_ERR_USAGE, "%s has %zu layers, not %lld",
				       s->im->where, s->n, (long long)o->last);
		*ret = s->n - (size_t)o->last;
		return 0;
	}
	if (num_parse_u63(span_str(o->from), &number) && (uint64_t)number < s->n) {
		*ret = (size_t)number;
		return 0;
	}
	if (take_digits(o->from, &digits))
		return find_short(s, digits, ret, err);
	if (num_parse_u63(span_str(o->from), &number))
		return err_set(err, DRAY_ERR_USAGE, "%s has %zu layers, from 0 on; not %lld",
			       s->im->where, s->n, (long long)number);
	if (digest_parse(span_str(o->from), &d, NULL) < 0)
		return err_set(err, DRAY_ERR_USAGE, "%.128s is no number and no digest", o->from);
	for (*ret = 0; *ret < s->n; ++*ret) /* of another algorithm */
		if (digest_eq(&s->im->layers[*ret].diff_id, &d))
			return 0;
	return err_set(err, DRAY_ERR_NOT_FOUND, "%s has no layer of DiffID %s", s->im->where,
		       d.text);
}

static int find_change(struct stack *s, size_t first, struct change **ret, dray_error **err)
{
	cleanup_tree struct tree *lower = NULL, *upper = NULL;

	if (stack_tree(s, first, &lower, err) < 0 || stack_tree(s, s->n, &upper, err) < 0)
		return -1;
	return change_find(lower, upper, ret, err);
}

static int squash(struct stack *s, size_t first, const char *image, const char *dst,
		  const struct dray_copy_options *o, dray_relayered **ret, dray_error **err)
{
	struct relayer_plan plan = {
		.image = image, .stack = s, .n = first + 1, .same_tree = true
	};
	struct remake_layer *layers = arena_array(&s->arena, plan.n, sizeof(*layers));
	const char *step = arena_printf(&s->arena, "dray squash # layers %zu to %zu", first,
					s->n - 1);
	cleanup_change struct change *c = NULL;

	if (!layers || !step)
		return err_nomem(err);
	if (find_change(s, first, &c, err) < 0 ||
	    relayer_history(s, first, &step, 1, &plan, err) < 0)
		return -1;
	for (size_t i = 0; i < first; i++)
		layers[i] = (struct remake_layer){ .stack = s, .keep = (int64_t)i };
	layers[first] = (struct remake_layer){ .stack = s, .keep = -1, .list = change_records(c) };
	plan.layers = layers;
	return relayer_run(&plan, dst, o, ret, err);
}

int dray_squash(dray_context *ctx, const char *image, const struct dray_select *sel,
		const char *dst, const struct dray_squash_options *so,
		const struct dray_copy_options *o, dray_relayered **ret, dray_error **err)
{
	struct dray_squash_options own = DRAY_SQUASH_OPTIONS_INIT;
	const struct stack_options options = { .contents = true };
	cleanup_stack struct stack *s = NULL;
	size_t first = 0;

	if (stack_open(ctx, image, sel, &options, &s, err) < 0 ||
	    find_first(s, options_take(&own, sizeof(own), so), &first, err) < 0)
		return -1;
	return squash(s, first, image, dst, o, ret, err);
}
