/* SPDX-License-Identifier: Apache-2.0
 *
 * Which keys a spec has, and where they go. docs/build.schema.json says the same to editors.
 * Relies on the structs of spec.h.
 * Promises that a key is in one table, or it does not exist.
 */
#include "build/spec_priv.h"

#include "base/mem.h"
#include "base/number.h"

const char *const spec_type_names[SPEC_TYPES] = {
	[SPEC_DIR] = "dir",	[SPEC_TAR] = "tar",	    [SPEC_IMAGE] = "image",
	[SPEC_FILE] = "file",	[SPEC_MKDIR] = "mkdir",	    [SPEC_SYMLINK] = "symlink",
	[SPEC_LINKS] = "links", [SPEC_CLOSURE] = "closure", [SPEC_USER] = "user",
	[SPEC_GROUP] = "group", [SPEC_LISTED] = "files",
};
#define SOURCE_TYPES "dir|tar|image|file|files|mkdir|symlink|links|closure|user|group"

#define B(type) (1u << SPEC_##type)
#define TREES (B(DIR) | B(TAR) | B(IMAGE))
#define FILES (TREES | B(FILE) | B(LISTED) | B(MKDIR) | B(SYMLINK) | B(LINKS) | B(CLOSURE))

/* clang-format off */
static const struct spec_key owner_keys[] = {
	{ .name = "uid", .kind = KEY_INT, .offset = offsetof(struct spec_owner, uid), .choices = "id" },
	{ .name = "gid", .kind = KEY_INT, .offset = offsetof(struct spec_owner, gid), .choices = "id" },
	{ .name = "uname", .kind = KEY_STRING, .offset = offsetof(struct spec_owner, uname) },
	{ .name = "gname", .kind = KEY_STRING, .offset = offsetof(struct spec_owner, gname) },
	{ 0 },
};
static const struct spec_shape owner_shape = { owner_keys, 0, false };

static const struct spec_key select_keys[] = {
	{ .name = "tag", .kind = KEY_STRING, .offset = offsetof(struct spec_select, tag) },
	{ .name = "digest", .kind = KEY_STRING, .offset = offsetof(struct spec_select, digest) },
	{ .name = "index", .kind = KEY_INT, .offset = offsetof(struct spec_select, index) },
	{ 0 },
};
static const struct spec_shape select_shape = { select_keys, 0, false };

static const struct spec_key base_keys[] = {
	{ .name = "image", .kind = KEY_STRING, .offset = offsetof(struct spec_base, image) },
	{ .name = "select", .kind = KEY_OBJECT, .offset = offsetof(struct spec_base, select), .shape = &select_shape },
	{ .name = "inherit", .kind = KEY_LIST, .offset = offsetof(struct spec_base, inherit) },
	{ .name = "dedupe", .kind = KEY_CHOICE, .offset = offsetof(struct spec_base, dedupe), .choices = SPEC_DEDUPES },
	{ .name = "follow_base_links", .kind = KEY_FLAG, .offset = offsetof(struct spec_base, follow_base_links) },
	{ 0 },
};
static const struct spec_shape base_shape = { base_keys, 0, false };

