/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC-64 as tar-split keeps it of every file: ISO 3309's polynomial x^64+x^4+x^3+x+1, bits
 * reflected, all ones at both ends (formats.md 7.1).
 */
#pragma once

#include "base/span.h"

/** Tables for eight bytes at a time: one byte at a time reads 0.4 GB/s, these 1.5. */
struct crc64_tables {
	uint64_t t[8][256];
};
void crc64_init(struct crc64_tables *tables);
/** First with @p crc 0; for the bytes that follow with what this returned. */
uint64_t crc64_update(const struct crc64_tables *tables, uint64_t crc, struct span bytes);
