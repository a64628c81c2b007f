/* SPDX-License-Identifier: Apache-2.0
 *
 * The tar reader against archives built by hand. Rows carry the id of the
 * reliability table (2.4): what must be refused stands beside what must not.
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

/* One step of building an archive. */
struct op {
	enum { OP_STOP, OP_HEAD, OP_PAX, OP_EXT, OP_ZEROS, OP_RAW } kind;
	struct tb_head head;
	const char *a, *b;
	size_t n;
};

/* clang-format off */
#define FILE_(n, text) { .kind = OP_HEAD, .head = { .name = n, .size = sizeof(text) - 1 }, .a = text }
#define HEAD(...) { .kind = OP_HEAD, .head = { __VA_ARGS__ } }
#define DATA(text, ...) { .kind = OP_HEAD, .head = { __VA_ARGS__ }, .a = text }
#define PAX(key, value) { .kind = OP_PAX, .head = { .type = 'x' }, .a = key, .b = value }
#define GLOBAL(key, value) { .kind = OP_PAX, .head = { .type = 'g' }, .a = key, .b = value }
#define RECORDS(text) { .kind = OP_EXT, .head = { .type = 'x' }, .a = text, .n = sizeof(text) - 1 }
#define GNU(t, text) { .kind = OP_EXT, .head = { .type = t }, .a = text, .n = sizeof(text) }
#define ZEROS(count) { .kind = OP_ZEROS, .n = count }
#define RAW(text) { .kind = OP_RAW, .a = text, .n = sizeof(text) - 1 }
#define END ZEROS(1024)

struct row {
	const char *id;
	struct op ops[7];
	const char *want;	/* listing: "TYPE NAME[>LINK] SIZE\n", oddities "!CODE\n"; NULL = refused */
	enum dray_err_kind kind;
	const char *message;	/* part of it */
};
#define LIST(text) .want = text
#define REFUSED(text) .kind = DRAY_ERR_FORMAT, .message = text

