/* SPDX-License-Identifier: Apache-2.0 */
/* For: decoding members side by side.
 * Relies on: the ordinary decoder as the judge.
 * Promises: the same bytes and the same verdict, whatever was done to the members.
 */
#include "codec/codec_priv.h"
#include "stream.h"
#include "torture.h"

#define SIZE ((5 << 20) + 12345) /* five whole members and one that is not */
#define PACKED_MAX (2 * SIZE)
#define JUMP 100001 /* bytes consumed of each large peek */
#define AHEAD (300 * 1024)

static struct buf bytes, packed;

static int encode_all(void **state)
{
	const struct encode_params p = { .encoding = ENCODING_GZIP };
	dray_error *err = NULL;

	(void)state;
	bytes = make_bytes(SIZE, 70);
	packed = BUF_INIT(PACKED_MAX);
	assert_ok(slurp(source_encode(source_from_span(span_buf(&bytes), &err), &p, NULL, &err),
			&packed, &err),
		  err);
	return 0;
}

static int forget_all(void **state)
{
	(void)state;
	buf_clear(&bytes);
	buf_clear(&packed);
	return 0;
}

static uint32_t length_at(size_t at)
{
	uint32_t len;

	memcpy(&len, packed.data + at + 16, sizeof(len));
	return len;
}

/* Where member @n begins. */
static size_t member(size_t n)
{
	size_t at = 0;

	while (n--)
		at += length_at(at);
	return at;
}

static void same_bytes_for_any_threads_and_pieces(void **state)
{
	static const int threads[] = { 0, 1, 3 };
	static const size_t pieces[] = { 4093, SIZE_MAX };

	(void)state;
	for (size_t i = 0; i < 2 * ROWS(threads) * ROWS(pieces); i++) {
		int n = threads[i % ROWS(threads)];
		dray_error *err = NULL;
		struct pool *pool = n ? pool_new(n, &err) : NULL;
		cleanup_buf struct buf b = BUF_INIT(SIZE);
		enum compression c = COMPRESSION_NONE;
		struct source *in = torn_span(span_buf(&packed),
					      pieces[i / ROWS(threads) % ROWS(pieces)], -1, &err);
		size_t ahead = i < ROWS(threads) * ROWS(pieces) ? 0 : AHEAD;

		assert_ok(slurp(source_decode_pool(in, pool, ahead, &c, &err), &b, &err), err);
		assert_int_equal(c, COMPRESSION_GZIP);
		assert_true(span_eq(span_buf(&b), span_buf(&bytes)));
		pool_free(pool);
	}
}

/* ---- spoiled ---- */

enum spoil { FLIP, CUT, LENGTH, INSERT, REPLACE };

struct spoiled {
	const char *name;
	enum spoil how;
	size_t member; /* what is at @off of it */
	int64_t off;   /* below 0: from its end */
	uint32_t value;
	struct span with;
	bool sound;
};

/* Of one member with no field: "hello\n". */
static const uint8_t foreign[] = {
	0x1f, 0x8b, 8,	  0,	0, 0,	 0,    0,    0,	   3, 0xcb, 0x48, 0xcd,
	0xc9, 0xc9, 0xe7, 0x02, 0, 0x20, 0x30, 0x3a, 0x36, 6, 0,    0,	  0,
};
static const uint8_t empty[] = {
	0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, 'D', 'r', 4,
	0,    30,   0, 0, 0, 3, 0, 0, 0, 0,   0, 0, 0,	 0,   0,
};
static const uint8_t zeros[700], junk[] = "junk behind the end of everything";

static void spoil(const struct spoiled *s, struct buf *b)
{
	size_t at = s->off < 0 ? member(s->member + 1) : member(s->member);
	dray_error *err = NULL;
	struct span all = span_buf(&packed);

	at = (size_t)((int64_t)at + s->off);
	assert_ok(buf_add(b, span_head(all, at), &err), err);
	if (s->how == INSERT || s->how == REPLACE)
		assert_ok(buf_add(b, s->with, &err), err);
	if (s->how == REPLACE)
		at = member(s->member + 1);
	if (s->how != CUT)
		assert_ok(buf_add(b, span_from(all, at), &err), err);
	if (s->how == FLIP)
		b->data[at] ^= (uint8_t)s->value;
	if (s->how == LENGTH)
		memcpy(b->data + at, &s->value, sizeof(s->value));
}

