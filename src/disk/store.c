/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what every store on a disk does: choosing images, reading layers, knowing each layer once.
 * Relies on: the loader of each kind for images; tarsplit.h for layers.
 * Promises: layers are read from any thread; what cannot be read says why.
 */
#include <stdarg.h>
#include <stdlib.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "codec/codec.h"
#include "disk/disk_priv.h"

#define LABEL_MAX 512

/* ---- layers ---- */

int disk_layer_get(struct disk_store *d, const char *key, struct disk_layer **ret, bool *ret_new,
		   dray_error **err)
{
	*ret = map_get(&d->layers, span_str(key));
	*ret_new = !*ret;
	if (*ret)
		return 0;
	struct disk_layer *l = arena_alloc(&d->store.arena, sizeof(*l));
	const char *own = arena_strdup(&d->store.arena, key);
	if (!l || !own)
		return err_nomem(err);
	l->id = own;
	l->size = l->files_size = -1;
	l->number = d->layers.len;
	l->root = d->root;
	*ret = l;
	return map_put(&d->layers, span_str(own), l, err);
}

int disk_layer_broken(struct disk_store *d, struct disk_layer *l, const char *code,
		      dray_error **err, const char *fmt, ...)
{
	va_list ap;

	if (l->trouble) /* the first reason counts */
		return 0;
	va_start(ap, fmt);
	cleanup_free char *text = mem_vprintf(fmt, ap);
	va_end(ap);
	l->trouble = text ? arena_strdup(&d->store.arena, text) : NULL;
	l->trouble_code = code;
	return l->trouble ? 0 : err_nomem(err);
}

int disk_layer_trouble(struct disk_store *d, struct disk_layer *l, const char *code,
		       dray_error **err)
{
	if (!err || !*err || !error_about_bytes(*err))
		return -1;
	cleanup_error dray_error *e = steal_pointer(err);

	return disk_layer_broken(d, l, code, err, "%s", dray_error_message(e));
}

int disk_layer_look(struct disk_store *d, struct disk_layer *l, dray_error **err)
{
	struct stat st;
	int there = beneath_stat(l->root, l->tarsplit, &st, err);

	if (there < 0)
		return -1;
	if (!there)
		return disk_layer_broken(d, l, "tar-split-missing", err, "%s is missing",
					 l->tarsplit);
	there = beneath_is_dir(l->root, l->files, err);
	if (there < 0)
		return -1;
	if (!there)
		return disk_layer_broken(d, l, "layer-files-missing", err, "%s is missing",
					 l->files);
	return 0;
}

int disk_bind_layer(struct image *im, size_t i, const struct disk_layer *l, dray_error **err)
{
	struct layer *layer = &im->layers[i];

	layer->handle = l->number;
	layer->compression = COMPRESSION_NONE;
	layer->has_compression = true;
	if (!l->trouble)
		return 0;
	layer->missing = true;
	layer->trouble = arena_strdup(&im->arena, l->trouble);
	if (!layer->trouble)
		return err_nomem(err);
	return notes_add(&im->notes, true, l->trouble_code, im->where, NULL, NULL, err,
			 "layer %zu: %s", i + 1, l->trouble);
}

/* ---- the bytes of one ---- */

struct source *disk_layer_lines(const struct disk_layer *l, dray_error **err)
{
	struct stat st;
	int fd = beneath_open(l->root, l->tarsplit, &st, err);

	return fd < 0 ? NULL : source_decode_auto(source_from_file(fd, st.st_size, err), NULL, err);
}

static struct source *open_tar(void *arg, dray_error **err)
{
	const struct disk_layer *l = arg;
	struct tarsplit_files files;

	cleanup_source struct source *lines = disk_layer_lines(l, err);
	if (!lines || folder_files(l->root, l->files, &files, err) < 0)
		return NULL;
	return tarsplit_assemble(steal_pointer(&lines), &files, err);
}

struct source *disk_layer_open(const struct disk_layer *l, dray_error **err)
{
	if (!l->trouble)
		return source_reopenable(open_tar, (void *)(uintptr_t)l, NULL, err);
	err_set(err, DRAY_ERR_CORRUPT, "%s", l->trouble);
	err_hint(err, SALVAGE_HINT);
	return NULL;
}

