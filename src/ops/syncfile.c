/* SPDX-License-Identifier: Apache-2.0
 *
 * The list that "dray sync" works on, read and judged as a whole before anything is asked.
 * Relies on json/ for strictness: twin names and trailing text are refused there.
 * Promises that a member nobody knows is an error and not a wish that is ignored.
 */
#include "ops/syncfile.h"

#include "base/limits.h"
#include "base/nearest.h"
#include "base/text.h"
#include "json/json.h"

/* ---- members ---- */

static int unknown_member(const char *where, const char *name, const char *const *known,
			  dray_error **err)
{
	cleanup_free char *safe = text_safe(span_str(name), 80);
	struct nearest near = { .typed = safe };

	if (!safe)
		return err_nomem(err);
	err_set(err, DRAY_ERR_USAGE, "%s%sunknown member \"%s\"", where ? where : "",
		where ? ": " : "", safe);
	for (size_t i = 0; known[i]; i++)
		nearest_offer(&near, known[i]);
	if (nearest_get(&near))
		return err_hint(err, "did you mean \"%s\"?", nearest_get(&near));
	return err_hint(err, "dray help sync tells which there are");
}

/* An object whose members are all among @p known. */
static int check_object(struct json v, const char *where, const char *const *known, struct arena *a,
			dray_error **err)
{
	if (json_want(v, JSON_OBJECT, false, where ? where : "the list", err) < 0)
		return -1;
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		const char *name;
		size_t i = 0;

		if (json_name(it, a, &name, err) < 0)
			return -1;
		while (known[i] && strcmp(known[i], name) != 0)
			i++;
		if (!known[i])
			return unknown_member(where, name, known, err);
	}
	return 0;
}

static int get_string(struct json v, const char *name, struct arena *a, const char **ret,
		      dray_error **err)
{
	if (json_string(json_get(v, name), name, a, ret, err) < 0)
		return -1;
	if (*ret && !**ret)
		return err_set(err, DRAY_ERR_USAGE, "\"%s\" is empty", name);
	return 0;
}

static int get_strings(struct json v, const char *name, struct arena *a, const char ***ret,
		       size_t *ret_n, dray_error **err)
{
	struct json list = json_get(v, name);
	size_t n = json_len(list);

	if (json_want(list, JSON_ARRAY, true, name, err) < 0)
		return -1;
	if (n > LIMIT_SYNC_PATTERNS)
		return err_set(err, DRAY_ERR_LIMIT,
			       "\"%s\" holds more than %d (LIMIT_SYNC_PATTERNS)", name,
			       LIMIT_SYNC_PATTERNS);
	*ret = arena_array(a, n ? n : 1, sizeof(**ret));
	if (!*ret)
		return err_nomem(err);
	*ret_n = 0;
	for (struct json it = json_first(list); json_node(it); it = json_next(it)) {
		const char **slot = &(*ret)[(*ret_n)++];

		if (json_string(it, name, a, slot, err) < 0)
			return -1;
		if (!*slot)
			return err_set(err, DRAY_ERR_USAGE, "\"%s\" holds a null", name);
	}
	return 0;
}

static int check_pattern(const char *name, const char *pattern, dray_error **err)
{
	const char *problem = glob_problem(pattern);

	if (!problem)
		return 0;
	cleanup_free char *safe = text_safe(span_str(pattern), 128);
	return err_set(err, DRAY_ERR_USAGE, "\"%s\": \"%s\": %s", name, safe ? safe : "", problem);
}

static int get_patterns(struct json v, const char *name, struct arena *a, const char ***ret,
			size_t *ret_n, dray_error **err)
{
	if (get_strings(v, name, a, ret, ret_n, err) < 0)
		return -1;
	for (size_t i = 0; i < *ret_n; i++)
		if (check_pattern(name, (*ret)[i], err) < 0)
			return -1;
	return 0;
}

static int get_limit(struct json v, int64_t *ret, dray_error **err)
{
	struct json limit = json_get(v, "limit");

	*ret = -1;
	if (!json_present(limit))
		return 0;
	if (json_int(limit, "limit", ret, err) < 0)
		return -1;
	return *ret >= 1 ? 0 : err_set(err, DRAY_ERR_USAGE, "\"limit\" is less than 1");
}