static const struct row rows[] = {
	{ "plain", { FILE_("a", "abc"), HEAD(.name = "d/", .type = '5'),
		HEAD(.name = "s", .type = '2', .link = "a"), HEAD(.name = "h", .type = '1', .link = "a"),
		HEAD(.name = "f", .type = '6'), END }, LIST("f a 3\nd d/ 0\ns s>a 0\nh h>a 0\np f 0\n") },
	{ "devices", { HEAD(.name = "c", .type = '3', .dev_text = "0000001"),
		HEAD(.name = "b", .type = '4', .dev_text = "0000377"), END }, LIST("c c 0 1,1\nb b 0 255,255\n") },
	{ "device junk", { HEAD(.name = "c", .type = '3', .dev_text = "x"), END }, REFUSED("device major") },
	{ "device junk on a file", { HEAD(.name = "c", .dev_text = "x"), END }, LIST("f c 0\n") },
	{ "exact block", { FILE_("a", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
		FILE_("b", "x"), END }, LIST("f a 512\nf b 1\n") },
	{ "unknown type", { DATA("xy", .name = "v", .type = 'V', .size = 2), END },
		LIST("!tar-unknown-type\no v 2\n") },
	{ "contiguous", { DATA("xy", .name = "v", .type = '7', .size = 2), END }, LIST("f v 2\n") },
	{ "v7", { DATA("xy", .name = "v", .type = TB_OLD_FILE, .size = 2, .magic = TB_MAGIC_V7),
		HEAD(.name = "d/", .type = TB_OLD_FILE, .magic = TB_MAGIC_V7), END },
		LIST("f v 2\nd d/ 0\n") },
	{ "old gnu", { DATA("xy", .name = "v", .size = 2, .magic = TB_MAGIC_GNU), END }, LIST("f v 2\n") },
	{ "ustar of another version", { HEAD(.name = "v", .magic = "ustar\0\0\0"), END }, LIST("f v 0\n") },
	{ "old dir with data", { DATA("xy", .name = "d/", .type = TB_OLD_FILE, .size = 2), END },
		REFUSED("old directory with data") },
	{ "file with slash", { HEAD(.name = "d/"), END }, LIST("!tar-file-slash\nf d/ 0\n") },
	{ "file with slash and data", { DATA("xy", .name = "d/", .size = 2), END }, REFUSED("slash") },
	{ "no name", { HEAD(.name = ""), END }, LIST("!tar-empty-name\nf  0\n") },
	{ "no target", { HEAD(.name = "s", .type = '2'), END }, LIST("!tar-empty-link\ns s> 0\n") },

	{ "T-01 pax wins", { PAX("size", "3"), DATA("abc", .name = "a", .size = 5), END },
		LIST("!tar-pax-size-differs\nf a 3\n") },
	{ "T-01 zero field", { PAX("size", "3"), DATA("abc", .name = "a"), END }, LIST("f a 3\n") },
	{ "T-01 saturated field", { PAX("size", "3"), DATA("abc", .name = "a", .size_text = "777777777777"),
		END }, LIST("f a 3\n") },
	{ "T-01 equal", { PAX("size", "3"), DATA("abc", .name = "a", .size = 3), END }, LIST("f a 3\n") },
	{ "T-02 pax size, then L", { PAX("size", "3"), GNU('L', "long"), DATA("abc", .name = "a"), END },
		LIST("f long 3\n") },
	{ "T-02 L, then pax size", { GNU('L', "long"), PAX("size", "3"), DATA("abc", .name = "a"), END },
		LIST("f long 3\n") },
	{ "T-03 pax path, L", { PAX("path", "p"), GNU('L', "l"), FILE_("a", ""), END }, REFUSED("both pax path") },
	{ "T-03 L, pax path", { GNU('L', "l"), PAX("path", "p"), FILE_("a", ""), END }, REFUSED("both pax path") },
	{ "T-03 K, pax linkpath", { GNU('K', "l"), PAX("linkpath", "p"),
		HEAD(.name = "s", .type = '2', .link = "x"), END }, REFUSED("both pax linkpath") },
	{ "T-03 L and K", { GNU('K', "target"), GNU('L', "name"),
		HEAD(.name = "s", .type = '2', .link = "x"), END }, LIST("s name>target 0\n") },
	{ "T-03 two L", { GNU('L', "a"), GNU('L', "b"), FILE_("c", ""), END }, REFUSED("second GNU long name") },
	{ "T-03 two x", { PAX("path", "a"), PAX("path", "a"), FILE_("c", ""), END }, REFUSED("second pax") },
	{ "empty L", { GNU('L', ""), FILE_("c", ""), END }, REFUSED("empty GNU long name") },
	{ "L without its NUL", { { .kind = OP_EXT, .head = { .type = 'L' }, .a = "name", .n = 4 },
		FILE_("c", ""), END }, LIST("f name 0\n") },
	{ "L with a tail", { GNU('L', "name\0tail"), FILE_("c", ""), END },
		LIST("!tar-gnu-name-tail\nf name 0\n") },
	{ "pax names", { PAX("path", "a/long\nname"), FILE_("c", "x"), END }, LIST("f a/long\nname 1\n") },
	{ "pax linkpath", { PAX("linkpath", "far"), HEAD(.name = "s", .type = '2', .link = "x"), END },
		LIST("s s>far 0\n") },
	{ "T-04 NUL in path", { RECORDS("12 path=a\0b\n"), FILE_("c", ""), END }, REFUSED("NUL in path") },
	{ "T-04 NUL in uname", { RECORDS("13 uname=a\0b\n"), FILE_("c", ""), END }, REFUSED("NUL in uname") },
	{ "T-04 NUL in an xattr", { RECORDS("23 SCHILY.xattr.u.x=\0\n\n"), FILE_("c", ""), END },
		LIST("f c 0 u.x:2\n") },
	{ "T-04 NUL in a key", { RECORDS("9 pa\0h=a\n"), FILE_("c", ""), END }, REFUSED("NUL in a key") },
	{ "T-05 right", { RECORDS("12 path=abc\n"), FILE_("c", ""), END },
		LIST("f abc 0\n") },
	{ "T-05 length past the block", { RECORDS("13 path=abc\n"), FILE_("c", ""), END },
		REFUSED("length does not fit") },
	{ "T-05 length too short", { RECORDS("11 path=abc\n"), FILE_("c", ""), END }, REFUSED("newline") },
	{ "T-05 no newline", { RECORDS("12 path=abcd"), FILE_("c", ""), END }, REFUSED("newline") },
	{ "T-05 zero length", { RECORDS("0 path=abc\n"), FILE_("c", ""), END }, REFUSED("length does not fit") },
	{ "T-05 sign", { RECORDS("+13 path=abc\n"), FILE_("c", ""), END }, REFUSED("length is no number") },
	{ "T-05 leading blank", { RECORDS(" 13 path=abc\n"), FILE_("c", ""), END }, REFUSED("no number") },
	{ "T-05 no space", { RECORDS("1234567890123456"), FILE_("c", ""), END }, REFUSED("no number") },
	{ "T-05 no equals", { RECORDS("8 path\n\n"), FILE_("c", ""), END }, REFUSED("no key") },
	{ "T-05 empty key", { RECORDS("6 =ab\n"), FILE_("c", ""), END }, REFUSED("no key") },
	{ "T-05 zero padding", { RECORDS("12 path=abc\n\0\0"), FILE_("c", ""), END }, REFUSED("no number") },
	{ "no records", { RECORDS(""), FILE_("c", ""), END }, LIST("f c 0\n") },
	{ "T-06 empty path", { PAX("path", ""), FILE_("c", ""), END }, LIST("!tar-pax-empty-value\nf c 0\n") },
	{ "T-06 empty size", { PAX("size", ""), FILE_("c", "abc"), END }, LIST("!tar-pax-empty-value\nf c 3\n") },
	{ "T-06 taken back", { RECORDS("9 path=p\n8 path=\n"), FILE_("c", ""), END },
		LIST("!tar-pax-twin\n!tar-pax-empty-value\nf c 0\n") },
	{ "twin keys", { RECORDS("9 path=p\n9 path=q\n"), FILE_("c", ""), END }, LIST("!tar-pax-twin\nf q 0\n") },
	{ "T-07 negative size", { PAX("size", "-512"), FILE_("c", ""), END }, REFUSED("size is no number") },
	{ "T-07 signed size", { PAX("size", "+4"), FILE_("c", ""), END }, REFUSED("size is no number") },
	{ "T-07 fraction", { PAX("size", "4.0"), FILE_("c", ""), END }, REFUSED("size is no number") },
	{ "T-07 huge size", { PAX("size", "9223372036854775808"), FILE_("c", ""), END }, REFUSED("size is no") },
	{ "size at the edge", { PAX("size", "9223372036854775807"), FILE_("c", ""), END },
		REFUSED("out of range") },
	{ "uid junk", { PAX("uid", "x"), FILE_("c", ""), END }, REFUSED("uid is no number") },
	{ "mtime junk", { PAX("mtime", "1.x"), FILE_("c", ""), END }, REFUSED("mtime is no number") },
	{ "T-08 base-256 minus one", { HEAD(.name = "c", .size_text = "\xff\xff\xff\xff\xff\xff\xff\xff"
		"\xff\xff\xff\xff"), END }, REFUSED("size is negative") },
	{ "T-08 base-256 2^64", { HEAD(.name = "c", .size_text = "\x80\x01\x01\x01\x01\x01\x01\x01"
		"\x01\x01\x01\x01"), END }, REFUSED("size is no number") },
	{ "T-09 symlink", { HEAD(.name = "s", .type = '2', .link = "x", .size = 512), END },
		REFUSED("cannot have data") },
	{ "T-09 device", { HEAD(.name = "s", .type = '3', .size = 512), END }, REFUSED("cannot have data") },
	{ "T-09 fifo", { HEAD(.name = "s", .type = '6', .size = 1), END }, REFUSED("cannot have data") },
	{ "T-09 pax size on a symlink", { PAX("size", "1"), HEAD(.name = "s", .type = '2', .link = "x"), END },
		REFUSED("cannot have data") },
	{ "T-09 folder", { HEAD(.name = "d", .type = '5', .size = 512), FILE_("e", "x"), END },
		LIST("!tar-data-ignored\nd d 0\nf e 1\n") },
	{ "T-09 hard link", { HEAD(.name = "h", .type = '1', .link = "x", .size = 9), FILE_("e", "x"), END },
		LIST("!tar-data-ignored\nh h>x 0\nf e 1\n") },
	{ "T-10 comment", { GLOBAL("comment", "0123abcd"), FILE_("a", "x"), END }, LIST("f a 1\n") },
	{ "T-10 vendor", { GLOBAL("DRAY.x", "1"), FILE_("a", "x"), END }, LIST("f a 1\n") },
	{ "T-10 xattr", { GLOBAL("SCHILY.xattr.user.a", "1"), FILE_("a", "x"), END },
		LIST("!tar-global-xattr\nf a 1\n") },
	{ "T-10 path", { GLOBAL("path", "p"), FILE_("a", "x"), END }, REFUSED("global pax record path") },
	{ "T-10 linkpath", { GLOBAL("linkpath", "p"), FILE_("a", "x"), END }, REFUSED("global pax record") },
	{ "T-10 size", { GLOBAL("size", "0"), FILE_("a", "x"), END }, REFUSED("global pax record size") },
	{ "T-10 mtime", { GLOBAL("mtime", "0"), FILE_("a", "x"), END }, REFUSED("global pax record mtime") },
	{ "T-10 sparse", { GLOBAL("GNU.sparse.major", "1"), FILE_("a", "x"), END }, REFUSED("GNU.sparse.major") },
	{ "g at the end", { GLOBAL("comment", "x"), END }, LIST("") },
	{ "g within", { PAX("path", "p"), GLOBAL("comment", "x"), FILE_("a", ""), END }, REFUSED("global header") },
	{ "T-11 prefix", { HEAD(.name = "b", .prefix = "a"), END }, LIST("f a/b 0\n") },
	{ "T-11 gnu prefix", { HEAD(.name = "b", .prefix = "a", .magic = TB_MAGIC_GNU), END }, REFUSED("prefix") },
	{ "T-11 gnu atime", { HEAD(.name = "b", .prefix = "14752612345", .magic = TB_MAGIC_GNU), END },
		LIST("f b 0\n") },
	{ "T-11 v7 prefix", { HEAD(.name = "b", .prefix = "a", .magic = TB_MAGIC_V7), END }, REFUSED("prefix") },
	{ "T-12 signed", { HEAD(.name = "\xe4", .checksum = TB_SUM_SIGNED), END },
		LIST("!tar-checksum-signed\nf \xe4 0\n") },
	{ "T-13 first", { HEAD(.name = "a", .checksum = TB_SUM_BAD), END },
		REFUSED("tar header at byte 0: checksum does not match") },
	{ "T-13 later", { FILE_("a", "x"), HEAD(.name = "b", .checksum = TB_SUM_BAD), FILE_("c", ""), END },
		REFUSED("tar header at byte 1024: checksum") },
	{ "T-14 one zero block", { FILE_("a", "x"), ZEROS(512), FILE_("b", "x"), END }, REFUSED("one zero block") },
	{ "T-14 junk behind one", { FILE_("a", "x"), ZEROS(512), RAW("junk") }, REFUSED("one zero block") },
	{ "T-14 only one", { FILE_("a", "x"), ZEROS(512) }, LIST("f a 1\n!tar-one-end-block\n") },
	{ "T-14 one and a bit", { FILE_("a", "x"), ZEROS(612) }, LIST("f a 1\n!tar-one-end-block\n") },
	{ "T-15 junk", { FILE_("a", "x"), END, ZEROS(9), RAW("junk") }, LIST("f a 1\n!tar-after-end\n") },
	{ "T-15 zeros", { FILE_("a", "x"), END, ZEROS(9000) }, LIST("f a 1\n") },
	{ "T-16 payload cut", { DATA("x", .name = "a", .size = 2000) }, REFUSED("byte 1024") },
	{ "T-16 no end", { FILE_("a", "x") }, LIST("f a 1\n!tar-no-end\n") },
	{ "T-16 half a zero block", { FILE_("a", "x"), ZEROS(100) }, LIST("f a 1\n!tar-no-end\n") },
	{ "T-16 half a header", { FILE_("a", "x"), RAW("half") }, REFUSED("truncated at byte 1024") },
	{ "empty", { { 0 } }, LIST("!tar-empty\n") },
	{ "empty tar", { END }, LIST("") },
	{ "T-17 x at the end", { FILE_("a", "x"), PAX("path", "p"), END }, REFUSED("without an entry") },
	{ "T-17 x at the very end", { PAX("path", "p") }, REFUSED("without an entry") },
	{ "T-17 L", { GNU('L', "p"), END }, REFUSED("without an entry") },
	{ "T-18 old sparse, other magic", { DATA("ab", .name = "b", .size = 2, .type = 'S'), END },
		REFUSED("without GNU's magic") },
	{ "T-19 blank size", { HEAD(.name = "a", .size_text = "            "), END }, LIST("f a 0\n") },
	{ "T-19 padded size", { DATA("abc", .name = "a", .size_text = "        3 "), END }, LIST("f a 3\n") },
	{ "T-19 junk size", { HEAD(.name = "a", .size_text = "12x"), END }, REFUSED("size is no number") },
	{ "T-19 digit 8", { HEAD(.name = "a", .size_text = "00000000018"), END }, REFUSED("size is no number") },
	{ "T-19 two numbers", { HEAD(.name = "a", .size_text = "1 2"), END }, REFUSED("size is no number") },
	{ "T-19 minus", { HEAD(.name = "a", .size_text = "-1"), END }, REFUSED("size is no number") },
	{ "T-20 bytes", { PAX("path", "\xff\xfe"), FILE_("a", ""), END }, LIST("f \xff\xfe 0\n") },
	{ "T-20 BINARY", { PAX("hdrcharset", "BINARY"), FILE_("\xff", ""), END }, LIST("f \xff 0\n") },
	{ "T-20 charset", { PAX("hdrcharset", "KOI8"), FILE_("a", ""), END }, LIST("!tar-pax-charset\nf a 0\n") },
	{ "T-21 names are kept", { FILE_("./a", ""), FILE_("a//b", ""), FILE_("/a", ""), FILE_("a/../b", ""),
		END }, LIST("f ./a 0\nf a//b 0\nf /a 0\nf a/../b 0\n") },
	{ "Solaris", { { .kind = OP_EXT, .head = { .type = 'X' }, .a = "" }, FILE_("a", ""), END },
		.kind = DRAY_ERR_UNSUPPORTED, .message = "Solaris" },
};

/* clang-format on */
static void build(const struct row *row, struct buf *b)
{
	for (const struct op *op = row->ops; op < row->ops + ARRAY_LEN(row->ops); op++) {
		switch (op->kind) {
		case OP_HEAD:
			tb_member(b, &op->head, op->a ? op->a : "", op->a ? strlen(op->a) : 0);
			break;
		case OP_PAX:
			tb_pax(b, op->head.type, op->a, op->b);
			break;
		case OP_EXT:
			tb_ext(b, op->head.type, op->a, op->n);
			break;
		case OP_ZEROS:
			tb_zeros(b, op->n);
			break;
		case OP_RAW:
			tb_bytes(b, op->a, op->n);
			break;
		case OP_STOP:
			return;
		}
	}
}

/* ---- listing ---- */

struct listing {
	struct buf text;
	dray_error *failure; /* of the listing itself: memory */
};

static void on_oddity(void *arg, const struct tar_oddity *o)
{
	struct listing *l = arg;

	assert_true(o->message[0] != '\0');
	if (!l->failure)
		(void)!buf_printf(&l->text, &l->failure, "!%s\n", o->code);
}

static int list_entry(struct listing *l, const struct tar_entry *e, dray_error **err)
{
	static const char letters[] = {
		[TAR_FILE] = 'f', [TAR_HARDLINK] = 'h',	 [TAR_SYMLINK] = 's',
		[TAR_CHAR] = 'c', [TAR_BLOCK_DEV] = 'b', [TAR_DIR] = 'd',
		[TAR_FIFO] = 'p', [TAR_SPARSE] = 'S',	 [TAR_OTHER] = 'o'
	};
	bool link = e->type == TAR_HARDLINK || e->type == TAR_SYMLINK;

	if (buf_printf(&l->text, err, "%c ", letters[e->type]) < 0 ||
	    buf_add(&l->text, e->name, err) < 0 ||
	    buf_add_str(&l->text, link ? ">" : "", err) < 0 ||
	    buf_add(&l->text, e->link, err) < 0 ||
	    buf_printf(&l->text, err, " %lld", (long long)e->size) < 0)
		return -1;
	if (e->dev_major && buf_printf(&l->text, err, " %lld,%lld", (long long)e->dev_major,
				       (long long)e->dev_minor) < 0)
		return -1;
	for (size_t i = 0; i < e->n_xattrs; i++)
		if (buf_add_byte(&l->text, ' ', err) < 0 ||
		    buf_add(&l->text, e->xattrs[i].name, err) < 0 ||
		    buf_printf(&l->text, err, ":%zu", e->xattrs[i].value.len) < 0)
			return -1;
	return buf_add_byte(&l->text, '\n', err);
}

static int read_data(struct tar_reader *r, const struct tar_entry *e, dray_error **err)
{
	cleanup_source struct source *s = tar_data(r, err);

	if (!s || source_drain(s, err) < 0)
		return -1;
	assert_int_equal(s->pos, e->size);
	return 0;
}

/* List what @p in holds, to its end. Takes @p in. */
static int list(struct source *source, bool read, struct listing *l, dray_error **err)
{
	cleanup_source struct source *in = source;
	cleanup_tar_reader struct tar_reader *r = in ? tar_reader_new(in, on_oddity, l, err) : NULL;
	const struct tar_entry *e;
	int64_t last = 0;
	int rc;

	if (!r)
		return -1;
	while ((rc = tar_next(r, &e, err)) > 0) {
		assert_true(e->header_off >= last && e->data_off > e->header_off);
		assert_true(e->end_off >= e->data_off + e->size && e->end_off % TAR_BLOCK == 0);
		last = e->end_off;
		if (list_entry(l, e, err) < 0 || (read && read_data(r, e, err) < 0))
			return -1;
	}
	if (rc < 0 || tar_tail(r, err) < 0)
		return -1;
	if (l->failure) {
		*err = steal_pointer(&l->failure);
		return -1;
	}
	return 0;
}

static struct source *torn(struct span bytes, size_t piece, int64_t fail_at, dray_error **err)
{
	struct source *s = source_from_span(bytes, err);

	return piece ? source_torn(s, piece, fail_at, err) : s;
}

static void check(const struct row *row, struct span bytes, size_t piece, bool read)
{
	struct listing l = { .text = BUF_INIT(1 << 20) };
	cleanup_error dray_error *err = NULL;
	int rc = list(torn(bytes, piece, -1, &err), read, &l, &err);

	if (row->want ? rc < 0 || !span_is(span_buf(&l.text), row->want)
		      : rc == 0 || dray_error_kind(err) != row->kind ||
				!strstr(dray_error_message(err), row->message))
		fail_msg("%s in pieces of %zu: %.*s %s", row->id, piece, (int)l.text.len,
			 l.text.data ? (char *)l.text.data : "",
			 err ? dray_error_message(err) : "accepted");
	buf_clear(&l.text);
}

static const size_t pieces[] = { 0, 1, 511, 512, 513, 4093 };

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_buf struct buf b = tb_new();

		build(&rows[i], &b);
		for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
			check(&rows[i], span_buf(&b), pieces[p], false);
			check(&rows[i], span_buf(&b), pieces[p], true);
		}
	}
}

