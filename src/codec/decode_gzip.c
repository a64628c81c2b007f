/* SPDX-License-Identifier: Apache-2.0 */
/* For: gzip (RFC 1952): all members, by ISA-L's inflate.
 * Relies on: ISA-L for raw deflate and CRC-32 only; the framing is read here, since
 * its 32-bit counters and its handling of member ends are not what we need.
 * Promises: header, CRC-32 and length of every member are checked; constant memory.
 *
 *      +-------------------- next member ------------------+
 *      v                                                   |
 *   MAGIC -> FIXED -> [EXTRA] -> [NAME] -> [COMMENT] -> [HCRC] -> BODY -> TRAILER
 *      |
 *      +-- a zero byte instead of a member --> PADDING --> end
 */
#include "codec/codec_priv.h"

#include <inttypes.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include "base/mem.h"

enum gzip_state {
	GZIP_MAGIC, /* before a member's first byte: the only good place to end */
	GZIP_FIXED, /* the other nine bytes of the fixed header */
	GZIP_EXTRA_LEN,
	GZIP_EXTRA,
	GZIP_NAME,
	GZIP_COMMENT,
	GZIP_HCRC,
	GZIP_BODY,
	GZIP_TRAILER,
	GZIP_PADDING,
};

#define FLAG_HCRC 0x02
#define FLAG_EXTRA 0x04
#define FLAG_NAME 0x08
#define FLAG_COMMENT 0x10
#define FLAGS_RESERVED 0xe0

struct gunzip {
	struct decoder d;
	enum gzip_state state;
	uint8_t field[10]; /* a field of fixed size, as far as it came */
	size_t field_len;
	uint8_t flags;
	uint32_t left; /* bytes to come of the extra field */
	uint32_t header_crc;
	uint32_t crc;  /* of this member's output */
	uint32_t size; /* of this member's output, modulo 2^32 as ISIZE is */
	struct inflate_state inflate;
};

static uint32_t le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Gather a field of @n bytes; true once it is whole. */
static bool gather(struct gunzip *g, struct span *in, size_t n)
{
	size_t take = n - g->field_len < in->len ? n - g->field_len : in->len;

	memcpy(g->field + g->field_len, in->data, take);
	decoder_take(&g->d, in, take);
	g->field_len += take;
	if (g->field_len < n)
		return false;
	g->field_len = 0;
	return true;
}

/* Take header bytes; FHCRC covers them. */
static void take_header(struct gunzip *g, struct span *in, size_t n)
{
	if (g->flags & FLAG_HCRC)
		g->header_crc = crc32_gzip_refl(g->header_crc, in->data, n);
	decoder_take(&g->d, in, n);
}

static enum filter_state step_magic(struct gunzip *g, struct span *in, dray_error **err)
{
	if (g->d.notes->members > 0 && in->data[0] == 0) {
		g->state = GZIP_PADDING;
		return FILTER_MORE;
	}
	if (in->data[0] != 0x1f)
		return decoder_fail(&g->d, err, DRAY_ERR_FORMAT,
				    g->d.notes->members > 0
					    ? "bytes that are no gzip member follow the end"
					    : "no gzip header");
	g->state = GZIP_FIXED;
	return FILTER_MORE;
}

static enum filter_state step_fixed(struct gunzip *g, struct span *in, dray_error **err)
{
	if (!gather(g, in, 10))
		return FILTER_MORE;
	if (g->field[1] != 0x8b)
		return decoder_fail(&g->d, err, DRAY_ERR_FORMAT, "no gzip header");
	if (g->field[2] != 8 || (g->field[3] & FLAGS_RESERVED) != 0)
		return decoder_fail(&g->d, err, DRAY_ERR_FORMAT,
				    "unknown gzip method %u or flags 0x%02x", g->field[2],
				    g->field[3]);
	g->flags = g->field[3];
	g->header_crc = crc32_gzip_refl(0, g->field, 10);
	g->state = GZIP_EXTRA_LEN;
	return FILTER_MORE;
}

