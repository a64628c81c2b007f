/* SPDX-License-Identifier: Apache-2.0
 *
 * One layer on its way: in pieces of every size, failing at every byte, started again by who
 * stores it; what arrives is right or does not arrive.
 */
#include "ops_box.h"
#include "stream.h"

#include "base/mem.h"
#include "ops/transfer.h"

/* A place with one layer, which arrives in pieces. */
struct torn_store {
	struct store base;
	struct span bytes;
	size_t piece;
	int64_t fail_at;
};

static struct source *torn_open(struct store *st, const struct image *im, size_t i,
				dray_error **err)
{
	struct torn_store *t = (struct torn_store *)st;

	(void)im, (void)i;
	return torn_span(t->bytes, t->piece, t->fail_at, err);
}

static const struct store_ops torn_ops = { .open_layer = torn_open };

/* A destination that keeps the last blob, after reading a part and starting again. */
struct again_dest {
	struct dest base;
	int64_t again_at; /* -1 = read it in one go */
	int64_t back_to;
	struct buf got;
	struct digest digest;
};

static int again_put(struct dest *d, const struct blob_put *put, struct source *data,
		     struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	struct again_dest *a = (struct again_dest *)d;
	cleanup_source struct source *s = data;

	buf_clear(&a->got);
	a->got = tb_new();
	while (a->again_at >= 0 && (int64_t)a->got.len < a->again_at) {
		struct span some;

		if (source_peek(s, 1, &some, err) < 0)
			return -1;
		if (some.len == 0)
			break;
		some = span_head(some, some.len < 100 ? some.len : 100);
		tb_bytes(&a->got, some.data, some.len);
		source_consume(s, some.len);
	}
	if (a->again_at >= 0) {
		int64_t off = a->back_to < (int64_t)a->got.len ? a->back_to : (int64_t)a->got.len;

		if (source_rewind(s, off, err) < 0)
			return -1;
		a->got.len = (size_t)off;
	}
	if (source_slurp(s, &a->got, err) < 0 || digest_of(span_buf(&a->got), ret_digest, err) < 0)
		return -1;
	*ret_size = (int64_t)a->got.len;
	/* As every destination does with a digest that it is told. */
	return digest_set(&put->desc.digest)
		       ? digest_expect(&put->desc.digest, ret_digest, "blob digest", err)
		       : 0;
}

static const struct dest_ops again_ops = { .put_blob = again_put };

/* All that a transfer needs. */
struct rig {
	dray_context *ctx;
	struct torn_store store;
	struct again_dest dest;
	struct image image;
	struct transfer t;
};

static void rig_init(struct rig *r, struct box *b, const struct piece *p)
{
	*r = (struct rig){
		.store = { .base = { .ops = &torn_ops },
			   .bytes = span_buf(&p->stored),
			   .piece = SIZE_MAX,
			   .fail_at = -1 },
		.dest = { .base = { .ops = &again_ops }, .again_at = -1 },
	};
	r->t = (struct transfer){
		.ctx = b->ctx,
		.dest = &r->dest.base,
		.label = "layer",
		.total = -1,
		.blob_size = -1,
		.diff_id = p->diff_id,
	};
}

static int rig_run(struct rig *r, struct transferred *ret, dray_error **err)
{
	const struct layer_opener from = { &r->store.base, &r->image, 0 };

	return transfer_layer(&r->t, &from, ret, err);
}

/* Four ways: untouched with a blob digest, untouched with a DiffID, to gzip, to zstd. */
enum { VOUCHED, BY_DIFF_ID, TO_GZIP, TO_ZSTD, MODES };

static void rig_mode(struct rig *r, const struct piece *p, int mode)
{
	r->t.how.convert = mode >= TO_GZIP;
	r->t.how.encode = (struct encode_params){ mode == TO_ZSTD ? ENCODING_ZSTD : ENCODING_GZIP,
						  0 };
	if (mode == VOUCHED) {
		r->t.blob_digest = p->blob;
		r->t.blob_size = (int64_t)p->stored.len;
	}
	r->t.found = p->compression;
}

static struct piece *noise(struct box *b, size_t len, enum encoding encoding)
{
	cleanup_buf struct buf bytes = make_bytes(len, 7);
	struct piece *p = box_raw_piece(b, span_buf(&bytes));

	box_squeeze(p, encoding);
	assert_int_equal(digest_of(span_buf(&p->stored), &p->blob, NULL), 0);
	return p;
}

