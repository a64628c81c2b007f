/* SPDX-License-Identifier: Apache-2.0
 *
 * Images of places as a shelf: names, manifests, blobs, pages.
 */
#include "torture.h"

#include "serve/images_priv.h"
#include "store/box.h"

/* ---- names ---- */

static void names(void **state)
{
	static const struct {
		const char *stored, *repo, *tag;
	} rows[] = {
		{ "test/sym:1", "test/sym", "1" },
		{ "busybox:1.36", "busybox", "1.36" },
		{ "docker.io/library/busybox:1", "busybox", "1" },
		{ "docker.io/me/app:1", "me/app", "1" },
		{ "index.docker.io/library/a:1", "a", "1" },
		{ "quay.io/org/app:1", "quay.io/org/app", "1" },
		{ "localhost/app:1", "app", "1" },
		{ "localhost:5000/app:1", "app", "1" },
		{ "registry.example.test:5000/app/sym:1", "app/sym", "1" },
		{ "Example.com/app:1", "app", "1" },
		{ "me/app", "me/app", "latest" },
		{ "v1", NULL, "v1" },
		{ "1.2.3", NULL, "1.2.3" },
		{ "app:1@sha256:" HEX_A, "app", "1" },
		{ "me/app@sha256:" HEX_A, NULL, NULL },
		{ "../x:1", NULL, NULL },
		{ "A B", NULL, NULL },
		{ "", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		const char *repo, *tag;
		dray_error *err = NULL;

		assert_ok(images_split_name(rows[i].stored, &a, &repo, &tag, &err), err);
		if (strcmp(repo ? repo : "-", rows[i].repo ? rows[i].repo : "-") != 0 ||
		    strcmp(tag ? tag : "-", rows[i].tag ? rows[i].tag : "-") != 0)
			fail_msg("%s: %s %s", rows[i].stored, repo ? repo : "-", tag ? tag : "-");
	}
}

static void place_names(void **state)
{
	static const struct {
		const char *place, *name;
	} rows[] = {
		{ "/srv/images/app.tar", "app" },
		{ "/srv/images/", "images" },
		{ "My App (2).tar.gz", "my-app-2" },
		{ "a.tar.zst", "a" },
		{ "x.y_z", "x.y_z" },
		{ "..", "image" },
		{ "/", "image" },
		{ "", "image" },
		{ ".tar", "tar" },
		{ "--a--", "a" },
		{ "\xc3\xa4pp", "pp" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		const char *name = images_place_name(rows[i].place, &a);

		assert_string_equal(name, rows[i].name);
		assert_true(reference_path_valid(span_str(name)));
	}
}

/* ---- a shelf ---- */

/* As docker save writes it: no manifest of a registry. */
static struct buf archive(const char *tags)
{
	struct buf tar = tb_new();
	struct digest d;
	char name[128], list[1024];

	const char *config = box_config(LAYER_1, LAYER_2);
	box_digest(config, &d);
	snprintf(name, sizeof(name), "%s.json", digest_hex(&d));
	tb_file(&tar, name, config);
	tb_file(&tar, "1/layer.tar", LAYER_1);
	tb_file(&tar, "2/layer.tar", LAYER_2);
	snprintf(list, sizeof(list),
		 "[{\"Config\":\"%s\",\"RepoTags\":%s,\"Layers\":[\"1/layer.tar\",\"2/"
		 "layer.tar\"]}]",
		 name, tags);
	tb_file(&tar, "manifest.json", list);
	tb_zeros(&tar, 1024);
	return tar;
}

static void count_note(void *arg, const char *text)
{
	(void)text;
	++*(int *)arg;
}

struct opened {
	struct store *st;
	struct image **images;
	size_t n;
};

static struct opened open_all(const struct buf *tar)
{
	const struct selector all = { .all = true, .all_platforms = true };
	struct opened o = { 0 };
	dray_error *err = NULL;

	o.st = box_open(tar, AS_FILE, &err);
	assert_non_null(o.st);
	assert_ok(store_images(o.st, &all, &o.images, &o.n, &err), err);
	return o;
}

static int fill(struct images_shelf *s, const struct buf *tar, const char *name, int *notes,
		dray_error **err)
{
	struct opened o = open_all(tar);

	return images_shelf_add(s, o.st, o.images, o.n, name, count_note, notes, err);
}

static struct shelf *made(const char *tags, int *notes)
{
	cleanup_buf struct buf tar = archive(tags);
	dray_error *err = NULL;
	struct images_shelf *s = images_shelf_new(&err);

	assert_ok(fill(s, &tar, "app.tar", notes, &err), err);
	assert_ok(images_shelf_seal(s, &err), err);
	return images_shelf_base(s);
}

static void check_blob(struct shelf *s, const char *repo, const char *bytes, bool extent)
{
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	cleanup_buf struct buf got = BUF_INIT(1024);
	struct digest d;
	dray_error *err = NULL;

	box_digest(bytes, &d);
	assert_ok(s->ops->blob(s, repo, &d, true, &b, &err), err);
	assert_int_equal(b.size, strlen(bytes));
	assert_int_equal(b.fd >= 0, extent);
	if (extent) {
		assert_ok(buf_reserve(&got, (size_t)b.size, &err), err);
		assert_int_equal(pread(b.fd, got.data, (size_t)b.size, b.off), b.size);
		got.len = (size_t)b.size;
	} else {
		cleanup_source struct source *data = shelf_blob_open(&b, &err);

		assert_ok(data ? source_slurp(data, &got, &err) : -1, err);
	}
	assert_true(span_is(span_buf(&got), bytes));
}

/* The manifest is that of the canonical archive, under every name that leads to it. */
static void an_archive(void **state)
{
	static const char *const aliases[] = { "a", "library/a", "docker.io/a",
					       "docker.io/library/a", "localhost/a" };
	int notes = 0;
	cleanup_shelf struct shelf *s = made("[\"a:1\",\"a:0\",\"quay.io/x/b:1\"]", &notes);
	const char *config = box_config(LAYER_1, LAYER_2);
	struct digest want = { 0 };
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(notes, 0);
	for (size_t i = 0; i < ROWS(aliases); i++) {
		cleanup_shelf_doc struct shelf_doc d = { 0 };
		const struct shelf_ref ref = { .tag = "1" };
		struct digest real;

		assert_ok(s->ops->manifest(s, aliases[i], &ref, true, &d, &err), err);
		assert_ok(digest_of(span_buf(&d.bytes), &real, &err), err);
		assert_true(digest_eq(&real, &d.digest));
		assert_true(i == 0 || digest_eq(&want, &d.digest));
		assert_int_equal(d.size, d.bytes.len);
		assert_string_equal(d.media_type, MT_OCI_MANIFEST);
		want = d.digest;
	}
	check_blob(s, "a", LAYER_1, true);
	check_blob(s, "quay.io/x/b", LAYER_2, true);
	check_blob(s, "a", config, false);
}

static void not_here(void **state)
{
	int notes = 0;
	cleanup_shelf struct shelf *s = made("[\"a:1\"]", &notes);
	const struct shelf_ref ref = { .tag = "2" };
	const struct shelf_part all = { .max = 10 };
	cleanup_shelf_doc struct shelf_doc d = { 0 };
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	cleanup_shelf_page struct shelf_page p = { 0 };
	struct digest other;
	dray_error *err = NULL;

	(void)state;
	box_digest("other", &other);
	assert_int_equal(s->ops->manifest(s, "a", &ref, true, &d, &err), -1);
	assert_string_equal(dray_error_registry_code(err), "MANIFEST_UNKNOWN");
	err_clear(&err);
	assert_int_equal(s->ops->blob(s, "a", &other, true, &b, &err), -1);
	assert_string_equal(dray_error_registry_code(err), "BLOB_UNKNOWN");
	err_clear(&err);
	assert_int_equal(s->ops->tags(s, "b", &all, &p, &err), -1);
	assert_string_equal(dray_error_registry_code(err), "NAME_UNKNOWN");
	err_clear(&err);
}

static void pages(void **state)
{
	static const char *const want[] = { "0", "1", "10", "a", "b" };
	int notes = 0;
	cleanup_shelf struct shelf *s = made("[\"a:b\",\"a:10\",\"a:1\",\"a:a\",\"a:0\",\"a:1\"]",
					     &notes);
	dray_error *err = NULL;
	const char *after = NULL;

	(void)state;
	for (size_t i = 0; i < ROWS(want); i++) {
		cleanup_shelf_page struct shelf_page p = { 0 };
		const struct shelf_part part = { .after = after, .max = 1 };

		assert_ok(s->ops->tags(s, "a", &part, &p, &err), err);
		assert_int_equal(p.n, 1);
		assert_string_equal(p.names[0], want[i]);
		assert_int_equal(p.more, i + 1 < ROWS(want));
		after = want[i];
	}
	for (size_t max = 0; max < 7; max++) {
		cleanup_shelf_page struct shelf_page p = { 0 };
		const struct shelf_part part = { .after = "1", .max = max };

		assert_ok(s->ops->tags(s, "a", &part, &p, &err), err);
		assert_int_equal(p.n, max < 3 ? max : 3);
		assert_int_equal(p.more, max < 3);
	}
}

/* One image without a name is the place's, and there is no other way to ask for it. */
static void nameless(void **state)
{
	int notes = 0;
	cleanup_shelf struct shelf *s = made("null", &notes);
	const struct shelf_ref ref = { .tag = "latest" };
	cleanup_shelf_doc struct shelf_doc d = { 0 };
	dray_error *err = NULL;

	(void)state;
	assert_ok(s->ops->manifest(s, "app", &ref, false, &d, &err), err);
	assert_int_equal(d.bytes.len, 0);
	assert_true(d.size > 0);
}

/* Those that no tag names, by their digests; a page ends where it should. */
static void without_a_tag(void **state)
{
	cleanup_buf struct buf tar = archive("[\"a:1\"]");
	cleanup_buf struct buf nameless = archive("null");
	dray_error *err = NULL;
	struct images_shelf *s = images_shelf_new(&err);
	struct shelf *base = images_shelf_base(s);
	struct shelf_part part = { .max = 1 };
	cleanup_shelf_referrers struct shelf_referrers none = { 0 }, one = { 0 }, end = { 0 };
	int notes = 0;

	(void)state;
	assert_ok(fill(s, &tar, "x", &notes, &err), err);
	/* "b" is there already, so what has no name is by digest alone. */
	assert_int_equal(images_get_repo(s, "b", &(struct repo *){ NULL }, &err), 0);
	assert_ok(fill(s, &nameless, "b", &notes, &err), err);
	assert_ok(images_shelf_seal(s, &err), err);
	assert_int_equal(base->ops->untagged(base, "c", &part, &none, &err), -1);
	assert_string_equal(dray_error_registry_code(err), "NAME_UNKNOWN");
	err_clear(&err);
	assert_ok(base->ops->untagged(base, "a", &part, &none, &err), err);
	assert_int_equal(none.n, 0);
	assert_ok(base->ops->untagged(base, "b", &part, &one, &err), err);
	assert_int_equal(one.n, 1);
	assert_false(one.more);
	assert_string_equal(one.list[0].media_type, MT_OCI_MANIFEST);
	part.after = one.list[0].digest.text;
	assert_ok(base->ops->untagged(base, "b", &part, &end, &err), err);
	assert_int_equal(end.n, 0);
	shelf_free(base);
}

/* The first place keeps a name; what is the same image twice is no quarrel. */
static void two_places(void **state)
{
	cleanup_buf struct buf one = archive("[\"a:1\"]");
	cleanup_buf struct buf again = archive("[\"a:1\",\"a:2\"]");
	dray_error *err = NULL;
	struct images_shelf *s = images_shelf_new(&err);
	struct shelf *base = images_shelf_base(s);
	struct shelf_state have = SHELF_STATE_INIT;
	int notes = 0;

	(void)state;
	assert_ok(fill(s, &one, "x", &notes, &err), err);
	assert_ok(fill(s, &again, "y", &notes, &err), err);
	assert_ok(images_shelf_seal(s, &err), err);
	assert_int_equal(notes, 0);
	assert_ok(base->ops->state(base, &have, &err), err);
	assert_int_equal(have.repositories, 1);
	assert_int_equal(have.manifests, 1);
	assert_int_equal(have.blobs, -1);
	shelf_free(base);
}

/* Opening has its own tests; filling is what fails here. */
static void no_memory(void **state)
{
	cleanup_buf struct buf tar = archive("[\"a:1\",\"quay.io/x/b:1\"]");
	bool reached = true;

	(void)state;
	for (uint64_t nth = 1; reached; nth++) {
		struct opened o = open_all(&tar);
		dray_error *err = NULL;
		struct images_shelf *s = images_shelf_new(&err);
		int rc;

		assert_non_null(s);
		fault_arm(FAULT_ALLOC, nth, 0);
		rc = images_shelf_add(s, o.st, o.images, o.n, "x", NULL, NULL, &err);
		if (rc == 0)
			rc = images_shelf_seal(s, &err);
		reached = fault_count(FAULT_ALLOC) >= nth;
		fault_arm(FAULT_ALLOC, 0, 0);
		assert_int_equal(rc, reached ? -1 : 0);
		if (reached)
			assert_err_kind(err, DRAY_ERR_NOMEM);
		shelf_free(images_shelf_base(s));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),	 cmocka_unit_test(place_names),
		cmocka_unit_test(an_archive),	 cmocka_unit_test(not_here),
		cmocka_unit_test(pages),	 cmocka_unit_test(nameless),
		cmocka_unit_test(without_a_tag), cmocka_unit_test(two_places),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
