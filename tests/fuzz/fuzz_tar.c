/* SPDX-License-Identifier: Apache-2.0
 *
 * The tar reader on anything.
 * Relies on libFuzzer, or on the plain driver that runs the corpus as a test.
 * Promises: offsets only grow and lie inside the input; cleaned names have no ".." part.
 */
#include <assert.h>
#include <stdio.h>
#include "base/mem.h"
#include "tar/tar_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_clean(struct span name)
{
	cleanup_buf struct buf clean = BUF_INIT(LIMIT_PATH);

	if (tar_name_clean(name, &clean, NULL) < 0)
		return;
	/* The canonical form is its own canonical form. */
	assert(tar_name_quirks(span_buf(&clean)) == 0);
	if (tar_name_quirks(name) == 0)
		assert(span_eq(name, span_buf(&clean)));
}

static void check_link(const struct tar_entry *e)
{
	cleanup_buf struct buf target = BUF_INIT(2 * LIMIT_PATH);

	if (tar_link_resolve(e->name, e->link, &target, NULL) == 0)
		assert(tar_name_quirks(span_buf(&target)) == 0);
}

static void on_oddity(void *arg, const struct tar_oddity *o)
{
	const size_t *size = arg;

	assert(o->off >= 0 && (size_t)o->off <= *size && o->message[0]);
}

static void walk(struct span bytes)
{
	cleanup_source struct source *in = source_from_span(bytes, NULL);
	cleanup_tar_reader struct tar_reader *r = in ? tar_reader_new(in, on_oddity, &bytes.len,
								      NULL)
						     : NULL;
	const struct tar_entry *e;
	int64_t last = 0;
	int rc;

	if (!r)
		return;
	while ((rc = tar_next(r, &e, NULL)) > 0) {
		assert(e->header_off >= last && e->data_off > e->header_off);
		assert(e->end_off >= e->data_off + e->size && e->size >= 0);
		assert((size_t)e->data_off <= bytes.len);
		last = e->end_off;
		check_clean(e->name);
		check_link(e);
	}
	if (rc == 0) {
		assert((size_t)last <= bytes.len);
		assert(tar_tail(r, NULL) == 0 && in->pos == (int64_t)bytes.len);
	}
}

/* Mutations hardly ever keep a checksum: mend it in what looks like a header. */
static void mend(uint8_t *data, size_t size)
{
	char text[8] = { 0 };

	for (size_t at = 0; size - at >= TAR_BLOCK; at += TAR_BLOCK) {
		if (memcmp(data + at + TAR_MAGIC_AT, "ustar", 5) != 0)
			continue;
		snprintf(text, sizeof(text), "%06o", tar_checksum(data + at));
		memcpy(data + at + TAR_SUM_AT, text, sizeof(text));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free uint8_t *mended = mem_dup(data, size);

	walk(span_of(data, size));
	if (mended) {
		mend(mended, size);
		walk(span_of(mended, size));
	}
	return 0;
}
