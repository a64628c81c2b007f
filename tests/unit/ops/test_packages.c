/* SPDX-License-Identifier: Apache-2.0
 *
 * Package databases made by hand: what is installed, who owns what, what is refused.
 */
#include <sqlite3.h>

#include "base/mem.h"
#include "layer/layers.h"
#include "ops/packages_priv.h"
#include "torture.h"

#define MERGED "l bin >usr/bin\nl lib >/usr/lib\nd usr\nd usr/bin\nd usr/lib\nd usr/share\n"

/* ---- a set as text ---- */

/* "name version arch source", then "path owner"; "-" = shared. */
static struct buf show(const struct package_set *set)
{
	struct buf ret = tb_new();

	for (size_t i = 0; i < set->n; i++)
		tell(&ret, "%s %s %s %s\n", set->list[i].name, set->list[i].version,
		     set->list[i].arch, set->list[i].source);
	for (size_t i = 0; i < set->owner.len; i++) {
		const struct map_slot *s = &set->owner.slots[i];
		const struct package *p = s->value;

		tell(&ret, "%.*s %s%s%s\n", (int)s->key.len, (const char *)s->key.data,
		     p ? p->name : "-", p && p->arch[0] ? ":" : "", p ? p->arch : "");
	}
	return ret;
}

static void assert_set(struct package_build *b, const char *want)
{
	cleanup_packages struct package_set *set = NULL;
	cleanup_buf struct buf got = { 0 };
	dray_error *err = NULL;

	assert_ok(packages_finish(b, &set, &err), err);
	got = show(set);
	assert_span_is(span_buf(&got), want);
}

static void begin(struct package_build *b, struct built *t, const char *tree)
{
	dray_error *err = NULL;

	*t = (struct built){ 0 };
	if (tree) {
		build_tars(t, tree);
		assert_ok(build_tree(t, 512, &err), err);
	}
	assert_ok(package_build_init(b, t->tree, &err), err);
}

/* ---- dpkg ---- */

struct dpkg_case {
	const char *tree; /* NULL = none */
	const char *status, *file;
	const char *diversions;
	const char *name[2], *list[2];
	const char *want;
};

#define P(name, state) "Package: " name "\nStatus: install ok " state "\n"
#define V "Version: 1\nArchitecture: amd64\n"

static const struct dpkg_case dpkg_cases[] = {
	{ .status = "", .want = "" },
	{ .status = "\n\n", .want = "" },
	{ .status = P("a", "installed") V, .want = "a 1 amd64 a\n" },
	/* What a reader of the whole file must not mind. */
	{ .status = "package:  a \nstatus:install ok installed\nDescription: x\n y\n .\n\ty\n"
		    "Conffiles:\n /etc/x 1\nVERSION: 2:1-1\n\n\n" P("b", "installed"),
	  .want = "a 2:1-1  a\nb   b\n" },
	{ .status = P("b", "installed") "Source: src (1-2)\nVersion: 3\n\n" P("a", "installed") V,
	  .want = "a 1 amd64 a\nb 3  src\n" },
	/* States: with files and without. */
	{ .status = P("a", "unpacked") "\n" P("b", "half-configured") "\n" P(
		  "c",
		  "triggers-"
		  "awaited") "\n" P("d",
				    "triggers-pending") "\n" P("e",
							       "not-installed") "\n" P("f",
										       "config-"
										       "files") "\n" P("g",
												       "half-"
												       "instal"
												       "led") "\n" P("h",
														     "reinstalled"),
	  .want = "a   a\nb   b\nc   c\nd   d\n" },
	{ .status = "Package: a\nVersion: 1\n", .want = "" },
	{ .status = "Package: a\nVersion: 1\n", .file = "a", .want = "a 1  a\n" },
	/* Lists: what is cleaned, what no node can have, what is nobody's. */
	{ .status = P("a", "installed"),
	  .name = { "a", "zzz" },
	  .list = { "/.\n/usr\n/usr/bin/x\n/usr/bin/x/\n./y\n\n/a/../b\n//z\n/q//q\n", "/no\n" },
	  .want = "a   a\nusr a\nusr/bin/x a\ny a\nz a\n" },
	{ .status = P("a", "installed") V
	  "\n" P("a", "installed") "Version: 1\nArchitecture: i386\n",
	  .name = { "a:i386", "a:amd64" },
	  .list = { "/b\n/doc\n", "/a\n/doc\n" },
	  .want = "a 1 amd64 a\na 1 i386 a\nb a:i386\ndoc a:amd64\na a:amd64\n" },
	{ .status = P("a", "config-files"), .name = { "a" }, .list = { "/x\n" }, .want = "" },
	/* A merged /usr; a folder that two have. */
	{ .tree = MERGED "f usr/bin/x",
	  .status = P("a", "installed") "\n" P("b", "installed"),
	  .name = { "a", "b" },
	  .list = { "/bin\n/bin/x\n/lib\n/lib/y/z\n/usr/share\n",
		    "/lib\n/usr/share\n/usr/bin/x\n/bin/none\n" },
	  .want = "a   a\nb   b\nbin a\nusr/bin/x a\nlib -\nusr/lib/y/z a\nusr/share "
		  "-\nusr/bin/none "
		  "b\n" },
	/* Links that lead in circles, out of the root, over files and to nothing. */
	{ .tree = "l o >o\nl up >../../usr\nd usr\nl usr/up >../f\nf f\nl e >none\nl s >./usr/./up",
	  .status = P("a", "installed"),
	  .name = { "a" },
	  .list = { "/o/x\n/up/x\n/usr/up/x\n/e/x\n/s/x\n/s\n" },
	  .want = "a   a\no/x a\nusr/x a\nf/x a\nnone/x a\ns a\n" },
	/* Diversions: of others, of one's own, local ones. */
	{ .status = P("a", "installed") "\n" P("b", "installed"),
	  .diversions = "/bin/sh\n/bin/sh.d\nb\n/x\n/x.local\n:\n",
	  .name = { "a", "b" },
	  .list = { "/bin/sh\n", "/bin/sh\n/x\n" },
	  .want = "a   a\nb   b\nbin/sh.d a\nbin/sh b\nx.local b\n" },
};

