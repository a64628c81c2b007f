/* SPDX-License-Identifier: Apache-2.0
 *
 * For: normalize: the same bytes from every form of one image, and what is refused.
 * Relies on: ops_box.h for images; tests/unit/store/test_canonical.c for the bytes themselves.
 * Promises: file, stream and sink agree; guesses about sizes never show; failures leave nothing.
 */
#include "ops_box.h"

#include <errno.h>

#include "ops/canonical.h"
#include "ops/canonical_priv.h"
#include "torture.h"

#define BIG 70000 /* bytes of a layer that no document could be */

static const char *big_text(struct box *b)
{
	char *text = arena_alloc(&b->arena, BIG + 1);

	assert_non_null(text);
	for (size_t i = 0; i < BIG; i++)
		text[i] = (char)('a' + i * i % 23);
	return text;
}

static dray_context *context_of(int jobs)
{
	const struct dray_context_options o = {
		.size = sizeof(o), .jobs = jobs, .no_cache = true, .platform = "linux/amd64"
	};
	dray_context *ctx = NULL;
	dray_error *err = NULL;

	assert_ok(dray_context_new(&o, &ctx, &err), err);
	return ctx;
}

/* sha256 of what normalize writes into a file. */
static const char *file_digest(struct box *b, const char *place, int jobs)
{
	struct dray_normalize_options o = DRAY_NORMALIZE_OPTIONS_INIT;
	dray_context *ctx = context_of(jobs);
	dray_normalize_result *r = NULL;
	dray_error *err = NULL;
	const char *out = box_place(b, "", "out.tar"), *digest;
	cleanup_buf struct buf bytes = BUF_INIT(1 << 24);
	struct digest real;

	o.digest = true;
	assert_ok(dray_normalize(ctx, place, out, &o, &r, &err), err);
	assert_int_equal(dray_normalize_count(r), 1);
	assert_null(dray_normalize_get(r, 1));
	assert_int_equal(dray_normalize_get(r, 0)->n_names, 1);
	assert_string_equal(dray_normalize_get(r, 0)->names[0], "docker.io/test/app:1");
	assert_ok(io_read_file(b->fd, "out.tar", 1 << 24, &bytes, &err), err);
	assert_int_equal(bytes.len, dray_normalize_size(r, NULL));
	assert_int_equal(digest_of(span_buf(&bytes), &real, NULL), 0);
	assert_string_equal(dray_normalize_digest(r), real.text);
	digest = arena_strdup(&b->arena, real.text);
	dray_normalize_free(r);
	dray_context_free(ctx);
	return digest;
}

/* sha256 of what comes out of a sink. */
static const char *stream_digest(struct box *b, const char *place)
{
	cleanup_canonical_facts struct canonical_facts facts = { 0 };
	const struct canonical_wishes w = { 0 };
	cleanup_buf struct buf bytes = BUF_INIT(1 << 24);
	dray_error *err = NULL;
	cleanup_sink struct sink *k = sink_to_buf(&bytes, &err);
	struct digest real;

	assert_ok(canonical_stream(b->ctx, place, &w, k, &facts, &err), err);
	assert_int_equal(facts.size, bytes.len);
	assert_int_equal(facts.n_images, 1);
	assert_int_equal(digest_of(span_buf(&bytes), &real, NULL), 0);
	assert_string_equal(facts.digest.text, real.text);
	return arena_strdup(&b->arena, real.text);
}

/* Every form of the image: stored how, in which kind of place, read in which way. */
static void test_forms(void **state)
{
	struct box *b = *state;
	static const enum encoding stored[] = { ENCODING_NONE, ENCODING_GZIP, ENCODING_GZIP_SINGLE,
						ENCODING_ZSTD };
	const char *want = NULL;

	for (size_t i = 0; i < ROWS(stored); i++) {
		struct piece *p[] = { box_piece(b, big_text(b), stored[i]),
				      box_piece(b, "two", stored[i]) };
		const char *places[] = { box_docker_plain(b, "d.tar", p, 2),
					 box_oci_plain(b, "o.tar", false, p, 2),
					 box_oci_plain(b, "s.tar", true, p, 2) };

		for (size_t k = 0; k < ROWS(places); k++) {
			if (!want)
				want = file_digest(b, places[k], 1);
			assert_string_equal(file_digest(b, places[k], 1), want);
			assert_string_equal(file_digest(b, places[k], 5), want);
			assert_string_equal(stream_digest(b, places[k]), want);
		}
	}
}

