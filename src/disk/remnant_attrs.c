/* SPDX-License-Identifier: Apache-2.0
 *
 * For: extended attributes of a file that a storage driver keeps.
 * Relies on: names that overlayfs, fuse-overlayfs and containers/storage give theirs.
 * Promises: a tar gets capabilities and what users set, and nothing of a driver's own.
 */
#include <stdlib.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "disk/remnant.h"

#define VALUE_MAX (64 * KIB) /* Linux has no longer ones */

/* ---- what drivers note ---- */

static bool is_name(const char *name, const char *last)
{
	static const char *const spaces[] = { "trusted.overlay.", "user.overlay.",
					      "user.fuseoverlayfs.", "trusted.fuseoverlayfs." };

	for (size_t i = 0; i < ARRAY_LEN(spaces); i++)
		if (span_starts(span_str(name), spaces[i]))
			return !last || strcmp(name + strlen(spaces[i]), last) == 0;
	return false;
}

static bool is_override(const char *name)
{
	return strcmp(name, "user.containers.override_stat") == 0 ||
	       strcmp(name, "user.fuseoverlayfs.override_stat") == 0 ||
	       strcmp(name, "security.fuseoverlayfs.override_stat") == 0;
}

static bool is_kept(const char *name)
{
	return strcmp(name, "security.capability") == 0 ||
	       (span_starts(span_str(name), "user.") && !is_name(name, NULL) &&
		!span_starts(span_str(name), "user.containers."));
}

/* The text up to the next ':', cut off *rest. */
static struct span field(struct span *rest)
{
	int64_t end = span_find(*rest, ':');
	struct span one = end < 0 ? *rest : span_head(*rest, (size_t)end);

	*rest = span_from(*rest, end < 0 ? rest->len : (size_t)end + 1);
	return one;
}

static bool octal(struct span s, uint32_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] < '0' || s.data[i] > '7' || *ret > 07777777)
			return false;
		*ret = *ret << 3 | (uint32_t)(s.data[i] - '0');
	}
	return s.len > 0;
}

static bool id(struct span s, uint32_t *ret)
{
	int64_t n;

	if (!num_parse_u63(s, &n) || n > UINT32_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* "char-1-3" or "block-8-0" behind the dash. */
static bool device(struct span s, const char *kind, struct remnant_entry *e)
{
	size_t len = strlen(kind);
	int64_t dash;

	if (!span_starts(s, kind))
		return false;
	s = span_from(s, len);
	dash = span_find(s, '-');
	return dash > 0 && id(span_head(s, (size_t)dash), &e->dev_major) &&
	       id(span_from(s, (size_t)dash + 1), &e->dev_minor);
}

/* A device or a fifo that its user could not make is an empty file that says so. */
static void override_type(struct span type, struct remnant_entry *e, struct remnant_marks *m)
{
	if (e->type != TAR_FILE || e->size)
		return;
	if (device(type, "char-", e)) {
		e->type = TAR_CHAR;
		m->whiteout = !e->dev_major && !e->dev_minor;
	} else if (device(type, "block-", e)) {
		e->type = TAR_BLOCK_DEV;
	} else if (span_is(type, "pipe")) {
		e->type = TAR_FIFO;
	}
}

/* "UID:GID:MODE[:TYPE]"; what does not read so says nothing. */
static void override(struct span value, struct remnant_entry *e, struct remnant_marks *m)
{
	struct span uid = field(&value), gid = field(&value), mode = field(&value);
	uint32_t u, g, bits;

	if (!id(uid, &u) || !id(gid, &g) || !octal(mode, &bits))
		return;
	e->uid = u;
	e->gid = g;
	e->mode = bits & 07777;
	override_type(field(&value), e, m);
}

/* ---- reading them ---- */

struct reading {
	struct arena *a;
	int dir;
	const char *base;
	struct remnant_entry *e;
	struct remnant_marks *marks;
	struct tar_xattr *list;
	size_t n;
};

static int keep(struct reading *r, const char *name, struct span value, dray_error **err)
{
	struct tar_xattr *to = &r->list[r->n];

	if (strchr(name, '=')) { /* where a pax record would end its key */
		r->marks->n_left++;
		return 0;
	}
	to->name = arena_dup(r->a, span_str(name));
	to->value = value.len ? arena_dup(r->a, value) : SPAN_LIT("");
	if (!to->name.data || !to->value.data)
		return err_nomem(err);
	r->n++;
	return 0;
}

static int read_one(struct reading *r, const char *name, dray_error **err)
{
	cleanup_buf struct buf value = BUF_INIT(VALUE_MAX);
	int rc;

	if (!is_kept(name) && !is_override(name) && !is_name(name, NULL))
		return 0;
	rc = io_get_xattr(r->dir, r->base, name, &value, err);
	if (rc <= 0)
		return rc;
	if (is_override(name))
		override(span_buf(&value), r->e, r->marks);
	else if (is_name(name, "opaque"))
		r->marks->opaque = span_is(span_buf(&value), "y");
	else if (is_name(name, "whiteout"))
		r->marks->whiteout = r->e->type == TAR_FILE && r->e->size == 0;
	else if (is_name(name, "metacopy") || is_name(name, "redirect"))
		r->marks->elsewhere = true;
	else if (is_kept(name))
		return keep(r, name, span_buf(&value), err);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct tar_xattr *x = a, *y = b;
	size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int rc = memcmp(x->name.data, y->name.data, n);

	return rc ? rc : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

int remnant_attributes(struct arena *a, int dir, const char *name, struct remnant_entry *e,
		       struct remnant_marks *ret, dray_error **err)
{
	cleanup_buf struct buf names = BUF_INIT(VALUE_MAX);
	struct reading r = { .a = a, .dir = dir, .base = name, .e = e, .marks = ret };
	size_t n = 0;

	*ret = (struct remnant_marks){ 0 };
	if (io_list_xattrs(dir, name, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++)
		n += names.data[i] == '\0';
	if (n == 0)
		return 0;
	r.list = arena_array(a, n, sizeof(*r.list));
	if (!r.list)
		return err_nomem(err);
	for (size_t i = 0; i < names.len; i += strlen((const char *)names.data + i) + 1)
		if (read_one(&r, (const char *)names.data + i, err) < 0)
			return -1;
	if (r.n)
		qsort(r.list, r.n, sizeof(*r.list), by_name);
	e->xattrs = r.list;
	e->n_xattrs = r.n;
	return 0;
}
