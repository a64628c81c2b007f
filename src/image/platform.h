/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/jsonw.h"
#include "json/json.h"

/** os/arch[/variant]; strings belong to someone else's arena, NULL where absent. */
struct platform {
	const char *os, *arch, *variant, *os_version;
};

/** "linux/arm64/v8"; USAGE. */
int platform_parse(const char *text, struct arena *a, struct platform *ret, dray_error **err) MUST_CHECK;
int platform_from_json(struct json v, struct arena *a, struct platform *ret, dray_error **err) MUST_CHECK;
void platform_host(struct platform *ret);	/* static strings */
/** Equal os and arch; variants equal, or one side without. Normalises arm64/v8, arm/v7. */
bool platform_match(const struct platform *want, const struct platform *have);
/** "linux/amd64"; "unknown/unknown" parts as "unknown". NULL = no memory. */
char *platform_text(const struct platform *p);