static int normalize_to(struct box *b, const char *place, const struct dray_normalize_options *o,
			dray_error **err)
{
	dray_normalize_result *r = NULL;
	int rc = dray_normalize(b->ctx, place, box_place(b, "", "out.tar"), o, &r, err);

	dray_normalize_free(r);
	return rc;
}

/* The layer is not what the config says, or its blob not what the manifest says. */
static void test_wrong_bytes(void **state)
{
	struct box *b = *state;
	static const enum encoding stored[] = { ENCODING_NONE, ENCODING_GZIP, ENCODING_ZSTD };

	for (size_t i = 0; i < ROWS(stored); i++) {
		struct piece *p[] = { box_piece(b, "one", stored[i]),
				      box_piece(b, "two", stored[i]) };
		struct piece *swapped[] = { p[0], box_piece(b, "six", stored[i]) };
		const char *config = box_config(b, "", p, 2), *place;
		struct member m[] = { { "0.tar", swapped[0], NULL },
				      { "1.tar", swapped[1], NULL } };
		dray_error *err = NULL;

		place = box_docker(b, "bad.tar", config, "\"a:1\"", m, 2);
		assert_int_equal(normalize_to(b, place, NULL, &err), -1);
		assert_err(err, DRAY_ERR_CORRUPT, "layer 2 of 2");
		place = box_oci(
			b, "bad.oci",
			&(struct oci){ .config = config,
				       .manifest = box_manifest(b, false, "", config, swapped, 2),
				       .p = swapped,
				       .n = 2 });
		assert_int_equal(normalize_to(b, place, NULL, &err), -1);
		assert_err(err, DRAY_ERR_CORRUPT, "layer 2 of 2");
		assert_int_equal(faccessat(b->fd, "out.tar", F_OK, 0), -1);
	}
}

