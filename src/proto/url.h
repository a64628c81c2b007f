/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs that servers name, and the one policy that decides about them
 * (reliability 2.1, N-01..N-11). Pure; no sockets.
 */
#pragma once

#include "base/arena.h"

struct url {
	const char *scheme;	/* "http" or "https", lower case */
	const char *host;	/* lower case, brackets kept for IPv6 */
	int port;		/* effective */
	const char *rest;	/* path and query, starts with '/' */
	bool has_userinfo;
};

/** Absolute http(s) URL; controls, spaces, backslashes and userinfo oddities are FORMAT. */
int url_parse(const char *text, struct arena *a, struct url *ret, dray_error **err) MUST_CHECK;
/** RFC 3986 reference resolution as far as registries use it: absolute, //host, /path, relative. */
int url_resolve(const struct url *base, const char *ref, struct arena *a, struct url *ret, dray_error **err) MUST_CHECK;
char *url_text(const struct url *u, struct arena *a);
bool url_same_origin(const struct url *a, const struct url *b);
/** Loopback, link-local, private, unspecified, in any notation (decimal, mapped IPv6, "localhost"). */
bool url_host_is_private(const struct url *u);
bool url_host_is_loopback(const struct url *u);

enum url_purpose { URL_REDIRECT, URL_REALM, URL_LOCATION, URL_LINK, URL_FOREIGN };
/**
 * May a request for @p purpose go from @p from to @p to? 0, or -1 with DENIED/UNSUPPORTED and the reason.
 * *ret_credentials says whether credentials of @p from may go along.
 */
int url_allowed(enum url_purpose purpose, const struct url *from, const struct url *to,
		bool *ret_credentials, dray_error **err) MUST_CHECK;
/** @p value percent-encoded for a query. */
int url_query_escape(struct buf *b, const char *value, dray_error **err) MUST_CHECK;
