/* SPDX-License-Identifier: Apache-2.0
 *
 * What an image runs on, in Go's words (GOOS, GOARCH). Spec: OCI image-index.md "platform".
 */
#pragma once

#include "base/arena.h"
#include "base/jsonw.h"
#include "json/json.h"

/** os/arch[/variant]; strings belong to someone else's arena, NULL where absent or empty. */
struct platform {
	const char *os, *arch, *variant, *os_version;
};

/** "linux/arm64/v8"; uname's words (x86_64, aarch64, armhf) are understood. USAGE. */
int platform_parse(const char *text, struct arena *a, struct platform *ret,
		   dray_error **err) MUST_CHECK;
/** Members os, architecture, variant and os.version of @p v; FORMAT on a wrong type. */
int platform_from_json(struct json v, struct arena *a, struct platform *ret,
		       dray_error **err) MUST_CHECK;
/** The member "platform" of an index entry, where os and architecture are known; else nothing. */
void platform_write(struct jsonw *w, const struct platform *p);
void platform_host(struct platform *ret); /* static strings */
/**
 * Equal os and arch (a NULL in @p want accepts any); variants and OS versions equal, or one
 * side without. "8" is "v8", "7" is "v7".
 */
bool platform_match(const struct platform *want, const struct platform *have);
/** "linux/amd64", absent parts as "unknown", escaped for a terminal. NULL = no memory. */
char *platform_text(const struct platform *p);
