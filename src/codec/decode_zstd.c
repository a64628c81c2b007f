/* SPDX-License-Identifier: Apache-2.0 */
/* For: zstd (RFC 8878): all frames, skippable ones passed over.
 * Relies on: libzstd's streaming decoder, which checks checksums and sizes.
 * Promises: memory bounded by LIMIT_ZSTD_WINDOW_LOG; a torn last frame is an error.
 */
#include "codec/codec_priv.h"

#include <inttypes.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/limits.h"
#include "base/mem.h"

#define FRAME_HEADER_MAX 18

struct unzstd {
	struct decoder d;
	ZSTD_DCtx *ctx;
	bool inside; /* a frame has begun */
	bool any;    /* a frame of any kind was complete */
	bool padding;
	uint8_t head[FRAME_HEADER_MAX]; /* of this frame, for messages and counting */
	size_t head_len;
};

/*
 * The window that a frame header asks for (RFC 8878, 3.1.1.1); 0 = cannot tell.
 * A "single segment" is its own window.
 */
static uint64_t window_needed(const uint8_t *h, size_t len)
{
	static const uint8_t dict_bytes[] = { 0, 1, 2, 4 };
	uint8_t flags = len > 4 ? h[4] : 0;
	size_t at = 5u + dict_bytes[flags & 3];
	size_t bytes = flags >> 6 ? 1u << (flags >> 6) : 1;
	uint64_t size = 0;

	if (len < 6)
		return 0;
	if (!(flags & 0x20)) {
		uint64_t base = UINT64_C(1) << (10 + (h[5] >> 3));

		return base + base / 8 * (h[5] & 7);
	}
	if (at + bytes > len)
		return 0;
	for (size_t i = 0; i < bytes; i++)
		size |= (uint64_t)h[at + i] << (8 * i);
	return bytes == 2 ? size + 256 : size;
}

static enum filter_state window_too_large(const struct unzstd *z, dray_error **err)
{
	return decoder_fail(&z->d, err, DRAY_ERR_LIMIT,
			    "the frame needs a window of %" PRIu64 " bytes, over the limit of 2^%d",
			    window_needed(z->head, z->head_len), LIMIT_ZSTD_WINDOW_LOG);
}

static enum filter_state zstd_problem(const struct unzstd *z, size_t code, dray_error **err)
{
	switch (ZSTD_getErrorCode(code)) {
	case ZSTD_error_frameParameter_windowTooLarge:
		return window_too_large(z, err);
	case ZSTD_error_memory_allocation:
		err_nomem(err);
		return FILTER_FAILED;
	case ZSTD_error_dictionary_wrong:
		return decoder_fail(&z->d, err, DRAY_ERR_UNSUPPORTED,
				    "the frame needs a dictionary");
	default:
		return decoder_fail(&z->d, err, DRAY_ERR_FORMAT, "%s", ZSTD_getErrorName(code));
	}
}

static bool is_skippable(const struct unzstd *z)
{
	return z->head_len >= 4 && (z->head[0] & 0xf0) == 0x50 && z->head[3] == 0x18;
}

static void frame_begin(struct unzstd *z)
{
	z->inside = true;
	z->head_len = 0;
}

static void frame_end(struct unzstd *z)
{
	z->inside = false;
	z->any = true;
	if (!is_skippable(z))
		z->d.notes->members++;
}

static void remember_head(struct unzstd *z, struct span in)
{
	struct span more = span_head(in, FRAME_HEADER_MAX - z->head_len);

	memcpy(z->head + z->head_len, more.data, more.len);
	z->head_len += more.len;
}

static enum filter_state inside(struct unzstd *z, struct span *in, struct room *out,
				dray_error **err)
{
	ZSTD_inBuffer zin = { in->data, in->len, 0 };
	ZSTD_outBuffer zout = { out->data, out->len, 0 };

	if (in->len > 0 && z->head_len < FRAME_HEADER_MAX)
		remember_head(z, *in);

	size_t code = ZSTD_decompressStream(z->ctx, &zout, &zin);

	decoder_take(&z->d, in, zin.pos);
	out->data += zout.pos;
	out->len -= zout.pos;
	if (ZSTD_isError(code))
		return zstd_problem(z, code, err);
	if (code == 0)
		frame_end(z);
	return FILTER_MORE;
}

static enum filter_state between(struct unzstd *z, struct span *in)
{
	if (z->any && in->data[0] == 0)
		z->padding = true;
	else
		frame_begin(z);
	return FILTER_MORE;
}

static enum filter_state unzstd_end(struct unzstd *z, struct span *in, struct room *out,
				    dray_error **err)
{
	size_t room = out->len;

	if (z->inside && inside(z, in, out, err) == FILTER_FAILED)
		return FILTER_FAILED;
	if (!z->inside && z->any)
		return FILTER_END;
	if (out->len < room)
		return FILTER_MORE;
	return decoder_fail(&z->d, err, DRAY_ERR_FORMAT, "truncated");
}

static enum filter_state unzstd_step(struct filter *f, struct span *in, struct room *out, bool end,
				     dray_error **err)
{
	struct unzstd *z = (struct unzstd *)f;

	if (end && in->len == 0)
		return unzstd_end(z, in, out, err);
	while (in->len > 0 && out->len > 0) {
		enum filter_state s = z->padding  ? decoder_padding(&z->d, in, false, err)
				      : z->inside ? inside(z, in, out, err)
						  : between(z, in);

		if (s == FILTER_FAILED)
			return s;
	}
	return FILTER_MORE;
}

static void unzstd_free(struct filter *f)
{
	ZSTD_freeDCtx(((struct unzstd *)f)->ctx);
	mem_free(f);
}

static const struct filter_ops unzstd_ops = {
	.step = unzstd_step,
	.free = unzstd_free,
};

struct filter *decode_zstd(struct decode_notes *notes, dray_error **err)
{
	struct unzstd *z = mem_zalloc(sizeof(*z));

	if (!z) {
		err_nomem(err);
		return NULL;
	}
	decoder_init(&z->d, &unzstd_ops, "unzstd", notes);
	z->ctx = ZSTD_createDCtx();
	if (!z->ctx || ZSTD_isError(ZSTD_DCtx_setParameter(z->ctx, ZSTD_d_windowLogMax,
							   LIMIT_ZSTD_WINDOW_LOG))) {
		unzstd_free(&z->d.base);
		err_nomem(err);
		return NULL;
	}
	return &z->d.base;
}
