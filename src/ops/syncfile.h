/* SPDX-License-Identifier: Apache-2.0
 *
 * What "dray sync" reads: a list of images and tag patterns, as dray-sync(1) describes it;
 * and how tags are chosen by it.
 */
#pragma once

#include "base/arena.h"
#include "base/glob.h"
#include "image/platform.h"

enum sync_platforms {
	SYNC_PLATFORMS_DEFAULT,	/* as the context says */
	SYNC_PLATFORMS_ALL,
	SYNC_PLATFORMS_LIST,
};

/** One element of "images". Strings in the file's arena. */
struct sync_entry {
	const char *where;	/* "images[3]" for messages */
	const char *source;
	const char **tags;	/* patterns; none = the source names its image itself */
	size_t n_tags;
	const char **exclude;
	size_t n_exclude;
	int64_t limit;		/* newest of those that patterns with wildcards match; -1 = all */
	enum sync_platforms platforms;
	struct platform *list;
	size_t n_list;
	const char *destination;	/* a template; NULL = the file's */
};

struct sync_file {
	struct arena arena;
	const char *destination;	/* NULL = every entry has its own */
	struct sync_entry *entries;
	size_t n;
};
/** USAGE says which member and why; LIMIT. @p text is not needed afterwards. */
int sync_file_parse(struct span text, struct sync_file *ret, dray_error **err) MUST_CHECK;
void sync_file_clear(struct sync_file *f);
#define cleanup_sync_file CLEANUP(sync_file_clear)

/**
 * Older versions first: runs of digits count as numbers ("1.9" before "1.10"), a leading 'v'
 * before a digit does not count, the rest goes by bytes. Total: 0 only for equal texts.
 */
int version_compare(const char *a, const char *b);
