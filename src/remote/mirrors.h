/* SPDX-License-Identifier: Apache-2.0
 *
 * registries.conf at work: its files, and asking mirrors before the registry.
 */
#pragma once

#include "proto/registries.h"
#include "remote/remote_priv.h"

/**
 * The files of this user: CONTAINERS_REGISTRIES_CONF alone; else ~/.config/containers or
 * /etc/containers, and the registries.conf.d folders of both. FORMAT names file and line.
 */
int mirrors_load(struct registries *ret, dray_error **err) MUST_CHECK;

/**
 * Is mirror @p i of @p r worth a question? When it then fails, mirror_failed() says whether to go
 * on with the next place; it takes @p why over or hands it on.
 */
struct remote *mirror_at(struct remote *r, size_t i);
/** 1 = go on, -1 = no place can help (cancelled, no memory): *err is @p why. */
int mirror_failed(struct remote *r, struct remote *mirror, dray_error *why,
		  dray_error **err) MUST_CHECK;
