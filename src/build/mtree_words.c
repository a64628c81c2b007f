/* SPDX-License-Identifier: Apache-2.0
 *
 * What an mtree tells of a file, word by word.
 * Relies on mtree.c for escapes.
 * Promises that a word which is not known is an error, not a surprise.
 */
#include <sys/sysmacros.h>

#include "base/limits.h"
#include "base/number.h"
#include "base/text.h"
#include "build/mtree_priv.h"
#include "build/spec.h"

#define OCTAL_MAX 11 /* digits of a mode: as many as a tar has room for */

typedef int word_fn(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err);

static int expected(const char *what, struct span value, dray_error **err)
{
	cleanup_free char *shown = text_safe(value, 80);

	return err_set(err, DRAY_ERR_FORMAT, "expected %s, got '%s'", what, shown ? shown : "");
}

/* ---- kinds ---- */

static int word_type(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err)
{
	static const struct {
		const char *name;
		enum tar_type type;
	} types[] = {
		{ "file", TAR_FILE }, { "dir", TAR_DIR },   { "link", TAR_SYMLINK },
		{ "char", TAR_CHAR }, { "fifo", TAR_FIFO }, { "block", TAR_BLOCK_DEV },
	};

	(void)p;
	if (span_is(value, "socket"))
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "a socket is nothing that an image can hold");
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (span_is(value, types[i].name)) {
			e->type = types[i].type;
			e->has |= MTREE_TYPE;
			return 0;
		}
	return expected("file, dir, link, char, block or fifo", value, err);
}

static int word_mode(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err)
{
	uint32_t v = 0;
	size_t n = 0;

	(void)p;
	for (; n < value.len && n <= OCTAL_MAX && value.data[n] >= '0' && value.data[n] <= '7'; n++)
		v = v * 8 + (uint32_t)(value.data[n] - '0');
	if (n == 0 || n < value.len || v > 07777)
		return expected("octal digits up to 7777", value, err);
	e->mode = v;
	e->has |= MTREE_MODE;
	return 0;
}

static int read_id(struct span value, uint32_t *ret, dray_error **err)
{
	int64_t v;

	if (!num_parse_u63(value, &v) || v > SPEC_ID_MAX)
		return expected("a number up to 4294967294", value, err);
	*ret = (uint32_t)v;
	return 0;
}

static int word_uid(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err)
{
	(void)p;
	e->has |= MTREE_UID;
	return read_id(value, &e->uid, err);
}

static int word_gid(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err)
{
	(void)p;
	e->has |= MTREE_GID;
	return read_id(value, &e->gid, err);
}

/* "1700000000.123456": whole seconds count, whatever the fraction is counted in. */
static int word_time(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err)
{
	int64_t dot = span_find(value, '.'), fraction = 0;
	struct span whole = span_head(value, dot < 0 ? value.len : (size_t)dot);
	struct span rest = span_from(value, whole.len + (dot >= 0));

	(void)p;
	/* The least number of all is beyond what a time in a tar can be. */
	if (!num_parse_i64(whole, &e->mtime) || e->mtime == INT64_MIN ||
	    (rest.len > 0 && !num_parse_u63(rest, &fraction)))
		return expected("seconds since 1970", value, err);
	e->has |= MTREE_TIME;
	return 0;
}

static int word_size(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err)
{
	(void)p;
	if (!num_parse_u63(value, &e->size))
		return expected("bytes", value, err);
	e->has |= MTREE_SIZE;
	return 0;
}

/* "native,1,3" as bsdtar writes it, or one number, as the system packs it. */
static int word_device(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err)
{
	int64_t comma = span_find(value, ','), packed, second;
	struct span rest;

	(void)p;
	e->has |= MTREE_DEVICE;
	if (comma < 0 && num_parse_u63(value, &packed)) {
		e->dev_major = major((dev_t)packed);
		e->dev_minor = minor((dev_t)packed);
		return 0;
	}
	rest = span_from(value, comma < 0 ? value.len : (size_t)comma + 1);
	second = span_find(rest, ',');
	if (second < 0 || (!span_starts(value, "native,") && !span_starts(value, "linux,")))
		return expected("native,MAJOR,MINOR, linux,MAJOR,MINOR or a number", value, err);
	if (read_id(span_head(rest, (size_t)second), &e->dev_major, err) < 0)
		return -1;
	return read_id(span_from(rest, (size_t)second + 1), &e->dev_minor, err);
}

/* ---- texts ---- */

static int word_uname(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err)
{
	return mtree_unescape(p, value, &e->uname, err);
}

static int word_gname(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err)
{
	return mtree_unescape(p, value, &e->gname, err);
}

static int word_link(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err)
{
	return value.len ? mtree_unescape(p, value, &e->link, err) : expected("a path", value, err);
}

static int word_content(struct parser *p, struct span value, struct mtree_entry *e,
			dray_error **err)
{
	return value.len ? mtree_unescape(p, value, &e->content, err)
			 : expected("a path", value, err);
}

static int read_digest(struct parser *p, const char *algo, struct span value,
		       const struct digest **ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(DIGEST_TEXT);
	struct digest *d = arena_alloc(&p->m->arena, sizeof(*d));

	if (!d)
		return err_nomem(err);
	if (value.len > DIGEST_TEXT / 2)
		return expected("hexadecimal digits", value, err);
	if (buf_add_str(&text, algo, err) < 0 || buf_add(&text, value, err) < 0)
		return -1;
	for (size_t i = 0; i < text.len; i++)
		text.data[i] = (uint8_t)ascii_lower((char)text.data[i]);
	if (digest_parse(span_buf(&text), d, err) < 0)
		return -1;
	*ret = d;
	return 0;
}

