/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and groups of a build: lines added to passwd and group, of the base or of a source.
 * Relies on build/accounts for the lines.
 * Promises that lines which are there stay as they are.
 */
#include "ops/build.h"

#include "base/limits.h"
#include "base/mem.h"
#include "build/accounts.h"

#define PASSWD_MAX (16 * MIB) /* bytes of passwd or group of a base */

static int read_old(struct build *b, const struct node *n, struct span *ret, dray_error **err)
{
	struct stack_file f = { .inode = n->inode };
	uint8_t *bytes;
	int64_t size = n->inode->data->size;

	if (node_type(n) != TAR_FILE || size > PASSWD_MAX)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "it is no file that lines are added to");
	if (n->inode->data_layer < b->n_base) {
		if (stack_read_files(b->base, &f, 1, PASSWD_MAX, &b->arena, err) < 0)
			return -1;
		*ret = span_of(f.bytes.data, f.bytes.len);
		return 0;
	}
	bytes = arena_alloc(&b->arena, (size_t)size + 1);
	if (!bytes)
		return err_nomem(err);
	*ret = span_of(bytes, (size_t)size);
	for (int64_t at = 0; at < size;) {
		struct layer_feed feed = inputs_feed(&b->in);
		int64_t got = feed.read(feed.arg, 0, n->inode->data->data_off + at, bytes + at,
					(size_t)(size - at), err);

		if (got < 0)
			return -1;
		at += got;
	}
	return 0;
}

typedef int lines_fn(const struct spec *s, struct span old, struct buf *ret, dray_error **err);

/* The file with its new lines, as an entry that keeps what it carried. */
static int add_lines(struct build *b, const char *name, lines_fn *lines, struct layer_index *ix,
		     dray_error **err)
{
	const struct policy root = { .uname = "", .gname = "", .mtime = b->spec->mtime };
	cleanup_buf struct buf text = BUF_INIT(PASSWD_MAX + LIMIT_SPEC);
	struct span old = { 0 }, bytes;
	const struct node *n;
	const char *path;
	struct layer_entry *e;

	if (merge_resolve(&b->merge, name, &path, err) < 0)
		return -1;
	n = tree_find(b->tree, path);
	if ((n && read_old(b, n, &old, err) < 0) || lines(b->spec, old, &text, err) < 0)
		return -1;
	if (span_eq(span_buf(&text), old))
		return 0;
	bytes = arena_dup(&b->arena, span_buf(&text));
	if (!bytes.data)
		return err_nomem(err);
	if (build_add_bytes(b, path, bytes, &root, ix, err) < 0)
		return -1;
	e = &ix->list[ix->n - 1];
	if (!n)
		return 0;
	e->mode = n->inode->attrs->mode;
	e->uid = n->inode->attrs->uid;
	e->gid = n->inode->attrs->gid;
	e->xattrs = n->inode->attrs->xattrs;
	return 0;
}

int build_take_users(struct build *b, dray_error **err)
{
	const char *conflict = b->merge.conflict;
	struct merge_source m = { .ix = entries_new(err) };
	int rc;

	if (!m.ix || build_keep_index(b, m.ix, err) < 0)
		return -1;
	if (add_lines(b, "etc/passwd", accounts_passwd, m.ix, err) < 0)
		return err_ctx(err, "/etc/passwd");
	if (add_lines(b, "etc/group", accounts_group, m.ix, err) < 0)
		return err_ctx(err, "/etc/group");
	b->merge.conflict = "last"; /* the new text has the old one in it */
	rc = build_apply(b, &m, UINT32_MAX, err);
	b->merge.conflict = conflict;
	return rc;
}
