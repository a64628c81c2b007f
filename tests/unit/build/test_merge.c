/* SPDX-License-Identifier: Apache-2.0
 *
 * What a source does to names of the base and of other sources, and to its own.
 * Relies on layer/tree for what the merged entries come to.
 * Promises that a rule which is broken names its row.
 */
#include "base/mem.h"
#include "base/text.h"
#include "build/merge.h"
#include "torture.h"

#define SOURCES 4
#define ROOM 512

/*
 * The base, then each source, an entry a line: "TYPE PATH VALUE" with the TYPES below; VALUE is
 * content, the target of a link, the mode of a folder (d; v: its mode is vague; m, n: the same of
 * a mkdir).
 */
struct row {
	const char *name, *conflict, *layers[SOURCES];
	/* What stands there, a line each; NULL = refused with... */
	const char *want;
	enum dray_err_kind kind;
	const char *message;
	bool replace;
};

static const struct row rows[] = {
	{ .name = "a link to an own file",
	  .layers = { "", "f x one\nh y x\n" },
	  .want = "x=one\ny=one\n" },
	{ .name = "a link to the base's file",
	  .layers = { "f x base\n", "h y x\n" },
	  .kind = DRAY_ERR_FORMAT,
	  .message = "/y: a hard link to /x" },
	{ .name = "a link to the base's file, whose name another source has",
	  .layers = { "f x base\n", "f x one\n", "f x one\nh y x\n" },
	  .want = "x=one\ny=one\n" },
	{ .name = "a link to what comes later",
	  .layers = { "", "h y x\nf x one\n" },
	  .kind = DRAY_ERR_FORMAT,
	  .message = "/y: a hard link to /x" },
	{ .name = "a link to a folder",
	  .layers = { "", "d x 755\nh y x\n" },
	  .kind = DRAY_ERR_FORMAT,
	  .message = "/y: a hard link to /x" },
	{ .name = "a link to a name that was lost",
	  .conflict = "first",
	  .layers = { "", "f x one\n", "f x two\nh y x\nh z x\n" },
	  .want = "x=one\ny=two\nz=two\n" },
	{ .name = "links of which all are lost",
	  .conflict = "first",
	  .layers = { "", "f x one\nf y one\n", "f x two\nh y x\n" },
	  .want = "x=one\ny=one\n" },
	{ .name = "a link that wins",
	  .conflict = "last",
	  .layers = { "", "f y one\n", "f x two\nh y x\n" },
	  .want = "x=two\ny=two\n" },
	{ .name = "a link and a file that agree",
	  .layers = { "", "f y two\n", "f x two\nh y x\n" },
	  .want = "x=two\ny=two\n" },
	{ .name = "a link and a file that differ",
	  .layers = { "", "f y one\n", "f x two\nh y x\n" },
	  .kind = DRAY_ERR_USAGE,
	  .message = "/y: two sources" },
	{ .name = "a name twice, and links to each",
	  .layers = { "", "f x old\nh y x\nf x new\nh z x\n" },
	  .want = "x=new\ny=old\nz=new\n" },
	{ .name = "a link to itself", .layers = { "", "f x one\nh x x\n" }, .want = "x=one\n" },
	{ .name = "the name of a whiteout",
	  .layers = { "f x base\n", "f a/.wh.b/c one\n" },
	  .kind = DRAY_ERR_FORMAT,
	  .message = "/a/.wh.b/c" },
	{ .name = "the name of a whiteout, by a link",
	  .layers = { "f x base\n", "l a .wh.x\nf a/c one\n" },
	  .kind = DRAY_ERR_FORMAT,
	  .message = "/.wh.x/c" },
	{ .name = "nearly the name of a whiteout",
	  .layers = { "", "f a/.wh one\n" },
	  .want = "a/\na/.wh=one\n" },
	{ .name = "below the base's file",
	  .layers = { "f a base\n", "f a/b/c one\n" },
	  .kind = DRAY_ERR_USAGE,
	  .message = "/a/b/c: /a, which is no folder, is of the base" },
	{ .name = "below the base's file, which is meant",
	  .layers = { "f a base\n", "f a/b/c one\n" },
	  .replace = true,
	  .want = "a/\na/b/\na/b/c=one\n" },
	{ .name = "below another source's file",
	  .layers = { "", "f a one\n", "f a/b two\n" },
	  .kind = DRAY_ERR_USAGE,
	  .message = "/a/b: /a, which is no folder, is of another source" },
	{ .name = "below another source's file, which was first",
	  .conflict = "first",
	  .layers = { "", "f a one\n", "f a/b two\nf c two\n" },
	  .want = "a=one\nc=two\n" },
	{ .name = "below another source's file, which was before",
	  .conflict = "last",
	  .layers = { "", "f a one\n", "f a/b two\n" },
	  .want = "a/\na/b=two\n" },
	{ .name = "below a folder that replaces the base's file",
	  .layers = { "f a base\n", "d a 700\nf a/b one\nf a/c one\n" },
	  .replace = true,
	  .want = "a/\na/b=one\na/c=one\n" },
	{ .name = "a folder in the place of a link that leads nowhere",
	  .layers = { "l lib usr/lib\n", "d lib 755\nf lib/x one\n" },
	  .replace = true,
	  .want = "lib/\nlib/x=one\n" },
	{ .name = "a folder over a link to a folder",
	  .layers = { "d usr 755\nl lib usr\n", "d lib 700\nf lib/x one\n" },
	  .want = "lib@usr\nusr/ 755\nusr/x=one\n" },
	{ .name = "a link in the place of a folder on the way",
	  .layers = { "", "f lib/x one\nl lib usr\nf lib/y two\n" },
	  .want = "lib@usr\nusr/\nusr/y=two\n" },
	{ .name = "folders that differ",
	  .layers = { "", "d d 700\n", "d d 755\n" },
	  .kind = DRAY_ERR_USAGE,
	  .message = "/d: two sources" },
	{ .name = "folders that agree",
	  .layers = { "", "d d 700\n", "d d 700\n" },
	  .want = "d/ 700\n" },
	{ .name = "folders, the first",
	  .conflict = "first",
	  .layers = { "", "d d 700\n", "d d 755\n" },
	  .want = "d/ 700\n" },
	{ .name = "folders, the last",
	  .conflict = "last",
	  .layers = { "", "d d 700\n", "d d 755\n" },
	  .want = "d/ 755\n" },
	{ .name = "a vague mode after one",
	  .layers = { "", "d d 700\n", "v d 755\n" },
	  .want = "d/ 700\n" },
	{ .name = "a vague mode before one",
	  .layers = { "", "v d 755\n", "d d 700\n" },
	  .want = "d/ 700\n" },
	{ .name = "vague modes, then two",
	  .layers = { "", "v d 755\n", "d d 700\n", "d d 711\n" },
	  .kind = DRAY_ERR_USAGE,
	  .message = "/d: two sources" },
	{ .name = "a vague mode on the base's",
	  .layers = { "d d 1777\n", "v d 755\nf d/x one\n" },
	  .want = "d/ 1777\nd/x=one\n" },
	{ .name = "a file over the base's folder, which another source described",
	  .conflict = "last",
	  .layers = { "d d 700\nf d/x base\n", "d d 755\n", "f d two\n" },
	  .kind = DRAY_ERR_USAGE,
	  .message = "/d: it would hide a folder of the base" },
	{ .name = "the same, which is meant",
	  .conflict = "last",
	  .layers = { "d d 700\nf d/x base\n", "d d 755\n", "f d two\n" },
	  .replace = true,
	  .want = "d=two\n" },
	{ .name = "the same, and the first wins",
	  .conflict = "first",
	  .layers = { "d d 700\nf d/x base\n", "d d 755\n", "f d two\n" },
	  .want = "d/ 755\nd/x=base\n" },
	{ .name = "a file over another source's folder",
	  .conflict = "last",
	  .layers = { "f x base\n", "d d 755\n", "f d two\n" },
	  .want = "d=two\nx=base\n" },
	{ .name = "a folder over the base's file, which another source has",
	  .conflict = "last",
	  .layers = { "f a base\n", "f a one\n", "d a 755\nf a/b two\n" },
	  .kind = DRAY_ERR_USAGE,
	  .message = "/a: a folder would take the place of a file or link of the base" },
	{ .name = "below the base's file, which another source has",
	  .conflict = "last",
	  .layers = { "f a base\n", "f a one\n", "f a/b two\n" },
	  .kind = DRAY_ERR_USAGE,
	  .message = "/a/b: /a, which is no folder, is of the base" },
	{ .name = "the same, below what came first",
	  .conflict = "first",
	  .layers = { "f a base\n", "f a one\n", "f a/b two\n" },
	  .want = "a=one\n" },
	{ .name = "a mkdir that tells a mode, after one that does not",
	  .layers = { "", "n d 755\n", "m d 700\n" },
	  .want = "d/ 700\n" },
	{ .name = "a mkdir that tells a mode, before one that does not",
	  .layers = { "", "m d 700\n", "n d 755\n" },
	  .want = "d/ 700\n" },
	{ .name = "two mkdirs that tell two modes, after a vague one",
	  .layers = { "", "v d 755\n", "m d 700\n", "m d 711\n" },
	  .kind = DRAY_ERR_USAGE,
	  .message = "/d: two sources" },
	{ .name = "two mkdirs that tell two modes, after one that tells none",
	  .layers = { "", "n d 755\n", "m d 700\n", "m d 711\n" },
	  .kind = DRAY_ERR_USAGE,
	  .message = "/d: two sources" },
	{ .name = "two mkdirs that tell one mode, after a vague one",
	  .layers = { "", "v d 755\n", "m d 700\n", "m d 700\n" },
	  .want = "d/ 700\n" },
	{ .name = "a mode on the base's",
	  .layers = { "d d 1777\n", "d d 700\n" },
	  .want = "d/ 700\n" },
};

