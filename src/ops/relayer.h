/* SPDX-License-Identifier: Apache-2.0
 *
 * What all verbs that change layers do once they know which layers they want: write them,
 * prove them, and write the config that fits.
 */
#pragma once

#include <dray/relayer.h>
#include "ops/remake.h"

/** One entry of the new history. */
struct relayer_step {
	int64_t keep;	  /* entry of the old history; -1 = new */
	bool empty_layer; /* of either */
	const char *created_by, *comment; /* of a new one; comment NULL = none */
	/* In place of them: a whole entry of another image, JSON; NULL. */
	struct span raw;
};

/** All is lent. */
struct relayer_plan {
	const char *image; /* as typed */
	const char *const *tags; /* as in struct made */
	size_t n_tags;
	/* The old image; with contents where ids are wanted, all loaded when the layers are made. */
	struct stack *stack;
	const struct remake_layer *layers;
	size_t n;
	/* As in struct remake. What it plans goes into this plan, too: layers, n, steps. */
	const struct together *together;
	const struct relayer_step *steps; /* none: the config has no history, and gets none */
	size_t n_steps;
	bool same_tree; /* the rootfs id, with times, must stay: else CORRUPT */
	/* What it must become instead; NULL = whatever. With times. */
	const struct digest *expect;
	const struct manifest *like; /* as in struct remake; NULL */
	struct json around; /* as in struct remake */
	bool contents; /* new layers are read back with the digests of their files, ids or not */
	bool no_ids; /* layers were not read: rootfs ids are not known */
	bool apart; /* as in struct remake */
	bool told_many; /* if they are too many for Docker, somebody has said so */
	/* An image, as typed, whose layers the new one may have; NULL. */
	const char *previous;
	/** May be NULL: as in struct remake. */
	int (*foretell)(void *arg, dray_error **err);
	/** May be NULL: called when the config is known, before the image is; -1 ends the run. */
	int (*check)(void *arg, const struct remade_layers *made, struct span config,
		     dray_error **err);
	void *arg;
};

/** Make the image and send it to @p dst. */
int relayer_run(const struct relayer_plan *p, const char *dst, const struct dray_copy_options *o,
		dray_relayered **ret, dray_error **err) MUST_CHECK;

/** The comment of a step that stands for a kept layer without one. */
#define RELAYER_UNKNOWN_STEP "a layer that the history left out"

/**
 * The history of @p im as its layers below @p first have it: the others' steps make none. A step
 * too many makes none either, the lowest first; layers without one get one at the end. @p ret has
 * room for the old ones and @p first more; returns how many there are.
 */
size_t relayer_fit_history(const struct image *im, size_t first, struct relayer_step *ret);
/**
 * The same of @p s, and one new step for each of the @p n_new texts, which makes a layer.
 * Allocated in the stack's arena.
 */
int relayer_history(struct stack *s, size_t first, const char *const *created_by, size_t n_new,
		    struct relayer_plan *ret, dray_error **err) MUST_CHECK;
