/* SPDX-License-Identifier: Apache-2.0
 *
 * For: loading libmicrohttpd on first use.
 * Relies on dlopen and on the soname that it has had since 0.9.31.
 * Promises: one load per process, whoever comes first; never unloaded, since GnuTLS may not be.
 */
#include "serve/mhd_lib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

#define MHD_LIB_SONAME "libmicrohttpd.so.12"

static struct mhd_lib lib;
static const char *missing; /* what could not be had; NULL = all is well */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
	void *so = dlopen(MHD_LIB_SONAME, RTLD_NOW | RTLD_LOCAL);

	if (!so) {
		missing = MHD_LIB_SONAME;
		return;
	}
#define MHD_LIB_LOAD(name)                             \
	*(void **)&lib.name = dlsym(so, "MHD_" #name); \
	if (!lib.name)                                 \
		missing = "MHD_" #name;
	MHD_LIB_FUNCTIONS(MHD_LIB_LOAD)
#undef MHD_LIB_LOAD
}

int mhd_load(dray_error **err)
{
	pthread_once(&once, load);
	if (!missing)
		return 0;
	err_set(err, DRAY_ERR_UNSUPPORTED, "serve needs libmicrohttpd, but %s is not there",
		missing);
	return err_hint(err, "install libmicrohttpd 0.9.71 or later (Debian: apt install "
			     "libmicrohttpd12)");
}

const struct mhd_lib *mhd(void)
{
	return &lib;
}
