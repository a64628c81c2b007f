/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      feeding an upload from a source that may have to go back.
 * Relies:   on source_rewind() of those sources that can.
 * Promises: hash and progress see each byte once, in order; a source that ends early or goes on too long
 *           is CORRUPT before anything is committed.
 */
#include "remote/feed.h"

/*
 * Bytes of a pipe that are kept for going back: what a socket and a registry hold unconfirmed when a
 * connection breaks is mostly less.
 */
#define FEED_WINDOW (4 * 1024 * 1024)

int feed_init(struct feed *f, const struct blob_put *put, struct source *data, dray_error **err)
{
	enum digest_algo algo = digest_set(&put->desc.digest) ? put->desc.digest.algo
							      : DIGEST_SHA256;

	if (data && !source_can_rewind(data))
		data = source_replayable(data, FEED_WINDOW, err);
	*f = (struct feed){ .data = data, .claimed = put->desc.size, .total = -1 };
	f->progress = put->progress;
	if (!data)
		return -1;
	return hash_init(&f->hash, algo, err);
}

void feed_clear(struct feed *f)
{
	source_free(f->data);
	hash_clear(&f->hash);
	*f = (struct feed){ 0 };
}

/* Only what lies behind the high-water mark is new. */
static void show(struct feed *f, struct span s)
{
	int64_t seen = f->high - f->data->pos;

	if (seen >= (int64_t)s.len)
		return;
	s = span_from(s, (size_t)seen);
	hash_update(&f->hash, s);
	if (f->progress.see)
		f->progress.see(f->progress.arg, s);
	f->high += (int64_t)s.len;
}

static int ended(struct feed *f, dray_error **err)
{
	if (f->claimed >= 0 && f->data->pos != f->claimed)
		return err_set(err, DRAY_ERR_CORRUPT,
			       "the blob has %lld bytes, its descriptor says %lld",
			       (long long)f->data->pos, (long long)f->claimed);
	f->total = f->data->pos;
	return 0;
}

int64_t feed_pull(void *arg, void *data, size_t len, dray_error **err)
{
	struct feed *f = arg;
	struct span s;

	if (source_peek(f->data, 1, &s, err) < 0)
		return -1;
	if (!s.len)
		return ended(f, err);
	s = span_head(s, len);
	memcpy(data, s.data, s.len);
	show(f, s);
	source_consume(f->data, s.len);
	return (int64_t)s.len;
}

int feed_at_end(struct feed *f, dray_error **err)
{
	struct span s;

	if (f->total >= 0)
		return f->data->pos == f->total;
	if (source_peek(f->data, 1, &s, err) < 0)
		return -1;
	if (s.len && f->claimed >= 0 && f->data->pos >= f->claimed)
		return err_set(err, DRAY_ERR_CORRUPT,
			       "the blob goes on behind the %lld bytes that its descriptor says",
			       (long long)f->claimed);
	if (s.len)
		return 0;
	return ended(f, err) < 0 ? -1 : 1;
}

int feed_seek(struct feed *f, int64_t off, dray_error **err)
{
	if (off == f->data->pos)
		return 0;
	if (source_rewind(f->data, off, NULL) == 0)
		return 0;
	err_set(err, DRAY_ERR_NETWORK,
		"the connection broke; the registry holds %lld of %lld bytes sent, and what it "
		"lacks "
		"cannot be read again",
		(long long)off, (long long)f->high);
	return err_hint(err, "push from a file instead of a pipe, or try again");
}

int feed_finish(struct feed *f, const struct digest *expect, dray_error **err)
{
	if (digest_set(&f->digest))
		return 0;
	if (hash_finish(&f->hash, &f->digest, err) < 0)
		return -1;
	if (!digest_set(expect))
		return 0;
	return digest_expect(expect, &f->digest, "blob digest", err);
}
