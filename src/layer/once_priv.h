/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of once share. Bytes flow one way:
 *
 *   once.c         entries as they come, those that come early held back  -> entries in order
 *   once_merge.c   the nodes of the other layers between them             -> bytes of layers
 *   once_cut.c     into which tars they go, with the folders around them  -> the same, of one tar
 *   once_write.c   notes which bytes those are, and compares them later   -> the sinks
 */
#pragma once

#include "base/map.h"
#include "layer/once.h"
#include "layer/write_priv.h"

/* What reading a tar took between the data of two entries. */
struct between {
	bool collects;
	bool too_much;
	int64_t off; /* of the first byte, in the layer */
	struct buf bytes;
};

/* An entry that waits for those that stand before it in the tree. */
struct held {
	struct layer_entry e;
	size_t len; /* bytes so far: header, data, padding */
	uint8_t bytes[];
};

/* A folder that what comes now lies in. */
struct once_folder {
	struct layer_entry e;
	uint32_t layer; /* whose entry that is */
	size_t begin;	/* of its header, in once.headers */
	uint32_t tars;	/* bits: those that have it */
};

/* One that is written. */
struct once_tar {
	struct sink *out;
	struct buf gathered;
	struct run *runs; /* what was written, in order; the end blocks left out */
	size_t n_runs, cap_runs;
};

struct once {
	struct once_plan p;
	struct arena arena;

	/* once.c */
	struct between between;
	struct held *open;    /* lacks its padding; NULL */
	int64_t passed_until; /* of one that was not held and is wanted: where its padding ends; -1 */
	struct held **heap;   /* the least path first */
	size_t n_heap, cap_heap;
	size_t held_bytes;

	/* once_merge.c; the nodes of the others: the next one, and its path */
	struct record_list list;
	struct cursor others;
	struct record next; /* node NULL = no more */
	struct buf next_path;
	struct map hidden; /* path -> what layers above do to it */
	struct map cut;	   /* path -> of layers below, and whited out by the one that passes */
	const char *last;  /* path of its entry before; NULL */
	const char *veil;  /* below it nothing of this layer is seen; NULL */

	/* once_cut.c */
	struct once_folder *folders; /* the outermost first */
	size_t n_folders, cap_folders;
	struct buf headers; /* of the folders, as they are stored */

	/* once_write.c */
	struct once_tar tars[ONCE_TARS_MAX];
	struct once_tar *to; /* NULL: what comes is the header of the innermost folder */
};

/* Functions that return 1, 0, -1: 0 = this is not foreseen, the attempt ends. */

/** In the order of a tree: folders before what they hold, and that before the names behind theirs. */
int once_compare(const char *a, const char *b);

/** Note what the layers above hide, and look at the first node of the others. */
int once_merge_begin(struct once *o, dray_error **err);
/** A whiteout of the layer, in whatever order. */
int once_whiteout(struct once *o, const struct layer_entry *e, enum whiteout kind, const char *name,
		  dray_error **err);
/** The entry @p e comes next: all before it is written. Is it in a tar itself, as it is? */
int once_judge(struct once *o, const struct layer_entry *e, bool *ret_wanted, dray_error **err);
/** No more entries: the other nodes that are left. */
int once_merge_end(struct once *o, dray_error **err);

void once_cut_begin(struct once *o);
void once_cut_clear(struct once *o);
/** Before the bytes of @p e, of layer @p layer, are put: where do they go? */
int once_begin(struct once *o, uint32_t layer, const struct layer_entry *e, dray_error **err);
/** No more entries: the folders that are left. 0 or -1. */
int once_cut_end(struct once *o, dray_error **err);

/** Bytes at @p off of a layer. 0 or -1. */
int once_put(struct once *o, uint32_t layer, int64_t off, struct span bytes, dray_error **err);
/** The end of the tars. */
int once_put_end(struct once *o, dray_error **err);
void once_tars_clear(struct once *o);
