/* SPDX-License-Identifier: Apache-2.0
 *
 * For: ranges, entity tags and media types of a request's head.
 * Relies on nothing but text.
 * Promises: no allocation; what is malformed means what the RFC says it means, mostly nothing.
 */
#include "serve/head.h"

#include "base/number.h"
#include "base/text.h"
#include "image/mediatype.h"
#include "proto/answer.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
	while (s.len > 0 && is_blank(s.data[0]))
		s = span_from(s, 1);
	while (s.len > 0 && is_blank(s.data[s.len - 1]))
		s.len--;
	return s;
}

/* The next element of a list with commas; false at its end. */
static bool next_element(struct span *list, struct span *ret)
{
	int64_t comma;

	if (list->len == 0)
		return false;
	comma = span_find(*list, ',');
	*ret = trim(comma < 0 ? *list : span_head(*list, (size_t)comma));
	*list = comma < 0 ? span_of("", 0) : span_from(*list, (size_t)comma + 1);
	return true;
}

/* ---- ranges ---- */

static enum range_kind part_from(int64_t first, int64_t last, int64_t size, int64_t *ret_off,
				 int64_t *ret_len)
{
	if (first > last || first >= size)
		return RANGE_NONE;
	if (last >= size)
		last = size - 1;
	*ret_off = first;
	*ret_len = last - first + 1;
	return RANGE_PART;
}

/* Too many digits are more bytes than anybody has (as with "n" of a listing). */
static bool parse_pos(struct span text, int64_t *ret)
{
	if (num_parse_u63(text, ret))
		return true;
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	*ret = INT64_MAX;
	return text.len > 0;
}

enum range_kind head_range(const char *value, int64_t size, int64_t *ret_off, int64_t *ret_len)
{
	struct span s = value ? span_str(value) : span_of("", 0);
	int64_t first, last, dash;

	if (s.len < 6 || !ascii_ieq(span_head(s, 6), "bytes="))
		return RANGE_ALL;
	s = trim(span_from(s, 6));
	dash = span_find(s, '-');
	if (dash < 0 || span_find(s, ',') >= 0)
		return RANGE_ALL;
	struct span a = span_head(s, (size_t)dash), b = span_from(s, (size_t)dash + 1);
	if (a.len == 0) {
		if (!parse_pos(b, &last))
			return RANGE_ALL;
		return last == 0 ? RANGE_NONE
				 : part_from(last < size ? size - last : 0, INT64_MAX, size,
					     ret_off, ret_len);
	}
	last = INT64_MAX;
	if (!parse_pos(a, &first) || (b.len > 0 && !parse_pos(b, &last)))
		return RANGE_ALL;
	return part_from(first, last, size, ret_off, ret_len);
}

bool head_upload_range(const char *value, int64_t *ret_off, int64_t *ret_len)
{
	int64_t last;

	if (!answer_range(span_str(value), ret_off, &last) || *ret_off > last || last == INT64_MAX)
		return false;
	*ret_len = last - *ret_off + 1;
	return true;
}

/* ---- entity tags ---- */

bool head_has_etag(const char *value, const char *etag, bool weak)
{
	struct span list = value ? span_str(value) : span_of("", 0), one;

	/* Ours hold no comma, so an element that was cut at one is nobody's. */
	while (next_element(&list, &one)) {
		if (weak && span_starts(one, "W/"))
			one = span_from(one, 2);
		if (span_is(one, etag) || span_is(one, "*"))
			return true;
	}
	return false;
}

/* ---- media types ---- */

static struct span without_parameters(struct span s)
{
	int64_t semi = span_find(s, ';');

	return trim(semi < 0 ? s : span_head(s, (size_t)semi));
}

struct span head_media_type(const char *value)
{
	struct span s = value ? without_parameters(trim(span_str(value))) : span_of("", 0);

	if (s.len > 255 || span_find(s, '/') <= 0)
		return span_of("", 0);
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] <= ' ' || s.data[i] >= 0x7f || s.data[i] == ',')
			return span_of("", 0);
	return s;
}

static bool same_type(struct span s, const char *media_type)
{
	size_t i = 0;

	for (; i < s.len && media_type[i]; i++)
		if (ascii_lower((char)s.data[i]) != ascii_lower(media_type[i]))
			return false;
	return i == s.len && !media_type[i];
}

/* A name that only those write who know manifests. */
static bool speaks_of_manifests(struct span s)
{
	static const char *const known[] = { MT_DOCKER_MANIFEST, MT_DOCKER_LIST,
					     MT_DOCKER_SCHEMA1,	 MT_DOCKER_SCHEMA1_SIGNED,
					     MT_OCI_MANIFEST,	 MT_OCI_INDEX };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (same_type(s, known[i]))
			return true;
	return false;
}

bool head_accepts(const char *value, const char *media_type)
{
	struct span list = value ? span_str(value) : span_of("", 0), one;
	bool choosy = false;

	while (next_element(&list, &one)) {
		one = without_parameters(one);
		if (span_is(one, "*/*") || span_is(one, "application/*") ||
		    same_type(one, media_type))
			return true;
		choosy = choosy || speaks_of_manifests(one);
	}
	return !choosy;
}
