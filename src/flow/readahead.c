/* SPDX-License-Identifier: Apache-2.0 */
/* For: reading a source on a thread of its own, so that two stages overlap.
 * Relies on: one producer, one reader; chunks change hands under one mutex.
 * Promises: the reader sees the same bytes and the same error at the same place.
 *
 * A chunk travels free list -> producer -> held, while it fills -> queue, when it is
 * full -> reader -> free list. A reader that has nothing else takes the held one, so
 * no byte waits behind a silent writer. A chunk's data lie behind HEADROOM bytes, so
 * that the reader can put the rest of the chunk before it in front and have one piece.
 */
#include "flow/source.h"

#include <assert.h>

#include "base/mem.h"
#include "flow/thread_priv.h"

#define CHUNK (256 * 1024)
#define HEADROOM SOURCE_PEEK_MAX

struct chunk {
	struct chunk *next;
	size_t start; /* unread bytes are data[start .. end) */
	size_t end;
	uint8_t data[HEADROOM + CHUNK];
};

struct readahead {
	struct source base;
	struct source *in;     /* the producer's while it runs */
	struct chunk *current; /* the reader's */
	pthread_t thread;
	bool started;

	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t filled; /* for the reader: a chunk, or the end */
	pthread_cond_t freed;  /* for the producer: a free chunk, or stop */
	struct chunk *free;
	struct chunk *held; /* not full; the producer takes it back to add bytes */
	struct chunk *queue, **tail;
	size_t want; /* bytes that the reader lacks */
	bool stop;   /* the reader wants no more */
	bool done;   /* the producer will queue no more */
	bool failed; /* ... because of error, which comes after the queue */
	dray_error *error;
};

static size_t chunk_left(const struct chunk *c)
{
	return c ? c->end - c->start : 0;
}

static void queue_put(struct readahead *r, struct chunk *c)
{
	*r->tail = c;
	r->tail = &c->next;
}

/* ---- the producer ---- */

/* A chunk with room: the held one, else an empty one; NULL = stop. */
static struct chunk *producer_take(struct readahead *r)
{
	pthread_mutex_lock(&r->mutex);
	while (!r->held && !r->free && !r->stop)
		pthread_cond_wait(&r->freed, &r->mutex);

	struct chunk *c = r->stop ? NULL : steal_pointer(&r->held);

	if (!c && !r->stop) {
		c = r->free;
		r->free = c->next;
		c->next = NULL;
		c->start = HEADROOM;
		c->end = HEADROOM;
	}
	pthread_mutex_unlock(&r->mutex);
	return c;
}

static void producer_give(struct readahead *r, struct chunk *c)
{
	pthread_mutex_lock(&r->mutex);
	if (c->end == sizeof(c->data))
		queue_put(r, c);
	else
		r->held = c;
	if (r->queue || chunk_left(r->held) >= r->want)
		pthread_cond_signal(&r->filled);
	pthread_mutex_unlock(&r->mutex);
}

/* The last word: what is held, and then the end or @error. */
static void producer_finish(struct readahead *r, bool failed, dray_error *error)
{
	pthread_mutex_lock(&r->mutex);
	if (r->held)
		queue_put(r, steal_pointer(&r->held));
	r->done = true;
	r->failed = failed;
	r->error = error;
	pthread_cond_signal(&r->filled);
	pthread_mutex_unlock(&r->mutex);
}

static void *producer(void *arg)
{
	struct readahead *r = arg;

	for (;;) {
		dray_error *error = NULL;
		struct span got = { 0 };

		if (source_peek(r->in, 1, &got, &error) < 0 || got.len == 0) {
			producer_finish(r, r->in->failed, error);
			return NULL;
		}

		struct chunk *c = producer_take(r);

		if (!c)
			return NULL;
		got = span_head(got, sizeof(c->data) - c->end);
		memcpy(c->data + c->end, got.data, got.len);
		c->end += got.len;
		source_consume(r->in, got.len);
		producer_give(r, c);
	}
}

/* ---- the reader ---- */

/* Wait for a chunk that helps a reader who lacks @need bytes; NULL = the end or an error. */
static struct chunk *reader_next(struct readahead *r, size_t need)
{
	struct chunk *c = NULL;

