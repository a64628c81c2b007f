/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      the upload state machine against a registry of a few lines, without any I/O.
 * Relies:   on upload_io to fake the world.
 * Promises: what is stored in the end is what the source held, each byte hashed and shown once, wherever it broke.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "proto/answer.h"
#include "remote/upload.h"

#define SIZE 300000
#define ROOM (16 * SIZE)

/* What the fake does wrong; zero is sound. */
struct script {
	int breaks;	     /* PATCHes that break */
	int64_t break_after; /* bytes that arrive of such a one */
	int64_t lost;	     /* and that the session forgets again */
	int64_t late;	     /* and that arrive only with the next PATCH, which breaks at once */
	int64_t claim;	     /* added to what GET says */
	bool no_range, no_session;
	int put_status, puts; /* this status to the first puts PUTs */
	bool put_done;	      /* ... which commit all the same */
	int patch_status, patches;
	bool renewed;
	int64_t window; /* the source rewinds this far; 0 = anywhere */
	bool known;	/* digest and size are given */
	size_t size;
	bool fails;   /* how it ends */
	int sessions; /* opened in all; 0 = not checked */
};

struct fake {
	const struct script *s;
	struct buf session, blob;
	bool committed;
	int sessions, breaks, puts, patches, pauses, deletes;
	int64_t shown, late;
	struct hash seen;
};

static int answer(struct fake *f, struct answer *a, int status)
{
	a->http.status = status;
	if (status == 202 || status == 204) {
		a->http.location = "/session?state=1";
		if (!f->s->no_range)
			a->http.range = arena_printf(
				&a->arena, "0-%lld",
				(long long)(f->session.len ? f->session.len - 1 : 0));
	}
	return 0;
}

static int broken(struct answer *a, dray_error **err)
{
	a->http.fault = HTTP_FAULT_BROKEN;
	return err_set(err, DRAY_ERR_NETWORK, "reset");
}

/* Bytes are always pulled to the end of what curl would buffer; only some arrive. */
static int on_patch(struct fake *f, const struct call *call, struct answer *a, dray_error **err)
{
	bool breaks = f->breaks < f->s->breaks;
	int64_t arrived = 0, max = breaks ? f->s->break_after : INT64_MAX;
	uint8_t piece[4093];

	if (f->patches++ < f->s->patches) {
		a->renewed = f->s->renewed;
		return answer(f, a, f->s->patch_status);
	}
	if (call->content_range) {
		int64_t first, last;

		assert_true(answer_range(span_str(call->content_range), &first, &last));
		assert_int_equal(first, f->session.len);
	}
	if (f->late) {
		f->session.len += (size_t)f->late;
		f->late = 0;
		return broken(a, err);
	}
	while (arrived < max) {
		int64_t n = call->stream->pull(call->stream->arg, piece, sizeof(piece), err);

		if (n < 0) {
			a->http.fault = HTTP_FAULT_FINAL;
			return -1;
		}
		if (n == 0)
			break;
		int64_t take = arrived + n > max ? max - arrived : n;
		assert_int_equal(buf_add(&f->session, span_of(piece, (size_t)take), NULL), 0);
		arrived += n;
	}
	if (!breaks)
		return answer(f, a, 202);
	f->breaks++;
	f->session.len -= f->session.len < (size_t)f->s->lost ? f->session.len : (size_t)f->s->lost;
	f->late = f->s->late;
	f->session.len -= (size_t)f->late;
	return broken(a, err);
}

static int on_get(struct fake *f, struct answer *a)
{
	if (f->s->no_session)
		return answer(f, a, 404);
	answer(f, a, 204);
	if (f->s->claim && a->http.range)
		a->http.range = arena_printf(
			&a->arena, "0-%lld",
			(long long)((int64_t)f->session.len - 1 + f->s->claim));
	return 0;
}

