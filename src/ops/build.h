/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of "build" share.
 */
#pragma once

#include <dray/build.h>
#include "base/number.h"
#include "build/deal.h"
#include "build/memo.h"
#include "build/merge.h"
#include "build/mtree.h"
#include "build/policy.h"
#include "build/rules.h"
#include "build/walk.h"
#include "ops/remake.h"

/* Annotation of a manifest: how many layers the base has. */
#define BUILD_BASE_LAYERS "io.dray.base.layers"

struct build {
	dray_context *ctx;
	struct spec *spec;
	struct arena arena;
	int64_t now;		 /* what "default" means: SOURCE_DATE_EPOCH, or 1 */
	char created[TIME_TEXT]; /* of the image */
	struct stack *base;	 /* from scratch: an image of nothing */
	struct tree *lower;	 /* the base's files; NULL = from scratch, or nobody asks */
	struct tree *tree;	 /* these, and all sources above */
	uint32_t n_base;	 /* layers in both */
	struct inputs in;
	struct merge merge;
	struct rules rules;
	/* Of each layer of the tree above the base, and whatever else its entries live in. */
	struct layer_index **indexes;
	size_t n_indexes, cap_indexes;
	uint32_t *source_of; /* of each layer of the tree above the base */
	size_t n_applied, cap_applied;
	struct stack **images; /* that sources come from */
	size_t n_images, cap_images;
	size_t n_same;
	struct mtree *lists; /* of "files" */
	size_t n_lists, cap_lists;
	struct map meant; /* of the source at hand: merge_source.vague_of */
	struct deal_closure *closures;
	size_t n_closures, cap_closures;
	struct layering_old *previous; /* the plan of an earlier image */
	size_t n_previous;
	struct json_doc *labels; /* annotations of new layers; NULL = none */
	struct json_doc *around; /* annotations of the index; NULL = no index */
	struct deal deal;
	struct layer_maker *makers; /* of each new layer */
	struct {
		const char *dir; /* lent; NULL = none is asked for */
		struct memo old, now; /* what the last build saw, and what this one sees */
	} cache;
	const struct memo_layer **foreseen; /* of each new layer; NULL = not known */
	size_t n_known; /* new layers that were not made, for the destination has them */
};
void build_clear(struct build *b);
#define cleanup_build CLEANUP(build_clear)

/** Of folders that nobody described. */
int64_t build_folder_mtime(const struct build *b);

/* ---- build_layers.c ---- */

struct remake_layer;
void build_clear_layers(struct build *b);
/** @p ret: one for each layer of the deal, made when it is opened. */
int build_open_layers(struct build *b, struct remake_layer *ret, dray_error **err) MUST_CHECK;
/** Places of o->also, and what was read back of new layer @p i when its DiffID was told beforehand; NULL = nothing. */
const struct layer_index *build_layer_read(const struct build *b, size_t i);
/** Their DiffIDs, before they are sent: reading a layer costs less than sending it. */
int build_foretell(struct build *b, dray_error **err) MUST_CHECK;

/* ---- build_spec.c ---- */

/** The spec of @p o, checked. */
int build_read_spec(struct build *b, const struct dray_build_options *o, dray_error **err) MUST_CHECK;
/** The same, and its times settled. */
int build_settle(struct build *b, const struct dray_build_options *o, dray_error **err) MUST_CHECK;
/** Annotations of the manifest where @p o has no place for them: UNSUPPORTED. */
int build_check_format(const struct build *b, const struct dray_copy_options *o,
		       dray_error **err) MUST_CHECK;
/** A file of the spec, as the system finds it. */
int build_host_path(struct build *b, const char *path, const char **ret,
		    dray_error **err) MUST_CHECK;
/** The same for a place where images live. */
int build_place(struct build *b, const char *text, const char **ret, dray_error **err) MUST_CHECK;

/* ---- build_also.c ---- */