	pthread_mutex_lock(&r->mutex);
	r->want = need;
	while (!r->queue && chunk_left(r->held) < need && !r->done)
		pthread_cond_wait(&r->filled, &r->mutex);
	if (r->queue) {
		c = r->queue;
		r->queue = c->next;
		if (!r->queue)
			r->tail = &r->queue;
	} else {
		c = steal_pointer(&r->held);
	}
	pthread_mutex_unlock(&r->mutex);
	return c;
}

static void reader_release(struct readahead *r, struct chunk *c)
{
	pthread_mutex_lock(&r->mutex);
	c->next = r->free;
	r->free = c;
	pthread_cond_signal(&r->freed);
	pthread_mutex_unlock(&r->mutex);
}

/* Make @next current, with what is left of the chunk before in front. */
static void reader_advance(struct readahead *r, struct chunk *next)
{
	struct chunk *old = r->current;
	size_t left = chunk_left(old);

	if (old) {
		assert(left <= next->start);
		next->start -= left;
		memcpy(next->data + next->start, old->data + old->start, left);
		reader_release(r, old);
	}
	r->current = next;
}

static int readahead_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct readahead *r = (struct readahead *)s;

	while (chunk_left(r->current) < min) {
		struct chunk *next = reader_next(r, min - chunk_left(r->current));

		if (next) {
			reader_advance(r, next);
			continue;
		}
		/* The producer is done: error is ours. */
		if (!r->failed)
			break;
		if (err)
			*err = steal_pointer(&r->error);
		return -1;
	}
	if (r->current)
		*ret = span_of(r->current->data + r->current->start, chunk_left(r->current));
	return 0;
}

static void readahead_consume(struct source *s, size_t n)
{
	((struct readahead *)s)->current->start += n;
}

static void chunks_free(struct chunk *c)
{
	while (c) {
		struct chunk *next = c->next;

		mem_free(c);
		c = next;
	}
}

static void readahead_free(struct source *s)
{
	struct readahead *r = (struct readahead *)s;

	if (r->started) {
		pthread_mutex_lock(&r->mutex);
		r->stop = true;
		pthread_cond_signal(&r->freed);
		pthread_mutex_unlock(&r->mutex);
		pthread_join(r->thread, NULL);
	}
	pthread_cond_destroy(&r->freed);
	pthread_cond_destroy(&r->filled);
	pthread_mutex_destroy(&r->mutex);
	chunks_free(r->free);
	chunks_free(r->queue);
	mem_free(r->held);
	mem_free(r->current);
	dray_error_free(r->error);
	source_free(r->in);
	mem_free(r);
}

static const struct source_ops readahead_ops = {
	.peek = readahead_peek,
	.consume = readahead_consume,
	.free = readahead_free,
};

/* Chunks for @ahead bytes, and one that the reader holds, one that the producer fills. */
static int readahead_chunks(struct readahead *r, size_t ahead, dray_error **err)
{
	size_t n = ahead / CHUNK + 2;

	for (size_t i = 0; i < n; i++) {
		struct chunk *c = mem_alloc(sizeof(*c));

		if (!c)
			return err_nomem(err);
		c->next = r->free;
		r->free = c;
	}
	return 0;
}

struct source *source_readahead(struct source *in, size_t ahead, dray_error **err)
{
	if (!in)
		return NULL;

	struct readahead *r = mem_zalloc(sizeof(*r));

	if (!r) {
		source_free(in);
		err_nomem(err);
		return NULL;
	}
	r->base.ops = &readahead_ops;
	r->in = in;
	r->tail = &r->queue;
	pthread_mutex_init(&r->mutex, NULL);
	pthread_cond_init(&r->filled, NULL);
	pthread_cond_init(&r->freed, NULL);
	if (readahead_chunks(r, ahead, err) < 0) {
		readahead_free(&r->base);
		return NULL;
	}

	int rc = thread_start(&r->thread, producer, r);

	if (rc != 0) {
		err_sys(err, rc, "cannot start a thread");
		readahead_free(&r->base);
		return NULL;
	}
	r->started = true;
	return &r->base;
}
