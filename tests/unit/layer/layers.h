/* SPDX-License-Identifier: Apache-2.0
 *
 * Stacks of layers from a small language, and trees as text.
 *
 * Layers are divided by "--" lines. A line is an entry: a letter (f d l h c b p), its name,
 * then any of >LINK, =DATA, @MODE:UID:GID:MTIME, #XATTR=VALUE, divided by blanks.
 */
#pragma once

#include "base/limits.h"
#include "layer/rootfs.h"
#include "layer/write.h"
#include "stream.h"
#include "tar_build.h"

#define STACK_MAX 8

struct built {
	size_t n;
	struct buf tar[STACK_MAX];
	struct layer_index *index[STACK_MAX];
	struct tree *tree;
};

static inline void built_clear(struct built *b)
{
	tree_free(b->tree);
	for (size_t i = 0; i < STACK_MAX; i++) {
		layer_index_free(b->index[i]);
		buf_clear(&b->tar[i]);
	}
	*b = (struct built){ 0 };
}
#define cleanup_built CLEANUP(built_clear)

struct line {
	struct tb_head head;
	struct buf pax;
	const char *data;
	char mode[16], uid[16], gid[16];
};

static inline void line_attributes(struct line *l, const char *text)
{
	unsigned mode;
	char mtime[64];

	assert_int_equal(sscanf(text, "%o:%15[0-9]:%15[0-9]:%63s", &mode, l->uid, l->gid, mtime), 4);
	snprintf(l->mode, sizeof(l->mode), "%07o", mode & 07777);
	l->head.mode_text = l->mode;
	tb_record(&l->pax, "uid", l->uid);
	tb_record(&l->pax, "gid", l->gid);
	tb_record(&l->pax, "mtime", mtime);
}

static inline void line_word(struct line *l, char *word)
{
	cleanup_free char *key = NULL;
	char *value;

	switch (word[0]) {
	case '>':
		l->head.link = word + 1;
		return;
	case '=':
		l->data = word + 1;
		return;
	case '@':
		line_attributes(l, word + 1);
		return;
	case '#':
		value = strchr(word, '=');
		assert_non_null(value);
		*value = 0;
		assert_true(asprintf(&key, "SCHILY.xattr.%s", word + 1) > 0);
		tb_record(&l->pax, key, value + 1);
		return;
	default:
		fail_msg("what is '%s'?", word);
	}
}

static inline char letter_type(char c)
{
	static const char letters[] = "fhlcbdp";

	assert_non_null(strchr(letters, c));
	return (char)('0' + (strchr(letters, c) - letters));
}

/* Names that do not fit go to pax records. */
static inline void line_put(struct line *l, struct buf *tar)
{
	if (strlen(l->head.name) > 100)
		tb_record(&l->pax, "path", l->head.name);
	if (l->head.link && strlen(l->head.link) > 100)
		tb_record(&l->pax, "linkpath", l->head.link);
	if (l->pax.len)
		tb_ext(tar, 'x', l->pax.data, l->pax.len);
	l->head.size = (int64_t)strlen(l->data);
	tb_member(tar, &l->head, l->data, strlen(l->data));
	buf_clear(&l->pax);
}

static inline void put_line(char *text, struct buf *tar)
{
	struct line l = { .pax = tb_new(), .data = "" };
	char *save = NULL, *word = strtok_r(text, " ", &save);

	l.head.type = letter_type(word[0]);
	l.head.dev_text = word[0] == 'c' || word[0] == 'b' ? "0000001" : NULL;
	l.head.name = strtok_r(NULL, " ", &save);
	if (strcmp(l.head.name, "whiteout-device") == 0)
		l.head.dev_text = "0000000";
	while ((word = strtok_r(NULL, " ", &save)))
		line_word(&l, word);
	line_put(&l, tar);
}

