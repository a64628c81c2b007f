/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages for people who look at a server with a browser: repositories, tags, images. Made of
 * what a shelf has; no HTTP in here, and no SQLite. What images say of themselves is anybody's text:
 * it is escaped, cut where it is long, and what is left out is counted.
 */
#pragma once

#include "base/limits.h"
#include "serve/route.h"
#include "serve/serve.h"

/*
 * Bytes of a page. All that the limits below let through, with each byte escaped to six of "&quot;", are
 * some 18 MiB.
 */
#define WEB_PAGE_MAX (24 * MIB)
#define WEB_NAMES 100		 /* repositories or tags of a page */
#define WEB_UNTAGGED 50		 /* manifests without a tag of a page */
#define WEB_ROWS 200		 /* of each other list, but layers */
#define WEB_LAYERS 500		 /* steps of a history that are shown */
#define WEB_TEXT 1000		 /* bytes of a value that are shown */
#define WEB_CONFIG_MAX (4 * MIB) /* a larger config is not read for a page */
#define WEB_SUMMARY_MAX (256 * KIB) /* likewise a manifest for one row of a list */

/** Who asks for what. All lent. */
struct web_ask {
	struct shelf *shelf;
	const struct route *route;
	const char *host; /* as clients are to name the server: "127.0.0.1:5000" */
	bool encrypted;	  /* they reach it by TLS */
	bool writes;	  /* it takes images in */
	bool tags;	  /* who lists repositories may see their tags, too */
	serve_look_fn *look; /* NULL = nobody can */
	void *arg;
};
/** The page of a ROUTE_HOME, ROUTE_REPO or ROUTE_IMAGE, into @p ret. As the shelf refuses. */
int web_page(const struct web_ask *ask, struct buf *ret, dray_error **err) MUST_CHECK;
/** The page of a refusal; @p text is of anybody. */
int web_refusal(int status, const char *text, struct buf *ret, dray_error **err) MUST_CHECK;
/**
 * What pages need beside them: "style.css" and the like, into @p ret. *ret_type is static.
 * MANIFEST_UNKNOWN, there is no better code.
 */
int web_asset(const char *name, struct buf *ret, const char **ret_type,
	      dray_error **err) MUST_CHECK;
/**
 * How clients are to name the server that a browser found by @p host, its field "Host": in @p a, NULL
 * where that is no host. A name that clients would take for a part of a repository gets its port.
 */
const char *web_host(const char *host, bool encrypted, struct arena *a);
