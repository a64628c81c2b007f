/* SPDX-License-Identifier: Apache-2.0
 *
 * For: telling whose disk a folder is.
 * Relies on: names alone; files are not opened.
 * Promises: an image layout or an unpacked archive is never taken for a disk.
 */
#include <fcntl.h>
#include "base/io.h"
#include "disk/disk_priv.h"

/* Signs in the order in which they count: Docker 29 leaves the folders of older versions behind. */
static const struct {
	const char *path;
	enum disk_kind kind;
} SIGNS[] = {
	{ "index.json", DISK_NONE },
	{ "manifest.json", DISK_NONE },
	{ "oci-layout", DISK_NONE },
	{ "image/overlay2/imagedb", DISK_DOCKER },
	{ "image/vfs/imagedb", DISK_DOCKER },
	{ "image/fuse-overlayfs/imagedb", DISK_DOCKER },
	{ "image/aufs/imagedb", DISK_DOCKER },
	{ "image/btrfs/imagedb", DISK_DOCKER },
	{ "image/overlay/imagedb", DISK_DOCKER },
	{ "image/zfs/imagedb", DISK_DOCKER },
	{ "image/devicemapper/imagedb", DISK_DOCKER },
	{ "overlay-images", DISK_CONTAINERS },
	{ "vfs-images", DISK_CONTAINERS },
	{ "io.containerd.content.v1.content", DISK_CONTAINERD },
	{ "containerd/daemon/io.containerd.content.v1.content", DISK_CONTAINERD },
	{ "graph/_tmp", DISK_DOCKER_V1 },
	{ "repositories-overlay", DISK_DOCKER_V1 },
	{ "repositories-aufs", DISK_DOCKER_V1 },
	{ "repositories-devicemapper", DISK_DOCKER_V1 },
	{ "repositories-vfs", DISK_DOCKER_V1 },
	{ "repositories-btrfs", DISK_DOCKER_V1 },
};

int disk_sniff(const char *path, enum disk_kind *ret, dray_error **err)
{
	struct stat st;

	*ret = DISK_NONE;
	cleanup_fd int root = io_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
	if (root < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(SIGNS); i++) {
		int there = beneath_stat(root, SIGNS[i].path, &st, err);

		if (there < 0)
			return -1;
		if (there) {
			*ret = SIGNS[i].kind;
			return 0;
		}
	}
	return 0;
}