/* ---- what a listing does not show ---- */

static int next(struct tar_reader *r, const struct tar_entry **e)
{
	cleanup_error dray_error *err = NULL;
	int rc = tar_next(r, e, &err);

	if (rc < 0)
		fail_msg("%s", dray_error_message(err));
	return rc;
}

static void test_numbers(void **state)
{
	static const struct {
		const char *field, *pax;
		int64_t sec;
		int32_t nsec;
	} times[] = {
		{ "00000000017", NULL, 15, 0 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", NULL, -2, 0 },
		{ "0", "1.5", 1, 500000000 },
		{ "0", "1.1234567899", 1, 123456789 },
		{ "0", "1.", 1, 0 },
		{ "0", "-1.25", -2, 750000000 },
		{ "0", "-3", -3, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		cleanup_buf struct buf b = tb_new();
		const struct tar_entry *e;

		if (times[i].pax)
			tb_pax(&b, 'x', "mtime", times[i].pax);
		tb_header(&b, &(struct tb_head){ .name = "a",
						 .mtime_text = times[i].field,
						 .uid_text = "0000012",
						 .mode_text = "0004755",
						 .uname = "u",
						 .gname = "g" });
		cleanup_source struct source *in = source_from_span(span_buf(&b), NULL);
		cleanup_tar_reader struct tar_reader *r = tar_reader_new(in, NULL, NULL, NULL);
		assert_int_equal(next(r, &e), 1);
		assert_int_equal(e->mtime, times[i].sec);
		assert_int_equal(e->mtime_nsec, times[i].nsec);
		assert_int_equal(e->uid, 10);
		assert_int_equal(e->mode, 04755);
		assert_true(span_is(e->uname, "u") && span_is(e->gname, "g"));
		assert_int_equal(e->has_pax, times[i].pax != NULL);
	}
}

static void test_base256_size(void **state)
{
	cleanup_buf struct buf b = tb_new();
	const struct tar_entry *e;
	uint8_t block[512];

	(void)state;
	tb_block(block, &(struct tb_head){ .name = "big" });
	memset(block + 124, 0, 12);
	block[124] = 0x80;
	block[131] = 2; /* 2 << 32 */
	tb_checksum(block, TB_SUM_GOOD);
	tb_bytes(&b, block, 512);
	cleanup_source struct source *in = source_from_span(span_buf(&b), NULL);
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(in, NULL, NULL, NULL);
	assert_int_equal(next(r, &e), 1);
	assert_int_equal(e->size, 8589934592);
	assert_int_equal(tar_next(r, &e, NULL), -1);
}

/* Offsets count from the stream's own start, wherever the archive begins in it. */
static void test_offsets(void **state)
{
	cleanup_buf struct buf b = tb_new();
	const struct tar_entry *e;
	char data[8] = "";

	(void)state;
	tb_bytes(&b, "before", 6);
	tb_pad(&b);
	tb_pax(&b, 'x', "path", "p");
	tb_file(&b, "a", "content");
	tb_file(&b, "b", "more");
	tb_end(&b);
	cleanup_source struct source *in = source_from_span(span_buf(&b), NULL);
	assert_int_equal(source_skip(in, 512, NULL), 512);
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(in, NULL, NULL, NULL);
	assert_int_equal(next(r, &e), 1);
	assert_int_equal(e->header_off, 512);
	assert_int_equal(e->data_off, 2048);
	assert_int_equal(e->end_off, 2560);
	{
		/* Half-read data: the reader finds its way. */
		cleanup_source struct source *s = tar_data(r, NULL);
		assert_int_equal(source_read_exact(s, data, 3, NULL), 0);
		assert_string_equal(data, "con");
	}
	assert_int_equal(next(r, &e), 1);
	assert_true(span_is(e->name, "b") && e->link.len == 0 && !e->has_pax);
	assert_int_equal(e->header_off, 2560);
	assert_int_equal(next(r, &e), 0);
	assert_int_equal(next(r, &e), 0);
}

/* ---- limits, each at its edge and one further ---- */

static void expect_kind(const struct buf *b, int kind, const char *word)
{
	struct listing l = { .text = BUF_INIT(4 << 20) };
	cleanup_error dray_error *err = NULL;
	int rc = list(source_from_span(span_buf(b), NULL), false, &l, &err);

	buf_clear(&l.text);
	assert_int_equal(rc, kind ? -1 : 0);
	assert_int_equal(err ? (int)dray_error_kind(err) : 0, kind);
	if (kind)
		assert_non_null(strstr(dray_error_message(err), word));
}

static void test_limit_headers(void **state)
{
	(void)state;
	for (int over = 0; over <= 1; over++) {
		cleanup_buf struct buf b = tb_new();

		for (int i = 0; i < LIMIT_TAR_EXT_HEADERS + over; i++)
			tb_pax(&b, 'g', "comment", "x");
		tb_file(&b, "a", "");
		tb_end(&b);
		expect_kind(&b, over ? DRAY_ERR_LIMIT : 0, "LIMIT_TAR_EXT_HEADERS");
	}
}

static void test_limit_block(void **state)
{
	(void)state;
	for (size_t over = 0; over <= 1; over++) {
		cleanup_buf struct buf b = tb_new(), value = tb_new();

		assert_int_equal(buf_reserve(&value, LIMIT_PAX, NULL), 0);
		memset(value.data, 'v', LIMIT_PAX);
		value.len = LIMIT_PAX - sizeof("1048576 SCHILY.xattr.u.x=") + over;
		cleanup_buf struct buf records = tb_new();
		tb_record_bytes(&records, "SCHILY.xattr.u.x", value.data, value.len);
		assert_int_equal(records.len, LIMIT_PAX + over);
		tb_ext(&b, 'x', records.data, records.len);
		tb_file(&b, "a", "");
		tb_end(&b);
		expect_kind(&b, over ? DRAY_ERR_LIMIT : 0, "LIMIT_PAX");
	}
}

static void test_limit_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		cleanup_buf struct buf b = tb_new();
		cleanup_buf struct buf name = tb_new();
		bool over = i & 1;

		assert_int_equal(buf_reserve(&name, LIMIT_PATH + 2, NULL), 0);
		name.len = LIMIT_PATH + over;
		memset(name.data, 'n', name.len);
		name.data[name.len] = 0;
		if (i & 2)
			tb_gnu(&b, 'L', (char *)name.data);
		else
			tb_pax(&b, 'x', "path", (char *)name.data);
		tb_file(&b, "a", "");
		tb_end(&b);
		expect_kind(&b, over ? DRAY_ERR_LIMIT : 0, "LIMIT_PATH");
	}
}

