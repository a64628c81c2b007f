/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a WWW-Authenticate value: what is found holds no control character, and a
 * realm that is a URL survives being written and read again.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/challenge.h"
#include "proto/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	for (; text && *text; text++)
		assert((uint8_t)*text >= 0x20 && *text != 0x7f);
}

static void check_realm(const char *realm, struct arena *a)
{
	struct url u, again;
	const char *text;

	if (url_parse(realm, a, &u, NULL) < 0)
		return;
	text = url_text(&u, a);
	assert(text && url_parse(text, a, &again, NULL) == 0);
	assert(url_same_origin(&u, &again) && strcmp(u.rest, again.rest) == 0);
	assert(url_host_is_private(&u) == url_host_is_private(&again));
	assert(!url_host_is_loopback(&u) || url_host_is_private(&u));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	struct challenge c;

	if (challenge_parse(span_of(data, size), &a, &c, NULL) != 1)
		return 0;
	assert(c.scheme != CHALLENGE_BEARER || c.realm);
	check_text(c.realm);
	check_text(c.service);
	check_text(c.scope);
	check_text(c.error);
	if (c.realm)
		check_realm(c.realm, &a);
	return 0;
}
