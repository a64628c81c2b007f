/* SPDX-License-Identifier: Apache-2.0
 *
 * What the host says of the names in a folder, asked for ahead of who makes entries of it.
 * Relies on base/io, which opens below the source's folder and follows no link; on flow/pool
 * for who looks meanwhile.
 * Promises folders in the order in which they were named, each with what went wrong in it, and
 * memory for a bounded number of names.
 */
#include <fcntl.h>
#include <stdatomic.h>

#include "base/glob.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "build/walk_priv.h"
#include "flow/pool.h"

#define NAMES_MAX 4096 /* looked at ahead in one go, the others when it is their turn */

/* ---- extended attributes ---- */

static bool wants_xattr(const struct walk *w, const char *name)
{
	static const char *const defaults[] = { "security.capability", "user.*" };

	if (!w->xattrs || !w->xattrs->set) {
		for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
			if (glob_match(defaults[i], name))
				return true;
		return false;
	}
	for (size_t i = 0; i < w->xattrs->n; i++)
		if (glob_match(w->xattrs->list[i], name))
			return true;
	return false;
}

static int add_xattr(struct arena *a, int dir, const char *base, const char *name,
		     struct layer_xattrs *x, dray_error **err)
{
	cleanup_buf struct buf value = BUF_INIT(LIMIT_PAX);
	struct tar_xattr *to = &x->list[x->n];
	int rc = io_get_xattr(dir, base, name, &value, err);

	if (rc <= 0)
		return rc;
	to->name = arena_dup(a, span_str(name));
	to->value = value.len ? arena_dup(a, span_buf(&value)) : SPAN_LIT("");
	if (!to->name.data || !to->value.data)
		return err_nomem(err);
	x->n++;
	return 0;
}

static int count_names(struct span names, const struct walk *w, size_t *ret, dray_error **err)
{
	*ret = 0;
	for (size_t i = 0; i < names.len; i += strlen((const char *)names.data + i) + 1)
		*ret += wants_xattr(w, (const char *)names.data + i);
	return *ret <= LIMIT_XATTRS
		       ? 0
		       : err_set(err, DRAY_ERR_LIMIT, "more than %d attributes (LIMIT_XATTRS)",
				 LIMIT_XATTRS);
}

/* The names come in any order; layer_xattrs_sorted() sorts them when they are written. */
static int read_xattrs(struct looker *l, int dir, const char *base, struct layer_xattrs **ret,
		       dray_error **err)
{
	cleanup_buf struct buf names = BUF_INIT(LIMIT_PAX);
	struct layer_xattrs *x;
	size_t n;

	if (io_list_xattrs(dir, base, &names, err) < 0 ||
	    count_names(span_buf(&names), l->w, &n, err) < 0)
		return -1;
	if (n == 0)
		return 0;
	x = arena_alloc(&l->arena, sizeof(*x) + n * sizeof(x->list[0]));
	if (!x)
		return err_nomem(err);
	for (size_t i = 0; i < names.len; i += strlen((const char *)names.data + i) + 1) {
		const char *name = (const char *)names.data + i;

		if (wants_xattr(l->w, name) && add_xattr(&l->arena, dir, base, name, x, err) < 0)
			return -1;
	}
	*ret = x;
	return 0;
}

/* ---- one name ---- */

static int read_link(struct looker *l, int dir, const char *base, const char **ret,
		     dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_PATH);

	if (io_readlinkat(dir, base, &text, err) < 0)
		return -1;
	*ret = arena_strndup(&l->arena, (const char *)text.data, text.len);
	return *ret ? 0 : err_nomem(err);
}

void look_closer(struct looker *l, int dir, const char *base, struct looked *ret)
{
	if (S_ISLNK(ret->st.st_mode) && read_link(l, dir, base, &ret->link, &ret->error) < 0)
		return;
	if (read_xattrs(l, dir, base, &ret->xattrs, &ret->error) < 0)
		ret->xattrs = NULL;
}

static int judge(struct looker *l, const char *parent, struct looked *ret, dray_error **err)
{
	const struct walk *w = l->w;
	bool is_dir = S_ISDIR(ret->st.st_mode);

	ret->in = w->include.n == 0;
	if (w->include.n == 0 && w->exclude.n == 0)
		return 0;
	buf_reset(&l->rel);
	l->rel.max = 2 * LIMIT_PATH;
	if (buf_printf(&l->rel, err, "%s%s%s", parent, parent[0] ? "/" : "", ret->name) < 0 ||
	    buf_add_byte(&l->rel, 0, err) < 0 ||
	    match_path_set(&l->path, (const char *)l->rel.data, err) < 0)
		return -1;
	ret->in = ret->in || match_any_holds(&w->include, &l->path, is_dir);
	ret->out = match_any(&w->exclude, &l->path, is_dir);
	return 0;
}

void look_name(struct looker *l, int dir, const char *parent, const char *name, struct looked *ret)
{
	*ret = (struct looked){ .name = name };
	if (io_fstatat(dir, name, AT_SYMLINK_NOFOLLOW, &ret->st, &ret->error) < 0 ||
	    judge(l, parent, ret, &ret->error) < 0)
		return;
	ret->judged = true;
	if (ret->in && !ret->out)
		look_closer(l, dir, name, ret);
}

