/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of deal share.
 */
#pragma once

#include "base/mem.h"
#include "build/deal.h"
#include "build/match.h"
#include "build/units.h"

#define FIRST_UNIT 2 /* inode.mark of a name that is no folder: its unit, from here on */

/* What is known of a folder; inode.mark is its index and one. */
struct folder {
	bool same;    /* nothing about it is new */
	bool holds;   /* something below it is written */
	bool written; /* it stands for itself */
	uint32_t unit;
	uint32_t first_gone, last_gone; /* of what it has lost of the base; places + 1 */
};

/* A name of the base that the image has no more. */
struct gone {
	const struct node *node;   /* of the base */
	const struct node *folder; /* of the image: where it was */
	uint32_t next;		   /* of the same folder: place + 1 */
};

struct group_match {
	struct match_list globs;
	const struct spec_list *sources;
};

struct layer_rule {
	size_t rule;
	uint32_t group;
};

struct dealer {
	const struct deal_input *in;
	struct deal *d;
	struct folder *folders;
	size_t n_folders;
	uint64_t *masks; /* of each folder n_words: in which layers it is written */
	size_t n_words;
	struct group_match *groups;
	struct layer_rule *rules; /* those that name a layer */
	size_t n_rules;
	struct match_list on_top;
	struct map by_key; /* unit + 1 */
	struct map names;  /* the last number of each */
	struct match_path parts;
	struct buf path;
	uint32_t **places; /* of each closure: of each unit, its place among units */
	bool globs;	   /* some path is looked at */
	struct gone *gone;
	size_t n_gone, cap_gone;
	uint32_t gone_unit;
};

static inline struct folder *folder_of(const struct dealer *k, const struct node *n)
{
	return &k->folders[n->inode->mark - 1];
}

/** Which group a path belongs to, as the spec says; before the first unit. */
int deal_read_groups(struct dealer *k, dray_error **err) MUST_CHECK;
/** Count @p n into its unit, made if it is the first of it. */
int deal_add_to_unit(struct dealer *k, const struct node *n, uint32_t *ret,
		     dray_error **err) MUST_CHECK;
/** What units of closures need of each other; when all units are there. */
int deal_add_refs(struct dealer *k, dray_error **err) MUST_CHECK;

/** What the base has and the image lacks: all of it is one unit. */
int deal_add_gone(struct dealer *k, dray_error **err) MUST_CHECK;
/** Its whiteouts of one folder of the image, into their layer. */
int deal_add_whiteouts(struct dealer *k, const struct node *folder, dray_error **err) MUST_CHECK;

/** What is written of an inode: its entry, or one of its own where that says more than is written. */
int deal_own_attributes(struct dealer *k, struct inode *i, dray_error **err) MUST_CHECK;
