/* SPDX-License-Identifier: Apache-2.0
 *
 * Indexes from one memory to another: what is kept, what is rewritten and what is said;
 * holes, nesting, hostile graphs (M-12), artifacts, referrers; memory that runs out.
 */
#include "ops_box.h"
#include "torture.h"

#include "base/limits.h"
#include "base/mem.h"
#include "ops/copy_priv.h"

/* A source and a destination. Documents are kept as text, in the box's arena. */
struct world {
	struct box *b;
	struct store *from, *to;
	struct dest *fill; /* of from */
};

/* A document that was put: its text, and how an index lists it. */
struct doc {
	const char *text, *entry, *digest;
};

static void put_manifest(struct world *w, const char *text, const char *tag)
{
	struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	cleanup_manifest struct manifest *m = NULL;
	dray_error *err = NULL;

	assert_ok(buf_add_str(&raw, text, &err), err);
	assert_ok(manifest_parse(&raw, NULL, &m, &err), err);
	assert_ok(dest_put_manifest(w->fill, m, tag, &err), err);
}

static void put_blob(struct world *w, struct span bytes)
{
	struct descriptor desc = { .size = (int64_t)bytes.len };
	dray_error *err = NULL;

	assert_int_equal(digest_of(bytes, &desc.digest, NULL), 0);
	assert_ok(dest_put_bytes(w->fill, &desc, bytes, &err), err);
}

static struct doc doc_of(struct world *w, const char *type, const char *text, const char *members)
{
	struct box *b = w->b;
	struct doc d = { .text = text, .digest = box_digest(b, text) };

	d.entry = arena_printf(&b->arena, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s}",
			       type, d.digest, strlen(text), members);
	return d;
}

/* An image for linux/ARCH with one layer. @p here: its manifest too, else it is a hole. */
static struct doc image(struct world *w, const char *arch, bool here)
{
	struct box *b = w->b;
	struct piece *p = box_piece(b, arch, ENCODING_GZIP);
	const char *config = arena_printf(&b->arena,
					  "{\"architecture\":\"%s\",\"os\":\"linux\",\"rootfs\":{"
					  "\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
					  arch, p->diff_id.text);
	const char *text = box_manifest(b, false, "", config, &p, 1);

	put_blob(w, span_buf(&p->stored));
	put_blob(w, span_str(config));
	if (here)
		put_manifest(w, text, NULL);
	return doc_of(w, MT_OCI_MANIFEST, text,
		      arena_printf(&b->arena,
				   ",\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}",
				   arch));
}

/* @p more: further members of its entry; @p subject as a descriptor, or NULL. */
static struct doc artifact(struct world *w, const char *what, const char *subject, const char *more)
{
	struct box *b = w->b;
	const char *text;

	put_blob(w, span_str("{}"));
	put_blob(w, span_str(what));
	text = arena_printf(&b->arena,
			    "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_MANIFEST
			    "\",\"artifactType\":\"text/x\",\"config\":%s,\"layers\":[%s]%s%s}",
			    box_descriptor(b, MT_OCI_EMPTY, box_digest(b, "{}"), 2),
			    box_descriptor(b, "text/x", box_digest(b, what), strlen(what)),
			    subject ? ",\"subject\":" : "", subject ? subject : "");
	put_manifest(w, text, NULL);
	return doc_of(w, MT_OCI_MANIFEST, text, more);
}

static struct doc attestation(struct world *w, const struct doc *about)
{
	return artifact(w, about->digest, NULL,
			arena_printf(&w->b->arena,
				     ",\"annotations\":{\"vnd.docker.reference.type\":"
				     "\"attestation-manifest\","
				     "\"vnd.docker.reference.digest\":\"%s\"}",
				     about->digest));
}

static struct doc index_of(struct world *w, const char *entries, const char *members,
			   const char *tag)
{
	const char *text = arena_printf(&w->b->arena,
					"{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX
					"\",\"manifests\":[%s]%s}",
					entries, members);

	put_manifest(w, text, tag);
	return doc_of(w, MT_OCI_INDEX, text, "");
}

