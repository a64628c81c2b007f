/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with the entries of one layer, as they pass: names that come twice, entries that
 * no verb takes which unpacks, and hard links to what no layer has. Content is not looked at.
 */
#pragma once

#include "base/span.h"
#include "tar/tar.h"

/** A hard link whose file is none of the entries before it. */
struct entry_link {
	uint64_t target; /* hash of its cleaned name */
	int64_t off;	 /* of the link's header, in the tar */
};
/** Of one layer; zero-initialise. */
struct entries {
	struct buf room, link_room;
	uint64_t *seen; /* hashes of cleaned names, open addressing; 0 = free */
	size_t n, cap;
	struct entry_link *links;
	size_t n_links, cap_links;
	bool partial; /* an entry was refused, or there were too many */
};

/**
 * Look at @p t and tell @p odd what is wrong with it: "layer-entry-refused", "layer-name-twice".
 * Fails only for reasons of our own.
 */
int entries_look(struct entries *e, const struct tar_entry *t, tar_oddity_fn *odd, void *arg,
		 dray_error **err) MUST_CHECK;
void entries_clear(struct entries *e);
#define cleanup_entries CLEANUP(entries_clear)

/** What is kept of a layer until those below it are known, too. */
struct entry_names {
	uint64_t *names; /* hashes, in no order */
	size_t n;
	struct entry_link *links; /* in the order of the tar */
	size_t n_links;
	bool whole; /* all is known of the layer */
};
/** Of @p e, whose tar was read to its end; it may only be cleared then. */
int entries_keep(struct entries *e, struct entry_names *ret, dray_error **err) MUST_CHECK;
void entry_names_clear(struct entry_names *k);
/**
 * Mark in @p ret, by its place in the list, which links of @p own lead to a name that none of the
 * @p n layers @p below has. All of them whole.
 */
int entry_links_lost(const struct entry_names *own, const struct entry_names *const *below,
		     size_t n, bool *ret, dray_error **err) MUST_CHECK;
