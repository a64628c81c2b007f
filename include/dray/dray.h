/* SPDX-License-Identifier: Apache-2.0
 *
 * libdray: read, verify, explain and move container images. One door to all.
 *
 * Option structs begin with their size, which the _INIT macros set, and only ever grow at the end:
 * members behind a caller's size have their defaults, and those behind ours are not looked at.
 */
#pragma once

#include <dray/build.h>
#include <dray/context.h>
#include <dray/copy.h>
#include <dray/delta.h>
#include <dray/diff.h>
#include <dray/edit.h>
#include <dray/error.h>
#include <dray/gc.h>
#include <dray/inspect.h>
#include <dray/normalize.h>
#include <dray/registry.h>
#include <dray/relayer.h>
#include <dray/report.h>
#include <dray/rootfs.h>
#include <dray/serve.h>
#include <dray/sign.h>
#include <dray/split.h>
#include <dray/sync.h>
