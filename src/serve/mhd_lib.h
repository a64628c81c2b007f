/* SPDX-License-Identifier: Apache-2.0
 *
 * libmicrohttpd, loaded when a server is started: linking it brings GnuTLS and ten more
 * libraries into every run of the program. The one process wide variable of this room is the
 * table behind mhd(), written once.
 */
#pragma once

#include <microhttpd.h>
#include "base/error.h"

/* Every function we use, once. */
#define MHD_LIB_FUNCTIONS(X)                                                                       \
	X(start_daemon)                                                                            \
	X(stop_daemon)                                                                             \
	X(quiesce_daemon)                                                                          \
	X(get_daemon_info)                                                                         \
	X(is_feature_supported)                                                                    \
	X(get_connection_info)                                                                     \
	X(get_connection_values)                                                                   \
	X(create_response_from_buffer)                                                             \
	X(create_response_from_buffer_with_free_callback)                                          \
	X(create_response_from_callback)                                                           \
	X(create_response_from_fd_at_offset64)                                                     \
	X(add_response_header)                                                                     \
	X(queue_response)                                                                          \
	X(destroy_response)                                                                        \
	X(get_reason_phrase_for)

struct mhd_lib {
#define MHD_LIB_MEMBER(name) __typeof__(MHD_##name) *name;
	MHD_LIB_FUNCTIONS(MHD_LIB_MEMBER)
#undef MHD_LIB_MEMBER
};

/** Load the library; thread-safe. UNSUPPORTED when it is not there. */
int mhd_load(dray_error **err);
/** The table, after mhd_load(). */
const struct mhd_lib *mhd(void);
