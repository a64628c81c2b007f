/* SPDX-License-Identifier: Apache-2.0
 *
 * What every kind of destination owes to its caller (reliability G-05, G-19): bytes that are not
 * what their descriptor says are an error, get no name, and nothing of the run appears.
 */
#include "dest_box.h"
#include <fts.h>
#include "flow/sink.h"

/* ---- the kinds ---- */

/* Where one destination writes, and what was there before. */
struct ground {
	struct place place;
	struct store *memory;
	struct buf stream; /* what a sink was given */
};

static struct dest *open_memory(struct ground *g, dray_error **err)
{
	return dest_memory(g->memory, err);
}

static struct dest *open_layout(struct ground *g, dray_error **err)
{
	return dest_oci_dir(g->place.path, err);
}

static struct dest *open_oci_tar(struct ground *g, dray_error **err)
{
	return dest_oci_tar(g->place.path, NULL, false, err);
}

static struct dest *open_docker_tar(struct ground *g, dray_error **err)
{
	return dest_docker_tar(g->place.path, NULL, false, err);
}

static struct dest *open_stream(struct ground *g, dray_error **err)
{
	return dest_docker_stream(sink_to_buf(&g->stream, err), g->place.folder, err);
}

static struct dest *open_append(struct ground *g, dray_error **err)
{
	return dest_append_tar(g->place.path, ARCHIVE_ANY, err);
}

static struct dest *open_flat(struct ground *g, dray_error **err)
{
	return dest_flat_dir(g->place.path, false, err);
}

static const struct kind {
	const char *name;
	struct dest *(*open)(struct ground *g, dray_error **err);
	/* Makes the place that images are added to or that is replaced; NULL = there is none. */
	struct dest *(*old)(struct ground *g, dray_error **err);
	bool once; /* what went out cannot be taken back: after a failure all is over */
} kinds[] = {
	{ "memory", open_memory, NULL, false },
	{ "memory that has an image", open_memory, open_memory, false },
	{ "new layout", open_layout, NULL, false },
	{ "layout", open_layout, open_layout, false },
	{ "oci archive", open_oci_tar, NULL, false },
	{ "oci archive over an old one", open_oci_tar, open_oci_tar, false },
	{ "docker archive", open_docker_tar, NULL, false },
	{ "stream", open_stream, NULL, true },
	{ "append to a docker archive", open_append, open_docker_tar, false },
	{ "append to an oci archive", open_append, open_oci_tar, false },
	{ "flat folder", open_flat, NULL, false },
	{ "flat folder over an old one", open_flat, open_flat, false },
};

static void ground_make(struct ground *g, const struct kind *k)
{
	cleanup_made struct made m = make_image(1);
	dray_error *err = NULL;

	*g = (struct ground){ .place = place_make("out"), .stream = BUF_INIT(LIMIT_CONFIG) };
	g->memory = store_memory_new(&err);
	assert_non_null(g->memory);
	if (!k->old)
		return;
	cleanup_dest struct dest *d = k->old(g, &err);
	assert_ok(d ? put_image(d, &m, "old:1", &err) : -1, err);
	assert_ok(dest_finish(d, &err), err);
}

static void ground_clear(struct ground *g)
{
	store_free(g->memory);
	buf_clear(&g->stream);
	place_clear(&g->place);
}
#define cleanup_ground CLEANUP(ground_clear)

/* ---- what can be seen of it ---- */

