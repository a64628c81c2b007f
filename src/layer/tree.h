/* SPDX-License-Identifier: Apache-2.0
 *
 * What a stack of layers means: the merged tree. Symbolic links are entries and
 * are never followed. Spec: OCI image-spec layer.md "Applying Changesets"; where it is
 * silent, what overlayfs shows of layers that Docker unpacked (docs/layers.md).
 */
#pragma once

#include "base/map.h"
#include "layer/index.h"

/**
 * What hard-linked names share. Content and attributes may come from different entries: a
 * hard link's own header applies to the file that it names.
 */
struct inode {
	const struct layer_entry *data; /* the entry with the bytes; of an implied folder NULL */
	/*
	 * Mode, owner, times, xattrs; NULL as above. Of an entry of a layer, or one of the tree's
	 * own where a hard link changed some of them.
	 */
	const struct layer_entry *attrs;
	uint32_t data_layer, attrs_layer;
	uint32_t n_names; /* in the tree; counted by tree_finish() */
	uint32_t mark;	  /* of whoever looks at a finished tree; 0 */
};

/** One name. Lives as long as its tree. */
struct node {
	struct node *parent; /* NULL = the root */
	struct node *child, *next; /* in order of names once tree_finish() ran */
	const char *name; /* the last component; "" = the root */
	struct inode *inode;
	/* The entry that put this name here last; NULL for a folder that only its contents imply. */
	const struct layer_entry *entry;
	uint32_t layer; /* whose entry that was; of an implied folder that of its first content */
	uint32_t epoch; /* the tree's own */
	uint32_t parent_epoch;
	bool gone; /* the tree's own */
};

/** Does a file with these attributes keep them when the hard link @p link is made to it? */
bool link_keeps_attributes(const struct inode *to, const struct layer_entry *link);

static inline bool node_is_dir(const struct node *n)
{
	return !n->inode->data || n->inode->data->type == TAR_DIR;
}
/** enum tar_type; an implied folder is TAR_DIR. TAR_HARDLINK in a partial tree only. */
static inline enum tar_type node_type(const struct node *n)
{
	return n->inode->data ? (enum tar_type)n->inode->data->type : TAR_DIR;
}

/** Mode, owner, times and xattrs, also of a folder that nobody described. */
const struct layer_entry *node_attributes(const struct node *n);

/** Something in a layer that readers disagree about, or that was taken in a stated way. */
struct tree_oddity {
	const char *code; /* stable: see docs/layers.md */
	uint32_t layer;
	const char *path;
};
typedef void tree_oddity_fn(void *arg, const struct tree_oddity *o);

struct tree;
/** An empty tree: a root folder that nobody described. @p on_odd may be NULL. */
struct tree *tree_new(tree_oddity_fn *on_odd, void *arg, dray_error **err);
/**
 * Of a tree that lacks the layers below: a hard link to what is not there is no error, its inode
 * has the link's own entry as data. Before the first tree_apply().
 */
void tree_set_partial(struct tree *t);
/** So many layers are below the first one of @p t: oddities and errors tell its layers from there on. */
void tree_set_below(struct tree *t, uint32_t n);
/**
 * Put the next layer on top: its whiteouts remove from what is there, then its entries
 * come in their order. @p ix is lent and must outlive the tree; several trees may share it.
 * FORMAT for a hard link to what is not there or is a folder; LIMIT_LAYER_ENTRIES in all.
 */
int tree_apply(struct tree *t, const struct layer_index *ix, dray_error **err) MUST_CHECK;
/** Sort each folder by the bytes of its names and count the names of each inode. */
void tree_finish(struct tree *t);
/** Take @p n, not the root, and all below it out of its tree, which wants tree_finish() again. */
void tree_remove(struct node *n);
void tree_free(struct tree *t);
DEFINE_CLEANUP(struct tree, cleanup_tree_fn, tree_free)
#define cleanup_tree CLEANUP(cleanup_tree_fn)

struct node *tree_root(const struct tree *t);
/** Layers applied so far. */
uint32_t tree_layers(const struct tree *t);
/** Names in the tree, the root not counted. After tree_finish(). */
size_t tree_count(const struct tree *t);
/** The node after @p n, folders before what they hold; NULL at the end. After tree_finish(). */
struct node *tree_next(const struct node *n);
/** The node after @p n and all that it holds. */
struct node *tree_skip(const struct node *n);
/** By cleaned path ("" = the root); NULL when there is none. Links are not followed. */
struct node *tree_find(const struct tree *t, const char *path);
/** By name, of @p len bytes, in the folder @p dir; NULL when there is none. */
struct node *tree_child(const struct tree *t, const struct node *dir, const char *name,
			size_t len);
/** Of hard-linked names, which came first; zero-initialise. */
struct first_names {
	struct map map; /* address of an inode with several names -> node */
};
void first_names_clear(struct first_names *f);
/** The name under which the inode of @p n was met before; NULL, and noted, for its first one. */
int first_name(struct first_names *f, const struct node *n, const struct node **ret,
	       dray_error **err) MUST_CHECK;

/** The cleaned path of @p n, into @p ret (emptied first), with a NUL that is not counted. */
int node_path(const struct node *n, struct buf *ret, dray_error **err) MUST_CHECK;