static const struct spec_key config_keys[] = {
	{ .name = "Hostname", .kind = KEY_JSON, .offset = offsetof(struct spec_config, hostname), .choices = "string" },
	{ .name = "Domainname", .kind = KEY_JSON, .offset = offsetof(struct spec_config, domainname), .choices = "string" },
	{ .name = "User", .kind = KEY_JSON, .offset = offsetof(struct spec_config, user), .choices = "string" },
	{ .name = "ExposedPorts", .kind = KEY_SET, .offset = offsetof(struct spec_config, ports), .choices = "port" },
	{ .name = "Env", .kind = KEY_ENV, .offset = offsetof(struct spec_config, env) },
	{ .name = "expand", .kind = KEY_FLAG, .offset = offsetof(struct spec_config, expand) },
	{ .name = "Cmd", .kind = KEY_JSON, .offset = offsetof(struct spec_config, cmd), .choices = "strings" },
	{ .name = "Healthcheck", .kind = KEY_JSON, .offset = offsetof(struct spec_config, healthcheck), .choices = "health" },
	{ .name = "Volumes", .kind = KEY_SET, .offset = offsetof(struct spec_config, volumes), .choices = "path" },
	{ .name = "WorkingDir", .kind = KEY_JSON, .offset = offsetof(struct spec_config, workdir), .choices = "path" },
	{ .name = "Entrypoint", .kind = KEY_JSON, .offset = offsetof(struct spec_config, entrypoint), .choices = "strings" },
	{ .name = "Labels", .kind = KEY_STRINGS, .offset = offsetof(struct spec_config, labels) },
	{ .name = "StopSignal", .kind = KEY_JSON, .offset = offsetof(struct spec_config, stop_signal), .choices = "string" },
	{ .name = "StopTimeout", .kind = KEY_JSON, .offset = offsetof(struct spec_config, stop_timeout), .choices = "number" },
	{ .name = "Shell", .kind = KEY_JSON, .offset = offsetof(struct spec_config, shell), .choices = "strings" },
	{ 0 },
};
const struct spec_shape spec_config_shape = { config_keys, 0, false };

#define S(member) offsetof(struct spec_source, member)
static const struct spec_key source_keys[] = {
	{ .name = "type", .kind = KEY_CHOICE, .offset = S(type_name), SOURCE_TYPES },
	{ .name = "id", .kind = KEY_STRING, .offset = S(id) },
	{ .name = "from", .kind = KEY_STRING, .offset = S(from), .types = TREES | B(FILE) | B(CLOSURE) },
	{ .name = "from", .kind = KEY_LIST, .offset = S(trees), .types = B(LINKS) },
	{ .name = "graph", .kind = KEY_STRING, .offset = S(graph), .types = B(CLOSURE) },
	{ .name = "paths", .kind = KEY_STRING, .offset = S(paths), .types = B(CLOSURE) },
	{ .name = "key", .kind = KEY_STRING, .offset = S(key), .types = B(CLOSURE) },
	{ .name = "store", .kind = KEY_STRING, .offset = S(store), .types = B(CLOSURE) },
	{ .name = "roots", .kind = KEY_LIST, .offset = S(roots), .types = B(CLOSURE) },
	{ .name = "ignore_missing", .kind = KEY_FLAG, .offset = S(ignore_missing), .types = B(CLOSURE) },
	{ .name = "include", .kind = KEY_CHOICE, .offset = S(share), .choices = "all|links-only", .types = B(CLOSURE) },
	{ .name = "scan_config", .kind = KEY_FLAG, .offset = S(scan_config), .types = B(CLOSURE) },
	{ .name = "list", .kind = KEY_STRING, .offset = S(list), .types = B(LISTED) },
	{ .name = "list_format", .kind = KEY_CHOICE, .offset = S(list_format), .choices = "mtree|paths|paths0", .types = B(LISTED) },
	{ .name = "root", .kind = KEY_STRING, .offset = S(root), .types = B(LISTED) },
	{ .name = "path", .kind = KEY_STRING, .offset = S(path), .types = B(IMAGE) | B(FILE) | B(MKDIR) | B(SYMLINK) },
	{ .name = "to", .kind = KEY_STRING, .offset = S(to), .types = TREES | B(LINKS) | B(LISTED) },
	{ .name = "target", .kind = KEY_STRING, .offset = S(target), .types = B(SYMLINK) },
	{ .name = "text", .kind = KEY_STRING, .offset = S(text), .types = B(FILE) },
	{ .name = "data_base64", .kind = KEY_STRING, .offset = S(data_base64), .types = B(FILE) },
	{ .name = "strip", .kind = KEY_INT, .offset = S(strip), .types = B(TAR) },
	{ .name = "as_layer", .kind = KEY_FLAG, .offset = S(as_layer), .types = B(TAR) },
	{ .name = "include", .kind = KEY_LIST, .offset = S(include), .types = TREES },
	{ .name = "exclude", .kind = KEY_LIST, .offset = S(exclude), .types = TREES | B(CLOSURE) },
	{ .name = "mode", .kind = KEY_MODE, .offset = S(mode), .choices = "keep|normalize", .types = TREES | B(FILE) | B(LISTED) | B(MKDIR) },
	{ .name = "owner", .kind = KEY_OBJECT, .offset = S(owner), .shape = &owner_shape, .types = FILES },
	{ .name = "xattrs", .kind = KEY_LIST, .offset = S(xattrs), .types = B(DIR) | B(LISTED) },
	{ .name = "name", .kind = KEY_STRING, .offset = S(name), .types = B(USER) | B(GROUP) },
	{ .name = "uid", .kind = KEY_INT, .offset = S(uid), .choices = "id", .types = B(USER) },
	{ .name = "gid", .kind = KEY_INT, .offset = S(gid), .choices = "id", .types = B(USER) | B(GROUP) },
	{ .name = "home", .kind = KEY_STRING, .offset = S(home), .types = B(USER) },
	{ .name = "shell", .kind = KEY_STRING, .offset = S(shell), .types = B(USER) },
	{ .name = "replace", .kind = KEY_FLAG, .offset = S(replace), .types = FILES },
	{ .name = "layer", .kind = KEY_STRING, .offset = S(layer), .types = FILES },
	{ .name = "volatile", .kind = KEY_FLAG, .offset = S(is_volatile), .types = FILES },
	{ 0 },
};
#undef S
const struct spec_shape spec_source_shape = { source_keys, sizeof(struct spec_source), true };

