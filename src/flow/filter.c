/* SPDX-License-Identifier: Apache-2.0 */
/* For: running a filter as a stage: read, step, lend what it made.
 * Relies on: the filter making progress whenever it can.
 * Promises: bounded memory; the input's end is seen before the output's end.
 */
#include "flow/filter.h"

#include "base/mem.h"

/* Room for one peek and a good deal of output behind it. */
#define FILTER_BUFFER (2 * SOURCE_PEEK_MAX)

struct filtered {
	struct source base;
	struct source *in;
	struct filter *filter;
	bool done;
	size_t start, len; /* output that is not consumed: data[start .. start+len) */
	uint8_t data[FILTER_BUFFER];
};

void filter_free(struct filter *f)
{
	if (f)
		f->ops->free(f);
}

static struct room output_room(struct filtered *f, size_t min)
{
	if (f->len == 0) {
		f->start = 0;
	} else if (f->start + min > FILTER_BUFFER) {
		memmove(f->data, f->data + f->start, f->len);
		f->start = 0;
	}
	size_t end = f->start + f->len;

	return (struct room){ f->data + end, FILTER_BUFFER - end };
}

/* One step with what the input has at hand. */
static int filtered_step(struct filtered *f, size_t min, dray_error **err)
{
	struct span loan;

	if (source_peek(f->in, 1, &loan, err) < 0)
		return -1;

	struct room room = output_room(f, min);
	struct span in = loan;
	struct room out = room;
	enum filter_state state = f->filter->ops->step(f->filter, &in, &out, loan.len == 0, err);

	if (state == FILTER_FAILED)
		return -1;
	if (state == FILTER_MORE && in.len == loan.len && out.len == room.len)
		return err_set(err, DRAY_ERR_FORMAT, "the decoder makes no progress");
	f->done = state == FILTER_END;
	f->len += room.len - out.len;
	source_consume(f->in, loan.len - in.len);
	return 0;
}

static int filtered_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct filtered *f = (struct filtered *)s;

	while (f->len < min && !f->done)
		if (filtered_step(f, min, err) < 0)
			return -1;
	*ret = span_of(f->data + f->start, f->len);
	return 0;
}

static void filtered_consume(struct source *s, size_t n)
{
	struct filtered *f = (struct filtered *)s;

	f->start += n;
	f->len -= n;
}

static void filtered_free(struct source *s)
{
	struct filtered *f = (struct filtered *)s;

	source_free(f->in);
	filter_free(f->filter);
	mem_free(f);
}

static const struct source_ops filtered_ops = {
	.peek = filtered_peek,
	.consume = filtered_consume,
	.free = filtered_free,
};

struct source *source_filtered(struct source *in, struct filter *filter, dray_error **err)
{
	struct filtered *f = in && filter ? mem_alloc(sizeof(*f)) : NULL;

	if (!f) {
		if (in && filter)
			err_nomem(err);
		source_free(in);
		filter_free(filter);
		return NULL;
	}
	f->base = (struct source){ .ops = &filtered_ops };
	f->in = in;
	f->filter = filter;
	f->done = false;
	f->start = 0;
	f->len = 0;
	return &f->base;
}
