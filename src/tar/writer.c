/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers of deterministic members.
 * Relies on POSIX.1-2017 pax "ustar Header Block"; reads no clock, user or locale.
 * Promises the same blocks for the same member, which all readers understand alike.
 */
#include <stdio.h>
#include <sys/stat.h>
#include "base/text.h"
#include "tar/tar_priv.h"

#define SHOWN_MAX 300 /* bytes of a name in messages */

/* How a name lies in a header: all in name, or parted at a slash. */
struct split {
	struct span prefix, name;
	bool fits;
};

/* Right-aligned octal with leading zeros and a NUL. */
static void put_octal(uint8_t *field, size_t len, uint64_t v)
{
	field[--len] = 0;
	while (len > 0) {
		field[--len] = (uint8_t)('0' + (v & 7));
		v >>= 3;
	}
}

static void put_text(uint8_t *field, size_t len, struct span text)
{
	text = span_head(text, len);
	if (text.len > 0)
		memcpy(field, text.data, text.len);
}

/* The longest prefix that fits, as Go and GNU tar choose it; neither side may be empty. */
static struct split split_name(struct span name)
{
	struct split s = { .name = name, .fits = name.len <= TAR_NAME_LEN };
	size_t at;

	if (s.fits)
		return s;
	at = name.len > TAR_PREFIX_LEN ? TAR_PREFIX_LEN : name.len - 1;
	if (at == name.len - 1)
		at--; /* a slash at the very end parts nothing */
	while (at > 0 && name.data[at] != '/')
		at--;
	if (at == 0 || name.len - at - 1 > TAR_NAME_LEN)
		return s;
	return (struct split){ span_head(name, at), span_from(name, at + 1), true };
}

enum tar_type tar_type_of_mode(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return TAR_FILE;
	case S_IFDIR:
		return TAR_DIR;
	case S_IFLNK:
		return TAR_SYMLINK;
	case S_IFIFO:
		return TAR_FIFO;
	case S_IFCHR:
		return TAR_CHAR;
	case S_IFBLK:
		return TAR_BLOCK_DEV;
	default:
		return TAR_OTHER;
	}
}

static uint8_t type_flag(enum tar_type t)
{
	switch (t) {
	case TAR_FILE:
	case TAR_SPARSE:
		return '0';
	case TAR_HARDLINK:
		return '1';
	case TAR_SYMLINK:
		return '2';
	case TAR_CHAR:
		return '3';
	case TAR_BLOCK_DEV:
		return '4';
	case TAR_DIR:
		return '5';
	case TAR_FIFO:
		return '6';
	default:
		return 0;
	}
}

static bool fits_octal(int64_t v, size_t len)
{
	return v >= 0 && v < (int64_t)1 << (3 * (len - 1));
}

/* What does not fit is zero here and stands in a pax record. */
static void put_number(uint8_t *field, size_t len, int64_t v)
{
	put_octal(field, len, fits_octal(v, len) ? (uint64_t)v : 0);
}

/* Device fields of what is no device stay NUL. */
static void put_device(uint8_t *b, const struct tar_member *m)
{
	if (m->type != TAR_CHAR && m->type != TAR_BLOCK_DEV)
		return;
	put_number(b + TAR_MAJOR_AT, TAR_SHORT_LEN, m->dev_major);
	put_number(b + TAR_MINOR_AT, TAR_SHORT_LEN, m->dev_minor);
}

/* One ustar block; what does not fit its field is cut or zero, and stands in a pax record. */
static int add_block(struct buf *ret, uint8_t type, const struct split *name,
		     const struct tar_member *m, dray_error **err)
{
	uint8_t b[TAR_BLOCK] = { 0 };

	put_text(b + TAR_NAME_AT, TAR_NAME_LEN, name->name);
	put_octal(b + TAR_MODE_AT, TAR_SHORT_LEN, (uint64_t)m->mode);
	put_number(b + TAR_UID_AT, TAR_SHORT_LEN, m->uid);
	put_number(b + TAR_GID_AT, TAR_SHORT_LEN, m->gid);
	put_number(b + TAR_SIZE_AT, TAR_LONG_LEN, m->size);
	put_number(b + TAR_MTIME_AT, TAR_LONG_LEN, m->mtime);
	b[TAR_TYPE_AT] = type;
	put_text(b + TAR_LINK_AT, TAR_LINK_LEN, m->link);
	put_text(b + TAR_MAGIC_AT, 8,
		 SPAN_LIT("ustar\0"
			  "00"));
	put_text(b + TAR_UNAME_AT, TAR_OWNER_LEN - 1, m->uname);
	put_text(b + TAR_GNAME_AT, TAR_OWNER_LEN - 1, m->gname);
	put_device(b, m);
	put_text(b + TAR_PREFIX_AT, TAR_PREFIX_LEN, name->prefix);
	put_octal(b + TAR_SUM_AT, 7, tar_checksum(b));
	b[TAR_SUM_AT + 7] = ' ';
	return buf_add(ret, span_of(b, sizeof(b)), err);
}

