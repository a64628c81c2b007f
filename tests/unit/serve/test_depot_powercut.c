/* SPDX-License-Identifier: Apache-2.0
 *
 * A registry's life is recorded, call by call, and the power cut at each: from every disk that may
 * then be there (disk_record.h) the folder opens, with all that was acknowledged, byte for byte.
 */
#include "depot_support.h"

#include "disk_record.h"
#include "serve/depot_priv.h"

#define REPOS 2
#define TAGS 2
#define IMAGES 4      /* a config that they share, a layer each */
#define LAYER 3000    /* bytes: some sectors */
#define CHECKPOINT 24 /* pages: the log is written over and over, in so short a life too */
#define WAYS 6	      /* that the unsynced may go: fate() */
#define FIRST 40      /* calls, in which the folder is made */
#define VALGRIND_STEP 61

/* ---- what is pushed ---- */

static char layers[IMAGES][LAYER];
static const char *const repos[REPOS] = { "a", "b/c" };
static const char *const tags[TAGS] = { "v1", "v2" };

static void make_layers(void)
{
	for (int i = 0; i < IMAGES; i++) {
		memset(layers[i], 'a' + i, LAYER - 1);
		layers[i][LAYER - 1] = 0;
	}
}

/* A blob's content: the config, or a layer. */
static const char *text_of(int blob)
{
	return blob == IMAGES ? "{}" : layers[blob];
}

static struct digest manifest_digest(int image)
{
	char *text = manifest_of("{}", layers[image], "");
	struct digest d = digest_text_of(text);

	free(text);
	return d;
}

/* What clients were told. */
struct world {
	int tag[REPOS][TAGS]; /* an image; -1 = there is none */
	bool manifest[REPOS][IMAGES];
	bool blob[REPOS][IMAGES + 1]; /* has to be there; else it may */
};

/* ---- a life ---- */

enum deed { PUSH, PUT, MOUNT, UNTAG, DROP, DROP_BLOB, HALF, GC, GC_UNTAGGED, REOPEN };

struct step {
	enum deed deed;
	int repo, tag, image; /* of PUSH, MOUNT and DROP_BLOB a blob */
};

#define CONFIG IMAGES
static const struct step LIFE[] = {
	{ PUSH, 0, 0, CONFIG },	  { PUSH, 0, 0, 0 },   { PUT, 0, 0, 0 },
	{ PUSH, 0, 0, 1 },	  { PUT, 0, 1, 1 },    { PUT, 0, 0, 1 }, /* a tag moves */
	{ HALF, 0, 0, 2 },	  { MOUNT, 1, 0, 1 },  { MOUNT, 1, 0, CONFIG },
	{ PUT, 1, 0, 1 },	  { DROP, 0, 0, 0 },   { GC, 0, 0, 0 },
	{ PUSH, 0, 0, 0 }, /* what has just gone */
	{ PUT, 0, 0, 0 },	  { REOPEN, 0, 0, 0 }, { UNTAG, 0, 1, 0 },
	{ PUSH, 1, 0, 2 },	  { PUT, 1, 1, 2 },    { DROP, 1, 0, 1 },
	{ DROP_BLOB, 1, 0, 1 },	  { PUSH, 1, 0, 3 },   { DROP_BLOB, 1, 0, 3 },
	{ GC_UNTAGGED, 0, 0, 0 }, { PUSH, 1, 0, 3 },   { PUSH, 1, 0, 3 }, /* over itself */
	{ PUT, 1, 0, 3 },	  { REOPEN, 0, 0, 0 }, { DROP, 1, 0, 2 },
	{ PUSH, 0, 0, 2 },	  { GC, 0, 0, 0 },     { PUSH, 0, 0, 2 },
	{ PUT, 0, 1, 2 },	  { UNTAG, 0, 0, 0 },  { GC_UNTAGGED, 0, 0, 0 },
};
#define STEPS ROWS(LIFE)

static struct world worlds[STEPS + 1]; /* after so many acknowledgements */

static struct shelf *life_open(const struct site *t)
{
	struct shelf *s = site_open(t);
	dray_error *err = NULL;
	char *sql = NULL;

	assert_true(asprintf(&sql, "PRAGMA wal_autocheckpoint=%d", CHECKPOINT) > 0);
	assert_ok(db_exec(depot_of(s)->writer.db, sql, &err), err);
	free(sql);
	return s;
}

/* An upload that goes no further. */
static int push_half(struct shelf *s, const char *repo, const char *text, dray_error **err)
{
	struct shelf_upload *u;
	char id[SHELF_UPLOAD_ID];

	if (s->write->begin(s, repo, id, err) < 0 || s->write->open(s, repo, id, 0, &u, err) < 0 ||
	    s->write->append(s, u, span_str(text), err) < 0)
		return -1;
	s->write->close(s, u);
	return 0;
}

static int collect(struct shelf *s, bool untagged, dray_error **err)
{
	const struct depot_gc gc = { .grace = 0, .untagged = untagged };
	struct depot_collected got;

	return depot_collect(s, &gc, &got, err);
}

