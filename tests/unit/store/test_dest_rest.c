/* SPDX-License-Identifier: Apache-2.0
 *
 * Blobs whose beginning a killed run left in a layout (reliability G-02, G-05, G-06, G-17).
 */
#include "support.h"
#include <errno.h>
#include "base/limits.h"
#include "base/mem.h"
#include "store/dest_priv.h"
#include "torture.h"

#define SIZE (1200 * 1000) /* over what is worth keeping */

/* ---- helpers ---- */

/* The bytes of a blob, where it may be had from, and how. */
struct fixture {
	char *folder, *layout, *partial, *final;
	int fd;
	uint8_t bytes[SIZE];
	struct descriptor desc;
	int64_t asked[4]; /* where each opening began */
	int opened;
	int64_t fail_at; /* from byte 0 of the blob, -1 = never */
	int flip_from;	 /* openings from this one on give a wrong byte */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	for (size_t i = 0; i < SIZE; i++)
		f->bytes[i] = (uint8_t)(7 + (i * 2654435761U >> 13));
	assert_int_equal(digest_of(span_of(f->bytes, SIZE), &f->desc.digest, NULL), 0);
	f->desc.size = SIZE;
	f->fail_at = -1;
	f->flip_from = 99;
	f->folder = temp_dir_make(&f->fd);
	f->layout = mem_printf("%s/layout", f->folder);
	f->final = mem_printf("layout/blobs/sha256/%s", digest_hex(&f->desc.digest));
	f->partial = mem_printf("layout/blobs/sha256/.%s.dray-partial",
				digest_hex(&f->desc.digest));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->fd);
	remove_tree(f->folder);
	free(f->folder);
	mem_free(f->layout);
	mem_free(f->final);
	mem_free(f->partial);
	free(f);
	return 0;
}

static struct source *open_at(void *arg, int64_t off, dray_error **err)
{
	struct fixture *f = arg;
	struct span rest = span_from(span_of(f->bytes, SIZE), (size_t)off);

	if (f->opened < (int)ARRAY_LEN(f->asked))
		f->asked[f->opened] = off;
	f->bytes[SIZE - 1] ^= f->opened++ == f->flip_from ? 1 : 0;
	return source_torn(source_from_span(rest, err), 65536,
			   f->fail_at < 0 ? -1 : f->fail_at - off, err);
}

/* A layout that was there, with @p have as what a killed run left. */
static void leave(struct fixture *f, struct span have)
{
	dray_error *err = NULL;
	struct dest *d = dest_oci_dir(f->layout, &err);

	assert_ok(d ? dest_finish(d, &err) : -1, err);
	dest_free(d);
	(void)!unlinkat(f->fd, f->final, 0);
	put_file(f->fd, f->partial, have);
	f->opened = 0;
}

static int put(struct fixture *f, dray_error **err)
{
	struct blob_put p = { .desc = f->desc, .label = "layer 1 of 1", .keep_partial = true };
	struct digest got;
	int64_t size;
	cleanup_dest struct dest *d = dest_oci_dir(f->layout, err);

	if (!d ||
	    dest_put_blob(d, &p, source_reopenable_at(open_at, f, NULL, err), &got, &size, err) < 0)
		return -1;
	assert_true(digest_eq(&got, &f->desc.digest));
	assert_int_equal(size, SIZE);
	return dest_finish(d, err);
}

