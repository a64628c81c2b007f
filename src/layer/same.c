/* SPDX-License-Identifier: Apache-2.0
 *
 * When two inodes are the same file.
 * Relies on contents hashed while the layers were read.
 * Promises to take for different what it can't compare.
 */
#include "layer/change.h"

static bool has_xattr(const struct layer_xattrs *x, const struct tar_xattr *want)
{
	for (size_t i = 0; i < x->n; i++)
		if (span_eq(x->list[i].name, want->name))
			return span_eq(x->list[i].value, want->value);
	return false;
}

static size_t count_xattrs(const struct layer_xattrs *x)
{
	size_t n = 0;

	for (size_t i = 0; x && i < x->n; i++)
		n += !xattr_is_overlay(x->list[i].name);
	return n;
}

bool layer_xattrs_same(const struct layer_xattrs *a, const struct layer_xattrs *b)
{
	size_t n = count_xattrs(a);

	if (n != count_xattrs(b))
		return false;
	for (size_t i = 0; n > 0 && i < a->n; i++)
		if (!xattr_is_overlay(a->list[i].name) && !has_xattr(b, &a->list[i]))
			return false;
	return true;
}

static bool same_attributes(const struct inode *x, const struct inode *y, enum tar_type type)
{
	static const struct layer_entry implied = { .type = TAR_DIR, .mode = 0755 };
	const struct layer_entry *a = x->attrs ? x->attrs : &implied;
	const struct layer_entry *b = y->attrs ? y->attrs : &implied;

	/* Nobody sets the mode of a symbolic link. */
	return (a->mode == b->mode || type == TAR_SYMLINK) && a->uid == b->uid &&
	       a->gid == b->gid && a->mtime == b->mtime && a->mtime_nsec == b->mtime_nsec &&
	       layer_xattrs_same(a->xattrs, b->xattrs);
}

static bool same_bytes(const struct layer_entry *a, const struct layer_entry *b)
{
	return a->content && b->content && memcmp(a->content, b->content, CONTENT_DIGEST_LEN) == 0;
}

static bool same_data(const struct layer_entry *a, const struct layer_entry *b, enum tar_type type)
{
	if (a == b)
		return true;
	switch (type) {
	case TAR_DIR:
	case TAR_FIFO:
		return true;
	case TAR_SYMLINK:
		return strcmp(a->link, b->link) == 0;
	case TAR_CHAR:
	case TAR_BLOCK_DEV:
		return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
	case TAR_FILE:
	case TAR_SPARSE: /* by what is read from it, however it is stored */
		return same_bytes(a, b);
	default:
		return false;
	}
}

static enum tar_type type_of(const struct inode *i)
{
	return i->data ? (enum tar_type)i->data->type : TAR_DIR;
}

bool inode_same(const struct inode *a, const struct inode *b)
{
	enum tar_type type = type_of(a);

	return type == type_of(b) && same_data(a->data, b->data, type) &&
	       same_attributes(a, b, type);
}
