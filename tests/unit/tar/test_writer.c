/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers we write: their exact shape, and that the reader sees the same member.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/limits.h"
#include "tar/tar.h"
#include "tar_build.h"
#include "torture.h"

#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A100 A50 A50
#define A155 A100 A50 "bbbbb"

static const struct tar_xattr attributes[] = {
	{ SPAN_LIT("user.a"), SPAN_LIT("b\0c\n=") },
	{ SPAN_LIT("security.capability"), SPAN_LIT("") },
};
/* "user.a=b" with the value "c" would be read as "user.a" with the value "b=c". */
static const struct tar_xattr two_names = { SPAN_LIT("user.a=b"), SPAN_LIT("c") };
static const struct tar_xattr no_name = { .value = SPAN_LIT("c") };
static const struct tar_xattr cut_name = { SPAN_LIT("user.a\0b"), SPAN_LIT("c") };

/* clang-format off */
static const struct member_case {
	struct tar_member m;
	size_t blocks;	/* 1 = ustar alone, 3 = with pax */
} cases[] = {
	{ { .type = TAR_FILE, .name = SPAN_LIT("a"), .size = 3, .mode = 0644 }, 1 },
	{ { .type = TAR_DIR, .name = SPAN_LIT("d/"), .mode = 0755, .mtime = 1700000000 }, 1 },
	{ { .type = TAR_SYMLINK, .name = SPAN_LIT("s"), .link = SPAN_LIT("../t"), .mode = 0777 }, 1 },
	{ { .type = TAR_HARDLINK, .name = SPAN_LIT("h"), .link = SPAN_LIT("t") }, 1 },
	{ { .type = TAR_SYMLINK, .name = SPAN_LIT("s"), .link = SPAN_LIT(A100) }, 1 },
	{ { .type = TAR_SYMLINK, .name = SPAN_LIT("s"), .link = SPAN_LIT(A100 "b") }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT(A100) }, 1 },
	{ { .type = TAR_FILE, .name = SPAN_LIT(A100 "b") }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("b/" A100) }, 1 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("b/" A100 "b") }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT(A155 "/" A100) }, 1 },
	{ { .type = TAR_FILE, .name = SPAN_LIT(A155 "c/" A100) }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT(A155 "c/a") }, 3 },
	{ { .type = TAR_DIR, .name = SPAN_LIT(A100 "/") }, 3 },
	{ { .type = TAR_DIR, .name = SPAN_LIT("c/" A50 A50 "/") }, 3 },
	{ { .type = TAR_DIR, .name = SPAN_LIT("c/" A50 "/" A50 "/") }, 1 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("/" A100) }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("big"), .size = 077777777777 }, 1 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("big"), .size = 0100000000000 }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("big"), .size = 1LL << 60 }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("small"), .size = 3, .always_size = true }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("old"), .mtime = -5 }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("\xff\x01\n") }, 1 },
	{ { .type = TAR_CHAR, .name = SPAN_LIT("null"), .dev_major = 1, .dev_minor = 3 }, 1 },
	{ { .type = TAR_BLOCK_DEV, .name = SPAN_LIT("sda"), .dev_major = 8, .dev_minor = 07777777 }, 1 },
	{ { .type = TAR_FIFO, .name = SPAN_LIT("p"), .mode = 01777 }, 1 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("o"), .uid = 1000, .gid = 07777777, .uname = SPAN_LIT("u"),
	    .gname = SPAN_LIT("a group of thirty-one characters") }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("o"), .uid = 010000000, .gid = UINT32_MAX }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("t"), .mtime = 1700000000, .mtime_nsec = 120000000 }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("t"), .mtime = -2, .mtime_nsec = 500000000 }, 3 },
	{ { .type = TAR_FILE, .name = SPAN_LIT("x"), .xattrs = attributes, .n_xattrs = 2 }, 3 },
};

/* clang-format on */
static void no_oddity(void *arg, const struct tar_oddity *o)
{
	(void)arg;
	fail_msg("%s: %s", o->code, o->message);
}

static void read_back(struct span bytes, const struct tar_member *m)
{
	cleanup_error dray_error *err = NULL;
	const struct tar_entry *e;

	cleanup_source struct source *in = source_from_span(bytes, NULL);
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(in, no_oddity, NULL, NULL);
	if (tar_next(r, &e, &err) != 1)
		fail_msg("%s", err ? dray_error_message(err) : "no entry");
	assert_int_equal(e->type, m->type);
	assert_true(span_eq(e->name, m->name));
	assert_true(span_eq(e->link, m->link));
	assert_int_equal(e->size, m->size);
	assert_int_equal(e->mode, m->mode);
	assert_int_equal(e->mtime, m->mtime);
	assert_int_equal(e->mtime_nsec, m->mtime_nsec);
	assert_int_equal(e->uid, m->uid);
	assert_int_equal(e->gid, m->gid);
	assert_true(span_eq(e->uname, m->uname));
	assert_true(span_eq(e->gname, m->gname));
	assert_int_equal(e->dev_major, m->dev_major);
	assert_int_equal(e->dev_minor, m->dev_minor);
	assert_int_equal(e->data_off, bytes.len);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		assert_true(span_eq(e->xattrs[i].name, m->xattrs[i].name));
		assert_true(span_eq(e->xattrs[i].value, m->xattrs[i].value));
	}
	assert_true(e->n_xattrs == m->n_xattrs);
}

