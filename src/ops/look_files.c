/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the names of a merged tree, or of one layer, handed to a callback.
 * Relies on: ops/stack for proven layers, ops/look for paths as users type them.
 * Promises: nothing is told before all that was needed for it was proven.
 */
#include "ops/look_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"

#define PATH_SHOWN_MAX 300 /* bytes of a path that an error shows */

/* ---- one entry ---- */

void teller_clear(struct teller *t)
{
	mem_free(t->xattrs);
	t->xattrs = NULL;
}

static const char *type_name(enum tar_type t)
{
	static const char *const names[] = {
		[TAR_FILE] = "file", [TAR_HARDLINK] = "hardlink", [TAR_SYMLINK] = "symlink",
		[TAR_CHAR] = "char", [TAR_BLOCK_DEV] = "block",	  [TAR_DIR] = "dir",
		[TAR_FIFO] = "fifo", [TAR_SPARSE] = "file",
	};

	return names[t];
}

static int set_xattrs(struct teller *t, const struct layer_xattrs *x, dray_error **err)
{
	t->file.n_xattrs = 0;
	for (size_t i = 0; x && i < x->n; i++) {
		if (mem_grow(&t->xattrs, i, &t->cap_xattrs, sizeof(*t->xattrs)) < 0)
			return err_nomem(err);
		t->xattrs[i] = (struct dray_xattr){ (const char *)x->list[i].name.data,
						    x->list[i].name.len, x->list[i].value.data,
						    x->list[i].value.len };
		t->file.n_xattrs = i + 1;
	}
	t->file.xattrs = t->xattrs;
	return 0;
}

static void set_content(struct teller *t, const struct layer_entry *data)
{
	char hex[2 * CONTENT_DIGEST_LEN + 1];

	if (data->type == TAR_FILE || data->type == TAR_SPARSE)
		t->file.size = layer_entry_size(data);
	if (data->type == TAR_SYMLINK || data->type == TAR_HARDLINK)
		t->file.link = data->link;
	t->file.dev_major = data->dev_major;
	t->file.dev_minor = data->dev_minor;
	if (!data->content)
		return;
	hex_encode(data->content, CONTENT_DIGEST_LEN, hex);
	snprintf(t->digest, sizeof(t->digest), "sha256:%s", hex);
	t->file.digest = t->digest;
}

int teller_set(struct teller *t, const struct layer_entry *data, const struct layer_entry *attrs,
	       dray_error **err)
{
	static const struct layer_entry implied = { .type = TAR_DIR, .mode = 0755 };
	const struct layer_entry *a = attrs ? attrs : &implied;

	t->file = (struct dray_file){
		.type = type_name(data ? (enum tar_type)data->type : TAR_DIR),
		.mode = a->mode,
		.uid = a->uid,
		.gid = a->gid,
		.mtime = a->mtime,
		.mtime_nsec = a->mtime_nsec,
	};
	if (data)
		set_content(t, data);
	return set_xattrs(t, a->xattrs, err);
}

/* A whiteout is told by the path of what it takes away. */
static int set_whiteout(struct teller *t, const char *path, struct buf *room, dray_error **err)
{
	const char *name = NULL;
	enum whiteout kind = whiteout_of(path, &name);

	if (kind != WHITEOUT_NAME && kind != WHITEOUT_OPAQUE)
		return 0;
	if (whiteout_target(path, name, room, err) < 0)
		return -1;
	t->file.type = kind == WHITEOUT_NAME ? "whiteout" : "opaque";
	t->file.digest = NULL; /* what is gone has no content */
	t->file.path = (const char *)room->data;
	return 0;
}

int teller_set_entry(struct teller *t, const struct layer_entry *e, size_t layer, struct buf *room,
		     dray_error **err)
{
	if (teller_set(t, e, e, err) < 0)
		return -1;
	t->file.path = e->path;
	t->file.layer = (int64_t)layer;
	return set_whiteout(t, e->path, room, err);
}

/* ---- the merged tree ---- */

struct listing {
	struct stack *s;
	const struct dray_files_options *o;
	dray_file_fn *fn;
	void *arg;
	struct teller teller;
	struct buf path, link;
	struct first_names firsts;
	size_t lowest; /* layer of the tree, of all */
};

