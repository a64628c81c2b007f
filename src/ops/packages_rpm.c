/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the headers of packages, which rpm keeps as blobs: an index of tags, then their data.
 * Relies on: packages.c to keep what is found.
 * Promises: no byte outside the blob is looked at, whatever the index says. Spec: rpm's
 * documentation of the package format, "Header format".
 */
#include "ops/packages_priv.h"

#include "base/limits.h"
#include "base/mem.h"

#define ENTRY 16	   /* bytes of one index entry */
#define ENTRIES_MAX 0xffff /* rpm's own limit */
#define COUNT_TEXT 24	   /* an epoch and its colon */

enum {
	TAG_NAME = 1000,
	TAG_VERSION = 1001,
	TAG_RELEASE = 1002,
	TAG_EPOCH = 1003,
	TAG_ARCH = 1022,
	TAG_FILESTATES = 1029,
	TAG_SOURCERPM = 1044,
	TAG_DIRINDEXES = 1116,
	TAG_BASENAMES = 1117,
	TAG_DIRNAMES = 1118,
};

enum { TYPE_CHAR = 1, TYPE_INT32 = 4, TYPE_STRING = 6, TYPE_STRING_ARRAY = 8 };

/* What rpm did with a file when it installed the package. */
enum { FILE_NORMAL = 0, FILE_NETSHARED = 3 };

struct header {
	struct span index, data;
};

/* The values of one tag: data from its first to the end of the header; count 0 = not there. */
struct values {
	struct span data;
	uint32_t count;
};

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int open_header(struct span blob, struct header *ret, dray_error **err)
{
	uint64_t n, size;

	if (blob.len < 8)
		return err_set(err, DRAY_ERR_FORMAT, "a header of %zu bytes", blob.len);
	n = get32(blob.data);
	size = get32(blob.data + 4);
	if (n > ENTRIES_MAX || blob.len != 8 + n * ENTRY + size)
		return err_set(err, DRAY_ERR_FORMAT,
			       "a header of %zu bytes that names %llu entries and %llu bytes",
			       blob.len, (unsigned long long)n, (unsigned long long)size);
	ret->index = span_head(span_from(blob, 8), n * ENTRY);
	ret->data = span_from(blob, 8 + n * ENTRY);
	return 0;
}

/* The last entry counts: what rpm adds later stands behind what the package was signed with. */
static int find(const struct header *h, uint32_t tag, uint32_t type, struct values *ret,
		dray_error **err)
{
	*ret = (struct values){ 0 };
	for (struct span at = h->index; at.len; at = span_from(at, ENTRY)) {
		uint32_t off = get32(at.data + 8);

		if (get32(at.data) != tag)
			continue;
		if (get32(at.data + 4) != type || off > h->data.len)
			return err_set(err, DRAY_ERR_FORMAT, "tag %u of a header is wrong", tag);
		*ret = (struct values){ span_from(h->data, off), get32(at.data + 12) };
	}
	return 0;
}

/* Cut the next text off the front; it ends with a NUL. */
static int next_text(struct values *v, uint32_t tag, struct span *ret, dray_error **err)
{
	int64_t end = span_find(v->data, 0);

	if (end < 0)
		return err_set(err, DRAY_ERR_FORMAT, "tag %u of a header is cut off", tag);
	*ret = span_head(v->data, (size_t)end);
	v->data = span_from(v->data, (size_t)end + 1);
	return 0;
}

static int find_text(const struct header *h, uint32_t tag, struct span *ret, dray_error **err)
{
	struct values v;

	*ret = (struct span){ 0 };
	if (find(h, tag, TYPE_STRING, &v, err) < 0)
		return -1;
	return v.count ? next_text(&v, tag, ret, err) : 0;
}

/* Numbers of @p width bytes: all of them are there. */
static int find_numbers(const struct header *h, uint32_t tag, uint32_t type, size_t width,
			struct values *ret, dray_error **err)
{
	if (find(h, tag, type, ret, err) < 0)
		return -1;
	if (ret->count > ret->data.len / width)
		return err_set(err, DRAY_ERR_FORMAT, "tag %u of a header is cut off", tag);
	return 0;
}

/* ---- what a package says of itself ---- */

/* What stands before the last '-'. */
static struct span before_dash(struct span s)
{
	size_t n = s.len;

	while (n > 0 && s.data[n - 1] != '-')
		n--;
	return span_head(s, n ? n - 1 : 0);
}

/* "bash-5.1.8-6.el9.src.rpm" was built from bash. */
static struct span source_name(struct span rpm)
{
	return before_dash(before_dash(rpm));
}

