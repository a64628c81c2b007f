/* SPDX-License-Identifier: Apache-2.0
 *
 * Member names: one canonical form, and where links point inside the archive.
 * Relies on nothing but the bytes: '/' parts names, no file system is asked.
 * Promises that what it returns has no empty, "." or ".." part and no slash at either end.
 */
#include "base/limits.h"
#include "base/text.h"
#include "tar/tar.h"

unsigned tar_name_quirks(struct span name)
{
	unsigned q = 0;

	if (name.len > 0 && name.data[0] == '/')
		q |= TAR_NAME_ABSOLUTE;
	if (name.len > 1 && name.data[name.len - 1] == '/')
		q |= TAR_NAME_TRAILING_SLASH;
	for (size_t at = 0; at < name.len;) {
		const uint8_t *slash = memchr(name.data + at, '/', name.len - at);
		size_t end = slash ? (size_t)(slash - name.data) : name.len;
		struct span part = span_of(name.data + at, end - at);

		if (part.len == 0 && at > 0)
			q |= TAR_NAME_EMPTY_PART;
		else if (span_is(part, "."))
			q |= TAR_NAME_DOT;
		else if (span_is(part, ".."))
			q |= TAR_NAME_DOTDOT;
		at = end + 1;
	}
	return q;
}

static int leaves_root(struct span name, dray_error **err)
{
	cleanup_free char *safe = text_safe(name, 200);

	return err_set(err, DRAY_ERR_FORMAT, "name \"%s\" leaves the archive", safe ? safe : "?");
}

/* Take the last part away from what @p ret got since @p start. False at the root. */
static bool drop_part(struct buf *ret, size_t start)
{
	if (ret->len == start)
		return false;
	while (ret->len > start && ret->data[ret->len - 1] != '/')
		ret->len--;
	if (ret->len > start)
		ret->len--;
	return true;
}

static int add_part(struct buf *ret, size_t start, struct span part, dray_error **err)
{
	if (ret->len > start && buf_add_byte(ret, '/', err) < 0)
		return -1;
	return buf_add(ret, part, err);
}

/* Walk @p name on from the cleaned name that @p ret holds since @p start. */
static int walk(struct span name, struct buf *ret, size_t start, dray_error **err)
{
	for (size_t at = 0; at < name.len;) {
		const uint8_t *slash = memchr(name.data + at, '/', name.len - at);
		size_t end = slash ? (size_t)(slash - name.data) : name.len;
		struct span part = span_of(name.data + at, end - at);

		at = end + 1;
		if (part.len == 0 || span_is(part, "."))
			continue;
		if (span_is(part, "..")) {
			if (!drop_part(ret, start))
				return leaves_root(name, err);
		} else if (add_part(ret, start, part, err) < 0) {
			return -1;
		}
	}
	return 0;
}

int tar_name_clean(struct span name, struct buf *ret, dray_error **err)
{
	if (name.len > LIMIT_PATH)
		return err_set(err, DRAY_ERR_LIMIT, "a name of %zu bytes is over LIMIT_PATH (%lld)",
			       name.len, LIMIT_PATH);
	return walk(name, ret, ret->len, err);
}

int tar_link_resolve(struct span from, struct span target, struct buf *ret, dray_error **err)
{
	size_t start = ret->len;

	if (target.len > 0 && target.data[0] == '/')
		return walk(target, ret, start, err);
	if (walk(from, ret, start, err) < 0)
		return -1;
	if (!drop_part(ret, start))
		return leaves_root(from, err);
	return walk(target, ret, start, err);
}
