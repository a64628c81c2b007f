/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs that servers name, and the one policy that decides about them
 * (reliability 2.1, N-01..N-11). Pure; no sockets, no resolver: a name that
 * resolves to a private address is not seen here.
 */
#pragma once

#include "base/arena.h"

#define URL_MAX 16384 /* bytes of one URL; signed storage URLs reach about 4,000 */

struct url {
	const char *scheme; /* "http" or "https", lower case */
	const char *host;   /* lower case, brackets kept for IPv6 */
	int port;	    /* effective */
	const char *rest;   /* path and query, starts with '/'; never a fragment */
	bool has_userinfo;  /* "user@" stood there; it is not kept */
};

/**
 * Absolute http(s) URL. FORMAT: controls, spaces, backslashes, another scheme, a host that
 * is neither a DNS name nor an address (percent signs, Unicode dots, "1.2.3.4.5").
 */
int url_parse(const char *text, struct arena *a, struct url *ret, dray_error **err) MUST_CHECK;
/**
 * RFC 3986 reference resolution as far as registries use it: absolute, //host, /path,
 * relative, ?query. A query passes verbatim, a fragment is dropped.
 */
int url_resolve(const struct url *base, const char *ref, struct arena *a, struct url *ret,
		dray_error **err) MUST_CHECK;
/** "https://host[:port]/path?query", without the scheme's own port. NULL = no memory. */
char *url_text(const struct url *u, struct arena *a);
/** Scheme, host and effective port are equal. */
bool url_same_origin(const struct url *a, const struct url *b);
/** An address, in any notation that resolvers take ("127.1", "0x7f000001", "[::1]"). */
bool url_host_is_address(const struct url *u);
/**
 * Loopback, link-local, private, unspecified or reserved, in any notation (decimal, hex,
 * octal, mapped IPv6), or "localhost" and names below it.
 */
bool url_host_is_private(const struct url *u);
bool url_host_is_loopback(const struct url *u);

enum url_purpose {
	URL_REDIRECT, /* of a blob or manifest request */
	URL_REALM,    /* token endpoint of a challenge */
	URL_LOCATION, /* upload session */
	URL_LINK,     /* next page */
	URL_FOREIGN,  /* "urls" of a descriptor, and redirects from there */
};
/**
 * May a request for @p purpose go from @p from to @p to? 0, or -1 with DENIED and the reason.
 * *ret_credentials says whether credentials of @p from may go along.
 * Ask when about to connect, not earlier: a realm that nobody uses hurts nobody (P-06).
 */
int url_allowed(enum url_purpose purpose, const struct url *from, const struct url *to,
		bool *ret_credentials, dray_error **err) MUST_CHECK;
/** @p value percent-encoded for a query: all but letters, digits and "-._~". */
int url_query_escape(struct buf *b, const char *value, dray_error **err) MUST_CHECK;
