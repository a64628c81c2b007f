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
#include "json/json.h"

#define DEFAULT_STORE "/nix/store"

/* ---- store paths that the config names ---- */

struct scan {
	struct build *b;
	const char *store; /* with its slash */
	struct map seen;
	const char **list;
	size_t n, cap;
};

static void scan_clear(struct scan *s)
{
	map_clear(&s->seen);
	mem_free(s->list);
}
#define cleanup_scan CLEANUP(scan_clear)

/* What names of store paths are made of, as Nix has it. */
static size_t name_len(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._?=");
}

static int scan_text(struct scan *s, const char *text, dray_error **err)
{
	size_t len = strlen(s->store);

	for (const char *at = text; (at = strstr(at, s->store)); at += len) {
		size_t n = name_len(at + len);
		const char *path;

		if (n == 0 || map_get(&s->seen, span_of(at, len + n)))
			continue;
		path = arena_strndup(&s->b->arena, at, len + n);
		if (!path || mem_grow(&s->list, s->n, &s->cap, sizeof(*s->list)) < 0)
			return err_nomem(err);
		s->list[s->n++] = path;
		if (map_put(&s->seen, span_str(path), s, err) < 0)
			return -1;
	}
	return 0;
}

static int scan_value(struct scan *s, struct json v, dray_error **err)
{
	const char *text;

	if (json_type(v) != JSON_STRING)
		return 0;
	return json_string(v, "config", &s->b->arena, &text, err) < 0 ? -1
								      : scan_text(s, text, err);
}

/* All strings of a value, however deep they lie. */
static int scan_json(struct scan *s, struct span text, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	struct json levels[LIMIT_JSON_DEPTH + 1];
	size_t depth = 0;

	if (text.len == 0)
		return 0;
	if (json_parse(text, &doc, err) < 0 || scan_value(s, json_root(doc), err) < 0)
		return -1;
	if (json_type(json_root(doc)) == JSON_ARRAY || json_type(json_root(doc)) == JSON_OBJECT)
		levels[depth++] = json_first(json_root(doc));
	while (depth > 0) {
		struct json v = levels[depth - 1];

		if (!json_node(v)) {
			depth--;
			continue;
		}
		levels[depth - 1] = json_next(v);
		if (scan_value(s, v, err) < 0)
			return -1;
		if (json_type(v) == JSON_ARRAY || json_type(v) == JSON_OBJECT)
			levels[depth++] = json_first(v);
	}
	return 0;
}

static int scan_pairs(struct scan *s, const struct spec_pairs *p, dray_error **err)
{
	for (size_t i = 0; i < p->n; i++)
		if (scan_json(s, p->list[i].json, err) < 0)
			return -1;
	return 0;
}

static int scan_config(struct scan *s, const struct spec_config *c, dray_error **err)
{
	const struct span all[] = { c->user,  c->entrypoint,  c->cmd,	     c->workdir,
				    c->shell, c->healthcheck, c->stop_signal };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (scan_json(s, all[i], err) < 0)
			return -1;
	return scan_pairs(s, &c->env, err) < 0 ? -1 : scan_pairs(s, &c->labels, err);
}

/* The spec's own config: what a base's names is the base's. */
static int find_named(struct scan *s, const struct spec_source *src, dray_error **err)
{
	const char *store = src->store ? src->store : DEFAULT_STORE;
	size_t len = strlen(store);

	if (src->scan_config != SPEC_YES)
		return 0;
	while (len > 1 && store[len - 1] == '/')
		len--;
	s->store = arena_printf(&s->b->arena, "%.*s/", (int)len, store);
	return s->store ? scan_config(s, &s->b->spec->config, err) : err_nomem(err);
}

static void warn_unknown(const struct scan *s, const struct closure *c)
{
	for (size_t i = 0; i < s->n; i++)
		if (!closure_find(c, s->list[i]))
			context_log(s->b->ctx, DRAY_LOG_WARNING,
				    "the config names %s, which the closure does not describe",
				    s->list[i]);
}

/* ---- the closure ---- */

static int read_text(const struct spec_source *s, const struct closure_options *o,
		     struct closure *ret, dray_error **err)
{
	const char *path = s->graph ? s->graph : s->paths;
	cleanup_buf struct buf text = { 0 };
	cleanup_free char *shown = text_safe(span_str(path), 4096);

	if (!shown)
		return err_nomem(err);
	if (io_read_file(AT_FDCWD, path, LIMIT_CLOSURE, &text, err) < 0 ||
	    (text.len == 0 && build_check_written(path, err) < 0) ||
	    closure_read(span_buf(&text), o, ret, err) < 0)
		return err_ctx(err, "%s", shown);
	return 0;
}