static void add_line(struct buf *b, const char *what, struct span detail)
{
	assert_int_equal(buf_add_str(b, what, NULL) + buf_add_str(b, " ", NULL) +
				 buf_add(b, detail, NULL) + buf_add_str(b, "\n", NULL),
			 0);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Every path below the folder, files with their digest. */
static void list_folder(char *folder, struct buf *ret)
{
	char *const roots[] = { folder, NULL };
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	const FTSENT *e;

	assert_non_null(walk);
	while ((e = fts_read(walk)) != NULL) {
		struct digest d = { 0 };

		if (e->fts_info == FTS_F) {
			cleanup_buf struct buf b = BUF_INIT(0);

			slurp(AT_FDCWD, e->fts_path, &b);
			assert_int_equal(digest_of(span_buf(&b), &d, NULL), 0);
		}
		if (e->fts_info != FTS_DP)
			add_line(ret, e->fts_path, span_str(d.text));
	}
	fts_close(walk);
}

static void list_memory(struct store *st, struct buf *ret)
{
	const struct selector all = { .all = true };
	struct image **images = NULL;
	cleanup_error dray_error *err = NULL;
	size_t n = 0;

	if (store_images(st, &all, &images, &n, &err) < 0)
		assert_int_equal(dray_error_kind(err), DRAY_ERR_NOT_FOUND);
	for (size_t i = 0; i < n; i++)
		add_line(ret, images[i]->tags[0], span_str(images[i]->manifest->digest.text));
	images_free(images, n);
}

/* Of a stream: the documents, without which nobody loads it. */
static struct buf seen(const struct ground *g)
{
	static const char *const documents[] = { OCI_INDEX_NAME, "manifest.json" };
	struct buf b = BUF_INIT(LIMIT_CONFIG);

	list_folder(g->place.folder, &b);
	list_memory(g->memory, &b);
	for (size_t i = 0; i < ROWS(documents); i++)
		if (g->stream.len &&
		    memmem(g->stream.data, g->stream.len, documents[i], strlen(documents[i])))
			add_line(&b, "stream", span_str(documents[i]));
	return b;
}

/* ---- the lies ---- */

#define TRUTH "the bytes that were promised, and no others"

static const struct lie {
	const char *name, *sent;
	bool digest, size; /* what the descriptor tells */
	int64_t fail_at;   /* the source breaks there; -1 = never */
	enum dray_err_kind kind;
	int64_t more; /* that the descriptor's size tells too much */
} lies[] = {
	{ "wrong digest", "the bytes that were promised, and no other!", true, true, -1,
	  DRAY_ERR_CORRUPT, 0 },
	{ "wrong digest, no size", "the bytes that were promised, and no other!", true, false, -1,
	  DRAY_ERR_CORRUPT, 0 },
	{ "short", "the bytes that were promised", true, true, -1, DRAY_ERR_CORRUPT, 0 },
	{ "short, no size", "the bytes that were promised", true, false, -1, DRAY_ERR_CORRUPT, 0 },
	{ "short, no digest", "the bytes that were promised", false, true, -1, DRAY_ERR_CORRUPT,
	  0 },
	{ "long", TRUTH ", but more", true, true, -1, DRAY_ERR_CORRUPT, 0 },
	{ "long, no size", TRUTH ", but more", true, false, -1, DRAY_ERR_CORRUPT, 0 },
	{ "long, no digest", TRUTH ", but more", false, true, -1, DRAY_ERR_CORRUPT, 0 },
	{ "size too large", TRUTH, true, true, -1, DRAY_ERR_CORRUPT, 1 },
	{ "size too small", TRUTH, true, true, -1, DRAY_ERR_CORRUPT, -1 },
	{ "empty", "", true, true, -1, DRAY_ERR_CORRUPT, 0 },
	{ "source fails at once", TRUTH, true, true, 0, DRAY_ERR_SYSTEM, 0 },
	{ "source fails midway", TRUTH, true, true, 20, DRAY_ERR_SYSTEM, 0 },
	{ "source fails midway, nothing told", TRUTH, false, false, 20, DRAY_ERR_SYSTEM, 0 },
};

static int put_lie(struct dest *d, const struct lie *l, dray_error **err)
{
	struct blob_put p = { .desc = { .size = -1 }, .label = "layer 2 of 2" };
	struct descriptor truth = describe(TRUTH, MT_OCI_LAYER);
	struct source *s = source_from_span(span_str(l->sent), err);
	struct digest got;
	int64_t size;

	if (l->digest)
		p.desc.digest = truth.digest;
	if (l->size)
		p.desc.size = truth.size + l->more;
	if (l->fail_at >= 0)
		s = source_torn(s, 7, l->fail_at, err);
	return dest_put_blob(d, &p, s, &got, &size, err);
}

static void assert_not_there(struct dest *d, const struct kind *k, const struct lie *l)
{
	const struct descriptor never[] = { describe(TRUTH, MT_OCI_LAYER),
					    describe(l->sent, MT_OCI_LAYER) };
	dray_error *err = NULL;

	for (size_t i = 0; i < ROWS(never); i++) {
		int there = dest_has_blob(d, &never[i], &err);

		assert_ok(there, err);
		if (there)
			fail_msg("%s, %s: has what nobody proved", k->name, l->name);
	}
}

/* A destination that was told a lie behind an image that is in order. */
static struct dest *deceived(struct ground *g, const struct kind *k, const struct lie *l)
{
	cleanup_made struct made m = make_image(2);
	dray_error *err = NULL;
	struct dest *d = k->open(g, &err);

	assert_ok(d ? put_image(d, &m, "new:1", &err) : -1, err);
	if (put_lie(d, l, &err) == 0)
		fail_msg("%s, %s: taken", k->name, l->name);
	if (dray_error_kind(err) != l->kind || !strstr(dray_error_message(err), "layer 2 of 2"))
		fail_msg("%s, %s: %d, %s", k->name, l->name, (int)dray_error_kind(err),
			 dray_error_message(err));
	err_clear(&err);
	assert_not_there(d, k, l);
	return d;
}

/* ---- tests ---- */

static void test_nothing_appears(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(kinds) * ROWS(lies); i++) {
		const struct kind *k = &kinds[i / ROWS(lies)];
		const struct lie *l = &lies[i % ROWS(lies)];
		cleanup_ground struct ground g;

		ground_make(&g, k);
		cleanup_buf struct buf before = seen(&g);
		dest_free(deceived(&g, k, l));
		cleanup_buf struct buf after = seen(&g);
		if (!span_eq(span_buf(&before), span_buf(&after)))
			fail_msg("%s, %s: before\n%.*s\nafter\n%.*s", k->name, l->name,
				 (int)before.len, before.data, (int)after.len, after.data);
	}
}

