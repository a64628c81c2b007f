/* SPDX-License-Identifier: Apache-2.0
 *
 * The readers of the databases: bytes in, packages and owners out. No I/O.
 */
#pragma once

#include "ops/packages.h"

/** A set that grows. Begin with package_build_init(). */
struct package_build {
	struct package_set *set; /* owned until packages_finish() */
	size_t cap;
	const struct tree *tree; /* lent; NULL = paths are taken as they are listed */
	struct buf from, to; /* the last folder as listed, and where it leads; a NUL behind each */
	bool has_folder;     /* those two are set */
	struct buf key;
	int64_t bytes_left; /* of paths */
	size_t links_left;  /* symbolic links that may still be followed */
};

int package_build_init(struct package_build *b, const struct tree *t, dray_error **err) MUST_CHECK;
void package_build_clear(struct package_build *b);
#define cleanup_package_build CLEANUP(package_build_clear)

/** A package as a database tells it; what is not told is empty. */
struct package_fields {
	struct span name, version, arch, source;
};
/** Copies all; *ret is its number until the end. FORMAT without a name or with NUL bytes. */
int package_add(struct package_build *b, const char *manager, const struct package_fields *f,
		size_t *ret, dray_error **err) MUST_CHECK;
/** Package @p p has @p path. Paths that no node can have (a/../b) are passed over. */
int package_own(struct package_build *b, size_t p, struct span path, dray_error **err) MUST_CHECK;
/** Sort; the set is the caller's then. */
int packages_finish(struct package_build *b, struct package_set **ret, dray_error **err) MUST_CHECK;

/**
 * Where cleaned @p path leads when all its symbolic links are followed inside the tree, into
 * @p ret with a NUL that is not counted. *ret_node is what is there, NULL = nothing. Links that
 * go in circles lead nowhere. LIMIT when *links_left is used up.
 */
int package_lead(const struct tree *t, const char *path, size_t *links_left, struct buf *ret,
		 const struct node **ret_node, dray_error **err) MUST_CHECK;

/** Cut the next line off the front of @p rest, without its end; false = none left. */
bool package_line(struct span *rest, struct span *ret_line);
/** Without blanks around it. */
struct span package_trim(struct span s);

/* ---- dpkg ---- */

/** What the files of one dpkg say together. Begin with zeroes and b set. */
struct dpkg {
	struct package_build *b;
	struct arena arena;
	struct map by_name;   /* "NAME", "NAME:ARCH" and names of files of status.d -> number + 1 */
	struct map diversion; /* path -> struct dpkg_diversion */
};
void dpkg_clear(struct dpkg *d);
#define cleanup_dpkg CLEANUP(dpkg_clear)
/** Before the lists; its bytes are lent to @p d. */
int dpkg_diversions(struct dpkg *d, struct span text, dray_error **err) MUST_CHECK;
/** The file status; or, with its name as @p file, one of status.d, where all is installed. */
int dpkg_status(struct dpkg *d, struct span text, const char *file, dray_error **err) MUST_CHECK;
/** A .list file of package @p name[:ARCH]. What no installed package has is passed over. */
int dpkg_list(struct dpkg *d, struct span name, struct span text, dray_error **err) MUST_CHECK;
/** A .md5sums file of status.d. */
int dpkg_md5sums(struct dpkg *d, struct span name, struct span text, dray_error **err) MUST_CHECK;

/* ---- apk, rpm ---- */

int apk_installed(struct package_build *b, struct span text, dray_error **err) MUST_CHECK;
/** rpmdb.sqlite; its bytes are changed. */
int rpm_sqlite(struct package_build *b, struct room db, dray_error **err) MUST_CHECK;
/** One header of it. */
int rpm_header(struct package_build *b, struct span blob, dray_error **err) MUST_CHECK;
