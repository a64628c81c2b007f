/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the checksum of a file in a tar-split.
 * Relies on: nothing; the tables are made when asked for.
 * Promises: the same result on machines of either byte order.
 */
#include "disk/crc64.h"

#define POLYNOMIAL 0xD800000000000000ULL

void crc64_init(struct crc64_tables *tables)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
		tables->t[0][i] = crc;
	}
	for (unsigned i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++) {
			uint64_t before = tables->t[k - 1][i];

			tables->t[k][i] = tables->t[0][before & 0xff] ^ before >> 8;
		}
}

uint64_t crc64_update(const struct crc64_tables *tables, uint64_t crc, struct span bytes)
{
	const uint64_t(*t)[256] = tables->t;
	const uint8_t *p = bytes.data;
	size_t n = bytes.len;

	crc = ~crc;
	for (; n >= 8; p += 8, n -= 8) {
		for (int k = 0; k < 8; k++)
			crc ^= (uint64_t)p[k] << (8 * k);
		crc = t[7][crc & 0xff] ^ t[6][crc >> 8 & 0xff] ^ t[5][crc >> 16 & 0xff] ^
		      t[4][crc >> 24 & 0xff] ^ t[3][crc >> 32 & 0xff] ^ t[2][crc >> 40 & 0xff] ^
		      t[1][crc >> 48 & 0xff] ^ t[0][crc >> 56];
	}
	for (; n; p++, n--)
		crc = t[0][(crc ^ *p) & 0xff] ^ crc >> 8;
	return ~crc;
}