/* "LENGTH KEY=VALUE\n", where the length counts its own digits. */
static int add_record(struct buf *ret, const char *key, struct span value, dray_error **err)
{
	size_t body = strlen(key) + value.len + 3, total = body, digits = 0;

	for (size_t d = 1, max = 10; digits != d; max *= 10) {
		digits = d;
		total = body + digits;
		if (total >= max)
			d++;
	}
	if (buf_printf(ret, err, "%zu %s=", total, key) < 0 || buf_add(ret, value, err) < 0)
		return -1;
	return buf_add_byte(ret, '\n', err);
}

static int add_number(struct buf *ret, const char *key, int64_t v, dray_error **err)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)v);
	return add_record(ret, key, span_str(text), err);
}

static int add_xattrs(struct buf *ret, const struct tar_member *m, dray_error **err)
{
	cleanup_buf struct buf key = BUF_INIT(LIMIT_PAX);

	for (size_t i = 0; i < m->n_xattrs; i++) {
		buf_reset(&key);
		if ((!tar_xattr_is_windows(m->xattrs[i].name) &&
		     buf_add_str(&key, "SCHILY.xattr.", err) < 0) ||
		    buf_add(&key, m->xattrs[i].name, err) < 0 || buf_add_byte(&key, 0, err) < 0 ||
		    add_record(ret, (const char *)key.data, m->xattrs[i].value, err) < 0)
			return -1;
	}
	return 0;
}

static int add_owner(struct buf *ret, const char *key, struct span name, dray_error **err)
{
	return name.len < TAR_OWNER_LEN ? 0 : add_record(ret, key, name, err);
}

static int add_id(struct buf *ret, const char *key, int64_t id, dray_error **err)
{
	return fits_octal(id, TAR_SHORT_LEN) ? 0 : add_number(ret, key, id, err);
}

static int add_mtime(struct buf *ret, const struct tar_member *m, dray_error **err)
{
	char text[40];
	int64_t sec = m->mtime, nsec = m->mtime_nsec;
	bool minus = sec < 0 && nsec > 0; /* pax writes -1.5, we hold -2 and 500000000 */
	int n;

	if (nsec == 0)
		return fits_octal(sec, TAR_LONG_LEN) ? 0 : add_number(ret, "mtime", sec, err);
	if (minus) {
		sec = -(sec + 1);
		nsec = 1000000000 - nsec;
	}
	n = snprintf(text, sizeof(text), "%s%lld.%09lld", minus ? "-" : "", (long long)sec,
		     (long long)nsec);
	while (text[n - 1] == '0')
		n--;
	return add_record(ret, "mtime", span_of(text, (size_t)n), err);
}

/* Records sorted by key, only where a field cannot say it. */
static int add_records(struct buf *ret, const struct tar_member *m, bool name_fits,
		       dray_error **err)
{
	if (add_xattrs(ret, m, err) < 0 || add_id(ret, "gid", m->gid, err) < 0 ||
	    add_owner(ret, "gname", m->gname, err) < 0)
		return -1;
	if (m->link.len > TAR_LINK_LEN && add_record(ret, "linkpath", m->link, err) < 0)
		return -1;
	if (add_mtime(ret, m, err) < 0)
		return -1;
	if (!name_fits && add_record(ret, "path", m->name, err) < 0)
		return -1;
	if ((m->size > TAR_OCTAL_MAX || m->always_size) &&
	    add_number(ret, "size", m->size, err) < 0)
		return -1;
	if (add_id(ret, "uid", m->uid, err) < 0)
		return -1;
	return add_owner(ret, "uname", m->uname, err);
}

