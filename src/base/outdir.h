/* SPDX-License-Identifier: Apache-2.0
 *
 * An output folder that appears whole or not at all: what becomes of it is made in a hidden
 * stage, 0700 and locked, beside its place or, where the folder is there already, inside it.
 */
#pragma once

#include "base/io.h"

struct outdir {
	int parent;  /* the folder that the stage lies in; owned */
	int stage;   /* owned */
	char *temp;  /* the stage's name in parent; NULL = none */
	char *name;  /* of the folder that is to be, in parent; NULL = parent is the folder itself */
};
#define OUTDIR_INIT ((struct outdir){ .parent = -1, .stage = -1 })

/**
 * Begin the folder @p path in *o, which is OUTDIR_INIT. A folder that is there is USAGE unless
 * it is empty, or @p filled_ok. Stages that a killed run left there are removed. A folder around
 * it that is missing is SYSTEM, as with outfile_begin().
 */
int outdir_begin(struct outdir *o, const char *path, bool filled_ok, dray_error **err) MUST_CHECK;
/** The stage is done with and goes: its leaving is part of the success. */
int outdir_finish(struct outdir *o, dray_error **err) MUST_CHECK;
/** Removes the stage with all that is still in it; frees. Leaves errno alone. */
void outdir_clear(struct outdir *o);
#define cleanup_outdir CLEANUP(outdir_clear)
