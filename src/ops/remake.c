/* SPDX-License-Identifier: Apache-2.0
 *
 * The store of an image that does not exist yet.
 * Relies on stack_prepare() for the bytes of new layers, on the old store for kept ones.
 * Promises that nothing of the image is told before all of its layers are known, and that
 * each new one that is made, or found at the destination by its DiffID, can be read back.
 */
#include "ops/remake.h"

#include "base/limits.h"
#include "base/mem.h"
#include "flow/pool.h"
#include "ops/copy_priv.h"
#include "store/assemble.h"

struct remade {
	struct store store;
	struct remake m;
	bool any_there;		   /* the destination has some layers */
	struct blob_facts **facts; /* of each layer; NULL = kept */
	struct digest *diff_ids;   /* of a new one when it has passed, or was foretold by us */
	const struct layer_index **index;
	struct layer_index **own; /* of new layers: read back */
	int64_t *entries;	  /* likewise, counted; -1 */
	struct memo_blob *blobs;
	struct buf config;
};

static void remade_free(struct store *st)
{
	struct remade *r = (struct remade *)st;

	for (size_t i = 0; r->own && i < r->m.n; i++)
		layer_index_free(r->own[i]);
	buf_clear(&r->config);
	notes_clear(&st->notes);
	arena_clear(&st->arena);
	mem_free(st->place);
	mem_free(r);
}

/* ---- the image ---- */

static void keep_layer(const struct remake_layer *from, struct layer *to)
{
	const struct layer *l = &from->stack->im->layers[from->keep];

	to->blob = l->blob;
	to->compression = l->compression;
	to->has_compression = l->has_compression;
	to->missing = l->missing;
	to->trouble = l->trouble;
	to->facts = l->facts;
	to->vouched = stack_vouched(from->stack, (size_t)from->keep);
}

static int fill_layers(const struct remade *r, struct image *im, dray_error **err)
{
	if (image_set_layers(im, r->m.n, err) < 0)
		return -1;
	for (size_t i = 0; i < r->m.n; i++) {
		struct layer *l = &im->layers[i];

		l->diff_id = r->diff_ids[i];
		l->handle = i;
		if (r->m.layers[i].keep >= 0) {
			keep_layer(&r->m.layers[i], l);
		} else {
			l->facts = r->facts[i];
			l->annotations = r->m.layers[i].annotations;
		}
	}
	return 0;
}

static int fill_image(const struct remade *r, struct image *im, dray_error **err)
{
	const struct image *old = r->m.stack->im;
	cleanup_buf struct buf config = BUF_INIT(LIMIT_CONFIG);

	im->around = r->m.around;
	im->made_from = r->m.like ? r->m.like : stack_manifest(r->m.stack);
	for (size_t i = 0; i < old->n_tags; i++)
		if (image_add_tag(im, old->tags[i], old->ref_names[i], err) < 0)
			return -1;
	if (buf_add(&config, span_buf(&r->config), err) < 0 ||
	    image_set_config(im, &config, NULL, err) < 0)
		return -1;
	return fill_layers(r, im, err);
}

static int remade_images(struct store *st, const struct selector *sel, struct image ***ret,
			 size_t *ret_n, dray_error **err)
{
	const struct remade *r = (const struct remade *)st;
	cleanup_image_list struct image_list l = { 0 };
	cleanup_image struct image *im = NULL;

	(void)sel; /* there is only one */
	if (image_new(r->m.stack->im->where, &im, err) < 0 || fill_image(r, im, err) < 0 ||
	    image_list_add(&l, steal_pointer(&im), err) < 0)
		return -1;
	*ret_n = l.n;
	*ret = steal_pointer(&l.list);
	l.n = 0;
	return 0;
}

static struct source *remade_open_layer(struct store *st, const struct image *im, size_t i,
					dray_error **err)
{
	const struct remade *r = (const struct remade *)st;
	const struct remake_layer *l = &r->m.layers[i];

	(void)im;
	if (l->keep >= 0)
		return stack_open_stored(l->stack, (size_t)l->keep, err);
	err_set(err, DRAY_ERR_UNSUPPORTED, "new layer %zu has passed already", i + 1);
	return NULL;
}

/* ---- one layer ---- */

#define NAME_SIZE 96

static int at_image(const struct remade *r, dray_error **err)
{
	return err_ctx(err, "%s", r->m.stack->im->where);
}

struct read_back {
	bool contents;
	struct layer_index **ret;
	int64_t *entries;
};

/* The same checks as of any tar, and nothing kept of it. */
static int count_entries(struct source *copy, int64_t *ret, dray_error **err)
{
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(copy, NULL, NULL, err);
	const struct tar_entry *t;
	int rc = r ? 1 : -1;

	*ret = 0;
	while (rc > 0) {
		rc = tar_next(r, &t, err);
		*ret += rc > 0;
	}
	return rc < 0 ? -1 : tar_tail(r, err);
}

