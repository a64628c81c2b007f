/* SPDX-License-Identifier: Apache-2.0
 *
 * What verbs that change an archive where it lies have in common: the lock on it, the end behind
 * which they write, and members that no reader looks for (append.h has the picture).
 */
#pragma once

#include "base/io.h"
#include "tar/tar.h"

#define END_BLOCKS (2 * TAR_BLOCK)

/** Begins the name of a member that nobody looks for; its offset follows, in hex. */
#define SUPERSEDED_PREFIX "superseded-"
/**
 * An empty member of this name lies between the end marker and the new members, for as long as
 * they are behind it: by it the next run knows that what is there is what a killed one left.
 */
#define SUPERSEDED_PENDING SUPERSEDED_PREFIX "pending"
/** From the end marker to the first new member. */
#define SUPERSEDED_BEHIND (END_BLOCKS + TAR_BLOCK)

/**
 * Open the regular file @p path to read and write, and wait for the lock that all who change
 * archives take. *ret is what it is then, *ret_path its name without symbolic links, to be freed:
 * a file that takes its place goes there. NOT_FOUND; USAGE for what is no regular file.
 */
int superseded_open(const char *path, struct stat *ret, char **ret_path,
		    dray_error **err) MUST_CHECK;
/** UNSUPPORTED when the @p size bytes of @p fd are compressed as a whole. */
int superseded_check_plain(int fd, int64_t size, dray_error **err) MUST_CHECK;
/**
 * Behind the end marker at @p end there may be zeros, and what a killed run left of its members:
 * both may be written over. UNSUPPORTED for anything else, which is somebody's.
 */
int superseded_check_end(int fd, int64_t end, dray_error **err) MUST_CHECK;
/** Write SUPERSEDED_PENDING at @p at, behind an end marker to be. */
int superseded_pend(int fd, int64_t at, dray_error **err) MUST_CHECK;
/**
 * After that: an end marker for the archive of @p size bytes that stops without one, and
 * SUPERSEDED_PENDING on the disk.
 */
int superseded_begin(int fd, int64_t size, int64_t end, dray_error **err) MUST_CHECK;
#define SUPERSEDED_NAME 40 /* bytes that the name of such a member takes at most, with its end */
/** The name of the member that superseded_write() makes at @p off. */
void superseded_name(int64_t off, char ret[SUPERSEDED_NAME]);
/**
 * Make one member of what lies from @p off to @p end, by one write of one aligned block: it is
 * there as a whole or not at all.
 */
int superseded_write(int fd, int64_t off, int64_t end, dray_error **err) MUST_CHECK;
