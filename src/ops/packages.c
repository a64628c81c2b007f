/* SPDX-License-Identifier: Apache-2.0
 *
 * For: sets of packages and who owns which path.
 * Relies on: packages_path.c for where a listed path lies in the tree.
 * Promises: an order that does not depend on that of the databases; what is listed more than
 * once has one stated answer.
 */
#include "ops/packages_priv.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define PATH_MAX_LISTED LIMIT_PATH

/* While a set grows, an owner is a number + 1; this is a folder that several have. */
#define SHARED ((void *)UINTPTR_MAX)

int package_build_init(struct package_build *b, const struct tree *t, dray_error **err)
{
	*b = (struct package_build){ .tree = t,
				     .bytes_left = LIMIT_PACKAGE_PATH_BYTES,
				     .links_left = LIMIT_PACKAGE_LINKS };
	b->from = b->to = b->key = BUF_INIT(3 * LIMIT_PATH);
	b->set = mem_zalloc(sizeof(*b->set));
	return b->set ? 0 : err_nomem(err);
}

void package_build_clear(struct package_build *b)
{
	packages_free(b->set);
	buf_clear(&b->from);
	buf_clear(&b->to);
	buf_clear(&b->key);
	b->set = NULL;
}

void packages_free(struct package_set *p)
{
	if (!p)
		return;
	mem_free(p->list);
	map_clear(&p->owner);
	arena_clear(&p->arena);
	mem_free(p);
}

/* ---- packages ---- */

static int keep(struct package_set *set, struct span text, const char **ret, dray_error **err)
{
	if (text.len && memchr(text.data, 0, text.len))
		return err_set(err, DRAY_ERR_FORMAT, "a NUL byte in what a package says");
	*ret = text.len ? arena_strndup(&set->arena, (const char *)text.data, text.len) : "";
	return *ret ? 0 : err_nomem(err);
}

int package_add(struct package_build *b, const char *manager, const struct package_fields *f,
		size_t *ret, dray_error **err)
{
	struct package_set *set = b->set;
	struct package p = { .manager = manager };

	if (f->name.len == 0)
		return err_set(err, DRAY_ERR_FORMAT, "a package without a name");
	if (set->n >= LIMIT_PACKAGES)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d packages (LIMIT_PACKAGES)",
			       LIMIT_PACKAGES);
	if (keep(set, f->name, &p.name, err) < 0 || keep(set, f->version, &p.version, err) < 0 ||
	    keep(set, f->arch, &p.arch, err) < 0 ||
	    keep(set, f->source.len ? f->source : f->name, &p.source, err) < 0)
		return -1;
	if (mem_grow(&set->list, set->n, &b->cap, sizeof(*set->list)) < 0)
		return err_nomem(err);
	*ret = set->n;
	set->list[set->n++] = p;
	return 0;
}

static int compare(const struct package *a, const struct package *b)
{
	int d = strcmp(a->manager, b->manager);

	d = d ? d : strcmp(a->name, b->name);
	d = d ? d : strcmp(a->arch, b->arch);
	return d ? d : strcmp(a->version, b->version);
}

/* ---- owners ---- */

/* "/./a/b/" is "a/b"; what has other dots or empty parts inside is no path of a node. */
static bool clean(struct span *path)
{
	struct span rest;

	while (span_starts(*path, "/") || span_starts(*path, "./"))
		*path = span_from(*path, path->data[0] == '/' ? 1 : 2);
	while (path->len && path->data[path->len - 1] == '/')
		path->len--;
	if (path->len == 0 || path->len > PATH_MAX_LISTED || memchr(path->data, 0, path->len))
		return false;
	for (rest = *path; rest.len;) {
		int64_t slash = span_find(rest, '/');
		struct span part = span_head(rest, slash < 0 ? rest.len : (size_t)slash);

		if (part.len == 0 || span_is(part, ".") || span_is(part, ".."))
			return false;
		rest = span_from(rest, slash < 0 ? rest.len : (size_t)slash + 1);
	}
	return true;
}

static int set_text(struct buf *b, struct span text, dray_error **err)
{
	buf_reset(b);
	if (buf_add(b, text, err) < 0 || buf_add_byte(b, 0, err) < 0)
		return -1;
	b->len--;
	return 0;
}

/* Lists name the files of a folder one after the other: its links are followed once. */
static int enter_folder(struct package_build *b, struct span folder, dray_error **err)
{
	const struct node *n;

	if (b->has_folder && span_eq(span_buf(&b->from), folder))
		return 0;
	b->has_folder = false;
	if (set_text(&b->from, folder, err) < 0)
		return -1;
	n = b->tree ? tree_find(b->tree, (const char *)b->from.data) : NULL;
	if (!b->tree || (n && node_is_dir(n))) {
		if (set_text(&b->to, folder, err) < 0)
			return -1;
	} else if (package_lead(b->tree, (const char *)b->from.data, &b->links_left, &b->to, &n,
				err) < 0) {
		return -1;
	}
	b->has_folder = true;
	return 0;
}

