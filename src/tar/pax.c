/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of pax extended headers, strictly (reliability T-04..T-07, T-10).
 * Relies on POSIX.1-2017 pax "pax Extended Header": "LENGTH KEY=VALUE\n", length in bytes.
 * Promises that a block which any reader could split otherwise is refused.
 */
#include <stdarg.h>
#include <stdio.h>
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "tar/tar_priv.h"

struct record {
	struct span key, value;
};

/* Keys that change an entry. */
static const char *const key_names[PAX_KEYS] = {
	[PAX_PATH] = "path",
	[PAX_LINKPATH] = "linkpath",
	[PAX_SIZE] = "size",
	[PAX_UID] = "uid",
	[PAX_GID] = "gid",
	[PAX_UNAME] = "uname",
	[PAX_GNAME] = "gname",
	[PAX_MTIME] = "mtime",
	[PAX_SPARSE_NAME] = "GNU.sparse.name",
	[PAX_SPARSE_MAJOR] = "GNU.sparse.major",
	[PAX_SPARSE_MINOR] = "GNU.sparse.minor",
	[PAX_SPARSE_SIZE] = "GNU.sparse.size",
	[PAX_SPARSE_REALSIZE] = "GNU.sparse.realsize",
	[PAX_SPARSE_BLOCKS] = "GNU.sparse.numblocks",
	[PAX_SPARSE_MAP] = "GNU.sparse.map",
};
static const char *const ignored_names[] = { "atime", "ctime", "charset", "hdrcharset" };
#define XATTR_PREFIX "SCHILY.xattr."
#define SPARSE_PREFIX "GNU.sparse."

void tar_report(const struct tar_report *r, const char *code, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (!r->fn)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->fn(r->arg, &(struct tar_oddity){ .code = code, .off = r->off, .message = text });
}

void tar_pax_reset(struct tar_pax *p)
{
	memset(p->has, 0, sizeof(p->has));
	p->sparse = p->half = false;
	p->map.n = 0;
	p->n_xattrs = 0;
	p->windows = false;
	p->created = (struct span){ 0 };
}

void tar_pax_clear(struct tar_pax *p)
{
	mem_free(p->xattrs);
	tar_map_clear(&p->map);
	*p = (struct tar_pax){ 0 };
}

static int malformed(dray_error **err, const char *why)
{
	return err_set(err, DRAY_ERR_FORMAT, "pax record: %s", why);
}

/* The next record of @p rest, which advances: 1, 0 at the end, -1. */
static int next_record(struct span *rest, struct record *ret, dray_error **err)
{
	int64_t space, equals, len;
	struct span body;

	if (rest->len == 0)
		return 0;
	space = span_find(span_head(*rest, 12), ' '); /* a block holds 7 digits at most */
	if (space < 0 || !num_parse_u63(span_head(*rest, (size_t)space), &len))
		return malformed(err, "length is no number");
	if (len <= space + 1 || (uint64_t)len > rest->len)
		return malformed(err, "length does not fit");
	if (rest->data[len - 1] != '\n')
		return malformed(err, "does not end in a newline");
	body = span_of(rest->data + space + 1, (size_t)(len - space - 2));
	equals = span_find(body, '=');
	if (equals <= 0)
		return malformed(err, "has no key");
	ret->key = span_head(body, (size_t)equals);
	ret->value = span_from(body, (size_t)equals + 1);
	if (span_find(ret->key, 0) >= 0)
		return malformed(err, "NUL in a key");
	*rest = span_from(*rest, (size_t)len);
	return 1;
}

static int key_of(struct span key)
{
	for (int i = 0; i < PAX_KEYS; i++)
		if (span_is(key, key_names[i]))
			return i;
	return -1;
}

/* "-12.345": whole seconds rounded down, so that the fraction always adds. */
static bool parse_time(struct span text, int64_t *ret_sec, int32_t *ret_nsec)
{
	bool negative = text.len > 0 && text.data[0] == '-';
	struct span rest = span_from(text, negative);
	int64_t dot = span_find(rest, '.'), sec, nsec = 0;

	if (!num_parse_u63(dot < 0 ? rest : span_head(rest, (size_t)dot), &sec))
		return false;
	for (size_t i = 0; dot >= 0 && i < rest.len - (size_t)dot - 1; i++) {
		uint8_t c = rest.data[(size_t)dot + 1 + i];

		if (c < '0' || c > '9')
			return false;
		if (i < 9)
			nsec = nsec * 10 + (c - '0');
	}
	for (size_t i = dot < 0 ? 0 : rest.len - (size_t)dot - 1; i < 9; i++)
		nsec *= 10;
	if (negative) {
		sec = -sec - (nsec != 0);
		nsec = nsec ? 1000000000 - nsec : 0;
	}
	*ret_sec = sec;
	*ret_nsec = (int32_t)nsec;
	return true;
}