static int run_dpkg(struct dpkg *d, const struct dpkg_case *c, dray_error **err)
{
	if (c->diversions && dpkg_diversions(d, span_str(c->diversions), err) < 0)
		return -1;
	if (dpkg_status(d, span_str(c->status), c->file, err) < 0)
		return -1;
	for (size_t i = 0; i < 2 && c->name[i]; i++)
		if (dpkg_list(d, span_str(c->name[i]), span_str(c->list[i]), err) < 0)
			return -1;
	return 0;
}

static void test_dpkg(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(dpkg_cases); i++) {
		cleanup_package_build struct package_build b = { 0 };
		cleanup_built struct built t = { 0 };
		cleanup_dpkg struct dpkg d = { .b = &b };
		dray_error *err = NULL;

		begin(&b, &t, dpkg_cases[i].tree);
		assert_ok(run_dpkg(&d, &dpkg_cases[i], &err), err);
		assert_set(&b, dpkg_cases[i].want);
	}
}

struct refusal {
	const char *text, *part;
};

static void test_dpkg_refused(void **state)
{
	static const struct refusal rows[] = {
		{ "x\n", "line 1 is no" },
		{ ":x\n", "line 1 is no" },
		{ " x: y\n", "line 1 is no" },
		{ P("a", "installed") V "\ngarbage", "line 6 is no" },
		{ P("a", "installed") "Package: b\n", "line 3 gives \"package\" twice" },
		{ "Status: install ok installed\n\n", "before line 2: a package without a name" },
		{ "Status: install ok installed", "the last package: a package without a name" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_package_build struct package_build b = { 0 };
		cleanup_built struct built t = { 0 };
		cleanup_dpkg struct dpkg d = { .b = &b };
		dray_error *err = NULL;

		begin(&b, &t, NULL);
		assert_int_equal(dpkg_status(&d, span_str(rows[i].text), NULL, &err), -1);
		assert_err(err, DRAY_ERR_FORMAT, rows[i].part);
		assert_int_equal(dpkg_status(&d, SPAN_LIT("Package: a\0b\n"), "f", &err), -1);
		assert_err(err, DRAY_ERR_FORMAT, "NUL");
		assert_int_equal(dpkg_diversions(&d, span_str("/a\n/b\n"), &err), -1);
		assert_err(err, DRAY_ERR_FORMAT, "inside a diversion");
	}
}

/* Names of packages in md5sums are those of the files of status.d, which need not be the same. */
static void test_distroless(void **state)
{
	cleanup_package_build struct package_build b = { 0 };
	cleanup_built struct built t = { 0 };
	cleanup_dpkg struct dpkg d = { .b = &b };
	dray_error *err = NULL;

	(void)state;
	begin(&b, &t, NULL);
	assert_ok(dpkg_status(&d, span_str("Package: tzdata\nVersion: 2024a\n"), "dHpkYXRh", &err),
		  err);
	assert_ok(dpkg_md5sums(&d, span_str("dHpkYXRh"),
			       span_str("0123  usr/share/z one\n4567  ./etc/tz\nbad\n"), &err),
		  err);
	assert_ok(dpkg_md5sums(&d, span_str("other"), span_str("0123  usr/x\n"), &err), err);
	assert_set(&b, "tzdata 2024a  tzdata\nusr/share/z one tzdata\netc/tz tzdata\n");
}

/* ---- apk ---- */

static const char apk_text[] =
	"C:Q1=\nP:musl\nV:1.2\nA:x86_64\no:musl-src\nF:lib\nM:0:0:0755\nR:a.so\n"
	"a:0:0:755\nZ:Q1=\nF:usr/lib\nR:b\n\n\nP:busybox\nV:1\nF:\nR:root\nF:bin\n";

static void test_apk(void **state)
{
	static const struct refusal rows[] = {
		{ "V:1\n\n", "line 1: a package without a name" },
		{ "P:a\n\nV:1", "line 3: a package without a name" },
		{ "P:a\nx\n", "line 2 is no" },
		{ "P a\n", "line 1 is no" },
	};
	cleanup_package_build struct package_build b = { 0 };
	cleanup_built struct built t = { 0 };
	dray_error *err = NULL;

	(void)state;
	begin(&b, &t, "l lib >usr/lib\nd usr/lib\n");
	assert_ok(apk_installed(&b, span_str(apk_text), &err), err);
	assert_ok(apk_installed(&b, span_str(""), &err), err);
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(apk_installed(&b, span_str(rows[i].text), &err), -1);
		assert_err(err, DRAY_ERR_FORMAT, rows[i].part);
	}
	package_build_clear(&b);
	assert_ok(package_build_init(&b, t.tree, &err), err);
	assert_ok(apk_installed(&b, span_str(apk_text), &err), err);
	assert_set(&b, "busybox 1  busybox\nmusl 1.2 x86_64 musl-src\n"
		       "lib musl:x86_64\nusr/lib/a.so musl:x86_64\nusr/lib musl:x86_64\n"
		       "usr/lib/b musl:x86_64\nroot busybox\nbin busybox\n");
}

