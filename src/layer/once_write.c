/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes that are written, and which they are.
 * Relies on write.c to say afterwards what they should have been.
 * Promises to note every byte but those of the end.
 */
#include "base/mem.h"
#include "layer/once_priv.h"

#define DIRECT (32 * 1024) /* bytes: so many are not copied first */

static int flush(struct once *o, dray_error **err)
{
	if (o->gathered.len && sink_write(o->p.out, span_buf(&o->gathered), err) < 0)
		return -1;
	buf_reset(&o->gathered);
	return 0;
}

static int put(struct once *o, struct span bytes, dray_error **err)
{
	bool direct = bytes.len >= DIRECT;

	if ((direct || o->gathered.len + bytes.len > o->gathered.max) && flush(o, err) < 0)
		return -1;
	return direct ? sink_write(o->p.out, bytes, err) : buf_add(&o->gathered, bytes, err);
}

int once_put(struct once *o, uint32_t layer, int64_t off, struct span bytes, dray_error **err)
{
	struct run *last = o->n_runs ? &o->runs[o->n_runs - 1] : NULL;

	if (bytes.len == 0)
		return 0;
	if (!last || last->layer != layer || last->off + last->left != off) {
		if (mem_grow(&o->runs, o->n_runs, &o->cap_runs, sizeof(*o->runs)) < 0)
			return err_nomem(err);
		last = &o->runs[o->n_runs++];
		*last = (struct run){ .layer = layer, .off = off };
	}
	last->left += (int64_t)bytes.len;
	return put(o, bytes, err);
}

int once_put_end(struct once *o, dray_error **err)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	return put(o, span_of(zeros, sizeof(zeros)), err) < 0 ? -1 : flush(o, err);
}

/* ---- was it right? ---- */

struct check {
	const struct once *o;
	size_t run;
	int64_t used; /* of the run */
};

/* 0, or 1 for what was not written so. */
static int check_part(void *arg, const struct layer_part *p, dray_error **err)
{
	struct check *c = arg;
	const struct run *r = &c->o->runs[c->run];

	(void)err;
	if (p->head.len > 0 || c->run == c->o->n_runs || p->layer != r->layer ||
	    p->off != r->off + c->used || p->size > r->left - c->used)
		return 1;
	c->used += p->size;
	if (c->used == r->left) {
		c->run++;
		c->used = 0;
	}
	return 0;
}

int once_holds(const struct once *o, const struct record_list *l, dray_error **err)
{
	struct check c = { .o = o };
	int rc = layer_tar_walk(l, check_part, &c, err);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return c.run == o->n_runs && c.used == 0;
}