static const struct spec_key rule_keys[] = {
	{ .name = "match", .kind = KEY_STRING, .offset = offsetof(struct spec_rule, match) },
	{ .name = "regex", .kind = KEY_STRING, .offset = offsetof(struct spec_rule, regex) },
	{ .name = "type", .kind = KEY_CHOICE, .offset = offsetof(struct spec_rule, types), .choices = "f|d|l|*" },
	{ .name = "mode", .kind = KEY_MODE, .offset = offsetof(struct spec_rule, mode) },
	{ .name = "owner", .kind = KEY_OBJECT, .offset = offsetof(struct spec_rule, owner), .shape = &owner_shape },
	{ .name = "xattr", .kind = KEY_STRINGS, .offset = offsetof(struct spec_rule, xattr) },
	{ .name = "mtime", .kind = KEY_TIME, .offset = offsetof(struct spec_rule, mtime), .choices = "epoch" },
	{ .name = "delete", .kind = KEY_FLAG, .offset = offsetof(struct spec_rule, remove) },
	{ .name = "base", .kind = KEY_FLAG, .offset = offsetof(struct spec_rule, of_base) },
	{ .name = "layer", .kind = KEY_STRING, .offset = offsetof(struct spec_rule, layer) },
	{ 0 },
};
const struct spec_shape spec_rule_shape = { rule_keys, sizeof(struct spec_rule), false };

static const struct spec_key group_keys[] = {
	{ .name = "name", .kind = KEY_STRING, .offset = offsetof(struct spec_group, name) },
	{ .name = "match", .kind = KEY_LIST, .offset = offsetof(struct spec_group, match) },
	{ .name = "sources", .kind = KEY_LIST, .offset = offsetof(struct spec_group, sources) },
	{ .name = "units", .kind = KEY_LIST, .offset = offsetof(struct spec_group, units) },
	{ .name = "closure_of", .kind = KEY_LIST, .offset = offsetof(struct spec_group, closure_of) },
	{ .name = "max", .kind = KEY_INT, .offset = offsetof(struct spec_group, max) },
	{ 0 },
};
const struct spec_shape spec_group_shape = { group_keys, sizeof(struct spec_group), false };