static int word_sha256(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err)
{
	return read_digest(p, "sha256:", value, &e->sha256, err);
}

static int word_sha512(struct parser *p, struct span value, struct mtree_entry *e, dray_error **err)
{
	return read_digest(p, "sha512:", value, &e->sha512, err);
}

/* ---- words without a value, and those that say nothing to us ---- */

static int word_optional(struct parser *p, struct span value, struct mtree_entry *e,
			 dray_error **err)
{
	(void)p;
	e->optional = true;
	return value.data ? expected("no value", value, err) : 0;
}

static int word_nochange(struct parser *p, struct span value, struct mtree_entry *e,
			 dray_error **err)
{
	(void)p;
	e->nochange = true;
	return value.data ? expected("no value", value, err) : 0;
}

static int word_ignored(struct parser *p, struct span value, struct mtree_entry *e,
			dray_error **err)
{
	(void)p;
	(void)value;
	(void)e;
	(void)err;
	return 0;
}

struct word {
	const char *name;
	word_fn *read;
	unsigned has; /* that /unset takes back */
	bool settable;
};
static const struct word words[] = {
	{ "cksum", word_ignored, 0, false },	 { "content", word_content, 0, false },
	{ "contents", word_content, 0, false },	 { "device", word_device, 0, false },
	{ "flags", word_ignored, 0, true },	 { "gid", word_gid, MTREE_GID, true },
	{ "gname", word_gname, 0, true },	 { "ignore", word_ignored, 0, false },
	{ "inode", word_ignored, 0, false },	 { "link", word_link, 0, false },
	{ "md5", word_ignored, 0, false },	 { "md5digest", word_ignored, 0, false },
	{ "mode", word_mode, MTREE_MODE, true }, { "nlink", word_ignored, 0, true },
	{ "nochange", word_nochange, 0, false }, { "optional", word_optional, 0, false },
	{ "resdevice", word_ignored, 0, true },	 { "ripemd160digest", word_ignored, 0, false },
	{ "rmd160", word_ignored, 0, false },	 { "rmd160digest", word_ignored, 0, false },
	{ "sha1", word_ignored, 0, false },	 { "sha1digest", word_ignored, 0, false },
	{ "sha256", word_sha256, 0, false },	 { "sha256digest", word_sha256, 0, false },
	{ "sha384", word_ignored, 0, false },	 { "sha384digest", word_ignored, 0, false },
	{ "sha512", word_sha512, 0, false },	 { "sha512digest", word_sha512, 0, false },
	{ "size", word_size, 0, false },	 { "tags", word_ignored, 0, true },
	{ "time", word_time, MTREE_TIME, true }, { "type", word_type, MTREE_TYPE, true },
	{ "uid", word_uid, MTREE_UID, true },	 { "uname", word_uname, 0, true },
};

static const struct word *find_word(struct span name, bool set, dray_error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (span_is(name, words[i].name) && (!set || words[i].settable))
			return &words[i];
	cleanup_free char *shown = text_safe(name, 80);
	err_set(err, DRAY_ERR_FORMAT, "%s: %s", shown ? shown : "",
		set ? "nothing that /set and /unset know" : "an unknown keyword");
	return NULL;
}

int mtree_keyword(struct parser *p, struct span word, bool set, struct mtree_entry *e,
		  dray_error **err)
{
	int64_t equal = span_find(word, '=');
	struct span name = span_head(word, equal < 0 ? word.len : (size_t)equal);
	struct span value = { 0 };
	const struct word *w;

	if (equal >= 0)
		value = span_from(word, name.len + 1);
	w = find_word(name, set, err);
	if (!w)
		return -1;
	return w->read(p, value, e, err) < 0 ? err_ctx(err, "%s", w->name) : 0;
}

int mtree_unset(struct parser *p, struct span word, dray_error **err)
{
	const struct word *w;

	if (span_is(word, "all")) {
		p->set = (struct mtree_entry){ 0 };
		return 0;
	}
	w = find_word(word, true, err);
	if (!w)
		return -1;
	p->set.has &= ~w->has;
	if (w->read == word_uname)
		p->set.uname = NULL;
	if (w->read == word_gname)
		p->set.gname = NULL;
	return 0;
}

/* Names of owners are looked up nowhere; that root is 0 everybody knows. */
static bool is_number_missing(const struct mtree_entry *e, enum mtree_has number, const char *name)
{
	return name && !(e->has & number) && strcmp(name, "root") != 0 &&
	       strcmp(name, "wheel") != 0;
}

int mtree_check(const struct mtree_entry *e, dray_error **err)
{
	bool is_dev = e->type == TAR_CHAR || e->type == TAR_BLOCK_DEV;

	if (is_number_missing(e, MTREE_UID, e->uname) || is_number_missing(e, MTREE_GID, e->gname))
		return err_set(err, DRAY_ERR_FORMAT,
			       "a name of an owner without its number, which is looked up nowhere");
	if ((e->has & MTREE_TYPE) && is_dev && !(e->has & MTREE_DEVICE))
		return err_set(err, DRAY_ERR_FORMAT, "a device without \"device=\"");
	return 0;
}
