/* SPDX-License-Identifier: Apache-2.0
 *
 * From the list that "dray sync" reads to single copies.
 */
#pragma once

#include "ops/ops.h"
#include "ops/syncfile.h"

/** One image to be copied. Strings in the plan's arena. */
struct sync_item {
	const struct sync_entry *entry;
	const char *source;		/* "docker://HOST/NAME:TAG", or a place as typed */
	const char *destination;	/* a place; NULL = the tags are not to be had: error */
	dray_error *error;		/* owned */
};
struct sync_plan {
	struct arena arena;
	struct sync_item *items;
	size_t n, cap;
	struct map by_destination;	/* text -> the item's number, from 1 */
};

/**
 * Every image that @p f means. What is wrong with the list is -1 with USAGE, before anything is
 * asked; tags that a registry does not tell are an item with an error.
 */
int sync_plan_make(dray_context *ctx, const struct sync_file *f, struct sync_plan *ret,
		   dray_error **err) MUST_CHECK;
void sync_plan_clear(struct sync_plan *p);
#define cleanup_sync_plan CLEANUP(sync_plan_clear)

/**
 * Where @p template sends an image; @p whole_list: it is the one for all entries. @p ref NULL =
 * the source is no registry; @p tag NULL = none. Exposed for tests. USAGE.
 */
int sync_destination(const char *template, bool whole_list, const struct reference *ref,
		     const char *tag, char **ret, dray_error **err) MUST_CHECK;

/**
 * Which of @p n shards an image belongs to: the first 8 bytes of sha256("SOURCE -> DESTINATION"),
 * big-endian, modulo @p n.
 */
int sync_shard(const char *source, const char *destination, uint32_t n, uint32_t *ret,
	       dray_error **err) MUST_CHECK;
/** --creds name no host: they are the destination's, and a source elsewhere never sees them. */
bool sync_foreign(const struct reference *source, const struct place *destination);