static int on_put(struct fake *f, const struct call *call, struct answer *a)
{
	struct digest d;
	bool refused = f->puts++ < f->s->puts;

	if (refused && !f->s->put_done)
		return answer(f, a, f->s->put_status);
	assert_int_equal(buf_add(&f->session, call->bytes, NULL), 0);
	assert_int_equal(digest_of(span_buf(&f->session), &d, NULL), 0);
	if (!strstr(call->url->rest, digest_hex(&d)))
		return answer(f, a, 400);
	buf_reset(&f->blob);
	assert_int_equal(buf_add(&f->blob, span_buf(&f->session), NULL), 0);
	f->committed = true;
	return answer(f, a, refused ? f->s->put_status : 201);
}

static int fake_call(void *arg, const struct call *call, struct answer *a, dray_error **err)
{
	struct fake *f = arg;

	answer_clear(a);
	a->http.arena = &a->arena;
	a->http.length = -1;
	a->url = *call->url;
	if (strcmp(call->method, "POST") == 0) {
		f->sessions++;
		buf_reset(&f->session);
		return answer(f, a, 202);
	}
	if (strcmp(call->method, "PATCH") == 0)
		return on_patch(f, call, a, err);
	if (strcmp(call->method, "GET") == 0)
		return on_get(f, a);
	if (strcmp(call->method, "PUT") == 0)
		return on_put(f, call, a);
	if (strcmp(call->method, "DELETE") == 0)
		f->deletes++;
	return answer(f, a, strcmp(call->method, "HEAD") == 0 && f->committed ? 200 : 404);
}

static int fake_pause(void *arg, int attempt, const struct http_response *res, dray_error **err)
{
	(void)attempt;
	(void)res;
	(void)err;
	((struct fake *)arg)->pauses++;
	return 0;
}

static int fake_refused(void *arg, const struct call *call, const struct answer *a,
			dray_error **err)
{
	(void)arg;
	return err_set(err, DRAY_ERR_NETWORK, "%s: HTTP %d", call->what, a->http.status);
}

static void see(void *arg, struct span bytes)
{
	struct fake *f = arg;

	f->shown += (int64_t)bytes.len;
	hash_update(&f->seen, bytes);
}

/* A source that only rewinds a little is a window over one that cannot at all. */
static struct source *make_source(const struct script *s, struct span bytes)
{
	struct source *in = source_from_span(bytes, NULL);

	if (!s->window)
		return in;
	return source_replayable(source_torn(in, 511, -1, NULL), (size_t)s->window, NULL);
}

static void run(const struct script *s, size_t row)
{
	struct fake f = { .s = s, .session = BUF_INIT(ROOM), .blob = BUF_INIT(ROOM) };
	struct upload_io io = { fake_call, fake_pause, fake_refused, &f };
	struct upload_target to = {
		.blobs = { .scheme = "https",
			   .host = "r.example",
			   .port = 443,
			   .rest = "/v2/x/blobs/" },
		.retries = 5,
	};
	struct blob_put put = { .desc.size = -1, .label = "layer", .progress = { see, &f } };
	size_t size = s->size ? s->size : SIZE;
	uint8_t *bytes = mem_alloc(size);
	struct digest want, got, seen;
	int64_t got_size;
	dray_error *err = NULL;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	assert_int_equal(digest_of(span_of(bytes, size), &want, NULL), 0);
	assert_int_equal(hash_init(&f.seen, DIGEST_SHA256, NULL), 0);
	if (s->known) {
		put.desc.digest = want;
		put.desc.size = (int64_t)size;
	}
	int rc = upload_blob(&io, &to, &put, make_source(s, span_of(bytes, size)), &got, &got_size,
			     &err);
	if (rc != (s->fails ? -1 : 0))
		fail_msg("row %zu: %s", row, err ? dray_error_message(err) : "went well");
	if (s->sessions && f.sessions != s->sessions)
		fail_msg("row %zu: %d sessions", row, f.sessions);
	if (rc == 0) {
		assert_true(digest_eq(&want, &got));
		assert_int_equal(got_size, size);
		assert_int_equal(f.blob.len, size);
		assert_memory_equal(f.blob.data, bytes, size);
		assert_int_equal(f.shown, size);
		assert_int_equal(hash_finish(&f.seen, &seen, NULL), 0);
		assert_true(digest_eq(&want, &seen));
	} else {
		assert_false(f.committed && !s->put_done);
	}
	dray_error_free(err);
	hash_clear(&f.seen);
	buf_clear(&f.session);
	buf_clear(&f.blob);
	mem_free(bytes);
}

