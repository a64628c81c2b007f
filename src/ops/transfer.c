/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves one layer: source -> blob digest -> [decode -> DiffID -> encode] -> destination.
 * Relies on flow/ stages for the checks and on the destination to hash what it
 * stores. Promises that nothing unproven is committed and no byte is read twice,
 * except when an upload resumes.
 */
#include "ops/transfer.h"

#include "base/limits.h"
#include "base/mem.h"
#include "flow/filter.h"

#define REPLAY_WINDOW \
	(16 * MIB)	      /* what a broken upload from a pipe can still send again: more
					   than kernel socket buffers hold */
#define AHEAD (2 * MIB)	      /* bytes of a registry's answer that wait to be hashed and written */
#define TEE_ROOM (256 * 1024) /* decoded bytes at a time, thrown away after hashing */

enum compression compression_declared(const char *media_type)
{
	struct span mt = span_str(media_type ? media_type : "");

	return span_ends(mt, "gzip")   ? COMPRESSION_GZIP
	       : span_ends(mt, "zstd") ? COMPRESSION_ZSTD
				       : COMPRESSION_NONE;
}

/* ---- progress: stored bytes seen, also when a stream starts again ---- */

struct meter {
	const struct transfer *t;
	uint64_t id;
	int64_t pos;  /* of the current run through the source */
	int64_t high; /* furthest */
};

static void meter_tell(const struct meter *m, enum dray_progress_state state, const char *detail)
{
	context_progress(m->t->ctx, &(struct dray_progress){
					    .state = state,
					    .id = m->id,
					    .label = m->t->label,
					    .done = m->high,
					    .total = m->t->total,
					    .detail = detail,
				    });
}

static void meter_see(void *arg, struct span bytes)
{
	struct meter *m = arg;

	m->pos += (int64_t)bytes.len;
	if (m->pos <= m->high)
		return;
	m->high = m->pos;
	meter_tell(m, DRAY_PROGRESS_BYTES, NULL);
}

static void meter_begin(struct meter *m, const struct transfer *t)
{
	*m = (struct meter){ .t = t, .id = context_progress_id(t->ctx) };
	meter_tell(m, DRAY_PROGRESS_BEGIN, NULL);
}

/* ---- the DiffID of bytes that pass untouched ---- */

/* A decoder, of what is compressed, fed from a tap: a tap cannot fail, so the first error waits here. */
struct tee {
	struct filter *filter;
	struct hash hash;
	uint8_t *room;
	dray_error *failed;
	bool ended;
};

static void tee_clear(struct tee *tee)
{
	filter_free(tee->filter);
	hash_clear(&tee->hash);
	mem_free(tee->room);
	dray_error_free(tee->failed);
	*tee = (struct tee){ 0 };
}
#define cleanup_tee CLEANUP(tee_clear)

static int tee_init(struct tee *tee, enum compression c, dray_error **err)
{
	*tee = (struct tee){ 0 };
	if (hash_init(&tee->hash, DIGEST_SHA256, err) < 0)
		return -1;
	tee->room = mem_alloc(TEE_ROOM);
	if (!tee->room)
		return err_nomem(err);
	tee->filter = decode_filter(c, NULL, err);
	return tee->filter ? 0 : -1;
}

static void tee_step(struct tee *tee, struct span *in, bool end)
{
	enum filter_state state;

	do {
		struct room out = { tee->room, TEE_ROOM };
		bool full;

		state = tee->filter->ops->step(tee->filter, in, &out, end, &tee->failed);
		if (state == FILTER_FAILED)
			return;
		hash_update(&tee->hash, span_of(tee->room, TEE_ROOM - out.len));
		tee->ended = state == FILTER_END;
		full = out.len == 0;
		if (!full && in->len == 0 && !end)
			return;
	} while (state != FILTER_END);
}

static void tee_see(void *arg, struct span bytes)
{
	struct tee *tee = arg;

	if (!tee->failed && !tee->ended)
		tee_step(tee, &bytes, false);
}

/* The DiffID of all that was seen; call after the last byte. */
static int tee_finish(struct tee *tee, struct digest *ret, int64_t *ret_size, dray_error **err)
{
	struct span none = { NULL, 0 };

	if (!tee->failed && !tee->ended)
		tee_step(tee, &none, true);
	if (tee->failed) {
		if (err)
			*err = steal_pointer(&tee->failed);
		return err_ctx(err, "while its DiffID was computed");
	}
	*ret_size = tee->hash.size;
	return hash_finish(&tee->hash, ret, err);
}

/* ---- random access ---- */

/* Everything that makes the stored bytes, as often as asked. */
struct chain {
	const struct transfer *t;
	struct layer_opener from;
	struct meter *meter;
	enum compression found;
};