static const char *join(struct world *w, const struct doc *d, size_t n)
{
	const char *text = "";

	for (size_t i = 0; i < n; i++)
		text = arena_printf(&w->b->arena, "%s%s%s", text, i ? "," : "", d[i].entry);
	return text;
}

static struct world begin(struct box *b)
{
	dray_error *err = NULL;
	struct world w = { .b = b, .from = store_memory_new(&err), .to = store_memory_new(&err) };

	assert_non_null(w.from);
	assert_non_null(w.to);
	w.fill = dest_memory(w.from, &err);
	assert_non_null(w.fill);
	return w;
}

/* The source is complete. */
static void filled(struct world *w)
{
	dray_error *err = NULL;

	assert_ok(dest_finish(w->fill, &err), err);
}

static void end(struct world *w)
{
	dest_free(w->fill);
	store_free(w->from);
	store_free(w->to);
}

/* ---- copying ---- */

struct outcome {
	struct arena arena;
	struct dray_copied told;
	size_t n_referrers;
};

static void outcome_clear(struct outcome *o)
{
	arena_clear(&o->arena);
}
#define cleanup_outcome CLEANUP(outcome_clear)

static int copy_chosen(struct copy *c, const struct selector *sel, struct image **images, size_t n,
		       struct outcome *ret, dray_error **err)
{
	static const char *const tags[] = { "new" };
	const struct root root = { images, n, images[0]->root };
	size_t referrers = 0;

	if ((digest_set(&root.index)
		     ? copy_index(c, &root, sel, tags, 1, &ret->arena, &ret->told, err)
		     : copy_image(c, images[0], tags, 1, &ret->arena, &ret->told, err)) < 0)
		return -1;
	if (copy_referrers(c, &ret->arena, &referrers, err) < 0)
		return -1;
	ret->n_referrers = referrers;
	return dest_finish(c->target->dest, err);
}

/* What "multi" names from one memory to the other. @p platforms: "amd64", "arm64", NULL. */
static int copy(struct world *w, const struct dray_copy_options *o, const char *const *platforms,
		struct outcome *ret, dray_error **err)
{
	struct platform want[4] = { 0 };
	struct selector sel = { .ref = "multi", .whole = true };
	struct target target = { .dest = dest_memory(w->to, err) };
	struct copy c = { .ctx = w->b->ctx, .store = w->from, .target = &target };
	struct image **images = NULL;
	size_t n = 0;
	int rc = -1;

	for (size_t i = 0; platforms && platforms[i]; i++, sel.n_more = i - 1)
		want[i] = (struct platform){ .os = "linux", .arch = platforms[i] };
	sel.all_platforms = !platforms;
	sel.platform = want[0];
	sel.more = &want[1];
	if (target.dest && wishes_parse(o, &c.wishes, err) == 0 &&
	    store_images(w->from, &sel, &images, &n, err) == 0)
		rc = copy_chosen(&c, &sel, images, n, ret, err);
	images_free(images, n);
	dest_free(target.dest);
	mem_free(c.kept);
	arena_clear(&c.arena);
	map_clear(&c.passed);
	return rc;
}

/* Does the destination have a document or blob with this digest? */
static bool arrived(struct world *w, const char *digest)
{
	dray_error *err = NULL;
	cleanup_dest struct dest *d = dest_memory(w->to, &err);
	struct descriptor desc = { .size = -1 };

	assert_non_null(d);
	assert_int_equal(digest_parse(span_str(digest), &desc.digest, NULL), 0);
	return dest_has_blob(d, &desc, &err) == 1;
}

static struct manifest *index_there(struct world *w, const char *digest)
{
	struct manifest *m = NULL;
	struct digest d;
	dray_error *err = NULL;

	assert_int_equal(digest_parse(span_str(digest), &d, NULL), 0);
	assert_ok(store_index(w->to, &d, &m, &err), err);
	return m;
}

static bool lists(const struct manifest *m, const char *digest)
{
	for (size_t i = 0; i < m->n_entries; i++)
		if (strcmp(m->entries[i].digest.text, digest) == 0)
			return true;
	return false;
}

