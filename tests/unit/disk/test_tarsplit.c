/* SPDX-License-Identifier: Apache-2.0
 *
 * Tars put together of a tar-split and files: what is accepted, what is refused and how it is
 * named, in pieces of any size and with every allocation failed once.
 */
#include "stream.h"
#include <errno.h>
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "disk/crc64.h"
#include "disk/tarsplit.h"
#include "torture.h"

/* ---- the checksum ---- */

static void test_crc64(void **state)
{
	/* The check value of CRC-64/GO-ISO in the catalogues, and of one letter. */
	static const struct {
		const char *text;
		uint64_t crc;
	} rows[] = {
		{ "", 0 },
		{ "a", 0x3420000000000000 },
		{ "123456789", 0xb90956c775a41001 },
	};
	struct crc64_tables t;

	(void)state;
	crc64_init(&t);
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(crc64_update(&t, 0, span_str(rows[i].text)), rows[i].crc);
	for (size_t cut = 0; cut < 9; cut++) {
		struct span s = span_str(rows[2].text);
		uint64_t crc = crc64_update(&t, 0, span_head(s, cut));

		assert_int_equal(crc64_update(&t, crc, span_from(s, cut)), rows[2].crc);
	}
}

/* ---- files in memory ---- */

struct box {
	int fd;	    /* of a folder with the files */
	char *path; /* of that folder */
	int opened; /* how many times */
};

static int setup(void **state)
{
	struct box *b = calloc(1, sizeof(*b));

	b->path = temp_dir_make(&b->fd);
	put_file(b->fd, "nine", SPAN_LIT("123456789"));
	put_file(b->fd, "a", SPAN_LIT("a"));
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;

	temp_dir_remove(b->path, b->fd);
	free(b);
	return 0;
}

static int open_in_box(void *arg, struct span name, int64_t *ret_size, dray_error **err)
{
	struct box *b = arg;
	char text[64];
	struct stat st;

	b->opened++;
	snprintf(text, sizeof(text), "%.*s", (int)name.len, (const char *)name.data);
	cleanup_fd int fd = io_openat(b->fd, text, O_RDONLY, 0, err);
	if (fd < 0 || io_fstat(fd, &st, err) < 0)
		return -1;
	*ret_size = st.st_size;
	return steal_fd(&fd);
}

static int assemble(struct box *b, struct span lines, size_t piece, struct buf *ret,
		    dray_error **err)
{
	const struct tarsplit_files files = { .open = open_in_box, .arg = b };

	return slurp(tarsplit_assemble(torn_span(lines, piece, -1, err), &files, err), ret, err);
}

/* ---- what is accepted ---- */

#define CRC_NINE "uQlWx3WkEAE="
#define CRC_A "NCAAAAAAAAA="
#define BYTES(text64, n) "{\"type\":2,\"payload\":\"" text64 "\",\"position\":" n "}\n"
#define FILE_LINE(name, size, crc, n)                                            \
	"{\"type\":1,\"name\":\"" name "\",\"size\":" size ",\"payload\":\"" crc \
	"\",\"position\":" n "}\n"
#define EMPTY_FILE(name, n) \
	"{\"type\":1,\"name\":\"" name "\",\"payload\":null,\"position\":" n "}\n"

static const struct {
	const char *lines, *tar;
} good[] = {
	{ "", "" },
	{ BYTES("", "0"), "" },
	{ BYTES("YWJj", "0"), "abc" },
	{ BYTES("YWJj", "0") EMPTY_FILE("dir/", "1") BYTES("ZA==", "2"), "abcd" },
	{ BYTES("YWJj", "0") FILE_LINE("nine", "9", CRC_NINE, "1") BYTES("ZA==", "2"),
	  "abc123456789d" },
	/* two files in a row, and a last line without its end */
	{ FILE_LINE("a", "1", CRC_A, "0") FILE_LINE(
		  "nine", "9", CRC_NINE, "1") "{\"type\":2,\"payload\":\"ZA==\",\"position\":2}",
	  "a123456789d" },
	/* a name that is not UTF-8 would stand so; a null payload of bytes */
	{ "{\"type\":1,\"name_raw\":\"bmluZQ==\",\"size\":9,\"payload\":\"" CRC_NINE
	  "\",\"position\":0}\n{\"type\":2,\"payload\":null,\"position\":1}\n",
	  "123456789" },
	/* a whiteout, which is a device on the disk, is not opened */
	{ EMPTY_FILE("no/such/.wh.file", "0"), "" },
};

