/* SPDX-License-Identifier: Apache-2.0
 *
 * The sources of a build, each made entries and put into the tree.
 * Relies on build/walk for folders, on layer/index for tars, on build/merge for the tree.
 * Promises that a source which is not what it should be is named in the error.
 */
#include "ops/build.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "build/accounts.h"
#include "build/walk.h"
#include "layer/sparse.h"

#define PASSWD_MAX (16 * MIB) /* bytes of passwd or group of a base */

int build_keep_index(struct build *b, struct layer_index *ix, dray_error **err)
{
	if (mem_grow(&b->indexes, b->n_indexes, &b->cap_indexes, sizeof(*b->indexes)) < 0) {
		layer_index_free(ix);
		return err_nomem(err);
	}
	b->indexes[b->n_indexes++] = ix;
	return 0;
}

/* ---- paths ---- */

int build_clean(struct build *b, const char *what, const char *path, const char **ret,
		dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_PATH);

	if (tar_name_quirks(span_str(path)) & TAR_NAME_DOTDOT)
		return err_set(err, DRAY_ERR_USAGE, "\"%s\": \"..\" leads nowhere in an image",
			       what);
	if (tar_name_clean(span_str(path), &text, err) < 0)
		return -1;
	*ret = text.len ? arena_strndup(&b->arena, (const char *)text.data, text.len) : "";
	if (!*ret)
		return err_nomem(err);
	if (whiteout_within(*ret))
		return err_set(err, DRAY_ERR_USAGE,
			       "\"%s\": a name that begins with \".wh.\" would remove files", what);
	return 0;
}

/* One that is not the root. */
static int clean_name(struct build *b, const char *path, const char **ret, dray_error **err)
{
	if (build_clean(b, "path", path, ret, err) < 0)
		return -1;
	return (*ret)[0] ? 0 : err_set(err, DRAY_ERR_USAGE, "\"path\": it is the root");
}

/* ---- folders ---- */

static int walk_of(struct build *b, const struct spec_source *s, const struct policy *p,
		   struct walk *ret, dray_error **err)
{
	*ret = (struct walk){ .in = &b->in, .root = s->from, .xattrs = &s->xattrs, .policy = p };
	if (build_clean(b, "to", s->to ? s->to : "/", &ret->to, err) < 0 ||
	    match_parse_all(&b->arena, s->include.list, s->include.n, &ret->include, err) < 0)
		return -1;
	return match_parse_all(&b->arena, s->exclude.list, s->exclude.n, &ret->exclude, err);
}

static int take_dir(struct build *b, const struct spec_source *s, const struct policy *p,
		    struct layer_index *ret, dray_error **err)
{
	struct walk w;

	return walk_of(b, s, p, &w, err) < 0 ? -1 : walk_dir(&w, ret, err);
}

/* What is no folder becomes a link to its own absolute path. */
static int link_to_itself(struct build *b, const struct walk *w, struct layer_entry *e,
			  dray_error **err)
{
	size_t skip = w->to[0] ? strlen(w->to) + 1 : 0;

	if (e->type == TAR_DIR)
		return 0;
	e->type = TAR_SYMLINK;
	e->mode = 0777;
	e->size = 0;
	e->xattrs = NULL;
	e->link = arena_printf(&b->arena, "%s/%s", w->root, e->path + skip);
	return e->link ? 0 : err_nomem(err);
}

