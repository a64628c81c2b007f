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

const char *credentials_server(const char *domain)
{
	return strcmp(domain, "docker.io") == 0 ? HUB_SERVER : domain;
}

static int in_bytes(struct span text, const struct reference *ref, struct credentials *ret,
		    dray_error **err)
{
	struct credentials_entry e;
	int rc = credentials_in_text(text, ref->domain, ref->path, &e, err);

	if (rc <= 0)
		return rc;
	if (e.helper) {
		rc = credentials_from_helper(e.helper, credentials_server(ref->domain), ret, err);
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
	buf_wipe(&text);
	if (rc >= 0)
		return rc;
	err_ctx(&why, "credentials in %s", path);
	if (err)
		*err = why;
	else
		dray_error_free(why);
	return -1;
}

/* ---- the files ---- */

void credentials_files_clear(struct credentials_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		mem_free(f->path[i]);
	*f = (struct credentials_files){ 0 };
}

/* Takes @p path over; NULL = no memory. */
static int add(struct credentials_files *f, char *path, dray_error **err)
{
	if (!path)
		return err_nomem(err);
	f->path[f->n++] = path;
	return 0;
}

static const char *env_path(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

static int list_files(struct credentials_files *f, dray_error **err)
{
	const char *run = env_path("XDG_RUNTIME_DIR"), *config = env_path("XDG_CONFIG_HOME");
	const char *docker = env_path("DOCKER_CONFIG"), *home = env_path("HOME");
	int rc;

	if (run)
		rc = add(f, mem_printf("%s/containers/auth.json", run), err);
	else
		rc = add(f, mem_printf("/run/containers/%u/auth.json", (unsigned int)getuid()),
			 err);
	if (rc == 0 && config)
		rc = add(f, mem_printf("%s/containers/auth.json", config), err);
	else if (rc == 0 && home)
		rc = add(f, mem_printf("%s/.config/containers/auth.json", home), err);
	f->docker = f->n;
	if (rc == 0 && docker)
		rc = add(f, mem_printf("%s/config.json", docker), err);
	else if (rc == 0 && home)
		rc = add(f, mem_printf("%s/.docker/config.json", home), err);
	return rc;
}

int credentials_files(const struct remote_options *o, struct credentials_files *ret,
		      dray_error **err)
{
	const char *env = env_path("REGISTRY_AUTH_FILE");
	int rc;

	*ret = (struct credentials_files){ 0 };
	if (o->authfile || env) {
		ret->explicit = true;
		ret->must_exist = o->authfile != NULL;
		ret->docker = CREDENTIALS_FILES_MAX;
		rc = add(ret, mem_strdup(o->authfile ? o->authfile : env), err);
	} else {
		rc = list_files(ret, err);
	}
	if (rc < 0)
		credentials_files_clear(ret);
	return rc;
}

int credentials_find(const struct remote_options *o, const struct reference *ref,
		     struct credentials *ret, dray_error **err)
{
	cleanup_credentials_files struct credentials_files f = { 0 };
	int rc = 0;

	*ret = (struct credentials){ 0 };
	if (o->creds)
		return credentials_parse(o->creds, ret, err);
	if (credentials_files(o, &f, err) < 0)
		return -1;
	for (size_t i = 0; i < f.n && rc == 0; i++)
		rc = in_file(f.path[i], f.must_exist, ref, ret, err);
	return rc < 0 ? -1 : 0;
}