static void test_good(void **state)
{
	for (size_t i = 0; i < ROWS(good); i++)
		for (size_t k = 0; k < ROWS(stream_pieces); k++) {
			cleanup_buf struct buf out = BUF_INIT(1000);
			dray_error *err = NULL;

			assert_ok(assemble(*state, span_str(good[i].lines), stream_pieces[k], &out,
					   &err),
				  err);
			assert_span_is(span_buf(&out), good[i].tar);
		}
}

static void test_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(good); i++) {
		dray_error *err = NULL;
		int64_t size = -1;

		assert_ok(
			tarsplit_size(torn_span(span_str(good[i].lines), 7, -1, &err), &size, &err),
			err);
		assert_int_equal(size, strlen(good[i].tar));
	}
}

/* ---- what is refused ---- */

static const struct {
	const char *lines;
	enum dray_err_kind kind;
	const char *says;
} bad[] = {
	{ "x", DRAY_ERR_FORMAT, "line 1" },
	{ "\n", DRAY_ERR_FORMAT, "tar-split line 1 is empty" },
	{ BYTES("YWJj", "0") "\n" BYTES("YWJj", "1"), DRAY_ERR_FORMAT,
	  "tar-split line 2 is empty" },
	{ BYTES("YWJj", "0") "\n", DRAY_ERR_FORMAT, "tar-split line 2 is empty" },
	{ "[]\n", DRAY_ERR_FORMAT, "line 1" },
	{ BYTES("YWJj", "0") "{", DRAY_ERR_FORMAT, "line 2" },
	{ BYTES("YWJj", "1"), DRAY_ERR_FORMAT, "position 1, expected 0" },
	{ BYTES("YWJj", "0") BYTES("YWJj", "0"), DRAY_ERR_FORMAT, "position 0, expected 1" },
	{ BYTES("YWJj", "-1"), DRAY_ERR_FORMAT, "position -1" },
	{ BYTES("YWJ", "0"), DRAY_ERR_FORMAT, "payload" },
	{ "{\"type\":3,\"payload\":null,\"position\":0}\n", DRAY_ERR_FORMAT, "type 3" },
	{ "{\"payload\":null,\"position\":0}\n", DRAY_ERR_FORMAT, "type" },
	{ "{\"type\":2,\"type\":1,\"payload\":null,\"position\":0}\n", DRAY_ERR_FORMAT, "line 1" },
	{ FILE_LINE("nine", "-9", CRC_NINE, "0"), DRAY_ERR_FORMAT, "size of -9" },
	{ FILE_LINE("nine", "9.5", CRC_NINE, "0"), DRAY_ERR_FORMAT, "size" },
	{ FILE_LINE("nine", "9", "YWJj", "0"), DRAY_ERR_FORMAT, "checksum of 3 bytes" },
	{ FILE_LINE("nine", "9", "", "0"), DRAY_ERR_FORMAT, "checksum of 0 bytes" },
	{ FILE_LINE("", "9", CRC_NINE, "0"), DRAY_ERR_FORMAT, "without a name" },
	{ FILE_LINE("nine", "9", CRC_A, "0"), DRAY_ERR_CORRUPT,
	  "\"nine\": its content has changed" },
	{ FILE_LINE("nine", "8", CRC_NINE, "0"), DRAY_ERR_CORRUPT,
	  "\"nine\": it has 9 bytes, its layer had 8" },
	{ FILE_LINE("nine", "9223372036854775807", CRC_NINE, "0"), DRAY_ERR_CORRUPT, "\"nine\"" },
	{ FILE_LINE("gone", "9", CRC_NINE, "0"), DRAY_ERR_CORRUPT, "\"gone\"" },
	{ FILE_LINE("g\\u001b[1mone", "9", CRC_NINE, "0"), DRAY_ERR_CORRUPT, "g\\x1b[1mone" },
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < ROWS(bad); i++)
		for (size_t k = 0; k < ROWS(stream_pieces); k++) {
			cleanup_buf struct buf out = BUF_INIT(1000);
			dray_error *err = NULL;

			assert_int_equal(assemble(*state, span_str(bad[i].lines), stream_pieces[k],
						  &out, &err),
					 -1);
			assert_err(err, bad[i].kind, bad[i].says);
		}
}

