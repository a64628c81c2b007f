/* SPDX-License-Identifier: Apache-2.0
 *
 * Applying layers: whiteouts first, since they speak of the layers below whatever
 * their place in the tar, then entries in their order.
 * Relies on index.c for clean paths.
 * Promises that removing a folder costs the same whatever it holds.
 */
#include "layer/tree_priv.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"

#define TABLE_FIRST 256
#define AUFS_LINKS ".wh..wh.plnk" /* where aufs kept what its hard links share */

/* ---- the table of names ---- */

/* Folders are told apart by their address and epoch: a removed one's names fit nothing. */
static bool names(const struct node *n, const struct node *parent, const char *name, size_t len)
{
	return n->parent == parent && n->parent_epoch == parent->epoch &&
	       strncmp(n->name, name, len) == 0 && !n->name[len];
}

static struct node **find_cell(const struct tree *t, const struct node *parent, const char *name,
			       size_t len)
{
	uint64_t serial = (uint64_t)(uintptr_t)parent * 0x9e3779b97f4a7c15ULL + parent->epoch;
	size_t mask = t->table_len - 1;
	size_t at = (map_hash(span_of(name, len)) ^ (serial >> 16)) & mask;

	while (t->table[at] && !names(t->table[at], parent, name, len))
		at = (at + 1) & mask;
	return &t->table[at];
}

static struct node *find_child(const struct tree *t, const struct node *parent, const char *name,
			       size_t len)
{
	struct node *n = *find_cell(t, parent, name, len);

	return n && !n->gone ? n : NULL;
}

/* Names of removed folders are left behind when the table grows. */
static bool reachable(const struct node *n)
{
	return !n->gone && n->parent_epoch == n->parent->epoch;
}

static int grow_table(struct tree *t, dray_error **err)
{
	struct node **old = t->table;
	size_t old_len = t->table_len;

	if (t->used * 2 < t->table_len)
		return 0;
	struct node **table = mem_alloc_array(old_len * 2, sizeof(*table));
	if (!table)
		return err_nomem(err);
	memset(table, 0, old_len * 2 * sizeof(*table));
	t->table = table;
	t->table_len = old_len * 2;
	t->used = 0;
	for (size_t i = 0; i < old_len; i++) {
		if (!old[i] || !reachable(old[i]))
			continue;
		*find_cell(t, old[i]->parent, old[i]->name, strlen(old[i]->name)) = old[i];
		t->used++;
	}
	mem_free(old);
	return 0;
}

/* ---- nodes ---- */

static void odd(const struct tree *t, const char *code, const char *path)
{
	if (t->on_odd)
		t->on_odd(t->arg, &(struct tree_oddity){ code, t->below + t->n_layers, path });
}

static struct inode *new_inode(struct tree *t, const struct layer_entry *e)
{
	struct inode *i = arena_alloc(&t->arena, sizeof(*i));

	if (i)
		*i = (struct inode){
			.data = e, .attrs = e, .data_layer = t->n_layers, .attrs_layer = t->n_layers
		};
	return i;
}

/* A name in @p parent where none is. */
static struct node *add_child(struct tree *t, struct node *parent, const char *name, size_t len,
			      dray_error **err)
{
	struct node *n = arena_alloc(&t->arena, sizeof(*n));
	struct node **cell;

	if (!n || grow_table(t, err) < 0) {
		err_nomem(n ? NULL : err);
		return NULL;
	}
	*n = (struct node){ .parent = parent,
			    .next = parent->child,
			    .parent_epoch = parent->epoch,
			    .layer = t->n_layers };
	n->name = name[len] ? arena_strndup(&t->arena, name, len) : name;
	if (!n->name) {
		err_nomem(err);
		return NULL;
	}
	cell = find_cell(t, parent, name, len);
	t->used += !*cell;
	*cell = n;
	parent->child = n;
	return n;
}

/* Everything below @p n goes; the table finds it no more. */
static void empty(struct node *n)
{
	n->child = NULL;
	n->epoch++;
}

