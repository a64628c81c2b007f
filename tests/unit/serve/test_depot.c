/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder of a registry, without HTTP: whose it is; what goes in comes out, for those who may
 * have it, and what must not change does not (of what registries got wrong, R-09 to R-11).
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

/* What is to be made is not looked for. */
static void a_folder_needs_a_place(void **state)
{
	static const char *const names[] = { "missing/root", "file/root", "link" };
	struct site *t = *state;

	put_file(t->fd, "file", span_str(""));
	assert_int_equal(symlinkat("nowhere", t->fd, "link"), 0);
	for (size_t i = 0; i < ROWS(names); i++) {
		cleanup_free char *dir = mem_printf("%s/%s", t->dir, names[i]);
		struct shelf *s = NULL;
		dray_error *err = NULL;

		assert_int_equal(depot_open(dir, &(struct depot_options){ 0 }, &s, &err), -1);
		assert_err_kind(err, DRAY_ERR_SYSTEM);
	}
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(folder_is_private_and_has_one_owner),
		site_test(other_folders_are_left_alone),
		site_test(a_folder_needs_a_place),
		site_test(a_lock_makes_no_folder_ours),
		site_test(a_damaged_database_is_told),
		site_test(an_image_goes_in_and_lasts),
		site_test(a_blob_in_pieces_and_of_nothing),
		site_test(sha512_is_hashed_at_the_end),
		site_test(a_wrong_digest_leaves_nothing),
		site_test(blobs_belong_to_repositories),
		site_test(what_must_not_change),
		site_test(tags_stay),
		site_test(a_push_repairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
