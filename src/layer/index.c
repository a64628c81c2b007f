/* SPDX-License-Identifier: Apache-2.0
 *
 * From the tar of one layer to the list of its entries.
 * Relies on tar/ to refuse what readers take for different entries.
 * Promises memory per entry and never per byte of content.
 */
#include "layer/index.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "layer/sparse.h"

#define NAME_SHOWN_MAX 200 /* bytes of a path that an error shows */

void layer_index_free(struct layer_index *ix)
{
	if (!ix)
		return;
	mem_free(ix->list);
	arena_clear(&ix->arena);
	mem_free(ix);
}

/* ---- names ---- */

static bool starts(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Does a folder on the way to @p name, which ends @p path, begin with @p prefix? */
static bool lies_below(const char *path, const char *name, const char *prefix)
{
	const char *part = path;

	for (; part < name; part = strchr(part, '/') + 1)
		if (starts(part, prefix))
			return true;
	return false;
}

enum whiteout whiteout_of(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t prefix = strlen(WHITEOUT_PREFIX);

	if (lies_below(path, name, WHITEOUT_PREFIX WHITEOUT_PREFIX))
		return WHITEOUT_AUFS;
	if (!starts(name, WHITEOUT_PREFIX))
		return WHITEOUT_NONE;
	if (strcmp(name, WHITEOUT_OPAQUE_NAME) == 0)
		return WHITEOUT_OPAQUE;
	name += prefix;
	if (starts(name, WHITEOUT_PREFIX))
		return WHITEOUT_AUFS;
	if (ret_name)
		*ret_name = name;
	return WHITEOUT_NAME;
}

int whiteout_target(const char *path, const char *name, struct buf *ret, dray_error **err)
{
	const char *slash = strrchr(path, '/');
	size_t folder = slash ? (size_t)(slash - path) : 0;

	buf_reset(ret);
	if (buf_add(ret, span_of(path, folder), err) < 0)
		return -1;
	if (name && ((slash && buf_add_byte(ret, '/', err) < 0) || buf_add_str(ret, name, err) < 0))
		return -1;
	if (buf_add_byte(ret, 0, err) < 0)
		return -1;
	ret->len--;
	return 0;
}

bool whiteout_within(const char *path)
{
	for (; path; path = strchr(path, '/')) {
		path += path[0] == '/';
		if (starts(path, WHITEOUT_PREFIX))
			return true;
	}
	return false;
}

bool path_is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return len == 0 ? path[0] != 0 : starts(path, folder) && path[len] == '/';
}

