/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers of plain deterministic members.
 * Relies on POSIX.1-2017 pax "ustar Header Block"; reads no clock, user or locale.
 * Promises the same blocks for the same member, which all readers understand alike.
 */
#include <stdio.h>
#include "tar/tar_priv.h"

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

static uint8_t type_flag(enum tar_type t)
{
	switch (t) {
	case TAR_FILE:
		return '0';
	case TAR_HARDLINK:
		return '1';
	case TAR_SYMLINK:
		return '2';
	case TAR_DIR:
		return '5';
	default:
		return 0;
	}
}

/* One ustar block; what does not fit its field is cut or zero, and stands in a pax record. */
static int add_block(struct buf *ret, uint8_t type, const struct split *name,
		     const struct tar_member *m, dray_error **err)
{
	uint8_t b[TAR_BLOCK] = { 0 };
	bool time_fits = m->mtime >= 0 && m->mtime <= TAR_OCTAL_MAX;

	put_text(b + TAR_NAME_AT, TAR_NAME_LEN, name->name);
	put_octal(b + TAR_MODE_AT, TAR_SHORT_LEN, (uint64_t)m->mode);
	put_octal(b + TAR_UID_AT, TAR_SHORT_LEN, 0);
	put_octal(b + TAR_GID_AT, TAR_SHORT_LEN, 0);
	put_octal(b + TAR_SIZE_AT, TAR_LONG_LEN, m->size <= TAR_OCTAL_MAX ? (uint64_t)m->size : 0);
	put_octal(b + TAR_MTIME_AT, TAR_LONG_LEN, time_fits ? (uint64_t)m->mtime : 0);
	b[TAR_TYPE_AT] = type;
	put_text(b + TAR_LINK_AT, TAR_LINK_LEN, m->link);
	put_text(b + TAR_MAGIC_AT, 8,
		 SPAN_LIT("ustar\0"
			  "00"));
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

/* Records sorted by key, only where a field cannot say it. */
static int add_records(struct buf *ret, const struct tar_member *m, bool name_fits,
		       dray_error **err)
{
	if (m->link.len > TAR_LINK_LEN && add_record(ret, "linkpath", m->link, err) < 0)
		return -1;
	if ((m->mtime < 0 || m->mtime > TAR_OCTAL_MAX) &&
	    add_number(ret, "mtime", m->mtime, err) < 0)
		return -1;
	if (!name_fits && add_record(ret, "path", m->name, err) < 0)
		return -1;
	if (m->size > TAR_OCTAL_MAX || m->always_size)
		return add_number(ret, "size", m->size, err);
	return 0;
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

static int check_member(const struct tar_member *m, dray_error **err)
{
	if (type_flag(m->type) == 0)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "tar: entries of this type are not written");
	if (m->name.len == 0 || span_find(m->name, 0) >= 0 || span_find(m->link, 0) >= 0)
		return err_set(err, DRAY_ERR_USAGE, "tar: a name is empty or holds a NUL");
	if (m->mode < 0 || m->mode > 07777777 || m->size < 0 ||
	    (m->type != TAR_FILE && m->size > 0))
		return err_set(err, DRAY_ERR_USAGE, "tar: mode or size is out of range");
	if (m->name.len > LIMIT_PATH || m->link.len > LIMIT_PATH)
		return err_set(err, DRAY_ERR_LIMIT, "tar: name over LIMIT_PATH (%lld bytes)",
			       LIMIT_PATH);
	return 0;
}

int tar_header_write(const struct tar_member *m, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf records = BUF_INIT(LIMIT_PAX);
	struct split name = split_name(m->name);

	if (check_member(m, err) < 0 || add_records(&records, m, name.fits, err) < 0)
		return -1;
	if (records.len > 0 && add_pax(ret, span_buf(&records), err) < 0)
		return -1;
	return add_block(ret, type_flag(m->type), &name, m, err);
}
