/* SPDX-License-Identifier: Apache-2.0
 *
 * For: where a path leads in a merged tree, as chroot(2) would have it.
 * Relies on: layer/tree for names.
 * Promises: links of an image never touch the host, nor cost more than a stated number of steps.
 */
#include "ops/packages_priv.h"

#include "base/limits.h"

#define COST_BYTES 4096 /* of path that count as one more link: no kernel takes so much */

struct walk {
	const struct tree *t;
	const struct node *at;
	struct buf rest; /* what is still to go, NUL behind it */
	size_t done;	 /* bytes of it that were gone */
	size_t *links_left;
	unsigned hops;
};

static int terminate(struct buf *b, dray_error **err)
{
	if (buf_add_byte(b, 0, err) < 0)
		return -1;
	b->len--;
	return 0;
}

/* The text of the link, then what is behind it. */
static int follow(struct walk *w, const struct node *link, dray_error **err)
{
	const char *text = link->inode->data->link;
	cleanup_buf struct buf rest = BUF_INIT(w->rest.max);

	size_t cost = 1 + w->rest.len / COST_BYTES;

	if (*w->links_left < cost)
		return err_set(err, DRAY_ERR_LIMIT,
			       "paths of packages lead through more than %d symbolic links "
			       "(LIMIT_PACKAGE_LINKS)",
			       LIMIT_PACKAGE_LINKS);
	*w->links_left -= cost;
	if (buf_add_str(&rest, text, err) < 0 ||
	    buf_add(&rest, span_from(span_buf(&w->rest), w->done), err) < 0 ||
	    terminate(&rest, err) < 0)
		return -1;
	if (text[0] == '/')
		w->at = tree_root(w->t);
	buf_clear(&w->rest);
	w->rest = rest;
	rest = (struct buf){ 0 };
	w->done = 0;
	return 0;
}

/* 1 = one name further, 0 = the rest is not there, or nothing is left of it. */
static int step(struct walk *w, dray_error **err)
{
	const char *name = (const char *)w->rest.data + w->done;
	const struct node *n;
	size_t len;

	name += strspn(name, "/");
	len = strcspn(name, "/");
	n = w->at;
	if (len == 0)
		return 0;
	if (len == 2 && name[0] == '.' && name[1] == '.')
		n = n->parent ? n->parent : n;
	else if (len != 1 || name[0] != '.')
		n = tree_child(w->t, w->at, name, len);
	if (!n || (node_type(n) == TAR_SYMLINK && ++w->hops > LIMIT_SYMLINK_HOPS))
		return 0;
	w->done = (size_t)((const uint8_t *)name - w->rest.data) + len;
	if (node_type(n) == TAR_SYMLINK)
		return follow(w, n, err) < 0 ? -1 : 1;
	w->at = n;
	return 1;
}

/* Where the walk ended: the node's path, and behind it what is not there. */
static int tell(const struct walk *w, struct buf *ret, const struct node **ret_node,
		dray_error **err)
{
	const char *left = (const char *)w->rest.data + w->done;

	left += strspn(left, "/");
	*ret_node = *left ? NULL : w->at;
	if (node_path(w->at, ret, err) < 0)
		return -1;
	if (*left &&
	    ((ret->len && buf_add_byte(ret, '/', err) < 0) || buf_add_str(ret, left, err) < 0))
		return -1;
	return terminate(ret, err);
}

int package_lead(const struct tree *t, const char *path, size_t *links_left, struct buf *ret,
		 const struct node **ret_node, dray_error **err)
{
	struct walk w = { .t = t, .at = tree_root(t), .links_left = links_left };
	int rc;

	w.rest = BUF_INIT((LIMIT_SYMLINK_HOPS + 2) * LIMIT_PATH);
	rc = buf_add_str(&w.rest, path, err);
	if (rc == 0)
		rc = terminate(&w.rest, err);
	rc = rc < 0 ? -1 : 1;
	while (rc == 1)
		rc = step(&w, err);
	if (rc == 0)
		rc = tell(&w, ret, ret_node, err);
	buf_clear(&w.rest);
	return rc;
}
