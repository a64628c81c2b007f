/* SPDX-License-Identifier: Apache-2.0 */
/* For: what two files have in common over long stretches, wherever it is in each.
 * Relies on: a rolling hash of short blocks; every match is compared byte by byte.
 * Promises: linear time; memory of an eighth of the old file.
 */
#include "delta/runs.h"

#include "base/mem.h"

#define BLOCK 32	     /* bytes that are hashed; the old file's lie side by side */
#define LEAST_AHEAD 512	     /* bytes of a run right where the last would go on: it costs little */
#define LEAST_ELSEWHERE 1024 /* of any other */
#define TAG_MASK 0xff800000U /* the other bits hold the number of a block, of up to 256 MiB */
#define PRIME UINT64_C(0x9e3779b185ebca87)

void runs_clear(struct runs *r)
{
	mem_free(r->list);
	mem_free(r->table);
	*r = (struct runs){ 0 };
}

/* ---- the hash ---- */

/* PRIME to the power of BLOCK, modulo 2^64: what the byte that leaves weighs. */
static uint64_t leaving(void)
{
	uint64_t v = 1;

	for (int i = 0; i < BLOCK; i++)
		v *= PRIME;
	return v;
}

static uint64_t hash_block(const uint8_t *p)
{
	uint64_t h = 0;

	for (int i = 0; i < BLOCK; i++)
		h = h * PRIME + p[i] + 1;
	return h;
}

static size_t slot_of(const struct runs *r, uint64_t h)
{
	return (size_t)((h * PRIME) >> 32) & (r->table_cap - 1);
}

/* Bits of the hash that tell most blocks apart without a look at the old file. */
static uint32_t tag_of(uint64_t h)
{
	return (uint32_t)((h * PRIME) >> 16) & TAG_MASK;
}

/* ---- the table of the old file ---- */

static size_t table_size(size_t old)
{
	size_t n = 1024;

	while (n < old / BLOCK)
		n *= 2;
	return n;
}

/* Each slot holds a tag and the number of a block, counted from 1; of several the last. */
static int make_table(struct runs *r, struct span old, dray_error **err)
{
	size_t size = table_size(old.len);

	if (size > r->table_cap) {
		mem_free(r->table);
		r->table_cap = 0;
		r->table = mem_alloc_array(size, sizeof(r->table[0]));
		if (!r->table)
			return err_nomem(err);
	}
	r->table_cap = size;
	memset(r->table, 0, size * sizeof(r->table[0]));
	for (size_t i = 0; i + BLOCK <= old.len; i += BLOCK) {
		uint64_t h = hash_block(old.data + i);

		r->table[slot_of(r, h)] = tag_of(h) | ((uint32_t)(i / BLOCK) + 1);
	}
	return 0;
}

/* ---- the search ---- */

struct search {
	struct span old, new;
	size_t at;	  /* in the new file */
	size_t done;	  /* all before it is told */
	int64_t ahead;	  /* from a place in the new file to the same in the old, by the last run */
	size_t too_short; /* up to here what is the same ahead is too short to be a run */
};

static bool same_block(const struct search *s, size_t old)
{
	const uint8_t *a = s->new.data + s->at, *b = s->old.data + old;
	uint64_t x, y;

	/* Nearly always enough to tell, and no call. */
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x == y && memcmp(a, b, BLOCK) == 0;
}

/* A block is the same at @p old: the run around it. */
static struct run extend(const struct search *s, size_t old)
{
	struct run run = { s->at, old, BLOCK };

	while (run.at + run.len < s->new.len && run.old + run.len < s->old.len &&
	       s->new.data[run.at + run.len] == s->old.data[run.old + run.len])
		run.len++;
	while (run.at > s->done && run.old > 0 &&
	       s->new.data[run.at - 1] == s->old.data[run.old - 1]) {
		run.at--;
		run.old--;
		run.len++;
	}
	return run;
}

static bool run_ahead(struct search *s, struct run *ret)
{
	int64_t old = (int64_t)s->at + s->ahead;

	if (s->at < s->too_short || old < 0 || (size_t)old + BLOCK > s->old.len ||
	    !same_block(s, (size_t)old))
		return false;
	*ret = extend(s, (size_t)old);
	s->too_short = ret->at + ret->len;
	return ret->len >= LEAST_AHEAD;
}

static bool run_elsewhere(const struct runs *r, const struct search *s, uint64_t hash,
			  struct run *ret)
{
	uint32_t found = r->table[slot_of(r, hash)];
	size_t old;

	if ((found & TAG_MASK) != tag_of(hash) || (found & ~TAG_MASK) == 0)
		return false;
	old = (size_t)((found & ~TAG_MASK) - 1) * BLOCK;
	if (!same_block(s, old))
		return false;
	*ret = extend(s, old);
	return ret->len >= LEAST_ELSEWHERE;
}

static int put_run(struct runs *r, const struct run *run, dray_error **err)
{
	if (mem_grow(&r->list, r->n, &r->cap, sizeof(*r->list)) < 0)
		return err_nomem(err);
	r->list[r->n++] = *run;
	return 0;
}

static int search(struct runs *r, struct search *s, dray_error **err)
{
	const uint64_t out = leaving();
	uint64_t hash = hash_block(s->new.data);
	struct run run;

	while (s->at + BLOCK <= s->new.len) {
		if (run_ahead(s, &run) || run_elsewhere(r, s, hash, &run)) {
			if (put_run(r, &run, err) < 0)
				return -1;
			s->at = s->done = run.at + run.len;
			s->ahead = (int64_t)run.old - (int64_t)run.at;
			if (s->at + BLOCK <= s->new.len)
				hash = hash_block(s->new.data + s->at);
			continue;
		}
		if (s->at + BLOCK < s->new.len)
			hash = hash * PRIME + s->new.data[s->at + BLOCK] + 1 -
			       out *(s->new.data[s->at] + UINT64_C(1));
		s->at++;
	}
	return 0;
}

int runs_find(struct runs *r, struct span old, struct span new, dray_error **err)
{
	struct search s = { .old = old, .new = new };

	r->n = 0;
	if (old.len < BLOCK || new.len < BLOCK)
		return 0;
	if (make_table(r, old, err) < 0)
		return -1;
	return search(r, &s, err);
}