static const struct spec_key layers_keys[] = {
	{ .name = "max", .kind = KEY_INT, .offset = offsetof(struct spec_layers, max) },
	{ .name = "strategy", .kind = KEY_CHOICE, .offset = offsetof(struct spec_layers, strategy), .choices = SPEC_STRATEGIES },
	{ .name = "groups", .kind = KEY_OBJECTS, .offset = offsetof(struct spec_layers, groups), .shape = &spec_group_shape },
	{ .name = "volatile", .kind = KEY_LIST, .offset = offsetof(struct spec_layers, is_volatile) },
	{ .name = "min_size", .kind = KEY_SIZE, .offset = offsetof(struct spec_layers, min_size) },
	{ .name = "max_size", .kind = KEY_SIZE, .offset = offsetof(struct spec_layers, max_size) },
	{ .name = "pipeline", .kind = KEY_JSON, .offset = offsetof(struct spec_layers, pipeline), .choices = "operations" },
	{ .name = "previous", .kind = KEY_STRING, .offset = offsetof(struct spec_layers, previous) },
	{ .name = "annotate", .kind = KEY_FLAG, .offset = offsetof(struct spec_layers, annotate) },
	{ 0 },
};
static const struct spec_shape layers_shape = { layers_keys, 0, false };

static const struct spec_key compression_keys[] = {
	{ .name = "algorithm", .kind = KEY_CHOICE, .offset = offsetof(struct spec, compression.algorithm) - offsetof(struct spec, compression), .choices = "gzip|gzip-single|zstd|none" },
	{ .name = "level", .kind = KEY_INT, .offset = offsetof(struct spec, compression.level) - offsetof(struct spec, compression) },
	{ 0 },
};
static const struct spec_shape compression_shape = { compression_keys, 0, false };

static const struct spec_key history_keys[] = {
	{ .name = "created_by", .kind = KEY_STRING, .offset = offsetof(struct spec, history.created_by) - offsetof(struct spec, history) },
	{ .name = "author", .kind = KEY_STRING, .offset = offsetof(struct spec, history.author) - offsetof(struct spec, history) },
	{ .name = "comment", .kind = KEY_CHOICE, .offset = offsetof(struct spec, history.comment) - offsetof(struct spec, history), .choices = SPEC_COMMENTS },
	{ 0 },
};
static const struct spec_shape history_shape = { history_keys, 0, false };

static const struct spec_key keys[] = {
	{ .name = "dray", .kind = KEY_INT, .offset = offsetof(struct spec, version) },
	{ .name = "name", .kind = KEY_STRING, .offset = offsetof(struct spec, name), .choices = "name" },
	{ .name = "tag", .kind = KEY_STRING, .offset = offsetof(struct spec, tag), .choices = "tag" },
	{ .name = "tags", .kind = KEY_LIST, .offset = offsetof(struct spec, tags), .choices = "tag" },
	{ .name = "platform", .kind = KEY_STRING, .offset = offsetof(struct spec, platform), .choices = "platform" },
	{ .name = "base", .kind = KEY_OBJECT, .offset = offsetof(struct spec, base), .shape = &base_shape },
	{ .name = "created", .kind = KEY_TIME, .offset = offsetof(struct spec, created), .choices = "epoch|now" },
	{ .name = "mtime", .kind = KEY_TIME, .offset = offsetof(struct spec, mtime), .choices = "epoch|keep|now|clamp" },
	{ .name = "owner", .kind = KEY_OBJECT, .offset = offsetof(struct spec, owner), .shape = &owner_shape },
	{ .name = "config", .kind = KEY_OBJECT, .offset = offsetof(struct spec, config), .shape = &spec_config_shape },
	{ .name = "annotations", .kind = KEY_STRINGS, .offset = offsetof(struct spec, annotations) },
	{ .name = "index_annotations", .kind = KEY_STRINGS, .offset = offsetof(struct spec, index_annotations) },
	{ .name = "sources", .kind = KEY_OBJECTS, .offset = offsetof(struct spec, sources), .shape = &spec_source_shape },
	{ .name = "rules", .kind = KEY_OBJECTS, .offset = offsetof(struct spec, rules), .shape = &spec_rule_shape },
	{ .name = "conflict", .kind = KEY_CHOICE, .offset = offsetof(struct spec, conflict), .choices = "error|first|last" },
	{ .name = "layers", .kind = KEY_OBJECT, .offset = offsetof(struct spec, layers), .shape = &layers_shape },
	{ .name = "compression", .kind = KEY_OBJECT, .offset = offsetof(struct spec, compression), .shape = &compression_shape },
	{ .name = "history", .kind = KEY_OBJECT, .offset = offsetof(struct spec, history), .shape = &history_shape },
	{ 0 },
};
const struct spec_shape spec_shape = { keys, sizeof(struct spec), false };
_Static_assert(ARRAY_LEN(keys) - 1 <= SPEC_KEYS_MAX, "a place for each key");
/* clang-format on */

