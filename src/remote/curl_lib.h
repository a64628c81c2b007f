/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl, loaded when the first registry is met: linking it costs every run of
 * the program more start-up time than everything else together. The one process
 * wide variable of this room is the table behind curl_lib(), written once.
 */
#pragma once

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include "base/error.h"

/* Every function we use, once. */
#define CURL_LIB_FUNCTIONS(X)                                                                      \
	X(global_init)                                                                             \
	X(easy_init)                                                                               \
	X(easy_cleanup)                                                                            \
	X(easy_reset)                                                                              \
	X(easy_setopt)                                                                             \
	X(easy_getinfo)                                                                            \
	X(easy_pause)                                                                              \
	X(easy_strerror)                                                                           \
	X(multi_init)                                                                              \
	X(multi_cleanup)                                                                           \
	X(multi_add_handle)                                                                        \
	X(multi_remove_handle)                                                                     \
	X(multi_perform)                                                                           \
	X(multi_poll)                                                                              \
	X(multi_info_read)                                                                         \
	X(multi_strerror)                                                                          \
	X(slist_append)                                                                            \
	X(slist_free_all)                                                                          \
	X(version)

struct curl_lib {
#define CURL_LIB_MEMBER(name) __typeof__(curl_##name) *name;
	CURL_LIB_FUNCTIONS(CURL_LIB_MEMBER)
#undef CURL_LIB_MEMBER
};

/** The table; the first call loads the library. Thread-safe. UNSUPPORTED when it is not there. */
const struct curl_lib *curl_lib(dray_error **err);
