/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of an archive that give way to others; amend.h says how.
 * Relies on superseded.c for the one write that counts.
 * Promises that readers find the old documents or the new ones, whole, whenever the power goes.
 */
#include "store/amend.h"

#include <assert.h>
#include <fcntl.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "store/superseded.h"

/* ---- what is there ---- */

static int clean_name(struct span raw, struct buf *ret, dray_error **err)
{
	cleanup_error dray_error *outside = NULL;

	if (tar_name_clean(raw, ret, &outside) == 0)
		return 0;
	buf_reset(ret); /* a name that leaves the root means nothing */
	return dray_error_kind(outside) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
}

/* Only what superseded_write() makes at this very place: other names are somebody's. */
static bool is_superseded(struct span name, const struct tar_entry *e)
{
	char own[SUPERSEDED_NAME];

	superseded_name(e->header_off, own);
	return e->type == TAR_FILE && e->data_off == e->header_off + TAR_BLOCK &&
	       span_is(name, own);
}

static int note_member(struct amend *a, const struct tar_entry *e, dray_error **err)
{
	struct amend_member *m = arena_alloc(&a->arena, sizeof(*m));
	cleanup_buf struct buf name = BUF_INIT(LIMIT_PATH);

	if (!m || mem_grow(&a->list, a->n, &a->cap, sizeof(*a->list)) < 0)
		return err_nomem(err);
	if (a->n >= LIMIT_MEMBERS)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d members", LIMIT_MEMBERS);
	if (clean_name(e->name, &name, err) < 0)
		return -1;
	*m = (struct amend_member){
		.name = name.len ? arena_dup(&a->arena, span_buf(&name)) : (struct span){ 0 },
		.link = e->link.len ? arena_dup(&a->arena, e->link) : (struct span){ 0 },
		.type = e->type,
		.off = e->header_off,
		.data_off = e->data_off,
		.size = e->size,
		.end = e->end_off,
		.vain = is_superseded(span_buf(&name), e),
	};
	if ((name.len && !m->name.data) || (e->link.len && !m->link.data))
		return err_nomem(err);
	a->list[a->n++] = m;
	a->end = e->end_off;
	if (!name.len)
		return 0;
	m->twin = map_get(&a->by_name, m->name);
	return map_put(&a->by_name, m->name, m, err);
}

/* Whoever wrote the names may repeat one of many twins without end: each is walked once. */
static void keep_name(struct amend *a, struct span name)
{
	struct amend_member *last = amend_find(a, name);

	if (!last || last->kept)
		return;
	last->kept = true;
	for (struct amend_member *m = last; m; m = m->twin)
		m->vain = false;
}

void amend_keep(struct amend *a, struct span path)
{
	while (path.len) {
		const uint8_t *slash = memchr(path.data, '/', path.len);
		size_t len = slash ? (size_t)(slash - path.data) : path.len;

		keep_name(a, span_head(path, len));
		path = span_from(path, slash ? len + 1 : len);
	}
}

static int scan_members(struct amend *a, dray_error **err)
{
	cleanup_source struct source *in = source_from_extent(a->fd, 0, a->size, err);
	cleanup_tar_reader struct tar_reader *r = in ? tar_reader_new(in, NULL, NULL, err) : NULL;
	const struct tar_entry *e;
	int rc;

	if (!r)
		return -1;
	while ((rc = tar_next(r, &e, err)) > 0)
		if (note_member(a, e, err) < 0)
			return -1;
	return rc;
}

static int scan(struct amend *a, dray_error **err)
{
	if (scan_members(a, err) < 0)
		return -1;
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i]->link.len)
			amend_keep(a, a->list[i]->link);
	return 0;
}

int amend_open(struct amend *a, const char *path, dray_error **err)
{
	struct stat st;

	a->fd = superseded_open(path, &st, &a->path, err);
	if (a->fd < 0)
		return -1;
	a->size = st.st_size;
	a->fresh = BUF_INIT(LIMIT_AMEND);
	return superseded_check_plain(a->fd, a->size, err) < 0 ? -1 : scan(a, err);
}

struct amend_member *amend_find(const struct amend *a, struct span name)
{
	return map_get(&a->by_name, name);
}

int amend_read(const struct amend *a, const struct amend_member *m, size_t max, struct buf *ret,
	       dray_error **err)
{
	cleanup_source struct source *s = NULL;

	if (m->type != TAR_FILE)
		return err_set(err, DRAY_ERR_FORMAT, "no regular file");
	s = source_from_extent(a->fd, m->data_off, m->size, err);
	buf_clear(ret);
	*ret = BUF_INIT(max);
	return s ? source_slurp(s, ret, err) : -1;
}

