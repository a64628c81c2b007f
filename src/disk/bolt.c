/* SPDX-License-Identifier: Apache-2.0
 *
 * For: finding keys in a bbolt database.
 * Relies on: pread(2); integers that a little-endian machine wrote.
 * Promises: every offset and count of the file is held against what is there before it is used; a tree that has no
 *           end is cut off by LIMIT_BOLT.
 */
#include "disk/bolt.h"

#include <inttypes.h>
#include "base/cancel.h"
#include "base/io.h"
#include "base/limits.h"

#define BOLT_MAGIC 0xED0CDAEDu
#define BOLT_VERSION 2
#define PAGE_SIZE_MIN 512
#define PAGE_SIZE_MAX (1 << 20)
#define PAGE_HEAD 16 /* id 8, flags 2, count 2, pages that follow as part of it 4 */
#define META_SIZE 64 /* behind the page's head; its last 8 bytes are the sum of those before */
#define ELEMENT 16   /* of a branch: at 4, key's size 4, page 8; of a leaf: flags, at, two sizes */
#define BUCKET_HEAD 16 /* page 8, sequence 8 */

#define FLAG_BRANCH 1
#define FLAG_LEAF 2
#define FLAG_META 4
#define ELEMENT_BUCKET 1

static uint64_t little(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

/* ---- the two metas ---- */

struct meta {
	uint64_t page_size, root, txid;
};

/* FNV-1a, 64 bits. */
static uint64_t meta_sum(struct span s)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < s.len; i++)
		sum = (sum ^ s.data[i]) * 0x100000001b3;
	return sum;
}

/* Is there a whole meta at @p off? One that was torn while it was written has a wrong sum. */
static int read_meta(int fd, int64_t off, struct meta *ret, uint32_t *ret_magic, dray_error **err)
{
	uint8_t page[PAGE_HEAD + META_SIZE];
	const uint8_t *m = page + PAGE_HEAD;
	int64_t n = io_pread(fd, page, sizeof(page), off, err);

	if (n < 0)
		return -1;
	if (n < (int64_t)sizeof(page))
		return 0;
	*ret_magic = (uint32_t)little(m, 4);
	*ret = (struct meta){
		.page_size = little(m + 8, 4),
		.root = little(m + 16, 8),
		.txid = little(m + 48, 8),
	};
	return *ret_magic == BOLT_MAGIC && little(m + 4, 4) == BOLT_VERSION &&
	       little(page + 8, 2) & FLAG_META && ret->page_size >= PAGE_SIZE_MIN &&
	       ret->page_size <= PAGE_SIZE_MAX &&
	       meta_sum(span_of(m, META_SIZE - 8)) == little(m + META_SIZE - 8, 8);
}

/* The second meta is on the second page, whose size the first one tells, unless that is the torn one. */
static int second_meta(int fd, uint64_t page_size, struct meta *ret, dray_error **err)
{
	uint32_t magic;

	if (page_size)
		return read_meta(fd, (int64_t)page_size, ret, &magic, err);
	for (uint64_t size = PAGE_SIZE_MIN; size <= PAGE_SIZE_MAX; size *= 2) {
		int there = read_meta(fd, (int64_t)size, ret, &magic, err);

		if (there < 0 || (there && ret->page_size == size))
			return there;
	}
	return 0;
}

/* 1 = the newer of the metas that are whole in *ret; 0 = there is none, -1. */
static int newest_meta(int fd, struct meta *ret, uint32_t *ret_magic, dray_error **err)
{
	struct meta second;
	*ret_magic = 0;
	int first = read_meta(fd, 0, ret, ret_magic, err);
	int other = first < 0 ? -1 : second_meta(fd, first ? ret->page_size : 0, &second, err);

	if (other < 0)
		return -1;
	if (other && (!first || second.txid > ret->txid))
		*ret = second;
	return first || other;
}

int bolt_open(struct bolt *db, int fd, int64_t size, dray_error **err)
{
	struct meta m;
	uint32_t magic;
	int there = newest_meta(fd, &m, &magic, err);

	if (there < 0)
		return -1;
	if (!there && (magic == BOLT_MAGIC || magic == __builtin_bswap32(BOLT_MAGIC)))
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "a bbolt database that is damaged, of another version than %d, or "
			       "of a big-endian machine",
			       BOLT_VERSION);
	if (!there)
		return err_set(err, DRAY_ERR_FORMAT, "no bbolt database");
	*db = (struct bolt){
		.fd = fd,
		.size = size,
		.page_size = m.page_size,
		.root = m.root,
		.txid = m.txid,
	};
	return 0;
}

void bolt_clear(struct bolt *db)
{
	arena_clear(&db->arena);
}

int bolt_unchanged(const struct bolt *db, dray_error **err)
{
	struct meta m;
	uint32_t magic;
	int there = newest_meta(db->fd, &m, &magic, err);

	return there < 0 ? -1 : there && m.txid == db->txid && m.root == db->root;
}

/* ---- pages ---- */

static int page_broken(uint64_t id, const char *why, dray_error **err)
{
	return err_set(err, DRAY_ERR_FORMAT, "bbolt page %" PRIu64 ": %s", id, why);
}

static int read_exactly(struct bolt *db, uint64_t id, uint8_t *data, size_t len, dray_error **err)
{
	int64_t n = io_pread(db->fd, data, len, (int64_t)(id * db->page_size), err);

	if (n < 0)
		return -1;
	return (size_t)n == len ? 0 : page_broken(id, "the file ends in it", err);
}