static int read_closure(struct build *b, const struct spec_source *s, struct closure *ret,
			dray_error **err)
{
	cleanup_scan struct scan scan = { .b = b };
	struct closure_options o = {
		.store = s->store,
		.key = s->key,
		.ignore_missing = s->ignore_missing == SPEC_YES,
		.roots = s->roots.list,
		.n_roots = s->roots.n,
	};

	if (find_named(&scan, s, err) < 0)
		return -1;
	o.extra = scan.list;
	o.n_extra = scan.n;
	if (read_text(s, &o, ret, err) < 0)
		return -1;
	warn_unknown(&scan, ret);
	return 0;
}

/* What is left out of a closure. */
struct omit {
	struct build *b;
	struct match_list out; /* "exclude" */
	struct match_path parts;
	const char *lower_store; /* where the base has the store; NULL = nobody asks */
};
static void omit_clear(struct omit *o)
{
	match_path_clear(&o->parts);
}
#define cleanup_omit CLEANUP(omit_clear)

/* @p store: where the store goes, cleaned. */
static int omit_begin(struct omit *o, const struct spec_source *s, const char *store,
		      dray_error **err)
{
	const char *how = o->b->spec->base.dedupe;

	if (match_parse_all(&o->b->arena, s->exclude.list, s->exclude.n, &o->out, err) < 0)
		return -1;
	if (!o->b->lower || !how || strcmp(how, "unit") != 0)
		return 0;
	o->lower_store = store;
	return o->b->merge.follow ? merge_resolve(&o->b->merge, store, &o->lower_store, err) : 0;
}

/* Has nothing below the base's @p top been taken away by a rule or a whiteout? 1, 0, -1. */
static int is_whole(const struct build *b, const struct node *top, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);
	const struct node *end = tree_skip(top);

	for (const struct node *n = tree_next(top); n != end; n = tree_next(n)) {
		if (node_path(n, &path, err) < 0)
			return -1;
		if (!tree_find(b->tree, (const char *)path.data))
			return 0;
	}
	return 1;
}

/* "dedupe": "unit": what has the same name in the base is the same, if it is whole. 1, 0, -1. */
static int base_has(const struct omit *o, const char *name, dray_error **err)
{
	const char *path = arena_printf(&o->b->arena, "%s/%s", o->lower_store, name);
	const struct node *n = path ? tree_find(o->b->tree, path) : NULL, *top;

	if (!path)
		return err_nomem(err);
	top = n && n->layer < o->b->n_base ? tree_find(o->b->lower, path) : NULL;
	return top ? is_whole(o->b, top, err) : 0;
}

/* Is the store path @p path, called @p name there, left out? 1, 0, -1. */
static int is_omitted(struct omit *o, const char *path, const char *name, dray_error **err)
{
	int rc;

	if (o->out.n > 0 && match_path_set(&o->parts, path + 1, err) < 0)
		return -1;
	if (o->out.n > 0 && match_any(&o->out, &o->parts, true))
		return 1;
	rc = o->lower_store ? base_has(o, name, err) : 0;
	o->b->n_same += rc > 0;
	return rc;
}

/* All paths lie in one store, whose name the first of them tells; @p skip is its length. */
static int walk_units(struct build *b, const struct spec_source *s, const struct walk *w,
		      const struct closure *c, size_t skip, struct layer_index *ret,
		      dray_error **err)
{
	cleanup_free const char **names = mem_alloc_array(c->n + 1, sizeof(*names));
	cleanup_omit struct omit o = { .b = b };
	size_t n = 0;

	if (!names)
		return err_nomem(err);
	if (omit_begin(&o, s, w->to, err) < 0)
		return -1;
	for (size_t i = 0; i < c->n; i++) {
		int rc = is_omitted(&o, c->units[i].path, c->units[i].path + skip + 1, err);

		if (rc < 0)
			return -1;
		if (rc == 0)
			names[n++] = c->units[i].path + skip + 1;
	}
	return n > 0 ? walk_names(w, names, n, ret, err) : 0;
}

int build_take_closure(struct build *b, const struct spec_source *s, const struct policy *p,
		       struct layer_index *ret, dray_error **err)
{
	struct walk w = {
		.in = &b->in, .policy = p, .xattrs = &s->xattrs, .pool = build_lookers(b)
	};
	struct deal_closure *c;
	const char *path;
	size_t store;

	if (mem_grow(&b->closures, b->n_closures, &b->cap_closures, sizeof(*b->closures)) < 0)
		return err_nomem(err);
	c = &b->closures[b->n_closures++];
	*c = (struct deal_closure){ .source = (uint32_t)(s - b->spec->sources) };
	if (read_closure(b, s, &c->closure, err) < 0)
		return -1;
	if (c->closure.n == 0 || (s->share && strcmp(s->share, "links-only") == 0))
		return 0;
	path = c->closure.units[0].path;
	store = (size_t)(strrchr(path, '/') - path);
	w.to = arena_strndup(&b->arena, path + 1, store - 1);
	w.root = s->from ? s->from : arena_strndup(&b->arena, path, store);
	if (!w.to || !w.root)
		return err_nomem(err);
	return walk_units(b, s, &w, &c->closure, store, ret, err);
}
