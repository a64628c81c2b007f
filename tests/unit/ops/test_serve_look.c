/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks into layers that mean no good: they end.
 */
#include "ops_box.h"

#include "base/mem.h"
#include "ops/serve_look.h"
#include "tar_build.h"

#define EMPTY "\0\0\0\xff\xff" /* a block of deflate that holds nothing */
#define LENT ((sizeof(EMPTY) - 1) * 1000)
#define LENT_MAX 1000 /* times; a look that goes on for so long does not end */

/* ---- a shelf of one layer ---- */

struct one {
	struct shelf base;
	struct looker *k;
	struct buf layer; /* of which EMPTY follow for ever, where endless */
	bool endless;
	bool packed;	/* layer is what it decodes to, or would */
	struct buf zip; /* ... from */
	size_t stop_at; /* looks are stopped when so much was lent of those; 0 = never */
	size_t lent;
};

struct endless {
	struct source base;
	struct one *of;
	struct buf bytes;
	size_t at;
};

static int endless_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct endless *e = (struct endless *)s;

	(void)min;
	if (e->at >= e->bytes.len) {
		e->at -= LENT; /* what is behind the head repeats */
		atomic_store(&e->of->k->stop, ++e->of->lent == e->of->stop_at);
	}
	if (e->of->lent == LENT_MAX)
		return err_set(err, DRAY_ERR_SYSTEM, "nobody stops");
	*ret = span_from(span_buf(&e->bytes), e->at);
	return 0;
}

static void endless_consume(struct source *s, size_t n)
{
	((struct endless *)s)->at += n;
}

static void endless_free(struct source *s)
{
	buf_clear(&((struct endless *)s)->bytes);
	mem_free(s);
}

static const struct source_ops endless_ops = {
	.peek = endless_peek,
	.consume = endless_consume,
	.free = endless_free,
};

static struct source *endless_new(struct one *of)
{
	struct endless *e = mem_zalloc(sizeof(*e));

	e->base.ops = &endless_ops;
	e->of = of;
	e->bytes = tb_new();
	tb_bytes(&e->bytes, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
	for (size_t i = 0; i < LENT; i += sizeof(EMPTY) - 1)
		tb_bytes(&e->bytes, EMPTY, sizeof(EMPTY) - 1);
	return &e->base;
}

static int one_blob(struct shelf *s, const char *repo, const struct digest *digest, bool content,
		    struct shelf_blob *ret, dray_error **err)
{
	struct one *o = (struct one *)s;

	(void)repo, (void)digest, (void)content;
	ret->size = o->endless ? INT64_MAX : (int64_t)o->layer.len;
	ret->packed = o->packed;
	ret->data = o->endless ? endless_new(o)
			       : source_from_span(span_buf(o->packed ? &o->zip : &o->layer), err);
	return ret->data ? 0 : -1;
}

static const struct shelf_ops one_ops = { .blob = one_blob };

/* Of an image with that layer @p n times. */
static int look(struct one *o, size_t n, struct serve_layer *ret, dray_error **err)
{
	struct looker k = { .ctx = box_context(1), .shelf = &o->base };
	struct descriptor layers[3] = { 0 };
	const struct manifest m = { .entries = layers, .n_entries = n };
	int rc;

	o->base.ops = &one_ops;
	o->k = &k;
	for (size_t i = 0; i < n; i++) {
		layers[i].size = o->endless ? INT64_MAX : (int64_t)o->layer.len;
		assert_int_equal(digest_of(span_buf(&o->layer), &layers[i].digest, err), 0);
	}
	rc = looker_look(&k, "a", &m, ret, err);
	assert_false(atomic_load(&k.busy));
	dray_context_free(k.ctx);
	return rc;
}

/* ---- looks ---- */

/* A stream of which nothing comes is left when the server stops. */
static void stops(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		struct one o = { .endless = true, .packed = packed, .stop_at = 10 };
		struct serve_layer found[1];
		dray_error *err = NULL;

		assert_int_equal(look(&o, 1, found, &err), -1);
		assert_err(err, DRAY_ERR_CANCELLED, "the server stops");
		assert_int_equal(o.lent, 10);
	}
}

/* A layer that its place keeps compressed and that has no other digest than its tar's. */
static void packed_layers(void **state)
{
	struct piece squeezed = { .tar = tb_new(), .stored = tb_new() };
	struct one o = { .layer = squeezed.tar, .packed = true };
	struct serve_layer found[1];
	dray_error *err = NULL;

	(void)state;
	tb_file(&o.layer, "a", "abc");
	tb_end(&o.layer);
	squeezed.tar = o.layer;
	box_squeeze(&squeezed, ENCODING_GZIP);
	o.zip = squeezed.stored;
	assert_ok(look(&o, 1, found, &err), err);
	assert_int_equal(found[0].files, 3);
	assert_int_equal(found[0].size, o.layer.len);
	/* Of another tar than the digest says. */
	o.layer.data[0] ^= 1;
	assert_int_equal(look(&o, 1, found, &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "blob digest");
	buf_clear(&o.zip);
	buf_clear(&o.layer);
}

/* Text is counted over all layers. */
static void much_text(void **state)
{
	cleanup_buf struct buf value = tb_new(), records = tb_new();
	struct one o = { .layer = tb_new() };
	struct serve_layer found[3];
	dray_error *err = NULL;

	(void)state;
	tb_zeros(&value, 900000);
	memset(value.data, 'x', value.len);
	tb_bytes(&value, "", 1);
	tb_record(&records, "SCHILY.xattr.user.a", (const char *)value.data);
	for (size_t i = 0; i < 30; i++) {
		tb_ext(&o.layer, 'x', records.data, records.len);
		tb_file(&o.layer, (char[]){ (char)('A' + i), 0 }, "abc");
	}
	tb_end(&o.layer);
	assert_ok(look(&o, 2, found, &err), err);
	assert_int_equal(found[0].hidden, 90);
	assert_int_equal(found[1].files, 90);
	assert_int_equal(look(&o, 3, found, &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "64 MiB of names");
	buf_clear(&o.layer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stops),
		cmocka_unit_test(packed_layers),
		cmocka_unit_test(much_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
