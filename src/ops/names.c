/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      what the registry verbs share.
 * Relies:   on image/reference.h for what a name may be.
 * Promises: what is typed is a registry's or an error that says so; nothing is looked for on the disk.
 */
#include "ops/names.h"

#include "base/mem.h"
#include "base/text.h"
#include "remote/credentials.h"

#define SCHEME "docker://"

size_t dray_names_count(const dray_names *n)
{
	return n->names.n;
}

const char *dray_names_get(const dray_names *n, size_t i)
{
	return i < n->names.n ? n->names.list[i] : NULL;
}

const char *dray_names_of(const dray_names *n)
{
	return n->of;
}

void dray_names_free(dray_names *n)
{
	if (!n)
		return;
	remote_names_clear(&n->names);
	mem_free(n->of);
	mem_free(n);
}

dray_names *names_new(const char *of, dray_error **err)
{
	dray_names *n = mem_zalloc(sizeof(*n));

	if (n)
		n->of = mem_strdup(of);
	if (n && n->of)
		return n;
	mem_free(n);
	err_nomem(err);
	return NULL;
}

int registry_reference(const char *text, struct reference *ret, dray_error **err)
{
	struct span s = span_str(text);

	if (span_starts(s, SCHEME))
		return reference_parse(span_from(s, sizeof(SCHEME) - 1), ret, err);
	if (place_prefixed(text)) {
		cleanup_free char *safe = text_safe(s, 200);

		return err_set(err, DRAY_ERR_USAGE, "%s is no place in a registry",
			       safe ? safe : "this");
	}
	return reference_parse(s, ret, err);
}

int registry_repository(const char *text, struct reference *ret, dray_error **err)
{
	if (registry_reference(text, ret, err) < 0)
		return -1;
	if (!ret->tag && !digest_set(&ret->digest))
		return 0;
	err_set(err, DRAY_ERR_USAGE, "a repository was expected, without tag and digest");
	err_hint(err, "%s/%s", ret->domain, ret->path);
	reference_clear(ret);
	return -1;
}

/* What stands before the first slash of a reference is a host only if it looks like one. */
static int host_domain(const char *host, struct reference *ret, dray_error **err)
{
	cleanup_free char *probe = mem_printf("%s/x", host);

	if (!probe)
		return err_nomem(err);
	if (strpbrk(host, "/@") || reference_parse(span_str(probe), ret, NULL) < 0)
		return err_set(err, DRAY_ERR_USAGE, "expected HOST[:PORT]");
	if (ret->domain_given)
		return 0;
	reference_clear(ret);
	err_set(err, DRAY_ERR_USAGE, "'%s' alone would be a name on docker.io, not a host", host);
	return err_hint(err, "write its full name, or HOST:PORT");
}

/* @p text without what config.json writes around a host. */
static char *bare_key(const char *text)
{
	struct span s = span_str(text);
	struct span key = credentials_key(span_starts(s, SCHEME) ? span_from(s, sizeof(SCHEME) - 1)
								 : s);

	return mem_strndup((const char *)key.data, key.len);
}

/* The registry alone: a reference without a path. */
static int set_host(const char *host, struct reference *ret, dray_error **err)
{
	char *path = mem_strdup("");

	if (!path)
		return err_nomem(err);
	if (host_domain(host, ret, err) < 0) {
		mem_free(path);
		return -1;
	}
	mem_free(ret->path);
	ret->path = path;
	return 0;
}

int registry_host(const char *text, struct reference *ret, dray_error **err)
{
	cleanup_free char *host = bare_key(text);

	return host ? set_host(host, ret, err) : err_nomem(err);
}

/* A folder of repositories is one that a repository may lie in. */
static int check_folder(const char *key, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_free char *probe = mem_printf("%s/x", key);

	if (!probe)
		return err_nomem(err);
	if (reference_parse(span_str(probe), &ref, NULL) == 0)
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "expected HOST[:PORT][/NAMESPACE]");
}

int registry_login(const char *text, struct reference *ret, char **ret_key, dray_error **err)
{
	cleanup_free char *key = bare_key(text), *host = NULL;

	if (!key)
		return err_nomem(err);
	host = mem_strndup(key, strcspn(key, "/"));
	if (!host)
		return err_nomem(err);
	if (set_host(host, ret, err) < 0 || (strchr(key, '/') && check_folder(key, err) < 0))
		return -1;
	/* The hub has several names, and one key. */
	*ret_key = strchr(key, '/') ? steal_pointer(&key) : mem_strdup(ret->domain);
	return *ret_key ? 0 : err_nomem(err);
}
