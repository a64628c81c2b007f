/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ways to go through a folder share.
 */
#pragma once

#include "base/io.h"
#include "build/walk.h"

/* Folders that are still to be listed, relative to the root. */
struct todo {
	const char **list;
	size_t n, cap;
};

/* What the host says of one name. */
struct looked {
	const char *name; /* lent */
	struct stat st;
	bool judged;		     /* st is known, and these are: */
	bool in, out;		     /* what the globs say */
	const char *link;	     /* of a symbolic link; of the looker's arena, as are */
	struct layer_xattrs *xattrs; /* NULL = none */
	dray_error *error;	     /* what went wrong when it was looked at */
};
/** Hand on what went wrong: -1. */
int looked_error(struct looked *l, dray_error **err);
void looked_clear(struct looked *l);
#define cleanup_looked CLEANUP(looked_clear)

/* Who looks, on one thread at a time. */
struct looker {
	const struct walk *w;
	struct arena arena; /* of what was looked at */
	struct match_path path;
	struct buf rel;
};
void looker_clear(struct looker *l);
#define cleanup_looker CLEANUP(looker_clear)
/** All of what lies in @p dir, which is @p parent below the root, by the name @p name. */
void look_name(struct looker *l, int dir, const char *parent, const char *name, struct looked *ret);
/** What st, which *ret has, does not tell. */
void look_closer(struct looker *l, int dir, const char *base, struct looked *ret);

/* One folder with what was looked at of it ahead: the first of its names. */
struct looked_folder {
	const char *rel; /* lent */
	struct io_names names;
	struct looked *list; /* one that has an error is the last */
	size_t n;
	bool late;	   /* not even its names are known */
	dray_error *error; /* nothing else is known */
};
/** Looks through folders below @p root, lent, on the threads of the walk's pool. */
struct ahead *ahead_new(const struct walk *w, int root, dray_error **err);
void ahead_free(struct ahead *a);
DEFINE_CLEANUP(struct ahead, cleanup_ahead_fn, ahead_free)
#define cleanup_ahead CLEANUP(cleanup_ahead_fn)
/** The next folder of @p t, which may have grown, until the next call; NULL = there is none. */
struct looked_folder *ahead_next(struct ahead *a, const struct todo *t);

struct walker {
	const struct walk *w;
	struct layer_index *ix;
	int root;   /* kept by the inputs */
	bool apart; /* each name is a file by itself, whatever it shares */
	struct todo todo;
	struct map links; /* device and inode -> path in the image */
	struct looker looker;
};
void walker_clear(struct walker *k);
#define cleanup_walker CLEANUP(walker_clear)

/** The root of @p w, kept open by its inputs; what it is. */
int walk_open(const struct walk *w, struct stat *ret, dray_error **err) MUST_CHECK;
/** "a" and "b" as "a/b", in @p a; either may be empty. */
int walk_join(struct arena *a, const char *dir, const char *name, const char **ret,
	      dray_error **err) MUST_CHECK;
/**
 * One entry at @p path of the image: what lies at @p rel below the root, where @p dir and @p base
 * lead too; @p base NULL = the root itself.
 */
int walk_add(struct walker *k, const char *path, const char *rel, int dir, const char *base,
	     const struct stat *st, dray_error **err) MUST_CHECK;
/** Put where on the host an error happened before its text: -1. */
int walk_at(const struct walk *w, const char *path, dray_error **err);
