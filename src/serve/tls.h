/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate of a server and its key, in files that are replaced while it runs.
 */
#pragma once

#include "base/span.h"
#include "serve/reread.h"

#define TLS_FILE_MAX (1024 * 1024) /* a chain has some KiB */

/** TLS 1.3 and 1.2, with forward secrecy and authenticated encryption only; in GnuTLS's words. */
#define TLS_PRIORITIES                                                                            \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:"        \
	"+CHACHA20-POLY1305:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:%SERVER_PRECEDENCE"

/** Zeroed but for the paths, which are lent. */
struct tls_files {
	struct reread cert, key;
};
/** What they hold, as text with a NUL. Zeroed is empty. */
struct tls_pair {
	struct buf cert, key;
};
void tls_pair_clear(struct tls_pair *p);
#define cleanup_tls_pair CLEANUP(tls_pair_clear)

/**
 * 1 = one of them changed, and both are in *ret, and belong together; 0 = none did; -1 = one is no
 * good, said once; the errors name it.
 */
int tls_files_look(struct tls_files *f, struct tls_pair *ret, dray_error **err) MUST_CHECK;
/** Whether tls_files_look() would find that one changed; nothing is read. */
bool tls_files_changed(const struct tls_files *f);
