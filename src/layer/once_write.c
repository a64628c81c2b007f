/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes that are written, and which they are.
 * Relies on write.c to say afterwards what they should have been.
 * Promises to note every byte but those of the ends.
 */
#include "base/mem.h"
#include "layer/once_priv.h"

#define DIRECT (32 * 1024) /* bytes: so many are not copied first */

void once_tars_clear(struct once *o)
{
	for (size_t i = 0; i < o->p.n_out; i++) {
		buf_clear(&o->tars[i].gathered);
		mem_free(o->tars[i].runs);
	}
}

static int flush(struct once_tar *t, dray_error **err)
{
	if (t->gathered.len && sink_write(t->out, span_buf(&t->gathered), err) < 0)
		return -1;
	buf_reset(&t->gathered);
	return 0;
}

static int put(struct once_tar *t, struct span bytes, dray_error **err)
{
	bool direct = bytes.len >= DIRECT;

	if ((direct || t->gathered.len + bytes.len > t->gathered.max) && flush(t, err) < 0)
		return -1;
	return direct ? sink_write(t->out, bytes, err) : buf_add(&t->gathered, bytes, err);
}

static int note(struct once_tar *t, uint32_t layer, int64_t off, size_t len, dray_error **err)
{
	struct run *last = t->n_runs ? &t->runs[t->n_runs - 1] : NULL;

	if (!last || last->layer != layer || last->off + last->left != off) {
		if (mem_grow(&t->runs, t->n_runs, &t->cap_runs, sizeof(*t->runs)) < 0)
			return err_nomem(err);
		last = &t->runs[t->n_runs++];
		*last = (struct run){ .layer = layer, .off = off };
	}
	last->left += (int64_t)len;
	return 0;
}

int once_put(struct once *o, uint32_t layer, int64_t off, struct span bytes, dray_error **err)
{
	if (bytes.len == 0)
		return 0;
	if (!o->to)
		return buf_add(&o->headers, bytes, err);
	return note(o->to, layer, off, bytes.len, err) < 0 ? -1 : put(o->to, bytes, err);
}

int once_put_end(struct once *o, dray_error **err)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	for (size_t i = 0; i < o->p.n_out; i++)
		if (o->p.cut && o->tars[i].n_runs == 0)
			return 0; /* a tar of nothing is none */
	for (size_t i = 0; i < o->p.n_out; i++)
		if (put(&o->tars[i], span_of(zeros, sizeof(zeros)), err) < 0 ||
		    flush(&o->tars[i], err) < 0)
			return -1;
	return 1;
}

/* ---- was it right? ---- */

struct check {
	const struct once_tar *tar;
	size_t run;
	int64_t used; /* of the run */
};

/* 0, or 1 for what was not written so. */
static int check_part(void *arg, const struct layer_part *p, dray_error **err)
{
	struct check *c = arg;
	const struct run *r = &c->tar->runs[c->run];

	(void)err;
	if (p->head.len > 0 || c->run == c->tar->n_runs || p->layer != r->layer ||
	    p->off != r->off + c->used || p->size > r->left - c->used)
		return 1;
	c->used += p->size;
	if (c->used == r->left) {
		c->run++;
		c->used = 0;
	}
	return 0;
}

int once_holds(const struct once *o, size_t tar, const struct record_list *l, dray_error **err)
{
	struct check c = { .tar = &o->tars[tar] };
	int rc = layer_tar_walk(l, check_part, &c, err);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return c.run == c.tar->n_runs && c.used == 0;
}