static bool said(const struct dray_copied *c, const char *part)
{
	for (size_t i = 0; i < c->n_changes; i++)
		if (strstr(c->changes[i], part))
			return true;
	return false;
}

#define PLAIN ((struct dray_copy_options)DRAY_COPY_OPTIONS_INIT)

/* Three images with an attestation each, and an artifact; all but the holes of @p here. */
struct multi {
	struct doc images[3], extra[4], index;
};

static struct multi three(struct world *w, const char *here)
{
	static const char *const arch[] = { "amd64", "arm64", "s390x" };
	struct multi m;

	for (size_t i = 0; i < 3; i++) {
		m.images[i] = image(w, arch[i], here[i] == '1');
		m.extra[i] = attestation(w, &m.images[i]);
	}
	m.extra[3] = artifact(w, "a chart", NULL, "");
	m.index = index_of(
		w, arena_printf(&w->b->arena, "%s,%s", join(w, m.extra, 4), join(w, m.images, 3)),
		",\"annotations\":{\"of\":\"somebody\"}", "multi");
	filled(w);
	return m;
}

static void whole(void **state)
{
	struct world w = begin(*state);
	struct multi m = three(&w, "111");
	cleanup_outcome struct outcome o = { 0 };
	dray_error *err = NULL;

	assert_ok(copy(&w, &PLAIN, NULL, &o, &err), err);
	assert_string_equal(o.told.manifest_digest, m.index.digest);
	assert_string_equal(o.told.kind, "index");
	assert_null(o.told.image_id);
	assert_int_equal(o.told.n_changes, 0);
	assert_int_equal(o.told.n_manifests, 7);
	for (size_t i = 0; i < 3; i++)
		assert_true(arrived(&w, m.images[i].digest));
	for (size_t i = 0; i < 4; i++)
		assert_true(arrived(&w, m.extra[i].digest));
	end(&w);
}

static void subset(void **state)
{
	static const char *const two[] = { "s390x", "amd64", NULL };
	static const char *const unknown[] = { "amd64", "mips", NULL };
	struct world w = begin(*state);
	struct multi m = three(&w, "111");
	cleanup_outcome struct outcome o = { 0 };
	dray_error *err = NULL;

	assert_int_equal(copy(&w, &PLAIN, unknown, &o, &err), -1);
	assert_err_kind(err, DRAY_ERR_NOT_FOUND);
	err = NULL;
	assert_ok(copy(&w, &PLAIN, two, &o, &err), err);
	assert_true(said(&o.told, "index rewritten: 3 of 4 images copied"));
	cleanup_manifest struct manifest *got = index_there(&w, o.told.manifest_digest);
	/* 2 images, their attestations, the artifact, which has no platform */
	assert_int_equal(got->n_entries, 5);
	assert_false(lists(got, m.images[1].digest));
	assert_false(arrived(&w, m.images[1].digest));
	assert_false(arrived(&w, m.extra[1].digest));
	assert_true(lists(got, m.extra[2].digest) && arrived(&w, m.extra[2].digest));
	assert_non_null(memmem(got->raw.data, got->raw.len, "\"of\":\"somebody\"", 15));
	end(&w);
}

static void holes(void **state)
{
	static const struct {
		const char *how;
		size_t entries;
		bool same;
	} rows[] = { { NULL, 5, false }, { "drop", 5, false }, { "keep", 7, true } };
	struct box *b = *state;

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct world w = begin(b);
		struct multi m = three(&w, "101");
		cleanup_outcome struct outcome o = { 0 };
		struct dray_copy_options how = PLAIN;
		dray_error *err = NULL;

		how.holes = rows[i].how;
		assert_ok(copy(&w, &how, NULL, &o, &err), err);
		cleanup_manifest struct manifest *got = index_there(&w, o.told.manifest_digest);
		assert_int_equal(got->n_entries, rows[i].entries);
		assert_int_equal(strcmp(got->digest.text, m.index.digest) == 0, rows[i].same);
		/* named, by platform and digest */
		assert_true(said(&o.told, "linux/arm64") && said(&o.told, m.images[1].digest));
		end(&w);
	}
}