/* ---- rpm ---- */

struct tag {
	uint32_t tag, type, count;
	const char *data;
	size_t len;
};
#define TEXT(tag, text)                            \
	{                                          \
		tag, 6, 1, text "\0", sizeof(text) \
	}
#define TAG(tag, type, count, data)                      \
	{                                                \
		tag, type, count, data, sizeof(data) - 1 \
	}

static void put32(struct buf *b, uint32_t v)
{
	const uint8_t bytes[] = { v >> 24 & 255, v >> 16 & 255, v >> 8 & 255, v & 255 };

	tb_bytes(b, bytes, 4);
}

/* @p n tags; lies are added by changing its bytes. */
static struct buf make_header(const struct tag *tags, size_t n)
{
	struct buf b = tb_new();
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += tags[i].len;
	put32(&b, (uint32_t)n);
	put32(&b, (uint32_t)size);
	for (size_t i = 0, off = 0; i < n; off += tags[i++].len) {
		put32(&b, tags[i].tag);
		put32(&b, tags[i].type);
		put32(&b, (uint32_t)off);
		put32(&b, tags[i].count);
	}
	for (size_t i = 0; i < n; i++)
		tb_bytes(&b, tags[i].data, tags[i].len);
	return b;
}

static const struct tag bash[] = {
	TAG(63, 7, 16, "0123456789abcdef"),
	TEXT(1000, "old"),
	TEXT(1001, "5.1"),
	TEXT(1002, "6.el9"),
	TAG(1003, 4, 1, "\0\0\0\2"),
	TEXT(1022, "x86_64"),
	TAG(1029, 1, 4, "\0\2\3\1"),
	TEXT(1044, "bash-src-5.1-6.el9.src.rpm"),
	TAG(1116, 4, 4, "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0"),
	TAG(1117, 8, 4, "bash\0doc\0sh\0replaced\0"),
	TAG(1118, 8, 2, "/bin/\0/usr/doc/\0"),
	TEXT(1000, "bash"),
};
#define BASH_NAME 11 /* the one that counts */

