/* SPDX-License-Identifier: Apache-2.0
 *
 * From the headers of one entry to the entry: which name, which size, which type.
 * Relies on reader.c to have gathered them; rows T-xx are those of the reliability notes.
 * Promises to refuse what readers take for different entries, and to report the harmless rest.
 */
#include "tar/tar_priv.h"

int tar_refuse(const struct tar_reader *r, const char *why, dray_error **err)
{
	return err_set(err, DRAY_ERR_FORMAT, "tar header at byte %lld: %s", (long long)r->head_off,
		       why);
}

static enum tar_type type_of(uint8_t raw)
{
	switch (raw) {
	case 0:
	case '0':
	case '7': /* contiguous: a plain file to everybody */
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
	if (buf_add(&r->joined, r->head.prefix, err) < 0 ||
	    buf_add_byte(&r->joined, '/', err) < 0 || buf_add(&r->joined, r->head.name, err) < 0)
		return -1;
	*ret = span_buf(&r->joined);
	return 0;
}

/* Of pax and GNU only one may name the entry: readers disagree which wins (T-03). */
static int set_names(struct tar_reader *r, struct tar_entry *e, dray_error **err)
{
	const struct tar_pax *p = &r->pax;

	if (r->has_name && (p->has[PAX_PATH] || p->has[PAX_SPARSE_NAME]))
		return tar_refuse(r, "both pax path and GNU long name", err);
	if (r->has_link && p->has[PAX_LINKPATH])
		return tar_refuse(r, "both pax linkpath and GNU long link", err);
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
		tar_report(&r->report, "tar-pax-size-differs",
			   "pax says %lld bytes, the header %lld", (long long)size,
			   (long long)field);
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
		return tar_refuse(r, "a size on an entry that cannot have data", err);
	case TAR_DIR:
		if (e->raw_type != '5')
			return tar_refuse(r, "an old directory with data", err);
		__attribute__((fallthrough));
	case TAR_HARDLINK:
		tar_report(&r->report, "tar-data-ignored", "size %lld on a %s, which has no data",
			   (long long)e->size, e->type == TAR_DIR ? "directory" : "hard link");
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
		return tar_refuse(r, "a file with data whose name ends in a slash", err);
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

static int place_data(struct tar_reader *r, struct tar_entry *e, dray_error **err)
{
	e->header_off = r->first_off >= 0 ? r->first_off : r->head_off;
	e->data_off = r->in->pos;
	if (__builtin_add_overflow(e->data_off, e->size, &e->end_off) ||
	    __builtin_add_overflow(e->end_off, (int64_t)tar_padding(e->size), &e->end_off))
		return tar_refuse(r, "size is out of range", err);
	return 0;
}

int tar_make_entry(struct tar_reader *r, dray_error **err)
{
	struct tar_entry *e = &r->entry;

	e->raw_type = r->head.type;
	e->type = type_of(e->raw_type);
	e->has_pax = r->has_pax;
	e->has_gnu = r->has_name || r->has_link;
	if (set_names(r, e, err) < 0 || judge_slash(r, e, err) < 0 || set_size(r, e, err) < 0)
		return -1;
	set_numbers(r, e);
	e->real_size = e->size;
	e->extents = NULL;
	e->n_extents = 0;
	if (r->pax.sparse && e->type != TAR_FILE && e->type != TAR_SPARSE)
		return tar_refuse(r, "a sparse map on what is no file", err);
	if ((e->type == TAR_SPARSE || (e->type == TAR_FILE && r->pax.sparse)) &&
	    tar_sparse_read(r, e, err) < 0)
		return -1;
	report_strange(r, e);
	return place_data(r, e, err);
}
