/* SPDX-License-Identifier: Apache-2.0 */
/* For: making a layer's tar of its recipe and the layers it refers to.
 * Relies on: codec/patch.h to decode a block's data; the caller to prove what comes out.
 * Promises: a block is judged whole before a byte of it is made; memory bounded by its window.
 */
#include "delta/recipe_priv.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/mem.h"
#include "codec/patch.h"

/* Room for one peek and a good deal behind it. */
#define OUTPUT_BUFFER (4 * SOURCE_PEEK_MAX)

/* Operations that are not done yet, and where they stand in the bases. */
struct ops {
	struct span left;
	struct recipe_cursor at;
};

struct op {
	enum recipe_op_kind kind;
	size_t n;
};

struct recipe {
	struct source base;
	struct source *in;
	const struct recipe_bases *bases; /* lent */
	struct patch_decoder *decoder;
	int64_t tar_size;
	int64_t promised; /* bytes of the tar up to the end of this block */
	uint64_t n_ops;	  /* as far, seeks not counted */
	size_t window;
	int64_t block_off; /* of this block, in the recipe */
	struct buf stored; /* as read */
	struct buf ops_buf, data_buf, prefix_buf;
	struct ops ops;
	struct span data; /* what no operation has taken yet */
	struct op op;	  /* the current one; n counts down */
	bool begun, ended;
	size_t start, len; /* output that is not consumed: out[start .. start+len) */
	uint8_t out[OUTPUT_BUFFER];
};

static int refuse(const struct recipe *r, dray_error **err, const char *why)
{
	return err_set(err, DRAY_ERR_FORMAT, "recipe, block at byte %" PRId64 ": %s", r->block_off,
		       why);
}

/* ---- operations ---- */

static int64_t base_size(const struct recipe *r, const struct recipe_cursor *c)
{
	return c->base < r->bases->n ? r->bases->list[c->base].size : -1;
}

/* Both numbers of a jump to another base. */
static const char *jump(const struct recipe *r, struct ops *o)
{
	uint64_t base, off;
	struct recipe_cursor to;

	if (!varint_take(&o->left, &base) || !varint_take(&o->left, &off))
		return "a number is cut off or malformed";
	if (base >= r->bases->n)
		return "it refers to a base that is not there";
	to = (struct recipe_cursor){ base, 0 };
	if (off > (uint64_t)base_size(r, &to))
		return "it refers to bytes behind the end of a base";
	o->at = (struct recipe_cursor){ base, (int64_t)off };
	return NULL;
}

static const char *seek(const struct recipe *r, struct ops *o, uint64_t n)
{
	int64_t to;

	if (n == 0)
		return jump(r, o);
	if (__builtin_add_overflow(o->at.off, unzigzag(n), &to) || to < 0 ||
	    to > base_size(r, &o->at))
		return "it refers to bytes outside of a base";
	o->at.off = to;
	return NULL;
}

/* One operation, seeks done on the way. The reason why not, or NULL. */
static const char *op_next(const struct recipe *r, struct ops *o, struct op *ret)
{
	bool sought = false;
	uint64_t v;

	for (;;) {
		const char *why;

		if (!varint_take(&o->left, &v))
			return "a number is cut off or malformed";
		if ((v & 3) != RECIPE_SEEK)
			break;
		/* Each operation but this makes bytes: so a block cannot be work for nothing. */
		if (sought)
			return "it seeks twice";
		sought = true;
		why = seek(r, o, v >> 2);
		if (why)
			return why;
	}
	*ret = (struct op){ (enum recipe_op_kind)(v & 3), v >> 2 };
	if (v >> 2 == 0)
		return "an operation of no bytes";
	if (ret->kind == RECIPE_TAKE)
		return sought ? "it seeks for nothing" : NULL;
	if ((int64_t)(v >> 2) > base_size(r, &o->at) - o->at.off)
		return "it refers to bytes behind the end of a base";
	return NULL;
}

/* What the operations of a block come to. */
struct sums {
	int64_t tar;
	uint64_t take, prefix, n_ops;
};

static const char *add_op(const struct recipe *r, struct ops *o, const struct op *op,
			  struct sums *s)
{
	if (op->kind == RECIPE_REF) {
		s->prefix += op->n;
		return s->prefix > RECIPE_PREFIX_WINDOWS * r->window ? "its prefix is too long"
								     : NULL;
	}
	if ((int64_t)op->n > r->tar_size - r->promised - s->tar)
		return "it makes more than the size of the layer";
	s->tar += (int64_t)op->n;
	if (op->kind == RECIPE_TAKE)
		s->take += op->n;
	cursor_pass(&o->at, r->bases, op->n);
	return NULL;
}

