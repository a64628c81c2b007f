/* SPDX-License-Identifier: Apache-2.0
 *
 * From the tables of registries.conf to rules, and from a reference to its rule.
 * Relies on toml.h. Promises that what the format's authors refuse is refused and
 * that keys it does not know are passed over, as they do.
 */
#include "proto/registries.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "proto/toml.h"

void registries_clear(struct registries *r)
{
	mem_free(r->rules);
	arena_clear(&r->arena);
	*r = (struct registries){ 0 };
}

static int wrong(const struct toml *at, dray_error **err, const char *what)
{
	return err_set(err, DRAY_ERR_FORMAT, "line %d: %s", at->line, what);
}

/* ---- locations ---- */

/* No scheme, no blanks: it becomes the beginning of a reference, which is checked as one. */
static int location(struct registries *r, const struct toml *at, const char *text, const char **ret,
		    dray_error **err)
{
	size_t len = strlen(text);

	*ret = NULL;
	if (strstr(text, "://"))
		return wrong(at, err, "a location has no scheme (\"https://\")");
	while (len && text[len - 1] == '/')
		len--;
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] > '~')
			return wrong(at, err, "odd characters in a location");
	}
	if (!len)
		return 0;
	*ret = arena_strndup(&r->arena, text, len);
	return *ret ? 0 : err_nomem(err);
}

/* ---- mirrors ---- */

static int mirror_use(const struct toml *t, bool digests_only, enum mirror_use *ret,
		      dray_error **err)
{
	static const char *const names[] = {
		[MIRROR_ALWAYS] = "all",
		[MIRROR_DIGESTS] = "digest-only",
		[MIRROR_TAGS] = "tag-only",
	};
	const char *said = "";

	*ret = digests_only ? MIRROR_DIGESTS : MIRROR_ALWAYS;
	if (toml_get_string(t, "pull-from-mirror", &said, err) < 0)
		return -1;
	if (!*said)
		return 0;
	if (digests_only)
		return wrong(t, err, "pull-from-mirror and mirror-by-digest-only: one of both");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(said, names[i]) == 0) {
			*ret = (enum mirror_use)i;
			return 0;
		}
	}
	return wrong(t, err, "pull-from-mirror is all, digest-only or tag-only");
}

static int add_mirror(struct registries *r, const struct toml *t, bool digests_only,
		      struct registry_mirror *ret, dray_error **err)
{
	const char *text = "";

	if (toml_get_string(t, "location", &text, err) < 0 ||
	    location(r, t, text, &ret->location, err) < 0 ||
	    toml_get_bool(t, "insecure", &ret->insecure, err) < 0 ||
	    mirror_use(t, digests_only, &ret->use, err) < 0)
		return -1;
	return ret->location ? 0 : wrong(t, err, "a mirror without a location");
}