static int tell_node(struct listing *l, const struct node *n, dray_error **err)
{
	struct dray_file *f = &l->teller.file;
	const struct node *first;

	if (first_name(&l->firsts, n, &first, err) < 0 || node_path(n, &l->path, err) < 0 ||
	    teller_set(&l->teller, n->inode->data, n->inode->attrs, err) < 0)
		return -1;
	f->path = (const char *)l->path.data;
	f->layer = (int64_t)(l->lowest + n->layer);
	if (first) {
		if (node_path(first, &l->link, err) < 0)
			return -1;
		f->type = "hardlink";
		f->link = (const char *)l->link.data;
	}
	return l->fn(l->arg, f);
}

static int absent(const struct stack *s, const char *path, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(path), PATH_SHOWN_MAX);

	return err_set(err, DRAY_ERR_NOT_FOUND, "%s: %s: no such file in the image", s->im->where,
		       shown ? shown : "?");
}

static int tell_tree(struct listing *l, const char *path, dray_error **err)
{
	cleanup_tree struct tree *t = NULL;
	const struct node *from, *end;
	int rc = 0;

	if (stack_tree_of(l->s, l->lowest, l->s->n, &t, err) < 0)
		return -1;
	from = tree_find(t, path);
	if (!from)
		return absent(l->s, l->o->path, err);
	end = tree_skip(from);
	if (!path[0]) {
		from = tree_next(from);
		end = NULL;
	}
	for (const struct node *n = from; rc == 0 && n && n != end; n = tree_next(n))
		rc = tell_node(l, n, err);
	return rc;
}

static int tell_merged(struct listing *l, dray_error **err)
{
	cleanup_look struct look look = { 0 };
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);
	int rc;

	if (!l->o->path)
		return tell_tree(l, "", err);
	if (look_init(&look, l->s, err) < 0 ||
	    look_resolve(&look, l->o->path, false, &path, err) < 0)
		return -1;
	rc = look_lowest(&look, (const char *)path.data, &l->lowest, err);
	look_clear(&look);
	if (rc == 0)
		return absent(l->s, l->o->path, err);
	return rc < 0 ? -1 : tell_tree(l, (const char *)path.data, err);
}

/* ---- one layer ---- */

/* As in a tar: no link leads anywhere, since what it leads to may be another layer's. */
static int tell_layer(struct listing *l, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);
	const char *asked, *at;
	size_t i = (size_t)l->o->layer;
	bool any = false;
	int rc = 0;

	if (i >= l->s->n)
		return err_set(err, DRAY_ERR_USAGE, "%s: layer %zu: the image has %zu, from 0 on",
			       l->s->im->where, i, l->s->n);
	if (tar_name_clean(span_str(l->o->path ? l->o->path : ""), &path, err) < 0 ||
	    buf_add_byte(&path, 0, err) < 0 || stack_load(l->s, i, err) < 0)
		return -1;
	asked = (const char *)path.data;
	for (size_t k = 0; rc == 0 && k < l->s->index[i]->n; k++) {
		const struct layer_entry *e = &l->s->index[i]->list[k];

		if (teller_set_entry(&l->teller, e, i, &l->path, err) < 0)
			return -1;
		at = l->teller.file.path;
		if (strcmp(at, asked) != 0 && !path_is_below(at, asked))
			continue;
		any = true;
		rc = l->fn(l->arg, &l->teller.file);
	}
	return rc == 0 && !any && l->o->path ? absent(l->s, l->o->path, err) : rc;
}

int dray_files(dray_context *ctx, const char *image, const struct dray_select *sel,
	       const struct dray_files_options *o, dray_file_fn *fn, void *arg, dray_error **err)
{
	struct dray_files_options own = DRAY_FILES_OPTIONS_INIT;
	struct listing l = { .o = options_take(&own, sizeof(own), o), .fn = fn, .arg = arg };
	const struct stack_options so = { .contents = l.o->digests,
					  .lazy = l.o->path || l.o->layer >= 0 };
	cleanup_stack struct stack *s = NULL;
	int rc;

	if (stack_open(ctx, image, sel, &so, &s, err) < 0)
		return -1;
	l.s = s;
	l.path = l.link = BUF_INIT(2 * LIMIT_PATH);
	rc = l.o->layer >= 0 ? tell_layer(&l, err) : tell_merged(&l, err);
	teller_clear(&l.teller);
	first_names_clear(&l.firsts);
	buf_clear(&l.path);
	buf_clear(&l.link);
	return rc;
}