/* How long its tar is, if nobody has looked; a damaged tar-split is told when it is read. */
static int look_size(struct disk_store *d, struct disk_layer *l, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	if (l->sized || l->trouble)
		return 0;
	l->sized = true;
	if (tarsplit_size(disk_layer_lines(l, &e), &l->size, &e) == 0)
		return 0;
	l->size = -1;
	if (disk_layer_trouble(d, l, "tar-split-damaged", &e) == 0)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

/* ---- the store ---- */

static int size_layers(struct disk_store *d, struct image *im, dray_error **err)
{
	for (size_t i = 0; i < im->n_layers; i++) {
		struct layer *layer = &im->layers[i];
		bool was_missing = layer->missing;

		if (im->broken || layer->handle >= d->layers.len)
			continue;
		struct disk_layer *l = disk_layer_at(d, layer->handle);
		if (look_size(d, l, err) < 0)
			return -1;
		if (l->trouble && !was_missing && disk_bind_layer(im, i, l, err) < 0)
			return -1;
		if (layer->blob.size < 0)
			layer->blob.size = l->size;
	}
	return 0;
}

int disk_reference(const char *text, struct reference *ret, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	if (reference_parse(span_str(text), ret, &e) == 0)
		return 1;
	return dray_error_kind(e) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
}

/* 1 = @p im was pulled or pushed by the digest that @p want has, 0 = not, -1. */
static int has_repo_digest(const struct image *im, const struct reference *want, dray_error **err)
{
	for (size_t i = 0; im->disk && i < im->disk->n_repo_digests; i++) {
		cleanup_reference struct reference have = { 0 };
		int parsed = disk_reference(im->disk->repo_digests[i], &have, err);

		if (parsed < 0)
			return -1;
		if (parsed && strcmp(have.domain, want->domain) == 0 &&
		    strcmp(have.path, want->path) == 0 && digest_eq(&have.digest, &want->digest))
			return 1;
	}
	return 0;
}

/* NAME@DIGEST is the image that the engine has that digest of: then @p sel asks for its ID. */
static int by_repo_digest(const struct image_list *l, struct selector *sel, dray_error **err)
{
	cleanup_reference struct reference want = { 0 };
	int parsed = sel->ref ? disk_reference(sel->ref, &want, err) : 0;

	if (parsed <= 0 || !digest_set(&want.digest))
		return parsed < 0 ? -1 : 0;
	for (size_t i = 0; i < l->n; i++) {
		int it = has_repo_digest(l->list[i], &want, err);

		if (it < 0)
			return -1;
		if (!it)
			continue;
		sel->ref = NULL;
		sel->digest = l->list[i]->config_digest_claimed;
		return 0;
	}
	return 0;
}

/* Who asks for a name that is not found is told so, if names could not be read. */
static int not_found(const struct disk_store *d, const struct selector *sel, dray_error **err)
{
	if (!sel->ref || !d->nameless || !err || dray_error_kind(*err) != DRAY_ERR_NOT_FOUND)
		return -1;
	err_clear(err);
	err_set(err, DRAY_ERR_FORMAT, "%s: %s", d->label, d->nameless);
	return err_hint(err, "images are found by their IDs: see \"dray images\"");
}

/* A name that podman gave no registry is one of "localhost". */
static int select_images(struct disk_store *d, const struct selector *sel, struct image_list *l,
			 dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	struct selector local = *sel;

	if (by_repo_digest(l, &local, err) < 0)
		return -1;
	if (image_list_select(l, &local, d->store.place, &e) == 0)
		return 0;
	if (sel->ref && dray_error_kind(e) == DRAY_ERR_NOT_FOUND) {
		cleanup_error dray_error *odd = NULL;
		cleanup_free char *ref = mem_printf("localhost/%s", sel->ref);

		local.ref = ref;
		if (!ref)
			return err_nomem(err);
		if (image_list_select(l, &local, d->store.place, &odd) == 0)
			return 0;
		if (dray_error_kind(odd) == DRAY_ERR_NOMEM)
			return err_nomem(err);
	}
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

/* 1 = @p tag is what @p want means, the default tag added to both; 0 = not, -1. */
static int means(const struct reference *want, const char *tag, dray_error **err)
{
	cleanup_reference struct reference have = { 0 };
	int parsed = disk_reference(tag, &have, err);

	if (parsed <= 0)
		return parsed;
	if (reference_default_tag(&have, err) < 0)
		return -1;
	return have.tag && want->tag && strcmp(have.domain, want->domain) == 0 &&
	       strcmp(have.path, want->path) == 0 && strcmp(have.tag, want->tag) == 0;
}

/* As with an engine, who names a tag gets the image under that tag alone. */
static int keep_tag(struct image *im, const char *ref, dray_error **err)
{
	cleanup_reference struct reference want = { 0 };
	int parsed = disk_reference(ref, &want, err);

	if (parsed <= 0)
		return parsed;
	if (reference_default_tag(&want, err) < 0)
		return -1;
	for (size_t i = 0; i < im->n_tags; i++) {
		int it = means(&want, im->tags[i], err);

		if (it < 0)
			return -1;
		if (!it)
			continue;
		im->tags[0] = im->tags[i];
		im->ref_names[0] = im->ref_names[i];
		im->n_tags = 1;
		return 0;
	}
	return 0;
}

static int disk_images(struct store *st, const struct selector *sel, struct image ***ret,
		       size_t *ret_n, dray_error **err)
{
	struct disk_store *d = (struct disk_store *)st;
	cleanup_image_list struct image_list l = { 0 };

	st->notes.n = d->n_opening_notes; /* listing again tells nothing twice */
	d->nameless = NULL;
	if (d->load(d, &l, err) < 0)
		return err_ctx(err, "%s", d->label);
	disk_sort(&l);
	if (select_images(d, sel, &l, err) < 0)
		return not_found(d, sel, err);
	for (size_t i = 0; i < l.n && !d->listing; i++)
		if (size_layers(d, l.list[i], err) < 0 ||
		    (d->salvage && disk_salvage(d, l.list[i], err) < 0) ||
		    (sel->ref && keep_tag(l.list[i], sel->ref, err) < 0))
			return -1;
	*ret_n = l.n;
	*ret = steal_pointer(&l.list);
	l.n = 0;
	return 0;
}

struct disk_layer *disk_layer_at(const struct disk_store *d, uint64_t number)
{
	return d->layers.slots[number].value;
}

static struct source *disk_open_layer(struct store *st, const struct image *im, size_t i,
				      dray_error **err)
{
	const struct disk_store *d = (const struct disk_store *)st;
	uint64_t number = im->layers[i].handle;

	if (number < d->layers.len) {
		const struct disk_layer *l = disk_layer_at(d, number);

		return disk_layer_remade(l, &im->layers[i].diff_id) ? disk_salvaged_open(l, err)
								    : disk_layer_open(l, err);
	}
	err_set(err, DRAY_ERR_NOT_FOUND, "layer %zu", i + 1);
	return NULL;
}

static int disk_damage(struct store *st, const struct image *im, size_t i, damage_fn *each,
		       void *arg, dray_error **err)
{
	const struct disk_store *d = (const struct disk_store *)st;

	return disk_layer_damage(disk_layer_at(d, im->layers[i].handle), each, arg, err);
}

static void disk_free(struct store *st)
{
	struct disk_store *d = (struct disk_store *)st;

	cleanup_fd_fn(&d->root);
	for (size_t i = 0; i < d->n_more; i++)
		cleanup_fd_fn(&d->more[i].root);
	for (size_t i = 0; i < d->layers.len; i++)
		disk_salvaged_free(d->layers.slots[i].value);
	map_clear(&d->layers);
	notes_clear(&st->notes);
	arena_clear(&st->arena);
	mem_free(d->label);
	mem_free(st->place);
	mem_free(d);
}

static const struct store_ops disk_ops = {
	.images = disk_images,
	.open_layer = disk_open_layer,
	.damage = disk_damage,
	.free = disk_free,
};

struct disk_store *disk_store_new(const char *place, const char *name, int root,
				  const struct place_options *o, dray_error **err)
{
	struct disk_store *d = mem_zalloc(sizeof(*d));

	if (!d) {
		cleanup_fd_fn(&root);
		err_nomem(err);
		return NULL;
	}
	d->root = root;
	d->listing = o && o->listing;
	d->salvage = o && o->salvage;
	d->store.ops = &disk_ops;
	/* As with an archive of docker save: layers uncompressed, by no choice of anybody. */
	d->store.kind = STORE_DOCKER_ARCHIVE;
	d->store.name = name;
	d->store.notes.arena = &d->store.arena;
	d->store.place = mem_strdup(place);
	d->label = text_safe(span_str(place), LABEL_MAX);
	if (!d->store.place || !d->label) {
		store_free(&d->store);
		err_nomem(err);
		return NULL;
	}
	return d;
}

int disk_forgive(dray_error **e, dray_error **err)
{
	if (error_about_bytes(*e)) {
		err_clear(e);
		return 0;
	}
	if (err)
		*err = steal_pointer(e);
	return -1;
}

/* ---- lists ---- */

int texts_add(struct arena *a, struct texts *t, const char *text, dray_error **err)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 4;
		const char **more = arena_array(a, cap, sizeof(*more));

		if (!more)
			return err_nomem(err);
		if (t->n)
			memcpy(more, t->list, t->n * sizeof(*more));
		t->list = more;
		t->cap = cap;
	}
	t->list[t->n++] = text;
	return 0;
}

static bool created_at(const struct image *im, int64_t *sec, int32_t *nsec)
{
	int32_t off;

	return im->config && im->config->created &&
	       time_parse_rfc3339(span_str(im->config->created), sec, nsec, &off);
}

static int newest_first(const void *x, const void *y)
{
	const struct image *a = *(struct image *const *)x, *b = *(struct image *const *)y;
	int64_t sec_a = INT64_MIN, sec_b = INT64_MIN;
	int32_t nsec_a = 0, nsec_b = 0;

	if (!created_at(a, &sec_a, &nsec_a))
		sec_a = INT64_MIN;
	if (!created_at(b, &sec_b, &nsec_b))
		sec_b = INT64_MIN;
	if (sec_a != sec_b)
		return sec_a < sec_b ? 1 : -1;
	if (nsec_a != nsec_b)
		return nsec_a < nsec_b ? 1 : -1;
	return strcmp(a->config_digest_claimed.text, b->config_digest_claimed.text);
}

void disk_sort(struct image_list *l)
{
	if (l->n)
		qsort(l->list, l->n, sizeof(*l->list), newest_first);
	for (size_t i = 0; i < l->n; i++)
		l->list[i]->at = (int64_t)i;
}