int looked_error(struct looked *l, dray_error **err)
{
	if (err)
		*err = steal_pointer(&l->error);
	return -1;
}

void looked_clear(struct looked *l)
{
	dray_error_free(l->error);
	l->error = NULL;
}

void looker_clear(struct looker *l)
{
	arena_clear(&l->arena);
	match_path_clear(&l->path);
	buf_clear(&l->rel);
}

/* ---- folders, ahead ---- */

#define JOBS 16	  /* that wait, are run, or are taken from */
#define FOLDERS 8 /* of one job: most hold few names */

struct look_job {
	struct job job;
	struct ahead *of;
	struct looker looker;
	struct looked_folder folders[FOLDERS];
	size_t n;
};

struct ahead {
	int root;
	struct pool *pool; /* NULL = each job when it is its turn */
	atomic_bool stop;
	size_t first, n; /* of jobs, a ring */
	size_t taken;	 /* folders of the first */
	size_t begun;	 /* folders of all that is to do */
	struct look_job jobs[JOBS];
};

/* One that is not reached any more is late, one of many names is partly. */
static void look_through(struct look_job *j, struct looked_folder *f, size_t *left)
{
	cleanup_fd int dir = -1;
	size_t n;

	f->late = *left == 0;
	if (f->late)
		return;
	dir = io_open_beneath(j->of->root, f->rel, &f->error);
	if (dir < 0 || io_list(dir, &f->names, &f->error) < 0)
		return;
	n = f->names.n < *left ? f->names.n : *left;
	f->list = arena_array(&j->looker.arena, n + 1, sizeof(*f->list));
	if (!f->list) {
		err_nomem(&f->error);
		return;
	}
	*left -= n;
	while (f->n < n && !atomic_load_explicit(&j->of->stop, memory_order_relaxed)) {
		struct looked *l = &f->list[f->n];

		look_name(&j->looker, dir, f->rel, f->names.list[f->n++], l);
		if (l->error)
			return;
	}
}

static void run_job(struct job *job)
{
	struct look_job *j = (struct look_job *)job;
	size_t left = NAMES_MAX;

	for (size_t i = 0; i < j->n; i++)
		look_through(j, &j->folders[i], &left);
}

static void folder_clear(struct looked_folder *f)
{
	for (size_t i = 0; i < f->n; i++)
		looked_clear(&f->list[i]);
	io_names_clear(&f->names);
	dray_error_free(f->error);
	*f = (struct looked_folder){ 0 };
}

/* What it allocated to look with stays. */
static void job_clear(struct look_job *j)
{
	for (size_t i = 0; i < j->n; i++)
		folder_clear(&j->folders[i]);
	arena_clear(&j->looker.arena);
	j->n = 0;
}

struct ahead *ahead_new(const struct walk *w, int root, dray_error **err)
{
	struct ahead *a = mem_zalloc(sizeof(*a));

	if (!a) {
		err_nomem(err);
		return NULL;
	}
	a->root = root;
	a->pool = w->pool;
	for (size_t i = 0; i < JOBS; i++) {
		a->jobs[i].job.run = run_job;
		a->jobs[i].of = a;
		a->jobs[i].looker.w = w;
	}
	return a;
}

static struct look_job *job_at(struct ahead *a, size_t i)
{
	return &a->jobs[(a->first + i) % JOBS];
}

void ahead_free(struct ahead *a)
{
	if (!a)
		return;
	atomic_store_explicit(&a->stop, true, memory_order_relaxed);
	for (size_t i = 0; a->pool && i < a->n; i++)
		job_wait(a->pool, &job_at(a, i)->job);
	for (size_t i = 0; i < JOBS; i++) {
		job_clear(&a->jobs[i]);
		looker_clear(&a->jobs[i].looker);
	}
	mem_free(a);
}

static void begin_jobs(struct ahead *a, const struct todo *t)
{
	while (a->n < JOBS && a->begun < t->n) {
		struct look_job *j = job_at(a, a->n++);

		while (j->n < FOLDERS && a->begun < t->n)
			j->folders[j->n++].rel = t->list[a->begun++];
		if (a->pool)
			pool_submit(a->pool, &j->job);
	}
}

static void finish_job(struct ahead *a, struct look_job *j)
{
	if (a->pool)
		job_wait(a->pool, &j->job);
	else
		run_job(&j->job);
}

struct looked_folder *ahead_next(struct ahead *a, const struct todo *t)
{
	struct look_job *j = job_at(a, 0);

	if (a->n > 0 && a->taken == j->n) {
		job_clear(j);
		a->first = (a->first + 1) % JOBS;
		a->taken = 0;
		a->n--;
	}
	begin_jobs(a, t);
	if (a->n == 0)
		return NULL;
	j = job_at(a, 0);
	if (a->taken == 0)
		finish_job(a, j);
	return &j->folders[a->taken++];
}
