/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      an engine as a place to read from: what it lists, and what it saves, as it passes.
 * Relies:   on store_open_stream() to walk the archive that GET /images/get streams.
 * Promises: images are chosen from the list before anything is streamed; what then comes is held against the
 *           image IDs of the list; an error that the engine appends to the stream is told in its own words.
 */
#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "remote/engine_priv.h"
#include "store/assemble.h"

struct engine_place {
	struct store store;
	struct engine *engine;
	struct place_options options;
	struct store *saved; /* NULL until something was streamed */
};

/* ---- from the list to images ---- */

static void write_texts(struct jsonw *w, const struct engine_image *from)
{
	const struct {
		const char *name, *value;
	} members[] = {
		{ "architecture", from->arch },
		{ "created", from->created },
		{ "os", from->os },
		{ "variant", from->variant },
	};

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (members[i].value)
			jsonw_kstring(w, members[i].name, members[i].value);
}

/* A config of the members that the list knows; image_set_config() reads it as it reads others. */
static int write_config(const struct engine_image *from, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	write_texts(&w, from);
	jsonw_key(&w, "rootfs");
	jsonw_object(&w);
	jsonw_kstring(&w, "type", "layers");
	jsonw_key(&w, "diff_ids");
	jsonw_array(&w);
	for (size_t i = 0; i < from->n_diff_ids; i++)
		jsonw_string(&w, from->diff_ids[i].text);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

static int fill_listed(struct image *im, const struct engine_image *from, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);

	if (write_config(from, &raw, err) < 0 || image_set_config(im, &raw, NULL, err) < 0 ||
	    image_set_layers(im, from->n_diff_ids, err) < 0 || image_set_diff_ids(im, err) < 0)
		return -1;
	for (size_t i = 0; i < from->n_tags; i++)
		if (image_add_tag(im, from->tags[i], NULL, err) < 0)
			return -1;
	for (size_t i = 0; i < im->n_layers; i++)
		im->layers[i].blob.size = -1;
	if (im->config)
		im->config->digest = from->id;
	if (from->stored_index)
		im->index_digest = from->stored;
	else
		im->wanted = from->stored;
	im->listed = true;
	im->listed_size = from->size;
	return 0;
}

/* @p name is a reference or an ID. */
static int list_one(struct engine_place *p, const char *name, struct image_list *out,
		    dray_error **err)
{
	cleanup_free char *where = mem_printf("docker-daemon:%s", name);
	cleanup_image struct image *im = NULL;
	struct engine_image found;
	struct arena a = { 0 };

	if (!where)
		return err_nomem(err);
	int rc = engine_inspect(p->engine, name, &a, &found, err);
	if (rc == 0)
		rc = image_new(where, &im, err);
	if (rc == 0)
		rc = fill_listed(im, &found, err);
	arena_clear(&a);
	if (rc < 0)
		return -1;
	im->at = (int64_t)out->n;
	return image_list_add(out, steal_pointer(&im), err);
}

static int list_ids(struct engine_place *p, const struct digest *ids, size_t n,
		    struct image_list *out, dray_error **err)
{
	for (size_t i = 0; i < n; i++) {
		dray_error *why = NULL;

		if (list_one(p, ids[i].text, out, &why) == 0)
			continue;
		/* Removed since it was listed. */
		if (dray_error_kind(why) != DRAY_ERR_NOT_FOUND) {
			if (err)
				*err = why;
			else
				dray_error_free(why);
			return -1;
		}
		dray_error_free(why);
	}
	return 0;
}

static int list_all(struct engine_place *p, struct image_list *out, dray_error **err)
{
	struct arena a = { 0 };
	struct digest *ids = NULL;
	size_t n = 0;
	int rc = engine_list(p->engine, &a, &ids, &n, err);

	if (rc == 0)
		rc = list_ids(p, ids, n, out, err);
	arena_clear(&a);
	return rc;
}

/* ---- choosing ---- */

