/* SPDX-License-Identifier: Apache-2.0
 *
 * Garbage collection: what nothing needs goes, after its grace; what somebody needs, or was told
 * of, stays - also while others push and delete.
 */
#include "depot_support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define GRACE DEPOT_GRACE
#define PAST (GRACE + DEPOT_TOUCH_AFTER)

static struct depot_collected collect(struct shelf *s, struct depot_gc o)
{
	struct depot_collected got = { 0 };
	dray_error *err = NULL;

	assert_ok(depot_collect(s, &o, &got, &err), err);
	return got;
}

/* What the folder has of blobs, whatever its database says. */
static size_t files_of(const struct site *t, const char *text)
{
	const struct digest d = digest_text_of(text);
	char *path = NULL;
	struct stat st;
	size_t n;

	assert_true(asprintf(&path, "root/blobs/sha256/%.2s/%s", digest_hex(&d), digest_hex(&d)) >
		    0);
	n = fstatat(t->fd, path, &st, 0) == 0;
	free(path);
	return n;
}

static void what_is_needed_stays(void **state)
{
	struct site *t = *state;
	struct shelf *s = site_open(t);
	struct depot_collected got;
	dray_error *err = NULL;

	assert_ok(push_image(s, "a", "v", "{}", "layer", &err), err);
	assert_ok(push_blob(s, "a", "loose", &err), err);
	got = collect(s, (struct depot_gc){ .grace = GRACE });
	assert_int_equal(got.blobs, 0);
	assert_int_equal(got.kept, 3);
	assert_int_equal(got.kept_bytes, 12);
	site_seconds += PAST;
	got = collect(s, (struct depot_gc){ .grace = GRACE, .dry_run = true });
	assert_int_equal(got.blobs, 1);
	assert_int_equal(got.strays, 0); /* it is not counted once more by its file */
	assert_true(files_of(t, "loose"));
	got = collect(s, (struct depot_gc){ .grace = GRACE });
	assert_int_equal(got.blobs, 1);
	assert_int_equal(got.bytes, 5);
	assert_int_equal(got.kept, 2);
	assert_false(files_of(t, "loose") || has_blob(s, "a", "loose"));
	assert_int_equal(check_store(s), 1);
	got = collect(s, (struct depot_gc){ .grace = 0 });
	assert_int_equal(got.blobs, 0);

	/* A dry run is none. */
	struct shelf_state have = SHELF_STATE_INIT;
	assert_ok(s->ops->state(s, &have, &err), err);
	assert_int_equal(have.collections, 3);
	assert_int_equal(have.collected_blobs, 1);
	assert_int_equal(have.collected_bytes, 5);
	assert_int_equal(have.repositories, 1);
	assert_int_equal(have.manifests, 1);
	assert_int_equal(have.blobs, 2);
	assert_int_equal(have.uploads, 0);
	assert_int_equal(have.quota, -1);
	assert_true(have.bytes > 7); /* and the manifest */
	shelf_free(s);
}

/* who was told that a blob is here has the grace to push a manifest. */
static void asking_keeps_a_blob(void **state)
{
	char *text = manifest_of("{}", "layer", "");
	struct shelf *s = site_open(*state);
	dray_error *err = NULL;

	assert_ok(push_blob(s, "a", "{}", &err), err);
	assert_ok(push_blob(s, "a", "layer", &err), err);
	site_seconds += GRACE - 1;
	assert_true(has_blob(s, "a", "{}") && has_blob(s, "a", "layer"));
	site_seconds += GRACE - 1;
	assert_int_equal(collect(s, (struct depot_gc){ .grace = GRACE }).blobs, 0);
	assert_ok(put_image(s, "a", "v", "{}", "layer", &err), err);
	site_seconds += 10 * GRACE;
	assert_int_equal(collect(s, (struct depot_gc){ .grace = GRACE }).blobs, 0);
	/* Let go of by a delete, they have it once more. */
	assert_ok(s->write->remove(s, "a", &(struct shelf_ref){ .digest = digest_text_of(text) },
				   &err),
		  err);
	free(text);
	assert_int_equal(collect(s, (struct depot_gc){ .grace = GRACE }).blobs, 0);
	site_seconds += PAST;
	assert_int_equal(collect(s, (struct depot_gc){ .grace = GRACE }).blobs, 2);
	assert_false(has_blob(s, "a", "{}") || has_blob(s, "a", "layer"));
	shelf_free(s);
}

