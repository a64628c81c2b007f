/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request asks for: method and target as they stand in its first line, to a route. Pure.
 * Spec: distribution-spec "API", "Pulling manifests" and on; RFC 3986. Whatever comes out of here
 * fits the grammar: no name, tag or digest can leave a folder, split a header or end a string.
 */
#pragma once

#include "serve/shelf.h"

#define ROUTE_TARGET_MAX 8192 /* bytes of path and query; two names, two digests and 32 tags fit */
#define ROUTE_TAGS_MAX 32     /* "tag" parameters of one manifest */

enum route_kind {
	ROUTE_BASE,	 /* /v2/ */
	ROUTE_CATALOG,	 /* /v2/_catalog */
	ROUTE_TAGS,	 /* /v2/NAME/tags/list */
	ROUTE_MANIFEST,	 /* /v2/NAME/manifests/REFERENCE */
	ROUTE_BLOB,	 /* /v2/NAME/blobs/DIGEST */
	ROUTE_UPLOADS,	 /* /v2/NAME/blobs/uploads/ */
	ROUTE_UPLOAD,	 /* /v2/NAME/blobs/uploads/ID */
	ROUTE_REFERRERS, /* /v2/NAME/referrers/DIGEST */
	ROUTE_HEALTH,	 /* /healthz */
	ROUTE_METRICS,	 /* /metrics */
	ROUTE_TOKEN,	 /* /token */
	/* for people, see web.h */
	ROUTE_HOME,	 /* / */
	ROUTE_REPO,	 /* /NAME */
	ROUTE_IMAGE,	 /* /NAME:TAG, /NAME@DIGEST */
	ROUTE_ASSET,	 /* /-style.css and the like */
	ROUTE_KINDS
};

enum method { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_PUT, METHOD_PATCH, METHOD_DELETE, METHODS };

/** A request. Strings in its arena. Zeroed is empty; free with route_clear(). */
struct route {
	struct arena arena;
	enum route_kind kind;
	enum method method;
	const char *repo;	/* NULL where the route has none */
	struct shelf_ref ref;	/* MANIFEST, IMAGE; digest also of BLOB, REFERRERS */
	const char *upload;	/* id of UPLOAD */
	const char *asset;	/* "style.css" of ASSET */
	/* from the query; unset, NULL or -1 where it is not there */
	struct digest digest;	/* of UPLOADS and UPLOAD */
	struct digest mount;
	const char *from;	/* a repository */
	const char *ns;		/* the registry that containerd takes this one for a mirror of */
	const char *artifact_type;
	const char *last;
	int64_t n;
	const char *prefix;	/* of the names that HOME and REPO list */
	const char *untagged;	/* REPO: only manifests without a tag, from behind this digest on; "" */
	bool look;		/* IMAGE: into its layers, too */
	const char *tags[ROUTE_TAGS_MAX];
	size_t n_tags;
};
void route_clear(struct route *r);
#define cleanup_route CLEANUP(route_clear)

/** Where the page of repository @p name is: "/NAME", or "/-/NAME" where that is of the API. In @p a. */
const char *route_of_repo(const char *name, struct arena *a);

/**
 * @p target is lent. Refuses as shelf_refuse() does: what fits no route is 404 (its kind stays
 * ROUTE_KINDS), a method that the route does not have 405 (*ret_allow then lists those that it has,
 * static; else NULL).
 */
int route_parse(const char *method, struct span target, struct route *ret, const char **ret_allow,
		dray_error **err) MUST_CHECK;
