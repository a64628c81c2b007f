/* SPDX-License-Identifier: Apache-2.0
 *
 * Walk a tar: extension headers gathered, one entry at a time, data left where it is.
 * Relies on header.c and pax.c for one block; rows T-xx are those of the reliability notes.
 * Promises constant memory, and an error wherever readers would see different entries.
 */
#include <assert.h>
#include "base/mem.h"
#include "tar/tar_priv.h"

struct tar_reader {
	struct source *in;
	struct tar_report report;
	int64_t start;		/* where the archive begins in @in */
	bool ended, failed;
	struct tar_entry entry;
	uint8_t block[TAR_BLOCK];	/* the header last read; @head and the entry point into it */
	struct tar_header head;
	int64_t head_off;

	/* extensions gathered for the entry that follows */
	int n_ext;
	bool has_pax, has_name, has_link;
	int64_t first_off;	/* of the first of them; -1 = none */
	struct tar_pax pax;
	struct buf pax_block, gnu_name, gnu_link;
	struct buf joined;	/* prefix + "/" + name */
};

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

static int refuse(const struct tar_reader *r, const char *why, dray_error **err)
{
	return err_set(err, DRAY_ERR_FORMAT, "tar header at byte %lld: %s", (long long)r->head_off,
		       why);
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
		return err_set(err, DRAY_ERR_FORMAT, "tar truncated at byte %lld: a header needs %d "
			       "bytes, %zu are left", (long long)off, TAR_BLOCK, rest.len);
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
		return err_set(err, DRAY_ERR_FORMAT, "tar: one zero block at byte %lld, then more data: "
			       "readers disagree where the archive ends", (long long)r->report.off);
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
		return err_set(err, DRAY_ERR_LIMIT, "tar header at byte %lld: extension of %lld bytes is "
			       "over LIMIT_PAX (%lld)", (long long)r->head_off, (long long)size, LIMIT_PAX);
	buf_reset(ret);
	if (buf_reserve(ret, (size_t)size, err) < 0)
		return -1;
	if (source_read_exact(r->in, ret->data, (size_t)size, err) < 0)
		return err_ctx(err, "tar header at byte %lld", (long long)r->head_off);
	ret->len = (size_t)size;
	got = pad ? source_skip(r->in, pad, err) : 0;
	if (got < 0)
		return -1;
	return got == pad ? 0 : refuse(r, "the archive ends within its padding", err);
}

/* GNU 'L' and 'K': a name with its NUL, which some writers leave out. */
static int take_gnu(struct tar_reader *r, bool *has, struct buf *name, dray_error **err)
{
	int64_t end;

	if (*has)
		return refuse(r, "a second GNU long name for one entry", err);
	*has = true;
	if (read_extension(r, name, err) < 0)
		return -1;
	end = span_find(span_buf(name), 0);
	if (end >= 0 && !all_zero(span_from(span_buf(name), (size_t)end)))
		tar_report(&r->report, "tar-gnu-name-tail", "data behind the NUL of a GNU long name");
	if (end >= 0)
		name->len = (size_t)end;
	if (name->len == 0)
		return refuse(r, "empty GNU long name", err);
	if (name->len > LIMIT_PATH)
		return err_set(err, DRAY_ERR_LIMIT, "tar header at byte %lld: name over LIMIT_PATH "
			       "(%lld bytes)", (long long)r->head_off, LIMIT_PATH);
	return 0;
}

static int take_pax(struct tar_reader *r, dray_error **err)
{
	if (r->has_pax)
		return refuse(r, "a second pax header for one entry", err);
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
		return refuse(r, "a global header between an extension header and its entry", err);
	if (read_extension(r, &r->pax_block, err) < 0)
		return -1;
	if (tar_pax_check_global(span_buf(&r->pax_block), &r->report, err) < 0)
		return err_ctx(err, "tar header at byte %lld", (long long)r->head_off);
	return 0;
}