/* The header of the records themselves. Its name only matters to readers that know no pax. */
static int add_pax(struct buf *ret, struct span records, dray_error **err)
{
	static const uint8_t zeros[TAR_BLOCK];
	struct split name = { .name = SPAN_LIT("PaxHeaders/dray"), .fits = true };
	struct tar_member m = { .size = (int64_t)records.len, .mode = 0644 };

	if (add_block(ret, 'x', &name, &m, err) < 0 || buf_add(ret, records, err) < 0)
		return -1;
	return buf_add(ret, span_of(zeros, tar_padding(m.size)), err);
}

/* What readers without sparse files see is no file of the archive. */
#define SPARSE_NAME "GNUSparseFile/dray"

static int add_sparse_records(struct buf *ret, const struct tar_member *m, dray_error **err)
{
	if (add_number(ret, "GNU.sparse.major", 1, err) < 0 ||
	    add_number(ret, "GNU.sparse.minor", 0, err) < 0 ||
	    add_record(ret, "GNU.sparse.name", m->name, err) < 0)
		return -1;
	return add_number(ret, "GNU.sparse.realsize", m->real_size, err);
}

/* pax format 1.0: the map stands before the data and is part of their size. */
static int write_sparse(const struct tar_member *m, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf records = BUF_INIT(LIMIT_PAX), map = BUF_INIT(LIMIT_SPARSE_MAP);
	struct split name = { .name = SPAN_LIT(SPARSE_NAME), .fits = true };
	struct tar_member whole = *m;

	if (tar_sparse_check(m, err) < 0 || tar_sparse_map(m, &map, err) < 0)
		return -1;
	whole.size += (int64_t)map.len;
	if (add_sparse_records(&records, m, err) < 0 ||
	    add_records(&records, &whole, true, err) < 0 ||
	    add_pax(ret, span_buf(&records), err) < 0 ||
	    add_block(ret, type_flag(m->type), &name, &whole, err) < 0)
		return -1;
	return buf_add(ret, span_buf(&map), err);
}

static int odd_xattr(const struct tar_member *m, dray_error **err)
{
	cleanup_free char *safe = text_safe(m->name, SHOWN_MAX);

	return err_set(err, DRAY_ERR_UNSUPPORTED,
		       "tar: \"%s\" has an extended attribute that no tar can hold: its name is "
		       "empty, or has '=' in it",
		       safe ? safe : "?");
}

/* A record's key ends at '=': what follows would become the value's. */
static int check_xattrs(const struct tar_member *m, dray_error **err)
{
	for (size_t i = 0; i < m->n_xattrs; i++) {
		struct span name = m->xattrs[i].name;

		if (name.len == 0 || span_find(name, '=') >= 0 || span_find(name, 0) >= 0)
			return odd_xattr(m, err);
	}
	return 0;
}

static int check_member(const struct tar_member *m, dray_error **err)
{
	if (type_flag(m->type) == 0)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "tar: entries of this type are not written");
	if (m->name.len == 0 || span_find(m->name, 0) >= 0 || span_find(m->link, 0) >= 0)
		return err_set(err, DRAY_ERR_USAGE, "tar: a name is empty or holds a NUL");
	if (m->mode < 0 || m->mode > 07777777 || m->size < 0 ||
	    (m->type != TAR_FILE && m->type != TAR_SPARSE && m->size > 0))
		return err_set(err, DRAY_ERR_USAGE, "tar: mode or size is out of range");
	if (m->uid < 0 || m->gid < 0 || m->mtime_nsec < 0 || m->mtime_nsec > 999999999 ||
	    !fits_octal(m->dev_major, TAR_SHORT_LEN) || !fits_octal(m->dev_minor, TAR_SHORT_LEN))
		return err_set(err, DRAY_ERR_USAGE, "tar: owner, time or device is out of range");
	if (m->name.len > LIMIT_PATH || m->link.len > LIMIT_PATH)
		return err_set(err, DRAY_ERR_LIMIT, "tar: name over LIMIT_PATH (%lld bytes)",
			       LIMIT_PATH);
	return check_xattrs(m, err);
}

int tar_header_write(const struct tar_member *m, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf records = BUF_INIT(LIMIT_PAX);
	struct split name = split_name(m->name);

	if (check_member(m, err) < 0)
		return -1;
	if (m->type == TAR_SPARSE)
		return write_sparse(m, ret, err);
	if (add_records(&records, m, name.fits, err) < 0)
		return -1;
	if (records.len > 0 && add_pax(ret, span_buf(&records), err) < 0)
		return -1;
	return add_block(ret, type_flag(m->type), &name, m, err);
}
