/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that a list names as a source.
 * Relies on build/mtree for the list, on build/walk for the files.
 * Promises that the list and its line are told when something is wrong.
 */
#include "ops/build.h"

#include <fcntl.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "build/walk.h"

static bool is_mtree(const struct spec_source *s)
{
	return !s->list_format || strcmp(s->list_format, "mtree") == 0;
}

int build_check_written(const char *path, dray_error **err)
{
	struct stat st;

	if (io_fstatat(AT_FDCWD, path, 0, &st, err) < 0)
		return -1;
	if (!S_ISFIFO(st.st_mode))
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "a pipe with nothing in it: who writes it comes first");
}

static int read_list(const struct spec_source *s, struct mtree *ret, dray_error **err)
{
	cleanup_buf struct buf text = { 0 };

	if (io_read_file(AT_FDCWD, s->list, LIMIT_FILE_LIST, &text, err) < 0 ||
	    (text.len == 0 && build_check_written(s->list, err) < 0))
		return -1;
	if (is_mtree(s))
		return mtree_parse(span_buf(&text), ret, err);
	return mtree_paths(span_buf(&text), strcmp(s->list_format, "paths0") == 0 ? '\0' : '\n',
			   ret, err);
}

static int take(struct build *b, const struct spec_source *s, const struct policy *p,
		struct layer_index *ret, dray_error **err)
{
	struct walk w = { .in = &b->in, .xattrs = &s->xattrs, .policy = p };
	struct mtree *m;

	if (build_clean(b, "to", s->to ? s->to : "/", &w.to, err) < 0)
		return -1;
	w.root = s->root ? s->root : ".";
	if (mem_grow(&b->lists, b->n_lists, &b->cap_lists, sizeof(*b->lists)) < 0)
		return err_nomem(err);
	m = &b->lists[b->n_lists++];
	*m = (struct mtree){ 0 };
	if (read_list(s, m, err) < 0)
		return -1;
	return walk_listed(&w, m, b->now, is_mtree(s), build_vague(b->spec, s, p), &b->meant, ret,
			   err);
}

int build_take_listed(struct build *b, const struct spec_source *s, const struct policy *p,
		      struct layer_index *ret, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(s->list), 4096);

	if (!shown)
		return err_nomem(err);
	return take(b, s, p, ret, err) < 0 ? err_ctx(err, "%s", shown) : 0;
}
