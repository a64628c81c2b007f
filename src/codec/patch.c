/* SPDX-License-Identifier: Apache-2.0 */
/* For: compressing bytes beside others that are alike, and back.
 * Relies on: libzstd's prefixes (ZSTD_CCtx_refPrefix) and its long distance matching.
 * Promises: one thread, one result; decoding needs no memory but what the caller gave.
 */
#include "codec/patch.h"

#include <zstd.h>
#include <zstd_errors.h>

#include "base/mem.h"

#define WINDOW_LOG_LEAST 17 /* bits: less makes nothing smaller */
#define LONG_FROM 20	    /* bits of window from which long distances are looked for */

struct patch_encoder {
	ZSTD_CCtx *ctx;
};

struct patch_decoder {
	ZSTD_DCtx *ctx;
};

size_t patch_bound(size_t len)
{
	return ZSTD_compressBound(len);
}

static bool set(ZSTD_CCtx *ctx, ZSTD_cParameter p, int value)
{
	return !ZSTD_isError(ZSTD_CCtx_setParameter(ctx, p, value));
}

struct patch_encoder *patch_encoder_new(void)
{
	struct patch_encoder *p = mem_zalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->ctx = ZSTD_createCCtx();
	/* The length is told beside the frame. */
	if (p->ctx && set(p->ctx, ZSTD_c_contentSizeFlag, 0))
		return p;
	patch_encoder_free(p);
	return NULL;
}

/* Bits of a window that reaches from the end of @p in to the beginning of @p prefix. */
static int window_log(size_t prefix, size_t in)
{
	int log = WINDOW_LOG_LEAST;

	while (((size_t)1 << log) < prefix + in)
		log++;
	return log;
}

size_t patch_encode(struct patch_encoder *p, int level, struct span prefix, struct span in,
		    struct room out)
{
	int log = window_log(prefix.len, in.len);
	size_t size;

	/*
	 * A prefix is hashed sparsely by the low levels; what is alike over long stretches is found
	 * by the long distance matcher all the same.
	 */
	if (!set(p->ctx, ZSTD_c_compressionLevel, level) || !set(p->ctx, ZSTD_c_windowLog, log) ||
	    !set(p->ctx, ZSTD_c_enableLongDistanceMatching, prefix.len > 0 && log >= LONG_FROM) ||
	    ZSTD_isError(ZSTD_CCtx_refPrefix(p->ctx, prefix.data, prefix.len)))
		return 0;
	size = ZSTD_compress2(p->ctx, out.data, out.len, in.data, in.len);
	return ZSTD_isError(size) ? 0 : size;
}

void patch_encoder_free(struct patch_encoder *p)
{
	if (!p)
		return;
	ZSTD_freeCCtx(p->ctx);
	mem_free(p);
}

struct patch_decoder *patch_decoder_new(dray_error **err)
{
	struct patch_decoder *p = mem_zalloc(sizeof(*p));

	if (p)
		p->ctx = ZSTD_createDCtx();
	if (p && p->ctx)
		return p;
	patch_decoder_free(p);
	err_nomem(err);
	return NULL;
}

static int refuse(size_t code, dray_error **err)
{
	if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation)
		return err_nomem(err);
	return err_set(err, DRAY_ERR_FORMAT, "unzstd: %s", ZSTD_getErrorName(code));
}

int patch_decode(struct patch_decoder *p, struct span prefix, struct span frame, struct room out,
		 dray_error **err)
{
	size_t size = ZSTD_findFrameCompressedSize(frame.data, frame.len);

	if (ZSTD_isError(size))
		return refuse(size, err);
	if (size != frame.len)
		return err_set(err, DRAY_ERR_FORMAT, "unzstd: bytes behind the frame");
	size = ZSTD_DCtx_refPrefix(p->ctx, prefix.data, prefix.len);
	if (!ZSTD_isError(size))
		size = ZSTD_decompressDCtx(p->ctx, out.data, out.len, frame.data, frame.len);
	if (ZSTD_isError(size))
		return refuse(size, err);
	if (size != out.len)
		return err_set(err, DRAY_ERR_FORMAT, "unzstd: %zu bytes where %zu were announced",
			       size, out.len);
	return 0;
}

void patch_decoder_free(struct patch_decoder *p)
{
	if (!p)
		return;
	ZSTD_freeDCtx(p->ctx);
	mem_free(p);
}