static int64_t size_of(const struct fixture *f, const char *path)
{
	struct stat st;

	return fstatat(f->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_size : -1;
}

static void assert_published(const struct fixture *f)
{
	cleanup_buf struct buf b = BUF_INIT(0);

	assert_int_equal(io_read_file(f->fd, f->final, LIMIT_CONFIG, &b, NULL), 0);
	assert_span(span_buf(&b), span_of(f->bytes, SIZE));
	assert_int_equal(size_of(f, f->partial), -1);
}

/* ---- tests ---- */

/* However much is there: only the rest is asked for. */
static void test_G06_rest(void **state)
{
	static const int64_t have[] = { 0, 1, 65536, SIZE / 2, SIZE - 1, SIZE };
	struct fixture *f = *state;

	for (size_t i = 0; i < ROWS(have); i++) {
		dray_error *err = NULL;

		leave(f, span_of(f->bytes, (size_t)have[i]));
		assert_ok(put(f, &err), err);
		assert_published(f);
		assert_int_equal(f->opened, have[i] < SIZE);
		if (f->opened)
			assert_int_equal(f->asked[0], have[i]);
	}
}

/* A beginning that is not the blob's costs one more fetch, from the start. */
static void test_G06_wrong_beginning(void **state)
{
	static const int64_t have[] = { 1, SIZE / 2, SIZE, SIZE + 1 };
	static uint8_t zeros[SIZE + 1];
	struct fixture *f = *state;

	for (size_t i = 0; i < ROWS(have); i++) {
		dray_error *err = NULL;

		leave(f, span_of(zeros, (size_t)have[i]));
		assert_ok(put(f, &err), err);
		assert_published(f);
		assert_int_equal(f->opened, have[i] < SIZE ? 2 : 1);
		assert_int_equal(f->asked[f->opened - 1], 0);
	}
}

/* ... and only one: who then still sends something else is refused, and nothing stays. */
static void test_G05_wrong_source(void **state)
{
	struct fixture *f = *state;
	dray_error *err = NULL;

	leave(f, span_of("wrong", 5));
	f->flip_from = 1;
	assert_int_equal(put(f, &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "blob digest");
	assert_int_equal(f->opened, 2);
	assert_int_equal(size_of(f, f->partial), -1);
	assert_int_equal(size_of(f, f->final), -1);
}

/* A failure that no network caused takes what came along: the disk may be full. */
static void test_other_failure(void **state)
{
	struct fixture *f = *state;
	dray_error *err = NULL;

	leave(f, span_of(f->bytes, 1000));
	f->fail_at = 700000;
	assert_int_equal(put(f, &err), -1);
	assert_err(err, DRAY_ERR_SYSTEM, "injected");
	assert_int_equal(size_of(f, f->partial), -1);
	assert_int_equal(size_of(f, f->final), -1);
}

/* G-10: while another process writes the partial file, it is left alone. */
static void test_G10_busy(void **state)
{
	struct fixture *f = *state;
	struct outfile other = OUTFILE_INIT;
	dray_error *err = NULL;
	int64_t have;

	leave(f, span_of(f->bytes, 1000));
	assert_int_equal(outfile_begin_partial(&other, f->fd, f->final, &have, &err), 1);
	assert_int_equal(have, 1000);
	assert_ok(put(f, &err), err);
	assert_int_equal(f->asked[0], 0);
	assert_int_equal(size_of(f, f->partial), 1000);
	outfile_clear(&other);
	assert_published(f);
}

static int put_from_half(void *arg, dray_error **err)
{
	struct fixture *f = arg;
	cleanup_fd int fd = openat(f->fd, f->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				   0600);

	assert_int_equal(write(fd, f->bytes, SIZE / 2), SIZE / 2);
	(void)!unlinkat(f->fd, f->final, 0);
	return put(f, err);
}

static void check_final(void *arg, bool failed)
{
	struct fixture *f = arg;

	if (size_of(f, f->final) >= 0) {
		(void)!unlinkat(f->fd, f->partial, 0); /* unlink(2) is among what fails */
		assert_published(f);
	} else {
		assert_true(failed);
	}
}

static void test_G17_torture(void **state)
{
	struct fixture *f = *state;

	leave(f, span_of(f->bytes, 0));
	torture_alloc(put_from_half, f);
	torture_io(put_from_half, f, EIO, check_final);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_G06_rest),	     WITH(test_G06_wrong_beginning),
		WITH(test_G05_wrong_source), WITH(test_other_failure),
		WITH(test_G10_busy),	     WITH(test_G17_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
