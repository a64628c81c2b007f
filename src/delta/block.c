/* SPDX-License-Identifier: Apache-2.0 */
/* For: gathering the blocks of a recipe, compressing them on all cores, writing them in order.
 * Relies on: codec/patch.h for the bytes, flow/pool.h for workers.
 * Promises: the same bytes with and without workers; a bounded number of blocks in memory.
 */
#include "delta/block.h"

#include "base/mem.h"
#include "codec/patch.h"

#define JOBS_MAX 2    /* blocks in the works: memory is the same on every machine */
#define OPS_LEVEL 15  /* of zstd: operations are few beside what they spare */
#define DENSE_LEVEL 1 /* finds what is in the prefix; more would be work for nothing */
#define HEAD_MAX (4 * VARINT_MAX)

/* ---- operations ---- */

static int put_op(struct block *b, enum recipe_op_kind kind, uint64_t n, dray_error **err)
{
	uint8_t raw[VARINT_MAX];
	size_t len = varint_put(raw, n << 2 | kind);

	return buf_add(&b->ops, span_of(raw, len), err);
}

static int put_number(struct block *b, uint64_t n, dray_error **err)
{
	uint8_t raw[VARINT_MAX];
	size_t len = varint_put(raw, n);

	return buf_add(&b->ops, span_of(raw, len), err);
}

static int seek(struct block *b, size_t base, int64_t off, dray_error **err)
{
	int64_t by = off - b->at.off;

	if (b->at.base == base && by == 0)
		return 0;
	if (b->at.base == base) {
		if (put_op(b, RECIPE_SEEK, zigzag(by), err) < 0)
			return -1;
	} else if (put_op(b, RECIPE_SEEK, 0, err) < 0 || put_number(b, base, err) < 0 ||
		   put_number(b, (uint64_t)off, err) < 0) {
		return -1;
	}
	b->at = (struct recipe_cursor){ base, off };
	return 0;
}

static int flush_pending(struct block *b, dray_error **err)
{
	uint64_t n = b->pending.n;

	if (n == 0)
		return 0;
	b->pending.n = 0;
	if (seek(b, b->pending.base, b->pending.off, err) < 0 ||
	    put_op(b, b->pending.kind, n, err) < 0)
		return -1;
	if (b->pending.kind == RECIPE_COPY)
		cursor_pass(&b->at, b->bases, n);
	return 0;
}

static int flush_taken(struct block *b, dray_error **err)
{
	uint64_t n = b->taken;

	if (n == 0)
		return 0;
	b->taken = 0;
	cursor_pass(&b->at, b->bases, n);
	return put_op(b, RECIPE_TAKE, n, err);
}

int block_take(struct block *b, size_t n, dray_error **err)
{
	if (b->pending.kind == RECIPE_COPY && flush_pending(b, err) < 0)
		return -1;
	b->taken += n;
	return 0;
}

static bool meets(const struct block *b, enum recipe_op_kind kind, size_t base, int64_t off)
{
	return b->pending.n > 0 && b->pending.kind == kind && b->pending.base == base &&
	       b->pending.off + (int64_t)b->pending.n == off;
}

static int place(struct block *b, enum recipe_op_kind kind, size_t base, int64_t off, int64_t n,
		 dray_error **err)
{
	if (meets(b, kind, base, off)) {
		b->pending.n += (uint64_t)n;
		return 0;
	}
	if (flush_pending(b, err) < 0 || flush_taken(b, err) < 0)
		return -1;
	b->pending.kind = kind;
	b->pending.base = base;
	b->pending.off = off;
	b->pending.n = (uint64_t)n;
	return 0;
}

int block_copy(struct block *b, size_t base, int64_t off, int64_t n, dray_error **err)
{
	return place(b, RECIPE_COPY, base, off, n, err);
}

int block_ref(struct block *b, size_t base, int64_t off, int64_t n, dray_error **err)
{
	return place(b, RECIPE_REF, base, off, n, err);
}

/* ---- one block, compressed ---- */

/* A block and what becomes of it; gathered by the writer, then a worker's, then the writer's. */
struct slot {
	struct job job;
	struct block block;
	struct patch_encoder *encoder; /* lent, of the queue */
	int level;
	uint8_t *stored; /* the operations, then the data */
	size_t stored_cap, ops_stored, data_stored;
};

/* As a frame if that is shorter; returns the length. */
static size_t store(struct slot *s, int level, struct span prefix, struct span in, struct room out)
{
	size_t n = in.len > 0 ? patch_encode(s->encoder, level, prefix, in, out) : 0;

	if (n > 0 && n < in.len)
		return n;
	if (in.len > 0)
		memcpy(out.data, in.data, in.len);
	return in.len;
}

static void slot_run(struct job *job)
{
	struct slot *s = (struct slot *)job;
	struct block *b = &s->block;
	struct room out = { s->stored, s->stored_cap };
	int level = b->dense && s->level > DENSE_LEVEL ? DENSE_LEVEL : s->level;

	s->ops_stored = store(s, OPS_LEVEL, (struct span){ 0 }, span_buf(&b->ops), out);
	out = (struct room){ out.data + s->ops_stored, out.len - s->ops_stored };
	s->data_stored = store(s, level, span_of(b->prefix, b->prefix_len),
			       span_of(b->data, b->data_len), out);
}

/* Before the worker has it, which cannot say that memory is short. */
static int slot_room(struct slot *s, dray_error **err)
{
	size_t need = patch_bound(s->block.ops.len) + patch_bound(s->block.data_len);

	if (need <= s->stored_cap)
		return 0;
	mem_free(s->stored);
	s->stored_cap = 0;
	s->stored = mem_alloc(need);
	if (!s->stored)
		return err_nomem(err);
	s->stored_cap = need;
	return 0;
}