/* ---- injected failures ---- */

static void build_small(struct buf *b)
{
	tb_pax(b, 'x', "SCHILY.xattr.user.a", "1");
	tb_file(b, "a", "abc");
	tb_gnu(b, 'L', "long");
	tb_dir(b, "d/");
	tb_header(b, &(struct tb_head){ .name = "b", .prefix = "p" });
	tb_end(b);
}

/* A stream that fails at byte N fails the walk, with the stream's own error. */
static void test_fail_at(void **state)
{
	cleanup_buf struct buf b = tb_new();

	(void)state;
	build_small(&b);
	for (size_t at = 0; at < b.len; at++) {
		struct listing l = { .text = BUF_INIT(1 << 20) };
		cleanup_error dray_error *err = NULL;
		int rc = list(torn(span_buf(&b), 1, (int64_t)at, &err), at % 2, &l, &err);

		buf_clear(&l.text);
		assert_int_equal(rc, -1);
		assert_non_null(err);
	}
}

/* A stream that ends at byte N is an error, but where only the end marker is lost. */
static void test_cut_at(void **state)
{
	cleanup_buf struct buf b = tb_new();

	(void)state;
	build_small(&b);
	for (size_t at = 0; at < b.len; at++) {
		struct listing l = { .text = BUF_INIT(1 << 20) };
		int rc = list(source_from_span(span_head(span_buf(&b), at), NULL), at % 2, &l,
			      NULL);
		bool odd = span_find(span_buf(&l.text), '!') >= 0;

		buf_clear(&l.text);
		/* Between whole entries, or anywhere within the end marker. */
		bool between = at == 0 || at == 2048 || at == 3584 || at >= 4096;
		assert_int_equal(rc, between ? 0 : -1);
		if (between)
			assert_true(odd);
	}
}

static int list_once(void *arg, dray_error **err)
{
	struct listing l = { .text = BUF_INIT(1 << 20) };
	int rc = list(source_from_span(span_buf(arg), err), true, &l, err);

	buf_clear(&l.text);
	err_clear(&l.failure);
	return rc;
}

static void test_no_memory(void **state)
{
	cleanup_buf struct buf b = tb_new();

	(void)state;
	build_small(&b);
	torture_alloc(list_once, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	      cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_base256_size),  cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_limit_headers), cmocka_unit_test(test_limit_block),
		cmocka_unit_test(test_limit_name),    cmocka_unit_test(test_fail_at),
		cmocka_unit_test(test_cut_at),	      cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