static void test_options(void **state)
{
	struct box *b = *state;
	struct piece *p[] = { box_piece(b, "one", ENCODING_NONE) };
	const char *place = box_docker_plain(b, "d.tar", p, 1);
	static const char *const tags[] = { "x:1", "bad:tag:" };
	struct dray_normalize_options o = DRAY_NORMALIZE_OPTIONS_INIT;
	dray_error *err = NULL;

	o.tags = tags;
	o.n_tags = 1;
	assert_ok(normalize_to(b, place, &o, &err), err);
	o.n_tags = 2;
	assert_int_equal(normalize_to(b, place, &o, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "--tag");
	o.n_tags = 1;
	o.untagged = true;
	assert_int_equal(normalize_to(b, place, &o, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "one of both");
	o.n_tags = 0;
	assert_ok(normalize_to(b, place, &o, &err), err);
	o.no_clobber = true;
	assert_int_equal(normalize_to(b, place, &o, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "exists already");
}

/* ---- the hint ---- */

/* Text that does not shrink to less than half. */
static const char *noise(struct box *b)
{
	char *text = arena_alloc(&b->arena, BIG + 1);
	uint32_t x = 1;

	assert_non_null(text);
	for (size_t i = 0; i < BIG; i++) {
		x = x * 1664525 + 1013904223;
		text[i] = (char)(' ' + (x >> 24) % 94);
	}
	return text;
}

static int64_t hint_of(struct span bytes)
{
	dray_error *err = NULL;
	cleanup_source struct source *s = source_from_span(bytes, &err);
	int64_t size = 0;

	assert_ok(gzip_size_hint(s, (int64_t)bytes.len, &size, &err), err);
	return size;
}

static void test_hint(void **state)
{
	struct box *b = *state;
	struct piece *own = box_piece(b, big_text(b), ENCODING_GZIP);
	struct piece *single = box_piece(b, big_text(b), ENCODING_GZIP_SINGLE);
	cleanup_buf struct buf twice = BUF_INIT(1 << 22);
	struct span s = span_buf(&single->stored);

	assert_int_equal(hint_of(span_buf(&own->stored)), own->tar.len);
	assert_int_equal(hint_of(s), single->tar.len);
	/* Two members: what the last says is believed, and found wrong later. */
	assert_int_equal(buf_add(&twice, s, NULL), 0);
	assert_int_equal(buf_add(&twice, s, NULL), 0);
	assert_int_equal(hint_of(span_buf(&twice)), single->tar.len);
	/* Our field, but not to the end. */
	buf_reset(&twice);
	assert_int_equal(buf_add(&twice, span_buf(&own->stored), NULL), 0);
	assert_int_equal(buf_add(&twice, s, NULL), 0);
	assert_int_equal(hint_of(span_buf(&twice)), single->tar.len);
	/* A field that leads out of the stream, into itself, nowhere. */
	for (uint8_t v = 0; v < 3; v++) {
		static const uint8_t lengths[] = { 0, 20, 255 };
		cleanup_buf struct buf lie = BUF_INIT(1 << 22);

		assert_int_equal(buf_add(&lie, span_buf(&own->stored), NULL), 0);
		memset(lie.data + 16, 0, 4);
		lie.data[16 + v] = lengths[v];
		assert_int_equal(hint_of(span_buf(&lie)), own->tar.len);
	}
	/* Too short, or less than any stored bytes could give. */
	assert_int_equal(hint_of(span_head(s, 19)), -1);
	assert_int_equal(hint_of(SPAN_LIT("\x1f\x8b")), -1);
	single = box_piece(b, noise(b), ENCODING_GZIP_SINGLE);
	assert_int_equal(hint_of(span_buf(&single->stored)), single->tar.len);
	memset(single->stored.data + single->stored.len - 4, 0, 4);
	assert_int_equal(hint_of(span_buf(&single->stored)), -1);
}

/* ---- when something fails ---- */

struct order {
	struct box *b;
	const char *place, *out;
	bool stream;
	int64_t size; /* of the whole archive */
	struct digest digest;
};

static int run_order(void *arg, dray_error **err)
{
	const struct dray_context_options o = {
		.size = sizeof(o), .jobs = 1, .no_cache = true, .platform = "linux/amd64"
	};
	const struct canonical_wishes w = { .want_digest = true };
	struct canonical_facts facts = { 0 };
	cleanup_buf struct buf bytes = BUF_INIT(1 << 24);
	cleanup_sink struct sink *k = NULL;
	struct order *j = arg;
	dray_context *ctx = NULL;
	int rc = dray_context_new(&o, &ctx, err);

	if (rc == 0 && j->stream) {
		k = sink_to_buf(&bytes, err);
		rc = k ? canonical_stream(ctx, j->place, &w, k, &facts, err) : -1;
	} else if (rc == 0) {
		rc = canonical_file(ctx, &j->place, 1, &w, j->out, false, &facts, err);
	}
	if (rc == 0) {
		j->size = facts.size;
		j->digest = facts.digest;
	}
	canonical_facts_clear(&facts);
	dray_context_free(ctx);
	return rc;
}

/* NOMEM, or the memory was for a text that nobody asked for and the archive is the same. */
static void torture_same(struct order *j)
{
	dray_error *err = NULL;
	struct digest want;
	bool reached = true;
	int rc;

	assert_ok(run_order(j, &err), err);
	want = j->digest;
	for (uint64_t nth = 1; reached && nth < TORTURE_ROUNDS; nth++) {
		j->digest = (struct digest){ 0 };
		reached = torture_once(FAULT_ALLOC, nth, 0, run_order, j, &rc, &err);
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
		else
			assert_string_equal(j->digest.text, want.text);
	}
	assert_false(reached);
}

static void test_torture(void **state)
{
	struct box *b = *state;
	struct piece *p[] = { box_piece(b, "one", ENCODING_GZIP),
			      box_piece(b, "two", ENCODING_ZSTD),
			      box_piece(b, "six", ENCODING_NONE) };
	struct order j = { .b = b,
			   .place = box_oci_plain(b, "o.tar", false, p, 3),
			   .out = box_place(b, "", "out.tar") };

	for (int stream = 0; stream < 2; stream++) {
		j.stream = stream;
		torture_same(&j);
	}
}

/* Nothing or all of it: the very last step, making the rename safe, may have failed. */
static void whole_or_nothing(void *arg, bool failed)
{
	struct order *j = arg;
	struct stat st;

	if (fstatat(j->b->fd, "out.tar", &st, 0) < 0) {
		assert_true(failed);
		return;
	}
	assert_int_equal(st.st_size, j->size);
	assert_int_equal(unlinkat(j->b->fd, "out.tar", 0), 0);
}

static void test_disk(void **state)
{
	struct box *b = *state;
	struct piece *p[] = { box_piece(b, "one", ENCODING_GZIP),
			      box_piece(b, "two", ENCODING_ZSTD) };
	struct order j = { .b = b,
			   .place = box_docker_plain(b, "d.tar", p, 2),
			   .out = box_place(b, "", "out.tar") };
	dray_error *err = NULL;

	assert_ok(run_order(&j, &err), err);
	torture_io(run_order, &j, EIO, whole_or_nothing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(test_forms), box_test(test_wrong_bytes), box_test(test_options),
		box_test(test_hint),  box_test(test_torture),	  box_test(test_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