/* "all", or a list of platforms. */
static int get_platforms(struct json v, struct arena *a, struct sync_entry *ret, dray_error **err)
{
	struct json value = json_get(v, "platforms");
	const char *word = NULL, **list;

	if (!json_present(value))
		return 0;
	if (json_type(value) == JSON_STRING) {
		if (json_string(value, "platforms", a, &word, err) < 0)
			return -1;
		ret->platforms = SYNC_PLATFORMS_ALL;
		return strcmp(word, "all") == 0
			       ? 0
			       : err_set(err, DRAY_ERR_USAGE,
					 "\"platforms\" is neither \"all\" nor a list");
	}
	if (get_strings(v, "platforms", a, &list, &ret->n_list, err) < 0)
		return -1;
	if (ret->n_list == 0)
		return err_set(err, DRAY_ERR_USAGE, "\"platforms\" is empty");
	ret->platforms = SYNC_PLATFORMS_LIST;
	ret->list = arena_array(a, ret->n_list, sizeof(*ret->list));
	if (!ret->list)
		return err_nomem(err);
	for (size_t i = 0; i < ret->n_list; i++)
		if (platform_parse(list[i], a, &ret->list[i], err) < 0)
			return err_ctx(err, "\"platforms\"");
	return 0;
}

/* ---- entries ---- */

static int parse_entry(struct json v, struct sync_file *f, struct sync_entry *ret, dray_error **err)
{
	static const char *const known[] = { "source",	  "tags",	 "exclude", "limit",
					     "platforms", "destination", NULL };
	struct arena *a = &f->arena;

	if (check_object(v, NULL, known, a, err) < 0 ||
	    get_string(v, "source", a, &ret->source, err) < 0 ||
	    get_string(v, "destination", a, &ret->destination, err) < 0 ||
	    get_patterns(v, "tags", a, &ret->tags, &ret->n_tags, err) < 0 ||
	    get_patterns(v, "exclude", a, &ret->exclude, &ret->n_exclude, err) < 0 ||
	    get_limit(v, &ret->limit, err) < 0 || get_platforms(v, a, ret, err) < 0)
		return -1;
	if (!ret->source)
		return err_set(err, DRAY_ERR_USAGE, "\"source\" is missing");
	if (!ret->destination && !f->destination)
		return err_set(err, DRAY_ERR_USAGE,
			       "\"destination\" is missing, here and in the list as a whole");
	if (ret->n_tags == 0 && (ret->n_exclude || ret->limit >= 0))
		return err_set(err, DRAY_ERR_USAGE, "\"%s\" goes with \"tags\"",
			       ret->n_exclude ? "exclude" : "limit");
	return 0;
}

static int parse_entries(struct json list, struct sync_file *f, dray_error **err)
{
	size_t n = json_len(list);

	if (json_want(list, JSON_ARRAY, false, "images", err) < 0)
		return -1;
	if (n > LIMIT_SYNC_ENTRIES)
		return err_set(err, DRAY_ERR_LIMIT,
			       "\"images\" holds more than %d (LIMIT_SYNC_ENTRIES)",
			       LIMIT_SYNC_ENTRIES);
	f->entries = arena_array(&f->arena, n ? n : 1, sizeof(*f->entries));
	if (!f->entries)
		return err_nomem(err);
	for (struct json it = json_first(list); json_node(it); it = json_next(it)) {
		struct sync_entry *e = &f->entries[f->n];

		*e = (struct sync_entry){ .limit = -1 };
		e->where = arena_printf(&f->arena, "images[%zu]", f->n);
		if (!e->where)
			return err_nomem(err);
		if (parse_entry(it, f, e, err) < 0)
			return err_ctx(err, "%s", e->where);
		f->n++;
	}
	return 0;
}

static int check_version(struct json v, dray_error **err)
{
	int64_t version;

	if (!json_present(json_get(v, "version")))
		return err_set(err, DRAY_ERR_USAGE, "\"version\" is missing (it is 1)");
	if (json_int(json_get(v, "version"), "version", &version, err) < 0)
		return -1;
	if (version == 1)
		return 0;
	return err_set(err, DRAY_ERR_UNSUPPORTED, "version %lld of the list (known: 1)",
		       (long long)version);
}

static int parse_root(struct json root, struct sync_file *f, dray_error **err)
{
	static const char *const known[] = { "version", "destination", "images", NULL };

	if (json_want(root, JSON_OBJECT, false, "the list", err) < 0 ||
	    check_version(root, err) < 0 || check_object(root, NULL, known, &f->arena, err) < 0 ||
	    get_string(root, "destination", &f->arena, &f->destination, err) < 0)
		return -1;
	if (!json_present(json_get(root, "images")))
		return err_set(err, DRAY_ERR_USAGE, "\"images\" is missing");
	return parse_entries(json_get(root, "images"), f, err);
}

int sync_file_parse(struct span text, struct sync_file *ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;

	*ret = (struct sync_file){ 0 };
	if (json_parse(text, &doc, err) == 0 && parse_root(json_root(doc), ret, err) == 0)
		return 0;
	sync_file_clear(ret);
	/* A list is typed by its user, as a command line is. */
	if (err && dray_error_kind(*err) == DRAY_ERR_FORMAT)
		err_rekind(err, DRAY_ERR_USAGE);
	return -1;
}

void sync_file_clear(struct sync_file *f)
{
	arena_clear(&f->arena);
	*f = (struct sync_file){ 0 };
}