/* Judge all operations of the block, whose data have @p data_len bytes. */
static int check_ops(struct recipe *r, size_t data_len, struct sums *s, dray_error **err)
{
	struct ops o = { .left = span_buf(&r->ops_buf) };

	while (o.left.len > 0) {
		struct op op;
		const char *why = op_next(r, &o, &op);

		if (!why)
			why = add_op(r, &o, &op, s);
		if (why)
			return refuse(r, err, why);
		s->n_ops++;
	}
	if (r->n_ops + s->n_ops >
	    RECIPE_OPS_FREE + (uint64_t)(r->promised + s->tar) / RECIPE_BYTES_PER_OP)
		return refuse(r, err, "too many operations for what they make");
	if (s->take != data_len)
		return refuse(r, err, "its operations take more or less than its data");
	if (s->tar == 0)
		return refuse(r, err, "it makes nothing");
	if (s->prefix > RECIPE_PREFIX_PER_BYTE * (uint64_t)data_len)
		return refuse(r, err, "its prefix is too long for its data");
	return 0;
}

static int read_base(const struct recipe *r, const struct recipe_cursor *c, void *data, size_t len,
		     dray_error **err)
{
	const struct digest *d = &r->bases->list[c->base].diff_id;

	if (recipe_read_exact(r->bases->read, r->bases->arg, c->base, c->off, data, len, err) < 0)
		return err_ctx(err, "base layer %s", digest_set(d) ? d->text : "without a DiffID");
	return 0;
}

/* The operations are sound. */
static int read_prefix(struct recipe *r, dray_error **err)
{
	struct ops o = { .left = span_buf(&r->ops_buf) };
	size_t at = 0;
	struct op op;

	while (o.left.len > 0 && !op_next(r, &o, &op)) {
		if (op.kind != RECIPE_REF) {
			cursor_pass(&o.at, r->bases, op.n);
			continue;
		}
		if (read_base(r, &o.at, r->prefix_buf.data + at, op.n, err) < 0)
			return -1;
		at += op.n;
	}
	return 0;
}

/* ---- blocks ---- */

/* Replaces what is in @p b; of its own length, not of the next power of two. */
static int make_room(struct buf *b, size_t len, dray_error **err)
{
	if (len > b->cap) {
		buf_clear(b);
		b->data = mem_alloc(len);
		if (!b->data)
			return err_nomem(err);
		b->cap = len;
	}
	b->len = len;
	return 0;
}

static int read_number(struct recipe *r, uint64_t *ret, dray_error **err)
{
	struct span have, left;

	if (source_peek(r->in, VARINT_MAX, &have, err) < 0)
		return -1;
	left = have = span_head(have, VARINT_MAX);
	if (!varint_take(&left, ret)) {
		bool cut = have.len < VARINT_MAX &&
			   (have.len == 0 || (have.data[have.len - 1] & 0x80));

		return refuse(r, err, cut ? "truncated" : "a number is malformed");
	}
	source_consume(r->in, have.len - left.len);
	return 0;
}

/* How long a part is, and how many bytes tell it. */
struct part {
	size_t len, stored;
};

static int read_part(struct recipe *r, size_t max, struct part *ret, dray_error **err)
{
	uint64_t len, stored = 0;

	if (read_number(r, &len, err) < 0)
		return -1;
	if (len > 0 && read_number(r, &stored, err) < 0)
		return -1;
	if (len > max)
		return refuse(r, err, "a part is longer than it may be");
	if (stored > len || (len > 0 && stored == 0))
		return refuse(r, err, "a part is stored in more bytes than it has, or in none");
	*ret = (struct part){ len, stored };
	return 0;
}

static int read_stored(struct recipe *r, struct buf *into, size_t len, dray_error **err)
{
	if (make_room(into, len, err) < 0)
		return -1;
	if (source_read_exact(r->in, into->data, len, err) < 0)
		return err_ctx(err, "recipe");
	return 0;
}

/* @p into has room. What is as long as its bytes is stored as it is. */
static int read_bytes(struct recipe *r, const struct part *p, struct span prefix, struct buf *into,
		      dray_error **err)
{
	if (make_room(into, p->len, err) < 0)
		return -1;
	if (p->stored == p->len)
		return read_stored(r, into, p->len, err);
	if (read_stored(r, &r->stored, p->stored, err) < 0)
		return -1;
	if (patch_decode(r->decoder, prefix, span_buf(&r->stored),
			 (struct room){ into->data, into->len }, err) < 0)
		return err_ctx(err, "recipe, block at byte %" PRId64, r->block_off);
	return 0;
}

static int read_block(struct recipe *r, const struct part *ops, dray_error **err)
{
	struct part data;
	struct sums s = { 0 };

	if (read_part(r, r->window, &data, err) < 0 ||
	    read_bytes(r, ops, (struct span){ 0 }, &r->ops_buf, err) < 0 ||
	    check_ops(r, data.len, &s, err) < 0)
		return -1;
	if (make_room(&r->prefix_buf, s.prefix, err) < 0 || read_prefix(r, err) < 0 ||
	    read_bytes(r, &data, span_buf(&r->prefix_buf), &r->data_buf, err) < 0)
		return -1;
	r->promised += s.tar;
	r->n_ops += s.n_ops;
	r->ops = (struct ops){ .left = span_buf(&r->ops_buf) };
	r->data = span_buf(&r->data_buf);
	return 0;
}

