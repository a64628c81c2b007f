/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the content of one file of an image.
 * Relies on: ops/look to find it in as few layers as it takes.
 * Promises: every byte belongs to a layer that was proven before the first one left.
 */
#include <dray/rootfs.h>

#include <fcntl.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "ops/look.h"

#define PATH_SHOWN_MAX 300 /* bytes of a path that an error shows */

/* ---- a sink for the caller's function ---- */

struct hand_over {
	struct sink base;
	const struct dray_cat_options *o;
};

static int hand_write(struct sink *k, struct span bytes, dray_error **err)
{
	const struct hand_over *h = (const struct hand_over *)k;

	if (h->o->write(h->o->arg, bytes.data, bytes.len) != 0)
		return err_set(err, DRAY_ERR_CANCELLED, "stopped by who reads");
	return 0;
}

static void hand_free(struct sink *k)
{
	mem_free(k);
}

static struct sink *open_output(const struct dray_cat_options *o, dray_error **err)
{
	static const struct sink_ops ops = { .write = hand_write, .free = hand_free };
	struct hand_over *h;

	if (o->output)
		return sink_to_file(AT_FDCWD, o->output, o->no_clobber, err);
	h = mem_zalloc(sizeof(*h));
	if (!h) {
		err_nomem(err);
		return NULL;
	}
	h->base.ops = &ops;
	h->o = o;
	return &h->base;
}

/* ---- the file ---- */

static int check_kind(const struct found *f, dray_error **err)
{
	if (!f->node)
		return err_set(err, DRAY_ERR_NOT_FOUND, "no such file in the image");
	switch (node_type(f->node)) {
	case TAR_FILE:
	case TAR_SPARSE:
		return 0;
	case TAR_DIR:
		return err_set(err, DRAY_ERR_USAGE, "it is a folder");
	default:
		return err_set(err, DRAY_ERR_UNSUPPORTED, "a device or fifo: it has no content");
	}
}

static int find_file(struct look *l, const char *path, struct found *ret, dray_error **err)
{
	cleanup_buf struct buf clean = BUF_INIT(2 * LIMIT_PATH);
	cleanup_free char *shown = NULL;

	if (look_resolve(l, path, true, &clean, err) < 0 ||
	    look_at(l, l->s->n, (const char *)clean.data, ret, err) < 0)
		return -1;
	if (check_kind(ret, err) == 0)
		return 0;
	shown = text_safe(span_str(path), PATH_SHOWN_MAX);
	return err_ctx(err, "%s: %s", l->s->im->where, shown ? shown : "?");
}

int dray_cat(dray_context *ctx, const char *image, const struct dray_select *sel, const char *path,
	     const struct dray_cat_options *o, int64_t *ret_size, dray_error **err)
{
	struct dray_cat_options own = DRAY_CAT_OPTIONS_INIT;
	const struct stack_options so = { .lazy = true };
	cleanup_sink struct sink *k = open_output(options_take(&own, sizeof(own), o), err);
	cleanup_stack struct stack *s = NULL;
	cleanup_look struct look l = { 0 };
	cleanup_source struct source *in = NULL;
	struct found f;
	int64_t size;

	if (!k || stack_open(ctx, image, sel, &so, &s, err) < 0 || look_init(&l, s, err) < 0 ||
	    find_file(&l, path, &f, err) < 0)
		return -1;
	in = stack_open_file(s, f.layer, f.node->inode->data, err);
	size = in ? pump(in, k, err) : -1;
	if (size < 0)
		return err_ctx(err, "layer %zu of %zu", f.layer + 1, s->n);
	if (ret_size)
		*ret_size = size;
	return sink_finish(k, err);
}