/* As the engine shows it, with a tag: without one it would save all tags of that name. */
static int full_name(const char *text, char **ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };

	if (reference_parse(span_str(text), &ref, err) < 0 || reference_default_tag(&ref, err) < 0)
		return -1;
	*ret = reference_familiar(&ref);
	return *ret ? 0 : err_nomem(err);
}

static int no_such_image(const struct engine_place *p, const char *name, dray_error **err)
{
	if (!err || dray_error_kind(*err) != DRAY_ERR_NOT_FOUND)
		return -1;
	err_clear(err);
	err_set(err, DRAY_ERR_NOT_FOUND, "%s: the engine at %s has no such image", name,
		p->engine->host.text);
	return err_hint(err, "dray images docker-daemon: lists what it has");
}

/* What @p sel means, as listed; *ret_name is set when a name chose it. */
static int choose(struct engine_place *p, const struct selector *sel, struct image_list *ret,
		  char **ret_name, dray_error **err)
{
	if (sel->ref) {
		if (full_name(sel->ref, ret_name, err) < 0)
			return -1;
		return list_one(p, *ret_name, ret, err) < 0 ? no_such_image(p, *ret_name, err) : 0;
	}
	if (selector_by_digest(sel)) {
		const char *id = sel->prefix ? sel->prefix : sel->digest.text;

		return list_one(p, id, ret, err) < 0 ? no_such_image(p, id, err) : 0;
	}
	if (list_all(p, ret, err) < 0)
		return -1;
	return image_list_select(ret, sel, p->store.place, err);
}

/* ---- what the engine saves ---- */

static int add_name(struct buf *path, const char *name, dray_error **err)
{
	if (buf_add_str(path, path->len ? "&names=" : "/images/get?names=", err) < 0)
		return -1;
	return url_query_escape(path, name, err);
}

static int save_path(const struct image_list *chosen, const char *name, char **ret,
		     dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(LIMIT_ENGINE_NAMES);

	if (name && add_name(&path, name, err) < 0)
		return -1;
	for (size_t i = 0; !name && i < chosen->n; i++) {
		const struct image *im = chosen->list[i];

		if (!im->n_tags && add_name(&path, im->config->digest.text, err) < 0)
			return -1;
		for (size_t k = 0; k < im->n_tags; k++)
			if (add_name(&path, im->tags[k], err) < 0)
				return -1;
	}
	*ret = buf_steal_str(&path, err);
	return *ret ? 0 : -1;
}

/* Is @p im what the list promised as @p listed? By its config, or by what containerd's store counts. */
static bool is_listed(const struct image *im, const struct image *listed)
{
	const struct digest *id = &listed->config->digest;
	const struct digest *stored = digest_set(&listed->wanted) ? &listed->wanted
								  : &listed->index_digest;

	if (im->config && digest_eq(&im->config->digest, id))
		return true;
	if (!digest_set(stored))
		return false;
	if (im->manifest &&
	    (digest_eq(&im->manifest->digest, id) || digest_eq(&im->manifest->digest, stored)))
		return true;
	return digest_eq(&im->index_digest, id) || digest_eq(&im->index_digest, stored);
}

/* Does the index that @p listed is lead to @p im? A saved archive lists the image alone, without it. */
static bool leads_to(struct store *saved, const struct image *listed, const struct image *im)
{
	const struct digest *d = &listed->index_digest;
	cleanup_manifest struct manifest *index = NULL;

	if (!digest_set(d) || !im->manifest || store_index(saved, d, &index, NULL) < 0)
		return false;
	for (size_t i = 0; i < index->n_entries; i++)
		if (digest_eq(&index->entries[i].digest, &im->manifest->digest))
			return true;
	return false;
}

static int check_saved(struct store *saved, const struct image_list *chosen,
		       struct image *const *images, size_t n, dray_error **err)
{
	for (size_t i = 0; i < chosen->n; i++) {
		const struct image *listed = chosen->list[i];
		size_t k = 0;

		while (k < n && !is_listed(images[k], listed) &&
		       !leads_to(saved, listed, images[k]))
			k++;
		if (k < n)
			continue;
		err_mismatch(err, listed->config->digest.text,
			     n == 1 && images[0]->config ? images[0]->config->digest.text
							 : "no such image",
			     "%s: image ID of what the engine sent", listed->where);
		return err_hint(err, "if its tag has moved meanwhile, try again");
	}
	return 0;
}

