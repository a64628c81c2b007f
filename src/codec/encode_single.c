/* SPDX-License-Identifier: Apache-2.0 */
/* For: gzip as one member, for readers that stop after the first.
 * Relies on: zlib; its decisions follow the bytes, not how they arrive.
 * Promises: a header without name or time, OS 255.
 */
#include "codec/codec_priv.h"

#include <zlib.h>

#include "base/mem.h"

#define WINDOW_BITS_GZIP (15 + 16)
#define MEMORY_LEVEL 8 /* zlib's default; part of what the bytes depend on */

struct gzip_single {
	struct filter base;
	z_stream z;
	gz_header header;
};

static enum filter_state single_step(struct filter *f, struct span *in, struct room *out, bool end,
				     dray_error **err)
{
	struct gzip_single *g = (struct gzip_single *)f;
	uint32_t in_len = codec_piece(in->len);
	uint32_t out_len = codec_piece(out->len);
	bool last = end && in->len == 0;

	/* z_const is empty unless ZLIB_CONST is set; deflate does not write there. */
	memcpy(&g->z.next_in, &in->data, sizeof(g->z.next_in));
	g->z.avail_in = in_len;
	g->z.next_out = out->data;
	g->z.avail_out = out_len;

	int code = deflate(&g->z, last ? Z_FINISH : Z_NO_FLUSH);

	*in = span_from(*in, in_len - g->z.avail_in);
	out->data += out_len - g->z.avail_out;
	out->len -= out_len - g->z.avail_out;
	if (code == Z_STREAM_END)
		return FILTER_END;
	if (code == Z_OK)
		return FILTER_MORE;
	err_set(err, DRAY_ERR_UNSUPPORTED, "zlib failed to compress (%d)", code);
	return FILTER_FAILED;
}

static void single_free(struct filter *f)
{
	deflateEnd(&((struct gzip_single *)f)->z);
	mem_free(f);
}

static const struct filter_ops single_ops = {
	.step = single_step,
	.free = single_free,
};

struct filter *encode_gzip_single(int level, dray_error **err)
{
	struct gzip_single *g = mem_zalloc(sizeof(*g));

	if (!g) {
		err_nomem(err);
		return NULL;
	}
	g->base.ops = &single_ops;
	g->header.os = 255;
	g->z.zalloc = codec_alloc_items;
	g->z.zfree = codec_free;
	if (deflateInit2(&g->z, level, Z_DEFLATED, WINDOW_BITS_GZIP, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflateSetHeader(&g->z, &g->header) != Z_OK) {
		single_free(&g->base);
		err_nomem(err);
		return NULL;
	}
	return &g->base;
}
