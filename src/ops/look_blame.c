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

static int set_file(struct blame *b, const struct node *n, size_t layer, dray_error **err)
{
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
	struct stack *s = b->look.s;
	cleanup_free char *shown = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (ask(b, i, err) < 0)
			return -1;
	if (b->steps)
		return b->there;
	shown = text_safe(span_str(b->path[0] ? b->path : "/"), PATH_SHOWN_MAX);
	return err_set(err, DRAY_ERR_NOT_FOUND, "%s: %s: no layer has it", s->im->where,
		       shown ? shown : "?");
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
		if (tar_name_clean(span_str(path), ret, err) < 0 || buf_add_byte(ret, 0, err) < 0)
			return -1;
	}
	b->path = (const char *)ret->data;
	return 0;
}

int dray_blame(dray_context *ctx, const char *image, const struct dray_select *sel,
	       const char *path, dray_blame_fn *fn, void *arg, dray_error **err)
{
	const struct stack_options so = { 0 };
	cleanup_stack struct stack *s = NULL;
	cleanup_buf struct buf clean = BUF_INIT(2 * LIMIT_PATH);
	struct blame b = { .fn = fn, .arg = arg, .room = BUF_INIT(2 * LIMIT_PATH) };
	int rc;

	if (stack_open(ctx, image, sel, &so, &s, err) < 0)
		return -1;
	rc = look_init(&b.look, s, err);
	if (rc == 0)
		rc = resolve(&b, path, &clean, err);
	if (rc == 0)
		rc = ask_all(&b, err);
	look_clear(&b.look);
	teller_clear(&b.teller);
	buf_clear(&b.room);
	return rc;
}