static int set_known(enum tar_pax_key key, struct span value, struct tar_pax *ret, dray_error **err)
{
	bool good = true;

	switch (key) {
	case PAX_SIZE:
	case PAX_UID:
	case PAX_GID:
	case PAX_SPARSE_MAJOR:
	case PAX_SPARSE_MINOR:
	case PAX_SPARSE_SIZE:
	case PAX_SPARSE_REALSIZE:
	case PAX_SPARSE_BLOCKS:
		good = num_parse_u63(value, &ret->number[key]);
		break;
	case PAX_MTIME:
		good = parse_time(value, &ret->number[key], &ret->mtime_nsec);
		break;
	default:
		if (span_find(value, 0) >= 0)
			return err_set(err, DRAY_ERR_FORMAT, "pax record: NUL in %s",
				       key_names[key]);
		ret->text[key] = value;
	}
	if (!good)
		return err_set(err, DRAY_ERR_FORMAT, "pax record: %s is no number", key_names[key]);
	if (value.len > LIMIT_PATH &&
	    (key == PAX_PATH || key == PAX_LINKPATH || key == PAX_SPARSE_NAME))
		return err_set(err, DRAY_ERR_LIMIT, "pax record: %s over LIMIT_PATH (%lld bytes)",
			       key_names[key], LIMIT_PATH);
	ret->has[key] = true;
	return 0;
}

/* The last record of a key counts, for every reader; an empty one takes it back (T-06). */
static int take_known(enum tar_pax_key key, struct span value, struct tar_pax *ret, unsigned *seen,
		      const struct tar_report *report, dray_error **err)
{
	if (*seen & 1u << key)
		tar_report(report, "tar-pax-twin", "pax key %s is given twice", key_names[key]);
	*seen |= 1u << key;
	if (value.len > 0)
		return set_known(key, value, ret, err);
	tar_report(report, "tar-pax-empty-value",
		   "pax key %s is empty: the header's own value stands", key_names[key]);
	ret->has[key] = false;
	return 0;
}

bool tar_xattr_is_windows(struct span name)
{
	return span_starts(name, TAR_WINDOWS) || span_is(name, TAR_WINDOWS_CREATED);
}

static int add_xattr(struct span name, struct span value, struct tar_pax *ret, dray_error **err)
{
	if (name.len == 0)
		return malformed(err, "xattr without a name");
	if (mem_grow(&ret->xattrs, ret->n_xattrs, &ret->cap_xattrs, sizeof(*ret->xattrs)) < 0)
		return err_nomem(err);
	ret->xattrs[ret->n_xattrs++] = (struct tar_xattr){ .name = name, .value = value };
	return 0;
}

/* Format 0.0: a piece is two records, its offset and its size. */
static int add_piece(struct record rec, struct tar_pax *ret, dray_error **err)
{
	bool is_size = span_is(rec.key, SPARSE_PREFIX "numbytes");
	int64_t v;

	if (is_size != ret->half || !num_parse_u63(rec.value, &v))
		return malformed(err, "sparse offsets and sizes do not match");
	ret->half = !is_size;
	if (!is_size)
		return tar_map_add(&ret->map, v, 0, err);
	ret->map.list[ret->map.n - 1].size = v;
	return 0;
}

static int take_other(struct record rec, struct tar_pax *ret, const struct tar_report *report,
		      dray_error **err)
{
	if (span_starts(rec.key, XATTR_PREFIX))
		return add_xattr(span_from(rec.key, sizeof(XATTR_PREFIX) - 1), rec.value, ret, err);
	if (span_starts(rec.key, TAR_WINDOWS)) {
		ret->windows = true;
		return add_xattr(rec.key, rec.value, ret, err);
	}
	if (span_is(rec.key, TAR_WINDOWS_CREATED))
		ret->created = rec.value;
	if (span_is(rec.key, SPARSE_PREFIX "offset") || span_is(rec.key, SPARSE_PREFIX "numbytes"))
		return add_piece(rec, ret, err);
	if (span_is(rec.key, "hdrcharset") && !span_is(rec.value, "BINARY") &&
	    !span_is(rec.value, "ISO-IR 10646 2000 UTF-8"))
		tar_report(report, "tar-pax-charset",
			   "unknown hdrcharset: names are kept as bytes");
	return 0;
}

int tar_pax_parse(struct span block, struct tar_pax *ret, const struct tar_report *report,
		  dray_error **err)
{
	struct record rec;
	unsigned seen = 0;
	int rc;

	tar_pax_reset(ret);
	while ((rc = next_record(&block, &rec, err)) > 0) {
		int key = key_of(rec.key);

		ret->sparse = ret->sparse || span_starts(rec.key, SPARSE_PREFIX);
		rc = key >= 0
			     ? take_known((enum tar_pax_key)key, rec.value, ret, &seen, report, err)
			     : take_other(rec, ret, report, err);
		if (rc < 0)
			return -1;
	}
	if (rc == 0 && ret->half)
		return malformed(err, "sparse offsets and sizes do not match");
	if (rc == 0 && ret->windows && ret->created.data)
		return add_xattr(SPAN_LIT(TAR_WINDOWS_CREATED), ret->created, ret, err);
	return rc;
}

/* Keys that POSIX gives a meaning; "comment" has none. */
static bool changes_entries(struct span key)
{
	for (size_t i = 0; i < ARRAY_LEN(ignored_names); i++)
		if (span_is(key, ignored_names[i]))
			return true;
	return key_of(key) >= 0 || span_starts(key, SPARSE_PREFIX);
}

int tar_pax_check_global(struct span block, const struct tar_report *report, dray_error **err)
{
	struct record rec;
	int rc;

	while ((rc = next_record(&block, &rec, err)) > 0) {
		if (changes_entries(rec.key)) {
			cleanup_free char *key = text_safe(rec.key, 64);

			return err_set(err, DRAY_ERR_FORMAT,
				       "global pax record %s: readers disagree "
				       "whether it counts",
				       key ? key : "?");
		}
		if (span_starts(rec.key, XATTR_PREFIX))
			tar_report(report, "tar-global-xattr",
				   "global extended attribute is ignored");
	}
	return rc;
}
