/* SPDX-License-Identifier: Apache-2.0
 *
 * For: which layers brought, changed and deleted a path.
 * Relies on: ops/look for what each layer says of it.
 * Promises: steps from the bottom layer up, as they add up to the merged tree.
 */
#include "base/limits.h"
#include "base/text.h"
#include "ops/look_priv.h"

#define PATH_SHOWN_MAX 300 /* bytes of a path that an error shows */

struct blame {
	struct look look;
	const char *path;
	dray_blame_fn *fn;
	void *arg;
	struct teller teller;
	struct buf room;
	bool there, folder; /* so far: something, and that is a folder */
	size_t steps;
};

static const char *created_by(const struct image *im, size_t layer)
{
	int64_t at = config_history_of_layer(im->config, layer);

	return at < 0 ? NULL : im->config->history[at].created_by;
}

static void tell(struct blame *b, size_t layer, const char *change, const struct dray_file *f)
{
	const struct image *im = b->look.s->im;
	const struct digest *d = &im->layers[layer].diff_id;
	const struct dray_blame_step step = {
		.path = b->path,
		.layer = (int64_t)layer,
		.diff_id = digest_set(d) ? d->text : NULL,
		.created_by = created_by(im, layer),
		.change = change,
		.file = f,
	};

	b->fn(b->arg, &step);
	b->steps++;
}

/* The merged tree of layer @p from to @p to. */
static struct tree *merge(const struct blame *b, size_t from, size_t to, dray_error **err)
{
	const struct stack *s = b->look.s;
	cleanup_tree struct tree *t = tree_new(NULL, NULL, err);

	if (t)
		tree_set_partial(t);
	for (size_t i = from; t && i <= to; i++)
		if (tree_apply(t, s->index[i], err) < 0) {
			err_ctx(err, "%s", s->im->where);
			return NULL;
		}
	return steal_pointer(&t);
}

/* As of a file of the merged tree, but for the name that this one links to. */
static int set_link(struct blame *b, const struct node *n, const struct inode *i, size_t layer,
		    dray_error **err)
{
	if (teller_set(&b->teller, i->data, i->attrs, err) < 0)
		return -1;
	b->teller.file.type = "hardlink";
	b->teller.file.link = n->entry->link;
	b->teller.file.layer = (int64_t)layer;
	return 0;
}

/* Its file may be a lower layer's. A link that leads to none is told as it stands there. */
static int set_hard_link(struct blame *b, const struct node *n, size_t layer, dray_error **err)
{
	cleanup_tree struct tree *t = NULL;
	cleanup_error dray_error *e = NULL;
	struct found f;

	if (node_type(n) != TAR_HARDLINK)
		return set_link(b, n, n->inode, layer, err);
	if (look_at(&b->look, layer + 1, b->path, &f, &e) == 0) {
		t = merge(b, f.layer, layer, err);
		n = t ? tree_find(t, b->path) : NULL;
		return n ? set_link(b, n, n->inode, layer, err) : -1;
	}
	if (dray_error_kind(e) == DRAY_ERR_FORMAT)
		return teller_set_entry(&b->teller, n->entry, layer, &b->room, err);
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int set_file(struct blame *b, const struct node *n, size_t layer, dray_error **err)
{
	if (n->entry && n->entry->type == TAR_HARDLINK)
		return set_hard_link(b, n, layer, err);
	if (n->entry)
		return teller_set_entry(&b->teller, n->entry, layer, &b->room, err);
	if (teller_set(&b->teller, NULL, NULL, err) < 0)
		return -1;
	b->teller.file.layer = (int64_t)layer;
	return 0;
}

/*
 * A folder that only its contents imply leaves one that is there as it is; it takes the place of
 * anything else, and of what its layer whites out.
 */
static int is_step(struct blame *b, size_t layer, const struct node *n, bool *ret, dray_error **err)
{
	*ret = !b->there || n->entry || !b->folder;
	return *ret ? 0 : look_whited_out(&b->look, layer, b->path, ret, err);
}

static int ask(struct blame *b, size_t layer, dray_error **err)
{
	const struct node *n;
	enum seen seen;
	bool step;

	if (look_layer(&b->look, layer, b->path, &seen, &n, err) < 0)
		return -1;
	if (seen == SEEN_GONE && b->there)
		tell(b, layer, "deleted", NULL);
	if (seen == SEEN_GONE)
		b->there = false;
	if (seen != SEEN_HERE)
		return 0;
	if (is_step(b, layer, n, &step, err) < 0)
		return -1;
	if (!step)
		return 0;
	if (set_file(b, n, layer, err) < 0)
		return -1;
	b->teller.file.path = b->path;
	tell(b, layer, b->there ? "changed" : "added", &b->teller.file);
	b->there = true;
	b->folder = node_is_dir(n);
	return 0;
}

static int ask_all(struct blame *b, dray_error **err)
{
	for (size_t i = 0; i < b->look.s->n; i++)
		if (ask(b, i, err) < 0)
			return -1;
	return 0;
}

static int clean(const char *path, struct buf *ret, dray_error **err)
{
	return tar_name_clean(span_str(path), ret, err) < 0 ? -1 : buf_add_byte(ret, 0, err);
}

/* Where the path leads; one whose folder was deleted leads nowhere and is taken as it is typed. */
static int resolve(struct blame *b, const char *path, struct buf *ret, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	if (look_resolve(&b->look, path, false, ret, &e) < 0) {
		if (dray_error_kind(e) != DRAY_ERR_NOT_FOUND) {
			if (err)
				*err = steal_pointer(&e);
			return -1;
		}
		if (clean(path, ret, err) < 0)
			return -1;
	}
	b->path = (const char *)ret->data;
	return 0;
}

/*
 * What lay at the path itself before a layer put a link in its way, which now leads elsewhere. One
 * that leaves the root by its letters never was.
 */
static int ask_typed(struct blame *b, const char *path, struct buf *ret, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	if (clean(path, ret, &e) == 0) {
		b->path = (const char *)ret->data;
		return ask_all(b, err);
	}
	if (dray_error_kind(e) == DRAY_ERR_FORMAT)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

/* Is it there? */
static int ask_path(struct blame *b, const char *path, dray_error **err)
{
	cleanup_buf struct buf led = BUF_INIT(2 * LIMIT_PATH), typed = BUF_INIT(2 * LIMIT_PATH);
	cleanup_free char *shown = NULL;

	if (resolve(b, path, &led, err) < 0 || ask_all(b, err) < 0)
		return -1;
	if (!b->steps && ask_typed(b, path, &typed, err) < 0)
		return -1;
	if (b->steps)
		return b->there;
	shown = text_safe(led.data[0] ? span_str((const char *)led.data) : SPAN_LIT("/"),
			  PATH_SHOWN_MAX);
	return err_set(err, DRAY_ERR_NOT_FOUND, "%s: %s: no layer has it", b->look.s->im->where,
		       shown ? shown : "?");
}

int dray_blame(dray_context *ctx, const char *image, const struct dray_select *sel,
	       const char *path, dray_blame_fn *fn, void *arg, dray_error **err)
{
	const struct stack_options so = { 0 };
	cleanup_stack struct stack *s = NULL;
	struct blame b = { .fn = fn, .arg = arg, .room = BUF_INIT(2 * LIMIT_PATH) };
	int rc;

	if (stack_open(ctx, image, sel, &so, &s, err) < 0)
		return -1;
	rc = look_init(&b.look, s, err);
	if (rc == 0)
		rc = ask_path(&b, path, err);
	look_clear(&b.look);
	teller_clear(&b.teller);
	buf_clear(&b.room);
	return rc;
}
