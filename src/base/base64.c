/* SPDX-License-Identifier: Apache-2.0
 *
 * For: standard base64 (RFC 4648 section 4), and that of URLs without padding (section 5).
 * Relies on: span.h.
 * Promises: one text per value: no line breaks, full padding, unused bits zero.
 */
#include "base/mem.h"
#include "base/number.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(struct span s)
{
	size_t len;

	if (__builtin_mul_overflow(s.len / 3 + 1, (size_t)4, &len) || len == SIZE_MAX)
		return NULL;
	char *text = mem_alloc(len + 1);
	char *out = text;
	if (!text)
		return NULL;

	for (; s.len; s = span_from(s, s.len < 3 ? s.len : 3)) {
		uint32_t bits = (uint32_t)s.data[0] << 16;
		bits |= s.len > 1 ? (uint32_t)s.data[1] << 8 : 0;
		bits |= s.len > 2 ? s.data[2] : 0;
		*out++ = alphabet[bits >> 18];
		*out++ = alphabet[bits >> 12 & 63];
		*out++ = s.len > 1 ? alphabet[bits >> 6 & 63] : '=';
		*out++ = s.len > 2 ? alphabet[bits & 63] : '=';
	}
	*out = '\0';
	return text;
}

/* Of this alphabet without a look at it: a layer's tar-split holds its headers in base64. */
static int digit_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Four digits of which @p n are not padding; false = malformed. */
static bool decode_group(const uint8_t *digits, size_t n, uint8_t out[3])
{
	uint32_t bits = 0;

	for (size_t i = 0; i < n; i++) {
		int v = digit_value(digits[i]);
		if (v < 0)
			return false;
		bits |= (uint32_t)v << (18 - 6 * i);
	}
	for (size_t i = 0; i < 3; i++)
		out[i] = (uint8_t)(bits >> (16 - 8 * i));
	/* Bits that padding leaves unused would make two texts of one value. */
	return (n != 2 || out[1] == 0) && (n != 3 || out[2] == 0);
}

static size_t padding_of(struct span s)
{
	if (s.len < 4 || s.data[s.len - 1] != '=')
		return 0;
	return s.data[s.len - 2] == '=' ? 2 : 1;
}

int base64_decode(struct span s, struct buf *ret, dray_error **err)
{
	size_t padding = padding_of(s);

	if (s.len % 4)
		return err_set(err, DRAY_ERR_FORMAT, "base64: length %zu is no multiple of 4",
			       s.len);
	if (buf_reserve(ret, s.len / 4 * 3 - padding, err) < 0)
		return -1;
	for (size_t at = 0; at < s.len; at += 4) {
		size_t n = at + 4 == s.len ? 4 - padding : 4;
		uint8_t out[3];
		if (!decode_group(s.data + at, n, out))
			return err_set(err, DRAY_ERR_FORMAT, "base64: malformed at byte %zu", at);
		memcpy(ret->data + ret->len, out, n - 1); /* there is room */
		ret->len += n - 1;
	}
	return 0;
}

int base64url_decode(struct span s, struct buf *ret, dray_error **err)
{
	cleanup_secret_buf struct buf text = BUF_INIT(SIZE_MAX);

	if (buf_reserve(&text, s.len + 2, err) < 0)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];

		if (c == '+' || c == '/' || c == '=')
			return err_set(err, DRAY_ERR_FORMAT, "base64: malformed at byte %zu", i);
		text.data[text.len++] = c == '-' ? '+' : c == '_' ? '/' : c; /* there is room */
	}
	while (s.len % 4 > 1 && text.len % 4)
		text.data[text.len++] = '=';
	return base64_decode(span_buf(&text), ret, err);
}
