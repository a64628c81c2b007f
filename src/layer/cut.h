/* SPDX-License-Identifier: Apache-2.0
 *
 * A tree cut into layers: by rules, by what belongs together, or as another image was cut.
 * Pure: records and names in, for each layer a list of records out. docs/layers.md "Splitting".
 *
 * Everything that is no folder, and every folder without contents, belongs to one part: a rule
 * has one, the rest has one or many. Parts go to bins, and bins that hold something become
 * layers, numbered from the bottom. Folders with contents lie where these lie.
 */
#pragma once

#include "base/limits.h"
#include "base/map.h"
#include "layer/once.h"

#define CUT_LAYERS_MAX LIMIT_ENGINE_LAYERS
#define CUT_LAYERS_FORCED 500 /* what containers/storage takes, the longest known */

/* ---- rules ---- */

struct cut_rule;
struct cut_rules {
	struct arena arena;
	struct cut_rule *list;
	size_t n, cap;
};
/**
 * @p text: globs divided by commas, from the root of the image: '*' and '?' stay within a name,
 * "**" is any number of folders, at the end everything below; "[a-c]", "{a,b}", '\' before a
 * byte that is meant itself. USAGE says what is wrong.
 */
int cut_rules_add(struct cut_rules *r, const char *text, dray_error **err) MUST_CHECK;
void cut_rules_clear(struct cut_rules *r);
#define cleanup_cut_rules CLEANUP(cut_rules_clear)

#define CUT_REST UINT32_MAX /* inode.mark: of no part yet */
/**
 * Set inode.mark in all of finished @p t to the number of the first rule that fits its path or
 * that of a folder above it; of a file with several names the first that fits any of them.
 * @p ret_torn counts the names that go with their file where their own path would not put them.
 */
int cut_mark(const struct tree *t, const struct cut_rules *r, size_t *ret_torn,
	     dray_error **err) MUST_CHECK;

/* ---- rules before there is a tree ---- */

struct cut_foresight {
	const struct cut_rules *rules; /* lent */
	char *text;
	const char **names;
};
/** cut_foresight_clear() also on failure. */
int cut_foresight_init(struct cut_foresight *f, const struct cut_rules *r,
		       dray_error **err) MUST_CHECK;
void cut_foresight_clear(struct cut_foresight *f);
#define cleanup_cut_foresight CLEANUP(cut_foresight_clear)
/**
 * The layers of a cut that leaves the rest whole: tar 0, and above it one for each rule, in their order.
 * @p f is lent, to one thread at a time.
 */
struct once_cut cut_foresee(struct cut_foresight *f);

/* ---- parts ---- */

enum cut_kind {
	CUT_RULE,
	CUT_UNIT,     /* belongs together: a package, a folder */
	CUT_VOLATILE, /* changes with every version of the image: goes on top of the rest */
	CUT_OLD,      /* what one layer of the previous image held */
};
struct cut_part {
	const char *name;
	enum cut_kind kind;
	int64_t bytes; /* of tar, about: folders on the way are not counted */
	int64_t newest; /* latest time of its files, Unix seconds */
	size_t entries;
	uint32_t bin;	/* order among layers; several parts may share one */
	uint32_t layer; /* cut_number() */
};
struct cut_parts {
	struct arena arena;
	struct cut_part *list; /* inode.mark says which; those of rules come first */
	size_t n, cap;
	size_t n_rules;
	struct map by_name; /* name -> index + 1 of what is no rule */
};
void cut_parts_clear(struct cut_parts *p);
#define cleanup_cut_parts CLEANUP(cut_parts_clear)
/** One part for each rule, named by @p names. */
int cut_parts_rules(struct cut_parts *p, const char *const *names, size_t n,
		    dray_error **err) MUST_CHECK;

/** Who owns cleaned @p path: a name that lives until the next call; NULL = nobody. */
typedef const char *cut_owner_fn(void *arg, const char *path);

/*
 * The records of @p l whose mark is CUT_REST get a part each of these. All of one owner; of
 * nobody's the folder at the top (below usr, opt, srv and home the second), and CUT_VOLATILE
 * those of less than a MiB.
 */
