/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "UNTIL.USER.MAC": seconds, a name in hex, and an HMAC over both.
 * Relies on a secret that no other process has, so that they end with this one.
 * Promises: nothing of a text is read before its MAC was found to be ours.
 */
#include "serve/ticket.h"

#include <stdio.h>

#include "base/number.h"
#include "digest/pubkey.h"

#define MAC_DIGITS (MAC_TEXT - 1)

const char *ticket_make(const uint8_t secret[TICKET_SECRET], const char *user, int64_t until,
			struct arena *a, dray_error **err)
{
	size_t len = strlen(user);
	char mac[MAC_TEXT], *hex = arena_alloc(a, 2 * len + 1);
	const char *text;

	if (!hex) {
		err_nomem(err);
		return NULL;
	}
	hex_encode((const uint8_t *)user, len, hex);
	text = arena_printf(a, "%lld.%s", (long long)until, hex);
	if (!text) {
		err_nomem(err);
		return NULL;
	}
	if (mac_of(span_of(secret, TICKET_SECRET), span_str(text), mac, err) < 0)
		return NULL;
	text = arena_printf(a, "%s.%s", text, mac);
	if (!text)
		err_nomem(err);
	return text;
}

/* "UNTIL.USER", which is ours. */
static int read_user(struct span text, int64_t now, struct arena *a, const char **ret_user,
		     dray_error **err)
{
	int64_t dot = span_find(text, '.'), until;
	struct span hex = span_from(text, (size_t)dot + 1);
	char *user;

	if (!num_parse_u63(span_head(text, (size_t)dot), &until) || until <= now)
		return 0;
	user = arena_alloc(a, hex.len / 2 + 1);
	if (!user)
		return err_nomem(err);
	hex_decode((const char *)hex.data, (uint8_t *)user, hex.len / 2);
	user[hex.len / 2] = '\0';
	*ret_user = user;
	return 1;
}

int ticket_read(const uint8_t secret[TICKET_SECRET], struct span text, int64_t now, struct arena *a,
		const char **ret_user, dray_error **err)
{
	struct span signed_text;
	char mac[MAC_TEXT];

	if (text.len < MAC_DIGITS + 3 || text.data[text.len - MAC_DIGITS - 1] != '.')
		return 0;
	signed_text = span_head(text, text.len - MAC_DIGITS - 1);
	if (mac_of(span_of(secret, TICKET_SECRET), signed_text, mac, err) < 0)
		return -1;
	if (!secret_eq(span_from(text, text.len - MAC_DIGITS), span_of(mac, MAC_DIGITS)))
		return 0;
	return read_user(signed_text, now, a, ret_user, err);
}
