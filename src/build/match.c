/* SPDX-License-Identifier: Apache-2.0
 *
 * Globs of a spec against paths.
 * Relies on layer/pattern for the glob, but for where it begins and what a slash at its end says.
 * Promises that nothing fits the root itself.
 */
#include "build/match.h"

#include "base/limits.h"
#include "base/mem.h"

int match_parse(struct arena *a, const char *text, struct match *ret, dray_error **err)
{
	size_t len = strlen(text);
	const char *slash = strchr(text, '/');

	*ret = (struct match){ .dirs_only = len > 1 && text[len - 1] == '/' };
	ret->floats = !slash || (ret->dirs_only && slash == text + len - 1);
	return path_pattern_parse(a, text, &ret->path, err);
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

static bool fits_head(const struct match *m, const struct match_path *p, size_t n, bool is_dir)
{
	if (n == 0 || (m->dirs_only && !is_dir))
		return false;
	return m->floats ? path_pattern_fits(&m->path, p->parts + n - 1, 1)
			 : path_pattern_fits(&m->path, p->parts, n);
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
