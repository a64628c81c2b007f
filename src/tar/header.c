/* SPDX-License-Identifier: Apache-2.0
 *
 * One tar header block: fields, numbers, checksum.
 * Relies on POSIX.1-2017 pax "ustar Interchange Format" and the GNU tar manual "Standard".
 * Promises that what it accepts, GNU tar, libarchive and Go read the same way.
 */
#include "tar/tar_priv.h"

bool tar_block_is_zero(const uint8_t *block)
{
	return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK - 1) == 0;
}

unsigned tar_checksum(const uint8_t block[TAR_BLOCK])
{
	unsigned sum = 8 * ' ';

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	for (size_t i = 0; i < 8; i++)
		sum -= block[TAR_SUM_AT + i];
	return sum;
}

/* Old Sun and SCO writers added up signed chars. */
static int signed_checksum(const uint8_t *block)
{
	int sum = 8 * ' ';

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += (int8_t)block[i];
	for (size_t i = 0; i < 8; i++)
		sum -= (int8_t)block[TAR_SUM_AT + i];
	return sum;
}

/* Two's complement, big endian; the top bit of the first byte only marks the form. */
static bool base256(const uint8_t *field, size_t len, int64_t *ret)
{
	bool negative = field[0] & 0x40;
	uint8_t fill = negative ? 0xff : 0;
	uint64_t v = negative ? UINT64_MAX : 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = i ? field[i] : (uint8_t)((field[0] & 0x7f) | (negative ? 0x80 : 0));

		if (len - i > 8 && c != fill)
			return false;
		v = v << 8 | c;
	}
	if ((v >> 63) != negative)
		return false;
	*ret = (int64_t)v;
	return true;
}

/*
 * Octal: blanks, digits, then nothing but blanks until the field or a NUL ends
 * it. An empty field is zero, as everywhere (T-19). Twelve digits fit easily.
 */
static bool octal(const uint8_t *field, size_t len, int64_t *ret)
{
	size_t i = 0;
	int64_t v = 0;

	while (i < len && (field[i] == ' ' || field[i] == 0))
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
		v = v * 8 + (field[i] - '0');
	for (; i < len && field[i] != 0; i++)
		if (field[i] != ' ')
			return false;
	*ret = v;
	return true;
}

bool tar_number(const uint8_t *field, size_t len, int64_t *ret)
{
	if (field[0] & 0x80)
		return base256(field, len, ret);
	return octal(field, len, ret);
}

static struct span text_field(const uint8_t *block, size_t at, size_t len)
{
	const uint8_t *end = memchr(block + at, 0, len);

	return span_of(block + at, end ? (size_t)(end - (block + at)) : len);
}

static int number_field(const uint8_t *block, size_t at, size_t len, const char *what, int64_t *ret,
			dray_error **err)
{
	if (!tar_number(block + at, len, ret))
		return err_set(err, DRAY_ERR_FORMAT, "%s is no number", what);
	return 0;
}

/* Only times may lie below zero. */
static int count_field(const uint8_t *block, size_t at, size_t len, const char *what, int64_t *ret,
		       dray_error **err)
{
	if (number_field(block, at, len, what, ret, err) < 0)
		return -1;
	if (*ret < 0)
		return err_set(err, DRAY_ERR_FORMAT, "%s is negative", what);
	return 0;
}

static int check_sum(const uint8_t *block, struct tar_header *ret, dray_error **err)
{
	int64_t stored;

	if (!octal(block + TAR_SUM_AT, 8, &stored))
		return err_set(err, DRAY_ERR_FORMAT, "checksum is no number");
	ret->signed_sum = false;
	if (stored == (int64_t)tar_checksum(block))
		return 0;
	if (stored != signed_checksum(block))
		return err_set(err, DRAY_ERR_FORMAT, "checksum does not match");
	ret->signed_sum = true;
	return 0;
}