static void test_rpm_header(void **state)
{
	static const struct tag key[] = { TEXT(1000, "gpg-pubkey"), TEXT(1001, "1"),
					  TEXT(1044, "x") };
	cleanup_package_build struct package_build b = { 0 };
	cleanup_built struct built t = { 0 };
	cleanup_buf struct buf h = make_header(bash, ROWS(bash)), k = make_header(key, ROWS(key));
	dray_error *err = NULL;

	(void)state;
	begin(&b, &t, MERGED);
	assert_ok(rpm_header(&b, span_buf(&h), &err), err);
	assert_ok(rpm_header(&b, span_buf(&k), &err), err);
	assert_set(&b, "bash 2:5.1-6.el9 x86_64 bash-src\ngpg-pubkey 1  gpg-pubkey\n"
		       "usr/bin/bash bash:x86_64\nusr/bin/sh bash:x86_64\n");
}

static int try_header(struct span h, dray_error **err)
{
	cleanup_package_build struct package_build b = { 0 };

	return package_build_init(&b, NULL, err) < 0 ? -1 : rpm_header(&b, h, err);
}

struct lie {
	size_t entry; /* of bash; SIZE_MAX = the head of the header */
	size_t field; /* tag, type, offset, count; of the head: entries, bytes */
	uint32_t value;
	const char *part;
};

static void test_rpm_refused(void **state)
{
	static const struct lie lies[] = {
		{ SIZE_MAX, 0, 13, "names 13 entries" },
		{ SIZE_MAX, 0, 0x10000, "names 65536 entries" },
		{ SIZE_MAX, 0, 0xffffffff, "entries" },
		{ SIZE_MAX, 1, 0xffffffff, "bytes" },
		{ 2, 1, 4, "tag 1001 of a header is wrong" },
		{ 2, 2, 100000, "tag 1001 of a header is wrong" },
		{ 2, 2, 0xffffffff, "tag 1001 of a header is wrong" },
		{ 4, 3, 0xffffffff, "tag 1003 of a header is cut off" },
		{ 8, 3, 0xffffffff, "tag 1116 of a header is cut off" },
		{ 8, 3, 3, "4 files in 3 folders" },
		{ 9, 3, 5, "5 files in 4 folders" },
		{ 10, 3, 1, "a file in folder 1 of 1" },
		{ 10, 3, 0xffffffff, "tag 1118 of a header is cut off" },
		{ 10, 3, 30, "tag 1118 of a header is cut off" },
		{ BASH_NAME, 3, 0, "a package without a name" },
	};
	dray_error *err = NULL;

	(void)state;
	for (size_t i = 0; i < ROWS(lies); i++) {
		cleanup_buf struct buf h = make_header(bash, ROWS(bash)), v = tb_new();
		size_t at = lies[i].entry == SIZE_MAX ? 0 : 8 + lies[i].entry * 16;

		put32(&v, lies[i].value);
		memcpy(h.data + at + lies[i].field * 4, v.data, 4);
		assert_int_equal(try_header(span_buf(&h), &err), -1);
		assert_err(err, DRAY_ERR_FORMAT, lies[i].part);
	}
}

/* Cut off anywhere, it is refused; with any byte changed nothing is read that is not there. */
static void test_rpm_torn(void **state)
{
	cleanup_buf struct buf h = make_header(bash, ROWS(bash));
	dray_error *err = NULL;

	(void)state;
	for (size_t n = 0; n < h.len; n++) {
		cleanup_free void *exact = mem_dup(h.data, n ? n : 1);

		assert_int_equal(try_header(span_of(exact, n), &err), -1);
		assert_err_kind(err, DRAY_ERR_FORMAT);
	}
	for (size_t i = 0; i < h.len * 2; i++) {
		cleanup_free uint8_t *exact = mem_dup(h.data, h.len);

		exact[i / 2] ^= i % 2 ? 0xff : 0x01;
		if (try_header(span_of(exact, h.len), &err) < 0)
			assert_err_kind(err, DRAY_ERR_FORMAT);
	}
}