static int add_mirrors(struct registries *r, const struct toml *t, struct registry_rule *rule,
		       dray_error **err)
{
	const struct toml *list;
	bool digests_only = false;
	size_t n = 0;

	if (toml_get_bool(t, "mirror-by-digest-only", &digests_only, err) < 0 ||
	    toml_get_tables(t, "mirror", &list, err) < 0)
		return -1;
	for (const struct toml *m = list ? list->first : NULL; m; m = m->next)
		n++;
	if (!n)
		return 0;
	rule->mirrors = arena_array(&r->arena, n, sizeof(*rule->mirrors));
	if (!rule->mirrors)
		return err_nomem(err);
	for (const struct toml *m = list->first; m; m = m->next) {
		if (add_mirror(r, m, digests_only, &rule->mirrors[rule->n_mirrors++], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- rules ---- */

/* "*." is followed by a domain and matches no "*" of its own. */
static bool is_wildcard(const char *prefix)
{
	return strncmp(prefix, "*.", 2) == 0;
}

static int check_prefix(const struct toml *t, const struct registry_rule *rule, dray_error **err)
{
	const char *star = strchr(rule->prefix, '*');

	if (star && (!is_wildcard(rule->prefix) || strchr(star + 1, '*') || !rule->prefix[2]))
		return wrong(t, err, "a prefix has no '*' but in \"*.HOST\"");
	if (!rule->location && !star)
		return wrong(t, err, "a registry without a location");
	return 0;
}

static int make_rule(struct registries *r, const struct toml *t, struct registry_rule *ret,
		     dray_error **err)
{
	const char *where = "", *prefix = "";

	if (toml_get_string(t, "location", &where, err) < 0 ||
	    location(r, t, where, &ret->location, err) < 0 ||
	    toml_get_string(t, "prefix", &prefix, err) < 0 ||
	    location(r, t, prefix, &ret->prefix, err) < 0 ||
	    toml_get_bool(t, "insecure", &ret->insecure, err) < 0 ||
	    toml_get_bool(t, "blocked", &ret->blocked, err) < 0)
		return -1;
	if (!ret->prefix)
		ret->prefix = ret->location;
	if (!ret->prefix)
		return wrong(t, err, "a registry without prefix and location");
	return check_prefix(t, ret, err) < 0 ? -1 : add_mirrors(r, t, ret, err);
}

/* Rules from @p first on are of the file that is being read. */
static int keep_rule(struct registries *r, const struct toml *t, const struct registry_rule *rule,
		     size_t first, dray_error **err)
{
	for (size_t i = 0; i < r->n; i++) {
		struct registry_rule *old = &r->rules[i];

		if (strcmp(old->prefix, rule->prefix) != 0)
			continue;
		if (i >= first &&
		    (old->insecure != rule->insecure || old->blocked != rule->blocked))
			return wrong(t, err, "one prefix has two rules that disagree");
		if (i < first)
			*old = *rule;
		return 0;
	}
	if (mem_grow(&r->rules, r->n, &r->cap, sizeof(*r->rules)) < 0)
		return err_nomem(err);
	r->rules[r->n++] = *rule;
	return 0;
}

static int add_rules(struct registries *r, const struct toml *root, const char *file,
		     dray_error **err)
{
	const struct toml *list;
	size_t first = r->n;

	if (toml_get(root, "registries")) {
		err_set(err, DRAY_ERR_UNSUPPORTED,
			"this is version 1 of registries.conf, which is not read");
		return err_hint(err, "write [[registry]] tables: containers-registries.conf(5)");
	}
	if (toml_get_tables(root, "registry", &list, err) < 0)
		return -1;
	for (const struct toml *t = list ? list->first : NULL; t; t = t->next) {
		struct registry_rule rule = { .file = file };

		if (make_rule(r, t, &rule, err) < 0 || keep_rule(r, t, &rule, first, err) < 0)
			return -1;
	}
	return 0;
}

int registries_add(struct registries *r, struct span text, const char *file, dray_error **err)
{
	struct arena scratch = { 0 };
	struct toml *root;
	const char *name = arena_strdup(&r->arena, file);
	int rc = name ? toml_parse(text, &scratch, &root, err) : err_nomem(err);

	if (rc == 0)
		rc = add_rules(r, root, name, err);
	arena_clear(&scratch);
	return rc;
}

/* ---- matching ---- */

static bool ends_part(char c)
{
	return c == '\0' || c == '/' || c == ':' || c == '@';
}

/* Bytes of @p ref that "*.HOST" stands for: some subdomain and HOST; 0 = none. */
static size_t match_wildcard(const char *ref, const char *prefix)
{
	const char *tail = prefix + 1, *end = ref + strcspn(ref, "/");

	for (const char *hit = strstr(ref, tail); hit && hit < end; hit = strstr(hit + 1, tail)) {
		if (hit > ref && ends_part(hit[strlen(tail)]))
			return (size_t)(hit - ref) + strlen(tail);
	}
	return 0;
}

static size_t match(const char *ref, const char *prefix)
{
	size_t len = strlen(prefix);

	if (is_wildcard(prefix))
		return match_wildcard(ref, prefix);
	return strncmp(ref, prefix, len) == 0 && ends_part(ref[len]) ? len : 0;
}

const struct registry_rule *registries_find(const struct registries *r, const char *reference,
					    size_t *ret_matched)
{
	const struct registry_rule *best = NULL;

	for (size_t i = 0; i < r->n; i++) {
		const struct registry_rule *one = &r->rules[i];
		size_t matched = match(reference, one->prefix);

		if (!matched || (best && strlen(best->prefix) >= strlen(one->prefix)))
			continue;
		best = one;
		*ret_matched = matched;
	}
	return best;
}
