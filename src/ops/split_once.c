/* SPDX-License-Identifier: Apache-2.0
 *
 * A cut by rules, written while the biggest layer is read for the first time.
 * Relies on layer/cut_foresee for where a path will go, on ops/merged for the tars.
 * Promises the layers of the plan, which is made when all is read, or to know that they are not.
 */
#include "ops/split.h"

/* Rules alone, which all make a layer, and one of what is left: nothing has to be known for that. */
static bool is_plain(const struct dray_split_options *o)
{
	return o->n_rules > 0 && o->n_rules < ONCE_TARS_MAX &&
	       (!o->by || strcmp(o->by, "none") == 0) && !o->previous && o->keep_base == 0 &&
	       o->max == 0 && o->max_size == 0;
}

int split_once_begin(struct split_once *s, bool *ret_likely, dray_error **err)
{
	*ret_likely = is_plain(s->o);
	if (!*ret_likely)
		return 0;
	return split_rules(s->o, &s->rules, err) < 0 ||
			       cut_foresight_init(&s->foresight, &s->rules, err) < 0
		       ? -1
		       : 0;
}

void split_once_clear(struct split_once *s)
{
	merged_clear(&s->merged);
	cut_foresight_clear(&s->foresight);
	cut_rules_clear(&s->rules);
}

size_t split_once_layers(const struct split_once *s)
{
	return s->rules.n + 1;
}

/* ---- writing ---- */

static int is_right(const struct split_once *s, dray_error **err)
{
	int rc = s->p->cut.n == split_once_layers(s);

	for (size_t i = 0; rc > 0 && i < s->p->cut.n; i++) {
		const struct record_list l = cut_records(&s->p->cut.list[i]);

		rc = merged_holds(&s->merged, i, &l, err);
	}
	return rc;
}

int split_once_write(struct split_once *s, struct sink *const *out, dray_error **err)
{
	const struct once_cut cut = cut_foresee(&s->foresight);
	int rc;

	s->merged.stack = s->p->stack;
	rc = merged_foresee(&s->merged, err);
	if (rc > 0)
		rc = merged_pass(&s->merged, out, split_once_layers(s), &cut, err);
	if (rc <= 0)
		return rc;
	if (split_make(s->p, s->o, err) < 0)
		return -1;
	rc = is_right(s, err);
	merged_clear(&s->merged);
	return rc;
}
