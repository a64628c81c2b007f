/* SPDX-License-Identifier: Apache-2.0 */

/* The interface that every place shares: calling through it, notes, freeing.
 * Relies on each back end to fill struct store and its ops.
 * Promises that everything here accepts NULL and half-built objects. */

#include "store/store.h"

#include <stdarg.h>
#include "base/mem.h"

void store_free(struct store *st)
{
	if (st)
		st->ops->free(st);
}

int store_images(struct store *st, const struct selector *sel, struct image ***ret, size_t *ret_n,
		 dray_error **err)
{
	return st->ops->images(st, sel, ret, ret_n, err);
}

struct source *store_open_layer(struct store *st, const struct image *im, size_t i,
				dray_error **err)
{
	return st->ops->open_layer(st, im, i, err);
}

int store_index(struct store *st, const struct digest *d, struct manifest **ret, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;

	if (!st->ops->index)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s has no indexes", st->place);
	if (st->ops->index(st, d, &m, err) < 0)
		return err_ctx(err, "index %s", d->text);
	if (m->kind != MANIFEST_INDEX)
		return err_set(err, DRAY_ERR_FORMAT, "%s is no index", d->text);
	*ret = steal_pointer(&m);
	return 0;
}

char *cosign_tag(const struct digest *d, const char *kind)
{
	const char *hex = digest_hex(d);

	return mem_printf("%.*s-%s.%s", (int)(hex - d->text - 1), d->text, hex, kind);
}

struct source *store_open_layer_at(struct store *st, const struct image *im, size_t i, int64_t off,
				   dray_error **err)
{
	if (off > 0 && st->ops->open_layer_at)
		return st->ops->open_layer_at(st, im, i, off, err);

	cleanup_source struct source *s = store_open_layer(st, im, i, err);
	int64_t got = s ? source_skip(s, off, err) : -1;

	if (got >= 0 && got < off)
		err_set(err, DRAY_ERR_CORRUPT, "its bytes end at %lld, before %lld", (long long)got,
			(long long)off);
	return got == off ? steal_pointer(&s) : NULL;
}

void images_free(struct image **images, size_t n)
{
	for (size_t i = 0; i < n; i++)
		image_free(images[i]);
	mem_free(images);
}

void notes_clear(struct notes *n)
{
	mem_free(n->list);
	n->list = NULL;
	n->n = n->cap = 0;
}

/* A copy in the arena; NULL stays NULL. false = no memory. */
static bool keep(struct arena *a, const char *text, const char **ret)
{
	*ret = text ? arena_strdup(a, text) : NULL;
	return !text || *ret;
}

int notes_add(struct notes *n, bool problem, const char *code, const char *where,
	      const char *expected, const char *actual, dray_error **err, const char *fmt, ...)
{
	struct note note = { .code = code, .problem = problem };
	va_list ap;

	va_start(ap, fmt);
	cleanup_free char *text = mem_vprintf(fmt, ap);
	va_end(ap);
	if (!text || !keep(n->arena, text, &note.message) || !keep(n->arena, where, &note.where) ||
	    !keep(n->arena, expected, &note.expected) || !keep(n->arena, actual, &note.actual))
		return err_nomem(err);
	if (mem_grow(&n->list, n->n, &n->cap, sizeof(*n->list)) < 0)
		return err_nomem(err);
	n->list[n->n++] = note;
	return 0;
}

bool image_is_hole(const struct image *im)
{
	if (im->manifest || im->config)
		return false;
	for (size_t i = 0; i < im->notes.n; i++)
		if (strcmp(im->notes.list[i].code, "blob-missing") == 0)
			return true;
	return false;
}

void image_free(struct image *im)
{
	if (!im)
		return;
	config_free(im->config);
	manifest_free(im->manifest);
	buf_clear(&im->raw_config);
	notes_clear(&im->notes);
	arena_clear(&im->arena);
	mem_free(im);
}