int cut_rest_whole(struct cut_parts *p, const struct record_list *l, dray_error **err) MUST_CHECK;
int cut_rest_by_owner(struct cut_parts *p, const struct record_list *l, cut_owner_fn *owner,
		      void *arg, dray_error **err) MUST_CHECK;
/** By folder; a file of more than @p share bytes, and of a MiB, alone. */
int cut_rest_by_folder(struct cut_parts *p, const struct record_list *l, int64_t share,
		       dray_error **err) MUST_CHECK;
/**
 * By the biggest folder that has no more than @p share bytes; a bigger file alone, the other files
 * of a bigger folder some at a time.
 */
int cut_rest_by_size(struct cut_parts *p, const struct record_list *l, int64_t share,
		     dray_error **err) MUST_CHECK;
/**
 * Units and volatile parts of more than @p most bytes, after cut_tally(), are cut as by
 * cut_rest_by_size(): what is left of such size is one file. Tells cut_tally() nothing.
 */
int cut_divide(struct cut_parts *p, const struct record_list *l, int64_t most,
	       dray_error **err) MUST_CHECK;
/** Bytes, entries and times of all parts, anew. */
void cut_tally(struct cut_parts *p, const struct record_list *l);

/* ---- bins ---- */

/**
 * At most @p max bins for the units and volatile parts, none under @p min bytes while there is
 * another to join it: the biggest units alone, the others together on top of them, volatile
 * parts above all. Units whose files are older lie deeper.
 */
int cut_pack(struct cut_parts *p, size_t max, int64_t min, dray_error **err) MUST_CHECK;
/** As cut_pack(), but neighbours by name join, so that bins are about the same size. */
int cut_pack_even(struct cut_parts *p, size_t max, int64_t min, dray_error **err) MUST_CHECK;
/**
 * Bins of more than @p most bytes, but of rules, become several in their place, each with parts
 * that were neighbours; one bigger than that has a bin alone.
 */
int cut_limit(struct cut_parts *p, int64_t most, dray_error **err) MUST_CHECK;
/**
 * Keep to the cut of an image with the finished tree @p old: a path that it has stays in its
 * layer, others go where most of their unit is, at last to the top one. Replaces the units by
 * a CUT_OLD part for each layer of @p old from @p base on; what lay below is new. @p ret_times is
 * the part whose layer had the times of shared folders, UINT32_MAX = none.
 */
int cut_follow(struct cut_parts *p, const struct record_list *l, const struct tree *old,
	       uint32_t base, uint32_t *ret_times, dray_error **err) MUST_CHECK;
/**
 * At most @p max bins for the parts of kind CUT_OLD, after cut_tally(): while there are more, the
 * neighbours that are smallest together become one, of equal ones the lowest.
 */
int cut_join(struct cut_parts *p, size_t max, dray_error **err) MUST_CHECK;
/**
 * Number the bins that hold something; those of rules come above all others. @p ret layers, of
 * them @p ret_rest of the rest.
 */
int cut_number(struct cut_parts *p, size_t *ret, size_t *ret_rest, dray_error **err) MUST_CHECK;

/* ---- layers ---- */

struct cut_layer {
	struct record *records;
	size_t n, cap;
};
struct cut_layers {
	struct cut_layer *list;
	size_t n;
};
#define CUT_TIMES_ALL SIZE_MAX
/**
 * Deal @p l out to @p n layers, at most CUT_LAYERS_FORCED. A folder is in each layer that has
 * something of it, and with its time in the highest of them, but not below layer @p times; in
 * the others the time is 0, so that they do not change when it does. With CUT_TIMES_ALL it is as it is
 * in all of them. Whiteouts go to the lowest.
 */
int cut_deal(const struct cut_parts *p, const struct record_list *l, size_t n, size_t times,
	     struct cut_layers *ret, dray_error **err) MUST_CHECK;
struct record_list cut_records(const struct cut_layer *layer);
void cut_layers_clear(struct cut_layers *c);
#define cleanup_cut_layers CLEANUP(cut_layers_clear)
