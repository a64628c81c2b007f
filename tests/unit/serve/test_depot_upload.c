/* SPDX-License-Identifier: Apache-2.0
 *
 * Uploads to the folder of a registry: whose they are, how long they last, and what they may take
 * (of what registries got wrong, R-03 to R-05).
 */
#include "depot_support.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(uploads_of_others_are_unknown),
		site_test(one_request_holds_an_upload),
		site_test(uploads_expire),
		site_test(uploads_are_swept),
		site_test(lost_bytes_are_no_blob),
		site_test(many_uploads),
		site_test(quota_and_ceiling),
		site_test(idle_uploads_make_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
