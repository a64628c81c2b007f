/* SPDX-License-Identifier: Apache-2.0
 *
 * Hosts that are addresses, in every notation that a resolver would take for one.
 * Relies on inet_pton() for IPv6 text; IPv4 is read as inet_aton() reads it.
 * Promises that no spelling of a private address passes for a public one (N-06).
 */
#include "proto/address_priv.h"

#include <arpa/inet.h>

#include "base/text.h"

static int digit_of(uint8_t c, unsigned int base)
{
	char l = ascii_lower((char)c);
	int d = l >= '0' && l <= '9' ? l - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : 99;

	return d < (int)base ? d : -1;
}

/* "10", "012", "0xa": one part of an IPv4 address; false = no number or over 32 bits. */
static bool ipv4_part(struct span s, uint64_t *ret)
{
	unsigned int base = 10;
	uint64_t n = 0;

	if (s.len > 1 && s.data[0] == '0') {
		bool hex = ascii_lower((char)s.data[1]) == 'x';

		base = hex ? 16 : 8;
		s = span_from(s, hex ? 2 : 1);
		/* "0x" alone is 0 to those who take it at all. */
		if (s.len == 0) {
			*ret = 0;
			return hex;
		}
	}
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		int d = digit_of(s.data[i], base);

		if (d < 0)
			return false;
		n = n * base + (unsigned int)d;
		if (n > UINT32_MAX)
			return false;
	}
	*ret = n;
	return true;
}

/* One to four parts; the last one fills what the others leave: "127.1" is 127.0.0.1. */
static bool ipv4_loose(struct span s, uint32_t *ret)
{
	uint64_t parts[4] = { 0 }, address = 0;
	size_t n = 0;

	for (;;) {
		int64_t dot = span_find(s, '.');

		if (n == 4 || !ipv4_part(dot < 0 ? s : span_head(s, (size_t)dot), &parts[n]))
			return false;
		n++;
		if (dot < 0)
			break;
		s = span_from(s, (size_t)dot + 1);
	}
	for (size_t i = 0; i + 1 < n; i++) {
		if (parts[i] > 255)
			return false;
		address |= parts[i] << (24 - 8 * i);
	}
	if (parts[n - 1] >> (8 * (5 - n)))
		return false;
	*ret = (uint32_t)(address | parts[n - 1]);
	return true;
}

static struct span without_dots(struct span s)
{
	while (s.len > 0 && s.data[s.len - 1] == '.')
		s.len--;
	return s;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* IPv6 blocks that carry an IPv4 address: where it starts and what stands before it. */
struct carrier {
	uint8_t prefix[12];
	uint8_t prefix_len, at;
};

static const struct carrier carriers[] = {
	{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 12, 12 }, /* mapped */
	{ { 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 12, 12 },	  /* translated (SIIT) */
	{ { 0, 0x64, 0xff, 0x9b }, 12, 12 },			  /* NAT64 */
	{ { 0x20, 0x02 }, 2, 2 },				  /* 6to4 */
	{ { 0 }, 12, 12 },					  /* compatible */
};

/* An IPv4 address inside @p ip, unless @p ip is :: or ::1 which only look like one. */
static bool carries_ipv4(const uint8_t ip[16], uint32_t *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(carriers); i++) {
		const struct carrier *c = &carriers[i];

		if (memcmp(ip, c->prefix, c->prefix_len) != 0)
			continue;
		*ret = be32(ip + c->at);
		return c->prefix[0] || c->prefix[1] || c->prefix[8] || c->prefix[10] || *ret > 1;
	}
	return false;
}

static bool parse_ipv6(struct span host, struct address *ret)
{
	char text[INET6_ADDRSTRLEN + 1];
	size_t n = host.len - 2;

	if (n >= sizeof(text))
		return false;
	memcpy(text, host.data + 1, n);
	text[n] = '\0';
	if (inet_pton(AF_INET6, text, ret->v6) != 1)
		return false;
	ret->is_v4 = carries_ipv4(ret->v6, &ret->v4);
	return true;
}

bool address_parse(struct span host, struct address *ret)
{
	*ret = (struct address){ 0 };
	if (host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
		return parse_ipv6(host, ret);
	ret->is_v4 = ipv4_loose(without_dots(host), &ret->v4);
	return ret->is_v4;
}

bool host_ends_in_number(struct span host)
{
	uint64_t n;

	host = without_dots(host);
	for (;;) {
		int64_t dot = span_find(host, '.');
		bool digits = host.len > 0;

		if (dot >= 0) {
			host = span_from(host, (size_t)dot + 1);
			continue;
		}
		for (size_t i = 0; i < host.len; i++)
			digits = digits && host.data[i] >= '0' && host.data[i] <= '9';
		return digits || ipv4_part(host, &n);
	}
}

struct block4 {
	uint32_t net;
	uint8_t bits;
};

static bool in_blocks(uint32_t v4, const struct block4 *blocks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((v4 ^ blocks[i].net) >> (32 - blocks[i].bits) == 0)
			return true;
	return false;
}

bool address_is_loopback(const struct address *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->is_v4 ? a->v4 >> 24 == 127 : memcmp(a->v6, one, sizeof(one)) == 0;
}

/* Everything that is not reachable from the outside, or names more than one host. */
bool address_is_private(const struct address *a)
{
	static const struct block4 blocks[] = {
		{ 0x00000000, 8 },  /* this host */
		{ 0x0a000000, 8 },  /* private */
		{ 0x64400000, 10 }, /* carrier NAT; metadata services live here too */
		{ 0x7f000000, 8 },  /* loopback */
		{ 0xa9fe0000, 16 }, /* link-local */
		{ 0xac100000, 12 }, /* private */
		{ 0xc0000000, 24 }, /* protocol assignments */
		{ 0xc0a80000, 16 }, /* private */
		{ 0xc6120000, 15 }, /* benchmarks */
		{ 0xe0000000, 3 },  /* multicast and reserved */
	};
	static const uint8_t none[16] = { 0 };

	if (a->is_v4)
		return in_blocks(a->v4, blocks, ARRAY_LEN(blocks));
	return memcmp(a->v6, none, sizeof(none)) == 0 || address_is_loopback(a) ||
	       (a->v6[0] & 0xfe) == 0xfc ||		  /* unique local */
	       (a->v6[0] == 0xfe && (a->v6[1] & 0x80)) || /* link- and site-local */
	       a->v6[0] == 0xff;			  /* multicast */
}
