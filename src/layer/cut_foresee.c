/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules of a cut before there is a tree: where a path will go.
 * Relies on the rules of cut_rule.c.
 * Promises what cut_mark() says of each file that has no other names.
 */
#include "layer/cut_priv.h"

#include "base/limits.h"
#include "base/mem.h"

#define NAMES_MAX (LIMIT_PATH / 2 + 1)

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

static size_t tar_of(void *arg, const char *path)
{
	struct cut_foresight *f = arg;
	size_t n = take_apart(f, path);

	for (size_t i = 0; i < f->rules->n; i++)
		if (rule_holds(&f->rules->list[i], f, n))
			return i + 1;
	return 0;
}

struct once_cut cut_foresee(struct cut_foresight *f)
{
	return (struct once_cut){ tar_of, f };
}