static void holes_fail(void **state)
{
	struct world w = begin(*state);
	struct multi m = three(&w, "101");
	cleanup_outcome struct outcome o = { 0 };
	struct dray_copy_options how = PLAIN;
	dray_error *err = NULL;

	how.holes = "fail";
	assert_int_equal(copy(&w, &how, NULL, &o, &err), -1);
	assert_non_null(strstr(dray_error_message(err), m.images[1].digest));
	assert_err_kind(err, DRAY_ERR_NOT_FOUND);
	assert_false(arrived(&w, m.images[0].digest));
	end(&w);
}

static void only_holes(void **state)
{
	struct world w = begin(*state);
	struct doc lost = image(&w, "amd64", false);
	cleanup_outcome struct outcome o = { 0 };
	dray_error *err = NULL;

	index_of(&w, lost.entry, "", "multi");
	filled(&w);
	assert_int_equal(copy(&w, &PLAIN, NULL, &o, &err), -1);
	assert_err_kind(err, DRAY_ERR_NOT_FOUND);
	end(&w);
}

/* A hole in an inner index changes the digests of all indexes above it. */
static void nested(void **state)
{
	struct world w = begin(*state);
	struct doc inner[] = { image(&w, "amd64", true), image(&w, "arm64", false) };
	struct doc outer[2];
	cleanup_outcome struct outcome o = { 0 };
	dray_error *err = NULL;

	outer[0] = index_of(&w, join(&w, inner, 2), "", NULL);
	outer[1] = image(&w, "s390x", true);
	index_of(&w, join(&w, outer, 2), "", "multi");
	filled(&w);
	assert_ok(copy(&w, &PLAIN, NULL, &o, &err), err);
	cleanup_manifest struct manifest *got = index_there(&w, o.told.manifest_digest);
	assert_int_equal(got->n_entries, 2);
	assert_true(lists(got, outer[1].digest));
	assert_false(lists(got, outer[0].digest));
	cleanup_manifest struct manifest *below = index_there(&w, got->entries[0].digest.text);
	assert_int_equal(below->n_entries, 1);
	assert_true(lists(below, inner[0].digest));
	assert_int_equal(got->entries[0].size, below->raw.len);
	end(&w);
}

static void converted(void **state)
{
	struct world w = begin(*state);
	struct multi m = three(&w, "111");
	cleanup_outcome struct outcome o = { 0 };
	struct dray_copy_options how = PLAIN;
	dray_error *err = NULL;

	how.compression = "zstd";
	assert_ok(copy(&w, &how, NULL, &o, &err), err);
	assert_true(said(&o.told, "recompressed as asked"));
	assert_true(said(&o.told, "3 converted; 3 attestations of converted images left out"));
	cleanup_manifest struct manifest *got = index_there(&w, o.told.manifest_digest);
	assert_int_equal(got->n_entries, 4);
	assert_true(lists(got, m.extra[3].digest)); /* an artifact is nobody's layers */
	for (size_t i = 0; i < 3; i++)
		assert_false(lists(got, m.images[i].digest));
	end(&w);
}

static void other_family(void **state)
{
	struct world w = begin(*state);
	struct doc d = image(&w, "amd64", true);
	cleanup_outcome struct outcome o = { 0 };
	struct dray_copy_options how = PLAIN;
	dray_error *err = NULL;

	index_of(&w, d.entry, "", "multi");
	filled(&w);
	how.format = "docker";
	assert_ok(copy(&w, &how, NULL, &o, &err), err);
	cleanup_manifest struct manifest *got = index_there(&w, o.told.manifest_digest);
	assert_string_equal(got->media_type, MT_DOCKER_LIST);
	assert_string_equal(got->entries[0].media_type, MT_DOCKER_MANIFEST);
	end(&w);
}

/* ---- graphs that somebody made to hurt (M-12) ---- */

