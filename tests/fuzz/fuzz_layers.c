/* SPDX-License-Identifier: Apache-2.0
 *
 * Stacks of layers from anything: each line of bytes becomes an entry of one to four tars.
 * Relies on libFuzzer, or on the plain driver that runs the corpus as a test.
 * Promises: the merged tree written as a tar reads again, and is the same tree, to tree_compare() too;
 * written while a layer passes it is the same tar, or known not to be.
 */
#include <assert.h>

#include "base/limits.h"
#include "layer/compare.h"
#include "layer/cut.h"
#include "layer/rootfs.h"
#include "layer/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LAYERS 4
#define STEPS 64 /* entries in all */

struct input {
	const uint8_t *data;
	size_t left;
};

struct stack {
	size_t n;
	struct buf tar[LAYERS];
	struct layer_index *index[LAYERS];
	struct tree *tree;
};

static uint8_t take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->data++;
}

/* Few parts, so that entries meet; the rules speak of the odd ones. */
static void put_name(struct input *in, struct buf *name)
{
	static const char *const parts[] = {
		"a",	 "b",	  "c",	  "d/",	      "a/",	      "b/",
		".wh.a", ".wh.b", ".wh.", ".wh..wh.", ".wh..wh..opq", ".wh..wh.plnk/",
		"../",	 "./",	  "/",	  "\xff"
	};
	uint8_t shape = take(in);
	int rc = 0;

	for (int i = 0; i <= (shape & 3) && rc == 0; i++)
		rc = buf_add_str(name, parts[take(in) & 15], NULL);
	if ((shape & 0xf0) == 0xf0)
		for (int i = 0; i < 40 && rc == 0; i++)
			rc = buf_add_str(name, "long/name", NULL);
}

static void put_entry(struct input *in, struct buf *tar)
{
	static const uint8_t types[] = { TAR_FILE,     TAR_FILE,     TAR_DIR,	  TAR_DIR,
					 TAR_HARDLINK, TAR_HARDLINK, TAR_SYMLINK, TAR_CHAR };
	cleanup_buf struct buf name = BUF_INIT(4096), link = BUF_INIT(4096);
	uint8_t kind = take(in), value = take(in);
	struct tar_xattr xattr = { SPAN_LIT("user.x"), span_of(&value, 1) };
	struct tar_member m = { .type = types[kind & 7], .mode = value & 077 };

	put_name(in, &name);
	m.name = span_buf(&name);
	if (m.type == TAR_HARDLINK || m.type == TAR_SYMLINK) {
		put_name(in, &link);
		m.link = span_buf(&link);
	}
	m.uid = m.mtime = value >> 6;
	m.dev_major = m.dev_minor = value & 1;
	m.size = m.type == TAR_FILE ? value : 0;
	m.xattrs = &xattr;
	m.n_xattrs = kind >> 7;
	if (kind & 0x40)
		xattr.name = SPAN_LIT("security.capability");
	size_t before = tar->len;
	if (tar_header_write(&m, tar, NULL) < 0) {
		tar->len = before;
		return;
	}
	for (int64_t i = 0; i < m.size + (int64_t)tar_padding(m.size); i++)
		if (buf_add_byte(tar, i < m.size ? value : 0, NULL) < 0)
			return;
}

static void put_end(struct buf *tar)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	if (buf_add(tar, span_of(zeros, sizeof(zeros)), NULL) < 0)
		tar->len = 0;
}

static int index_one(struct span tar, struct layer_index **ret)
{
	const struct layer_index_options o = { .contents = true };
	cleanup_source struct source *in = source_from_span(tar, NULL);

	return in ? layer_index_read(in, &o, ret, NULL) : -1;
}

static int merge(struct stack *s)
{
	s->tree = tree_new(NULL, NULL, NULL);
	for (size_t i = 0; i < s->n; i++)
		if (!s->tree || index_one(span_buf(&s->tar[i]), &s->index[i]) < 0 ||
		    tree_apply(s->tree, s->index[i], NULL) < 0)
			return -1;
	tree_finish(s->tree);
	return 0;
}

static void stack_clear(struct stack *s)
{
	tree_free(s->tree);
	for (size_t i = 0; i < LAYERS; i++) {
		layer_index_free(s->index[i]);
		buf_clear(&s->tar[i]);
	}
}

