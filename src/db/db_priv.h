/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the room: what a connection is made of.
 */
#pragma once

#include <sqlite3.h>

#include "db/db.h"

struct db {
	sqlite3 *handle;
	struct db_bounds bounds; /* zero: of our own */
	int looks;		 /* at the clock of untrusted ones */
};

/** The error for what the last call on @p db returned, -1. */
int db_failed(const struct db *db, int code, dray_error **err);