static void drop(struct node *n)
{
	n->gone = true;
	empty(n);
}

void tree_remove(struct node *n)
{
	drop(n);
}

/* ---- folders on the way ---- */

static struct node *imply_folder(struct tree *t, struct node *parent, const char *name, size_t len,
				 dray_error **err)
{
	struct node *n = add_child(t, parent, name, len, err);

	if (!n)
		return NULL;
	n->inode = new_inode(t, NULL);
	if (n->inode)
		return n;
	err_nomem(err);
	return NULL;
}

/*
 * The folder that holds @p path, made where it is missing; *ret_name is the last component.
 * What is in the way and no folder is replaced: Docker unpacks a layer beside the others, where
 * it sees no link of theirs (P-09).
 */
static struct node *reach_parent(struct tree *t, const char *path, const char **ret_name,
				 dray_error **err)
{
	struct node *at = t->root;
	const char *part = path, *slash;

	for (; (slash = strchr(part, '/')); part = slash + 1) {
		size_t len = (size_t)(slash - part);
		struct node *n = find_child(t, at, part, len);

		if (n && !node_is_dir(n)) {
			odd(t, "parent-replaced", path);
			drop(n);
			n = NULL;
		}
		at = n ? n : imply_folder(t, at, part, len, err);
		if (!at)
			return NULL;
	}
	*ret_name = part;
	return at;
}

struct node *tree_find(const struct tree *t, const char *path)
{
	struct node *at = t->root;

	while (at && path[0]) {
		size_t len = strcspn(path, "/");

		at = find_child(t, at, path, len);
		path += len + (path[len] == '/');
	}
	return at;
}

struct node *tree_child(const struct tree *t, const struct node *dir, const char *name, size_t len)
{
	return find_child(t, dir, name, len);
}

/* ---- whiteouts ---- */

/* The node that cleaned @p path without its last component leads to; NULL when there is none. */
static struct node *find_parent(const struct tree *t, const char *path)
{
	struct node *at = t->root;
	const char *slash;

	for (; at && (slash = strchr(path, '/')); path = slash + 1)
		at = find_child(t, at, path, (size_t)(slash - path));
	return at;
}

static void apply_whiteout(struct tree *t, const struct layer_entry *e)
{
	const char *name = NULL;
	enum whiteout kind = whiteout_of(e->path, &name);
	struct node *parent = kind == WHITEOUT_NONE ? NULL : find_parent(t, e->path);
	struct node *n;

	if (!parent || !node_is_dir(parent))
		return;
	if (kind == WHITEOUT_OPAQUE)
		empty(parent);
	if (kind != WHITEOUT_NAME)
		return;
	n = find_child(t, parent, name, strlen(name));
	if (n)
		drop(n);
	else
		odd(t, "whiteout-of-nothing", e->path);
}

/* ---- entries ---- */

/* The number of the layer that is applied, for people. */
static uint32_t told_layer(const struct tree *t)
{
	return t->below + t->n_layers + 1;
}

static int set_root(struct tree *t, const struct layer_entry *e, dray_error **err)
{
	if (e->type != TAR_DIR) /* the root may get attributes, nothing else */
		return err_set(err, DRAY_ERR_FORMAT, "layer %u: the root is no folder",
			       told_layer(t));
	t->root->entry = e;
	t->root->layer = t->n_layers;
	t->root->inode->data = t->root->inode->attrs = e;
	t->root->inode->data_layer = t->root->inode->attrs_layer = t->n_layers;
	return 0;
}

/* The file that a hard link names: in this layer or below (formats.md 6.3). */
static int find_target(struct tree *t, const struct layer_entry *e, struct inode **ret,
		       dray_error **err)
{
	struct node *target = tree_find(t, e->link);

	if (!target)
		return err_set(err, DRAY_ERR_FORMAT,
			       "layer %u: the target of a hard link at byte %lld is not there",
			       told_layer(t), (long long)e->header_off);
	if (node_is_dir(target))
		return err_set(err, DRAY_ERR_FORMAT,
			       "layer %u: a hard link at byte %lld names a folder", told_layer(t),
			       (long long)e->header_off);
	*ret = target->inode;
	return 0;
}

