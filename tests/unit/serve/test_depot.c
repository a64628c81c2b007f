/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder of a registry, without HTTP: what goes in comes out, for those who may have it, and
 * the rows of what registries got wrong.
 */
#include "depot_support.h"

/* ---- the folder ---- */

static void folder_is_private_and_has_one_owner(void **state)
{
	struct site *t = *state;
	struct shelf *s, *other = NULL;
	dray_error *err = NULL;
	struct stat st;

	assert_int_equal(mkdirat(t->fd, "root", 0755), 0); /* an empty one is taken */
	s = site_open(t);
	assert_int_equal(fstatat(t->fd, "root", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(site_try(t, (struct depot_options){ 0 }, &other, &err), -1);
	assert_int_equal(dray_error_errno(err), EBUSY);
	assert_err(err, DRAY_ERR_SYSTEM, "another process");
	shelf_free(s);
	s = site_open(t);
	shelf_free(s);
}

static void other_folders_are_left_alone(void **state)
{
	struct site *t = *state;
	struct shelf *s = NULL;
	dray_error *err = NULL;

	assert_int_equal(mkdirat(t->fd, "root", 0755), 0);
	put_file(t->fd, "root/precious", span_str("data"));
	assert_int_equal(site_try(t, (struct depot_options){ 0 }, &s, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "no folder of dray serve");
	assert_int_equal(unlinkat(t->fd, "root/precious", 0), 0);
	assert_int_equal(unlinkat(t->fd, "root", AT_REMOVEDIR), 0); /* nothing was put there */
}

static bool there(const struct site *t, const char *path)
{
	struct stat st;

	return fstatat(t->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Many programs call a file "lock", and a folder "uploads". */
static void a_lock_makes_no_folder_ours(void **state)
{
	static const char *const others[] = { "root/precious", "root/uploads2", "root/Lock",
					      "root/registry.sqlite-wal" };
	struct site *t = *state;
	struct shelf *s = NULL;
	dray_error *err = NULL;
	struct stat st;

	assert_int_equal(mkdirat(t->fd, "root", 0755), 0);
	assert_int_equal(mkdirat(t->fd, "root/uploads", 0755), 0);
	put_file(t->fd, "root/lock", span_str(""));
	put_file(t->fd, "root/uploads/letter.txt", span_str("data"));
	put_file(t->fd, "root/uploads/0123456789abcdef0123456789abcdef", span_str("data"));
	for (size_t i = 0; i < ROWS(others); i++) {
		put_file(t->fd, others[i], span_str("data"));
		assert_int_equal(site_try(t, (struct depot_options){ 0 }, &s, &err), -1);
		assert_err(err, DRAY_ERR_USAGE, "no folder of dray serve");
		assert_int_equal(fstatat(t->fd, "root", &st, 0), 0);
		assert_int_equal(st.st_mode & 0777, 0755);
		assert_true(there(t, "root/uploads/0123456789abcdef0123456789abcdef"));
		assert_false(there(t, "root/blobs") || there(t, "root/registry.sqlite"));
		assert_int_equal(unlinkat(t->fd, others[i], 0), 0);
	}
	/* Nothing but what we make first: one that was killed there. What is no upload stays. */
	shelf_free(site_open(t));
	assert_false(there(t, "root/uploads/0123456789abcdef0123456789abcdef"));
	assert_true(there(t, "root/uploads/letter.txt"));
	/* With the database it is ours whatever lies beside it. */
	put_file(t->fd, "root/precious", span_str("data"));
	shelf_free(site_open(t));
	assert_true(there(t, "root/precious") && there(t, "root/uploads/letter.txt"));
}

static void a_damaged_database_is_told(void **state)
{
	struct site *t = *state;
	struct shelf *s = site_open(t);
	dray_error *err = NULL;
	struct db *db = NULL;
	char *path = NULL;

	shelf_free(s);
	assert_true(asprintf(&path, "%s/registry.sqlite", t->root) > 0);
	assert_ok(db_open(path, DB_DURABLE, 0, &db, &err), err);
	assert_ok(db_exec(db, "PRAGMA user_version=2", &err), err);
	db_close(db);
	free(path);
	s = NULL;
	assert_int_equal(site_try(t, (struct depot_options){ 0 }, &s, &err), -1);
	assert_err(err, DRAY_ERR_UNSUPPORTED, "later dray");
	put_file(t->fd, "root/registry.sqlite",
		 span_str("a text in place of the database, of more than the hundred bytes that a "
			  "header of it has at the least, so that it is read."));
	assert_int_equal(site_try(t, (struct depot_options){ 0 }, &s, &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "registry.sqlite");
}

/* ---- pushing and pulling ---- */

static void an_image_goes_in_and_lasts(void **state)
{
	struct site *t = *state;
	struct shelf *s = site_open(t);
	dray_error *err = NULL;

	assert_ok(push_image(s, "a/b", "v1", "{}", "layer", &err), err);
	assert_int_equal(check_store(s), 1);
	shelf_free(s);
	s = site_open(t);
	assert_int_equal(check_store(s), 1);
	assert_true(has_tag(s, "a/b", "v1"));
	assert_false(has_tag(s, "a/b", "v2") || has_tag(s, "a", "v1"));
	shelf_free(s);
}

static void a_blob_in_pieces_and_of_nothing(void **state)
{
	struct shelf *s = site_open(*state);
	const struct digest whole = digest_text_of("hello world"), none = digest_text_of("");
	struct shelf_upload *u;
	char id[SHELF_UPLOAD_ID];
	dray_error *err = NULL;
	int64_t size;

	assert_ok(s->write->begin(s, "r", id, &err), err);
	for (int i = 0; i < 11; i++) {
		assert_ok(s->write->open(s, "r", id, i, &u, &err), err);
		assert_ok(s->write->append(s, u, span_of(&"hello world"[i], 1), &err), err);
		s->write->close(s, u);
		assert_ok(s->write->status(s, "r", id, &size, &err), err);
		assert_int_equal(size, i + 1);
	}
	assert_ok(s->write->open(s, "r", id, -1, &u, &err), err);
	assert_ok(s->write->finish(s, u, &whole, &err), err);
	assert_true(has_blob(s, "r", "hello world"));
	assert_refused(s->write->status(s, "r", id, &size, &err), err, SHELF_BLOB_UPLOAD_UNKNOWN);
	assert_ok(push_blob_as(s, "r", SPAN_LIT(""), &none, &err), err);
	assert_true(has_blob(s, "r", ""));
	shelf_free(s);
}

static void sha512_is_hashed_at_the_end(void **state)
{
	struct shelf *s = site_open(*state);
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	cleanup_hash struct hash h = { 0 };
	struct digest d, other = { .algo = DIGEST_OTHER, .text = "blake3:0123456789abcdef" };
	dray_error *err = NULL;

	assert_ok(hash_init(&h, DIGEST_SHA512, &err), err);
	hash_update(&h, SPAN_LIT("bytes"));
	assert_ok(hash_finish(&h, &d, &err), err);
	assert_ok(push_blob_as(s, "r", SPAN_LIT("bytes"), &d, &err), err);
	assert_ok(s->ops->blob(s, "r", &d, true, &b, &err), err);
	assert_int_equal(b.size, 5);
	assert_false(has_blob(s, "r", "bytes")); /* by sha256 nobody pushed it */
	assert_refused(push_blob_as(s, "r", SPAN_LIT("byteS"), &d, &err), err,
		       SHELF_DIGEST_INVALID);
	assert_refused(push_blob_as(s, "r", SPAN_LIT("bytes"), &other, &err), err,
		       SHELF_DIGEST_INVALID);
	shelf_free(s);
}

static void a_wrong_digest_leaves_nothing(void **state)
{
	struct site *t = *state;
	struct shelf *s = site_open(t);
	const struct digest d = digest_text_of("other");
	dray_error *err = NULL;
	int uploads;

	assert_refused(push_blob_as(s, "r", SPAN_LIT("bytes"), &d, &err), err,
		       SHELF_DIGEST_INVALID);
	assert_false(has_blob(s, "r", "other") || has_blob(s, "r", "bytes"));
	uploads = openat(t->fd, "root/uploads", O_RDONLY | O_DIRECTORY);
	assert_int_equal(dir_count(uploads), 0);
	close(uploads);
	shelf_free(s);
}

/* ---- uploads ---- */

static void uploads_of_others_are_unknown(void **state)
{
	struct shelf *s = site_open(*state);
	static const char *const ids[] = { "",
					   "..",
					   "0123",
					   "../../registry.sqlite",
					   "00000000000000000000000000000000",
					   "0123456789ABCDEF0123456789ABCDEF" };
	struct shelf_upload *u;
	char id[SHELF_UPLOAD_ID];
	dray_error *err = NULL;
	int64_t size;

	assert_ok(s->write->begin(s, "mine", id, &err), err);
	assert_int_equal(strlen(id), 32);
	assert_refused(s->write->open(s, "yours", id, -1, &u, &err), err,
		       SHELF_BLOB_UPLOAD_UNKNOWN);
	assert_refused(s->write->status(s, "yours", id, &size, &err), err,
		       SHELF_BLOB_UPLOAD_UNKNOWN);
	assert_refused(s->write->cancel(s, "yours", id, &err), err, SHELF_BLOB_UPLOAD_UNKNOWN);
	for (size_t i = 0; i < ROWS(ids); i++)
		assert_refused(s->write->open(s, "mine", ids[i], -1, &u, &err), err,
			       SHELF_BLOB_UPLOAD_UNKNOWN);
	assert_ok(s->write->status(s, "mine", id, &size, &err), err);
	assert_ok(s->write->cancel(s, "mine", id, &err), err);
	assert_refused(s->write->status(s, "mine", id, &size, &err), err,
		       SHELF_BLOB_UPLOAD_UNKNOWN);
	shelf_free(s);
}

static void one_request_holds_an_upload(void **state)
{
	struct shelf *s = site_open(*state);
	struct shelf_upload *u, *second;
	char id[SHELF_UPLOAD_ID];
	dray_error *err = NULL;
	int64_t size;

	assert_ok(s->write->begin(s, "r", id, &err), err);
	assert_refused(s->write->open(s, "r", id, 5, &u, &err), err, SHELF_RANGE_INVALID);
	assert_ok(s->write->open(s, "r", id, 0, &u, &err), err);
	assert_ok(s->write->append(s, u, SPAN_LIT("abc"), &err), err);
	assert_refused(s->write->open(s, "r", id, 3, &second, &err), err, SHELF_RANGE_INVALID);
	assert_ok(s->write->status(s, "r", id, &size, &err), err);
	assert_int_equal(size, 3);
	s->write->close(s, u);
	assert_refused(s->write->open(s, "r", id, 0, &u, &err), err, SHELF_RANGE_INVALID);
	assert_refused(s->write->open(s, "r", id, 4, &u, &err), err, SHELF_RANGE_INVALID);
	assert_ok(s->write->open(s, "r", id, 3, &u, &err), err);
	/* Cancelled while it is held: the holder finds out, nobody else sees it. */
	assert_ok(s->write->cancel(s, "r", id, &err), err);
	assert_refused(s->write->append(s, u, SPAN_LIT("d"), &err), err, SHELF_BLOB_UPLOAD_UNKNOWN);
	assert_refused(s->write->status(s, "r", id, &size, &err), err, SHELF_BLOB_UPLOAD_UNKNOWN);
	s->write->close(s, u);
	shelf_free(s);
}

static void uploads_expire(void **state)
{
	struct site *t = *state;
	struct shelf *s = site_open_with(
		t, (struct depot_options){ .uploads_max = 3, .upload_idle = 1000 });
	char id[4][SHELF_UPLOAD_ID];
	struct shelf_upload *u;
	dray_error *err = NULL;
	int64_t size;

	for (int i = 0; i < 3; i++)
		assert_ok(s->write->begin(s, "r", id[i], &err), err);
	assert_refused(s->write->begin(s, "r", id[3], &err), err, SHELF_TOOMANYREQUESTS);
	assert_ok(s->write->open(s, "r", id[0], 0, &u, &err), err);
	site_seconds += 100; /* now one that waits may have to go, but not the one that is held */
	assert_ok(s->write->begin(s, "r", id[3], &err), err);
	assert_refused(s->write->status(s, "r", id[1], &size, &err), err,
		       SHELF_BLOB_UPLOAD_UNKNOWN);
	assert_ok(s->write->status(s, "r", id[0], &size, &err), err);
	assert_ok(s->write->append(s, u, SPAN_LIT("x"), &err), err);
	s->write->close(s, u);
	site_seconds += 999;
	assert_ok(s->write->status(s, "r", id[0], &size, &err), err);
	site_seconds += 1;
	assert_refused(s->write->open(s, "r", id[0], -1, &u, &err), err, SHELF_BLOB_UPLOAD_UNKNOWN);
	shelf_free(s);
}

/* A process that was killed leaves files of uploads: they go when the folder is next opened. */
static void uploads_are_swept(void **state)
{
	struct site *t = *state;
	int fd;

	shelf_free(site_open(t));
	put_file(t->fd, "root/uploads/0123456789abcdef0123456789abcdef", span_str("bytes"));
	shelf_free(site_open_with(t, (struct depot_options){ .leave_uploads = true }));
	assert_true(there(t, "root/uploads/0123456789abcdef0123456789abcdef"));
	shelf_free(site_open(t));
	fd = openat(t->fd, "root/uploads", O_RDONLY | O_DIRECTORY);
	assert_int_equal(dir_count(fd), 0);
	close(fd);
}

/* The file of upload @p id has @p size bytes from now on; -1 = is gone. */
static void cut_upload(const struct site *t, const char *id, int size)
{
	char *path = NULL;

	assert_true(asprintf(&path, "%s/uploads/%s", t->root, id) > 0);
	assert_int_equal(size < 0 ? unlink(path) : truncate(path, size), 0);
	free(path);
}

/* What was hashed on its way in and is not there any more never becomes a blob. */
static void lost_bytes_are_no_blob(void **state)
{
	static const int sizes[] = { 3, 0, -1 };
	struct site *t = *state;
	struct shelf *s = site_open_with(t, (struct depot_options){ .quota = 11 });
	const struct digest d = digest_text_of("hello world");
	struct shelf_upload *u;
	char id[SHELF_UPLOAD_ID];
	dray_error *err = NULL;
	int64_t size;

	for (size_t i = 0; i < 2 * ROWS(sizes); i++) {
		bool held = i >= ROWS(sizes);
		int left = sizes[i % ROWS(sizes)];

		if (held && left < 0)
			continue; /* whoever holds it has the bytes */
		assert_ok(s->write->begin(s, "r", id, &err), err);
		assert_ok(s->write->open(s, "r", id, 0, &u, &err), err);
		assert_ok(s->write->append(s, u, SPAN_LIT("hello world"), &err), err);
		if (!held)
			s->write->close(s, u);
		cut_upload(t, id, left);
		if (held) {
			assert_int_equal(s->write->finish(s, u, &d, &err), -1);
			assert_err(err, DRAY_ERR_CORRUPT, "an upload has become shorter");
		} else {
			assert_refused(s->write->open(s, "r", id, 11, &u, &err), err,
				       SHELF_BLOB_UPLOAD_UNKNOWN);
		}
		assert_refused(s->write->status(s, "r", id, &size, &err), err,
			       SHELF_BLOB_UPLOAD_UNKNOWN);
		assert_false(has_blob(s, "r", "hello world"));
	}
	assert_ok(push_blob(s, "r", "hello world", &err), err); /* its space was given back */
	assert_true(has_blob(s, "r", "hello world"));
	shelf_free(s);
}

static int64_t resident_kib(void)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	const char *at;

	assert_int_equal(io_read_file(AT_FDCWD, "/proc/self/status", 65536, &b, NULL), 0);
	assert_int_equal(buf_add_byte(&b, 0, NULL), 0);
	at = strstr((const char *)b.data, "VmRSS:");
	assert_non_null(at);
	return strtoll(at + 6, NULL, 10);
}

static size_t open_files(void)
{
	int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	size_t n = dir_count(fd);

	close(fd);
	return n;
}

/* 10,000 open uploads cost little memory and no descriptors. */
static void many_uploads(void **state)
{
	struct shelf *s = site_open(*state);
	int64_t before = resident_kib();
	size_t files = open_files();
	char id[SHELF_UPLOAD_ID];
	dray_error *err = NULL;

	for (int i = 0; i < DEPOT_UPLOADS; i++) {
		struct shelf_upload *u;

		assert_ok(s->write->begin(s, "some/repository", id, &err), err);
		if (i % 10)
			continue;
		assert_ok(s->write->open(s, "some/repository", id, 0, &u, &err), err);
		assert_ok(s->write->append(s, u, SPAN_LIT("some bytes"), &err), err);
		s->write->close(s, u);
	}
	assert_refused(s->write->begin(s, "r", id, &err), err, SHELF_TOOMANYREQUESTS);
	assert_int_equal(open_files(), files);
	assert_true(resident_kib() - before < 64 * 1024); /* sanitizers pad each piece */
	site_seconds += DEPOT_UPLOAD_IDLE;
	assert_ok(s->write->begin(s, "r", id, &err), err);
	shelf_free(s);
}

/* ---- quota and sizes ---- */

static void quota_and_ceiling(void **state)
{
	struct site *t = *state;
	struct shelf *s = site_open_with(t, (struct depot_options){ .quota = 20, .blob_max = 12 });
	struct shelf_upload *u;
	char id[SHELF_UPLOAD_ID];
	dray_error *err = NULL;

	/* the ceiling counts over the whole session */
	assert_ok(s->write->begin(s, "r", id, &err), err);
	assert_ok(s->write->open(s, "r", id, 0, &u, &err), err);
	assert_ok(s->write->append(s, u, SPAN_LIT("123456789012"), &err), err);
	assert_refused(s->write->append(s, u, SPAN_LIT("3"), &err), err, SHELF_SIZE_INVALID);
	s->write->close(s, u);
	/* 12 of the 20 bytes are taken; cancelling gives them back at once */
	assert_refused(push_blob(s, "r", "nine byte", &err), err, SHELF_NO_SPACE);
	assert_ok(push_blob(s, "r", "8 bytes.", &err), err);
	assert_ok(s->write->cancel(s, "r", id, &err), err);
	assert_ok(push_blob(s, "r", "nine byte", &err), err);
	shelf_free(s);
	/* 17 are counted again when it is opened; the same blob once more costs nothing in the end */
	s = site_open_with(t, (struct depot_options){ .quota = 25 });
	assert_ok(push_blob(s, "other", "8 bytes.", &err), err);
	assert_ok(push_blob(s, "other", "8 bytes.", &err), err);
	assert_refused(push_blob(s, "r", "nine more", &err), err, SHELF_NO_SPACE);
	shelf_free(s);
}

/* An upload that broke off does not keep others out for as long as it may be resumed. */
static void idle_uploads_make_room(void **state)
{
	struct shelf *s = site_open_with(*state, (struct depot_options){ .quota = 20 });
	struct shelf_upload *u;
	char id[SHELF_UPLOAD_ID];
	int64_t size;
	dray_error *err = NULL;

	assert_ok(s->write->begin(s, "r", id, &err), err);
	assert_ok(s->write->open(s, "r", id, 0, &u, &err), err);
	assert_ok(s->write->append(s, u, SPAN_LIT("123456789012"), &err), err);
	s->write->close(s, u);
	site_seconds += 59;
	assert_refused(push_blob(s, "r", "nine byte", &err), err, SHELF_NO_SPACE);
	assert_ok(s->write->status(s, "r", id, &size, &err), err);
	site_seconds++;
	assert_ok(push_blob(s, "r", "nine byte", &err), err);
	assert_refused(s->write->status(s, "r", id, &size, &err), err, SHELF_BLOB_UPLOAD_UNKNOWN);
	assert_refused(push_blob(s, "r", "twelve bytes", &err), err, SHELF_NO_SPACE);
	shelf_free(s);
}

/* ---- who may read ---- */

static void blobs_belong_to_repositories(void **state)
{
	struct shelf *s = site_open(*state);
	const struct digest d = digest_text_of("layer");
	struct shelf_blob b = SHELF_BLOB_INIT;
	dray_error *err = NULL;

	assert_ok(push_image(s, "a", "v", "{}", "layer", &err), err);
	assert_refused(s->ops->blob(s, "b", &d, true, &b, &err), err, SHELF_BLOB_UNKNOWN);
	/* nor can a manifest make it readable to who knows its digest */
	assert_refused(put_image(s, "b", "v", "{}", "layer", &err), err,
		       SHELF_MANIFEST_BLOB_UNKNOWN);
	assert_false(has_tag(s, "b", "v"));
	assert_int_equal(s->write->mount(s, "b", &d, NULL, &err), 0);
	assert_int_equal(s->write->mount(s, "b", &d, "c", &err), 0);
	assert_int_equal(s->write->mount(s, "b", &d, "a", &err), 1);
	assert_true(has_blob(s, "b", "layer"));
	/* it is gone from one, and stays with the other */
	assert_ok(s->write->remove_blob(s, "b", &d, &err), err);
	assert_false(has_blob(s, "b", "layer"));
	assert_true(has_blob(s, "a", "layer"));
	assert_refused(s->write->remove_blob(s, "b", &d, &err), err, SHELF_BLOB_UNKNOWN);
	shelf_free(s);
}

/* ---- what a manifest needs ---- */

struct needs_case {
	const char *text;
	int code; /* -1 = it is taken */
};

static void what_a_manifest_needs(void **state)
{
	struct shelf *s = site_open(*state);
	const struct digest c = digest_text_of("{}"), l = digest_text_of("layer");
	struct shelf_stored stored;
	dray_error *err = NULL;
	char *ok = manifest_of("{}", "layer", "");
	char *no_layer = manifest_of("{}", "absent", "");
	char *no_config = manifest_of("[]", "layer", "");
	char *subject = manifest_of(
		"{}", "layer",
		",\"subject\":{\"mediaType\":\"" MT_OCI_MANIFEST
		"\",\"size\":7,\"digest\":\"sha256:"
		"0000000000000000000000000000000000000000000000000000000000000000\"}");
	char *wrong_size = NULL, *foreign = NULL;

	assert_ok(push_blob(s, "r", "{}", &err), err);
	assert_ok(push_blob(s, "r", "layer", &err), err);
	assert_true(asprintf(&wrong_size,
			     "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" MT_OCI_CONFIG
			     "\",\"digest\":\"%s\",\"size\":2},\"layers\":[{\"mediaType\":"
			     "\"" MT_OCI_LAYER "\",\"digest\":\"%s\",\"size\":6}]}",
			     c.text, l.text) > 0);
	assert_true(
		asprintf(&foreign,
			 "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" MT_OCI_CONFIG
			 "\",\"digest\":\"%s\",\"size\":2},\"layers\":[{\"mediaType\":"
			 "\"application/vnd.oci.image.layer.nondistributable.v1.tar\",\"digest\":"
			 "\"sha256:%064d\",\"size\":6}]}",
			 c.text, 1) > 0);
	const struct needs_case rows[] = {
		{ ok, -1 },
		{ subject, -1 },
		{ foreign, -1 },
		{ no_layer, SHELF_MANIFEST_BLOB_UNKNOWN },
		{ no_config, SHELF_MANIFEST_BLOB_UNKNOWN },
		{ wrong_size, SHELF_MANIFEST_BLOB_UNKNOWN },
		{ "{}", SHELF_MANIFEST_INVALID },
		{ "no json", SHELF_MANIFEST_INVALID },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		int rc = put_as(s, "r", "t", MT_OCI_MANIFEST, rows[i].text, &stored, &err);

		if (rows[i].code < 0) {
			assert_ok(rc, err);
			assert_true(has_tag(s, "r", "t"));
			assert_ok(s->write->remove(s, "r", &(struct shelf_ref){ .tag = "t" }, &err),
				  err);
		} else {
			assert_refused(rc, err, (enum shelf_code)rows[i].code);
			assert_false(has_tag(s, "r", "t"));
		}
	}
	free(ok), free(no_layer), free(no_config), free(subject), free(wrong_size), free(foreign);
	shelf_free(s);
}

static char *index_as(const char *type, const char *part)
{
	const struct digest d = digest_text_of(part);
	char *ret = NULL;

	assert_true(asprintf(&ret,
			     "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX
			     "\",\"manifests\":[{\"mediaType\":\"%s"
			     "\",\"digest\":\"%s\",\"size\":%zu}]}",
			     type, d.text, strlen(part)) > 0);
	return ret;
}

static char *index_of(const char *manifest)
{
	return index_as(MT_OCI_MANIFEST, manifest);
}

/* Bytes of a manifest that were pushed as a blob are no manifest that a client could ask for. */
static void an_index_needs_manifests(void **state)
{
	static const struct {
		const char *type;
		bool taken;
	} rows[] = {
		{ MT_OCI_MANIFEST, false },
		{ MT_DOCKER_MANIFEST, false },
		{ MT_OCI_INDEX, false },
		{ MT_DOCKER_LIST, false },
		{ MT_OCI_MANIFEST "; charset=utf-8", false },
		{ MT_OCI_LAYER, true }, /* caches of builds have these */
		{ "application/vnd.example", true },
	};
	struct shelf *s = site_open(*state);
	char *child = manifest_of("{}", "layer", "");
	struct shelf_stored stored;
	dray_error *err = NULL;

	assert_ok(push_blob(s, "r", child, &err), err);
	for (size_t i = 0; i < ROWS(rows); i++) {
		char *whole = index_as(rows[i].type, child);
		int rc = put_as(s, "r", "t", MT_OCI_INDEX, whole, &stored, &err);

		if (rows[i].taken)
			assert_ok(rc, err);
		else
			assert_refused(rc, err, SHELF_MANIFEST_BLOB_UNKNOWN);
		assert_int_equal(has_tag(s, "r", "t"), rows[i].taken);
		free(whole);
	}
	free(child);
	shelf_free(s);
}

static void an_index_stays_whole(void **state)
{
	struct shelf *s = site_open(*state);
	char *child = manifest_of("{}", "layer", "");
	char *whole = index_of(child);
	struct shelf_ref by_child = { .digest = digest_text_of(child) };
	struct shelf_ref by_whole = { .digest = digest_text_of(whole) };
	const struct digest layer = digest_text_of("layer");
	struct shelf_stored stored;
	dray_error *err = NULL;

	assert_refused(put_as(s, "r", "t", MT_OCI_INDEX, whole, &stored, &err), err,
		       SHELF_MANIFEST_BLOB_UNKNOWN);
	assert_ok(push_image(s, "r", NULL, "{}", "layer", &err), err);
	assert_ok(put_as(s, "r", "t", MT_OCI_INDEX, whole, &stored, &err), err);
	assert_true(digest_eq(&stored.digest, &by_whole.digest));
	assert_refused(s->write->remove(s, "r", &by_child, &err), err, SHELF_KEPT);
	assert_refused(s->write->remove_blob(s, "r", &layer, &err), err, SHELF_KEPT);
	assert_ok(s->write->remove(s, "r", &by_whole, &err), err);
	assert_false(has_tag(s, "r", "t"));
	assert_ok(s->write->remove(s, "r", &by_child, &err), err);
	assert_ok(s->write->remove_blob(s, "r", &layer, &err), err);
	assert_refused(s->write->remove(s, "r", &by_child, &err), err, SHELF_MANIFEST_UNKNOWN);
	free(child), free(whole);
	shelf_free(s);
}

static void digests_of_manifests(void **state)
{
	struct shelf *s = site_open(*state);
	char *text = manifest_of("{}", "layer", "");
	const char *const tags[] = { "a", "b" };
	struct shelf_put put = { .media_type = MT_OCI_MANIFEST, .bytes = span_str(text) };
	struct shelf_stored stored;
	dray_error *err = NULL;

	assert_ok(push_image(s, "r", "old", "{}", "layer", &err), err);
	put.digest = digest_text_of("something else");
	assert_refused(s->write->put(s, "r", &put, &stored, &err), err, SHELF_DIGEST_INVALID);
	put.digest = digest_text_of(text);
	put.tags = tags;
	put.n_tags = 2;
	assert_ok(s->write->put(s, "r", &put, &stored, &err), err);
	assert_true(has_tag(s, "r", "a") && has_tag(s, "r", "b") && has_tag(s, "r", "old"));
	/* by digest all its names go */
	assert_ok(s->write->remove(s, "r", &(struct shelf_ref){ .digest = put.digest }, &err), err);
	assert_false(has_tag(s, "r", "a") || has_tag(s, "r", "old"));
	free(text);
	shelf_free(s);
}

/* ---- what must not change ---- */

static void what_must_not_change(void **state)
{
	struct site *t = *state;
	struct shelf *s = site_open_with(
		t, (struct depot_options){ .immutable_tags = true, .no_delete = true });
	const struct digest d = digest_text_of("layer");
	dray_error *err = NULL;

	assert_ok(push_image(s, "r", "v", "{}", "layer", &err), err);
	assert_ok(push_image(s, "r", "v", "{}", "layer", &err), err); /* the same again */
	assert_refused(push_image(s, "r", "v", "{}", "other", &err), err, SHELF_DENIED);
	assert_ok(push_image(s, "r", "w", "{}", "other", &err), err);
	assert_refused(s->write->remove(s, "r", &(struct shelf_ref){ .tag = "v" }, &err), err,
		       SHELF_UNSUPPORTED);
	assert_refused(s->write->remove_blob(s, "r", &d, &err), err, SHELF_UNSUPPORTED);
	assert_int_equal(check_store(s), 2);
	shelf_free(s);
	s = site_open_with(t, (struct depot_options){ .read_only = true });
	assert_null(s->write);
	assert_int_equal(check_store(s), 2);
	shelf_free(s);
}

/* A tag that could be deleted could be set anew. */
static void tags_stay(void **state)
{
	struct shelf *s = site_open_with(*state, (struct depot_options){ .immutable_tags = true });
	char *tagged = manifest_of("{}", "layer", ""), *other = manifest_of("{}", "other", "");
	const struct shelf_ref by_tag = { .tag = "v" }, no_tag = { .tag = "w" };
	const struct shelf_ref by_digest = { .digest = digest_text_of(tagged) };
	const struct shelf_ref untagged = { .digest = digest_text_of(other) };
	dray_error *err = NULL;

	assert_ok(push_image(s, "r", "v", "{}", "layer", &err), err);
	assert_refused(s->write->remove(s, "r", &by_tag, &err), err, SHELF_KEPT);
	assert_refused(s->write->remove(s, "r", &by_digest, &err), err, SHELF_KEPT);
	assert_refused(s->write->remove(s, "r", &no_tag, &err), err, SHELF_MANIFEST_UNKNOWN);
	assert_true(has_tag(s, "r", "v"));
	assert_ok(push_image(s, "r", NULL, "{}", "other", &err), err);
	assert_ok(s->write->remove(s, "r", &untagged, &err), err);
	assert_int_equal(check_store(s), 1);
	free(tagged), free(other);
	shelf_free(s);
}

/* ---- damage ---- */

static void a_push_repairs(void **state)
{
	struct site *t = *state;
	struct shelf *s = site_open(t);
	const struct digest d = digest_text_of("layer");
	dray_error *err = NULL;
	char *path = NULL;

	assert_ok(push_image(s, "r", "v", "{}", "layer", &err), err);
	assert_true(asprintf(&path, "root/blobs/sha256/%.2s/%s", digest_hex(&d), digest_hex(&d)) >
		    0);
	for (int damage = 0; damage < 3; damage++) {
		assert_int_equal(unlinkat(t->fd, path, 0), 0);
		if (damage)
			put_file(t->fd, path, span_str(damage == 1 ? "LAYER" : "lay"));
		/* Of the right size, wrong bytes are found by who reads them. */
		assert_int_equal(has_blob(s, "r", "layer"), damage == 1);
		if (damage != 1)
			assert_refused(put_image(s, "r", "w", "{}", "layer", &err), err,
				       SHELF_MANIFEST_BLOB_UNKNOWN);
		assert_ok(push_blob(s, "r", "layer", &err), err);
		assert_int_equal(check_store(s), 1);
	}
	free(path);
	shelf_free(s);
}

/* ---- lists ---- */

static void pages(void **state)
{
	struct shelf *s = site_open(*state);
	static const char *const tags[] = { "A", "_", "a", "a-b", "a.b", "b", "latest", "z" };
	struct shelf_page none = { 0 };
	dray_error *err = NULL;
	const char *after = NULL;
	size_t seen = 0;

	assert_ok(push_image(s, "r", NULL, "{}", "layer", &err), err);
	for (size_t i = ROWS(tags); i-- > 0;)
		assert_ok(put_image(s, "r", tags[i], "{}", "layer", &err), err);
	for (bool more = true; more;) {
		struct shelf_page p = { 0 };
		const struct shelf_part part = { .after = after, .max = 3 };

		assert_ok(s->ops->tags(s, "r", &part, &p, &err), err);
		for (size_t i = 0; i < p.n; i++)
			assert_string_equal(p.names[i], tags[seen++]);
		after = tags[seen - 1];
		more = p.more;
		shelf_page_clear(&p);
	}
	assert_int_equal(seen, ROWS(tags));
	assert_refused(s->ops->tags(s, "none", &(struct shelf_part){ .max = 1 }, &none, &err), err,
		       SHELF_NAME_UNKNOWN);
	assert_ok(s->ops->tags(s, "r", &(struct shelf_part){ .max = 0 }, &none, &err), err);
	assert_int_equal(none.n, 0);
	shelf_page_clear(&none);
	/* repositories lie in one another, and no name is special */
	assert_ok(push_blob(s, "r/blobs", "x", &err), err);
	assert_ok(push_blob(s, "r/manifests/b", "x", &err), err);
	assert_ok(s->ops->repositories(s, &(struct shelf_part){ .max = 2 }, &none, &err), err);
	assert_int_equal(none.n, 2);
	assert_string_equal(none.names[1], "r/blobs");
	assert_true(none.more);
	shelf_page_clear(&none);
	shelf_free(s);
}

static void referrers(void **state)
{
	struct shelf *s = site_open(*state);
	char *subject = manifest_of("{}", "layer", "");
	const struct digest d = digest_text_of(subject);
	const struct shelf_part all = { .max = 10 };
	struct shelf_referrers got = { 0 };
	struct shelf_stored stored;
	dray_error *err = NULL;

	assert_ok(push_image(s, "r", "v", "{}", "layer", &err), err);
	for (int i = 0; i < 4; i++) {
		char *more = NULL, *text;

		assert_true(asprintf(&more,
				     ",\"artifactType\":\"application/"
				     "x%d\",\"annotations\":{\"n\":\"%d\"},"
				     "\"subject\":{\"mediaType\":\"" MT_OCI_MANIFEST
				     "\",\"size\":%zu,\"digest\":\"%s\"}",
				     i % 2, i, strlen(subject), d.text) > 0);
		text = manifest_of("{}", "layer", more);
		assert_ok(put_as(s, "r", NULL, MT_OCI_MANIFEST, text, &stored, &err), err);
		assert_true(digest_eq(&stored.subject, &d));
		free(text), free(more);
	}
	assert_ok(s->ops->referrers(s, "r", &d, NULL, &all, &got, &err), err);
	assert_int_equal(got.n, 4);
	assert_true(strcmp(got.list[0].digest.text, got.list[1].digest.text) < 0);
	assert_true(span_starts(got.list[0].annotations, "{\"n\":\""));
	shelf_referrers_clear(&got);
	assert_ok(s->ops->referrers(s, "r", &d, "application/x1", &all, &got, &err), err);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.list[0].artifact_type, "application/x1");
	assert_string_equal(got.list[0].media_type, MT_OCI_MANIFEST);
	shelf_referrers_clear(&got);
	assert_ok(s->ops->referrers(s, "other", &d, NULL, &all, &got, &err), err);
	assert_int_equal(got.n, 0);
	shelf_referrers_clear(&got);
	free(subject);
	shelf_free(s);
}

/* The last that came first; whoever gets a tag leaves the list, who loses it is where he was. */
static void without_a_tag(void **state)
{
	static const char *const types[] = { "application/a0", "application/a1", "application/a2",
					     "application/a3", "application/a4" };
	struct shelf *s = site_open(*state);
	struct shelf_stored stored[ROWS(types)];
	struct shelf_part part = { .max = 2 };
	struct shelf_referrers got = { 0 };
	dray_error *err = NULL;
	char *texts[ROWS(types)];

	assert_refused(s->ops->untagged(s, "r", &part, &got, &err), err, SHELF_NAME_UNKNOWN);
	assert_ok(push_blob(s, "r", "{}", &err), err);
	assert_ok(push_blob(s, "r", "layer", &err), err);
	for (size_t i = 0; i < ROWS(types); i++) {
		char *more = NULL;

		assert_true(asprintf(&more, ",\"artifactType\":\"%s\"", types[i]) > 0);
		texts[i] = manifest_of("{}", "layer", more);
		assert_ok(put_as(s, "r", NULL, MT_OCI_MANIFEST, texts[i], &stored[i], &err), err);
		free(more);
	}
	assert_ok(put_as(s, "r", "v", MT_OCI_MANIFEST, texts[3], &stored[3], &err), err);
	for (size_t i = 0; i < 2; i++) {
		static const int want[] = { 4, 2, 1, 0 };

		assert_ok(s->ops->untagged(s, "r", &part, &got, &err), err);
		assert_int_equal(got.n, 2);
		assert_int_equal(got.more, i == 0);
		for (size_t k = 0; k < 2; k++) {
			assert_string_equal(got.list[k].artifact_type, types[want[2 * i + k]]);
			assert_string_equal(got.list[k].media_type, MT_OCI_MANIFEST);
			assert_int_equal(got.list[k].size, strlen(texts[want[2 * i + k]]));
			assert_true(
				digest_eq(&got.list[k].digest, &stored[want[2 * i + k]].digest));
		}
		shelf_referrers_clear(&got);
		part.after = stored[2].digest.text;
	}
	assert_ok(s->write->remove(s, "r", &(struct shelf_ref){ .tag = "v" }, &err), err);
	assert_ok(s->write->remove(s, "r", &(struct shelf_ref){ .digest = stored[2].digest }, &err),
		  err);
	/* Where the last page ended is gone: from the start. */
	assert_ok(s->ops->untagged(s, "r", &part, &got, &err), err);
	assert_string_equal(got.list[1].artifact_type, types[3]);
	shelf_referrers_clear(&got);
	for (size_t i = 0; i < ROWS(types); i++)
		free(texts[i]);
	shelf_free(s);
}

/* Each list of referrers repeats the type, so it is short. */
static void artifact_types_have_an_end(void **state)
{
	struct shelf *s = site_open(*state);
	struct shelf_stored stored;
	dray_error *err = NULL;

	assert_ok(push_blob(s, "r", "{}", &err), err);
	assert_ok(push_blob(s, "r", "layer", &err), err);
	for (int len = 255; len <= 256; len++) {
		char type[257] = "", *more = NULL, *text, *config;
		const struct digest d = digest_text_of("{}");

		memset(type, 'x', (size_t)len);
		assert_true(asprintf(&more, ",\"artifactType\":\"%s\"", type) > 0);
		text = manifest_of("{}", "layer", more);
		assert_true(asprintf(&config,
				     "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_MANIFEST
				     "\",\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\","
				     "\"size\":2},\"layers\":[]}",
				     type, d.text) > 0);
		const char *const texts[] = { text, config };
		for (size_t i = 0; i < ROWS(texts); i++) {
			int rc = put_as(s, "r", NULL, MT_OCI_MANIFEST, texts[i], &stored, &err);

			if (len == 255)
				assert_ok(rc, err);
			else
				assert_refused(rc, err, SHELF_MANIFEST_INVALID);
		}
		free(more), free(text), free(config);
	}
	shelf_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(folder_is_private_and_has_one_owner),
		site_test(other_folders_are_left_alone),
		site_test(a_lock_makes_no_folder_ours),
		site_test(a_damaged_database_is_told),
		site_test(an_image_goes_in_and_lasts),
		site_test(a_blob_in_pieces_and_of_nothing),
		site_test(sha512_is_hashed_at_the_end),
		site_test(a_wrong_digest_leaves_nothing),
		site_test(uploads_of_others_are_unknown),
		site_test(one_request_holds_an_upload),
		site_test(uploads_expire),
		site_test(uploads_are_swept),
		site_test(lost_bytes_are_no_blob),
		site_test(many_uploads),
		site_test(quota_and_ceiling),
		site_test(idle_uploads_make_room),
		site_test(blobs_belong_to_repositories),
		site_test(what_a_manifest_needs),
		site_test(an_index_needs_manifests),
		site_test(an_index_stays_whole),
		site_test(digests_of_manifests),
		site_test(what_must_not_change),
		site_test(tags_stay),
		site_test(a_push_repairs),
		site_test(pages),
		site_test(referrers),
		site_test(without_a_tag),
		site_test(artifact_types_have_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
