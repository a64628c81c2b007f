/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      certs.d folders: private CAs and client certificates.
 * Relies:   on a folder of few small files; names by suffix as docker documents them.
 * Promises: order of names decides, not that of the folder; a certificate without its key is an error.
 */
#include "remote/tls.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"

static void free_names(struct dirent **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int add_ca(struct tls_files *t, const char *path, dray_error **err)
{
	cleanup_buf struct buf one = BUF_INIT(LIMIT_CREDENTIALS);

	if (io_read_file(AT_FDCWD, path, LIMIT_CREDENTIALS, &one, err) < 0)
		return -1;
	if (buf_add(&t->ca, span_buf(&one), err) < 0)
		return -1;
	return buf_add_byte(&t->ca, '\n', err);
}

/* "client.cert" needs "client.key" beside it; the first pair is used. */
static int add_client(struct tls_files *t, const char *path, dray_error **err)
{
	struct stat st;

	if (t->cert)
		return 0;
	t->cert = mem_strdup(path);
	t->key = mem_printf("%.*s.key", (int)(strlen(path) - strlen(".cert")), path);
	if (!t->cert || !t->key)
		return err_nomem(err);
	if (fstatat(AT_FDCWD, t->key, &st, 0) < 0) {
		err_set(err, DRAY_ERR_NOT_FOUND, "client certificate %s has no key", path);
		return err_hint(err, "put the key into %s", t->key);
	}
	return 0;
}

static int take_file(struct tls_files *t, const char *dir, const char *name, dray_error **err)
{
	struct span s = span_str(name);
	cleanup_free char *path = mem_printf("%s/%s", dir, name);

	if (!path)
		return err_nomem(err);
	if (span_ends(s, ".crt"))
		return add_ca(t, path, err);
	if (span_ends(s, ".cert"))
		return add_client(t, path, err);
	return 0;
}

/* 1 = read, 0 = there is no such folder. */
static int load_dir(struct tls_files *t, const char *dir, dray_error **err)
{
	struct dirent **names = NULL;
	int n = scandir(dir, &names, NULL, alphasort);
	int rc = 1;

	if (n < 0)
		return 0;
	for (int i = 0; i < n && rc > 0; i++)
		rc = take_file(t, dir, names[i]->d_name, err) < 0 ? -1 : 1;
	free_names(names, n);
	return rc;
}

static int search(struct tls_files *t, const char *host, dray_error **err)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	cleanup_free char *own = NULL;
	const char *const parents[] = { "/etc/containers", "/etc/docker" };

	if (config && *config == '/')
		own = mem_printf("%s/containers/certs.d/%s", config, host);
	else
		own = mem_printf("%s/.config/containers/certs.d/%s", home ? home : "", host);
	if (!own)
		return err_nomem(err);
	int rc = load_dir(t, own, err);
	for (size_t i = 0; i < ARRAY_LEN(parents) && rc == 0; i++) {
		cleanup_free char *dir = mem_printf("%s/certs.d/%s", parents[i], host);

		if (!dir)
			return err_nomem(err);
		rc = load_dir(t, dir, err);
	}
	return rc;
}

int tls_load(const char *cert_dir, const char *host, struct tls_files *ret, dray_error **err)
{
	*ret = (struct tls_files){ .ca = BUF_INIT(LIMIT_CREDENTIALS) };
	if (!cert_dir)
		return search(ret, host, err) < 0 ? -1 : 0;
	int rc = load_dir(ret, cert_dir, err);
	if (rc == 0)
		return err_set(err, DRAY_ERR_NOT_FOUND, "no folder %s (--cert-dir)", cert_dir);
	return rc < 0 ? -1 : 0;
}

void tls_clear(struct tls_files *t)
{
	buf_clear(&t->ca);
	mem_free(t->cert);
	mem_free(t->key);
	*t = (struct tls_files){ .ca.max = t->ca.max };
}