static int take_extension(struct tar_reader *r, dray_error **err)
{
	if (++r->n_ext > LIMIT_TAR_EXT_HEADERS)
		return err_set(err, DRAY_ERR_LIMIT, "tar header at byte %lld: more than "
			       "LIMIT_TAR_EXT_HEADERS (%d) before one entry",
			       (long long)r->head_off, LIMIT_TAR_EXT_HEADERS);
	if (r->head.type == 'X')
		return err_set(err, DRAY_ERR_UNSUPPORTED, "tar header at byte %lld: Solaris extended "
			       "header", (long long)r->head_off);
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

/* ---- from headers to an entry ---- */

static enum tar_type type_of(uint8_t raw)
{
	switch (raw) {
	case 0:
	case '0':
	case '7':	/* contiguous: a plain file to everybody */
		return TAR_FILE;
	case '1':
		return TAR_HARDLINK;
	case '2':
		return TAR_SYMLINK;
	case '3':
		return TAR_CHAR;
	case '4':
		return TAR_BLOCK_DEV;
	case '5':
		return TAR_DIR;
	case '6':
		return TAR_FIFO;
	case 'S':
		return TAR_SPARSE;
	default:
		return TAR_OTHER;
	}
}

static int join_prefix(struct tar_reader *r, struct span *ret, dray_error **err)
{
	*ret = r->head.name;
	if (r->head.prefix.len == 0)
		return 0;
	buf_reset(&r->joined);
	if (buf_add(&r->joined, r->head.prefix, err) < 0 || buf_add_byte(&r->joined, '/', err) < 0 ||
	    buf_add(&r->joined, r->head.name, err) < 0)
		return -1;
	*ret = span_buf(&r->joined);
	return 0;
}

/* Of pax and GNU only one may name the entry: readers disagree which wins (T-03). */
static int set_names(struct tar_reader *r, struct tar_entry *e, dray_error **err)
{
	const struct tar_pax *p = &r->pax;

	if (r->has_name && (p->has[PAX_PATH] || p->has[PAX_SPARSE_NAME]))
		return refuse(r, "both pax path and GNU long name", err);
	if (r->has_link && p->has[PAX_LINKPATH])
		return refuse(r, "both pax linkpath and GNU long link", err);
	if (join_prefix(r, &e->name, err) < 0)
		return -1;
	if (r->has_name)
		e->name = span_buf(&r->gnu_name);
	else if (p->has[PAX_SPARSE_NAME])
		e->name = p->text[PAX_SPARSE_NAME];
	else if (p->has[PAX_PATH])
		e->name = p->text[PAX_PATH];
	e->link = r->head.link;
	if (r->has_link)
		e->link = span_buf(&r->gnu_link);
	else if (p->has[PAX_LINKPATH])
		e->link = p->text[PAX_LINKPATH];
	if (e->type != TAR_HARDLINK && e->type != TAR_SYMLINK)
		e->link.len = 0;
	return 0;
}

static void set_numbers(struct tar_reader *r, struct tar_entry *e)
{
	const struct tar_pax *p = &r->pax;

	e->mode = r->head.mode;
	e->uid = p->has[PAX_UID] ? p->number[PAX_UID] : r->head.uid;
	e->gid = p->has[PAX_GID] ? p->number[PAX_GID] : r->head.gid;
	e->mtime = p->has[PAX_MTIME] ? p->number[PAX_MTIME] : r->head.mtime;
	e->mtime_nsec = p->has[PAX_MTIME] ? p->mtime_nsec : 0;
	e->uname = p->has[PAX_UNAME] ? p->text[PAX_UNAME] : r->head.uname;
	e->gname = p->has[PAX_GNAME] ? p->text[PAX_GNAME] : r->head.gname;
	e->dev_major = r->head.dev_major;
	e->dev_minor = r->head.dev_minor;
	e->xattrs = p->xattrs;
	e->n_xattrs = p->n_xattrs;
}

/* pax wins (T-01); writers that need it leave zero or the most that fits in the field. */
static int64_t stored_size(struct tar_reader *r)
{
	int64_t field = r->head.size, size;

	if (!r->pax.has[PAX_SIZE])
		return field;
	size = r->pax.number[PAX_SIZE];
	if (size != field && field != 0 && field != TAR_OCTAL_MAX && field != TAR_OCTAL_FULL)
		tar_report(&r->report, "tar-pax-size-differs", "pax says %lld bytes, the header %lld",
			   (long long)size, (long long)field);
	return size;
}

/* Which types carry data: where readers differ, hidden entries would live (T-09). */
static int set_size(struct tar_reader *r, struct tar_entry *e, dray_error **err)
{
	e->size = stored_size(r);
	if (e->size == 0)
		return 0;
	switch (e->type) {
	case TAR_SYMLINK:
	case TAR_CHAR:
	case TAR_BLOCK_DEV:
	case TAR_FIFO:
		return refuse(r, "a size on an entry that cannot have data", err);
	case TAR_DIR:
		if (e->raw_type != '5')
			return refuse(r, "an old directory with data", err);
		__attribute__((fallthrough));
	case TAR_HARDLINK:
		tar_report(&r->report, "tar-data-ignored",
			   "size %lld on a %s, which has no data", (long long)e->size,
			   e->type == TAR_DIR ? "directory" : "hard link");
		e->size = 0;
		return 0;
	default:
		return 0;
	}
}

/* Old tars mark a directory by its name alone; elsewhere a slash behind a file is odd. */
static int judge_slash(struct tar_reader *r, struct tar_entry *e, dray_error **err)
{
	if (e->type != TAR_FILE || !span_ends(e->name, "/"))
		return 0;
	if (e->raw_type == 0) {
		e->type = TAR_DIR;
		return 0;
	}
	if (r->head.size != 0 || r->pax.has[PAX_SIZE])
		return refuse(r, "a file with data whose name ends in a slash", err);
	tar_report(&r->report, "tar-file-slash", "a file whose name ends in a slash");
	return 0;
}

static void report_strange(struct tar_reader *r, const struct tar_entry *e)
{
	if (e->type == TAR_OTHER)
		tar_report(&r->report, "tar-unknown-type", "entry type 0x%02x", e->raw_type);
	if (e->name.len == 0)
		tar_report(&r->report, "tar-empty-name", "an entry without a name");
	if ((e->type == TAR_HARDLINK || e->type == TAR_SYMLINK) && e->link.len == 0)
		tar_report(&r->report, "tar-empty-link", "a link without a target");
}

/* The maps of old GNU sparse files go on in blocks behind the header (T-18). */
static int read_sparse_map(struct tar_reader *r, int64_t size, dray_error **err)
{
	struct tar_sparse s = { 0 };
	uint8_t block[TAR_BLOCK];
	bool more = r->block[TAR_GNU_MORE_AT] != 0;
	int64_t real;

	if (r->head.magic != TAR_MAGIC_GNU)
		return refuse(r, "a sparse entry without GNU's magic", err);
	if (!tar_number(r->block + TAR_GNU_REALSIZE_AT, TAR_LONG_LEN, &real))
		return refuse(r, "the real size of a sparse file is no number", err);
	if (tar_sparse_check(&s, r->block + TAR_GNU_MAP_AT, TAR_GNU_MAP_PAIRS, err) < 0)
		return err_ctx(err, "tar header at byte %lld", (long long)r->head_off);
	for (int n = 0; more; n++) {
		if (n >= LIMIT_PAX / TAR_BLOCK)
			return err_set(err, DRAY_ERR_LIMIT, "tar header at byte %lld: sparse map over "
				       "LIMIT_PAX (%lld bytes)", (long long)r->head_off, LIMIT_PAX);
		if (source_read_exact(r->in, block, sizeof(block), err) < 0 ||
		    tar_sparse_check(&s, block, TAR_GNU_EXT_PAIRS, err) < 0)
			return err_ctx(err, "tar header at byte %lld", (long long)r->head_off);
		more = block[TAR_GNU_EXT_MORE_AT] != 0;
	}
	if (s.stored != size || s.end > real)
		return refuse(r, "the sparse map does not match the sizes", err);
	return 0;
}

static int place_data(struct tar_reader *r, struct tar_entry *e, dray_error **err)
{
	e->header_off = r->first_off >= 0 ? r->first_off : r->head_off;
	e->data_off = r->in->pos;
	if (__builtin_add_overflow(e->data_off, e->size, &e->end_off) ||
	    __builtin_add_overflow(e->end_off, (int64_t)tar_padding(e->size), &e->end_off))
		return refuse(r, "size is out of range", err);
	return 0;
}

static int make_entry(struct tar_reader *r, dray_error **err)
{
	struct tar_entry *e = &r->entry;

	e->raw_type = r->head.type;
	e->type = type_of(e->raw_type);
	e->has_pax = r->has_pax;
	e->has_gnu = r->has_name || r->has_link;
	if (set_names(r, e, err) < 0 || judge_slash(r, e, err) < 0 || set_size(r, e, err) < 0)
		return -1;
	set_numbers(r, e);
	if (e->type == TAR_SPARSE && read_sparse_map(r, e->size, err) < 0)
		return -1;
	if (e->type == TAR_FILE && r->pax.sparse)
		e->type = TAR_SPARSE;
	report_strange(r, e);
	return place_data(r, e, err);
}

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
			return make_entry(r, err) < 0 ? -1 : 1;
		if (take_extension(r, err) < 0)
			return -1;
	}
	if (rc == 0 && r->first_off >= 0)	/* T-17 */
		return err_set(err, DRAY_ERR_FORMAT, "tar header at byte %lld: an extension header "
			       "without an entry", (long long)r->first_off);
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