bool spec_choice(const char *choices, const char *word)
{
	size_t len = strlen(word);

	while (choices && choices[0]) {
		size_t n = strcspn(choices, "|");

		if (n == len && memcmp(choices, word, len) == 0)
			return true;
		choices += n + (choices[n] == '|');
	}
	return false;
}

bool spec_key_fits(const struct spec_shape *shape, const struct spec_key *k, const void *at)
{
	const struct spec_source *s = at;

	return !shape->is_source || k->types == 0 || (k->types & (1u << s->type)) != 0;
}

/* ---- putting things in ---- */

struct spec *spec_new(dray_error **err)
{
	struct spec *s = mem_zalloc(sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->version = (struct spec_int){ true, SPEC_VERSION };
	s->folder = "";
	return s;
}

static void free_list(struct spec_list *l)
{
	mem_free(l->list);
}

static void free_pairs(struct spec_pairs *p)
{
	mem_free(p->list);
	map_clear(&p->by_name);
}

void spec_free(struct spec *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_sources; i++) {
		free_list(&s->sources[i].trees);
		free_list(&s->sources[i].roots);
		free_list(&s->sources[i].include);
		free_list(&s->sources[i].exclude);
		free_list(&s->sources[i].xattrs);
	}
	for (size_t i = 0; i < s->n_rules; i++)
		free_pairs(&s->rules[i].xattr);
	for (size_t i = 0; i < s->layers.n_groups; i++) {
		free_list(&s->layers.groups[i].match);
		free_list(&s->layers.groups[i].sources);
		free_list(&s->layers.groups[i].units);
		free_list(&s->layers.groups[i].closure_of);
	}
	free_list(&s->tags);
	free_list(&s->base.inherit);
	free_list(&s->layers.is_volatile);
	free_pairs(&s->config.env);
	free_pairs(&s->config.labels);
	free_pairs(&s->config.ports);
	free_pairs(&s->config.volumes);
	free_pairs(&s->annotations);
	free_pairs(&s->index_annotations);
	mem_free(s->sources);
	mem_free(s->rules);
	mem_free(s->layers.groups);
	arena_clear(&s->arena);
	mem_free(s);
}

int spec_list_add(struct spec *s, struct spec_list *l, const char *text, dray_error **err)
{
	const char *own = arena_strdup(&s->arena, text);

	if (!own || mem_grow(&l->list, l->n, &l->cap, sizeof(*l->list)) < 0)
		return err_nomem(err);
	l->list[l->n++] = own;
	l->set = true;
	return 0;
}

struct spec_pair *spec_pairs_find(const struct spec_pairs *p, const char *name)
{
	uintptr_t number = (uintptr_t)map_get(&p->by_name, span_str(name));

