/* SPDX-License-Identifier: Apache-2.0
 *
 * bbolt databases made by hand, of small pages.
 */
#pragma once

#include "base/span.h"

#define PAGE 512
#define N_PAGES 12

struct bolt_file {
	uint8_t bytes[N_PAGES * PAGE];
	size_t size;
	int fd;
};

static inline void put_int(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++, v >>= 8)
		p[i] = (uint8_t)v;
}

static inline void put_meta(struct bolt_file *f, size_t page, uint64_t root, uint64_t txid)
{
	uint8_t *p = f->bytes + page * PAGE, *m = p + 16;
	uint64_t sum = 0xcbf29ce484222325;

	put_int(p, page, 8);
	put_int(p + 8, 4, 2);
	put_int(m, 0xED0CDAED, 4);
	put_int(m + 4, 2, 4);
	put_int(m + 8, PAGE, 4);
	put_int(m + 16, root, 8);
	put_int(m + 48, txid, 8);
	for (size_t i = 0; i < 56; i++)
		sum = (sum ^ m[i]) * 0x100000001b3;
	put_int(m + 56, sum, 8);
}

struct element {
	const char *key;
	struct span value;
	bool bucket;
	uint64_t page; /* of a branch */
};

/* A page at @p p with what @p n elements say; its length. */
static inline size_t put_page(uint8_t *p, uint64_t id, unsigned flags, const struct element *e, size_t n)
{
	size_t at = 16 + 16 * n;

	put_int(p, id, 8);
	put_int(p + 8, flags, 2);
	put_int(p + 10, n, 2);
	for (size_t i = 0; i < n; i++) {
		uint8_t *el = p + 16 + 16 * i;
		size_t key = strlen(e[i].key), off = at - (16 + 16 * i);

		if (flags == 2) {
			put_int(el, e[i].bucket, 4);
			put_int(el + 4, off, 4);
			put_int(el + 8, key, 4);
			put_int(el + 12, e[i].value.len, 4);
		} else {
			put_int(el, off, 4);
			put_int(el + 4, key, 4);
			put_int(el + 8, e[i].page, 8);
		}
		memcpy(p + at, e[i].key, key);
		at += key;
		if (e[i].value.len)
			memcpy(p + at, e[i].value.data, e[i].value.len);
		at += e[i].value.len;
	}
	return at;
}

static inline void put_leaf(struct bolt_file *f, uint64_t id, const struct element *e, size_t n)
{
	put_page(f->bytes + id * PAGE, id, 2, e, n);
}

/** What containerd keeps: one image of this name in namespace moby, or none (NULL). */
static inline void put_containerd(struct bolt_file *f, const char *name, const char *digest)
{
	static uint8_t images[16], ns[16], image[16], target[300];
	const struct element told[] = {
		{ .key = "digest", .value = span_str(digest) },
		{ .key = "mediatype", .value = SPAN_LIT("application/vnd.oci.image.manifest.v1+json") },
		{ .key = "size", .value = SPAN_LIT("\x0a") },
	};
	size_t n = 16 + put_page(target + 16, 0, 2, told, 3);
	const struct element top[] = { { .key = "v1", .value = span_of(ns, 16), .bucket = true } };
	const struct element moby[] = { { .key = "moby", .value = span_of(images, 16), .bucket = true },
					{ .key = "version", .value = SPAN_LIT("\x08") } };
	const struct element kinds[] = { { .key = "images", .value = span_of(image, 16), .bucket = true } };
	uint8_t below[16] = { 8 };
	const struct element named[] = { { .key = name ? name : "", .value = span_of(below, 16), .bucket = true } };
	/* Go's form of 2026-01-02T03:04:05.000000006Z, and of a second later an hour further east. */
	const struct element parts[] = {
		{ .key = "createdat", .value = SPAN_LIT("\1\0\0\0\x0e\xe0\xe9\x2c\xa5\0\0\0\x06\xff\xff") },
		{ .key = "target", .value = span_of(target, n), .bucket = true },
		{ .key = "updatedat", .value = SPAN_LIT("\1\0\0\0\x0e\xe0\xe9\x2c\xa6\0\0\0\x06\0\x3c") },
	};

	memset(f, 0, sizeof(*f));
	f->size = sizeof(f->bytes);
	put_int(ns, 5, 8);
	put_int(images, 6, 8);
	put_int(image, 7, 8);
	put_meta(f, 0, 3, 1);
	put_meta(f, 1, 3, 2);
	put_leaf(f, 3, top, 1);
	put_leaf(f, 5, moby, 2);
	put_leaf(f, 6, kinds, 1);
	put_leaf(f, 7, named, name ? 1 : 0);
	put_leaf(f, 8, parts, 3);
}
