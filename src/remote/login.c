/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      storing and forgetting logins.
 * Relies:   on authfile.c for the text, on struct outfile for whole files, on helpers that keep their word.
 * Promises: a file is 0600 and whole at every moment; links are followed to the file they mean; two dray at
 *           work do not lose each other's logins; secrets are wiped.
 */
#include "remote/login.h"

#include <fcntl.h>
#include <sys/file.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "remote/authfile.h"
#include "remote/credentials.h"

#define LINKS_MAX 16 /* hops from a name to its file */

/* ---- names of files ---- */

/* Everything before the last slash; "." without one, "/" for what stands in the root. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return mem_strdup(".");
	return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

/* @p link as it reads from where @p path stands. */
static char *beside(const char *path, const char *link)
{
	cleanup_free char *folder = NULL;

	if (link[0] == '/')
		return mem_strdup(link);
	folder = folder_of(path);
	return folder ? mem_printf("%s/%s", folder, link) : NULL;
}

/* 1 = *path was a link and is where it leads now. */
static int follow_one(char **path, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_PATH);
	cleanup_free char *link = NULL, *next = NULL;
	dray_error *why = NULL;
	struct stat st;
	bool is_link = io_fstatat(AT_FDCWD, *path, AT_SYMLINK_NOFOLLOW, &st, &why) == 0 &&
		       S_ISLNK(st.st_mode);

	dray_error_free(why);
	if (!is_link)
		return 0;
	if (io_readlinkat(AT_FDCWD, *path, &text, err) < 0)
		return -1;
	link = buf_steal_str(&text, err);
	if (!link)
		return -1;
	next = beside(*path, link);
	if (!next)
		return err_nomem(err);
	mem_free(*path);
	*path = steal_pointer(&next);
	return 1;
}

/* People keep these files elsewhere and link to them: the link stays. */
static char *resolve(const char *path, dray_error **err)
{
	cleanup_free char *at = mem_strdup(path);
	int rc = at ? 1 : err_nomem(err);

	for (int hops = 0; rc > 0; hops++) {
		rc = follow_one(&at, err);
		if (rc > 0 && hops == LINKS_MAX)
			rc = err_set(err, DRAY_ERR_SYSTEM, "%s: too many links", path);
	}
	return rc < 0 ? NULL : steal_pointer(&at);
}

static int make_folder(const char *folder, dray_error **err)
{
	cleanup_free char *path = mem_strdup(folder);

	if (!path)
		return err_nomem(err);
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (io_mkdirat(AT_FDCWD, path, 0700, true, err) < 0)
			return -1;
		*p = '/';
	}
	return io_mkdirat(AT_FDCWD, path, 0700, true, err);
}

/* ---- a file that is being edited ---- */

struct edit {
	char *path;	 /* where it really is */
	int folder;	 /* locked */
	struct buf text; /* what it holds; empty when it is not there */
};

static void edit_clear(struct edit *e)
{
	mem_free(e->path);
	cleanup_fd_fn(&e->folder);
	buf_wipe(&e->text);
}
#define cleanup_edit CLEANUP(edit_clear)
#define EDIT_INIT                                                 \
	{                                                         \
		.folder = -1, .text = BUF_INIT(LIMIT_CREDENTIALS) \
	}

/* A file that is not there reads as an empty one. */
static int read_text(const char *path, struct buf *ret, dray_error **err)
{
	dray_error *why = NULL;
	int rc = io_read_file(AT_FDCWD, path, LIMIT_CREDENTIALS, ret, &why);

	if (rc < 0 && dray_error_kind(why) == DRAY_ERR_NOT_FOUND)
		rc = 0;
	else if (rc < 0 && err)
		*err = steal_pointer(&why);
	dray_error_free(why);
	return rc;
}

/* A secret goes to a file, never into a pipe, a terminal or a device that has its name. */
static int check_regular(const char *path, dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	struct stat st;

	if (io_fstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &st, &why) < 0 || S_ISREG(st.st_mode))
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "%s is no regular file", path);
}

/* Read it, and keep other dray away until edit_clear(). */
static int edit_begin(struct edit *e, const char *path, bool make, dray_error **err)
{
	cleanup_free char *folder = NULL;

	e->path = resolve(path, err);
	if (!e->path || check_regular(e->path, err) < 0)
		return -1;
	folder = folder_of(e->path);
	if (!folder)
		return err_nomem(err);
	if (make && make_folder(folder, err) < 0)
		return -1;
	e->folder = io_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0, err);
	if (e->folder < 0 || io_flock(e->folder, LOCK_EX, err) < 0)
		return -1;
	return read_text(e->path, &e->text, err);
}

static int edit_write(struct edit *e, struct span text, dray_error **err)
{
	cleanup_outfile struct outfile o = OUTFILE_INIT;

	if (outfile_begin(&o, AT_FDCWD, e->path, false, err) < 0)
		return -1;
	o.mode = 0600;
	if (io_write_all(o.fd, text, err) < 0)
		return -1;
	return outfile_commit(&o, err);
}

/* ---- storing ---- */

/* docker knows its hub by an address; podman's own files have the name. */
static const char *key_for(const char *path, const char *domain)
{
	return span_ends(span_str(path), "config.json") ? credentials_server(domain) : domain;
}

static char *encode(const char *user, const char *password)
{
	cleanup_secret char *plain = mem_printf("%s:%s", user, password);

	return plain ? base64_encode(span_str(plain)) : NULL;
}

static int write_login(struct edit *e, const char *key, const char *auth, dray_error **err)
{
	cleanup_secret_buf struct buf out = BUF_INIT(LIMIT_CREDENTIALS);

	if (authfile_set(span_buf(&e->text), key, auth, &out, err) < 0)
		return -1;
	return edit_write(e, span_buf(&out), err);
}

