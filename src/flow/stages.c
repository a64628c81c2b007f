/* SPDX-License-Identifier: Apache-2.0 */
/* For: stages that pass a stream through unchanged: limit, watch, verify, tear.
 * Relies on: flow/source.c for the rules of reading.
 * Promises: bytes are lent onwards, never copied.
 */
#include "flow/source.h"

#include <assert.h>
#include <inttypes.h>

#include "base/mem.h"

/* Allocate a stage around @in, which is freed when that fails. */
static void *stage_new(struct source *in, size_t size, const struct source_ops *ops,
		       dray_error **err)
{
	struct source *s = mem_zalloc(size);

	if (!s) {
		source_free(in);
		err_nomem(err);
		return NULL;
	}
	s->ops = ops;
	return s;
}

static void plain_free(struct source *s)
{
	mem_free(s);
}

/* ---- limit ---- */

struct limit {
	struct source base;
	struct source *in; /* lent */
	int64_t left;
};

static int limit_truncated(const struct limit *l, dray_error **err)
{
	return err_set(err, DRAY_ERR_FORMAT,
		       "truncated at byte %" PRId64 ", %" PRId64 " bytes early",
		       l->in->pos + (int64_t)l->in->lent, l->left - (int64_t)l->in->lent);
}

static int limit_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct limit *l = (struct limit *)s;
	size_t want = (uint64_t)l->left < min ? (size_t)l->left : min;

	if (want == 0)
		return 0;
	if (source_peek(l->in, want, ret, err) < 0)
		return -1;
	if (ret->len < want)
		return limit_truncated(l, err);
	if (ret->len > (uint64_t)l->left)
		ret->len = (size_t)l->left;
	return 0;
}

static void limit_consume(struct source *s, size_t n)
{
	struct limit *l = (struct limit *)s;

	source_consume(l->in, n);
	l->left -= (int64_t)n;
}

static int64_t limit_skip(struct source *s, int64_t n, dray_error **err)
{
	struct limit *l = (struct limit *)s;
	int64_t want = n < l->left ? n : l->left;
	int64_t got = source_skip(l->in, want, err);

	if (got < 0)
		return -1;
	l->left -= got;
	return got < want ? limit_truncated(l, err) : got;
}

static const struct source_ops limit_ops = {
	.peek = limit_peek,
	.consume = limit_consume,
	.skip = limit_skip,
	.free = plain_free,
};

struct source *source_limit(struct source *in, int64_t len, dray_error **err)
{
	if (!in)
		return NULL;
	assert(len >= 0);

	/* Lent: @in outlives a failure to allocate. */
	struct limit *l = stage_new(NULL, sizeof(*l), &limit_ops, err);

	if (!l)
		return NULL;
	l->in = in;
	l->left = len;
	return &l->base;
}

/* ---- watch, hash ---- */

struct watch {
	struct source base;
	struct source *in;
	struct tap tap;
	struct span loan;
};

static int watch_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct watch *w = (struct watch *)s;

	if (source_peek(w->in, min, &w->loan, err) < 0)
		return -1;
	*ret = w->loan;
	return 0;
}

static void watch_consume(struct source *s, size_t n)
{
	struct watch *w = (struct watch *)s;

	w->tap.see(w->tap.arg, span_head(w->loan, n));
	w->loan = span_from(w->loan, n);
	source_consume(w->in, n);
}

static void watch_free(struct source *s)
{
	source_free(((struct watch *)s)->in);
	mem_free(s);
}

static const struct source_ops watch_ops = {
	.peek = watch_peek,
	.consume = watch_consume,
	.free = watch_free,
};

struct source *source_watch(struct source *in, struct tap tap, dray_error **err)
{
	if (!in)
		return NULL;

	struct watch *w = stage_new(in, sizeof(*w), &watch_ops, err);

	if (!w)
		return NULL;
	w->in = in;
	w->tap = tap;
	return &w->base;
}

static void see_hash(void *arg, struct span bytes)
{
	hash_update(arg, bytes);
}

struct source *source_hash(struct source *in, struct hash *h, dray_error **err)
{
	return source_watch(in, (struct tap){ .see = see_hash, .arg = h }, err);
}

/* ---- verified ---- */

struct verified {
	struct source base;
	struct source *in;
	struct hash hash;
	struct digest expect;
	int64_t size; /* -1 = unknown */
	size_t ahead; /* bytes of the loan that are hashed and not consumed */
	bool proven;
	char *what;
};

