/* SPDX-License-Identifier: Apache-2.0
 *
 * Small archives for the tests of store/: built in memory, opened as a file or
 * as a pipe.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/mem.h"
#include "digest/digest.h"
#include "store/store.h"
#include "tar_build.h"

enum way { AS_FILE, AS_PIPE, WAYS };

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEX_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

/* Bytes that stand for a layer: they do not look like a document. */
#define LAYER_1 "layer one\n"
#define LAYER_2 "layer two\n"

static inline const char *box_digest(const char *text, struct digest *d)
{
	assert_int_equal(digest_of(span_str(text), d, NULL), 0);
	return d->text;
}

/* Open the bytes; a pipe holds 64 KiB, which bounds what such a test may build. */
static inline struct store *box_open(const struct buf *tar, enum way way, dray_error **err)
{
	char path[64];
	int fds[2];

	if (way == AS_FILE) {
		fds[0] = memfd_create("box", MFD_CLOEXEC);
		assert_true(fds[0] >= 0);
		assert_int_equal(pwrite(fds[0], tar->data, tar->len, 0), tar->len);
	} else {
		assert_true(tar->len <= 65536);
		assert_int_equal(pipe(fds), 0);
		assert_int_equal(write(fds[1], tar->data, tar->len), tar->len);
		close(fds[1]);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	struct store *st = store_open_tar(path, NULL, err);
	close(fds[0]);
	return st;
}

static inline const struct note *box_find_note(const struct notes *n, const char *code)
{
	for (size_t i = 0; i < n->n; i++)
		if (strcmp(n->list[i].code, code) == 0)
			return &n->list[i];
	return NULL;
}

/* A config with these layers' DiffIDs (NULL ends them); memory for the length of the test. */
static inline const char *box_config(const char *first, const char *second)
{
	static char text[1024];
	struct digest a, b;

	snprintf(text, sizeof(text),
		 "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
		 "\"diff_ids\":[%s%s%s%s%s%s%s]}}",
		 first ? "\"" : "", first ? box_digest(first, &a) : "", first ? "\"" : "",
		 second ? "," : "", second ? "\"" : "", second ? box_digest(second, &b) : "",
		 second ? "\"" : "");
	return text;
}

static inline void box_free(struct store *st, struct image **images, size_t n, dray_error *err)
{
	images_free(images, n);
	store_free(st);
	dray_error_free(err);
}
