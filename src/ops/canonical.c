/* SPDX-License-Identifier: Apache-2.0
 *
 * For: one run of writing a canonical archive, to a stream or to a file.
 * Relies on: canonical_set.c for what, canonical_write.c for how.
 * Promises: a file appears whole and proven or not at all; facts only about what was written.
 */
#include "ops/canonical.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "ops/canonical_priv.h"

/* ---- a run ---- */

static int open_source(struct canonical_run *r, const char *ref, struct canonical_source *src,
		       dray_error **err)
{
	const struct place_options walk = { .on_member = canonical_passing, .arg = r };

	if (place_parse(ref, false, &src->place, err) < 0 ||
	    place_open(r->ctx, &src->place, &walk, &src->store, err) < 0)
		return -1;
	return canonical_choose(r, src, err);
}

int canonical_begin(struct canonical_run *r, dray_context *ctx, const char *const *refs, size_t n,
		    const struct canonical_wishes *w, dray_error **err)
{
	r->ctx = ctx;
	r->w = w;
	if (w->untagged && w->n_tags > 0)
		return err_set(err, DRAY_ERR_USAGE, "--untagged and --tag: one of both");
	if (spool_init(&r->spool, ctx->tmpdir, err) < 0)
		return -1;
	r->sources = arena_array(&r->arena, n, sizeof(*r->sources));
	if (!r->sources)
		return err_nomem(err);
	for (r->n_sources = 0; r->n_sources < n;) {
		struct canonical_source *src = &r->sources[r->n_sources++];

		if (open_source(r, refs[r->n_sources - 1], src, err) < 0)
			return -1;
	}
	if (canonical_give_names(r, err) < 0)
		return -1;
	r->held = arena_array(&r->arena, r->set.n_layers + 1, sizeof(*r->held));
	return r->held ? 0 : err_nomem(err);
}

void canonical_end(struct canonical_run *r)
{
	canonical_layout_clear(&r->layout);
	canonical_clear(&r->set);
	for (size_t i = 0; i < r->n_sources; i++) {
		images_free(r->sources[i].images, r->sources[i].n_images);
		store_free(r->sources[i].store);
		place_clear(&r->sources[i].place);
	}
	spool_clear(&r->spool);
	map_clear(&r->passed);
	arena_clear(&r->arena);
}

/* ---- facts ---- */

void canonical_facts_clear(struct canonical_facts *f)
{
	arena_clear(&f->arena);
	*f = (struct canonical_facts){ 0 };
}

static int fact_names(const struct canonical_image *im, struct arena *a,
		      struct dray_normalized *ret, dray_error **err)
{
	const char **names = arena_array(a, im->n_names + 1, sizeof(*names));

	if (!names)
		return err_nomem(err);
	for (size_t i = 0; i < im->n_names; i++) {
		names[i] = arena_strdup(a, im->names[i]);
		if (!names[i])
			return err_nomem(err);
	}
	ret->names = names;
	ret->n_names = im->n_names;
	return 0;
}