/** The tars of a stack; the rest of @p b is empty. */
static inline void build_tars(struct built *b, const char *stack)
{
	char *copy = strdup(stack), *save = NULL;

	*b = (struct built){ .n = 1 };
	b->tar[0] = tb_new();
	for (char *s = strtok_r(copy, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		if (strcmp(s, "--") != 0) {
			put_line(s, &b->tar[b->n - 1]);
			continue;
		}
		assert_true(b->n < STACK_MAX);
		b->tar[b->n++] = tb_new();
	}
	for (size_t i = 0; i < b->n; i++)
		tb_end(&b->tar[i]);
	free(copy);
}

static inline int read_index(struct span tar, size_t piece, struct layer_index **ret,
			     dray_error **err)
{
	const struct layer_index_options o = { .contents = true };
	cleanup_source struct source *in = torn_span(tar, piece, -1, err);

	return in ? layer_index_read(in, &o, ret, err) : -1;
}

/** The tree of the lowest @p n layers of @p b, which are read. */
static inline struct tree *tree_of(const struct built *b, size_t n, dray_error **err)
{
	cleanup_tree struct tree *t = tree_new(NULL, NULL, err);

	for (size_t i = 0; t && i < n; i++)
		if (tree_apply(t, b->index[i], err) < 0)
			return NULL;
	if (t)
		tree_finish(t);
	return steal_pointer(&t);
}

static inline int build_tree(struct built *b, size_t piece, dray_error **err)
{
	for (size_t i = 0; i < b->n; i++)
		if (read_index(span_buf(&b->tar[i]), piece, &b->index[i], err) < 0)
			return -1;
	b->tree = tree_of(b, b->n, err);
	return b->tree ? 0 : -1;
}

/** All of @p b, from a stack that must be sound. */
static inline void build_stack(struct built *b, const char *stack)
{
	dray_error *err = NULL;

	build_tars(b, stack);
	assert_ok(build_tree(b, SIZE_MAX, &err), err);
}

static inline int64_t read_tars(void *arg, uint32_t layer, int64_t off, void *data, size_t len,
				dray_error **err)
{
	const struct built *b = arg;
	const struct buf *tar = &b->tar[layer];

	(void)err;
	assert_true(off >= 0 && (size_t)off < tar->len && len > 0);
	if (len > tar->len - (size_t)off)
		len = tar->len - (size_t)off;
	memcpy(data, tar->data + off, len);
	return (int64_t)len;
}

/** The merged tree as a tar again. */
static inline int write_merged(struct built *b, struct buf *ret, dray_error **err)
{
	const struct record_list all = { tree_record_next, b->tree };
	const struct layer_feed feed = { .read = read_tars, .arg = b };

	return slurp(layer_tar_source(&all, &feed, err), ret, err);
}

/* ---- a tree as text ---- */

#define tell(ret, ...) assert_int_equal(buf_printf(ret, NULL, __VA_ARGS__), 0)

static inline const char *path_of(const struct node *n, struct buf *room)
{
	assert_int_equal(node_path(n, room, NULL), 0);
	return room->len ? (const char *)room->data : ".";
}

static inline const struct node *first_of(const struct tree *t, const struct node *n)
{
	const struct node *at = tree_root(t);

	while (at->inode != n->inode)
		at = tree_next(at);
	return at;
}

static inline void show_attributes(const struct node *n, struct buf *ret)
{
	const struct layer_entry *a = n->inode->attrs;

	if (!a)
		return;
	if (a->mode != (a->type == TAR_DIR ? 0755 : 0644) || a->uid || a->gid || a->mtime ||
	    a->mtime_nsec)
		tell(ret, " @%04o:%u:%u:%lld.%u", a->mode, a->uid, a->gid,
			   (long long)a->mtime, a->mtime_nsec / 100000000);
	for (size_t i = 0; a->xattrs && i < a->xattrs->n; i++)
		tell(ret, " #%.*s=%.*s", (int)a->xattrs->list[i].name.len,
			   (const char *)a->xattrs->list[i].name.data,
			   (int)a->xattrs->list[i].value.len,
			   (const char *)a->xattrs->list[i].value.data);
}

static inline void show_node(const struct built *b, const struct node *n, struct buf *ret)
{
	cleanup_buf struct buf path = tb_new(), link = tb_new();
	const struct node *first = first_of(b->tree, n);
	const struct layer_entry *d = n->inode->data;

	tell(ret, "%c %s", first != n ? 'h' : "fhlcbdpSO"[node_type(n)],
		   path_of(n, &path));
	if (first != n)
		tell(ret, " >%s", path_of(first, &link));
	else if (node_type(n) == TAR_SYMLINK)
		tell(ret, " >%s", d->link);
	if (first == n && d && d->size > 0)
		tell(ret, " =%.*s", (int)d->size,
			   (const char *)b->tar[n->inode->data_layer].data + d->data_off);
	if (first == n)
		show_attributes(n, ret);
	tell(ret, "\n");
}

/** The tree but for an undescribed root: a line per name, in its order. Free with buf_clear(). */
static inline struct buf show_tree(const struct built *b)
{
	struct buf ret = tb_new();

	for (const struct node *n = tree_root(b->tree); n; n = tree_next(n))
		if (n->parent || n->inode->data)
			show_node(b, n, &ret);
	return ret;
}
