/* SPDX-License-Identifier: Apache-2.0
 *
 * The digest of a tree: a text of one record for each name, hashed as it is made.
 * Relies on tree_finish() for the order, on contents hashed while the layers were read.
 * Promises what docs/rootfs-id.md says, to the byte.
 */
#include "layer/rootfs.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"

#define HEADING "dray rootfs 1\n"

struct listing {
	struct hash hash;
	struct buf record, path, link;
	struct first_names firsts;
	bool mtime;
};

static char type_letter(enum tar_type t)
{
	switch (t) {
	case TAR_DIR:
		return 'd';
	case TAR_SYMLINK:
		return 'l';
	case TAR_CHAR:
		return 'c';
	case TAR_BLOCK_DEV:
		return 'b';
	case TAR_FIFO:
		return 'p';
	default:
		return 'f';
	}
}

/* A time that is an attribute counts as times do. */
static bool counts(const struct listing *l, struct span name)
{
	return l->mtime || !span_is(name, TAR_WINDOWS_CREATED);
}

static int add_field(struct buf *b, struct span text, dray_error **err)
{
	return buf_add(b, text, err) < 0 ? -1 : buf_add_byte(b, 0, err);
}

static int add_number(struct buf *b, bool octal, uint32_t v, dray_error **err)
{
	char text[24];

	snprintf(text, sizeof(text), octal ? "%04o" : "%u", v);
	return add_field(b, span_str(text), err);
}

static int add_counted(struct buf *b, struct span bytes, dray_error **err)
{
	return buf_printf(b, err, "%zu:", bytes.len) < 0 ? -1 : buf_add(b, bytes, err);
}

static int add_xattrs(struct listing *l, const struct layer_xattrs *x, dray_error **err)
{
	cleanup_free struct tar_xattr *sorted = NULL;
	size_t n;

	if (layer_xattrs_sorted(x, &sorted, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (counts(l, sorted[i].name) &&
		    (add_counted(&l->record, sorted[i].name, err) < 0 ||
		     add_counted(&l->record, sorted[i].value, err) < 0))
			return -1;
	return 0;
}

static int add_content(struct listing *l, const struct node *n, dray_error **err)
{
	const struct layer_entry *e = n->inode->data;
	char hex[2 * CONTENT_DIGEST_LEN + 1];

	switch (node_type(n)) {
	case TAR_SYMLINK:
		return add_field(&l->record, span_str(e->link), err);
	case TAR_CHAR:
	case TAR_BLOCK_DEV:
		return add_number(&l->record, false, e->dev_major, err) < 0
			       ? -1
			       : add_number(&l->record, false, e->dev_minor, err);
	case TAR_FILE:
	case TAR_SPARSE:
		break;
	default:
		return add_field(&l->record, (struct span){ 0 }, err);
	}
	hex_encode(e->content, CONTENT_DIGEST_LEN, hex);
	return add_field(&l->record, span_str(hex), err);
}

static int add_time(struct buf *b, const struct layer_entry *a, dray_error **err)
{
	char text[48];

	snprintf(text, sizeof(text), "%lld.%09u", (long long)a->mtime, a->mtime_nsec);
	return add_field(b, span_str(text), err);
}

static int add_attributes(struct listing *l, const struct node *n, dray_error **err)
{
	const struct layer_entry *a = node_attributes(n);
	bool link = node_type(n) == TAR_SYMLINK; /* whose mode nobody sets */

	char letter = type_letter(node_type(n));

	if (add_field(&l->record, span_of(&letter, 1), err) < 0 ||
	    add_number(&l->record, true, link ? 0777 : a->mode, err) < 0 ||
	    add_number(&l->record, false, a->uid, err) < 0 ||
	    add_number(&l->record, false, a->gid, err) < 0 || add_content(l, n, err) < 0)
		return -1;
	if (l->mtime && add_time(&l->record, a, err) < 0)
		return -1;
	return add_xattrs(l, a->xattrs, err);
}

static int add_node(struct listing *l, const struct node *n, dray_error **err)
{
	const struct node *first;

	buf_reset(&l->record);
	if (node_path(n, &l->path, err) < 0 || first_name(&l->firsts, n, &first, err) < 0 ||
	    add_field(&l->record, span_buf(&l->path), err) < 0)
		return -1;
	if (!first)
		return add_attributes(l, n, err);
	if (node_path(first, &l->link, err) < 0 || add_field(&l->record, SPAN_LIT("h"), err) < 0)
		return -1;
	return add_field(&l->record, span_buf(&l->link), err);
}

static int list(struct listing *l, const struct tree *t, dray_error **err)
{
	hash_update(&l->hash, SPAN_LIT(HEADING));
	for (const struct node *n = tree_root(t); n; n = tree_next(n)) {
		if (add_node(l, n, err) < 0 || buf_add_byte(&l->record, '\n', err) < 0)
			return -1;
		hash_update(&l->hash, span_buf(&l->record));
	}
	return 0;
}

int rootfs_id(const struct tree *t, bool mtime, struct digest *ret, dray_error **err)
{
	struct listing l = { .mtime = mtime };
	int rc;

	l.record = BUF_INIT(4 * LIMIT_PAX);
	l.path = l.link = BUF_INIT(2 * LIMIT_PATH);
	rc = hash_init(&l.hash, DIGEST_SHA256, err);
	if (rc == 0)
		rc = list(&l, t, err);
	if (rc == 0)
		rc = hash_finish(&l.hash, ret, err);
	hash_clear(&l.hash);
	first_names_clear(&l.firsts);
	buf_clear(&l.record);
	buf_clear(&l.path);
	buf_clear(&l.link);
	return rc;
}