static int size_mismatch(const struct verified *v, bool more, dray_error **err)
{
	char expected[32], actual[40];

	snprintf(expected, sizeof(expected), "%" PRId64 " bytes", v->size);
	snprintf(actual, sizeof(actual), "%s%" PRId64 " bytes", more ? "at least " : "",
		 v->hash.size);
	return err_mismatch(err, expected, actual, "%s %s (size)", v->what, v->expect.text);
}

/* All bytes were seen: compare. */
static int verified_prove(struct verified *v, dray_error **err)
{
	struct digest actual;

	v->proven = true;
	if (v->size >= 0 && v->hash.size != v->size)
		return size_mismatch(v, false, err);
	if (hash_finish(&v->hash, &actual, err) < 0)
		return -1;
	return digest_expect(&v->expect, &actual, v->what, err);
}

/* Hash what is new of the loan. */
static void verified_see(struct verified *v, struct span loan)
{
	if (loan.len <= v->ahead)
		return;
	if (v->proven)
		v->hash.size += (int64_t)(loan.len - v->ahead);
	else
		hash_update(&v->hash, span_from(loan, v->ahead));
	v->ahead = loan.len;
}

static int verified_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct verified *v = (struct verified *)s;

	if (source_peek(v->in, min, ret, err) < 0)
		return -1;
	verified_see(v, *ret);
	if (v->size >= 0 && v->hash.size > v->size)
		return size_mismatch(v, true, err);
	if (!v->proven && (ret->len < min || v->hash.size == v->size))
		return verified_prove(v, err);
	return 0;
}

static void verified_consume(struct source *s, size_t n)
{
	struct verified *v = (struct verified *)s;

	v->ahead -= n;
	source_consume(v->in, n);
}

static void verified_free(struct source *s)
{
	struct verified *v = (struct verified *)s;

	source_free(v->in);
	hash_clear(&v->hash);
	mem_free(v->what);
	mem_free(v);
}

static const struct source_ops verified_ops = {
	.peek = verified_peek,
	.consume = verified_consume,
	.free = verified_free,
};

struct source *source_verified_rest(struct source *in, struct hash *seen,
				    const struct digest *expect, int64_t size, const char *what,
				    dray_error **err)
{
	if (!in)
		return NULL;

	struct verified *v = stage_new(in, sizeof(*v), &verified_ops, err);

	if (!v)
		return NULL;
	v->in = in;
	v->expect = *expect;
	v->size = size;
	v->what = mem_strdup(what);
	if (!v->what) {
		err_nomem(err);
		verified_free(&v->base);
		return NULL;
	}
	v->hash = *seen;
	*seen = (struct hash){ 0 };
	return &v->base;
}

struct source *source_verified(struct source *in, const struct digest *expect, int64_t size,
			       const char *what, dray_error **err)
{
	cleanup_hash struct hash none = { 0 };

	if (!in)
		return NULL;
	if (hash_init(&none, expect->algo, err) < 0) {
		source_free(in);
		return NULL;
	}
	return source_verified_rest(in, &none, expect, size, what, err);
}

/* ---- torn ---- */

struct torn {
	struct source base;
	struct source *in;
	size_t piece;
	int64_t fail_at;
};

static int torn_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct torn *t = (struct torn *)s;
	int64_t good = t->fail_at < 0 ? INT64_MAX : t->fail_at - s->pos;

	if (source_peek(t->in, min, ret, err) < 0)
		return -1;

	/* A short loan would show the end, so it is kept whole. */
	size_t most = min - 1 + t->piece;

	if (most >= min && ret->len > most)
		ret->len = most;
	if (good < (int64_t)min && (int64_t)ret->len >= good)
		return err_set(err, DRAY_ERR_SYSTEM, "injected failure at byte %" PRId64,
			       t->fail_at);
	if ((int64_t)ret->len > good)
		ret->len = (size_t)good;
	return 0;
}

static void torn_consume(struct source *s, size_t n)
{
	source_consume(((struct torn *)s)->in, n);
}

static void torn_free(struct source *s)
{
	source_free(((struct torn *)s)->in);
	mem_free(s);
}

static const struct source_ops torn_ops = {
	.peek = torn_peek,
	.consume = torn_consume,
	.free = torn_free,
};

struct source *source_torn(struct source *in, size_t piece, int64_t fail_at, dray_error **err)
{
	if (!in)
		return NULL;

	struct torn *t = stage_new(in, sizeof(*t), &torn_ops, err);

	if (!t)
		return NULL;
	t->in = in;
	t->piece = piece;
	t->fail_at = fail_at;
	return &t->base;
}
