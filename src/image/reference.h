/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of images. Spec: distribution/reference grammar; formats.md 5.1.
 */
#pragma once

#include "digest/digest.h"

#define REFERENCE_NAME_MAX 255	 /* bytes of the path (reference library) */
#define REFERENCE_TAG_MAX 128	 /* bytes (grammar) */
#define REFERENCE_DOMAIN_MAX 259 /* bytes: a DNS name of 253 and ":65535" */

/** registry / repository : tag @ digest. Strings owned; NULL where absent. */
struct reference {
	char *domain; /* "docker.io", "127.0.0.1:5000" */
	char *path;   /* "library/busybox" */
	char *tag;
	struct digest digest;
	bool domain_given; /* the user wrote the host ("docker.io/x" and "host:5000/x", not "x") */
};

/**
 * Parse what a user types and normalise as Docker does; no default tag is added.
 * USAGE says what is wrong. A tag and a digest may stand together: the digest wins in lookups.
 */
int reference_parse(struct span text, struct reference *ret, dray_error **err) MUST_CHECK;
void reference_clear(struct reference *r);
#define cleanup_reference CLEANUP(reference_clear)
int reference_copy(const struct reference *r, struct reference *ret, dray_error **err) MUST_CHECK;
/** "latest" unless a tag or digest is there. */
int reference_default_tag(struct reference *r, dray_error **err) MUST_CHECK;
/** "domain/path[:tag][@digest]"; NULL = no memory. */
char *reference_text(const struct reference *r);
/**
 * As engines show it: without "docker.io/" and "library/", unless the rest would then read as
 * another name. NULL = no memory.
 */
char *reference_familiar(const struct reference *r);
bool reference_tag_valid(struct span tag);
bool reference_path_valid(struct span path);