/* Behind "gunzip at byte N". */
static const char *verdict(const dray_error *err)
{
	const char *colon = err ? strstr(dray_error_message(err), ": ") : "";

	return colon ? colon : dray_error_message(err);
}

static void judge(const struct spoiled *s, struct pool *pool, size_t ahead)
{
	cleanup_buf struct buf spoilt = BUF_INIT(PACKED_MAX), one = BUF_INIT(PACKED_MAX),
			       many = BUF_INIT(PACKED_MAX);
	dray_error *err = NULL, *err_one = NULL, *err_many = NULL;
	int rc_one, rc_many;

	spoil(s, &spoilt);
	rc_one = slurp(
		source_decode_auto(source_from_span(span_buf(&spoilt), &err), NULL, &err_one), &one,
		&err_one);
	rc_many = slurp(source_decode_pool(source_from_span(span_buf(&spoilt), &err), pool, ahead,
					   NULL, &err_many),
			&many, &err_many);
	if (rc_one != rc_many || (rc_one == 0) != s->sound ||
	    strcmp(verdict(err_one), verdict(err_many)) != 0)
		fail_msg("%s: %s, but %s", s->name, rc_one ? dray_error_message(err_one) : "sound",
			 rc_many ? dray_error_message(err_many) : "sound");
	if (rc_one == 0)
		assert_true(span_eq(span_buf(&one), span_buf(&many)));
	else
		assert_int_equal(dray_error_kind(err_one), dray_error_kind(err_many));
	err_clear(&err_one);
	err_clear(&err_many);
}

static void the_same_verdict_on_spoiled_members(void **state)
{
	const struct spoiled rows[] = {
		{ "nothing", FLIP, 0, 0, .value = 0, .sound = true },
		{ "magic of the first", FLIP, 0, 1, .value = 1, .sound = true },
		{ "magic of the third", FLIP, 2, 1, .value = 1 },
		{ "time of the third", FLIP, 2, 5, .value = 1, .sound = true },
		{ "another field", FLIP, 2, 12, .value = 1, .sound = true },
		{ "data of the first", FLIP, 0, 5000, .value = 0x55 },
		{ "data of the fourth", FLIP, 3, 5000, .value = 0x55 },
		{ "CRC of the second", FLIP, 1, -8, .value = 1 },
		{ "CRC of the last", FLIP, 5, -8, .value = 1 },
		{ "size of the second", FLIP, 1, -4, .value = 1 },
		{ "length too short", LENGTH, 1, 16, .value = 60, .sound = true },
		{ "length of nothing", LENGTH, 1, 16, .value = 0, .sound = true },
		{ "length too long", LENGTH, 1, 16, .value = length_at(member(1)) + 1,
		  .sound = true },
		{ "length of two", LENGTH, 1, 16,
		  .value = length_at(member(1)) + length_at(member(2)), .sound = true },
		{ "length over all limits", LENGTH, 1, 16, .value = UINT32_MAX, .sound = true },
		{ "last length too long", LENGTH, 5, 16, .value = length_at(member(5)) + 100,
		  .sound = true },
		{ "cut at a border", CUT, 3, 0, .sound = true },
		{ "cut in a header", CUT, 3, 19, .value = 0 },
		{ "cut before its data", CUT, 3, 20, .value = 0 },
		{ "cut in data", CUT, 3, 4000, .value = 0 },
		{ "cut in a trailer", CUT, 3, -3, .value = 0 },
		{ "cut in the first", CUT, 0, 300, .value = 0 },

		{ "zeros behind", INSERT, 6, 0, .with = { zeros, sizeof(zeros) }, .sound = true },
		{ "junk behind", INSERT, 6, 0, .with = { junk, sizeof(junk) } },
		{ "a foreign member in front", INSERT, 0, 0, .with = { foreign, sizeof(foreign) },
		  .sound = true },
		{ "a foreign member between", INSERT, 3, 0, .with = { foreign, sizeof(foreign) },
		  .sound = true },
		{ "a foreign member for the last", REPLACE, 5, 0,
		  .with = { foreign, sizeof(foreign) }, .sound = true },
		{ "an empty member between", INSERT, 3, 0, .with = { empty, sizeof(empty) },
		  .sound = true },
		{ "zeros for the last", REPLACE, 5, 0, .with = { zeros, sizeof(zeros) },
		  .sound = true },
		{ "zeros between", INSERT, 3, 0, .with = { zeros, sizeof(zeros) } },
		{ "junk for the last", REPLACE, 5, 0, .with = { junk, sizeof(junk) } },
		{ "junk for the first", REPLACE, 0, 0, .with = { junk, sizeof(junk) },
		  .sound = true },
	};
	dray_error *err = NULL;
	struct pool *pool = pool_new(3, &err);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		judge(&rows[i], NULL, 0);
		judge(&rows[i], pool, 0);
		judge(&rows[i], pool, AHEAD);
	}
	pool_free(pool);
}

