/* SPDX-License-Identifier: Apache-2.0
 *
 * A container engine behind the store interfaces, over its HTTP API (formats.md
 * section 8): Docker 1.10 and later, podman's service. Images are saved and loaded
 * as streams; nothing is kept on this side. DRAY_ENGINE_WAIT_MS (1800000: how long
 * an engine may be silent, which it is while it unpacks or packs up) is read from
 * the environment.
 */
#pragma once

#include "remote/remote.h"

/** One engine. Not thread-safe; its destination takes blobs from several threads all the same. */
struct engine;
/**
 * The engine that docker(1) would talk to: DOCKER_HOST (unix://, tcp:// with
 * DOCKER_TLS_VERIFY and DOCKER_CERT_PATH), else the context that DOCKER_CONTEXT or
 * config.json names, else /var/run/docker.sock or a rootless engine's socket. Asks it nothing
 * yet. NETWORK when there is no socket, DENIED when we may not use it, UNSUPPORTED (ssh://).
 */
int engine_open(const struct remote_options *o, struct engine **ret, dray_error **err) MUST_CHECK;
void engine_free(struct engine *e);
DEFINE_CLEANUP(struct engine, cleanup_engine_fn, engine_free)
#define cleanup_engine CLEANUP(cleanup_engine_fn)

/**
 * As a readable store, forward only: the selector chooses by name, image ID or among all, and
 * store_images() streams what it chose through @p o, as store_open_tar("-") does; with
 * o->listing it only asks the engine's list. Takes @p e over; @p place is for messages.
 */
struct store *engine_store(struct engine *e, const char *place, const struct place_options *o,
			   dray_error **err);

/**
 * What an engine makes of a tag: "NAME:TAG" and "HOST/NAME" are names, *ret as it shows them, in
 * @p a; of a lone word, which an OCI layout may call an image, *ret is NULL.
 */
int engine_name(struct arena *a, const char *tag, const char **ret, dray_error **err) MUST_CHECK;
/**
 * As a destination: an archive that is streamed into it while its blobs come. Blobs whose digest
 * or size is not known wait in @p tmpdir (NULL as in dest_docker_stream()). Finishing waits for the
 * engine, and then asks it whether it has what was sent, under each name: CORRUPT when it has
 * something else. @p place is for messages. Takes @p e over.
 */
struct dest *engine_dest(struct engine *e, const char *place, const char *tmpdir,
			 dray_error **err);