/** What is read before there is a spec. */
int build_check_also(const struct dray_build_options *bo, const struct dray_copy_options *o,
		     dray_error **err) MUST_CHECK;
/** What the spec reads, if it is to be read once more: nothing otherwise. */
int build_check_sources(const struct build *b, const struct dray_build_options *o,
			dray_error **err) MUST_CHECK;

/* ---- build_base.c ---- */

/** b->base, b->lower, b->tree. */
int build_open_base(struct build *b, dray_error **err) MUST_CHECK;
/** Mark what the base has to the same effect: DEAL_SAME. */
int build_dedupe(struct build *b, dray_error **err) MUST_CHECK;
/** The config of the new image in the place of the base's, its names in the place of the base's. */
int build_set_config(struct build *b, dray_error **err) MUST_CHECK;
/** Annotations of the new image, as a manifest that says nothing else; NULL for none. */
int build_annotations(struct build *b, struct manifest **ret, dray_error **err) MUST_CHECK;
/** Annotations of an index around it: b->around. */
int build_index_annotations(struct build *b, dray_error **err) MUST_CHECK;
/** Tags, when the config's text is known. */
int build_set_tags(struct build *b, struct span config, dray_error **err) MUST_CHECK;

/* ---- build_cache.c ---- */

/** Before anything is looked at. @p dir NULL = without. */
void build_cache_begin(struct build *b, const char *dir);
/** When the image is where it should be. */
void build_cache_end(struct build *b);
/** The digest of what lies at @p at of the inputs, read only if it has to be. */
int build_content(struct build *b, int64_t at, int64_t size, struct digest *ret,
		  dray_error **err) MUST_CHECK;
/** What new layer @p i will be; NULL = not known. */
int build_foresee(struct build *b, size_t i, const struct memo_layer **ret,
		  dray_error **err) MUST_CHECK;
/** What the layers have become. */
int build_cache_learn(struct build *b, const struct remade_layers *made, dray_error **err) MUST_CHECK;

/* ---- build_source.c ---- */

/** All sources into the tree, users last, then the rules. */
int build_take_sources(struct build *b, dray_error **err) MUST_CHECK;
/**
 * A path of the image as somebody typed it under the key @p what, cleaned. USAGE for what leads
 * upwards and for names of whiteouts.
 */
int build_clean(struct build *b, const char *what, const char *path, const char **ret,
		dray_error **err) MUST_CHECK;
/** @p ix (taken over, also on failure) lives as long as @p b. */
int build_keep_index(struct build *b, struct layer_index *ix, dray_error **err) MUST_CHECK;

/** One more index in the tree, of the source @p source; UINT32_MAX = of none. */
int build_apply(struct build *b, const struct merge_source *m, uint32_t source,
		dray_error **err) MUST_CHECK;

/** One more layer in the tree, of the source @p source. */
int build_note_applied(struct build *b, uint32_t source, dray_error **err) MUST_CHECK;

/** Who looks ahead in folders; NULL = nobody, with one thread. */
struct pool *build_lookers(struct build *b);
/** Where a source's folder is walked, and where its files go; policy and globs of @p s. */
int build_walk_of(struct build *b, const struct spec_source *s, const struct policy *p,
		  struct walk *ret, dray_error **err) MUST_CHECK;

/** One more file of these bytes in @p ret. */
int build_add_bytes(struct build *b, const char *path, struct span bytes, const struct policy *p,
		    struct layer_index *ret, dray_error **err) MUST_CHECK;

/* ---- build_tar.c ---- */

int build_take_tar(struct build *b, const struct spec_source *s, const struct policy *p,
		   struct layer_index *ret, dray_error **err) MUST_CHECK;

/* ---- build_there.c ---- */

struct relayer_plan;

/** The names that the destination says; the spec's are not what the image is called there, then. */
struct build_there {
	const char **names; /* NULL = none are said */
	size_t n;
	bool registry; /* what it answers has the first */
};
/** Before the run of @p plan. @p ret in @p a. */
int build_find_there(struct arena *a, const char *dst, const struct dray_copy_options *o,
		     const struct relayer_plan *plan, struct build_there *ret,
		     dray_error **err) MUST_CHECK;
