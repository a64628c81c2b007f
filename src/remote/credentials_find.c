/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      where credentials are looked for, and in which order.
 * Relies:   on the environment that docker and podman define.
 * Promises: the first place that knows the repository wins; a file that is not there is passed over, one that
 *           cannot be read is an error that names it.
 */
#include "remote/credentials.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"

/* Docker keys its hub by this; helpers know no other name for it. */
#define HUB_SERVER "https://index.docker.io/v1/"

static int ask_helper(const char *helper, const struct reference *ref, struct credentials *ret,
		      dray_error **err)
{
	bool hub = strcmp(ref->domain, "docker.io") == 0;

	return credentials_from_helper(helper, hub ? HUB_SERVER : ref->domain, ret, err);
}

static int in_bytes(struct span text, const struct reference *ref, struct credentials *ret,
		    dray_error **err)
{
	struct credentials_entry e;
	int rc = credentials_in_text(text, ref->domain, ref->path, &e, err);

	if (rc <= 0)
		return rc;
	if (e.helper) {
		rc = ask_helper(e.helper, ref, ret, err);
		mem_free(e.helper);
		return rc;
	}
	*ret = e.found;
	return 1;
}

/* 1 = found, 0 = not there or says nothing, -1. */
static int in_file(const char *path, bool must_exist, const struct reference *ref,
		   struct credentials *ret, dray_error **err)
{
	struct buf text = BUF_INIT(LIMIT_CREDENTIALS);
	dray_error *why = NULL;
	int rc = io_read_file(AT_FDCWD, path, LIMIT_CREDENTIALS, &text, &why);

	if (rc < 0 && !must_exist && dray_error_kind(why) == DRAY_ERR_NOT_FOUND) {
		dray_error_free(why);
		return 0;
	}
	if (rc == 0)
		rc = in_bytes(span_buf(&text), ref, ret, &why);
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_clear(&text);
	if (rc >= 0)
		return rc;
	err_ctx(&why, "credentials in %s", path);
	if (err)
		*err = why;
	else
		dray_error_free(why);
	return -1;
}

struct candidates {
	char *path[4];
	size_t n;
	bool failed;
};

static void add(struct candidates *c, char *path)
{
	if (!path)
		c->failed = true;
	else
		c->path[c->n++] = path;
}

static const char *env_path(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

static void list_files(struct candidates *c)
{
	const char *run = env_path("XDG_RUNTIME_DIR"), *config = env_path("XDG_CONFIG_HOME");
	const char *docker = env_path("DOCKER_CONFIG"), *home = env_path("HOME");

	if (run)
		add(c, mem_printf("%s/containers/auth.json", run));
	else
		add(c, mem_printf("/run/containers/%u/auth.json", (unsigned int)getuid()));
	if (config)
		add(c, mem_printf("%s/containers/auth.json", config));
	else if (home)
		add(c, mem_printf("%s/.config/containers/auth.json", home));
	if (docker)
		add(c, mem_printf("%s/config.json", docker));
	else if (home)
		add(c, mem_printf("%s/.docker/config.json", home));
}

int credentials_find(const struct remote_options *o, const struct reference *ref,
		     struct credentials *ret, dray_error **err)
{
	struct candidates c = { 0 };
	const char *env = env_path("REGISTRY_AUTH_FILE");
	int rc = 0;

	*ret = (struct credentials){ 0 };
	if (o->creds)
		return credentials_parse(o->creds, ret, err);
	if (o->authfile || env)
		return in_file(o->authfile ? o->authfile : env, o->authfile != NULL, ref, ret,
			       err) < 0
			       ? -1
			       : 0;
	list_files(&c);
	if (c.failed)
		rc = err_nomem(err);
	for (size_t i = 0; i < c.n; i++) {
		if (rc == 0)
			rc = in_file(c.path[i], false, ref, ret, err);
		mem_free(c.path[i]);
	}
	return rc < 0 ? -1 : 0;
}