static int take_tree(struct build *b, const struct spec_source *s, const struct policy *p,
		     const char *tree, struct layer_index *ret, dray_error **err)
{
	struct walk w;

	if (tree[0] != '/')
		return err_set(err, DRAY_ERR_USAGE, "\"trees\": expected absolute paths");
	if (walk_of(b, s, p, &w, err) < 0)
		return -1;
	w.root = tree;
	if (walk_dir(&w, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < ret->n; i++)
		if (link_to_itself(b, &w, &ret->list[i], err) < 0)
			return -1;
	return 0;
}

/* ---- single names ---- */

static int add_bytes(struct build *b, const char *path, struct span bytes, const struct policy *p,
		     struct layer_index *ret, dray_error **err)
{
	struct layer_entry *e = entries_add(ret, path, TAR_FILE, err);
	const struct content c = { .kind = CONTENT_BYTES,
				   .size = (int64_t)bytes.len,
				   .bytes = bytes.data };

	if (!e)
		return -1;
	e->mode = 0644;
	e->size = c.size;
	e->mtime = b->now;
	policy_apply(p, e);
	return inputs_add(&b->in, &c, &e->data_off, err);
}

static int take_file(struct build *b, const struct spec_source *s, const struct policy *p,
		     struct layer_index *ret, dray_error **err)
{
	cleanup_buf struct buf data = BUF_INIT(LIMIT_SPEC);
	struct walk w = { .in = &b->in, .root = s->from, .policy = p };
	struct span bytes;

	if (clean_name(b, s->path, &w.to, err) < 0)
		return -1;
	if (s->from)
		return walk_file(&w, ret, err);
	if (s->data_base64 && base64_decode(span_str(s->data_base64), &data, err) < 0)
		return err_rekind(err, DRAY_ERR_USAGE), err_ctx(err, "\"data_base64\"");
	bytes = s->text ? span_str(s->text) : span_buf(&data);
	if (bytes.len) {
		bytes = arena_dup(&b->arena, bytes);
		if (!bytes.data)
			return err_nomem(err);
	}
	return add_bytes(b, w.to, bytes, p, ret, err);
}

static int take_mkdir(struct build *b, const struct spec_source *s, const struct policy *p,
		      struct layer_index *ret, dray_error **err)
{
	struct layer_entry *e;
	const char *path;

	if (clean_name(b, s->path, &path, err) < 0)
		return -1;
	e = entries_add(ret, path, TAR_DIR, err);
	if (!e)
		return -1;
	e->mode = 0755;
	e->mtime = b->now;
	policy_apply(p, e);
	return 0;
}

static int take_symlink(struct build *b, const struct spec_source *s, const struct policy *p,
			struct layer_index *ret, dray_error **err)
{
	struct layer_entry *e;
	const char *path;

	if (clean_name(b, s->path, &path, err) < 0)
		return -1;
	e = entries_add(ret, path, TAR_SYMLINK, err);
	if (!e)
		return -1;
	e->link = s->target;
	e->mtime = b->now;
	policy_apply(p, e);
	return 0;
}

/* ---- tars ---- */

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

static int add_entry(struct tar_taker *t, const struct layer_entry *from, struct layer_index *ret,
		     dray_error **err)
{
	const char *path = strip(from->path, t->s->strip.v);
	struct tar_file *f;
	int rc;

	if (whiteout_within(from->path))
		return err_set(err, DRAY_ERR_FORMAT, "it is a whiteout, and this is no layer");
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

static int take_tar(struct build *b, const struct spec_source *s, const struct policy *p,
		    struct layer_index *ret, dray_error **err)
{
	const struct layer_index_options o = { 0 };
	struct tar_taker t = { .b = b, .s = s, .policy = p, .fd = -1 };
	cleanup_source struct source *in = NULL;
	struct layer_index *from;
	int rc;

	if (walk_of(b, s, p, &t.w, err) < 0 || open_tar(&t, err) < 0)
		return -1;
	in = source_from_extent(t.fd, 0, t.size, err);
	if (!in || layer_index_read(in, &o, &from, err) < 0 || build_keep_index(b, from, err) < 0)
		return -1;
	rc = take_entries(&t, from, ret, err);
	match_path_clear(&t.path);
	map_clear(&t.files);
	map_clear(&t.placed);
	if (rc < 0 || t.ours)
		return rc;
	return inputs_check(t.fd, &t.seen, s->from, err);
}

/* ---- all of them ---- */

static int note_applied(struct build *b, uint32_t source, dray_error **err)
{
	if (mem_grow(&b->source_of, b->n_applied, &b->cap_applied, sizeof(*b->source_of)) < 0)
		return err_nomem(err);
	b->source_of[b->n_applied++] = source;
	return 0;
}

typedef int take_fn(struct build *b, const struct spec_source *s, const struct policy *p,
		    struct layer_index *ret, dray_error **err);

unsigned build_vague(const struct spec *spec, const struct spec_source *s, const struct policy *p)
{
	unsigned ret = 0;

	if ((p->normalize && !p->has_mode) || s->type == SPEC_LINKS)
		ret |= VAGUE_MODE;
	if (!p->keep_owner && !s->owner.set && !spec->owner.set)
		ret |= VAGUE_OWNER;
	return ret;
}

int build_apply(struct build *b, const struct merge_source *m, uint32_t source, dray_error **err)
{
	return merge_apply(&b->merge, m, err) < 0 ? -1 : note_applied(b, source, err);
}

static int describe(struct build *b, const struct spec_source *s, struct merge_source *ret,
		    struct policy *ret_policy, dray_error **err)
{
	*ret = (struct merge_source){ .ix = entries_new(err),
				      .replace = s->replace == SPEC_YES,
				      .is_mkdir = s->type == SPEC_MKDIR,
				      .vague_of = &b->meant };
	map_clear(&b->meant);
	if (!ret->ix || build_keep_index(b, ret->ix, err) < 0 ||
	    policy_of(b->spec, s, ret_policy, err) < 0)
		return -1;
	ret->vague = build_vague(b->spec, s, ret_policy);
	if (s->type != SPEC_DIR && s->type != SPEC_LINKS)
		return 0;
	return build_clean(b, "to", s->to ? s->to : "/", &ret->weak, err);
}

/* Trees as links: each is a source by itself, so that two with one name are told. */
static int take_links(struct build *b, size_t i, dray_error **err)
{
	const struct spec_source *s = &b->spec->sources[i];

	for (size_t k = 0; k < s->trees.n; k++) {
		struct merge_source m;
		struct policy p;

		if (describe(b, s, &m, &p, err) < 0)
			return -1;
		if (take_tree(b, s, &p, s->trees.list[k], m.ix, err) < 0 ||
		    build_apply(b, &m, (uint32_t)i, err) < 0)
			return err_ctx(err, "tree %zu", k + 1);
	}
	return 0;
}

static int take_source(struct build *b, size_t i, dray_error **err)
{
	static take_fn *const take[SPEC_TYPES] = {
		[SPEC_DIR] = take_dir,	       [SPEC_TAR] = take_tar,
		[SPEC_FILE] = take_file,       [SPEC_IMAGE] = build_take_image,
		[SPEC_MKDIR] = take_mkdir,     [SPEC_CLOSURE] = build_take_closure,
		[SPEC_SYMLINK] = take_symlink, [SPEC_LISTED] = build_take_listed,
	};
	const struct spec_source *s = &b->spec->sources[i];
	struct merge_source m;
	struct policy p;

	if (s->type == SPEC_LINKS)
		return take_links(b, i, err);
	if (!take[s->type]) /* users: when all files are there */
		return 0;
	if (describe(b, s, &m, &p, err) < 0 || take[s->type](b, s, &p, m.ix, err) < 0)
		return -1;
	return build_apply(b, &m, (uint32_t)i, err);
}

/* ---- users ---- */

static int read_old(struct build *b, const struct node *n, struct span *ret, dray_error **err)
{
	struct stack_file f = { .inode = n->inode };
	uint8_t *bytes;
	int64_t size = n->inode->data->size;

	if (node_type(n) != TAR_FILE || size > PASSWD_MAX)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "it is no file that lines are added to");
	if (n->inode->data_layer < b->n_base) {
		if (stack_read_files(b->base, &f, 1, PASSWD_MAX, &b->arena, err) < 0)
			return -1;
		*ret = span_of(f.bytes.data, f.bytes.len);
		return 0;
	}
	bytes = arena_alloc(&b->arena, (size_t)size + 1);
	if (!bytes)
		return err_nomem(err);
	*ret = span_of(bytes, (size_t)size);
	for (int64_t at = 0; at < size;) {
		struct layer_feed feed = inputs_feed(&b->in);
		int64_t got = feed.read(feed.arg, 0, n->inode->data->data_off + at, bytes + at,
					(size_t)(size - at), err);

		if (got < 0)
			return -1;
		at += got;
	}
	return 0;
}

typedef int lines_fn(const struct spec *s, struct span old, struct buf *ret, dray_error **err);

/* The file with its new lines, as an entry that keeps what it carried. */
static int add_lines(struct build *b, const char *name, lines_fn *lines, struct layer_index *ix,
		     dray_error **err)
{
	const struct policy root = { .uname = "", .gname = "", .mtime = b->spec->mtime };
	cleanup_buf struct buf text = BUF_INIT(PASSWD_MAX + LIMIT_SPEC);
	struct span old = { 0 }, bytes;
	const struct node *n;
	const char *path;
	struct layer_entry *e;

	if (merge_resolve(&b->merge, name, &path, err) < 0)
		return -1;
	n = tree_find(b->tree, path);
	if ((n && read_old(b, n, &old, err) < 0) || lines(b->spec, old, &text, err) < 0)
		return -1;
	if (span_eq(span_buf(&text), old))
		return 0;
	bytes = arena_dup(&b->arena, span_buf(&text));
	if (!bytes.data)
		return err_nomem(err);
	if (add_bytes(b, path, bytes, &root, ix, err) < 0)
		return -1;
	e = &ix->list[ix->n - 1];
	if (!n)
		return 0;
	e->mode = n->inode->attrs->mode;
	e->uid = n->inode->attrs->uid;
	e->gid = n->inode->attrs->gid;
	e->xattrs = n->inode->attrs->xattrs;
	return 0;
}

static int take_users(struct build *b, dray_error **err)
{
	const char *conflict = b->merge.conflict;
	struct merge_source m = { .ix = entries_new(err) };
	int rc;

	if (!m.ix || build_keep_index(b, m.ix, err) < 0)
		return -1;
	if (add_lines(b, "etc/passwd", accounts_passwd, m.ix, err) < 0)
		return err_ctx(err, "/etc/passwd");
	if (add_lines(b, "etc/group", accounts_group, m.ix, err) < 0)
		return err_ctx(err, "/etc/group");
	b->merge.conflict = "last"; /* the new text has the old one in it */
	rc = build_apply(b, &m, UINT32_MAX, err);
	b->merge.conflict = conflict;
	return rc;
}

/* What rules change of the base has to be stored once more. */
static int take_base(struct build *b, dray_error **err)
{
	struct merge_source m = { .ix = entries_new(err) };

	if (!m.ix || build_keep_index(b, m.ix, err) < 0 || build_take_base(b, m.ix, err) < 0)
		return -1;
	return build_apply(b, &m, UINT32_MAX, err);
}

static void on_moved(void *arg, const char *from, const char *to)
{
	context_log(arg, DRAY_LOG_INFO, "/%s is /%s in the base", from, to);
}

int build_take_sources(struct build *b, dray_error **err)
{
	b->merge = (struct merge){ .in = &b->in,
				   .tree = b->tree,
				   .n_base = b->n_base,
				   .conflict = b->spec->conflict ? b->spec->conflict : "error",
				   .follow = b->spec->base.follow_base_links != SPEC_NO,
				   .on_moved = on_moved,
				   .arg = b->ctx };
	if (rules_init(&b->rules, b->spec, err) < 0)
		return -1;
	b->rules.lower = b->lower;
	b->rules.folder_mtime = build_folder_mtime(b);
	tree_finish(b->tree);
	if (rules_delete_base(&b->rules, b->tree, err) < 0)
		return -1;
	for (size_t i = 0; i < b->spec->n_sources; i++)
		if (take_source(b, i, err) < 0)
			return err_ctx(err, "source %zu (%s)", i + 1,
				       spec_type_names[b->spec->sources[i].type]);
	if (accounts_any(b->spec) && take_users(b, err) < 0)
		return -1;
	tree_finish(b->tree);
	if (b->lower && b->spec->n_rules && take_base(b, err) < 0)
		return -1;
	tree_finish(b->tree);
	return rules_apply(&b->rules, b->tree, b->n_base, err);
}
