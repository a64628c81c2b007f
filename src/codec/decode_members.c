/* SPDX-License-Identifier: Apache-2.0 */
/* For: decoding the gzip members that we wrote, which tell their length, on all cores.
 * Relies on: libdeflate for one whole member; decode_gzip.c for everything else.
 * Promises: the same bytes and the same judgement as decode_gzip.c: a member counts when it is sound
 * and exactly as long as it says; from the first other one on the ordinary decoder reads.
 *
 * Slots form a ring, as in encode.c:
 *
 *      [lent] [in flight, oldest] [in flight] ... [in flight, newest] [free]
 */
#include "codec/codec_priv.h"

#include <assert.h>
#include <libdeflate.h>

#include "base/mem.h"

#define MEMBER_TRAILER 8
#define MEMBER_MAX (ENCODE_BLOCK + ENCODE_BLOCK / 64) /* stored blocks add 5 bytes in 64 KiB */
#define SLOTS_LEAST 2				      /* one is lent, one is in the works */
#define SLOTS_MORE 8 /* besides one for each worker: none waits for a reader that was not quick */
#define HEADROOM SOURCE_PEEK_MAX /* before the output, for the rest of the member before it */

struct slot {
	struct job job;
	struct libdeflate_decompressor *z; /* this and the buffers come with the first use */
	uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t start, end; /* unread output is out[start .. end) */
	bool bad;	   /* not what it says: for the ordinary decoder */
};

struct members {
	struct source base;
	struct source *in;
	struct pool *pool;   /* lent; NULL = work in place */
	bool last;	     /* behind the newest slot nothing, or nothing of ours, comes */
	bool lent;	     /* the slot at first lends its output */
	size_t first;	     /* ring index of the oldest slot in use */
	size_t used;	     /* slots in use, lent one included */
	int64_t good, taken; /* members that were lent, and their bytes */
	struct source *rest; /* the ordinary decoder; NULL = not yet */
	int credits;	     /* of the pool, one for each slot beyond SLOTS_LEAST */
	size_t count;
	struct slot slots[];
};

static struct slot *slot_at(struct members *m, size_t n)
{
	return &m->slots[(m->first + n) % m->count];
}

static uint32_t le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

size_t decode_member_length(struct span head)
{
	static const uint8_t ours[] = {
		0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, GZIP_FIELD_1, GZIP_FIELD_2, 4, 0,
	};

	if (head.len < GZIP_MEMBER_HEADER || memcmp(head.data, ours, sizeof(ours)) != 0)
		return 0;
	size_t len = le32(head.data + sizeof(ours));

	return len > GZIP_MEMBER_HEADER + MEMBER_TRAILER && len <= MEMBER_MAX ? len : 0;
}

/* On a worker: no errors but "bad" leave here. libdeflate checks the CRC and the size. */
static void slot_run(struct job *job)
{
	struct slot *s = (struct slot *)job;
	size_t taken = 0, made = 0;

	s->bad = libdeflate_gzip_decompress_ex(s->z, s->in, s->in_len, s->out + HEADROOM,
					       ENCODE_BLOCK, &taken, &made) != LIBDEFLATE_SUCCESS ||
		 taken != s->in_len;
	s->start = HEADROOM;
	s->end = s->bad ? HEADROOM : HEADROOM + made;
}

static int slot_prepare(struct slot *s, dray_error **err)
{
	s->in_len = 0;
	s->job = (struct job){ .run = slot_run };
	if (!s->z)
		s->z = libdeflate_alloc_decompressor();
	if (!s->in)
		s->in = mem_alloc(MEMBER_MAX);
	if (!s->out)
		s->out = mem_alloc(HEADROOM + ENCODE_BLOCK);
	return s->z && s->in && s->out ? 0 : err_nomem(err);
}

static void slot_clear(struct slot *s)
{
	libdeflate_free_decompressor(s->z);
	mem_free(s->in);
	mem_free(s->out);
}

/* Up to @p len bytes; fewer only at the end. */
static int slot_read(struct slot *s, struct source *in, size_t len, dray_error **err)
{
	while (s->in_len < len) {
		int64_t n = source_read(in, s->in + s->in_len, len - s->in_len, err);

		if (n < 0)
			return -1;
		if (n == 0)
			return 0;
		s->in_len += (size_t)n;
	}
	return 0;
}

/* Take the next member and give it to a worker. */
static int members_begin(struct members *m, dray_error **err)
{
	struct slot *s = slot_at(m, m->used);
	struct span head;
	size_t len;

	if (source_peek(m->in, GZIP_MEMBER_HEADER, &head, err) < 0)
		return -1;
	len = decode_member_length(head);
	if (len == 0) {
		m->last = true;
		return 0;
	}
	if (slot_prepare(s, err) < 0 || slot_read(s, m->in, len, err) < 0)
		return -1;
	m->used++;
	if (m->pool)
		pool_submit(m->pool, &s->job);
	else
		slot_run(&s->job);
	m->last = s->in_len < len; /* cut off: the ordinary decoder says so */
	return 0;
}

/* The workers are done with the slots from ring index @n on. */
static void members_wait(struct members *m, size_t n)
{
	for (; m->pool && n < m->used; n++)
		job_wait(m->pool, &slot_at(m, n)->job);
}

/* ---- the ordinary decoder, from where we stopped ---- */

/* Bytes at hand, then those of a source. For a filter, which never asks for more than one byte. */
struct behind {
	struct source base;
	struct source *in; /* lent */
	struct buf kept;
	size_t at;
};