/* ---- what a hard link does to its file ---- */

#define XATTR_CAPABILITY "security.capability" /* which chown() takes away */

static const struct tar_xattr *find_xattr(const struct layer_xattrs *x, struct span name)
{
	for (size_t i = 0; x && i < x->n; i++)
		if (span_eq(x->list[i].name, name))
			return &x->list[i];
	return NULL;
}

/* Attributes that @p link does not give stay, but for what its chown() removes. */
static bool keeps_xattr(const struct layer_entry *link, const struct tar_xattr *x)
{
	return !find_xattr(link->xattrs, x->name) && !span_is(x->name, XATTR_CAPABILITY);
}

static bool keeps_xattrs(const struct layer_xattrs *have, const struct layer_entry *link)
{
	const struct layer_xattrs *x = link->xattrs;

	for (size_t i = 0; x && i < x->n; i++) {
		const struct tar_xattr *old = find_xattr(have, x->list[i].name);

		if (!old || !span_eq(old->value, x->list[i].value))
			return false;
	}
	return !find_xattr(have, SPAN_LIT(XATTR_CAPABILITY)) ||
	       find_xattr(x, SPAN_LIT(XATTR_CAPABILITY));
}

bool link_keeps_attributes(const struct inode *to, const struct layer_entry *link)
{
	const struct layer_entry *a = to->attrs;

	/* Nobody sets the mode of a symbolic link. */
	return (a->mode == link->mode || to->data->type == TAR_SYMLINK) && a->uid == link->uid &&
	       a->gid == link->gid && a->mtime == link->mtime &&
	       a->mtime_nsec == link->mtime_nsec && keeps_xattrs(a->xattrs, link);
}

static size_t count_xattrs(const struct layer_entry *e)
{
	return e->xattrs ? e->xattrs->n : 0;
}

/* The extended attributes of @p link over those of @p old, into @p e. */
static int join_xattrs(struct tree *t, const struct layer_entry *old,
		       const struct layer_entry *link, struct layer_entry *e, dray_error **err)
{
	size_t max = count_xattrs(old) + count_xattrs(link);
	struct layer_xattrs *x = arena_alloc(&t->arena, sizeof(*x) + max * sizeof(x->list[0]));

	if (!x)
		return err_nomem(err);
	for (size_t i = 0; i < count_xattrs(old); i++)
		if (keeps_xattr(link, &old->xattrs->list[i]))
			x->list[x->n++] = old->xattrs->list[i];
	for (size_t i = 0; i < count_xattrs(link); i++)
		x->list[x->n++] = link->xattrs->list[i];
	e->xattrs = x;
	return 0;
}

/* Engines link and then set what the link's header says; what it leaves out stays as it was. */
static int set_link_attributes(struct tree *t, struct inode *to, const struct layer_entry *link,
			       dray_error **err)
{
	const struct layer_entry *old = to->attrs;

	if (link_keeps_attributes(to, link))
		return 0;
	to->attrs = link;
	to->attrs_layer = t->n_layers;
	if (!old->xattrs)
		return 0;
	struct layer_entry *joined = arena_alloc(&t->arena, sizeof(*joined));
	if (!joined)
		return err_nomem(err);
	*joined = *link;
	to->attrs = joined;
	return join_xattrs(t, old, link, joined, err);
}

static int make_inode(struct tree *t, const struct layer_entry *e, struct inode **ret,
		      dray_error **err)
{
	if (e->type != TAR_HARDLINK || (t->partial && !tree_find(t, e->link))) {
		*ret = new_inode(t, e);
		return *ret ? 0 : err_nomem(err);
	}
	if (find_target(t, e, ret, err) < 0)
		return -1;
	return set_link_attributes(t, *ret, e, err);
}

