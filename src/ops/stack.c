/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the layers of an image: each distinct one once, side by side.
 * Relies on the store for stored bytes, on layer/ for what they mean.
 * Promises that no entry leaves here of which not every byte of its layer was proven.
 */
#include "ops/stack_priv.h"

#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "ops/transfer.h"

#define LABEL_MAX 80
#define AHEAD (4 * MIB) /* bytes read or decoded before they are asked for */

/* ---- what passes on a forward walk ---- */

struct tee_file {
	int fd;
	dray_error *failed;
};

static void tee_write(void *arg, struct span bytes)
{
	struct tee_file *t = arg;

	if (!t->failed && io_write_all(t->fd, bytes, &t->failed) < 0)
		return; /* told when the member is through */
}

static int keep_passed(struct stack *s, int fd, const struct blob_facts *facts, dray_error **err)
{
	struct stack_passed *p = arena_alloc(&s->arena, sizeof(*p));

	if (!p) {
		close(fd);
		return err_nomem(err);
	}
	*p = (struct stack_passed){ facts->blob_digest, fd, facts->blob_size };
	if (map_get(&s->passed, span_str(p->digest.text))) {
		close(fd);
		return 0;
	}
	return map_put(&s->passed, span_str(p->digest.text), p, err);
}

static int on_member(void *arg, const char *name, struct source *data, int64_t size,
		     struct blob_facts *ret, dray_error **err)
{
	struct stack *s = arg;
	struct tee_file t = { .fd = io_tempfile(s->ctx->tmpdir, err) };
	cleanup_fd int fd = t.fd;
	cleanup_source struct source *watched = NULL;

	if (fd < 0)
		return -1;
	watched = source_watch(source_lend(data, err), (struct tap){ tee_write, &t }, err);
	if (!watched || member_hash(NULL, name, watched, size, ret, err) < 0) {
		dray_error_free(t.failed);
		return -1;
	}
	if (t.failed) {
		if (err)
			*err = steal_pointer(&t.failed);
		dray_error_free(t.failed);
		return -1;
	}
	return keep_passed(s, steal_fd(&fd), ret, err);
}

/* ---- one layer ---- */

const struct manifest *stack_manifest(const struct stack *s)
{
	if (s->report->store->kind == STORE_DOCKER_ARCHIVE && !s->im->manifest_trusted)
		return NULL;
	return s->im->manifest;
}

/* The digest by which stored bytes are kept: of what passed, or of what a registry sends. */
static const struct digest *kept_by(const struct stack *s, const struct layer *l)
{
	if (l->facts)
		return &l->facts->blob_digest;
	return s->report->store->kind == STORE_REGISTRY ? &l->blob.digest : NULL;
}

/* A registry is asked once: its bytes are proven and kept. */
static int fetch(struct stack *s, size_t i, dray_error **err)
{
	const struct layer *l = &s->im->layers[i];
	struct blob_facts facts = { .blob_digest = l->blob.digest };
	cleanup_fd int fd = -1;
	cleanup_sink struct sink *k = NULL;
	cleanup_source struct source *in = NULL;
	int rc;

	if (s->report->store->kind != STORE_REGISTRY)
		return 0;
	fd = io_tempfile(s->ctx->tmpdir, err);
	k = fd < 0 ? NULL : sink_to_fd(fd, false, err);
	in = k ? store_open_layer(s->report->store, s->im, i, err) : NULL;
	in = source_verified(steal_pointer(&in), &l->blob.digest, l->blob.size, "blob digest", err);
	facts.blob_size = in ? pump(in, k, err) : -1;
	if (facts.blob_size < 0)
		return -1;
	lock_take(s->ctx->lock);
	rc = keep_passed(s, steal_fd(&fd), &facts, err);
	lock_drop(s->ctx->lock);
	return rc;
}

/* Why there are no stored bytes of the layer. A foreign one that is elsewhere is no damage. */
static void tell_absent(struct stack *s, const struct layer *l, dray_error **err)
{
	if (!mediatype_is_foreign(l->blob.media_type)) {
		place_absent(s->report->store, err);
	} else if (err && *err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND) {
		err_ctx(err, "a foreign layer, which is not stored here");
		err_hint(err, "the engine that it is for fetches it from its URLs%s%s",
			 s->o.without ? "; " : "", s->o.without ? s->o.without : "");
	}
}