static void check_result(const struct rig *r, const struct piece *p, int mode,
			 const struct transferred *out)
{
	cleanup_buf struct buf plain = tb_new();
	dray_error *err = NULL;
	struct source *s = source_from_span(span_buf(&r->dest.got), &err);

	s = source_decode_auto(s, NULL, &err);
	assert_ok(slurp(s, &plain, &err), err);
	assert_true(span_eq(span_buf(&plain), span_buf(&p->tar)));
	assert_int_equal(out->size, r->dest.got.len);
	if (mode < TO_GZIP) {
		assert_true(span_eq(span_buf(&r->dest.got), span_buf(&p->stored)));
		assert_true(digest_eq(&out->digest, &p->blob));
		assert_int_equal(out->compression, p->compression);
	} else {
		assert_int_equal(out->compression,
				 mode == TO_ZSTD ? COMPRESSION_ZSTD : COMPRESSION_GZIP);
	}
}

static const enum encoding encodings[] = { ENCODING_NONE, ENCODING_GZIP, ENCODING_ZSTD };

static void transfer_in_pieces(void **state)
{
	for (size_t e = 0; e < ROWS(encodings); e++) {
		const struct piece *p = noise(*state, 20000, encodings[e]);

		for (int mode = 0; mode < MODES; mode++) {
			struct digest first = { 0 };

			for (size_t i = 0; i < ROWS(stream_pieces); i++) {
				struct rig r;
				struct transferred out;
				dray_error *err = NULL;

				rig_init(&r, *state, p);
				rig_mode(&r, p, mode);
				r.store.piece = stream_pieces[i];
				assert_ok(rig_run(&r, &out, &err), err);
				check_result(&r, p, mode, &out);
				if (i == 0)
					first = out.digest;
				assert_true(digest_eq(&first, &out.digest));
				buf_clear(&r.dest.got);
			}
		}
	}
}

/* Torn at any byte: the failure arrives, whatever the mode. */
static void transfer_torn(void **state)
{
	for (size_t e = 0; e < ROWS(encodings); e++) {
		const struct piece *p = noise(*state, 600, encodings[e]);

		for (int mode = 0; mode < MODES; mode++) {
			for (size_t at = 0; at <= p->stored.len; at += 13) {
				struct rig r;
				struct transferred out;
				dray_error *err = NULL;

				rig_init(&r, *state, p);
				rig_mode(&r, p, mode);
				r.store.piece = 100;
				r.store.fail_at = (int64_t)at;
				assert_int_equal(rig_run(&r, &out, &err), -1);
				assert_non_null(err);
				err_clear(&err);
				buf_clear(&r.dest.got);
			}
		}
	}
}

/* An upload that starts again, near or far, hashes no byte twice and sends the same bytes. */
static void transfer_again(void **state)
{
	static const int64_t backs[] = { 0, 1, 777, 5000 };

	for (size_t e = 0; e < ROWS(encodings); e++) {
		const struct piece *p = noise(*state, 30000, encodings[e]);

		for (int mode = 0; mode < MODES; mode++) {
			for (size_t i = 0; i < ROWS(backs); i++) {
				struct rig r;
				struct transferred out;
				dray_error *err = NULL;

				rig_init(&r, *state, p);
				rig_mode(&r, p, mode);
				r.dest.again_at = 6000;
				r.dest.back_to = backs[i];
				assert_ok(rig_run(&r, &out, &err), err);
				check_result(&r, p, mode, &out);
				buf_clear(&r.dest.got);
			}
		}
	}
}

/* Wrong bytes are CORRUPT in every mode: by the blob digest where there is one, else by DiffID. */
static void transfer_wrong(void **state)
{
	for (int mode = 0; mode < MODES; mode++) {
		struct box *b = *state;
		const struct piece *p = noise(b, 3000, ENCODING_NONE);
		const struct piece *other = noise(b, 3001, ENCODING_GZIP);
		struct transferred out;
		struct rig r;
		dray_error *err = NULL;

		rig_init(&r, b, p);
		rig_mode(&r, p, mode);
		r.store.bytes = span_buf(&other->stored);
		assert_int_equal(rig_run(&r, &out, &err), -1);
		assert_err(err, DRAY_ERR_CORRUPT, mode == VOUCHED ? "blob digest" : "DiffID");
		buf_clear(&r.dest.got);
	}
}