/* The path that the tree has for cleaned @p path, into b->key. */
static int place_path(struct package_build *b, struct span path, dray_error **err)
{
	const uint8_t *slash = memrchr(path.data, '/', path.len);
	size_t folder = slash ? (size_t)(slash - path.data) : 0;
	struct span name = slash ? span_from(path, folder + 1) : path;

	if (enter_folder(b, span_head(path, folder), err) < 0)
		return -1;
	buf_reset(&b->key);
	if (b->to.len &&
	    (buf_add(&b->key, span_buf(&b->to), err) < 0 || buf_add_byte(&b->key, '/', err) < 0))
		return -1;
	if (buf_add(&b->key, name, err) < 0 || buf_add_byte(&b->key, 0, err) < 0)
		return -1;
	b->key.len--;
	return 0;
}

/* A folder, or a link to one: who lists it means what is in it. */
static int is_folder(struct package_build *b, const char *path, bool *ret, dray_error **err)
{
	const struct node *n = b->tree ? tree_find(b->tree, path) : NULL;
	cleanup_buf struct buf room = BUF_INIT(b->to.max);

	if (n && node_type(n) == TAR_SYMLINK &&
	    package_lead(b->tree, path, &b->links_left, &room, &n, err) < 0)
		return -1;
	*ret = n && node_is_dir(n);
	return 0;
}

static int also_owned(struct package_build *b, struct map_slot *slot, size_t p, dray_error **err)
{
	size_t other = (size_t)(uintptr_t)slot->value - 1;
	bool folder;

	if (slot->value == SHARED || other == p)
		return 0;
	if (is_folder(b, (const char *)slot->key.data, &folder, err) < 0)
		return -1;
	if (folder)
		slot->value = SHARED;
	else if (compare(&b->set->list[p], &b->set->list[other]) < 0)
		slot->value = (void *)(uintptr_t)(p + 1);
	return 0;
}

static int count_bytes(struct package_build *b, size_t n, dray_error **err)
{
	b->bytes_left -= (int64_t)n;
	if (b->bytes_left >= 0)
		return 0;
	return err_set(err, DRAY_ERR_LIMIT,
		       "the paths of packages have more than %lld bytes (LIMIT_PACKAGE_PATH_BYTES)",
		       LIMIT_PACKAGE_PATH_BYTES);
}

static int first_owned(struct package_build *b, size_t p, dray_error **err)
{
	char *key;

	if (b->set->owner.len >= LIMIT_PACKAGE_PATHS)
		return err_set(err, DRAY_ERR_LIMIT,
			       "packages list more than %d paths (LIMIT_PACKAGE_PATHS)",
			       LIMIT_PACKAGE_PATHS);
	key = arena_strndup(&b->set->arena, (const char *)b->key.data, b->key.len);
	if (!key)
		return err_nomem(err);
	return map_put(&b->set->owner, span_of(key, b->key.len), (void *)(uintptr_t)(p + 1), err);
}

int package_own(struct package_build *b, size_t p, struct span path, dray_error **err)
{
	struct map_slot *slot;

	if (count_bytes(b, path.len, err) < 0)
		return -1;
	if (!clean(&path))
		return 0;
	if (place_path(b, path, err) < 0 || count_bytes(b, b->key.len, err) < 0)
		return -1;
	slot = map_find(&b->set->owner, span_buf(&b->key));
	return slot ? also_owned(b, slot, p, err) : first_owned(b, p, err);
}

/* ---- the end ---- */

/* A package with the number that owners know it by. */
struct numbered {
	struct package p;
	size_t number;
};

static int compare_numbered(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;
	int d = compare(&x->p, &y->p);

	return d ? d : (x->number > y->number) - (x->number < y->number);
}

/* The list in its order; *ret_place is where each number went. */
static int sort(struct package_set *set, size_t **ret_place, dray_error **err)
{
	cleanup_free struct numbered *all = mem_alloc_array(set->n + 1, sizeof(*all));

	*ret_place = mem_alloc_array(set->n + 1, sizeof(**ret_place));
	if (!all || !*ret_place)
		return err_nomem(err);
	for (size_t i = 0; i < set->n; i++)
		all[i] = (struct numbered){ set->list[i], i };
	qsort(all, set->n, sizeof(*all), compare_numbered);
	for (size_t i = 0; i < set->n; i++) {
		set->list[i] = all[i].p;
		(*ret_place)[all[i].number] = i;
	}
	return 0;
}

int packages_finish(struct package_build *b, struct package_set **ret, dray_error **err)
{
	struct package_set *set = b->set;
	cleanup_free size_t *place = NULL;

	if (sort(set, &place, err) < 0)
		return -1;
	for (size_t i = 0; i < set->owner.len; i++) {
		struct map_slot *s = &set->owner.slots[i];
		size_t number = (size_t)(uintptr_t)s->value - 1;

		s->value = s->value == SHARED ? NULL : &set->list[place[number]];
	}
	*ret = steal_pointer(&b->set);
	return 0;
}

const struct package *package_of(const struct package_set *p, const char *path)
{
	return map_get(&p->owner, span_str(path));
}

/* ---- text ---- */

bool package_line(struct span *rest, struct span *ret_line)
{
	int64_t end = span_find(*rest, '\n');

	if (rest->len == 0)
		return false;
	*ret_line = span_head(*rest, end < 0 ? rest->len : (size_t)end);
	*rest = span_from(*rest, end < 0 ? rest->len : (size_t)end + 1);
	return true;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

struct span package_trim(struct span s)
{
	while (s.len && is_blank(s.data[0]))
		s = span_from(s, 1);
	while (s.len && is_blank(s.data[s.len - 1]))
		s.len--;
	return s;
}
