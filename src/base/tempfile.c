/* SPDX-License-Identifier: Apache-2.0
 *
 * For: files without a name, where bytes wait until they are wanted.
 * Relies on: O_TMPFILE; struct outfile where a file system has none.
 * Promises: the space is free again when the descriptor is closed, however the run ends.
 */
#include <fcntl.h>
#include <stdlib.h>
#include "base/io.h"
#include "base/mem.h"

/* Blobs are too big for a /tmp in memory. */
static const char *temp_folder(const char *given)
{
	const char *env = getenv("TMPDIR");

	if (given)
		return given;
	return env && env[0] == '/' ? env : "/var/tmp";
}

int io_tempfile(const char *dir, dray_error **err)
{
	cleanup_outfile struct outfile o = OUTFILE_INIT;
	cleanup_free char *path = NULL;
	int fd;

	dir = temp_folder(dir);
	fd = io_openat(AT_FDCWD, dir, O_TMPFILE | O_RDWR | O_EXCL, 0600, NULL);
	if (fd >= 0)
		return fd;
	path = mem_printf("%s/dray-blob", dir);
	if (!path)
		return err_nomem(err);
	if (outfile_begin(&o, AT_FDCWD, path, false, err) < 0)
		return -1;
	if (!o.temp)
		return err_set(err, DRAY_ERR_USAGE, "%s: no place for temporary files", dir);
	return steal_fd(&o.fd);
}
