/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of images as a source: some paths of another one, or those of the base that rules change.
 * Relies on ops/stack for the tree and for the bytes, which it proves.
 * Promises that links are entries like any other: none is followed, one that leads nowhere is fine.
 */
#include "ops/build.h"

#include <stdlib.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "layer/sparse.h"
#include "ops/stack_priv.h"

/* A file whose bytes are wanted, and the entry that wants them. */
struct wish {
	const struct layer_entry *from;
	size_t read;  /* distinct layer of the stack */
	size_t entry; /* of the new index */
};
struct taker {
	struct build *b;
	struct stack *s;
	struct layer_index *ix;
	struct wish *list;
	size_t n, cap;
	struct map names; /* address of an inode with several names -> its first path */
	struct buf path;
	struct match_path parts;
	/* while bytes pass */
	const struct wish *at;
	int fd;
	struct sink *out;
};

static void taker_clear(struct taker *t)
{
	mem_free(t->list);
	map_clear(&t->names);
	buf_clear(&t->path);
	match_path_clear(&t->parts);
	sink_free(t->out);
}
#define cleanup_taker CLEANUP(taker_clear)

/* ---- entries ---- */

static int want(struct taker *t, const struct node *n, dray_error **err)
{
	if (mem_grow(&t->list, t->n, &t->cap, sizeof(*t->list)) < 0)
		return err_nomem(err);
	t->list[t->n++] = (struct wish){ n->inode->data, t->s->which[n->inode->data_layer],
					 t->ix->n - 1 };
	return 0;
}

/* A name that was met: the others become hard links to it. */
static int find_first(struct taker *t, const struct node *n, struct layer_entry *e,
		      dray_error **err)
{
	struct span key = span_of(&n->inode, sizeof(n->inode));
	const char *first = n->inode->n_names > 1 ? map_get(&t->names, key) : NULL;

	if (first) {
		e->type = TAR_HARDLINK;
		e->link = first;
		e->size = 0;
		return 1;
	}
	return n->inode->n_names > 1 ? map_put(&t->names, key, (void *)(uintptr_t)e->path, err) : 0;
}

/* The tree, which may have put them together, goes before the entry does. */
static int own_xattrs(struct taker *t, struct layer_entry *e, dray_error **err)
{
	const struct layer_xattrs *from = e->xattrs;
	struct layer_xattrs *x;
	size_t size;

	if (!from)
		return 0;
	size = sizeof(*x) + from->n * sizeof(x->list[0]);
	x = arena_alloc(&t->b->arena, size);
	if (!x)
		return err_nomem(err);
	memcpy(x, from, size);
	e->xattrs = x;
	return 0;
}