static int charge(struct bolt *db, uint64_t len, dray_error **err)
{
	if (len > LIMIT_BOLT - db->n_read)
		return err_set(err, DRAY_ERR_LIMIT, "more than LIMIT_BOLT (%lld) to read of it",
			       (long long)LIMIT_BOLT);
	db->n_read += len;
	return cancel_check(err);
}

/* A page with those that continue it. */
static int read_page(struct bolt *db, uint64_t id, struct span *ret, dray_error **err)
{
	uint64_t n_pages = (uint64_t)db->size / db->page_size;
	uint8_t head[PAGE_HEAD];

	if (id < 2 || id >= n_pages)
		return page_broken(id, "there is no such page", err);
	if (read_exactly(db, id, head, sizeof(head), err) < 0)
		return -1;
	uint64_t more = little(head + 12, 4);
	if (little(head, 8) != id || more >= n_pages - id)
		return page_broken(id, "its head is damaged", err);
	uint64_t len = (more + 1) * db->page_size;
	if (charge(db, len, err) < 0)
		return -1;
	uint8_t *data = arena_alloc(&db->arena, (size_t)len);
	if (!data)
		return err_nomem(err);
	*ret = span_of(data, (size_t)len);
	return read_exactly(db, id, data, (size_t)len, err);
}

static int push(struct bolt_cursor *c, struct span page, dray_error **err)
{
	uint64_t id = page.len < PAGE_HEAD ? 0 : little(page.data, 8);

	if (c->depth == BOLT_DEPTH)
		return page_broken(id, "the tree is deeper than any", err);
	if (page.len < PAGE_HEAD)
		return page_broken(id, "a bucket is cut off", err);
	struct bolt_frame f = {
		.page = page,
		.n = (uint16_t)little(page.data + 10, 2),
		.leaf = little(page.data + 8, 2) == FLAG_LEAF,
	};
	if (!f.leaf && little(page.data + 8, 2) != FLAG_BRANCH)
		return page_broken(id, "neither a branch nor a leaf", err);
	if (f.n > (page.len - PAGE_HEAD) / ELEMENT)
		return page_broken(id, "it has more elements than fit", err);
	c->stack[c->depth++] = f;
	return 0;
}

int bolt_begin(struct bolt *db, const struct bolt_bucket *bucket, struct bolt_cursor *ret,
	       dray_error **err)
{
	struct span page = bucket->inlined;

	ret->db = db;
	ret->depth = 0;
	if (bucket->page && read_page(db, bucket->page, &page, err) < 0)
		return -1;
	return push(ret, page, err);
}

/* ---- elements ---- */

/* @p len bytes at @p off behind element @p at of the page. False when they are not there. */
static bool cut(struct span page, size_t at, uint64_t off, uint64_t len, struct span *ret)
{
	uint64_t room = page.len - at;

	if (off > room || len > room - off)
		return false;
	*ret = span_of(page.data + at + off, (size_t)len);
	return true;
}

static bool as_bucket(struct bolt_item *item)
{
	if (item->value.len < BUCKET_HEAD)
		return false;
	item->is_bucket = true;
	item->bucket = (struct bolt_bucket){
		.page = little(item->value.data, 8),
		.inlined = span_from(item->value, BUCKET_HEAD),
	};
	return true;
}

/* Elements may lie on each other, and buckets in themselves: what is handed out counts, too. */
static int leaf_item(struct bolt *db, const struct bolt_frame *f, size_t at, struct bolt_item *ret,
		     dray_error **err)
{
	const uint8_t *e = f->page.data + at;
	uint64_t off = little(e + 4, 4), n_key = little(e + 8, 4), n_value = little(e + 12, 4);

	*ret = (struct bolt_item){ 0 };
	if (!cut(f->page, at, off, n_key, &ret->key) ||
	    !cut(f->page, at, off + n_key, n_value, &ret->value) ||
	    (little(e, 4) & ELEMENT_BUCKET && !as_bucket(ret)))
		return page_broken(little(f->page.data, 8), "an element reaches out of it", err);
	return charge(db, ELEMENT + n_key + n_value, err) < 0 ? -1 : 1;
}

int bolt_next(struct bolt_cursor *c, struct bolt_item *ret, dray_error **err)
{
	while (c->depth) {
		struct bolt_frame *f = &c->stack[c->depth - 1];
		size_t at = PAGE_HEAD + (size_t)f->i * ELEMENT;
		struct span below;

		if (f->i == f->n) {
			c->depth--;
			continue;
		}
		f->i++;
		if (f->leaf)
			return leaf_item(c->db, f, at, ret, err);
		if (read_page(c->db, little(f->page.data + at + 8, 8), &below, err) < 0 ||
		    push(c, below, err) < 0)
			return -1;
	}
	return 0;
}

int bolt_find(struct bolt *db, const struct bolt_bucket *bucket, const char *key,
	      struct bolt_item *ret, dray_error **err)
{
	struct bolt_cursor c;
	int rc;

	if (bolt_begin(db, bucket, &c, err) < 0)
		return -1;
	while ((rc = bolt_next(&c, ret, err)) > 0)
		if (span_is(ret->key, key))
			return 1;
	return rc;
}
