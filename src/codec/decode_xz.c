/* SPDX-License-Identifier: Apache-2.0 */
/* For: xz, all streams of a file; outer archives only.
 * Relies on: liblzma, which checks the integrity of each block and stream padding.
 * Promises: memory bounded by XZ_MEMORY.
 */
#include "codec/codec_priv.h"

#include <inttypes.h>
#include <lzma.h>

#include "base/limits.h"
#include "base/mem.h"

#define XZ_MEMORY (128 * MIB) /* bytes; xz -9 needs 65 MiB */

struct unxz {
	struct decoder d;
	lzma_stream z;
};

static void *alloc_items(void *opaque, size_t items, size_t size)
{
	(void)opaque;
	return mem_alloc_array(items, size);
}

static const lzma_allocator allocator = { .alloc = alloc_items, .free = codec_free };

static enum filter_state unxz_problem(const struct unxz *x, lzma_ret code, dray_error **err)
{
	switch (code) {
	case LZMA_MEM_ERROR:
		err_nomem(err);
		return FILTER_FAILED;
	case LZMA_MEMLIMIT_ERROR:
		return decoder_fail(&x->d, err, DRAY_ERR_LIMIT,
				    "the stream needs %" PRIu64
				    " bytes of memory, over the limit of %lld",
				    lzma_memusage(&x->z), XZ_MEMORY);
	case LZMA_OPTIONS_ERROR:
		return decoder_fail(&x->d, err, DRAY_ERR_UNSUPPORTED, "unknown xz options");
	case LZMA_BUF_ERROR:
		return decoder_fail(&x->d, err, DRAY_ERR_FORMAT, "truncated");
	case LZMA_FORMAT_ERROR:
		return decoder_fail(&x->d, err, DRAY_ERR_FORMAT, "no xz header");
	default:
		return decoder_fail(&x->d, err, DRAY_ERR_FORMAT, "invalid xz data");
	}
}

static enum filter_state unxz_step(struct filter *f, struct span *in, struct room *out, bool end,
				   dray_error **err)
{
	struct unxz *x = (struct unxz *)f;
	bool last = end && in->len == 0;
	lzma_ret code = LZMA_OK;

	/* At the end liblzma is called until it says so, or finds that bytes are missing. */
	while (code == LZMA_OK && out->len > 0 && (in->len > 0 || last)) {
		x->z.next_in = in->data;
		x->z.avail_in = in->len;
		x->z.next_out = out->data;
		x->z.avail_out = out->len;
		code = lzma_code(&x->z, last ? LZMA_FINISH : LZMA_RUN);
		decoder_take(&x->d, in, in->len - x->z.avail_in);
		out->data += out->len - x->z.avail_out;
		out->len = x->z.avail_out;
	}
	if (code == LZMA_STREAM_END) {
		x->d.notes->members = 1;
		return FILTER_END;
	}
	return code == LZMA_OK ? FILTER_MORE : unxz_problem(x, code, err);
}

static void unxz_free(struct filter *f)
{
	lzma_end(&((struct unxz *)f)->z);
	mem_free(f);
}

static const struct filter_ops unxz_ops = {
	.step = unxz_step,
	.free = unxz_free,
};

struct filter *decode_xz(struct decode_notes *notes, dray_error **err)
{
	struct unxz *x = mem_zalloc(sizeof(*x));

	if (!x) {
		err_nomem(err);
		return NULL;
	}
	decoder_init(&x->d, &unxz_ops, "unxz", notes);
	x->z = (lzma_stream)LZMA_STREAM_INIT;
	x->z.allocator = &allocator;
	if (lzma_stream_decoder(&x->z, XZ_MEMORY, LZMA_CONCATENATED) != LZMA_OK) {
		unxz_free(&x->d.base);
		err_nomem(err);
		return NULL;
	}
	return &x->d.base;
}
