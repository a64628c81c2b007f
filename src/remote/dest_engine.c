/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      an engine as a destination: images go in as an archive that is never whole anywhere.
 * Relies:   on dest_docker_stream() to write it, on engine_load() to carry it.
 * Promises: finishing succeeds only when the engine shows the same image IDs under the same names.
 */
#include "base/mem.h"
#include "remote/engine_priv.h"

/* What the engine must have in the end. */
struct expected {
	struct digest id; /* of the config; unset for an index */
	struct digest manifest;
	const char *name; /* NULL = without one */
};

struct engine_dest {
	struct dest dest;
	struct engine *engine;
	struct dest *archive; /* goes into engine_load() */
	struct arena arena;
	struct expected *list;
	size_t n, cap;
	bool indexes; /* one of them is an index, of which the engine takes what it likes */
};

static int has_blob(struct dest *d, const struct descriptor *desc, dray_error **err)
{
	return dest_has_blob(((struct engine_dest *)d)->archive, desc, err);
}

static int put_blob(struct dest *d, const struct blob_put *put, struct source *data,
		    struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	return dest_put_blob(((struct engine_dest *)d)->archive, put, data, ret_digest, ret_size,
			     err);
}

int engine_name(struct arena *a, const char *tag, const char **ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_error dray_error *why = NULL;
	cleanup_free char *name = NULL;

	*ret = NULL;
	if (!tag || !strpbrk(tag, "/:"))
		return 0;
	if (reference_parse(span_str(tag), &ref, &why) < 0)
		return dray_error_kind(why) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
	if (digest_set(&ref.digest))
		return 0;
	if (reference_default_tag(&ref, err) < 0)
		return -1;
	name = reference_familiar(&ref);
	*ret = name ? arena_strdup(a, name) : NULL;
	return *ret ? 0 : err_nomem(err);
}

/* The archive has no end yet: what it held is not loaded. */
static int refuse_existing(struct engine_dest *e, const char *name, dray_error **err)
{
	struct arena a = { 0 };
	struct engine_image have;
	dray_error *why = NULL;
	int rc = engine_inspect(e->engine, name, &a, &have, &why);

	arena_clear(&a);
	if (rc == 0)
		return err_set(err, DRAY_ERR_USAGE, "%s exists already", name);
	if (dray_error_kind(why) == DRAY_ERR_NOT_FOUND) {
		dray_error_free(why);
		return 0;
	}
	if (err)
		*err = why;
	else
		dray_error_free(why);
	return -1;
}

static int put_manifest(struct dest *d, const struct manifest *m, const char *tag, dray_error **err)
{
	struct engine_dest *e = (struct engine_dest *)d;
	struct expected x = { .manifest = m->digest };

	if (dest_put_manifest(e->archive, m, tag, err) < 0)
		return -1;
	if (manifest_is_artifact(m))
		return 0;
	if (m->kind == MANIFEST_IMAGE)
		x.id = m->config.digest;
	e->indexes = e->indexes || m->kind == MANIFEST_INDEX;
	if (engine_name(&e->arena, tag, &x.name, err) < 0 ||
	    (d->no_clobber && x.name && refuse_existing(e, x.name, err) < 0))
		return -1;
	if (mem_grow(&e->list, e->n, &e->cap, sizeof(*e->list)) < 0)
		return err_nomem(err);
	e->list[e->n++] = x;
	return 0;
}

/* ---- afterwards ---- */

/* An engine on containerd's store counts images by what it stores of them, not by their configs. */
static bool is_it(const struct engine_image *have, const struct expected *x)
{
	return digest_eq(&have->id, &x->id) || digest_eq(&have->id, &x->manifest) ||
	       digest_eq(&have->stored, &x->manifest);
}

/* The image that an index's name leads to is one of those that came with it. */
static bool is_any(const struct engine_dest *e, const struct engine_image *have)
{
	for (size_t i = 0; i < e->n; i++)
		if (is_it(have, &e->list[i]))
			return true;
	return false;
}

static int compare(struct engine_dest *e, const struct expected *x, const char *name,
		   const struct engine_image *have, dray_error **err)
{
	bool index = !digest_set(&x->id);

	if (index ? is_any(e, have) : is_it(have, x))
		return 0;
	return err_mismatch(err, index ? x->manifest.text : x->id.text, have->id.text,
			    "%s: image ID after the load", name);
}

static int check_one(struct engine_dest *e, const struct expected *x, dray_error **err)
{
	const char *name = x->name ? x->name : x->id.text;
	struct arena a = { 0 };
	struct engine_image have;
	int rc = engine_inspect(e->engine, name, &a, &have, err);

	if (rc == 0) {
		rc = compare(e, x, name, &have, err);
	} else if (err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND) {
		err_rekind(err, DRAY_ERR_CORRUPT);
		err_ctx(err, "the engine said that it loaded it, and does not have it");
	}
	arena_clear(&a);
	return rc;
}

static int check_loaded(struct engine_dest *e, dray_error **err)
{
	for (size_t i = 0; i < e->n; i++) {
		const struct expected *x = &e->list[i];
		bool later = false;

		/* Of images of an index an engine takes those it can run. */
		if (!x->name && (e->indexes || !digest_set(&x->id)))
			continue;
		/* The last one to take a name has it. */
		for (size_t k = i + 1; x->name && k < e->n; k++)
			later = later || (e->list[k].name && strcmp(e->list[k].name, x->name) == 0);
		if (!later && check_one(e, x, err) < 0)
			return -1;
	}
	return 0;
}

static int finish(struct dest *d, dray_error **err)
{
	struct engine_dest *e = (struct engine_dest *)d;

	if (dest_finish(e->archive, err) < 0)
		return -1;
	return check_loaded(e, err);
}

static void free_dest(struct dest *d)
{
	struct engine_dest *e = (struct engine_dest *)d;

	dest_free(e->archive);
	engine_free(e->engine);
	arena_clear(&e->arena);
	mem_free(e->list);
	mem_free(d->place);
	mem_free(e);
}

static const struct dest_ops ops = {
	.has_blob = has_blob,
	.put_blob = put_blob,
	.put_manifest = put_manifest,
	.finish = finish,
	.free = free_dest,
};

struct dest *engine_dest(struct engine *e, const char *place, const char *tmpdir, dray_error **err)
{
	cleanup_dest struct dest *d = NULL;
	struct engine_dest *made = mem_zalloc(sizeof(*made));

	if (!made) {
		engine_free(e);
		err_nomem(err);
		return NULL;
	}
	d = &made->dest;
	d->ops = &ops;
	made->engine = e;
	d->place = mem_strdup(place);
	if (!d->place) {
		err_nomem(err);
		return NULL;
	}
	made->archive = dest_docker_stream(engine_load(e, err), tmpdir, err);
	return made->archive ? steal_pointer(&d) : NULL;
}
