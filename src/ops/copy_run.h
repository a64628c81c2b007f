/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of copy or push: its sources, one after the other, and what they offer.
 * copy.c decides where images go, copy_source.c says which, copy_own.c lets their tags decide.
 */
#pragma once

#include "ops/copy_priv.h"
#include "ops/edit.h"

struct dray_copy_result {
	struct arena arena;
	struct dray_copied *list;
	size_t n, cap;
};

/** What a run copies from now. */
struct origin {
	struct place place;
	struct selector sel;
	struct image **images;	/* chosen; freed together */
	size_t n;
	struct root *roots;	/* the same, as their tags name them */
	size_t n_roots;
};

struct run {
	struct copy copy;
	const struct made *made; /* in place of a source; NULL */
	bool made_tags; /* the registry gets all tags of made, since none was typed */
	struct edit *edit; /* what is done to the images of the source; NULL */
	struct origin from;
	uintptr_t n_images;	/* of all sources so far */
	struct map tags;	/* text -> the image that has it, by its number from 1 */
	struct arena arena;
};
/** Parse the wishes and get what all sources share. */
int run_begin(struct run *r, dray_context *ctx, const struct dray_copy_options *o,
	      dray_error **err) MUST_CHECK;
void run_clear(struct run *r);
#define cleanup_run CLEANUP(run_clear)

/** The next source in place of the last one: parsed, not opened. */
int run_source(struct run *r, const char *src, dray_error **err) MUST_CHECK;
/**
 * Open the source and choose its images into r->from. @p walk sends layers while a pipe
 * passes, and then r->copy.target is set; NULL = they are only looked at.
 */
int run_open(struct run *r, member_fn *walk, dray_error **err) MUST_CHECK;

/**
 * Are new manifests to be OCI's at a place that is so (@p oci), as nobody said otherwise? Made ones
 * are new, and edited ones that come from another kind of place; what stays as it is is not.
 */
bool run_makes_oci(const struct run *r, bool oci);

/** An image that comes into being while it is copied. */
struct made {
	/**
	 * Opens the store, passing new layers to @p po as a pipe passes members; its arg is the
	 * struct copy that asks, whose target is open.
	 */
	int (*open)(void *arg, const struct place_options *po, struct store **ret,
		    dray_error **err);
	void *arg;
	const char *from; /* the place that its kept layers come from, as typed */
	bool again; /* an image that was there before: it has its family, wherever it goes */
	/* What it is called in a registry where no tag and no digest was typed; none = latest. */
	const char *const *tags;
	size_t n_tags;
};
/** dray_copy() of what is made, whatever image o names; it has one. */
int copy_made(dray_context *ctx, const struct made *m, const char *dst,
	      const struct dray_copy_options *o, dray_copy_result **ret,
	      dray_error **err) MUST_CHECK;

/**
 * @p text as the name of an image in an archive that Docker loads: whole, "app" is "app:latest".
 * @p ret is the caller's, also on failure. USAGE for what is no name, and for a digest.
 */
int copy_archive_name(const char *text, struct reference *ret, dray_error **err) MUST_CHECK;
/** The same as text. *ret is the caller's. */
int copy_whole_name(const char *text, char **ret, dray_error **err) MUST_CHECK;
/** The same for the tag of @p dst, an archive to be written, where it has one. */
int copy_complete_name(struct place *dst, dray_error **err) MUST_CHECK;

/** dray_copy() of one place, with its images changed by @p e. */
int copy_edited(dray_context *ctx, struct edit *e, const char *src, const char *dst,
		const struct dray_copy_options *o, dray_copy_result **ret,
		dray_error **err) MUST_CHECK;

/** Open the registry behind @p ref as the run's target, and learn what its tag holds. */
int run_target_registry(struct run *r, const struct reference *ref, struct target *t,
			dray_error **err) MUST_CHECK;
/** What one tag names to the run's target; adds its line to @p result. */
int run_copy_one(struct run *r, const struct root *root, const char *const *tags, size_t n_tags,
		 dray_copy_result *result, dray_error **err) MUST_CHECK;

/** The canonical archive of all sources; adds a line for each image to @p result. */
int copy_canonical(dray_context *ctx, const char *const *srcs, size_t n, const struct place *to,
		   const struct dray_copy_options *o, dray_copy_result *result,
		   dray_error **err) MUST_CHECK;

/** Every image of the source to the repositories that its own tags name. */
int copy_to_own_tags(struct run *r, dray_copy_result *result, dray_error **err) MUST_CHECK;
