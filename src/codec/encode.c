/* SPDX-License-Identifier: Apache-2.0 */
/* For: encoding a stream in blocks, on all cores, with one possible result.
 * Relies on: flow/pool.h for workers, encode_block.c for what one block becomes.
 * Promises: output in input order; freeing waits for blocks in flight.
 *
 * Slots form a ring. The puller fills them with input and submits them, takes the
 * oldest when it is done, lends its output, and fills it again:
 *
 *      [lent] [in flight, oldest] [in flight] ... [in flight, newest] [free]
 */
#include "codec/codec_priv.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "codec/deflate.h"
#include "flow/spares.h"

/* ---- parameters ---- */

static const struct encoding_info {
	const char *name;
	enum compression compression;
	int least, most, standard; /* levels; the standard one may be none that can be asked for */
} infos[] = {
	[ENCODING_NONE] = { "none", COMPRESSION_NONE, 0, 0, 0 },
	[ENCODING_GZIP] = { "gzip-blocked/1", COMPRESSION_GZIP, 1, 12, GZIP_OWN_LEVEL },
	[ENCODING_GZIP_SINGLE] = { "gzip-single/1", COMPRESSION_GZIP, 1, 9, 6 },
	[ENCODING_ZSTD] = { "zstd-blocked/1", COMPRESSION_ZSTD, 1, 19, 3 },
};

static int level_of(const struct encode_params *p)
{
	return p->level != 0 ? p->level : infos[p->encoding].standard;
}

int encode_params_check(const struct encode_params *p, dray_error **err)
{
	const struct encoding_info *info = &infos[p->encoding];
	int level = level_of(p);

	if (level == info->standard || (level >= info->least && level <= info->most))
		return 0;
	if (p->encoding == ENCODING_NONE)
		return err_set(err, DRAY_ERR_USAGE, "no compression has no level");
	return err_set(err, DRAY_ERR_USAGE, "compression level %d is not in %d to %d", level,
		       info->least, info->most);
}

int encode_params_text(const struct encode_params *p, struct buf *ret, dray_error **err)
{
	const char *name = infos[p->encoding].name;
	int level = level_of(p);

	switch (p->encoding) {
	case ENCODING_GZIP:
		if (level == GZIP_OWN_LEVEL)
			return buf_printf(ret, err, "%s;dray-deflate=%s", name, DEFLATE_VERSION);
		return buf_printf(ret, err, "%s;level=%d;libdeflate=%s", name, level,
				  LIBDEFLATE_VERSION_STRING);
	case ENCODING_GZIP_SINGLE:
		return buf_printf(ret, err, "%s;level=%d;zlib=%s", name, level, zlibVersion());
	case ENCODING_ZSTD:
		return buf_printf(ret, err, "%s;level=%d;libzstd=%s", name, level,
				  ZSTD_versionString());
	case ENCODING_NONE:
		break;
	}
	return buf_add_str(ret, name, err);
}

enum compression encoding_compression(enum encoding e)
{
	return infos[e].compression;
}

/* ---- slots ---- */

#define SLOTS_LEAST 2		 /* one is lent, one is in the works */
#define HEADROOM SOURCE_PEEK_MAX /* before the output, for the rest of the block before it */

/* What the work on one block needs; blobs that follow each other have the same ones. */
struct bench {
	struct spare spare;
	struct block_encoder *encoder;
	uint8_t *in; /* ENCODE_BLOCK */
	uint8_t *out;
	size_t out_cap;
};

struct slot {
	struct job job;
	struct bench *bench; /* comes with the first use */
	size_t in_len;
	size_t start, end; /* unread output is out[start .. end); end 0 = failed */
};

struct encoded {
	struct source base;
	struct source *in;
	struct pool *pool; /* lent; NULL = work in place */
	struct encode_params params;
	bool in_ended;
	bool any;     /* a block was begun: even empty input makes one */
	bool lent;    /* the slot at first lends its output */
	size_t first; /* ring index of the oldest slot in use */
	size_t used;  /* slots in use, lent one included */
	size_t count;
	int credits; /* of the pool, one for each slot beyond SLOTS_LEAST */
	struct slot slots[];
};

static struct slot *slot_at(struct encoded *e, size_t n)
{
	return &e->slots[(e->first + n) % e->count];
}

/* On a worker: no errors but "failed" leave here. */
static void slot_run(struct job *job)
{
	struct slot *s = (struct slot *)job;
	struct bench *b = s->bench;
	struct room out = { b->out + HEADROOM, b->out_cap - HEADROOM };
	size_t size = block_encoder_run(b->encoder, span_of(b->in, s->in_len), out);

	s->start = HEADROOM;
	s->end = size > 0 ? HEADROOM + size : 0;
}

static void bench_free(struct spare *spare)
{
	struct bench *b = (struct bench *)spare;

	block_encoder_free(b->encoder);
	mem_free(b->in);
	mem_free(b->out);
	mem_free(b);
}

static uint64_t bench_kind(const struct encode_params *p)
{
	return (uint64_t)p->encoding << 32 | (uint32_t)p->level;
}

static struct bench *bench_new(const struct encode_params *p, dray_error **err)
{
	struct bench *b = mem_zalloc(sizeof(*b));

	if (b) {
		b->spare = (struct spare){ .kind = bench_kind(p), .free = bench_free };
		b->encoder = block_encoder_new(p->encoding, p->level);
		b->in = mem_alloc(ENCODE_BLOCK);
	}
	if (b && b->encoder && b->in) {
		b->out_cap = HEADROOM + block_encoder_bound(b->encoder);
		b->out = mem_alloc(b->out_cap);
	}
	if (b && b->out)
		return b;
	if (b)
		bench_free(&b->spare);
	err_nomem(err);
	return NULL;
}

