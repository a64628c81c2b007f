/* SPDX-License-Identifier: Apache-2.0
 *
 * registries.conf, version 2: which places stand for a registry. Pure.
 * Spec: containers-registries.conf(5).
 */
#pragma once

#include "base/arena.h"

/** For which references a mirror may be asked. */
enum mirror_use { MIRROR_ALWAYS, MIRROR_DIGESTS, MIRROR_TAGS };

struct registry_mirror {
	const char *location; /* "HOST[:PORT][/PATH]" */
	bool insecure;
	enum mirror_use use;
};

struct registry_rule {
	const char *prefix;   /* of references; "*.HOST" for its subdomains */
	const char *location; /* instead of the prefix; NULL = the reference as it is */
	bool insecure, blocked;
	struct registry_mirror *mirrors;
	size_t n_mirrors;
	const char *file; /* for messages */
};

/** Rules of several files. Zero is none. */
struct registries {
	struct arena arena;
	struct registry_rule *rules;
	size_t n, cap;
};
void registries_clear(struct registries *r);
#define cleanup_registries CLEANUP(registries_clear)

/**
 * Add what @p text says; a rule replaces one of an earlier file with the same prefix. FORMAT
 * names the line, UNSUPPORTED a file of version 1. @p file is copied.
 */
int registries_add(struct registries *r, struct span text, const char *file,
		   dray_error **err) MUST_CHECK;
/**
 * The rule for @p reference ("HOST[/PATH[:TAG][@DIGEST]]"): that of the longest prefix, or NULL.
 * *ret_matched: how many of its bytes the prefix stands for.
 */
const struct registry_rule *registries_find(const struct registries *r, const char *reference,
					    size_t *ret_matched);