static int act(const struct site *t, struct shelf **s, const struct step *p, dray_error **err)
{
	const struct shelf_write_ops *w = (*s)->write;
	const char *repo = repos[p->repo], *text = text_of(p->image);
	const struct digest d = digest_text_of(text);
	struct shelf_ref ref = { .tag = tags[p->tag] };

	switch (p->deed) {
	case PUSH:
		return push_blob(*s, repo, text, err);
	case PUT:
		return put_image(*s, repo, tags[p->tag], "{}", text, err);
	case MOUNT:
		return w->mount(*s, repo, &d, repos[!p->repo], err) == 1 ? 0 : -1;
	case UNTAG:
		return w->remove(*s, repo, &ref, err);
	case DROP:
		ref = (struct shelf_ref){ .digest = manifest_digest(p->image) };
		return w->remove(*s, repo, &ref, err);
	case DROP_BLOB:
		return w->remove_blob(*s, repo, &d, err);
	case HALF:
		return push_half(*s, repo, text, err);
	case REOPEN:
		shelf_free(*s);
		*s = life_open(t);
		return 0;
	default:
		return collect(*s, p->deed == GC_UNTAGGED, err);
	}
}

/* ---- what that makes of the world ---- */

static bool is_tagged(const struct world *w, int repo, int image)
{
	for (int t = 0; t < TAGS; t++)
		if (w->tag[repo][t] == image)
			return true;
	return false;
}

static void forget_manifest(struct world *w, int repo, int image)
{
	w->manifest[repo][image] = false;
	for (int t = 0; t < TAGS; t++)
		if (w->tag[repo][t] == image)
			w->tag[repo][t] = -1;
}

static void forget_loose(struct world *w, bool untagged)
{
	for (int r = 0; r < REPOS; r++) {
		w->blob[r][CONFIG] = false;
		for (int i = 0; i < IMAGES; i++) {
			w->manifest[r][i] &= !untagged || is_tagged(w, r, i);
			w->blob[r][i] = w->manifest[r][i];
			w->blob[r][CONFIG] |= w->manifest[r][i];
		}
	}
}

static void change(struct world *w, const struct step *p)
{
	switch (p->deed) {
	case PUSH:
	case MOUNT:
		w->blob[p->repo][p->image] = true;
		break;
	case PUT:
		w->manifest[p->repo][p->image] = true;
		w->tag[p->repo][p->tag] = p->image;
		break;
	case UNTAG:
		w->tag[p->repo][p->tag] = -1;
		break;
	case DROP:
		forget_manifest(w, p->repo, p->image);
		break;
	case DROP_BLOB:
		w->blob[p->repo][p->image] = false;
		break;
	case GC:
	case GC_UNTAGGED:
		forget_loose(w, p->deed == GC_UNTAGGED);
		break;
	default:
		break;
	}
}

static void live(const struct site *t)
{
	struct shelf *s;
	dray_error *err = NULL;
	struct world w = { 0 };

	for (int r = 0; r < REPOS; r++)
		for (int i = 0; i < TAGS; i++)
			w.tag[r][i] = -1;
	worlds[0] = w;
	disk_record(t->dir);
	s = life_open(t);
	for (size_t i = 0; i < STEPS; i++) {
		if (act(t, &s, &LIFE[i], &err) < 0)
			fail_msg("step %zu: %s", i, err ? dray_error_message(err) : "refused");
		change(&w, &LIFE[i]);
		disk_acknowledge();
		worlds[i + 1] = w;
	}
	shelf_free(s);
	disk_record_end();
	site_wipe(t);
	print_message("%zu calls, %zu steps\n", disk_ops(), STEPS);
}

/* ---- the power is cut ---- */

struct cut {
	size_t n;      /* calls that were made */
	unsigned seed; /* 0 = all that was not synced is lost */
};

static unsigned mix(size_t a, size_t b)
{
	uint64_t x = (a * 1000003 + b) * 0x9e3779b97f4a7c15ULL;

	return (unsigned)((x ^ x >> 29) * 0xbf58476d1ce4e5b9ULL >> 40);
}

/* Names without bytes, bytes without names, and every mixture. */
static enum disk_fate fate(void *arg, const struct disk_op *op)
{
	const struct cut *c = arg;
	unsigned chance = mix(c->seed, (size_t)(op - disk_op(0)));
	bool name = op->kind == DISK_NAME;

	if (!c->seed)
		return DISK_LOST;
	switch (c->seed % WAYS) {
	case 0:
		return name || op->kind == DISK_SIZE ? DISK_KEPT : DISK_LOST;
	case 1:
		return name ? DISK_KEPT : DISK_ZEROED;
	case 2:
		return name ? DISK_LOST : DISK_KEPT;
	case 3:
		return chance % 2 ? DISK_KEPT : DISK_LOST;
	case 4:
		return chance % 8 ? DISK_KEPT : DISK_LOST;
	default:
		return name ? chance % 2 : (enum disk_fate)(chance % 4);
	}
}

