/* SPDX-License-Identifier: Apache-2.0 */
/* For: telling compressions apart, choosing a decoder, and what decoders share.
 * Relies on: one filter per format, each in a file of its own.
 * Promises: the choice follows the bytes, never a name or a media type (Z-07).
 */
#include "codec/codec_priv.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/mem.h"

/* ---- what is it? ---- */

static bool head_is(struct span head, const char *magic, size_t len)
{
	return head.len >= len && memcmp(head.data, magic, len) == 0;
}

static bool is_zstd(struct span head)
{
	/* Skippable frames (0x184D2A50 to 5F) may come first. */
	bool skippable = head.len >= 4 && (head.data[0] & 0xf0) == 0x50 &&
			 memcmp(head.data + 1, "\x2a\x4d\x18", 3) == 0;

	return skippable || head_is(head, "\x28\xb5\x2f\xfd", 4);
}

/* "BZh", a level, and the magic of a first block or of the end: text may begin with "BZh9". */
static bool is_bzip2(struct span head)
{
	return head_is(head, "BZh", 3) && head.len >= 8 && head.data[3] >= '1' &&
	       head.data[3] <= '9' &&
	       (memcmp(head.data + 4, "\x31\x41\x59\x26", 4) == 0 ||
		memcmp(head.data + 4, "\x17\x72\x45\x38", 4) == 0);
}

enum compression compression_sniff(struct span head)
{
	if (head_is(head, "\x1f\x8b\x08", 3))
		return COMPRESSION_GZIP;
	if (is_zstd(head))
		return COMPRESSION_ZSTD;
	if (head_is(head,
		    "\xfd"
		    "7zXZ\0",
		    6))
		return COMPRESSION_XZ;
	if (is_bzip2(head))
		return COMPRESSION_BZIP2;
	return COMPRESSION_NONE;
}

const char *compression_name(enum compression c)
{
	switch (c) {
	case COMPRESSION_NONE:
		return "none";
	case COMPRESSION_GZIP:
		return "gzip";
	case COMPRESSION_ZSTD:
		return "zstd";
	case COMPRESSION_XZ:
		return "xz";
	case COMPRESSION_BZIP2:
		return "bzip2";
	}
	return "unknown";
}

/* ---- decode ---- */

struct filter *decode_filter(enum compression c, struct decode_notes *notes, dray_error **err)
{
	switch (c) {
	case COMPRESSION_GZIP:
		return decode_gzip(notes, err);
	case COMPRESSION_ZSTD:
		return decode_zstd(notes, err);
	case COMPRESSION_XZ:
		return decode_xz(notes, err);
	case COMPRESSION_BZIP2:
		return decode_bzip2(notes, err);
	case COMPRESSION_NONE:
		break;
	}
	err_set(err, DRAY_ERR_UNSUPPORTED, "no decoder for uncompressed bytes");
	return NULL;
}

struct source *source_decode(struct source *in, enum compression c, struct decode_notes *notes,
			     dray_error **err)
{
	if (!in || c == COMPRESSION_NONE)
		return in;
	return source_filtered(in, decode_filter(c, notes, err), err);
}

/* @len bytes of @in to look at; NULL = failed, and @in is freed. */
static struct source *look(struct source *in, size_t len, struct span *ret, dray_error **err)
{
	if (!in || source_peek(in, len, ret, err) == 0)
		return in;
	source_free(in);
	return NULL;
}

struct source *source_decode_auto(struct source *in, enum compression *ret_c, dray_error **err)
{
	struct span head;

	in = look(in, COMPRESSION_SNIFF, &head, err);
	if (!in)
		return NULL;
	enum compression c = compression_sniff(head);

	if (ret_c)
		*ret_c = c;
	return source_decode(in, c, NULL, err);
}

struct source *source_decode_pool(struct source *in, struct pool *pool, size_t ahead,
				  enum compression *ret_c, dray_error **err)
{
	struct span head;

	in = look(in, GZIP_MEMBER_HEADER, &head, err);
	if (!in || decode_member_length(head) == 0) {
		in = source_decode_auto(in, ret_c, err);
		return ahead ? source_readahead(in, ahead, err) : in;
	}
	if (ret_c)
		*ret_c = COMPRESSION_GZIP;
	if (ahead)
		in = source_readahead(in, ahead, err);
	return in ? decode_members(in, pool, err) : NULL;
}

/* ---- shared by the decoders ---- */

void decoder_init(struct decoder *d, const struct filter_ops *ops, const char *verb,
		  struct decode_notes *notes)
{
	d->base.ops = ops;
	d->verb = verb;
	d->notes = notes ? notes : &d->own;
	*d->notes = (struct decode_notes){ 0 };
}

enum filter_state decoder_fail(const struct decoder *d, dray_error **err, enum dray_err_kind kind,
			       const char *fmt, ...)
{
	char text[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	err_set(err, kind, "%s at byte %" PRId64 ": %s", d->verb, d->at, text);
	return FILTER_FAILED;
}

void decoder_take(struct decoder *d, struct span *in, size_t n)
{
	*in = span_from(*in, n);
	d->at += (int64_t)n;
}

enum filter_state decoder_padding(struct decoder *d, struct span *in, bool end, dray_error **err)
{
	while (in->len > 0) {
		if (in->data[0] != 0)
			return decoder_fail(d, err, DRAY_ERR_FORMAT,
					    "bytes that belong to nothing follow the end");
		decoder_take(d, in, 1);
		d->notes->trailing_zeros++;
	}
	return end ? FILTER_END : FILTER_MORE;
}

void *codec_alloc_items(void *opaque, uint32_t items, uint32_t size)
{
	(void)opaque;
	return mem_alloc_array(items, size);
}

void codec_free(void *opaque, void *p)
{
	(void)opaque;
	mem_free(p);
}
