/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of writing a canonical archive: the set of images, layers that have
 * to wait, and the bytes.
 */
#pragma once

#include "flow/pool.h"
#include "ops/canonical.h"
#include "store/canonical.h"

/** Files without a name in which layers wait; each has one writer at a time. */
struct spool_file {
	int fd;
	int64_t end; /* bytes kept so far */
	struct spool_file *next;
};
struct spool {
	const char *dir; /* lent; NULL = TMPDIR, else /var/tmp */
	struct lock *lock;
	struct spool_file *idle;
	int64_t bytes; /* kept, in all files */
};
int spool_init(struct spool *s, const char *dir, dray_error **err) MUST_CHECK;
/** A file of one's own until spool_give(), which keeps @p kept bytes behind those of before. */
struct spool_file *spool_take(struct spool *s, dray_error **err);
void spool_give(struct spool *s, struct spool_file *f, int64_t kept);
void spool_clear(struct spool *s);

/** Where the decoded bytes of a layer wait. */
struct held {
	bool here;
	bool hinted; /* not here, and its size is only what the compressed bytes say of themselves */
	int fd;	     /* the spool's */
	int64_t off, size;
};

/** One place and what was chosen of it. */
struct canonical_source {
	struct place place;
	struct store *store;
	struct image **images;
	size_t n_images;
};

struct canonical_run {
	dray_context *ctx;
	const struct canonical_wishes *w;
	struct canonical_source *sources; /* in the arena */
	size_t n_sources;
	struct arena arena;
	struct canonical_set set;
	struct canonical_layout layout;
	struct spool spool;
	struct map passed; /* forward walks: DiffID text -> struct held */
	struct held *held; /* by canonical_layer.number */
};
/** Open the @p n places, choose images and names, and see which layers there are. */
int canonical_begin(struct canonical_run *r, dray_context *ctx, const char *const *refs, size_t n,
		    const struct canonical_wishes *w, dray_error **err) MUST_CHECK;
void canonical_end(struct canonical_run *r);
#define cleanup_canonical_run CLEANUP(canonical_end)

/** Images of an open source into r->set, with their names or those of the wishes. */
int canonical_choose(struct canonical_run *r, struct canonical_source *src,
		     dray_error **err) MUST_CHECK;
/** The names of the wishes, when all sources were chosen from. */
int canonical_give_names(struct canonical_run *r, dray_error **err) MUST_CHECK;

/**
 * Make every layer's size known. Those of compressed layers are learnt by decoding them into
 * the spool, or with @p guess, where the compressed bytes say a size, believed for now.
 */
int canonical_size_layers(struct canonical_run *r, bool guess, dray_error **err) MUST_CHECK;
/** Decode layer @p l into the spool, proven. */
int canonical_spool_layer(struct canonical_run *r, struct canonical_layer *l,
			  dray_error **err) MUST_CHECK;
/** The member_fn of a forward walk: everything that may be a layer waits. */
int canonical_passing(void *arg, const char *name, struct source *data, int64_t size,
		      struct blob_facts *ret, dray_error **err) MUST_CHECK;

/** Bytes read of one layer, told to the context. */
struct canonical_meter {
	dray_context *ctx;
	uint64_t id;
	int64_t done, total;
	char label[64];
};
void canonical_meter_begin(struct canonical_meter *m, struct canonical_run *r,
			   const struct canonical_layer *l);
void canonical_meter_end(struct canonical_meter *m, bool failed);
/** The uncompressed bytes of @p l, wherever they are; proven at their end. */
struct source *canonical_open_layer(struct canonical_run *r, const struct canonical_layer *l,
				    struct canonical_meter *m, dray_error **err);

/** What gzip says about how much it decodes to; -1 nothing. @p s lent, of @p size bytes. */
int gzip_size_hint(struct source *s, int64_t size, int64_t *ret, dray_error **err) MUST_CHECK;

/** The archive into @p k, front to back. */
int canonical_write_stream(struct canonical_run *r, struct sink *k, dray_error **err) MUST_CHECK;
/** The archive into a regular file that is empty, layers side by side. */
int canonical_write_file(struct canonical_run *r, int fd, dray_error **err) MUST_CHECK;