static void step_extra_len(struct gunzip *g, struct span *in)
{
	if (!(g->flags & FLAG_EXTRA)) {
		g->state = GZIP_NAME;
		return;
	}
	if (!gather(g, in, 2))
		return;
	g->header_crc = crc32_gzip_refl(g->header_crc, g->field, 2);
	g->left = g->field[0] | (uint32_t)g->field[1] << 8;
	g->state = GZIP_EXTRA;
}

static void step_extra(struct gunzip *g, struct span *in)
{
	size_t n = g->left < in->len ? g->left : in->len;

	take_header(g, in, n);
	g->left -= (uint32_t)n;
	if (g->left == 0)
		g->state = GZIP_NAME;
}

/* A name or comment ends with a NUL; we have no use for it. */
static void step_text(struct gunzip *g, struct span *in, uint8_t flag)
{
	if (g->flags & flag) {
		int64_t nul = span_find(*in, 0);

		take_header(g, in, nul < 0 ? in->len : (size_t)nul + 1);
		if (nul < 0)
			return;
	}
	g->state++;
}

static enum filter_state step_hcrc(struct gunzip *g, struct span *in, dray_error **err)
{
	if (g->flags & FLAG_HCRC) {
		if (!gather(g, in, 2))
			return FILTER_MORE;
		if ((g->header_crc & 0xffff) != (g->field[0] | (uint32_t)g->field[1] << 8))
			return decoder_fail(&g->d, err, DRAY_ERR_FORMAT, "bad header checksum");
	}
	isal_inflate_reset(&g->inflate);
	g->crc = 0;
	g->size = 0;
	g->state = GZIP_BODY;
	return FILTER_MORE;
}

/*
 * At the end of deflate data ISA-L holds up to eight bytes that it has read ahead.
 * They are the beginning of the trailer, which is that long: none is lost.
 */
static void body_end(struct gunzip *g)
{
	struct inflate_state *z = &g->inflate;
	int32_t bits = z->read_in_length;
	uint64_t ahead = bits > 0 ? z->read_in >> (bits % 8) : 0;

	for (; bits >= 8; bits -= 8, ahead >>= 8)
		g->field[g->field_len++] = (uint8_t)ahead;
	g->state = GZIP_TRAILER;
}

static const char *inflate_problem(int code)
{
	switch (code) {
	case ISAL_INVALID_BLOCK:
		return "invalid deflate block";
	case ISAL_INVALID_SYMBOL:
		return "invalid deflate symbol";
	case ISAL_INVALID_LOOKBACK:
		return "a deflate match reaches before the beginning";
	default:
		return "invalid deflate data";
	}
}

static enum filter_state step_body(struct gunzip *g, struct span *in, struct room *out,
				   dray_error **err)
{
	struct inflate_state *z = &g->inflate;
	uint32_t in_len = codec_piece(in->len);
	uint32_t out_len = codec_piece(out->len);
	uint8_t byte = 0;

	/* ISA-L's next_in lacks a const; it does not write there. */
	memcpy(&z->next_in, &in->data, sizeof(z->next_in));
	if (in_len == 0)
		z->next_in = &byte;
	z->avail_in = in_len;
	z->next_out = out->data;
	z->avail_out = out_len;

	int code = isal_inflate(z);
	uint32_t made = out_len - z->avail_out;

	decoder_take(&g->d, in, in_len - z->avail_in);
	if (code != ISAL_DECOMP_OK)
		return decoder_fail(&g->d, err, DRAY_ERR_FORMAT, "%s", inflate_problem(code));
	g->crc = crc32_gzip_refl(g->crc, out->data, made);
	g->size += made;
	out->data += made;
	out->len -= made;
	if (z->block_state == ISAL_BLOCK_FINISH)
		body_end(g);
	return FILTER_MORE;
}

static enum filter_state step_trailer(struct gunzip *g, struct span *in, dray_error **err)
{
	if (!gather(g, in, 8))
		return FILTER_MORE;