/* Soon after a push nobody notes that it is asked for, and still who asked has the whole grace. */
static void asking_at_once_keeps_a_blob(void **state)
{
	struct shelf *s = site_open(*state);
	dray_error *err = NULL;

	assert_ok(push_blob(s, "a", "layer", &err), err);
	site_seconds += DEPOT_TOUCH_AFTER - 1;
	assert_true(has_blob(s, "a", "layer"));
	site_seconds += GRACE - 1;
	assert_int_equal(collect(s, (struct depot_gc){ .grace = GRACE }).blobs, 0);
	site_seconds += 2;
	assert_int_equal(collect(s, (struct depot_gc){ .grace = GRACE }).blobs, 1);
	shelf_free(s);
}

/* A repository loses a blob that it does not need, and another keeps the same. */
static void each_repository_for_itself(void **state)
{
	struct site *t = *state;
	struct shelf *s = site_open(t);
	const struct digest d = digest_text_of("layer");
	dray_error *err = NULL;

	assert_ok(push_image(s, "a", "v", "{}", "layer", &err), err);
	assert_int_equal(s->write->mount(s, "b", &d, "a", &err), 1);
	site_seconds += PAST;
	assert_int_equal(collect(s, (struct depot_gc){ .grace = GRACE }).blobs, 0);
	assert_false(has_blob(s, "b", "layer"));
	assert_true(has_blob(s, "a", "layer"));
	assert_int_equal(check_store(s), 1);
	shelf_free(s);
}

static void quota_is_given_back(void **state)
{
	struct shelf *s = site_open_with(*state, (struct depot_options){ .quota = 8 });
	dray_error *err = NULL;

	assert_ok(push_blob(s, "a", "seven b", &err), err);
	assert_refused(push_blob(s, "a", "other", &err), err, SHELF_NO_SPACE);
	assert_int_equal(collect(s, (struct depot_gc){ .grace = 0 }).blobs, 1);
	assert_ok(push_blob(s, "a", "other", &err), err);
	shelf_free(s);
}

/* A kill between a file's name and its row, or between the row's end and the file's. */
static void strays_go(void **state)
{
	struct site *t = *state;
	struct shelf *s = site_open(t);
	struct depot_collected got;
	const struct digest d = digest_text_of("stray");
	dray_error *err = NULL;
	char *path = NULL;

	assert_ok(push_image(s, "a", "v", "{}", "layer", &err), err);
	assert_true(asprintf(&path, "root/blobs/sha256/%.2s", digest_hex(&d)) > 0);
	mkdirat(t->fd, path, 0700);
	free(path);
	assert_true(asprintf(&path, "root/blobs/sha256/%.2s/%s", digest_hex(&d), digest_hex(&d)) >
		    0);
	put_file(t->fd, path, span_str("stray"));
	free(path);
	got = collect(s, (struct depot_gc){ .grace = GRACE, .dry_run = true });
	assert_int_equal(got.strays, 1);
	assert_true(files_of(t, "stray"));
	got = collect(s, (struct depot_gc){ .grace = GRACE });
	assert_int_equal(got.strays, 1);
	assert_int_equal(got.stray_bytes, 5);
	assert_false(files_of(t, "stray"));
	assert_int_equal(check_store(s), 1);
	shelf_free(s);
}

static void untagged_manifests(void **state)
{
	struct shelf *s = site_open(*state);
	const struct depot_gc o = { .grace = GRACE, .untagged = true };
	char *child = manifest_of("{}", "layer", ""), *more = NULL, *note, *index = NULL;
	const struct digest d = digest_text_of(child);
	struct shelf_stored stored;
	dray_error *err = NULL;

	/* an untagged manifest, a note about it, and an index of it */
	assert_ok(push_image(s, "a", NULL, "{}", "layer", &err), err);
	assert_true(asprintf(&more,
			     ",\"subject\":{\"mediaType\":\"" MT_OCI_MANIFEST
			     "\",\"size\":%zu,\"digest\":\"%s\"}",
			     strlen(child), d.text) > 0);
	note = manifest_of("{}", "layer", more);
	assert_ok(put_as(s, "a", NULL, MT_OCI_MANIFEST, note, &stored, &err), err);
	assert_true(asprintf(&index,
			     "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX
			     "\",\"manifests\":[{\"mediaType\":\"" MT_OCI_MANIFEST
			     "\",\"digest\":\"%s\",\"size\":%zu}]}",
			     d.text, strlen(child)) > 0);
	assert_ok(put_as(s, "a", "i", MT_OCI_INDEX, index, &stored, &err), err);

	site_seconds += PAST;
	assert_int_equal(collect(s, o).manifests, 0); /* a tag leads to all three */
	assert_ok(s->write->remove(s, "a", &(struct shelf_ref){ .tag = "i" }, &err), err);
	assert_int_equal(collect(s, (struct depot_gc){ .grace = GRACE }).manifests, 0);
	assert_int_equal(
		collect(s, (struct depot_gc){ .grace = GRACE, .untagged = true, .dry_run = true })
			.manifests,
		3);
	assert_int_equal(collect(s, o).manifests, 3);
	assert_int_equal(collect(s, o).blobs, 0); /* of what they needed somebody may know */
	site_seconds += PAST;
	assert_int_equal(collect(s, o).blobs, 2);
	free(child), free(more), free(note), free(index);
	shelf_free(s);
}