/* Put @p inode at @p name: onto a folder only if both are folders, else in place of what is there. */
static int place(struct tree *t, const struct layer_entry *e, struct inode *inode, dray_error **err)
{
	const char *name;
	struct node *parent = reach_parent(t, e->path, &name, err);
	struct node *n = parent ? find_child(t, parent, name, strlen(name)) : NULL;

	if (!parent)
		return -1;
	if (n && n->entry && n->layer == t->n_layers)
		odd(t, "duplicate-entry", e->path);
	if (n && !(node_is_dir(n) && e->type == TAR_DIR)) {
		drop(n);
		n = NULL;
	}
	if (!n)
		n = add_child(t, parent, name, strlen(name), err);
	if (!n)
		return -1;
	n->inode = inode;
	n->entry = e;
	n->layer = t->n_layers;
	return 0;
}

static int apply_entry(struct tree *t, const struct layer_entry *e, dray_error **err)
{
	struct inode *inode = NULL;

	if (!e->path[0])
		return set_root(t, e, err);
	if (is_overlay_whiteout(e)) {
		struct node *n = tree_find(t, e->path);

		odd(t, "overlay-whiteout", e->path);
		if (n)
			drop(n);
		return 0;
	}
	if (make_inode(t, e, &inode, err) < 0)
		return -1;
	return place(t, e, inode, err);
}

/* aufs: files below AUFS_LINKS carry what hard links of their layer share; then they go. */
static bool is_aufs_link(const char *path)
{
	return path_is_below(path, AUFS_LINKS);
}

static bool is_plain(const struct layer_entry *e)
{
	return whiteout_of(e->path, NULL) == WHITEOUT_NONE;
}

int tree_apply(struct tree *t, const struct layer_index *ix, dray_error **err)
{
	struct node *aufs;

	if (ix->n > LIMIT_LAYER_ENTRIES - t->n_applied)
		return err_set(err, DRAY_ERR_LIMIT,
			       "the layers have more than %d entries (LIMIT_LAYER_ENTRIES)",
			       LIMIT_LAYER_ENTRIES);
	t->n_applied += ix->n;
	for (size_t i = 0; i < ix->n; i++)
		apply_whiteout(t, &ix->list[i]);
	for (size_t i = 0; i < ix->n; i++)
		if ((is_plain(&ix->list[i]) || is_aufs_link(ix->list[i].path)) &&
		    apply_entry(t, &ix->list[i], err) < 0)
			return -1;
	aufs = find_child(t, t->root, AUFS_LINKS, strlen(AUFS_LINKS));
	if (aufs)
		drop(aufs);
	t->n_layers++;
	return 0;
}

const struct layer_entry *node_attributes(const struct node *n)
{
	static const struct layer_entry implied = { .type = TAR_DIR, .mode = 0755 };

	return n->inode->attrs ? n->inode->attrs : &implied;
}

/* ---- beginning and end ---- */

struct node *tree_root(const struct tree *t)
{
	return t->root;
}

void tree_set_partial(struct tree *t)
{
	t->partial = true;
}

void tree_set_below(struct tree *t, uint32_t n)
{
	t->below = n;
}

uint32_t tree_layers(const struct tree *t)
{
	return t->n_layers;
}

size_t tree_count(const struct tree *t)
{
	return t->count;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	mem_free(t->table);
	arena_clear(&t->arena);
	mem_free(t);
}

struct tree *tree_new(tree_oddity_fn *on_odd, void *arg, dray_error **err)
{
	cleanup_tree struct tree *t = mem_zalloc(sizeof(*t));

	if (!t) {
		err_nomem(err);
		return NULL;
	}
	if (map_hash_ready(err) < 0)
		return NULL;
	t->on_odd = on_odd;
	t->arg = arg;
	t->table = mem_zalloc(TABLE_FIRST * sizeof(struct node *));
	t->table_len = TABLE_FIRST;
	t->root = arena_alloc(&t->arena, sizeof(*t->root));
	if (!t->table || !t->root) {
		err_nomem(err);
		return NULL;
	}
	t->root->name = "";
	t->root->inode = new_inode(t, NULL);
	if (!t->root->inode) {
		err_nomem(err);
		return NULL;
	}
	return steal_pointer(&t);
}
