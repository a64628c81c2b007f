/* SPDX-License-Identifier: Apache-2.0
 *
 * For: a file, a folder, or what fits a pattern, of an image on the disk.
 * Relies on: ops/look to find it, ops/unpack for the way to the disk.
 * Promises: only what is wanted is written; no layer that cannot matter for it is fetched.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/glob.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "layer/prune.h"
#include "ops/look.h"
#include "ops/unpack.h"

#define PATH_SHOWN_MAX 300 /* bytes of a path that an error shows */

/* ---- what is meant ---- */

struct target {
	struct buf path; /* cleaned, links followed; a NUL behind it */
	char *name;	 /* that it gets; NULL = the root, whose contents are meant */
	size_t from;	 /* the lowest layer that matters */
	bool fitting;	 /* no path but a pattern: all that fit are meant */
	struct prune_set pattern;
};

static void target_clear(struct target *t)
{
	buf_clear(&t->path);
	mem_free(t->name);
	prune_set_clear(&t->pattern);
}
#define cleanup_target CLEANUP(target_clear)

/* The last part as it was typed, unless that says nothing. */
static int choose_name(struct target *t, const char *typed, dray_error **err)
{
	struct span s = span_str(typed);
	size_t at;

	if (t->path.len == 0)
		return 0;
	while (s.len > 0 && s.data[s.len - 1] == '/')
		s.len--;
	for (at = s.len; at > 0 && s.data[at - 1] != '/'; at--)
		;
	s = span_from(s, at);
	if (s.len == 0 || span_is(s, ".") || span_is(s, "..")) {
		const uint8_t *slash = memrchr(t->path.data, '/', t->path.len);

		at = slash ? (size_t)(slash + 1 - t->path.data) : 0;
		s = span_from(span_buf(&t->path), at);
	}
	t->name = mem_strndup((const char *)s.data, s.len);
	return t->name ? 0 : err_nomem(err);
}

static int find_path(struct look *l, const char *typed, bool follow, struct target *t,
		     dray_error **err)
{
	cleanup_free char *shown = NULL;
	int rc;

	if (look_resolve(l, typed, follow, &t->path, err) < 0)
		return -1;
	rc = look_lowest(l, (const char *)t->path.data, &t->from, err);
	if (rc == 0) {
		shown = text_safe(span_str(typed), PATH_SHOWN_MAX);
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s: %s: no such file in the image",
			       l->s->im->where, shown ? shown : "?");
	}
	return rc < 0 ? -1 : choose_name(t, typed, err);
}

/* What a link leads to is meant, and the link itself when that is nothing. */
static int find_named(struct stack *s, const char *typed, struct target *t, dray_error **err)
{
	cleanup_look struct look l = { 0 };
	cleanup_error dray_error *nothing = NULL, *e = NULL;
	bool absent, other;

	if (look_init(&l, s, err) < 0)
		return -1;
	if (find_path(&l, typed, true, t, &nothing) == 0)
		return 0;
	absent = dray_error_kind(nothing) == DRAY_ERR_NOT_FOUND;
	if (absent && find_path(&l, typed, false, t, &e) == 0)
		return 0;
	/* What is told is of the path as it was meant. */
	other = absent && dray_error_kind(e) != DRAY_ERR_NOT_FOUND;
	if (err)
		*err = other ? steal_pointer(&e) : steal_pointer(&nothing);
	return -1;
}

/* A name that is there is meant whatever is in it; what is none may be a pattern. */
static int find(struct stack *s, const char *typed, struct target *t, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	if (find_named(s, typed, t, &e) == 0)
		return 0;
	if (dray_error_kind(e) != DRAY_ERR_NOT_FOUND || !glob_is_pattern(typed)) {
		if (err)
			*err = steal_pointer(&e);
		return -1;
	}
	t->fitting = true;
	return prune_set_add(&t->pattern, typed, err) < 0 ? -1 : stack_load_all(s, err);
}

