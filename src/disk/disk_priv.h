/* SPDX-License-Identifier: Apache-2.0
 *
 * What the stores on disks have in common: layers that many images share, and how one is read.
 */
#pragma once

#include <dray/report.h>
#include "base/map.h"
#include "disk/beneath.h"
#include "disk/disk.h"
#include "disk/tarsplit.h"
#include "store/assemble.h"

/** A layer of the disk; in the store's arena. Paths are below its root. */
struct disk_layer {
	const char *id;	      /* what the disk calls it: ChainID, or an ID of the storage */
	const char *tarsplit; /* file; NULL when there is trouble */
	const char *files;    /* folder */
	const char *trouble;  /* why it cannot be read; NULL */
	const char *trouble_code;
	struct digest diff_id; /* as the disk says */
	int64_t files_size;    /* sum of its files' sizes as the disk says; -1 unknown */
	int64_t size;	       /* of the tar; -1 unknown */
	bool sized;	       /* @size was looked for */
	uint64_t number;       /* from 0, in the store */
	int root;	       /* what the paths are below; lent */
	bool whole;	       /* @files has the whole tree, not what the layer changed */
	const struct disk_layer *below; /* NULL = the bottom one */
	/* With salvage: */
	struct digest actual;	   /* of the bytes that were read; unset = they cannot be */
	struct salvaged *salvaged; /* what reading it told, and what was made of it; NULL = unread */
};

/** A folder that others share, for reading alone. */
struct disk_more {
	int root;
	const char *label; /* safe to print */
};

struct disk_store {
	struct store store;
	int root;
	char *label; /* the place, safe to print */
	bool listing, salvage;
	int64_t uid_base, gid_base; /* by which the engine shifts owners; 0 */
	const char *nameless; /* why some images lack their names; in the store's arena, NULL */
	/* Of podman's storage: the only driver that counts, NULL = all; further places for images. */
	const char *driver;
	struct disk_more *more;
	size_t n_more;
	size_t n_opening_notes; /* of store.notes; those of images() follow */
	struct map layers; /* by what makes them one: struct disk_layer, in order of their numbers */
	/** All images of the place. */
	int (*load)(struct disk_store *d, struct image_list *ret, dray_error **err);
};

/** @p root is taken over, also on failure. */
struct disk_store *disk_store_new(const char *place, const char *name, int root,
				  const struct place_options *o, dray_error **err);
/** An empty one under @p key (kept), or the one that is there, *ret_new says which. */
int disk_layer_get(struct disk_store *d, const char *key, struct disk_layer **ret, bool *ret_new,
		   dray_error **err) MUST_CHECK;
/** *err is why @p l cannot be read, if it is about its bytes; else -1. */
int disk_layer_trouble(struct disk_store *d, struct disk_layer *l, const char *code,
		       dray_error **err) MUST_CHECK;
/** The same in words of our own. */
int disk_layer_broken(struct disk_store *d, struct disk_layer *l, const char *code,
		      dray_error **err, const char *fmt, ...) PRINTF_LIKE(5, 6) MUST_CHECK;
/** Trouble unless the tar-split and the folder of files are there. */
int disk_layer_look(struct disk_store *d, struct disk_layer *l, dray_error **err) MUST_CHECK;
/** Layer @p i of @p im is @p l, with its trouble noted on the image. */
int disk_bind_layer(struct image *im, size_t i, const struct disk_layer *l,
		    dray_error **err) MUST_CHECK;
/** The tar of @p l, from its beginning. Thread-safe. */
struct source *disk_layer_open(const struct disk_layer *l, dray_error **err);

/** The decoded lines of its tar-split. */
struct source *disk_layer_lines(const struct disk_layer *l, dray_error **err);
/** By layer.handle. */
struct disk_layer *disk_layer_at(const struct disk_store *d, uint64_t number);
/** All that is wrong with @p l as the engine left it. Thread-safe. */
int disk_layer_damage(const struct disk_layer *l, damage_fn *each, void *arg,
		      dray_error **err) MUST_CHECK;

/**
 * Read all layers of @p im. Where one is damaged, a new one is made of what is left, and the
 * image becomes another one, with notes that say so. Not thread-safe.
 */
int disk_salvage(struct disk_store *d, struct image *im, dray_error **err) MUST_CHECK;
/** Was @p l read, and is the layer @p want? Images that share it may differ in what they want. */
bool disk_layer_is(const struct disk_layer *l, const struct digest *want);
/** Is it made anew for those who want @p want? */
bool disk_layer_remade(const struct disk_layer *l, const struct digest *want);
struct source *disk_salvaged_open(const struct disk_layer *l, dray_error **err);
void disk_salvaged_free(struct disk_layer *l);

/** What errors about damage hint at. */
#define SALVAGE_HINT "--salvage makes damaged layers anew of what is left, with DiffIDs of their own"

/** Files of one layer for tarsplit_assemble(), below @p folder of @p root. */
int folder_files(int root, const char *folder, struct tarsplit_files *ret,
		 dray_error **err) MUST_CHECK;

/* containerd's content store below its root, and that root below Docker's data root. */
#define POOL_CONTENT "io.containerd.content.v1.content"
#define POOL_BESIDE "containerd/daemon"
/**
 * 1 = containerd below @p home of @p root ("" or with '/' at its end) has images, 0 = not. -1:
 * nobody knows.
 */
int pool_any(int root, const char *home, dray_error **err) MUST_CHECK;

/** Evidence that cannot be understood tells nothing: 0, and *e is dropped; -1 for all else. */
int disk_forgive(dray_error **e, dray_error **err) MUST_CHECK;

/** 1 = @p text is a reference, in *ret; 0 = it is none, -1. */
int disk_reference(const char *text, struct reference *ret, dray_error **err) MUST_CHECK;

/* ---- lists of text in an arena ---- */

struct texts {
	const char **list;
	size_t n, cap;
};
/** @p text is lent, its list grows in @p a. */
int texts_add(struct arena *a, struct texts *t, const char *text, dray_error **err) MUST_CHECK;

/** Newest image first, then by image ID: as engines list them. Numbers them for @N. */
void disk_sort(struct image_list *l);