/* The stored bytes; *ret_file says where they lie when that is a regular file. */
static struct source *open_stored(struct stack *s, size_t i, struct extent *ret_file,
				  dray_error **err)
{
	const struct digest *d = kept_by(s, &s->im->layers[i]);
	const struct stack_passed *p = NULL;
	struct source *stored;

	*ret_file = (struct extent){ .fd = -1 };
	if (d) {
		lock_take(s->ctx->lock);
		p = map_get(&s->passed, span_str(d->text));
		lock_drop(s->ctx->lock);
	}
	if (p) {
		*ret_file = (struct extent){ p->fd, 0, p->size };
		return source_from_extent(p->fd, 0, p->size, err);
	}
	stored = store_open_layer(s->report->store, s->im, i, err);
	if (stored)
		source_extent(stored, &ret_file->fd, &ret_file->off, &ret_file->size);
	else
		tell_absent(s, &s->im->layers[i], err);
	return stored;
}

bool stack_vouched(const struct stack *s, size_t i)
{
	return stack_manifest(s) && digest_set(&s->im->layers[i].blob.digest);
}

struct source *stack_open_stored(struct stack *s, size_t i, dray_error **err)
{
	struct extent unused;

	return open_stored(s, i, &unused, err);
}

struct source *stack_open_tar(struct stack *s, size_t i, size_t ahead, struct extent *ret_file,
			      dray_error **err)
{
	const struct layer *l = &s->im->layers[i];
	bool vouched = stack_vouched(s, i);
	bool by_tar = (!vouched || s->o.diff_ids) && digest_set(&l->diff_id);
	enum compression c = COMPRESSION_NONE;
	struct pool *pool = context_pool(s->ctx, err);
	struct source *in = pool ? open_stored(s, i, ret_file, err) : NULL;

	if (in && vouched)
		in = source_verified(in, &l->blob.digest, l->blob.size, "blob digest", err);
	in = source_decode_pool(in, pool, by_tar ? 0 : ahead, &c, err);
	if (in && by_tar) /* which is work for that thread */
		in = source_verified(in, &l->diff_id, -1, "DiffID", err);
	if (by_tar && ahead)
		in = source_readahead(in, ahead, err);
	if (c != COMPRESSION_NONE)
		ret_file->fd = -1;
	return in;
}

int stack_diff_id(struct stack *s, size_t i, struct digest *ret, dray_error **err)
{
	cleanup_hash struct hash h = { 0 };
	cleanup_source struct source *tar = NULL;
	struct extent unused;

	if (hash_init(&h, DIGEST_SHA256, err) < 0)
		return -1;
	tar = source_hash(stack_open_tar(s, i, 0, &unused, err), &h, err);
	if (!tar || source_drain(tar, err) < 0)
		return err_ctx(err, "%s: layer %zu of %zu", s->im->where, i + 1, s->n);
	return hash_finish(&h, ret, err);
}

/* Index the layer; what passes is kept, decoded, in a file of its own. */
static int index_and_keep(struct stack *s, struct stack_read *r, struct source *tar,
			  dray_error **err)
{
	const struct layer_index_options o = { .contents = s->o.contents };
	struct tee_file t = { .fd = io_tempfile(s->ctx->tmpdir, err) };
	cleanup_source struct source *watched = NULL;
	int rc;

	r->spool = t.fd;
	if (t.fd < 0)
		return -1;
	/* Writing is for one thread, hashing for another. */
	watched = source_watch(source_lend(tar, err), (struct tap){ tee_write, &t }, err);
	watched = source_readahead(steal_pointer(&watched), AHEAD, err);
	rc = watched ? layer_index_read(watched, &o, &r->index, err) : -1;
	source_free(steal_pointer(&watched)); /* before what its thread has noted is looked at */
	if (rc == 0 && t.failed) {
		if (err)
			*err = steal_pointer(&t.failed);
		rc = -1;
	}
	dray_error_free(t.failed);
	if (rc == 0)
		r->bytes = (struct extent){ r->spool, 0, r->index->size };
	return rc;
}

struct passing {
	struct stack *s;
	size_t read;
};

static int pass_file(void *arg, const struct layer_entry *e, struct source *data, dray_error **err)
{
	const struct passing *p = arg;

	return p->s->o.on_file(p->s->o.arg, p->read, e, data, err);
}

static int read_layer(struct stack *s, struct stack_read *r, dray_error **err)
{
	struct passing p = { s, (size_t)(r - s->reads) };
	const struct layer_index_options o = { .contents = s->o.contents,
					       .file = s->o.on_file ? pass_file : NULL,
					       .file_arg = &p };
	cleanup_source struct source *tar = NULL;

	if (fetch(s, r->layer, err) < 0)
		return -1;
	/* Who takes the files is as slow as a disk. */
	tar = stack_open_tar(s, r->layer, s->o.on_file ? AHEAD : 0, &r->bytes, err);
	if (!tar)
		return -1;
	if (s->o.keep_tars && r->bytes.fd < 0)
		return index_and_keep(s, r, tar, err);
	return layer_index_read(tar, &o, &r->index, err);
}