/* Better now than after all was written; who comes in between is noticed too. */
static int check_name(const struct unpacking *u, const char *name, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	cleanup_free char *shown = NULL;
	struct stat st;

	if (io_fstatat(u->out.parent, name, AT_SYMLINK_NOFOLLOW, &st, &e) == 0) {
		shown = text_safe(span_str(name), PATH_SHOWN_MAX);
		err_set(err, DRAY_ERR_USAGE, "%s: it is there already", shown ? shown : "?");
		return err_hint(err, "--force replaces it");
	}
	if (dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int check_free(const struct unpacking *u, const struct target *t, dray_error **err)
{
	if (u->o.force || u->out.name)
		return 0;
	if (!t->fitting)
		return t->name ? check_name(u, t->name, err) : 0;
	for (const struct node *n = tree_root(u->tree)->child; n; n = n->next)
		if (check_name(u, n->name, err) < 0)
			return -1;
	return 0;
}

/* The top of what is to be written, of the merged tree. */
static const struct node *choose_top(struct unpacking *u, struct target *t, dray_error **err)
{
	const struct node *top = NULL;
	int64_t n;

	if (!t->fitting) {
		top = tree_find(u->tree, t->path.len ? (const char *)t->path.data : "");
		if (!top)
			err_set(err, DRAY_ERR_NOT_FOUND, "no such file in the image");
		return top;
	}
	n = prune_pick(&t->pattern, u->tree, err);
	if (n == 0)
		err_set(err, DRAY_ERR_NOT_FOUND, "nothing in the image fits");
	return n > 0 ? tree_root(u->tree) : NULL;
}

static int choose(struct unpacking *u, const char *typed, struct target *t, const struct node **ret,
		  dray_error **err)
{
	cleanup_free char *shown = NULL;

	*ret = choose_top(u, t, err);
	if (*ret)
		return check_free(u, t, err);
	shown = text_safe(span_str(typed), PATH_SHOWN_MAX);
	return err_ctx(err, "%s: %s", u->s->im->where, shown ? shown : "?");
}

/* ---- its contents ---- */

struct wanted {
	uint32_t home;
	const struct layer_entry *e;
};

struct contents {
	struct unpacking *u;
	struct wanted *list;
	const struct layer_entry **entries; /* the same, in the order of list */
	size_t n, cap;
	size_t *begins; /* of each distinct layer, in list; one more at the end */
};

static void contents_clear(struct contents *c)
{
	mem_free(c->list);
	mem_free(c->entries);
	mem_free(c->begins);
}
#define cleanup_contents CLEANUP(contents_clear)

static int by_place(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	if (x->home != y->home)
		return x->home < y->home ? -1 : 1;
	return (x->e->data_off > y->e->data_off) - (x->e->data_off < y->e->data_off);
}

static int gather(struct contents *c, const struct node *top, dray_error **err)
{
	const struct node *end = tree_skip(top);

	for (const struct node *n = top; n != end; n = tree_next(n)) {
		if (node_type(n) != TAR_FILE && node_type(n) != TAR_SPARSE)
			continue;
		if (mem_grow(&c->list, c->n, &c->cap, sizeof(*c->list)) < 0)
			return err_nomem(err);
		c->list[c->n++] = (struct wanted){ c->u->homes[n->inode->data_layer],
						   n->inode->data };
	}
	if (c->n)
		qsort(c->list, c->n, sizeof(*c->list), by_place);
	return 0;
}

/* Hard links want one content once; where does each layer's part begin? */
static int arrange(struct contents *c, dray_error **err)
{
	size_t n = 0, home = 0, homes = c->u->s->n_reads;

	c->entries = mem_alloc_array(c->n + 1, sizeof(struct layer_entry *));
	c->begins = mem_alloc_array(homes + 1, sizeof(*c->begins));
	if (!c->entries || !c->begins)
		return err_nomem(err);
	for (size_t i = 0; i < c->n; i++) {
		while (home <= c->list[i].home)
			c->begins[home++] = n;
		if (i == 0 || c->list[i].e != c->list[i - 1].e)
			c->entries[n++] = c->list[i].e;
	}
	while (home <= homes)
		c->begins[home++] = n;
	return 0;
}

static int read_one(void *arg, size_t read, dray_error **err)
{
	struct contents *c = arg;
	size_t begin = c->begins[read], n = c->begins[read + 1] - begin;

	return n ? stack_pass_files(c->u->s, read, c->entries + begin, n, unpacking_put, c->u, err)
		 : 0;
}

static int read_contents(struct unpacking *u, const struct node *top, dray_error **err)
{
	cleanup_contents struct contents c = { .u = u };

	if (gather(&c, top, err) < 0 || arrange(&c, err) < 0)
		return -1;
	return run_parallel(u->ctx->threads, u->s->n_reads, read_one, &c, err);
}

int dray_extract(dray_context *ctx, const char *image, const struct dray_select *sel,
		 const char *path, const char *dir, const struct dray_unpack_options *o,
		 struct dray_unpack_result *ret, dray_error **err)
{
	const struct stack_options so = { .lazy = true };
	cleanup_unpacking struct unpacking u = UNPACKING_INIT;
	cleanup_target struct target t = { .path = BUF_INIT(2 * LIMIT_PATH) };
	const struct node *top;

	if (unpacking_begin(&u, ctx, dir, true, o, err) < 0 ||
	    stack_open(ctx, image, sel, &so, &u.s, err) < 0 || find(u.s, path, &t, err) < 0 ||
	    unpacking_add_layers(&u, err) < 0 || unpacking_merge(&u, t.from, err) < 0 ||
	    choose(&u, path, &t, &top, err) < 0 || read_contents(&u, top, err) < 0)
		return -1;
	if (t.fitting)
		disk_leave_top(u.disk);
	return unpacking_finish(&u, top, t.name, ret, err);
}
