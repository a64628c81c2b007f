/* SPDX-License-Identifier: Apache-2.0
 *
 * For: certificate and key from files, whenever they change.
 * Relies on digest/pubkey.h to see that they belong together.
 * Promises: a pair that no server could use is refused by the name of its file; the key's bytes are
 * wiped.
 */
#include "serve/tls.h"

#include <fcntl.h>

#include "base/io.h"
#include "digest/pubkey.h"

void tls_pair_clear(struct tls_pair *p)
{
	buf_clear(&p->cert);
	buf_wipe(&p->key);
}

static int read_pair(const struct tls_files *f, struct tls_pair *ret, dray_error **err)
{
	if (io_read_file(AT_FDCWD, f->cert.path, TLS_FILE_MAX, &ret->cert, err) < 0 ||
	    io_read_file(AT_FDCWD, f->key.path, TLS_FILE_MAX, &ret->key, err) < 0 ||
	    keypair_check(span_buf(&ret->cert), f->cert.path, span_buf(&ret->key), f->key.path,
			  err) < 0)
		return -1;
	ret->cert.max++;
	ret->key.max++;
	return buf_add_byte(&ret->cert, '\0', err) < 0 ? -1 : buf_add_byte(&ret->key, '\0', err);
}

int tls_files_look(struct tls_files *f, struct tls_pair *ret, dray_error **err)
{
	int cert = reread_look(&f->cert, err);
	int key = cert < 0 ? -1 : reread_look(&f->key, err);

	if (cert < 0 || key < 0)
		return -1;
	if (cert == 0 && key == 0)
		return 0;
	return read_pair(f, ret, err) < 0 ? reread_failed(&f->cert, err) : 1;
}

bool tls_files_changed(const struct tls_files *f)
{
	struct tls_files now = *f;

	return reread_look(&now.cert, NULL) > 0 || reread_look(&now.key, NULL) > 0;
}