static void one_child_many_times(void **state)
{
	struct world w = begin(*state);
	struct doc d = image(&w, "amd64", true);
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	cleanup_outcome struct outcome o = { 0 };
	dray_error *err = NULL;

	for (size_t i = 0; i < LIMIT_INDEX_ENTRIES; i++)
		assert_ok(buf_printf(&text, &err, "%s%s", i ? "," : "", d.entry), err);
	struct doc index = index_of(&w, arena_strndup(&w.b->arena, (char *)text.data, text.len), "",
				    "multi");
	filled(&w);
	assert_ok(copy(&w, &PLAIN, NULL, &o, &err), err);
	assert_string_equal(o.told.manifest_digest, index.digest);
	assert_int_equal(o.told.n_manifests, 1);
	end(&w);
}

/* Indexes around one image; each level lists the one below twice, which makes 2^N paths. */
static void depth(void **state)
{
	for (size_t levels = LIMIT_INDEX_DEPTH + 1; levels <= LIMIT_INDEX_DEPTH + 2; levels++) {
		struct world w = begin(*state);
		struct doc d = image(&w, "amd64", true);
		cleanup_outcome struct outcome o = { 0 };
		dray_error *err = NULL;

		for (size_t i = 0; i < levels; i++) {
			const struct doc twice[] = { d, d };

			d = index_of(&w, join(&w, twice, 2), "", i + 1 == levels ? "multi" : NULL);
		}
		filled(&w);
		int rc = copy(&w, &PLAIN, NULL, &o, &err);
		if (levels <= LIMIT_INDEX_DEPTH + 1) {
			assert_ok(rc, err);
			assert_string_equal(o.told.manifest_digest, d.digest);
		} else {
			assert_int_equal(rc, -1);
			assert_err_kind(err, DRAY_ERR_LIMIT);
		}
		end(&w);
	}
}

/* ---- artifacts and referrers ---- */

static void artifact_alone(void **state)
{
	struct world w = begin(*state);
	struct doc d = artifact(&w, "a chart", NULL, "");
	cleanup_outcome struct outcome o = { 0 };
	struct dray_copy_options how = PLAIN;
	dray_error *err = NULL;

	put_manifest(&w, d.text, "multi");
	filled(&w);
	how.compression = "gzip"; /* nothing in it is a layer */
	how.format = "docker";
	assert_ok(copy(&w, &how, NULL, &o, &err), err);
	assert_string_equal(o.told.manifest_digest, d.digest);
	assert_string_equal(o.told.kind, "artifact");
	assert_null(o.told.image_id);
	assert_true(arrived(&w, box_digest(w.b, "a chart")));
	end(&w);
}

static const char *tag_of(struct world *w, const struct doc *d, const char *kind)
{
	return arena_printf(&w->b->arena, "sha256-%s.%s", strchr(d->digest, ':') + 1, kind);
}

static void referrers(void **state)
{
	for (int asked = 0; asked < 2; asked++) {
		struct world w = begin(*state);
		struct doc im = image(&w, "amd64", true);
		struct doc index = index_of(&w, im.entry, "", "multi");
		struct doc about_index = artifact(&w, "sbom", index.entry, "");
		struct doc about_image = artifact(&w, "signature", im.entry, "");
		struct doc about_sbom = artifact(&w, "signature of sbom", about_index.entry, "");
		struct doc cosign = artifact(&w, "cosign", NULL, "");
		struct doc stranger = artifact(&w, "other", about_image.entry, "");
		struct doc nobody = artifact(&w, "of nobody", NULL, "");
		cleanup_outcome struct outcome o = { 0 };
		struct dray_copy_options how = PLAIN;
		dray_error *err = NULL;

		put_manifest(&w, cosign.text, tag_of(&w, &index, "sig"));
		/* an index that refers brings what it lists */
		struct doc group = index_of(&w, nobody.entry,
					    arena_printf(&w.b->arena, ",\"subject\":%s", im.entry),
					    NULL);
		filled(&w);
		how.referrers = asked;
		assert_ok(copy(&w, &how, NULL, &o, &err), err);
		assert_int_equal(o.n_referrers, asked ? 6 : 0);
		const struct doc *all[] = { &about_index, &about_image, &about_sbom, &cosign,
					    &stranger,	  &group,	&nobody };
		for (size_t i = 0; i < ROWS(all); i++)
			if (arrived(&w, all[i]->digest) != !!asked)
				fail_msg("%zu is %d", i, !asked);
		end(&w);
	}
}