static int64_t feed_tars(void *arg, uint32_t layer, int64_t off, void *data, size_t len,
			 dray_error **err)
{
	const struct stack *s = arg;
	const struct buf *tar = &s->tar[layer];

	(void)err;
	assert(layer < s->n && off >= 0 && (size_t)off < tar->len && len > 0);
	if (len > tar->len - (size_t)off)
		len = tar->len - (size_t)off;
	memcpy(data, tar->data + off, len);
	return (int64_t)len;
}

static void write_back(struct stack *s, struct buf *ret)
{
	const struct record_list all = { tree_record_next, s->tree };
	const struct layer_feed feed = { .read = feed_tars, .arg = s };
	cleanup_source struct source *tar = layer_tar_source(&all, &feed, NULL);
	int64_t size = 0;

	assert(tar && source_slurp(tar, ret, NULL) == 0);
	assert(layer_tar_size(&all, &size, NULL) == 0 && (size_t)size == ret->len);
}

static void check_same(const struct tree *a, const struct tree *b)
{
	cleanup_tree_compare struct tree_compare c;
	struct tree_change change;

	tree_compare_init(&c, a, b, true);
	assert(tree_compare_next(&c, &change, NULL) == 0);
}

/* The tree of all layers but one, which is left empty. */
static struct tree *tree_of_others(const struct layer_index *const *index, size_t n)
{
	struct tree *t = tree_new(NULL, NULL, NULL);

	assert(t);
	tree_set_partial(t);
	for (size_t i = 0; i < n; i++)
		if (tree_apply(t, index[i], NULL) < 0) {
			tree_free(t);
			return NULL;
		}
	tree_finish(t);
	return t;
}

/* What passed is what was read before, file by file. */
static void check_contents(const struct layer_index *want, const struct layer_index *got)
{
	assert(got->n == want->n);
	for (size_t i = 0; i < want->n; i++) {
		const uint8_t *a = want->list[i].content, *b = got->list[i].content;

		assert((a != NULL) == (b != NULL));
		assert(!a || memcmp(a, b, CONTENT_DIGEST_LEN) == 0);
	}
}

/* One tar of all, or what a cut makes. */
struct outputs {
	const struct once_cut *cut;
	size_t n;
	struct buf tar[ONCE_TARS_MAX];
};

static struct outputs outputs_of(const struct once_cut *cut, size_t n)
{
	struct outputs o = { .cut = cut, .n = n };

	for (size_t i = 0; i < n; i++)
		o.tar[i] = BUF_INIT(64 * MIB);
	return o;
}

static void outputs_clear(struct outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		buf_clear(&o->tar[i]);
}

/* Written while layer @i is read. NULL = nothing was, or it is worth nothing. */
static struct once *write_once(struct stack *s, size_t i, struct outputs *o)
{
	static const struct layer_index none;
	const struct layer_index *index[LAYERS];
	struct sink *out[ONCE_TARS_MAX];
	cleanup_layer_index struct layer_index *passed = NULL;
	int rc;

	for (size_t k = 0; k < s->n; k++)
		index[k] = k == i ? &none : s->index[k];
	cleanup_tree struct tree *others = tree_of_others(index, s->n);
	if (!others)
		return NULL;
	for (size_t k = 0; k < o->n; k++) {
		out[k] = sink_to_buf(&o->tar[k], NULL);
		assert(out[k]);
	}
	cleanup_source struct source *in = source_from_span(span_buf(&s->tar[i]), NULL);
	const struct once_plan plan = { .index = index,
					.n = s->n,
					.passing = (uint32_t)i,
					.others = others,
					.feed = { .read = feed_tars, .arg = s },
					.out = out,
					.n_out = o->n,
					.cut = o->cut,
					.contents = true };
	cleanup_once struct once *once = in ? once_new(&plan, NULL) : NULL;
	assert(once);
	rc = once_write(once, in, &passed, NULL);
	assert(rc >= 0);
	for (size_t k = 0; k < o->n; k++)
		sink_free(out[k]);
	if (rc == 0)
		return NULL;
	check_contents(s->index[i], passed);
	return steal_pointer(&once);
}

