/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates of one registry, found as docker and podman find them.
 */
#pragma once

#include "base/span.h"

/** Used for the registry's own origin only (reliability N-11). Zero is "the system's". */
struct tls_files {
	struct buf ca;	/* PEM, trusted besides the system's */
	char *cert;	/* path of the client's certificate, NULL */
	char *key;
	bool only;	/* @ca alone is trusted, not the system's besides */
};

/**
 * Read *.crt, *.cert and *.key from @p cert_dir, NOT_FOUND when that is not there; when NULL
 * from the first certs.d/HOST[:PORT] there is (~/.config/containers, /etc/containers,
 * /etc/docker), and none is success. @p host is a validated registry name.
 */
int tls_load(const char *cert_dir, const char *host, struct tls_files *ret,
	     dray_error **err) MUST_CHECK;
void tls_clear(struct tls_files *t);
