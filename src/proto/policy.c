/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place that decides where a request may go and what may go with it.
 * Relies on url.c for origins and on address.c for hosts that are numbers.
 * Promises that credentials reach nobody but their own registry and its token server.
 */
#include "proto/url.h"

#include <assert.h>

#include "base/mem.h"
#include "base/text.h"

static const char *const purpose_names[] = {
	[URL_REDIRECT] = "redirect",	    [URL_REALM] = "token realm",
	[URL_LOCATION] = "upload location", [URL_LINK] = "next page",
	[URL_FOREIGN] = "layer URL",
};

/* Suffixes under which anybody can have a name: two hosts below are strangers. */
static const char shared_suffixes[] =
	/* of countries, besides national_labels, and of companies that sell names */
	"me.uk ltd.uk plc.uk sch.uk id.au govt.nz in.th nic.in msk.ru spb.ru uk.com us.com "
	"eu.com de.com co.com "
	/* platforms that hand out names */
	"amazonaws.com cloudfront.net elasticbeanstalk.com azurewebsites.net azurecr.io "
	"azure.com cloudapp.net windows.net azurefd.net azureedge.net trafficmanager.net "
	"appspot.com run.app web.app firebaseapp.com cloudfunctions.net "
	"googleusercontent.com googleapis.com github.io gitlab.io githubusercontent.com "
	"herokuapp.com netlify.app vercel.app now.sh pages.dev workers.dev r2.dev fly.dev "
	"onrender.com railway.app digitaloceanspaces.com ondigitalocean.app ngrok.io "
	"ngrok.app ngrok-free.app ngrok.dev trycloudflare.com loca.lt jfrog.io nip.io "
	"sslip.io xip.io duckdns.org dyndns.org no-ip.org ddns.net hopto.org oraclecloud.com "
	"myqcloud.com aliyuncs.com myhuaweicloud.com scw.cloud ovh.net linode.com "
	"linodeobjects.com backblazeb2.com wasabisys.com repl.co ts.net ";

/*
 * Below a country these are mostly for everybody, and no list of the countries stays whole. Where
 * one of them is somebody's own name, that owner's hosts are strangers to each other: the safe side.
 */
static const char national_labels[] = "co com net org edu gov ac or ne go gob gouv mil nom ";

/* Registries whose token server has a name of its own. */
static const struct {
	const char *registry, *realm;
} pairs[] = {
	{ "registry-1.docker.io", "auth.docker.io" },
	{ "index.docker.io", "auth.docker.io" },
	{ "docker.io", "auth.docker.io" },
};

/* The last @p labels labels of @p host; NULL when it has fewer. */
static const char *last_labels(const char *host, int labels)
{
	const char *p = host + strlen(host);

	while (p > host)
		if (*--p == '.' && --labels == 0)
			return p + 1;
	return labels == 1 ? host : NULL;
}

static bool in_list(struct span list, struct span word)
{
	while (list.len > 0) {
		size_t n = (size_t)span_find(list, ' ');

		if (span_eq(span_head(list, n), word))
			return true;
		list = span_from(list, n + 1);
	}
	return false;
}

/* "co.uk", "com.au", also of countries that do not work like that. */
static bool is_national(struct span suffix)
{
	if (suffix.len < 3 || suffix.data[suffix.len - 3] != '.')
		return false;
	return in_list(SPAN_LIT(national_labels), span_head(suffix, suffix.len - 3));
}

static bool is_shared(const char *suffix)
{
	struct span s = span_str(suffix);

	return is_national(s) || in_list(SPAN_LIT(shared_suffixes), s);
}

/*
 * Without the public suffix list, on the safe side: the last two labels, three below a suffix
 * that many share; hosts of one label, addresses and names with a final dot belong to nobody.
 */
static const char *registrable_domain(const struct url *u)
{
	const char *two = last_labels(u->host, 2);

	if (!two || url_host_is_address(u) || u->host[strlen(u->host) - 1] == '.')
		return NULL;
	return is_shared(two) ? last_labels(u->host, 3) : two;
}

static bool same_domain(const struct url *a, const struct url *b)
{
	const char *x = registrable_domain(a), *y = registrable_domain(b);

	return x && y && strcmp(x, y) == 0;
}

static bool is_pair(const struct url *from, const struct url *to)
{
	if (strcmp(from->scheme, "https") != 0 || from->port != 443 ||
	    strcmp(to->scheme, "https") != 0 || to->port != 443)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (strcmp(from->host, pairs[i].registry) == 0 &&
		    strcmp(to->host, pairs[i].realm) == 0)
			return true;
	return false;
}

/* A step that nobody on the way could have added to the conversation. */
static bool is_downgrade(const struct url *from, const struct url *to)
{
	return strcmp(from->scheme, "https") == 0 && strcmp(to->scheme, "http") == 0;
}

/*
 * An address that means something else to the server than to us. A realm or an upload may
 * name one at the registry's own origin only (N-06, N-08, P-05); data may also come from a
 * neighbour of a registry that is on such an address itself. "localhost" is a name: next to
 * a registry on this machine it is harmless.
 */
static bool is_foreign_private(enum url_purpose purpose, const struct url *from,
			       const struct url *to)
{
	bool strict = purpose == URL_REALM || purpose == URL_LOCATION;

	if (!url_host_is_private(to) || url_same_origin(from, to))
		return false;
	if (strict && url_host_is_address(to))
		return true;
	return strcmp(from->host, to->host) != 0 && !url_host_is_private(from);
}

static const char *problem(enum url_purpose purpose, const struct url *from, const struct url *to)
{
	if (to->has_userinfo)
		return "it carries a user name";
	if (purpose == URL_LINK && !url_same_origin(from, to))
		return "it leaves the registry";
	if (purpose != URL_FOREIGN && is_downgrade(from, to))
		return "it goes from https to http";
	if (is_foreign_private(purpose, from, to))
		return "it names a private address that is not the registry's own";
	return NULL;
}

static bool credentials_may_go(enum url_purpose purpose, const struct url *from,
			       const struct url *to)
{
	switch (purpose) {
	case URL_FOREIGN:
		return false;
	case URL_REALM:
		return url_same_origin(from, to) || is_pair(from, to) || same_domain(from, to);
	case URL_REDIRECT:
	case URL_LOCATION:
	case URL_LINK:
		return url_same_origin(from, to);
	}
	return false;
}

int url_allowed(enum url_purpose purpose, const struct url *from, const struct url *to,
		bool *ret_credentials, dray_error **err)
{
	const char *why = problem(purpose, from, to);
	cleanup_free char *host = NULL;

	assert((size_t)purpose < ARRAY_LEN(purpose_names));
	if (why) {
		host = text_safe(span_str(to->host), 100);
		if (!host)
			return err_nomem(err);
		return err_set(err, DRAY_ERR_DENIED, "%s at %s://%s:%d refused: %s",
			       purpose_names[purpose], to->scheme, host, to->port, why);
	}
	*ret_credentials = credentials_may_go(purpose, from, to);
	return 0;
}