static int slot_prepare(struct encoded *e, struct slot *s, dray_error **err)
{
	s->in_len = 0;
	if (!s->bench && e->pool)
		s->bench = (struct bench *)spares_take(pool_spares(e->pool), bench_kind(&e->params),
						       bench_free);
	if (!s->bench)
		s->bench = bench_new(&e->params, err);
	return s->bench ? 0 : -1;
}

static int slot_read(struct encoded *e, struct slot *s, dray_error **err)
{
	while (s->in_len < ENCODE_BLOCK && !e->in_ended) {
		int64_t n = source_read(e->in, s->bench->in + s->in_len, ENCODE_BLOCK - s->in_len,
					err);

		if (n < 0)
			return -1;
		s->in_len += (size_t)n;
		e->in_ended = n == 0;
	}
	return 0;
}

static void slot_clear(const struct encoded *e, struct slot *s)
{
	if (s->bench && e->pool)
		spares_give(pool_spares(e->pool), &s->bench->spare);
	else if (s->bench)
		bench_free(&s->bench->spare);
}

/* ---- the ring ---- */

/* Read one block into a free slot and start its compression; 0 = no more input. */
static int encode_begin(struct encoded *e, dray_error **err)
{
	struct slot *s = slot_at(e, e->used);

	if (slot_prepare(e, s, err) < 0 || slot_read(e, s, err) < 0)
		return -1;
	if (s->in_len == 0 && e->any)
		return 0;
	e->any = true;
	e->used++;
	s->job.run = slot_run;
	if (e->pool)
		pool_submit(e->pool, &s->job);
	else
		slot_run(&s->job);
	return 1;
}

/* Keep the workers busy. */
static int encode_fill(struct encoded *e, dray_error **err)
{
	int more = 1;

	while (more > 0 && e->used < e->count && !(e->in_ended && e->any))
		more = encode_begin(e, err);
	return more < 0 ? -1 : 0;
}

static size_t slot_left(const struct slot *s)
{
	return s->end - s->start;
}

/* Retire the lent slot and lend the next; what is left of the old goes in front. */
static int encode_advance(struct encoded *e, dray_error **err)
{
	struct slot *next = slot_at(e, e->lent ? 1 : 0);

	if (e->pool)
		job_wait(e->pool, &next->job);
	if (next->end == 0)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "the compressor failed");
	if (e->lent) {
		struct slot *old = slot_at(e, 0);
		size_t left = slot_left(old);

		next->start -= left;
		memcpy(next->bench->out + next->start, old->bench->out + old->start, left);
		e->first = (e->first + 1) % e->count;
		e->used--;
	}
	e->lent = true;
	return 0;
}

static int encoded_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct encoded *e = (struct encoded *)s;
	struct slot *now = slot_at(e, 0);

	while (!e->lent || slot_left(now) < min) {
		if (encode_fill(e, err) < 0)
			return -1;
		if (e->lent && e->used == 1)
			break;
		if (encode_advance(e, err) < 0)
			return -1;
		now = slot_at(e, 0);
	}
	*ret = span_of(now->bench->out + now->start, slot_left(now));
	return 0;
}

static void encoded_consume(struct source *s, size_t n)
{
	slot_at((struct encoded *)s, 0)->start += n;
}

static void encoded_free(struct source *s)
{
	struct encoded *e = (struct encoded *)s;

	if (e->pool)
		for (size_t i = e->lent ? 1 : 0; i < e->used; i++)
			job_wait(e->pool, &slot_at(e, i)->job);
	for (size_t i = 0; i < e->count; i++)
		slot_clear(e, &e->slots[i]);
	if (e->pool)
		pool_give_credits(e->pool, e->credits);
	source_free(e->in);
	mem_free(e);
}

static const struct source_ops encoded_ops = {
	.peek = encoded_peek,
	.consume = encoded_consume,
	.free = encoded_free,
};

static struct source *encode_blocked(struct source *in, const struct encode_params *p,
				     struct pool *pool, dray_error **err)
{
	/*
	 * A block in the works for each worker, and two that wait: whoever pulls also reads, hashes
	 * and writes, and no worker shall run dry meanwhile (measured: a tenth of the time).
	 */
	int credits = pool ? pool_take_credits(pool, pool_threads(pool) + 1) : 0;
	size_t count = SLOTS_LEAST + (size_t)credits;
	struct encoded *e = mem_zalloc(sizeof(*e) + count * sizeof(e->slots[0]));

	if (!e) {
		if (pool)
			pool_give_credits(pool, credits);
		source_free(in);
		err_nomem(err);
		return NULL;
	}
	e->base.ops = &encoded_ops;
	e->in = in;
	e->pool = pool;
	e->params = *p;
	e->params.level = level_of(p);
	e->count = count;
	e->credits = credits;
	return &e->base;
}

struct source *source_encode(struct source *in, const struct encode_params *p, struct pool *pool,
			     dray_error **err)
{
	if (!in)
		return NULL;
	if (encode_params_check(p, err) < 0) {
		source_free(in);
		return NULL;
	}
	if (p->encoding == ENCODING_NONE)
		return in;
	if (p->encoding == ENCODING_GZIP_SINGLE)
		return source_filtered(in, encode_gzip_single(level_of(p), err), err);
	return encode_blocked(in, p, pool, err);
}
