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
	/* second levels of countries */
	"co.uk org.uk me.uk ac.uk gov.uk net.uk ltd.uk plc.uk sch.uk com.au net.au org.au "
	"edu.au gov.au id.au co.nz net.nz org.nz ac.nz govt.nz co.jp ne.jp or.jp ac.jp go.jp "
	"co.kr or.kr go.kr ac.kr com.br net.br org.br gov.br com.cn net.cn org.cn gov.cn "
	"edu.cn ac.cn com.tw org.tw gov.tw edu.tw com.hk org.hk com.sg edu.sg gov.sg com.my "
	"com.ph com.vn co.id or.id go.id ac.id co.th in.th co.in net.in org.in gov.in ac.in "
	"nic.in co.za org.za gov.za ac.za co.il org.il ac.il gov.il com.tr org.tr gov.tr "
	"edu.tr com.mx org.mx gob.mx com.ar gob.ar com.co com.pe com.ve com.ec com.uy com.ua "
	"co.ua com.pl net.pl org.pl gov.pl edu.pl com.ru msk.ru spb.ru com.gr com.pt com.es "
	"com.fr gouv.fr co.at or.at ac.at co.hu com.ro com.eg co.ke com.ng com.gh com.sa "
	"com.pk com.bd com.np com.lk co.cr uk.com us.com eu.com de.com co.com "
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

static bool is_shared(const char *suffix)
{
	struct span rest = SPAN_LIT(shared_suffixes);

	while (rest.len > 0) {
		size_t n = (size_t)span_find(rest, ' ');

		if (span_is(span_head(rest, n), suffix))
			return true;
		rest = span_from(rest, n + 1);
	}
	return false;
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