/* A whiteout has to name an entry of its folder, and holds nothing. */
static int check_whiteout(const char *path, dray_error **err)
{
	const char *slash = strrchr(path, '/');
	const char *name = NULL;
	enum whiteout kind = whiteout_of(path, &name);

	if (kind != WHITEOUT_AUFS && slash && lies_below(path, slash + 1, WHITEOUT_PREFIX))
		return err_set(err, DRAY_ERR_FORMAT, "an entry below a whiteout");
	if (kind != WHITEOUT_NAME)
		return 0;
	if (name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		return 0;
	return err_set(err, DRAY_ERR_FORMAT, "a whiteout that names nothing");
}

/* A name of n bytes implies up to n/2 folders, whose paths together have n*n/4 bytes. */
static int check_depth(struct span path, dray_error **err)
{
	size_t parts = 1;

	for (size_t i = 0; i < path.len; i++)
		parts += path.data[i] == '/';
	if (parts <= LIMIT_PATH_PARTS)
		return 0;
	return err_set(err, DRAY_ERR_LIMIT, "a path of more than %d parts (LIMIT_PATH_PARTS)",
		       LIMIT_PATH_PARTS);
}

static int clean_into(struct buf *room, struct span name, dray_error **err)
{
	buf_reset(room);
	return tar_name_clean(name, room, err) < 0 || check_depth(span_buf(room), err) < 0 ? -1 : 0;
}

static int clean(struct arena *a, struct span name, struct buf *room, const char **ret,
		 dray_error **err)
{
	if (clean_into(room, name, err) < 0)
		return -1;
	*ret = arena_strndup(a, room->len ? (const char *)room->data : "", room->len);
	return *ret ? 0 : err_nomem(err);
}

/* ---- extended attributes ---- */

static int by_name(const void *a, const void *b)
{
	const struct tar_xattr *x = a, *y = b;
	size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int c = memcmp(x->name.data, y->name.data, n);

	return c ? c : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

bool xattr_is_overlay(struct span name)
{
	return span_starts(name, "trusted.overlay.") || span_starts(name, "user.overlay.");
}

bool layer_xattrs_overlay(const struct layer_xattrs *x)
{
	for (size_t i = 0; x && i < x->n; i++)
		if (xattr_is_overlay(x->list[i].name))
			return true;
	return false;
}

int layer_xattrs_sorted(const struct layer_xattrs *x, struct tar_xattr **ret, size_t *ret_n,
			dray_error **err)
{
	struct tar_xattr *list;

	*ret = NULL;
	*ret_n = 0;
	if (!x)
		return 0;
	list = mem_alloc_array(x->n, sizeof(*list));
	if (!list)
		return err_nomem(err);
	for (size_t i = 0; i < x->n; i++)
		if (!xattr_is_overlay(x->list[i].name))
			list[(*ret_n)++] = x->list[i];
	qsort(list, *ret_n, sizeof(*list), by_name);
	*ret = list;
	return 0;
}

/* ---- one entry ---- */

/* @p what as "uid"; the kernel's widths are ours. */
static int narrow(int64_t v, const char *what, uint32_t *ret, dray_error **err)
{
	if (v < 0 || v > UINT32_MAX)
		return err_set(err, DRAY_ERR_FORMAT, "%s %lld is out of range", what, (long long)v);
	*ret = (uint32_t)v;
	return 0;
}

static int set_numbers(struct layer_entry *e, const struct tar_entry *t, dray_error **err)
{
	e->size = t->size;
	e->header_off = t->header_off;
	e->data_off = t->data_off;
	e->mtime = t->mtime;
	e->mtime_nsec = (uint32_t)t->mtime_nsec;
	e->mode = (uint32_t)t->mode & 07777; /* Docker to 23 also wrote the bits of the type */
	if (narrow(t->uid, "uid", &e->uid, err) < 0 || narrow(t->gid, "gid", &e->gid, err) < 0)
		return -1;
	if (t->type != TAR_CHAR && t->type != TAR_BLOCK_DEV)
		return 0;
	if (narrow(t->dev_major, "device major", &e->dev_major, err) < 0)
		return -1;
	return narrow(t->dev_minor, "device minor", &e->dev_minor, err);
}

/* Readers take the first of them or the last. */
static int check_xattrs(const struct tar_xattr *x, size_t n, dray_error **err)
{
	if (n > LIMIT_XATTRS)
		return err_set(err, DRAY_ERR_LIMIT,
			       "more than %d extended attributes (LIMIT_XATTRS)", LIMIT_XATTRS);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (span_eq(x[i].name, x[k].name))
				return err_set(err, DRAY_ERR_FORMAT,
					       "an extended attribute is given twice");
	return 0;
}

static int copy_xattrs(struct arena *a, const struct tar_entry *t, struct layer_entry *e,
		       dray_error **err)
{
	struct layer_xattrs *x;

	if (t->n_xattrs == 0)
		return 0;
	if (check_xattrs(t->xattrs, t->n_xattrs, err) < 0)
		return -1;
	x = arena_alloc(a, sizeof(*x) + t->n_xattrs * sizeof(x->list[0]));
	if (!x)
		return err_nomem(err);
	for (size_t i = 0; i < t->n_xattrs; i++) {
		struct tar_xattr *to = &x->list[x->n++];

		to->name = arena_dup(a, t->xattrs[i].name);
		to->value = arena_dup(a, t->xattrs[i].value);
		if (!to->name.data || !to->value.data)
			return err_nomem(err);
	}
	e->xattrs = x;
	return 0;
}

static int set_link(struct arena *a, const struct tar_entry *t, struct buf *room,
		    struct layer_entry *e, dray_error **err)
{
	if (t->type == TAR_SYMLINK) {
		e->link = arena_strndup(a, (const char *)t->link.data, t->link.len);
		return e->link ? 0 : err_nomem(err);
	}
	if (t->type != TAR_HARDLINK)
		return 0;
	/* Absolute targets start at the root of the image (P-01). */
	if (clean(a, t->link, room, &e->link, err) < 0)
		return err_ctx(err, "hard link");
	return 0;
}

/* Neighbours mostly belong to the same owner: one text for all of them. */
static int share(struct arena *a, struct span name, const char *last, const char **ret,
		 dray_error **err)
{
	*ret = last && span_is(name, last) ? last
					   : arena_strndup(a, (const char *)name.data, name.len);
	return *ret ? 0 : err_nomem(err);
}

static int set_owner(struct layer_index *ix, const struct tar_entry *t, struct layer_entry *e,
		     dray_error **err)
{
	const struct layer_entry *last = ix->n ? &ix->list[ix->n - 1] : NULL;

	if (share(&ix->arena, t->uname, last ? last->uname : NULL, &e->uname, err) < 0)
		return -1;
	return share(&ix->arena, t->gname, last ? last->gname : NULL, &e->gname, err);
}

/* Holes cost nothing to store: many entries with few bytes make no million pieces either. */
static int copy_sparse(struct layer_index *ix, const struct tar_entry *t, struct layer_entry *e,
		       dray_error **err)
{
	struct layer_sparse *s;

	if (t->type != TAR_SPARSE)
		return 0;
	if (t->n_extents > LIMIT_SPARSE_EXTENTS - ix->n_extents)
		return err_set(err, DRAY_ERR_LIMIT,
			       "its layer's sparse files have more than %d pieces "
			       "(LIMIT_SPARSE_EXTENTS)",
			       LIMIT_SPARSE_EXTENTS);
	ix->n_extents += t->n_extents;
	s = arena_alloc(&ix->arena, sizeof(*s) + t->n_extents * sizeof(s->list[0]));
	if (!s)
		return err_nomem(err);
	s->size = t->real_size;
	s->n = t->n_extents;
	if (s->n)
		memcpy(s->list, t->extents, s->n * sizeof(s->list[0]));
	e->sparse = s;
	return 0;
}

static int count_expanded(struct layer_index *ix, const struct layer_entry *e, dray_error **err)
{
	int64_t size = e->sparse ? e->sparse->size : 0;

	if (size > LIMIT_SPARSE_SIZE - ix->expanded)
		return err_set(err, DRAY_ERR_LIMIT,
			       "its layer's sparse files have more than %lld bytes "
			       "(LIMIT_SPARSE_SIZE)",
			       LIMIT_SPARSE_SIZE);
	ix->expanded += size;
	return 0;
}

/* The digest of what @data has not shown yet, and of all before it. */
static int finish_content(struct layer_index *ix, struct source *data, struct hash *h,
			  struct layer_entry *e, dray_error **err)
{
	uint8_t *raw = arena_alloc(&ix->arena, CONTENT_DIGEST_LEN);
	struct digest d;

	if (!raw)
		return err_nomem(err);
	if (source_drain(data, err) < 0 || hash_finish(h, &d, err) < 0)
		return -1;
	hex_decode(digest_hex(&d), raw, CONTENT_DIGEST_LEN);
	e->content = raw;
	return 0;
}

static int hash_content(struct layer_index *ix, struct tar_reader *r, struct layer_entry *e,
			dray_error **err)
{
	cleanup_hash struct hash h = { 0 };
	cleanup_source struct source *data = NULL;

	if (count_expanded(ix, e, err) < 0 || hash_init(&h, DIGEST_SHA256, err) < 0)
		return -1;
	data = tar_data(r, err);
	if (e->sparse)
		data = sparse_expand(steal_pointer(&data), e->sparse, err);
	data = source_hash(steal_pointer(&data), &h, err);
	return data ? finish_content(ix, data, &h, e, err) : -1;
}

/* GNU tar drops all before a "..", and makes a folder of a file whose name ends in a slash. */
static bool is_ambiguous(const struct tar_entry *t, unsigned quirks)
{
	if (t->type == TAR_HARDLINK && (tar_name_quirks(t->link) & TAR_NAME_DOTDOT))
		return true;
	return (quirks & TAR_NAME_DOTDOT) ||
	       ((quirks & TAR_NAME_TRAILING_SLASH) && t->type != TAR_DIR);
}

static int make_entry(struct layer_index *ix, const struct tar_entry *t, struct buf *room,
		      struct layer_entry *e, dray_error **err)
{
	unsigned quirks = tar_name_quirks(t->name);

	*e = (struct layer_entry){ .type = (uint8_t)t->type };
	e->odd_name = (quirks & ~(unsigned)TAR_NAME_TRAILING_SLASH) != 0;
	e->ambiguous = is_ambiguous(t, quirks);
	if (clean(&ix->arena, t->name, room, &e->path, err) < 0 ||
	    check_whiteout(e->path, err) < 0 || set_numbers(e, t, err) < 0 ||
	    set_owner(ix, t, e, err) < 0 || copy_xattrs(&ix->arena, t, e, err) < 0 ||
	    copy_sparse(ix, t, e, err) < 0)
		return -1;
	if (t->type == TAR_OTHER)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "tar entry type 0x%02x", t->raw_type);
	return set_link(&ix->arena, t, room, e, err);
}

int layer_entry_check(const struct tar_entry *t, struct buf *room, dray_error **err)
{
	struct layer_entry e = { 0 };

	if (t->type == TAR_HARDLINK && clean_into(room, t->link, err) < 0)
		return err_ctx(err, "hard link");
	if (clean_into(room, t->name, err) < 0 || buf_add(room, span_of("", 1), err) < 0)
		return -1;
	room->len--;
	if (!room->len && t->type != TAR_DIR)
		return err_set(err, DRAY_ERR_FORMAT, "the root is no folder");
	if (check_whiteout((const char *)room->data, err) < 0 || set_numbers(&e, t, err) < 0)
		return -1;
	return check_xattrs(t->xattrs, t->n_xattrs, err);
}

/* The bytes of a file, for who wants them. Whiteouts have none; what aufs left may be linked to. */
static int pass_content(const struct layer_index_options *o, struct layer_index *ix,
			struct tar_reader *r, struct layer_entry *e, dray_error **err)
{
	enum whiteout kind = whiteout_of(e->path, NULL);
	cleanup_source struct source *data = NULL;

	if (!o->file)
		return o->contents && !o->lends ? hash_content(ix, r, e, err) : 0;
	if (kind == WHITEOUT_NAME || kind == WHITEOUT_OPAQUE)
		return 0;
	data = tar_data(r, err);
	return data ? o->file(o->file_arg, e, data, err) : -1;
}

/* What an entry keeps besides itself. */
static size_t text_of(const struct tar_entry *t)
{
	size_t sum = t->name.len + t->link.len + t->uname.len + t->gname.len +
		     t->n_extents * sizeof(t->extents[0]);

	for (size_t i = 0; i < t->n_xattrs; i++)
		sum += sizeof(t->xattrs[i]) + t->xattrs[i].name.len + t->xattrs[i].value.len;
	return sum;
}

static int at_entry(const struct tar_entry *t, dray_error **err)
{
	cleanup_free char *name = text_safe(t->name, NAME_SHOWN_MAX);

	return err_ctx(err, "%s (tar header at byte %lld)", name ? name : "?",
		       (long long)t->header_off);
}

/* ---- all entries ---- */

struct layer_indexer {
	struct layer_index *ix;
	struct tar_reader *r;
	struct source *in; /* lent */
	int64_t start;
	struct layer_index_options o;
	struct buf room;
	/* Of the entry whose data are lent, and hashed as they pass. */
	struct source *data; /* NULL = none */
	struct hash hash;
};

void layer_indexer_free(struct layer_indexer *x)
{
	if (!x)
		return;
	source_free(x->data);
	hash_clear(&x->hash);
	layer_index_free(x->ix);
	tar_reader_free(x->r);
	buf_clear(&x->room);
	mem_free(x);
}

struct layer_indexer *layer_indexer_new(struct source *in, const struct layer_index_options *o,
					dray_error **err)
{
	cleanup_layer_indexer struct layer_indexer *x = mem_zalloc(sizeof(*x));

	if (!x) {
		err_nomem(err);
		return NULL;
	}
	x->in = in;
	x->start = in->pos;
	x->o = *o;
	x->room = BUF_INIT(LIMIT_PATH);
	x->ix = mem_zalloc(sizeof(*x->ix));
	if (!x->ix) {
		err_nomem(err);
		return NULL;
	}
	x->r = tar_reader_new(in, o->on_odd, o->arg, err);
	return x->r ? steal_pointer(&x) : NULL;
}

static int add(struct layer_indexer *x, const struct tar_entry *t, dray_error **err)
{
	const struct layer_index_options *o = &x->o;
	struct layer_index *ix = x->ix;

	if (o->max_entries && ix->n >= o->max_entries)
		return err_set(err, DRAY_ERR_LIMIT, "more than %zu entries", o->max_entries);
	if (ix->n >= LIMIT_LAYER_ENTRIES)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d entries (LIMIT_LAYER_ENTRIES)",
			       LIMIT_LAYER_ENTRIES);
	ix->text += text_of(t);
	if (o->max_text && ix->text > o->max_text)
		return err_set(err, DRAY_ERR_LIMIT, "more than %zu bytes of names and attributes",
			       o->max_text);
	if (mem_grow(&ix->list, ix->n, &ix->cap, sizeof(*ix->list)) < 0)
		return err_nomem(err);
	if (make_entry(ix, t, &x->room, &ix->list[ix->n], err) < 0 ||
	    ((t->type == TAR_FILE || t->type == TAR_SPARSE) &&
	     pass_content(o, ix, x->r, &ix->list[ix->n], err) < 0))
		return at_entry(t, err);
	ix->n++;
	return 0;
}

