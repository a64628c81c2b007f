/* SPDX-License-Identifier: Apache-2.0
 *
 * The archive for an engine, written into a sink: what goes in, and what becomes of a sink that
 * fails at any byte (reliability G-19).
 */
#include "dest_box.h"
#include "flow/sink.h"
#include "torture.h"

/* Keeps what it is given until byte @fail_at is asked of it. */
struct catcher {
	struct sink base;
	struct buf *got;
	int64_t fail_at; /* -1 = never */
	int *finished, *freed;
};

static int catch_write(struct sink *k, struct span bytes, dray_error **err)
{
	struct catcher *c = (struct catcher *)k;

	if (c->fail_at >= 0 && k->pos + (int64_t)bytes.len > c->fail_at)
		return err_set(err, DRAY_ERR_NETWORK, "the engine is gone");
	return buf_add(c->got, bytes, err);
}

static int catch_finish(struct sink *k, dray_error **err)
{
	(void)err;
	++*((struct catcher *)k)->finished;
	return 0;
}

static void catch_free(struct sink *k)
{
	++*((struct catcher *)k)->freed;
	mem_free(k);
}

static const struct sink_ops catch_ops = {
	.write = catch_write,
	.finish = catch_finish,
	.free = catch_free,
};

struct run {
	const struct made *image;
	const char *tmpdir;
	struct buf got;
	int64_t fail_at;
	int finished, freed;
};

static struct sink *catcher(struct run *r, dray_error **err)
{
	struct catcher *c = mem_zalloc(sizeof(*c));

	if (!c) {
		err_nomem(err);
		return NULL;
	}
	*c = (struct catcher){
		{ .ops = &catch_ops }, &r->got, r->fail_at, &r->finished, &r->freed
	};
	return &c->base;
}

/* The image, and a blob again whose digest nobody told. */
static int write_all(void *arg, dray_error **err)
{
	struct run *r = arg;
	struct digest got;

	buf_reset(&r->got);
	r->finished = r->freed = 0;
	struct sink *k = catcher(r, err);
	if (!k)
		return -1;
	cleanup_dest struct dest *d = dest_docker_stream(k, r->tmpdir, err);
	if (!d || put(d, "told by nobody", &(struct descriptor){ .size = -1 }, &got, err) < 0 ||
	    put_image(d, r->image, "app:1", err) < 0)
		return -1;
	return dest_finish(d, err);
}

static void test_stream(void **state)
{
	cleanup_place struct place p = place_make("x");
	cleanup_made struct made m = make_image(1);
	struct run r = { &m, p.folder, BUF_INIT(LIMIT_CONFIG), -1, 0, 0 };
	dray_error *err = NULL;

	(void)state;
	assert_ok(write_all(&r, &err), err);
	assert_int_equal(r.finished, 1);
	assert_int_equal(r.freed, 1);
	assert_int_equal(dir_count(p.fd), 0);
	cleanup_free char *names = list_archive(span_buf(&r.got));
	assert_string_equal(names, "oci-layout blob blob blob blob blob index.json manifest.json ");
	buf_clear(&r.got);
}

/* Whoever reads the half has no documents, and the sink is never told that it was all. */
static void test_stream_breaks(void **state)
{
	cleanup_place struct place p = place_make("x");
	cleanup_made struct made m = make_image(1);
	struct run r = { &m, p.folder, BUF_INIT(LIMIT_CONFIG), -1, 0, 0 };
	dray_error *err = NULL;

	(void)state;
	assert_ok(write_all(&r, &err), err);
	for (int64_t at = 0, all = (int64_t)r.got.len; at < all; at += 256) {
		r.fail_at = at;
		assert_int_equal(write_all(&r, &err), -1);
		assert_err(err, DRAY_ERR_NETWORK, "gone");
		assert_int_equal(r.finished, 0);
		assert_int_equal(r.freed, 1);
		assert_true((int64_t)r.got.len <= at);
	}
	buf_clear(&r.got);
}

static void test_stream_torture(void **state)
{
	cleanup_place struct place p = place_make("x");
	cleanup_made struct made m = make_image(1);
	struct run r = { &m, p.folder, BUF_INIT(LIMIT_CONFIG), -1, 0, 0 };

	(void)state;
	torture_alloc(write_all, &r);
	buf_clear(&r.got);
	assert_int_equal(dir_count(p.fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_stream_breaks),
		cmocka_unit_test(test_stream_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
