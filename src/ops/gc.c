/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "gc": the folder of a registry without what nothing needs.
 * Relies on serve/depot.h, which lets one process have the folder.
 * Promises: no folder is made, and none that is no registry's is touched.
 */
#include <dray/gc.h>

#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "ops/ops.h"
#include "serve/depot.h"

static int open_depot(const char *dir, bool dry_run, struct shelf **ret, dray_error **err)
{
	const struct depot_options options = { .leave_uploads = dry_run, .either = true };
	struct stat st;

	/* Opening makes what is not there. */
	if (io_fstatat(AT_FDCWD, dir, 0, &st, err) < 0)
		return -1;
	cleanup_fd int fd = io_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return -1;
	if (io_fstatat(fd, DEPOT_DATABASE, 0, &st, NULL) < 0)
		return err_set(err, DRAY_ERR_USAGE, "%s: it is no folder of dray serve", dir);
	if (depot_open(dir, &options, ret, err) == 0)
		return 0;
	if (err && *err && dray_error_errno(*err) == EBUSY)
		return err_hint(err,
				"a server collects by itself: see --gc-interval of dray serve");
	return -1;
}

int dray_gc(dray_context *ctx, const char *dir, const struct dray_gc_options *o,
	    struct dray_gc_result *ret, dray_error **err)
{
	struct dray_gc_options own = DRAY_GC_OPTIONS_INIT;
	cleanup_shelf struct shelf *s = NULL;
	struct depot_collected got;
	struct depot_gc gc;

	(void)ctx;
	o = options_take(&own, sizeof(own), o);
	if (o->grace < 0)
		return err_set(err, DRAY_ERR_USAGE, "a grace of %lld seconds", (long long)o->grace);
	gc = (struct depot_gc){ .grace = o->grace, .untagged = o->untagged, .dry_run = o->dry_run };
	if (open_depot(dir, o->dry_run, &s, err) < 0 || depot_collect(s, &gc, &got, err) < 0)
		return -1;
	*ret = (struct dray_gc_result){
		.manifests = got.manifests,
		.blobs = got.blobs,
		.bytes = got.bytes,
		.strays = got.strays,
		.stray_bytes = got.stray_bytes,
		.kept = got.kept,
		.kept_bytes = got.kept_bytes,
	};
	return 0;
}
