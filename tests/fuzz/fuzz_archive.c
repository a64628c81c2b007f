/* SPDX-License-Identifier: Apache-2.0
 *
 * For: fuzzing the readers of archives (A-01, A-02, M-10 to M-13).
 * Relies on: memfd_create(2) for a file; the input is an uncompressed tar.
 * Promises: what a forward walk accepts a random-access reading accepts too, with
 * the same images, and what it learnt of a layer is what reading that layer shows.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "store/store_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct listing {
	struct archive *archive;
	struct image **images;
	size_t n;
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static int list(struct listing *l, int filled, dray_error **err)
{
	struct selector sel = { .all = true };

	if (filled < 0 || archive_decide(l->archive, false, err) < 0)
		return -1;
	return store_images(&l->archive->store, &sel, &l->images, &l->n, err);
}

static int list_file(struct listing *l, const uint8_t *data, size_t size, dray_error **err)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	require(archive_new("file", &l->archive, NULL) == 0);
	return list(l,
		    members_open_tar(fd, true, &l->archive->store.notes, &l->archive->members, err),
		    err);
}

static int list_walk(struct listing *l, const uint8_t *data, size_t size, dray_error **err)
{
	struct source *in = source_from_span(span_of(data, size), NULL);

	require(archive_new("walk", &l->archive, NULL) == 0);
	return list(l, members_walk(in, NULL, &l->archive->store.notes, &l->archive->members, err),
		    err);
}

static void compare_layer(const struct listing *file, const struct image *f, const struct image *w,
			  size_t i)
{
	const struct layer *a = &f->layers[i], *b = &w->layers[i];
	struct blob_facts facts;

	require(a->missing == b->missing);
	require(!a->link_target == !b->link_target);
	if (a->missing || !b->facts || a->blob.size != b->facts->blob_size)
		return;
	struct source *s = store_open_layer(&file->archive->store, f, i, NULL);
	require(s && member_hash(NULL, "layer", s, a->blob.size, &facts, NULL) == 0);
	require(digest_eq(&facts.blob_digest, &b->facts->blob_digest));
	require(facts.size == b->facts->size && facts.compression == a->compression);
	source_free(s);
}

static void compare(const struct listing *file, const struct listing *walk)
{
	require(file->n == walk->n);
	for (size_t k = 0; k < file->n; k++) {
		const struct image *f = file->images[k], *w = walk->images[k];

		require(f->n_layers == w->n_layers && f->n_tags == w->n_tags);
		require(f->broken == w->broken && !f->config == !w->config);
		require((image_require_whole(f, NULL) == 0) == !f->broken);
		for (size_t i = 0; i < f->n_layers; i++)
			compare_layer(file, f, w, i);
	}
}

static void clear(struct listing *l)
{
	images_free(l->images, l->n);
	store_free(&l->archive->store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_error dray_error *file_err = NULL, *walk_err = NULL;
	struct listing file = { 0 }, walk = { 0 };

	/* A walk decodes first, a file is looked into before it comes to that. */
	if (compression_sniff(span_of(data, size)) != COMPRESSION_NONE)
		return 0;
	int f = list_file(&file, data, size, &file_err);
	int w = list_walk(&walk, data, size, &walk_err);
	require((f < 0) == (file_err != NULL) && (w < 0) == (walk_err != NULL));
	require(w < 0 || f == 0);
	if (w == 0)
		compare(&file, &walk);
	clear(&file);
	clear(&walk);
	return 0;
}