static struct source *open_stored(struct chain *c, int64_t off, dray_error **err)
{
	struct source *s = store_open_layer_at(c->from.store, c->from.image, c->from.index, off,
					       err);

	/* The network has a thread of its own, so that it flows on while we hash and write. */
	if (c->t->dear && c->t->blob_size > AHEAD)
		s = source_readahead(s, AHEAD, err);

	c->meter->pos = off;
	return source_watch(s, (struct tap){ meter_see, c->meter }, err);
}

static struct source *open_checked(struct chain *c, dray_error **err)
{
	const struct transfer *t = c->t;
	struct source *s = open_stored(c, 0, err);

	if (digest_set(&t->blob_digest))
		s = source_verified(s, &t->blob_digest, t->blob_size, "blob digest", err);
	return s;
}

static struct source *open_converted(void *arg, dray_error **err)
{
	struct chain *c = arg;
	const struct transfer *t = c->t;
	struct pool *pool = context_pool(t->ctx, err);
	struct source *s = pool ? open_checked(c, err) : NULL;

	s = source_decode_auto(s, &c->found, err);
	if (digest_set(&t->diff_id))
		s = source_verified(s, &t->diff_id, -1, "DiffID", err);
	return source_encode(s, &t->how.encode, pool, err);
}

static int put(const struct transfer *t, const struct digest *expect, int64_t size,
	       struct source *s, struct transferred *ret, dray_error **err)
{
	struct blob_put blob = {
		.desc = { .size = size },
		.label = t->label,
	};

	if (expect) {
		blob.desc.digest = *expect;
		blob.keep_partial = t->dear;
	}
	if (!s)
		return -1;
	return dest_put_blob(t->dest, &blob, s, &ret->digest, &ret->size, err);
}

static int move_converted(const struct transfer *t, struct chain *c, struct transferred *ret,
			  dray_error **err)
{
	struct source *s = source_reopenable(open_converted, c, NULL, err);

	if (put(t, NULL, -1, s, ret, err) < 0)
		return -1;
	ret->compression = encoding_compression(t->how.encode.encoding);
	return 0;
}

/* A tap that starts again with its source would hash bytes twice: only what is new counts. */
struct once {
	struct tap to;
	int64_t pos;  /* of the current run through the source */
	int64_t seen; /* furthest */
};

static void once_see(void *arg, struct span bytes)
{
	struct once *o = arg;
	int64_t begin = o->pos;

	o->pos += (int64_t)bytes.len;
	if (o->pos <= o->seen)
		return;
	if (begin < o->seen)
		bytes = span_from(bytes, (size_t)(o->seen - begin));
	o->seen = o->pos;
	o->to.see(o->to.arg, bytes);
}

struct untouched {
	struct chain chain;
	struct once once;
	bool vouched;
	bool begun;
};

/* From the start again, and checked all along: what was read before may differ now. */
static struct source *open_again(struct untouched *u, int64_t off, dray_error **err)
{
	cleanup_source struct source *s = open_checked(&u->chain, err);

	u->once.pos = 0;
	if (u->once.to.see)
		s = source_watch(steal_pointer(&s), (struct tap){ once_see, &u->once }, err);
	if (!s)
		return NULL;
	int64_t got = source_skip(s, off, err);
	if (got >= 0 && got < off)
		err_set(err, DRAY_ERR_CORRUPT, "read again, it ends at byte %lld", (long long)got);
	return got == off ? steal_pointer(&s) : NULL;
}

/*
 * The first time the destination itself holds all bytes against the digest that somebody vouched
 * for, also those before @p off, which a killed run left it: a second hash would prove nothing.
 */
static struct source *open_untouched(void *arg, int64_t off, dray_error **err)
{
	struct untouched *u = arg;
	bool first = !u->begun;

	u->begun = true;
	return first && u->vouched ? open_stored(&u->chain, off, err) : open_again(u, off, err);
}

/*
 * Stored bytes go as they are. Where a manifest vouches for the blob, that is
 * what is checked; an archive that only knows DiffIDs has the DiffID computed beside.
 */
