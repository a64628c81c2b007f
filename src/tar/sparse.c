/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps of sparse files: GNU's old form and its pax forms 0.0, 0.1 and 1.0; 1.0 is written too.
 * Relies on the GNU tar manual, "Sparse Formats"; row T-18 is one of the reliability notes.
 * Promises pieces in order that do not touch twice, lie in the file and are all that is stored.
 */
#include "base/mem.h"
#include "base/number.h"
#include "tar/tar_priv.h"

#define NUMBER_MAX 20 /* digits of a number in a map, its newline counted */

int tar_map_add(struct tar_map *m, int64_t off, int64_t size, dray_error **err)
{
	if (m->n >= LIMIT_SPARSE_EXTENTS)
		return err_set(err, DRAY_ERR_LIMIT,
			       "more than %d pieces of a sparse file (LIMIT_SPARSE_EXTENTS)",
			       LIMIT_SPARSE_EXTENTS);
	if (mem_grow(&m->list, m->n, &m->cap, sizeof(*m->list)) < 0)
		return err_nomem(err);
	m->list[m->n++] = (struct tar_extent){ off, size };
	return 0;
}

void tar_map_clear(struct tar_map *m)
{
	mem_free(m->list);
	*m = (struct tar_map){ 0 };
}

/* ---- the old form: pairs in the header and in blocks behind it ---- */

static int add_pairs(struct tar_reader *r, const uint8_t *pairs, size_t n, dray_error **err)
{
	for (size_t i = 0; i < n; i++, pairs += 2 * TAR_LONG_LEN) {
		int64_t off, size;

		if (!tar_number(pairs, TAR_LONG_LEN, &off) ||
		    !tar_number(pairs + TAR_LONG_LEN, TAR_LONG_LEN, &size) || off < 0 || size < 0)
			return tar_refuse(r, "a number of its sparse map is none", err);
		if (off == 0 && size == 0)
			continue; /* an unused pair */
		if (tar_map_add(&r->pax.map, off, size, err) < 0)
			return err_ctx(err, "tar header at byte %lld", (long long)r->head_off);
	}
	return 0;
}

static int read_old(struct tar_reader *r, int64_t *ret_real, dray_error **err)
{
	uint8_t block[TAR_BLOCK];
	bool more = r->block[TAR_GNU_MORE_AT] != 0;

	if (r->head.magic != TAR_MAGIC_GNU)
		return tar_refuse(r, "a sparse entry without GNU's magic", err);
	if (r->pax.sparse)
		return tar_refuse(r, "two kinds of sparse maps", err);
	if (!tar_number(r->block + TAR_GNU_REALSIZE_AT, TAR_LONG_LEN, ret_real))
		return tar_refuse(r, "the real size of a sparse file is no number", err);
	if (add_pairs(r, r->block + TAR_GNU_MAP_AT, TAR_GNU_MAP_PAIRS, err) < 0)
		return -1;
	for (int n = 0; more; n++) {
		/* Blocks of unused pairs would go on for ever. */
		if (n > LIMIT_SPARSE_EXTENTS / TAR_GNU_EXT_PAIRS)
			return err_set(err, DRAY_ERR_LIMIT,
				       "tar header at byte %lld: sparse map of more than %d "
				       "pieces (LIMIT_SPARSE_EXTENTS)",
				       (long long)r->head_off, LIMIT_SPARSE_EXTENTS);
		if (source_read_exact(r->in, block, sizeof(block), err) < 0)
			return err_ctx(err, "tar header at byte %lld", (long long)r->head_off);
		if (add_pairs(r, block, TAR_GNU_EXT_PAIRS, err) < 0)
			return -1;
		more = block[TAR_GNU_EXT_MORE_AT] != 0;
	}
	return 0;
}

/* ---- 0.0 and 0.1: in pax records ---- */