static int behind_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct behind *b = (struct behind *)s;

	assert(min == 1);
	if (b->at == b->kept.len)
		return source_peek(b->in, min, ret, err);
	*ret = span_from(span_buf(&b->kept), b->at);
	return 0;
}

static void behind_consume(struct source *s, size_t n)
{
	struct behind *b = (struct behind *)s;

	if (b->at == b->kept.len)
		source_consume(b->in, n);
	else
		b->at += n;
}

static void behind_free(struct source *s)
{
	buf_clear(&((struct behind *)s)->kept);
	mem_free(s);
}

static const struct source_ops behind_ops = {
	.peek = behind_peek,
	.consume = behind_consume,
	.free = behind_free,
};

/* What the slots from ring index @n on were given, and then the rest of the input. */
static struct source *behind_new(struct members *m, size_t n, dray_error **err)
{
	struct behind *b = mem_zalloc(sizeof(*b));

	if (!b) {
		err_nomem(err);
		return NULL;
	}
	b->base.ops = &behind_ops;
	b->in = m->in;
	b->kept = BUF_INIT(m->count * MEMBER_MAX);
	for (; n < m->used; n++) {
		const struct slot *s = slot_at(m, n);

		if (buf_add(&b->kept, span_of(s->in, s->in_len), err) < 0) {
			behind_free(&b->base);
			return NULL;
		}
	}
	return &b->base;
}

/* From the slot at @n on. */
static int members_give_up(struct members *m, size_t n, dray_error **err)
{
	struct source *in;

	members_wait(m, n);
	in = behind_new(m, n, err);
	m->used = n;
	m->rest = in ? source_filtered(in, decode_gzip_rest(m->taken, m->good, err), err) : NULL;
	return m->rest ? 0 : -1;
}

/* ---- the source ---- */

static size_t slot_left(const struct slot *s)
{
	return s->end - s->start;
}

/* Retire the lent slot and lend the next; what is left of the old goes in front. */
static void members_lend(struct members *m, struct slot *next)
{
	m->good++;
	m->taken += (int64_t)next->in_len;
	if (m->lent) {
		struct slot *old = slot_at(m, 0);
		size_t left = slot_left(old);

		next->start -= left;
		memcpy(next->out + next->start, old->out + old->start, left);
		m->first = (m->first + 1) % m->count;
		m->used--;
	}
	m->lent = true;
}

/* 1 = more is lent, 0 = the end of our members, -1. */
static int members_advance(struct members *m, dray_error **err)
{
	size_t n = m->lent ? 1 : 0;

	while (m->used < m->count && !m->last)
		if (members_begin(m, err) < 0)
			return -1;
	if (m->used == n)
		return 0;
	struct slot *next = slot_at(m, n);

	if (m->pool)
		job_wait(m->pool, &next->job);
	if (next->bad)
		return 0;
	members_lend(m, next);
	return 1;
}

/*
 * What is left of the last slot, and what the ordinary decoder makes: joined in the slot when a
 * reader wants both at once.
 */
static int members_join(struct members *m, size_t min, dray_error **err)
{
	struct slot *s = slot_at(m, 0);
	size_t left = slot_left(s);

	memmove(s->out, s->out + s->start, left);
	s->start = 0;
	s->end = left;
	while (s->end < min) {
		int64_t n = source_read(m->rest, s->out + s->end, min - s->end, err);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		s->end += (size_t)n;
	}
	return 0;
}

static int members_peek(struct source *src, size_t min, struct span *ret, dray_error **err)
{
	struct members *m = (struct members *)src;
	int more = 1;

	while (!m->rest && more > 0 && (!m->lent || slot_left(slot_at(m, 0)) < min))
		more = members_advance(m, err);
	if (more == 0)
		more = members_give_up(m, m->lent ? 1 : 0, err);
	if (more < 0)
		return -1;
	struct slot *now = slot_at(m, 0);

	if (m->lent && slot_left(now) > 0) {
		if (slot_left(now) < min && members_join(m, min, err) < 0)
			return -1;
		*ret = span_of(now->out + now->start, slot_left(now));
		return 0;
	}
	return source_peek(m->rest, min, ret, err);
}

static void members_consume(struct source *src, size_t n)
{
	struct members *m = (struct members *)src;
	struct slot *now = slot_at(m, 0);

	if (m->lent && slot_left(now) > 0)
		now->start += n;
	else
		source_consume(m->rest, n);
}

static void members_free(struct source *src)
{
	struct members *m = (struct members *)src;

	source_free(m->rest);
	members_wait(m, m->lent ? 1 : 0);
	for (size_t i = 0; i < m->count; i++)
		slot_clear(&m->slots[i]);
	if (m->pool)
		pool_give_credits(m->pool, m->credits);
	source_free(m->in);
	mem_free(m);
}

static const struct source_ops members_ops = {
	.peek = members_peek,
	.consume = members_consume,
	.free = members_free,
};

struct source *decode_members(struct source *in, struct pool *pool, dray_error **err)
{
	int credits = pool ? pool_take_credits(pool, pool_threads(pool) + SLOTS_MORE) : 0;
	size_t count = SLOTS_LEAST + (size_t)credits;
	struct members *m = mem_zalloc(sizeof(*m) + count * sizeof(m->slots[0]));

	if (!m) {
		if (pool)
			pool_give_credits(pool, credits);
		source_free(in);
		err_nomem(err);
		return NULL;
	}
	m->base.ops = &members_ops;
	m->in = in;
	m->pool = pool;
	m->count = count;
	m->credits = credits;
	return &m->base;
}
