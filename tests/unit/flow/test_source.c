/* SPDX-License-Identifier: Apache-2.0 */
/* For: the reader's functions and the sources that bytes come from.
 * Relies on: stream.h for pieces.
 * Promises: every kind of source gives the same bytes through every function.
 */
#include "stream.h"
#include "torture.h"

#include <errno.h>

#define SIZE 700001 /* more than two read buffers and not a round number */

/* A file that holds @bytes, already unlinked. */
static int file_of(struct span bytes)
{
	char path[] = "/tmp/dray-source-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, bytes.data, bytes.len), bytes.len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

enum kind { KIND_SPAN, KIND_STREAM, KIND_EXTENT, KINDS };

/* A source of @kind over all of @bytes; *fd is what the caller closes after. */
static struct source *source_of(enum kind kind, struct span bytes, int *fd, dray_error **err)
{
	*fd = -1;
	switch (kind) {
	case KIND_SPAN:
		return source_from_span(bytes, err);
	case KIND_STREAM:
		return source_from_fd(file_of(bytes), true, err);
	default:
		*fd = file_of(bytes);
		return source_from_extent(*fd, 0, (int64_t)bytes.len, err);
	}
}

static void all_kinds_give_all_bytes(void **state)
{
	static const size_t mins[] = { 1, 2, 511, 512, 4093, 65537, SOURCE_PEEK_MAX };
	cleanup_buf struct buf bytes = make_bytes(SIZE, 1);

	(void)state;
	for (int kind = 0; kind < KINDS; kind++) {
		for (size_t i = 0; i < ROWS(mins); i++) {
			dray_error *err = NULL;
			cleanup_fd int fd = -1;
			cleanup_source struct source *s = source_of(kind, span_buf(&bytes), &fd,
								    &err);
			struct span got;

			assert_ok(s ? 0 : -1, err);
			do {
				assert_ok(source_peek(s, mins[i], &got, &err), err);
				assert_memory_equal(got.data, bytes.data + s->pos, got.len);
				if (got.len < mins[i])
					assert_int_equal(s->pos + (int64_t)got.len, SIZE);
				/* Leave a tail, so that pieces have to be joined. */
				source_consume(s,
					       got.len > mins[i] ? got.len - mins[i] / 2 : got.len);
			} while (got.len > 0);
			assert_int_equal(s->pos, SIZE);
			assert_true(s->ended);
			assert_ok(source_peek(s, 1, &got, &err), err);
			assert_int_equal(got.len, 0);
		}
	}
}

static void skip_and_rewind(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(SIZE, 2);

	(void)state;
	for (int kind = 0; kind < KINDS; kind++) {
		dray_error *err = NULL;
		cleanup_fd int fd = -1;
		cleanup_source struct source *s = source_of(kind, span_buf(&bytes), &fd, &err);
		uint8_t head[100];

		assert_ok(source_read_exact(s, head, 100, &err), err);
		assert_int_equal(source_skip(s, 10, &err), 10);
		assert_int_equal(source_skip(s, 500000, &err), 500000);
		assert_int_equal(s->pos, 500110);
		assert_ok(source_read_exact(s, head, 100, &err), err);
		assert_memory_equal(head, bytes.data + 500110, 100);
		assert_int_equal(source_skip(s, SIZE, &err), SIZE - 500210);
		assert_int_equal(source_skip(s, 1, &err), 0);
		if (!source_can_rewind(s)) {
			assert_int_equal(source_rewind(s, 0, &err), -1);
			assert_err_kind(err, DRAY_ERR_UNSUPPORTED);
			continue;
		}
		assert_ok(source_rewind(s, 77, &err), err);
		assert_int_equal(s->pos, 77);
		assert_ok(source_read_exact(s, head, 100, &err), err);
		assert_memory_equal(head, bytes.data + 77, 100);
		assert_int_equal(source_rewind(s, SIZE + 1, &err), -1);
		assert_err_kind(err, DRAY_ERR_UNSUPPORTED);
	}
}

static void read_exact_tells_where_it_ended(void **state)
{
	dray_error *err = NULL;
	cleanup_source struct source *s = source_from_span(SPAN_LIT("12345"), &err);
	char data[6];

	(void)state;
	assert_int_equal(source_read_exact(s, data, 6, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "truncated at byte 5");
	assert_true(s->failed);
}

static void slurp_obeys_the_maximum(void **state)
{
	dray_error *err = NULL;
	cleanup_buf struct buf b = BUF_INIT(4);

	(void)state;
	assert_int_equal(slurp(source_from_span(SPAN_LIT("12345"), &err), &b, &err), -1);
	assert_err_kind(err, DRAY_ERR_LIMIT);
}

static void short_file_is_corrupt(void **state)
{
	dray_error *err = NULL;
	cleanup_fd int fd = file_of(SPAN_LIT("12345"));
	cleanup_source struct source *s = source_from_extent(fd, 2, 4, &err);

	(void)state;
	assert_int_equal(source_drain(s, &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "file changed or truncated");
}

static void extents_share_a_descriptor(void **state)
{
	dray_error *err = NULL;
	cleanup_fd int fd = file_of(SPAN_LIT("0123456789"));
	cleanup_source struct source *a = source_from_extent(fd, 0, 5, &err);
	cleanup_source struct source *b = source_from_extent(fd, 5, 5, &err);
	char x[2], y[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_ok(source_read_exact(a, x, 2, &err), err);
		assert_ok(source_read_exact(b, y, 2, &err), err);
	}
	assert_memory_equal(x, "23", 2);
	assert_memory_equal(y, "78", 2);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
}

static struct source *open_file(void *arg, dray_error **err)
{
	(void)arg;
	return source_from_file(file_of(SPAN_LIT("0123456789")), 10, err);
}

/* Takes an extent of all of @in, frees @in, and reads from the extent. */
static void owns(struct source *in)
{
	cleanup_source struct source *s = in;
	cleanup_fd int fd = -1;
	dray_error *err = NULL;
	int64_t off, len;
	char data[10];

	assert_int_equal(source_own_extent(s, &fd, &off, &len, &err), 1);
	assert_ok(source_read_exact(s, data, 10, &err), err);
	source_free(s);
	s = NULL;
	assert_int_equal(len, 10);
	assert_int_equal(pread(fd, data, 10, off), 10);
	assert_memory_equal(data, "0123456789", 10);
}

static void extents_outlive_their_source(void **state)
{
	dray_error *err = NULL;
	cleanup_fd int fd = file_of(SPAN_LIT("xx0123456789xx"));

	(void)state;
	owns(source_from_extent(fd, 2, 10, &err));
	owns(open_file(NULL, &err));
	owns(source_reopenable(open_file, NULL, NULL, &err));
}

static struct source *open_text(void *arg, dray_error **err)
{
	(void)arg;
	return source_from_span(SPAN_LIT("0123456789"), err);
}

static void only_whole_extents_are_owned(void **state)
{
	dray_error *err = NULL;
	cleanup_source struct source *begun = open_file(NULL, &err);
	cleanup_source struct source *text = source_reopenable(open_text, NULL, NULL, &err);
	int64_t off, len;
	char c;
	int fd = -1;

	(void)state;
	assert_ok(source_read_exact(begun, &c, 1, &err), err);
	assert_int_equal(source_own_extent(begun, &fd, &off, &len, &err), 0);
	assert_int_equal(source_own_extent(text, &fd, &off, &len, &err), 0);
	assert_int_equal(fd, -1);
	assert_ok(source_read_exact(text, &c, 1, &err), err);
	assert_int_equal(c, '0');
}

static void absurd_extents_are_refused(void **state)
{
	dray_error *err = NULL;

	(void)state;
	assert_null(source_from_extent(0, INT64_MAX, 1, &err));
	assert_err_kind(err, DRAY_ERR_FORMAT);
	assert_null(source_from_extent(0, -1, 1, &err));
	assert_err_kind(err, DRAY_ERR_FORMAT);
}

/* Read a file both ways. */
static int read_file(void *arg, dray_error **err)
{
	cleanup_fd int fd = file_of(*(struct span *)arg);
	cleanup_source struct source *a = source_from_extent(fd, 0, 1000, err);
	cleanup_source struct source *b = a ? source_from_fd(steal_fd(&fd), true, err) : NULL;

	return !a || !b || source_drain(a, err) < 0 || source_drain(b, err) < 0 ? -1 : 0;
}

static void faults_are_errors_G17(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(1000, 3);
	struct span lent = span_buf(&bytes);

	(void)state;
	torture_alloc(read_file, &lent);
	torture_io(read_file, &lent, EIO, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_kinds_give_all_bytes),
		cmocka_unit_test(skip_and_rewind),
		cmocka_unit_test(read_exact_tells_where_it_ended),
		cmocka_unit_test(slurp_obeys_the_maximum),
		cmocka_unit_test(short_file_is_corrupt),
		cmocka_unit_test(extents_share_a_descriptor),
		cmocka_unit_test(extents_outlive_their_source),
		cmocka_unit_test(only_whole_extents_are_owned),
		cmocka_unit_test(absurd_extents_are_refused),
		cmocka_unit_test(faults_are_errors_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