static const struct cut *at_hand;

static void cut_fail(const char *what, const char *name)
{
	fail_msg("cut behind call %zu of %zu, seed %u: %s %s", at_hand->n, disk_ops(),
		 at_hand->seed, what, name);
}

/* ---- what is there then ---- */

/* 1, 0 = the repository has no such blob. */
static bool blob_is_there(struct shelf *s, const char *repo, const char *text)
{
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	const struct digest d = digest_text_of(text);
	char got[LAYER + 1];

	if (s->ops->blob(s, repo, &d, true, &b, NULL) < 0)
		return false;
	if (pread(b.fd, got, sizeof(got), b.off) != (ssize_t)strlen(text) ||
	    memcmp(got, text, strlen(text)) != 0)
		cut_fail("other bytes in", d.text);
	return true;
}

static bool manifest_is_there(struct shelf *s, const char *repo, const struct shelf_ref *ref,
			      struct digest *ret)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };

	if (s->ops->manifest(s, repo, ref, true, &doc, NULL) < 0)
		return false;
	*ret = doc.digest;
	return true;
}

/* The image that a tag names; -1. */
static int image_of(struct shelf *s, const char *repo, const char *tag)
{
	struct digest got;

	if (!manifest_is_there(s, repo, &(struct shelf_ref){ .tag = tag }, &got))
		return -1;
	for (int i = 0; i < IMAGES; i++) {
		const struct digest d = manifest_digest(i);

		if (digest_eq(&got, &d))
			return i;
	}
	cut_fail("no image of ours is", tag);
	return -1;
}

/* Either is right: what was under way has happened or has not. */
static void check_repo(struct shelf *s, int r, const struct world *a, const struct world *b)
{
	for (int t = 0; t < TAGS; t++) {
		int got = image_of(s, repos[r], tags[t]);

		if (got != a->tag[r][t] && got != b->tag[r][t])
			cut_fail("a tag is not as it was told:", tags[t]);
	}
	for (int i = 0; i < IMAGES; i++) {
		const struct shelf_ref ref = { .digest = manifest_digest(i) };
		struct digest d;
		bool got = manifest_is_there(s, repos[r], &ref, &d);

		if (got != a->manifest[r][i] && got != b->manifest[r][i])
			cut_fail("a manifest is not as it was told:", ref.digest.text);
	}
	for (int i = 0; i <= IMAGES; i++)
		if (!blob_is_there(s, repos[r], text_of(i)) && a->blob[r][i] && b->blob[r][i])
			cut_fail("a blob is lost:", repos[r]);
}

static size_t told(size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += disk_op(i)->kind == DISK_ACK;
	return count;
}

/* The registry goes on from there. */
static void go_on(struct shelf *s)
{
	dray_error *err = NULL;

	assert_ok(collect(s, false, &err), err);
	check_store(s);
	assert_ok(push_image(s, "a", "v1", "{}", layers[0], &err), err);
	check_store(s);
}

static void check_cut(const struct site *t, size_t n, unsigned seed)
{
	struct cut c = { .n = n, .seed = seed };
	size_t k = told(n);
	struct shelf *s = NULL;
	dray_error *err = NULL;

	at_hand = &c;
	disk_make(t->fd, n, fate, &c);
	if (site_try(t, (struct depot_options){ 0 }, &s, &err) < 0)
		cut_fail("it does not open:", dray_error_message(err));
	for (int r = 0; r < REPOS; r++)
		check_repo(s, r, &worlds[k], &worlds[k < STEPS ? k + 1 : k]);
	check_store(s);
	if (n % 16 == 0)
		go_on(s);
	shelf_free(s);
	site_wipe(t);
}

static size_t stride(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload") ? VALGRIND_STEP : 1;
}

/* What is lost changes when something is synced, what was promised when somebody is told. */
static void only_what_was_synced_is_there(void **state)
{
	size_t cuts = 0;

	for (size_t n = 1; n <= disk_ops(); n++)
		if ((disk_op(n - 1)->kind == DISK_SYNC || disk_op(n - 1)->kind == DISK_ACK) &&
		    cuts++ % stride() == 0)
			check_cut(*state, n, 0);
	assert_true(cuts > 2 * STEPS);
}

static void any_of_the_rest_is_there(void **state)
{
	/* The folder's first moments have few calls: of these, every way. */
	for (size_t n = 1; n <= disk_ops(); n += stride())
		for (unsigned way = 0; way < (n < FIRST ? 2 * WAYS : 1); way++)
			check_cut(*state, n, WAYS * (1 + mix(n, way)) + (unsigned)(n + way) % WAYS);
}

static int setup(void **state)
{
	int rc;

	/* Where syncing costs nothing: the folder is opened a thousand times. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	rc = site_setup(state);
	make_layers();
	live(*state);
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_was_synced_is_there),
		cmocka_unit_test(any_of_the_rest_is_there),
	};

	return cmocka_run_group_tests(tests, setup, site_teardown);
}
