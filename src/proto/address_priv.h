/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses inside URLs; not for other rooms.
 */
#pragma once

#include "base/span.h"

struct address {
	uint8_t v6[16];
	uint32_t v4; /* also the IPv4 address that an IPv6 one carries */
	bool is_v4;
};

/** "[::1]", "10.0.0.1", "0x7f.1", "2130706433"; false when @p host is a name. */
bool address_parse(struct span host, struct address *ret);
bool address_is_loopback(const struct address *a);
bool address_is_private(const struct address *a);
/** A name cannot end in a number: what does is an address or nothing. */
bool host_ends_in_number(struct span host);
