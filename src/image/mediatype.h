/* SPDX-License-Identifier: Apache-2.0
 *
 * Media types and what they mean. formats.md 4.4.
 */
#pragma once

#include <stdbool.h>

#define MT_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MT_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define MT_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define MT_DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"
#define MT_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define MT_DOCKER_LAYER_ZSTD "application/vnd.docker.image.rootfs.diff.tar.zstd"
#define MT_DOCKER_FOREIGN "application/vnd.docker.image.rootfs.foreign.diff.tar"
#define MT_DOCKER_FOREIGN_GZIP "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
#define MT_DOCKER_SCHEMA1 "application/vnd.docker.distribution.manifest.v1+json"
#define MT_DOCKER_SCHEMA1_SIGNED "application/vnd.docker.distribution.manifest.v1+prettyjws"
#define MT_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MT_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MT_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MT_OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define MT_OCI_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define MT_OCI_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
/* Docker's foreign ones; deprecated, and still what such layers are. */
#define MT_OCI_FOREIGN "application/vnd.oci.image.layer.nondistributable.v1.tar"
#define MT_OCI_FOREIGN_GZIP "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
#define MT_OCI_FOREIGN_ZSTD "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
#define MT_OCI_EMPTY "application/vnd.oci.empty.v1+json"
/* Ours, docs/delta.md: how each begins, the artifactType, its config, its layers. */
#define MT_DELTA_FAMILY "application/vnd.dray.delta."
#define MT_DELTA "application/vnd.dray.delta.v1+json"
#define MT_DELTA_CONFIG "application/vnd.dray.delta.config.v1+json"
#define MT_DELTA_IMAGE_MANIFEST "application/vnd.dray.delta.image-manifest.v1+json"
#define MT_DELTA_IMAGE_CONFIG "application/vnd.dray.delta.image-config.v1+json"
#define MT_DELTA_LAYER "application/vnd.dray.delta.layer.v1"
#define MT_DELTA_RECIPE "application/vnd.dray.delta.recipe.v1"

/* Names are compared without case and without parameters; NULL is of no type. */
bool mediatype_equal(const char *a, const char *b); /* neither may be NULL */
bool mediatype_is_manifest(const char *mt);	    /* Docker schema2 or OCI */
bool mediatype_is_index(const char *mt);
bool mediatype_is_schema1(const char *mt);
bool mediatype_is_docker(const char *mt); /* of Docker's family */
bool mediatype_is_image_config(const char *mt);
bool mediatype_is_generic(const char *mt); /* says nothing: NULL, "", application/json, ... */
bool mediatype_is_layer(const char *mt);   /* a file system layer we know how to read */
bool mediatype_is_foreign(const char *mt); /* may be absent from a registry */