/** After it: the tags of @p info, whose copied is set and lent. */
void build_tell_there(const struct build_there *t, struct dray_build_info *info);

/* ---- build_whiteout.c ---- */

/** Note the whiteout at cleaned @p path of the image into *@p ix, which is made for the first. */
int build_add_whiteout(struct build *b, struct layer_index **ix, const char *path,
		       dray_error **err) MUST_CHECK;
/** Is there a folder at cleaned @p path, which lies where its own folder really is? */
int build_is_folder(struct build *b, const char *path, bool *ret, dray_error **err) MUST_CHECK;
/** What they name is no more in the tree; NULL does nothing. */
int build_apply_whiteouts(struct build *b, const struct layer_index *ix, uint32_t source,
			  dray_error **err) MUST_CHECK;

/* ---- build_users.c ---- */

/** Users and groups of the spec, above all sources. */
int build_take_users(struct build *b, dray_error **err) MUST_CHECK;

/* ---- build_listed.c ---- */

/**
 * @p path was read and is empty. A named pipe ends at once where its writer is not there yet, and
 * any at its second reading: that is no list of nothing, but USAGE.
 */
int build_check_written(const char *path, dray_error **err) MUST_CHECK;
/** Files that a list names. */
int build_take_listed(struct build *b, const struct spec_source *s, const struct policy *p,
		      struct layer_index *ret, dray_error **err) MUST_CHECK;
/** What the attributes of a source's folders are is often nobody's word: enum vague. */
unsigned build_vague(const struct spec *spec, const struct spec_source *s, const struct policy *p);

/* ---- build_closure.c ---- */

/** Store paths that a closure describes. */
int build_take_closure(struct build *b, const struct spec_source *s, const struct policy *p,
		       struct layer_index *ret, dray_error **err) MUST_CHECK;

/* ---- build_plan.c ---- */

/** The plan of the image that the spec names: b->previous. */
int build_read_previous(struct build *b, dray_error **err) MUST_CHECK;
/** What each of the new @p layers holds, as its annotation. They live as long as @p b. */
int build_label_layers(struct build *b, struct remake_layer *layers, dray_error **err) MUST_CHECK;
/** Which of the @p n layers, all with DiffIDs, the image at @p place has, and what the others cost. */
int build_against(struct build *b, const char *place, struct dray_build_layer *list, size_t n,
		  struct dray_build_update *ret, dray_error **err) MUST_CHECK;

/* ---- build_image.c ---- */

/** What the new image will run on: as the spec says, else as its base does, else as for any verb. */
int build_find_platform(struct build *b, struct platform *ret, dray_error **err) MUST_CHECK;

/** Files of another image. */
int build_take_image(struct build *b, const struct spec_source *s, const struct policy *p,
		     struct layer_index *ret, dray_error **err) MUST_CHECK;
/** Names of the base that rules change, as entries of their own. */
int build_take_base(struct build *b, struct layer_index *ret, dray_error **err) MUST_CHECK;

/* ---- build_tell.c ---- */

struct dray_built {
	struct arena arena;
	struct dray_build_info info;
	dray_relayered *made;
	struct dray_build_layer *layers; /* info's */
};
DEFINE_CLEANUP(dray_built, cleanup_built_fn, dray_built_free)
#define cleanup_built CLEANUP(cleanup_built_fn)

struct image;
/** Layers, parts and spec; @p diff_ids: of all layers, NULL = not made. */
int build_tell(dray_built *r, const struct build *b, const struct digest *diff_ids,
	       dray_error **err) MUST_CHECK;
/** The spec alone. */
int build_tell_spec(dray_built *r, const struct spec *s, dray_error **err) MUST_CHECK;
int build_tell_tags(dray_built *r, const struct image *im, dray_error **err) MUST_CHECK;