static enum tar_magic magic_of(const uint8_t *block)
{
	const uint8_t *magic = block + TAR_MAGIC_AT;

	if (memcmp(magic, "ustar", TAR_MAGIC_LEN) == 0) /* with its NUL; any version */
		return TAR_MAGIC_USTAR;
	if (memcmp(magic, "ustar  ", 8) == 0)
		return TAR_MAGIC_GNU;
	return TAR_MAGIC_V7;
}

/*
 * T-11: readers disagree whether a prefix counts without ustar's magic, so
 * there it may only hold what GNU puts in its place, or nothing.
 */
static int prefix_field(const uint8_t *block, struct tar_header *ret, dray_error **err)
{
	int64_t unused;
	bool good = true;

	ret->prefix = (struct span){ 0 };
	if (ret->magic == TAR_MAGIC_USTAR) {
		ret->prefix = text_field(block, TAR_PREFIX_AT, TAR_PREFIX_LEN);
		return 0;
	}
	if (ret->magic == TAR_MAGIC_GNU)
		good = tar_number(block + TAR_GNU_ATIME_AT, TAR_LONG_LEN, &unused) &&
		       tar_number(block + TAR_GNU_CTIME_AT, TAR_LONG_LEN, &unused) &&
		       tar_number(block + TAR_GNU_OFFSET_AT, TAR_LONG_LEN, &unused);
	else
		for (size_t i = 0; i < TAR_PREFIX_LEN; i++)
			good = good && block[TAR_PREFIX_AT + i] == 0;
	if (!good)
		return err_set(
			err, DRAY_ERR_FORMAT,
			"name prefix in a header that is not ustar: readers disagree on the name");
	return 0;
}

static int owner_fields(const uint8_t *block, struct tar_header *ret, dray_error **err)
{
	ret->uname = ret->gname = (struct span){ 0 };
	ret->dev_major = ret->dev_minor = 0;
	if (ret->magic == TAR_MAGIC_V7)
		return 0;
	ret->uname = text_field(block, TAR_UNAME_AT, TAR_OWNER_LEN);
	ret->gname = text_field(block, TAR_GNAME_AT, TAR_OWNER_LEN);
	if (ret->type != '3' && ret->type != '4')
		return 0; /* some writers leave noise in the device fields of files */
	if (count_field(block, TAR_MAJOR_AT, TAR_SHORT_LEN, "device major", &ret->dev_major, err) <
	    0)
		return -1;
	return count_field(block, TAR_MINOR_AT, TAR_SHORT_LEN, "device minor", &ret->dev_minor,
			   err);
}

static int number_fields(const uint8_t *block, struct tar_header *ret, dray_error **err)
{
	if (count_field(block, TAR_SIZE_AT, TAR_LONG_LEN, "size", &ret->size, err) < 0 ||
	    count_field(block, TAR_MODE_AT, TAR_SHORT_LEN, "mode", &ret->mode, err) < 0 ||
	    count_field(block, TAR_UID_AT, TAR_SHORT_LEN, "uid", &ret->uid, err) < 0 ||
	    count_field(block, TAR_GID_AT, TAR_SHORT_LEN, "gid", &ret->gid, err) < 0)
		return -1;
	return number_field(block, TAR_MTIME_AT, TAR_LONG_LEN, "mtime", &ret->mtime, err);
}

int tar_header_parse(const uint8_t block[TAR_BLOCK], struct tar_header *ret, dray_error **err)
{
	if (check_sum(block, ret, err) < 0)
		return -1;
	ret->magic = magic_of(block);
	ret->type = block[TAR_TYPE_AT];
	ret->name = text_field(block, TAR_NAME_AT, TAR_NAME_LEN);
	ret->link = text_field(block, TAR_LINK_AT, TAR_LINK_LEN);
	if (prefix_field(block, ret, err) < 0 || number_fields(block, ret, err) < 0)
		return -1;
	return owner_fields(block, ret, err);
}
