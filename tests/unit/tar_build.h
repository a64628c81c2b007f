/* SPDX-License-Identifier: Apache-2.0
 *
 * Tar archives by hand, for tests: every field can be set wrong on purpose.
 * Independent of src/tar's writer, which it helps to test.
 */
#pragma once

#include <assert.h>
#include <stdio.h>
#include "base/span.h"

#define TB_MAGIC_USTAR "ustar\0" "00"
#define TB_MAGIC_GNU "ustar  \0"
#define TB_MAGIC_V7 "\0\0\0\0\0\0\0\0"

/** A header; what is left zero gets the plain value. Texts are cut to their field. */
struct tb_head {
	const char *name;
	char type;		/* 0 = '0'; TB_OLD_FILE for a NUL */
	int64_t size;
	const char *link, *prefix, *uname, *gname;
	const char *magic;	/* 8 bytes; NULL = ustar */
	const char *size_text, *mode_text, *uid_text, *mtime_text;	/* raw field; NULL = octal */
	const char *dev_text;	/* both device fields */
	int checksum;		/* one of the below */
};
#define TB_OLD_FILE '\1'
enum { TB_SUM_GOOD, TB_SUM_SIGNED, TB_SUM_BAD };

static inline struct buf tb_new(void)
{
	return BUF_INIT(256 << 20);
}

static inline void tb_bytes(struct buf *b, const void *data, size_t len)
{
	int rc = buf_add(b, span_of(data, len), NULL);

	assert(rc == 0);
	(void)rc;
}

static inline void tb_zeros(struct buf *b, size_t n)
{
	for (; n > 0; n--)
		tb_bytes(b, "", 1);
}

/** Zeros up to the next block. */
static inline void tb_pad(struct buf *b)
{
	tb_zeros(b, (512 - b->len % 512) % 512);
}

static inline void tb_text(uint8_t *block, size_t off, size_t width, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (len)
		memcpy(block + off, text, len < width ? len : width);
}

static inline void tb_octal(uint8_t *block, size_t off, size_t width, const char *raw, int64_t v)
{
	char text[32];

	if (raw) {
		tb_text(block, off, width, raw);
		return;
	}
	snprintf(text, sizeof(text), "%0*llo", (int)width - 1, (unsigned long long)v);
	memcpy(block + off, text, width - 1);
}

/** Compute the checksum of a header block in place. */
static inline void tb_checksum(uint8_t *block, int how)
{
	char text[16];
	int sum = how == TB_SUM_BAD ? 1 : 0;

	memset(block + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += how == TB_SUM_SIGNED ? (int8_t)block[i] : block[i];
	snprintf(text, sizeof(text), "%06o", (unsigned)sum & 0777777);
	memcpy(block + 148, text, 7);
}

static inline void tb_block(uint8_t block[512], const struct tb_head *h)
{
	memset(block, 0, 512);
	tb_text(block, 0, 100, h->name);
	tb_octal(block, 100, 8, h->mode_text, h->type == '5' ? 0755 : 0644);
	tb_octal(block, 108, 8, h->uid_text, 0);
	tb_octal(block, 116, 8, NULL, 0);
	tb_octal(block, 124, 12, h->size_text, h->size);
	tb_octal(block, 136, 12, h->mtime_text, 0);
	block[156] = h->type == TB_OLD_FILE ? 0 : h->type ? (uint8_t)h->type : '0';
	tb_text(block, 157, 100, h->link);
	memcpy(block + 257, h->magic ? h->magic : TB_MAGIC_USTAR, 8);
	tb_text(block, 265, 32, h->uname);
	tb_text(block, 297, 32, h->gname);
	tb_text(block, 329, 8, h->dev_text);
	tb_text(block, 337, 8, h->dev_text);
	tb_text(block, 345, 155, h->prefix);
	tb_checksum(block, h->checksum);
}

static inline void tb_header(struct buf *b, const struct tb_head *h)
{
	uint8_t block[512];

	tb_block(block, h);
	tb_bytes(b, block, sizeof(block));
}

/** A header and its data, padded. h->size is used as it is: it may lie. */
static inline void tb_member(struct buf *b, const struct tb_head *h, const void *data, size_t len)
{
	tb_header(b, h);
	tb_bytes(b, data, len);
	tb_pad(b);
}

static inline void tb_file_bytes(struct buf *b, const char *name, const void *data, size_t len)
{
	tb_member(b, &(struct tb_head){ .name = name, .size = (int64_t)len }, data, len);
}

static inline void tb_file(struct buf *b, const char *name, const char *text)
{
	tb_file_bytes(b, name, text, strlen(text));
}

static inline void tb_dir(struct buf *b, const char *name)
{
	tb_header(b, &(struct tb_head){ .name = name, .type = '5' });
}

static inline void tb_symlink(struct buf *b, const char *name, const char *target)
{
	tb_header(b, &(struct tb_head){ .name = name, .type = '2', .link = target });
}

static inline void tb_hardlink(struct buf *b, const char *name, const char *target)
{
	tb_header(b, &(struct tb_head){ .name = name, .type = '1', .link = target });
}

/** Append a right "LEN key=value\n" to @p records. */
static inline void tb_record_bytes(struct buf *records, const char *key, const void *v, size_t len)
{
	size_t body = 1 + strlen(key) + 1 + len + 1, digits = 1;
	char head[32];

	while (snprintf(head, sizeof(head), "%zu", body + digits) != (int)digits)
		digits++;
	tb_bytes(records, head, strlen(head));
	tb_bytes(records, " ", 1);
	tb_bytes(records, key, strlen(key));
	tb_bytes(records, "=", 1);
	tb_bytes(records, v, len);
	tb_bytes(records, "\n", 1);
}

static inline void tb_record(struct buf *records, const char *key, const char *value)
{
	tb_record_bytes(records, key, value, strlen(value));
}

/** An extension header 'x', 'g', 'L' or 'K' with these bytes as its data. */
static inline void tb_ext(struct buf *b, char type, const void *data, size_t len)
{
	bool gnu = type == 'L' || type == 'K';

	tb_member(b, &(struct tb_head){ .name = gnu ? "././@LongLink" : "PaxHeaders/x",
					.type = type, .size = (int64_t)len,
					.magic = gnu ? TB_MAGIC_GNU : TB_MAGIC_USTAR }, data, len);
}

/** One pax header with one record. */
static inline void tb_pax(struct buf *b, char type, const char *key, const char *value)
{
	cleanup_buf struct buf records = tb_new();

	tb_record(&records, key, value);
	tb_ext(b, type, records.data, records.len);
}

/** GNU long name ('L') or long link ('K'). */
static inline void tb_gnu(struct buf *b, char type, const char *name)
{
	tb_ext(b, type, name, strlen(name) + 1);
}

/** The end marker. */
static inline void tb_end(struct buf *b)
{
	tb_zeros(b, 1024);
}
