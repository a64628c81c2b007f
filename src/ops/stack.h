/* SPDX-License-Identifier: Apache-2.0
 *
 * The layers of one image, read once: their entries, and where their bytes lie.
 * What every verb that looks into layers begins with.
 */
#pragma once

#include "base/map.h"
#include "layer/tree.h"
#include "layer/write.h"
#include "ops/report.h"

/** Gets the file @p e (data lent) of distinct layer @p read; the layers come side by side. */
typedef int stack_file_fn(void *arg, size_t read, const struct layer_entry *e,
			  struct source *data, dray_error **err);

struct stack_options {
	bool contents; /* compute the digest of each file's content */
	bool lazy;     /* read no layer before stack_load() asks for it */
	/* Layers are read to and fro more than once: decoded ones wait in temporary files. */
	bool keep_tars;
	bool diff_ids; /* hold layers against the config's DiffIDs also where a manifest vouches */
	const char *without; /* what the user may do where a layer is not there; NULL = nothing */
	stack_file_fn *on_file; /* may be NULL: each file as its layer is read; not with contents */
	void *arg;
};

/** Lives on its own; all that it hands out is lent. */
struct stack {
	dray_context *ctx;
	dray_report *report; /* of the place; its warnings were not told yet */
	struct image *im;
	struct stack_options o;
	size_t n; /* layers */
	const struct layer_index **index; /* of each; equal layers share one; NULL = not read yet */
	struct stack_read *reads; /* the distinct ones */
	size_t n_reads;
	size_t *which;		/* of each layer: its stack_read */
	struct stack_feed *feeds; /* of each layer, between stack_prepare() and the end */
	struct map passed; /* what a walk kept: blob digest -> struct stack_passed */
	bool spends;	   /* see stack_spend_tars() */
	struct arena arena;
};

/**
 * Open @p place, choose one image, read its layers side by side. Every byte is held against the
 * digest that vouches for it: the manifest's, else the config's DiffID. What a pipe or a
 * registry brings waits, as stored, in temporary files of the context's folder.
 * As dray_explain(); UNSUPPORTED for artifacts; FORMAT for layers that are no tar.
 */
int stack_open(dray_context *ctx, const char *place, const struct dray_select *sel,
	       const struct stack_options *o, struct stack **ret, dray_error **err) MUST_CHECK;
void stack_free(struct stack *s);
DEFINE_CLEANUP(struct stack, cleanup_stack_fn, stack_free)
#define cleanup_stack CLEANUP(cleanup_stack_fn)

/** A Windows image: its layers hold Files/, Hives/ and UtilityVM/, which only Windows unpacks. */
bool stack_is_windows(const struct stack *s);

/** Read layer @p i unless it was read; of use with stack_options.lazy. */
int stack_load(struct stack *s, size_t i, dray_error **err) MUST_CHECK;
/** All that were not read yet, side by side. */
int stack_load_all(struct stack *s, dray_error **err) MUST_CHECK;
/** All but layer @p i, which counts as an empty one until it is loaded, too. */
int stack_load_others(struct stack *s, size_t i, dray_error **err) MUST_CHECK;
/** Reads the tar of a layer (lent), decoded ahead of it: 1 and what it holds in *ret, 0, -1. */
typedef int stack_layer_fn(void *arg, struct source *tar, struct layer_index **ret,
			   dray_error **err);
/**
 * Have the last one read by @p fn, unless it lies decoded in a file. 0 = it was not, or not all, and
 * is to be loaded in the ordinary way.
 */
int stack_load_by(struct stack *s, size_t i, stack_layer_fn *fn, void *arg,
		  dray_error **err) MUST_CHECK;

/** The manifest that says which blobs the layers are; NULL = nothing does. */
const struct manifest *stack_manifest(const struct stack *s);
/** Does a manifest say which blob layer @p i is? */
bool stack_vouched(const struct stack *s, size_t i);
/** The DiffID of layer @p i, which no config tells: its bytes are decoded for it. */
int stack_diff_id(struct stack *s, size_t i, struct digest *ret, dray_error **err) MUST_CHECK;
/** The stored bytes of layer @p i, not proven. */
struct source *stack_open_stored(struct stack *s, size_t i, dray_error **err);

/**
 * Layers that @p from has read and that @p s has not, by their DiffIDs, are not read again.
 * They are lent from @p from, which was opened with diff_ids, and both with the same contents.
 */
int stack_share(struct stack *s, const struct stack *from, dray_error **err) MUST_CHECK;

/**
 * The bytes of @p e, a file of layer @p i that was read, holes expanded; they are proven when
 * the source ends.
 */
struct source *stack_open_file(struct stack *s, size_t i, const struct layer_entry *e,
			       dray_error **err);

/** A file of a merged tree that is wanted whole. */
struct stack_file {
	const struct inode *inode; /* of a TAR_FILE */
	struct room bytes;	   /* out: the reader's, in the arena */
};
/**
 * The contents of @p n files, in memory of @p a; each layer is decoded once more at most, however
 * many they are. LIMIT when they have more than @p max bytes together.
 */
int stack_read_files(struct stack *s, struct stack_file *list, size_t n, int64_t max,
		     struct arena *a, dray_error **err) MUST_CHECK;

/**
 * Hand files of distinct layer @p read, which was read, to @p fn: the @p n entries of @p list, in
 * the order of their offsets. All of the layer is proven once more, unless it lies in a file.
 */
int stack_pass_files(struct stack *s, size_t read, const struct layer_entry *const *list, size_t n,
		     stack_file_fn *fn, void *arg, dray_error **err) MUST_CHECK;

/** The merged tree of layers @p from to @p to - 1, finished; partial unless from is 0. */
int stack_tree_of(const struct stack *s, size_t from, size_t to, struct tree **ret,
		  dray_error **err) MUST_CHECK;
/** The merged tree after stack_load_others(), finished and partial. Nothing is logged. */
int stack_tree_of_others(const struct stack *s, struct tree **ret, dray_error **err) MUST_CHECK;
/** The merged tree of the lowest @p n layers, finished. What is odd is logged as information. */
int stack_tree(const struct stack *s, size_t n, struct tree **ret, dray_error **err) MUST_CHECK;

/**
 * The decoded tars in temporary files go; who asks for their bytes after that has them decoded again.
 * Before an output is synced, for a file system may be synced as a whole.
 */
void stack_drop_tars(struct stack *s);
/**
 * From now on each byte of the layers is asked for once, but for folders: temporary tars shrink as they
 * are read, so that those and what is written of them do not fill memory and disk together.
 */
void stack_spend_tars(struct stack *s);
/** Do all tars lie in files? Then many lists can be written at once, and none waits for another. */
bool stack_lies_in_files(const struct stack *s);
/** Decode the layers for which that is not so into temporary files; all are loaded. */
int stack_spool(struct stack *s, dray_error **err) MUST_CHECK;
/**
 * Make ready to write @p l from the layers: those that are read out of their order are decoded
 * into temporary files, once; the others are decoded again as they are written.
 */
int stack_prepare(struct stack *s, const struct record_list *l, dray_error **err) MUST_CHECK;
/** The bytes of the layers, for what stack_prepare() saw; one writer at a time, unless they lie in files. */
struct layer_feed stack_feed(struct stack *s);
/** After writing: the rest of what was decoded again is proven too. */
int stack_feed_finish(struct stack *s, dray_error **err) MUST_CHECK;