/* ---- what changes ---- */

void amend_drop(struct amend *a, struct span name)
{
	struct amend_member *last = amend_find(a, name);

	if (!last || last->dropped) /* many images may have it, and it many twins */
		return;
	last->dropped = true;
	for (struct amend_member *m = last; m; m = m->twin) {
		m->goes = true;
		m->vain = false;
	}
}

int amend_blank(struct amend *a, struct amend_member *m, struct span text, dray_error **err)
{
	uint8_t *bytes = arena_alloc(&a->arena, (size_t)m->size + 1);

	if (!bytes)
		return err_nomem(err);
	assert((int64_t)text.len <= m->size);
	memset(bytes, ' ', (size_t)m->size);
	memcpy(bytes, text.data, text.len);
	m->instead = span_of(bytes, (size_t)m->size);
	return 0;
}

static int add_member(struct amend *a, const struct tar_member *m, struct span bytes,
		      struct span name, dray_error **err)
{
	static const uint8_t zeros[TAR_BLOCK];
	struct amend_put *put = arena_alloc(&a->arena, sizeof(*put));
	struct span key = arena_dup(&a->arena, name);

	if (!put || !key.data)
		return err_nomem(err);
	*put = (struct amend_put){ .type = m->type, .size = bytes.len };
	if (m->link.len) {
		put->link = arena_dup(&a->arena, m->link);
		if (!put->link.data)
			return err_nomem(err);
	}
	if (tar_header_write(m, &a->fresh, err) < 0)
		return -1;
	put->off = a->fresh.len;
	if (buf_add(&a->fresh, bytes, err) < 0 ||
	    buf_add(&a->fresh, span_of(zeros, tar_padding((int64_t)bytes.len)), err) < 0)
		return -1;
	return map_put(&a->put, key, put, err);
}

struct span amend_fresh(const struct amend *a, struct span name)
{
	const struct amend_put *put = map_get(&a->put, name);

	return put && put->type == TAR_FILE ? span_of(a->fresh.data + put->off, put->size)
					    : (struct span){ 0 };
}

static bool is_put(const struct amend *a, const struct amend_put *put, const struct tar_member *m,
		   struct span bytes)
{
	return put->type == m->type && span_eq(put->link, m->link) &&
	       span_eq(span_of(a->fresh.data + put->off, put->size), bytes);
}

/* 1 = it is, 0 = it is another one, -1. */
static int is_same(const struct amend *a, const struct amend_member *old,
		   const struct tar_member *m, struct span bytes, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(0);

	if (old->type != m->type || !span_eq(old->link, m->link))
		return 0;
	if (old->type != TAR_FILE)
		return 1;
	if (old->size != (int64_t)bytes.len)
		return 0;
	if (amend_read(a, old, LIMIT_CONFIG, &text, err) < 0)
		return -1;
	return span_eq(span_buf(&text), bytes);
}

/* 1 = @p m and its @p bytes are there, 0 = nothing is, -1. */
static int is_there(const struct amend *a, const struct tar_member *m, struct span bytes,
		    struct span name, dray_error **err)
{
	const struct amend_put *put = map_get(&a->put, name);
	const struct amend_member *old = amend_find(a, name);
	int same;

	if (put)
		same = is_put(a, put, m, bytes);
	else if (!old || old->goes)
		return 0;
	else if (old->twin)
		return err_set(err, DRAY_ERR_FORMAT, "it is there twice");
	else
		same = is_same(a, old, m, bytes, err);
	return same ? same
		    : err_set(err, DRAY_ERR_FORMAT, "it is there already, with other content");
}

static int put_new(struct amend *a, const struct tar_member *m, struct span bytes, dray_error **err)
{
	cleanup_buf struct buf name = BUF_INIT(LIMIT_PATH);
	int there;

	if (tar_name_clean(m->name, &name, err) < 0)
		return -1;
	there = is_there(a, m, bytes, span_buf(&name), err);
	if (there < 0)
		return err_ctx(err, "%.*s", (int)name.len, (const char *)name.data);
	return there ? 0 : add_member(a, m, bytes, span_buf(&name), err);
}

static struct tar_member file_member(const char *name, struct span bytes)
{
	return (struct tar_member){
		.type = TAR_FILE, .name = span_str(name), .size = (int64_t)bytes.len, .mode = 0644
	};
}

int amend_put(struct amend *a, const char *name, struct span bytes, dray_error **err)
{
	const struct tar_member m = file_member(name, bytes);

	return put_new(a, &m, bytes, err);
}