static int read_back(void *arg, struct source *copy, dray_error **err)
{
	struct read_back *b = arg;
	const struct layer_index_options o = { .contents = true };
	int rc = b->contents ? layer_index_read(copy, &o, b->ret, err)
			     : count_entries(copy, b->entries, err);

	return rc < 0 ? err_ctx(err, "read back") : 0;
}

/* What the tar of a new layer is made of, if it does not come from elsewhere. */
struct new_tar {
	struct record_list list;
	struct layer_feed feed;
};

static struct new_tar new_tar_of(const struct remake_layer *l)
{
	return (struct new_tar){ l->list, stack_feed(l->stack) };
}

/* The tar of a new layer. */
static struct source *open_new(const struct remake_layer *l, const struct new_tar *t,
			       int64_t *ret_size, dray_error **err)
{
	if (l->open)
		return l->open(l->arg, ret_size, err);
	if (layer_tar_size(&t->list, ret_size, err) < 0 ||
	    stack_prepare(l->stack, &t->list, err) < 0)
		return NULL;
	return layer_tar_source(&t->list, &t->feed, err);
}

/* Who copies knows the destination; nobody else walks. */
static struct copy *copy_of(const struct place_options *po)
{
	return po->on_member == copy_passing ? po->arg : NULL;
}

/* 1 = the destination has what the layer would become, 0, -1. */
static int pass_known(const struct remade *r, size_t i, const struct place_options *po,
		      struct blob_facts *facts, dray_error **err)
{
	const struct memo_layer *known = r->m.layers[i].known;

	return known && copy_of(po) ? copy_remembered(copy_of(po), known, facts, err) : 0;
}

/*
 * Its DiffID before it passes, and all that reading it back would tell: less work than to compress
 * and send it. Only where it can be read twice without being decoded twice.
 */
static int foretell(struct remade *r, size_t i, const struct new_tar *t, dray_error **err)
{
	const struct remake_layer *l = &r->m.layers[i];
	struct read_back back = { r->m.contents, &r->own[i], &r->entries[i] };
	cleanup_hash struct hash h = { 0 };
	cleanup_source struct source *tar = NULL;
	int64_t size;

	if (!r->any_there || l->diff_id || l->known || (!l->open && !stack_lies_in_files(l->stack)))
		return 0;
	if (hash_init(&h, DIGEST_SHA256, err) < 0)
		return -1;
	tar = source_hash(open_new(l, t, &size, err), &h, err);
	return !tar || read_back(&back, tar, err) < 0 || source_drain(tar, err) < 0
		       ? -1
		       : hash_finish(&h, &r->diff_ids[i], err);
}

/* The DiffID of a layer that has not passed; NULL = not known. */
static const struct digest *foretold(const struct remade *r, size_t i)
{
	if (r->m.layers[i].diff_id)
		return r->m.layers[i].diff_id;
	return digest_set(&r->diff_ids[i]) ? &r->diff_ids[i] : NULL;
}

/* 1 = the destination has it, and it need not pass; 0, -1. */
static int find_there(const struct remade *r, size_t i, const struct place_options *po,
		      int64_t size, const char *name, struct blob_facts *facts, dray_error **err)
{
	const struct digest *diff_id = foretold(r, i);

	return diff_id && po->known ? po->known->has(po->arg, diff_id, size, name, facts, err) : 0;
}

/* As a layer's name ends: what begins with zeros is a tar too. */
static void name_layer(size_t i, char ret[NAME_SIZE])
{
	snprintf(ret, NAME_SIZE, "new-layer-%zu.tar", i + 1);
}

/* Send @tar, which is read back beside unless foretell() has done so. */
static int pass_tar(struct remade *r, size_t i, const struct place_options *po, struct source *tar,
		    int64_t size, struct blob_facts *facts, dray_error **err)
{
	member_fn *pass = po->on_member ? po->on_member : member_hash;
	struct read_back back = { r->m.contents, &r->own[i], &r->entries[i] };
	cleanup_source struct source *both = digest_set(&r->diff_ids[i])
						     ? tar
						     : source_branch(tar, read_back, &back, err);
	char name[NAME_SIZE];

	name_layer(i, name);
	return !both || pass(po->arg, name, both, size, facts, err) < 0 ||
			       source_drain(both, err) < 0
		       ? -1
		       : 0;
}

static int make_layer(struct remade *r, size_t i, const struct place_options *po,
		      struct blob_facts *facts, dray_error **err)
{
	const struct remake_layer *l = &r->m.layers[i];
	const struct new_tar t = new_tar_of(l);
	cleanup_source struct source *tar = NULL;
	char name[NAME_SIZE];
	int64_t size;
	int rc;

