/* SPDX-License-Identifier: Apache-2.0
 *
 * An image made from others: some of their layers kept as they are stored, some new, and
 * another config. A store that passes its new layers like a pipe does, so that copy can send
 * them anywhere, and that hands out the documents once their DiffIDs are known.
 */
#pragma once

#include "build/memo.h"
#include "layer/write.h"
#include "ops/stack.h"

/** One layer of the new image, bottom first. All is lent. */
struct remake_layer {
	struct stack *stack; /* of kept and listed ones; not NULL */
	int64_t keep;	     /* layer of the stack whose stored bytes stay; -1 = new */
	struct record_list list; /* of a new one: what it holds, of trees of the stack */
	/*
	 * In its place, when set: an uncompressed tar from elsewhere, and its size. Called twice where
	 * the DiffID is found out first.
	 */
	struct source *(*open)(void *arg, int64_t *ret_size, dray_error **err);
	void *arg;
	bool beside; /* that tar may be read while others are, on another thread */
	/* What it will become, where somebody knows; who has that gets nothing, nobody asks for it. */
	const struct memo_layer *known;
	/*
	 * Its DiffID where that is known before it is made: for a destination that has such a layer it
	 * is not made at all. NULL = not known, or not yet (remake.foretell); where the destination
	 * has some layers and those of the stack lie in files, it is found out before it is made.
	 */
	const struct digest *diff_id;
	struct json annotations; /* of a new one, whatever its compression; missing = none */
};

/** What the layers have become, each at its place. */
struct remade_layers {
	const struct digest *diff_ids;
	/*
	 * NULL where a kept one was not read, where one of known DiffID was not made, and without
	 * contents
	 */
	const struct layer_index *const *index;
	const int64_t *entries; /* of each new one that was counted; -1 */
	const struct memo_blob *blobs; /* what was made of a new one for the destination; may be unset */
	size_t n;
};

/**
 * New layers that are made all at once, while the biggest of those that they come from is read for the
 * first time; for a destination where nothing is seen of an attempt that fails.
 */
struct together {
	/**
	 * The tars of all layers into @p out, which are not to be finished. 1; 0 = they have become
	 * something else, and are worth nothing; -1, with the image's name in the error.
	 */
	int (*write)(void *arg, struct sink *const *out, dray_error **err);
	/**
	 * After a 0, or in place of that: the layers that are to be made one by one. Not before the
	 * destination is open.
	 */
	int (*plan)(void *arg, const struct remake_layer **ret, size_t *ret_n, dray_error **err);
	void *arg;
};

struct remake {
	struct stack *stack; /* the old image: whose name, tags, family and annotations stay */
	const struct remake_layer *layers;
	size_t n;
	const struct together *together; /* NULL, or what makes all layers, which are new then */
	/* Whose family and annotations the new one takes; NULL = those of the old image. */
	const struct manifest *like;
	/* Annotations of an index that the image comes in; missing = it comes alone. */
	struct json around;
	/* No file is in two new layers: temporary tars may shrink while they are read. */
	bool apart;
	/* New layers are read back with the digests of their files; else their entries are counted. */
	bool contents;
	/**
	 * May be NULL: called first, where the destination has some layers: the diff_id of those new
	 * ones of which it can be told.
	 */
	int (*foretell)(void *arg, dray_error **err);
	/** Called when all new layers have passed: the new config, appended to @p ret. */
	int (*config)(void *arg, const struct remade_layers *made, struct buf *ret,
		      dray_error **err);
	void *arg;
};

/** The store, as made.open; all of @p m is lent until it is freed. */
int remake_open(const struct remake *m, const struct place_options *po, struct store **ret,
		dray_error **err) MUST_CHECK;