static struct layer_entry *last_entry(struct layer_indexer *x)
{
	return &x->ix->list[x->ix->n - 1];
}

/* What the caller left unread is hashed, too. */
static int end_loan(struct layer_indexer *x, dray_error **err)
{
	cleanup_source struct source *data = steal_pointer(&x->data);

	return data ? finish_content(x->ix, data, &x->hash, last_entry(x), err) : 0;
}

int layer_indexer_next(struct layer_indexer *x, const struct layer_entry **ret, dray_error **err)
{
	const struct tar_entry *t;
	int rc = end_loan(x, err) < 0 ? -1 : tar_next(x->r, &t, err);

	if (rc > 0)
		rc = add(x, t, err) < 0 ? -1 : 1;
	else if (rc == 0)
		rc = tar_tail(x->r, err);
	*ret = rc > 0 ? last_entry(x) : NULL;
	return rc;
}

struct source *layer_indexer_data(struct layer_indexer *x, dray_error **err)
{
	if (!x->o.contents || last_entry(x)->type != TAR_FILE)
		return tar_data(x->r, err);
	if (hash_init(&x->hash, DIGEST_SHA256, err) < 0)
		return NULL;
	x->data = source_hash(tar_data(x->r, err), &x->hash, err);
	return x->data ? source_lend(x->data, err) : NULL;
}

struct layer_index *layer_indexer_finish(struct layer_indexer *x)
{
	x->ix->size = x->in->pos - x->start;
	return steal_pointer(&x->ix);
}

int layer_index_read(struct source *in, const struct layer_index_options *o,
		     struct layer_index **ret, dray_error **err)
{
	cleanup_layer_indexer struct layer_indexer *x = layer_indexer_new(in, o, err);
	const struct layer_entry *e;
	int rc = x ? 1 : -1;

	while (rc > 0)
		rc = layer_indexer_next(x, &e, err);
	if (rc == 0)
		*ret = layer_indexer_finish(x);
	return rc;
}
