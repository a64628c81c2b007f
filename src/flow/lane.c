/* SPDX-License-Identifier: Apache-2.0 */
/* For: handing bytes from one thread to another.
 * Relies on: one writer, one reader; chunks change hands under one mutex.
 * Promises: the reader sees the same bytes and the same error at the same place.
 *
 * A chunk travels free list -> writer -> held, while it fills -> queue, when it is
 * full -> reader -> free list. A reader that has nothing else takes the held one, so
 * no byte waits behind a silent writer. A chunk's data lie behind HEADROOM bytes, so
 * that the reader can put the rest of the chunk before it in front and have one piece.
 */
#include "flow/lane_priv.h"

#include <assert.h>

#include "base/mem.h"

#define CHUNK (256 * 1024)
#define HEADROOM SOURCE_PEEK_MAX

struct lane_chunk {
	struct lane_chunk *next;
	size_t start; /* unread bytes are data[start .. end) */
	size_t end;
	uint8_t data[HEADROOM + CHUNK];
};

static size_t chunk_left(const struct lane_chunk *c)
{
	return c ? c->end - c->start : 0;
}

static void queue_put(struct lane *l, struct lane_chunk *c)
{
	*l->tail = c;
	l->tail = &c->next;
}

/* ---- the writer ---- */

/* A chunk with room: the held one, else an empty one; NULL = stop. */
static struct lane_chunk *writer_take(struct lane *l)
{
	pthread_mutex_lock(&l->mutex);
	while (!l->held && !l->free && !l->stop)
		pthread_cond_wait(&l->freed, &l->mutex);

	struct lane_chunk *c = l->stop ? NULL : steal_pointer(&l->held);

	if (!c && !l->stop) {
		c = l->free;
		l->free = c->next;
		c->next = NULL;
		c->start = HEADROOM;
		c->end = HEADROOM;
	}
	pthread_mutex_unlock(&l->mutex);
	return c;
}

static void writer_give(struct lane *l, struct lane_chunk *c)
{
	pthread_mutex_lock(&l->mutex);
	if (c->end == sizeof(c->data))
		queue_put(l, c);
	else
		l->held = c;
	if (l->queue || chunk_left(l->held) >= l->want)
		pthread_cond_signal(&l->filled);
	pthread_mutex_unlock(&l->mutex);
}

size_t lane_write(struct lane *l, struct span bytes)
{
	struct lane_chunk *c = writer_take(l);

	if (!c)
		return 0;
	bytes = span_head(bytes, sizeof(c->data) - c->end);
	memcpy(c->data + c->end, bytes.data, bytes.len);
	c->end += bytes.len;
	writer_give(l, c);
	return bytes.len;
}

void lane_finish(struct lane *l, bool failed, dray_error *error)
{
	pthread_mutex_lock(&l->mutex);
	if (l->held)
		queue_put(l, steal_pointer(&l->held));
	l->done = true;
	l->failed = failed;
	l->error = error;
	pthread_cond_signal(&l->filled);
	pthread_mutex_unlock(&l->mutex);
}

/* ---- the reader ---- */

/* Wait for a chunk that helps a reader who lacks @need bytes; NULL = the end or an error. */
static struct lane_chunk *reader_next(struct lane *l, size_t need)
{
	struct lane_chunk *c = NULL;

	pthread_mutex_lock(&l->mutex);
	l->want = need;
	while (!l->queue && chunk_left(l->held) < need && !l->done)
		pthread_cond_wait(&l->filled, &l->mutex);
	if (l->queue) {
		c = l->queue;
		l->queue = c->next;
		if (!l->queue)
			l->tail = &l->queue;
	} else {
		c = steal_pointer(&l->held);
	}
	pthread_mutex_unlock(&l->mutex);
	return c;
}

static void reader_release(struct lane *l, struct lane_chunk *c)
{
	pthread_mutex_lock(&l->mutex);
	c->next = l->free;
	l->free = c;
	pthread_cond_signal(&l->freed);
	pthread_mutex_unlock(&l->mutex);
}

/* Make @next current, with what is left of the chunk before in front. */
static void reader_advance(struct lane *l, struct lane_chunk *next)
{
	struct lane_chunk *old = l->current;
	size_t left = chunk_left(old);

	if (old) {
		assert(left <= next->start);
		next->start -= left;
		memcpy(next->data + next->start, old->data + old->start, left);
		reader_release(l, old);
	}
	l->current = next;
}

int lane_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct lane *l = (struct lane *)s;

	while (chunk_left(l->current) < min) {
		struct lane_chunk *next = reader_next(l, min - chunk_left(l->current));

		if (next) {
			reader_advance(l, next);
			continue;
		}
		/* The writer is done: error is ours. */
		if (!l->failed)
			break;
		if (err)
			*err = steal_pointer(&l->error);
		return -1;
	}
	if (l->current)
		*ret = span_of(l->current->data + l->current->start, chunk_left(l->current));
	return 0;
}

void lane_consume(struct source *s, size_t n)
{
	((struct lane *)s)->current->start += n;
}

void lane_stop(struct lane *l)
{
	pthread_mutex_lock(&l->mutex);
	l->stop = true;
	pthread_cond_signal(&l->freed);
	pthread_mutex_unlock(&l->mutex);
}

/* ---- beginning and end ---- */

static void chunks_free(struct lane_chunk *c)
{
	while (c) {
		struct lane_chunk *next = c->next;

		mem_free(c);
		c = next;
	}
}

void lane_clear(struct lane *l)
{
	pthread_cond_destroy(&l->freed);
	pthread_cond_destroy(&l->filled);
	pthread_mutex_destroy(&l->mutex);
	chunks_free(l->free);
	chunks_free(l->queue);
	mem_free(l->held);
	mem_free(l->current);
	dray_error_free(l->error);
}

/* Chunks for @ahead bytes, and one that the reader holds, one that the writer fills. */
int lane_init(struct lane *l, size_t ahead, dray_error **err)
{
	size_t n = ahead / CHUNK + 2;

	l->tail = &l->queue;
	pthread_mutex_init(&l->mutex, NULL);
	pthread_cond_init(&l->filled, NULL);
	pthread_cond_init(&l->freed, NULL);
	for (size_t i = 0; i < n; i++) {
		struct lane_chunk *c = mem_alloc(sizeof(*c));

		if (!c)
			return err_nomem(err);
		c->next = l->free;
		l->free = c;
	}
	return 0;
}