struct run {
	const struct row *row;
	struct buf got;
};

static int add_line(struct inputs *in, struct layer_index *ix, char *line, dray_error **err)
{
	static const char types[] = "fdvmnlh";
	static const enum tar_type type[] = { TAR_FILE, TAR_DIR,     TAR_DIR,	  TAR_DIR,
					      TAR_DIR,	TAR_SYMLINK, TAR_HARDLINK };
	char *path = line + 2, *value = strchr(path, ' ');
	struct content c = { .kind = CONTENT_BYTES };
	struct layer_entry *e;

	*value++ = '\0';
	e = entries_add(ix, path, type[strchr(types, line[0]) - types], err);
	if (!e)
		return -1;
	e->mode = 0644;
	if (e->type == TAR_DIR)
		e->mode = (uint32_t)strtoul(value, NULL, 8);
	else if (e->type != TAR_FILE)
		e->link = value;
	else {
		c.bytes = (const uint8_t *)value;
		c.size = e->size = (int64_t)strlen(value);
		return inputs_add(in, &c, &e->data_off, err);
	}
	return 0;
}

/* @p text is cut into lines. */
static int read_lines(struct inputs *in, struct layer_index *ix, char *text, dray_error **err)
{
	for (char *save, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (add_line(in, ix, line, err) < 0)
			return -1;
	return 0;
}

static void see(void *arg, struct span bytes)
{
	dray_error *err = NULL;

	assert_ok(buf_add(arg, bytes, &err), err);
}

static int show_node(struct inputs *in, const struct node *n, struct buf *path, struct buf *ret,
		     dray_error **err)
{
	const struct layer_entry *data = n->inode->data;

	if (node_path(n, path, err) < 0 || buf_add(ret, span_buf(path), err) < 0)
		return -1;
	if (node_is_dir(n))
		return n->entry ? buf_printf(ret, err, "/ %o\n", node_attributes(n)->mode)
				: buf_printf(ret, err, "/\n");
	if (node_type(n) == TAR_SYMLINK)
		return buf_printf(ret, err, "@%s\n", data->link);
	if (buf_printf(ret, err, "=") < 0 ||
	    inputs_read(in, data->data_off, data->size, see, ret, err) < 0)
		return -1;
	return buf_printf(ret, err, "\n");
}

static int show(struct inputs *in, struct tree *tree, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(ROOM);

	tree_finish(tree);
	for (const struct node *n = tree_next(tree_root(tree)); n; n = tree_next(n))
		if (show_node(in, n, &path, ret, err) < 0)
			return -1;
	return 0;
}

static int merge_rows(struct run *r, struct merge *m, struct layer_index **ix, char (*text)[ROOM],
		      dray_error **err)
{
	for (size_t i = 0; i < SOURCES && r->row->layers[i]; i++) {
		struct merge_source s = { .replace = r->row->replace };

		snprintf(text[i], ROOM, "%s", r->row->layers[i]);
		s.vague = text[i][0] == 'v' || text[i][0] == 'n' ? VAGUE_MODE : 0;
		s.is_mkdir = text[i][0] == 'm' || text[i][0] == 'n';
		ix[i] = s.ix = entries_new(err);
		if (!s.ix || read_lines(m->in, s.ix, text[i], err) < 0 ||
		    (i ? merge_apply(m, &s, err) : tree_apply(m->tree, s.ix, err)) < 0)
			return -1;
	}
	return show(m->in, m->tree, &r->got, err);
}

static int run_row(void *arg, dray_error **err)
{
	struct run *r = arg;
	cleanup_inputs struct inputs in = INPUTS_INIT;
	cleanup_tree struct tree *tree = tree_new(NULL, NULL, err);
	cleanup_merge struct merge m = { .in = &in,
					 .tree = tree,
					 .n_base = 1,
					 .conflict = r->row->conflict ? r->row->conflict : "error",
					 .follow = true };
	struct layer_index *ix[SOURCES] = { NULL };
	char text[SOURCES][ROOM];
	int rc;

	r->got.len = 0;
	if (!tree)
		return -1;
	rc = merge_rows(r, &m, ix, text, err);
	for (size_t i = 0; i < SOURCES; i++)
		layer_index_free(ix[i]);
	return rc;
}

/* Folders whose mode the row does not tell are shown without one where nobody described them. */
static bool fits(const struct run *r)
{
	const char *want = r->row->want, *got = (const char *)r->got.data;
	size_t i = 0;

	for (; *want; want++) {
		if (*want == '\n' && i > 0 && got[i - 1] == '/' && got[i] == ' ')
			i += strcspn(got + i, "\n");
		if (i >= r->got.len || got[i++] != *want)
			return false;
	}
	return i == r->got.len;
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct run r = { &rows[i], BUF_INIT(ROOM) };
		dray_error *err = NULL;
		int rc = run_row(&r, &err);

		if (rc < 0 && (rows[i].want || !strstr(dray_error_message(err), rows[i].message)))
			fail_msg("%s: %s", rows[i].name, dray_error_message(err));
		if (rc < 0)
			take_err_kind(&err, rows[i].kind);
		else if (!rows[i].want || !fits(&r))
			fail_msg("%s:\n%.*s", rows[i].name, (int)r.got.len,
				 (const char *)r.got.data);
		buf_clear(&r.got);
	}
}

static void test_no_memory(void **state)
{
	static const struct row row = {
		.conflict = "last",
		.layers = { "f a base\nl lib usr\n", "v d 700\nf x one\nh y x\n",
			    "d d 755\nf a/b two\nf lib/z two\nf x two\nh y x\n", "n e 755\n" },
		.replace = true,
	};
	struct run r = { &row, BUF_INIT(ROOM) };
	dray_error *err = NULL;

	(void)state;
	assert_ok(buf_reserve(&r.got, ROOM - 1, &err), err);
	torture_alloc(run_row, &r);
	buf_clear(&r.got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
