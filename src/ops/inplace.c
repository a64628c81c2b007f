/* SPDX-License-Identifier: Apache-2.0
 *
 * edit --in-place: an archive's documents give way, its layers are not touched; other places are
 * edited into themselves. Relies on store/amend for the one write that counts, on inplace_*.c for
 * the documents. Promises that no layer is read, and none written where the layout allows it.
 */
#include "ops/inplace.h"

#include "base/limits.h"
#include "base/mem.h"
#include "ops/copy_run.h"

DEFINE_CLEANUP(dray_copy_result, cleanup_result_fn, dray_copy_free)
#define cleanup_result CLEANUP(cleanup_result_fn)

/* ---- an archive and its images ---- */

/* One edit of one archive. */
struct place_edit {
	struct inplace p;
	struct edit edit;
	struct store *store;
	struct image **images;
	size_t n_images;
};

static void place_edit_clear(struct place_edit *j)
{
	mem_free(j->p.list);
	map_clear(&j->p.new_files);
	map_clear(&j->p.new_configs);
	map_clear(&j->p.needed);
	map_clear(&j->p.moved);
	map_clear(&j->p.met);
	map_clear(&j->p.kept);
	arena_clear(&j->p.arena);
	amend_clear(&j->p.amend);
	images_free(j->images, j->n_images);
	store_free(j->store);
}
#define cleanup_place_edit CLEANUP(place_edit_clear)

/* An entry of index.json has one name: another one with the same digest is another image's. */
static int keep_names(struct place_edit *j, const char *ref, dray_error **err)
{
	j->p.by_name = true;
	for (size_t i = 0; i < j->n_images; i++)
		if (image_keep_names(j->images[i], ref, err) < 0)
			return -1;
	return 0;
}

/* Of an index all images are edited, or those of the platforms asked for. */
static int choose(struct place_edit *j, dray_context *ctx, const struct place *at,
		  const struct dray_copy_options *o, dray_error **err)
{
	struct selector sel;
	bool whole = at->kind == PLACE_OCI_ARCHIVE;

	if (place_selector(ctx, at, o->image, o->all, &j->p.arena, &sel, err) < 0 ||
	    (!whole && store_lists_indexes(j->store, &whole, err) < 0))
		return -1;
	if (whole) {
		j->edit.which = sel;
		sel.platform = (struct platform){ 0 };
		sel.more = NULL;
		sel.n_more = 0;
		sel.all_platforms = true;
	}
	if (store_images(j->store, &sel, &j->images, &j->n_images, err) < 0)
		return -1;
	if (j->n_images == 0)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s holds no image", at->text);
	j->p.docker = j->store->kind == STORE_DOCKER_ARCHIVE && !whole;
	j->p.named = amend_find(&j->p.amend, SPAN_LIT("manifest.json")) != NULL;
	j->edit.whole_names = j->p.named;
	context_notes(ctx, &j->store->notes);
	return j->p.docker || !sel.ref ? 0 : keep_names(j, sel.ref, err);
}

static int check_store(const struct place_edit *j, const struct place *at, dray_error **err)
{
	if (j->store->kind == STORE_DOCKER_ARCHIVE || j->store->kind == STORE_OCI_LAYOUT)
		return 0;
	err_set(err, DRAY_ERR_UNSUPPORTED,
		"%s: an archive without manifest.json and index.json is not edited in place",
		at->text);
	return err_hint(err, "dray edit %s -o NEW.tar", at->text);
}

/* ---- what becomes of each image ---- */

static int keep_old(struct inplace *p, const struct image *im, struct inplace_change *c,
		    dray_error **err)
{
	const char **tags = arena_array(&p->arena, im->n_tags + 1, sizeof(*tags));

	if (!tags)
		return err_nomem(err);
	for (size_t i = 0; i < im->n_tags; i++)
		tags[i] = im->tags[i];
	c->old_tags = tags;
	c->n_old_tags = im->n_tags;
	if (im->config)
		c->old_config = im->config->digest;
	if (im->manifest)
		c->old_manifest = im->manifest->digest;
	return inplace_v1_top(p, im, &c->old_v1, err);
}

