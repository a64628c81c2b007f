/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what two configs say differently.
 * Relies on: json/compare for the members that differ.
 * Promises: of a list the elements that only one has, in their order; memory is bounded.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "json/compare.h"
#include "ops/diff_priv.h"

/* Text in the arena grows where '<' is escaped; see json_compact(). */
#define VALUE_MAX (8 * LIMIT_CONFIG)

/* ---- what does not count ---- */

/* Compared as layers. */
static const char *const elsewhere[] = { "/rootfs/diff_ids" };

/* What a build notes of its own run, and what is a time: see dray-diff(1) "SEMANTIC". */
static const char *const of_the_build[] = {
	"/created",
	"/history",
	"/docker_version",
	"/container",
	"/container_config",
	"/parent",
	"/id",
	"/throwaway",
	"/moby.buildkit.buildinfo.v1",
	"/moby.buildkit.buildinfo.v0",
	"/moby.buildkit.cache.v0",
	"/config/Image",
	"/config/Hostname",
	"/config/Labels/org.opencontainers.image.created",
	"/config/Labels/org.label-schema.build-date",
};

/* @p path is one of @p list or lies in it. */
static bool is_within(const char *path, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(list[i]);

		if (strncmp(path, list[i], len) == 0 && (!path[len] || path[len] == '/'))
			return true;
	}
	return false;
}

/* Missing, null or the empty value of its type: builders write any of them for "not set". */
static bool is_unset(struct json v)
{
	switch (json_type(v)) {
	case JSON_TRUE:
		return false;
	case JSON_NUMBER:
		return span_is(json_raw(v), "0");
	case JSON_STRING:
		return json_raw(v).len == 2;
	case JSON_ARRAY:
	case JSON_OBJECT:
		return json_len(v) == 0;
	default:
		return true;
	}
}

/* A field of the config or of its "config", rather than a label or a port. */
static bool is_field(const char *path)
{
	if (strncmp(path, "/config/", strlen("/config/")) == 0)
		path += strlen("/config");
	return !strchr(path + 1, '/');
}

static bool counts(const struct dray_diff *d, const char *path, struct json a, struct json b)
{
	if (is_within(path, elsewhere, ARRAY_LEN(elsewhere)))
		return false;
	if (!d->semantic)
		return true;
	if (is_field(path) && is_unset(a) && is_unset(b))
		return false;
	return !is_within(path, of_the_build, ARRAY_LEN(of_the_build));
}

/* ---- values ---- */

static int value_text(struct dray_diff *d, struct json v, const char **ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(VALUE_MAX);

	*ret = NULL;
	if (!json_node(v))
		return 0;
	if (json_compact(v, &text, err) < 0)
		return -1;
	*ret = arena_strndup(&d->arena, (const char *)text.data, text.len);
	return *ret ? 0 : err_nomem(err);
}

/* The elements of a list and how often each is there. */
struct elements {
	struct map count;
	const char **list;
	size_t n;
};

static int read_elements(struct dray_diff *d, struct json v, struct elements *ret, dray_error **err)
{
	ret->list = arena_array(&d->arena, json_len(v) + 1, sizeof(*ret->list));
	if (!ret->list)
		return err_nomem(err);
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		struct span key;
		uintptr_t n;

		if (value_text(d, it, &ret->list[ret->n], err) < 0)
			return -1;
		key = span_str(ret->list[ret->n++]);
		n = (uintptr_t)map_get(&ret->count, key) + 1;
		if (map_put(&ret->count, key, (void *)n, err) < 0)
			return -1;
	}
	return 0;
}

/* Those of @p of that @p other has not, as often as it has them not. */
static int only_in(struct dray_diff *d, const struct elements *of, struct elements *other,
		   const char *const **ret, size_t *ret_n, dray_error **err)
{
	const char **only = arena_array(&d->arena, of->n + 1, sizeof(*only));

	if (!only)
		return err_nomem(err);
	for (size_t i = 0; i < of->n; i++) {
		struct map_slot *slot = map_find(&other->count, span_str(of->list[i]));

		if (slot && slot->value)
			slot->value = (void *)((uintptr_t)slot->value - 1);
		else
			only[(*ret_n)++] = of->list[i];
	}
	*ret = only;
	return 0;
}

static int compare_lists(struct dray_diff *d, struct dray_diff_member *m, struct json a,
			 struct json b, dray_error **err)
{
	struct elements in_a = { 0 }, in_b = { 0 };
	int rc = read_elements(d, a, &in_a, err) < 0 || read_elements(d, b, &in_b, err) < 0 ? -1
											    : 0;

	if (rc == 0 && (only_in(d, &in_a, &in_b, &m->only_a, &m->n_only_a, err) < 0 ||
			only_in(d, &in_b, &in_a, &m->only_b, &m->n_only_b, err) < 0))
		rc = -1;
	map_clear(&in_a.count);
	map_clear(&in_b.count);
	return rc;
}

static int on_member(void *arg, const char *path, struct json a, struct json b, dray_error **err)
{
	struct dray_diff *d = arg;
	struct dray_diff_member m = { 0 };

	if (!counts(d, path, a, b))
		return 0;
	m.path = arena_strdup(&d->arena, path);
	if (!m.path)
		return err_nomem(err);
	if (value_text(d, a, &m.a, err) < 0 || value_text(d, b, &m.b, err) < 0)
		return -1;
	if (json_type(a) == JSON_ARRAY && json_type(b) == JSON_ARRAY &&
	    compare_lists(d, &m, a, b, err) < 0)
		return -1;
	if (mem_grow(&d->members, d->n_members, &d->cap_members, sizeof(*d->members)) < 0)
		return err_nomem(err);
	d->members[d->n_members++] = m;
	return 0;
}

int diff_config(struct dray_diff *d, dray_error **err)
{
	const struct config *a = d->a->im->config, *b = d->b->im->config;

	if (digest_eq(&a->digest, &b->digest))
		return 0;
	return json_diff(json_root(a->doc), json_root(b->doc), on_member, d, err);
}
