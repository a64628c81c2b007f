/* SPDX-License-Identifier: Apache-2.0
 *
 * What refers to a manifest, as a registry tells it. Spec: OCI distribution-spec "Listing
 * Referrers", "Referrers Tag Schema"; formats.md 5.7.
 */
#pragma once

#include "base/map.h"
#include "remote/remote_priv.h"

/** Digests of manifests that claim a subject, each once, in the registry's order. */
struct remote_referrers {
	struct arena arena;
	struct digest *list;
	size_t n, cap;
	struct map seen;
};
/** By the API, else by the fallback tag. Nothing refers to it: an empty list. */
int remote_referrers(struct remote *r, const struct digest *subject,
		     struct remote_referrers *ret, dray_error **err) MUST_CHECK;
void remote_referrers_clear(struct remote_referrers *l);

/**
 * Enter @p m, which has a subject and is stored, into the index at the fallback tag: what a
 * client owes a registry that did not answer with OCI-Subject. Of two clients that do so at
 * the same time one may lose: the spec knows no lock.
 */
int remote_announce(struct remote *r, const struct manifest *m, dray_error **err) MUST_CHECK;
