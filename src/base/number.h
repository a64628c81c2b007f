/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers and times as text, strictly, without locale.
 */
#pragma once

#include "base/span.h"

/** Decimal digits only, no sign, no space; false on overflow past INT64_MAX or empty. */
bool num_parse_u63(struct span text, int64_t *ret);
/** Optional '-', decimal digits; no leading zeros; as JSON integers. */
bool num_parse_i64(struct span text, int64_t *ret);
/** "10s", "5m", "1h", "250ms", bare seconds; result in milliseconds. */
bool num_parse_duration_ms(const char *text, int64_t *ret);

/**
 * RFC 3339, years 0000 to 9999, with any fraction (digits past the ninth are dropped)
 * and offset. *ret_sec Unix seconds (UTC), *ret_nsec 0..999999999, *ret_off minutes.
 * No leap seconds: Go, which reads what we write, has none.
 */
bool time_parse_rfc3339(struct span text, int64_t *ret_sec, int32_t *ret_nsec,
			int32_t *ret_off_min);
/** Unix seconds as "2026-11-20T22:34:47Z", with the fraction unless it is 0. Any int64 works. */
#define TIME_TEXT 48
const char *time_format_utc(int64_t sec, int32_t nsec, char out[TIME_TEXT]);
/** Go's RFC3339Nano of the same instant and offset (fraction trimmed, "Z" for offset 0). */
const char *time_format_go(int64_t sec, int32_t nsec, int32_t off_min, char out[TIME_TEXT]);

/** "12.3 MB" as Docker counts (powers of 1000); negative is "?". */
#define HUMAN_SIZE 24
const char *human_size(int64_t size, char out[HUMAN_SIZE]);

/** lower-case hex; out has 2*n+1 bytes. */
void hex_encode(const uint8_t *data, size_t n, char *out);
bool hex_is_lower(struct span s, size_t digits);
/** 2*n lower-case digits, known to be such, to n bytes. */
void hex_decode(const char *hex, uint8_t *out, size_t n);
/** Standard base64 (padded), owned by the caller. NULL = no memory. */
char *base64_encode(struct span s);
/** Append what strict standard base64 stands for; -1 with FORMAT when malformed. */
int base64_decode(struct span s, struct buf *ret, dray_error **err) MUST_CHECK;
/** The same of the alphabet of URLs, without padding (RFC 4648 5). */
int base64url_decode(struct span s, struct buf *ret, dray_error **err) MUST_CHECK;