static int read_end(struct recipe *r, dray_error **err)
{
	struct span more;

	if (r->promised != r->tar_size)
		return refuse(r, err, "it makes less than the size of the layer");
	if (source_peek(r->in, 1, &more, err) < 0)
		return -1;
	if (more.len > 0)
		return refuse(r, err, "bytes behind the end");
	r->ended = true;
	return 0;
}

static int next_block(struct recipe *r, dray_error **err)
{
	struct part ops;

	r->block_off = r->in->pos;
	if (read_part(r, LIMIT_RECIPE_OPS, &ops, err) < 0)
		return -1;
	return ops.len == 0 ? read_end(r, err) : read_block(r, &ops, err);
}

static int read_header(struct recipe *r, dray_error **err)
{
	struct span magic;
	uint64_t version, window, size;

	if (source_peek(r->in, RECIPE_MAGIC_LEN, &magic, err) < 0)
		return -1;
	if (!span_starts(magic, RECIPE_MAGIC))
		return err_set(err, DRAY_ERR_FORMAT, "this is no recipe");
	source_consume(r->in, RECIPE_MAGIC_LEN);
	if (read_number(r, &version, err) < 0)
		return -1;
	if (version != RECIPE_VERSION)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "a recipe of version %" PRIu64 ", newer than this program", version);
	if (read_number(r, &window, err) < 0 || read_number(r, &size, err) < 0)
		return -1;
	if (window > LIMIT_RECIPE_WINDOW)
		return err_set(err, DRAY_ERR_LIMIT,
			       "a recipe with a window of %" PRIu64
			       " bytes, over the limit of %lld (LIMIT_RECIPE_WINDOW)",
			       window, LIMIT_RECIPE_WINDOW);
	if (size != (uint64_t)r->tar_size)
		return err_set(err, DRAY_ERR_FORMAT,
			       "the recipe is of a layer of %" PRIu64 " bytes, not of %" PRId64,
			       size, r->tar_size);
	r->window = window;
	r->begun = true;
	return 0;
}

/* ---- the source ---- */

/* Do what fits into @p room of the current operation; how much, -1. */
static int64_t do_op(struct recipe *r, struct room room, dray_error **err)
{
	size_t n = r->op.n < room.len ? r->op.n : room.len;

	if (r->op.kind == RECIPE_TAKE) {
		memcpy(room.data, r->data.data, n);
		r->data = span_from(r->data, n);
	} else if (read_base(r, &r->ops.at, room.data, n, err) < 0) {
		return -1;
	}
	cursor_pass(&r->ops.at, r->bases, n);
	r->op.n -= n;
	return (int64_t)n;
}

/* Some more output; nothing at the end. */
static int64_t make_some(struct recipe *r, struct room room, dray_error **err)
{
	if (!r->begun)
		return read_header(r, err);
	if (r->op.n > 0)
		return do_op(r, room, err);
	if (r->ops.left.len == 0)
		return next_block(r, err);
	/* It was looked at before. */
	(void)op_next(r, &r->ops, &r->op);
	if (r->op.kind == RECIPE_REF)
		r->op.n = 0;
	return 0;
}

static struct room output_room(struct recipe *r, size_t min)
{
	if (r->len == 0) {
		r->start = 0;
	} else if (r->start + min > OUTPUT_BUFFER) {
		memmove(r->out, r->out + r->start, r->len);
		r->start = 0;
	}
	size_t end = r->start + r->len;

	return (struct room){ r->out + end, OUTPUT_BUFFER - end };
}

static int recipe_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct recipe *r = (struct recipe *)s;

	while (r->len < min && !r->ended) {
		int64_t n = make_some(r, output_room(r, min), err);

		if (n < 0)
			return -1;
		r->len += (size_t)n;
	}
	*ret = span_of(r->out + r->start, r->len);
	return 0;
}

static void recipe_consume(struct source *s, size_t n)
{
	struct recipe *r = (struct recipe *)s;

	r->start += n;
	r->len -= n;
}

static void recipe_free(struct source *s)
{
	struct recipe *r = (struct recipe *)s;

	source_free(r->in);
	patch_decoder_free(r->decoder);
	buf_clear(&r->stored);
	buf_clear(&r->ops_buf);
	buf_clear(&r->data_buf);
	buf_clear(&r->prefix_buf);
	mem_free(r);
}

static const struct source_ops recipe_source_ops = {
	.peek = recipe_peek,
	.consume = recipe_consume,
	.free = recipe_free,
};

struct source *recipe_open(struct source *recipe, const struct recipe_bases *b, int64_t tar_size,
			   dray_error **err)
{
	struct recipe *r;

	if (!recipe)
		return NULL;
	r = mem_zalloc(sizeof(*r));
	if (!r) {
		source_free(recipe);
		err_nomem(err);
		return NULL;
	}
	r->base.ops = &recipe_source_ops;
	r->in = recipe;
	r->bases = b;
	r->tar_size = tar_size;
	r->decoder = patch_decoder_new(err);
	if (!r->decoder) {
		recipe_free(&r->base);
		return NULL;
	}
	return &r->base;
}