/* @path NULL: it has none. */
static int fill_facts(const struct canonical_run *r, const char *path, struct canonical_facts *ret,
		      dray_error **err)
{
	ret->size = r->layout.size;
	ret->spooled = r->spool.bytes;
	ret->layers = (int64_t)r->set.n_layers;
	for (size_t i = 0; i < r->set.n_layers; i++)
		ret->layer_bytes += r->set.layers[i]->size;
	ret->images = arena_array(&ret->arena, r->set.n_images, sizeof(*ret->images));
	if (!ret->images)
		return err_nomem(err);
	ret->n_images = r->set.n_images;
	for (size_t i = 0; i < ret->n_images; i++) {
		const struct canonical_image *im = r->set.images[i];
		struct dray_normalized *f = &ret->images[i];

		f->image_id = arena_strdup(&ret->arena, im->config->digest.text);
		f->manifest_digest = arena_strdup(&ret->arena, im->manifest_digest.text);
		f->reference = path ? arena_printf(&ret->arena, "%s@%s", path,
						   im->config->digest.text)
				    : NULL;
		if (!f->image_id || !f->manifest_digest || (path && !f->reference))
			return err_nomem(err);
		if (fact_names(im, &ret->arena, f, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- to a stream ---- */

/* What goes to the other sink, hashed. */
struct hashing {
	struct sink base;
	struct sink *to;
	struct hash *hash;
};

static int hashing_write(struct sink *k, struct span bytes, dray_error **err)
{
	struct hashing *h = (struct hashing *)k;

	hash_update(h->hash, bytes);
	return sink_write(h->to, bytes, err);
}

static void hashing_free(struct sink *k)
{
	(void)k;
}

static const struct sink_ops hashing_ops = { .write = hashing_write, .free = hashing_free };

static int run_to_sink(struct canonical_run *r, struct sink *k, bool digest, const char *path,
		       struct canonical_facts *ret, dray_error **err)
{
	cleanup_hash struct hash hash = { 0 };
	struct hashing both = { .base = { .ops = &hashing_ops }, .to = k, .hash = &hash };

	if (!digest)
		return canonical_write_stream(r, k, err) < 0 ? -1 : fill_facts(r, path, ret, err);
	if (hash_init(&hash, DIGEST_SHA256, err) < 0 ||
	    canonical_write_stream(r, &both.base, err) < 0 || fill_facts(r, path, ret, err) < 0)
		return -1;
	return hash_finish(&hash, &ret->digest, err);
}

int canonical_stream(dray_context *ctx, const char *ref, const struct canonical_wishes *w,
		     struct sink *k, struct canonical_facts *ret, dray_error **err)
{
	cleanup_canonical_run struct canonical_run r = { 0 };

	*ret = (struct canonical_facts){ 0 };
	if (canonical_begin(&r, ctx, &ref, 1, w, err) < 0)
		return -1;
	if (run_to_sink(&r, k, true, NULL, ret, err) == 0)
		return 0;
	canonical_facts_clear(ret);
	return -1;
}

/* ---- to a file ---- */

static int digest_file(int fd, int64_t size, struct digest *ret, dray_error **err)
{
	cleanup_hash struct hash hash = { 0 };
	cleanup_source struct source *s = NULL;

	if (hash_init(&hash, DIGEST_SHA256, err) < 0)
		return -1;
	s = source_hash(source_from_extent(fd, 0, size, err), &hash, err);
	if (!s || source_drain(s, err) < 0)
		return -1;
	return hash_finish(&hash, ret, err);
}

static int run_to_file(struct canonical_run *r, int fd, const char *path,
		       struct canonical_facts *ret, dray_error **err)
{
	if (canonical_write_file(r, fd, err) < 0 || fill_facts(r, path, ret, err) < 0)
		return -1;
	return r->w->want_digest ? digest_file(fd, ret->size, &ret->digest, err) : 0;
}

static int run_to_fd(struct canonical_run *r, int fd, const char *path, struct canonical_facts *ret,
		     dray_error **err)
{
	cleanup_sink struct sink *k = sink_to_fd(fd, false, err);

	if (!k)
		return -1;
	if (isatty(fd))
		return err_set(err, DRAY_ERR_USAGE, "an archive is not written to a terminal");
	if (run_to_sink(r, k, r->w->want_digest, path, ret, err) < 0)
		return -1;
	return sink_finish(k, err);
}

static int begin_output(struct outfile *o, const char *path, bool no_clobber, dray_error **err)
{
	if (outfile_begin(o, AT_FDCWD, path, no_clobber, err) < 0)
		return -1;
	outfile_tidy(o);
	return 0;
}

int canonical_file(dray_context *ctx, const char *const *refs, size_t n,
		   const struct canonical_wishes *w, const char *path, bool no_clobber,
		   struct canonical_facts *ret, dray_error **err)
{
	cleanup_canonical_run struct canonical_run r = { 0 };
	cleanup_outfile struct outfile o = OUTFILE_INIT;
	bool standard_output = strcmp(path, "-") == 0;
	int rc;

	*ret = (struct canonical_facts){ 0 };
	if (!standard_output && begin_output(&o, path, no_clobber, err) < 0)
		return -1;
	if (canonical_begin(&r, ctx, refs, n, w, err) < 0)
		return -1;
	if (standard_output)
		rc = run_to_fd(&r, STDOUT_FILENO, path, ret, err);
	else if (!o.temp)
		rc = run_to_fd(&r, o.fd, path, ret, err);
	else
		rc = run_to_file(&r, o.fd, path, ret, err);
	if (rc == 0 && !standard_output)
		rc = outfile_commit(&o, err);
	if (rc < 0)
		canonical_facts_clear(ret);
	return rc;
}