/* A converted image is not what they speak of. */
static void referrers_of_converted(void **state)
{
	struct world w = begin(*state);
	struct doc im = image(&w, "amd64", true);
	struct doc about = artifact(&w, "signature", im.entry, "");
	cleanup_outcome struct outcome o = { 0 };
	struct dray_copy_options how = PLAIN;
	dray_error *err = NULL;

	put_manifest(&w, im.text, "multi");
	filled(&w);
	how.referrers = true;
	how.compression = "zstd";
	assert_ok(copy(&w, &how, NULL, &o, &err), err);
	assert_int_equal(o.n_referrers, 0);
	assert_false(arrived(&w, about.digest));
	end(&w);
}

static void referrers_bounded(void **state)
{
	for (size_t n = LIMIT_INDEX_DEPTH; n <= LIMIT_INDEX_DEPTH + 1; n++) {
		struct world w = begin(*state);
		struct doc d = image(&w, "amd64", true);
		cleanup_outcome struct outcome o = { 0 };
		struct dray_copy_options how = PLAIN;
		dray_error *err = NULL;

		put_manifest(&w, d.text, "multi");
		for (size_t i = 0; i < n; i++)
			d = artifact(&w, "again", d.entry, "");
		filled(&w);
		how.referrers = true;
		int rc = copy(&w, &how, NULL, &o, &err);
		if (n <= LIMIT_INDEX_DEPTH) {
			assert_ok(rc, err);
			assert_int_equal(o.n_referrers, n);
		} else {
			assert_int_equal(rc, -1);
			assert_err_kind(err, DRAY_ERR_LIMIT);
		}
		end(&w);
	}
}

/* ---- memory runs out ---- */

struct ordeal {
	struct world w;
	struct dray_copy_options o;
	char told[DIGEST_TEXT]; /* the digest that arrived */
};

static int copy_again(void *arg, dray_error **err)
{
	struct ordeal *t = arg;
	cleanup_outcome struct outcome o = { 0 };
	int rc;

	store_free(t->w.to);
	t->w.to = store_memory_new(err);
	rc = t->w.to ? copy(&t->w, &t->o, NULL, &o, err) : -1;
	if (rc == 0)
		snprintf(t->told, sizeof(t->told), "%s", o.told.manifest_digest);
	return rc;
}

static void torture(void **state)
{
	struct world w = begin(*state);
	struct doc im[] = { image(&w, "amd64", true), image(&w, "arm64", false) };
	struct doc both[] = { im[0], im[1], attestation(&w, &im[0]) };

	index_of(&w, join(&w, both, 3), "", "multi");
	artifact(&w, "signature", im[0].entry, "");
	filled(&w);
	struct ordeal t = { .w = w, .o = PLAIN };
	char want[DIGEST_TEXT] = "";
	bool reached = true;

	t.o.referrers = true;
	/* A text that nobody asked for may get lost; what is copied may not. */
	for (uint64_t nth = 1; reached && nth < TORTURE_ROUNDS; nth++) {
		dray_error *err = NULL;
		int rc;

		if (nth == 1) {
			assert_ok(copy_again(&t, &err), err);
			memcpy(want, t.told, sizeof(want));
		}
		reached = torture_once(FAULT_ALLOC, nth, 0, copy_again, &t, &rc, &err);
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
		else
			assert_string_equal(t.told, want);
	}
	assert_false(reached);
	end(&t.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(whole),
		box_test(subset),
		box_test(holes),
		box_test(holes_fail),
		box_test(only_holes),
		box_test(nested),
		box_test(converted),
		box_test(other_family),
		box_test(one_child_many_times),
		box_test(depth),
		box_test(artifact_alone),
		box_test(referrers),
		box_test(referrers_of_converted),
		box_test(referrers_bounded),
		box_test(torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