int amend_put_document(struct amend *a, const char *name, struct span bytes, dray_error **err)
{
	struct amend_member *old = amend_find(a, span_str(name));
	const struct tar_member m = file_member(name, bytes);

	if (old && old->twin)
		return err_set(err, DRAY_ERR_FORMAT, "%s is there twice", name);
	if (old)
		old->goes = old->document = true;
	return put_new(a, &m, bytes, err);
}

int amend_put_link(struct amend *a, const char *name, struct span target, dray_error **err)
{
	const struct tar_member m = {
		.type = TAR_SYMLINK, .name = span_str(name), .link = target, .mode = 0777
	};

	return put_new(a, &m, (struct span){ 0 }, err);
}

int amend_put_folder(struct amend *a, const char *name, dray_error **err)
{
	const struct tar_member m = { .type = TAR_DIR, .name = span_str(name), .mode = 0755 };

	return put_new(a, &m, (struct span){ 0 }, err);
}

/* ---- where the new end begins ---- */

static size_t first_document(const struct amend *a)
{
	size_t i = 0;

	while (i < a->n && !a->list[i]->document)
		i++;
	return i;
}

/* What of the members from @p i on would have to be written again. */
static int64_t carried_from(const struct amend *a, size_t i)
{
	int64_t sum = 0;

	for (; i < a->n; i++)
		if (!a->list[i]->goes && !a->list[i]->vain)
			sum += a->list[i]->end - a->list[i]->off;
	return sum;
}

/*
 * The first member that goes with the one write; a->n when there is no way. As far to the front
 * as it costs little, so that less is left to be superseded one by one.
 */
static size_t choose_tail(const struct amend *a)
{
	size_t i = first_document(a), best = i;
	int64_t sum = 0;

	if (carried_from(a, i) > AMEND_CARRY_MAX)
		return a->n;
	while (i-- > 0 && sum <= AMEND_CARRY_MORE) {
		if (a->list[i]->goes || a->list[i]->vain)
			best = i;
		else
			sum += a->list[i]->end - a->list[i]->off;
	}
	return best;
}

/* ---- writing ---- */

static int carry(struct amend *a, size_t from, struct buf *ret, dray_error **err)
{
	for (size_t i = from; i < a->n; i++) {
		const struct amend_member *m = a->list[i];
		size_t len = (size_t)(m->end - m->off);
		int64_t got;

		if (m->goes || m->vain)
			continue;
		if (buf_reserve(ret, len, err) < 0)
			return -1;
		got = io_pread(a->fd, ret->data + ret->len, len, m->off, err);
		if (got < 0)
			return -1;
		if (got != (int64_t)len)
			return err_set(err, DRAY_ERR_CORRUPT, "the archive was cut meanwhile");
		if (m->instead.len)
			memcpy(ret->data + ret->len + (m->data_off - m->off), m->instead.data,
			       m->instead.len);
		ret->len += len;
	}
	return 0;
}

static int wipe(int fd, int64_t off, int64_t end, dray_error **err)
{
	static const uint8_t zeros[16 * KIB];

	while (off < end) {
		size_t n = (size_t)(end - off < (int64_t)sizeof(zeros) ? end - off
								       : (int64_t)sizeof(zeros));

		if (io_pwrite_all(fd, span_of(zeros, n), off, err) < 0)
			return -1;
		off += (int64_t)n;
	}
	return 0;
}

/*
 * What nothing refers to any more: the one block of each member in front of the tail makes it
 * nobody's, and no old byte stays readable.
 */
static int tidy(const struct amend *a, int fd, size_t tail, int64_t *written, dray_error **err)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct amend_member *m = a->list[i];
		/* The header of the first in the tail is the new one. */
		int64_t from = i > tail ? m->off : m->off + TAR_BLOCK;

		if (m->instead.len && io_pwrite_all(fd, m->instead, m->data_off, err) < 0)
			return -1;
		*written += (int64_t)m->instead.len;
		if (!m->goes)
			continue;
		if (i < tail && superseded_write(fd, m->off, m->end, err) < 0)
			return -1;
		if (wipe(fd, from, m->end, err) < 0)
			return -1;
		*written += m->end - m->off;
	}
	return 0;
}

static int add_end(struct buf *b, dray_error **err)
{
	static const uint8_t zeros[END_BLOCKS];

	return buf_add(b, span_of(zeros, sizeof(zeros)), err);
}