/* As the writer of the archive named the old one. */
static const char *config_name(struct inplace *p, const struct image *im)
{
	const struct digest *d = &im->config->digest;
	struct span old = span_str(im->config_path);

	if (span_starts(old, "./"))
		old = span_from(old, 2);
	if (span_starts(old, "blobs/"))
		return arena_printf(&p->arena, "blobs/sha256/%s", digest_hex(d));
	if (span_starts(old, "sha256:"))
		return arena_strdup(&p->arena, d->text);
	return arena_printf(&p->arena, "%s.json", digest_hex(d));
}

static int put_config(struct inplace *p, struct inplace_change *c, dray_error **err)
{
	struct image *im = c->im;

	if (digest_eq(&c->old_config, &im->config->digest))
		return 0;
	c->config_path = config_name(p, im);
	if (!c->config_path)
		return err_nomem(err);
	if (map_put(&p->new_files, span_str(c->config_path), im, err) < 0)
		return -1;
	return amend_put(&p->amend, c->config_path, span_buf(&im->config->raw), err);
}

static int edit_one(struct place_edit *j, struct image *im, dray_error **err)
{
	struct inplace *p = &j->p;
	struct inplace_change c = { .im = im };
	size_t before = j->edit.n_meant;

	if (keep_old(p, im, &c, err) < 0 || edit_image(&j->edit, im, err) < 0)
		return -1;
	if (j->edit.n_meant == before) /* of another platform, or no image at all */
		return 0;
	if (put_config(p, &c, err) < 0 || inplace_v1(p, &c, err) < 0 ||
	    map_put(&p->new_configs, span_str(im->config->digest.text), im, err) < 0)
		return -1;
	p->list[p->n++] = c;
	return 0;
}

/* A tag is one image's, or one index's. */
static int check_tags(const struct inplace *p, dray_error **err)
{
	for (size_t i = 1; p->o->n_tags && i < p->n; i++)
		if (!digest_eq(&p->list[0].im->root, &p->list[i].im->root))
			return err_set(err, DRAY_ERR_USAGE,
				       "several images cannot have one tag: choose one with "
				       "--image");
	return 0;
}

static int edit_images(struct place_edit *j, const struct place *at, dray_error **err)
{
	j->p.list = mem_alloc_array(j->n_images, sizeof(*j->p.list));
	if (!j->p.list)
		return err_nomem(err);
	for (size_t i = 0; i < j->n_images; i++)
		if (edit_one(j, j->images[i], err) < 0)
			return -1;
	if (j->p.n == 0)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s holds no image of that platform",
			       at->text);
	return check_tags(&j->p, err);
}

/* The config's file, and where a link it is that to which it leads: no old text stays. */
static int drop_file(struct inplace *p, const char *path, dray_error **err)
{
	struct span name, next;

	if (inplace_clean(p, path, &name, err) < 0)
		return -1;
	for (int i = 0; name.data && i <= INPLACE_LINKS; i++) {
		if (inplace_follow(p, name, &next, err) < 0)
			return -1;
		if (!map_find(&p->new_files, name))
			amend_drop(&p->amend, name);
		name = next;
	}
	return 0;
}

static int drop_blob(struct inplace *p, const struct inplace_change *c, dray_error **err)
{
	const char *name = inplace_blob(p, &c->old_config);

	if (!name)
		return err_nomem(err);
	if (!map_find(&p->new_configs, span_str(c->old_config.text)))
		amend_drop(&p->amend, span_str(name));
	return 0;
}

static int drop_configs(struct inplace *p, dray_error **err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct inplace_change *c = &p->list[i];

		if (!c->config_path)
			continue;
		if (inplace_drop_v1(p, c, err) < 0)
			return -1;
		if (c->config_shared)
			continue;
		if (drop_file(p, c->im->config_path, err) < 0 ||
		    (c->config_blob && drop_blob(p, c, err) < 0))
			return -1;
	}
	return 0;
}