	name_layer(i, name);
	if (foretell(r, i, &t, err) < 0)
		return -1;
	tar = open_new(l, &t, &size, err);
	rc = tar ? find_there(r, i, po, size, name, facts, err) : -1;
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (pass_tar(r, i, po, steal_pointer(&tar), size, facts, err) < 0 ||
	    (!l->open && stack_feed_finish(l->stack, err) < 0))
		return -1;
	/* Of files that changed since. */
	if (foretold(r, i) && digest_expect(foretold(r, i), &facts->diff_id, "DiffID", err) < 0)
		return err_ctx(err, "%s", name);
	return 0;
}

/* ---- all layers ---- */

struct pass {
	struct remade *r;
	const struct place_options *po;
	struct blob_facts *facts;
};

/* One of which no config tells the DiffID has it all the same. */
static int keep(struct remade *r, size_t i, dray_error **err)
{
	const struct remake_layer *l = &r->m.layers[i];
	size_t kept = (size_t)l->keep;

	r->diff_ids[i] = l->stack->im->layers[kept].diff_id;
	r->index[i] = l->stack->index[kept];
	return digest_set(&r->diff_ids[i]) ? 0
					   : stack_diff_id(l->stack, kept, &r->diff_ids[i], err);
}

static void note_new(struct pass *p, size_t i)
{
	struct remade *r = p->r;

	r->facts[i] = &p->facts[i];
	r->diff_ids[i] = p->facts[i].diff_id;
	r->index[i] = r->own[i];
	if (r->own[i])
		r->entries[i] = (int64_t)r->own[i]->n;
	if (copy_of(p->po))
		copy_blob_of(copy_of(p->po), &p->facts[i], &r->blobs[i]);
}

/* A new layer: known to be there, or made. */
static int pass_new(struct pass *p, size_t i, dray_error **err)
{
	int there = pass_known(p->r, i, p->po, &p->facts[i], err);

	if (there < 0 || (there == 0 && make_layer(p->r, i, p->po, &p->facts[i], err) < 0))
		return at_image(p->r, err);
	note_new(p, i);
	return 0;
}

static int pass_layer(void *arg, size_t i, dray_error **err)
{
	struct pass *p = arg;

	return p->r->m.layers[i].keep < 0 ? pass_new(p, i, err) : keep(p->r, i, err);
}

static int at_once(const struct remade *r, const struct place_options *po)
{
	for (size_t i = 0; i < r->m.n; i++)
		if (r->m.layers[i].keep < 0 && !r->m.layers[i].beside)
			return 1;
	return po->known ? po->known->at_once(po->arg) : 1;
}

static int make_room(struct pass *p, dray_error **err)
{
	struct remade *r = p->r;
	struct arena *a = &r->store.arena;

	p->facts = arena_array(a, r->m.n + 1, sizeof(*p->facts));
	r->facts = arena_array(a, r->m.n + 1, sizeof(struct blob_facts *));
	r->diff_ids = arena_array(a, r->m.n + 1, sizeof(*r->diff_ids));
	r->index = arena_array(a, r->m.n + 1, sizeof(struct layer_index *));
	r->own = arena_array(a, r->m.n + 1, sizeof(struct layer_index *));
	r->entries = arena_array(a, r->m.n + 1, sizeof(*r->entries));
	r->blobs = arena_array(a, r->m.n + 1, sizeof(*r->blobs));
	if (!p->facts || !r->facts || !r->diff_ids || !r->index || !r->own || !r->entries ||
	    !r->blobs)
		return err_nomem(err);
	for (size_t i = 0; i < r->m.n; i++)
		r->entries[i] = -1;
	return 0;
}

static int pass_one_by_one(struct remade *r, const struct place_options *po, dray_error **err)
{
	struct pass p = { .r = r, .po = po };

	if (make_room(&p, err) < 0)
		return -1;
	r->any_there = po->known && po->known->any(po->arg);
	if (r->m.foretell && r->any_there && r->m.foretell(r->m.arg, err) < 0)
		return -1;
	if (r->m.apart && !r->any_there) /* then nobody foretells, and all are read once */
		for (size_t i = 0; i < r->m.n; i++)
			stack_spend_tars(r->m.layers[i].stack);
	return run_parallel(at_once(r, po), r->m.n, pass_layer, &p, err);
}

/* ---- all at once ---- */

#define BEHIND (12 * MIB) /* bytes of all layers that wait to be hashed and written */

/* One layer on its way. */
struct sent {
	struct sending *all;
	dray_error *error;
};

struct sending {
	struct pass pass;
	struct sent *list;
	struct sink **out;
};