static int store_in_helper(struct edit *e, const char *helper, const char *key, const char *domain,
			   const char *user, const char *password, char **ret_where,
			   dray_error **err)
{
	if (credentials_helper_store(helper, credentials_server(domain), user, password, err) < 0)
		return -1;
	/* No secret stays in the file, and docker lists what has an entry. */
	if (write_login(e, key, NULL, err) < 0)
		return -1;
	*ret_where = mem_printf("docker-credential-%s", helper);
	return *ret_where ? 0 : err_nomem(err);
}

static int store_in(const char *path, const char *domain, const char *user, const char *password,
		    char **ret_where, dray_error **err)
{
	cleanup_edit struct edit e = EDIT_INIT;
	const char *key = key_for(path, domain);
	struct authfile_place place = { 0 };
	cleanup_secret char *auth = encode(user, password);
	int rc;

	if (!auth)
		return err_nomem(err);
	if (edit_begin(&e, path, true, err) < 0 ||
	    authfile_look(span_buf(&e.text), domain, &place, err) < 0)
		return -1;
	if (place.helper && strchr(domain, '/')) {
		mem_free(place.helper);
		err_set(err, DRAY_ERR_UNSUPPORTED,
			"logins of %s go to a credential helper, which keeps those of hosts only",
			domain);
		return err_hint(err, "log in to the host, or name another file with --authfile");
	}
	if (place.helper) {
		rc = store_in_helper(&e, place.helper, key, domain, user, password, ret_where, err);
		mem_free(place.helper);
		return rc;
	}
	if (write_login(&e, key, auth, err) < 0)
		return -1;
	*ret_where = mem_strdup(path);
	return *ret_where ? 0 : err_nomem(err);
}

/* Does the file at @p path have an entry for this registry already? 1, 0, -1. */
static int knows(const char *path, const char *domain, dray_error **err)
{
	cleanup_secret_buf struct buf text = BUF_INIT(LIMIT_CREDENTIALS);
	struct authfile_place place = { 0 };

	if (read_text(path, &text, err) < 0 ||
	    authfile_look(span_buf(&text), domain, &place, err) < 0)
		return err_ctx(err, "credentials in %s", path);
	mem_free(place.helper);
	return place.known;
}

int login_store(const struct remote_options *o, const char *domain, const char *user,
		const char *password, char **ret_where, dray_error **err)
{
	cleanup_credentials_files struct credentials_files f = { 0 };
	size_t at = 0;

	if (credentials_files(o, &f, err) < 0)
		return -1;
	if (!f.explicit) {
		int known = 0;

		for (at = 0; at < f.n && !known; at += !known) {
			known = knows(f.path[at], domain, err);
			if (known < 0)
				return -1;
		}
		/* To docker an entry of a folder is one of its whole host. */
		at = known ? at : strchr(domain, '/') ? 0 : f.docker;
	}
	if (at >= f.n) {
		err_set(err, DRAY_ERR_USAGE, "no HOME to keep the login in");
		return err_hint(err, "name a file with --authfile");
	}
	if (store_in(f.path[at], domain, user, password, ret_where, err) < 0)
		return err_ctx(err, "credentials in %s", f.path[at]);
	return 0;
}

/* ---- forgetting ---- */

static int erase_in_helper(const char *helper, const char *domain, struct remote_names *ret,
			   dray_error **err)
{
	cleanup_free char *name = NULL;
	struct credentials had = { 0 };
	int rc = credentials_from_helper(helper, credentials_server(domain), &had, err);

	/* Many helpers call it success to erase what they never had. */
	credentials_clear(&had);
	if (rc > 0)
		rc = credentials_helper_erase(helper, credentials_server(domain), err);
	if (rc <= 0)
		return rc;
	name = mem_printf("docker-credential-%s", helper);
	return name ? remote_names_add(ret, name, err) : err_nomem(err);
}

static int erase_in(const char *path, const char *domain, struct remote_names *ret,
		    dray_error **err)
{
	cleanup_edit struct edit e = EDIT_INIT;
	cleanup_secret_buf struct buf out = BUF_INIT(LIMIT_CREDENTIALS);
	struct authfile_place place = { 0 };
	int rc;

	if (edit_begin(&e, path, false, err) < 0 ||
	    authfile_look(span_buf(&e.text), domain, &place, err) < 0)
		return -1;
	rc = place.helper ? erase_in_helper(place.helper, domain, ret, err) : 0;
	mem_free(place.helper);
	if (rc >= 0)
		rc = authfile_remove(span_buf(&e.text), domain, &out, err);
	if (rc <= 0)
		return rc;
	if (edit_write(&e, span_buf(&out), err) < 0)
		return -1;
	return remote_names_add(ret, path, err);
}

static bool is_there(const char *path)
{
	cleanup_error dray_error *why = NULL;
	struct stat st;

	return io_fstatat(AT_FDCWD, path, 0, &st, &why) == 0;
}

int login_erase(const struct remote_options *o, const char *domain, struct remote_names *ret,
		dray_error **err)
{
	cleanup_credentials_files struct credentials_files f = { 0 };
	int rc = credentials_files(o, &f, err);

	*ret = (struct remote_names){ 0 };
	for (size_t i = 0; i < f.n && rc >= 0; i++) {
		if (!is_there(f.path[i]))
			continue;
		rc = erase_in(f.path[i], domain, ret, err);
		if (rc < 0)
			err_ctx(err, "credentials in %s", f.path[i]);
	}
	if (rc >= 0 && !ret->n)
		rc = err_set(err, DRAY_ERR_NOT_FOUND, "not logged in to %s", domain);
	if (rc >= 0)
		return 0;
	remote_names_clear(ret);
	return -1;
}
