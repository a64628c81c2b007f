/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      login and logout.
 * Relies:   on remote/login.h for where a login is kept.
 * Promises: what is stored was accepted by the registry a moment ago; a password is wiped from our memory.
 */
#include "remote/login.h"

#include <dray/registry.h>

#include "base/mem.h"
#include "ops/names.h"
#include "remote/credentials.h"

static int check_characters(const char *user, const char *password, dray_error **err)
{
	if (!*user || strchr(user, ':'))
		return err_set(err, DRAY_ERR_USAGE, "a user name is not empty and has no colon");
	if (!*password)
		return err_set(err, DRAY_ERR_USAGE, "the password is empty");
	return 0;
}

/* Ask the registry with this login and no other. */
static int try_login(dray_context *ctx, const struct reference *host, const char *user,
		     const char *password, dray_error **err)
{
	cleanup_secret char *creds = mem_printf("%s:%s", user, password);
	struct remote_options o = ctx->remote;
	struct credentials parsed = { 0 };
	struct remote *r = NULL;
	int rc;

	if (!creds)
		return err_nomem(err);
	rc = credentials_parse(creds, &parsed, err);
	credentials_clear(&parsed);
	if (rc < 0)
		return -1;
	o.creds = creds;
	rc = remote_open_for(host, REMOTE_LOGIN, &o, &r, err);
	if (rc == 0)
		rc = remote_check_login(r, err);
	if (rc == 0)
		context_log(ctx, DRAY_LOG_WARNING,
			    "%s asks nobody to log in: the login was not tried", host->domain);
	remote_free(r);
	return rc < 0 ? -1 : 0;
}

int dray_login(dray_context *ctx, const char *host, const char *user, const char *password,
	       dray_names **ret, dray_error **err)
{
	cleanup_reference struct reference at = { 0 };
	cleanup_names dray_names *n = NULL;
	cleanup_free char *where = NULL, *key = NULL;

	if (registry_login(host, &at, &key, err) < 0 || check_characters(user, password, err) < 0 ||
	    try_login(ctx, &at, user, password, err) < 0)
		return -1;
	n = names_new(key, err);
	if (!n || login_store(&ctx->remote, key, user, password, &where, err) < 0 ||
	    remote_names_add(&n->names, where, err) < 0)
		return -1;
	*ret = steal_pointer(&n);
	return 0;
}

int dray_logout(dray_context *ctx, const char *host, dray_names **ret, dray_error **err)
{
	cleanup_reference struct reference at = { 0 };
	cleanup_names dray_names *n = NULL;
	cleanup_free char *key = NULL;

	if (registry_login(host, &at, &key, err) < 0)
		return -1;
	n = names_new(key, err);
	if (!n || login_erase(&ctx->remote, key, &n->names, err) < 0)
		return -1;
	*ret = steal_pointer(&n);
	return 0;
}