	return number ? &p->list[number - 1] : NULL;
}

static struct spec_pair *add_pair(struct spec *s, struct spec_pairs *p, const char *name,
				  dray_error **err)
{
	const char *own = arena_strdup(&s->arena, name);

	if (!own || mem_grow(&p->list, p->n, &p->cap, sizeof(*p->list)) < 0) {
		err_nomem(err);
		return NULL;
	}
	if (map_put(&p->by_name, span_str(own), (void *)(uintptr_t)(p->n + 1), err) < 0)
		return NULL;
	p->list[p->n] = (struct spec_pair){ .name = own, .json = SPAN_LIT("null") };
	return &p->list[p->n++];
}

struct spec_pair *spec_pairs_put(struct spec *s, struct spec_pairs *p, const char *name,
				 struct span json, dray_error **err)
{
	struct spec_pair *to = spec_pairs_find(p, name);

	if (!to)
		to = add_pair(s, p, name, err);
	if (!to)
		return NULL;
	json = arena_dup(&s->arena, json);
	if (!json.data) {
		err_nomem(err);
		return NULL;
	}
	to->json = json;
	to->at = (struct spec_at){ 0 };
	to->said = ++p->n_said;
	return to;
}

static int by_turn(const void *a, const void *b)
{
	const struct spec_pair *x = a, *y = b;

	return (x->said > y->said) - (x->said < y->said);
}

void spec_pairs_order(struct spec_pairs *p)
{
	if (p->n > 1)
		qsort(p->list, p->n, sizeof(*p->list), by_turn);
	for (size_t i = 0; i < p->n; i++)
		map_find(&p->by_name, span_str(p->list[i].name))->value = (void *)(uintptr_t)(i +
											      1);
}

/* How every KEY_OBJECTS member lies in its struct. */
struct objects {
	uint8_t *list;
	size_t n, cap;
};

void *spec_grow(struct spec *s, void *slot, size_t size, dray_error **err)
{
	struct objects *o = slot;
	uint8_t *at;

	(void)s;
	if (mem_grow(&o->list, o->n, &o->cap, size) < 0) {
		err_nomem(err);
		return NULL;
	}
	at = o->list + o->n++ * size;
	memset(at, 0, size);
	return at;
}

/* ---- values ---- */

bool spec_time_text(const char *text, const char *choices, struct spec_time *ret)
{
	int32_t nsec, off;
	int64_t sec;

	*ret = (struct spec_time){ 0 };
	if (spec_choice(choices, text) && strcmp(text, "clamp") != 0) {
		ret->kind = strcmp(text, "now") == 0	? SPEC_TIME_NOW
			    : strcmp(text, "keep") == 0 ? SPEC_TIME_KEEP
							: SPEC_TIME_SET;
		ret->sec = 1; /* "epoch": as the default, since some programs take 0 for unset */
		return true;
	}
	if (!num_parse_i64(span_str(text), &sec) &&
	    !time_parse_rfc3339(span_str(text), &sec, &nsec, &off))
		return false;
	*ret = (struct spec_time){ SPEC_TIME_SET, sec };
	return true;
}

bool spec_size_text(const char *text, int64_t *ret)
{
	static const char *const units[] = { "", "KiB", "MiB", "GiB", "TiB" };
	size_t digits = strspn(text, "0123456789");

	if (!num_parse_u63(span_of(text, digits), ret))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strcmp(text + digits, units[i]) == 0)
			return !__builtin_mul_overflow(*ret, (int64_t)1 << (10 * i), ret);
	return false;
}

bool spec_mode_text(const char *text, uint32_t *ret)
{
	uint32_t v = 0;
	size_t n = strspn(text, "01234567");

	if (n == 0 || n > 5 || text[n])
		return false;
	for (size_t i = 0; i < n; i++)
		v = v * 8 + (uint32_t)(text[i] - '0');
	*ret = v;
	return v <= 07777;
}
