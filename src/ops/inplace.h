/* SPDX-License-Identifier: Apache-2.0
 *
 * An edit of an archive where it lies: which documents change, and how.
 */
#pragma once

#include "ops/edit.h"
#include "store/amend.h"

#define INPLACE_LINKS 8	/* that lead to one config */

/** One image that is edited. */
struct inplace_change {
	struct image *im;		/* as it is from now on */
	struct digest old_config;	/* of its bytes as they were */
	struct digest old_manifest;	/* unset where the archive stores none */
	const char *const *old_tags;
	size_t n_old_tags;
	const char *config_path;	/* member of the new config; NULL = the config is the same */
	bool config_blob;	/* it is put as a blob too, for index.json */
	bool config_shared;	/* another image needs the old one */
	bool has_others;	/* index.json has it under names, too, that were not chosen */
	const char *old_v1;	/* the top layer's folder as it was; NULL = none, or of no use */
	const char *v1_id;	/* of the top layer's folder from now on; NULL = as it was */
};
/** Where what an index named is now. */
struct inplace_moved {
	struct digest digest;
	int64_t size;
	const char *media_type;
	const struct inplace_change *change;	/* NULL: an index with several in it */
	bool gone;	/* an index that nothing is left in: nowhere */
};
/** A document that an image or index leads to which was not chosen. */
struct inplace_kept {
	struct digest digest;
	const char *media_type;
	int depth;	/* of the indexes around it */
};
struct inplace {
	const struct dray_edit_options *o;
	struct amend amend;
	struct inplace_change *list;
	size_t n;
	bool docker;	/* manifest.json said which images there are */
	bool named;	/* tags are whole names of images */
	bool by_name;	/* of entries with one digest those are meant that have an image's old tags */
	const char **others;	/* by name: what index.json calls entries that were not chosen */
	size_t n_others;
	struct map new_files;	/* members of new configs */
	struct map new_configs;	/* their digests' texts, and those of configs that are as they were */
	struct map needed;	/* members that are the configs of images of manifest.json that stay */
	struct map moved;	/* digest text as it was -> struct inplace_moved */
	struct map met;	/* digest text: what of index.json's indexes was looked at */
	struct map kept;	/* digest text -> struct inplace_kept: what stays as it is */
	struct arena arena;
};

/** The cleaned name of a member as a document references it. */
int inplace_clean(struct inplace *p, const char *path, struct span *ret,
		  dray_error **err) MUST_CHECK;
/** Where the link @p name leads, cleaned; no data where it is none, or leads out of the archive. */
int inplace_follow(struct inplace *p, struct span name, struct span *ret,
		   dray_error **err) MUST_CHECK;
/** The name of a blob in a layout; NULL without memory. */
const char *inplace_blob(struct inplace *p, const struct digest *d);
/** The document that @p d names, proven; *ret is NULL when it is not here or not as it should be. */
int inplace_read(struct inplace *p, const struct descriptor *d, struct manifest **ret,
		 dray_error **err) MUST_CHECK;
/** @p d, below @p depth indexes, was not chosen: it stays. UNSUPPORTED when that is too deep. */
int inplace_keep(struct inplace *p, const struct descriptor *d, int depth,
		 dray_error **err) MUST_CHECK;
/** All that they lead to stays, too; last, when all is known that is kept for itself. */
int inplace_keep_below(struct inplace *p, dray_error **err) MUST_CHECK;
bool inplace_is_kept(const struct inplace *p, const struct digest *d);
/** Document @p name has @p text from now on, which was @p old. */
int inplace_put_if_new(struct inplace *p, const char *name, struct span old, struct span text,
		       dray_error **err) MUST_CHECK;
/** A name as manifest.json has it: "app:1"; unchanged where it is none. */
int inplace_familiar(struct inplace *p, const char *tag, const char **ret,
		     dray_error **err) MUST_CHECK;

/**
 * Does @p name of index.json mean the whole name @p tag, as inplace_familiar() has it? A lone word
 * there is all that is left of one: its tag.
 */
int inplace_means(struct inplace *p, const char *name, const char *tag, bool *ret,
		  dray_error **err) MUST_CHECK;
/** The entries of index.json that were not chosen; before any document is edited. */
int inplace_find_others(struct inplace *p, dray_error **err) MUST_CHECK;

/**
 * The folder of an image's top layer, as "repositories" has it, an edit before this one, or
 * manifest.json; NULL where there is none. The strings are the image's or p->arena's.
 */
int inplace_v1_top(struct inplace *p, const struct image *im, const char **ret,
		   dray_error **err) MUST_CHECK;
/** The folder that readers of the oldest archives start from, where there is one. */
int inplace_v1(struct inplace *p, struct inplace_change *c, dray_error **err) MUST_CHECK;
/** manifest.json, and that what it names is no room, however it is called; repositories. */
int inplace_list(struct inplace *p, dray_error **err) MUST_CHECK;
int inplace_repositories(struct inplace *p, dray_error **err) MUST_CHECK;
/** Where what was @p d is now; NULL = it did not move, or nobody looked. */
const struct inplace_moved *inplace_moved_from(const struct inplace *p, const struct digest *d);
/** Is it somewhere else now, or nowhere? */
bool inplace_went(const struct inplace *p, const struct digest *d);
/** What attestation @p d speaks of; unset where it is none, or speaks of nothing. */
int inplace_speaks_of(struct inplace *p, const struct descriptor *d, struct digest *ret,
		      dray_error **err) MUST_CHECK;
/** The manifests of all images that are edited. */
int inplace_move_images(struct inplace *p, dray_error **err) MUST_CHECK;
/** Does the manifest that is not edited need the config of one that is? An index is kept. */
int inplace_look_at(struct inplace *p, const struct descriptor *d, dray_error **err) MUST_CHECK;
/** The indexes at and below @p d, the innermost first. LIMIT when they are too deep. */
int inplace_edit_below(struct inplace *p, const struct descriptor *d, dray_error **err) MUST_CHECK;
/** index.json and what it leads to. */
int inplace_index(struct inplace *p, dray_error **err) MUST_CHECK;
/** The folder of what was the top layer, once no document refers to it. */
int inplace_drop_v1(struct inplace *p, const struct inplace_change *c, dray_error **err) MUST_CHECK;
