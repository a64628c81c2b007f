/* SPDX-License-Identifier: Apache-2.0
 *
 * A listing that a registry gives page by page: tags, repositories, referrers.
 * Spec: OCI distribution-spec "Listing Tags"; RFC 8288 Link with rel="next".
 */
#pragma once

#include "remote/client.h"
#include "remote/remote.h"

/** What one page brought. */
struct listing_gain {
	int64_t entries;	/* on the page */
	int64_t fresh;		/* of them, not on an earlier page */
};

struct listing {
	const char *rest;	/* path and query of the first page: "/v2/NAME/tags/list?n=1000" */
	const char *plain;	/* asked instead when @p rest is answered 400: no query; NULL = never */
	const char *what;	/* for messages: "list tags" */
	const char *accept;	/* NULL = anything */
	size_t max;		/* bytes of a page; 0 = LIMIT_HTTP_BODY */
	/** One page, with status 200. *gain is zero before. */
	int (*page)(void *arg, const struct http_response *head, struct span body,
		    struct listing_gain *gain, dray_error **err);
	void *arg;
};

/**
 * Hand every page to @p q->page. The next page is on the registry's own origin (N-10), not one
 * that was here before, and brings something new; else NETWORK. LIMIT over LIMIT_PAGES. A
 * refusal of the first page is an error of its status: NOT_FOUND for 404.
 */
int listing_walk(struct remote *r, const struct listing *q, dray_error **err) MUST_CHECK;
