/* SPDX-License-Identifier: Apache-2.0
 *
 * Globs of a spec against paths.
 * Relies on layer/pattern for the parts of a glob, on base/glob for one name.
 * Promises no recursion: at most parts of the glob times parts of the path steps.
 */
#include "build/match.h"

#include "base/glob.h"
#include "base/limits.h"
#include "base/mem.h"

static bool is_deep(const char *part)
{
	return strcmp(part, "**") == 0;
}

/* What ends in "**" wants a name below. */
static int add_name(struct arena *a, struct path_pattern *p, dray_error **err)
{
	const char **parts = arena_array(a, p->n + 1, sizeof(*parts));

	if (!parts)
		return err_nomem(err);
	memcpy(parts, p->parts, p->n * sizeof(*parts));
	parts[p->n++] = "*";
	p->parts = parts;
	return 0;
}

int match_parse(struct arena *a, const char *text, struct match *ret, dray_error **err)
{
	size_t len = strlen(text);
	const char *slash = strchr(text, '/');

	*ret = (struct match){ .dirs_only = len > 1 && text[len - 1] == '/' };
	ret->floats = !slash || (ret->dirs_only && slash == text + len - 1);
	if (path_pattern_parse(a, text, &ret->path, err) < 0)
		return -1;
	if (ret->floats || !is_deep(ret->path.parts[ret->path.n - 1]))
		return 0;
	return add_name(a, &ret->path, err);
}

int match_parse_all(struct arena *a, const char *const *texts, size_t n, struct match_list *ret,
		    dray_error **err)
{
	ret->list = arena_array(a, n + 1, sizeof(*ret->list));
	if (!ret->list)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		if (match_parse(a, texts[i], &ret->list[i], err) < 0)
			return -1;
	ret->n = n;
	return 0;
}

int match_path_set(struct match_path *p, const char *path, dray_error **err)
{
	p->text.max = LIMIT_PATH;
	buf_reset(&p->text);
	p->n = 0;
	if (buf_add(&p->text, span_of(path, strlen(path) + 1), err) < 0)
		return -1;
	for (char *at = (char *)p->text.data; *at;) {
		size_t len = strcspn(at, "/");
		bool more = at[len] == '/';

		if (mem_grow(&p->parts, p->n, &p->cap, sizeof(*p->parts)) < 0)
			return err_nomem(err);
		at[len] = '\0';
		p->parts[p->n++] = at;
		at += len + more;
	}
	return 0;
}

void match_path_clear(struct match_path *p)
{
	buf_clear(&p->text);
	mem_free(p->parts);
	*p = (struct match_path){ 0 };
}

/* The first @p n parts of the path against the whole glob; "**" gives back what it took. */
static bool fits(const struct path_pattern *g, const struct match_path *p, size_t n)
{
	size_t i = 0, j = 0, star = SIZE_MAX, mark = 0;

	while (i < n) {
		if (j < g->n && is_deep(g->parts[j])) {
			star = j++;
			mark = i;
		} else if (j < g->n && glob_match(g->parts[j], p->parts[i])) {
			i++;
			j++;
		} else if (star != SIZE_MAX) {
			j = star + 1;
			i = ++mark;
		} else {
			return false;
		}
	}
	while (j < g->n && is_deep(g->parts[j]))
		j++;
	return j == g->n;
}

static bool fits_head(const struct match *m, const struct match_path *p, size_t n, bool is_dir)
{
	if (n == 0 || (m->dirs_only && !is_dir))
		return false;
	if (m->floats)
		return is_deep(m->path.parts[0]) || glob_match(m->path.parts[0], p->parts[n - 1]);
	return fits(&m->path, p, n);
}

bool match_fits(const struct match *m, const struct match_path *p, bool is_dir)
{
	return fits_head(m, p, p->n, is_dir);
}

bool match_holds(const struct match *m, const struct match_path *p, bool is_dir)
{
	for (size_t n = 1; n < p->n; n++)
		if (fits_head(m, p, n, true))
			return true;
	return match_fits(m, p, is_dir);
}

bool match_any(const struct match_list *l, const struct match_path *p, bool is_dir)
{
	for (size_t i = 0; i < l->n; i++)
		if (match_fits(&l->list[i], p, is_dir))
			return true;
	return false;
}

bool match_any_holds(const struct match_list *l, const struct match_path *p, bool is_dir)
{
	for (size_t i = 0; i < l->n; i++)
		if (match_holds(&l->list[i], p, is_dir))
			return true;
	return false;
}