static int read_by(struct stack *s, struct stack_read *r, stack_layer_fn *fn, void *arg,
		   dray_error **err)
{
	cleanup_source struct source *tar = NULL;

	if (fetch(s, r->layer, err) < 0)
		return -1;
	tar = stack_open_tar(s, r->layer, AHEAD, &r->bytes, err);
	if (!tar)
		return -1;
	return r->bytes.fd >= 0 ? 0 : fn(arg, tar, &r->index, err);
}

/* Who reads layers is told which, and how it went: what @fn returns. */
static int read_told(struct stack *s, struct stack_read *r, stack_layer_fn *fn, void *arg,
		     dray_error **err)
{
	char label[LABEL_MAX];
	struct dray_progress p = {
		.state = DRAY_PROGRESS_BEGIN,
		.id = context_progress_id(s->ctx),
		.label = label,
		.total = s->im->layers[r->layer].blob.size,
	};
	int rc;

	snprintf(label, sizeof(label), "layer %zu of %zu", r->layer + 1, s->n);
	context_progress(s->ctx, &p);
	rc = fn ? read_by(s, r, fn, arg, err) : read_layer(s, r, err);
	p.state = rc < 0 ? DRAY_PROGRESS_FAILED : DRAY_PROGRESS_DONE;
	if (rc >= 0 && p.total > 0)
		p.done = p.total;
	context_progress(s->ctx, &p);
	return rc < 0 ? err_ctx(err, "%s", label) : rc;
}

/* All but one. */
struct loading {
	struct stack *s;
	size_t but; /* distinct layer; SIZE_MAX = none */
};

static int read_one(void *arg, size_t index, dray_error **err)
{
	struct loading *l = arg;
	struct stack_read *r = &l->s->reads[index];

	return r->index || index == l->but ? 0 : read_told(l->s, r, NULL, NULL, err);
}

/* ---- the image ---- */

static int add_read(struct stack *s, size_t layer, struct map *seen, size_t *ret, dray_error **err)
{
	const struct layer *l = &s->im->layers[layer];
	const struct digest *d = digest_set(&l->diff_id) ? &l->diff_id : &l->blob.digest;
	const struct map_slot *twin = digest_set(d) ? map_find(seen, span_str(d->text)) : NULL;

	if (twin) {
		*ret = (size_t)(uintptr_t)twin->value;
		return 0;
	}
	*ret = s->n_reads;
	s->reads[s->n_reads++] = (struct stack_read){ .layer = layer,
						      .spool = -1,
						      .bytes = { .fd = -1 } };
	return digest_set(d) ? map_put(seen, span_str(d->text), (void *)(uintptr_t)*ret, err) : 0;
}

static int plan_reads(struct stack *s, dray_error **err)
{
	struct map seen = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->n; i++)
		rc = add_read(s, i, &seen, &s->which[i], err);
	map_clear(&seen);
	return rc;
}

int stack_load(struct stack *s, size_t i, dray_error **err)
{
	struct loading l = { s, SIZE_MAX };

	if (read_one(&l, s->which[i], err) < 0)
		return err_ctx(err, "%s", s->im->where);
	s->index[i] = s->reads[s->which[i]].index;
	return 0;
}

static int load_all_but(struct stack *s, size_t but, dray_error **err)
{
	struct loading l = { s, but };

	if (run_parallel(s->ctx->threads, s->n_reads, read_one, &l, err) < 0)
		return err_ctx(err, "%s", s->im->where);
	for (size_t i = 0; i < s->n; i++)
		s->index[i] = s->reads[s->which[i]].index;
	return 0;
}

int stack_load_all(struct stack *s, dray_error **err)
{
	return load_all_but(s, SIZE_MAX, err);
}

int stack_load_others(struct stack *s, size_t i, dray_error **err)
{
	static const struct layer_index none;

	if (load_all_but(s, s->which[i], err) < 0)
		return -1;
	s->index[i] = &none;
	return 0;
}

int stack_load_by(struct stack *s, size_t i, stack_layer_fn *fn, void *arg, dray_error **err)
{
	struct stack_read *r = &s->reads[s->which[i]];
	int rc = read_told(s, r, fn, arg, err);

	if (rc < 0)
		return err_ctx(err, "%s", s->im->where);
	s->index[i] = r->index;
	return rc;
}

static int index_by_diff_id(const struct stack *s, struct map *ret, dray_error **err)
{
	for (size_t i = 0; i < s->n_reads; i++) {
		const struct digest *d = &s->im->layers[s->reads[i].layer].diff_id;

		if (s->reads[i].index && digest_set(d) &&
		    map_put(ret, span_str(d->text), s->reads[i].index, err) < 0)
			return -1;
	}
	return 0;
}

