/* SPDX-License-Identifier: Apache-2.0
 *
 * For: passwords against bcrypt's hashes.
 * Relies on crypt_r() of libxcrypt, loaded when a server needs it.
 * Promises: what is compared is compared in constant time; nothing of a password stays in memory.
 */
#include "serve/bcrypt.h"

#include <crypt.h>
#include <dlfcn.h>
#include <pthread.h>

#include "base/mem.h"
#include "digest/pubkey.h"

static __typeof__(crypt_r) *crypt_fn; /* written once */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool is_salt_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '.' && c <= '9');
}

bool bcrypt_valid(struct span s)
{
	if (s.len != BCRYPT_TEXT - 1 ||
	    (!span_starts(s, "$2y$") && !span_starts(s, "$2a$") && !span_starts(s, "$2b$")) ||
	    s.data[6] != '$')
		return false;
	if (s.data[4] < '0' || s.data[4] > '3' || s.data[5] < '0' || s.data[5] > '9')
		return false;
	for (size_t i = 7; i < s.len; i++)
		if (!is_salt_char(s.data[i]))
			return false;
	return bcrypt_cost((const char *)s.data) >= 4;
}

int bcrypt_cost(const char *hash)
{
	return (hash[4] - '0') * 10 + hash[5] - '0';
}

static void load(void)
{
	static const char *const names[] = { "libcrypt.so.1", "libcrypt.so.2" };
	void *so = NULL;

	for (size_t i = 0; !so && i < ARRAY_LEN(names); i++)
		so = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (so)
		*(void **)&crypt_fn = dlsym(so, "crypt_r");
}

int bcrypt_load(dray_error **err)
{
	/* Of "U*U", from the tests of Solar Designer's implementation, which all others follow. */
	static const char known[] = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
	int rc;

	pthread_once(&once, load);
	rc = crypt_fn ? bcrypt_check(known, "U*U", err) : 0;
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	err_set(err, DRAY_ERR_UNSUPPORTED, "passwords need a libcrypt that knows bcrypt");
	return err_hint(err, "libxcrypt does (Debian: apt install libcrypt1)");
}

int bcrypt_check(const char *hash, const char *password, dray_error **err)
{
	struct crypt_data *data = mem_zalloc(sizeof(*data));
	const char *made;
	int rc;

	if (!data)
		return err_nomem(err);
	made = crypt_fn(password, hash, data);
	rc = made && secret_eq(span_str(made), span_str(hash));
	explicit_bzero(data, sizeof(*data));
	mem_free(data);
	return rc;
}
