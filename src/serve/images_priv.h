/* SPDX-License-Identifier: Apache-2.0
 *
 * What a shelf over images is made of. Everything lives in its arena.
 */
#pragma once

#include "base/map.h"
#include "serve/images.h"

/** A manifest or index. */
struct doc {
	struct digest digest;
	const char *media_type;
	struct span bytes;
	struct digest subject; /* unset where it has none */
	const char *artifact_type;
	struct span annotations;
	const struct config *config; /* of an image: its platform; NULL */
};

/** A blob: bytes, or a layer of an image. */
struct held {
	struct digest digest;
	int64_t size;
	struct span bytes; /* when store is NULL */
	struct store *store;
	const struct image *image;
	size_t layer;
	bool decode; /* what is served is the layer uncompressed */
};

/** What one tag names. More than one: images of one name, each for another platform. */
struct named {
	const char *tag;
	struct doc **docs;
	size_t n, cap;
	uint64_t family; /* of all of them; 0 = no further one may join */
};

struct repo {
	const char *name;
	struct map tags;  /* tag -> struct named */
	struct map docs;  /* digest -> struct doc */
	struct map blobs; /* digest -> struct held */
	/* by images_shelf_seal() */
	struct named **sorted; /* tags by their bytes */
	struct doc **by_digest;
	struct doc **untagged; /* those of them that no tag names */
	size_t n_untagged;
};

struct images_place {
	struct images_place *next;
	struct store *store;
	struct image **images;
	size_t n;
};

struct images_shelf {
	struct shelf base;
	struct arena arena;
	struct map repos; /* name -> struct repo */
	struct map docs;  /* digest -> struct doc: each is made once */
	struct repo **sorted; /* by images_shelf_seal() */
	struct images_place *places;
};

/** The repository of @p name, made where there is none. */
int images_get_repo(struct images_shelf *s, const char *name, struct repo **ret,
	     dray_error **err) MUST_CHECK;
/** The repository that a client means by @p name: itself, or what it is called here; NULL. */
struct repo *images_find_repo(const struct images_shelf *s, const char *name);
/**
 * Repository and tag that a stored name stands for, in @p a; *ret_repo NULL where it has no
 * name, *ret_tag NULL where it names nothing that can be served.
 */
int images_split_name(const char *stored, struct arena *a, const char **ret_repo,
		    const char **ret_tag, dray_error **err) MUST_CHECK;
/** "/srv/Images/app.tar" to "app": a name within the grammar, whatever @p place is. In @p a. */
const char *images_place_name(const char *place, struct arena *a);
