/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of files, row by row.
 * Relies on nothing but text.
 * Promises that a row which is broken is named.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "build/mtree.h"
#include "torture.h"

struct row {
	const char *text;
	const char *want; /* what it comes to, an entry a line; NULL = refused */
	const char *message;
};

static const struct row rows[] = {
	{ .text = "", .want = "" },
	{ .text = "#mtree\n# c \\\n\n  # c\n", .want = "" },
	{ .text = "a type=file", .want = "a f\n" },
	{ .text = "./a/b type=dir mode=0755 # c\n", .want = "a/b d 755\n" },
	{ .text = ". type=dir\n b type=dir\n  c type=file\n ..\n d type=file\n..\n",
	  .want = " d\nb d\nb/c f\nd f\n" },
	{ .text = "a type=dir\n./x/y type=dir\nb type=file\n", .want = "a d\nx/y d\na/b f\n" },
	{ .text = "/set type=file uid=1\na\n/unset uid\nb\n/set gid=2 mode=600\nc type=dir\n",
	  .want = "a f u1\nb f\nc d 600 g2\n" },
	{ .text = "/set uid=1 uname=a\n/unset all\na type=fifo\n", .want = "a p\n" },
	{ .text = "a\\040b type=link \\\n\tlink=x\\012y\n", .want = "a b l ->x\ny\n" },
	{ .text = "a\\\\\\#\\s\\t type=file\r\n", .want = "a\\# \t f\n" },
	{ .text = "a#b type=file\n", .want = "a#b f\n" },
	{ .text = "a type=file time=12.5 size=7 content=x/../y optional nochange\n",
	  .want = "a f t12 s7 <x/../y ? =\n" },
	{ .text = "a type=file time=-1.000000000 md5=x cksum=1 nlink=1 flags=none\n",
	  .want = "a f t-1\n" },
	{ .text = "a type=file time=-9223372036854775807\n",
	  .want = "a f t-9223372036854775807\n" },
	{ .text = "a type=file time=-9223372036854775808\n",
	  .message = "line 1: time: expected seconds" },
	{ .text = "a type=char device=native,1,3\nb type=block device=259\n",
	  .want = "a c 1,3\nb b 1,3\n" },
	{ .text = "a type=file uname=root gname=wheel\n", .want = "a f uroot gwheel\n" },
	{ .text = "a uname=x uid=3\n", .want = "a u3 ux\n" },
	{ .text = "a type=file\n/a type=file\n", .want = "a f\n" },
	{ .text = "/ type=dir\n", .want = " d\n" },
	{ .text = "a type=file\na type=dir\n", .message = "line 2: /a: line 1 tells of it too" },
	{ .text = "..\n", .message = "line 1: \"..\" leaves a folder" },
	{ .text = "a type=dir\n.. x\n", .message = "line 2: x: nothing stands behind" },
	{ .text = "a/.. type=dir\n", .message = "line 1: a/..: \"..\" leads nowhere" },
	{ .text = "\n\na type=dir \\\n mode=x\n", .message = "line 3: mode: expected octal" },
	{ .text = "a\\", .message = "line 1: a\\: an escape that is none" },
	{ .text = "a\\04", .message = "an escape that is none" },
	{ .text = "a\\000b", .message = "an escape that is none" },
	{ .text = "a\\400", .message = "an escape that is none" },
	{ .text = "a mode=17777\n", .message = "expected octal" },
	{ .text = "a mode=\n", .message = "expected octal" },
	{ .text = "a type\n", .message = "type: expected file" },
	{ .text = "a link=\n", .message = "link: expected a path" },
	{ .text = "a optional=1\n", .message = "optional: expected no value" },
	{ .text = "a uid=+1\n", .message = "uid: expected a number" },
	{ .text = "a time=1.x\n", .message = "time: expected seconds" },
	{ .text = "a device=1,2\n", .message = "device: expected native" },
	{ .text = "a device=native,1\n", .message = "device: expected native" },
	{ .text = "a device=bsdos,1,2,3\n", .message = "device: expected native" },
	{ .text = "a sha256=xyz\n", .message = "sha256: " },
	{ .text = "a gname=staff\n", .message = "without its number" },
	{ .text = "a type=block\n", .message = "a device without" },
	{ .text = "a weird=1\n", .message = "weird: an unknown keyword" },
	{ .text = "/set content=a\n", .message = "content: nothing that /set" },
	{ .text = "/unset optional\n", .message = "optional: nothing that /set" },
};