/* Nothing is begun at the destination before there is something to send. */
static int send_written(void *arg, struct source *written, dray_error **err)
{
	struct sent *s = arg;
	struct pass *p = &s->all->pass;
	size_t i = (size_t)(s - s->all->list);
	struct span begin;

	if (source_peek(written, 1, &begin, &s->error) == 0 &&
	    pass_tar(p->r, i, p->po, source_lend(written, &s->error), -1, &p->facts[i],
		     &s->error) == 0)
		return 0;
	return err_set(err, DRAY_ERR_CANCELLED, "nobody reads on");
}

static int begin_sending(struct sending *s, dray_error **err)
{
	struct remade *r = s->pass.r;
	struct arena *a = &r->store.arena;

	s->list = arena_array(a, r->m.n + 1, sizeof(*s->list));
	s->out = arena_array(a, r->m.n + 1, sizeof(struct sink *));
	if (!s->list || !s->out)
		return err_nomem(err);
	for (size_t i = 0; i < r->m.n; i++) {
		s->list[i] = (struct sent){ .all = s };
		s->out[i] = sink_read_by(send_written, &s->list[i], BEHIND / r->m.n, err);
		if (!s->out[i])
			return at_image(r, err);
	}
	return 0;
}

static int finish_sending(struct sending *s, dray_error **err)
{
	for (size_t i = 0; i < s->pass.r->m.n; i++)
		if (sink_finish(s->out[i], err) < 0)
			return -1;
	return 1;
}

static void end_sending(struct sending *s)
{
	for (size_t i = 0; s->out && i < s->pass.r->m.n; i++)
		sink_free(s->out[i]);
}

static int send_all(struct sending *s, dray_error **err)
{
	const struct together *t = s->pass.r->m.together;
	int rc = make_room(&s->pass, err);

	if (rc == 0)
		rc = begin_sending(s, err);
	if (rc == 0)
		rc = t->write(t->arg, s->out, err);
	if (rc > 0)
		rc = finish_sending(s, err);
	end_sending(s);
	return rc;
}

/* Whichever end failed first, the others were broken off. */
static dray_error **first_failure(struct sending *s, dray_error **unwritten)
{
	for (size_t i = 0; s->list && i < s->pass.r->m.n; i++) {
		dray_error **unsent = &s->list[i].error;

		if (*unsent && dray_error_kind(*unsent) != DRAY_ERR_CANCELLED) {
			at_image(s->pass.r, unsent);
			return unsent;
		}
	}
	return unwritten;
}

/* 1, 0 = they are to be made one by one, and nothing of them has passed; -1. */
static int pass_together(struct remade *r, const struct place_options *po, dray_error **err)
{
	struct sending s = { .pass = { .r = r, .po = po } };
	cleanup_error dray_error *unwritten = NULL;
	int rc;

	if (!po->known || !po->known->again(po->arg))
		return 0;
	rc = send_all(&s, &unwritten);
	if (rc < 0 && err)
		*err = steal_pointer(first_failure(&s, &unwritten));
	for (size_t i = 0; s.list && i < r->m.n; i++) {
		if (rc > 0)
			note_new(&s.pass, i);
		dray_error_free(s.list[i].error);
	}
	return rc;
}

static int pass_layers(struct remade *r, const struct place_options *po, dray_error **err)
{
	const struct together *t = r->m.together;
	int rc = t ? pass_together(r, po, err) : 0;

	if (rc == 0 && t) {
		r->own = NULL; /* of what has not passed */
		rc = t->plan(t->arg, &r->m.layers, &r->m.n, err);
	}
	if (rc == 0)
		rc = pass_one_by_one(r, po, err);
	for (size_t i = 0; rc >= 0 && i < r->m.n; i++)
		stack_drop_tars(r->m.layers[i].stack);
	return rc < 0 ? -1 : 0;
}

static int make_config(struct remade *r, dray_error **err)
{
	const struct remade_layers made = { .diff_ids = r->diff_ids,
					    .index = r->index,
					    .entries = r->entries,
					    .blobs = r->blobs,
					    .n = r->m.n };

	return r->m.config(r->m.arg, &made, &r->config, err);
}

static const struct store_ops remade_ops = {
	.images = remade_images,
	.open_layer = remade_open_layer,
	.free = remade_free,
};

int remake_open(const struct remake *m, const struct place_options *po, struct store **ret,
		dray_error **err)
{
	const struct store *old = m->stack->report->store;
	struct remade *r = mem_zalloc(sizeof(*r));

	if (!r)
		return err_nomem(err);
	r->m = *m;
	r->config = BUF_INIT(LIMIT_CONFIG);
	r->store.ops = &remade_ops;
	r->store.kind = old->kind; /* whose bytes the kept layers are */
	r->store.forward_only = true;
	r->store.notes.arena = &r->store.arena;
	r->store.place = mem_strdup(old->place);
	if (!r->store.place)
		err_nomem(err);
	else if (pass_layers(r, po, err) == 0 && make_config(r, err) == 0) {
		*ret = &r->store;
		return 0;
	}
	remade_free(&r->store);
	return -1;
}