	uint32_t crc = le32(g->field);
	uint32_t size = le32(g->field + 4);

	if (crc != g->crc)
		return decoder_fail(&g->d, err, DRAY_ERR_FORMAT,
				    "bad CRC-32: stored %08" PRIx32 ", computed %08" PRIx32, crc,
				    g->crc);
	if (size != g->size)
		return decoder_fail(&g->d, err, DRAY_ERR_FORMAT,
				    "bad length: stored %" PRIu32 ", counted %" PRIu32, size,
				    g->size);
	g->d.notes->members++;
	g->state = GZIP_MAGIC;
	return FILTER_MORE;
}

/* One move of the state machine. */
static enum filter_state gunzip_move(struct gunzip *g, struct span *in, struct room *out,
				     dray_error **err)
{
	switch (g->state) {
	case GZIP_MAGIC:
		return step_magic(g, in, err);
	case GZIP_FIXED:
		return step_fixed(g, in, err);
	case GZIP_EXTRA_LEN:
		step_extra_len(g, in);
		return FILTER_MORE;
	case GZIP_EXTRA:
		step_extra(g, in);
		return FILTER_MORE;
	case GZIP_NAME:
		step_text(g, in, FLAG_NAME);
		return FILTER_MORE;
	case GZIP_COMMENT:
		step_text(g, in, FLAG_COMMENT);
		return FILTER_MORE;
	case GZIP_HCRC:
		return step_hcrc(g, in, err);
	case GZIP_BODY:
		return step_body(g, in, out, err);
	case GZIP_TRAILER:
		return step_trailer(g, in, err);
	case GZIP_PADDING:
		return decoder_padding(&g->d, in, false, err);
	}
	return FILTER_FAILED;
}

/* The input has ended: deliver what ISA-L still holds, then judge. */
static enum filter_state gunzip_end(struct gunzip *g, struct span *in, struct room *out,
				    dray_error **err)
{
	size_t room = out->len;

	if (g->state == GZIP_PADDING || (g->state == GZIP_MAGIC && g->d.notes->members > 0))
		return FILTER_END;
	if (g->state == GZIP_BODY) {
		if (step_body(g, in, out, err) == FILTER_FAILED)
			return FILTER_FAILED;
		if (out->len < room)
			return FILTER_MORE;
	}
	/* What was read ahead may be the whole trailer. */
	if (g->state == GZIP_TRAILER && g->field_len == 8) {
		enum filter_state s = step_trailer(g, in, err);

		return s == FILTER_FAILED ? s : FILTER_END;
	}
	return decoder_fail(&g->d, err, DRAY_ERR_FORMAT, "truncated");
}

static enum filter_state gunzip_step(struct filter *f, struct span *in, struct room *out, bool end,
				     dray_error **err)
{
	struct gunzip *g = (struct gunzip *)f;

	if (end && in->len == 0)
		return gunzip_end(g, in, out, err);
	while (in->len > 0 && out->len > 0)
		if (gunzip_move(g, in, out, err) == FILTER_FAILED)
			return FILTER_FAILED;
	return FILTER_MORE;
}

static void gunzip_free(struct filter *f)
{
	mem_free(f);
}

static const struct filter_ops gunzip_ops = {
	.step = gunzip_step,
	.free = gunzip_free,
};

struct filter *decode_gzip(struct decode_notes *notes, dray_error **err)
{
	struct gunzip *g = mem_zalloc(sizeof(*g));

	if (!g) {
		err_nomem(err);
		return NULL;
	}
	decoder_init(&g->d, &gunzip_ops, "gunzip", notes);
	isal_inflate_init(&g->inflate);
	return &g->d.base;
}

struct filter *decode_gzip_rest(int64_t at, int64_t members, dray_error **err)
{
	struct filter *f = decode_gzip(NULL, err);
	struct gunzip *g = (struct gunzip *)f;

	if (!f)
		return NULL;
	g->d.at = at;
	g->d.notes->members = members;
	return f;
}