/* The twin: the same place takes the truth afterwards, unless its bytes had gone out. */
static void test_truth_is_taken(void **state)
{
	const struct descriptor truth = describe(TRUTH, MT_OCI_LAYER);

	(void)state;
	for (size_t i = 0; i < ROWS(kinds) * ROWS(lies); i++) {
		const struct kind *k = &kinds[i / ROWS(lies)];
		const struct lie *l = &lies[i % ROWS(lies)];
		cleanup_ground struct ground g;
		dray_error *err = NULL;

		ground_make(&g, k);
		cleanup_buf struct buf before = seen(&g);
		cleanup_dest struct dest *d = deceived(&g, k, l);
		if (k->once && l->digest && l->size) {
			assert_int_equal(dest_put_bytes(d, &truth, SPAN_LIT(TRUTH), &err), -1);
			assert_err(err, DRAY_ERR_USAGE, "broke off");
			assert_int_equal(dest_finish(d, &err), -1);
			assert_err(err, DRAY_ERR_USAGE, "broke off");
			continue;
		}
		assert_ok(dest_put_bytes(d, &truth, SPAN_LIT(TRUTH), &err), err);
		assert_int_equal(dest_has_blob(d, &truth, &err), 1);
		assert_ok(dest_finish(d, &err), err);
		cleanup_buf struct buf after = seen(&g);
		assert_false(span_eq(span_buf(&before), span_buf(&after)));
	}
}

/* A blob that is there already is no reason to believe what comes under its name. */
static void test_known_blob_is_still_checked(void **state)
{
	const struct descriptor truth = describe(TRUTH, MT_OCI_LAYER);

	(void)state;
	for (size_t i = 0; i < ROWS(kinds) * ROWS(lies); i++) {
		const struct kind *k = &kinds[i / ROWS(lies)];
		const struct lie *l = &lies[i % ROWS(lies)];
		cleanup_ground struct ground g;
		dray_error *err = NULL;

		ground_make(&g, k);
		cleanup_dest struct dest *d = k->open(&g, &err);
		assert_ok(d ? dest_put_bytes(d, &truth, SPAN_LIT(TRUTH), &err) : -1, err);
		assert_int_equal(put_lie(d, l, &err), -1);
		assert_err_kind(err, l->kind);
		assert_int_equal(dest_has_blob(d, &truth, &err), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_appears),
		cmocka_unit_test(test_truth_is_taken),
		cmocka_unit_test(test_known_blob_is_still_checked),
	};

	return cmocka_run_group_tests_name("dest_contract", tests, NULL, NULL);
}