static void show(const struct mtree_entry *e, struct buf *ret)
{
	const char *const letters = "fdlcbp";
	static const enum tar_type types[] = { TAR_FILE, TAR_DIR,	TAR_SYMLINK,
					       TAR_CHAR, TAR_BLOCK_DEV, TAR_FIFO };
	dray_error *err = NULL;
	int rc = buf_add_str(ret, e->path, &err);

	for (size_t i = 0; (e->has & MTREE_TYPE) && i < ROWS(types); i++)
		if (types[i] == e->type)
			rc |= buf_printf(ret, &err, " %c", letters[i]);
	if (e->has & MTREE_MODE)
		rc |= buf_printf(ret, &err, " %o", e->mode);
	if (e->has & MTREE_UID)
		rc |= buf_printf(ret, &err, " u%u", e->uid);
	if (e->has & MTREE_GID)
		rc |= buf_printf(ret, &err, " g%u", e->gid);
	if (e->has & MTREE_TIME)
		rc |= buf_printf(ret, &err, " t%lld", (long long)e->mtime);
	if (e->has & MTREE_SIZE)
		rc |= buf_printf(ret, &err, " s%lld", (long long)e->size);
	if (e->has & MTREE_DEVICE)
		rc |= buf_printf(ret, &err, " %u,%u", e->dev_major, e->dev_minor);
	if (e->uname)
		rc |= buf_printf(ret, &err, " u%s", e->uname);
	if (e->gname)
		rc |= buf_printf(ret, &err, " g%s", e->gname);
	if (e->link)
		rc |= buf_printf(ret, &err, " ->%s", e->link);
	if (e->content)
		rc |= buf_printf(ret, &err, " <%s", e->content);
	rc |= buf_printf(ret, &err, "%s%s\n", e->optional ? " ?" : "", e->nochange ? " =" : "");
	assert_ok(rc, err);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_mtree struct mtree m = { 0 };
		cleanup_error dray_error *err = NULL;
		cleanup_buf struct buf got = BUF_INIT(4096);
		int rc = mtree_parse(span_str(rows[i].text), &m, &err);

		if (!rows[i].want) {
			if (rc == 0 || !strstr(dray_error_message(err), rows[i].message))
				fail_msg("'%s': %s", rows[i].text,
					 err ? dray_error_message(err) : "taken");
			continue;
		}
		assert_ok(rc, err);
		for (size_t k = 0; k < m.n; k++)
			show(&m.list[k], &got);
		if (!span_is(span_buf(&got), rows[i].want))
			fail_msg("'%s' is %.*s", rows[i].text, (int)got.len, (char *)got.data);
	}
}

static void test_paths(void **state)
{
	static const char lines[] = "a\n./b/\n\na\n/c//d", nuls[] = "x\ny\0z\0";
	cleanup_mtree struct mtree m = { 0 }, z = { 0 }, bad = { 0 };
	cleanup_error dray_error *odd = NULL;
	dray_error *err = NULL;

	(void)state;
	assert_ok(mtree_paths(span_str(lines), '\n', &m, &err), err);
	assert_int_equal(m.n, 3);
	assert_string_equal(m.list[1].path, "b");
	assert_string_equal(m.list[2].path, "c/d");
	assert_int_equal(m.list[2].line, 5);
	assert_ok(mtree_paths(span_of(nuls, sizeof(nuls) - 1), '\0', &z, &err), err);
	assert_int_equal(z.n, 2);
	assert_string_equal(z.list[0].path, "x\ny");
	assert_int_equal(mtree_paths(SPAN_LIT("a\n../b\n"), '\n', &bad, &odd), -1);
	assert_non_null(strstr(dray_error_message(odd), "line 2: ../b"));
}

/* Short names in a long folder: what they come to has an end, and what comes again is not kept. */
static void test_names(void **state)
{
	enum { FOLDER = 60000, FIT = 17000, LINES = 18000 };

	(void)state;
	for (size_t lines = FIT; lines <= LINES; lines += LINES - FIT) {
		cleanup_mtree struct mtree m = { 0 };
		cleanup_error dray_error *err = NULL;
		cleanup_buf struct buf text = BUF_INIT(MIB);
		dray_error *odd = NULL;
		int rc;

		for (size_t i = 0; i < FOLDER; i++)
			assert_ok(buf_add_byte(&text, 'a', &odd), odd);
		assert_ok(buf_add_str(&text, " type=dir\n", &odd), odd);
		for (size_t i = 0; i < lines; i++)
			assert_ok(buf_add_str(&text, "b type=file\n", &odd), odd);
		rc = mtree_parse(span_buf(&text), &m, &err);
		assert_int_equal(rc, lines == FIT ? 0 : -1);
		assert_int_equal(m.n, 2);
		if (rc < 0)
			assert_non_null(strstr(dray_error_message(err), "LIMIT_LIST_NAMES"));
	}
}

static int parse_all(void *arg, dray_error **err)
{
	cleanup_mtree struct mtree m = { 0 };

	return mtree_parse(span_str(arg), &m, err);
}

static void test_memory(void **state)
{
	static char text[] =
		"/set uname=root\n. type=dir\na type=dir\nb type=link link=x\\040y\n..\n"
		"c/d sha256=0000000000000000000000000000000000000000000000000000000000000000\n";

	(void)state;
	torture_alloc(parse_all, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