/* ---- what passes once ---- */

static void passing(void **state)
{
	for (size_t e = 0; e < ROWS(encodings); e++) {
		const struct piece *p = noise(*state, 20000, encodings[e]);

		for (int mode = BY_DIFF_ID; mode < MODES; mode++) {
			for (size_t i = 0; i < ROWS(stream_pieces); i++) {
				struct rig r;
				struct transferred out;
				struct source *s;
				dray_error *err = NULL;

				rig_init(&r, *state, p);
				rig_mode(&r, p, mode);
				r.t.diff_id = (struct digest){ 0 };
				/* back within the window, as a broken upload goes */
				r.dest.again_at = i % 2 ? 4000 : -1;
				r.dest.back_to = 1000;
				s = torn_span(span_buf(&p->stored), stream_pieces[i], -1, &err);
				assert_ok(transfer_passing(&r.t, s, p->compression, &out, &err),
					  err);
				source_free(s);
				check_result(&r, p, mode, &out);
				assert_true(digest_eq(&out.facts.diff_id, &p->diff_id));
				assert_true(digest_eq(&out.facts.blob_digest, &p->blob));
				assert_int_equal(out.facts.blob_size, p->stored.len);
				assert_int_equal(out.facts.size, p->tar.len);
				assert_int_equal(out.facts.compression, p->compression);
				buf_clear(&r.dest.got);
			}
		}
	}
}

static void passing_torn(void **state)
{
	for (size_t e = 0; e < ROWS(encodings); e++) {
		const struct piece *p = noise(*state, 600, encodings[e]);

		for (int mode = BY_DIFF_ID; mode < MODES; mode++) {
			for (size_t at = 0; at <= p->stored.len; at += 13) {
				struct rig r;
				struct transferred out;
				struct source *s;
				dray_error *err = NULL;

				rig_init(&r, *state, p);
				rig_mode(&r, p, mode);
				s = torn_span(span_buf(&p->stored), 100, (int64_t)at, &err);
				assert_int_equal(
					transfer_passing(&r.t, s, p->compression, &out, &err), -1);
				assert_non_null(err);
				err_clear(&err);
				source_free(s);
				buf_clear(&r.dest.got);
			}
		}
	}
}

/* Into the place in memory, as into any other: a blob of the wrong digest does not appear. */
static void transfer_to_memory(void **state)
{
	struct box *b = *state;
	const struct piece *p = noise(b, 5000, ENCODING_GZIP);
	dray_error *err = NULL;
	cleanup_store struct store *memory = store_memory_new(&err);
	cleanup_dest struct dest *dest = dest_memory(memory, &err);
	struct descriptor desc = { .digest = p->blob, .size = (int64_t)p->stored.len };
	struct transferred out;
	struct rig r;

	assert_non_null(dest);
	rig_init(&r, b, p);
	rig_mode(&r, p, VOUCHED);
	r.t.dest = dest;
	r.t.blob_digest.text[10] ^= 1;
	assert_int_equal(rig_run(&r, &out, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
	assert_int_equal(dest_has_blob(dest, &desc, &err), 0);
	r.t.blob_digest = p->blob;
	assert_ok(rig_run(&r, &out, &err), err);
	assert_int_equal(dest_has_blob(dest, &desc, &err), 1);
}

static void declared_compression(void **state)
{
	static const struct {
		const char *media_type;
		enum compression want;
	} rows[] = {
		{ MT_DOCKER_LAYER, COMPRESSION_NONE },
		{ MT_DOCKER_LAYER_GZIP, COMPRESSION_GZIP },
		{ MT_DOCKER_LAYER_ZSTD, COMPRESSION_ZSTD },
		{ MT_OCI_LAYER, COMPRESSION_NONE },
		{ MT_OCI_LAYER_GZIP, COMPRESSION_GZIP },
		{ MT_OCI_LAYER_ZSTD, COMPRESSION_ZSTD },
		{ MT_DOCKER_FOREIGN_GZIP, COMPRESSION_GZIP },
		{ NULL, COMPRESSION_NONE },
		{ "", COMPRESSION_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(compression_declared(rows[i].media_type), rows[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(transfer_in_pieces),
		box_test(transfer_torn),
		box_test(transfer_again),
		box_test(transfer_wrong),
		box_test(passing),
		box_test(passing_torn),
		box_test(transfer_to_memory),
		cmocka_unit_test(declared_compression),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
