/* SPDX-License-Identifier: Apache-2.0
 *
 * Walk a tar: extension headers gathered, one entry at a time, data left where it is.
 * Relies on header.c and pax.c for one block; rows T-xx are those of the reliability notes.
 * Promises constant memory, and an error wherever readers would see different entries.
 */
#include <assert.h>
#include "base/mem.h"
#include "tar/tar_priv.h"

struct tar_reader *tar_reader_new(struct source *in, tar_oddity_fn *on_odd, void *arg,
				  dray_error **err)
{
	struct tar_reader *r = mem_zalloc(sizeof(*r));

	if (!r) {
		err_nomem(err);
		return NULL;
	}
	r->in = in;
	r->report = (struct tar_report){ .fn = on_odd, .arg = arg };
	r->start = in->pos;
	r->entry.data_off = r->entry.end_off = in->pos;
	r->pax_block = r->gnu_name = r->gnu_link = BUF_INIT(LIMIT_PAX);
	r->joined = BUF_INIT(2 * TAR_BLOCK);
	return r;
}

void tar_reader_free(struct tar_reader *r)
{
	if (!r)
		return;
	tar_pax_clear(&r->pax);
	buf_clear(&r->pax_block);
	buf_clear(&r->gnu_name);
	buf_clear(&r->gnu_link);
	buf_clear(&r->joined);
	mem_free(r);
}

static bool all_zero(struct span s)
{
	return s.len == 0 || (s.data[0] == 0 && memcmp(s.data, s.data + 1, s.len - 1) == 0);
}

/* Go to byte @p off, over data and padding that nobody wanted. */
static int skip_to(struct tar_reader *r, int64_t off, dray_error **err)
{
	int64_t want = off - r->in->pos, got;

	assert(want >= 0);
	if (want == 0)
		return 0;
	got = source_skip(r->in, want, err);
	if (got < 0)
		return -1;
	if (got < want)
		return err_set(err, DRAY_ERR_FORMAT,
			       "tar ends at byte %lld within the entry at byte %lld",
			       (long long)r->in->pos, (long long)r->entry.header_off);
	return 0;
}

/* ---- the end ---- */

/* What is left is no whole block. Zeros are an end marker cut short, all else is a loss. */
static int at_short_block(struct tar_reader *r, struct span rest, dray_error **err)
{
	int64_t off = r->in->pos;

	r->report.off = off;
	if (!all_zero(rest))
		return err_set(err, DRAY_ERR_FORMAT,
			       "tar truncated at byte %lld: a header needs %d "
			       "bytes, %zu are left",
			       (long long)off, TAR_BLOCK, rest.len);
	source_consume(r->in, rest.len);
	if (off == r->start && rest.len == 0)
		tar_report(&r->report, "tar-empty", "no bytes at all: taken as an empty archive");
	else
		tar_report(&r->report, "tar-no-end", "the archive stops without its end marker");
	return 0;
}

/* One zero block was met: another must follow, or nothing (T-14). */
static int at_zero_block(struct tar_reader *r, dray_error **err)
{
	struct span s;

	r->report.off = r->in->pos;
	source_consume(r->in, TAR_BLOCK);
	if (source_peek(r->in, TAR_BLOCK, &s, err) < 0)
		return -1;
	s = span_head(s, TAR_BLOCK);
	if (!all_zero(s))
		return err_set(err, DRAY_ERR_FORMAT,
			       "tar: one zero block at byte %lld, then more data: "
			       "readers disagree where the archive ends",
			       (long long)r->report.off);
	source_consume(r->in, s.len);
	if (s.len < TAR_BLOCK)
		tar_report(&r->report, "tar-one-end-block", "only one zero block ends the archive");
	return 0;
}

int tar_tail(struct tar_reader *r, dray_error **err)
{
	bool reported = false;
	struct span s;

	assert(r->ended && !r->failed);
	for (;;) {
		if (source_peek(r->in, 1, &s, err) < 0)
			return -1;
		if (s.len == 0)
			return 0;
		if (!reported && !all_zero(s)) {
			r->report.off = r->in->pos;
			while (s.data[r->report.off - r->in->pos] == 0)
				r->report.off++;
			tar_report(&r->report, "tar-after-end", "data behind the end marker");
			reported = true;
		}
		source_consume(r->in, s.len);
	}
}

/* ---- headers ---- */

/* The next header into r->head: 1, 0 = end of archive, -1. */
static int read_header(struct tar_reader *r, dray_error **err)
{
	struct span s;

	r->head_off = r->report.off = r->in->pos;
	if (source_peek(r->in, TAR_BLOCK, &s, err) < 0)
		return -1;
	if (s.len < TAR_BLOCK)
		return at_short_block(r, s, err);
	if (tar_block_is_zero(s.data))
		return at_zero_block(r, err);
	memcpy(r->block, s.data, TAR_BLOCK);
	source_consume(r->in, TAR_BLOCK);
	if (tar_header_parse(r->block, &r->head, err) < 0)
		return err_ctx(err, "tar header at byte %lld", (long long)r->head_off);
	if (r->head.signed_sum)
		tar_report(&r->report, "tar-checksum-signed", "checksum of signed bytes");
	return 1;
}

static bool is_extension(uint8_t type)
{
	return type == 'x' || type == 'g' || type == 'L' || type == 'K' || type == 'X';
}