/* New members behind the end marker, and on the disk. */
static int write_behind(struct amend *a, struct span members, dray_error **err)
{
	int64_t from = a->end + SUPERSEDED_BEHIND, end = from + (int64_t)members.len;

	a->begun = true;
	if (superseded_begin(a->fd, a->size, a->end, err) < 0 ||
	    io_pwrite_all(a->fd, members, from, err) < 0 ||
	    (a->size > end && io_ftruncate(a->fd, end, err) < 0))
		return -1;
	return io_fsync(a->fd, err);
}

static int commit_behind(struct amend *a, size_t tail, struct span all, dray_error **err)
{
	if (write_behind(a, all, err) < 0 ||
	    superseded_write(a->fd, a->list[tail]->off, a->end + SUPERSEDED_BEHIND, err) < 0)
		return -1;
	a->begun = false; /* from here on it is the new one */
	return io_fsync(a->fd, err);
}

/* Where what was superseded before ends, from member @p i on without a gap. */
static int64_t room_end(const struct amend *a, size_t i)
{
	int64_t end = a->list[i]->off;

	for (; i < a->n && a->list[i]->vain; i++)
		end = a->list[i]->end;
	return end;
}

/* New members where readers see one superseded member: its header is the block that counts. */
static int commit_within(struct amend *a, size_t tail, struct span all, dray_error **err)
{
	int64_t from = a->list[tail]->off;

	if (superseded_write(a->fd, from, room_end(a, tail), err) < 0 || io_fsync(a->fd, err) < 0 ||
	    superseded_pend(a->fd, from + (int64_t)all.len, err) < 0 ||
	    io_pwrite_all(a->fd, span_from(all, TAR_BLOCK), from + TAR_BLOCK, err) < 0 ||
	    io_fsync(a->fd, err) < 0 ||
	    io_pwrite_all(a->fd, span_head(all, TAR_BLOCK), from, err) < 0)
		return -1;
	return io_fsync(a->fd, err);
}

static int commit_here(struct amend *a, size_t tail, struct amend_result *ret, dray_error **err)
{
	cleanup_buf struct buf all = BUF_INIT(LIMIT_AMEND);
	int64_t from = a->list[tail]->off;
	bool within;

	if (carry(a, tail, &all, err) < 0 || buf_add(&all, span_buf(&a->fresh), err) < 0 ||
	    add_end(&all, err) < 0)
		return -1;
	within = (int64_t)all.len + TAR_BLOCK <= room_end(a, tail) - from;
	if ((within ? commit_within : commit_behind)(a, tail, span_buf(&all), err) < 0)
		return -1;
	ret->written = (int64_t)all.len + TAR_BLOCK;
	if (tidy(a, a->fd, tail, &ret->written, err) < 0 ||
	    (within && io_ftruncate(a->fd, from + (int64_t)all.len, err) < 0))
		return -1;
	return io_fsync(a->fd, err);
}

static int commit_anew(struct amend *a, struct amend_result *ret, dray_error **err)
{
	cleanup_outfile struct outfile out = OUTFILE_INIT;

	ret->anew = true;
	if (outfile_begin(&out, AT_FDCWD, a->path, false, err) < 0)
		return -1;
	outfile_tidy(&out);
	if (io_copy_range(a->fd, 0, a->end, out.fd, err) < 0 ||
	    tidy(a, out.fd, a->n, &ret->written, err) < 0 || add_end(&a->fresh, err) < 0 ||
	    io_pwrite_all(out.fd, span_buf(&a->fresh), a->end, err) < 0)
		return -1;
	ret->written = a->end + (int64_t)a->fresh.len;
	return outfile_commit(&out, err);
}

int amend_commit(struct amend *a, struct amend_result *ret, dray_error **err)
{
	size_t tail = choose_tail(a);

	*ret = (struct amend_result){ 0 };
	if (!a->fresh.len)
		return 0;
	if (superseded_check_end(a->fd, a->end, err) < 0)
		return -1;
	return tail < a->n ? commit_here(a, tail, ret, err) : commit_anew(a, ret, err);
}

void amend_clear(struct amend *a)
{
	/* Failing here only leaves bytes behind the end marker, which nobody reads. */
	if (a->begun && a->size > a->end + END_BLOCKS)
		(void)!io_ftruncate(a->fd, a->end + END_BLOCKS, NULL);
	if (a->begun)
		(void)!io_ftruncate(a->fd, a->size, NULL);
	cleanup_fd_fn(&a->fd);
	mem_free(a->path);
	buf_clear(&a->fresh);
	map_clear(&a->by_name);
	map_clear(&a->put);
	mem_free(a->list);
	arena_clear(&a->arena);
}