static int add_node(struct taker *t, const struct node *n, const char *path, const struct policy *p,
		    dray_error **err)
{
	struct layer_entry *e = entries_add(t->ix, path, node_type(n), err);
	const struct layer_entry *data = n->inode->data;
	int rc;

	if (!e)
		return -1;
	*e = *node_attributes(n);
	e->path = path;
	e->type = (uint8_t)node_type(n);
	e->link = data ? data->link : NULL;
	e->sparse = NULL;
	e->size = 0;
	if (!e->uname)
		e->uname = e->gname = "";
	if (data) {
		e->dev_major = data->dev_major;
		e->dev_minor = data->dev_minor;
	}
	if (own_xattrs(t, e, err) < 0)
		return -1;
	if (p)
		policy_apply(p, e);
	if (node_is_dir(n))
		return 0;
	rc = find_first(t, n, e, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (node_type(n) != TAR_FILE && node_type(n) != TAR_SPARSE)
		return 0;
	e->type = TAR_FILE;
	e->size = layer_entry_size(data);
	return e->size ? want(t, n, err) : 0;
}

/* ---- bytes ---- */

static int by_place(const void *a, const void *b)
{
	const struct wish *x = a, *y = b;

	if (x->read != y->read)
		return x->read < y->read ? -1 : 1;
	return (x->from->data_off > y->from->data_off) - (x->from->data_off < y->from->data_off);
}

static bool same_place(const struct wish *a, const struct wish *b)
{
	return a->read == b->read && a->from->data_off == b->from->data_off;
}

/* Equal layers are one: what passes once is for all who want what lies there. */
static int on_file(void *arg, size_t read, const struct layer_entry *e, struct source *data,
		   dray_error **err)
{
	struct taker *t = arg;
	const struct wish *first = t->at, *end = t->list + t->n;
	cleanup_source struct source *full = source_lend(data, err);
	struct content c = { .kind = CONTENT_EXTENT, .fd = t->fd, .off = t->out->pos };

	(void)read;
	if (full && e->sparse)
		full = sparse_expand(steal_pointer(&full), e->sparse, err);
	c.size = full ? pump(full, t->out, err) : -1;
	if (c.size < 0)
		return -1;
	for (; t->at < end && same_place(t->at, first); t->at++) {
		struct layer_entry *to = &t->ix->list[t->at->entry];

		if (c.size != to->size)
			return err_set(err, DRAY_ERR_CORRUPT,
				       "it has another size the second time");
		if (inputs_add(&t->b->in, &c, &to->data_off, err) < 0)
			return -1;
	}
	return 0;
}

/* All that is wanted, into one file without a name; each layer is decoded once. */
static int take_bytes(struct taker *t, dray_error **err)
{
	const struct layer_entry **list;

	if (t->n == 0)
		return 0;
	list = arena_array(&t->b->arena, t->n, sizeof(struct layer_entry *));
	if (!list)
		return err_nomem(err);
	t->fd = io_tempfile(t->b->ctx->tmpdir, err);
	if (t->fd < 0 || inputs_keep_fd(&t->b->in, t->fd, err) < 0)
		return -1;
	t->out = sink_to_fd(t->fd, false, err);
	if (!t->out)
		return -1;
	qsort(t->list, t->n, sizeof(*t->list), by_place);
	for (size_t first = 0, end; first < t->n; first = end) {
		size_t n = 0;

		for (end = first; end < t->n && t->list[end].read == t->list[first].read; end++)
			if (end == first || !same_place(&t->list[end], &t->list[end - 1]))
				list[n++] = t->list[end].from;
		t->at = &t->list[first];
		if (stack_pass_files(t->s, t->list[first].read, list, n, on_file, t, err) < 0)
			return -1;
	}
	return sink_finish(t->out, err);
}

/* ---- another image ---- */

int build_find_platform(struct build *b, struct platform *ret, dray_error **err)
{
	const struct config *base = b->base->im->config;

	if (b->spec->platform)
		return platform_parse(b->spec->platform, &b->arena, ret, err);
	*ret = base && base->platform.os ? base->platform : b->ctx->platform;
	return 0;
}

static int open_image(struct build *b, const struct spec_source *s, struct stack **ret,
		      dray_error **err)
{
	const struct stack_options so = { 0 };
	const struct dray_select sel = DRAY_SELECT_INIT;
	const struct platform before = b->ctx->platform;
	struct platform want;
	int rc;

	if (mem_grow(&b->images, b->n_images, &b->cap_images, sizeof(struct stack *)) < 0)
		return err_nomem(err);
	if (build_find_platform(b, &want, err) < 0)
		return -1;
	b->ctx->platform = want;
	rc = stack_open(b->ctx, s->from, &sel, &so, ret, err);
	b->ctx->platform = before;
	if (rc < 0)
		return -1;
	b->images[b->n_images++] = *ret;
	return 0;
}

/* Where what lies at @p path, below the source's own, goes. */
static int target_of(struct build *b, const char *to, const char *path, const char **ret,
		     dray_error **err)
{
	*ret = arena_printf(&b->arena, "%s%s%s", to, to[0] && path[0] ? "/" : "", path);
	return *ret ? 0 : err_nomem(err);
}

struct globs {
	struct match_list include, exclude;
};

/* 1, 0, -1 */
static int is_in(struct taker *t, const struct globs *g, const char *path, bool is_dir,
		 dray_error **err)
{
	if (!path[0] || (g->include.n == 0 && g->exclude.n == 0))
		return 1;
	if (match_path_set(&t->parts, path, err) < 0)
		return -1;
	return (g->include.n == 0 || match_any_holds(&g->include, &t->parts, is_dir)) &&
	       !match_any_holds(&g->exclude, &t->parts, is_dir);
}

static int take_below(struct taker *t, const struct node *top, const char *to,
		      const struct globs *g, const struct policy *p, dray_error **err)
{
	const struct node *end = tree_skip(top);
	size_t skip;

	if (node_path(top, &t->path, err) < 0)
		return -1;
	skip = t->path.len ? t->path.len + 1 : 0;
	for (const struct node *n = top; n && n != end; n = tree_next(n)) {
		const char *rel, *path;
		int rc;

		if (node_path(n, &t->path, err) < 0)
			return -1;
		rel = t->path.len > skip ? (const char *)t->path.data + skip : "";
		rc = is_in(t, g, rel, node_is_dir(n), err);
		if (rc < 0 || target_of(t->b, to, rel, &path, err) < 0)
			return -1;
		if (rc > 0 && path[0] && add_node(t, n, path, p, err) < 0)
			return -1;
	}
	return 0;
}

/* "to" of one file is its new path, or with a slash behind the folder that it goes to. */
static int place_of(struct build *b, const struct spec_source *s, const struct node *top,
		    const char *from, const char **ret, dray_error **err)
{
	const char *to = s->to ? s->to : from;
	size_t len = strlen(to);

	if (build_clean(b, "to", to, ret, err) < 0)
		return -1;
	if (node_is_dir(top) || !s->to || ((*ret)[0] && to[len - 1] != '/'))
		return 0;
	return target_of(b, *ret, top->name, ret, err);
}

static int find_top(struct build *b, const struct spec_source *s, const struct tree *tree,
		    const struct node **ret, const char **ret_path, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(LIMIT_PATH);

	if (tar_name_clean(span_str(s->path ? s->path : "/"), &path, err) < 0)
		return -1;
	*ret_path = path.len ? arena_strndup(&b->arena, (const char *)path.data, path.len) : "";
	if (!*ret_path)
		return err_nomem(err);
	*ret = tree_find(tree, *ret_path);
	if (*ret)
		return 0;
	cleanup_free char *shown = text_safe(span_str(*ret_path), 4096);
	return err_set(err, DRAY_ERR_NOT_FOUND, "it has no /%s", shown ? shown : "");
}

int build_take_image(struct build *b, const struct spec_source *s, const struct policy *p,
		     struct layer_index *ret, dray_error **err)
{
	cleanup_taker struct taker t = { .b = b, .ix = ret, .path = BUF_INIT(2 * LIMIT_PATH) };
	cleanup_tree struct tree *tree = NULL;
	struct globs g = { 0 };
	const struct node *top;
	const char *from, *to;

	if (match_parse_all(&b->arena, s->include.list, s->include.n, &g.include, err) < 0 ||
	    match_parse_all(&b->arena, s->exclude.list, s->exclude.n, &g.exclude, err) < 0 ||
	    open_image(b, s, &t.s, err) < 0 || stack_tree(t.s, t.s->n, &tree, err) < 0)
		return -1;
	if (find_top(b, s, tree, &top, &from, err) < 0 || place_of(b, s, top, from, &to, err) < 0 ||
	    take_below(&t, top, to, &g, p, err) < 0 || take_bytes(&t, err) < 0)
		return err_ctx(err, "%s", t.s->im->where);
	return 0;
}

/* ---- the base ---- */

int build_take_base(struct build *b, struct layer_index *ret, dray_error **err)
{
	cleanup_taker struct taker t = {
		.b = b, .s = b->base, .ix = ret, .path = BUF_INIT(2 * LIMIT_PATH)
	};

	for (const struct node *n = tree_next(tree_root(b->tree)); n; n = tree_next(n)) {
		int rc = n->layer < b->n_base ? rules_concern(&b->rules, n, err) : 0;
		const char *path;

		if (rc == 0)
			continue;
		if (rc < 0 || node_path(n, &t.path, err) < 0)
			return -1;
		path = arena_strndup(&b->arena, (const char *)t.path.data, t.path.len);
		if (!path)
			return err_nomem(err);
		if (add_node(&t, n, path, NULL, err) < 0)
			return -1;
	}
	return take_bytes(&t, err);
}
