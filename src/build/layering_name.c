/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of units: what stays of them from version to version, and patterns that choose some.
 * Relies on layer/pattern for patterns.
 * Promises components that are unique, and the same for any order of units.
 */
#include "base/nearest.h"
#include "base/text.h"
#include "build/layering_priv.h"
#include "layer/pattern.h"

/* ---- strategies ---- */

static const struct {
	const char *name;
	enum layering_strategy strategy;
} strategies[] = {
	{ "auto", LAYERING_AUTO },
	{ "graph", LAYERING_GRAPH },
	{ "popularity", LAYERING_POPULARITY },
	{ "origin", LAYERING_ORIGIN },
	{ "size", LAYERING_SIZE },
	{ "per-source", LAYERING_PER_SOURCE },
	{ "single", LAYERING_SINGLE },
	{ "pipeline", LAYERING_PIPELINE },
	{ "explicit", LAYERING_SINGLE },
};

int layering_strategy_parse(const char *text, enum layering_strategy *ret, dray_error **err)
{
	struct nearest near = { .typed = text };
	const char *meant;

	for (size_t i = 0; i < ARRAY_LEN(strategies); i++) {
		if (strcmp(text, strategies[i].name) == 0) {
			*ret = strategies[i].strategy;
			return 0;
		}
		nearest_offer(&near, strategies[i].name);
	}
	cleanup_free char *safe = text_safe(span_str(text), 100);
	if (!safe)
		return err_nomem(err);
	err_set(err, DRAY_ERR_USAGE, "there is no strategy \"%s\"", safe);
	meant = nearest_get(&near);
	return meant ? err_hint(err, "did you mean \"%s\"?", meant)
		     : err_hint(err, "auto, graph, popularity, origin, size, per-source, single, "
				     "pipeline");
}

/* ---- store paths ---- */

/* Of "/nix/store/HASH-NAME" the NAME; of what has no hash, all behind the last '/'. */
static const char *behind_hash(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *dash = strchr(base, '-');

	return dash && dash[1] ? dash + 1 : base;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Length of a name up to its version: the first '-' before a digit, as Nix sees it. */
static size_t before_version(const char *name)
{
	for (size_t i = 1; name[0] && name[i]; i++)
		if (name[i] == '-' && is_digit(name[i + 1]))
			return i;
	return strlen(name);
}

/* "-bin", "-dev": what stands behind the version, when it is letters alone. */
static const char *output_of(const char *name, size_t head)
{
	const char *end = name + strlen(name), *ret = end;

	while (ret > name + head && is_letter(ret[-1]))
		ret--;
	return ret > name + head + 1 && ret < end && ret[-1] == '-' ? ret - 1 : end;
}

const char *layering_component(struct arena *a, const char *path)
{
	const char *name = behind_hash(path);
	size_t head = before_version(name);

	return arena_printf(a, "%.*s%s", (int)head, name, output_of(name, head));
}

const char *layering_origin(struct arena *a, const char *path)
{
	const char *name = behind_hash(path);

	return arena_strndup(a, name, before_version(name));
}

/* ---- components ---- */

enum level {
	LEVEL_COMPONENT,
	LEVEL_VERSION,
	LEVEL_NAME,
	LEVELS,
};

static const char *name_at(const struct unit *u, enum level level)
{
	switch (level) {
	case LEVEL_COMPONENT:
		return u->component ? u->component : u->name;
	case LEVEL_VERSION:
		return u->component ? behind_hash(u->name) : u->name;
	default:
		return u->name;
	}
}

/* Names at one level that only one unit has, that nobody took, and that are nobody else's name. */
struct naming {
	const struct roll *roll;
	const char **ret;
	struct map taken; /* what is given to units */
	struct map names; /* full name -> place + 1 */
};

static void naming_clear(struct naming *n)
{
	map_clear(&n->taken);
	map_clear(&n->names);
}

static bool is_free(const struct naming *n, const char *text, size_t place)
{
	size_t owner = (uintptr_t)map_get(&n->names, span_str(text));

	return (owner == 0 || owner == place + 1) && !map_find(&n->taken, span_str(text));
}

static int name_level(struct naming *n, enum level level, dray_error **err)
{
	struct map seen CLEANUP(map_clear) = { 0 }; /* text -> how many units have it */
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < n->roll->n; i++) {
		struct span text = span_str(name_at(roll_unit(n->roll, i), level));

		if (!n->ret[i])
			rc = map_put(&seen, text, (void *)((uintptr_t)map_get(&seen, text) + 1),
				     err);
	}
	for (uint32_t i = 0; rc == 0 && i < n->roll->n; i++) {
		const char *text = name_at(roll_unit(n->roll, i), level);

		if (n->ret[i] || (uintptr_t)map_get(&seen, span_str(text)) != 1 ||
		    !is_free(n, text, i))
			continue;
		n->ret[i] = text;
		rc = map_put(&n->taken, span_str(text), NULL, err);
	}
	return rc;
}

int name_components(const struct roll *r, struct arena *a, const char **ret, dray_error **err)
{
	struct naming n CLEANUP(naming_clear) = { .roll = r, .ret = ret };

	for (size_t i = 0; i < r->n; i++)
		if (map_put(&n.names, span_str(roll_unit(r, (uint32_t)i)->name), (void *)(i + 1),
			    err) < 0)
			return -1;
	for (enum level level = LEVEL_COMPONENT; level < LEVELS; level++)
		if (name_level(&n, level, err) < 0)
			return -1;
	for (size_t i = 0; i < r->n; i++) {
		ret[i] = arena_strdup(a, ret[i]);
		if (!ret[i])
			return err_nomem(err);
	}
	return 0;
}

/* ---- patterns ---- */

int name_split(struct arena *a, const char *name, struct name_parts *ret, dray_error **err)
{
	char *part = arena_strdup(a, name), *end;

	*ret = (struct name_parts){ arena_array(a, strlen(name) / 2 + 1, sizeof(*ret->list)), 0 };
	if (!part || !ret->list)
		return err_nomem(err);
	for (bool more = true; more; part = end + 1) {
		end = part + strcspn(part, "/");
		more = *end == '/';
		*end = '\0';
		if (*part)
			ret->list[ret->n++] = part;
	}
	return 0;
}

int name_patterns_parse(struct arena *a, const struct layering_patterns *p,
			struct path_pattern **ret, dray_error **err)
{
	*ret = arena_array(a, p->n + 1, sizeof(**ret));
	if (!*ret)
		return err_nomem(err);
	for (size_t i = 0; i < p->n; i++) {
		if (path_pattern_parse(a, p->list[i], &(*ret)[i], err) == 0)
			continue;
		cleanup_free char *safe = text_safe(span_str(p->list[i]), 200);
		return safe ? err_ctx(err, "pattern \"%s\"", safe) : -1;
	}
	return 0;
}

bool name_patterns_fit(const struct path_pattern *list, size_t n, const struct name_parts *name)
{
	for (size_t i = 0; i < n; i++)
		if (path_pattern_fits(&list[i], name->list, name->n))
			return true;
	return false;
}