static int save(struct engine_place *p, const struct image_list *chosen, const char *name,
		dray_error **err)
{
	cleanup_free char *path = NULL;

	if (save_path(chosen, name, &path, err) < 0)
		return -1;
	cleanup_source struct source *s = engine_save(p->engine, path, err);
	if (!s)
		return -1;
	p->saved = store_open_stream(p->store.place, source_lend(s, err), &p->options, err);
	if (!p->saved)
		return engine_save_failed(s, p->store.place, err);
	p->store.kind = p->saved->kind;
	return 0;
}

static int saved_images(struct engine_place *p, const struct selector *sel,
			const struct image_list *chosen, struct image ***ret, size_t *ret_n,
			dray_error **err)
{
	const struct selector of_saved = {
		.all = sel->all,
		.platform = sel->platform,
		.all_platforms = sel->all_platforms,
	};
	struct image **images = NULL;
	size_t n = 0;

	if (store_images(p->saved, &of_saved, &images, &n, err) < 0)
		return -1;
	if (check_saved(p->saved, chosen, images, n, err) < 0) {
		images_free(images, n);
		return -1;
	}
	p->store.notes = p->saved->notes; /* lent */
	*ret = images;
	*ret_n = n;
	return 0;
}

/* ---- the store ---- */

static int engine_images(struct store *st, const struct selector *sel, struct image ***ret,
			 size_t *ret_n, dray_error **err)
{
	struct engine_place *p = (struct engine_place *)st;
	cleanup_image_list struct image_list chosen = { 0 };
	cleanup_free char *name = NULL;

	if (choose(p, sel, &chosen, &name, err) < 0)
		return -1;
	if (p->options.listing || !chosen.n) {
		*ret = steal_pointer(&chosen.list);
		*ret_n = chosen.n;
		chosen = (struct image_list){ 0 };
		return 0;
	}
	store_free(steal_pointer(&p->saved));
	if (save(p, &chosen, name, err) < 0)
		return -1;
	return saved_images(p, sel, &chosen, ret, ret_n, err);
}

static struct source *engine_open_layer(struct store *st, const struct image *im, size_t i,
					dray_error **err)
{
	struct engine_place *p = (struct engine_place *)st;

	if (p->saved && !im->listed)
		return store_open_layer(p->saved, im, i, err);
	err_set(err, DRAY_ERR_UNSUPPORTED, "%s: only the list of the engine was read", im->where);
	return NULL;
}

static int engine_index(struct store *st, const struct digest *d, struct manifest **ret,
			dray_error **err)
{
	struct engine_place *p = (struct engine_place *)st;

	if (p->saved && p->saved->ops->index)
		return p->saved->ops->index(p->saved, d, ret, err);
	return err_set(err, DRAY_ERR_NOT_FOUND, "%s has no indexes", st->place);
}

static void engine_place_free(struct store *st)
{
	struct engine_place *p = (struct engine_place *)st;

	store_free(p->saved); /* with the notes */
	engine_free(p->engine);
	mem_free(st->place);
	mem_free(p);
}

static const struct store_ops engine_ops = {
	.images = engine_images,
	.open_layer = engine_open_layer,
	.index = engine_index,
	.free = engine_place_free,
};

struct store *engine_store(struct engine *e, const char *place, const struct place_options *o,
			   dray_error **err)
{
	struct engine_place *p = mem_zalloc(sizeof(*p));
	char *text = mem_strdup(place);

	if (!p || !text) {
		mem_free(p);
		mem_free(text);
		engine_free(e);
		err_nomem(err);
		return NULL;
	}
	p->store.ops = &engine_ops;
	p->store.kind = STORE_DOCKER_ARCHIVE;
	p->store.place = text;
	p->store.forward_only = true;
	p->engine = e;
	if (o)
		p->options = *o;
	return &p->store;
}