/* More rows than one window has. */
static void many_blobs(void **state)
{
	struct shelf *s = site_open(*state);
	char text[32];
	dray_error *err = NULL;

	assert_ok(push_image(s, "a", "v", "{}", "layer", &err), err);
	for (int i = 0; i < 1200; i++) {
		snprintf(text, sizeof(text), "blob %d", i);
		assert_ok(push_blob(s, i % 2 ? "a" : "b", text, &err), err);
	}
	site_seconds += PAST;
	assert_int_equal(collect(s, (struct depot_gc){ .grace = GRACE, .dry_run = true }).blobs,
			 1200);
	assert_int_equal(collect(s, (struct depot_gc){ .grace = GRACE }).blobs, 1200);
	assert_int_equal(check_store(s), 1);
	shelf_free(s);
}

/* ---- beside requests ---- */

#define ROUNDS 60

struct worker {
	pthread_t thread;
	struct shelf *s;
	const char *repo;
	atomic_bool *stop;
	int pushed;
};

/* Two of these share their blobs, by content, and delete what the other may be about to name. */
static void *push_and_delete(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < ROUNDS; i++) {
		char layer[32], tag[32];

		snprintf(layer, sizeof(layer), "layer %d", i % 5);
		snprintf(tag, sizeof(tag), "t%d", i % 3);
		/* With no grace at all gc may take a blob before its manifest comes: then it says so. */
		if (push_image(w->s, w->repo, tag, "{}", layer, NULL) == 0)
			w->pushed++;
		if (i % 4 == 3) {
			char *text = manifest_of("{}", layer, "");
			const struct shelf_ref ref = { .digest = digest_text_of(text) };

			(void)!w->s->write->remove(w->s, w->repo, &ref, NULL);
			free(text);
		}
	}
	return NULL;
}

static void *collect_always(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(w->stop)) {
		const struct depot_gc o = { .grace = 0 };
		struct depot_collected got;

		if (depot_collect(w->s, &o, &got, NULL) == 0)
			w->pushed++;
	}
	return NULL;
}

static void gc_beside_pushes(void **state)
{
	struct shelf *s = site_open(*state);
	atomic_bool stop = false;
	struct worker w[3] = { { .s = s, .repo = "a" },
			       { .s = s, .repo = "b" },
			       { .s = s, .stop = &stop } };
	dray_error *err = NULL;

	assert_int_equal(pthread_create(&w[2].thread, NULL, collect_always, &w[2]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&w[i].thread, NULL, push_and_delete, &w[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(w[i].thread, NULL);
	atomic_store(&stop, true);
	pthread_join(w[2].thread, NULL);
	assert_true(w[2].pushed > 0);
	check_store(s); /* every tag that is there names a whole image */
	assert_ok(push_image(s, "a", "last", "{}", "layer 0", &err), err);
	collect(s, (struct depot_gc){ .grace = 0 });
	assert_true(has_tag(s, "a", "last"));
	check_store(s);
	shelf_free(s);
}

/* With a grace no push fails, however often gc runs. */
static void gc_with_grace_disturbs_nobody(void **state)
{
	struct shelf *s = site_open(*state);
	struct worker w[2] = { { .s = s, .repo = "a" }, { .s = s, .repo = "b" } };

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&w[i].thread, NULL, push_and_delete, &w[i]), 0);
	for (int i = 0; i < 20; i++)
		collect(s, (struct depot_gc){ .grace = GRACE, .untagged = true });
	for (int i = 0; i < 2; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].pushed, ROUNDS);
	}
	check_store(s);
	shelf_free(s);
}

