/* SPDX-License-Identifier: Apache-2.0
 *
 * A tar as a source of a build.
 * Relies on layer/index for what is in it, on build/inputs for its bytes.
 * Promises that a hard link whose file was not asked for becomes that file.
 */
#include "ops/build.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "build/walk.h"
#include "layer/sparse.h"

struct tar_taker {
	struct build *b;
	const struct spec_source *s;
	const struct policy *policy;
	struct walk w; /* globs and place */
	int fd;
	int64_t size;
	struct stat seen; /* of the tar itself, when it was opened */
	bool ours;	  /* fd: what it holds, in a temporary file */
	struct match_path path;
	bool has_links;
	struct layer_index *whiteouts; /* NULL = none */
	struct map files, placed; /* by name in the tar, by path in the image: struct tar_file */
};

/* An uncompressed tar is read where it lies, any other from a temporary file. */
static int open_tar(struct tar_taker *t, dray_error **err)
{
	cleanup_fd int fd = io_openat(AT_FDCWD, t->s->from, O_RDONLY | O_NONBLOCK, 0, err);
	cleanup_source struct source *in = NULL;
	cleanup_sink struct sink *k = NULL;
	uint8_t head[COMPRESSION_SNIFF];
	int packed;
	int64_t n;

	if (fd < 0 || io_fstat(fd, &t->seen, err) < 0)
		return -1;
	if (!S_ISREG(t->seen.st_mode))
		return err_set(err, DRAY_ERR_USAGE, "it is no file");
	n = io_pread(fd, head, sizeof(head), 0, err);
	if (n < 0)
		return -1;
	t->size = t->seen.st_size;
	if (compression_sniff(span_of(head, (size_t)n)) == COMPRESSION_NONE) {
		t->fd = steal_fd(&fd);
		return inputs_keep_fd(&t->b->in, t->fd, err);
	}
	t->ours = true;
	packed = fd;
	in = source_decode_pool(source_from_fd(steal_fd(&fd), true, err),
				context_pool(t->b->ctx, NULL), 0, NULL, err);
	t->fd = in ? io_tempfile(t->b->ctx->tmpdir, err) : -1;
	if (t->fd < 0 || inputs_keep_fd(&t->b->in, t->fd, err) < 0)
		return -1;
	k = sink_to_fd(t->fd, false, err);
	t->size = k ? pump(in, k, err) : -1;
	if (t->size < 0 || inputs_check(packed, &t->seen, t->s->from, err) < 0)
		return -1;
	return sink_finish(k, err);
}

/* Without its first @p n parts; NULL = nothing is left. */
static const char *strip(const char *path, int64_t n)
{
	for (; n > 0; n--) {
		path = strchr(path, '/');
		if (!path)
			return NULL;
		path++;
	}
	return path;
}

static int place(struct tar_taker *t, const char *path, const char **ret, dray_error **err)
{
	const char *to = t->w.to;

	*ret = arena_printf(&t->b->arena, "%s%s%s", to, to[0] && path[0] ? "/" : "", path);
	return *ret ? 0 : err_nomem(err);
}

/* Holes are written out: few readers understand sparse entries. */
static int spool_sparse(struct tar_taker *t, const struct layer_entry *from, struct content *c,
			dray_error **err)
{
	cleanup_source struct source *full = sparse_expand(
		source_from_extent(t->fd, from->data_off, from->size, err), from->sparse, err);
	cleanup_sink struct sink *k = NULL;

	c->fd = full ? io_tempfile(t->b->ctx->tmpdir, err) : -1;
	if (c->fd < 0 || inputs_keep_fd(&t->b->in, c->fd, err) < 0)
		return -1;
	k = sink_to_fd(c->fd, false, err);
	c->off = 0;
	c->size = k ? pump(full, k, err) : -1;
	return c->size < 0 ? -1 : sink_finish(k, err);
}