static int edit_documents(struct inplace *p, dray_error **err)
{
	return inplace_list(p, err) < 0 || inplace_index(p, err) < 0 ||
			       inplace_repositories(p, err) < 0
		       ? -1
		       : drop_configs(p, err);
}

/* ---- the result ---- */

/* Is image @p i one of several of an index? They stand side by side. */
static bool has_siblings(const struct inplace *p, size_t i)
{
	const struct digest *root = &p->list[i].im->root;

	return (i > 0 && digest_eq(root, &p->list[i - 1].im->root)) ||
	       (i + 1 < p->n && digest_eq(root, &p->list[i + 1].im->root));
}

static int tell_image(const struct inplace_change *c, struct arena *a, struct dray_copied *ret,
		      dray_error **err)
{
	const struct manifest *m = c->im->manifest;

	ret->kind = "image";
	ret->image_id = arena_strdup(a, c->im->config->digest.text);
	ret->manifest_digest = m ? arena_strdup(a, m->digest.text) : NULL;
	return ret->image_id && (!m || ret->manifest_digest) ? 0 : err_nomem(err);
}

static int tell_index(const struct inplace *p, const struct inplace_change *c, struct arena *a,
		      struct dray_copied *ret, dray_error **err)
{
	const struct digest *root = &c->im->root;
	const struct inplace_moved *m = map_get(&p->moved, span_str(root->text));

	ret->kind = "index";
	ret->manifest_digest = arena_strdup(a, m ? m->digest.text : root->text);
	for (size_t i = 0; i < p->n; i++)
		ret->n_manifests += digest_eq(&p->list[i].im->root, root);
	return ret->manifest_digest ? 0 : err_nomem(err);
}

static int tell(const struct inplace *p, size_t i, const char *path,
		const struct amend_result *done, struct arena *a, struct dray_copied *ret,
		dray_error **err)
{
	static const char *const anew[] = {
		"the archive was copied as a whole, for layers lie behind its documents"
	};
	const struct inplace_change *c = &p->list[i];

	*ret = (struct dray_copied){ .changes = anew,
				     .n_changes = done->anew,
				     .blobs_skipped = (int64_t)c->im->n_layers };
	if ((has_siblings(p, i) ? tell_index(p, c, a, ret, err) : tell_image(c, a, ret, err)) < 0)
		return -1;
	ret->reference = arena_printf(a, "%s@%s", path,
				      ret->image_id ? ret->image_id : ret->manifest_digest);
	if (c->im->n_tags)
		ret->tagged = arena_printf(a, "%s:%s", path, c->im->tags[0]);
	return ret->reference && (!c->im->n_tags || ret->tagged) ? 0 : err_nomem(err);
}

static int tell_all(const struct inplace *p, const char *path, const struct amend_result *done,
		    dray_copy_result *r, dray_error **err)
{
	for (size_t i = 0; i < p->n; i++) {
		/* One line for an index. */
		if (i > 0 && digest_eq(&p->list[i].im->root, &p->list[i - 1].im->root))
			continue;
		if (mem_grow(&r->list, r->n, &r->cap, sizeof(*r->list)) < 0)
			return err_nomem(err);
		if (tell(p, i, path, done, &r->arena, &r->list[r->n], err) < 0)
			return -1;
		r->n++;
	}
	return 0;
}

/* ---- doors ---- */

static int open_amend(struct amend *a, const struct place *at, dray_error **err)
{
	if (strcmp(at->path, "-") == 0)
		return err_set(err, DRAY_ERR_USAGE, "a pipe cannot be edited in place");
	if (amend_open(a, at->path, err) == 0)
		return 0;
	err_ctx(err, "%s", at->text);
	if (err && *err && dray_error_kind(*err) == DRAY_ERR_UNSUPPORTED)
		return err_hint(err, "dray edit %s -o NEW.tar", at->text);
	return -1;
}