/* ---- other ways to read ---- */

/* A reader who wants much at once sees no borders, neither of members nor of decoders. */
static void large_peeks(void **state)
{
	const struct spoiled strange = { .how = INSERT,
					 .member = 3,
					 .with = { foreign, sizeof(foreign) } };
	cleanup_buf struct buf b = BUF_INIT(PACKED_MAX), all = BUF_INIT(PACKED_MAX);
	dray_error *err = NULL;
	struct pool *pool = pool_new(2, &err);
	struct span got;

	(void)state;
	spoil(&strange, &b);
	cleanup_source struct source *s = source_decode_pool(source_from_span(span_buf(&b), &err),
							     pool, 0, NULL, &err);
	do {
		assert_ok(source_peek(s, SOURCE_PEEK_MAX, &got, &err), err);
		assert_true(got.len >= SOURCE_PEEK_MAX || all.len + got.len == SIZE + 6);
		got = span_head(got, JUMP);
		assert_ok(buf_add(&all, got, &err), err);
		source_consume(s, got.len);
	} while (got.len);
	assert_int_equal(all.len, SIZE + 6);
	assert_memory_equal(all.data, bytes.data, 3 * ENCODE_BLOCK);
	assert_memory_equal(all.data + 3 * ENCODE_BLOCK, "hello\n", 6);
	assert_memory_equal(all.data + 3 * ENCODE_BLOCK + 6, bytes.data + 3 * ENCODE_BLOCK,
			    SIZE - 3 * ENCODE_BLOCK);
	source_free(steal_pointer(&s));
	pool_free(pool);
}

static void left_in_the_middle(void **state)
{
	dray_error *err = NULL;
	struct pool *pool = pool_new(2, &err);
	struct span got;

	(void)state;
	struct source *s = source_decode_pool(source_from_span(span_buf(&packed), &err), pool, 0,
					      NULL, &err);
	assert_ok(source_peek(s, 1, &got, &err), err);
	source_free(s);
	s = source_decode_pool(
		torn_span(span_buf(&packed), SIZE_MAX, (int64_t)member(2) + 30, &err), pool, AHEAD,
		NULL, &err);
	cleanup_buf struct buf b = BUF_INIT(SIZE);
	assert_int_equal(slurp(s, &b, &err), -1);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	pool_free(pool);
}

static int decode_all(const struct buf *b, size_t ahead, dray_error **err)
{
	cleanup_buf struct buf all = BUF_INIT(PACKED_MAX);
	struct source *in = source_from_span(span_buf(b), err);

	return slurp(source_decode_pool(in, NULL, ahead, NULL, err), &all, err);
}

static int decode_strange(void *arg, dray_error **err)
{
	return decode_all(arg, 0, err);
}

static int decode_ahead(void *arg, dray_error **err)
{
	return decode_all(arg, AHEAD, err);
}

static void no_memory(void **state)
{
	const struct spoiled strange = { .how = INSERT,
					 .member = 1,
					 .with = { foreign, sizeof(foreign) } };
	cleanup_buf struct buf b = BUF_INIT(PACKED_MAX);

	(void)state;
	spoil(&strange, &b);
	torture_alloc(decode_strange, &b);
	torture_alloc(decode_ahead, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes_for_any_threads_and_pieces),
		cmocka_unit_test(the_same_verdict_on_spoiled_members),
		cmocka_unit_test(large_peeks),
		cmocka_unit_test(left_in_the_middle),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, encode_all, forget_all);
}