/* It is foreseen rightly, or known to be wrong. */
static void check_once(struct stack *s, size_t i, struct span expect)
{
	const struct record_list all = { tree_record_next, s->tree };
	struct outputs o CLEANUP(outputs_clear) = outputs_of(NULL, 1);
	cleanup_once struct once *once = write_once(s, i, &o);

	if (once && once_holds(once, 0, &all, NULL) > 0)
		assert(span_eq(span_buf(&o.tar[0]), expect));
}

/* Likewise each layer of a cut. */
static void check_cut(struct stack *s, size_t i, struct cut_foresight *f,
		      const struct cut_layers *layers)
{
	const struct once_cut cut = cut_foresee(f);
	struct outputs o CLEANUP(outputs_clear) = outputs_of(&cut, f->rules->n + 1);
	cleanup_once struct once *once = write_once(s, i, &o);

	for (size_t k = 0; once && layers->n == o.n && k < o.n; k++) {
		const struct record_list l = cut_records(&layers->list[k]);
		const struct layer_feed feed = { .read = feed_tars, .arg = s };
		cleanup_buf struct buf want = BUF_INIT(64 * MIB);
		cleanup_source struct source *tar = layer_tar_source(&l, &feed, NULL);

		if (once_holds(once, k, &l, NULL) <= 0)
			continue;
		assert(tar && source_slurp(tar, &want, NULL) == 0);
		assert(span_eq(span_buf(&o.tar[k]), span_buf(&want)));
	}
}

/* All that a rule each for "a" and for what is in "b" takes, and the rest. */
static void check_cuts(struct stack *s)
{
	static const char *const names[] = { "a", "b/**" };
	const struct record_list all = { tree_record_next, s->tree };
	cleanup_cut_rules struct cut_rules rules = { 0 };
	cleanup_cut_parts struct cut_parts parts = { 0 };
	cleanup_cut_layers struct cut_layers layers = { 0 };
	cleanup_cut_foresight struct cut_foresight f = { 0 };
	size_t torn, n, rest;

	for (size_t i = 0; i < 2; i++)
		assert(cut_rules_add(&rules, names[i], NULL) == 0);
	assert(cut_foresight_init(&f, &rules, NULL) == 0);
	assert(cut_mark(s->tree, &rules, &torn, NULL) == 0);
	assert(cut_parts_rules(&parts, names, 2, NULL) == 0);
	assert(cut_rest_whole(&parts, &all, NULL) == 0);
	cut_tally(&parts, &all);
	assert(cut_number(&parts, &n, &rest, NULL) == 0);
	if (n == 0)
		return;
	assert(cut_deal(&parts, &all, n, CUT_TIMES_ALL, &layers, NULL) == 0);
	for (size_t i = 0; i < s->n; i++)
		check_cut(s, i, &f, &layers);
}

static void check(struct stack *s)
{
	struct stack again = { .n = 1, .tar = { BUF_INIT(64 * MIB) } };
	struct digest one, two;
	size_t n = 0;

	for (const struct node *at = tree_next(tree_root(s->tree)); at; at = tree_next(at))
		n++;
	assert(n == tree_count(s->tree));
	write_back(s, &again.tar[0]);
	assert(merge(&again) == 0 && tree_count(again.tree) == n);
	assert(rootfs_id(s->tree, true, &one, NULL) == 0);
	assert(rootfs_id(again.tree, true, &two, NULL) == 0);
	assert(strcmp(one.text, two.text) == 0);
	check_same(s->tree, again.tree);
	for (size_t i = 0; i < s->n; i++)
		check_once(s, i, span_buf(&again.tar[0]));
	check_cuts(s);
	stack_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct stack s = { .n = 1 };

	for (size_t i = 0; i < LAYERS; i++)
		s.tar[i] = BUF_INIT(16 * MIB);
	for (int i = 0; i < STEPS && in.left > 0; i++) {
		if ((*in.data & 0x38) == 0x38 && s.n < LAYERS) {
			take(&in);
			s.n++;
			continue;
		}
		put_entry(&in, &s.tar[s.n - 1]);
	}
	for (size_t i = 0; i < s.n; i++)
		put_end(&s.tar[i]);
	if (merge(&s) == 0)
		check(&s);
	stack_clear(&s);
	return 0;
}
