/* SPDX-License-Identifier: Apache-2.0
 *
 * Store paths as a source: those that a closure describes, out of the store on this host.
 * Relies on build/closure for what is described, on build/walk for the files.
 * Promises that a path which is described and not there is an error, and that nothing else of
 * the store is looked at.
 */
#include "ops/build.h"

#include <fcntl.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "build/walk.h"

static int read_closure(struct build *b, const struct spec_source *s, struct closure *ret,
			dray_error **err)
{
	const struct closure_options o = {
		.store = s->store,
		.key = s->key,
		.ignore_missing = s->ignore_missing == SPEC_YES,
		.roots = s->roots.list,
		.n_roots = s->roots.n,
	};
	cleanup_buf struct buf text = { 0 };
	cleanup_free char *shown = text_safe(span_str(s->graph), 4096);

	(void)b;
	if (!shown)
		return err_nomem(err);
	if (io_read_file(AT_FDCWD, s->graph, LIMIT_CLOSURE, &text, err) < 0 ||
	    closure_read(span_buf(&text), &o, ret, err) < 0)
		return err_ctx(err, "%s", shown);
	return 0;
}

/* All paths lie in one store, whose name the first of them tells. */
static int walk_units(const struct walk *w, const struct closure *c, size_t store,
		      struct layer_index *ret, dray_error **err)
{
	cleanup_free const char **names = mem_alloc_array(c->n + 1, sizeof(*names));

	if (!names)
		return err_nomem(err);
	for (size_t i = 0; i < c->n; i++)
		names[i] = c->units[i].path + store + 1;
	return walk_names(w, names, c->n, ret, err);
}

int build_take_closure(struct build *b, const struct spec_source *s, const struct policy *p,
		       struct layer_index *ret, dray_error **err)
{
	struct walk w = { .in = &b->in, .policy = p, .xattrs = &s->xattrs };
	struct deal_closure *c;
	const char *path;
	size_t store;

	if (mem_grow(&b->closures, b->n_closures, &b->cap_closures, sizeof(*b->closures)) < 0)
		return err_nomem(err);
	c = &b->closures[b->n_closures++];
	*c = (struct deal_closure){ .source = (uint32_t)(s - b->spec->sources) };
	if (read_closure(b, s, &c->closure, err) < 0)
		return -1;
	if (c->closure.n == 0)
		return 0;
	path = c->closure.units[0].path;
	store = (size_t)(strrchr(path, '/') - path);
	w.to = arena_strndup(&b->arena, path + 1, store - 1);
	w.root = s->from ? s->from : arena_strndup(&b->arena, path, store);
	if (!w.to || !w.root)
		return err_nomem(err);
	return walk_units(&w, &c->closure, store, ret, err);
}