/* "off,size,off,size". */
static int read_list(struct tar_reader *r, struct span text, dray_error **err)
{
	while (text.len > 0) {
		int64_t v[2];

		for (int i = 0; i < 2; i++) {
			int64_t comma = span_find(text, ',');
			struct span part = comma < 0 ? text : span_head(text, (size_t)comma);

			if (!num_parse_u63(part, &v[i]) || (i == 0 && comma < 0))
				return tar_refuse(r, "GNU.sparse.map is no sparse map", err);
			text = span_from(text, part.len + (comma >= 0));
		}
		if (tar_map_add(&r->pax.map, v[0], v[1], err) < 0)
			return err_ctx(err, "tar header at byte %lld", (long long)r->head_off);
	}
	return 0;
}

/* Readers disagree what holds when the number of pieces is another one or not given. */
static int read_records(struct tar_reader *r, dray_error **err)
{
	struct tar_pax *p = &r->pax;

	if (p->has[PAX_SPARSE_MAP] && p->map.n > 0)
		return tar_refuse(r, "two kinds of sparse maps", err);
	if (p->has[PAX_SPARSE_MAP] && read_list(r, p->text[PAX_SPARSE_MAP], err) < 0)
		return -1;
	if (!p->has[PAX_SPARSE_BLOCKS] || p->number[PAX_SPARSE_BLOCKS] != (int64_t)p->map.n)
		return tar_refuse(r, "GNU.sparse.numblocks does not fit the sparse map", err);
	return 0;
}

/* ---- 1.0: decimal numbers, a line each, before the data ---- */

struct map_text {
	struct tar_reader *r;
	int64_t left; /* bytes of the entry that were not read */
	uint8_t block[TAR_BLOCK];
	size_t at;
};

static int next_byte(struct map_text *t, uint8_t *ret, dray_error **err)
{
	if (t->at == TAR_BLOCK) {
		if (t->left < TAR_BLOCK)
			return tar_refuse(t->r, "the sparse map is cut short", err);
		if (source_read_exact(t->r->in, t->block, TAR_BLOCK, err) < 0)
			return err_ctx(err, "tar header at byte %lld", (long long)t->r->head_off);
		t->left -= TAR_BLOCK;
		t->at = 0;
	}
	*ret = t->block[t->at++];
	return 0;
}

static int next_number(struct map_text *t, int64_t *ret, dray_error **err)
{
	uint8_t digits[NUMBER_MAX];

	for (size_t n = 0; n < NUMBER_MAX; n++) {
		if (next_byte(t, &digits[n], err) < 0)
			return -1;
		if (digits[n] == '\n' && num_parse_u63(span_of(digits, n), ret))
			return 0;
		if (digits[n] == '\n')
			break;
	}
	return tar_refuse(t->r, "a number of its sparse map is none", err);
}

static int read_lines(struct tar_reader *r, struct tar_entry *e, dray_error **err)
{
	struct map_text t = { .r = r, .left = e->size, .at = TAR_BLOCK };
	int64_t n, off, size;

	if (r->pax.map.n > 0 || r->pax.has[PAX_SPARSE_MAP])
		return tar_refuse(r, "two kinds of sparse maps", err);
	if (next_number(&t, &n, err) < 0)
		return -1;
	for (; n > 0; n--) {
		if (next_number(&t, &off, err) < 0 || next_number(&t, &size, err) < 0)
			return -1;
		if (tar_map_add(&r->pax.map, off, size, err) < 0)
			return err_ctx(err, "tar header at byte %lld", (long long)r->head_off);
	}
	e->size = t.left;
	return 0;
}

/* ---- all forms ---- */

/* Either key, in any version: GNU tar and Go take both. */
static int real_size(const struct tar_reader *r, int64_t *ret, dray_error **err)
{
	const struct tar_pax *p = &r->pax;
	bool size = p->has[PAX_SPARSE_SIZE], real = p->has[PAX_SPARSE_REALSIZE];

	*ret = size ? p->number[PAX_SPARSE_SIZE] : p->number[PAX_SPARSE_REALSIZE];
	if (!size && !real)
		return tar_refuse(r, "a sparse file without its size", err);
	if (size && real && *ret != p->number[PAX_SPARSE_REALSIZE])
		return tar_refuse(r, "two sizes of a sparse file", err);
	return 0;
}