/* The data of an extension header, whole, and its padding. */
static int read_extension(struct tar_reader *r, struct buf *ret, dray_error **err)
{
	int64_t size = r->head.size, pad = (int64_t)tar_padding(size), got;

	if (size > LIMIT_PAX)
		return err_set(err, DRAY_ERR_LIMIT,
			       "tar header at byte %lld: extension of %lld bytes is "
			       "over LIMIT_PAX (%lld)",
			       (long long)r->head_off, (long long)size, LIMIT_PAX);
	buf_reset(ret);
	if (buf_reserve(ret, (size_t)size, err) < 0)
		return -1;
	if (source_read_exact(r->in, ret->data, (size_t)size, err) < 0)
		return err_ctx(err, "tar header at byte %lld", (long long)r->head_off);
	ret->len = (size_t)size;
	got = pad ? source_skip(r->in, pad, err) : 0;
	if (got < 0)
		return -1;
	return got == pad ? 0 : tar_refuse(r, "the archive ends within its padding", err);
}

/* GNU 'L' and 'K': a name with its NUL, which some writers leave out. */
static int take_gnu(struct tar_reader *r, bool *has, struct buf *name, dray_error **err)
{
	int64_t end;

	if (*has)
		return tar_refuse(r, "a second GNU long name for one entry", err);
	*has = true;
	if (read_extension(r, name, err) < 0)
		return -1;
	end = span_find(span_buf(name), 0);
	if (end >= 0 && !all_zero(span_from(span_buf(name), (size_t)end)))
		tar_report(&r->report, "tar-gnu-name-tail",
			   "data behind the NUL of a GNU long name");
	if (end >= 0)
		name->len = (size_t)end;
	if (name->len == 0)
		return tar_refuse(r, "empty GNU long name", err);
	if (name->len > LIMIT_PATH)
		return err_set(err, DRAY_ERR_LIMIT,
			       "tar header at byte %lld: name over LIMIT_PATH "
			       "(%lld bytes)",
			       (long long)r->head_off, LIMIT_PATH);
	return 0;
}

static int take_pax(struct tar_reader *r, dray_error **err)
{
	if (r->has_pax)
		return tar_refuse(r, "a second pax header for one entry", err);
	r->has_pax = true;
	if (read_extension(r, &r->pax_block, err) < 0)
		return -1;
	if (tar_pax_parse(span_buf(&r->pax_block), &r->pax, &r->report, err) < 0)
		return err_ctx(err, "tar header at byte %lld", (long long)r->head_off);
	return 0;
}

/* It belongs to no entry, and readers that hand it out as one forget what came before. */
static int take_global(struct tar_reader *r, dray_error **err)
{
	if (r->first_off >= 0)
		return tar_refuse(r, "a global header between an extension header and its entry",
				  err);
	if (read_extension(r, &r->pax_block, err) < 0)
		return -1;
	if (tar_pax_check_global(span_buf(&r->pax_block), &r->report, err) < 0)
		return err_ctx(err, "tar header at byte %lld", (long long)r->head_off);
	return 0;
}

static int take_extension(struct tar_reader *r, dray_error **err)
{
	if (++r->n_ext > LIMIT_TAR_EXT_HEADERS)
		return err_set(err, DRAY_ERR_LIMIT,
			       "tar header at byte %lld: more than "
			       "LIMIT_TAR_EXT_HEADERS (%d) before one entry",
			       (long long)r->head_off, LIMIT_TAR_EXT_HEADERS);
	if (r->head.type == 'X')
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "tar header at byte %lld: Solaris extended "
			       "header",
			       (long long)r->head_off);
	if (r->head.type == 'g')
		return take_global(r, err);
	if (r->first_off < 0)
		r->first_off = r->head_off;
	if (r->head.type == 'x')
		return take_pax(r, err);
	if (r->head.type == 'L')
		return take_gnu(r, &r->has_name, &r->gnu_name, err);
	return take_gnu(r, &r->has_link, &r->gnu_link, err);
}

/* ---- the walk ---- */

static void forget_extensions(struct tar_reader *r)
{
	r->n_ext = 0;
	r->has_pax = r->has_name = r->has_link = false;
	r->first_off = -1;
	tar_pax_reset(&r->pax);
}

static int next_entry(struct tar_reader *r, dray_error **err)
{
	int rc;

	if (skip_to(r, r->entry.end_off, err) < 0)
		return -1;
	forget_extensions(r);
	while ((rc = read_header(r, err)) > 0) {
		if (!is_extension(r->head.type))
			return tar_make_entry(r, err) < 0 ? -1 : 1;
		if (take_extension(r, err) < 0)
			return -1;
	}
	if (rc == 0 && r->first_off >= 0) /* T-17 */
		return err_set(err, DRAY_ERR_FORMAT,
			       "tar header at byte %lld: an extension header "
			       "without an entry",
			       (long long)r->first_off);
	return rc;
}

int tar_next(struct tar_reader *r, const struct tar_entry **ret, dray_error **err)
{
	int rc;

	assert(!r->failed);
	if (r->ended)
		return 0;
	rc = next_entry(r, err);
	r->failed = rc < 0;
	r->ended = rc == 0;
	if (rc > 0)
		*ret = &r->entry;
	return rc;
}

struct source *tar_data(struct tar_reader *r, dray_error **err)
{
	assert(!r->failed && !r->ended && r->in->pos == r->entry.data_off);
	return source_limit(r->in, r->entry.size, err);
}
