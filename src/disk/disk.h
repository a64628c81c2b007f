/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks of engines as places to read from: Docker's data root and the storage of podman, buildah
 * and CRI-O. Layers are put together as they were, byte for byte, from the files on the disk and
 * the tar-split beside them. Nothing is ever written; an engine may run meanwhile.
 */
#pragma once

#include "store/store.h"

enum disk_kind {
	DISK_NONE,
	DISK_DOCKER,	 /* image/DRIVER/imagedb, maybe below UID.GID */
	DISK_DOCKER_V1,	 /* graph/, Docker 1.9 and older */
	DISK_CONTAINERD, /* containerd's content store, Docker 29 */
	DISK_CONTAINERS, /* DRIVER-images/images.json */
};
/** What folder @p path is, by the names in it. NOT_FOUND, SYSTEM. */
int disk_sniff(const char *path, enum disk_kind *ret, dray_error **err) MUST_CHECK;

/**
 * Docker's data root. @p o may be NULL; with a listing the size of layers stays unknown.
 * A containerd store that Docker 29 keeps there is opened as disk_open_containerd() does.
 * FORMAT when it is none, UNSUPPORTED for what DISK_DOCKER_V1 is.
 */
struct store *disk_open_docker(const char *path, const struct place_options *o, dray_error **err);
/** containerd's content store, with the names of its database; without one images by what blobs are. */
struct store *disk_open_containerd(const char *path, dray_error **err);
/** The storage of podman and others; @p path NULL = the user's own, root's for root. */
struct store *disk_open_containers(const char *path, const struct place_options *o,
				   dray_error **err);