static void test_scripts(void **state)
{
	static const struct script rows[] = {
		{ .sessions = 1 },
		{ .known = true, .sessions = 1 },
		{ .known = true, .size = 2000000, .sessions = 1 },
		{ .breaks = 1, .break_after = 100000, .sessions = 1 },
		{ .breaks = 3, .break_after = 50000, .sessions = 1 },
		{ .breaks = 20,
		  .break_after = 10000,
		  .sessions = 1 }, /* progress clears the count */
		{ .breaks = 1, .break_after = 100000, .lost = 99000, .sessions = 1 },
		{ .breaks = 1, .break_after = 0, .sessions = 2 }, /* 0-0: nothing, or one byte? */
		{ .breaks = 1, .break_after = SIZE, .sessions = 1 },
		{ .breaks = 5, .break_after = 1, .sessions = 6 },
		{ .breaks = 6, .break_after = 1, .fails = true },
		{ .breaks = 1, .break_after = 100000, .no_session = true, .sessions = 2 },
		{ .breaks = 1, .break_after = 100000, .no_range = true, .sessions = 2 },
		{ .breaks = 1, .break_after = 100000, .claim = 1000000, .fails = true },
		{ .breaks = 1,
		  .break_after = 100000,
		  .window = 65536,
		  .lost = 1000,
		  .sessions = 1 },
		{ .breaks = 1, .break_after = 200000, .late = 100000, .sessions = 1 },
		{ .breaks = 1,
		  .break_after = 200000,
		  .late = 60000,
		  .window = 65536,
		  .sessions = 1 },
		{ .known = true,
		  .size = 2000000,
		  .breaks = 1,
		  .break_after = 700000,
		  .late = 500000,
		  .sessions = 1 },
		{ .breaks = 1,
		  .break_after = 290000,
		  .window = 1000,
		  .no_session = true,
		  .fails = true },
		{ .known = true,
		  .size = 2000000,
		  .breaks = 2,
		  .break_after = 700000,
		  .sessions = 1 },
		{ .patch_status = 401, .patches = 1, .renewed = true },
		{ .patch_status = 401, .patches = 1, .fails = true },
		{ .patch_status = 401, .patches = 9, .renewed = true, .fails = true },
		{ .patch_status = 503, .patches = 2 },
		{ .patch_status = 404, .patches = 1, .sessions = 2 },
		{ .patch_status = 416, .patches = 1 },
		{ .patch_status = 403, .patches = 1, .fails = true, .sessions = 1 },
		{ .put_status = 503, .puts = 1, .sessions = 1 },
		{ .put_status = 500, .puts = 1, .put_done = true, .sessions = 1 },
		{ .put_status = 404, .puts = 1, .put_done = true, .sessions = 1 },
		{ .put_status = 404, .puts = 1, .sessions = 2 },
		{ .put_status = 400, .puts = 1, .fails = true, .sessions = 1 },
		{ .breaks = 1, .break_after = 100000, .put_status = 400, .puts = 1, .sessions = 2 },
		{ .known = true, .put_status = 404, .puts = 1, .sessions = 2 },
		{ .known = true, .put_status = 503, .puts = 1, .sessions = 2 },
		{ .known = true, .put_status = 503, .puts = 1, .put_done = true, .sessions = 1 },
		{ .known = true, .put_status = 403, .puts = 1, .fails = true, .sessions = 1 },
		{ .size = 1, .sessions = 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		run(&rows[i], i);
}

/* Every place to break at, in steps that are no multiple of anything. */
static void test_everywhere(void **state)
{
	(void)state;
	for (int64_t at = 0; at <= SIZE; at += 1499) {
		struct script s = { .breaks = 2, .break_after = at };

		run(&s, (size_t)at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
