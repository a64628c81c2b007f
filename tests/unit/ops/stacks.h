/* SPDX-License-Identifier: Apache-2.0
 *
 * Images whose layers are written in the language of layer/layers.h.
 */
#pragma once

#include <dray/rootfs.h>

#include "layer/layers.h"
#include "ops_box.h"

/** How an image lies in the box. */
enum lies { AS_SAVED, AS_GZIP, AS_ZSTD, LIES };

/** An image of the layers of @p stack, divided by "--" lines; its place. */
static inline const char *stack_image(struct box *b, const char *name, const char *stack,
				      enum lies how)
{
	static const enum encoding encodings[] = { ENCODING_NONE, ENCODING_GZIP, ENCODING_ZSTD };
	cleanup_built struct built built = { 0 };
	struct piece *p[STACK_MAX];

	build_tars(&built, stack);
	for (size_t i = 0; i < built.n; i++) {
		p[i] = box_raw_piece(b, span_buf(&built.tar[i]));
		box_squeeze(p[i], encodings[how]);
		assert_int_equal(digest_of(span_buf(&p[i]->stored), &p[i]->blob, NULL), 0);
	}
	return how == AS_SAVED ? box_docker_plain(b, name, p, built.n)
			       : box_oci_plain(b, name, false, p, built.n);
}

/** Forget the layers of images that were written. */
static inline void stack_forget(struct box *b)
{
	for (size_t i = 0; i < b->n_pieces; i++) {
		buf_clear(&b->pieces[i].tar);
		buf_clear(&b->pieces[i].stored);
	}
	b->n_pieces = 0;
}

/** What a verb answered, as text, without any allocation. */
struct told {
	char text[8192];
	size_t len;
};

static inline PRINTF_LIKE(2, 3) void told_add(struct told *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->text + t->len, sizeof(t->text) - t->len, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < sizeof(t->text) - t->len);
	t->len += (size_t)n;
}

static inline void told_file(struct told *t, const struct dray_file *f)
{
	told_add(t, "%s %s", f->type, f->path[0] ? f->path : ".");
	if (f->link)
		told_add(t, " >%s", f->link);
	if (f->size)
		told_add(t, " %lld", (long long)f->size);
	for (size_t i = 0; i < f->n_xattrs; i++)
		told_add(t, " #%.*s", (int)f->xattrs[i].name_size, f->xattrs[i].name);
	told_add(t, " @%lld\n", (long long)f->layer);
}