static int move_untouched(const struct transfer *t, struct chain *c, struct transferred *ret,
			  dray_error **err)
{
	cleanup_tee struct tee tee = { 0 };
	bool vouched = digest_set(&t->blob_digest);
	bool proven = vouched || !digest_set(&t->diff_id);
	bool beside = !proven && t->found != COMPRESSION_NONE;
	struct untouched u = { .chain = *c, .vouched = vouched };
	struct digest diff_id;
	int64_t size;

	ret->compression = t->found;
	if (beside) {
		if (tee_init(&tee, t->found, err) < 0)
			return -1;
		u.once.to = (struct tap){ tee_see, &tee };
	}
	if (put(t, vouched ? &t->blob_digest : NULL, t->blob_size,
		source_reopenable_at(open_untouched, &u, NULL, err), ret, err) < 0)
		return -1;
	if (proven)
		return 0;
	diff_id = ret->digest; /* of bytes that are not compressed: the destination hashed them */
	if (beside && tee_finish(&tee, &diff_id, &size, err) < 0)
		return -1;
	return digest_expect(&t->diff_id, &diff_id, "DiffID", err);
}

int transfer_layer(const struct transfer *t, const struct layer_opener *from,
		   struct transferred *ret, dray_error **err)
{
	struct meter meter;
	struct chain chain = { .t = t, .from = *from, .meter = &meter };
	int failed;

	*ret = (struct transferred){ 0 };
	meter_begin(&meter, t);
	failed = t->how.convert ? move_converted(t, &chain, ret, err)
				: move_untouched(t, &chain, ret, err);
	meter_tell(&meter, failed < 0 ? DRAY_PROGRESS_FAILED : DRAY_PROGRESS_DONE, NULL);
	return failed;
}

/* ---- forward walks ---- */

/* What a broken upload may want again; a file never does. */
static struct source *keep_window(const struct transfer *t, struct pool *pool, struct source *s,
				  dray_error **err)
{
	if (t->dest->forward)
		return s;
	return source_replayable_from(pool ? pool_spares(pool) : NULL, s, REPLAY_WINDOW, err);
}

/* Stored bytes that are decoded and compressed anew. Both their digests are for the documents. */
static int passing_converted(const struct transfer *t, struct source *stored,
			     enum compression found, struct transferred *ret, dray_error **err)
{
	cleanup_hash struct hash blob = { 0 }, diff = { 0 };
	struct blob_facts *f = &ret->facts;
	struct pool *pool = context_pool(t->ctx, err);
	struct source *s = stored;

	if (!pool || hash_init(&blob, DIGEST_SHA256, err) < 0 ||
	    hash_init(&diff, DIGEST_SHA256, err) < 0) {
		source_free(stored);
		return -1;
	}
	if (found != COMPRESSION_NONE)
		s = source_decode(source_hash(s, &blob, err), found, NULL, err);
	s = source_hash(s, &diff, err);
	s = source_encode(s, &t->how.encode, pool, err);
	s = keep_window(t, pool, s, err);
	if (put(t, NULL, -1, s, ret, err) < 0)
		return -1;
	ret->compression = encoding_compression(t->how.encode.encoding);
	f->size = diff.size;
	f->blob_size = found != COMPRESSION_NONE ? blob.size : diff.size;
	if (hash_finish(&diff, &f->diff_id, err) < 0)
		return -1;
	f->blob_digest = f->diff_id; /* of uncompressed bytes they are one */
	return found != COMPRESSION_NONE ? hash_finish(&blob, &f->blob_digest, err) : 0;
}

/* Stored bytes as they are: the destination learns their digest, which need not be computed twice. */
static int passing_untouched(const struct transfer *t, struct source *stored,
			     enum compression found, struct transferred *ret, dray_error **err)
{
	cleanup_tee struct tee tee = { 0 };
	struct blob_facts *f = &ret->facts;
	struct source *s = stored;

	ret->compression = found;
	if (found != COMPRESSION_NONE) {
		if (tee_init(&tee, found, err) < 0) {
			source_free(stored);
			return -1;
		}
		s = source_watch(s, (struct tap){ tee_see, &tee }, err);
	}
	s = keep_window(t, NULL, s, err);
	if (put(t, NULL, t->blob_size, s, ret, err) < 0)
		return -1;
	f->blob_digest = f->diff_id = ret->digest;
	f->blob_size = f->size = ret->size;
	return found != COMPRESSION_NONE ? tee_finish(&tee, &f->diff_id, &f->size, err) : 0;
}

int transfer_passing(const struct transfer *t, struct source *data, enum compression found,
		     struct transferred *ret, dray_error **err)
{
	struct meter meter;
	struct source *s;
	int failed;

	*ret = (struct transferred){ .facts = { .compression = found } };
	meter_begin(&meter, t);
	s = source_lend(data, err);
	s = source_watch(s, (struct tap){ meter_see, &meter }, err);
	failed = t->how.convert ? passing_converted(t, s, found, ret, err)
				: passing_untouched(t, s, found, ret, err);
	meter_tell(&meter, failed < 0 ? DRAY_PROGRESS_FAILED : DRAY_PROGRESS_DONE, NULL);
	return failed;
}