static void test_sum_overflow(void **state)
{
	const char *lines = FILE_LINE("a", "9223372036854775807", CRC_A, "0")
		FILE_LINE("b", "1", CRC_A, "1");
	dray_error *err = NULL;
	int64_t size;

	(void)state;
	assert_int_equal(tarsplit_size(torn_span(span_str(lines), 7, -1, &err), &size, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "2^63");
}

static void test_line_too_long(void **state)
{
	struct buf line = make_bytes(LIMIT_TARSPLIT_LINE + 10, 1);
	cleanup_buf struct buf out = BUF_INIT(1000);
	dray_error *err = NULL;

	memset(line.data, ' ', line.len);
	assert_int_equal(assemble(*state, span_buf(&line), SIZE_MAX, &out, &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "LIMIT_TARSPLIT_LINE");
	buf_clear(&line);
}

/* A failure of what the lines come from is told as it is, wherever it strikes. */
static void test_torn(void **state)
{
	struct span lines = span_str(good[4].lines);
	const struct tarsplit_files files = { .open = open_in_box, .arg = *state };

	for (size_t at = 0; at <= lines.len; at++) {
		cleanup_buf struct buf out = BUF_INIT(1000);
		dray_error *err = NULL;

		assert_int_equal(slurp(tarsplit_assemble(torn_span(lines, 1, (int64_t)at, &err),
							 &files, &err),
				       &out, &err),
				 -1);
		assert_non_null(err);
		err_clear(&err);
	}
}

/* ---- big files, and faults ---- */

/* Larger than any buffer, so that it comes in several pieces. */
static void test_big(void **state)
{
	struct box *b = *state;
	struct buf big = make_bytes(700001, 5);
	cleanup_buf struct buf out = BUF_INIT(1 << 20);
	struct crc64_tables t;
	uint8_t crc[8];
	dray_error *err = NULL;

	crc64_init(&t);
	uint64_t value = crc64_update(&t, 0, span_buf(&big));
	for (int i = 0; i < 8; i++)
		crc[i] = (uint8_t)(value >> (56 - 8 * i));
	char *crc64 = base64_encode(span_of(crc, 8));
	char *lines = mem_printf("{\"type\":1,\"name\":\"big\",\"size\":700001,\"payload\":\"%s\","
				 "\"position\":0}\n" BYTES("YWJj", "1"),
				 crc64);
	put_file(b->fd, "big", span_buf(&big));
	assert_ok(assemble(b, span_str(lines), SIZE_MAX, &out, &err), err);
	assert_int_equal(out.len, big.len + 3);
	assert_memory_equal(out.data, big.data, big.len);
	assert_memory_equal(out.data + big.len, "abc", 3);
	mem_free(lines);
	mem_free(crc64);
	buf_clear(&big);
}

static int once(void *arg, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(1000);

	return assemble(arg, span_str(good[5].lines), 64, &out, err);
}

static void test_faults(void **state)
{
	torture_alloc(once, *state);
	torture_io(once, *state, EIO, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc64),
		cmocka_unit_test_setup_teardown(test_good, setup, teardown),
		cmocka_unit_test(test_size),
		cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
		cmocka_unit_test(test_sum_overflow),
		cmocka_unit_test_setup_teardown(test_line_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_big, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
