/* SPDX-License-Identifier: Apache-2.0
 *
 * For: how many bytes a gzip layer decodes to, asked before it is decoded.
 * Relies on: RFC 1952's ISIZE, and the field by which our own members tell their length.
 * Promises: a hint, no more; who uses it counts the bytes.
 */
#include "ops/canonical_priv.h"

#define MEMBER_HEAD 20		      /* bytes of a member's header with our field */
#define TRAILER 4		      /* ISIZE */
#define WRAP ((int64_t)1 << 32)	      /* ISIZE counts modulo this */
#define WRAP_FROM (512 * 1024 * 1024) /* compressed bytes from which that is taken into account */

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Bytes @from .. of what comes next, and no further; *ret is empty where the stream ends before. */
static int look(struct source *s, int64_t from, size_t len, struct span *ret, dray_error **err)
{
	int64_t skipped = source_skip(s, from, err);

	*ret = (struct span){ 0 };
	if (skipped < 0)
		return -1;
	if (skipped < from)
		return 0;
	if (source_peek(s, len, ret, err) < 0)
		return -1;
	if (ret->len < len)
		*ret = (struct span){ 0 };
	return 0;
}

/* Bytes of the member that begins here; 0 = it is none of ours. */
static int64_t own_member(struct span head)
{
	static const uint8_t field[] = { 8, 0, GZIP_FIELD_1, GZIP_FIELD_2, 4, 0 };

	if (head.len < MEMBER_HEAD || head.data[0] != 0x1f || head.data[1] != 0x8b ||
	    head.data[3] != 4 || memcmp(head.data + 10, field, sizeof(field)) != 0)
		return 0;
	return le32(head.data + 16);
}

/* From member to member, which costs a look at each; *ret = how many, 0 = not ours to the end. */
static int count_members(struct source *s, int64_t size, int64_t *ret, dray_error **err)
{
	int64_t n = 0, next = 0; /* where a member begins */

	*ret = 0;
	while (next < size) {
		struct span head;
		int64_t len;

		if (look(s, next - s->pos, MEMBER_HEAD, &head, err) < 0)
			return -1;
		len = own_member(head);
		if (len <= MEMBER_HEAD || len > size - next)
			return 0;
		next += len;
		n++;
	}
	*ret = n;
	return 0;
}

/* Of one member. Its size is not far below the compressed one, or the counter has wrapped. */
static int64_t guess_single(int64_t isize, int64_t size)
{
	int64_t least = size - size / 1024 - 1024;

	if (isize < least && size >= WRAP_FROM)
		isize += WRAP;
	return isize < least ? -1 : isize;
}

int gzip_size_hint(struct source *s, int64_t size, int64_t *ret, dray_error **err)
{
	struct span tail;
	int64_t members;

	*ret = -1;
	if (size < MEMBER_HEAD)
		return 0;
	if (count_members(s, size, &members, err) < 0 ||
	    look(s, size - TRAILER - s->pos, TRAILER, &tail, err) < 0)
		return -1;
	if (tail.len == 0)
		return 0;
	*ret = members > 0 ? (members - 1) * ENCODE_BLOCK + le32(tail.data)
			   : guess_single(le32(tail.data), size);
	return 0;
}