int stack_share(struct stack *s, const struct stack *from, dray_error **err)
{
	struct map known = { 0 };
	int rc = index_by_diff_id(from, &known, err);

	for (size_t i = 0; rc == 0 && i < s->n_reads; i++) {
		struct stack_read *r = &s->reads[i];
		const struct digest *d = &s->im->layers[r->layer].diff_id;

		if (r->index || !digest_set(d))
			continue;
		r->index = map_get(&known, span_str(d->text));
		r->shared = r->index;
	}
	map_clear(&known);
	return rc;
}

static int check_image(const struct stack *s, dray_error **err)
{
	if (place_require_whole(s->report->store, s->im, err) < 0)
		return -1;
	if (s->im->artifact || !s->im->config)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "%s is an artifact: it has no files",
			       s->im->where);
	if (s->ctx->salvage) /* then they say what is not as it was */
		context_notes(s->ctx, &s->im->notes);
	return 0;
}

static int open_image(struct stack *s, const char *place, const struct dray_select *sel,
		      dray_error **err)
{
	const struct place_options po = { .on_member = on_member, .arg = s };

	if (report_open(s->ctx, place, sel, SCOPE_ONE, &po, &s->report, err) < 0 ||
	    report_notes(s->report, false, err) < 0)
		return -1;
	if (s->report->n_images != 1)
		return err_set(err, DRAY_ERR_USAGE,
			       "%zu images; choose one with --image or --platform",
			       s->report->n_images);
	s->im = s->report->images[0];
	if (check_image(s, err) < 0)
		return -1;
	s->n = s->im->n_layers;
	s->index = arena_array(&s->arena, s->n + 1, sizeof(struct layer_index *));
	s->reads = arena_array(&s->arena, s->n + 1, sizeof(*s->reads));
	s->which = arena_array(&s->arena, s->n + 1, sizeof(*s->which));
	if (!s->index || !s->reads || !s->which)
		return err_nomem(err);
	if (plan_reads(s, err) < 0)
		return -1;
	return s->o.lazy ? 0 : stack_load_all(s, err);
}

int stack_open(dray_context *ctx, const char *place, const struct dray_select *sel,
	       const struct stack_options *o, struct stack **ret, dray_error **err)
{
	cleanup_stack struct stack *s = mem_zalloc(sizeof(*s));

	if (!s)
		return err_nomem(err);
	s->ctx = ctx;
	s->o = *o;
	if (open_image(s, place, sel, err) < 0)
		return -1;
	*ret = steal_pointer(&s);
	return 0;
}

void stack_drop_tars(struct stack *s)
{
	for (size_t i = 0; i < s->n_reads; i++) {
		struct stack_read *r = &s->reads[i];

		if (r->spool >= 0 && r->bytes.fd == r->spool)
			r->bytes.fd = -1;
		cleanup_fd_fn(&r->spool);
		r->spool = -1;
	}
}

void stack_free(struct stack *s)
{
	if (!s)
		return;
	stack_feeds_free(s);
	for (size_t i = 0; i < s->n_reads; i++) {
		if (!s->reads[i].shared)
			layer_index_free(s->reads[i].index);
		cleanup_fd_fn(&s->reads[i].spool);
	}
	for (size_t i = 0; i < s->passed.len; i++) {
		struct stack_passed *p = s->passed.slots[i].value;

		cleanup_fd_fn(&p->fd);
	}
	map_clear(&s->passed);
	dray_report_free(s->report);
	arena_clear(&s->arena);
	mem_free(s);
}

bool stack_is_windows(const struct stack *s)
{
	const char *os = s->im->config->platform.os;

	return os && strcmp(os, "windows") == 0;
}

static void on_odd(void *arg, const struct tree_oddity *o)
{
	context_log(arg, DRAY_LOG_INFO, "layer %u: %s: %s", o->layer + 1, o->code, o->path);
}

static int merge(const struct stack *s, size_t from, size_t to, bool partial, tree_oddity_fn *odd,
		 struct tree **ret, dray_error **err)
{
	cleanup_tree struct tree *t = tree_new(odd, s->ctx, err);

	if (t && partial)
		tree_set_partial(t);
	if (t)
		tree_set_below(t, (uint32_t)from);
	for (size_t i = from; t && i < to; i++)
		if (tree_apply(t, s->index[i], err) < 0)
			return err_ctx(err, "%s", s->im->where);
	if (!t)
		return -1;
	tree_finish(t);
	*ret = steal_pointer(&t);
	return 0;
}

int stack_tree_of(const struct stack *s, size_t from, size_t to, struct tree **ret,
		  dray_error **err)
{
	return merge(s, from, to, from > 0, on_odd, ret, err);
}

int stack_tree_of_others(const struct stack *s, struct tree **ret, dray_error **err)
{
	return merge(s, 0, s->n, true, NULL, ret, err);
}

int stack_tree(const struct stack *s, size_t n, struct tree **ret, dray_error **err)
{
	return merge(s, 0, n, false, on_odd, ret, err);
}