static int edit_archive(dray_context *ctx, const struct place *at,
			const struct dray_edit_options *e, const struct dray_copy_options *o,
			dray_copy_result *result, dray_error **err)
{
	cleanup_place_edit struct place_edit j = { .p = { .o = e, .amend = AMEND_INIT },
						   .edit = { .o = e } };
	struct amend_result done;

	if (open_amend(&j.p.amend, at, err) < 0 || place_open(ctx, at, NULL, &j.store, err) < 0 ||
	    check_store(&j, at, err) < 0 || choose(&j, ctx, at, o, err) < 0 ||
	    edit_images(&j, at, err) < 0)
		return -1;
	if (edit_documents(&j.p, err) < 0 || amend_commit(&j.p.amend, &done, err) < 0)
		return err_ctx(err, "%s", at->text);
	return tell_all(&j.p, at->path, &done, result, err);
}

/* Places that hold more than documents are written to as ever, under the name they were read by. */
static int check_other(const struct place *at, const struct dray_edit_options *e, dray_error **err)
{
	switch (at->kind) {
	case PLACE_DIR:
		return 0;
	case PLACE_OCI_DIR:
	case PLACE_DIRECTORY:
	case PLACE_REGISTRY:
	case PLACE_DAEMON:
		break;
	default:
		return err_set(err, DRAY_ERR_UNSUPPORTED, "%s is not edited in place", at->text);
	}
	if (e->tags)
		return err_set(err, DRAY_ERR_USAGE,
			       "%s: --tag in place is for archives; name the result with -o",
			       at->text);
	if (digest_set(&at->digest) || (at->kind == PLACE_REGISTRY && digest_set(&at->ref.digest)))
		return err_set(err, DRAY_ERR_USAGE, "%s: what a digest names never changes",
			       at->text);
	return 0;
}

/* The one name of all images that are meant; lent by them. */
static int sole_name(const struct place_edit *j, const char *where, const char **ret,
		     dray_error **err)
{
	const char *name = NULL;

	for (size_t i = 0; i < j->n_images; i++) {
		const struct image *im = j->images[i];

		for (size_t k = 0; k < im->n_tags; k++) {
			if (name && strcmp(name, im->tags[k]) != 0) {
				err_set(err, DRAY_ERR_USAGE, "%s: there are several names", where);
				return err_hint(err, "--image NAME chooses one");
			}
			name = im->tags[k];
		}
	}
	*ret = name;
	return name ? 0
		    : err_set(err, DRAY_ERR_USAGE, "%s: name the tag that is to lead to the result",
			      where);
}

/*
 * The layout is written under @p name, with all that this leads to: was just that chosen? Images
 * without a name may be beside it, and an image of an index has none of its own.
 */
static int check_name_means(const struct place_edit *j, const struct selector *chosen,
			    const char *name, const char *where, dray_error **err)
{
	struct selector sel = { .ref = name, .all = chosen->all, .all_platforms = true };
	struct image **images = NULL;
	size_t n = 0;

	if (store_images(j->store, &sel, &images, &n, err) < 0)
		return -1;
	images_free(images, n);
	if (j->n_images > n) {
		err_set(err, DRAY_ERR_USAGE,
			"%s holds several images, some without a name: choose one", where);
		return err_hint(err, "--image NAME chooses one");
	}
	if (j->n_images == n)
		return 0;
	err_set(err, DRAY_ERR_UNSUPPORTED,
		"%s: one image of an index is not edited in place by its digest", where);
	return err_hint(err, "name the tag; --platform chooses in it");
}