static int add_content(struct tar_taker *t, const struct layer_entry *from, struct layer_entry *e,
		       dray_error **err)
{
	struct content c = {
		.kind = CONTENT_EXTENT, .size = from->size, .fd = t->fd, .off = from->data_off
	};

	if (!t->ours && !from->sparse) {
		c.path = t->s->from;
		c.seen = seen_of(&t->seen);
	}
	if (from->sparse && spool_sparse(t, from, &c, err) < 0)
		return -1;
	e->size = c.size;
	return inputs_add(&t->b->in, &c, &e->data_off, err);
}

/* Is it asked for? 1, 0, -1. */
static int is_in(struct tar_taker *t, const char *path, bool is_dir, dray_error **err)
{
	if (t->w.include.n == 0 && t->w.exclude.n == 0)
		return 1;
	if (match_path_set(&t->path, path, err) < 0)
		return -1;
	return (t->w.include.n == 0 || match_any_holds(&t->w.include, &t->path, is_dir)) &&
	       !match_any_holds(&t->w.exclude, &t->path, is_dir);
}

/* ---- hard links of a tar: to what the tar has, whether or not that is asked for ---- */

struct tar_file {
	const struct layer_entry *from;
	const char *at; /* the last of its names in the image; NULL = none yet */
};

static struct tar_file *new_file(struct tar_taker *t, const struct layer_entry *from,
				 dray_error **err)
{
	struct tar_file *f = arena_alloc(&t->b->arena, sizeof(*f));

	if (!f) {
		err_nomem(err);
		return NULL;
	}
	*f = (struct tar_file){ .from = from };
	return f;
}

/* The file that @p from is, or is a link to; NULL and no error when nobody will ask. */
static int file_of(struct tar_taker *t, const struct layer_entry *from, struct tar_file **ret,
		   dray_error **err)
{
	*ret = NULL;
	if (!t->has_links)
		return 0;
	if (from->type != TAR_HARDLINK) {
		*ret = new_file(t, from, err);
		return *ret ? 0 : -1;
	}
	*ret = map_get(&t->files, span_str(from->link));
	if (*ret && (*ret)->from->type != TAR_DIR)
		return 0;
	cleanup_free char *shown = text_safe(span_str(from->link), 4096);
	return err_set(err, DRAY_ERR_FORMAT,
		       "a hard link to %s, which is no file that the tar has before it",
		       shown ? shown : "");
}

/* One that is still where it was put; else @p e is the file. */
static const struct layer_entry *link_or_file(struct tar_taker *t, const struct tar_file *f,
					      struct layer_entry *e)
{
	const struct layer_entry *from = f->from;

	if (f->at && map_get(&t->placed, span_str(f->at)) == f) {
		e->link = f->at;
		return e;
	}
	e->type = from->type;
	e->link = from->link;
	e->dev_major = from->dev_major;
	e->dev_minor = from->dev_minor;
	if (!e->xattrs)
		e->xattrs = from->xattrs;
	return from;
}

static int put_entry(struct tar_taker *t, const struct layer_entry *from, struct tar_file *f,
		     const char *path, struct layer_index *ret, dray_error **err)
{
	const struct layer_entry *data = from;
	struct layer_entry *e;
	const char *full;

	if (place(t, path, &full, err) < 0)
		return -1;
	e = entries_add(ret, full, (enum tar_type)from->type, err);
	if (!e)
		return -1;
	*e = *from;
	e->path = full;
	if (from->type == TAR_HARDLINK)
		data = link_or_file(t, f, e);
	if (is_overlay_whiteout(e))
		return err_set(err, DRAY_ERR_FORMAT,
			       "a character device 0:0 is overlayfs's whiteout");
	if ((e->type == TAR_FILE || e->type == TAR_SPARSE) && add_content(t, data, e, err) < 0)
		return -1;
	e->sparse = NULL;
	e->type = e->type == TAR_SPARSE ? TAR_FILE : e->type;
	e->ambiguous = false;
	policy_apply(t->policy, e);
	if (!f)
		return 0;
	f->at = full;
	return map_put(&t->placed, span_str(full), f, err);
}

