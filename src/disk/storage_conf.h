/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the storage of podman and others is, by storage.conf and the environment, as they find
 * it themselves: containers-storage.conf(5).
 */
#pragma once

#include "base/arena.h"
#include "disk/disk_priv.h"

/** Zero-initialise. */
struct storage_conf {
	struct arena arena;
	const char *root;   /* the folder of images and layers */
	const char *driver; /* the only one that is looked at; NULL = all */
	struct texts more;  /* folders of further images, which others share */
};
/** FORMAT and SYSTEM for a file that cannot be read; one that is absent says nothing. */
int storage_conf_read(struct storage_conf *ret, dray_error **err) MUST_CHECK;
void storage_conf_clear(struct storage_conf *c);
#define cleanup_storage_conf CLEANUP(storage_conf_clear)

/** The same of given files; for tests. @p uid 0 = the system's own storage. */
struct storage_conf_from {
	const char *shared, *user; /* files; NULL = none */
	int64_t uid;
	const char *data; /* the user's own data: "/home/me/.local/share" */
};
int storage_conf_from(struct storage_conf *ret, const struct storage_conf_from *from,
		      dray_error **err) MUST_CHECK;