/* ---- rpm's database ---- */

static int run_sql(sqlite3 *db, const char *sql, struct span blob)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK && sqlite3_bind_parameter_count(st))
		sqlite3_bind_blob(st, 1, blob.data, (int)blob.len, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	sqlite3_finalize(st);
	return rc;
}

/* The bytes of a database that these statements make; ?1 is the header of bash. */
static struct buf make_db(const char *const *sql)
{
	cleanup_buf struct buf h = make_header(bash, ROWS(bash));
	struct buf ret = tb_new();
	sqlite3_int64 size = 0;
	unsigned char *bytes;
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	for (; *sql; sql++)
		assert_int_equal(run_sql(db, *sql, span_buf(&h)), SQLITE_DONE);
	bytes = sqlite3_serialize(db, "main", &size, 0);
	assert_non_null(bytes);
	tb_bytes(&ret, bytes, (size_t)size);
	sqlite3_free(bytes);
	sqlite3_close(db);
	return ret;
}

#define TABLE "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL)"

static int read_db(struct package_build *b, struct buf *db, dray_error **err)
{
	return rpm_sqlite(b, (struct room){ db->data, db->len }, err);
}

static void test_sqlite(void **state)
{
	static const char *const sql[] = { TABLE, "INSERT INTO Packages VALUES(7,?1)",
					   "CREATE INDEX other ON Packages(hnum)", NULL };
	cleanup_package_build struct package_build b = { 0 };
	cleanup_built struct built t = { 0 };
	cleanup_buf struct buf db = make_db(sql);
	dray_error *err = NULL;

	(void)state;
	begin(&b, &t, NULL);
	db.data[18] = db.data[19] = 2; /* as rpm leaves it: with a write-ahead log */
	assert_ok(read_db(&b, &db, &err), err);
	assert_set(&b, "bash 2:5.1-6.el9 x86_64 bash-src\n"
		       "bin/bash bash:x86_64\nbin/sh bash:x86_64\n");
}

struct bad_db {
	const char *sql[4];
	enum dray_err_kind kind;
	const char *part;
};

static void test_sqlite_refused(void **state)
{
	static const struct bad_db rows[] = {
		{ { "CREATE TABLE x(y)" }, DRAY_ERR_FORMAT, "table of packages" },
		{ { TABLE, "INSERT INTO Packages VALUES(1,'text')" },
		  DRAY_ERR_FORMAT,
		  "no header" },
		{ { TABLE, "INSERT INTO Packages VALUES(1,?1)",
		    "INSERT INTO Packages VALUES(2,x'00')" },
		  DRAY_ERR_FORMAT,
		  "package 2: a header of 1 bytes" },
		{ { "CREATE TABLE a(b)", "CREATE VIEW Packages AS SELECT 1 hnum, b blob FROM a" },
		  DRAY_ERR_FORMAT,
		  "table of packages" },
		{ { "CREATE TABLE Packages(hnum, blob AS (zeroblob(1000000000)))",
		    "INSERT INTO Packages VALUES(1)" },
		  DRAY_ERR_LIMIT,
		  "LIMIT_PACKAGE_HEADER" },
		{ { "CREATE VIRTUAL TABLE Packages USING fts5(hnum, blob)" },
		  DRAY_ERR_FORMAT,
		  "virtual tables" },
		{ { TABLE, "INSERT INTO Packages VALUES(1,zeroblob(70000000))" },
		  DRAY_ERR_LIMIT,
		  "LIMIT_PACKAGE_HEADER" },
	};
	dray_error *err = NULL;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_package_build struct package_build b = { 0 };
		cleanup_built struct built t = { 0 };
		cleanup_buf struct buf db = make_db(rows[i].sql);

		begin(&b, &t, NULL);
		assert_int_equal(read_db(&b, &db, &err), -1);
		if (dray_error_kind(err) != rows[i].kind)
			fail_msg("row %zu: %s", i, dray_error_message(err));
		assert_err(err, rows[i].kind, rows[i].part);
	}
}

