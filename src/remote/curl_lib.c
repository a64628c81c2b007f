/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      loading libcurl on first use.
 * Relies:   on dlopen and on the soname that libcurl has kept since 2006.
 * Promises: one load per process, whoever comes first; never unloaded, since OpenSSL may not be.
 */
#include "remote/curl_lib.h"

#include <dlfcn.h>
#include <pthread.h>

#define CURL_LIB_SONAME "libcurl.so.4"

static struct curl_lib lib;
static const char *missing; /* what could not be had; NULL = all is well */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
	void *so = dlopen(CURL_LIB_SONAME, RTLD_NOW | RTLD_LOCAL);

	if (!so) {
		missing = CURL_LIB_SONAME;
		return;
	}
#define CURL_LIB_LOAD(name)                             \
	*(void **)&lib.name = dlsym(so, "curl_" #name); \
	if (!lib.name)                                  \
		missing = "curl_" #name;
	CURL_LIB_FUNCTIONS(CURL_LIB_LOAD)
#undef CURL_LIB_LOAD
	if (!missing && lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		missing = "curl_global_init";
}

const struct curl_lib *curl_lib(dray_error **err)
{
	pthread_once(&once, load);
	if (!missing)
		return &lib;
	err_set(err, DRAY_ERR_UNSUPPORTED, "registries need libcurl, but %s is not there", missing);
	err_hint(err, "install libcurl 7.80 or later (Debian: apt install libcurl4)");
	return NULL;
}