static bool is_version(const struct tar_pax *p, int64_t major, int64_t minor)
{
	return p->has[PAX_SPARSE_MAJOR] && p->has[PAX_SPARSE_MINOR] &&
	       p->number[PAX_SPARSE_MAJOR] == major && p->number[PAX_SPARSE_MINOR] == minor;
}

static int read_pax(struct tar_reader *r, struct tar_entry *e, int64_t *ret_real, dray_error **err)
{
	const struct tar_pax *p = &r->pax;

	if (real_size(r, ret_real, err) < 0)
		return -1;
	if (is_version(p, 1, 0))
		return read_lines(r, e, err);
	if (is_version(p, 0, 0) || is_version(p, 0, 1) ||
	    (!p->has[PAX_SPARSE_MAJOR] && !p->has[PAX_SPARSE_MINOR]))
		return read_records(r, err);
	/* Some readers take such an entry for an ordinary file. */
	return err_set(err, DRAY_ERR_UNSUPPORTED,
		       "tar header at byte %lld: a sparse file of an unknown version",
		       (long long)r->head_off);
}

/*
 * Pieces lie in order and apart. GNU tar begins each at a block of the archive, others read them
 * without a gap: only the last may end within a block.
 */
static int judge(struct tar_reader *r, struct tar_entry *e, dray_error **err)
{
	struct tar_map *m = &r->pax.map;
	int64_t end = 0, stored = 0;
	bool odd = false;
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct tar_extent x = m->list[i];

		if (x.off < end || x.off > e->real_size || x.size > e->real_size - x.off)
			return tar_refuse(r, "the sparse map is not in order or leaves the file",
					  err);
		if (x.size == 0)
			continue; /* GNU's mark of a hole at the end */
		if (odd)
			return tar_refuse(r, "a piece in the sparse map ends within a block", err);
		odd = x.size % TAR_BLOCK;
		end = x.off + x.size;
		stored += x.size; /* at most end: no overflow */
		m->list[n++] = x;
	}
	m->n = n;
	if (stored != e->size)
		return tar_refuse(r, "the sparse map does not match the size that is stored", err);
	return 0;
}

int tar_sparse_read(struct tar_reader *r, struct tar_entry *e, dray_error **err)
{
	int rc = e->type == TAR_SPARSE ? read_old(r, &e->real_size, err)
				       : read_pax(r, e, &e->real_size, err);

	if (rc < 0)
		return -1;
	if (e->real_size < 0)
		return tar_refuse(r, "the real size of a sparse file is negative", err);
	e->type = TAR_SPARSE;
	if (judge(r, e, err) < 0)
		return -1;
	e->extents = r->pax.map.list;
	e->n_extents = r->pax.map.n;
	return 0;
}

/* ---- writing ---- */

int tar_sparse_check(const struct tar_member *m, dray_error **err)
{
	int64_t end = 0, stored = 0;
	bool good = true;

	for (size_t i = 0; good && i < m->n_extents; i++) {
		const struct tar_extent *x = &m->extents[i];

		good = x->off >= end && x->size > 0 && x->off <= m->real_size &&
		       x->size <= m->real_size - x->off;
		end = good ? x->off + x->size : 0;
		stored += good ? x->size : 0;
	}
	if (good && stored == m->size && m->real_size >= 0)
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "tar: a sparse map does not fit its file");
}

int tar_sparse_map(const struct tar_member *m, struct buf *ret, dray_error **err)
{
	static const uint8_t zeros[TAR_BLOCK];
	const struct tar_extent *last = m->n_extents ? &m->extents[m->n_extents - 1] : NULL;
	/* Without it GNU tar would make the file too short. */
	bool hole = !last || last->off + last->size < m->real_size;

	if (buf_printf(ret, err, "%zu\n", m->n_extents + hole) < 0)
		return -1;
	for (size_t i = 0; i < m->n_extents; i++)
		if (buf_printf(ret, err, "%lld\n%lld\n", (long long)m->extents[i].off,
			       (long long)m->extents[i].size) < 0)
			return -1;
	if (hole && buf_printf(ret, err, "%lld\n0\n", (long long)m->real_size) < 0)
		return -1;
	return buf_add(ret, span_of(zeros, tar_padding((int64_t)ret->len)), err);
}