static int slot_prepare(struct slot *s, const struct recipe_options *o,
			const struct recipe_bases *bases, dray_error **err)
{
	struct block *b = &s->block;

	s->level = o->level;
	buf_reset(&b->ops);
	*b = (struct block){ .ops = b->ops, .data = b->data, .prefix = b->prefix, .bases = bases };
	b->ops.max = LIMIT_RECIPE_OPS;
	/* Pages that nothing is written to are not there. */
	if (!b->data)
		b->data = mem_alloc(o->window);
	if (!b->prefix)
		b->prefix = mem_alloc(RECIPE_PREFIX_WINDOWS * o->window);
	return b->data && b->prefix ? 0 : err_nomem(err);
}

static size_t put_length(uint8_t *to, size_t len, size_t stored)
{
	size_t n = varint_put(to, len);

	return len > 0 ? n + varint_put(to + n, stored) : n;
}

static int slot_write(struct slot *s, struct sink *out, dray_error **err)
{
	uint8_t head[HEAD_MAX];
	size_t n = put_length(head, s->block.ops.len, s->ops_stored);

	n += put_length(head + n, s->block.data_len, s->data_stored);
	if (sink_write(out, span_of(head, n), err) < 0)
		return -1;
	return sink_write(out, span_of(s->stored, s->ops_stored + s->data_stored), err);
}

static void slot_clear(struct slot *s)
{
	buf_clear(&s->block.ops);
	mem_free(s->block.data);
	mem_free(s->block.prefix);
	mem_free(s->stored);
}

/* ---- all of them ---- */

/*
 * A ring: [oldest in the works] ... [newest] [the one that is gathered]. As many encoders as may
 * be in the works take turns: they are the larger part of the memory.
 */
struct queue {
	struct recipe_options options;
	const struct recipe_bases *bases; /* lent */
	struct sink *out;		  /* lent */
	struct patch_encoder *encoders[JOBS_MAX];
	size_t turn;
	size_t first, working; /* the oldest in the works, and how many there are */
	size_t count;
	struct slot slots[];
};

static struct slot *slot_at(struct queue *b, size_t n)
{
	return &b->slots[(b->first + n) % b->count];
}

struct block *queue_now(struct queue *b)
{
	return &slot_at(b, b->working)->block;
}

static void wait_for(struct queue *b, struct slot *s)
{
	if (b->options.pool)
		job_wait(b->options.pool, &s->job);
}

/* The oldest is written. */
static int retire(struct queue *b, dray_error **err)
{
	struct slot *s = slot_at(b, 0);

	wait_for(b, s);
	b->first = (b->first + 1) % b->count;
	b->working--;
	return slot_write(s, b->out, err);
}

/* Blocks that may be in the works. */
static size_t jobs_of(const struct queue *b)
{
	return b->count > 1 ? b->count - 1 : 1;
}

static int take_turn(struct queue *b, struct slot *s, dray_error **err)
{
	struct patch_encoder **e = &b->encoders[b->turn];

	if (!*e)
		*e = patch_encoder_new();
	if (!*e)
		return err_nomem(err);
	s->encoder = *e;
	b->turn = (b->turn + 1) % jobs_of(b);
	return 0;
}

static void start(struct queue *b, struct slot *s)
{
	s->job.run = slot_run;
	if (b->options.pool)
		pool_submit(b->options.pool, &s->job);
	else
		slot_run(&s->job);
	b->working++;
}

int queue_cut(struct queue *b, dray_error **err)
{
	struct slot *s = slot_at(b, b->working);

	if (flush_pending(&s->block, err) < 0 || flush_taken(&s->block, err) < 0)
		return -1;
	if (s->block.ops.len == 0)
		return 0;
	/* Whoever had the encoder whose turn it is has to be done with it. */
	if (b->working == jobs_of(b) && retire(b, err) < 0)
		return -1;
	if (slot_room(s, err) < 0 || take_turn(b, s, err) < 0)
		return -1;
	start(b, s);
	if (b->working == b->count && retire(b, err) < 0)
		return -1;
	return slot_prepare(slot_at(b, b->working), &b->options, b->bases, err);
}

int queue_finish(struct queue *b, dray_error **err)
{
	if (queue_cut(b, err) < 0)
		return -1;
	while (b->working > 0)
		if (retire(b, err) < 0)
			return -1;
	return 0;
}

void queue_free(struct queue *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->working; i++)
		wait_for(b, slot_at(b, i));
	for (size_t i = 0; i < b->count; i++)
		slot_clear(&b->slots[i]);
	for (size_t i = 0; i < JOBS_MAX; i++)
		patch_encoder_free(b->encoders[i]);
	mem_free(b);
}

struct queue *queue_new(const struct recipe_options *o, const struct recipe_bases *bases,
			struct sink *out, dray_error **err)
{
	int jobs = o->pool ? pool_threads(o->pool) : 0;
	size_t count = 1 + (size_t)(jobs < JOBS_MAX ? jobs : JOBS_MAX);
	struct queue *b = mem_zalloc(sizeof(*b) + count * sizeof(b->slots[0]));

	if (!b) {
		err_nomem(err);
		return NULL;
	}
	b->options = *o;
	b->bases = bases;
	b->out = out;
	b->count = count;
	if (slot_prepare(slot_at(b, 0), o, bases, err) < 0) {
		queue_free(b);
		return NULL;
	}
	return b;
}
