/* SPDX-License-Identifier: Apache-2.0 */
/* For: gzip by zlib, framing and all: the twin that tests and fuzzing compare with.
 * Relies on: zlib for header, CRC-32 and length of each member.
 * Promises: the same bytes and notes as decode_gzip.c, or a failure where it fails.
 */
#include "codec/codec_priv.h"

#include <zlib.h>

#include "base/mem.h"

#define WINDOW_BITS_GZIP (15 + 16)

struct gunzip_zlib {
	struct decoder d;
	bool inside; /* a member has begun */
	bool padding;
	z_stream z;
};

/* Between members: what does this byte begin? */
static enum filter_state between(struct gunzip_zlib *g, struct span *in, dray_error **err)
{
	if (g->d.notes->members > 0 && in->data[0] == 0) {
		g->padding = true;
		return FILTER_MORE;
	}
	if (in->data[0] != 0x1f)
		return decoder_fail(&g->d, err, DRAY_ERR_FORMAT, "no gzip header");
	g->inside = true;
	return inflateReset(&g->z) == Z_OK ? FILTER_MORE : FILTER_FAILED;
}

static enum filter_state inside(struct gunzip_zlib *g, struct span *in, struct room *out,
				dray_error **err)
{
	uint32_t in_len = codec_piece(in->len);
	uint32_t out_len = codec_piece(out->len);

	/* z_const is empty unless ZLIB_CONST is set; inflate does not write there. */
	memcpy(&g->z.next_in, &in->data, sizeof(g->z.next_in));
	g->z.avail_in = in_len;
	g->z.next_out = out->data;
	g->z.avail_out = out_len;

	int code = inflate(&g->z, Z_NO_FLUSH);

	decoder_take(&g->d, in, in_len - g->z.avail_in);
	out->data += out_len - g->z.avail_out;
	out->len -= out_len - g->z.avail_out;
	if (code == Z_STREAM_END) {
		g->inside = false;
		g->d.notes->members++;
	} else if (code == Z_MEM_ERROR) {
		err_nomem(err);
		return FILTER_FAILED;
	} else if (code != Z_OK && code != Z_BUF_ERROR) {
		return decoder_fail(&g->d, err, DRAY_ERR_FORMAT, "%s",
				    g->z.msg ? g->z.msg : "invalid data");
	}
	return FILTER_MORE;
}

static enum filter_state gunzip_zlib_step(struct filter *f, struct span *in, struct room *out,
					  bool end, dray_error **err)
{
	struct gunzip_zlib *g = (struct gunzip_zlib *)f;
	size_t room = out->len;

	while (in->len > 0 && out->len > 0) {
		enum filter_state s = g->padding  ? decoder_padding(&g->d, in, false, err)
				      : g->inside ? inside(g, in, out, err)
						  : between(g, in, err);

		if (s == FILTER_FAILED)
			return s;
	}
	if (!end || in->len > 0)
		return FILTER_MORE;
	if (g->inside && inside(g, in, out, err) == FILTER_FAILED)
		return FILTER_FAILED;
	if (!g->inside && g->d.notes->members > 0)
		return FILTER_END;
	if (out->len < room)
		return FILTER_MORE;
	return decoder_fail(&g->d, err, DRAY_ERR_FORMAT, "truncated");
}

static void gunzip_zlib_free(struct filter *f)
{
	inflateEnd(&((struct gunzip_zlib *)f)->z);
	mem_free(f);
}

static const struct filter_ops gunzip_zlib_ops = {
	.step = gunzip_zlib_step,
	.free = gunzip_zlib_free,
};

struct filter *decode_gzip_zlib(struct decode_notes *notes, dray_error **err)
{
	struct gunzip_zlib *g = mem_zalloc(sizeof(*g));

	if (!g) {
		err_nomem(err);
		return NULL;
	}
	decoder_init(&g->d, &gunzip_zlib_ops, "gunzip", notes);
	g->z.zalloc = codec_alloc_items;
	g->z.zfree = codec_free;
	if (inflateInit2(&g->z, WINDOW_BITS_GZIP) != Z_OK) {
		mem_free(g);
		err_nomem(err);
		return NULL;
	}
	return &g->d.base;
}
