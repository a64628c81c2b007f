/* SPDX-License-Identifier: Apache-2.0 */
/* For: finding the old file of a new one: same path, same content, or alike by name and size.
 * Relies on: base/map.h, whose order of iteration is never used.
 * Promises: the same answer in every process; memory per entry of the bases.
 */
#include "delta/match.h"

#include "base/map.h"
#include "base/mem.h"

#define ALIKE_LOOKED_AT 64 /* files of the same name that are compared */
#define ALIKE_SIZES 8	   /* times the size of the other that a file alike may have */
#define HEX_RUN 6	   /* so many hex digits, one of them a number, are a hash */

struct match {
	struct old *list;
	size_t n;
	struct map by_path, by_content, by_path_key, by_name_key;
};

void match_free(struct match *m)
{
	if (!m)
		return;
	map_clear(&m->by_path);
	map_clear(&m->by_content);
	map_clear(&m->by_path_key);
	map_clear(&m->by_name_key);
	mem_free(m->list);
	mem_free(m);
}

/* ---- names without their numbers ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

/* The end of the hex digits at @p s; *ret = they are a hash: "main.3f9a0c2b.js". */
static const char *hash_run(const char *s, bool *ret)
{
	const char *start = s;
	bool digit = false;

	for (; is_hex(*s); s++)
		digit = digit || is_digit(*s);
	*ret = s - start >= HEX_RUN && digit;
	return s;
}

/* Bytes of a number, or of a version made of numbers: "1.2.10". */
static size_t number_run(const char *s)
{
	size_t n = 0;

	while (is_digit(s[n]) || (n > 0 && s[n] == '.' && is_digit(s[n + 1])))
		n++;
	return n;
}

/* Bytes at @p s that count as one sign, 0 = none; no part of the hex digits before *seen is a hash. */
static size_t run_at(const char *s, const char **seen)
{
	bool hash = false;

	/* Each run is looked at once: what is left of one that is none is none. */
	if (s >= *seen)
		*seen = hash_run(s, &hash);
	return hash ? (size_t)(*seen - s) : number_run(s);
}

/* FNV-1a of @p s with every number and hash in it a '#': the same for libx.so.1.2 and libx.so.1.10. */
static uint64_t key_of(const char *s)
{
	uint64_t key = UINT64_C(14695981039346656037);
	const char *seen = s;

	while (*s) {
		size_t run = run_at(s, &seen);
		char c = run ? '#' : *s;

		key = (key ^ (uint8_t)c) * UINT64_C(1099511628211);
		s += run ? run : 1;
	}
	return key;
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- the tables ---- */

static struct span key_span(const uint64_t *key)
{
	return span_of(key, sizeof(*key));
}

static bool has_content(const struct layer_entry *e)
{
	return (e->type == TAR_FILE || e->type == TAR_SPARSE) && e->size > 0;
}

static int put_file(struct match *m, struct old *o, dray_error **err)
{
	o->path_key = key_of(o->e->path);
	o->name_key = key_of(name_of(o->e->path));
	o->next_alike = map_get(&m->by_name_key, key_span(&o->name_key));
	if (map_put(&m->by_path_key, key_span(&o->path_key), o, err) < 0 ||
	    map_put(&m->by_name_key, key_span(&o->name_key), o, err) < 0)
		return -1;
	if (!o->e->content)
		return 0;
	return map_put(&m->by_content, span_of(o->e->content, CONTENT_DIGEST_LEN), o, err);
}

static int put_base(struct match *m, const struct layer_index *ix, size_t base, dray_error **err)
{
	for (size_t i = 0; i < ix->n; i++) {
		struct old *o = &m->list[m->n++];
		const struct layer_entry *e = &ix->list[i];

		*o = (struct old){ .e = e, .base = base };
		o->end_off = e->data_off + e->size + (int64_t)tar_padding(e->size);
		if (map_put(&m->by_path, span_str(e->path), o, err) < 0)
			return -1;
		if (has_content(e) && put_file(m, o, err) < 0)
			return -1;
	}
	return 0;
}

struct match *match_new(const struct recipe_bases *b, dray_error **err)
{
	cleanup_match struct match *m = mem_zalloc(sizeof(*m));
	size_t n = 0;

	if (!m) {
		err_nomem(err);
		return NULL;
	}
	for (size_t i = 0; i < b->n; i++)
		n += b->list[i].index->n;
	m->list = mem_alloc_array(n ? n : 1, sizeof(*m->list));
	if (!m->list) {
		err_nomem(err);
		return NULL;
	}
	for (size_t i = 0; i < b->n; i++)
		if (put_base(m, b->list[i].index, i, err) < 0)
			return NULL;
	return steal_pointer(&m);
}

/* ---- questions ---- */

const struct old *match_path(const struct match *m, const char *path)
{
	return map_get(&m->by_path, span_str(path));
}

/* The digest is that of the file: of a sparse one the stored bytes also depend on the pieces. */
static bool same_stored(const struct layer_entry *a, const struct layer_entry *b)
{
	const struct layer_sparse *x = a->sparse, *y = b->sparse;

	if (a->size != b->size || !a->content || !b->content ||
	    memcmp(a->content, b->content, CONTENT_DIGEST_LEN) != 0)
		return false;
	if (!x || !y)
		return x == y;
	return x->n == y->n && memcmp(x->list, y->list, x->n * sizeof(x->list[0])) == 0;
}

const struct old *match_content(const struct match *m, const struct layer_entry *e,
				const struct old *at_path)
{
	const struct old *o;

	if (!has_content(e) || !e->content)
		return NULL;
	if (at_path && has_content(at_path->e) && same_stored(at_path->e, e))
		return at_path;
	o = map_get(&m->by_content, span_of(e->content, CONTENT_DIGEST_LEN));
	return o && same_stored(o->e, e) ? o : NULL;
}

static bool sizes_alike(int64_t a, int64_t b)
{
	return a / ALIKE_SIZES <= b && b / ALIKE_SIZES <= a;
}

static size_t common_prefix(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

static size_t common_suffix(const char *a, const char *b)
{
	size_t i = strlen(a), k = strlen(b), n = 0;

	while (i > 0 && k > 0 && a[--i] == b[--k])
		n++;
	return n;
}

/* Of those with the name the one whose path has most in common, front and back. */
static const struct old *best_named(const struct match *m, const struct layer_entry *e)
{
	uint64_t key = key_of(name_of(e->path));
	const struct old *best = NULL, *o = map_get(&m->by_name_key, key_span(&key));
	size_t most = 0;

	for (int looked = 0; o && looked < ALIKE_LOOKED_AT; o = o->next_alike, looked++) {
		size_t common = common_prefix(o->e->path, e->path) +
				common_suffix(o->e->path, e->path);

		if (!sizes_alike(o->e->size, e->size) || (best && common <= most))
			continue;
		best = o;
		most = common;
	}
	return best;
}

const struct old *match_alike(const struct match *m, const struct layer_entry *e)
{
	uint64_t key = key_of(e->path);
	const struct old *o = map_get(&m->by_path_key, key_span(&key));

	if (o && sizes_alike(o->e->size, e->size))
		return o;
	return best_named(m, e);
}
