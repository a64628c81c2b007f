/* SPDX-License-Identifier: Apache-2.0
 *
 * deal: attributes as they are written.
 * Relies on nothing but the entry.
 * Promises whole seconds and sorted xattrs, and that no entry of a source is changed.
 */
#include "build/deal_priv.h"

static int sort_xattrs(struct arena *a, struct layer_entry *e, dray_error **err)
{
	cleanup_free struct tar_xattr *list = NULL;
	struct layer_xattrs *x;
	size_t n;

	if (!e->xattrs)
		return 0;
	if (layer_xattrs_sorted(e->xattrs, &list, &n, err) < 0)
		return -1;
	x = arena_alloc(a, sizeof(*x) + n * sizeof(x->list[0]));
	if (!x)
		return err_nomem(err);
	if (n)
		memcpy(x->list, list, n * sizeof(x->list[0]));
	x->n = n;
	e->xattrs = x;
	return 0;
}

int deal_own_attributes(struct dealer *k, struct inode *i, dray_error **err)
{
	struct layer_entry *e;

	if (i->attrs && !i->attrs->mtime_nsec && !i->attrs->xattrs)
		return 0;
	e = arena_alloc(&k->d->arena, sizeof(*e));
	if (!e)
		return err_nomem(err);
	if (i->attrs)
		*e = *i->attrs;
	else
		*e = (struct layer_entry){ .type = TAR_DIR,
					   .mode = 0755,
					   .path = "",
					   .uname = "",
					   .gname = "",
					   .mtime = k->in->mtime.sec };
	e->mtime_nsec = 0;
	i->attrs = e;
	return sort_xattrs(&k->d->arena, e, err);
}
