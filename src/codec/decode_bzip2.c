/* SPDX-License-Identifier: Apache-2.0 */
/* For: bzip2, all streams of a file; outer archives only.
 * Relies on: libbz2, which checks the CRCs.
 * Promises: as the other decoders: torn input and stray bytes are errors.
 */
#include "codec/codec_priv.h"

#include <bzlib.h>

#include "base/mem.h"

struct bunzip2 {
	struct decoder d;
	bool inside; /* z is initialised, a stream has begun */
	bool padding;
	bz_stream z;
};

static void *alloc_items(void *opaque, int items, int size)
{
	return codec_alloc_items(opaque, (uint32_t)items, (uint32_t)size);
}

static enum filter_state between(struct bunzip2 *b, struct span *in, dray_error **err)
{
	if (b->d.notes->members > 0 && in->data[0] == 0) {
		b->padding = true;
		return FILTER_MORE;
	}
	b->z = (bz_stream){ .bzalloc = alloc_items, .bzfree = codec_free };
	if (BZ2_bzDecompressInit(&b->z, 0, 0) != BZ_OK) {
		err_nomem(err);
		return FILTER_FAILED;
	}
	b->inside = true;
	return FILTER_MORE;
}

static void stream_end(struct bunzip2 *b)
{
	BZ2_bzDecompressEnd(&b->z);
	b->inside = false;
	b->d.notes->members++;
}

static enum filter_state inside(struct bunzip2 *b, struct span *in, struct room *out,
				dray_error **err)
{
	uint32_t in_len = codec_piece(in->len);
	uint32_t out_len = codec_piece(out->len);

	/* libbz2 knows no const; it does not write there. */
	memcpy(&b->z.next_in, &in->data, sizeof(b->z.next_in));
	b->z.avail_in = in_len;
	b->z.next_out = (char *)out->data;
	b->z.avail_out = out_len;

	int code = BZ2_bzDecompress(&b->z);

	decoder_take(&b->d, in, in_len - b->z.avail_in);
	out->data += out_len - b->z.avail_out;
	out->len -= out_len - b->z.avail_out;
	if (code == BZ_STREAM_END)
		stream_end(b);
	else if (code == BZ_MEM_ERROR)
		return err_nomem(err), FILTER_FAILED;
	else if (code != BZ_OK)
		return decoder_fail(&b->d, err, DRAY_ERR_FORMAT, "%s",
				    code == BZ_DATA_ERROR_MAGIC ? "no bzip2 header"
								: "invalid bzip2 data");
	return FILTER_MORE;
}

static enum filter_state bunzip2_end(struct bunzip2 *b, struct span *in, struct room *out,
				     dray_error **err)
{
	size_t room = out->len;

	if (b->inside && inside(b, in, out, err) == FILTER_FAILED)
		return FILTER_FAILED;
	if (!b->inside && b->d.notes->members > 0)
		return FILTER_END;
	if (out->len < room)
		return FILTER_MORE;
	return decoder_fail(&b->d, err, DRAY_ERR_FORMAT, "truncated");
}

static enum filter_state bunzip2_step(struct filter *f, struct span *in, struct room *out, bool end,
				      dray_error **err)
{
	struct bunzip2 *b = (struct bunzip2 *)f;

	if (end && in->len == 0)
		return bunzip2_end(b, in, out, err);
	while (in->len > 0 && out->len > 0) {
		enum filter_state s = b->padding  ? decoder_padding(&b->d, in, false, err)
				      : b->inside ? inside(b, in, out, err)
						  : between(b, in, err);

		if (s == FILTER_FAILED)
			return s;
	}
	return FILTER_MORE;
}

static void bunzip2_free(struct filter *f)
{
	struct bunzip2 *b = (struct bunzip2 *)f;

	if (b->inside)
		BZ2_bzDecompressEnd(&b->z);
	mem_free(b);
}

static const struct filter_ops bunzip2_ops = {
	.step = bunzip2_step,
	.free = bunzip2_free,
};

struct filter *decode_bzip2(struct decode_notes *notes, dray_error **err)
{
	struct bunzip2 *b = mem_zalloc(sizeof(*b));

	if (!b) {
		err_nomem(err);
		return NULL;
	}
	decoder_init(&b->d, &bunzip2_ops, "bunzip2", notes);
	return &b->d.base;
}
