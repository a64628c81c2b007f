/* SPDX-License-Identifier: Apache-2.0
 *
 * The packages that an image holds, as the databases of dpkg, apk and rpm tell them, and which
 * of them a file came with.
 */
#pragma once

#include "base/map.h"
#include "ops/stack.h"

/** One installed package. Strings live in the set and are never NULL. */
struct package {
	const char *manager; /* "dpkg", "apk", "rpm" */
	const char *name;
	const char *version; /* as its manager prints it: rpm's is [EPOCH:]VERSION-RELEASE */
	const char *arch;    /* "" = not told */
	const char *source;  /* what it was built from; its name where nothing else is told */
};

struct package_set {
	struct arena arena;
	struct package *list; /* by manager, name, arch, version */
	size_t n;
	/*
	 * Cleaned path -> struct package. Of a file that several list the first; a folder (or a
	 * link to one) that several list is nobody's, its value is NULL.
	 */
	struct map owner;
};

/**
 * Read the databases that the merged tree @p t of @p s holds; none is an empty set.
 *
 *  dpkg  var/lib/dpkg/status, and the folder status.d that images without dpkg have. Installed
 *        is what has its files unpacked: states unpacked, half-configured, triggers-awaited,
 *        triggers-pending and installed. Owners: info/NAME[:ARCH].list, status.d/NAME.md5sums,
 *        with diversions.
 *  apk   lib/apk/db/installed or usr/lib/apk/db/installed.
 *  rpm   rpmdb.sqlite in usr/lib/sysimage/rpm or var/lib/rpm. What a write-ahead log beside it
 *        holds is not seen, and databases of other formats are not read: a warning says so.
 *
 * Paths are as the tree has them: where a list names "bin/x" and bin is a link to usr/bin, the
 * owner is that of "usr/bin/x". FORMAT a database that is none; LIMIT; as stack_open_file().
 */
int packages_read(struct stack *s, const struct tree *t, struct package_set **ret,
		  dray_error **err) MUST_CHECK;
void packages_free(struct package_set *p);
DEFINE_CLEANUP(struct package_set, cleanup_packages_fn, packages_free)
#define cleanup_packages CLEANUP(cleanup_packages_fn)

/** Who owns the cleaned @p path of a node; NULL = nobody, or more than one. */
const struct package *package_of(const struct package_set *p, const char *path);