/* Any byte of the database wrong: an error or an answer, nothing else. */
static void test_sqlite_flipped(void **state)
{
	static const char *const sql[] = { TABLE, "INSERT INTO Packages VALUES(7,?1)", NULL };
	cleanup_buf struct buf good = make_db(sql);
	dray_error *err = NULL;

	(void)state;
	for (size_t i = 0; i < good.len; i += i < 200 ? 1 : 37) {
		cleanup_package_build struct package_build b = { 0 };
		cleanup_buf struct buf db = tb_new();

		tb_bytes(&db, good.data, good.len);
		db.data[i] ^= 0xff;
		assert_ok(package_build_init(&b, NULL, &err), err);
		if (read_db(&b, &db, &err) < 0)
			err_clear(&err);
	}
	for (size_t n = 0; n < good.len; n += 511) {
		cleanup_package_build struct package_build b = { 0 };
		cleanup_buf struct buf db = tb_new();

		tb_bytes(&db, good.data, n);
		assert_ok(package_build_init(&b, NULL, &err), err);
		/* The last page is about numbers to come: nobody asks for it. */
		if (read_db(&b, &db, &err) < 0)
			assert_err_kind(err, DRAY_ERR_FORMAT);
		else
			assert_true(n > 8000);
	}
}

/* ---- limits, memory ---- */

static void test_limits(void **state)
{
	cleanup_package_build struct package_build b = { 0 };
	cleanup_built struct built t = { 0 };
	const struct package_fields f = { .name = SPAN_LIT("a") };
	dray_error *err = NULL;
	size_t at;

	(void)state;
	begin(&b, &t, "l bin >usr/bin\nd usr/bin\n");
	assert_ok(package_add(&b, "dpkg", &f, &at, &err), err);
	b.links_left = 1;
	assert_ok(package_own(&b, at, span_str("/bin/x"), &err), err);
	assert_ok(package_own(&b, at, span_str("/bin/y"), &err), err); /* the same folder */
	assert_ok(package_own(&b, at, span_str("/usr/bin/y"), &err), err);
	assert_int_equal(package_own(&b, at, span_str("/bin/z"), &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "LIMIT_PACKAGE_LINKS");
	b.bytes_left = 10;
	assert_ok(package_own(&b, at, span_str("/us/a"), &err), err);
	assert_int_equal(package_own(&b, at, span_str("/us/b"), &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "LIMIT_PACKAGE_PATH_BYTES");
}

static int tortured(void *arg, dray_error **err)
{
	const struct built *t = arg;
	static const struct dpkg_case c = {
		.status = P("a", "installed") V "\n" P("b", "installed"),
		.diversions = "/bin/sh\n/bin/sh.d\nb\n",
		.name = { "a:amd64", "b" },
		.list = { "/bin/sh\n/usr/bin\n", "/usr/share\n/usr/bin\n/lib/x\n" },
	};
	cleanup_package_build struct package_build b = { 0 };
	cleanup_packages struct package_set *set = NULL;
	cleanup_dpkg struct dpkg d = { .b = &b };
	static const char key[] = "\0\0\0\2\0\0\0\7\0\0\3\xe8\0\0\0\6\0\0\0\0\0\0\0\1"
				  "\0\0\3\xe9\0\0\0\6\0\0\0\4\0\0\0\1key\0v1";

	if (package_build_init(&b, t->tree, err) < 0 || run_dpkg(&d, &c, err) < 0 ||
	    apk_installed(&b, span_str(apk_text), err) < 0 ||
	    rpm_header(&b, span_of(key, sizeof(key)), err) < 0)
		return -1;
	return packages_finish(&b, &set, err);
}

static void test_torture(void **state)
{
	cleanup_built struct built t = { 0 };
	dray_error *err = NULL;

	(void)state;
	build_tars(&t, MERGED);
	assert_ok(build_tree(&t, 512, &err), err);
	torture_alloc(tortured, &t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dpkg),	       cmocka_unit_test(test_dpkg_refused),
		cmocka_unit_test(test_distroless),     cmocka_unit_test(test_apk),
		cmocka_unit_test(test_rpm_header),     cmocka_unit_test(test_rpm_refused),
		cmocka_unit_test(test_rpm_torn),       cmocka_unit_test(test_sqlite),
		cmocka_unit_test(test_sqlite_refused), cmocka_unit_test(test_sqlite_flipped),
		cmocka_unit_test(test_limits),	       cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
