/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules of a cut before there is a tree: where a path will go, and which folders are shared.
 * Relies on the rules of cut_rule.c.
 * Promises nothing: a rule under which nothing falls is foreseen to have something.
 */
#include "layer/cut_priv.h"

#include "base/glob.h"
#include "base/limits.h"
#include "base/mem.h"

#define NAMES_MAX (LIMIT_PATH / 2 + 1)

static bool is_any(const char *part)
{
	return strcmp(part, "**") == 0;
}

/* How many parts name one folder each, in which lies all that the pattern fits. */
static size_t stem_of(const struct path_pattern *p)
{
	size_t n = 0;

	while (n + 1 < p->n && !glob_is_pattern(p->parts[n]))
		n++;
	return n;
}

static bool is_plain(const struct path_pattern *p)
{
	size_t stem = stem_of(p), left = p->n - stem;

	if (is_any(p->parts[stem]))
		return left == 1 && stem > 0;
	return left == 1 || (left == 2 && is_any(p->parts[p->n - 1]));
}

bool cut_rules_plain(const struct cut_rules *r)
{
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->list[i].n; k++)
			if (!is_plain(&r->list[i].patterns[k]))
				return false;
	return true;
}

int cut_foresight_init(struct cut_foresight *f, const struct cut_rules *r, dray_error **err)
{
	*f = (struct cut_foresight){
		.rules = r,
		.text = mem_alloc(LIMIT_PATH + 1),
		.names = mem_alloc_array(NAMES_MAX, sizeof(*f->names)),
	};
	return f->text && f->names ? 0 : err_nomem(err);
}

void cut_foresight_clear(struct cut_foresight *f)
{
	mem_free(f->text);
	mem_free(f->names);
}

static size_t take_apart(struct cut_foresight *f, const char *path)
{
	size_t n = 0;
	char *name = f->text;

	if (!*path)
		return 0;
	snprintf(f->text, LIMIT_PATH + 1, "%s", path);
	for (char *slash; (slash = strchr(name, '/')); name = slash + 1) {
		*slash = '\0';
		f->names[n++] = name;
	}
	f->names[n++] = name;
	return n;
}

static bool rule_holds(const struct cut_rule *r, const struct cut_foresight *f, size_t n)
{
	for (size_t i = 0; i < r->n; i++)
		if (path_pattern_holds(&r->patterns[i], f->names, n))
			return true;
	return false;
}

/* What cut_mark() will say, unless the file has other names. */
static size_t tar_of(void *arg, const char *path)
{
	struct cut_foresight *f = arg;
	size_t n = take_apart(f, path);

	for (size_t i = 0; i < f->rules->n; i++)
		if (rule_holds(&f->rules->list[i], f, n))
			return i + 1;
	return 0;
}

/* Does the folder of @p n names lie on the way to what the pattern fits? */
static bool leads_to(const struct cut_foresight *f, size_t n, const struct path_pattern *p)
{
	if (n > stem_of(p))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(p->parts[i], f->names[i]) != 0)
			return false;
	return true;
}

static bool above(void *arg, const char *folder, size_t tar)
{
	struct cut_foresight *f = arg;
	size_t n = take_apart(f, folder);

	for (size_t i = tar; i < f->rules->n; i++)
		for (size_t k = 0; k < f->rules->list[i].n; k++)
			if (leads_to(f, n, &f->rules->list[i].patterns[k]))
				return true;
	return false;
}

struct once_cut cut_foresee(struct cut_foresight *f)
{
	return (struct once_cut){ tar_of, above, f };
}