/* Is what a whiteout takes away asked for: its name, or of an opaque one the folder? 1, 0, -1. */
static int goes(struct tar_taker *t, const char *path, const char *name, dray_error **err)
{
	cleanup_buf struct buf target = BUF_INIT(LIMIT_PATH + 1);
	const char *what, *full;
	bool is_dir = true;

	if (t->w.include.n == 0 && t->w.exclude.n == 0)
		return 1;
	if (whiteout_target(path, name, &target, err) < 0)
		return -1;
	what = (const char *)target.data;
	if (name &&
	    (place(t, what, &full, err) < 0 || build_is_folder(t->b, full, &is_dir, err) < 0))
		return -1;
	return is_in(t, what, is_dir, err);
}

/* @p from: the path in the tar, which says what it is; @p path: what is left of it, or NULL. */
static int add_whiteout(struct tar_taker *t, const char *from, const char *path, dray_error **err)
{
	const char *name = NULL, *full;
	enum whiteout kind = whiteout_of(from, &name);
	int rc;

	if (t->s->as_layer != SPEC_YES) {
		err_set(err, DRAY_ERR_FORMAT, "it is a whiteout, and this is no layer");
		return err_hint(err, "\"as_layer\": true in the source says that it is one");
	}
	rc = kind == WHITEOUT_AUFS || !path ? 0 : goes(t, path, name, err);
	if (rc <= 0)
		return rc;
	return place(t, path, &full, err) < 0 ? -1
					      : build_add_whiteout(t->b, &t->whiteouts, full, err);
}

static int add_entry(struct tar_taker *t, const struct layer_entry *from, struct layer_index *ret,
		     dray_error **err)
{
	const char *path = strip(from->path, t->s->strip.v);
	struct tar_file *f;
	int rc;

	if (whiteout_within(from->path))
		return add_whiteout(t, from->path, path, err);
	if (file_of(t, from, &f, err) < 0 ||
	    (f && map_put(&t->files, span_str(from->path), f, err) < 0))
		return -1;
	if (!path || (!path[0] && !t->w.to[0]))
		return 0;
	rc = is_in(t, path, from->type == TAR_DIR, err);
	return rc <= 0 ? rc : put_entry(t, from, f, path, ret, err);
}

static int take_entries(struct tar_taker *t, const struct layer_index *from,
			struct layer_index *ret, dray_error **err)
{
	for (size_t i = 0; i < from->n; i++)
		t->has_links = t->has_links || from->list[i].type == TAR_HARDLINK;
	for (size_t i = 0; i < from->n; i++)
		if (add_entry(t, &from->list[i], ret, err) < 0) {
			cleanup_free char *shown = text_safe(span_str(from->list[i].path), 4096);

			return err_ctx(err, "%s", shown ? shown : "");
		}
	return 0;
}

int build_take_tar(struct build *b, const struct spec_source *s, const struct policy *p,
		   struct layer_index *ret, dray_error **err)
{
	const struct layer_index_options o = { 0 };
	struct tar_taker t = { .b = b, .s = s, .policy = p, .fd = -1 };
	cleanup_source struct source *in = NULL;
	struct layer_index *from;
	int rc;

	if (build_walk_of(b, s, p, &t.w, err) < 0 || open_tar(&t, err) < 0)
		return -1;
	in = source_from_extent(t.fd, 0, t.size, err);
	if (!in || layer_index_read(in, &o, &from, err) < 0 || build_keep_index(b, from, err) < 0)
		return -1;
	rc = take_entries(&t, from, ret, err);
	if (rc == 0)
		rc = build_apply_whiteouts(b, t.whiteouts, (uint32_t)(s - b->spec->sources), err);
	match_path_clear(&t.path);
	map_clear(&t.files);
	map_clear(&t.placed);
	if (rc < 0 || t.ours)
		return rc;
	return inputs_check(t.fd, &t.seen, s->from, err);
}