static int put_version(const struct header *h, struct buf *ret, dray_error **err)
{
	struct span version, release;
	struct values epoch;

	if (find_text(h, TAG_VERSION, &version, err) < 0 ||
	    find_text(h, TAG_RELEASE, &release, err) < 0 ||
	    find_numbers(h, TAG_EPOCH, TYPE_INT32, 4, &epoch, err) < 0)
		return -1;
	if (epoch.count && buf_printf(ret, err, "%u:", get32(epoch.data.data)) < 0)
		return -1;
	if (buf_add(ret, version, err) < 0)
		return -1;
	if (release.len == 0)
		return 0;
	return buf_add_byte(ret, '-', err) < 0 ? -1 : buf_add(ret, release, err);
}

static int add(struct package_build *b, const struct header *h, size_t *ret, dray_error **err)
{
	cleanup_buf struct buf version = BUF_INIT(LIMIT_PACKAGE_HEADER);
	struct package_fields f = { 0 };
	struct span source;

	if (find_text(h, TAG_NAME, &f.name, err) < 0 || put_version(h, &version, err) < 0 ||
	    find_text(h, TAG_ARCH, &f.arch, err) < 0 ||
	    find_text(h, TAG_SOURCERPM, &source, err) < 0)
		return -1;
	f.version = span_buf(&version);
	f.source = source_name(source);
	return package_add(b, "rpm", &f, ret, err);
}

/* ---- its files ---- */

struct files {
	struct values names, folders, states;
	struct span *folder; /* of each number */
	uint32_t n_folders;
};

static int find_folders(const struct header *h, struct files *f, dray_error **err)
{
	struct values v;

	if (find(h, TAG_DIRNAMES, TYPE_STRING_ARRAY, &v, err) < 0)
		return -1;
	if (v.count > v.data.len) /* each ends with a NUL */
		return err_set(err, DRAY_ERR_FORMAT, "tag %d of a header is cut off", TAG_DIRNAMES);
	f->n_folders = v.count;
	f->folder = mem_alloc_array((size_t)v.count + 1, sizeof(*f->folder));
	if (!f->folder)
		return err_nomem(err);
	for (uint32_t i = 0; i < v.count; i++)
		if (next_text(&v, TAG_DIRNAMES, &f->folder[i], err) < 0)
			return -1;
	return 0;
}

/* Left out when it was installed (documentation, other colours) or another package's by now. */
static bool is_there(const struct files *f, uint32_t i)
{
	uint8_t state = i < f->states.count ? f->states.data.data[i] : FILE_NORMAL;

	return state == FILE_NORMAL || state == FILE_NETSHARED;
}

static int own_file(struct package_build *b, size_t at, struct files *f, uint32_t i,
		    dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);
	uint32_t folder = get32(f->folders.data.data + (size_t)i * 4);
	struct span name;

	if (next_text(&f->names, TAG_BASENAMES, &name, err) < 0)
		return -1;
	if (folder >= f->n_folders)
		return err_set(err, DRAY_ERR_FORMAT, "a file in folder %u of %u", folder,
			       f->n_folders);
	if (!is_there(f, i) || f->folder[folder].len > LIMIT_PATH || name.len > LIMIT_PATH)
		return 0;
	if (buf_add(&path, f->folder[folder], err) < 0 || buf_add(&path, name, err) < 0)
		return -1;
	return package_own(b, at, span_buf(&path), err);
}

static int own_files(struct package_build *b, const struct header *h, size_t at, struct files *f,
		     dray_error **err)
{
	if (find(h, TAG_BASENAMES, TYPE_STRING_ARRAY, &f->names, err) < 0 ||
	    find_numbers(h, TAG_DIRINDEXES, TYPE_INT32, 4, &f->folders, err) < 0 ||
	    find_numbers(h, TAG_FILESTATES, TYPE_CHAR, 1, &f->states, err) < 0 ||
	    find_folders(h, f, err) < 0)
		return -1;
	if (f->names.count != f->folders.count)
		return err_set(err, DRAY_ERR_FORMAT, "%u files in %u folders", f->names.count,
			       f->folders.count);
	for (uint32_t i = 0; i < f->names.count; i++)
		if (own_file(b, at, f, i, err) < 0)
			return -1;
	return 0;
}

int rpm_header(struct package_build *b, struct span blob, dray_error **err)
{
	struct files f = { 0 };
	struct header h;
	size_t at;
	int rc;

	if (open_header(blob, &h, err) < 0 || add(b, &h, &at, err) < 0)
		return -1;
	rc = own_files(b, &h, at, &f, err);
	mem_free(f.folder);
	return rc;
}