static void test_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_buf struct buf b = tb_new();
		cleanup_error dray_error *err = NULL;

		int rc = tar_header_write(&cases[i].m, &b, &err);
		assert_ok(rc, err);
		if (b.len != cases[i].blocks * TAR_BLOCK)
			fail_msg("row %zu: %zu bytes", i, b.len);
		read_back(span_buf(&b), &cases[i].m);
	}
}

/* Byte for byte what the independent builder of the tests makes. */
static void test_bytes(void **state)
{
	cleanup_buf struct buf got = tb_new();
	uint8_t want[512];

	(void)state;
	assert_int_equal(tar_header_write(&(struct tar_member){ .type = TAR_FILE,
								.mode = 0644,
								.name = SPAN_LIT("oci-layout"),
								.size = 30 },
					  &got, NULL),
			 0);
	tb_block(want, &(struct tb_head){ .name = "oci-layout", .size = 30 });
	want[155] = ' '; /* behind the checksum's NUL, as everybody writes it */
	assert_int_equal(got.len, sizeof(want));
	assert_memory_equal(got.data, want, sizeof(want));
}

/* A record's length counts its own digits, also where that adds one. */
static void test_record_lengths(void **state)
{
	(void)state;
	for (size_t len = 101; len < 1200; len++) {
		cleanup_buf struct buf b = tb_new();
		cleanup_buf struct buf name = tb_new();

		assert_int_equal(buf_reserve(&name, len, NULL), 0);
		memset(name.data, 'x', len);
		struct tar_member m = { .type = TAR_FILE, .name = span_of(name.data, len) };
		assert_int_equal(tar_header_write(&m, &b, NULL), 0);
		read_back(span_buf(&b), &m);
	}
}

static const struct {
	struct tar_member m;
	enum dray_err_kind kind;
} refused[] = {
	{ { .type = TAR_FILE }, DRAY_ERR_USAGE },
	{ { .type = TAR_FILE, .name = SPAN_LIT("a\0b") }, DRAY_ERR_USAGE },
	{ { .type = TAR_SYMLINK, .name = SPAN_LIT("a"), .link = SPAN_LIT("\0") }, DRAY_ERR_USAGE },
	{ { .type = TAR_FILE, .name = SPAN_LIT("a"), .size = -1 }, DRAY_ERR_USAGE },
	{ { .type = TAR_DIR, .name = SPAN_LIT("a"), .size = 1 }, DRAY_ERR_USAGE },
	{ { .type = TAR_FILE, .name = SPAN_LIT("a"), .mode = 1 << 30 }, DRAY_ERR_USAGE },
	{ { .type = TAR_OTHER, .name = SPAN_LIT("a") }, DRAY_ERR_UNSUPPORTED },
	{ { .type = TAR_CHAR, .name = SPAN_LIT("a"), .dev_major = 1 << 21 }, DRAY_ERR_USAGE },
	{ { .type = TAR_FILE, .name = SPAN_LIT("a"), .uid = -1 }, DRAY_ERR_USAGE },
	{ { .type = TAR_FILE, .name = SPAN_LIT("a"), .mtime_nsec = 1000000000 }, DRAY_ERR_USAGE },
	{ { .type = TAR_FILE, .name = SPAN_LIT("a"), .xattrs = &two_names, .n_xattrs = 1 },
	  DRAY_ERR_UNSUPPORTED },
	{ { .type = TAR_FILE, .name = SPAN_LIT("a"), .xattrs = &no_name, .n_xattrs = 1 },
	  DRAY_ERR_UNSUPPORTED },
	{ { .type = TAR_FILE, .name = SPAN_LIT("a"), .xattrs = &cut_name, .n_xattrs = 1 },
	  DRAY_ERR_UNSUPPORTED },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		cleanup_buf struct buf b = tb_new();
		cleanup_error dray_error *err = NULL;

		assert_int_equal(tar_header_write(&refused[i].m, &b, &err), -1);
		assert_int_equal(dray_error_kind(err), refused[i].kind);
		assert_int_equal(b.len, 0);
	}
}

static int write_once(void *arg, dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_PAX);

	return tar_header_write(arg, &b, err);
}

static void test_no_memory(void **state)
{
	struct tar_member m = { .type = TAR_FILE, .name = SPAN_LIT(A155), .size = 1LL << 40 };

	(void)state;
	torture_alloc(write_once, &m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_record_lengths), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