static int name_layout(struct place_edit *j, struct selector *sel, const struct place *at,
		       char **ret, dray_error **err)
{
	const char *name = NULL;

	sel->platform = (struct platform){ 0 };
	sel->more = NULL;
	sel->n_more = 0;
	sel->all_platforms = true;
	if (store_images(j->store, sel, &j->images, &j->n_images, err) < 0 ||
	    (sel->ref && keep_names(j, sel->ref, err) < 0) ||
	    sole_name(j, at->text, &name, err) < 0 ||
	    check_name_means(j, sel, name, at->text, err) < 0)
		return -1;
	*ret = mem_printf("oci:%s:%s", at->path, name);
	return *ret ? 0 : err_nomem(err);
}

/* "oci:PATH:NAME" by the name that was found, whatever was typed; "dir:PATH". The caller's. */
static int name_folder(dray_context *ctx, const struct place *at, const struct dray_copy_options *o,
		       char **ret, dray_error **err)
{
	cleanup_place_edit struct place_edit j = { .p = { .amend = AMEND_INIT } };
	struct selector sel;

	if (place_open(ctx, at, NULL, &j.store, err) < 0 ||
	    place_selector(ctx, at, o->image, o->all, &j.p.arena, &sel, err) < 0)
		return -1;
	if (j.store->kind == STORE_OCI_LAYOUT)
		return name_layout(&j, &sel, at, ret, err);
	if (j.store->kind != STORE_DIR)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "%s is not edited in place", at->text);
	*ret = mem_printf("dir:%s", at->path);
	return *ret ? 0 : err_nomem(err);
}

/* What was read from a registry goes back there: a bare name to write to may be a path. */
static int edit_registry(dray_context *ctx, const char *image, const struct dray_edit_options *e,
			 const struct dray_copy_options *o, dray_copy_result **ret,
			 dray_error **err)
{
	cleanup_free char *text = mem_printf("%s%s", place_prefixed(image) ? "" : "docker://",
					     image);

	return text ? dray_edit(ctx, text, text, e, o, ret, err) : err_nomem(err);
}

/* A copy onto itself. */
static int edit_other(dray_context *ctx, const char *image, const struct place *at,
		      const struct dray_edit_options *e, const struct dray_copy_options *o,
		      dray_copy_result **ret, dray_error **err)
{
	struct dray_copy_options named = *o;
	cleanup_free char *text = NULL;

	if (check_other(at, e, err) < 0)
		return -1;
	if (at->kind == PLACE_DAEMON && !at->tag)
		return err_set(err, DRAY_ERR_USAGE,
			       "%s: name the tag that is to lead to the result", at->text);
	if (at->kind == PLACE_REGISTRY)
		return edit_registry(ctx, image, e, o, ret, err);
	if (at->kind == PLACE_DAEMON || at->kind == PLACE_DIR)
		return dray_edit(ctx, image, image, e, o, ret, err);
	if (name_folder(ctx, at, o, &text, err) < 0)
		return -1;
	named.image = NULL;
	named.all = false;
	return dray_edit(ctx, text, text, e, &named, ret, err);
}

int dray_edit_in_place(dray_context *ctx, const char *image, const struct dray_edit_options *e,
		       const struct dray_copy_options *o, dray_copy_result **ret, dray_error **err)
{
	struct dray_copy_options own = DRAY_COPY_OPTIONS_INIT;
	struct dray_edit_options own_edit = DRAY_EDIT_OPTIONS_INIT;
	cleanup_result dray_copy_result *result = NULL;
	cleanup_place struct place at = { 0 };

	e = options_take(&own_edit, sizeof(own_edit), e);
	o = options_take(&own, sizeof(own), o);
	if (edit_check_steps(e, err) < 0 || place_parse(image, PLACE_READ, &at, err) < 0)
		return -1;
	if (at.kind != PLACE_ARCHIVE && at.kind != PLACE_OCI_ARCHIVE)
		return edit_other(ctx, image, &at, e, o, ret, err);
	result = mem_zalloc(sizeof(*result));
	if (!result)
		return err_nomem(err);
	if (edit_archive(ctx, &at, e, o, result, err) < 0)
		return -1;
	*ret = steal_pointer(&result);
	return 0;
}