/* ---- at the same moment ---- */

#define RACES 150

struct race {
	struct shelf *s;
	pthread_barrier_t gate;
	bool told[2], stored;
};

static bool mounted(struct shelf *s, const char *text)
{
	const struct digest d = digest_text_of(text);

	return s->write->mount(s, "b", &d, "a", NULL) == 1;
}

/* Asks for the one, mounts the other, and pushes what needs both. */
static void *ask_and_rely(void *arg)
{
	struct race *r = arg;

	for (int i = 0; i < RACES; i++) {
		char layer[32];

		snprintf(layer, sizeof(layer), "race %d", i);
		pthread_barrier_wait(&r->gate);
		r->told[0] = has_blob(r->s, "b", "{}");
		r->told[1] = mounted(r->s, layer);
		r->stored = put_image(r->s, "b", NULL, "{}", layer, NULL) == 0;
		pthread_barrier_wait(&r->gate);
	}
	return NULL;
}

/* gc comes when both have just had their time: who was told all the same may rely on it. */
static void who_is_told_is_told_the_truth(void **state)
{
	struct race r = { .s = site_open(*state) };
	int both = 0, none = 0;
	pthread_t asking;
	dray_error *err = NULL;

	pthread_barrier_init(&r.gate, NULL, 2);
	assert_int_equal(pthread_create(&asking, NULL, ask_and_rely, &r), 0);
	for (int i = 0; i < RACES; i++) {
		char layer[32];

		snprintf(layer, sizeof(layer), "race %d", i);
		assert_ok(push_blob(r.s, "a", layer, &err), err);
		assert_ok(push_blob(r.s, "b", "{}", &err), err);
		site_seconds += PAST;
		pthread_barrier_wait(&r.gate);
		if (i % 3) /* or it would always be the first, or always the last */
			sched_yield();
		collect(r.s, (struct depot_gc){ .grace = GRACE, .untagged = true });
		pthread_barrier_wait(&r.gate);
		both += r.told[0] && r.told[1];
		none += !r.told[0] || !r.told[1];
		if (r.told[0] && r.told[1] && !r.stored)
			fail_msg("round %d: it was told that blobs are there, and they were not",
				 i);
		check_store(r.s);
	}
	pthread_join(asking, NULL);
	pthread_barrier_destroy(&r.gate);
	print_message("gc came first %d times, second %d times\n", none, both);
	shelf_free(r.s);
}

#define WRITERS 4

struct writer {
	pthread_t thread;
	struct shelf *s;
	int number;
	int put;
};

static void *move_a_tag(void *arg)
{
	struct writer *w = arg;
	char layer[32];

	snprintf(layer, sizeof(layer), "layer %d", w->number);
	for (int i = 0; i < ROUNDS; i++)
		if (put_image(w->s, "a", "v", "{}", layer, NULL) == 0 && has_tag(w->s, "a", "v"))
			w->put++;
	return NULL;
}

/* A tag that many set is one of theirs at every moment, and there as soon as one was told. */
static void writers_of_one_tag(void **state)
{
	struct shelf *s = site_open(*state);
	struct writer w[WRITERS] = { 0 };
	dray_error *err = NULL;
	char layer[32];

	assert_ok(push_blob(s, "a", "{}", &err), err);
	for (int i = 0; i < WRITERS; i++) {
		snprintf(layer, sizeof(layer), "layer %d", i);
		assert_ok(push_blob(s, "a", layer, &err), err);
		w[i] = (struct writer){ .s = s, .number = i };
	}
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&w[i].thread, NULL, move_a_tag, &w[i]), 0);
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].put, ROUNDS);
	}
	assert_int_equal(check_store(s), 1);
	shelf_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(what_is_needed_stays),
		site_test(asking_keeps_a_blob),
		site_test(asking_at_once_keeps_a_blob),
		site_test(each_repository_for_itself),
		site_test(quota_is_given_back),
		site_test(strays_go),
		site_test(untagged_manifests),
		site_test(many_blobs),
		site_test(gc_beside_pushes),
		site_test(gc_with_grace_disturbs_nobody),
		site_test(who_is_told_is_told_the_truth),
		site_test(writers_of_one_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
